//! In whose name a message goes out, and to which trace it belongs.

use celerysalt::{AnyEvent, Meta, Rest, Salt, TaskName, TraceContext};
use celerysalt_reference::events::{
    GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse, RiskAssessmentCreated, UserCreated,
};
use celerysalt_tests::{World, within};
use serde_json::json;
use tokio::sync::mpsc;

use crate::on_each_broker;

on_each_broker!(
    an_event_in_both_names_is_handled_once,
    a_request_in_both_names_is_answered_once,
    a_topic_can_have_a_name_of_its_own,
    topics_that_are_no_pattern_are_refused,
    a_trace_goes_on_from_handler_to_handler,
    a_trace_goes_on_through_a_call,
    a_trace_that_is_none_is_ignored,
);

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

fn user(user_id: i64) -> UserCreated {
    UserCreated { user_id: user_id.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
}

fn get(id: &str) -> GetRiskAssessment {
    GetRiskAssessment { assessment_id: id.to_owned(), rest: Rest::default() }
}

fn found(id: String) -> GetRiskAssessmentResponse {
    GetRiskAssessmentResponse { assessment_id: id, risk_score: 8.5, status: "a".to_owned(), rest: Rest::default() }
}

async fn in_both_names(world: &World, name: &str) -> Salt {
    world.builder(name).await.task_name(TaskName::Both).connect().await.unwrap()
}

async fn an_event_in_both_names_is_handled_once(world: &World) {
    let (publisher, subscriber) = (in_both_names(world, "auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: UserCreated, meta: Meta| {
        seen.send((event.user_id, meta.message_id.unwrap())).unwrap();
        async {}
    };
    let running = subscriber.service().on(handler).start().await.unwrap();
    let receipts = UserCreated::publish_batch(&[user(0), user(1), user(2)], &publisher).await.unwrap();
    let mut got = Vec::new();
    for _ in 0..3 {
        got.push(within(seeing.recv()).await.unwrap());
    }
    got.sort();
    let expected: Vec<_> = (0..3).zip(&receipts).map(|(id, receipt)| (id.into(), receipt.message_id.clone())).collect();
    assert_eq!(got, expected);
    // One after all of them, in one name: whatever came before has been taken.
    let single = world.salt("single").await;
    user(9).publish(&single).await.unwrap();
    assert_eq!(within(seeing.recv()).await.unwrap().0.as_i64(), Some(9));
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.received, counts.handled, counts.passed_over), (7, 4, 3));
    assert!(seeing.try_recv().is_err());

    // Nobody is bound for it, in either name.
    let nobody = RiskAssessmentCreated::builder().assessment_id("RA-1").company_id(1).risk_score(1.0).build().unwrap();
    assert!(nobody.publish(&publisher).await.is_err());
    assert!(!nobody.publish(&publisher).allow_unrouted().await.unwrap().routed);
}

async fn a_request_in_both_names_is_answered_once(world: &World) {
    let (caller, server) = (in_both_names(world, "caller").await, world.publisher("pulse").await);
    let handler =
        |request: GetRiskAssessment| async move { Ok::<_, GetRiskAssessmentError>(found(request.assessment_id)) };
    let running = server.service().serve(handler).start().await.unwrap();
    for i in 0..3 {
        let id = format!("RA-{i}");
        assert_eq!(get(&id).call(&caller).await.unwrap().assessment_id, id);
    }
    let single = world.salt("single").await;
    get("RA-9").call(&single).await.unwrap();
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.received, counts.handled, counts.passed_over), (7, 4, 3));
}

async fn a_topic_can_have_a_name_of_its_own(world: &World) {
    let builder = world.builder("auth").await.task_name(TaskName::TchuTchu);
    let builder =
        builder.task_name_for("auth.#", TaskName::Both).task_name_for("auth.user.created", TaskName::CelerySalt);
    let (publisher, subscriber) = (builder.connect().await.unwrap(), world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: AnyEvent, meta: Meta| {
        seen.send((event.topic().to_owned(), meta.headers["task"].clone())).unwrap();
        async {}
    };
    let running = subscriber.service().concurrency(1).on_raw("#", handler).start().await.unwrap();
    for (topic, task) in [
        ("auth.user.created", "celery_salt.dispatch_event"),
        ("auth.user.deleted", "celery_salt.dispatch_event"),
        ("orders.made", "tchu_tchu.dispatch_event"),
    ] {
        publisher.publish_json(topic, json!({})).unvalidated().await.unwrap();
        assert_eq!(within(seeing.recv()).await.unwrap(), (topic.to_owned(), json!(task)));
    }
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.handled, counts.passed_over), (3, 1));
}

