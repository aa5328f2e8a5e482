//! Calling: a request goes out, one reply comes back or the time is up.
//!
//! `request.call(&salt)` → validate → envelope with `reply_to` → transport → the reply queue of this process, or the result
//! backend → by the request's id to the one who waits → response or declared error.

use std::{
    collections::HashMap,
    fmt,
    future::IntoFuture,
    ops::Deref,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use celerysalt_contract::Version;
use jiff::Timestamp;
use serde_json::Value;
use tokio::{sync::mpsc, task::AbortHandle, time::Instant};

use crate::{
    Salt,
    answers::Kept,
    cascade,
    error::{CallError, IN_PROCESS},
    event::{DeclaredError, EventContract, Rpc},
    invalid::{Invalid, Part},
    json::{self, Json},
    publish::{Options, Sending, common_options},
    results::ResultBackend,
    telemetry::{self, calling},
    transport::{Deliveries, Routing, TransportError},
    wire::{
        self,
        celery::{copy_of, unreadable},
        result::Reply as WireReply,
    },
};

/// The priority of a request that names none: celery-salt lets calls overtake bulk events.
const DEFAULT_PRIORITY: u8 = 9;
/// How long a call waits when it does not say.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A request about to be made: add options, then `.await` it for the [`Reply`].
///
/// # Errors
/// [`CallError`]; see its variants.
#[must_use = "nothing is called before it is awaited"]
#[derive(Debug)]
pub struct Call<'a, R> {
    request: &'a R,
    salt: &'a Salt,
    timeout: Duration,
    cached: Option<(String, Duration)>,
    options: Options,
}

/// What a service answered: derefs to the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply<T> {
    response: T,
    message_id: String,
    is_cached: bool,
}

impl<T> Reply<T> {
    pub(crate) fn new(response: T, message_id: String) -> Self {
        Self { response, message_id, is_cached: false }
    }

    /// The response.
    pub fn into_inner(self) -> T {
        self.response
    }

    /// Whether it was kept from an earlier call, see [`Call::cached`].
    pub fn is_cached(&self) -> bool {
        self.is_cached
    }

    /// The id of the request that this answers.
    pub fn message_id(&self) -> &str {
        &self.message_id
    }
}

impl<T> Deref for Reply<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.response
    }
}

impl<'a, R: Rpc> Call<'a, R> {
    pub(crate) fn new(request: &'a R, salt: &'a Salt) -> Self {
        Self { request, salt, timeout: DEFAULT_TIMEOUT, cached: None, options: Options::default() }
    }

    /// How long to wait for the reply, 30 seconds unless set. The request expires on the broker after that time too.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Takes the answer that an earlier call with this key has kept, unless the time that it gave it is over; else asks, and
    /// keeps the answer for `ttl`. Only responses are kept, no errors. [`Reply::is_cached`] tells which it is.
    ///
    /// The key tells apart what has different answers, among the requests of one type: `format!("risk_info:{id}")`. A
    /// handle and its clones keep 1,024 answers, in this process; of calls that are under way at the same time, each asks.
    pub fn cached(mut self, key: impl Into<String>, ttl: Duration) -> Self {
        self.cached = Some((key.into(), ttl));
        self
    }

    common_options!();

    async fn run(self) -> Result<Reply<R::Response>, CallError<R::Error>> {
        let contract = R::contract();
        let payload = self.request.encode()?;
        let cached = self.cached.as_ref().map(|(key, ttl)| (format!("{contract} {key}"), *ttl));
        let kept = cached.as_ref().and_then(|(key, _)| self.salt.answers().get(key));
        if let Some(Kept { response, message_id, .. }) = kept {
            return Ok(Reply { response: contract.decode(Part::Response, &response)?, message_id, is_cached: true });
        }
        let request = Request {
            salt: self.salt,
            topic: contract.topic(),
            version: contract.version(),
            exchange: contract.exchange(),
            payload: &payload,
            timeout: self.timeout,
        };
        let options = request.options(&self.options).await?;
        self.salt.registration().ensure(contract);
        let (id, reply) = request.ask(options).await?;
        let value = match (&cached, &reply) {
            (Some(_), WireReply::Value(value)) => Some(value.clone()),
            _ => None,
        };
        let response = answer(contract.topic(), contract, reply, self.timeout)?;
        if let Some(((key, ttl), value)) = cached.zip(value) {
            self.salt.answers().put(key, value, id.clone(), ttl);
        }
        Ok(Reply::new(response, id))
    }
}

