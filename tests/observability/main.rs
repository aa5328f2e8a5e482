//! What can be seen of services at work, on real servers: traces, log lines, metrics, health.
//!
//! A program has one subscriber and one recorder, so all tests of this one share them: each looks for its own services,
//! whose names are its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

mod counts;
mod dashboard;
mod lines;
mod python;
mod seen;
mod traces;
