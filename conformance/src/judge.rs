//! Payloads go through programs, and what comes out is held against what is known.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::project::Program;

/// How long one payload may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What generated code makes of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Refused(String),
    /// Accepted, and written as this text.
    Kept(String),
    /// Accepted, and then not written.
    Unwritable(String),
    /// Panicked, ended the process, or did not end.
    Failed(String),
}

/// Runs payloads (the caller's index of the event, the text) through a program; an answer each.
///
/// # Errors
/// What keeps the program from being run.
pub(crate) fn ask(program: &Program, payloads: &[(usize, &str)], folder: &Path) -> Result<Vec<Answer>, String> {
    let place: BTreeMap<usize, usize> = program.events.iter().enumerate().map(|(i, event)| (*event, i)).collect();
    let mut requests = Vec::new();
    for (event, text) in payloads {
        let event = place.get(event).ok_or_else(|| format!("event {event} is not in {}", program.path.display()))?;
        requests.extend(format!("{event} {}\n{text}\n", text.len()).into_bytes());
    }
    let file = folder.join("requests");
    fs::write(&file, requests).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut answers = Vec::with_capacity(payloads.len());
    while answers.len() < payloads.len() {
        let failed =
            run(program, &file, &mut answers).map_err(|error| format!("{}: {error}", program.path.display()))?;
        if answers.len() < payloads.len() {
            answers.push(Answer::Failed(failed));
        }
    }
    Ok(answers)
}

/// Adds answers until there are no more; then why, in case that some are missing.
fn run(program: &Program, requests: &Path, answers: &mut Vec<Answer>) -> std::io::Result<String> {
    let mut child = Command::new(&program.path)
        .arg(requests)
        .arg(answers.len().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (sender, receiver) = mpsc::channel();
    let output = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut output = BufReader::new(output?);
        loop {
            let mut line = String::new();
            output.read_line(&mut line).ok()?;
            let mut words = line.split_whitespace().skip(1);
            let (verdict, length) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
            let mut text = vec![0; length];
            output.read_exact(&mut text).ok()?;
            output.read_exact(&mut [0]).ok()?;
            let text = String::from_utf8_lossy(&text).into_owned();
            let answer = match verdict.as_str() {
                "refused" => Answer::Refused(text),
                "kept" => Answer::Kept(text),
                "unwritable" => Answer::Unwritable(text),
                _ => Answer::Failed("panicked".to_owned()),
            };
            sender.send(answer).ok()?;
        }
    });
    let why = loop {
        match receiver.recv_timeout(PATIENCE) {
            Ok(answer) => answers.push(answer),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                child.kill()?;
                child.wait()?;
                break format!("did not end within {} s", PATIENCE.as_secs());
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break format!("the process ended: {}", child.wait()?),
        }
    };
    let _: Result<Option<()>, _> = reader.join();
    Ok(why)
}
