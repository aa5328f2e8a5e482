//! One event: which handlers take it, what each makes of it, and what that means for the message.

use std::{sync::Arc, time::Duration};

use celerysalt_contract::{Topic, Version, VersionRange};
use tokio::task::JoinSet;
use tracing::Instrument;

use super::{
    Registration, Takes,
    dead_letter::{DeadLetterReason, Failure, keep, letter, report, settle_after},
    extract::{Delivered, Verdict},
    flow::{Broken, Entry, Place},
    lanes::Turn,
    message::{AnyEvent, Meta},
    retry::{self, Tries},
    shared::{Shared, Subscriber},
};
use crate::{
    cascade,
    invalid::Invalid,
    registry::RegistryError,
    telemetry::{self, End, Observed},
    transport::{Delivery, Message, TransportError},
    wire::{self, Incoming, trace},
};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// A message's turns with the handlers that keep an order: the handler's place among the service's, and the turn.
pub(super) type Turns = Vec<(usize, Turn)>;

/// The turns of a message that has just come. Asked in the order of the queue, before anything else is done with it.
pub(super) fn turns(shared: &Shared, message: &Message) -> Turns {
    let ordered = || shared.events.iter().enumerate().filter_map(|(i, s)| Some((i, s, s.flow.order.as_ref()?)));
    if ordered().next().is_none() {
        return Vec::new();
    }
    // Decoded again when its turn comes: until then only the bytes are held.
    let Ok(incoming) = wire::decode(message) else { return Vec::new() };
    let meta = Meta::of(message, &Tries::of(message), &incoming, false);
    let mut event = None;
    ordered()
        .filter(|(_, subscriber, _)| subscriber.registration.selector.pattern.matches(&meta.topic))
        .filter_map(|(index, _, (order, lanes))| {
            let event =
                event.get_or_insert_with(|| AnyEvent::new(meta.topic.clone(), meta.version.clone(), &incoming.payload));
            Some((index, lanes.turn(order.key(event)?)))
        })
        .collect()
}

/// Handles one delivery of the events queue, from its bytes to its ack.
pub(super) async fn handle(shared: Arc<Shared>, mut delivery: Delivery, turns: Turns, mut observed: Observed) {
    // Few at a time are more than the bytes that came.
    let Some(place) = shared.event_house.place().await else {
        given_back(delivery).await;
        return observed.ended(&shared.salt, None, End::GivenBack);
    };
    let decided = decide(&shared, &mut delivery.message, delivery.redelivered, place, turns, &mut observed).await;
    // Turns end after the message is settled: they are in what follows.
    let (meta, (outcome, _turns)) = decided;
    let end = match outcome {
        Outcome::Handled => {
            shared.counters.add(&shared.counters.handled);
            delivery.ack_soon();
            End::Handled
        }
        Outcome::PassedOver => {
            shared.counters.add(&shared.counters.passed_over);
            delivery.ack_soon();
            End::PassedOver
        }
        Outcome::Duplicate => {
            shared.counters.add(&shared.counters.duplicates);
            delivery.ack_soon();
            End::Duplicate
        }
        Outcome::GivenBack => {
            given_back(delivery).await;
            End::GivenBack
        }
        Outcome::Unfinished { failures, waiting } => {
            if let Some(meta) = &meta {
                delivery.message.headers.clone_from(&meta.headers);
            }
            let message = &delivery.message;
            let kept = put_aside(&shared, message, meta.as_deref(), &failures, &waiting, &mut observed).await;
            match settle_after(kept, delivery).await {
                Ok(()) => End::PutAside,
                Err(error) => {
                    tracing::warn!(%error, "a message could not be settled and will come again");
                    End::NotSettled
                }
            }
        }
    };
    observed.ended(&shared.salt, meta.as_deref(), end);
}

async fn given_back(delivery: Delivery) {
    if let Err(error) = delivery.requeue().await {
        tracing::debug!(%error, "a message comes again anyway");
    }
}

