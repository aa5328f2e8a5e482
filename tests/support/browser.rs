//! Node.js with the pinned packages of `tests/catalog/`, and Chromium: found, else installed. Without them the tests fail.

#![allow(clippy::panic, reason = "only tests use this")]

use std::{
    env,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::LazyLock,
};

use crate::{
    programs,
    python::{install, output},
};

const LOCK: &str = include_str!("../catalog/package-lock.json");

/// Runs a script of `tests/catalog/` with the folder of its modules and further arguments: what it prints.
pub fn node(script: &str, arguments: &[&str]) -> String {
    let script = scripts().join(script).to_string_lossy().into_owned();
    let all: Vec<&str> = [script.as_str()].into_iter().chain(arguments.iter().copied()).collect();
    output("node", &all).unwrap_or_else(|why| panic!("{why}"))
}

/// The folder of the scripts.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog")
}

/// The folder that has `node_modules` with the pinned packages.
pub fn modules() -> &'static Path {
    MODULES.as_deref().unwrap_or_else(|why| panic!("{why}"))
}

/// The browser.
pub fn chromium() -> &'static Path {
    CHROMIUM.as_deref().unwrap_or_else(|why| panic!("{why}"))
}

static CHROMIUM: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let find = || {
        let given = env::var_os("CELERYSALT_TEST_CHROMIUM").map(PathBuf::from).filter(|path| path.is_file());
        let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
        given.or_else(|| names.iter().find_map(|name| programs::find(name, &[])))
    };
    let missing = |why: String| {
        format!("these tests need Chromium or Chrome, in PATH or named by CELERYSALT_TEST_CHROMIUM; {why}")
    };
    if let Some(found) = find() {
        return Ok(found);
    }
    install(&["chromium"]).map_err(missing)?;
    find().ok_or_else(|| missing("it was installed, and is still not there".to_owned()))
});

/// Installed once for each lock file, by whichever process comes first.
static MODULES: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let ask = || output("npm", &["--version"]).and_then(|_| output("node", &["--version"]));
    let advice = "these tests need Node.js 18 or newer with npm";
    let version = ask().or_else(|why| {
        install(&["nodejs", "npm"]).map_err(|apt| format!("{advice}: {why}; {apt}"))?;
        ask().map_err(|why| format!("{advice}; it was installed, and still does not run: {why}"))
    })?;
    let mut hasher = DefaultHasher::new();
    (LOCK, &version).hash(&mut hasher);
    let name = format!("node-modules-{:016x}", hasher.finish());
    // The test program is in target/<profile>/deps.
    let program = env::current_exe().map_err(|why| format!("where this program is: {why}"))?;
    let target = program.ancestors().nth(3).ok_or("this program is not in a target folder")?;
    let folder = target.join(&name);
    let complete = folder.join("complete");
    let said = |path: &Path| {
        let path = path.display().to_string();
        move |why: std::io::Error| format!("{path}: {why}")
    };
    let lock = target.join(format!("{name}.lock"));
    let lock_file = File::create(&lock).map_err(said(&lock))?;
    lock_file.lock().map_err(said(&lock))?;
    if complete.exists() {
        return Ok(folder);
    }
    eprintln!("making {} (once)", folder.display());
    fs::create_dir_all(&folder).map_err(said(&folder))?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(scripts().join(file), folder.join(file)).map_err(said(&folder))?;
    }
    // Packages need not run anything to be installed.
    let prefix = folder.to_string_lossy();
    output("npm", &["ci", "--prefix", &prefix, "--ignore-scripts", "--no-audit", "--no-fund"])
        .map_err(|why| format!("these tests need the packages of tests/catalog/package.json: {why}"))?;
    fs::write(&complete, "").map_err(said(&complete))?;
    Ok(folder)
});
