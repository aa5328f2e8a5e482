//! How often, and after how long, a handler that failed is tried again.
//!
//! The message waits in `celerysalt.<service>.retry.<n>`, one queue for each number of tries, with the pause as its
//! expiry; the broker then moves it back to the events queue. One queue for all pauses would not do: a broker expires
//! messages at the head of a queue only, so a long pause would hold up the short ones behind it.

use std::time::Duration;

use serde_json::{Value, json};

use super::headers;
use crate::{
    pause::{about, random},
    transport::{Message, QueueKind, QueueSpec},
};

/// How often a handler is tried at most.
pub(super) const MOST_TRIES: u32 = 20;
/// How long a message waits before it is offered again to a handler that could not take it.
const WAIT: Duration = Duration::from_secs(10);

/// The pauses between the tries of a handler that failed: each longer than the one before, and none quite like another.
///
/// A message waits on the broker, in a queue of its own for each try, so a service that ends or crashes in between loses
/// nothing, and other messages are handled meanwhile.
///
/// ```
/// use std::time::Duration;
///
/// use celerysalt::service::Retry;
///
/// // 1 s, 2 s, 4 s, then the dead-letter queue.
/// let retry = Retry::exponential(Duration::from_secs(1)).tries(4);
/// assert_eq!(retry.pause_after(1), Some(Duration::from_secs(1)));
/// assert_eq!(retry.pause_after(3), Some(Duration::from_secs(4)));
/// assert_eq!(retry.pause_after(4), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Retry {
    tries: u32,
    first: Duration,
    longest: Duration,
}

/// Five tries, with pauses of about 1, 2, 4 and 8 seconds.
impl Default for Retry {
    fn default() -> Self {
        Self { tries: 5, ..Self::exponential(Duration::from_secs(1)) }
    }
}

impl Retry {
    /// Five tries in all; the first pause is `first`, each further one twice as long, five minutes at most.
    pub fn exponential(first: Duration) -> Self {
        Self { tries: 5, first: first.max(Duration::from_millis(1)), longest: Duration::from_mins(5) }
    }

    /// One try: what fails goes to the dead-letter queue at once.
    pub fn never() -> Self {
        Self { tries: 1, ..Self::exponential(Duration::ZERO) }
    }

    /// How often a handler is tried in all, at least once, at most 20 times.
    pub fn tries(mut self, tries: u32) -> Self {
        self.tries = tries.clamp(1, MOST_TRIES);
        self
    }

    /// The longest pause; an hour at most.
    pub fn longest(mut self, pause: Duration) -> Self {
        self.longest = pause.clamp(Duration::from_millis(1), Duration::from_hours(1));
        self
    }

    /// The pause after the given number of tries have failed, without jitter; `None` when there are no more.
    pub fn pause_after(&self, tries: u32) -> Option<Duration> {
        if tries >= self.tries {
            return None;
        }
        let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
        Some(self.first.saturating_mul(doubled).min(self.longest))
    }
}

/// What a message says of its earlier tries.
#[derive(Debug)]
pub(super) struct Tries<'a> {
    /// How many there were.
    pub(super) done: u32,
    /// Where it came from the first time.
    pub(super) exchange: &'a str,
    /// What it came with the first time.
    pub(super) routing_key: &'a str,
    /// The ids of the handlers that are to be tried again; empty for all.
    pub(super) handlers: Vec<&'a str>,
}

impl<'a> Tries<'a> {
    /// Reads the headers that [`again`] writes. A message without them, or with others of that name, is at its first try.
    pub(super) fn of(message: &'a Message) -> Self {
        let header = |name: &str| message.headers.value(name);
        let tries = header(headers::TRIES).and_then(Value::as_u64).and_then(|tries| u32::try_from(tries).ok());
        let done = tries.unwrap_or(0);
        let handlers: Vec<&str> = match tries.and_then(|_| header(headers::HANDLERS)) {
            Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let first = |name: &str, now: &'a str| match tries {
            Some(_) => message.headers.text(name).unwrap_or(now),
            None => now,
        };
        Self {
            done,
            exchange: first(headers::EXCHANGE, &message.exchange),
            routing_key: first(headers::ROUTING_KEY, &message.routing_key),
            handlers,
        }
    }
}

/// The queue in which messages wait after `tries` tries.
pub(super) fn queue(service: &str, events: &str, tries: u32) -> QueueSpec {
    QueueSpec {
        name: format!("celerysalt.{service}.retry.{tries}"),
        kind: QueueKind::Quorum,
        bindings: Vec::new(),
        dead_letter: Some(events.to_owned()),
    }
}

/// The queue in which messages wait for a handler that can't take them now. One pause for all, so that they leave it in the
/// order in which they came.
pub(super) fn waiting_queue(service: &str, events: &str) -> QueueSpec {
    QueueSpec { name: format!("celerysalt.{service}.waiting"), ..queue(service, events, 0) }
}

/// The message as it is to wait there, for these handlers. It counts as no try.
pub(super) fn later(message: &Message, queue: &QueueSpec, handlers: &[&str]) -> Message {
    let tries = Tries::of(message);
    let mut later = message.clone();
    for (name, value) in [
        (headers::TRIES, json!(tries.done)),
        (headers::EXCHANGE, json!(tries.exchange)),
        (headers::ROUTING_KEY, json!(tries.routing_key)),
        (headers::HANDLERS, json!(handlers)),
    ] {
        later.headers.insert(name.to_owned(), value);
    }
    later.headers.retain(|name, _| name != "CC" && name != "BCC");
    later.exchange = String::new();
    later.routing_key.clone_from(&queue.name);
    later.properties.persistent = true;
    later.properties.expiration = Some(WAIT);
    later
}

/// Makes a dead letter one that comes back after `pause`, for these handlers.
pub(super) fn again(letter: &mut Message, pause: Duration, handlers: &[&str]) {
    letter.properties.expiration = Some(jittered(pause));
    letter.headers.insert(headers::HANDLERS.to_owned(), json!(handlers));
}

/// A pause that no two of them have.
pub(super) fn jittered(pause: Duration) -> Duration {
    about(pause, random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retry = Retry::exponential(Duration::from_secs(1)).tries(20).longest(Duration::from_secs(10));
        let pauses: Vec<u64> = (1..=6).map(|tries| retry.pause_after(tries).unwrap().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
        assert_eq!(retry.pause_after(20), None);
        assert_eq!(Retry::never().pause_after(1), None);
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        let pause = Duration::from_secs(10);
        assert_eq!(about(pause, 0.0), Duration::from_secs(9));
        assert_eq!(about(pause, 1.0), Duration::from_secs(11));
    }
}