/// A request that its contract allows, on its way out.
pub(crate) struct Request<'a> {
    pub(crate) salt: &'a Salt,
    pub(crate) topic: &'a str,
    pub(crate) version: &'a Version,
    /// When it is not the service's own.
    pub(crate) exchange: Option<&'a str>,
    /// JSON text.
    pub(crate) payload: &'a str,
    pub(crate) timeout: Duration,
}

impl Request<'_> {
    /// The options that it is sent with, once hooks have been asked and all is checked.
    ///
    /// # Errors
    /// What speaks against sending it.
    pub(crate) async fn options<E: DeclaredError>(&self, given: &Options) -> Result<Options, CallError<E>> {
        let (topic, hooks) = (self.topic, self.salt.hooks());
        let asked = hooks.ask(topic, Some(self.version), self.payload, given, true).await;
        let mut options = asked.map_err(|withheld| withheld.calling(topic))?.into_owned();
        options.expiration = Some(self.timeout);
        let refused = |reason| CallError::Option { topic: topic.to_owned(), reason };
        options.check().map_err(refused)?;
        unreadable(self.payload).map_or(Ok(()), |reason| Err(refused(reason.to_owned())))?;
        if let Some(limit) = hooks.beyond() {
            return Err(CallError::TooDeep { topic: topic.to_owned(), limit });
        }
        cascade::mark(&mut options.headers);
        Ok(options)
    }

    /// Sends it and waits for what comes back: its id, and the reply.
    pub(crate) async fn ask<E: DeclaredError>(&self, options: Options) -> Result<(String, WireReply), CallError<E>> {
        let topic = || self.topic.to_owned();
        let deadline = Instant::now() + self.timeout;
        let results = self.salt.results();
        // Where an answer may wait that can't be reached, the time alone does not say what is wrong.
        let timed_out = || match results.and_then(ResultBackend::failure) {
            Some(source) => CallError::ResultBackend { topic: topic(), timeout: self.timeout, source },
            None => CallError::Timeout { topic: topic(), timeout: self.timeout },
        };
        let broken = |source| CallError::Transport { topic: topic(), source };

        let replies = tokio::time::timeout_at(deadline, self.salt.replies()).await;
        let replies = replies.map_err(|_| timed_out())?.map_err(broken)?;
        let names = self.salt.task_name(self.topic).names();
        let ids: Vec<String> = names.iter().map(|_| uuid::Uuid::new_v4().to_string()).collect();
        let id = ids.first().cloned().unwrap_or_default();
        let (answers, mut answered) = mpsc::unbounded_channel();
        let _expected = replies.wait_for(&ids, &answers);
        let _watching = match results {
            Some(results) => {
                let watching = tokio::time::timeout_at(deadline, results.watch(&ids, answers.clone())).await;
                Some(watching.map_err(|_| timed_out())?)
            }
            None => None,
        };
        // From here on it ends with the last place where an answer can come.
        drop(answers);
        // The request does not outlive its caller, however long the reply queue took to open.
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let message = wire::encode(wire::Outgoing {
            task: names.first().copied().unwrap_or_default(),
            id: id.clone(),
            exchange: self.exchange.unwrap_or(self.salt.exchange()).to_owned(),
            routing_key: options.routing_key.clone().unwrap_or_else(topic),
            topic: self.topic,
            payload: self.payload,
            meta: options.meta(true, Some(self.version.to_string())),
            priority: options.priority.unwrap_or(DEFAULT_PRIORITY),
            expiration: Some(left),
            reply_to: Some(replies.address().to_owned()),
            headers: options.headers.clone(),
            origin: self.salt.service_name(),
            now: Timestamp::now(),
        });
        let copy = names.get(1).zip(ids.get(1)).map(|(name, id)| copy_of(&message, name, id));
        let sent = async {
            let first = self.salt.send(message).await?;
            let second = match copy {
                Some(copy) => Some(self.salt.send(copy).await?),
                None => None,
            };
            let routing = first.await?;
            if let Some(second) = second {
                second.await?;
            }
            Ok(routing)
        };
        // The broker confirms a request when it is on disk, or was answered and acked: the answer does not wait for that.
        let failed = async {
            match sent.await {
                Ok(Routing::Routed) => std::future::pending().await,
                Ok(Routing::Unroutable) => {
                    let mend = if self.salt.is_in_process() { IN_PROCESS } else { "start the service that serves it" };
                    CallError::NoHandler { topic: topic(), reason: format!("no queue is bound for it; {mend}") }
                }
                Err(source) => broken(source),
            }
        };
        let reply = tokio::time::timeout_at(deadline, async {
            tokio::select! {
                biased;
                error = failed => Err(error),
                reply = answered.recv() => reply.ok_or_else(|| broken(TransportError::Closed)),
            }
        });
        match reply.await.map_err(|_| timed_out())?? {
            WireReply::Wait => Err(timed_out()),
            reply => Ok((id, reply)),
        }
    }
}

