//! A service ends in good order: what it has taken it finishes or gives back.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use celerysalt::{Integer, Rest, StartError};
use celerysalt_reference::events::UserCreated;
use celerysalt_tests::{World, within};
use tokio::sync::{Notify, mpsc};

use crate::on_each_broker;

on_each_broker!(
    running_handlers_are_waited_for,
    what_is_not_done_at_the_deadline_comes_again,
    nothing_is_lost_over_a_handover,
    a_service_without_handlers_says_so,
);

async fn publish(salt: &celerysalt::Salt, users: std::ops::Range<i64>) {
    let events: Vec<UserCreated> = users
        .map(|user_id| UserCreated {
            user_id: user_id.into(),
            email: "a@example.com".to_owned(),
            rest: Rest::default(),
        })
        .collect();
    UserCreated::publish_batch(&events, salt).await.unwrap();
}

async fn running_handlers_are_waited_for(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (started, mut starting) = mpsc::unbounded_channel();
    let go_on = Arc::new(Notify::new());
    let gate = Arc::clone(&go_on);
    let handler = move |_: UserCreated| {
        let (started, gate) = (started.clone(), Arc::clone(&gate));
        async move {
            started.send(()).unwrap();
            gate.notified().await;
        }
    };
    let running = subscriber.service().on(handler).start().await.unwrap();
    publish(&publisher, 0..1).await;
    within(starting.recv()).await.unwrap();
    let ending = tokio::spawn(running.shutdown());
    // The permit is kept until the handler asks for it, so there is nothing to wait for here.
    go_on.notify_one();
    let shutdown = within(ending).await.unwrap();
    assert_eq!((shutdown.counts.handled, shutdown.abandoned), (1, 0));
}

async fn what_is_not_done_at_the_deadline_comes_again(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (started, mut starting) = mpsc::unbounded_channel();
    let handler = move |_: UserCreated| {
        started.send(()).unwrap();
        std::future::pending::<()>()
    };
    let hung = subscriber.service().on(handler).drain_timeout(Duration::from_millis(100)).start().await.unwrap();
    publish(&publisher, 0..1).await;
    within(starting.recv()).await.unwrap();
    let shutdown = within(hung.shutdown()).await;
    assert_eq!((shutdown.counts.handled, shutdown.abandoned), (0, 1));

    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: UserCreated, meta: celerysalt::Meta| {
        seen.send((event.user_id, meta.redelivered)).unwrap();
        async {}
    };
    let running = subscriber.service().on(handler).start().await.unwrap();
    assert_eq!(within(seeing.recv()).await, Some((0.into(), true)));
    running.shutdown().await;
}

async fn nothing_is_lost_over_a_handover(world: &World) {
    const EVENTS: i64 = 2000;
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let start = || {
        let seen = seen.clone();
        let handler = move |event: UserCreated| {
            seen.send(event.user_id).unwrap();
            async { tokio::task::yield_now().await }
        };
        subscriber.service().on(handler).start()
    };
    let mut running = start().await.unwrap();
    let publishing = tokio::spawn(async move { publish(&publisher, 0..EVENTS).await });
    // An ack that is under way at the end of a service may be lost: then the event comes again, and counts once.
    let (mut handled, mut got) = (0, BTreeSet::new());
    while got.len() < usize::try_from(EVENTS).unwrap() {
        got.insert(within(seeing.recv()).await.unwrap());
        handled += 1;
        if handled % 300 == 0 {
            running.shutdown().await;
            running = start().await.unwrap();
        }
    }
    publishing.await.unwrap();
    running.shutdown().await;
    assert!(got.into_iter().eq((0..EVENTS).map(Integer::from)));
}

async fn a_service_without_handlers_says_so(world: &World) {
    let salt = world.salt("mail").await;
    let error = salt.service().start().await.unwrap_err();
    assert!(matches!(error, StartError::Handlers(_)) && error.to_string().contains("no handler"), "{error}");
    let handler = |_: celerysalt::AnyEvent| async {};
    let error = salt.service().on_topic("a..b", handler).on_topic("a@x", handler).start().await.unwrap_err();
    assert!(error.to_string().contains("a..b") && error.to_string().contains("`x`"), "both: {error}");
}
