//! A publisher and a service at work, for a fault to happen to.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use celerysalt::{
    Dedupe, HandlerOptions, PublishError, Rest, Salt,
    registry::memory::MemoryRegistry,
    service::{Retry, Running},
    transport::{
        Binding, QueueKind, QueueSpec, Transport, TransportError,
        amqp::{AmqpOptions, AmqpTransport},
    },
};
use celerysalt_reference::events::RiskAssessmentCreated;
use celerysalt_tests::{broker_url, rabbitmq};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    checker::{History, Name, Promise, Verdict},
    events,
};

/// How many keys events have.
const KEYS: u64 = 50;
/// How long a recovery may take after what was broken is whole again.
pub(crate) const RECOVERY: Duration = Duration::from_secs(5);
/// How long all of a test's events may take.
pub(crate) fn limit() -> Duration {
    Duration::from_mins(1) + Duration::from_millis(10) * u32::try_from(events()).unwrap()
}

/// The rate at which all of a test's events take that many seconds.
#[expect(clippy::cast_precision_loss, reason = "numbers of events are small")]
pub(crate) fn over(seconds: usize) -> f64 {
    events() as f64 / seconds as f64
}

/// An event of about 300 bytes.
pub(crate) fn event((key, number): Name) -> RiskAssessmentCreated {
    RiskAssessmentCreated {
        assessment_id: format!("{key}:{number}"),
        company_id: i64::try_from(key).unwrap().into(),
        risk_score: 5.0,
        created_by: Some("x".repeat(200)),
        assessment_type: None,
        rest: Rest::default(),
    }
}

/// The event of this number.
pub(crate) fn name(number: u64) -> Name {
    (number % KEYS, number)
}

pub(crate) fn name_of(event: &RiskAssessmentCreated) -> Name {
    parsed(&event.assessment_id)
}

/// The name that stands in an event.
pub(crate) fn parsed(name: &str) -> Name {
    let (key, number) = name.split_once(':').unwrap();
    (key.parse().unwrap(), number.parse().unwrap())
}

/// What a stand is made of.
pub(crate) struct Plan {
    /// Where both connect to.
    pub(crate) url: String,
    /// The same broker, by no detour.
    pub(crate) direct: String,
    pub(crate) options: AmqpOptions,
    /// Events under way at a time.
    pub(crate) window: usize,
    pub(crate) prefetch: u16,
    /// Whether the broker outlives the test, and so what the test leaves there has to go.
    pub(crate) clean: bool,
    /// Whether an observer reads along.
    pub(crate) observed: bool,
}

impl Plan {
    /// On a broker of the test's own.
    pub(crate) fn on(url: String) -> Self {
        // Long: no fault of these lasts as long, so every event is to be confirmed.
        let options = AmqpOptions::new().unavailable_after(Duration::from_mins(5));
        Self { direct: url.clone(), url, options, window: 500, prefetch: 100, clean: false, observed: false }
    }

    /// On the broker of all tests, by way of `url`.
    pub(crate) fn through(url: String) -> Self {
        Self { direct: broker_url(), clean: true, ..Self::on(url) }
    }

    /// What may come again for each fault.
    pub(crate) fn in_flight(&self) -> usize {
        self.window + usize::from(self.prefetch)
    }
}

/// Both at work.
pub(crate) struct Stand {
    pub(crate) plan: Plan,
    suffix: String,
    pub(crate) publisher: Salt,
    pub(crate) consumer: Salt,
    running: Option<Running>,
    /// Sees what reaches the exchange by no detour, where the broker itself is not at fault.
    observer: Option<Observer>,
    /// The number of the next event.
    next: Arc<AtomicU64>,
    seen: Arc<Seen>,
    began: Instant,
    memory: Memory,
}

/// What the service has handled.
pub(crate) struct Seen {
    handled: Mutex<(Vec<Name>, HashSet<Name>)>,
    count: watch::Sender<usize>,
}

