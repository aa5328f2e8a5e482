//! Events that follow from events through handlers; and what handlers can ask for besides their event.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use celerysalt::{
    AnyEvent, FollowUp, HandlerError, Headers, Invalid, Meta, Raw, Rest, Salt, StartError, State,
    service::{BoxError, Delivered, FromDelivery, Handled, Retry},
};
use celerysalt_reference::events::{
    GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse, OrderShipped, PaymentProcessed, UserCreated,
};
use celerysalt_tests::{World, header, within};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::on_each_broker;

on_each_broker!(
    what_a_handler_returns_is_published_before_its_ack,
    a_handler_fails_when_its_events_are_not_published,
    a_chain_through_handlers_comes_to_an_end,
    handlers_take_what_they_ask_for_in_any_order,
    a_handler_of_results_is_given_what_the_contract_refuses,
    a_handler_of_requests_asks_and_answers_what_is_refused,
    missing_state_is_told_at_the_start,
    layers_stand_around_every_handler,
    answers_are_kept_for_their_time,
);

fn user(user_id: i64) -> UserCreated {
    UserCreated { user_id: user_id.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
}

fn shipped(number: &str) -> OrderShipped {
    OrderShipped::builder().order_id("O-1").company_id(1).tracking_number(number).build().unwrap()
}

async fn what_a_handler_returns_is_published_before_its_ack(world: &World) {
    let (publisher, service) = (world.publisher("auth").await, world.salt("cascade").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let running = service
        .service()
        .on(|user: UserCreated| async move {
            let many = vec![shipped("first"), shipped("second")];
            let maybe = (user.user_id.as_i64() == Some(1)).then(|| FollowUp::new(shipped("third")));
            Ok::<_, HandlerError>((many, maybe))
        })
        .on(move |order: OrderShipped, meta: Meta| {
            let seen = seen.clone();
            async move { seen.send((order.tracking_number, meta.depth())).unwrap() }
        })
        .concurrency(1)
        .start()
        .await
        .unwrap();
    user(1).publish(&publisher).await.unwrap();
    for expected in ["first", "second", "third"] {
        assert_eq!(within(seeing.recv()).await.unwrap(), (expected.to_owned(), 1));
    }
    assert_eq!(running.shutdown().await.counts.handled, 4);
}

async fn a_handler_fails_when_its_events_are_not_published(world: &World) {
    let (publisher, service) = (world.publisher("auth").await, world.salt("cascade").await);
    let retry = Retry::exponential(Duration::from_millis(50)).tries(2);
    // Nobody subscribes to what it returns.
    let handler = |_: UserCreated| async { Some(shipped("nowhere")) };
    let running = service.service().retry(retry).on(handler).start().await.unwrap();
    user(1).publish(&publisher).await.unwrap();
    let letters = world.dead_letters("cascade", 1).await;
    assert_eq!(header(&letters[0], "x-celerysalt-reason"), "handler-failed");
    assert!(header(&letters[0], "x-celerysalt-detail").contains("orders.shipped: no queue is bound"));
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.handled, counts.retried, counts.dead_lettered), (0, 1, 1));
}

async fn a_chain_through_handlers_comes_to_an_end(world: &World) {
    let publisher = world.publisher("auth").await;
    let (seen, mut seeing) = mpsc::unbounded_channel();
    // Two services that answer each other.
    let ping = world.builder("ping").await.cascade_limit(6).connect().await.unwrap();
    let pong = world.builder("pong").await.cascade_limit(6).connect().await.unwrap();
    let told = seen.clone();
    let pinging = ping.service().on(move |_: UserCreated, meta: Meta, salt: Salt| {
        told.send(meta.depth()).unwrap();
        // By its own publish: that counts too.
        async move { shipped("ping").publish(&salt).await.map(drop) }
    });
    let ponging = pong.service().on(move |_: OrderShipped, meta: Meta| {
        seen.send(meta.depth()).unwrap();
        async move { user(1) }
    });
    let (pinging, ponging) = (pinging.start().await.unwrap(), ponging.start().await.unwrap());
    user(1).publish(&publisher).await.unwrap();
    for depth in 0..=6 {
        assert_eq!(within(seeing.recv()).await, Some(depth));
    }
    // At once, without another try: the next one would be as deep.
    let letters = world.dead_letters("ping", 1).await;
    assert!(header(&letters[0], "x-celerysalt-detail").contains("follows from more than 6 others"));
    assert_eq!(pinging.counts().retried, 0);
    pinging.shutdown().await;
    ponging.shutdown().await;
    assert!(seeing.try_recv().is_err());
}

