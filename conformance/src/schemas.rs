//! `celerysalt-conformance schemas`: every schema of a folder is generated, built and run with its payloads.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    bring::Documents,
    corpus::{self, Case, Take},
    generate::{self, Outcome, Wanted},
    json,
    judge::{self, Answer},
    project::{self, Workshop},
};

/// The most schemas, and about the most bytes of schemas, that one program holds.
const BATCH: usize = 60;
const BATCH_BYTES: usize = 400 * 1024;

/// What the generator says of a schema that allows no object.
const NO_OBJECT: &str = "[payload-not-object]";

/// What to run.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) folder: PathBuf,
    pub(crate) take: Take,
    pub(crate) jobs: Option<usize>,
    /// Where to build, and to leave what was built.
    pub(crate) keep: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) groups: BTreeMap<String, Row>,
    pub(crate) failures: Vec<Failure>,
    /// Labels that nobody but their author agrees with.
    pub(crate) disputes: Vec<String>,
    /// Files that hold no schema, and payloads without one.
    pub(crate) skipped: Vec<(PathBuf, String)>,
    /// Of the generated code.
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
}

/// The figures of a group.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row {
    pub(crate) schemas: usize,
    pub(crate) generated: usize,
    pub(crate) refused: usize,
    /// Of them those that allow no object, and were held against a property of one.
    pub(crate) wrapped: usize,
    pub(crate) compiled: usize,
    pub(crate) payloads: usize,
    pub(crate) right: usize,
    pub(crate) wrong: usize,
    /// The label says something else, and so does no independent validator: what the schema says is not what its author
    /// thinks. Of plain schemas only; the official suite is always right.
    pub(crate) disputed: usize,
    pub(crate) equal: usize,
    pub(crate) unequal: usize,
    /// Not required: told, and no failure of the run.
    pub(crate) optional: bool,
}

/// One thing that is not as it should be.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) group: String,
    pub(crate) schema: String,
    /// `refused`, `crashed`, `compile`, `verdict`, `round trip` or `panic`.
    pub(crate) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<String>,
    pub(crate) reason: String,
    pub(crate) optional: bool,
}

impl Report {
    /// Whether all that is required is right.
    pub(crate) fn is_right(&self) -> bool {
        self.failures.iter().all(|failure| failure.optional)
    }

    fn fail(&mut self, case: &Case, kind: &'static str, payload: Option<&str>, reason: String) {
        let optional = is_optional(&case.group);
        let (group, schema) = (case.group.clone(), case.name.clone());
        self.failures.push(Failure { group, schema, kind, payload: payload.map(str::to_owned), reason, optional });
    }

    /// Counts a schema and its payloads.
    pub(crate) fn begin(&mut self, case: &Case) {
        let row = self.row(case);
        row.optional = is_optional(&case.group);
        row.schemas += 1;
        row.payloads += case.payloads.len();
    }

    fn row(&mut self, case: &Case) -> &mut Row {
        self.groups.entry(case.group.clone()).or_default()
    }
}

/// Parts of the official suite that an implementation may differ in.
fn is_optional(group: &str) -> bool {
    group.split('/').any(|part| part == "optional")
}

/// Runs the order.
///
/// # Errors
/// A sentence about what kept it from being run at all.
pub(crate) fn run(order: &Order) -> Result<Report, String> {
    let corpus = corpus::read(&order.folder, &order.take)?;
    if corpus.cases.is_empty() {
        return Err(format!("{}: there is no schema below this folder", order.folder.display()));
    }
    let documents = Documents::of(&corpus);
    let mut report = Report { skipped: corpus.skipped.clone(), ..Report::default() };
    let mut wanted = Vec::with_capacity(corpus.cases.len());
    for (index, case) in corpus.cases.iter().enumerate() {
        report.begin(case);
        let topic = format!("s{index:05}");
        match documents.folder(case, &topic, false) {
            Ok(files) => wanted.push(Wanted { index, topic, files }),
            Err(why) => {
                report.row(case).refused += 1;
                report.fail(case, "refused", None, why);
            }
        }
    }
    let room = Room::enter(order.keep.as_deref())?;
    let cases = &corpus.cases;
    let workshop = Workshop { folder: room.folder.clone(), jobs: order.jobs };
    through(cases, &documents, wanted, &workshop, &mut report)?;
    Ok(report)
}

