//! Acks: one task per channel takes them from all handlers, writes them in batches, and closes the channel when the last
//! delivery is settled, not before the broker has read the last ack.
//!
//! An ack of many messages costs the broker about as much as an ack of one, so acks for which nobody waits are kept for a
//! moment ([`LINGER`]), until there is a group of them in the order of delivery.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions, BasicQosOptions},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{
    closed,
    link::{Link, close_channel},
};
use crate::transport::{QueueKind, Settle, Settlement, TransportError};

/// How many acks are taken together at most.
const BATCH: usize = 512;
/// How long an ack for which nobody waits is kept, for others to go with it.
const LINGER: Duration = Duration::from_millis(5);
/// How many acks make a group at most.
const GROUP: usize = 64;

/// How many acks make a group. The broker must not run out of messages to hand out while acks wait. And a classic queue
/// writes to disk what is not acked at once, which for a request that was answered would be in vain.
pub(super) fn group(kind: QueueKind, prefetch: u16) -> usize {
    match kind {
        QueueKind::Quorum => usize::from(prefetch / 8).clamp(1, GROUP),
        QueueKind::ClassicWithPriority(_) => 1,
    }
}

/// A delivery of one channel. The channel stays open as long as there is one of these.
#[derive(Debug)]
pub(super) struct Unsettled {
    tag: u64,
    broker: Arc<str>,
    settling: mpsc::UnboundedSender<Settled>,
}

/// A delivery that the broker took for acked when it sent it.
#[derive(Debug)]
pub(super) struct NeedsNoAck;

/// Whatever was decided about a delivery.
#[derive(Debug)]
struct Settled {
    tag: u64,
    settlement: Settlement,
    /// None when nobody waits.
    done: Option<oneshot::Sender<bool>>,
}

/// Gives out the [`Unsettled`]s of one channel.
#[derive(Clone, Debug)]
pub(super) struct Settling {
    broker: Arc<str>,
    sender: mpsc::UnboundedSender<Settled>,
}

impl Settling {
    /// Starts the task. It ends, with the channel, when this and all that it gave out are gone, or when `closing` turns
    /// true. `guard` is dropped then.
    /// `group` is how many acks for which nobody waits are worth writing; of one at a time, none waits for others.
    pub(super) fn start(
        link: &Link,
        channel: Channel,
        group: usize,
        closing: watch::Receiver<bool>,
        guard: mpsc::Sender<()>,
    ) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            Settler { channel, acked: Acked::default(), group }.run(receiver, closing).await;
            drop(guard);
        });
        Self { broker: link.broker().into(), sender }
    }

    pub(super) fn delivery(&self, tag: u64) -> Unsettled {
        Unsettled { tag, broker: Arc::clone(&self.broker), settling: self.sender.clone() }
    }
}

#[async_trait]
impl Settle for Unsettled {
    async fn settle(self: Box<Self>, settlement: Settlement) -> Result<(), TransportError> {
        let (done, told) = oneshot::channel();
        // Both fail when the task is gone, with its channel.
        let _ = self.settling.send(Settled { tag: self.tag, settlement, done: Some(done) });
        if told.await == Ok(true) {
            return Ok(());
        }
        Err(TransportError::Unavailable {
            broker: self.broker.to_string(),
            reason: "the channel that delivered this message is gone: the message will come again".to_owned(),
        })
    }

    fn settle_soon(self: Box<Self>, settlement: Settlement) {
        let _ = self.settling.send(Settled { tag: self.tag, settlement, done: None });
    }
}

#[async_trait]
impl Settle for NeedsNoAck {
    async fn settle(self: Box<Self>, _: Settlement) -> Result<(), TransportError> {
        Ok(())
    }

    fn settle_soon(self: Box<Self>, _: Settlement) {}
}

struct Settler {
    channel: Channel,
    acked: Acked,
    /// How many acks are worth writing.
    group: usize,
}

impl Settler {
    async fn run(mut self, mut receiver: mpsc::UnboundedReceiver<Settled>, closing: watch::Receiver<bool>) {
        let mut batch = Vec::with_capacity(BATCH);
        let closed = closed(closing);
        tokio::pin!(closed);
        let mut open = true;
        let linger = tokio::time::sleep(LINGER);
        tokio::pin!(linger);
        loop {
            let waited_for = !self.acked.held.is_empty();
            tokio::select! {
                biased;
                received = receiver.recv_many(&mut batch, BATCH) => {
                    let last = received == 0;
                    let urgent = self.write(batch.drain(..), last).await;
                    if last {
                        break;
                    }
                    if !waited_for || urgent {
                        linger.as_mut().reset(Instant::now() + LINGER);
                    }
                }
                () = &mut closed, if open => {
                    // What was settled up to now is still written; what is settled later comes again.
                    open = false;
                    receiver.close();
                }
                () = &mut linger, if waited_for => {
                    self.write(std::iter::empty(), true).await;
                }
            }
        }
        // RabbitMQ reads a channel in order, so its answer means that it has read the acks. Closing at once would lose
        // some on quorum queues.
        if self.channel.status().connected() {
            let _ = tokio::time::timeout(Duration::from_secs(5), self.channel.basic_qos(1, BasicQosOptions::default()))
                .await;
        }
        close_channel(&self.channel).await;
    }

