//! `celerysalt breaking`: may the contracts of a folder be released, next to those that others rely on.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use celerysalt_contract::{
    Diagnostic,
    evolution::{Change, Evolution, Level, Options, Place, check, rules},
};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    baseline::{self, Known},
    contracts::{SCHEMAS, readable},
    output::{
        Format, Report, Stop, Style,
        annotation::{self, Annotation, RuleText, Spot},
        escape, github, lines, of_change, plural, sarif,
    },
};

/// Check that a change of contracts surprises nobody who relies on those that were released
///
/// A released version never changes and never goes away. Within one major, readers of every version accept what writers
/// of every other one send, both ways, unless a contract's x-celerysalt says "compatibility": "backward", "forward" or
/// "none". What breaks is shown by a message that the one side may send and the other refuses, decided by meaning: an
/// optional property may be added, a definition renamed. A new major may break.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 fine, 1 breaking, 2 could not run, 3 could not decide (to be treated as breaking).\n\n\
    Examples:\n  celerysalt breaking --against main\n  \
    celerysalt breaking --against origin/main --format github\n  \
    celerysalt breaking --schemas schemas --against postgres://reader@db/contracts\n  \
    celerysalt breaking --against ../released/schemas --format sarif > breaking.sarif"
)]
pub(crate) struct Breaking {
    /// Folder of the contracts that are to be released
    #[arg(long, value_name = "DIR", default_value = SCHEMAS)]
    schemas: PathBuf,
    /// What was released: a git revision, a registry's URL, or a folder (git:NAME is a revision even if a folder has that name)
    #[arg(long, value_name = "REVISION|URL|DIR")]
    against: String,
    /// Expect writers to send properties that their contract does not declare, where it lets them
    #[arg(long)]
    open_writers: bool,
}

impl Breaking {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        readable(&self.schemas)?;
        let (known, head) = baseline::both(&self.against, &self.schemas).await?;
        let options = Options::default().open_writers(self.open_writers);
        let found = check(&known.releases, &head, known.baseline, &options);
        let shown = Shown { known: &known, schemas: &self.schemas };
        let text = match style.format {
            Format::Github => {
                github::commands(&shown.annotations(found.changes.iter().filter(|change| for_people(change))))
            }
            Format::Sarif => format!("{:#}\n", sarif::log(&shown.annotations(found.changes.iter()), &rule_texts())),
            Format::Text => {
                let said = found
                    .changes
                    .iter()
                    .filter(|change| for_people(change))
                    .flat_map(|change| shown.lines(change, style));
                lines(&said.collect::<Vec<_>>())
            }
            Format::Json => String::new(),
        };
        let (verdict, summary) = summary(&found);
        // Many changes have much to say, and only one format says all of it.
        let changes: Vec<Value> = match style.format {
            Format::Json => found.changes.iter().map(|change| shown.json(change)).collect(),
            _ => Vec::new(),
        };
        let report = Report {
            findings: found.is_breaking(),
            text,
            summary: format!("{}{summary}", known.note),
            json: json!({
                "verdict": verdict,
                "writers": if self.open_writers { "open" } else { "closed" },
                "pairs": found.pairs,
                "changes": changes,
            }),
        };
        if found.is_undecided() && !found.is_breaking() { Err(Stop::Undecided(report)) } else { Ok(report) }
    }
}

/// Whether people want to hear of it: a new optional property is safe and asks nobody for anything, so only machines are
/// told, who may have a rule of their own.
fn for_people(change: &Change) -> bool {
    change.rule != "PROP_ADDED_OPEN_LENIENT"
}

fn summary(found: &Evolution) -> (&'static str, String) {
    let count = |level| found.changes.iter().filter(|change| change.level == level).count();
    let (errors, open) = (count(Level::Error), count(Level::Undecided));
    let pairs = format!("{} {} of versions compared", found.pairs, plural(found.pairs, "pair"));
    if errors > 0 {
        ("breaking", format!("{errors} {}, {pairs}", plural(errors, "breaking change")))
    } else if open > 0 {
        ("unknown", format!("{open} could not be decided, so treat them as breaking, {pairs}"))
    } else {
        ("compatible", format!("compatible, {pairs}"))
    }
}

fn rule_texts() -> Vec<RuleText> {
    rules()
        .iter()
        .map(|rule| RuleText {
            id: rule.id.to_owned(),
            level: level(rule.level),
            what: rule.what.to_owned(),
            mend: rule.mend.to_owned(),
        })
        .collect()
}

