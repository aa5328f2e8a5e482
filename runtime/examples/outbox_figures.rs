//! How fast a relay drains an outbox, beside what it is made of: deleting rows alone, and publishing alone, in the same run.
//!
//! ```text
//! cargo run --release -p celerysalt --features outbox,amqp --example outbox_figures
//! ```
//!
//! On `CELERYSALT_TEST_REGISTRY_URL` (a PostgreSQL, 127.0.0.1 unless set) and `CELERYSALT_TEST_BROKER_URL` (a RabbitMQ). 300-byte
//! events to a quorum queue. Makes a schema, an exchange and a queue of its own, and removes them again.

use std::{collections::VecDeque, env, error::Error, time::Instant};

use celerysalt::{
    Salt,
    outbox::{Outbox, Relay},
    sqlx::{self, AssertSqlSafe, PgPool},
    transport::{self, Binding, QueueKind, QueueSpec},
};
use lapin::{
    Connection, ConnectionProperties,
    options::{ExchangeDeleteOptions, QueueDeleteOptions},
};
use serde_json::json;

const EVENTS: usize = 20_000;
/// As the relay takes them.
const BATCH: i64 = 500;

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Bench {
    pool: PgPool,
    salt: Salt,
    name: String,
}

fn variable(name: &str, otherwise: &str) -> String {
    env::var(name).unwrap_or_else(|_| otherwise.to_owned())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let database = variable("CELERYSALT_TEST_REGISTRY_URL", "postgres://postgres@127.0.0.1:5432/test");
    let broker = variable("CELERYSALT_TEST_BROKER_URL", "amqp://guest:guest@127.0.0.1:5672/%2f");
    let name = format!("celerysalt_figures_{}", std::process::id());
    let admin = Outbox::connect(&database)?.pool().clone();
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {name}"))).execute(&admin).await?;
    let separator = if database.contains('?') { '&' } else { '?' };
    let outbox = Outbox::connect(&format!("{database}{separator}options=-csearch_path%3D{name}"))?;
    outbox.migrate().await?;
    let salt = Salt::builder("figures").broker_url(&broker).registry_url("memory:").exchange(&name).connect().await?;
    let bench = Bench { pool: outbox.pool().clone(), salt, name: name.clone() };
    let outcome = bench.run(&broker).await;
    bench.salt.close().await;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP SCHEMA {name} CASCADE"))).execute(&admin).await?;
    let connection = Connection::connect(&broker, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.queue_delete(name.clone().into(), QueueDeleteOptions::default()).await?;
    channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await?;
    outcome
}

impl Bench {
    async fn run(&self, broker: &str) -> Outcome<()> {
        let queue = QueueSpec {
            name: self.name.clone(),
            kind: QueueKind::Quorum,
            bindings: vec![Binding { exchange: self.name.clone(), pattern: "#".parse()? }],
            dead_letter: None,
        };
        let transport = transport::connect(broker, "figures").await?;
        transport.declare(&queue).await?;

        self.fill(EVENTS, |_| None).await?;
        let start = Instant::now();
        let mut deleted = 0;
        loop {
            let rows = sqlx::query(
                "DELETE FROM celerysalt_outbox WHERE id = ANY(ARRAY(
                     SELECT id FROM celerysalt_outbox ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED))
                 RETURNING exchange, routing_key, properties::text, headers::text, body",
            )
            .bind(BATCH)
            .fetch_all(&self.pool)
            .await?;
            if rows.is_empty() {
                break;
            }
            deleted += rows.len();
        }
        let deleting = tell("DELETE .. RETURNING alone", deleted, start, None);

        let start = Instant::now();
        let mut in_flight = VecDeque::new();
        for number in 0..EVENTS {
            if in_flight.len() >= 500
                && let Some(oldest) = in_flight.pop_front()
            {
                sent(oldest).await?;
            }
            let salt = self.salt.clone();
            in_flight.push_back(tokio::spawn(async move {
                let receipt = salt.publish_json("figures.event", payload(number)).unvalidated().await;
                receipt.map(drop)
            }));
        }
        for sending in in_flight {
            sent(sending).await?;
        }
        tell("publishing alone, 500 in flight", EVENTS, start, Some(deleting));

        for (what, count, keys) in
            [("relay, no keys", EVENTS, 0), ("relay, 100 keys", EVENTS, 100), ("relay, 1 key", 1_000, 1)]
        {
            self.fill(count, |number| number.checked_rem(keys).map(|key| format!("k{key}"))).await?;
            let start = Instant::now();
            let relayed = Relay::new(self.pool.clone(), &self.salt).drain().await?;
            tell(what, usize::try_from(relayed.published)?, start, Some(deleting));
        }
        transport.close().await;
        Ok(())
    }

    async fn fill(&self, count: usize, key: impl Fn(usize) -> Option<String>) -> Outcome<()> {
        let mut transaction = self.pool.begin().await?;
        for number in 0..count {
            let publish = self.salt.publish_json("figures.event", payload(number)).unvalidated();
            let writing = publish.in_transaction(&mut transaction);
            match key(number) {
                Some(key) => writing.key(key).await?,
                None => writing.await?,
            };
        }
        transaction.commit().await?;
        Ok(())
    }
}

async fn sent(sending: tokio::task::JoinHandle<Result<(), celerysalt::PublishError>>) -> Outcome<()> {
    Ok(sending.await??)
}

fn payload(number: usize) -> serde_json::Value {
    json!({"number": number, "text": "x".repeat(250)})
}

fn tell(what: &str, count: usize, start: Instant, beside: Option<f64>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let rate = count as f64 / start.elapsed().as_secs_f64();
    let ratio = beside.map_or_else(String::new, |beside| format!("  {:.2} of deleting alone", rate / beside));
    println!("{what:<34} {count:>6} events  {rate:>8.0}/s{ratio}");
    rate
}
