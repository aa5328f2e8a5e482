//! Messages and handlers that do what they should not: nothing spins, nothing is lost, nothing comes twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use celerysalt::{
    AnyEvent, CallError, HandlerError, PublishError, Rest, ServeError,
    transport::{Confirmation, Deliveries, Message, QueueSpec, Routing, Taken, Transport, TransportError},
};
use celerysalt_reference::events::{GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse, UserCreated};
use celerysalt_tests::{World, header, within};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::on_each_broker;

on_each_broker!(
    a_handler_that_panics_before_it_waits_is_run_once,
    a_server_that_panics_before_it_waits_tells_its_caller,
    an_id_that_no_reply_can_carry_is_no_request,
    a_request_that_failed_and_has_no_caller_is_kept,
    a_topic_that_is_none_is_kept_once,
    headers_that_fill_a_frame_are_kept,
    a_carbon_copy_is_not_made_of_a_dead_letter,
    a_version_that_cannot_be_read_is_not_taken_for_the_one_asked_for,
    a_raw_subscriber_cannot_ask_for_the_latest,
    a_payload_that_does_not_fit_the_handlers_own_type_is_not_quoted,
    what_no_reader_could_read_is_not_published,
    a_drain_without_end_is_no_panic,
    a_reply_that_is_refused_is_not_asked_for_again,
    a_reply_queue_that_is_lost_is_opened_again,
);

