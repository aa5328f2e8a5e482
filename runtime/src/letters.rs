//! A service's dead letters, for whoever looks after it: looked at, put back to work, thrown away.

use std::sync::Arc;

use serde_json::json;

use crate::{
    service::headers,
    transport::{Delivery, Message, Routing, Transport, TransportError, UNREADABLE},
    wire::celery::COPY_OF,
};

/// How many letters are held at a time while they are moved.
const BATCH: usize = 100;

/// The dead letters of one service.
///
/// ```
/// use celerysalt::{letters::DeadLetters, transport};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let letters = DeadLetters::new(transport::connect("memory:", "operator").await?, "billing");
/// assert_eq!(letters.queue(), "celerysalt.billing.dead");
/// // Nobody has ever run `billing` here.
/// assert!(letters.look(10).await.unwrap_err().to_string().contains("no such queue"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DeadLetters {
    transport: Arc<dyn Transport>,
    service: String,
}

/// A dead letter, and what its headers say of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter(
    /// As it is in the dead-letter queue.
    pub Message,
);

/// What [`DeadLetters::look`] saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// In the queue's order.
    pub letters: Vec<Letter>,
    /// How many more there are.
    pub more: u64,
}

impl Letter {
    /// A header of text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.text(name)
    }

    /// Why it is here: one of [`DeadLetterReason`](crate::service::DeadLetterReason), or what the broker says when it was
    /// the broker that gave up.
    pub fn reason(&self) -> &str {
        self.header(headers::REASON).or_else(|| self.header("x-first-death-reason")).unwrap_or("unknown")
    }

    /// Its topic, as far as it is known.
    pub fn topic(&self) -> &str {
        self.header(headers::TOPIC).unwrap_or("unknown")
    }

    /// Its id, as far as it has one.
    pub fn id(&self) -> Option<&str> {
        self.header("id").or(self.0.properties.message_id.as_deref())
    }

    /// The message that it was, addressed to `queue`, as new: it is tried as often as any other.
    fn revived(mut self, queue: &str) -> Message {
        let kept = [headers::EXCHANGE, headers::ROUTING_KEY, COPY_OF, headers::REPLAY];
        let ours = |name: &str| name.starts_with("x-celerysalt-") || name == UNREADABLE;
        let brokers = |name: &str| {
            ["x-death", "x-delivery-count"].contains(&name)
                || name.starts_with("x-first-death-")
                || name.starts_with("x-last-death-")
        };
        self.0.headers.retain(|name, _| kept.contains(&name.as_str()) || !(ours(name) || brokers(name)));
        self.0.headers.insert(headers::TRIES.to_owned(), json!(0));
        self.0.exchange = String::new();
        queue.clone_into(&mut self.0.routing_key);
        self.0
    }
}

impl DeadLetters {
    /// Those of `service`, at the broker of `transport`.
    pub fn new(transport: Arc<dyn Transport>, service: impl Into<String>) -> Self {
        Self { transport, service: service.into() }
    }

    /// The queue that they wait in.
    pub fn queue(&self) -> String {
        format!("celerysalt.{}.dead", self.service)
    }

    /// The first `limit` letters, which stay in the queue. They are held in memory meanwhile, bodies included.
    ///
    /// A quorum queue puts those that were looked at behind others that were looked at before, so the next look at fewer
    /// than all may see others.
    ///
    /// # Errors
    /// [`TransportError::Refused`] when the service has no dead-letter queue, which it makes when it starts;
    /// [`TransportError::Unavailable`].
    pub async fn look(&self, limit: usize) -> Result<Looked, TransportError> {
        let taken = self.transport.take(&self.queue(), limit).await?;
        let mut letters = Vec::with_capacity(taken.deliveries.len());
        for delivery in taken.deliveries {
            letters.push(Letter(delivery.message.clone()));
            delivery.requeue().await?;
        }
        Ok(Looked { letters, more: taken.more })
    }

    /// Sends the first `limit` letters to `to_queue`, the service's events queue unless it is given, each as the message
    /// that it was. A letter leaves the dead-letter queue once its message is confirmed. Every handler of its topic gets
    /// it, those that handled it before among them. Gives how many were sent.
    ///
    /// Those that fail again become dead letters again, and are not sent a second time.
    ///
    /// # Errors
    /// As [`DeadLetters::look`]; [`TransportError::Refused`] when there is no queue to send to. The letters that were not
    /// sent stay; one whose message was confirmed and whose connection was lost right then comes twice.
    pub async fn replay(&self, limit: u64, to_queue: Option<&str>) -> Result<u64, TransportError> {
        let queue = to_queue.map_or_else(|| format!("celerysalt.{}.events", self.service), str::to_owned);
        self.each(limit, async |delivery: Delivery| {
            let message = Letter(delivery.message.clone()).revived(&queue);
            if self.transport.send(message).await?.await? == Routing::Unroutable {
                // Dropped, the delivery goes back.
                return Err(TransportError::Refused {
                    broker: "the service's broker".to_owned(),
                    what: format!("a letter for queue `{queue}`"),
                    reason: "there is no such queue; start the service once, or name another".to_owned(),
                });
            }
            delivery.ack().await
        })
        .await
    }

