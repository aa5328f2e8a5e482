//! Publishing: one event, many at once, or a topic by name; and the receipt.
//!
//! `event.publish(&salt)` → validate → envelope → transport → confirm → [`Receipt`].

use std::{
    borrow::Cow,
    collections::VecDeque,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use celerysalt_contract::{Topic, Version};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{
    Salt,
    by_name::Untyped,
    cascade,
    error::{BatchError, PublishError},
    event::Broadcast,
    receipt::Receipt,
    telemetry::{self, Subject, publishing, publishing_batch},
    transport::{Confirmation, Message, Routing, TransportError},
    wire::{
        self, TraceContext,
        celery::{MEANINGFUL_HEADERS, RESERVED_HEADERS, copy_of, unreadable},
    },
};

/// The priority of an event that names none, as celery-salt has it.
const DEFAULT_PRIORITY: u8 = 5;
/// The highest priority: queues are declared with it.
pub(crate) const MAX_PRIORITY: u8 = 10;
/// How many events of a batch are in flight at once unless the caller says otherwise.
const DEFAULT_WINDOW: usize = 1000;
/// How many events of a batch are handed to the transport at a time, at most.
const GROUP: usize = 64;

/// What a message can be given besides its payload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) routing_key: Option<String>,
    pub(crate) priority: Option<u8>,
    pub(crate) expiration: Option<Duration>,
    pub(crate) headers: Map<String, Value>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) allow_unrouted: bool,
}

impl Options {
    /// What travels beside the payload. The current span's trace goes on; within a handler, its message's.
    pub(crate) fn meta(&self, is_rpc: bool, version: Option<String>) -> wire::Meta {
        let trace = self.trace.clone().or_else(telemetry::current);
        wire::Meta {
            is_rpc: Some(is_rpc),
            version,
            correlation_id: self.correlation_id.clone(),
            traceparent: trace.as_ref().map(|trace| trace.traceparent().to_owned()),
            tracestate: trace.as_ref().and_then(TraceContext::tracestate).map(str::to_owned),
        }
    }

    /// # Errors
    /// A sentence on the first option that no message can have.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(priority) = self.priority.filter(|priority| *priority > MAX_PRIORITY) {
            return Err(format!("priority {priority}: expected 0 to {MAX_PRIORITY}"));
        }
        if let Some(expiration) = self.expiration {
            // RabbitMQ takes milliseconds below 2^32.
            if expiration < Duration::from_millis(1) || expiration.as_millis() >= u128::from(u32::MAX) {
                return Err(format!("expiration {expiration:?}: expected 1 ms to 49 days"));
            }
        }
        if let Some(key) = self.routing_key.as_ref().filter(|key| key.is_empty() || key.len() > 255) {
            return Err(format!("a routing key of {} bytes: expected 1 to 255", key.len()));
        }
        if let Some(name) = self.headers.keys().find(|name| {
            name.is_empty()
                || name.len() > 255
                || RESERVED_HEADERS.contains(&name.as_str())
                || MEANINGFUL_HEADERS.contains(&name.as_str())
                || name.starts_with("x-celerysalt-")
        }) {
            return Err(format!(
                "header `{}`: expected a name of 1 to 255 bytes that the envelope, Celery or RabbitMQ does not use itself \
                 ({}, {}, x-celerysalt-*)",
                name.chars().take(40).collect::<String>().escape_debug(),
                RESERVED_HEADERS.join(", "),
                MEANINGFUL_HEADERS.join(", ")
            ));
        }
        Ok(())
    }
}

/// The options that publishing and calling share, as builder methods over `self.options`.
macro_rules! common_options {
    () => {
        /// Adds a header. Names of the envelope (`task`, `id`, ...) are refused when it is sent.
        pub fn header(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
            self.options.headers.insert(name.into(), value.into());
            self
        }

        /// Adds headers, as [`header`](Self::header) does.
        pub fn headers<N: Into<String>, V: Into<serde_json::Value>>(
            mut self,
            headers: impl IntoIterator<Item = (N, V)>,
        ) -> Self {
            self.options.headers.extend(headers.into_iter().map(|(name, value)| (name.into(), value.into())));
            self
        }

        /// What ties this message to the others of one business transaction; travels in `_tchu_meta`, and subscribers see
        /// it as `Meta::correlation_id`.
        pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
            self.options.correlation_id = Some(id.into());
            self
        }

        /// The W3C trace context that this message belongs to, instead of that of the message that is being handled; travels
        /// in `_tchu_meta`, and subscribers see it as `Meta::trace_context`. Within a handler, what is published and called
        /// from its own task carries on the handled message's; what it spawns has to be given it.
        pub fn trace_context(mut self, context: $crate::TraceContext) -> Self {
            self.options.trace = Some(context);
            self
        }

        /// From 0 to 10, higher first, on queues that were declared with priorities.
        pub fn priority(mut self, priority: u8) -> Self {
            self.options.priority = Some(priority);
            self
        }

        /// The AMQP routing key, when it is not the topic. Handlers still see the topic.
        pub fn routing_key(mut self, routing_key: impl Into<String>) -> Self {
            self.options.routing_key = Some(routing_key.into());
            self
        }
    };
}
pub(crate) use common_options;

