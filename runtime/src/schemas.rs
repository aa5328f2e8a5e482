//! Contracts looked up by topic at run time, compiled once: for handlers and publishers that have no generated type.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use celerysalt_contract::{ContractRecord, Exact, Mode, Selector, Topic, Version, VersionRange, Violation, Violations};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    call::Judge,
    invalid::{Invalid, Part},
    json::{self, Json, Mismatch},
    lineage::Lineage,
    registry::{Registry, RegistryError},
};

/// How long it is believed which version is the newest. A version that was seen is believed for ever, one that is missed
/// is asked for.
const FRESH: Duration = Duration::from_secs(5);
/// How long messages wait for a contract that is not known, from the first of a topic on: whoever published it may be
/// registering it just now.
const GRACE: Duration = Duration::from_secs(1);
/// The pause before a topic is asked for again.
const AGAIN: Duration = Duration::from_millis(50);
/// How many topics are remembered before those that the registry does not know are forgotten: anybody can name topics.
const MOST_TOPICS: usize = 10_000;

/// One version of a topic, ready to check payloads.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) version: Version,
    topic: Topic,
    mode: Mode,
    /// When it is not the service's own.
    exchange: Option<String>,
    payload: Checks,
    response: Checks,
    error: Checks,
}

/// One schema of a contract, compiled when first used. Without a schema everything is allowed.
#[derive(Debug)]
struct Checks {
    schema: Option<Value>,
    compiled: OnceLock<Result<Exact, String>>,
}

impl Checks {
    fn new(schema: Option<Value>) -> Self {
        Self { schema, compiled: OnceLock::new() }
    }

    fn check(&self, text: &str) -> Result<(), Violations> {
        let Some(schema) = &self.schema else { return Ok(()) };
        match self.compiled.get_or_init(|| Exact::new(schema).map_err(|error| error.to_string())) {
            Ok(checks) => checks.check(text.as_bytes()),
            Err(reason) => Err(violation("$schema", format!("a registered schema that can be compiled: {reason}"))),
        }
    }
}

/// One violation of the whole value.
fn violation(keyword: &str, expected: String) -> Violations {
    Violations::from(vec![Violation { pointer: String::new(), keyword: keyword.to_owned(), expected }])
}

/// What the registry knows, as far as this process has asked.
pub(crate) struct Schemas {
    registry: Arc<dyn Registry>,
    lineage: Arc<Lineage>,
    topics: Mutex<HashMap<String, Answer>>,
}

#[derive(Clone)]
struct Answer {
    /// Before the registry answered.
    asked: Instant,
    believed_until: Instant,
    /// Since when messages name what is not there.
    missed: Option<Instant>,
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
        let settings = record.schema.get("x-celerysalt");
        let exchange = settings.and_then(|settings| settings.get("exchange")).and_then(Value::as_str);
        Self {
            version: record.version,
            topic: record.topic,
            mode: record.mode,
            exchange: exchange.map(str::to_owned),
            payload: Checks::new(Some(record.schema)),
            response: Checks::new(record.response_schema),
            error: Checks::new(record.error_schema),
        }
    }

    pub(crate) fn is_rpc(&self) -> bool {
        self.mode == Mode::Rpc
    }

    /// The exchange, when the contract names one.
    pub(crate) fn exchange(&self) -> Option<&str> {
        self.exchange.as_deref()
    }

    /// # Errors
    /// [`Invalid`] with every violation; also when the registered schema itself can't be compiled.
    pub(crate) fn check(&self, payload: &str) -> Result<(), Invalid> {
        self.payload.check(payload).map_err(|violations| self.invalid(Part::Payload, violations))
    }

    fn invalid(&self, part: Part, violations: Violations) -> Invalid {
        Invalid::new(self.topic.as_str(), Some(self.version.clone()), part, violations)
    }
}

impl Judge for Known {
    fn read<T: Json>(&self, part: Part, text: &str) -> Result<T, Invalid> {
        let checks = match part {
            Part::Payload => &self.payload,
            Part::Response => &self.response,
            Part::Error => &self.error,
        };
        checks.check(text).map_err(|violations| self.invalid(part, violations))?;
        json::from_text(text).map_err(|Mismatch| {
            self.invalid(
                part,
                violation("type", "JSON of at most 127 levels, without half a surrogate pair".to_owned()),
            )
        })
    }

    fn no_reply(&self, expected: String) -> Invalid {
        self.invalid(Part::Response, violation("type", expected))
    }
}

impl Schemas {
    pub(crate) fn new(registry: Arc<dyn Registry>, lineage: Arc<Lineage>) -> Self {
        Self { registry, lineage, topics: Mutex::default() }
    }

