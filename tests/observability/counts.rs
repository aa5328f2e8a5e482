//! The page that Prometheus reads, asked for while a service is under load: in the end its counts are those of the broker and
//! of the database, exactly.

#![allow(clippy::float_cmp, clippy::cast_precision_loss, reason = "some hundreds, which floats hold exactly")]

use std::{collections::BTreeMap, time::Duration};

use celerysalt::{
    CallError, HandlerError, Meta, PublishError, Rest, Salt,
    inbox::Inbox,
    letters::DeadLetters,
    monitor::Monitor,
    outbox::{Outbox, PublishIn, Relay},
    service::Retry,
    sqlx::{self, PgPool},
};
use celerysalt_reference::events::{
    GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse, OrderCreated, RiskAssessmentCreated,
    UserCreated,
};
use celerysalt_tests::{
    World,
    outbox::{event, pool},
    postgres::in_fresh_schema,
    within,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::seen::{seen, value};

const USERS: i64 = 300;
const RISKS: usize = 80;
const SECRET: &str = "a-c0unted-payl0ad";

fn user(user_id: i64) -> UserCreated {
    UserCreated { user_id: user_id.into(), email: format!("{SECRET}@example.com"), rest: Rest::default() }
}

fn order() -> OrderCreated {
    serde_json::from_value(json!({"order_id": SECRET, "company_id": 1})).unwrap()
}

/// Every seventh fails once, every eleventh is never handled.
async fn unlucky(event: UserCreated, meta: Meta) -> Result<(), HandlerError> {
    match event.user_id.as_i64().unwrap() {
        id if id % 11 == 0 => Err(HandlerError::reject("never")),
        id if id % 7 == 0 && meta.tries == 1 => Err(HandlerError::new("not now")),
        _ => Ok(()),
    }
}

/// A page of the monitor, by HTTP.
async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn rows(pool: &PgPool, table: &'static str) -> f64 {
    let sql = format!("SELECT count(*) FROM {table}");
    let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.unwrap();
    f64::from(u32::try_from(count).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one load, and everything that can be counted of it")]
async fn counts_are_those_of_the_broker_and_of_the_database() {
    let prometheus = &seen().prometheus;
    in_fresh_schema(move |schema| async move {
        let world = World::rabbitmq();
        let pool = pool(&schema.url).await;
        let outbox = Outbox::new(pool.clone());
        outbox.migrate().await.unwrap();
        Inbox::migrate(&pool).await.unwrap();
        let builder = world.builder("shop").await.registry_url(&schema.url);
        let shop = builder.contracts(celerysalt_reference::events::contracts()).connect().await.unwrap();
        let mail = world.salt("mail").await;

        let handled = pool.clone();
        let once = move |_: RiskAssessmentCreated, meta: Meta| {
            let pool = handled.clone();
            async move {
                let mut transaction = pool.begin().await?;
                Inbox::of("once").is_first(&mut transaction, &meta).await?;
                transaction.commit().await?;
                Ok::<_, HandlerError>(())
            }
        };
        let serve = async |request: GetRiskAssessment| {
            let assessment_id = request.assessment_id;
            if assessment_id == "declined" {
                let (error_code, error_message) = ("GONE".to_owned(), "gone".to_owned());
                return Err(GetRiskAssessmentError { error_code, error_message, details: None, rest: Rest::default() });
            }
            let (risk_score, status, rest) = (1.0, SECRET.to_owned(), Rest::default());
            Ok(GetRiskAssessmentResponse { assessment_id, risk_score, status, rest })
        };
        let retry = Retry::exponential(Duration::from_millis(5)).tries(3);
        let running = mail.service().retry(retry).on(unlucky).on(once).serve(serve).start().await.unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let monitor = Monitor::new(&shop).prometheus(prometheus.clone()).outbox(outbox.clone());
        let serving = tokio::spawn(monitor.serve(listener));

        // Asked for again and again while the rest goes on.
        let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
        let service = world.service_name("mail");
        let scraping = tokio::spawn(async move {
            let (mut pages, mut last) = (0, 0.0);
            while stopped.try_recv().is_err() {
                let (status, page) = get(address, "/metrics").await;
                assert_eq!(status, 200);
                let now = value(&page, "celerysalt_received_total", &[("service", &service)]).unwrap_or(0.0);
                assert!(now >= last);
                (pages, last) = (pages + 1, now);
            }
            pages
        });
        load(&world, &shop, &pool).await;
        let expected = u64::try_from(USERS - USERS / 11).unwrap() + RISKS as u64 + 25;
        let lost = u64::try_from(USERS / 11).unwrap() + 6 + 3 + 2;
        within(running.counted(|counts| counts.handled >= expected && counts.dead_lettered >= lost)).await;
        let counts = running.shutdown().await.counts;
        stop.send(()).unwrap();
        assert!(scraping.await.unwrap() > 3, "it was not asked under load");
        let (status, page) = get(address, "/metrics").await;
        assert_eq!(status, 200);

        let (of_shop, of_mail) = (world.service_name("shop"), world.service_name("mail"));
        let shops = |name: &str, labels: &[(&str, &str)]| {
            value(&page, name, &[&[("service", &*of_shop)], labels].concat()).unwrap_or(0.0)
        };
        let mails = |name: &str, labels: &[(&str, &str)]| {
            value(&page, name, &[&[("service", &*of_mail)], labels].concat()).unwrap_or(0.0)
        };
        let float = |count: u64| count as f64;

        // What was sent, by what the broker said.
        let users = [("topic", "auth.user.created"), ("version", "v1")];
        assert_eq!(shops("celerysalt_published_total", &users), f64::from(u32::try_from(USERS).unwrap()));
        let orders = [("topic", "orders.created"), ("version", "v1")];
        assert_eq!(shops("celerysalt_returned_total", &orders), 5.0);
        assert_eq!(shops("celerysalt_publish_failures_total", &[("reason", "invalid")]), 4.0);
        assert_eq!(shops("celerysalt_validation_failures_total", &[("part", "published")]), 4.0);

        // What became of it, by the service's own counts and by what is in the dead-letter queue.
        let all = |name: &str| mails(name, &[]);
        assert_eq!(all("celerysalt_received_total"), float(counts.received));
        assert_eq!(all("celerysalt_handled_total"), float(counts.handled));
        assert_eq!(all("celerysalt_retried_total"), float(counts.retried));
        assert_eq!(all("celerysalt_dead_lettered_total"), float(counts.dead_lettered));
        let ends = counts.handled + counts.retried + counts.dead_lettered;
        assert_eq!(counts.received, ends, "{counts:?}");
        assert_eq!(all("celerysalt_in_flight"), 0.0);
        assert_eq!(all("celerysalt_consumers"), 0.0);
        let transport = world.transport("operator").await;
        let letters = DeadLetters::new(transport.clone(), &*of_mail).look(10_000).await.unwrap();
        assert_eq!((letters.letters.len() as u64, letters.more), (counts.dead_lettered, 0));
        let mut reasons: BTreeMap<(String, String), f64> = BTreeMap::new();
        for letter in &letters.letters {
            *reasons.entry((letter.reason().to_owned(), letter.topic().to_owned())).or_default() += 1.0;
        }
        assert_eq!(reasons.len(), 4, "{reasons:?}");
        for ((reason, topic), count) in reasons {
            // What could not be read has a topic that nobody vouches for.
            let topic = if reason == "not-an-event" { "other" } else { &*topic };
            let labels = [("reason", &*reason), ("topic", topic)];
            assert_eq!(mails("celerysalt_dead_lettered_total", &labels), count, "{labels:?}");
        }
        assert_eq!(mails("celerysalt_validation_failures_total", &[("part", "received")]), 6.0);
        let ran = |outcome: &str| mails("celerysalt_handler_seconds_count", &[("outcome", outcome)]);
        assert_eq!(ran("ok"), float(counts.handled));
        assert_eq!(ran("failed"), float(counts.retried) + f64::from(u32::try_from(USERS / 11).unwrap()));

        // Calls.
        let called = |outcome: &str| shops("celerysalt_call_seconds_count", &[("outcome", outcome)]);
        assert_eq!((called("ok"), called("declared"), called("no-handler")), (20.0, 5.0, 0.0));

        // The database.
        assert_eq!(rows(&pool, "celerysalt_inbox").await, RISKS as f64);
        let once = [("topic", "pulse.risk.created"), ("version", "v1")];
        assert_eq!(mails("celerysalt_handled_total", &once), RISKS as f64);
        assert_eq!(
            shops("celerysalt_registrations_total", &[("outcome", "created")]),
            rows(&pool, "celerysalt_schemas").await
        );
        assert_eq!((shops("celerysalt_registry_up", &[]), shops("celerysalt_registry_pending", &[])), (1.0, 0.0));
        let waiting = rows(&pool, "celerysalt_outbox").await;
        assert_eq!(waiting, 10.0);
        assert_eq!(value(&page, "celerysalt_outbox_waiting", &[]), Some(waiting));
        assert_eq!(value(&page, "celerysalt_outbox_published_total", &[]), Some(RISKS as f64));
        assert_eq!(value(&page, "celerysalt_outbox_refused_total", &[]), Some(10.0));

        assert_eq!(shops("celerysalt_broker_up", &[]), 1.0);
        assert!(!page.contains(SECRET));
        assert_eq!(get(address, "/ready").await.0, 200);
        shop.close().await;
        let (status, body) = get(address, "/ready").await;
        assert_eq!(status, 503, "{body}");
        serving.abort();
        transport.close().await;
        mail.close().await;
    })
    .await;
}

/// All that can become of a message.
async fn load(world: &World, shop: &Salt, pool: &PgPool) {
    let users: Vec<UserCreated> = (1..=USERS).map(user).collect();
    UserCreated::publish_batch(&users[10..], shop).await.unwrap();
    for user in &users[..10] {
        user.publish(shop).await.unwrap();
    }
    // Nobody is bound for orders.
    for _ in 0..3 {
        assert!(!order().publish(shop).allow_unrouted().await.unwrap().routed);
    }
    for _ in 0..2 {
        assert!(matches!(order().publish(shop).await, Err(PublishError::Unroutable { .. })));
    }
    let mut invalid = event(SECRET);
    invalid.risk_score = 99.0;
    for _ in 0..2 {
        assert!(matches!(invalid.publish(shop).await, Err(PublishError::Invalid(_))));
    }
    let refused = RiskAssessmentCreated::publish_batch(&[invalid.clone(), invalid], shop).await.unwrap_err();
    assert_eq!(refused.failed.len(), 2);
    // What no Rust service would send.
    for _ in 0..6 {
        world.send_event("auth.user.created", json!({"version": "v1"}), &json!({"user_id": SECRET})).await;
    }
    for _ in 0..3 {
        world.send_raw("auth.user.created", json!({"task": "x", "id": "1"}), SECRET).await;
    }
    for _ in 0..2 {
        world.send_event("auth.user.created", json!({"version": "v9"}), &json!({"user_id": SECRET})).await;
    }
    // The outbox: ten rows that nobody is bound for stay.
    let mut transaction = pool.begin().await.unwrap();
    for number in 0..RISKS {
        event(format!("{SECRET}-{number}")).publish_in(shop, &mut transaction).await.unwrap();
    }
    for _ in 0..10 {
        order().publish_in(shop, &mut transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let relayed = Relay::new(pool.clone(), shop).retry(Duration::from_hours(1), Duration::from_hours(1)).drain().await;
    assert_eq!(relayed.unwrap().published, RISKS as u64);
    for number in 0..25 {
        let assessment_id = if number % 5 == 0 { "declined".to_owned() } else { format!("{SECRET}-{number}") };
        let outcome = GetRiskAssessment { assessment_id, rest: Rest::default() }.call(shop).await;
        assert!(matches!(outcome, Ok(_) | Err(CallError::Declared(_))));
    }
}
