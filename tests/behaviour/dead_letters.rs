//! What can't be handled is kept, with the reason, and the service goes on.

use celerysalt::{AnyEvent, HandlerError, Rest, service::Retry};
use celerysalt_reference::events::{RiskAssessmentCreated, UserCreated};
use celerysalt_tests::{World, header, no_headers, within};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::on_each_broker;

on_each_broker!(
    a_handler_that_fails_or_panics_loses_nothing,
    what_is_no_event_is_kept_with_the_reason,
    what_the_contract_refuses_is_kept_with_the_pointers,
    what_the_registry_does_not_know_is_kept,
    a_python_workers_second_hop_is_passed_over,
    a_failed_handler_does_not_stop_the_others,
);

async fn a_handler_that_fails_or_panics_loses_nothing(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: UserCreated| {
        let seen = seen.clone();
        async move {
            match event.user_id.as_i64() {
                Some(1) => return Err(HandlerError::new("the mail server is away")),
                Some(2) => {
                    "no number".parse::<u8>()?;
                }
                Some(3) => panic!("at the disco"),
                _ => seen.send(event.user_id).unwrap(),
            }
            Ok(())
        }
    };
    let running = subscriber.service().retry(Retry::never()).on(handler).start().await.unwrap();
    for user_id in 1..=4 {
        UserCreated { user_id: user_id.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
            .publish(&publisher)
            .await
            .unwrap();
    }
    assert_eq!(within(seeing.recv()).await, Some(4.into()));
    let mut letters = world.dead_letters("mail", 3).await;
    letters.sort_by_key(|letter| header(letter, "x-celerysalt-detail").to_owned());
    let reasons: Vec<(&str, &str)> = letters
        .iter()
        .map(|letter| (header(letter, "x-celerysalt-reason"), header(letter, "x-celerysalt-detail")))
        .collect();
    assert_eq!(
        reasons,
        [
            ("handler-panicked", "at the disco"),
            ("handler-failed", "invalid digit found in string"),
            ("handler-failed", "the mail server is away"),
        ]
    );
    for letter in &letters {
        assert_eq!(header(letter, "x-celerysalt-topic"), "auth.user.created");
        assert_eq!(header(letter, "x-celerysalt-version"), "v1");
        assert_eq!(header(letter, "x-celerysalt-exchange"), world.exchange());
        assert_eq!(header(letter, "x-celerysalt-service"), world.service_name("mail"));
        assert!(header(letter, "x-celerysalt-handler").contains("dead_letters"));
        // The message itself is whole: its own headers, its own body.
        assert_eq!(header(letter, "task"), "celery_salt.dispatch_event");
        let body: Value = serde_json::from_slice(&letter.body).unwrap();
        assert!(body[0][0].as_str().unwrap().contains("a@example.com"));
    }
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.received, counts.handled, counts.dead_lettered), (4, 1, 3));
}

async fn what_is_no_event_is_kept_with_the_reason(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: AnyEvent| {
        seen.send(event).unwrap();
        async {}
    };
    let running = subscriber.service().on_topic("auth.user.created", handler).start().await.unwrap();
    let task = json!({"task": "celery_salt.dispatch_event", "id": "1"});
    let deep = format!("[[{}{}],{{}},{{}}]", "[".repeat(100_000), "]".repeat(100_000));
    let inner_deep = json!([[format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000))], {"routing_key": "auth.user.created"}, {}]);
    let cases: Vec<(Value, Vec<u8>, &str)> = vec![
        (no_headers(), b"hello".to_vec(), "no JSON"),
        (task.clone(), Vec::new(), "empty"),
        (task.clone(), b"[[\"\xff\xfe\"],{},{}]".to_vec(), "not UTF-8"),
        (task.clone(), deep.into_bytes(), "nested deeper"),
        (task.clone(), inner_deep.to_string().into_bytes(), "nested deeper"),
        (task.clone(), b"[[\"{}\"],{}]".to_vec(), "protocol 2"),
        (no_headers(), b"{\"id\": \"1\"}".to_vec(), "protocol 1"),
        (no_headers(), b"[[\"{}\"],{},{}]".to_vec(), "header `task`"),
        (task.clone(), b"[[\"[1,2]\"],{},{}]".to_vec(), "not a JSON object"),
        (task.clone(), b"[[\"{\\\"a\\\": NaN}\"],{},{}]".to_vec(), "NaN"),
        (task, b"[[\"{\\\"_tchu_meta\\\": 7}\"],{},{}]".to_vec(), "_tchu_meta"),
        (json!({"task": "billing.charge", "id": "1"}), b"[[\"{}\"],{},{}]".to_vec(), "task name"),
    ];
    for (headers, body, expected) in cases {
        world.send_raw("auth.user.created", headers, body.clone()).await;
        let letter = world.dead_letters("mail", 1).await.remove(0);
        assert_eq!(header(&letter, "x-celerysalt-reason"), "not-an-event", "{expected}");
        let detail = header(&letter, "x-celerysalt-detail");
        assert!(detail.contains(expected), "{expected}: {detail}");
        assert_eq!(letter.body, body, "{expected}: the body is kept as it came");
        assert_eq!(header(&letter, "x-celerysalt-routing-key"), "auth.user.created");
    }
    UserCreated { user_id: 4.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
        .publish(&publisher)
        .await
        .unwrap();
    assert_eq!(within(seeing.recv()).await.unwrap()["user_id"], 4, "the service goes on");
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.received, counts.handled, counts.dead_lettered), (13, 1, 12));
}

