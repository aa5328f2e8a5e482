//! The in-process broker: RabbitMQ's semantics without RabbitMQ, for tests and for services that are one process.
//!
//! ```
//! use celerysalt::transport::{memory::MemoryBroker, Message, Routing, Transport};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = MemoryBroker::new();
//! let transport = broker.connect();
//! let message = Message { routing_key: "nobody.listens".into(), exchange: "tchu_events".into(), ..Message::default() };
//! assert_eq!(transport.send(message).await?.await?, Routing::Unroutable);
//! # Ok(())
//! # }
//! ```

mod broker;
mod queue;
mod state;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use async_trait::async_trait;

use self::broker::Shared;
use super::{Confirmation, Deliveries, Message, QueueSpec, Taken, Transport, TransportError, check_names};

/// How much a broker holds unless told otherwise: 256 MiB.
const DEFAULT_CAPACITY: u32 = 256 * 1024 * 1024;

/// The brokers that URLs name. A broker lives as long as a handle of it does.
static NAMED: LazyLock<Mutex<HashMap<String, Weak<Shared>>>> = LazyLock::new(Mutex::default);

/// A broker inside this process. Clones are the same broker; it lives as long as one of them or a connection does.
///
/// It holds a bounded amount of messages, waiting or unsettled. When it is full, [`Transport::send`] waits for acks for
/// 10 s and then fails with [`TransportError::Unavailable`].
#[derive(Clone)]
pub struct MemoryBroker(Arc<Shared>);

impl MemoryBroker {
    /// A broker of its own, which nothing else can reach. Holds 256 MiB.
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }

    /// As [`MemoryBroker::new`], holding at most `bytes` of messages, waiting or unsettled.
    pub fn with_capacity(bytes: u32) -> Self {
        Self(Shared::new("memory:".to_owned(), bytes))
    }

    /// The broker of this name in this process, as the URLs `memory:` (an empty name) and `memory:NAME` mean it.
    pub fn named(name: &str) -> Self {
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = named.get(name).and_then(Weak::upgrade) {
            return Self(shared);
        }
        named.retain(|_, broker| broker.strong_count() > 0);
        let shared = Shared::new(format!("memory:{name}"), DEFAULT_CAPACITY);
        named.insert(name.to_owned(), Arc::downgrade(&shared));
        Self(shared)
    }

    /// A queue of these that is not empty, with the number of its messages.
    #[cfg(feature = "testing")]
    pub(crate) fn busy(&self, of: impl Fn(&str) -> bool) -> Option<(String, usize)> {
        self.0.busy(of)
    }

    /// Waits until none of these queues has a message.
    #[cfg(feature = "testing")]
    pub(crate) async fn settled(&self, of: impl Fn(&str) -> bool) {
        self.0.settled(of).await;
    }

    /// Has the next acks of messages with this routing key taken as if their connection had been lost.
    #[cfg(feature = "testing")]
    pub(crate) fn redeliver(&self, routing_key: String, times: u32) {
        self.0.redeliver(routing_key, times);
    }

    /// A connection of its own: closing it, or dropping it, leaves other connections alone.
    pub fn connect(&self) -> MemoryTransport {
        MemoryTransport { connection: self.0.connect(), broker: Arc::clone(&self.0) }
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryBroker").field(&self.0.name).finish()
    }
}

/// A connection to a [`MemoryBroker`]. When it is closed or dropped, its consumers end and what they had unsettled goes
/// back to its queues. [`Transport::consume`] needs a tokio runtime.
pub struct MemoryTransport {
    broker: Arc<Shared>,
    connection: u64,
}

impl MemoryTransport {
    fn open(&self) -> Result<(), TransportError> {
        if self.broker.is_open(self.connection) { Ok(()) } else { Err(TransportError::Closed) }
    }
}

impl fmt::Debug for MemoryTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTransport").field("broker", &self.broker.name).finish_non_exhaustive()
    }
}

impl Drop for MemoryTransport {
    fn drop(&mut self) {
        self.broker.disconnect(self.connection);
    }
}

#[async_trait]
impl Transport for MemoryTransport {
    async fn send(&self, message: Message) -> Result<Confirmation, TransportError> {
        self.open()?;
        check_names(&self.broker.name, [("exchange", &message.exchange), ("routing key", &message.routing_key)])?;
        let routing = self.broker.publish(self.connection, message).await?;
        let (confirmer, confirmation) = Confirmation::pending();
        confirmer.resolve(Ok(routing));
        Ok(confirmation)
    }

    async fn declare(&self, queue: &QueueSpec) -> Result<(), TransportError> {
        check_names(&self.broker.name, [("queue", &queue.name)])?;
        self.broker.declare(self.connection, queue)
    }

    async fn consume(&self, queue: &QueueSpec, prefetch: u16) -> Result<Deliveries, TransportError> {
        check_names(&self.broker.name, [("queue", &queue.name)])?;
        self.broker.consume(self.connection, queue, prefetch)
    }

    async fn take(&self, queue: &str, most: usize) -> Result<Taken, TransportError> {
        self.broker.take(self.connection, queue, most)
    }

    async fn consume_replies(&self) -> Result<Deliveries, TransportError> {
        self.broker.consume_replies(self.connection)
    }