/// What judges a reply: the contract of a generated type, or one that was looked up.
pub(crate) trait Judge {
    /// A value that the schema of this part allows.
    fn read<T: Json>(&self, part: Part, text: &str) -> Result<T, Invalid>;

    /// A reply that is none.
    fn no_reply(&self, expected: String) -> Invalid;
}

impl Judge for EventContract {
    fn read<T: Json>(&self, part: Part, text: &str) -> Result<T, Invalid> {
        self.decode(part, text)
    }

    fn no_reply(&self, expected: String) -> Invalid {
        self.broken(Part::Response, "type", expected)
    }
}

/// What a reply comes to.
pub(crate) fn answer<T: Json, E: DeclaredError>(
    topic: &str,
    judge: &impl Judge,
    reply: WireReply,
    timeout: Duration,
) -> Result<T, CallError<E>> {
    let topic = topic.to_owned();
    match reply {
        WireReply::Value(value) => read(judge, &value),
        WireReply::NoHandler(reason) => Err(CallError::NoHandler { topic, reason }),
        WireReply::Failed(message) => Err(CallError::HandlerFailed { topic, message }),
        WireReply::TaskFailed { kind, message } => Err(CallError::TaskFailed { topic, kind, message }),
        WireReply::Unreadable { reason, body } => Err(CallError::InvalidReply {
            invalid: judge.no_reply(format!("a Celery result document: {reason}")),
            raw: Box::new(Value::String(body)),
        }),
        WireReply::Wait => Err(CallError::Timeout { topic, timeout }),
    }
}

/// A response when it validates as one; else a declared error when it has `error_code`; else an invalid reply.
fn read<T: Json, E: DeclaredError>(judge: &impl Judge, text: &str) -> Result<T, CallError<E>> {
    let as_response = match judge.read(Part::Response, text) {
        Ok(response) => return Ok(response),
        Err(invalid) => invalid,
    };
    let value: Value = json::from_text(text).unwrap_or_default();
    let invalid = if value.get("error_code").is_some() {
        match judge.read(Part::Error, &declared(value.clone()).to_string()) {
            Ok(error) => return Err(CallError::Declared(error)),
            Err(invalid) => invalid,
        }
    } else {
        as_response
    };
    tracing::warn!(%invalid, "a reply is neither a response nor a declared error of the contract");
    Err(CallError::InvalidReply { invalid, raw: Box::new(value) })
}

/// tchu-tchu's declared errors as celery-salt writes them: `{"success": false, "error_details"}` becomes `details`.
fn declared(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value
        && fields.get("success") == Some(&Value::Bool(false))
    {
        fields.remove("success");
        if let Some(details) = fields.remove("error_details") {
            fields.entry("details").or_insert(details);
        }
    }
    value
}

impl<'a, R: Rpc> IntoFuture for Call<'a, R> {
    type Output = Result<Reply<R::Response>, CallError<R::Error>>;
    type IntoFuture = Sending<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(calling(self.salt, R::contract(), self.run()))
    }
}

