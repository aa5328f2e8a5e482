//! What an event is to the runtime: a type, and the contract that it was generated from.
//!
//! Generated code implements these traits; users call the inherent methods that it generates beside them.

use std::{fmt, sync::OnceLock};

use celerysalt_contract::{ContractRecord, Fingerprint, Mode, Topic, Validator, Version, Violation, Violations};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::invalid::{DecodeError, Invalid, Part};

/// A typed event: a Rust type for the payload of one version of one topic.
///
/// Implemented by generated code. A value can be put together freely (by literal, by builder, from JSON); it is checked
/// against all of its schema whenever it comes in or goes out.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event",
    label = "not generated from a contract",
    note = "events come from schema files: add one to `schemas/`, generate it in build.rs with \
            `celerysalt_codegen::contracts(\"schemas\").emit()`, and use the type in `events::`",
    note = "for a handler of any topic without a generated type, use `on_topic` with `AnyEvent`"
)]
pub trait Event: Serialize + DeserializeOwned + fmt::Debug + Send + Sync + Sized + 'static {
    /// The contract that the type was generated from.
    fn contract() -> &'static EventContract;

    /// Checks the value against the whole schema, also what the type alone can't hold (bounds, lengths, patterns).
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    fn validate(&self) -> Result<(), Invalid> {
        self.to_json().map(drop)
    }

    /// The payload as JSON, checked against the schema.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    fn to_json(&self) -> Result<Value, Invalid> {
        Self::contract().encode(Part::Payload, self)
    }

    /// An event from JSON, checked against the schema.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    fn from_json(payload: Value) -> Result<Self, Invalid> {
        Self::contract().decode(Part::Payload, payload)
    }

    /// An event from the bytes of a JSON text, checked against the schema.
    ///
    /// # Errors
    /// [`DecodeError::Json`] with line and column when the bytes are no JSON, [`DecodeError::Invalid`] with every
    /// violation when the schema refuses it.
    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let value = serde_json::from_slice(payload).map_err(|error| DecodeError::json(Self::contract(), &error))?;
        Ok(Self::from_json(value)?)
    }
}

/// An event that is told to everyone who wants to know. It has `publish`, and no `call`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no broadcast event",
    note = "`on` and `publish` take events that were generated from a contract without a response",
    note = "an RPC contract (one with a response) is called and served: `request.call(&salt).await`, `serve(handler)`",
    note = "for a handler of any topic without a generated type, use `on_topic` with `AnyEvent`"
)]
pub trait Broadcast: Event {}

/// A request that one service answers. It has `call`, and no `publish`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no RPC request",
    note = "a broadcast event is published and handled with `on`; a contract becomes an RPC by a file \
            `<version>.response.json` beside its schema"
)]
pub trait Rpc: Event {
    /// What the serving side answers.
    type Response: Serialize + DeserializeOwned + fmt::Debug + Send + 'static;
    /// What the serving side answers instead when it declines: the contract's declared error, or
    /// [`RpcError`](crate::RpcError) when it declares none.
    type Error: DeclaredError;
}

/// The type of a contract's declared error.
pub trait DeclaredError: Serialize + DeserializeOwned + fmt::Debug + Send + 'static {}

/// A contract inside a program: its schemas as text, compiled to validators when first used.
pub struct EventContract {
    parts: Parts,
    version: OnceLock<Version>,
    payload: OnceLock<Result<Validator, String>>,
    response: OnceLock<Result<Validator, String>>,
    error: OnceLock<Result<Validator, String>>,
}

/// What generated code knows of a contract.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// The topic.
    pub topic: &'static str,
    /// The version, such as `v1`.
    pub version: &'static str,
    /// Broadcast or RPC.
    pub mode: Mode,
    /// The exchange, when it is not the service's default.
    pub exchange: Option<&'static str>,
    /// For people.
    pub description: &'static str,
    /// The payload's schema, references bundled, as JSON.
    pub schema: &'static str,
    /// The response's schema.
    pub response_schema: Option<&'static str>,
    /// The declared error's schema.
    pub error_schema: Option<&'static str>,
    /// Over everything that changes meaning.
    pub fingerprint: &'static str,
    /// The module that the type was generated into.
    pub publisher_module: &'static str,
    /// The type's name.
    pub publisher_class: &'static str,
    /// Whether the contract belongs into the registry.
    pub registry: bool,
    /// Whether a publishing service registers it without being told to.
    pub auto_register: bool,
}

impl fmt::Debug for EventContract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventContract({self})")
    }
}

impl fmt::Display for EventContract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.parts.topic, self.parts.version)
    }
}

