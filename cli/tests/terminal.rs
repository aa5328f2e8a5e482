//! `tail`, `publish` and `call`, on a real RabbitMQ, with a service that is really there.

#![cfg(feature = "amqp")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use celerysalt::{
    AnyEvent, Event, RpcError, Running, Salt, SaltEvent, SaltResponse, code_first,
    registry::memory::MemoryRegistry,
    schemars::JsonSchema,
    serde_json::{Value, json},
    transport::{self, Message, Routing},
};
use serde::{Deserialize, Serialize};
use support::{Folder, Run, broker, forget, unique};
use tokio::sync::mpsc;

/// Asks for a price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, SaltEvent)]
#[schemars(crate = "celerysalt::schemars")]
#[salt(topic = "rpc.shop.price", version = "v1", response = Price)]
struct GetPrice {
    /// Identifies what is sold.
    #[schemars(length(min = 1))]
    article: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, SaltResponse)]
#[schemars(crate = "celerysalt::schemars")]
struct Price {
    cents: i64,
}

async fn price(request: GetPrice) -> Result<Price, RpcError> {
    match request.article.as_str() {
        "gone" => Err(RpcError::new("GONE", "it is not sold any more")),
        "slow" => std::future::pending().await,
        article => Ok(Price { cents: i64::try_from(article.len()).unwrap() }),
    }
}

/// A service that answers and that gets `shop.#`, with an exchange of its own, and a folder of its contracts.
struct Shop {
    name: String,
    folder: Folder,
    came: mpsc::UnboundedReceiver<(String, String)>,
    running: Option<Running>,
}

impl Shop {
    async fn open() -> Self {
        let name = unique();
        let folder = Folder::empty();
        let record = GetPrice::contract().to_record().unwrap();
        folder.write("schemas/rpc.shop.price/v1.json", &record.schema.to_string());
        folder.write("schemas/rpc.shop.price/v1.response.json", &record.response_schema.unwrap().to_string());
        let placed = json!({
            "title": "OrderPlaced",
            "type": "object",
            "properties": {"amount": {"type": "integer", "minimum": 1}, "card": {"type": "string"}},
            "required": ["amount"],
        });
        folder.write("schemas/shop.order.placed/v1.json", &placed.to_string());
        folder.write("schemas/other.topic/v1.json", "{\"type\": \"object\"}");
        let (seen, came) = mpsc::unbounded_channel();
        let handler = move |event: AnyEvent| {
            seen.send((event.topic().to_owned(), event.text().to_owned())).unwrap();
            async {}
        };
        let builder =
            Salt::builder(&name).broker_url(broker()).exchange(&name).contracts(code_first::contracts::<GetPrice>());
        let salt = builder.registry(Arc::new(MemoryRegistry::new())).connect().await.unwrap();
        // A handler of a test never ends.
        let service = salt.service().drain_timeout(Duration::from_millis(100));
        let running = service.on_raw("shop.#", handler).serve(price).start().await.unwrap();
        Self { name, folder, came, running: Some(running) }
    }

    fn arguments<'a>(&'a self, arguments: &[&'a str], broker: &'a str) -> Vec<&'a str> {
        [arguments, &["--broker", broker, "--exchange", &self.name]].concat()
    }

    /// With `input` on standard input.
    fn run(&self, arguments: &[&str], input: &str) -> Run {
        let broker = broker();
        let run =
            tokio::task::block_in_place(|| self.folder.run_with_input(&self.arguments(arguments, &broker), input));
        assert!(!run.stderr.contains("guest:guest") && !run.stdout.contains("guest:guest"), "{run:?}");
        run
    }

    /// A tail that listens.
    fn tail(&self, arguments: &[&str]) -> Tailing {
        let broker = broker();
        let mut command = self.folder.command(&self.arguments(&[&["tail"], arguments].concat(), &broker));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        tokio::task::block_in_place(|| stderr.read_line(&mut first)).unwrap();
        assert!(first.starts_with("listening at exchange"), "{first}");
        let rest = std::thread::spawn(move || {
            let mut rest = String::new();
            stderr.read_to_string(&mut rest).unwrap();
            rest
        });
        Tailing { child, rest }
    }

    async fn close(mut self) {
        self.running.take().unwrap().shutdown().await;
    }
}

impl Drop for Shop {
    /// Leaves nothing at the broker, also when the test failed.
    fn drop(&mut self) {
        forget(&self.name, &["events", "rpc", "dead"]);
    }
}

struct Tailing {
    child: Child,
    rest: JoinHandle<String>,
}

impl Tailing {
    /// What it printed until its end.
    fn end(mut self) -> Run {
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        let status = self.child.wait().unwrap().code().unwrap_or(-1);
        Run { status, stdout, stderr: self.rest.join().unwrap() }
    }
}

