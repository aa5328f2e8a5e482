//! Contracts as rows: the statements, and what goes between them and [`ContractRecord`]s.

use std::collections::BTreeMap;

use celerysalt_contract::{ContractRecord, Fingerprint, Mode, Selector, Status, Topic, Version, fingerprint};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, Row, postgres::PgRow, types::Json};

use super::errors::Failure;
use crate::registry::{RegistryError, sync::Key};

/// Rows that one statement writes.
const CHUNK: usize = 1000;
/// The column's width.
const VERSION_LENGTH: usize = 50;

/// What tells whether a row is up to date, without its documents.
pub(super) struct Head {
    /// As the row has it: `v1` where `v1.0` may be offered.
    pub(super) version: String,
    fingerprint: Option<String>,
    content_hash: Option<String>,
    has_module: bool,
    has_class: bool,
}

impl Head {
    pub(super) fn is_current(&self, contract: &ContractRecord) -> bool {
        self.fingerprint.as_deref() == Some(contract.fingerprint.as_str())
            && (self.has_module || contract.publisher_module.is_none())
            && (self.has_class || contract.publisher_class.is_none())
            && self.content_hash.as_deref() == Some(&content_hash(contract))
    }
}

/// Of a whole row. What another program may have left out is optional.
fn record(row: &PgRow) -> Result<ContractRecord, Failure> {
    let (topic, version) = key(row.try_get("topic")?, row.try_get("version")?)?;
    let no_contract = |what: &str| Failure::Row(format!("the row of {topic}@{version} has {what}"));
    let mode = match row.try_get("mode")? {
        "broadcast" => Mode::Broadcast,
        "rpc" => Mode::Rpc,
        _ => return Err(no_contract("a mode that is neither broadcast nor rpc")),
    };
    let status = match row.try_get("status")? {
        "active" => Status::Active,
        "deprecated" => Status::Deprecated,
        _ => return Err(no_contract("a status that is neither active nor deprecated")),
    };
    let schema: Value = row.try_get("schema")?;
    let response_schema: Option<Value> = row.try_get("response_schema")?;
    let error_schema: Option<Value> = row.try_get("error_schema")?;
    let stored: Option<String> = row.try_get("fingerprint")?;
    let fingerprint = stored
        .map_or_else(|| fingerprint(mode, &schema, response_schema.as_ref(), error_schema.as_ref()), Fingerprint::from);
    let description: Option<String> = row.try_get("description")?;
    Ok(ContractRecord {
        topic,
        version,
        mode,
        schema,
        response_schema,
        error_schema,
        description: description.unwrap_or_default(),
        fingerprint,
        publisher_module: row.try_get("publisher_module")?,
        publisher_class: row.try_get("publisher_class")?,
        status,
    })
}

fn records(rows: &[PgRow]) -> Result<Vec<ContractRecord>, Failure> {
    rows.iter().map(record).collect()
}

fn key(topic: &str, version: &str) -> Result<Key, Failure> {
    let no_contract = |reason: String| {
        Failure::Row(format!(
            "its table celerysalt_schemas has a row that is no contract, {topic:?} {version:?}: {reason}"
        ))
    };
    Ok((
        topic.parse().map_err(|error| no_contract(format!("{error}")))?,
        Version::parse_lenient(version).map_err(|error| no_contract(error.to_string()))?,
    ))
}

/// Of everything that an update may change, so that equal hashes need no comparison.
fn content_hash(contract: &ContractRecord) -> String {
    let ContractRecord { mode, schema, response_schema, error_schema, description, status, .. } = contract;
    let mut content = json!([mode, schema, response_schema, error_schema, description, status]);
    content.sort_all_objects();
    format!("{:x}", Sha256::digest(content.to_string()))
}

/// Of every version of the topics of `contracts`.
pub(super) async fn heads(
    connection: &mut PgConnection,
    contracts: &[ContractRecord],
) -> Result<BTreeMap<Key, Head>, Failure> {
    let mut topics: Vec<&str> = contracts.iter().map(|contract| contract.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    let rows = sqlx::query(
        "SELECT topic, version, fingerprint, content_hash,
                publisher_module IS NOT NULL AS has_module, publisher_class IS NOT NULL AS has_class
         FROM celerysalt_schemas WHERE topic = ANY($1)",
    )
    .bind(topics)
    .persistent(false)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let version: String = row.try_get("version")?;
            let key = key(row.try_get("topic")?, &version)?;
            let head = Head {
                version,
                fingerprint: row.try_get("fingerprint")?,
                content_hash: row.try_get("content_hash")?,
                has_module: row.try_get("has_module")?,
                has_class: row.try_get("has_class")?,
            };
            Ok((key, head))
        })
        .collect()
}

/// The rows of these topics and versions, spelled as the table has them.
pub(super) async fn fetch(
    connection: &mut PgConnection,
    keys: &[(&str, &str)],
) -> Result<Vec<ContractRecord>, Failure> {
    let (topics, versions): (Vec<&str>, Vec<&str>) = keys.iter().copied().unzip();
    let rows = sqlx::query(
        "SELECT s.topic, s.version, s.mode, s.schema, s.response_schema, s.error_schema, s.description,
                s.fingerprint, s.publisher_module, s.publisher_class, s.status
         FROM celerysalt_schemas s
         JOIN UNNEST($1::text[], $2::text[]) AS wanted (topic, version)
           ON s.topic = wanted.topic AND s.version = wanted.version",
    )
    .bind(topics)
    .bind(versions)
    .persistent(false)
    .fetch_all(connection)
    .await?;
    records(&rows)
}