macro_rules! publish_options {
    () => {
        common_options!();

        /// How long the event is worth delivering, in whole milliseconds. The broker then takes it out of the queues that
        /// still have it; a Rust service's goes to its dead-letter queue.
        pub fn expiration(mut self, after: Duration) -> Self {
            self.options.expiration = Some(after);
            self
        }

        /// Takes it as success when no queue is bound for the topic: the event is gone then, and the receipt says
        /// `routed: false`.
        pub fn allow_unrouted(mut self) -> Self {
            self.options.allow_unrouted = true;
            self
        }
    };
}

/// The future that publishing a value gives: what `IntoFuture` boxes.
pub(crate) type Sending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An event about to be published: add options, then `.await` it for the [`Receipt`].
///
/// # Errors
/// [`PublishError`]; see its variants.
#[must_use = "nothing is published before it is awaited"]
#[derive(Debug)]
pub struct Publish<'a, E> {
    event: &'a E,
    pub(crate) salt: &'a Salt,
    options: Options,
}

impl<'a, E: Broadcast> Publish<'a, E> {
    pub(crate) fn new(event: &'a E, salt: &'a Salt) -> Self {
        Self { event, salt, options: Options::default() }
    }

    publish_options!();

    /// Checked, and not sent.
    #[cfg(feature = "outbox")]
    pub(crate) async fn ready(&self) -> Result<Ready, PublishError> {
        let payload = self.event.encode()?;
        let options = asked::<E>(self.salt, &payload, &self.options).await?;
        self.salt.hooks().leave_out(E::contract().topic(), Some(E::contract().version()));
        Ready::typed::<E>(self.salt, &payload, &options)
    }
}

impl<'a, E: Broadcast> IntoFuture for Publish<'a, E> {
    type Output = Result<Receipt, PublishError>;
    type IntoFuture = Sending<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(publishing(self.salt, E::contract(), async move {
            let payload = self.event.encode()?;
            let options = asked::<E>(self.salt, &payload, &self.options).await?;
            let ready = Ready::typed::<E>(self.salt, &payload, &options)?;
            record(self.salt, &[&ready]).await?;
            let receipt = ready.send(self.salt).await?.receipt().await?;
            told::<E>(self.salt, &payload, &receipt).await?;
            Ok(receipt)
        }))
    }
}

/// What the hooks before publishing say.
async fn asked<'o, E: Broadcast>(
    salt: &Salt,
    payload: &str,
    options: &'o Options,
) -> Result<Cow<'o, Options>, PublishError> {
    let (topic, version) = (E::contract().topic(), E::contract().version());
    let asked = salt.hooks().ask(topic, Some(version), payload, options, false).await;
    asked.map_err(|withheld| withheld.publishing(topic))
}

/// What the hooks after publishing make of it.
async fn told<E: Broadcast>(salt: &Salt, payload: &str, receipt: &Receipt) -> Result<(), PublishError> {
    salt.hooks().tell(salt, E::contract().topic(), Some(E::contract().version()), payload, receipt).await
}

/// Appends what is about to be sent to the event store, where there is one.
#[cfg(feature = "outbox")]
async fn record(salt: &Salt, ready: &[&Ready]) -> Result<(), PublishError> {
    let (Some(store), Some(first)) = (salt.store(), ready.first()) else { return Ok(()) };
    let messages: Vec<(&str, &Message)> =
        ready.iter().flat_map(|ready| ready.messages().map(|message| (ready.topic.as_str(), message))).collect();
    let appended = store.append(&messages).await;
    appended.map_err(|source| PublishError::Store { topic: first.topic.clone(), source })
}

#[cfg(not(feature = "outbox"))]
async fn record(_: &Salt, _: &[&Ready]) -> Result<(), PublishError> {
    std::future::ready(Ok(())).await
}

