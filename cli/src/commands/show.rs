//! `celerysalt show`: one contract, for reading or as the stored document.

use celerysalt_contract::{ContractRecord, Mode, Selector, Status};
use clap::Args;
use serde_json::json;

use crate::{
    contracts::{Source, newest},
    fields::{Field, fields, kind},
    output::{Report, Stop, Style, escape, escape_lines, lines, table},
};

/// Show one contract: its fields, or with --format json the whole stored document
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
        Ok(Report {
            findings: false,
            text: text(&contract, style),
            summary: self.source.note().to_owned(),
            json: json!(contract),
        })
    }
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
