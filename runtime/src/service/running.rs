//! A service at work: it takes deliveries while there is room, and ends in good order.

use std::{future::Future, io, pin::Pin, sync::Arc, time::Duration};

use celerysalt_contract::{Selector, VersionRange};
use tokio::{sync::watch, task::JoinSet, time::Instant};

use super::{
    Dedupe, Queues, Registration, Retry, RpcRegistration, dispatch,
    extract::{Provided, States},
    flow::{Flow, House},
    rpc,
    shared::{Counters, Counts, Server, Shared, Subscriber},
};
use crate::{
    Salt,
    error::StartError,
    event::EventContract,
    telemetry::{Consumer, Observed, Queue},
    transport::{Deliveries, TransportError},
};

/// What a service is started with.
pub(super) struct Settings {
    pub(super) salt: Salt,
    pub(super) queues: Queues,
    pub(super) prefetch: u16,
    pub(super) concurrency: usize,
    pub(super) drain: Duration,
    pub(super) retry: Retry,
    pub(super) dedupe: Option<Dedupe>,
    pub(super) states: States,
    pub(super) events: Vec<Registration>,
    pub(super) requests: Vec<RpcRegistration>,
}

/// How a service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// What became of its messages.
    pub counts: Counts,
    /// Messages whose handlers were still running at the deadline; they went back to their queue.
    pub abandoned: usize,
}

/// A service that is running. Dropping it stops it at once; [`shutdown`](Running::shutdown) stops it in good order.
#[must_use = "dropping a running service stops it"]
pub struct Running {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    loops: JoinSet<Ended>,
}

struct Ended {
    abandoned: usize,
    error: Option<TransportError>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

pub(super) async fn start(settings: Settings) -> Result<Running, StartError> {
    let Settings { salt, queues, prefetch, concurrency, drain, retry, dedupe, states, events, requests } = settings;
    let transport = Arc::clone(salt.transport());
    // First the queue that nothing may be lost from, then those that feed it.
    transport.declare(&queues.dead).await?;
    look_up(&salt, &events).await;
    let contracts = events.iter().filter_map(|r| r.contract).chain(requests.iter().map(|r| r.contract));
    check_drift(&salt, contracts).await;
    salt.lineage().subscribes(handled(&events, &requests));
    let contracts = events.iter().filter_map(|r| r.contract).chain(requests.iter().map(|r| r.contract));
    salt.labels().handle(contracts.map(EventContract::topic));
    let (stop, stopped) = watch::channel(false);
    // More than the broker hands out can't run.
    let concurrency = concurrency.min(usize::from(prefetch));
    let shared = Arc::new(Shared {
        provided: Arc::new(Provided { salt: salt.clone(), states }),
        salt,
        dead: queues.dead,
        retry,
        requests_queue: queues.requests.as_ref().map(|queue| queue.name.clone()).unwrap_or_default(),
        events_queue: queues.events.as_ref().map(|queue| queue.name.clone()).unwrap_or_default(),
        event_house: House::of_events(concurrency, events.len(), stopped.clone()),
        request_house: House::of_requests(concurrency, requests.len(), stopped.clone()),
        events: events
            .into_iter()
            .map(|registration| Subscriber {
                flow: Flow::new(&registration.options, concurrency, dedupe),
                registration,
            })
            .collect(),
        requests: requests
            .into_iter()
            .map(|registration| Server { flow: Flow::new(&registration.options, concurrency, None), registration })
            .collect(),
        one_at_a_time: concurrency == 1,
        counters: Counters::default(),
    });
    let mut loops = JoinSet::new();
    for (queue, is_rpc) in [(queues.events, false), (queues.requests, true)] {
        let Some(queue) = queue else { continue };
        let deliveries = transport.consume(&queue, prefetch).await?;
        // Of those that were taken, as many run as may; the others wait in here for a handler with room.
        let most = if concurrency == 1 { 1 } else { usize::from(prefetch) };
        let kind = if is_rpc { Queue::Requests } else { Queue::Events };
        let consumer = shared.salt.consumers().begin(&queue.name, kind, shared.salt.labels());
        let work = Work { shared: Arc::clone(&shared), most, drain, is_rpc, consumer, stopped: stopped.clone() };
        loops.spawn(work.run(deliveries));
    }
    tracing::info!(service = shared.salt.service_name(), "started");
    Ok(Running { shared, stop, loops })
}

/// Fetches the contracts of the topics that are handled by name, so that the first message finds them.
async fn look_up(salt: &Salt, events: &[Registration]) {
    let by_name =
        events.iter().filter(|r| matches!(r.takes, super::Takes::Registered) && r.selector.pattern.is_exact());
    for topic in by_name.filter_map(|r| r.selector.pattern.as_str().parse().ok()) {
        match salt.schemas().versions(&topic).await {
            Ok(versions) if versions.is_empty() => {
                tracing::warn!(%topic, "the registry has no contract of this topic yet; its messages are dead-lettered until it has");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, %topic, "the registry is away; messages of this topic and others wait for it");
                return;
            }
        }
    }
}

