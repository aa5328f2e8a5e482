//! `celerysalt generate`: typed Rust events as a file, for those who want them in their repository.

use std::{fs, io::ErrorKind, path::PathBuf};

use clap::Args;
use serde_json::json;

use crate::{
    contracts::{SCHEMAS, readable},
    output::{Report, Stop, Style},
};

/// Generate typed Rust events from a folder of contracts
///
/// A build.rs with celerysalt_codegen does the same at each build; this is for code that is kept in the repository.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  celerysalt generate --schemas schemas --out src/events.rs --only 'pulse.risk.*'\n  \
    celerysalt generate --schemas schemas --out src/events.rs --check"
)]
pub(crate) struct Generate {
    /// Folder of the contracts
    #[arg(long, value_name = "DIR", default_value = SCHEMAS)]
    schemas: PathBuf,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Only these contracts: a topic or a pattern, with @v1, @^v1.2 or @latest after it; may be given several times
    #[arg(long, value_name = "SELECTOR")]
    only: Vec<String>,
    /// Write nothing; findings when the file is not what would be written
    #[arg(long)]
    check: bool,
}

impl Generate {
    pub(crate) fn run(self, style: Style) -> Result<Report, Stop> {
        readable(&self.schemas)?;
        let generated =
            celerysalt_codegen::contracts(&self.schemas).only(&self.only).generate().map_err(Stop::Refused)?;
        let path = self.out.display();
        let old = match fs::read(&self.out) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Stop::failed("file", format!("can't read {path}: {error}"))),
        };
        let current = old.as_deref() == Some(generated.code.as_bytes());
        if !current && !self.check {
            // An unchanged file is left alone: its time stamp would make others build again.
            fs::write(&self.out, &generated.code)
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
            json: json!({"out": self.out.to_string_lossy(), "state": state, "findings": generated.warnings.to_json()}),
        })
    }
}
