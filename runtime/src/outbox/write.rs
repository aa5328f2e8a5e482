//! Writing an event in the user's transaction: checked as when it is published, enveloped the same, and kept as a row.

use std::{fmt, future::IntoFuture};

use jiff::Timestamp;
use sqlx::PgConnection;

use super::row;
use crate::{
    BatchError, Broadcast, Publish, PublishBatch, PublishError, PublishJson, Salt,
    database::DatabaseError,
    publish::{Ready, Sending},
    store,
};

/// What is known of an event that was written and is not published yet. Prints as the message id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Identifies the message; subscribers see it as `Meta::message_id`, however often it is sent.
    pub message_id: String,
    /// When it was written, UTC; the message's timestamp.
    pub timestamp: Timestamp,
    /// The exchange.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// What keeps it in order.
    pub key: Option<String>,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message_id)
    }
}

/// Why an event was not written. After [`Database`](Self::Database) the transaction can only be rolled back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The contract, an option or the size limit refuses it. The transaction is as it was.
    #[error(transparent)]
    Refused(#[from] PublishError),
    /// Events of a batch are refused, so none was written. The transaction is as it was.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The database did not take it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl OutboxError {
    /// From an error of sqlx, for functions that do nothing else in their transaction.
    pub fn database(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Adds `publish_in` to broadcast events.
pub trait PublishIn: Broadcast {
    /// Writes the event in a transaction once it is awaited: `event.publish(salt).in_transaction(transaction)`.
    ///
    /// The handle says what the message needs besides the event: exchange, service, task name and the size limit. It does
    /// not have to be connected to a broker that is there.
    fn publish_in<'c, 'a: 'c>(
        &'a self,
        salt: &'a Salt,
        transaction: &'c mut PgConnection,
    ) -> InTransaction<'c, Publish<'a, Self>> {
        Publish::new(self, salt).in_transaction(transaction)
    }
}

impl<E: Broadcast> PublishIn for E {}

/// Events about to be written in a transaction: add a key, then `.await` it.
///
/// `&mut transaction` of a `sqlx::Transaction` is the connection that it wants.
///
/// # Errors
/// [`OutboxError`].
#[must_use = "nothing is written before it is awaited"]
#[derive(Debug)]
pub struct InTransaction<'c, P> {
    publish: P,
    connection: &'c mut PgConnection,
    key: Option<String>,
}

impl<P> InTransaction<'_, P> {
    /// What the event is about, such as `order-7`: events of one key are published one after the other, in the order in
    /// which their transactions committed. 1 to 255 bytes.
    ///
    /// For that, a transaction that has written an event of a key holds up others that write one of the same key until it
    /// ends, as if they had locked the same row. Events without a key hold up nobody and go out side by side.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl<E: Broadcast> Publish<'_, E> {
    /// Writes the event in a transaction instead of sending it: a [`Relay`](super::Relay) publishes it after the commit.
    pub fn in_transaction(self, transaction: &mut PgConnection) -> InTransaction<'_, Self> {
        InTransaction { publish: self, connection: transaction, key: None }
    }
}

impl<E: Broadcast> PublishBatch<'_, E> {
    /// Writes the events in a transaction instead of sending them: all of them, or none. A key is that of all.
    pub fn in_transaction(self, transaction: &mut PgConnection) -> InTransaction<'_, Self> {
        InTransaction { publish: self, connection: transaction, key: None }
    }
}

impl PublishJson<'_> {
    /// Writes the event in a transaction instead of sending it: a [`Relay`](super::Relay) publishes it after the commit.
    pub fn in_transaction(self, transaction: &mut PgConnection) -> InTransaction<'_, Self> {
        InTransaction { publish: self, connection: transaction, key: None }
    }
}

impl<'c, 'a: 'c, E: Broadcast> IntoFuture for InTransaction<'c, Publish<'a, E>> {
    type Output = Result<Written, OutboxError>;
    type IntoFuture = Sending<'c, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let ready = self.publish.ready().await?;
            one(self.publish.salt, self.connection, ready, self.key).await
        })
    }
}

impl<'c, 'a: 'c> IntoFuture for InTransaction<'c, PublishJson<'a>> {
    type Output = Result<Written, OutboxError>;
    type IntoFuture = Sending<'c, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let ready = self.publish.ready().await?;
            one(self.publish.salt, self.connection, ready, self.key).await
        })
    }
}

impl<'c, 'a: 'c, E: Broadcast> IntoFuture for InTransaction<'c, PublishBatch<'a, E>> {
    type Output = Result<Vec<Written>, OutboxError>;
    type IntoFuture = Sending<'c, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let ready = self.publish.ready().await?;
            write(self.publish.salt, self.connection, ready, self.key).await
        })
    }
}

async fn one(
    salt: &Salt,
    connection: &mut PgConnection,
    ready: Ready,
    key: Option<String>,
) -> Result<Written, OutboxError> {
    let mut written = write(salt, connection, vec![ready], key).await?;
    // One row was asked for, and one comes back.
    written.pop().ok_or_else(|| DatabaseError::refused("no row was written").into())
}

/// Writes what was checked, and records it in the event store where there is one, all in the user's transaction.
async fn write(
    salt: &Salt,
    connection: &mut PgConnection,
    ready: Vec<Ready>,
    key: Option<String>,
) -> Result<Vec<Written>, OutboxError> {
    let refused = |ready: &Ready, reason: String| PublishError::Option { topic: ready.topic.clone(), reason };
    for ready in &ready {
        if let Some(key) = key.as_ref().filter(|key| key.is_empty() || key.len() > 255 || key.contains('\0')) {
            let reason = format!("a key of {} bytes: expected 1 to 255, none of them 0", key.len());
            return Err(refused(ready, reason).into());
        }
        // PostgreSQL's texts hold none, and its refusal would cost the whole transaction.
        if [&ready.message.routing_key, &ready.message.exchange].iter().any(|name| name.contains('\0')) {
            return Err(refused(ready, "a routing key or an exchange with a byte 0".to_owned()).into());
        }
        let topic = || ready.topic.clone();
        salt.check_size(&ready.message).map_err(|source| PublishError::Transport { topic: topic(), source })?;
    }
    if let Some(store) = salt.store() {
        let messages: Vec<_> =
            ready.iter().flat_map(|ready| ready.messages().map(|message| (ready.topic.as_str(), message))).collect();
        store::append::append(connection, store.selected(&messages)).await?;
    }
    row::insert(connection, &ready, key.as_deref()).await?;
    let written = ready.into_iter().map(|ready| Written {
        message_id: ready.message.properties.message_id.unwrap_or_default(),
        timestamp: ready.timestamp,
        exchange: ready.message.exchange,
        routing_key: ready.message.routing_key,
        key: key.clone(),
    });
    Ok(written.collect())
}
