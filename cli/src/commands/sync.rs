//! `celerysalt sync`: a release makes its contracts known to a registry.

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use celerysalt::registry::{Action, LookedAt, Plan, Registry};
use celerysalt_contract::{
    Catalog, Contract, ContractRecord, Selector, Topic,
    evolution::{self, Baseline, Change, Level, Options, Release},
};
use clap::Args;
use serde_json::json;

use crate::{
    contracts::{REGISTRY_URL, SCHEMAS, connect, load, note},
    lock::Lock,
    output::{Report, Stop, Style, escape, lines, of_change, plural},
};

/// Up to so many topics are asked for one by one; for more, the whole registry is read at once.
const FEW: usize = 8;

/// How often a release is planned anew because another one was faster.
const ATTEMPTS: usize = 20;

/// Make the contracts of a folder known to a registry: all of them or, when one conflicts, none
///
/// A released contract never changes: the same topic and version with another meaning is a conflict. Titles, descriptions,
/// examples and comments have no meaning here, and are brought up to date. A new version must not break those of its
/// major that were released before. Contracts whose x-celerysalt says "registry": false are left out, and so are those
/// that celerysalt.lock names as other projects'. The first sync makes the registry's tables.
///
/// On a terminal, shows what it would do and asks; elsewhere, and with --yes, does it at once.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  celerysalt sync --schemas schemas --registry postgres://release@db/contracts --dry-run\n  \
    CELERYSALT_REGISTRY_URL=postgres://release@db/contracts celerysalt sync --yes"
)]
pub(crate) struct Sync {
    /// Folder of the contracts
    #[arg(long, value_name = "DIR", default_value = SCHEMAS)]
    schemas: PathBuf,
    /// Registry, such as postgres://user:password@host/database
    #[arg(long, value_name = "URL", env = REGISTRY_URL, hide_env_values = true)]
    registry: String,
    /// Only say what would be done
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,
    /// Release new versions also when they break others of their major
    #[arg(long)]
    allow_breaking: bool,
}

impl Sync {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        let registry = connect(&self.registry)?;
        let catalog = load(&self.schemas)?;
        let lock = Lock::read(&self.schemas)?;
        let is_own = |contract: &&Contract| lock.find(&contract.topic, &contract.version).is_none();
        let own: Vec<&Contract> =
            catalog.contracts.iter().filter(|contract| contract.registry).filter(is_own).collect();
        let records: Vec<ContractRecord> = own.iter().map(|contract| contract.to_record()).collect();

        let mut agreed = None;
        for _ in 0..ATTEMPTS {
            let plan = registry.sync(&records, true).await?;
            let (breaking, looked_at) = if self.allow_breaking || plan.has_conflicts() {
                (Vec::new(), LookedAt::default())
            } else {
                breaking(&*registry, &plan, &own).await?
            };
            let mut outcome = Outcome { plan, breaking, dry_run: self.dry_run, vendored: vendored(&catalog, &lock) };
            if !self.dry_run && !outcome.is_refused() {
                let is_agreed = agreed.as_ref() == Some(&outcome.plan);
                if !outcome.is_empty() && !self.yes && style.terminal && !is_agreed {
                    ask(&outcome, style)?;
                    agreed = Some(outcome.plan.clone());
                }
                // Another release may have been faster since the plan was made: then all is decided again.
                let Some(done) = registry.sync_after(&records, &looked_at).await? else { continue };
                outcome.plan = done;
            }
            return Ok(outcome.report(note(&self.registry), style));
        }
        Err(Stop::failed(
            "registry-busy",
            format!("other releases of the same topics were faster {ATTEMPTS} times: nothing is written; try again"),
        ))
    }
}

fn vendored(catalog: &Catalog, lock: &Lock) -> usize {
    catalog.contracts.iter().filter(|contract| lock.find(&contract.topic, &contract.version).is_some()).count()
}

/// What new versions would break of those that are released, or of each other; and what was released.
async fn breaking(registry: &dyn Registry, plan: &Plan, own: &[&Contract]) -> Result<(Vec<Change>, LookedAt), Stop> {
    let created = plan.steps.iter().filter(|step| step.action == Action::Create);
    let topics: BTreeSet<&Topic> = created.map(|step| &step.topic).collect();
    if topics.is_empty() {
        return Ok((Vec::new(), LookedAt::default()));
    }
    let head: Vec<Release> = own
        .iter()
        .filter(|contract| topics.contains(&contract.topic))
        .map(|contract| Release::from_contract(Contract::clone(contract)))
        .collect();
    let mut released = released(registry, &topics).await?;
    let looked_at = LookedAt::new(topics.iter().copied(), &released);
    // Another release may have been faster since the plan was made: whether the two agree is for the sync itself to say.
    let is_new = |record: &ContractRecord| {
        plan.steps
            .iter()
            .any(|step| step.action == Action::Create && step.topic == record.topic && step.version == record.version)
    };
    released.retain(|record| !is_new(record));
    let base: Vec<Release> = released.into_iter().map(Release::from_record).collect();
    let found = evolution::check(&base, &head, Baseline::Shared, &Options::default());
    Ok((found.changes.into_iter().filter(|change| change.level != Level::Note).collect(), looked_at))
}

