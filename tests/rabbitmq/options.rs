//! Every option of publishing, calling and subscribing as the broker sees it, by a client that knows nothing of ours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

mod broker;

use std::time::Duration;

use broker::{Broker, Got, text};
use celerysalt::{
    AnyEvent, Dedupe, Event, HandlerError, HandlerOptions, Rest, Salt, TaskName, TraceContext, service::Retry,
};
use celerysalt_reference::events::{
    GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse, RiskAssessmentCreated, UserCreated,
};
use celerysalt_tests::{World, within};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn user(user_id: i64) -> UserCreated {
    UserCreated { user_id: user_id.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
}

async fn users(salt: &Salt, count: i64) {
    let events: Vec<UserCreated> = (0..count).map(user).collect();
    UserCreated::publish_batch(&events, salt).await.unwrap();
}

fn trace() -> TraceContext {
    TraceContext::new(PARENT, Some("vendor=1")).unwrap()
}

#[tokio::test]
async fn what_is_published_without_options() {
    let world = World::rabbitmq();
    let broker = Broker::of(&world).await;
    let salt = world.publisher("auth").await;
    let receipt = user(7).publish(&salt).await.unwrap();
    let got = broker.next().await;
    assert_eq!((got.exchange.as_str(), got.routing_key.as_str()), (world.exchange().as_str(), "auth.user.created"));
    assert_eq!(got.text("content_type"), Some("application/json".to_owned()));
    assert_eq!(got.text("content_encoding"), Some("utf-8".to_owned()));
    assert_eq!((got.properties.delivery_mode(), got.properties.priority()), (&Some(2), &Some(5)));
    assert_eq!((got.text("expiration"), got.text("reply_to")), (None, None));
    for id in ["message_id", "correlation_id"] {
        assert_eq!(got.text(id).as_ref(), Some(&receipt.message_id));
    }
    assert_eq!(got.text("app_id"), Some(world.service_name("auth")));
    let seconds = i64::try_from(got.properties.timestamp().unwrap()).unwrap();
    assert_eq!(seconds, receipt.timestamp.as_second());
    assert_eq!(got.header("task"), Some(text("celery_salt.dispatch_event")));
    assert_eq!(got.header("id"), Some(text(&receipt.message_id)));
    assert_eq!(
        (got.header("expires"), got.header("ignore_result")),
        (Some(AMQPValue::Void), Some(AMQPValue::Boolean(true)))
    );
    let body = got.body();
    assert_eq!(body[1], json!({"routing_key": "auth.user.created"}));
    assert_eq!(got.inner()["_tchu_meta"], json!({"is_rpc": false, "version": "v1"}));
}

#[tokio::test]
async fn each_option_of_publishing() {
    let world = World::rabbitmq();
    let broker = Broker::of(&world).await;
    let salt = world.publisher("auth").await;
    let event = user(7);

    event.publish(&salt).priority(10).await.unwrap();
    assert_eq!(broker.next().await.properties.priority(), &Some(10));

    event.publish(&salt).expiration(Duration::from_mins(1)).await.unwrap();
    let got = broker.next().await;
    assert_eq!(got.text("expiration").as_deref(), Some("60000"));
    assert!(matches!(got.header("expires"), Some(AMQPValue::LongString(_))));

    let table = json!({"a": [1, null, 2.5, {"b": true}]});
    event.publish(&salt).header("tenant", "acme").headers([("number", json!(-7)), ("table", table)]).await.unwrap();
    let got = broker.next().await;
    assert_eq!((got.header("tenant"), got.header("number")), (Some(text("acme")), Some(AMQPValue::LongLongInt(-7))));
    let Some(AMQPValue::FieldTable(table)) = got.header("table") else { panic!("{:?}", got.header("table")) };
    assert!(matches!(table.inner().get("a"), Some(AMQPValue::FieldArray(items)) if items.as_slice().len() == 4));

    event.publish(&salt).correlation_id("c-1").trace_context(trace()).await.unwrap();
    let got = broker.next().await;
    let meta = json!({
        "is_rpc": false, "version": "v1", "correlation_id": "c-1", "traceparent": PARENT, "tracestate": "vendor=1",
    });
    assert_eq!(got.inner()["_tchu_meta"], meta);
    // The property is Celery's: a reply's task.
    assert_eq!(got.text("correlation_id"), got.text("message_id"));

    event.publish(&salt).routing_key("another.key").await.unwrap();
    let got = broker.next().await;
    assert_eq!(got.routing_key, "another.key");
    assert_eq!(got.body()[1], json!({"routing_key": "auth.user.created"}));

    let batch: Vec<UserCreated> = (0..10).map(user).collect();
    UserCreated::publish_batch(&batch, &salt).window(3).priority(1).await.unwrap();
    for number in 0..10 {
        let got = broker.next().await;
        assert_eq!((&got.inner()["user_id"], got.properties.priority()), (&json!(number), &Some(1)));
        assert_eq!(got.properties.delivery_mode(), &Some(2));
    }

    salt.publish_json("auth.user.created", event.to_json().unwrap()).version("v1").priority(2).await.unwrap();
    let got = broker.next().await;
    assert_eq!((&got.inner()["_tchu_meta"]["version"], got.properties.priority()), (&json!("v1"), &Some(2)));
    salt.publish_json("no.contract", json!({"a": 1})).unvalidated().await.unwrap();
    let got = broker.next().await;
    assert_eq!(got.inner(), json!({"a": 1, "_tchu_meta": {"is_rpc": false}}));
}

#[tokio::test]
async fn each_option_of_the_sending_service() {
    let world = World::rabbitmq();
    let broker = Broker::of(&world).await;

    let tchu = world.builder("tchu").await.task_name(TaskName::TchuTchu).connect().await.unwrap();
    user(1).publish(&tchu).await.unwrap();
    assert_eq!(broker.next().await.header("task"), Some(text("tchu_tchu.dispatch_event")));

    let both = world.builder("both").await.task_name_for("auth.#", TaskName::Both).connect().await.unwrap();
    let receipt = user(2).publish(&both).priority(3).header("tenant", "acme").await.unwrap();
    let (first, second) = (broker.next().await, broker.next().await);
    assert_eq!(first.header("task"), Some(text("celery_salt.dispatch_event")));
    assert_eq!((first.header("id"), first.header("x-celerysalt-copy-of")), (Some(text(&receipt.message_id)), None));
    assert_eq!(second.header("task"), Some(text("tchu_tchu.dispatch_event")));
    assert_eq!(second.header("x-celerysalt-copy-of"), Some(text(&receipt.message_id)));
    assert_ne!(second.header("id"), first.header("id"));
    for id in ["message_id", "correlation_id"] {
        assert_eq!(second.text(id).map(|id| text(&id)), second.header("id"));
    }
    assert_eq!((second.properties.priority(), second.header("tenant")), (&Some(3), Some(text("acme"))));
    assert_eq!(second.data, first.data);

    let small = world.builder("small").await.max_message_bytes(100).connect().await.unwrap();
    user(3).publish(&small).await.unwrap_err();
    // An exchange of the broker's own, which routes none of it.
    let other = world.builder("other").await.exchange("amq.topic").connect().await.unwrap();
    assert!(!user(4).publish(&other).allow_unrouted().await.unwrap().routed);
    user(5).publish(&tchu).await.unwrap();
    // Neither the one that is too large nor the one of the other exchange came before it.
    assert_eq!(broker.next().await.inner()["user_id"], 5);
}

#[tokio::test]
async fn each_option_of_calling() {
    let world = World::rabbitmq();
    let broker = Broker::of(&world).await;
    let salt = world.publisher("pulse").await;
    let request = GetRiskAssessment { assessment_id: "RA-1".to_owned(), rest: Rest::default() };
    let calling = tokio::spawn({
        let (salt, request) = (salt.clone(), request.clone());
        async move { request.call(&salt).timeout(Duration::from_mins(1)).await.map(drop) }
    });
    let got = broker.next().await;
    assert_eq!((got.properties.priority(), got.properties.delivery_mode()), (&Some(9), &Some(2)));
    // What is left of the call's time.
    let expiration: u64 = got.text("expiration").unwrap().parse().unwrap();
    assert!((1..=60_000).contains(&expiration), "{expiration}");
    assert_eq!(got.header("ignore_result"), Some(AMQPValue::Boolean(false)));
    assert_eq!(got.inner()["_tchu_meta"], json!({"is_rpc": true, "version": "v1"}));
    // Nobody else can read the replies.
    let reply_to = got.text("reply_to").unwrap();
    assert_eq!(broker.refusal_of(&reply_to).await, Some(405), "{reply_to}");
    calling.abort();

    // Who says nothing waits for half a minute.
    let calling = tokio::spawn({
        let (salt, request) = (salt.clone(), request.clone());
        async move { request.call(&salt).await.map(drop) }
    });
    let expiration: u64 = broker.next().await.text("expiration").unwrap().parse().unwrap();
    assert!((20_000..=30_000).contains(&expiration), "{expiration}");
    calling.abort();

    let short = Duration::from_millis(1);
    let call = request.call(&salt).priority(1).correlation_id("c-1").trace_context(trace()).header("tenant", "acme");
    let call = call.routing_key("another.key").timeout(Duration::from_mins(1));
    assert!(tokio::time::timeout(short, call).await.is_err());
    // It was cancelled somewhere on its way; made once more, it is sure to be sent.
    let again = request.call(&salt).priority(1).correlation_id("c-1").trace_context(trace()).header("tenant", "acme");
    let again = again.routing_key("another.key").timeout(Duration::from_millis(400));
    again.await.unwrap_err();
    let got = broker.next().await;
    assert_eq!((got.properties.priority(), got.header("tenant")), (&Some(1), Some(text("acme"))));
    assert_eq!(
        (got.routing_key.as_str(), &got.body()[1]),
        ("another.key", &json!({"routing_key": "rpc.pulse.risk.get"}))
    );
    let meta = json!({
        "is_rpc": true, "version": "v1", "correlation_id": "c-1", "traceparent": PARENT, "tracestate": "vendor=1",
    });
    assert_eq!(got.inner()["_tchu_meta"], meta);
}

async fn serve(request: GetRiskAssessment) -> Result<GetRiskAssessmentResponse, GetRiskAssessmentError> {
    let (assessment_id, status) = (request.assessment_id, "open".to_owned());
    Ok(GetRiskAssessmentResponse { assessment_id, risk_score: 1.0, status, rest: Rest::default() })
}

fn arguments(pairs: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in pairs {
        table.insert((*name).into(), value.clone());
    }
    table
}

/// Declaring a queue again succeeds with the arguments that it has, and with no others.
#[tokio::test]
async fn the_queues_of_a_service_have_these_arguments() {
    let world = World::rabbitmq();
    let broker = Broker::of(&world).await;
    let (quorum, classic) = (world.salt("quorum").await, world.salt("classic").await);
    let handler = |_: UserCreated| async { Err::<(), _>(HandlerError::new("not yet")) };
    let limited = HandlerOptions::new().rate_limit(1, Duration::from_hours(1));
    let service = quorum.service().retry(Retry::exponential(Duration::from_mins(5))).on(handler);
    let service = service.on_raw_with(limited, "auth.#", |_: AnyEvent| async {}).serve(serve);
    let first = service.start().await.unwrap();
    let second = classic.service().classic_queue_with_priorities().on(handler).start().await.unwrap();
    // Makes the queues of what is tried again and of what waits.
    users(&world.publisher("auth").await, 2).await;
    let name = |service: &str, part: &str| format!("celerysalt.{}.{part}", world.service_name(service));
    for part in ["retry.1", "waiting"] {
        broker.holds(&name("quorum", part), if part == "waiting" { 1 } else { 2 }).await;
    }
    let dead_letters_to = |queue: &str| {
        [
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(queue)),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
            ("x-queue-type", text("quorum")),
        ]
    };
    let priorities = ("x-max-priority", AMQPValue::LongInt(10));
    let classic_arguments = [
        priorities.clone(),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(&name("classic", "dead"))),
    ];
    for (queue, wanted) in [
        (name("quorum", "events"), arguments(&dead_letters_to(&name("quorum", "dead")))),
        (name("quorum", "retry.1"), arguments(&dead_letters_to(&name("quorum", "events")))),
        (name("quorum", "waiting"), arguments(&dead_letters_to(&name("quorum", "events")))),
        (name("quorum", "dead"), arguments(&[("x-queue-type", text("quorum"))])),
        (name("quorum", "rpc"), arguments(&[priorities])),
        (name("classic", "events"), arguments(&classic_arguments)),
    ] {
        assert_eq!(broker.refusal(&queue, wanted.clone()).await, None, "{queue}");
        let mut others = wanted;
        others.insert("x-max-length".into(), AMQPValue::LongInt(1));
        assert_eq!(broker.refusal(&queue, others).await, Some(406), "{queue}");
    }
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test]
async fn a_service_is_bound_for_its_topics_and_no_others() {
    let world = World::rabbitmq();
    let salt = world.salt("mail").await;
    let service = salt.service().on(|_: UserCreated| async {}).on_raw("scranton.*.made", |_: AnyEvent| async {});
    let running = service.serve(serve).start().await.unwrap();
    let broker = Broker::silent().await;
    for (key, routed) in [
        ("auth.user.created", true),
        ("auth.user", false),
        ("scranton.order.made", true),
        ("scranton.order.line.made", false),
        ("rpc.pulse.risk.get", true),
        ("rpc.pulse.risk.information", false),
    ] {
        assert_eq!(broker.is_routed(&world.exchange(), key).await, routed, "{key}");
    }
    running.shutdown().await;
}

