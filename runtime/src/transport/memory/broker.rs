//! The in-process broker as its connections use it: one lock around its [`State`], never held across an await.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::{Notify, Semaphore, mpsc, oneshot},
    time::Instant,
};

use super::{
    queue::{Consumer, Held, Queue},
    state::{self, State},
};
use crate::transport::{Deliveries, Message, QueueKind, QueueSpec, Routing, Settle, Settlement, Taken, TransportError};

/// How long a sender waits for room.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(10);
/// What a queued message is charged beyond its body and texts, in bytes.
const OVERHEAD: usize = 256;
/// How many replies wait for a caller that does not take them; the rest wait in the queue.
const REPLY_BUFFER: usize = 1024;

/// What all handles of a broker share.
#[derive(Debug)]
pub(super) struct Shared {
    /// For people, in errors.
    pub(super) name: String,
    room: Arc<Semaphore>,
    capacity: u32,
    state: Mutex<State>,
    deadline_changed: Arc<Notify>,
    /// Something has been done under the lock.
    #[cfg(feature = "testing")]
    changed: Notify,
}

impl Shared {
    pub(super) fn new(name: String, capacity: u32) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            name,
            room: Arc::new(Semaphore::new(capacity as usize)),
            capacity,
            state: Mutex::new(State::new(Weak::clone(me))),
            deadline_changed: Arc::new(Notify::new()),
            #[cfg(feature = "testing")]
            changed: Notify::new(),
        })
    }

    pub(super) fn locked<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut state);
        let gone = std::mem::take(&mut state.gone);
        let reaping = state.reaping.take();
        drop(state);
        drop(gone);
        reaping.into_iter().for_each(state::start);
        #[cfg(feature = "testing")]
        self.changed.notify_waiters();
        result
    }

    /// A queue of these that is not empty, with the number of its messages, those that are out included.
    #[cfg(feature = "testing")]
    pub(super) fn busy(&self, of: impl Fn(&str) -> bool) -> Option<(String, usize)> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut queues = state.queues.values().filter(|queue| of(&queue.name));
        queues.find(|queue| queue.len() > 0).map(|queue| (queue.name.clone(), queue.len()))
    }

    /// Waits until none of these queues has a message.
    #[cfg(feature = "testing")]
    pub(super) async fn settled(&self, of: impl Fn(&str) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if self.busy(&of).is_none() {
                return;
            }
            changed.await;
        }
    }

    /// Has the next acks of messages with this routing key taken as if their connection had been lost.
    #[cfg(feature = "testing")]
    pub(super) fn redeliver(&self, routing_key: String, times: u32) {
        self.locked(|state| state.redelivering.insert(routing_key, times));
    }

    pub(super) fn connect(&self) -> u64 {
        self.locked(|state| {
            let id = state.fresh_id();
            state.connections.insert(id);
            id
        })
    }

    pub(super) fn is_open(&self, connection: u64) -> bool {
        self.locked(|state| state.connections.contains(&connection))
    }

    /// Ends a connection: its consumers, its exclusive queues, and what it had unsettled goes back.
    pub(super) fn disconnect(&self, connection: u64) {
        self.locked(|state| {
            if !state.connections.remove(&connection) {
                return;
            }
            for queue in state.queues.values_mut() {
                state.gone.extend(queue.disconnect(connection));
            }
            let exclusive: Vec<String> =
                state.queues.values().filter(|q| q.exclusive == Some(connection)).map(|q| q.name.clone()).collect();
            for name in exclusive {
                state.delete_queue(&name);
            }
            let names: Vec<String> = state.queues.keys().cloned().collect();
            for name in names {
                state.deliver(&name);
            }
        });
    }

    /// Waits for room, then puts the message into every queue that it matches.
    pub(super) async fn publish(&self, connection: u64, message: Message) -> Result<Routing, TransportError> {
        let size = charge(&message);
        let permits = u32::try_from(size).ok().filter(|permits| *permits <= self.capacity);
        let Some(permits) = permits else {
            return Err(TransportError::TooLarge { size: message.body.len(), limit: self.capacity as usize });
        };
        let room = Arc::clone(&self.room).acquire_many_owned(permits);
        let Ok(Ok(room)) = tokio::time::timeout(WAIT_FOR_ROOM, room).await else {
            return Err(TransportError::Unavailable {
                broker: self.name.clone(),
                reason: format!(
                    "its queues hold {} bytes, which is its limit, and nothing was acked for {} s: \
                     consume faster, or give it more with MemoryBroker::with_capacity",
                    self.capacity,
                    WAIT_FOR_ROOM.as_secs()
                ),
            });
        };
        self.locked(|state| {
            if !state.connections.contains(&connection) {
                return Err(TransportError::Closed);
            }
            let queues = state.route(&message.exchange, &message.routing_key);
            let expires = message.properties.expiration.map(|expiration| {
                // RabbitMQ counts whole milliseconds; an expiration of 0 still reaches a consumer that waits.
                Instant::now() + expiration.max(Duration::from_millis(1)).min(Duration::from_hours(24 * 365))
            });
            let held = Arc::new(Held { message, room: Arc::new(room) });
            for name in &queues {
                if let Some(queue) = state.queues.get_mut(name) {
                    queue.push(Arc::clone(&held), expires);
                }
                state.deliver(name);
            }
            if expires.is_some() {
                state.watch_deadlines(&self.deadline_changed);
            }
            Ok(if queues.is_empty() { Routing::Unroutable } else { Routing::Routed })
        })
    }

    pub(super) fn declare(&self, connection: u64, spec: &QueueSpec) -> Result<(), TransportError> {
        self.locked(|state| {
            if !state.connections.contains(&connection) {
                return Err(TransportError::Closed);
            }
            if let Some(queue) = state.queues.get(&spec.name) {
                if let Some(reason) = conflict(queue, spec, connection) {
                    return Err(TransportError::Refused {
                        broker: self.name.clone(),
                        what: format!("queue `{}`", spec.name),
                        reason,
                    });
                }
            } else {
                state.queues.insert(spec.name.clone(), Queue::new(spec, None));
            }
            for binding in &spec.bindings {
                let bindings = state.exchanges.entry(binding.exchange.clone()).or_default();
                bindings.insert((binding.pattern.clone(), spec.name.clone()));
            }
            Ok(())
        })
    }

    pub(super) fn consume(
        self: &Arc<Self>,
        connection: u64,
        spec: &QueueSpec,
        prefetch: u16,
    ) -> Result<Deliveries, TransportError> {
        self.declare(connection, spec)?;
        Ok(self.add_consumer(connection, &spec.name, usize::from(prefetch.max(1))))
    }

    pub(super) fn take(&self, connection: u64, queue: &str, most: usize) -> Result<Taken, TransportError> {
        self.locked(|state| {
            if !state.connections.contains(&connection) {
                return Err(TransportError::Closed);
            }
            // What has expired goes first.
            state.deliver(queue);
            let refuse = |reason: &str| TransportError::Refused {
                broker: self.name.clone(),
                what: format!("taking from queue `{queue}`"),
                reason: reason.to_owned(),
            };
            let found = state.queues.get_mut(queue).ok_or_else(|| refuse("there is no such queue"))?;
            if found.exclusive.is_some_and(|owner| owner != connection) {
                return Err(refuse("it is exclusive to another connection"));
            }
            Ok(found.take(&state.me, connection, most))
        })
    }

    pub(super) fn consume_replies(self: &Arc<Self>, connection: u64) -> Result<Deliveries, TransportError> {
        let spec = QueueSpec {
            name: format!("celerysalt.reply.{}", uuid::Uuid::new_v4()),
            kind: QueueKind::Quorum,
            bindings: Vec::new(),
            dead_letter: None,
        };
        self.locked(|state| {
            if !state.connections.contains(&connection) {
                return Err(TransportError::Closed);
            }
            state.queues.insert(spec.name.clone(), Queue::new(&spec, Some(connection)));
            Ok(())
        })?;
        Ok(self.add_consumer(connection, &spec.name, REPLY_BUFFER))
    }

    fn add_consumer(self: &Arc<Self>, connection: u64, queue: &str, prefetch: usize) -> Deliveries {
        let (sender, receiver) = mpsc::channel(prefetch);
        let (cancel, cancelled) = oneshot::channel();
        let id = self.locked(|state| {
            let id = state.fresh_id();
            if let Some(found) = state.queues.get_mut(queue) {
                found.add_consumer(Consumer { id, connection, prefetch, unsettled: 0, sender });
            }
            state.deliver(queue);
            id
        });
        let consuming = Consuming { broker: Arc::downgrade(self), queue: queue.to_owned(), id };
        tokio::spawn(async move {
            // Owned by the task, so that a runtime that shuts down ends the consumer too.
            let _consuming = consuming;
            drop(cancelled.await);
        });
        Deliveries::new(queue.to_owned(), receiver, cancel)
    }

    fn settle(&self, queue: &str, tag: u64, requeue: bool) -> bool {
        self.locked(|state| {
            #[cfg(feature = "testing")]
            let requeue = requeue || state.is_to_redeliver(queue, tag);
            let settled = state.queues.get_mut(queue).is_some_and(|queue| queue.settle(tag, requeue));
            state.deliver(queue);
            if requeue {
                state.watch_deadlines(&self.deadline_changed);
            }
            settled
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.deadline_changed.notify_one();
    }
}

/// A consumer that ends when this is dropped.
struct Consuming {
    broker: Weak<Shared>,
    queue: String,
    id: u64,
}

impl Drop for Consuming {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.upgrade() {
            broker.locked(|state| state.remove_consumer(&self.queue, self.id));
        }
    }
}

