//! Every event is stored before it is published, and a week of them is sent again to whoever needs it.
//!
//! ```text
//! CELERYSALT_DATABASE_URL=postgres://postgres@127.0.0.1/test cargo run --example replay --features outbox
//! ```
//!
//! The event store is a table of the service's own PostgreSQL. The seeds' fields `event_id` and `replay` are the message's:
//! its id is the first sending's, and `Meta::replay` names the replay. On the command line it is `celerysalt replay --topic
//! orders.created --from ... --to ...`. The broker is in this process; with `--features outbox,amqp` and
//! `CELERYSALT_BROKER_URL` it is RabbitMQ.

use std::{env, time::Duration};

use celerysalt::{
    Dedupe, HandlerError, HandlerOptions, Meta, Salt, State,
    store::{EventStore, Range, Replay},
};
use celerysalt_reference::events::{self, OrderCreated};
use tokio::sync::mpsc;

type Lines = mpsc::UnboundedSender<String>;

/// Sums up what was ordered: made anew from a replay.
async fn report(order: OrderCreated, meta: Meta, State(lines): State<Lines>) -> Result<(), HandlerError> {
    let kind = if meta.replay.is_some() { "replayed" } else { "new" };
    lines.send(format!("report: {} of {} ({kind})", order.order_id, order.amount.unwrap_or_default()))?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = env::var("CELERYSALT_DATABASE_URL").map_err(
        |_| "CELERYSALT_DATABASE_URL names the database of the event store, such as postgres://postgres@127.0.0.1/test",
    )?;
    let store = EventStore::connect(&url)?;
    store.migrate().await?;

    let (lines, mut told) = mpsc::unbounded_channel::<String>();
    let reports = Salt::connect_env("replay-reports").await?;
    // An event that comes twice counts once, and each replay counts as another time.
    let once = HandlerOptions::new().dedupe(Dedupe::new(10_000, Duration::from_hours(24)));
    let running = reports.service().concurrency(1).state(lines).on_with(once, report).start().await?;

    let shop = Salt::builder("replay-shop").contracts(events::contracts()).store(store.clone()).connect().await?;
    let start = jiff::Timestamp::now();
    for (id, amount) in [("O-1", 10.0), ("O-2", 20.5), ("O-3", 7.25)] {
        let order = OrderCreated::builder().order_id(id).company_id(7).amount(amount).build()?;
        order.publish(&shop).await?;
        println!("{}", told.recv().await.unwrap_or_default());
    }

    // The week that ends now; without what other runs of this program have left in the store.
    let now = jiff::Timestamp::now();
    let week =
        Range::all().topics("orders.created".parse()?).from(start.max(now - Duration::from_hours(7 * 24))).to(now);
    for (topic, count) in Replay::new(&store, &shop).count(&week).await? {
        println!("{topic}: {count} events of the week would be sent");
    }
    let queue = "celerysalt.replay-reports.events";
    let replayed = Replay::new(&store, &shop).to_queue(queue).run(week).await?;
    for _ in 0..replayed.sent {
        println!("{}", told.recv().await.unwrap_or_default());
    }
    println!("{} events sent again, to {queue} alone", replayed.sent);
    running.shutdown().await;
    Ok(())
}
