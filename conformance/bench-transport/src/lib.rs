//! What publishing, consuming and calling cost over a real RabbitMQ: the events, the peers and their figures.
//!
//! Each peer runs in a process of its own (`celerysalt-bench-transport peer NAME WORK`), so that its CPU time is its own.

celerysalt::include_events!();

pub mod broker;
pub mod figures;
pub mod job;
pub mod memory;
pub mod ours;
pub mod peers;
pub mod raw;

/// What goes wrong in a benchmark ends it.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
