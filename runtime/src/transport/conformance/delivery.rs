//! Cases on what becomes of a message between its queue and its ack.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;

use super::{KINDS, Scene, assert_empty, direct, is_refused, message, next, put, send, take, text, within};
use crate::transport::{Properties, QueueKind, QueueSpec, Routing, TransportError};

pub async fn an_acked_message_is_gone(scene: Scene) {
    for kind in KINDS {
        let (first, second) = (scene.connect().await, scene.connect().await);
        let queue = scene.queue(kind);
        let mut deliveries = first.consume(&queue, 10).await.unwrap();
        put(&first, direct(&queue, "once")).await;
        assert_eq!(take(&mut deliveries).await, "once");
        first.close().await;
        assert_empty(&second, &queue).await;
    }
}

pub async fn a_requeued_message_comes_back_with_the_flag(scene: Scene) {
    let transport = scene.connect().await;
    for kind in KINDS {
        let queue = scene.queue(kind);
        let mut deliveries = transport.consume(&queue, 1).await.unwrap();
        put(&transport, direct(&queue, "again")).await;
        let delivery = next(&mut deliveries).await;
        assert!(!delivery.redelivered);
        delivery.requeue().await.unwrap();
        let delivery = next(&mut deliveries).await;
        assert!(delivery.redelivered);
        assert_eq!(text(&delivery), "again");
        delivery.ack().await.unwrap();
    }
}

pub async fn a_dropped_delivery_comes_back(scene: Scene) {
    let transport = scene.connect().await;
    for kind in KINDS {
        let queue = scene.queue(kind);
        let mut deliveries = transport.consume(&queue, 1).await.unwrap();
        put(&transport, direct(&queue, "dropped")).await;
        drop(next(&mut deliveries).await);
        let delivery = next(&mut deliveries).await;
        assert!(delivery.redelivered);
        delivery.ack().await.unwrap();
    }
}

pub async fn what_is_unsettled_comes_back_when_its_connection_is_gone(scene: Scene) {
    for (kind, close) in [(KINDS[0], true), (KINDS[0], false), (KINDS[1], true), (KINDS[1], false)] {
        let (first, second) = (scene.connect().await, scene.connect().await);
        let queue = scene.queue(kind);
        let mut deliveries = first.consume(&queue, 10).await.unwrap();
        for number in 0..10 {
            put(&first, direct(&queue, number)).await;
        }
        // Some with the reader, some still in the stream.
        let held = [next(&mut deliveries).await, next(&mut deliveries).await];
        if close {
            first.close().await;
        }
        drop(first);
        let mut others = second.consume(&queue, 100).await.unwrap();
        let mut back = BTreeSet::new();
        while back.len() < 10 {
            let delivery = next(&mut others).await;
            back.insert(text(&delivery));
            delivery.ack().await.unwrap();
        }
        for delivery in held {
            let late = delivery.ack().await;
            assert!(matches!(late, Err(TransportError::Unavailable { .. })), "{late:?}");
        }
    }
}

pub async fn no_consumer_holds_more_than_its_prefetch(scene: Scene) {
    let transport = scene.connect().await;
    for kind in KINDS {
        let queue = scene.queue(kind);
        let mut slow = transport.consume(&queue, 3).await.unwrap();
        for number in 0..10 {
            put(&transport, direct(&queue, number)).await;
        }
        let held = [next(&mut slow).await, next(&mut slow).await, next(&mut slow).await];
        // Had it taken more, the other one would wait in vain for them.
        let mut fast = transport.consume(&queue, 100).await.unwrap();
        for _ in 3..10 {
            take(&mut fast).await;
        }
        // And what it settles, it may take anew.
        fast.cancel().await;
        put(&transport, direct(&queue, "more")).await;
        let [first, ..] = held;
        first.ack().await.unwrap();
        assert_eq!(take(&mut slow).await, "more");
    }
}

