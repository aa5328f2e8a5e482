//! `celerysalt diff`: where contracts differ in meaning, for people.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use celerysalt_contract::{
    ContractRecord, Diagnostic, Mode, Selector, Source, Validator,
    evolution::{Baseline, Options, Release, Wanted, readable_differences, suggest},
};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    baseline,
    contracts::{SCHEMAS, newest, readable},
    output::{Format, Report, Stop, Style, annotation::Annotation, escape, github, lines, plural},
};

/// Show where contracts differ in meaning: two of them, or all of a folder and what was released
///
/// Lines with - are of the first one, lines with + of the second, each with its place as a JSON pointer. Titles,
/// descriptions, examples, the order of members and the names of shared schemas mean nothing here.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 they mean the same, 1 they differ, 2 could not run.\n\n\
    Examples:\n  celerysalt diff old.json new.json\n  celerysalt diff orders.created@v1 orders.created@v1.1\n  \
    celerysalt diff --against main\n  celerysalt diff --against postgres://reader@db/contracts orders.created@v1")]
pub(crate) struct Diff {
    /// Schema files, or contracts of the folder as TOPIC@VERSION: two of them, or with --against one or none
    #[arg(value_name = "FILE|TOPIC[@VERSION]")]
    sides: Vec<String>,
    /// Folder of the contracts
    #[arg(long, value_name = "DIR", default_value = SCHEMAS)]
    schemas: PathBuf,
    /// What was released: a git revision, a registry's URL, or a folder
    #[arg(long, value_name = "REVISION|URL|DIR")]
    against: Option<String>,
}

/// One contract that is there on one side or on both.
struct Difference {
    name: String,
    /// The file to point at.
    path: PathBuf,
    what: &'static str,
    lines: Vec<String>,
}

impl Diff {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        let differences = match (&self.against, self.sides.as_slice()) {
            (Some(against), []) => self.folder(against, None).await?,
            (Some(against), [one]) => self.folder(against, Some(&selector(one)?)).await?,
            (None, [old, new]) => self.pair(old, new)?,
            (None, _) => return Err(Stop::failed("arguments", "name two contracts, or --against what was released")),
            (Some(_), _) => return Err(Stop::failed("arguments", "with --against, name one contract or none")),
        };
        let count = differences.len();
        let text = if style.format == Format::Github {
            github::commands(&differences.iter().map(Difference::annotation).collect::<Vec<_>>())
        } else {
            lines(&differences.iter().flat_map(|difference| difference.lines(style)).collect::<Vec<_>>())
        };
        Ok(Report {
            findings: count > 0,
            text,
            summary: if count == 0 {
                "no difference in meaning".to_owned()
            } else {
                format!("{count} {} in meaning", plural(count, "difference"))
            },
            json: json!({"differences": differences.iter().map(Difference::to_json).collect::<Vec<_>>()}),
        })
    }

    fn pair(&self, old: &str, new: &str) -> Result<Vec<Difference>, Stop> {
        let (a, b) = (self.side(old)?, self.side(new)?);
        let lines = readable_differences(&a, &b);
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![Difference { name: format!("{old} {new}"), path: PathBuf::from(new), what: "changed", lines }])
    }

    /// A file, or a contract of the folder.
    fn side(&self, name: &str) -> Result<Release, Stop> {
        if Path::new(name).is_file() {
            return file(Path::new(name));
        }
        let Ok(selector) = name.parse::<Selector>() else {
            return Err(Stop::failed("not-found", format!("there is no file {name}, and it is no TOPIC@VERSION")));
        };
        let releases = baseline::head(&self.schemas)?;
        let records = releases.iter().map(|release| release.record().clone());
        let meant = records.filter(|record| selector.matches(record.topic.as_str(), &record.version)).collect();
        let record = newest(&selector, meant)?;
        releases
            .into_iter()
            .find(|release| *release.topic() == record.topic && *release.version() == record.version)
            .ok_or_else(|| Stop::failed("not-found", format!("there is no contract {name}")))
    }

    async fn folder(&self, against: &str, only: Option<&Selector>) -> Result<Vec<Difference>, Stop> {
        readable(&self.schemas)?;
        let (known, head) = baseline::both(against, &self.schemas).await?;
        let wanted = suggest(&known.releases, &head, &Options::default());
        let by_name = |releases: &[Release]| -> BTreeMap<_, usize> {
            let named = releases.iter().enumerate();
            named.map(|(at, release)| ((release.topic().clone(), release.version().clone()), at)).collect()
        };
        let (old, new) = (by_name(&known.releases), by_name(&head));
        let keys: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
        let mut differences = Vec::new();
        for key in keys {
            let (topic, version) = key;
            if only.is_some_and(|only| !only.matches(topic.as_str(), version)) {
                continue;
            }
            let a = old.get(key).and_then(|at| known.releases.get(*at));
            let b = new.get(key).and_then(|at| head.get(*at));
            let step = wanted.iter().find(|one| one.topic == *topic && one.now == *version);
            let (what, lines) = match (a, b) {
                (Some(a), Some(b)) => (
                    match step.map(|step| step.wanted) {
                        Some(Wanted::Major) => "changed, breaking",
                        Some(Wanted::Undecided) => "changed, undecided",
                        _ => "changed",
                    },
                    readable_differences(a, b),
                ),
                // What others have released is not missing here.
                (Some(_), None) if known.baseline == Baseline::Shared => continue,
                (Some(_), None) => ("deleted", Vec::new()),
                (None, Some(b)) => {
                    let from = step.and_then(|step| step.from.clone());
                    let before =
                        from.and_then(|from| old.get(&(topic.clone(), from))).and_then(|at| known.releases.get(*at));
                    let lines = before.map(|before| readable_differences(before, b)).unwrap_or_default();
                    ("new", lines)
                }
                (None, None) => continue,
            };
            if what.starts_with("changed") && lines.is_empty() {
                continue;
            }
            let path = self.schemas.join(topic.as_str()).join(format!("{version}.json"));
            differences.push(Difference { name: format!("{topic}@{version}"), path, what, lines });
        }
        Ok(differences)
    }
}

