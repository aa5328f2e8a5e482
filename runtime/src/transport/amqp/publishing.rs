//! The task that publishes. It alone owns the channel (two that share one would swap their confirms), writes without
//! waiting, and keeps each message until it is confirmed, to send it again on the next channel.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use lapin::{
    BasicProperties, Channel, Confirmation as Confirmed,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::Instant,
};

use super::{
    confirms::{Identity, Pending, ToWrite, Verdicts, Writes},
    convert,
    link::{Link, close_channel},
    numbered::Numbered,
    topology::{self, Failure, reply_code, short},
};
use crate::transport::{Confirmation, Confirmer, Routing, TransportError};

/// How long a message may stay confirmed and undecided before the task asks; see [`super::confirms`].
const UNDECIDED: Duration = Duration::from_millis(100);

/// A message that can be written.
#[derive(Debug)]
pub(super) struct ReadyMessage {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) message_id: String,
    /// Its properties, that id among them; see [`convert::packed`].
    pub(super) packed: Vec<u8>,
    pub(super) body: Bytes,
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Outgoing {
    message: ReadyMessage,
    /// None once its sender was told that the broker does not answer. It keeps its place, which bounds what is under way.
    confirmer: Option<Confirmer>,
    since: Instant,
    /// How often the channel was closed on this message when nothing else was in flight.
    refusals: u32,
    #[expect(dead_code, reason = "held for its drop")]
    place: Place,
}

/// What bounds how much is under way. Given back with the message.
#[derive(Debug)]
#[expect(dead_code, reason = "held for its drop")]
pub(super) struct Place {
    pub(super) slot: OwnedSemaphorePermit,
    pub(super) room: OwnedSemaphorePermit,
}

/// The task's state. A message is in `waiting` (not written to this channel) or in `written`, in the order of sending.
pub(super) struct Publishing {
    link: Arc<Link>,
    queue: mpsc::UnboundedReceiver<Vec<Outgoing>>,
    unavailable_after: Duration,
    waiting: VecDeque<Outgoing>,
    written: Numbered<Outgoing>,
    next_number: u64,
    /// The exchanges known to be there.
    declared: HashSet<String>,
    /// How many messages to write one by one, to find the one on which the broker closes the channel.
    one_by_one: usize,
    /// When the channel was lost, unless something was confirmed, or nothing was left to confirm, since.
    away_since: Option<Instant>,
    /// When something was last confirmed, or this channel opened.
    last_confirm: Instant,
    /// Whether senders are gone.
    closing: bool,
}

impl Outgoing {
    /// A message with its place, and what tells of it.
    pub(super) fn new(message: ReadyMessage, place: Place) -> (Self, Confirmation) {
        let (confirmer, confirmation) = Confirmation::pending();
        let outgoing = Self { message, confirmer: Some(confirmer), since: Instant::now(), refusals: 0, place };
        (outgoing, confirmation)
    }

    /// What a return of it says.
    fn identity(&self) -> Identity {
        Identity {
            message_id: self.message.message_id.clone(),
            exchange: self.message.exchange.to_string(),
            routing_key: self.message.routing_key.to_string(),
        }
    }

    fn resolve(self, outcome: Result<Routing, TransportError>) {
        if let Some(confirmer) = self.confirmer {
            confirmer.resolve(outcome);
        }
    }
}

impl Publishing {
    pub(super) fn new(
        link: Arc<Link>,
        queue: mpsc::UnboundedReceiver<Vec<Outgoing>>,
        unavailable_after: Duration,
    ) -> Self {
        Self {
            link,
            queue,
            unavailable_after,
            waiting: VecDeque::new(),
            written: Numbered::default(),
            next_number: 0,
            declared: HashSet::new(),
            one_by_one: 0,
            away_since: None,
            last_confirm: Instant::now(),
            closing: false,
        }
    }

    /// Until the senders are gone and everything they sent is done with.
    pub(super) async fn run(mut self) {
        while let Some(channel) = self.channel().await.map(Arc::new) {
            match self.publish_on(&channel).await {
                None => {
                    close_channel(&channel).await;
                    break;
                }
                Some(error) => {
                    self.take_back(&error);
                    self.link.lost(&error).await;
                }
            }
        }
        self.link.close().await;
    }