fn user(user_id: i64) -> UserCreated {
    UserCreated { user_id: user_id.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
}

/// Sends a message that no `Salt` would, to the queues that are bound for `topic`.
async fn send(world: &World, topic: &str, headers: Value, reply_to: Option<&str>, kwargs: Value, payload: &Value) {
    let Value::Object(headers) = headers else { panic!("headers are an object") };
    let body = json!([[payload.to_string()], kwargs, {}]).to_string();
    let mut message = Message {
        exchange: world.exchange(),
        routing_key: topic.to_owned(),
        headers: headers.into(),
        body: body.into(),
        ..Message::default()
    };
    message.properties.reply_to = reply_to.map(str::to_owned);
    let transport = world.transport("foreign").await;
    assert_eq!(transport.send(message).await.unwrap().await.unwrap(), Routing::Routed);
    transport.close().await;
}

fn task(id: &str) -> Value {
    json!({"task": "celery_salt.dispatch_event", "id": id})
}

async fn a_handler_that_panics_before_it_waits_is_run_once(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let runs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    let handler = move |event: UserCreated| {
        counted.fetch_add(1, Ordering::SeqCst);
        assert!(event.user_id < 0, "not before its future exists");
        async {}
    };
    let running = subscriber.service().on(handler).start().await.unwrap();
    user(1).publish(&publisher).await.unwrap();
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(header(&letter, "x-celerysalt-reason"), "handler-panicked");
    running.shutdown().await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

async fn a_server_that_panics_before_it_waits_tells_its_caller(world: &World) {
    let server = world.publisher("pulse").await;
    let handler = |request: GetRiskAssessment| {
        assert!(request.assessment_id.is_empty(), "not before its future exists");
        async { Err::<GetRiskAssessmentResponse, ServeError<GetRiskAssessmentError>>(HandlerError::new("").into()) }
    };
    let running = server.service().serve(handler).start().await.unwrap();
    let request = GetRiskAssessment { assessment_id: "RA-1".to_owned(), rest: Rest::default() };
    let error = request.call(&world.salt("caller").await).timeout(Duration::from_secs(5)).await.unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
    running.shutdown().await;
}

fn failing_server(
    runs: &Arc<AtomicU64>,
) -> impl Fn(GetRiskAssessment) -> std::future::Ready<Result<GetRiskAssessmentResponse, ServeError<GetRiskAssessmentError>>>
+ use<> {
    let runs = Arc::clone(runs);
    move |_: GetRiskAssessment| {
        runs.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Err(HandlerError::new("the database is away").into()))
    }
}

async fn an_id_that_no_reply_can_carry_is_no_request(world: &World) {
    let server = world.publisher("pulse").await;
    let runs = Arc::default();
    let running = server.service().serve(failing_server(&runs)).start().await.unwrap();
    let kwargs = json!({"routing_key": "rpc.pulse.risk.get"});
    let payload = json!({"assessment_id": "RA-1"});
    send(world, "rpc.pulse.risk.get", task(&"x".repeat(300)), Some("nobody"), kwargs, &payload).await;
    let letter = world.dead_letters("pulse", 1).await.remove(0);
    assert_eq!(header(&letter, "x-celerysalt-reason"), "not-an-event");
    running.shutdown().await;
    assert_eq!(runs.load(Ordering::SeqCst), 0);
}

async fn a_request_that_failed_and_has_no_caller_is_kept(world: &World) {
    let server = world.publisher("pulse").await;
    let runs = Arc::default();
    let running = server.service().serve(failing_server(&runs)).start().await.unwrap();
    let kwargs = json!({"routing_key": "rpc.pulse.risk.get"});
    for (reply_to, payload, reason) in [
        (None, json!({"assessment_id": "RA-1"}), "handler-failed"),
        (Some("gone"), json!({"assessment_id": "RA-1"}), "handler-failed"),
        (None, json!({"assessment_id": 17}), "invalid"),
    ] {
        send(world, "rpc.pulse.risk.get", task("1"), reply_to, kwargs.clone(), &payload).await;
        let letter = world.dead_letters("pulse", 1).await.remove(0);
        assert_eq!(header(&letter, "x-celerysalt-reason"), reason);
        assert_eq!(header(&letter, "x-celerysalt-topic"), "rpc.pulse.risk.get");
    }
    assert_eq!(running.shutdown().await.counts.dead_lettered, 3);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

async fn a_topic_that_is_none_is_kept_once(world: &World) {
    let subscriber = world.salt("mail").await;
    let running = subscriber.service().on(|_: UserCreated| async {}).start().await.unwrap();
    let topic = "x".repeat(300_000);
    let kwargs = json!({"routing_key": topic});
    send(world, "auth.user.created", task("1"), None, kwargs, &json!({"user_id": 1, "email": "a@b.c"})).await;
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(header(&letter, "x-celerysalt-reason"), "not-an-event");
    assert_eq!(running.shutdown().await.counts.received, 1);
}

async fn headers_that_fill_a_frame_are_kept(world: &World) {
    let subscriber = world.salt("mail").await;
    let running = subscriber.service().on(|_: UserCreated| async {}).start().await.unwrap();
    let mut headers = task("1");
    headers["tenant"] = "acme".into();
    headers["blob"] = "x".repeat(130_500).into();
    let kwargs = json!({"routing_key": "auth.user.created"});
    send(world, "auth.user.created", headers, None, kwargs, &json!({"user_id": "secret"})).await;
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(header(&letter, "x-celerysalt-reason"), "invalid");
    assert_eq!((header(&letter, "tenant"), header(&letter, "id")), ("acme", "1"));
    assert_eq!(running.shutdown().await.counts.received, 1);
}

async fn a_carbon_copy_is_not_made_of_a_dead_letter(world: &World) {
    let subscriber = world.salt("mail").await;
    let running = subscriber.service().on(|_: UserCreated| async {}).start().await.unwrap();
    let mut headers = task("1");
    headers["CC"] = json!([format!("celerysalt.{}.events", world.service_name("mail"))]);
    let kwargs = json!({"routing_key": "auth.user.created"});
    send(world, "auth.user.created", headers, None, kwargs, &json!({"user_id": "secret"})).await;
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(header(&letter, "x-celerysalt-reason"), "invalid");
    // A copy would stand in the queue before this one.
    world.send_event("auth.user.created", json!({}), &json!({"user_id": "last"})).await;
    world.dead_letters("mail", 1).await;
    assert_eq!(running.shutdown().await.counts.received, 2);
}

async fn a_version_that_cannot_be_read_is_not_taken_for_the_one_asked_for(world: &World) {
    let subscriber = world.salt("mail").await;
    let handler = |_: AnyEvent| async {};
    let running = subscriber.service().on_raw("auth.user.created@v1", handler).start().await.unwrap();
    world.send_event("auth.user.created", json!({"version": "v2-beta"}), &json!({})).await;
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(header(&letter, "x-celerysalt-reason"), "no-handler");
    world.send_event("auth.user.created", Value::Null, &json!({})).await;
    within(running.counted(|counts| counts.handled > 0)).await;
    running.shutdown().await;
}

async fn a_raw_subscriber_cannot_ask_for_the_latest(world: &World) {
    let subscriber = world.salt("mail").await;
    let handler = |_: AnyEvent| async {};
    let error = subscriber.service().on_raw("auth.user.created@latest", handler).start().await.unwrap_err();
    assert!(error.to_string().contains("on_topic"), "{error}");
}

async fn a_payload_that_does_not_fit_the_handlers_own_type_is_not_quoted(world: &World) {
    let subscriber = world.salt("mail").await;
    let handler = |event: AnyEvent| async move {
        event.deserialize::<std::collections::HashMap<String, u64>>()?;
        Ok::<(), HandlerError>(())
    };
    let running = subscriber.service().on_raw("#", handler).start().await.unwrap();
    world.send_event("auth.user.created", Value::Null, &json!({"iban": "DE-secret, expected DE-secret"})).await;
    let letter = world.dead_letters("mail", 1).await.remove(0);
    let detail = header(&letter, "x-celerysalt-detail");
    assert!(detail.contains("auth.user.created") && !detail.contains("secret"), "{detail}");
    running.shutdown().await;
}

async fn what_no_reader_could_read_is_not_published(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let running = subscriber.service().on_raw("#", |_: AnyEvent| async {}).start().await.unwrap();
    let nested = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({ "a": inner }));
    publisher.publish_json("a.b", nested(127)).unvalidated().await.unwrap();
    let refused = [
        publisher.publish_json("a.b", nested(128)).unvalidated(),
        publisher.publish_json("a.b", json!({"_tchu_meta": {}})).unvalidated(),
        publisher.publish_json("a.b", json!({})).unvalidated().header("compression", "gzip"),
        publisher.publish_json("a.b", json!({})).unvalidated().header("CC", json!(["elsewhere"])),
    ];
    for publish in refused {
        let outcome = publish.await;
        assert!(matches!(outcome, Err(PublishError::Option { .. })), "{outcome:?}");
    }
    within(running.counted(|counts| counts.received > 0)).await;
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.received, counts.dead_lettered), (1, 0));
}

