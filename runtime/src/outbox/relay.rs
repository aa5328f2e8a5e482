//! The relay: publishes what transactions have committed to the outbox, and forgets it once the broker has confirmed it.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use sqlx::{Connection, PgConnection, PgPool, postgres::PgListener};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{
    claim::{self, Pauses},
    publisher::{self, Sent},
    row,
};
use crate::{
    Salt,
    database::DatabaseError,
    pause::spread,
    telemetry,
    transport::{Transport, TransportError},
};

/// How many bytes of bodies are in flight at a time, unless one event alone has more.
const MAX_BATCH_BYTES: usize = 32 * 1024 * 1024;
/// How long the database may take over one step, so that a network that swallows packets stops nobody for good.
const STEP: Duration = Duration::from_secs(30);
/// Pauses while the broker or the database is away.
const AWAY: Pauses = Pauses { first: Duration::from_millis(200), longest: Duration::from_secs(5) };
/// What transactions notify.
const CHANNEL: &str = "celerysalt_outbox";

/// Publishes what is in an outbox. Several may run at once, in one process or many: they share the work.
///
/// Woken by PostgreSQL when a transaction with an event commits, and looks for itself besides. While the broker is away it
/// waits, while the database is away it reconnects; an event leaves the table only when its message is confirmed, so a relay
/// that is killed costs no event, but may send those again that were under way: at most twice [`batch`](Self::batch).
///
/// ```no_run
/// # use celerysalt::{Salt, outbox::{Outbox, Relay}, sqlx::PgPool};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = PgPool::connect("postgres://shop@127.0.0.1/shop").await?;
/// Outbox::new(pool.clone()).migrate().await?;
/// let salt = Salt::connect_env("shop").await?;
/// let relayed = Relay::new(pool, &salt).run_until_signal().await?;
/// println!("{} events published", relayed.published);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is published before it runs"]
pub struct Relay {
    pool: PgPool,
    transport: Arc<dyn Transport>,
    batch: usize,
    poll: Duration,
    pauses: Pauses,
}

/// What a relay has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Relayed {
    /// Events that were confirmed and deleted.
    pub published: u64,
    /// Tries that the broker did not take; their events are still there.
    pub refused: u64,
}

/// Why a relay gave up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The database refuses, and will go on refusing: no table, no right, a wrong password.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The transport was closed under it.
    #[error(transparent)]
    Broker(#[from] TransportError),
    /// The process can't listen for signals.
    #[error("cannot listen for termination signals: {0}")]
    Signal(std::io::Error),
}

/// Which events a loop looks after. They take turns with nobody: an event that waits for its key holds up no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    WithoutKey,
    WithKey,
}

/// Both loops' view of the run.
struct Run<'r> {
    relay: &'r Relay,
    stop: watch::Receiver<bool>,
    /// One for each lane.
    wake: [Notify; 2],
    /// Whether to end when there is nothing left to take.
    drain: bool,
}

/// What one step has come to.
#[derive(Debug, Default)]
struct Step {
    sent: Sent,
    /// Whether there is more to look at right away.
    more: bool,
}

impl Relay {
    /// Over the pool's database, to the broker of `salt`. It takes up to three connections of the pool: one listens.
    pub fn new(pool: PgPool, salt: &Salt) -> Self {
        Self::with_transport(pool, Arc::clone(salt.transport()))
    }

    /// The same to any transport.
    pub fn with_transport(pool: PgPool, transport: Arc<dyn Transport>) -> Self {
        let pauses = Pauses { first: Duration::from_secs(1), longest: Duration::from_mins(5) };
        Self { pool, transport, batch: 500, poll: Duration::from_secs(1), pauses }
    }

    /// How many events are in flight at a time, with a key and without, each; 500 unless set, at least 1.
    pub fn batch(mut self, events: usize) -> Self {
        self.batch = events.clamp(1, 100_000);
        self
    }

    /// How often to look without being woken; every second unless set.
    pub fn poll(mut self, every: Duration) -> Self {
        self.poll = every.max(Duration::from_millis(1));
        self
    }

    /// The pauses between tries of an event that the broker does not take: `first`, then twice as long each time up to
    /// `longest`, each shortened by up to half at random. From a second to five minutes unless set. An event is tried for
    /// as long as it takes.
    pub fn retry(mut self, first: Duration, longest: Duration) -> Self {
        self.pauses = Pauses { first, longest: longest.max(first) };
        self
    }

