//! One version of a contract, ready to be compared with others.

use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde_json::Value;

use super::{Place, change};
use crate::{
    Contract, ContractRecord, Document, Fingerprint, Mode, SchemaError, Topic, Version,
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

    fn or_default(text: Option<&str>) -> Self {
        text.and_then(Self::of).unwrap_or_default()
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

/// One topic and version. Its schemas are made ready when they are first compared. A clone is the same release once more,
/// and costs nothing.
#[derive(Clone, Debug)]
pub struct Release(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    origin: Origin,
    exchange: Option<String>,
    policy: Policy,
    /// As a registry stores it, for what came from a folder and is asked for that.
    record: OnceLock<ContractRecord>,
    ready: [OnceLock<Option<Result<Comparable, SchemaError>>>; 3],
}

/// Where a release came from.
#[derive(Debug)]
enum Origin {
    Folder(Box<Contract>),
    Registry(Box<ContractRecord>),
}

impl Release {
    /// A contract of a folder: its findings have a place in its files.
    pub fn from_contract(contract: Contract) -> Self {
        let (exchange, policy) = (contract.exchange.clone(), Policy::or_default(contract.compatibility.as_deref()));
        Self::new(exchange, policy, Origin::Folder(Box::new(contract)))
    }

    /// A contract as a registry has it: its findings have a pointer only.
    pub fn from_record(mut record: ContractRecord) -> Self {
        // What the row says of itself may be another program's word.
        let ContractRecord { mode, schema, response_schema, error_schema, .. } = &record;
        record.fingerprint = fingerprint(*mode, schema, response_schema.as_ref(), error_schema.as_ref());
        let setting = |name: &str| {
            record.schema.pointer(&format!("/x-celerysalt/{name}")).and_then(Value::as_str).map(ToOwned::to_owned)
        };
        let (exchange, policy) = (setting("exchange"), Policy::or_default(setting("compatibility").as_deref()));
        Self::new(exchange, policy, Origin::Registry(Box::new(record)))
    }

    fn new(exchange: Option<String>, policy: Policy, origin: Origin) -> Self {
        Self(Arc::new(Inner { origin, exchange, policy, record: OnceLock::new(), ready: Default::default() }))
    }

    /// The topic.
    pub fn topic(&self) -> &Topic {
        match &self.0.origin {
            Origin::Folder(contract) => &contract.topic,
            Origin::Registry(record) => &record.topic,
        }
    }

    /// The version.
    pub fn version(&self) -> &Version {
        match &self.0.origin {
            Origin::Folder(contract) => &contract.version,
            Origin::Registry(record) => &record.version,
        }
    }

    /// Who must understand whom, as the contract says.
    pub fn policy(&self) -> Policy {
        self.0.policy
    }

    /// The contract as a registry stores it.
    pub fn record(&self) -> &ContractRecord {
        match &self.0.origin {
            Origin::Folder(contract) => self.0.record.get_or_init(|| contract.to_record()),
            Origin::Registry(record) => record,
        }
    }

    fn fingerprint(&self) -> &Fingerprint {
        match &self.0.origin {
            Origin::Folder(contract) => &contract.fingerprint,
            Origin::Registry(record) => &record.fingerprint,
        }
    }

    pub(super) fn mode(&self) -> Mode {
        match &self.0.origin {
            Origin::Folder(contract) => contract.mode,
            Origin::Registry(record) => record.mode,
        }
    }

    pub(super) fn exchange(&self) -> Option<&str> {
        self.0.exchange.as_deref()
    }

    pub(super) fn schema(&self, part: Part) -> Option<&Value> {
        match (&self.0.origin, part) {
            (Origin::Folder(_), _) => self.document(part).map(|document| &document.schema),
            (Origin::Registry(record), Part::Payload) => Some(&record.schema),
            (Origin::Registry(record), Part::Response) => record.response_schema.as_ref(),
            (Origin::Registry(record), Part::Error) => record.error_schema.as_ref(),
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
        self.0.ready.get(part as usize)?.get_or_init(compile).as_ref()
    }

    fn digits(&self, part: Part) -> Digits {
        self.document(part).map(Digits::of_document).unwrap_or_default()
    }

    fn document(&self, part: Part) -> Option<&Document> {
        match (&self.0.origin, part) {
            (Origin::Folder(contract), Part::Payload) => Some(&contract.request),
            (Origin::Folder(contract), Part::Response) => contract.response.as_ref(),
            (Origin::Folder(contract), Part::Error) => contract.error.as_ref(),
            (Origin::Registry(_), _) => None,
        }
    }

    /// Whether both are one and the same release, words and all.
    pub(super) fn is_one_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether two releases mean the same, to the digit.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.is_one_with(other)
            || self.fingerprint() == other.fingerprint()
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
