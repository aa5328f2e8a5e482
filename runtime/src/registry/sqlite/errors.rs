//! What a failure of the database file means to whoever has to mend it.

use crate::registry::RegistryError;

/// Why an operation failed, before it is said for people.
#[derive(Debug)]
pub(super) enum Failure {
    Database(sqlx::Error),
    /// There is no file, or it has no tables of ours.
    NotMigrated,
    Newer {
        version: i64,
        known: i64,
    },
    /// A row that is no contract.
    Row(String),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl Failure {
    /// For people: what happened at `registry`, and what to do.
    pub(super) fn explain(self, registry: &str) -> RegistryError {
        let registry = registry.to_owned();
        match self {
            Self::Database(error) => explain(&error, registry),
            Self::NotMigrated => RegistryError::Unusable {
                reason: "its tables are not there or not up to date: run `celerysalt sync --registry sqlite:PATH` once"
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
            Self::Row(reason) => RegistryError::Unusable { registry, reason },
        }
    }
}

/// The primary result code, without the details that SQLite adds in the upper bits.
fn code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn explain(error: &sqlx::Error, registry: String) -> RegistryError {
    let message = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    let unavailable =
        |registry, advice: &str| RegistryError::Unavailable { registry, reason: format!("{message}: {advice}") };
    let denied = |registry, advice: &str| RegistryError::Denied { registry, reason: format!("{message}: {advice}") };
    let unusable =
        |registry, advice: &str| RegistryError::Unusable { registry, reason: format!("{message}: {advice}") };
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return unavailable(registry, "other work of this process holds the file");
    }
    // https://www.sqlite.org/rescode.html
    match code(error) {
        Some(5 | 6) => unavailable(registry, "another process has been writing to the file for too long"),
        Some(10) => unavailable(registry, "the disk did not do what it was asked"),
        Some(13) => unavailable(registry, "make room on the disk"),
        Some(3 | 8 | 23) => {
            denied(registry, "the file and its folder must be writable for the user that syncs or runs the service")
        }
        Some(14) => unusable(registry, "the folder must exist, and the file must be one that this user may open"),
        Some(11 | 26) => unusable(registry, "this file is no SQLite database, or a broken one; name another"),
        Some(1) => {
            unusable(registry, "its tables are not as celerysalt makes them; name another file, or restore this one")
        }
        Some(code) => unusable(registry, &format!("SQLite's result code {code}")),
        None => RegistryError::Unusable { registry, reason: message },
    }
}
