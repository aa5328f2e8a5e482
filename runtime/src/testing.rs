//! Testing a service with its own wiring, in one process, without a broker and without sleeping.
//!
//! What a service is made of goes into a function from its handle to its [`Service`], which `main` and the tests share:
//!
//! ```
//! use celerysalt::{AnyEvent, HandlerError, Salt, service::Service, testing::TestApp};
//! use serde_json::json;
//!
//! fn wiring(salt: &Salt) -> Service {
//!     salt.service().on_raw("auth.user.created", welcome)
//! }
//!
//! async fn welcome(user: AnyEvent, salt: Salt) -> Result<(), HandlerError> {
//!     let letter = json!({"to": user["email"], "template": "welcome"});
//!     salt.publish_json("mail.requested", letter).unvalidated().await?;
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut app = TestApp::new().await?;
//! app.run("mail", wiring).await?;
//! app.fail_handlers("auth.user.created", 2);
//!
//! let user = json!({"user_id": 7, "email": "pam@example.com"});
//! app.outside().publish_json("auth.user.created", user).unvalidated().await?;
//! app.settled().await?;
//!
//! assert_eq!(app.published_json("mail.requested"), [json!({"to": "pam@example.com", "template": "welcome"})]);
//! assert_eq!(app.counts("mail").retried, 2);
//! # Ok(())
//! # }
//! ```
//!
//! With tokio's clock paused (`#[tokio::test(start_paused = true)]`) the pauses between tries, rates and expirations pass at
//! once: whenever all tasks wait, the clock goes on to the next timer. A handler that waits for something outside of the
//! process, such as a database, must be tested with the clock running.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use celerysalt_contract::TopicPattern;
use serde_json::Value;

use crate::{
    Salt, SaltBuilder,
    error::{ConnectError, StartError},
    event::{Broadcast, EventContract},
    invalid::Part,
    json,
    registry::memory::MemoryRegistry,
    service::{Counts, Running, Service, Shutdown, headers, wrap_failing},
    transport::{
        Confirmation, Deliveries, Message, QueueSpec, Routing, Taken, Transport, TransportError,
        memory::{MemoryBroker, MemoryTransport},
    },
    wire,
};

/// How long [`TestApp::settled`] waits unless told otherwise, by tokio's clock.
const PATIENCE: Duration = Duration::from_mins(5);
/// How many dead letters are looked at.
const MOST_LETTERS: usize = 10_000;

/// Services in a process of their own: their wiring is the user's, broker and registry are in memory.
#[derive(Debug)]
pub struct TestApp {
    broker: MemoryBroker,
    registry: MemoryRegistry,
    outside: Salt,
    services: Vec<(String, Running)>,
    record: Arc<Record>,
    patience: Duration,
}

/// What can go wrong with a test's set-up, or that services did not come to rest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// The handle of a service.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The wiring of a service.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Messages that are still with handlers, or wait for them.
    #[error("not settled after {patience:?}: {} in the queue {queue}; does a handler hang, or wait for another test's doing?", messages(*.left))]
    Unsettled {
        /// One of the queues that are not empty.
        queue: String,
        /// How many messages it has, those that are being handled included.
        left: usize,
        /// How long it was waited.
        patience: Duration,
    },
}

fn messages(count: usize) -> String {
    if count == 1 { "one message is".to_owned() } else { format!("{count} messages are") }
}

/// A message that a service gave up on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The topic.
    pub topic: String,
    /// A [`DeadLetterReason`](crate::service::DeadLetterReason) as text: `handler-failed`, `invalid`, ...
    pub reason: String,
    /// What exactly: a handler's error.
    pub detail: String,
    /// The handler, where it was one's failure.
    pub handler: Option<String>,
    /// The payload; null when the message could not be read.
    pub payload: Value,
}

/// What the services have published, and what is to go wrong for them.
#[derive(Debug, Default)]
pub(crate) struct Record {
    sent: Mutex<Vec<Message>>,
    /// By topic, how often handlers are to fail.
    failing: Mutex<HashMap<String, u32>>,
    /// How many events are not to be taken.
    refusing: Mutex<u32>,
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Record {
    /// Whether a handler of that topic is to fail now.
    pub(crate) fn is_to_fail(&self, topic: &str) -> bool {
        let mut failing = locked(&self.failing);
        let Some(left) = failing.get_mut(topic).filter(|left| **left > 0) else { return false };
        *left -= 1;
        true
    }

    fn is_to_refuse(&self) -> bool {
        let mut refusing = locked(&self.refusing);
        let refused = *refusing > 0;
        *refusing = refusing.saturating_sub(1);
        refused
    }
}

impl TestApp {
    /// A broker and a registry, and nobody on them yet.
    ///
    /// # Errors
    /// [`TestError::Connect`].
    pub async fn new() -> Result<Self, TestError> {
        let (broker, registry) = (MemoryBroker::new(), MemoryRegistry::new());
        let outside = Salt::builder("outside").transport(Arc::new(broker.connect()));
        let outside = outside.registry(Arc::new(registry.clone())).result_backend("").connect().await?;
        Ok(Self {
            broker,
            registry,
            outside,
            services: Vec::new(),
            record: Arc::new(Record::default()),
            patience: PATIENCE,
        })
    }

