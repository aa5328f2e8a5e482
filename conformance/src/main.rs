//! Folders of schemas and payloads, run through what users run: generated code.
//!
//! ```text
//! celerysalt-conformance schemas conformance/corpora/google-cloudevents
//! ```
//!
//! Every schema becomes a contract and is generated, all code is built as one cargo project against this checkout, each
//! payload goes through `Event::decode` and `Event::encode`, and the result is held against what is known: the verdict,
//! and whether the same JSON value comes out. `corpus` says which shapes of files are understood.
//!
//! Exit status: 0 all is right, 1 something is not, 2 it could not be run.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests fail by panicking"
    )
)]

mod bring;
mod corpus;
mod fuzz;
mod generate;
mod json;
mod judge;
mod project;
#[path = "../../contract/tests/exact_random/mod.rs"]
mod random;
mod schemas;
mod table;

use std::{collections::BTreeSet, fs, path::PathBuf, process::ExitCode};

use celerysalt_contract::Draft;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Runs folders of schemas and payloads through generated code", long_about = None)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Generate, build and run every schema of a folder
    Schemas {
        /// Plain schemas, `{"schema", "valid", "invalid"}`, or files of the official test suite, at any depth
        dir: PathBuf,
        /// Payloads of the plain schemas, called after them; `testdata` below DIR without it
        #[arg(long, value_name = "DIR")]
        payloads: Option<PathBuf>,
        /// The draft of schemas that name none (4, 6, 7, 2019-09, 2020-12); of the official suite, take only this one
        #[arg(long, value_parser = corpus::draft)]
        draft: Option<Draft>,
        /// Write figures and failures as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// How many compilers may run at a time
        #[arg(long)]
        jobs: Option<usize>,
        /// Build in this folder, and leave it
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
        /// Take so many schemas, evenly picked from all
        #[arg(long)]
        limit: Option<usize>,
        /// Where a payload's label contradicts its schema, and an independent validator says so too, take the schema's
        /// word; such labels are listed, and are failures otherwise
        #[arg(long)]
        trust_schemas: bool,
    },
    /// Random schemas and values: generated code against the jsonschema crate
    Fuzz {
        /// How many schemas
        #[arg(long, default_value_t = 200)]
        schemas: usize,
        /// How many values of each
        #[arg(long, default_value_t = 40)]
        instances: usize,
        /// The same seed gives the same run
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many compilers may run at a time
        #[arg(long)]
        jobs: Option<usize>,
    },
    /// Generate a folder of contracts into a file: what the other commands run in processes of their own
    #[command(hide = true)]
    Generate { schemas: PathBuf, output: PathBuf },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<bool, String> {
    match command {
        Command::Schemas { dir, payloads, draft, json, jobs, keep, limit, trust_schemas } => {
            let take = corpus::Take { payloads, draft, limit };
            let report = schemas::run(&schemas::Order { folder: dir, take, jobs, keep })?;
            print!("{}", table::of(&report));
            if let Some(path) = json {
                let text = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
                fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
            }
            Ok(report.is_right() && (trust_schemas || report.disputes.is_empty()))
        }
        Command::Fuzz { schemas, instances, seed, jobs } => {
            let outcome = fuzz::run(&fuzz::Order { schemas, instances, seed, jobs })?;
            print!("{}", table::of(&outcome.report));
            for (code, count) in &outcome.refused {
                println!("refused {count} schemas: {code}");
            }
            let failed: BTreeSet<&str> =
                outcome.report.failures.iter().map(|failure| failure.schema.as_str()).collect();
            for case in outcome.cases.iter().filter(|case| failed.contains(case.name.as_str())) {
                println!("{}: {}", case.name, case.schema);
            }
            Ok(outcome.report.is_right())
        }
        Command::Generate { schemas, output } => {
            generate::child(&schemas, &output).map_err(|error| format!("{}: {error}", output.display()))
        }
    }
}
