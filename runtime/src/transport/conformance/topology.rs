//! Cases on declaring, and on the end.

use super::{KINDS, Scene, direct, is_refused, message, put, send, take, within};
use crate::transport::{Binding, QueueKind, QueueSpec, Routing, TransportError};

pub async fn declaring_again_changes_nothing(scene: Scene) {
    let (first, second) = (scene.connect().await, scene.connect().await);
    for kind in KINDS {
        let exchange = scene.exchange();
        let dead = scene.queue(QueueKind::Quorum);
        let mut queue = QueueSpec { dead_letter: Some(dead.name), ..scene.bound(kind, &exchange, &["a", "b.#"]) };
        first.declare(&queue).await.unwrap();
        put(&first, message(&exchange, "a", "kept")).await;
        first.declare(&queue).await.unwrap();
        // With one more binding: the queue stays, the binding is added.
        queue.bindings.push(Binding { exchange: exchange.clone(), pattern: "c".parse().unwrap() });
        second.declare(&queue).await.unwrap();
        put(&second, message(&exchange, "c", "added")).await;
        let mut deliveries = second.consume(&queue, 10).await.unwrap();
        assert_eq!(take(&mut deliveries).await, "kept");
        assert_eq!(take(&mut deliveries).await, "added");
        assert_eq!(send(&second, message(&exchange, "d", "x")).await, Routing::Unroutable);
    }
}

pub async fn another_kind_of_queue_is_refused(scene: Scene) {
    let transport = scene.connect().await;
    let queue = scene.queue(QueueKind::Quorum);
    transport.declare(&queue).await.unwrap();
    for kind in [QueueKind::ClassicWithPriority(10)] {
        let other = QueueSpec { kind, ..queue.clone() };
        is_refused(within(transport.declare(&other)).await, &[&queue.name, "kind"]);
        is_refused(within(transport.consume(&other, 1)).await, &[&queue.name, "kind"]);
    }
    let classic = scene.queue(QueueKind::ClassicWithPriority(10));
    transport.declare(&classic).await.unwrap();
    for kind in [QueueKind::Quorum, QueueKind::ClassicWithPriority(9)] {
        is_refused(within(transport.declare(&QueueSpec { kind, ..classic.clone() })).await, &["kind"]);
    }
    // A refusal breaks nothing.
    put(&transport, direct(&queue, "x")).await;
    assert_eq!(take(&mut transport.consume(&queue, 1).await.unwrap()).await, "x");
}

pub async fn another_dead_letter_queue_is_refused(scene: Scene) {
    let transport = scene.connect().await;
    for kind in KINDS {
        let queue = QueueSpec { dead_letter: Some("celerysalt.test.dead".to_owned()), ..scene.queue(kind) };
        transport.declare(&queue).await.unwrap();
        for dead_letter in [None, Some("celerysalt.test.other".to_owned())] {
            let other = QueueSpec { dead_letter, ..queue.clone() };
            is_refused(within(transport.declare(&other)).await, &[&queue.name, "dead_letter"]);
        }
    }
}

pub async fn names_that_are_too_long_are_refused(scene: Scene) {
    let transport = scene.connect().await;
    let long = "x".repeat(256);
    is_refused(transport.send(message(&long, "k", "")).await, &["exchange", "256"]);
    is_refused(transport.send(message("", &long, "")).await, &["routing key", "256"]);
    let queue = QueueSpec { name: long, ..scene.queue(QueueKind::Quorum) };
    is_refused(transport.declare(&queue).await, &["queue", "256"]);
    is_refused(transport.consume(&queue, 1).await, &["queue", "256"]);
}

pub async fn a_closed_transport_refuses(scene: Scene) {
    let transport = scene.connect().await;
    let queue = scene.queue(QueueKind::Quorum);
    within(transport.close()).await;
    // Twice is as good as once.
    within(transport.close()).await;
    assert_eq!(transport.send(direct(&queue, "x")).await.unwrap_err(), TransportError::Closed);
    for outcome in transport.send_all(vec![direct(&queue, "y"), direct(&queue, "z")]).await {
        assert_eq!(outcome.unwrap_err(), TransportError::Closed);
    }
    assert_eq!(within(transport.declare(&queue)).await, Err(TransportError::Closed));
    assert_eq!(within(transport.consume(&queue, 1)).await.unwrap_err(), TransportError::Closed);
    assert_eq!(within(transport.consume_replies()).await.unwrap_err(), TransportError::Closed);
}
