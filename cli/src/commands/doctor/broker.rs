//! A broker, its exchange, and the queues of services.

use std::collections::BTreeSet;

use celerysalt::{
    registry::{Seen, Side},
    service::ServiceQueues,
    transport::{
        QueueSpec, TransportError,
        amqp::{
            AmqpOptions,
            inspect::{Inspector, Likeness, QueueState},
        },
    },
};

use super::{Finding, management::Management};
use crate::output::plural;

/// `management` is the URL of the management plugin, `handled` what the registry says that services handle.
pub(super) async fn look(
    url: &str,
    exchange: &str,
    services: &[String],
    management: Option<&str>,
    handled: &[Seen],
) -> Vec<Finding> {
    if url.starts_with("memory:") {
        let what = "memory: is a broker within one process: there is nothing to look at from outside";
        return vec![Finding::note("broker", url, what)];
    }
    let inspector = match Inspector::connect(url, AmqpOptions::new().connection_name("celerysalt doctor")).await {
        Ok(inspector) => inspector,
        Err(error) => return vec![unreachable(&error)],
    };
    let mut findings =
        vec![Finding::ok("broker", inspector.broker(), "it answers, and takes this user and virtual host")];
    findings.push(of_exchange(&inspector, exchange).await);
    let management = management.map(Management::of).transpose().unwrap_or_else(|refused| {
        findings.push(Finding::wrong("management", "--management", refused, "correct the URL"));
        None
    });
    for service in services {
        findings.extend(of_service(&inspector, service).await);
        match &management {
            Some(management) => findings.extend(bindings(&inspector, management, service, exchange, handled)),
            None => findings.push(Finding::unseen(
                "bindings",
                format!("service {service}"),
                "AMQP has no way to ask what a queue is bound to; a running service declares its bindings again every 15 s",
                "--management http://user:password@host:15672, where RabbitMQ has its management plugin; or `rabbitmqctl \
                 list_bindings source_name destination_name routing_key`",
            )),
        }
    }
    inspector.close().await;
    findings
}

/// What is wrong with a broker that could not be connected to.
fn unreachable(error: &TransportError) -> Finding {
    let (kind, about, mend) = match error {
        TransportError::Unavailable { broker, .. } => (
            "broker-unavailable",
            broker.clone(),
            "see that it runs, and that its host and port are those of the URL and can be reached from here",
        ),
        TransportError::Refused { broker, what, .. } if what.starts_with("virtual host") => (
            "broker-refused",
            broker.clone(),
            "`rabbitmqctl list_vhosts` says which there are, `rabbitmqctl list_permissions -p VHOST` who may use one; in a URL \
             the virtual host `/` is `/` or `/%2f`",
        ),
        TransportError::Refused { broker, .. } => (
            "broker-refused",
            broker.clone(),
            "correct user name and password in the URL (special characters %-escaped); `rabbitmqctl authenticate_user USER \
             PASSWORD` tries them at the broker, and `guest` is taken from the broker's own machine only",
        ),
        TransportError::Url { .. } => ("broker-url", "the broker".to_owned(), "correct the URL"),
        _ => ("broker", "the broker".to_owned(), "see the broker's log"),
    };
    Finding::wrong(kind, about, error.to_string(), mend)
}

/// What could not be asked.
fn unasked(kind: &'static str, about: String, error: &TransportError) -> Finding {
    Finding::unseen(kind, about, error.to_string(), "try again; see the broker's log, and what this user may do there")
}