/// Many events of one type about to be published: `.await` it for their [`Receipt`]s, in their order.
///
/// Every event is checked first, and when one is refused, none is sent. Then up to [`window`](Self::window) of them are
/// in flight at once, in order.
///
/// # Errors
/// [`BatchError`] says of each event whether it was published.
#[must_use = "nothing is published before it is awaited"]
#[derive(Debug)]
pub struct PublishBatch<'a, E> {
    events: &'a [E],
    pub(crate) salt: &'a Salt,
    options: Options,
    window: usize,
}

impl<'a, E: Broadcast> PublishBatch<'a, E> {
    pub(crate) fn new(events: &'a [E], salt: &'a Salt) -> Self {
        Self { events, salt, options: Options::default(), window: DEFAULT_WINDOW }
    }

    /// How many events wait for their confirm at once, 1,000 unless set, at least one.
    pub fn window(mut self, events: usize) -> Self {
        self.window = events.max(1);
        self
    }

    publish_options!();

    /// The payloads, each checked, and the options that hooks make of them.
    ///
    /// # Errors
    /// Every event that its contract or a hook refuses.
    async fn payloads(&self) -> Result<Vec<Payload>, BatchError> {
        let (mut payloads, mut failed) = (Vec::with_capacity(self.events.len()), Vec::new());
        for (place, event) in self.events.iter().enumerate() {
            let asked = match event.encode() {
                Ok(text) => asked::<E>(self.salt, &text, &self.options).await.map(|options| {
                    let options = match options {
                        Cow::Borrowed(_) => None,
                        Cow::Owned(options) => Some(Box::new(options)),
                    };
                    Payload { text, options }
                }),
                Err(invalid) => Err(PublishError::from(invalid)),
            };
            match asked {
                Ok(payload) => payloads.push(payload),
                Err(error) => failed.push((place, error)),
            }
        }
        if failed.is_empty() { Ok(payloads) } else { Err(BatchError { published: Vec::new(), failed }) }
    }

    /// All of them checked, and none sent.
    #[cfg(feature = "outbox")]
    pub(crate) async fn ready(&self) -> Result<Vec<Ready>, BatchError> {
        let (mut all, mut failed) = (Vec::with_capacity(self.events.len()), Vec::new());
        let payloads = self.payloads().await?;
        self.salt.hooks().leave_out(E::contract().topic(), Some(E::contract().version()));
        for (place, payload) in payloads.iter().enumerate() {
            match self.made_ready(payload) {
                Ok(ready) => all.push(ready),
                Err(error) => failed.push((place, error)),
            }
        }
        if failed.is_empty() { Ok(all) } else { Err(BatchError { published: Vec::new(), failed }) }
    }

    fn made_ready(&self, payload: &Payload) -> Result<Ready, PublishError> {
        let options = payload.options.as_deref().unwrap_or(&self.options);
        Ready::typed::<E>(self.salt, &payload.text, options)
    }

    /// These of them, in the event store where there is one.
    async fn recorded(&self, payloads: &[Payload]) -> Vec<Result<Ready, PublishError>> {
        let ready: Vec<Result<Ready, PublishError>> = payloads.iter().map(|payload| self.made_ready(payload)).collect();
        let valid: Vec<&Ready> = ready.iter().filter_map(|ready| ready.as_ref().ok()).collect();
        match record(self.salt, &valid).await {
            Ok(()) => ready,
            Err(error) => ready.into_iter().map(|ready| ready.and(Err(error.clone()))).collect(),
        }
    }

    /// How many events are handed to the transport at a time. Room for so many is waited for.
    fn group(&self) -> usize {
        (self.window / 8).clamp(1, GROUP)
    }

    /// How many events are made ready at a time: a store takes many as fast as one.
    fn step(&self) -> usize {
        #[cfg(feature = "outbox")]
        if self.salt.store().is_some() {
            return self.window;
        }
        self.group()
    }
}