    fn system(&self) -> &'static str {
        "memory"
    }

    async fn close(&self) {
        self.broker.disconnect(self.connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{QueueKind, Routing};

    fn to(queue: &str) -> Message {
        Message { routing_key: queue.to_owned(), body: vec![b'x'; 600].into(), ..Message::default() }
    }

    fn spec(name: &str) -> QueueSpec {
        QueueSpec { name: name.to_owned(), kind: QueueKind::Quorum, bindings: vec![], dead_letter: None }
    }

    #[tokio::test]
    async fn a_named_broker_lives_as_long_as_a_handle() {
        let first = MemoryBroker::named("lives").connect();
        first.declare(&spec("q")).await.unwrap();
        let second = MemoryBroker::named("lives").connect();
        drop(first);
        assert_eq!(second.send(to("q")).await.unwrap().await, Ok(Routing::Routed));
        drop(second);
        let third = MemoryBroker::named("lives").connect();
        assert_eq!(third.send(to("q")).await.unwrap().await, Ok(Routing::Unroutable));
        let other = MemoryBroker::named("other").connect();
        third.declare(&spec("q")).await.unwrap();
        assert_eq!(other.send(to("q")).await.unwrap().await, Ok(Routing::Unroutable));
    }

    #[tokio::test]
    async fn closing_one_connection_leaves_the_others() {
        let broker = MemoryBroker::new();
        let (one, two) = (broker.connect(), broker.connect());
        let mut deliveries = two.consume(&spec("q"), 1).await.unwrap();
        one.send(to("q")).await.unwrap();
        one.close().await;
        assert_eq!(one.send(to("q")).await.unwrap_err(), TransportError::Closed);
        assert_eq!(one.declare(&spec("q")).await, Err(TransportError::Closed));
        assert!(one.consume(&spec("q"), 1).await.is_err());
        assert!(one.consume_replies().await.is_err());
        deliveries.next().await.unwrap().unwrap().ack().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_broker_makes_senders_wait_for_acks() {
        let broker = MemoryBroker::with_capacity(2_000);
        let transport = broker.connect();
        let mut deliveries = transport.consume(&spec("q"), 10).await.unwrap();
        transport.send(to("q")).await.unwrap();
        transport.send(to("q")).await.unwrap();
        let full = transport.send(to("q")).await.unwrap_err();
        assert!(matches!(full, TransportError::Unavailable { .. }), "{full}");

        let delivery = deliveries.next().await.unwrap().unwrap();
        let waiting = transport.send(to("q"));
        let (sent, acked) = tokio::join!(waiting, delivery.ack());
        assert_eq!(acked, Ok(()));
        assert_eq!(sent.unwrap().await, Ok(Routing::Routed));

        let huge = Message { body: vec![0; 2_000].into(), ..to("q") };
        assert!(matches!(transport.send(huge).await.unwrap_err(), TransportError::TooLarge { .. }));
    }

    #[tokio::test]
    async fn settling_after_the_connection_closed_is_told() {
        let broker = MemoryBroker::new();
        let (one, two) = (broker.connect(), broker.connect());
        let mut deliveries = one.consume(&spec("q"), 1).await.unwrap();
        two.send(to("q")).await.unwrap();
        let delivery = deliveries.next().await.unwrap().unwrap();
        one.close().await;
        assert!(deliveries.next().await.is_none());
        assert!(matches!(delivery.ack().await, Err(TransportError::Unavailable { .. })));
        let again = two.consume(&spec("q"), 1).await.unwrap().next().await.unwrap().unwrap();
        assert!(again.redelivered);
    }

    #[test]
    fn messages_expire_also_after_the_runtime_that_took_them_is_gone() {
        let broker = MemoryBroker::new();
        let connection = broker.connect();
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let dying = QueueSpec { dead_letter: Some("dead".into()), ..spec("q") };
        runtime().block_on(async {
            connection.declare(&spec("dead")).await.unwrap();
            connection.declare(&dying).await.unwrap();
            let mut message = to("q");
            message.properties.expiration = Some(std::time::Duration::from_millis(20));
            connection.send(message).await.unwrap();
        });
        runtime().block_on(async {
            let mut message = to("q");
            message.properties.expiration = Some(std::time::Duration::from_millis(20));
            connection.send(message).await.unwrap();
            let mut dead = connection.consume(&spec("dead"), 10).await.unwrap();
            for _ in 0..2 {
                let delivery = dead.next().await.unwrap().unwrap();
                assert_eq!(delivery.message.headers["x-first-death-reason"], "expired");
                assert_eq!(delivery.message.headers["x-first-death-queue"], "q");
                delivery.ack().await.unwrap();
            }
        });
    }

    #[test]
    fn deliveries_come_back_when_their_runtime_ends_while_messages_expire() {
        let broker = MemoryBroker::new();
        let connection = broker.connect();
        for _ in 0..50 {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
            runtime.block_on(async {
                let mut deliveries = connection.consume(&spec("q"), 20).await.unwrap();
                for _ in 0..10 {
                    let mut message = to("q");
                    message.properties.expiration = Some(std::time::Duration::from_mins(1));
                    connection.send(message).await.unwrap();
                    let delivery = deliveries.next().await.unwrap().unwrap();
                    tokio::spawn(async move {
                        let _delivery = delivery;
                        std::future::pending::<()>().await;
                    });
                }
            });
            // Whichever of its tasks goes first.
            drop(runtime);
        }
    }

    #[cfg(feature = "conformance")]
    mod conformance {
        use std::sync::Arc;

        use super::*;
        use crate::transport::conformance::Scene;

        async fn in_memory<F: Future<Output = ()> + Send + 'static>(case: impl FnOnce(Scene) -> F + Send + 'static) {
            let broker = MemoryBroker::new();
            case(Scene::new(move || {
                let transport: Arc<dyn Transport> = Arc::new(broker.connect());
                Box::pin(std::future::ready(transport))
            }))
            .await;
        }

        crate::transport_conformance!(in_memory);
    }
}