/// An extractor of the service's own.
struct Tenant(String);

impl FromDelivery for Tenant {
    fn from_delivery(delivered: &Delivered) -> Result<Self, HandlerError> {
        let tenant = delivered.meta().headers.get("x-tenant").and_then(Value::as_str);
        tenant.map(|name| Self(name.to_owned())).ok_or_else(|| HandlerError::reject("no tenant"))
    }
}

type Seen = mpsc::UnboundedSender<(String, String, String, u32)>;

async fn all_of_them(
    order: OrderShipped,
    Tenant(tenant): Tenant,
    State(seen): State<Seen>,
    raw: Raw,
    headers: Headers,
    meta: Meta,
    salt: Salt,
) -> Result<(), HandlerError> {
    assert_eq!(headers.get("x-tenant").and_then(Value::as_str), Some(tenant.as_str()));
    assert!(salt.service_name().starts_with("asking"));
    seen.send((order.tracking_number, tenant, raw.text().to_owned(), meta.tries))?;
    Ok(())
}

async fn handlers_take_what_they_ask_for_in_any_order(world: &World) {
    let (publisher, service) = (world.publisher("orders").await, world.salt("asking").await);
    let (seen, mut seeing): (Seen, _) = mpsc::unbounded_channel();
    let running = service
        .service()
        .on(all_of_them)
        .on_raw("auth.#", |event: AnyEvent, raw: Raw, State(seen): State<Seen>| async move {
            assert_eq!(event.text(), raw.text());
            seen.send((event.topic().to_owned(), String::new(), String::new(), 0)).unwrap();
        })
        .state(seen)
        .state(7_u32)
        .start()
        .await
        .unwrap();
    shipped("T-1").publish(&publisher).header("x-tenant", "acme").await.unwrap();
    let (number, tenant, raw, tries) = within(seeing.recv()).await.unwrap();
    assert_eq!((number.as_str(), tenant.as_str(), tries), ("T-1", "acme", 1));
    assert_eq!(serde_json::from_str::<Value>(&raw).unwrap()["tracking_number"], json!("T-1"));
    user(7).publish(&publisher).await.unwrap();
    assert_eq!(within(seeing.recv()).await.unwrap().0, "auth.user.created");
    // An extractor that refuses is a handler that has failed.
    shipped("T-2").publish(&publisher).await.unwrap();
    let letters = world.dead_letters("asking", 1).await;
    assert_eq!(header(&letters[0], "x-celerysalt-detail"), "no tenant");
    running.shutdown().await;
}

