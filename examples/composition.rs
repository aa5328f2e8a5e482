//! Events are composed of a fragment, and what happens after each of them is composed of hooks.
//!
//! ```text
//! cargo run --example composition
//! ```
//!
//! `orders.created` and `orders.shipped` share the fields of `_common/order_base.json`. The customer is told after either is
//! published, by one hook that is generic over the family. With `--features amqp,postgres` and `CELERYSALT_BROKER_URL`, the
//! broker is RabbitMQ.

use std::{collections::HashMap, sync::Arc};

use celerysalt::{HandlerError, Published, Salt};
use celerysalt_reference::events::{self, OrderCreated, OrderShipped, shared::common_order_base::OrderEvent};

/// The orders' own database: who has ordered what.
struct Orders(HashMap<&'static str, &'static str>);

/// What every event of an order can do, over the accessors of the fragment.
trait OrderNotice: OrderEvent {
    /// The template of the letter.
    const TEMPLATE: &'static str;

    fn customer<'o>(&self, orders: &'o Orders) -> Result<&'o str, HandlerError> {
        let unknown = || HandlerError::reject(format!("order {} is unknown", self.order_id()));
        orders.0.get(self.order_id()).copied().ok_or_else(unknown)
    }
}

impl OrderNotice for OrderCreated {
    const TEMPLATE: &'static str = "order_created";
}

impl OrderNotice for OrderShipped {
    const TEMPLATE: &'static str = "order_shipped";
}

/// Tells the customer, once the event is out.
fn notify_customer<E: OrderNotice>(orders: &Orders, event: &E, published: &Published) -> Result<(), HandlerError> {
    let customer = event.customer(orders)?;
    println!("e-mail to {customer}: {} for {} ({})", E::TEMPLATE, event.order_id(), published.topic);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let orders = Arc::new(Orders(HashMap::from([("O-1", "pam@example.com")])));
    let (of_created, of_shipped) = (Arc::clone(&orders), orders);
    let shop = Salt::builder("composition-shop")
        .contracts(events::contracts())
        .after_publish(move |event: OrderCreated, published: Published| {
            let orders = Arc::clone(&of_created);
            async move { notify_customer(&orders, &event, &published) }
        })
        .after_publish(move |event: OrderShipped, published: Published| {
            let orders = Arc::clone(&of_shipped);
            async move { notify_customer(&orders, &event, &published) }
        })
        .connect()
        .await?;

    // Nobody has to subscribe for the customer to be told.
    let created = OrderCreated::builder().order_id("O-1").company_id(7).build()?;
    created.publish(&shop).allow_unrouted().await?;
    let shipped = OrderShipped::builder().order_id("O-1").company_id(7).tracking_number("T-9").build()?;
    shipped.publish(&shop).allow_unrouted().await?;

    // A hook that fails says so; the event is out all the same.
    let unknown = OrderCreated::builder().order_id("O-2").company_id(7).build()?;
    match unknown.publish(&shop).allow_unrouted().await {
        Ok(receipt) => println!("published as {receipt}"),
        Err(error) => println!("{error}"),
    }
    Ok(())
}
