//! What happens to a relay: killed, two at once, told to end; its database crashed, killed, or out of disk; its broker cut off. No
//! event is lost, none comes more often than it was under way, and those of a key come in their order.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use celerysalt::{
    Salt,
    outbox::{Outbox, PublishIn, Relay, Relayed},
    sqlx::{self, PgPool},
    transport::{
        Transport,
        amqp::{AmqpOptions, AmqpTransport},
    },
};
use celerysalt_reference::events::RiskAssessmentCreated;
use celerysalt_tests::{
    World, broker_url,
    cluster::Cluster,
    outbox::{Seen, event, pool, queue},
    postgres::in_fresh_schema,
    programs::run,
    proxy::Proxy,
    within,
};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, block_in_place, spawn_blocking},
};

use crate::{
    checker::{History, Name, Promise},
    events, more,
    processes::Peer,
    stand::limit,
};

/// Events without a key have a key of the checker's own, each.
const FREE: u64 = 1_000_000;
const KEYS: u64 = 20;

/// How many events a relay has under way, with a key and without, each: so that there is a middle to be killed in.
fn batch() -> usize {
    (events() / 50).clamp(10, 200)
}

fn text((key, number): Name) -> String {
    format!("{key}:{number}")
}

/// A relay in a process of its own, at work.
async fn relay(database: &str) -> Peer {
    let mut peer = Peer::start(&["relay", database, &broker_url(), &batch().to_string()]);
    assert!(peer.says("ready", 1).await);
    peer
}

/// How many events it says to have published, told to end.
async fn terminated(mut peer: Peer) -> usize {
    peer.terminate().await;
    peer.said("published")[0].parse().unwrap()
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
    began: Instant,
}

impl Stand {
    async fn at(database: &str) -> Self {
        let world = World::rabbitmq();
        let (salt, pool, transport) = (world.salt("shop").await, pool(database).await, world.transport("reader").await);
        let outbox = Outbox::new(pool.clone());
        outbox.migrate().await.unwrap();
        let seen = Seen::on(&*transport, &queue(&world, "all")).await;
        Self { _world: world, salt, pool, outbox, seen, transport, began: Instant::now() }
    }

    /// Writes events: every second one without a key.
    async fn fill(&self) -> BTreeSet<Name> {
        let count = events() as u64;
        let mut written = BTreeSet::new();
        for key in 0..=KEYS {
            let names: Vec<Name> = if key < KEYS {
                (0..count / 2 / KEYS).map(|number| (key, number)).collect()
            } else {
                (0..count - count / 2 / KEYS * KEYS).map(|number| (FREE + number, 0)).collect()
            };
            let all: Vec<_> = names.iter().map(|name| event(text(*name))).collect();
            let mut transaction = self.pool.begin().await.unwrap();
            let writing = RiskAssessmentCreated::publish_batch(&all, &self.salt).in_transaction(&mut transaction);
            if key < KEYS {
                writing.key(format!("k{key}")).await.unwrap()
            } else {
                writing.await.unwrap()
            };
            transaction.commit().await.unwrap();
            written.extend(names);
        }
        written
    }

    async fn waiting(&self) -> usize {
        usize::try_from(self.outbox.status().await.unwrap().waiting).unwrap()
    }

