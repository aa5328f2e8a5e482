//! Values that a contract refuses: where, by which keyword, and what was expected; never the value itself.

use std::fmt;

use celerysalt_contract::{Version, Violation, Violations};
use serde::Serialize;

/// Which of a contract's schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The event, or an RPC's request.
    Payload,
    /// An RPC's response.
    Response,
    /// An RPC's declared error.
    Error,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Payload => "payload",
            Self::Response => "response",
            Self::Error => "declared error",
        })
    }
}

/// A value that its contract refuses: where, by which keyword, and what was expected; never the value itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Invalid {
    topic: String,
    version: Option<Version>,
    part: Part,
    violations: Violations,
}

impl Invalid {
    /// Violations of one contract.
    pub(crate) fn new(topic: impl Into<String>, version: Option<Version>, part: Part, violations: Violations) -> Self {
        Self { topic: topic.into(), version, part, violations }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The version, where it is known.
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Which of the contract's schemas refused it.
    pub fn part(&self) -> Part {
        self.part
    }

    /// Every violation.
    pub fn violations(&self) -> &[Violation] {
        self.violations.as_slice()
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.topic)?;
        if let Some(version) = &self.version {
            write!(f, "@{version}")?;
        }
        write!(f, ": the contract refuses this {}: {}", self.part, self.violations)
    }
}

impl std::error::Error for Invalid {}

/// Why bytes are no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No JSON at all.
    #[error("{contract}: no JSON at line {line}, column {column}")]
    Json {
        /// `topic@version`.
        contract: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// JSON that the contract refuses.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// An event that a type of the program's own can't hold.
    #[error("{topic}: the payload does not fit the type {wanted}: {reason}")]
    Type {
        /// The topic.
        topic: String,
        /// The type's name.
        wanted: &'static str,
        /// What is missing or different; no value of the payload.
        reason: String,
    },
}

impl DecodeError {
    /// Bytes that are no text.
    pub(crate) fn utf8(contract: &impl fmt::Display, bytes: &[u8], error: &std::str::Utf8Error) -> Self {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        Self::Json { contract: contract.to_string(), line, column }
    }

    /// Why a text that was refused was refused: it may be no JSON in the first place.
    pub(crate) fn of(contract: &impl fmt::Display, text: &str, invalid: Invalid) -> Self {
        match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => Self::Invalid(invalid),
            Err(error) => Self::Json { contract: contract.to_string(), line: error.line(), column: error.column() },
        }
    }
}
