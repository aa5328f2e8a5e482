//! What an event is to the runtime: a type, and the contract that it was generated from.
//!
//! Generated code implements these traits; users call the inherent methods that it generates beside them.

use std::{fmt, sync::OnceLock};

use celerysalt_contract::{ContractRecord, Exact, Fingerprint, Mode, Topic, Version, Violation, Violations};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    invalid::{DecodeError, Invalid, Part},
    json::{self, Json, Mismatch},
};

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
pub trait Event: Json + Serialize + DeserializeOwned + fmt::Debug + Send + Sync + 'static {
    /// The contract that the type was generated from.
    fn contract() -> &'static EventContract;

    /// Checks the value against the whole schema, also what the type alone can't hold (bounds, lengths, patterns).
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    fn validate(&self) -> Result<(), Invalid> {
        self.encode().map(drop)
    }

    /// The payload as JSON text, checked against the schema. An event that was decoded and not changed gives the JSON
    /// value that it was decoded from.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    fn encode(&self) -> Result<String, Invalid> {
        Self::contract().encode(Part::Payload, self)
    }

    /// The payload as a JSON tree, checked against the schema. Numbers beyond 64 bits are rounded, which
    /// [`Event::encode`] does not.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    fn to_json(&self) -> Result<Value, Invalid> {
        let contract = Self::contract();
        let text = contract.encode(Part::Payload, self)?;
        json::from_text(&text).map_err(|Mismatch| contract.unreadable(Part::Payload))
    }

    /// An event from a JSON tree, checked against the schema.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    fn from_json(payload: Value) -> Result<Self, Invalid> {
        Self::contract().decode(Part::Payload, &payload.to_string())
    }

    /// An event from a JSON text, checked against the schema: an event exactly where the schema allows the payload.
    ///
    /// Of a property that comes twice, the last one counts.
    ///
    /// # Errors
    /// [`DecodeError::Json`] with line and column when the bytes are no JSON, [`DecodeError::Invalid`] with every
    /// violation when the schema refuses it.
    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let contract = Self::contract();
        let text = match simdutf8::basic::from_utf8(payload) {
            Ok(text) => text,
            // The other one knows where.
            Err(_) => std::str::from_utf8(payload).map_err(|error| DecodeError::utf8(contract, payload, &error))?,
        };
        contract.decode(Part::Payload, text).map_err(|invalid| DecodeError::of(contract, text, invalid))
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
    type Response: Json + fmt::Debug + Send + 'static;
    /// What the serving side answers instead when it declines: the contract's declared error, or
    /// [`RpcError`](crate::RpcError) when it declares none.
    type Error: DeclaredError;
}

/// The type of a contract's declared error.
pub trait DeclaredError: Json + fmt::Debug + Send + 'static {}

/// A contract inside a program: its schemas as text, compiled to validators when first used.
pub struct EventContract {
    parts: Parts,
    version: OnceLock<Version>,
    payload: OnceLock<Result<Exact, String>>,
    response: OnceLock<Result<Exact, String>>,
    error: OnceLock<Result<Exact, String>>,
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

    /// The version as generated code has it.
    pub(crate) fn version_text(&self) -> &'static str {
        self.parts.version
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

    /// The checks of one of the contract's schemas, none for a part without a schema, which accepts everything.
    fn checks(&self, part: Part) -> Result<Option<&Exact>, Invalid> {
        let (cell, text) = match part {
            Part::Payload => (&self.payload, Some(self.parts.schema)),
            Part::Response => (&self.response, self.parts.response_schema),
            Part::Error => (&self.error, self.parts.error_schema),
        };
        let Some(text) = text else { return Ok(None) };
        let compiled = cell.get_or_init(|| {
            let schema = serde_json::from_str(text).map_err(|error| error.to_string())?;
            Exact::new(&schema).map_err(|error| error.to_string())
        });
        match compiled {
            Ok(checks) => Ok(Some(checks)),
            Err(reason) => Err(self.broken(part, "$schema", format!("a schema that can be compiled: {reason}"))),
        }
    }

    /// Checks a JSON text against one of the contract's schemas; a part without a schema accepts everything.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    pub fn check(&self, part: Part, text: &str) -> Result<(), Invalid> {
        match self.checks(part)? {
            Some(checks) => checks.check(text.as_bytes()).map_err(|violations| self.invalid(part, violations)),
            None => Ok(()),
        }
    }

    /// Writes a value and checks it.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    pub(crate) fn encode<T: Json>(&self, part: Part, value: &T) -> Result<String, Invalid> {
        let text = json::to_text(value).map_err(|pointer| {
            let expected = "a finite number: JSON has neither NaN nor infinity".to_owned();
            let violation = Violation { pointer, keyword: "type".to_owned(), expected };
            self.invalid(part, Violations::from(vec![violation]))
        })?;
        self.check(part, &text)?;
        Ok(text)
    }

    /// Reads a value from a JSON text and checks the text.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    pub(crate) fn decode<T: Json>(&self, part: Part, text: &str) -> Result<T, Invalid> {
        let Some(checks) = self.checks(part)? else {
            return json::from_text(text).map_err(|Mismatch| self.unreadable(part));
        };
        if let Ok(value) = json::from_text_by(text, checks) {
            return Ok(value);
        }
        // What is wrong, if anything is: the sweep above gives up where several may be needed.
        self.check(part, text)?;
        let read = json::from_text(text);
        let read =
            read.or_else(|mismatch| json::without_repeats(text).map_or(Err(mismatch), |text| json::from_text(&text)));
        read.map_err(|Mismatch| self.unreadable(part))
    }

    /// A value that the schema allows and that can't be read.
    pub(crate) fn unreadable(&self, part: Part) -> Invalid {
        let expected = "JSON that the Rust type can hold: at most 127 levels, no half of a surrogate pair in a string, and \
                        what a type written in code allows beyond its schema";
        self.broken(part, "type", expected.to_owned())
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