/// One row, under whichever spelling of `version` it has.
pub(super) async fn get(
    connection: &mut PgConnection,
    topic: &Topic,
    version: &Version,
) -> Result<Option<ContractRecord>, Failure> {
    let exact =
        Selector { pattern: topic.clone().into(), versions: celerysalt_contract::VersionRange::Exact(version.clone()) };
    Ok(list(connection, Some(&exact)).await?.into_iter().find(|record| record.version == *version))
}

/// At least the rows that `filter` means.
pub(super) async fn list(
    connection: &mut PgConnection,
    filter: Option<&Selector>,
) -> Result<Vec<ContractRecord>, Failure> {
    let rows = sqlx::query(
        "SELECT topic, version, mode, schema, response_schema, error_schema, description,
                fingerprint, publisher_module, publisher_class, status
         FROM celerysalt_schemas WHERE topic LIKE $1",
    )
    .bind(filter.map_or_else(|| "%".to_owned(), |selector| like(selector.pattern.as_str())))
    .persistent(false)
    .fetch_all(connection)
    .await?;
    records(&rows)
}

/// What `LIKE` takes for `pattern`, up to its first wildcard.
fn like(pattern: &str) -> String {
    let words: Vec<&str> = pattern.split('.').collect();
    let fixed: Vec<&str> = words.iter().copied().take_while(|word| *word != "*" && *word != "#").collect();
    // `_` is the one character of topics that `LIKE` takes for a wildcard.
    let prefix = fixed.join(".").replace('_', r"\_");
    if fixed.len() == words.len() { prefix } else { prefix + "%" }
}

/// The columns of `contracts`, in the order of the statements below.
macro_rules! bind_columns {
    ($query:expr, $contracts:expr) => {{
        let column = $contracts;
        $query
            .bind(column.iter().map(|c| c.topic.as_str()).collect::<Vec<_>>())
            .bind(column.iter().map(|c| c.version.as_str()).collect::<Vec<_>>())
            .bind(column.iter().map(|c| c.mode.as_str()).collect::<Vec<_>>())
            .bind(column.iter().map(|c| Json(&c.schema)).collect::<Vec<_>>())
            .bind(column.iter().map(|c| c.response_schema.as_ref().map(Json)).collect::<Vec<_>>())
            .bind(column.iter().map(|c| c.error_schema.as_ref().map(Json)).collect::<Vec<_>>())
            .bind(column.iter().map(|c| c.description.as_str()).collect::<Vec<_>>())
            .bind(column.iter().map(|c| c.fingerprint.as_str()).collect::<Vec<_>>())
            .bind(column.iter().map(|c| c.publisher_module.as_deref()).collect::<Vec<_>>())
            .bind(column.iter().map(|c| c.publisher_class.as_deref()).collect::<Vec<_>>())
            .bind(column.iter().map(|c| status_text(c.status)).collect::<Vec<_>>())
            .bind(column.iter().map(content_hash).collect::<Vec<_>>())
            .persistent(false)
    }};
}

fn status_text(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Deprecated => "deprecated",
    }
}

pub(super) async fn insert(connection: &mut PgConnection, contracts: &[ContractRecord]) -> Result<(), Failure> {
    for contracts in contracts.chunks(CHUNK) {
        let insert = sqlx::query(
            "INSERT INTO celerysalt_schemas
                 (topic, version, mode, schema, response_schema, error_schema, description, fingerprint,
                  publisher_module, publisher_class, status, content_hash)
             SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[], $6::jsonb[],
                  $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])",
        );
        bind_columns!(insert, contracts).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn update(connection: &mut PgConnection, contracts: &[ContractRecord]) -> Result<(), Failure> {
    for contracts in contracts.chunks(CHUNK) {
        let update = sqlx::query(
            "UPDATE celerysalt_schemas s SET
                 mode = o.mode, schema = o.schema, response_schema = o.response_schema,
                 error_schema = o.error_schema, description = o.description, fingerprint = o.fingerprint,
                 publisher_module = o.publisher_module, publisher_class = o.publisher_class, status = o.status,
                 content_hash = o.content_hash, updated_at = now()
             FROM UNNEST($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[], $6::jsonb[],
                  $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])
                  AS o (topic, version, mode, schema, response_schema, error_schema, description, fingerprint,
                        publisher_module, publisher_class, status, content_hash)
             WHERE s.topic = o.topic AND s.version = o.version",
        );
        bind_columns!(update, contracts).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Refuses what the table has no place for, before anything is written.
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
    Some(format!("its {place} holds the character U+0000, which PostgreSQL's JSONB and TEXT can't store; remove it"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_prefixes() {
        for (pattern, expected) in [("a_b.c", r"a\_b.c"), ("a.*", "a%"), ("a.#.b", "a%"), ("#", "%")] {
            assert_eq!(like(pattern), expected);
        }
    }

    #[test]
    fn a_nul_is_found_where_it_is() {
        assert_eq!(nul(&json!({"a/b": ["x", "y\0"]}), ""), Some("/a~1b/1".to_owned()));
        assert_eq!(nul(&json!({"a": {"k\0": 1}}), ""), Some("/a".to_owned()));
        assert_eq!(nul(&json!({"a": ["\u{1}", null, 1]}), ""), None);
    }
}
