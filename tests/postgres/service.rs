//! Publisher → registry → subscriber, on the servers that users run: RabbitMQ and PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use celerysalt::{AnyEvent, ConnectError, EventContract, PublishError, Rest, registry::Registry};
use celerysalt_reference::events::{self, GetRiskAssessment, GetRiskAssessmentError, RiskAssessmentCreated};
use celerysalt_tests::{
    World, header,
    log::{Log, listen},
    postgres::in_fresh_schema,
    within,
};
use serde_json::json;
use tokio::sync::mpsc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_by_topic_needs_nothing_of_the_publisher_but_the_registry() {
    in_fresh_schema(|schema| async move {
        let world = World::rabbitmq();
        let publisher = world.builder("pulse").await.registry(Arc::new(schema.registry()));
        let publisher = publisher.contracts(events::contracts()).connect().await.unwrap();
        let subscriber = world.builder("mail").await.registry(Arc::new(schema.registry())).connect().await.unwrap();
        let (seen, mut seeing) = mpsc::unbounded_channel();
        let handler = move |event: AnyEvent| {
            seen.send(event).unwrap();
            async {}
        };
        let running = subscriber.service().on_topic("pulse.risk.*", handler).start().await.unwrap();

        let event =
            RiskAssessmentCreated::builder().assessment_id("RA-1").company_id(1).risk_score(8.5).build().unwrap();
        event.publish(&publisher).await.unwrap();
        assert_eq!(within(seeing.recv()).await.unwrap()["risk_score"], 8.5);

        // What the publisher's own side would refuse, a foreign one can send: the subscriber's side refuses it too.
        let wrong = RiskAssessmentCreated { risk_score: 99.0, ..event };
        assert!(matches!(wrong.publish(&publisher).await, Err(PublishError::Invalid(_))));
        let payload = json!({"assessment_id": "RA-2", "company_id": 1, "risk_score": 99});
        world.send_event("pulse.risk.created", json!({"version": "v1"}), &payload).await;
        let letter = world.dead_letters("mail", 1).await.remove(0);
        assert_eq!(header(&letter, "x-celerysalt-reason"), "invalid");
        assert_eq!(letter.headers["x-celerysalt-pointers"], json!(["/risk_score"]));

        // By name, from what the registry has.
        let payload = json!({"assessment_id": "RA-3", "company_id": 1, "risk_score": 1});
        subscriber.publish_json("pulse.risk.created", payload).await.unwrap();
        assert_eq!(within(seeing.recv()).await.unwrap()["assessment_id"], "RA-3");
        running.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_can_not_register_serves_all_the_same() {
    in_fresh_schema(|schema| async move {
        let world = World::rabbitmq();
        // Nobody listens on port 1, and the first try to reach it fails at once.
        let builder = world.builder("pulse").await.registry_url("postgres://postgres@127.0.0.1:1/test");
        let server = builder.contracts(events::contracts()).connect().await.unwrap();
        let decline = |request: GetRiskAssessment| async move {
            Err::<events::GetRiskAssessmentResponse, _>(GetRiskAssessmentError {
                error_code: "GONE".to_owned(),
                error_message: request.assessment_id,
                details: None,
                rest: Rest::default(),
            })
        };
        let running = server.service().serve(decline).start().await.unwrap();
        let caller = world.builder("caller").await.registry(Arc::new(schema.registry())).connect().await.unwrap();
        let error = GetRiskAssessment { assessment_id: "RA-1".to_owned(), rest: Rest::default() }
            .call(&caller)
            .await
            .unwrap_err();
        assert!(matches!(error, celerysalt::CallError::Declared(error) if error.error_code == "GONE"));
        running.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_in_the_database_stops_the_start_and_says_where() {
    in_fresh_schema(|schema| async move {
        let world = World::memory();
        world
            .builder("pulse")
            .await
            .registry(Arc::new(schema.registry()))
            .contracts(events::contracts())
            .connect()
            .await
            .unwrap();
        let contract = events::contracts().into_iter().find(|c| c.topic() == "payments.processed").unwrap();
        let mut changed = contract.to_record().unwrap();
        changed.schema["properties"]["amount"]["exclusiveMinimum"] = json!(5);
        changed.fingerprint = celerysalt_contract::fingerprint(changed.mode, &changed.schema, None, None);
        let error = schema.registry().register(&changed).await.unwrap_err().to_string();
        assert!(
            error.contains("payments.processed@v1") && error.contains("/properties/amount/exclusiveMinimum"),
            "{error}"
        );

        // The other way round: the program's contract is the one that differs.
        schema.execute("DROP TABLE celerysalt_schemas; DROP TABLE celerysalt_migrations").await;
        schema.registry().register(&changed).await.unwrap();
        let builder = world.builder("pulse").await.registry(Arc::new(schema.registry()));
        let error = builder.contracts(events::contracts()).connect().await.unwrap_err();
        assert!(matches!(&error, ConnectError::Conflict(conflicts) if conflicts.len() == 1), "{error}");
    })
    .await;
}

/// What `lineage` says of a topic: side, contracts, service and handler, without the suffix that makes names unique.
async fn lineage(registry: &dyn Registry, topic: &str, world: &World) -> Vec<String> {
    let suffix = world.service_name("");
    let seen = registry.lineage(&topic.parse().unwrap()).await.unwrap();
    let told = seen.iter().map(|seen| {
        let sighting = &seen.sighting;
        let handler = sighting.handler.rsplit("::").next().unwrap_or_default();
        format!("{:?} {} {} {handler}", sighting.side, sighting.contracts, sighting.service.replace(&suffix, ""))
    });
    told.collect()
}

async fn notify(_: RiskAssessmentCreated) {}

async fn audit(_: AnyEvent) {}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_services_say_what_they_publish_and_handle() {
    in_fresh_schema(|schema| async move {
        let world = World::memory();
        let registry = schema.registry();
        let publisher = world.builder("pulse").await.registry(Arc::new(schema.registry()));
        let publisher = publisher.contracts(events::contracts()).connect().await.unwrap();
        let topic = "pulse.risk.created";
        assert_eq!(lineage(&registry, topic, &world).await, Vec::<String>::new(), "naming is not publishing");

        let subscriber = world.builder("mail").await.registry(Arc::new(schema.registry())).connect().await.unwrap();
        let decline = |request: GetRiskAssessment| async move {
            Err::<events::GetRiskAssessmentResponse, _>(GetRiskAssessmentError {
                error_code: "GONE".to_owned(),
                error_message: request.assessment_id,
                details: None,
                rest: Rest::default(),
            })
        };
        let service = subscriber.service().on(notify).on_topic("pulse.#@v1", audit).serve(decline);
        let running = service.start().await.unwrap();
        let event =
            RiskAssessmentCreated::builder().assessment_id("RA-1").company_id(1).risk_score(8.5).build().unwrap();
        event.publish(&publisher).await.unwrap();
        event.publish(&publisher).await.unwrap();
        let payload = json!({"assessment_id": "RA-3", "company_id": 1, "risk_score": 1});
        publisher.publish_json(topic, payload).await.unwrap();
        running.shutdown().await;
        // What was seen is told before the handle is gone.
        within(publisher.close()).await;
        within(subscriber.close()).await;
        assert_eq!(
            lineage(&registry, topic, &world).await,
            [
                "Publisher pulse.risk.created@v1 pulse RiskAssessmentCreated",
                "Publisher pulse.risk.created@v1 pulse publish_json",
                "Subscriber pulse.#@v1 mail audit",
                "Subscriber pulse.risk.created@^v1 mail notify",
            ]
        );
        let served = lineage(&registry, "rpc.pulse.risk.get", &world).await;
        assert!(served.len() == 1 && served[0].starts_with("Subscriber rpc.pulse.risk.get@^v1 mail "), "{served:?}");
        // The log has the names by which services registered, though a registry of another making was given.
        assert!(registry.history(None).await.unwrap().iter().all(|entry| entry.role.is_some()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_signs_the_log_with_its_name() {
    in_fresh_schema(|schema| async move {
        let world = World::memory();
        let publisher = world.builder("pulse").await.registry_url(&schema.url);
        publisher.contracts(events::contracts()).connect().await.unwrap().close().await;
        let history = schema.registry().history(None).await.unwrap();
        assert_eq!(history.len(), events::contracts().len());
        assert!(history.iter().all(|entry| entry.actor.service == world.service_name("pulse")), "{history:?}");
        assert!(history.iter().all(|entry| !entry.actor.host.is_empty()), "{history:?}");
    })
    .await;
}

/// Nothing listens there; what the registry would be told waits for nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_away_holds_up_neither_publishing_nor_handling_nor_the_end() {
    let world = World::memory();
    let builder = world.builder("pulse").await.registry_url("postgres://postgres@127.0.0.1:1/test");
    let salt = builder.connect().await.unwrap();
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |_: RiskAssessmentCreated| {
        seen.send(()).unwrap();
        async {}
    };
    let running = salt.service().on(handler).start().await.unwrap();
    let event = RiskAssessmentCreated::builder().assessment_id("RA-1").company_id(1).risk_score(8.5).build().unwrap();
    let start = Instant::now();
    event.publish(&salt).await.unwrap();
    within(seeing.recv()).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    running.shutdown().await;
    let start = Instant::now();
    within(salt.close()).await;
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
}

/// All in one thread, whose log it is.
#[tokio::test]
async fn each_registration_is_a_line_in_one_of_three_states() {
    /// The contract that the registry has with another meaning.
    const OTHER: &str = "auth.user.created";
    let log = Log::default();
    let writing = tracing_subscriber::fmt().json().flatten_event(true).with_writer(log.clone());
    let _logged = listen(writing.with_max_level(tracing::Level::DEBUG).finish());
    in_fresh_schema(|schema| async move {
        let said = |line: &serde_json::Value| {
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            [text("level"), text("message").chars().take_while(|c| *c != ':').collect(), text("topic"), text("version")]
        };
        // What it says besides is for whoever debugs it.
        let states = || -> Vec<serde_json::Value> {
            let lines = log.lines("celerysalt::registration").into_iter();
            lines
                .filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with(['✓', '✗', '⚠'])))
                .collect()
        };
        let mut seen = 0;
        let mut told = || {
            let lines = states();
            let mut new: Vec<[String; 4]> = lines[seen..].iter().map(said).collect();
            seen = lines.len();
            new.sort();
            new
        };
        let fitting = || events::contracts().into_iter().filter(|contract| contract.topic() != OTHER);
        let all = |level: &str, state: &str| {
            let line = |contract: &'static EventContract| [level, state, contract.topic(), contract.version().as_str()];
            let mut lines: Vec<[String; 4]> = fitting().map(|one| line(one).map(str::to_owned)).collect();
            lines.sort();
            lines
        };
        let world = World::memory();
        let named = async || world.builder("auth").await.contracts(events::contracts());

        // Nobody listens on port 1.
        let away = named().await.registry_url("postgres://postgres@127.0.0.1:1/test").connect().await.unwrap();
        assert_eq!(told(), [["WARN", "⚠ cached", "", ""].map(str::to_owned)]);
        assert_eq!(states()[0]["contracts"], events::contracts().len());
        drop(away);

        let contract = events::contracts().into_iter().find(|contract| contract.topic() == OTHER).unwrap();
        let mut other = contract.to_record().unwrap();
        other.schema["properties"]["user_id"]["minimum"] = 5.into();
        other.fingerprint = celerysalt_contract::fingerprint(other.mode, &other.schema, None, None);
        schema.registry().register(&other).await.unwrap();
        let refused = named().await.registry(Arc::new(schema.registry())).connect().await.unwrap_err();
        assert!(matches!(refused, ConnectError::Conflict(_)), "{refused}");
        assert_eq!(told(), [["ERROR", "✗ conflict", OTHER, "v1"].map(str::to_owned)]);

        for (level, state) in [("INFO", "✓ registered"), ("DEBUG", "✓ already registered")] {
            let builder = world.builder("auth").await.contracts(fitting());
            builder.registry(Arc::new(schema.registry())).connect().await.unwrap().close().await;
            assert_eq!(told(), all(level, state));
        }
    })
    .await;
}
