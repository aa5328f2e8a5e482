//! Ten contracts, two payloads each, and the same types by hand.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking"))]

#[allow(missing_docs, clippy::wildcard_imports, reason = "as one would write them for oneself")]
pub mod plain;

celerysalt::include_events!();

pub mod cases;
pub mod compile;
pub mod generate;
