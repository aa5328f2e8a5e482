//! `celerysalt publish`: one event, by hand.

use std::time::Duration;

use celerysalt::{PublishError, Receipt};
use clap::Args;
use serde_json::json;

use super::send::{Sending, seconds};
use crate::output::{Report, Stop, Style, escape, lines};

/// Publish one event, checked against its contract
///
/// The contract is looked up in the schemas folder, or in a registry, which is only read. Prints the receipt once the broker
/// has confirmed the event. Exit status 1 when the contract refuses the payload, or when no queue would get the event.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  celerysalt publish pulse.risk.created --file event.json\n  \
    echo '{\"assessment_id\": \"RA-1\", \"company_id\": 7, \"risk_score\": 8.5}' | \\\n    \
    celerysalt publish pulse.risk.created@v1 --broker amqp://guest:guest@localhost:5672/\n  \
    celerysalt publish pulse.risk.created --registry postgres://reader@db/contracts --file event.json --format json")]
pub(crate) struct Publish {
    #[command(flatten)]
    sending: Sending,
    /// How long the event is worth delivering, in seconds; without it, for ever
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    expiration: Option<Duration>,
    /// It is fine when no queue gets the event: it is gone then
    #[arg(long)]
    allow_unrouted: bool,
}

impl Publish {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        let (topic, payload) = (self.sending.topic(), self.sending.payload()?);
        let contract = self.sending.contract(false).await?;
        let version = contract.version.to_string();
        let salt = self.sending.connect(&contract).await?;
        let mut publish = salt.publish_text(topic, &payload).version(&version);
        if let Some(priority) = self.sending.priority {
            publish = publish.priority(priority);
        }
        if let Some(id) = &self.sending.correlation_id {
            publish = publish.correlation_id(id);
        }
        if let Some(expiration) = self.expiration {
            publish = publish.expiration(expiration);
        }
        if self.allow_unrouted {
            publish = publish.allow_unrouted();
        }
        let outcome = publish.await;
        salt.close().await;
        match outcome {
            Ok(receipt) => Ok(published(&format!("{topic}@{version}"), &receipt, style)),
            Err(PublishError::Invalid(invalid)) => Ok(self.sending.invalid(&invalid, style)),
            Err(PublishError::Unroutable { exchange, routing_key, in_process, .. }) => Ok(Report {
                findings: true,
                text: lines(&[
                    format!("{}: {topic}@{version}: nobody would get it", style.bad("not published")),
                    format!("  no queue is bound to exchange `{exchange}` for `{routing_key}`"),
                    if in_process {
                        "  to mend it: it went to the broker within this command (memory:), where nobody can subscribe: name \
                         RabbitMQ by CELERYSALT_BROKER_URL or --broker, such as amqp://user:password@host:5672/vhost"
                    } else {
                        "  to mend it: start a subscriber once (its queue stays), or look with `celerysalt doctor --service \
                         NAME` what its queue is bound to; --allow-unrouted publishes all the same"
                    }
                    .to_owned(),
                ]),
                summary: String::new(),
                json: json!({
                    "published": false,
                    "unroutable": {"exchange": exchange, "routing_key": routing_key},
                    "topic": topic,
                    "version": version,
                }),
            }),
            Err(PublishError::Transport { source, .. }) => Err(super::dlq::stop(&source)),
            Err(error) => Err(Stop::failed("publish", error.to_string())),
        }
    }
}

fn published(contract: &str, receipt: &Receipt, style: Style) -> Report {
    let routed = if receipt.routed { "" } else { ", and no queue took it" };
    Report {
        findings: false,
        text: lines(&[
            format!("{}: {}{routed}", style.good("published"), escape(contract)),
            format!("  id           {receipt}"),
            format!("  at           {}", receipt.timestamp),
            format!("  exchange     {}", escape(&receipt.exchange)),
            format!("  routing key  {}", escape(&receipt.routing_key)),
        ]),
        summary: String::new(),
        json: json!({
            "published": true,
            "id": receipt.message_id,
            "timestamp": receipt.timestamp.to_string(),
            "exchange": receipt.exchange,
            "routing_key": receipt.routing_key,
            "routed": receipt.routed,
        }),
    }
}
