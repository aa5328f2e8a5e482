//! Faults: what users' servers, networks and processes do to them, and what becomes of their events. Real servers, real processes.
//!
//! Each test is a row of the table in `docs/faults.md`. It says what became of its events in figures ([`checker`]), and fails where
//! a promise is broken. `CELERYSALT_FAULT_EVENTS` says how many events a fault gets: 20,000 by `cargo xtask test --faults`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

mod broker;
mod calls;
mod checker;
mod handlers;
mod network;
mod node;
mod processes;
mod refusals;
mod registry;
mod relay;
mod stand;
mod topology;
mod traps;

/// How many events a fault gets: `CELERYSALT_FAULT_EVENTS`, else 1,000.
fn events() -> usize {
    std::env::var("CELERYSALT_FAULT_EVENTS")
        .map_or(1_000, |count| count.parse().expect("CELERYSALT_FAULT_EVENTS is a number"))
}

/// The larger one in the whole campaign, the smaller one where every fault is only to be met once.
fn more<T>(few: T, many: T) -> T {
    if events() >= 20_000 { many } else { few }
}
