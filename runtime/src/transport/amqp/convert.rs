//! Properties and headers, ours to AMQP's and back. Reading takes whatever a peer sent; writing refuses what AMQP can't say.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use bytes::Bytes;
use lapin::{
    BasicProperties,
    protocol::basic::{gen_properties, parse_properties},
    types::{AMQPValue, FieldArray, FieldTable, LongString, ShortString},
};
use serde_json::{Map, Value};

use crate::transport::{
    Headers, Message, Properties,
    headers::{Peek, Unread},
};

/// Tables inside of tables inside of tables: beyond this the rest is left out. The wire format has no limit of its own.
pub(super) const DEPTH: usize = 64;

/// The properties and headers of `message`, which no longer has them, or why AMQP can't carry them. Their texts move: a
/// message has two dozen of them.
pub(super) fn to_amqp(message: &mut Message) -> Result<BasicProperties, String> {
    let from = std::mem::take(&mut message.properties);
    let headers = std::mem::take(&mut message.headers);
    let mut to = BasicProperties::default().with_delivery_mode(if from.persistent { 2 } else { 1 });
    if !headers.is_empty() {
        to = to.with_headers(table(headers.into())?);
    }
    if let Some(text) = from.content_type {
        to = to.with_content_type(short("content_type", text)?);
    }
    if let Some(text) = from.content_encoding {
        to = to.with_content_encoding(short("content_encoding", text)?);
    }
    if let Some(priority) = from.priority {
        to = to.with_priority(priority);
    }
    if let Some(text) = from.correlation_id {
        to = to.with_correlation_id(short("correlation_id", text)?);
    }
    if let Some(text) = from.reply_to {
        to = to.with_reply_to(short("reply_to", text)?);
    }
    if let Some(expiration) = from.expiration {
        // RabbitMQ takes at most 2^32 - 1 ms, 49 days, and closes the channel over more.
        let milliseconds = expiration.as_millis().min(u128::from(u32::MAX));
        to = to.with_expiration(short("expiration", milliseconds.to_string())?);
    }
    if let Some(text) = from.message_id {
        to = to.with_message_id(short("message_id", text)?);
    }
    if let Some(timestamp) = from.timestamp {
        to = to.with_timestamp(timestamp);
    }
    if let Some(text) = from.app_id {
        to = to.with_app_id(short("app_id", text)?);
    }
    Ok(to)
}

/// The properties as the wire has them. lapin takes properties by value, and a message that has to be sent again needs
/// them again; one piece of memory is cheaper to keep than all their texts.
pub(super) fn packed(properties: &BasicProperties) -> Result<Box<[u8]>, String> {
    thread_local! {
        /// Written here and then copied: how much it takes is not known before, and asking for more costs more.
        static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    let mut room = ROOM.take();
    room.clear();
    let written = gen_properties(properties)(room.into());
    let room = written.map_err(|error| format!("AMQP can't carry its properties: {error}"))?.write;
    let packed = room.as_slice().into();
    ROOM.set(room);
    Ok(packed)
}

/// What [`packed`] packed.
pub(super) fn unpacked(packed: &[u8]) -> Result<BasicProperties, String> {
    let read = parse_properties(packed);
    read.map(|(_, properties)| properties).map_err(|error| format!("its properties can't be read again: {error}"))
}

/// A delivered or returned message.
pub(super) fn from_amqp(
    exchange: ShortString,
    routing_key: ShortString,
    properties: BasicProperties,
    body: Vec<u8>,
) -> Message {
    let text = |text: &Option<ShortString>| text.as_ref().map(ToString::to_string);
    Message {
        exchange: exchange.into(),
        routing_key: routing_key.into(),
        properties: Properties {
            content_type: text(properties.content_type()),
            content_encoding: text(properties.content_encoding()),
            persistent: *properties.delivery_mode() == Some(2),
            priority: *properties.priority(),
            correlation_id: text(properties.correlation_id()),
            reply_to: text(properties.reply_to()),
            expiration: properties
                .expiration()
                .as_ref()
                .and_then(|ms| ms.as_str().trim().parse().ok())
                .map(Duration::from_millis),
            message_id: text(properties.message_id()),
            timestamp: *properties.timestamp(),
            app_id: text(properties.app_id()),
        },
        headers: Headers::unread(Received(properties)),
        body: Bytes::from(body),
    }
}

/// The properties of a delivered message, of which the headers are read when somebody looks.
struct Received(BasicProperties);

impl Unread for Received {
    fn peek(&self, name: &str) -> Peek<'_> {
        match self.0.headers().as_ref().and_then(|headers| headers.inner().get(name)) {
            None => Peek::Absent,
            Some(AMQPValue::Void) => Peek::Null,
            Some(AMQPValue::ShortString(text)) => Peek::Text(text.as_str()),
            Some(AMQPValue::LongString(text)) => std::str::from_utf8(text.as_bytes()).map_or(Peek::Other, Peek::Text),
            Some(_) => Peek::Other,
        }
    }

    fn read(&self) -> Map<String, Value> {
        self.0.headers().as_ref().map(|headers| map(headers, 0)).unwrap_or_default()
    }
}

