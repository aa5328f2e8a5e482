//! The in-process broker itself: exchanges, queues, routing, expiry, behind one lock that is never held across an await.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use celerysalt_contract::TopicPattern;
use tokio::{
    sync::{Notify, Semaphore, mpsc, oneshot},
    time::Instant,
};

use super::queue::{Consumer, Held, Queue};
use crate::transport::{Deliveries, Message, QueueKind, QueueSpec, Routing, Settle, Settlement, TransportError};

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
}

#[derive(Debug)]
struct State {
    me: Weak<Shared>,
    exchanges: HashMap<String, BTreeSet<(TopicPattern, String)>>,
    queues: BTreeMap<String, Queue>,
    /// The connections that are open.
    connections: BTreeSet<u64>,
    next_id: u64,
    /// The task that expires messages, when one runs.
    reaper: Option<u64>,
    /// Consumers to drop once the lock is released: dropping one may give a delivery back, which takes the lock.
    gone: Vec<Consumer>,
}

impl Shared {
    pub(super) fn new(name: String, capacity: u32) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            name,
            room: Arc::new(Semaphore::new(capacity as usize)),
            capacity,
            state: Mutex::new(State {
                me: Weak::clone(me),
                exchanges: HashMap::new(),
                queues: BTreeMap::new(),
                connections: BTreeSet::new(),
                next_id: 0,
                reaper: None,
                gone: Vec::new(),
            }),
            deadline_changed: Arc::new(Notify::new()),
        })
    }

    fn locked<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut state);
        let gone = std::mem::take(&mut state.gone);
        drop(state);
        drop(gone);
        result
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

impl State {
    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The queues that a message goes to, each once.
    fn route(&mut self, exchange: &str, routing_key: &str) -> BTreeSet<String> {
        if exchange.is_empty() {
            return self.queues.contains_key(routing_key).then(|| routing_key.to_owned()).into_iter().collect();
        }
        self.exchanges
            .entry(exchange.to_owned())
            .or_default()
            .iter()
            .filter(|(pattern, _)| pattern.matches(routing_key))
            .map(|(_, queue)| queue.clone())
            .collect()
    }

    /// Moves what the queue can give: expired messages to its dead-letter queue, others to its consumers.
    fn deliver(&mut self, name: &str) {
        let Some(queue) = self.queues.get_mut(name) else { return };
        let expired = queue.take_expired(Instant::now());
        self.gone.extend(queue.dispatch(&self.me));
        let Some(target) = queue.dead_letter.clone() else { return };
        let dead: Vec<Arc<Held>> = expired.into_iter().map(|entry| dead_letter(&entry.held, name, &target)).collect();
        if dead.is_empty() {
            return;
        }
        // A dead-lettered message expires no more, so this goes one step deep.
        if let Some(queue) = self.queues.get_mut(&target) {
            for held in dead {
                queue.push(held, None);
            }
            self.gone.extend(queue.dispatch(&self.me));
        }
    }

    fn delete_queue(&mut self, name: &str) {
        self.queues.remove(name);
        for bindings in self.exchanges.values_mut() {
            bindings.retain(|(_, queue)| queue != name);
        }
    }

    fn remove_consumer(&mut self, name: &str, id: u64) {
        let Some(queue) = self.queues.get_mut(name) else { return };
        self.gone.extend(queue.remove_consumer(id));
        if queue.exclusive.is_some() {
            self.delete_queue(name);
        }
    }

    fn expire(&mut self) -> Option<Instant> {
        let names: Vec<String> = self.queues.keys().cloned().collect();
        for name in names {
            self.deliver(&name);
        }
        let next = self.queues.values().filter_map(Queue::next_deadline).min();
        if next.is_none() {
            self.reaper = None;
        }
        next
    }

    /// Makes sure that something looks after the queues' deadlines. Without a runtime (a delivery dropped elsewhere)
    /// messages still never reach a consumer after they expired; they only leave later.
    fn watch_deadlines(&mut self, changed: &Arc<Notify>) {
        if self.reaper.is_some() {
            changed.notify_one();
        } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let id = self.fresh_id();
            self.reaper = Some(id);
            runtime.spawn(reap(Reaping { broker: Weak::clone(&self.me), id }, Arc::clone(changed)));
        }
    }
}

/// Expires messages at their time, until none is left that can expire.
async fn reap(reaping: Reaping, changed: Arc<Notify>) {
    loop {
        let Some(broker) = reaping.broker.upgrade() else { return };
        let next = broker.locked(State::expire);
        drop(broker);
        let Some(next) = next else { return };
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = changed.notified() => {}
        }
    }
}

/// Held by the reaper's task: when its runtime ends, the next one takes over.
struct Reaping {
    broker: Weak<Shared>,
    id: u64,
}

impl Drop for Reaping {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.upgrade() {
            broker.locked(|state| {
                if state.reaper == Some(self.id) {
                    state.reaper = None;
                }
            });
        }
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

    fn abandon(self: Box<Self>) {
        if let Some(broker) = self.broker.upgrade() {
            broker.settle(&self.queue, self.tag, self.needs_ack);
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

/// The message as the dead-letter queue gets it, with RabbitMQ's headers on where and why it died first.
fn dead_letter(held: &Held, queue: &str, target: &str) -> Arc<Held> {
    let mut message = held.message.clone();
    message.properties.expiration = None;
    if !message.headers.contains_key("x-first-death-reason") {
        let exchange = std::mem::take(&mut message.exchange);
        message.headers.insert("x-first-death-reason".to_owned(), "expired".into());
        message.headers.insert("x-first-death-queue".to_owned(), queue.into());
        message.headers.insert("x-first-death-exchange".to_owned(), exchange.into());
    }
    message.exchange = String::new();
    target.clone_into(&mut message.routing_key);
    Arc::new(Held { message, room: Arc::clone(&held.room) })
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
