//! A subscriber without generated code: topics and what it wants of them are data, read when it starts.
//!
//! ```text
//! cargo run --example dynamic_subscriber
//! ```
//!
//! The contracts come from the registry, so this program needs no schema file and no build of its own when a team releases
//! another event. With `--features amqp,postgres`, `CELERYSALT_BROKER_URL` and `CELERYSALT_REGISTRY_URL` are the real ones.

use celerysalt::{AnyEvent, HandlerError, Invalid, Rest, Salt, State, serde_json};
use celerysalt_reference::events::{self, OrderShipped, RiskAssessmentCreated, UserCreated};
use tokio::sync::mpsc;

/// What an operator has configured: a pattern of topics, and where in the event the text for people is.
const SUBSCRIPTIONS: &str = r#"[
    {"topics": "pulse.#", "title": "/assessment_id"},
    {"topics": "orders.shipped@v1", "title": "/tracking_number"},
    {"topics": "auth.user.*", "title": "/email"}
]"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let publisher = Salt::builder("dynamic-publisher").contracts(events::contracts()).connect().await?;

    let (feed, mut fed) = mpsc::unbounded_channel::<String>();
    let reader = Salt::connect_env("dynamic-feed").await?;
    let mut service = reader.service().state(feed);
    let subscriptions: Vec<serde_json::Value> = serde_json::from_str(SUBSCRIPTIONS)?;
    for subscription in subscriptions {
        let title = subscription["title"].as_str().unwrap_or_default().to_owned();
        let topics = subscription["topics"].as_str().unwrap_or_default().to_owned();
        // With `Result`, it is also told of what the contract refuses, instead of having it dead-lettered.
        let entry = move |event: Result<AnyEvent, Invalid>, State(feed): State<mpsc::UnboundedSender<String>>| {
            let title = title.clone();
            async move {
                let line = match event {
                    Ok(event) => {
                        let version = event.version().map(ToString::to_string).unwrap_or_default();
                        format!("{}@{version}: {}", event.topic(), event.pointer(&title).unwrap_or_default())
                    }
                    Err(invalid) => format!("refused: {invalid}"),
                };
                feed.send(line)?;
                Ok::<(), HandlerError>(())
            }
        };
        service = service.on_topic(&topics, entry);
    }
    let running = service.start().await?;

    let risk = RiskAssessmentCreated::builder().assessment_id("RA-123").company_id(456).risk_score(7.5).build()?;
    risk.publish(&publisher).await?;
    println!("{}", fed.recv().await.unwrap_or_default());
    let order = OrderShipped::builder().order_id("O-1").company_id(456).tracking_number("T-9").build()?;
    order.publish(&publisher).await?;
    println!("{}", fed.recv().await.unwrap_or_default());
    let user = UserCreated { user_id: 7.into(), email: "pam@example.com".to_owned(), rest: Rest::default() };
    user.publish(&publisher).await?;
    println!("{}", fed.recv().await.unwrap_or_default());
    // A publisher that asks no registry: what it sends is held against the contract here.
    let wrong = serde_json::json!({"order_id": "O-2", "company_id": "four", "tracking_number": "T-10"});
    publisher.publish_json("orders.shipped", wrong).unvalidated().version("v1").await?;
    println!("{}", fed.recv().await.unwrap_or_default());
    running.shutdown().await;
    Ok(())
}
