//! One line a delivery, and nothing of a payload anywhere.

use std::time::Duration;

use celerysalt::{
    HandlerError, Meta, Rest,
    service::{Retry, Shutdown},
};
use celerysalt_reference::events::{
    GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse, RiskAssessmentCreated, UserCreated,
};
use celerysalt_tests::{World, within};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::seen::seen;

/// In every payload of these tests, in one of its strings.
const SECRET: &str = "s3cr3t-0f-a-payl0ad";

fn user(user_id: i64) -> UserCreated {
    UserCreated { user_id: user_id.into(), email: format!("{SECRET}@example.com"), rest: Rest::default() }
}

/// What a handler of this name is called in the log.
fn names(line: &Value, handler: &str) -> bool {
    line["handlers"].as_str().unwrap().contains(handler)
}

/// The line of the message with this id that ended so.
fn line<'l>(lines: &'l [Value], id: &str, outcome: &str) -> &'l Value {
    let found = lines.iter().find(|line| line["message_id"] == id && line["outcome"] == outcome);
    found.unwrap_or_else(|| panic!("no line of {id} {outcome} in {lines:#?}"))
}

async fn fails_twice(_: UserCreated, meta: Meta) -> Result<(), HandlerError> {
    match meta.tries {
        1 | 2 => Err(HandlerError::new("not now")),
        _ => Ok(()),
    }
}

async fn rejects(_: RiskAssessmentCreated) -> Result<(), HandlerError> {
    Err(HandlerError::reject("never"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_delivery_is_one_line_that_says_what_became_of_it() {
    let seen = seen();
    let world = World::rabbitmq();
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let retry = Retry::exponential(Duration::from_millis(1)).tries(3);
    let service = subscriber.service().retry(retry).on(fails_twice).on(rejects);
    let running = service.start().await.unwrap();
    let tried = user(1).publish(&publisher).correlation_id("order-7").await.unwrap();
    let risk = RiskAssessmentCreated::builder().assessment_id(SECRET).company_id(1).risk_score(1.0).build().unwrap();
    let rejected = risk.publish(&publisher).await.unwrap();
    // What no contract accepts, and what is no event at all.
    let invalid = json!({"user_id": SECRET, "email": 17});
    world.send_event("auth.user.created", json!({"version": "v1"}), &invalid).await;
    world.send_raw("auth.user.created", json!({"task": "x", "id": "no-event"}), SECRET).await;
    assert_eq!(world.dead_letters("mail", 3).await.len(), 3);
    within(running.counted(|counts| counts.handled == 1)).await;
    let Shutdown { counts, .. } = running.shutdown().await;
    let lines = seen.deliveries(&world.service_name("mail"));
    assert_eq!((counts.received, lines.len() as u64), (6, 6), "{lines:#?}");

    let id = tried.to_string();
    let first = line(&lines, &id, "put-aside");
    assert_eq!(
        (&first["topic"], &first["version"], &first["queue"]),
        (&json!("auth.user.created"), &json!("v1"), &json!("events"))
    );
    assert_eq!((&first["correlation_id"], &first["because"]), (&json!("order-7"), &json!("retried")));
    assert!(names(first, "fails_twice") && !names(first, "rejects"));
    assert!(first["milliseconds"].as_f64().unwrap() > 0.0);
    assert_eq!(line(&lines, &id, "handled")["tries"], 3);
    let tries = lines.iter().filter(|line| line["message_id"] == id).count();
    assert_eq!(tries, 3);
    assert_eq!(line(&lines, &rejected.to_string(), "put-aside")["because"], "handler-failed");
    assert!(lines.iter().any(|line| line["because"] == "invalid"));
    assert!(lines.iter().any(|line| line["because"] == "not-an-event"));
    assert!(lines.iter().all(|line| line["level"] == "INFO"));
    assert_silent(&seen.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_one_line_too() {
    let seen = seen();
    let world = World::rabbitmq();
    let (caller, server) = (world.publisher("caller").await, world.publisher("pulse").await);
    let (told, mut telling) = mpsc::unbounded_channel();
    let handler = move |request: GetRiskAssessment, meta: Meta| {
        told.send(meta.message_id.unwrap()).unwrap();
        async move {
            let (assessment_id, status) = (request.assessment_id, SECRET.to_owned());
            Ok::<_, GetRiskAssessmentError>(GetRiskAssessmentResponse {
                assessment_id,
                risk_score: 1.0,
                status,
                rest: Rest::default(),
            })
        }
    };
    let running = server.service().serve(handler).start().await.unwrap();
    let request = GetRiskAssessment { assessment_id: SECRET.to_owned(), rest: Rest::default() };
    let reply = request.call(&caller).await.unwrap();
    assert_eq!(within(telling.recv()).await.as_deref(), Some(reply.message_id()));
    running.shutdown().await;
    let lines = seen.deliveries(&world.service_name("pulse"));
    assert_eq!(lines.len(), 1);
    let handled = line(&lines, reply.message_id(), "handled");
    assert_eq!((&handled["queue"], &handled["topic"]), (&json!("rpc"), &json!("rpc.pulse.risk.get")));
    assert_silent(&seen.text());
}

/// Whatever was logged, at whatever level and by whomever, nothing of a payload is in it.
fn assert_silent(log: &str) {
    let ours: Vec<&str> = log.lines().filter(|line| line.contains(SECRET)).collect();
    assert!(ours.is_empty(), "{ours:#?}");
    // A log that nothing is in would pass too.
    assert!(log.lines().any(|line| line.contains("\"DEBUG\"") && line.contains("celerysalt")));
}
