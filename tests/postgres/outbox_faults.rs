//! What happens to a relay: killed, two at once, its database restarted, its broker cut off, told to end. No event is lost, and
//! none comes more often than it was under way.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::{
    collections::HashSet,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use celerysalt::{
    Salt,
    outbox::{Outbox, PublishIn, Relay},
    sqlx::{self, PgPool},
    transport::{
        Transport,
        amqp::{AmqpOptions, AmqpTransport},
    },
};
use celerysalt_reference::events::RiskAssessmentCreated;
use celerysalt_tests::{
    PATIENCE, World, broker_url,
    cluster::Cluster,
    outbox::{Seen, event, pool, queue},
    postgres::in_fresh_schema,
    proxy::Proxy,
    within,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    sync::oneshot,
};

/// A relay in a process of its own.
struct Process(Child);

impl Process {
    async fn start(database: &str, batch: usize) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outbox-relay"));
        command.args([database, &broker_url(), &batch.to_string()]).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.as_mut().unwrap());
        within(output.read_line(&mut line)).await.unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }

    /// `kill -9`.
    async fn kill(mut self) {
        self.0.kill().await.unwrap();
    }

    /// Tells it to end: how many events it says to have published.
    async fn terminate(mut self) -> usize {
        let id = self.0.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        let mut said = String::new();
        within(self.0.stdout.take().unwrap().read_to_string(&mut said)).await.unwrap();
        assert!(within(self.0.wait()).await.unwrap().success());
        said.trim().strip_prefix("published ").unwrap().parse().unwrap()
    }
}

/// Writes events `from..to`: every second one without a key, the others in `keys` keys.
async fn fill(pool: &PgPool, salt: &Salt, keys: usize, count: usize) -> HashSet<String> {
    let mut written = HashSet::new();
    for key in 0..keys {
        let events: Vec<_> = (0..count / 2 / keys).map(|number| event(format!("k{key}:{number}"))).collect();
        let mut transaction = pool.begin().await.unwrap();
        let batch = RiskAssessmentCreated::publish_batch(&events, salt).in_transaction(&mut transaction);
        written.extend(batch.key(format!("k{key}")).await.unwrap().into_iter().map(|written| written.message_id));
        transaction.commit().await.unwrap();
    }
    let events: Vec<_> = (0..count - count / 2).map(|number| event(format!("free{number}:0"))).collect();
    let mut transaction = pool.begin().await.unwrap();
    let batch = RiskAssessmentCreated::publish_batch(&events, salt).in_transaction(&mut transaction).await.unwrap();
    written.extend(batch.into_iter().map(|written| written.message_id));
    transaction.commit().await.unwrap();
    written
}

fn ids(seen: &Seen) -> HashSet<String> {
    seen.all.iter().map(|(id, _)| id.clone()).collect()
}

/// What fills a table, and reads what comes of it.
struct Stand {
    /// Kept for what it deletes in the end.
    _world: World,
    salt: Salt,
    pool: PgPool,
    outbox: Outbox,
    seen: Seen,
    transport: Arc<dyn Transport>,
}

impl Stand {
    async fn at(database: &str) -> Self {
        let world = World::rabbitmq();
        let (salt, pool, transport) = (world.salt("shop").await, pool(database).await, world.transport("reader").await);
        let outbox = Outbox::new(pool.clone());
        outbox.migrate().await.unwrap();
        let seen = Seen::on(&*transport, &queue(&world, "all")).await;
        Self { _world: world, salt, pool, outbox, seen, transport }
    }

    async fn empty(&self) {
        let start = Instant::now();
        // A relay deletes a moment after the broker's confirm, which a reader does not wait for.
        while self.outbox.status().await.unwrap().waiting > 0 {
            assert!(start.elapsed() < PATIENCE, "{:?}", self.outbox.status().await);
            tokio::task::yield_now().await;
        }
    }

