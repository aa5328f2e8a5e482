//! An example as its test runs it: alone on its broker's queues, for itself in its database schema.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::{fs::File, path::Path, process::Stdio, time::Duration};

use celerysalt_tests::{broker_url, postgres::in_fresh_schema, python, rabbitmq};
use tokio::process::Command;

/// How long an example may take, Python's start included.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where an example runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Broker and registry in its process; what needs a database of its own has PostgreSQL here too.
    Memory,
    /// RabbitMQ and PostgreSQL.
    Servers,
}

/// What an example is, and what it has to say.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// Its program.
    pub program: &'static str,
    /// The services whose queues it makes.
    pub services: &'static [&'static str],
    /// Parts of what it prints, in their order.
    pub says: &'static [&'static str],
    /// Parts of what it must not print.
    pub never: &'static [&'static str],
}

impl Example {
    /// Runs it, and looks at what it printed.
    pub async fn runs(self, place: Place) {
        in_fresh_schema(move |schema| async move {
            // Its queues have fixed names: on one machine, one of it at a time.
            let lock = std::env::temp_dir().join("celerysalt-examples.lock");
            let lock = File::options().create(true).append(true).open(lock).unwrap();
            let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await.unwrap().unwrap();
            let mut command = Command::new(self.program);
            command.env_remove("CELERYSALT_BROKER_URL").env_remove("CELERYSALT_REGISTRY_URL");
            command.env_remove("CELERYSALT_PYTHON").env("CELERYSALT_DATABASE_URL", &schema.url);
            let name = Path::new(self.program).file_name().unwrap().to_string_lossy().into_owned();
            if name == "example-outbox" {
                command.args(["--database", &schema.url]);
            }
            if place == Place::Servers {
                self.clean().await;
                if name == "example-quickstart" {
                    command.args(["--broker", &broker_url(), "--registry", &schema.url]);
                } else {
                    command.env("CELERYSALT_BROKER_URL", broker_url()).env("CELERYSALT_REGISTRY_URL", &schema.url);
                }
                if name == "example-migration" {
                    command.env("CELERYSALT_PYTHON", tokio::task::spawn_blocking(python::python).await.unwrap());
                }
            }
            command.stdin(Stdio::null()).kill_on_drop(true);
            let ended = tokio::time::timeout(PATIENCE, command.output()).await;
            if place == Place::Servers {
                self.clean().await;
            }
            drop(lock);
            let output = ended.unwrap_or_else(|_| panic!("{name} did not end within {PATIENCE:?}")).unwrap();
            let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{name}: {}\n{said}{complained}", output.status);
            let mut rest = &*said;
            for part in self.says {
                let at = rest.find(part).unwrap_or_else(|| panic!("`{part}` is not, or not in its place, in:\n{said}"));
                rest = &rest[at + part.len()..];
            }
            for part in self.never {
                assert!(!said.contains(part), "`{part}` is in:\n{said}");
            }
        })
        .await;
    }

    /// Deletes the queues of its services, and of its Python peer.
    async fn clean(self) {
        let queues = self.services.iter().flat_map(|service| {
            let retries = (1..=5).map(|tries| format!("retry.{tries}"));
            let parts = ["events", "rpc", "dead", "waiting"].map(str::to_owned).into_iter().chain(retries);
            parts.map(move |part| format!("celerysalt.{service}.{part}"))
        });
        let queues: Vec<String> = queues.chain(["migration-python".to_owned()]).collect();
        tokio::task::spawn_blocking(move || rabbitmq::delete(&broker_url(), queues, Vec::new())).await.unwrap();
    }
}
