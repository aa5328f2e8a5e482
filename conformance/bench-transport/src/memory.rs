//! How much memory a consumer takes while large events come through it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use celerysalt::{AnyEvent, Salt};
use serde_json::json;

use crate::{Outcome, broker::Broker, job, job::Job};

/// What a service with large events is measured with.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Of one event, in bytes.
    pub bytes: usize,
    /// Events a second.
    pub rate: u32,
    /// How long.
    pub time: Duration,
}

/// What the consumer's process took, in bytes.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize, serde::Serialize)]
pub struct Memory {
    /// Before the first event.
    pub before: usize,
    /// At most.
    pub most: usize,
    /// Events handled.
    pub handled: usize,
}

/// The resident memory of this process: now, and the most that it had, in bytes.
///
/// # Errors
/// When this is not Linux.
pub fn resident() -> Outcome<(usize, usize)> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kilobytes = |name: &str| -> Outcome<usize> {
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line in /proc/self/status")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse::<usize>()? * 1024)
    };
    Ok((kilobytes("VmRSS:")?, kilobytes("VmHWM:")?))
}

/// Consumes until it has what the job counts, and tells what it took. `BENCH_WARM` is the handler's pause in milliseconds.
///
/// # Errors
/// The broker's.
pub async fn consume(job: &Job) -> Outcome<Memory> {
    let salt = crate::ours::salt(job).await?;
    let handled = Arc::new(AtomicUsize::new(0));
    let pause = Duration::from_millis(job.warm as u64);
    let handler = {
        let handled = Arc::clone(&handled);
        move |event: AnyEvent| {
            let handled = Arc::clone(&handled);
            async move {
                tokio::time::sleep(pause).await;
                drop(event);
                handled.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let running = salt.service().prefetch(job::PREFETCH).on_raw(job::TOPIC, handler).start().await?;
    let (before, _) = resident()?;
    println!("ready");
    while handled.load(Ordering::Relaxed) < job.count {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.shutdown().await;
    salt.close().await;
    Ok(Memory { before, most: resident()?.1, handled: handled.load(Ordering::Relaxed) })
}

/// Publishes at the rate of `load`, and gives the number of events.
///
/// # Errors
/// The broker's.
pub async fn publish(url: &str, exchange: &str, load: Load) -> Outcome<usize> {
    let salt = Salt::builder("celerysalt-bench-large").broker_url(url).registry_url("memory:").exchange(exchange);
    let salt = salt.connect().await?;
    let payload = json!({"note": "n".repeat(load.bytes.saturating_sub(12))});
    let start = Instant::now();
    let mut sent = 0_u32;
    let all = load.rate.saturating_mul(u32::try_from(load.time.as_secs())?);
    while sent < all {
        salt.publish_json(job::TOPIC, payload.clone()).unvalidated().await?;
        sent += 1;
        let due = Duration::from_secs(1) * sent / load.rate;
        tokio::time::sleep(due.saturating_sub(start.elapsed())).await;
    }
    salt.close().await;
    Ok(sent as usize)
}

/// Deletes what a run declared.
///
/// # Errors
/// The broker's.
pub async fn clean(url: &str, name: &str) -> Outcome<()> {
    let queues = ["events", "dead"].map(|part| format!("celerysalt.{name}.{part}"));
    Broker::connect(url).await?.delete(name, &queues).await
}
