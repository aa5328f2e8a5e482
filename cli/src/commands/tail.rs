//! `celerysalt tail`: the messages of some topics, as they go by.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
    num::NonZeroU64,
};

use celerysalt::{
    DEFAULT_EXCHANGE, TopicPattern,
    tail::{Seen, Tail as Passing},
};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json, value::RawValue};
use tokio::task::JoinHandle;

use super::dlq::stop;
use crate::output::{Format, Report, Stop, Style, escape, plural};

/// Show the messages of some topics as they go by: time, topic, version, id, sender
///
/// Shows copies: every service goes on getting its own. At the broker there is a queue meanwhile that is gone with this
/// command; it holds 10,000 messages at most, and drops the oldest when this terminal can't keep up. What was published
/// before is not shown. With --format json, each message is one line with a JSON document. Ends after --count messages, or by
/// Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  celerysalt tail 'pulse.#' --broker amqp://guest:guest@localhost:5672/\n  \
    CELERYSALT_BROKER_URL=amqp://ops@broker/ celerysalt tail '#' --count 10 --format json\n  \
    celerysalt tail pulse.risk.created 'scranton.*' --payload")]
pub(crate) struct Tail {
    /// Topics, or patterns in which * is one word and # any number
    #[arg(value_name = "PATTERN", required = true)]
    patterns: Vec<TopicPattern>,
    /// The broker, such as amqp://user:password@host:5672/vhost
    #[arg(long, value_name = "URL", env = celerysalt::BROKER_URL_VARIABLE, hide_env_values = true)]
    broker: String,
    /// The exchange that the events go through
    #[arg(long, value_name = "NAME", default_value = DEFAULT_EXCHANGE)]
    exchange: String,
    /// Print the payloads too, which may hold what not everyone should see
    #[arg(long)]
    payload: bool,
    /// End after so many messages
    #[arg(long, value_name = "MESSAGES")]
    count: Option<NonZeroU64>,
}

impl Tail {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        // From now on, so that Ctrl-C ends it in good order whenever it comes.
        let mut interrupted = tokio::spawn(tokio::signal::ctrl_c());
        let mut passing =
            Passing::open(&self.broker, &self.exchange, &self.patterns).await.map_err(|error| stop(&error))?;
        self.say_listening();
        let outcome = self.show(&mut passing, &mut interrupted, style).await;
        passing.close().await;
        let shown = outcome?;
        let summary = format!("{shown} {}", plural(usize::try_from(shown).unwrap_or(usize::MAX), "message"));
        Ok(Report { findings: false, text: String::new(), summary, json: Value::Null })
    }

    /// Also where standard output is for a program: whoever starts this has to know from when on it sees everything.
    fn say_listening(&self) {
        let patterns: Vec<String> = self.patterns.iter().map(|pattern| escape(pattern.as_str())).collect();
        let exchange = escape(&self.exchange);
        // What standard error does not take can't be told of anywhere.
        let _ = writeln!(io::stderr(), "listening at exchange {exchange} for {}", patterns.join(", "));
    }

    /// Gives how many were shown, once there are enough, or by Ctrl-C, or when nobody reads any more.
    async fn show(
        &self,
        passing: &mut Passing,
        interrupted: &mut JoinHandle<io::Result<()>>,
        style: Style,
    ) -> Result<u64, Stop> {
        let mut shown = 0;
        while self.count.is_none_or(|count| shown < count.get()) {
            let seen = tokio::select! {
                biased;
                signal = &mut *interrupted => {
                    let failed = |error: &dyn Display| Stop::failed("signals", format!("can't listen for Ctrl-C: {error}"));
                    signal.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
                    break;
                }
                seen = passing.next() => seen,
            };
            let Some(seen) = seen else { break };
            let seen = seen.map_err(|error| stop(&error))?;
            let line = if style.format == Format::Json { self.json(&seen) } else { self.text(&seen, style) };
            match writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush()) {
                Ok(()) => shown += 1,
                // `celerysalt tail '#' | head`
                Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
                Err(error) => {
                    return Err(Stop::failed("output", format!("can't write to standard output: {error}")));
                }
            }
        }
        Ok(shown)
    }

    fn text(&self, seen: &Seen, style: Style) -> String {
        let version = seen.version.as_deref().map_or_else(String::new, |version| format!("@{version}"));
        let topic = style.bold(&escape(&format!("{}{version}", seen.topic)));
        let or_dash = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), escape);
        // Nothing of a message tells the moment better than to the second.
        let time = seen.sent_at.unwrap_or_else(Timestamp::now).strftime("%Y-%m-%dT%H:%M:%SZ");
        let mut line = format!("{time}  {topic}  {}  {}", or_dash(&seen.id), or_dash(&seen.sender));
        let mut add = |word: &str| {
            line.push_str("  ");
            line.push_str(word);
        };
        if seen.is_rpc {
            add("(request)");
        }
        if let Some(replay) = &seen.replay {
            add(&format!("(replay {})", escape(replay)));
        }
        if let Some(first) = &seen.copy_of {
            add(&format!("(copy of {})", escape(first)));
        }
        if seen.routing_key != seen.topic {
            add(&format!("(routing key {})", escape(&seen.routing_key)));
        }
        match &seen.payload {
            Err(error) => add(&style.bad(&format!("(no event: {})", escape(&error.to_string())))),
            Ok(payload) if self.payload => {
                line.push_str("\n  ");
                line.push_str(&escape(payload));
            }
            Ok(_) => {}
        }
        line
    }

    fn json(&self, seen: &Seen) -> String {
        let mut document = json!({
            "received_at": Timestamp::now().to_string(),
            "sent_at": seen.sent_at.map(|at| at.to_string()),
            "topic": seen.topic,
            "version": seen.version,
            "id": seen.id,
            "sender": seen.sender,
            "is_rpc": seen.is_rpc,
            "correlation_id": seen.correlation_id,
            "replay": seen.replay,
            "copy_of": seen.copy_of,
            "exchange": seen.exchange,
            "routing_key": seen.routing_key,
            "size": seen.size,
        });
        let Some(members) = document.as_object_mut() else { return String::new() };
        let payload = match &seen.payload {
            Err(error) => {
                members.insert("error".to_owned(), error.to_string().into());
                None
            }
            Ok(payload) => self.payload.then_some(payload),
        };
        let mut line = document.to_string();
        // The text as it came: numbers beyond 64 bits keep their digits.
        if let Some(payload) = payload.and_then(|payload| RawValue::from_string(payload.clone()).ok()) {
            line.truncate(line.len() - 1);
            line.push_str(",\"payload\":");
            line.push_str(&payload.get().replace(['\n', '\r'], " "));
            line.push('}');
        }
        line
    }
}
