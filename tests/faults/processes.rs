//! What happens to processes: `kill -9` in the middle of publishing, committing and handling, and SIGTERM under load.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use celerysalt::{
    inbox::Inbox,
    outbox::{Outbox, Relay},
    sqlx,
};
use celerysalt_tests::{
    World, broker_url,
    outbox::{Seen, pool, queue},
    postgres::{Schema, in_fresh_schema},
    programs, within,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::{oneshot, watch},
    task::JoinHandle,
};

use crate::{
    checker::{History, Name, Promise},
    events, more,
    stand::limit,
};

/// What a peer has said, line by line.
type Said = BTreeMap<String, Vec<String>>;

/// `tests/programs/peer.rs` at work.
pub(crate) struct Peer {
    child: Child,
    /// Its end is the peer's.
    _input: ChildStdin,
    said: Arc<Mutex<Said>>,
    count: watch::Receiver<usize>,
    reading: JoinHandle<()>,
}

impl Peer {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peer"));
        let mut child =
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said: Arc<Mutex<Said>> = Arc::default();
        let (told, count) = watch::channel(0);
        let hearing = Arc::clone(&said);
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let (what, of) = line.split_once(' ').unwrap_or((&line, ""));
                hearing.lock().unwrap().entry(what.to_owned()).or_default().push(of.to_owned());
                told.send_modify(|count| *count += 1);
            }
        });
        // Waiting for the child would close it.
        let input = child.stdin.take().unwrap();
        Self { child, _input: input, said, count, reading }
    }

    /// What it has said under this word.
    pub(crate) fn said(&self, word: &str) -> Vec<String> {
        self.said.lock().unwrap().get(word).cloned().unwrap_or_default()
    }

    fn numbers(&self, word: &str) -> BTreeSet<Name> {
        self.said(word).iter().map(|number| (0, number.parse().unwrap())).collect()
    }

    /// Waits until it has said a word so often; false when it has ended before.
    pub(crate) async fn says(&mut self, word: &str, times: usize) -> bool {
        let mut count = self.count.clone();
        let waiting = async {
            loop {
                if self.said.lock().unwrap().get(word).map_or(0, Vec::len) >= times {
                    return true;
                }
                if count.changed().await.is_err() {
                    return false;
                }
            }
        };
        tokio::time::timeout(limit(), waiting).await.unwrap_or_else(|_| panic!("no `{word}` {times} times"))
    }

    /// `kill -9`; what it said until then is heard.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
        within(&mut self.reading).await.unwrap();
    }

    /// SIGTERM, and its end.
    pub(crate) async fn terminate(&mut self) -> Duration {
        let start = Instant::now();
        programs::signal("TERM", &self.child.id().unwrap().to_string());
        assert!(within(self.child.wait()).await.unwrap().success());
        within(&mut self.reading).await.unwrap();
        start.elapsed()
    }
}

fn number_of(name: &str) -> Name {
    (0, name.parse().unwrap())
}

/// All that a queue has, once these are among it.
async fn read(seen: &mut Seen, confirmed: &BTreeSet<Name>) -> Vec<Name> {
    let deadline = Instant::now() + limit();
    let mut missing: BTreeSet<Name> = confirmed.clone();
    for (_, name) in &seen.all {
        missing.remove(&number_of(name));
    }
    while !missing.is_empty() && Instant::now() < deadline {
        seen.next().await;
        missing.remove(&number_of(&seen.all.last().unwrap().1));
    }
    seen.all.iter().map(|(_, name)| number_of(name)).collect()
}

/// Where a publisher ends that starts at `from`: it is killed before, but for the last one.
fn to(from: u64) -> String {
    let part = events() as u64 / (more(3, 10) + 1);
    let last = from >= part * more(3, 10);
    if last { (from + part).to_string() } else { u64::MAX.to_string() }
}