impl<'a, E: Broadcast> IntoFuture for PublishBatch<'a, E> {
    type Output = Result<Vec<Receipt>, BatchError>;
    type IntoFuture = Sending<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(publishing_batch(self.salt, E::contract(), self.events.len(), async move {
            let mut payloads = self.payloads().await?.into_iter();
            let mut sent_payloads = Vec::new();
            let published = Vec::with_capacity(self.events.len());
            let mut outcomes = Outcomes { published, failed: Vec::new(), gone: None };
            let mut in_flight: VecDeque<(usize, Sent)> = VecDeque::new();
            let mut places = 0..;
            loop {
                let payloads: Vec<Payload> = payloads.by_ref().take(self.step()).collect();
                if payloads.is_empty() {
                    break;
                }
                if let Some(error) = outcomes.gone.clone() {
                    places.by_ref().take(payloads.len()).for_each(|place| outcomes.settle(place, Err(error.clone())));
                    continue;
                }
                let mut ready = self.recorded(&payloads).await.into_iter();
                if !self.salt.hooks().after_is_empty() {
                    sent_payloads.extend(payloads);
                }
                while ready.len() > 0 {
                    let count = ready.len().min(self.group());
                    while in_flight.len() + count > self.window
                        && let Some((oldest, sent)) = in_flight.pop_front()
                    {
                        outcomes.settle(oldest, sent.receipt().await);
                    }
                    let mut group = Group::with_capacity(count);
                    for (ready, place) in ready.by_ref().take(count).zip(places.by_ref()) {
                        match outcomes.gone.clone().map_or(ready, Err) {
                            Ok(ready) => group.push(place, ready.parted(self.salt)),
                            Err(error) => outcomes.settle(place, Err(error)),
                        }
                    }
                    for (place, sent) in group.send(self.salt).await {
                        match sent {
                            Ok(sent) => in_flight.push_back((place, sent)),
                            Err(error) => outcomes.settle(place, Err(error)),
                        }
                    }
                }
            }
            for (place, sent) in in_flight {
                outcomes.settle(place, sent.receipt().await);
            }
            outcomes.tell::<E>(self.salt, &sent_payloads).await;
            outcomes.into_result()
        }))
    }
}

/// An event's payload, checked.
struct Payload {
    text: String,
    /// What hooks made of the batch's options, when that is something else.
    options: Option<Box<Options>>,
}

/// What has become of a batch so far.
struct Outcomes {
    published: Vec<(usize, Receipt)>,
    failed: Vec<(usize, PublishError)>,
    /// The broker is away, and was waited for: each further event would wait as long in vain.
    gone: Option<PublishError>,
}

impl Outcomes {
    fn settle(&mut self, place: usize, outcome: Result<Receipt, PublishError>) {
        match outcome {
            Ok(receipt) => self.published.push((place, receipt)),
            Err(error) => {
                if let PublishError::Transport { source, .. } = &error
                    && source.is_of_all()
                {
                    self.gone.get_or_insert_with(|| error.clone());
                }
                self.failed.push((place, error));
            }
        }
    }

    /// Tells the hooks of what was published, in the order of the batch. No payloads where there are no hooks.
    async fn tell<E: Broadcast>(&mut self, salt: &Salt, payloads: &[Payload]) {
        if payloads.is_empty() {
            return;
        }
        self.published.sort_by_key(|(place, _)| *place);
        for (place, receipt) in std::mem::take(&mut self.published) {
            let Some(payload) = payloads.get(place) else { continue };
            match told::<E>(salt, &payload.text, &receipt).await {
                Ok(()) => self.published.push((place, receipt)),
                Err(error) => self.failed.push((place, error)),
            }
        }
    }

    fn into_result(mut self) -> Result<Vec<Receipt>, BatchError> {
        if self.failed.is_empty() {
            return Ok(self.published.into_iter().map(|(_, receipt)| receipt).collect());
        }
        self.failed.sort_by_key(|(place, _)| *place);
        self.published.sort_by_key(|(place, _)| *place);
        Err(BatchError { published: self.published, failed: self.failed })
    }
}

/// An event of a topic named at run time, about to be published: add options, then `.await` it for the [`Receipt`].
///
/// The payload is checked against the registry's contract of the topic: the version named by
/// [`version`](Self::version), else the newest.
///
/// # Errors
/// [`PublishError`]; also [`PublishError::UnknownContract`] when the registry has no such contract.
#[must_use = "nothing is published before it is awaited"]
#[derive(Debug)]
pub struct PublishJson<'a> {
    topic: &'a str,
    payload: Untyped<'a>,
    pub(crate) salt: &'a Salt,
    version: Option<&'a str>,
    validated: bool,
    options: Options,
}

impl<'a> PublishJson<'a> {
    pub(crate) fn new(topic: &'a str, payload: Untyped<'a>, salt: &'a Salt) -> Self {
        Self { topic, payload, salt, version: None, validated: true, options: Options::default() }
    }

