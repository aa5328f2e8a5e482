//! What others rely on: the releases of a git revision, a registry or another folder.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use celerysalt_contract::{
    Catalog, Diagnostics, Other, Topic, Version,
    evolution::{Baseline, Release},
};

use crate::{
    contracts::{connect, load, note, readable},
    git::{self, Checkout},
    output::Stop,
};

/// The releases to compare with.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) releases: Vec<Release>,
    pub(crate) baseline: Baseline,
    /// What to say of it, such as that it has nothing.
    pub(crate) note: String,
    /// The temporary folder that the files of a revision were read in, and how to show it: `main:schemas`.
    shown: Option<(PathBuf, String)>,
}

impl Known {
    /// A path for people: what came from a revision is named by it.
    pub(crate) fn show(&self, path: &Path) -> PathBuf {
        match &self.shown {
            Some((folder, name)) => path
                .strip_prefix(folder)
                .map_or_else(|_| path.to_owned(), |rest| PathBuf::from(format!("{name}{}", rest.display()))),
            None => path.to_owned(),
        }
    }

    /// Whether a path is one of the files that are compared with, which are not in the folder that is checked.
    pub(crate) fn is_temporary(&self, path: &Path) -> bool {
        self.shown.as_ref().is_some_and(|(folder, _)| path.starts_with(folder))
    }

    /// The path below the folder of a path in the revision.
    pub(crate) fn below<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        self.shown.as_ref().and_then(|(folder, _)| path.strip_prefix(folder).ok())
    }
}

/// What is to be compared with, before it is read as contracts.
enum Source {
    Registry(Vec<Release>),
    Folder(PathBuf),
    Revision(String, Checkout),
}

/// Gets what `against` names: a URL is a registry, what exists is a folder, and all else is a revision of the git
/// repository that `schemas` is in.
async fn fetch(against: &str, schemas: &Path) -> Result<Source, Stop> {
    if against.starts_with("memory:") || against.contains("://") || against.starts_with("sqlite:") {
        let records = connect(against)?.list(None).await?;
        return Ok(Source::Registry(records.into_iter().map(Release::from_record).collect()));
    }
    if !against.starts_with("git:") && Path::new(against).is_dir() {
        return Ok(Source::Folder(against.into()));
    }
    let revision = against.strip_prefix("git:").unwrap_or(against).to_owned();
    let schemas = schemas.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let checkout = git::checkout(&schemas, &revision)?;
        Ok(Source::Revision(revision, checkout))
    });
    reading.await.map_err(|error| Stop::failed("runtime", format!("reading the revision failed: {error}")))?
}

/// What `head` has as well.
type Same = HashSet<(Topic, Version)>;

/// The releases of what was got, but for those that `head` has of the same files: they are named.
fn read(source: Source, against: &str, head: &Catalog) -> Result<(Known, Same), Stop> {
    match source {
        Source::Registry(releases) => {
            let note = note(against).to_owned();
            Ok((Known { releases, baseline: Baseline::Shared, note, shown: None }, Same::new()))
        }
        Source::Folder(folder) => {
            readable(&folder)?;
            let (releases, same) = beside(&folder, head).map_err(Stop::Refused)?;
            Ok((Known { releases, baseline: Baseline::Whole, note: String::new(), shown: None }, same))
        }
        Source::Revision(revision, checkout) => {
            let shown = Some((checkout.path().to_owned(), format!("{revision}:{}", checkout.prefix)));
            let nothing = format!("note: {revision} has no contracts in {}: all of them are new\n", checkout.prefix);
            let mut known = Known { releases: Vec::new(), baseline: Baseline::Whole, note: String::new(), shown };
            if checkout.is_empty {
                known.note = nothing;
                return Ok((known, Same::new()));
            }
            match beside(checkout.path(), head) {
                Ok((releases, same)) => {
                    known.releases = releases;
                    Ok((known, same))
                }
                Err(findings) if findings.iter().all(|finding| finding.code == "empty-catalog") => {
                    known.note = nothing;
                    Ok((known, Same::new()))
                }
                Err(findings) => Err(invalid(&revision, &findings, &known)),
            }
        }
    }
}

/// The releases of a folder beside `head`.
fn beside(folder: &Path, head: &Catalog) -> Result<(Vec<Release>, Same), Diagnostics> {
    let Other { contracts, same, .. } = head.other(folder)?;
    Ok((contracts.into_iter().map(Release::from_contract).collect(), same.into_iter().collect()))
}

fn invalid(revision: &str, findings: &Diagnostics, known: &Known) -> Stop {
    let said: Vec<String> = findings
        .errors()
        .take(5)
        .map(|finding| {
            let mut finding = finding.clone();
            finding.path = known.show(&finding.path);
            format!("  {finding}")
        })
        .collect();
    Stop::failed(
        "baseline",
        format!(
            "the contracts of {revision} can't be read, so there is nothing to compare with; name an earlier revision\n{}",
            said.join("\n")
        ),
    )
}

/// What was released and what is to be, read at the same time.
pub(crate) async fn both(against: &str, schemas: &Path) -> Result<(Known, Vec<Release>), Stop> {
    let folder = schemas.to_owned();
    let reading = tokio::task::spawn_blocking(move || load(&folder));
    let source = fetch(against, schemas).await;
    let head = reading.await.map_err(|error| Stop::failed("runtime", format!("reading the folder failed: {error}")))?;
    // Whatever is wrong with the folder itself is what its author can mend.
    let head = head?;
    let (mut known, same) = read(source?, against, &head)?;
    let releases: Vec<Release> = head.contracts.into_iter().map(Release::from_contract).collect();
    let name = |release: &Release| (release.topic().clone(), release.version().clone());
    known.releases.extend(releases.iter().filter(|release| same.contains(&name(release))).cloned());
    Ok((known, releases))
}

/// The releases of the folder that is checked.
pub(crate) fn head(schemas: &Path) -> Result<Vec<Release>, Stop> {
    Ok(load(schemas)?.contracts.into_iter().map(Release::from_contract).collect())
}
