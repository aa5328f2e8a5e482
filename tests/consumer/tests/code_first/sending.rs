//! Code-first events between services, checked like any other.

use std::sync::Mutex;

use celerysalt::{
    CallError, DecodeError, Event, HandlerError, PublishError, Salt, SaltEvent, ServeError, Version,
    schemars::JsonSchema,
};
use celerysalt_reference::events as generated;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::events::{All, GetOrder, NoOrder, Order, OrderPlaced};

/// A user account has been created. The same contract as `schemas/auth.user.created/v1.json`, in code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, SaltEvent)]
#[schemars(crate = "celerysalt::schemars")]
#[salt(topic = "auth.user.created", version = "v1")]
struct UserCreated {
    /// The new user.
    user_id: celerysalt::Integer,
    /// E-mail address of the user.
    email: String,
}

#[tokio::test]
async fn code_first_and_generated_events_of_one_contract_understand_each_other() {
    assert_eq!(UserCreated::contract().fingerprint(), generated::UserCreated::contract().fingerprint());
    // Another fingerprint would be a conflict in the registry, which both fill.
    let salt = Salt::builder("both")
        .contracts([UserCreated::contract(), generated::UserCreated::contract()])
        .connect()
        .await
        .unwrap();
    let (heard, mut hears) = mpsc::unbounded_channel::<String>();
    let second = heard.clone();
    let running = salt
        .service()
        .on(move |event: generated::UserCreated| {
            let heard = heard.clone();
            async move {
                heard
                    .send(format!("generated {} {}", event.user_id, event.email))
                    .map_err(|_| HandlerError::new("gone"))
            }
        })
        .start()
        .await
        .unwrap();
    let other = Salt::builder("other").connect().await.unwrap();
    let listening = other
        .service()
        .on(move |event: UserCreated| {
            let heard = second.clone();
            async move {
                heard.send(format!("written {} {}", event.user_id, event.email)).map_err(|_| HandlerError::new("gone"))
            }
        })
        .start()
        .await
        .unwrap();
    UserCreated { user_id: 7.into(), email: "pam@example.org".to_owned() }.publish(&salt).await.unwrap();
    generated::UserCreated::builder()
        .user_id(8)
        .email("jim@example.org")
        .build()
        .unwrap()
        .publish(&salt)
        .await
        .unwrap();
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(hears.recv().await.unwrap());
    }
    all.sort();
    assert_eq!(
        all,
        [
            "generated 7 pam@example.org",
            "generated 8 jim@example.org",
            "written 7 pam@example.org",
            "written 8 jim@example.org"
        ]
    );
    running.shutdown().await;
    listening.shutdown().await;
}

#[tokio::test]
async fn requests_are_answered_and_declined() {
    async fn get(request: GetOrder) -> Result<Order, ServeError<NoOrder>> {
        if request.order_id.starts_with('0') {
            let error = NoOrder { error_code: "NOT_FOUND".to_owned(), error_message: "no such order".to_owned() };
            return Err(error.into());
        }
        Ok(Order { order_id: request.order_id, cents: 4200 })
    }
    let salt = Salt::builder("shop").contracts(celerysalt::code_first::contracts::<All>()).connect().await.unwrap();
    let running = salt.service().serve(get).start().await.unwrap();
    let ask = |order_id: &str| GetOrder { order_id: order_id.to_owned() };
    let reply = ask("1f").call(&salt).await.unwrap();
    assert_eq!(reply.into_inner().cents, 4200);
    let declined = ask("0f").call(&salt).await.unwrap_err();
    assert!(matches!(&declined, CallError::Declared(error) if error.error_code == "NOT_FOUND"), "{declined:?}");
    running.shutdown().await;
}

#[tokio::test]
async fn what_the_schema_refuses_is_not_sent() {
    let salt = Salt::builder("shop").connect().await.unwrap();
    let mut order = OrderPlaced::example();
    // Allowed, but for nobody.
    assert!(matches!(order.publish(&salt).await, Err(PublishError::Unroutable { .. })));
    order.total.currency = "euro".to_owned();
    order.discount = 1.5;
    order.lines.clear();
    let error = order.publish(&salt).await.unwrap_err().to_string();
    for place in ["/total/currency", "/discount", "/lines"] {
        assert!(error.contains(place), "{place}: {error}");
    }
}

#[test]
fn what_the_schema_allows_is_read() {
    let order = OrderPlaced::example();
    let text = order.encode().unwrap();
    assert_eq!(OrderPlaced::decode(text.as_bytes()).unwrap(), order);
    // An integer to JSON Schema, and a float to whoever wrote it.
    let floats = text.replace("4200", "4200.0").replace("\"count\":2", "\"count\":2e0");
    assert_ne!(floats, text);
    assert_eq!(OrderPlaced::decode(floats.as_bytes()).unwrap(), order);
    let refused = OrderPlaced::decode(text.replace("4200", "4200.5").as_bytes()).unwrap_err();
    assert!(matches!(&refused, DecodeError::Invalid(_)) && refused.to_string().contains("/total/cents"), "{refused}");
    // More than an `i64` holds, and nothing that the schema refuses.
    let wide = OrderPlaced::decode(text.replace("4200", "99999999999999999999").as_bytes()).unwrap_err();
    assert!(wide.to_string().contains("what a type written in code allows"), "{wide}");
}

#[test]
fn contracts_are_made_once() {
    static SEEN: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let contract: *const _ = OrderPlaced::contract();
                SEEN.lock().unwrap().push(contract as usize);
            });
        }
    });
    let seen = SEEN.lock().unwrap();
    assert!(seen.len() == 8 && seen.iter().all(|one| *one == seen[0]));
    assert_eq!(*OrderPlaced::contract().version(), "v1".parse::<Version>().unwrap());
}
