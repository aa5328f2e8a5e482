//! What every registry does: one suite of cases, each given a registry that nothing was written to.
//!
//! For authors of further registries (feature `conformance`): [`registry_conformance!`](crate::registry_conformance)
//! makes a test of each case.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a suite of tests: each name says what it asserts")]

use std::sync::Arc;

use celerysalt_contract::{ContractRecord, Mode, Selector, Status, Topic, Version, fingerprint};
use serde_json::{Value, json};

use super::{Action, LookedAt, Registered, Registry, RegistryError};

/// One `#[tokio::test]` for each case of the suite.
///
/// Takes the path of an `async fn` that makes an empty registry, awaits the case that it is given with it, and cleans up:
///
/// ```
/// use std::{future::Future, sync::Arc};
///
/// use celerysalt::registry::{Registry, memory::MemoryRegistry};
///
/// async fn in_memory<F: Future<Output = ()> + Send + 'static>(
///     case: impl FnOnce(Arc<dyn Registry>) -> F + Send + 'static,
/// ) {
///     case(Arc::new(MemoryRegistry::new())).await;
/// }
///
/// celerysalt::registry_conformance!(in_memory);
/// ```
#[macro_export]
macro_rules! registry_conformance {
    ($with_registry:path) => {
        $crate::registry_conformance! { $with_registry:
            created_then_unchanged
            annotations_are_updated
            another_meaning_conflicts
            another_exchange_conflicts
            a_conflict_writes_nothing_of_the_whole_sync
            a_dry_run_writes_nothing
            register_says_what_it_did
            versions_stand_side_by_side
            spellings_of_a_version_are_one_version
            the_latest_is_the_newest_by_parts
            lists_are_sorted_and_filtered
            what_is_missing_is_none
            documents_come_back_equal
            one_sync_may_name_a_contract_twice
            the_first_publisher_stays
            concurrent_syncs_make_one_contract
            concurrent_conflicts_have_one_winner
            who_was_overtaken_writes_nothing_and_decides_again
            losers_are_told_who_won
            a_deprecation_is_told_and_taken_back
            a_sync_takes_no_deprecation_back
            the_log_has_every_change_in_order
            who_is_there_is_remembered_once
            a_thousand_contracts_in_one_sync
        }
    };
    ($with_registry:path: $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $with_registry($crate::registry::conformance::$case).await;
            }
        )*
    };
}

mod lifecycle;

pub use lifecycle::{
    a_deprecation_is_told_and_taken_back, a_sync_takes_no_deprecation_back, losers_are_told_who_won,
    the_log_has_every_change_in_order, who_is_there_is_remembered_once,
};

/// A contract as a release offers it.
pub fn contract(topic: &str, version: &str, schema: Value) -> ContractRecord {
    ContractRecord {
        topic: topic.parse().unwrap(),
        version: version.parse().unwrap(),
        mode: Mode::Broadcast,
        fingerprint: fingerprint(Mode::Broadcast, &schema, None, None),
        description: schema["description"].as_str().unwrap_or_default().to_owned(),
        schema,
        response_schema: None,
        error_schema: None,
        publisher_module: None,
        publisher_class: None,
        status: Status::Active,
    }
}

/// An object with one required property of that type.
pub fn schema(property: &str, kind: &str) -> Value {
    json!({"type": "object", "properties": {property: {"type": kind}}, "required": [property]})
}

fn described(contract: &ContractRecord, description: &str) -> ContractRecord {
    ContractRecord { description: description.to_owned(), ..contract.clone() }
}

