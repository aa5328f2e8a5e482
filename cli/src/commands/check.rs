//! `celerysalt check`: do the folder, its lock and the registry say the same.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use celerysalt_contract::{Catalog, ContractRecord, Status, Topic, Version};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::{
    contracts::{SCHEMAS, load},
    lock::{LOCK, Lock, Locked},
    output::{Report, Stop, Style, escape, lines, plural},
    vendor::From,
};

/// Prove that a folder, its celerysalt.lock and a registry agree about what contracts mean
///
/// Vendored contracts have to be in the folder and mean what the lock says. With a registry, or another schemas folder,
/// they have to be there with the same meaning too, and none of this project's own contracts may be registered with
/// another one. Needs no network without --registry.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  celerysalt check\n  \
    celerysalt check --registry postgres://reader@db/contracts\n  \
    celerysalt check --from git:../pulse@main --format json")]
pub(crate) struct Check {
    #[command(flatten)]
    from: From,
    /// Folder of the contracts of this project
    #[arg(long, value_name = "DIR", default_value = SCHEMAS)]
    schemas: PathBuf,
}

/// One place where two of the three do not agree.
#[derive(Debug, Serialize)]
pub(crate) struct Drift {
    /// Stable, for programs.
    pub(crate) kind: &'static str,
    pub(crate) topic: Topic,
    pub(crate) version: Version,
    /// Which file or place.
    #[serde(rename = "where")]
    pub(crate) place: String,
    /// What is the case.
    pub(crate) what: String,
    /// What to do.
    pub(crate) mend: String,
}

pub(crate) type Known = BTreeMap<(Topic, Version), ContractRecord>;

impl Check {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        let lock = Lock::read(&self.schemas)?;
        let catalog = load(&self.schemas)?;
        let place = self.from.place()?;
        if lock.contracts.is_empty() && place.is_none() {
            return Err(Stop::failed(
                "arguments",
                format!(
                    "there is nothing to compare {} with: it has no {LOCK}, and neither --registry nor --from is given",
                    self.schemas.display()
                ),
            ));
        }
        let mut drifts = against_lock(&self.schemas, &catalog, &lock);
        let mut deprecated = Vec::new();
        let mut note = "";
        if let Some(place) = &place {
            note = place.note;
            let records = place.records().await?.into_iter();
            let known: Known = records.map(|record| ((record.topic.clone(), record.version.clone()), record)).collect();
            drifts.extend(against_source(&lock, &known, &place.name));
            drifts.extend(own_against_source(&self.schemas, &catalog, &lock, &known, &place.name));
            let is_deprecated =
                |locked: &&Locked| known.get(&key(locked)).is_some_and(|record| record.status == Status::Deprecated);
            deprecated = lock.contracts.iter().filter(is_deprecated).map(Locked::name).collect();
        }
        drifts.sort_by(|a, b| (&a.topic, &a.version, a.kind).cmp(&(&b.topic, &b.version, b.kind)));
        let mut said: Vec<String> = drifts.iter().flat_map(|drift| drift.lines(style)).collect();
        said.extend(
            deprecated
                .iter()
                .map(|name| format!("{name}: {}: its publisher means to stop it", style.notable("deprecated"))),
        );
        Ok(Report {
            findings: !drifts.is_empty(),
            text: lines(&said),
            summary: format!(
                "{note}{}",
                summary(drifts.len(), &catalog, &lock, place.as_ref().map(|place| place.name.as_str()))
            ),
            json: json!({
                "contracts": catalog.contracts.len(),
                "locked": lock.contracts.len(),
                "source": place.map(|place| place.name),
                "deprecated": deprecated,
                "drifts": drifts,
            }),
        })
    }
}

