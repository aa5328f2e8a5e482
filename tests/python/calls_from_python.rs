//! Python calls, Rust answers over `rpc://` and by way of Redis.

use celerysalt::{HandlerError, Rest, Running, ServeError};
use celerysalt_reference::events::{GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse};
use celerysalt_tests::{World, python::Peer, within};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{get, salt_client, tchu_client};

crate::on_each_backend!(
    celery_salts_caller_gets_responses_errors_and_failures,
    a_request_from_python_that_waited_too_long_is_not_run,
    tchu_tchus_caller_gets_responses_errors_and_failures,
    a_request_from_tchu_tchu_that_waited_too_long_is_a_timeout,
);

/// A server of one request at a time. It says what it is asked, and holds a request `holds` until it is told to go on.
struct Server {
    running: Running,
    asked: mpsc::UnboundedReceiver<String>,
    go_on: mpsc::UnboundedSender<()>,
}

async fn server(world: &World) -> Server {
    let (ask, asked) = mpsc::unbounded_channel();
    let (go_on, going) = mpsc::unbounded_channel();
    let going = std::sync::Arc::new(tokio::sync::Mutex::new(going));
    let handler = move |request: GetRiskAssessment| {
        ask.send(request.assessment_id.clone()).unwrap();
        let going = std::sync::Arc::clone(&going);
        async move {
            if request.assessment_id == "holds" {
                within(going.lock_owned().await.recv()).await.unwrap();
            }
            answer(request.assessment_id)
        }
    };
    let running = world.publisher("pulse").await.service().concurrency(1).serve(handler).start().await.unwrap();
    Server { running, asked, go_on }
}

fn answer(id: String) -> Result<GetRiskAssessmentResponse, ServeError<GetRiskAssessmentError>> {
    match id.as_str() {
        "fails" => Err(HandlerError::new("the database is away \u{1F600}").into()),
        "declined" => Err(GetRiskAssessmentError {
            error_code: "NOT_FOUND".to_owned(),
            error_message: "no such assessment \u{1F600}".to_owned(),
            details: Some(json!({"asked": id}).as_object().unwrap().clone()),
            rest: Rest::default(),
        }
        .into()),
        _ => Ok(GetRiskAssessmentResponse {
            // Which the contract does not allow of "endless".
            risk_score: if id == "endless" { f64::INFINITY } else { 8.5 },
            assessment_id: id,
            status: "naïve \u{1F600}".to_owned(),
            rest: Rest::default(),
        }),
    }
}

fn call(event: &str, fields: Value) -> Value {
    json!({"do": "call", "event": event, "fields": fields})
}

fn asks(id: &str) -> Value {
    json!({"assessment_id": id})
}

/// What the client's exception says.
async fn raised(client: &mut Peer, order: Value, exception: &str) -> String {
    let said = client.ask(order).await;
    assert_eq!(said["raised"], exception, "{said}");
    said["text"].as_str().unwrap().to_owned()
}

async fn celery_salts_caller_gets_responses_errors_and_failures(world: &World) {
    let server = server(world).await;
    let mut client = salt_client(world).await;
    let class = "GetRiskAssessment";

    let response = json!({"assessment_id": "RA-1 \u{1F600}", "risk_score": 8.5, "status": "naïve \u{1F600}"});
    let said = client.ask(call(class, asks("RA-1 \u{1F600}"))).await;
    assert_eq!(said, json!({"done": {"type": "Response", "fields": response}}));

    let error = json!({
        "error_code": "NOT_FOUND", "error_message": "no such assessment \u{1F600}", "details": {"asked": "declined"},
    });
    let said = client.ask(call(class, asks("declined"))).await;
    assert_eq!(said, json!({"done": {"type": "Error", "fields": error}}));

    let text = raised(&mut client, call(class, asks("fails")), "PublishError").await;
    assert!(text.contains("the database is away \u{1F600}"), "{text}");

    let text = raised(&mut client, call("GetRiskAssessmentV2", asks("RA-2")), "PublishError").await;
    assert!(text.contains("No handlers found for routing key 'rpc.pulse.risk.get'"), "{text}");

    let text = raised(&mut client, call("CarelessRequest", json!({"assessment_id": 987_654})), "PublishError").await;
    assert!(text.contains("/assessment_id") && text.contains("string"), "{text}");
    assert!(!text.contains("987654"), "the value is in it: {text}");

    let text = raised(&mut client, call(class, asks("endless")), "PublishError").await;
    assert!(text.contains("/risk_score"), "{text}");

    assert!(client.ask(call(class, asks("RA-3"))).await["done"].is_object());
    assert_eq!(server.running.shutdown().await.counts.handled, 7);
}

