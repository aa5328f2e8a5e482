//! Consumes and decodes until all have come, then prints what it took and ends.

use std::sync::{
    LazyLock, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use ruststream_lapin::prelude::*;
use ruststream_peer::{Order, Watch, number, variable};

static SEEN: AtomicUsize = AtomicUsize::new(0);
static WARM: LazyLock<usize> = LazyLock::new(|| number("BENCH_WARM"));
static COUNT: LazyLock<usize> = LazyLock::new(|| number("BENCH_COUNT"));
static WATCH: Mutex<Option<Watch>> = Mutex::new(None);

#[subscriber(RabbitQuorumQueue::new(variable("BENCH_NAME")), workers(64))]
async fn handle(order: &Order) -> HandlerOutcome {
    let seen = SEEN.fetch_add(1, Ordering::Relaxed) + 1 + usize::from(order.currency.is_empty());
    if seen == *WARM {
        *WATCH.lock().unwrap() = Some(Watch::start());
    }
    if seen == *WARM + *COUNT {
        if let Some(watch) = WATCH.lock().unwrap().take() {
            watch.print(*COUNT, Vec::new());
        }
        // Its last acks go out meanwhile.
        tokio::spawn(async {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            std::process::exit(0);
        });
    }
    HandlerOutcome::ack()
}

#[ruststream::app]
fn app() -> impl App {
    let broker = LapinBroker::new(variable("BENCH_URL")).prefetch(nonzero!(500));
    RustStream::new(AppInfo::new("bench", "0.1.0")).with_broker(broker, |b| {
        b.include(handle);
    })
}