pub async fn consumers_of_a_queue_share_it(scene: Scene) {
    let (one, two) = (scene.connect().await, scene.connect().await);
    for kind in KINDS {
        let queue = scene.queue(kind);
        let mut first = one.consume(&queue, 1).await.unwrap();
        let mut second = two.consume(&queue, 1).await.unwrap();
        let mut seen = BTreeSet::new();
        for number in 0..20 {
            put(&one, direct(&queue, number)).await;
        }
        for _ in 0..10 {
            // Each waits while the other holds one, so that both must be served.
            let (left, right) = (next(&mut first).await, next(&mut second).await);
            for delivery in [left, right] {
                assert!(!delivery.redelivered);
                assert!(seen.insert(text(&delivery)), "{} came twice", text(&delivery));
                delivery.ack().await.unwrap();
            }
        }
        assert_eq!(seen.len(), 20);
    }
}

pub async fn cancelling_gives_back_what_was_not_handed_out(scene: Scene) {
    for kind in KINDS {
        let (first, second) = (scene.connect().await, scene.connect().await);
        let queue = scene.queue(kind);
        let mut deliveries = first.consume(&queue, 10).await.unwrap();
        for number in 0..10 {
            put(&first, direct(&queue, number)).await;
        }
        let held = [next(&mut deliveries).await, next(&mut deliveries).await];
        within(deliveries.cancel()).await;
        assert!(within(deliveries.next()).await.is_none());
        let mut others = second.consume(&queue, 100).await.unwrap();
        let mut back = BTreeSet::new();
        while back.len() < 8 {
            let delivery = next(&mut others).await;
            back.insert(text(&delivery));
            delivery.ack().await.unwrap();
        }
        for delivery in held {
            assert!(!back.contains(&text(&delivery)));
            delivery.ack().await.unwrap();
        }
        others.cancel().await;
        first.close().await;
        assert_empty(&second, &queue).await;
    }
}

pub async fn acks_are_not_lost_by_closing(scene: Scene) {
    for kind in KINDS {
        for _ in 0..3 {
            let (first, second) = (scene.connect().await, scene.connect().await);
            let queue = scene.queue(kind);
            let mut deliveries = first.consume(&queue, 500).await.unwrap();
            let mut confirmations = Vec::new();
            for number in 0..300 {
                confirmations.push(first.send(direct(&queue, number)).await.unwrap());
            }
            for confirmation in confirmations {
                assert_eq!(within(confirmation).await, Ok(Routing::Routed));
            }
            let mut held = Vec::new();
            for _ in 0..300 {
                held.push(next(&mut deliveries).await);
            }
            for delivery in held {
                delivery.ack().await.unwrap();
            }
            within(first.close()).await;
            assert_empty(&second, &queue).await;
        }
    }
}

pub async fn closing_waits_for_what_was_sent(scene: Scene) {
    let (first, second) = (scene.connect().await, scene.connect().await);
    let queue = scene.queue(QueueKind::Quorum);
    second.declare(&queue).await.unwrap();
    let mut confirmations = Vec::new();
    for number in 0..500 {
        confirmations.push(first.send(direct(&queue, number)).await.unwrap());
    }
    within(first.close()).await;
    for confirmation in confirmations {
        assert_eq!(within(confirmation).await, Ok(Routing::Routed));
    }
    let mut deliveries = second.consume(&queue, 500).await.unwrap();
    for number in 0..500 {
        assert_eq!(take(&mut deliveries).await, number.to_string());
    }
}

pub async fn the_stream_ends_when_its_connection_is_closed(scene: Scene) {
    let transport = scene.connect().await;
    let mut deliveries = transport.consume(&scene.queue(QueueKind::Quorum), 1).await.unwrap();
    let mut replies = transport.consume_replies().await.unwrap();
    let ((), ended, replies_ended) =
        within(async { tokio::join!(transport.close(), deliveries.next(), replies.next()) }).await;
    assert!(ended.is_none() && replies_ended.is_none());
}

