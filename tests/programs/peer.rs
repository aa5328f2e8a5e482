//! A publisher, a writer, a relay or a consumer as a process of its own, for tests to kill. It says on its standard output what
//! it has done, a line each, in the moment in which it is done.
//!
//! Numbers name events. `try N` comes before an event is handed over, `ok N` once it is confirmed or committed, `begin N` and
//! `end N` around a handler.

use std::{env, error::Error, io, process, sync::Arc, time::Duration};

use celerysalt::{
    HandlerError, Meta, Salt,
    inbox::Inbox,
    outbox::{Outbox, PublishIn, Relay},
    registry::memory::MemoryRegistry,
    sqlx, transport,
};
use celerysalt_reference::events::RiskAssessmentCreated;
use celerysalt_tests::outbox::event;
use futures_util::{StreamExt, stream};

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome {
    // Its input ends when the test does, however that ends.
    std::thread::spawn(|| {
        drop(io::copy(&mut io::stdin(), &mut io::sink()));
        process::exit(1);
    });
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["publish", broker, service, exchange, from, to, window] => {
            let salt = salt(broker, service, exchange).await?;
            publish(&salt, from.parse()?, to.parse()?, window.parse()?).await
        }
        ["write", database, broker, service, exchange, from, to, writers] => {
            let salt = salt(broker, service, exchange).await?;
            write(&salt, database, from.parse()?, to.parse()?, writers.parse()?).await
        }
        ["relay", database, broker, batch] => relay(database, broker, batch.parse()?).await,
        ["consume", broker, service, exchange, database, prefetch, pause] => {
            let salt = salt(broker, service, exchange).await?;
            consume(&salt, database, prefetch.parse()?, Duration::from_millis(pause.parse()?)).await
        }
        _ => Err(format!("{arguments:?} are not expected").into()),
    }
}

async fn salt(broker: &str, service: &str, exchange: &str) -> Result<Salt, Box<dyn Error>> {
    let builder = Salt::builder(service).broker_url(broker).exchange(exchange);
    Ok(builder.registry(Arc::new(MemoryRegistry::new())).connect().await?)
}

/// Each number once, `window` of them at a time.
async fn publish(salt: &Salt, from: u64, to: u64, window: usize) -> Outcome {
    let sending = stream::iter(from..to).map(async |number| {
        println!("try {number}");
        if event(number.to_string()).publish(salt).await.is_ok() {
            println!("ok {number}");
        }
    });
    sending.buffer_unordered(window).for_each(async |()| {}).await;
    salt.close().await;
    println!("done");
    Ok(())
}

/// Each number once, in a transaction of its own, `writers` of them at a time.
async fn write(salt: &Salt, database: &str, from: u64, to: u64, writers: usize) -> Outcome {
    let pool = celerysalt_tests::outbox::pool(database).await;
    let each = async |number: u64| {
        let mut transaction = pool.begin().await?;
        println!("try {number}");
        event(number.to_string()).publish_in(salt, &mut transaction).await?;
        transaction.commit().await?;
        println!("ok {number}");
        Ok::<_, Box<dyn Error>>(())
    };
    stream::iter(from..to).map(each).buffer_unordered(writers).for_each(async |_| {}).await;
    println!("done");
    Ok(())
}

async fn relay(database: &str, broker: &str, batch: usize) -> Outcome {
    let transport = transport::connect(broker, "relay").await?;
    let relay = Relay::with_transport(Outbox::connect(database)?.pool().clone(), transport.clone());
    println!("ready");
    let relayed = relay.batch(batch).poll(Duration::from_millis(200)).run_until_signal().await?;
    transport.close().await;
    println!("published {}", relayed.published);
    Ok(())
}

/// The effect of an event is a row, in one transaction with its mark in the inbox; with `-` for a database there is none.
async fn consume(salt: &Salt, database: &str, prefetch: u16, pause: Duration) -> Outcome {
    let pool = match database {
        "-" => None,
        database => Some(celerysalt_tests::outbox::pool(database).await),
    };
    let handler = move |event: RiskAssessmentCreated, meta: Meta| {
        let pool = pool.clone();
        async move {
            println!("begin {}", event.assessment_id);
            tokio::time::sleep(pause).await;
            if let Some(pool) = pool {
                let failed = |error: &dyn Error| HandlerError::new(error.to_string());
                let mut transaction = pool.begin().await.map_err(|error| failed(&error))?;
                if Inbox::of("peer").is_first(&mut transaction, &meta).await.map_err(|error| failed(&error))? {
                    sqlx::query("INSERT INTO effects (number) VALUES ($1::bigint)")
                        .bind(event.assessment_id.parse::<i64>().map_err(|error| failed(&error))?)
                        .execute(&mut *transaction)
                        .await
                        .map_err(|error| failed(&error))?;
                }
                transaction.commit().await.map_err(|error| failed(&error))?;
            }
            println!("end {}", event.assessment_id);
            Ok::<_, HandlerError>(())
        }
    };
    let running = salt.service().prefetch(prefetch).concurrency(usize::from(prefetch)).on(handler);
    println!("ready");
    let shutdown = running.run_until_signal().await?;
    salt.close().await;
    println!("counts {} {} {}", shutdown.counts.received, shutdown.counts.handled, shutdown.abandoned);
    Ok(())
}