async fn of_exchange(inspector: &Inspector, name: &str) -> Finding {
    let (kind, about) = ("exchange", format!("exchange {name}"));
    match inspector.has_exchange(name).await {
        Err(error) => return unasked(kind, about, &error),
        Ok(false) => {
            return Finding::wrong(
                "exchange-missing",
                about,
                "there is no such exchange in this virtual host",
                "a service that starts with handlers makes it: start one, and see that it uses this broker, virtual host and \
                 exchange",
            );
        }
        Ok(true) => {}
    }
    match inspector.exchange_is_usual(name).await {
        Ok(Likeness::Same) => Finding::ok(kind, about, "it is there, a durable topic exchange"),
        Ok(Likeness::Other { told, .. }) => Finding::wrong(
            "exchange-differs",
            about,
            format!("it is no durable topic exchange without arguments: {told}"),
            "services and Python's workers can't use it: have them use another name, or delete it once nobody needs it \
             (`rabbitmqadmin delete exchange`) and start a service",
        ),
        Ok(Likeness::Untold { reason }) => untold(kind, about, &reason),
        Ok(_) => Finding::note(kind, about, "it is there"),
        Err(error) => unasked(kind, about, &error),
    }
}

fn untold(kind: &'static str, about: String, reason: &str) -> Finding {
    Finding::unseen(
        kind,
        about,
        format!("it is there; whether it is as it should be is told only to who may configure it: {reason}"),
        "use the service's own user",
    )
}

async fn of_service(inspector: &Inspector, service: &str) -> Vec<Finding> {
    let queues = ServiceQueues::of(service);
    let mut findings = Vec::new();
    let mut seen = 0;
    for (spec, of) in [(&queues.events, "events"), (&queues.requests, "requests")] {
        let about = format!("queue {}", spec.name);
        match inspector.queue(&spec.name).await {
            Ok(Some(state)) => {
                seen += 1;
                findings.push(arguments(inspector, spec, &queues).await);
                findings.push(consumers(about, state, of));
            }
            Ok(None) => {
                findings.push(Finding::note("queue", about, format!("it is not there: {service} handles no {of}")));
            }
            Err(error) => findings.push(unasked("queue", about, &error)),
        }
    }
    if seen == 0 {
        findings.clear();
        findings.push(Finding::wrong(
            "service-unknown",
            format!("service {service}"),
            "it has neither a queue for events nor one for requests in this virtual host",
            "start it once; see that its name (Salt::builder, Salt::connect_env) and its virtual host are these",
        ));
        return findings;
    }
    findings.extend(dead_letters(inspector, &queues.dead, service).await);
    for name in ServiceQueues::waiting(service) {
        if let Ok(Some(QueueState { messages: 1.., .. })) = inspector.queue(&name).await {
            let what = "messages wait in it for another try of their handlers, for a while";
            findings.push(Finding::note("retries", format!("queue {name}"), what));
        }
    }
    findings
}

/// Whether a queue is as its service would declare it.
async fn arguments(inspector: &Inspector, spec: &QueueSpec, queues: &ServiceQueues) -> Finding {
    let (kind, about) = ("queue", format!("queue {}", spec.name));
    let likeness = match inspector.queue_is(spec).await {
        Ok(likeness) => likeness,
        Err(error) => return unasked(kind, about, &error),
    };
    match likeness {
        Likeness::Same => Finding::ok(kind, about, "its arguments are those that its service declares"),
        Likeness::Untold { reason } => untold(kind, about, &reason),
        Likeness::Other { argument, told } => {
            let classic = queues.events_with_priorities();
            if spec.name == classic.name && matches!(inspector.queue_is(&classic).await, Ok(Likeness::Same)) {
                let what =
                    "it is a classic queue with priorities: right for a service with .classic_queue_with_priorities()";
                return Finding::note(kind, about, what).with_mend(
                    "without that call in the service, delete the queue once it is empty, and start the service",
                );
            }
            let argument = argument.map_or_else(|| "an argument".to_owned(), |argument| format!("`{argument}`"));
            Finding::wrong(
                "queue-differs",
                about,
                format!("{argument} is not what the service declares, so the service does not start: {told}"),
                format!(
                    "a queue's arguments can't change: stop who publishes, let a running instance empty it, \
                     `rabbitmqctl delete_queue {} --if-empty`, start the service",
                    spec.name
                ),
            )
        }
        _ => Finding::note(kind, about, "it is there"),
    }
}