fn topic(text: &str) -> Topic {
    text.parse().unwrap()
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

async fn names(registry: &Arc<dyn Registry>, filter: Option<&str>) -> Vec<String> {
    let filter: Option<Selector> = filter.map(|text| text.parse().unwrap());
    let contracts = registry.list(filter.as_ref()).await.unwrap();
    contracts.iter().map(|c| format!("{}@{}", c.topic, c.version)).collect()
}

async fn actions(registry: &Arc<dyn Registry>, contracts: &[ContractRecord]) -> Vec<Action> {
    let plan = registry.sync(contracts, false).await.unwrap();
    assert_eq!(plan.applied, !plan.has_conflicts());
    plan.steps.into_iter().map(|step| step.action).collect()
}

/// A registry that was used before, with nothing in it.
async fn sync_nothing(registry: &Arc<dyn Registry>) {
    assert_eq!(actions(registry, &[]).await, []);
}

pub async fn created_then_unchanged(registry: Arc<dyn Registry>) {
    let contracts = [contract("a.b", "v1", schema("x", "string")), contract("a.c", "v1", schema("x", "integer"))];
    assert_eq!(actions(&registry, &contracts).await, [Action::Create, Action::Create]);
    assert_eq!(actions(&registry, &contracts).await, [Action::Unchanged, Action::Unchanged]);
    assert_eq!(registry.list(None).await.unwrap(), contracts);
    assert!(registry.has(&topic("a.b"), &version("v1")).await.unwrap());
}

pub async fn annotations_are_updated(registry: Arc<dyn Registry>) {
    let first = contract("a.b", "v1", schema("x", "string"));
    actions(&registry, std::slice::from_ref(&first)).await;
    let mut contract = described(&first, "Said more clearly");
    contract.schema["title"] = json!("A better title");
    let new = super::conformance::contract("a.c", "v1", schema("x", "string"));
    assert_eq!(
        actions(&registry, &[new, contract.clone()]).await,
        [Action::Create, Action::Update],
        "a title is no meaning"
    );
    assert_eq!(registry.get(&contract.topic, &contract.version).await.unwrap(), Some(contract.clone()));
    assert_eq!(actions(&registry, std::slice::from_ref(&contract)).await, [Action::Unchanged]);
    assert_eq!(registry.get(&contract.topic, &contract.version).await.unwrap(), Some(contract));
}

pub async fn another_meaning_conflicts(registry: Arc<dyn Registry>) {
    let first = contract("a.b", "v1", schema("x", "string"));
    let second = contract("a.b", "v1", schema("x", "integer"));
    actions(&registry, std::slice::from_ref(&first)).await;
    let found = actions(&registry, std::slice::from_ref(&second)).await;
    let [Action::Conflict(conflict)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&conflict.registered, &conflict.offered), (&first.fingerprint, &second.fingerprint));
    assert!(conflict.differences.iter().any(|line| line.contains("/properties/x")), "{conflict}");
    let error = registry.register(&second).await.unwrap_err();
    assert!(matches!(error, RegistryError::Conflict(_)), "{error:?}");
    assert_eq!(registry.list(None).await.unwrap(), [first]);
}

pub async fn another_exchange_conflicts(registry: Arc<dyn Registry>) {
    let at = |exchange: &str| {
        let mut schema = schema("x", "string");
        schema["x-celerysalt"] = json!({"exchange": exchange, "owner": exchange});
        contract("a.b", "v1", schema)
    };
    let (first, moved) = (at("orders"), at("elsewhere"));
    assert_eq!(first.fingerprint, moved.fingerprint);
    actions(&registry, std::slice::from_ref(&first)).await;
    let found = actions(&registry, std::slice::from_ref(&moved)).await;
    let [Action::Conflict(conflict)] = &found[..] else { panic!("{found:?}") };
    let said = ["- /x-celerysalt/exchange: \"orders\"", "+ /x-celerysalt/exchange: \"elsewhere\""];
    assert_eq!(conflict.differences, said);
    let mut handed_over = first.clone();
    handed_over.schema["x-celerysalt"]["owner"] = json!("somebody else");
    assert_eq!(actions(&registry, std::slice::from_ref(&handed_over)).await, [Action::Update]);
    assert_eq!(registry.list(None).await.unwrap(), [handed_over]);
}

