//! `celerysalt pull`: contracts of others become files of this folder, and stay what they were.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use celerysalt_contract::{Catalog, Selector, VersionRange};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    contracts::SCHEMAS,
    lock::{LOCK, Lock, Locked, Staged},
    output::{Report, Stop, Style, lines, plural},
    vendor::{Found, From, Place},
};

/// Vendor contracts of others: write them into this folder, with all that they refer to, and lock what they are
///
/// Contracts come from a registry (each schema as one self-contained file), from another schemas folder, or from one as a
/// git revision has it (the files as they were written, with the fragments that they use). A topic means its newest
/// version, TOPIC@^v1.2 every version that it allows. celerysalt.lock in the folder records what was pulled; builds need
/// nothing else. Without a topic, pulls again what the lock names.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  celerysalt pull pulse.risk.created 'auth.user.*@v1' --registry postgres://reader@db/contracts\n  \
    celerysalt pull pulse.risk.created@^v1 --from ../pulse/schemas\n  \
    celerysalt pull pulse.risk.created --from git:../pulse@v2.3.0\n  \
    celerysalt pull --registry postgres://reader@db/contracts"
)]
pub(crate) struct Pull {
    /// Contracts: a topic or a pattern in which * is one word and # any number; @v1, @^v1.2 or @latest after it
    #[arg(value_name = "TOPIC[@RANGE]")]
    contracts: Vec<Selector>,
    #[command(flatten)]
    from: From,
    /// Folder of the contracts of this project
    #[arg(long, value_name = "DIR", default_value = SCHEMAS)]
    schemas: PathBuf,
}

/// What became of one contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Added,
    /// It means what it meant, in other words or files.
    Updated,
    /// It means something else than what was locked.
    Changed,
    Unchanged,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
}

impl Pull {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        let Some(place) = self.from.place()? else {
            return Err(Stop::failed("arguments", "where from? Name a place with --registry or --from"));
        };
        let mut lock = Lock::read(&self.schemas)?;
        let selectors = if self.contracts.is_empty() { locked(&lock)? } else { self.contracts.clone() };
        let found = place.find(&selectors).await?;
        check_sound(&found, &place)?;

        let wanted = files(&found)?;
        let owned = lock.files();
        self.refuse_to_take(&wanted, &owned)?;
        let outcomes: Vec<Outcome> = found.iter().map(|found| self.outcome(found, &lock)).collect();
        for Found { record, files } in &found {
            lock.put(Locked {
                topic: record.topic.clone(),
                version: record.version.clone(),
                fingerprint: record.fingerprint.clone(),
                source: place.name.clone(),
                files: files.keys().cloned().collect(),
            });
        }
        let obsolete: Vec<String> = owned.difference(&lock.files()).cloned().collect();
        self.write(&wanted, &lock, &obsolete)?;

        let report = |(found, outcome): (&Found, &Outcome)| {
            let record = &found.record;
            json!({
                "topic": record.topic, "version": record.version, "fingerprint": record.fingerprint,
                "outcome": outcome.as_str(), "files": found.files.keys().collect::<Vec<_>>(),
            })
        };
        let contracts: Vec<Value> = found.iter().zip(&outcomes).map(report).collect();
        Ok(Report {
            findings: false,
            text: text(&found, &outcomes, style),
            summary: format!("{}{}", place.note, summary(&outcomes, &place.name)),
            json: json!({"source": place.name, "contracts": contracts, "removed": obsolete}),
        })
    }

    /// What the user wrote is not overwritten: only what was pulled before, or what is the same.
    fn refuse_to_take(&self, wanted: &BTreeMap<&str, &[u8]>, owned: &BTreeSet<String>) -> Result<(), Stop> {
        let mine = wanted.iter().find(|(name, content)| {
            let there = fs::read(self.schemas.join(name));
            !owned.contains(**name) && there.is_ok_and(|there| there != **content)
        });
        let Some((name, _)) = mine else { return Ok(()) };
        Err(Stop::failed(
            "not-pulled",
            format!(
                "{} is there, is not what would be pulled, and was not pulled before: move it away, or pull less. \
                 Nothing was written",
                self.schemas.join(name).display()
            ),
        ))
    }

    fn outcome(&self, found: &Found, lock: &Lock) -> Outcome {
        let Some(locked) = lock.find(&found.record.topic, &found.record.version) else { return Outcome::Added };
        if locked.fingerprint != found.record.fingerprint {
            return Outcome::Changed;
        }
        let same = |(name, content): (&String, &Vec<u8>)| {
            fs::read(self.schemas.join(name)).is_ok_and(|there| there == *content)
        };
        if found.files.iter().all(same) { Outcome::Unchanged } else { Outcome::Updated }
    }

    /// The contracts first and the lock last, so that a lock never promises what is not there.
    fn write(&self, wanted: &BTreeMap<&str, &[u8]>, lock: &Lock, obsolete: &[String]) -> Result<(), Stop> {
        let mut staged = Staged::default();
        for (name, content) in wanted {
            let path = self.schemas.join(name);
            // Untouched, so that nothing is built again.
            if fs::read(&path).is_ok_and(|there| there == **content) {
                continue;
            }
            staged.add(path, content)?;
        }
        let lock = lock.to_text()?;
        if fs::read_to_string(self.schemas.join(LOCK)).is_ok_and(|there| there == lock) {
            return staged.commit();
        }
        staged.add(self.schemas.join(LOCK), lock.as_bytes())?;
        staged.commit()?;
        for name in obsolete {
            // What is gone already need not go.
            let _ = fs::remove_file(self.schemas.join(name));
        }
        Ok(())
    }
}