    /// A channel with confirms on. Meanwhile messages wait, for `unavailable_after` at most.
    /// None when there is nothing left to do.
    async fn channel(&mut self) -> Option<Channel> {
        let away_since = *self.away_since.get_or_insert_with(Instant::now);
        let limit = self.unavailable_after;
        // In the order of sending, so the first expires first.
        let expiry = move |waiting: &VecDeque<Outgoing>| Some(waiting.front()?.since.max(away_since) + limit);
        let link = Arc::clone(&self.link);
        let opening = async move {
            loop {
                let channel = link.channel().await.ok()?;
                match channel.confirm_select(ConfirmSelectOptions::default()).await {
                    Ok(()) => return Some(channel),
                    Err(error) => link.lost(&error).await,
                }
            }
        };
        tokio::pin!(opening);
        loop {
            if self.closing && self.waiting.is_empty() {
                return None;
            }
            tokio::select! {
                biased;
                () = sleep_until(expiry(&self.waiting)) => {
                    if let Some(expired) = self.waiting.pop_front() {
                        expired.resolve(Err(self.link.away(limit)));
                    }
                }
                more = self.queue.recv(), if !self.closing => self.enqueue(more),
                channel = &mut opening => return channel,
            }
        }
    }

    fn enqueue(&mut self, sent: Option<Vec<Outgoing>>) {
        match sent {
            Some(sent) => self.waiting.extend(sent),
            None => self.closing = true,
        }
    }

    /// Publishes until everything is done (None) or the channel is lost.
    async fn publish_on(&mut self, channel: &Arc<Channel>) -> Option<lapin::Error> {
        let mut pending = Pending::new(ToWrite::write);
        let mut verdicts = Verdicts::default();
        let mut more = Vec::new();
        self.last_confirm = Instant::now();
        loop {
            if let Some(error) = self.settle(&mut pending, &mut verdicts) {
                return Some(error);
            }
            if let Err(error) = self.write(channel, &mut pending).await {
                return Some(error);
            }
            if self.waiting.is_empty() && self.written.is_empty() {
                (self.one_by_one, self.away_since) = (0, None);
                if self.closing {
                    return None;
                }
            }
            let overdue = self.overdue();
            tokio::select! {
                () = pending.changed() => {}
                received = self.queue.recv_many(&mut more, 1_000), if !self.closing => {
                    self.closing = received == 0;
                    more.drain(..).for_each(|sent| self.enqueue(Some(sent)));
                }
                () = tokio::time::sleep(UNDECIDED), if verdicts.undecided() => self.ask(channel, &mut pending),
                () = sleep_until(overdue) => self.tell_oldest(),
            }
        }
    }

    /// When the oldest message that is not told of has waited long enough. A broker that is out of memory or disk keeps the
    /// connection and confirms nothing; while it confirms anything, messages wait for their turn.
    fn overdue(&self) -> Option<Instant> {
        let oldest = self.written.iter().find(|outgoing| outgoing.confirmer.is_some())?;
        Some(oldest.since.max(self.last_confirm) + self.unavailable_after)
    }

    /// Says of the oldest message that it is not confirmed. The broker may have it, and may still take it: it is not sent again.
    fn tell_oldest(&mut self) {
        let away = self.link.away(self.unavailable_after);
        let oldest = self.written.iter_mut().find_map(|outgoing| outgoing.confirmer.take());
        if let Some(confirmer) = oldest {
            confirmer.resolve(Err(away));
        }
    }