    /// The contract's version, such as `v1`.
    pub fn version(mut self, version: &'a str) -> Self {
        self.version = Some(version);
        self
    }

    /// Publishes without asking the registry: for topics that have no contract.
    pub fn unvalidated(mut self) -> Self {
        self.validated = false;
        self
    }

    publish_options!();

    /// Checked, and not sent.
    #[cfg(feature = "outbox")]
    pub(crate) async fn ready(&self) -> Result<Ready, PublishError> {
        let (ready, _, version) = self.checked().await?;
        self.salt.hooks().leave_out(self.topic, version.as_ref());
        Ok(ready)
    }

    /// Checked, and not sent; with the payload and its version.
    async fn checked(&self) -> Result<(Ready, String, Option<Version>), PublishError> {
        let refused = |reason: String| PublishError::Option { topic: self.topic.to_owned(), reason };
        let topic: Topic = self.topic.parse().map_err(|error| refused(format!("{error}")))?;
        let version: Option<Version> =
            self.version.map(str::parse).transpose().map_err(|error| refused(format!("{error}")))?;
        let payload = self.payload.text().map_err(refused)?;
        let mut exchange = None;
        let version = if self.validated {
            let known = self.salt.schemas().known(&topic, version.as_ref()).await?.ok_or_else(|| {
                let asked = version.map_or_else(|| "any version".to_owned(), |version| version.to_string());
                PublishError::UnknownContract {
                    topic: self.topic.to_owned(),
                    reason: format!("the registry has no contract of {asked}"),
                }
            })?;
            known.check(&payload)?;
            exchange = known.exchange().map(str::to_owned);
            Some(known.version.clone())
        } else {
            version
        };
        let asked = self.salt.hooks().ask(self.topic, version.as_ref(), &payload, &self.options, false).await;
        let options = asked.map_err(|withheld| withheld.publishing(self.topic))?;
        let said = version.as_ref().map(ToString::to_string);
        Ok((
            Ready::new(self.salt, self.topic, said, exchange.as_deref(), &payload, &options)?,
            payload.into_owned(),
            version,
        ))
    }
}

impl<'a> IntoFuture for PublishJson<'a> {
    type Output = Result<Receipt, PublishError>;
    type IntoFuture = Sending<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let subject = Subject::Named { topic: self.topic, version: self.version };
        Box::pin(publishing(self.salt, subject, async move {
            let (ready, payload, version) = self.checked().await?;
            record(self.salt, &[&ready]).await?;
            let receipt = ready.send(self.salt).await?.receipt().await?;
            self.salt.hooks().tell(self.salt, self.topic, version.as_ref(), &payload, &receipt).await?;
            Ok(receipt)
        }))
    }
}

/// A message that was checked and waits for the transport.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) topic: String,
    pub(crate) message: Message,
    /// The same in the other task name, for topics that are sent in both.
    pub(crate) copy: Option<Box<Message>>,
    pub(crate) timestamp: Timestamp,
    pub(crate) allow_unrouted: bool,
}

/// A message that the transport has, in its place in the order.
#[derive(Debug)]
struct Sent {
    told: Told,
    confirmation: Confirmation,
    copy: Option<Confirmation>,
}

/// Messages that are sent together, with their places in the batch.
struct Group {
    messages: Vec<Message>,
    /// And whether there is a copy.
    told: Vec<(usize, Told, bool)>,
}

impl Group {
    fn with_capacity(messages: usize) -> Self {
        Self { messages: Vec::with_capacity(messages), told: Vec::with_capacity(messages) }
    }

    fn push(&mut self, place: usize, (message, copy, told): (Message, Option<Box<Message>>, Told)) {
        self.told.push((place, told, copy.is_some()));
        self.messages.push(message);
        self.messages.extend(copy.map(|copy| *copy));
    }

    /// As [`Ready::send`] sends each, in their order.
    async fn send(self, salt: &Salt) -> impl Iterator<Item = (usize, Result<Sent, PublishError>)> {
        let mut sent = salt.send_all(self.messages).await.into_iter();
        let mut next = move || sent.next().unwrap_or(Err(TransportError::Closed));
        self.told.into_iter().map(move |(place, told, has_copy)| {
            let sent = match (next(), has_copy.then(&mut next).transpose()) {
                (Ok(confirmation), Ok(copy)) => Ok(Sent { told, confirmation, copy }),
                (Err(source), _) | (_, Err(source)) => Err(PublishError::Transport { topic: told.topic, source }),
            };
            (place, sent)
        })
    }
}