pub async fn higher_priorities_come_first(scene: Scene) {
    let transport = scene.connect().await;
    let queue = scene.queue(QueueKind::ClassicWithPriority(10));
    transport.declare(&queue).await.unwrap();
    // 11 and 200 count as 10, the most that the queue has; none counts as 0.
    for (priority, body) in [
        (Some(1), "f"),
        (Some(5), "d"),
        (None, "g"),
        (Some(5), "e"),
        (Some(10), "a"),
        (Some(0), "h"),
        (Some(200), "b"),
        (Some(11), "c"),
    ] {
        let mut message = direct(&queue, body);
        message.properties.priority = priority;
        put(&transport, message).await;
    }
    let mut deliveries = transport.consume(&queue, 1).await.unwrap();
    let mut order = String::new();
    for _ in 0..8 {
        order += &take(&mut deliveries).await;
    }
    assert_eq!(order, "abcdefgh");
}

pub async fn an_expired_message_goes_to_the_dead_letters(scene: Scene) {
    let transport = scene.connect().await;
    for kind in KINDS {
        let dead = scene.queue(QueueKind::Quorum);
        let queue = QueueSpec { dead_letter: Some(dead.name.clone()), ..scene.queue(kind) };
        let mut dead_letters = transport.consume(&dead, 10).await.unwrap();
        transport.declare(&queue).await.unwrap();
        let mut expiring = direct(&queue, "expired");
        expiring.properties.expiration = Some(Duration::from_millis(50));
        expiring.headers.insert("kept".to_owned(), json!("header"));
        put(&transport, expiring).await;
        let mut lasting = direct(&queue, "lasting");
        lasting.properties.expiration = Some(Duration::from_hours(1));
        put(&transport, lasting).await;

        let delivery = next(&mut dead_letters).await;
        assert_eq!(text(&delivery), "expired");
        assert_eq!(delivery.message.headers["x-first-death-reason"], "expired");
        assert_eq!(delivery.message.headers["x-first-death-queue"], queue.name);
        assert_eq!(delivery.message.headers["kept"], "header");
        assert_eq!(delivery.message.properties.expiration, None);
        delivery.ack().await.unwrap();
        let mut deliveries = transport.consume(&queue, 10).await.unwrap();
        assert_eq!(take(&mut deliveries).await, "lasting");
    }
}

pub async fn properties_and_headers_survive(scene: Scene) {
    let transport = scene.connect().await;
    for kind in KINDS {
        let exchange = scene.exchange();
        let queue = scene.bound(kind, &exchange, &["#"]);
        let mut deliveries = transport.consume(&queue, 10).await.unwrap();
        let mut full = message(&exchange, "some.key", "body \u{1f9c2}");
        full.properties = Properties {
            content_type: Some("application/json".to_owned()),
            content_encoding: Some("utf-8".to_owned()),
            persistent: true,
            priority: Some(7),
            correlation_id: Some("correlation".to_owned()),
            reply_to: Some("some.queue".to_owned()),
            expiration: Some(Duration::from_millis(3_600_001)),
            message_id: Some("gr\u{fc}\u{df}e".to_owned()),
            timestamp: Some(1_700_000_000),
            app_id: Some("pulse".to_owned()),
        };
        let headers = json!({
            "text": "gr\u{fc}\u{df}e \u{1f9c2} \u{0}", "empty": "", "yes": true, "no": false, "nothing": null,
            "int": -42, "big": i64::MAX, "small": i64::MIN, "float": 0.5,
            "list": [1, "two", [null, false], {"three": 3}], "table": {"a": {"b": {"c": "d"}}, "e": []},
        });
        full.headers = headers.as_object().unwrap().clone().into();
        put(&transport, full.clone()).await;
        let delivery = next(&mut deliveries).await;
        assert_eq!(delivery.message, full);
        delivery.ack().await.unwrap();

        let mut bare = message(&exchange, "k", "bare");
        bare.properties = Properties { message_id: Some("m".to_owned()), ..Properties::default() };
        put(&transport, bare.clone()).await;
        let delivery = next(&mut deliveries).await;
        assert_eq!(delivery.message, bare);
        delivery.ack().await.unwrap();
    }
}

