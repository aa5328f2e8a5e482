//! The benchmark's own hold on the broker: what is declared before a run and deleted after it.

use lapin::{
    Channel, Connection, ConnectionProperties, ExchangeKind,
    options::{
        BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
        QueueDeclareOptions, QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};

use crate::{Outcome, job};

/// A connection with a channel.
pub struct Broker {
    /// Kept open.
    _connection: Connection,
    /// Its channel.
    pub channel: Channel,
}

impl Broker {
    /// Connects.
    ///
    /// # Errors
    /// The broker's.
    pub async fn connect(url: &str) -> Outcome<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        Ok(Self { _connection: connection, channel })
    }

    /// A topic exchange of that name and a quorum queue of the same name, bound to all.
    ///
    /// # Errors
    /// The broker's.
    pub async fn declare(&self, name: &str) -> Outcome<()> {
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        self.channel.exchange_declare(name.into(), ExchangeKind::Topic, durable, FieldTable::default()).await?;
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let mut quorum = FieldTable::default();
        quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        self.channel.queue_declare(name.into(), durable, quorum).await?;
        let bind = QueueBindOptions::default();
        self.channel.queue_bind(name.into(), name.into(), "#".into(), bind, FieldTable::default()).await?;
        Ok(())
    }

    /// A classic queue with priorities, as services have it for requests, bound to the topic of requests.
    ///
    /// # Errors
    /// The broker's.
    pub async fn declare_requests(&self, name: &str) -> Outcome<()> {
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        self.channel.exchange_declare(name.into(), ExchangeKind::Topic, durable, FieldTable::default()).await?;
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let mut priorities = FieldTable::default();
        priorities.insert("x-max-priority".into(), AMQPValue::LongInt(10));
        self.channel.queue_declare(name.into(), durable, priorities).await?;
        let (bind, topic) = (QueueBindOptions::default(), job::RPC_TOPIC.into());
        self.channel.queue_bind(name.into(), name.into(), topic, bind, FieldTable::default()).await?;
        Ok(())
    }

    /// How many messages wait in a queue.
    ///
    /// # Errors
    /// The broker's, and that there is none.
    pub async fn waiting(&self, queue: &str) -> Outcome<u32> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        Ok(self.channel.queue_declare(queue.into(), passive, FieldTable::default()).await?.message_count())
    }

    /// Puts the events into a queue, as their payload and nothing else.
    ///
    /// # Errors
    /// The broker's.
    pub async fn fill_plain(&self, exchange: &str, count: usize) -> Outcome<()> {
        self.channel.confirm_select(ConfirmSelectOptions::default()).await?;
        for chunk in (0..count).collect::<Vec<_>>().chunks(job::WINDOW) {
            let mut confirms = Vec::with_capacity(chunk.len());
            for number in chunk {
                let properties = lapin::BasicProperties::default()
                    .with_delivery_mode(2)
                    .with_content_type("application/json".into());
                let (payload, options) = (job::payload(*number), BasicPublishOptions::default());
                let (exchange, topic) = (exchange.into(), job::TOPIC.into());
                confirms
                    .push(self.channel.basic_publish(exchange, topic, options, payload.as_bytes(), properties).await?);
            }
            for confirm in confirms {
                confirm.await?;
            }
        }
        Ok(())
    }

    /// Deletes the exchange and the queues.
    ///
    /// # Errors
    /// The broker's.
    pub async fn delete(&self, exchange: &str, queues: &[String]) -> Outcome<()> {
        for queue in queues {
            self.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
        }
        self.channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await?;
        Ok(())
    }
}
