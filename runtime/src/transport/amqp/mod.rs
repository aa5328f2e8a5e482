//! RabbitMQ (AMQP 0-9-1), on [lapin].
//!
//! Two connections, because a broker that runs out of memory stops reading from those that publish, acks included:
//! one that publishes (a task that owns the channel) and one that consumes (a task and a channel per queue). Both come
//! back by themselves.
//!
//! # Logging
//! lapin logs a returned (unroutable) message at `WARN` with its headers, and connections at `ERROR` when they are lost;
//! `RUST_LOG=info,lapin::returned_messages=off` leaves the former out. No payload and no password gets into a log.

mod address;
mod confirms;
mod consumer;
mod convert;
mod dial;
mod guard;
pub mod inspect;
mod link;
mod numbered;
mod publisher;
mod publishing;
mod settling;
mod taking;
mod topology;

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::{Mutex, mpsc, watch},
    time::Instant,
};

use self::{address::Address, consumer::Source, link::Link, publisher::Publisher};
use super::{Binding, Confirmation, Deliveries, Message, QueueSpec, Taken, Transport, TransportError, check_names};

/// What "without end" comes to: a clock can't hold `Duration::MAX` from now.
const LONGEST_WAIT: Duration = Duration::from_hours(24 * 365);
/// RabbitMQ 3.10's `max_message_size`: a larger message closes the channel.
const LARGEST_MESSAGE: usize = 128 * 1024 * 1024;
/// How long [`Transport::close`] waits for confirms.
const CLOSE_PUBLISHING: Duration = Duration::from_secs(30);
/// How long [`Transport::close`] waits for acks to reach the broker.
const CLOSE_CONSUMING: Duration = Duration::from_secs(5);

/// How to connect.
///
/// ```
/// # use std::time::Duration;
/// use celerysalt::transport::amqp::AmqpOptions;
///
/// let options = AmqpOptions::new().connection_name("billing").unavailable_after(Duration::from_secs(3));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmqpOptions {
    connection_name: String,
    max_in_flight: usize,
    max_message_size: usize,
    connect_timeout: Duration,
    heartbeat: Duration,
    unavailable_after: Duration,
    ca_certificates: Option<String>,
}

impl AmqpOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            connection_name: "celerysalt".to_owned(),
            max_in_flight: 1_000,
            max_message_size: LARGEST_MESSAGE,
            connect_timeout: Duration::from_secs(5),
            heartbeat: Duration::from_secs(10),
            unavailable_after: Duration::from_secs(10),
            ca_certificates: None,
        }
    }

    /// What the broker's operators see: the service's name. Default `celerysalt`.
    #[must_use]
    pub fn connection_name(mut self, name: impl Into<String>) -> Self {
        self.connection_name = name.into();
        self
    }

    /// How many messages may be sent and not yet confirmed; more wait in [`Transport::send`]. Default 1,000.
    #[must_use]
    pub fn max_in_flight(mut self, messages: usize) -> Self {
        self.max_in_flight = messages.clamp(1, 1_000_000);
        self
    }

    /// The largest body that is sent, in bytes. Default, and at most, 128 MiB, which is what RabbitMQ takes: what a service
    /// publishes has a limit of its own, and a dead letter is kept whatever its size. What is received is not limited.
    #[must_use]
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes.min(LARGEST_MESSAGE);
        self
    }

    /// How long one attempt to connect takes at most. Default 5 s.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// A connection on which nothing came for two of these is taken for lost. Whole seconds; default 10 s. A
    /// `heartbeat` in the URL goes first.
    #[must_use]
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval;
        self
    }

    /// How long a message waits for a broker that is away, or that confirms nothing at all any more (it is out of memory or
    /// disk), before its [`Confirmation`] fails; and how long a call waits for room or for the connection. Default 10 s.
    #[must_use]
    pub fn unavailable_after(mut self, limit: Duration) -> Self {
        self.unavailable_after = limit.min(LONGEST_WAIT);
        self
    }

    /// Certificates (PEM) of authorities to trust besides the public ones, for `amqps://`.
    #[must_use]
    pub fn ca_certificates(mut self, pem: impl Into<String>) -> Self {
        self.ca_certificates = Some(pem.into());
        self
    }
}

impl Default for AmqpOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A connection to RabbitMQ: one handle of one service. Dropped without [`Transport::close`], it still waits in the
/// background for what was sent.
pub struct AmqpTransport {
    publisher: Publisher,
    consuming: Arc<Link>,
    unavailable_after: Duration,
    /// True once closing; dropped with this.
    closing: watch::Sender<bool>,
    /// Cloned into every task of a consumer, so that [`Transport::close`] can wait for them.
    tasks: Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>>,
}

impl AmqpTransport {
    /// Connects to `url`, of the form `amqp://user:password@host:port/vhost` (`amqps` with the feature `tls`). An empty
    /// vhost is `/`, as with Celery.
    ///
    /// # Errors
    /// [`TransportError::Url`]; [`TransportError::Unavailable`] when nobody answers within
    /// [`AmqpOptions::connect_timeout`]; [`TransportError::Refused`] for a wrong password, virtual host or certificate.
    /// Nothing goes on trying in the background after an error.
    pub async fn connect(url: &str, options: AmqpOptions) -> Result<Self, TransportError> {
        let address = Address::parse(url)?;
        let publishing = Link::new(address.clone(), &options, "publishes");
        let consuming = Arc::new(Link::new(address, &options, "consumes"));
        tokio::try_join!(publishing.connect(), consuming.connect())?;
        let unavailable_after = options.unavailable_after;
        let publisher = Publisher::start(publishing, options);
        Ok(Self {
            publisher,
            consuming,
            unavailable_after,
            closing: watch::Sender::new(false),
            tasks: Mutex::new(Some(mpsc::channel(1))),
        })
    }

