//! The transactional outbox: events written in the user's own transaction, and published by a relay once it has committed.
//!
//! Publishing beside a transaction goes wrong in two ways: the event is out and the transaction rolls back, or it commits
//! and the process dies before publishing. Here the event is a row of the same transaction: `celerysalt_outbox` gets it or
//! loses it together with everything else. A [`Relay`] then publishes what was committed, and deletes a row only after the
//! broker has confirmed its message.
//!
//! ```
//! # use celerysalt::{Broadcast, Salt, outbox::{OutboxError, PublishIn}, sqlx::PgPool};
//! async fn place<E: Broadcast>(pool: &PgPool, salt: &Salt, placed: E) -> Result<(), OutboxError> {
//!     let mut transaction = pool.begin().await.map_err(OutboxError::database)?;
//!     // ... INSERT INTO orders, in the same transaction ...
//!     placed.publish_in(salt, &mut transaction).key("order-7").await?;
//!     // The same, with options: `placed.publish(salt).priority(9).in_transaction(&mut transaction).await?`
//!     transaction.commit().await.map_err(OutboxError::database)?;
//!     Ok(())
//! }
//! ```
//!
//! # Guarantees
//! - An event is published exactly when its transaction commits; at least once, under the same message id each time.
//! - Events of one [key](InTransaction::key) go out in the order in which their transactions committed, one after the
//!   other, however many relays run: one that the broker does not take holds up its key, and nothing else.
//! - Nothing is dropped: what has no queue, or is refused, stays with the reason, and is tried again with growing pauses.
//!
//! A service that only writes events needs no broker: `Salt::builder("shop").broker_url("memory:")`.

mod claim;
mod publisher;
mod relay;
mod row;
mod status;
mod write;

use sqlx::PgPool;

pub use self::{
    relay::{Relay, RelayError, Relayed},
    status::{Failed, Status},
    write::{InTransaction, OutboxError, PublishIn, Written},
};
use crate::database::{DatabaseError, tables};

/// The outbox of one database schema, for those who look after it.
#[derive(Clone, Debug)]
pub struct Outbox {
    pool: PgPool,
}

impl Outbox {
    /// The one in the schema that the pool's `search_path` names.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The one in the database that `url` names, such as `postgres://user:password@host:5432/database`, with
    /// `?options=-csearch_path%3DNAME` for a schema. Opens no connection yet.
    ///
    /// # Errors
    /// [`DatabaseError::Refused`] when `url` can't be read, or asks for TLS in a build without feature `tls`.
    pub fn connect(url: &str) -> Result<Self, DatabaseError> {
        Ok(Self::new(crate::database::connect(url)?))
    }

    /// What it is reached by.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Makes its table when it is not there. Safe to run again, and at once by several.
    ///
    /// # Errors
    /// [`DatabaseError`]; the role needs `CREATE` on the schema.
    pub async fn migrate(&self) -> Result<(), DatabaseError> {
        tables::migrate(&mut *self.pool.acquire().await?, tables::OUTBOX).await
    }

    /// The SQL that [`migrate`](Self::migrate) runs, for those who run migrations by a tool of their own.
    ///
    /// ```
    /// assert!(celerysalt::outbox::Outbox::sql().contains("CREATE TABLE IF NOT EXISTS celerysalt_outbox"));
    /// ```
    pub fn sql() -> String {
        tables::sql(tables::OUTBOX)
    }

    /// What waits, since when, and what the broker did not take, with the reasons.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn status(&self) -> Result<Status, DatabaseError> {
        status::read(&mut *self.pool.acquire().await?).await
    }

    /// Has every event that was not taken tried again now, as after whatever kept it was mended. Gives how many there are.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn retry_now(&self) -> Result<u64, DatabaseError> {
        status::retry_now(&mut *self.pool.acquire().await?).await
    }
}
