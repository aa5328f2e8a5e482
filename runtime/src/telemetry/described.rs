//! Every metric: its name, what it says, and by which labels it is told apart. The one place for it.

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Only up.
    Counter,
    /// Up and down.
    Gauge,
    /// A distribution, in seconds.
    Seconds,
}

/// A metric as it is described to the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// As Prometheus has it.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What tells its series apart. `topic` and `version` are those of contracts that this process knows, and `other` for
    /// all others: what anybody can send makes no series.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// The names, for code that asks for one of them.
pub mod names {
    #![allow(missing_docs, reason = "METRICS says what each of them is")]

    pub const PUBLISHED: &str = "celerysalt_published_total";
    pub const RETURNED: &str = "celerysalt_returned_total";
    pub const PUBLISH_FAILURES: &str = "celerysalt_publish_failures_total";
    pub const CONFIRM_SECONDS: &str = "celerysalt_confirm_seconds";
    pub const VALIDATION_FAILURES: &str = "celerysalt_validation_failures_total";
    pub const RECEIVED: &str = "celerysalt_received_total";
    pub const HANDLED: &str = "celerysalt_handled_total";
    pub const PASSED_OVER: &str = "celerysalt_passed_over_total";
    pub const DUPLICATES: &str = "celerysalt_duplicates_total";
    pub const RETRIED: &str = "celerysalt_retried_total";
    pub const PUT_ASIDE: &str = "celerysalt_put_aside_total";
    pub const GIVEN_BACK: &str = "celerysalt_given_back_total";
    pub const EXPIRED: &str = "celerysalt_expired_total";
    pub const DEAD_LETTERED: &str = "celerysalt_dead_lettered_total";
    pub const IN_FLIGHT: &str = "celerysalt_in_flight";
    pub const HANDLER_SECONDS: &str = "celerysalt_handler_seconds";
    pub const CALL_SECONDS: &str = "celerysalt_call_seconds";
    pub const LATE_REPLIES: &str = "celerysalt_late_replies_total";
    pub const OUTBOX_PUBLISHED: &str = "celerysalt_outbox_published_total";
    pub const OUTBOX_REFUSED: &str = "celerysalt_outbox_refused_total";
    pub const OUTBOX_WAITING: &str = "celerysalt_outbox_waiting";
    pub const OUTBOX_HELD_UP: &str = "celerysalt_outbox_held_up";
    pub const OUTBOX_OLDEST_SECONDS: &str = "celerysalt_outbox_oldest_seconds";
    pub const REGISTRATIONS: &str = "celerysalt_registrations_total";
    pub const REGISTRY_PENDING: &str = "celerysalt_registry_pending";
    pub const REGISTRY_UP: &str = "celerysalt_registry_up";
    pub const BROKER_UP: &str = "celerysalt_broker_up";
    pub const CONSUMERS: &str = "celerysalt_consumers";
}

const fn metric(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind, labels, help }
}

const EVENT: &[&str] = &["service", "topic", "version"];
const QUEUE: &[&str] = &["service", "queue"];
const SERVICE: &[&str] = &["service"];