    async fn empty(&self) {
        let start = Instant::now();
        // A relay deletes a moment after the broker's confirm, which a reader does not wait for.
        while self.waiting().await > 0 {
            assert!(start.elapsed() < limit(), "{:?}", self.outbox.status().await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until relays have published so many: by the table, for a reader may be far behind. What comes then comes in the
    /// middle of their work.
    async fn published(&self, count: usize) {
        let start = Instant::now();
        loop {
            let left: i64 =
                sqlx::query_scalar("SELECT count(*) FROM celerysalt_outbox").fetch_one(&self.pool).await.unwrap();
            let left = usize::try_from(left).unwrap();
            if events() - left >= count {
                assert!(left > 0, "all is published already");
                return;
            }
            assert!(start.elapsed() < limit(), "{left} are left");
            tokio::task::yield_now().await;
        }
    }

    /// Reads until all of these have come, and holds what became of them against the promise: each under one id, in order, and
    /// no more often again than `extra`.
    async fn hold(&mut self, fault: &str, sent: BTreeSet<Name>, confirmed: BTreeSet<Name>, extra: usize, told: &str) {
        let deadline = Instant::now() + limit();
        while !confirmed.iter().all(|name| self.seen.counts.contains_key(&text(*name))) && Instant::now() < deadline {
            for _ in 0..100.min(confirmed.len().saturating_sub(self.seen.counts.len())).max(1) {
                self.seen.next().await;
            }
        }
        let mut ids = HashSet::new();
        let first = self.seen.all.iter().filter(|(id, _)| ids.insert(id));
        let names = first.map(|(_, name)| {
            let (key, number) = name.split_once(':').unwrap();
            (key.parse().unwrap(), number.parse().unwrap())
        });
        let history = History { sent, confirmed, handled: names.collect(), deliveries: self.seen.all.len() };
        let promise = Promise { extra, order: true, repeated: 0 };
        history.verdict().hold(fault, promise, self.began.elapsed(), told);
    }

    async fn close(self) {
        self.salt.close().await;
        self.transport.close().await;
    }
}

/// A relay in this process, until it is told to end.
struct Running {
    end: oneshot::Sender<()>,
    relay: JoinHandle<Relayed>,
}

impl Running {
    fn start(relay: Relay) -> Self {
        let (end, ended) = oneshot::channel::<()>();
        let relay = relay.batch(batch()).poll(Duration::from_millis(50));
        let relay = tokio::spawn(async move { relay.run_until(async { drop(ended.await) }).await.unwrap() });
        Self { end, relay }
    }

    async fn end(self) -> Relayed {
        self.end.send(()).unwrap();
        within(self.relay).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_killed() {
    let kills = more(3, 10);
    in_fresh_schema(move |schema| async move {
        let mut stand = Stand::at(&schema.url).await;
        let written = stand.fill().await;
        for kill in 1..=kills {
            let mut relay = relay(&schema.url).await;
            stand.published(kill * events() / (kills + 2)).await;
            relay.kill().await;
        }
        let last = relay(&schema.url).await;
        stand.empty().await;
        let published = terminated(last).await;
        let told = format!("{kills} kills; the last relay published {published}");
        stand.hold("relay: kill -9", written.clone(), written, 2 * batch() * kills, &told).await;
        assert!(published > 0, "no kill was in the middle");
        stand.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_relays_one_is_killed_again_and_again() {
    let kills = more(3, 10);
    in_fresh_schema(move |schema| async move {
        let mut stand = Stand::at(&schema.url).await;
        let written = stand.fill().await;
        let mut relays = VecDeque::from([relay(&schema.url).await, relay(&schema.url).await]);
        for kill in 1..=kills {
            stand.published(kill * events() / (kills + 2)).await;
            relays.pop_front().unwrap().kill().await;
            relays.push_back(relay(&schema.url).await);
        }
        stand.empty().await;
        for relay in relays {
            terminated(relay).await;
        }
        let told = format!("{kills} kills");
        stand.hold("two relays, kill -9", written.clone(), written, 2 * batch() * kills, &told).await;
        stand.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_told_to_end_finishes_what_it_has_begun() {
    in_fresh_schema(|schema| async move {
        let mut stand = Stand::at(&schema.url).await;
        let written = stand.fill().await;
        let mut published = 0;
        for round in 1..=3 {
            let relay = relay(&schema.url).await;
            stand.published(round * events() / 5).await;
            published += terminated(relay).await;
            // What it published is gone from the table, and nothing else.
            assert_eq!(stand.waiting().await, written.len() - published);
        }
        let last = relay(&schema.url).await;
        stand.empty().await;
        published += terminated(last).await;
        stand.hold("relay: SIGTERM", written.clone(), written.clone(), 0, "3 times").await;
        assert_eq!(published, written.len());
        stand.close().await;
    })
    .await;
}

/// Transactions go on while the server crashes and comes back. What was told to be committed comes; what was told to have failed
/// may have been committed all the same, when it was the answer that was lost.
async fn while_the_database(fault: &str, stop: fn(&mut Cluster)) {
    let crashes = more(2, 6);
    let mut cluster = spawn_blocking(|| Cluster::start(&[])).await.unwrap();
    let mut stand = Stand::at(&cluster.url()).await;
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (pool, salt, done) = (stand.pool.clone(), stand.salt.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let (mut committed, mut tried, mut number) = (BTreeSet::new(), BTreeSet::new(), 0);
            while !done.load(Ordering::SeqCst) {
                number += 1;
                let names = (0..20).map(|of| if of % 2 == 0 { (of, number) } else { (FREE + number * 20 + of, 0) });
                let names: Vec<Name> = names.collect();
                let Ok(mut transaction) = pool.begin().await else { continue };
                let mut failed = false;
                for name in &names {
                    let written = event(text(*name));
                    let writing = written.publish_in(&salt, &mut transaction);
                    let outcome = if name.0 < FREE { writing.key(format!("k{}", name.0)).await } else { writing.await };
                    failed = failed || outcome.is_err();
                    if failed {
                        break;
                    }
                }
                if failed {
                    continue;
                }
                tried.extend(names.clone());
                if transaction.commit().await.is_ok() {
                    committed.extend(names);
                }
            }
            (committed, tried)
        })
    };
    let running = Running::start(Relay::new(stand.pool.clone(), &stand.salt));
    for _ in 0..crashes {
        let so_far = stand.seen.counts.len();
        tokio::time::timeout(limit(), stand.seen.until(so_far + events() / (crashes + 1))).await.unwrap();
        cluster = spawn_blocking(move || {
            stop(&mut cluster);
            cluster.launch();
            cluster
        })
        .await
        .unwrap();
    }
    let so_far = stand.seen.counts.len();
    tokio::time::timeout(limit(), stand.seen.until(so_far + events() / (crashes + 1))).await.unwrap();
    done.store(true, Ordering::SeqCst);
    let (committed, tried) = within(writer).await.unwrap();
    stand.empty().await;
    running.end().await;
    let told = format!("{crashes} times");
    stand.hold(fault, tried, committed, 2 * batch() * crashes, &told).await;
    stand.close().await;
    drop(cluster);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_under_the_relay() {
    while_the_database("relay: database restarted", Cluster::crash).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_under_the_relay() {
    while_the_database("relay: database kill -9", Cluster::kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_cut_off_again_and_again() {
    let cuts = more(3, 10);
    in_fresh_schema(move |schema| async move {
        let mut stand = Stand::at(&schema.url).await;
        let written = stand.fill().await;
        let authority = broker_url().rsplit_once('@').unwrap().1.split('/').next().unwrap().to_owned();
        let proxy = Proxy::start(&authority).await;
        let options = AmqpOptions::new().unavailable_after(Duration::from_secs(1));
        let through = AmqpTransport::connect(&proxy.through(&broker_url()), options).await.unwrap();
        let through: Arc<dyn Transport> = Arc::new(through);
        let running = Running::start(Relay::with_transport(stand.pool.clone(), Arc::clone(&through)));
        for cut in 1..=cuts {
            stand.published(cut * events() / (cuts + 2)).await;
            proxy.cut();
        }
        // Away for longer than a batch waits for its confirms: the fault itself.
        proxy.refuse();
        tokio::time::sleep(Duration::from_secs(3)).await;
        proxy.pass();
        stand.empty().await;
        let relayed = running.end().await;
        let told = format!("{cuts} cuts, and 3 s away");
        stand.hold("relay: broker cut off", written.clone(), written.clone(), 2 * batch() * (cuts + 1), &told).await;
        // That a broker is away is no fault of an event's.
        assert_eq!((relayed.published, relayed.refused), (written.len() as u64, 0));
        through.close().await;
        stand.close().await;
    })
    .await;
}

/// A small file system, as root; gone with the value.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(folder: std::path::PathBuf, kilobytes: usize) -> Self {
        std::fs::create_dir(&folder).unwrap();
        let size = format!("size={kilobytes}k");
        let mut mount = as_root("mount");
        run(mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder));
        Self(folder)
    }
}

impl Small {
    fn grow(&self, kilobytes: usize) {
        let options = format!("remount,size={kilobytes}k");
        run(as_root("mount").args(["-o", &options]).arg(&self.0));
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // The server that has files there is still running.
        drop(as_root("umount").arg("--lazy").arg(&self.0).status());
    }
}

fn as_root(program: &str) -> std::process::Command {
    if run(std::process::Command::new("id").arg("-u")).trim() == "0" {
        return std::process::Command::new(program);
    }
    let mut command = std::process::Command::new("sudo");
    command.args(["--non-interactive", program]);
    command
}

/// The outbox is in a table space of which nothing is left. A transaction that finds no room is told so; what was committed is
/// relayed all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_whose_disk_is_full() {
    const EACH: u64 = 20;
    let (cluster, small) = block_in_place(|| {
        let cluster = Cluster::start(&["autovacuum=off"]);
        // About a third of what is to be written.
        let small = Small::mount(cluster.folder().join("small"), 400 + events() / 3);
        cluster.give(&small.0);
        (cluster, small)
    });
    let admin = pool(&cluster.url()).await;
    let space = format!("CREATE TABLESPACE small LOCATION '{}'", small.0.display());
    sqlx::raw_sql(sqlx::AssertSqlSafe(space)).execute(&admin).await.unwrap();
    sqlx::raw_sql("ALTER ROLE postgres SET default_tablespace = small").execute(&admin).await.unwrap();
    admin.close().await;
    let mut stand = Stand::at(&cluster.url()).await;
    let (mut committed, mut tried, mut number) = (BTreeSet::new(), BTreeSet::new(), 0_u64);
    let (mut refusals, mut said, mut running) = (0, String::new(), None);
    let deadline = Instant::now() + limit();
    while committed.len() < events() || refusals == 0 {
        assert!(Instant::now() < deadline, "{} committed, {refusals} times no room", committed.len());
        let names: Vec<Name> = (number..number + EACH).map(|of| (of % KEYS, of / KEYS)).collect();
        number += EACH;
        let all: Vec<_> = names.iter().map(|name| event(text(*name))).collect();
        let mut transaction = stand.pool.begin().await.unwrap();
        let writing = RiskAssessmentCreated::publish_batch(&all, &stand.salt).in_transaction(&mut transaction).await;
        tried.extend(names.clone());
        match writing {
            Ok(_) => {
                transaction.commit().await.unwrap();
                committed.extend(names);
            }
            Err(error) => {
                said = error.to_string();
                refusals += 1;
                drop(transaction);
                // Nobody has relayed until here: it does while there is no room. Then somebody makes some.
                running.get_or_insert_with(|| Running::start(Relay::new(stand.pool.clone(), &stand.salt)));
                stand.empty().await;
                block_in_place(|| small.grow(400 + events() * (2 + refusals)));
            }
        }
    }
    assert!(refusals > 0, "there was room for all");
    // `disk_full`, whether the disk took nothing of a page or a part of it.
    assert!(said.contains("SQLSTATE 53100"), "{said}");
    stand.empty().await;
    running.unwrap().end().await;
    let told = format!("{refusals} transactions found no room, and were told so");
    stand.hold("relay: database disk full", tried, committed, 0, &told).await;
    stand.close().await;
    drop(cluster);
}
