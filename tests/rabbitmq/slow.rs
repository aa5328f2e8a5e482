//! A consumer that is a hundred times slower than its publisher: what it can't take stays with the broker, not in memory.
//!
//! A program of its own, for nothing else may use the memory that is measured.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

use std::time::{Duration, Instant};

use celerysalt::{HandlerOptions, Rest};
use celerysalt_reference::events::UserCreated;
use celerysalt_tests::{World, within};
use tokio::sync::mpsc;

const EVENTS: usize = 6_000;
const BATCH: usize = 500;
const PREFETCH: u16 = 100;
/// Of an event, in bytes. All of them are 72 MB.
const SIZE: usize = 12_288;
/// What the process may grow by after its first two batches: one more batch in flight, twice, and what allocators keep.
const BOUND: u64 = 24 * 1024;

/// In KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_while_the_backlog_grows() {
    let world = World::rabbitmq();
    let (publisher, salt) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: UserCreated| {
        seen.send(event.user_id).unwrap();
        async {}
    };
    let options = HandlerOptions::new().rate_limit(1, Duration::from_secs(2));
    let running = salt.service().prefetch(PREFETCH).on_with(options, handler).start().await.unwrap();
    let (mut base, mut most) = (0, 0);
    let begun = Instant::now();
    for batch in 0..EVENTS / BATCH {
        let events: Vec<UserCreated> = (0..BATCH)
            .map(|number| UserCreated {
                user_id: i64::try_from(batch * BATCH + number).unwrap().into(),
                email: "a".repeat(SIZE),
                rest: Rest::default(),
            })
            .collect();
        UserCreated::publish_batch(&events, &publisher).await.unwrap();
        match batch {
            0 => {}
            1 => base = resident(),
            _ => most = most.max(resident()),
        }
    }
    let elapsed = begun.elapsed();
    within(seeing.recv()).await.unwrap();
    let counts = running.counts();
    println!("{EVENTS} published in {elapsed:?}, {} handled; {base} KiB, then {most} KiB", counts.handled);
    assert!(counts.handled * 100 <= u64::try_from(EVENTS).unwrap(), "it was no hundred times slower: {counts:?}");
    assert!(counts.received <= counts.handled + u64::from(PREFETCH), "{counts:?}");
    assert!(most <= base + BOUND, "{base} KiB, then {most} KiB");
    running.shutdown().await;
}
