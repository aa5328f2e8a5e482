//! One request: who answers it, and the reply.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::Instrument;

use super::{
    dead_letter::{DeadLetterReason, Failure, PAUSE, dead_letter, report},
    extract::Delivered,
    flow::{Broken, Entry},
    handler::Handled,
    message::Meta,
    retry::Tries,
    shared::{Server, Shared},
};
use crate::{
    cascade,
    results::{ResultBackend, ResultBackendError},
    telemetry::{self, End, Observed},
    transport::{Delivery, Message, Routing, TransportError},
    wire::{
        self, Incoming,
        result::{Answer, document, message},
        trace,
    },
};

/// How long an answer is kept for a result backend that is away: by then callers have given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause after the first attempt to leave an answer in the result backend, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Handles one delivery of the requests queue: the caller is told, then the request is acked. One that failed and has no
/// caller to be told is dead-lettered.
pub(super) async fn handle(shared: Arc<Shared>, delivery: Delivery, mut observed: Observed) {
    let (meta, end) = decide(&shared, delivery, &mut observed).await;
    observed.ended(&shared.salt, meta.as_ref(), end);
}

/// What is known of the request, and how it ended.
async fn decide(shared: &Arc<Shared>, delivery: Delivery, observed: &mut Observed) -> (Option<Meta>, End) {
    let Some(place) = shared.request_house.place().await else { return (None, given_back(delivery).await) };
    let incoming = match wire::decode(&delivery.message) {
        Ok(incoming) if incoming.is_event() && incoming.copy_of.is_none() => incoming,
        Ok(incoming) if incoming.is_event() || incoming.is_second_hop() => {
            shared.counters.add(&shared.counters.passed_over);
            return (None, settled(delivery.ack().await, End::PassedOver));
        }
        Ok(_) => {
            let failure = Failure::new(DeadLetterReason::NotAnEvent, "its task name is not that of a request");
            return (None, give_up(shared, delivery, None, &failure, observed).await);
        }
        Err(error) => return (None, give_up(shared, delivery, None, &error.into(), observed).await),
    };
    let mut meta = Meta::of(&delivery.message, &Tries::of(&delivery.message), &incoming, delivery.redelivered);
    let span = observed.read(&shared.salt, &delivery.message, &shared.requests_queue, &meta);
    meta.headers = delivery.message.headers.clone();
    let mut end = End::Handled;
    let said_version = incoming.meta.as_ref().is_some_and(|meta| meta.version.is_some());
    let (answer, failure) = match serving(shared, &meta, said_version) {
        None => no_handler(&meta),
        Some(server) => {
            // It may have to wait for a place, and may be too old by then.
            let entered = tokio::select! {
                biased;
                entry = server.flow.enter(&shared.request_house, Some(place)) => Some(entry),
                () = expiry(&delivery, &incoming) => None,
            };
            let expired = is_expired(&delivery, &incoming);
            match entered {
                Some(Entry::Now(pass)) if !expired => {
                    observed.ran(server.registration.name.as_str());
                    answer(shared, server, pass, meta.clone(), incoming).instrument(span).await
                }
                Some(Entry::Ending | Entry::Later) if !expired => return (Some(meta), given_back(delivery).await),
                _ => {
                    end = End::Expired;
                    tracing::debug!(topic = meta.topic, "a request came too late and is not run");
                    (Answer::Expired, None)
                }
            }
        }
    };
    let end = match (tell(shared, &delivery, &meta, &answer).await, failure) {
        (Err(error), _) => {
            // The request stays with the broker, which will hand it out again.
            tracing::warn!(%error, topic = meta.topic, "a reply could not be sent; the request will come again");
            tokio::time::sleep(PAUSE).await;
            settled(delivery.requeue().await, End::NotSettled)
        }
        // Nobody was told, so somebody must be able to find out.
        (Ok(false), Some(failure)) => give_up(shared, delivery, Some(&meta), &failure, observed).await,
        _ => {
            shared.counters.add(&shared.counters.handled);
            delivery.ack_soon();
            end
        }
    };
    (Some(meta), end)
}