impl Difference {
    fn lines(&self, style: Style) -> Vec<String> {
        let mut said = vec![format!("{}: {}", style.bold(&escape(&self.name)), self.what)];
        said.extend(self.lines.iter().map(|line| {
            let shown = format!("  {}", escape(line));
            match line.as_bytes().first() {
                Some(b'-') => style.bad(&shown),
                Some(b'+') => style.good(&shown),
                _ => shown,
            }
        }));
        said
    }

    fn annotation(&self) -> Annotation {
        let mut message = format!("{}: {}", self.name, self.what);
        for line in &self.lines {
            message.push('\n');
            message.push_str(line);
        }
        Annotation::from(&Diagnostic::warning("difference", &self.path, message))
    }

    fn to_json(&self) -> Value {
        json!({"name": self.name, "change": self.what, "lines": self.lines})
    }
}

fn selector(name: &str) -> Result<Selector, Stop> {
    name.parse().map_err(|error| Stop::failed("arguments", format!("{name}: {error}")))
}

/// A schema by itself, as a contract without a name.
fn file(path: &Path) -> Result<Release, Stop> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|error| Stop::failed("schema", format!("can't read {shown}: {error}")))?;
    let source =
        Source::parse(Path::new(""), path, bytes).map_err(|findings| Stop::Refused(findings.into_iter().collect()))?;
    let schema = source.value().clone();
    Validator::new(&schema)
        .map_err(|error| Stop::failed("schema", format!("{shown} is no schema that can be used: {error}")))?;
    let record =
        json!({"topic": "file", "version": "v1", "mode": Mode::Broadcast, "schema": schema, "fingerprint": ""});
    let record: ContractRecord = serde_json::from_value(record)
        .map_err(|error| Stop::failed("schema", format!("{shown} can't be compared: {error}")))?;
    Ok(Release::from_record(record))
}
