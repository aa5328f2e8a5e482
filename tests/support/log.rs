//! What is logged, for tests that look at it.

use std::{
    io,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tracing::{
    Dispatch,
    dispatcher::{self, DefaultGuard},
    subscriber::NoSubscriber,
};
use tracing_subscriber::fmt::MakeWriter;

/// Where a subscriber of `tracing_subscriber` writes to; clones are of one log.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// As it was written.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Its lines from one target, where each line is JSON.
    pub fn lines(&self, target: &str) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["target"] == target).collect()
    }
}

/// Makes a subscriber that of this thread, until what is returned is dropped.
///
/// A second one is kept beside it. While there is one only, `tracing` asks it by way of whichever thread comes by a place of
/// the program first; a thread of another test has none, so that the place would be off for all of them.
#[must_use]
pub fn listen(subscriber: impl Into<Dispatch>) -> (DefaultGuard, Dispatch) {
    let second = Dispatch::new(NoSubscriber::new());
    (dispatcher::set_default(&subscriber.into()), second)
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
