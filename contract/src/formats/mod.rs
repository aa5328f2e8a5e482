//! What `format` asks of a text: nothing, what its standard says, or what pydantic reads.
//!
//! JSON Schema leaves formats to be annotations unless somebody asserts them. pydantic writes schemas without `$schema`,
//! in which a format stands for a type of its own (`datetime`, `UUID`): there a text that the type does not read is
//! refused, as the Python service behind that schema refuses it.

mod addresses;
mod pydantic;

use std::fmt;

use jsonschema::{Keyword, ValidationError};
use serde_json::{Map, Value};

use crate::{Draft, settings::KEYWORD};

/// How a schema's `format`s are meant.
///
/// `x-celerysalt.formats` of a contract's first file says it for all its files.
///
/// ```
/// use celerysalt_contract::{Exact, Formats};
/// use serde_json::json;
///
/// // As pydantic writes a `datetime`.
/// let pydantic = json!({"properties": {"at": {"type": "string", "format": "date-time"}}});
/// assert_eq!(Formats::of(&pydantic), Formats::Pydantic);
/// let exact = Exact::new(&pydantic)?;
/// assert!(exact.accepts(br#"{"at": "2026-11-27 10:30"}"#) && !exact.accepts(br#"{"at": "soon"}"#));
///
/// let annotated = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "format": "date-time"});
/// assert_eq!(Formats::of(&annotated), Formats::Annotation);
/// assert!(Exact::new(&annotated)?.accepts(br#""soon""#));
/// # Ok::<(), celerysalt_contract::SchemaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Formats {
    /// They tell people something and refuse nothing: the default of a schema that names its draft.
    Annotation,
    /// Those of the draft are asserted as their standards have them; others refuse nothing.
    Assertion,
    /// Those that pydantic writes for its types are asserted as pydantic 2 reads them, where `"type": "string"` stands
    /// beside them; others refuse nothing. The default of a schema without `$schema`.
    Pydantic,
}

impl Formats {
    /// All of them by the names that they have in `x-celerysalt.formats`.
    pub(crate) const NAMES: [(&'static str, Self); 3] =
        [("annotation", Self::Annotation), ("assertion", Self::Assertion), ("pydantic", Self::Pydantic)];

    /// How the formats of a self-contained schema are meant: as its `x-celerysalt.formats` says, otherwise
    /// [`Formats::Pydantic`] without `$schema` and [`Formats::Annotation`] with it.
    pub fn of(schema: &Value) -> Self {
        let said = schema.get(KEYWORD).and_then(|settings| settings.get("formats")).and_then(Value::as_str);
        let default = if schema.get("$schema").is_some() { Self::Annotation } else { Self::Pydantic };
        said.and_then(Self::named).unwrap_or(default)
    }

    /// Whether the `format` of one sub-schema refuses any text, when formats are meant so.
    ///
    /// ```
    /// use celerysalt_contract::{Draft, Formats};
    /// use serde_json::json;
    ///
    /// let time = json!({"type": "string", "format": "date-time"});
    /// assert!(Formats::Pydantic.refuses(Draft::Draft202012, &time));
    /// assert!(!Formats::Annotation.refuses(Draft::Draft202012, &time));
    /// assert!(!Formats::Assertion.refuses(Draft::Draft202012, &json!({"format": "colour"})));
    /// ```
    pub fn refuses(self, draft: Draft, schema: &Value) -> bool {
        schema.as_object().is_some_and(|schema| Format::of(self, draft, schema).is_some())
    }

    /// The one of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, formats)| formats)
    }
}

impl fmt::Display for Formats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.into_iter().find(|(_, formats)| formats == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

/// What one `format` refuses.
#[derive(Clone)]
pub(crate) struct Format {
    name: String,
    how: How,
}

#[derive(Clone)]
enum How {
    Pydantic(fn(&str) -> bool),
    /// The library knows the standards.
    Standard(std::sync::Arc<jsonschema::Validator>),
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Format").field(&self.name).finish()
    }
}

impl Format {
    /// The format of one sub-schema, if it refuses anything.
    pub(crate) fn of(formats: Formats, draft: Draft, schema: &Map<String, Value>) -> Option<Self> {
        let name = schema.get("format").and_then(Value::as_str)?;
        let how = match formats {
            Formats::Annotation => return None,
            Formats::Pydantic if schema.get("type").and_then(Value::as_str) != Some("string") => return None,
            Formats::Pydantic => How::Pydantic(pydantic::reader(name)?),
            Formats::Assertion => {
                let options = jsonschema::options().with_draft(draft.engine()).should_validate_formats(true).offline();
                if !options.is_known_format(draft.engine(), name) {
                    return None;
                }
                How::Standard(std::sync::Arc::new(options.build(&serde_json::json!({ "format": name })).ok()?))
            }
        };
        Some(Self { name: name.to_owned(), how })
    }

    /// Whether the format allows the text.
    pub(crate) fn allows(&self, text: &str) -> bool {
        match &self.how {
            How::Pydantic(reads) => reads(text),
            How::Standard(validator) => validator.is_valid(&Value::from(text)),
        }
    }

