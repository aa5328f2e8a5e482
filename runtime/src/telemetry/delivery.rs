//! One delivery as it is seen, from its coming to its end: a span, one line in the log, counts.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tracing::{Level, Span, field};

use super::{InFlight, Labels, Text, add, context::continues, names, seconds};
use crate::{Salt, invalid::Invalid, service::Meta, transport::Message};

/// Where the line of each delivery comes from, for filters of logs.
const TARGET: &str = "celerysalt::delivery";

/// Which of a service's queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    Events,
    Requests,
}

impl Queue {
    fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Requests => "rpc",
        }
    }

    pub(super) fn label(self) -> Text {
        Text::from(self.as_str())
    }
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Handled,
    PassedOver,
    Duplicate,
    GivenBack,
    /// Its caller does not wait any more.
    Expired,
    /// Put aside for another try, or for a handler without room, or dead-lettered: for each handler one of these.
    PutAside,
    /// As [`End::PutAside`], and the broker has not confirmed it: the message comes again.
    NotSettled,
}

impl End {
    fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::PassedOver => "passed-over",
            Self::Duplicate => "duplicate",
            Self::GivenBack => "given-back",
            Self::Expired => "expired",
            Self::PutAside => "put-aside",
            Self::NotSettled => "not-settled",
        }
    }
}

/// A delivery that is at work.
pub(crate) struct Observed {
    queue: Queue,
    begun: Instant,
    span: Span,
    handlers: Vec<&'static str>,
    /// More than its end says: `retried`, the reason of a dead letter.
    because: Vec<&'static str>,
    _in_flight: InFlight,
}

impl Observed {
    /// It was taken from its queue.
    pub(crate) fn taken(salt: &Salt, queue: Queue) -> Self {
        let labels = || [("service", salt.labels().service()), ("queue", queue.label())];
        add(names::RECEIVED, 1, labels);
        Self {
            queue,
            begun: Instant::now(),
            span: Span::none(),
            handlers: Vec::new(),
            because: Vec::new(),
            _in_flight: InFlight::begin(names::IN_FLIGHT, labels),
        }
    }

    /// It could be read. Gives the span that its handlers run in: a child of the one that the message names.
    pub(crate) fn read(&mut self, salt: &Salt, message: &Message, queue: &str, meta: &Meta) -> Span {
        let (topic, routing_key) = (meta.topic.as_str(), meta.routing_key.as_str());
        let trace = meta.trace_context();
        self.span = tracing::info_span!(
            target: "celerysalt::process",
            "process",
            otel.name = %format_args!("process {topic}"),
            otel.kind = if self.queue == Queue::Requests { "server" } else { "consumer" },
            messaging.system = salt.transport().system(),
            messaging.operation.name = "process",
            messaging.operation.type = "process",
            messaging.destination.template = topic,
            messaging.destination.name = %format_args!("{}:{routing_key}:{queue}", message.exchange),
            messaging.rabbitmq.destination.routing_key = routing_key,
            messaging.message.id = meta.message_id.as_deref(),
            messaging.message.conversation_id = meta.correlation_id.as_deref(),
            messaging.message.body.size = message.body.len(),
            messaging.consumer.group.name = salt.service_name(),
            celerysalt.version = meta.version.as_ref().map(field::display),
            celerysalt.tries = meta.tries,
            celerysalt.trace_id = trace.map(crate::TraceContext::trace_id),
            celerysalt.outcome = field::Empty,
            error.type = field::Empty,
            otel.status_code = field::Empty,
        );
        continues(&self.span, trace);
        self.span.clone()
    }

    /// A handler took it.
    pub(crate) fn ran(&mut self, handler: &'static str) {
        // Nobody else asks for them.
        if tracing::enabled!(target: TARGET, Level::INFO) {
            self.handlers.push(handler);
        }
    }

    /// It waits for another try, confirmed.
    pub(crate) fn retried(&mut self, salt: &Salt, meta: Option<&Meta>) {
        self.because.push("retried");
        add(names::RETRIED, 1, || of_message(salt, meta));
    }

    /// It waits for a handler without room, confirmed.
    pub(crate) fn put_aside(&mut self, salt: &Salt, meta: Option<&Meta>) {
        self.because.push("waiting");
        add(names::PUT_ASIDE, 1, || of_message(salt, meta));
    }

