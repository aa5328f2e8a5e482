//! `celerysalt registry`: what those who run a registry need: roles for it, and its log.

use celerysalt::registry::AuditEntry;
use celerysalt_contract::Selector;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    contracts::{REGISTRY_URL, connect, note},
    output::{Report, Stop, escape, table},
};

/// Roles for a registry, and its audit log
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  celerysalt registry log --registry postgres://reader@db/contracts")]
pub(crate) struct Registry {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "postgres")]
    Roles(Roles),
    Log(Log),
}

impl Registry {
    pub(crate) async fn run(self) -> Result<Report, Stop> {
        match self.command {
            #[cfg(feature = "postgres")]
            Command::Roles(command) => command.run(),
            Command::Log(command) => command.run().await,
        }
    }
}

/// Print SQL that makes least-privilege roles for a PostgreSQL registry
///
/// Four roles that can't log in, to be granted to those that can: PREFIX_reader, PREFIX_service, PREFIX_registrar (a
/// service that registers its contracts at start-up) and PREFIX_releaser. To be run by the tables' owner, after the first
/// sync. Safe to run again.
#[cfg(feature = "postgres")]
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  celerysalt registry roles | psql postgres://owner@db/contracts\n  \
    celerysalt registry roles --prefix acme --schema contracts")]
pub(crate) struct Roles {
    /// What the roles' names begin with
    #[arg(long, default_value = "celerysalt", value_name = "NAME")]
    prefix: String,
    /// Database schema that has the tables
    #[arg(long, default_value = "public", value_name = "NAME")]
    schema: String,
}

#[cfg(feature = "postgres")]
impl Roles {
    fn run(self) -> Result<Report, Stop> {
        let sql = celerysalt::registry::postgres::roles_sql(&self.prefix, &self.schema)
            .map_err(|error| Stop::failed("arguments", error.to_string()))?;
        Ok(Report { findings: false, json: json!({"sql": sql}), text: sql, summary: String::new() })
    }
}

/// Print the audit log: who released, updated or deprecated what, when, from where
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  celerysalt registry log --registry postgres://reader@db/contracts\n  \
    celerysalt registry log 'pulse.#' --format json")]
pub(crate) struct Log {
    /// Only these: a topic, or a pattern in which * is one word and # any number; @v1 or @^v1.2 after it
    #[arg(value_name = "FILTER")]
    filter: Option<Selector>,
    /// Registry, such as postgres://user:password@host/database
    #[arg(long, value_name = "URL", env = REGISTRY_URL, hide_env_values = true)]
    registry: String,
}

impl Log {
    async fn run(self) -> Result<Report, Stop> {
        let entries = connect(&self.registry)?.history(self.filter.as_ref()).await?;
        let rows: Vec<_> = entries.iter().map(row).collect();
        let word = if entries.len() == 1 { "entry" } else { "entries" };
        Ok(Report {
            findings: false,
            text: table("", &rows),
            summary: format!("{}{} {word}", note(&self.registry), entries.len()),
            json: json!({"entries": entries}),
        })
    }
}

fn row(entry: &AuditEntry) -> Vec<String> {
    vec![
        entry.at.to_string(),
        entry.action.to_string(),
        format!("{}@{}", entry.topic, entry.version),
        escape(&entry.who()),
        escape(&entry.reason),
    ]
}
