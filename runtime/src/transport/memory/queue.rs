//! One queue of the in-process broker: what waits, who consumes, what is out and unsettled.
//!
//! Pure state: the broker calls it under its lock, and it tells back what expired and who is gone.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Weak},
};

use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::Instant,
};

use super::broker::{Shared, Unsettled};
use crate::transport::{Delivery, Message, QueueKind, QueueSpec, Taken, TransportError};

/// In place of a consumer's id: ids count from 1.
const NO_CONSUMER: u64 = 0;

/// Where a message stands in its queue. A requeued message has its old one, so it comes again before its successors.
pub(super) type Place = (Reverse<u8>, u64);

/// A message with the memory that it is charged for; the last queue that lets go of it gives the memory back.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) message: Message,
    pub(super) room: Arc<OwnedSemaphorePermit>,
}

/// A message in one queue.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) held: Arc<Held>,
    pub(super) expires: Option<Instant>,
    /// How often it was handed out before.
    pub(super) deliveries: u32,
}

/// Takes deliveries of a queue.
#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) id: u64,
    pub(super) connection: u64,
    pub(super) prefetch: usize,
    pub(super) unsettled: usize,
    /// Has room for `prefetch` deliveries, so that only a closed one refuses.
    pub(super) sender: mpsc::Sender<Result<Delivery, TransportError>>,
}

/// An entry that a consumer has.
#[derive(Debug)]
struct Out {
    place: Place,
    entry: Entry,
    consumer: u64,
    connection: u64,
}

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) kind: QueueKind,
    pub(super) dead_letter: Option<String>,
    /// The connection that alone may use it, and with whose consumer it goes away.
    pub(super) exclusive: Option<u64>,
    ready: BTreeMap<Place, Entry>,
    deadlines: BTreeSet<(Instant, Place)>,
    out: HashMap<u64, Out>,
    consumers: VecDeque<Consumer>,
    next_place: u64,
    next_tag: u64,
}

impl Queue {
    pub(super) fn new(spec: &QueueSpec, exclusive: Option<u64>) -> Self {
        Self {
            name: spec.name.clone(),
            kind: spec.kind,
            dead_letter: spec.dead_letter.clone(),
            exclusive,
            ready: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            out: HashMap::new(),
            consumers: VecDeque::new(),
            next_place: 0,
            next_tag: 0,
        }
    }

    /// Puts a new message behind those of its priority.
    pub(super) fn push(&mut self, held: Arc<Held>, expires: Option<Instant>) {
        let priority = match self.kind {
            QueueKind::Quorum => 0,
            QueueKind::ClassicWithPriority(max) => held.message.properties.priority.unwrap_or(0).min(max),
        };
        let place = (Reverse(priority), self.next_place);
        self.next_place += 1;
        self.insert(place, Entry { held, expires, deliveries: 0 });
    }

    fn insert(&mut self, place: Place, entry: Entry) {
        if let Some(expires) = entry.expires {
            self.deadlines.insert((expires, place));
        }
        self.ready.insert(place, entry);
    }

