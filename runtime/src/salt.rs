//! The handle that a service holds: where its events go and come from, and which registry it trusts.

use std::{
    env,
    ffi::OsString,
    sync::{Arc, atomic::Ordering},
};

use celerysalt_contract::TopicPattern;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    answers::Answers,
    by_name::{CallJson, Untyped},
    call::{LateReplies, Replies},
    error::ConnectError,
    event::{Event, EventContract},
    hooks::{AfterPublish, BeforePublish, Hooks},
    lineage::Lineage,
    publish::PublishJson,
    registration::{OnConflict, Registration},
    registry::{self, Actor, Registered, Registry, RegistryError},
    results::{self, ResultBackend, ResultBackendError},
    schemas::Schemas,
    service::{AnyEvent, Service},
    telemetry,
    transport::{self, Confirmation, Message, Transport, TransportError},
    wire::TaskName,
};

/// The exchange that celery-salt and tchu-tchu use, and so does everyone here unless told otherwise.
pub const DEFAULT_EXCHANGE: &str = "tchu_events";
/// Names the broker for [`Salt::connect_env`].
pub const BROKER_URL_VARIABLE: &str = "CELERYSALT_BROKER_URL";
/// Names the registry for [`Salt::connect_env`].
pub const REGISTRY_URL_VARIABLE: &str = "CELERYSALT_REGISTRY_URL";
/// Names the result backend, when [`SaltBuilder::result_backend`] does not.
pub const RESULT_BACKEND_URL_VARIABLE: &str = "CELERYSALT_RESULT_BACKEND_URL";
/// Events larger than this are refused before they are sent, unless the builder says otherwise.
const DEFAULT_MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// A service's connection to its broker and its registry. Cloning is cheap and gives the same connection.
///
/// ```
/// use celerysalt::Salt;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// // In-process broker and registry: `memory:` is what `connect_env` uses when nothing is configured.
/// let salt = Salt::builder("pulse").broker_url("memory:").registry_url("memory:").connect().await?;
/// assert_eq!(salt.service_name(), "pulse");
/// salt.close().await;
/// # Ok::<(), celerysalt::ConnectError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Salt {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    service: String,
    exchange: String,
    task_name: TaskName,
    /// For topics of their own; the last that matches counts.
    task_names: Vec<(TopicPattern, TaskName)>,
    results: Option<Arc<dyn ResultBackend>>,
    max_message_bytes: usize,
    transport: Arc<dyn Transport>,
    registry: Arc<dyn Registry>,
    registration: Registration,
    lineage: Arc<Lineage>,
    schemas: Schemas,
    labels: Arc<telemetry::Labels>,
    consumers: Arc<telemetry::Consumers>,
    replies: Mutex<Option<Arc<Replies>>>,
    late_replies: LateReplies,
    hooks: Hooks,
    answers: Answers,
    #[cfg(feature = "outbox")]
    store: Option<crate::store::EventStore>,
}

/// What a [`Salt`] is made of; every setting has a default.
#[derive(Debug)]
#[must_use = "nothing is connected before `connect`"]
pub struct SaltBuilder {
    service: String,
    exchange: String,
    task_name: TaskName,
    task_names: Vec<(String, TaskName)>,
    results: Option<String>,
    max_message_bytes: usize,
    broker: Source<Arc<dyn Transport>>,
    registry: Source<Arc<dyn Registry>>,
    contracts: Vec<&'static EventContract>,
    on_conflict: OnConflict,
    hooks: Hooks,
    #[cfg(feature = "outbox")]
    store: Option<crate::store::EventStore>,
}

#[derive(Debug)]
enum Source<T> {
    Environment,
    Url(String),
    Given(T),
}

impl Salt {
    /// Connects as the service `name` to what the environment says: `CELERYSALT_BROKER_URL` and
    /// `CELERYSALT_REGISTRY_URL`, each `memory:` when unset.
    ///
    /// # Errors
    /// As [`SaltBuilder::connect`].
    pub async fn connect_env(name: impl Into<String>) -> Result<Self, ConnectError> {
        Self::builder(name).connect().await
    }