/// A delivery that is out.
#[derive(Debug)]
pub(super) struct Unsettled {
    pub(super) broker: Weak<Shared>,
    pub(super) queue: String,
    pub(super) tag: u64,
    pub(super) needs_ack: bool,
}

#[async_trait]
impl Settle for Unsettled {
    async fn settle(self: Box<Self>, settlement: Settlement) -> Result<(), TransportError> {
        let requeue = settlement == Settlement::Requeue && self.needs_ack;
        let broker = self.broker.upgrade();
        let settled = broker.as_ref().is_some_and(|broker| broker.settle(&self.queue, self.tag, requeue));
        if settled || !self.needs_ack {
            return Ok(());
        }
        Err(TransportError::Unavailable {
            broker: broker.map_or_else(|| "memory:".to_owned(), |broker| broker.name.clone()),
            reason: format!("the connection that took this message from queue `{}` was closed", self.queue),
        })
    }

    fn settle_soon(self: Box<Self>, settlement: Settlement) {
        if let Some(broker) = self.broker.upgrade() {
            broker.settle(&self.queue, self.tag, settlement == Settlement::Requeue && self.needs_ack);
        }
    }
}

/// What a message takes of the broker's room, about.
fn charge(message: &Message) -> usize {
    let headers: usize = message.headers.iter().map(|(key, value)| key.len() + weigh(value)).sum();
    OVERHEAD + message.body.len() + message.exchange.len() + message.routing_key.len() + headers
}

fn weigh(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::String(text) => 32 + text.len(),
        Value::Array(items) => 32 + items.iter().map(weigh).sum::<usize>(),
        Value::Object(fields) => 32 + fields.iter().map(|(key, value)| key.len() + weigh(value)).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
    }
}

/// Why the queue is not what `spec` asks for, and what to do.
fn conflict(queue: &Queue, spec: &QueueSpec, connection: u64) -> Option<String> {
    if queue.exclusive.is_some_and(|owner| owner != connection) {
        return Some("it is exclusive to another connection: use another name".to_owned());
    }
    if queue.kind != spec.kind {
        return Some(format!(
            "it exists with kind {:?}, not {:?}: set the kind that it has, or use another name",
            queue.kind, spec.kind
        ));
    }
    if queue.dead_letter != spec.dead_letter {
        return Some(format!(
            "it exists with dead_letter {:?}, not {:?}: set what it has, or use another name",
            queue.dead_letter, spec.dead_letter
        ));
    }
    None
}