    /// A text that most readings of the format take, if it is a common one.
    #[cfg(feature = "compare")]
    pub(crate) fn example(&self) -> Option<&'static str> {
        Some(match self.name.as_str() {
            "date-time" => "2020-01-01T00:00:00Z",
            "date" => "2020-01-01",
            "time" => "00:00:00Z",
            "duration" => "P1D",
            "email" => "a@example.com",
            "hostname" => "example.com",
            "ipv4" => "127.0.0.1",
            "ipv6" => "::1",
            "uri" => "https://example.com/",
            "uuid" => "00000000-0000-4000-8000-000000000000",
            _ => return None,
        })
    }

    /// A pattern that every text of the format matches; none where nothing simple is known.
    #[cfg(feature = "compare")]
    pub(crate) fn shape(&self) -> Option<&'static str> {
        Some(match (&self.how, self.name.as_str()) {
            (_, "date-time" | "date" | "time" | "duration" | "ipv4" | "ipv4network" | "ipv4interface") => "[0-9]",
            (_, "email" | "idn-email" | "name-email") => "@",
            (_, "uri" | "iri" | "multi-host-uri" | "ipv6" | "ipv6network" | "ipv6interface") => ":",
            (_, name) if name.starts_with("uuid") => "^[0-9A-Fa-f:{}urnid-]{32,45}$",
            (How::Pydantic(_), _) | (_, "hostname" | "idn-hostname") => r"\S",
            _ => return None,
        })
    }

    /// The mode and the name: equal for formats that allow the same.
    #[cfg(feature = "compare")]
    pub(crate) fn key(&self, draft: Draft) -> String {
        match &self.how {
            How::Pydantic(_) => format!("format:pydantic:{}", self.name),
            How::Standard(_) => format!("format:{draft}:{}", self.name),
        }
    }
}

/// The options with the formats of a document asserted.
pub(crate) fn asserted(
    options: jsonschema::ValidationOptions<'_>,
    formats: Formats,
    draft: Draft,
) -> jsonschema::ValidationOptions<'_> {
    match formats {
        Formats::Annotation => options.should_validate_formats(false),
        Formats::Assertion => options.should_validate_formats(true),
        Formats::Pydantic => options.should_validate_formats(false).with_keyword(
            "format",
            move |schema: &Map<String, Value>, _: &Value, _: jsonschema::paths::Location| {
                Ok(Box::new(Asked(Format::of(formats, draft, schema))) as Box<dyn for<'i> Keyword<'i>>)
            },
        ),
    }
}

/// `format` as a keyword of the library's.
struct Asked(Option<Format>);

impl<'i> Keyword<'i> for Asked {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        match &self.0 {
            Some(format) if !self.is_valid(instance) => Err(ValidationError::custom(&format.name)),
            _ => Ok(()),
        }
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        let (Some(format), Some(text)) = (&self.0, instance.as_str()) else { return true };
        format.allows(text)
    }
}

/// Whether any sub-schema's `format` refuses anything.
pub(crate) fn refuses(schema: &Value, formats: Formats, draft: Draft) -> bool {
    if formats == Formats::Annotation {
        return false;
    }
    if formats.refuses(draft, schema) {
        return true;
    }
    let mut found = false;
    crate::for_each_subschema(schema, draft, &mut |_, subschema| {
        found = found || refuses(subschema, formats, draft);
    });
    found
}

#[cfg(all(test, feature = "compare"))]
mod tests {
    use serde_json::json;

    use super::*;

    /// A comparison takes what does not have the shape for refused: that must be so.
    #[test]
    fn what_a_format_allows_has_its_shape() {
        let texts = [
            "2026-11-27T10:30:00Z",
            "2026-11-27",
            "10:30",
            "1 day, 10:30:00",
            "PT",
            "P1D",
            "-P1D",
            "P",
            "17",
            "a@b.co",
            "::",
            "::1",
            "10.0.0.1",
            "10.0.0.0/8",
            "::/0",
            "x:",
            "urn:a",
            "http://a",
            "a.b",
            "null",
            "\"\"",
            "nan",
            "infinity",
            "",
            " ",
            "\n",
            "3fa85f64-5717-4562-b3fc-2c963f66afa6",
            "3FA85F6457174562B3FC2C963F66AFA6",
            "{3fa85f64-5717-4562-b3fc-2c963f66afa6}",
            "urn:uuid:3fa85f64-5717-4562-b3fc-2c963f66afa6",
            "{3fa85f6457174562b3fc2c963f66afa6}",
        ];
        let names = [
            "date-time",
            "date",
            "time",
            "duration",
            "uuid",
            "uuid4",
            "ipv4",
            "ipv6",
            "ipvanyaddress",
            "ipv4network",
            "ipv6network",
            "ipvanynetwork",
            "ipv4interface",
            "ipv6interface",
            "uri",
            "iri",
            "email",
            "hostname",
            "json-string",
            "regex",
        ];
        let mut allowed = 0;
        for name in names {
            for formats in [Formats::Assertion, Formats::Pydantic] {
                let schema = json!({"type": "string", "format": name});
                let format = schema.as_object().and_then(|schema| Format::of(formats, Draft::Draft202012, schema));
                let Some(format) = format else { continue };
                let Some(shape) = format.shape() else { continue };
                let shape = regex::Regex::new(&jsonschema_regex::to_rust_regex(shape).unwrap()).unwrap();
                for text in texts.iter().filter(|text| format.allows(text)) {
                    assert!(shape.is_match(text), "{name} as {formats}: {text:?}");
                    allowed += 1;
                }
            }
        }
        assert!(allowed > 40, "{allowed}");
    }
}
