//! `cargo xtask coverage`: how much of each published crate its tests run, by rustc's own instrumentation.
//!
//! cargo-llvm-cov builds everything once more, instrumented, in a folder of its own (`target/llvm-cov-target`), so this is
//! nothing for every run of CI. Which tests count is said by arguments for `cargo test`; without any, it is the crates' own
//! tests and [`END_TO_END`].

use std::{collections::BTreeMap, env, fs, path::Path, process::Command, process::ExitCode};

use serde_json::Value;

use crate::{
    cargo::{self, cargo, items, text},
    package::is_published,
    services::{self, Keeper, Way},
};

/// The package of the tests that run through several crates, and those of them that are no faults, no Python, no browser.
const END_TO_END: (&str, [&str; 6]) = (
    "celerysalt-tests",
    ["behaviour", "postgres_registry", "postgres_service", "rabbitmq_options", "rabbitmq_transport", "sqlite_registry"],
);

/// Lines that could run, and lines that did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lines {
    count: u64,
    covered: u64,
}

/// What tests run of each crate at the least, in tenths of a percent of its lines.
const LEAST: u64 = 700;

impl Lines {
    /// How many of them ran, in tenths of a percent, rounded down: no crate is said to be better than it is.
    fn tenths(self) -> u64 {
        (self.covered * 1000).checked_div(self.count).unwrap_or_default()
    }
}

/// Runs the tests, prints a line a crate, and fails when tests run less than [`LEAST`] of one.
pub(crate) fn run(ways: &[Way], args: &[String]) -> Result<ExitCode, String> {
    let tools = tools()?;
    let metadata = cargo::metadata(&["--no-deps"])?;
    let published: Vec<&Value> = items(&metadata, "packages").iter().filter(|package| is_published(package)).collect();
    let args = if args.is_empty() { chosen(&published) } else { args.to_vec() };
    let report = cargo::root().join("target/coverage.json");

    let mut keeper = Keeper::start()?;
    let urls = services::find(ways, &mut keeper)?;
    let mut command = cargo();
    command.args(["llvm-cov", "--json", "--summary-only", "--output-path"]).arg(&report).args(["--all-features"]);
    command.args(["--no-fail-fast"]).args(&args).envs(urls).envs(tools);
    eprintln!("$ {command:?}");
    let status = command.status().map_err(|why| format!("`cargo llvm-cov` did not start: {why}"))?;
    drop(keeper);
    if !status.success() {
        return Err("tests failed, or their coverage could not be told: see above".to_owned());
    }

    let told = fs::read_to_string(&report).map_err(|why| format!("{}: {why}", report.display()))?;
    let told: Value = serde_json::from_str(&told).map_err(|why| format!("{}: {why}", report.display()))?;
    let folders: BTreeMap<&str, &Path> = published
        .iter()
        .filter_map(|package| Some((text(package, "name"), Path::new(text(package, "manifest_path")).parent()?)))
        .collect();
    let crates = by_crate(&told, &folders);
    print!("{}", table(&crates));
    let few: Vec<&str> = crates.iter().filter(|(_, lines)| lines.tenths() < LEAST).map(|(name, _)| *name).collect();
    if few.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!("tests run less than {} % of the lines of {}", LEAST / 10, few.join(", ")))
}

/// The published crates' own tests, and those of [`END_TO_END`].
fn chosen(published: &[&Value]) -> Vec<String> {
    let (package, tests) = END_TO_END;
    let mut args = vec!["--lib".to_owned(), "--bins".to_owned(), "-p".to_owned(), package.to_owned()];
    let mut add = |option: &str, value: &str| args.extend([option.to_owned(), value.to_owned()]);
    for published in published {
        add("-p", text(published, "name"));
        let is_test = |target: &&Value| items(target, "kind").iter().any(|kind| kind == "test");
        for target in items(published, "targets").iter().filter(is_test) {
            add("--test", text(target, "name"));
        }
    }
    for test in tests {
        add("--test", test);
    }
    args
}

