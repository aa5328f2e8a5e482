//! Sending events of a store again.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    EventStore, Range,
    read::{Part, Stored},
};
use crate::{
    Salt,
    database::DatabaseError,
    service::headers,
    transport::{Confirmation, Message, Routing, Transport, TransportError},
};

/// How many events wait for their confirm at once.
const WINDOW: usize = 500;

/// Sends events of a store again, in their order: to the exchanges that they went to, or to one queue.
///
/// Each has the id, the payload and the headers that it had, and is marked: subscribers see `Meta::replay`. What deduplicates
/// by [`Meta::deduplication_id`](crate::Meta::deduplication_id), as the inbox does, lets each replay through once.
/// An expiration that an event had is not sent again: it is over.
///
/// ```no_run
/// # use celerysalt::{Salt, sqlx::PgPool, store::{EventStore, Range, Replay}};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (pool, salt) = (PgPool::connect("postgres://shop@127.0.0.1/shop").await?, Salt::connect_env("shop").await?);
/// let range = Range::all().topics("orders.#".parse()?).from("2026-11-01T00:00:00Z".parse()?);
/// let replayed = Replay::new(&EventStore::new(pool), &salt).to_queue("celerysalt.audit.events").run(range).await?;
/// println!("{} events sent again", replayed.sent);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is sent before it runs"]
pub struct Replay {
    store: EventStore,
    transport: Arc<dyn Transport>,
    id: String,
    to_queue: Option<String>,
    rate: Option<NonZeroU32>,
    progress: Box<dyn FnMut(Progress) + Send>,
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many events there are to send; 0 while it waits.
    pub total: u64,
    /// How many were confirmed.
    pub sent: u64,
    /// How many transactions it waits for, before it begins.
    pub waits_for: u64,
}

/// What a replay has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// Which replay it was: what `Meta::replay` says.
    pub id: String,
    /// Events that were confirmed and have reached a queue.
    pub sent: u64,
    /// Events for which there was no queue, by topic.
    pub unrouted: BTreeMap<String, u64>,
    /// The number of the last event.
    pub last: Option<i64>,
    /// What it ended before, by the database's clock: from there a next replay goes on.
    pub to: Timestamp,
}

/// Why a replay stopped, and how to go on.
#[derive(Debug, thiserror::Error)]
#[error("the replay {id} stopped after {sent} events: {reason}{}", go_on(*.last, *.to))]
#[non_exhaustive]
pub struct ReplayError {
    /// Which replay; under the same id what comes twice is known to have come before.
    pub id: String,
    /// Events that were confirmed.
    pub sent: u64,
    /// Up to this number all were confirmed: with `to` what [`Range::resume`] takes.
    pub last: Option<i64>,
    /// What it would have ended before.
    pub to: Timestamp,
    /// Why.
    #[source]
    pub reason: ReplayFailure,
}

fn go_on(last: Option<i64>, to: Timestamp) -> String {
    last.map_or_else(String::new, |last| format!("; go on under the same id behind number {last}, up to {to}"))
}

/// What stopped a replay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayFailure {
    /// The store could not be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The broker did not take an event.
    #[error(transparent)]
    Broker(#[from] TransportError),
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("id", &self.id).field("to_queue", &self.to_queue).finish_non_exhaustive()
    }
}

impl Replay {
    /// From a store to the broker of `salt`.
    pub fn new(store: &EventStore, salt: &Salt) -> Self {
        Self::with_transport(store, Arc::clone(salt.transport()))
    }

    /// The same to any transport.
    pub fn with_transport(store: &EventStore, transport: Arc<dyn Transport>) -> Self {
        Self {
            store: store.clone(),
            transport,
            id: uuid::Uuid::new_v4().to_string(),
            to_queue: None,
            rate: None,
            progress: Box::new(|_| {}),
        }
    }

    /// The id of a replay that stopped, to go on with it. A new one unless set.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Sends them to one queue, such as `celerysalt.audit.events`, instead of to every subscriber.
    pub fn to_queue(mut self, queue: impl Into<String>) -> Self {
        self.to_queue = Some(queue.into());
        self
    }

    /// How many events a second at most; as many as the broker takes unless set.
    pub fn rate(mut self, events_per_second: NonZeroU32) -> Self {
        self.rate = Some(events_per_second);
        self
    }

