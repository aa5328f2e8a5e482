//! What a registry tells beside the contracts: its log, deprecations, and who is there.

use std::sync::Arc;

use celerysalt_contract::{ContractRecord, Status};
use serde_json::json;

use super::{actions, contract, described, schema, topic, version};
use crate::registry::{
    Action, AuditAction, Deprecation, Registered, Registry, RegistryError, Side, Sighting, conformance::names,
};

async fn logged(registry: &Arc<dyn Registry>, filter: Option<&str>) -> Vec<String> {
    let filter = filter.map(|text| text.parse().unwrap());
    let entries = registry.history(filter.as_ref()).await.unwrap();
    assert!(entries.windows(2).all(|pair| pair[0].at <= pair[1].at), "{entries:?}");
    entries.iter().map(|entry| format!("{} {}@{} {}", entry.action, entry.topic, entry.version, entry.reason)).collect()
}

pub async fn losers_are_told_who_won(registry: Arc<dyn Registry>) {
    let winner = contract("a.b", "v1", schema("x", "string"));
    actions(&registry, &[winner.clone(), contract("a.b", "v2", schema("x", "string"))]).await;
    let loser = contract("a.b", "v1.0", schema("x", "integer"));
    for dry_run in [true, false] {
        let plan = registry.sync(std::slice::from_ref(&loser), dry_run).await.unwrap();
        let [step] = &plan.steps[..] else { panic!("{plan:?}") };
        let Action::Conflict(conflict) = &step.action else { panic!("{plan:?}") };
        let released = conflict.released.as_ref().unwrap();
        assert_eq!((released.action, &released.version), (AuditAction::Create, &winner.version));
        assert_eq!(released.fingerprint.as_ref(), Some(&winner.fingerprint));
        let text = conflict.to_string();
        assert!(text.contains(&released.who()) && text.contains(&released.at.to_string()), "{text}");
    }
}

pub async fn a_deprecation_is_told_and_taken_back(registry: Arc<dyn Registry>) {
    let (a_b, v1) = (topic("a.b"), version("v1"));
    actions(&registry, &[contract("a.b", "v1", schema("x", "string")), contract("a.b", "v2", schema("x", "string"))])
        .await;
    let missing = registry.set_status(&a_b, &version("v3"), Status::Deprecated, "x").await.unwrap_err();
    assert!(matches!(&missing, RegistryError::NotFound { .. }) && missing.to_string().contains("a.b@v3"), "{missing}");
    assert_eq!(registry.deprecations().await.unwrap(), []);

    assert!(registry.set_status(&a_b, &version("v1.0"), Status::Deprecated, "use v2; it's \"better\"").await.unwrap());
    assert!(!registry.set_status(&a_b, &v1, Status::Deprecated, "again").await.unwrap(), "it was already");
    let told = Deprecation { topic: a_b.clone(), version: v1.clone(), reason: "use v2; it's \"better\"".to_owned() };
    assert_eq!(registry.deprecations().await.unwrap(), [told]);
    assert_eq!(registry.get(&a_b, &v1).await.unwrap().unwrap().status, Status::Deprecated);
    assert_eq!(registry.get(&a_b, &version("v2")).await.unwrap().unwrap().status, Status::Active);

    assert!(registry.set_status(&a_b, &v1, Status::Active, "it is needed").await.unwrap());
    assert_eq!(registry.deprecations().await.unwrap(), []);
    assert_eq!(
        logged(&registry, Some("a.b@v1")).await,
        ["create a.b@v1 ", "deprecate a.b@v1 use v2; it's \"better\"", "undeprecate a.b@v1 it is needed"]
    );
}

pub async fn a_sync_takes_no_deprecation_back(registry: Arc<dyn Registry>) {
    let first = contract("a.b", "v1", schema("x", "string"));
    registry.register(&first).await.unwrap();
    registry.set_status(&first.topic, &first.version, Status::Deprecated, "").await.unwrap();
    assert_eq!(registry.register(&first).await.unwrap(), Registered::Unchanged);
    assert_eq!(registry.register(&described(&first, "other words")).await.unwrap(), Registered::Updated);
    let found = registry.get(&first.topic, &first.version).await.unwrap().unwrap();
    assert_eq!((found.status, found.description.as_str()), (Status::Deprecated, "other words"));
    let other = ContractRecord { status: Status::Deprecated, ..contract("a.c", "v1", schema("x", "string")) };
    registry.register(&other).await.unwrap();
    let active = ContractRecord { status: Status::Active, ..other.clone() };
    assert_eq!(registry.register(&active).await.unwrap(), Registered::Unchanged);
    assert_eq!(registry.get(&other.topic, &other.version).await.unwrap(), Some(other));
}

