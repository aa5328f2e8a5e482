//! `celerysalt show`: one contract, for reading or as the stored document; from a registry, also what became of it.

use celerysalt::registry::{AuditAction, AuditEntry, Registry, Seen, Side};
use celerysalt_contract::{ContractRecord, Mode, Selector, Status, VersionRange};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    contracts::{Source, newest},
    fields::{Field, fields, kind},
    output::{Report, Stop, Style, escape, escape_lines, lines, table},
};

/// Show one contract: its fields, or with --format json the whole stored document
///
/// From a registry, also who released it, whether it is deprecated, and who was seen publishing and handling it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  celerysalt show pulse.risk.created@v1\n  \
    celerysalt show pulse.risk.created --registry postgres://reader@db/contracts --format json")]
pub(crate) struct Show {
    #[command(flatten)]
    source: Source,
    /// The contract; without a version, the newest one
    #[arg(value_name = "TOPIC[@VERSION]")]
    contract: Selector,
}

impl Show {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        let contracts = self.source.contracts(Some(&self.contract)).await?;
        let contract = newest(&self.contract, contracts)?;
        let mut json = json!(contract);
        let mut text = text(&contract, style);
        if let Some(registry) = self.source.registry()? {
            let life = Life::of(&*registry, &contract).await?;
            text.push_str(&life.text(style));
            if let (Value::Object(document), Value::Object(life)) = (&mut json, life.to_json()) {
                document.extend(life);
            }
        }
        Ok(Report { findings: false, text, summary: self.source.note().to_owned(), json })
    }
}

/// What a registry knows beside the contract.
struct Life {
    history: Vec<AuditEntry>,
    seen: Vec<Seen>,
}

impl Life {
    async fn of(registry: &dyn Registry, contract: &ContractRecord) -> Result<Self, Stop> {
        let exact = Selector {
            pattern: contract.topic.clone().into(),
            versions: VersionRange::Exact(contract.version.clone()),
        };
        let history = registry.history(Some(&exact)).await?;
        let mut seen = registry.lineage(&contract.topic).await?;
        seen.retain(|seen| seen.sighting.contracts.versions.contains(&contract.version));
        Ok(Self { history, seen })
    }

    fn on(&self, side: Side) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(move |seen| seen.sighting.side == side)
    }

    fn text(&self, style: Style) -> String {
        let mut said = Vec::new();
        for entry in &self.history {
            let what = match entry.action {
                AuditAction::Create => "released",
                AuditAction::Update => "updated",
                AuditAction::Deprecate => "deprecated",
                AuditAction::Undeprecate => "undeprecated",
                _ => "removed",
            };
            let reason = if entry.reason.is_empty() { String::new() } else { format!(": {}", escape(&entry.reason)) };
            said.push(format!("{what:12} {} by {}{reason}", entry.at, escape(&entry.who())));
        }
        for (side, title) in [(Side::Publisher, "publishers"), (Side::Subscriber, "subscribers")] {
            let rows: Vec<Vec<String>> = self.on(side).map(row_of_seen).collect();
            if !rows.is_empty() {
                said.push(format!("\n{}:", style.bold(title)));
                said.push(table("  ", &rows).trim_end().to_owned());
            }
        }
        lines(&said)
    }

    fn to_json(&self) -> Value {
        let side = |side| -> Vec<Value> {
            let entry = |seen: &Seen| {
                let sighting = &seen.sighting;
                json!({
                    "service": sighting.service,
                    "handler": sighting.handler,
                    "contracts": sighting.contracts.to_string(),
                    "host": sighting.host,
                    "first_seen": seen.first_seen.to_string(),
                    "last_seen": seen.last_seen.to_string(),
                })
            };
            self.on(side).map(entry).collect()
        };
        json!({
            "history": self.history,
            "publishers": side(Side::Publisher),
            "subscribers": side(Side::Subscriber),
        })
    }
}

fn row_of_seen(seen: &Seen) -> Vec<String> {
    let sighting = &seen.sighting;
    vec![
        escape(&sighting.service),
        escape(&sighting.contracts.to_string()),
        escape(&sighting.handler),
        format!("seen {}", seen.last_seen),
    ]
}

fn text(contract: &ContractRecord, style: Style) -> String {
    let name = format!("{}@{}", contract.topic, contract.version);
    let deprecated = if contract.status == Status::Deprecated { ", deprecated" } else { "" };
    let mut said = vec![format!("{} ({}{deprecated})", style.bold(&name), contract.mode)];
    if !contract.description.is_empty() {
        said.push(escape_lines(&contract.description));
    }
    let request = if contract.mode == Mode::Rpc { "request" } else { "payload" };
    let parts = [
        (request, Some(&contract.schema)),
        ("response", contract.response_schema.as_ref()),
        ("error", contract.error_schema.as_ref()),
    ];
    for (part, schema) in parts {
        let Some(schema) = schema else { continue };
        said.push(format!("\n{}: {}", style.bold(part), escape(&kind(schema, schema))));
        said.push(table("  ", &fields(schema).iter().map(row).collect::<Vec<_>>()).trim_end().to_owned());
    }
    said.push(format!("\nfingerprint  {}", contract.fingerprint));
    let publisher: Vec<&str> =
        [&contract.publisher_module, &contract.publisher_class].into_iter().flatten().map(String::as_str).collect();
    if !publisher.is_empty() {
        said.push(format!("publisher    {}", escape(&publisher.join(" "))));
    }
    said.retain(|line| !line.is_empty());
    lines(&said)
}

fn row(field: &Field) -> Vec<String> {
    let required = if field.required { "required" } else { "optional" };
    vec![escape(&field.name), escape(&field.kind), required.to_owned(), escape(&field.description)]
}