impl EventContract {
    /// Made by generated code.
    pub const fn new(parts: Parts) -> Self {
        Self {
            parts,
            version: OnceLock::new(),
            payload: OnceLock::new(),
            response: OnceLock::new(),
            error: OnceLock::new(),
        }
    }

    /// The topic.
    pub fn topic(&self) -> &'static str {
        self.parts.topic
    }

    /// The version. Text that is no version (generated code has none such) counts as `v0`.
    pub fn version(&self) -> &Version {
        self.version.get_or_init(|| self.parts.version.parse().unwrap_or_default())
    }

    /// Broadcast or RPC.
    pub fn mode(&self) -> Mode {
        self.parts.mode
    }

    /// The exchange, when the contract names one.
    pub fn exchange(&self) -> Option<&'static str> {
        self.parts.exchange
    }

    /// For people; empty when the schema has none.
    pub fn description(&self) -> &'static str {
        self.parts.description
    }

    /// Equal for contracts that mean the same.
    pub fn fingerprint(&self) -> &'static str {
        self.parts.fingerprint
    }

    /// Whether the contract belongs into the registry.
    pub fn uses_registry(&self) -> bool {
        self.parts.registry
    }

    /// Whether a publishing service registers it without being told to.
    pub fn registers_itself(&self) -> bool {
        self.parts.registry && self.parts.auto_register
    }

    /// The contract as the registry stores it.
    ///
    /// # Errors
    /// A sentence that says which part is not what generated code would have put there.
    pub fn to_record(&self) -> Result<ContractRecord, String> {
        let schema = |text: &str| -> Result<Value, String> {
            serde_json::from_str(text).map_err(|error| format!("{self}: its schema is no JSON: {error}"))
        };
        let topic: Topic = self.parts.topic.parse().map_err(|error| format!("{self}: {error}"))?;
        let version: Version = self.parts.version.parse().map_err(|error| format!("{self}: {error}"))?;
        Ok(ContractRecord {
            topic,
            version,
            mode: self.parts.mode,
            schema: schema(self.parts.schema)?,
            response_schema: self.parts.response_schema.map(schema).transpose()?,
            error_schema: self.parts.error_schema.map(schema).transpose()?,
            description: self.parts.description.to_owned(),
            fingerprint: Fingerprint::from(self.parts.fingerprint.to_owned()),
            publisher_module: Some(self.parts.publisher_module.to_owned()),
            publisher_class: Some(self.parts.publisher_class.to_owned()),
            status: celerysalt_contract::Status::Active,
        })
    }

    /// Checks a JSON value against one of the contract's schemas; a part without a schema accepts everything.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    pub fn check(&self, part: Part, value: &Value) -> Result<(), Invalid> {
        let (cell, text) = match part {
            Part::Payload => (&self.payload, Some(self.parts.schema)),
            Part::Response => (&self.response, self.parts.response_schema),
            Part::Error => (&self.error, self.parts.error_schema),
        };
        let Some(text) = text else { return Ok(()) };
        let compiled = cell.get_or_init(|| {
            let schema = serde_json::from_str(text).map_err(|error| error.to_string())?;
            Validator::new(&schema).map_err(|error| error.to_string())
        });
        match compiled {
            Ok(validator) => validator.validate(value).map_err(|violations| self.invalid(part, violations)),
            Err(reason) => Err(self.broken(part, "$schema", format!("a schema that can be compiled: {reason}"))),
        }
    }

    /// Serialises a value and checks it.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    pub(crate) fn encode<T: Serialize>(&self, part: Part, value: &T) -> Result<Value, Invalid> {
        let json = serde_json::to_value(value)
            .map_err(|error| self.broken(part, "type", format!("a value that JSON can hold: {error}")))?;
        self.check(part, &json)?;
        Ok(json)
    }

    /// Checks a JSON value and gives it its type.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    pub(crate) fn decode<T: DeserializeOwned>(&self, part: Part, value: Value) -> Result<T, Invalid> {
        self.check(part, &value)?;
        serde_json::from_value(value).map_err(|error| {
            // serde's text may quote the payload, so only its class is told.
            let expected = match error.classify() {
                serde_json::error::Category::Data => {
                    "a value that the generated type can hold (such as an integer of 64 bits)"
                }
                _ => "JSON",
            };
            self.broken(part, "type", expected.to_owned())
        })
    }

    fn invalid(&self, part: Part, violations: Violations) -> Invalid {
        Invalid::new(self.parts.topic, Some(self.version().clone()), part, violations)
    }

    /// One violation of the whole value.
    pub(crate) fn broken(&self, part: Part, keyword: &str, expected: String) -> Invalid {
        let violation = Violation { pointer: String::new(), keyword: keyword.to_owned(), expected };
        self.invalid(part, Violations::from(vec![violation]))
    }
}
