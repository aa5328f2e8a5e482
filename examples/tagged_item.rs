//! A tag cascades from an order to its value chain, and a rules engine that has no code of the publisher's runs the rules.
//!
//! ```text
//! cargo run --example tagged_item
//! ```
//!
//! The seeds' `publish` that publishes more is a hook after publishing: it acts however the event is published, and a chain
//! that would never end comes to one. With `--features amqp,postgres` and `CELERYSALT_BROKER_URL`, the broker is RabbitMQ.

use std::sync::Arc;

use celerysalt::serde_json::{Value, json};
use celerysalt::{AnyEvent, Event, HandlerError, Invalid, Meta, Salt, SaltBuilder, Service, State};
use celerysalt_reference::events::{self, TaggedItemCreated};
use tokio::sync::mpsc;

/// Another model that the tag belongs on.
struct Related {
    model: &'static str,
    identifier: String,
    reason: &'static str,
}

/// The seeds' business methods. In a service of its own they are an inherent impl; here the type is another crate's.
trait Cascading {
    fn related_models(&self) -> Vec<Related>;
    fn cascade_events(&self) -> Result<Vec<TaggedItemCreated>, Invalid>;
}

impl Cascading for TaggedItemCreated {
    fn related_models(&self) -> Vec<Related> {
        let chain = self.value_chain_id.as_ref().filter(|_| self.should_cascade());
        let related = |id| Related {
            model: "valuechain",
            identifier: format!("valuechain:{id}"),
            reason: "order_to_valuechain_cascade",
        };
        chain.map(related).into_iter().collect()
    }

    fn cascade_events(&self) -> Result<Vec<TaggedItemCreated>, Invalid> {
        let event = |related: Related| {
            TaggedItemCreated::from_json(json!({
                "company_id": self.company_id,
                "identifier": related.identifier,
                "model_identifier": related.model,
                "object_json": {"cascade_reason": related.reason},
                "tag_name": self.tag_name,
                "tag_slug": self.tag_slug,
            }))
        };
        self.related_models().into_iter().map(event).collect()
    }
}

/// After a tag is published, the tags that follow from it are.
async fn cascade(tagged: TaggedItemCreated) -> Result<Vec<TaggedItemCreated>, HandlerError> {
    Ok(tagged.cascade_events()?)
}

/// What the rules engine does when a tag of this slug is set, for one company.
struct Rule {
    company_id: i64,
    tag_slug: &'static str,
    action: fn(&Value) -> String,
}

type Rules = Arc<Vec<Rule>>;

/// The rules engine: by topic, checked against the registry's schema, the payload as a dictionary.
async fn run_rules(
    event: AnyEvent,
    State(rules): State<Rules>,
    State(done): State<mpsc::UnboundedSender<String>>,
    meta: Meta,
) -> Result<(), HandlerError> {
    let data = event.into_json();
    done.send(format!("tag {} on {} ({} before it)", data["tag_slug"], data["identifier"], meta.depth()))?;
    for rule in rules.iter().filter(|rule| data["company_id"] == rule.company_id && data["tag_slug"] == rule.tag_slug) {
        done.send((rule.action)(&data))?;
    }
    Ok(())
}

/// What the publisher's handle does besides. `main` and the tests share it.
fn publishing(scranton: SaltBuilder) -> SaltBuilder {
    scranton.after_publish(cascade)
}

/// What the rules engine is made of. `main` and the tests share it.
fn wiring(engine: &Salt, done: mpsc::UnboundedSender<String>) -> Service {
    let rules: Rules = Arc::new(vec![Rule {
        company_id: 123,
        tag_slug: "high_priority",
        action: |data| format!("rule: {} goes first", data["identifier"]),
    }]);
    let service = engine.service().concurrency(1).state(rules).state(done);
    service.on_topic("scranton.tagged_item.created", run_rules)
}

/// A tag on an order that belongs to a value chain.
fn tag(slug: &str) -> Result<TaggedItemCreated, Invalid> {
    TaggedItemCreated::from_json(json!({
        "company_id": 123,
        "identifier": "order:456",
        "model_identifier": "order",
        "object_json": {"order_id": 456},
        "tag_name": "High Priority",
        "tag_slug": slug,
        "value_chain_id": 789,
    }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scranton = Salt::builder("tagged-item-scranton").contracts(events::contracts());
    let scranton = publishing(scranton).connect().await?;
    let (done, mut told) = mpsc::unbounded_channel();
    let engine = Salt::connect_env("tagged-item-rules-engine").await?;
    let running = wiring(&engine, done).start().await?;

    for (slug, lines) in [("high_priority", 4), ("system_internal", 1)] {
        let event = tag(slug)?;
        println!("{slug}: will cascade: {}", event.should_cascade());
        event.publish(&scranton).await?;
        for _ in 0..lines {
            println!("{}", told.recv().await.unwrap_or_default());
        }
    }
    running.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use celerysalt::testing::TestApp;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tag_cascades_once_and_rules_survive_a_failure() {
        let (done, mut told) = mpsc::unbounded_channel();
        let mut app = TestApp::new().await.unwrap();
        app.register(events::contracts()).await.unwrap();
        let scranton = app.salt_with("scranton", publishing).await.unwrap();
        app.run("rules-engine", |engine| wiring(engine, done)).await.unwrap();
        // As when the engine's database is away for a moment: its first two tries.
        app.fail_handlers("scranton.tagged_item.created", 2);

        tag("high_priority").unwrap().publish(&scranton).await.unwrap();
        app.settled().await.unwrap();

        let tagged: Vec<String> = app.published::<TaggedItemCreated>().into_iter().map(|tag| tag.identifier).collect();
        assert_eq!(tagged, ["order:456", "valuechain:789"]);
        let mut rules: Vec<String> = std::iter::from_fn(|| told.try_recv().ok()).collect();
        rules.retain(|line| line.starts_with("rule"));
        rules.sort();
        assert_eq!(rules, ["rule: \"order:456\" goes first", "rule: \"valuechain:789\" goes first"]);
        assert_eq!((app.counts("rules-engine").retried, app.dead_letters("rules-engine").await.len()), (2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn tags_of_the_system_stay_where_they_are() {
        let app = TestApp::new().await.unwrap();
        let scranton = app.salt_with("scranton", publishing).await.unwrap();
        tag("system_internal").unwrap().publish(&scranton).await.unwrap();
        assert_eq!(app.published::<TaggedItemCreated>().len(), 1);
    }
}
