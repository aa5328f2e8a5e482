//! `celerysalt outbox`: the events that wait in a service's own database, made room for, looked at, published.

use std::{sync::Arc, time::Duration};

use celerysalt::{
    DatabaseError,
    inbox::Inbox,
    outbox::{self, Relay, RelayError, Relayed, Status},
    store::EventStore,
    transport::{self, Transport, TransportError},
};
use clap::{Args, Subcommand};
use serde_json::json;

use super::dlq;
use crate::{
    logging,
    output::{Report, Stop, Style, escape, lines, plural},
};

/// Names the service's own database.
pub(crate) const DATABASE_URL: &str = "CELERYSALT_DATABASE_URL";

/// Look after the events that wait in a service's own database, and publish them
///
/// A service writes events in its own transactions, to the table celerysalt_outbox; a relay publishes what was committed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  celerysalt outbox migrate --database postgres://owner@db/shop\n  \
    celerysalt outbox relay --database postgres://shop@db/shop --broker amqp://shop@broker/\n  \
    CELERYSALT_DATABASE_URL=postgres://shop@db/shop celerysalt outbox status")]
pub(crate) struct Outbox {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Migrate(Migrate),
    Sql(Sql),
    Status(Look),
    Retry(Retry),
    Relay(Publish),
}

/// Whose.
#[derive(Debug, Args)]
pub(crate) struct Database {
    /// The service's database, such as postgres://user:password@host/database
    #[arg(long = "database", value_name = "URL", env = DATABASE_URL, hide_env_values = true)]
    pub(crate) url: String,
}

/// Make the tables of the outbox, the event store and the inbox, where they are not there
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  celerysalt outbox migrate --database postgres://owner@db/shop")]
struct Migrate {
    #[command(flatten)]
    database: Database,
}

/// Print the SQL that migrate runs, for a migration tool of your own
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  celerysalt outbox sql > migrations/0007_celerysalt.sql")]
struct Sql {}

/// Show what waits, for how long, and what the broker does not take; exit status 1 when there is such
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  celerysalt outbox status --database postgres://shop@db/shop --format json")]
struct Look {
    #[command(flatten)]
    database: Database,
}

/// Have a running relay try again now what the broker did not take
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  celerysalt outbox retry --database postgres://shop@db/shop")]
struct Retry {
    #[command(flatten)]
    database: Database,
}

/// Publish what is committed, until this is told to end (SIGTERM, Ctrl-C)
///
/// Several may run, here and in services: they share the work. An event is deleted once the broker has confirmed it.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  celerysalt outbox relay --database postgres://shop@db/shop --broker amqp://shop@broker/"
)]
struct Publish {
    #[command(flatten)]
    database: Database,
    /// The broker, such as amqp://user:password@host:5672/vhost
    #[arg(long, value_name = "URL", env = celerysalt::BROKER_URL_VARIABLE, hide_env_values = true)]
    broker: String,
    /// How many events are in flight at a time, with an ordering key and without, each
    #[arg(long, value_name = "COUNT", default_value_t = 500)]
    batch: usize,
    /// End when nothing is left that is due
    #[arg(long)]
    drain: bool,
}

pub(crate) fn stop(error: &DatabaseError) -> Stop {
    let kind = if error.is_unavailable() { "database-unavailable" } else { "database-refused" };
    Stop::failed(kind, error.to_string())
}

impl Outbox {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        match self.action {
            Action::Migrate(command) => command.run(style).await.map_err(|error| stop(&error)),
            Action::Sql(_) => Ok(sql()),
            Action::Status(command) => command.run(style).await.map_err(|error| stop(&error)),
            Action::Retry(command) => command.run(style).await.map_err(|error| stop(&error)),
            Action::Relay(command) => command.run(style).await,
        }
    }
}