pub async fn the_log_has_every_change_in_order(registry: Arc<dyn Registry>) {
    actions(&registry, &[]).await;
    assert_eq!(logged(&registry, None).await, Vec::<String>::new());
    let first = contract("a.b", "v1", schema("x", "string"));
    let second = contract("a.c", "v1", schema("x", "string"));
    actions(&registry, &[first.clone(), second.clone()]).await;
    actions(&registry, &[first.clone(), described(&second, "other words")]).await;
    actions(&registry, &[contract("a.b", "v1", schema("x", "integer")), contract("a.d", "v1", json!({}))]).await;
    registry.sync(&[contract("a.e", "v1", json!({}))], true).await.unwrap();
    assert_eq!(logged(&registry, None).await, ["create a.b@v1 ", "create a.c@v1 ", "update a.c@v1 "]);
    assert_eq!(logged(&registry, Some("a.c")).await, ["create a.c@v1 ", "update a.c@v1 "]);
    assert_eq!(logged(&registry, Some("*.b@v1")).await, ["create a.b@v1 "]);
    assert_eq!(names(&registry, None).await, ["a.b@v1", "a.c@v1"]);
}

pub async fn who_is_there_is_remembered_once(registry: Arc<dyn Registry>) {
    actions(&registry, &[contract("pulse.risk.created", "v1", schema("x", "string"))]).await;
    let sighting = |side, contracts: &str, service: &str, handler: &str| Sighting {
        side,
        contracts: contracts.parse().unwrap(),
        service: service.to_owned(),
        handler: handler.to_owned(),
        host: "web-1".to_owned(),
    };
    let all = [
        sighting(Side::Subscriber, "pulse.#", "audit", "log"),
        sighting(Side::Subscriber, "pulse.risk.created@^v1", "mail", "notify"),
        sighting(Side::Publisher, "pulse.risk.created@v1", "pulse", "RiskCreated"),
        sighting(Side::Subscriber, "orders.*", "audit", "log"),
        sighting(Side::Subscriber, "pulse.risk.created@latest", "mail", "notify"),
    ];
    registry.observe(&all).await.unwrap();
    let about = topic("pulse.risk.created");
    let before = registry.lineage(&about).await.unwrap();
    let told: Vec<String> =
        before.iter().map(|seen| format!("{} {}", seen.sighting.contracts, seen.sighting.service)).collect();
    assert_eq!(
        told,
        [
            "pulse.risk.created@v1 pulse",
            "pulse.# audit",
            "pulse.risk.created@^v1 mail",
            "pulse.risk.created@latest mail"
        ]
    );
    assert_eq!(before[0].sighting, all[2]);
    let mut everyone: Vec<Sighting> =
        registry.everyone().await.unwrap().into_iter().map(|seen| seen.sighting).collect();
    assert_eq!(everyone.len(), all.len());
    everyone.retain(|sighting| !all.contains(sighting));
    assert_eq!(everyone, []);

    // The same again, twice in one breath and from another machine.
    let again = Sighting { host: "web-2".to_owned(), ..all[2].clone() };
    registry.observe(&[all[2].clone(), again.clone()]).await.unwrap();
    let after = registry.lineage(&about).await.unwrap();
    assert_eq!(after.len(), before.len());
    assert_eq!(after[0].first_seen, before[0].first_seen);
    assert!(after[0].last_seen >= before[0].last_seen);
    registry.observe(std::slice::from_ref(&again)).await.unwrap();
    assert_eq!(registry.lineage(&about).await.unwrap()[0].sighting.host, "web-2");
    assert_eq!(registry.lineage(&topic("orders")).await.unwrap(), []);
    registry.observe(&[]).await.unwrap();
}
