//! Hooks: what a service does before and after it publishes.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use celerysalt::{
    AnyEvent, CallError, Draft, Event, HandlerError, Headers, Meta, PublishError, Published, Rest, Running,
    SaltBuilder, Veto,
};
use celerysalt_reference::events::{
    GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse, OrderShipped, PaymentProcessed, UserCreated,
};
use celerysalt_tests::{World, within};
use serde_json::json;
use tokio::sync::mpsc;

use crate::on_each_broker;

on_each_broker!(
    a_veto_keeps_an_event_in_on_every_way_out,
    one_veto_keeps_the_whole_batch_in,
    hooks_add_headers_for_one_type_and_for_topics,
    a_hook_that_fails_is_no_veto,
    what_follows_is_published_after_it,
    hooks_that_answer_each_other_come_to_an_end,
    a_chain_of_a_thousand_hooks_does_not_grow_the_stack,
    a_failed_follow_up_tells_of_the_event_that_is_out,
    calls_ask_the_hooks_too,
);

fn payment(amount: f64) -> PaymentProcessed {
    PaymentProcessed::from_json(json!({"payment_id": "P-1", "amount": amount, "currency": "EUR"})).unwrap()
}

fn user(email: &str) -> UserCreated {
    UserCreated { user_id: 7.into(), email: email.to_owned(), rest: Rest::default() }
}

fn order(number: &str) -> OrderShipped {
    OrderShipped::builder().order_id("O-1").company_id(1).tracking_number(number).build().unwrap()
}

/// A service that gets orders and users, and the users that it got.
async fn reader(world: &World) -> (Running, mpsc::UnboundedReceiver<(UserCreated, Meta)>) {
    let (seen, users) = mpsc::unbounded_channel();
    let reader = world.salt("reader").await;
    let of_users = move |user: UserCreated, meta: Meta| {
        // A test that ends does not wait for the last of them.
        drop(seen.send((user, meta)));
        async {}
    };
    let service = reader.service().on(|_: OrderShipped| async {}).on(of_users);
    (service.start().await.unwrap(), users)
}

async fn approve(payment: PaymentProcessed) -> Result<(), Veto> {
    if payment.amount > 10_000.0 { Err(Veto::new("pending_approval")) } else { Ok(()) }
}

async fn a_veto_keeps_an_event_in_on_every_way_out(world: &World) {
    let builder = world.builder("payments").await.contracts(celerysalt_reference::events::contracts());
    let salt = builder.before_publish(approve).connect().await.unwrap();
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let bookkeeping = world.salt("bookkeeping").await;
    let handler = move |payment: PaymentProcessed| {
        let seen = seen.clone();
        async move { seen.send(payment.amount).unwrap() }
    };
    let running = bookkeeping.service().on(handler).start().await.unwrap();
    let refused = payment(20_000.0).publish(&salt).await.unwrap_err();
    assert_eq!(refused.veto(), Some("pending_approval"));
    assert!(refused.to_string().contains("payments.processed: not sent: pending_approval"), "{refused}");
    // By name, with and without the registry.
    let by_name = |unvalidated: bool| {
        let publish = salt.publish_json("payments.processed", payment(20_000.0).to_json().unwrap());
        if unvalidated { publish.unvalidated() } else { publish }
    };
    for unvalidated in [false, true] {
        assert_eq!(by_name(unvalidated).await.unwrap_err().veto(), Some("pending_approval"), "{unvalidated}");
    }
    payment(10_000.0).publish(&salt).await.unwrap();
    assert_eq!(within(seeing.recv()).await, Some(10_000.0));
    let counts = running.shutdown().await.counts;
    assert_eq!(counts.received, 1);
}

async fn one_veto_keeps_the_whole_batch_in(world: &World) {
    let salt = world.builder("payments").await.before_publish(approve).connect().await.unwrap();
    let bookkeeping = world.salt("bookkeeping").await;
    let running = bookkeeping.service().on(|_: PaymentProcessed| async {}).start().await.unwrap();
    let batch = [payment(1.0), payment(20_000.0), payment(2.0), payment(30_000.0)];
    let error = PaymentProcessed::publish_batch(&batch, &salt).await.unwrap_err();
    assert!(error.published.is_empty());
    let places: Vec<(usize, Option<&str>)> = error.failed.iter().map(|(place, why)| (*place, why.veto())).collect();
    assert_eq!(places, [(1, Some("pending_approval")), (3, Some("pending_approval"))]);
    assert_eq!(running.shutdown().await.counts.received, 0);
}

