//! Replies of RPCs as Celery result documents, both ways.
//!
//! `{"status": "SUCCESS", "result": R, "traceback": null, "children": [], "date_done": ISO, "task_id": ID}`, where R is
//! the dispatcher's own document and the client takes the first of its `results`.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::celery::{WireError, iso, parse};
use crate::transport::{Message, Properties};

/// What a server says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// The response, or the declared error, as JSON.
    Value { handler: String, value: Value },
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
    /// A response or a declared error: which of them, the contract decides.
    Value(Value),
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

/// The reply's message, to the queue that the request names.
pub(crate) fn encode(answer: &Answer, task_id: &str, topic: &str, reply_to: &str, now: Timestamp) -> Message {
    let completed = |result: Value| json!({"status": "completed", "routing_key": topic, "is_rpc": true, "handlers_executed": 1, "results": [result]});
    let (status, result) = match answer {
        Answer::Value { handler, value } => {
            ("SUCCESS", completed(json!({"handler": handler, "status": "success", "result": value})))
        }
        Answer::Failed { handler, message } => {
            ("SUCCESS", completed(json!({"handler": handler, "status": "error", "error": message})))
        }
        Answer::NoHandler => ("SUCCESS", json!({"status": "no_handlers", "routing_key": topic})),
        Answer::Expired => (
            "REVOKED",
            json!({"exc_type": "TaskRevokedError", "exc_message": ["expired"], "exc_module": "celery.exceptions"}),
        ),
    };
    let document = json!({
        "status": status, "result": result, "traceback": null, "children": [],
        "date_done": iso(now), "task_id": task_id,
    });
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
        headers: Map::new(),
        body: Bytes::from(document.to_string()),
    }
}

/// Reads a reply: the request that it answers, and what it says.
///
/// # Errors
/// [`WireError`] when it is no result document.
pub(crate) fn decode(message: &Message) -> Result<(String, Reply), WireError> {
    let text = std::str::from_utf8(&message.body).map_err(|e| WireError::Utf8 { position: e.valid_up_to() })?;
    let Value::Object(mut document) = parse(text, "the reply")? else {
        return Err(WireError::Envelope { reason: "a reply is a result document, an object" });
    };
    let task_id = document
        .get("task_id")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .or_else(|| message.properties.correlation_id.clone())
        .ok_or(WireError::Envelope { reason: "a result document needs `task_id`" })?;
    let result = document.remove("result").unwrap_or(Value::Null);
    let reply = match document.get("status").and_then(Value::as_str) {
        Some("SUCCESS") => dispatched(result)?,
        Some("FAILURE" | "REVOKED") => task_failed(&result),
        Some(_) => Reply::Wait,
        None => return Err(WireError::Envelope { reason: "a result document needs `status`" }),
    };
    Ok((task_id, reply))
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

fn dispatched(result: Value) -> Result<Reply, WireError> {
    let Value::Object(mut result) = result else {
        return Err(WireError::Envelope { reason: "the result of a dispatcher is an object" });
    };
    if result.get("status").and_then(Value::as_str) == Some("no_handlers") {
        return Ok(Reply::NoHandler("the service has no handler for it".to_owned()));
    }
    let first = match result.remove("results") {
        Some(Value::Array(results)) => results.into_iter().next(),
        _ => None,
    };
    let Some(Value::Object(mut first)) = first else {
        return Err(WireError::Envelope { reason: "the result of a dispatcher has `results`" });
    };
    match first.get("status").and_then(Value::as_str) {
        Some("success") => Ok(Reply::Value(unwrap_typed(first.remove("result").unwrap_or(Value::Null)))),
        Some("error") => Ok(Reply::Failed(
            first.get("error").and_then(Value::as_str).unwrap_or("the handler gave no reason").to_owned(),
        )),
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
    use super::*;

    fn round(answer: &Answer) -> Reply {
        let message = encode(answer, "7", "rpc.a", "queue", Timestamp::UNIX_EPOCH);
        assert_eq!(message.routing_key, "queue");
        let (task_id, reply) = decode(&message).unwrap();
        assert_eq!(task_id, "7");
        reply
    }

    #[test]
    fn every_answer_is_read_as_what_it_was() {
        let handler = || "get".to_owned();
        for value in [json!({"a": 1}), json!([1]), json!("x"), Value::Null] {
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

    #[test]
    fn typed_values_of_kombu_are_unwrapped() {
        let typed = json!({"d": {"__type__": "date", "__value__": "2024-01-02"}, "dec": {"__type__": "decimal", "__value__": "1.10"},
            "u": [{"__type__": "uuid", "__value__": {"hex": "00000000000000000000000000000005"}}]});
        let plain = json!({"d": "2024-01-02", "dec": 1.1, "u": ["00000000-0000-0000-0000-000000000005"]});
        assert_eq!(unwrap_typed(typed), plain);
    }
}
