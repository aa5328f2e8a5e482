//! Saying who is there, off every hot path: which contracts this process publishes and handles.
//!
//! A task tells the registry when something is new, and again once a minute. While the registry is away nothing waits for
//! it. The same task asks which of the published contracts are deprecated, and warns once of each.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use celerysalt_contract::{Selector, Topic, Version, VersionRange};
use tokio::{sync::watch, task::AbortHandle};

use crate::registry::{Actor, Deprecation, Registry, RegistryError, Side, Sighting};

/// How often a running service says that it is there.
const HEARTBEAT: Duration = Duration::from_mins(1);
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// How long a service that closes waits for its last word.
const FLUSH: Duration = Duration::from_secs(5);
/// Topics named at run time may be many; no more than these are told.
const MOST: usize = 10_000;

pub(crate) struct Lineage {
    service: String,
    host: String,
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    sightings: Mutex<Sightings>,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct Sightings {
    all: Vec<Sighting>,
    /// Contracts published by name, which come again and again.
    by_name: HashSet<(Topic, Version)>,
}

/// How far the task is.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    noted: usize,
    told: usize,
    /// The registry did not take it at the last try.
    away: bool,
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lineage")
    }
}

impl Drop for Lineage {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Lineage {
    /// Starts the task.
    pub(crate) fn new(registry: Arc<dyn Registry>, service: &str) -> Self {
        let shared =
            Arc::new(Shared { sightings: Mutex::default(), progress: watch::Sender::new(Progress::default()) });
        let task = tokio::spawn(tell(registry, Arc::clone(&shared))).abort_handle();
        let Actor { service, host, .. } = Actor::here(service);
        Self { service, host, shared, task }
    }

    /// Notes that a contract is published by a type: to be called once for each.
    pub(crate) fn publishes(&self, topic: &Topic, version: &Version, handler: &str) {
        let contracts = Selector { pattern: topic.clone().into(), versions: VersionRange::Exact(version.clone()) };
        self.note([(Side::Publisher, contracts, handler.to_owned())]);
    }

    /// Notes that a contract is published by its name. Cheap when it was before.
    pub(crate) fn publishes_by_name(&self, topic: &Topic, version: &Version) {
        let mut sightings = self.shared.lock();
        if sightings.by_name.len() >= MOST || !sightings.by_name.insert((topic.clone(), version.clone())) {
            return;
        }
        drop(sightings);
        self.publishes(topic, version, "publish_json");
    }

    /// Notes what a service handles: which contracts, and by what.
    pub(crate) fn subscribes(&self, handlers: impl IntoIterator<Item = (Selector, String)>) {
        self.note(handlers.into_iter().map(|(contracts, handler)| (Side::Subscriber, contracts, handler)));
    }

    fn note(&self, news: impl IntoIterator<Item = (Side, Selector, String)>) {
        let mut sightings = self.shared.lock();
        for (side, contracts, handler) in news {
            let (service, host) = (self.service.clone(), self.host.clone());
            let sighting = Sighting { side, contracts, service, handler, host };
            if sightings.all.len() < MOST && !sightings.all.contains(&sighting) {
                sightings.all.push(sighting);
            }
        }
        let noted = sightings.all.len();
        drop(sightings);
        self.shared.progress.send_modify(|progress| progress.noted = noted);
    }

