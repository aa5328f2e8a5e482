//! Event sourcing on top: an event is appended to its stream with the next version, and published, in one transaction.
//!
//! ```text
//! CELERYSALT_DATABASE_URL=postgres://postgres@127.0.0.1/test cargo run --example event_sourcing --features outbox
//! ```
//!
//! A recipe, no framework: the stream is a table of the service's own, the outbox publishes in the stream's order, and the
//! state is what the events of the stream come to. Two writers of one version can't both win. The broker is in this process;
//! with `--features outbox,amqp` and `CELERYSALT_BROKER_URL` it is RabbitMQ.

use std::{env, error::Error, time::Duration};

use celerysalt::{
    Broadcast, Event, HandlerError, Salt, State,
    outbox::{Outbox, PublishIn, Relay},
    sqlx::{self, PgPool, Row},
};
use celerysalt_reference::events::{self, OrderCreated, OrderShipped};
use tokio::sync::{mpsc, oneshot};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS example_streams (
    stream TEXT NOT NULL, version BIGINT NOT NULL, topic TEXT NOT NULL, payload JSONB NOT NULL,
    PRIMARY KEY (stream, version))";

/// What the events of an order come to.
#[derive(Debug, Default)]
struct Order {
    version: i64,
    amount: f64,
    parcel: Option<String>,
}

impl Order {
    /// The order as it stands, from its events.
    async fn load(pool: &PgPool, stream: &str) -> Result<Self, Box<dyn Error>> {
        let events =
            sqlx::query("SELECT version, topic, payload FROM example_streams WHERE stream = $1 ORDER BY version")
                .bind(stream)
                .fetch_all(pool)
                .await?;
        let mut order = Self::default();
        for event in events {
            order.version = event.try_get("version")?;
            let (topic, payload): (String, _) = (event.try_get("topic")?, event.try_get("payload")?);
            match topic.as_str() {
                "orders.created" => order.amount = OrderCreated::from_json(payload)?.amount.unwrap_or_default(),
                "orders.shipped" => order.parcel = Some(OrderShipped::from_json(payload)?.tracking_number),
                other => return Err(format!("no order has an event {other}").into()),
            }
        }
        Ok(order)
    }
}

/// Appends an event as the one after `version`, and has it published.
async fn append<E: Broadcast>(
    pool: &PgPool,
    salt: &Salt,
    stream: &str,
    version: i64,
    event: &E,
) -> Result<(), Box<dyn Error>> {
    let mut transaction = pool.begin().await?;
    let appended = sqlx::query("INSERT INTO example_streams VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
        .bind(stream)
        .bind(version + 1)
        .bind(E::contract().topic())
        .bind(event.to_json()?)
        .execute(&mut *transaction)
        .await?;
    if appended.rows_affected() == 0 {
        return Err(format!("{stream} has moved on from version {version}: load it and decide again").into());
    }
    event.publish_in(salt, &mut transaction).key(stream).await?;
    transaction.commit().await?;
    Ok(())
}

async fn created(order: OrderCreated, State(seen): State<mpsc::UnboundedSender<String>>) -> Result<(), HandlerError> {
    seen.send(format!("subscriber: {} created", order.order_id))?;
    Ok(())
}

async fn shipped(order: OrderShipped, State(seen): State<mpsc::UnboundedSender<String>>) -> Result<(), HandlerError> {
    seen.send(format!("subscriber: {} shipped as {}", order.order_id, order.tracking_number))?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("CELERYSALT_DATABASE_URL").map_err(
        |_| "CELERYSALT_DATABASE_URL names the service's own database, such as postgres://postgres@127.0.0.1/test",
    )?;
    let outbox = Outbox::connect(&url)?;
    let pool = outbox.pool().clone();
    outbox.migrate().await?;
    sqlx::raw_sql(TABLE).execute(&pool).await?;

    let (seen, mut seeing) = mpsc::unbounded_channel::<String>();
    let reader = Salt::connect_env("event-sourcing-reader").await?;
    let running = reader.service().concurrency(1).state(seen).on(created).on(shipped).start().await?;
    let shop = Salt::builder("event-sourcing-shop").contracts(events::contracts()).connect().await?;
    let (end, ended) = oneshot::channel::<()>();
    let relay = Relay::new(pool.clone(), &shop).poll(Duration::from_millis(200));
    let relay = tokio::spawn(relay.run_until(async { drop(ended.await) }));

    let stream = format!("order-{}", jiff::Timestamp::now().as_nanosecond());
    let event = OrderCreated::builder().order_id("O-1").company_id(7).amount(42.5).build()?;
    append(&pool, &shop, &stream, 0, &event).await?;
    let order = Order::load(&pool, &stream).await?;
    println!("version {}: {} to pay, parcel {:?}", order.version, order.amount, order.parcel);

    // Two who have both seen this version: the second has to look again.
    for tracking_number in ["T-9", "T-10"] {
        let event = OrderShipped::builder().order_id("O-1").company_id(7).tracking_number(tracking_number).build()?;
        match append(&pool, &shop, &stream, order.version, &event).await {
            Ok(()) => println!("shipped as {tracking_number}"),
            Err(error) => println!("{}", error.to_string().replace(&stream, "the order")),
        }
    }
    let order = Order::load(&pool, &stream).await?;
    println!("version {}: {} to pay, parcel {:?}", order.version, order.amount, order.parcel);
    for _ in 0..2 {
        println!("{}", seeing.recv().await.unwrap_or_default());
    }
    drop(end);
    println!("{} events published from the outbox", relay.await??.published);
    running.shutdown().await;
    Ok(())
}
