//! The publishing side as senders see it: checks a message, waits for its place, and hands it to the task that
//! publishes ([`super::publishing`]).

use std::{
    sync::{Arc, Mutex as SyncMutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Mutex, Semaphore, mpsc},
    task::JoinHandle,
    time::Instant,
};

use super::{
    AmqpOptions, convert,
    link::Link,
    publishing::{Outgoing, Place, Publishing, ReadyMessage},
};
use crate::transport::{Confirmation, Message, TransportError, check_names};

/// How many bytes of bodies may be sent and not yet confirmed, unless one message alone is larger.
const MAX_BYTES_IN_FLIGHT: usize = 64 * 1024 * 1024;

/// The end of the queue that senders hold.
#[derive(Debug)]
pub(super) struct Publisher {
    broker: String,
    /// None once closed.
    queue: SyncMutex<Option<mpsc::UnboundedSender<Vec<Outgoing>>>>,
    /// Bound the queue, by messages and by bytes. Held until the confirmation.
    slots: Arc<Semaphore>,
    room: Arc<Semaphore>,
    link: Arc<Link>,
    max_message_size: usize,
    unavailable_after: Duration,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Publisher {
    pub(super) fn start(link: Link, options: AmqpOptions) -> Self {
        let link = Arc::new(link);
        let (sender, receiver) = mpsc::unbounded_channel();
        let bytes = MAX_BYTES_IN_FLIGHT.max(options.max_message_size);
        let task = tokio::spawn(Publishing::new(Arc::clone(&link), receiver, options.unavailable_after).run());
        Self {
            broker: link.broker().to_owned(),
            queue: SyncMutex::new(Some(sender)),
            slots: Arc::new(Semaphore::new(options.max_in_flight)),
            room: Arc::new(Semaphore::new(bytes)),
            link,
            max_message_size: options.max_message_size,
            unavailable_after: options.unavailable_after,
            task: Mutex::new(Some(task)),
        }
    }

    pub(super) async fn send(&self, message: Message) -> Result<Confirmation, TransportError> {
        let mut placed = Vec::with_capacity(1);
        let confirmation = self.place_in(&mut placed, message).await?;
        self.hand_over(placed)?;
        Ok(confirmation)
    }

    /// The task is woken for all of them, not for each.
    pub(super) async fn send_all(&self, messages: Vec<Message>) -> Vec<Result<Confirmation, TransportError>> {
        let (mut outcomes, mut placed) = (Vec::with_capacity(messages.len()), Vec::with_capacity(messages.len()));
        let mut gone: Option<TransportError> = None;
        for message in messages {
            let outcome = match gone.clone() {
                Some(gone) => Err(gone),
                None => self.place_in(&mut placed, message).await,
            };
            gone = outcome.as_ref().err().filter(|error| error.is_of_all()).cloned();
            outcomes.push(outcome);
        }
        // With nobody to take them they are dropped, which their confirmations tell.
        drop(self.hand_over(placed));
        outcomes
    }

    /// Adds a message to those that have a place; where it has to wait for one, they go on first: it may be theirs.
    async fn place_in(&self, placed: &mut Vec<Outgoing>, message: Message) -> Result<Confirmation, TransportError> {
        let message = self.ready(message)?;
        let place = if let Some(place) = self.place_now(&message) {
            place
        } else {
            drop(self.hand_over(std::mem::take(placed)));
            // In a box of its own: most messages find a place at once.
            Box::pin(self.place(&message)).await?
        };
        let (outgoing, confirmation) = Outgoing::new(message, place);
        placed.push(outgoing);
        Ok(confirmation)
    }

    fn hand_over(&self, messages: Vec<Outgoing>) -> Result<(), TransportError> {
        if messages.is_empty() {
            return Ok(());
        }
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.as_ref() {
            Some(queue) if queue.send(messages).is_ok() => Ok(()),
            _ => Err(TransportError::Closed),
        }
    }

    /// Refuses what AMQP or the broker can't carry.
    fn ready(&self, message: Message) -> Result<ReadyMessage, TransportError> {
        let Message { exchange, routing_key, mut properties, headers, body } = message;
        let (size, limit) = (body.len(), self.max_message_size);
        if size > limit {
            return Err(TransportError::TooLarge { size, limit });
        }
        check_names(&self.broker, [("exchange", &exchange), ("routing key", &routing_key)])?;
        // What a return is told apart by, and what a reader deduplicates by when a message is sent again.
        properties.message_id.get_or_insert_with(|| uuid::Uuid::new_v4().to_string());
        // More would close the connection, and again after each reconnect.
        let most = self.link.frame_max().saturating_sub(64);
        let reason = match convert::packed(&properties, &headers) {
            Ok(packed) if packed.len() <= most => {
                let message_id = properties.message_id.unwrap_or_default();
                return Ok(ReadyMessage {
                    exchange: convert::short("exchange", exchange).unwrap_or_default(),
                    routing_key: convert::short("routing key", routing_key).unwrap_or_default(),
                    message_id,
                    packed,
                    body,
                });
            }
            Ok(packed) => format!("its headers take {} bytes, and the broker takes {most}", packed.len()),
            Err(reason) => reason,
        };
        let what = format!("a message for `{routing_key}`");
        Err(TransportError::Refused { broker: self.broker.clone(), what, reason })
    }

    /// A place for the message, if there is one and nobody waits for it.
    fn place_now(&self, message: &ReadyMessage) -> Option<Place> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        Some(Place { slot, room: Arc::clone(&self.room).try_acquire_many_owned(bytes(message)).ok()? })
    }

    /// Waits for a place.
    async fn place(&self, message: &ReadyMessage) -> Result<Place, TransportError> {
        let limit = Instant::now() + self.unavailable_after;
        let place = async {
            let slot = Arc::clone(&self.slots).acquire_owned().await?;
            let room = Arc::clone(&self.room).acquire_many_owned(bytes(message)).await?;
            Ok::<_, tokio::sync::AcquireError>(Place { slot, room })
        };
        match tokio::time::timeout_at(limit, place).await {
            Ok(place) => place.map_err(|_| TransportError::Closed),
            Err(_) => Err(self.link.away(self.unavailable_after)),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.link.is_connected()
    }

    /// Takes no more, waits until what was taken is confirmed, and closes the connection.
    pub(super) async fn close(&self, limit: Duration) {
        self.slots.close();
        self.room.close();
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut task) = self.task.lock().await.take()
            && tokio::time::timeout(limit, &mut task).await.is_err()
        {
            // Dropped with the task, what is left resolves to `Closed`.
            task.abort();
        }
        self.link.close().await;
    }
}

fn bytes(message: &ReadyMessage) -> u32 {
    u32::try_from(message.body.len()).unwrap_or(u32::MAX)
}