    /// Registers contracts, as the services that publish them would have done before: `events::contracts()`.
    ///
    /// # Errors
    /// [`TestError::Connect`] when two of them contradict each other.
    pub async fn register(&self, contracts: impl IntoIterator<Item = &'static EventContract>) -> Result<(), TestError> {
        let publisher = Salt::builder("publisher").transport(Arc::new(self.broker.connect())).result_backend("");
        publisher.registry(Arc::new(self.registry.clone())).contracts(contracts).connect().await?;
        Ok(())
    }

    /// Runs a service of that name by the wiring that it has in earnest. Gives its handle.
    ///
    /// # Errors
    /// [`TestError::Connect`] and [`TestError::Start`].
    pub async fn run(&mut self, name: &str, wiring: impl FnOnce(&Salt) -> Service) -> Result<Salt, TestError> {
        self.run_with(name, |builder| builder, wiring).await
    }

    /// As [`run`](Self::run), with settings of the handle: hooks, task names, limits.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_with(
        &mut self,
        name: &str,
        settings: impl FnOnce(SaltBuilder) -> SaltBuilder,
        wiring: impl FnOnce(&Salt) -> Service,
    ) -> Result<Salt, TestError> {
        let salt = self.salt_with(name, settings).await?;
        let service = wrap_failing(wiring(&salt), &self.record);
        self.services.push((name.to_owned(), service.start().await?));
        Ok(salt)
    }

    /// The handle of a service that has no handlers: what it publishes is recorded.
    ///
    /// # Errors
    /// [`TestError::Connect`].
    pub async fn salt_with(
        &self,
        name: &str,
        settings: impl FnOnce(SaltBuilder) -> SaltBuilder,
    ) -> Result<Salt, TestError> {
        let transport = Recording { inner: self.broker.connect(), record: Arc::clone(&self.record) };
        let builder = Salt::builder(name).registry(Arc::new(self.registry.clone())).result_backend("");
        Ok(settings(builder).transport(Arc::new(transport)).connect().await?)
    }

    /// A handle outside of the services: what the test publishes and calls by it reaches them, and is not recorded.
    pub fn outside(&self) -> &Salt {
        &self.outside
    }

    /// How long [`settled`](Self::settled) waits, five minutes of tokio's clock unless set.
    pub fn patience(&mut self, longest: Duration) {
        self.patience = longest;
    }

    /// Waits until no message is with a handler or waits for one: all are handled, answered or dead-lettered, those too that
    /// handlers published, and those that waited for another try.
    ///
    /// What a handler spawned, or left in an outbox, is beyond that.
    ///
    /// # Errors
    /// [`TestError::Unsettled`] when that takes too long.
    pub async fn settled(&self) -> Result<(), TestError> {
        let settled = tokio::time::timeout(self.patience, self.broker.settled(is_waited_for)).await;
        settled.or_else(|_| match self.broker.busy(is_waited_for) {
            Some((queue, left)) => Err(TestError::Unsettled { queue, left, patience: self.patience }),
            None => Ok(()),
        })
    }

    /// Lets that much time pass at once, for what waits; the clock must be paused (`start_paused = true`).
    pub async fn advance(&self, time: Duration) {
        tokio::time::advance(time).await;
    }

    /// The events of this type that the services have published, in their order. An event that nobody subscribes to counts:
    /// to a service under test it looks as if somebody did.
    pub fn published<E: Broadcast>(&self) -> Vec<E> {
        let contract = E::contract();
        let version = contract.version().to_string();
        let own = self.sent().into_iter().filter(|sent| {
            sent.topic.as_deref() == Some(contract.topic())
                && sent.meta.as_ref().and_then(|meta| meta.version.as_ref()).is_none_or(|said| *said == version)
        });
        own.filter_map(|sent| contract.decode(Part::Payload, &sent.payload).ok()).collect()
    }

    /// The payloads of the events that the services have published to topics that match a pattern, in their order; none for
    /// what is no pattern.
    pub fn published_json(&self, topics: &str) -> Vec<Value> {
        let Ok(pattern) = topics.parse::<TopicPattern>() else { return Vec::new() };
        let matching = self.sent().into_iter().filter(|sent| sent.topic.as_ref().is_some_and(|t| pattern.matches(t)));
        matching.map(|sent| json::from_text(&sent.payload).unwrap_or_default()).collect()
    }

