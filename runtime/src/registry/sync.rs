//! What a sync does, decided before anything is written: a pure function of what is known and what is offered.

use std::collections::{BTreeMap, BTreeSet};

use celerysalt_contract::{ContractRecord, Selector, Topic, Version, VersionRange, differences};
use serde_json::Value;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use super::RegistryError;
use super::{Action, AuditAction, AuditEntry, Conflict, Deprecation, Plan, Step};

/// What identifies a contract. `v1` and `v1.0` are one version, so they are one key.
pub(super) type Key = (Topic, Version);

/// A contract's [`Key`].
pub(super) fn key(contract: &ContractRecord) -> Key {
    (contract.topic.clone(), contract.version.clone())
}

/// Where a contract names its exchange.
const EXCHANGE: &str = "/x-celerysalt/exchange";

/// The plan, and what to write if it is carried out.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) plan: Plan,
    pub(super) inserts: Vec<ContractRecord>,
    pub(super) updates: Vec<ContractRecord>,
}

/// Decides for each of `offered`, against `known` and against what stands before it in `offered`.
///
/// A contract for whose place `is_current` holds needs no look at what is known. Only the contracts for which it does not hold
/// have to be in `known`, as far as they are known at all.
pub(super) fn plan(
    offered: &[ContractRecord],
    mut known: BTreeMap<Key, ContractRecord>,
    is_current: impl Fn(usize) -> bool,
) -> Changes {
    let mut inserted = BTreeSet::new();
    let mut updated = BTreeSet::new();
    let mut steps = Vec::with_capacity(offered.len());
    for (place, contract) in offered.iter().enumerate() {
        let key = key(contract);
        let action = if is_current(place) { Action::Unchanged } else { decide(known.get(&key), contract) };
        match action {
            Action::Create => {
                known.insert(key.clone(), contract.clone());
                inserted.insert(key);
            }
            Action::Update => {
                if let Some(record) = known.get_mut(&key) {
                    *record = merge(record, contract);
                }
                if !inserted.contains(&key) {
                    updated.insert(key);
                }
            }
            Action::Unchanged | Action::Conflict(_) => {}
        }
        steps.push(Step { topic: contract.topic.clone(), version: contract.version.clone(), action });
    }
    let mut take = |keys: BTreeSet<Key>| keys.iter().filter_map(|key| known.remove(key)).collect();
    Changes { inserts: take(inserted), updates: take(updated), plan: Plan { steps, applied: false } }
}

fn decide(known: Option<&ContractRecord>, offered: &ContractRecord) -> Action {
    let Some(known) = known else { return Action::Create };
    let moved = moved(known, offered);
    if known.fingerprint != offered.fingerprint || !moved.is_empty() {
        let mut differences = differences(known, offered);
        differences.extend(moved);
        return Action::Conflict(Conflict {
            topic: offered.topic.clone(),
            version: offered.version.clone(),
            registered: known.fingerprint.clone(),
            offered: offered.fingerprint.clone(),
            released: None,
            differences,
        });
    }
    if merge(known, offered) == *known { Action::Unchanged } else { Action::Update }
}

/// Where messages go is no part of the fingerprint, and still what readers rely on.
fn moved(known: &ContractRecord, offered: &ContractRecord) -> Vec<String> {
    let (was, is) = (exchange(&known.schema), exchange(&offered.schema));
    if was == is {
        return Vec::new();
    }
    let line = |sign, exchange: Option<&Value>| Some(format!("{sign} {EXCHANGE}: {}", exchange?));
    line('-', was).into_iter().chain(line('+', is)).collect()
}

/// The exchange that a schema names.
pub(super) fn exchange(schema: &Value) -> Option<&Value> {
    schema.pointer(EXCHANGE)
}

