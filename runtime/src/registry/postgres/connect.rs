//! Coming by a connection: a server that is away is told soon, one that is busy is waited for as long as the caller likes.
//!
//! sqlx's pool goes on trying in silence, whatever the reason. So while it does, the server is asked for another connection
//! now and then, only to hear why there is none.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, Connection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::errors::Failure;

/// A service asks its registry little: at its start, and when it publishes something for the first time.
const CONNECTIONS: u32 = 2;
/// How long to wait for a connection before asking why there is none. A server that is being restarted is back by then.
const SOON: Duration = Duration::from_secs(5);
/// How long one attempt may take, on a server that is slow.
const ATTEMPT: Duration = Duration::from_secs(15);
/// How long the server has to say why there is no connection.
const ANSWER: Duration = Duration::from_secs(3);
/// An unused connection is given back to the server after this time.
const IDLE: Duration = Duration::from_mins(1);

/// The connections of one registry.
pub(super) struct Connections {
    pub(super) options: PgConnectOptions,
    /// How long to wait for a server that is there, and has no connection to give.
    pub(super) patience: Duration,
    /// Made at first use, because it needs the async runtime that it is used in.
    pool: OnceLock<PgPool>,
}

impl Connections {
    /// Of a program that goes on without its registry.
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self { options, patience: SOON, pool: OnceLock::new() }
    }

    /// How long a whole operation may take, so that a network that swallows packets hangs nobody.
    pub(super) fn operation(&self) -> Duration {
        self.patience * 6
    }

    /// How long to wait while somebody else syncs or migrates.
    pub(super) fn turn(&self) -> Duration {
        (self.patience * 4).min(Duration::from_mins(1))
    }

    /// A connection, new or used before.
    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, Failure> {
        let pool = self.pool.get_or_init(|| {
            PgPoolOptions::new()
                .max_connections(CONNECTIONS)
                .acquire_timeout(ATTEMPT.min(self.patience))
                .idle_timeout(IDLE)
                .connect_lazy_with(self.options.clone())
        });
        let start = Instant::now();
        let mut acquiring = Box::pin(pool.acquire());
        loop {
            match tokio::time::timeout(SOON.min(self.patience), &mut acquiring).await {
                Ok(Err(sqlx::Error::PoolTimedOut)) => acquiring = Box::pin(pool.acquire()),
                Ok(outcome) => return Ok(outcome?),
                Err(_) => {}
            }
            let reason = self.why().await?;
            if start.elapsed() >= self.patience {
                return Err(Failure::Busy { reason, waited: start.elapsed() });
            }
            tracing::warn!(target: "celerysalt::waiting", reason, "the registry has no connection to give; waiting for one");
        }
    }

    /// Why there was no connection so far, as far as waiting may mend it.
    async fn why(&self) -> Result<String, Failure> {
        match tokio::time::timeout(ANSWER, self.options.connect()).await {
            Ok(Ok(connection)) => {
                // It has one just now. Where it did not: those that this handle may have are in use.
                drop(tokio::time::timeout(ANSWER, connection.close()).await);
                Ok(format!("the {CONNECTIONS} connections of this program are in use"))
            }
            Ok(Err(sqlx::Error::Database(error))) if error.is_transient_in_connect_phase() => {
                Ok(error.message().to_owned())
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Ok("it does not answer".to_owned()),
        }
    }
}