/// Where cargo-llvm-cov finds LLVM's tools, when it does not know: they must read what this rustc's LLVM writes.
///
/// # Errors
/// What is missing, and how to get it.
fn tools() -> Result<Vec<(&'static str, String)>, String> {
    if cargo::read(&["llvm-cov", "--version"]).is_err() {
        return Err("cargo-llvm-cov is not installed: `cargo install --locked cargo-llvm-cov`".to_owned());
    }
    if env::var_os("LLVM_COV").is_some() && env::var_os("LLVM_PROFDATA").is_some() {
        return Ok(Vec::new());
    }
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let ask = |arguments: &[&str]| {
        let output = Command::new(&rustc).args(arguments).output().map_err(|why| format!("`{rustc}`: {why}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (sysroot, version) = (ask(&["--print", "sysroot"])?, ask(&["-vV"])?);
    let after = |name: &str| version.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    // rustup's component `llvm-tools`, which cargo-llvm-cov looks for itself.
    let component = Path::new(sysroot.trim()).join("lib/rustlib").join(after("host: ")).join("bin/llvm-cov");
    if component.exists() {
        return Ok(Vec::new());
    }
    let major = after("LLVM version: ").split('.').next().unwrap_or_default();
    let folder = format!("/usr/lib/llvm-{major}/bin");
    let tools = [("LLVM_COV", "llvm-cov"), ("LLVM_PROFDATA", "llvm-profdata")];
    let tools = tools.map(|(variable, program)| (variable, format!("{folder}/{program}")));
    if tools.iter().all(|(_, program)| Path::new(program).exists()) {
        return Ok(tools.into());
    }
    Err(format!(
        "llvm-cov and llvm-profdata of LLVM {major}, which this rustc writes for, are not installed: `rustup component add \
         llvm-tools`, on Debian `apt-get install llvm-{major}`, or name them in LLVM_COV and LLVM_PROFDATA"
    ))
}

/// Sums what cargo-llvm-cov tells of files below `src/` of these crates.
fn by_crate<'a>(told: &Value, folders: &BTreeMap<&'a str, &Path>) -> BTreeMap<&'a str, Lines> {
    let mut crates: BTreeMap<&str, Lines> = folders.keys().map(|name| (*name, Lines::default())).collect();
    for file in items(told, "data").iter().flat_map(|data| items(data, "files")) {
        let path = Path::new(text(file, "filename"));
        let of = folders.iter().find(|(_, folder)| path.starts_with(folder.join("src")));
        let Some(lines) = of.and_then(|(name, _)| crates.get_mut(name)) else { continue };
        let number = |name: &str| file["summary"]["lines"][name].as_u64().unwrap_or_default();
        lines.count += number("count");
        lines.covered += number("covered");
    }
    crates
}

fn table(crates: &BTreeMap<&str, Lines>) -> String {
    let all = crates
        .values()
        .fold(Lines::default(), |all, one| Lines { count: all.count + one.count, covered: all.covered + one.covered });
    let head = ["| crate | lines | run by tests | |\n| --- | ---: | ---: | ---: |\n".to_owned()];
    let rows = crates.iter().map(|(name, lines)| (*name, lines)).chain([("all", &all)]).map(|(name, lines)| {
        let (Lines { count, covered }, tenths) = (lines, lines.tenths());
        format!("| {name} | {count} | {covered} | {}.{} % |\n", tenths / 10, tenths % 10)
    });
    head.into_iter().chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_summed_by_crate_and_foreign_files_are_left_out() {
        let file = |name: &str, count: u64, covered: u64| json!({"filename": name, "summary": {"lines": {"count": count, "covered": covered}}});
        let told = json!({"data": [{"files": [
            file("/w/runtime/src/lib.rs", 100, 90), file("/w/runtime/src/a/b.rs", 99, 9), file("/w/runtime/tests/c.rs", 7, 7),
            file("/w/runtime-extra/src/d.rs", 5, 5), file("/w/contract/src/lib.rs", 3, 2),
        ]}]});
        let folders = [("celerysalt", Path::new("/w/runtime")), ("celerysalt-contract", Path::new("/w/contract"))];
        let crates = by_crate(&told, &folders.into());
        assert_eq!(crates["celerysalt"], Lines { count: 199, covered: 99 });
        assert_eq!(
            table(&crates).lines().skip(2).collect::<Vec<_>>(),
            [
                "| celerysalt | 199 | 99 | 49.7 % |",
                "| celerysalt-contract | 3 | 2 | 66.6 % |",
                "| all | 202 | 101 | 50.0 % |"
            ]
        );
    }

    #[test]
    fn without_arguments_the_crates_own_tests_run() {
        let tool =
            json!({"name": "tool", "targets": [{"kind": ["bin"], "name": "tool"}, {"kind": ["test"], "name": "runs"}]});
        let line = chosen(&[&tool]).join(" ");
        assert!(line.starts_with("--lib --bins -p celerysalt-tests -p tool --test runs --test behaviour"), "{line}");
    }
}
