//! The schema files of code-first events: whether they say what the structs say, and writing them.

use std::{
    collections::BTreeMap,
    env, fmt,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use celerysalt_contract::{ContractRecord, Diagnostic, Document, Source, differences};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    events::{Events, contracts},
    merge, render,
};
use crate::event::EventContract;

/// The environment variable by which `celerysalt export` has tests write the files: it names the file that takes what
/// was written.
pub const EXPORT_VARIABLE: &str = "CELERYSALT_EXPORT";

/// The most lines that are said about one file.
const MAX_LINES: usize = 40;

/// A schema file after an export.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// The schemas folder as given, and the file in it.
    pub path: PathBuf,
    /// Whether it was written: a file that said it all is left alone.
    pub changed: bool,
}

/// Why schema files are not what their structs say. `Debug` is the same text as `Display`: it is what a test prints.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SchemaFilesError {
    /// Files differ from their structs.
    #[error("{}", stale_text(.0))]
    Stale(Vec<StaleFile>),
    /// Two structs are the same contract.
    #[error("`{first}` and `{second}` are both {contract}: each contract is one struct")]
    Twice {
        /// `topic@version`
        contract: String,
        /// The first type's name.
        first: String,
        /// The second type's name.
        second: String,
    },
    /// A file that can't be compared.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// All that is wrong with it.
        reason: String,
    },
    /// A file of an answer that the struct does not give.
    #[error("{}: the struct `{event}` has no such answer; remove the file, or name its type in #[salt(...)]", path.display())]
    LeftOver {
        /// The file.
        path: PathBuf,
        /// The type's name.
        event: String,
    },
    /// A file that can't be written.
    #[error("can't write {}: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl fmt::Debug for SchemaFilesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A schema file that does not say what its struct does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StaleFile {
    /// The file.
    pub path: PathBuf,
    /// The type's name.
    pub event: String,
    /// What is different, a line each: `- ` what only the file says, `+ ` what only the struct does. Empty when there is
    /// no file.
    pub differences: Vec<String>,
}

fn stale_text(files: &[StaleFile]) -> String {
    let mut lines = vec!["schema files differ from their structs".to_owned(), String::new()];
    for StaleFile { path, event, differences } in files {
        let path = path.display();
        if differences.is_empty() {
            lines.push(format!("{path}: missing, the schema of `{event}`"));
        } else {
            lines.push(format!("{path}: differs from `{event}`"));
        }
        lines.extend(differences.iter().take(MAX_LINES).map(|line| format!("  {line}")));
        if differences.len() > MAX_LINES {
            lines.push(format!("  ... and {} more", differences.len() - MAX_LINES));
        }
        lines.push(String::new());
    }
    let help =
        "`-` is in the file, `+` in the struct. `celerysalt export` writes the files anew; or change the struct.";
    lines.push(help.to_owned());
    lines.join("\n")
}

/// Whether the schema files say what code-first events say.
///
/// A relative folder is one of the current folder, which is the package's in a test.
///
/// # Errors
/// [`SchemaFilesError`], which names every file that differs, and where.
pub fn check<E: Events>(schemas: impl AsRef<Path>) -> Result<(), SchemaFilesError> {
    check_all(schemas.as_ref(), &contracts::<E>())
}

/// Writes the schema files of code-first events, those that say it already left alone. What only a file says is kept
/// (see the [module](crate::code_first)); each file is replaced as a whole, and none is touched when another one can't be read.
///
/// # Errors
/// [`SchemaFilesError`] other than `Stale`.
pub fn export<E: Events>(schemas: impl AsRef<Path>) -> Result<Vec<Exported>, SchemaFilesError> {
    export_all(schemas.as_ref(), &contracts::<E>())
}

/// What a test does: [`check`], or [`export`] when it is run by `celerysalt export`.
///
/// [`code_first_test!`](crate::code_first_test) writes such a test.
///
/// # Errors
/// [`SchemaFilesError`]
pub fn test<E: Events>(schemas: impl AsRef<Path>) -> Result<(), SchemaFilesError> {
    test_all(schemas.as_ref(), &contracts::<E>())
}

/// As [`test()`].
///
/// # Errors
/// [`SchemaFilesError`]
pub fn test_all(schemas: &Path, events: &[&EventContract]) -> Result<(), SchemaFilesError> {
    let Some(report) = env::var_os(EXPORT_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from) else {
        return check_all(schemas, events);
    };
    let exported = export_all(schemas, events)?;
    let lines: String = exported
        .iter()
        .map(|Exported { path, changed }| {
            json!({"path": path.to_string_lossy(), "changed": changed}).to_string() + "\n"
        })
        .collect();
    // In one go: tests of one program run side by side.
    let written = OpenOptions::new().append(true).create(true).open(&report);
    let written = written.and_then(|mut file| file.write_all(lines.as_bytes()));
    written.map_err(|source| SchemaFilesError::Unwritable { path: report, source })
}

