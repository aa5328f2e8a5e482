//! Making a program's contracts known, off the publish path.
//!
//! At start-up the contracts that were named are registered at once; one that conflicts stops the start. While the
//! registry is away they wait in a bounded queue that a task drains with backoff. An event type that is published
//! without having been named is put into the same queue by its first publish, which never waits for it.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use celerysalt_contract::ContractRecord;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use crate::{
    error::ConnectError,
    event::EventContract,
    lineage::Lineage,
    registry::{Action, Plan, Registry, RegistryError},
    telemetry::{self, Labels},
};

/// How many contracts may wait for the registry. More than a program has.
const CAPACITY: usize = 10_000;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// How long a service that closes waits for its registrations.
const FLUSH: Duration = Duration::from_secs(5);

/// What a start does when a contract of the program is registered with another meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnConflict {
    /// It fails, and says where the two differ.
    #[default]
    Fail,
    /// It logs the difference and goes on: for a rollout that must not wait.
    Warn,
}

pub(crate) struct Registration {
    /// By identity: a contract is a `static` of the program.
    met: Mutex<HashMap<usize, Met>>,
    lineage: Arc<Lineage>,
    labels: Arc<Labels>,
    pending: mpsc::Sender<ContractRecord>,
    backlog: watch::Sender<Backlog>,
    drain: AbortHandle,
}

/// What was done about a contract of the program.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    /// It is registered, or waits for it, or is not to be.
    settled: bool,
    /// It was published or called.
    published: bool,
}

/// What the draining task has before it.
#[derive(Clone, Copy, Debug, Default)]
struct Backlog {
    waiting: usize,
    /// The registry was away at the last try.
    away: bool,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registration")
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.drain.abort();
    }
}

impl Registration {
    pub(crate) fn new(registry: Arc<dyn Registry>, lineage: Arc<Lineage>, labels: Arc<Labels>) -> Self {
        let (pending, receiver) = mpsc::channel(CAPACITY);
        let backlog = watch::Sender::new(Backlog::default());
        let drain = tokio::spawn(drain(registry, receiver, backlog.clone(), Arc::clone(&labels))).abort_handle();
        Self { met: Mutex::default(), lineage, labels, pending, backlog, drain }
    }

    /// How many contracts wait for the registry, and whether it was away at the last try.
    pub(crate) fn backlog(&self) -> (usize, bool) {
        let Backlog { waiting, away } = *self.backlog.borrow();
        (waiting, away)
    }

    /// Waits until nothing waits for the registry, but not for a registry that is away: a program that ends must not
    /// hang on it.
    pub(crate) async fn flush(&self) {
        let mut backlog = self.backlog.subscribe();
        let done = backlog.wait_for(|backlog| backlog.waiting == 0 || backlog.away);
        match tokio::time::timeout(FLUSH, done).await {
            Ok(Ok(backlog)) if backlog.waiting == 0 => {}
            _ => tracing::warn!("some contracts are not registered yet; run `celerysalt sync`"),
        }
        self.lineage.flush().await;
    }

