//! What a handler gets besides, or instead of, a typed event.

use std::{any, ops::Index};

use celerysalt_contract::Version;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::retry::Tries;
use crate::{
    Headers, cascade,
    invalid::DecodeError,
    json,
    transport::Message,
    wire::{self, Incoming, TraceContext},
};

/// What is known of a message besides its payload.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Meta {
    /// The topic.
    pub topic: String,
    /// The AMQP routing key; usually the topic.
    pub routing_key: String,
    /// The version of the contract that the sender followed; `None` when it did not say, or not in a form that is one.
    pub version: Option<Version>,
    /// Identifies the message. The same one may come twice; its id is then the same.
    pub message_id: Option<String>,
    /// Ties the messages of one business transaction together.
    pub correlation_id: Option<String>,
    /// The sending service, as far as it says.
    pub sender: Option<String>,
    /// Whether the sender waits for a reply.
    pub is_rpc: bool,
    /// Whether the message was delivered before, to any instance.
    pub redelivered: bool,
    /// Which try of the handler this is, from 1.
    pub tries: u32,
    /// 0 to 10.
    pub priority: Option<u8>,
    /// For an event that was sent again from an event store: which replay it was. Its message id is the first sending's.
    pub replay: Option<String>,
    /// Every header, those of the envelope included. Shared by all handlers of the message.
    pub headers: Headers,
    trace: Option<TraceContext>,
}

impl Meta {
    /// What tells a message that came twice from one that was sent again on purpose: the message id, and for an event of
    /// a replay the replay too. `None` for a message without an id.
    pub fn deduplication_id(&self) -> Option<String> {
        let id = self.message_id.as_deref()?;
        Some(self.replay.as_ref().map_or_else(|| id.to_owned(), |replay| format!("{id}@{replay}")))
    }

    /// The W3C trace context that the sender gave; none when what it gave is not of that form.
    pub fn trace_context(&self) -> Option<&TraceContext> {
        self.trace.as_ref()
    }

    /// How many messages stand before this one in its chain: 0 for an event that nothing led to, one more for what its
    /// handlers publish and call, for what they return, and for what hooks publish after it. What they spawn, and what
    /// Python publishes on its way, begins anew. What would go beyond
    /// [`cascade_limit`](crate::SaltBuilder::cascade_limit) is not sent.
    pub fn depth(&self) -> u32 {
        cascade::depth_of(&self.headers)
    }

    /// All but the headers, which are the caller's to give.
    pub(super) fn of(message: &Message, tries: &Tries<'_>, incoming: &Incoming, redelivered: bool) -> Self {
        let properties = &message.properties;
        let said_nothing = wire::Meta::default();
        let meta = incoming.meta.as_ref().unwrap_or(&said_nothing);
        let trace = TraceContext::of_message(meta, &message.headers);
        Self {
            topic: incoming.topic.clone().unwrap_or_else(|| tries.routing_key.to_owned()),
            routing_key: tries.routing_key.to_owned(),
            version: meta.version.as_deref().and_then(|text| Version::parse_lenient(text).ok()),
            message_id: incoming.id.clone().or_else(|| properties.message_id.clone()),
            correlation_id: meta.correlation_id.clone(),
            sender: properties.app_id.clone().or_else(|| message.headers.text("origin").map(str::to_owned)),
            is_rpc: meta.is_rpc.unwrap_or(false),
            redelivered,
            tries: tries.done.saturating_add(1),
            priority: properties.priority,
            replay: message.headers.text(super::headers::REPLAY).map(str::to_owned),
            headers: Headers::default(),
            trace,
        }
    }
}

/// An event of any topic: what a handler of `on_topic` and `on_raw` gets.
///
/// ```
/// # use celerysalt::AnyEvent;
/// # fn handle(event: AnyEvent) {
/// println!("{}: assessment {}", event.topic(), event["assessment_id"]);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AnyEvent {
    topic: String,
    version: Option<Version>,
    payload: Value,
    text: String,
}

impl AnyEvent {
    /// `payload` is JSON text.
    pub(crate) fn new(topic: String, version: Option<Version>, payload: &str) -> Self {
        Self { topic, version, payload: json::from_text(payload).unwrap_or_default(), text: payload.to_owned() }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The version of the contract that the payload was checked against; for `on_raw`, the one that the sender names.
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// The payload: a JSON object.
    pub fn payload(&self) -> &Value {
        &self.payload
    }

    /// The payload as it was received, a JSON text: with every digit of numbers beyond 64 bits, which a tree rounds.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The payload, for rule engines and the like.
    pub fn into_json(self) -> Value {
        self.payload
    }

    /// The value at a JSON pointer such as `/items/0/id`.
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        self.payload.pointer(pointer)
    }

    /// The payload as a type of the handler's own.
    ///
    /// # Errors
    /// [`DecodeError::Type`] when the type does not fit the payload. It quotes no value, so a handler can pass it on
    /// with `?`.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        T::deserialize(&self.payload).map_err(|error| {
            // serde's texts quote the payload, but for the one that is about what is not in it.
            let text = error.to_string();
            let missing = text.starts_with("missing field");
            DecodeError::Type {
                topic: self.topic.clone(),
                wanted: any::type_name::<T>(),
                reason: if missing { text } else { "a value is of another type".to_owned() },
            }
        })
    }
}

/// A field of the payload; `null` for one that is not there.
impl Index<&str> for AnyEvent {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        &self.payload[field]
    }
}
