//! `celerysalt call`: one request, by hand, and what comes back.

use std::time::Duration;

use celerysalt::{AnyReply, CallError};
use clap::Args;
use serde_json::{Value, json};

use super::{
    dlq::stop,
    send::{Sending, seconds, tree},
};
use crate::{
    output::{Format, Report, Stop, Style, escape, escape_lines, lines},
    progress::Line,
};

/// Make one request, and print the reply
///
/// Request and reply are checked against the contract, which is looked up in the schemas folder, or in a registry, which is
/// only read. Exit status 1 when the service declines with its declared error (which is printed), when the contract refuses the
/// request or the reply, or when no reply comes in time.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  echo '{\"assessment_id\": \"RA-1\"}' | celerysalt call rpc.pulse.risk.get --timeout 5\n  \
    celerysalt call rpc.pulse.risk.get@v1 --file request.json --registry postgres://reader@db/contracts | jq .risk_score"
)]
pub(crate) struct Call {
    #[command(flatten)]
    sending: Sending,
    /// How long to wait for the reply, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    timeout: Duration,
}

impl Call {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        let (topic, payload) = (self.sending.topic(), self.sending.payload()?);
        let contract = self.sending.contract(true).await?;
        let version = contract.version.to_string();
        let salt = self.sending.connect(&contract).await?;
        let mut call = salt.call_text(topic, &payload).version(&version).timeout(self.timeout);
        if let Some(priority) = self.sending.priority {
            call = call.priority(priority);
        }
        if let Some(id) = &self.sending.correlation_id {
            call = call.correlation_id(id);
        }
        let waiting = Line::of(style, "waiting for the reply");
        let outcome = call.await;
        drop(waiting);
        salt.close().await;
        let failed = |kind: &str, text: Vec<String>, more: Value| {
            let mut json = json!({"topic": topic, "version": version, "outcome": kind});
            if let (Some(members), Value::Object(more)) = (json.as_object_mut(), more) {
                members.extend(more);
            }
            Ok(Report { findings: true, text: String::new(), summary: lines(&text), json })
        };
        let bad = |what: &str| style.bad(what);
        match outcome {
            Ok(reply) => Ok(Report {
                findings: false,
                // As it came, where a program reads it: numbers keep their digits.
                text: format!("{}\n", reply_text(&reply, style)),
                summary: String::new(),
                json: json!({
                    "topic": topic,
                    "version": version,
                    "outcome": "reply",
                    "id": reply.message_id(),
                    "reply": tree(reply.text()),
                }),
            }),
            Err(CallError::Declared(error)) => {
                let report = failed("declared-error", vec![], json!({"error": tree(error.text())}))?;
                let summary = format!("{}: the service declined{}", bad("error"), code(&error));
                Ok(Report { text: format!("{}\n", reply_text(&error, style)), summary, ..report })
            }
            Err(CallError::Invalid(invalid)) => Ok(self.sending.invalid(&invalid, style)),
            Err(CallError::Timeout { timeout, .. }) => failed(
                "timeout",
                vec![
                    format!("{}: {topic}@{version}: no reply within {timeout:?}", bad("error")),
                    "  the request has expired at the broker: nobody will run it later, unless somebody does just now".to_owned(),
                    "  to mend it: see with `celerysalt doctor --service NAME` whether an instance consumes requests; --timeout \
                     waits longer"
                        .to_owned(),
                ],
                json!({"timeout_ms": u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)}),
            ),
            Err(CallError::NoHandler { reason, .. }) => failed(
                "no-handler",
                vec![format!("{}: {topic}@{version}: nobody serves it: {}", bad("error"), escape(&reason))],
                json!({"reason": reason}),
            ),
            Err(CallError::HandlerFailed { message, .. }) => failed(
                "handler-failed",
                vec![format!("{}: {topic}@{version}: the handler failed: {}", bad("error"), escape_lines(&message))],
                json!({"message": message}),
            ),
            Err(CallError::TaskFailed { kind, message, .. }) => failed(
                "task-failed",
                vec![format!(
                    "{}: {topic}@{version}: the task failed on the serving side: {}: {}",
                    bad("error"),
                    escape(&kind),
                    escape_lines(&message)
                )],
                json!({"kind": kind, "message": message}),
            ),
            Err(CallError::InvalidReply { invalid, raw }) => {
                let report = failed("invalid-reply", vec![], json!({"violations": invalid.violations(), "reply": *raw}))?;
                let summary = format!("{}: {}", bad("error"), escape(&invalid.to_string()));
                Ok(Report { text: format!("{}\n", escape_lines(&format!("{raw:#}"))), summary, ..report })
            }
            Err(CallError::Transport { source, .. }) => Err(stop(&source)),
            Err(error) => Err(Stop::failed("call", error.to_string())),
        }
    }
}

/// For a person laid out, for a program as it came.
fn reply_text(reply: &AnyReply, style: Style) -> String {
    if style.terminal && style.format == Format::Text {
        escape_lines(&format!("{:#}", reply.value()))
    } else {
        reply.text().trim().to_owned()
    }
}

fn code(error: &AnyReply) -> String {
    let code = error.value().get("error_code").and_then(Value::as_str);
    code.map_or_else(String::new, |code| format!(": {}", escape(code)))
}
