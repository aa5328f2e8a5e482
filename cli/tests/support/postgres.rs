//! PostgreSQL for a test of the command: without a server, it fails.

use std::env;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::unique;

/// A database schema that is gone with its value.
pub(crate) struct Schema {
    pub(crate) name: String,
    pub(crate) url: String,
}

impl Schema {
    pub(crate) fn fresh() -> Self {
        let name = unique();
        let base = base_url();
        execute(&format!("CREATE SCHEMA {name}"));
        let separator = if base.contains('?') { '&' } else { '?' };
        Self { url: format!("{base}{separator}options=-csearch_path%3D{name}"), name }
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        execute(&format!("DROP SCHEMA {} CASCADE", self.name));
    }
}

fn base_url() -> String {
    env::var("CELERYSALT_TEST_REGISTRY_URL").unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/test".to_owned())
}

/// Runs statements on the server, as anybody could.
pub(crate) fn execute(sql: &str) {
    in_database(async |connection| {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
    });
}

/// Does something with one connection.
pub(crate) fn in_database<T>(act: impl AsyncFnOnce(&mut PgConnection) -> T) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let mut connection = PgConnection::connect(&base_url())
            .await
            .unwrap_or_else(|error| panic!("these tests need PostgreSQL at {}: {error}", base_url()));
        act(&mut connection).await
    })
}
