//! Three nodes, one of which is killed while events are on their way: what docs/limits.md says of clusters. It prints figures.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use celerysalt::{Meta, Salt, service::Running};
use celerysalt_reference::events::RiskAssessmentCreated;
use celerysalt_tests::node::Node;
use tokio::{sync::watch, task::spawn_blocking};

const EVENTS: usize = 2_000;
/// A node that is killed has its clients wait for the others to notice.
const PATIENCE: Duration = Duration::from_mins(3);

/// What was handled, by its id.
type Seen = watch::Sender<HashSet<String>>;

fn events(from: usize) -> Vec<RiskAssessmentCreated> {
    let event =
        |number| RiskAssessmentCreated::builder().assessment_id(format!("RA-{number}")).company_id(1).risk_score(5.0);
    (from..from + EVENTS).map(|number| event(number).build().unwrap()).collect()
}

async fn connect(node: &Node, name: &str) -> Salt {
    Salt::builder(name).broker_url(node.url()).connect().await.unwrap()
}

async fn consume(salt: &Salt, seen: &Seen) -> Running {
    let seen = seen.clone();
    let handler = move |event: RiskAssessmentCreated, _: Meta| {
        seen.send_if_modified(|seen| seen.insert(event.assessment_id));
        std::future::ready(())
    };
    salt.service().on(handler).start().await.unwrap()
}

/// Waits until so many are handled.
async fn handled(seen: &Seen, count: usize) {
    let mut handled = seen.subscribe();
    let wait = handled.wait_for(|seen| seen.len() >= count);
    drop(tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{count} are never handled")).unwrap());
}

/// Publishes to a node until all are handled: events a second.
async fn round(publisher: &Salt, seen: &Seen, from: usize) -> (f64, f64) {
    let before = seen.borrow().len();
    let events = events(from);
    let start = Instant::now();
    RiskAssessmentCreated::publish_batch(&events, publisher).await.unwrap();
    let published = start.elapsed();
    handled(seen, before + EVENTS).await;
    let rate = |took: Duration| f64::from(u32::try_from(EVENTS).unwrap()) / took.as_secs_f64();
    (rate(published), rate(start.elapsed()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_three_that_is_killed_loses_nothing() {
    let mut first = spawn_blocking(Node::start).await.unwrap();
    let (second, third, first_back) = spawn_blocking(move || {
        let second = Node::join(&first);
        let third = Node::join(&first);
        (second, third, first)
    })
    .await
    .unwrap();
    first = first_back;
    let seen = Seen::default();

    // The leader of a queue is where it was declared.
    let salt = connect(&first, "risk").await;
    consume(&salt, &seen).await.shutdown().await;
    salt.close().await;
    let members = first.ctl(&["list_queues", "name", "leader", "members"]);
    let queue = members.lines().find(|line| line.starts_with("celerysalt.risk.events")).unwrap();
    assert!(queue.contains(&format!("\t{}\t", first.name())), "{queue}");
    assert!([&second, &third].iter().all(|node| queue.contains(&node.name())), "{queue}");

    // Publisher and subscriber at the other two nodes.
    let (publisher, subscriber) = (connect(&second, "publisher").await, connect(&third, "risk").await);
    let running = consume(&subscriber, &seen).await;
    let whole = round(&publisher, &seen, 0).await;

    // Its leader is killed while a batch is on its way.
    let batch = events(EVENTS);
    let sending = {
        let publisher = publisher.clone();
        tokio::spawn(async move {
            let mut unsent = batch;
            let mut failed = 0;
            while !unsent.is_empty() {
                match RiskAssessmentCreated::publish_batch(&unsent, &publisher).await {
                    Ok(_) => break,
                    Err(error) => {
                        let again: Vec<_> = error.failed.iter().map(|(index, _)| unsent[*index].clone()).collect();
                        failed += again.len();
                        unsent = again;
                    }
                }
            }
            failed
        })
    };
    handled(&seen, EVENTS + 50).await;
    let killed = Instant::now();
    first = spawn_blocking(move || {
        first.kill();
        first
    })
    .await
    .unwrap();
    let at_kill = seen.borrow().len();
    // More than the subscriber may have had.
    handled(&seen, (at_kill + 300).min(2 * EVENTS)).await;
    let again = killed.elapsed();
    let failed = sending.await.unwrap();
    handled(&seen, 2 * EVENTS).await;
    let two = round(&publisher, &seen, 2 * EVENTS).await;

    eprintln!(
        "cluster of three: {:.0} published/s, {:.0} handled/s; leader killed with {} handled: handling again after {:.1} s, \
         {failed} told to have failed; two nodes left: {:.0} published/s, {:.0} handled/s",
        whole.0,
        whole.1,
        at_kill - EVENTS,
        again.as_secs_f64(),
        two.0,
        two.1
    );
    running.shutdown().await;
    publisher.close().await;
    subscriber.close().await;
    // Of the node that was killed others know the name server.
    spawn_blocking(move || drop((third, second, first))).await.unwrap();
}

/// The same on one node, to compare.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_to_compare_with() {
    let node = spawn_blocking(Node::start).await.unwrap();
    let seen = Seen::default();
    let (publisher, subscriber) = (connect(&node, "publisher").await, connect(&node, "risk").await);
    let running = consume(&subscriber, &seen).await;
    let one = round(&publisher, &seen, 0).await;
    eprintln!("one node: {:.0} published/s, {:.0} handled/s", one.0, one.1);
    running.shutdown().await;
    publisher.close().await;
    subscriber.close().await;
    spawn_blocking(move || drop(node)).await.unwrap();
}