    /// It is in the dead-letter queue, confirmed.
    pub(crate) fn dead_lettered(&mut self, salt: &Salt, meta: Option<&Meta>, reason: &'static str) {
        self.because.push(reason);
        if !self.span.is_disabled() {
            self.span.record("error.type", reason);
            self.span.record("otel.status_code", "ERROR");
        }
        add(names::DEAD_LETTERED, 1, || {
            let [service, topic, version] = of_message(salt, meta);
            [service, topic, version, ("reason", Text::from(reason))]
        });
    }

    /// It is settled: counted, and told in one line.
    pub(crate) fn ended(self, salt: &Salt, meta: Option<&Meta>, end: End) {
        let queue = || [("service", salt.labels().service()), ("queue", self.queue.label())];
        match end {
            End::Handled => add(names::HANDLED, 1, || {
                let [service, topic, version] = of_message(salt, meta);
                [service, topic, version, ("queue", self.queue.label())]
            }),
            End::PassedOver => add(names::PASSED_OVER, 1, queue),
            End::Duplicate => add(names::DUPLICATES, 1, || of_message(salt, meta)),
            End::GivenBack => add(names::GIVEN_BACK, 1, queue),
            End::Expired => add(names::EXPIRED, 1, || of_message(salt, meta)),
            // Counted where it was put aside.
            End::PutAside | End::NotSettled => {}
        }
        if !self.span.is_disabled() {
            self.span.record("celerysalt.outcome", end.as_str());
        }
        tracing::info!(
            target: TARGET,
            service = salt.service_name(),
            queue = self.queue.as_str(),
            topic = meta.map(|meta| meta.topic.as_str()),
            version = meta.and_then(|meta| meta.version.as_ref()).map(field::display),
            message_id = meta.and_then(|meta| meta.message_id.as_deref()),
            correlation_id = meta.and_then(|meta| meta.correlation_id.as_deref()),
            trace_id = meta.and_then(Meta::trace_context).map(crate::TraceContext::trace_id),
            handlers = %self.handlers.join(" "),
            outcome = end.as_str(),
            because = %self.because.join(" "),
            tries = meta.map(|meta| meta.tries),
            milliseconds = millis(self.begun.elapsed()),
            "delivery"
        );
    }
}

/// A contract refuses what came.
pub(crate) fn refused(salt: &Salt, invalid: &Invalid) {
    add(names::VALIDATION_FAILURES, 1, || {
        let (topic, version) = salt.labels().named(invalid.topic(), invalid.version(), || true);
        [("service", salt.labels().service()), ("topic", topic), ("version", version), ("part", Text::from("received"))]
    });
}

/// A handler that keeps an order tries again without putting the message aside.
pub(crate) fn retried_in_place(salt: &Salt, meta: &Meta) {
    add(names::RETRIED, 1, || of_message(salt, Some(meta)));
}

/// To a thousandth.
fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

fn of_message(salt: &Salt, meta: Option<&Meta>) -> [(&'static str, Text); 3] {
    let known = |topic: &str| salt.labels().handles(topic) || salt.schemas().knows(topic);
    let (topic, version) = meta.map_or_else(Labels::unknown, |meta| {
        salt.labels().named(&meta.topic, meta.version.as_ref(), || known(&meta.topic))
    });
    [("service", salt.labels().service()), ("topic", topic), ("version", version)]
}

/// The span that a handler runs in, within that of its message.
pub(crate) fn handler_span(handler: &'static str) -> Span {
    tracing::info_span!(
        target: "celerysalt::handle",
        "handle",
        otel.name = %format_args!("handle {}", handler.rsplit("::").find(|part| !part.starts_with('{')).unwrap_or(handler)),
        code.function.name = handler,
    )
}

/// Times a handler. `word` says in one of few words what came of it.
pub(crate) async fn handling<T>(
    salt: &Salt,
    handler: &'static str,
    running: impl Future<Output = T>,
    word: impl FnOnce(&T) -> &'static str,
) -> T {
    let begun = Instant::now();
    let outcome = running.await;
    seconds(names::HANDLER_SECONDS, begun.elapsed(), || {
        [
            ("service", salt.labels().service()),
            ("handler", Text::from(handler)),
            ("outcome", Text::from(word(&outcome))),
        ]
    });
    outcome
}