fn check_all(schemas: &Path, events: &[&EventContract]) -> Result<(), SchemaFilesError> {
    let mut stale = Vec::new();
    for Planned { path, event, state } in plan(schemas, events)? {
        let differences = match state {
            State::Current => continue,
            State::Missing(_) => Vec::new(),
            State::Stale(_, differences) => differences,
        };
        stale.push(StaleFile { path: schemas.join(path), event, differences });
    }
    if stale.is_empty() { Ok(()) } else { Err(SchemaFilesError::Stale(stale)) }
}

fn export_all(schemas: &Path, events: &[&EventContract]) -> Result<Vec<Exported>, SchemaFilesError> {
    let planned = plan(schemas, events)?;
    let mut exported = Vec::with_capacity(planned.len());
    for file in planned {
        let path = schemas.join(file.path);
        let changed = match file.state {
            State::Current => false,
            State::Missing(schema) | State::Stale(schema, _) => {
                replace(&path, &render::text(&schema))
                    .map_err(|source| SchemaFilesError::Unwritable { path: path.clone(), source })?;
                true
            }
        };
        exported.push(Exported { path, changed });
    }
    Ok(exported)
}

/// A schema file, and how it stands to its struct.
struct Planned {
    /// Relative to the schemas folder.
    path: PathBuf,
    /// The type's name.
    event: String,
    state: State,
}

enum State {
    Current,
    /// With what it should say.
    Missing(Value),
    /// With what it should say, and where that differs.
    Stale(Value, Vec<String>),
}

/// The files of all events, by path.
fn plan(schemas: &Path, events: &[&EventContract]) -> Result<Vec<Planned>, SchemaFilesError> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut files = Vec::new();
    for event in events {
        let path = PathBuf::from(event.topic());
        let record =
            event.to_record().map_err(|reason| SchemaFilesError::Unreadable { path: schemas.join(&path), reason })?;
        let name = record.publisher_class.clone().unwrap_or_default();
        if let Some(first) = seen.insert(event.to_string(), name.clone()) {
            return Err(SchemaFilesError::Twice { contract: event.to_string(), first, second: name });
        }
        let parts = [
            ("", Some(&record.schema)),
            (".response", record.response_schema.as_ref()),
            (".error", record.error_schema.as_ref()),
        ];
        for (part, schema) in parts {
            let path = path.join(format!("{}{part}.json", record.version));
            let Some(schema) = schema else {
                if schemas.join(&path).exists() {
                    return Err(SchemaFilesError::LeftOver { path: schemas.join(path), event: name });
                }
                continue;
            };
            let state = state(schemas, &path, schema, &record)?;
            files.push(Planned { path, event: name.clone(), state });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// How one file stands to the schema that the struct has for it.
fn state(schemas: &Path, path: &Path, schema: &Value, record: &ContractRecord) -> Result<State, SchemaFilesError> {
    let unreadable = |reason: String| SchemaFilesError::Unreadable { path: schemas.join(path), reason };
    let bytes = match fs::read(schemas.join(path)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::Missing(schema.clone())),
        Err(error) => return Err(unreadable(format!("it can't be read: {error}"))),
    };
    let source = Source::parse(schemas, path, bytes).map_err(|findings| {
        let findings: Vec<String> = findings.iter().map(Diagnostic::to_string).collect();
        unreadable(format!("mend it, or remove it to have it written anew\n{}", findings.join("\n")))
    })?;
    let document = Document::load(schemas, path)
        .map_err(|findings| unreadable(format!("mend it, or remove it to have it written anew\n{findings}")))?;
    let alone = |schema: &Value| ContractRecord {
        schema: schema.clone(),
        response_schema: None,
        error_schema: None,
        ..record.clone()
    };
    let mut differences = differences(&alone(&document.schema), &alone(schema));
    // The same in other words, and those are somebody's choice.
    if differences.is_empty() && document.files.len() > 1 {
        return Ok(State::Current);
    }
    let merged = merge::merge(schema, source.value(), record.mode);
    differences.extend(merge::differences(&merged, source.value()));
    Ok(if differences.is_empty() { State::Current } else { State::Stale(merged, differences) })
}

/// All of the new text or all of the old one, whatever happens.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder)?;
    let temporary = folder.join(format!(".{}", Uuid::new_v4()));
    let write = || {
        let mut file = File::create_new(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().inspect_err(|_| {
        // It may not have come to be.
        let _ = fs::remove_file(&temporary);
    })
}