async fn hooks_add_headers_for_one_type_and_for_topics(world: &World) {
    let salt = world
        .builder("payments")
        .await
        .before_publish_on("#", |event: AnyEvent, draft: Draft| async move {
            assert_eq!(draft.topic, event.topic());
            Headers::default().with("x-tenant", "acme").with("x-seen", event.payload().is_object())
        })
        .before_publish(|payment: PaymentProcessed, draft: Draft| async move {
            // What came before is seen, and can be set anew.
            assert_eq!(draft.headers.get("x-tenant"), Some(&json!("acme")));
            Ok::<_, Veto>(Headers::default().with("x-amount", payment.amount).with("x-tenant", "acme-payments"))
        })
        .connect()
        .await
        .unwrap();
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let other = seen.clone();
    let reader = world.salt("reader").await;
    let running = reader
        .service()
        .on(move |_: PaymentProcessed, meta: Meta| {
            let seen = seen.clone();
            async move { seen.send(meta).unwrap() }
        })
        .on(move |_: UserCreated, meta: Meta| {
            let seen = other.clone();
            async move { seen.send(meta).unwrap() }
        })
        .start()
        .await
        .unwrap();
    PaymentProcessed::publish_batch(&[payment(7.5)], &salt).await.unwrap();
    let meta = within(seeing.recv()).await.unwrap();
    let header = |meta: &Meta, name: &str| meta.headers.get(name).cloned();
    assert_eq!(header(&meta, "x-tenant"), Some(json!("acme-payments")));
    assert_eq!((header(&meta, "x-seen"), header(&meta, "x-amount")), (Some(json!(true)), Some(json!(7.5))));
    user("a@example.com").publish(&salt).header("x-caller", 1).await.unwrap();
    let meta = within(seeing.recv()).await.unwrap();
    assert_eq!((header(&meta, "x-tenant"), header(&meta, "x-amount")), (Some(json!("acme")), None));
    assert_eq!(header(&meta, "x-caller"), Some(json!(1)));
    running.shutdown().await;
}

async fn a_hook_that_fails_is_no_veto(world: &World) {
    let salt = world
        .builder("payments")
        .await
        .before_publish(|_: PaymentProcessed| async {
            "many".parse::<i64>()?;
            Ok::<(), Veto>(())
        })
        .before_publish_on("auth.#", |_: AnyEvent| async { Headers::default().with("task", "another") })
        .connect()
        .await
        .unwrap();
    let error = payment(1.0).publish(&salt).await.unwrap_err();
    assert!(matches!(&error, PublishError::HookFailed { reason, .. } if reason.contains("invalid digit")), "{error}");
    assert_eq!(error.veto(), None);
    // A hook's headers are held to what a caller's are.
    let error = user("a@example.com").publish(&salt).await.unwrap_err();
    assert!(matches!(&error, PublishError::Option { reason, .. } if reason.contains("`task`")), "{error}");
}

async fn what_follows_is_published_after_it(world: &World) {
    let (told, mut telling) = mpsc::unbounded_channel();
    let salt = world
        .builder("orders")
        .await
        .after_publish(|order: OrderShipped, published: Published| async move {
            assert!(published.receipt.routed);
            vec![user(&order.tracking_number)]
        })
        .after_publish_on("#", move |event: AnyEvent, published: Published| {
            let told = told.clone();
            async move { told.send((event.topic().to_owned(), published.depth, published.receipt.message_id)).unwrap() }
        })
        .connect()
        .await
        .unwrap();
    let (running, mut users) = reader(world).await;
    let receipt = order("T-1").publish(&salt).await.unwrap();
    let (followed, meta) = within(users.recv()).await.unwrap();
    assert_eq!((followed.email.as_str(), meta.depth()), ("T-1", 1));
    // The follow-up was published by the first hook, before the second was told of the order.
    let (topic, depth, _) = within(telling.recv()).await.unwrap();
    assert_eq!((topic.as_str(), depth), ("auth.user.created", 1));
    assert_eq!(within(telling.recv()).await.unwrap(), ("orders.shipped".to_owned(), 0, receipt.message_id));
    let receipts = OrderShipped::publish_batch(&[order("T-2"), order("T-3")], &salt).await.unwrap();
    assert_eq!(receipts.len(), 2);
    let mut followed = [within(users.recv()).await.unwrap().0.email, within(users.recv()).await.unwrap().0.email];
    followed.sort();
    assert_eq!(followed, ["T-2", "T-3"]);
    running.shutdown().await;
}

