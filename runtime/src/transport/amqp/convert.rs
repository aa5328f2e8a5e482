//! Properties and headers, ours to AMQP's and back. Reading takes whatever a peer sent; writing refuses what AMQP can't say.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, LongString, ShortString},
};
use serde_json::{Map, Value};

use crate::transport::{
    Headers, Message, Properties,
    headers::{Field, Peek, Unread},
};

/// Tables inside of tables inside of tables: beyond this the rest is left out. The wire format has no limit of its own.
pub(super) const DEPTH: usize = 64;

/// Properties and headers as the wire has them, or why AMQP can't carry them.
///
/// lapin takes them as a tree of texts, each a piece of memory of its own, made by one thread and freed by another, which costs
/// more than the rest of publishing; and it takes them by value, though a message may have to be written again. So a message
/// has these bytes, and lapin gets them as they are: see [`carried`].
pub(super) fn packed(from: &Properties, headers: &Headers) -> Result<Vec<u8>, String> {
    // Celery's eighteen headers and the properties take about 600 bytes.
    let mut out = Packed { bytes: Vec::with_capacity(768), flags: 0 };
    out.bytes.extend_from_slice(&[0; 2]);
    out.short(15, "content_type", from.content_type.as_deref())?;
    out.short(14, "content_encoding", from.content_encoding.as_deref())?;
    out.table(headers)?;
    out.fixed(12, &[if from.persistent { 2 } else { 1 }]);
    if let Some(priority) = from.priority {
        out.fixed(11, &[priority]);
    }
    out.short(10, "correlation_id", from.correlation_id.as_deref())?;
    out.short(9, "reply_to", from.reply_to.as_deref())?;
    // RabbitMQ takes at most 2^32 - 1 ms, 49 days, and closes the channel over more.
    let expiration = from.expiration.map(|after| after.as_millis().min(u128::from(u32::MAX)).to_string());
    out.short(8, "expiration", expiration.as_deref())?;
    out.short(7, "message_id", from.message_id.as_deref())?;
    if let Some(timestamp) = from.timestamp {
        out.fixed(6, &timestamp.to_be_bytes());
    }
    out.short(3, "app_id", from.app_id.as_deref())?;
    let Packed { mut bytes, flags } = out;
    bytes.splice(..2, flags.to_be_bytes());
    Ok(bytes)
}

struct Packed {
    bytes: Vec<u8>,
    /// Which properties there are: AMQP 0-9-1, 4.2.6.1.
    flags: u16,
}

impl Packed {
    fn fixed(&mut self, flag: u8, value: &[u8]) {
        self.flags |= 1 << flag;
        self.bytes.extend_from_slice(value);
    }

    fn short(&mut self, flag: u8, what: &str, text: Option<&str>) -> Result<(), String> {
        let Some(text) = text else { return Ok(()) };
        self.flags |= 1 << flag;
        put_short(&mut self.bytes, what, text)
    }

    fn table(&mut self, headers: &Headers) -> Result<(), String> {
        let (start, mut outcome) = (self.bytes.len(), Ok(()));
        put_long(&mut self.bytes, |bytes| {
            headers.each(&mut |name, field| {
                if outcome.is_ok() {
                    outcome = put_field(bytes, name, &field);
                }
            });
        });
        if self.bytes.len() == start + 4 {
            self.bytes.truncate(start);
        } else {
            self.flags |= 1 << 13;
        }
        outcome
    }
}

/// A text of at most 255 bytes.
fn put_short(bytes: &mut Vec<u8>, what: &str, text: &str) -> Result<(), String> {
    bytes.push(u8::try_from(text.len()).map_err(|_| too_long(what, text.len()))?);
    bytes.extend_from_slice(text.as_bytes());
    Ok(())
}

