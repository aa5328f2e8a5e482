//! `celerysalt lint`: what reviewers look for in contracts, as rules with names.

use std::path::PathBuf;

use celerysalt_contract::{
    Diagnostics,
    lint::{Level, handbook, lint, rules},
};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    contracts::{SCHEMAS, readable},
    output::{
        Format, Report, Stop, Style,
        annotation::{self, RuleText},
        plural, sarif,
    },
};

/// Hold contracts against the rules that reviewers would: typos, contradictions, what stands in the way of a next version
///
/// celerysalt.toml in the schemas folder says how bad each rule is, and what is left out, with the reason.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  celerysalt lint --schemas schemas\n  celerysalt lint --strict --format github\n  \
    celerysalt lint --format sarif > lint.sarif\n  celerysalt lint --rules"
)]
pub(crate) struct Lint {
    /// Folder of the contracts
    #[arg(long, value_name = "DIR", default_value = SCHEMAS)]
    schemas: PathBuf,
    /// Take warnings for findings, too: exit status 1
    #[arg(long)]
    strict: bool,
    /// Print every rule, with its reason, a bad and a good example
    #[arg(long)]
    rules: bool,
}

impl Lint {
    pub(crate) fn run(self, style: Style) -> Result<Report, Stop> {
        if self.rules {
            return Ok(rules_report());
        }
        readable(&self.schemas)?;
        let (findings, ignored, contracts) = match lint(&self.schemas) {
            Ok(linted) => (linted.findings, linted.ignored, Some(linted.contracts)),
            Err(findings) => (findings, 0, None),
        };
        let (errors, warnings) = (findings.errors().count(), findings.warnings().count());
        let mut parts: Vec<String> = Vec::new();
        parts.extend(contracts.map(|count| format!("{count} {}", plural(count, "contract"))));
        parts.push(format!("{errors} {}", plural(errors, "error")));
        parts.push(format!("{warnings} {}", plural(warnings, "warning")));
        if ignored > 0 {
            parts.push(format!("{ignored} left out by celerysalt.toml"));
        }
        Ok(Report {
            findings: errors > 0 || self.strict && warnings > 0,
            text: text(&findings, style),
            summary: parts.join(", "),
            json: json!({"contracts": contracts, "ignored": ignored, "findings": findings.to_json()}),
        })
    }
}

fn text(findings: &Diagnostics, style: Style) -> String {
    if style.format == Format::Sarif {
        return format!("{:#}\n", sarif::log(&annotation::of(findings), &rule_texts()));
    }
    style.diagnostics(findings)
}

fn rule_texts() -> Vec<RuleText> {
    let level = |level| match level {
        Level::Error => annotation::Level::Error,
        Level::Warning => annotation::Level::Warning,
        Level::Off => annotation::Level::Note,
    };
    rules()
        .iter()
        .map(|rule| RuleText {
            id: rule.id.to_owned(),
            level: level(rule.level),
            what: rule.what.to_owned(),
            mend: rule.why.to_owned(),
        })
        .collect()
}

fn rules_report() -> Report {
    let example = |files: celerysalt_contract::lint::Example| -> Value {
        files
            .iter()
            .map(|(path, content)| ((*path).to_owned(), json!(content)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let rules: Vec<Value> = rules()
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "level": rule.level.as_str(),
                "what": rule.what,
                "why": rule.why,
                "bad": example(rule.bad),
                "good": example(rule.good),
            })
        })
        .collect();
    Report { findings: false, text: handbook(), summary: String::new(), json: json!({"rules": rules}) }
}
