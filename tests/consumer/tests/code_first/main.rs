//! Events that are written in Rust: beside schema files that people wrote, and beside generated events.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod events;
mod files;
mod sending;