/// What `put` puts, with its length before it. More than 32 bits can tell is more than any frame takes.
fn put_long<T>(bytes: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    let outcome = put(bytes);
    let length = u32::try_from(bytes.len() - start - 4).unwrap_or(u32::MAX);
    bytes.splice(start..start + 4, length.to_be_bytes());
    outcome
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(b'S');
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn put_field(bytes: &mut Vec<u8>, name: &str, field: &Field<'_>) -> Result<(), String> {
    put_short(bytes, "a header's name", name)?;
    match field {
        Field::Text(text) => put_text(bytes, text),
        Field::Other(value) => put_value(bytes, value)?,
    }
    Ok(())
}

fn put_value(bytes: &mut Vec<u8>, value: &Value) -> Result<(), String> {
    match value {
        Value::Null => bytes.push(b'V'),
        Value::Bool(value) => bytes.extend_from_slice(&[b't', u8::from(*value)]),
        Value::Number(number) => {
            if let Some(integer) = number.as_i64() {
                bytes.push(b'l');
                bytes.extend_from_slice(&integer.to_be_bytes());
            } else if let (false, Some(float)) = (number.is_u64(), number.as_f64()) {
                bytes.push(b'd');
                bytes.extend_from_slice(&float.to_be_bytes());
            } else {
                // Beyond 63 bits, and AMQP's unsigned 64 is read as signed by RabbitMQ: as text nothing is lost.
                put_text(bytes, &number.to_string());
            }
        }
        Value::String(text) => put_text(bytes, text),
        Value::Array(items) => {
            bytes.push(b'A');
            put_long(bytes, |bytes| items.iter().try_for_each(|item| put_value(bytes, item)))?;
        }
        Value::Object(map) => {
            bytes.push(b'F');
            put_long(bytes, |bytes| {
                map.iter().try_for_each(|(name, value)| put_field(bytes, name, &Field::from(value)))
            })?;
        }
    }
    Ok(())
}

/// The only header of properties in which lapin carries others as they are; the guard takes them out again before they are
/// written ([`super::guard`]).
pub(super) const CARRIED: &str = "x-celerysalt-carried";

/// What lapin is given for properties that are [`packed`].
pub(super) fn carried(packed: &[u8]) -> BasicProperties {
    let carried = AMQPValue::LongString(LongString::from(packed));
    BasicProperties::default().with_headers(BTreeMap::from([(CARRIED.into(), carried)]).into())
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

    fn each(&self, take: &mut dyn FnMut(&str, Field<'_>)) {
        for (name, value) in self.0.headers().iter().flatten() {
            take(name.as_str(), Field::Other(Cow::Owned(from_value(value, 0))));
        }
    }
}

/// A text of at most 255 bytes. (lapin's own conversion panics on more.)
pub(super) fn short(what: &str, text: impl Into<String>) -> Result<ShortString, String> {
    let text = text.into();
    let bytes = text.len();
    ShortString::try_new(text).map_err(|_| too_long(what, bytes))
}

fn too_long(what: &str, bytes: usize) -> String {
    format!("{what} has {bytes} bytes, and AMQP carries at most 255")
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
    use lapin::{
        protocol::basic::{gen_properties, parse_properties},
        types::DecimalValue,
    };
    use serde_json::json;

    use super::*;

    fn round_trip(headers: Value) -> Value {
        let Value::Object(headers) = headers else { unreachable!() };
        Value::Object(read_whole(on_the_wire(&Properties::default(), &headers.into())))
    }

    /// Read by lapin's parser, and written again by it to the same bytes.
    fn on_the_wire(properties: &Properties, headers: &Headers) -> BasicProperties {
        let packed = packed(properties, headers).unwrap();
        let (rest, read) = parse_properties(packed.as_slice()).unwrap();
        assert!(rest.is_empty());
        assert_eq!(gen_properties(&read)(Vec::new().into()).unwrap().write, packed);
        read
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
    fn every_property_survives_the_round_trip() {
        let text = |text: &str| Some(text.to_owned());
        let full = Properties {
            content_type: text("application/json"),
            content_encoding: text("utf-8"),
            persistent: true,
            priority: Some(7),
            correlation_id: text("c"),
            reply_to: text("a.reply.queue"),
            expiration: Some(Duration::from_secs(12)),
            message_id: text("0123456789"),
            timestamp: Some(1_700_000_000),
            app_id: text("gr\u{fc}\u{df}e"),
        };
        let headers = Headers::default().with("a", 1).with("b", json!({"c": ["d", 0.5, true]}));
        for properties in [full, Properties::default()] {
            for headers in [headers.clone(), Headers::default()] {
                let read = on_the_wire(&properties, &headers);
                let message = from_amqp("x".into(), "k".into(), read, vec![]);
                assert_eq!((&message.properties, message.headers), (&properties, headers));
            }
        }
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
        let named = Headers::default().with(long.clone(), Value::Null);
        let within = Headers::default().with("a", json!([{ long.clone(): 1 }]));
        let correlated = Properties { correlation_id: Some(long), ..Properties::default() };
        for (properties, headers, words) in [
            (Properties::default(), named, "256 bytes"),
            (Properties::default(), within, "256 bytes"),
            (correlated, Headers::default(), "correlation_id"),
        ] {
            let refused = packed(&properties, &headers).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn hostile_expirations_are_no_error() {
        for (text, read) in [("-1", None), ("", None), ("1e3", None), ("99999999999999999999", None), ("7", Some(7))] {
            let properties = BasicProperties::default().with_expiration(text.into());
            let message = from_amqp("".into(), "".into(), properties, vec![]);
            assert_eq!(message.properties.expiration, read.map(Duration::from_millis), "{text}");
        }
        let properties = Properties { expiration: Some(Duration::MAX), ..Properties::default() };
        let sent = on_the_wire(&properties, &Headers::default());
        assert_eq!(sent.expiration().as_ref().unwrap().as_str(), u32::MAX.to_string());
    }
}
