//! What a failure of the database means to whoever has to mend it.

use std::{io::ErrorKind, time::Duration};

use crate::registry::RegistryError;

/// What an operation needs to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Read,
    Write,
    /// To deprecate.
    Status,
    /// To say who is there.
    Lineage,
}

/// Why an operation failed, before it is said for people.
#[derive(Debug)]
pub(super) enum Failure {
    Database(sqlx::Error),
    /// While the tables were being made.
    Migrating(sqlx::Error),
    NotMigrated,
    /// The search path names no schema that exists.
    NoSchema,
    Newer {
        version: i32,
        known: i32,
    },
    /// The server is there, and has no connection to give.
    Busy {
        reason: String,
        waited: Duration,
    },
    /// Somebody else syncs or migrates, and goes on doing so.
    Locked {
        waited: Duration,
    },
    /// A row that is no contract.
    Row(String),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(Into::into)
}

/// Whether a table or column does not exist.
pub(super) fn is_undefined(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("42P01" | "42703"))
}

/// Whether a lock was not to be had in time.
pub(super) fn is_locked(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some("55P03")
}

impl Failure {
    /// The same failure, of the making of tables.
    pub(super) fn migrating(self) -> Self {
        match self {
            Self::Database(error) => Self::Migrating(error),
            other => other,
        }
    }

    /// Whether another program wrote the same row, or made the same table, at the same time.
    pub(super) fn is_race(&self) -> bool {
        match self {
            Self::Database(error) | Self::Migrating(error) => {
                matches!(code(error).as_deref(), Some("23505" | "40001" | "40P01" | "42P07"))
            }
            _ => false,
        }
    }

    /// For people: what happened at `registry`, and what to do.
    pub(super) fn explain(self, registry: &str, needs: Needs) -> RegistryError {
        let registry = registry.to_owned();
        match self {
            Self::Database(error) => explain(&error, registry, needs, false),
            Self::Migrating(error) => explain(&error, registry, needs, true),
            Self::NotMigrated => RegistryError::Unusable {
                reason: "its tables are not there or not up to date: \
                         run `celerysalt sync --registry URL` once with a role that may create them"
                    .to_owned(),
                registry,
            },
            Self::NoSchema => RegistryError::Unusable {
                reason: "the connection's search_path names no schema that exists: create the schema, \
                         or name another one with `?options=-csearch_path%3DNAME`"
                    .to_owned(),
                registry,
            },
            Self::Newer { version, known } => RegistryError::Unusable {
                reason: format!(
                    "its tables are of version {version}, made by a newer celerysalt; this program knows version \
                     {known}: build it with a newer celerysalt"
                ),
                registry,
            },
            Self::Busy { reason, waited } => RegistryError::Unavailable {
                reason: format!(
                    "no connection within {} s: {reason}; try again when less is going on there",
                    waited.as_secs()
                ),
                registry,
            },
            Self::Locked { waited } => RegistryError::Unavailable {
                reason: format!(
                    "another sync or migration is under way there for more than {} s: try again when it is through; \
                     pg_stat_activity says whose it is",
                    waited.as_secs()
                ),
                registry,
            },
            Self::Row(reason) => RegistryError::Unusable { registry, reason },
        }
    }
}

