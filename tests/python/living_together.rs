//! Services of all three kinds on one exchange: none of them harms another.

use std::time::Duration;

use celerysalt::{AnyEvent, CallError, DEFAULT_EXCHANGE, Rest, TaskName};
use celerysalt_reference::events::{
    GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse, TaggedItemCreated,
};
use celerysalt_tests::{World, python::Peer, within};
use serde_json::json;
use tokio::sync::mpsc;

use crate::{get, salt_worker, tagged, tchu_worker};

#[tokio::test]
async fn a_celery_salt_worker_of_every_topic_survives_all_that_rust_sends() {
    let world = World::rabbitmq();
    let mut worker = salt_worker(&world, "salt_everything").await;
    let salt = world.publisher("pulse").await;
    let tchu = world.builder("tchu").await.task_name(TaskName::TchuTchu).connect().await.unwrap();
    let handler = |_: GetRiskAssessment| async {
        Ok::<GetRiskAssessmentResponse, GetRiskAssessmentError>(GetRiskAssessmentResponse {
            assessment_id: "RA-1".to_owned(),
            risk_score: 1.0,
            status: "open".to_owned(),
            rest: Rest::default(),
        })
    };
    let running = salt.service().serve(handler).start().await.unwrap();

    // One in the name of the other package, which it discards; one with every option; a request that it answers too.
    tagged("discarded").publish(&tchu).await.unwrap();
    tagged("options")
        .publish(&salt)
        .priority(10)
        .expiration(Duration::from_mins(5))
        .correlation_id("c-1")
        .header("x-own", json!({"a": [1, null, 2.5, "\u{1F600}"]}))
        .await
        .unwrap();
    assert_eq!(worker.says().await["fields"]["identifier"], "options");
    // Whose reply comes first is anyone's guess; the worker's is `null`, which the contract refuses.
    let reply = get("RA-1").call(&salt).await;
    assert!(matches!(reply, Ok(_) | Err(CallError::InvalidReply { .. })), "{reply:?}");
    assert_eq!(worker.says().await["fields"]["assessment_id"], "RA-1");
    salt.publish_json("no.contract.of.this", json!({"deep": {"a": [[[{}]]]}})).unvalidated().await.unwrap();
    assert_eq!(worker.says().await["fields"]["deep"], json!({"a": [[[{}]]]}));
    let key = "another.routing.key";
    tagged("rerouted").publish(&salt).routing_key(key).await.unwrap();
    assert_eq!(worker.says().await["fields"]["identifier"], "rerouted");
    running.shutdown().await;
}

#[tokio::test]
async fn what_goes_out_in_both_names_reaches_workers_of_both_packages_and_rust_once() {
    let world = World::rabbitmq();
    let (mut salt, mut tchu) = tokio::join!(salt_worker(&world, "salt_handlers"), tchu_worker(&world));
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: TaggedItemCreated| {
        seen.send(event.identifier).unwrap();
        async {}
    };
    let running = world.salt("mail").await.service().on(handler).start().await.unwrap();
    let publisher = world.builder("pulse").await.task_name(TaskName::Both).connect().await.unwrap();
    // What comes twice would come before the second event does.
    for identifier in ["one", "two"] {
        tagged(identifier).publish(&publisher).await.unwrap();
        let mut said = [salt.says().await, salt.says().await];
        said.sort_unstable_by_key(|said| said["handler"].to_string());
        for (said, handler) in said.iter().zip(["class", "topic"]) {
            assert_eq!((&said["handler"], &said["fields"]["identifier"]), (&json!(handler), &json!(identifier)));
        }
        assert_eq!(tchu.says().await["fields"]["identifier"], identifier);
        assert_eq!(within(seeing.recv()).await.unwrap(), identifier);
    }
    // Both serve it, which of them is faster is anyone's guess, and neither knows the other's name.
    for i in 0..5 {
        let reply = get(&format!("RA-{i}")).call(&publisher).await.unwrap();
        assert!(["naïve \u{1F600}", "by tchu-tchu"].contains(&reply.status.as_str()), "{}", reply.status);
    }
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.handled, counts.dead_lettered), (2, 0));
    assert!(counts.passed_over >= 2, "{counts:?}");
    assert!(seeing.try_recv().is_err());
}