    /// Waits until all was told, but not for a registry that is away.
    pub(crate) async fn flush(&self) {
        let mut progress = self.shared.progress.subscribe();
        let done = progress.wait_for(|progress| progress.told >= progress.noted || progress.away);
        // What was not told is nobody's loss but the catalog's.
        let _ = tokio::time::timeout(FLUSH, done).await;
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Sightings> {
        self.sightings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn tell(registry: Arc<dyn Registry>, shared: Arc<Shared>) {
    let mut progress = shared.progress.subscribe();
    let mut retry = FIRST_RETRY;
    let mut may_write = true;
    let mut warned = HashSet::new();
    loop {
        let away = progress.borrow_and_update().away;
        if away {
            tokio::time::sleep(retry).await;
        } else {
            // News, or a minute is over: either way all is told again.
            let news = progress.wait_for(|progress| progress.told < progress.noted);
            drop(tokio::time::timeout(HEARTBEAT, news).await);
        }
        let sightings = shared.lock().all.clone();
        if sightings.is_empty() {
            continue;
        }
        let told = sightings.len();
        let outcome = if may_write { registry.observe(&sightings).await } else { Ok(()) };
        let away = match outcome {
            Ok(()) => false,
            Err(RegistryError::Denied { registry, reason }) => {
                tracing::info!(
                    registry,
                    reason,
                    "publishers and subscribers are not recorded: this service may only read"
                );
                may_write = false;
                false
            }
            Err(error) => {
                tracing::debug!(%error, ?retry, "publishers and subscribers are not recorded yet");
                true
            }
        };
        retry = if away { (retry * 2).min(HEARTBEAT) } else { FIRST_RETRY };
        if !away {
            warn_of_deprecated(&*registry, &sightings, &mut warned).await;
        }
        shared.progress.send_modify(|progress| {
            progress.away = away;
            if !away {
                progress.told = told;
            }
        });
    }
}

/// Once for each contract, however long the process runs.
async fn warn_of_deprecated(registry: &dyn Registry, sightings: &[Sighting], warned: &mut HashSet<(Topic, Version)>) {
    if !sightings.iter().any(|sighting| sighting.side == Side::Publisher) {
        return;
    }
    let deprecated = match registry.deprecations().await {
        Ok(deprecated) => deprecated,
        Err(error) => {
            tracing::debug!(%error, "which contracts are deprecated is not known");
            return;
        }
    };
    for Deprecation { topic, version, reason } in deprecated {
        let publishes = |sighting: &Sighting| {
            sighting.side == Side::Publisher && sighting.contracts.matches(topic.as_str(), &version)
        };
        if sightings.iter().any(publishes) && warned.insert((topic.clone(), version.clone())) {
            tracing::warn!(%topic, %version, reason, "this service publishes a deprecated contract");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fmt::Write,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use async_trait::async_trait;
    use celerysalt_contract::ContractRecord;
    use tokio::time::{Instant, advance};

    use super::*;
    use crate::registry::Plan;

    /// Counts what it is told, and is away as often as it is to be.
    #[derive(Debug, Default)]
    struct Listener {
        away: AtomicUsize,
        denied: bool,
        deprecated: Mutex<Vec<Deprecation>>,
        heard: Mutex<Vec<usize>>,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Registry for Listener {
        async fn sync(&self, _: &[ContractRecord], _: bool) -> Result<Plan, RegistryError> {
            unreachable!()
        }

        async fn get(&self, _: &Topic, _: &Version) -> Result<Option<ContractRecord>, RegistryError> {
            unreachable!()
        }

        async fn list(&self, _: Option<&Selector>) -> Result<Vec<ContractRecord>, RegistryError> {
            unreachable!()
        }

        async fn deprecations(&self) -> Result<Vec<Deprecation>, RegistryError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            Ok(self.deprecated.lock().unwrap().clone())
        }

        async fn observe(&self, sightings: &[Sighting]) -> Result<(), RegistryError> {
            self.heard.lock().unwrap().push(sightings.len());
            let (registry, reason) = ("test".to_owned(), "as the test wants".to_owned());
            if self.denied {
                return Err(RegistryError::Denied { registry, reason });
            }
            match self.away.load(Ordering::SeqCst) {
                0 => Ok(()),
                left => {
                    self.away.store(left - 1, Ordering::SeqCst);
                    Err(RegistryError::Unavailable { registry, reason })
                }
            }
        }
    }

    fn heard(listener: &Listener) -> Vec<usize> {
        listener.heard.lock().unwrap().clone()
    }

    fn handler(topic: &str) -> (Selector, String) {
        (topic.parse().unwrap(), "handle".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn news_are_told_at_once_and_again_each_minute() {
        let listener = Arc::new(Listener::default());
        let lineage = Lineage::new(listener.clone(), "pulse");
        lineage.flush().await;
        assert_eq!(heard(&listener), Vec::<usize>::new(), "there was nothing to tell");
        lineage.subscribes([handler("a.b"), handler("a.c")]);
        lineage.flush().await;
        assert_eq!(heard(&listener), [2]);
        assert_eq!(listener.asked.load(Ordering::SeqCst), 0, "who publishes nothing has nothing to be warned of");
        lineage.subscribes([handler("a.b")]);
        let (topic, version) = ("a.d".parse().unwrap(), "v1".parse().unwrap());
        for _ in 0..3 {
            lineage.publishes_by_name(&topic, &version);
        }
        lineage.flush().await;
        assert_eq!(heard(&listener), [2, 3]);
        let start = Instant::now();
        while heard(&listener).len() < 3 {
            advance(Duration::from_secs(1)).await;
        }
        assert!(start.elapsed() >= Duration::from_secs(59), "{:?}", start.elapsed());
        assert_eq!(heard(&listener), [2, 3, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_is_away_is_tried_again_and_waited_for_by_nobody() {
        let listener = Arc::new(Listener { away: 3.into(), ..Listener::default() });
        let lineage = Lineage::new(listener.clone(), "pulse");
        lineage.subscribes([handler("a.b")]);
        lineage.flush().await;
        assert_eq!(heard(&listener), [1], "`flush` went on at the first failure");
        while heard(&listener).len() < 4 {
            advance(Duration::from_millis(100)).await;
        }
        lineage.flush().await;
        assert!(!lineage.shared.progress.borrow().away);
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_may_only_read_is_not_asked_to_write_again() {
        let listener = Arc::new(Listener { denied: true, ..Listener::default() });
        let lineage = Lineage::new(listener.clone(), "pulse");
        lineage.publishes(&"a.b".parse().unwrap(), &"v1".parse().unwrap(), "Event");
        lineage.flush().await;
        while listener.asked.load(Ordering::SeqCst) < 3 {
            advance(Duration::from_secs(10)).await;
        }
        assert_eq!(heard(&listener), [1], "deprecations are asked for all the same");
    }

    /// Keeps what is logged as a warning.
    #[derive(Clone, Default)]
    struct Warnings(Arc<Mutex<Vec<String>>>);

    impl tracing::Subscriber for Warnings {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            *metadata.level() == tracing::Level::WARN
        }

        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }

        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            struct Text(String);
            impl tracing::field::Visit for Text {
                fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                    write!(self.0, "{field}={value:?} ").unwrap();
                }
            }
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }

        fn enter(&self, _: &tracing::span::Id) {}

        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[tokio::test(start_paused = true)]
    async fn who_publishes_a_deprecated_contract_is_warned_once_of_each() {
        let warnings = Warnings::default();
        let _logging = tracing::subscriber::set_default(warnings.clone());
        let deprecation = |topic: &str, version: &str| Deprecation {
            topic: topic.parse().unwrap(),
            version: version.parse().unwrap(),
            reason: "use the next".to_owned(),
        };
        let listener = Arc::new(Listener::default());
        listener.deprecated.lock().unwrap().extend([deprecation("a.b", "v1"), deprecation("a.c", "v1")]);
        let lineage = Lineage::new(listener.clone(), "pulse");
        let publish = |topic: &str| lineage.publishes(&topic.parse().unwrap(), &"v1".parse().unwrap(), "Event");
        lineage.subscribes([handler("a.c@v1")]);
        publish("a.b");
        lineage.flush().await;
        // Deprecated while the process runs: it is told at the next heartbeat.
        listener.deprecated.lock().unwrap().push(deprecation("a.d", "v1"));
        publish("a.d");
        lineage.flush().await;
        let until = listener.asked.load(Ordering::SeqCst) + 3;
        while listener.asked.load(Ordering::SeqCst) < until {
            advance(Duration::from_secs(10)).await;
        }
        let said = warnings.0.lock().unwrap().clone();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("topic=a.b") && said[0].contains("use the next"), "{said:?}");
        assert!(said[1].contains("topic=a.d"), "{said:?}");
    }
}