    /// Settings for the service `name`. Its queues are named after it, so two services never share a name and two
    /// instances of one service always do.
    pub fn builder(name: impl Into<String>) -> SaltBuilder {
        SaltBuilder {
            service: name.into(),
            exchange: DEFAULT_EXCHANGE.to_owned(),
            task_name: TaskName::default(),
            task_names: Vec::new(),
            results: None,
            max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES,
            broker: Source::Environment,
            registry: Source::Environment,
            contracts: Vec::new(),
            on_conflict: OnConflict::default(),
            hooks: Hooks::default(),
            #[cfg(feature = "outbox")]
            store: None,
        }
    }

    /// A service without handlers yet: add them with [`Service::on`], [`Service::on_topic`], [`Service::serve`].
    pub fn service(&self) -> Service {
        Service::new(self.clone())
    }

    /// Publishes to a topic named at run time. The payload is checked against the registry's contract of the topic.
    pub fn publish_json<'a>(&'a self, topic: &'a str, payload: Value) -> PublishJson<'a> {
        PublishJson::new(topic, Untyped::Tree(payload), self)
    }

    /// As [`Salt::publish_json`], for a JSON text, which is sent as it is: with every digit of numbers beyond 64 bits.
    pub fn publish_text<'a>(&'a self, topic: &'a str, payload: &'a str) -> PublishJson<'a> {
        PublishJson::new(topic, Untyped::Text(payload), self)
    }

    /// Calls an RPC whose topic is named at run time. Request and reply are checked against the registry's contract.
    ///
    /// ```
    /// use celerysalt::{CallError, Salt};
    /// use serde_json::json;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let salt = Salt::builder("ops").broker_url("memory:").registry_url("memory:").connect().await?;
    /// let outcome = salt.call_json("rpc.risk.get", json!({"id": "RA-1"})).await;
    /// // This registry has no contract yet.
    /// assert!(matches!(outcome, Err(CallError::UnknownContract { .. })));
    /// # Ok::<(), celerysalt::ConnectError>(())
    /// # }).unwrap();
    /// ```
    pub fn call_json<'a>(&'a self, topic: &'a str, request: Value) -> CallJson<'a> {
        CallJson::new(topic, Untyped::Tree(request), self)
    }

    /// As [`Salt::call_json`], for a JSON text, which is sent as it is.
    pub fn call_text<'a>(&'a self, topic: &'a str, request: &'a str) -> CallJson<'a> {
        CallJson::new(topic, Untyped::Text(request), self)
    }

    /// Registers the contract of `E` now, for contracts that say `auto_register: false` or to wait for the outcome.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`](crate::registry::RegistryError::Conflict) when it is registered with another meaning;
    /// otherwise as [`Registry::sync`].
    pub async fn register<E: Event>(&self) -> Result<Registered, RegistryError> {
        let refused = |reason| RegistryError::Unusable { registry: "this program's contracts".to_owned(), reason };
        let record = E::contract().to_record().map_err(refused)?;
        self.inner.registry.register(&record).await
    }

    /// The service's name.
    pub fn service_name(&self) -> &str {
        &self.inner.service
    }

    /// The exchange of events whose contract names none.
    pub fn exchange(&self) -> &str {
        &self.inner.exchange
    }

    /// The registry.
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.inner.registry
    }

    /// How many replies came to this service after their calls had given up, and were dropped. What a result backend keeps
    /// for calls that gave up is not counted.
    pub fn late_replies(&self) -> u64 {
        self.inner.late_replies.load(Ordering::Relaxed)
    }

    /// Waits for what was sent to be confirmed and for contracts to be registered (five seconds at most, and not for a
    /// registry that is away), then lets go of the broker, for every clone of this handle. Shut running services down first.
    pub async fn close(&self) {
        self.inner.registration.flush().await;
        self.inner.transport.close().await;
    }

    pub(crate) fn task_name(&self, topic: &str) -> TaskName {
        let own = self.inner.task_names.iter().rev().find(|(pattern, _)| pattern.matches(topic));
        own.map_or(self.inner.task_name, |(_, name)| *name)
    }

    /// What takes messages for it.
    pub(crate) fn consumers(&self) -> &Arc<telemetry::Consumers> {
        &self.inner.consumers
    }

    pub(crate) fn late_replies_counter(&self) -> &LateReplies {
        &self.inner.late_replies
    }

    pub(crate) fn results(&self) -> Option<&dyn ResultBackend> {
        self.inner.results.as_deref()
    }

    pub(crate) fn transport(&self) -> &Arc<dyn Transport> {
        &self.inner.transport
    }

    /// Whether nobody else can reach its broker.
    pub(crate) fn is_in_process(&self) -> bool {
        self.inner.transport.system() == "memory"
    }

    pub(crate) fn registration(&self) -> &Registration {
        &self.inner.registration
    }

    pub(crate) fn answers(&self) -> &Answers {
        &self.inner.answers
    }

    pub(crate) fn hooks(&self) -> &Hooks {
        &self.inner.hooks
    }

    pub(crate) fn lineage(&self) -> &Lineage {
        &self.inner.lineage
    }

    pub(crate) fn schemas(&self) -> &Schemas {
        &self.inner.schemas
    }

    /// By which its metrics are told apart.
    pub(crate) fn labels(&self) -> &Arc<telemetry::Labels> {
        &self.inner.labels
    }

    #[cfg(feature = "outbox")]
    pub(crate) fn store(&self) -> Option<&crate::store::EventStore> {
        self.inner.store.as_ref()
    }

    /// Refuses what a user wrote when it is over the size limit.
    pub(crate) fn check_size(&self, message: &Message) -> Result<(), TransportError> {
        let (size, limit) = (message.body.len(), self.inner.max_message_bytes);
        if size > limit { Err(TransportError::TooLarge { size, limit }) } else { Ok(()) }
    }

    /// Sends what a user wrote: within the size limit.
    pub(crate) async fn send(&self, message: Message) -> Result<Confirmation, TransportError> {
        self.check_size(&message)?;
        self.inner.transport.send(message).await
    }

    /// Sends several, in their order; see [`Transport::send_all`].
    pub(crate) async fn send_all(&self, messages: Vec<Message>) -> Vec<Result<Confirmation, TransportError>> {
        if messages.iter().all(|message| self.check_size(message).is_ok()) {
            return self.inner.transport.send_all(messages).await;
        }
        let sizes: Vec<_> = messages.iter().map(|message| self.check_size(message)).collect();
        let fitting = messages.into_iter().zip(&sizes).filter(|(_, size)| size.is_ok()).map(|(message, _)| message);
        let mut sent = self.inner.transport.send_all(fitting.collect()).await.into_iter();
        let mut next = || sent.next().unwrap_or(Err(TransportError::Closed));
        sizes.into_iter().map(|size| size.and_then(|()| next())).collect()
    }

    /// The reply queue, opened by the first call, and by the next one after it was lost for good.
    pub(crate) async fn replies(&self) -> Result<Arc<Replies>, TransportError> {
        let mut replies = self.inner.replies.lock().await;
        if let Some(open) = replies.as_ref().filter(|replies| replies.is_open()) {
            return Ok(Arc::clone(open));
        }
        Ok(Arc::clone(replies.insert(Arc::new(Replies::open(self).await?))))
    }
}

