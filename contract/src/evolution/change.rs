//! What a check says: a rule, both places, an example and a mend.

use std::{fmt::Write as _, path::PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::{Part, Release, Versions, rules};
use crate::{Diagnostic, Document, Source, Span, Topic, Version, compare::Witness, differences, source::escape};

/// How bad a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It must not be released.
    Error,
    /// It could not be decided, and is to be treated as an error.
    Undecided,
    /// Worth knowing.
    Note,
}

/// Where in a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The version.
    pub version: Version,
    /// The schema of the contract.
    pub part: Part,
    /// JSON pointer in the schema, references bundled.
    pub pointer: String,
    /// The file, the folder as given joined with the path in it; none for what came from a registry.
    pub path: Option<PathBuf>,
    /// Where in the file.
    pub span: Option<Span>,
    /// The line of the file, for an excerpt.
    pub source_line: Option<String>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The id of the rule. Stable.
    pub rule: &'static str,
    /// How bad it is.
    pub level: Level,
    /// The topic.
    pub topic: Topic,
    /// The version that it is about: the later one.
    pub version: Version,
    /// The earlier versions that it does not agree with, or that it was compared with.
    pub against: Vec<Version>,
    /// Where in the later version.
    pub place: Place,
    /// Where in the first of the earlier versions.
    pub other: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub mend: String,
    /// What the one side may send and the other refuses.
    pub witness: Option<Witness>,
    /// The lines of a difference, for a version that was edited.
    pub differences: Vec<String>,
}

impl Change {
    pub(super) fn new(rule: &'static str, release: &Release, place: Place, message: String) -> Self {
        let known = rules::find(rule);
        Self {
            rule,
            level: known.map_or(Level::Error, |rule| rule.level),
            topic: release.topic().clone(),
            version: release.version().clone(),
            against: Vec::new(),
            place,
            other: None,
            message,
            mend: known.map_or("", |rule| rule.mend).to_owned(),
            witness: None,
            differences: Vec::new(),
        }
    }

    /// The finding as one in the later version's file; on the topic's name where there is no file.
    pub fn to_diagnostic(&self) -> Diagnostic {
        let path = self.place.path.clone().unwrap_or_else(|| format!("{}@{}", self.topic, self.version).into());
        let mut diagnostic = match self.level {
            Level::Error => Diagnostic::error(self.rule, path, &self.message),
            Level::Undecided | Level::Note => Diagnostic::warning(self.rule, path, &self.message),
        };
        diagnostic.span = self.place.span;
        diagnostic.source_line.clone_from(&self.place.source_line);
        diagnostic.with_help(&self.mend)
    }
}

pub(super) fn place(release: &Release, part: Part, document: Option<&Document>, pointer: &str) -> Place {
    let place = |path, span, source_line| Place {
        version: release.version().clone(),
        part,
        pointer: pointer.to_owned(),
        path,
        span,
        source_line,
    };
    let Some(document) = document else { return place(None, None, None) };
    let (source, at) = document.origin(pointer);
    let span = span(source, &at);
    let line = source.text().lines().nth(span.line.saturating_sub(1)).filter(|line| line.len() <= 1_000);
    place(Some(source.shown_path().to_owned()), Some(span), line.map(ToOwned::to_owned))
}

/// A keyword by its name, the whole by its first character.
fn span(source: &Source, pointer: &str) -> Span {
    if pointer.is_empty() { source.start() } else { source.key_span_of(pointer) }
}

pub(super) fn topic_deleted(last: &Release) -> Change {
    let message = format!("the topic `{}` was released (last as {}), and is gone", last.topic(), last.version());
    Change::new("TOPIC_DELETED", last, last.place(Part::Payload, ""), message)
}

pub(super) fn version_deleted(released: &Release, new: &Versions<'_>) -> Change {
    let left: Vec<String> = new.keys().map(ToString::to_string).collect();
    let message = format!(
        "{} of `{}` was released, and is gone ({} left)",
        released.version(),
        released.topic(),
        left.join(", ")
    );
    Change::new("VERSION_DELETED", released, released.place(Part::Payload, ""), message)
}