impl Migrate {
    async fn run(self, style: Style) -> Result<Report, DatabaseError> {
        let outbox = outbox::Outbox::connect(&self.database.url)?;
        outbox.migrate().await?;
        EventStore::new(outbox.pool().clone()).migrate().await?;
        Inbox::migrate(outbox.pool()).await?;
        let tables = ["celerysalt_outbox", "celerysalt_events", "celerysalt_inbox"];
        Ok(Report {
            findings: false,
            text: format!("{}: {}\n", style.good("ready"), tables.join(", ")),
            summary: String::new(),
            json: json!({"tables": tables}),
        })
    }
}

fn sql() -> Report {
    let sql = [outbox::Outbox::sql(), EventStore::sql(), Inbox::sql()].join("\n");
    Report { findings: false, json: json!({"sql": sql}), text: sql, summary: String::new() }
}

impl Look {
    async fn run(self, style: Style) -> Result<Report, DatabaseError> {
        let status = outbox::Outbox::connect(&self.database.url)?.status().await?;
        let mut text = Vec::new();
        for failed in &status.failed {
            text.push(format!(
                "{}: {} {}, tried up to {} times, next in {} s: {}",
                style.bold(&escape(&failed.topic)),
                failed.count,
                plural(count(failed.count), "event"),
                failed.attempts,
                failed.next.as_secs(),
                style.bad(&escape(&failed.reason)),
            ));
        }
        Ok(Report { findings: status.refused > 0, text: lines(&text), summary: summary(&status), json: json!(status) })
    }
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn summary(status: &Status) -> String {
    let events = plural(count(status.waiting), "event");
    let oldest = status.oldest.map_or_else(String::new, |oldest| format!(", the oldest for {} s", oldest.as_secs()));
    let refused = if status.refused == 0 {
        String::new()
    } else {
        format!("; {} not taken by the broker, {} behind them", status.refused, status.held_up)
    };
    format!("{} {events} waiting{oldest}{refused}", status.waiting)
}

impl Retry {
    async fn run(self, style: Style) -> Result<Report, DatabaseError> {
        let due = outbox::Outbox::connect(&self.database.url)?.retry_now().await?;
        Ok(Report {
            findings: false,
            text: format!("{}: {due}\n", style.good("due now")),
            summary: String::new(),
            json: json!({"due": due}),
        })
    }
}

impl Publish {
    /// Waits for a broker that is away, as the relay does later on, unless it is to do what it can now.
    async fn broker(&self) -> Result<Arc<dyn Transport>, TransportError> {
        let mut is_told = false;
        loop {
            match transport::connect(&self.broker, "celerysalt outbox").await {
                Err(TransportError::Unavailable { broker, reason }) if !self.drain => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(target: "celerysalt", broker, reason, "the outbox waits for the broker");
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn run(self, style: Style) -> Result<Report, Stop> {
        logging::start();
        let outbox = outbox::Outbox::connect(&self.database.url).map_err(|error| stop(&error))?;
        let transport = self.broker().await.map_err(|error| dlq::stop(&error))?;
        let relay = Relay::with_transport(outbox.pool().clone(), transport.clone()).batch(self.batch);
        let is_drained = self.drain;
        let outcome = if is_drained { relay.drain().await } else { relay.run_until_signal().await };
        transport.close().await;
        // What is left of the connections is told to the server.
        drop(tokio::time::timeout(Duration::from_secs(5), outbox.pool().close()).await);
        let Relayed { published, refused, .. } = outcome.map_err(|error| match error {
            RelayError::Database(error) => stop(&error),
            RelayError::Broker(error) => dlq::stop(&error),
            error => Stop::failed("signals", error.to_string()),
        })?;
        Ok(Report {
            // One that ran for weeks has met some, and tried them again.
            findings: is_drained && refused > 0,
            text: format!("{}: {published}\n", style.good("published")),
            summary: if refused == 0 {
                String::new()
            } else {
                format!("{refused} {} not taken; `celerysalt outbox status` says why", plural(count(refused), "try"))
            },
            json: json!({"published": published, "refused": refused}),
        })
    }
}
