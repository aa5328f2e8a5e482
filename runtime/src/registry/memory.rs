//! A registry in this process's memory: for tests, examples, and services that are given no other.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak},
};

use async_trait::async_trait;
use celerysalt_contract::{ContractRecord, Selector, Status, Topic, Version};
use jiff::Timestamp;

use super::{
    Actor, AuditAction, AuditEntry, Deprecation, LookedAt, Plan, Registry, RegistryError, Seen, Sighting, lifecycle,
    sync::{self, Key},
};

/// What a registry knows.
#[derive(Default)]
struct Memory {
    contracts: BTreeMap<Key, ContractRecord>,
    audit: Vec<AuditEntry>,
    seen: Vec<Seen>,
}

type Shared = Mutex<Memory>;

/// The registries that have a name, while a handle of them lives.
static NAMED: LazyLock<Mutex<HashMap<String, Weak<Shared>>>> = LazyLock::new(Mutex::default);

/// Contracts in memory. A clone is another handle of the same registry; the last handle takes the contracts with it.
///
/// ```
/// use celerysalt::registry::{Registry, memory::MemoryRegistry};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let registry = MemoryRegistry::new();
/// assert!(registry.list(None).await?.is_empty());
/// # Ok::<(), celerysalt::registry::RegistryError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct MemoryRegistry {
    memory: Arc<Shared>,
    actor: Actor,
}

impl MemoryRegistry {
    /// An empty registry of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// The registry of that name in this process; empty unless a handle of it lives somewhere.
    ///
    /// `memory:` is the one with the empty name, `memory:orders` is `orders`.
    pub fn named(name: &str) -> Self {
        let mut named = lock(&NAMED);
        if let Some(memory) = named.get(name).and_then(Weak::upgrade) {
            return Self { memory, actor: Actor::default() };
        }
        named.retain(|_, memory| memory.strong_count() > 0);
        let registry = Self::new();
        named.insert(name.to_owned(), Arc::downgrade(&registry.memory));
        registry
    }