    /// Throws away all letters that there are now, and gives how many there were.
    ///
    /// # Errors
    /// As [`DeadLetters::look`]; some may be gone then.
    pub async fn purge(&self) -> Result<u64, TransportError> {
        self.each(u64::MAX, async |delivery: Delivery| delivery.ack().await).await
    }

    /// Does something with each letter that is there now, at most `limit`. Letters that come meanwhile are left alone.
    async fn each(
        &self,
        limit: u64,
        settle: impl AsyncFn(Delivery) -> Result<(), TransportError>,
    ) -> Result<u64, TransportError> {
        let mut left = limit;
        let mut settled = 0;
        while left > 0 {
            let batch = usize::try_from(left).unwrap_or(BATCH).min(BATCH);
            let taken = self.transport.take(&self.queue(), batch).await?;
            if settled == 0 {
                left = left.min(taken.deliveries.len() as u64 + taken.more);
            }
            if taken.deliveries.is_empty() {
                break;
            }
            for delivery in taken.deliveries {
                settle(delivery).await?;
                settled += 1;
                left = left.saturating_sub(1);
            }
        }
        Ok(settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{QueueKind, QueueSpec, memory::MemoryBroker};

    async fn with_letters(count: usize) -> (Arc<dyn Transport>, DeadLetters) {
        let transport: Arc<dyn Transport> = Arc::new(MemoryBroker::new().connect());
        let letters = DeadLetters::new(Arc::clone(&transport), "mail");
        for name in ["dead", "events"] {
            let name = format!("celerysalt.mail.{name}");
            let queue = QueueSpec { name, kind: QueueKind::Quorum, bindings: Vec::new(), dead_letter: None };
            transport.declare(&queue).await.unwrap();
        }
        for number in 0..count {
            let mut message =
                Message { routing_key: letters.queue(), body: number.to_string().into(), ..Message::default() };
            for (name, value) in [
                ("task", "t"),
                (headers::REASON, "handler-failed"),
                (headers::TOPIC, "a.b"),
                (headers::ROUTING_KEY, "a.b"),
                (UNREADABLE, "x"),
                ("x-first-death-queue", "q"),
            ] {
                message.headers.insert(name.to_owned(), value.into());
            }
            transport.send(message).await.unwrap().await.unwrap();
        }
        (transport, letters)
    }

    #[tokio::test]
    async fn looking_changes_nothing() {
        let (_transport, letters) = with_letters(5).await;
        for _ in 0..2 {
            let looked = letters.look(3).await.unwrap();
            assert_eq!((looked.letters.len(), looked.more), (3, 2));
            assert_eq!((looked.letters[0].reason(), looked.letters[0].topic()), ("handler-failed", "a.b"));
            assert_eq!(looked.letters[0].0.body, "0");
        }
    }

    #[tokio::test]
    async fn a_letter_is_sent_as_the_message_that_it_was() {
        let (transport, letters) = with_letters(250).await;
        assert_eq!(letters.replay(1, None).await.unwrap(), 1);
        assert_eq!(letters.replay(u64::MAX, None).await.unwrap(), 249);
        assert_eq!(letters.look(1).await.unwrap(), Looked { letters: vec![], more: 0 });
        let sent = transport.take("celerysalt.mail.events", 300).await.unwrap();
        assert_eq!(sent.deliveries.len(), 250);
        let names: Vec<&str> = sent.deliveries[0].message.headers.keys().map(String::as_str).collect();
        assert_eq!(names, ["task", headers::ROUTING_KEY, headers::TRIES]);
        assert_eq!(sent.deliveries[0].message.headers[headers::TRIES], 0);
    }

    #[tokio::test]
    async fn letters_that_come_back_are_not_sent_again() {
        let (_transport, letters) = with_letters(3).await;
        let dead = letters.queue();
        assert_eq!(letters.replay(u64::MAX, Some(&dead)).await.unwrap(), 3);
        assert_eq!(letters.purge().await.unwrap(), 3);
        assert_eq!(letters.purge().await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_letter_that_nobody_takes_stays() {
        let (_transport, letters) = with_letters(3).await;
        let error = letters.replay(u64::MAX, Some("nowhere")).await.unwrap_err();
        assert!(error.to_string().contains("`nowhere`"), "{error}");
        assert_eq!(letters.look(10).await.unwrap().letters.len(), 3);
    }
}
