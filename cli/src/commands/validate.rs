//! `celerysalt validate`: are the contracts of a folder sound, and do payloads keep to one of them.

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
};

use celerysalt_contract::{Catalog, Contract, Diagnostics, Selector, Validator, Violations};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    contracts::{SCHEMAS, load, newest, readable},
    output::{Report, Stop, Style, escape, lines, plural},
};

/// Check a folder of contracts, or payloads against one of them
///
/// Every problem of every file is reported at once. With --contract, checks payloads instead: each violation is printed
/// with its place in the payload and what was expected there, never with the value.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  celerysalt validate --schemas schemas\n  \
    celerysalt validate --contract pulse.risk.created@v1 payload.json\n  \
    curl -s https://example.com/event | celerysalt validate --contract pulse.risk.created -")]
pub(crate) struct Validate {
    /// Folder of the contracts
    #[arg(long, value_name = "DIR", default_value = SCHEMAS)]
    schemas: PathBuf,
    /// Contract that the payloads are checked against; without a version, the newest one
    #[arg(long, value_name = "TOPIC[@VERSION]", requires = "payloads")]
    contract: Option<Selector>,
    /// Payloads: files of one JSON document each, - for standard input
    #[arg(value_name = "PAYLOAD", requires = "contract")]
    payloads: Vec<PathBuf>,
}

impl Validate {
    pub(crate) fn run(self, style: Style) -> Result<Report, Stop> {
        match &self.contract {
            Some(contract) => self.payloads(contract, style),
            None => self.folder(style),
        }
    }

    fn folder(&self, style: Style) -> Result<Report, Stop> {
        readable(&self.schemas)?;
        let (contracts, findings) = match Catalog::load(&self.schemas) {
            Ok(catalog) => (Some(catalog.contracts.len()), catalog.warnings),
            Err(findings) => (None, findings),
        };
        Ok(Report {
            findings: findings.has_errors(),
            text: style.diagnostics(&findings),
            summary: count(contracts, &findings),
            json: json!({"contracts": contracts, "findings": findings.to_json()}),
        })
    }

    fn payloads(&self, selector: &Selector, style: Style) -> Result<Report, Stop> {
        let catalog = load(&self.schemas)?;
        let records = catalog.select(std::slice::from_ref(selector)).into_iter().map(Contract::to_record);
        let contract = newest(selector, records.collect())?;
        let name = format!("{}@{}", contract.topic, contract.version);
        let validator = Validator::new(&contract.schema)
            .map_err(|error| Stop::failed("schema", format!("{name} can't be used to check payloads: {error}")))?;
        let mut said = Vec::new();
        let mut invalid = 0;
        let mut results = Vec::new();
        for path in &self.payloads {
            let shown = style.bold(&escape(&path.to_string_lossy()));
            let verdict = check(&validator, &read(path)?);
            match &verdict {
                Verdict::Valid => {}
                Verdict::NoJson(reason) => said.push(format!("{shown}: {}", escape(reason))),
                Verdict::Invalid(violations) => {
                    said.extend(
                        violations.iter().map(|violation| format!("{shown}: {}", escape(&violation.to_string()))),
                    );
                }
            }
            invalid += usize::from(!matches!(verdict, Verdict::Valid));
            results.push(verdict.to_json(&path.to_string_lossy()));
        }
        let total = self.payloads.len();
        let summary = match invalid {
            0 => format!("{total} {} valid by {name}", plural(total, "payload")),
            _ => format!("{invalid} of {total} {} not valid by {name}", plural(total, "payload")),
        };
        Ok(Report {
            findings: invalid > 0,
            text: lines(&said),
            summary,
            json: json!({
                "contract": {"topic": contract.topic, "version": contract.version},
                "payloads": results,
            }),
        })
    }
}

/// What comes of one payload.
enum Verdict {
    Valid,
    Invalid(Violations),
    NoJson(String),
}

impl Verdict {
    fn to_json(&self, path: &str) -> Value {
        match self {
            Self::Valid => json!({"path": path, "valid": true, "violations": []}),
            Self::Invalid(violations) => json!({"path": path, "valid": false, "violations": violations.as_slice()}),
            Self::NoJson(reason) => json!({"path": path, "valid": false, "violations": [], "error": reason}),
        }
    }
}

fn check(validator: &Validator, payload: &[u8]) -> Verdict {
    match serde_json::from_slice::<Value>(payload) {
        Ok(payload) => validator.validate(&payload).map_or_else(Verdict::Invalid, |()| Verdict::Valid),
        Err(error) => Verdict::NoJson(format!("this is no JSON document: {error}")),
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Stop> {
    let content = if path.as_os_str() == "-" {
        let mut content = Vec::new();
        io::stdin().lock().read_to_end(&mut content).map(|_| content)
    } else {
        fs::read(path)
    };
    content.map_err(|error| Stop::failed("payload", format!("can't read {}: {error}", path.display())))
}

fn count(contracts: Option<usize>, findings: &Diagnostics) -> String {
    let (errors, warnings) = (findings.errors().count(), findings.warnings().count());
    let mut parts: Vec<String> = Vec::new();
    parts.extend(contracts.map(|count| format!("{count} {}", plural(count, "contract"))));
    parts.push(format!("{errors} {}", plural(errors, "error")));
    parts.push(format!("{warnings} {}", plural(warnings, "warning")));
    parts.join(", ")
}
