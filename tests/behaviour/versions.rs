//! Which handler gets which version (decision D3).

use celerysalt::{AnyEvent, HandlerOptions};
use celerysalt_reference::events::auth_user_signup::{v1, v2};
use celerysalt_tests::{World, header, within};
use serde_json::json;
use tokio::sync::mpsc;

use crate::on_each_broker;

on_each_broker!(
    each_major_reaches_its_own_handler,
    a_newer_major_without_a_handler_is_kept,
    newer_majors_can_be_asked_for,
    a_later_minor_reaches_a_handler_of_the_same_major,
    a_message_without_a_version_goes_to_whom_it_fits,
    a_subscriber_by_topic_can_name_its_version,
);

const TOPIC: &str = "auth.user.signup";

fn v1_payload() -> serde_json::Value {
    json!({"user_id": 1, "email": "a@example.com"})
}

fn v2_payload() -> serde_json::Value {
    json!({"user_id": "u-1", "email": "a@example.com", "user_name": "ann"})
}

async fn each_major_reaches_its_own_handler(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let (one, two) = (seen.clone(), seen);
    let running = subscriber
        .service()
        .on(move |event: v1::UserSignup| {
            one.send(format!("v1 {}", event.user_id)).unwrap();
            async {}
        })
        .on(move |event: v2::UserSignup| {
            two.send(format!("v2 {}", event.user_id)).unwrap();
            async {}
        })
        .start()
        .await
        .unwrap();
    let first = v1::UserSignup::builder().user_id(1).email("a@example.com").build().unwrap();
    assert_eq!(first.signup_source, "web", "the schema's default");
    first.publish(&publisher).await.unwrap();
    assert_eq!(within(seeing.recv()).await.unwrap(), "v1 1");
    let second = v2::UserSignup::builder().user_id("u-1").email("a@example.com").user_name("ann").build().unwrap();
    second.publish(&publisher).await.unwrap();
    assert_eq!(within(seeing.recv()).await.unwrap(), "v2 u-1");
    assert_eq!(running.shutdown().await.counts.handled, 2);
}

async fn a_newer_major_without_a_handler_is_kept(world: &World) {
    let subscriber = world.salt("mail").await;
    let running = subscriber.service().on(|_: v1::UserSignup| async {}).start().await.unwrap();
    world.send_event(TOPIC, json!({"version": "v2"}), &v2_payload()).await;
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(header(&letter, "x-celerysalt-reason"), "no-handler");
    assert_eq!(header(&letter, "x-celerysalt-version"), "v2");
    assert_eq!(running.shutdown().await.counts.dead_lettered, 1);
}

async fn newer_majors_can_be_asked_for(world: &World) {
    let subscriber = world.salt("mail").await;
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: v1::UserSignup| {
        seen.send(event.user_id).unwrap();
        async {}
    };
    let options = HandlerOptions::new().accept_newer_majors();
    let running = subscriber.service().on_with(options, handler).start().await.unwrap();
    world.send_event(TOPIC, json!({"version": "v2"}), &v2_payload()).await;
    world.send_event(TOPIC, json!({"version": "v3"}), &v1_payload()).await;
    assert_eq!(within(seeing.recv()).await.unwrap(), 1);
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(header(&letter, "x-celerysalt-reason"), "invalid", "v2's payload does not fit v1's contract");
    assert_eq!(letter.headers["x-celerysalt-pointers"], json!(["/user_id"]));
    running.shutdown().await;
}

async fn a_later_minor_reaches_a_handler_of_the_same_major(world: &World) {
    let subscriber = world.salt("mail").await;
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: v2::UserSignup| {
        seen.send(event.user_name).unwrap();
        async {}
    };
    let running = subscriber.service().on(handler).start().await.unwrap();
    for version in ["v2.3", " V2.0.1 ", "2"] {
        world.send_event(TOPIC, json!({"version": version}), &v2_payload()).await;
        assert_eq!(within(seeing.recv()).await.unwrap(), "ann", "{version}");
    }
    for version in ["v1.9", "newest"] {
        world.send_event(TOPIC, json!({"version": version}), &v2_payload()).await;
        let letter = world.dead_letters("mail", 1).await.remove(0);
        assert_eq!(header(&letter, "x-celerysalt-reason"), "no-handler", "{version}");
    }
    running.shutdown().await;
}

async fn a_message_without_a_version_goes_to_whom_it_fits(world: &World) {
    let subscriber = world.salt("mail").await;
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let (one, two) = (seen.clone(), seen);
    let running = subscriber
        .service()
        .on(move |_: v1::UserSignup| {
            one.send("v1").unwrap();
            async {}
        })
        .on(move |_: v2::UserSignup| {
            two.send("v2").unwrap();
            async {}
        })
        .start()
        .await
        .unwrap();
    world.send_event(TOPIC, json!({}), &v2_payload()).await;
    assert_eq!(within(seeing.recv()).await.unwrap(), "v2");
    world.send_event(TOPIC, serde_json::Value::Null, &v1_payload()).await;
    assert_eq!(within(seeing.recv()).await.unwrap(), "v1");
    world.send_event(TOPIC, json!({}), &json!({"neither": true})).await;
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(header(&letter, "x-celerysalt-reason"), "invalid");
    assert!(seeing.try_recv().is_err());
    running.shutdown().await;
}

async fn a_subscriber_by_topic_can_name_its_version(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = |name: &'static str| {
        let seen = seen.clone();
        move |event: AnyEvent| {
            seen.send(format!("{name} {}", event.version().unwrap())).unwrap();
            async {}
        }
    };
    let running = subscriber
        .service()
        .concurrency(1)
        .on_topic("auth.user.signup@v1", handler("@v1"))
        .on_topic("auth.user.signup@latest", handler("@latest"))
        .on_topic("auth.user.signup", handler("any"))
        .start()
        .await
        .unwrap();
    publisher.publish_json(TOPIC, v1_payload()).version("v1").await.unwrap();
    publisher.publish_json(TOPIC, v2_payload()).version("v2").await.unwrap();
    let mut got = Vec::new();
    for _ in 0..4 {
        got.push(within(seeing.recv()).await.unwrap());
    }
    assert_eq!(got, ["@v1 v1", "any v1", "@latest v2", "any v2"]);
    assert_eq!(running.shutdown().await.counts.handled, 2);
}
