//! `celerysalt list-events`: which contracts a folder or a registry has.

use celerysalt_contract::{ContractRecord, Mode, Selector, Status};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::{
    contracts::Source,
    fields::{fields, first_line},
    output::{Report, Stop, Style, escape, plural, table},
};

/// How much of a description fits beside the rest on a terminal.
const DESCRIPTION: usize = 60;

/// List the contracts of a folder or a registry
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  celerysalt list-events --schemas schemas\n  \
    celerysalt list-events --registry postgres://reader@db/contracts 'pulse.risk.*@latest'\n  \
    celerysalt list-events --mode rpc --grep amount --owner payments")]
pub(crate) struct ListEvents {
    #[command(flatten)]
    source: Source,
    /// Only these: a topic, or a pattern in which * is one word and # any number; @v1, @^v1.2 or @latest after it
    #[arg(value_name = "FILTER")]
    filter: Option<Selector>,
    /// Only those with this text, in any case, in the topic, a title, a description or the name of a field
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// Only those of this kind
    #[arg(long, value_enum)]
    mode: Option<Kind>,
    /// Only those whose x-celerysalt names this owner
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Only those that should not be used any more
    #[arg(long)]
    deprecated: bool,
}

/// A kind of contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Told to everyone
    Broadcast,
    /// Asked of one service
    Rpc,
}

impl Kind {
    fn of(mode: Mode) -> Self {
        match mode {
            Mode::Broadcast => Self::Broadcast,
            Mode::Rpc => Self::Rpc,
        }
    }
}

impl ListEvents {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        let mut contracts = self.source.contracts(self.filter.as_ref()).await?;
        contracts.retain(|contract| self.wants(contract));
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

impl ListEvents {
    fn wants(&self, contract: &ContractRecord) -> bool {
        let owner = || contract.schema.get("x-celerysalt").and_then(|settings| settings.get("owner"));
        self.mode.is_none_or(|kind| kind == Kind::of(contract.mode))
            && self.owner.as_deref().is_none_or(|wanted| owner().and_then(Value::as_str) == Some(wanted))
            && (!self.deprecated || contract.status == Status::Deprecated)
            && self.grep.as_deref().is_none_or(|text| mentions(contract, &text.to_lowercase()))
    }
}

/// Whether a contract has `text` (in lower case) where people would look for it.
fn mentions(contract: &ContractRecord, text: &str) -> bool {
    let has = |place: &str| place.to_lowercase().contains(text);
    let parts = [Some(&contract.schema), contract.response_schema.as_ref(), contract.error_schema.as_ref()];
    has(contract.topic.as_str())
        || has(&contract.description)
        || parts.into_iter().flatten().any(|schema| {
            ["title", "description"].iter().any(|word| schema.get(word).and_then(Value::as_str).is_some_and(has))
                || fields(schema).iter().any(|field| has(&field.name) || has(&field.description))
        })
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
