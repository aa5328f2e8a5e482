//! Rules about keywords: those that no draft knows, that another draft knows, and names that nothing declares.

use serde_json::Value;

use super::subject::{File, Found};
use crate::{keyword::KEYWORDS, source::escape, suggest::similar};

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
                Some((_, first, last, _)) if file.draft < *first || file.draft > *last => {
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
