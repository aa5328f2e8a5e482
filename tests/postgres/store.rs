//! The event store and its replays, on real servers.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::{
    collections::HashSet,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use celerysalt::{
    AnyEvent, Meta, PublishError, Salt,
    inbox::Inbox,
    outbox::{Outbox, PublishIn, Relay},
    sqlx::{self, PgPool},
    store::{EventStore, Progress, Range, Replay},
    transport::Transport,
};
use celerysalt_reference::events::RiskAssessmentCreated;
use celerysalt_tests::{
    World,
    cluster::Cluster,
    outbox::{Seen, event, name_of, pool, queue},
    postgres::{Schema, in_fresh_schema},
    within,
};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;

/// A service whose events are kept.
struct Shop {
    world: World,
    salt: Salt,
    pool: PgPool,
    store: EventStore,
    transport: Arc<dyn Transport>,
}

impl Shop {
    async fn open(schema: &Schema) -> Self {
        Self::at(&schema.url).await
    }

    async fn at(database: &str) -> Self {
        let world = World::rabbitmq();
        let pool = pool(database).await;
        let store = EventStore::new(pool.clone());
        store.migrate().await.unwrap();
        let salt = world.builder("shop").await.store(store.clone()).connect().await.unwrap();
        let transport = world.transport("reader").await;
        Self { world, salt, pool, store, transport }
    }

    fn replay(&self) -> Replay {
        Replay::new(&self.store, &self.salt)
    }

    async fn count(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM celerysalt_events").fetch_one(&self.pool).await.unwrap()
    }

