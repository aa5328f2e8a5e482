//! The contracts as an AsyncAPI 3.0 document: a channel a topic, a message a version, an operation for each way to use it.
//!
//! Schemas stand in `components/schemas` as draft 7, which every AsyncAPI tool reads. What a contract says in a later draft
//! and draft 7 has no word for is kept, is ignored by such tools, and is named in `x-celerysalt-not-expressed`.

mod draft7;

use std::collections::BTreeMap;

use celerysalt_contract::{ContractRecord, Mode, Status, Topic};
use serde_json::{Map, Value, json};

use crate::{
    sample::Samples,
    subject::{setting, summary, title},
};

/// The document of some contracts.
///
/// ```
/// use celerysalt_contract::ContractRecord;
/// use serde_json::{json, Value};
///
/// let record = json!({"topic": "a.b", "version": "v1", "mode": "broadcast", "schema": {"type": "object"}, "fingerprint": ""});
/// let record: ContractRecord = serde_json::from_value(record)?;
/// let document: Value = celerysalt_catalog::asyncapi("Contracts", [&record]);
/// assert_eq!(document["channels"]["a.b"]["address"], "a.b");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn asyncapi<'a>(name: &str, records: impl IntoIterator<Item = &'a ContractRecord>) -> Value {
    document(name, records, &Samples::default())
}

/// With examples that may have been made before.
pub(crate) fn document<'a>(
    name: &str,
    records: impl IntoIterator<Item = &'a ContractRecord>,
    samples: &Samples,
) -> Value {
    let mut topics: BTreeMap<&Topic, Vec<&ContractRecord>> = BTreeMap::new();
    for record in records {
        topics.entry(&record.topic).or_default().push(record);
    }
    let mut document = Parts::new(samples);
    for (topic, mut versions) in topics {
        versions.sort_by(|a, b| a.version.cmp(&b.version));
        document.topic(topic, &versions);
    }
    let Parts { channels, operations, messages, schemas, .. } = document;
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": name,
            "version": "1.0.0",
            "description": "Event contracts. Messages travel over RabbitMQ as Celery tasks; payloads are those of the contracts.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    })
}

struct Parts<'a> {
    samples: &'a Samples,
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
    schemas: Map<String, Value>,
}

impl<'a> Parts<'a> {
    fn new(samples: &'a Samples) -> Self {
        Self { samples, channels: Map::new(), operations: Map::new(), messages: Map::new(), schemas: Map::new() }
    }

    fn topic(&mut self, topic: &Topic, versions: &[&ContractRecord]) {
        let Some(newest) = versions.last() else { return };
        let is_rpc = newest.mode == Mode::Rpc;
        let mut asked = Map::new();
        let mut answered = Map::new();
        for record in versions {
            let name = format!("{topic}.{}", record.version);
            let part = if record.mode == Mode::Rpc { "request" } else { "payload" };
            self.message(&name, part, record, &record.schema);
            asked.insert(record.version.to_string(), component(&name));
            for (part, schema) in [("response", &record.response_schema), ("error", &record.error_schema)] {
                if let Some(schema) = schema {
                    let name = format!("{name}.{part}");
                    self.message(&name, part, record, schema);
                    answered.insert(format!("{}.{part}", record.version), component(&name));
                }
            }
        }
        let exchange = setting(newest, "exchange").unwrap_or(celerysalt::DEFAULT_EXCHANGE);
        let channel = json!({
            "address": topic,
            "title": title(newest),
            "description": newest.description,
            "messages": asked,
            "bindings": {"amqp": {
                "is": "routingKey",
                "exchange": {"name": exchange, "type": "topic", "durable": true, "autoDelete": false},
            }},
        });
        self.channels.insert(topic.to_string(), channel);
        let all = |channel: &str, messages: &Map<String, Value>| -> Vec<Value> {
            messages.keys().map(|key| reference(&["channels", channel, "messages", key])).collect()
        };
        let here = reference(&["channels", topic.as_str()]);
        let messages = all(topic.as_str(), &asked);
        let mut send =
            json!({"action": "send", "channel": here, "messages": messages, "summary": summary(&newest.description)});
        let mut receive = json!({"action": "receive", "channel": here, "messages": messages});
        if is_rpc && !answered.is_empty() {
            // Where answers go is said by the request.
            let replies = format!("{topic}.reply");
            let reply = json!({
                "address": {"location": "$message.header#/reply_to"},
                "channel": reference(&["channels", &replies]),
                "messages": all(&replies, &answered),
            });
            self.channels.insert(
                replies,
                json!({"address": null, "title": format!("Answers to {topic}"), "messages": answered}),
            );
            send["reply"] = reply.clone();
            receive["reply"] = reply;
        }
        let (sends, receives) = if is_rpc { ("call", "serve") } else { ("publish", "subscribe") };
        self.operations.insert(format!("{sends}.{topic}"), send);
        self.operations.insert(format!("{receives}.{topic}"), receive);
    }

    fn message(&mut self, name: &str, part: &str, record: &ContractRecord, schema: &Value) {
        let examples: Vec<Value> =
            self.samples.of(schema).valid.iter().map(|example| json!({"payload": example.value})).collect();
        let mut message = json!({
            "name": name,
            "title": schema["title"].as_str().map_or_else(|| format!("{} {part}", title(record)), ToOwned::to_owned),
            "summary": summary(schema["description"].as_str().unwrap_or_default()),
            "contentType": "application/json",
            "payload": reference(&["components", "schemas", name]),
            "x-celerysalt-version": record.version,
            "x-celerysalt-fingerprint": record.fingerprint,
        });
        if !examples.is_empty() {
            message["examples"] = examples.into();
        }
        if record.status == Status::Deprecated {
            message["x-celerysalt-deprecated"] = true.into();
        }
        if let Some(owner) = setting(record, "owner") {
            message["x-celerysalt-owner"] = owner.into();
        }
        self.messages.insert(name.to_owned(), message);
        self.schemas.insert(name.to_owned(), draft7::convert(schema, &format!("#/components/schemas/{name}")));
    }
}

fn component(name: &str) -> Value {
    reference(&["components", "messages", name])
}

fn reference(path: &[&str]) -> Value {
    let path: Vec<String> = path.iter().map(|part| part.replace('~', "~0").replace('/', "~1")).collect();
    json!({"$ref": format!("#/{}", path.join("/"))})
}
