//! What the end-to-end tests share.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_errors_doc,
    reason = "tests fail by panicking"
)]

pub mod browser;
pub mod certificate;
pub mod cluster;
#[cfg(doctest)]
mod guides;
pub mod log;
pub mod node;
pub mod outbox;
pub mod page;
pub mod postgres;
pub mod programs;
pub mod proxy;
pub mod python;
pub mod rabbitmq;
pub mod reader;
pub mod sqlite;
mod world;

pub use world::{PATIENCE, World, header, no_headers, within};

/// The RabbitMQ that tests use: `CELERYSALT_TEST_BROKER_URL`, else the one on the default port. It must be there.
pub fn broker_url() -> String {
    std::env::var("CELERYSALT_TEST_BROKER_URL").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned())
}

/// The Redis that tests use: `CELERYSALT_TEST_REDIS_URL`, else the one on the default port. It must be there.
pub fn redis_url() -> String {
    std::env::var("CELERYSALT_TEST_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379/0".to_owned())
}