/// Hands each reply to the call that waits for it. One a service handle.
pub(crate) struct Replies {
    address: String,
    waiting: Arc<Waiting>,
    reader: AbortHandle,
}

/// Replies that came when nobody waited for them any more.
pub(crate) type LateReplies = Arc<AtomicU64>;

/// Who waits, by the request's id; `None` once no more replies can come.
type Waiting = Mutex<Option<HashMap<String, mpsc::UnboundedSender<WireReply>>>>;

/// A call that waits; forgotten when dropped.
struct Expected<'a> {
    ids: &'a [String],
    waiting: &'a Waiting,
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Replies {
    pub(crate) async fn open(salt: &Salt) -> Result<Self, TransportError> {
        let deliveries = salt.transport().consume_replies().await?;
        let address = deliveries.queue().to_owned();
        let waiting = Arc::new(Waiting::new(Some(HashMap::new())));
        let late = (Arc::clone(salt.late_replies_counter()), Arc::clone(salt.labels()));
        let reader = tokio::spawn(read_replies(deliveries, Arc::clone(&waiting), late)).abort_handle();
        Ok(Self { address, waiting, reader })
    }

    /// Whether replies still come; else a call needs another queue for its own.
    pub(crate) fn is_open(&self) -> bool {
        lock(&self.waiting).is_some()
    }

    fn address(&self) -> &str {
        &self.address
    }

    /// The answers to these requests go to `answers` from now on.
    fn wait_for<'a>(&'a self, ids: &'a [String], answers: &mpsc::UnboundedSender<WireReply>) -> Expected<'a> {
        if let Some(waiting) = &mut *lock(&self.waiting) {
            waiting.extend(ids.iter().map(|id| (id.clone(), answers.clone())));
        }
        Expected { ids, waiting: &self.waiting }
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        for id in self.ids {
            take(self.waiting, id);
        }
    }
}

fn lock(waiting: &Waiting) -> std::sync::MutexGuard<'_, Option<HashMap<String, mpsc::UnboundedSender<WireReply>>>> {
    // The map is whole after each statement, so a panic elsewhere leaves it usable.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take(waiting: &Waiting, id: &str) -> Option<mpsc::UnboundedSender<WireReply>> {
    lock(waiting).as_mut()?.remove(id)
}

async fn read_replies(
    mut deliveries: Deliveries,
    waiting: Arc<Waiting>,
    (late, labels): (LateReplies, Arc<telemetry::Labels>),
) {
    while let Some(delivery) = deliveries.next().await {
        let delivery = match delivery {
            Ok(delivery) => delivery,
            Err(error) => {
                tracing::error!(%error, "the reply queue is lost; calls in flight will not be answered");
                break;
            }
        };
        match wire::result::decode(&delivery.message) {
            Ok((_, WireReply::Wait)) => {}
            Ok((id, reply)) => {
                if let Some(caller) = take(&waiting, &id) {
                    drop(caller.send(reply));
                } else {
                    late.fetch_add(1, Ordering::Relaxed);
                    telemetry::add(telemetry::names::LATE_REPLIES, 1, || [("service", labels.service())]);
                    tracing::debug!(id, "a reply came too late and was dropped");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a message on the reply queue is no reply");
                let message = &delivery.message;
                if let Some(caller) = message.properties.correlation_id.as_ref().and_then(|id| take(&waiting, id)) {
                    let body = String::from_utf8_lossy(&message.body).into_owned();
                    drop(caller.send(WireReply::Unreadable { reason: error.to_string(), body }));
                }
            }
        }
        // Replies are consumed without acks; settling is a formality that can't matter here.
        drop(delivery.ack().await);
    }
    // Every waiting call learns that no reply will come.
    lock(&waiting).take();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_tchu_tchu_are_read_as_declared_ones() {
        let error =
            serde_json::json!({"success": false, "error_code": "A", "error_message": "b", "error_details": {"c": 1}});
        let plain = serde_json::json!({"error_code": "A", "error_message": "b", "details": {"c": 1}});
        assert_eq!(declared(error), plain);
        assert_eq!(declared(plain.clone()), plain);
    }
}
