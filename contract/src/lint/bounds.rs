//! Rules about limits: that something fits between them, and that every language reads the same number.

use serde_json::{Number, Value};

use super::subject::{File, Found};

/// The largest integer up to which every one is a double: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Each lower and upper limit of the same thing.
const LIMITS: [(&str, &str); 5] = [
    ("minimum", "maximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
    ("minContains", "maxContains"),
];

pub(super) fn check(file: &File, found: &mut Found) {
    for schema in file.schemas() {
        if file.is_hidden(schema.value) {
            continue;
        }
        let number = |keyword: &str| schema.value.get(keyword).and_then(Value::as_number);
        let at = |keyword: &str| format!("{}/{keyword}", schema.pointer);
        for (low, high) in LIMITS {
            if let (Some(least), Some(most)) = (number(low), number(high))
                && is_more(least, most)
            {
                let message = format!("nothing fits: `{low}` is {least}, and `{high}` is {most}");
                found.push(file.at("impossible-bounds", &at(low), message).with_help("swap them, or correct one"));
            }
        }
        for (low, high) in
            [("exclusiveMinimum", "maximum"), ("minimum", "exclusiveMaximum"), ("exclusiveMinimum", "exclusiveMaximum")]
        {
            if let (Some(least), Some(most)) = (number(low), number(high))
                && !is_more(most, least)
            {
                let message = format!("nothing fits: `{low}` is {least}, and `{high}` is {most}");
                found.push(file.at("impossible-bounds", &at(low), message).with_help("leave room between them"));
            }
        }
        let required = schema.value.get("required").and_then(Value::as_array).map_or(0, Vec::len);
        if let Some(most) = number("maxProperties").and_then(Number::as_u64).filter(|most| *most < required as u64) {
            let message = format!("nothing fits: {required} properties are required, and `maxProperties` is {most}");
            found.push(file.at("impossible-bounds", &at("maxProperties"), message));
        }
        for keyword in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "const", "default"]
        {
            if number(keyword).is_some_and(is_inexact) {
                found.push(inexact(file, &at(keyword)));
            }
        }
        for (i, value) in schema.value.get("enum").and_then(Value::as_array).into_iter().flatten().enumerate() {
            if value.as_number().is_some_and(is_inexact) {
                found.push(inexact(file, &format!("{}/{i}", at("enum"))));
            }
        }
        let is_text = schema.value.get("type").is_some_and(|kind| kind == "string");
        let bounded = ["maxLength", "enum", "const", "pattern", "format", "x-extensible-enum"]
            .iter()
            .any(|keyword| schema.value.get(keyword).is_some());
        if is_text && !bounded {
            found.push(
                file.at("unbounded-string", &at("type"), "this text may be of any length")
                    .with_help("add `maxLength`: someone has to store it"),
            );
        }
    }
}

fn inexact(file: &File, pointer: &str) -> crate::Diagnostic {
    file.at(
        "inexact-integer",
        pointer,
        "beyond 2^53 integers are rounded in JavaScript, and wherever numbers are doubles",
    )
    .with_help("stay within 9007199254740992, or use a string of digits")
}

fn is_inexact(number: &Number) -> bool {
    number.as_f64().is_some_and(|value| value.abs() >= EXACT && value.fract() == 0.0)
        && number.as_i64() != Some(9_007_199_254_740_992)
        && number.as_i64() != Some(-9_007_199_254_740_992)
}

/// Exact where both are integers that are held exactly.
fn is_more(a: &Number, b: &Number) -> bool {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a > b,
        _ => a.as_f64() > b.as_f64(),
    }
}