/// Hooks that answer each event by the next one, without end: how many were told, and how it ended.
async fn endless(world: &World, settings: impl FnOnce(SaltBuilder) -> SaltBuilder) -> (u32, PublishError) {
    let told = Arc::new(AtomicU32::new(0));
    let (counted, also) = (Arc::clone(&told), Arc::clone(&told));
    let salt = settings(world.builder("echo").await)
        // One returns what follows, the other publishes it itself.
        .after_publish(move |user: UserCreated| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { order(&user.email) }
        })
        .after_publish(move |order: OrderShipped, published: Published| {
            also.fetch_add(1, Ordering::Relaxed);
            async move { user(&order.tracking_number).publish(published.salt()).await.map(drop) }
        })
        .connect()
        .await
        .unwrap();
    let (running, _users) = reader(world).await;
    let error = user("a@example.com").publish(&salt).await.unwrap_err();
    running.shutdown().await;
    (told.load(Ordering::Relaxed), error)
}

async fn hooks_that_answer_each_other_come_to_an_end(world: &World) {
    let (told, error) = endless(world, |builder| builder).await;
    assert!(matches!(&error, PublishError::After { reason, .. } if reason.contains("more than 32 others")), "{error}");
    assert_eq!(told, 33);
    // Each event that is out is told of.
    assert_eq!(error.to_string().matches(": published as ").count(), 33, "{error}");
}

async fn a_chain_of_a_thousand_hooks_does_not_grow_the_stack(world: &World) {
    let (told, error) = endless(world, |builder| builder.cascade_limit(1000)).await;
    let PublishError::After { topic, reason, .. } = &error else { panic!("{error}") };
    assert_eq!((told, topic.as_str()), (1001, "auth.user.created"));
    // The first that followed, and what is behind it all; not the thousand between them.
    assert!(reason.starts_with("orders.shipped: published as "), "{reason}");
    assert!(reason.ends_with("allow more with `SaltBuilder::cascade_limit`"), "{reason}");
    assert!(reason.contains("more than 1000 others") && reason.len() < 10_000, "{}: {reason}", reason.len());
}

async fn a_failed_follow_up_tells_of_the_event_that_is_out(world: &World) {
    let salt = world
        .builder("orders")
        .await
        // Nobody subscribes to the follow-up of the first; the second fails by itself.
        .after_publish(|user: UserCreated| async move { payment(user.user_id.to_string().parse().unwrap()) })
        .after_publish(|_: OrderShipped| async { Err::<(), _>(HandlerError::new("no mail server")) })
        .connect()
        .await
        .unwrap();
    let (running, mut users) = reader(world).await;
    let error = user("a@example.com").publish(&salt).await.unwrap_err();
    let PublishError::After { receipt, reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("no queue is bound"), "{reason}");
    let (_, meta) = within(users.recv()).await.unwrap();
    assert_eq!(meta.message_id.as_deref(), Some(receipt.message_id.as_str()));
    let error = OrderShipped::publish_batch(&[order("T")], &salt).await.unwrap_err();
    assert!(error.published.is_empty() && error.to_string().contains("no mail server"), "{error}");
    running.shutdown().await;
}

async fn calls_ask_the_hooks_too(world: &World) {
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let server = world.salt("risk").await;
    let answer = move |request: GetRiskAssessment, headers: Headers| {
        seen.send(headers.get("x-caller").cloned()).unwrap();
        async move {
            Ok::<_, GetRiskAssessmentError>(GetRiskAssessmentResponse {
                assessment_id: request.assessment_id,
                risk_score: 1.0,
                status: "open".to_owned(),
                rest: Rest::default(),
            })
        }
    };
    let running = server.service().serve(answer).start().await.unwrap();
    let caller = world
        .builder("dashboard")
        .await
        .before_publish(|request: GetRiskAssessment, draft: Draft| async move {
            assert!(draft.is_rpc);
            if request.assessment_id == "RA-SECRET" { Err(Veto::new("not_for_dashboards")) } else { Ok(()) }
        })
        .before_publish_on("rpc.#", |_: AnyEvent| async { Headers::default().with("x-caller", "dashboard") })
        .after_publish_on("#", |_: AnyEvent| async { Err::<(), _>(HandlerError::new("calls are not published")) })
        .connect()
        .await
        .unwrap();
    let request = |id: &str| GetRiskAssessment { assessment_id: id.to_owned(), rest: Rest::default() };
    within(async { request("RA-1").call(&caller).await }).await.unwrap();
    assert_eq!(within(seeing.recv()).await.unwrap(), Some(json!("dashboard")));
    let error = request("RA-SECRET").call(&caller).await.unwrap_err();
    assert!(matches!(&error, CallError::Vetoed { reason, .. } if reason == "not_for_dashboards"), "{error}");
    running.shutdown().await;
}
