//! `celerysalt dlq`: what a service gave up on, looked at, sent again, thrown away.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
};

use celerysalt::{
    letters::{DeadLetters, Letter},
    service::headers,
    transport::{self, TransportError},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::output::{Report, Stop, Style, escape, escape_lines, lines, plural, table};

/// Look at a service's dead letters, send them again, throw them away
///
/// A service keeps what it can't handle in its queue celerysalt.NAME.dead, with the reason in headers.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  celerysalt dlq list --service billing --broker amqp://guest:guest@localhost:5672/\n  \
    CELERYSALT_BROKER_URL=amqp://ops@broker/ celerysalt dlq show --service billing --limit 3\n  \
    celerysalt dlq replay --service billing --limit 1"
)]
pub(crate) struct Dlq {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(List),
    Show(Show),
    Replay(Replay),
    Purge(Purge),
}

/// Which letters.
#[derive(Debug, Args)]
struct Whose {
    /// The service, by the name that it connects with
    #[arg(long, value_name = "NAME")]
    service: String,
    /// Its broker, such as amqp://user:password@host:5672/vhost
    #[arg(long, value_name = "URL", env = celerysalt::BROKER_URL_VARIABLE, hide_env_values = true)]
    broker: String,
}

/// Count them, by reason and topic
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  celerysalt dlq list --service billing --broker amqp://ops@broker/")]
struct List {
    #[command(flatten)]
    whose: Whose,
    /// How many to look at, from the head of the queue; they are held in memory for that
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    limit: usize,
}

/// Show what their headers say; they stay where they are
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  celerysalt dlq show --service billing --limit 3")]
struct Show {
    #[command(flatten)]
    whose: Whose,
    /// How many to show, from the head of the queue; the next time it may be others
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    limit: usize,
    /// Print the bodies too, which may hold what not everyone should see
    #[arg(long)]
    payload: bool,
}

/// Send them to the service again
///
/// Each leaves the dead letters once the broker has confirmed its message. Every handler of its topic gets it, also those
/// that handled it before. What fails again is a dead letter again, and is not sent a second time.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  celerysalt dlq replay --service billing --limit 1")]
struct Replay {
    #[command(flatten)]
    whose: Whose,
    /// How many; all that there are now, unless given
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// Send them here instead of to celerysalt.NAME.events; requests belong to celerysalt.NAME.rpc
    #[arg(long, value_name = "QUEUE")]
    to_queue: Option<String>,
}

/// Throw away all that there are now
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  celerysalt dlq purge --service billing --yes")]
struct Purge {
    #[command(flatten)]
    whose: Whose,
    /// Don't ask
    #[arg(long)]
    yes: bool,
}

impl Dlq {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        match self.action {
            Action::List(command) => command.run().await,
            Action::Show(command) => command.run(style).await,
            Action::Replay(command) => command.run(style).await,
            Action::Purge(command) => command.run(style).await,
        }
    }
}

impl Whose {
    /// Does something with the letters; the connection is closed after it, whatever came of it, so that what was taken is
    /// given back before the process ends.
    async fn letters<T>(&self, work: impl AsyncFnOnce(&DeadLetters) -> Result<T, TransportError>) -> Result<T, Stop> {
        let transport = transport::connect(&self.broker, "celerysalt dlq").await.map_err(|error| stop(&error))?;
        let letters = DeadLetters::new(transport.clone(), &self.service);
        let outcome = work(&letters).await;
        transport.close().await;
        outcome.map_err(|error| stop(&error))
    }
}

pub(crate) fn stop(error: &TransportError) -> Stop {
    let kind = match error {
        TransportError::Unavailable { .. } => "broker-unavailable",
        TransportError::Refused { .. } => "broker-refused",
        TransportError::Url { .. } => "broker-url",
        _ => "broker",
    };
    Stop::failed(kind, error.to_string())
}

impl List {
    async fn run(self) -> Result<Report, Stop> {
        let looked = self.whose.letters(async |letters| letters.look(self.limit).await).await?;
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for letter in &looked.letters {
            *counts.entry((letter.reason(), letter.topic())).or_default() += 1;
        }
        let rows: Vec<_> = counts
            .iter()
            .map(|((reason, topic), count)| vec![count.to_string(), escape(reason), escape(topic)])
            .collect();
        let json: Vec<_> = counts
            .iter()
            .map(|((reason, topic), count)| json!({"reason": reason, "topic": topic, "count": count}))
            .collect();
        Ok(Report {
            findings: false,
            text: table("", &rows),
            summary: summary(looked.letters.len(), looked.more),
            json: json!({"letters": json, "looked_at": looked.letters.len(), "more": looked.more}),
        })
    }
}

