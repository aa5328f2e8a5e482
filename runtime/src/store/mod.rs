//! The event store: every event that a service publishes, kept in order, for whoever needs it again.
//!
//! Events are appended before they are sent: what the store does not take is not sent, and what it has was meant to be sent.
//! [`Replay`] sends them again, under the ids that they had, marked as a replay.
//!
//! ```no_run
//! # use celerysalt::{Salt, sqlx::PgPool, store::EventStore};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = EventStore::new(PgPool::connect("postgres://shop@127.0.0.1/shop").await?);
//! store.migrate().await?;
//! let salt = Salt::builder("shop").store(store).connect().await?;
//! // event.publish(&salt).await?;      // appended, then sent
//! # Ok(())
//! # }
//! ```

pub(crate) mod append;
mod read;
mod replay;

use std::{sync::Arc, time::Duration};

use celerysalt_contract::TopicPattern;
use sqlx::PgPool;

pub use self::{
    read::Range,
    replay::{Progress, Replay, ReplayError, ReplayFailure, Replayed},
};
use crate::{
    database::{DatabaseError, tables},
    transport::Message,
};

/// Events that are deleted in one statement.
const PRUNED_AT_ONCE: i64 = 10_000;

/// The events of one database schema: table `celerysalt_events`, append-only by triggers.
#[derive(Clone, Debug)]
pub struct EventStore {
    pool: PgPool,
    only: Option<Arc<[TopicPattern]>>,
}

impl EventStore {
    /// The one in the schema that the pool's `search_path` names.
    ///
    /// An event that is written in a transaction (see [`outbox`](crate::outbox)) is appended in that transaction, through its
    /// connection: the outbox and the store then stand in one schema.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, only: None }
    }

    /// The one in the database that `url` names, as [`Outbox::connect`](crate::outbox::Outbox::connect) reads it.
    ///
    /// # Errors
    /// [`DatabaseError::Refused`] when `url` can't be read, or asks for TLS in a build without feature `tls`.
    pub fn connect(url: &str) -> Result<Self, DatabaseError> {
        Ok(Self::new(crate::database::connect(url)?))
    }

    /// Keeps only events of topics that one of the patterns matches.
    #[must_use]
    pub fn only(mut self, patterns: impl IntoIterator<Item = TopicPattern>) -> Self {
        self.only = Some(patterns.into_iter().collect());
        self
    }

    /// Makes its table when it is not there. Safe to run again, and at once by several.
    ///
    /// # Errors
    /// [`DatabaseError`]; the role needs `CREATE` on the schema.
    pub async fn migrate(&self) -> Result<(), DatabaseError> {
        tables::migrate(&mut *self.pool.acquire().await?, tables::EVENTS).await
    }

    /// The SQL that [`migrate`](Self::migrate) runs.
    pub fn sql() -> String {
        tables::sql(tables::EVENTS)
    }

    /// Deletes events that were recorded longer ago than `age`, a part at a time; gives how many that were.
    ///
    /// # Errors
    /// [`DatabaseError`]; the role needs `DELETE` on the table.
    pub async fn prune(&self, age: Duration) -> Result<u64, DatabaseError> {
        let mut pruned = 0;
        loop {
            let mut transaction = self.pool.begin().await?;
            sqlx::query("SELECT set_config('celerysalt.prune_events', 'on', true)")
                .persistent(false)
                .execute(&mut *transaction)
                .await?;
            let done = sqlx::query(
                "DELETE FROM celerysalt_events WHERE seq = ANY(ARRAY(
                     SELECT seq FROM celerysalt_events
                     WHERE recorded_at < clock_timestamp() - make_interval(secs => $1)
                     ORDER BY recorded_at, seq LIMIT $2))",
            )
            .bind(age.as_secs_f64())
            .bind(PRUNED_AT_ONCE)
            .persistent(false)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            transaction.commit().await?;
            pruned += done;
            if done == 0 {
                return Ok(pruned);
            }
        }
    }

    /// What there is to keep of these: topic and message.
    pub(crate) fn selected<'m>(&self, messages: &[(&'m str, &'m Message)]) -> Vec<(&'m str, &'m Message)> {
        let is_kept = |topic: &str| self.only.as_ref().is_none_or(|only| only.iter().any(|only| only.matches(topic)));
        messages.iter().copied().filter(|(topic, _)| is_kept(topic)).collect()
    }

    /// Appends what is about to be sent.
    ///
    /// # Errors
    /// [`DatabaseError`]; then nothing was appended.
    pub(crate) async fn append(&self, messages: &[(&str, &Message)]) -> Result<(), DatabaseError> {
        let selected = self.selected(messages);
        if selected.is_empty() {
            return Ok(());
        }
        let mut transaction = self.pool.begin().await?;
        append::append(&mut transaction, selected).await?;
        Ok(transaction.commit().await?)
    }
}
