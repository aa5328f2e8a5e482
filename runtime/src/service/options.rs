//! How one handler takes its events.

use std::{fmt, sync::Arc, time::Duration};

use super::message::AnyEvent;

/// How long a handler may take unless it says otherwise: well below the 30 minutes after which RabbitMQ closes the channel
/// of a consumer that still holds a message, and with it all that the service is working on.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_mins(15);
/// What "without end" comes to: a clock can't hold `Duration::MAX` from now.
const LONGEST_TIMEOUT: Duration = Duration::from_hours(24 * 365);

/// How one handler takes its events, or its requests.
///
/// ```
/// use std::time::Duration;
///
/// use celerysalt::{Dedupe, HandlerOptions};
///
/// let options = HandlerOptions::new()
///     .concurrency(4)
///     .rate_limit(100, Duration::from_secs(1))
///     .timeout(Duration::from_secs(30))
///     .ordered_by("/order_id")
///     .dedupe(Dedupe::new(10_000, Duration::from_hours(1)));
/// ```
///
/// How many messages the broker hands out at a time is the queue's and so the service's:
/// [`Service::prefetch`](super::Service::prefetch).
#[derive(Clone, Debug)]
#[must_use]
pub struct HandlerOptions {
    pub(super) newer_majors: bool,
    pub(super) concurrency: Option<usize>,
    pub(super) rate: Option<(u32, Duration)>,
    pub(super) timeout: Duration,
    pub(super) order: Option<Order>,
    pub(super) dedupe: Option<Dedupe>,
}

type KeyOf = dyn Fn(&AnyEvent) -> Option<String> + Send + Sync;

/// What tells the key of an event.
#[derive(Clone)]
pub(super) enum Order {
    Pointer(String),
    Key(Arc<KeyOf>),
}

/// How many message ids a handler remembers, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Dedupe {
    pub(super) most: usize,
    pub(super) age: Duration,
}

impl Dedupe {
    /// At most `messages` ids (at least one), the oldest forgotten first, and none for longer than `age`. An id takes about
    /// 150 bytes.
    pub fn new(messages: usize, age: Duration) -> Self {
        Self { most: messages.max(1), age }
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pointer(pointer) => f.debug_tuple("Pointer").field(pointer).finish(),
            Self::Key(_) => f.write_str("Key"),
        }
    }
}

impl Order {
    /// Two events of one key have equal texts. None for an event without a key.
    pub(super) fn key(&self, event: &AnyEvent) -> Option<String> {
        match self {
            Self::Pointer(pointer) => event.pointer(pointer).filter(|value| !value.is_null()).map(ToString::to_string),
            Self::Key(key) => key(event),
        }
    }
}

impl Default for HandlerOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl HandlerOptions {
    /// The defaults: a handler of vX.Y gets messages of the same major with a minor of at least Y, as many at a time as the
    /// service runs, and has 15 minutes for each.
    pub fn new() -> Self {
        Self { newer_majors: false, concurrency: None, rate: None, timeout: DEFAULT_TIMEOUT, order: None, dedupe: None }
    }

    /// Takes messages of later majors too, as celery-salt does. Those that don't fit the handler's contract are
    /// dead-lettered.
    pub fn accept_newer_majors(mut self) -> Self {
        self.newer_majors = true;
        self
    }

    /// How many of its messages this instance handles at a time, at least 1; never more than
    /// [`Service::concurrency`](super::Service::concurrency), which is the default. It is no promise of an order: that is
    /// [`ordered_by`](Self::ordered_by).
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = Some(handlers.max(1));
        self
    }

    /// At most `messages` (at least one) within any time of the length `per`, in this instance. The messages that wait stay
    /// with the broker, as far as its prefetch goes.
    pub fn rate_limit(mut self, messages: u32, per: Duration) -> Self {
        self.rate = Some((messages.max(1), per.max(Duration::from_nanos(1))));
        self
    }

    /// How long the handler may take for one message, 15 minutes unless set. It then counts as failed: its future is dropped
    /// at its next `.await` (one that blocks its thread can't be stopped), an event is tried again as
    /// [`Retry`](super::Retry) says, and the caller of a request is told.
    ///
    /// RabbitMQ itself gives up on a consumer that holds a message for 30 minutes (`consumer_timeout`).
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit.min(LONGEST_TIMEOUT);
        self
    }

    /// Handles events with the same value at this JSON pointer (such as `/order_id`) one after the other, as they came from
    /// the queue, and events of other values meanwhile. Events without a value there, or with null, are in no order.
    ///
    /// An event that fails keeps its place: it is tried again in here, with the service's pauses, before the next one of
    /// its key is handled; after the last try it is dead-lettered and the next one comes. What waits for its turn counts
    /// towards the service's prefetch. The order is that of one instance: of two that share a queue, each gets some of a
    /// key's events.
    pub fn ordered_by(mut self, pointer: impl Into<String>) -> Self {
        self.order = Some(Order::Pointer(pointer.into()));
        self
    }

    /// As [`ordered_by`](Self::ordered_by), by what a function says of an event; `None` for one that is in no order.
    pub fn ordered_by_key<K: ToString>(mut self, key: impl Fn(&AnyEvent) -> Option<K> + Send + Sync + 'static) -> Self {
        self.order = Some(Order::Key(Arc::new(move |event| key(event).map(|key| key.to_string()))));
        self
    }

    /// Passes over a message whose id this handler has handled, successfully and within this window: brokers deliver again
    /// after a lost connection, and publishers send again what was not confirmed. Messages without an id are all handled.
    ///
    /// The window is in this instance's memory. What has to hold across instances and restarts needs the effect and the id
    /// in one transaction of a database.
    pub fn dedupe(mut self, window: Dedupe) -> Self {
        self.dedupe = Some(window);
        self
    }

    /// What has no meaning for a handler of requests.
    pub(super) fn problem_of_requests(&self) -> Option<&'static str> {
        if self.order.is_some() {
            Some("requests are in no order: callers don't wait for each other")
        } else if self.dedupe.is_some() {
            Some("a request that comes again needs its answer again, so none is passed over")
        } else if self.newer_majors {
            Some("a request of a later major has another response: serve it by a handler of its own")
        } else {
            None
        }
    }

    /// What can't be in order.
    pub(super) fn problem_of_events(&self) -> Option<String> {
        match &self.order {
            Some(Order::Pointer(pointer)) if !pointer.starts_with('/') => Some(format!(
                "`{}` is no JSON pointer into an event: expected one like `/order_id`",
                pointer.escape_debug()
            )),
            _ => None,
        }
    }
}
