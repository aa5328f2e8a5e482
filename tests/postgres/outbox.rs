//! The outbox on real servers: what a transaction has written goes out when it commits, and only then.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::time::{Duration, Instant};

use celerysalt::{
    AnyEvent, DatabaseError, Headers, PublishError, Salt, TaskName, Veto,
    outbox::{Outbox, OutboxError, PublishIn, Relay, RelayError},
    sqlx::{self, PgPool},
    transport::TransportError,
};
use celerysalt_reference::events::RiskAssessmentCreated;
use celerysalt_tests::{
    PATIENCE, World,
    log::{Log, listen},
    outbox::{Seen, event, name_of, pool, queue},
    postgres::{Schema, in_fresh_schema},
    within,
};
use serde_json::json;
use tokio::sync::oneshot;

/// A service with an outbox, and a queue of all that it publishes.
struct Shop {
    world: World,
    salt: Salt,
    pool: PgPool,
    outbox: Outbox,
    seen: Seen,
    transport: std::sync::Arc<dyn celerysalt::transport::Transport>,
}

impl Shop {
    async fn open(schema: &Schema) -> Self {
        let world = World::rabbitmq();
        let (salt, pool, transport) =
            (world.salt("shop").await, pool(&schema.url).await, world.transport("reader").await);
        let outbox = Outbox::new(pool.clone());
        outbox.migrate().await.unwrap();
        let seen = Seen::on(&*transport, &queue(&world, "all")).await;
        Self { world, salt, pool, outbox, seen, transport }
    }

    fn relay(&self) -> Relay {
        Relay::new(self.pool.clone(), &self.salt)
    }

    async fn write(&self, name: &str, key: Option<&str>) -> String {
        let mut transaction = self.pool.begin().await.unwrap();
        let event = event(name);
        let mut writing = event.publish_in(&self.salt, &mut transaction);
        if let Some(key) = key {
            writing = writing.key(key);
        }
        let written = writing.await.unwrap();
        transaction.commit().await.unwrap();
        written.to_string()
    }

    async fn waiting(&self) -> u64 {
        self.outbox.status().await.unwrap().waiting
    }

