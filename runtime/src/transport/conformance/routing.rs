//! Cases on which message reaches which queue, and what its sender is told.

use super::{KINDS, PATIENCE, Scene, direct, message, put, send, take, within};
use crate::transport::{QueueKind, Routing};

/// Binding key, routing key, whether they match.
const MATCHES: [(&str, &str, bool); 16] = [
    ("a.b", "a.b", true),
    ("a.b", "a.b.c", false),
    ("a.*", "a.b", true),
    ("a.*", "a", false),
    ("a.*", "a.b.c", false),
    ("*.b", "a.b", true),
    ("*", "a", true),
    ("*", "a.b", false),
    ("a.#", "a", true),
    ("a.#", "a.b.c", true),
    ("a.#", "ab", false),
    ("#", "a.b.c", true),
    ("#.c", "c", true),
    ("#.c", "a.b.c", true),
    ("a.#.c", "a.c", true),
    ("a.*.#", "a", false),
];

pub async fn patterns_match_as_amqp_says(scene: Scene) {
    let transport = scene.connect().await;
    for (pattern, key, matches) in MATCHES {
        let exchange = scene.exchange();
        let queue = scene.bound(QueueKind::ClassicWithPriority(10), &exchange, &[pattern]);
        transport.declare(&queue).await.unwrap();
        let expected = if matches { Routing::Routed } else { Routing::Unroutable };
        assert_eq!(send(&transport, message(&exchange, key, "x")).await, expected, "{pattern} on {key}");
    }
}

pub async fn several_bindings_make_one_copy(scene: Scene) {
    let transport = scene.connect().await;
    for kind in KINDS {
        let exchange = scene.exchange();
        let queue = scene.bound(kind, &exchange, &["a.b", "a.*", "a.#", "#"]);
        let mut deliveries = transport.consume(&queue, 10).await.unwrap();
        put(&transport, message(&exchange, "a.b", "one")).await;
        put(&transport, message(&exchange, "z", "two")).await;
        assert_eq!(take(&mut deliveries).await, "one");
        assert_eq!(take(&mut deliveries).await, "two");
    }
}

pub async fn each_queue_gets_a_copy(scene: Scene) {
    let transport = scene.connect().await;
    let exchange = scene.exchange();
    let [quorum, classic] = KINDS.map(|kind| scene.bound(kind, &exchange, &["a.#"]));
    let mut first = transport.consume(&quorum, 10).await.unwrap();
    let mut second = transport.consume(&classic, 10).await.unwrap();
    put(&transport, message(&exchange, "a.b", "both")).await;
    for deliveries in [&mut first, &mut second] {
        let delivery = super::next(deliveries).await;
        assert_eq!(delivery.message.exchange, exchange);
        assert_eq!(delivery.message.routing_key, "a.b");
        assert!(!delivery.redelivered);
        delivery.ack().await.unwrap();
    }
}

pub async fn messages_of_a_sender_keep_their_order(scene: Scene) {
    let transport = scene.connect().await;
    for kind in KINDS {
        let queue = scene.queue(kind);
        let mut deliveries = transport.consume(&queue, 100).await.unwrap();
        let mut confirmations = Vec::new();
        for number in 0..1_000 {
            confirmations.push(transport.send(direct(&queue, number)).await.unwrap());
        }
        for number in 0..1_000 {
            assert_eq!(take(&mut deliveries).await, number.to_string());
        }
        for confirmation in confirmations {
            assert_eq!(within(confirmation).await, Ok(Routing::Routed));
        }
    }
}

/// Many at once, so that returns and confirms of different messages mix.
pub async fn unroutable_messages_are_told_apart(scene: Scene) {
    const COUNT: usize = 2_000;
    let transport = scene.connect().await;
    let exchange = scene.exchange();
    let quorum = scene.bound(QueueKind::Quorum, &exchange, &["quorum"]);
    let classic = scene.bound(QueueKind::ClassicWithPriority(10), &exchange, &["classic"]);
    transport.declare(&quorum).await.unwrap();
    transport.declare(&classic).await.unwrap();
    for (round, unroutable_every) in [3, 3, 2, 50, 1].into_iter().enumerate() {
        let is_unroutable = |number: usize| number.is_multiple_of(unroutable_every);
        let mut confirmations = Vec::new();
        for number in 0..COUNT {
            let key = match number {
                n if is_unroutable(n) => "nowhere",
                n if n % 7 < 3 => "quorum",
                _ => "classic",
            };
            confirmations.push(transport.send(message(&exchange, key, number)).await.unwrap());
        }
        for (number, confirmation) in confirmations.into_iter().enumerate() {
            let expected = if is_unroutable(number) { Routing::Unroutable } else { Routing::Routed };
            assert_eq!(within(confirmation).await, Ok(expected), "message {number} of round {round}");
        }
    }
}

/// More than may be under way at once, and among them some that go nowhere and one that can't be sent.
pub async fn messages_sent_together_are_like_those_sent_alone(scene: Scene) {
    const COUNT: usize = 2_500;
    let transport = scene.connect().await;
    let exchange = scene.exchange();
    let queue = scene.bound(QueueKind::Quorum, &exchange, &["bound"]);
    let mut deliveries = transport.consume(&queue, 100).await.unwrap();
    let key = |number: usize| match number {
        1_500 => "x".repeat(256),
        number if number.is_multiple_of(100) => "nowhere".to_owned(),
        _ => "bound".to_owned(),
    };
    let first = transport.send(message(&exchange, "bound", "first")).await.unwrap();
    let messages = (0..COUNT).map(|number| message(&exchange, &key(number), number)).collect();
    // Nobody awaits the confirmations meanwhile.
    let outcomes = within(transport.send_all(messages)).await;
    let last = transport.send(message(&exchange, "bound", "last")).await.unwrap();
    assert_eq!(outcomes.len(), COUNT);
    assert_eq!(take(&mut deliveries).await, "first");
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let expected = match key(number).as_str() {
            "bound" => Ok(Routing::Routed),
            "nowhere" => Ok(Routing::Unroutable),
            _ => {
                super::is_refused(outcome, &["routing key", "256"]);
                continue;
            }
        };
        if expected == Ok(Routing::Routed) {
            assert_eq!(take(&mut deliveries).await, number.to_string());
        }
        assert_eq!(within(outcome.unwrap()).await, expected, "message {number}");
    }
    assert_eq!(take(&mut deliveries).await, "last");
    for confirmation in [first, last] {
        assert_eq!(within(confirmation).await, Ok(Routing::Routed));
    }
}

pub async fn the_default_exchange_routes_by_queue_name(scene: Scene) {
    let transport = scene.connect().await;
    let queue = scene.queue(QueueKind::Quorum);
    assert_eq!(send(&transport, direct(&queue, "too early")).await, Routing::Unroutable);
    let mut deliveries = tokio::time::timeout(PATIENCE, transport.consume(&queue, 1)).await.unwrap().unwrap();
    assert_eq!(deliveries.queue(), queue.name);
    put(&transport, direct(&queue, "in time")).await;
    let delivery = super::next(&mut deliveries).await;
    assert_eq!((delivery.message.exchange.as_str(), &delivery.message.routing_key), ("", &queue.name));
    assert_eq!(super::text(&delivery), "in time");
    delivery.ack().await.unwrap();
}
