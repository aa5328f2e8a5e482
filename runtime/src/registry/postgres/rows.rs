//! Contracts as rows: the statements, and what goes between them and [`ContractRecord`]s.

use celerysalt_contract::{ContractRecord, Fingerprint, Selector, Topic, Version, VersionRange};
use serde_json::Value;
use sqlx::{PgConnection, Row, postgres::PgRow, types::Json};

use super::errors::Failure;
use crate::registry::stored::{self, Documents, Head, Heads};

/// Rows that one statement writes.
const CHUNK: usize = 1000;

/// Of a whole row. What another program may have left out is optional.
fn record(row: &PgRow) -> Result<ContractRecord, Failure> {
    let (topic, version) = stored::key(row.try_get("topic")?, row.try_get("version")?).map_err(Failure::Row)?;
    let mode = stored::mode(row.try_get("mode")?, &topic, &version).map_err(Failure::Row)?;
    let status = stored::status(row.try_get("status")?, &topic, &version).map_err(Failure::Row)?;
    let schema: Value = row.try_get("schema")?;
    let response_schema: Option<Value> = row.try_get("response_schema")?;
    let error_schema: Option<Value> = row.try_get("error_schema")?;
    let released = Documents { schema, response_schema, error_schema };
    let stored: Option<String> = row.try_get("fingerprint")?;
    let fingerprint = stored.map_or_else(|| released.fingerprint(mode), Fingerprint::from);
    let annotated: Option<Value> = row.try_get("annotated")?;
    let Documents { schema, response_schema, error_schema } =
        released.retold(annotated, mode, &fingerprint, (&topic, &version));
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

/// Of every version of the topics of `contracts`.
pub(super) async fn heads(connection: &mut PgConnection, contracts: &[ContractRecord]) -> Result<Heads, Failure> {
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
            let key = stored::key(row.try_get("topic")?, &version).map_err(Failure::Row)?;
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
                s.fingerprint, s.publisher_module, s.publisher_class, s.status, s.annotated
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
    let exact = Selector { pattern: topic.clone().into(), versions: VersionRange::Exact(version.clone()) };
    Ok(list(connection, Some(&exact)).await?.into_iter().find(|record| record.version == *version))
}

/// At least the rows that `filter` means.
pub(super) async fn list(
    connection: &mut PgConnection,
    filter: Option<&Selector>,
) -> Result<Vec<ContractRecord>, Failure> {
    let rows = sqlx::query(
        "SELECT topic, version, mode, schema, response_schema, error_schema, description,
                fingerprint, publisher_module, publisher_class, status, annotated
         FROM celerysalt_schemas WHERE topic LIKE $1",
    )
    .bind(filter.map_or_else(|| "%".to_owned(), |selector| like(selector.pattern.as_str())))
    .persistent(false)
    .fetch_all(connection)
    .await?;
    records(&rows)
}

/// What `LIKE` takes for `pattern`, up to its first wildcard.
pub(super) fn like(pattern: &str) -> String {
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
            .bind(column.iter().map(stored::content_hash).collect::<Vec<_>>())
            .persistent(false)
    }};
}

pub(super) async fn insert(connection: &mut PgConnection, contracts: &[ContractRecord]) -> Result<(), Failure> {
    for contracts in contracts.chunks(CHUNK) {
        let insert = sqlx::query(
            "INSERT INTO celerysalt_schemas
                 (topic, version, mode, schema, response_schema, error_schema, description, fingerprint,
                  publisher_module, publisher_class, content_hash, status)
             SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[], $6::jsonb[],
                  $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])",
        );
        let statuses: Vec<_> = contracts.iter().map(|contract| stored::status_text(contract.status)).collect();
        bind_columns!(insert, contracts).bind(statuses).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Sets what a sync may change, and no other column: a role needs no more for it. What was released stays as it is; the
/// same with newer words stands beside it.
pub(super) async fn update(connection: &mut PgConnection, contracts: &[ContractRecord]) -> Result<(), Failure> {
    for contracts in contracts.chunks(CHUNK) {
        let update = sqlx::query(
            "UPDATE celerysalt_schemas s SET
                 annotated = CASE
                     WHEN (o.schema::text, o.response_schema::text, o.error_schema::text)
                         IS NOT DISTINCT FROM (s.schema::text, s.response_schema::text, s.error_schema::text)
                     THEN NULL
                     ELSE jsonb_build_object('schema', o.schema, 'response_schema', o.response_schema,
                         'error_schema', o.error_schema)
                 END,
                 description = o.description, fingerprint = o.fingerprint,
                 publisher_module = o.publisher_module, publisher_class = o.publisher_class,
                 content_hash = o.content_hash, updated_at = now()
             FROM UNNEST($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[], $6::jsonb[],
                  $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
                  AS o (topic, version, mode, schema, response_schema, error_schema, description, fingerprint,
                        publisher_module, publisher_class, content_hash)
             WHERE s.topic = o.topic AND s.version = o.version",
        );
        bind_columns!(update, contracts).execute(&mut *connection).await?;
    }
    Ok(())
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
}