/// The folder against its lock.
pub(crate) fn against_lock(schemas: &Path, catalog: &Catalog, lock: &Lock) -> Vec<Drift> {
    let check = |locked: &Locked| {
        let file = file(schemas, &locked.topic, &locked.version);
        let drift = |kind, what: String| Drift {
            kind,
            topic: locked.topic.clone(),
            version: locked.version.clone(),
            place: file,
            what,
            mend: format!("`celerysalt pull {}` from {}", locked.name(), locked.source),
        };
        match catalog.get(locked.topic.as_str(), &locked.version) {
            None => Some(drift("missing", format!("{LOCK} has it, and the folder has not"))),
            Some(contract) if contract.fingerprint != locked.fingerprint => Some(drift(
                "edited",
                format!(
                    "the folder's means {}, and {LOCK} says {}: a contract of others is not for editing",
                    short(contract.fingerprint.as_str()),
                    short(locked.fingerprint.as_str())
                ),
            )),
            Some(_) => None,
        }
    };
    lock.contracts.iter().filter_map(check).collect()
}

/// This project's own contracts: those that are not released yet are nobody else's business.
pub(crate) fn own_against_source(
    schemas: &Path,
    catalog: &Catalog,
    lock: &Lock,
    known: &Known,
    source: &str,
) -> Vec<Drift> {
    let own = catalog.contracts.iter().filter(|contract| lock.find(&contract.topic, &contract.version).is_none());
    own.filter_map(|contract| {
        let released = known.get(&(contract.topic.clone(), contract.version.clone()))?;
        (released.fingerprint != contract.fingerprint).then(|| Drift {
            kind: "conflict",
            topic: contract.topic.clone(),
            version: contract.version.clone(),
            place: file(schemas, &contract.topic, &contract.version),
            what: format!(
                "it means {}, and {source} has it released as {}",
                short(contract.fingerprint.as_str()),
                short(released.fingerprint.as_str())
            ),
            mend: "a released version never changes: take the edit back, and publish it as a new version; if the \
                   contract is another project's, pull it"
                .to_owned(),
        })
    })
    .collect()
}

fn file(schemas: &Path, topic: &Topic, version: &Version) -> String {
    schemas.join(topic.as_str()).join(format!("{version}.json")).display().to_string()
}

fn key(locked: &Locked) -> (Topic, Version) {
    (locked.topic.clone(), locked.version.clone())
}

/// The lock against the place that its contracts should come from.
pub(crate) fn against_source(lock: &Lock, known: &Known, source: &str) -> Vec<Drift> {
    let check = |locked: &Locked| {
        let drift = |kind, what, mend| Drift {
            kind,
            topic: locked.topic.clone(),
            version: locked.version.clone(),
            place: source.to_owned(),
            what,
            mend,
        };
        match known.get(&key(locked)) {
            None => Some(drift(
                "unknown",
                format!("{LOCK} has it from {}, and {source} has no such contract", locked.source),
                "sync it there, or compare with the place that it came from".to_owned(),
            )),
            Some(record) if record.fingerprint != locked.fingerprint => Some(drift(
                "differs",
                format!(
                    "{LOCK} says {}, and {source} has {}",
                    short(locked.fingerprint.as_str()),
                    short(record.fingerprint.as_str())
                ),
                format!("look at what changed, then `celerysalt pull {}` from there", locked.name()),
            )),
            Some(_) => None,
        }
    };
    lock.contracts.iter().filter_map(check).collect()
}

/// As much of a fingerprint as people compare.
fn short(fingerprint: &str) -> &str {
    fingerprint.get(..12).unwrap_or(fingerprint)
}

impl Drift {
    fn lines(&self, style: Style) -> [String; 3] {
        let name = format!("{}@{}", self.topic, self.version);
        [
            format!("{}: {}: {}", style.bold(&name), style.bad(self.kind), escape(&self.what)),
            format!("  in {}", escape(&self.place)),
            format!("  to mend it: {}", escape(&self.mend)),
        ]
    }
}

fn summary(drifts: usize, catalog: &Catalog, lock: &Lock, source: Option<&str>) -> String {
    let vendored = lock.contracts.len();
    let own =
        catalog.contracts.iter().filter(|contract| lock.find(&contract.topic, &contract.version).is_none()).count();
    let with = source.map_or_else(|| LOCK.to_owned(), |source| format!("{LOCK} and {source}"));
    let agree = if drifts == 0 { "agree".to_owned() } else { format!("{drifts} {}", plural(drifts, "drift")) };
    format!("{own} own and {vendored} vendored {} with {with}: {agree}", plural(own + vendored, "contract"))
}