    /// Takes what was settled and writes what is due: all of it when somebody waits for any of it or `all` says so, which
    /// is returned.
    async fn write(&mut self, batch: impl Iterator<Item = Settled>, all: bool) -> bool {
        let (mut requeued, mut waiting) = (Vec::new(), Vec::new());
        for settled in batch {
            match settled.settlement {
                Settlement::Ack => self.acked.ack(settled.tag),
                Settlement::Requeue => {
                    self.acked.settled(settled.tag);
                    requeued.push(settled.tag);
                }
            }
            waiting.extend(settled.done);
        }
        let all = all || !waiting.is_empty() || self.group == 1;
        let frames = if all || self.acked.held.len() >= self.group { self.acked.frames(all) } else { Vec::new() };
        if requeued.is_empty() && frames.is_empty() {
            return all;
        }
        let requeued = requeued.into_iter().map(|tag| {
            let options = BasicNackOptions { multiple: false, requeue: true };
            self.channel.basic_nack(tag, options)
        });
        // Given back first: an ack of many is one of all before it that are out.
        let written = futures_util::future::join(
            futures_util::future::join_all(requeued),
            futures_util::future::join_all(
                frames.into_iter().map(|(tag, multiple)| self.channel.basic_ack(tag, BasicAckOptions { multiple })),
            ),
        );
        let (requeued, acked) = written.await;
        let lost = requeued.into_iter().chain(acked).find_map(Result::err);
        if let Some(error) = &lost {
            tracing::debug!(%error, "messages could not be settled and will come again");
        }
        for done in waiting {
            let _ = done.send(lost.is_none());
        }
        all
    }
}

/// Which of a channel's deliveries are settled. Tags count from 1, so all up to some tag can be acked in one frame.
#[derive(Debug, Default)]
struct Acked {
    /// All up to this one are settled.
    through: u64,
    /// Settled beyond it.
    beyond: BTreeSet<u64>,
    /// Acked, and the broker was not told.
    held: Vec<u64>,
}

impl Acked {
    /// One more is settled; if it was given back, the broker is told before [`Acked::frames`] are written.
    fn settled(&mut self, tag: u64) {
        if tag != self.through + 1 {
            self.beyond.insert(tag);
            return;
        }
        self.through = tag;
        while self.beyond.first() == Some(&(self.through + 1)) {
            self.beyond.pop_first();
            self.through += 1;
        }
    }

    fn ack(&mut self, tag: u64) {
        self.settled(tag);
        self.held.push(tag);
    }

    /// The frames (tag, multiple) that ack what is held: what all before it are settled, in one, and the others too when
    /// `all` says so.
    fn frames(&mut self, all: bool) -> Vec<(u64, bool)> {
        self.held.sort_unstable();
        let prefix = self.held.partition_point(|tag| *tag <= self.through);
        // The tag of a multiple ack must itself be out: the last that is acked now, not the last settled.
        let multiple = self.held[..prefix].last().map(|tag| (*tag, prefix > 1));
        let mut frames: Vec<(u64, bool)> = multiple.into_iter().collect();
        if all {
            frames.extend(self.held[prefix..].iter().map(|tag| (*tag, false)));
            self.held.clear();
        } else {
            self.held.drain(..prefix);
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(acked: &mut Acked, requeue: &[u64], ack: &[u64], all: bool) -> Vec<(u64, bool)> {
        for tag in requeue {
            acked.settled(*tag);
        }
        for tag in ack {
            acked.ack(*tag);
        }
        acked.frames(all)
    }

    #[test]
    fn acks_the_settled_prefix_at_once_and_the_rest_one_by_one() {
        let mut acked = Acked::default();
        assert_eq!(frames(&mut acked, &[], &[3, 5], true), [(3, false), (5, false)]);
        assert_eq!(frames(&mut acked, &[], &[2, 1], true), [(2, true)]);
        assert_eq!((acked.through, acked.beyond.len()), (3, 1));
        // 5 was acked before, 4 is given back: nothing to ack.
        assert_eq!(frames(&mut acked, &[4], &[], true), []);
        assert_eq!(acked.through, 5);
        // The prefix ends with one that is given back: the multiple ack stops before it.
        assert_eq!(frames(&mut acked, &[8], &[6, 7], true), [(7, true)]);
        assert_eq!(frames(&mut acked, &[], &[9], true), [(9, false)]);
    }

    #[test]
    fn what_waits_for_one_before_it_is_held_until_that_one_or_the_time_comes() {
        let mut acked = Acked::default();
        assert_eq!(frames(&mut acked, &[], &[2, 4, 3], false), []);
        assert_eq!(frames(&mut acked, &[], &[1, 6], false), [(4, true)]);
        assert_eq!(acked.held, [6]);
        assert_eq!(acked.frames(true), [(6, false)]);
        assert_eq!(frames(&mut acked, &[], &[5], false), [(5, false)]);
        assert_eq!((acked.through, acked.beyond.len(), acked.held.len()), (6, 0, 0));
    }
}
