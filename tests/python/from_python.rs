//! Python publishes, Rust's handlers fire.

use celerysalt::{AnyEvent, Event, Meta, Running};
use celerysalt_reference::events::{OrderCreated, TaggedItemCreated};
use celerysalt_tests::{World, python::Peer, within};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{every_value, salt_client, tagged_fields, tchu_client};

/// A service with a typed handler and one by topic.
struct Subscriber {
    running: Running,
    typed: mpsc::UnboundedReceiver<(TaggedItemCreated, Meta)>,
    by_topic: mpsc::UnboundedReceiver<(Value, Meta)>,
}

impl Subscriber {
    async fn start(world: &World) -> Self {
        world.publisher("contracts").await.close().await;
        let (type_it, typed) = mpsc::unbounded_channel();
        let (name_it, by_topic) = mpsc::unbounded_channel();
        let service = world.salt("mail").await.service();
        let service = service.on(move |event: TaggedItemCreated, meta: Meta| {
            type_it.send((event, meta)).unwrap();
            async {}
        });
        let service = service.on_topic("scranton.#", move |event: AnyEvent, meta: Meta| {
            name_it.send((event.into_json(), meta)).unwrap();
            async {}
        });
        Self { running: service.start().await.unwrap(), typed, by_topic }
    }

    /// Both handlers got these fields; gives the meta that they got.
    async fn gets(&mut self, fields: &Value) -> Meta {
        let (event, meta) = within(self.typed.recv()).await.unwrap();
        let (payload, same) = within(self.by_topic.recv()).await.unwrap();
        assert_eq!(payload, *fields);
        assert_eq!(event, TaggedItemCreated::from_json(fields.clone()).unwrap());
        assert_eq!(Value::from(event.object_json), every_value());
        assert_eq!(event.company_id, i64::MAX);
        assert_eq!(event.value_chain_id.and_then(|id| id.as_i64()), fields["value_chain_id"].as_i64());
        assert_eq!(meta, same);
        meta
    }
}

async fn published(client: &mut Peer, order: Value) -> String {
    let said = client.ask(order).await;
    said["done"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[tokio::test]
async fn celery_salts_events_by_celery_and_by_kombu() {
    let world = World::rabbitmq();
    let mut subscriber = Subscriber::start(&world).await;
    let mut client = salt_client(&world).await;
    for by in ["celery", "kombu"] {
        let mut fields = tagged_fields(by);
        if by == "kombu" {
            fields["value_chain_id"] = Value::Null;
        }
        let id = published(
            &mut client,
            json!({
                "do": "publish", "event": "TaggedItemCreated", "by": by, "fields": fields, "correlation_id": "c-1",
            }),
        )
        .await;
        let meta = subscriber.gets(&fields).await;
        assert_eq!(meta.message_id, Some(id), "{by}");
        assert_eq!(meta.version.map(|version| version.to_string()).as_deref(), Some("v1"), "{by}");
        assert_eq!(meta.correlation_id.as_deref(), Some("c-1"), "{by}");
        assert_eq!(meta.topic, "scranton.tagged_item.created", "{by}");
        assert!(!meta.is_rpc, "{by}");
    }
    let counts = subscriber.running.shutdown().await.counts;
    assert_eq!((counts.received, counts.handled), (2, 2));
}

#[tokio::test]
async fn a_compressed_event() {
    let world = World::rabbitmq();
    let mut subscriber = Subscriber::start(&world).await;
    let mut client = salt_client(&world).await;
    for compression in ["gzip", "zlib"] {
        let fields = tagged_fields(compression);
        let topic = "scranton.tagged_item.created";
        let order = json!({"do": "send", "topic": topic, "fields": fields, "compression": compression});
        let id = published(&mut client, order).await;
        assert_eq!(subscriber.gets(&fields).await.message_id, Some(id), "{compression}");
    }
    assert_eq!(subscriber.running.shutdown().await.counts.handled, 2);
}

#[tokio::test]
async fn tchu_tchus_events_by_celery_and_serverless() {
    let world = World::rabbitmq();
    let mut subscriber = Subscriber::start(&world).await;
    let mut client = tchu_client(&world).await;
    for by in ["celery", "serverless"] {
        let mut fields = tagged_fields(by);
        if by == "serverless" {
            fields["value_chain_id"] = Value::Null;
        }
        let topic = "scranton.tagged_item.created";
        let id = published(&mut client, json!({"do": "publish", "topic": topic, "by": by, "fields": fields})).await;
        let meta = subscriber.gets(&fields).await;
        assert_eq!(meta.message_id, Some(id), "{by}");
        assert_eq!((meta.version, meta.topic.as_str()), (None, topic), "{by}");
    }
    let counts = subscriber.running.shutdown().await.counts;
    assert_eq!((counts.received, counts.handled), (2, 2));
}

#[tokio::test]
async fn pythons_times_and_decimals_are_read() {
    let world = World::rabbitmq();
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: OrderCreated| {
        seen.send((event.timestamp, event.amount)).unwrap();
        async {}
    };
    let running = world.salt("mail").await.service().on(handler).start().await.unwrap();
    let mut client = salt_client(&world).await;
    // Python's times may come without an offset.
    for time in ["2026-11-22T10:00:00.123456+05:30", "2026-11-22T10:00:00+00:00", "2026-11-22T10:00:00"] {
        let fields = json!({"order_id": "O-1", "company_id": 7, "timestamp": time, "amount": "19.99"});
        published(&mut client, json!({"do": "publish", "event": "OrderCreated", "by": "celery", "fields": fields}))
            .await;
        assert_eq!(within(seeing.recv()).await.unwrap(), (Some(time.to_owned()), Some(19.99)));
    }
    assert_eq!(running.shutdown().await.counts.handled, 3);
}
