//! The PostgreSQL registry on a real server: the suite of every registry, and what only a database can do to it.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::time::{Duration, Instant};

use celerysalt::registry::{
    Action, Registered, Registry, RegistryError,
    conformance::{contract, schema},
    postgres::PostgresRegistry,
};
use celerysalt_tests::postgres::{in_fresh_schema, in_postgres, registry_url};
use serde_json::{Value, json};
use sqlx::{Connection, Row};

mod conformance {
    celerysalt::registry_conformance!(super::in_postgres);
}

fn offered() -> celerysalt_contract::ContractRecord {
    contract(
        "pulse.risk.created",
        "v1",
        json!({
            "type": "object",
            "description": "A new risk assessment has been created",
            "properties": {"assessment_id": {"type": "string"}, "risk_score": {"type": "number", "maximum": 10}},
            "required": ["assessment_id", "risk_score"],
        }),
    )
}

#[tokio::test]
async fn a_row_reads_as_the_design_has_it() {
    in_fresh_schema(|schema| async move {
        let offered = offered();
        schema.registry().register(&offered).await.unwrap();
        let row = sqlx::query(
            "SELECT id, topic, version, mode, schema, response_schema, error_schema, description, status, fingerprint,
                    created_at = updated_at AND now() - created_at < interval '1 minute' AS fresh,
                    pg_typeof(created_at)::text AS clock
             FROM celerysalt_schemas WHERE topic = 'pulse.risk.created' AND schema @> '{\"required\": [\"risk_score\"]}'",
        )
        .fetch_one(&mut schema.connection().await)
        .await
        .unwrap();
        assert_eq!(row.get::<i32, _>("id"), 1);
        for (column, expected) in [
            ("topic", "pulse.risk.created"),
            ("version", "v1"),
            ("mode", "broadcast"),
            ("description", "A new risk assessment has been created"),
            ("status", "active"),
            ("fingerprint", offered.fingerprint.as_str()),
            ("clock", "timestamp with time zone"),
        ] {
            assert_eq!(row.get::<&str, _>(column), expected, "{column}");
        }
        assert_eq!(row.get::<Value, _>("schema"), offered.schema);
        assert_eq!(row.get::<Option<Value>, _>("response_schema"), None);
        assert!(row.get::<bool, _>("fresh"));
    })
    .await;
}

#[tokio::test]
async fn fifty_services_that_start_at_once_on_an_empty_database_all_succeed() {
    in_fresh_schema(|schema| async move {
        let mut starts = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let url = schema.url.clone();
            starts.spawn(async move { PostgresRegistry::connect(&url).unwrap().register(&offered()).await });
        }
        let outcomes = starts.join_all().await;
        let created = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Registered::Created))).count();
        let unchanged = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Registered::Unchanged))).count();
        assert_eq!((created, unchanged), (1, 49), "{outcomes:?}");
        let migrations: i64 = sqlx::query_scalar("SELECT count(*) FROM celerysalt_migrations")
            .fetch_one(&mut schema.connection().await)
            .await
            .unwrap();
        assert_eq!(migrations, 3);
    })
    .await;
}

