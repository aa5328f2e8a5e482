//! What a schema demands of a value beyond its type, in words.

use serde_json::{Map, Value};

use super::{Rule, short};

/// Keywords that are shown as they are written: what they say takes more than a word.
const AS_WRITTEN: [&str; 21] = [
    "if",
    "then",
    "else",
    "not",
    "contains",
    "minContains",
    "maxContains",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "propertyNames",
    "unevaluatedProperties",
    "unevaluatedItems",
    "additionalItems",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "readOnly",
    "writeOnly",
    "$comment",
    "discriminator",
];

/// The rules of a schema itself, without those of its parts.
pub(super) fn rules(schema: &Value) -> Vec<Rule> {
    let Some(keywords) = schema.as_object() else { return Vec::new() };
    let mut rules = Vec::new();
    let mut say = |label, value: Option<String>| {
        if let Some(value) = value {
            rules.push(Rule { label, value });
        }
    };
    let text = |keyword: &str| keywords.get(keyword).and_then(Value::as_str).map(ToOwned::to_owned);
    let value = |keyword: &str| keywords.get(keyword).map(short);
    say("format", text("format"));
    say("range", numbers(keywords));
    say("multiple of", value("multipleOf"));
    say("length", between(keywords, "minLength", "maxLength"));
    say("pattern", text("pattern"));
    say("items", between(keywords, "minItems", "maxItems"));
    say("items", (keywords.get("uniqueItems") == Some(&Value::Bool(true))).then(|| "all different".to_owned()));
    say("properties", between(keywords, "minProperties", "maxProperties"));
    let is_closed = keywords.get("additionalProperties") == Some(&Value::Bool(false));
    say("properties", is_closed.then(|| "no others".to_owned()));
    say("default", value("default"));
    for keyword in AS_WRITTEN {
        say(keyword, value(keyword));
    }
    let examples = keywords.get("examples").and_then(Value::as_array).into_iter().flatten();
    // Those of a whole payload are shown as its examples.
    for example in examples.filter(|example| !example.is_object()).take(3) {
        say("example", Some(short(example)));
    }
    rules
}

/// `0 to 10`, `more than 0`: the bounds of a number. Draft 4 says with true or false whether a bound itself is allowed.
fn numbers(keywords: &Map<String, Value>) -> Option<String> {
    let bound = |plain: &str, exclusive: &str, words: [&str; 2]| {
        let (plain, exclusive) = (keywords.get(plain), keywords.get(exclusive));
        let open = match exclusive {
            Some(Value::Bool(true)) => plain,
            Some(Value::Bool(false)) | None => None,
            number => number,
        };
        let closed = plain.filter(|_| exclusive != Some(&Value::Bool(true)));
        let said = [(closed, words[0]), (open, words[1])];
        said.into_iter().filter_map(|(bound, word)| Some((word.to_owned(), bound?.to_string()))).collect::<Vec<_>>()
    };
    let low = bound("minimum", "exclusiveMinimum", ["at least", "more than"]);
    let high = bound("maximum", "exclusiveMaximum", ["at most", "less than"]);
    if let ([(least, low)], [(most, high)]) = (low.as_slice(), high.as_slice())
        && least == "at least"
        && most == "at most"
    {
        return Some(format!("{low} to {high}"));
    }
    let all: Vec<String> = low.into_iter().chain(high).map(|(word, bound)| format!("{word} {bound}")).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn between(keywords: &Map<String, Value>, least: &str, most: &str) -> Option<String> {
    match (keywords.get(least), keywords.get(most)) {
        (Some(least), Some(most)) if least == most => Some(format!("exactly {least}")),
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bounds_are_said_in_words() {
        let said = |schema: Value| -> String {
            rules(&schema).iter().map(|rule| format!("{} {}", rule.label, rule.value)).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(said(json!({"minimum": 0, "maximum": 10})), "range 0 to 10");
        assert_eq!(said(json!({"exclusiveMinimum": 0})), "range more than 0");
        assert_eq!(said(json!({"minimum": 1, "exclusiveMinimum": true})), "range more than 1");
        assert_eq!(said(json!({"maximum": 9, "exclusiveMaximum": 8.5})), "range at most 9, less than 8.5");
        assert_eq!(said(json!({"minLength": 3, "maxLength": 3})), "length exactly 3");
        assert_eq!(said(json!({"not": {"type": "null"}})), r#"not {"type":"null"}"#);
    }
}