/// What the lock names, exactly.
fn locked(lock: &Lock) -> Result<Vec<Selector>, Stop> {
    if lock.contracts.is_empty() {
        return Err(Stop::failed(
            "arguments",
            format!("which contracts? Name them as TOPIC[@RANGE]; there is no {LOCK} that does"),
        ));
    }
    let exact = |locked: &Locked| Selector {
        pattern: locked.topic.clone().into(),
        versions: VersionRange::Exact(locked.version.clone()),
    };
    Ok(lock.contracts.iter().map(exact).collect())
}

/// All files together. Two contracts may share a fragment.
fn files(found: &[Found]) -> Result<BTreeMap<&str, &[u8]>, Stop> {
    let mut all: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for (name, content) in found.iter().flat_map(|found| &found.files) {
        if all.insert(name, content).is_some_and(|other| other != content.as_slice()) {
            return Err(Stop::failed("folder", format!("{name} changed while it was read; pull again")));
        }
    }
    Ok(all)
}

/// Tries the files out in a folder of their own: they have to be contracts, and to mean what their source says.
fn check_sound(found: &[Found], place: &Place) -> Result<(), Stop> {
    let broken = |error: std::io::Error| Stop::failed("temporary", format!("can't write a temporary folder: {error}"));
    let folder = tempfile::tempdir().map_err(broken)?;
    for (name, content) in files(found)? {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(broken)?;
        fs::write(path, content).map_err(broken)?;
    }
    let catalog = Catalog::load(folder.path()).map_err(|findings| {
        let first = findings.errors().next().map(ToString::to_string).unwrap_or_default();
        let first = first.replace(&format!("{}/", folder.path().display()), "");
        let count = findings.errors().count();
        let source = &place.name;
        Stop::failed(
            "unsound",
            format!(
                "what {source} has is not sound ({count} {}): {first}. Nothing was written",
                plural(count, "error")
            ),
        )
    })?;
    for Found { record, .. } in found {
        let same = catalog
            .get(record.topic.as_str(), &record.version)
            .is_some_and(|contract| contract.fingerprint == record.fingerprint);
        if !same {
            return Err(Stop::failed(
                "unsound",
                format!(
                    "{} says that {}@{} means {}, and its schemas say otherwise: it was registered by something else than \
                     celerysalt, or changed by hand. Nothing was written",
                    place.name, record.topic, record.version, record.fingerprint
                ),
            ));
        }
    }
    Ok(())
}

fn text(found: &[Found], outcomes: &[Outcome], style: Style) -> String {
    let names: Vec<String> =
        found.iter().map(|found| format!("{}@{}", found.record.topic, found.record.version)).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let line = |(name, outcome): (&String, &Outcome)| {
        let outcome = match outcome {
            Outcome::Added => style.good(outcome.as_str()),
            Outcome::Updated | Outcome::Changed => style.notable(outcome.as_str()),
            Outcome::Unchanged => outcome.as_str().to_owned(),
        };
        format!("{name:width$}  {outcome}")
    };
    lines(&names.iter().zip(outcomes).map(line).collect::<Vec<_>>())
}

fn summary(outcomes: &[Outcome], source: &str) -> String {
    let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    let counts: Vec<String> = [Outcome::Added, Outcome::Updated, Outcome::Changed, Outcome::Unchanged]
        .into_iter()
        .filter(|outcome| *outcome != Outcome::Changed || count(Outcome::Changed) > 0)
        .map(|outcome| format!("{} {}", count(outcome), outcome.as_str()))
        .collect();
    let warning = if count(Outcome::Changed) > 0 {
        "\nchanged contracts mean something else than when they were pulled last: look at what they say now"
    } else {
        ""
    };
    format!("{}, from {source}{warning}", counts.join(", "))
}