/// What changed beside the meaning: words, the exchange, the policy.
pub(super) fn side_notes(released: &Release, now: &Release) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut about = |rule, setting: &str, message: String| {
        let pointer = format!("/x-celerysalt/{setting}");
        let has = |release: &Release| release.record().schema.pointer(&pointer).is_some();
        let place = |release: &Release| release.place(Part::Payload, if has(release) { &pointer } else { "" });
        let mut change = Change::new(rule, now, place(now), message);
        change.against = vec![released.version().clone()];
        change.other = Some(place(released));
        changes.push(change);
    };
    let name = |exchange: Option<&str>| exchange.map_or("the default exchange".to_owned(), |name| format!("`{name}`"));
    if released.exchange() != now.exchange() {
        let message = format!("the exchange changed from {} to {}", name(released.exchange()), name(now.exchange()));
        about("EXCHANGE_CHANGED", "exchange", message);
    }
    if released.policy() != now.policy() {
        let (was, is) = (released.policy().as_str(), now.policy().as_str());
        about("POLICY_CHANGED", "compatibility", format!("compatibility changed from `{was}` to `{is}`"));
    }
    for part in Part::ALL {
        let (Some(was), Some(is)) = (released.schema(part), now.schema(part)) else { continue };
        if was != is {
            let pointer = first_difference(was, is, &mut String::new()).unwrap_or_default();
            let exists = is.pointer(&pointer).is_some();
            let pointer = if exists { pointer } else { String::new() };
            // What registries store is what is compared: settings have notes of their own.
            if pointer.starts_with("/x-celerysalt") {
                continue;
            }
            let message = "only words changed (titles, descriptions, examples, comments, order)".to_owned();
            let mut change = Change::new("ANNOTATIONS_CHANGED", now, now.place(part, &pointer), message);
            change.against = vec![released.version().clone()];
            changes.push(change);
        }
    }
    changes
}

/// The first place at which two values are not the same. As deep as both nest.
fn first_difference(a: &Value, b: &Value, pointer: &mut String) -> Option<String> {
    if a == b {
        return None;
    }
    let before = pointer.len();
    if let (Value::Object(a), Value::Object(b)) = (a, b) {
        let missing = Value::Null;
        for (key, value) in b {
            pointer.push('/');
            pointer.push_str(&escape(key));
            if let Some(found) = first_difference(a.get(key).unwrap_or(&missing), value, pointer) {
                return Some(found);
            }
            pointer.truncate(before);
        }
    }
    if let (Value::Array(a), Value::Array(b)) = (a, b)
        && a.len() == b.len()
    {
        for (at, (a, b)) in a.iter().zip(b).enumerate() {
            let _ = write!(pointer, "/{at}");
            if let Some(found) = first_difference(a, b, pointer) {
                return Some(found);
            }
            pointer.truncate(before);
        }
    }
    Some(pointer.clone())
}

/// A version that was released and now means something else.
pub(super) fn version_edited(released: &Release, now: &Release, wanted: &str, next: &str) -> Change {
    let lines = super::readable_differences(released, now);
    let (part, pointer) = lines.iter().find_map(|line| place_of(line, now)).unwrap_or((Part::Payload, String::new()));
    let message = format!(
        "{} of `{}` was released, and means something else now ({} {})",
        now.version(),
        now.topic(),
        differences(released.record(), now.record()).len().max(1),
        if lines.len() == 1 { "difference" } else { "differences" },
    );
    let mut change = Change::new("VERSION_EDITED", now, now.place(part, &pointer), message);
    change.against = vec![released.version().clone()];
    change.other = Some(released.place(part, released.nearest(part, &pointer)));
    change.mend = format!("restore {}, and release the change as {next}: {wanted}", now.version());
    change.differences = lines;
    change
}

/// The place that a line of a difference names, as far as the release has it.
fn place_of(line: &str, release: &Release) -> Option<(Part, String)> {
    let rest = line.get(2..)?;
    let (part, rest) = match (rest.strip_prefix("response:"), rest.strip_prefix("error:")) {
        (Some(rest), _) => (Part::Response, rest),
        (_, Some(rest)) => (Part::Error, rest),
        _ => (Part::Payload, rest),
    };
    Some((part, release.nearest(part, rest.split(": ").next()?).to_owned()))
}

impl Release {
    pub(super) fn has(&self, part: Part, pointer: &str) -> bool {
        self.schema(part).is_some_and(|schema| schema.pointer(pointer).is_some())
    }

    /// The longest beginning of a pointer that leads to something.
    fn nearest<'a>(&self, part: Part, mut pointer: &'a str) -> &'a str {
        while !pointer.is_empty() && !self.has(part, pointer) {
            pointer = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        pointer
    }
}
