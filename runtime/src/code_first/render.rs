//! A schema as the text of a file: what it is first, then what it holds, definitions last.
//!
//! The order is fixed here, so that it depends on nothing: how a map of JSON is ordered is a matter of which features
//! other crates of the same build ask for.

use std::path::Path;

use celerysalt_contract::{Source, layout};
use serde_json::Value;

/// Keywords that come first, in this order; all others follow by name, then those of [`LAST`].
const FIRST: [&str; 10] =
    ["$schema", "$id", "title", "description", "x-celerysalt", "deprecated", "type", "format", "const", "enum"];
const LAST: [&str; 6] =
    ["properties", "patternProperties", "required", "additionalProperties", "unevaluatedProperties", "$defs"];

/// What the members of an object are.
#[derive(Clone, Copy)]
enum Members {
    Keywords,
    /// Of schemas.
    Names,
    Anything,
}

/// The text of a schema file, laid out as `celerysalt fmt` would leave it.
pub(super) fn text(schema: &Value) -> String {
    let mut plain = String::new();
    write(schema, Members::Keywords, &mut plain);
    match Source::parse(Path::new(""), "", plain.clone().into_bytes()) {
        Ok(source) => layout(&source),
        // Nothing that the layout could do for a file that no one will be able to read.
        Err(_) => plain,
    }
}

fn write(value: &Value, members: Members, out: &mut String) {
    match value {
        Value::Object(object) => {
            let mut all: Vec<(&String, &Value)> = object.iter().collect();
            all.sort_by_key(|(key, _)| match members {
                Members::Keywords => (rank(key), key.as_str()),
                Members::Names | Members::Anything => (0, key.as_str()),
            });
            list('{', '}', all, out, |(key, value), out| {
                let inner = match members {
                    Members::Keywords => inner(key),
                    Members::Names => Members::Keywords,
                    Members::Anything => Members::Anything,
                };
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(value, inner, out);
            });
        }
        Value::Array(items) => list('[', ']', items, out, |item, out| write(item, members, out)),
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn list<T>(
    open: char,
    close: char,
    items: impl IntoIterator<Item = T>,
    out: &mut String,
    write: impl Fn(T, &mut String),
) {
    out.push(open);
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(close);
}

fn rank(keyword: &str) -> usize {
    let first = FIRST.iter().position(|other| *other == keyword);
    let last = LAST.iter().position(|other| *other == keyword).map(|at| FIRST.len() + 1 + at);
    first.or(last).unwrap_or(FIRST.len())
}

/// What a keyword holds.
fn inner(keyword: &str) -> Members {
    match keyword {
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => Members::Names,
        "const" | "default" | "enum" | "examples" => Members::Anything,
        other if other.starts_with("x-") => Members::Anything,
        _ => Members::Keywords,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_says_first_what_it_is() {
        let schema = json!({
            "$defs": {"b": {"type": "string", "title": "B"}, "a": true},
            "required": ["type"],
            "properties": {"type": {"minimum": 1, "type": "integer"}, "$defs": {"default": {"type": 1, "a": 2}}},
            "type": "object", "title": "T", "minProperties": 1, "$schema": "s",
        });
        let expected = r#"{
  "$schema": "s",
  "title": "T",
  "type": "object",
  "minProperties": 1,
  "properties": {
    "$defs": {
      "default": {
        "a": 2,
        "type": 1
      }
    },
    "type": {
      "type": "integer",
      "minimum": 1
    }
  },
  "required": ["type"],
  "$defs": {
    "a": true,
    "b": {
      "title": "B",
      "type": "string"
    }
  }
}
"#;
        assert_eq!(text(&schema), expected);
        assert_eq!(serde_json::from_str::<Value>(&text(&schema)).unwrap(), schema);
    }
}
