//! What people do to queues and exchanges that are in use: they delete them, and fill them.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use celerysalt::{HandlerError, Meta, service::Retry};
use celerysalt_reference::events::RiskAssessmentCreated;
use celerysalt_tests::{World, broker_url};
use lapin::{
    Connection, ConnectionProperties,
    options::{ExchangeDeleteOptions, QueueDeleteOptions},
};
use tokio::{sync::watch, task::block_in_place};

use crate::{
    checker::{History, Promise},
    events, more,
    node::Own,
    stand::{self, Plan, Published, RECOVERY, Seen, Stand, limit, name_of, over},
};

async fn delete(url: &str, queue: Option<String>, exchange: Option<String>) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    if let Some(queue) = queue {
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    }
    if let Some(exchange) = exchange {
        channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await.unwrap();
    }
    connection.close(200, "done".into()).await.unwrap();
}

/// What is in a queue is gone with it, so it is deleted when all is handled; what is published before it is there again is told
/// to have no queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_deleted_under_its_consumer() {
    let faults = more(3, 10);
    let stand = Stand::start(Plan::through(broker_url())).await;
    let mut published = Published::default();
    let mut slowest = Duration::ZERO;
    for round in 0..=faults {
        let start = Instant::now();
        let publishing = stand.publish(events() / (faults + 1) + 1, None);
        if round > 0 {
            publishing.beyond(0).await;
            slowest = slowest.max(start.elapsed());
        }
        published.absorb(publishing.end().await);
        assert!(stand.seen().all(&published.confirmed).await, "all is handled");
        if round < faults {
            delete(&broker_url(), Some(stand.queue("events")), None).await;
        }
    }
    let told = format!("{faults} times; again after {:.1} s", slowest.as_secs_f64());
    let promise = Promise { order: true, ..Promise::default() };
    stand.finish_with("queue deleted under a consumer", published, promise, &told).await;
    assert!(slowest <= RECOVERY, "recovered after {slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_that_is_deleted_live() {
    let plan = Plan::through(broker_url());
    let extra = plan.in_flight();
    let stand = Stand::start(plan).await;
    let publishing = stand.publish(events(), Some(over(4)));
    publishing.beyond(events() / 2).await;
    delete(&broker_url(), None, Some(stand.exchange().to_owned())).await;
    let start = Instant::now();
    let published = publishing.end().await;
    let unroutable = published.failed.get("unroutable").copied().unwrap_or_default();
    let again = start.elapsed();
    let told = format!("all published {:.1} s after it", again.as_secs_f64());
    stand.finish_with("exchange deleted live", published, Promise { extra, order: true, repeated: 0 }, &told).await;
    assert!(unroutable > 0, "it was not noticed");
    // Bindings are declared again every 15 s.
    assert!(again <= Duration::from_secs(15) + RECOVERY + limit() / 10, "recovered after {again:?}");
}

/// Events that can't be handled, in a test's `events()`.
const POISON: usize = 20;

/// A service that can't handle [`POISON`] of its events, of which the first fail that `failing` says; the others wait.
async fn poisoned(world: &World, seen: &Arc<Seen>, failing: watch::Receiver<usize>) -> celerysalt::service::Running {
    let handled = Arc::clone(seen);
    let every = events() / POISON;
    let handler = move |event: RiskAssessmentCreated, _: Meta| {
        let name = name_of(&event);
        let good = name.1 % every as u64 != 1;
        if good {
            handled.see(name);
        }
        let (mut failing, number) = (failing.clone(), usize::try_from(name.1).unwrap() / every);
        async move {
            if good {
                return Ok(());
            }
            failing.wait_for(|failing| number < *failing).await.unwrap();
            Err(HandlerError::new("poison"))
        }
    };
    world.salt("poisoned").await.service().prefetch(100).retry(Retry::never()).on(handler).start().await.unwrap()
}

async fn publish_all(world: &World) -> BTreeSet<(u64, u64)> {
    let publisher = world.publisher("filler").await;
    let names: Vec<_> = (0..events() as u64).map(stand::name).collect();
    let all: Vec<_> = names.iter().map(|name| stand::event(*name)).collect();
    RiskAssessmentCreated::publish_batch(&all, &publisher).await.unwrap();
    names.into_iter().collect()
}

