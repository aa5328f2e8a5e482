//! What a command that runs on and on, or waits, has to say meanwhile, on standard error.
//!
//! Only what this project says itself: lapin logs returned messages with their payloads.

use std::io;

use tracing::Level;
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Prints from now on what goes on.
#[cfg(feature = "outbox")]
pub(crate) fn start() {
    print(Targets::new().with_target("celerysalt", Level::INFO));
}

/// Prints from now on what is waited for, and nothing else.
#[cfg(feature = "postgres")]
pub(crate) fn waits() {
    print(Targets::new().with_target("celerysalt::waiting", Level::WARN));
}

fn print(what: Targets) {
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(false).with_target(false);
    // A process that has a subscriber already keeps it.
    drop(tracing_subscriber::registry().with(lines).with(what).try_init());
}
