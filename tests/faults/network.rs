//! What happens to a network: connections cut, reset, silent, slow.
//!
//! Events are published in their order whatever happens: an observer with a connection of its own holds them against it. Handlers
//! get them in the order of the queue, which is another one where a broker gives again what a lost connection had.

use std::time::{Duration, Instant};

use celerysalt_tests::{broker_url, proxy::Proxy};

use crate::{
    checker::Promise,
    events, more,
    stand::{Plan, RECOVERY, Stand, over},
};

/// Host and port of the broker of all tests.
fn broker_address() -> String {
    broker_url().rsplit_once('@').unwrap().1.split('/').next().unwrap().to_owned()
}

async fn through_proxy() -> (Proxy, Plan) {
    let proxy = Proxy::start(&broker_address()).await;
    let plan = Plan { observed: true, ..Plan::through(proxy.through(&broker_url())) };
    (proxy, plan)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_every_second() {
    let seconds = more(10, 60);
    let (proxy, plan) = through_proxy().await;
    let extra = plan.in_flight() * seconds;
    let stand = Stand::start(plan).await;
    let publishing = stand.publish(events(), Some(over(seconds)));
    for _ in 0..seconds {
        // The fault itself.
        tokio::time::sleep(Duration::from_secs(1)).await;
        proxy.cut();
    }
    let more = format!("{seconds} cuts");
    stand.finish("network: cut every second", publishing, Promise { extra, ..Promise::default() }, &more).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_reset() {
    let faults = more(3, 10);
    let (proxy, plan) = through_proxy().await;
    let extra = plan.in_flight() * faults;
    let stand = Stand::start(plan).await;
    let publishing = stand.publish(events(), Some(over(faults + 1)));
    let mut slowest = Duration::ZERO;
    for round in 1..=faults {
        publishing.beyond(round * events() / (faults + 1)).await;
        proxy.reset();
        slowest = slowest.max(stand.recovers(&publishing).await);
    }
    let more = format!("{faults} times; again after {:.1} s", slowest.as_secs_f64());
    stand.finish("network: reset", publishing, Promise { extra, ..Promise::default() }, &more).await;
    assert!(slowest <= RECOVERY, "recovered after {slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_stalls() {
    let pause = Duration::from_secs(more(6, 30));
    let (proxy, mut plan) = through_proxy().await;
    plan.options = plan.options.heartbeat(Duration::from_secs(more(2, 10)));
    let extra = plan.in_flight();
    let stand = Stand::start(plan).await;
    let publishing = stand.publish(events(), Some(over(4)));
    publishing.beyond(events() / 2).await;
    proxy.freeze();
    // The fault itself.
    tokio::time::sleep(pause).await;
    proxy.pass();
    let again = stand.recovers(&publishing).await;
    let more = format!("stalled for {pause:?}; again after {:.1} s", again.as_secs_f64());
    stand.finish("network: stalled", publishing, Promise { extra, ..Promise::default() }, &more).await;
    assert!(again <= RECOVERY, "recovered after {again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_hang_for_good() {
    let heartbeat = Duration::from_secs(2);
    let faults = more(1, 5);
    let (proxy, mut plan) = through_proxy().await;
    plan.options = plan.options.heartbeat(heartbeat);
    let extra = plan.in_flight() * faults;
    let stand = Stand::start(plan).await;
    let publishing = stand.publish(events(), Some(over(faults + 1)));
    let mut slowest = Duration::ZERO;
    for round in 1..=faults {
        publishing.beyond(round * events() / (faults + 1)).await;
        proxy.forsake();
        slowest = slowest.max(stand.recovers(&publishing).await);
    }
    let more = format!("{faults} times, heartbeat {heartbeat:?}; again after {:.1} s", slowest.as_secs_f64());
    stand.finish("network: half-open", publishing, Promise { extra, ..Promise::default() }, &more).await;
    assert!(slowest <= heartbeat * 2 + RECOVERY, "seen after {slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_is_far_away() {
    let delay = Duration::from_millis(100);
    let (proxy, plan) = through_proxy().await;
    let stand = Stand::start(plan).await;
    proxy.delay(delay);
    let start = Instant::now();
    let publishing = stand.publish(events(), None);
    let published = publishing.end().await;
    let took = start.elapsed();
    let more = format!("{delay:?} each way; published in {:.1} s", took.as_secs_f64());
    stand.finish_with("network: latency", published, Promise { order: true, ..Promise::default() }, &more).await;
    // One by one it would take this long.
    let one_by_one = delay * 2 * u32::try_from(events()).unwrap();
    assert!(took < one_by_one / 10, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_lets_a_byte_through_each_second() {
    let (proxy, mut plan) = through_proxy().await;
    plan.options = plan.options.heartbeat(Duration::from_secs(2)).unavailable_after(Duration::from_secs(2));
    let extra = plan.in_flight() * 2;
    let stand = Stand::start(plan).await;
    let publishing = stand.publish(events(), Some(over(4)));
    publishing.beyond(events() / 2).await;
    proxy.trickle();
    // The fault itself.
    tokio::time::sleep(Duration::from_secs(more(8, 20))).await;
    proxy.pass();
    let again = stand.recovers(&publishing).await;
    let published = publishing.end().await;
    let unavailable = published.failed.get("unavailable").copied().unwrap_or_default();
    let more = format!("again after {:.1} s", again.as_secs_f64());
    stand.finish_with("network: 1 byte/s", published, Promise { extra, ..Promise::default() }, &more).await;
    assert!(unavailable > 0, "nobody was told");
    assert!(again <= RECOVERY, "recovered after {again:?}");
}