fn level(level: Level) -> annotation::Level {
    match level {
        Level::Error => annotation::Level::Error,
        Level::Undecided => annotation::Level::Warning,
        Level::Note => annotation::Level::Note,
    }
}

/// How places are shown: those of a revision by its name.
struct Shown<'a> {
    known: &'a Known,
    schemas: &'a Path,
}

impl Shown<'_> {
    fn path(&self, place: &Place, topic: &str) -> PathBuf {
        match &place.path {
            Some(path) => self.known.show(path),
            None => PathBuf::from(format!("{topic}@{}", place.version)),
        }
    }

    /// The file that a finding is shown in: one that is gone is named as if it were there.
    fn here(&self, place: &Place, topic: &str) -> PathBuf {
        match place.path.as_deref().and_then(|path| self.known.below(path)) {
            Some(below) => self.schemas.join(below),
            None if place.path.is_none() => self.schemas.join(topic).join(format!("{}.json", place.version)),
            None => self.path(place, topic),
        }
    }

    fn lines(&self, change: &Change, style: Style) -> Vec<String> {
        let mut diagnostic: Diagnostic = change.to_diagnostic();
        let topic = change.topic.as_str();
        diagnostic.path = self.path(&change.place, topic);
        let mut said = Vec::new();
        if style.terminal {
            diagnostic.help = None;
            said.push(diagnostic.render(style.is_colored()).trim_end().to_owned());
        } else {
            said.push(match change.level {
                Level::Note => diagnostic.to_string().replacen(": warning: ", ": note: ", 1),
                Level::Undecided => diagnostic.to_string().replacen(": warning: ", ": undecided: ", 1),
                Level::Error => diagnostic.to_string(),
            });
        }
        said.push(format!("  contract: {topic} {}{}", change.version, at(&change.place)));
        if let Some(other) = &change.other {
            let against: Vec<String> = change.against.iter().map(ToString::to_string).collect();
            let place = other.span.map(|span| format!(":{}:{}", span.line, span.column)).unwrap_or_default();
            let path = escape(&self.path(other, topic).to_string_lossy());
            said.push(format!("  against: {}{}, {path}{place}", against.join(", "), at(other)));
        }
        if let Some(witness) = &change.witness {
            said.push(format!("  example: {}", escape(&witness.to_string())));
        }
        said.extend(change.differences.iter().map(|line| format!("  {}", escape(line))));
        if !change.mend.is_empty() && change.level != Level::Note {
            said.push(format!("  mend: {}", escape(&change.mend)));
        }
        said
    }

    fn annotations<'c>(&self, changes: impl Iterator<Item = &'c Change>) -> Vec<Annotation> {
        changes.map(|change| self.annotation(change)).collect()
    }

    fn annotation(&self, change: &Change) -> Annotation {
        let topic = change.topic.as_str();
        let mut message = change.message.clone();
        if let Some(witness) = &change.witness {
            let _ = write!(message, "\nexample: {witness}");
        }
        for line in &change.differences {
            message.push('\n');
            message.push_str(line);
        }
        if !change.mend.is_empty() {
            let _ = write!(message, "\nmend: {}", change.mend);
        }
        let gone = change.place.path.as_deref().is_some_and(|path| self.known.is_temporary(path));
        let span = change.place.span.filter(|_| !gone);
        // What is not in the repository can't be pointed at, and is named instead.
        let related = change
            .other
            .as_ref()
            .filter(|other| other.path.as_deref().is_some_and(|path| !self.known.is_temporary(path)))
            .map(|other| (Spot::new(&self.path(other, topic), other.span), format!("compared with {}", other.version)));
        Annotation {
            rule: change.rule.to_owned(),
            level: level(change.level),
            spot: Spot::new(&self.here(&change.place, topic), span),
            message,
            related: related.into_iter().collect(),
        }
    }

    fn json(&self, change: &Change) -> Value {
        let place = |place: &Place| {
            json!({
                "path": place.path.as_ref().map(|path| self.known.show(path).to_string_lossy().into_owned()),
                "line": place.span.map(|span| span.line),
                "column": place.span.map(|span| span.column),
                "version": place.version,
                "part": place.part,
                "pointer": place.pointer,
            })
        };
        let mut document = of_change(change);
        document["differences"] = json!(change.differences);
        document["place"] = place(&change.place);
        document["other"] = json!(change.other.as_ref().map(place));
        document
    }
}

fn at(place: &Place) -> String {
    if place.pointer.is_empty() { String::new() } else { format!(" at {}", escape(&place.pointer)) }
}
