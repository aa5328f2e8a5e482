//! `celerysalt sync`: a release makes its contracts known to a registry.

use std::path::PathBuf;

use celerysalt::registry::{Action, Plan};
use celerysalt_contract::{Contract, ContractRecord};
use clap::Args;
use serde_json::json;

use crate::{
    contracts::{REGISTRY_URL, SCHEMAS, connect, load, note},
    output::{Report, Stop, Style, escape, lines, plural},
};

/// Make the contracts of a folder known to a registry: all of them or, when one conflicts, none
///
/// A released contract never changes: the same topic and version with another meaning is a conflict. Titles, descriptions,
/// examples and comments have no meaning here, and are brought up to date. Contracts whose x-celerysalt says
/// "registry": false are left out. The first sync makes the registry's tables.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  celerysalt sync --schemas schemas --registry postgres://release@db/contracts --dry-run\n  \
    CELERYSALT_REGISTRY_URL=postgres://release@db/contracts celerysalt sync"
)]
pub(crate) struct Sync {
    /// Folder of the contracts
    #[arg(long, value_name = "DIR", default_value = SCHEMAS)]
    schemas: PathBuf,
    /// Registry, such as postgres://user:password@host/database
    #[arg(long, value_name = "URL", env = REGISTRY_URL, hide_env_values = true)]
    registry: String,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

impl Sync {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        let registry = connect(&self.registry)?;
        let catalog = load(&self.schemas)?;
        let contracts: Vec<ContractRecord> =
            catalog.contracts.iter().filter(|contract| contract.registry).map(Contract::to_record).collect();
        let plan = registry.sync(&contracts, self.dry_run).await?;
        Ok(Report {
            findings: plan.has_conflicts(),
            text: text(&plan, style),
            summary: format!("{}{}", note(&self.registry), summary(&plan, self.dry_run)),
            json: json!({"dry_run": self.dry_run, "applied": plan.applied, "steps": plan.steps}),
        })
    }
}

fn text(plan: &Plan, style: Style) -> String {
    let names: Vec<String> = plan.steps.iter().map(|step| format!("{}@{}", step.topic, step.version)).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let mut said = Vec::new();
    for (step, name) in plan.steps.iter().zip(names) {
        let action = match &step.action {
            Action::Create => style.good("create"),
            Action::Unchanged => "unchanged".to_owned(),
            Action::Update => style.notable("update"),
            Action::Conflict(_) => style.bad("conflict"),
        };
        said.push(format!("{name:width$}  {action}"));
        if let Action::Conflict(conflict) = &step.action {
            said.extend(conflict.differences.iter().map(|difference| format!("    {}", escape(difference))));
        }
    }
    lines(&said)
}

fn summary(plan: &Plan, dry_run: bool) -> String {
    let count = |wanted: fn(&Action) -> bool| plan.steps.iter().filter(|step| wanted(&step.action)).count();
    let conflicts = count(|action| matches!(action, Action::Conflict(_)));
    if conflicts > 0 {
        return format!(
            "{conflicts} {}: nothing is written; `-` is registered, `+` is in the folder. A released contract never \
             changes: publish the change as a new version",
            plural(conflicts, "conflict")
        );
    }
    let counts = [
        (count(|action| *action == Action::Create), "created"),
        (count(|action| *action == Action::Update), "updated"),
        (count(|action| *action == Action::Unchanged), "unchanged"),
    ];
    let counts: Vec<String> = counts.iter().map(|(count, what)| format!("{count} {what}")).collect();
    format!("{}{}", counts.join(", "), if dry_run { " (dry run: nothing is written)" } else { "" })
}
