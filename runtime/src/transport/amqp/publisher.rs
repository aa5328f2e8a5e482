//! The publishing side as senders see it: checks a message, waits for its place, and hands it to the task that
//! publishes ([`super::publishing`]).

use std::{
    sync::{Arc, Mutex as SyncMutex, PoisonError},
    time::Duration,
};

use lapin::BasicProperties;
use tokio::{
    sync::{Mutex, Semaphore, mpsc},
    task::JoinHandle,
    time::Instant,
};

use super::{
    AmqpOptions,
    confirms::Identity,
    convert,
    link::Link,
    publishing::{Outgoing, Publishing},
    topology::short,
};
use crate::transport::{Confirmation, Message, TransportError, check_names};

/// How many bytes of bodies may be sent and not yet confirmed, unless one message alone is larger.
const MAX_BYTES_IN_FLIGHT: usize = 64 * 1024 * 1024;

/// The end of the queue that senders hold.
#[derive(Debug)]
pub(super) struct Publisher {
    broker: String,
    /// None once closed.
    queue: SyncMutex<Option<mpsc::UnboundedSender<Box<Outgoing>>>>,
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

    pub(super) async fn send(&self, mut message: Message) -> Result<Confirmation, TransportError> {
        let size = message.body.len();
        if size > self.max_message_size {
            return Err(TransportError::TooLarge { size, limit: self.max_message_size });
        }
        check_names(&self.broker, [("exchange", &message.exchange), ("routing key", &message.routing_key)])?;
        // What a return is told apart by, and what a reader deduplicates by when a message is sent again.
        let message_id = message.properties.message_id.get_or_insert_with(|| uuid::Uuid::new_v4().to_string()).clone();
        let (properties, packed) = self.properties(&mut message)?;

        let limit = Instant::now() + self.unavailable_after;
        let bytes = u32::try_from(size).unwrap_or(u32::MAX);
        let permits = async {
            let slot = Arc::clone(&self.slots).acquire_owned().await;
            Ok::<_, tokio::sync::AcquireError>((slot?, Arc::clone(&self.room).acquire_many_owned(bytes).await?))
        };
        let (slot, room) = match tokio::time::timeout_at(limit, permits).await {
            Ok(permits) => permits.map_err(|_| TransportError::Closed)?,
            Err(_) => return Err(self.link.away(self.unavailable_after)),
        };
        let (confirmer, confirmation) = Confirmation::pending();
        let outgoing = Box::new(Outgoing {
            exchange: short(&message.exchange),
            routing_key: short(&message.routing_key),
            identity: Identity { message_id, exchange: message.exchange, routing_key: message.routing_key },
            properties: Some(properties),
            packed,
            body: message.body,
            confirmer: Some(confirmer),
            since: Instant::now(),
            refusals: 0,
            slot,
            room,
        });
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.as_ref() {
            Some(queue) if queue.send(outgoing).is_ok() => Ok(confirmation),
            _ => Err(TransportError::Closed),
        }
    }

    /// The properties, and the same as the wire has them.
    fn properties(&self, message: &mut Message) -> Result<(BasicProperties, Box<[u8]>), TransportError> {
        let refuse = |reason: String, message: &Message| TransportError::Refused {
            broker: self.broker.clone(),
            what: format!("a message for `{}`", message.routing_key),
            reason,
        };
        let properties = convert::to_amqp(message).map_err(|reason| refuse(reason, message))?;
        let packed = convert::packed(&properties).map_err(|reason| refuse(reason, message))?;
        // More would close the connection, and again after each reconnect.
        let (size, most) = (packed.len(), self.link.frame_max().saturating_sub(64));
        if size > most {
            return Err(refuse(format!("its headers take {size} bytes, and the broker takes {most}"), message));
        }
        Ok((properties, packed))
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