    /// Forgets what was published so far.
    pub fn forget_published(&self) {
        locked(&self.record.sent).clear();
    }

    fn sent(&self) -> Vec<wire::Incoming> {
        let sent = locked(&self.record.sent).clone();
        let read = sent.iter().filter_map(|message| wire::decode(message).ok());
        read.filter(|sent| sent.copy_of.is_none() && sent.meta.as_ref().and_then(|m| m.is_rpc) != Some(true)).collect()
    }

    /// Has the next `times` tries of handlers of this topic fail before they begin, as if a database were away.
    pub fn fail_handlers(&self, topic: impl Into<String>, times: u32) {
        locked(&self.record.failing).insert(topic.into(), times);
    }

    /// Has the broker refuse the next `events` that the services publish, as one that is away.
    pub fn fail_publishes(&self, events: u32) {
        *locked(&self.record.refusing) = events;
    }

    /// Has the next `times` messages of this routing key delivered again after they were handled, as when the connection is
    /// lost just before the ack.
    pub fn redeliver(&self, routing_key: impl Into<String>, times: u32) {
        self.broker.redeliver(routing_key.into(), times);
    }

    /// What became of a service's messages so far; all zero for a service that does not run.
    pub fn counts(&self, service: &str) -> Counts {
        let running = self.services.iter().find(|(name, _)| name == service);
        running.map(|(_, running)| running.counts()).unwrap_or_default()
    }

    /// What a service has given up on. They stay where they are.
    pub async fn dead_letters(&self, service: &str) -> Vec<DeadLetter> {
        let connection = self.broker.connect();
        let Ok(taken) = connection.take(&format!("celerysalt.{service}.dead"), MOST_LETTERS).await else {
            return Vec::new();
        };
        let letter = |message: &Message| {
            let text = |name: &str| message.headers.get(name).and_then(Value::as_str).map(str::to_owned);
            let payload = wire::decode(message).ok().and_then(|read| json::from_text(&read.payload).ok());
            DeadLetter {
                topic: text(headers::TOPIC).unwrap_or_default(),
                reason: text(headers::REASON).unwrap_or_default(),
                detail: text(headers::DETAIL).unwrap_or_default(),
                handler: text(headers::HANDLER),
                payload: payload.unwrap_or_default(),
            }
        };
        taken.deliveries.iter().map(|delivery| letter(&delivery.message)).collect()
    }

    /// Shuts the services down in good order, each with how it ended.
    pub async fn stop(self) -> Vec<(String, Shutdown)> {
        let mut ended = Vec::new();
        for (name, running) in self.services {
            ended.push((name, running.shutdown().await));
        }
        ended
    }
}

/// Whether a queue's messages are still to be handled: not dead letters, and not replies, which calls wait for themselves.
fn is_waited_for(queue: &str) -> bool {
    queue.rsplit_once('.').is_none_or(|(_, part)| part != "dead") && !queue.starts_with("celerysalt.reply.")
}

/// A connection that remembers what was published, and refuses it when told to.
#[derive(Debug)]
struct Recording {
    inner: MemoryTransport,
    record: Arc<Record>,
}

#[async_trait]
impl Transport for Recording {
    async fn send(&self, message: Message) -> Result<Confirmation, TransportError> {
        // Replies, retries and dead letters go straight to their queues; who calls wants to know that nobody is there.
        if message.exchange.is_empty() || message.properties.reply_to.is_some() {
            return self.inner.send(message).await;
        }
        if self.record.is_to_refuse() {
            return Err(TransportError::Unavailable {
                broker: "memory:".to_owned(),
                reason: "TestApp::fail_publishes".to_owned(),
            });
        }
        let sent = self.inner.send(message.clone()).await?;
        locked(&self.record.sent).push(message);
        let (confirmer, confirmation) = Confirmation::pending();
        confirmer.resolve(sent.await.map(|_| Routing::Routed));
        Ok(confirmation)
    }

    async fn declare(&self, queue: &QueueSpec) -> Result<(), TransportError> {
        self.inner.declare(queue).await
    }

    async fn consume(&self, queue: &QueueSpec, prefetch: u16) -> Result<Deliveries, TransportError> {
        self.inner.consume(queue, prefetch).await
    }

    async fn take(&self, queue: &str, most: usize) -> Result<Taken, TransportError> {
        self.inner.take(queue, most).await
    }

    async fn consume_replies(&self) -> Result<Deliveries, TransportError> {
        self.inner.consume_replies().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }

