//! What a registry tells beside the contracts: who changed what, what is deprecated, who publishes and who subscribes.

use std::fmt;

use celerysalt_contract::{Fingerprint, Selector, Topic, Version};
use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// Who asks a registry to change something, as it says of itself: kept in the audit log beside the name that the
/// database knows it by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// The service or the tool, such as `pulse` or `celerysalt sync`.
    pub service: String,
    /// The machine.
    pub host: String,
    /// The user of the operating system.
    pub user: String,
}

impl Actor {
    /// The service of that name, on this machine, as the user that runs this process.
    ///
    /// ```
    /// let actor = celerysalt::registry::Actor::here("pulse");
    /// assert_eq!(actor.service, "pulse");
    /// assert!(!actor.host.is_empty());
    /// ```
    pub fn here(service: impl Into<String>) -> Self {
        Self { service: service.into(), host: host(), user: user() }
    }
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
fn host() -> String {
    whoami::hostname().unwrap_or_else(|_| "localhost".to_owned())
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
fn user() -> String {
    whoami::username().unwrap_or_default()
}

/// A registry in memory is nobody else's, so what the environment says is enough.
#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
fn host() -> String {
    variable(&["HOSTNAME", "COMPUTERNAME"]).unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
fn user() -> String {
    variable(&["USER", "USERNAME"]).unwrap_or_default()
}

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
fn variable(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| std::env::var(name).ok()).filter(|value| !value.is_empty())
}

/// What happened to a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AuditAction {
    /// It was released.
    Create,
    /// Its annotations were brought up to date.
    Update,
    /// It was marked as not to be used any more.
    Deprecate,
    /// It was marked as in use again.
    Undeprecate,
    /// Its row was removed: only a table's owner can, after disabling the trigger that forbids it.
    Delete,
}

impl AuditAction {
    const ALL: [Self; 5] = [Self::Create, Self::Update, Self::Deprecate, Self::Undeprecate, Self::Delete];

    /// As the audit log has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Deprecate => "deprecate",
            Self::Undeprecate => "undeprecate",
            Self::Delete => "delete",
        }
    }

    /// The action of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }
}

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One line of a registry's audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// When, by the registry's clock.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// What.
    pub action: AuditAction,
    /// The topic.
    pub topic: Topic,
    /// The version.
    pub version: Version,
    /// Of the contract as it was then.
    pub fingerprint: Option<Fingerprint>,
    /// Who, as it said of itself; its parts are empty for a change by hand.
    #[serde(flatten)]
    pub actor: Actor,
    /// The role that was logged in to the database; none where there are no roles.
    pub role: Option<String>,
    /// Why, where a reason was given.
    pub reason: String,
}

impl AuditEntry {
    /// Who, for people: `service pulse on host web-1 as user ann (role releaser)`, as far as it is known.
    pub fn who(&self) -> String {
        let Actor { service, host, user } = &self.actor;
        let mut words = Vec::new();
        for (before, word) in [("service ", service), ("on host ", host), ("as user ", user)] {
            if !word.is_empty() {
                words.push(format!("{before}{word}"));
            }
        }
        match &self.role {
            Some(role) if words.is_empty() => return format!("the database role {role}, by hand"),
            Some(role) => words.push(format!("(role {role})")),
            None => {}
        }
        if words.is_empty() { "somebody who did not say".to_owned() } else { words.join(" ") }
    }
}

/// A contract that should not be used any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deprecation {
    /// The topic.
    pub topic: Topic,
    /// The version.
    pub version: Version,
    /// Why, and what to use instead; empty when nobody said.
    pub reason: String,
}

/// On which side of a topic somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// It publishes or calls.
    Publisher,
    /// It handles or serves.
    Subscriber,
}

/// Somebody who is there: which contracts it publishes or handles, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Publisher or subscriber.
    pub side: Side,
    /// The contract; a pattern or a range of versions, where a subscriber takes them.
    pub contracts: Selector,
    /// The service.
    pub service: String,
    /// The function that handles, or the type that is published.
    pub handler: String,
    /// The machine that was seen last.
    pub host: String,
}

impl Sighting {
    /// What makes it one sighting and not another: a second instance of a service is the same.
    pub(crate) fn key(&self) -> (Side, String, String, String) {
        (self.side, self.contracts.to_string(), self.service.clone(), self.handler.clone())
    }

    /// Whether it has to do with that topic.
    pub(crate) fn is_about(&self, topic: &Topic) -> bool {
        self.contracts.pattern.matches(topic.as_str())
    }
}

/// A [`Sighting`] with its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who and what.
    pub sighting: Sighting,
    /// When it was there for the first time.
    pub first_seen: Timestamp,
    /// When it was there last; running services say so once a minute.
    pub last_seen: Timestamp,
}

fn as_text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// By topic and version, publishers before subscribers, then by name: the order in which they are told.
pub(crate) fn sort(seen: &mut [Seen]) {
    seen.sort_by_cached_key(|seen| seen.sighting.key());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(actor: Actor, role: Option<&str>) -> AuditEntry {
        AuditEntry {
            at: Timestamp::UNIX_EPOCH,
            action: AuditAction::Create,
            topic: "a.b".parse().unwrap(),
            version: "v1".parse().unwrap(),
            fingerprint: None,
            actor,
            role: role.map(str::to_owned),
            reason: String::new(),
        }
    }

    #[test]
    fn who_it_was_is_told_as_far_as_it_is_known() {
        let actor = Actor { service: "pulse".to_owned(), host: "web-1".to_owned(), user: "ann".to_owned() };
        let unnamed = Actor { user: String::new(), ..actor.clone() };
        for (entry, expected) in [
            (entry(actor, Some("releaser")), "service pulse on host web-1 as user ann (role releaser)"),
            (entry(unnamed, None), "service pulse on host web-1"),
            (entry(Actor::default(), Some("postgres")), "the database role postgres, by hand"),
            (entry(Actor::default(), None), "somebody who did not say"),
        ] {
            assert_eq!(entry.who(), expected);
        }
    }

    #[test]
    fn actions_have_one_name() {
        for action in AuditAction::ALL {
            assert_eq!(AuditAction::from_name(action.as_str()), Some(action));
            assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
        }
        assert_eq!(AuditAction::from_name("rename"), None);
    }
}
