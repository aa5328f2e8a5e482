//! Replies of RPCs as Celery result documents, both ways.
//!
//! `{"status": "SUCCESS", "result": R, "traceback": null, "children": [], "date_done": ISO, "task_id": ID}`, where R is
//! the dispatcher's own document and the client takes the first of its `results`.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::celery::{WireError, iso, parse};
use crate::{
    json::{Mismatch, Reader, Writer},
    transport::{Headers, Message, Properties},
};

/// What a server says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// The response, or the declared error, as JSON text.
    Value { handler: String, value: String },
    /// The handler failed.
    Failed { handler: String, message: String },
    /// No handler takes this topic and version.
    NoHandler,
    /// The request was too old to be run.
    Expired,
}

/// What a caller reads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// A response or a declared error, as JSON text: which of them, the contract decides.
    Value(String),
    /// The handler failed.
    Failed(String),
    /// The service has no handler for the topic.
    NoHandler(String),
    /// The task failed: Celery's FAILURE and REVOKED.
    TaskFailed { kind: String, message: String },
    /// A worker of the other package, or one that has only started: keep waiting.
    Wait,
    /// No result document: Python can send NaN, for one.
    Unreadable { reason: String, body: String },
}

/// The result document: what a message to the caller's reply queue and a value in a result backend both hold.
pub(crate) fn document(answer: &Answer, task_id: &str, topic: &str, now: Timestamp) -> Bytes {
    let mut document = Writer::new();
    document.open();
    document.text_field("status", if matches!(answer, Answer::Expired) { "REVOKED" } else { "SUCCESS" });
    document.name("result");
    write_result(&mut document, answer, topic);
    document.raw_field("traceback", "null");
    document.raw_field("children", "[]");
    document.text_field("date_done", &iso(now));
    document.text_field("task_id", task_id);
    document.close();
    Bytes::from(document.finish().unwrap_or_default())
}

/// The message that brings a result document to the queue that the request names.
pub(crate) fn message(document: Bytes, task_id: &str, reply_to: &str) -> Message {
    Message {
        exchange: String::new(),
        routing_key: reply_to.to_owned(),
        properties: Properties {
            content_type: Some("application/json".to_owned()),
            content_encoding: Some("utf-8".to_owned()),
            persistent: false,
            priority: Some(0),
            correlation_id: Some(task_id.to_owned()),
            ..Properties::default()
        },
        headers: Headers::default(),
        body: document,
    }
}

/// The dispatcher's own document.
fn write_result(document: &mut Writer, answer: &Answer, topic: &str) {
    let (handler, status) = match answer {
        Answer::Value { handler, .. } => (handler, "success"),
        Answer::Failed { handler, .. } => (handler, "error"),
        Answer::NoHandler => {
            document.open();
            document.text_field("status", "no_handlers");
            document.text_field("routing_key", topic);
            return document.close();
        }
        Answer::Expired => {
            return document
                .push(r#"{"exc_type":"TaskRevokedError","exc_message":["expired"],"exc_module":"celery.exceptions"}"#);
        }
    };
    document.open();
    document.text_field("status", "completed");
    document.text_field("routing_key", topic);
    document.raw_field("is_rpc", "true");
    document.raw_field("handlers_executed", "1");
    document.name("results");
    document.push("[");
    document.open();
    document.text_field("handler", handler);
    document.text_field("status", status);
    match answer {
        Answer::Value { value, .. } => document.raw_field("result", value),
        Answer::Failed { message, .. } => document.text_field("error", message),
        Answer::NoHandler | Answer::Expired => (),
    }
    document.close();
    document.push("]");
    document.close();
}

/// Reads a reply: the request that it answers, and what it says.
///
/// # Errors
/// [`WireError`] when it is no result document.
pub(crate) fn decode(message: &Message) -> Result<(String, Reply), WireError> {
    read(&message.body, message.properties.correlation_id.as_deref())
}

/// Reads a result document, which answers the request `id` unless it says another.
///
/// # Errors
/// As [`decode`].
pub(crate) fn read(document: &[u8], id: Option<&str>) -> Result<(String, Reply), WireError> {
    let text = std::str::from_utf8(document).map_err(|e| WireError::Utf8 { position: e.valid_up_to() })?;
    let (mut status, mut result, mut task_id) = (None, "null", None);
    members(text, "the reply", &["status", "result", "task_id"], &mut |reader, index| {
        match index {
            Some(0) => status = string(reader)?,
            Some(1) => result = reader.skip()?,
            Some(2) => task_id = string(reader)?,
            _ => drop(reader.skip()?),
        }
        Ok(())
    })?
    .ok_or(WireError::Envelope { reason: "a reply is a result document, an object" })?;
    let task_id = task_id
        .or_else(|| id.map(str::to_owned))
        .ok_or(WireError::Envelope { reason: "a result document needs `task_id`" })?;
    let reply = match status.as_deref() {
        Some("SUCCESS") => dispatched(result)?,
        Some("FAILURE" | "REVOKED") => task_failed(&parse(result, "the reply")?),
        Some(_) => Reply::Wait,
        None => return Err(WireError::Envelope { reason: "a result document needs `status`" }),
    };
    Ok((task_id, reply))
}

type Member<'a, 'f> = &'f mut dyn FnMut(&mut Reader<'a>, Option<usize>) -> Result<(), Mismatch>;