/// Keeps a message for another try of the handlers that may mend, for the handlers that can't take it now, and in the
/// dead-letter queue for those that won't.
async fn put_aside(
    shared: &Shared,
    message: &Message,
    meta: Option<&Meta>,
    failures: &[Failure],
    waiting: &[&str],
    observed: &mut Observed,
) -> Result<(), TransportError> {
    let tries = Tries::of(message).done.saturating_add(1);
    let pause = shared.retry.pause_after(tries);
    let (again, lost): (Vec<&Failure>, Vec<&Failure>) =
        failures.iter().partition(|failure| pause.is_some() && failure.again.is_some());
    if let Some(failure) = lost.first() {
        report(&shared.salt, meta, message, failure);
        let letter = letter(&shared.salt, &shared.dead, message, meta, failure);
        keep(&shared.salt, &shared.dead, letter).await?;
        shared.counters.add(&shared.counters.dead_lettered);
        observed.dead_lettered(&shared.salt, meta, failure.reason.as_str());
    }
    if let (Some(failure), Some(pause)) = (again.first(), pause) {
        let queue = retry::queue(shared.salt.service_name(), &shared.events_queue, tries);
        let mut letter = letter(&shared.salt, &queue, message, meta, failure);
        let handlers: Vec<&str> = again.iter().filter_map(|failure| failure.again.as_deref()).collect();
        retry::again(&mut letter, pause, &handlers);
        keep(&shared.salt, &queue, letter).await?;
        shared.counters.add(&shared.counters.retried);
        observed.retried(&shared.salt, meta);
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
    if !waiting.is_empty() {
        let queue = retry::waiting_queue(shared.salt.service_name(), &shared.events_queue);
        keep(&shared.salt, &queue, retry::later(message, &queue, waiting)).await?;
        shared.counters.add(&shared.counters.put_aside);
        observed.put_aside(&shared.salt, meta);
        tracing::debug!(
            service = shared.salt.service_name(),
            topic = meta.map_or(message.routing_key.as_str(), |meta| meta.topic.as_str()),
            ?waiting,
            "a handler has no room for a message, which waits on the broker"
        );
    }
    Ok(())
}

pub(super) enum Outcome<'s> {
    Handled,
    /// Not meant for handlers: a Python worker's second hop, or the second message of an event in both task names.
    PassedOver,
    /// Every handler that takes it has handled it before.
    Duplicate,
    /// No handler has begun, and the service ends.
    GivenBack,
    /// Not both empty.
    Unfinished {
        failures: Vec<Failure>,
        /// The ids of handlers that could not take it now.
        waiting: Vec<&'s str>,
    },
}

impl Outcome<'_> {
    fn failed(failure: Failure) -> Self {
        Self::Unfinished { failures: vec![failure], waiting: Vec::new() }
    }
}