/// A text of at most 255 bytes. (lapin's own conversion panics on more.)
pub(super) fn short(what: &str, text: impl Into<String>) -> Result<ShortString, String> {
    let text = text.into();
    let bytes = text.len();
    ShortString::try_new(text).map_err(|_| format!("{what} has {bytes} bytes, and AMQP carries at most 255"))
}

fn table(map: Map<String, Value>) -> Result<FieldTable, String> {
    map.into_iter()
        .map(|(key, value)| Ok((short("a header's name", key)?, to_value(value)?)))
        .collect::<Result<BTreeMap<_, _>, String>>()
        .map(FieldTable::from)
}

fn to_value(value: Value) -> Result<AMQPValue, String> {
    Ok(match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(value) => AMQPValue::Boolean(value),
        Value::Number(number) => {
            if let Some(integer) = number.as_i64() {
                AMQPValue::LongLongInt(integer)
            } else if let (false, Some(float)) = (number.is_u64(), number.as_f64()) {
                AMQPValue::Double(float)
            } else {
                // Beyond 63 bits, and AMQP's unsigned 64 is read as signed by RabbitMQ: as text nothing is lost.
                AMQPValue::LongString(LongString::from(number.to_string()))
            }
        }
        Value::String(text) => AMQPValue::LongString(LongString::from(text)),
        Value::Array(items) => {
            AMQPValue::FieldArray(FieldArray::from(items.into_iter().map(to_value).collect::<Result<Vec<_>, _>>()?))
        }
        Value::Object(map) => AMQPValue::FieldTable(table(map)?),
    })
}

fn map(table: &FieldTable, depth: usize) -> Map<String, Value> {
    table.into_iter().map(|(key, value)| (key.to_string(), from_value(value, depth))).collect()
}

fn from_value(value: &AMQPValue, depth: usize) -> Value {
    match value {
        AMQPValue::Void => Value::Null,
        AMQPValue::Boolean(value) => Value::from(*value),
        AMQPValue::ShortShortInt(value) => Value::from(*value),
        AMQPValue::ShortShortUInt(value) => Value::from(*value),
        AMQPValue::ShortInt(value) => Value::from(*value),
        AMQPValue::ShortUInt(value) => Value::from(*value),
        AMQPValue::LongInt(value) => Value::from(*value),
        AMQPValue::LongUInt(value) => Value::from(*value),
        AMQPValue::LongLongInt(value) => Value::from(*value),
        AMQPValue::Float(value) => from_float(f64::from(*value)),
        AMQPValue::Double(value) => from_float(*value),
        AMQPValue::DecimalValue(decimal) => Value::from(decimal_text(decimal.value, usize::from(decimal.scale))),
        AMQPValue::ShortString(text) => Value::from(text.as_str()),
        AMQPValue::LongString(text) => match std::str::from_utf8(text.as_bytes()) {
            Ok(text) => Value::from(text),
            Err(_) => Value::from(String::from_utf8_lossy(text.as_bytes())),
        },
        AMQPValue::ByteArray(bytes) => Value::from(String::from_utf8_lossy(bytes.as_slice())),
        AMQPValue::Timestamp(seconds) => Value::from(timestamp_text(*seconds)),
        AMQPValue::FieldTable(_) | AMQPValue::FieldArray(_) if depth >= DEPTH => Value::Null,
        AMQPValue::FieldTable(table) => Value::Object(map(table, depth + 1)),
        AMQPValue::FieldArray(items) => items.as_slice().iter().map(|item| from_value(item, depth + 1)).collect(),
    }
}

/// JSON has no NaN and no infinity; their names are the next best thing.
fn from_float(float: f64) -> Value {
    serde_json::Number::from_f64(float).map_or_else(|| Value::from(float.to_string()), Value::Number)
}

