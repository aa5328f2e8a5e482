//! A finding on its way to a program that shows it in a file: GitHub's annotations, SARIF.

use std::{
    env, fs,
    path::{Component, Path, PathBuf},
};

use celerysalt_contract::{Diagnostic, Diagnostics, Severity, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warning,
    Note,
}

/// A place in a file of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// Relative to the repository, with slashes.
    pub(crate) path: String,
    pub(crate) span: Option<Span>,
}

/// A finding, and where to show it.
#[derive(Clone, Debug)]
pub(crate) struct Annotation {
    pub(crate) rule: String,
    pub(crate) level: Level,
    pub(crate) spot: Spot,
    pub(crate) message: String,
    /// Other places, each with what is there.
    pub(crate) related: Vec<(Spot, String)>,
}

/// A rule, as SARIF lists them.
#[derive(Clone, Debug)]
pub(crate) struct RuleText {
    pub(crate) id: String,
    pub(crate) level: Level,
    pub(crate) what: String,
    pub(crate) mend: String,
}

impl Spot {
    pub(crate) fn new(path: &Path, span: Option<Span>) -> Self {
        Self { path: in_repository(path), span }
    }
}

impl From<&Diagnostic> for Annotation {
    fn from(finding: &Diagnostic) -> Self {
        let help = finding.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
        Self {
            rule: finding.code.to_owned(),
            level: match finding.severity {
                Severity::Error => Level::Error,
                Severity::Warning => Level::Warning,
            },
            spot: Spot::new(&finding.path, finding.span),
            message: format!("{}{help}", finding.message),
            related: Vec::new(),
        }
    }
}

/// All findings of a run.
pub(crate) fn of(findings: &Diagnostics) -> Vec<Annotation> {
    findings.iter().map(Annotation::from).collect()
}

/// The path from the top of the repository that is being checked: annotations elsewhere are shown nowhere.
fn in_repository(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    let top = env::var_os("GITHUB_WORKSPACE")
        .map(PathBuf::from)
        .and_then(|top| fs::canonicalize(top).ok())
        .filter(|top| here.starts_with(top))
        .unwrap_or_else(|| here.clone());
    let full = plain(&here.join(path));
    let full = full.strip_prefix(&top).unwrap_or(path);
    let parts: Vec<String> = full.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    parts.join("/").replace("//", "/")
}

/// Without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_at_the_repository() {
        let here = env::current_dir().unwrap();
        for path in
            [Path::new("schemas/a/v1.json"), Path::new("./x/../schemas/a/v1.json"), &here.join("schemas/a/v1.json")]
        {
            assert!(
                in_repository(path).ends_with("schemas/a/v1.json") && !in_repository(path).starts_with('/'),
                "{path:?}"
            );
        }
        assert_eq!(in_repository(Path::new("/elsewhere/v1.json")), "/elsewhere/v1.json");
    }
}
