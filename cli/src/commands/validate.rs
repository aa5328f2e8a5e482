//! `celerysalt validate`: are the contracts of a folder sound, and do payloads keep to one of them.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use celerysalt_contract::{Catalog, Contract, Diagnostics, Document, Draft, Exact, Selector, Violations};
use clap::{Args, ValueEnum};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::{
    contracts::{SCHEMAS, load, newest, readable},
    output::{Report, Stop, Style, escape, lines, plural},
};

/// Check a folder of contracts, or payloads against a contract or a schema
///
/// Every problem of every file is reported at once. With --contract or --schema, checks payloads instead, by the rules
/// that generated code runs: each violation is printed with its place in the payload and what was expected there, never
/// with the value.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  celerysalt validate --schemas schemas\n  \
    celerysalt validate --contract pulse.risk.created@v1 payload.json\n  \
    celerysalt validate --schema schemas/pulse.risk.created/v1.json payload.json\n  \
    curl -s https://example.com/event | celerysalt validate --contract pulse.risk.created -")]
pub(crate) struct Validate {
    /// Folder of the contracts
    #[arg(long, value_name = "DIR", default_value = SCHEMAS)]
    schemas: PathBuf,
    /// Contract that the payloads are checked against; without a version, the newest one
    #[arg(long, value_name = "TOPIC[@VERSION]", requires = "payloads")]
    contract: Option<Selector>,
    /// Schema that the payloads are checked against: a file of its own, which may refer to files below its --root
    #[arg(long, value_name = "FILE", requires = "payloads", conflicts_with = "contract")]
    schema: Option<PathBuf>,
    /// Folder that the references of --schema may not leave [default: the folder of the file]
    #[arg(long, value_name = "DIR", requires = "schema")]
    root: Option<PathBuf>,
    /// Draft of a --schema that names none, and refers to no other file [default: 2020-12]
    #[arg(long, value_enum, requires = "schema")]
    draft: Option<DraftName>,
    /// Payloads: files of one JSON document each, - for standard input
    #[arg(value_name = "PAYLOAD")]
    payloads: Vec<PathBuf>,
}

/// A draft of JSON Schema.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DraftName {
    /// Draft 4
    #[value(name = "4")]
    Four,
    /// Draft 6
    #[value(name = "6")]
    Six,
    /// Draft 7
    #[value(name = "7")]
    Seven,
    /// Draft 2019-09
    #[value(name = "2019-09")]
    Nineteen,
    /// Draft 2020-12
    #[value(name = "2020-12")]
    Twenty,
}

impl DraftName {
    fn draft(self) -> Draft {
        match self {
            Self::Four => Draft::Draft4,
            Self::Six => Draft::Draft6,
            Self::Seven => Draft::Draft7,
            Self::Nineteen => Draft::Draft201909,
            Self::Twenty => Draft::Draft202012,
        }
    }
}

impl Validate {
    pub(crate) fn run(self, style: Style) -> Result<Report, Stop> {
        match (&self.contract, &self.schema) {
            (Some(contract), _) => self.by_contract(contract, style),
            (None, Some(schema)) => self.by_schema(schema, style),
            (None, None) if self.payloads.is_empty() => self.folder(style),
            (None, None) => {
                Err(Stop::failed("arguments", "payloads are checked against --contract or --schema".to_owned()))
            }
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

    fn by_contract(&self, selector: &Selector, style: Style) -> Result<Report, Stop> {
        let catalog = load(&self.schemas)?;
        let records = catalog.select(std::slice::from_ref(selector)).into_iter().map(Contract::to_record);
        let contract = newest(selector, records.collect())?;
        let name = format!("{}@{}", contract.topic, contract.version);
        let about = json!({"topic": contract.topic, "version": contract.version});
        self.check_all(&name, "contract", &about, &contract.schema, style)
    }

    fn by_schema(&self, path: &Path, style: Style) -> Result<Report, Stop> {
        let name = path.to_string_lossy();
        let schema = match self.draft {
            None => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let root = self.root.as_deref().unwrap_or(folder);
                // `a.json` is below `.`, and so is `/here/a.json`.
                let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
                let file = whole(path);
                let within = file
                    .strip_prefix(whole(root))
                    .map_err(|_| Stop::failed("schema", format!("{name} is not below {}", root.display())))?;
                Document::load(root, within).map_err(Stop::Refused)?.schema
            }
            Some(draft) => {
                let text =
                    fs::read(path).map_err(|error| Stop::failed("schema", format!("can't read {name}: {error}")))?;
                let mut schema: Value = serde_json::from_slice(&text)
                    .map_err(|error| Stop::failed("schema", format!("{name} is no JSON document: {error}")))?;
                if let Value::Object(members) = &mut schema {
                    members.entry("$schema").or_insert_with(|| draft.draft().uri().into());
                }
                schema
            }
        };
        self.check_all(&name, "schema", &json!(name), &schema, style)
    }

    /// Checks every payload; `kind` and `about` say against what.
    fn check_all(&self, name: &str, kind: &str, about: &Value, schema: &Value, style: Style) -> Result<Report, Stop> {
        let checks = Exact::new(schema)
            .map_err(|error| Stop::failed("schema", format!("{name} can't be used to check payloads: {error}")))?;
        let mut said = Vec::new();
        let mut invalid = 0;
        let mut results = Vec::new();
        for path in &self.payloads {
            let shown = style.bold(&escape(&path.to_string_lossy()));
            let verdict = check(&checks, &read(path)?);
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
            json: json!({kind: about, "payloads": results}),
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

fn check(checks: &Exact, payload: &[u8]) -> Verdict {
    match (checks.check(payload), serde_json::from_slice::<IgnoredAny>(payload)) {
        (Ok(()), _) => Verdict::Valid,
        (Err(violations), Ok(_)) => Verdict::Invalid(violations),
        (Err(_), Err(error)) => Verdict::NoJson(format!("this is no JSON document: {error}")),
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