/// Which contracts are handled, and by what, for the registry's record of subscribers.
fn handled(events: &[Registration], requests: &[RpcRegistration]) -> Vec<(Selector, String)> {
    let events = events.iter().filter(|r| r.contract.is_none_or(EventContract::uses_registry)).map(|r| {
        let versions = match &r.takes {
            super::Takes::Typed { newer_majors: true, .. } => VersionRange::Any,
            super::Takes::Typed { version, .. } => VersionRange::Compatible(version.clone()),
            _ => r.selector.versions.clone(),
        };
        (Selector { pattern: r.selector.pattern.clone(), versions }, r.name.to_string())
    });
    let requests = requests.iter().filter(|r| r.contract.uses_registry()).filter_map(|r| {
        let versions = VersionRange::Compatible(r.contract.version().clone());
        Some((Selector { pattern: r.contract.topic().parse().ok()?, versions }, r.name.to_string()))
    });
    events.chain(requests).collect()
}

/// Says where a handler was generated from another contract than the one that was released under its name.
async fn check_drift(salt: &Salt, contracts: impl Iterator<Item = &'static EventContract>) {
    for contract in contracts.filter(|contract| contract.uses_registry()) {
        let Ok(topic) = contract.topic().parse() else { continue };
        match salt.registry().get(&topic, contract.version()).await {
            Ok(Some(released)) if released.fingerprint.as_str() != contract.fingerprint() => {
                tracing::warn!(%contract, "drift: this service was generated from another contract than the registry has; pull it again");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the registry is away; whether contracts have drifted is not known");
                return;
            }
        }
    }
}

/// One queue's loop.
struct Work {
    shared: Arc<Shared>,
    /// How many messages are at work, or wait for their handlers.
    most: usize,
    drain: Duration,
    is_rpc: bool,
    consumer: Consumer,
    stopped: watch::Receiver<bool>,
}

impl Work {
    async fn run(mut self, mut deliveries: Deliveries) -> Ended {
        let queue = if self.is_rpc { Queue::Requests } else { Queue::Events };
        let mut handling = JoinSet::new();
        let mut error = None;
        loop {
            tokio::select! {
                biased;
                _ = self.stopped.wait_for(|stop| *stop) => break,
                Some(done) = handling.join_next(), if !handling.is_empty() => {
                    if let Err(panic) = done {
                        tracing::error!(%panic, "handling a message failed; it goes back to its queue");
                    }
                }
                delivery = deliveries.next(), if handling.len() < self.most => match delivery {
                    Some(Ok(delivery)) => {
                        let shared = Arc::clone(&self.shared);
                        shared.counters.add(&shared.counters.received);
                        let observed = Observed::taken(&shared.salt, queue);
                        // Boxed: a task moves its future about, and these are kilobytes.
                        if self.is_rpc {
                            handling.spawn(Box::pin(rpc::handle(shared, delivery, observed)));
                        } else {
                            let turns = dispatch::turns(&shared, &delivery.message);
                            handling.spawn(Box::pin(dispatch::handle(shared, delivery, turns, observed)));
                        }
                    }
                    Some(Err(lost)) => {
                        tracing::error!(error = %lost, "the queue is lost");
                        error = Some(lost);
                        break;
                    }
                    None => {
                        tracing::error!("the queue ended: the transport is closed");
                        error = Some(TransportError::Closed);
                        break;
                    }
                },
            }
        }
        if error.is_some() {
            self.consumer.lost();
        }
        drop(self.consumer);
        deliveries.cancel().await;
        let deadline = Instant::now() + self.drain;
        while !handling.is_empty() {
            if tokio::time::timeout_at(deadline, handling.join_next()).await.is_err() {
                break;
            }
        }
        let abandoned = handling.len();
        // Their deliveries are dropped with them, and so go back to the queue.
        handling.shutdown().await;
        Ended { abandoned, error }
    }
}

