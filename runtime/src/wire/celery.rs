//! Events and requests as Celery task messages: written as protocol 2, read as protocols 1 and 2.
//!
//! The body of protocol 2 is `[[INNER], {"routing_key": TOPIC}, {...}]`, of protocol 1 an object with `args` and
//! `kwargs`. INNER is a string holding the payload object with one extra key, `_tchu_meta`.

use std::{borrow::Cow, sync::LazyLock, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::body::unpacked;
use crate::{
    json::{Json, Mismatch, Reader, Writer},
    transport::{
        Headers, Message, Properties, UNREADABLE,
        headers::{Field, Peek, Unread},
    },
};

/// The key of INNER that is not the payload's.
const META_KEY: &str = "_tchu_meta";

/// The task name of celery-salt's dispatcher.
pub(crate) const CELERY_SALT: &str = "celery_salt.dispatch_event";
/// The task name of tchu-tchu's dispatcher.
pub(crate) const TCHU_TCHU: &str = "tchu_tchu.dispatch_event";
/// On the second message of an event that was sent in both names: the id of the first. Both reach the same queues, so a
/// Rust service, which understands both names, passes over the second.
pub(crate) const COPY_OF: &str = "x-celerysalt-copy-of";

/// Which of the two Python packages what is sent is addressed to. Their workers discard each other's task name; a Rust
/// service understands both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskName {
    /// `celery_salt.dispatch_event`.
    #[default]
    CelerySalt,
    /// `tchu_tchu.dispatch_event`.
    TchuTchu,
    /// Both of them: two messages for each event or request, with ids of their own, so that each package's workers get one
    /// that they understand. Rust services handle the first and pass over the second.
    ///
    /// A celery-salt service that registered tchu-tchu's name too would handle each event twice; it needs only one name.
    Both,
}

impl TaskName {
    /// The names on the wire: one message goes out for each.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::CelerySalt => &[CELERY_SALT],
            Self::TchuTchu => &[TCHU_TCHU],
            Self::Both => &[CELERY_SALT, TCHU_TCHU],
        }
    }
}

/// An event or a request on its way out.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) task: &'static str,
    pub(crate) id: String,
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) topic: &'a str,
    /// JSON text.
    pub(crate) payload: &'a str,
    pub(crate) meta: Meta,
    pub(crate) priority: u8,
    pub(crate) expiration: Option<Duration>,
    pub(crate) reply_to: Option<String>,
    pub(crate) headers: Map<String, Value>,
    pub(crate) origin: &'a str,
    pub(crate) now: Timestamp,
}

/// `_tchu_meta`: what travels beside the payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    /// `None` when the sender did not say; both Python packages then answer as if it were an RPC.
    pub(crate) is_rpc: Option<bool>,
    pub(crate) version: Option<String>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) tracestate: Option<String>,
}

/// A message that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Incoming {
    pub(crate) task: String,
    pub(crate) id: Option<String>,
    /// The topic that the sender names; it counts, not the routing key.
    pub(crate) topic: Option<String>,
    /// The text of a JSON object, without `_tchu_meta`.
    pub(crate) payload: String,
    pub(crate) meta: Option<Meta>,
    pub(crate) expires: Option<Timestamp>,
    /// The id of the same event's message in the other name, when this is the second of the two.
    pub(crate) copy_of: Option<String>,
}

/// Why a message is no event. Texts name places, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// No bytes.
    #[error("the body is empty")]
    Empty,
    /// Bytes that are no text.
    #[error("the body is not UTF-8: byte {position} is at fault")]
    Utf8 {
        /// From 0.
        position: usize,
    },
    /// A message of which the transport could not read all.
    #[error("the message can't be read whole: {what}")]
    Unreadable {
        /// What was left out, and why.
        what: String,
    },
    /// A body in an encoding that is not read here.
    #[error("the body is encoded as `{encoding}`, which is not read here")]
    Encoding {
        /// The value of the header, its beginning.
        encoding: String,
    },
    /// A body that is not what its headers say, or too much of it.
    #[error("the body is not the {encoding} that its headers say: {reason}")]
    Packed {
        /// `base64`, `zlib` or `gzip`.
        encoding: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// Text that is no JSON, or JSON nested deeper than 128 levels.
    #[error("{what} is no JSON at line {line}, column {column}: {reason}")]
    Json {
        /// Of the body, or of the event within it.
        what: &'static str,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// Syntax, end of input, or too deep.
        reason: &'static str,
    },
    /// JSON that is no Celery message.
    #[error("no Celery message: {reason}")]
    Envelope {
        /// What was expected.
        reason: &'static str,
    },
    /// A payload that is no object.
    #[error("the payload is not a JSON object")]
    Payload,
    /// `_tchu_meta` of another shape.
    #[error("`_tchu_meta`{pointer}: expected {expected}")]
    Meta {
        /// JSON pointer into it.
        pointer: &'static str,
        /// What was expected.
        expected: &'static str,
    },
}

