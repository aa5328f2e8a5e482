//! What only a real broker can show: its size limits, its confirms, its view of a message.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

mod raw;
mod unreadable;

use std::{collections::HashSet, time::Duration};

use celerysalt::{AnyEvent, Event, Rest};
use celerysalt_reference::events::{GetRiskAssessment, RiskAssessmentCreated, UserCreated};
use celerysalt_tests::{World, header, within};
use lapin::{
    Connection, ConnectionProperties,
    options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_events_are_confirmed_and_reach_two_services_once() {
    const EVENTS: usize = 10_000;
    let world = World::rabbitmq();
    let publisher = world.publisher("pulse").await;
    let mut services = Vec::new();
    for name in ["mail", "audit"] {
        let (seen, seeing) = mpsc::unbounded_channel();
        let salt = world.salt(name).await;
        let handler = move |event: RiskAssessmentCreated, meta: celerysalt::Meta| {
            seen.send((event.assessment_id, meta.message_id.unwrap())).unwrap();
            async {}
        };
        services.push((salt.service().on(handler).start().await.unwrap(), seeing));
    }
    let events: Vec<RiskAssessmentCreated> = (0..EVENTS)
        .map(|i| {
            RiskAssessmentCreated::builder()
                .assessment_id(format!("RA-{i}"))
                .company_id(1)
                .risk_score(5.0)
                .build()
                .unwrap()
        })
        .collect();
    let receipts = RiskAssessmentCreated::publish_batch(&events, &publisher).await.unwrap();
    assert!(receipts.len() == EVENTS && receipts.iter().all(|receipt| receipt.confirmed && receipt.routed));
    let published: HashSet<String> = receipts.iter().map(ToString::to_string).collect();
    for (running, mut seeing) in services {
        let mut assessments = HashSet::new();
        let mut messages = HashSet::new();
        for _ in 0..EVENTS {
            let (assessment, message) = within(seeing.recv()).await.unwrap();
            assert!(assessments.insert(assessment), "an event came twice");
            messages.insert(message);
        }
        assert_eq!(messages, published);
        let counts = running.shutdown().await.counts;
        assert_eq!((counts.received, counts.handled), (EVENTS as u64, EVENTS as u64));
        assert!(seeing.try_recv().is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_a_hundred_megabytes_is_kept_and_the_service_goes_on() {
    let world = World::rabbitmq();
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: AnyEvent| {
        seen.send(event).unwrap();
        async {}
    };
    let running = subscriber.service().on_topic("auth.user.created", handler).start().await.unwrap();
    let body = vec![b'a'; 100_000_000];
    world.send_raw("auth.user.created", json!({"task": "celery_salt.dispatch_event", "id": "1"}), body).await;
    UserCreated { user_id: 4.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
        .publish(&publisher)
        .await
        .unwrap();
    assert_eq!(within(seeing.recv()).await.unwrap()["user_id"], 4);
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(letter.body.len(), 100_000_000);
    assert_eq!(header(&letter, "x-celerysalt-reason"), "not-an-event");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_sees_what_a_celery_worker_needs() {
    let world = World::rabbitmq();
    // Makes the exchange.
    let subscriber = world.salt("mail").await;
    let running = subscriber.service().on_raw("nothing", |_: AnyEvent| async {}).start().await.unwrap();
    let connection =
        Connection::connect(&celerysalt_tests::broker_url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await.unwrap().name().clone();
    channel
        .queue_bind(
            queue.clone(),
            world.exchange().into(),
            "#".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();

    let publisher = world.publisher("pulse").await;
    let event = RiskAssessmentCreated::builder().assessment_id("RA-1").company_id(1).risk_score(5.0).build().unwrap();
    let receipt = event
        .publish(&publisher)
        .priority(7)
        .expiration(Duration::from_mins(1))
        .header("tenant", "acme")
        .correlation_id("c-1")
        .await
        .unwrap();
    let got = channel.basic_get(queue.clone(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap().delivery;
    let properties = &got.properties;
    let text = |value: &Option<lapin::types::ShortString>| value.as_ref().map(ToString::to_string);
    assert_eq!(text(properties.content_type()).as_deref(), Some("application/json"));
    assert_eq!(text(properties.content_encoding()).as_deref(), Some("utf-8"));
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(*properties.priority(), Some(7));
    assert_eq!(text(properties.expiration()).as_deref(), Some("60000"));
    assert_eq!(text(properties.message_id()).as_deref(), Some(receipt.message_id.as_str()));
    assert_eq!(text(properties.correlation_id()).as_deref(), Some(receipt.message_id.as_str()));
    assert!(properties.reply_to().is_none());
    let headers = properties.headers().as_ref().unwrap().inner();
    let header = |name: &str| headers.get(name).cloned();
    assert_eq!(header("task"), Some(AMQPValue::LongString("celery_salt.dispatch_event".into())));
    assert_eq!(header("id"), Some(AMQPValue::LongString(receipt.message_id.as_str().into())));
    assert_eq!(header("tenant"), Some(AMQPValue::LongString("acme".into())));
    assert_eq!(header("ignore_result"), Some(AMQPValue::Boolean(true)));
    assert!(matches!(header("expires"), Some(AMQPValue::LongString(_))));
    let body: Value = serde_json::from_slice(&got.data).unwrap();
    assert_eq!(body[1], json!({"routing_key": "pulse.risk.created"}));
    let inner: Value = serde_json::from_str(body[0][0].as_str().unwrap()).unwrap();
    let mut expected = event.to_json().unwrap();
    expected["_tchu_meta"] = json!({"is_rpc": false, "version": "v1", "correlation_id": "c-1"});
    assert_eq!(inner, expected);

    // A request: nobody answers, which is not the point.
    let request = GetRiskAssessment { assessment_id: "RA-1".to_owned(), rest: Rest::default() };
    request.call(&publisher).timeout(Duration::from_millis(200)).await.unwrap_err();
    let got = channel.basic_get(queue, BasicGetOptions { no_ack: true }).await.unwrap();
    // It expires after the call's timeout, so it may be gone from the queue; what is there must be right.
    if let Some(got) = got {
        assert_eq!(*got.delivery.properties.priority(), Some(9));
        // What is left of the call's time when it is sent.
        let expiration: u64 = text(got.delivery.properties.expiration()).unwrap().parse().unwrap();
        assert!((1..=200).contains(&expiration), "{expiration}");
        assert!(got.delivery.properties.reply_to().is_some());
    }
    connection.close(200, "done".into()).await.unwrap();
    running.shutdown().await;
}
