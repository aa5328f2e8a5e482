//! What a schema wants, in words.
//!
//! Made from the schema alone: the value that broke the rule is never looked at, so nothing of a payload can end up
//! in an error or a log.

use jsonschema::error::{TypeKind, ValidationError, ValidationErrorKind as Kind};
use serde_json::{Map, Value};

/// The longest list of values that is spelled out, in characters.
const MAX_LIST: usize = 200;
/// How deep alternatives of alternatives are spelled out.
const MAX_NESTING: usize = 3;

/// What was expected where `error` arose; `schema` is the document that it was checked against.
pub(crate) fn expected(error: &ValidationError<'_>, schema: &Value) -> String {
    spell(error, schema, error.instance_path().as_str(), 0)
}

/// `origin` is the place that the words are read at.
fn spell(error: &ValidationError<'_>, schema: &Value, origin: &str, nesting: usize) -> String {
    match error.kind() {
        Kind::Type { kind: TypeKind::Single(one) } => article(one.as_str()).to_owned(),
        Kind::Type { kind: TypeKind::Multiple(set) } => either(set.iter().map(|one| article(one.as_str()).to_owned())),
        Kind::Required { property } => format!("the property {property}"),
        Kind::AdditionalProperties { .. } => declared(error, schema),
        Kind::UnevaluatedProperties { .. } => "no properties other than the declared ones".to_owned(),
        Kind::UnevaluatedItems { .. } => "no items beyond the declared ones".to_owned(),
        Kind::AdditionalItems { limit } => format!("at most {limit} {}", plural(*limit as u64, "item")),
        Kind::Enum { options } => options.as_array().map_or_else(String::new, |all| one_of(all)),
        Kind::Constant { expected_value } => cut(expected_value.to_string()),
        Kind::Maximum { limit } => format!("at most {limit}"),
        Kind::Minimum { limit } => format!("at least {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("less than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("more than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        Kind::MaxLength { limit } => format!("at most {limit} {}", plural(*limit, "character")),
        Kind::MinLength { limit } => format!("at least {limit} {}", plural(*limit, "character")),
        Kind::MaxItems { limit } => format!("at most {limit} {}", plural(*limit, "item")),
        Kind::MinItems { limit } => format!("at least {limit} {}", plural(*limit, "item")),
        Kind::MaxProperties { limit } => format!("at most {limit} {}", plural_property(*limit)),
        Kind::MinProperties { limit } => format!("at least {limit} {}", plural_property(*limit)),
        Kind::UniqueItems => "no item twice".to_owned(),
        Kind::Contains => contains(error, schema),
        Kind::Pattern { pattern } => format!("text that matches {}", cut(format!("{pattern:?}"))),
        Kind::Format { format } => of_format(format),
        Kind::ContentEncoding { content_encoding } => format!("text encoded as {content_encoding:?}"),
        Kind::FromUtf8 { .. } => "text that decodes to UTF-8".to_owned(),
        Kind::ContentMediaType { content_media_type } => format!("text that holds {content_media_type:?}"),
        Kind::FalseSchema => "no value here".to_owned(),
        Kind::Not { .. } => "anything but what `not` describes".to_owned(),
        Kind::PropertyNames { error } => {
            format!("property names that are {}", spell(error, schema, origin, nesting + 1))
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            alternatives(error, context, schema, origin, nesting)
        }
        Kind::OneOfMultipleValid { context } => {
            format!("a value that fits exactly one of {} alternatives, not several", context.len())
        }
        Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. } => {
            "text that can be matched against the pattern in reasonable time".to_owned()
        }
        Kind::Referencing(_) => "a schema whose references resolve".to_owned(),
        // There is no other keyword of our own.
        Kind::Custom { message, .. } => of_format(message),
    }
}

/// What each alternative wanted. Where some alternatives took the value for what they describe (a branch for objects
/// looking at an object) and failed further inside, only they are worth telling.
fn alternatives(
    error: &ValidationError<'_>,
    context: &[Vec<ValidationError<'_>>],
    schema: &Value,
    origin: &str,
    nesting: usize,
) -> String {
    if nesting >= MAX_NESTING {
        return placed(error, origin, format!("a value that fits one of {} alternatives", context.len()));
    }
    let here = error.instance_path().as_str();
    let about_kind = |inner: &ValidationError<'_>| {
        inner.instance_path().as_str() == here
            && matches!(inner.kind(), Kind::Type { .. } | Kind::Enum { .. } | Kind::Constant { .. } | Kind::FalseSchema)
    };
    let nearer: Vec<&Vec<ValidationError<'_>>> =
        context.iter().filter(|branch| !branch.is_empty() && !branch.iter().any(about_kind)).collect();
    let all: Vec<&Vec<ValidationError<'_>>> = if nearer.is_empty() { context.iter().collect() } else { nearer };
    let words = all.iter().map(|branch| {
        let wants: Vec<String> = branch
            .iter()
            .take(3)
            .map(|inner| {
                let wants = spell(inner, schema, origin, nesting + 1);
                match inner.kind() {
                    Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => wants,
                    _ => placed(inner, origin, wants),
                }
            })
            .collect();
        wants.join(" and ")
    });
    let words: Vec<String> = words.filter(|words| !words.is_empty()).collect();
    if words.is_empty() {
        format!("a value that fits one of {} alternatives", context.len())
    } else {
        either(words.into_iter())
    }
}

/// The words, and where they are meant when that is not `origin`.
fn placed(error: &ValidationError<'_>, origin: &str, words: String) -> String {
    match error.instance_path().as_str().strip_prefix(origin) {
        Some("") | None => words,
        Some(below) => format!("{words} at {below}"),
    }
}

/// The properties that the schema beside `additionalProperties` declares. The unexpected names are not told: they are
/// part of the payload.
fn declared(error: &ValidationError<'_>, schema: &Value) -> String {
    let parent = error.schema_path().as_str().rsplit_once('/').and_then(|(parent, _)| schema.pointer(parent));
    no_others(parent.and_then(Value::as_object).unwrap_or(&Map::new()))
}

/// No properties but those that a schema declares.
pub(crate) fn no_others(schema: &Map<String, Value>) -> String {
    let names = |keyword: &str| -> Vec<String> {
        let members = schema.get(keyword).and_then(Value::as_object);
        let mut names: Vec<String> = members.into_iter().flat_map(|map| map.keys()).map(|key| quoted(key)).collect();
        names.sort();
        names
    };
    let properties = names("properties");
    let patterns: Vec<String> =
        names("patternProperties").into_iter().map(|pattern| format!("those matching {pattern}")).collect();
    let all = [properties, patterns].concat();
    if all.is_empty() { "no properties".to_owned() } else { format!("no properties other than {}", join(&all)) }
}

/// What `contains`, `minContains` and `maxContains` want together.
fn contains(error: &ValidationError<'_>, schema: &Value) -> String {
    let parent = error.schema_path().as_str().rsplit_once('/').and_then(|(parent, _)| schema.pointer(parent));
    contained(parent.and_then(Value::as_object).unwrap_or(&Map::new()))
}

/// What a schema with `contains` wants.
pub(crate) fn contained(schema: &Map<String, Value>) -> String {
    let limit = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
    match (limit("minContains"), limit("maxContains")) {
        (None, None) => "at least one item that matches `contains`".to_owned(),
        (Some(least), None) => format!("at least {least} {} matching `contains`", plural(least, "item")),
        (None, Some(most)) => format!("at least one and at most {most} items matching `contains`"),
        (Some(least), Some(most)) => format!("{least} to {most} items matching `contains`"),
    }
}

/// The keyword that was broken; `false` for a schema that allows nothing.
pub(crate) fn keyword(error: &ValidationError<'_>) -> String {
    match error.kind() {
        Kind::FalseSchema => "false".to_owned(),
        // `contains` speaks for its two companions, `oneOf` for both of its faults.
        kind => kind.keyword().to_owned(),
    }
}

pub(crate) fn of_format(name: &str) -> String {
    cut(format!("text of the format {name:?}"))
}

pub(crate) fn article(kind: &str) -> &str {
    match kind {
        "array" => "an array",
        "boolean" => "a boolean",
        "integer" => "an integer",
        "number" => "a number",
        "object" => "an object",
        "string" => "a string",
        other => other,
    }
}

pub(crate) fn plural(count: u64, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

pub(crate) fn plural_property(count: u64) -> &'static str {
    if count == 1 { "property" } else { "properties" }
}

pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

pub(crate) fn one_of(options: &[Value]) -> String {
    match options {
        [only] => cut(only.to_string()),
        _ => format!("one of {}", join(&options.iter().map(ToString::to_string).collect::<Vec<_>>())),
    }
}

/// `a or b`, each once.
pub(crate) fn either(words: impl Iterator<Item = String>) -> String {
    let mut once: Vec<String> = Vec::new();
    for word in words {
        if !once.contains(&word) {
            once.push(word);
        }
    }
    let all = once.len();
    let mut told = 0;
    let mut length = 0;
    once.retain(|word| {
        length += word.chars().count();
        let keep = told == 0 || length <= MAX_LIST;
        told += usize::from(keep);
        keep
    });
    if told < all {
        once.push(format!("{} more alternatives", all - told));
    }
    once.join(" or ")
}

/// As many as are worth reading, with commas.
fn join(words: &[String]) -> String {
    let mut out = String::new();
    for (i, word) in words.iter().enumerate() {
        if i > 0 && out.chars().count() + word.chars().count() > MAX_LIST {
            return format!("{out} and {} more", words.len() - i);
        }
        if i > 0 {
            out.push_str(", ");
        }
        out.push_str(&cut(word.clone()));
    }
    out
}

/// At most [`MAX_LIST`] characters of a schema's text.
pub(crate) fn cut(text: String) -> String {
    match text.char_indices().nth(MAX_LIST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
