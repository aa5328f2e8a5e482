//! The values of labels: few, whatever comes in.

use std::fmt;
#[cfg(feature = "metrics")]
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use celerysalt_contract::Version;

use super::Text;
use crate::event::EventContract;

/// More topics than a service has to do with, and more versions of one than it lives to see.
#[cfg(feature = "metrics")]
const MOST: (usize, usize) = (2_000, 32);
#[cfg(feature = "metrics")]
const OTHER: &str = "other";

/// What one service's metrics are told apart by.
pub(crate) struct Labels {
    #[cfg(feature = "metrics")]
    service: Text,
    /// Topics and versions that have been named, as labels. What anybody can send must not fill the memory of whoever
    /// keeps the series.
    #[cfg(feature = "metrics")]
    named: RwLock<HashMap<String, Named>>,
    /// Topics of contracts that this service handles.
    #[cfg(feature = "metrics")]
    handled: RwLock<HashSet<&'static str>>,
}

/// A topic with its versions.
#[cfg(feature = "metrics")]
struct Named {
    topic: Text,
    versions: Vec<(Version, Text)>,
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Labels")
    }
}

#[cfg(feature = "metrics")]
fn shared(text: &str) -> Text {
    Text::from(Arc::<str>::from(text))
}

#[cfg(feature = "metrics")]
impl Labels {
    pub(crate) fn new(service: &str) -> Self {
        Self { service: shared(service), named: RwLock::default(), handled: RwLock::default() }
    }

    pub(crate) fn service(&self) -> Text {
        self.service.clone()
    }

    /// Of what could not be read, or is nobody's.
    pub(crate) fn unknown() -> (Text, Text) {
        (Text::from(OTHER), Text::from(OTHER))
    }

    /// From now on, these topics are known.
    pub(crate) fn handle(&self, topics: impl Iterator<Item = &'static str>) {
        self.handled.write().unwrap_or_else(PoisonError::into_inner).extend(topics);
    }

    pub(crate) fn handles(&self, topic: &str) -> bool {
        self.handled.read().unwrap_or_else(PoisonError::into_inner).contains(topic)
    }

    /// Of a contract of this program.
    pub(crate) fn contract(contract: &'static EventContract) -> (Text, Text) {
        (Text::from(contract.topic()), Text::from(contract.version_text()))
    }

    /// Of what somebody has named. `is_known` is asked when the topic is new here.
    pub(crate) fn named(
        &self,
        topic: &str,
        version: Option<&Version>,
        is_known: impl FnOnce() -> bool,
    ) -> (Text, Text) {
        if let Some(named) = self.named.read().unwrap_or_else(PoisonError::into_inner).get(topic)
            && let Some(version) = named.version(version)
        {
            return (named.topic.clone(), version);
        }
        let mut all = self.named.write().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(topic) {
            if all.len() >= MOST.0 || !is_known() {
                return Self::unknown();
            }
            all.insert(topic.to_owned(), Named { topic: shared(topic), versions: Vec::new() });
        }
        let Some(named) = all.get_mut(topic) else { return Self::unknown() };
        let label = named.version(version).unwrap_or_else(|| match version {
            Some(version) if named.versions.len() < MOST.1 => {
                let label = shared(version.as_str());
                named.versions.push((version.clone(), label.clone()));
                label
            }
            _ => Text::from(OTHER),
        });
        (named.topic.clone(), label)
    }
}

#[cfg(feature = "metrics")]
impl Named {
    /// The label of a version that was named before, or of none.
    fn version(&self, version: Option<&Version>) -> Option<Text> {
        let Some(version) = version else { return Some(Text::from("none")) };
        self.versions.iter().find(|(known, _)| known == version).map(|(_, label)| label.clone())
    }
}

// Without the facade nobody asks: labels are made in closures that are not called then.
#[cfg(not(feature = "metrics"))]
#[expect(clippy::unused_self, reason = "the same as with the facade")]
impl Labels {
    pub(crate) fn new(_: &str) -> Self {
        Self {}
    }

    pub(crate) fn service(&self) -> Text {
        Text::default()
    }

    pub(crate) fn unknown() -> (Text, Text) {
        (Text::default(), Text::default())
    }

    pub(crate) fn handle(&self, _: impl Iterator<Item = &'static str>) {}

    pub(crate) fn handles(&self, _: &str) -> bool {
        false
    }

    pub(crate) fn contract(_: &'static EventContract) -> (Text, Text) {
        (Text::default(), Text::default())
    }

    pub(crate) fn named(&self, _: &str, _: Option<&Version>, _: impl FnOnce() -> bool) -> (Text, Text) {
        (Text::default(), Text::default())
    }
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_sends_makes_few_series() {
        let labels = Labels::new("mail");
        let name = |topic: &str, version: &str, known: bool| {
            let version: Version = version.parse().unwrap();
            let (topic, version) = labels.named(topic, Some(&version), || known);
            format!("{topic} {version}")
        };
        assert_eq!(name("a.b", "v1", true), "a.b v1");
        assert_eq!(name("a.b", "v1", false), "a.b v1", "known is known");
        assert_eq!(name("c.d", "v1", false), "other other");
        for minor in 1..100 {
            name("a.b", &format!("v1.{minor}"), true);
        }
        assert_eq!(name("a.b", "v1.200", true), "a.b other");
        assert_eq!(name("a.b", "v1.5", true), "a.b v1.5");
        assert_eq!(labels.named("a.b", None, || true).1, Text::from("none"));
        for topic in 0..3_000 {
            name(&format!("t.{topic}"), "v1", true);
        }
        assert_eq!(name("t.2999", "v1", true), "other other");
    }
}
