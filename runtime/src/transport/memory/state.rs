//! What the in-process broker has: exchanges, queues, connections. Everything here happens under the broker's lock.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Weak},
};

use celerysalt_contract::TopicPattern;
use tokio::{sync::Notify, time::Instant};

use super::{
    broker::Shared,
    queue::{Consumer, Held, Queue},
};

/// Everything that the broker's lock protects.
#[derive(Debug)]
pub(super) struct State {
    pub(super) me: Weak<Shared>,
    pub(super) exchanges: HashMap<String, BTreeSet<(TopicPattern, String)>>,
    pub(super) queues: BTreeMap<String, Queue>,
    /// The connections that are open.
    pub(super) connections: BTreeSet<u64>,
    next_id: u64,
    /// The task that expires messages, when one runs.
    reaper: Option<u64>,
    /// A reaper that is to be started once the lock is free.
    pub(super) reaping: Option<(Reaping, Arc<Notify>)>,
    /// Consumers to drop once the lock is released: dropping one may give a delivery back, which takes the lock.
    pub(super) gone: Vec<Consumer>,
    /// By routing key, how many acks are not to count.
    #[cfg(feature = "testing")]
    pub(super) redelivering: HashMap<String, u32>,
}

impl State {
    pub(super) fn new(me: Weak<Shared>) -> Self {
        Self {
            me,
            exchanges: HashMap::new(),
            queues: BTreeMap::new(),
            connections: BTreeSet::new(),
            next_id: 0,
            reaper: None,
            reaping: None,
            gone: Vec::new(),
            #[cfg(feature = "testing")]
            redelivering: HashMap::new(),
        }
    }

    /// Whether the ack of this message is not to count.
    #[cfg(feature = "testing")]
    pub(super) fn is_to_redeliver(&mut self, queue: &str, tag: u64) -> bool {
        let key = self.queues.get(queue).and_then(|queue| queue.out_key(tag));
        let left = key.and_then(|key| self.redelivering.get_mut(key)).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }

    pub(super) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The queues that a message goes to, each once.
    pub(super) fn route(&mut self, exchange: &str, routing_key: &str) -> BTreeSet<String> {
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
    pub(super) fn deliver(&mut self, name: &str) {
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

    pub(super) fn delete_queue(&mut self, name: &str) {
        self.queues.remove(name);
        for bindings in self.exchanges.values_mut() {
            bindings.retain(|(_, queue)| queue != name);
        }
    }

    pub(super) fn remove_consumer(&mut self, name: &str, id: u64) {
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
    pub(super) fn watch_deadlines(&mut self, changed: &Arc<Notify>) {
        if self.reaper.is_some() {
            changed.notify_one();
        } else if tokio::runtime::Handle::try_current().is_ok() {
            let id = self.fresh_id();
            self.reaper = Some(id);
            self.reaping = Some((Reaping { broker: Weak::clone(&self.me), id }, Arc::clone(changed)));
        }
    }
}

/// Starts what [`State::watch_deadlines`] asked for. Not under the lock: a runtime that is ending drops the task at once,
/// and that takes the lock.
pub(super) fn start((reaping, changed): (Reaping, Arc<Notify>)) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(reap(reaping, changed))),
        Err(_) => drop(reaping),
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
#[derive(Debug)]
pub(super) struct Reaping {
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
