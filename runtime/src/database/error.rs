//! What a failure of the user's database means to whoever has to mend it. No row's content gets into an error.

use std::io::ErrorKind;

/// Why the database did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// It can't be reached, is starting, stopping or full, or gave this transaction up for another's sake: trying again
    /// helps.
    #[error("the database is unavailable: {reason}")]
    Unavailable {
        /// What was tried and what came of it.
        reason: String,
    },
    /// It said no, and will say no again: a missing table, a missing right, a wrong password.
    #[error("the database refused: {reason}")]
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

impl DatabaseError {
    /// Whether trying again can help.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into() }
    }

    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }
}

/// PostgreSQL's details quote rows, so only its messages are kept.
impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        let database = match &error {
            sqlx::Error::PoolTimedOut => {
                return Self::unavailable("no connection in time: nobody listens there, or every connection is in use");
            }
            // A certificate that is not trusted comes as this.
            sqlx::Error::Io(io) if io.kind() == ErrorKind::InvalidData => return Self::refused(error.to_string()),
            sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => {
                return Self::unavailable(error.to_string());
            }
            sqlx::Error::Database(database) => database,
            _ => return Self::refused(error.to_string()),
        };
        let message = database.message();
        let code = database.code().unwrap_or_default();
        match &*code {
            "42P01" | "42703" | "42883" => Self::refused(format!(
                "{message}: the tables are not there or not up to date in the schema that this connection's search_path \
                 names; run `celerysalt outbox migrate --database URL` once as a role that may create tables"
            )),
            "42501" => Self::refused(format!("{message}: grant the role what docs/outbox.md lists")),
            "28P01" | "28000" => {
                Self::refused(format!("{message}: check the user, the password and the server's pg_hba.conf"))
            }
            "25P02" => {
                Self::refused(format!("{message}: an earlier statement of this transaction failed; roll it back"))
            }
            "25006" => Self::refused(format!("{message}: connect to the primary")),
            // Whatever else a statement of ours is refused for stays so: syntax, rights, names, values.
            code if ["22", "23", "25", "28", "3D", "3F", "42", "0A"].iter().any(|class| code.starts_with(class)) => {
                Self::refused(format!("{message} (SQLSTATE {code})"))
            }
            code => Self::unavailable(format!("{message} (SQLSTATE {code})")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_waiting_can_mend_is_unavailable_and_nothing_else_is() {
        let reset = DatabaseError::from(sqlx::Error::from(io::Error::from(ErrorKind::ConnectionReset)));
        assert!(reset.is_unavailable(), "{reset}");
        let untrusted = io::Error::new(ErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer");
        assert!(!DatabaseError::from(sqlx::Error::from(untrusted)).is_unavailable());
        assert!(!DatabaseError::from(sqlx::Error::RowNotFound).is_unavailable());
        assert!(DatabaseError::from(sqlx::Error::PoolTimedOut).is_unavailable());
    }
}
