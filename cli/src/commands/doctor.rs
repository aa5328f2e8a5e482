//! `celerysalt doctor`: what is wrong with a broker, a service's queues, a registry, a folder and the environment, and what
//! mends it.

mod broker;
mod environment;
mod management;
mod registry;

use std::path::PathBuf;

use celerysalt::{BROKER_URL_VARIABLE, DEFAULT_EXCHANGE};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::{
    contracts::{REGISTRY_URL, SCHEMAS},
    output::{Report, Stop, Style, escape, lines, plural},
    progress::Line,
};

/// Find what is wrong with a broker, a service's queues, a registry and a schemas folder, and say what mends it
///
/// Changes nothing. Looks at what it is given: the environment; the broker and its exchange, with --broker; a service's queues,
/// their arguments, depth and consumers, with --service too; the registry's tables and this user's rights, with --registry; and
/// whether folder, lock and registry agree, where there is a schemas folder. Exit status 1 when something is wrong.
///
/// RabbitMQ tells nobody by AMQP what a queue is bound to: its management plugin does, with --management. With a registry too,
/// bindings are held against what the service was seen to handle.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  celerysalt doctor --service billing --broker amqp://guest:guest@localhost:5672/ \\\n    \
    --registry postgres://reader@db/contracts\n  \
    CELERYSALT_BROKER_URL=amqp://ops@broker/ celerysalt doctor --service billing --service mail --format json"
)]
pub(crate) struct Doctor {
    /// Services whose queues are looked at, by the names that they connect with
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// The broker, such as amqp://user:password@host:5672/vhost
    #[arg(long, value_name = "URL", env = BROKER_URL_VARIABLE, hide_env_values = true)]
    broker: Option<String>,
    /// The registry, such as postgres://user:password@host/database
    #[arg(long, value_name = "URL", env = REGISTRY_URL, hide_env_values = true)]
    registry: Option<String>,
    /// The exchange that the events go through
    #[arg(long, value_name = "NAME", default_value = DEFAULT_EXCHANGE)]
    exchange: String,
    /// RabbitMQ's management plugin, such as http://user:password@host:15672, which tells what queues are bound to
    #[arg(long, value_name = "URL", env = "CELERYSALT_MANAGEMENT_URL", hide_env_values = true)]
    management: Option<String>,
    /// Folder of the contracts [default: schemas, when there is one]
    #[arg(long, value_name = "DIR")]
    schemas: Option<PathBuf>,
}

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Ok,
    /// Worth knowing, and nothing to mend.
    Note,
    /// Could not be looked at.
    Unseen,
    /// To be mended.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    verdict: Verdict,
    /// Stable, for programs.
    kind: &'static str,
    /// Which broker, queue, table or file.
    about: String,
    /// What is the case.
    what: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn ok(kind: &'static str, about: impl Into<String>, what: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, kind, about: about.into(), what: what.into(), mend: None }
    }

    fn wrong(kind: &'static str, about: impl Into<String>, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { verdict: Verdict::Wrong, mend: Some(mend.into()), ..Self::ok(kind, about, what) }
    }

    fn note(kind: &'static str, about: impl Into<String>, what: impl Into<String>) -> Self {
        Self { verdict: Verdict::Note, ..Self::ok(kind, about, what) }
    }

    fn unseen(kind: &'static str, about: impl Into<String>, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unseen, mend: Some(mend.into()), ..Self::ok(kind, about, what) }
    }

    fn with_mend(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }

    fn lines(&self, style: Style) -> Vec<String> {
        let (word, about) = (self.verdict, escape(&self.about));
        let word = match word {
            Verdict::Ok => style.good("ok    "),
            Verdict::Note => style.notable("note  "),
            Verdict::Unseen => style.notable("unseen"),
            Verdict::Wrong => style.bad("wrong "),
        };
        let mut said = vec![format!("{word}  {}: {}", style.bold(&about), escape(&self.what))];
        let to = if self.verdict == Verdict::Unseen { "to see it" } else { "to mend it" };
        said.extend(self.mend.as_ref().map(|mend| format!("        {to}: {}", escape(mend))));
        said
    }
}

impl Doctor {
    pub(crate) async fn run(self, style: Style) -> Result<Report, Stop> {
        let folder = self.schemas.clone().or_else(|| {
            let usual = PathBuf::from(SCHEMAS);
            usual.is_dir().then_some(usual)
        });
        if self.broker.is_none() && self.registry.is_none() && folder.is_none() {
            return Err(Stop::failed(
                "arguments",
                "there is nothing to look at: give --broker, --registry or --schemas, or set CELERYSALT_BROKER_URL or \
                 CELERYSALT_REGISTRY_URL",
            ));
        }
        if self.broker.is_none() && !self.services.is_empty() {
            return Err(Stop::failed("arguments", "--service names queues of a broker: give --broker too"));
        }
        let looking = Line::of(style, "looking");
        let mut findings = environment::look();
        if let Some(broker) = &self.broker {
            let management = self.management.as_deref();
            let handled = registry::handled(self.registry.as_deref()).await;
            findings.extend(broker::look(broker, &self.exchange, &self.services, management, &handled).await);
        }
        findings.extend(registry::look(self.registry.as_deref(), folder.as_deref()).await);
        drop(looking);
        Ok(report(&findings, style))
    }
}

fn report(findings: &[Finding], style: Style) -> Report {
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (wrong, unseen) = (count(Verdict::Wrong), count(Verdict::Unseen));
    let said: Vec<String> = findings.iter().flat_map(|finding| finding.lines(style)).collect();
    let looked = format!("looked at {} {}", findings.len(), plural(findings.len(), "thing"));
    let summary = match (wrong, unseen) {
        (0, 0) => format!("{looked}: all is well"),
        (0, unseen) => format!("{looked}: nothing is wrong; {unseen} could not be seen"),
        (wrong, _) => format!("{looked}: {wrong} to mend"),
    };
    Report {
        findings: wrong > 0,
        text: lines(&said),
        summary,
        json: json!({"wrong": wrong, "unseen": unseen, "findings": findings}),
    }
}
