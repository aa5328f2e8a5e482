//! Traps of lapin that no other test falls into. The table of all of them is in `docs/faults.md`.

use std::{
    collections::HashSet,
    fmt::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use celerysalt::transport::{
    Binding, Message, Properties, QueueKind, QueueSpec, Routing, Transport, TransportError,
    amqp::{AmqpOptions, AmqpTransport},
};
use celerysalt_tests::{World, broker_url, proxy::Proxy, within};
use lapin::{
    Connection, ConnectionProperties, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::task::JoinSet;

use crate::{checker::tell, events, stand::ready};

fn message(exchange: &str, routing_key: &str, body: &str) -> Message {
    let mut properties = Properties::default();
    properties.persistent = true;
    Message {
        exchange: exchange.to_owned(),
        routing_key: routing_key.to_owned(),
        properties,
        body: body.to_owned().into(),
        ..Message::default()
    }
}

/// Traps 1 and 2: lapin swaps the confirms of tasks that share a channel, so nacked messages are reported as taken, and gives
/// returns to other messages than their own. Here many tasks publish to a queue that is full after a few, to one that takes all,
/// and to none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_does_not_take_is_told_to_who_sent_it() {
    const TASKS: usize = 8;
    const ROOM: u32 = 100;
    // Of a thousand, lapin mixes up none.
    let sent = events().max(20_000);
    let world = World::rabbitmq();
    let (exchange, full, open) = (world.exchange(), world.foreign_queue("full"), world.foreign_queue("open"));
    let connection = Connection::connect(&broker_url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel
        .exchange_declare(exchange.as_str().into(), ExchangeKind::Topic, options, FieldTable::default())
        .await
        .unwrap();
    for (queue, is_full) in [(&full, true), (&open, false)] {
        let mut arguments = FieldTable::default();
        if is_full {
            arguments.insert("x-max-length".into(), AMQPValue::LongInt(ROOM.cast_signed()));
            arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        }
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.as_str().into(), options, arguments).await.unwrap();
        let key = if is_full { "full" } else { "open" };
        let bind = QueueBindOptions::default();
        channel
            .queue_bind(queue.as_str().into(), exchange.as_str().into(), key.into(), bind, FieldTable::default())
            .await
            .unwrap();
    }
    connection.close(200, "done".into()).await.unwrap();
    let options = AmqpOptions::new().unavailable_after(Duration::from_mins(2));
    let transport = Arc::new(AmqpTransport::connect(&broker_url(), options).await.unwrap());
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (transport, exchange) = (Arc::clone(&transport), exchange.clone());
        tasks.spawn(async move {
            let (mut taken, mut refused, mut unroutable) = ([0, 0, 0], [0, 0, 0], [0, 0, 0]);
            let mut confirmations = Vec::new();
            for number in task * sent / TASKS..(task + 1) * sent / TASKS {
                // As often as not one after another of the same kind.
                let to = (number / 3 + number % 2) % 3;
                let key = ["full", "open", "nowhere"][to];
                confirmations.push((to, transport.send(message(&exchange, key, "x")).await.unwrap()));
            }
            for (to, confirmation) in confirmations {
                match within(confirmation).await {
                    Ok(Routing::Routed) => taken[to] += 1,
                    Ok(Routing::Unroutable) => unroutable[to] += 1,
                    Err(TransportError::NotTaken { .. }) => refused[to] += 1,
                    other => panic!("{other:?}"),
                }
            }
            (taken, refused, unroutable)
        });
    }
    let (mut taken, mut refused, mut unroutable) = ([0, 0, 0], [0, 0, 0], [0, 0, 0]);
    for (some, others, none) in tasks.join_all().await {
        for to in 0..3 {
            taken[to] += some[to];
            refused[to] += others[to];
            unroutable[to] += none[to];
        }
    }
    let there = [ready(&broker_url(), &full).await, ready(&broker_url(), &open).await, 0];
    tell(
        "lapin 1, 2: confirms and returns of many tasks",
        &format!(
            "{sent} sent by {TASKS} tasks to a full queue, an open one and none | taken {taken:?} | refused {refused:?} | unroutable {unroutable:?} | there {there:?}"
        ),
    );
    assert_eq!((taken, &refused[1..], &unroutable[..2]), (there, &[0, 0][..], &[0, 0][..]));
    assert!(refused[0] > 0 && unroutable[2] > 0);
    transport.close().await;
}

/// A quorum queue that gets all of the world's exchange.
fn quorum(world: &World) -> QueueSpec {
    QueueSpec {
        name: world.foreign_queue("acked"),
        kind: QueueKind::Quorum,
        bindings: vec![Binding { exchange: world.exchange(), pattern: "#".parse().unwrap() }],
        dead_letter: None,
    }
}

/// Publishes so many messages, and waits until they are in the queue.
async fn fill(writer: &Arc<dyn Transport>, exchange: &str, count: usize) {
    let mut confirmations = Vec::new();
    for _ in 0..count {
        let mut message = message(exchange, "k", "x");
        message.properties.message_id = Some(uuid::Uuid::new_v4().to_string());
        confirmations.push(writer.send(message).await.unwrap());
    }
    for confirmation in confirmations {
        assert_eq!(within(confirmation).await, Ok(Routing::Routed));
    }
}

