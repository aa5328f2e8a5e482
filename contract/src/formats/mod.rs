//! What `format` asks of a text: nothing, what its standard says, or what pydantic reads.
//!
//! JSON Schema leaves formats to be annotations unless somebody asserts them. pydantic writes schemas without `$schema`,
//! in which a format stands for a type of its own (`datetime`, `UUID`): there a text that the type does not read is
//! refused, as the Python service behind that schema refuses it.

mod addresses;
#[cfg(feature = "compare")]
mod languages;
mod pydantic;

use std::{fmt, sync::LazyLock};

use jsonschema::{Keyword, ValidationError};
use serde_json::{Map, Value};

#[cfg(feature = "compare")]
pub(crate) use self::languages::Language;
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
                let options = standards(jsonschema::options().with_draft(draft.engine()).offline());
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

    /// What is known of all its texts.
    #[cfg(feature = "compare")]
    pub(crate) fn language(&self) -> Language {
        match &self.how {
            How::Pydantic(_) => languages::pydantic(&self.name),
            How::Standard(_) => languages::standard(&self.name),
        }
    }

    /// The formats that take all its texts and more, in the same reading.
    #[cfg(feature = "compare")]
    pub(crate) fn wider(&self, formats: Formats, draft: Draft) -> impl Iterator<Item = Self> + use<> {
        self.language().wider.iter().filter_map(move |name| {
            let schema = serde_json::json!({"type": "string", "format": name});
            Self::of(formats, draft, schema.as_object()?)
        })
    }

    /// The mode and the name: equal for formats that allow the same.
    #[cfg(feature = "compare")]
    pub(crate) fn key(&self, draft: Draft) -> String {
        match &self.how {
            How::Pydantic(_) => format!("format:pydantic:{}", self.name),
            // The one format that later drafts read otherwise: they look into labels that stand for other letters.
            How::Standard(_) if self.name == "hostname" && draft <= Draft::Draft6 => "format:hostname:plain".to_owned(),
            How::Standard(_) => format!("format:{}", self.name),
        }
    }
}

/// What the library makes of dates and times. It takes `*+,-./` for digits at some places, so how they are written is looked at first.
static MOMENTS: LazyLock<[Moment; 3]> = LazyLock::new(|| {
    [("date", is_date as fn(&str) -> bool), ("time", is_time), ("date-time", is_date_time)].map(|(name, is_written)| {
        let options = jsonschema::options().should_validate_formats(true).offline();
        Moment { name, is_written, library: options.build(&serde_json::json!({ "format": name })).ok() }
    })
});

struct Moment {
    name: &'static str,
    is_written: fn(&str) -> bool,
    /// Without it nothing is allowed: that is seen, other than a format that refuses nothing.
    library: Option<jsonschema::Validator>,
}

impl Moment {
    fn allows(&self, text: &str) -> bool {
        (self.is_written)(text) && self.library.as_ref().is_some_and(|library| library.is_valid(&Value::from(text)))
    }
}

/// `full-date` of RFC 3339, whatever the numbers.
fn is_date(text: &str) -> bool {
    after(text, "0000-00-00").is_some_and(str::is_empty)
}

/// `full-time` of RFC 3339, whatever the numbers.
fn is_time(text: &str) -> bool {
    let Some(mut rest) = after(text, "00:00:00") else { return false };
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|letter: char| letter.is_ascii_digit());
        if rest.len() == fraction.len() {
            return false;
        }
    }
    let offset = |rest: &str| after(rest.strip_prefix(['+', '-'])?, "00:00").map(str::is_empty);
    matches!(rest, "Z" | "z") || offset(rest) == Some(true)
}

/// `date-time` of RFC 3339, whatever the numbers.
fn is_date_time(text: &str) -> bool {
    let time = |rest: &str| rest.strip_prefix(['T', 't']).is_some_and(is_time);
    after(text, "0000-00-00").is_some_and(time)
}

/// What follows a text that begins like the sample, in which `0` stands for any digit.
fn after<'a>(text: &'a str, sample: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(sample.len())?;
    let is_alike = |(letter, like): (u8, u8)| if like == b'0' { letter.is_ascii_digit() } else { letter == like };
    start.bytes().zip(sample.bytes()).all(is_alike).then_some(rest)
}

/// The options with the formats of the draft asserted.
fn standards(options: jsonschema::ValidationOptions<'_>) -> jsonschema::ValidationOptions<'_> {
    MOMENTS.iter().fold(options.should_validate_formats(true), |options, moment| {
        options.with_format(moment.name, |text: &str| moment.allows(text))
    })
}

/// The options with the formats of a document asserted.
pub(crate) fn asserted(
    options: jsonschema::ValidationOptions<'_>,
    formats: Formats,
    draft: Draft,
) -> jsonschema::ValidationOptions<'_> {
    match formats {
        Formats::Annotation => options.should_validate_formats(false),
        Formats::Assertion => standards(options),
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
    crate::draft::subschemas(schema, draft, &mut |subschema| {
        found = found || refuses(subschema, formats, draft);
    });
    found
}
