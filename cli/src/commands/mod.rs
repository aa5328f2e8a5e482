//! The commands, one file each: arguments, help and what is said.

mod compat;
mod generate;
mod list_events;
mod show;
mod sync;
mod validate;

use clap::Subcommand;

use crate::output::{Report, Stop, Style};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Validate(validate::Validate),
    ListEvents(list_events::ListEvents),
    Show(show::Show),
    Generate(generate::Generate),
    Sync(sync::Sync),
    Compat(compat::Compat),
}

impl Command {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        match self {
            Self::Validate(command) => command.run(style),
            Self::ListEvents(command) => command.run(style).await,
            Self::Show(command) => command.run(style).await,
            Self::Generate(command) => command.run(style),
            Self::Sync(command) => command.run(style).await,
            Self::Compat(command) => command.run(style),
        }
    }
}
