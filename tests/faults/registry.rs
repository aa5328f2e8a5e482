//! What happens to a registry, and to contracts: down at the start, down later, two that disagree, a contract that changes under
//! its consumers.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use celerysalt::{
    AnyEvent, OnConflict, Salt,
    letters::DeadLetters,
    registry::{Registry, postgres::PostgresRegistry},
};
use celerysalt_reference::events::{
    self as contracts, RiskAssessmentCreated,
    auth_user_signup::{v1, v2},
};
use celerysalt_tests::{World, cluster::Cluster, header, outbox, postgres::in_fresh_schema, within};
use tokio::task::spawn_blocking;

use crate::{
    checker::{History, Name, Promise},
    events,
    stand::{self, Seen, limit},
};

const TOPIC: &str = "pulse.risk.created";

async fn publish(salt: &Salt, numbers: std::ops::Range<usize>) -> BTreeSet<Name> {
    let names: Vec<Name> = numbers.map(|number| stand::name(number as u64)).collect();
    let all: Vec<_> = names.iter().map(|name| stand::event(*name)).collect();
    RiskAssessmentCreated::publish_batch(&all, salt).await.unwrap();
    names.into_iter().collect()
}

fn name_of(event: &AnyEvent) -> Name {
    let (key, number) = event["assessment_id"].as_str().unwrap().split_once(':').unwrap();
    (key.parse().unwrap(), number.parse().unwrap())
}