/// What the broker has handed out and what it still has, with each option that decides it.
#[tokio::test]
async fn the_broker_hands_out_as_much_as_the_options_say() {
    let world = World::rabbitmq();
    let (broker, publisher) = (Broker::silent().await, world.publisher("auth").await);
    let options = HandlerOptions::new;
    let window = Dedupe::new(10, Duration::from_mins(1));
    // Each with its prefetch, its concurrency, its options; how many handlers begin, and how many messages stay ready.
    for (number, (prefetch, concurrency, options, begun, ready)) in [
        (7, 3, options(), 3, 23),
        (1, 16, options(), 1, 29),
        (12, 16, options().concurrency(2), 2, 18),
        (5, 16, options().rate_limit(2, Duration::from_hours(1)), 2, 25),
        (9, 16, options().ordered_by("/email"), 1, 21),
        (9, 4, options().dedupe(window), 4, 21),
        (9, 1, options(), 1, 21),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("mail-{number}");
        let salt = world.salt(&name).await;
        let (begin, mut beginning) = mpsc::unbounded_channel();
        let handler = move |_: UserCreated| {
            begin.send(()).unwrap();
            std::future::pending::<()>()
        };
        let service = salt.service().prefetch(prefetch).concurrency(concurrency).drain_timeout(Duration::ZERO);
        let running = service.on_with(options, handler).start().await.unwrap();
        let queue = format!("celerysalt.{}.events", world.service_name(&name));
        broker.purge(&queue).await;
        users(&publisher, 30).await;
        for _ in 0..begun {
            within(beginning.recv()).await.unwrap();
        }
        broker.holds(&queue, ready).await;
        assert!(beginning.try_recv().is_err(), "{name}: more than {begun} began");
        // The drain timeout is over at once: all goes back.
        running.shutdown().await;
        broker.holds(&queue, 30).await;
        broker.purge(&queue).await;
    }
}

