//! Whether the versions of a topic may live side by side.
//!
//! [`check`] compares what is to be released with what was: a released version never changes, no version goes away, and
//! within one major every later version is compatible with every earlier one, both ways unless the contract's
//! `x-celerysalt.compatibility` says otherwise. Writers send what they declare, readers take what is sent; a request is
//! written by callers and read by servers, a response and an error the other way round. [`suggest`] says which version
//! a change wants.
//!
//! The walk: contracts or the registry's records become [`Release`]s, `pairs` finds those that must agree and compares
//! them ([`crate::compare`]), `rules` has the words, and what comes out is a list of [`Change`]s.

mod change;
mod pairs;
mod release;
mod rules;
mod suggest;

use std::collections::BTreeMap;

pub use self::{
    change::{Change, Level, Place},
    release::{Part, Policy, Release},
    rules::{Rule, rules},
    suggest::{Suggestion, VERSION_BUMP_MISMATCH, Wanted, suggest},
};
use crate::{Topic, Version, compare, differences};

/// What is known of the releases that others rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// All that there was: what is missing now was deleted. A git revision or a folder.
    Whole,
    /// More than this folder has, other teams' topics among it. A registry.
    Shared,
}

/// How releases are compared.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Whether writers may send properties that they do not declare, where their schema lets them.
    pub open_writers: bool,
    /// How much work one comparison may be, as [`compare::Options::steps`].
    pub steps: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { open_writers: false, steps: compare::Options::default().steps }
    }
}

impl Options {
    /// With writers that may send what they do not declare.
    #[must_use]
    pub fn open_writers(mut self, open: bool) -> Self {
        self.open_writers = open;
        self
    }

    fn of_pair(&self) -> compare::Options {
        let mut options = compare::Options::default().closed_writer(!self.open_writers);
        options.steps = self.steps;
        options
    }
}

/// What came of a check.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Evolution {
    /// By topic, then version.
    pub changes: Vec<Change>,
    /// How many pairs of versions were compared.
    pub pairs: usize,
}

impl Evolution {
    /// Whether anything must not be released.
    pub fn is_breaking(&self) -> bool {
        self.changes.iter().any(|change| change.level == Level::Error)
    }

    /// Whether something could not be decided.
    pub fn is_undecided(&self) -> bool {
        self.changes.iter().any(|change| change.level == Level::Undecided)
    }
}

/// The releases of one topic.
type Versions<'a> = BTreeMap<Version, &'a Release>;

/// Compares what is to be released, `head`, with what was, `base`.
///
/// ```
/// use celerysalt_contract::{ContractRecord, evolution::{Baseline, Options, Release, check}};
/// use serde_json::json;
///
/// let release = |version: &str, kinds: &[&str]| {
///     let schema = json!({"type": "object", "properties": {"kind": {"enum": kinds}}});
///     let record = json!({"topic": "a.b", "version": version, "mode": "broadcast", "schema": schema, "fingerprint": ""});
///     Release::from_record(serde_json::from_value::<ContractRecord>(record).unwrap())
/// };
/// let base = [release("v1", &["a"])];
/// let head = [release("v1", &["a"]), release("v1.1", &["a", "b"])];
/// let found = check(&base, &head, Baseline::Whole, &Options::default());
/// // Readers of v1 do not know the new kind.
/// assert_eq!(found.changes[0].rule, "ENUM_VALUE_REMOVED");
/// assert_eq!(found.changes[0].witness.as_ref().unwrap().to_string(), r#"{"kind":"b"}"#);
/// ```
pub fn check(base: &[Release], head: &[Release], baseline: Baseline, options: &Options) -> Evolution {
    let (base, head) = (by_topic(base), by_topic(head));
    let mut changes = Vec::new();
    let mut pairs = Vec::new();
    let nothing = Versions::new();
    let topics: std::collections::BTreeSet<&Topic> = base.keys().chain(head.keys()).copied().collect();
    for topic in topics {
        let (old, new) = (base.get(topic).unwrap_or(&nothing), head.get(topic).unwrap_or(&nothing));
        if new.is_empty() {
            if baseline == Baseline::Whole {
                changes.extend(old.values().next_back().map(|last| change::topic_deleted(last)));
            }
            continue;
        }
        let mut settled = Vec::new();
        let mut all = new.clone();
        for (version, released) in old {
            match new.get(version) {
                None if baseline == Baseline::Whole => changes.push(change::version_deleted(released, new)),
                None => {
                    all.insert(version.clone(), released);
                    settled.push(version);
                }
                Some(now) => {
                    settled.push(version);
                    if released.is_one_with(now) {
                        continue;
                    }
                    if released.is_same(now) {
                        changes.extend(change::side_notes(released, now));
                    } else {
                        changes.extend(pairs::edited(released, now, old, new, options));
                    }
                }
            }
        }
        pairs.extend(pairs::of_topic(&all, &settled));
    }
    let count = pairs.len();
    changes.extend(pairs::compare_all(&pairs, options));
    changes.sort_by(|a, b| (&a.topic, &a.version, a.level, a.rule).cmp(&(&b.topic, &b.version, b.level, b.rule)));
    Evolution { changes, pairs: count }
}

/// What those who rely on one version notice of another: both ways, whatever the majors and policies say may change.
///
/// [`check`] says what must not be released; this says what a step is, such as one to a new major, which may break.
///
/// ```
/// use celerysalt_contract::{ContractRecord, evolution::{Level, Options, Release, step}};
/// use serde_json::json;
///
/// let release = |version: &str, kind: &str| {
///     let schema = json!({"type": "object", "properties": {"id": {"type": kind}}});
///     let record = json!({"topic": "a.b", "version": version, "mode": "broadcast", "schema": schema, "fingerprint": ""});
///     Release::from_record(serde_json::from_value::<ContractRecord>(record).unwrap())
/// };
/// let changes = step(&release("v1", "integer"), &release("v2", "number"), &Options::default());
/// assert_eq!((changes.len(), changes[0].level), (1, Level::Error));
/// assert_eq!(changes[0].witness.as_ref().unwrap().to_string(), r#"{"id":0.1}"#);
/// ```
pub fn step(earlier: &Release, later: &Release, options: &Options) -> Vec<Change> {
    let mut changes = pairs::step(earlier, later, options);
    changes.sort_by(|a, b| (a.level, a.rule).cmp(&(b.level, b.rule)));
    changes
}

fn by_topic(releases: &[Release]) -> BTreeMap<&Topic, Versions<'_>> {
    let mut topics: BTreeMap<&Topic, Versions<'_>> = BTreeMap::new();
    for release in releases {
        topics.entry(release.topic()).or_default().insert(release.version().clone(), release);
    }
    topics
}

/// Where two releases differ in meaning, as [`differences`]; also where only digits do that JSON values do not hold.
pub fn readable_differences(old: &Release, new: &Release) -> Vec<String> {
    if old.is_one_with(new) {
        return Vec::new();
    }
    let lines = differences(old.record(), new.record());
    if lines.is_empty() && !old.is_same(new) {
        return vec!["~ numbers that differ in digits beyond the 17th".to_owned()];
    }
    lines
}
