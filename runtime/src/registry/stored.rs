//! What registries in databases have in common: contracts as rows, before it matters whose.

use std::{collections::BTreeMap, str::FromStr};

use celerysalt_contract::{
    ContractRecord, Fingerprint, Mode, Selector, SelectorError, Status, Topic, Version, VersionRange, fingerprint,
};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    RegistryError,
    sync::{self, Changes, Key},
};

/// The width of the column in PostgreSQL, and so the limit everywhere: contracts move between registries.
const VERSION_LENGTH: usize = 50;

/// What tells whether a row is up to date, without its documents.
#[derive(Debug)]
pub(super) struct Head {
    /// As the row has it: `v1` where `v1.0` may be offered.
    pub(super) version: String,
    pub(super) fingerprint: Option<String>,
    pub(super) content_hash: Option<String>,
    pub(super) has_module: bool,
    pub(super) has_class: bool,
}

impl Head {
    fn is_current(&self, contract: &ContractRecord) -> bool {
        self.fingerprint.as_deref() == Some(contract.fingerprint.as_str())
            && (self.has_module || contract.publisher_module.is_none())
            && (self.has_class || contract.publisher_class.is_none())
            && self.content_hash.as_deref() == Some(&content_hash(contract))
    }
}

/// The schemas of a row.
#[derive(Debug, Deserialize)]
pub(super) struct Documents {
    pub(super) schema: Value,
    pub(super) response_schema: Option<Value>,
    pub(super) error_schema: Option<Value>,
}

impl Documents {
    pub(super) fn fingerprint(&self, mode: Mode) -> Fingerprint {
        fingerprint(mode, &self.schema, self.response_schema.as_ref(), self.error_schema.as_ref())
    }

    /// What was released, in the newest words. Words that come to another meaning are not the contract's: who wrote them
    /// got past this program, and they are passed over.
    pub(super) fn retold(
        self,
        annotated: Option<Value>,
        mode: Mode,
        fingerprint: &Fingerprint,
        (topic, version): (&Topic, &Version),
    ) -> Self {
        let Some(annotated) = annotated else { return self };
        match serde_json::from_value::<Self>(annotated) {
            Ok(retold)
                if retold.fingerprint(mode) == *fingerprint
                    && sync::exchange(&retold.schema) == sync::exchange(&self.schema) =>
            {
                retold
            }
            _ => {
                tracing::warn!(
                    %topic, %version,
                    "the registry's annotations of this contract change its meaning, and are passed over: set its \
                     columns `annotated` and `content_hash` to null, and run `celerysalt sync`"
                );
                self
            }
        }
    }
}

/// What the table knows of the topics that are offered, by hashes.
pub(super) type Heads = BTreeMap<Key, Head>;

/// What is offered, held against the hashes: each contract is hashed once.
#[derive(Debug)]
pub(super) struct Compared<'a> {
    contracts: &'a [ContractRecord],
    heads: &'a Heads,
    is_current: Vec<bool>,
}

impl<'a> Compared<'a> {
    pub(super) fn new(contracts: &'a [ContractRecord], heads: &'a Heads) -> Self {
        let is_current = contracts
            .iter()
            .map(|contract| heads.get(&sync::key(contract)).is_some_and(|head| head.is_current(contract)))
            .collect();
        Self { contracts, heads, is_current }
    }

    /// The rows whose documents have to be looked at, spelled as the table has them: those that hashes can't decide.
    pub(super) fn stale(&self) -> Vec<(&'a str, &'a str)> {
        let contracts = self.contracts.iter().zip(&self.is_current).filter(|(_, is_current)| !**is_current);
        contracts
            .filter_map(|(contract, _)| {
                let head = self.heads.get(&sync::key(contract))?;
                Some((contract.topic.as_str(), head.version.as_str()))
            })
            .collect()
    }

    /// The plan, from the hashes and the rows that they could not decide.
    pub(super) fn plan(&self, known: Vec<ContractRecord>) -> Changes {
        let known = known.into_iter().map(|record| (sync::key(&record), record)).collect();
        sync::plan(self.contracts, known, |place| self.is_current[place])
    }
}

