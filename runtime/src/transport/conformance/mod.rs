//! What every transport does: one suite of cases, each on exchanges and queues of its own.
//!
//! For authors of further transports (feature `conformance`): [`transport_conformance!`](crate::transport_conformance)
//! makes a test of each case.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "a suite of tests: each name says what it asserts"
)]

mod delivery;
mod routing;
mod topology;

use std::{
    collections::BTreeSet,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

pub use self::{delivery::*, routing::*, topology::*};
use super::{
    Binding, Deliveries, Delivery, Message, Properties, QueueKind, QueueSpec, Routing, Transport, TransportError,
};

/// One `#[tokio::test]` for each case of the suite.
///
/// Takes the path of an `async fn` that makes a [`Scene`], awaits the case that it is given with it, and cleans up:
///
/// ```
/// use std::{future::Future, sync::Arc};
///
/// use celerysalt::transport::{Transport, conformance::Scene, memory::MemoryBroker};
///
/// async fn in_memory<F: Future<Output = ()> + Send + 'static>(case: impl FnOnce(Scene) -> F + Send + 'static) {
///     let broker = MemoryBroker::new();
///     case(Scene::new(move || {
///         let transport: Arc<dyn Transport> = Arc::new(broker.connect());
///         Box::pin(std::future::ready(transport))
///     }))
///     .await;
/// }
///
/// celerysalt::transport_conformance!(in_memory);
/// ```
#[macro_export]
macro_rules! transport_conformance {
    ($on_broker:path) => {
        $crate::transport_conformance! { $on_broker:
            patterns_match_as_amqp_says
            several_bindings_make_one_copy
            each_queue_gets_a_copy
            messages_of_a_sender_keep_their_order
            unroutable_messages_are_told_apart
            messages_sent_together_are_like_those_sent_alone
            the_default_exchange_routes_by_queue_name
            an_acked_message_is_gone
            a_requeued_message_comes_back_with_the_flag
            a_dropped_delivery_comes_back
            what_is_unsettled_comes_back_when_its_connection_is_gone
            no_consumer_holds_more_than_its_prefetch
            consumers_of_a_queue_share_it
            cancelling_gives_back_what_was_not_handed_out
            what_waits_can_be_taken_and_given_back
            taking_needs_a_queue
            acks_are_not_lost_by_closing
            closing_waits_for_what_was_sent
            the_stream_ends_when_its_connection_is_closed
            higher_priorities_come_first
            an_expired_message_goes_to_the_dead_letters
            properties_and_headers_survive
            bodies_of_every_size_survive
            replies_reach_who_asked
            declaring_again_changes_nothing
            another_kind_of_queue_is_refused
            another_dead_letter_queue_is_refused
            names_that_are_too_long_are_refused
            a_closed_transport_refuses
        }
    };
    ($on_broker:path: $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $on_broker($crate::transport::conformance::$case).await;
            }
        )*
    };
}

/// How long anything may take before a case fails. Long, for a loaded machine; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_mins(1);

/// The kinds that a case is run with when the kind should make no difference.
const KINDS: [QueueKind; 2] = [QueueKind::Quorum, QueueKind::ClassicWithPriority(10)];

/// Connects anew.
type Connect = dyn Fn() -> Pin<Box<dyn Future<Output = Arc<dyn Transport>> + Send>> + Send + Sync;

/// One case's part of a broker.
#[derive(Clone)]
pub struct Scene {
    connect: Arc<Connect>,
    names: Names,
}

/// What a case made on the broker, to be deleted after it.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<(BTreeSet<String>, BTreeSet<String>)>>);

impl Names {
    /// The queues.
    pub fn queues(&self) -> Vec<String> {
        self.0.lock().unwrap().0.iter().cloned().collect()
    }

    /// The exchanges.
    pub fn exchanges(&self) -> Vec<String> {
        self.0.lock().unwrap().1.iter().cloned().collect()
    }
}

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Scene {
    /// On the broker that `connect` makes connections to, each of its own.
    pub fn new(
        connect: impl Fn() -> Pin<Box<dyn Future<Output = Arc<dyn Transport>> + Send>> + Send + Sync + 'static,
    ) -> Self {
        Self { connect: Arc::new(connect), names: Names::default() }
    }

    /// What is to be deleted afterwards; complete only then.
    pub fn names(&self) -> Names {
        self.names.clone()
    }

    async fn connect(&self) -> Arc<dyn Transport> {
        within((self.connect)()).await
    }

    fn queue_name(&self) -> String {
        let name = format!("celerysalt.test.{}", uuid::Uuid::new_v4());
        self.names.0.lock().unwrap().0.insert(name.clone());
        name
    }

    fn exchange(&self) -> String {
        let name = format!("celerysalt.test.{}", uuid::Uuid::new_v4());
        self.names.0.lock().unwrap().1.insert(name.clone());
        name
    }

    /// A queue of a name of its own, bound nowhere.
    fn queue(&self, kind: QueueKind) -> QueueSpec {
        QueueSpec { name: self.queue_name(), kind, bindings: Vec::new(), dead_letter: None }
    }

    /// A queue of a name of its own, bound to `exchange`.
    fn bound(&self, kind: QueueKind, exchange: &str, patterns: &[&str]) -> QueueSpec {
        let bind = |pattern: &&str| Binding { exchange: exchange.to_owned(), pattern: pattern.parse().unwrap() };
        QueueSpec { bindings: patterns.iter().map(bind).collect(), ..self.queue(kind) }
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("not done within {PATIENCE:?}"))
}

/// A message; `body` is what tests tell it by.
fn message(exchange: &str, routing_key: &str, body: impl fmt::Display) -> Message {
    Message {
        exchange: exchange.to_owned(),
        routing_key: routing_key.to_owned(),
        properties: Properties { persistent: true, ..Properties::default() },
        body: body.to_string().into(),
        ..Message::default()
    }
}

/// A message to a queue by its name.
fn direct(queue: &QueueSpec, body: impl fmt::Display) -> Message {
    message("", &queue.name, body)
}

async fn send(transport: &Arc<dyn Transport>, message: Message) -> Routing {
    within(async { transport.send(message).await.unwrap().await }).await.unwrap()
}

/// Sends what must arrive.
async fn put(transport: &Arc<dyn Transport>, message: Message) {
    assert_eq!(send(transport, message).await, Routing::Routed);
}

async fn next(deliveries: &mut Deliveries) -> Delivery {
    within(deliveries.next()).await.unwrap().unwrap()
}

fn text(delivery: &Delivery) -> String {
    String::from_utf8(delivery.message.body.to_vec()).unwrap()
}

/// Takes, acks and reads one.
async fn take(deliveries: &mut Deliveries) -> String {
    let delivery = next(deliveries).await;
    let text = text(&delivery);
    delivery.ack().await.unwrap();
    text
}

/// Asserts that a queue holds nothing but what is still out: a message sent now is the next to come.
async fn assert_empty(transport: &Arc<dyn Transport>, queue: &QueueSpec) {
    let mut deliveries = transport.consume(queue, 1).await.unwrap();
    put(transport, direct(queue, "the only one")).await;
    assert_eq!(take(&mut deliveries).await, "the only one");
    deliveries.cancel().await;
}

fn is_refused<T: fmt::Debug>(result: Result<T, TransportError>, words: &[&str]) {
    match result {
        Err(error @ TransportError::Refused { .. }) => {
            for word in words {
                assert!(error.to_string().contains(word), "`{word}` in {error}");
            }
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}
