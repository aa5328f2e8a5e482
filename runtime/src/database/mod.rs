//! What the outbox, the event store and the inbox share: their tables in the user's own PostgreSQL, messages as columns,
//! and what a failure of the database means.

pub(crate) mod columns;
mod error;
pub(crate) mod tables;

pub use error::DatabaseError;

use std::{str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};

/// Two work, one listens, one is asked for the status.
const CONNECTIONS: u32 = 4;
/// How long to wait for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);

/// A few connections to the database that `url` names, none of them open yet. Needs an async runtime.
///
/// # Errors
/// [`DatabaseError::Refused`], without the URL's password.
pub(crate) fn connect(url: &str) -> Result<PgPool, DatabaseError> {
    let refused = |reason: String| DatabaseError::refused(format!("{} {reason}", crate::url::redact_url(url)));
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| {
            refused(format!("is no URL of PostgreSQL: {error}; expected `postgres://USER:PASSWORD@HOST:PORT/DATABASE`"))
        })?
        .disable_statement_logging();
    let wants_tls = !matches!(options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer);
    if wants_tls && !cfg!(feature = "tls") {
        return Err(refused("has an sslmode that needs feature `tls` of the crate celerysalt".to_owned()));
    }
    Ok(PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE).connect_lazy_with(options))
}