/// An unscaled value and how many of its digits stand behind the point.
fn decimal_text(value: u32, scale: usize) -> String {
    if scale == 0 {
        return value.to_string();
    }
    let digits = format!("{value:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{whole}.{fraction}")
}

fn timestamp_text(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| seconds.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use lapin::types::DecimalValue;
    use serde_json::json;

    use super::*;

    fn round_trip(headers: Value) -> Value {
        let Value::Object(headers) = headers else { unreachable!() };
        let mut message = Message { headers: headers.into(), ..Message::default() };
        let properties = to_amqp(&mut message).unwrap();
        assert_eq!(unpacked(&packed(&properties).unwrap()).unwrap(), properties);
        Value::Object(read_whole(properties))
    }

    /// Each header on its own is what it is among the others.
    fn read_whole(properties: BasicProperties) -> Map<String, Value> {
        let again = || from_amqp("".into(), "".into(), properties.clone(), vec![]).headers;
        let map = Map::from(again());
        for (name, value) in &map {
            assert_eq!((again().text(name), again().value(name)), (value.as_str(), Some(value)), "{name}");
        }
        assert_eq!((again().text("not there"), again().value("not there")), (None, None));
        map
    }

    #[test]
    fn headers_survive_the_round_trip() {
        let headers = json!({
            "null": null, "yes": true, "least": i64::MIN, "most": i64::MAX, "float": -0.5, "ten": 1e10,
            "text": "gr\u{fc}\u{df}e \u{1f9c2}", "empty": "", "": "no name",
            "list": [1, "two", [3, {"four": null}]], "table": {"a": {"b": {"c": []}}},
        });
        assert_eq!(round_trip(headers.clone()), headers);
        assert_eq!(round_trip(json!({"n": u64::MAX})), json!({"n": "18446744073709551615"}));
    }

    #[test]
    fn what_json_has_no_word_for_is_text() {
        let mut table = FieldTable::default();
        table.insert("bytes".into(), AMQPValue::ByteArray(vec![b'a', 0xff].into()));
        table.insert("latin".into(), AMQPValue::LongString(LongString::from(vec![0xe4])));
        table.insert("nan".into(), AMQPValue::Double(f64::NAN));
        table.insert("price".into(), AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 5 }));
        table.insert("scale".into(), AMQPValue::DecimalValue(DecimalValue { scale: 255, value: u32::MAX }));
        table.insert("time".into(), AMQPValue::Timestamp(1_700_000_000));
        table.insert("far".into(), AMQPValue::Timestamp(u64::MAX));
        table.insert("void".into(), AMQPValue::Void);
        let read = read_whole(BasicProperties::default().with_headers(table));
        assert_eq!(read["bytes"], "a\u{fffd}");
        assert_eq!(read["latin"], "\u{fffd}");
        assert_eq!(read["nan"], "NaN");
        assert_eq!(read["price"], "0.05");
        assert_eq!(read["scale"].as_str().unwrap().len(), 257);
        assert_eq!(read["time"], "2023-11-14T22:13:20Z");
        assert_eq!(read["far"], u64::MAX.to_string());
    }

    #[test]
    fn deep_tables_are_cut_off() {
        let mut value = AMQPValue::Void;
        for _ in 0..1_000 {
            value = AMQPValue::FieldArray(vec![value].into());
        }
        let mut read = &from_value(&value, 0);
        let mut depth = 0;
        while let Some(inner) = read.as_array() {
            (read, depth) = (&inner[0], depth + 1);
        }
        assert_eq!(depth, DEPTH);
    }

    #[test]
    fn too_long_texts_are_refused() {
        let long = "x".repeat(256);
        let mut message = Message::default();
        message.headers.insert(long.clone(), Value::Null);
        assert!(to_amqp(&mut message).unwrap_err().contains("256 bytes"));
        let mut message = Message::default();
        message.properties.correlation_id = Some(long);
        assert!(to_amqp(&mut message).unwrap_err().contains("correlation_id"));
    }

    #[test]
    fn hostile_expirations_are_no_error() {
        for (text, read) in [("-1", None), ("", None), ("1e3", None), ("99999999999999999999", None), ("7", Some(7))] {
            let properties = BasicProperties::default().with_expiration(text.into());
            let message = from_amqp("".into(), "".into(), properties, vec![]);
            assert_eq!(message.properties.expiration, read.map(Duration::from_millis), "{text}");
        }
        let mut message = Message::default();
        message.properties.expiration = Some(Duration::MAX);
        assert_eq!(to_amqp(&mut message).unwrap().expiration().as_ref().unwrap().as_str(), u32::MAX.to_string());
    }
}
