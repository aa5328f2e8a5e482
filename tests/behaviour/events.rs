//! Publishing and subscribing.

use std::time::Duration;

use celerysalt::{AnyEvent, Event, HandlerError, Meta, PublishError, Rest};
use celerysalt_reference::events::{
    OrderCreated, RiskAssessmentCreated, RiskAssessmentUpdated, TaggedItemCreated, UserCreated,
};
use celerysalt_tests::{World, within};
use serde_json::json;
use tokio::sync::mpsc;

use crate::on_each_broker;

on_each_broker!(
    a_typed_event_reaches_a_typed_handler_whole,
    a_subscriber_by_topic_needs_no_type,
    a_payload_is_a_plain_value_for_whoever_runs_rules_on_it,
    patterns_select_as_amqp_says,
    every_service_gets_every_event_once,
    several_handlers_of_one_topic_all_run,
    options_travel,
    an_event_that_nobody_would_get_is_an_error,
    an_invalid_event_never_leaves,
    publishing_by_name_follows_the_registry,
    a_batch_says_of_each_event_what_became_of_it,
);

fn assessment(id: &str) -> RiskAssessmentCreated {
    RiskAssessmentCreated::builder().assessment_id(id).company_id(456).risk_score(8.5).build().unwrap()
}

fn recorder<T>() -> (mpsc::UnboundedSender<T>, mpsc::UnboundedReceiver<T>) {
    mpsc::unbounded_channel()
}

async fn a_typed_event_reaches_a_typed_handler_whole(world: &World) {
    let (publisher, subscriber) = (world.publisher("pulse").await, world.salt("mail").await);
    let (seen, mut seeing) = recorder();
    let running = subscriber
        .service()
        .on(move |event: TaggedItemCreated, meta: Meta| {
            let seen = seen.clone();
            async move {
                seen.send((event, meta)).unwrap();
                Ok::<(), HandlerError>(())
            }
        })
        .start()
        .await
        .unwrap();
    let event = TaggedItemCreated::from_json(json!({
        "company_id": 123, "identifier": "order:456", "model_identifier": "order",
        "object_json": {"order_id": 456, "text": "ünï \u{1F600} \"quoted\"", "nested": [1, {"a": null}]},
        "tag_name": "High Priority", "tag_slug": "high_priority", "value_chain_id": 789,
    }))
    .unwrap();
    let receipt = event.publish(&publisher).await.unwrap();
    let (got, meta) = within(seeing.recv()).await.unwrap();
    assert_eq!(got, event);
    assert_eq!(meta.message_id.as_deref(), Some(receipt.to_string().as_str()));
    assert_eq!(meta.version.map(|v| v.to_string()).as_deref(), Some("v1"));
    assert_eq!(meta.topic, "scranton.tagged_item.created");
    assert_eq!(meta.sender.as_deref(), Some(publisher.service_name()));
    assert!(receipt.confirmed && receipt.routed && !meta.is_rpc && !meta.redelivered);
    running.shutdown().await;
}

async fn a_subscriber_by_topic_needs_no_type(world: &World) {
    let (publisher, subscriber) = (world.publisher("pulse").await, world.salt("mail").await);
    let (seen, mut seeing) = recorder();
    let running = subscriber
        .service()
        .on_topic("pulse.risk.created", move |event: AnyEvent| {
            let seen = seen.clone();
            async move { seen.send(event).unwrap() }
        })
        .start()
        .await
        .unwrap();
    assessment("RA-1").publish(&publisher).await.unwrap();
    let event = within(seeing.recv()).await.unwrap();
    assert_eq!(event["assessment_id"], "RA-1");
    assert_eq!(event["risk_score"], 8.5);
    assert!(event["absent"].is_null());
    assert_eq!(event.version().unwrap().as_str(), "v1");
    running.shutdown().await;
}

