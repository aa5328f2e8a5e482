//! What handlers meet and do: poison, panics, hanging; messages that come twice, out of order, and from clocks that are wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use celerysalt::{Dedupe, HandlerError, HandlerOptions, service::Retry};
use celerysalt_reference::events::RiskAssessmentCreated;
use celerysalt_tests::{World, header, outbox};
use serde_json::json;

use crate::{
    checker::{History, Name, Promise},
    events,
    stand::{self, Seen, limit, name_of},
};

fn names() -> Vec<Name> {
    (0..events() as u64).map(stand::name).collect()
}

/// Errors, panics and hanging, of one event in fifty: each is kept with its reason, and the good ones don't wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_among_good_events() {
    let world = World::rabbitmq();
    let (publisher, salt, seen) = (world.publisher("filler").await, world.salt("poisoned").await, Seen::new());
    let (panics, hangs) = (events() as u64 / 20, events() as u64 / 10);
    let reason = move |number: u64| match number {
        _ if number % panics == 7 => Some("handler-panicked"),
        _ if number % hangs == 11 => Some("handler-timed-out"),
        _ if number % 50 == 3 => Some("handler-failed"),
        _ => None,
    };
    let handled = Arc::clone(&seen);
    let handler = move |event: RiskAssessmentCreated| {
        let name = name_of(&event);
        let handled = Arc::clone(&handled);
        async move {
            match reason(name.1) {
                None => handled.see(name),
                Some("handler-panicked") => panic!("poison"),
                Some("handler-timed-out") => std::future::pending().await,
                Some(_) => return Err(HandlerError::new("poison")),
            }
            Ok(())
        }
    };
    let options = HandlerOptions::new().timeout(Duration::from_secs(1));
    let retry = Retry::exponential(Duration::from_millis(100)).tries(3);
    let running = salt.service().prefetch(100).retry(retry).on_with(options, handler).start().await.unwrap();
    let began = Instant::now();
    let all: Vec<_> = names().iter().map(|name| stand::event(*name)).collect();
    RiskAssessmentCreated::publish_batch(&all, &publisher).await.unwrap();
    let expected: BTreeMap<Name, &str> = names().into_iter().filter_map(|name| Some((name, reason(name.1)?))).collect();
    seen.beyond(events() - expected.len() - 1).await;
    let flowed = began.elapsed();
    let mut kept = BTreeMap::new();
    for letter in world.dead_letters("poisoned", expected.len()).await {
        let name = outbox::name_of(&letter);
        let (key, number) = name.split_once(':').unwrap();
        kept.insert((key.parse().unwrap(), number.parse().unwrap()), header(&letter, "x-celerysalt-reason").to_owned());
    }
    let counts = running.shutdown().await.counts;
    for (name, reason) in &expected {
        assert_eq!(kept.get(name).map(String::as_str), Some(*reason), "{name:?}");
    }
    let mut history =
        History { sent: names().into_iter().collect(), confirmed: names().into_iter().collect(), ..History::default() };
    history.handled = seen.names();
    history.handled.extend(kept.keys());
    // Each further try is a delivery, and what waited on the broker for it comes back at least once.
    history.deliveries = usize::try_from(counts.received - counts.retried).unwrap();
    let promise = Promise { extra: usize::try_from(counts.retried).unwrap(), ..Promise::default() };
    let told =
        format!("{} kept with their reasons; the good ones handled in {:.1} s", kept.len(), flowed.as_secs_f64());
    history.verdict().hold("poison, panic, hang", promise, began.elapsed(), &told);
}