    /// Registers what a program names at its start.
    ///
    /// # Errors
    /// [`ConnectError::Conflict`] unless told to warn, [`ConnectError::Contract`]. A registry that is away is no error.
    pub(crate) async fn at_start(
        &self,
        registry: &dyn Registry,
        contracts: &[&'static EventContract],
        on_conflict: OnConflict,
    ) -> Result<(), ConnectError> {
        let mut records = Vec::new();
        for contract in contracts {
            if !self.meet(contract, |met| &mut met.settled) && contract.registers_itself() {
                records.push(contract.to_record().map_err(ConnectError::Contract)?);
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        match registry.sync(&records, false).await {
            Ok(plan) => {
                log(&plan, &self.labels);
                if !plan.has_conflicts() {
                    return Ok(());
                }
                if on_conflict == OnConflict::Fail {
                    return Err(ConnectError::Conflict(conflicts(plan)));
                }
                // A plan with a conflict wrote nothing; what does not conflict is still to be registered.
                let rest: Vec<ContractRecord> = without_conflicts(records, &plan);
                self.wait_for_registry(rest);
            }
            Err(RegistryError::Denied { registry, reason }) => {
                tracing::warn!(registry, reason, "contracts are not registered: this service may only read");
            }
            Err(error) => {
                tracing::warn!(%error, contracts = records.len(), "⚠ cached: contracts wait until the registry is back");
                self.wait_for_registry(records);
            }
        }
        Ok(())
    }

    /// Registers a contract that is in use, and tells that it is, without waiting for either. Cheap when it was seen before.
    pub(crate) fn ensure(&self, contract: &'static EventContract) {
        if self.meet(contract, |met| &mut met.published) {
            return;
        }
        let unsettled = !self.meet(contract, |met| &mut met.settled);
        if !contract.uses_registry() {
            return;
        }
        match contract.to_record() {
            Ok(record) => {
                let publisher = record.publisher_class.as_deref().unwrap_or_default();
                self.lineage.publishes(&record.topic, &record.version, publisher);
                if unsettled && contract.registers_itself() {
                    self.wait_for_registry(vec![record]);
                }
            }
            Err(reason) => tracing::error!(reason, "a contract can't be registered"),
        }
    }

    /// Whether it was met so before; from now on it was.
    fn meet(&self, contract: &'static EventContract, how: impl FnOnce(&mut Met) -> &mut bool) -> bool {
        let identity = std::ptr::from_ref(contract).addr();
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        mem::replace(how(met.entry(identity).or_default()), true)
    }

    fn wait_for_registry(&self, records: Vec<ContractRecord>) {
        for record in records {
            self.backlog.send_modify(|backlog| backlog.waiting += 1);
            if let Err(refused) = self.pending.try_send(record) {
                self.backlog.send_modify(|backlog| backlog.waiting -= 1);
                let record = refused.into_inner();
                tracing::error!(topic = %record.topic, version = %record.version,
                    "a contract is not registered: {CAPACITY} others wait for the registry; run `celerysalt sync`");
            }
        }
    }
}

async fn drain(
    registry: Arc<dyn Registry>,
    mut pending: mpsc::Receiver<ContractRecord>,
    backlog: watch::Sender<Backlog>,
    labels: Arc<Labels>,
) {
    let mut records = Vec::new();
    while pending.recv_many(&mut records, CAPACITY).await > 0 {
        let mut delay = FIRST_RETRY;
        while !records.is_empty() {
            let tried = records.len();
            match registry.sync(&records, false).await {
                Ok(plan) => {
                    log(&plan, &labels);
                    // Without a conflict all is written; with one, the others get another try without it.
                    records = if plan.has_conflicts() { without_conflicts(records, &plan) } else { Vec::new() };
                }
                Err(RegistryError::Unavailable { registry, reason }) => {
                    tracing::debug!(registry, reason, ?delay, "the registry is away");
                    backlog.send_modify(|backlog| backlog.away = true);
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(LAST_RETRY);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, contracts = records.len(), "contracts are not registered; run `celerysalt sync` with a role that may");
                    records.clear();
                }
            }
            let settled = tried - records.len();
            backlog.send_modify(|backlog| *backlog = Backlog { waiting: backlog.waiting - settled, away: false });
        }
    }
}

fn without_conflicts(records: Vec<ContractRecord>, plan: &Plan) -> Vec<ContractRecord> {
    let conflicts = |record: &ContractRecord| {
        plan.steps.iter().any(|step| {
            matches!(step.action, Action::Conflict(_)) && step.topic == record.topic && step.version == record.version
        })
    };
    records.into_iter().filter(|record| !conflicts(record)).collect()
}

fn conflicts(plan: Plan) -> Vec<crate::registry::Conflict> {
    plan.steps
        .into_iter()
        .filter_map(|step| match step.action {
            Action::Conflict(conflict) => Some(conflict),
            _ => None,
        })
        .collect()
}

/// One line a contract, in the three states that operators know from celery-salt.
fn log(plan: &Plan, labels: &Labels) {
    for step in &plan.steps {
        let outcome = match &step.action {
            Action::Conflict(_) => "conflict",
            // A plan with a conflict wrote nothing.
            _ if !plan.applied => continue,
            Action::Create => "created",
            Action::Update => "updated",
            Action::Unchanged => "unchanged",
        };
        telemetry::add(telemetry::names::REGISTRATIONS, 1, || {
            [("service", labels.service()), ("outcome", telemetry::Text::from(outcome))]
        });
        let (topic, version) = (&step.topic, &step.version);
        match &step.action {
            Action::Conflict(conflict) => tracing::error!(%topic, %version, "✗ conflict: {conflict}"),
            Action::Create => tracing::info!(%topic, %version, "✓ registered"),
            Action::Update => tracing::info!(%topic, %version, "✓ registered: annotations updated"),
            Action::Unchanged => tracing::debug!(%topic, %version, "✓ already registered"),
        }
    }
}