fn consumers(about: String, state: QueueState, of: &str) -> Finding {
    let waiting = format!("{} {} waiting", state.messages, plural(state.messages as usize, "message"));
    match state.consumers {
        0 if of == "requests" => Finding::wrong(
            "no-consumer",
            about,
            format!("nobody answers, {waiting}: calls time out"),
            "start an instance of the service; if it runs, its log says why it lost the queue",
        ),
        0 => Finding::wrong(
            "no-consumer",
            about,
            format!("nobody consumes it, {waiting}: nothing is lost, and nothing is handled"),
            "start an instance of the service; if it runs, its log says why it lost the queue",
        ),
        consumers => Finding::ok(
            "consumers",
            about,
            format!("{consumers} {}, {waiting}", plural(consumers as usize, "consumer")),
        ),
    }
}

async fn dead_letters(inspector: &Inspector, spec: &QueueSpec, service: &str) -> Vec<Finding> {
    let about = format!("queue {}", spec.name);
    match inspector.queue(&spec.name).await {
        Err(error) => vec![unasked("dead-letters", about, &error)],
        Ok(None) => vec![Finding::wrong(
            "dead-letters-missing",
            about,
            "it is not there: what the service gives up on has nowhere to go, and stays with the service",
            "start an instance of the service, which makes it",
        )],
        Ok(Some(QueueState { messages: 0, .. })) => vec![Finding::ok("dead-letters", about, "no dead letters")],
        Ok(Some(QueueState { messages, .. })) => vec![Finding::wrong(
            "dead-letters",
            about,
            format!("{messages} dead {}", plural(messages as usize, "letter")),
            format!(
                "`celerysalt dlq show --service {service}` says why; when the reason is gone, `celerysalt dlq replay --service \
                 {service}`"
            ),
        )],
    }
}

/// What a service's queues are bound to, beside what the registry says that it handles.
fn bindings(
    inspector: &Inspector,
    management: &Management,
    service: &str,
    exchange: &str,
    handled: &[Seen],
) -> Vec<Finding> {
    let queues = ServiceQueues::of(service);
    let mut bound = BTreeSet::new();
    for queue in [&queues.events.name, &queues.requests.name] {
        match management.bindings(inspector.virtual_host(), queue) {
            Ok(bindings) => bound.extend(bindings),
            Err(error) => {
                let what = format!("its bindings are not known: {error}");
                let mend =
                    "see that the management plugin is on, at this URL, and that the user has the tag `monitoring`";
                return vec![Finding::wrong("management", management.place(), what, mend)];
            }
        }
    }
    let mine = handled.iter().map(|seen| &seen.sighting);
    let mine = mine.filter(|sighting| sighting.side == Side::Subscriber && sighting.service == service);
    let wanted: BTreeSet<&str> = mine.map(|sighting| sighting.contracts.pattern.as_str()).collect();
    let keys: BTreeSet<&str> = bound.iter().map(|bound| bound.routing_key.as_str()).collect();
    let mut findings: Vec<Finding> = wanted
        .difference(&keys)
        .map(|pattern| {
            Finding::wrong(
                "binding-missing",
                format!("service {service}"),
                format!("the registry says that it handles `{pattern}`, and no queue of it is bound for that: it gets none"),
                "a running instance binds it again within 15 s; if the service handles it no more, there is nothing to mend",
            )
        })
        .collect();
    let said: Vec<String> = bound.iter().map(|bound| format!("`{}` at {}", bound.routing_key, bound.source)).collect();
    let what = if said.is_empty() { "nothing".to_owned() } else { said.join(", ") };
    findings.push(Finding::ok("bindings", format!("service {service}"), format!("its queues are bound to {what}")));
    if !wanted.is_empty() {
        findings.extend(keys.difference(&wanted).map(|key| {
            let what =
                format!("`{key}` is bound, and the registry knows no handler of it: its messages become dead letters");
            Finding::note("binding-left", format!("service {service}"), what).with_mend(format!(
                "if nothing handles it any more: `rabbitmqadmin delete binding` of {exchange} and `{key}`"
            ))
        }));
    }
    findings
}
