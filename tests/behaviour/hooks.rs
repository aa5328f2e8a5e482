//! Hooks: what a service does before and after it publishes.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use celerysalt::{AnyEvent, CallError, Draft, Event, HandlerError, Headers, Meta, PublishError, Published, Rest, Veto};
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
    a_failed_follow_up_tells_of_the_event_that_is_out,
    calls_ask_the_hooks_too,
);

fn payment(amount: f64) -> PaymentProcessed {
    PaymentProcessed::from_json(json!({"payment_id": "P-1", "amount": amount, "currency": "EUR"})).unwrap()
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
    let user = UserCreated { user_id: 7.into(), email: "a@example.com".to_owned(), rest: Rest::default() };
    user.publish(&salt).header("x-caller", 1).await.unwrap();
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
    let user = UserCreated { user_id: 7.into(), email: "a@example.com".to_owned(), rest: Rest::default() };
    let error = user.publish(&salt).await.unwrap_err();
    assert!(matches!(&error, PublishError::Option { reason, .. } if reason.contains("`task`")), "{error}");
}

async fn what_follows_is_published_after_it(world: &World) {
    let (told, mut telling) = mpsc::unbounded_channel();
    let salt = world
        .builder("orders")
        .await
        .after_publish(|order: OrderShipped, published: Published| async move {
            assert!(published.receipt.routed);
            vec![UserCreated { user_id: 1.into(), email: order.tracking_number.clone(), rest: Rest::default() }]
        })
        .after_publish_on("#", move |event: AnyEvent, published: Published| {
            let told = told.clone();
            async move { told.send((event.topic().to_owned(), published.depth, published.receipt.message_id)).unwrap() }
        })
        .connect()
        .await
        .unwrap();
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let reader = world.salt("reader").await;
    let running = reader
        .service()
        .on(|_: OrderShipped| async {})
        .on(move |user: UserCreated, meta: Meta| {
            let seen = seen.clone();
            async move { seen.send((user.email, meta.depth())).unwrap() }
        })
        .start()
        .await
        .unwrap();
    let order =
        |number: &str| OrderShipped::builder().order_id("O-1").company_id(1).tracking_number(number).build().unwrap();
    let receipt = order("T-1").publish(&salt).await.unwrap();
    assert_eq!(within(seeing.recv()).await.unwrap(), ("T-1".to_owned(), 1));
    // The follow-up was published by the first hook, before the second was told of the order.
    let (topic, depth, _) = within(telling.recv()).await.unwrap();
    assert_eq!((topic.as_str(), depth), ("auth.user.created", 1));
    assert_eq!(within(telling.recv()).await.unwrap(), ("orders.shipped".to_owned(), 0, receipt.message_id));
    let receipts = OrderShipped::publish_batch(&[order("T-2"), order("T-3")], &salt).await.unwrap();
    assert_eq!(receipts.len(), 2);
    let mut followed = [within(seeing.recv()).await.unwrap().0, within(seeing.recv()).await.unwrap().0];
    followed.sort();
    assert_eq!(followed, ["T-2", "T-3"]);
    running.shutdown().await;
}

async fn hooks_that_answer_each_other_come_to_an_end(world: &World) {
    let published = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&published);
    let salt = world
        .builder("echo")
        .await
        .cascade_limit(u32::MAX)
        .after_publish(move |user: UserCreated| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { user }
        })
        .connect()
        .await
        .unwrap();
    let reader = world.salt("reader").await;
    let running = reader.service().on(|_: UserCreated| async {}).start().await.unwrap();
    let user = UserCreated { user_id: 7.into(), email: "a@example.com".to_owned(), rest: Rest::default() };
    let error = user.publish(&salt).await.unwrap_err();
    assert!(matches!(&error, PublishError::After { reason, .. } if reason.contains("more than 32 others")), "{error}");
    assert_eq!(published.load(Ordering::Relaxed), 33);
    running.shutdown().await;
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
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let reader = world.salt("reader").await;
    let running = reader
        .service()
        .on(|_: OrderShipped| async {})
        .on(move |_: UserCreated, meta: Meta| {
            let seen = seen.clone();
            async move { seen.send(meta.message_id).unwrap() }
        })
        .start()
        .await
        .unwrap();
    let user = UserCreated { user_id: 7.into(), email: "a@example.com".to_owned(), rest: Rest::default() };
    let error = user.publish(&salt).await.unwrap_err();
    let PublishError::After { receipt, reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("no queue is bound"), "{reason}");
    assert_eq!(within(seeing.recv()).await.unwrap().as_deref(), Some(receipt.message_id.as_str()));
    let order = OrderShipped::builder().order_id("O-1").company_id(1).tracking_number("T").build().unwrap();
    let error = OrderShipped::publish_batch(&[order], &salt).await.unwrap_err();
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