/// How long the request is still worth running; none when it does not say, or says it by a clock.
fn left(delivery: &Delivery) -> Option<Duration> {
    // The broker has not let it expire, so what counts is the wait in here; two machines' clocks may differ.
    delivery.message.properties.expiration.map(|expiration| expiration.saturating_sub(delivery.waited()))
}

fn is_expired(delivery: &Delivery, incoming: &Incoming) -> bool {
    match left(delivery) {
        Some(left) => left.is_zero(),
        None => incoming.expires.is_some_and(|at| at <= Timestamp::now()),
    }
}

/// Resolves when the request has become too old.
async fn expiry(delivery: &Delivery, incoming: &Incoming) {
    let by_clock = || Duration::try_from(incoming.expires?.duration_since(Timestamp::now())).ok();
    match left(delivery).or_else(by_clock) {
        Some(left) => tokio::time::sleep(left).await,
        None => std::future::pending().await,
    }
}

/// Whether the caller has the answer.
///
/// # Errors
/// When the broker is away.
async fn tell(shared: &Shared, delivery: &Delivery, meta: &Meta, answer: &Answer) -> Result<bool, TransportError> {
    let topic = meta.topic.as_str();
    let Some(id) = &meta.message_id else {
        tracing::warn!(topic, "a request has no id; its caller is not told");
        return Ok(false);
    };
    let mut document = document(answer, id, topic, Timestamp::now());
    if let Some(reply_to) = &delivery.message.properties.reply_to {
        let mut sent = send(shared, message(document.clone(), id, reply_to)).await;
        if let Err(error @ (TransportError::TooLarge { .. } | TransportError::Refused { .. })) = &sent {
            // It would be refused again, after its handler ran again.
            tracing::error!(%error, topic, id, "a reply was refused");
            let refused = Answer::Failed { handler: String::new(), message: "the answer could not be sent".to_owned() };
            document = wire::result::document(&refused, id, topic, Timestamp::now());
            sent = send(shared, message(document.clone(), id, reply_to)).await;
        }
        match sent {
            Ok(Routing::Routed) => return Ok(true),
            // Celery's callers name a queue that they don't have when they read results from elsewhere.
            Ok(Routing::Unroutable) => {}
            Err(TransportError::TooLarge { .. } | TransportError::Refused { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    let Some(results) = shared.salt.results() else {
        tracing::warn!(
            topic,
            id,
            "the caller has no reply queue (any more), and no result backend is set: it is not told"
        );
        return Ok(false);
    };
    match leave(results, id, document).await {
        Ok(()) => Ok(true),
        Err(error) => {
            tracing::error!(%error, topic, id, "an answer could not be left in the result backend: its caller is not told");
            Ok(false)
        }
    }
}

/// Leaves an answer in the result backend, also when that is away for a while.
///
/// # Errors
/// When it refuses, or is away for too long.
async fn leave(results: &dyn ResultBackend, id: &str, document: Bytes) -> Result<(), ResultBackendError> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = BACKOFF.0;
    loop {
        match results.store(id, document.clone()).await {
            Err(error @ ResultBackendError::Unavailable { .. }) if Instant::now() + pause < deadline => {
                tracing::warn!(%error, id, "an answer waits for the result backend");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(BACKOFF.1);
            }
            outcome => return outcome,
        }
    }
}

async fn send(shared: &Shared, reply: Message) -> Result<Routing, TransportError> {
    shared.salt.transport().send(reply).await?.await
}

/// The handler of the newest version that takes the request.
fn serving<'s>(shared: &'s Shared, meta: &Meta, said_version: bool) -> Option<&'s Server> {
    let version = |server: &Server| server.registration.contract.version().clone();
    let serving = shared.requests.iter().filter(|server| server.registration.contract.topic() == meta.topic);
    match (&meta.version, said_version) {
        (Some(asked), _) => {
            serving.filter(|server| version(server).accepts(asked)).max_by(|a, b| version(a).cmp(&version(b)))
        }
        (None, false) => serving.max_by(|a, b| version(a).cmp(&version(b))),
        (None, true) => None,
    }
}

fn no_handler(meta: &Meta) -> (Answer, Option<Failure>) {
    tracing::warn!(topic = meta.topic, version = ?meta.version, "a request has no handler of its version");
    let failure = Failure::new(DeadLetterReason::NoHandler, "no handler of this service takes its version");
    (Answer::NoHandler, Some(failure))
}

/// What the caller is to be told, and what it means for the request when the caller can't be told.
async fn answer(
    shared: &Shared,
    server: &Server,
    pass: super::flow::Pass,
    meta: Meta,
    incoming: Incoming,
) -> (Answer, Option<Failure>) {
    let name = server.registration.name.as_str();
    let (topic, context, depth) = (meta.topic.clone(), meta.trace_context().cloned(), meta.depth());
    let failed = |message: String, failure: Failure| {
        tracing::error!(topic, handler = name, message, "a request failed");
        (Answer::Failed { handler: name.to_owned(), message }, Some(failure.by(name)))
    };
    let delivered = Delivered {
        meta: Arc::new(meta),
        payload: Arc::new(incoming.payload),
        handler: name,
        service: Arc::clone(&shared.provided),
        verdict: Ok(None),
    };
    let running = match server.registration.handler.accept(&delivered) {
        Err(invalid) => {
            telemetry::refused(&shared.salt, &invalid);
            return failed(invalid.to_string(), Failure::invalid(&invalid));
        }
        Ok(running) => trace::within(context, cascade::after(depth, running)).instrument(telemetry::handler_span(name)),
    };
    let running = server.flow.run(&shared.request_house, pass, running);
    match telemetry::handling(&shared.salt, name, running, Broken::word).await {
        Ok(Ok(Handled { answer })) => {
            (Answer::Value { handler: name.to_owned(), value: answer.unwrap_or_default() }, None)
        }
        Ok(Err(error)) => match error.into_refusal() {
            Ok(invalid) => {
                telemetry::refused(&shared.salt, &invalid);
                failed(invalid.to_string(), Failure::invalid(&invalid))
            }
            Err(error) => failed(error.to_string(), Failure::new(DeadLetterReason::HandlerFailed, error.to_string())),
        },
        Err(Broken::Panicked(panic)) => {
            failed("the handler panicked".to_owned(), Failure::new(DeadLetterReason::HandlerPanicked, panic))
        }
        Err(Broken::TimedOut(limit)) => {
            let message = format!("timeout: the handler took longer than the {limit:?} that it is given");
            failed(message.clone(), Failure::new(DeadLetterReason::HandlerTimedOut, message))
        }
    }
}

async fn given_back(delivery: Delivery) -> End {
    settled(delivery.requeue().await, End::GivenBack)
}

async fn give_up(
    shared: &Shared,
    delivery: Delivery,
    meta: Option<&Meta>,
    failure: &Failure,
    observed: &mut Observed,
) -> End {
    report(&shared.salt, meta, &delivery.message, failure);
    let kept = dead_letter(&shared.salt, &shared.dead, delivery, meta, failure).await;
    if kept.is_ok() {
        shared.counters.add(&shared.counters.dead_lettered);
        observed.dead_lettered(&shared.salt, meta, failure.reason.as_str());
    }
    settled(kept, End::PutAside)
}

fn settled(outcome: Result<(), TransportError>, end: End) -> End {
    match outcome {
        Ok(()) => end,
        Err(error) => {
            tracing::warn!(%error, "a request could not be settled and will come again");
            End::NotSettled
        }
    }
}