pub async fn who_was_overtaken_writes_nothing_and_decides_again(registry: Arc<dyn Registry>) {
    let versions = ["v1", "v1.1", "v1.2"].map(|version| contract("a.b", version, schema("x", "string")));
    let elsewhere = contract("a.c", "v1", schema("x", "string"));
    actions(&registry, &versions[..1]).await;
    let about = topic("a.b");
    let look = async || LookedAt::new([&about], &registry.list(None).await.unwrap());
    let looked_at = look().await;
    // Others release: elsewhere, which is nobody's business, and then here.
    actions(&registry, std::slice::from_ref(&elsewhere)).await;
    let plan = registry.sync_after(&versions[..2], &looked_at).await.unwrap().unwrap();
    assert!(plan.applied && plan.steps[1].action == Action::Create, "{plan:?}");
    assert_eq!(registry.sync_after(&versions, &looked_at).await.unwrap(), None);
    assert_eq!(names(&registry, None).await, ["a.b@v1", "a.b@v1.1", "a.c@v1"]);
    let plan = registry.sync_after(&versions, &look().await).await.unwrap().unwrap();
    assert!(plan.applied, "{plan:?}");
    // Who has nothing to write was not overtaken by anybody.
    assert!(registry.sync_after(&versions, &look().await).await.unwrap().unwrap().applied);
    // A conflict is told as ever.
    let other = contract("a.b", "v1", schema("x", "integer"));
    let plan = registry.sync_after(&[other], &look().await).await.unwrap().unwrap();
    assert!(plan.has_conflicts() && !plan.applied, "{plan:?}");
}

pub async fn a_conflict_writes_nothing_of_the_whole_sync(registry: Arc<dyn Registry>) {
    let known = contract("a.b", "v1", schema("x", "string"));
    actions(&registry, std::slice::from_ref(&known)).await;
    let found = actions(
        &registry,
        &[
            contract("a.a", "v1", schema("x", "string")),
            described(&known, "an update that must not happen"),
            contract("a.b", "v1", schema("x", "integer")),
            contract("z.z", "v1", schema("x", "string")),
        ],
    )
    .await;
    assert!(matches!(found[..], [Action::Create, Action::Update, Action::Conflict(_), Action::Create]), "{found:?}");
    assert_eq!(registry.list(None).await.unwrap(), [known]);
}

pub async fn a_dry_run_writes_nothing(registry: Arc<dyn Registry>) {
    let offered = contract("a.b", "v1", schema("x", "string"));
    let plan = registry.sync(std::slice::from_ref(&offered), true).await.unwrap();
    assert_eq!((plan.steps[0].action.clone(), plan.applied), (Action::Create, false));
    sync_nothing(&registry).await;
    assert_eq!(registry.list(None).await.unwrap(), []);
    registry.register(&offered).await.unwrap();
    let plan = registry.sync(&[described(&offered, "other words")], true).await.unwrap();
    assert_eq!((plan.steps[0].action.clone(), plan.applied), (Action::Update, false));
    assert_eq!(registry.list(None).await.unwrap()[0].description, "");
}

pub async fn register_says_what_it_did(registry: Arc<dyn Registry>) {
    let contract = contract("a.b", "v1", schema("x", "string"));
    assert_eq!(registry.register(&contract).await.unwrap(), Registered::Created);
    assert_eq!(registry.register(&contract).await.unwrap(), Registered::Unchanged);
    assert_eq!(registry.register(&described(&contract, "other words")).await.unwrap(), Registered::Updated);
}

pub async fn versions_stand_side_by_side(registry: Arc<dyn Registry>) {
    let first = contract("a.b", "v1", schema("x", "string"));
    let second = contract("a.b", "v2", schema("x", "integer"));
    assert_eq!(registry.register(&first).await.unwrap(), Registered::Created);
    assert_eq!(registry.register(&second).await.unwrap(), Registered::Created);
    assert_eq!(registry.get(&first.topic, &first.version).await.unwrap(), Some(first));
    assert_eq!(registry.get(&second.topic, &second.version).await.unwrap(), Some(second));
}

pub async fn spellings_of_a_version_are_one_version(registry: Arc<dyn Registry>) {
    registry.register(&contract("a.b", "v1", schema("x", "string"))).await.unwrap();
    let again = contract("a.b", "v1.0", schema("x", "string"));
    assert_eq!(registry.register(&again).await.unwrap(), Registered::Unchanged);
    let other = contract("a.b", "v1.0.0", schema("x", "integer"));
    assert!(matches!(registry.register(&other).await, Err(RegistryError::Conflict(_))));
    assert_eq!(registry.register(&described(&again, "other words")).await.unwrap(), Registered::Updated);
    let found = registry.get(&topic("a.b"), &version("v1.0.0")).await.unwrap().unwrap();
    assert_eq!((found.version.as_str(), found.description.as_str()), ("v1", "other words"));
    assert_eq!(names(&registry, None).await, ["a.b@v1"]);
}

