//! `celerysalt version suggest`: does a change want a minor or a major version.

use std::path::{Path, PathBuf};

use celerysalt_contract::{
    Diagnostic,
    evolution::{Options, Suggestion, VERSION_BUMP_MISMATCH, Wanted, suggest},
};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    baseline,
    contracts::{SCHEMAS, readable},
    output::{Format, Report, Stop, Style, annotation::Annotation, github, plural, table},
};

/// What versions of contracts should be called
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  celerysalt version suggest --against main")]
pub(crate) struct Version {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Suggest(Suggest),
}

/// Say whether each change wants a minor or a major version, and which one is next
///
/// Compares what the folder has with what was released, by meaning and by the contract's "compatibility". A change that
/// surprises nobody wants the next minor version, any other the next major.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 every version fits its change, 1 some does not, 2 could not run.\n\n\
    Examples:\n  celerysalt version suggest --against main\n  \
    celerysalt version suggest --against postgres://reader@db/contracts --format json")]
struct Suggest {
    /// Folder of the contracts that are to be released
    #[arg(long, value_name = "DIR", default_value = SCHEMAS)]
    schemas: PathBuf,
    /// What was released: a git revision, a registry's URL, or a folder
    #[arg(long, value_name = "REVISION|URL|DIR")]
    against: String,
    /// Expect writers to send properties that their contract does not declare, where it lets them
    #[arg(long)]
    open_writers: bool,
}

impl Version {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        let Command::Suggest(command) = self.command;
        command.run(style).await
    }
}

impl Suggest {
    async fn run(self, style: Style) -> Result<Report, Stop> {
        readable(&self.schemas)?;
        let (known, head) = baseline::both(&self.against, &self.schemas).await?;
        let options = Options::default().open_writers(self.open_writers);
        let suggestions = suggest(&known.releases, &head, &options);
        let wrong = suggestions.iter().filter(|suggestion| !suggestion.fits).count();
        let text = if style.format == Format::Github {
            let wrong = suggestions.iter().filter(|suggestion| !suggestion.fits);
            github::commands(&wrong.map(|one| Annotation::from(&diagnostic(one, &self.schemas))).collect::<Vec<_>>())
        } else {
            table("", &suggestions.iter().map(|suggestion| row(suggestion, style)).collect::<Vec<_>>())
        };
        let count = suggestions.len();
        let summary = match (count, wrong) {
            (0, _) => "nothing changed".to_owned(),
            (_, 0) => format!("{count} {}, each with a version that fits", plural(count, "change")),
            _ => format!("{wrong} of {count} {} should have another version", plural(count, "change")),
        };
        Ok(Report {
            findings: wrong > 0,
            text,
            summary: format!("{}{summary}", known.note),
            json: json!({"suggestions": suggestions}),
        })
    }
}

fn change(suggestion: &Suggestion) -> &'static str {
    match (&suggestion.from, suggestion.wanted) {
        (None, _) => "new topic",
        (_, Wanted::None) => "no change",
        (_, Wanted::Minor) => "minor",
        (_, Wanted::Undecided) => "major (undecided)",
        (_, Wanted::Major) => "major",
    }
}

fn row(suggestion: &Suggestion, style: Style) -> Vec<String> {
    let from = suggestion.from.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let verdict =
        if suggestion.fits { style.good("fits") } else { style.bad(&format!("should be {}", suggestion.version)) };
    vec![suggestion.topic.to_string(), format!("{from} -> {}", suggestion.now), change(suggestion).to_owned(), verdict]
}

fn diagnostic(suggestion: &Suggestion, schemas: &Path) -> Diagnostic {
    let path = schemas.join(suggestion.topic.as_str()).join(format!("{}.json", suggestion.now));
    let message = format!("this change wants a {} version: {}", change(suggestion), suggestion.version);
    Diagnostic::error(VERSION_BUMP_MISMATCH, path, message).with_help(format!("release it as {}", suggestion.version))
}
