//! How messages get from one service to another.
//!
//! A [`Transport`] moves [`Message`]s, and knows nothing of events, contracts or Celery: it is handed bytes with
//! AMQP's properties and hands out [`Delivery`]s. Exchanges are topic exchanges, queues are bound with patterns,
//! a message is the broker's to keep from the confirm of its publishing to the ack of its delivery.
//! Every transport passes one suite, `conformance` (feature `conformance`).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use celerysalt_contract::TopicPattern;
use tokio::sync::{mpsc, oneshot};

#[cfg(feature = "amqp")]
pub mod amqp;
#[cfg(feature = "conformance")]
pub mod conformance;
pub(crate) mod headers;
pub mod memory;

pub use self::headers::Headers;

/// A message as a broker carries it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// The exchange; empty is the default exchange, which routes to the queue that `routing_key` names.
    pub exchange: String,
    /// What bindings are matched against.
    pub routing_key: String,
    /// AMQP's basic properties.
    pub properties: Properties,
    /// AMQP's header table. What JSON has no word for (byte strings, timestamps) is given as text.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

/// The basic properties of AMQP 0-9-1 that are in use here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Properties {
    /// MIME type of the body.
    pub content_type: Option<String>,
    /// Encoding of the body, `utf-8` for Celery.
    pub content_encoding: Option<String>,
    /// Whether the broker keeps the message on disk (`delivery_mode` 2).
    pub persistent: bool,
    /// 0 to 10 here; kept by queues that were declared with priorities.
    pub priority: Option<u8>,
    /// Ties a reply to its request.
    pub correlation_id: Option<String>,
    /// The queue that a reply goes to.
    pub reply_to: Option<String>,
    /// How long the message is worth delivering; whole milliseconds on the wire.
    pub expiration: Option<Duration>,
    /// Identifies the message; a resent message has the same.
    pub message_id: Option<String>,
    /// Seconds since 1970-01-01 UTC.
    pub timestamp: Option<u64>,
    /// The service that published.
    pub app_id: Option<String>,
}

/// A header that a transport adds to a message of which it could not read all: what it left out and why, as text.
/// A service dead-letters such a message.
pub const UNREADABLE: &str = "x-celerysalt-unreadable";

/// Moves messages. Object-safe: a service holds an `Arc<dyn Transport>`.
///
/// # Guarantees that every implementation gives
/// - A [`Confirmation`] that resolves to [`Routing::Routed`] means that each matching queue has the message.
/// - Messages sent one after the other by one caller reach each queue in that order.
/// - A delivery that is neither acked nor requeued comes back after its consumer is gone.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Takes a message for publishing, waiting while too many are under way.
    ///
    /// Resolves once the message has its place in the order; the [`Confirmation`] then tells what became of it, so that
    /// many can be in flight. Every message is `mandatory`.
    ///
    /// # Errors
    /// [`TransportError::Unavailable`] when the broker is away, [`TransportError::TooLarge`],
    /// [`TransportError::Closed`] after [`Transport::close`].
    async fn send(&self, message: Message) -> Result<Confirmation, TransportError>;

    /// Takes several messages for publishing, one after the other, as [`Transport::send`] takes each: as many outcomes, in
    /// their order. A transport may be faster with many than with one at a time.
    ///
    /// Once the broker is away, those that follow have the same outcome, and are not waited for.
    async fn send_all(&self, messages: Vec<Message>) -> Vec<Result<Confirmation, TransportError>> {
        let mut outcomes = Vec::with_capacity(messages.len());
        let mut gone = None;
        for message in messages {
            let outcome = match gone.clone() {
                Some(gone) => Err(gone),
                None => self.send(message).await,
            };
            gone = outcome.as_ref().err().filter(|error| error.is_of_all()).cloned();
            outcomes.push(outcome);
        }
        outcomes
    }

    /// Declares the queue with its bindings, and the exchanges that these name. Idempotent.
    ///
    /// # Errors
    /// [`TransportError::Refused`] when it exists with other arguments, saying which and what to do;
    /// [`TransportError::Unavailable`].
    async fn declare(&self, queue: &QueueSpec) -> Result<(), TransportError>;

    /// Declares the queue and starts taking its messages, at most `prefetch` unsettled ones at a time (at least 1).
    ///
    /// # Errors
    /// As [`Transport::declare`].
    async fn consume(&self, queue: &QueueSpec, prefetch: u16) -> Result<Deliveries, TransportError>;

    /// Takes up to `most` of the messages that wait in a queue, without waiting for more: for tools that look at a queue,
    /// not for services. The queue is not declared.
    ///
    /// All of them are this caller's until each is settled; to look and change nothing, requeue them. (A quorum queue
    /// counts that as a delivery.)
    ///
    /// # Errors
    /// [`TransportError::Refused`] when there is no such queue; [`TransportError::Unavailable`].
    async fn take(&self, queue: &str, most: usize) -> Result<Taken, TransportError>;

    /// An exclusive queue for the replies to this process's calls; its name is [`Deliveries::queue`]. Deliveries of it
    /// need no ack.
    ///
    /// # Errors
    /// [`TransportError::Unavailable`].
    async fn consume_replies(&self) -> Result<Deliveries, TransportError>;

    /// Waits for what was sent to be confirmed (or refused), then lets go of the broker. Sending fails afterwards.
    async fn close(&self);

    /// What kind of broker it is, as spans name it (`messaging.system`).
    fn system(&self) -> &'static str {
        "other"
    }

    /// Whether the broker is there, as far as is known without asking it; for health checks.
    fn is_connected(&self) -> bool {
        true
    }
}

