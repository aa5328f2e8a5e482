//! Contracts become known at start-up, and never at the price of an event.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use celerysalt::{
    __private::Parts,
    AnyEvent, ConnectError, ContractRecord, EventContract, Mode, OnConflict, Rest, Selector, Topic, Version,
    registry::{Plan, Registered, Registry, RegistryError, memory::MemoryRegistry},
};
use celerysalt_reference::events::{self, UserCreated};
use celerysalt_tests::{World, within};
use tokio::sync::mpsc;

use crate::on_each_broker;

on_each_broker!(
    naming_contracts_registers_them,
    the_first_publish_registers_what_was_not_named,
    a_program_that_ends_at_once_has_registered,
    a_contract_can_be_registered_by_hand,
    a_conflict_stops_the_start_unless_told_otherwise,
    publishing_goes_on_while_the_registry_is_away,
    messages_wait_for_the_registry,
    a_subscriber_that_was_there_first_gets_the_first_event,
    known_contracts_need_no_registry,
    what_is_to_stay_out_of_the_registry_does,
    a_raw_handler_needs_no_registry,
);

async fn naming_contracts_registers_them(world: &World) {
    world.publisher("auth").await;
    let registered = world.registry().list(None).await.unwrap();
    let named: Vec<String> = registered.iter().map(|c| format!("{}@{}", c.topic, c.version)).collect();
    assert_eq!(named.len(), events::contracts().len());
    assert!(named.contains(&"auth.user.signup@v1".to_owned()) && named.contains(&"auth.user.signup@v2".to_owned()));
    let get = registered.iter().find(|c| c.topic.as_str() == "rpc.pulse.risk.get").unwrap();
    assert!(get.response_schema.is_some() && get.error_schema.is_some());
}