/// Every event comes twice under one id, in another order than it was written in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_out_of_order() {
    let world = World::rabbitmq();
    let (salt, seen) = (world.salt("twice").await, Seen::new());
    let handled = Arc::clone(&seen);
    let handler = move |event: RiskAssessmentCreated| {
        handled.see(name_of(&event));
        async {}
    };
    let options = HandlerOptions::new().dedupe(Dedupe::new(1_000_000, Duration::from_hours(1)));
    let running = salt.service().on_with(options, handler).start().await.unwrap();
    let began = Instant::now();
    let mut order: Vec<Name> = names();
    order.extend(names());
    // Far from where they were, the same way each time.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for place in (1..order.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(place, usize::try_from((state >> 33) % (place as u64 + 1)).unwrap());
    }
    send(&world, order.iter().map(|name| (*name, json!({})))).await;
    assert!(seen.all(&names().into_iter().collect()).await);
    // When it never has, the history says so.
    drop(tokio::time::timeout(limit(), running.counted(|counts| counts.received >= 2 * events() as u64)).await);
    let counts = running.shutdown().await.counts;
    let history = History {
        sent: names().into_iter().collect(),
        confirmed: names().into_iter().collect(),
        handled: seen.names(),
        deliveries: usize::try_from(counts.received).unwrap(),
    };
    let told = format!("{} passed over", counts.duplicates);
    let promise = Promise { extra: events(), ..Promise::default() };
    history.verdict().hold("duplicates, reordering", promise, began.elapsed(), &told);
    assert_eq!(counts.duplicates, events() as u64);
}

/// Sends events as a peer would, with headers and properties of its own.
async fn send(world: &World, names: impl Iterator<Item = (Name, serde_json::Value)>) {
    let transport = world.transport("peer").await;
    let mut confirmations = Vec::new();
    for ((key, number), extra) in names {
        let payload = serde_json::to_value(stand::event((key, number))).unwrap();
        let body = json!([[payload.to_string()], {"routing_key": "pulse.risk.created"}, {}]).to_string();
        let id = format!("{key}:{number}");
        let mut message = celerysalt::transport::Message {
            exchange: world.exchange(),
            routing_key: "pulse.risk.created".to_owned(),
            body: body.into(),
            ..celerysalt::transport::Message::default()
        };
        message.headers.insert("task".to_owned(), json!("celery_salt.dispatch_event"));
        message.headers.insert("id".to_owned(), json!(id));
        message.properties.persistent = true;
        message.properties.message_id = Some(id);
        if let Some(expires) = extra.get("expires") {
            message.headers.insert("expires".to_owned(), expires.clone());
            message.properties.expiration = Some(Duration::from_hours(2));
        }
        message.properties.timestamp = extra.get("timestamp").and_then(serde_json::Value::as_u64);
        confirmations.push(transport.send(message).await.unwrap());
    }
    for confirmation in confirmations {
        assert_eq!(confirmation.await, Ok(celerysalt::transport::Routing::Routed));
    }
    transport.close().await;
}

/// Publishers whose clocks are an hour off, either way: what they say of time is theirs, and nothing of theirs is taken for late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_are_an_hour_off() {
    let world = World::rabbitmq();
    let (salt, seen) = (world.salt("late").await, Seen::new());
    let handled = Arc::clone(&seen);
    let handler = move |event: RiskAssessmentCreated| {
        handled.see(name_of(&event));
        async {}
    };
    let running = salt.service().on(handler).start().await.unwrap();
    let began = Instant::now();
    let hour = jiff::SignedDuration::from_hours(1);
    let now = jiff::Timestamp::now();
    let clock = |number: u64| if number.is_multiple_of(2) { now - hour } else { now + hour };
    let stamped = names().into_iter().map(|name| {
        let at = clock(name.1);
        // By a clock that is an hour behind, it has expired already.
        let expires = (at + jiff::SignedDuration::from_mins(1)).to_string();
        (name, json!({"timestamp": at.as_second(), "expires": expires}))
    });
    send(&world, stamped).await;
    let all: BTreeSet<Name> = names().into_iter().collect();
    assert!(seen.all(&all).await, "some were taken for late");
    let counts = running.shutdown().await.counts;
    let history = History {
        sent: all.clone(),
        confirmed: all,
        handled: seen.names(),
        deliveries: usize::try_from(counts.received).unwrap(),
    };
    history.verdict().hold("clocks an hour off", Promise::default(), began.elapsed(), "half behind, half ahead");
}
