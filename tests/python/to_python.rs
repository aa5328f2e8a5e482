//! Rust publishes, Python's handlers fire.

use celerysalt::TaskName;
use celerysalt_reference::events::OrderCreated;
use celerysalt_tests::World;
use serde_json::{Value, json};

use crate::{salt_worker, tagged, tagged_fields, tchu_worker};

#[tokio::test]
async fn both_kinds_of_celery_salts_handlers_get_equal_fields() {
    let world = World::rabbitmq();
    let mut worker = salt_worker(&world, "salt_handlers").await;
    let publisher = world.publisher("pulse").await;
    // Rust leaves a field out that is null and has null as its default; Python fills it in.
    let mut without = tagged("order:2");
    without.value_chain_id = None;
    let mut nothing = tagged_fields("order:2");
    nothing["value_chain_id"] = Value::Null;
    for (event, fields) in [(tagged("order:1"), tagged_fields("order:1")), (without, nothing)] {
        event.publish(&publisher).await.unwrap();
        let mut said = [worker.says().await, worker.says().await];
        said.sort_unstable_by_key(|said| said["handler"].to_string());
        for (said, handler) in said.iter().zip(["class", "topic"]) {
            assert_eq!(said["handler"], handler);
            assert_eq!(said["fields"], fields, "{handler}");
        }
    }
}

#[tokio::test]
async fn times_and_amounts_become_pythons_own() {
    let world = World::rabbitmq();
    let mut worker = salt_worker(&world, "salt_handlers").await;
    let publisher = world.publisher("pulse").await;
    for (sent, got) in [
        ("2026-11-22T10:00:00.123456+05:30", "2026-11-22T10:00:00.123456+05:30"),
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00+00:00"),
    ] {
        let order = OrderCreated::builder().order_id("O-1").company_id(7).timestamp(sent).amount(19.99);
        order.build().unwrap().publish(&publisher).await.unwrap();
        let expected = json!({"handler": "class", "order_id": "O-1", "timestamp": got, "amount": "19.99"});
        assert_eq!(worker.says().await, expected);
    }
}

#[tokio::test]
async fn tchu_tchus_handlers_get_equal_fields() {
    let world = World::rabbitmq();
    let mut worker = tchu_worker(&world).await;
    let builder = world.builder("pulse").await;
    let publisher = builder.task_name(TaskName::TchuTchu).connect().await.unwrap();
    tagged("order:3").publish(&publisher).await.unwrap();
    assert_eq!(worker.says().await, json!({"handler": "topic", "fields": tagged_fields("order:3")}));
}
