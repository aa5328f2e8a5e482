//! Which version a change wants: the next minor where nobody is surprised, the next major otherwise.

use serde::Serialize;

use super::{Level, Options, Release, by_topic, pairs};
use crate::{Topic, Version};

/// The rule of a version that says less than its change does.
pub const VERSION_BUMP_MISMATCH: &str = "VERSION_BUMP_MISMATCH";

/// What a change wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// Nothing: the meaning is the same.
    None,
    /// A new minor version.
    Minor,
    /// A new major version, since it could not be decided.
    Undecided,
    /// A new major version.
    Major,
}

/// What one changed or new version wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Suggestion {
    /// The topic.
    pub topic: Topic,
    /// The newest released version before it; none for a new topic.
    pub from: Option<Version>,
    /// The version that the change has now.
    pub now: Version,
    /// What it wants.
    pub wanted: Wanted,
    /// The version that it should have.
    pub version: Version,
    /// Whether it has a version that will do.
    pub fits: bool,
}

/// What each version of `head` that `base` does not have, or has otherwise, should be called.
///
/// ```
/// use celerysalt_contract::{ContractRecord, evolution::{Options, Release, Wanted, suggest}};
/// use serde_json::json;
///
/// let release = |version: &str, required: &[&str]| {
///     let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": required});
///     let record = json!({"topic": "a.b", "version": version, "mode": "broadcast", "schema": schema, "fingerprint": ""});
///     Release::from_record(serde_json::from_value::<ContractRecord>(record).unwrap())
/// };
/// let base = [release("v1", &[])];
/// let head = [release("v1", &[]), release("v1.1", &["a"])];
/// let found = suggest(&base, &head, &Options::default());
/// assert_eq!((found[0].wanted, found[0].version.as_str(), found[0].fits), (Wanted::Major, "v2", false));
/// ```
pub fn suggest(base: &[Release], head: &[Release], options: &Options) -> Vec<Suggestion> {
    let base = by_topic(base);
    let mut suggestions = Vec::new();
    for (topic, versions) in by_topic(head) {
        let Some(old) = base.get(topic) else {
            suggestions.extend(versions.keys().next().map(|first| Suggestion {
                topic: topic.clone(),
                from: None,
                now: first.clone(),
                wanted: Wanted::Minor,
                version: first.clone(),
                fits: true,
            }));
            continue;
        };
        let known: Vec<&Version> = old.keys().chain(versions.keys()).collect();
        for (version, now) in &versions {
            let edited = old.get(version);
            if edited.is_some_and(|released| released.is_same(now)) {
                continue;
            }
            let before = edited.or_else(|| old.range(..version.clone()).next_back().map(|(_, release)| release));
            let Some(before) = before.or_else(|| old.values().next()) else { continue };
            // Within a major, all that came earlier.
            let wanted = old
                .values()
                .filter(|released| released.version().major() == before.version().major())
                .filter(|released| released.version() <= before.version())
                .map(|released| between(released, now, options))
                .max()
                .unwrap_or(Wanted::Minor);
            let suggested = next(before.version(), wanted, if edited.is_some() { &known } else { &[] });
            let fits = edited.is_none() && (wanted <= Wanted::Minor || version.major() > before.version().major())
                || wanted == Wanted::None;
            suggestions.push(Suggestion {
                topic: topic.clone(),
                from: Some(before.version().clone()),
                now: version.clone(),
                wanted,
                version: if fits { version.clone() } else { suggested },
                fits,
            });
        }
    }
    suggestions
}

/// What the step from one release to another wants.
pub(super) fn between(released: &Release, now: &Release, options: &Options) -> Wanted {
    if released.is_same(now) && released.exchange() == now.exchange() {
        return Wanted::None;
    }
    match pairs::agree(released, now, options) {
        None => Wanted::Minor,
        Some(Level::Error) => Wanted::Major,
        Some(_) => Wanted::Undecided,
    }
}

/// The first version after `version` that is none of `known`: `v1` becomes `v1.1` or `v2`.
pub(super) fn next(version: &Version, wanted: Wanted, known: &[&Version]) -> Version {
    let (major, minor) = (version.major(), version.minor());
    let numbered = |at: u64| match wanted {
        Wanted::None | Wanted::Minor => format!("v{major}.{}", minor.saturating_add(at)),
        Wanted::Undecided | Wanted::Major => format!("v{}", major.saturating_add(at)),
    };
    (1..=1_000)
        .filter_map(|at| numbered(at).parse().ok())
        .find(|next: &Version| {
            let taken = |other: &&Version| match wanted {
                Wanted::None | Wanted::Minor => **other == *next,
                Wanted::Undecided | Wanted::Major => other.major() == next.major(),
            };
            !known.iter().any(taken)
        })
        .unwrap_or_else(|| version.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_version_is_free() {
        let parse = |text: &str| text.parse::<Version>().unwrap();
        let known = ["v1", "v1.1", "v2.3", "v4"].map(parse);
        let known: Vec<&Version> = known.iter().collect();
        for (from, wanted, expected) in [
            ("v1", Wanted::Minor, "v1.2"),
            ("v1", Wanted::Major, "v3"),
            ("v2.3", Wanted::Undecided, "v3"),
            ("v4", Wanted::None, "v4.1"),
            ("v2.3.5", Wanted::Minor, "v2.4"),
        ] {
            assert_eq!(next(&parse(from), wanted, &known).as_str(), expected, "{from} {wanted:?}");
        }
    }
}
