//! One contract, with what pages say of it at the top.

use std::collections::HashMap;

use celerysalt_codegen::naming::type_name;
use celerysalt_contract::{ContractRecord, Status, Topic, Version, evolution::Release};
use serde_json::Value;

/// One topic and version among those of its topic.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) record: &'a ContractRecord,
    pub(crate) release: &'a Release,
    /// The one before it.
    pub(crate) before: Option<&'a Release>,
    /// The title, else made of the topic.
    pub(crate) title: String,
    pub(crate) is_newest: bool,
    /// Whether generated code has its types at the top: it is the newest version, and no other topic's has its name.
    pub(crate) is_at_top: bool,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(versions: &'a [Release], at: usize, names: &HashMap<String, usize>) -> Option<Self> {
        let release = versions.get(at)?;
        let record = release.record();
        let title = title(record);
        let is_newest = at + 1 == versions.len();
        Some(Self {
            is_at_top: is_newest && names.get(&type_name(&title)).is_none_or(|topics| *topics == 1),
            record,
            release,
            before: at.checked_sub(1).and_then(|before| versions.get(before)),
            title,
            is_newest,
        })
    }

    /// One of the contract's own settings.
    pub(crate) fn setting(&self, name: &str) -> Option<&'a str> {
        setting(self.record, name)
    }

    pub(crate) fn is_deprecated(&self) -> bool {
        self.record.status == Status::Deprecated
    }
}

/// `x-celerysalt.name` of a contract.
pub(crate) fn setting<'a>(record: &'a ContractRecord, name: &str) -> Option<&'a str> {
    record.schema.get("x-celerysalt")?.get(name)?.as_str()
}

/// The schema's title, else the topic in `PascalCase`.
pub(crate) fn title(record: &ContractRecord) -> String {
    let written = record.schema["title"].as_str().filter(|title| !title.trim().is_empty());
    written.map_or_else(
        || {
            let words = record.topic.as_str().split(['.', '-', '_']).filter(|word| !word.is_empty());
            words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
        },
        ToOwned::to_owned,
    )
}

/// The first paragraph of a text, on one line.
pub(crate) fn summary(text: &str) -> String {
    let paragraph = text.trim().split("\n\n").next().unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The page of a contract, from the site's root.
pub(crate) fn contract_path(topic: &Topic, version: &Version) -> String {
    format!("topics/{topic}/{version}.html")
}

/// The page of a topic's changes, from the site's root.
pub(crate) fn changes_path(topic: &Topic) -> String {
    format!("topics/{topic}/changes.html")
}

/// The schemas of a contract: what each is called, its id on the page, the schema.
pub(crate) fn parts(record: &ContractRecord) -> Vec<(&'static str, &'static str, &Value)> {
    let first = match record.mode {
        celerysalt_contract::Mode::Broadcast => ("Payload", "payload"),
        celerysalt_contract::Mode::Rpc => ("Request", "request"),
    };
    let mut parts = vec![(first.0, first.1, &record.schema)];
    parts.extend(record.response_schema.as_ref().map(|schema| ("Response", "response", schema)));
    parts.extend(record.error_schema.as_ref().map(|schema| ("Declared error", "error", schema)));
    parts
}
