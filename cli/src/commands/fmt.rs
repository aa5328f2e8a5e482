//! `celerysalt fmt`: the one way to lay out schema files.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use celerysalt_contract::{Diagnostic, Diagnostics, Source, Span, layout};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    contracts::{SCHEMAS, readable},
    output::{Report, Stop, Style, escape, lines, plural},
};

/// How deep folders are looked into.
const MAX_FOLDERS: usize = 40;

/// Lay out schema files in one way: two spaces, short lists in one line, a newline at the end
///
/// Nothing but white space changes: members keep their order, numbers and texts the way they are written.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 fine, 1 some file is laid out otherwise (with --check) or no JSON, 2 could not run.\n\n\
    Examples:\n  celerysalt fmt\n  celerysalt fmt --check --format github\n  celerysalt fmt schemas/orders.created/v2.json"
)]
pub(crate) struct Fmt {
    /// Folder whose JSON files are laid out, fragments included
    #[arg(long, value_name = "DIR", default_value = SCHEMAS)]
    schemas: PathBuf,
    /// Change nothing, and say which files would be changed
    #[arg(long)]
    check: bool,
    /// Only these files
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Fmt {
    pub(crate) fn run(self, style: Style) -> Result<Report, Stop> {
        let files = if self.files.is_empty() {
            readable(&self.schemas)?;
            let mut files = Vec::new();
            list(&self.schemas, 0, &mut files)?;
            files
        } else {
            self.files
        };
        let mut findings = Diagnostics::new();
        let mut changed = Vec::new();
        for path in &files {
            let bytes = fs::read(path).map_err(|error| failed(path, "read", &error))?;
            let source = match Source::parse(Path::new(""), path, bytes) {
                Ok(source) => source,
                Err(broken) => {
                    findings.items.extend(broken);
                    continue;
                }
            };
            let text = layout(&source);
            if text == source.text() {
                continue;
            }
            if self.check {
                findings.push(
                    source
                        .error("layout", first_difference(source.text(), &text), "this file is laid out otherwise")
                        .with_help("run `celerysalt fmt`"),
                );
            } else {
                replace(path, &text)?;
            }
            changed.push(path.to_string_lossy().into_owned());
        }
        let said = if self.check {
            String::new()
        } else {
            lines(&changed.iter().map(|path| escape(path)).collect::<Vec<_>>())
        };
        let (count, total) = (changed.len(), files.len());
        let would = if self.check { "would change" } else { "changed" };
        Ok(Report {
            findings: findings.has_errors(),
            text: format!("{said}{}", style.diagnostics(&findings)),
            summary: format!("{count} of {total} {} {would}", plural(total, "file")),
            json: json!({
                "check": self.check,
                "files": total,
                "changed": changed,
                "findings": findings.iter().filter(|finding| finding.code != "layout").map(Diagnostic::to_json).collect::<Vec<Value>>(),
            }),
        })
    }
}

fn failed(path: &Path, what: &str, error: &std::io::Error) -> Stop {
    Stop::failed("file", format!("can't {what} {}: {error}", path.display()))
}

/// The JSON files of a folder, by name. Links are left alone: what they lead to may not be of this folder.
fn list(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Stop> {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .and_then(Iterator::collect::<Result<_, _>>)
        .map_err(|error| failed(folder, "read", &error))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().map_err(|error| failed(&path, "look at", &error))?;
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if kind.is_dir() && depth < MAX_FOLDERS {
            list(&path, depth + 1, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    Ok(())
}

/// All of the new text or all of the old one, whatever happens.
fn replace(path: &Path, text: &str) -> Result<(), Stop> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        // A link is followed, so that the file behind it is changed and the link stays.
        let target = fs::canonicalize(path)?;
        let permissions = fs::metadata(&target)?.permissions();
        let mut file = tempfile::NamedTempFile::new_in(target.parent().unwrap_or(folder))?;
        file.write_all(text.as_bytes())?;
        file.as_file().set_permissions(permissions)?;
        file.persist(&target)?;
        Ok(())
    };
    write().map_err(|error| failed(path, "write", &error))
}

/// The first line of the old text that the new one does not have.
fn first_difference(old: &str, new: &str) -> Span {
    let same = old.lines().zip(new.lines()).take_while(|(a, b)| a == b).count();
    // Only the end differs: a newline more or less.
    let line = same.min(old.lines().count().saturating_sub(1));
    let offset = old.split_inclusive('\n').take(line).map(str::len).sum();
    let len = old.get(offset..).and_then(|rest| rest.lines().next()).map_or(0, str::len);
    Span { offset, len, line: line + 1, column: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_shown() {
        let line = |old: &str, new: &str| first_difference(old, new).line;
        assert_eq!(line("{\n \"a\": 1\n}\n", "{\n  \"a\": 1\n}\n"), 2);
        assert_eq!(line("{}", "{}\n"), 1);
        assert_eq!(line("{\n}\n\n", "{\n}\n"), 3);
        assert_eq!(line("", "x"), 1);
    }
}
