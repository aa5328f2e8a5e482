//! Rules about keywords: those that no draft knows, that another draft knows, and names that nothing declares.

use serde_json::Value;

use super::subject::{File, Found};
use crate::{Draft, source::escape, suggest::similar};

/// Each keyword, and the first and last draft that has it.
const KEYWORDS: [(&str, Draft, Draft); 63] = {
    use Draft::{Draft4, Draft6, Draft7, Draft201909, Draft202012};
    [
        ("$anchor", Draft201909, Draft202012),
        ("$comment", Draft7, Draft202012),
        ("$defs", Draft4, Draft202012),
        ("$dynamicAnchor", Draft202012, Draft202012),
        ("$dynamicRef", Draft202012, Draft202012),
        ("$id", Draft6, Draft202012),
        ("$recursiveAnchor", Draft201909, Draft201909),
        ("$recursiveRef", Draft201909, Draft201909),
        ("$ref", Draft4, Draft202012),
        ("$schema", Draft4, Draft202012),
        ("$vocabulary", Draft201909, Draft202012),
        ("additionalItems", Draft4, Draft201909),
        ("additionalProperties", Draft4, Draft202012),
        ("allOf", Draft4, Draft202012),
        ("anyOf", Draft4, Draft202012),
        ("const", Draft6, Draft202012),
        ("contains", Draft6, Draft202012),
        ("contentEncoding", Draft7, Draft202012),
        ("contentMediaType", Draft7, Draft202012),
        ("contentSchema", Draft201909, Draft202012),
        ("default", Draft4, Draft202012),
        ("definitions", Draft4, Draft202012),
        ("dependencies", Draft4, Draft202012),
        ("dependentRequired", Draft201909, Draft202012),
        ("dependentSchemas", Draft201909, Draft202012),
        ("deprecated", Draft4, Draft202012),
        ("description", Draft4, Draft202012),
        ("else", Draft7, Draft202012),
        ("enum", Draft4, Draft202012),
        ("examples", Draft4, Draft202012),
        ("exclusiveMaximum", Draft4, Draft202012),
        ("exclusiveMinimum", Draft4, Draft202012),
        ("format", Draft4, Draft202012),
        ("id", Draft4, Draft4),
        ("if", Draft7, Draft202012),
        ("items", Draft4, Draft202012),
        ("maxContains", Draft201909, Draft202012),
        ("maxItems", Draft4, Draft202012),
        ("maxLength", Draft4, Draft202012),
        ("maxProperties", Draft4, Draft202012),
        ("maximum", Draft4, Draft202012),
        ("minContains", Draft201909, Draft202012),
        ("minItems", Draft4, Draft202012),
        ("minLength", Draft4, Draft202012),
        ("minProperties", Draft4, Draft202012),
        ("minimum", Draft4, Draft202012),
        ("multipleOf", Draft4, Draft202012),
        ("not", Draft4, Draft202012),
        ("oneOf", Draft4, Draft202012),
        ("pattern", Draft4, Draft202012),
        ("patternProperties", Draft4, Draft202012),
        ("prefixItems", Draft202012, Draft202012),
        ("properties", Draft4, Draft202012),
        ("propertyNames", Draft6, Draft202012),
        ("readOnly", Draft4, Draft202012),
        ("required", Draft4, Draft202012),
        ("then", Draft7, Draft202012),
        ("title", Draft4, Draft202012),
        ("type", Draft4, Draft202012),
        ("unevaluatedItems", Draft201909, Draft202012),
        ("unevaluatedProperties", Draft201909, Draft202012),
        ("uniqueItems", Draft4, Draft202012),
        ("writeOnly", Draft4, Draft202012),
    ]
};

/// What other tools write, and no draft has.
const OF_TOOLS: [&str; 3] = ["discriminator", "example", "nullable"];

pub(super) fn check(file: &File, found: &mut Found) {
    for schema in file.schemas() {
        let Value::Object(members) = schema.value else { continue };
        if file.is_hidden(schema.value) {
            continue;
        }
        for keyword in members.keys().filter(|keyword| !keyword.starts_with("x-")) {
            let at = format!("{}/{}", schema.pointer, escape(keyword));
            match KEYWORDS.iter().find(|(known, ..)| known == keyword) {
                Some((_, first, last)) if file.draft < *first || file.draft > *last => {
                    let message = format!("{} does not know `{keyword}`, and skips it", file.draft);
                    let of = if first == last { first.to_string() } else { format!("{first} to {last}") };
                    found.push(file.at("keyword-of-other-draft", &at, message).with_help(format!(
                        "it is a keyword of {of}: correct `$schema`, or say it in this draft's words"
                    )));
                }
                Some(_) => {}
                None => found.push(unknown(file, keyword, &at)),
            }
        }
        undeclared(file, &schema.pointer, members, schema.is_branch, found);
    }
}

fn unknown(file: &File, keyword: &str, at: &str) -> crate::Diagnostic {
    let known = KEYWORDS.iter().map(|(known, ..)| *known);
    if let Some(near) = similar(keyword, known).filter(|_| !OF_TOOLS.contains(&keyword)) {
        return file
            .at("misspelt-keyword", at, format!("`{keyword}` is no keyword: every reader skips it"))
            .with_help(format!("did you mean `{near}`?"));
    }
    let help = match keyword {
        "nullable" => "say \"type\": [\"string\", \"null\"] instead",
        "example" => "say \"examples\": [...] instead",
        "discriminator" => "readers decide by the schemas of `oneOf`; name it `x-discriminator` if a tool needs it",
        _ => "begin keywords of your own with `x-`",
    };
    file.at("unknown-keyword", at, format!("`{keyword}` is no keyword of JSON Schema, and is skipped")).with_help(help)
}

/// Names that are required, where what declares them would stand in the same schema.
fn undeclared(
    file: &File,
    pointer: &str,
    members: &serde_json::Map<String, Value>,
    is_branch: bool,
    found: &mut Found,
) {
    let elsewhere = ["$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf", "if", "patternProperties"]
        .iter()
        .any(|keyword| members.contains_key(*keyword));
    let typed = members.get("additionalProperties").is_some_and(Value::is_object);
    if is_branch || elsewhere || typed {
        return;
    }
    let properties = members.get("properties").and_then(Value::as_object);
    let required = members.get("required").and_then(Value::as_array);
    for (i, name) in required.into_iter().flatten().enumerate().filter_map(|(i, name)| Some((i, name.as_str()?))) {
        if properties.is_some_and(|properties| properties.contains_key(name)) {
            continue;
        }
        let finding = file.at(
            "undeclared-required",
            &format!("{pointer}/required/{i}"),
            format!("`{name}` is required, and not among `properties`"),
        );
        let near = similar(name, properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str)));
        found.push(match near {
            Some(near) => finding.with_help(format!("did you mean `{near}`?")),
            None => finding.with_help("declare it, so that generated types have it"),
        });
    }
}
