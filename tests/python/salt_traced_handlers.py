"""A handler of a celery-salt service whose tasks are instrumented by OpenTelemetry."""

import traced
from celery_salt import subscribe
from contracts import TaggedItemCreated
from opentelemetry import trace
from peer import say

traced.instrument()


@subscribe(TaggedItemCreated)
def tagged(event):
    with traced.tracer.start_as_current_span("mark") as span:
        ids = traced.ids(span)
    ended = [f"{span.context.trace_id:032x}" for span in traced.exporter.get_finished_spans()]
    task = trace.get_current_span().get_span_context()
    say(**ids, task=f"{task.trace_id:032x}", ended=ended)