    /// Runs for ever.
    ///
    /// # Errors
    /// [`RelayError`]. A broker or a database that is away is none: it waits for them.
    pub async fn run(self) -> Result<Relayed, RelayError> {
        self.run_until(std::future::pending()).await
    }

    /// Runs until `end` resolves, then waits for what is in flight, writes down what became of it, and returns.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_until(self, end: impl Future<Output = ()> + Send) -> Result<Relayed, RelayError> {
        let (stop, stopped) = watch::channel(false);
        let run = Run { relay: &self, stop: stopped, wake: Default::default(), drain: false };
        let lanes = async { tokio::try_join!(run.lane(Lane::WithoutKey), run.lane(Lane::WithKey)) };
        let (mut lanes, mut listening, mut end) = (pin!(lanes), pin!(run.listen()), pin!(end));
        let mut ending = false;
        loop {
            tokio::select! {
                done = &mut lanes => return done.map(sum),
                () = &mut listening, if !ending => {}
                () = &mut end, if !ending => {
                    ending = true;
                    stop.send_replace(true);
                }
            }
        }
    }

    /// Runs until the process is told to end (SIGTERM, or SIGINT: Ctrl-C).
    ///
    /// # Errors
    /// As [`run`](Self::run); [`RelayError::Signal`].
    pub async fn run_until_signal(self) -> Result<Relayed, RelayError> {
        let signal = crate::service::termination().map_err(RelayError::Signal)?;
        self.run_until(signal).await
    }

    /// Publishes what there is, and returns when nothing is left that is due and that nobody else has: for a program that
    /// is started now and then. What the broker refused is still there.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn drain(self) -> Result<Relayed, RelayError> {
        let (_stop, stopped) = watch::channel(false);
        let run = Run { relay: &self, stop: stopped, wake: Default::default(), drain: true };
        tokio::try_join!(run.lane(Lane::WithoutKey), run.lane(Lane::WithKey)).map(sum)
    }
}

fn sum((a, b): (Relayed, Relayed)) -> Relayed {
    Relayed { published: a.published + b.published, refused: a.refused + b.refused }
}