impl Seen {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { handled: Mutex::default(), count: watch::Sender::new(0) })
    }

    pub(crate) fn see(&self, name: Name) {
        let mut handled = self.handled.lock().unwrap();
        handled.0.push(name);
        handled.1.insert(name);
        self.count.send_replace(handled.0.len());
    }

    /// Waits until more than `count` are handled.
    pub(crate) async fn beyond(&self, count: usize) {
        let waiting = self.count.subscribe();
        let (mut counts, wait) = (waiting, limit());
        let reached = tokio::time::timeout(wait, counts.wait_for(|now| *now > count)).await.is_ok();
        assert!(reached, "{} of {count} events were handled within {wait:?}", self.count());
    }

    pub(crate) fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until all of these are handled; false when that takes too long.
    pub(crate) async fn all(&self, names: &BTreeSet<Name>) -> bool {
        let mut counts = self.count.subscribe();
        let waiting = async {
            while !names.iter().all(|name| self.handled.lock().unwrap().1.contains(name)) {
                counts.changed().await.unwrap();
                // Looking costs more than handling.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(limit(), waiting).await.is_ok()
    }

    pub(crate) fn names(&self) -> Vec<Name> {
        self.handled.lock().unwrap().0.clone()
    }
}

async fn salt(plan: &Plan, service: String, exchange: &str) -> Salt {
    let options = plan.options.clone().connection_name(&service);
    let transport: Arc<dyn Transport> = Arc::new(AmqpTransport::connect(&plan.url, options).await.unwrap());
    let builder = Salt::builder(service).transport(transport).registry(Arc::new(MemoryRegistry::new()));
    builder.exchange(exchange).connect().await.unwrap()
}

impl Stand {
    pub(crate) async fn start(plan: Plan) -> Self {
        let suffix = uuid::Uuid::new_v4().simple().to_string();
        let exchange = format!("faults.{suffix}");
        let publisher = salt(&plan, format!("publisher-{suffix}"), &exchange).await;
        let consumer = salt(&plan, format!("consumer-{suffix}"), &exchange).await;
        let observer = if plan.observed { Some(Observer::start(&plan.direct, &exchange, &suffix).await) } else { None };
        let seen = Seen::new();
        let handled = Arc::clone(&seen);
        let handler = move |event: RiskAssessmentCreated| {
            handled.see(name_of(&event));
            async {}
        };
        let options =
            HandlerOptions::new().ordered_by("/company_id").dedupe(Dedupe::new(1_000_000, Duration::from_hours(1)));
        let running = consumer.service().prefetch(plan.prefetch).retry(Retry::never()).on_with(options, handler);
        let running = Some(running.start().await.unwrap());
        Self {
            plan,
            suffix,
            publisher,
            consumer,
            running,
            observer,
            next: Arc::default(),
            seen,
            began: Instant::now(),
            memory: Memory::watch(),
        }
    }

    /// Starts to publish at most `rate` a second. Goes on until so many events are confirmed and its end is asked for: whatever
    /// happens meanwhile happens to a publisher at work, however long it takes.
    pub(crate) fn publish(&self, wanted: usize, rate: Option<f64>) -> Publishing {
        let (confirmed, confirms) = watch::channel(0);
        let salt = self.publisher.clone();
        let ending = Arc::new(AtomicBool::new(false));
        let may_end = Arc::clone(&ending);
        let (window, numbers) = (self.plan.window, Arc::clone(&self.next));
        let task = tokio::spawn(async move {
            let mut published = Published::default();
            let mut in_flight: FuturesUnordered<Sending> = FuturesUnordered::new();
            let mut due = tokio::time::Instant::now();
            loop {
                while in_flight.len() < window
                    && (published.confirmed.len() + in_flight.len() < wanted || !may_end.load(Ordering::SeqCst))
                {
                    if let Some(rate) = rate {
                        // What was missed while nothing went is not made up for.
                        due = due.max(tokio::time::Instant::now() - Duration::from_millis(20))
                            + Duration::from_secs_f64(1.0 / rate);
                        while let Ok(Some(outcome)) = tokio::time::timeout_at(due, in_flight.next()).await {
                            published.settle(outcome, &confirmed).await;
                        }
                        tokio::time::sleep_until(due).await;
                    }
                    let name = name(numbers.fetch_add(1, Ordering::SeqCst));
                    published.sent.insert(name);
                    let salt = salt.clone();
                    // Polled once it has its place behind those before it; unless the task were to give way just then.
                    let mut sending: Sending = Box::pin(tokio::task::unconstrained(async move {
                        let event = event(name);
                        let outcome = event.publish(&salt).await.map(drop);
                        (name, outcome)
                    }));
                    match poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await {
                        Poll::Ready(outcome) => published.settle(outcome, &confirmed).await,
                        Poll::Pending => in_flight.push(sending),
                    }
                }
                match in_flight.next().await {
                    Some(outcome) => published.settle(outcome, &confirmed).await,
                    None => return published,
                }
            }
        });
        Publishing { task, confirms, ending }
    }

    pub(crate) fn seen(&self) -> &Arc<Seen> {
        &self.seen
    }

    pub(crate) fn exchange(&self) -> &str {
        self.publisher.exchange()
    }

    /// The name of one of the service's queues.
    pub(crate) fn queue(&self, part: &str) -> String {
        format!("celerysalt.consumer-{}.{part}", self.suffix)
    }

    /// How long it takes until events are confirmed and handled again.
    pub(crate) async fn recovers(&self, publishing: &Publishing) -> Duration {
        let start = Instant::now();
        let (confirmed, handled) = (publishing.count(), self.seen.count());
        publishing.beyond(confirmed).await;
        self.seen.beyond(handled).await;
        start.elapsed()
    }

    /// Ends both, and says what became of the events.
    pub(crate) async fn finish(self, fault: &str, publishing: Publishing, promise: Promise, more: &str) -> Verdict {
        let published = publishing.end().await;
        self.finish_with(fault, published, promise, more).await
    }

    pub(crate) async fn finish_with(
        mut self,
        fault: &str,
        published: Published,
        promise: Promise,
        more: &str,
    ) -> Verdict {
        self.seen.all(&published.confirmed).await;
        let counts = self.running.take().unwrap().shutdown().await.counts;
        // What was settled in vain at the end would come once more.
        let left = ready(&self.plan.direct, &self.queue("events")).await;
        let history = History {
            sent: published.sent,
            confirmed: published.confirmed,
            handled: self.seen.names(),
            deliveries: usize::try_from(counts.received).unwrap() + left,
        };
        self.publisher.close().await;
        self.consumer.close().await;
        if let Some(observer) = self.observer.take() {
            observer.hold(fault, &history).await;
        }
        let (base, most) = self.memory.end();
        let failed: usize = published.failed.values().sum();
        let failures = if failed == 0 { String::new() } else { format!(", {failed} told to have failed") };
        let memory = format!("{} MiB, then at most {} MiB", base / 1024, most / 1024);
        let verdict = history.verdict();
        verdict.hold(fault, promise, self.began.elapsed(), &format!("{more}{failures}; {memory}"));
        assert_eq!(counts.dead_lettered, 0, "{fault}: dead letters of good events");
        verdict
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        if !self.plan.clean {
            return;
        }
        let mut queues = ["events", "dead", "waiting"].map(|part| self.queue(part)).to_vec();
        queues.push(observed(&self.suffix));
        let (url, exchange) = (self.plan.direct.clone(), self.exchange().to_owned());
        drop(std::thread::spawn(move || rabbitmq::delete(&url, queues, vec![exchange])).join());
    }
}

fn observed(suffix: &str) -> String {
    format!("observer-{suffix}")
}

/// Reads all that is published, with a connection and a queue of its own that nothing happens to: the order of publishing.
struct Observer {
    transport: AmqpTransport,
    seen: Arc<Seen>,
    reading: JoinHandle<()>,
}

impl Observer {
    async fn start(url: &str, exchange: &str, suffix: &str) -> Self {
        let transport = AmqpTransport::connect(url, AmqpOptions::new()).await.unwrap();
        let queue = QueueSpec {
            name: observed(suffix),
            kind: QueueKind::Quorum,
            bindings: vec![Binding { exchange: exchange.to_owned(), pattern: "#".parse().unwrap() }],
            dead_letter: None,
        };
        let mut deliveries = transport.consume(&queue, 500).await.unwrap();
        let seen = Seen::new();
        let seeing = Arc::clone(&seen);
        let reading = tokio::spawn(async move {
            let mut ids = HashSet::new();
            while let Some(Ok(delivery)) = deliveries.next().await {
                // What was sent again has its place already.
                if ids.insert(delivery.message.properties.message_id.clone()) {
                    seeing.see(parsed(&celerysalt_tests::outbox::name_of(&delivery.message)));
                }
                delivery.ack().await.unwrap();
            }
        });
        Self { transport, seen, reading }
    }

    /// Of each key, events came in the order in which they were published, and those that were confirmed came.
    async fn hold(self, fault: &str, history: &History) {
        let there = self.seen.all(&history.confirmed).await;
        self.reading.abort();
        self.transport.close().await;
        let handled = self.seen.names();
        let verdict = History { deliveries: handled.len(), handled, ..history.clone() }.verdict();
        assert!(there && verdict.overtaken.is_empty(), "{fault}: as published: {verdict}");
    }
}

type Sending = Pin<Box<dyn Future<Output = (Name, Result<(), PublishError>)> + Send>>;

/// A publisher at work.
pub(crate) struct Publishing {
    task: JoinHandle<Published>,
    confirms: watch::Receiver<usize>,
    ending: Arc<AtomicBool>,
}

/// What a publisher has done.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) sent: BTreeSet<Name>,
    pub(crate) confirmed: BTreeSet<Name>,
    /// How often publishing failed, by the kind of error.
    pub(crate) failed: BTreeMap<&'static str, usize>,
}