impl Running {
    /// What became of the messages so far.
    pub fn counts(&self) -> Counts {
        self.shared.counters.counts()
    }

    /// Waits until the counts are so, and gives them: for a test, or a job that ends when its work is done. Looked at whenever
    /// one of them changes.
    ///
    /// ```
    /// use celerysalt::{AnyEvent, Salt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let salt = Salt::builder("mail").broker_url("memory:").connect().await?;
    /// let running = salt.service().on_raw("auth.#", |_: AnyEvent| async {}).start().await?;
    /// salt.publish_json("auth.user.created", serde_json::json!({"user_id": 7})).unvalidated().await?;
    /// let counts = running.counted(|counts| counts.handled == 1).await;
    /// assert_eq!(counts.received, 1);
    /// # running.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn counted(&self, are: impl FnMut(&Counts) -> bool) -> Counts {
        self.shared.counters.until(are).await
    }

    /// The name of the queue that keeps what can't be handled.
    pub fn dead_letter_queue(&self) -> &str {
        &self.shared.dead.name
    }

    /// Stops taking messages, waits for running handlers until the drain timeout, and gives back what is not done.
    pub async fn shutdown(mut self) -> Shutdown {
        self.stop.send_replace(true);
        self.ended(None).await.0
    }

    /// As [`Running::until`], until the process is told to end (SIGTERM, SIGINT or Ctrl-C): for a service that does something
    /// between its start and then, such as publishing.
    ///
    /// # Errors
    /// As [`Running::until`]; [`StartError::Signal`].
    pub async fn until_signal(self) -> Result<Shutdown, StartError> {
        let signal = termination().map_err(StartError::Signal)?;
        self.until(signal).await
    }

    /// Runs until `signal` resolves, then shuts down; also when a queue is lost for good before.
    ///
    /// # Errors
    /// [`StartError::Broker`] when a queue was lost for good.
    pub async fn until(mut self, signal: impl Future<Output = ()>) -> Result<Shutdown, StartError> {
        let lost = tokio::select! {
            () = signal => None,
            Some(Ok(ended)) = self.loops.join_next() => Some(ended),
        };
        self.stop.send_replace(true);
        match self.ended(lost).await {
            (_, Some(error)) => Err(StartError::Broker(error)),
            (shutdown, None) => Ok(shutdown),
        }
    }

    /// Waits for the loops; dropped half-way, it ends them.
    async fn ended(&mut self, mut ended: Option<Ended>) -> (Shutdown, Option<TransportError>) {
        let (mut abandoned, mut error) = (0, None);
        loop {
            if let Some(ended) = ended.take() {
                abandoned += ended.abandoned;
                error = error.or(ended.error);
            }
            match self.loops.join_next().await {
                Some(joined) => ended = joined.ok(),
                None => break,
            }
        }
        let counts = self.counts();
        tracing::info!(service = self.shared.salt.service_name(), ?counts, abandoned, "stopped");
        (Shutdown { counts, abandoned }, error)
    }
}

/// Resolves when the process is told to end.
///
/// # Errors
/// When the process can't listen.
#[cfg(unix)]
pub(crate) fn termination() -> io::Result<Pin<Box<dyn Future<Output = ()> + Send>>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(Box::pin(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }))
}

/// Resolves when the process is told to end.
///
/// # Errors
/// When the process can't listen.
#[cfg(not(unix))]
pub(crate) fn termination() -> io::Result<Pin<Box<dyn Future<Output = ()> + Send>>> {
    Ok(Box::pin(async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "cannot listen for Ctrl-C");
        }
    }))
}
