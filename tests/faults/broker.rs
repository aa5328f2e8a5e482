//! What happens to a broker: killed, stopped, frozen, out of memory, out of disk.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use crate::{
    checker::Promise,
    events, more,
    node::Own,
    stand::{Plan, RECOVERY, Stand, limit, over},
};

/// Runs a stand, and has `fault` happen in the middle of publishing and of consuming: how long it takes after it until events
/// are confirmed and handled again.
async fn again_and_again(fault: &str, faults: usize, plan: Plan, mut node: Own, mut happen: impl FnMut(&mut Own)) {
    let extra = plan.in_flight() * faults;
    let stand = Stand::start(plan).await;
    // A queue that RabbitMQ 3.10 has made in its last half second does not survive a `kill -9`.
    let publishing = stand.publish(events(), Some(over(4 * (faults + 1))));
    let mut slowest = Duration::ZERO;
    for round in 1..=faults {
        publishing.beyond(round * events() / (faults + 1)).await;
        block_in_place(|| happen(&mut node));
        slowest = slowest.max(stand.recovers(&publishing).await);
    }
    let more = format!("{faults} times; again after {:.1} s", slowest.as_secs_f64());
    stand.finish(fault, publishing, Promise { extra, ..Promise::default() }, &more).await;
    assert!(slowest <= RECOVERY, "{fault}: recovered after {slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_and_comes_back() {
    let node = Own::node().await;
    let plan = Plan::on(node.url());
    again_and_again("broker: kill -9", more(1, 3), plan, node, |node| {
        node.kill();
        node.launch();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_stopped_and_started() {
    let node = Own::node().await;
    let plan = Plan::on(node.url());
    again_and_again("broker: stop_app", more(1, 3), plan, node, |node| {
        node.ctl(&["stop_app"]);
        node.ctl(&["start_app"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_freezes() {
    let node = Own::node().await;
    let mut plan = Plan::on(node.url());
    plan.options = plan.options.heartbeat(Duration::from_secs(more(2, 10)));
    let pause = Duration::from_secs(more(6, 22));
    again_and_again("broker: frozen", 1, plan, node, |node| {
        node.freeze();
        // The fault itself.
        std::thread::sleep(pause);
        node.thaw();
    })
    .await;
}

/// The broker reads from no publisher any more. What was confirmed is handled and acked meanwhile; what is published waits in a
/// bounded buffer and is then told to be unavailable.
async fn while_alarmed(fault: &str, raise: &[&str], clear: &[&str]) {
    let node = Own::node().await;
    let mut plan = Plan::on(node.url());
    plan.options = plan.options.unavailable_after(Duration::from_secs(2)).max_in_flight(400);
    let extra = plan.in_flight();
    let stand = Stand::start(plan).await;
    let publishing = stand.publish(events(), Some(over(12)));
    publishing.beyond(events() / 3).await;
    block_in_place(|| node.ctl(raise));
    // Out of two windows, all has been told of: the one that was under way, and those who waited for room.
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(7)).await;
    let confirmed = publishing.count();
    // What the service has acked is gone at the broker, or its acks are held up as well.
    let queue = format!("{}\t0", stand.queue("events"));
    let list = ["list_queues", "name", "messages", "--no-table-headers"];
    let deadline = Instant::now() + limit();
    loop {
        let messages = block_in_place(|| node.ctl(&list));
        if messages.lines().any(|line| line == queue) {
            break;
        }
        assert!(Instant::now() < deadline, "acks don't reach the broker: {messages}");
    }
    let handled = stand.seen().count();
    assert!(handled >= confirmed, "{handled} of {confirmed} are handled while the alarm is on");
    assert_eq!(publishing.count(), confirmed, "an alarmed broker confirms nothing");
    let lasted = begun.elapsed();
    block_in_place(|| node.ctl(clear));
    let again = stand.recovers(&publishing).await;
    let published = publishing.end().await;
    let unavailable = published.failed.get("unavailable").copied().unwrap_or_default();
    let more = format!("on for {:.0} s; again after {:.1} s", lasted.as_secs_f64(), again.as_secs_f64());
    // Those that wait for room are in no order among each other.
    stand.finish_with(fault, published, Promise { extra, ..Promise::default() }, &more).await;
    assert!(unavailable > 0, "{fault}: nobody was told");
    assert!(again <= RECOVERY, "{fault}: recovered after {again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_out_of_memory() {
    let raise = ["set_vm_memory_high_watermark", "absolute", "1MB"];
    while_alarmed("broker: memory alarm", &raise, &["set_vm_memory_high_watermark", "0.4"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_out_of_disk() {
    let raise = ["set_disk_free_limit", "9000000000000000"];
    while_alarmed("broker: disk alarm", &raise, &["set_disk_free_limit", "10MB"]).await;
}