/// What a queue must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSpec {
    /// Its name. One queue belongs to one service.
    pub name: String,
    /// How the broker keeps it.
    pub kind: QueueKind,
    /// What reaches it besides messages sent to it by name.
    pub bindings: Vec<Binding>,
    /// The queue that takes what the broker itself gives up on (delivery limit, expiry), by name.
    pub dead_letter: Option<String>,
}

/// How a broker keeps a queue. All are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueKind {
    /// Replicated, no priorities (RabbitMQ `x-queue-type: quorum`).
    Quorum,
    /// One node, with `x-max-priority`.
    ClassicWithPriority(u8),
}

/// A queue's binding to a topic exchange.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Binding {
    /// A durable topic exchange, declared when absent.
    pub exchange: String,
    /// The binding key.
    pub pattern: TopicPattern,
}

/// What the broker did with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Routing {
    /// Every matching queue has it; on disk where message and queue are durable.
    Routed,
    /// No queue is bound for its routing key, so the broker returned it.
    Unroutable,
}

/// Resolves when the broker has confirmed, returned or refused a message.
#[derive(Debug)]
pub struct Confirmation(oneshot::Receiver<Result<Routing, TransportError>>);

/// The side of a [`Confirmation`] that a transport holds.
#[derive(Debug)]
pub struct Confirmer {
    sender: oneshot::Sender<Result<Routing, TransportError>>,
    /// For how long it took; nobody asks without the metrics.
    #[cfg(feature = "metrics")]
    since: Instant,
}

impl Confirmation {
    /// A confirmation and what resolves it. A dropped [`Confirmer`] resolves to [`TransportError::Closed`].
    pub fn pending() -> (Confirmer, Self) {
        let (sender, receiver) = oneshot::channel();
        let confirmer = Confirmer {
            sender,
            #[cfg(feature = "metrics")]
            since: Instant::now(),
        };
        (confirmer, Self(receiver))
    }
}

impl Confirmer {
    /// Resolves the confirmation; nobody waiting is no error.
    pub fn resolve(self, outcome: Result<Routing, TransportError>) {
        #[cfg(feature = "metrics")]
        crate::telemetry::confirmed(self.since.elapsed(), &outcome);
        drop(self.sender.send(outcome));
    }
}

