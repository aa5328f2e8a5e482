//! Python, both ways: the real celery-salt and tchu-tchu, on RabbitMQ, with Celery's results by `rpc://` and in Redis.
//!
//! Each test has an exchange of its own, which both packages take by name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

/// Each case as one test for each way of Celery's results.
macro_rules! on_each_backend {
    ($($case:ident),* $(,)?) => {
        mod rpc {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(&celerysalt_tests::World::rabbitmq()).await;
                }
            )*
        }
        mod redis {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(&celerysalt_tests::World::rabbitmq_and_redis()).await;
                }
            )*
        }
    };
}
pub(crate) use on_each_backend;

mod calls_from_python;
mod calls_to_python;
mod from_python;
mod living_together;
mod to_python;

use celerysalt::{Event, Rest};
use celerysalt_reference::events::{GetRiskAssessment, TaggedItemCreated};
use celerysalt_tests::{World, python::Peer};
use serde_json::{Value, json};

/// A celery-salt service: its handlers are a module of this folder.
async fn salt_worker(world: &World, handlers: &str) -> Peer {
    Peer::start(world, "salt_worker.py", &[&world.foreign_queue("salt"), handlers]).await
}

/// A tchu-tchu service.
async fn tchu_worker(world: &World) -> Peer {
    Peer::start(world, "tchu_worker.py", &[&world.foreign_queue("tchu"), "tchu_handlers"]).await
}

async fn salt_client(world: &World) -> Peer {
    Peer::start(world, "salt_client.py", &[]).await
}

async fn tchu_client(world: &World) -> Peer {
    Peer::start(world, "tchu_client.py", &[]).await
}

/// Everything that JSON can hold and that someone once lost on the way.
fn every_value() -> Value {
    json!({
        "text": "ünï \u{1F600} \u{1D4B3} \"quoted\" \\ back / \u{2028}\u{7f}\u{0}\n end",
        "": "an empty name",
        "näme \u{1F680}": "a name of its own",
        "integers": [0, -1, i64::MAX, i64::MIN, 9_007_199_254_740_993_i64, u64::MAX],
        "floats": [0.1, 1.0, -2.5e-10, 1e16, 1.797_693_134_862_315_7e308, 5e-324, 123_456_789.123_456_79],
        "nothing": null,
        "both": [true, false],
        "nested": {"a": [{"b": {"c": [[], {}, null, [1, {"d": "e"}]]}}]},
        "dates": ["2026-11-22", "2026-11-22T10:00:00", "2026-11-22T10:00:00.123456+05:30", "2026-11-22T04:30:00Z"],
        "_tchu": "not the envelope's",
    })
}

/// An event that holds all of it, as JSON.
fn tagged_fields(identifier: &str) -> Value {
    json!({
        "company_id": i64::MAX, "identifier": identifier, "model_identifier": "ordér \u{1F600}",
        "object_json": every_value(), "tag_name": "High \"Priority\"", "tag_slug": "high_priority",
        "action": "deleted", "value_chain_id": i64::MIN,
    })
}

fn tagged(identifier: &str) -> TaggedItemCreated {
    TaggedItemCreated::from_json(tagged_fields(identifier)).unwrap()
}

fn get(id: &str) -> GetRiskAssessment {
    GetRiskAssessment { assessment_id: id.to_owned(), rest: Rest::default() }
}