fn explain(error: &sqlx::Error, registry: String, needs: Needs, migrating: bool) -> RegistryError {
    let unavailable = |registry, reason: String| RegistryError::Unavailable { registry, reason };
    let database = match error {
        // A certificate that is not trusted comes as this; trying again won't help.
        sqlx::Error::Io(io) if io.kind() == ErrorKind::InvalidData => {
            return RegistryError::Denied {
                reason: format!(
                    "{io}: name the server's CA with `sslrootcert=PATH` in the URL, and its host as certified"
                ),
                registry,
            };
        }
        // A socket of the server may be missing for a while; a certificate that was named is not there.
        sqlx::Error::Io(io)
            if matches!(io.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied)
                && ["sslrootcert=", "sslcert=", "sslkey="].iter().any(|file| registry.contains(file)) =>
        {
            return RegistryError::Unusable {
                reason: format!("{io}: the files of sslrootcert, sslcert and sslkey must be there and readable"),
                registry,
            };
        }
        sqlx::Error::Tls(reason) => {
            return RegistryError::Denied {
                reason: format!("{reason}: give the server a certificate, or ask for less with `sslmode` in the URL"),
                registry,
            };
        }
        sqlx::Error::Protocol(reason) => {
            let reason = format!("the answer is not PostgreSQL's, is this its port? {reason}");
            return RegistryError::Unusable { registry, reason };
        }
        sqlx::Error::Io(io) if io.kind() == ErrorKind::ConnectionRefused => {
            return unavailable(registry, format!("{io}: nothing listens there"));
        }
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            return unavailable(registry, error.to_string());
        }
        sqlx::Error::Database(database) => database,
        _ => return RegistryError::Unusable { registry, reason: error.to_string() },
    };
    let message = database.message();
    let code = database.code().unwrap_or_default();
    let denied = |registry, advice: &str| RegistryError::Denied { registry, reason: format!("{message}: {advice}") };
    match &*code {
        "28P01" | "28000" => denied(registry, "check the user, the password and the server's pg_hba.conf"),
        "25006" => denied(
            registry,
            "this connection may only read; connect to the primary, and check default_transaction_read_only",
        ),
        "42501" if migrating => denied(
            registry,
            "the role may not make the registry's tables; run `celerysalt sync` once as a role with CREATE on the \
             schema (and as the tables' owner, if they exist), or grant it that",
        ),
        "42501" if needs == Needs::Read => denied(
            registry,
            "to read, the role needs USAGE on the schema and SELECT ON celerysalt_schemas, celerysalt_migrations, \
                 celerysalt_audit, celerysalt_publishers, celerysalt_subscribers; `celerysalt registry roles` has roles \
                 with all that is needed",
        ),
        "42501" if needs == Needs::Status => denied(
            registry,
            "to deprecate, the role needs UPDATE ON celerysalt_schemas; `celerysalt registry roles` has a role for it",
        ),
        "42501" if needs == Needs::Lineage => denied(
            registry,
            "to record publishers and subscribers, the role needs INSERT, UPDATE ON celerysalt_publishers, \
             celerysalt_subscribers; `celerysalt registry roles` has a role for it",
        ),
        "42501" => denied(
            registry,
            "to sync, the role needs SELECT ON celerysalt_migrations and SELECT, INSERT, UPDATE ON celerysalt_schemas; \
             `celerysalt registry roles` has a role for it",
        ),
        "42P01" | "42703" | "42804" | "42883" | "42P10" => RegistryError::Unusable {
            reason: format!(
                "{message}: its tables are not as celerysalt makes them; run `celerysalt sync` with a role that may \
                 change them, or choose another schema with `?options=-csearch_path%3DNAME`"
            ),
            registry,
        },
        "53300" => unavailable(registry, message.to_owned()),
        // Connection lost, shutting down, starting up, cancelled.
        code if code.starts_with("08") || code.starts_with("57") => unavailable(registry, message.to_owned()),
        code => RegistryError::Unusable { reason: format!("{message} (SQLSTATE {code})"), registry },
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_waiting_can_mend_is_unavailable_and_nothing_else_is() {
        let explain = |error: sqlx::Error| Failure::from(error).explain("postgres://db", Needs::Read);
        let refused = explain(io::Error::from(ErrorKind::ConnectionReset).into());
        assert!(matches!(refused, RegistryError::Unavailable { .. }), "{refused}");
        let untrusted =
            explain(io::Error::new(ErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer").into());
        assert!(matches!(untrusted, RegistryError::Denied { .. }), "{untrusted}");
        let foreign = explain(sqlx::Error::Protocol("unexpected response".to_owned()));
        assert!(matches!(foreign, RegistryError::Unusable { .. }), "{foreign}");
    }
}