async fn a_handler_of_results_is_given_what_the_contract_refuses(world: &World) {
    let (publisher, service) = (world.publisher("payments").await, world.salt("watch").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let (typed, by_topic) = (seen.clone(), seen);
    let running = service
        .service()
        .on(move |payment: Result<PaymentProcessed, Invalid>, meta: Meta| {
            let seen = typed.clone();
            async move { seen.send((meta.topic, payment.map(|p| p.payment_id).map_err(|e| e.to_string()))).unwrap() }
        })
        .on_topic("auth.user.created", move |user: Result<AnyEvent, Invalid>| {
            let seen = by_topic.clone();
            async move {
                let user = user.map(|user| user["user_id"].to_string()).map_err(|e| e.to_string());
                seen.send(("auth".to_owned(), user)).unwrap();
                Ok::<(), HandlerError>(())
            }
        })
        .start()
        .await
        .unwrap();
    let meta = || json!({"is_rpc": false, "version": "v1"});
    world
        .send_event("payments.processed", meta(), &json!({"payment_id": "P-1", "amount": -1, "currency": "EUR"}))
        .await;
    let (topic, refused) = within(seeing.recv()).await.unwrap();
    assert_eq!(topic, "payments.processed");
    assert!(refused.unwrap_err().contains("/amount"));
    world.send_event("auth.user.created", meta(), &json!({"user_id": "seven", "email": "a"})).await;
    assert!(within(seeing.recv()).await.unwrap().1.unwrap_err().contains("/user_id"));
    user(7).publish(&publisher).await.unwrap();
    assert_eq!(within(seeing.recv()).await.unwrap(), ("auth".to_owned(), Ok("7".to_owned())));
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.handled, counts.dead_lettered), (3, 0));
}

async fn a_handler_of_requests_asks_and_answers_what_is_refused(world: &World) {
    let (server, caller) = (world.publisher("risk").await, world.salt("dashboard").await);
    let answer = |request: Result<GetRiskAssessment, Invalid>, State(score): State<f64>, meta: Meta| async move {
        let status = if meta.is_rpc { "open" } else { "?" };
        match request {
            Ok(request) => Ok(GetRiskAssessmentResponse {
                assessment_id: request.assessment_id,
                risk_score: score,
                status: status.to_owned(),
                rest: Rest::default(),
            }),
            Err(invalid) => Err(GetRiskAssessmentError {
                error_code: "INVALID".to_owned(),
                error_message: invalid.to_string(),
                details: None,
                rest: Rest::default(),
            }),
        }
    };
    let running = server.service().serve(answer).state(4.5).start().await.unwrap();
    let request = GetRiskAssessment { assessment_id: "RA-1".to_owned(), rest: Rest::default() };
    let reply = within(async { request.call(&caller).await }).await.unwrap();
    assert_eq!((reply.risk_score, reply.status.as_str()), (4.5, "open"));
    running.shutdown().await;
}

async fn missing_state_is_told_at_the_start(world: &World) {
    async fn asks(_: UserCreated, _: State<u32>, _: Meta) {}
    let salt = world.salt("lacking").await;
    let error = salt.service().on(asks).state(7_i64).start().await.unwrap_err();
    let StartError::Handlers(problems) = &error else { panic!("{error}") };
    assert!(problems[0].contains("asks: it takes `State<u32>`"), "{problems:?}");
}

/// A layer that refuses some messages, and tells of all.
#[derive(Clone)]
struct Gate<S> {
    inner: S,
    told: mpsc::UnboundedSender<(String, Option<String>)>,
}

impl<S> tower_service::Service<Delivered> for Gate<S>
where
    S: tower_service::Service<Delivered, Response = Handled, Error = HandlerError, Future: Send + 'static>,
{
    type Response = Handled;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Handled, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(BoxError::from)
    }

    fn call(&mut self, delivered: Delivered) -> Self::Future {
        let (told, topic) = (self.told.clone(), delivered.meta().topic.clone());
        let closed = delivered.meta().headers.contains_key("x-closed");
        let running = self.inner.call(delivered);
        Box::pin(async move {
            let outcome = if closed { Err("the gate is closed".into()) } else { running.await.map_err(BoxError::from) };
            told.send((topic, outcome.as_ref().err().map(ToString::to_string))).unwrap();
            outcome
        })
    }
}

