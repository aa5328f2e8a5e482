//! A message as columns of a table: properties and headers as JSON texts, the body as bytes.
//!
//! The columns are JSON, not JSONB, which refuses a NUL within a string and rounds nothing else; headers may hold both.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::transport::{Headers, Properties};

/// [`Properties`] as they are stored. Times in milliseconds.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Stored {
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    persistent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<String>,
}

/// As JSON text.
pub(crate) fn properties_to_text(properties: &Properties) -> String {
    let expiration = properties.expiration.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    let stored = Stored {
        content_type: properties.content_type.clone(),
        content_encoding: properties.content_encoding.clone(),
        persistent: properties.persistent,
        priority: properties.priority,
        correlation_id: properties.correlation_id.clone(),
        reply_to: properties.reply_to.clone(),
        expiration_ms: expiration,
        message_id: properties.message_id.clone(),
        timestamp: properties.timestamp,
        app_id: properties.app_id.clone(),
    };
    // Numbers, texts and a flag always have a JSON text.
    serde_json::to_string(&stored).unwrap_or_default()
}

/// From JSON text.
///
/// # Errors
/// A sentence, when a row was written by something else.
pub(crate) fn properties_from_text(text: &str) -> Result<Properties, String> {
    let stored: Stored = serde_json::from_str(text)
        .map_err(|error| format!("its properties are not as celerysalt writes them (column {})", error.column()))?;
    Ok(Properties {
        content_type: stored.content_type,
        content_encoding: stored.content_encoding,
        persistent: stored.persistent,
        priority: stored.priority,
        correlation_id: stored.correlation_id,
        reply_to: stored.reply_to,
        expiration: stored.expiration_ms.map(Duration::from_millis),
        message_id: stored.message_id,
        timestamp: stored.timestamp,
        app_id: stored.app_id,
    })
}

/// As JSON text.
pub(crate) fn headers_to_text(headers: &Headers) -> String {
    serde_json::to_string(&**headers).unwrap_or_default()
}

/// From JSON text.
///
/// # Errors
/// A sentence, when a row was written by something else.
pub(crate) fn headers_from_text(text: &str) -> Result<Headers, String> {
    let headers: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| format!("its headers are no JSON object (column {})", error.column()))?;
    Ok(headers.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_stored_comes_back_as_it_was() {
        let properties = Properties {
            content_type: Some("application/json".to_owned()),
            persistent: true,
            priority: Some(7),
            expiration: Some(Duration::from_millis(1_500)),
            message_id: Some("id \u{0} \"x\"".to_owned()),
            timestamp: Some(1_700_000_000),
            ..Properties::default()
        };
        assert_eq!(properties_from_text(&properties_to_text(&properties)).unwrap(), properties);
        assert_eq!(properties_from_text("{}").unwrap(), Properties::default());
        let Value::Object(headers) = json!({"a": "\u{0}", "b": [1.5, u64::MAX, null], "ü": {"x": true}}) else {
            panic!("an object")
        };
        let headers = Headers::from(headers);
        assert_eq!(headers_from_text(&headers_to_text(&headers)).unwrap(), headers);
    }

    #[test]
    fn what_somebody_else_wrote_is_told_without_its_values() {
        let error = properties_from_text(r#"{"priority": "s3cret"}"#).unwrap_err();
        assert!(!error.contains("s3cret"), "{error}");
        assert!(headers_from_text("[]").is_err());
    }
}
