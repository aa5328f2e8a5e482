//! An order and its event in one transaction: both are there, or neither; a relay publishes the event afterwards.
//!
//! ```text
//! cargo run --example outbox --features outbox -- --database postgres://postgres@127.0.0.1/test
//! ```
//!
//! The broker is in this process. With `--features outbox,amqp` and `CELERYSALT_BROKER_URL` it is RabbitMQ, and the relay may
//! as well be `celerysalt outbox relay` beside the service. The tables are made in the schema that the URL names.

use std::{env, error::Error, time::Duration};

use celerysalt::{
    HandlerError, Meta, Salt,
    inbox::Inbox,
    outbox::{Outbox, PublishIn, Relay},
    sqlx::{self, PgPool},
    store::{EventStore, Range, Replay},
};
use celerysalt_reference::events::{PaymentProcessed, payments_processed::v1::PaymentProcessedCurrency};
use tokio::sync::{mpsc, oneshot};

/// Takes a payment: the row and the event are one transaction.
async fn take(pool: &PgPool, salt: &Salt, order: &str, fails: bool) -> Result<(), Box<dyn Error>> {
    let mut transaction = pool.begin().await?;
    sqlx::query("INSERT INTO example_payments (order_id) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(order)
        .execute(&mut *transaction)
        .await?;
    let event =
        PaymentProcessed::builder().payment_id(order).amount(42.0).currency(PaymentProcessedCurrency::Eur).build()?;
    let written = event.publish_in(salt, &mut transaction).key(order).await?;
    if fails {
        println!("{order}: written as {written}, and rolled back");
        return Ok(());
    }
    transaction.commit().await?;
    println!("{order}: written as {written}, and committed");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [flag, url] = &arguments[..] else { return Err("usage: outbox --database URL".into()) };
    if flag != "--database" {
        return Err("usage: outbox --database URL".into());
    }
    let outbox = Outbox::connect(url)?;
    let pool = outbox.pool().clone();
    let store = EventStore::new(pool.clone());
    outbox.migrate().await?;
    store.migrate().await?;
    Inbox::migrate(&pool).await?;
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS example_payments (order_id TEXT PRIMARY KEY)").execute(&pool).await?;

    // A subscriber whose handler does its work once for each message, however often it comes.
    let (telling, mut told) = mpsc::unbounded_channel();
    let receipts = pool.clone();
    let mail = move |event: PaymentProcessed, meta: Meta| {
        let (pool, telling) = (receipts.clone(), telling.clone());
        async move {
            let mut transaction = pool.begin().await?;
            let is_first = Inbox::of("mail.receipts").is_first(&mut transaction, &meta).await?;
            transaction.commit().await?;
            let again = if meta.replay.is_some() { ", a replay" } else { "" };
            // Nobody listens any more when the program ends.
            let _ = telling.send(format!("{}: a receipt is due: {is_first}{again}", event.payment_id));
            Ok::<(), HandlerError>(())
        }
    };
    let subscriber = Salt::connect_env("mail").await?;
    let running = subscriber.service().on(mail).start().await?;

    let shop = Salt::builder("shop").store(store.clone()).connect().await?;
    let (end, ended) = oneshot::channel::<()>();
    let relay = Relay::new(pool.clone(), &shop).poll(Duration::from_millis(200));
    let relay = tokio::spawn(relay.run_until(async { drop(ended.await) }));
    let start = jiff::Timestamp::now();
    take(&pool, &shop, "order-1", false).await?;
    take(&pool, &shop, "order-2", true).await?;
    println!("{}", told.recv().await.unwrap_or_default());

    let replayed = Replay::new(&store, &shop).run(Range::all().from(start)).await?;
    println!("{}", told.recv().await.unwrap_or_default());
    println!("{} event sent again by replay {}", replayed.sent, replayed.id);

    drop(end);
    println!("{} event published from the outbox", relay.await??.published);
    running.shutdown().await;
    Ok(())
}
