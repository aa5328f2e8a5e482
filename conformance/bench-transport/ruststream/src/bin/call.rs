//! Calls one after the other, by direct reply-to, which is what this library has.

use std::time::{Duration, Instant};

use ruststream::{Broker, IncomingMessage, OutgoingMessage};
use ruststream_lapin::{LapinRequest, prelude::*};
use ruststream_peer::{Watch, number, variable};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome {
    // In a task, as what services do is.
    tokio::spawn(work()).await?
}

async fn work() -> Outcome {
    let connected = LapinBroker::new(variable("BENCH_URL")).connect().await?;
    let requester = connected.requester(LapinRequest::default().exchange(variable("BENCH_NAME")));
    let (count, warm) = (number("BENCH_COUNT"), number("BENCH_WARM"));
    let mut times = Vec::with_capacity(count);
    let mut watch = Watch::start();
    for number in 0..count + warm {
        if number == warm {
            watch = Watch::start();
        }
        let start = Instant::now();
        let pieces = number as u64 % 9 + 1;
        let request = serde_json::to_vec(&serde_json::json!({"sku": "ABC-1234", "pieces": pieces}))?;
        let message = OutgoingMessage::new("rpc.bench.quote", request.as_slice());
        let reply = requester.request(message, Duration::from_secs(10)).await?;
        let reply: serde_json::Value = serde_json::from_slice(reply.payload())?;
        if number >= warm {
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        assert_eq!(reply["total_cents"], pieces * 250);
    }
    watch.print(count, times);
    Ok(())
}
