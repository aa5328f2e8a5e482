//! A file of SQLite for a test, in a folder of its own, gone afterwards.

#![allow(clippy::unwrap_used, clippy::panic, reason = "only tests call this")]

use std::{env, fs, panic, path::PathBuf, sync::Arc};

use celerysalt::registry::{Registry, sqlite::SqliteRegistry};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use uuid::Uuid;

/// A place for a database, where none is yet.
#[derive(Clone, Debug)]
pub struct File {
    /// The file.
    pub path: PathBuf,
}

impl File {
    /// The URL of its registry.
    pub fn url(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }

    /// A registry in it, with a connection of its own: as another process would have it.
    pub fn registry(&self) -> SqliteRegistry {
        SqliteRegistry::open(&self.url()).unwrap()
    }

    /// A connection as anybody's who opens the file.
    pub async fn connection(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(&self.path).create_if_missing(true);
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// Runs statements that a test wrote: what they were refused for, if they were.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn execute(&self, sql: &str) -> Result<(), String> {
        let mut connection = self.connection().await;
        let outcome = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
        outcome.map(drop).map_err(|error| error.to_string())
    }
}

/// Runs `test` with a place for a database, then removes it.
pub async fn in_fresh_file<F: Future<Output = ()> + Send + 'static>(test: impl FnOnce(File) -> F) {
    let folder = env::temp_dir().join(format!("celerysalt_test_{}", Uuid::new_v4().simple()));
    fs::create_dir(&folder).unwrap();
    let outcome = tokio::spawn(test(File { path: folder.join("contracts.db") })).await;
    fs::remove_dir_all(&folder).unwrap();
    if let Err(error) = outcome {
        panic::resume_unwind(error.into_panic());
    }
}

/// Runs a case of the registries' suite on SQLite.
pub async fn in_sqlite<F: Future<Output = ()> + Send + 'static>(
    case: impl FnOnce(Arc<dyn Registry>) -> F + Send + 'static,
) {
    in_fresh_file(|file| case(Arc::new(file.registry()))).await;
}
