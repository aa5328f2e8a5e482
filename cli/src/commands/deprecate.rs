//! `celerysalt deprecate` and `celerysalt undeprecate`: whether publishers should still use a released contract.

use celerysalt::registry::{Registry, Seen, Side};
use celerysalt_contract::{Selector, Status, Topic, Version, VersionRange};
use clap::Args;
use serde_json::json;

use crate::{
    contracts::{REGISTRY_URL, connect, note},
    output::{Report, Stop, Style, escape, plural},
};

/// Mark a released contract as not to be used any more
///
/// It stays valid, and nothing stops: services that publish it warn once, list-events, show and check say so, and the
/// audit log keeps who did it and why.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  celerysalt deprecate pulse.risk.created@v1 --reason 'use v2: scores are decimals' \
    --registry postgres://release@db/contracts\n  \
    CELERYSALT_REGISTRY_URL=postgres://release@db/contracts celerysalt deprecate auth.user.signup@v1 --reason 'nobody listens'"
)]
pub(crate) struct Deprecate {
    #[command(flatten)]
    change: Change,
}

/// Take a deprecation back
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  celerysalt undeprecate pulse.risk.created@v1 --reason 'billing needs it until May' \
    --registry postgres://release@db/contracts"
)]
pub(crate) struct Undeprecate {
    #[command(flatten)]
    change: Change,
}

#[derive(Debug, Args)]
struct Change {
    /// The contract, with its version
    #[arg(value_name = "TOPIC@VERSION")]
    contract: Selector,
    /// Why, and what to use instead; goes into the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Registry, such as postgres://user:password@host/database
    #[arg(long, value_name = "URL", env = REGISTRY_URL, hide_env_values = true)]
    registry: String,
}

impl Deprecate {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        self.change.run(Status::Deprecated, style).await
    }
}

impl Undeprecate {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        self.change.run(Status::Active, style).await
    }
}

impl Change {
    async fn run(self, status: Status, style: Style) -> Result<Report, Stop> {
        let (topic, version) = exact(&self.contract)?;
        if self.reason.trim().is_empty() {
            return Err(Stop::failed("arguments", "--reason is empty: say why, for those who find it in a year"));
        }
        let registry = connect(&self.registry)?;
        let changed = registry.set_status(&topic, &version, status, self.reason.trim()).await?;
        let publishers = publishers(&*registry, &topic, &version).await;
        let name = format!("{topic}@{version}");
        let (said, word) = match (status, changed) {
            (Status::Deprecated, true) => (style.notable("deprecated"), ""),
            (Status::Active, true) => (style.good("active again"), ""),
            (Status::Deprecated, false) => ("deprecated".to_owned(), " already; its reason stays what it was"),
            (Status::Active, false) => ("active".to_owned(), " already"),
        };
        let mut summary = note(&self.registry).to_owned();
        if status == Status::Deprecated && !publishers.is_empty() {
            let count = publishers.len();
            let services = escape(&publishers.join(", "));
            summary = format!("{summary}{count} {} of it: {services}", plural(count, "publisher"));
        }
        Ok(Report {
            findings: false,
            text: format!("{name}: {said}{word}\n"),
            summary,
            json: json!({
                "topic": topic, "version": version, "status": status, "changed": changed, "publishers": publishers,
            }),
        })
    }
}

/// The services that were seen publishing it. That nobody can be named is no failure.
async fn publishers(registry: &dyn Registry, topic: &Topic, version: &Version) -> Vec<String> {
    let seen = registry.lineage(topic).await.unwrap_or_default();
    let publishes = |seen: &Seen| {
        let sighting = &seen.sighting;
        (sighting.side == Side::Publisher && sighting.contracts.versions.contains(version))
            .then(|| sighting.service.clone())
    };
    let mut services: Vec<String> = seen.iter().filter_map(publishes).collect();
    services.sort();
    services.dedup();
    services
}

fn exact(contract: &Selector) -> Result<(Topic, Version), Stop> {
    match (contract.pattern.as_str().parse(), &contract.versions) {
        (Ok(topic), VersionRange::Exact(version)) => Ok((topic, version.clone())),
        _ => Err(Stop::failed("arguments", format!("`{contract}` is not one contract: name it as TOPIC@VERSION"))),
    }
}
