//! `celerysalt replay`: events of a service's event store, sent again.

use std::num::NonZeroU32;

use celerysalt::{
    TopicPattern,
    store::{EventStore, Progress, Range, Replay as Sending, ReplayFailure, Replayed},
    transport::{self, TransportError},
};
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::{
    dlq,
    outbox::{Database, stop},
};
use crate::{
    output::{Report, Stop, Style, escape, plural, table},
    progress::Line,
};

/// Send events of a service's event store again, in their order
///
/// Each has the id, the payload and the headers that it had; subscribers see Meta::replay, and what deduplicates lets each
/// replay through once. Waits first until no transaction is under way that began before it, so that nothing is missed that
/// commits late. Exit status 1 when nobody has a queue for some of them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  celerysalt replay --database postgres://shop@db/shop --broker amqp://ops@broker/ \\\n    \
    --topic 'orders.#' --from 2026-11-01T00:00:00Z --to 2026-11-02T00:00:00Z --dry-run\n  \
    celerysalt replay --topic orders.placed --to-queue celerysalt.audit.events --rate 200"
)]
pub(crate) struct Replay {
    #[command(flatten)]
    database: Database,
    /// The broker, such as amqp://user:password@host:5672/vhost
    #[arg(
        long,
        value_name = "URL",
        env = celerysalt::BROKER_URL_VARIABLE,
        hide_env_values = true,
        required_unless_present = "dry_run"
    )]
    broker: Option<String>,
    /// Only these: a topic, or a pattern in which * is one word and # any number
    #[arg(long, value_name = "PATTERN")]
    topic: Option<TopicPattern>,
    /// Only what was recorded at this time or later, such as 2026-11-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only what was recorded before this time; now, unless given
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// Send them to this queue alone, such as celerysalt.NAME.events, instead of to every subscriber
    #[arg(long, value_name = "QUEUE")]
    to_queue: Option<String>,
    /// At most so many events a second
    #[arg(long, value_name = "EVENTS")]
    rate: Option<NonZeroU32>,
    /// Only say how many there are, by topic
    #[arg(long)]
    dry_run: bool,
    /// Go on with a replay that stopped: its id
    #[arg(long, value_name = "ID", requires = "after")]
    id: Option<String>,
    /// Go on behind the event of this number, up to the same --to
    #[arg(long, value_name = "NUMBER", requires = "to")]
    after: Option<i64>,
}

impl Replay {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        let store = EventStore::connect(&self.database.url).map_err(|error| stop(&error))?;
        if self.dry_run {
            // Nothing is sent: any broker will do.
            let transport =
                transport::connect("memory:", "celerysalt replay").await.map_err(|error| dlq::stop(&error))?;
            let counts = Sending::with_transport(&store, transport).count(&self.range()).await;
            return Ok(counted(&counts.map_err(|error| stop(&error))?));
        }
        let url = self.broker.as_deref().unwrap_or_default();
        let transport = transport::connect(url, "celerysalt replay").await.map_err(|error| dlq::stop(&error))?;
        let mut replay = Sending::with_transport(&store, transport.clone());
        if let Some(id) = &self.id {
            replay = replay.id(id);
        }
        if let Some(queue) = &self.to_queue {
            replay = replay.to_queue(queue);
        }
        if let Some(rate) = self.rate {
            replay = replay.rate(rate);
        }
        replay = replay.progress(telling(Line::of(style, "looking for events")));
        let outcome = replay.run(self.range()).await;
        transport.close().await;
        match outcome {
            Ok(replayed) => Ok(sent(&replayed, style)),
            Err(error) => {
                let how = error.last.map_or_else(String::new, |last| {
                    format!(
                        "; go on with --id {} --after {last} --to {}, and otherwise the same arguments",
                        error.id, error.to
                    )
                });
                let message = format!("stopped after {} events: {}{how}", error.sent, error.reason);
                Err(Stop::failed(kind(&error.reason), message))
            }
        }
    }

    fn range(&self) -> Range {
        let mut range = Range::all();
        if let Some(pattern) = &self.topic {
            range = range.topics(pattern.clone());
        }
        if let Some(from) = self.from {
            range = range.from(from);
        }
        if let Some(to) = self.to {
            range = self.after.map_or(range.clone().to(to), |after| range.resume(after, to));
        }
        range
    }
}

fn kind(reason: &ReplayFailure) -> &'static str {
    match reason {
        ReplayFailure::Broker(TransportError::Unavailable { .. }) => "broker-unavailable",
        ReplayFailure::Broker(_) => "broker-refused",
        ReplayFailure::Database(error) if error.is_unavailable() => "database-unavailable",
        ReplayFailure::Database(_) => "database-refused",
        _ => "replay",
    }
}

/// Tells a person how far it is.
fn telling(line: Line) -> impl FnMut(Progress) + Send {
    move |progress: Progress| {
        if progress.waits_for > 0 {
            line.say(format!("waiting for {} earlier transactions to end", progress.waits_for));
        } else {
            line.reach(progress.sent, progress.total);
        }
    }
}

fn counted(counts: &[(String, u64)]) -> Report {
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let rows: Vec<_> = counts.iter().map(|(topic, count)| vec![count.to_string(), escape(topic)]).collect();
    let by_topic: Vec<_> = counts.iter().map(|(topic, count)| json!({"topic": topic, "events": count})).collect();
    Report {
        findings: false,
        text: table("", &rows),
        summary: format!("{} (dry run: nothing is sent)", events(total)),
        json: json!({"dry_run": true, "events": total, "topics": by_topic}),
    }
}

fn events(count: u64) -> String {
    format!("{count} {}", plural(usize::try_from(count).unwrap_or(usize::MAX), "event"))
}

fn sent(replayed: &Replayed, style: Style) -> Report {
    let unrouted: u64 = replayed.unrouted.values().sum();
    let rows: Vec<_> = replayed.unrouted.iter().map(|(topic, count)| vec![count.to_string(), escape(topic)]).collect();
    let mut summary = format!("replay {}", replayed.id);
    if unrouted > 0 {
        summary = format!("{summary}: for {} nobody has a queue, counted by topic above", events(unrouted));
    }
    Report {
        findings: unrouted > 0,
        text: format!("{}: {}\n{}", style.good("sent"), replayed.sent, table("  ", &rows)),
        summary,
        json: json!({
            "id": replayed.id,
            "sent": replayed.sent,
            "unrouted": replayed.unrouted,
            "last": replayed.last,
            "to": replayed.to.to_string(),
        }),
    }
}
