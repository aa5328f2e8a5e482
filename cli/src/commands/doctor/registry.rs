//! A registry, and whether the schemas folder and its lock agree with it.

use std::path::Path;

#[cfg(feature = "postgres")]
use celerysalt::registry::postgres::{PostgresRegistry, Rights, Tables};
use celerysalt::registry::{RegistryError, Seen};

use super::Finding;
use crate::{
    commands::check::{Known, against_lock, against_source, own_against_source},
    contracts,
    lock::{LOCK, Lock},
    output::{Stop, plural},
};

pub(super) async fn look(url: Option<&str>, folder: Option<&Path>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut known = None;
    if let Some(url) = url {
        match tables(url).await {
            Ok((told, readable)) => {
                findings.extend(told);
                if readable {
                    match contracts(url).await {
                        Ok(there) => {
                            let what = format!("{} {}", there.len(), plural(there.len(), "contract"));
                            findings.push(Finding::ok("registry", "registry", what));
                            known = Some(there);
                        }
                        Err(error) => findings.push(unreachable(&error)),
                    }
                }
            }
            Err(error) => findings.push(unreachable(&error)),
        }
    }
    if let Some(folder) = folder {
        findings.extend(of_folder(folder, known.as_ref()));
    }
    findings
}

/// Who was seen handling what; nobody where that can't be read, which [`look`] tells of.
pub(super) async fn handled(url: Option<&str>) -> Vec<Seen> {
    let Some(registry) = url.and_then(|url| celerysalt::registry::connect(url).ok()) else { return Vec::new() };
    registry.everyone().await.unwrap_or_default()
}

async fn contracts(url: &str) -> Result<Known, RegistryError> {
    let records = celerysalt::registry::connect(url)?.list(None).await?;
    Ok(records.into_iter().map(|record| ((record.topic.clone(), record.version.clone()), record)).collect())
}

fn unreachable(error: &RegistryError) -> Finding {
    let (kind, about, mend) = match error {
        RegistryError::Unavailable { registry, .. } => (
            "registry-unavailable",
            registry.clone(),
            "see that the server runs and can be reached from here; services go on without it meanwhile, and register later",
        ),
        RegistryError::Denied { registry, .. } => (
            "registry-denied",
            registry.clone(),
            "correct user and password, or have the tables' owner grant the role: `celerysalt registry roles` prints them",
        ),
        RegistryError::Unusable { registry, .. } => ("registry-unusable", registry.clone(), "do as it says"),
        RegistryError::Url { .. } => ("registry-url", "registry".to_owned(), "correct the URL"),
        _ => ("registry", "registry".to_owned(), "see the server's log"),
    };
    Finding::wrong(kind, about, error.to_string(), mend)
}

/// How the tables are, and whether they can be read.
async fn tables(url: &str) -> Result<(Vec<Finding>, bool), RegistryError> {
    if url.starts_with("memory:") {
        let what = "memory: is a registry within one process: there is nothing to look at from outside";
        return Ok((vec![Finding::note("registry", url, what)], false));
    }
    #[cfg(feature = "postgres")]
    if url.starts_with("postgres") {
        let seen = PostgresRegistry::connect(url)?.inspect().await?;
        let user = format!("registry user {}", seen.user);
        let migrations = match seen.tables {
            Tables::Current => Finding::ok("migrations", "registry", "it answers, and its tables are up to date"),
            Tables::Absent => Finding::wrong(
                "migrations",
                "registry",
                "it answers, and has no tables where this user's search_path looks",
                "`celerysalt sync` makes them, as a user who may create tables; or correct database and search_path in the URL",
            ),
            Tables::Older(version) => Finding::wrong(
                "migrations",
                "registry",
                format!("its tables are those of an older celerysalt (migration {version} was the last)"),
                "`celerysalt sync` of this version, as the tables' owner, runs the migrations; older services go on",
            ),
            _ => Finding::note("migrations", "registry", "it answers"),
        };
        let readable = seen.tables == Tables::Current && seen.rights.is_some_and(|rights| rights.reads);
        return Ok((
            [vec![migrations], seen.rights.map_or_else(Vec::new, |it| of_rights(user, it))].concat(),
            readable,
        ));
    }
    Ok((Vec::new(), true))
}

#[cfg(feature = "postgres")]
fn of_rights(user: String, rights: Rights) -> Vec<Finding> {
    if !rights.reads {
        return vec![Finding::wrong(
            "roles",
            user,
            "it may not read contracts",
            "have the tables' owner grant it a role: `celerysalt registry roles | psql ...` makes them",
        )];
    }
    let may: Vec<&str> = [
        (true, "read contracts"),
        (rights.records_presence, "record that a service is there"),
        (rights.registers, "register contracts"),
        (rights.releases, "release and deprecate"),
    ]
    .into_iter()
    .filter_map(|(may, what)| may.then_some(what))
    .collect();
    let what = format!("it may {}", may.join(", "));
    if rights.records_presence {
        vec![Finding::ok("roles", user, what)]
    } else {
        let mend =
            "for people and CI that is enough; a service needs the role PREFIX_service (`celerysalt registry roles`)";
        vec![Finding::note("roles", user, what).with_mend(mend)]
    }
}

fn of_folder(folder: &Path, known: Option<&Known>) -> Vec<Finding> {
    let about = format!("folder {}", folder.display());
    let read = Lock::read(folder).and_then(|lock| Ok((lock, contracts::load(folder)?)));
    let (lock, catalog) = match read {
        Ok(read) => read,
        Err(Stop::Refused(findings)) => {
            let count = findings.errors().count();
            let what = format!("{count} {} in its contracts", plural(count, "error"));
            return vec![Finding::wrong(
                "folder",
                about,
                what,
                format!("`celerysalt validate --schemas {}`", folder.display()),
            )];
        }
        Err(Stop::Failed { message, .. }) => {
            return vec![Finding::wrong("folder", about, message, "do as it says")];
        }
        Err(Stop::Undecided(_)) => return Vec::new(),
    };
    let mut drifts = against_lock(folder, &catalog, &lock);
    if let Some(known) = known {
        drifts.extend(against_source(&lock, known, "the registry"));
        drifts.extend(own_against_source(folder, &catalog, &lock, known, "the registry"));
    }
    if drifts.is_empty() {
        let count = catalog.contracts.len();
        let with = if known.is_some() { format!("{LOCK} and the registry") } else { LOCK.to_owned() };
        let what = format!("its {count} {} agree with {with}", plural(count, "contract"));
        return vec![Finding::ok("folder", about, what)];
    }
    let drift = |drift: crate::commands::check::Drift| {
        Finding::wrong(
            drift.kind,
            format!("{}@{} in {}", drift.topic, drift.version, drift.place),
            drift.what,
            drift.mend,
        )
    };
    drifts.into_iter().map(drift).collect()
}