#[tokio::test]
async fn two_database_schemas_are_two_registries() {
    in_fresh_schema(|one| async move {
        in_fresh_schema(|two| async move {
            one.registry().register(&offered()).await.unwrap();
            two.registry().sync(&[], false).await.unwrap();
            assert_eq!(two.registry().list(None).await.unwrap(), []);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_table_of_the_designs_own_ddl_is_adopted() {
    in_fresh_schema(|schema| async move {
        schema
            .execute(
                "CREATE TABLE celerysalt_schemas (
                     id SERIAL PRIMARY KEY, topic VARCHAR(255) NOT NULL, version VARCHAR(50) NOT NULL,
                     mode VARCHAR(20) NOT NULL, schema JSONB NOT NULL, response_schema JSONB, error_schema JSONB,
                     description TEXT, created_at TIMESTAMP DEFAULT NOW(), updated_at TIMESTAMP DEFAULT NOW(),
                     UNIQUE(topic, version));
                 CREATE INDEX idx_schemas_topic ON celerysalt_schemas(topic);
                 INSERT INTO celerysalt_schemas (topic, version, mode, schema)
                 VALUES ('a.b', '1', 'broadcast', '{\"type\": \"string\"}')",
            )
            .await;
        let registry = schema.registry();
        assert!(matches!(registry.list(None).await, Err(RegistryError::Unusable { .. })));
        assert!(matches!(registry.sync(&[], true).await, Err(RegistryError::Unusable { .. })));
        let known = contract("a.b", "v1", json!({"type": "string"}));
        assert_eq!(registry.register(&known).await.unwrap(), Registered::Unchanged);
        assert_eq!(registry.register(&offered()).await.unwrap(), Registered::Created);
        let other = contract("a.b", "v1", json!({"type": "integer"}));
        assert!(matches!(registry.register(&other).await, Err(RegistryError::Conflict(_))));
        assert_eq!(registry.list(None).await.unwrap()[0].fingerprint, known.fingerprint);
    })
    .await;
}

#[tokio::test]
async fn a_released_row_is_immutable_for_everyone() {
    in_fresh_schema(|schema| async move {
        schema.registry().register(&offered()).await.unwrap();
        let mut connection = schema.connection().await;
        for change in [
            "UPDATE celerysalt_schemas SET version = 'v2'",
            "UPDATE celerysalt_schemas SET mode = 'rpc'",
            "UPDATE celerysalt_schemas SET schema = '{}'",
            "UPDATE celerysalt_schemas SET fingerprint = repeat('0', 64), content_hash = ''",
        ] {
            let error = sqlx::raw_sql(change).execute(&mut connection).await.unwrap_err().to_string();
            assert!(error.contains("released and never changes"), "{change}: {error}");
        }
        for wrong in [
            "INSERT INTO celerysalt_schemas (topic, version, mode, schema) VALUES ('a..b', 'v1', 'rpc', '{}')",
            "INSERT INTO celerysalt_schemas (topic, version, mode, schema) VALUES ('a.b', '1.x', 'rpc', '{}')",
            "INSERT INTO celerysalt_schemas (topic, version, mode, schema) VALUES ('a.b', 'v1', 'both', '{}')",
        ] {
            let error = sqlx::raw_sql(wrong).execute(&mut connection).await.unwrap_err().to_string();
            assert!(error.contains("check constraint"), "{wrong}: {error}");
        }
        sqlx::raw_sql("UPDATE celerysalt_schemas SET status = 'deprecated'").execute(&mut connection).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_unmigrated_database_says_which_command_to_run() {
    in_fresh_schema(|schema| async move {
        let registry = schema.registry();
        let error = registry.list(None).await.unwrap_err();
        assert!(matches!(error, RegistryError::Unusable { .. }), "{error:?}");
        assert!(error.to_string().contains("celerysalt sync"), "{error}");
        let plan = registry.sync(&[offered()], true).await.unwrap();
        assert_eq!(plan.steps[0].action, Action::Create);
        let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()")
            .fetch_one(&mut schema.connection().await)
            .await
            .unwrap();
        assert_eq!(tables, 0, "a dry run and a reader made a table");
    })
    .await;
}

#[tokio::test]
async fn tables_of_a_newer_program_are_left_alone_unless_it_says_otherwise() {
    in_fresh_schema(|schema| async move {
        schema.registry().register(&offered()).await.unwrap();
        schema
            .execute("INSERT INTO celerysalt_migrations (version, name, requires) VALUES (998, 'adds only', 1)")
            .await;
        assert_eq!(schema.registry().register(&offered()).await.unwrap(), Registered::Unchanged);
        schema.execute("INSERT INTO celerysalt_migrations (version, name) VALUES (999, 'another world')").await;
        for outcome in [schema.registry().list(None).await.err(), schema.registry().sync(&[], false).await.err()] {
            let error = outcome.unwrap();
            assert!(matches!(error, RegistryError::Unusable { .. }), "{error:?}");
            assert!(error.to_string().contains("newer celerysalt"), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_role_with_select_reads_and_is_told_what_it_lacks_to_write() {
    in_fresh_schema(|schema| async move {
        schema.registry().register(&offered()).await.unwrap();
        let (role, url) = schema.role().await;
        let registry = PostgresRegistry::connect(&url).unwrap();
        let error = registry.list(None).await.unwrap_err();
        assert!(matches!(error, RegistryError::Denied { .. }) && error.to_string().contains("SELECT ON"), "{error}");

        schema.execute(&format!("GRANT SELECT ON celerysalt_schemas, celerysalt_migrations TO {role}")).await;
        assert_eq!(registry.list(None).await.unwrap(), [offered()]);
        assert_eq!(registry.register(&offered()).await.unwrap(), Registered::Unchanged, "nothing to write");
        let new = contract("a.b", "v1", schema_of_x());
        let error = registry.register(&new).await.unwrap_err();
        assert!(matches!(error, RegistryError::Denied { .. }), "{error:?}");
        assert!(error.to_string().contains("INSERT, UPDATE ON celerysalt_schemas"), "{error}");

        schema.execute(&format!("GRANT INSERT, UPDATE ON celerysalt_schemas TO {role}")).await;
        assert_eq!(registry.register(&new).await.unwrap(), Registered::Created);
    })
    .await;
}

fn schema_of_x() -> Value {
    schema("x", "string")
}

#[tokio::test]
async fn a_role_that_may_not_create_is_told_so() {
    in_fresh_schema(|schema| async move {
        let (_, url) = schema.role().await;
        let registry = PostgresRegistry::connect(&url).unwrap();
        let error = registry.register(&offered()).await.unwrap_err();
        assert!(matches!(error, RegistryError::Denied { .. }) && error.to_string().contains("CREATE"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_may_only_read_is_denied_with_advice() {
    in_fresh_schema(|schema| async move {
        schema.registry().register(&offered()).await.unwrap();
        let read_only = format!("{}&options=-cdefault_transaction_read_only%3Don", schema.url);
        let registry = PostgresRegistry::connect(&read_only).unwrap();
        assert_eq!(registry.list(None).await.unwrap().len(), 1);
        let error = registry.register(&contract("a.b", "v1", schema_of_x())).await.unwrap_err();
        assert!(matches!(error, RegistryError::Denied { .. }) && error.to_string().contains("primary"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_unavailable_or_unusable_soon() {
    let start = Instant::now();
    let registry = PostgresRegistry::connect("postgres://ann:s3cret@127.0.0.1:9/test").unwrap();
    let error = registry.list(None).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unavailable { .. }), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert!(!format!("{error} {error:?} {registry:?}").contains("s3cret"), "{error} {registry:?}");

    let elsewhere = registry_url().replace("/test", "/no_such_database");
    let error = PostgresRegistry::connect(&elsewhere).unwrap().list(None).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains("no_such_database"), "{error}");

    let nowhere = format!("{}?options=-csearch_path%3Dno_such_schema", registry_url());
    let error = PostgresRegistry::connect(&nowhere).unwrap().register(&offered()).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unusable { .. }) && error.to_string().contains("search_path"), "{error}");
}

#[tokio::test]
async fn a_connection_that_the_server_cut_is_replaced() {
    in_fresh_schema(|schema| async move {
        let registry = schema.registry();
        registry.register(&offered()).await.unwrap();
        let killed: i64 = sqlx::query_scalar(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid()",
        )
        .bind(&schema.name)
        .fetch_one(&mut schema.connection().await)
        .await
        .unwrap();
        assert!(killed > 0);
        assert_eq!(registry.list(None).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_unchanged_sync_takes_no_lock() {
    in_fresh_schema(|schema| async move {
        let registry = schema.registry();
        registry.register(&offered()).await.unwrap();
        let mut connection = schema.connection().await;
        let mut holder = connection.begin().await.unwrap();
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('celerysalt ' || current_schema(), 0))")
            .execute(&mut *holder)
            .await
            .unwrap();
        assert_eq!(registry.register(&offered()).await.unwrap(), Registered::Unchanged);
        let waiting = tokio::spawn(async move { registry.register(&contract("a.b", "v1", schema_of_x())).await });
        schema.blocked().await;
        holder.rollback().await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap(), Registered::Created);
    })
    .await;
}

#[tokio::test]
async fn a_program_that_takes_no_lock_may_be_faster() {
    in_fresh_schema(|schema| async move {
        let registry = schema.registry();
        registry.sync(&[], false).await.unwrap();
        let mut connection = schema.connection().await;
        let mut foreign = connection.begin().await.unwrap();
        sqlx::raw_sql(
            "INSERT INTO celerysalt_schemas (topic, version, mode, schema)
             VALUES ('a.b', 'v1', 'broadcast', '{\"type\": \"string\"}')",
        )
        .execute(&mut *foreign)
        .await
        .unwrap();
        let known = contract("a.b", "v1", json!({"type": "string"}));
        let waiting = tokio::spawn(async move { registry.register(&known).await });
        schema.blocked().await;
        foreign.commit().await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap(), Registered::Unchanged);
    })
    .await;
}

#[tokio::test]
async fn what_jsonb_cannot_hold_is_refused_by_name() {
    in_fresh_schema(|schema| async move {
        let nul = contract("a.b", "v1", json!({"const": {"x": "a\u{0}b"}}));
        let error = schema.registry().sync(&[offered(), nul], false).await.unwrap_err();
        assert!(matches!(error, RegistryError::Unstorable { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("a.b@v1") && text.contains("/const/x") && text.contains("U+0000"), "{text}");

        let long = contract("a.b", &format!("v1.{0}.{0}", u64::MAX), schema_of_x());
        assert!(long.version.as_str().len() < 50);
        schema.registry().register(&long).await.unwrap();
        let longer = contract("a.b", &format!("v{0}.{0}.{0}", u64::MAX), schema_of_x());
        let error = schema.registry().register(&longer).await.unwrap_err();
        assert!(matches!(error, RegistryError::Unstorable { .. }), "{error:?}");
    })
    .await;
}
