//! Contracts become code, in a process of its own: one that panics, overflows its stack or never ends is told of, and
//! hides no other.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use celerysalt_contract::Diagnostics;
use serde_json::{Value, json};

use crate::bring::Files;

/// How long the contracts of one folder may take, and each of them besides.
const PATIENCE: Duration = Duration::from_secs(20);
const PATIENCE_EACH: Duration = Duration::from_secs(2);

/// A contract to be generated.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// What the caller knows it by.
    pub(crate) index: usize,
    pub(crate) topic: String,
    pub(crate) files: Files,
}

/// Code that holds the events of some contracts.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) contracts: Vec<Wanted>,
    pub(crate) text: String,
}

/// What became of contracts.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) codes: Vec<Code>,
    /// By the caller's index, with the reason.
    pub(crate) refused: Vec<(usize, String)>,
    /// The generator panicked or took too long.
    pub(crate) failed: Vec<(usize, String)>,
}

/// Generates all of `wanted` together, or in as few parts as it takes to find those that can't be generated.
///
/// # Errors
/// What keeps files from being written or processes from being started.
pub(crate) fn generate(wanted: Vec<Wanted>, folder: &Path, outcome: &mut Outcome) -> io::Result<()> {
    let mut queue = vec![wanted];
    while let Some(mut wanted) = queue.pop() {
        if wanted.is_empty() {
            continue;
        }
        match generate_together(&wanted, folder)? {
            Answer::Code(text) => outcome.codes.push(Code { contracts: wanted, text }),
            Answer::Refused(findings) => {
                let mut rest = Vec::new();
                let many = wanted.len() > 1;
                for one in wanted {
                    let own = format!("{}/", one.topic);
                    let reasons: Vec<&str> = findings
                        .iter()
                        .filter(|(path, _)| !many || path.contains(&own))
                        .map(|(_, why)| why.as_str())
                        .collect();
                    if reasons.is_empty() {
                        rest.push(one);
                    } else {
                        outcome.refused.push((one.index, reasons.join("; ")));
                    }
                }
                if rest.iter().any(|one| one.files.keys().any(|path| findings.iter().any(|(at, _)| at.ends_with(path))))
                {
                    // What they share is at fault.
                    halve(rest, &mut queue);
                } else {
                    queue.push(rest);
                }
            }
            Answer::Failed(why) => {
                if wanted.len() > 1 {
                    halve(wanted, &mut queue);
                } else if let Some(one) = wanted.pop() {
                    outcome.failed.push((one.index, why));
                }
            }
        }
    }
    Ok(())
}

pub(crate) fn halve<T>(mut all: Vec<T>, queue: &mut Vec<Vec<T>>) {
    let second = all.split_off(all.len().div_ceil(2));
    queue.push(second);
    queue.push(all);
}

enum Answer {
    Code(String),
    /// Path and message.
    Refused(Vec<(String, String)>),
    Failed(String),
}

fn generate_together(wanted: &[Wanted], folder: &Path) -> io::Result<Answer> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let schemas = folder.join("schemas");
    let all: BTreeMap<&String, &String> = wanted.iter().flat_map(|one| &one.files).collect();
    for (path, text) in all {
        let path = schemas.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    let (output, errors) = (folder.join("events.rs"), folder.join("errors.txt"));
    let mut child = Command::new(std::env::current_exe()?)
        .arg("generate")
        .args([&schemas, &output])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&errors)?)
        .spawn()?;
    let patience = PATIENCE + PATIENCE_EACH * u32::try_from(wanted.len()).unwrap_or(u32::MAX);
    let Some(status) = wait(&mut child, patience)? else {
        return Ok(Answer::Failed(format!("the generator did not end within {} s", patience.as_secs())));
    };
    if status.success() {
        return fs::read_to_string(output).map(Answer::Code);
    }
    let refused = (status.code() == Some(1)).then(|| fs::read_to_string(&output).ok()).flatten();
    let findings: Option<Vec<(String, String)>> = refused.and_then(|text| serde_json::from_str(&text).ok());
    Ok(match findings {
        Some(findings) if !findings.is_empty() => Answer::Refused(findings),
        _ => {
            let said = fs::read_to_string(&errors).unwrap_or_default();
            let line =
                said.lines().find(|line| line.contains("panicked") || line.contains("overflow")).unwrap_or_default();
            let next = said.lines().skip_while(|other| *other != line).nth(1).unwrap_or_default();
            Answer::Failed(format!("the generator ended with {status}: {line} {next}"))
        }
    })
}

/// Waits for a process, and ends it when it takes too long.
pub(crate) fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<std::process::ExitStatus>> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// What the process of its own does: code into `output` and true, or findings and false.
///
/// # Errors
/// What keeps the file from being written.
pub(crate) fn child(schemas: &Path, output: &Path) -> io::Result<bool> {
    match celerysalt_codegen::contracts(schemas).generate() {
        Ok(generated) => fs::write(output, generated.code).map(|()| true),
        Err(findings) => fs::write(output, told(schemas, &findings).to_string()).map(|()| false),
    }
}

fn told(schemas: &Path, findings: &Diagnostics) -> Value {
    let one = |finding: &celerysalt_contract::Diagnostic| {
        let path: PathBuf = finding.path.strip_prefix(schemas).unwrap_or(&finding.path).to_owned();
        let place = finding.span.as_ref().map(|span| format!("{}:{}: ", span.line, span.column)).unwrap_or_default();
        json!([crate::corpus::slashed(&path), format!("[{}] {place}{}", finding.code, finding.message)])
    };
    findings.errors().map(one).collect()
}
