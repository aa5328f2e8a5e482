//! What a registry and a broker tell beside the contracts.

use std::collections::BTreeSet;

use celerysalt::registry::{AuditEntry, Deprecation, Registry, RegistryError, Seen, Side};
use celerysalt_contract::{Topic, Version};
use jiff::Timestamp;

/// Who is there, what happened, what waits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Known {
    /// When it was asked.
    pub at: Timestamp,
    /// Who publishes and who subscribes.
    pub seen: Vec<Seen>,
    /// The audit log, oldest first.
    pub history: Vec<AuditEntry>,
    /// What should not be used any more, and why.
    pub deprecations: Vec<Deprecation>,
    /// Of each service that was asked about; none when no broker was asked.
    pub dead_letters: Option<Vec<DeadLetters>>,
}

/// The dead letters of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetters {
    /// The service.
    pub service: String,
    /// How many there are, or why that is not known.
    pub count: Result<u64, String>,
}

impl Known {
    /// Asks a registry.
    ///
    /// # Errors
    /// As [`Registry::list`].
    pub async fn of(registry: &dyn Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            at: Timestamp::now(),
            seen: registry.everyone().await?,
            history: registry.history(None).await?,
            deprecations: registry.deprecations().await?,
            dead_letters: None,
        })
    }

    /// With the dead letters of each service that subscribes, as `counts` has them.
    #[must_use]
    pub fn with_dead_letters(mut self, counts: Vec<DeadLetters>) -> Self {
        self.dead_letters = Some(counts);
        self
    }

    /// The services that were seen on one side, each once.
    pub fn services(&self, side: Side) -> BTreeSet<&str> {
        self.seen.iter().filter(|seen| seen.sighting.side == side).map(|seen| seen.sighting.service.as_str()).collect()
    }

    /// Who has to do with one contract, on one side.
    pub(crate) fn of_contract<'a>(
        &'a self,
        topic: &'a Topic,
        version: &'a Version,
        side: Side,
    ) -> impl Iterator<Item = &'a Seen> {
        self.seen.iter().filter(move |seen| {
            let contracts = &seen.sighting.contracts;
            seen.sighting.side == side
                && contracts.pattern.matches(topic.as_str())
                && contracts.versions.contains(version)
        })
    }

    pub(crate) fn reason(&self, topic: &Topic, version: &Version) -> &str {
        let found = self.deprecations.iter().find(|one| one.topic == *topic && one.version == *version);
        found.map_or("", |deprecation| deprecation.reason.as_str())
    }

    pub(crate) fn dead_letters_of(&self, service: &str) -> Option<&DeadLetters> {
        self.dead_letters.as_ref()?.iter().find(|letters| letters.service == service)
    }
}

impl DeadLetters {
    /// What was counted for a service, or why it was not.
    pub fn new(service: impl Into<String>, count: Result<u64, String>) -> Self {
        Self { service: service.into(), count }
    }
}
