//! Runs the built command on folders of a test's own.

#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "tests; not every test uses everything")]

#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[path = "../../../tests/support/rabbitmq.rs"]
mod rabbitmq;

use std::{
    env, fs,
    io::Write,
    path::PathBuf,
    process::{self, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use serde_json::{Value, json};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A name that no other test has.
pub(crate) fn unique() -> String {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!("celerysalt_cli_{}_{clock}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The RabbitMQ that tests use.
pub(crate) fn broker() -> String {
    env::var("CELERYSALT_TEST_BROKER_URL").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned())
}

/// Deletes what a service has there: these of its queues, and the exchange of its name. To be called when it is dropped, also
/// after a failure, and within a runtime.
pub(crate) fn forget(service: &str, parts: &[&str]) {
    let queues = parts.iter().map(|part| format!("celerysalt.{service}.{part}")).collect();
    forget_all(queues, service);
}

/// The same of any queues.
pub(crate) fn forget_all(queues: Vec<String>, exchange: &str) {
    let exchanges = vec![exchange.to_owned()];
    drop(thread::spawn(move || rabbitmq::delete(&broker(), queues, exchanges)).join());
}

/// A folder that is gone with its value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// An empty one.
    pub(crate) fn empty() -> Self {
        let path = env::temp_dir().join(unique());
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// With two versions of a topic, and an RPC, in `schemas`.
    pub(crate) fn with_contracts() -> Self {
        let folder = Self::empty();
        let risk = |extra: Value| {
            json!({
                "title": "RiskCreated",
                "description": "A risk was found.\nMore of it.",
                "type": "object",
                "properties": {
                    "id": {"type": "string", "minLength": 1, "description": "Identifies the risk."},
                    "score": {"type": "number", "minimum": 0, "maximum": 10},
                    "extra": extra,
                },
                "required": ["id", "score"],
            })
        };
        folder.write("schemas/pulse.risk.created/v1.json", &risk(json!({"type": "string"})).to_string());
        folder.write("schemas/pulse.risk.created/v2.json", &risk(json!({"type": "integer"})).to_string());
        folder.write(
            "schemas/rpc.risk.get/v1.json",
            r#"{"title": "GetRisk", "type": "object", "description": "Asks for a risk."}"#,
        );
        folder.write("schemas/rpc.risk.get/v1.response.json", r#"{"type": "array", "items": {"type": "string"}}"#);
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The command, to be run in this folder, with nothing of the caller's environment that means something to it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_celerysalt"));
        command.args(arguments).current_dir(&self.0).env_remove("CELERYSALT_REGISTRY_URL").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(arguments))
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Run {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Run::from(child.wait_with_output().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<process::Output> for Run {
    fn from(output: process::Output) -> Self {
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panicked"), "{stderr}");
        Self {
            status: output.status.code().unwrap_or_else(|| panic!("killed: {:?}, {stderr}", output.status)),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr,
        }
    }
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// Standard output as the one JSON document that it must be.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs statements on a file of SQLite, as anybody could.
#[cfg(feature = "sqlite")]
pub(crate) fn sqlite(file: &std::path::Path, sql: &str) {
    use sqlx::{AssertSqlSafe, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let options = SqliteConnectOptions::new().filename(file);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    });
}