/// Of everything that a sync may change, so that equal hashes need no comparison. It depends on no order of keys.
pub(super) fn content_hash(contract: &ContractRecord) -> String {
    let ContractRecord { mode, schema, response_schema, error_schema, description, .. } = contract;
    let mut text = format!("celerysalt 1 {mode} ").into_bytes();
    write_json(description, &mut text);
    for part in [Some(schema), response_schema.as_ref(), error_schema.as_ref()] {
        text.push(b'\n');
        if let Some(schema) = part {
            write_sorted(schema, &mut text);
        }
    }
    format!("{:x}", Sha256::digest(text))
}

/// As JSON, with keys sorted. As deep as the document nests.
fn write_sorted(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            text.push(b'{');
            for (name, member) in sorted {
                write_json(name, text);
                text.push(b':');
                write_sorted(member, text);
                text.push(b',');
            }
            text.push(b'}');
        }
        Value::Array(items) => {
            text.push(b'[');
            for item in items {
                write_sorted(item, text);
                text.push(b',');
            }
            text.push(b']');
        }
        scalar => write_json(scalar, text),
    }
}

fn write_json(value: &(impl serde::Serialize + ?Sized), text: &mut Vec<u8>) {
    // Text and numbers are always JSON, and memory takes what it is given.
    let _ = serde_json::to_writer(text, value);
}

/// What a row's name says, or why the row is no contract.
pub(super) fn key(topic: &str, version: &str) -> Result<Key, String> {
    let no_contract = |reason: String| {
        format!("its table celerysalt_schemas has a row that is no contract, {topic:?} {version:?}: {reason}")
    };
    Ok((
        topic.parse().map_err(|error| no_contract(format!("{error}")))?,
        Version::parse_lenient(version).map_err(|error| no_contract(error.to_string()))?,
    ))
}

/// A row's mode, or why the row is no contract.
pub(super) fn mode(text: &str, topic: &Topic, version: &Version) -> Result<Mode, String> {
    match text {
        "broadcast" => Ok(Mode::Broadcast),
        "rpc" => Ok(Mode::Rpc),
        _ => Err(format!("the row of {topic}@{version} has a mode that is neither broadcast nor rpc")),
    }
}

/// A row's status, or why the row is no contract.
pub(super) fn status(text: &str, topic: &Topic, version: &Version) -> Result<Status, String> {
    match text {
        "active" => Ok(Status::Active),
        "deprecated" => Ok(Status::Deprecated),
        _ => Err(format!("the row of {topic}@{version} has a status that is neither active nor deprecated")),
    }
}

/// A status as its column has it.
pub(super) fn status_text(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Deprecated => "deprecated",
    }
}

/// Refuses what the tables have no place for, before anything is written.
pub(super) fn check_storable(contracts: &[ContractRecord], registry: &str) -> Result<(), RegistryError> {
    for contract in contracts {
        if let Some(reason) = unstorable(contract) {
            return Err(RegistryError::Unstorable {
                registry: registry.to_owned(),
                topic: contract.topic.clone(),
                version: contract.version.clone(),
                reason,
            });
        }
    }
    Ok(())
}

fn unstorable(contract: &ContractRecord) -> Option<String> {
    if contract.version.as_str().len() > VERSION_LENGTH {
        return Some(format!("a version has at most {VERSION_LENGTH} characters there"));
    }
    let documents = [
        ("schema", Some(&contract.schema)),
        ("response schema", contract.response_schema.as_ref()),
        ("error schema", contract.error_schema.as_ref()),
    ];
    let texts = [Some(&contract.description), contract.publisher_module.as_ref(), contract.publisher_class.as_ref()];
    let place = documents
        .iter()
        .find_map(|(name, schema)| nul(schema.as_ref()?, "").map(|pointer| format!("{name} at `{pointer}`")))
        .or_else(|| {
            texts.iter().flatten().any(|text| text.contains('\0')).then(|| "description or publisher".to_owned())
        })?;
    Some(format!("its {place} holds the character U+0000, which databases can't store in JSON and text; remove it"))
}

