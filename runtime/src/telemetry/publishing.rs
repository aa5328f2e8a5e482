//! Publishing as it is seen: a span of kind `producer`, and counts by what came of it.

use std::future::Future;

use tracing::{Instrument, Span, field};

use super::{Labels, Text, add, names};
#[cfg(feature = "metrics")]
use crate::transport::Routing;
use crate::{
    Salt,
    error::{BatchError, PublishError},
    event::EventContract,
    receipt::Receipt,
    transport::TransportError,
};

/// What is published or called: an event or a request of a type, or of a topic by name.
#[derive(Clone, Copy)]
pub(crate) enum Subject<'s> {
    Contract(&'static EventContract),
    Named { topic: &'s str, version: Option<&'s str> },
}

impl<'s> Subject<'s> {
    pub(super) fn topic(self) -> &'s str {
        match self {
            Self::Contract(contract) => contract.topic(),
            Self::Named { topic, .. } => topic,
        }
    }

    pub(super) fn version(self) -> &'s str {
        match self {
            Self::Contract(contract) => contract.version_text(),
            Self::Named { version, .. } => version.unwrap_or_default(),
        }
    }

    pub(super) fn labels(self, salt: &Salt) -> (Text, Text) {
        match self {
            Self::Contract(contract) => Labels::contract(contract),
            Self::Named { topic, version } => {
                let version = version.and_then(|version| version.parse().ok());
                salt.labels().named(topic, version.as_ref(), || salt.schemas().knows(topic))
            }
        }
    }
}

impl From<&'static EventContract> for Subject<'_> {
    fn from(contract: &'static EventContract) -> Self {
        Self::Contract(contract)
    }
}

fn span(salt: &Salt, subject: Subject<'_>, count: Option<usize>) -> Span {
    let topic = subject.topic();
    tracing::info_span!(
        target: "celerysalt::publish",
        "publish",
        otel.name = %format_args!("publish {topic}"),
        otel.kind = "producer",
        messaging.system = salt.transport().system(),
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.destination.template = topic,
        messaging.destination.name = field::Empty,
        messaging.message.id = field::Empty,
        messaging.batch.message_count = count,
        celerysalt.service = salt.service_name(),
        celerysalt.version = subject.version(),
        error.type = field::Empty,
        otel.status_code = field::Empty,
    )
}

/// Publishes one event, in a span of its own.
pub(crate) async fn publishing(
    salt: &Salt,
    subject: impl Into<Subject<'_>>,
    publish: impl Future<Output = Result<Receipt, PublishError>>,
) -> Result<Receipt, PublishError> {
    let subject = subject.into();
    let span = span(salt, subject, None);
    let outcome = publish.instrument(span.clone()).await;
    match &outcome {
        Ok(receipt) if !span.is_disabled() => {
            let Receipt { exchange, routing_key, message_id, .. } = receipt;
            span.record("messaging.destination.name", field::display(format_args!("{exchange}:{routing_key}")));
            span.record("messaging.message.id", message_id.as_str());
        }
        Ok(_) => {}
        Err(error) => failed(&span, reason(error)),
    }
    count(salt, subject, outcome.as_ref());
    outcome
}

/// Publishes many, in one span: their messages name it, each, as the one that sent them.
pub(crate) async fn publishing_batch(
    salt: &Salt,
    subject: impl Into<Subject<'_>>,
    events: usize,
    publish: impl Future<Output = Result<Vec<Receipt>, BatchError>>,
) -> Result<Vec<Receipt>, BatchError> {
    let subject = subject.into();
    let span = span(salt, subject, Some(events));
    let outcome = publish.instrument(span.clone()).await;
    match &outcome {
        Ok(receipts) => {
            for receipt in receipts {
                count(salt, subject, Ok(receipt));
            }
        }
        Err(BatchError { published, failed: errors }) => {
            failed(&span, errors.first().map_or("", |(_, error)| reason(error)));
            let published = published.iter().map(|(_, receipt)| Ok(receipt));
            for outcome in published.chain(errors.iter().map(|(_, error)| Err(error))) {
                count(salt, subject, outcome);
            }
        }
    }
    outcome
}

pub(super) fn failed(span: &Span, reason: &str) {
    if !span.is_disabled() {
        span.record("error.type", reason);
        span.record("otel.status_code", "ERROR");
    }
}

fn count(salt: &Salt, subject: Subject<'_>, outcome: Result<&Receipt, &PublishError>) {
    let labels = || {
        let (topic, version) = subject.labels(salt);
        [("service", salt.labels().service()), ("topic", topic), ("version", version)]
    };
    let and = |name: &'static str, value: &'static str| {
        let [service, topic, version] = labels();
        [service, topic, version, (name, Text::from(value))]
    };
    // What failed after it was published is published.
    let outcome = match outcome {
        Err(PublishError::After { receipt, .. }) => Ok(&**receipt),
        outcome => outcome,
    };
    match outcome {
        Ok(Receipt { routed: true, .. }) => add(names::PUBLISHED, 1, labels),
        Ok(_) | Err(PublishError::Unroutable { .. }) => add(names::RETURNED, 1, labels),
        // It is out; what failed came after it.
        Err(PublishError::After { receipt, .. }) => count(salt, subject, Ok(receipt)),
        Err(error) => {
            add(names::PUBLISH_FAILURES, 1, || and("reason", reason(error)));
            if matches!(error, PublishError::Invalid(_)) {
                add(names::VALIDATION_FAILURES, 1, || and("part", "published"));
            }
        }
    }
}

/// A batch of the outbox: so many were published and are gone from it, so many were not taken.
#[cfg(feature = "outbox")]
pub(crate) fn relayed(published: usize, refused: usize) {
    for (name, count) in [(names::OUTBOX_PUBLISHED, published), (names::OUTBOX_REFUSED, refused)] {
        if count > 0 {
            add(name, count as u64, || []);
        }
    }
}

/// The broker's word on a message came after so long.
#[cfg(feature = "metrics")]
pub(crate) fn confirmed(took: std::time::Duration, outcome: &Result<Routing, TransportError>) {
    let word = match outcome {
        Ok(Routing::Routed) => "routed",
        Ok(Routing::Unroutable) => "returned",
        Err(_) => "failed",
    };
    super::seconds(names::CONFIRM_SECONDS, took, || [("outcome", Text::from(word))]);
}

/// One of few words.
fn reason(error: &PublishError) -> &'static str {
    match error {
        PublishError::Invalid(_) => "invalid",
        PublishError::Option { .. } => "option",
        PublishError::UnknownContract { .. } => "unknown-contract",
        PublishError::Registry(_) => "registry",
        PublishError::Unroutable { .. } => "unroutable",
        PublishError::Vetoed { .. } => "vetoed",
        PublishError::HookFailed { .. } => "hook-failed",
        PublishError::TooDeep { .. } => "too-deep",
        PublishError::After { .. } => "hook-after",
        PublishError::Transport { source, .. } => of_transport(source),
        #[cfg(feature = "outbox")]
        PublishError::Store { .. } => "store",
    }
}

pub(super) fn of_transport(error: &TransportError) -> &'static str {
    match error {
        TransportError::Unavailable { .. } => "unavailable",
        TransportError::Refused { .. } => "refused",
        TransportError::NotTaken { .. } => "not-taken",
        TransportError::TooLarge { .. } => "too-large",
        TransportError::Closed => "closed",
        TransportError::Url { .. } => "url",
    }
}
