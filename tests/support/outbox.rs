//! What the tests of the outbox and the event store share: events with numbers, and what reaches a queue of them.

use std::collections::{BTreeMap, HashMap};

use celerysalt::{
    Meta, Rest,
    sqlx::{PgPool, postgres::PgPoolOptions},
    transport::{Binding, Deliveries, Message, QueueKind, QueueSpec, Transport},
};
use celerysalt_reference::events::RiskAssessmentCreated;
use serde_json::Value;

use crate::{World, within};

/// A pool for a schema's URL.
pub async fn pool(url: &str) -> PgPool {
    PgPoolOptions::new().max_connections(12).connect(url).await.unwrap()
}

/// An event that can be told from others.
pub fn event(name: impl Into<String>) -> RiskAssessmentCreated {
    RiskAssessmentCreated {
        assessment_id: name.into(),
        company_id: 1.into(),
        risk_score: 5.0,
        created_by: None,
        assessment_type: None,
        rest: Rest::default(),
    }
}

/// What a message of [`event`] has in it.
pub fn name_of(message: &Message) -> String {
    let body: Value = serde_json::from_slice(&message.body).unwrap();
    let payload: Value = serde_json::from_str(body[0][0].as_str().unwrap()).unwrap();
    payload["assessment_id"].as_str().unwrap().to_owned()
}

/// A [`Meta`] as a handler of the message would get it, as far as its id goes.
pub fn meta(message_id: &str, replay: Option<&str>) -> Meta {
    let mut meta = Meta::default();
    meta.message_id = Some(message_id.to_owned());
    meta.replay = replay.map(str::to_owned);
    meta
}

/// A queue that gets everything of the world's exchange.
pub fn queue(world: &World, name: &str) -> QueueSpec {
    QueueSpec {
        name: world.foreign_queue(name),
        kind: QueueKind::Quorum,
        bindings: vec![Binding { exchange: world.exchange(), pattern: "#".parse().unwrap() }],
        dead_letter: None,
    }
}

/// What has come out of a queue.
pub struct Seen {
    deliveries: Deliveries,
    /// Each message's id and name, in the order of coming.
    pub all: Vec<(String, String)>,
    /// How often each name came.
    pub counts: HashMap<String, usize>,
}

impl Seen {
    /// Declares the queue and starts to read it.
    pub async fn on(transport: &dyn Transport, queue: &QueueSpec) -> Self {
        let deliveries = transport.consume(queue, 1_000).await.unwrap();
        Self { deliveries, all: Vec::new(), counts: HashMap::new() }
    }

    /// The next message.
    pub async fn next(&mut self) -> Message {
        let delivery = within(self.deliveries.next()).await.unwrap().unwrap();
        let message = delivery.message.clone();
        // Refused after the connection was lost: it comes again then.
        drop(delivery.ack().await);
        let name = name_of(&message);
        *self.counts.entry(name.clone()).or_default() += 1;
        self.all.push((message.properties.message_id.clone().unwrap(), name));
        message
    }

    /// Reads until so many different events have come.
    pub async fn until(&mut self, different: usize) {
        while self.counts.len() < different {
            self.next().await;
        }
    }

    /// How many came more than once, each time counted.
    pub fn extra(&self) -> usize {
        self.all.len() - self.counts.len()
    }

    /// Whether the events of each key, named `KEY:NUMBER`, came the first time in the order of their numbers, without a gap.
    pub fn assert_order(&self) {
        let mut next: BTreeMap<&str, u64> = BTreeMap::new();
        let mut seen = std::collections::HashSet::new();
        for (_, name) in &self.all {
            let (key, number) = name.split_once(':').unwrap();
            if seen.insert(name) {
                let next = next.entry(key).or_default();
                assert_eq!(number.parse::<u64>().unwrap(), *next, "of key {key}");
                *next += 1;
            }
        }
    }
}
