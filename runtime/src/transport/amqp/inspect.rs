//! What is there at a broker, for people who look for what is wrong: exchanges, queues, how full they are, who consumes.
//!
//! Asks with passive declarations, which change nothing. Whether a queue has the arguments that it should have, RabbitMQ says
//! only to somebody who declares it; so a queue that was just seen to be there is declared again as its service would, which
//! changes nothing either.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueDeclareOptions},
    types::FieldTable,
};

use super::{
    AmqpOptions,
    address::Address,
    link::{Link, close_channel},
    topology::{Failure, arguments, reply_code, short},
};
use crate::transport::{QueueSpec, TransportError, check_names};

/// One connection to a broker that looks and changes nothing.
///
/// ```no_run
/// use celerysalt::transport::amqp::{AmqpOptions, inspect::Inspector};
///
/// # async fn look() -> Result<(), Box<dyn std::error::Error>> {
/// let inspector = Inspector::connect("amqp://ops@broker/", AmqpOptions::new()).await?;
/// if let Some(queue) = inspector.queue("celerysalt.billing.dead").await? {
///     println!("{} dead letters", queue.messages);
/// }
/// inspector.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Inspector {
    link: Link,
    virtual_host: String,
}

/// A queue that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueState {
    /// Messages that wait in it; those that consumers have and did not settle yet are not counted.
    pub messages: u32,
    /// Who consumes it: one for each instance of its service.
    pub consumers: u32,
}

/// How something at the broker stands to what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Likeness {
    /// It is as it should be.
    Same,
    /// It has another kind or other arguments.
    Other {
        /// Which argument, such as `x-queue-type`; RabbitMQ names the first that differs.
        argument: Option<String>,
        /// What RabbitMQ says of it.
        told: String,
    },
    /// Only somebody who may configure it is told.
    Untold {
        /// What RabbitMQ says.
        reason: String,
    },
}

impl Inspector {
    /// Connects once.
    ///
    /// # Errors
    /// As [`AmqpTransport::connect`](super::AmqpTransport::connect).
    pub async fn connect(url: &str, options: AmqpOptions) -> Result<Self, TransportError> {
        let address = Address::parse(url)?;
        let virtual_host = address.uri().vhost.clone();
        let link = Link::new(address, &options, "inspects");
        link.connect().await?;
        Ok(Self { link, virtual_host })
    }

    /// The virtual host.
    pub fn virtual_host(&self) -> &str {
        &self.virtual_host
    }

    /// The broker, without a password.
    pub fn broker(&self) -> &str {
        self.link.broker()
    }

    /// Whether there is an exchange of that name.
    ///
    /// # Errors
    /// [`TransportError::Unavailable`]; [`TransportError::Refused`] for a name that none can have, or when asking is not
    /// permitted.
    pub async fn has_exchange(&self, name: &str) -> Result<bool, TransportError> {
        check_names(self.broker(), [("exchange", &name.to_owned())])?;
        has_exchange(&self.link, name).await
    }

    /// Whether an exchange that is there is a durable topic exchange, as services declare it.
    ///
    /// # Errors
    /// [`TransportError::Unavailable`].
    pub async fn exchange_is_usual(&self, name: &str) -> Result<Likeness, TransportError> {
        let channel = self.link.try_channel().await?;
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let declared = channel.exchange_declare(short(name), ExchangeKind::Topic, options, FieldTable::default()).await;
        self.likeness(&channel, format!("exchange `{name}`"), declared).await
    }

    /// A queue, if it is there.
    ///
    /// # Errors
    /// As [`Inspector::has_exchange`]; also [`TransportError::Refused`] for a queue that is exclusive to another connection.
    pub async fn queue(&self, name: &str) -> Result<Option<QueueState>, TransportError> {
        check_names(self.broker(), [("queue", &name.to_owned())])?;
        let channel = self.link.try_channel().await?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        match channel.queue_declare(short(name), passive, FieldTable::default()).await {
            Ok(queue) => {
                close_channel(&channel).await;
                Ok(Some(QueueState { messages: queue.message_count(), consumers: queue.consumer_count() }))
            }
            Err(error) if reply_code(&error) == Some(404) => Ok(None),
            Err(error) => Err(refused(&self.link, Failure { what: format!("queue `{name}`"), error })),
        }
    }

    /// Whether a queue that is there has the arguments that it should have. Bindings are not compared: AMQP has no way to
    /// ask for them. To be called only for a queue that was seen to be there.
    ///
    /// # Errors
    /// [`TransportError::Unavailable`].
    pub async fn queue_is(&self, spec: &QueueSpec) -> Result<Likeness, TransportError> {
        let channel = self.link.try_channel().await?;
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare(short(&spec.name), options, arguments(spec)).await;
        self.likeness(&channel, format!("queue `{}`", spec.name), declared.map(drop)).await
    }

    async fn likeness(
        &self,
        channel: &Channel,
        what: String,
        declared: Result<(), lapin::Error>,
    ) -> Result<Likeness, TransportError> {
        let error = match declared {
            Ok(()) => {
                close_channel(channel).await;
                return Ok(Likeness::Same);
            }
            Err(error) => error,
        };
        match (reply_code(&error), error.kind()) {
            (Some(406 | 405), lapin::ErrorKind::ProtocolError(told)) => {
                let told = told.get_message().to_string();
                let argument = told.split_once("inequivalent arg '").and_then(|(_, rest)| rest.split_once('\''));
                Ok(Likeness::Other { argument: argument.map(|(argument, _)| argument.to_owned()), told })
            }
            (Some(403), lapin::ErrorKind::ProtocolError(told)) => {
                Ok(Likeness::Untold { reason: told.get_message().to_string() })
            }
            _ => Err(refused(&self.link, Failure { what, error })),
        }
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.link.close().await;
    }
}

/// Whether there is an exchange of that name. The default exchange is always there.
pub(super) async fn has_exchange(link: &Link, name: &str) -> Result<bool, TransportError> {
    if name.is_empty() {
        return Ok(true);
    }
    let channel = link.try_channel().await?;
    let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    match channel.exchange_declare(short(name), ExchangeKind::Topic, passive, FieldTable::default()).await {
        Ok(()) => {
            close_channel(&channel).await;
            Ok(true)
        }
        Err(error) if reply_code(&error) == Some(404) => Ok(false),
        Err(error) => Err(refused(link, Failure { what: format!("exchange `{name}`"), error })),
    }
}

fn refused(link: &Link, failure: Failure) -> TransportError {
    failure.explain(link.broker())
}
