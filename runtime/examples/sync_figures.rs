//! How long a sync takes, beside what PostgreSQL needs for the same rows without any registry.
//!
//! ```text
//! cargo run --release -p celerysalt --features postgres,conformance --example sync_figures -- postgres://postgres@127.0.0.1/test
//! ```
//!
//! Works in a database schema of its own, which it drops in the end.

#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::{
    env,
    error::Error,
    time::{Duration, Instant},
};

use celerysalt::registry::{Registry, conformance::contract, postgres::PostgresRegistry};
use celerysalt_contract::ContractRecord;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, types::Json};

const CONTRACTS: usize = 1_000;
const ROUNDS: usize = 9;

/// Of some 1.4 KB, as contracts are.
fn schema(number: usize) -> Value {
    let field = |i: usize| {
        let field =
            json!({"type": "string", "minLength": i + 1, "description": format!("What field {i} of {number} holds.")});
        (format!("field_{i}"), field)
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("Event{number}"),
        "type": "object",
        "properties": (0..14).map(field).collect::<serde_json::Map<_, _>>(),
        "required": ["field_0", "field_1"],
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).unwrap_or_else(|| "postgres://postgres@127.0.0.1:5432/test".to_owned());
    let name = format!("celerysalt_figures_{}", std::process::id());
    let mut admin = PgConnection::connect(&url).await?;
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {name}"))).execute(&mut admin).await?;
    let outcome = measure(&format!("{url}?options=-csearch_path%3D{name}")).await;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP SCHEMA {name} CASCADE"))).execute(&mut admin).await?;
    outcome
}

async fn measure(url: &str) -> Result<(), Box<dyn Error>> {
    let contracts: Vec<ContractRecord> =
        (0..CONTRACTS).map(|i| contract(&format!("figures.topic{i}.created"), "v1", schema(i))).collect();
    let bytes: usize = contracts.iter().map(|contract| contract.schema.to_string().len()).sum();
    println!("{CONTRACTS} contracts of {} bytes, median of {ROUNDS} rounds (least to most)", bytes / CONTRACTS);
    let registry = PostgresRegistry::connect(url)?;
    registry.sync(&[], false).await?;
    let mut connection = PgConnection::connect(url).await?;

    let (mut bare, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // The same columns, constraints and indexes, without the triggers.
        let fresh = "DROP TABLE IF EXISTS bare; CREATE TABLE bare (LIKE celerysalt_schemas INCLUDING ALL);
                     ALTER TABLE celerysalt_schemas DISABLE TRIGGER ALL; TRUNCATE celerysalt_schemas;
                     ALTER TABLE celerysalt_schemas ENABLE TRIGGER ALL";
        sqlx::raw_sql(fresh).execute(&mut connection).await?;
        let start = Instant::now();
        insert(&mut connection, &contracts).await?;
        bare.push(start.elapsed());

        let start = Instant::now();
        let plan = registry.sync(&contracts, false).await?;
        first.push(start.elapsed());
        assert!(plan.applied);

        let start = Instant::now();
        registry.sync(&contracts, false).await?;
        second.push(start.elapsed());
    }
    let (bare, first, second) = (median(bare), median(first), median(second));
    println!("bare INSERT ... SELECT unnest(...)   {}", shown(bare));
    println!("first sync                           {}  {:.2} times", shown(first), ratio(first.1, bare.1));
    println!("second sync, nothing changed         {}", shown(second));
    Ok(())
}

/// The rows as they are, by one statement.
async fn insert(connection: &mut PgConnection, contracts: &[ContractRecord]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO bare (topic, version, mode, schema, description, fingerprint, content_hash)
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::text[], $6::text[], $6::text[])",
    )
    .bind(contracts.iter().map(|c| c.topic.as_str()).collect::<Vec<_>>())
    .bind(contracts.iter().map(|c| c.version.as_str()).collect::<Vec<_>>())
    .bind(contracts.iter().map(|c| c.mode.as_str()).collect::<Vec<_>>())
    .bind(contracts.iter().map(|c| Json(&c.schema)).collect::<Vec<_>>())
    .bind(contracts.iter().map(|c| c.description.as_str()).collect::<Vec<_>>())
    .bind(contracts.iter().map(|c| c.fingerprint.as_str()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// The least, the middle and the most.
fn median(mut times: Vec<Duration>) -> (Duration, Duration, Duration) {
    times.sort();
    (times[0], times[times.len() / 2], times[times.len() - 1])
}

fn shown((least, middle, most): (Duration, Duration, Duration)) -> String {
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    format!("{:>7.1} ms ({:.1} to {:.1})", ms(middle), ms(least), ms(most))
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}
