//! Exchanges, queues and bindings as RabbitMQ wants them, and its refusals in words that help.

use std::collections::BTreeSet;

use lapin::{
    Channel, ErrorKind, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, LongString, ShortString},
};

use super::convert;
use crate::transport::{Binding, QueueKind, QueueSpec, TransportError};

/// What RabbitMQ did not do.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// Such as: queue `orders`.
    pub(super) what: String,
    pub(super) error: lapin::Error,
}

impl Failure {
    pub(super) fn new(what: impl Into<String>) -> impl FnOnce(lapin::Error) -> Self {
        let what = what.into();
        move |error| Self { what, error }
    }

    /// Whether asking again will get the same answer: no permission, other arguments, nonsense. A queue that is locked
    /// (405) or still coming up (404) may be there the next time, and so may the connection.
    pub(super) fn is_final(&self) -> bool {
        matches!(reply_code(&self.error), Some(403 | 406 | 503 | 530))
    }

    /// For the caller.
    pub(super) fn explain(self, broker: &str) -> TransportError {
        let broker = broker.to_owned();
        match self.error.kind() {
            ErrorKind::ProtocolError(told) if self.is_final() => {
                let told = told.get_message().as_str();
                let todo = conflicting_argument(told).map(|argument| format!("; {}", remedy(&self.what, argument)));
                TransportError::Refused {
                    broker,
                    what: self.what,
                    reason: format!("{told}{}", todo.unwrap_or_default()),
                }
            }
            _ => TransportError::Unavailable { broker, reason: format!("{}: {}", self.what, self.error) },
        }
    }
}

/// The code with which the broker closed a channel or a connection.
pub(super) fn reply_code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(told) => Some(told.get_id()),
        _ => None,
    }
}

/// `x-queue-type` in: inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received ...
fn conflicting_argument(told: &str) -> Option<&str> {
    told.split_once("inequivalent arg '")?.1.split_once('\'').map(|(argument, _)| argument)
}

fn remedy(what: &str, argument: &str) -> String {
    let set = match argument {
        "x-queue-type" | "x-max-priority" | "durable" | "auto_delete" | "exclusive" => "`kind`",
        "x-dead-letter-exchange" | "x-dead-letter-routing-key" | "x-dead-letter-strategy" | "x-overflow" => {
            "`dead_letter`"
        }
        // An exchange, or an argument that only others set.
        _ => return format!("{what} exists with another `{argument}`: delete it, or use another name"),
    };
    format!("{what} exists with another `{argument}`: delete it, use another name, or set {set} to what it has")
}

/// Declares the queue, the exchanges of its bindings, and the bindings. Bindings that are no longer wanted stay: AMQP
/// has no way to list them.
pub(super) async fn declare(channel: &Channel, spec: &QueueSpec) -> Result<(), Failure> {
    let exchanges: BTreeSet<&str> = spec.bindings.iter().map(|binding| binding.exchange.as_str()).collect();
    for exchange in exchanges {
        declare_exchange(channel, exchange).await?;
    }
    let what = format!("queue `{}`", spec.name);
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let name = short(&spec.name);
    channel.queue_declare(name.clone(), options, arguments(spec)).await.map_err(Failure::new(&what))?;
    for binding in &spec.bindings {
        let (exchange, key) = (short(&binding.exchange), short(binding.pattern.as_str()));
        channel
            .queue_bind(name.clone(), exchange, key, QueueBindOptions::default(), FieldTable::default())
            .await
            .map_err(Failure::new(format!("{what}, bound to exchange `{}`", binding.exchange)))?;
    }
    Ok(())
}

/// A durable topic exchange without arguments, as Celery's side declares it. The default exchange is always there.
pub(super) async fn declare_exchange(channel: &Channel, name: &str) -> Result<(), Failure> {
    // `amq.*` are the broker's own, and refused to everybody.
    if name.is_empty() || name.starts_with("amq.") {
        return Ok(());
    }
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel
        .exchange_declare(short(name), ExchangeKind::Topic, options, FieldTable::default())
        .await
        .map_err(Failure::new(format!("exchange `{name}`")))
}

/// A queue that only this connection can see, gone when it is.
pub(super) async fn declare_replies(channel: &Channel, name: &str) -> Result<(), Failure> {
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    let what = format!("reply queue `{name}`");
    channel.queue_declare(short(name), options, FieldTable::default()).await.map(drop).map_err(Failure::new(what))
}

/// How many messages wait for somebody who only looks at what passes by; the oldest are dropped for newer ones.
const PASSING_MOST: i32 = 10_000;

/// As [`declare_replies`], bound to exchanges that are there: nothing else is declared. It holds little, so that somebody who
/// looks slowly, or looked away, does not fill the broker.
pub(super) async fn declare_passing(channel: &Channel, name: &str, bindings: &[Binding]) -> Result<(), Failure> {
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    let mut arguments = FieldTable::default();
    arguments.insert(short("x-max-length"), AMQPValue::LongInt(PASSING_MOST));
    channel.queue_declare(short(name), options, arguments).await.map_err(Failure::new(format!("queue `{name}`")))?;
    for Binding { exchange, pattern } in bindings {
        channel
            .queue_bind(
                short(name),
                short(exchange),
                short(pattern.as_str()),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .map_err(Failure::new(format!("a queue bound to exchange `{exchange}`")))?;
    }
    Ok(())
}

pub(super) fn arguments(spec: &QueueSpec) -> FieldTable {
    let mut arguments = FieldTable::default();
    let mut set = |name: &str, value: AMQPValue| {
        arguments.insert(short(name), value);
    };
    let text = |text: &str| AMQPValue::LongString(LongString::from(text));
    match spec.kind {
        QueueKind::Quorum => set("x-queue-type", text("quorum")),
        // Signed, as Celery's side sends it: an unsigned one would be another argument to RabbitMQ.
        QueueKind::ClassicWithPriority(most) => set("x-max-priority", AMQPValue::LongInt(i32::from(most))),
    }
    if let Some(dead_letter) = &spec.dead_letter {
        set("x-dead-letter-exchange", text(""));
        set("x-dead-letter-routing-key", text(dead_letter));
        if spec.kind == QueueKind::Quorum {
            // Without both, a dead-lettered message may get lost on its way.
            set("x-dead-letter-strategy", text("at-least-once"));
            set("x-overflow", text("reject-publish"));
        }
    }
    arguments
}

/// A name, cut to what AMQP carries. Callers check the length of what users choose; the cut is there not to panic.
pub(super) fn short(name: &str) -> ShortString {
    let mut end = name.len().min(255);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    convert::short("name", &name[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_argument_that_differs() {
        let told = "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received \
                    'classic' but current is 'quorum'";
        assert_eq!(conflicting_argument(told), Some("x-queue-type"));
        assert!(remedy("queue `q`", "x-queue-type").contains("set `kind`"));
        assert!(!remedy("exchange `x`", "type").contains("set"));
        assert_eq!(conflicting_argument("NOT_FOUND - no queue 'q' in vhost '/'"), None);
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(short("orders").as_str(), "orders");
        assert_eq!(short(&"\u{fc}".repeat(200)).as_str().len(), 254);
    }
}
