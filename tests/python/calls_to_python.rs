//! Rust calls, Python answers over `rpc://` and by way of Redis.

use std::time::Duration;

use celerysalt::{CallError, TaskName};
use celerysalt_reference::events::RiskAssessmentInformationRequest;
use celerysalt_tests::{World, python::Peer};
use serde_json::json;

use crate::{get, salt_worker, tchu_worker};

crate::on_each_backend!(
    celery_salts_server_answers_declines_and_fails,
    replies_that_the_contract_refuses_are_invalid,
    a_request_that_waited_too_long_for_a_busy_worker_is_not_run,
    a_request_that_expired_while_its_worker_was_away_is_not_run,
    tchu_tchus_server_answers_declines_and_fails,
    a_request_that_waited_too_long_for_tchu_tchu_is_not_run,
);

const SHORT: Duration = Duration::from_millis(300);

async fn celery_salts_server_answers_declines_and_fails(world: &World) {
    let mut worker = salt_worker(world, "salt_handlers").await;
    let caller = world.salt("caller").await;

    let reply = get("RA-1 \u{1F600}").call(&caller).await.unwrap();
    assert_eq!(reply.assessment_id, "RA-1 \u{1F600}");
    assert_eq!((reply.risk_score, reply.status.as_str()), (8.5, "naïve \u{1F600}"));
    assert_eq!(worker.says().await, json!({"handler": "get", "asked": "RA-1 \u{1F600}"}));

    match get("declined").call(&caller).await {
        Err(CallError::Declared(error)) => {
            assert_eq!(error.error_code, "NOT_FOUND");
            assert_eq!(error.error_message, "no such assessment");
            assert_eq!(json!(error.details), json!({"asked": "declined"}));
        }
        other => panic!("{other:?}"),
    }
    match get("fails").call(&caller).await {
        Err(CallError::HandlerFailed { topic, message }) => {
            assert_eq!((topic.as_str(), message.as_str()), ("rpc.pulse.risk.get", "the database is away"));
        }
        other => panic!("{other:?}"),
    }
    let request = RiskAssessmentInformationRequest::builder().identifier("RA-1").assessment_type("a").build().unwrap();
    match request.call(&caller).await {
        Err(CallError::NoHandler { topic, .. }) => assert_eq!(topic, "rpc.pulse.risk.information"),
        other => panic!("{other:?}"),
    }
    assert!(get("RA-2").call(&caller).await.is_ok());
}

async fn replies_that_the_contract_refuses_are_invalid(world: &World) {
    let _worker = salt_worker(world, "salt_handlers").await;
    let caller = world.salt("caller").await;
    for (id, raw) in [
        ("incomplete", json!({"assessment_id": "incomplete"})),
        ("list", json!([1, 2])),
        ("none", json!(null)),
        ("text", json!("as it is")),
    ] {
        match get(id).call(&caller).await {
            Err(CallError::InvalidReply { invalid, raw: got }) => {
                assert_eq!(*got, raw, "{id}");
                assert!(!invalid.violations().is_empty(), "{id}");
            }
            other => panic!("{id}: {other:?}"),
        }
    }
    // Python writes NaN, which is no JSON, so all of the reply is shown as it came.
    match get("not-a-number").call(&caller).await {
        Err(error @ CallError::InvalidReply { .. }) => {
            assert!(error.to_string().contains("NaN"), "{error}");
            let CallError::InvalidReply { raw, .. } = error else { unreachable!() };
            assert!(raw.as_str().unwrap().contains("\"risk_score\": NaN"), "{raw}");
        }
        other => panic!("{other:?}"),
    }
    assert!(get("RA-1").call(&caller).await.is_ok());
}

async fn a_request_that_waited_too_long_for_a_busy_worker_is_not_run(world: &World) {
    let mut worker = salt_worker(world, "salt_handlers").await;
    let caller = world.salt("caller").await;
    let patient = caller.clone();
    let held = tokio::spawn(async move { get("holds").call(&patient).await });
    assert_eq!(worker.says().await["asked"], "holds");
    match get("late").call(&caller).timeout(SHORT).await {
        Err(CallError::Timeout { timeout, .. }) => assert_eq!(timeout, SHORT),
        other => panic!("{other:?}"),
    }
    worker.tell(json!("go on")).await;
    assert_eq!(held.await.unwrap().unwrap().assessment_id, "holds");
    assert!(get("RA-1").call(&caller).await.is_ok());
    // Had the late one been run, that would be said first.
    assert_eq!(worker.says().await["asked"], "RA-1");
}

async fn a_request_that_expired_while_its_worker_was_away_is_not_run(world: &World) {
    let queue = world.foreign_queue("salt");
    let arguments = [queue.as_str(), "salt_handlers"];
    Peer::start(world, "salt_worker.py", &arguments).await.kill().await;
    let caller = world.salt("caller").await;
    let late = get("late").call(&caller).timeout(SHORT).await;
    assert!(matches!(late, Err(CallError::Timeout { .. })), "{late:?}");
    let mut worker = Peer::start(world, "salt_worker.py", &arguments).await;
    assert!(get("RA-1").call(&caller).await.is_ok());
    // Had the late one been run, that would be said first.
    assert_eq!(worker.says().await["asked"], "RA-1");
}

async fn tchu_tchus_server_answers_declines_and_fails(world: &World) {
    let _worker = tchu_worker(world).await;
    let caller = world.builder("caller").await.task_name(TaskName::TchuTchu).connect().await.unwrap();

    let reply = get("RA-1").call(&caller).await.unwrap();
    assert_eq!((reply.assessment_id.as_str(), reply.risk_score), ("RA-1", 2.5));
    // Its own form, with `success` and `error_details`, is read as the error that the contract declares.
    match get("declined").call(&caller).await {
        Err(CallError::Declared(error)) => {
            assert_eq!(error.error_code, "NOT_FOUND");
            assert_eq!(error.error_message, "no such assessment");
            assert_eq!(json!(error.details), json!({"asked": "declined"}));
        }
        other => panic!("{other:?}"),
    }
    match get("fails").call(&caller).await {
        Err(CallError::HandlerFailed { message, .. }) => assert_eq!(message, "the database is away"),
        other => panic!("{other:?}"),
    }
    for (id, raw) in [("list", json!([1, 2])), ("none", json!(null))] {
        match get(id).call(&caller).await {
            Err(CallError::InvalidReply { raw: got, .. }) => assert_eq!(*got, raw, "{id}"),
            other => panic!("{id}: {other:?}"),
        }
    }
}

async fn a_request_that_waited_too_long_for_tchu_tchu_is_not_run(world: &World) {
    let mut worker = tchu_worker(world).await;
    let caller = world.builder("caller").await.task_name(TaskName::TchuTchu).connect().await.unwrap();
    let patient = caller.clone();
    let held = tokio::spawn(async move { get("holds").call(&patient).await });
    assert_eq!(worker.says().await["asked"], "holds");
    let late = get("late").call(&caller).timeout(SHORT).await;
    assert!(matches!(late, Err(CallError::Timeout { .. })), "{late:?}");
    worker.tell(json!("go on")).await;
    assert_eq!(held.await.unwrap().unwrap().assessment_id, "holds");
    assert!(get("RA-1").call(&caller).await.is_ok());
    assert_eq!(worker.says().await["asked"], "RA-1");
}