    /// Every version of the topic, oldest first.
    ///
    /// # Errors
    /// [`RegistryError`] when the registry can't be asked and nothing was heard from it before.
    pub(crate) async fn versions(&self, topic: &Topic) -> Result<Arc<[Arc<Known>]>, RegistryError> {
        if let Some(answer) = self.heard(topic).filter(|answer| Instant::now() < answer.believed_until) {
            return Ok(answer.versions);
        }
        self.ask(topic).await.or_else(|error| {
            // Released contracts never change: what was heard before is still true.
            let mut topics = self.lock();
            let earlier = topics.get_mut(topic.as_str()).filter(|answer| !answer.versions.is_empty());
            let Some(answer) = earlier else { return Err(error) };
            tracing::warn!(%error, %topic, "the registry is away; going on with the contracts already known");
            answer.believed_until = Instant::now() + FRESH;
            Ok(Arc::clone(&answer.versions))
        })
    }

    async fn ask(&self, topic: &Topic) -> Result<Arc<[Arc<Known>]>, RegistryError> {
        let asked = Instant::now();
        let records = self.registry.list(Some(&Selector::from(topic.clone()))).await?;
        let earlier = self.heard(topic);
        let compiled = |record: ContractRecord| {
            let same =
                earlier.iter().flat_map(|answer| answer.versions.iter()).find(|known| known.version == record.version);
            same.cloned().unwrap_or_else(|| Arc::new(Known::new(record)))
        };
        let mut versions: Vec<Arc<Known>> = records.into_iter().map(compiled).collect();
        versions.sort_by(|a, b| a.version.cmp(&b.version));
        let versions: Arc<[Arc<Known>]> = versions.into();
        let as_before = earlier.filter(|answer| answer.versions.len() == versions.len());
        let missed = as_before.and_then(|answer| answer.missed);
        let answer = Answer { asked, believed_until: asked + FRESH, missed, versions: Arc::clone(&versions) };
        let mut topics = self.lock();
        if topics.len() >= MOST_TOPICS {
            topics.retain(|_, answer| !answer.versions.is_empty());
        }
        topics.insert(topic.as_str().to_owned(), answer);
        Ok(versions)
    }

    /// One version of the topic, the newest when none is named, for somebody who publishes it.
    ///
    /// # Errors
    /// As [`Schemas::versions`].
    pub(crate) async fn known(
        &self,
        topic: &Topic,
        version: Option<&Version>,
    ) -> Result<Option<Arc<Known>>, RegistryError> {
        let of = |versions: &[Arc<Known>]| match version {
            None => versions.last().cloned(),
            Some(version) => find(versions, version),
        };
        let known = match version.and_then(|version| find(&self.heard(topic)?.versions, version)) {
            Some(known) => Some(known),
            None => match of(&self.versions(topic).await?) {
                Some(known) => Some(known),
                // It may have been registered since.
                None => of(&self.ask(topic).await?),
            },
        };
        if let Some(known) = &known {
            self.lineage.publishes_by_name(topic, &known.version);
        }
        Ok(known)
    }

    /// The contracts that a message may be checked against, best first: its own version when it names one, otherwise
    /// every one in `range`, newest first. Waits a moment for one that is not there.
    ///
    /// # Errors
    /// As [`Schemas::versions`]; also when the registry can't be asked and nothing that was heard from it fits.
    pub(crate) async fn candidates(
        &self,
        topic: &Topic,
        range: &VersionRange,
        message: Option<&Version>,
    ) -> Result<Vec<Arc<Known>>, RegistryError> {
        let there = |versions: &[Arc<Known>]| match message {
            Some(version) => find(versions, version).is_some(),
            None => !versions.is_empty(),
        };
        let arrived = Instant::now();
        let heard = self.heard(topic).map(|answer| answer.versions);
        let mut versions = match heard {
            // Which is the newest changes, and so does what an unversioned message may be; a released version does not.
            Some(versions) if message.is_some() && *range != VersionRange::Latest && there(&versions) => versions,
            _ => self.versions(topic).await?,
        };
        while !there(&versions) {
            let (asked, missed) = self.missed(topic);
            if asked >= arrived && missed.elapsed() >= GRACE {
                break;
            }
            tokio::time::sleep(AGAIN).await;
            versions = self.ask(topic).await?;
        }
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

    /// Whether the registry has told of this topic.
    pub(crate) fn knows(&self, topic: &str) -> bool {
        self.lock().get(topic).is_some_and(|answer| !answer.versions.is_empty())
    }

    fn heard(&self, topic: &Topic) -> Option<Answer> {
        self.lock().get(topic.as_str()).cloned()
    }

    /// When the topic was asked for last, and since when something of it is missed: now, if it was not before.
    fn missed(&self, topic: &Topic) -> (Instant, Instant) {
        let now = Instant::now();
        match self.lock().get_mut(topic.as_str()) {
            Some(answer) => (answer.asked, *answer.missed.get_or_insert(now)),
            // Forgotten, for all the others; so it is not waited for.
            None => (now, now.checked_sub(GRACE).unwrap_or(now)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Answer>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find(versions: &[Arc<Known>], version: &Version) -> Option<Arc<Known>> {
    versions.iter().find(|known| known.version == *version).cloned()
}
