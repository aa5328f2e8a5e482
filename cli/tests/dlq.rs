//! The dead letters of a real service, on a real RabbitMQ.

#![cfg(feature = "amqp")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use celerysalt::{
    AnyEvent, HandlerError, Running, Salt,
    registry::memory::MemoryRegistry,
    transport::{self, Message, Routing},
};
use serde_json::{Value, json};
use support::{Folder, Run, broker, forget, unique};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_mins(1);

/// A service whose handler refuses everything until it is well.
struct Ill {
    name: String,
    folder: Folder,
    well: Arc<AtomicBool>,
    handled: mpsc::UnboundedReceiver<(String, Value)>,
    running: Option<Running>,
}

impl Ill {
    async fn start() -> Self {
        let (name, well) = (unique(), Arc::new(AtomicBool::new(false)));
        let (seen, handled) = mpsc::unbounded_channel();
        let is_well = Arc::clone(&well);
        let handler = move |event: AnyEvent| {
            let outcome = if is_well.load(Ordering::SeqCst) {
                seen.send((event.topic().to_owned(), event["number"].clone())).unwrap();
                Ok(())
            } else {
                Err(HandlerError::reject("the \u{1b}[31mledger is shut"))
            };
            async { outcome }
        };
        let builder = Salt::builder(&name).broker_url(broker()).exchange(&name);
        let salt = builder.registry(Arc::new(MemoryRegistry::new())).connect().await.unwrap();
        let running = salt.service().concurrency(1).on_raw("ops.#", handler).start().await.unwrap();
        Self { name, folder: Folder::empty(), well, handled, running: Some(running) }
    }

    /// Has the service fail with `numbers`, and waits until all are dead letters.
    async fn fail(&self, topic: &str, numbers: std::ops::Range<u32>, letters: u64) {
        let transport = transport::connect(&broker(), "test").await.unwrap();
        for number in numbers {
            let event = json!({"number": number, "card": "s3cret"}).to_string();
            let mut message = Message {
                exchange: self.name.clone(),
                routing_key: topic.to_owned(),
                body: json!([[event], {"routing_key": topic}, {}]).to_string().into(),
                ..Message::default()
            };
            message.headers.insert("task".to_owned(), "celery_salt.dispatch_event".into());
            message.headers.insert("id".to_owned(), number.to_string().into());
            assert_eq!(transport.send(message).await.unwrap().await.unwrap(), Routing::Routed);
        }
        transport.close().await;
        let since = Instant::now();
        while self.count() != letters {
            assert!(since.elapsed() < PATIENCE, "{} letters", self.count());
        }
    }

    async fn stop(mut self) {
        self.running.take().unwrap().shutdown().await;
    }

    fn count(&self) -> u64 {
        self.run("list", &["--format", "json"]).json()["looked_at"].as_u64().unwrap_or(0)
    }

    fn run(&self, action: &str, arguments: &[&str]) -> Run {
        let broker = broker();
        let whose = ["dlq", action, "--service", &self.name, "--broker", &broker];
        let run = tokio::task::block_in_place(|| self.folder.run(&[&whose[..], arguments].concat()));
        assert!(!run.stderr.contains("guest:guest") && !run.stdout.contains("guest:guest"), "{run:?}");
        run
    }
}

impl Drop for Ill {
    /// Leaves nothing at the broker, also when the test failed.
    fn drop(&mut self) {
        forget(&self.name, &["events", "rpc", "dead"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_counted_shown_and_sent_again() {
    let mut service = Ill::start().await;
    service.fail("ops.a", 0..3, 3).await;
    service.fail("ops.b", 3..4, 4).await;

    let run = service.run("list", &[]);
    assert_eq!(
        (run.status, run.stdout.as_str()),
        (0, "3  handler-failed  ops.a\n1  handler-failed  ops.b\n"),
        "{run:?}"
    );
    assert_eq!(service.run("list", &["--limit", "1", "--format", "json"]).json()["more"], 3);

    let run = service.run("show", &["--limit", "2"]);
    assert_eq!(run.status, 0, "{run:?}");
    for words in [": handler-failed", "id         ", "tries      1", "ledger is shut", "2 dead letters, and 2 behind"] {
        assert!(run.stdout.contains(words) || run.stderr.contains(words), "{words}: {run:?}");
    }
    assert!(!run.stdout.contains("s3cret") && !run.stdout.contains('\u{1b}'), "{run:?}");
    assert!(!service.run("show", &["--format", "json"]).stdout.contains("s3cret"));
    assert!(service.run("show", &["--payload"]).stdout.contains("s3cret"));
    assert!(service.run("show", &["--payload", "--format", "json"]).stdout.contains("s3cret"));
    assert_eq!(service.count(), 4, "looking changes nothing");

    let run = service.run("replay", &["--to-queue", "celerysalt.nowhere"]);
    assert!(run.status == 2 && run.stderr.contains("no such queue"), "{run:?}");
    service.well.store(true, Ordering::SeqCst);
    let mut numbers = Vec::new();
    for (arguments, sent) in [(&["--limit", "1", "--format", "json"][..], 1), (&["--format", "json"], 3)] {
        assert_eq!(service.run("replay", arguments).json()["sent"], sent);
        for _ in 0..sent {
            let (topic, number) = tokio::time::timeout(PATIENCE, service.handled.recv()).await.unwrap().unwrap();
            assert_eq!(topic, if number == 3 { "ops.b" } else { "ops.a" });
            numbers.push(number.as_u64().unwrap());
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3]);
    assert_eq!(service.run("list", &[]).stdout, "");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_thrown_away_when_that_is_meant() {
    let service = Ill::start().await;
    service.fail("ops.a", 0..2, 2).await;
    let run = service.run("purge", &[]);
    assert!(run.status == 2 && run.stderr.contains("--yes"), "{run:?}");
    assert_eq!(service.count(), 2);
    assert_eq!(service.run("purge", &["--yes", "--format", "json"]).json()["purged"], 2);
    assert_eq!(service.count(), 0);
    service.stop().await;
}

#[test]
fn what_cannot_be_looked_at_is_told() {
    let folder = Folder::empty();
    let run = folder.run(&["dlq", "list", "--service", &unique(), "--broker", &broker()]);
    assert!(run.status == 2 && run.stderr.contains("there is no such queue"), "{run:?}");
    let broker = "amqp://ops:s3cret@127.0.0.1:1/";
    let run = folder.run(&["dlq", "list", "--service", "x", "--broker", broker]);
    assert!(run.status == 2 && run.stderr.contains("127.0.0.1:1") && !run.stderr.contains("s3cret"), "{run:?}");
}