/// What there is to tell of a message that was sent.
#[derive(Debug)]
struct Told {
    topic: String,
    receipt: Receipt,
    allow_unrouted: bool,
    in_process: bool,
}

impl Ready {
    /// The message, and the same in the other task name where there is one.
    #[cfg(feature = "outbox")]
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        std::iter::once(&self.message).chain(self.copy.as_deref())
    }

    /// `payload` is an event of that type, checked.
    fn typed<E: Broadcast>(salt: &Salt, payload: &str, options: &Options) -> Result<Self, PublishError> {
        let contract = E::contract();
        salt.registration().ensure(contract);
        Self::new(
            salt,
            contract.topic(),
            Some(contract.version().as_str().to_owned()),
            contract.exchange(),
            payload,
            options,
        )
    }

    fn new(
        salt: &Salt,
        topic: &str,
        version: Option<String>,
        exchange: Option<&str>,
        payload: &str,
        options: &Options,
    ) -> Result<Self, PublishError> {
        let refused = |reason| PublishError::Option { topic: topic.to_owned(), reason };
        options.check().map_err(refused)?;
        unreadable(payload).map_or(Ok(()), |reason| Err(refused(reason.to_owned())))?;
        if let Some(limit) = salt.hooks().beyond() {
            return Err(PublishError::TooDeep { topic: topic.to_owned(), limit });
        }
        let mut headers = options.headers.clone();
        cascade::mark(&mut headers);
        let timestamp = Timestamp::now();
        let names = salt.task_name(topic).names();
        let message = wire::encode(wire::Outgoing {
            task: names.first().copied().unwrap_or_default(),
            id: uuid::Uuid::new_v4().to_string(),
            exchange: exchange.unwrap_or(salt.exchange()).to_owned(),
            routing_key: options.routing_key.clone().unwrap_or_else(|| topic.to_owned()),
            topic,
            payload,
            meta: options.meta(false, version),
            priority: options.priority.unwrap_or(DEFAULT_PRIORITY),
            expiration: options.expiration,
            reply_to: None,
            headers,
            origin: salt.service_name(),
            now: timestamp,
        });
        let copy = names.get(1).map(|name| Box::new(copy_of(&message, name, &uuid::Uuid::new_v4().to_string())));
        Ok(Self { topic: topic.to_owned(), message, copy, timestamp, allow_unrouted: options.allow_unrouted })
    }

    async fn send(self, salt: &Salt) -> Result<Sent, PublishError> {
        let (message, copy, told) = self.parted(salt);
        let failed = |source| PublishError::Transport { topic: told.topic.clone(), source };
        let confirmation = salt.send(message).await.map_err(failed)?;
        let copy = match copy {
            Some(copy) => Some(salt.send(*copy).await.map_err(failed)?),
            None => None,
        };
        Ok(Sent { told, confirmation, copy })
    }

    /// What is sent, and what there is to tell of it.
    fn parted(self, salt: &Salt) -> (Message, Option<Box<Message>>, Told) {
        let receipt = Receipt {
            message_id: self.message.properties.message_id.clone().unwrap_or_default(),
            timestamp: self.timestamp,
            exchange: self.message.exchange.clone(),
            routing_key: self.message.routing_key.clone(),
            confirmed: true,
            routed: true,
        };
        let (topic, allow_unrouted, in_process) = (self.topic, self.allow_unrouted, salt.is_in_process());
        (self.message, self.copy, Told { topic, receipt, allow_unrouted, in_process })
    }
}

impl Sent {
    async fn receipt(self) -> Result<Receipt, PublishError> {
        let confirmed = async {
            let first = self.confirmation.await?;
            let Some(copy) = self.copy else { return Ok(first) };
            // Bound for one is bound for both, unless the queue was made or deleted in between.
            let second = copy.await?;
            Ok(if first == Routing::Routed { second } else { first })
        };
        let Told { topic, receipt, allow_unrouted, in_process } = self.told;
        match confirmed.await {
            Ok(Routing::Routed) => {
                tracing::debug!(topic, message_id = receipt.message_id, "published");
                Ok(receipt)
            }
            Ok(Routing::Unroutable) if allow_unrouted => Ok(Receipt { routed: false, ..receipt }),
            Ok(Routing::Unroutable) => Err(PublishError::Unroutable {
                topic,
                exchange: receipt.exchange,
                routing_key: receipt.routing_key,
                in_process,
            }),
            Err(source) => Err(PublishError::Transport { topic, source }),
        }
    }
}