    /// Waits until relays have published so many: by the table, for a reader may be far behind. What comes then comes in the
    /// middle of their work.
    async fn published(&self, count: usize, of: usize) {
        let start = Instant::now();
        loop {
            let left: i64 =
                sqlx::query_scalar("SELECT count(*) FROM celerysalt_outbox").fetch_one(&self.pool).await.unwrap();
            let left = usize::try_from(left).unwrap();
            if of - left >= count {
                assert!(left > 0, "all is published already");
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{left} of {of} are left");
            tokio::task::yield_now().await;
        }
    }

    async fn close(self) {
        self.salt.close().await;
        self.transport.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_killed_five_times_loses_nothing() {
    const EVENTS: usize = 20_000;
    const KILLS: usize = 5;
    const BATCH: usize = 200;
    in_fresh_schema(|schema| async move {
        let mut stand = Stand::at(&schema.url).await;
        let written = fill(&stand.pool, &stand.salt, 100, EVENTS).await;
        assert_eq!(written.len(), EVENTS);
        for kill in 1..=KILLS {
            let relay = Process::start(&schema.url, BATCH).await;
            stand.published(kill * EVENTS / (KILLS + 2), EVENTS).await;
            relay.kill().await;
        }
        let relay = Process::start(&schema.url, BATCH).await;
        stand.seen.until(EVENTS).await;
        stand.empty().await;
        let published = relay.terminate().await;
        let extra = stand.seen.extra();
        println!("{EVENTS} events, {KILLS} kills: {extra} came again; the last relay published {published}");
        assert!(published > 0, "no kill was in the middle");
        assert_eq!(ids(&stand.seen), written);
        stand.seen.assert_order();
        // In flight at a time: a batch with keys, and one without.
        assert!(extra <= 2 * BATCH * KILLS, "{extra}");
        stand.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_relays_one_may_be_killed_at_any_time() {
    const EVENTS: usize = 8_000;
    const KILLS: usize = 6;
    const BATCH: usize = 100;
    in_fresh_schema(|schema| async move {
        let mut stand = Stand::at(&schema.url).await;
        let written = fill(&stand.pool, &stand.salt, 10, EVENTS).await;
        let mut relays = std::collections::VecDeque::new();
        relays.push_back(Process::start(&schema.url, BATCH).await);
        relays.push_back(Process::start(&schema.url, BATCH).await);
        for kill in 1..=KILLS {
            stand.published(kill * EVENTS / (KILLS + 2), EVENTS).await;
            relays.pop_front().unwrap().kill().await;
            relays.push_back(Process::start(&schema.url, BATCH).await);
        }
        stand.seen.until(EVENTS).await;
        stand.empty().await;
        for relay in relays {
            relay.terminate().await;
        }
        let extra = stand.seen.extra();
        println!("{EVENTS} events, two relays, {KILLS} kills: {extra} came again");
        assert_eq!(ids(&stand.seen), written);
        stand.seen.assert_order();
        assert!(extra <= 2 * BATCH * KILLS, "{extra}");
        stand.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_told_to_end_finishes_what_it_has_begun() {
    const EVENTS: usize = 6_000;
    in_fresh_schema(|schema| async move {
        let mut stand = Stand::at(&schema.url).await;
        let written = fill(&stand.pool, &stand.salt, 20, EVENTS).await;
        let mut published = 0;
        for round in 1..=3 {
            let relay = Process::start(&schema.url, 200).await;
            stand.published(round * EVENTS / 5, EVENTS).await;
            let start = Instant::now();
            published += relay.terminate().await;
            println!("told to end, gone after {:?} (loaded)", start.elapsed());
            // What it published is gone from the table, and nothing else.
            let left = usize::try_from(stand.outbox.status().await.unwrap().waiting).unwrap();
            assert_eq!(left, EVENTS - published);
        }
        let relay = Process::start(&schema.url, 200).await;
        stand.seen.until(EVENTS).await;
        stand.empty().await;
        published += relay.terminate().await;
        assert_eq!((published, stand.seen.extra()), (EVENTS, 0));
        assert_eq!(ids(&stand.seen), written);
        stand.seen.assert_order();
        stand.close().await;
    })
    .await;
}

/// Transactions go on while the server crashes and comes back. What was told to be committed comes; what was told to have failed
/// may have been committed all the same, when it was the answer that was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_under_the_relay_loses_nothing() {
    const CRASHES: usize = 3;
    const BATCH: usize = 100;
    let mut cluster = tokio::task::spawn_blocking(|| Cluster::start(&[])).await.unwrap();
    let mut stand = Stand::at(&cluster.url()).await;
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (pool, salt, done) = (stand.pool.clone(), stand.salt.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let (mut committed, mut tried, mut number) = (HashSet::new(), HashSet::new(), 0);
            while !done.load(Ordering::SeqCst) {
                number += 1;
                let Ok(mut transaction) = pool.begin().await else { continue };
                let keyed = event(format!("k{number}:0"));
                let Ok(a) = keyed.publish_in(&salt, &mut transaction).key(format!("k{}", number % 10)).await else {
                    continue;
                };
                let Ok(b) = event(format!("free{number}:0")).publish_in(&salt, &mut transaction).await else {
                    continue;
                };
                let ids = [a.message_id, b.message_id];
                tried.extend(ids.clone());
                if transaction.commit().await.is_ok() {
                    committed.extend(ids);
                }
            }
            (committed, tried)
        })
    };
    let (end, ended) = oneshot::channel::<()>();
    let relay = Relay::new(stand.pool.clone(), &stand.salt).batch(BATCH).poll(Duration::from_millis(50));
    let relay = tokio::spawn(relay.run_until(async { drop(ended.await) }));
    for _ in 0..CRASHES {
        let so_far = stand.seen.counts.len();
        stand.seen.until(so_far + 1_000).await;
        cluster = tokio::task::spawn_blocking(move || {
            cluster.crash();
            cluster.launch();
            cluster
        })
        .await
        .unwrap();
    }
    let so_far = stand.seen.counts.len();
    stand.seen.until(so_far + 500).await;
    done.store(true, Ordering::SeqCst);
    let (committed, tried) = within(writer).await.unwrap();
    stand.empty().await;
    while !committed.is_subset(&ids(&stand.seen)) {
        stand.seen.next().await;
    }
    end.send(()).unwrap();
    within(relay).await.unwrap().unwrap();
    let (seen, extra) = (ids(&stand.seen), stand.seen.extra());
    println!("{} committed, {CRASHES} crashes of the database: {extra} came again", committed.len());
    assert!(seen.is_subset(&tried), "what was rolled back has come");
    assert!(extra <= 2 * BATCH * CRASHES, "{extra}");
    stand.close().await;
    drop(cluster);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_cut_off_again_and_again_loses_nothing() {
    const EVENTS: usize = 20_000;
    const CUTS: usize = 10;
    const BATCH: usize = 200;
    in_fresh_schema(|schema| async move {
        let mut stand = Stand::at(&schema.url).await;
        let written = fill(&stand.pool, &stand.salt, 50, EVENTS).await;
        let authority = broker_url().rsplit_once('@').unwrap().1.split('/').next().unwrap().to_owned();
        let proxy = Proxy::start(&authority).await;
        let options = AmqpOptions::new().unavailable_after(Duration::from_secs(1));
        let through = AmqpTransport::connect(&proxy.through(&broker_url()), options).await.unwrap();
        let through: Arc<dyn Transport> = Arc::new(through);
        let (end, ended) = oneshot::channel::<()>();
        let relay = Relay::with_transport(stand.pool.clone(), Arc::clone(&through)).batch(BATCH);
        let relay = tokio::spawn(relay.run_until(async { drop(ended.await) }));
        for cut in 1..=CUTS {
            stand.published(cut * EVENTS / (CUTS + 2), EVENTS).await;
            proxy.cut();
        }
        // Away for longer than a batch waits for its confirms.
        proxy.refuse();
        let away = Instant::now();
        tokio::time::sleep(Duration::from_secs(3)).await;
        proxy.pass();
        stand.seen.until(EVENTS).await;
        println!("away for {:?} in all, until everything had come", away.elapsed());
        stand.empty().await;
        end.send(()).unwrap();
        let relayed = within(relay).await.unwrap().unwrap();
        let extra = stand.seen.extra();
        println!("{EVENTS} events, {CUTS} cuts and an absence: {extra} came again");
        assert_eq!(ids(&stand.seen), written);
        stand.seen.assert_order();
        assert!(extra <= 2 * BATCH * (CUTS + 1), "{extra}");
        // That a broker is away is no fault of an event's.
        assert_eq!((relayed.published, relayed.refused), (EVENTS as u64, 0));
        through.close().await;
        stand.close().await;
    })
    .await;
}