async fn a_drain_without_end_is_no_panic(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let slow = |_: UserCreated| tokio::time::sleep(Duration::from_millis(300));
    let running = subscriber.service().on(slow).drain_timeout(Duration::MAX).start().await.unwrap();
    user(1).publish(&publisher).await.unwrap();
    within(running.counted(|counts| counts.received > 0)).await;
    assert_eq!(within(running.shutdown()).await.counts.handled, 1);
}

/// A transport that refuses large replies, and whose first reply queue is lost at once.
#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn Transport>,
    largest_reply: usize,
    lose_replies: AtomicU64,
}

#[async_trait::async_trait]
impl Transport for Faulty {
    async fn send(&self, message: Message) -> Result<Confirmation, TransportError> {
        if message.routing_key.starts_with("celerysalt.reply") && message.body.len() > self.largest_reply {
            return Err(TransportError::TooLarge { size: message.body.len(), limit: self.largest_reply });
        }
        self.inner.send(message).await
    }

    async fn declare(&self, queue: &QueueSpec) -> Result<(), TransportError> {
        self.inner.declare(queue).await
    }

    async fn consume(&self, queue: &QueueSpec, prefetch: u16) -> Result<Deliveries, TransportError> {
        self.inner.consume(queue, prefetch).await
    }

    async fn take(&self, queue: &str, most: usize) -> Result<Taken, TransportError> {
        self.inner.take(queue, most).await
    }

    async fn consume_replies(&self) -> Result<Deliveries, TransportError> {
        if self.lose_replies.swap(0, Ordering::SeqCst) == 0 {
            return self.inner.consume_replies().await;
        }
        let (sender, receiver) = mpsc::channel(1);
        sender.send(Err(TransportError::Closed)).await.unwrap();
        Ok(Deliveries::new("celerysalt.reply.lost".to_owned(), receiver, oneshot::channel().0))
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

async fn a_reply_that_is_refused_is_not_asked_for_again(world: &World) {
    let inner = world.transport("pulse").await;
    let faulty = Faulty { inner, largest_reply: 600, lose_replies: AtomicU64::new(0) };
    let server = world.builder("pulse").await.transport(Arc::new(faulty)).connect().await.unwrap();
    let runs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    let handler = move |request: GetRiskAssessment| {
        counted.fetch_add(1, Ordering::SeqCst);
        let status = "approved ".repeat(1_000);
        let response = GetRiskAssessmentResponse {
            assessment_id: request.assessment_id,
            risk_score: 1.0,
            status,
            rest: Rest::default(),
        };
        async { Ok::<_, GetRiskAssessmentError>(response) }
    };
    let running = server.service().serve(handler).start().await.unwrap();
    let caller = world.salt("caller").await;
    let request = GetRiskAssessment { assessment_id: "RA-1".to_owned(), rest: Rest::default() };
    let error = request.call(&caller).timeout(Duration::from_secs(10)).await.unwrap_err();
    assert!(error.to_string().contains("could not be sent"), "{error}");
    running.shutdown().await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

async fn a_reply_queue_that_is_lost_is_opened_again(world: &World) {
    let server = world.publisher("pulse").await;
    let declined = |_: GetRiskAssessment| async {
        let (error_code, error_message) = ("NOT_FOUND".to_owned(), "IBAN secret".to_owned());
        Err::<GetRiskAssessmentResponse, _>(GetRiskAssessmentError {
            error_code,
            error_message,
            details: None,
            rest: Rest::default(),
        })
    };
    let running = server.service().serve(declined).start().await.unwrap();
    let inner = world.transport("caller").await;
    let faulty = Faulty { inner, largest_reply: 0, lose_replies: AtomicU64::new(1) };
    let caller = world.builder("caller").await.transport(Arc::new(faulty)).connect().await.unwrap();
    let request = GetRiskAssessment { assessment_id: "RA-1".to_owned(), rest: Rest::default() };
    let lost = request.call(&caller).timeout(Duration::from_secs(10)).await.unwrap_err();
    assert!(matches!(lost, CallError::Transport { .. }), "{lost:?}");
    let answered = request.call(&caller).timeout(Duration::from_secs(10)).await.unwrap_err();
    assert_eq!(answered.to_string(), "the service declined: NOT_FOUND", "its code, and no value");
    running.shutdown().await;
}
