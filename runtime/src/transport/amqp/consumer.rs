//! The consuming side: a task and a channel per queue. When the channel is lost, or the queue is deleted, the task
//! declares everything again and goes on; the reader of [`Deliveries`] does not notice.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use lapin::{
    Channel, Consumer,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot, watch,
    },
    time::Instant,
};

use super::{
    closed, convert,
    link::{Backoff, Link, close_channel},
    settling::{self, NeedsNoAck, Settling},
    topology::{self, Failure, short},
};
use crate::transport::{Binding, Deliveries, Delivery, QueueSpec, Settle, TransportError};

/// How many replies wait between the broker's buffer and the caller.
const REPLY_BUFFER: usize = 1_024;
/// How many messages that only pass by are in this process at a time.
const PASSING_PREFETCH: u16 = 100;
/// A channel that lived this long was well: the next failure starts with the shortest pause.
const WELL: Duration = Duration::from_secs(5);
/// How often exchanges and bindings are declared again: the broker does not tell when somebody deletes them.
const BOUND_AGAIN: Duration = Duration::from_secs(15);

/// What to consume.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Queue {
        spec: QueueSpec,
        prefetch: u16,
    },
    /// An exclusive queue of this name, declared on the channel that consumes it.
    Replies {
        name: String,
    },
    /// What goes by: an exclusive queue of this name, bound to an exchange that is there.
    Passing {
        name: String,
        bindings: Vec<Binding>,
    },
}

impl Source {
    fn queue(&self) -> &str {
        match self {
            Self::Queue { spec, .. } => &spec.name,
            Self::Replies { name } | Self::Passing { name, .. } => name,
        }
    }

    fn buffer(&self) -> usize {
        match self {
            Self::Queue { prefetch, .. } => usize::from(*prefetch),
            Self::Replies { .. } => REPLY_BUFFER,
            Self::Passing { .. } => usize::from(PASSING_PREFETCH),
        }
    }
}

/// Declares the queue, consumes it, and leaves a task behind that goes on with it.
pub(super) async fn start(
    source: Source,
    link: Arc<Link>,
    closing: watch::Receiver<bool>,
    guard: mpsc::Sender<()>,
) -> Result<Deliveries, TransportError> {
    let queue = source.queue().to_owned();
    let (sender, receiver) = mpsc::channel(source.buffer());
    let (cancel, cancelled) = oneshot::channel();
    let consuming = Consuming { source, link, sender, closing, guard };
    let session = loop {
        match consuming.open().await {
            Ok(session) => break session,
            Err(NotOpen::Failed(failure)) if !failure.is_final() => consuming.link.lost(&failure.error).await,
            Err(error) => return Err(error.explain(consuming.link.broker())),
        }
    };
    tokio::spawn(consuming.run(session, cancelled));
    Ok(Deliveries::new(queue, receiver, cancel))
}

/// A consumer that outlives its channels.
struct Consuming {
    source: Source,
    link: Arc<Link>,
    sender: mpsc::Sender<Result<Delivery, TransportError>>,
    closing: watch::Receiver<bool>,
    /// Held by all tasks, for [`crate::transport::Transport::close`] to wait for.
    guard: mpsc::Sender<()>,
}

/// One channel's worth of consuming.
struct Session {
    channel: Channel,
    consumer: Consumer,
    /// None when deliveries need no ack.
    settling: Option<Settling>,
}

enum NotOpen {
    Closed,
    Failed(Failure),
}

impl NotOpen {
    fn explain(self, broker: &str) -> TransportError {
        match self {
            Self::Closed => TransportError::Closed,
            Self::Failed(failure) => failure.explain(broker),
        }
    }
}

impl From<Failure> for NotOpen {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Why a session ended.
enum End {
    /// The reader or the transport is done.
    Done,
    Lost(String),
}

impl Consuming {
    /// Waits for a connection, however long.
    async fn open(&self) -> Result<Session, NotOpen> {
        let channel = self.link.channel().await.map_err(|_| NotOpen::Closed)?;
        let what = format!("consuming `{}`", self.source.queue());
        let options = match &self.source {
            Source::Queue { spec, prefetch } => {
                topology::declare(&channel, spec).await?;
                // Without, lapin's buffer would grow with the queue.
                channel.basic_qos(*prefetch, BasicQosOptions::default()).await.map_err(Failure::new(&what))?;
                BasicConsumeOptions::default()
            }
            Source::Replies { name } => {
                topology::declare_replies(&channel, name).await?;
                BasicConsumeOptions { no_ack: true, exclusive: true, ..BasicConsumeOptions::default() }
            }
            Source::Passing { name, bindings } => {
                topology::declare_passing(&channel, name, bindings).await?;
                channel.basic_qos(PASSING_PREFETCH, BasicQosOptions::default()).await.map_err(Failure::new(&what))?;
                BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() }
            }
        };
        let queue = short(self.source.queue());
        let consumer = channel
            .basic_consume(queue, ShortString::default(), options, FieldTable::default())
            .await
            .map_err(Failure::new(what))?;
        let group = match &self.source {
            Source::Replies { .. } => None,
            Source::Queue { spec, prefetch } => Some(settling::group(spec.kind, *prefetch)),
            Source::Passing { .. } => Some(1),
        };
        let settling = group.map(|group| {
            let (closing, guard) = (self.closing.clone(), self.guard.clone());
            Settling::start(&self.link, channel.clone(), group, closing, guard)
        });
        Ok(Session { channel, consumer, settling })
    }

