//! What a service's queues are called, and what they are like: for the service, and for those who look after it.

use crate::{
    publish::MAX_PRIORITY,
    transport::{QueueKind, QueueSpec},
};

/// The queues of a service as it declares them, without their bindings, which are those of its handlers.
///
/// ```
/// use celerysalt::service::ServiceQueues;
///
/// let queues = ServiceQueues::of("billing");
/// assert_eq!(queues.dead.name, "celerysalt.billing.dead");
/// assert_eq!(queues.events.dead_letter, Some(queues.dead.name));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceQueues {
    /// Events; there when it handles any. A service may ask for a classic queue with priorities instead.
    pub events: QueueSpec,
    /// Requests; there when it serves any. An expired request is of no use to anyone, so it is not kept; calls overtake each
    /// other by priority.
    pub requests: QueueSpec,
    /// What it gave up on.
    pub dead: QueueSpec,
}

impl ServiceQueues {
    /// Those of the service of that name.
    pub fn of(service: &str) -> Self {
        let queue = |part: &str, kind, dead_letter| QueueSpec {
            name: format!("celerysalt.{service}.{part}"),
            kind,
            bindings: Vec::new(),
            dead_letter,
        };
        let dead = queue("dead", QueueKind::Quorum, None);
        Self {
            events: queue("events", QueueKind::Quorum, Some(dead.name.clone())),
            requests: queue("rpc", QueueKind::ClassicWithPriority(MAX_PRIORITY), None),
            dead,
        }
    }

    /// The events queue of a service that asked for `classic_queue_with_priorities`.
    pub fn events_with_priorities(&self) -> QueueSpec {
        QueueSpec { kind: QueueKind::ClassicWithPriority(MAX_PRIORITY), ..self.events.clone() }
    }

    /// The names of the queues in which messages wait for another try of their handlers; each is there once it was needed.
    pub fn waiting(service: &str) -> Vec<String> {
        let waiting = std::iter::once("waiting".to_owned());
        let tries = (1..super::retry::MOST_TRIES).map(|tries| format!("retry.{tries}"));
        waiting.chain(tries).map(|part| format!("celerysalt.{service}.{part}")).collect()
    }
}