#[tokio::test]
async fn a_call_in_both_names_finds_the_one_worker_that_serves_it() {
    for package in ["celery-salt", "tchu-tchu"] {
        let world = World::rabbitmq();
        let _worker =
            if package == "tchu-tchu" { tchu_worker(&world).await } else { salt_worker(&world, "salt_handlers").await };
        let caller = world.builder("pulse").await.task_name(TaskName::Both).connect().await.unwrap();
        for i in 0..3 {
            let reply = get(&format!("RA-{i}")).call(&caller).await.unwrap();
            assert_eq!(reply.status == "by tchu-tchu", package == "tchu-tchu");
        }
    }
}

#[tokio::test]
async fn a_worker_that_does_not_know_the_task_does_not_spoil_a_call() {
    let world = World::rabbitmq();
    let (_salt, _tchu) = tokio::join!(salt_worker(&world, "salt_handlers"), tchu_worker(&world));
    for (name, status) in [(TaskName::CelerySalt, "naïve \u{1F600}"), (TaskName::TchuTchu, "by tchu-tchu")] {
        let caller = world.builder("caller").await.task_name(name).connect().await.unwrap();
        for i in 0..10 {
            let reply = get(&format!("RA-{i}")).call(&caller).await.unwrap();
            assert_eq!(reply.status, status, "{name:?}, call {i}");
        }
    }
}

#[tokio::test]
async fn a_rust_service_of_every_topic_passes_over_the_second_hops_of_workers() {
    let world = World::rabbitmq();
    let mut worker = tchu_worker(&world).await;
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: AnyEvent| {
        seen.send(event["identifier"].clone()).unwrap();
        async {}
    };
    let running = world.salt("audit").await.service().on_topic("#", handler).start().await.unwrap();
    world.publisher("contracts").await.close().await;
    let tchu = world.builder("pulse").await.task_name(TaskName::TchuTchu).connect().await.unwrap();
    for identifier in ["one", "two"] {
        tagged(identifier).publish(&tchu).await.unwrap();
        assert_eq!(within(seeing.recv()).await.unwrap(), identifier);
        assert_eq!(worker.says().await["fields"]["identifier"], identifier);
    }
    // The worker's second hops come when it gets to them.
    within(running.counted(|counts| counts.passed_over >= 2)).await;
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.handled, counts.dead_lettered), (2, 0), "{counts:?}");
}

#[tokio::test]
async fn without_settings_all_meet_on_one_exchange() {
    let world = World::rabbitmq();
    // A service of that exchange, with a queue of its own.
    let queue = world.foreign_queue("salt");
    let mut worker = Peer::start_on(DEFAULT_EXCHANGE, &world, "salt_worker.py", &[&queue, "salt_handlers"]).await;
    let mut client = Peer::start_on(DEFAULT_EXCHANGE, &world, "salt_client.py", &[]).await;
    let salt = world.builder("pulse").await.exchange(DEFAULT_EXCHANGE).connect().await.unwrap();
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: TaggedItemCreated| {
        seen.send(event.identifier).unwrap();
        async {}
    };
    let running = salt.service().on(handler).start().await.unwrap();
    // Others may use the exchange at the same time, so events are told apart by their names.
    let (from_rust, from_python) = (world.service_name("from-rust"), world.service_name("from-python"));
    tagged(&from_rust).publish(&salt).await.unwrap();
    let fields = crate::tagged_fields(&from_python);
    let said =
        client.ask(json!({"do": "publish", "event": "TaggedItemCreated", "by": "celery", "fields": fields})).await;
    assert!(said["done"].is_string(), "{said}");
    let (mut rust, mut python) = (Vec::new(), Vec::new());
    for expected in [&from_rust, &from_python] {
        while !rust.contains(expected) {
            rust.push(within(seeing.recv()).await.unwrap());
        }
        while !python.contains(expected) {
            python.push(worker.says().await["fields"]["identifier"].as_str().unwrap_or_default().to_owned());
        }
    }
    running.shutdown().await;
}
