//! What the programs of this peer share: the event, the job, the clock.

use std::{env, time::Instant};

use rustix::time::{ClockId, clock_gettime};
use ruststream_lapin::prelude::*;
use serde::{Deserialize, Serialize};

/// The benchmark's event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Outgoing)]
#[outgoing(name = "bench.order.recorded")]
pub struct Order {
    /// Fields as in the contract.
    pub order_id: String,
    /// A number.
    pub number: u64,
    /// A time.
    pub recorded_at: String,
    /// A name.
    pub customer: String,
    /// A code.
    pub currency: String,
    /// An amount.
    pub total_cents: u64,
    /// Codes.
    pub skus: Vec<String>,
    /// Text.
    pub note: String,
}

/// A variable of the job.
pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// A number of the job.
pub fn number(name: &str) -> usize {
    variable(name).parse().unwrap_or(1)
}

/// The event of 300 bytes.
pub fn order(number: u64) -> Order {
    let mut order = Order {
        order_id: format!("7f1c2d3e-4b5a-4c6d-8e9f-{number:012x}"),
        number,
        recorded_at: "2026-11-27T13:00:00Z".to_owned(),
        customer: format!("Kunde {}", number % 1000),
        currency: "EUR".to_owned(),
        total_cents: 1999 + number % 5000,
        skus: vec!["ABC-1234".to_owned(), "XYZ-0042".to_owned()],
        note: String::new(),
    };
    let size = serde_json::to_string(&order).map(|text| text.len()).unwrap_or_default();
    order.note = "n".repeat(300_usize.saturating_sub(size));
    order
}

/// When it started.
pub struct Watch(Instant, f64);

impl Watch {
    /// Now.
    pub fn start() -> Self {
        Self(Instant::now(), cpu())
    }

    /// Prints what it took; `times` of calls in milliseconds.
    pub fn print(&self, count: usize, mut times: Vec<f64>) {
        times.sort_unstable_by(f64::total_cmp);
        let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
        println!(
            "{}",
            serde_json::json!({"count": count, "seconds": self.0.elapsed().as_secs_f64(), "cpu": cpu() - self.1,
                "p50": at(50), "p99": at(99)})
        );
    }
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