    /// Takes out what waits and has expired.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Entry> {
        let mut expired = Vec::new();
        while let Some(&(expires, place)) = self.deadlines.first()
            && expires <= now
        {
            self.deadlines.pop_first();
            expired.extend(self.ready.remove(&place));
        }
        expired
    }

    /// When the next waiting message expires.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(expires, _)| *expires)
    }

    pub(super) fn add_consumer(&mut self, consumer: Consumer) {
        self.consumers.push_back(consumer);
    }

    /// Hands waiting messages to consumers with room, in turn. Returns the consumers that turned out to be gone: the
    /// caller drops them outside of its lock, because a delivery that is stuck in one comes back when it is dropped.
    #[must_use]
    pub(super) fn dispatch(&mut self, broker: &Weak<Shared>) -> Vec<Consumer> {
        let mut gone = Vec::new();
        while !self.ready.is_empty() {
            let Some(at) = self.consumers.iter().position(|c| c.unsettled < c.prefetch) else { break };
            let Some(mut consumer) = self.consumers.remove(at) else { break };
            let Ok(permit) = consumer.sender.clone().try_reserve_owned() else {
                gone.push(consumer);
                continue;
            };
            let Some((place, entry)) = self.ready.pop_first() else { break };
            permit.send(Ok(self.hand_out(broker, (place, entry), consumer.id, consumer.connection)));
            consumer.unsettled += 1;
            self.consumers.push_back(consumer);
        }
        gone
    }

    /// How many messages it has, those that are out included.
    #[cfg(feature = "testing")]
    pub(super) fn len(&self) -> usize {
        self.ready.len() + self.out.len()
    }

    /// The routing key of a delivery that is out.
    #[cfg(feature = "testing")]
    pub(super) fn out_key(&self, tag: u64) -> Option<&str> {
        self.out.get(&tag).map(|out| out.entry.held.message.routing_key.as_str())
    }

    /// Takes what waits, at most so much of it, for a connection without a consumer.
    pub(super) fn take(&mut self, broker: &Weak<Shared>, connection: u64, most: usize) -> Taken {
        let mut deliveries = Vec::new();
        while deliveries.len() < most
            && let Some(first) = self.ready.pop_first()
        {
            deliveries.push(self.hand_out(broker, first, NO_CONSUMER, connection));
        }
        Taken { deliveries, more: self.ready.len() as u64 }
    }

    /// A delivery of what was at the queue's head.
    fn hand_out(
        &mut self,
        broker: &Weak<Shared>,
        (place, entry): (Place, Entry),
        consumer: u64,
        connection: u64,
    ) -> Delivery {
        if let Some(expires) = entry.expires {
            self.deadlines.remove(&(expires, place));
        }
        let tag = self.next_tag;
        self.next_tag += 1;
        let mut message = entry.held.message.clone();
        let redelivered = entry.deliveries > 0;
        if redelivered && self.kind == QueueKind::Quorum {
            // As RabbitMQ's quorum queues count them.
            message.headers.insert("x-delivery-count".to_owned(), entry.deliveries.into());
        }
        self.out.insert(tag, Out { place, entry, consumer, connection });
        let settle = Unsettled {
            broker: Weak::clone(broker),
            queue: self.name.clone(),
            tag,
            needs_ack: self.exclusive.is_none(),
        };
        Delivery::new(message, redelivered, Box::new(settle))
    }

    /// Ends a delivery; false when it is not out (any more).
    #[must_use]
    pub(super) fn settle(&mut self, tag: u64, requeue: bool) -> bool {
        let Some(out) = self.out.remove(&tag) else { return false };
        if let Some(consumer) = self.consumers.iter_mut().find(|c| c.id == out.consumer) {
            consumer.unsettled -= 1;
        }
        if requeue {
            self.put_back(out);
        }
        true
    }

    fn put_back(&mut self, mut out: Out) {
        out.entry.deliveries = out.entry.deliveries.saturating_add(1);
        self.insert(out.place, out.entry);
    }

    /// Ends a consumer. What it was handed out stays its own to settle.
    pub(super) fn remove_consumer(&mut self, id: u64) -> Option<Consumer> {
        let at = self.consumers.iter().position(|c| c.id == id)?;
        self.consumers.remove(at)
    }

    /// Ends all consumers of a connection and takes back what they had.
    #[must_use]
    pub(super) fn disconnect(&mut self, connection: u64) -> Vec<Consumer> {
        let (gone, stay) = self.consumers.drain(..).partition(|c| c.connection == connection);
        self.consumers = stay;
        let tags: Vec<u64> = self.out.iter().filter(|(_, o)| o.connection == connection).map(|(t, _)| *t).collect();
        for tag in tags {
            if let Some(out) = self.out.remove(&tag) {
                self.put_back(out);
            }
        }
        Vec::from(gone)
    }
}
