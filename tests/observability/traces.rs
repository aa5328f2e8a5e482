//! One trace through several services, in Rust and in Python.

use std::future::IntoFuture;

use celerysalt::{CallError, Meta, Rest};
use celerysalt_reference::events::{
    GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse, RiskAssessmentCreated, UserCreated,
};
use celerysalt_tests::{World, within};
use opentelemetry::trace::{SpanKind, TraceContextExt};
use opentelemetry_sdk::trace::SpanData;
use serde_json::json;
use tokio::sync::mpsc;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::seen::{attribute, seen, value};

/// The one span of this name.
fn named<'s>(spans: &'s [SpanData], name: &str) -> &'s SpanData {
    let found: Vec<&SpanData> = spans.iter().filter(|span| span.name == name).collect();
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(found.len(), 1, "{name} in {names:?}");
    found[0]
}

fn assert_child(child: &SpanData, parent: &SpanData) {
    assert_eq!(child.parent_span_id, parent.span_context.span_id(), "{} of {}", child.name, parent.name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_through_events_and_calls() {
    let seen = seen();
    let world = World::rabbitmq();
    let (first, middle, last) =
        (world.publisher("auth").await, world.publisher("middle").await, world.publisher("last").await);
    let (done, mut doing) = mpsc::unbounded_channel();
    let salt = middle.clone();
    let calls = move |event: UserCreated| {
        let salt = salt.clone();
        async move {
            let request = GetRiskAssessment { assessment_id: event.user_id.to_string(), rest: Rest::default() };
            request.call(&salt).await.unwrap();
        }
    };
    // A second handler of the same message: its span is beside that of the first.
    let second = async |_: UserCreated| {};
    let calling = middle.service().on(calls).on(second).start().await.unwrap();
    let salt = last.clone();
    let serves = move |request: GetRiskAssessment| {
        let salt = salt.clone();
        async move {
            let assessment_id = request.assessment_id;
            let event = RiskAssessmentCreated::builder().assessment_id(&assessment_id).company_id(1).risk_score(1.0);
            RiskAssessmentCreated::publish_batch(&[event.build().unwrap()], &salt).await.unwrap();
            let (risk_score, status, rest) = (1.0, "a".to_owned(), Rest::default());
            Ok::<_, GetRiskAssessmentError>(GetRiskAssessmentResponse { assessment_id, risk_score, status, rest })
        }
    };
    let ends = move |_: RiskAssessmentCreated, meta: Meta| {
        done.send(meta.trace_context().cloned().unwrap()).unwrap();
        async {}
    };
    let serving = last.service().serve(serves).on(ends).start().await.unwrap();

    let root = tracing::info_span!("checkout");
    let trace_id = root.context().span().span_context().trace_id().to_string();
    let receipt = user().publish(&first).into_future().instrument(root.clone()).await.unwrap();
    drop(root);
    let carried = within(doing.recv()).await.unwrap();
    assert_eq!(carried.trace_id(), trace_id);
    for running in [calling, serving] {
        running.shutdown().await;
    }

    let spans = seen.spans(&trace_id);
    let published = named(&spans, "publish auth.user.created");
    assert_child(published, named(&spans, "checkout"));
    let processed = named(&spans, "process auth.user.created");
    assert_child(processed, published);
    let handlers: Vec<&SpanData> = spans
        .iter()
        .filter(|span| span.name.starts_with("handle") && span.parent_span_id == processed.span_context.span_id())
        .collect();
    assert_eq!(handlers.len(), 2);
    let called = named(&spans, "call rpc.pulse.risk.get");
    assert!(handlers.iter().any(|handler| called.parent_span_id == handler.span_context.span_id()));
    let served = named(&spans, "process rpc.pulse.risk.get");
    assert_child(served, called);
    let cascaded = named(&spans, "publish pulse.risk.created");
    assert_eq!(attribute(cascaded, "messaging.batch.message_count").as_deref(), Some("1"));
    assert_child(named(&spans, "process pulse.risk.created"), cascaded);
    assert_eq!(carried.parent_id(), cascaded.span_context.span_id().to_string());
    let kinds = [published, processed, called, served].map(|span| span.span_kind.clone());
    assert_eq!(kinds, [SpanKind::Producer, SpanKind::Consumer, SpanKind::Client, SpanKind::Server]);

    // As OpenTelemetry's conventions for messaging and RabbitMQ have it.
    let exchange = world.exchange();
    let queue = format!("celerysalt.{}.events", world.service_name("middle"));
    for (span, name, value) in [
        (published, "messaging.system", "rabbitmq"),
        (published, "messaging.operation.type", "send"),
        (published, "messaging.destination.name", &*format!("{exchange}:auth.user.created")),
        (published, "messaging.message.id", &receipt.message_id),
        (processed, "messaging.system", "rabbitmq"),
        (processed, "messaging.operation.type", "process"),
        (processed, "messaging.operation.name", "process"),
        (processed, "messaging.destination.name", &*format!("{exchange}:auth.user.created:{queue}")),
        (processed, "messaging.destination.template", "auth.user.created"),
        (processed, "messaging.message.id", &receipt.message_id),
        (processed, "messaging.consumer.group.name", &*world.service_name("middle")),
        (processed, "celerysalt.outcome", "handled"),
        (processed, "celerysalt.version", "v1"),
    ] {
        assert_eq!(attribute(span, name).as_deref(), Some(value), "{name} of {}", span.name);
    }
}

/// A call by name is seen as one by type is: by its span, which the server's is a child of, and by its time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_by_name_is_seen_as_one_by_type() {
    const TOPIC: &str = "rpc.pulse.risk.get";
    let seen = seen();
    let world = World::rabbitmq();
    let builder = world.builder("caller").await.contracts(celerysalt_reference::events::contracts());
    let (caller, server) = (builder.connect().await.unwrap(), world.publisher("pulse").await);
    let serves = async |request: GetRiskAssessment| {
        let (assessment_id, risk_score, status) = (request.assessment_id, 1.0, "a".to_owned());
        Ok::<_, GetRiskAssessmentError>(GetRiskAssessmentResponse {
            assessment_id,
            risk_score,
            status,
            rest: Rest::default(),
        })
    };
    let running = server.service().serve(serves).start().await.unwrap();

    let root = tracing::info_span!("checkout");
    let trace_id = root.context().span().span_context().trace_id().to_string();
    let request = || GetRiskAssessment { assessment_id: "RA-1".to_owned(), rest: Rest::default() };
    let by_type = request().call(&caller).into_future().instrument(root.clone()).await.unwrap();
    let untyped = || caller.call_json(TOPIC, json!({"assessment_id": "RA-1"})).version("v1");
    let by_name = untyped().into_future().instrument(root.clone()).await.unwrap();
    // What is refused is seen too.
    let refused = caller.call_json(TOPIC, json!({})).version("v1");
    let refused = refused.into_future().instrument(root.clone()).await.unwrap_err();
    assert!(matches!(refused, CallError::Invalid(_)), "{refused}");
    drop(root);
    running.shutdown().await;

    let spans = seen.spans(&trace_id);
    let calls: Vec<&SpanData> = spans.iter().filter(|span| span.name == format!("call {TOPIC}")).collect();
    let of = |id: &str| *calls.iter().find(|s| attribute(s, "messaging.message.id").as_deref() == Some(id)).unwrap();
    let (typed, named) = (of(by_type.message_id()), of(by_name.message_id()));
    let described = |span: &SpanData| {
        let told = span.attributes.iter().map(|attribute| attribute.key.to_string());
        // How long it was busy, and on which thread, differs.
        let told = told.filter(|key| !["busy_ns", "idle_ns", "thread.id", "code.line.number"].contains(&&**key));
        told.map(|key| (attribute(span, &key), key))
            .filter(|(_, key)| key != "messaging.message.id")
            .collect::<Vec<_>>()
    };
    assert_eq!(described(named), described(typed));
    assert_eq!((&named.span_kind, &named.parent_span_id), (&typed.span_kind, &typed.parent_span_id));
    assert!(spans.iter().any(|span| {
        span.name == format!("process {TOPIC}") && span.parent_span_id == named.span_context.span_id()
    }));
    let failed = calls.iter().find(|span| attribute(span, "error.type").is_some()).unwrap();
    assert_eq!((calls.len(), attribute(failed, "error.type").as_deref()), (3, Some("invalid")));

    let page = seen.prometheus.render();
    let service = world.service_name("caller");
    let counted = |metric: &str, label: (&str, &str)| {
        value(&page, metric, &[("service", &*service), ("topic", TOPIC), ("version", "v1"), label])
    };
    assert_eq!(counted("celerysalt_call_seconds_count", ("outcome", "ok")), Some(2.0));
    assert_eq!(counted("celerysalt_call_seconds_count", ("outcome", "invalid")), Some(1.0));
    assert_eq!(counted("celerysalt_validation_failures_total", ("part", "published")), Some(1.0));
}

fn user() -> UserCreated {
    UserCreated { user_id: 7.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
}
