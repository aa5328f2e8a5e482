//! One event: which handlers take it, what each makes of it, and what that means for the message.

use std::{sync::Arc, time::Duration};

use celerysalt_contract::{Topic, Version, VersionRange};

use super::{
    Registration, Takes,
    dead_letter::{DeadLetterReason, Failure, keep, letter, report, settle_after},
    handler::guarded,
    message::Meta,
    retry::{self, Tries},
    shared::{Counters, Shared},
};
use crate::{
    invalid::Invalid,
    registry::RegistryError,
    transport::{Delivery, Message, TransportError},
    wire::{self, Incoming},
};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Handles one delivery of the events queue, from its bytes to its ack.
pub(super) async fn handle(shared: Arc<Shared>, delivery: Delivery) {
    Counters::add(&shared.counters.received);
    let (meta, outcome) = decide(&shared, &delivery.message, delivery.redelivered).await;
    let settled = match outcome {
        Outcome::Handled => {
            Counters::add(&shared.counters.handled);
            delivery.ack().await
        }
        Outcome::PassedOver => {
            Counters::add(&shared.counters.passed_over);
            delivery.ack().await
        }
        Outcome::Failed(failures) => {
            let kept = put_aside(&shared, &delivery.message, meta.as_ref(), &failures).await;
            settle_after(kept, delivery).await
        }
    };
    if let Err(error) = settled {
        tracing::warn!(%error, "a message could not be settled and will come again");
    }
}

/// Keeps a message for another try of the handlers that may mend, and in the dead-letter queue for those that won't.
async fn put_aside(
    shared: &Shared,
    message: &Message,
    meta: Option<&Meta>,
    failures: &[Failure],
) -> Result<(), TransportError> {
    let tries = Tries::of(message).done.saturating_add(1);
    let pause = shared.retry.pause_after(tries);
    let (again, lost): (Vec<&Failure>, Vec<&Failure>) =
        failures.iter().partition(|failure| pause.is_some() && failure.again.is_some());
    if let Some(failure) = lost.first() {
        report(&shared.salt, meta, message, failure);
        let letter = letter(&shared.salt, &shared.dead, message, meta, failure);
        keep(&shared.salt, &shared.dead, letter).await?;
        Counters::add(&shared.counters.dead_lettered);
    }
    if let (Some(failure), Some(pause)) = (again.first(), pause) {
        let queue = retry::queue(shared.salt.service_name(), &shared.events_queue, tries);
        let mut letter = letter(&shared.salt, &queue, message, meta, failure);
        let handlers: Vec<&str> = again.iter().filter_map(|failure| failure.again.as_deref()).collect();
        retry::again(&mut letter, pause, &handlers);
        keep(&shared.salt, &queue, letter).await?;
        Counters::add(&shared.counters.retried);
        tracing::warn!(
            service = shared.salt.service_name(),
            topic = meta.map_or(message.routing_key.as_str(), |meta| meta.topic.as_str()),
            handler = failure.handler,
            detail = failure.detail,
            tries,
            ?pause,
            "a handler failed and is tried again"
        );
    }
    Ok(())
}

pub(super) enum Outcome {
    Handled,
    /// Not meant for handlers: a Python worker's second hop.
    PassedOver,
    /// Never empty.
    Failed(Vec<Failure>),
}

async fn decide(shared: &Shared, message: &Message, redelivered: bool) -> (Option<Meta>, Outcome) {
    let incoming = match wire::decode(message) {
        Ok(incoming) => incoming,
        Err(error) => return (None, Outcome::Failed(vec![error.into()])),
    };
    if incoming.is_second_hop() {
        return (None, Outcome::PassedOver);
    }
    let meta = Meta::of(message, &incoming, redelivered);
    if !incoming.is_event() {
        let failure = Failure::new(DeadLetterReason::NotAnEvent, "its task name is not that of an event");
        return (Some(meta), Outcome::Failed(vec![failure]));
    }
    let only = Tries::of(message).handlers;
    let outcome = run_handlers(shared, &meta, incoming, &only).await;
    (Some(meta), outcome)
}

