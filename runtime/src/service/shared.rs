//! What all messages of a service are handled with, and the count of them.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::{Registration, Retry, RpcRegistration};
use crate::{Salt, transport::QueueSpec};

/// What every message is handled with.
pub(super) struct Shared {
    pub(super) salt: Salt,
    pub(super) dead: QueueSpec,
    pub(super) retry: Retry,
    /// The name of the queue that messages come back to.
    pub(super) events_queue: String,
    pub(super) events: Vec<Registration>,
    pub(super) requests: Vec<RpcRegistration>,
    pub(super) counters: Counters,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) received: AtomicU64,
    pub(super) handled: AtomicU64,
    pub(super) passed_over: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) dead_lettered: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            received: read(&self.received),
            handled: read(&self.handled),
            passed_over: read(&self.passed_over),
            retried: read(&self.retried),
            dead_lettered: read(&self.dead_lettered),
        }
    }
}

/// What became of the messages that a running service was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Taken from the queues.
    pub received: u64,
    /// Handled: every handler that takes it returned `Ok`, or its caller was told.
    pub handled: u64,
    /// Not for handlers: the second hop of a Python worker.
    pub passed_over: u64,
    /// Put aside to be tried again; such a message is received again.
    pub retried: u64,
    /// Kept in the dead-letter queue.
    pub dead_lettered: u64,
}