    async fn close(self) {
        self.salt.close().await;
        self.transport.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_publishes_and_a_rollback_does_not() {
    in_fresh_schema(|schema| async move {
        let mut shop = Shop::open(&schema).await;
        let direct = event("direct").publish(&shop.salt).priority(9).header("x-shop", json!("ü\u{0}")).await.unwrap();
        let sent = shop.seen.next().await;

        let mut lost = shop.pool.begin().await.unwrap();
        event("lost").publish_in(&shop.salt, &mut lost).await.unwrap();
        lost.rollback().await.unwrap();
        let mut kept = shop.pool.begin().await.unwrap();
        let kept_event = event("direct");
        let publish = kept_event.publish(&shop.salt).priority(9).header("x-shop", json!("ü\u{0}"));
        let written =
            publish.expiration(Duration::from_mins(1)).in_transaction(&mut kept).key("order-7").await.unwrap();
        let several = [event("a"), event("b")];
        let batch = RiskAssessmentCreated::publish_batch(&several, &shop.salt).in_transaction(&mut kept).await.unwrap();
        let untyped = shop.salt.publish_json("any.topic", json!({"assessment_id": "json"})).unvalidated();
        let untyped = untyped.in_transaction(&mut kept).await.unwrap();
        // Nothing of it is seen before the commit.
        assert_eq!(shop.relay().drain().await.unwrap().published, 0);
        kept.commit().await.unwrap();
        assert_eq!(shop.waiting().await, 4);

        assert_eq!(shop.relay().drain().await.unwrap().published, 4);
        let mut came = Vec::new();
        for _ in 0..4 {
            came.push(shop.seen.next().await);
        }
        let by_id = |id: &str| came.iter().find(|m| m.properties.message_id.as_deref() == Some(id)).unwrap();
        assert_eq!(name_of(by_id(&batch[0].message_id)), "a");
        assert_eq!(name_of(by_id(&batch[1].message_id)), "b");
        assert_eq!(by_id(&untyped.message_id).routing_key, "any.topic");
        // The same message as by publishing, but for id and times.
        let mut message = by_id(&written.message_id).clone();
        assert_eq!((written.exchange, written.routing_key), (direct.exchange, direct.routing_key));
        let left = message.properties.expiration.take().unwrap();
        assert!(left < Duration::from_mins(1) && left > Duration::from_secs(1), "{left:?}");
        assert!(message.headers["expires"].is_string());
        message.headers.insert("expires".to_owned(), json!(null));
        for name in ["id", "root_id"] {
            assert_eq!(message.headers[name], written.message_id);
            message.headers.insert(name.to_owned(), sent.headers[name].clone());
        }
        message.properties.message_id.clone_from(&sent.properties.message_id);
        message.properties.correlation_id.clone_from(&sent.properties.correlation_id);
        message.properties.timestamp = sent.properties.timestamp;
        assert_eq!(message, sent);
        assert_eq!(shop.waiting().await, 0);
        shop.close().await;
    })
    .await;
}

/// For a topic that is sent in both task names, both messages wait, and the second says whose copy it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_task_names_go_by_the_outbox() {
    in_fresh_schema(|schema| async move {
        let mut shop = Shop::open(&schema).await;
        let builder = shop.world.builder("both").await.task_name(TaskName::Both);
        let both = builder.connect().await.unwrap();
        let mut transaction = shop.pool.begin().await.unwrap();
        let written = event("twice").publish_in(&both, &mut transaction).key("order-7").await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(shop.waiting().await, 2);
        assert_eq!(shop.relay().drain().await.unwrap().published, 2);
        let (first, second) = (shop.seen.next().await, shop.seen.next().await);
        assert_eq!(first.properties.message_id.as_deref(), Some(written.message_id.as_str()));
        assert_eq!(second.headers["x-celerysalt-copy-of"], written.message_id);
        assert_eq!(first.headers["task"], "celery_salt.dispatch_event");
        assert_eq!(second.headers["task"], "tchu_tchu.dispatch_event");
        both.close().await;
        shop.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_leaves_the_transaction_as_it_was() {
    in_fresh_schema(|schema| async move {
        let shop = Shop::open(&schema).await;
        let small = shop.world.builder("small").await.max_message_bytes(1_000).connect().await.unwrap();
        let mut transaction = shop.pool.begin().await.unwrap();
        let wrong = RiskAssessmentCreated { risk_score: 99.0, ..event("s3cret") };
        let error = wrong.publish_in(&shop.salt, &mut transaction).await.unwrap_err();
        assert!(matches!(error, OutboxError::Refused(PublishError::Invalid(_))), "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"));
        let error = event("x".repeat(1_000)).publish_in(&small, &mut transaction).await.unwrap_err();
        let too_large = |error: &OutboxError| {
            matches!(
                error,
                OutboxError::Refused(PublishError::Transport { source: TransportError::TooLarge { .. }, .. })
            )
        };
        assert!(too_large(&error), "{error}");
        for key in [String::new(), "k".repeat(256), "a\0b".to_owned()] {
            let error = event("a").publish_in(&shop.salt, &mut transaction).key(key).await.unwrap_err();
            assert!(error.to_string().contains("a key of"), "{error}");
        }
        let odd = event("a");
        let error = odd.publish(&shop.salt).routing_key("a\0b").in_transaction(&mut transaction).await.unwrap_err();
        assert!(error.to_string().contains("a byte 0"), "{error}");
        let events = [event("a"), wrong];
        let error = RiskAssessmentCreated::publish_batch(&events, &shop.salt)
            .in_transaction(&mut transaction)
            .await
            .unwrap_err();
        assert!(matches!(&error, OutboxError::Batch(batch) if batch.failed[0].0 == 1), "{error}");
        event("b").publish_in(&shop.salt, &mut transaction).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(shop.waiting().await, 1);
        small.close().await;
        shop.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_table_is_told_with_what_to_do() {
    in_fresh_schema(|schema| async move {
        let world = World::memory();
        let (salt, pool) = (world.salt("shop").await, pool(&schema.url).await);
        let mut transaction = pool.begin().await.unwrap();
        let error = event("a").publish_in(&salt, &mut transaction).await.unwrap_err();
        assert!(error.to_string().contains("celerysalt outbox migrate"), "{error}");
        drop(transaction);
        let error = Relay::new(pool.clone(), &salt).run().await.unwrap_err();
        assert!(matches!(error, RelayError::Database(DatabaseError::Refused { .. })), "{error}");
        // Several make it at once.
        let outbox = Outbox::new(pool.clone());
        let made = tokio::join!(outbox.migrate(), outbox.migrate(), outbox.migrate(), outbox.migrate());
        assert_eq!(made, (Ok(()), Ok(()), Ok(()), Ok(())));
        // What it runs can run again, by hand too.
        schema.execute(&Outbox::sql()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_wakes_a_relay_that_would_not_look_for_an_hour() {
    in_fresh_schema(|schema| async move {
        let mut shop = Shop::open(&schema).await;
        let (end, ended) = oneshot::channel::<()>();
        let relay = shop.relay().poll(Duration::from_hours(1));
        let running = tokio::spawn(relay.run_until(async { drop(ended.await) }));
        for round in 0..20 {
            shop.write(&format!("a{round}"), None).await;
            shop.seen.next().await;
            shop.write(&format!("b{round}"), Some("k")).await;
            shop.seen.next().await;
        }
        end.send(()).unwrap();
        assert_eq!(within(running).await.unwrap().unwrap().published, 40);
        assert_eq!((shop.seen.extra(), shop.waiting().await), (0, 0));
        shop.close().await;
    })
    .await;
}

/// An event for a topic that nobody wants, in a key and without: it stays, the others go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_does_not_take_stays_and_holds_up_its_key_only() {
    in_fresh_schema(|schema| async move {
        let world = World::rabbitmq();
        let (salt, pool, transport) =
            (world.salt("shop").await, pool(&schema.url).await, world.transport("reader").await);
        let outbox = Outbox::new(pool.clone());
        outbox.migrate().await.unwrap();
        let mut wanted = queue(&world, "wanted");
        wanted.bindings[0].pattern = "pulse.#".parse().unwrap();
        let mut seen = Seen::on(&*transport, &wanted).await;
        let write = async |topic: &str, name: &str, key: Option<&str>| {
            let mut transaction = pool.begin().await.unwrap();
            let publish = salt.publish_json(topic, json!({"assessment_id": name})).unvalidated();
            let mut writing = publish.in_transaction(&mut transaction);
            if let Some(key) = key {
                writing = writing.key(key);
            }
            writing.await.unwrap();
            transaction.commit().await.unwrap();
        };
        write("nobody.wants", "alone", None).await;
        write("nobody.wants", "bad:0", Some("bad")).await;
        write("pulse.a", "bad:1", Some("bad")).await;
        write("nobody.wants", "bad:2", Some("bad")).await;
        for number in 0..5 {
            write("pulse.a", &format!("good:{number}"), Some("good")).await;
            write("pulse.a", &format!("free{number}:0"), None).await;
        }
        let relay = || Relay::new(pool.clone(), &salt).retry(Duration::from_mins(5), Duration::from_mins(5));
        let relayed = relay().drain().await.unwrap();
        assert_eq!((relayed.published, relayed.refused), (10, 2));
        seen.until(10).await;

        let status = outbox.status().await.unwrap();
        assert_eq!((status.waiting, status.refused, status.held_up), (4, 2, 2));
        assert_eq!(status.failed.len(), 1, "{status:?}");
        let failed = &status.failed[0];
        assert_eq!((failed.topic.as_str(), failed.count, failed.attempts), ("nobody.wants", 2, 1));
        assert!(failed.reason.contains("unroutable") && failed.reason.contains(&world.exchange()), "{failed:?}");
        // Half of five minutes at least, for jitter takes up to half.
        assert!(failed.next > Duration::from_secs(140) && failed.next <= Duration::from_mins(5), "{failed:?}");
        assert!(status.oldest.unwrap() < PATIENCE);
        // Nothing is due, and what is behind is not taken.
        assert_eq!(relay().drain().await.unwrap().published, 0);

        // Somebody wants it now.
        let mut others = queue(&world, "others");
        others.bindings[0].pattern = "nobody.#".parse().unwrap();
        let mut also_seen = Seen::on(&*transport, &others).await;
        assert_eq!(outbox.retry_now().await.unwrap(), 2);
        assert_eq!(relay().drain().await.unwrap().published, 4);
        seen.until(11).await;
        also_seen.until(3).await;
        let of = |seen: &Seen, key: &str| -> Vec<String> {
            seen.all.iter().map(|(_, name)| name.clone()).filter(|name| name.starts_with(key)).collect()
        };
        assert_eq!(of(&seen, "good:"), ["good:0", "good:1", "good:2", "good:3", "good:4"]);
        assert_eq!(
            (of(&seen, "bad:"), of(&also_seen, "bad:")),
            (vec!["bad:1".to_owned()], vec!["bad:0".to_owned(), "bad:2".to_owned()])
        );
        assert_eq!(outbox.status().await.unwrap().waiting, 0);
        salt.close().await;
        transport.close().await;
    })
    .await;
}

/// The pauses between tries grow, and an event is tried again without anyone's doing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_tried_until_it_is_taken() {
    in_fresh_schema(|schema| async move {
        let world = World::rabbitmq();
        let (salt, pool, transport) =
            (world.salt("shop").await, pool(&schema.url).await, world.transport("reader").await);
        let outbox = Outbox::new(pool.clone());
        outbox.migrate().await.unwrap();
        let mut transaction = pool.begin().await.unwrap();
        event("late:0").publish_in(&salt, &mut transaction).key("late").await.unwrap();
        event("late:1").publish_in(&salt, &mut transaction).key("late").await.unwrap();
        transaction.commit().await.unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let relay = Relay::new(pool.clone(), &salt).poll(Duration::from_millis(10));
        let relay = relay.retry(Duration::from_millis(20), Duration::from_millis(100));
        let running = tokio::spawn(relay.run_until(async { drop(ended.await) }));
        let start = Instant::now();
        while outbox.status().await.unwrap().failed.first().is_none_or(|failed| failed.attempts < 5) {
            assert!(start.elapsed() < PATIENCE);
            tokio::task::yield_now().await;
        }
        let mut seen = Seen::on(&*transport, &queue(&world, "all")).await;
        seen.until(2).await;
        seen.assert_order();
        end.send(()).unwrap();
        let relayed = within(running).await.unwrap().unwrap();
        assert!(relayed.published == 2 && relayed.refused >= 5, "{relayed:?}");
        salt.close().await;
        transport.close().await;
    })
    .await;
}

/// Of one key, the second transaction waits for the first: whoever commits first goes out first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_key_are_ordered_by_their_commits() {
    in_fresh_schema(|schema| async move {
        let mut shop = Shop::open(&schema).await;
        let mut first = shop.pool.begin().await.unwrap();
        event("k:0").publish_in(&shop.salt, &mut first).key("k").await.unwrap();
        let (pool, salt) = (shop.pool.clone(), shop.salt.clone());
        let second = tokio::spawn(async move {
            let mut second = pool.begin().await.unwrap();
            event("k:2").publish_in(&salt, &mut second).key("k").await.unwrap();
            second.commit().await.unwrap();
        });
        schema.blocked().await;
        // Written after the other one had begun to write, and committed before it.
        event("k:1").publish_in(&shop.salt, &mut first).key("k").await.unwrap();
        // Another key, and none, wait for nobody.
        within(shop.write("other:0", Some("other"))).await;
        within(shop.write("none:0", None)).await;
        assert_eq!(shop.relay().drain().await.unwrap().published, 2);
        first.commit().await.unwrap();
        within(second).await.unwrap();
        assert_eq!(shop.relay().drain().await.unwrap().published, 3);
        shop.seen.until(5).await;
        shop.seen.assert_order();
        shop.close().await;
    })
    .await;
}

/// Four relays share the work: nothing comes twice, and each key stays in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_relays_share_the_work() {
    const KEYS: usize = 20;
    const EACH: usize = 100;
    in_fresh_schema(|schema| async move {
        let mut shop = Shop::open(&schema).await;
        let mut relays = Vec::new();
        let (end, _) = tokio::sync::broadcast::channel::<()>(1);
        for number in 0..4 {
            let salt = shop.world.salt(&format!("relay{number}")).await;
            let mut ended = end.subscribe();
            let relay = Relay::new(pool(&schema.url).await, &salt).batch(37).poll(Duration::from_millis(50));
            relays.push((salt, tokio::spawn(relay.run_until(async move { drop(ended.recv().await) }))));
        }
        for number in 0..EACH {
            let mut transaction = shop.pool.begin().await.unwrap();
            for key in 0..KEYS {
                let event = event(format!("k{key}:{number}"));
                event.publish_in(&shop.salt, &mut transaction).key(format!("k{key}")).await.unwrap();
            }
            event(format!("free{number}:0")).publish_in(&shop.salt, &mut transaction).await.unwrap();
            transaction.commit().await.unwrap();
        }
        let total = KEYS * EACH + EACH;
        shop.seen.until(total).await;
        end.send(()).unwrap();
        let mut shares = Vec::new();
        for (salt, relay) in relays {
            shares.push(within(relay).await.unwrap().unwrap().published);
            salt.close().await;
        }
        shop.seen.assert_order();
        assert_eq!((shop.seen.extra(), shop.waiting().await), (0, 0));
        assert_eq!(shares.iter().sum::<u64>(), total as u64, "{shares:?}");
        assert!(shares.iter().filter(|share| **share > 0).count() > 1, "{shares:?}");
        shop.close().await;
    })
    .await;
}

/// Draining never reads the whole table: by the server's own count of what was read how.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_goes_by_the_indexes() {
    const EVENTS: i64 = 5_000;
    in_fresh_schema(|schema| async move {
        let mut shop = Shop::open(&schema).await;
        let written = shop.write("template", None).await;
        // As the first one, half of them in a hundred keys.
        sqlx::query(
            "INSERT INTO celerysalt_outbox
                 (message_id, topic, exchange, routing_key, ordering_key, properties, headers, body)
             SELECT message_id || n, topic, exchange, routing_key, CASE WHEN n % 2 = 0 THEN 'k' || n % 200 END,
                    properties, headers, body
             FROM celerysalt_outbox, generate_series(2, $1) AS n WHERE message_id = $2",
        )
        .bind(EVENTS)
        .bind(&written)
        .execute(&shop.pool)
        .await
        .unwrap();
        let counts = async || -> (i64, i64) {
            sqlx::query_as(
                "SELECT seq_tup_read, idx_scan FROM pg_stat_user_tables
                 WHERE relid = 'celerysalt_outbox'::regclass",
            )
            .fetch_one(&shop.pool)
            .await
            .unwrap()
        };
        sqlx::query("SELECT pg_stat_force_next_flush()").execute(&shop.pool).await.unwrap();
        let (read_before, _) = counts().await;

        // In a session of its own, so that its counts are told when it ends.
        let own = pool(&schema.url).await;
        let relayed = Relay::new(own.clone(), &shop.salt).drain().await.unwrap();
        assert_eq!(relayed.published, EVENTS as u64);
        own.close().await;
        let start = Instant::now();
        // Two lookups a batch, at least.
        while counts().await.1 < EVENTS / 500 {
            assert!(start.elapsed() < PATIENCE, "{:?}", counts().await);
            tokio::task::yield_now().await;
        }
        let (read, scans) = counts().await;
        println!("read by whole scans: {}, index scans: {scans}", read - read_before);
        assert!(read - read_before < EVENTS / 2, "the table was read as a whole: {read} rows");
        while shop.seen.all.len() < usize::try_from(EVENTS).unwrap() {
            shop.seen.next().await;
        }
        shop.close().await;
    })
    .await;
}

/// Hooks look at what is written, and a veto leaves the transaction as it was.
#[tokio::test]
async fn hooks_before_publishing_look_at_what_is_written() {
    in_fresh_schema(|schema| async move {
        let world = World::rabbitmq();
        let told = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let telling = std::sync::Arc::clone(&told);
        let builder = world.builder("shop").await.before_publish(|event: RiskAssessmentCreated| async move {
            if event.assessment_id == "vetoed" { Err(Veto::new("pending_approval")) } else { Ok(()) }
        });
        let builder = builder.before_publish_on("#", |_: AnyEvent| async { Headers::default().with("x-tenant", 7) });
        let builder = builder.after_publish_on("#", move |_: AnyEvent| {
            telling.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async {}
        });
        let salt = builder.connect().await.unwrap();
        let pool = pool(&schema.url).await;
        Outbox::new(pool.clone()).migrate().await.unwrap();
        let mut transaction = pool.begin().await.unwrap();
        let refused = event("vetoed").publish_in(&salt, &mut transaction).await.unwrap_err();
        assert!(matches!(&refused, OutboxError::Refused(why) if why.veto() == Some("pending_approval")), "{refused}");
        let batch = [event("fine"), event("vetoed")];
        let refused = RiskAssessmentCreated::publish_batch(&batch, &salt).in_transaction(&mut transaction).await;
        assert!(matches!(&refused, Err(OutboxError::Batch(error)) if error.failed.len() == 1), "{refused:?}");
        let log = Log::default();
        let lines = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
        let logging = listen(lines);
        for _ in 0..2 {
            event("fine").publish_in(&salt, &mut transaction).await.unwrap();
        }
        drop(logging);
        // Not in silence, and not for each event.
        let said = log.text();
        assert_eq!(said.matches("a hook after publishing is not told of events").count(), 1, "{said}");
        transaction.commit().await.unwrap();
        let rows: Vec<(serde_json::Value,)> =
            sqlx::query_as("SELECT headers FROM celerysalt_outbox").fetch_all(&pool).await.unwrap();
        assert_eq!(rows.len(), 2);
        assert!(rows[0].0.to_string().contains("x-tenant"), "{}", rows[0].0);
        // Nor by the relay of the same handle.
        let transport = world.transport("reader").await;
        let mut seen = Seen::on(&*transport, &queue(&world, "all")).await;
        assert_eq!(Relay::new(pool.clone(), &salt).drain().await.unwrap().published, 2);
        assert_eq!(name_of(&seen.next().await), "fine");
        assert_eq!(told.load(std::sync::atomic::Ordering::Relaxed), 0);
    })
    .await;
}

/// The example does what it says, on this server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_runs() {
    in_fresh_schema(|schema| async move {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_outbox-example"));
        command
            .args(["--database", &schema.url])
            .env_remove("CELERYSALT_BROKER_URL")
            .env_remove("CELERYSALT_REGISTRY_URL");
        let output = within(command.kill_on_drop(true).output()).await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        for line in [
            "order-2: written as",
            "order-1: a receipt is due: true\n",
            "order-1: a receipt is due: true, a replay\n",
            "1 event sent again",
            "1 event published from the outbox",
        ] {
            assert!(said.contains(line), "{line} is not in:\n{said}");
        }
        assert!(!said.contains("order-2: a receipt"), "{said}");
    })
    .await;
}