pub async fn bodies_of_every_size_survive(scene: Scene) {
    let transport = scene.connect().await;
    for kind in KINDS {
        let queue = scene.queue(kind);
        let mut deliveries = transport.consume(&queue, 10).await.unwrap();
        // Around RabbitMQ's frame of 128 KiB, of which 8 bytes are not the body's.
        for size in [0, 1, 131_063, 131_064, 131_065, 131_072, 1024 * 1024] {
            let body: Vec<u8> = (0..=255).cycle().take(size).collect();
            let mut sent = direct(&queue, "");
            sent.body = body.clone().into();
            put(&transport, sent).await;
            let delivery = next(&mut deliveries).await;
            assert!(delivery.message.body == body, "{size} bytes");
            delivery.ack().await.unwrap();
        }
    }
}

pub async fn replies_reach_who_asked(scene: Scene) {
    let (caller, server) = (scene.connect().await, scene.connect().await);
    let mut replies = caller.consume_replies().await.unwrap();
    let mut others = caller.consume_replies().await.unwrap();
    assert_ne!(replies.queue(), others.queue());
    // More than any buffer of unsettled ones would hold: none of them is acked.
    for number in 0..3_000 {
        drop(server.send(message("", replies.queue(), number)).await.unwrap());
        let reply = next(&mut replies).await;
        assert_eq!(text(&reply), number.to_string());
    }
    put(&server, message("", others.queue(), "other")).await;
    assert_eq!(text(&next(&mut others).await), "other");

    let queue = replies.queue().to_owned();
    drop(replies);
    // Its end reaches the broker a moment later.
    within(async { while send(&server, message("", &queue, "late")).await == Routing::Routed {} }).await;
}

pub async fn what_waits_can_be_taken_and_given_back(scene: Scene) {
    for kind in KINDS {
        let (first, second) = (scene.connect().await, scene.connect().await);
        let queue = scene.queue(kind);
        first.declare(&queue).await.unwrap();
        let nothing = within(second.take(&queue.name, 10)).await.unwrap();
        assert!(nothing.deliveries.is_empty() && nothing.more == 0);
        for number in 0..5 {
            put(&first, direct(&queue, number)).await;
        }
        let taken = within(second.take(&queue.name, 3)).await.unwrap();
        assert_eq!(taken.more, 2);
        assert_eq!(taken.deliveries.iter().map(text).collect::<Vec<_>>(), ["0", "1", "2"]);
        let rest = within(second.take(&queue.name, 10)).await.unwrap();
        assert_eq!((rest.deliveries.len(), rest.more), (2, 0));
        for delivery in rest.deliveries {
            delivery.ack().await.unwrap();
        }
        for delivery in taken.deliveries {
            assert!(!delivery.redelivered);
            delivery.requeue().await.unwrap();
        }
        let mut deliveries = first.consume(&queue, 10).await.unwrap();
        let mut back = BTreeSet::new();
        while back.len() < 3 {
            let delivery = next(&mut deliveries).await;
            assert!(delivery.redelivered);
            back.insert(text(&delivery));
            delivery.ack().await.unwrap();
        }
        assert_eq!(back.into_iter().collect::<Vec<_>>(), ["0", "1", "2"]);
        deliveries.cancel().await;
        assert_empty(&second, &queue).await;
    }
}

pub async fn taking_needs_a_queue(scene: Scene) {
    let transport = scene.connect().await;
    let queue = scene.queue(QueueKind::Quorum);
    is_refused(within(transport.take(&queue.name, 1)).await, &[&queue.name, "no such queue"]);
    transport.close().await;
    assert_eq!(within(transport.take(&queue.name, 1)).await.unwrap_err(), TransportError::Closed);
}