/// The message that follows the one in the first name, in the second.
pub(crate) fn copy_of(first: &Message, task: &str, id: &str) -> Message {
    let mut copy = first.clone();
    let first_id = copy.headers.insert("id".to_owned(), json!(id)).unwrap_or_default();
    for (name, value) in [("task", json!(task)), ("root_id", json!(id)), (COPY_OF, first_id)] {
        copy.headers.insert(name.to_owned(), value);
    }
    copy.properties.correlation_id = Some(id.to_owned());
    copy.properties.message_id = Some(id.to_owned());
    copy
}

/// The message of an event or a request.
pub(crate) fn encode(out: Outgoing<'_>) -> Message {
    let topic = out.topic;
    let body = body(out.payload, &out.meta, topic);
    let expires = out.expiration.and_then(|after| out.now.checked_add(after).ok());
    let properties = Properties {
        content_type: Some("application/json".to_owned()),
        content_encoding: Some("utf-8".to_owned()),
        persistent: true,
        priority: Some(out.priority),
        correlation_id: Some(out.id.clone()),
        reply_to: out.reply_to,
        expiration: out.expiration,
        message_id: Some(out.id.clone()),
        timestamp: u64::try_from(out.now.as_second()).ok(),
        app_id: Some(out.origin.to_owned()),
    };
    // OpenTelemetry's instrumentation of Celery reads them there, and nothing of `_tchu_meta`.
    let mut more = out.headers;
    for (name, value) in [(TRACEPARENT, out.meta.traceparent), (TRACESTATE, out.meta.tracestate)] {
        if let Some(value) = value
            && !more.contains_key(name)
        {
            more.insert(name.to_owned(), Value::String(value));
        }
    }
    let headers = TaskHeaders {
        task: out.task,
        id: out.id,
        expires: expires.map(iso),
        kwargs: ["{'routing_key': '", topic, "'}"].concat(),
        origin: out.origin.to_owned(),
        is_rpc: out.meta.is_rpc == Some(true),
        more,
    };
    Message {
        exchange: out.exchange,
        routing_key: out.routing_key,
        properties,
        headers: Headers::unread(headers),
        body: Bytes::from(body),
    }
}

/// The headers of an event or a request. A transport takes them one by one: as a map of JSON they would cost more than the
/// rest of the message.
struct TaskHeaders {
    task: &'static str,
    id: String,
    expires: Option<String>,
    kwargs: String,
    origin: String,
    is_rpc: bool,
    /// Those that the envelope does not use itself.
    more: Map<String, Value>,
}

impl TaskHeaders {
    /// One of [`RESERVED_HEADERS`].
    fn reserved(&self, name: &str) -> Option<Field<'_>> {
        static NULL: Value = Value::Null;
        static ZERO: LazyLock<Value> = LazyLock::new(|| json!(0));
        static NO_LIMITS: LazyLock<Value> = LazyLock::new(|| json!([null, null]));
        static NO_STAMPS: LazyLock<Value> = LazyLock::new(|| json!({}));
        Some(match name {
            "lang" => Field::Text("py"),
            "task" => Field::Text(self.task),
            "id" | "root_id" => Field::Text(&self.id),
            "shadow" | "eta" | "group" | "group_index" | "parent_id" | "stamped_headers" => Field::from(&NULL),
            "expires" => self.expires.as_deref().map_or(Field::from(&NULL), Field::Text),
            "retries" | "replaced_task_nesting" => Field::from(&*ZERO),
            "timelimit" => Field::from(&*NO_LIMITS),
            "kwargsrepr" => Field::Text(&self.kwargs),
            "origin" => Field::Text(&self.origin),
            // A broadcast runs its handlers and answers nobody.
            "ignore_result" => Field::Other(Cow::Owned(Value::Bool(!self.is_rpc))),
            "stamps" => Field::from(&*NO_STAMPS),
            _ => return None,
        })
    }
}