impl Published {
    /// What another one has done, too.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        self.sent.append(&mut other.sent);
        self.confirmed.append(&mut other.confirmed);
        for (kind, count) in other.failed {
            *self.failed.entry(kind).or_default() += count;
        }
    }

    async fn settle(&mut self, (name, outcome): (Name, Result<(), PublishError>), confirmed: &watch::Sender<usize>) {
        match outcome {
            Ok(()) => {
                self.confirmed.insert(name);
                confirmed.send_replace(self.confirmed.len());
            }
            Err(error) => {
                *self.failed.entry(kind(&error)).or_default() += 1;
                // Whoever is told that it failed does not go on at full speed.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

fn kind(error: &PublishError) -> &'static str {
    match error {
        PublishError::Unroutable { .. } => "unroutable",
        PublishError::Transport { source: TransportError::Unavailable { .. }, .. } => "unavailable",
        PublishError::Transport { source: TransportError::NotTaken { .. }, .. } => "not taken",
        _ => panic!("{error:?}"),
    }
}

impl Publishing {
    pub(crate) fn count(&self) -> usize {
        *self.confirms.borrow()
    }

    /// Waits until more than `count` are confirmed.
    pub(crate) async fn beyond(&self, count: usize) {
        let (mut confirms, wait) = (self.confirms.clone(), limit());
        let reached = tokio::time::timeout(wait, confirms.wait_for(|now| *now > count)).await.is_ok();
        assert!(reached, "{} and not {count} events were confirmed within {wait:?}", self.count());
    }

    /// Waits until all that is wanted is confirmed, and for what is under way.
    pub(crate) async fn end(self) -> Published {
        self.ending.store(true, Ordering::SeqCst);
        let wait = limit();
        let ended = tokio::time::timeout(wait, self.task).await;
        ended.unwrap_or_else(|_| panic!("publishing took longer than {wait:?}")).unwrap()
    }
}

/// How many messages of a queue wait to be handed out.
pub(crate) async fn ready(url: &str, queue: &str) -> usize {
    use lapin::{Connection, ConnectionProperties, options::QueueDeclareOptions, types::FieldTable};
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(queue.into(), options, FieldTable::default()).await;
    let count = declared.map_or(0, |declared| declared.message_count());
    let _ = connection.close(200, "looked".into()).await;
    usize::try_from(count).unwrap()
}

/// How much memory this process holds, looked at again and again. Told and no more: other tests run in it. The bound of a process
/// that does nothing else is held by `tests/rabbitmq/slow.rs`.
struct Memory {
    base: u64,
    most: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Memory {
    fn watch() -> Self {
        let most = Arc::new(AtomicU64::new(0));
        let peak = Arc::clone(&most);
        let task = tokio::spawn(async move {
            loop {
                peak.fetch_max(resident(), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { base: resident(), most, task }
    }

    /// At first, and at most, in KiB.
    fn end(&self) -> (u64, u64) {
        self.task.abort();
        (self.base, self.most.load(Ordering::Relaxed))
    }
}

/// In KiB; zero where there is no `/proc`.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}
