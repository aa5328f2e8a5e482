//! The AMQP transport on a real RabbitMQ: the suite of all transports, and what only a network can do to it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use celerysalt::transport::{
    Binding, Confirmation, Deliveries, Message, Properties, QueueKind, QueueSpec, Routing, Transport, TransportError,
    amqp::{AmqpOptions, AmqpTransport},
    conformance::Scene,
};
use celerysalt_tests::{PATIENCE, broker_url, proxy::Proxy, rabbitmq, within};
use lapin::{
    Channel, Connection, ConnectionProperties, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};

async fn on_rabbitmq<F: Future<Output = ()> + Send + 'static>(case: impl FnOnce(Scene) -> F + Send + 'static) {
    let scene = Scene::new(|| {
        Box::pin(async {
            let transport: Arc<dyn Transport> = Arc::new(connect(&broker_url()).await.unwrap());
            transport
        })
    });
    let names = scene.names();
    let outcome = tokio::spawn(case(scene)).await;
    clean_up(names.queues(), names.exchanges()).await;
    outcome.unwrap();
}

mod conformance {
    celerysalt::transport_conformance!(super::on_rabbitmq);
}

async fn connect(url: &str) -> Result<AmqpTransport, TransportError> {
    AmqpTransport::connect(url, AmqpOptions::new().connection_name("test")).await
}

async fn clean_up(queues: Vec<String>, exchanges: Vec<String>) {
    tokio::task::spawn_blocking(|| rabbitmq::delete(&broker_url(), queues, exchanges)).await.unwrap();
}

/// Queues and exchanges of one test, deleted after it whatever becomes of it.
struct Broker {
    queue: QueueSpec,
    exchange: String,
}

/// Runs a test with a queue bound to an exchange with `#`.
async fn with_broker<F: Future<Output = ()> + Send + 'static>(
    kind: QueueKind,
    test: impl FnOnce(Broker) -> F + Send + 'static,
) {
    let name = format!("celerysalt.test.{}", uuid::Uuid::new_v4());
    let binding = Binding { exchange: name.clone(), pattern: "#".parse().unwrap() };
    let queue = QueueSpec { name: name.clone(), kind, bindings: vec![binding], dead_letter: None };
    let outcome = tokio::spawn(test(Broker { queue, exchange: name.clone() })).await;
    clean_up(vec![name.clone()], vec![name]).await;
    outcome.unwrap();
}

fn message(exchange: &str, routing_key: &str, body: impl ToString) -> Message {
    let mut properties = Properties::default();
    properties.persistent = true;
    Message {
        exchange: exchange.to_owned(),
        routing_key: routing_key.to_owned(),
        properties,
        body: body.to_string().into(),
        ..Message::default()
    }
}

/// Reads and acks until `count` different bodies came.
async fn take_all(deliveries: &mut Deliveries, count: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    while seen.len() < count {
        let delivery = within(deliveries.next()).await.unwrap().unwrap();
        seen.insert(std::str::from_utf8(&delivery.message.body).unwrap().parse().unwrap());
        // Fails when its connection was cut since: then it comes again.
        let _ = delivery.ack().await;
    }
    seen
}