    async fn start(&self, source: Source) -> Result<Deliveries, TransportError> {
        let tasks = self.tasks.lock().await.as_ref().map(|(sender, _)| sender.clone());
        let tasks = tasks.ok_or(TransportError::Closed)?;
        let work = consumer::start(source, Arc::clone(&self.consuming), self.closing.subscribe(), tasks);
        self.within(work).await
    }

    /// Copies of the messages that the broker routes by these bindings from now on, for people who look: every queue goes on
    /// getting its own. Nothing is declared but an exclusive queue, gone with this connection, which holds 10,000 messages at
    /// most and drops the oldest for newer ones.
    ///
    /// # Errors
    /// [`TransportError::Refused`] when one of the exchanges is not there, or may not be read;
    /// [`TransportError::Unavailable`].
    pub async fn listen(&self, bindings: &[Binding]) -> Result<Deliveries, TransportError> {
        let exchanges: BTreeSet<&String> = bindings.iter().map(|binding| &binding.exchange).collect();
        check_names(self.consuming.broker(), exchanges.iter().map(|exchange| ("exchange", *exchange)))?;
        self.within(async {
            for exchange in exchanges {
                if !inspect::has_exchange(&self.consuming, exchange).await? {
                    return Err(TransportError::Refused {
                        broker: self.consuming.broker().to_owned(),
                        what: format!("listening to exchange `{exchange}`"),
                        reason: "there is no such exchange; a service that starts makes it".to_owned(),
                    });
                }
            }
            Ok(())
        })
        .await?;
        let name = format!("celerysalt.tail.{}", uuid::Uuid::new_v4());
        self.start(Source::Passing { name, bindings: bindings.to_vec() }).await
    }

    /// Gives up when the broker is away for too long.
    async fn within<T>(&self, work: impl Future<Output = Result<T, TransportError>>) -> Result<T, TransportError> {
        let deadline = Instant::now() + self.unavailable_after;
        match tokio::time::timeout_at(deadline, work).await {
            Ok(result) => result,
            Err(_) => Err(self.consuming.away(self.unavailable_after)),
        }
    }
}

impl fmt::Debug for AmqpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpTransport").field("broker", &self.consuming.broker()).finish_non_exhaustive()
    }
}

/// Resolves once the transport is closed or dropped.
async fn closed(mut closing: watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

#[async_trait]
impl Transport for AmqpTransport {
    async fn send(&self, message: Message) -> Result<Confirmation, TransportError> {
        self.publisher.send(message).await
    }

    async fn send_all(&self, messages: Vec<Message>) -> Vec<Result<Confirmation, TransportError>> {
        self.publisher.send_all(messages).await
    }

    async fn declare(&self, queue: &QueueSpec) -> Result<(), TransportError> {
        check_names(self.consuming.broker(), [("queue", &queue.name)])?;
        self.within(async {
            loop {
                let channel = self.consuming.channel().await?;
                match topology::declare(&channel, queue).await {
                    Ok(()) => {
                        link::close_channel(&channel).await;
                        return Ok(());
                    }
                    Err(failure) if failure.is_final() => return Err(failure.explain(self.consuming.broker())),
                    Err(failure) => self.consuming.lost(&failure.error).await,
                }
            }
        })
        .await
    }

    async fn consume(&self, queue: &QueueSpec, prefetch: u16) -> Result<Deliveries, TransportError> {
        check_names(self.consuming.broker(), [("queue", &queue.name)])?;
        self.start(Source::Queue { spec: queue.clone(), prefetch: prefetch.max(1) }).await
    }

    async fn take(&self, queue: &str, most: usize) -> Result<Taken, TransportError> {
        check_names(self.consuming.broker(), [("queue", &queue.to_owned())])?;
        let tasks = self.tasks.lock().await.as_ref().map(|(sender, _)| sender.clone());
        let tasks = tasks.ok_or(TransportError::Closed)?;
        self.within(async {
            loop {
                let closing = self.closing.subscribe();
                if let Some(taken) = taking::take(&self.consuming, queue, most, closing, tasks.clone()).await? {
                    return Ok(taken);
                }
            }
        })
        .await
    }

    async fn consume_replies(&self) -> Result<Deliveries, TransportError> {
        let name = format!("celerysalt.reply.{}", uuid::Uuid::new_v4());
        self.start(Source::Replies { name }).await
    }

    async fn close(&self) {
        let mut tasks = self.tasks.lock().await;
        self.publisher.close(CLOSE_PUBLISHING).await;
        self.closing.send_replace(true);
        if let Some((sender, mut receiver)) = tasks.take() {
            drop(sender);
            // Nothing is ever sent: this ends when the last task is gone.
            let _ = tokio::time::timeout(CLOSE_CONSUMING, receiver.recv()).await;
        }
        self.consuming.close().await;
    }

    fn system(&self) -> &'static str {
        "rabbitmq"
    }

    fn is_connected(&self) -> bool {
        self.publisher.is_connected() && self.consuming.is_connected()
    }
}