/// The members of an object; `None` when the text is JSON and no object.
fn members<'a>(
    text: &'a str,
    what: &'static str,
    names: &'static [&'static str],
    member: Member<'a, '_>,
) -> Result<Option<()>, WireError> {
    let mut reader = Reader::new(text);
    let read = reader.object(names, &mut |reader, index, _| member(reader, index)).and_then(|()| reader.end());
    match read {
        Ok(()) => Ok(Some(())),
        Err(Mismatch) => parse(text, what).map(|_| None),
    }
}

/// A string; nothing for what is none.
fn string(reader: &mut Reader<'_>) -> Result<Option<String>, Mismatch> {
    if reader.at_string() { reader.string().map(|text| Some(text.into_owned())) } else { reader.skip().map(|_| None) }
}

fn task_failed(result: &Value) -> Reply {
    let kind = result.get("exc_type").and_then(Value::as_str).unwrap_or("unknown").to_owned();
    if kind == "NotRegistered" {
        // On a topic that both packages' workers are bound to, the other one's answer is still to come.
        return Reply::Wait;
    }
    let message = match result.get("exc_message") {
        Some(Value::Array(parts)) => parts
            .iter()
            .map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(", "),
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    Reply::TaskFailed { kind, message }
}

fn dispatched(result: &str) -> Result<Reply, WireError> {
    let (mut status, mut first) = (None, None);
    members(result, "the reply", &["status", "results"], &mut |reader, index| {
        match index {
            Some(0) => status = string(reader)?,
            Some(1) if !reader.null() => reader.array(|reader, index| {
                let text = reader.skip()?;
                if index == 0 {
                    first = Some(text);
                }
                Ok(())
            })?,
            Some(1) => (),
            _ => drop(reader.skip()?),
        }
        Ok(())
    })?
    .ok_or(WireError::Envelope { reason: "the result of a dispatcher is an object" })?;
    if status.as_deref() == Some("no_handlers") {
        return Ok(Reply::NoHandler("the service has no handler for it".to_owned()));
    }
    let wanted = WireError::Envelope { reason: "the result of a dispatcher has `results`" };
    let first = first.ok_or_else(|| wanted.clone())?;
    let (mut status, mut value, mut error) = (None, "null", None);
    members(first, "the reply", &["handler", "status", "result", "error"], &mut |reader, index| {
        match index {
            Some(1) => status = string(reader)?,
            Some(2) => value = reader.skip()?,
            Some(3) => error = string(reader)?,
            _ => drop(reader.skip()?),
        }
        Ok(())
    })?
    .ok_or(wanted)?;
    match status.as_deref() {
        Some("success") if value.contains("__type__") => {
            Ok(Reply::Value(unwrap_typed(parse(value, "the reply")?).to_string()))
        }
        Some("success") => Ok(Reply::Value(value.to_owned())),
        Some("error") => Ok(Reply::Failed(error.unwrap_or_else(|| "the handler gave no reason".to_owned()))),
        _ => Ok(Reply::Wait),
    }
}

/// kombu's typed values, `{"__type__": ..., "__value__": ...}`, as the plain JSON that celery-salt would have sent.
/// Depth is bounded by the parser's.
fn unwrap_typed(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            if fields.len() == 2
                && let (Some(Value::String(kind)), Some(inner)) = (fields.get("__type__"), fields.get("__value__"))
            {
                return match (kind.as_str(), inner) {
                    ("uuid", Value::Object(uuid)) => match uuid.get("hex").and_then(Value::as_str) {
                        Some(hex) => json!(uuid::Uuid::parse_str(hex).map_or(hex.to_owned(), |id| id.to_string())),
                        None => inner.clone(),
                    },
                    ("decimal", Value::String(digits)) => digits
                        .parse::<f64>()
                        .ok()
                        .and_then(serde_json::Number::from_f64)
                        .map_or_else(|| inner.clone(), Value::Number),
                    _ => inner.clone(),
                };
            }
            Value::Object(fields.into_iter().map(|(name, value)| (name, unwrap_typed(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(unwrap_typed).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    fn round(answer: &Answer) -> Reply {
        let message = message(document(answer, "7", "rpc.a", Timestamp::UNIX_EPOCH), "7", "queue");
        assert_eq!(message.routing_key, "queue");
        let (task_id, reply) = decode(&message).unwrap();
        assert_eq!(task_id, "7");
        reply
    }

    #[test]
    fn every_answer_is_read_as_what_it_was() {
        let handler = || "get".to_owned();
        for value in [r#"{"a":123456789012345678901234567890}"#, "[1]", "\"x\"", "null"].map(str::to_owned) {
            assert_eq!(round(&Answer::Value { handler: handler(), value: value.clone() }), Reply::Value(value));
        }
        let failed = Answer::Failed { handler: handler(), message: "boom".into() };
        assert_eq!(round(&failed), Reply::Failed("boom".into()));
        assert!(matches!(round(&Answer::NoHandler), Reply::NoHandler(_)));
        let expired = Reply::TaskFailed { kind: "TaskRevokedError".into(), message: "expired".into() };
        assert_eq!(round(&Answer::Expired), expired);
    }

    #[test]
    fn captured_replies_are_read() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let mut read = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let captured: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let Some(body) = captured["body"].as_str().filter(|_| name.contains(".reply")) else { continue };
            let message = Message { body: Bytes::from(body.to_owned()), ..Message::default() };
            let note = captured["note"].as_str().unwrap_or_default();
            match decode(&message) {
                // Whether the value fits the contract is the next step's question; a failed call is a PublishError.
                Ok((_, Reply::Value(_))) => assert!(!note.contains("PublishError"), "{name}: {note}"),
                Ok((_, Reply::Failed(_) | Reply::NoHandler(_))) => {
                    assert!(!note.contains("outcome: RESULT"), "{name}: {note}");
                }
                Ok(_) => {}
                Err(error) => assert!(body.contains("NaN"), "{name}: {error}"),
            }
            read += 1;
        }
        assert!(read > 20, "only {read} captured replies were found");
    }

    /// What Celery left in Redis is read, and what is written there has the same members.
    #[test]
    fn captured_results_of_redis_are_read() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let captured: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let Some(document) = captured["value"].as_str().filter(|_| name.contains(".redis_result")) else {
                continue;
            };
            let id = captured["key"].as_str().unwrap().strip_prefix("celery-task-meta-").unwrap();
            let note = captured["note"].as_str().unwrap_or_default();
            seen += 1;
            match read(document.as_bytes(), None) {
                Ok((of, reply)) => {
                    assert_eq!(of, id, "{name}");
                    assert!(!(matches!(reply, Reply::Value(_)) && note.contains("PublishError")), "{name}: {note}");
                    let names = |text: &str| {
                        let members: Map<String, Value> = serde_json::from_str(text).unwrap();
                        members.keys().cloned().collect::<Vec<_>>()
                    };
                    let ours = super::document(&Answer::Expired, id, "rpc.a", Timestamp::UNIX_EPOCH);
                    assert_eq!(names(document), names(std::str::from_utf8(&ours).unwrap()), "{name}");
                }
                Err(error) => assert!(document.contains("NaN"), "{name}: {error}"),
            }
        }
        assert!(seen > 15, "only {seen} captured results were found");
    }

    #[test]
    fn typed_values_of_kombu_are_unwrapped() {
        let typed = json!({"d": {"__type__": "date", "__value__": "2024-01-02"}, "dec": {"__type__": "decimal", "__value__": "1.10"},
            "u": [{"__type__": "uuid", "__value__": {"hex": "00000000000000000000000000000005"}}]});
        let plain = json!({"d": "2024-01-02", "dec": 1.1, "u": ["00000000-0000-0000-0000-000000000005"]});
        assert_eq!(unwrap_typed(typed), plain);
    }
}
