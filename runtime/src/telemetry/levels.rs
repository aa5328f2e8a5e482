//! How a service stands right now: its broker, its consumers, its registry.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{InFlight, Labels, Queue, level, names};
use crate::Salt;

/// Records how the service of `salt` stands: broker, registry. What moves all the time is recorded as it moves; these are
/// looked at, so call this before the metrics are read. `Monitor` does.
pub fn look(salt: &Salt) {
    let one = |up: bool| if up { 1.0 } else { 0.0 };
    let service = || [("service", salt.labels().service())];
    let (pending, away) = salt.registration().backlog();
    level(names::BROKER_UP, one(salt.transport().is_connected()), service);
    level(names::REGISTRY_UP, one(!away), service);
    level(names::REGISTRY_PENDING, f64::from(u32::try_from(pending).unwrap_or(u32::MAX)), service);
}

/// Records how an outbox stands: levels that are not known are `NaN`.
#[cfg(all(feature = "outbox", feature = "prometheus"))]
pub(crate) async fn look_at_outbox(outbox: &crate::outbox::Outbox) {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
    let count = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let levels = match tokio::time::timeout(PATIENCE, outbox.status()).await {
        Ok(Ok(status)) => {
            let oldest = status.oldest.map_or(0.0, |oldest| oldest.as_secs_f64());
            [count(status.waiting), count(status.held_up), oldest]
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "how the outbox stands is not known");
            [f64::NAN; 3]
        }
        Err(_) => {
            tracing::warn!("how the outbox stands is not known: its database did not answer within {PATIENCE:?}");
            [f64::NAN; 3]
        }
    };
    let names = [names::OUTBOX_WAITING, names::OUTBOX_HELD_UP, names::OUTBOX_OLDEST_SECONDS];
    for (name, value) in names.into_iter().zip(levels) {
        level(name, value, || []);
    }
}

/// What takes messages from a queue, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Consuming {
    /// Messages are taken as they come, also while the broker is away: then none come.
    Running,
    /// It was told to end, or dropped.
    Stopped,
    /// The queue was lost for good.
    Lost,
}

/// The consumers of one service in this process, those that have ended included.
#[derive(Default)]
pub(crate) struct Consumers {
    next: AtomicU64,
    all: Mutex<BTreeMap<u64, (String, Consuming)>>,
}

/// One of them; stopped when dropped.
pub(crate) struct Consumer {
    id: u64,
    consumers: Arc<Consumers>,
    _counted: InFlight,
}

#[cfg(feature = "monitor")]
impl Consuming {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Debug for Consumers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Consumers").field(&self.by_queue()).finish()
    }
}

impl Consumers {
    /// One more begins. Those of its queue that have ended are forgotten.
    pub(crate) fn begin(self: &Arc<Self>, name: &str, queue: Queue, labels: &Labels) -> Consumer {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut all = self.lock();
        all.retain(|_, (of, state)| of != name || *state == Consuming::Running);
        all.insert(id, (name.to_owned(), Consuming::Running));
        let counted = InFlight::begin(names::CONSUMERS, || [("service", labels.service()), ("queue", queue.label())]);
        Consumer { id, consumers: Arc::clone(self), _counted: counted }
    }

    /// By the queue's name; running when one of the queue's consumers is.
    pub(crate) fn by_queue(&self) -> BTreeMap<String, Consuming> {
        let mut queues = BTreeMap::new();
        for (name, state) in self.lock().values() {
            let best: &mut Consuming = queues.entry(name.clone()).or_insert(*state);
            *best = (*best).min(*state);
        }
        queues
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, (String, Consuming)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Consumer {
    /// The queue was lost for good.
    pub(crate) fn lost(&self) {
        self.becomes(Consuming::Lost);
    }

    fn becomes(&self, state: Consuming) {
        if let Some((_, now)) = self.consumers.lock().get_mut(&self.id)
            && *now == Consuming::Running
        {
            *now = state;
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.becomes(Consuming::Stopped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_as_its_best_consumer_is() {
        let consumers = Arc::new(Consumers::default());
        let labels = Labels::new("mail");
        let begin = |name: &str| consumers.begin(name, Queue::Events, &labels);
        let (first, second) = (begin("a"), begin("a"));
        let state = || consumers.by_queue()["a"];
        first.lost();
        drop(first);
        assert_eq!(state(), Consuming::Running);
        drop(second);
        assert_eq!(state(), Consuming::Stopped);
        let third = begin("a");
        assert_eq!(state(), Consuming::Running);
        third.lost();
        assert_eq!(state(), Consuming::Lost);
    }
}