#[tokio::test]
async fn what_is_tried_again_waits_on_the_broker_with_its_pause() {
    let world = World::rabbitmq();
    let (broker, salt, publisher) = (Broker::silent().await, world.salt("mail").await, world.publisher("auth").await);
    let handler = |event: UserCreated| async move {
        if event.user_id == 1 {
            std::future::pending::<()>().await;
        }
        Err::<(), _>(HandlerError::new("not yet"))
    };
    let options = HandlerOptions::new().timeout(Duration::from_millis(50));
    let retry = Retry::exponential(Duration::from_mins(1));
    let running = salt.service().retry(retry).concurrency(1).on_with(options, handler).start().await.unwrap();
    let queue = |part: &str| format!("celerysalt.{}.{part}", world.service_name("mail"));
    for (number, reason) in [(0, "handler-failed"), (1, "handler-timed-out")] {
        let receipt = user(number).publish(&publisher).priority(8).await.unwrap();
        broker.holds(&queue("retry.1"), 1).await;
        let got = broker.take(&queue("retry.1")).await;
        let pause: u64 = got.text("expiration").unwrap().parse().unwrap();
        assert!((54_000..=66_000).contains(&pause), "{pause} ms");
        assert_eq!(got.header("x-celerysalt-reason"), Some(text(reason)));
        assert_eq!(got.header("x-celerysalt-tries"), Some(AMQPValue::LongLongInt(1)));
        assert_eq!(got.header("x-celerysalt-exchange"), Some(text(&world.exchange())));
        assert_eq!(got.header("x-celerysalt-routing-key"), Some(text("auth.user.created")));
        assert!(
            matches!(got.header("x-celerysalt-handlers"), Some(AMQPValue::FieldArray(ids)) if ids.as_slice().len() == 1)
        );
        assert_eq!((got.text("message_id"), got.properties.priority()), (Some(receipt.message_id), &Some(8)));
        assert_eq!(got.properties.delivery_mode(), &Some(2));
    }
    running.shutdown().await;
}

