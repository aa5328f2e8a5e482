//! `cargo xtask test`: every test of the workspace, on real servers.

use std::{env, fs, process::ExitCode};

use crate::{
    cargo::{self, cargo},
    services::{self, Keeper, Way},
};

/// Runs `cargo test` with the URLs of the servers in its environment; returns its exit status.
pub(crate) fn run(ways: &[Way], args: &[String]) -> Result<ExitCode, String> {
    test(ways, args, Vec::new())
}

/// Every example in one process and on real servers, by the tests of `tests/examples/`.
pub(crate) fn examples(ways: &[Way]) -> Result<ExitCode, String> {
    test(ways, &["-p".to_owned(), "celerysalt-examples".to_owned()], Vec::new())
}

/// The faults of `tests/faults/` with many events each; prints the table of what became of them.
pub(crate) fn faults(ways: &[Way], args: &[String]) -> Result<ExitCode, String> {
    let table = cargo::root().join("target/faults.md");
    // Rows are appended.
    drop(fs::remove_file(&table));
    let events = env::var(EVENTS).unwrap_or_else(|_| CAMPAIGN.to_owned());
    let mut all = vec!["--test".to_owned(), "faults".to_owned()];
    all.extend_from_slice(args);
    let outcome =
        test(ways, &all, vec![(EVENTS, events), (FIGURES, table.display().to_string()), (THREADS, "4".to_owned())]);
    let rows = fs::read_to_string(&table).unwrap_or_default();
    let mut rows: Vec<&str> = rows.lines().collect();
    rows.sort_unstable();
    println!("{}", rows.join("\n"));
    outcome
}

/// How many events a fault gets, and in the campaign.
const EVENTS: &str = "CELERYSALT_FAULT_EVENTS";
const CAMPAIGN: &str = "20000";
/// Where the faults write their figures.
const FIGURES: &str = "CELERYSALT_FAULT_FIGURES";
/// More than there are cores: most of them wait, for time to pass or for the one node that is killed.
const THREADS: &str = "RUST_TEST_THREADS";

fn test(ways: &[Way], args: &[String], variables: Vec<(&'static str, String)>) -> Result<ExitCode, String> {
    let mut keeper = Keeper::start()?;
    let urls = services::find(ways, &mut keeper)?;
    services::install(ways, &mut keeper);
    let arguments = arguments(args);
    eprintln!("$ cargo {}", arguments.join(" "));
    let status = cargo().args(&arguments).envs(urls).envs(variables).status();
    let status = status.map_err(|why| format!("`cargo test` did not start: {why}"))?;
    // Dropping the keeper stops what was started.
    drop(keeper);
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// All packages unless `args` choose some; all features; every failure in one run.
fn arguments(args: &[String]) -> Vec<String> {
    // Behind a second `--` are arguments of the test programs.
    let own = args.split(|arg| arg == "--").next().unwrap_or_default();
    let has = |names: &[&str]| {
        own.iter().any(|arg| {
            let name = arg.split('=').next().unwrap_or(arg);
            names.contains(&name) || (names.contains(&"-p") && name.starts_with("-p"))
        })
    };
    let mut all = vec!["test".to_owned()];
    if !has(&["-p", "--package", "--workspace", "--all", "--manifest-path"]) {
        all.push("--workspace".to_owned());
    }
    if !has(&["--all-features", "--features", "-F", "--no-default-features"]) {
        all.push("--all-features".to_owned());
    }
    if !has(&["--no-fail-fast"]) {
        all.push("--no-fail-fast".to_owned());
    }
    all.extend_from_slice(args);
    all
}

#[cfg(test)]
mod tests {
    use super::arguments;

    fn line(args: &str) -> String {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        arguments(&args).join(" ")
    }

    #[test]
    fn everything_is_tested_unless_some_is_chosen() {
        assert_eq!(line(""), "test --workspace --all-features --no-fail-fast");
        assert_eq!(line("-p celerysalt --features amqp"), "test --no-fail-fast -p celerysalt --features amqp");
        assert_eq!(line("--package=xtask"), "test --all-features --no-fail-fast --package=xtask");
        assert_eq!(
            line("--no-fail-fast publish -- -p"),
            "test --workspace --all-features --no-fail-fast publish -- -p"
        );
    }
}
