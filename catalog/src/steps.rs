//! What changed from one version of a topic to the next, and for whom it breaks.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use celerysalt_contract::{
    Version,
    evolution::{Change, Level, Options, Release, readable_differences, step},
};

/// From one version to the next.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) from: Version,
    pub(crate) to: Version,
    pub(crate) verdict: Verdict,
    /// The worst first.
    pub(crate) changes: Vec<Change>,
    /// Where the two differ in meaning, a line each.
    pub(crate) differences: Vec<String>,
}

/// What a step comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing that means anything.
    Same,
    /// Old and new ones understand each other.
    Compatible,
    /// Somebody refuses what somebody may send.
    Breaking,
    /// It could not be decided.
    Undecided,
}

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same meaning",
            Self::Compatible => "compatible",
            Self::Breaking => "breaking",
            Self::Undecided => "undecided",
        }
    }
}

/// Steps that were compared before. Released versions never change, so a site that is made anew, as a live one is, takes
/// them from here.
#[derive(Clone, Default)]
pub struct Comparisons(Arc<Mutex<HashMap<String, Arc<Step>>>>);

impl fmt::Debug for Comparisons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Comparisons").finish_non_exhaustive()
    }
}

impl Comparisons {
    pub(crate) fn step(&self, from: &Release, to: &Release) -> Arc<Step> {
        // The schemas themselves: fingerprints leave out the exchange, and words that pages show.
        let text = |release: &Release| {
            let record = release.record();
            let part = |schema: Option<&serde_json::Value>| schema.map_or_else(String::new, ToString::to_string);
            format!(
                "{}@{} {} {} {} {}",
                record.topic,
                record.version,
                record.mode,
                record.schema,
                part(record.response_schema.as_ref()),
                part(record.error_schema.as_ref())
            )
        };
        let key = format!("{}\n{}", text(from), text(to));
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(step) = known().get(&key) {
            return Arc::clone(step);
        }
        let step = Arc::new(compare(from, to));
        known().insert(key, Arc::clone(&step));
        step
    }
}

fn compare(from: &Release, to: &Release) -> Step {
    let changes = step(from, to, &Options::default());
    let differences = readable_differences(from, to);
    let has = |level| changes.iter().any(|change| change.level == level);
    let verdict = if has(Level::Error) {
        Verdict::Breaking
    } else if has(Level::Undecided) {
        Verdict::Undecided
    } else if differences.is_empty() {
        Verdict::Same
    } else {
        Verdict::Compatible
    };
    Step { from: from.version().clone(), to: to.version().clone(), verdict, changes, differences }
}
