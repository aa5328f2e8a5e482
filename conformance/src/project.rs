//! Code becomes programs: one cargo project with a program for each batch of contracts, built against this checkout.
//!
//! What the compiler refuses is found from its messages, taken out, and the rest built again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

use crate::generate::{self, Code, Outcome, Wanted};

const DRIVER: &str = include_str!("../driver/main.rs");

/// A batch that was built.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// The caller's index of each event, in the order in which the program knows them.
    pub(crate) events: Vec<usize>,
}

/// What became of code.
#[derive(Debug, Default)]
pub(crate) struct Built {
    pub(crate) programs: Vec<Program>,
    /// By the caller's index, with the compiler's words.
    pub(crate) broken: Vec<(usize, String)>,
    /// Lines and bytes of all code.
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
}

/// Where to build.
#[derive(Debug)]
pub(crate) struct Workshop {
    /// Emptied and filled.
    pub(crate) folder: PathBuf,
    /// How many compilers may run at a time.
    pub(crate) jobs: Option<usize>,
}

/// The folder of the checkout that this program was built from.
pub(crate) fn checkout() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// Where cargo builds: a folder of its own below the workspace's, so that dependencies are built once.
pub(crate) fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout().join("target"), PathBuf::from);
    target.join("conformance")
}

impl Workshop {
    /// Builds programs from `codes`.
    ///
    /// # Errors
    /// What keeps anything from being built: no cargo, no disk, a dependency that does not compile.
    pub(crate) fn build(&self, codes: Vec<Code>) -> Result<Built, String> {
        let failed = |error: io::Error| format!("{}: {error}", self.folder.display());
        let mut built = Built::default();
        let mut queue: Vec<(String, Code)> =
            codes.into_iter().enumerate().map(|(i, code)| (format!("batch_{i}"), code)).collect();
        let mut round = 0;
        while !queue.is_empty() {
            let names: Vec<&str> = queue.iter().map(|(name, _)| name.as_str()).collect();
            self.write(&queue, &names).map_err(failed)?;
            let messages = self.cargo()?;
            let mut next = Vec::new();
            for (name, code) in queue {
                let faults = messages.faults.get(&name);
                if let (Some(path), None) = (messages.programs.get(&name), faults) {
                    built.lines += code.text.lines().count();
                    built.bytes += code.text.len();
                    let kept = self.folder.join(format!("{name}.run"));
                    fs::rename(path, &kept).or_else(|_| fs::copy(path, &kept).map(drop)).map_err(failed)?;
                    let events = events(&code).into_iter().map(|(index, _)| index).collect();
                    built.programs.push(Program { path: kept, events });
                    continue;
                }
                let faults = faults.cloned().unwrap_or_else(|| vec![(0, "was not built, without a reason".to_owned())]);
                round += 1;
                self.without(code, &faults, round, &mut next, &mut built).map_err(failed)?;
            }
            queue = next;
        }
        Ok(built)
    }

    /// What is left of a batch without what the compiler refuses.
    fn without(
        &self,
        code: Code,
        faults: &[(usize, String)],
        round: usize,
        next: &mut Vec<(String, Code)>,
        built: &mut Built,
    ) -> io::Result<()> {
        let mut reasons: BTreeMap<String, String> = BTreeMap::new();
        for (line, message) in faults {
            if let Some(topic) = topic_at(&code.text, *line) {
                reasons.entry(topic.to_owned()).or_insert_with(|| message.clone());
            }
        }
        let single = code.contracts.len() == 1;
        let mut rest = Vec::new();
        for one in code.contracts {
            match reasons.get(&one.topic) {
                Some(why) => built.broken.push((one.index, why.clone())),
                None if single => {
                    let why = faults.first().map(|(_, why)| why.clone()).unwrap_or_default();
                    built.broken.push((one.index, why));
                }
                None => rest.push(one),
            }
        }
        let mut parts: Vec<Vec<Wanted>> = Vec::new();
        if reasons.is_empty() {
            generate::halve(rest, &mut parts);
        } else {
            parts.push(rest);
        }
        let mut outcome = Outcome::default();
        for part in parts {
            generate::generate(part, &self.folder.join("again"), &mut outcome)?;
        }
        for (index, why) in outcome.refused.into_iter().chain(outcome.failed) {
            built.broken.push((index, format!("generated together with others, and not without them: {why}")));
        }
        let named = outcome.codes.into_iter().enumerate().map(|(i, code)| (format!("again_{round}_{i}"), code));
        next.extend(named);
        Ok(())
    }