impl Future for Confirmation {
    type Output = Result<Routing, TransportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|received| received.unwrap_or(Err(TransportError::Closed)))
    }
}

/// The messages of one queue, as they come.
///
/// A transport that loses its broker reconnects and goes on by itself; the stream ends only after
/// [`Deliveries::cancel`] or [`Transport::close`], or with one `Err` that cannot mend itself.
#[derive(Debug)]
pub struct Deliveries {
    queue: String,
    receiver: mpsc::Receiver<Result<Delivery, TransportError>>,
    cancel: Option<oneshot::Sender<()>>,
}

impl Deliveries {
    /// Made by a transport: it sends to the other end of `receiver`, at most its prefetch of them, and stops taking from
    /// the broker when `cancel` resolves (with a value or because this was dropped).
    pub fn new(
        queue: String,
        receiver: mpsc::Receiver<Result<Delivery, TransportError>>,
        cancel: oneshot::Sender<()>,
    ) -> Self {
        Self { queue, receiver, cancel: Some(cancel) }
    }

    /// The queue's name.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// The next delivery; `None` when there will be no more.
    ///
    /// # Errors
    /// The [`TransportError`] that ended the stream.
    pub async fn next(&mut self) -> Option<Result<Delivery, TransportError>> {
        self.receiver.recv().await
    }

    /// Stops taking messages. What was taken and not yet handed out by [`Deliveries::next`] goes back to the queue; what
    /// was handed out can still be settled.
    pub async fn cancel(&mut self) {
        if let Some(cancel) = self.cancel.take() {
            // Refused when the transport has stopped already.
            let _ = cancel.send(());
        }
        self.receiver.close();
        while let Some(taken) = self.receiver.recv().await {
            if let Ok(delivery) = taken {
                // A failure here means that the broker has the message back already.
                drop(delivery.requeue().await);
            }
        }
    }
}

/// What [`Transport::take`] took.
#[derive(Debug)]
pub struct Taken {
    /// In the queue's order.
    pub deliveries: Vec<Delivery>,
    /// How many wait behind them.
    pub more: u64,
}

/// A message that is this consumer's until it is settled. Dropped unsettled, it goes back to its queue.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Whether it was delivered before, to anyone.
    pub redelivered: bool,
    taken: Instant,
    settle: Option<Box<dyn Settle>>,
}

/// What a transport does when a delivery is settled.
#[async_trait]
pub trait Settle: fmt::Debug + Send + Sync {
    /// Tells the broker. Resolves when the broker's connection has taken it.
    ///
    /// # Errors
    /// [`TransportError::Unavailable`] when the connection that delivered it is gone: the message will come again.
    async fn settle(self: Box<Self>, settlement: Settlement) -> Result<(), TransportError>;

    /// As [`Settle::settle`], for one that nobody waits for: a delivery that was handled, or one that was dropped. Must not
    /// block; what can't be settled comes again.
    fn settle_soon(self: Box<Self>, settlement: Settlement);
}

/// How a delivery ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Done with: the broker forgets it.
    Ack,
    /// Given back, to be delivered again.
    Requeue,
}

impl Delivery {
    /// Made by a transport.
    pub fn new(message: Message, redelivered: bool, settle: Box<dyn Settle>) -> Self {
        Self { message, redelivered, taken: Instant::now(), settle: Some(settle) }
    }

    /// How long it has been in this process.
    pub fn waited(&self) -> Duration {
        self.taken.elapsed()
    }

    /// Done with: the broker forgets it.
    ///
    /// # Errors
    /// As [`Settle::settle`].
    pub async fn ack(self) -> Result<(), TransportError> {
        self.settle(Settlement::Ack).await
    }

    /// As [`Delivery::ack`], without waiting for it: the transport tells the broker within milliseconds, of many at once.
    /// When it can't, the message comes again.
    pub fn ack_soon(mut self) {
        if let Some(settle) = self.settle.take() {
            settle.settle_soon(Settlement::Ack);
        }
    }

