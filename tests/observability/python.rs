//! One trace that begins in Python, goes through Rust and ends in Python, by celery-salt and OpenTelemetry as users have them.

use celerysalt::Event;
use celerysalt_reference::events::{OrderCreated, TaggedItemCreated};
use celerysalt_tests::{World, python::Peer};
use serde_json::json;

use crate::seen::seen;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_from_python_through_rust_to_python() {
    let seen = seen();
    let world = World::rabbitmq();
    let queue = world.foreign_queue("salt");
    let mut worker = Peer::start(&world, "salt_worker.py", &[&queue, "salt_traced_handlers"]).await;
    let mut client = Peer::start(&world, "salt_traced_client.py", &[]).await;
    let middle = world.publisher("middle").await;
    let salt = middle.clone();
    let handler = move |order: OrderCreated| {
        let salt = salt.clone();
        async move {
            let tagged = TaggedItemCreated::from_json(json!({
                "company_id": 1, "identifier": order.order_id, "model_identifier": "order", "object_json": {},
                "tag_name": "New", "tag_slug": "new",
            }));
            tagged.unwrap().publish(&salt).await.map(drop)
        }
    };
    let running = middle.service().on(handler).start().await.unwrap();

    let fields =
        json!({"order_id": "O-1", "company_id": 7, "timestamp": "2026-11-22T10:00:00+00:00", "amount": "19.99"});
    let began = client.ask(json!({"do": "publish", "fields": fields})).await;
    let began = &began["done"];
    let trace_id = began["trace_id"].as_str().unwrap_or_else(|| panic!("{began}"));
    assert_eq!(began["ended"], json!(["checkout"]));
    let ended = worker.says().await;
    running.shutdown().await;

    // In Rust: the child of the span that Python was in, and what it published.
    let spans = seen.spans(trace_id);
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {names:?}"));
    let processed = named("process orders.created");
    assert_eq!(processed.parent_span_id.to_string(), began["span_id"].as_str().unwrap());
    assert!(processed.parent_span_is_remote);
    named("publish scranton.tagged_item.created");
    // And in Python again: the handler's span, and those of Celery's tasks.
    assert_eq!((&ended["trace_id"], &ended["task"]), (&json!(trace_id), &json!(trace_id)), "{ended}");
    let others = ended["ended"].as_array().unwrap();
    assert!(!others.is_empty() && others.iter().all(|other| *other == trace_id), "{ended}");
}
