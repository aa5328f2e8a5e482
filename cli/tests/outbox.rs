//! `celerysalt outbox` and `celerysalt replay` on a real PostgreSQL and a real RabbitMQ.

#![cfg(all(feature = "amqp", feature = "outbox"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use celerysalt::{
    Salt,
    outbox::Outbox,
    registry::memory::MemoryRegistry,
    store::EventStore,
    transport::{self, Binding, QueueKind, QueueSpec, Transport},
};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use support::{Folder, Run, broker, forget_all, unique};

const PATIENCE: Duration = Duration::from_mins(1);

fn database() -> String {
    env::var("CELERYSALT_TEST_REGISTRY_URL").unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/test".to_owned())
}

/// A service with a database schema and an exchange of its own, and a queue of all that it publishes.
struct Shop {
    name: String,
    url: String,
    folder: Folder,
    salt: Salt,
    transport: Arc<dyn Transport>,
}

async fn execute(sql: &str) {
    let mut connection = PgConnection::connect(&database()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
}

impl Shop {
    async fn open() -> Self {
        let name = unique();
        execute(&format!("CREATE SCHEMA {name}")).await;
        let separator = if database().contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}options=-csearch_path%3D{name}", database());
        let transport = transport::connect(&broker(), "test").await.unwrap();
        let queue = QueueSpec {
            name: name.clone(),
            kind: QueueKind::Quorum,
            bindings: vec![Binding { exchange: name.clone(), pattern: "orders.#".parse().unwrap() }],
            dead_letter: None,
        };
        transport.declare(&queue).await.unwrap();
        let salt = Salt::builder(&name)
            .broker_url("memory:")
            .registry(Arc::new(MemoryRegistry::new()))
            .exchange(&name)
            .store(EventStore::connect(&url).unwrap());
        Self { folder: Folder::empty(), salt: salt.connect().await.unwrap(), name, url, transport }
    }

    async fn write(&self, topic: &str, numbers: std::ops::Range<u32>, key: Option<&str>) {
        let outbox = Outbox::connect(&self.url).unwrap();
        let mut transaction = outbox.pool().begin().await.unwrap();
        for number in numbers {
            let publish = self.salt.publish_json(topic, json!({"number": number})).unvalidated();
            let mut writing = publish.in_transaction(&mut transaction);
            if let Some(key) = key {
                writing = writing.key(key);
            }
            writing.await.unwrap();
        }
        transaction.commit().await.unwrap();
        outbox.pool().close().await;
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let mut command = self.folder.command(arguments);
        command.env("CELERYSALT_DATABASE_URL", &self.url).env("CELERYSALT_BROKER_URL", broker());
        tokio::task::block_in_place(|| Run::of(&mut command))
    }

    /// The numbers that have come to the queue.
    async fn came(&self, count: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            for delivery in self.transport.take(&self.name, count - numbers.len()).await.unwrap().deliveries {
                let body: serde_json::Value = serde_json::from_slice(&delivery.message.body).unwrap();
                let payload: serde_json::Value = serde_json::from_str(body[0][0].as_str().unwrap()).unwrap();
                numbers.push(payload["number"].as_u64().unwrap());
                delivery.ack().await.unwrap();
            }
        }
        numbers
    }

    async fn close(self) {
        self.salt.close().await;
        self.transport.close().await;
    }
}