impl Unread for TaskHeaders {
    fn peek(&self, name: &str) -> Peek<'_> {
        let own = self.more.get(name).map(Field::from);
        match self.reserved(name).or(own) {
            None => Peek::Absent,
            Some(Field::Text(text)) => Peek::Text(text),
            Some(Field::Other(value)) if value.is_null() => Peek::Null,
            Some(Field::Other(_)) => Peek::Other,
        }
    }

    fn each(&self, take: &mut dyn FnMut(&str, Field<'_>)) {
        let more = self.more.iter().filter(|(name, _)| self.reserved(name).is_none());
        more.for_each(|(name, value)| take(name, value.into()));
        for name in RESERVED_HEADERS {
            if let Some(field) = self.reserved(name) {
                take(name, field);
            }
        }
    }
}

/// `[[INNER], {"routing_key": TOPIC}, {...}]`.
pub(crate) fn body(payload: &str, meta: &Meta, topic: &str) -> String {
    let members = payload.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    // Contracts describe objects; whatever else one allows goes where Python finds it.
    let (before, members) = members.map_or(("\"data\":", payload), |members| ("", members));
    let comma = if members.trim().is_empty() { "" } else { "," };
    let meta = meta.to_text();
    // Every second character of a terse payload is a quote, at worst; most are not.
    let inner = payload.len() + meta.len();
    let mut body = Writer::with_capacity(inner + inner / 3 + topic.len() + 160);
    body.push("[[");
    body.string_of(&["{", before, members, comma, "\"", META_KEY, "\":", &meta, "}"]);
    body.push("],");
    body.open();
    body.text_field("routing_key", topic);
    body.close();
    body.push(r#",{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]"#);
    body.finish().unwrap_or_default()
}

/// The headers of W3C Trace Context.
pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const TRACESTATE: &str = "tracestate";

/// Header names that the envelope itself uses, in the order of the alphabet; a user's header of that name would change what
/// the message means.
pub(crate) const RESERVED_HEADERS: [&str; 18] = [
    "eta",
    "expires",
    "group",
    "group_index",
    "id",
    "ignore_result",
    "kwargsrepr",
    "lang",
    "origin",
    "parent_id",
    "replaced_task_nesting",
    "retries",
    "root_id",
    "shadow",
    "stamped_headers",
    "stamps",
    "task",
    "timelimit",
];

/// Header names with a meaning to whoever reads or carries the message: Celery would decompress the body, RabbitMQ would
/// route the message to the queues that they name, a service would dead-letter it.
pub(crate) const MEANINGFUL_HEADERS: [&str; 5] = ["compression", "body_encoding", "CC", "BCC", UNREADABLE];

/// Of a topic and of an id, in bytes: what AMQP can carry as a routing key and as a reply's correlation id.
const MAX_NAME: usize = 255;

/// How deep a payload may be nested for its envelope to be read again.
const MAX_DEPTH: usize = 127;

/// Why a payload would not arrive as it is, if so.
pub(crate) fn unreadable(payload: &str) -> Option<&'static str> {
    // Most payloads are shallow and say nothing of the kind, which needs no reader to see.
    let opens = payload.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
    // Texts of up to eight bytes are found faster than longer ones.
    if opens < MAX_DEPTH && !payload.contains('\\') && !META_KEY.get(..6).is_some_and(|begin| payload.contains(begin)) {
        return None;
    }
    let mut has_meta = false;
    let mut reader = Reader::new(payload);
    let read = if payload.trim_start().starts_with('{') {
        reader.object(&[META_KEY], &mut |reader, index, _| {
            has_meta |= index.is_some();
            reader.skip().map(drop)
        })
    } else {
        reader.skip().map(drop)
    };
    if has_meta {
        return Some("the payload has a property `_tchu_meta`, which is the envelope's own");
    }
    read.is_err().then_some("the payload is nested deeper than 127 levels, which services can't read")
}