    /// Is told now and then how far it is.
    pub fn progress(mut self, told: impl FnMut(Progress) + Send + 'static) -> Self {
        self.progress = Box::new(told);
        self
    }

    /// How many events of each topic would be sent.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn count(mut self, range: &Range) -> Result<Vec<(String, u64)>, DatabaseError> {
        Ok(self.open(range).await?.counts)
    }

    /// Sends them, each once the broker has room for it, and returns when all are confirmed. Waits first until all
    /// transactions are over that may have appended to the range.
    ///
    /// # Errors
    /// [`ReplayError`], which says how to go on.
    pub async fn run(mut self, range: Range) -> Result<Replayed, ReplayError> {
        let mut done = Replayed { id: self.id.clone(), ..Replayed::default() };
        match self.send(&range, &mut done).await {
            Ok(()) => Ok(done),
            Err(reason) => Err(ReplayError { id: done.id, sent: done.sent, last: done.last, to: done.to, reason }),
        }
    }

    async fn open(&mut self, range: &Range) -> Result<Part, DatabaseError> {
        let progress = &mut self.progress;
        Part::open(&self.store.pool, range, |waits_for| progress(Progress { waits_for, ..Progress::default() })).await
    }

    async fn send(&mut self, range: &Range, done: &mut Replayed) -> Result<(), ReplayFailure> {
        let mut part = self.open(range).await?;
        done.to = part.to;
        let total = part.counts.iter().map(|(_, count)| count).sum();
        let mut in_flight: VecDeque<(i64, String, Confirmation)> = VecDeque::new();
        let start = tokio::time::Instant::now();
        let mut taken = 0_u32;
        loop {
            let page = part.page().await?;
            if page.is_empty() {
                break;
            }
            for Stored { seq, topic, message } in page {
                if in_flight.len() >= WINDOW
                    && let Some(oldest) = in_flight.pop_front()
                {
                    settle(oldest, self.to_queue.as_deref(), done).await?;
                }
                if let Some(rate) = self.rate {
                    tokio::time::sleep_until(start + Duration::from_secs(1) * taken / rate.get()).await;
                    taken = taken.saturating_add(1);
                }
                let sent = self.transport.send(self.again(message)).await;
                let confirmation = match sent {
                    Ok(confirmation) => confirmation,
                    Err(error) => {
                        // What is under way may still be confirmed.
                        while let Some(oldest) = in_flight.pop_front() {
                            settle(oldest, self.to_queue.as_deref(), done).await?;
                        }
                        return Err(error.into());
                    }
                };
                in_flight.push_back((seq, topic, confirmation));
                (self.progress)(Progress { total, sent: done.sent, waits_for: 0 });
            }
        }
        while let Some(oldest) = in_flight.pop_front() {
            settle(oldest, self.to_queue.as_deref(), done).await?;
            (self.progress)(Progress { total, sent: done.sent, waits_for: 0 });
        }
        Ok(())
    }

    /// The message as it is sent again.
    fn again(&self, mut message: Message) -> Message {
        message.properties.expiration = None;
        message.headers.insert("expires".to_owned(), Value::Null);
        message.headers.insert(headers::REPLAY.to_owned(), json!(self.id));
        if let Some(queue) = &self.to_queue {
            // As a service reads it that is given a message by the name of its queue.
            let exchange = std::mem::take(&mut message.exchange);
            let routing_key = std::mem::replace(&mut message.routing_key, queue.clone());
            message.headers.insert(headers::EXCHANGE.to_owned(), json!(exchange));
            message.headers.insert(headers::ROUTING_KEY.to_owned(), json!(routing_key));
            message.headers.insert(headers::TRIES.to_owned(), json!(0));
        }
        message
    }
}

/// Waits until an event is confirmed.
async fn settle(
    (seq, topic, confirmation): (i64, String, Confirmation),
    to_queue: Option<&str>,
    done: &mut Replayed,
) -> Result<(), ReplayFailure> {
    match (confirmation.await?, to_queue) {
        (Routing::Routed, _) => done.sent += 1,
        (_, Some(queue)) => {
            return Err(ReplayFailure::Broker(TransportError::Refused {
                broker: "the service's broker".to_owned(),
                what: format!("an event for queue `{queue}`"),
                reason: "there is no such queue; start its service once, or name another".to_owned(),
            }));
        }
        (_, None) => *done.unrouted.entry(topic).or_default() += 1,
    }
    done.last = Some(seq);
    Ok(())
}