#[tokio::test]
async fn what_a_handler_can_not_take_now_waits_on_the_broker_as_it_came() {
    let world = World::rabbitmq();
    let (broker, salt, publisher) = (Broker::silent().await, world.salt("mail").await, world.publisher("auth").await);
    let options = HandlerOptions::new().rate_limit(1, Duration::from_hours(1));
    let service = salt.service().on_with(options, |_: UserCreated| async {});
    let running = service.on(|_: RiskAssessmentCreated| async {}).start().await.unwrap();
    users(&publisher, 3).await;
    let queue = format!("celerysalt.{}.waiting", world.service_name("mail"));
    broker.holds(&queue, 2).await;
    let got = broker.take(&queue).await;
    assert_eq!(got.text("expiration").as_deref(), Some("10000"));
    assert_eq!(got.header("x-celerysalt-tries"), Some(AMQPValue::LongLongInt(0)));
    assert_eq!(got.header("x-celerysalt-routing-key"), Some(text("auth.user.created")));
    assert_eq!((got.header("x-celerysalt-reason"), got.properties.delivery_mode()), (None, &Some(2)));
    running.shutdown().await;
}

#[tokio::test]
async fn what_a_window_knows_is_acked() {
    let world = World::rabbitmq();
    let (broker, salt) = (Broker::silent().await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |_: AnyEvent| {
        seen.send(()).unwrap();
        async {}
    };
    let service = salt.service().dedupe(Dedupe::new(10, Duration::from_mins(1)));
    let running = service.on_raw("a.b", handler).start().await.unwrap();
    let headers = json!({"task": "celery_salt.dispatch_event", "id": "same"});
    for _ in 0..3 {
        world.send_raw("a.b", headers.clone(), json!([["{}"], {"routing_key": "a.b"}, {}]).to_string()).await;
    }
    within(seeing.recv()).await.unwrap();
    within(running.counted(|counts| counts.duplicates >= 2)).await;
    running.shutdown().await;
    // None of them came back when its consumer went.
    broker.holds(&format!("celerysalt.{}.events", world.service_name("mail")), 0).await;
    assert!(seeing.try_recv().is_err());
}

#[tokio::test]
async fn a_dead_letter_says_all_in_its_headers() {
    let world = World::rabbitmq();
    let (broker, salt, publisher) = (Broker::silent().await, world.salt("mail").await, world.publisher("auth").await);
    let handler = |_: UserCreated| async { Err::<(), _>(HandlerError::reject("never")) };
    let running = salt.service().on(handler).start().await.unwrap();
    user(1).publish(&publisher).expiration(Duration::from_mins(1)).header("tenant", "acme").await.unwrap();
    let queue = running.dead_letter_queue().to_owned();
    broker.holds(&queue, 1).await;
    let got: Got = broker.take(&queue).await;
    // Kept for a person, however long that takes.
    assert_eq!((got.text("expiration"), got.properties.delivery_mode()), (None, &Some(2)));
    for (name, value) in [
        ("x-celerysalt-reason", "handler-failed"),
        ("x-celerysalt-detail", "never"),
        ("x-celerysalt-topic", "auth.user.created"),
        ("x-celerysalt-version", "v1"),
        ("x-celerysalt-routing-key", "auth.user.created"),
        ("tenant", "acme"),
    ] {
        assert_eq!(got.header(name), Some(text(value)), "{name}");
    }
    assert_eq!(got.inner()["user_id"], Value::from(1));
    running.shutdown().await;
}
