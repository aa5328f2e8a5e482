//! Answers by way of Redis, as Celery keeps them, and what happens while Redis is away.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

use std::time::Duration;

use celerysalt::{
    CallError, ConnectError, Rest, ResultBackendError, ServeError, TopicPattern,
    transport::{Binding, Deliveries, Message, QueueKind, QueueSpec, Routing},
};
use celerysalt_reference::events::{GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse};
use celerysalt_tests::{World, proxy::Proxy, redis_url, within};
use futures_util::StreamExt;
use redis::{AsyncCommands, Client, aio::MultiplexedConnection};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const TOPIC: &str = "rpc.pulse.risk.get";

fn get(id: &str) -> GetRiskAssessment {
    GetRiskAssessment { assessment_id: id.to_owned(), rest: Rest::default() }
}

async fn serve(request: GetRiskAssessment) -> Result<GetRiskAssessmentResponse, ServeError<GetRiskAssessmentError>> {
    Ok(GetRiskAssessmentResponse {
        assessment_id: request.assessment_id,
        risk_score: 8.5,
        status: "naïve".to_owned(),
        rest: Rest::default(),
    })
}

async fn redis() -> MultiplexedConnection {
    Client::open(redis_url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// In front of Redis, and the URL that leads through it.
async fn proxied() -> (Proxy, String) {
    let url: redis::ConnectionInfo = redis::IntoConnectionInfo::into_connection_info(redis_url()).unwrap();
    let proxy = Proxy::start(&url.addr().to_string()).await;
    let through = format!("redis://127.0.0.1:{}/{}", proxy.port, url.redis_settings().db());
    (proxy, through)
}

/// A request without a reply queue, as a caller sends it that reads results from Redis alone.
async fn ask(world: &World, id: &str, meta: Value) {
    let inner = json!({"assessment_id": "RA-1", "_tchu_meta": meta});
    let body = json!([[inner.to_string()], {"routing_key": TOPIC}, {}]).to_string();
    world.send_raw(TOPIC, json!({"task": "celery_salt.dispatch_event", "id": id}), body).await;
}

/// The answer to a request, once it is there.
async fn answer(connection: &mut MultiplexedConnection, id: &str) -> Value {
    let key = format!("celery-task-meta-{id}");
    let mut listening = Client::open(redis_url()).unwrap().get_async_pubsub().await.unwrap();
    listening.subscribe(&key).await.unwrap();
    let there: Option<String> = connection.get(&key).await.unwrap();
    let text: String = match there {
        Some(text) => text,
        None => within(listening.on_message().next()).await.unwrap().get_payload().unwrap(),
    };
    serde_json::from_str(&text).unwrap()
}

/// A server that answers as the test wants: its requests.
async fn foreign_server(world: &World) -> Deliveries {
    let name = world.foreign_queue("foreign");
    let pattern: TopicPattern = TOPIC.parse().unwrap();
    let bindings = vec![Binding { exchange: world.exchange(), pattern }];
    let queue = QueueSpec { name, kind: QueueKind::ClassicWithPriority(10), bindings, dead_letter: None };
    // Kept open by what it delivers to.
    let transport = Box::leak(Box::new(world.transport("foreign").await));
    transport.consume(&queue, 10).await.unwrap()
}

/// What Celery's worker leaves in Redis.
async fn leave(connection: &mut MultiplexedConnection, request: &Message, id: &str, value: Value) {
    let key = format!("celery-task-meta-{}", request.headers["id"].as_str().unwrap());
    let result = json!({"status": "completed", "results": [{"handler": "get", "status": "success", "result": value}]});
    let document = json!({"status": "SUCCESS", "result": result, "traceback": null, "children": [], "task_id": id});
    let () = redis::pipe()
        .atomic()
        .set_ex(&key, document.to_string(), 60)
        .publish(&key, document.to_string())
        .query_async(connection)
        .await
        .unwrap();
}

fn found(id: &str) -> Value {
    json!({"assessment_id": id, "risk_score": 1.5, "status": "left in Redis"})
}

#[tokio::test]
async fn an_answer_is_kept_as_celery_keeps_it() {
    let world = World::rabbitmq_and_redis();
    let running = world.publisher("pulse").await.service().serve(serve).start().await.unwrap();
    let mut connection = redis().await;
    for (meta, status, result) in [
        (
            json!({"is_rpc": true, "version": "v1"}),
            "SUCCESS",
            json!({"assessment_id": "RA-1", "risk_score": 8.5, "status": "naïve"}),
        ),
        (json!({"is_rpc": true, "version": "v7"}), "SUCCESS", Value::Null),
    ] {
        let id = uuid::Uuid::new_v4().to_string();
        ask(&world, &id, meta).await;
        let document = answer(&mut connection, &id).await;
        let mut names: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["children", "date_done", "result", "status", "task_id", "traceback"]);
        assert_eq!((&document["status"], &document["task_id"]), (&json!(status), &json!(id)));
        assert_eq!((&document["children"], &document["traceback"]), (&json!([]), &Value::Null));
        assert!(document["date_done"].as_str().unwrap().ends_with("+00:00"));
        assert_eq!(document["result"]["results"][0]["result"], result);
        let left: i64 = connection.ttl(format!("celery-task-meta-{id}")).await.unwrap();
        assert!((86_000..=86_400).contains(&left), "{left} s");
    }
    assert_eq!(running.shutdown().await.counts.handled, 2);
}

#[tokio::test]
async fn an_expired_request_is_answered_as_revoked() {
    let world = World::rabbitmq_and_redis();
    let running = world.publisher("pulse").await.service().serve(serve).start().await.unwrap();
    let id = uuid::Uuid::new_v4().to_string();
    let inner = json!({"assessment_id": "RA-1", "_tchu_meta": {"is_rpc": true, "version": "v1"}});
    let body = json!([[inner.to_string()], {"routing_key": TOPIC}, {}]).to_string();
    let past = "2020-01-01T00:00:00+00:00";
    world.send_raw(TOPIC, json!({"task": "celery_salt.dispatch_event", "id": id, "expires": past}), body).await;
    let document = answer(&mut redis().await, &id).await;
    assert_eq!((&document["status"], &document["result"]["exc_type"]), (&json!("REVOKED"), &json!("TaskRevokedError")));
    running.shutdown().await;
}

#[tokio::test]
async fn a_caller_takes_the_answer_from_wherever_it_comes() {
    let world = World::rabbitmq_and_redis();
    let mut requests = foreign_server(&world).await;
    let caller = world.salt("caller").await;
    let mut connection = redis().await;
    for by_redis in [true, false, true] {
        let calling = caller.clone();
        let call = tokio::spawn(async move { get("RA-1").call(&calling).await.map(celerysalt::Reply::into_inner) });
        let request = within(requests.next()).await.unwrap().unwrap();
        let id = request.message.headers["id"].as_str().unwrap().to_owned();
        if by_redis {
            leave(&mut connection, &request.message, &id, found("RA-1")).await;
        } else {
            let result = json!({"status": "completed", "results": [{"status": "success", "result": found("RA-1")}]});
            let reply = Message {
                routing_key: request.message.properties.reply_to.clone().unwrap(),
                body: json!({"status": "SUCCESS", "result": result, "task_id": id}).to_string().into(),
                ..Message::default()
            };
            let transport = world.transport("foreign").await;
            assert_eq!(transport.send(reply).await.unwrap().await.unwrap(), Routing::Routed);
        }
        let reply = within(call).await.unwrap().unwrap();
        assert_eq!((reply.assessment_id.as_str(), reply.risk_score), ("RA-1", 1.5));
        request.ack().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_answer_is_told_and_what_is_not_final_is_waited_out() {
    let world = World::rabbitmq_and_redis();
    let mut requests = foreign_server(&world).await;
    let caller = world.salt("caller").await;
    let mut connection = redis().await;
    let failed = json!({"exc_type": "KeyError", "exc_message": ["a"], "exc_module": "builtins"});
    let cases = [
        (json!({"status": "FAILURE", "result": failed}).to_string(), "task failed"),
        ("{\"status\": \"SUCCESS\", \"result\": NaN}".to_owned(), "unreadable"),
        (json!({"status": "SUCCESS", "result": {"status": "no_handlers", "routing_key": TOPIC}}).to_string(), "nobody"),
        (
            json!({"status": "SUCCESS", "result": {"status": "completed", "results": [{"status": "error", "error": "boom"}]}})
                .to_string(),
            "handler failed",
        ),
    ];
    for (document, outcome) in cases {
        let calling = caller.clone();
        let call = tokio::spawn(async move { get("RA-1").call(&calling).await.map(drop) });
        let request = within(requests.next()).await.unwrap().unwrap();
        let key = format!("celery-task-meta-{}", request.message.headers["id"].as_str().unwrap());
        let not_yet = [
            json!({"status": "STARTED", "result": null}),
            json!({"status": "FAILURE", "result": {"exc_type": "NotRegistered", "exc_message": [], "exc_module": "c"}}),
        ];
        for not_yet in not_yet {
            let _: i64 = connection.publish(&key, not_yet.to_string()).await.unwrap();
        }
        let _: i64 = connection.publish(&key, document).await.unwrap();
        let error = within(call).await.unwrap().unwrap_err();
        let told = match &error {
            CallError::TaskFailed { kind, message, .. } if kind == "KeyError" && message == "a" => "task failed",
            CallError::InvalidReply { .. } => "unreadable",
            CallError::NoHandler { .. } => "nobody",
            CallError::HandlerFailed { message, .. } if message == "boom" => "handler failed",
            _ => panic!("{error:?}"),
        };
        assert_eq!(told, outcome);
        request.ack().await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_came_while_the_connection_was_lost_is_fetched() {
    let world = World::rabbitmq_and_redis();
    let (proxy, url) = proxied().await;
    let mut requests = foreign_server(&world).await;
    let caller = world.builder("caller").await.result_backend(url).connect().await.unwrap();
    let mut connection = redis().await;
    for _ in 0..3 {
        let calling = caller.clone();
        let call = tokio::spawn(async move { get("RA-1").call(&calling).await.map(celerysalt::Reply::into_inner) });
        let request = within(requests.next()).await.unwrap().unwrap();
        proxy.refuse();
        let id = request.message.headers["id"].as_str().unwrap().to_owned();
        leave(&mut connection, &request.message, &id, found("RA-1")).await;
        proxy.pass();
        assert_eq!(within(call).await.unwrap().unwrap().status, "left in Redis");
        request.ack().await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_went_silent_is_noticed() {
    let world = World::rabbitmq_and_redis();
    let (proxy, url) = proxied().await;
    let mut requests = foreign_server(&world).await;
    let caller = world.builder("caller").await.result_backend(url).connect().await.unwrap();
    let call = tokio::spawn(async move { get("RA-1").call(&caller).timeout(Duration::from_mins(1)).await.map(drop) });
    let request = within(requests.next()).await.unwrap().unwrap();
    proxy.freeze();
    let id = request.message.headers["id"].as_str().unwrap().to_owned();
    leave(&mut redis().await, &request.message, &id, found("RA-1")).await;
    // It asks whether anybody is there, and then tries another connection.
    let before = proxy.connections();
    within(proxy.holds(|connections| *connections > before)).await;
    proxy.pass();
    assert!(within(call).await.unwrap().is_ok());
    request.ack().await.unwrap();
}

#[tokio::test]
async fn while_redis_is_away_calls_are_answered_by_the_reply_queue_and_a_timeout_says_why() {
    let world = World::rabbitmq_and_redis();
    let (proxy, url) = proxied().await;
    proxy.refuse();
    let url = url.replace("redis://", "redis://ann:s3cret@");
    // Away when it starts is no reason not to start.
    let caller = world.builder("caller").await.result_backend(url).connect().await.unwrap();
    let server = world.builder("pulse").await.result_backend("rpc://").connect().await.unwrap();
    let running = server.service().serve(serve).start().await.unwrap();
    for _ in 0..3 {
        assert_eq!(get("RA-1").call(&caller).await.unwrap().status, "naïve");
    }
    running.shutdown().await;
    // Now nobody takes it, and the answer might be in Redis.
    match get("RA-1").call(&caller).timeout(Duration::from_millis(500)).await {
        Err(error @ CallError::ResultBackend { .. }) => {
            let text = error.to_string();
            assert!(text.contains("unavailable") && !text.contains("s3cret"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_waits_until_redis_is_back() {
    let world = World::rabbitmq_and_redis();
    let (proxy, url) = proxied().await;
    let server = world.builder("pulse").await.result_backend(url).connect().await.unwrap();
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |request: GetRiskAssessment| {
        seen.send(()).unwrap();
        serve(request)
    };
    let running = server.service().serve(handler).start().await.unwrap();
    let mut connection = redis().await;
    for _ in 0..2 {
        proxy.refuse();
        let id = uuid::Uuid::new_v4().to_string();
        ask(&world, &id, json!({"is_rpc": true, "version": "v1"})).await;
        within(seeing.recv()).await.unwrap();
        proxy.pass();
        assert_eq!(answer(&mut connection, &id).await["status"], "SUCCESS");
    }
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.received, counts.handled), (2, 2));
    assert!(seeing.try_recv().is_err(), "a handler ran twice for one answer");
}

#[tokio::test]
async fn a_wrong_password_is_refused_at_once_and_not_shown() {
    let world = World::rabbitmq();
    let url = redis_url().replace("redis://", "redis://nobody-of-that-name:s3cret@");
    match world.builder("caller").await.result_backend(url).connect().await {
        Err(error @ ConnectError::ResultBackend(ResultBackendError::Refused { .. })) => {
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
        other => panic!("{other:?}"),
    }
    let error = world.builder("caller").await.result_backend("db+sqlite:///results").connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::ResultBackend(ResultBackendError::Url { .. })), "{error:?}");
}
