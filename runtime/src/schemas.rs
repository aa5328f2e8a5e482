//! Contracts looked up by topic at run time, compiled once: for handlers and publishers that have no generated type.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use celerysalt_contract::{ContractRecord, Selector, Topic, Validator, Version, VersionRange, Violation, Violations};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    invalid::{Invalid, Part},
    registry::{Registry, RegistryError},
};

/// How long an answer is believed: a new version is seen after this time at the latest, an unknown topic is not asked
/// for with each message.
const FRESH: Duration = Duration::from_secs(5);

/// One version of a topic, ready to check payloads.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) version: Version,
    topic: Topic,
    validator: Result<Validator, String>,
}

/// What the registry knows, as far as this process has asked.
pub(crate) struct Schemas {
    registry: Arc<dyn Registry>,
    topics: Mutex<HashMap<String, Answer>>,
}

#[derive(Clone)]
struct Answer {
    asked: Instant,
    /// Oldest first.
    versions: Arc<[Arc<Known>]>,
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schemas").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl Known {
    fn new(record: ContractRecord) -> Self {
        let validator = Validator::new(&record.schema).map_err(|error| error.to_string());
        Self { version: record.version, topic: record.topic, validator }
    }

    /// # Errors
    /// [`Invalid`] with every violation; also when the registered schema itself can't be compiled.
    pub(crate) fn check(&self, payload: &Value) -> Result<(), Invalid> {
        let violations = match &self.validator {
            Ok(validator) => match validator.validate(payload) {
                Ok(()) => return Ok(()),
                Err(violations) => violations,
            },
            Err(reason) => Violations::from(vec![Violation {
                pointer: String::new(),
                keyword: "$schema".to_owned(),
                expected: format!("a registered schema that can be compiled: {reason}"),
            }]),
        };
        Err(Invalid::new(self.topic.as_str(), Some(self.version.clone()), Part::Payload, violations))
    }
}

impl Schemas {
    pub(crate) fn new(registry: Arc<dyn Registry>) -> Self {
        Self { registry, topics: Mutex::default() }
    }

    /// Every version of the topic, oldest first.
    ///
    /// # Errors
    /// [`RegistryError`] when the registry can't be asked and nothing was heard from it before.
    pub(crate) async fn versions(&self, topic: &Topic) -> Result<Arc<[Arc<Known>]>, RegistryError> {
        let earlier = self.lock().get(topic.as_str()).cloned();
        if let Some(answer) = earlier.as_ref().filter(|answer| answer.asked.elapsed() < FRESH) {
            return Ok(Arc::clone(&answer.versions));
        }
        let records = match self.registry.list(Some(&Selector::from(topic.clone()))).await {
            Ok(records) => records,
            // Released contracts never change: what was heard before is still true.
            Err(error) => match earlier.filter(|answer| !answer.versions.is_empty()) {
                Some(answer) => {
                    tracing::warn!(%error, %topic, "the registry is away; going on with the contracts already known");
                    return Ok(answer.versions);
                }
                None => return Err(error),
            },
        };
        let compiled = |record: ContractRecord| {
            let same =
                earlier.iter().flat_map(|answer| answer.versions.iter()).find(|known| known.version == record.version);
            same.cloned().unwrap_or_else(|| Arc::new(Known::new(record)))
        };
        let mut versions: Vec<Arc<Known>> = records.into_iter().map(compiled).collect();
        versions.sort_by(|a, b| a.version.cmp(&b.version));
        let versions: Arc<[Arc<Known>]> = versions.into();
        self.lock()
            .insert(topic.as_str().to_owned(), Answer { asked: Instant::now(), versions: Arc::clone(&versions) });
        Ok(versions)
    }

    /// One version of the topic, the newest when none is named.
    ///
    /// # Errors
    /// As [`Schemas::versions`].
    pub(crate) async fn known(
        &self,
        topic: &Topic,
        version: Option<&Version>,
    ) -> Result<Option<Arc<Known>>, RegistryError> {
        let versions = self.versions(topic).await?;
        Ok(match version {
            None => versions.last().cloned(),
            Some(version) => versions.iter().find(|known| known.version == *version).cloned(),
        })
    }

    /// The contracts that a message may be checked against, best first: its own version when it names one, otherwise
    /// every one in `range`, newest first.
    ///
    /// # Errors
    /// As [`Schemas::versions`].
    pub(crate) async fn candidates(
        &self,
        topic: &Topic,
        range: &VersionRange,
        message: Option<&Version>,
    ) -> Result<Vec<Arc<Known>>, RegistryError> {
        let versions = self.versions(topic).await?;
        let newest = versions.last().map(|known| known.version.clone());
        let wanted = |known: &&Arc<Known>| match range {
            VersionRange::Latest => newest.as_ref() == Some(&known.version),
            // A handler of v1.2 takes v1.2 and its compatible successors.
            VersionRange::Exact(base) | VersionRange::Compatible(base) => base.accepts(&known.version),
            _ => true,
        };
        let of_message = |known: &&Arc<Known>| message.is_none_or(|version| *version == known.version);
        Ok(versions.iter().rev().filter(wanted).filter(of_message).cloned().collect())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Answer>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