    fn system(&self) -> &'static str {
        self.inner.system()
    }

    fn is_connected(&self) -> bool {
        self.inner.is_connected()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde_json::json;

    use super::*;
    use crate::{AnyEvent, HandlerError, Meta, Published, State, service::Retry};

    type Seen = Arc<AtomicU32>;

    async fn count(event: AnyEvent, State(seen): State<Seen>, salt: Salt, meta: Meta) -> Result<(), HandlerError> {
        seen.fetch_add(1, Ordering::Relaxed);
        if event["fails"] == true {
            return Err(HandlerError::new("as told"));
        }
        let next = json!({"redelivered": meta.redelivered, "tries": meta.tries});
        salt.publish_json("counted", next).unvalidated().await?;
        Ok(())
    }

    async fn app(seen: &Seen) -> TestApp {
        let mut app = TestApp::new().await.unwrap();
        let wiring = |salt: &Salt| salt.service().state(Arc::clone(seen)).on_raw("to.count", count);
        app.run("counter", wiring).await.unwrap();
        app
    }

    async fn publish(app: &TestApp, payload: Value) {
        app.outside().publish_json("to.count", payload).unvalidated().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_tried_to_its_end_before_it_is_settled() {
        let seen = Seen::default();
        let app = app(&seen).await;
        let start = tokio::time::Instant::now();
        publish(&app, json!({"fails": true})).await;
        app.settled().await.unwrap();
        assert_eq!(seen.load(Ordering::Relaxed), 5);
        // 1, 2, 4 and 8 s, with their jitter, that nobody slept.
        assert!(start.elapsed() > Duration::from_secs(10));
        let letters = app.dead_letters("counter").await;
        let [letter] = &letters[..] else { panic!("{letters:?}") };
        assert_eq!((letter.topic.as_str(), letter.reason.as_str()), ("to.count", "handler-failed"));
        assert_eq!((letter.detail.as_str(), &letter.payload), ("as told", &json!({"fails": true})));
        assert_eq!(app.dead_letters("counter").await, letters);
        assert!(app.published_json("#").is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_and_redeliveries_are_injected() {
        let seen = Seen::default();
        let app = app(&seen).await;
        app.fail_handlers("to.count", 2);
        publish(&app, json!({})).await;
        app.settled().await.unwrap();
        assert_eq!(app.published_json("counted"), [json!({"redelivered": false, "tries": 3})]);
        assert_eq!(seen.load(Ordering::Relaxed), 1);

        app.forget_published();
        app.redeliver("to.count", 1);
        publish(&app, json!({})).await;
        app.settled().await.unwrap();
        let twice = [json!({"redelivered": false, "tries": 1}), json!({"redelivered": true, "tries": 1})];
        assert_eq!(app.published_json("counted"), twice);

        app.forget_published();
        app.fail_publishes(1);
        publish(&app, json!({})).await;
        app.settled().await.unwrap();
        assert_eq!(app.published_json("counted"), [json!({"redelivered": false, "tries": 2})]);
        assert_eq!(app.counts("counter").dead_lettered, 0);
        let ended = app.stop().await;
        assert_eq!(ended[0].1.counts.handled, 4);
    }

    /// A clock that nobody turns goes on by itself when all wait: a chain's steps wait for each other, and are no such case.
    #[tokio::test(start_paused = true)]
    async fn a_long_chain_of_hooks_takes_no_time() {
        const STEPS: u64 = 300;
        let mut app = TestApp::new().await.unwrap();
        let follow = |event: AnyEvent, published: Published| async move {
            let step = event["step"].as_u64().unwrap_or_default() + 1;
            if step < STEPS {
                published.salt().publish_json("chain.step", json!({ "step": step })).unvalidated().await?;
            }
            Ok::<_, HandlerError>(())
        };
        let settings = |builder: SaltBuilder| builder.cascade_limit(1_000).after_publish_on("chain.#", follow);
        let wiring = |salt: &Salt| salt.service().on_raw("chain.#", |_: AnyEvent| async {});
        let salt = app.run_with("chain", settings, wiring).await.unwrap();
        let start = tokio::time::Instant::now();
        salt.publish_json("chain.step", json!({"step": 0})).unvalidated().await.unwrap();
        app.settled().await.unwrap();
        assert_eq!(app.published_json("chain.step").len(), usize::try_from(STEPS).unwrap());
        assert_eq!((app.counts("chain").handled, start.elapsed()), (STEPS, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_hangs_is_named() {
        let mut app = TestApp::new().await.unwrap();
        app.patience(Duration::from_secs(30));
        let wiring = |salt: &Salt| {
            salt.service().retry(Retry::never()).on_raw("to.hang", |_: AnyEvent| std::future::pending::<()>())
        };
        app.run("stuck", wiring).await.unwrap();
        app.settled().await.unwrap();
        app.outside().publish_json("to.hang", json!({})).unvalidated().await.unwrap();
        let error = app.settled().await.unwrap_err();
        assert!(error.to_string().contains("one message is in the queue celerysalt.stuck.events"), "{error}");
    }
}