async fn a_request_from_python_that_waited_too_long_is_not_run(world: &World) {
    let mut server = server(world).await;
    let mut client = salt_client(world).await;
    let caller = world.salt("caller").await;
    let held = tokio::spawn(async move { get("holds").call(&caller).await.map(|reply| reply.assessment_id.clone()) });
    assert_eq!(within(server.asked.recv()).await.unwrap(), "holds");
    let late = json!({"do": "call", "event": "GetRiskAssessment", "fields": asks("late"), "timeout": 1});
    let text = raised(&mut client, late, "TimeoutError").await;
    assert!(text.contains("No response received within 1 seconds"), "{text}");
    server.go_on.send(()).unwrap();
    assert_eq!(held.await.unwrap().unwrap(), "holds");
    assert!(client.ask(call("GetRiskAssessment", asks("RA-1"))).await["done"].is_object());
    assert_eq!(within(server.asked.recv()).await.unwrap(), "RA-1", "the late one was run");
    server.running.shutdown().await;
}

async fn tchu_tchus_caller_gets_responses_errors_and_failures(world: &World) {
    let server = server(world).await;
    let mut client = tchu_client(world).await;
    let call = |id: &str| json!({"do": "call", "topic": "rpc.pulse.risk.get", "fields": {"assessment_id": id}});

    let response = json!({"assessment_id": "RA-1", "risk_score": 8.5, "status": "naïve \u{1F600}"});
    assert_eq!(client.ask(call("RA-1")).await, json!({"done": response}));
    // Its events tell an error by its `error_code`.
    let said = client.ask(call("declined")).await;
    assert_eq!(said["done"]["error_code"], "NOT_FOUND", "{said}");
    assert_eq!(said["done"]["error_message"], "no such assessment \u{1F600}", "{said}");
    let text = raised(&mut client, call("fails"), "PublishError").await;
    assert!(text.contains("the database is away"), "{text}");
    let text = raised(&mut client, call("endless"), "PublishError").await;
    assert!(text.contains("/risk_score"), "{text}");
    server.running.shutdown().await;
}

/// tchu-tchu gives its requests no expiry, so a late one is run, and its answer is for nobody.
async fn a_request_from_tchu_tchu_that_waited_too_long_is_a_timeout(world: &World) {
    let mut server = server(world).await;
    let mut client = tchu_client(world).await;
    let call = |id: &str, timeout: u32| json!({"do": "call", "topic": "rpc.pulse.risk.get", "fields": {"assessment_id": id}, "timeout": timeout});
    let caller = world.salt("caller").await;
    let held = tokio::spawn(async move { get("holds").call(&caller).await.map(|reply| reply.assessment_id.clone()) });
    assert_eq!(within(server.asked.recv()).await.unwrap(), "holds");
    raised(&mut client, call("late", 1), "TimeoutError").await;
    server.go_on.send(()).unwrap();
    assert_eq!(held.await.unwrap().unwrap(), "holds");
    assert!(client.ask(call("RA-1", 30)).await["done"].is_object());
    assert_eq!(within(server.asked.recv()).await.unwrap(), "late");
    assert_eq!(within(server.asked.recv()).await.unwrap(), "RA-1");
    server.running.shutdown().await;
}
