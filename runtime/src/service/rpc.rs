//! One request: who answers it, and the reply.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    dead_letter::{DeadLetterReason, Failure, dead_letter},
    dispatch::{guarded, report},
    message::Meta,
    running::{Counters, Shared},
};
use crate::{
    transport::{Delivery, Routing},
    wire::{self, Incoming, result::Answer},
};

/// Handles one delivery of the requests queue: the caller is told, then the request is acked.
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
            return give_up(&shared, delivery, &failure).await;
        }
        Err(error) => return give_up(&shared, delivery, &error.into()).await,
    };
    let meta = Meta::of(&delivery.message, &incoming, delivery.redelivered);
    let topic = meta.topic.clone();
    let id = meta.message_id.clone();
    let answer = answer(&shared, meta, incoming).await;
    if let (Some(reply_to), Some(id)) = (&delivery.message.properties.reply_to, id) {
        let reply = wire::result::encode(&answer, &id, &topic, reply_to, Timestamp::now());
        let sent = async { shared.salt.transport().send(reply).await?.await };
        match sent.await {
            Ok(Routing::Routed) => {}
            Ok(Routing::Unroutable) => {
                tracing::warn!(topic, id, "the caller is gone: its reply queue does not exist");
            }
            Err(error) => {
                // The request stays with the broker, which will hand it out again.
                tracing::warn!(%error, topic, id, "a reply could not be sent; the request will come again");
                return settled(delivery.requeue().await);
            }
        }
    } else {
        tracing::warn!(topic, "a request names no reply queue or has no id; its answer is dropped");
    }
    Counters::add(&shared.counters.handled);
    settled(delivery.ack().await);
}

async fn answer(shared: &Shared, meta: Meta, incoming: Incoming) -> Answer {
    if incoming.expires.is_some_and(|at| at <= Timestamp::now()) {
        tracing::debug!(topic = meta.topic, "a request came too late and was not run");
        return Answer::Expired;
    }
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
        return Answer::NoHandler;
    };
    let handler = serving.name.as_str().to_owned();
    let topic = meta.topic.clone();
    let failed = |message: String| {
        tracing::error!(topic, handler, message, "a request failed");
        Answer::Failed { handler: handler.clone(), message }
    };
    match serving.handler.accept(Value::Object(incoming.payload), meta) {
        Err(invalid) => failed(invalid.to_string()),
        Ok(running) => match guarded(running).await {
            Ok(Ok(value)) => Answer::Value { handler, value },
            Ok(Err(error)) => failed(error.to_string()),
            Err(_) => failed("the handler panicked".to_owned()),
        },
    }
}

async fn give_up(shared: &Shared, delivery: Delivery, failure: &Failure) {
    report(shared, None, &delivery.message, failure);
    let kept = dead_letter(&shared.salt, &shared.dead, delivery, None, failure).await;
    if kept.is_ok() {
        Counters::add(&shared.counters.dead_lettered);
    }
    settled(kept);
}

fn settled(outcome: Result<(), crate::transport::TransportError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "a request could not be settled and will come again");
    }
}