/// ISO 8601 as Celery writes it: microseconds and an offset.
pub(crate) fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

/// Reads a message.
///
/// # Errors
/// [`WireError`] when it is none that either Python package could have sent.
pub(crate) fn decode(message: &Message) -> Result<Incoming, WireError> {
    if let Some(what) = message.headers.value(UNREADABLE) {
        return Err(WireError::Unreadable { what: what.as_str().unwrap_or("something").to_owned() });
    }
    if message.body.is_empty() {
        return Err(WireError::Empty);
    }
    let body = unpacked(message)?;
    let text = std::str::from_utf8(&body).map_err(|e| WireError::Utf8 { position: e.valid_up_to() })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let header = |name: &str| message.headers.text(name).map(str::to_owned);
    let mut envelope = Envelope::default();
    let reason = match text.trim_start().as_bytes().first() {
        Some(b'[') => "a body of protocol 2 is `[[event], {\"routing_key\": topic}, {...}]`",
        Some(b'{') => "a body of protocol 1 is an object with `task`, `args` and `kwargs`",
        _ => "the body is neither an array (protocol 2) nor an object (protocol 1)",
    };
    if envelope.read(text).is_err() {
        parse(text, "the body")?;
        return Err(WireError::Envelope { reason });
    }
    let Envelope { is_second, task, id, expires, inner, topic } = envelope;
    let (task, id, expires) = if is_second {
        let task =
            header("task").ok_or(WireError::Envelope { reason: "a body of protocol 2 needs the header `task`" })?;
        (task, header("id"), message.headers.value("expires").and_then(expiry))
    } else {
        (task.ok_or(WireError::Envelope { reason })?, id, expires.as_ref().and_then(expiry))
    };
    if [&topic, &id].into_iter().flatten().any(|name| name.len() > MAX_NAME) {
        return Err(WireError::Envelope { reason: "its topic and its id have at most 255 bytes" });
    }
    let inner = inner.ok_or(WireError::Envelope { reason: "the event is missing: `args` is empty" })?;
    let (payload, meta) = event(&inner)?;
    Ok(Incoming { task, id, topic, payload, meta, expires, copy_of: header(COPY_OF) })
}

/// A body of either protocol.
#[derive(Debug, Default)]
struct Envelope<'a> {
    is_second: bool,
    task: Option<String>,
    id: Option<String>,
    expires: Option<Value>,
    /// The event's own JSON text.
    inner: Option<Cow<'a, str>>,
    topic: Option<String>,
}

impl<'a> Envelope<'a> {
    fn read(&mut self, text: &'a str) -> Result<(), Mismatch> {
        let mut reader = Reader::new(text);
        if text.trim_start().starts_with('[') {
            self.is_second = true;
            let mut parts = 0;
            reader.array(|reader, index| {
                parts = index + 1;
                match index {
                    0 => self.read_args(reader),
                    1 => self.read_kwargs(reader),
                    _ => reader.skip().map(drop),
                }
            })?;
            // Two parts kill a Python worker, so nobody sends them.
            if parts != 3 {
                return Err(Mismatch);
            }
        } else {
            let mut has_args = false;
            reader.object(&["task", "args", "kwargs", "id", "expires"], &mut |reader, index, _| {
                match index {
                    Some(0) => self.task = text_or_skip(reader)?,
                    Some(1) => {
                        has_args = true;
                        self.read_args(reader)?;
                    }
                    Some(2) if !reader.null() => self.read_kwargs(reader)?,
                    Some(3) => self.id = text_or_skip(reader)?,
                    Some(4) => self.expires = Some(Value::read(reader)?),
                    Some(_) => (),
                    None => drop(reader.skip()?),
                }
                Ok(())
            })?;
            if !has_args {
                return Err(Mismatch);
            }
        }
        reader.end()
    }

    /// The first argument is the event: a string that holds JSON, or the JSON itself.
    fn read_args(&mut self, reader: &mut Reader<'a>) -> Result<(), Mismatch> {
        reader.array(|reader, index| {
            if index == 0 {
                self.inner = Some(string_or_json(reader)?);
                return Ok(());
            }
            reader.skip().map(drop)
        })
    }

