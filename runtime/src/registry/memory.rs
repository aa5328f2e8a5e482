//! A registry in this process's memory: for tests, examples, and services that are given no other.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak},
};

use async_trait::async_trait;
use celerysalt_contract::{ContractRecord, Selector, Topic, Version};

use super::{
    Plan, Registry, RegistryError,
    sync::{self, Key},
};

type Contracts = Mutex<BTreeMap<Key, ContractRecord>>;

/// The registries that have a name, while a handle of them lives.
static NAMED: LazyLock<Mutex<HashMap<String, Weak<Contracts>>>> = LazyLock::new(Mutex::default);

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
    contracts: Arc<Contracts>,
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
        if let Some(contracts) = named.get(name).and_then(Weak::upgrade) {
            return Self { contracts };
        }
        named.retain(|_, contracts| contracts.strong_count() > 0);
        let registry = Self::new();
        named.insert(name.to_owned(), Arc::downgrade(&registry.contracts));
        registry
    }
}

/// A panic elsewhere leaves nothing half done here: each change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for MemoryRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRegistry").field("contracts", &lock(&self.contracts).len()).finish()
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    async fn sync(&self, contracts: &[ContractRecord], dry_run: bool) -> Result<Plan, RegistryError> {
        let mut known = lock(&self.contracts);
        let offered = contracts.iter().filter_map(|contract| {
            let key = sync::key(contract);
            known.get(&key).map(|record| (key, record.clone()))
        });
        let changes = sync::plan(contracts, offered.collect(), |_| false);
        let mut plan = changes.plan;
        plan.applied = !dry_run && !plan.has_conflicts();
        if plan.applied {
            let written = changes.inserts.into_iter().chain(changes.updates);
            known.extend(written.map(|record| (sync::key(&record), record)));
        }
        drop(known);
        if !dry_run {
            sync::log(&plan);
        }
        Ok(plan)
    }

    async fn get(&self, topic: &Topic, version: &Version) -> Result<Option<ContractRecord>, RegistryError> {
        Ok(lock(&self.contracts).get(&(topic.clone(), version.clone())).cloned())
    }

    async fn list(&self, filter: Option<&Selector>) -> Result<Vec<ContractRecord>, RegistryError> {
        let contracts = lock(&self.contracts).values().cloned().collect();
        Ok(sync::select(contracts, filter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_means_one_registry_while_a_handle_lives() {
        let first = MemoryRegistry::named("a name of this test");
        let second = MemoryRegistry::named("a name of this test");
        assert!(Arc::ptr_eq(&first.contracts, &second.contracts));
        assert!(!Arc::ptr_eq(&first.contracts, &MemoryRegistry::named("another").contracts));
        let before = Arc::downgrade(&first.contracts);
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
