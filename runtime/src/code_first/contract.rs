//! What is written on a struct becomes a contract.

use celerysalt_contract::{Mode, fingerprint};
use serde_json::{Map, Value};

use crate::event::{EventContract, Parts};

/// The keyword that holds a contract's settings.
pub(super) const SETTINGS: &str = "x-celerysalt";

/// What `SaltEvent` was told, and where the schemas come from.
pub struct Written {
    /// The topic, which is legal.
    pub topic: &'static str,
    /// The version, which is legal.
    pub version: &'static str,
    /// Broadcast or RPC.
    pub mode: Mode,
    /// The exchange, when it is not the service's default.
    pub exchange: Option<&'static str>,
    /// Whether the contract belongs into the registry.
    pub registry: bool,
    /// Whether a publishing service registers it without being told to.
    pub auto_register: bool,
    /// Instead of the type's name.
    pub title: Option<&'static str>,
    /// Instead of the doc comment.
    pub description: Option<&'static str>,
    /// Where the type is.
    pub module: &'static str,
    /// The type's name.
    pub name: &'static str,
    /// The payload's schema.
    pub schema: fn() -> Value,
    /// The response's schema.
    pub response: Option<fn() -> Value>,
    /// The declared error's schema.
    pub error: Option<fn() -> Value>,
}

/// The contract of an event. Its texts stay for as long as the program runs: each event has one contract, in a static.
pub fn contract(written: &Written) -> EventContract {
    let schema = payload(written);
    let (response, error) = (written.response.map(|schema| schema()), written.error.map(|schema| schema()));
    let digest = fingerprint(written.mode, &schema, response.as_ref(), error.as_ref());
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    EventContract::new(Parts {
        topic: written.topic,
        version: written.version,
        mode: written.mode,
        exchange: written.exchange,
        description: description.leak(),
        schema: schema.to_string().leak(),
        response_schema: response.map(|schema| &*schema.to_string().leak()),
        error_schema: error.map(|schema| &*schema.to_string().leak()),
        fingerprint: digest.as_str().to_owned().leak(),
        publisher_module: written.module,
        publisher_class: written.name,
        registry: written.registry,
        auto_register: written.auto_register,
    })
}

/// The payload's schema, with the contract's settings.
fn payload(written: &Written) -> Value {
    let mut schema = (written.schema)();
    let Value::Object(members) = &mut schema else { return schema };
    for (keyword, text) in [("title", written.title), ("description", written.description)] {
        if let Some(text) = text {
            members.insert(keyword.to_owned(), text.into());
        }
    }
    let mut settings = Map::new();
    if let Some(exchange) = written.exchange {
        settings.insert("exchange".to_owned(), exchange.into());
    }
    // A response says it as well.
    if written.mode == Mode::Rpc && written.response.is_none() {
        settings.insert("mode".to_owned(), "rpc".into());
    }
    for (setting, value) in [("registry", written.registry), ("auto_register", written.auto_register)] {
        if !value {
            settings.insert(setting.to_owned(), false.into());
        }
    }
    if !settings.is_empty() {
        members.insert(SETTINGS.to_owned(), settings.into());
    }
    schema
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written() -> Written {
        Written {
            topic: "a.b",
            version: "v1",
            mode: Mode::Broadcast,
            exchange: None,
            registry: true,
            auto_register: true,
            title: None,
            description: None,
            module: "here",
            name: "Name",
            schema: || json!({"title": "Name", "description": "Of the type.", "type": "object"}),
            response: None,
            error: None,
        }
    }

    #[test]
    fn only_what_differs_from_the_default_is_a_setting() {
        let plain = contract(&written()).to_record().unwrap();
        assert_eq!(plain.schema.get(SETTINGS), None);
        assert_eq!(plain.description, "Of the type.");
        let all = contract(&Written {
            mode: Mode::Rpc,
            exchange: Some("e"),
            registry: false,
            auto_register: false,
            title: Some("T"),
            description: Some("D"),
            ..written()
        });
        let record = all.to_record().unwrap();
        let settings = json!({"exchange": "e", "mode": "rpc", "registry": false, "auto_register": false});
        assert_eq!(record.schema[SETTINGS], settings);
        assert_eq!((record.schema["title"].as_str(), record.description.as_str()), (Some("T"), "D"));
        assert_eq!(all.description(), "D");
        assert_ne!(record.fingerprint, plain.fingerprint, "the mode changes the meaning");
    }

    #[test]
    fn a_response_makes_the_mode_plain() {
        let answered = Written { mode: Mode::Rpc, response: Some(|| json!({"type": "string"})), ..written() };
        let record = contract(&answered).to_record().unwrap();
        assert_eq!(record.schema.get(SETTINGS), None);
        assert_eq!(record.response_schema, Some(json!({"type": "string"})));
    }
}
