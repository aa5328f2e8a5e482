//! What `build.rs` does besides generating: write the file, tell cargo when to come back, show what is wrong.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use celerysalt_contract::{Diagnostic, Diagnostics, Severity};

use crate::{Builder, Generated};

/// Why there is no `events.rs`.
pub(crate) struct Refusal {
    findings: Diagnostics,
}

impl Refusal {
    fn one(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self { findings: [Diagnostic::error("build-script", path, message)].into_iter().collect() }
    }

    /// Shows every finding: in full on standard error, and as a line each for cargo.
    pub(crate) fn print(&self) {
        eprint!("{}", self.findings.render(false));
        print!("{}", told(self.findings.iter()));
    }
}

/// Everything that [`Builder::emit`] promises but the exit.
pub(crate) fn emit(builder: &Builder) -> Result<(), Refusal> {
    let variable = |name: &str| {
        std::env::var_os(name).map(PathBuf::from).ok_or_else(|| {
            Refusal::one(
                "build.rs",
                format!("{name} is not set: `emit` is for a build.rs, `generate` for everything else"),
            )
        })
    };
    let folder = variable("CARGO_MANIFEST_DIR")?.join(&builder.folder);
    let out = variable("OUT_DIR")?.join("events.rs");
    // First of all, so that a mended folder is looked at again.
    print!("{}", rerun_if_changed(&folder));
    let builder = Builder { folder, plain: builder.plain.clone(), only: builder.only.clone() };
    let generated = builder.generate().map_err(|findings| Refusal { findings })?;
    write_if_changed(&out, &generated)
        .map_err(|error| Refusal::one(&out, format!("the generated code can't be written: {error}")))?;
    print!("{}", told(generated.warnings.iter()));
    Ok(())
}

/// The line that has cargo look at everything below `folder`: files and folders, edited, added or removed.
fn rerun_if_changed(folder: &Path) -> String {
    format!("cargo::rerun-if-changed={}\n", folder.display())
}

/// Writes only what differs, so that an unchanged file has its dependents left alone.
fn write_if_changed(path: &Path, generated: &Generated) -> io::Result<()> {
    if fs::read(path).is_ok_and(|known| known == generated.code.as_bytes()) {
        return Ok(());
    }
    fs::write(path, &generated.code)
}

/// A line for cargo for each finding.
fn told<'a>(findings: impl Iterator<Item = &'a Diagnostic>) -> String {
    let mut lines = String::new();
    for finding in findings {
        let level = match finding.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let help = finding.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        let text = format!("{finding}{help}").replace(['\n', '\r'], " ");
        let _ = writeln!(lines, "cargo::{level}={text}");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_is_one_line_for_cargo() {
        let findings: Diagnostics = [
            Diagnostic::error("unknown-contract", "schemas", "two\nlines"),
            Diagnostic::warning("no-title", "schemas/a/v1.json", "no title").with_help("add one"),
        ]
        .into_iter()
        .collect();
        let text = told(findings.iter());
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("cargo::error=") && lines[0].contains("unknown-contract: two"), "{text}");
        assert!(lines[1].starts_with("cargo::warning=") && lines[1].ends_with("(add one)"), "{text}");
    }
}