/// The JSON pointer of the first string or key with U+0000 in it.
fn nul(value: &Value, pointer: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(|| pointer.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| nul(item, &format!("{pointer}/{index}")))
        }
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            if name.contains('\0') {
                return Some(pointer.to_owned());
            }
            nul(member, &format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// The versions of a selector as a column: what stands behind `@`, or `*` for any.
pub(super) fn versions_text(versions: &VersionRange) -> String {
    match versions {
        VersionRange::Latest => "latest".to_owned(),
        VersionRange::Exact(version) => version.to_string(),
        VersionRange::Compatible(version) => format!("^{version}"),
        _ => "*".to_owned(),
    }
}

/// The selector of two columns, the opposite of [`versions_text`].
pub(super) fn selector(topic: &str, versions: &str) -> Result<Selector, SelectorError> {
    if versions == "*" { Selector::from_str(topic) } else { Selector::from_str(&format!("{topic}@{versions}")) }
}

/// Text that a database can store: a reason or a handler's name, without U+0000.
pub(super) fn storable_text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_hash_is_of_content_and_of_no_order() {
        let record = |schema: &str, description: &str, response: Option<&str>| -> ContractRecord {
            let mut record = json!({
                "topic": "a", "version": "v1", "mode": "broadcast", "fingerprint": "", "description": description,
                "schema": serde_json::from_str::<Value>(schema).unwrap(),
            });
            if let Some(response) = response {
                record["response_schema"] = serde_json::from_str(response).unwrap();
            }
            serde_json::from_value(record).unwrap()
        };
        let first = record(r#"{"a": {"x": 1, "y": [1, {"p": 1, "q": 2}]}, "b": "\"\\"}"#, "d", None);
        let same = record(r#"{"b": "\"\\", "a": {"y": [1, {"q": 2, "p": 1}], "x": 1}}"#, "d", None);
        assert_eq!(content_hash(&first), content_hash(&same));
        let deprecated = ContractRecord { status: Status::Deprecated, ..first.clone() };
        assert_eq!(content_hash(&first), content_hash(&deprecated), "a status is no content");
        let others = [
            record(r#"{"a": {"x": 1, "y": [{"p": 1, "q": 2}, 1]}, "b": "\"\\"}"#, "d", None),
            record(r#"{"a": {"x": "1", "y": [1, {"p": 1, "q": 2}]}, "b": "\"\\"}"#, "d", None),
            record(r#"{"a": {"x": 1, "y": [1, {"p": 1, "q": 2}]}, "b": "\"\\"}"#, "", None),
            record(r#"{"a": {"x": 1, "y": [1, {"p": 1, "q": 2}]}, "b": "\"\\"}"#, "d", Some("{}")),
            record(r#"{"a": {"x": 1, "y": [1, {"p": 1, "q": 2}]}, "b": "\"\\"}"#, "d", Some("true")),
        ];
        let hashes: std::collections::BTreeSet<String> = others.iter().chain([&first]).map(content_hash).collect();
        assert_eq!(hashes.len(), others.len() + 1);
    }

    #[test]
    fn a_nul_is_found_where_it_is() {
        assert_eq!(nul(&json!({"a/b": ["x", "y\0"]}), ""), Some("/a~1b/1".to_owned()));
        assert_eq!(nul(&json!({"a": {"k\0": 1}}), ""), Some("/a".to_owned()));
        assert_eq!(nul(&json!({"a": ["\u{1}", null, 1]}), ""), None);
    }

    #[test]
    fn selectors_survive_their_columns() {
        for text in ["a.b", "a.*@v1", "a.#@^v1.2", "a@latest"] {
            let given: Selector = text.parse().unwrap();
            let read = selector(given.pattern.as_str(), &versions_text(&given.versions)).unwrap();
            assert_eq!(read, given);
        }
    }
}
