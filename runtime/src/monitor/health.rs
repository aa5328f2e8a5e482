//! How a service stands, in one value.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Salt;
pub use crate::telemetry::Consuming;

/// How a service stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The service's name.
    pub service: String,
    /// Whether the broker is connected, as far as is known without asking it.
    pub broker_connected: bool,
    /// By the queue's name. Empty for a service that only publishes, and for one that has not started yet.
    pub consumers: BTreeMap<String, Consuming>,
    /// Whether the registry was there at the last try.
    pub registry_reachable: bool,
    /// How many contracts wait to be registered.
    pub registry_pending: usize,
}

#[derive(Serialize)]
struct Written<'h> {
    status: &'static str,
    service: &'h str,
    broker: &'static str,
    consumers: BTreeMap<&'h str, &'static str>,
    registry: &'static str,
    registry_pending: usize,
}

impl Health {
    pub(super) fn of(salt: &Salt) -> Self {
        let (pending, away) = salt.registration().backlog();
        Self {
            service: salt.service_name().to_owned(),
            broker_connected: salt.transport().is_connected(),
            consumers: salt.consumers().by_queue(),
            registry_reachable: !away,
            registry_pending: pending,
        }
    }

    /// Whether the broker is connected and every queue is consumed.
    pub fn is_ready(&self) -> bool {
        self.broker_connected && self.consumers.values().all(|consuming| *consuming == Consuming::Running)
    }

    pub(super) fn to_json(&self) -> String {
        let written = Written {
            status: if self.is_ready() { "ready" } else { "unready" },
            service: &self.service,
            broker: if self.broker_connected { "connected" } else { "away" },
            consumers: self.consumers.iter().map(|(queue, consuming)| (queue.as_str(), consuming.as_str())).collect(),
            registry: if self.registry_reachable { "reachable" } else { "away" },
            registry_pending: self.registry_pending,
        };
        // Texts and numbers alone: it can't fail.
        serde_json::to_string(&written).unwrap_or_default()
    }
}
