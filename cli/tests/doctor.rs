//! `doctor`, on a real RabbitMQ and a real PostgreSQL that have something wrong.

#![cfg(all(feature = "amqp", feature = "postgres"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

#[path = "../../tests/support/certificate.rs"]
#[allow(dead_code, missing_docs, reason = "not all of it is used")]
mod certificate;
#[path = "../../tests/support/node.rs"]
#[allow(dead_code, missing_docs, reason = "not all of it is used")]
mod node;
#[path = "../../tests/support/programs.rs"]
#[allow(dead_code, missing_docs, reason = "not all of it is used")]
mod programs;
mod support;

use std::sync::Arc;

use celerysalt::{
    AnyEvent, HandlerError, Salt,
    registry::memory::MemoryRegistry,
    serde_json::{Value, json},
};
use lapin::{
    Channel, Connection, ConnectionProperties, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueDeclareOptions},
    types::FieldTable,
};
use support::{
    Folder, Run, broker, forget,
    postgres::{Schema, execute},
    unique,
};

/// A name at the broker, of which nothing is left.
struct Place {
    name: String,
    folder: Folder,
}

impl Place {
    fn new() -> Self {
        Self { name: unique(), folder: Folder::empty() }
    }

    fn queue(&self, part: &str) -> String {
        format!("celerysalt.{}.{part}", self.name)
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let broker = broker();
        let fixed = ["doctor", "--broker", &broker, "--exchange", &self.name];
        let run = tokio::task::block_in_place(|| self.folder.run(&[&fixed[..], arguments].concat()));
        assert!(!run.stderr.contains("guest:guest") && !run.stdout.contains("guest:guest"), "{run:?}");
        run
    }

    /// The findings of one verdict: kind and what they are about.
    fn found(&self, arguments: &[&str], verdict: &str) -> Vec<(String, String)> {
        let run = self.run(&[arguments, &["--format", "json"]].concat());
        let wrong = of_verdict(&run, "wrong");
        assert_eq!(run.status, i32::from(!wrong.is_empty()), "{run:?}");
        of_verdict(&run, verdict)
    }
}

fn of_verdict(run: &Run, verdict: &str) -> Vec<(String, String)> {
    let findings = run.json()["findings"].as_array().unwrap().clone();
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let of = findings.iter().filter(|finding| finding["verdict"] == verdict);
    of.inspect(|finding| assert!(verdict != "wrong" || finding["mend"].is_string(), "{finding}"))
        .map(|finding| (text(finding, "kind"), text(finding, "about")))
        .collect()
}

impl Drop for Place {
    fn drop(&mut self) {
        forget(&self.name, &["events", "rpc", "dead", "waiting"]);
    }
}