async fn the_first_publish_registers_what_was_not_named(world: &World) {
    let salt = world.salt("auth").await;
    let event = UserCreated { user_id: 1.into(), email: "a@example.com".to_owned(), rest: Rest::default() };
    event.publish(&salt).allow_unrouted().await.unwrap();
    let topic: Topic = "auth.user.created".parse().unwrap();
    let version: Version = "v1".parse().unwrap();
    within(async {
        while !world.registry().has(&topic, &version).await.unwrap() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn a_program_that_ends_at_once_has_registered(world: &World) {
    let salt = world.salt("auth").await;
    let event = UserCreated { user_id: 1.into(), email: "a@example.com".to_owned(), rest: Rest::default() };
    event.publish(&salt).allow_unrouted().await.unwrap();
    within(salt.close()).await;
    drop(salt);
    assert_eq!(world.registry().list(None).await.unwrap().len(), 1);

    let cable = Arc::new(Cable::default());
    cable.cut.store(true, Ordering::SeqCst);
    let salt = world.builder("auth").await.registry(cable).contracts(events::contracts()).connect().await.unwrap();
    within(salt.close()).await;
}

async fn a_contract_can_be_registered_by_hand(world: &World) {
    let salt = world.salt("auth").await;
    assert_eq!(salt.register::<UserCreated>().await.unwrap(), Registered::Created);
    assert_eq!(salt.register::<UserCreated>().await.unwrap(), Registered::Unchanged);
}

async fn a_conflict_stops_the_start_unless_told_otherwise(world: &World) {
    let contract = events::contracts().into_iter().find(|c| c.topic() == "auth.user.created").unwrap();
    let mut other = contract.to_record().unwrap();
    other.schema["properties"]["user_id"]["minimum"] = 5.into();
    other.fingerprint = celerysalt_contract::fingerprint(other.mode, &other.schema, None, None);
    world.registry().register(&other).await.unwrap();
    let error = world.builder("auth").await.contracts(events::contracts()).connect().await.unwrap_err();
    let ConnectError::Conflict(conflicts) = &error else { panic!("{error}") };
    assert_eq!(conflicts.len(), 1);
    let text = error.to_string();
    assert!(text.contains("auth.user.created@v1") && text.contains("minimum"), "{text}");
    assert_eq!(world.registry().list(None).await.unwrap().len(), 1, "nothing else was written");

    let builder = world.builder("auth").await.contracts(events::contracts()).on_conflict(OnConflict::Warn);
    let salt = builder.connect().await.unwrap();
    within(async {
        while world.registry().list(None).await.unwrap().len() < events::contracts().len() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    salt.close().await;
    let kept = world.registry().get(&other.topic, &other.version).await.unwrap().unwrap();
    assert_eq!(kept.fingerprint, other.fingerprint, "the released one stays");
}

/// A registry that can be cut off.
#[derive(Debug, Default)]
struct Cable {
    cut: AtomicBool,
    refused: AtomicU64,
    asked: AtomicU64,
    registry: MemoryRegistry,
}

impl Cable {
    fn plug(&self) -> Result<&MemoryRegistry, RegistryError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.cut.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(RegistryError::Unavailable { registry: "test".into(), reason: "cut off".into() });
        }
        Ok(&self.registry)
    }
}

#[async_trait::async_trait]
impl Registry for Cable {
    async fn sync(&self, contracts: &[ContractRecord], dry_run: bool) -> Result<Plan, RegistryError> {
        self.plug()?.sync(contracts, dry_run).await
    }

    async fn get(&self, topic: &Topic, version: &Version) -> Result<Option<ContractRecord>, RegistryError> {
        self.plug()?.get(topic, version).await
    }

    async fn list(&self, filter: Option<&Selector>) -> Result<Vec<ContractRecord>, RegistryError> {
        self.plug()?.list(filter).await
    }
}

async fn publishing_goes_on_while_the_registry_is_away(world: &World) {
    let cable = Arc::new(Cable::default());
    cable.cut.store(true, Ordering::SeqCst);
    let builder = world.builder("auth").await.registry(cable.clone());
    let salt = builder.contracts(events::contracts()).connect().await.unwrap();
    let event = UserCreated { user_id: 1.into(), email: "a@example.com".to_owned(), rest: Rest::default() };
    event.publish(&salt).allow_unrouted().await.unwrap();
    assert!(cable.registry.list(None).await.unwrap().is_empty());
    cable.cut.store(false, Ordering::SeqCst);
    within(async {
        while cable.registry.list(None).await.unwrap().len() < events::contracts().len() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn messages_wait_for_the_registry(world: &World) {
    let publisher = world.publisher("auth").await;
    let cable = Arc::new(Cable { registry: world.registry().clone(), ..Cable::default() });
    cable.cut.store(true, Ordering::SeqCst);
    let subscriber = world.builder("mail").await.registry(cable.clone()).connect().await.unwrap();
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: AnyEvent| {
        seen.send(event).unwrap();
        async {}
    };
    let running = subscriber.service().on_topic("auth.user.created", handler).start().await.unwrap();
    let before = cable.refused.load(Ordering::SeqCst);
    UserCreated { user_id: 1.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
        .publish(&publisher)
        .await
        .unwrap();
    within(async {
        while cable.refused.load(Ordering::SeqCst) < before + 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(seeing.try_recv().is_err());
    cable.cut.store(false, Ordering::SeqCst);
    assert_eq!(within(seeing.recv()).await.unwrap()["user_id"], 1);
    assert_eq!(running.shutdown().await.counts.dead_lettered, 0);
}

/// It asked the registry before the publisher was there; and the publisher registers only while it publishes.
async fn a_subscriber_that_was_there_first_gets_the_first_event(world: &World) {
    let subscriber = world.salt("mail").await;
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: AnyEvent| {
        seen.send(event).unwrap();
        async {}
    };
    let running = subscriber.service().on_topic("auth.user.created", handler).start().await.unwrap();
    let publisher = world.salt("auth").await;
    UserCreated { user_id: 1.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
        .publish(&publisher)
        .await
        .unwrap();
    assert_eq!(within(seeing.recv()).await.unwrap()["user_id"], 1);
    assert_eq!(running.shutdown().await.counts.dead_lettered, 0);
}

async fn known_contracts_need_no_registry(world: &World) {
    let publisher = world.publisher("auth").await;
    let cable = Arc::new(Cable { registry: world.registry().clone(), ..Cable::default() });
    let subscriber = world.builder("mail").await.registry(cable.clone()).connect().await.unwrap();
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: AnyEvent| {
        seen.send(event).unwrap();
        async {}
    };
    let running = subscriber.service().on_topic("auth.user.created", handler).start().await.unwrap();
    cable.asked.store(0, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    for user_id in 0..10 {
        UserCreated { user_id: user_id.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
            .publish(&publisher)
            .await
            .unwrap();
        within(seeing.recv()).await.unwrap();
    }
    assert_eq!(cable.asked.load(Ordering::SeqCst), 0, "a released contract does not change");
    running.shutdown().await;
}

/// As it is generated of a schema with these settings.
fn contract(topic: &'static str, registry: bool, auto_register: bool) -> &'static EventContract {
    let schema = r#"{"type":"object"}"#;
    let fingerprint = celerysalt_contract::fingerprint(Mode::Broadcast, &schema.parse().unwrap(), None, None);
    Box::leak(Box::new(EventContract::new(Parts {
        topic,
        version: "v1",
        mode: Mode::Broadcast,
        exchange: None,
        description: "",
        schema,
        response_schema: None,
        error_schema: None,
        fingerprint: fingerprint.to_string().leak(),
        publisher_module: "",
        publisher_class: "",
        registry,
        auto_register,
    })))
}

async fn what_is_to_stay_out_of_the_registry_does(world: &World) {
    let contracts = [("a.both", true, true), ("a.by_hand", true, false), ("a.no_registry", false, true)];
    let contracts = contracts.map(|(topic, registry, auto_register)| contract(topic, registry, auto_register));
    world.builder("auth").await.contracts(contracts).connect().await.unwrap().close().await;
    let registered = world.registry().list(None).await.unwrap();
    let topics: Vec<&str> = registered.iter().map(|record| record.topic.as_str()).collect();
    assert_eq!(topics, ["a.both"]);
}

async fn a_raw_handler_needs_no_registry(world: &World) {
    let cable = Arc::new(Cable::default());
    cable.cut.store(true, Ordering::SeqCst);
    let (publisher, subscriber) =
        (world.publisher("auth").await, world.builder("mail").await.registry(cable.clone()).connect().await.unwrap());
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: AnyEvent| {
        seen.send(event.into_json()).unwrap();
        async {}
    };
    let running = subscriber.service().on_raw("a.no_registry", handler).start().await.unwrap();
    let payload = serde_json::json!({"user_id": 1, "nested": {"list": [1, "two", null]}});
    publisher.publish_json("a.no_registry", payload.clone()).unvalidated().await.unwrap();
    assert_eq!(within(seeing.recv()).await.unwrap(), payload);
    running.shutdown().await;
}
