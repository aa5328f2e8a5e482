//! The commands, one file each: arguments, help and what is said.

mod breaking;
mod call;
mod check;
mod compat;
mod completions;
mod deprecate;
mod diff;
mod dlq;
mod docs;
#[cfg(feature = "amqp")]
mod doctor;
mod export;
mod fmt;
mod generate;
mod generate_stubs;
mod lint;
mod list_events;
mod man;
mod new;
#[cfg(feature = "outbox")]
mod outbox;
mod publish;
mod pull;
mod registry;
#[cfg(feature = "outbox")]
mod replay;
mod send;
#[cfg(feature = "serve")]
mod serve;
mod show;
mod sync;
#[cfg(feature = "amqp")]
mod tail;
mod validate;
mod version;

use clap::Subcommand;

use crate::output::{Format, Report, Stop, Style};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Validate(validate::Validate),
    ListEvents(list_events::ListEvents),
    Show(show::Show),
    Generate(generate::Generate),
    GenerateStubs(generate_stubs::GenerateStubs),
    Sync(sync::Sync),
    Compat(compat::Compat),
    Breaking(breaking::Breaking),
    Lint(lint::Lint),
    Fmt(fmt::Fmt),
    Export(export::Export),
    Diff(diff::Diff),
    Dlq(dlq::Dlq),
    Docs(docs::Docs),
    #[cfg(feature = "serve")]
    Serve(serve::Serve),
    #[cfg(feature = "outbox")]
    Outbox(outbox::Outbox),
    #[cfg(feature = "outbox")]
    Replay(replay::Replay),
    Version(version::Version),
    Pull(pull::Pull),
    Check(check::Check),
    Deprecate(deprecate::Deprecate),
    Undeprecate(deprecate::Undeprecate),
    Registry(registry::Registry),
    Publish(publish::Publish),
    Call(call::Call),
    #[cfg(feature = "amqp")]
    Tail(tail::Tail),
    #[cfg(feature = "amqp")]
    Doctor(doctor::Doctor),
    New(new::New),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// Refuses a format that a command has nothing to say in.
    pub(crate) fn takes(&self, format: Format) -> Result<(), Stop> {
        let annotates = matches!(
            self,
            Self::Validate(_)
                | Self::Compat(_)
                | Self::Breaking(_)
                | Self::Lint(_)
                | Self::Fmt(_)
                | Self::Diff(_)
                | Self::Version(_)
        );
        let takes = match format {
            Format::Text | Format::Json => true,
            Format::Github => annotates,
            Format::Sarif => matches!(self, Self::Breaking(_) | Self::Lint(_)),
        };
        if takes {
            Ok(())
        } else {
            Err(Stop::failed("arguments", "this command has no such --format: use text or json"))
        }
    }

    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        match self {
            Self::Validate(command) => command.run(style),
            Self::ListEvents(command) => command.run(style).await,
            Self::Show(command) => command.run(style).await,
            Self::Generate(command) => command.run(style),
            Self::GenerateStubs(command) => command.run(style).await,
            Self::Sync(command) => command.run(style).await,
            Self::Compat(command) => command.run(style),
            Self::Breaking(command) => command.run(style).await,
            Self::Lint(command) => command.run(style),
            Self::Fmt(command) => command.run(style),
            Self::Export(command) => command.run(style),
            Self::Diff(command) => command.run(style).await,
            Self::Dlq(command) => command.run(style).await,
            Self::Docs(command) => command.run().await,
            #[cfg(feature = "serve")]
            Self::Serve(command) => command.run().await,
            #[cfg(feature = "outbox")]
            Self::Outbox(command) => command.run(style).await,
            #[cfg(feature = "outbox")]
            Self::Replay(command) => command.run(style).await,
            Self::Version(command) => command.run(style).await,
            Self::Pull(command) => command.run(style).await,
            Self::Check(command) => command.run(style).await,
            Self::Deprecate(command) => command.run(style).await,
            Self::Undeprecate(command) => command.run(style).await,
            Self::Registry(command) => command.run().await,
            Self::Publish(command) => command.run(style).await,
            Self::Call(command) => command.run(style).await,
            #[cfg(feature = "amqp")]
            Self::Tail(command) => command.run(style).await,
            #[cfg(feature = "amqp")]
            Self::Doctor(command) => command.run(style).await,
            Self::New(command) => command.run(style),
            Self::Completions(command) => Ok(command.run()),
            Self::Man(command) => command.run(),
        }
    }
}
