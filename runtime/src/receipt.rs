//! What a publisher is told of a message that the broker has confirmed.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

/// What is known of an event after the broker has confirmed it. Prints as the message id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Receipt {
    /// Identifies the message; subscribers see it as `Meta::message_id`.
    pub message_id: String,
    /// When it was handed to the transport, UTC.
    #[serde(serialize_with = "as_text")]
    pub timestamp: Timestamp,
    /// The exchange.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// Whether the broker confirmed it. Always true: without a confirm there is an error, not a receipt.
    pub confirmed: bool,
    /// Whether at least one queue has it. False only with `.allow_unrouted()`.
    pub routed: bool,
}

fn as_text<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message_id)
    }
}