    fn read_kwargs(&mut self, reader: &mut Reader<'a>) -> Result<(), Mismatch> {
        reader.object(&["routing_key", "message_body"], &mut |reader, index, _| {
            match index {
                Some(0) => self.topic = text_or_skip(reader)?,
                Some(_) if self.inner.is_none() => self.inner = Some(string_or_json(reader)?),
                _ => drop(reader.skip()?),
            }
            Ok(())
        })
    }
}

fn string_or_json<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, Mismatch> {
    if reader.at_string() { reader.string() } else { reader.skip().map(Cow::Borrowed) }
}

fn text_or_skip(reader: &mut Reader<'_>) -> Result<Option<String>, Mismatch> {
    if reader.at_string() { reader.string().map(|text| Some(text.into_owned())) } else { reader.skip().map(|_| None) }
}

/// Takes `_tchu_meta` out of an event: the payload's text, and the meta.
fn event(inner: &str) -> Result<(String, Option<Meta>), WireError> {
    let mut meta = None;
    let mut payload = Writer::with_capacity(inner.len());
    let mut reader = Reader::new(inner);
    payload.open();
    let read = reader.object(&[META_KEY], &mut |reader, index, name| {
        let text = reader.skip()?;
        match index {
            Some(_) => meta = Some(text),
            None => payload.raw_field(&reader.name(name), text),
        }
        Ok(())
    });
    payload.close();
    if read.and_then(|()| reader.end()).is_err() {
        return Err(parse(inner, "the event").err().unwrap_or(WireError::Payload));
    }
    let said = |text| match Meta::from_text(text) {
        Some(meta) => Ok(meta),
        None => parse(text, "the event").and_then(Meta::from_json),
    };
    let meta = meta.map(said).transpose()?;
    Ok((payload.finish().unwrap_or_default(), meta))
}

pub(super) fn parse(text: &str, what: &'static str) -> Result<Value, WireError> {
    serde_json::from_str(text).map_err(|error| WireError::Json {
        what,
        line: error.line(),
        column: error.column(),
        reason: if error.to_string().starts_with("recursion limit") {
            "nested deeper than 128 levels"
        } else if error.is_eof() {
            "it ends too early"
        } else if text.contains("NaN") || text.contains("Infinity") {
            "syntax (Python writes NaN and Infinity, which are not JSON)"
        } else {
            "syntax"
        },
    })
}

/// Celery's `expires`: ISO 8601 with or without offset (UTC then), or seconds since 1970.
fn expiry(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok().or_else(|| format!("{text}Z").parse().ok()),
        Value::Number(seconds) => {
            let seconds = Duration::try_from_secs_f64(seconds.as_f64()?).ok()?;
            Timestamp::UNIX_EPOCH.checked_add(seconds).ok()
        }
        _ => None,
    }
}

impl Meta {
    /// As JSON, its keys in the order of the alphabet.
    pub(crate) fn to_text(&self) -> String {
        let mut meta = Writer::with_capacity(160);
        meta.open();
        if let Some(id) = &self.correlation_id {
            meta.text_field("correlation_id", id);
        }
        meta.raw_field("is_rpc", if self.is_rpc.unwrap_or(false) { "true" } else { "false" });
        for (name, value) in
            [("traceparent", &self.traceparent), ("tracestate", &self.tracestate), ("version", &self.version)]
        {
            if let Some(value) = value {
                meta.text_field(name, value);
            }
        }
        meta.close();
        meta.finish().unwrap_or_default()
    }

    /// One that is as senders make it; [`Meta::from_json`] tells what is wrong with another.
    fn from_text(text: &str) -> Option<Self> {
        const NAMES: [&str; 5] = ["is_rpc", "version", "correlation_id", "traceparent", "tracestate"];
        let mut meta = Self::default();
        let mut reader = Reader::new(text);
        let read = reader.object(&NAMES, &mut |reader, index, _| {
            let place = match index {
                Some(0) => {
                    meta.is_rpc = match reader.skip()? {
                        "true" => Some(true),
                        "false" => Some(false),
                        "null" => None,
                        _ => return Err(Mismatch),
                    };
                    return Ok(());
                }
                Some(1) => &mut meta.version,
                Some(2) => &mut meta.correlation_id,
                Some(3) => &mut meta.traceparent,
                Some(4) => &mut meta.tracestate,
                _ => return reader.skip().map(drop),
            };
            *place = if reader.null() { None } else { Some(reader.string()?.into_owned()) };
            Ok(())
        });
        read.and_then(|()| reader.end()).ok()?;
        Some(meta)
    }

