//! What is wrong with one file for itself: its draft, its meta-schema, its patterns, its words for people.

use jsonschema::{error::ValidationErrorKind as Kind, meta::MetaValidator};
use serde_json::Value;

use crate::{
    Diagnostics, Document, Draft, Source,
    draft::walk_below,
    source::escape,
    suggest::{listed, similar},
    validator::Patterns,
    words,
};

/// The most faults against the meta-schema that one file is told of.
const MAX_FINDINGS: usize = 100;

const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// For who named none of them.
pub(crate) const KNOWN_DRAFTS: &str = "known are 2020-12 (also without `$schema`), 2019-09, 7, 6 and 4, such as https://json-schema.org/draft/2020-12/schema";

/// The draft of a file; an unknown one is reported.
pub(crate) fn draft(source: &Source, findings: &mut Diagnostics) -> Option<Draft> {
    let draft = Draft::of(source.value());
    if draft.is_none() {
        findings.push(
            source
                .error("unknown-draft", source.span_of("/$schema"), "this is no known draft of JSON Schema")
                .with_help(KNOWN_DRAFTS),
        );
    }
    draft
}

/// Checks a file against the meta-schema of its draft, and its patterns.
pub(crate) fn schema(source: &Source, draft: Draft, known: &mut Patterns, findings: &mut Diagnostics) {
    let meta_schema = meta_schema(draft);
    // Nearly all are good, which is told sooner than what is wrong with one.
    let faults = (!meta_schema.is_valid(source.value())).then(|| meta_schema.iter_errors(source.value()));
    for error in faults.into_iter().flatten().take(MAX_FINDINGS) {
        let pointer = error.instance_path().as_str();
        // A list of types with one that is none: the fault is the one.
        let item = error
            .instance()
            .as_array()
            .filter(|_| pointer.ends_with("/type"))
            .and_then(|types| types.iter().position(|one| one.as_str().is_some_and(|one| !TYPES.contains(&one))));
        if let Some(item) = item {
            let at = format!("{pointer}/{item}");
            let (message, help) = no_type(source.value().pointer(&at).and_then(Value::as_str).unwrap_or_default());
            let mut finding = source.error("meta-schema", source.span_of(&at), message);
            finding.help = help;
            findings.push(finding);
            continue;
        }
        let (message, help) = explain(&error, pointer);
        let mut finding = source.error("meta-schema", source.span_or_start(pointer), message);
        finding.help = help;
        findings.push(finding);
    }
    patterns(source, source.value(), draft, &mut String::new(), known, findings);
}

fn meta_schema(draft: Draft) -> MetaValidator<'static> {
    match draft {
        Draft::Draft4 => jsonschema::draft4::meta::validator(),
        Draft::Draft6 => jsonschema::draft6::meta::validator(),
        Draft::Draft7 => jsonschema::draft7::meta::validator(),
        Draft::Draft201909 => jsonschema::draft201909::meta::validator(),
        Draft::Draft202012 => jsonschema::draft202012::meta::validator(),
    }
}

/// What to say about a broken rule of a meta-schema, and what to do. A schema is no payload: its text may be shown.
fn explain(error: &jsonschema::ValidationError<'_>, pointer: &str) -> (String, Option<String>) {
    let tokens: Vec<&str> = pointer.rsplit('/').take(2).collect();
    let instance = error.instance().as_ref();
    let about_type = matches!(error.kind(), Kind::AnyOf { .. } | Kind::Enum { .. })
        && (tokens[0] == "type" || (tokens.get(1) == Some(&"type") && tokens[0].parse::<usize>().is_ok()));
    if let (true, Value::String(written)) = (about_type, instance) {
        return no_type(written);
    }
    let wants = words::expected(error, &Value::Null);
    let subject = if pointer.is_empty() { "the schema".to_owned() } else { format!("`{}`", tokens[0]) };
    let help = match (tokens[0], instance) {
        ("required", Value::Bool(_)) => {
            Some("`required` lists the names of required properties, beside `properties`".to_owned())
        }
        ("items", Value::Array(_)) => Some("since 2020-12 the schemas of a tuple stand in `prefixItems`".to_owned()),
        ("exclusiveMinimum" | "exclusiveMaximum", Value::Number(_)) => {
            Some("in draft 4 this is true or false, beside the limit".to_owned())
        }
        ("exclusiveMinimum" | "exclusiveMaximum", Value::Bool(_)) => {
            Some("since draft 6 this is the limit itself, a number".to_owned())
        }
        _ => None,
    };
    (format!("{subject}: expected {wants}"), help)
}

