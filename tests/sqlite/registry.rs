//! The registry in a file: the suite of every registry, and what only a file can do to it.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::fs;

use celerysalt::registry::{
    Action, Actor, Registered, Registry, RegistryError,
    conformance::{contract, schema},
    connect_as,
};
use celerysalt_contract::Status;
use celerysalt_tests::sqlite::{in_fresh_file, in_sqlite};
use serde_json::{Value, json};
use sqlx::Row;

mod conformance {
    celerysalt::registry_conformance!(super::in_sqlite);
}

fn offered() -> celerysalt_contract::ContractRecord {
    contract("pulse.risk.created", "v1", schema("risk_score", "number"))
}

#[tokio::test]
async fn a_row_reads_as_in_postgresql() {
    in_fresh_file(|file| async move {
        let offered = offered();
        file.registry().register(&offered).await.unwrap();
        let row =
            sqlx::query("SELECT * FROM celerysalt_schemas WHERE json_extract(schema, '$.required[0]') = 'risk_score'")
                .fetch_one(&mut file.connection().await)
                .await
                .unwrap();
        for (column, expected) in [
            ("topic", "pulse.risk.created"),
            ("version", "v1"),
            ("mode", "broadcast"),
            ("status", "active"),
            ("fingerprint", offered.fingerprint.as_str()),
        ] {
            assert_eq!(row.get::<&str, _>(column), expected, "{column}");
        }
        assert_eq!(row.get::<Value, _>("schema"), offered.schema);
    })
    .await;
}

#[tokio::test]
async fn what_was_released_and_logged_is_immutable_for_everyone() {
    in_fresh_file(|file| async move {
        let registry = file.registry();
        registry.register(&offered()).await.unwrap();
        for (change, said) in [
            ("UPDATE celerysalt_schemas SET schema = '{}'", "never changes"),
            ("UPDATE celerysalt_schemas SET version = 'v2'", "never changes"),
            ("UPDATE celerysalt_schemas SET mode = 'rpc'", "never changes"),
            ("UPDATE celerysalt_schemas SET fingerprint = 'x', content_hash = 'x', schema = '{}'", "never changes"),
            ("UPDATE celerysalt_schemas SET schema = '{}', content_hash = 'x', annotated = '{}'", "never changes"),
            ("UPDATE celerysalt_schemas SET error_schema = '{}', content_hash = 'x'", "never changes"),
            ("UPDATE OR REPLACE celerysalt_schemas SET schema = '{}', content_hash = 'x'", "never changes"),
            ("UPDATE celerysalt_schemas SET annotated = '{'", "CHECK constraint"),
            ("DELETE FROM celerysalt_schemas", "never removed"),
            (
                "INSERT OR REPLACE INTO celerysalt_schemas (topic, version, mode, schema, fingerprint, content_hash)
                 VALUES ('pulse.risk.created', 'v1', 'rpc', '{}', 'x', 'x')",
                "never changes",
            ),
            (
                "REPLACE INTO celerysalt_schemas (id, topic, version, mode, schema, fingerprint, content_hash)
                 SELECT id, 'a.b', 'v1', 'rpc', '{}', 'x', 'x' FROM celerysalt_schemas",
                "never changes",
            ),
            ("UPDATE celerysalt_audit SET service = 'somebody else'", "append-only"),
            ("DELETE FROM celerysalt_audit", "append-only"),
            (
                "INSERT OR REPLACE INTO celerysalt_audit (id, action, topic, version) SELECT id, 'create', 'a', 'v1'
                 FROM celerysalt_audit",
                "append-only",
            ),
            (
                "INSERT INTO celerysalt_schemas (topic, version, mode, schema, fingerprint, content_hash)
                 VALUES ('a.b', 'v1', 'rpc', '{', 'x', 'x')",
                "CHECK constraint",
            ),
        ] {
            let refused = file.execute(change).await.unwrap_err();
            assert!(refused.contains(said), "{change}: {refused}");
        }
        assert_eq!(registry.list(None).await.unwrap(), [offered()]);
        let history = registry.history(None).await.unwrap();
        assert_eq!(history.len(), 1, "{history:?}");
    })
    .await;
}

#[tokio::test]
async fn new_words_stand_beside_what_was_released() {
    in_fresh_file(|file| async move {
        let registry = file.registry();
        registry.register(&offered()).await.unwrap();
        let mut retold = offered();
        retold.schema["title"] = json!("A risk");
        assert_eq!(registry.register(&retold).await.unwrap(), Registered::Updated);
        let columns = async || -> (Value, Option<Value>) {
            let query = sqlx::query_as("SELECT schema, annotated FROM celerysalt_schemas");
            query.fetch_one(&mut file.connection().await).await.unwrap()
        };
        let beside = json!({"schema": retold.schema, "response_schema": null, "error_schema": null});
        assert_eq!(columns().await, (offered().schema, Some(beside)));
        assert_eq!(registry.list(None).await.unwrap(), std::slice::from_ref(&retold));
        // Words that are another meaning are no words.
        file.execute("UPDATE celerysalt_schemas SET annotated = '{\"schema\": {}}'").await.unwrap();
        assert_eq!(registry.list(None).await.unwrap(), [offered()]);
        file.execute("UPDATE celerysalt_schemas SET annotated = NULL, content_hash = ''").await.unwrap();
        assert_eq!(registry.register(&retold).await.unwrap(), Registered::Updated);
        assert_eq!(registry.register(&offered()).await.unwrap(), Registered::Updated);
        assert_eq!(columns().await, (offered().schema, None));
    })
    .await;
}