async fn topics_that_are_no_pattern_are_refused(world: &World) {
    let builder = world.builder("auth").await.task_name_for("a..b", TaskName::Both);
    let error = builder.connect().await.unwrap_err().to_string();
    assert!(error.contains("`a..b`"), "{error}");
}

fn context(parent: &str) -> TraceContext {
    TraceContext::new(parent, Some("vendor=1")).unwrap()
}

/// The first event is handled by a service that publishes a second one.
async fn a_trace_goes_on_from_handler_to_handler(world: &World) {
    let (publisher, middle, last) =
        (world.publisher("auth").await, world.publisher("middle").await, world.salt("last").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let salt = middle.clone();
    let handler = move |event: UserCreated| {
        let salt = salt.clone();
        async move {
            let id = event.user_id.to_string();
            let next =
                RiskAssessmentCreated::builder().assessment_id(id).company_id(1).risk_score(1.0).build().unwrap();
            match event.user_id.as_i64() {
                Some(2) => next.publish(&salt).trace_context(context(OTHER)).await.map(drop),
                Some(3) => RiskAssessmentCreated::publish_batch(&[next], &salt)
                    .await
                    .map(drop)
                    .map_err(|mut e| e.failed.remove(0).1),
                _ => next.publish(&salt).await.map(drop),
            }
        }
    };
    let first = middle.service().on(handler).start().await.unwrap();
    let handler = move |event: RiskAssessmentCreated, meta: Meta| {
        seen.send((event.assessment_id, meta.trace_context().cloned())).unwrap();
        async {}
    };
    let second = last.service().on(handler).start().await.unwrap();
    for (id, given, carried) in [
        (1, Some(PARENT), Some(PARENT)),
        (2, Some(PARENT), Some(OTHER)),
        (3, Some(PARENT), Some(PARENT)),
        (4, None, None),
    ] {
        let event = user(id);
        let mut publish = event.publish(&publisher);
        if let Some(given) = given {
            publish = publish.trace_context(context(given));
        }
        publish.await.unwrap();
        assert_eq!(within(seeing.recv()).await.unwrap(), (id.to_string(), carried.map(context)));
    }
    first.shutdown().await;
    second.shutdown().await;
}

async fn a_trace_goes_on_through_a_call(world: &World) {
    let (caller, server, last) = (world.salt("caller").await, world.publisher("pulse").await, world.salt("last").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let tell = seen.clone();
    let salt = server.clone();
    let handler = move |request: GetRiskAssessment, meta: Meta| {
        tell.send(meta.trace_context().cloned()).unwrap();
        let salt = salt.clone();
        async move {
            let id = request.assessment_id.clone();
            let next =
                RiskAssessmentCreated::builder().assessment_id(id).company_id(1).risk_score(1.0).build().unwrap();
            next.publish(&salt).await.unwrap();
            Ok::<_, GetRiskAssessmentError>(found(request.assessment_id))
        }
    };
    let serving = server.service().serve(handler).start().await.unwrap();
    let handler = move |_: RiskAssessmentCreated, meta: Meta| {
        seen.send(meta.trace_context().cloned()).unwrap();
        async {}
    };
    let listening = last.service().on(handler).start().await.unwrap();
    get("RA-1").call(&caller).trace_context(context(PARENT)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(within(seeing.recv()).await.unwrap(), Some(context(PARENT)));
    }
    serving.shutdown().await;
    listening.shutdown().await;
}

async fn a_trace_that_is_none_is_ignored(world: &World) {
    let subscriber = world.salt("mail").await;
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |_: UserCreated, meta: Meta| {
        seen.send(meta.trace_context().map(|context| context.traceparent().to_owned())).unwrap();
        async {}
    };
    let running = subscriber.service().on(handler).start().await.unwrap();
    for (parent, state, read) in [
        (json!(PARENT), json!("a=b"), Some(PARENT)),
        (json!(PARENT), json!(["a", "b"]), Some(PARENT)),
        (json!("00-nonsense"), json!("a=b"), None),
        (json!(17), json!(null), None),
    ] {
        let meta = json!({"is_rpc": false, "version": "v1", "traceparent": parent, "tracestate": state});
        let payload = json!({"user_id": 1, "email": "a@example.com"});
        world.send_event("auth.user.created", meta, &payload).await;
        assert_eq!(within(seeing.recv()).await.unwrap().as_deref(), read);
    }
    assert_eq!(running.shutdown().await.counts.handled, 4);
}
