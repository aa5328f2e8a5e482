//! Services move from Python to Rust one at a time, in any order: nobody else has to change for it.
//!
//! ```text
//! cargo run --example migration
//! CELERYSALT_BROKER_URL=amqp://... CELERYSALT_PYTHON=venv/bin/python cargo run --example migration --features amqp
//! ```
//!
//! The second runs celery-salt itself (`pip install celery-salt==1.6.0`, see `examples/python/migration.py`). Without a Python,
//! its messages are played: the same bytes, on the broker of this process.

use std::{
    env,
    error::Error,
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use celerysalt::{
    HandlerError, Meta, Salt, State,
    serde_json::{self, Value, json},
    transport::{self, Binding, Deliveries, Message, QueueKind, QueueSpec, Transport},
};
use celerysalt_reference::events::{self, OrderShipped};
use tokio::sync::mpsc;

/// The service that was written in Python, and now is in Rust.
async fn shipped(
    order: OrderShipped,
    meta: Meta,
    State(seen): State<mpsc::UnboundedSender<String>>,
) -> Result<(), HandlerError> {
    let sender = if meta.sender.as_deref() == Some("migration-shop") { "Rust" } else { "Python" };
    seen.send(format!("Rust hears from {sender}: {} is on its way as {}", order.order_id, order.tracking_number))?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let python = Python::find().await?;

    println!("week 1: Python publishes, a Python service hears of it, and its Rust successor beside it");
    let mut worker = python.work().await?;
    let (telling, mut seen) = mpsc::unbounded_channel::<String>();
    let mail = Salt::connect_env("migration-mail").await?;
    let running = mail.service().state(telling).on(shipped).start().await?;
    python.publish().await?;
    println!("{}", seen.recv().await.unwrap_or_default());
    println!("Python hears: {}", worker.hears().await?);

    println!("week 2: the publisher is Rust, its subscribers as they were");
    let shop = Salt::builder("migration-shop").contracts(events::contracts()).connect().await?;
    let order = OrderShipped::builder().order_id("O-2").company_id(7).tracking_number("T-2").build()?;
    order.publish(&shop).await?;
    println!("{}", seen.recv().await.unwrap_or_default());
    println!("Python hears: {}", worker.hears().await?);

    println!("week 3: the Python service is switched off");
    worker.end();
    let order = OrderShipped::builder().order_id("O-3").company_id(7).tracking_number("T-3").build()?;
    order.publish(&shop).await?;
    println!("{}", seen.recv().await.unwrap_or_default());
    running.shutdown().await;
    Ok(())
}

/// Whoever speaks for the Python services.
enum Python {
    /// An interpreter that has celery-salt.
    Real(String),
    /// Its messages, on the broker of this process.
    Played(Arc<dyn Transport>),
}

/// A Python subscriber.
enum Worker {
    Real(Child, Lines<BufReader<ChildStdout>>),
    Played(Deliveries),
}

impl Python {
    async fn find() -> Result<Self, Box<dyn Error>> {
        match env::var("CELERYSALT_PYTHON") {
            Ok(interpreter) => Ok(Self::Real(interpreter)),
            Err(_) => Ok(Self::Played(transport::connect("memory:", "python").await?)),
        }
    }

    fn script(interpreter: &str, what: &str) -> Command {
        let mut command = Command::new(interpreter);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/python/migration.py");
        // Built as an example or as a test's program: the script is beside this file.
        let beside = std::path::Path::new(script);
        let other = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/python/migration.py");
        command.arg(if beside.exists() { script } else { other }).arg(what);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    async fn publish(&self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Real(interpreter) => {
                if !Self::script(interpreter, "publish").status()?.success() {
                    return Err(format!("{interpreter} can't publish with celery-salt").into());
                }
            }
            Self::Played(broker) => {
                let event = json!({
                    "order_id": "O-1", "company_id": 7, "tracking_number": "T-1",
                    "_tchu_meta": {"is_rpc": false, "version": "v1"},
                });
                let body = json!([[event.to_string()], {"routing_key": "orders.shipped"}, {"callbacks": null}]);
                let headers = json!({"lang": "py", "task": "celery_salt.dispatch_event", "id": "of-python"});
                let message = Message {
                    exchange: "tchu_events".to_owned(),
                    routing_key: "orders.shipped".to_owned(),
                    headers: headers.as_object().cloned().unwrap_or_default().into(),
                    body: body.to_string().into(),
                    ..Message::default()
                };
                broker.send(message).await?.await?;
            }
        }
        Ok(())
    }

    async fn work(&self) -> Result<Worker, Box<dyn Error>> {
        match self {
            Self::Real(interpreter) => {
                let mut child = Self::script(interpreter, "work").spawn()?;
                let output = child.stdout.take().ok_or("a worker without an output")?;
                let mut worker = Worker::Real(child, BufReader::new(output).lines());
                while worker.hears().await? != "ready" {}
                Ok(worker)
            }
            Self::Played(broker) => {
                let binding = Binding { exchange: "tchu_events".to_owned(), pattern: "orders.shipped".parse()? };
                let queue = QueueSpec {
                    name: "migration-python".to_owned(),
                    kind: QueueKind::Quorum,
                    bindings: vec![binding],
                    dead_letter: None,
                };
                Ok(Worker::Played(broker.consume(&queue, 1).await?))
            }
        }
    }
}

impl Worker {
    /// What it says next.
    async fn hears(&mut self) -> Result<String, Box<dyn Error>> {
        match self {
            // Nothing else is to be done meanwhile: the other tasks have threads of their own.
            Self::Real(_, lines) => Ok(tokio::task::block_in_place(|| lines.next()).ok_or("the worker has ended")??),
            Self::Played(deliveries) => {
                let delivery = deliveries.next().await.ok_or("the queue has ended")??;
                // As celery-salt reads it: `json.loads(args[0])`.
                let body: Value = serde_json::from_slice(&delivery.message.body)?;
                let event: Value = serde_json::from_str(body[0][0].as_str().unwrap_or_default())?;
                let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
                delivery.ack().await?;
                Ok(format!("{} is on its way as {}", text("order_id"), text("tracking_number")))
            }
        }
    }

    /// Ends it.
    fn end(self) {
        if let Self::Real(mut child, _) = self {
            // It has done its work either way.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
