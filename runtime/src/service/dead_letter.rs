//! Dead letters: messages that a service can't handle, kept in its own queue with the reason in their headers.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{headers, message::Meta, retry::Tries};
use crate::{
    Salt,
    invalid::Invalid,
    transport::{Delivery, Message, QueueSpec, Routing, TransportError},
    wire::{
        WireError,
        celery::{RESERVED_HEADERS, iso},
    },
};

/// Why a message was dead-lettered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// Not a message that carries an event: empty, no text, no JSON, no envelope.
    NotAnEvent,
    /// No handler takes this topic and version.
    NoHandler,
    /// The registry has no contract to check it against.
    UnknownContract,
    /// The contract refuses the payload.
    Invalid,
    /// The handler returned an error.
    HandlerFailed,
    /// The handler panicked.
    HandlerPanicked,
    /// The handler took longer than it is given.
    HandlerTimedOut,
}

impl DeadLetterReason {
    /// As the header has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAnEvent => "not-an-event",
            Self::NoHandler => "no-handler",
            Self::UnknownContract => "unknown-contract",
            Self::Invalid => "invalid",
            Self::HandlerFailed => "handler-failed",
            Self::HandlerPanicked => "handler-panicked",
            Self::HandlerTimedOut => "handler-timed-out",
        }
    }
}

impl fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A reason with its particulars.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: DeadLetterReason,
    pub(super) detail: String,
    pub(super) handler: Option<&'static str>,
    pub(super) pointers: Vec<String>,
    /// The handler to try again, when another try may mend it.
    pub(super) again: Option<String>,
    /// How often it was tried since it came.
    attempts: u32,
}

/// What a header is cut to: enough to understand, little enough for a frame.
const DETAIL_BYTES: usize = 4096;
const POINTERS: usize = 32;
const POINTER_BYTES: usize = 256;
/// Of the message's own headers, when not all fit: how many bytes are kept, and how many names of others are told.
const OWN_HEADERS: usize = 16 * 1024;
const LEFT_OUT: usize = 32;
/// Not too fast: whatever keeps a message from being settled now is likely to in a millisecond too.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// Before a queue that is not there is made, again and again: a message that is given back is handled twice.
const BEFORE_MAKING_IT: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(750)];
/// A queue that is being deleted, or was just made, may refuse a message as a full one does; once is no proof that it is full.
const AFTER_NACK: Duration = Duration::from_millis(100);

impl Failure {
    pub(super) fn new(reason: DeadLetterReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), handler: None, pointers: Vec::new(), again: None, attempts: 1 }
    }

    pub(super) fn by(mut self, handler: &'static str) -> Self {
        self.handler = Some(handler);
        self
    }

    /// Another try of the handler of this id may mend it.
    pub(super) fn again(mut self, handler_id: &str) -> Self {
        self.again = Some(handler_id.to_owned());
        self
    }

    /// It was tried as often as it may be.
    pub(super) fn for_good(mut self) -> Self {
        self.again = None;
        self
    }

    /// It is that of the last of so many attempts.
    pub(super) fn after(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    pub(super) fn invalid(invalid: &Invalid) -> Self {
        let pointers = invalid.violations().iter().map(|violation| violation.pointer.clone()).collect();
        Self { pointers, ..Self::new(DeadLetterReason::Invalid, invalid.to_string()) }
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::new(DeadLetterReason::NotAnEvent, error.to_string())
    }
}

/// Says that a message is dead-lettered, and why.
pub(super) fn report(salt: &Salt, meta: Option<&Meta>, message: &Message, failure: &Failure) {
    tracing::error!(
        service = salt.service_name(),
        topic = meta.map_or(message.routing_key.as_str(), |meta| meta.topic.as_str()),
        message_id = meta.and_then(|meta| meta.message_id.as_deref()),
        handler = failure.handler,
        reason = failure.reason.as_str(),
        detail = failure.detail,
        "a message is dead-lettered"
    );
}

/// Moves a delivery to the dead-letter queue: it is there, confirmed, before it is acked here.
///
/// # Errors
/// When the broker did not take it; the delivery then goes back to its queue.
pub(super) async fn dead_letter(
    salt: &Salt,
    queue: &QueueSpec,
    delivery: Delivery,
    meta: Option<&Meta>,
    failure: &Failure,
) -> Result<(), TransportError> {
    let letter = letter(salt, queue, &delivery.message, meta, failure);
    settle_after(keep(salt, queue, letter).await, delivery).await
}

/// Acks what was kept elsewhere, and gives back what was not.
///
/// # Errors
/// Why it was not kept, or could not be acked.
pub(super) async fn settle_after(kept: Result<(), TransportError>, delivery: Delivery) -> Result<(), TransportError> {
    match kept {
        Ok(()) => delivery.ack().await,
        Err(error) => {
            tokio::time::sleep(PAUSE).await;
            drop(delivery.requeue().await);
            Err(error)
        }
    }
}

