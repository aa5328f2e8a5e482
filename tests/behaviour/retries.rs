//! A handler that fails is tried again, after a pause on the broker, and nothing else waits for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use celerysalt::{AnyEvent, HandlerError, Meta, Rest, service::Retry};
use celerysalt_reference::events::UserCreated;
use celerysalt_tests::{World, header, within};
use serde_json::json;
use tokio::sync::mpsc;

use crate::on_each_broker;

on_each_broker!(
    what_fails_is_tried_again_until_it_works,
    what_keeps_failing_ends_as_a_dead_letter_and_the_others_go_on,
    what_is_rejected_is_not_tried_again,
    only_the_handler_that_failed_is_tried_again,
    a_message_waits_for_its_next_try_while_the_service_is_away,
);

fn quickly() -> Retry {
    Retry::exponential(Duration::from_millis(50)).tries(4)
}

fn user(user_id: i64) -> UserCreated {
    UserCreated { user_id: user_id.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
}

async fn what_fails_is_tried_again_until_it_works(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: UserCreated, meta: Meta| {
        let seen = seen.clone();
        async move {
            if meta.tries < 3 {
                return Err(HandlerError::new("not yet"));
            }
            seen.send((event.user_id, meta)).unwrap();
            Ok(())
        }
    };
    let running = subscriber.service().retry(quickly()).on(handler).start().await.unwrap();
    let receipt = user(7).publish(&publisher).correlation_id("c-1").header("tenant", "acme").await.unwrap();
    let (user_id, meta) = within(seeing.recv()).await.unwrap();
    assert_eq!((user_id.as_i64(), meta.tries), (Some(7), 3));
    // The message is the one that was sent, whatever way it took.
    assert_eq!(meta.message_id, Some(receipt.message_id));
    assert_eq!((meta.topic.as_str(), meta.routing_key.as_str()), ("auth.user.created", "auth.user.created"));
    assert_eq!((meta.correlation_id.as_deref(), &meta.headers["tenant"]), (Some("c-1"), &json!("acme")));
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.received, counts.handled, counts.retried, counts.dead_lettered), (3, 1, 2, 0));
}

async fn what_keeps_failing_ends_as_a_dead_letter_and_the_others_go_on(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: UserCreated| {
        let seen = seen.clone();
        async move {
            if event.user_id == 0 {
                return Err(HandlerError::new("poison"));
            }
            seen.send(event.user_id).unwrap();
            Ok(())
        }
    };
    // One at a time: a message that waited in the service would hold up all others.
    let running = subscriber.service().concurrency(1).retry(quickly()).on(handler).start().await.unwrap();
    for user_id in 0..50 {
        user(user_id).publish(&publisher).await.unwrap();
    }
    for user_id in 1..50 {
        assert_eq!(within(seeing.recv()).await, Some(user_id.into()));
    }
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(letter.headers["x-celerysalt-tries"], 4);
    assert_eq!(header(&letter, "x-celerysalt-reason"), "handler-failed");
    assert_eq!(header(&letter, "x-celerysalt-detail"), "poison");
    assert_eq!(header(&letter, "x-celerysalt-routing-key"), "auth.user.created");
    assert_eq!(header(&letter, "x-celerysalt-exchange"), world.exchange());
    assert!(!letter.headers.contains_key("x-celerysalt-handlers"));
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.received, counts.handled, counts.retried, counts.dead_lettered), (53, 49, 3, 1));
}

async fn what_is_rejected_is_not_tried_again(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let handler = |_: UserCreated| async { Err::<(), _>(HandlerError::reject("never")) };
    let running = subscriber.service().retry(quickly()).on(handler).start().await.unwrap();
    user(1).publish(&publisher).await.unwrap();
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(letter.headers["x-celerysalt-tries"], 1);
    assert_eq!(running.shutdown().await.counts.retried, 0);
}

async fn only_the_handler_that_failed_is_tried_again(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    // Two closures of one function have one name, and must still be told apart.
    let handler = |name: &'static str, failures: u32| {
        let (seen, tries) = (seen.clone(), Arc::new(AtomicU32::new(0)));
        move |_: AnyEvent| {
            let (seen, number) = (seen.clone(), tries.fetch_add(1, Ordering::SeqCst) + 1);
            async move {
                seen.send((name, number)).unwrap();
                if number <= failures { Err(HandlerError::new(name)) } else { Ok(()) }
            }
        }
    };
    let running = subscriber
        .service()
        .retry(quickly())
        .on_raw("auth.#", handler("steady", 0))
        .on_raw("auth.#", handler("shaky", 2))
        .on_raw("auth.#", handler("hopeless", 9))
        .start()
        .await
        .unwrap();
    user(1).publish(&publisher).await.unwrap();
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(header(&letter, "x-celerysalt-detail"), "hopeless");
    let mut got = Vec::new();
    while let Ok(one) = seeing.try_recv() {
        got.push(one);
    }
    got.sort_unstable();
    let expected = [
        ("hopeless", 1),
        ("hopeless", 2),
        ("hopeless", 3),
        ("hopeless", 4),
        ("shaky", 1),
        ("shaky", 2),
        ("shaky", 3),
        ("steady", 1),
    ];
    assert_eq!(got, expected);
    running.shutdown().await;
}

async fn a_message_waits_for_its_next_try_while_the_service_is_away(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let start = |fails: bool| {
        let seen = seen.clone();
        let handler = move |_: UserCreated, meta: Meta| {
            seen.send(meta.tries).unwrap();
            async move { if fails { Err(HandlerError::new("away")) } else { Ok(()) } }
        };
        subscriber.service().retry(quickly()).on(handler).start()
    };
    let running = start(true).await.unwrap();
    user(1).publish(&publisher).await.unwrap();
    assert_eq!(within(seeing.recv()).await, Some(1));
    let first = running.shutdown().await.counts;
    assert_eq!(first.retried, first.received);
    while seeing.try_recv().is_ok() {}
    let running = start(false).await.unwrap();
    assert_eq!(within(seeing.recv()).await.map(u64::from), Some(first.received + 1));
    assert_eq!(running.shutdown().await.counts.handled, 1);
}
