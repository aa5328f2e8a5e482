//! Acks: one task per channel takes them from all handlers, writes them in batches, and closes the channel when the last
//! delivery is settled, not before the broker has read the last ack.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions, BasicQosOptions},
};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    closed,
    link::{Link, close_channel},
};
use crate::transport::{Settle, Settlement, TransportError};

/// How many acks are written together at most.
const BATCH: usize = 512;

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
    /// Nobody waits for an abandoned one.
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
    pub(super) fn start(
        link: &Link,
        channel: Channel,
        closing: watch::Receiver<bool>,
        guard: mpsc::Sender<()>,
    ) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            Settler { channel, acked: Acked::default() }.run(receiver, closing).await;
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

    fn abandon(self: Box<Self>) {
        let _ = self.settling.send(Settled { tag: self.tag, settlement: Settlement::Requeue, done: None });
    }
}

#[async_trait]
impl Settle for NeedsNoAck {
    async fn settle(self: Box<Self>, _: Settlement) -> Result<(), TransportError> {
        Ok(())
    }

    fn abandon(self: Box<Self>) {}
}

struct Settler {
    channel: Channel,
    acked: Acked,
}

impl Settler {
    async fn run(mut self, mut receiver: mpsc::UnboundedReceiver<Settled>, closing: watch::Receiver<bool>) {
        let mut batch = Vec::with_capacity(BATCH);
        let closed = closed(closing);
        tokio::pin!(closed);
        let mut open = true;
        loop {
            tokio::select! {
                biased;
                received = receiver.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        break;
                    }
                    self.write(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))).await;
                }
                () = &mut closed, if open => {
                    // What was settled up to now is still written; what is settled later comes again.
                    open = false;
                    receiver.close();
                }
            }
        }
        // RabbitMQ reads a channel in order, so its answer means that it has read the acks. Closing at once would lose
        // some on quorum queues.
        if self.channel.status().connected() {
            let _ = tokio::time::timeout(
                std::time::Duration::from_secs(5),
                self.channel.basic_qos(1, BasicQosOptions::default()),
            )
            .await;
        }
        close_channel(&self.channel).await;
    }

    async fn write(&mut self, batch: Vec<Settled>) {
        let mut requeue = Vec::new();
        let mut ack = Vec::new();
        for settled in &batch {
            match settled.settlement {
                Settlement::Ack => ack.push(settled.tag),
                Settlement::Requeue => requeue.push(settled.tag),
            }
        }
        let frames = self.acked.frames(&requeue, ack);
        let requeued = requeue.into_iter().map(|tag| {
            let options = BasicNackOptions { multiple: false, requeue: true };
            self.channel.basic_nack(tag, options)
        });
        let written = futures_util::future::join(
            futures_util::future::join_all(requeued),
            futures_util::future::join_all(
                frames.into_iter().map(|(tag, multiple)| self.channel.basic_ack(tag, BasicAckOptions { multiple })),
            ),
        );
        let (requeued, acked) = written.await;
        let ok = requeued.iter().chain(&acked).all(Result::is_ok);
        for settled in batch {
            if let Some(done) = settled.done {
                let _ = done.send(ok);
            }
        }
    }
}

/// Which of a channel's deliveries are settled. Tags count from 1, so all up to some tag can be acked in one frame.
#[derive(Debug, Default)]
struct Acked {
    /// All up to this one are settled.
    through: u64,
    /// Settled beyond it.
    beyond: BTreeSet<u64>,
}

impl Acked {
    /// The frames (tag, multiple) that ack `ack`, after `requeue` were given back one by one.
    fn frames(&mut self, requeue: &[u64], mut ack: Vec<u64>) -> Vec<(u64, bool)> {
        self.beyond.extend(requeue.iter().chain(&ack));
        while self.beyond.remove(&(self.through + 1)) {
            self.through += 1;
        }
        ack.sort_unstable();
        let single = ack.split_off(ack.partition_point(|tag| *tag <= self.through));
        // The tag of a multiple ack must itself be out: the last that is acked now, not the last settled.
        let multiple = ack.last().map(|tag| (*tag, ack.len() > 1));
        multiple.into_iter().chain(single.into_iter().map(|tag| (tag, false))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acks_the_settled_prefix_at_once_and_the_rest_one_by_one() {
        let mut acked = Acked::default();
        assert_eq!(acked.frames(&[], vec![3, 5]), [(3, false), (5, false)]);
        assert_eq!(acked.frames(&[], vec![2, 1]), [(2, true)]);
        assert_eq!((acked.through, acked.beyond.len()), (3, 1));
        // 5 was acked before, 4 is given back: nothing to ack.
        assert_eq!(acked.frames(&[4], vec![]), []);
        assert_eq!(acked.through, 5);
        // The prefix ends with one that is given back: the multiple ack stops before it.
        assert_eq!(acked.frames(&[8], vec![6, 7]), [(7, true)]);
        assert_eq!(acked.frames(&[], vec![9]), [(9, false)]);
    }
}