/// What celery-salt and tchu-tchu send, protocol 2 and 1.
async fn publish_as_python(exchange: &str, topic: &str) {
    let transport = transport::connect(&broker(), "test").await.unwrap();
    let event = json!({"amount": 3, "card": "s3cret", "_tchu_meta": {"is_rpc": false, "version": "v2"}}).to_string();
    let mut second = Message {
        exchange: exchange.to_owned(),
        routing_key: topic.to_owned(),
        body: json!([[event], {"routing_key": topic}, {}]).to_string().into(),
        ..Message::default()
    };
    for (name, value) in [("task", "celery_salt.dispatch_event"), ("id", "py-2"), ("origin", "gen7@django-1")] {
        second.headers.insert(name.to_owned(), value.into());
    }
    let first = json!({
        "id": "py-1", "task": "tchu_tchu.dispatch_event",
        "args": [json!({"amount": 4, "_tchu_meta": {}}).to_string()], "kwargs": {"routing_key": topic},
    });
    let first = Message { headers: celerysalt::Headers::default(), body: first.to_string().into(), ..second.clone() };
    let nonsense = Message { body: "s3cret".into(), ..first.clone() };
    for message in [second, first, nonsense] {
        assert_eq!(transport.send(message).await.unwrap().await.unwrap(), Routing::Routed);
    }
    transport.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_event_is_published_and_seen_going_by() {
    let mut shop = Shop::open().await;
    let tail = shop.tail(&["shop.#", "rpc.#", "--count", "5"]);
    let full = shop.tail(&["shop.#", "--count", "4", "--format", "json", "--payload"]);

    let digits = "{\"amount\": 123456789012345678901234567890, \"card\": \"s3cret\"}";
    let run = shop.run(&["publish", "shop.order.placed", "--as", "ann"], digits);
    assert!(run.status == 0 && run.stdout.starts_with("published: shop.order.placed@v1\n  id "), "{run:?}");
    let id = run.stdout.lines().nth(1).unwrap().split_whitespace().last().unwrap().to_owned();
    let (topic, text) = shop.came.recv().await.unwrap();
    assert_eq!(
        (topic.as_str(), text.contains("123456789012345678901234567890")),
        ("shop.order.placed", true),
        "{text}"
    );
    publish_as_python(&shop.name, "shop.order.placed").await;
    assert_eq!(shop.run(&["call", "rpc.shop.price"], "{\"article\": \"abc\"}").status, 0);

    let seen = tokio::task::block_in_place(|| tail.end());
    assert!(seen.status == 0 && seen.stderr == "5 messages\n", "{seen:?}");
    let lines: Vec<&str> = seen.stdout.lines().collect();
    for (line, words) in lines.iter().zip([
        ["shop.order.placed@v1  ", &id, "  ann"],
        ["shop.order.placed@v2  ", "py-2", "  gen7@django-1"],
        ["shop.order.placed  ", "py-1", "  -"],
        ["shop.order.placed  ", "  -  ", "(no event: "],
        ["rpc.shop.price@v1  ", "celerysalt-cli", "(request)"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {line}");
    }
    assert!(!seen.stdout.contains("s3cret"), "{seen:?}");

    let seen = tokio::task::block_in_place(|| full.end());
    assert!(
        seen.status == 0 && seen.stdout.contains("\"payload\":{\"amount\":123456789012345678901234567890,"),
        "{seen:?}"
    );
    let documents: Vec<Value> = seen.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.len(), 4);
    assert_eq!(
        (&documents[1]["sender"], &documents[1]["version"], &documents[1]["payload"]["card"]),
        (&json!("gen7@django-1"), &json!("v2"), &json!("s3cret"))
    );
    assert_eq!((&documents[2]["id"], &documents[2]["payload"]), (&json!("py-1"), &json!({"amount": 4})));
    assert!(documents[3]["error"].is_string() && documents[3].get("payload").is_none(), "{seen:?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_ends_cleanly_by_ctrl_c_and_leaves_nothing() {
    let shop = Shop::open().await;
    let tail = shop.tail(&["#"]);
    let id = tail.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let seen = tokio::task::block_in_place(|| tail.end());
    assert_eq!((seen.status, seen.stdout.as_str(), seen.stderr.as_str()), (0, "", "0 messages\n"));
    shop.close().await;

    let folder = Folder::empty();
    let broker = broker();
    let run = folder.run(&["tail", "#", "--exchange", &unique(), "--broker", &broker]);
    assert!(run.status == 2 && run.stderr.contains("there is no such exchange"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_published_is_explained() {
    let shop = Shop::open().await;
    let run = shop.run(&["publish", "shop.order.placed"], "{\"amount\": 0, \"card\": \"s3cret\"}");
    assert!(run.status == 1 && run.stdout.contains("/amount") && !run.stdout.contains("s3cret"), "{run:?}");
    let run = shop.run(&["publish", "other.topic", "--format", "json"], "{}");
    assert_eq!((run.status, &run.json()["unroutable"]["routing_key"]), (1, &json!("other.topic")), "{run:?}");
    let run = shop.run(&["publish", "other.topic"], "{}");
    assert!(run.stdout.contains("no queue is bound") && run.stdout.contains("to mend it"), "{run:?}");
    // The contract's own exchange goes before that of the command.
    shop.folder
        .write("schemas/other.place/v1.json", r#"{"type": "object", "x-celerysalt": {"exchange": "amq.topic"}}"#);
    let run = shop.run(&["publish", "other.place", "--format", "json"], "{}");
    assert_eq!((run.status, &run.json()["unroutable"]["exchange"]), (1, &json!("amq.topic")), "{run:?}");
    let run = shop.run(&["publish", "other.topic", "--allow-unrouted", "--format", "json"], "{}");
    assert_eq!((run.status, &run.json()["routed"]), (0, &json!(false)), "{run:?}");
    for (arguments, input, status, said) in [
        (&["publish", "shop.order.placed"][..], "{\"amount\": s3cret", 2, "no JSON"),
        (&["publish", "rpc.shop.price"], "{}", 2, "celerysalt call"),
        (&["call", "shop.order.placed"], "{}", 2, "celerysalt publish"),
        (&["publish", "no.such.topic"], "{}", 2, "no contract"),
        (&["publish", "shop.order.placed", "--file", "nowhere.json"], "", 2, "nowhere.json"),
    ] {
        let run = shop.run(arguments, input);
        assert!(run.status == status && run.stderr.contains(said) && !run.stderr.contains("s3cret"), "{run:?}");
    }
    // The broker of the command's own process has nobody.
    for arguments in [&["publish", "other.topic"][..], &["call", "rpc.shop.price"]] {
        let run = shop.folder.run_with_input(&[arguments, &["--broker", "memory:"]].concat(), "{\"article\": \"abc\"}");
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(run.status == 1 && said.contains("memory:") && said.contains("CELERYSALT_BROKER_URL"), "{run:?}");
    }
    shop.close().await;
}

/// A variable that is not set makes an empty text, and no hole in what is said of it.
#[test]
fn an_empty_url_is_named() {
    let folder = Folder::empty();
    folder.write("schemas/a.b/v1.json", "{\"type\": \"object\"}");
    for (arguments, what) in [
        (&["sync", "--registry", ""][..], "registry URL"),
        (&["publish", "a.b", "--broker", ""], "broker URL"),
        (&["tail", "#", "--broker", ""], "broker URL"),
    ] {
        let run = folder.run_with_input(arguments, "{}");
        let said =
            format!("error: an empty text (of a variable that is not set?) is no {what} that this build can use");
        assert!(run.status == 2 && run.stderr.starts_with(&said), "{run:?}");
        assert!(run.stderr.contains("://"), "it says what is expected: {run:?}");
    }
    let run = folder.run(&["doctor", "--broker", "", "--registry", ""]);
    assert!(!run.stdout.contains(" :  is") && run.stdout.contains("an empty text"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_prints_its_reply_or_why_there_is_none() {
    let shop = Shop::open().await;
    let run = shop.run(&["call", "rpc.shop.price@v1"], "{\"article\": \"abc\"}");
    assert_eq!((run.status, run.stdout.as_str()), (0, "{\"cents\":3}\n"), "{run:?}");
    let run = shop.run(&["call", "rpc.shop.price", "--format", "json"], "{\"article\": \"abc\"}");
    assert_eq!(run.json()["reply"], json!({"cents": 3}), "{run:?}");

    let run = shop.run(&["call", "rpc.shop.price"], "{\"article\": \"gone\"}");
    assert_eq!(run.status, 1, "{run:?}");
    let error: Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(error["error_code"] == "GONE" && run.stderr.contains("declined: GONE"), "{run:?}");

    let run = shop.run(&["call", "rpc.shop.price", "--timeout", "0.3"], "{\"article\": \"slow\"}");
    assert!(
        run.status == 1 && run.stderr.contains("no reply within 300ms") && run.stderr.contains("to mend it"),
        "{run:?}"
    );
    let run = shop.run(&["call", "rpc.shop.price", "--timeout", "0.3", "--format", "json"], "{\"article\": \"slow\"}");
    assert_eq!((run.status, &run.json()["outcome"]), (1, &json!("timeout")), "{run:?}");

    let run = shop.run(&["call", "rpc.shop.price"], "{\"article\": \"\"}");
    assert!(run.status == 1 && run.stdout.contains("/article"), "{run:?}");
    shop.folder.write("schemas/rpc.nobody/v1.json", "{\"type\": \"object\"}");
    shop.folder.write("schemas/rpc.nobody/v1.response.json", "{}");
    let run = shop.run(&["call", "rpc.nobody"], "{}");
    assert!(run.status == 1 && run.stderr.contains("nobody serves it"), "{run:?}");
    shop.close().await;
}
