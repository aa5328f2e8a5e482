//! Large events: what is in flight in a service is its prefetch's worth of them, each kept once.
//!
//! A program of its own, for nothing else may use the memory that is measured.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

use std::sync::Arc;

use celerysalt::AnyEvent;
use celerysalt_tests::{World, within};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};

/// Events in flight; the prefetch is larger.
const EVENTS: usize = 160;
const MIB: usize = 1024 * 1024;
/// Handlers at work; each of them has the event's text and its value besides the bytes that came.
const CONCURRENCY: usize = 4;
/// What the process may grow by: the events, what the handlers have, and what connections and allocators keep.
const BOUND: usize = (EVENTS + CONCURRENCY * 4 + 64) * MIB;

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_large_event_in_flight_takes_its_size_once() {
    let world = World::rabbitmq();
    let (publisher, salt) = (world.publisher("archive").await, world.salt("reader").await);
    let gate = Arc::new(Semaphore::new(0));
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = {
        let gate = Arc::clone(&gate);
        move |event: AnyEvent| {
            let (gate, seen) = (Arc::clone(&gate), seen.clone());
            async move {
                gate.acquire().await.unwrap().forget();
                seen.send(event.text().len()).unwrap();
            }
        }
    };
    let service = salt.service().prefetch(500).concurrency(CONCURRENCY);
    let running = service.on_raw("archive.page.stored", handler).start().await.unwrap();
    let payload = json!({"page": "x".repeat(MIB)});
    // What publishing and the first delivery take is there before.
    publisher.publish_json("archive.page.stored", payload.clone()).unvalidated().await.unwrap();
    gate.add_permits(1);
    within(seeing.recv()).await.unwrap();
    let base = resident();
    for _ in 0..EVENTS {
        publisher.publish_json("archive.page.stored", payload.clone()).unvalidated().await.unwrap();
    }
    within(running.counted(|counts| counts.received > EVENTS as u64)).await;
    let grown = resident().saturating_sub(base);
    eprintln!("{EVENTS} events of 1 MiB in flight: {} MiB more than before", grown / MIB);
    assert!(grown > EVENTS / 2 * MIB, "they are not in flight: {} MiB", grown / MIB);
    assert!(grown < BOUND, "{} MiB, more than {} MiB", grown / MIB, BOUND / MIB);
    gate.add_permits(EVENTS);
    for _ in 0..EVENTS {
        assert!(within(seeing.recv()).await.unwrap() > MIB);
    }
    running.shutdown().await;
}