pub async fn the_latest_is_the_newest_by_parts(registry: Arc<dyn Registry>) {
    for text in ["v1.10", "v1.2", "v1.9"] {
        registry.register(&contract("a.b", text, schema("x", "string"))).await.unwrap();
    }
    registry.register(&contract("a.c", "v3", schema("x", "string"))).await.unwrap();
    let latest = registry.latest(&topic("a.b")).await.unwrap().unwrap();
    assert_eq!(latest.version.as_str(), "v1.10");
    assert_eq!(registry.latest(&topic("a.d")).await.unwrap(), None);
}

pub async fn lists_are_sorted_and_filtered(registry: Arc<dyn Registry>) {
    let all = ["b.x@v2", "b@v1", "a_c@v1", "abc@v1", "b.x@v1.10", "b.x@v1.2", "b.x.y@v1", "B@v1"];
    let contracts: Vec<_> = all
        .iter()
        .filter_map(|name| name.split_once('@'))
        .map(|(topic, version)| contract(topic, version, schema("x", "string")))
        .collect();
    actions(&registry, &contracts).await;
    for (filter, expected) in [
        (None, &["B@v1", "a_c@v1", "abc@v1", "b@v1", "b.x@v1.2", "b.x@v1.10", "b.x@v2", "b.x.y@v1"][..]),
        (Some("b.x"), &["b.x@v1.2", "b.x@v1.10", "b.x@v2"]),
        (Some("b.*"), &["b.x@v1.2", "b.x@v1.10", "b.x@v2"]),
        (Some("b.#"), &["b@v1", "b.x@v1.2", "b.x@v1.10", "b.x@v2", "b.x.y@v1"]),
        (Some("#.y"), &["b.x.y@v1"]),
        (Some("b.x@v2"), &["b.x@v2"]),
        (Some("b.x@^v1.3"), &["b.x@v1.10"]),
        (Some("b.#@latest"), &["b@v1", "b.x@v2", "b.x.y@v1"]),
        (Some("a_c"), &["a_c@v1"]),
        (Some("nothing.*"), &[]),
    ] {
        assert_eq!(names(&registry, filter).await, expected, "{filter:?}");
    }
}

pub async fn what_is_missing_is_none(registry: Arc<dyn Registry>) {
    sync_nothing(&registry).await;
    assert_eq!(registry.get(&topic("a.b"), &version("v1")).await.unwrap(), None);
    registry.register(&contract("a.b", "v1", schema("x", "string"))).await.unwrap();
    assert_eq!(registry.get(&topic("a.b"), &version("v2")).await.unwrap(), None);
    assert_eq!(registry.get(&topic("a"), &version("v1")).await.unwrap(), None);
    registry.register(&contract("abc", "v1", schema("x", "string"))).await.unwrap();
    assert_eq!(registry.get(&topic("a_c"), &version("v1")).await.unwrap(), None);
    assert_eq!(registry.latest(&topic("a_c")).await.unwrap(), None);
    assert!(!registry.has(&topic("a.b.c"), &version("v1")).await.unwrap());
}

pub async fn documents_come_back_equal(registry: Arc<dyn Registry>) {
    let mut offered = contract(
        "rpc.ünïcode".replace(['ü', 'ï'], "u").as_str(),
        "v1",
        json!({
            "type": "object",
            "title": "Приказ 注文 🧂",
            "description": "quotes \" and \\ and \u{1} and \u{2028}",
            "properties": {"größe/m~n": {"type": "number", "multipleOf": 0.01, "maximum": 18_446_744_073_709_551_615_u64}},
            "enum": [null, true, -1, 0.5, 1e-7, [], {}, "", [[{"": null}]]],
            "default": {"": ""},
        }),
    );
    offered.mode = Mode::Rpc;
    offered.response_schema = Some(json!({"type": "array", "items": {"$ref": "#/$defs/x"}, "$defs": {"x": true}}));
    offered.error_schema = Some(Value::Bool(true));
    offered.publisher_module = Some("pulse 1.2.3".to_owned());
    offered.publisher_class = Some("GetRisk".to_owned());
    offered.status = Status::Deprecated;
    offered.fingerprint =
        fingerprint(offered.mode, &offered.schema, offered.response_schema.as_ref(), offered.error_schema.as_ref());
    let booleans = contract("a.anything", "v1", Value::Bool(true));
    actions(&registry, &[offered.clone(), booleans.clone()]).await;
    assert_eq!(registry.get(&offered.topic, &offered.version).await.unwrap(), Some(offered.clone()));
    assert_eq!(registry.list(None).await.unwrap(), [booleans.clone(), offered.clone()]);
    assert_eq!(actions(&registry, &[offered, booleans]).await, [Action::Unchanged, Action::Unchanged]);
}

