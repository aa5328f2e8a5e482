//! Released rows, the audit log and roles, as PostgreSQL itself keeps them: by psql, and for the tables' owner too.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::{borrow::Cow, process::Command};

use celerysalt::registry::{
    Actor, Registered, Registry, RegistryError, Side, Sighting,
    conformance::{contract, schema},
    postgres::{PostgresRegistry, roles_sql},
};
use celerysalt_contract::{ContractRecord, Status};
use celerysalt_tests::postgres::{Schema, in_fresh_schema};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

fn offered() -> ContractRecord {
    contract("pulse.risk.created", "v1", schema("risk_score", "number"))
}

/// What psql says to a statement: nothing when it did it.
async fn psql(url: &str, sql: &str) -> Result<String, String> {
    let mut command = Command::new("psql");
    command.args([
        "--no-psqlrc",
        "--quiet",
        "--tuples-only",
        "--no-align",
        "--set=ON_ERROR_STOP=1",
        "--command",
        sql,
        url,
    ]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() { Ok(said) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// A role that is no superuser and owns the tables.
async fn owner(schema: &Schema) -> String {
    let (role, url) = schema.role().await;
    schema.execute(&format!("GRANT CREATE ON SCHEMA {} TO {role}", schema.name)).await;
    url
}

#[tokio::test]
async fn psql_can_not_change_what_was_released_not_as_the_owner_either() {
    in_fresh_schema(|schema| async move {
        let owner = owner(&schema).await;
        PostgresRegistry::connect(&owner).unwrap().register(&offered()).await.unwrap();
        for url in [&schema.url, &owner] {
            for (change, said) in [
                ("UPDATE celerysalt_schemas SET schema = '{}'", "never changes"),
                ("UPDATE celerysalt_schemas SET schema = '{}' WHERE topic = 'pulse.risk.created'", "never changes"),
                (
                    "UPDATE celerysalt_schemas SET schema = '{}', content_hash = 'x', updated_at = now()",
                    "never changes",
                ),
                ("UPDATE celerysalt_schemas SET schema = '{}', content_hash = NULL, annotated = NULL", "never changes"),
                // Not even words: they stand beside it.
                (
                    "UPDATE celerysalt_schemas SET schema = schema || '{\"title\": \"x\"}', content_hash = 'x'",
                    "never changes",
                ),
                ("UPDATE celerysalt_schemas SET response_schema = '{}', content_hash = 'x'", "never changes"),
                ("UPDATE celerysalt_schemas SET created_at = 'epoch', content_hash = 'x'", "never changes"),
                ("UPDATE celerysalt_schemas SET mode = 'rpc', content_hash = 'x'", "never changes"),
                ("UPDATE celerysalt_schemas SET id = id + 1", "never changes"),
                ("UPDATE celerysalt_schemas SET error_schema = '{}'", "never changes"),
                ("UPDATE celerysalt_schemas SET topic = 'a.b'", "never changes"),
                ("UPDATE celerysalt_schemas SET fingerprint = NULL", "never changes"),
                (
                    "INSERT INTO celerysalt_schemas (topic, version, mode, schema) VALUES
                  ('pulse.risk.created', 'v1', 'broadcast', '{}')
                  ON CONFLICT (topic, version) DO UPDATE SET schema = excluded.schema",
                    "never changes",
                ),
                ("DELETE FROM celerysalt_schemas", "never removed"),
                ("TRUNCATE celerysalt_schemas", "never removed"),
                ("TRUNCATE celerysalt_schemas CASCADE", "never removed"),
                ("UPDATE celerysalt_audit SET service = 'somebody else'", "append-only"),
                ("DELETE FROM celerysalt_audit", "append-only"),
                ("TRUNCATE celerysalt_audit", "append-only"),
            ] {
                let refused = psql(url, change).await.unwrap_err();
                assert!(refused.contains(said), "{change}: {refused}");
            }
        }
        assert_eq!(schema.registry().list(None).await.unwrap(), [offered()]);
        let count = psql(&owner, "SELECT count(*) FROM celerysalt_audit").await.unwrap();
        assert_eq!(count, "1");
    })
    .await;
}

/// The one way out, for an owner who means it: it is a statement of its own, and the log still knows.
#[tokio::test]
async fn an_owner_who_disables_the_trigger_is_in_the_log() {
    in_fresh_schema(|schema| async move {
        let owner = owner(&schema).await;
        PostgresRegistry::connect(&owner).unwrap().register(&offered()).await.unwrap();
        let sql = "ALTER TABLE celerysalt_schemas DISABLE TRIGGER celerysalt_schemas_keep;
                   DELETE FROM celerysalt_schemas;
                   ALTER TABLE celerysalt_schemas ENABLE TRIGGER celerysalt_schemas_keep";
        psql(&owner, sql).await.unwrap();
        let history = schema.registry().history(None).await.unwrap();
        let told: Vec<String> = history.iter().map(|entry| format!("{} {}", entry.action, entry.who())).collect();
        let role = format!("{}_role", schema.name);
        assert_eq!(told[1], format!("delete the database role {role}, by hand"));
    })
    .await;
}

#[tokio::test]
async fn the_log_names_the_service_its_machine_its_user_and_its_role() {
    in_fresh_schema(|schema| async move {
        let owner = owner(&schema).await;
        let actor = Actor { service: "pulse".to_owned(), host: "web-1".to_owned(), user: "ann".to_owned() };
        let registry = PostgresRegistry::connect(&owner).unwrap().with_actor(actor.clone());
        registry.register(&offered()).await.unwrap();
        registry.set_status(&offered().topic, &offered().version, Status::Deprecated, "it's old").await.unwrap();
        psql(&owner, "UPDATE celerysalt_schemas SET status = 'active'").await.unwrap();
        let history = registry.history(None).await.unwrap();
        let role = format!("{}_role", schema.name);
        assert!(history.iter().all(|entry| entry.role.as_deref() == Some(role.as_str())), "{history:?}");
        assert_eq!(history.iter().map(|entry| &entry.actor).collect::<Vec<_>>(), [&actor, &actor, &Actor::default()]);
        assert_eq!(history[1].reason, "it's old");
        // What another connection of the pool does later is not signed with what was said before.
        registry.register(&contract("a.b", "v1", schema_of_x())).await.unwrap();
        assert_eq!(registry.history(None).await.unwrap()[3].reason, "");
    })
    .await;
}

fn schema_of_x() -> serde_json::Value {
    schema("x", "string")
}

/// A login of each role that `roles_sql` makes.
struct Roles<'a> {
    schema: &'a Schema,
    prefix: String,
}

impl<'a> Roles<'a> {
    async fn make(schema: &'a Schema) -> Self {
        let prefix = format!("r{}", &schema.name[schema.name.len() - 20..]);
        let sql = roles_sql(&prefix, &schema.name).unwrap();
        // Twice: it is run again after each upgrade.
        schema.execute(&sql).await;
        schema.execute(&sql).await;
        for role in ["reader", "service", "registrar", "releaser"] {
            schema.execute(&format!("CREATE ROLE {prefix}_{role}_login LOGIN IN ROLE {prefix}_{role}")).await;
        }
        Self { schema, prefix }
    }

    fn url(&self, role: &str) -> String {
        format!("{}&user={}_{role}_login", self.schema.url, self.prefix)
    }

    fn registry(&self, role: &str) -> PostgresRegistry {
        PostgresRegistry::connect(&self.url(role)).unwrap()
    }

    async fn drop(self) {
        for role in ["reader", "service", "registrar", "releaser"] {
            let name = format!("{}_{role}", self.prefix);
            self.schema.execute(&format!("DROP ROLE {name}_login")).await;
        }
        for role in ["reader", "service", "registrar", "releaser"] {
            let name = format!("{}_{role}", self.prefix);
            self.schema.execute(&format!("DROP OWNED BY {name}; DROP ROLE {name}")).await;
        }
    }
}

#[tokio::test]
async fn each_role_may_what_it_needs_and_nothing_else() {
    in_fresh_schema(|schema| async move {
        schema.registry().register(&offered()).await.unwrap();
        let roles = Roles::make(&schema).await;
        let outcome = tokio::spawn({
            let (schema, prefix) = (schema.clone(), roles.prefix.clone());
            async move { check_roles(&Roles { schema: &schema, prefix }).await }
        })
        .await;
        roles.drop().await;
        outcome.unwrap();
    })
    .await;
}

async fn check_roles(roles: &Roles<'_>) {
    let sighting = |service: &str| Sighting {
        side: Side::Subscriber,
        contracts: "pulse.#".parse().unwrap(),
        service: service.to_owned(),
        handler: "log".to_owned(),
        host: "web-1".to_owned(),
    };
    let (topic, version) = (offered().topic, offered().version);
    let retold = ContractRecord { description: "other words".to_owned(), ..offered() };
    let denied = |error: RegistryError, said: &str| {
        assert!(matches!(error, RegistryError::Denied { .. }) && error.to_string().contains(said), "{said}: {error:?}");
    };

    let reader = roles.registry("reader");
    assert_eq!(reader.list(None).await.unwrap().len(), 1);
    assert_eq!(reader.history(None).await.unwrap().len(), 1);
    assert_eq!(reader.lineage(&topic).await.unwrap(), []);
    assert_eq!(reader.register(&offered()).await.unwrap(), Registered::Unchanged);
    denied(reader.register(&contract("a.b", "v1", schema_of_x())).await.unwrap_err(), "to sync");
    denied(reader.observe(&[sighting("spy")]).await.unwrap_err(), "to record publishers and subscribers");
    denied(reader.set_status(&topic, &version, Status::Deprecated, "x").await.unwrap_err(), "to deprecate");

    let service = roles.registry("service");
    service.observe(&[sighting("mail")]).await.unwrap();
    service.observe(&[sighting("mail")]).await.unwrap();
    assert_eq!(service.lineage(&topic).await.unwrap().len(), 1);
    denied(service.register(&contract("a.b", "v1", schema_of_x())).await.unwrap_err(), "to sync");
    denied(service.register(&retold).await.unwrap_err(), "to sync");

    let registrar = roles.registry("registrar");
    registrar.observe(&[sighting("pulse")]).await.unwrap();
    assert_eq!(registrar.register(&contract("a.b", "v1", schema_of_x())).await.unwrap(), Registered::Created);
    assert_eq!(registrar.register(&retold).await.unwrap(), Registered::Updated);
    denied(registrar.set_status(&topic, &version, Status::Deprecated, "x").await.unwrap_err(), "to deprecate");

    let releaser = roles.registry("releaser");
    assert_eq!(releaser.register(&contract("a.c", "v1", schema_of_x())).await.unwrap(), Registered::Created);
    assert!(releaser.set_status(&topic, &version, Status::Deprecated, "old").await.unwrap());
    denied(releaser.observe(&[sighting("ci")]).await.unwrap_err(), "to record");

    // The log has them all by their roles, and none of them can write to it, or remove anything.
    let history = reader.history(None).await.unwrap();
    let last = history.last().unwrap();
    assert_eq!((last.role.clone(), last.reason.as_str()), (Some(format!("{}_releaser_login", roles.prefix)), "old"));
    for role in ["reader", "service", "registrar", "releaser"] {
        let mut connection = PgConnection::connect(&roles.url(role)).await.unwrap();
        for statement in [
            "INSERT INTO celerysalt_audit (action, topic, version) VALUES ('create', 'a', 'v1')",
            "DELETE FROM celerysalt_schemas",
            "TRUNCATE celerysalt_schemas",
            "DELETE FROM celerysalt_publishers",
            "ALTER TABLE celerysalt_schemas DISABLE TRIGGER ALL",
            "INSERT INTO celerysalt_migrations (version, name) VALUES (99, 'x')",
            "CREATE TABLE mine (x int)",
        ] {
            let error = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap_err();
            let code = error.as_database_error().and_then(|error| error.code().map(Cow::into_owned));
            assert_eq!(code.as_deref(), Some("42501"), "{role}: {statement}: {error}");
        }
    }
}

#[tokio::test]
async fn a_database_that_is_half_migrated_says_what_to_run() {
    in_fresh_schema(|schema| async move {
        schema.registry().register(&offered()).await.unwrap();
        // As an older celerysalt left it.
        schema
            .execute(
                "DROP TABLE celerysalt_publishers, celerysalt_subscribers, celerysalt_audit CASCADE;
                 DELETE FROM celerysalt_migrations WHERE version > 1",
            )
            .await;
        let registry = schema.registry();
        for error in [
            registry.list(None).await.unwrap_err(),
            registry.history(None).await.unwrap_err(),
            registry.sync(&[], true).await.unwrap_err(),
        ] {
            assert!(matches!(error, RegistryError::Unusable { .. }), "{error:?}");
            assert!(error.to_string().contains("celerysalt sync"), "{error}");
        }
        assert_eq!(registry.register(&offered()).await.unwrap(), Registered::Unchanged);
        assert_eq!(registry.list(None).await.unwrap(), [offered()]);

        // The record says that all is done, and a table is gone.
        schema.execute("DROP TABLE celerysalt_subscribers").await;
        let error = schema.registry().lineage(&offered().topic).await.unwrap_err();
        assert!(matches!(error, RegistryError::Unusable { .. }), "{error:?}");
        assert!(error.to_string().contains("celerysalt_subscribers"), "{error}");
    })
    .await;
}
