//! `celerysalt compat`: may one schema take the place of another, decided by meaning and shown by an example.

use std::{
    fs,
    path::{Path, PathBuf},
};

use celerysalt_contract::{
    Source,
    compare::{Comparable, Digits, Finding, Options, Verdict, Witness},
};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::output::{Format, Report, Stop, Style, annotation::Annotation, escape, github, lines, write_witness};

/// Check whether a schema may take the place of another, without any reader being surprised
///
/// Backward: readers of NEW accept all that writers of OLD send. Forward: readers of OLD accept all that writers of NEW
/// send. A writer sends declared properties only, and a reader ignores what it does not know unless its schema closes
/// the object: so an optional property may be added. What breaks is shown by a value that the one side may send and the
/// other refuses.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 compatible, 1 breaking, 2 could not run, 3 could not decide (to be treated as \
    breaking).\n\n\
    Examples:\n  celerysalt compat old.json new.json\n  \
    celerysalt compat --direction backward --format json old.json new.json\n  \
    celerysalt compat --literal old.json new.json")]
pub(crate) struct Compat {
    /// Schema that is in use: one self-contained JSON document
    #[arg(value_name = "OLD.json")]
    old: PathBuf,
    /// Schema that is to take its place
    #[arg(value_name = "NEW.json")]
    new: PathBuf,
    /// Whose messages must be readable by whom
    #[arg(long, value_enum, default_value_t = Direction::Full)]
    direction: Direction,
    /// Compare both schemas as they are written, whoever writes or reads
    #[arg(long)]
    literal: bool,
    /// Expect writers to send properties that their schema does not declare, where it lets them
    #[arg(long, conflicts_with = "literal")]
    open_writers: bool,
}

/// Whose messages must be readable by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Direction {
    /// Messages of OLD by readers of NEW
    Backward,
    /// Messages of NEW by readers of OLD
    Forward,
    /// Both
    Full,
}

impl Compat {
    pub(crate) fn run(self, style: Style) -> Result<Report, Stop> {
        let (old, new) = (read(&self.old)?, read(&self.new)?);
        let closed = !self.literal && !self.open_writers;
        let options = Options::default().closed_writer(closed);
        let mut checks = Vec::new();
        if self.direction != Direction::Forward {
            checks.push(Check::of("backward", ["OLD", "NEW"], [&old.schema, &new.schema], &options));
        }
        if self.direction != Direction::Backward {
            checks.push(Check::of("forward", ["NEW", "OLD"], [&new.schema, &old.schema], &options));
        }
        let breaking = checks.iter().any(|check| matches!(check.verdict, Verdict::Breaking { .. }));
        let decided =
            checks.iter().all(|check| matches!(check.verdict, Verdict::Breaking { .. } | Verdict::Compatible));
        let (verdict, summary) = match (breaking, decided) {
            (true, _) => {
                ("breaking", "breaking: let the reading side accept the example, or release a new major version")
            }
            (false, false) => (
                "unknown",
                "could not decide, so treat it as breaking: write the schemas more alike, or release a new major version",
            ),
            (false, true) => ("compatible", "compatible"),
        };
        let report = Report {
            findings: breaking,
            text: if style.format == Format::Github {
                github::commands(&checks.iter().flat_map(|check| check.annotations(&new)).collect::<Vec<_>>())
            } else {
                lines(&checks.iter().flat_map(|check| check.lines(style, [&old, &new])).collect::<Vec<_>>())
            },
            summary: summary.to_owned(),
            json: json!({
                "verdict": verdict,
                "writers": if closed { "closed" } else { "open" },
                "checks": checks.iter().map(Check::to_json).collect::<Vec<_>>(),
            }),
        };
        if breaking || decided { Ok(report) } else { Err(Stop::Undecided(report)) }
    }
}

/// One direction and what came of it.
struct Check {
    name: &'static str,
    /// Who writes, and who reads.
    from: &'static str,
    to: &'static str,
    verdict: Verdict,
    /// What else breaks, where something does.
    further: Vec<(Witness, Vec<Finding>)>,
}