    async fn run(self, mut session: Session, mut cancelled: oneshot::Receiver<()>) {
        let mut backoff = Backoff::default();
        loop {
            let opened = Instant::now();
            let reason = match self.hand_out(&mut session, &mut cancelled).await {
                End::Done => return session.finish().await,
                End::Lost(reason) => reason,
            };
            tracing::warn!(broker = self.link.broker(), queue = self.source.queue(), reason, "lost a consumer");
            session.abandon().await;
            if opened.elapsed() > WELL {
                backoff = Backoff::default();
            }
            session = tokio::select! {
                _ = &mut cancelled => return,
                () = closed(self.closing.clone()) => return,
                session = self.reopen(&mut backoff) => match session {
                    Ok(session) => session,
                    Err(TransportError::Closed) => return,
                    Err(error) => {
                        tracing::error!(broker = self.link.broker(), queue = self.source.queue(), %error, "consumer ended");
                        // Nobody reads it: then nobody misses it.
                        let _ = self.sender.send(Err(error)).await;
                        return;
                    }
                },
            };
            tracing::info!(broker = self.link.broker(), queue = self.source.queue(), "consuming again");
        }
    }

    async fn reopen(&self, backoff: &mut Backoff) -> Result<Session, TransportError> {
        loop {
            tokio::time::sleep(backoff.next()).await;
            match self.open().await {
                Ok(session) => return Ok(session),
                Err(NotOpen::Failed(failure)) if !failure.is_final() => {
                    tracing::debug!(queue = self.source.queue(), what = failure.what, error = %failure.error, "not yet");
                }
                Err(error) => return Err(error.explain(self.link.broker())),
            }
        }
    }

    /// Declares the queue with its exchanges and bindings now and then, and never ends. An exchange that was deleted while a
    /// service runs is there again after a while, and what is published to it reaches the queue.
    async fn keep_bound(&self) {
        let Source::Queue { spec, .. } = &self.source else { return std::future::pending().await };
        if spec.bindings.is_empty() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(BOUND_AGAIN).await;
            // On a channel of its own: a refusal closes it.
            let Ok(channel) = self.link.try_channel().await else { continue };
            match topology::declare(&channel, spec).await {
                Ok(()) => close_channel(&channel).await,
                Err(failure) => {
                    tracing::warn!(queue = spec.name, what = failure.what, error = %failure.error, "a binding can't be declared");
                }
            }
        }
    }

    /// Passes deliveries on until something ends that.
    async fn hand_out(&self, session: &mut Session, cancelled: &mut oneshot::Receiver<()>) -> End {
        let closed = closed(self.closing.clone());
        let binding = self.keep_bound();
        tokio::pin!(closed, binding);
        loop {
            let delivery = tokio::select! {
                biased;
                _ = &mut *cancelled => return End::Done,
                () = &mut closed => return End::Done,
                () = &mut binding => return End::Done,
                next = session.consumer.next() => match next {
                    Some(Ok(delivery)) => session.delivery(delivery),
                    Some(Err(error)) => return End::Lost(error.to_string()),
                    // Not an end: the queue was deleted, or its node went away.
                    None => return End::Lost("the broker cancelled it; was the queue deleted?".to_owned()),
                },
            };
            // Given back by its drop when the reader is gone.
            let delivery = match self.sender.try_send(Ok(delivery)) {
                Ok(()) => continue,
                Err(TrySendError::Full(delivery)) => delivery,
                Err(TrySendError::Closed(_)) => return End::Done,
            };
            tokio::select! {
                biased;
                _ = &mut *cancelled => return End::Done,
                () = &mut closed => return End::Done,
                sent = self.sender.send(delivery) => if sent.is_err() {
                    return End::Done;
                },
            }
        }
    }
}

impl Session {
    fn delivery(&self, delivery: lapin::message::Delivery) -> Delivery {
        let settle: Box<dyn Settle> = match &self.settling {
            Some(settling) => Box::new(settling.delivery(delivery.delivery_tag)),
            None => Box::new(NeedsNoAck),
        };
        let message = convert::from_amqp(delivery.exchange, delivery.routing_key, delivery.properties, delivery.data);
        Delivery::new(message, delivery.redelivered, settle)
    }

    /// Stops taking messages and gives back what was taken and not handed out. The channel stays open for the acks of
    /// what was handed out; see [`Settling`].
    async fn finish(mut self) {
        let cancel = self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default());
        if matches!(tokio::time::timeout(Duration::from_secs(5), cancel).await, Ok(Ok(()))) {
            // Ends: the broker has said that nothing more comes.
            while let Some(Ok(delivery)) = self.consumer.next().await {
                drop(self.delivery(delivery));
            }
        }
        self.abandon().await;
    }

    /// Lets go of the channel. With acks it is the settling task's to close.
    async fn abandon(self) {
        if self.settling.is_none() {
            close_channel(&self.channel).await;
        }
    }
}