/// What the registry has of these topics; nothing where it has no tables yet.
async fn released(registry: &dyn Registry, topics: &BTreeSet<&Topic>) -> Result<Vec<ContractRecord>, Stop> {
    let mut known = Vec::new();
    if topics.len() > FEW {
        known = list(registry, None).await?;
        known.retain(|record| topics.contains(&record.topic));
    } else {
        for topic in topics {
            known.extend(list(registry, Some(&Selector::from((*topic).clone()))).await?);
        }
    }
    Ok(known)
}

async fn list(registry: &dyn Registry, filter: Option<&Selector>) -> Result<Vec<ContractRecord>, Stop> {
    match registry.list(filter).await {
        // A dry run has looked at it already, and the first sync makes its tables.
        Err(celerysalt::registry::RegistryError::Unusable { .. }) => Ok(Vec::new()),
        outcome => Ok(outcome?),
    }
}

/// Shows the plan and waits for a yes.
fn ask(outcome: &Outcome, style: Style) -> Result<(), Stop> {
    let unreadable = |error: io::Error| Stop::failed("terminal", format!("can't ask: {error}; use --yes"));
    if !io::stdin().is_terminal() {
        return Ok(());
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{}{}. Release them? [y/N] ", outcome.text(style), outcome.counts()).map_err(unreadable)?;
    stderr.flush().map_err(unreadable)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(unreadable)?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Stop::failed("declined", "nothing is written"))
}

/// What is to be done, or was.
struct Outcome {
    plan: Plan,
    breaking: Vec<Change>,
    dry_run: bool,
    vendored: usize,
}

impl Outcome {
    fn is_refused(&self) -> bool {
        self.plan.has_conflicts() || !self.breaking.is_empty()
    }

    /// Whether there is nothing to write.
    fn is_empty(&self) -> bool {
        self.plan.steps.iter().all(|step| step.action == Action::Unchanged)
    }

    fn report(self, note: &str, style: Style) -> Report {
        Report {
            findings: self.is_refused(),
            text: self.text(style),
            summary: format!("{note}{}", self.summary()),
            json: json!({
                "dry_run": self.dry_run,
                "applied": self.plan.applied,
                "steps": self.plan.steps,
                "vendored": self.vendored,
                "breaking": self.breaking.iter().map(of_change).collect::<Vec<_>>(),
            }),
        }
    }

    fn text(&self, style: Style) -> String {
        let names: Vec<String> =
            self.plan.steps.iter().map(|step| format!("{}@{}", step.topic, step.version)).collect();
        let width = names.iter().map(String::len).max().unwrap_or(0);
        let mut said = Vec::new();
        for (step, name) in self.plan.steps.iter().zip(names) {
            let breaking: Vec<&Change> = self
                .breaking
                .iter()
                .filter(|change| change.topic == step.topic && change.version == step.version)
                .collect();
            let action = match &step.action {
                Action::Create if !breaking.is_empty() => style.bad("breaking"),
                Action::Create => style.good("create"),
                Action::Unchanged => "unchanged".to_owned(),
                Action::Update => style.notable("update"),
                Action::Conflict(_) => style.bad("conflict"),
            };
            said.push(format!("{name:width$}  {action}"));
            said.extend(breaking.into_iter().flat_map(explain));
            if let Action::Conflict(conflict) = &step.action {
                if let Some(released) = &conflict.released {
                    said.push(format!("    released at {} by {}", released.at, escape(&released.who())));
                }
                said.extend(conflict.differences.iter().map(|difference| format!("    {}", escape(difference))));
            }
        }
        lines(&said)
    }

    fn summary(&self) -> String {
        let conflicts = self.count(|action| matches!(action, Action::Conflict(_)));
        if conflicts > 0 {
            return format!(
                "{conflicts} {}: nothing is written; `-` is registered, `+` is in the folder. A released contract never \
                 changes: publish the change as a new version",
                plural(conflicts, "conflict")
            );
        }
        let breaking = self.breaking.len();
        if breaking > 0 {
            return format!(
                "{breaking} breaking {} within a major: nothing is written. Mend the new version, release it as a new \
                 major, or say --allow-breaking",
                plural(breaking, "change")
            );
        }
        let vendored = match self.vendored {
            0 => String::new(),
            count => format!(", {count} of other projects left out"),
        };
        let dry_run = if self.dry_run { " (dry run: nothing is written)" } else { "" };
        format!("{}{vendored}{dry_run}", self.counts())
    }

    fn counts(&self) -> String {
        let counts = [
            (self.count(|action| *action == Action::Create), "created"),
            (self.count(|action| *action == Action::Update), "updated"),
            (self.count(|action| *action == Action::Unchanged), "unchanged"),
        ];
        let counts: Vec<String> = counts.iter().map(|(count, what)| format!("{count} {what}")).collect();
        counts.join(", ")
    }

    fn count(&self, wanted: fn(&Action) -> bool) -> usize {
        self.plan.steps.iter().filter(|step| wanted(&step.action)).count()
    }
}

fn explain(change: &Change) -> Vec<String> {
    let against: Vec<String> = change.against.iter().map(ToString::to_string).collect();
    let mut said = vec![format!("    {}: {} (against {})", change.rule, escape(&change.message), against.join(", "))];
    if let Some(witness) = &change.witness {
        said.push(format!("    example: {}", escape(&witness.to_string())));
    }
    said
}