/// Runs every handler that takes the message, of those named by `only` unless it is empty.
async fn run_handlers(shared: &Shared, meta: &Meta, incoming: Incoming, only: &[&str]) -> Outcome {
    let payload = incoming.payload;
    let said_version = incoming.meta.as_ref().is_some_and(|meta| meta.version.is_some());
    let mut taken = false;
    let mut refused: Option<Invalid> = None;
    let mut failures: Vec<Failure> = Vec::new();
    let named = |r: &&Registration| only.is_empty() || only.contains(&r.id.as_str());
    for registration in shared.events.iter().filter(|r| r.selector.pattern.matches(&meta.topic)).filter(named) {
        // Every handler is tried, whatever the others make of it.
        match run_handler(shared, registration, meta, said_version, &payload).await {
            Taken::NotMine => {}
            Taken::Handled => taken = true,
            Taken::Refused(invalid) => refused = refused.or(Some(invalid)),
            Taken::Failed(failed) => {
                taken = true;
                failures.push(failed);
            }
        }
    }
    if let Some(invalid) = refused.filter(|_| !taken || said_version) {
        failures.push(Failure::invalid(&invalid));
    }
    match (failures.is_empty(), taken) {
        (false, _) => Outcome::Failed(failures),
        (true, true) => Outcome::Handled,
        (true, false) => {
            let version = meta.version.as_ref().map_or("without a version".to_owned(), |v| format!("of {v}"));
            Outcome::Failed(vec![Failure::new(
                DeadLetterReason::NoHandler,
                format!("no handler of this service takes {} {version}", meta.topic.escape_debug()),
            )])
        }
    }
}

enum Taken {
    /// Of another version.
    NotMine,
    Handled,
    /// The contract refuses the payload.
    Refused(Invalid),
    Failed(Failure),
}

async fn run_handler(
    shared: &Shared,
    registration: &Registration,
    meta: &Meta,
    said_version: bool,
    payload: &str,
) -> Taken {
    let name = registration.name.as_str();
    let version = match &registration.takes {
        Takes::Typed { version, newer_majors } => match &meta.version {
            Some(message) if version.accepts(message) || (*newer_majors && message >= version) => Some(version.clone()),
            // A version that was said and can't be read is not an unversioned message.
            None if !said_version => Some(version.clone()),
            _ => return Taken::NotMine,
        },
        Takes::Raw => match (&registration.selector.versions, &meta.version) {
            (VersionRange::Exact(base) | VersionRange::Compatible(base), Some(message)) if !base.accepts(message) => {
                return Taken::NotMine;
            }
            (VersionRange::Exact(_) | VersionRange::Compatible(_), None) if said_version => return Taken::NotMine,
            (_, message) => message.clone(),
        },
        Takes::Registered => match registered(shared, registration, meta, said_version, payload).await {
            Ok(version) => Some(version),
            Err(taken) => return taken,
        },
    };
    match registration.handler.accept(payload, version, meta.clone()) {
        Err(invalid) => Taken::Refused(invalid),
        Ok(running) => match guarded(running).await {
            Ok(Ok(())) => Taken::Handled,
            Ok(Err(error)) => {
                let failure = Failure::new(DeadLetterReason::HandlerFailed, error.to_string()).by(name);
                Taken::Failed(if error.is_final() { failure } else { failure.again(&registration.id) })
            }
            Err(panic) => Taken::Failed(Failure::new(DeadLetterReason::HandlerPanicked, panic).by(name)),
        },
    }
}

/// Checks a payload against the registry's contract; waits while the registry is away, for the message can't be judged
/// without it.
async fn registered(
    shared: &Shared,
    registration: &Registration,
    meta: &Meta,
    said_version: bool,
    payload: &str,
) -> Result<Version, Taken> {
    let unknown = |detail: String| Taken::Failed(Failure::new(DeadLetterReason::UnknownContract, detail));
    let topic: Topic = match meta.topic.parse() {
        Ok(topic) => topic,
        Err(error) => return Err(unknown(format!("{error}"))),
    };
    let range = &registration.selector.versions;
    if let (VersionRange::Exact(base) | VersionRange::Compatible(base), Some(message)) = (range, &meta.version)
        && !base.accepts(message)
    {
        return Err(Taken::NotMine);
    }
    if said_version && meta.version.is_none() {
        return Err(unknown(format!("the message of {topic} names a version that can't be read")));
    }
    let mut delay = FIRST_RETRY;
    let candidates = loop {
        match shared.salt.schemas().candidates(&topic, range, meta.version.as_ref()).await {
            Ok(candidates) => break candidates,
            // A missing grant and a missing migration will be mended too, and then the message can be judged.
            Err(
                error @ (RegistryError::Unavailable { .. }
                | RegistryError::Denied { .. }
                | RegistryError::Unusable { .. }),
            ) => {
                tracing::warn!(%error, %topic, "a message waits for the registry");
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(LAST_RETRY);
            }
            Err(error) => return Err(unknown(error.to_string())),
        }
    };
    if candidates.is_empty() {
        if matches!(range, VersionRange::Latest) && meta.version.is_some() {
            return Err(Taken::NotMine);
        }
        let asked = meta.version.as_ref().map_or("any version".to_owned(), ToString::to_string);
        return Err(unknown(format!("the registry has no contract of {topic} in {asked}; sync it, or use `on_raw`")));
    }
    let mut refused = None;
    for known in candidates {
        match known.check(payload) {
            Ok(()) => return Ok(known.version.clone()),
            Err(invalid) => refused = refused.or(Some(invalid)),
        }
    }
    Err(refused.map_or(Taken::NotMine, Taken::Refused))
}
