//! PostgreSQL for a test: a database schema of its own, gone afterwards, whatever becomes of the test.
//!
//! The server is a must: without one, these tests fail.

#![allow(clippy::unwrap_used, clippy::panic, reason = "only tests call this")]

use std::{
    env, panic,
    sync::Arc,
    time::{Duration, Instant},
};

use celerysalt::registry::{Registry, postgres::PostgresRegistry};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

/// The database of the tests: `CELERYSALT_TEST_REGISTRY_URL`, or the local server's database `test`.
pub fn registry_url() -> String {
    env::var("CELERYSALT_TEST_REGISTRY_URL").unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/test".to_owned())
}

/// An empty database schema.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Its name.
    pub name: String,
    /// What connects to it: its `search_path` is this schema.
    pub url: String,
}

impl Schema {
    /// A registry in it, with connections of its own.
    pub fn registry(&self) -> PostgresRegistry {
        PostgresRegistry::connect(&self.url).unwrap()
    }

    /// Makes a role that may log in and use this schema and nothing else: its name, and a URL that connects as it.
    pub async fn role(&self) -> (String, String) {
        let role = role_of(&self.name);
        self.execute(&format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {} TO {role}", self.name)).await;
        (role.clone(), format!("{}&user={role}", self.url))
    }

    /// A connection to it.
    pub async fn connection(&self) -> PgConnection {
        connect(&self.url).await
    }

    /// Waits until a session of this schema waits for a lock that another one holds. PostgreSQL tells nobody of that, so it is
    /// asked again and again.
    pub async fn blocked(&self) {
        let mut connection = connect(&registry_url()).await;
        let start = Instant::now();
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'",
            )
            .bind(&self.name)
            .fetch_one(&mut connection)
            .await
            .unwrap();
            if waiting > 0 {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "no session of {} waits for a lock", self.name);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Runs statements that a test wrote.
    pub async fn execute(&self, sql: &str) {
        execute(&mut self.connection().await, sql).await;
    }
}

fn role_of(schema: &str) -> String {
    format!("{schema}_role")
}

async fn connect(url: &str) -> PgConnection {
    match PgConnection::connect(url).await {
        Ok(connection) => connection,
        Err(error) => panic!(
            "these tests need PostgreSQL at {}: {error}; `cargo xtask services up` starts one, or name another with \
             CELERYSALT_TEST_REGISTRY_URL",
            registry_url()
        ),
    }
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap_or_else(|error| panic!("{error} in {sql}"));
}

/// Runs `test` in a schema that nothing is in, then drops the schema with its role.
pub async fn in_fresh_schema<F: Future<Output = ()> + Send + 'static>(test: impl FnOnce(Schema) -> F) {
    let name = format!("celerysalt_test_{}", Uuid::new_v4().simple());
    let base = registry_url();
    let separator = if base.contains('?') { '&' } else { '?' };
    let url = format!("{base}{separator}application_name={name}&options=-csearch_path%3D{name}");
    let mut admin = connect(&base).await;
    execute(&mut admin, &format!("CREATE SCHEMA {name}")).await;
    let outcome = tokio::spawn(test(Schema { name: name.clone(), url })).await;
    execute(&mut admin, &format!("DROP SCHEMA {name} CASCADE; DROP ROLE IF EXISTS {}", role_of(&name))).await;
    if let Err(error) = outcome {
        panic::resume_unwind(error.into_panic());
    }
}

/// Runs a case of the registries' suite on PostgreSQL.
pub async fn in_postgres<F: Future<Output = ()> + Send + 'static>(
    case: impl FnOnce(Arc<dyn Registry>) -> F + Send + 'static,
) {
    in_fresh_schema(|schema| case(Arc::new(schema.registry()))).await;
}
