//! What one run came to, and how runs become rows of a table.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// One run of one peer, as its process prints it.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Figures {
    /// Events, or calls.
    pub count: f64,
    /// What they took, in seconds.
    pub seconds: f64,
    /// CPU time of the peer's process in these seconds, in seconds.
    pub cpu: f64,
    /// Of calls: half took no longer, in milliseconds.
    pub p50: f64,
    /// Of calls: 99 of 100 took no longer, in milliseconds.
    pub p99: f64,
}

impl Figures {
    /// Per second.
    pub fn rate(&self) -> f64 {
        self.count / self.seconds
    }

    /// Microseconds of CPU time for one.
    pub fn cpu_each(&self) -> f64 {
        self.cpu * 1e6 / self.count
    }

    /// For whoever started this process.
    pub fn print(&self) {
        println!("{}", serde_json::to_string(self).unwrap_or_default());
    }
}

/// The CPU time of this process so far, in seconds.
#[expect(clippy::cast_precision_loss, reason = "years of nanoseconds fit")]
pub fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// From when it is made to when it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    start: Instant,
    cpu: f64,
}

impl Watch {
    /// Starts now.
    pub fn start() -> Self {
        Self { start: Instant::now(), cpu: cpu() }
    }

    /// What `count` of them took since.
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    pub fn took(&self, count: usize) -> Figures {
        Figures {
            count: count as f64,
            seconds: self.start.elapsed().as_secs_f64(),
            cpu: cpu() - self.cpu,
            ..Figures::default()
        }
    }
}

/// The figures of calls that took these many milliseconds each.
pub fn of_calls(watch: Watch, mut times: Vec<f64>) -> Figures {
    times.sort_unstable_by(f64::total_cmp);
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    Figures { p50: at(50), p99: at(99), ..watch.took(times.len()) }
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_worst_of_calls() {
        let times = (1..=100).rev().map(f64::from).collect();
        let figures = of_calls(Watch::start(), times);
        assert_eq!((figures.p50, figures.p99, figures.count), (51.0, 100.0, 100.0));
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