async fn layers_stand_around_every_handler(world: &World) {
    let (publisher, service) = (world.publisher("auth").await, world.salt("gated").await);
    let (told, mut telling) = mpsc::unbounded_channel();
    let answer = |request: GetRiskAssessment| async move {
        Ok::<_, GetRiskAssessmentError>(GetRiskAssessmentResponse {
            assessment_id: request.assessment_id,
            risk_score: 1.0,
            status: "open".to_owned(),
            rest: Rest::default(),
        })
    };
    let running = service
        .service()
        .retry(Retry::never())
        .on(|user: UserCreated| async move {
            if user.user_id.as_i64() == Some(2) { Err(HandlerError::reject("not two")) } else { Ok(()) }
        })
        .serve(answer)
        .layer(tower_layer::layer_fn(move |inner| Gate { inner, told: told.clone() }))
        .start()
        .await
        .unwrap();
    user(1).publish(&publisher).await.unwrap();
    let topic = "auth.user.created".to_owned();
    assert_eq!(within(telling.recv()).await.unwrap(), (topic.clone(), None));
    user(2).publish(&publisher).await.unwrap();
    assert_eq!(within(telling.recv()).await.unwrap(), (topic.clone(), Some("not two".to_owned())));
    user(3).publish(&publisher).header("x-closed", true).await.unwrap();
    assert_eq!(within(telling.recv()).await.unwrap().1.as_deref(), Some("the gate is closed"));
    // What the contract refuses is told to the layer, and dead-lettered for what it is.
    let meta = json!({"is_rpc": false, "version": "v1"});
    world.send_event(&topic, meta, &json!({"user_id": "seven", "email": "a"})).await;
    assert!(within(telling.recv()).await.unwrap().1.unwrap().contains("/user_id"));
    let request = GetRiskAssessment { assessment_id: "RA-1".to_owned(), rest: Rest::default() };
    let score = within(async { request.call(&publisher).await }).await.unwrap().risk_score;
    assert!((score - 1.0).abs() < f64::EPSILON, "{score}");
    assert_eq!(within(telling.recv()).await.unwrap(), ("rpc.pulse.risk.get".to_owned(), None));
    let letters = world.dead_letters("gated", 3).await;
    let mut reasons: Vec<&str> = letters.iter().map(|letter| header(letter, "x-celerysalt-detail")).collect();
    reasons.sort_unstable();
    assert_eq!(reasons[1..], ["not two", "the gate is closed"]);
    assert!(letters.iter().any(|letter| header(letter, "x-celerysalt-reason") == "invalid"));
    running.shutdown().await;
}

async fn answers_are_kept_for_their_time(world: &World) {
    let (server, caller) = (world.publisher("risk").await, world.salt("dashboard").await);
    let answer = |request: GetRiskAssessment, State(count): State<Arc<AtomicU32>>| async move {
        let answered = count.fetch_add(1, Ordering::Relaxed);
        if request.assessment_id == "RA-0" {
            return Err(GetRiskAssessmentError {
                error_code: "NOT_FOUND".to_owned(),
                error_message: String::new(),
                details: None,
                rest: Rest::default(),
            });
        }
        Ok(GetRiskAssessmentResponse {
            assessment_id: request.assessment_id,
            risk_score: f64::from(answered),
            status: "open".to_owned(),
            rest: Rest::default(),
        })
    };
    let running = server.service().serve(answer).state(Arc::<AtomicU32>::default()).start().await.unwrap();
    let call = async |id: &str, ttl: Duration| {
        let request = GetRiskAssessment { assessment_id: id.to_owned(), rest: Rest::default() };
        let reply = within(async { request.call(&caller).cached(format!("risk:{id}"), ttl).await }).await;
        reply.map(|reply| (reply.is_cached(), reply.risk_score))
    };
    let hour = Duration::from_hours(1);
    assert_eq!(call("RA-1", hour).await.unwrap(), (false, 0.0));
    assert_eq!(call("RA-1", hour).await.unwrap(), (true, 0.0));
    // Other keys, and errors, are asked for again; what is kept for no time is not kept.
    assert_eq!(call("RA-2", Duration::ZERO).await.unwrap(), (false, 1.0));
    assert_eq!(call("RA-2", hour).await.unwrap(), (false, 2.0));
    call("RA-0", hour).await.unwrap_err();
    call("RA-0", hour).await.unwrap_err();
    assert_eq!(call("RA-3", hour).await.unwrap(), (false, 5.0));
    running.shutdown().await;
}
