//! The inbox: a message that comes twice is handled once, however long after and by whichever instance.
//!
//! A broker delivers at least once. What a handler writes to PostgreSQL is done exactly once when the same transaction also
//! marks the message as handled:
//!
//! ```
//! # use celerysalt::{HandlerError, Meta, inbox::Inbox, sqlx::PgPool};
//! # struct OrderPlaced { amount: i64 }
//! async fn charge(pool: PgPool, placed: OrderPlaced, meta: Meta) -> Result<(), HandlerError> {
//!     let mut transaction = pool.begin().await?;
//!     if Inbox::of("billing.charge").is_first(&mut transaction, &meta).await? {
//!         // ... UPDATE accounts, in the same transaction; events by `publish_in` too ...
//!     }
//!     transaction.commit().await?;
//!     Ok(())
//! }
//! ```
//!
//! An event that `celerysalt replay` sends again is meant to be handled again, so each replay counts by itself: see
//! [`Meta::deduplication_id`].

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use crate::{
    Meta,
    database::{DatabaseError, tables},
};

/// Marks that are deleted in one statement.
const PRUNED_AT_ONCE: i64 = 10_000;

/// What one handler has handled. A name of two handlers would be one inbox, so each has its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbox {
    handler: String,
}

/// Why it is not known whether a message was handled before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InboxError {
    /// The message has no id, so nothing tells it from another.
    #[error("{topic}: the message has no id by which `{handler}` could know whether it came before")]
    NoId {
        /// The topic.
        topic: String,
        /// The handler.
        handler: String,
    },
    /// The database could not be asked. The transaction can only be rolled back.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Inbox {
    /// The inbox of a handler, by a name that stays when code moves.
    pub fn of(handler: impl Into<String>) -> Self {
        Self { handler: handler.into() }
    }

    /// Makes the inboxes' table, in the schema that the pool's `search_path` names, when it is not there.
    ///
    /// # Errors
    /// [`DatabaseError`]; the role needs `CREATE` on the schema.
    pub async fn migrate(pool: &PgPool) -> Result<(), DatabaseError> {
        tables::migrate(&mut *pool.acquire().await?, tables::INBOX).await
    }

    /// The SQL that [`migrate`](Self::migrate) runs.
    pub fn sql() -> String {
        tables::sql(tables::INBOX)
    }

    /// Marks the message as handled in the transaction, and says whether this is the first time. When it is not, the handler
    /// has nothing to do, and returns `Ok`.
    ///
    /// While another transaction has marked the same message and has not ended, this waits for it.
    ///
    /// # Errors
    /// [`InboxError`].
    pub async fn is_first(&self, transaction: &mut PgConnection, meta: &Meta) -> Result<bool, InboxError> {
        let Some(id) = meta.deduplication_id() else {
            return Err(InboxError::NoId { topic: meta.topic.clone(), handler: self.handler.clone() });
        };
        let marked =
            sqlx::query("INSERT INTO celerysalt_inbox (handler, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(&self.handler)
                .bind(id)
                .execute(transaction)
                .await
                .map_err(DatabaseError::from)?;
        Ok(marked.rows_affected() == 1)
    }

    /// Forgets what was handled longer ago than `age`, of all handlers, a part at a time; gives how many marks that were.
    ///
    /// `age` must be longer than a message may stay in a queue, dead letters included: what was forgotten is handled again.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn prune(pool: &PgPool, age: Duration) -> Result<u64, DatabaseError> {
        let mut pruned = 0;
        loop {
            let done = sqlx::query(
                "DELETE FROM celerysalt_inbox WHERE ctid = ANY(ARRAY(
                     SELECT ctid FROM celerysalt_inbox
                     WHERE handled_at < clock_timestamp() - make_interval(secs => $1)
                     ORDER BY handled_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
            )
            .bind(age.as_secs_f64())
            .bind(PRUNED_AT_ONCE)
            .persistent(false)
            .execute(pool)
            .await?
            .rows_affected();
            pruned += done;
            if done == 0 {
                return Ok(pruned);
            }
        }
    }
}
