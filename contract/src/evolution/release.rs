//! One version of a contract, ready to be compared with others.

use std::sync::OnceLock;

use serde::Serialize;
use serde_json::Value;

use super::{Place, change};
use crate::{
    Contract, ContractRecord, Document, Mode, SchemaError, Topic, Version,
    compare::{Comparable, Digits},
    fingerprint,
};

/// Who must understand whom, among the versions of one major.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nobody.
    None,
    /// Readers of a later version what writers of an earlier one send: who reads is released first. Of an RPC, servers.
    Backward,
    /// Readers of an earlier version what writers of a later one send: who writes is released first. Of an RPC, callers.
    Forward,
    /// Both.
    #[default]
    Full,
}

impl Policy {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "none" => Self::None,
            "backward" => Self::Backward,
            "forward" => Self::Forward,
            "full" => Self::Full,
            _ => return None,
        })
    }

    /// As `x-celerysalt.compatibility` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Backward => "backward",
            Self::Forward => "forward",
            Self::Full => "full",
        }
    }

    pub(super) fn backward(self) -> bool {
        matches!(self, Self::Backward | Self::Full)
    }

    pub(super) fn forward(self) -> bool {
        matches!(self, Self::Forward | Self::Full)
    }
}

/// The schemas of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// What is published, or what an RPC asks.
    Payload,
    /// What an RPC answers.
    Response,
    /// What an RPC answers when it can't.
    Error,
}

impl Part {
    pub(super) const ALL: [Self; 3] = [Self::Payload, Self::Response, Self::Error];
}

/// One topic and version. Its schemas are made ready when they are first compared.
#[derive(Debug)]
pub struct Release {
    record: ContractRecord,
    documents: [Option<Document>; 3],
    exchange: Option<String>,
    policy: Policy,
    ready: [OnceLock<Option<Result<Comparable, SchemaError>>>; 3],
}

impl Release {
    /// A contract of a folder: its findings have a place in its files.
    pub fn from_contract(contract: &Contract) -> Self {
        let documents = [Some(contract.request.clone()), contract.response.clone(), contract.error.clone()];
        Self {
            record: contract.to_record(),
            documents,
            exchange: contract.exchange.clone(),
            policy: contract.compatibility.as_deref().and_then(Policy::of).unwrap_or_default(),
            ready: Default::default(),
        }
    }

    /// A contract as a registry has it: its findings have a pointer only.
    pub fn from_record(mut record: ContractRecord) -> Self {
        // What the row says of itself may be another program's word.
        let ContractRecord { mode, schema, response_schema, error_schema, .. } = &record;
        record.fingerprint = fingerprint(*mode, schema, response_schema.as_ref(), error_schema.as_ref());
        let setting = |name: &str| record.schema.pointer(&format!("/x-celerysalt/{name}")).and_then(Value::as_str);
        let exchange = setting("exchange").map(ToOwned::to_owned);
        let policy = setting("compatibility").and_then(Policy::of).unwrap_or_default();
        Self { record, documents: [None, None, None], exchange, policy, ready: Default::default() }
    }

    /// The topic.
    pub fn topic(&self) -> &Topic {
        &self.record.topic
    }

    /// The version.
    pub fn version(&self) -> &Version {
        &self.record.version
    }

    /// Who must understand whom, as the contract says.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The contract as a registry stores it.
    pub fn record(&self) -> &ContractRecord {
        &self.record
    }

    pub(super) fn mode(&self) -> Mode {
        self.record.mode
    }

    pub(super) fn exchange(&self) -> Option<&str> {
        self.exchange.as_deref()
    }

    pub(super) fn schema(&self, part: Part) -> Option<&Value> {
        match part {
            Part::Payload => Some(&self.record.schema),
            Part::Response => self.record.response_schema.as_ref(),
            Part::Error => self.record.error_schema.as_ref(),
        }
    }

    /// The schema of a part, compiled; none where the contract has no such part.
    pub(super) fn comparable(&self, part: Part) -> Option<&Result<Comparable, SchemaError>> {
        let compile = || {
            let schema = self.schema(part)?;
            // What came from a folder was checked when it was loaded.
            let is_checked = self.document(part).is_some();
            let ready = if is_checked { Ok(Comparable::of_checked(schema)) } else { Comparable::new(schema) };
            Some(ready.map(|ready| ready.with_digits(self.digits(part))))
        };
        self.ready.get(part as usize)?.get_or_init(compile).as_ref()
    }

    fn digits(&self, part: Part) -> Digits {
        self.document(part).map(Digits::of_document).unwrap_or_default()
    }

    fn document(&self, part: Part) -> Option<&Document> {
        self.documents.get(part as usize)?.as_ref()
    }

    /// Whether two releases mean the same, to the digit.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.record.fingerprint == other.record.fingerprint
            && Part::ALL.into_iter().all(|part| match (self.document(part), other.document(part)) {
                (Some(a), Some(b)) => Digits::of_document(a) == Digits::of_document(b),
                _ => true,
            })
    }

    /// A place in one of its schemas.
    pub(super) fn place(&self, part: Part, pointer: &str) -> Place {
        change::place(self, part, self.document(part), pointer)
    }
}
