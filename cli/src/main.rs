//! The command `celerysalt`: contracts checked, generated, released and listed.
//!
//! Each command takes its arguments and gives a [`Report`](output::Report); [`output`] prints it and turns it into the
//! exit status: 0 fine, 1 findings, 2 could not run, 3 could not decide.

mod baseline;
mod commands;
mod contracts;
mod fields;
mod git;
mod lock;
#[cfg(any(feature = "outbox", feature = "postgres"))]
mod logging;
mod output;
mod progress;
mod vendor;

use std::process::ExitCode;

use clap::Parser;

use self::{
    commands::Command,
    output::{Format, Output, Stop, Style},
};

/// Reading and comparing a thousand contracts is mostly many small allocations.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Event contracts: check them, generate typed Rust events, release them to a registry, look at them.
#[derive(Debug, Parser)]
#[command(
    name = "celerysalt",
    version,
    after_help = "Exit status: 0 fine, 1 findings (invalid contracts or payloads, a conflict, a stale file), 2 could not \
                  run (wrong arguments, unreadable folder, registry away), 3 could not decide (compat, breaking).\n\
                  With --format json, standard output is one JSON document; a command that stopped prints \
                  {\"error\": {\"kind\": ..., \"message\": ...}}.\n\n\
                  Example:\n  celerysalt validate --schemas schemas"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How to print
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::refuse_arguments(&error),
    };
    let output = Output::new(cli.format);
    if let Err(refused) = cli.command.takes(cli.format) {
        return output.finish(Err(refused));
    }
    let outcome = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(cli.command.run(Style::of_stdout(cli.format))),
        Err(error) => Err(Stop::failed("runtime", format!("can't start: {error}"))),
    };
    output.finish(outcome)
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::Cli;

    /// Those whose help has no example.
    fn without_example(command: &Command, name: &str) -> Vec<String> {
        let below = command.get_subcommands().filter(|below| below.get_name() != "help");
        let below: Vec<String> =
            below.flat_map(|below| without_example(below, &format!("{name} {}", below.get_name()))).collect();
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let is_mine = help.lines().any(|line| line.trim_start().contains(name));
        let mine = (!help.contains("Example") || !is_mine).then(|| name.to_owned());
        mine.into_iter().chain(below).collect()
    }

    #[test]
    fn the_help_of_each_command_has_an_example() {
        assert_eq!(without_example(&Cli::command(), "celerysalt"), [""; 0]);
    }

    #[test]
    fn arguments_are_declared_soundly() {
        Cli::command().debug_assert();
    }
}
