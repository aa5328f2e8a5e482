//! The promise that CelerySalt began with, across languages: a service in Rust releases its contracts to PostgreSQL, a
//! service in Python subscribes by topic and knows nothing else, and neither lets an invalid event through.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

use std::{env, fs, path::PathBuf, sync::Arc};

use celerysalt::{
    Event, Meta, PublishError, Salt,
    registry::Registry,
    transport::{Message, Properties, Routing},
};
use celerysalt_codegen::stubs::{Language, stubs};
use celerysalt_contract::{Catalog, Contract, ContractRecord};
use celerysalt_reference::events::{
    GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse, PaymentProcessed, RiskAssessmentCreated,
};
use celerysalt_tests::{
    World,
    postgres::{Schema, in_fresh_schema},
    python::Peer,
    within,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// The reference contracts, as `celerysalt sync` reads them.
fn contracts() -> Vec<ContractRecord> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas");
    Catalog::load(folder).unwrap().contracts.iter().map(Contract::to_record).collect()
}

/// A folder of stubs of all contracts in the registry, gone with its value.
struct Stubs(PathBuf);

impl Stubs {
    async fn of(registry: &dyn Registry) -> Self {
        let folder = env::temp_dir().join(format!("celerysalt_stubs_{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir_all(&folder).unwrap();
        for file in stubs(Language::Python, &registry.list(None).await.unwrap()) {
            fs::write(folder.join(file.name), file.text).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Stubs {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

async fn release(schema: &Schema) {
    assert!(schema.registry().sync(&contracts(), false).await.unwrap().applied);
}

async fn service(world: &World, schema: &Schema, name: &str) -> Salt {
    world.builder(name).await.registry(Arc::new(schema.registry())).connect().await.unwrap()
}

async fn worker(world: &World, schema: &Schema, stubs: &str, topics: &[&str]) -> Peer {
    let queue = world.foreign_queue("python");
    Peer::start(world, "headline_worker.py", &[&[queue.as_str(), &schema.url, stubs], topics].concat()).await
}

fn risk(id: &str, score: f64) -> RiskAssessmentCreated {
    RiskAssessmentCreated::builder().assessment_id(id).company_id(1).risk_score(score).build().unwrap()
}

/// Sends an invalid event as a careless Python service would, and waits until the worker has refused it.
async fn refuses(world: &World, worker: &mut Peer, topic: &str, invalid: &Value, pointer: &str) {
    let mut payload = invalid.clone();
    payload["_tchu_meta"] = json!({"version": "v1", "is_rpc": false});
    let id = uuid::Uuid::new_v4().to_string();
    let headers = json!({"task": "celery_salt.dispatch_event", "id": id, "lang": "py"});
    let Value::Object(headers) = headers else { panic!("headers are an object") };
    let mut properties = Properties::default();
    properties.content_type = Some("application/json".to_owned());
    properties.content_encoding = Some("utf-8".to_owned());
    properties.correlation_id = Some(id);
    let message = Message {
        exchange: world.exchange(),
        routing_key: topic.to_owned(),
        properties,
        headers: headers.into(),
        body: json!([[payload.to_string()], {"routing_key": topic}, {}]).to_string().into(),
    };
    let transport = world.transport("foreign").await;
    assert_eq!(transport.send(message).await.unwrap().await.unwrap(), Routing::Routed);
    transport.close().await;
    let said = worker.says().await;
    // celery-salt's `EventValidationError`, as Celery hands it on.
    assert!(said["refused"].is_string(), "{said}");
    let text = said["text"].as_str().unwrap();
    assert!(text.contains("Event validation failed for topic") && text.contains(pointer), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_subscribes_by_topic_to_what_rust_released_and_gets_a_typed_model() {
    in_fresh_schema(|schema| async move {
        let world = World::rabbitmq();
        release(&schema).await;
        let stubs = Stubs::of(&schema.registry()).await;
        let mut worker = worker(&world, &schema, stubs.path(), &["pulse.risk.created"]).await;
        let publisher = service(&world, &schema, "pulse").await;

        risk("RA-1", 8.5).publish(&publisher).await.unwrap();
        // What Rust left out is not null in Python: it is not there.
        let fields = json!({"assessment_id": "RA-1", "company_id": 1, "risk_score": 8.5});
        let expected = json!({
            "topic": "pulse.risk.created", "type": "RiskAssessmentCreated", "module": "pulse_risk_created", "fields": fields,
        });
        assert_eq!(worker.says().await, expected);

        // Invalid: Rust neither builds nor publishes it.
        let builder = RiskAssessmentCreated::builder().assessment_id("RA-2").company_id(1).risk_score(99.0);
        assert!(builder.build().is_err());
        let wrong = RiskAssessmentCreated { risk_score: 99.0, ..risk("RA-2", 1.0) };
        assert!(matches!(wrong.publish(&publisher).await, Err(PublishError::Invalid(_))));
        // Sent past Rust: no handler of Python's sees it. The second is one that pydantic would make valid by itself.
        let topic = "pulse.risk.created";
        let invalid = json!({"assessment_id": "RA-2", "company_id": 1, "risk_score": 99});
        refuses(&world, &mut worker, topic, &invalid, "risk_score").await;
        let invalid = json!({"assessment_id": "RA-2", "company_id": "1", "risk_score": 1});
        refuses(&world, &mut worker, topic, &invalid, "company_id").await;
        let invalid = json!({"assessment_id": "RA-2", "company_id": 1, "risk_score": 1, "created_by": null});
        refuses(&world, &mut worker, topic, &invalid, "created_by").await;

        risk("RA-3", 1.0).publish(&publisher).await.unwrap();
        assert_eq!(worker.says().await["fields"]["assessment_id"], "RA-3");
        // Who subscribes is known to the registry.
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT topic, handler FROM celerysalt_subscribers")
            .fetch_all(&mut schema.connection().await)
            .await
            .unwrap();
        assert_eq!(rows, [("pulse.risk.created".to_owned(), "pulse_risk_created".to_owned())]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_stubs_the_whole_contract_is_checked_all_the_same() {
    in_fresh_schema(|schema| async move {
        let world = World::rabbitmq();
        release(&schema).await;
        let topics = ["payments.processed", "pulse.risk.created"];
        let mut worker = worker(&world, &schema, "-", &topics).await;
        let publisher = service(&world, &schema, "pay").await;

        // `exclusiveMinimum` and `enum`, and fields behind a `$ref`: what celery-salt itself does not read.
        let payment = json!({"payment_id": "P-1", "amount": 0, "currency": "EUR"});
        refuses(&world, &mut worker, topics[0], &payment, "/amount: exclusiveMinimum").await;
        let payment = json!({"payment_id": "P-1", "amount": 1, "currency": "XXX"});
        refuses(&world, &mut worker, topics[0], &payment, "/currency: enum").await;
        let assessment = json!({"assessment_id": "RA-1", "company_id": 1, "risk_score": 99});
        refuses(&world, &mut worker, topics[1], &assessment, "/risk_score: maximum").await;

        let payment = json!({"payment_id": "P-1", "amount": 19.99, "currency": "EUR"});
        PaymentProcessed::from_json(payment.clone()).unwrap().publish(&publisher).await.unwrap();
        let said = worker.says().await;
        assert_eq!((&said["topic"], &said["type"]), (&json!("payments.processed"), &json!("PaymentProcessed")));
        assert_eq!(said["fields"], payment);
        risk("RA-2", 2.5).publish(&publisher).await.unwrap();
        let said = worker.says().await;
        assert_eq!((&said["topic"], &said["fields"]["risk_score"]), (&json!("pulse.risk.created"), &json!(2.5)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_publishes_and_calls_with_the_generated_models() {
    in_fresh_schema(|schema| async move {
        let world = World::rabbitmq();
        release(&schema).await;
        let stubs = Stubs::of(&schema.registry()).await;
        let (seen, mut seeing) = mpsc::unbounded_channel();
        let handler = move |event: RiskAssessmentCreated, _: Meta| {
            seen.send(event).unwrap();
            async {}
        };
        let get = |request: GetRiskAssessment| async move {
            if request.assessment_id == "none" {
                let error = json!({"error_code": "NOT_FOUND", "error_message": "no such assessment"});
                return Err(serde_json::from_value::<GetRiskAssessmentError>(error).unwrap());
            }
            let fields = json!({"assessment_id": request.assessment_id, "risk_score": 7, "status": "open"});
            Ok(serde_json::from_value::<GetRiskAssessmentResponse>(fields).unwrap())
        };
        let salt = service(&world, &schema, "risk").await;
        let running = salt.service().on(handler).serve(get).start().await.unwrap();
        let mut client = Peer::start(&world, "headline_client.py", &[&schema.url, stubs.path()]).await;

        let fields = json!({"assessment_id": "RA-1", "company_id": 7, "risk_score": 3});
        let said = client.ask(json!({"do": "publish", "fields": fields})).await;
        assert!(said["done"].is_string(), "{said}");
        // Fields that were not set are not sent as null, which this contract refuses.
        let event = within(seeing.recv()).await.unwrap();
        assert_eq!((event.assessment_id.as_str(), event.created_by), ("RA-1", None));
        let wrong = json!({"assessment_id": "RA-1", "company_id": 7, "risk_score": 11});
        assert_eq!(client.ask(json!({"do": "publish", "fields": wrong})).await["raised"], "ValidationError");

        let said = client.ask(json!({"do": "call", "fields": {"assessment_id": "RA-1"}})).await;
        assert_eq!(said["done"]["type"], "GetRiskAssessmentResponse", "{said}");
        assert_eq!(said["done"]["fields"]["risk_score"], 7);
        let said = client.ask(json!({"do": "call", "fields": {"assessment_id": "none"}})).await;
        assert_eq!(said["done"]["type"], "GetRiskAssessmentError", "{said}");
        running.shutdown().await;

        // What the registry does not have, and what differs from what it has.
        for (order, raised, text) in [
            (
                json!({"do": "follow", "topic": "no.such"}),
                "SchemaRegistryUnavailableError",
                "no contract no.such@latest",
            ),
            (
                json!({"do": "follow", "topic": "auth.user.signup", "version": "v9"}),
                "SchemaRegistryUnavailableError",
                "released: v1, v2",
            ),
            (
                json!({"do": "define", "topic": "payments.processed", "fields": {"payment_id": "int"}}),
                "SchemaConflictError",
                "payments.processed",
            ),
        ] {
            let said = client.ask(order).await;
            assert_eq!(said["raised"], raised, "{said}");
            assert!(said["text"].as_str().unwrap().contains(text), "{said}");
        }
    })
    .await;
}