    async fn close(self) {
        self.salt.close().await;
        self.transport.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_is_kept_and_comes_again_as_it_was() {
    in_fresh_schema(|schema| async move {
        let shop = Shop::open(&schema).await;
        let mut seen = Seen::on(&*shop.transport, &queue(&shop.world, "all")).await;
        let publish = async |name: &str| {
            let event = event(name);
            let publish = event.publish(&shop.salt).priority(7).correlation_id("c-1").header("x-shop", json!("ü\u{0}"));
            publish.expiration(Duration::from_mins(1)).await.unwrap()
        };
        publish("1 ü \u{0} \"").await;
        publish("2").await;
        let batch = [event("3"), event("4")];
        RiskAssessmentCreated::publish_batch(&batch, &shop.salt).window(1).await.unwrap();
        let digits = r#"{"assessment_id": "5", "n": 12345678901234567890123, "d": 1.10}"#;
        shop.salt.publish_json("other.topic", serde_json::from_str(digits).unwrap()).unvalidated().await.unwrap();
        let mut first = Vec::new();
        for _ in 0..5 {
            first.push(seen.next().await);
        }
        assert_eq!(shop.count().await, 5);
        let payload: serde_json::Value =
            sqlx::query_scalar("SELECT payload FROM celerysalt_events WHERE topic = 'other.topic' AND version IS NULL")
                .fetch_one(&shop.pool)
                .await
                .unwrap();
        assert_eq!(payload["assessment_id"], "5");

        let replayed = shop.replay().run(Range::all()).await.unwrap();
        assert_eq!((replayed.sent, replayed.unrouted.len(), replayed.last), (5, 0, Some(5)));
        for mut sent in first {
            let mut again = seen.next().await;
            // Byte for byte, but for the mark and what was over.
            assert_eq!(again.headers.remove("x-celerysalt-replay").unwrap(), json!(replayed.id));
            assert_eq!((again.properties.expiration, &again.headers["expires"]), (None, &json!(null)));
            sent.properties.expiration = None;
            sent.headers.insert("expires".to_owned(), json!(null));
            assert_eq!(again, sent);
        }
        // What was sent again is not kept again.
        assert_eq!(shop.count().await, 5);
        shop.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_does_not_take_is_not_sent() {
    in_fresh_schema(|schema| async move {
        let shop = Shop::open(&schema).await;
        let mut seen = Seen::on(&*shop.transport, &queue(&shop.world, "all")).await;
        let only = shop.store.clone().only(["other.#".parse().unwrap()]);
        let choosy = shop.world.builder("choosy").await.store(only).connect().await.unwrap();
        schema.execute("ALTER TABLE celerysalt_events RENAME TO away").await;
        let error = event("lost").publish(&shop.salt).await.unwrap_err();
        assert!(matches!(error, PublishError::Store { .. }) && !error.to_string().contains("lost\""), "{error}");
        let events = [event("lost"), event("lost")];
        let error = RiskAssessmentCreated::publish_batch(&events, &shop.salt).await.unwrap_err();
        assert_eq!((error.published.len(), error.failed.len()), (0, 2), "{error}");
        // Another topic than those that it keeps needs no store.
        event("sent").publish(&choosy).await.unwrap();
        assert_eq!(name_of(&seen.next().await), "sent");
        schema.execute("ALTER TABLE away RENAME TO celerysalt_events").await;
        assert_eq!(shop.count().await, 0);
        choosy.close().await;
        shop.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_written_in_a_transaction_is_kept_in_it() {
    in_fresh_schema(|schema| async move {
        let shop = Shop::open(&schema).await;
        Outbox::new(shop.pool.clone()).migrate().await.unwrap();
        let mut seen = Seen::on(&*shop.transport, &queue(&shop.world, "all")).await;
        let mut lost = shop.pool.begin().await.unwrap();
        event("lost").publish_in(&shop.salt, &mut lost).await.unwrap();
        lost.rollback().await.unwrap();
        assert_eq!(shop.count().await, 0);
        let mut kept = shop.pool.begin().await.unwrap();
        let written = event("kept").publish_in(&shop.salt, &mut kept).key("k").await.unwrap();
        kept.commit().await.unwrap();
        Relay::new(shop.pool.clone(), &shop.salt).drain().await.unwrap();
        let sent = seen.next().await;
        shop.replay().run(Range::all()).await.unwrap();
        let again = seen.next().await;
        assert_eq!(sent.properties.message_id.as_ref(), Some(&written.message_id));
        assert_eq!((again.body, again.properties), (sent.body, sent.properties));
        assert_eq!(shop.count().await, 1);
        shop.close().await;
    })
    .await;
}

/// Ten transactions write 5,000 events in turns, a replay starts, and they commit in the reverse order; meanwhile others write and
/// commit. Nothing of the ten is lost, nothing of the others comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_loses_nothing_that_commits_out_of_order() {
    const WRITERS: usize = 10;
    const EVENTS: usize = 5_000;
    // On a server of its own: where nobody else commits anything, nothing else tells that transactions are under way.
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(&[])).await.unwrap();
    {
        let shop = Shop::at(&cluster.url()).await;
        Outbox::new(shop.pool.clone()).migrate().await.unwrap();
        let writers = pool(&cluster.url()).await;
        let mut open = Vec::new();
        for _ in 0..WRITERS {
            open.push(writers.begin().await.unwrap());
        }
        let mut written = HashSet::new();
        for number in 0..EVENTS {
            let transaction = &mut open[number % WRITERS];
            written.insert(event(format!("{number}")).publish_in(&shop.salt, transaction).await.unwrap().message_id);
        }
        let (telling, mut told) = mpsc::unbounded_channel::<Progress>();
        let target = queue(&shop.world, "replayed");
        let mut seen = Seen::on(&*shop.transport, &target).await;
        let replay = shop.replay().to_queue(&target.name).progress(move |progress| {
            let _ = telling.send(progress);
        });
        let replaying = tokio::spawn(replay.run(Range::all()));
        // It has chosen its end now, and waits.
        let waiting = within(told.recv()).await.unwrap();
        assert!(waiting.waits_for >= WRITERS as u64 && waiting.sent == 0, "{waiting:?}");
        while let Some(transaction) = open.pop() {
            transaction.commit().await.unwrap();
            let mut later = shop.pool.begin().await.unwrap();
            event("later").publish_in(&shop.salt, &mut later).await.unwrap();
            later.commit().await.unwrap();
        }
        let replayed = within(replaying).await.unwrap().unwrap();
        assert_eq!(replayed.sent, EVENTS as u64);
        seen.until(EVENTS).await;
        let came: Vec<usize> = seen.all.iter().map(|(_, name)| name.parse().unwrap()).collect();
        assert!(came.is_sorted(), "in the order of writing");
        assert_eq!(seen.all.iter().map(|(id, _)| id.clone()).collect::<HashSet<_>>(), written);
        assert_eq!(usize::try_from(shop.count().await).unwrap(), EVENTS + WRITERS);
        shop.close().await;
    }
    drop(cluster);
}

/// Writers of short transactions go on while replay after replay takes what was recorded before it: each is complete.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_among_writers_is_complete_up_to_its_end() {
    in_fresh_schema(|schema| async move {
        let shop = Shop::open(&schema).await;
        Outbox::new(shop.pool.clone()).migrate().await.unwrap();
        let target = queue(&shop.world, "replayed");
        let mut seen = Seen::on(&*shop.transport, &target).await;
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let (pool, salt) = (shop.pool.clone(), shop.salt.clone());
                tokio::spawn(async move {
                    for _ in 0..400 {
                        let mut transaction = pool.begin().await.unwrap();
                        for number in 0..3 {
                            event(format!("{number}")).publish_in(&salt, &mut transaction).await.unwrap();
                        }
                        transaction.commit().await.unwrap();
                    }
                })
            })
            .collect();
        let (mut range, mut replays) = (Range::all(), 0);
        let mut came = Vec::new();
        loop {
            let is_last = writers.iter().all(tokio::task::JoinHandle::is_finished);
            let replayed = within(shop.replay().to_queue(&target.name).run(range)).await.unwrap();
            range = Range::all().from(replayed.to);
            replays += u32::from(replayed.sent > 0);
            for _ in 0..replayed.sent {
                came.push(seen.next().await.properties.message_id.unwrap());
            }
            if is_last {
                break;
            }
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let kept: Vec<String> = sqlx::query_scalar("SELECT event_id FROM celerysalt_events ORDER BY seq")
            .fetch_all(&shop.pool)
            .await
            .unwrap();
        println!("{replays} replays of what four writers wrote meanwhile: {} events of {}", came.len(), kept.len());
        assert!(replays > 3 && kept.len() == 4_800, "{replays}");
        // No event in none of them, and none in two.
        assert_eq!(came.len(), kept.len());
        assert_eq!(came.into_iter().collect::<HashSet<_>>(), kept.into_iter().collect());
        shop.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_times_queue_and_rate_narrow_a_replay() {
    in_fresh_schema(|schema| async move {
        let shop = Shop::open(&schema).await;
        let target = queue(&shop.world, "all");
        let mut seen = Seen::on(&*shop.transport, &target).await;
        let publish = async |topic: &str, name: &str| {
            shop.salt.publish_json(topic, json!({"assessment_id": name})).unvalidated().await.unwrap();
        };
        publish("orders.placed", "1").await;
        publish("orders.paid", "2").await;
        publish("mail.sent", "3").await;
        let middle: i64 = sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
            .fetch_one(&shop.pool)
            .await
            .unwrap();
        let middle = Timestamp::from_microsecond(middle).unwrap();
        publish("orders.placed", "4").await;
        seen.until(4).await;

        let orders = || Range::all().topics("orders.#".parse().unwrap());
        let counts = shop.replay().count(&orders()).await.unwrap();
        assert_eq!(counts, [("orders.paid".to_owned(), 1), ("orders.placed".to_owned(), 2)]);
        let mut names = async |range: Range| {
            let replayed = shop.replay().run(range).await.unwrap();
            let mut names = Vec::new();
            for _ in 0..replayed.sent {
                names.push(name_of(&seen.next().await));
            }
            names
        };
        assert_eq!(names(orders()).await, ["1", "2", "4"]);
        assert_eq!(names(orders().from(middle)).await, ["4"]);
        assert_eq!(names(orders().to(middle)).await, ["1", "2"]);
        assert_eq!(names(orders().resume(1, middle)).await, ["2"]);
        assert_eq!(names(Range::all().topics("nobody.knows".parse().unwrap())).await, Vec::<String>::new());
        let start = Instant::now();
        shop.replay().rate(NonZeroU32::new(10).unwrap()).run(Range::all()).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());

        let error = shop.replay().to_queue("celerysalt.nowhere").run(Range::all()).await.unwrap_err();
        assert!(error.to_string().contains("no such queue") && error.sent == 0, "{error}");
        // To everybody, what nobody wants is counted.
        let world = World::rabbitmq();
        let elsewhere = world.builder("shop").await.store(shop.store.clone()).connect().await.unwrap();
        let lonely = elsewhere.publish_json("lonely.event", json!({})).unvalidated().allow_unrouted();
        assert!(!lonely.await.unwrap().routed);
        let replayed = shop.replay().run(Range::all().topics("lonely.*".parse().unwrap())).await.unwrap();
        assert_eq!((replayed.sent, &replayed.unrouted["lonely.event"]), (0, &1));
        elsewhere.close().await;
        shop.close().await;
    })
    .await;
}

/// A handler sees that an event was sent again, and which one it is; its inbox lets each replay through once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_handles_each_replay_once() {
    in_fresh_schema(|schema| async move {
        let shop = Shop::open(&schema).await;
        Inbox::migrate(&shop.pool).await.unwrap();
        let service = shop.world.salt("audit").await;
        let (telling, mut told) = mpsc::unbounded_channel();
        let inbox_pool = shop.pool.clone();
        let handler = move |event: AnyEvent, meta: Meta| {
            let (telling, pool) = (telling.clone(), inbox_pool.clone());
            async move {
                let mut transaction = pool.begin().await?;
                let first = Inbox::of("audit").is_first(&mut transaction, &meta).await?;
                transaction.commit().await?;
                telling.send((event["assessment_id"].clone(), meta, first)).unwrap();
                Ok::<(), celerysalt::HandlerError>(())
            }
        };
        let running = service.service().on_raw("#", handler).start().await.unwrap();
        let receipt = event("A-1").publish(&shop.salt).await.unwrap();
        let (_, meta, first) = within(told.recv()).await.unwrap();
        assert!(first && meta.replay.is_none());

        let events = format!("celerysalt.{}.events", shop.world.service_name("audit"));
        let mut ids = Vec::new();
        // To everybody, to one queue, and that once more under the same id, as after it had stopped half-way.
        for (to_queue, resume, is_first) in [(false, false, true), (true, false, true), (true, true, false)] {
            let mut replay = shop.replay();
            if to_queue {
                replay = replay.to_queue(&events);
            }
            if resume {
                replay = replay.id(String::clone(ids.last().unwrap()));
            }
            let replayed = replay.run(Range::all()).await.unwrap();
            assert_eq!(replayed.sent, 1);
            let (name, meta, first) = within(told.recv()).await.unwrap();
            assert_eq!((name, first), (json!("A-1"), is_first));
            assert_eq!(meta.replay.as_deref(), Some(replayed.id.as_str()));
            assert_eq!(meta.message_id.as_deref(), Some(receipt.message_id.as_str()));
            assert_eq!(
                (meta.topic.as_str(), meta.routing_key.as_str(), meta.tries),
                ("pulse.risk.created", "pulse.risk.created", 1)
            );
            ids.push(replayed.id);
        }
        running.shutdown().await;
        service.close().await;
        shop.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_is_append_only_until_it_is_pruned() {
    in_fresh_schema(|schema| async move {
        let shop = Shop::open(&schema).await;
        let _seen = Seen::on(&*shop.transport, &queue(&shop.world, "all")).await;
        for name in ["a", "b", "c"] {
            event(name).publish(&shop.salt).await.unwrap();
        }
        for statement in [
            "DELETE FROM celerysalt_events",
            "UPDATE celerysalt_events SET payload = '{}'",
            "TRUNCATE celerysalt_events",
        ] {
            let error = sqlx::raw_sql(statement).execute(&shop.pool).await.unwrap_err();
            assert!(error.to_string().contains("append-only"), "{error}");
        }
        assert_eq!(shop.store.prune(Duration::from_hours(1)).await.unwrap(), 0);
        assert_eq!(shop.store.prune(Duration::ZERO).await.unwrap(), 3);
        assert_eq!(shop.count().await, 0);
        // What pruning says holds for its own transaction only.
        event("d").publish(&shop.salt).await.unwrap();
        assert!(sqlx::raw_sql("DELETE FROM celerysalt_events").execute(&shop.pool).await.is_err());
        shop.close().await;
    })
    .await;
}