async fn channel() -> (Connection, Channel) {
    let connection = Connection::connect(&broker(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_well_then_away_then_has_dead_letters() {
    let place = Place::new();
    let builder = Salt::builder(&place.name).broker_url(broker()).exchange(&place.name);
    let salt = builder.registry(Arc::new(MemoryRegistry::new())).connect().await.unwrap();
    let handler = async |_: AnyEvent| -> Result<(), HandlerError> { Err(HandlerError::reject("no")) };
    let running = salt.service().on_raw("doctor.#", handler).start().await.unwrap();
    let service = ["--service", &place.name];

    assert_eq!(place.found(&service, "wrong"), []);
    let told = place.run(&service);
    for words in
        ["its arguments are those that its service declares", "1 consumer, 0 messages waiting", "no dead letters"]
    {
        assert!(told.stdout.contains(words), "{words}: {told:?}");
    }
    assert_eq!(place.found(&service, "unseen"), [("bindings".to_owned(), format!("service {}", place.name))]);

    salt.publish_json("doctor.a", json!({})).unvalidated().await.unwrap();
    running.counted(|counts| counts.dead_lettered > 0).await;
    running.shutdown().await;
    let wrong = place.found(&service, "wrong");
    assert_eq!(
        wrong,
        [
            ("no-consumer".to_owned(), format!("queue {}", place.queue("events"))),
            ("dead-letters".to_owned(), format!("queue {}", place.queue("dead")))
        ]
    );
    let told = place.run(&service);
    assert!(told.stdout.contains("celerysalt dlq show --service") && told.stdout.contains("1 dead letter"), "{told:?}");
    assert!(told.stderr.ends_with("2 to mend\n"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_as_its_service_declares_it_is_told_and_nothing_is_changed() {
    let place = Place::new();
    let exchange = ("exchange-missing".to_owned(), format!("exchange {}", place.name));
    let unknown = ("service-unknown".to_owned(), format!("service {}", place.name));
    for _ in 0..2 {
        // The first run made neither of them.
        assert_eq!(place.found(&["--service", &place.name], "wrong"), [exchange.clone(), unknown.clone()]);
    }

    let (connection, channel) = channel().await;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel
        .exchange_declare(place.name.as_str().into(), ExchangeKind::Fanout, durable, FieldTable::default())
        .await
        .unwrap();
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(place.queue("rpc").into(), durable, FieldTable::default()).await.unwrap();
    let mut ten = FieldTable::default();
    ten.insert("x-max-priority".into(), lapin::types::AMQPValue::LongInt(10));
    ten.insert("x-dead-letter-exchange".into(), lapin::types::AMQPValue::LongString("".into()));
    ten.insert("x-dead-letter-routing-key".into(), lapin::types::AMQPValue::LongString(place.queue("dead").into()));
    channel.queue_declare(place.queue("events").into(), durable, ten).await.unwrap();
    let run = place.run(&["--service", &place.name]);
    for words in [
        "no durable topic exchange",
        "`x-max-priority` is not what the service declares",
        "delete_queue",
        "right for a service with .classic_queue_with_priorities()",
        "where to go",
    ] {
        let found = run.stdout.contains(words) || words == "where to go" && run.stdout.contains("nowhere to go");
        assert!(found, "{words}: {run:?}");
    }
    let wrong: Vec<String> =
        place.found(&["--service", &place.name], "wrong").into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(wrong, ["exchange-differs", "no-consumer", "queue-differs", "no-consumer", "dead-letters-missing"]);
    connection.close(200, "done".into()).await.unwrap();
}

#[test]
fn a_broker_that_does_not_let_in_is_told_apart() {
    let folder = Folder::empty();
    for (url, kind, mend) in [
        ("amqp://ops:s3cret@127.0.0.1:1/", "broker-unavailable", "see that it runs"),
        (&broker().replace("guest:guest@", "guest:s3cret@"), "broker-refused", "user name and password"),
        (&broker().replace("%2f", "nowhere"), "broker-refused", "list_vhosts"),
        ("http://ops:s3cret@host/", "broker-url", "correct the URL"),
    ] {
        let run = folder.run(&["doctor", "--broker", url, "--format", "json"]);
        assert!(!run.stdout.contains("s3cret") && !run.stderr.contains("s3cret"), "{run:?}");
        let wrong = of_verdict(&run, "wrong");
        assert_eq!((run.status, wrong[0].0.as_str()), (1, kind), "{run:?}");
        assert!(run.stdout.contains(mend), "{run:?}");
    }
    let run = folder.run(&["doctor"]);
    assert!(run.status == 2 && run.stderr.contains("nothing to look at"), "{run:?}");
}

#[test]
fn a_registry_and_a_folder_that_drift_apart_are_told() {
    let (folder, schema) = (Folder::with_contracts(), Schema::fresh());
    let doctor = |url: &str| folder.run(&["doctor", "--registry", url, "--format", "json"]);
    let kinds = |run: &Run| of_verdict(run, "wrong").into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    let run = doctor(&schema.url);
    assert_eq!(kinds(&run), ["migrations"], "{run:?}");

    assert_eq!(folder.run(&["sync", "--registry", &schema.url]).status, 0);
    let run = doctor(&schema.url);
    assert_eq!((run.status, kinds(&run)), (0, vec![]), "{run:?}");
    assert!(run.stdout.contains("3 contracts agree with celerysalt.lock and the registry"), "{run:?}");
    assert!(run.stdout.contains("release and deprecate"), "{run:?}");

    let role = unique();
    execute(&format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {} TO {role}", schema.name));
    let url = schema.url.replace("postgres://postgres@", &format!("postgres://{role}@"));
    let run = doctor(&url);
    assert_eq!(kinds(&run), ["registry-denied"], "{run:?}");
    execute(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {role}", schema.name));
    let run = doctor(&url);
    assert_eq!((run.status, kinds(&run)), (0, vec![]), "{run:?}");
    assert!(run.stdout.contains("a service needs the role"), "{run:?}");
    execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));

    let edited = folder.read("schemas/pulse.risk.created/v1.json").replace("\"maximum\":10", "\"maximum\":11");
    folder.write("schemas/pulse.risk.created/v1.json", &edited);
    let run = doctor(&schema.url);
    assert_eq!((run.status, kinds(&run)), (1, vec!["conflict".to_owned()]), "{run:?}");
    execute(&format!("DELETE FROM {}.celerysalt_migrations WHERE version > 1", schema.name));
    assert_eq!(kinds(&doctor(&schema.url)), ["migrations"]);
    assert_eq!(kinds(&doctor("postgres://postgres@127.0.0.1:1/test")), ["registry-unavailable"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bindings_are_held_against_what_the_service_handles() {
    let (node, management) = tokio::task::block_in_place(node::Node::start_managed);
    let (folder, schema) = (Folder::with_contracts(), tokio::task::spawn_blocking(Schema::fresh).await.unwrap());
    let run = |arguments: &[&str]| tokio::task::block_in_place(|| folder.run(arguments));
    assert_eq!(run(&["sync", "--registry", &schema.url]).status, 0);
    let salt = Salt::builder("bound").broker_url(node.url()).registry_url(&schema.url).connect().await.unwrap();
    let service = salt.service().on_topic("pulse.risk.created", async |_: AnyEvent| {});
    let running = service.on_topic("pulse.#", async |_: AnyEvent| {}).start().await.unwrap();
    running.shutdown().await;
    salt.close().await;

    let url = node.url();
    let doctor = ["doctor", "--broker", &url, "--service", "bound", "--registry", &schema.url, "--management"];
    let doctor = |management: &str| run(&[&doctor[..], &[management, "--format", "json"]].concat());
    let told = doctor(&management);
    assert!(told.stdout.contains("bound to `pulse.#` at tchu_events, `pulse.risk.created` at tchu_events"), "{told:?}");
    let kinds = |run: &Run| of_verdict(run, "wrong").into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    assert_eq!(kinds(&told), ["no-consumer"], "{told:?}");

    let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let queue = || "celerysalt.bound.events".into();
    channel.queue_unbind(queue(), "tchu_events".into(), "pulse.#".into(), FieldTable::default()).await.unwrap();
    let options = lapin::options::QueueBindOptions::default();
    channel
        .queue_bind(queue(), "tchu_events".into(), "old.topic".into(), options, FieldTable::default())
        .await
        .unwrap();
    connection.close(200, "done".into()).await.unwrap();
    let told = doctor(&management);
    assert_eq!(kinds(&told), ["no-consumer", "binding-missing"], "{told:?}");
    assert!(told.stdout.contains("it handles `pulse.#`") && told.stdout.contains("`old.topic` is bound"), "{told:?}");
    assert_eq!(kinds(&doctor(&management.replace("guest:guest", "guest:s3cret"))), ["no-consumer", "management"]);
    tokio::task::spawn_blocking(move || drop((schema, node))).await.unwrap();
}