/// Trap 10: acks that lapin has written are lost on a quorum queue when the channel closes at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acked_stays_acked_when_its_consumer_ends() {
    const PREFETCH: u16 = 500;
    let world = World::rabbitmq();
    let queue = quorum(&world);
    let writer = world.transport("writer").await;
    let (mut acked, mut again, mut rounds) = (HashSet::new(), 0, 0);
    while acked.len() < events() {
        let reader = AmqpTransport::connect(&broker_url(), AmqpOptions::new()).await.unwrap();
        let mut deliveries = reader.consume(&queue, PREFETCH).await.unwrap();
        if rounds == 0 {
            fill(&writer, &world.exchange(), events()).await;
        }
        rounds += 1;
        let due = usize::from(PREFETCH).min(events() - acked.len());
        let mut held = Vec::new();
        for _ in 0..due {
            let delivery = within(deliveries.next()).await.unwrap().unwrap();
            again += usize::from(!acked.insert(delivery.message.properties.message_id.clone()));
            held.push(delivery);
        }
        // Every other one first: none of these can be acked together with those before it.
        let (odd, even): (Vec<_>, Vec<_>) = held.into_iter().enumerate().partition(|(at, _)| at % 2 == 1);
        for (_, delivery) in odd.into_iter().chain(even) {
            delivery.ack_soon();
        }
        deliveries.cancel().await;
        reader.close().await;
    }
    let left = ready(&broker_url(), &queue.name).await;
    tell(
        "lapin 10: acks at the end",
        &format!("{} acked | {rounds} consumers ended at once | {} came back", acked.len(), again + left),
    );
    assert_eq!((again, left), (0, 0), "acked messages came back");
    writer.close().await;
}

/// Trap 11: single acks, and confirms awaited one by one, cost several times as much. Counted in bytes on the wire.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_are_written_together() {
    /// A frame of one ack.
    const ACK: u64 = 21;
    let world = World::rabbitmq();
    let address = broker_url().rsplit_once('@').unwrap().1.split('/').next().unwrap().to_owned();
    let proxy = Proxy::start(&address).await;
    let queue = quorum(&world);
    let reader = AmqpTransport::connect(&proxy.through(&broker_url()), AmqpOptions::new()).await.unwrap();
    let mut deliveries = reader.consume(&queue, 500).await.unwrap();
    let writer = world.transport("writer").await;
    fill(&writer, &world.exchange(), events()).await;
    let before = proxy.sent();
    let mut left = events();
    while left > 0 {
        let mut held = Vec::new();
        for _ in 0..left.min(100) {
            held.push(within(deliveries.next()).await.unwrap().unwrap());
        }
        left -= held.len();
        for acked in futures_util::future::join_all(held.into_iter().map(celerysalt::transport::Delivery::ack)).await {
            acked.unwrap();
        }
    }
    let sent = proxy.sent() - before;
    let single = ACK * events() as u64;
    tell("lapin 11: acks", &format!("{} acked in hundreds | {sent} bytes of acks | {single} one by one", events()));
    assert!(sent < single / 5, "{sent} of {single} bytes");
    deliveries.cancel().await;
    reader.close().await;
    writer.close().await;
}

/// What is logged anywhere in this process.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<String>>);

impl tracing::Subscriber for Logged {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                write!(self.0, "{field}={value:?} ").unwrap();
            }
        }
        if *event.metadata().level() > tracing::Level::WARN {
            return;
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        writeln!(self.0.lock().unwrap(), "{}", text.0).unwrap();
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Trap 12: lapin logs messages that the broker returns, with their payloads. In a process of its own: the log is the process's.
#[test]
fn a_returned_payload_is_not_logged() {
    const INNER: &str = "CELERYSALT_TEST_RETURNED";
    if std::env::var_os(INNER).is_none() {
        let this = std::env::current_exe().unwrap();
        let name = "traps::a_returned_payload_is_not_logged";
        let mut command = std::process::Command::new(this);
        celerysalt_tests::programs::run(command.args(["--exact", name, "--nocapture"]).env(INNER, "1"));
        return;
    }
    let logged = Logged::default();
    tracing::subscriber::set_global_default(logged.clone()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let transport = AmqpTransport::connect(&broker_url(), AmqpOptions::new()).await.unwrap();
        let sent = transport.send(message("", "celerysalt.test.nowhere", "s3cret payload")).await.unwrap();
        assert_eq!(within(sent).await, Ok(Routing::Unroutable));
        transport.close().await;
    });
    let logged = logged.0.lock().unwrap();
    assert!(logged.contains("Server returned us a message"), "lapin logs it: {logged}");
    let bytes = format!("{:?}", b"s3cret payload");
    for payload in ["s3cret", bytes.trim_matches(['[', ']'])] {
        assert!(!logged.contains(payload), "{logged}");
    }
}
