//! `celerysalt generate`: typed Rust events as a file, for those who want them in their repository.

use std::{fs, io::ErrorKind, path::PathBuf};

use celerysalt_contract::{Exact, Selector, Way};
use clap::Args;
use serde_json::json;

use crate::{
    contracts::{SCHEMAS, load, readable},
    output::{Report, Stop, Style, escape, lines},
};

/// Generate typed Rust events from a folder of contracts
///
/// A build.rs with celerysalt_codegen does the same at each build; this is for code that is kept in the repository.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  celerysalt generate --schemas schemas --out src/events.rs --only 'pulse.risk.*'\n  \
    celerysalt generate --schemas schemas --out src/events.rs --check\n  \
    celerysalt generate --schemas schemas --explain"
)]
pub(crate) struct Generate {
    /// Folder of the contracts
    #[arg(long, value_name = "DIR", default_value = SCHEMAS)]
    schemas: PathBuf,
    /// File to write
    #[arg(long, value_name = "FILE", required_unless_present = "explain")]
    out: Option<PathBuf>,
    /// Only these contracts: a topic or a pattern, with @v1, @^v1.2 or @latest after it; may be given several times
    #[arg(long, value_name = "SELECTOR")]
    only: Vec<String>,
    /// Contracts whose types hold what the schema names and nothing else; may be given several times
    #[arg(long, value_name = "SELECTOR")]
    plain: Vec<String>,
    /// Write nothing; findings when the file is not what would be written
    #[arg(long)]
    check: bool,
    /// Write nothing; say for each contract which parts of it are checked in the sweep over the text, and which are handed
    /// to the validator library, and why
    #[arg(long, conflicts_with_all = ["out", "check"])]
    explain: bool,
}

impl Generate {
    pub(crate) fn run(self, style: Style) -> Result<Report, Stop> {
        readable(&self.schemas)?;
        let generated = celerysalt_codegen::contracts(&self.schemas)
            .only(&self.only)
            .plain(&self.plain)
            .generate()
            .map_err(Stop::Refused)?;
        let Some(out) = self.out.as_ref().filter(|_| !self.explain) else { return self.explain(style) };
        let path = out.display();
        let old = match fs::read(out) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Stop::failed("file", format!("can't read {path}: {error}"))),
        };
        let current = old.as_deref() == Some(generated.code.as_bytes());
        if !current && !self.check {
            // An unchanged file is left alone: its time stamp would make others build again.
            fs::write(out, &generated.code)
                .map_err(|error| Stop::failed("file", format!("can't write {path}: {error}")))?;
        }
        let state = match (current, self.check, old) {
            (true, ..) => "current",
            (false, true, None) => "missing",
            (false, true, Some(_)) => "stale",
            (false, false, _) => "written",
        };
        let findings = self.check && !current;
        let (text, summary) = if findings {
            (format!("{path} is {state}: run the same command without --check\n"), String::new())
        } else {
            (String::new(), format!("{path} is {state}"))
        };
        Ok(Report {
            findings,
            text,
            summary: style.diagnostics(&generated.warnings) + &summary,
            json: json!({"out": out.to_string_lossy(), "state": state, "findings": generated.warnings.to_json()}),
        })
    }

    /// Which way each part of each contract is checked.
    fn explain(&self, style: Style) -> Result<Report, Stop> {
        let selectors: Result<Vec<Selector>, _> = self.only.iter().map(|text| text.parse()).collect();
        let selectors = selectors.map_err(|error| Stop::failed("arguments", format!("--only: {error}")))?;
        let catalog = load(&self.schemas)?;
        let (mut said, mut told, mut library, mut all) = (Vec::new(), Vec::new(), 0, 0);
        for contract in catalog.select(&selectors) {
            let parts = ["payload", "response", "error"].into_iter().zip([
                Some(&contract.request),
                contract.response.as_ref(),
                contract.error.as_ref(),
            ]);
            for (part, document) in parts.filter_map(|(part, document)| Some((part, document?))) {
                let name = format!("{}@{} {part}", contract.topic, contract.version);
                let checks = Exact::new(&document.schema)
                    .map_err(|error| Stop::failed("schema", format!("{name} can't be compiled: {error}")))?;
                let explained = checks.explain();
                let by_library: Vec<_> = explained.iter().filter(|part| part.way == Way::Library).collect();
                (all, library) = (all + explained.len(), library + by_library.len());
                let compiled = explained.len() - by_library.len();
                said.push(format!("{}: {compiled} of {} sub-schemas in the sweep", style.bold(&name), explained.len()));
                for part in &by_library {
                    let (source, pointer) = document.origin(&part.pointer);
                    let span = source.span_of(&pointer);
                    let place = format!("{}:{}:{}", source.shown_path().display(), span.line, span.column);
                    said.push(format!("  {}: by the library: {}", escape(&place), part.why));
                }
                told.push(json!({
                    "topic": contract.topic, "version": contract.version, "part": part, "compiled": compiled,
                    "library": by_library.iter().map(|part| json!({"pointer": part.pointer, "why": part.why}))
                        .collect::<Vec<_>>(),
                }));
            }
        }
        Ok(Report {
            findings: false,
            text: lines(&said),
            summary: format!("{} of {all} sub-schemas in the sweep, {library} by the library", all - library),
            json: json!({ "contracts": told }),
        })
    }
}
