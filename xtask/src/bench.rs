//! `cargo xtask bench` and `cargo xtask conformance`: programs of their own, built in release and run.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    process::Command,
};

use crate::{
    cargo::{cargo, root, show},
    services::{self, Keeper, Way},
};

/// What decoding, generating and compiling cost, as tables. `parts` picks among `decode`, `generate` and `compile`.
pub(crate) fn codegen(parts: &[&str]) -> Result<(), String> {
    const PACKAGE: [&str; 6] = ["run", "--quiet", "--release", "--package", "celerysalt-bench", "--bin"];
    // The build script as a program, which `generate` runs.
    show(&["build", "--quiet", "--release", "--package", "celerysalt-bench", "--bins"])?;
    show(&[&PACKAGE[..], &["celerysalt-bench", "--"], parts].concat())?;
    if parts.is_empty() || parts.contains(&"decode") {
        show(&[&PACKAGE[..], &["allocations"]].concat())?;
    }
    Ok(())
}

/// What publishing, consuming and calling cost on a real RabbitMQ, as tables. The peers are built and installed below
/// `target/`.
pub(crate) fn transport(parts: &[String]) -> Result<(), String> {
    let wants = |peer: &str| {
        let mut named = parts.iter().filter_map(|part| part.strip_prefix("--peer=")).peekable();
        named.peek().is_none() || named.any(|name| name == peer)
    };
    show(&["build", "--quiet", "--release", "--package", "celerysalt-bench-transport"])?;
    if wants("ruststream") {
        const MANIFEST: &str = "conformance/bench-transport/ruststream/Cargo.toml";
        show(&["build", "--quiet", "--release", "--target-dir", "target/ruststream", "--manifest-path", MANIFEST])?;
    }
    if wants("celery-salt") || wants("faststream") {
        python()?;
    }
    let mut keeper = Keeper::start()?;
    let urls = services::find(&Way::ALL, &mut keeper)?;
    let run = ["run", "--quiet", "--release", "--package", "celerysalt-bench-transport", "--"];
    let status = cargo().args(run).args(parts).envs(urls).status();
    drop(keeper);
    match status.map_err(|why| format!("the benchmark did not start: {why}"))? {
        status if status.success() => Ok(()),
        status => Err(format!("the benchmark failed: {status}")),
    }
}

/// The virtual environment of the Python peers, made once for each list of requirements.
fn python() -> Result<(), String> {
    let requirements = root().join("conformance/bench-transport/python/requirements.txt");
    let text = fs::read_to_string(&requirements).map_err(|why| format!("{}: {why}", requirements.display()))?;
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let folder = root().join("target/bench-venv");
    let complete = folder.join(format!("complete-{:016x}", hasher.finish()));
    if complete.exists() {
        return Ok(());
    }
    let run = |program: &Path, arguments: &[&str]| match Command::new(program).args(arguments).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{} {}`: {status}", program.display(), arguments.join(" "))),
        Err(why) => Err(format!("`{}` does not run: {why}", program.display())),
    };
    run(Path::new("python3"), &["-m", "venv", "--clear", &folder.to_string_lossy()])?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(&folder.join("bin/python"), &[&install[..], &[&requirements.to_string_lossy()]].concat())?;
    fs::write(&complete, "").map_err(|why| format!("{}: {why}", complete.display()))
}

/// Every corpus below `folder`: all are run, and one that fails makes the whole fail.
pub(crate) fn conformance(folder: Option<&str>) -> Result<(), String> {
    let folder = folder.map_or_else(|| root().join("conformance/corpora"), |folder| Path::new(folder).to_owned());
    let entries = std::fs::read_dir(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    let mut corpora: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    corpora.sort();
    let mut failed = Vec::new();
    for corpus in &corpora {
        let corpus = corpus.to_string_lossy();
        if show(&["run", "--quiet", "--package", "celerysalt-conformance", "--", "schemas", &corpus]).is_err() {
            failed.push(corpus.into_owned());
        }
    }
    match (corpora.is_empty(), failed.is_empty()) {
        (true, _) => Err(format!("{}: there is no corpus in this folder", folder.display())),
        (_, true) => Ok(()),
        _ => Err(format!("not all is right in {}", failed.join(", "))),
    }
}
