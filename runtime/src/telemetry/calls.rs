//! Calling as it is seen: a span of kind `client`, and how long it took to what end.

use std::{future::Future, time::Instant};

use tracing::{Instrument, field};

use super::{
    Subject, Text, add, names,
    publishing::{failed, of_transport},
    seconds,
};
use crate::{Salt, call::Reply, error::CallError, event::DeclaredError};

/// Makes a call, in a span of its own.
pub(crate) async fn calling<T, E: DeclaredError>(
    salt: &Salt,
    subject: impl Into<Subject<'_>>,
    call: impl Future<Output = Result<Reply<T>, CallError<E>>>,
) -> Result<Reply<T>, CallError<E>> {
    let subject = subject.into();
    let topic = subject.topic();
    let span = tracing::info_span!(
        target: "celerysalt::call",
        "call",
        otel.name = %format_args!("call {topic}"),
        otel.kind = "client",
        messaging.system = salt.transport().system(),
        messaging.operation.name = "call",
        messaging.operation.type = "send",
        messaging.destination.template = topic,
        messaging.message.id = field::Empty,
        celerysalt.service = salt.service_name(),
        celerysalt.version = subject.version(),
        error.type = field::Empty,
        otel.status_code = field::Empty,
    );
    let begun = Instant::now();
    let outcome = call.instrument(span.clone()).await;
    let word = outcome.as_ref().map_or_else(word, |_| "ok");
    match &outcome {
        Ok(reply) if !span.is_disabled() => drop(span.record("messaging.message.id", reply.message_id())),
        // A declared error is an answer.
        Ok(_) | Err(CallError::Declared(_)) => {}
        Err(_) => failed(&span, word),
    }
    let labels = |name: &'static str, value: &'static str| {
        let (topic, version) = subject.labels(salt);
        [("service", salt.labels().service()), ("topic", topic), ("version", version), (name, Text::from(value))]
    };
    seconds(names::CALL_SECONDS, begun.elapsed(), || labels("outcome", word));
    match &outcome {
        Err(CallError::Invalid(_)) => add(names::VALIDATION_FAILURES, 1, || labels("part", "published")),
        Err(CallError::InvalidReply { .. }) => add(names::VALIDATION_FAILURES, 1, || labels("part", "reply")),
        _ => {}
    }
    outcome
}

/// One of few words.
fn word<E: DeclaredError>(error: &CallError<E>) -> &'static str {
    match error {
        CallError::Declared(_) => "declared",
        CallError::Timeout { .. } => "timeout",
        CallError::ResultBackend { .. } => "result-backend",
        CallError::NoHandler { .. } => "no-handler",
        CallError::HandlerFailed { .. } | CallError::TaskFailed { .. } => "failed",
        CallError::InvalidReply { .. } => "invalid-reply",
        CallError::Invalid(_) => "invalid",
        CallError::Option { .. } => "option",
        CallError::Vetoed { .. } => "vetoed",
        CallError::HookFailed { .. } => "hook-failed",
        CallError::TooDeep { .. } => "too-deep",
        CallError::UnknownContract { .. } => "unknown-contract",
        CallError::Registry(_) => "registry",
        CallError::Transport { source, .. } => of_transport(source),
    }
}
