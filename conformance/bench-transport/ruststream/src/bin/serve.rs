//! Answers quotes until it is killed.

use ruststream_lapin::prelude::*;
use ruststream_peer::variable;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Request {
    sku: String,
    pieces: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Outgoing)]
struct Quote {
    sku: String,
    total_cents: u64,
}

#[subscriber(RabbitQueue::new(variable("BENCH_NAME")), reply("bench.unanswered"))]
async fn quote(request: &Request) -> Quote {
    Quote { sku: request.sku.clone(), total_cents: request.pieces * 250 }
}

fn routes() -> Router<LapinBroker, impl RouterDef<LapinBroker>> {
    Router::new().include(quote).out_reply(Publish::default()).transform(DirectReplyTo).build()
}

#[ruststream::app]
fn app() -> impl App {
    println!("ready");
    let broker = LapinBroker::new(variable("BENCH_URL")).prefetch(nonzero!(500));
    RustStream::new(AppInfo::new("bench", "0.1.0")).with_broker(broker, |b| {
        b.include_router(routes());
    })
}