impl SaltBuilder {
    /// The broker: `amqp://user:password@host:5672/vhost` (feature `amqp`), `amqps://...` (feature `tls` too), `memory:`
    /// or `memory:NAME` for one in this process. Without it the environment decides.
    pub fn broker_url(mut self, url: impl Into<String>) -> Self {
        self.broker = Source::Url(url.into());
        self
    }

    /// A transport made elsewhere. It may be shared; then [`Salt::close`] closes it for all who share it.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.broker = Source::Given(transport);
        self
    }

    /// The registry: `postgres://...` (feature `postgres`), `sqlite:PATH` (feature `sqlite`), `memory:` or `memory:NAME` for one in this process. Without
    /// it the environment decides.
    pub fn registry_url(mut self, url: impl Into<String>) -> Self {
        self.registry = Source::Url(url.into());
        self
    }

    /// A registry made elsewhere.
    pub fn registry(mut self, registry: Arc<dyn Registry>) -> Self {
        self.registry = Source::Given(registry);
        self
    }

    /// The contracts that the service publishes, registered while it connects: `events::contracts()` names all that
    /// were generated. Those whose contract says `registry: false` or `auto_register: false` are passed over.
    pub fn contracts(mut self, contracts: impl IntoIterator<Item = &'static EventContract>) -> Self {
        self.contracts.extend(contracts);
        self
    }

    /// What to do when one of them is registered with another meaning. Failing is the default.
    pub fn on_conflict(mut self, on_conflict: OnConflict) -> Self {
        self.on_conflict = on_conflict;
        self
    }

    /// The exchange of events whose contract names none; `tchu_events` unless set.
    pub fn exchange(mut self, name: impl Into<String>) -> Self {
        self.exchange = name.into();
        self
    }

    /// Which Python package's workers are to understand what this service sends. Rust services understand both.
    pub fn task_name(mut self, name: TaskName) -> Self {
        self.task_name = name;
        self
    }

    /// The same for the topics of a pattern such as `scranton.#`, whatever the service's own is. Of several that match, the
    /// last one counts.
    pub fn task_name_for(mut self, topics: impl Into<String>, name: TaskName) -> Self {
        self.task_names.push((topics.into(), name));
        self
    }

    /// Where Celery's workers and callers keep answers that don't go to reply queues: the `result_backend` of their
    /// applications, `redis://user:password@host:6379/0` (feature `redis`; `rediss://` with `tls` too). Without it the
    /// environment decides (`CELERYSALT_RESULT_BACKEND_URL`); unset, empty and `rpc://` mean reply queues alone.
    ///
    /// Calls then wait for their answer at the reply queue and in Redis; a service answers to the reply queue where there
    /// is one, else into Redis, where the answer is kept for a day.
    pub fn result_backend(mut self, url: impl Into<String>) -> Self {
        self.results = Some(url.into());
        self
    }

    /// The largest message that is sent, in bytes of its body; 16 MiB unless set.
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// Has every event that this service publishes appended to an event store before it is sent, from where
    /// `celerysalt replay` can send it again. An event that the store does not take is not sent.
    #[cfg(feature = "outbox")]
    pub fn store(mut self, store: crate::store::EventStore) -> Self {
        self.store = Some(store);
        self
    }

    /// Has every event of the type `E` looked at before it is sent: more is checked than its schema can say, headers are
    /// added, or it is held back with a reason. What acts where is told at [`hooks`](crate::hooks).
    ///
    /// It acts on the topic and version of `E`, however the event is published; for a request, on its calls. A hook is
    /// an `async fn(E)` or `async fn(E, Draft)` that returns `()`, [`Headers`](crate::Headers), or a `Result` of them whose
    /// error is a [`Veto`](crate::Veto): then publishing fails with
    /// [`PublishError::Vetoed`](crate::PublishError::Vetoed), and nothing is sent. Hooks are asked in the order in which
    /// they were added.
    pub fn before_publish<E: Event, Args>(mut self, hook: impl BeforePublish<E, Args>) -> Self {
        self.hooks.before(hook);
        self
    }

    /// As [`before_publish`](Self::before_publish), for every event and request of the topics that match a pattern: `#` for all.
    pub fn before_publish_on<Args>(mut self, topics: &str, hook: impl BeforePublish<AnyEvent, Args>) -> Self {
        self.hooks.before_on(topics, hook);
        self
    }

    /// Has a hook told of every event of the type `E` once it is confirmed: to notify, or to publish what follows from it by
    /// returning it. What acts where is told at [`hooks`](crate::hooks).
    ///
    /// A hook is an `async fn(E)` or `async fn(E, Published)` that returns what a handler may return. Publishing the event
    /// waits for it and for all that follows from it, and when it fails, that is
    /// [`PublishError::After`](crate::PublishError::After) with the event's receipt.
    pub fn after_publish<E: Event, Args>(mut self, hook: impl AfterPublish<E, Args>) -> Self {
        self.hooks.after(hook);
        self
    }

    /// As [`after_publish`](Self::after_publish), for every event of the topics that match a pattern: `#` for all.
    pub fn after_publish_on<Args>(mut self, topics: &str, hook: impl AfterPublish<AnyEvent, Args>) -> Self {
        self.hooks.after_on(topics, hook);
        self
    }

    /// How many messages may stand before one that this service sends, each sent because of the one before; 32 unless set.
    /// What would go further is not sent ([`PublishError::TooDeep`](crate::PublishError::TooDeep)), so that handlers and
    /// hooks that answer each other without end come to one.
    pub fn cascade_limit(mut self, messages: u32) -> Self {
        self.hooks.limit(messages);
        self
    }

    /// Connects, and registers the contracts that were named.
    ///
    /// # Errors
    /// [`ConnectError`]: a bad name or URL, a broker that can't be reached or refuses, a result backend that refuses, a
    /// contract that is registered with another meaning. A registry or a result backend that can't be reached is no error:
    /// registrations wait, and the result backend is connected to when it is back.
    pub async fn connect(self) -> Result<Salt, ConnectError> {
        check_name(&self.service)?;
        telemetry::describe();
        let hooks = self.hooks.checked()?;
        let task_names = self.task_names.into_iter().map(|(pattern, name)| match pattern.parse() {
            Ok(parsed) => Ok((parsed, name)),
            Err(error) => Err(ConnectError::TopicPattern { reason: format!("{error}"), pattern }),
        });
        let task_names = task_names.collect::<Result<_, _>>()?;
        let results = match self.results {
            Some(url) => results::open(&url)?,
            None => results::open(&set(RESULT_BACKEND_URL_VARIABLE)?.unwrap_or_default())?,
        };
        let registry = match self.registry {
            Source::Given(registry) => registry,
            Source::Url(url) => registry::connect_as(&url, Actor::here(&self.service))?,
            Source::Environment => registry::connect_as(&variable(REGISTRY_URL_VARIABLE)?, Actor::here(&self.service))?,
        };
        let transport = match self.broker {
            Source::Given(transport) => transport,
            Source::Url(url) => transport::connect(&url, &self.service).await?,
            Source::Environment => {
                let url = variable(BROKER_URL_VARIABLE)?;
                if env::var_os(BROKER_URL_VARIABLE).is_none_or(|value| value.is_empty()) {
                    tracing::warn!("{BROKER_URL_VARIABLE} is not set: events stay within this process");
                }
                transport::connect(&url, &self.service).await?
            }
        };
        match &results {
            None => {}
            Some(results) => match results.check().await {
                Ok(()) => {}
                Err(error @ ResultBackendError::Unavailable { .. }) => {
                    tracing::warn!(%error, "answers wait for the result backend");
                }
                Err(error) => return Err(error.into()),
            },
        }
        let lineage = Arc::new(Lineage::new(Arc::clone(&registry), &self.service));
        let labels = Arc::new(telemetry::Labels::new(&self.service));
        let registration = Registration::new(Arc::clone(&registry), Arc::clone(&lineage), Arc::clone(&labels));
        registration.at_start(&*registry, &self.contracts, self.on_conflict).await?;
        Ok(Salt {
            inner: Arc::new(Inner {
                labels,
                consumers: Arc::default(),
                service: self.service,
                exchange: self.exchange,
                task_name: self.task_name,
                task_names,
                results,
                max_message_bytes: self.max_message_bytes,
                schemas: Schemas::new(Arc::clone(&registry), Arc::clone(&lineage)),
                transport,
                registry,
                registration,
                lineage,
                replies: Mutex::default(),
                late_replies: LateReplies::default(),
                hooks,
                answers: Answers::default(),
                #[cfg(feature = "outbox")]
                store: self.store,
            }),
        })
    }
}

/// A variable's value; unset and empty mean the in-process default.
fn variable(name: &'static str) -> Result<String, ConnectError> {
    Ok(set(name)?.unwrap_or_else(|| "memory:".to_owned()))
}

/// A variable's value, unless it is unset or empty.
fn set(name: &'static str) -> Result<Option<String>, ConnectError> {
    let text = |value: OsString| value.into_string().map_err(|_| ConnectError::Environment { name });
    env::var_os(name).filter(|value| !value.is_empty()).map(text).transpose()
}

/// Queues are named after the service, so its name is what a queue's name can hold.
fn check_name(name: &str) -> Result<(), ConnectError> {
    let reason = if name.is_empty() {
        "expected at least one character"
    } else if name.len() > 100 {
        "expected at most 100 bytes"
    } else if !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        "expected ASCII letters, digits, `.`, `_` and `-`"
    } else {
        return Ok(());
    };
    let name = name.chars().take(100).collect::<String>().escape_debug().to_string();
    Err(ConnectError::ServiceName { name, reason: reason.to_owned() })
}