fn summary(count: usize, more: u64) -> String {
    let more = if more == 0 { String::new() } else { format!(", and {more} behind them") };
    format!("{count} dead {}{more}", plural(count, "letter"))
}

impl Show {
    async fn run(self, style: Style) -> Result<Report, Stop> {
        let looked = self.whose.letters(async |letters| letters.look(self.limit).await).await?;
        let shown: Vec<String> = looked.letters.iter().map(|letter| self.text(letter, style)).collect();
        let json: Vec<_> = looked.letters.iter().map(|letter| self.json(letter)).collect();
        Ok(Report {
            findings: false,
            text: shown.join("\n"),
            summary: summary(looked.letters.len(), looked.more),
            json: json!({"letters": json, "more": looked.more}),
        })
    }

    fn text(&self, letter: &Letter, style: Style) -> String {
        let topic = escape(letter.topic());
        let version =
            letter.header(headers::VERSION).map_or_else(String::new, |version| format!("@{}", escape(version)));
        let mut text =
            vec![format!("{}: {}", style.bold(&format!("{topic}{version}")), style.bad(&escape(letter.reason())))];
        let mut add = |what: &str, value: Option<String>| {
            text.extend(value.map(|value| format!("  {what:10} {value}")));
        };
        add("id", letter.id().map(escape));
        add("failed at", letter.header(headers::FAILED_AT).map(escape));
        add("tries", letter.0.headers.get(headers::TRIES).map(|tries| escape(&tries.to_string())));
        add("handler", letter.header(headers::HANDLER).map(escape));
        add("detail", letter.header(headers::DETAIL).map(escape));
        add("pointers", letter.0.headers.get(headers::POINTERS).map(|pointers| escape(&pointers.to_string())));
        add("size", Some(format!("{} bytes", letter.0.body.len())));
        if self.payload {
            let body = escape_lines(&String::from_utf8_lossy(&letter.0.body));
            add("body", Some(body));
        }
        lines(&text)
    }

    fn json(&self, letter: &Letter) -> Value {
        let header = |name: &str| letter.0.headers.get(name).cloned().unwrap_or_default();
        let mut shown = json!({
            "reason": letter.reason(),
            "topic": letter.topic(),
            "version": header(headers::VERSION),
            "id": letter.id(),
            "failed_at": header(headers::FAILED_AT),
            "tries": header(headers::TRIES),
            "handler": header(headers::HANDLER),
            "detail": header(headers::DETAIL),
            "pointers": header(headers::POINTERS),
            "body_bytes": letter.0.body.len(),
        });
        if self.payload {
            shown["body"] = json!(String::from_utf8_lossy(&letter.0.body));
        }
        shown
    }
}

impl Replay {
    async fn run(self, style: Style) -> Result<Report, Stop> {
        let limit = self.limit.unwrap_or(u64::MAX);
        let sent = self.whose.letters(async |letters| letters.replay(limit, self.to_queue.as_deref()).await).await?;
        Ok(Report {
            findings: false,
            text: format!("{}: {sent}\n", style.good("sent")),
            summary: String::new(),
            json: json!({"sent": sent}),
        })
    }
}

impl Purge {
    async fn run(self, style: Style) -> Result<Report, Stop> {
        if !self.yes && !confirmed(&self.whose.service)? {
            return Err(Stop::failed("not-confirmed", "nothing was thrown away"));
        }
        let purged = self.whose.letters(async |letters| letters.purge().await).await?;
        Ok(Report {
            findings: false,
            text: format!("{}: {purged}\n", style.notable("thrown away")),
            summary: String::new(),
            json: json!({"purged": purged}),
        })
    }
}

/// Asks whoever sits there.
fn confirmed(service: &str) -> Result<bool, Stop> {
    if !io::stdin().is_terminal() {
        return Err(Stop::failed("arguments", "nobody is there to be asked: give --yes to throw the letters away"));
    }
    let failed = |error: io::Error| Stop::failed("terminal", error.to_string());
    write!(io::stderr(), "Throw away all dead letters of {}? [y/N] ", escape(service)).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
