//! `celerysalt man`: a manual page for each command.

use std::{fs, path::PathBuf};

use clap::{Args, CommandFactory};
use serde_json::json;

use crate::{
    Cli,
    output::{Report, Stop, lines, plural},
};

/// Write manual pages: celerysalt(1), and one for each command
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  celerysalt man --out ~/.local/share/man/man1 && man celerysalt-sync\n  \
    celerysalt man --out target/man && man -l target/man/celerysalt.1")]
pub(crate) struct Man {
    /// Folder for the pages; made when it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Man {
    pub(crate) fn run(self) -> Result<Report, Stop> {
        let unwritable = |error| Stop::failed("folder", format!("can't write to {}: {error}", self.out.display()));
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        fs::create_dir_all(&self.out).map_err(unwritable)?;
        clap_mangen::generate_to(command.clone(), &self.out).map_err(unwritable)?;
        let pages = names(&command, "celerysalt");
        let count = pages.len();
        Ok(Report {
            findings: false,
            text: lines(&pages.iter().map(|page| self.out.join(page).display().to_string()).collect::<Vec<_>>()),
            summary: format!("{count} {}", plural(count, "page")),
            json: json!({"pages": pages}),
        })
    }
}

/// The file names of the pages of a command and of those below it.
fn names(command: &clap::Command, name: &str) -> Vec<String> {
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    let below = below.flat_map(|below| names(below, &format!("{name}-{}", below.get_name())));
    std::iter::once(format!("{name}.1")).chain(below).collect()
}