/// The names of what is in the dead-letter queue, once so many different ones are.
async fn kept(world: &World, count: usize) -> BTreeSet<(u64, u64)> {
    let letters = world.dead_letters("poisoned", count).await;
    letters
        .iter()
        .map(|letter| {
            let name = celerysalt_tests::outbox::name_of(letter);
            let (key, number) = name.split_once(':').unwrap();
            (key.parse().unwrap(), number.parse().unwrap())
        })
        .collect()
}

fn history(sent: BTreeSet<(u64, u64)>, seen: &Seen, kept: &BTreeSet<(u64, u64)>, deliveries: u64) -> History {
    let mut handled = seen.names();
    handled.extend(kept);
    History { confirmed: sent.clone(), sent, handled, deliveries: usize::try_from(deliveries).unwrap() }
}

/// Nothing is in the queue, nor on the way to it, when it is deleted: that would be gone with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_queue_that_is_deleted_again_and_again() {
    const AT_ONCE: usize = 5;
    let (world, seen, (failing, fails)) = (World::rabbitmq(), Seen::new(), watch::channel(0));
    let running = poisoned(&world, &seen, fails).await;
    let dead = running.dead_letter_queue().to_owned();
    let began = Instant::now();
    let sent = publish_all(&world).await;
    let (mut all, mut deleted) = (BTreeSet::new(), 0);
    while all.len() < POISON {
        delete(&broker_url(), Some(dead.clone()), None).await;
        deleted += 1;
        failing.send_replace(all.len() + AT_ONCE);
        // Its reader would make the queue, which is the service's to do.
        let expected = (all.len() + AT_ONCE) as u64;
        tokio::time::timeout(limit(), running.counted(|counts| counts.dead_lettered == expected)).await.unwrap();
        all.extend(kept(&world, AT_ONCE).await);
    }
    seen.beyond(events() - POISON - 1).await;
    let counts = running.shutdown().await.counts;
    let told = format!("{POISON} dead letters, their queue deleted {deleted} times");
    let history = history(sent, &seen, &all, counts.received);
    history.verdict().hold("dead-letter queue missing", Promise::default(), began.elapsed(), &told);
}

/// A message that can't be kept elsewhere stays where it is, and the good ones go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_queue_that_is_full() {
    const ROOM: usize = 5;
    let node = Own::node().await;
    let (world, seen, (_failing, fails)) = (World::at(node.url()), Seen::new(), watch::channel(POISON));
    let running = poisoned(&world, &seen, fails).await;
    let dead = running.dead_letter_queue().to_owned();
    let policy = format!(r#"{{"max-length":{ROOM},"overflow":"reject-publish"}}"#);
    let pattern = format!("^{}$", dead.replace('.', "\\."));
    block_in_place(|| node.ctl(&["set_policy", "full", &pattern, &policy, "--apply-to", "queues"]));
    let began = Instant::now();
    let sent = publish_all(&world).await;
    let good = events() - POISON;
    seen.beyond(good - 1).await;
    let flowed = began.elapsed();
    let full = stand::ready(&node.url(), &dead).await;
    assert!(full < POISON, "it was not full: {full}");
    // Somebody reads them, which makes room. (A policy that is only taken away does not reach those who publish.)
    let mut all = BTreeSet::new();
    let reading = async {
        while all.len() < POISON {
            all.extend(kept(&world, 1).await);
        }
    };
    tokio::time::timeout(limit(), reading).await.unwrap();
    block_in_place(|| node.ctl(&["clear_policy", "full"]));
    let counts = running.shutdown().await.counts;
    let told = format!(
        "{POISON} dead letters, room for {ROOM}; the good ones handled in {:.1} s, while {full} were kept",
        flowed.as_secs_f64()
    );
    // Each that finds no room is given back, and comes again a second later.
    let extra = usize::try_from(counts.received).unwrap() - events();
    let history = history(sent, &seen, &all, counts.received);
    history.verdict().hold("dead-letter queue full", Promise { extra, ..Promise::default() }, began.elapsed(), &told);
    assert!(extra <= POISON * (usize::try_from(began.elapsed().as_secs()).unwrap() + 1), "{extra} times given back");
}
