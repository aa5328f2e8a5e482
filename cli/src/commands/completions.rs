//! `celerysalt completions`: what a shell needs to complete commands and options.

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use serde_json::json;

use crate::{Cli, output::Report};

/// Print a script that has a shell complete commands and options
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  source <(celerysalt completions bash)\n  \
    celerysalt completions bash > ~/.local/share/bash-completion/completions/celerysalt\n  \
    celerysalt completions zsh > ~/.zfunc/_celerysalt\n  \
    celerysalt completions fish > ~/.config/fish/completions/celerysalt.fish")]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Report {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "celerysalt", &mut script);
        let script = String::from_utf8_lossy(&script).into_owned();
        Report {
            findings: false,
            json: json!({"shell": self.shell.to_string(), "script": script}),
            text: format!("{}\n", script.trim_end()),
            summary: String::new(),
        }
    }
}