/// The folder to build in. There is one for all runs, so that what an earlier one built is overwritten and not added to;
/// runs at the same time wait for each other.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) folder: PathBuf,
    keep: bool,
    _lock: fs::File,
}

impl Room {
    /// Waits until it is free.
    pub(crate) fn enter(keep: Option<&Path>) -> Result<Self, String> {
        let enter = || -> std::io::Result<Self> {
            fs::create_dir_all(project::target())?;
            let lock = fs::File::create(project::target().join("lock"))?;
            lock.lock()?;
            let folder = std::path::absolute(keep.map_or_else(|| project::target().join("run"), Path::to_owned))?;
            if keep.is_none() && folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir_all(&folder)?;
            Ok(Self { folder, keep: keep.is_some(), _lock: lock })
        };
        enter().map_err(|error| format!("there is no folder to build in: {error}"))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Generates, builds and asks; `wanted` is of `cases`, by index.
pub(crate) fn through(
    cases: &[Case],
    documents: &Documents,
    wanted: Vec<Wanted>,
    workshop: &Workshop,
    report: &mut Report,
) -> Result<(), String> {
    let generate = |wanted| -> Result<Outcome, String> {
        let mut outcome = Outcome::default();
        for batch in batches(wanted) {
            generate::generate(batch, &workshop.folder.join("generate"), &mut outcome)
                .map_err(|error| format!("the generator can't be run: {error}"))?;
        }
        Ok(outcome)
    };
    let mut outcome = generate(wanted)?;
    let (no_object, refused) = outcome.refused.into_iter().partition(|(_, why)| why.contains(NO_OBJECT));
    outcome.refused = refused;
    let no_object: Vec<(usize, String)> = no_object;
    let wrapped: BTreeSet<usize> = no_object.into_iter().map(|(index, _)| index).collect();
    let mut again = Vec::with_capacity(wrapped.len());
    for (index, case) in wrapped.iter().filter_map(|index| Some((*index, cases.get(*index)?))) {
        report.row(case).wrapped += 1;
        let topic = format!("s{index:05}");
        match documents.folder(case, &topic, true) {
            Ok(files) => again.push(Wanted { index, topic, files }),
            Err(why) => outcome.refused.push((index, why)),
        }
    }
    let more = generate(again)?;
    outcome.codes.extend(more.codes);
    outcome.refused.extend(more.refused);
    outcome.failed.extend(more.failed);
    for (kind, list) in [("refused", &outcome.refused), ("crashed", &outcome.failed)] {
        for (index, why) in list {
            let Some(case) = cases.get(*index) else { continue };
            if kind == "refused" {
                report.row(case).refused += 1;
            }
            report.fail(case, kind, None, why.clone());
        }
    }
    for code in &outcome.codes {
        for case in code.contracts.iter().filter_map(|one| cases.get(one.index)) {
            report.row(case).generated += 1;
        }
    }
    let built = workshop.build(outcome.codes)?;
    report.lines += built.lines;
    report.bytes += built.bytes;
    for (index, why) in built.broken {
        if let Some(case) = cases.get(index) {
            report.fail(case, "compile", None, why);
        }
    }
    for program in &built.programs {
        let events = || program.events.iter().filter_map(|index| Some((*index, cases.get(*index)?)));
        for (_, case) in events() {
            report.row(case).compiled += 1;
        }
        let payloads: Vec<_> =
            events().flat_map(|(i, case)| case.payloads.iter().map(move |payload| (i, case, payload))).collect();
        let texts: Vec<Cow<'_, str>> = payloads
            .iter()
            .map(|(i, _, payload)| {
                if wrapped.contains(i) {
                    Cow::Owned(format!(r#"{{"value": {}}}"#, payload.text))
                } else {
                    Cow::Borrowed(payload.text.as_str())
                }
            })
            .collect();
        let asked: Vec<(usize, &str)> = payloads.iter().zip(&texts).map(|((i, ..), text)| (*i, &**text)).collect();
        let answers = judge::ask(program, &asked, &workshop.folder)?;
        for (((_, case, payload), text), answer) in payloads.into_iter().zip(&texts).zip(answers) {
            count(report, case, payload, text, answer);
        }
    }
    Ok(())
}

fn count(report: &mut Report, case: &Case, payload: &corpus::Payload, text: &str, answer: Answer) {
    let name = Some(payload.name.as_str());
    match (payload.valid, &answer) {
        (_, Answer::Failed(why)) => {
            report.row(case).wrong += 1;
            report.fail(case, "panic", name, why.clone());
        }
        (label, Answer::Refused(_) | Answer::Kept(_)) if disputed(case, payload, &answer) => {
            report.row(case).disputed += 1;
            let words = if label { "valid" } else { "invalid" };
            report.disputes.push(format!("{} [{}] is called {words}, and is not", case.name, payload.name));
            if let Answer::Kept(_) = &answer {
                written(report, case, payload, text, &answer);
            }
        }
        (true, Answer::Refused(why)) => {
            report.row(case).wrong += 1;
            report.fail(case, "verdict", name, format!("is valid, and was refused: {why}"));
        }
        (false, Answer::Refused(_)) => report.row(case).right += 1,
        (false, Answer::Kept(_) | Answer::Unwritable(_)) => {
            report.row(case).wrong += 1;
            report.fail(case, "verdict", name, "is invalid, and was accepted".to_owned());
        }
        (true, Answer::Unwritable(_) | Answer::Kept(_)) => {
            report.row(case).right += 1;
            written(report, case, payload, text, &answer);
        }
    }
}

/// What an accepted payload is written as.
fn written(report: &mut Report, case: &Case, payload: &corpus::Payload, text: &str, answer: &Answer) {
    let why = match answer {
        Answer::Kept(kept) => match json::difference(text, kept) {
            Ok(None) => None,
            Ok(Some(why)) | Err(why) => Some(why),
        },
        Answer::Unwritable(why) => Some(format!("was accepted, and not written again: {why}")),
        Answer::Refused(_) | Answer::Failed(_) => return,
    };
    match why {
        None => report.row(case).equal += 1,
        Some(why) => {
            report.row(case).unequal += 1;
            report.fail(case, "round trip", Some(payload.name.as_str()), why);
        }
    }
}

/// Whether an independent validator contradicts the label too, whether or not it asserts formats.
fn disputed(case: &Case, payload: &corpus::Payload, answer: &Answer) -> bool {
    let accepted = matches!(answer, Answer::Kept(_));
    if !case.is_file || accepted == payload.valid {
        return false;
    }
    let (Ok(schema), Ok(value)) = (serde_json::from_str(&case.schema), serde_json::from_str(&payload.text)) else {
        return false;
    };
    let says = |formats: bool| -> Option<bool> {
        let options = jsonschema::options().should_validate_formats(formats);
        Some(options.build(&schema).ok()?.is_valid(&value))
    };
    says(false) == Some(accepted) && says(true) == Some(accepted)
}

/// Contracts in the order given, in batches that a compiler takes easily.
fn batches(wanted: Vec<Wanted>) -> Vec<Vec<Wanted>> {
    let mut all: Vec<Vec<Wanted>> = Vec::new();
    let mut bytes = 0;
    for one in wanted {
        let size: usize = one.files.values().map(String::len).sum();
        match all.last_mut() {
            Some(last) if last.len() < BATCH && bytes + size <= BATCH_BYTES => {
                bytes += size;
                last.push(one);
            }
            _ => {
                bytes = size;
                all.push(vec![one]);
            }
        }
    }
    all
}
