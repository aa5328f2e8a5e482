//! What a developer or CI runs: `cargo xtask <command>` (the alias is in `.cargo/config.toml`).
//!
//! This file turns arguments into a [`Command`] and the outcome into an exit status: 0 fine,
//! 1 the check or the tests failed (with a sentence that says why), 2 the arguments are wrong.
//! `cargo xtask test` passes on the exit status of the tests.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

mod bench;
mod cargo;
mod checklist;
mod coverage;
mod deny;
mod deps;
mod features;
mod package;
mod services;
mod spdx;
mod test;

use std::process::ExitCode;

use services::Way;

const USAGE: &str = "\
cargo xtask <command>

  test [--ways LIST] [-- ARGS]  run all tests (ARGS go to `cargo test`), with the servers they need:
                                found, started from installed programs, or installed;
                                what was started is stopped again
  test --faults [...]           run the faults of tests/faults with 20,000 events each
                                (CELERYSALT_FAULT_EVENTS), and print what became of them
  examples [--ways LIST]        run every example in one process, and again on RabbitMQ and PostgreSQL, and check what it
                                prints; part of `test`
  coverage [--ways LIST] [-- ARGS]
                                run tests (ARGS go to `cargo test`; without them, the crates' own and some end to end)
                                instrumented, and print how many lines of each published crate they run
  services up [--ways LIST]     find or start the servers, leave them running, print `export` lines
  services down                 stop what `services up` started, and only that
  services status               say which of them answer
  features                      check that every feature builds alone and with all others,
                                and count the crates that each costs a consumer
  package [--verify]            check that each published crate has one version, licences and what crates.io wants, and pack
                                them; --verify compiles each as it was packed
  checklist                     check that what docs/checklist.md names exists, and print how many rows are open
  deps                          check licences, sources, banned crates and the oldest Rust of all dependencies
  bench codegen [PART...]       print what decoding, generating and compiling cost; parts: decode, generate, compile
  bench transport [PART...]     print what publishing, consuming and calling cost, beside raw lapin, RustStream, celery-salt
                                and FastStream; parts: publish, consume, rpc, memory; `--peer=NAME` for some peers
  conformance [DIR]             run every corpus of a folder (conformance/corpora) through generated code
  help                          print this

LIST names the ways to get a server, in the order to try them; without it:
  running,installed,packages,compose
A URL in CELERYSALT_TEST_BROKER_URL, CELERYSALT_TEST_REGISTRY_URL or CELERYSALT_TEST_REDIS_URL always comes first.
";

/// What the arguments ask for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Test { faults: bool, ways: Vec<Way>, args: Vec<String> },
    Examples { ways: Vec<Way> },
    Coverage { ways: Vec<Way>, args: Vec<String> },
    Up { ways: Vec<Way> },
    Down,
    Status,
    Checklist,
    Features,
    Package { verify: bool },
    Deps,
    Bench { parts: Vec<String> },
    BenchTransport { parts: Vec<String> },
    Conformance { folder: Option<String> },
    Help,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let command = match parse(&args) {
        Ok(command) => command,
        Err(why) => {
            eprintln!("error: {why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outcome = match command {
        Command::Test { faults: false, ways, args } => test::run(&ways, &args),
        Command::Test { faults: true, ways, args } => test::faults(&ways, &args),
        Command::Examples { ways } => test::examples(&ways),
        Command::Coverage { ways, args } => coverage::run(&ways, &args),
        Command::Up { ways } => services::up(&ways).map(|()| ExitCode::SUCCESS),
        Command::Down => services::down().map(|()| ExitCode::SUCCESS),
        Command::Status => services::status(),
        Command::Features => features::run().map(|()| ExitCode::SUCCESS),
        Command::Checklist => checklist::run().map(|()| ExitCode::SUCCESS),
        Command::Package { verify } => package::run(verify).map(|()| ExitCode::SUCCESS),
        Command::Deps => deps::run().map(|()| ExitCode::SUCCESS),
        Command::Bench { parts } => {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            bench::codegen(&parts).map(|()| ExitCode::SUCCESS)
        }
        Command::BenchTransport { parts } => bench::transport(&parts).map(|()| ExitCode::SUCCESS),
        Command::Conformance { folder } => bench::conformance(folder.as_deref()).map(|()| ExitCode::SUCCESS),
        Command::Help => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|why| {
        eprintln!("error: {why}");
        ExitCode::FAILURE
    })
}

fn parse(args: &[String]) -> Result<Command, String> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test", rest @ ..] => {
            let (own, args) = passed_on(rest);
            let (faults, own) = match own {
                ["--faults", own @ ..] => (true, own),
                own => (false, own),
            };
            Ok(Command::Test { faults, ways: ways(own)?, args })
        }
        ["coverage", rest @ ..] => {
            let (own, args) = passed_on(rest);
            Ok(Command::Coverage { ways: ways(own)?, args })
        }
        ["examples", rest @ ..] => Ok(Command::Examples { ways: ways(rest)? }),
        ["services", "up", rest @ ..] => Ok(Command::Up { ways: ways(rest)? }),
        ["services", "down"] => Ok(Command::Down),
        ["services", "status"] => Ok(Command::Status),
        ["features"] => Ok(Command::Features),
        ["checklist"] => Ok(Command::Checklist),
        ["package"] => Ok(Command::Package { verify: false }),
        ["package", "--verify"] => Ok(Command::Package { verify: true }),
        ["deps"] => Ok(Command::Deps),
        ["bench", "codegen", parts @ ..] => {
            match parts.iter().find(|part| !["decode", "generate", "compile"].contains(part)) {
                Some(part) => Err(format!("`{part}` is no part of `bench codegen`")),
                None => Ok(Command::Bench { parts: parts.iter().map(ToString::to_string).collect() }),
            }
        }
        ["bench", "transport", parts @ ..] => {
            let known =
                |part: &&&str| ["publish", "consume", "rpc", "memory"].contains(*part) || part.starts_with("--peer=");
            match parts.iter().find(|part| !known(part)) {
                Some(part) => Err(format!("`{part}` is no part of `bench transport`")),
                None => Ok(Command::BenchTransport { parts: parts.iter().map(ToString::to_string).collect() }),
            }
        }
        ["conformance"] => Ok(Command::Conformance { folder: None }),
        ["conformance", folder] if !folder.starts_with('-') => {
            Ok(Command::Conformance { folder: Some((*folder).to_owned()) })
        }
        ["help" | "--help" | "-h"] => Ok(Command::Help),
        [] => Err("a command is missing".to_owned()),
        _ => Err(format!("`{}` is no command of xtask", words.join(" "))),
    }
}