/// A channel of its own, for what no transport does.
async fn raw() -> (Connection, Channel) {
    let connection = Connection::connect(&broker_url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

async fn confirm_all(confirmations: Vec<Confirmation>) {
    for confirmation in confirmations {
        assert_eq!(within(confirmation).await, Ok(Routing::Routed));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_sent_is_lost_when_connections_are_cut() {
    const COUNT: usize = 5_000;
    for kind in [QueueKind::Quorum, QueueKind::ClassicWithPriority(10)] {
        with_broker(kind, |Broker { queue, exchange }| async move {
            let proxy = Proxy::start("127.0.0.1:5672").await;
            let sender = connect(&proxy.through(&broker_url())).await.unwrap();
            let reader = connect(&broker_url()).await.unwrap();
            let mut deliveries = reader.consume(&queue, 500).await.unwrap();
            let mut confirmations = Vec::new();
            for number in 0..COUNT {
                if number % 700 == 350 {
                    proxy.cut();
                }
                confirmations.push(sender.send(message(&exchange, "k", number)).await.unwrap());
            }
            let ((), seen) = tokio::join!(confirm_all(confirmations), take_all(&mut deliveries, COUNT));
            assert_eq!(seen.len(), COUNT);
            sender.close().await;
            reader.close().await;
        })
        .await;
    }
}

/// A message to an exchange that is not known yet waits until that is declared; what is sent after it could go at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_could_go_at_once_overtakes_none_that_waits() {
    with_broker(QueueKind::Quorum, |Broker { mut queue, exchange }| async move {
        let others: Vec<String> = (0..20).map(|number| format!("{exchange}.{number}")).collect();
        for exchange in &others {
            queue.bindings.push(Binding { exchange: exchange.clone(), pattern: "#".parse().unwrap() });
        }
        let transport = connect(&broker_url()).await.unwrap();
        let mut deliveries = transport.consume(&queue, 100).await.unwrap();
        confirm_all(vec![transport.send(message(&exchange, "a.b", "known")).await.unwrap()]).await;
        let mut confirmations = Vec::new();
        for (place, other) in others.iter().enumerate() {
            for (number, exchange) in [other, &exchange].into_iter().enumerate() {
                confirmations.push(transport.send(message(exchange, "a.b", 2 * place + number)).await.unwrap());
            }
        }
        confirm_all(confirmations).await;
        let mut came = Vec::new();
        while came.len() < 1 + 2 * others.len() {
            let delivery = within(deliveries.next()).await.unwrap().unwrap();
            came.push(String::from_utf8(delivery.message.body.to_vec()).unwrap());
            delivery.ack().await.unwrap();
        }
        let sent = (0..2 * others.len()).map(|number| number.to_string());
        assert_eq!(came, std::iter::once("known".to_owned()).chain(sent).collect::<Vec<_>>());
        transport.close().await;
        clean_up(Vec::new(), others).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verdicts_stay_exact_when_connections_are_cut() {
    with_broker(QueueKind::Quorum, |Broker { queue, .. }| async move {
        let proxy = Proxy::start("127.0.0.1:5672").await;
        let sender = connect(&proxy.through(&broker_url())).await.unwrap();
        sender.declare(&queue).await.unwrap();
        let mut confirmations = Vec::new();
        for number in 0..3_000 {
            if number % 500 == 250 {
                proxy.cut();
            }
            let key = if number % 3 == 0 { "celerysalt.test.nowhere" } else { &queue.name };
            confirmations.push(sender.send(message("", key, number)).await.unwrap());
        }
        for (number, confirmation) in confirmations.into_iter().enumerate() {
            let expected = if number % 3 == 0 { Routing::Unroutable } else { Routing::Routed };
            assert_eq!(within(confirmation).await, Ok(expected), "message {number}");
        }
        sender.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_when_its_connection_is_cut() {
    with_broker(QueueKind::Quorum, |Broker { queue, exchange }| async move {
        let proxy = Proxy::start("127.0.0.1:5672").await;
        let reader = connect(&proxy.through(&broker_url())).await.unwrap();
        let sender = connect(&broker_url()).await.unwrap();
        let mut deliveries = reader.consume(&queue, 10).await.unwrap();
        let mut replies = reader.consume_replies().await.unwrap();
        let put = async |number: usize| {
            let confirmation = sender.send(message(&exchange, "k", number)).await.unwrap();
            assert_eq!(within(confirmation).await, Ok(Routing::Routed));
        };
        put(0).await;
        let held = within(deliveries.next()).await.unwrap().unwrap();
        proxy.refuse();
        drop(held);
        proxy.pass();
        put(1).await;
        assert_eq!(take_all(&mut deliveries, 2).await, BTreeSet::from([0, 1]));
        // The reply queue is back under its name.
        let reply = async {
            loop {
                let confirmation = sender.send(message("", replies.queue(), "reply")).await.unwrap();
                if confirmation.await == Ok(Routing::Routed) {
                    return;
                }
            }
        };
        within(reply).await;
        assert_eq!(&within(replies.next()).await.unwrap().unwrap().message.body[..], b"reply");
        reader.close().await;
        sender.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ack_on_a_connection_that_is_gone_is_told() {
    with_broker(QueueKind::Quorum, |Broker { queue, exchange }| async move {
        let proxy = Proxy::start("127.0.0.1:5672").await;
        let transport = connect(&proxy.through(&broker_url())).await.unwrap();
        let mut deliveries = transport.consume(&queue, 1).await.unwrap();
        let sent = transport.send(message(&exchange, "k", 1)).await.unwrap();
        assert_eq!(within(sent).await, Ok(Routing::Routed));
        let held = within(deliveries.next()).await.unwrap().unwrap();
        proxy.cut();
        // It comes again, which is how this test knows that the old connection is gone for both sides.
        let again = within(deliveries.next()).await.unwrap().unwrap();
        assert!(again.redelivered);
        let late = held.ack().await;
        assert!(matches!(late, Err(TransportError::Unavailable { .. })), "{late:?}");
        again.ack().await.unwrap();
        transport.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_is_declared_again() {
    with_broker(QueueKind::Quorum, |Broker { queue, exchange }| async move {
        let transport = connect(&broker_url()).await.unwrap();
        let mut deliveries = transport.consume(&queue, 1).await.unwrap();
        let (connection, channel) = raw().await;
        channel.queue_delete(queue.name.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        let arrives = async {
            loop {
                let sent = transport.send(message(&exchange, "k", 7)).await.unwrap();
                if within(sent).await == Ok(Routing::Routed) {
                    return within(deliveries.next()).await.unwrap().unwrap();
                }
            }
        };
        within(arrives).await.ack().await.unwrap();
        connection.close(200, "done".into()).await.unwrap();
        transport.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_exchange_is_declared_again_and_nothing_in_flight_is_lost() {
    with_broker(QueueKind::Quorum, |Broker { queue, exchange }| async move {
        let transport = connect(&broker_url()).await.unwrap();
        let mut deliveries = transport.consume(&queue, 100).await.unwrap();
        let first = transport.send(message(&exchange, "k", 0)).await.unwrap();
        assert_eq!(within(first).await, Ok(Routing::Routed));
        rabbitmq_delete_exchange(&exchange).await;
        let mut confirmations = Vec::new();
        for number in 1..=50 {
            confirmations.push((true, transport.send(message("", &queue.name, number)).await.unwrap()));
            // Closes the channel over all others; the exchange that comes back has no binding.
            confirmations.push((false, transport.send(message(&exchange, "k", 1_000)).await.unwrap()));
        }
        for (routed, confirmation) in confirmations {
            let expected = if routed { Routing::Routed } else { Routing::Unroutable };
            assert_eq!(within(confirmation).await, Ok(expected));
        }
        assert_eq!(take_all(&mut deliveries, 51).await, (0..=50).collect());
        transport.close().await;
    })
    .await;
}

async fn rabbitmq_delete_exchange(exchange: &str) {
    clean_up(vec![], vec![exchange.to_owned()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_that_the_broker_refuses_does_not_stop_the_others() {
    with_broker(QueueKind::ClassicWithPriority(10), |Broker { queue, .. }| async move {
        let transport = connect(&broker_url()).await.unwrap();
        let mut deliveries = transport.consume(&queue, 100).await.unwrap();
        let mut confirmations = Vec::new();
        for number in 0..20 {
            confirmations.push(transport.send(message("", &queue.name, number)).await.unwrap());
        }
        // An internal exchange takes nothing from clients, and says so by closing the channel.
        let refused = transport.send(message("amq.rabbitmq.trace", "k", "x")).await.unwrap();
        for number in 20..40 {
            confirmations.push(transport.send(message("", &queue.name, number)).await.unwrap());
        }
        let told = within(refused).await.unwrap_err();
        assert!(matches!(&told, TransportError::Refused { .. }), "{told}");
        confirm_all(confirmations).await;
        assert_eq!(take_all(&mut deliveries, 40).await, (0..40).collect());
        transport.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicts_are_explained() {
    with_broker(QueueKind::Quorum, |Broker { queue, exchange }| async move {
        let (connection, channel) = raw().await;
        // As celery-salt declares its worker queues.
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-priority".into(), AMQPValue::LongInt(10));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let name = || queue.name.as_str().into();
        channel.queue_declare(name(), options, arguments.clone()).await.unwrap();
        let transport = connect(&broker_url()).await.unwrap();
        let refusal = transport.declare(&queue).await.unwrap_err();
        let TransportError::Refused { what, reason, .. } = &refusal else { panic!("{refusal}") };
        assert_eq!(what, &format!("queue `{}`", queue.name));
        assert!(reason.contains("x-max-priority") && reason.contains("`kind`"), "{reason}");
        let priorities = QueueSpec { kind: QueueKind::ClassicWithPriority(10), ..queue.clone() };
        transport.declare(&priorities).await.unwrap();

        // With an argument that no transport sets.
        channel.queue_delete(name(), QueueDeleteOptions::default()).await.unwrap();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(100));
        channel.queue_declare(name(), options, arguments).await.unwrap();
        let refusal = transport.declare(&priorities).await.unwrap_err().to_string();
        assert!(refusal.contains("x-max-length") && refusal.contains("delete it"), "{refusal}");

        // An exchange of another type.
        rabbitmq_delete_exchange(&exchange).await;
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel
            .exchange_declare(exchange.as_str().into(), ExchangeKind::Direct, options, FieldTable::default())
            .await
            .unwrap();
        let sent = transport.send(message(&exchange, "k", "x")).await.unwrap();
        let refusal = within(sent).await.unwrap_err();
        assert!(matches!(&refusal, TransportError::Refused { .. }), "{refusal}");
        assert!(refusal.to_string().contains(&format!("exchange `{exchange}`")), "{refusal}");
        connection.close(200, "done".into()).await.unwrap();
        transport.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_or_vhost_is_refused_at_once() {
    let url = broker_url();
    let (_, host) = url.rsplit_once('@').unwrap();
    let started = Instant::now();
    let error = connect(&format!("amqp://guest:s3cret-and-wrong@{host}")).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(matches!(&error, TransportError::Refused { what, .. } if what == "user `guest`"), "{error}");
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");

    let (front, _) = url.rsplit_once('/').unwrap();
    let error = connect(&format!("{front}/no-such-vhost")).await.unwrap_err();
    assert!(matches!(&error, TransportError::Refused { what, .. } if what.contains("no-such-vhost")), "{error}");
    let transport = connect(&url).await.unwrap();
    assert!(!format!("{transport:?}").contains(":guest@"), "{transport:?}");
    transport.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_port_and_a_silent_one_are_unavailable_and_leave_nothing_behind() {
    let proxy = Proxy::start("127.0.0.1:5672").await;
    proxy.refuse();
    let started = Instant::now();
    let error = connect(&proxy.through(&broker_url())).await.unwrap_err();
    assert!(matches!(error, TransportError::Unavailable { .. }), "{error}");
    let url = format!("amqp://guest:guest@127.0.0.1:{}/%2f", {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    });
    let error = connect(&url).await.unwrap_err();
    assert!(matches!(error, TransportError::Unavailable { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));

    proxy.freeze();
    let options = AmqpOptions::new().connect_timeout(Duration::from_millis(300));
    let started = Instant::now();
    let error = AmqpTransport::connect(&proxy.through(&broker_url()), options).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(error.to_string().contains("300 ms"), "{error}");
    // The client has hung up: what the proxy passes on now ends at once, and nobody connects anew.
    proxy.pass();
    within(proxy.holds(|connections| *connections == 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stays_away_is_told_after_the_time_that_was_set() {
    with_broker(QueueKind::Quorum, |Broker { queue, exchange }| async move {
        let proxy = Proxy::start("127.0.0.1:5672").await;
        let options = AmqpOptions::new().unavailable_after(Duration::from_millis(500)).max_in_flight(10);
        let transport = AmqpTransport::connect(&proxy.through(&broker_url()), options).await.unwrap();
        transport.declare(&queue).await.unwrap();
        proxy.refuse();
        let mut confirmations = Vec::new();
        let mut refused = 0;
        for number in 0..15 {
            match transport.send(message(&exchange, "k", number)).await {
                Ok(confirmation) => confirmations.push(confirmation),
                Err(TransportError::Unavailable { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(confirmations.len() + refused == 15 && confirmations.len() >= 10);
        for confirmation in confirmations {
            let outcome = within(confirmation).await;
            assert!(matches!(outcome, Err(TransportError::Unavailable { .. })), "{outcome:?}");
        }
        let other = QueueSpec { name: format!("{}.other", queue.name), ..queue.clone() };
        assert!(matches!(transport.declare(&other).await, Err(TransportError::Unavailable { .. })));
        assert!(matches!(transport.consume(&other, 1).await, Err(TransportError::Unavailable { .. })));
        proxy.pass();
        // It is back by itself.
        within(async {
            loop {
                let sent = transport.send(message(&exchange, "k", "back")).await.unwrap();
                if sent.await == Ok(Routing::Routed) {
                    return;
                }
            }
        })
        .await;
        transport.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_connection_is_given_up_after_two_heartbeats() {
    with_broker(QueueKind::Quorum, |Broker { queue, exchange }| async move {
        let proxy = Proxy::start("127.0.0.1:5672").await;
        let options = AmqpOptions::new().heartbeat(Duration::from_secs(1)).connect_timeout(Duration::from_secs(1));
        let transport = AmqpTransport::connect(&proxy.through(&broker_url()), options).await.unwrap();
        let mut deliveries = transport.consume(&queue, 10).await.unwrap();
        proxy.freeze();
        let sent = transport.send(message(&exchange, "k", 1)).await.unwrap();
        let frozen = async {
            // Half open for longer than two heartbeats of 1 s, then the broker is back.
            tokio::time::sleep(Duration::from_secs(4)).await;
            proxy.pass();
        };
        let (outcome, ()) = tokio::join!(within(sent), frozen);
        assert_eq!(outcome, Ok(Routing::Routed));
        assert_eq!(take_all(&mut deliveries, 1).await, BTreeSet::from([1]));
        transport.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_large_is_refused_before_it_is_written() {
    let options = AmqpOptions::new().max_message_size(1_000);
    let transport = AmqpTransport::connect(&broker_url(), options).await.unwrap();
    let mut large = message("", "nowhere", "");
    large.body = vec![0; 1_001].into();
    assert_eq!(transport.send(large).await.unwrap_err(), TransportError::TooLarge { size: 1_001, limit: 1_000 });
    let mut wide = message("", "nowhere", "");
    wide.headers.insert("wide".to_owned(), "x".repeat(200_000).into());
    assert!(matches!(transport.send(wide).await.unwrap_err(), TransportError::Refused { .. }));
    let fits = transport.send(message("", "celerysalt.test.nowhere", "x")).await.unwrap();
    assert_eq!(within(fits).await, Ok(Routing::Unroutable));
    transport.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_through_a_consumer() {
    with_broker(QueueKind::ClassicWithPriority(10), |Broker { queue, exchange }| async move {
        let sender =
            AmqpTransport::connect(&broker_url(), AmqpOptions::new().max_message_size(usize::MAX)).await.unwrap();
        // Its own limit is for what it sends.
        let reader = AmqpTransport::connect(&broker_url(), AmqpOptions::new().max_message_size(10)).await.unwrap();
        let mut deliveries = reader.consume(&queue, 1).await.unwrap();
        let mut large = message(&exchange, "k", "");
        large.properties.persistent = false;
        large.body = vec![7; 100_000_000].into();
        let sent = sender.send(large).await.unwrap();
        let delivery = tokio::time::timeout(PATIENCE * 2, deliveries.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(delivery.message.body.len(), 100_000_000);
        delivery.ack().await.unwrap();
        assert_eq!(within(sent).await, Ok(Routing::Routed));
        sender.close().await;
        reader.close().await;
    })
    .await;
}

/// lapin without TLS in its build would talk plain text to `amqps://`.
#[tokio::test]
async fn tls_is_never_left_out_in_silence() {
    let url = broker_url().replacen("amqp://", "amqps://", 1);
    let error = connect(&url).await.unwrap_err();
    assert!(matches!(error, TransportError::Url { .. } | TransportError::Refused { .. }), "{error}");
}