impl Run<'_> {
    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    async fn stopped(&self) {
        // An error means that nobody can stop it any more.
        if self.stop.clone().wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Takes and publishes until it is stopped.
    async fn lane(&self, lane: Lane) -> Result<Relayed, RelayError> {
        let mut relayed = Relayed::default();
        let mut cursor = String::new();
        let mut troubles = 0;
        let mut has_worked = false;
        while !self.is_stopped() {
            let trouble = match self.step(lane, &mut cursor).await {
                Ok(Step { sent, more }) => {
                    has_worked = true;
                    relayed.published += sent.confirmed.len() as u64;
                    relayed.refused += sent.refused.len() as u64;
                    telemetry::relayed(sent.confirmed.len(), sent.refused.len());
                    if sent.closed {
                        return Err(TransportError::Closed.into());
                    }
                    if let Some(away) = sent.away {
                        away.to_string()
                    } else {
                        if troubles > 0 {
                            tracing::info!(?lane, "the outbox is relayed again");
                        }
                        troubles = 0;
                        if !more && self.drain {
                            break;
                        }
                        if !more {
                            self.idle(lane).await;
                        }
                        continue;
                    }
                }
                Err(error) if error.is_unavailable() => error.to_string(),
                // What has worked before was taken away by somebody, who may be bringing it back: a migration, a restore.
                Err(error) if has_worked => error.to_string(),
                Err(error) => return Err(error.into()),
            };
            if troubles == 0 {
                tracing::warn!(?lane, reason = trouble, "the outbox waits");
            }
            tokio::select! {
                () = tokio::time::sleep(pause(troubles)) => {}
                () = self.stopped() => {}
            }
            troubles += 1;
        }
        Ok(relayed)
    }

    async fn idle(&self, lane: Lane) {
        tokio::select! {
            () = self.wake[lane as usize].notified() => {}
            () = tokio::time::sleep(self.relay.poll) => {}
            () = self.stopped() => {}
        }
    }

    /// Takes a batch, publishes it, and writes down what became of it.
    async fn step(&self, lane: Lane, cursor: &mut String) -> Result<Step, DatabaseError> {
        let mut connection = self.relay.pool.acquire().await?;
        let outcome = self.step_on(&mut connection, lane, cursor).await;
        if outcome.is_err() {
            // Its transaction is in a state that nobody knows.
            connection.close_on_drop();
        }
        outcome
    }

    async fn step_on(
        &self,
        connection: &mut PgConnection,
        lane: Lane,
        cursor: &mut String,
    ) -> Result<Step, DatabaseError> {
        let batch = self.relay.batch;
        let mut transaction = soon(async { Ok(connection.begin().await?) }).await?;
        let (taken, more) = match lane {
            Lane::WithoutKey => {
                let taken = soon(claim::due(&mut transaction, batch)).await?;
                let more = taken.len() >= batch;
                (taken, more)
            }
            Lane::WithKey => {
                let keys = soon(claim::keys(&mut transaction, cursor, batch, batch)).await?;
                // At the end of the keys it starts again, once there is something to do for it.
                let more = keys.next.is_some() || !keys.taken.is_empty();
                *cursor = keys.next.unwrap_or_default();
                (keys.taken, more)
            }
        };
        if taken.is_empty() {
            soon(async { Ok(transaction.rollback().await?) }).await?;
            return Ok(Step { sent: Sent::default(), more });
        }
        let fitting = publisher::fitting(&taken, MAX_BATCH_BYTES);
        let more = more || fitting.len() < taken.len();
        let ids: Vec<i64> = fitting.into_iter().collect();
        let rows = soon(row::fetch(&mut transaction, &ids)).await?;
        let sent = match lane {
            Lane::WithoutKey => publisher::side_by_side(&*self.relay.transport, rows).await,
            Lane::WithKey => publisher::in_order(&self.relay.transport, rows, &self.stop).await,
        };
        let (refused, pauses) = (sent.refused.clone(), self.relay.pauses);
        soon(claim::settle(&mut transaction, &sent.confirmed, refused, pauses)).await?;
        soon(async { Ok(transaction.commit().await?) }).await?;
        tracing::debug!(?lane, published = sent.confirmed.len(), refused = sent.refused.len(), "a batch of the outbox");
        Ok(Step { sent, more })
    }

    /// Wakes the lanes when a transaction with an event commits. Whatever goes wrong here, they look for themselves.
    async fn listen(&self) {
        if self.relay.pool.options().get_max_connections() < 2 {
            tracing::info!("the pool has one connection: the relay looks for events now and then, and does not listen");
            std::future::pending::<()>().await;
        }
        let mut troubles = 0;
        loop {
            if let Err(error) = self.notice(&mut troubles).await {
                let error = DatabaseError::from(error);
                tracing::debug!(%error, "the relay does not listen");
            }
            tokio::time::sleep(pause(troubles)).await;
            troubles += 1;
        }
    }

    async fn notice(&self, troubles: &mut u32) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.relay.pool).await?;
        listener.listen(CHANNEL).await?;
        let table: Option<String> = sqlx::query_scalar("SELECT to_regclass('celerysalt_outbox')::oid::text")
            .persistent(false)
            .fetch_one(&mut listener)
            .await?;
        loop {
            // What was committed before it listened is looked for too; so is what came while it had lost its connection.
            self.wake.iter().for_each(Notify::notify_one);
            *troubles = 0;
            while let Some(notification) = listener.try_recv().await? {
                if table.as_deref() == Some(notification.payload()) {
                    self.wake.iter().for_each(Notify::notify_one);
                }
            }
        }
    }
}

/// An operation of the database, within its time.
async fn soon<T>(operation: impl Future<Output = Result<T, DatabaseError>>) -> Result<T, DatabaseError> {
    let late = || DatabaseError::unavailable(format!("no answer within {} s", STEP.as_secs()));
    timeout(STEP, operation).await.unwrap_or_else(|_| Err(late()))
}

/// Longer each time, and between half of it and all of it.
fn pause(troubles: u32) -> Duration {
    spread(AWAY.first.saturating_mul(2_u32.saturating_pow(troubles)).min(AWAY.longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        assert!(pause(0) <= AWAY.first && pause(0) >= AWAY.first / 2);
        assert!(pause(40) <= AWAY.longest && pause(40) >= AWAY.longest / 2);
    }
}