/// What is before `--`, and what is behind it, for `cargo test`.
fn passed_on<'a, 'w>(words: &'a [&'w str]) -> (&'a [&'w str], Vec<String>) {
    let end = words.iter().position(|word| *word == "--");
    let passed = end.map_or(&[][..], |end| &words[end + 1..]);
    (&words[..end.unwrap_or(words.len())], passed.iter().map(ToString::to_string).collect())
}

fn ways(args: &[&str]) -> Result<Vec<Way>, String> {
    match args {
        [] => Ok(Way::ALL.to_vec()),
        ["--ways", list] => list.split(',').map(Way::named).collect(),
        ["--ways"] => Err("`--ways` needs a list".to_owned()),
        [word, ..] if word.starts_with('-') => Err(format!("there is no option `{word}`")),
        [word, ..] => Err(format!("`{word}` is not expected here; arguments for `cargo test` come after `--`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&args)
    }

    #[test]
    fn arguments_after_two_dashes_are_for_cargo_test() {
        let args = ["-p", "celerysalt", "--", "--nocapture"].map(str::to_owned);
        assert_eq!(
            parsed("test --ways running,compose -- -p celerysalt -- --nocapture"),
            Ok(Command::Test { faults: false, ways: vec![Way::Running, Way::Compose], args: args.to_vec() })
        );
        let all = |faults| Ok(Command::Test { faults, ways: Way::ALL.to_vec(), args: Vec::new() });
        assert_eq!((parsed("test"), parsed("test --faults")), (all(false), all(true)));
        assert_eq!(parsed("examples --ways running"), Ok(Command::Examples { ways: vec![Way::Running] }));
        let contract = ["-p", "celerysalt-contract"].map(str::to_owned).to_vec();
        assert_eq!(
            parsed("coverage --ways running -- -p celerysalt-contract"),
            Ok(Command::Coverage { ways: vec![Way::Running], args: contract })
        );
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for line in [
            "",
            "bench",
            "bench codegen fast",
            "bench transport fast",
            "conformance --fast",
            "services",
            "services start",
            "features all",
            "package all",
            "test -p celerysalt",
            "coverage -p celerysalt",
            "test --fast",
            "examples quickstart",
            "test --ways",
            "test --ways ours",
            "services down now",
        ] {
            assert!(parsed(line).is_err(), "`{line}` was accepted");
        }
    }
}
