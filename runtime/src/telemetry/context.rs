//! Which trace what is sent belongs to, and how a span becomes the child of one that began elsewhere.

use std::future::Future;

use tracing::{Instrument, Span};

use crate::wire::{TraceContext, trace};

/// The context that a message which is sent now gets: that of the current span, when OpenTelemetry knows it; else that of
/// the message that is being handled.
pub(crate) fn current() -> Option<TraceContext> {
    of_span().or_else(trace::current)
}

/// To be polled from elsewhere as if from here: in the span that is current now.
#[cfg(not(feature = "otel"))]
pub(crate) fn carried<F: Future>(running: F) -> impl Future<Output = F::Output> {
    running.in_current_span()
}

/// To be polled from elsewhere as if from here: in the span, and in OpenTelemetry's context, that are current now.
#[cfg(feature = "otel")]
pub(crate) fn carried<F: Future>(running: F) -> impl Future<Output = F::Output> {
    use opentelemetry::context::FutureExt;

    running.in_current_span().with_current_context()
}

#[cfg(not(feature = "otel"))]
fn of_span() -> Option<TraceContext> {
    None
}

#[cfg(not(feature = "otel"))]
pub(super) fn continues(_: &Span, _: Option<&TraceContext>) {}

/// Of the current span of `tracing`, else of OpenTelemetry's own: for programs that make their spans by its API.
#[cfg(feature = "otel")]
fn of_span() -> Option<TraceContext> {
    use opentelemetry::{Context, trace::TraceContextExt};
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    let written = |context: &Context| {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return None;
        }
        let (trace, id, flags) = (span.trace_id(), span.span_id(), span.trace_flags().to_u8());
        let state = span.trace_state().header();
        TraceContext::new(format!("00-{trace:032x}-{id:016x}-{flags:02x}"), Some(&state)).ok()
    };
    written(&Span::current().context()).or_else(|| written(&Context::current()))
}

/// Makes a span that has not begun the child of the one that a message names.
#[cfg(feature = "otel")]
pub(super) fn continues(span: &Span, context: Option<&TraceContext>) {
    use std::str::FromStr;

    use opentelemetry::{
        Context,
        trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
    };
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    if span.is_disabled() {
        return;
    }
    // A message without a context begins a trace of its own, whatever the loop that took it was started in.
    let mut parent = Context::new();
    if let Some(context) = context
        && let (Ok(trace), Ok(id)) = (TraceId::from_hex(context.trace_id()), SpanId::from_hex(context.parent_id()))
    {
        let flags = if context.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
        let state = context.tracestate().and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
        parent = parent.with_remote_span_context(SpanContext::new(trace, id, flags, true, state));
    }
    // Refused where no layer of OpenTelemetry listens, and then there is nothing to link.
    drop(span.set_parent(parent));
}
