//! The task that waits for answers in Redis: one subscription a request, for as long as somebody waits for it.
//!
//! A caller is told that it is subscribed before its request goes out, so no answer can come unheard. Whatever came while
//! the connection was lost is fetched after it is back: answers are values too.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::redis::{
    Msg, RedisError,
    aio::{PubSubSink, PubSubStream},
};
use futures_util::StreamExt;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    ResultBackendError,
    redis::{LIMIT, PREFIX, Redis},
};
use crate::wire::result::{self, Reply};

/// The pause after the first failed attempt to connect, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// A connection on which nobody said anything for that long is asked whether it is still there.
const PING: Duration = Duration::from_secs(5);
/// How many orders are followed at a time.
const BATCH: usize = 100;

/// What callers want.
pub(super) enum Order {
    Watch { ids: Vec<String>, answers: mpsc::UnboundedSender<Reply>, subscribed: oneshot::Sender<()> },
    Forget { ids: Vec<String> },
}

/// Why there is no connection, for callers that waited in vain.
#[derive(Debug, Default)]
pub(super) struct State(Mutex<Option<ResultBackendError>>);

impl State {
    pub(super) fn failure(&self) -> Option<ResultBackendError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, failure: Option<ResultBackendError>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}

pub(super) struct Watcher {
    redis: Arc<Redis>,
    orders: mpsc::UnboundedReceiver<Order>,
    state: Arc<State>,
    /// Who waits, by the request's id.
    waiting: HashMap<String, mpsc::UnboundedSender<Reply>>,
    /// Those who were not told yet that they are subscribed, or can't be now.
    untold: Vec<oneshot::Sender<()>>,
    failures: u32,
}

/// Nobody can order anything any more.
struct Over;

impl Watcher {
    pub(super) fn new(redis: Arc<Redis>, orders: mpsc::UnboundedReceiver<Order>, state: Arc<State>) -> Self {
        Self { redis, orders, state, waiting: HashMap::new(), untold: Vec::new(), failures: 0 }
    }

    pub(super) async fn run(mut self) {
        loop {
            // Without anyone who waits there is no need for a connection.
            while self.waiting.is_empty() {
                let Some(order) = self.orders.recv().await else { return };
                drop(self.note(order));
            }
            match self.session().await {
                Ok(Over) => return,
                Err(failure) => {
                    if self.failures.is_power_of_two() || self.failures == 0 {
                        tracing::warn!(error = %failure, waiting = self.waiting.len(), "can't wait for answers in Redis");
                    }
                    self.failures = self.failures.saturating_add(1);
                    self.state.set(Some(failure));
                    if self.pause().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// What changes by an order: the ids to subscribe and to unsubscribe.
    fn note(&mut self, order: Order) -> (Vec<String>, Vec<String>) {
        match order {
            Order::Watch { ids, answers, subscribed } => {
                self.waiting.extend(ids.iter().map(|id| (id.clone(), answers.clone())));
                self.untold.push(subscribed);
                (ids, Vec::new())
            }
            Order::Forget { ids } => {
                for id in &ids {
                    self.waiting.remove(id);
                }
                (Vec::new(), ids)
            }
        }
    }

    fn tell(&mut self) {
        for caller in self.untold.drain(..) {
            // It may have given up.
            let _ = caller.send(());
        }
    }

    /// Waits before the next attempt, and keeps nobody waiting meanwhile.
    async fn pause(&mut self) -> Result<(), Over> {
        self.tell();
        let doubled = BACKOFF.0.saturating_mul(2_u32.saturating_pow(self.failures.saturating_sub(1)));
        let end = tokio::time::sleep(doubled.min(BACKOFF.1));
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return Ok(()),
                order = self.orders.recv() => {
                    drop(self.note(order.ok_or(Over)?));
                    self.tell();
                }
            }
        }
    }

    /// One connection's worth of listening.
    async fn session(&mut self) -> Result<Over, ResultBackendError> {
        let redis = Arc::clone(&self.redis);
        let connected = within(&redis, redis.client().get_async_pubsub()).await?;
        let (mut sink, mut stream) = connected.split();
        let ids: Vec<String> = self.waiting.keys().cloned().collect();
        subscribe(&redis, &mut sink, &ids).await?;
        // What came before, or while the connection was lost.
        for (id, document) in redis.documents(&ids).await? {
            self.answer(&id, &document);
        }
        if self.state.failure().is_some() {
            tracing::info!(backend = redis.shown(), "waiting for answers in Redis again");
        }
        self.failures = 0;
        self.state.set(None);
        self.tell();
        self.listen(&redis, &mut sink, &mut stream).await
    }

    async fn listen(
        &mut self,
        redis: &Redis,
        sink: &mut PubSubSink,
        stream: &mut PubSubStream,
    ) -> Result<Over, ResultBackendError> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                message = stream.next() => {
                    heard = Instant::now();
                    let message: Msg = message.ok_or_else(|| redis.unavailable("it closed the connection"))?;
                    if let Some(id) = message.get_channel_name().strip_prefix(PREFIX) {
                        self.answer(id, message.get_payload_bytes());
                    }
                }
                taken = self.orders.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        return Ok(Over);
                    }
                    let (mut new, mut old) = (Vec::new(), Vec::new());
                    for order in batch.drain(..) {
                        let (subscribe, forget) = self.note(order);
                        new.extend(subscribe);
                        old.extend(forget);
                    }
                    // Some wanted an answer and gave up within the batch.
                    new.retain(|id| self.waiting.contains_key(id));
                    subscribe(redis, sink, &new).await?;
                    self.tell();
                    unsubscribe(redis, sink, &old).await?;
                }
                () = tokio::time::sleep_until(heard + PING), if !self.waiting.is_empty() => {
                    within(redis, sink.ping::<()>()).await?;
                    heard = Instant::now();
                }
            }
        }
    }

    fn answer(&mut self, id: &str, document: &[u8]) {
        let Some(caller) = self.waiting.get(id) else { return };
        let reply = match result::read(document, Some(id)) {
            Ok((_, Reply::Wait)) => return,
            Ok((_, reply)) => reply,
            Err(error) => {
                tracing::warn!(%error, id, "a value in the result backend is no answer");
                Reply::Unreadable { reason: error.to_string(), body: String::from_utf8_lossy(document).into_owned() }
            }
        };
        // The caller may be gone: then the answer is too late.
        let _ = caller.send(reply);
    }
}

async fn within<T>(redis: &Redis, work: impl Future<Output = Result<T, RedisError>>) -> Result<T, ResultBackendError> {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(done) => done.map_err(|error| redis.error(&error)),
        Err(_) => Err(redis.unavailable(format!("it did not answer within {} s", LIMIT.as_secs()))),
    }
}

fn channels(ids: &[String]) -> Vec<String> {
    ids.iter().map(|id| format!("{PREFIX}{id}")).collect()
}

async fn subscribe(redis: &Redis, sink: &mut PubSubSink, ids: &[String]) -> Result<(), ResultBackendError> {
    if ids.is_empty() {
        return Ok(());
    }
    within(redis, sink.subscribe(channels(ids))).await
}

async fn unsubscribe(redis: &Redis, sink: &mut PubSubSink, ids: &[String]) -> Result<(), ResultBackendError> {
    if ids.is_empty() {
        return Ok(());
    }
    within(redis, sink.unsubscribe(channels(ids))).await
}