    fn write(&self, batches: &[(String, Code)], names: &[&str]) -> io::Result<()> {
        let source = self.folder.join("src");
        if source.exists() {
            fs::remove_dir_all(&source)?;
        }
        fs::create_dir_all(&source)?;
        fs::copy(checkout().join("Cargo.lock"), self.folder.join("Cargo.lock"))?;
        let mut manifest = format!(
            "[package]\nname = \"conformance-batches\"\nversion = \"0.0.0\"\nedition = \"2024\"\nautobins = false\n\n\
             [workspace]\n\n[dependencies]\ncelerysalt = {{ path = {:?} }}\n\n\
             [profile.dev]\nopt-level = 0\ndebug = 0\nincremental = false\n",
            checkout().join("runtime").display().to_string(),
        );
        for name in names {
            let _ = write!(manifest, "\n[[bin]]\nname = \"{name}\"\npath = \"src/{name}/main.rs\"\n");
        }
        fs::write(self.folder.join("Cargo.toml"), manifest)?;
        for (name, code) in batches {
            let folder = source.join(name);
            fs::create_dir_all(&folder)?;
            fs::write(folder.join("events.rs"), &code.text)?;
            let probes: String = events(code)
                .iter()
                .map(|(_, path)| format!("        probe::<events::{path}>,\n"))
                .collect::<Vec<_>>()
                .concat();
            let main = format!(
                "#![allow(warnings)]\n\nmod events;\n\n{DRIVER}\nfn main() {{\n    serve(&[\n{probes}    ]);\n}}\n"
            );
            fs::write(folder.join("main.rs"), main)?;
        }
        Ok(())
    }

    fn cargo(&self) -> Result<Messages, String> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--bins", "--offline", "--keep-going", "--quiet", "--message-format=json"]);
        if let Some(jobs) = self.jobs {
            cargo.arg(format!("--jobs={jobs}"));
        }
        let errors = self.folder.join("cargo.txt");
        let said = fs::File::create(&errors).map_err(|error| format!("{}: {error}", errors.display()))?;
        let output = cargo
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", target())
            .env_remove("RUSTFLAGS")
            .stdin(Stdio::null())
            .stderr(said)
            .output()
            .map_err(|error| format!("cargo did not start: {error}"))?;
        let messages = Messages::read(&String::from_utf8_lossy(&output.stdout));
        if messages.programs.is_empty() && messages.faults.is_empty() {
            let said = fs::read_to_string(&errors).unwrap_or_default();
            return Err(format!("cargo built nothing:\n{}\n{}", said.trim_end(), messages.others.join("\n")));
        }
        Ok(messages)
    }
}

/// What cargo said.
#[derive(Debug, Default)]
struct Messages {
    programs: BTreeMap<String, PathBuf>,
    /// By batch: line in its `events.rs`, what is wrong.
    faults: BTreeMap<String, Vec<(usize, String)>>,
    others: Vec<String>,
}

#[derive(Deserialize)]
struct Line {
    reason: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
    message: Option<Diagnostic>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    message: String,
    rendered: Option<String>,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: usize,
    is_primary: bool,
}

impl Messages {
    fn read(lines: &str) -> Self {
        let mut all = Self::default();
        for message in lines.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
            let Some(target) = message.target else { continue };
            let own = target.kind.iter().any(|kind| kind == "bin");
            match (message.reason.as_str(), message.executable, message.message) {
                ("compiler-artifact", Some(path), _) if own => {
                    all.programs.insert(target.name, path);
                }
                ("compiler-message", _, Some(found)) if found.level.starts_with("error") => {
                    if !own {
                        all.others.push(found.rendered.unwrap_or(found.message));
                    } else if !found.message.starts_with("aborting due to") {
                        let span =
                            found.spans.iter().find(|span| span.is_primary && span.file_name.ends_with("events.rs"));
                        let line = span.map_or(0, |span| span.line_start);
                        let words = found.rendered.as_deref().unwrap_or(&found.message);
                        let words: Vec<&str> = words.lines().take(12).collect();
                        all.faults.entry(target.name).or_default().push((line, words.join("\n")));
                    }
                }
                _ => {}
            }
        }
        all
    }
}

/// The events of some code: whose they are, and their paths in it.
fn events(code: &Code) -> Vec<(usize, String)> {
    let by_topic: BTreeMap<&str, usize> = code.contracts.iter().map(|one| (one.topic.as_str(), one.index)).collect();
    let mut seen = BTreeSet::new();
    let list = code.text.rfind("pub fn contracts()").and_then(|at| code.text.get(at..)).unwrap_or_default();
    let paths = list.split("<self::").skip(1).filter_map(|rest| Some(rest.split_once(" as")?.0.trim().to_owned()));
    paths
        .filter_map(|path| Some((*by_topic.get(path.split("::").next()?)?, path)))
        .filter(|(index, _)| seen.insert(*index))
        .collect()
}

/// The topic whose module a line of the code is in.
fn topic_at(text: &str, line: usize) -> Option<&str> {
    fn module(line: &str) -> Option<&str> {
        line.strip_prefix("pub mod ")?.strip_suffix(" {")
    }
    let above: Vec<&str> = text.lines().take(line).collect();
    // `use` and functions at the top come after the modules that they are about.
    let top = above.iter().rposition(|line| module(line).is_some())?;
    let closed = above.iter().skip(top).take(above.len().saturating_sub(top + 1)).any(|line| *line == "}");
    if closed { None } else { above.get(top).and_then(|line| module(line)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_traced_to_the_topic_that_it_is_in() {
        let text =
            "pub mod s1 {\n    pub mod v1 {\n        x\n    }\n}\npub use self::s1::X;\npub mod s2 {\n    y\n}\n";
        assert_eq!(topic_at(text, 3), Some("s1"));
        assert_eq!(topic_at(text, 6), None);
        assert_eq!(topic_at(text, 8), Some("s2"));
    }
}