    /// The same registry, whose audit log names `actor` for what is done through this handle.
    #[must_use]
    pub fn with_actor(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    fn sync_now(&self, memory: &mut Memory, contracts: &[ContractRecord], dry_run: bool) -> Plan {
        let offered = contracts.iter().filter_map(|contract| {
            let key = sync::key(contract);
            memory.contracts.get(&key).map(|record| (key, record.clone()))
        });
        let changes = sync::plan(contracts, offered.collect(), |_| false);
        let mut plan = changes.plan;
        plan.applied = !dry_run && !plan.has_conflicts();
        if plan.applied {
            for (action, records) in [(AuditAction::Create, changes.inserts), (AuditAction::Update, changes.updates)] {
                memory.audit.extend(records.iter().map(|record| self.entry(action, record, "")));
                memory.contracts.extend(records.into_iter().map(|record| (sync::key(&record), record)));
            }
        }
        sync::name_the_winners(&mut plan, &memory.audit);
        if !dry_run {
            sync::log(&plan);
        }
        plan
    }

    fn entry(&self, action: AuditAction, contract: &ContractRecord, reason: &str) -> AuditEntry {
        AuditEntry {
            at: Timestamp::now(),
            action,
            topic: contract.topic.clone(),
            version: contract.version.clone(),
            fingerprint: Some(contract.fingerprint.clone()),
            actor: self.actor.clone(),
            role: None,
            reason: reason.to_owned(),
        }
    }
}

/// A panic elsewhere leaves nothing half done here: each change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for MemoryRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRegistry").field("contracts", &lock(&self.memory).contracts.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    async fn sync(&self, contracts: &[ContractRecord], dry_run: bool) -> Result<Plan, RegistryError> {
        Ok(self.sync_now(&mut lock(&self.memory), contracts, dry_run))
    }

    async fn sync_after(
        &self,
        contracts: &[ContractRecord],
        looked_at: &LookedAt,
    ) -> Result<Option<Plan>, RegistryError> {
        let mut memory = lock(&self.memory);
        let is_still = looked_at.is_still(memory.contracts.keys());
        Ok(is_still.then(|| self.sync_now(&mut memory, contracts, false)))
    }

    async fn get(&self, topic: &Topic, version: &Version) -> Result<Option<ContractRecord>, RegistryError> {
        Ok(lock(&self.memory).contracts.get(&(topic.clone(), version.clone())).cloned())
    }

    async fn list(&self, filter: Option<&Selector>) -> Result<Vec<ContractRecord>, RegistryError> {
        let contracts = lock(&self.memory).contracts.values().cloned().collect();
        Ok(sync::select(contracts, filter))
    }

    async fn set_status(
        &self,
        topic: &Topic,
        version: &Version,
        status: Status,
        reason: &str,
    ) -> Result<bool, RegistryError> {
        let mut memory = lock(&self.memory);
        let Some(contract) = memory.contracts.get_mut(&(topic.clone(), version.clone())) else {
            return Err(RegistryError::NotFound {
                registry: "memory:".to_owned(),
                topic: topic.clone(),
                version: version.clone(),
            });
        };
        if contract.status == status {
            return Ok(false);
        }
        contract.status = status;
        let action = if status == Status::Deprecated { AuditAction::Deprecate } else { AuditAction::Undeprecate };
        let entry = self.entry(action, contract, reason);
        memory.audit.push(entry);
        Ok(true)
    }

    async fn deprecations(&self) -> Result<Vec<Deprecation>, RegistryError> {
        let memory = lock(&self.memory);
        let deprecated = memory.contracts.values().filter(|contract| contract.status == Status::Deprecated);
        Ok(deprecated.map(|contract| sync::deprecation(contract, &memory.audit)).collect())
    }

    async fn history(&self, filter: Option<&Selector>) -> Result<Vec<AuditEntry>, RegistryError> {
        let mut entries = lock(&self.memory).audit.clone();
        entries.retain(|entry| sync::is_meant(filter, entry));
        Ok(entries)
    }

    async fn observe(&self, sightings: &[Sighting]) -> Result<(), RegistryError> {
        let (mut memory, now) = (lock(&self.memory), Timestamp::now());
        for sighting in sightings {
            match memory.seen.iter_mut().find(|seen| seen.sighting.key() == sighting.key()) {
                Some(seen) => *seen = Seen { sighting: sighting.clone(), last_seen: now, ..seen.clone() },
                None => memory.seen.push(Seen { sighting: sighting.clone(), first_seen: now, last_seen: now }),
            }
        }
        Ok(())
    }

    async fn lineage(&self, topic: &Topic) -> Result<Vec<Seen>, RegistryError> {
        let mut seen = lock(&self.memory).seen.clone();
        seen.retain(|seen| seen.sighting.is_about(topic));
        lifecycle::sort(&mut seen);
        Ok(seen)
    }

    async fn everyone(&self) -> Result<Vec<Seen>, RegistryError> {
        let mut seen = lock(&self.memory).seen.clone();
        lifecycle::sort(&mut seen);
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_means_one_registry_while_a_handle_lives() {
        let first = MemoryRegistry::named("a name of this test");
        let second = MemoryRegistry::named("a name of this test");
        assert!(Arc::ptr_eq(&first.memory, &second.memory));
        assert!(!Arc::ptr_eq(&first.memory, &MemoryRegistry::named("another").memory));
        let before = Arc::downgrade(&first.memory);
        drop((first, second));
        assert!(before.upgrade().is_none());
        assert!(MemoryRegistry::named("a name of this test").list(None).await.unwrap().is_empty());
    }

    #[cfg(feature = "conformance")]
    mod conformance {
        use std::{future::Future, sync::Arc};

        use crate::registry::{Registry, memory::MemoryRegistry};

        async fn in_memory<F: Future<Output = ()>>(case: impl FnOnce(Arc<dyn Registry>) -> F) {
            case(Arc::new(MemoryRegistry::new())).await;
        }

        crate::registry_conformance!(in_memory);
    }
}
