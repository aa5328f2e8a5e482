//! What a server can do to a registry: be restarted under it, ask for TLS, allow reading only. Each test has a server of its
//! own, which nobody else feels.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use celerysalt::registry::{
    Registered, Registry, RegistryError,
    conformance::{contract, schema},
    postgres::PostgresRegistry,
};
use celerysalt_contract::ContractRecord;
use celerysalt_tests::{certificate::Certificate, cluster::Cluster};
use sqlx::{Connection, PgConnection};

fn some(prefix: &str, count: usize) -> Vec<ContractRecord> {
    (0..count).map(|i| contract(&format!("{prefix}.n{i}"), "v1", schema("x", "string"))).collect()
}

fn registry(url: &str) -> PostgresRegistry {
    PostgresRegistry::connect(url).unwrap()
}

/// Many releases while the server crashes and comes back: each is there as a whole or not at all, and those that were told
/// to be there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_under_a_sync_has_all_of_it_or_nothing() {
    const SIZE: usize = 300;
    let mut cluster = tokio::task::spawn_blocking(|| Cluster::start(&[])).await.unwrap();
    let url = cluster.url();
    let registry = Arc::new(registry(&url));
    registry.sync(&[], false).await.unwrap();

    let done = Arc::new(AtomicBool::new(false));
    let releases = {
        let (registry, done) = (Arc::clone(&registry), Arc::clone(&done));
        tokio::spawn(async move {
            let mut outcomes = Vec::new();
            while !done.load(Ordering::SeqCst) {
                let name = format!("release{}", outcomes.len());
                let outcome = registry.sync(&some(&name, SIZE), false).await;
                match &outcome {
                    Ok(plan) => assert!(plan.applied),
                    Err(RegistryError::Unavailable { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
                outcomes.push((name, outcome.is_ok()));
            }
            outcomes
        })
    };
    let mut crashes = tokio::task::spawn_blocking(move || {
        for (pause, kill) in [(150, false), (90, true), (230, false), (40, true)] {
            std::thread::sleep(Duration::from_millis(pause));
            if kill {
                cluster.kill();
            } else {
                cluster.crash();
            }
            cluster.launch();
        }
        cluster
    });
    let cluster = (&mut crashes).await.unwrap();
    done.store(true, Ordering::SeqCst);
    let outcomes = releases.await.unwrap();

    let there = registry.list(None).await.unwrap();
    let failed = outcomes.iter().filter(|(_, ok)| !ok).count();
    for (name, ok) in &outcomes {
        let prefix = format!("{name}.");
        let count = there.iter().filter(|contract| contract.topic.as_str().starts_with(&prefix)).count();
        assert!(if *ok { count == SIZE } else { count == 0 || count == SIZE }, "{name}: {count}, told {ok}");
    }
    assert!(failed > 0, "no crash hit a sync, of {} in all", outcomes.len());
    assert_eq!(registry.history(None).await.unwrap().len(), there.len(), "the log has what the table has");
    drop(cluster);
}

#[tokio::test]
async fn tls_is_verified_and_what_is_wrong_with_it_is_said_soon() {
    let mut cluster = Cluster::prepare();
    let Certificate { authority, chain, key } = Certificate::of(cluster.folder(), "localhost");
    let other_authority = Certificate::of(cluster.folder(), "elsewhere").authority;
    let (crt, key) = (cluster.write("server.crt", &chain), cluster.write("server.key", &key));
    for setting in
        ["ssl=on".to_owned(), format!("ssl_cert_file={}", crt.display()), format!("ssl_key_file={}", key.display())]
    {
        cluster.set(&setting);
    }
    cluster.launch();
    let (named, numbered) = (cluster.url_at("localhost"), cluster.url());
    let full = |url: &str, authority: &str| format!("{url}?sslmode=verify-full&sslrootcert={authority}");

    let right = registry(&full(&named, &authority));
    assert_eq!(right.register(&some("a", 1)[0]).await.unwrap(), Registered::Created);
    let ca_only = registry(&format!("{numbered}?sslmode=verify-ca&sslrootcert={authority}"));
    assert_eq!(ca_only.list(None).await.unwrap().len(), 1);

    let missing = cluster.folder().join("missing.crt").display().to_string();
    for (url, said) in [
        (full(&named, &other_authority), "sslrootcert"),
        (full(&numbered, &authority), "host"),
        (full(&named, &missing), "must be there"),
    ] {
        let start = Instant::now();
        let error = registry(&url).list(None).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(5), "{error}: {:?}", start.elapsed());
        assert!(matches!(error, RegistryError::Denied { .. } | RegistryError::Unusable { .. }), "{error:?}");
        assert!(error.to_string().contains(said), "{said}: {error}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_by_who_asked_for_it() {
    let cluster = Cluster::start(&[]);
    let start = Instant::now();
    let error = registry(&format!("{}?sslmode=require", cluster.url())).list(None).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(matches!(error, RegistryError::Denied { .. } | RegistryError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains("TLS") && error.to_string().contains("sslmode"), "{error}");
}

#[tokio::test]
async fn a_server_that_may_only_read_is_read() {
    let mut cluster = Cluster::start(&[]);
    let before = registry(&cluster.url());
    before.register(&some("a", 1)[0]).await.unwrap();
    drop(before);
    cluster.crash();
    cluster.set("default_transaction_read_only=on");
    cluster.launch();
    let registry = registry(&cluster.url());
    assert_eq!(registry.list(None).await.unwrap().len(), 1);
    assert_eq!(registry.register(&some("a", 1)[0]).await.unwrap(), Registered::Unchanged);
    let status = celerysalt_contract::Status::Deprecated;
    let (topic, version) = ("a.n0".parse().unwrap(), "v1".parse().unwrap());
    for error in [
        registry.register(&some("b", 1)[0]).await.unwrap_err(),
        registry.set_status(&topic, &version, status, "old").await.unwrap_err(),
    ] {
        assert!(matches!(error, RegistryError::Denied { .. }), "{error:?}");
        assert!(error.to_string().contains("may only read") && error.to_string().contains("primary"), "{error}");
    }
}

/// A server with room for three, and as many that take it.
async fn full() -> (Cluster, Vec<PgConnection>) {
    let settings = ["max_connections=3", "superuser_reserved_connections=0"];
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&settings)).await.unwrap();
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.push(PgConnection::connect(&cluster.url()).await.unwrap());
    }
    (cluster, taken)
}

#[tokio::test]
async fn a_server_that_has_no_connection_left_says_so_and_is_waited_for() {
    let (cluster, mut taken) = full().await;
    let patient = registry(&cluster.url()).with_patience(Duration::from_mins(2));
    let mut release = tokio::spawn(async move { patient.sync(&some("a", 1), false).await });

    // A service, as it is without a word of patience.
    let start = Instant::now();
    let error = registry(&cluster.url()).list(None).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("too many clients"), "{error}");
    assert!((5..15).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());

    // The release has waited at least as long by now.
    assert!(!release.is_finished(), "{:?}", (&mut release).await);
    taken.pop().unwrap().close().await.unwrap();
    assert!(release.await.unwrap().unwrap().applied);
}

#[tokio::test]
async fn a_server_that_is_away_is_not_waited_for_whatever_the_patience() {
    let mut cluster = Cluster::start(&[]);
    cluster.crash();
    let start = Instant::now();
    let patient = registry(&cluster.url()).with_patience(Duration::from_mins(10));
    let error = patient.sync(&some("a", 1), false).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(matches!(error, RegistryError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("nothing listens there"), "{error}");
}

#[tokio::test]
async fn who_waits_for_another_release_is_told_so_in_the_end() {
    let cluster = Cluster::start(&[]);
    registry(&cluster.url()).sync(&[], false).await.unwrap();
    let mut connection = PgConnection::connect(&cluster.url()).await.unwrap();
    let mut other = connection.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('celerysalt ' || current_schema(), 0))")
        .execute(&mut *other)
        .await
        .unwrap();
    let hasty = registry(&cluster.url()).with_patience(Duration::from_millis(500));
    let error = hasty.sync(&some("a", 1), false).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("another sync or migration is under way"), "{error}");
    other.rollback().await.unwrap();
    assert!(hasty.sync(&some("a", 1), false).await.unwrap().applied);
}
