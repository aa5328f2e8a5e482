//! A broker and a registry of a test's own, so that tests run side by side.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use celerysalt::{
    Salt, SaltBuilder,
    registry::memory::MemoryRegistry,
    transport::{
        self, Message, QueueKind, QueueSpec, Routing, Transport,
        memory::{MemoryBroker, MemoryTransport},
    },
};
use serde_json::{Map, Value, json};

/// How long anything may take before a test fails. Long, for a loaded machine; nothing waits for it to pass.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// One test's exchange, services and registry, on one kind of broker.
pub struct World {
    broker: Broker,
    /// Everything of this test has it in its name.
    suffix: String,
    registry: MemoryRegistry,
    /// Where answers are kept that don't go to reply queues.
    results: Option<String>,
    services: Mutex<Vec<String>>,
    foreign_queues: Mutex<Vec<String>>,
}

enum Broker {
    Memory(MemoryBroker),
    RabbitMq(String),
}

impl World {
    /// On the in-process broker.
    pub fn memory() -> Self {
        Self::on(Broker::Memory(MemoryBroker::new()))
    }

    /// On RabbitMQ, which must be there.
    pub fn rabbitmq() -> Self {
        Self::on(Broker::RabbitMq(crate::broker_url()))
    }

    /// On a RabbitMQ of the test's own.
    pub fn at(url: String) -> Self {
        Self::on(Broker::RabbitMq(url))
    }

    /// On RabbitMQ, with answers in Redis; both must be there. Python's peers send no answers to reply queues then.
    pub fn rabbitmq_and_redis() -> Self {
        let mut world = Self::rabbitmq();
        world.results = Some(crate::redis_url());
        world
    }

    fn on(broker: Broker) -> Self {
        let suffix = uuid::Uuid::new_v4().simple().to_string();
        Self {
            broker,
            suffix,
            registry: MemoryRegistry::new(),
            results: None,
            services: Mutex::default(),
            foreign_queues: Mutex::default(),
        }
    }

    /// The exchange of this test.
    pub fn exchange(&self) -> String {
        format!("test.{}", self.suffix)
    }

    /// The registry of this test.
    pub fn registry(&self) -> &MemoryRegistry {
        &self.registry
    }

    /// The URL of the result backend of this test's services and peers.
    pub fn result_backend(&self) -> Option<&str> {
        self.results.as_deref()
    }

    /// The name of a service of this test.
    pub fn service_name(&self, name: &str) -> String {
        format!("{name}-{}", self.suffix)
    }

    /// The name of a queue that a peer of this test declares.
    pub fn foreign_queue(&self, name: &str) -> String {
        let queue = format!("{name}-{}", self.suffix);
        self.delete_too(queue.clone());
        queue
    }

    /// Has a queue deleted with those of this test's services.
    pub fn delete_too(&self, queue: impl Into<String>) {
        self.foreign_queues.lock().unwrap().push(queue.into());
    }

    /// Settings for a service of this test.
    pub async fn builder(&self, name: &str) -> SaltBuilder {
        let service = self.service_name(name);
        self.services.lock().unwrap().push(service.clone());
        Salt::builder(service)
            .transport(self.transport(name).await)
            .registry(Arc::new(self.registry.clone()))
            .exchange(self.exchange())
            .result_backend(self.results.clone().unwrap_or_default())
    }

    /// A connected service of this test.
    pub async fn salt(&self, name: &str) -> Salt {
        self.builder(name).await.connect().await.unwrap()
    }

    /// A connected service that has registered the reference contracts.
    pub async fn publisher(&self, name: &str) -> Salt {
        let builder = self.builder(name).await;
        builder.contracts(celerysalt_reference::events::contracts()).connect().await.unwrap()
    }

    /// A bare connection, for messages that no `Salt` would send.
    pub async fn transport(&self, name: &str) -> Arc<dyn Transport> {
        match &self.broker {
            Broker::Memory(broker) => {
                let transport: MemoryTransport = broker.connect();
                Arc::new(transport)
            }
            Broker::RabbitMq(url) => transport::connect(url, name).await.unwrap(),
        }
    }

    /// Sends raw bytes with the routing key `topic`, and waits until a queue has them.
    pub async fn send_raw(&self, topic: &str, headers: Value, body: impl Into<Bytes>) {
        let Value::Object(headers) = headers else { panic!("headers are an object") };
        let message = Message {
            exchange: self.exchange(),
            routing_key: topic.to_owned(),
            headers: headers.into(),
            body: body.into(),
            ..Message::default()
        };
        let transport = self.transport("foreign").await;
        assert_eq!(transport.send(message).await.unwrap().await.unwrap(), Routing::Routed);
        transport.close().await;
    }

    /// Sends an event as a Python service would.
    pub async fn send_event(&self, topic: &str, meta: Value, payload: &Value) {
        let mut inner = payload.as_object().unwrap().clone();
        if !meta.is_null() {
            inner.insert("_tchu_meta".to_owned(), meta);
        }
        let body = json!([[Value::Object(inner).to_string()], {"routing_key": topic}, {}]).to_string();
        let headers = json!({"task": "celery_salt.dispatch_event", "id": uuid::Uuid::new_v4().to_string()});
        self.send_raw(topic, headers, body).await;
    }

    /// Takes `count` messages from a service's dead-letter queue.
    pub async fn dead_letters(&self, service: &str, count: usize) -> Vec<Message> {
        let queue = QueueSpec {
            name: format!("celerysalt.{}.dead", self.service_name(service)),
            kind: QueueKind::Quorum,
            bindings: Vec::new(),
            dead_letter: None,
        };
        let transport = self.transport("reader").await;
        let mut deliveries = transport.consume(&queue, 100).await.unwrap();
        let mut letters = Vec::new();
        while letters.len() < count {
            let delivery = within(deliveries.next()).await.unwrap().unwrap();
            letters.push(delivery.message.clone());
            delivery.ack().await.unwrap();
        }
        deliveries.cancel().await;
        transport.close().await;
        letters
    }
}

/// The future's value, or a failed test when it takes too long.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it took too long")
}

/// A dead letter's header as text.
pub fn header<'a>(letter: &'a Message, name: &str) -> &'a str {
    let none = || panic!("no header {name} in {:?}", letter.headers.keys().collect::<Vec<_>>());
    letter.headers.get(name).and_then(Value::as_str).unwrap_or_else(none)
}

/// An empty header table.
pub fn no_headers() -> Value {
    Value::Object(Map::new())
}

impl Drop for World {
    /// Leaves nothing at the broker, also when the test failed.
    fn drop(&mut self) {
        let Broker::RabbitMq(url) = &self.broker else { return };
        let (url, exchange) = (url.clone(), self.exchange());
        let services = std::mem::take(&mut *self.services.lock().unwrap());
        let queues = services
            .iter()
            .flat_map(|service| {
                let retries = (1..=20).map(|tries| format!("retry.{tries}"));
                let parts = ["events", "rpc", "dead", "waiting"].map(str::to_owned).into_iter().chain(retries);
                parts.map(|part| format!("celerysalt.{service}.{part}")).collect::<Vec<_>>()
            })
            .chain(std::mem::take(&mut *self.foreign_queues.lock().unwrap()))
            .collect();
        let cleaner = std::thread::spawn(move || crate::rabbitmq::delete(&url, queues, vec![exchange]));
        drop(cleaner.join());
    }
}