    /// Writes what waits.
    async fn write(
        &mut self,
        channel: &Arc<Channel>,
        pending: &mut Pending<impl Writes<Message = ToWrite, Outcome = Confirmed>>,
    ) -> Result<(), lapin::Error> {
        while let Some(next) = self.waiting.front() {
            if self.one_by_one > 0 && !self.written.is_empty() {
                break;
            }
            if !self.declared.contains(next.message.exchange.as_str()) {
                let exchange = next.message.exchange.to_string();
                match self.declare(&exchange).await {
                    Ok(()) => {
                        self.declared.insert(exchange);
                    }
                    // May publish and may not declare: then somebody else has.
                    Err(failure) if reply_code(&failure.error) == Some(403) => {
                        self.declared.insert(exchange);
                    }
                    Err(failure) if failure.is_final() => {
                        if let Some(refused) = self.waiting.pop_front() {
                            refused.resolve(Err(failure.explain(self.link.broker())));
                        }
                        continue;
                    }
                    Err(failure) => return Err(failure.error),
                }
            }
            let Some(next) = self.waiting.pop_front() else { break };
            let number = self.number();
            pending.start(
                number,
                ToWrite {
                    channel: Arc::clone(channel),
                    exchange: next.message.exchange.clone(),
                    routing_key: next.message.routing_key.clone(),
                    options: BasicPublishOptions { mandatory: true, immediate: false },
                    body: next.message.body.clone(),
                    properties: convert::carried(&next.message.packed),
                },
            );
            self.written.push(number, next);
        }
        pending.watch();
        Ok(())
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// On a channel of its own: a refusal closes it.
    async fn declare(&self, exchange: &str) -> Result<(), Failure> {
        if exchange.is_empty() {
            return Ok(());
        }
        let away = |error: TransportError| Failure {
            what: format!("exchange `{exchange}`"),
            error: std::io::Error::other(error.to_string()).into(),
        };
        let channel = self.link.try_channel().await.map_err(away)?;
        topology::declare_exchange(&channel, exchange).await?;
        close_channel(&channel).await;
        Ok(())
    }

    /// Publishes what nobody gets, for the sake of its confirm.
    fn ask(
        &mut self,
        channel: &Arc<Channel>,
        pending: &mut Pending<impl Writes<Message = ToWrite, Outcome = Confirmed>>,
    ) {
        let number = self.number();
        pending.start(
            number,
            ToWrite {
                channel: Arc::clone(channel),
                exchange: ShortString::default(),
                routing_key: short(&format!("celerysalt.nowhere.{}", uuid::Uuid::new_v4())),
                options: BasicPublishOptions::default(),
                body: Bytes::new(),
                properties: BasicProperties::default(),
            },
        );
        pending.watch();
    }

    /// Resolves what has been decided; an error when the channel is lost.
    fn settle(
        &mut self,
        pending: &mut Pending<impl Writes<Message = ToWrite, Outcome = Confirmed>>,
        verdicts: &mut Verdicts,
    ) -> Option<lapin::Error> {
        let mut lost = None;
        let drained = pending.drain();
        if drained.iter().any(|(_, result)| result.is_ok()) {
            self.last_confirm = Instant::now();
        }
        for (number, result) in drained {
            let (acked, returned) = match result {
                Ok(Confirmed::Ack(returned)) => (true, returned),
                Ok(Confirmed::Nack(returned)) => (false, returned),
                Ok(Confirmed::NotRequested) => continue,
                Err(error) => {
                    lost.get_or_insert(error);
                    continue;
                }
            };
            if let Some(returned) = &returned {
                verdicts.returned(returned);
            }
            match (acked, self.written.get(number).is_some()) {
                (true, true) => verdicts.acked(number, returned.is_some()),
                (false, true) => self.refused_by_queue(number),
                // Our own question.
                (_, false) => {}
            }
            if returned.is_none() {
                verdicts.nothing_returned();
            }
        }
        // A lost channel takes along the returns that lapin has not given out.
        let idle = lost.is_none() && pending.is_empty();
        let identity = |number| self.written.get(number).map(Outgoing::identity);
        for (number, routing) in verdicts.decide(idle, identity) {
            if let Some(outgoing) = self.written.remove(number) {
                outgoing.resolve(Ok(routing));
                self.away_since = None;
                self.one_by_one = self.one_by_one.saturating_sub(1);
            }
        }
        lost
    }

    /// A nack. Not repeated here: a full queue would keep all others waiting.
    fn refused_by_queue(&mut self, number: u64) {
        if let Some(outgoing) = self.written.remove(number) {
            let what = format!("a message for `{}`", outgoing.message.routing_key);
            outgoing.resolve(Err(TransportError::NotTaken {
                broker: self.link.broker().to_owned(),
                what,
                reason: "basic.nack: a queue is full, or its node is failing".to_owned(),
            }));
            self.one_by_one = self.one_by_one.saturating_sub(1);
        }
    }

    /// Puts what is not confirmed back in front of what waits. When the broker closed the channel over one of these
    /// messages without saying which, they go one by one until it is found.
    fn take_back(&mut self, error: &lapin::Error) {
        let written = std::mem::take(&mut self.written);
        if error.is_amqp_soft_error() {
            // It may be that an exchange was deleted.
            self.declared.clear();
            self.one_by_one = self.one_by_one.max(written.len());
        }
        let alone = written.len() == 1;
        for mut outgoing in written.into_values().rev() {
            if outgoing.confirmer.is_none() {
                // Its sender was told that it failed, and may have sent it again.
                self.one_by_one = self.one_by_one.saturating_sub(1);
                continue;
            }
            if alone && error.is_amqp_soft_error() {
                outgoing.refusals += 1;
                if outgoing.refusals > 1 && reply_code(error).is_some() {
                    self.one_by_one = self.one_by_one.saturating_sub(1);
                    let failure = Failure::new(format!("a message for `{}`", outgoing.message.routing_key));
                    let (broker, failure) = (self.link.broker().to_owned(), failure(error.clone()));
                    let reason = failure.error.to_string();
                    outgoing.resolve(Err(TransportError::Refused { broker, what: failure.what, reason }));
                    continue;
                }
            }
            self.waiting.push_front(outgoing);
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
