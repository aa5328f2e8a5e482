//! Rules about texts: patterns that are slow or match more than they seem to, formats that nobody knows.

use serde_json::Value;

use super::subject::{File, Found};
use crate::suggest::similar;

/// The formats of all drafts, and those of OpenAPI.
const FORMATS: [&str; 52] = [
    "base64url",
    "binary",
    "byte",
    "color",
    "date",
    "date-time",
    "decimal",
    "directory-path",
    "double",
    "duration",
    "email",
    "file-path",
    "float",
    "hostname",
    "idn-email",
    "idn-hostname",
    "int32",
    "int64",
    "ipv4",
    "ipv4interface",
    "ipv4network",
    "ipv6",
    "ipv6interface",
    "ipv6network",
    "ipvanyaddress",
    "ipvanyinterface",
    "ipvanynetwork",
    "iri",
    "iri-reference",
    "json-pointer",
    "json-string",
    "multi-host-uri",
    "name-email",
    "password",
    "path",
    "regex",
    "relative-json-pointer",
    "time",
    "uint32",
    "uint64",
    "uri",
    "uri-reference",
    "uri-template",
    "url",
    "uuid",
    "uuid1",
    "uuid3",
    "uuid4",
    "uuid5",
    "uuid6",
    "uuid7",
    "uuid8",
];

pub(super) fn check(file: &File, found: &mut Found) {
    for schema in file.schemas() {
        if file.is_hidden(schema.value) {
            continue;
        }
        let at = |keyword: &str| format!("{}/{keyword}", schema.pointer);
        if let Some(pattern) = schema.value.get("pattern").and_then(Value::as_str) {
            let shape = Shape::of(pattern);
            if shape.looks {
                found.push(
                    file.at(
                        "pattern-lookaround",
                        &at("pattern"),
                        "look-around and back-references need an engine that may take long",
                    )
                    .with_help(
                        "say it without: by `allOf` of several patterns, or `not`; then versions can be compared, too",
                    ),
                );
            }
            if !shape.anchored {
                let message = "without `^` and `$` around all of it, this matches anywhere in the text";
                let help = format!("write \"^(?:{pattern})$\", or begin and end it with `.*` if that is meant");
                found.push(file.at("pattern-unanchored", &at("pattern"), message).with_help(help));
            }
        }
        if let Some(format) =
            schema.value.get("format").and_then(Value::as_str).filter(|format| !FORMATS.contains(format))
        {
            let help = similar(format, FORMATS).map_or_else(
                || "nobody checks this format: say what is meant in `description`, or by `pattern`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            found.push(
                file.at("unknown-format", &at("format"), format!("`{format}` is no known format")).with_help(help),
            );
        }
    }
}

/// What can be told of a pattern by its characters.
struct Shape {
    anchored: bool,
    looks: bool,
}

impl Shape {
    fn of(pattern: &str) -> Self {
        let mut depth = 0_usize;
        let (mut in_class, mut branches, mut looks, mut open_end) = (false, false, false, true);
        let mut rest = pattern;
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            open_end = true;
            match c {
                '\\' => {
                    let escaped = after.chars().next();
                    looks |= !in_class && escaped.is_some_and(|c| matches!(c, '1'..='9' | 'k'));
                    rest = &after[escaped.map_or(0, char::len_utf8)..];
                    continue;
                }
                '[' if !in_class => in_class = true,
                ']' if in_class => in_class = false,
                _ if in_class => {}
                '(' => {
                    depth += 1;
                    looks |= ["?=", "?!", "?<=", "?<!"].iter().any(|look| after.starts_with(look));
                }
                ')' => depth = depth.saturating_sub(1),
                '|' if depth == 0 => branches = true,
                '$' => open_end = depth > 0,
                _ => {}
            }
            rest = after;
        }
        // Whoever begins and ends with `.*` has thought of it.
        let starts = pattern.starts_with('^') || pattern.starts_with(".*");
        let ends = !open_end || pattern.ends_with(".*");
        Self { anchored: starts && ends && !branches, looks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_hold_for_all_of_a_pattern() {
        for anchored in ["^a$", "^(a|b)$", "^[|$]$", r"^\|$", ".*a.*", "^$", "^[^$]+$"] {
            assert!(Shape::of(anchored).anchored, "{anchored}");
        }
        for loose in ["a", "^a", "a$", "^a|b$", r"^a\$", "^a[$]", "", "^(a$)"] {
            assert!(!Shape::of(loose).anchored, "{loose}");
        }
    }

    #[test]
    fn looks_are_seen_where_they_are_none_of_the_text() {
        for looks in ["(?=a)", "^(?!a)b$", "(?<=a)b", "(?<!a)b", r"(a)\1", r"\k<a>"] {
            assert!(Shape::of(looks).looks, "{looks}");
        }
        for plain in [r"\(?=a", "[(?=]", "(?:a)", "(?<name>a)", r"\\1", r"[\1]"] {
            assert!(!Shape::of(plain).looks, "{plain}");
        }
    }
}