/// All metrics that this crate records.
pub const METRICS: &[Metric] = &[
    metric(names::PUBLISHED, Kind::Counter, EVENT, "Events that the broker confirmed and a queue has"),
    metric(
        names::RETURNED,
        Kind::Counter,
        EVENT,
        "Events that no queue was bound for, whether that was allowed or not",
    ),
    metric(
        names::PUBLISH_FAILURES,
        Kind::Counter,
        &["service", "topic", "version", "reason"],
        "Events that were not published, for any other reason",
    ),
    metric(
        names::CONFIRM_SECONDS,
        Kind::Seconds,
        &["outcome"],
        "From handing a message to the transport (events, requests, replies, retries, dead letters) to the broker's word on it: \
         routed, returned, failed",
    ),
    metric(
        names::VALIDATION_FAILURES,
        Kind::Counter,
        &["service", "topic", "version", "part"],
        "Payloads that their contract refused: published, received, or a reply",
    ),
    metric(names::RECEIVED, Kind::Counter, QUEUE, "Messages taken from the service's queues `events` and `rpc`"),
    metric(
        names::HANDLED,
        Kind::Counter,
        &["service", "queue", "topic", "version"],
        "Messages that every handler that takes them has handled, and requests whose callers were told",
    ),
    metric(
        names::PASSED_OVER,
        Kind::Counter,
        QUEUE,
        "Messages that are not for handlers: second hops of Python workers, second messages of events in both task names",
    ),
    metric(names::DUPLICATES, Kind::Counter, EVENT, "Messages that were handled before, as a window of ids remembers"),
    metric(names::RETRIED, Kind::Counter, EVENT, "Messages that are tried again after a handler failed"),
    metric(names::PUT_ASIDE, Kind::Counter, EVENT, "Messages that wait on the broker for a handler without room"),
    metric(names::GIVEN_BACK, Kind::Counter, QUEUE, "Messages that went back to their queue, as at a shutdown"),
    metric(names::EXPIRED, Kind::Counter, EVENT, "Requests that came too late for their callers, and were not run"),
    metric(
        names::DEAD_LETTERED,
        Kind::Counter,
        &["service", "topic", "version", "reason"],
        "Messages that were moved to the dead-letter queue, confirmed",
    ),
    metric(names::IN_FLIGHT, Kind::Gauge, QUEUE, "Messages that were taken and are not settled yet"),
    metric(
        names::HANDLER_SECONDS,
        Kind::Seconds,
        &["service", "handler", "outcome"],
        "How long a handler ran: ok, failed, panicked, timed-out",
    ),
    metric(
        names::CALL_SECONDS,
        Kind::Seconds,
        &["service", "topic", "version", "outcome"],
        "How long a call took, with what it came to",
    ),
    metric(names::LATE_REPLIES, Kind::Counter, SERVICE, "Replies that came after their calls had given up"),
    metric(names::OUTBOX_PUBLISHED, Kind::Counter, &[], "Messages of the outbox that this process's relays published"),
    metric(names::OUTBOX_REFUSED, Kind::Counter, &[], "Tries of this process's relays that the broker did not take"),
    metric(names::OUTBOX_WAITING, Kind::Gauge, &[], "Rows that wait in the outbox, when it was last looked at"),
    metric(names::OUTBOX_HELD_UP, Kind::Gauge, &[], "Rows that wait behind one of their key that the broker refused"),
    metric(names::OUTBOX_OLDEST_SECONDS, Kind::Gauge, &[], "How long the oldest row of the outbox has waited"),
    metric(
        names::REGISTRATIONS,
        Kind::Counter,
        &["service", "outcome"],
        "Contracts that were registered: created, updated, unchanged, conflict",
    ),
    metric(names::REGISTRY_PENDING, Kind::Gauge, SERVICE, "Contracts that wait to be registered"),
    metric(names::REGISTRY_UP, Kind::Gauge, SERVICE, "1, or 0 when the registry was away at the last try"),
    metric(names::BROKER_UP, Kind::Gauge, SERVICE, "1 while the broker is connected, when it was last looked at"),
    metric(names::CONSUMERS, Kind::Gauge, QUEUE, "How many loops take messages from a queue, in this process"),
];

/// Describes every metric to the recorder that is installed. Connecting does it too, so this is for recorders that are
/// installed later.
pub fn describe() {
    #[cfg(feature = "metrics")]
    for Metric { name, kind, help, .. } in METRICS {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *help),
            Kind::Seconds => metrics::describe_histogram!(*name, metrics::Unit::Seconds, *help),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Kind, METRICS};

    #[test]
    fn names_follow_prometheus() {
        let names: HashSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            assert!(metric.name.starts_with("celerysalt_"), "{metric:?}");
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{metric:?}");
            assert!(metric.kind != Kind::Seconds || metric.name.ends_with("_seconds"), "{metric:?}");
            assert!(metric.name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'), "{metric:?}");
        }
    }
}
