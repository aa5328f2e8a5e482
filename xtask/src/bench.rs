//! `cargo xtask bench codegen` and `cargo xtask conformance`: programs of their own, built in release and run.

use std::path::Path;

use crate::cargo::{root, show};

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

/// Every corpus below `folder`: all are run, and one that fails makes the whole fail.
pub(crate) fn conformance(folder: Option<&str>) -> Result<(), String> {
    let folder = folder.map_or_else(|| root().join("../shared/corpora"), |folder| Path::new(folder).to_owned());
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