/// With a type and without: all that was sent, names that no contract declares included.
async fn a_payload_is_a_plain_value_for_whoever_runs_rules_on_it(world: &World) {
    let (publisher, subscriber) = (world.publisher("scranton").await, world.salt("rules").await);
    let (seen, mut seeing) = recorder();
    let by_type = seen.clone();
    let running = subscriber
        .service()
        .on(move |event: TaggedItemCreated| {
            let value = event.to_json();
            let seen = by_type.clone();
            async move {
                seen.send(value?)?;
                Ok::<(), HandlerError>(())
            }
        })
        .on_topic("scranton.tagged_item.created", move |event: AnyEvent| {
            let seen = seen.clone();
            async move { seen.send(event.into_json()).unwrap() }
        })
        .start()
        .await
        .unwrap();
    let sent = json!({
        "company_id": 123, "identifier": "order:456", "model_identifier": "order", "object_json": {"order_id": 456},
        "tag_name": "High Priority", "tag_slug": "high_priority", "action": "created", "undeclared": {"score": 0.25},
    });
    TaggedItemCreated::from_json(sent.clone()).unwrap().publish(&publisher).await.unwrap();
    // A rule of somebody who has nothing but names and values.
    let rule = |payload: &serde_json::Value| payload["company_id"] == 123 && payload["undeclared"]["score"] == 0.25;
    for _ in 0..2 {
        let payload = within(seeing.recv()).await.unwrap();
        assert_eq!(payload, sent);
        assert!(rule(&payload));
    }
    running.shutdown().await;
}

async fn patterns_select_as_amqp_says(world: &World) {
    let (publisher, subscriber) = (world.publisher("pulse").await, world.salt("audit").await);
    let (seen, mut seeing) = recorder();
    let handler = |pattern: &'static str| {
        let seen = seen.clone();
        move |event: AnyEvent| {
            let seen = seen.clone();
            async move { seen.send((pattern, event.topic().to_owned())).unwrap() }
        }
    };
    let running = subscriber
        .service()
        .on_topic("pulse.#", handler("pulse.#"))
        .on_topic("*.risk.*", handler("*.risk.*"))
        .on_topic("pulse.*", handler("pulse.*"))
        .on_topic("orders.created.#", handler("orders.created.#"))
        .start()
        .await
        .unwrap();
    assessment("RA-1").publish(&publisher).await.unwrap();
    let order = OrderCreated::builder().order_id("O-1").company_id(1).build().unwrap();
    order.publish(&publisher).await.unwrap();
    let mut got = Vec::new();
    for _ in 0..3 {
        got.push(within(seeing.recv()).await.unwrap());
    }
    let shutdown = running.shutdown().await;
    got.sort_unstable();
    let created = "pulse.risk.created".to_owned();
    assert_eq!(
        got,
        [("*.risk.*", created.clone()), ("orders.created.#", "orders.created".to_owned()), ("pulse.#", created)]
    );
    assert_eq!((shutdown.counts.received, shutdown.counts.handled), (2, 2));
}

async fn every_service_gets_every_event_once(world: &World) {
    let publisher = world.publisher("pulse").await;
    let (seen, mut seeing) = recorder();
    let mut running = Vec::new();
    // Two instances of one service, one of another.
    for (instance, service) in ["mail", "mail", "audit"].into_iter().enumerate() {
        let seen = seen.clone();
        let salt = world.salt(service).await;
        let handler = move |event: UserCreated| {
            let seen = seen.clone();
            async move { seen.send((service, instance, event.user_id)).unwrap() }
        };
        running.push(salt.service().on(handler).start().await.unwrap());
    }
    for user_id in 0..50 {
        let event =
            UserCreated { user_id: user_id.into(), email: format!("u{user_id}@example.com"), rest: Rest::default() };
        event.publish(&publisher).await.unwrap();
    }
    let mut got = Vec::new();
    for _ in 0..100 {
        got.push(within(seeing.recv()).await.unwrap());
    }
    for running in running {
        running.shutdown().await;
    }
    assert!(seeing.try_recv().is_err(), "an event came twice");
    for service in ["mail", "audit"] {
        let mut users: Vec<_> = got.iter().filter(|(s, ..)| *s == service).map(|(.., user)| user.clone()).collect();
        users.sort_unstable();
        assert_eq!(users, (0..50).collect::<Vec<_>>(), "{service}");
    }
}

