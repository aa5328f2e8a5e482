//! How a registry stands, for people who look for what is wrong: tables, and what this user may do with them. Reads only.

use super::{
    PostgresRegistry, RegistryError,
    errors::{Failure, Needs},
    migrate::{self, Level},
};

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The database user.
    pub user: String,
    /// Whether the tables are as this program wants them.
    pub tables: Tables,
    /// What the user may do; none while the tables are not as they should be.
    pub rights: Option<Rights>,
}

/// Whether a registry's tables are as this program wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tables {
    /// There are none; the first sync makes them.
    Absent,
    /// Migrations are missing: this one was the last. The next sync by the tables' owner runs them.
    Older(i32),
    /// All is there.
    Current,
}

/// What a user may do: see [`roles_sql`](super::roles_sql).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
#[non_exhaustive]
pub struct Rights {
    /// Read contracts: what every service needs.
    pub reads: bool,
    /// Record that it is there, as a running service does.
    pub records_presence: bool,
    /// Add contracts, as a service does that registers its own when it starts.
    pub registers: bool,
    /// Sync and deprecate.
    pub releases: bool,
}

impl PostgresRegistry {
    /// Looks at the tables and at this user's rights, and changes nothing.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`]; [`RegistryError::Denied`]; [`RegistryError::Unusable`] when a newer program has made
    /// tables that this one can't work with.
    pub async fn inspect(&self) -> Result<Inspection, RegistryError> {
        let work = async {
            let mut connection = self.connections.acquire().await?;
            let user: String =
                sqlx::query_scalar("SELECT current_user::text").persistent(false).fetch_one(&mut *connection).await?;
            let tables = match migrate::level(&mut connection).await? {
                Level::Absent => Tables::Absent,
                Level::Older(version) => Tables::Older(version),
                Level::Current => Tables::Current,
            };
            if tables != Tables::Current {
                return Ok(Inspection { user, tables, rights: None });
            }
            let (reads, records_presence, registers, releases): (bool, bool, bool, bool) = sqlx::query_as(
                "SELECT has_table_privilege('celerysalt_schemas', 'SELECT'),
                     has_table_privilege('celerysalt_publishers', 'INSERT')
                         AND has_table_privilege('celerysalt_publishers', 'UPDATE')
                         AND has_table_privilege('celerysalt_subscribers', 'INSERT')
                         AND has_table_privilege('celerysalt_subscribers', 'UPDATE'),
                     has_table_privilege('celerysalt_schemas', 'INSERT')
                         AND has_column_privilege('celerysalt_schemas', 'annotated', 'UPDATE'),
                     has_table_privilege('celerysalt_schemas', 'INSERT')
                         AND has_table_privilege('celerysalt_schemas', 'UPDATE')",
            )
            .persistent(false)
            .fetch_one(&mut *connection)
            .await?;
            let rights = Some(Rights { reads, records_presence, registers, releases });
            Ok::<_, Failure>(Inspection { user, tables, rights })
        };
        self.run(Needs::Read, work).await
    }
}