async fn what_the_contract_refuses_is_kept_with_the_pointers(world: &World) {
    let _publisher = world.publisher("pulse").await;
    let (typed, untyped) = (world.salt("typed").await, world.salt("untyped").await);
    let typed = typed.service().on(|_: RiskAssessmentCreated| async {}).start().await.unwrap();
    let untyped = untyped.service().on_topic("pulse.#", |_: AnyEvent| async {}).start().await.unwrap();
    let payload = json!({"assessment_id": "RA-1", "company_id": "secret", "risk_score": 99});
    world.send_event("pulse.risk.created", json!({"version": "v1"}), &payload).await;
    for service in ["typed", "untyped"] {
        let letter = world.dead_letters(service, 1).await.remove(0);
        assert_eq!(header(&letter, "x-celerysalt-reason"), "invalid");
        let mut pointers: Vec<&str> =
            letter.headers["x-celerysalt-pointers"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
        pointers.sort_unstable();
        assert_eq!(pointers, ["/company_id", "/risk_score"]);
        let detail = header(&letter, "x-celerysalt-detail");
        assert!(!detail.contains("secret") && !detail.contains("99"), "no value in {detail}");
    }
    typed.shutdown().await;
    untyped.shutdown().await;
}

async fn what_the_registry_does_not_know_is_kept(world: &World) {
    let subscriber = world.salt("mail").await;
    let running = subscriber.service().on_topic("secret.#", |_: AnyEvent| async {}).start().await.unwrap();
    world.send_event("secret.plan", json!({"version": "v1"}), &json!({})).await;
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(header(&letter, "x-celerysalt-reason"), "unknown-contract");
    running.shutdown().await;
}

async fn a_python_workers_second_hop_is_passed_over(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("audit").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: AnyEvent| {
        seen.send(event.topic().to_owned()).unwrap();
        async {}
    };
    let running = subscriber.service().concurrency(1).on_raw("#", handler).start().await.unwrap();
    let headers = json!({"task": "tchu_tchu.handler.on_user", "id": "1"});
    world.send_raw("some_queue", headers, "[[{\"user_id\": 0}], {}, {}]").await;
    UserCreated { user_id: 4.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
        .publish(&publisher)
        .await
        .unwrap();
    assert_eq!(within(seeing.recv()).await.unwrap(), "auth.user.created");
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.passed_over, counts.handled, counts.dead_lettered), (1, 1, 0));
}

async fn a_failed_handler_does_not_stop_the_others(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let running = subscriber
        .service()
        .on(|_: UserCreated| async { Err::<(), _>(HandlerError::reject("first")) })
        .on(move |_: UserCreated| {
            seen.send(()).unwrap();
            async {}
        })
        .start()
        .await
        .unwrap();
    UserCreated { user_id: 4.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
        .publish(&publisher)
        .await
        .unwrap();
    within(seeing.recv()).await.unwrap();
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(header(&letter, "x-celerysalt-detail"), "first");
    running.shutdown().await;
}
