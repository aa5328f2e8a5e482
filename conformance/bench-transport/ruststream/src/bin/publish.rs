//! Publishes with 1,000 confirms awaited at once.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use ruststream::Broker;
use ruststream_lapin::prelude::*;
use ruststream_peer::{Watch, number, order, variable};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome {
    // In a task, as what services do is.
    tokio::spawn(work()).await?
}

async fn work() -> Outcome {
    let connected = LapinBroker::new(variable("BENCH_URL")).connect().await?;
    let events = connected.publisher(LapinPublish::default().exchange(variable("BENCH_NAME")).confirms());
    let (count, warm) = (number("BENCH_COUNT"), number("BENCH_WARM"));
    let orders: Arc<[_]> = (0..count as u64).map(order).collect();
    let mut watch = Watch::start();
    for (measured, part) in [(false, warm.min(count)), (true, count)] {
        if measured {
            watch = Watch::start();
        }
        let sending = stream::iter(0..part).map(|place| {
            let (events, orders) = (events.clone(), Arc::clone(&orders));
            async move { events.message(&orders[place]).publish().await.map(drop) }
        });
        let mut sending = sending.buffer_unordered(1000);
        while let Some(sent) = sending.next().await {
            sent?;
        }
    }
    watch.print(count, Vec::new());
    Ok(())
}
