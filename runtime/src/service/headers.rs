//! The headers that a service's dead letters, and messages that wait for another try, have besides their own.

/// One of the [`DeadLetterReason`](super::DeadLetterReason)s, as text.
pub const REASON: &str = "x-celerysalt-reason";
/// What exactly, as text.
pub const DETAIL: &str = "x-celerysalt-detail";
/// The topic, as far as it is known.
pub const TOPIC: &str = "x-celerysalt-topic";
/// The contract's version, as far as it is known.
pub const VERSION: &str = "x-celerysalt-version";
/// The JSON pointers that the contract refuses, an array.
pub const POINTERS: &str = "x-celerysalt-pointers";
/// The handler that failed.
pub const HANDLER: &str = "x-celerysalt-handler";
/// How often the handlers were tried, a number.
pub const TRIES: &str = "x-celerysalt-tries";
/// The handlers that are to be tried again, an array; only on messages that wait for another try.
pub const HANDLERS: &str = "x-celerysalt-handlers";
/// The service that gave up.
pub const SERVICE: &str = "x-celerysalt-service";
/// When, ISO 8601 in UTC.
pub const FAILED_AT: &str = "x-celerysalt-failed-at";
/// The exchange that the message came through.
pub const EXCHANGE: &str = "x-celerysalt-exchange";
/// The routing key that it came with.
pub const ROUTING_KEY: &str = "x-celerysalt-routing-key";
/// The message's own headers that the broker would not take together with these, an array of names.
pub const LEFT_OUT: &str = "x-celerysalt-left-out";
/// On a message that `celerysalt replay` sent again: which replay it was, as text.
pub const REPLAY: &str = "x-celerysalt-replay";