impl Drop for Shop {
    /// Leaves nothing behind, also when the test failed.
    fn drop(&mut self) {
        let name = self.name.clone();
        let cleaner = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(execute(&format!("DROP SCHEMA {name} CASCADE")));
        });
        drop(cleaner.join());
        forget_all(vec![self.name.clone()], &self.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbox_is_made_looked_at_and_published() {
    let shop = Shop::open().await;
    let run = shop.run(&["outbox", "status"]);
    assert!(run.status == 2 && run.stderr.contains("celerysalt outbox migrate"), "{run:?}");
    for _ in 0..2 {
        assert_eq!(shop.run(&["outbox", "migrate"]).status, 0);
    }
    let run = shop.run(&["outbox", "status"]);
    assert_eq!((run.status, run.stdout.as_str(), run.stderr.as_str()), (0, "", "0 events waiting\n"), "{run:?}");

    shop.write("orders.placed", 0..3, Some("k")).await;
    shop.write("nobody.wants", 3..4, None).await;
    let status = shop.run(&["outbox", "status", "--format", "json"]);
    assert_eq!((status.status, &status.json()["waiting"], &status.json()["refused"]), (0, &json!(4), &json!(0)));

    let run = shop.run(&["outbox", "relay", "--drain"]);
    assert_eq!((run.status, run.stdout.as_str()), (1, "published: 3\n"), "{run:?}");
    assert!(run.stderr.contains("unroutable") && run.stderr.contains("1 try not taken"), "{run:?}");
    assert_eq!(shop.came(3).await, [0, 1, 2]);
    let run = shop.run(&["outbox", "status"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("1 event, tried up to 1 times") && run.stdout.contains("unroutable"), "{run:?}");
    assert!(run.stderr.contains("1 event waiting, the oldest for"), "{run:?}");
    assert_eq!(shop.run(&["outbox", "retry", "--format", "json"]).json()["due"], 1);
    let sql = shop.run(&["outbox", "sql"]).stdout;
    for table in ["outbox", "events", "inbox"] {
        assert!(sql.contains(&format!("CREATE TABLE IF NOT EXISTS celerysalt_{table} (")), "{sql}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_runs_until_it_is_told_to_end() {
    let shop = Shop::open().await;
    assert_eq!(shop.run(&["outbox", "migrate"]).status, 0);
    let mut command = shop.folder.command(&["outbox", "relay", "--format", "json", "--database", &shop.url]);
    command.env("CELERYSALT_BROKER_URL", broker()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut relay = command.spawn().unwrap();
    shop.write("orders.placed", 0..50, None).await;
    let mut came = shop.came(50).await;
    came.sort_unstable();
    assert_eq!(came, (0..50).collect::<Vec<u64>>());
    let id = relay.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let start = Instant::now();
    while relay.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    }
    let lines: Vec<String> = BufReader::new(relay.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    let said: serde_json::Value = serde_json::from_str(&lines.join("\n")).unwrap();
    assert_eq!(said, json!({"published": 50, "refused": 0}));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_counted_and_sent_again() {
    let shop = Shop::open().await;
    assert_eq!(shop.run(&["outbox", "migrate"]).status, 0);
    shop.write("orders.placed", 0..5, None).await;
    shop.write("orders.paid", 5..7, None).await;
    shop.write("mail.sent", 7..8, None).await;

    let run = shop.run(&["replay", "--topic", "orders.*", "--dry-run"]);
    assert_eq!((run.status, run.stdout.as_str()), (0, "2  orders.paid\n5  orders.placed\n"), "{run:?}");
    assert!(run.stderr.contains("7 events (dry run"), "{run:?}");
    let run = shop.run(&["replay", "--topic", "orders.*", "--format", "json"]);
    assert_eq!((run.status, &run.json()["sent"], &run.json()["last"]), (0, &json!(7), &json!(7)), "{run:?}");
    assert_eq!(shop.came(7).await, (0..7).collect::<Vec<u64>>());

    let to = run.json()["to"].as_str().unwrap().to_owned();
    let run = shop.run(&["replay", "--to-queue", &shop.name, "--after", "6", "--to", &to, "--rate", "100"]);
    assert!(run.status == 0 && run.stdout == "sent: 2\n" && run.stderr.starts_with("replay "), "{run:?}");
    assert_eq!(shop.came(2).await, [6, 7]);
    let run = shop.run(&["replay"]);
    assert_eq!((run.status, run.stdout.as_str()), (1, "sent: 7\n  1  mail.sent\n"), "{run:?}");
    assert_eq!(shop.run(&["replay", "--from", "2999-01-01T00:00:00Z", "--format", "json"]).json()["sent"], 0);
    assert_eq!(shop.run(&["replay", "--to", "1999-01-01T00:00:00Z", "--format", "json"]).json()["sent"], 0);

    for (arguments, said) in [
        (&["replay", "--to-queue", "celerysalt.nowhere"][..], "no such queue"),
        (&["replay", "--from", "yesterday"], "--from"),
        (&["replay", "--topic", "orders..x"], "--topic"),
        (&["replay", "--id", "r-1"], "--after"),
        (&["replay", "--after", "7"], "--to"),
    ] {
        let run = shop.run(arguments);
        assert!(run.status == 2 && run.stderr.contains(said), "{run:?}");
    }
    shop.close().await;
}

#[test]
fn what_cannot_be_reached_is_told_without_its_password() {
    let folder = Folder::empty();
    let broker = broker();
    for arguments in [
        &["outbox", "status", "--database", "postgres://ann:s3cret@127.0.0.1:1/shop"][..],
        &["outbox", "status", "--database", "mysql://ann:s3cret@127.0.0.1/shop"],
        &[
            "outbox",
            "relay",
            "--drain",
            "--broker",
            "amqp://ann:s3cret@127.0.0.1:1/",
            "--database",
            "postgres://127.0.0.1:1/x",
        ],
        &["replay", "--dry-run", "--database", "postgres://ann:s3cret@127.0.0.1:port/shop"],
        &["replay", "--broker", &broker, "--database", "postgres://ann:s3cret@127.0.0.1:1/shop"],
    ] {
        let run = folder.run(arguments);
        assert_eq!(run.status, 2, "{run:?}");
        assert!(!run.stderr.contains("s3cret") && !run.stdout.contains("s3cret"), "{run:?}");
        assert!(run.stderr.contains("database") || run.stderr.contains("broker"), "{run:?}");
    }
}
