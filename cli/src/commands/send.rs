//! What `publish` and `call` have in common: one message from a person, checked against a contract that is only read.

use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use celerysalt::{
    ConnectError, ContractRecord, DEFAULT_EXCHANGE, Invalid, Mode, Salt, Selector,
    registry::{Registry, memory::MemoryRegistry},
};
use clap::Args;
use serde_json::{Value, json};

use super::dlq::stop;
use crate::{
    contracts::{Source, newest},
    output::{Report, Stop, Style, escape, lines, plural},
};

/// A message to be sent.
#[derive(Debug, Args)]
pub(crate) struct Sending {
    /// The topic; of its contracts the newest, unless @VERSION follows
    #[arg(value_name = "TOPIC[@VERSION]")]
    selector: Selector,
    #[command(flatten)]
    source: Source,
    /// The broker, such as amqp://user:password@host:5672/vhost
    #[arg(long, value_name = "URL", env = celerysalt::BROKER_URL_VARIABLE, hide_env_values = true)]
    broker: String,
    /// The exchange of contracts that name none
    #[arg(long, value_name = "NAME", default_value = DEFAULT_EXCHANGE)]
    exchange: String,
    /// The payload: a file with one JSON object; - is standard input, which is read unless a file is named
    #[arg(long, value_name = "FILE", default_value = "-", hide_default_value = true)]
    file: PathBuf,
    /// Who the sender is said to be
    #[arg(long = "as", value_name = "NAME", default_value = "celerysalt-cli")]
    sender: String,
    /// From 0 to 10, higher first, where the queue has priorities
    #[arg(long, value_name = "PRIORITY", value_parser = clap::value_parser!(u8).range(0..=10))]
    pub(crate) priority: Option<u8>,
    /// What ties this message to others
    #[arg(long, value_name = "ID")]
    pub(crate) correlation_id: Option<String>,
}

impl Sending {
    pub(crate) fn topic(&self) -> &str {
        self.selector.pattern.as_str()
    }

    /// The payload's text.
    pub(crate) fn payload(&self) -> Result<String, Stop> {
        let refused = |reason: String| Stop::failed("payload", reason);
        if self.file.as_os_str() != "-" {
            let path = self.file.display();
            return fs::read_to_string(&self.file).map_err(|error| refused(format!("can't read {path}: {error}")));
        }
        if io::stdin().is_terminal() {
            eprintln!("reading the payload from standard input (Ctrl-D ends it); --file names a file");
        }
        let mut text = String::new();
        let read = io::stdin().lock().read_to_string(&mut text);
        read.map_err(|error| refused(format!("can't read standard input: {error}")))?;
        Ok(text)
    }

    /// The contract that counts.
    pub(crate) async fn contract(&self, is_called: bool) -> Result<ContractRecord, Stop> {
        let contracts = self.source.contracts(Some(&self.selector)).await?;
        let contract = newest(&self.selector, contracts)?;
        match (contract.mode, is_called) {
            (Mode::Rpc, false) => Err(Stop::failed(
                "arguments",
                format!("{} is a request, which one service answers: `celerysalt call {0}`", contract.topic),
            )),
            (Mode::Broadcast, true) => Err(Stop::failed(
                "arguments",
                format!("{} is a broadcast, which nobody answers: `celerysalt publish {0}`", contract.topic),
            )),
            _ => Ok(contract),
        }
    }

    /// A handle that knows this contract alone, so that a registry that was read is not written to.
    pub(crate) async fn connect(&self, contract: &ContractRecord) -> Result<Salt, Stop> {
        let known = Arc::new(MemoryRegistry::new());
        known.sync(std::slice::from_ref(contract), false).await?;
        let salt = Salt::builder(&self.sender).broker_url(&self.broker).exchange(&self.exchange).registry(known);
        salt.connect().await.map_err(|error| match error {
            ConnectError::Broker(error) => stop(&error),
            error => Stop::failed("connect", error.to_string()),
        })
    }

    /// What the contract has against the payload.
    pub(crate) fn invalid(&self, invalid: &Invalid, style: Style) -> Report {
        let shown = style.bold(&escape(&self.file.to_string_lossy()));
        let violations = invalid.violations();
        let said: Vec<String> =
            violations.iter().map(|violation| format!("{shown}: {}", escape(&violation.to_string()))).collect();
        let count = violations.len();
        Report {
            findings: true,
            text: lines(&said),
            summary: format!(
                "{}: nothing was sent: {count} {} of {}",
                style.bad("error"),
                plural(count, "violation"),
                self.selector
            ),
            json: json!({"published": false, "topic": self.topic(), "violations": violations}),
        }
    }
}

/// A JSON text as a tree, for a report; as text where a tree would not keep it.
pub(crate) fn tree(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// Seconds, with or without a fraction.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let refused = || format!("`{text}` is no number of seconds, such as 30 or 0.5");
    let seconds: f64 = text.parse().map_err(|_| refused())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| refused())?;
    if duration.is_zero() { Err(refused()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_positive_seconds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for refused in ["", "-1", "0", "NaN", "1e300", "5s"] {
            assert!(seconds(refused).is_err(), "{refused}");
        }
    }
}
