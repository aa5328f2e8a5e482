//! Looking at what goes by: copies of the messages of some topics, as they are published, whoever sends them.
//!
//! For people who look for something; a service that has to get every event is a [`Service`](crate::Service).

use celerysalt_contract::TopicPattern;
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    service::headers,
    transport::{
        Binding, Deliveries, Message, TransportError,
        amqp::{AmqpOptions, AmqpTransport},
    },
    wire::{self, WireError, celery::COPY_OF},
};

/// Messages that pass an exchange. Other queues go on getting theirs; nothing is left at the broker.
///
/// ```no_run
/// # async fn look() -> Result<(), Box<dyn std::error::Error>> {
/// let patterns = ["pulse.#".parse()?];
/// let mut tail = celerysalt::tail::Tail::open("amqp://ops@broker/", "tchu_events", &patterns).await?;
/// while let Some(seen) = tail.next().await {
///     println!("{}", seen?.topic);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Tail {
    transport: AmqpTransport,
    passing: Deliveries,
}

/// A message that passed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Seen {
    /// When it was sent, as far as it says; to the second.
    pub sent_at: Option<Timestamp>,
    /// The topic: what the sender names, else the routing key.
    pub topic: String,
    /// The version that the sender names.
    pub version: Option<String>,
    /// Identifies the message.
    pub id: Option<String>,
    /// The sending service, as far as it says.
    pub sender: Option<String>,
    /// Whether the sender waits for a reply.
    pub is_rpc: bool,
    /// What ties it to other messages, as far as the sender says.
    pub correlation_id: Option<String>,
    /// For an event that was sent again from an event store: which replay it was.
    pub replay: Option<String>,
    /// For the second message of an event that is sent in both task names: the id of the first.
    pub copy_of: Option<String>,
    /// The exchange that it passed.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// Of the body, in bytes.
    pub size: usize,
    /// The payload as JSON text; or why the message is no event.
    pub payload: Result<String, WireError>,
}

impl Tail {
    /// Listens at `exchange` for the topics of `patterns`.
    ///
    /// # Errors
    /// As [`AmqpTransport::connect`] and [`AmqpTransport::listen`].
    pub async fn open(url: &str, exchange: &str, patterns: &[TopicPattern]) -> Result<Self, TransportError> {
        let options = AmqpOptions::new().connection_name("celerysalt tail");
        let transport = AmqpTransport::connect(url, options).await?;
        let bind = |pattern: &TopicPattern| Binding { exchange: exchange.to_owned(), pattern: pattern.clone() };
        let bindings: Vec<Binding> = patterns.iter().map(bind).collect();
        let passing = transport.listen(&bindings).await?;
        Ok(Self { transport, passing })
    }

    /// The next message; `None` when there will be no more.
    ///
    /// # Errors
    /// A [`TransportError`] that can't mend itself. A broker that was away is connected to again; what went by meanwhile is
    /// not seen.
    pub async fn next(&mut self) -> Option<Result<Seen, TransportError>> {
        let delivery = match self.passing.next().await? {
            Ok(delivery) => delivery,
            Err(error) => return Some(Err(error)),
        };
        let seen = Seen::of(&delivery.message);
        delivery.ack_soon();
        Some(Ok(seen))
    }

    /// Lets go of the broker.
    pub async fn close(mut self) {
        use crate::transport::Transport as _;
        self.passing.cancel().await;
        self.transport.close().await;
    }
}

impl Seen {
    /// What is told of a message, be it one of ours, of celery-salt's or of tchu-tchu's.
    pub fn of(message: &Message) -> Self {
        let properties = &message.properties;
        let header = |name: &str| message.headers.get(name).and_then(Value::as_str).map(str::to_owned);
        let (incoming, payload) = match wire::decode(message) {
            Ok(mut incoming) => {
                let payload = std::mem::take(&mut incoming.payload);
                (Some(incoming), Ok(payload))
            }
            Err(error) => (None, Err(error)),
        };
        let meta = incoming.as_ref().and_then(|incoming| incoming.meta.clone()).unwrap_or_default();
        let sent_at = properties.timestamp.and_then(|seconds| i64::try_from(seconds).ok());
        let (topic, id) = incoming.map_or((None, None), |incoming| (incoming.topic, incoming.id));
        Self {
            sent_at: sent_at.and_then(|seconds| Timestamp::from_second(seconds).ok()),
            topic: topic.unwrap_or_else(|| message.routing_key.clone()),
            version: meta.version,
            id: id.or_else(|| header("id")).or_else(|| properties.message_id.clone()),
            sender: properties.app_id.clone().or_else(|| header("origin")),
            is_rpc: meta.is_rpc.unwrap_or(false),
            correlation_id: meta.correlation_id,
            replay: header(headers::REPLAY),
            copy_of: header(COPY_OF),
            exchange: message.exchange.clone(),
            routing_key: message.routing_key.clone(),
            size: message.body.len(),
            payload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_event_is_told_by_what_it_says() {
        let mut message = Message { routing_key: "a.b".to_owned(), body: "s3cret".into(), ..Message::default() };
        message.properties.app_id = Some("shop".to_owned());
        let seen = Seen::of(&message);
        assert_eq!((seen.topic.as_str(), seen.sender.as_deref(), seen.size), ("a.b", Some("shop"), 6));
        assert!(!seen.payload.unwrap_err().to_string().contains("s3cret"));
    }
}