    /// Unknown keys are ignored, as Python does.
    pub(crate) fn from_json(value: Value) -> Result<Self, WireError> {
        let Value::Object(mut fields) = value else {
            return Err(WireError::Meta { pointer: "", expected: "an object" });
        };
        let is_rpc = match fields.remove("is_rpc") {
            None | Some(Value::Null) => None,
            Some(Value::Bool(is_rpc)) => Some(is_rpc),
            Some(_) => return Err(WireError::Meta { pointer: "/is_rpc", expected: "a boolean" }),
        };
        // A sender's mistake in its tracing is no reason to refuse its event.
        let mut trace = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (traceparent, tracestate) = (trace("traceparent"), trace("tracestate"));
        let mut text = |name: &str, pointer| match fields.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(WireError::Meta { pointer, expected: "a string" }),
        };
        Ok(Self {
            is_rpc,
            version: text("version", "/version")?,
            correlation_id: text("correlation_id", "/correlation_id")?,
            traceparent,
            tracestate,
        })
    }
}

impl Incoming {
    /// Whether the message is a worker's own second hop (`celery_salt.<topic>.<function>`), which a subscriber of `#`
    /// sees and must pass over.
    pub(crate) fn is_second_hop(&self) -> bool {
        let names = ["celery_salt.", "tchu_tchu."].iter().find_map(|package| self.task.strip_prefix(package));
        !self.is_event() && names.is_some_and(|names| names.contains('.'))
    }