    /// Gives it back, to be delivered again.
    ///
    /// # Errors
    /// As [`Settle::settle`].
    pub async fn requeue(self) -> Result<(), TransportError> {
        self.settle(Settlement::Requeue).await
    }

    async fn settle(mut self, settlement: Settlement) -> Result<(), TransportError> {
        match self.settle.take() {
            Some(settle) => settle.settle(settlement).await,
            None => Ok(()),
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(settle) = self.settle.take() {
            settle.settle_soon(Settlement::Requeue);
        }
    }
}

/// Refuses names that AMQP's short strings can't carry.
fn check_names<'n>(
    broker: &str,
    names: impl IntoIterator<Item = (&'static str, &'n String)>,
) -> Result<(), TransportError> {
    match names.into_iter().find(|(_, name)| name.len() > 255) {
        None => Ok(()),
        Some((what, name)) => Err(TransportError::Refused {
            broker: broker.to_owned(),
            what: what.to_owned(),
            reason: format!("it has {} bytes, and AMQP carries at most 255", name.len()),
        }),
    }
}

/// Why a broker did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The broker can't be reached, or went away before it confirmed.
    #[error("the broker at {broker} is unavailable: {reason}")]
    Unavailable {
        /// Where, without a password.
        broker: String,
        /// What was tried and what came of it.
        reason: String,
    },
    /// The broker said no, and will say no again: a wrong password, a queue of other arguments.
    #[error("the broker at {broker} refused {what}: {reason}")]
    Refused {
        /// Where, without a password.
        broker: String,
        /// What was asked for.
        what: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// The broker is there and did not take this message (`basic.nack`); other messages may be taken.
    #[error("the broker at {broker} did not take {what}: {reason}")]
    NotTaken {
        /// Where, without a password.
        broker: String,
        /// Which message, by its routing key.
        what: String,
        /// What may be the matter.
        reason: String,
    },
    /// The body is larger than the broker takes.
    #[error("a message body of {size} bytes is larger than the {limit} bytes that this broker is given")]
    TooLarge {
        /// Of the body, in bytes.
        size: usize,
        /// In bytes.
        limit: usize,
    },
    /// The transport was closed.
    #[error("the transport is closed")]
    Closed,
    /// The URL is none of a broker's, or needs a feature that this build does not have.
    #[error("{} is no broker URL that this build can use: {reason}", crate::url::named(.url))]
    Url {
        /// The URL without a password.
        url: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}

impl TransportError {
    /// Whether it says of all messages, not of this one, that they can't be sent now.
    pub(crate) fn is_of_all(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Closed)
    }
}

/// The transport that a URL names: `memory:` or `memory:NAME` within this process, `amqp://` with the feature `amqp`,
/// `amqps://` with `tls` too. `service` names the connection at the broker.
///
/// # Errors
/// [`TransportError::Url`]; [`TransportError::Unavailable`] and [`TransportError::Refused`] from the broker.
#[cfg_attr(
    not(feature = "amqp"),
    expect(clippy::unused_async, reason = "only RabbitMQ is connected to over a network")
)]
pub async fn connect(url: &str, service: &str) -> Result<Arc<dyn Transport>, TransportError> {
    if let Some(name) = url.strip_prefix("memory:") {
        return Ok(Arc::new(memory::MemoryBroker::named(name).connect()));
    }
    let is_amqp = url.starts_with("amqp://") || url.starts_with("amqps://");
    #[cfg(feature = "amqp")]
    if is_amqp {
        let options = amqp::AmqpOptions::new().connection_name(service);
        return Ok(Arc::new(amqp::AmqpTransport::connect(url, options).await?));
    }
    #[cfg(not(feature = "amqp"))]
    let _ = service;
    let reason = if is_amqp {
        "this build has no RabbitMQ: enable the feature `amqp` of `celerysalt` (cargo run --features amqp)"
    } else {
        "expected `amqp://user:password@host:5672/vhost` or `memory:`"
    };
    Err(TransportError::Url { url: crate::url::redact_url(url), reason: reason.to_owned() })
}
