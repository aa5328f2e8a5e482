//! How many dead letters services have, as their broker says.

use std::{sync::Arc, time::Duration};

use celerysalt::{
    letters,
    transport::{self, Transport, TransportError},
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};

use crate::DeadLetters;

/// Pages do not wait longer for a broker.
const PATIENCE: Duration = Duration::from_secs(3);

/// A broker that is asked, connected to when it is first needed.
#[derive(Debug)]
pub(super) struct Broker {
    url: String,
    transport: Mutex<Option<Arc<dyn Transport>>>,
}

impl Broker {
    pub(super) fn new(url: String) -> Self {
        Self { url, transport: Mutex::new(None) }
    }

    /// Of each service; whatever is wrong is told in place of the number.
    pub(super) async fn count(&self, services: Vec<String>) -> Vec<DeadLetters> {
        let end = Instant::now() + PATIENCE;
        let slow = || format!("the broker has not answered within {} s", PATIENCE.as_secs());
        let transport = timeout_at(end, self.transport()).await.unwrap_or_else(|_| Err(slow()));
        let mut counts = Vec::with_capacity(services.len());
        for service in services {
            let count = match &transport {
                Ok(transport) => {
                    let letters = letters::DeadLetters::new(Arc::clone(transport), service.clone());
                    match timeout_at(end, letters.look(0)).await {
                        Ok(Ok(looked)) => Ok(looked.more),
                        Ok(Err(TransportError::Refused { reason, .. })) if reason.contains("no such queue") => {
                            Err(format!("this broker has no queue {}", letters.queue()))
                        }
                        Ok(Err(error)) => Err(error.to_string()),
                        Err(_) => Err(slow()),
                    }
                }
                Err(why) => Err(why.clone()),
            };
            counts.push(DeadLetters::new(service, count));
        }
        counts
    }

    async fn transport(&self) -> Result<Arc<dyn Transport>, String> {
        let mut known = self.transport.lock().await;
        if let Some(transport) = &*known {
            return Ok(Arc::clone(transport));
        }
        let transport = transport::connect(&self.url, "celerysalt serve").await.map_err(|error| error.to_string())?;
        *known = Some(Arc::clone(&transport));
        Ok(transport)
    }
}
