//! What a peer is told to do, by its environment, so that peers in any language read the same.

use std::env;

use crate::Outcome;

/// How many bytes an event's payload has.
pub const PAYLOAD: usize = 300;
/// The topic of the events.
pub const TOPIC: &str = "bench.order.recorded";
/// The topic of the requests.
pub const RPC_TOPIC: &str = "rpc.bench.quote";
/// How many messages are sent and not confirmed, at most.
pub const WINDOW: usize = 1000;
/// How many messages are delivered and not acked, at most.
pub const PREFETCH: u16 = 500;

/// One run of one peer.
#[derive(Clone, Debug)]
pub struct Job {
    /// The broker.
    pub url: String,
    /// The exchange, and the queue of whoever consumes what the benchmark declared; also the service's name.
    pub name: String,
    /// Events, or calls, that are measured.
    pub count: usize,
    /// And those before them that are not.
    pub warm: usize,
}

impl Job {
    /// From the environment: `BENCH_URL`, `BENCH_NAME`, `BENCH_COUNT`, `BENCH_WARM`.
    ///
    /// # Errors
    /// Which variable is missing, or no number.
    pub fn from_env() -> Outcome<Self> {
        let text = |name: &str| env::var(name).map_err(|_| format!("{name} is not set"));
        Ok(Self {
            url: text("BENCH_URL")?,
            name: text("BENCH_NAME")?,
            count: text("BENCH_COUNT")?.parse()?,
            warm: text("BENCH_WARM")?.parse()?,
        })
    }

    /// For a child's environment.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("BENCH_URL", self.url.clone()),
            ("BENCH_NAME", self.name.clone()),
            ("BENCH_COUNT", self.count.to_string()),
            ("BENCH_WARM", self.warm.to_string()),
        ]
    }
}

/// The payload of event `number`: JSON of [`PAYLOAD`] bytes.
pub fn payload(number: usize) -> String {
    let head = format!(
        "{{\"order_id\":\"7f1c2d3e-4b5a-4c6d-8e9f-{:012x}\",\"number\":{number},\"recorded_at\":\"2026-11-27T13:00:00Z\",\
         \"customer\":\"Kunde {}\",\"currency\":\"EUR\",\"total_cents\":{},\"skus\":[\"ABC-1234\",\"XYZ-0042\"],\"note\":\"",
        number,
        number % 1000,
        1999 + number % 5000
    );
    let note = PAYLOAD.saturating_sub(head.len() + 2);
    format!("{head}{}\"}}", "n".repeat(note))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_payload_has_its_size() {
        for number in [0, 7, 999, 123_456] {
            assert_eq!(super::payload(number).len(), super::PAYLOAD);
        }
    }
}