    /// Whether the task name is one of the two that carry events.
    pub(crate) fn is_event(&self) -> bool {
        self.task == CELERY_SALT || self.task == TCHU_TCHU
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(headers: Value, body: &str) -> Message {
        let Value::Object(headers) = headers else { panic!("headers") };
        Message { headers: headers.into(), body: Bytes::from(body.to_owned()), ..Message::default() }
    }

    fn outgoing() -> Outgoing<'static> {
        Outgoing {
            task: CELERY_SALT,
            id: "1".into(),
            exchange: "tchu_events".into(),
            routing_key: "a.b".into(),
            topic: "a.b",
            payload: r#"{"text":"😀\"","n":123456789012345678901234567890.50}"#,
            meta: Meta {
                is_rpc: Some(false),
                version: Some("v1".into()),
                correlation_id: Some("c".into()),
                ..Meta::default()
            },
            priority: 5,
            expiration: Some(Duration::from_mins(1)),
            reply_to: None,
            headers: Map::new(),
            origin: "here",
            now: "2026-11-22T01:42:59.171378Z".parse().unwrap(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let read = decode(&encode(outgoing())).unwrap();
        assert_eq!(read.payload, outgoing().payload);
        assert_eq!(read.meta, Some(outgoing().meta));
        assert_eq!(read.topic.as_deref(), Some("a.b"));
        assert_eq!(read.expires.map(iso).as_deref(), Some("2026-11-22T01:43:59.171378+00:00"));
        assert!(read.is_event() && !read.is_second_hop());
    }

    #[test]
    fn a_copy_differs_in_name_and_id_and_says_whose_it_is() {
        let first = encode(outgoing());
        let copy = copy_of(&first, TCHU_TCHU, "2");
        assert_eq!(copy.body, first.body);
        let read = decode(&copy).unwrap();
        assert_eq!(
            (read.task.as_str(), read.id.as_deref(), read.copy_of.as_deref()),
            (TCHU_TCHU, Some("2"), Some("1"))
        );
        assert_eq!(copy.properties.message_id.as_deref(), Some("2"));
        assert_eq!(copy.headers["root_id"], "2");
        assert_eq!(decode(&first).unwrap().copy_of, None);
    }

    #[test]
    fn a_trace_context_that_is_none_does_not_refuse_the_event() {
        let task = json!({"task": CELERY_SALT, "id": "1"});
        let read = decode(&message(task, r#"[["{\"_tchu_meta\": {\"traceparent\": 1, \"tracestate\": []}}"],{},{}]"#));
        assert_eq!(read.unwrap().meta, Some(Meta::default()));
    }

    #[test]
    fn the_body_has_the_shape_that_workers_survive() {
        let written = encode(outgoing());
        let body: Value = serde_json::from_slice(&written.body).unwrap();
        assert_eq!(body.as_array().unwrap().len(), 3);
        assert!(body[0][0].is_string());
        assert_eq!(written.properties.content_type.as_deref(), Some("application/json"));
        assert!(written.headers["id"].is_string() && written.headers["task"].is_string());
        assert_eq!(written.headers.len(), RESERVED_HEADERS.len());
        assert!(RESERVED_HEADERS.iter().all(|name| written.headers.contains_key(*name)));
    }

    #[test]
    fn bad_bodies_are_told_apart() {
        let task = json!({"task": "celery_salt.dispatch_event", "id": "1"});
        let read = |body: &str| decode(&message(task.clone(), body));
        assert_eq!(read(""), Err(WireError::Empty));
        assert!(matches!(read("[["), Err(WireError::Json { reason: "it ends too early", .. })));
        assert!(matches!(read("[[],{}]"), Err(WireError::Envelope { .. })));
        assert!(matches!(read("{}"), Err(WireError::Envelope { .. })));
        assert!(matches!(read("17"), Err(WireError::Envelope { .. })));
        assert_eq!(read(r#"[["[1]"],{},{}]"#), Err(WireError::Payload));
        assert!(matches!(read(r#"[["{\"a\": NaN}"],{},{}]"#), Err(WireError::Json { what: "the event", .. })));
        assert!(matches!(
            read(r#"[["{\"_tchu_meta\": {\"version\": 1}}"],{},{}]"#),
            Err(WireError::Meta { pointer: "/version", .. })
        ));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(read(&deep), Err(WireError::Json { reason: "nested deeper than 128 levels", .. })));
        let mut broken = message(task.clone(), "");
        broken.body = Bytes::from_static(b"[[\"\xff\"]]");
        assert_eq!(decode(&broken), Err(WireError::Utf8 { position: 3 }));
    }

    #[test]
    fn expiry_is_read_in_every_form_that_celery_sends() {
        let at: Timestamp = "2026-11-22T01:42:39.5Z".parse().unwrap();
        for text in ["2026-11-22T01:42:39.500000+00:00", "2026-11-22T02:42:39.5+01:00", "2026-11-22T01:42:39.5"] {
            assert_eq!(expiry(&json!(text)), Some(at), "{text}");
        }
        assert_eq!(expiry(&json!("soon")), None);
    }

    /// As Celery and kombu wrote them: compressed, and in base64.
    #[test]
    fn captured_messages_that_are_wrapped_are_read() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        for name in ["celery_gzip.wrapped.json", "kombu_gzip.wrapped.json", "kombu_base64.wrapped.json"] {
            let captured: Value = serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
            let mut wrapped = message(captured["headers"].clone(), "");
            let bytes = captured["body_bytes"].as_array().unwrap().iter();
            wrapped.body = bytes.map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap()).collect::<Vec<u8>>().into();
            let incoming = decode(&wrapped).unwrap();
            assert!(incoming.is_event(), "{name}");
            assert_eq!(incoming.topic.as_deref(), captured["routing_key"].as_str(), "{name}");
            let payload = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(payload(&incoming.payload), payload(captured["payload"].as_str().unwrap()), "{name}");
        }
    }

    /// Every captured event and request is read, and its topic found.
    #[test]
    fn captured_messages_are_read() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let mut read = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let captured: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !(name.contains(".publish") || name.contains(".request")) {
                continue;
            }
            let message = message(captured["headers"].clone(), captured["body"].as_str().unwrap());
            match decode(&message) {
                Ok(incoming) if name.contains("unknown_task") => assert!(!incoming.is_event()),
                Ok(incoming) => {
                    assert!(incoming.is_event(), "{name}");
                    assert_eq!(incoming.topic.as_deref(), captured["routing_key"].as_str(), "{name}");
                    read += 1;
                }
                Err(error) => assert!(captured["body"].as_str().unwrap().contains("NaN"), "{name}: {error}"),
            }
        }
        assert!(read > 40, "only {read} captured messages were found");
    }
}