/// By topic: what is handled is checked against the registry.
async fn by_topic(salt: &Salt, seen: &Arc<Seen>) -> celerysalt::Running {
    let handled = Arc::clone(seen);
    let handler = move |event: AnyEvent| {
        handled.see(name_of(&event));
        async {}
    };
    salt.service().on_topic(TOPIC, handler).start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_down_at_the_start_and_later() {
    let mut cluster = spawn_blocking(|| {
        let mut cluster = Cluster::start(&[]);
        cluster.crash();
        cluster
    })
    .await
    .unwrap();
    let (world, began) = (World::rabbitmq(), Instant::now());
    let connect = async |name: &str| {
        let builder = world.builder(name).await.registry(Arc::new(PostgresRegistry::connect(&cluster.url()).unwrap()));
        builder.contracts(contracts::contracts()).connect().await.unwrap()
    };
    let (publisher, salt, seen) = (connect("publisher").await, connect("reader").await, Seen::new());
    let running = by_topic(&salt, &seen).await;
    let third = events() / 3;
    let start = Instant::now();
    let mut sent = publish(&publisher, 0..third).await;
    let published = start.elapsed();
    assert_eq!(seen.count(), 0, "nothing is handled unchecked");
    cluster = spawn_blocking(move || {
        cluster.launch();
        cluster
    })
    .await
    .unwrap();
    assert!(seen.all(&sent).await, "all is handled once it is there");
    cluster = spawn_blocking(move || {
        cluster.kill();
        cluster
    })
    .await
    .unwrap();
    // What is known is known.
    sent.append(&mut publish(&publisher, third..2 * third).await);
    assert!(seen.all(&sent).await, "all is handled while it is away");
    cluster = spawn_blocking(move || {
        cluster.launch();
        cluster
    })
    .await
    .unwrap();
    sent.append(&mut publish(&publisher, 2 * third..events()).await);
    assert!(seen.all(&sent).await);
    let counts = running.shutdown().await.counts;
    let registry = PostgresRegistry::connect(&cluster.url()).unwrap();
    within(async {
        while registry.list(None).await.unwrap().len() < contracts::contracts().len() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let history = History {
        confirmed: sent.clone(),
        sent,
        handled: seen.names(),
        deliveries: usize::try_from(counts.received).unwrap(),
    };
    let told = format!("{third} published in {:.1} s while it was down", published.as_secs_f64());
    history.verdict().hold("registry down at start and later", Promise::default(), began.elapsed(), &told);
    assert!(published < limit() / 4, "{published:?}");
    publisher.close().await;
    salt.close().await;
}

/// The reader's registry has another contract by the same name: what that one refuses is kept with its pointers, the rest is
/// handled. A service that publishes what its registry contradicts does not start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_registries_that_disagree() {
    in_fresh_schema(|ours| async move {
        in_fresh_schema(move |theirs| async move {
            let (world, began) = (World::rabbitmq(), Instant::now());
            let contract = contracts::contracts().into_iter().find(|contract| contract.topic() == TOPIC).unwrap();
            let mut other = contract.to_record().unwrap();
            // The risk score of every event here is 5.
            other.schema["properties"]["company_id"] = serde_json::json!({"type": "integer", "minimum": 25});
            other.fingerprint = celerysalt_contract::fingerprint(other.mode, &other.schema, None, None);
            theirs.registry().register(&other).await.unwrap();
            let builder = world.builder("refused").await.registry(Arc::new(theirs.registry()));
            let refused = builder.contracts([contract]).connect().await.unwrap_err().to_string();
            assert!(refused.contains(TOPIC) && refused.contains("company_id"), "{refused}");
            let builder = world.builder("publisher").await.registry(Arc::new(ours.registry()));
            let publisher = builder.contracts([contract]).connect().await.unwrap();
            let builder = world.builder("poisoned").await.registry(Arc::new(theirs.registry()));
            let salt = builder.on_conflict(OnConflict::Warn).connect().await.unwrap();
            let seen = Seen::new();
            let running = by_topic(&salt, &seen).await;
            let sent = publish(&publisher, 0..events()).await;
            let refused: BTreeSet<Name> = sent.iter().copied().filter(|(key, _)| *key < 25).collect();
            let mut kept = BTreeSet::new();
            for letter in world.dead_letters("poisoned", refused.len()).await {
                assert_eq!(header(&letter, "x-celerysalt-reason"), "invalid");
                assert_eq!(letter.headers["x-celerysalt-pointers"], serde_json::json!(["/company_id"]));
                let name = outbox::name_of(&letter);
                let (key, number) = name.split_once(':').unwrap();
                kept.insert((key.parse().unwrap(), number.parse().unwrap()));
            }
            assert_eq!(kept, refused);
            assert!(seen.all(&sent.difference(&refused).copied().collect()).await);
            let counts = running.shutdown().await.counts;
            let mut history = History {
                confirmed: sent.clone(),
                sent,
                handled: seen.names(),
                deliveries: usize::try_from(counts.received).unwrap(),
            };
            history.handled.extend(&kept);
            let told = format!("{} kept as invalid", kept.len());
            history.verdict().hold("two registries that disagree", Promise::default(), began.elapsed(), &told);
            publisher.close().await;
            salt.close().await;
        })
        .await;
    })
    .await;
}

/// A new major is published while only the old one is handled: its events are kept, and are handled once a service that knows it
/// has them replayed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_that_changes_under_its_consumer() {
    let (world, began) = (World::rabbitmq(), Instant::now());
    let (publisher, salt, seen) = (world.publisher("auth").await, world.salt("mail").await, Seen::new());
    let old = |seen: &Arc<Seen>| {
        let handled = Arc::clone(seen);
        move |event: v1::UserSignup| {
            handled.see((1, event.user_id.to_string().parse().unwrap()));
            async {}
        }
    };
    let running = salt.service().on(old(&seen)).start().await.unwrap();
    let half = events() as u64 / 2;
    let first: Vec<_> = (0..half)
        .map(|number| {
            v1::UserSignup::builder().user_id(i64::try_from(number).unwrap()).email("a@example.com").build().unwrap()
        })
        .collect();
    let second: Vec<_> = (0..half)
        .map(|number| {
            let builder = v2::UserSignup::builder().user_id(number.to_string()).email("a@example.com");
            builder.user_name("ann").build().unwrap()
        })
        .collect();
    // Both at once, as during a deployment.
    let (one, two) = tokio::join!(async { v1::UserSignup::publish_batch(&first, &publisher).await }, async {
        v2::UserSignup::publish_batch(&second, &publisher).await
    });
    one.unwrap();
    two.unwrap();
    let sent: BTreeSet<Name> = (0..half).flat_map(|number| [(1, number), (2, number)]).collect();
    assert!(seen.all(&sent.iter().copied().filter(|(major, _)| *major == 1).collect()).await);
    let letters = DeadLetters::new(world.transport("operator").await, world.service_name("mail"));
    within(running.counted(|counts| counts.dead_lettered >= half)).await;
    let kept = letters.look(1).await.unwrap();
    assert_eq!(kept.letters[0].reason(), "no-handler");
    let received = running.shutdown().await.counts.received;

    let handled = Arc::clone(&seen);
    let new = move |event: v2::UserSignup| {
        handled.see((2, event.user_id.parse().unwrap()));
        async {}
    };
    let running = salt.service().on(old(&seen)).on(new).start().await.unwrap();
    let replayed = letters.replay(half, None).await.unwrap();
    assert!(seen.all(&sent).await);
    let received = received + running.shutdown().await.counts.received - replayed;
    let history = History {
        confirmed: sent.clone(),
        sent,
        handled: seen.names(),
        deliveries: usize::try_from(received).unwrap(),
    };
    let told = format!("{replayed} of the new major kept, and replayed to who knows it");
    history.verdict().hold("contract changed under a consumer", Promise::default(), began.elapsed(), &told);
}
