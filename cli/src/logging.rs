//! What a command that runs on and on has to say meanwhile, on standard error.
//!
//! Only what this project says itself: lapin logs returned messages with their payloads.

use std::io;

use tracing::Level;
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Prints from now on.
pub(crate) fn start() {
    let ours = Targets::new().with_target("celerysalt", Level::INFO);
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(false).with_target(false);
    // A process that has a subscriber already keeps it.
    drop(tracing_subscriber::registry().with(lines).with(ours).try_init());
}