#[tokio::test]
async fn an_older_file_is_brought_up_to_date() {
    in_fresh_file(|file| async move {
        file.execute(include_str!("../../runtime/migrations/sqlite/0001_registry.sql")).await.unwrap();
        file.execute(
            "CREATE TABLE celerysalt_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, requires INTEGER,
                 applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')));
             INSERT INTO celerysalt_migrations (version, name) VALUES (1, 'registry')",
        )
        .await
        .unwrap();
        assert!(matches!(file.registry().list(None).await, Err(RegistryError::Unusable { .. })));
        assert_eq!(file.registry().register(&offered()).await.unwrap(), Registered::Created);
        let refused =
            file.execute("UPDATE celerysalt_schemas SET schema = '{}', content_hash = 'x'").await.unwrap_err();
        assert!(refused.contains("never changes"), "{refused}");
        assert_eq!(file.registry().register(&offered()).await.unwrap(), Registered::Unchanged);
    })
    .await;
}

#[tokio::test]
async fn the_log_names_who_it_was_and_knows_changes_by_hand() {
    in_fresh_file(|file| async move {
        let actor = Actor { service: "pulse".to_owned(), host: "web-1".to_owned(), user: "ann".to_owned() };
        let registry = connect_as(&file.url(), actor.clone()).unwrap();
        registry.register(&offered()).await.unwrap();
        registry.set_status(&offered().topic, &offered().version, Status::Deprecated, "old").await.unwrap();
        file.execute("UPDATE celerysalt_schemas SET status = 'active'").await.unwrap();
        let history = registry.history(None).await.unwrap();
        let told: Vec<_> =
            history.iter().map(|entry| format!("{} {} {}", entry.action, entry.who(), entry.reason)).collect();
        let ann = "service pulse on host web-1 as user ann";
        let expected = [
            format!("create {ann} "),
            format!("deprecate {ann} old"),
            "undeprecate somebody who did not say ".to_owned(),
        ];
        assert_eq!(told, expected);
    })
    .await;
}

#[tokio::test]
async fn processes_take_turns() {
    in_fresh_file(|file| async move {
        let contracts: Vec<_> = (0..20).map(|i| contract(&format!("a.n{i}"), "v1", schema("x", "string"))).collect();
        let mut syncs = tokio::task::JoinSet::new();
        for i in 0..40 {
            let (file, mut contracts) = (file.clone(), contracts.clone());
            contracts.rotate_left(i % 20);
            contracts.truncate(12);
            syncs.spawn(async move { file.registry().sync(&contracts, false).await });
        }
        let mut created = 0;
        while let Some(plan) = syncs.join_next().await {
            let plan = plan.unwrap().unwrap();
            assert!(plan.applied);
            created += plan.steps.iter().filter(|step| step.action == Action::Create).count();
        }
        assert_eq!(created, 20);
        assert_eq!(file.registry().history(None).await.unwrap().len(), 20);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_not_made_by_reading() {
    in_fresh_file(|file| async move {
        let registry = file.registry();
        let plan = registry.sync(&[offered()], true).await.unwrap();
        assert_eq!(plan.steps[0].action, Action::Create);
        let error = registry.list(None).await.unwrap_err();
        assert!(matches!(error, RegistryError::Unusable { .. }), "{error:?}");
        assert!(error.to_string().contains("celerysalt sync"), "{error}");
        assert!(!file.path.exists());

        // A database of somebody else's.
        file.execute("CREATE TABLE theirs (x)").await.unwrap();
        let error = file.registry().list(None).await.unwrap_err().to_string();
        assert!(error.contains("celerysalt sync"), "{error}");
        assert_eq!(file.registry().register(&offered()).await.unwrap(), Registered::Created);
    })
    .await;
}

#[tokio::test]
async fn what_can_not_be_used_says_why() {
    in_fresh_file(|file| async move {
        let elsewhere = format!("sqlite:{}/no/such/folder.db", file.path.display());
        let error = connect_as(&elsewhere, Actor::default()).unwrap().register(&offered()).await.unwrap_err();
        assert!(matches!(&error, RegistryError::Unusable { .. }) && error.to_string().contains("folder"), "{error}");

        fs::write(&file.path, "this is no database, and long enough for SQLite to see that at once".repeat(20))
            .unwrap();
        let error = file.registry().register(&offered()).await.unwrap_err();
        assert!(matches!(&error, RegistryError::Unusable { .. }) && error.to_string().contains("no SQLite"), "{error}");
        fs::remove_file(&file.path).unwrap();

        file.registry().register(&offered()).await.unwrap();
        file.execute("INSERT INTO celerysalt_migrations (version, name, requires) VALUES (98, 'adds only', 1)")
            .await
            .unwrap();
        assert_eq!(file.registry().register(&offered()).await.unwrap(), Registered::Unchanged);
        file.execute("INSERT INTO celerysalt_migrations (version, name) VALUES (99, 'another world')").await.unwrap();
        let error = file.registry().list(None).await.unwrap_err();
        assert!(error.to_string().contains("newer celerysalt"), "{error}");
        file.execute("DELETE FROM celerysalt_migrations WHERE version > 1; DROP TABLE celerysalt_audit").await.unwrap();
        let error = file.registry().history(None).await.unwrap_err();
        assert!(matches!(&error, RegistryError::Unusable { .. }) && error.to_string().contains("tables"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn what_text_can_not_hold_is_refused_by_name() {
    in_fresh_file(|file| async move {
        let nul = contract("a.b", "v1", json!({"const": {"x": "a\u{0}b"}}));
        let error = file.registry().sync(&[offered(), nul], false).await.unwrap_err();
        assert!(matches!(error, RegistryError::Unstorable { .. }), "{error:?}");
        assert!(!file.path.exists());
    })
    .await;
}
