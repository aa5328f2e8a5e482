//! What all messages of a service are handled with, and the count of them.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use serde::Serialize;
use tokio::sync::Notify;

use super::{
    Registration, Retry, RpcRegistration,
    extract::Provided,
    flow::{Flow, House},
};
use crate::{Salt, transport::QueueSpec};

/// What every message is handled with.
pub(super) struct Shared {
    pub(super) salt: Salt,
    /// What handlers can ask for.
    pub(super) provided: Arc<Provided>,
    pub(super) dead: QueueSpec,
    pub(super) retry: Retry,
    /// The name of the queue that messages come back to.
    pub(super) events_queue: String,
    /// The name of the queue of requests.
    pub(super) requests_queue: String,
    pub(super) events: Vec<Subscriber>,
    pub(super) requests: Vec<Server>,
    pub(super) event_house: House,
    pub(super) request_house: House,
    /// Whether messages, and the handlers of one message, are handled one after the other.
    pub(super) one_at_a_time: bool,
    pub(super) counters: Counters,
}

/// A handler of events at work.
pub(super) struct Subscriber {
    pub(super) registration: Registration,
    pub(super) flow: Flow,
}

/// A handler of requests at work.
pub(super) struct Server {
    pub(super) registration: RpcRegistration,
    pub(super) flow: Flow,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) received: AtomicU64,
    pub(super) handled: AtomicU64,
    pub(super) passed_over: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) put_aside: AtomicU64,
    pub(super) dead_lettered: AtomicU64,
    /// How many wait for a change. Telling nobody would cost a lock a message.
    waiting: AtomicUsize,
    changed: Notify,
}

/// One who waits, for as long as this is there.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Counters {
    /// Counts one more in `counter`, which is one of these.
    pub(super) fn add(&self, counter: &AtomicU64) {
        // Either this sees who waits, or who waits sees the new count: they do the same two things in the other order.
        counter.fetch_add(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.changed.notify_waiters();
        }
    }

    /// Waits until the counts are as asked.
    pub(super) async fn until(&self, mut are: impl FnMut(&Counts) -> bool) -> Counts {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let counts = self.counts();
            if are(&counts) {
                return counts;
            }
            changed.await;
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        Counts {
            received: read(&self.received),
            handled: read(&self.handled),
            passed_over: read(&self.passed_over),
            duplicates: read(&self.duplicates),
            retried: read(&self.retried),
            put_aside: read(&self.put_aside),
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
    /// Not for handlers: the second hop of a Python worker, and the second message of what was sent in both task names.
    pub passed_over: u64,
    /// Handled before, as [`Dedupe`](crate::Dedupe) remembers.
    pub duplicates: u64,
    /// Put aside to be tried again, which is then received again; or tried again in its place, by a handler with an order.
    pub retried: u64,
    /// Put aside for a handler that could not take it then: one that hangs, or has a rate; it is received again.
    pub put_aside: u64,
    /// Kept in the dead-letter queue.
    pub dead_lettered: u64,
}
