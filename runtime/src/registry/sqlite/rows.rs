//! Contracts as rows of SQLite: the statements, and what goes between them and [`ContractRecord`]s.
//!
//! The database is in this process, so a statement a row is as good as one for a thousand.

use celerysalt_contract::{ContractRecord, Fingerprint, Selector, TopicPattern};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow, types::Json};

use super::errors::Failure;
use crate::registry::stored::{self, Documents, Head, Heads};

fn record(row: &SqliteRow) -> Result<ContractRecord, Failure> {
    let (topic, version) = stored::key(row.try_get("topic")?, row.try_get("version")?).map_err(Failure::Row)?;
    let mode = stored::mode(row.try_get("mode")?, &topic, &version).map_err(Failure::Row)?;
    let status = stored::status(row.try_get("status")?, &topic, &version).map_err(Failure::Row)?;
    let released = Documents {
        schema: row.try_get::<Json<_>, _>("schema")?.0,
        response_schema: row.try_get::<Option<Json<_>>, _>("response_schema")?.map(|schema| schema.0),
        error_schema: row.try_get::<Option<Json<_>>, _>("error_schema")?.map(|schema| schema.0),
    };
    let fingerprint = Fingerprint::from(row.try_get::<String, _>("fingerprint")?);
    let annotated = row.try_get::<Option<Json<_>>, _>("annotated")?.map(|documents| documents.0);
    let Documents { schema, response_schema, error_schema } =
        released.retold(annotated, mode, &fingerprint, (&topic, &version));
    Ok(ContractRecord {
        topic,
        version,
        mode,
        schema,
        response_schema,
        error_schema,
        description: row.try_get("description")?,
        fingerprint,
        publisher_module: row.try_get("publisher_module")?,
        publisher_class: row.try_get("publisher_class")?,
        status,
    })
}

/// Of every contract: a file of one machine has no more than fit.
pub(super) async fn heads(connection: &mut SqliteConnection) -> Result<Heads, Failure> {
    let rows = sqlx::query(
        "SELECT topic, version, fingerprint, content_hash,
                publisher_module IS NOT NULL AS has_module, publisher_class IS NOT NULL AS has_class
         FROM celerysalt_schemas",
    )
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
    connection: &mut SqliteConnection,
    keys: &[(&str, &str)],
) -> Result<Vec<ContractRecord>, Failure> {
    let mut found = Vec::with_capacity(keys.len());
    for (topic, version) in keys {
        let row = sqlx::query("SELECT * FROM celerysalt_schemas WHERE topic = ? AND version = ?")
            .bind(topic)
            .bind(version)
            .fetch_optional(&mut *connection)
            .await?;
        found.extend(row.as_ref().map(record).transpose()?);
    }
    Ok(found)
}

/// At least the rows that `filter` means.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    filter: Option<&Selector>,
) -> Result<Vec<ContractRecord>, Failure> {
    let topic = filter.map(|selector| &selector.pattern).filter(|pattern| pattern.is_exact());
    let rows = sqlx::query("SELECT * FROM celerysalt_schemas WHERE ?1 IS NULL OR topic = ?1")
        .bind(topic.map(TopicPattern::as_str))
        .fetch_all(connection)
        .await?;
    rows.iter().map(record).collect()
}

pub(super) async fn insert(connection: &mut SqliteConnection, contracts: &[ContractRecord]) -> Result<(), Failure> {
    for contract in contracts {
        sqlx::query(
            "INSERT INTO celerysalt_schemas
                 (topic, version, mode, schema, response_schema, error_schema, description, fingerprint,
                  publisher_module, publisher_class, content_hash, status)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(contract.topic.as_str())
        .bind(contract.version.as_str())
        .bind(contract.mode.as_str())
        .bind(Json(&contract.schema))
        .bind(contract.response_schema.as_ref().map(Json))
        .bind(contract.error_schema.as_ref().map(Json))
        .bind(&contract.description)
        .bind(contract.fingerprint.as_str())
        .bind(&contract.publisher_module)
        .bind(&contract.publisher_class)
        .bind(stored::content_hash(contract))
        .bind(stored::status_text(contract.status))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Sets what a sync may change. What was released stays as it is; the same with newer words stands beside it.
pub(super) async fn update(connection: &mut SqliteConnection, contracts: &[ContractRecord]) -> Result<(), Failure> {
    for contract in contracts {
        sqlx::query(
            "UPDATE celerysalt_schemas SET
                 annotated = CASE
                     WHEN schema IS ?3 AND response_schema IS ?4 AND error_schema IS ?5 THEN NULL
                     ELSE json_object('schema', json(?3), 'response_schema', json(?4), 'error_schema', json(?5))
                 END,
                 description = ?6, publisher_module = ?7, publisher_class = ?8, content_hash = ?9,
                 updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
             WHERE topic = ?1 AND version = ?2",
        )
        .bind(contract.topic.as_str())
        .bind(contract.version.as_str())
        .bind(Json(&contract.schema))
        .bind(contract.response_schema.as_ref().map(Json))
        .bind(contract.error_schema.as_ref().map(Json))
        .bind(&contract.description)
        .bind(&contract.publisher_module)
        .bind(&contract.publisher_class)
        .bind(stored::content_hash(contract))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