async fn several_handlers_of_one_topic_all_run(world: &World) {
    let (publisher, subscriber) = (world.publisher("pulse").await, world.salt("mail").await);
    let (seen, mut seeing) = recorder();
    let (first, second) = (seen.clone(), seen);
    let running = subscriber
        .service()
        .on(move |_: UserCreated| {
            first.send("typed").unwrap();
            async {}
        })
        .on_topic("auth.#", move |_: AnyEvent| {
            second.send("by topic").unwrap();
            async {}
        })
        .start()
        .await
        .unwrap();
    UserCreated { user_id: 1.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
        .publish(&publisher)
        .await
        .unwrap();
    let mut got = [within(seeing.recv()).await.unwrap(), within(seeing.recv()).await.unwrap()];
    got.sort_unstable();
    assert_eq!(got, ["by topic", "typed"]);
    let shutdown = running.shutdown().await;
    assert_eq!((shutdown.counts.received, shutdown.counts.handled), (1, 1));
}

async fn options_travel(world: &World) {
    let (publisher, subscriber) = (world.publisher("pulse").await, world.salt("mail").await);
    let (seen, mut seeing) = recorder();
    let running = subscriber
        .service()
        .on(move |_: UserCreated, meta: Meta| {
            seen.send(meta).unwrap();
            async {}
        })
        // The binding that the custom routing key needs.
        .on_raw("bulk.users", |_: AnyEvent| async {})
        .start()
        .await
        .unwrap();
    let receipt = UserCreated { user_id: 1.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
        .publish(&publisher)
        .routing_key("bulk.users")
        .priority(7)
        .expiration(Duration::from_mins(5))
        .header("tenant", "acme")
        .headers([("weights", json!([1, 2.5, null]))])
        .correlation_id("order-17")
        .await
        .unwrap();
    assert_eq!(receipt.routing_key, "bulk.users");
    let meta = within(seeing.recv()).await.unwrap();
    assert_eq!((meta.topic.as_str(), meta.routing_key.as_str()), ("auth.user.created", "bulk.users"));
    assert_eq!(meta.priority, Some(7));
    assert_eq!(meta.correlation_id.as_deref(), Some("order-17"));
    assert_eq!((&meta.headers["tenant"], &meta.headers["weights"]), (&json!("acme"), &json!([1, 2.5, null])));
    running.shutdown().await;

    let event = UserCreated { user_id: 1.into(), email: "a@example.com".to_owned(), rest: Rest::default() };
    for (wrong, expected) in [
        (event.publish(&publisher).priority(11), "0 to 10"),
        (event.publish(&publisher).expiration(Duration::from_micros(10)), "1 ms"),
        (event.publish(&publisher).header("task", "evil"), "`task`"),
        (event.publish(&publisher).routing_key(""), "1 to 255"),
    ] {
        let error = wrong.await.unwrap_err();
        assert!(matches!(error, PublishError::Option { .. }) && error.to_string().contains(expected), "{error}");
    }
}

async fn an_event_that_nobody_would_get_is_an_error(world: &World) {
    let publisher = world.publisher("pulse").await;
    let event = UserCreated { user_id: 1.into(), email: "a@example.com".to_owned(), rest: Rest::default() };
    let error = event.publish(&publisher).await.unwrap_err();
    assert!(matches!(&error, PublishError::Unroutable { topic, .. } if topic == "auth.user.created"), "{error}");
    let receipt = event.publish(&publisher).allow_unrouted().await.unwrap();
    assert!(receipt.confirmed && !receipt.routed);
}

async fn an_invalid_event_never_leaves(world: &World) {
    let (publisher, subscriber) = (world.publisher("pulse").await, world.salt("mail").await);
    let running = subscriber.service().on_raw("#", |_: AnyEvent| async {}).start().await.unwrap();
    let wrong = RiskAssessmentUpdated {
        assessment_id: "RA-1".to_owned(),
        company_id: 1.into(),
        risk_score: 99.0,
        previous_score: -3.0,
        updated_by: "someone".to_owned(),
        rest: Rest::default(),
    };
    let PublishError::Invalid(invalid) = wrong.publish(&publisher).await.unwrap_err() else { panic!("not refused") };
    let first = &invalid.violations()[0];
    assert_eq!((first.pointer.as_str(), first.keyword.as_str()), ("/risk_score", "maximum"));
    let text = invalid.to_string();
    assert!(text.contains("pulse.risk.updated@v1") && text.contains("10") && !text.contains("99"), "{text}");
    let nan = RiskAssessmentUpdated { risk_score: f64::NAN, ..wrong };
    assert!(matches!(nan.publish(&publisher).await, Err(PublishError::Invalid(_))));
    assert_eq!(running.shutdown().await.counts.received, 0);
}

async fn publishing_by_name_follows_the_registry(world: &World) {
    let (publisher, subscriber) = (world.publisher("pulse").await, world.salt("mail").await);
    let (seen, mut seeing) = recorder();
    let running = subscriber
        .service()
        .on_raw("#", move |event: AnyEvent| {
            seen.send(event).unwrap();
            async {}
        })
        .start()
        .await
        .unwrap();
    let user = json!({"user_id": 7, "email": "a@example.com"});
    publisher.publish_json("auth.user.created", user.clone()).await.unwrap();
    let event = within(seeing.recv()).await.unwrap();
    assert_eq!((event.payload(), event.version().unwrap().as_str()), (&user, "v1"));

    let wrong = publisher.publish_json("auth.user.created", json!({"user_id": "seven"})).await.unwrap_err();
    let PublishError::Invalid(invalid) = &wrong else { panic!("{wrong}") };
    let pointers: Vec<&str> = invalid.violations().iter().map(|v| v.pointer.as_str()).collect();
    assert!(pointers.contains(&"/user_id") && !wrong.to_string().contains("seven"), "{wrong}");

    // v2 of the sign-up has another type of id than v1.
    let v2 = json!({"user_id": "7", "email": "a@example.com", "user_name": "ann"});
    publisher.publish_json("auth.user.signup", v2.clone()).version("v2").await.unwrap();
    let refused = publisher.publish_json("auth.user.signup", v2.clone()).version("v1").await;
    assert!(matches!(refused, Err(PublishError::Invalid(_))));
    let unknown = publisher.publish_json("auth.user.signup", v2).version("v9").await;
    assert!(matches!(unknown, Err(PublishError::UnknownContract { .. })));
    let unknown = publisher.publish_json("no.such.topic", json!({})).await;
    assert!(matches!(unknown, Err(PublishError::UnknownContract { .. })));
    publisher.publish_json("no.such.topic", json!({"free": true})).unvalidated().await.unwrap();
    let bad = publisher.publish_json("no such topic", json!({})).unvalidated().await;
    assert!(matches!(bad, Err(PublishError::Option { .. })));
    let bad = publisher.publish_json("a.topic", json!([1])).unvalidated().await;
    assert!(matches!(bad, Err(PublishError::Option { .. })));
    running.shutdown().await;
}

async fn a_batch_says_of_each_event_what_became_of_it(world: &World) {
    let (publisher, subscriber) = (world.publisher("pulse").await, world.salt("mail").await);
    let (seen, mut seeing) = recorder();
    let handler = move |event: RiskAssessmentCreated| {
        seen.send(event.assessment_id).unwrap();
        async {}
    };
    let running = subscriber.service().concurrency(1).on(handler).start().await.unwrap();
    let mut events: Vec<RiskAssessmentCreated> = (0..500).map(|i| assessment(&format!("RA-{i}"))).collect();
    let receipts = RiskAssessmentCreated::publish_batch(&events, &publisher).window(64).await.unwrap();
    assert_eq!(receipts.len(), 500);
    for i in 0..500 {
        assert_eq!(within(seeing.recv()).await.unwrap(), format!("RA-{i}"), "the order is kept");
    }
    events[3].risk_score = 11.0;
    events[7].risk_score = -1.0;
    let error = RiskAssessmentCreated::publish_batch(&events, &publisher).await.unwrap_err();
    assert_eq!(error.failed.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [3, 7]);
    assert!(error.published.is_empty(), "one event that is refused keeps all at home");
    assert_eq!(running.shutdown().await.counts.handled, 500);
}