/// What becomes of a message, and the turns that it holds until that is done. Its headers are then what is known of it.
async fn decide<'s>(
    shared: &'s Arc<Shared>,
    message: &mut Message,
    redelivered: bool,
    place: Place,
    turns: Turns,
    observed: &mut Observed,
) -> (Option<Arc<Meta>>, (Outcome<'s>, Turns)) {
    let incoming = match wire::decode(message) {
        Ok(incoming) => incoming,
        Err(error) => return (None, (Outcome::failed(error.into()), turns)),
    };
    if incoming.is_second_hop() || (incoming.is_event() && incoming.copy_of.is_some()) {
        return (None, (Outcome::PassedOver, turns));
    }
    let tries = Tries::of(message);
    let mut meta = Meta::of(message, &tries, &incoming, redelivered);
    let (done, only) = (tries.done, tries.handlers.iter().map(|id| (*id).to_owned()).collect());
    let span = observed.read(&shared.salt, message, &shared.events_queue, &meta);
    meta.headers = std::mem::take(&mut message.headers);
    let meta = Arc::new(meta);
    if !incoming.is_event() {
        let failure = Failure::new(DeadLetterReason::NotAnEvent, "its task name is not that of an event");
        return (Some(meta), (Outcome::failed(failure), turns));
    }
    let running = run_handlers(shared, &meta, incoming, (done, only), place, turns, observed);
    let outcome = running.instrument(span).await;
    (Some(meta), outcome)
}

/// Runs every handler that takes the message, of those whose ids are given unless there are none; with them, how often it
/// was tried before.
async fn run_handlers<'s>(
    shared: &'s Arc<Shared>,
    meta: &Arc<Meta>,
    incoming: Incoming,
    (tries, only): (u32, Vec<String>),
    place: Place,
    mut turns: Turns,
    observed: &mut Observed,
) -> (Outcome<'s>, Turns) {
    let said_version = incoming.meta.as_ref().is_some_and(|meta| meta.version.is_some());
    let asked = Arc::new(Asked { meta: Arc::clone(meta), said_version, payload: Arc::new(incoming.payload), tries });
    let named = |r: &Registration| only.is_empty() || only.contains(&r.id);
    let takers = shared.events.iter().enumerate().filter(|(_, subscriber)| {
        let registration = &subscriber.registration;
        registration.selector.pattern.matches(&meta.topic) && named(registration)
    });
    let takers: Vec<usize> = takers.map(|(index, _)| index).collect();
    let mut turn_of = |index: usize| {
        let at = turns.iter().position(|(of, _)| *of == index)?;
        Some(turns.swap_remove(at).1)
    };
    let mut place = Some(place);
    let (mut answers, mut held) = (Vec::with_capacity(takers.len()), Turns::new());
    let mut answered = |index: usize, (taken, turn): (Taken, Option<Turn>)| {
        answers.push((index, taken));
        held.extend(turn.map(|turn| (index, turn)));
    };
    if takers.len() < 2 || shared.one_at_a_time {
        // Every handler is tried, whatever the others make of it.
        for index in takers {
            answered(index, run_handler(shared, index, &asked, place.take(), turn_of(index)).await);
        }
    } else {
        // Beside each other: one that hangs must not keep the others from this message.
        let mut running = JoinSet::new();
        for index in takers {
            let (shared, asked, place, turn) = (Arc::clone(shared), Arc::clone(&asked), place.take(), turn_of(index));
            let run = async move { (index, run_handler(&shared, index, &asked, place, turn).await) };
            running.spawn(run.in_current_span());
        }
        while let Some(done) = running.join_next().await {
            match done {
                Ok((index, outcome)) => answered(index, outcome),
                Err(error) => {
                    // Handlers' own panics do not get here.
                    tracing::error!(%error, "handling a message failed");
                    answered(usize::MAX, (Taken::GivenBack, None));
                }
            }
        }
    }
    answers.sort_by_key(|(index, _)| *index);
    observe(shared, &answers, observed);
    held.append(&mut turns);
    (summed_up(shared, meta, said_version, answers), held)
}

/// Says who took the message, and whether a contract refused it.
fn observe(shared: &Shared, answers: &[(usize, Taken)], observed: &mut Observed) {
    for (index, _) in answers.iter().filter(|(_, taken)| matches!(taken, Taken::Handled | Taken::Failed(_))) {
        observed.ran(shared.events.get(*index).map_or("", |subscriber| subscriber.registration.name.as_str()));
    }
    if let Some(invalid) = answers.iter().find_map(|(_, taken)| match taken {
        Taken::Refused(invalid) => Some(invalid),
        _ => None,
    }) {
        telemetry::refused(&shared.salt, invalid);
    }
}

