//! `celerysalt export`: schema files from events that are written in Rust.
//!
//! Only the user's own code knows its structs, so cargo runs the user's test that compares them with the files, told by
//! the environment to write instead. The test leaves a line for each file in a report.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::output::{Report, Stop, Style, escape, lines, plural};

/// Names the report to the test: `celerysalt::code_first::EXPORT_VARIABLE`, which this program is built without.
const EXPORT_VARIABLE: &str = "CELERYSALT_EXPORT";

/// The name that `celerysalt::code_first_test!` gives to a test.
const TEST: &str = "celerysalt_code_first";

/// Write the schema files of events that are written in Rust (`#[derive(SaltEvent)]`)
///
/// Runs the tests that celerysalt::code_first_test! makes, by cargo, and has them write the files that differ from their
/// structs. `cargo test` without this command only compares. What just the file says is kept: owner, compatibility,
/// examples, and texts where the struct has no doc comment.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 all files say what the structs say now, 2 could not run.\n\n\
    Examples:\n  celerysalt export\n  celerysalt export --manifest-path services/shop/Cargo.toml\n  \
    celerysalt export --package shop -- --features events --release")]
pub(crate) struct Export {
    /// Cargo.toml of the package or workspace
    #[arg(long, value_name = "FILE")]
    manifest_path: Option<PathBuf>,
    /// Only this package of the workspace
    #[arg(long, short, value_name = "NAME")]
    package: Option<String>,
    /// Name of the tests, for those that call celerysalt::code_first::test themselves
    #[arg(long, value_name = "NAME", default_value = TEST)]
    test: String,
    /// More for cargo test, such as --features
    #[arg(last = true, value_name = "ARGUMENT")]
    cargo: Vec<String>,
}

/// A file that a test has looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Exported {
    path: String,
    changed: bool,
}

impl Export {
    pub(crate) fn run(self, style: Style) -> Result<Report, Stop> {
        let unusable = |error: std::io::Error| Stop::failed("file", format!("can't use a temporary file: {error}"));
        let report = tempfile::NamedTempFile::new().map_err(unusable)?;
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(&cargo)
            .args(self.arguments())
            .env(EXPORT_VARIABLE, report.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Building takes its time, and says how it goes there.
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| Stop::failed("cargo", format!("can't run {}: {error}", cargo.display())))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(Stop::failed("export", format!("{}\n{}", said.trim(), failed(output.status.code()))));
        }
        let text = fs::read_to_string(report.path()).map_err(unusable)?;
        let exported = read(&text, &env::current_dir().unwrap_or_default())?;
        if exported.is_empty() {
            return Err(Stop::failed(
                "no-test",
                format!(
                    "cargo ran no test `{}` that exports: add `celerysalt::code_first_test!(\"schemas\", YourEvent);` \
                     to the crate that has the events (with the feature `derive` of celerysalt)",
                    self.test
                ),
            ));
        }
        let row = |file: &Exported| {
            let (word, path) = (if file.changed { "written  " } else { "unchanged" }, escape(&file.path));
            format!("{}  {path}", if file.changed { style.good(word) } else { word.to_owned() })
        };
        let changed = exported.iter().filter(|file| file.changed).count();
        Ok(Report {
            findings: false,
            text: lines(&exported.iter().map(row).collect::<Vec<_>>()),
            summary: format!("{changed} of {} {} written", exported.len(), plural(exported.len(), "file")),
            json: json!({"files": exported}),
        })
    }

    /// What cargo is told.
    fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = ["test", "--tests"].map(str::to_owned).to_vec();
        if let Some(path) = &self.manifest_path {
            arguments.extend(["--manifest-path".to_owned(), path.to_string_lossy().into_owned()]);
        }
        if let Some(package) = &self.package {
            arguments.extend(["--package".to_owned(), package.clone()]);
        }
        arguments.extend(self.cargo.iter().cloned());
        arguments.push(self.test.clone());
        arguments
    }
}

fn failed(status: Option<i32>) -> String {
    let status = status.map_or_else(|| "a signal".to_owned(), |code| format!("status {code}"));
    format!("cargo test ended with {status}: see above")
}

/// The files of a report, by path, those below `here` relative to it.
fn read(report: &str, here: &Path) -> Result<Vec<Exported>, Stop> {
    let mut files = Vec::new();
    for line in report.lines() {
        let mut file: Exported = serde_json::from_str(line)
            .map_err(|error| Stop::failed("export", format!("the test reported what is no file: {error}")))?;
        if let Ok(below) = Path::new(&file.path).strip_prefix(here) {
            file.path = below.to_string_lossy().into_owned();
        }
        files.push(file);
    }
    files.sort();
    // The same events may be compared by several tests: the first one wrote.
    files.reverse();
    files.dedup_by(|other, file| other.path == file.path);
    files.reverse();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_told_what_was_asked_for() {
        let export = Export {
            manifest_path: Some("a/Cargo.toml".into()),
            package: Some("shop".to_owned()),
            test: TEST.to_owned(),
            cargo: vec!["--release".to_owned()],
        };
        let expected = "test --tests --manifest-path a/Cargo.toml --package shop --release celerysalt_code_first";
        assert_eq!(export.arguments().join(" "), expected);
    }

    #[test]
    fn a_report_has_each_file_once() {
        let report = "{\"path\":\"/w/s/b.json\",\"changed\":true}\n{\"path\":\"/w/s/b.json\",\"changed\":false}\n\
                      {\"path\":\"/other/a.json\",\"changed\":false}\n";
        let files = read(report, Path::new("/w")).unwrap();
        let file = |path: &str, changed| Exported { path: path.to_owned(), changed };
        assert_eq!(files, [file("/other/a.json", false), file("s/b.json", true)]);
        assert!(read("no\n", Path::new("/w")).is_err());
    }
}