/// What kills a publisher that says when it is told that an event is safe.
async fn killed_again_and_again(fault: &str, arguments: impl Fn(u64) -> Vec<String>, seen: &mut Seen, window: usize) {
    let kills = more(3, 10);
    let (mut history, began) = (History::default(), Instant::now());
    let mut next = 0;
    for round in 0..=kills {
        let arguments = arguments(next);
        let mut peer = Peer::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        if round < kills {
            assert!(peer.says("ok", events() / (kills + 1)).await, "it ended before it was killed");
            peer.kill().await;
            assert!(peer.said("done").is_empty(), "it was killed in the middle");
        } else {
            assert!(peer.says("done", 1).await);
        }
        history.sent.append(&mut peer.numbers("try"));
        history.confirmed.append(&mut peer.numbers("ok"));
        next = history.sent.last().map_or(0, |(_, number)| number + 1);
    }
    history.handled = read(seen, &history.confirmed).await;
    history.deliveries = history.handled.len();
    let verdict = history.verdict();
    let told = format!("{kills} kills; {} were not told", verdict.sent - verdict.confirmed);
    // It does not send again what it did not hear of, so nothing comes twice.
    verdict.hold(fault, Promise::default(), began.elapsed(), &told);
    assert!(verdict.sent - verdict.confirmed <= window * kills, "{fault}: {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_is_killed() {
    const WINDOW: usize = 200;
    let world = World::rabbitmq();
    let transport = world.transport("reader").await;
    let mut seen = Seen::on(&*transport, &queue(&world, "all")).await;
    let (broker, exchange) = (broker_url(), world.exchange());
    let arguments = |from: u64| {
        ["publish", &broker, "killed", &exchange, &from.to_string(), &to(from), &WINDOW.to_string()]
            .map(str::to_owned)
            .to_vec()
    };
    killed_again_and_again("publisher: kill -9 around confirms", arguments, &mut seen, WINDOW).await;
    transport.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_is_killed_around_its_commits() {
    const WRITERS: usize = 10;
    in_fresh_schema(|schema: Schema| async move {
        let world = World::rabbitmq();
        let (transport, salt) = (world.transport("reader").await, world.salt("relay").await);
        let pool = pool(&schema.url).await;
        Outbox::new(pool.clone()).migrate().await.unwrap();
        let mut seen = Seen::on(&*transport, &queue(&world, "all")).await;
        let (end, ended) = oneshot::channel::<()>();
        let relay = Relay::new(pool.clone(), &salt).poll(Duration::from_millis(100));
        let relay = tokio::spawn(relay.run_until(async { drop(ended.await) }));
        let (broker, exchange) = (broker_url(), world.exchange());
        let arguments = |from: u64| {
            let (to, from, writers) = (to(from), from.to_string(), WRITERS.to_string());
            ["write", &schema.url, &broker, "killed", &exchange, &from, &to, &writers].map(str::to_owned).to_vec()
        };
        killed_again_and_again("publisher: kill -9 around commits", arguments, &mut seen, WRITERS).await;
        end.send(()).unwrap();
        within(relay).await.unwrap().unwrap();
        salt.close().await;
        transport.close().await;
    })
    .await;
}

async fn fill(world: &World) -> History {
    let publisher = world.publisher("filler").await;
    let names: BTreeSet<Name> = (0..events() as u64).map(|number| (0, number)).collect();
    let all: Vec<_> = names.iter().map(|(_, number)| celerysalt_tests::outbox::event(number.to_string())).collect();
    celerysalt_reference::events::RiskAssessmentCreated::publish_batch(&all, &publisher).await.unwrap();
    publisher.close().await;
    History { sent: names.clone(), confirmed: names, ..History::default() }
}

async fn effects(database: &sqlx::PgPool) -> Vec<Name> {
    let rows: Vec<i64> =
        sqlx::query_scalar("SELECT number FROM effects ORDER BY id").fetch_all(database).await.unwrap();
    rows.into_iter().map(|number| (0, u64::try_from(number).unwrap())).collect()
}

/// A service that is started once and stopped, so that its queue is there.
async fn queue_of(world: &World, service: &str) {
    let salt = world.salt(service).await;
    let nobody = |_: celerysalt_reference::events::RiskAssessmentCreated| async {};
    let running = salt.service().on(nobody).start().await.unwrap();
    running.shutdown().await;
    salt.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_killed_in_its_handlers() {
    const PREFETCH: usize = 100;
    let kills = more(3, 10);
    in_fresh_schema(move |schema: Schema| async move {
        let world = World::rabbitmq();
        let pool = pool(&schema.url).await;
        Inbox::migrate(&pool).await.unwrap();
        schema.execute("CREATE TABLE effects (id BIGSERIAL PRIMARY KEY, number BIGINT NOT NULL)").await;
        queue_of(&world, "killed").await;
        let began = Instant::now();
        let mut history = fill(&world).await;
        let (broker, service, exchange) = (broker_url(), world.service_name("killed"), world.exchange());
        let prefetch = PREFETCH.to_string();
        let arguments = ["consume", &broker, &service, &exchange, &schema.url, &prefetch, "1"];
        let mut in_handlers = 0;
        for round in 0..=kills {
            let mut peer = Peer::start(&arguments);
            if round < kills {
                assert!(peer.says("end", events() / (kills + 2)).await);
                peer.kill().await;
                in_handlers += peer.said("begin").len() - peer.said("end").len();
            } else {
                let deadline = Instant::now() + limit();
                while effects(&pool).await.len() < events() && Instant::now() < deadline {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                peer.terminate().await;
            }
            history.deliveries += peer.said("begin").len();
        }
        history.handled = effects(&pool).await;
        let promise = Promise { extra: PREFETCH * kills, ..Promise::default() };
        let told = format!("{kills} kills, {in_handlers} handlers were at work");
        history.verdict().hold("consumer: kill -9 in a handler", promise, began.elapsed(), &told);
        assert!(in_handlers > 0, "no kill was in a handler");
        let left = crate::stand::ready(&broker_url(), &format!("celerysalt.{service}.events")).await;
        assert_eq!(left, 0);
    })
    .await;
}

/// Told to end in the middle of the work, again and again: what was begun is finished, nothing comes twice, and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_told_to_end_under_load() {
    let rounds = more(4, 10);
    let world = World::rabbitmq();
    queue_of(&world, "ended").await;
    let began = Instant::now();
    let mut history = fill(&world).await;
    let (broker, service, exchange) = (broker_url(), world.service_name("ended"), world.exchange());
    let (mut slowest, mut cut_short, mut abandoned, mut ended) = (Duration::ZERO, 0, 0, 0);
    let prefetch = (events() / 100).clamp(10, 200).to_string();
    while history.handled.len() < events() {
        let mut peer = Peer::start(&["consume", &broker, &service, &exchange, "-", &prefetch, "20"]);
        let left = events() - history.handled.len();
        assert!(peer.says("end", left.min(events() / rounds)).await);
        ended += 1;
        slowest = slowest.max(peer.terminate().await);
        cut_short += peer.said("begin").len() - peer.said("end").len();
        let counts: Vec<usize> = peer.said("counts")[0].split(' ').map(|count| count.parse().unwrap()).collect();
        abandoned += counts[2];
        history.handled.extend(peer.said("end").iter().map(|name| number_of(name)));
        history.deliveries += peer.said("begin").len();
    }
    let left = crate::stand::ready(&broker, &format!("celerysalt.{service}.events")).await;
    let told = format!(
        "{ended} times told to end, gone after at most {:.1} s; {cut_short} handlers cut short, {left} left",
        slowest.as_secs_f64()
    );
    // Acks that are on their way may be lost in a quorum queue when the channel closes (trap 10): they are waited for, and
    // what comes again all the same must stay within what was out, as after any other fault.
    let extra = prefetch.parse::<usize>().unwrap() * ended;
    let promise = Promise { extra, repeated: extra, ..Promise::default() };
    history.verdict().hold("consumer: SIGTERM under load", promise, began.elapsed(), &told);
    assert_eq!((cut_short, abandoned, left), (0, 0, 0));
}