pub async fn one_sync_may_name_a_contract_twice(registry: Arc<dyn Registry>) {
    let first = contract("a.b", "v1", schema("x", "string"));
    let retold = described(&first, "other words");
    assert_eq!(
        actions(&registry, &[first.clone(), first.clone(), retold.clone()]).await,
        [Action::Create, Action::Unchanged, Action::Update]
    );
    assert_eq!(registry.list(None).await.unwrap(), [retold]);
    let other = contract("a.c", "v1", schema("x", "string"));
    let found = actions(&registry, &[other, contract("a.c", "v1", schema("x", "integer"))]).await;
    assert!(matches!(found[..], [Action::Create, Action::Conflict(_)]), "{found:?}");
    assert_eq!(names(&registry, None).await, ["a.b@v1"]);
}

pub async fn the_first_publisher_stays(registry: Arc<dyn Registry>) {
    let unnamed = contract("a.b", "v1", schema("x", "string"));
    let by = |module: &str| ContractRecord { publisher_module: Some(module.to_owned()), ..unnamed.clone() };
    assert_eq!(registry.register(&unnamed).await.unwrap(), Registered::Created);
    assert_eq!(registry.register(&by("orders")).await.unwrap(), Registered::Updated);
    assert_eq!(registry.register(&by("billing")).await.unwrap(), Registered::Unchanged);
    assert_eq!(registry.register(&unnamed).await.unwrap(), Registered::Unchanged);
    assert_eq!(registry.list(None).await.unwrap(), [by("orders")]);
}

pub async fn concurrent_syncs_make_one_contract(registry: Arc<dyn Registry>) {
    // Each names the contracts in another order: locks taken row by row would deadlock.
    let contracts: Vec<_> = (0..20).map(|i| contract(&format!("a.n{i}"), "v1", schema("x", "string"))).collect();
    let mut syncs = tokio::task::JoinSet::new();
    for i in 0..200 {
        let registry = registry.clone();
        let mut contracts = contracts.clone();
        contracts.rotate_left(i % 20);
        if i % 2 == 0 {
            contracts.reverse();
        }
        syncs.spawn(async move { registry.sync(&contracts, false).await });
    }
    let mut created = 0;
    while let Some(plan) = syncs.join_next().await {
        let plan = plan.unwrap().unwrap();
        assert!(plan.applied);
        created += plan.steps.iter().filter(|step| step.action == Action::Create).count();
    }
    assert_eq!(created, 20);
    assert_eq!(registry.list(None).await.unwrap().len(), 20);
}

pub async fn concurrent_conflicts_have_one_winner(registry: Arc<dyn Registry>) {
    let mut registrations = tokio::task::JoinSet::new();
    for i in 0..20 {
        let registry = registry.clone();
        let contract = contract("a.b", "v1", schema(&format!("x{i}"), "string"));
        registrations.spawn(async move { registry.register(&contract).await });
    }
    let outcomes = registrations.join_all().await;
    let created = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Registered::Created))).count();
    let conflicts = outcomes.iter().filter(|outcome| matches!(outcome, Err(RegistryError::Conflict(_)))).count();
    assert_eq!((created, conflicts), (1, 19), "{outcomes:?}");
}

pub async fn a_thousand_contracts_in_one_sync(registry: Arc<dyn Registry>) {
    let contracts: Vec<_> = (0..1100).map(|i| contract(&format!("a.n{i}"), "v1", schema("x", "string"))).collect();
    assert!(actions(&registry, &contracts).await.iter().all(|action| *action == Action::Create));
    let contracts: Vec<_> = contracts.iter().map(|contract| described(contract, "other words")).collect();
    assert!(actions(&registry, &contracts).await.iter().all(|action| *action == Action::Update));
    assert!(actions(&registry, &contracts).await.iter().all(|action| *action == Action::Unchanged));
    let listed = registry.list(None).await.unwrap();
    assert!(listed.len() == 1100 && listed.iter().all(|contract| contract.description == "other words"));
}