/// What to say about a type that is none.
fn no_type(written: &str) -> (String, Option<String>) {
    let meant = similar(written, TYPES).or(match written.to_ascii_lowercase().as_str() {
        "str" | "text" | "date" | "datetime" | "uuid" => Some("string"),
        "int" | "long" => Some("integer"),
        "float" | "double" | "decimal" => Some("number"),
        "bool" => Some("boolean"),
        "dict" | "map" | "struct" => Some("object"),
        "list" | "set" | "tuple" => Some("array"),
        "none" | "nil" => Some("null"),
        _ => None,
    });
    (
        format!("`{}` is no type; the types are {}", words::cut(written.to_owned()), listed(TYPES, 7)),
        meant.map(|meant| format!("did you mean `{meant}`?")),
    )
}

/// Reports each `pattern` and each key of `patternProperties` that is no regular expression. As deep as the schema.
fn patterns(
    source: &Source,
    schema: &Value,
    draft: Draft,
    pointer: &mut String,
    known: &mut Patterns,
    findings: &mut Diagnostics,
) {
    let mut refuse = |pattern: &str, span| {
        let message = format!("`{}` is no regular expression", words::cut(pattern.to_owned()));
        findings.push(
            source
                .error("invalid-pattern", span, message)
                .with_help("patterns are regular expressions of ECMA-262; a backslash is written twice in JSON"),
        );
    };
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str).filter(|pattern| !known.is_pattern(pattern)) {
        refuse(pattern, source.span_of(&format!("{pointer}/pattern")));
    }
    if let Some(members) = schema.get("patternProperties").and_then(Value::as_object) {
        for pattern in members.keys().filter(|pattern| !known.is_pattern(pattern)) {
            refuse(pattern, source.key_span_of(&format!("{pointer}/patternProperties/{}", escape(pattern))));
        }
    }
    walk_below(schema, draft, pointer, &mut |pointer, subschema| {
        patterns(source, subschema, draft, pointer, known, findings);
    });
}

/// Warns about a contract that says nothing to people.
pub(crate) fn documentation(source: &Source, findings: &mut Diagnostics) {
    if !source.value().is_object() {
        return;
    }
    let says =
        |keyword: &str| source.value().get(keyword).and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty());
    let start = source.start();
    if !says("title") {
        findings.push(
            source
                .warning("no-title", start, "the contract has no `title`")
                .with_help("the title names the Rust type; without one it is made from the topic"),
        );
    }
    if !says("description") {
        findings.push(
            source
                .warning("no-description", start, "the contract has no `description`")
                .with_help("say in a sentence when the event happens: it becomes documentation everywhere"),
        );
    }
}

/// Refuses a payload that can never be an object: Python's peers take nothing else.
pub(crate) fn payload(document: &Document, findings: &mut Diagnostics) {
    if can_be_object(&document.schema, &document.schema, document.draft, 0) {
        return;
    }
    let source = &document.source;
    let at = if source.value().get("type").is_some() { "/type" } else { "" };
    findings.push(
        source
            .error(
                "payload-not-object",
                source.span_or_start(at),
                "this payload can never be an object, and peers take only objects",
            )
            .with_help("make it an object with one property"),
    );
}

/// Whether some object may fit; when in doubt, yes.
fn can_be_object(schema: &Value, root: &Value, draft: Draft, depth: usize) -> bool {
    let Value::Object(members) = schema else { return schema != &Value::Bool(false) };
    if depth > 64 {
        return true;
    }
    let can = |schema: &Value| can_be_object(schema, root, draft, depth + 1);
    let target = members
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| root.pointer(&crate::uri::decode(reference.strip_prefix('#')?)));
    if let Some(can) = target.map(can).filter(|can| draft.ref_hides_siblings() || !can) {
        return can;
    }
    let is_object = |kind: &Value| kind == "object";
    let branches = |keyword: &str| members.get(keyword).and_then(Value::as_array);
    let by_type = match members.get("type") {
        Some(Value::Array(types)) => types.iter().any(is_object),
        Some(one) => is_object(one),
        None => true,
    };
    let by_value = members.get("const").is_none_or(Value::is_object)
        && branches("enum").is_none_or(|options| options.iter().any(Value::is_object));
    by_type
        && by_value
        && branches("allOf").is_none_or(|all| all.iter().all(can))
        && branches("anyOf").is_none_or(|any| any.iter().any(can))
        && branches("oneOf").is_none_or(|one| one.iter().any(can))
}
