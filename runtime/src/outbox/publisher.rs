//! A batch of events on its way to the broker, and what became of each.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use tokio::{sync::watch, task::JoinSet};

use super::{claim::Refused, row::Row};
use crate::transport::{Confirmation, Routing, Transport, TransportError};

/// What is kept of a reason, in bytes.
const REASON_BYTES: usize = 1_000;

/// What became of a batch. Events that are in none of the lists were not tried to the end, and are as they were.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) confirmed: Vec<i64>,
    pub(super) refused: Refused,
    /// The broker is away.
    pub(super) away: Option<TransportError>,
    /// The transport was closed for good.
    pub(super) closed: bool,
}

impl Sent {
    fn settle(&mut self, row: &Row, outcome: Result<Routing, TransportError>) -> bool {
        let reason = match outcome {
            Ok(Routing::Routed) => {
                self.confirmed.push(row.id);
                return true;
            }
            Ok(_) if row.allow_unrouted => {
                self.confirmed.push(row.id);
                return true;
            }
            Ok(_) => {
                let (exchange, key) =
                    row.message.as_ref().map_or(("", ""), |message| (&message.exchange, &message.routing_key));
                format!("unroutable: no queue is bound to exchange `{exchange}` for `{key}`; start a subscriber once")
            }
            Err(TransportError::Closed) => {
                self.closed = true;
                return false;
            }
            Err(error @ TransportError::Unavailable { .. }) => {
                self.away.get_or_insert(error);
                return false;
            }
            Err(error) => error.to_string(),
        };
        self.refuse(row, &reason);
        false
    }

    fn refuse(&mut self, row: &Row, reason: &str) {
        tracing::warn!(id = row.id, topic = row.topic, reason, "the broker did not take an event of the outbox");
        let mut end = reason.len().min(REASON_BYTES);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        self.refused.push((row.id, reason[..end].replace('\0', "\u{fffd}")));
    }

    fn add(&mut self, other: Self) {
        self.confirmed.extend(other.confirmed);
        self.refused.extend(other.refused);
        self.away = self.away.take().or(other.away);
        self.closed |= other.closed;
    }
}

/// Sends all of them together.
pub(super) async fn side_by_side(transport: &dyn Transport, rows: Vec<Row>) -> Sent {
    let mut sent = Sent::default();
    let (mut sendable, mut messages) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in &rows {
        match &row.message {
            Ok(message) => {
                sendable.push(row);
                messages.push(message.clone());
            }
            Err(reason) => sent.refuse(row, reason),
        }
    }
    let mut in_flight: Vec<(&Row, Confirmation)> = Vec::with_capacity(sendable.len());
    for (row, outcome) in sendable.into_iter().zip(transport.send_all(messages).await) {
        match outcome {
            Ok(confirmation) => in_flight.push((row, confirmation)),
            Err(error) => {
                sent.settle(row, Err(error));
                if sent.away.is_some() || sent.closed {
                    // So it is for the others, which were not tried.
                    break;
                }
            }
        }
    }
    for (row, confirmation) in in_flight {
        let outcome = confirmation.await;
        sent.settle(row, outcome);
    }
    sent
}

/// Sends the events of a key one after the other, each once the one before it is confirmed, and those of other keys
/// meanwhile. A key ends with its first event that is not confirmed, and before the next one when it is time to stop.
pub(super) async fn in_order(transport: &Arc<dyn Transport>, rows: Vec<Row>, stop: &watch::Receiver<bool>) -> Sent {
    let mut keys: BTreeMap<Option<String>, Vec<Row>> = BTreeMap::new();
    for row in rows {
        keys.entry(row.key.clone()).or_default().push(row);
    }
    // Dropped with this future: then nothing goes on in the background.
    let mut running = JoinSet::new();
    for rows in keys.into_values() {
        running.spawn(one_key(Arc::clone(transport), rows, stop.clone()));
    }
    let mut sent = Sent::default();
    while let Some(ended) = running.join_next().await {
        // A key whose task did not end well is as it was.
        sent.add(ended.unwrap_or_default());
    }
    sent
}

async fn one_key(transport: Arc<dyn Transport>, rows: Vec<Row>, stop: watch::Receiver<bool>) -> Sent {
    let mut sent = Sent::default();
    for mut row in rows {
        if *stop.borrow() {
            break;
        }
        let message = match &row.message {
            Ok(message) => message.clone(),
            Err(reason) => {
                let reason = reason.clone();
                sent.refuse(&row, &reason);
                break;
            }
        };
        let outcome = match transport.send(message).await {
            Ok(confirmation) => confirmation.await,
            Err(error) => Err(error),
        };
        if let Ok(message) = &mut row.message {
            message.body = bytes::Bytes::new();
        }
        if !sent.settle(&row, outcome) {
            break;
        }
    }
    sent
}

/// The ids of as many events as fit into `bytes`, at least one.
pub(super) fn fitting(taken: &[(i64, usize)], bytes: usize) -> HashSet<i64> {
    let mut sum = 0_usize;
    let fits = |(_, size): &&(i64, usize)| {
        sum = sum.saturating_add(*size);
        sum <= bytes
    };
    let count = taken.iter().take_while(fits).count().max(1).min(taken.len());
    taken[..count].iter().map(|(id, _)| *id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_as_large_as_fits_and_never_empty() {
        let taken = [(1, 10), (2, 10), (3, 10)];
        assert_eq!(fitting(&taken, 20), HashSet::from([1, 2]));
        assert_eq!(fitting(&taken, 1), HashSet::from([1]));
        assert_eq!(fitting(&[], 20), HashSet::new());
    }
}