/// The documents as offered. The publisher stays whoever registered the contract first: several services may publish
/// it, and none of them takes it from the others by starting last. The status stays too: a release or a start that knows
/// nothing of a deprecation must not take it back.
fn merge(known: &ContractRecord, offered: &ContractRecord) -> ContractRecord {
    ContractRecord {
        version: known.version.clone(),
        publisher_module: known.publisher_module.clone().or_else(|| offered.publisher_module.clone()),
        publisher_class: known.publisher_class.clone().or_else(|| offered.publisher_class.clone()),
        status: known.status,
        ..offered.clone()
    }
}

/// Says of each conflict who was there first: the last of `entries` that released its contract.
pub(super) fn name_the_winners(plan: &mut Plan, entries: &[AuditEntry]) {
    for step in &mut plan.steps {
        if let Action::Conflict(conflict) = &mut step.action {
            conflict.released = entries
                .iter()
                .rev()
                .find(|entry| {
                    entry.action == AuditAction::Create
                        && entry.topic == conflict.topic
                        && entry.version == conflict.version
                })
                .cloned()
                .map(Box::new);
        }
    }
}

/// What a database's sync has to say: to its caller who was first where there is a conflict, and to the log what changed.
/// `releases` has the log's entries of some topics. That nobody can be named is no failure of the sync.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) async fn told(
    mut plan: Plan,
    dry_run: bool,
    releases: impl AsyncFnOnce(Vec<String>) -> Result<Vec<AuditEntry>, RegistryError>,
) -> Plan {
    if plan.has_conflicts() {
        let conflicts = plan.steps.iter().filter(|step| matches!(step.action, Action::Conflict(_)));
        match releases(conflicts.map(|step| step.topic.to_string()).collect()).await {
            Ok(entries) => name_the_winners(&mut plan, &entries),
            Err(error) => tracing::debug!(%error, "who released the conflicting contracts is not known"),
        }
    }
    if !dry_run {
        log(&plan);
    }
    plan
}

/// Of a contract that is deprecated, with the reason that was given last.
pub(super) fn deprecation(contract: &ContractRecord, audit: &[AuditEntry]) -> Deprecation {
    let last = audit.iter().rev().find(|entry| {
        entry.action == AuditAction::Deprecate && entry.topic == contract.topic && entry.version == contract.version
    });
    Deprecation {
        topic: contract.topic.clone(),
        version: contract.version.clone(),
        reason: last.map(|entry| entry.reason.clone()).unwrap_or_default(),
    }
}

/// Whether `filter` means the contract of an entry.
pub(super) fn is_meant(filter: Option<&Selector>, entry: &AuditEntry) -> bool {
    filter.is_none_or(|selector| selector.matches(entry.topic.as_str(), &entry.version))
}

/// Says in the log what a carried out (or refused) sync changed.
pub(super) fn log(plan: &Plan) {
    for Step { topic, version, action } in &plan.steps {
        match action {
            Action::Create if plan.applied => tracing::info!(%topic, %version, "contract registered"),
            Action::Update if plan.applied => tracing::info!(%topic, %version, "contract's annotations updated"),
            Action::Unchanged => tracing::debug!(%topic, %version, "contract is registered already"),
            Action::Conflict(conflict) => tracing::error!(%topic, %version, "contract conflicts: {conflict}"),
            Action::Create | Action::Update => {}
        }
    }
}

/// The contracts that `filter` means, sorted by topic, then version.
pub(super) fn select(mut contracts: Vec<ContractRecord>, filter: Option<&Selector>) -> Vec<ContractRecord> {
    contracts.sort_by(|a, b| (&a.topic, &a.version).cmp(&(&b.topic, &b.version)));
    let Some(selector) = filter else { return contracts };
    contracts.retain(|contract| selector.matches(contract.topic.as_str(), &contract.version));
    if selector.versions == VersionRange::Latest {
        // Sorted, so the newest of a topic is the last before another topic.
        let last: Vec<bool> = (0..contracts.len())
            .map(|i| contracts.get(i + 1).is_none_or(|next| next.topic != contracts[i].topic))
            .collect();
        let mut last = last.into_iter();
        contracts.retain(|_| last.next().unwrap_or(false));
    }
    contracts
}