/// Puts a message into one of the service's own queues, which is made when it is not there, with fewer headers when the
/// broker does not take all.
///
/// # Errors
/// When the broker did not confirm it.
pub(super) async fn keep(salt: &Salt, queue: &QueueSpec, letter: Message) -> Result<(), TransportError> {
    match keep_whole(salt, queue, letter.clone()).await {
        // Its own headers may have filled a frame already.
        Err(TransportError::Refused { .. }) => keep_whole(salt, queue, with_fewer_headers(letter)).await,
        outcome => outcome,
    }
}

async fn keep_whole(salt: &Salt, queue: &QueueSpec, letter: Message) -> Result<(), TransportError> {
    let mut pauses = BEFORE_MAKING_IT.into_iter();
    let mut was_nacked = false;
    loop {
        match salt.transport().send(letter.clone()).await?.await {
            Ok(Routing::Routed) => return Ok(()),
            // It was never needed before, or somebody deleted it while the service runs.
            Ok(Routing::Unroutable) => {
                let Some(pause) = pauses.next() else { break };
                tokio::time::sleep(pause).await;
                salt.transport().declare(queue).await?;
            }
            Err(TransportError::NotTaken { .. }) if !was_nacked => {
                was_nacked = true;
                tokio::time::sleep(AFTER_NACK).await;
            }
            Err(error) => return Err(error),
        }
    }
    Err(TransportError::Unavailable {
        broker: "the service's broker".to_owned(),
        reason: format!("the queue `{}` is deleted again and again; leave it to the service", queue.name),
    })
}

/// The message with what is known of its failure in its headers, addressed to `queue`.
pub(super) fn letter(
    salt: &Salt,
    queue: &QueueSpec,
    original: &Message,
    meta: Option<&Meta>,
    failure: &Failure,
) -> Message {
    let mut letter = original.clone();
    letter.exchange = String::new();
    letter.routing_key.clone_from(&queue.name);
    letter.properties.persistent = true;
    // It did expire, or would; what is kept for a person is kept until that person comes.
    letter.properties.expiration = None;
    // RabbitMQ would route it to the queues that these name too, such as the one that it came from.
    letter.headers.retain(|name, _| name != "CC" && name != "BCC");
    let tries = Tries::of(original);
    let mut set = |name: &str, value: Value| drop(letter.headers.insert(name.to_owned(), value));
    set(headers::REASON, json!(failure.reason.as_str()));
    set(headers::DETAIL, json!(cut(&failure.detail, DETAIL_BYTES)));
    set(headers::SERVICE, json!(salt.service_name()));
    set(headers::FAILED_AT, json!(iso(Timestamp::now())));
    set(headers::TRIES, json!(tries.done.saturating_add(failure.attempts)));
    set(headers::EXCHANGE, json!(tries.exchange));
    set(headers::ROUTING_KEY, json!(tries.routing_key));
    set(headers::TOPIC, json!(meta.map_or(tries.routing_key, |meta| meta.topic.as_str())));
    if let Some(version) = meta.and_then(|meta| meta.version.as_ref()) {
        set(headers::VERSION, json!(version.as_str()));
    }
    if let Some(handler) = failure.handler {
        set(headers::HANDLER, json!(cut(handler, DETAIL_BYTES)));
    }
    if !failure.pointers.is_empty() {
        let pointers: Vec<&str> =
            failure.pointers.iter().take(POINTERS).map(|pointer| cut(pointer, POINTER_BYTES)).collect();
        set(headers::POINTERS, json!(pointers));
    }
    letter.headers.remove(headers::HANDLERS);
    letter
}

/// The letter with what the service and the envelope say, and as much of the other headers as is sure to fit.
fn with_fewer_headers(mut letter: Message) -> Message {
    let (mut room, mut left_out) = (OWN_HEADERS, Vec::new());
    letter.headers.retain(|name, value| {
        let size = name.len() + value.to_string().len();
        let ours = name.starts_with("x-celerysalt-") || (RESERVED_HEADERS.contains(&name.as_str()) && size < 512);
        if !ours && size > room {
            left_out.push(name.clone());
            return false;
        }
        room -= if ours { 0 } else { size };
        true
    });
    left_out.truncate(LEFT_OUT);
    letter.headers.insert(headers::LEFT_OUT.to_owned(), json!(left_out));
    letter
}

/// At most `bytes` of a text, at a character's end.
fn cut(text: &str, bytes: usize) -> &str {
    text.get(..bytes).unwrap_or_else(|| {
        let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        &text[..end]
    })
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("abc", 5), "abc");
        assert_eq!(cut("abc", 2), "ab");
        assert_eq!(cut("aä", 2), "a");
    }
}
