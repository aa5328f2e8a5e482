//! The broker, by a client that knows nothing of ours: lapin alone.

use std::time::Duration;

use celerysalt_tests::{World, broker_url, within};
use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, ErrorKind, ExchangeKind,
    options::{
        BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
        QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions,
    },
    types::{AMQPValue, FieldTable},
};
use serde_json::Value;
use tokio::sync::Mutex;

/// A connection, and what reaches an exchange.
pub(crate) struct Broker {
    connection: Connection,
    channel: Channel,
    consumer: Option<Mutex<Consumer>>,
}

/// A message as it was taken.
pub(crate) struct Got {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) properties: BasicProperties,
    pub(crate) data: Vec<u8>,
}

pub(crate) fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

impl Broker {
    /// One that listens to nothing.
    pub(crate) async fn silent() -> Self {
        let connection = Connection::connect(&broker_url(), ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self { connection, channel, consumer: None }
    }

    /// One that gets everything that is sent to the exchange of `world`.
    pub(crate) async fn of(world: &World) -> Self {
        let broker = Self::silent().await;
        broker.exchange(&world.exchange()).await;
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let queue = broker.channel.queue_declare("".into(), options, FieldTable::default()).await.unwrap();
        let queue = queue.name().clone();
        let bind = QueueBindOptions::default();
        let exchange = world.exchange();
        broker
            .channel
            .queue_bind(queue.clone(), exchange.into(), "#".into(), bind, FieldTable::default())
            .await
            .unwrap();
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consumer = broker.channel.basic_consume(queue, "".into(), options, FieldTable::default()).await.unwrap();
        Self { consumer: Some(Mutex::new(consumer)), ..broker }
    }

    async fn exchange(&self, name: &str) {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        self.channel.exchange_declare(name.into(), ExchangeKind::Topic, options, FieldTable::default()).await.unwrap();
    }

    /// What came next.
    pub(crate) async fn next(&self) -> Got {
        let mut consumer = self.consumer.as_ref().unwrap().lock().await;
        let delivery = within(consumer.next()).await.unwrap().unwrap();
        Got {
            exchange: delivery.exchange.to_string(),
            routing_key: delivery.routing_key.to_string(),
            properties: delivery.properties,
            data: delivery.data,
        }
    }

    /// Waits until that many messages of a queue are ready, to be handed out. RabbitMQ tells nobody of that, so it is asked again
    /// and again.
    pub(crate) async fn holds(&self, queue: &str, ready: u32) {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let mut last = None;
        let holding = async {
            loop {
                // A queue that is not there yet ends the channel.
                let channel = self.connection.create_channel().await.unwrap();
                last = channel.queue_declare(queue.into(), options, FieldTable::default()).await.ok();
                let _ = channel.close(200, "looked".into()).await;
                if last.as_ref().is_some_and(|queue| queue.message_count() == ready) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let held = tokio::time::timeout(celerysalt_tests::PATIENCE, holding).await.is_ok();
        assert!(held, "{queue} holds {:?}, not {ready}", last.map(|queue| queue.message_count()));
    }

    pub(crate) async fn purge(&self, queue: &str) {
        self.channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await.unwrap();
    }

    /// Takes the first message of a queue.
    pub(crate) async fn take(&self, queue: &str) -> Got {
        let got = self.channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
        let delivery = got.delivery;
        Got {
            exchange: delivery.exchange.to_string(),
            routing_key: delivery.routing_key.to_string(),
            properties: delivery.properties,
            data: delivery.data,
        }
    }

    /// With which code a durable queue of these arguments is refused.
    pub(crate) async fn refusal(&self, queue: &str, arguments: FieldTable) -> Option<u16> {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.declare(queue, options, arguments).await
    }

    /// With which code looking at a queue is refused.
    pub(crate) async fn refusal_of(&self, queue: &str) -> Option<u16> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.declare(queue, options, FieldTable::default()).await
    }

    async fn declare(&self, queue: &str, options: QueueDeclareOptions, arguments: FieldTable) -> Option<u16> {
        let channel = self.connection.create_channel().await.unwrap();
        match channel.queue_declare(queue.into(), options, arguments).await {
            Ok(_) => None,
            Err(error) => match error.kind() {
                ErrorKind::ProtocolError(told) => Some(told.get_id()),
                _ => panic!("{queue}: {error}"),
            },
        }
    }

    /// Whether a queue gets what is sent with this routing key.
    pub(crate) async fn is_routed(&self, exchange: &str, routing_key: &str) -> bool {
        self.channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default();
        let sent = self.channel.basic_publish(exchange.into(), routing_key.into(), options, b"{}", properties);
        match sent.await.unwrap().await.unwrap() {
            Confirmation::Ack(returned) => returned.is_none(),
            other => panic!("{other:?}"),
        }
    }
}

impl Got {
    /// A property of text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let properties = &self.properties;
        let value = match name {
            "content_type" => properties.content_type(),
            "content_encoding" => properties.content_encoding(),
            "correlation_id" => properties.correlation_id(),
            "reply_to" => properties.reply_to(),
            "expiration" => properties.expiration(),
            "message_id" => properties.message_id(),
            "app_id" => properties.app_id(),
            _ => panic!("no property {name}"),
        };
        value.as_ref().map(ToString::to_string)
    }

    pub(crate) fn header(&self, name: &str) -> Option<AMQPValue> {
        self.properties.headers().as_ref()?.inner().get(name).cloned()
    }

    pub(crate) fn body(&self) -> Value {
        serde_json::from_slice(&self.data).unwrap()
    }

    /// The event with its meta.
    pub(crate) fn inner(&self) -> Value {
        serde_json::from_str(self.body()[0][0].as_str().unwrap()).unwrap()
    }
}
