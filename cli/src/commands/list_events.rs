//! `celerysalt list-events`: which contracts a folder or a registry has.

use celerysalt_contract::{ContractRecord, Selector, Status};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    contracts::Source,
    fields::first_line,
    output::{Report, Stop, Style, escape, plural, table},
};

/// How much of a description fits beside the rest on a terminal.
const DESCRIPTION: usize = 60;

/// List the contracts of a folder or a registry
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  celerysalt list-events --schemas schemas\n  \
    celerysalt list-events --registry postgres://reader@db/contracts 'pulse.risk.*@latest'")]
pub(crate) struct ListEvents {
    #[command(flatten)]
    source: Source,
    /// Only these: a topic, or a pattern in which * is one word and # any number; @v1, @^v1.2 or @latest after it
    #[arg(value_name = "FILTER")]
    filter: Option<Selector>,
}

impl ListEvents {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        let contracts = self.source.contracts(self.filter.as_ref()).await?;
        let rows: Vec<_> = contracts.iter().map(|contract| row(contract, style)).collect();
        let count = contracts.len();
        Ok(Report {
            findings: false,
            text: table("", &rows),
            summary: format!("{}{count} {}", self.source.note(), plural(count, "contract")),
            json: json!({"contracts": contracts.iter().map(entry).collect::<Vec<_>>()}),
        })
    }
}

fn row(contract: &ContractRecord, style: Style) -> Vec<String> {
    let mut description = escape(first_line(&contract.description));
    if style.terminal && description.chars().count() > DESCRIPTION {
        description = description.chars().take(DESCRIPTION - 1).chain(['…']).collect();
    }
    if contract.status == Status::Deprecated {
        description = format!("(deprecated) {description}");
    }
    vec![contract.topic.to_string(), contract.version.to_string(), contract.mode.to_string(), description]
}

fn entry(contract: &ContractRecord) -> Value {
    json!({
        "topic": contract.topic,
        "version": contract.version,
        "mode": contract.mode,
        "title": contract.schema.get("title"),
        "description": contract.description,
        "status": contract.status,
        "fingerprint": contract.fingerprint,
    })
}