impl Check {
    fn of(name: &'static str, [from, to]: [&'static str; 2], pair: [&Comparable; 2], options: &Options) -> Self {
        let [writer, reader] = pair;
        let verdict = writer.is_within(reader, options);
        let further = match &verdict {
            Verdict::Breaking { findings, .. } => writer.further(reader, findings, options),
            _ => Vec::new(),
        };
        Self { name, from, to, verdict, further }
    }

    /// Each example, with the rules that refuse it.
    fn examples<'a>(
        &'a self,
        witness: &'a Witness,
        findings: &'a [Finding],
    ) -> impl Iterator<Item = (&'a Witness, &'a [Finding])> {
        let further = self.further.iter().map(|(witness, findings)| (witness, findings.as_slice()));
        std::iter::once((witness, findings)).chain(further)
    }

    fn lines(&self, style: Style, [old, new]: [&Side; 2]) -> Vec<String> {
        let Self { name, from, to, verdict, .. } = self;
        let (writer, reader) = if *from == "OLD" { (old, new) } else { (new, old) };
        match verdict {
            Verdict::Compatible => {
                vec![format!("{name}: {}: {to} accepts all that {from} allows", style.good("compatible"))]
            }
            Verdict::Breaking { witness, findings } => {
                let mut said = vec![format!("{name}: {}: {to} refuses what {from} allows", style.bad("breaking"))];
                for (witness, findings) in self.examples(witness, findings) {
                    said.push(format!("  example: {}", escape(&witness.to_string())));
                    for finding in findings {
                        let place = if finding.pointer_new.is_empty() { "/" } else { &finding.pointer_new };
                        let other = if finding.pointer_old.is_empty() { "/" } else { &finding.pointer_old };
                        said.push(format!(
                            "  {} at {} of {to} ({} of {from})",
                            style.bold(finding.rule),
                            escape(place),
                            escape(other)
                        ));
                        let (read, written) = (reader.place(&finding.pointer_new), writer.place(&finding.pointer_old));
                        said.push(format!("    {read}, {written}"));
                    }
                }
                said
            }
            Verdict::Unknown { reason, .. } => {
                vec![format!("{name}: {}: {}", style.notable("could not decide"), escape(reason))]
            }
            _ => vec![format!("{name}: {}", style.notable("could not decide"))],
        }
    }

    /// Each finding at its place in NEW, the file that changes.
    fn annotations(&self, new: &Side) -> Vec<Annotation> {
        let Self { name, from, to, verdict, .. } = self;
        let about = |rule, pointer: &str, message: String| -> Annotation {
            let source = &new.source;
            let span = if pointer.is_empty() { source.start() } else { source.key_span_of(pointer) };
            Annotation::from(&source.error(rule, span, message))
        };
        match verdict {
            Verdict::Breaking { witness, findings } => self
                .examples(witness, findings)
                .flat_map(|(witness, findings)| findings.iter().map(move |finding| (witness, finding)))
                .map(|(witness, finding)| {
                    let pointer = if *to == "NEW" { &finding.pointer_new } else { &finding.pointer_old };
                    let message = format!("{name}: {to} refuses what {from} allows\nexample: {witness}");
                    about(finding.rule, pointer, message)
                })
                .collect(),
            Verdict::Unknown { rule, reason } => {
                vec![about(rule, "", format!("{name}: could not decide: {reason}"))]
            }
            _ => Vec::new(),
        }
    }

    fn to_json(&self) -> Value {
        let direction = self.name;
        match &self.verdict {
            Verdict::Compatible => json!({"direction": direction, "verdict": "compatible"}),
            Verdict::Breaking { witness, findings } => {
                let mut document = json!({"direction": direction, "verdict": "breaking", "findings": findings});
                write_witness(Some(witness), &mut document);
                let further = self.further.iter().map(|(witness, findings)| {
                    let mut document = json!({"findings": findings});
                    write_witness(Some(witness), &mut document);
                    document
                });
                document["further"] = further.collect();
                document
            }
            Verdict::Unknown { reason, .. } => json!({"direction": direction, "verdict": "unknown", "reason": reason}),
            _ => json!({"direction": direction, "verdict": "unknown"}),
        }
    }
}

/// A schema with its file.
struct Side {
    schema: Comparable,
    source: Source,
}

impl Side {
    /// `old.json:3:5` of a place, for people.
    fn place(&self, pointer: &str) -> String {
        let span = if pointer.is_empty() { self.source.start() } else { self.source.key_span_of(pointer) };
        format!("{}:{}:{}", escape(&self.source.shown_path().to_string_lossy()), span.line, span.column)
    }
}

/// A schema that can be used: whatever else is a failure, not a verdict.
fn read(path: &PathBuf) -> Result<Side, Stop> {
    let content =
        fs::read(path).map_err(|error| Stop::failed("schema", format!("can't read {}: {error}", path.display())))?;
    let source = Source::parse(Path::new(""), path, content).map_err(|findings| {
        let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
        Stop::failed("schema", format!("{} is no JSON document:\n{}", path.display(), said.join("\n")))
    })?;
    let schema = Comparable::new(source.value()).map_err(|error| {
        Stop::failed("schema", format!("{} is no schema that can be used: {error}", path.display()))
    })?;
    Ok(Side { schema: schema.with_digits(Digits::of_text(source.text())), source })
}
