//! An event that is written in Rust: no schema file comes first, no build script runs.
//!
//! ```text
//! cargo run --example code_first --features derive
//! ```
//!
//! The struct is the contract. In a package of its own, a test made by `celerysalt::code_first_test!("schemas",
//! OrderPlaced)` holds the struct and its schema file together, and `celerysalt export` writes that file for the
//! services that generate their types from it.

use celerysalt::{AnyEvent, Event, HandlerError, Salt, SaltEvent, code_first, schemars::JsonSchema};
use serde::{Deserialize, Serialize};

/// An order has been placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, SaltEvent)]
#[schemars(crate = "celerysalt::schemars")]
#[salt(topic = "shop.order.placed", version = "v1")]
struct OrderPlaced {
    /// Identifies the order.
    #[schemars(length(min = 1))]
    order_id: String,
    /// In cents.
    #[schemars(range(min = 1))]
    amount: i64,
    /// From the customer.
    note: Option<String>,
}

/// A service that has the struct.
async fn pack(order: OrderPlaced) -> Result<(), HandlerError> {
    println!("packing {} for {} cents", order.order_id, order.amount);
    Ok(())
}

/// A service that has no code of the publisher's: the contract is in the registry.
async fn audit(event: AnyEvent) -> Result<(), HandlerError> {
    println!("noted {}: {}", event.topic(), event.text());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let contract = OrderPlaced::contract();
    println!("{contract}: {}", contract.description());
    println!("{:#}", contract.to_record()?.schema);

    let shop = Salt::builder("shop").contracts(code_first::contracts::<OrderPlaced>()).connect().await?;
    let packing = shop.service().on(pack).start().await?;
    let auditing = Salt::builder("audit").connect().await?;
    let auditor = auditing.service().on_topic("shop.#", audit).start().await?;

    let order = OrderPlaced { order_id: "A-1".to_owned(), amount: 4200, note: None };
    println!("published as {}", order.publish(&shop).await?);
    match (OrderPlaced { amount: 0, ..order }).publish(&shop).await {
        Ok(_) => println!("sent for free"),
        Err(error) => println!("not sent: {error}"),
    }

    // Shutting down waits for what the broker has handed out.
    packing.counted(|counts| counts.handled > 0).await;
    auditor.counted(|counts| counts.handled > 0).await;
    packing.shutdown().await;
    auditor.shutdown().await;
    Ok(())
}
