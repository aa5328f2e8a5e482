//! What others rely on: the releases of a git revision, a registry or another folder.

use std::path::{Path, PathBuf};

use celerysalt_contract::{
    Catalog, Diagnostics,
    evolution::{Baseline, Release},
};

use crate::{
    contracts::{connect, load, note},
    git,
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

/// Reads what `against` names: a URL is a registry, what exists is a folder, and all else is a revision of the git
/// repository that `schemas` is in.
async fn read(against: &str, schemas: &Path) -> Result<Known, Stop> {
    if against.starts_with("memory:") || against.contains("://") {
        let records = connect(against)?.list(None).await?;
        let releases = records.into_iter().map(Release::from_record).collect();
        let note = note(against).to_owned();
        return Ok(Known { releases, baseline: Baseline::Shared, note, shown: None });
    }
    if let Some(revision) = against.strip_prefix("git:") {
        return revision_of(revision, schemas);
    }
    if Path::new(against).is_dir() {
        let releases = load(Path::new(against))?.contracts.iter().map(Release::from_contract).collect();
        return Ok(Known { releases, baseline: Baseline::Whole, note: String::new(), shown: None });
    }
    revision_of(against, schemas)
}

fn revision_of(revision: &str, schemas: &Path) -> Result<Known, Stop> {
    let checkout = git::checkout(schemas, revision)?;
    let shown = Some((checkout.path().to_owned(), format!("{revision}:{}", checkout.prefix)));
    let nothing = format!("note: {revision} has no contracts in {}: all of them are new\n", checkout.prefix);
    let baseline = Baseline::Whole;
    if checkout.is_empty {
        return Ok(Known { releases: Vec::new(), baseline, note: nothing, shown });
    }
    let mut known = Known { releases: Vec::new(), baseline, note: String::new(), shown };
    match Catalog::load(checkout.path()) {
        Ok(catalog) => known.releases = catalog.contracts.iter().map(Release::from_contract).collect(),
        Err(findings) if findings.iter().all(|finding| finding.code == "empty-catalog") => known.note = nothing,
        Err(findings) => return Err(invalid(revision, &findings, &known)),
    }
    Ok(known)
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
    let reading = tokio::task::spawn_blocking(move || head(&folder));
    let known = read(against, schemas).await;
    let head = reading.await.map_err(|error| Stop::failed("runtime", format!("reading the folder failed: {error}")))?;
    // Whatever is wrong with the folder itself is what its author can mend.
    let head = head?;
    Ok((known?, head))
}

/// The releases of the folder that is checked.
pub(crate) fn head(schemas: &Path) -> Result<Vec<Release>, Stop> {
    Ok(load(schemas)?.contracts.iter().map(Release::from_contract).collect())
}
