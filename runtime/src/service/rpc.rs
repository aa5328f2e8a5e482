//! One request: who answers it, and the reply.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    dead_letter::{DeadLetterReason, Failure, PAUSE, dead_letter, report},
    handler::guarded,
    message::Meta,
    shared::{Counters, Shared},
};
use crate::{
    transport::{Delivery, Message, Routing, TransportError},
    wire::{self, Incoming, result::Answer},
};

/// Handles one delivery of the requests queue: the caller is told, then the request is acked. One that failed and has no
/// caller to be told is dead-lettered.
pub(super) async fn handle(shared: Arc<Shared>, delivery: Delivery) {
    Counters::add(&shared.counters.received);
    let incoming = match wire::decode(&delivery.message) {
        Ok(incoming) if incoming.is_event() => incoming,
        Ok(incoming) if incoming.is_second_hop() => {
            Counters::add(&shared.counters.passed_over);
            return settled(delivery.ack().await);
        }
        Ok(_) => {
            let failure = Failure::new(DeadLetterReason::NotAnEvent, "its task name is not that of a request");
            return give_up(&shared, delivery, None, &failure).await;
        }
        Err(error) => return give_up(&shared, delivery, None, &error.into()).await,
    };
    let meta = Meta::of(&delivery.message, &incoming, delivery.redelivered);
    let expired = match delivery.message.properties.expiration {
        // The broker has not let it expire, so what counts is the wait in here; two machines' clocks may differ.
        Some(expiration) => delivery.waited() >= expiration,
        None => incoming.expires.is_some_and(|at| at <= Timestamp::now()),
    };
    if expired {
        tracing::debug!(topic = meta.topic, "a request came too late and is not run");
    }
    let (answer, failure) =
        if expired { (Answer::Expired, None) } else { answer(&shared, meta.clone(), incoming).await };
    match (tell(&shared, &delivery, &meta, &answer).await, failure) {
        (Err(error), _) => {
            // The request stays with the broker, which will hand it out again.
            tracing::warn!(%error, topic = meta.topic, "a reply could not be sent; the request will come again");
            tokio::time::sleep(PAUSE).await;
            settled(delivery.requeue().await);
        }
        // Nobody was told, so somebody must be able to find out.
        (Ok(false), Some(failure)) => give_up(&shared, delivery, Some(&meta), &failure).await,
        _ => {
            Counters::add(&shared.counters.handled);
            settled(delivery.ack().await);
        }
    }
}

/// Whether the caller has the answer.
///
/// # Errors
/// When the broker is away.
async fn tell(shared: &Shared, delivery: &Delivery, meta: &Meta, answer: &Answer) -> Result<bool, TransportError> {
    let topic = meta.topic.as_str();
    let (Some(reply_to), Some(id)) = (&delivery.message.properties.reply_to, &meta.message_id) else {
        tracing::warn!(topic, "a request names no reply queue or has no id; its caller is not told");
        return Ok(false);
    };
    let mut sent = send(shared, wire::result::encode(answer, id, topic, reply_to, Timestamp::now())).await;
    if let Err(error @ (TransportError::TooLarge { .. } | TransportError::Refused { .. })) = &sent {
        // It would be refused again, after its handler ran again.
        tracing::error!(%error, topic, id, "a reply was refused");
        let refused = Answer::Failed { handler: String::new(), message: "the answer could not be sent".to_owned() };
        sent = send(shared, wire::result::encode(&refused, id, topic, reply_to, Timestamp::now())).await;
    }
    match sent {
        Ok(Routing::Routed) => Ok(true),
        Ok(Routing::Unroutable) => {
            tracing::warn!(topic, id, "the caller is gone: its reply queue does not exist");
            Ok(false)
        }
        Err(TransportError::TooLarge { .. } | TransportError::Refused { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn send(shared: &Shared, reply: Message) -> Result<Routing, TransportError> {
    shared.salt.transport().send(reply).await?.await
}

/// What the caller is to be told, and what it means for the request when the caller can't be told.
async fn answer(shared: &Shared, meta: Meta, incoming: Incoming) -> (Answer, Option<Failure>) {
    let said_version = incoming.meta.as_ref().is_some_and(|meta| meta.version.is_some());
    let serving = shared.requests.iter().filter(|r| r.contract.topic() == meta.topic);
    let serving = match (&meta.version, said_version) {
        (Some(version), _) => serving
            .filter(|r| r.contract.version().accepts(version))
            .max_by(|a, b| a.contract.version().cmp(b.contract.version())),
        (None, false) => serving.max_by(|a, b| a.contract.version().cmp(b.contract.version())),
        (None, true) => None,
    };
    let Some(serving) = serving else {
        tracing::warn!(topic = meta.topic, version = ?meta.version, "a request has no handler of its version");
        let failure = Failure::new(DeadLetterReason::NoHandler, "no handler of this service takes its version");
        return (Answer::NoHandler, Some(failure));
    };
    let name = serving.name.as_str();
    let topic = meta.topic.clone();
    let failed = |message: String, failure: Failure| {
        tracing::error!(topic, handler = name, message, "a request failed");
        (Answer::Failed { handler: name.to_owned(), message }, Some(failure.by(name)))
    };
    match serving.handler.accept(&incoming.payload, meta) {
        Err(invalid) => failed(invalid.to_string(), Failure::invalid(&invalid)),
        Ok(running) => match guarded(running).await {
            Ok(Ok(value)) => (Answer::Value { handler: name.to_owned(), value }, None),
            Ok(Err(error)) => {
                failed(error.to_string(), Failure::new(DeadLetterReason::HandlerFailed, error.to_string()))
            }
            Err(panic) => {
                failed("the handler panicked".to_owned(), Failure::new(DeadLetterReason::HandlerPanicked, panic))
            }
        },
    }
}

async fn give_up(shared: &Shared, delivery: Delivery, meta: Option<&Meta>, failure: &Failure) {
    report(&shared.salt, meta, &delivery.message, failure);
    let kept = dead_letter(&shared.salt, &shared.dead, delivery, meta, failure).await;
    if kept.is_ok() {
        Counters::add(&shared.counters.dead_lettered);
    }
    settled(kept);
}

fn settled(outcome: Result<(), TransportError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "a request could not be settled and will come again");
    }
}
