//! A contract as the registry stores it: one row, every reference bundled, nothing that points to a file.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Fingerprint, Topic, Version};

/// Whether an event is told to everyone or asks one service for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Published to every subscriber, no answer.
    Broadcast,
    /// Called: one service answers with the response or the declared error.
    Rpc,
}

impl Mode {
    /// `broadcast` or `rpc`, as the registry's table has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Rpc => "rpc",
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether publishers should still use a contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In use.
    #[default]
    Active,
    /// Still valid; a successor exists.
    Deprecated,
}

/// One contract, self-contained: what a release writes to the registry and what a subscriber reads from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContractRecord {
    /// The topic.
    pub topic: Topic,
    /// The version.
    pub version: Version,
    /// Broadcast or RPC.
    pub mode: Mode,
    /// The schema of the payload (of the request for RPC), references bundled.
    pub schema: Value,
    /// The schema of an RPC's response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_schema: Option<Value>,
    /// The schema of an RPC's declared error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_schema: Option<Value>,
    /// For people; empty when the schema has none.
    #[serde(default)]
    pub description: String,
    /// Over everything above that changes meaning.
    pub fingerprint: Fingerprint,
    /// The crate (or Python module) that publishes it, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher_module: Option<String>,
    /// The type that publishes it, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher_class: Option<String>,
    /// Whether publishers should still use it.
    #[serde(default)]
    pub status: Status,
}