/// What the handlers' answers mean for the message.
fn summed_up<'s>(shared: &'s Shared, meta: &Meta, said_version: bool, answers: Vec<(usize, Taken)>) -> Outcome<'s> {
    let (mut taken, mut duplicates, mut given_back) = (false, false, Vec::new());
    let mut refused: Option<Invalid> = None;
    let (mut failures, mut waiting): (Vec<Failure>, Vec<&str>) = (Vec::new(), Vec::new());
    let id = |index: usize| shared.events.get(index).map(|subscriber| subscriber.registration.id.as_str());
    for (index, answer) in answers {
        match answer {
            Taken::NotMine => {}
            Taken::Handled => taken = true,
            Taken::Duplicate => duplicates = true,
            Taken::Later => waiting.extend(id(index)),
            Taken::GivenBack => given_back.push(id(index)),
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
    if !given_back.is_empty() {
        // Nothing was done with it yet, or nothing that can be told apart from doing it again.
        let untouched = !taken && failures.is_empty() && waiting.is_empty();
        if untouched || given_back.contains(&None) {
            return Outcome::GivenBack;
        }
        waiting.extend(given_back.into_iter().flatten());
    }
    match (failures.is_empty() && waiting.is_empty(), taken, duplicates) {
        (false, _, _) => Outcome::Unfinished { failures, waiting },
        (true, true, _) => Outcome::Handled,
        (true, false, true) => Outcome::Duplicate,
        (true, false, false) => {
            let version = meta.version.as_ref().map_or("without a version".to_owned(), |v| format!("of {v}"));
            Outcome::failed(Failure::new(
                DeadLetterReason::NoHandler,
                format!("no handler of this service takes {} {version}", meta.topic.escape_debug()),
            ))
        }
    }
}

/// What every handler of one message is given.
struct Asked {
    meta: Arc<Meta>,
    said_version: bool,
    payload: Arc<String>,
    /// How often it was tried before it came this time.
    tries: u32,
}

/// What one handler made of a message.
enum Taken {
    /// Of another version.
    NotMine,
    Handled,
    /// It has handled it before.
    Duplicate,
    /// It can't take it for a while.
    Later,
    /// It has not begun, and the service ends.
    GivenBack,
    /// The contract refuses the payload.
    Refused(Invalid),
    Failed(Failure),
}

async fn run_handler(
    shared: &Shared,
    index: usize,
    asked: &Asked,
    mut place: Option<Place>,
    mut turn: Option<Turn>,
) -> (Taken, Option<Turn>) {
    let Some(subscriber) = shared.events.get(index) else { return (Taken::NotMine, turn) };
    let house = &shared.event_house;
    if let Some(turn) = &mut turn
        && !turn.has_come()
    {
        drop(place.take());
        if house.unless_ending(turn.come()).await.is_none() {
            return (Taken::GivenBack, None);
        }
    }
    let verdict = match accepted(shared, &subscriber.registration, asked).await {
        Ok(version) => Ok(version),
        Err(Taken::Refused(invalid)) if subscriber.registration.handler.takes_refused() => Err(Arc::new(invalid)),
        Err(taken) => return (taken, turn),
    };
    // Of two messages with one id, the second waits for what becomes of the first.
    let mut twin = None;
    let id = asked.meta.deduplication_id();
    if let (Some((seen, lanes)), Some(id)) = (&subscriber.flow.seen, &id) {
        let mut first = lanes.turn(id.clone());
        if !first.has_come() {
            drop(place.take());
            if house.unless_ending(first.come()).await.is_none() {
                return (Taken::GivenBack, turn);
            }
        }
        if seen.has(id) {
            return (Taken::Duplicate, turn);
        }
        twin = Some(first);
    }
    let taken = run_tries(shared, subscriber, asked, verdict, place).await;
    if let (Taken::Handled, Some((seen, _)), Some(id)) = (&taken, &subscriber.flow.seen, &id) {
        seen.mark(id);
    }
    drop(twin);
    (taken, turn)
}

/// Runs a handler once; one that keeps an order again and again, for its event must not lose its place.
async fn run_tries(
    shared: &Shared,
    subscriber: &Subscriber,
    asked: &Asked,
    verdict: Verdict,
    mut place: Option<Place>,
) -> Taken {
    let mut attempts = 0_u32;
    loop {
        let mut meta = Meta::clone(&asked.meta);
        attempts = attempts.saturating_add(1);
        meta.tries = asked.tries.saturating_add(attempts);
        let failure = match run_once(shared, subscriber, asked, verdict.clone(), meta, place.take()).await {
            Taken::Failed(failure) => failure,
            Taken::Later | Taken::GivenBack if attempts > 1 => return Taken::GivenBack,
            taken => return taken,
        };
        let failure = failure.after(attempts);
        if subscriber.flow.order.is_none() || failure.again.is_none() {
            return Taken::Failed(failure);
        }
        let Some(pause) = shared.retry.pause_after(asked.tries.saturating_add(attempts)) else {
            return Taken::Failed(failure.for_good());
        };
        shared.counters.add(&shared.counters.retried);
        telemetry::retried_in_place(&shared.salt, &asked.meta);
        tracing::warn!(
            service = shared.salt.service_name(),
            topic = asked.meta.topic,
            handler = failure.handler,
            detail = failure.detail,
            tries = asked.tries.saturating_add(attempts),
            ?pause,
            "a handler failed and is tried again, before the next event of its key"
        );
        if shared.event_house.unless_ending(tokio::time::sleep(retry::jittered(pause))).await.is_none() {
            return Taken::GivenBack;
        }
    }
}

async fn run_once(
    shared: &Shared,
    subscriber: &Subscriber,
    asked: &Asked,
    verdict: Verdict,
    meta: Meta,
    place: Option<Place>,
) -> Taken {
    let Subscriber { registration, flow } = subscriber;
    let name = registration.name.as_str();
    let pass = match flow.enter(&shared.event_house, place).await {
        Entry::Now(pass) => pass,
        Entry::Later => return Taken::Later,
        Entry::Ending => return Taken::GivenBack,
    };
    let (context, depth) = (meta.trace_context().cloned(), meta.depth());
    let (payload, service) = (Arc::clone(&asked.payload), Arc::clone(&shared.provided));
    let delivered = Delivered { meta: Arc::new(meta), payload, handler: name, service, verdict };
    let running = match registration.handler.accept(&delivered) {
        Err(invalid) => return Taken::Refused(invalid),
        Ok(running) => trace::within(context, cascade::after(depth, running)).instrument(telemetry::handler_span(name)),
    };
    let failed = |reason, detail: String| Failure::new(reason, detail).by(name);
    let running = flow.run(&shared.event_house, pass, running);
    match telemetry::handling(&shared.salt, name, running, Broken::word).await {
        Ok(Ok(_)) => Taken::Handled,
        Ok(Err(error)) => match error.into_refusal() {
            Ok(invalid) => Taken::Refused(invalid),
            Err(error) => {
                let failure = failed(DeadLetterReason::HandlerFailed, error.to_string());
                Taken::Failed(if error.is_final() { failure } else { failure.again(&registration.id) })
            }
        },
        Err(Broken::Panicked(panic)) => Taken::Failed(failed(DeadLetterReason::HandlerPanicked, panic)),
        Err(Broken::TimedOut(limit)) => {
            let detail = format!("it took longer than the {limit:?} that it is given");
            Taken::Failed(failed(DeadLetterReason::HandlerTimedOut, detail).again(&registration.id))
        }
    }
}

/// The version of the contract that the handler takes the message by.
///
/// # Errors
/// Why it does not take it.
async fn accepted(shared: &Shared, registration: &Registration, asked: &Asked) -> Result<Option<Version>, Taken> {
    let Asked { meta, said_version, payload, .. } = asked;
    match &registration.takes {
        Takes::Typed { version, newer_majors } => match &meta.version {
            Some(message) if version.accepts(message) || (*newer_majors && message >= version) => {
                Ok(Some(version.clone()))
            }
            // A version that was said and can't be read is not an unversioned message.
            None if !said_version => Ok(Some(version.clone())),
            _ => Err(Taken::NotMine),
        },
        Takes::Raw => match (&registration.selector.versions, &meta.version) {
            (VersionRange::Exact(base) | VersionRange::Compatible(base), Some(message)) if !base.accepts(message) => {
                Err(Taken::NotMine)
            }
            (VersionRange::Exact(_) | VersionRange::Compatible(_), None) if *said_version => Err(Taken::NotMine),
            (_, message) => Ok(message.clone()),
        },
        Takes::Registered => registered(shared, registration, meta, *said_version, payload).await.map(Some),
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
                if shared.event_house.unless_ending(tokio::time::sleep(delay)).await.is_none() {
                    return Err(Taken::GivenBack);
                }
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
