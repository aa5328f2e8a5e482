//! What was released is never written again: new words for it stand beside it, and nothing that a statement sets, by
//! whichever role, changes what it means.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use celerysalt::registry::{
    Registered, Registry,
    conformance::{contract, schema},
};
use celerysalt_contract::ContractRecord;
use celerysalt_tests::postgres::{Schema, in_fresh_schema};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection};

fn offered() -> ContractRecord {
    contract("pulse.risk.created", "v1", schema("risk_score", "number"))
}

fn retold(title: &str) -> ContractRecord {
    let mut retold = offered();
    retold.schema["title"] = json!(title);
    retold.schema["properties"]["risk_score"]["description"] = json!("From 0 to 10.");
    retold
}

/// The one row's columns `schema` and `annotated`.
async fn columns(at: &Schema) -> (Value, Option<Value>) {
    sqlx::query_as("SELECT schema, annotated FROM celerysalt_schemas")
        .fetch_one(&mut at.connection().await)
        .await
        .unwrap()
}

/// What a statement is refused for.
async fn refused(at: &Schema, sql: &str) -> String {
    let outcome = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut at.connection().await).await;
    outcome.unwrap_err().to_string()
}

#[tokio::test]
async fn new_words_stand_beside_what_was_released() {
    in_fresh_schema(|at| async move {
        let registry = at.registry();
        registry.register(&offered()).await.unwrap();
        assert_eq!(columns(&at).await, (offered().schema, None));

        assert_eq!(registry.register(&retold("A risk")).await.unwrap(), Registered::Updated);
        let (released, annotated) = columns(&at).await;
        assert_eq!(released, offered().schema, "as it was released");
        let expected = json!({"schema": retold("A risk").schema, "response_schema": null, "error_schema": null});
        assert_eq!(annotated, Some(expected));
        assert_eq!(registry.list(None).await.unwrap(), [retold("A risk")]);
        assert_eq!(registry.register(&retold("A risk")).await.unwrap(), Registered::Unchanged);

        // Back to the first words, there is nothing to stand beside.
        assert_eq!(registry.register(&offered()).await.unwrap(), Registered::Updated);
        assert_eq!(columns(&at).await, (offered().schema, None));
        let history = registry.history(None).await.unwrap();
        let actions: Vec<String> = history.iter().map(|entry| entry.action.to_string()).collect();
        assert_eq!(actions, ["create", "update", "update"]);
    })
    .await;
}

#[tokio::test]
async fn words_that_change_the_meaning_are_passed_over() {
    in_fresh_schema(|at| async move {
        let registry = at.registry();
        registry.register(&retold("A risk")).await.unwrap();
        for annotated in [
            json!({"schema": {"type": "object"}}),
            json!({"schema": retold("A risk").schema, "response_schema": true}),
            json!({"schema": {"x-celerysalt": {"exchange": "elsewhere"}, "type": "object",
                "properties": {"risk_score": {"type": "number"}}, "required": ["risk_score"]}}),
            json!({"no": "schema"}),
        ] {
            sqlx::query("UPDATE celerysalt_schemas SET annotated = $1")
                .bind(&annotated)
                .execute(&mut at.connection().await)
                .await
                .unwrap();
            assert_eq!(registry.list(None).await.unwrap(), [retold("A risk")], "{annotated}");
        }
        let error = refused(&at, "UPDATE celerysalt_schemas SET annotated = '[]'").await;
        assert!(error.contains("celerysalt_schemas_annotated_check"), "{error}");
        // Mended as the log says.
        at.execute("UPDATE celerysalt_schemas SET annotated = NULL, content_hash = NULL").await;
        assert_eq!(registry.register(&retold("The risk")).await.unwrap(), Registered::Updated);
        assert_eq!(registry.list(None).await.unwrap(), [retold("The risk")]);
    })
    .await;
}

#[tokio::test]
async fn no_setting_of_a_session_is_a_way_round() {
    in_fresh_schema(|at| async move {
        at.registry().register(&offered()).await.unwrap();
        for change in [
            "UPDATE celerysalt_schemas SET schema = '{}', content_hash = 'x', annotated = '{}', updated_at = now()",
            "DELETE FROM celerysalt_schemas",
            "TRUNCATE celerysalt_schemas",
        ] {
            let error = refused(&at, &format!("SET session_replication_role = replica; {change}")).await;
            assert!(error.contains("released"), "{change}: {error}");
        }
        // Operators of one's own, before those that everybody knows.
        let operators = format!(
            "CREATE SCHEMA {name}_mine;
             CREATE FUNCTION {name}_mine.yes(text, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
             CREATE OPERATOR {name}_mine.= (LEFTARG = text, RIGHTARG = text, FUNCTION = {name}_mine.yes);
             SET search_path = {name}_mine, pg_catalog, {name};
             UPDATE celerysalt_schemas SET schema = '{{}}'",
            name = at.name
        );
        let error = refused(&at, &operators).await;
        assert!(error.contains("never changes"), "{error}");
        assert_eq!(columns(&at).await, (offered().schema, None));
    })
    .await;
}

/// The tables as the first two migrations made them, with rows that an older program wrote.
#[tokio::test]
async fn older_tables_are_brought_up_to_date_and_again_without_harm() {
    in_fresh_schema(|at| async move {
        let migrations = [
            include_str!("../../runtime/migrations/postgres/0001_contracts.sql"),
            include_str!("../../runtime/migrations/postgres/0002_lifecycle.sql"),
        ];
        for migration in migrations {
            at.execute(migration).await;
        }
        at.execute(
            "CREATE TABLE celerysalt_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, requires INTEGER,
                 applied_at TIMESTAMPTZ NOT NULL DEFAULT now());
             INSERT INTO celerysalt_migrations (version, name, requires) VALUES (1, 'contracts', NULL), (2, 'lifecycle', 1)",
        )
        .await;
        let insert = "INSERT INTO celerysalt_schemas (topic, version, mode, schema, fingerprint, content_hash)
                      VALUES ($1, 'v1', 'broadcast', $2, $3, 'of before')";
        sqlx::query(insert)
            .bind(offered().topic.as_str())
            .bind(&offered().schema)
            .bind(offered().fingerprint.as_str())
            .execute(&mut at.connection().await)
            .await
            .unwrap();
        // What an older program could do, and what the hole was: words that it had not looked at.
        at.execute("UPDATE celerysalt_schemas SET schema = schema || '{\"title\": \"Old\"}', content_hash = 'x'").await;

        assert_eq!(at.registry().register(&retold("New")).await.unwrap(), Registered::Updated);
        assert_eq!(at.registry().list(None).await.unwrap(), [retold("New")]);
        let error = refused(&at, "UPDATE celerysalt_schemas SET schema = '{}', content_hash = 'y'").await;
        assert!(error.contains("never changes"), "{error}");

        let mut connection = at.connection().await;
        let mut again = connection.begin().await.unwrap();
        sqlx::raw_sql(include_str!("../../runtime/migrations/postgres/0003_immutable.sql")).execute(&mut *again).await.unwrap();
        again.commit().await.unwrap();
        assert_eq!(at.registry().register(&retold("New")).await.unwrap(), Registered::Unchanged);
        // A program that knows two migrations goes on reading and adding: that is what `requires` says.
        let requires: Option<i32> = sqlx::query_scalar("SELECT requires FROM celerysalt_migrations WHERE version = 3")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(requires, Some(1));
    })
    .await;
}
