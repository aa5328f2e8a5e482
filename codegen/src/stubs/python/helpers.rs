//! What generated files have besides models: imports, and the functions that say what pydantic has no word for.
//!
//! The functions are the text of `helpers.py`. A file gets those that it uses, so that it stands for itself.

use std::collections::BTreeSet;

const SOURCE: &str = include_str!("helpers.py");

/// Where names come from that neither the file nor Python itself has, in the order in which they are written.
const IMPORTS: [(&str, &[&str]); 10] = [
    ("ipaddress", &["ipaddress"]),
    ("re", &["re"]),
    ("collections.abc", &["Callable"]),
    ("fractions", &["Fraction"]),
    ("itertools", &["chain", "repeat"]),
    ("json", &["loads"]),
    ("math", &["isfinite"]),
    ("typing", &["Annotated", "Any", "ClassVar", "Literal", "Optional", "TypeVar", "Union"]),
    (
        "pydantic",
        &[
            "AllowInfNan",
            "BaseModel",
            "BeforeValidator",
            "ConfigDict",
            "Field",
            "RootModel",
            "SerializerFunctionWrapHandler",
            "Strict",
            "StrictBool",
            "StrictStr",
            "model_serializer",
            "model_validator",
        ],
    ),
    ("pydantic_core", &["SchemaValidator", "core_schema", "to_jsonable_python"]),
];

/// The functions and types of `helpers.py`, with what each is called.
fn helpers() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut rest = SOURCE.trim_end();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        // The next one starts at the margin, after an empty line.
        let end = rest
            .match_indices("\n\n")
            .map(|(at, _)| at)
            .find(|at| rest[*at..].trim_start_matches('\n').starts_with(|c: char| !c.is_whitespace()))
            .unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        rest = after.trim_start_matches('\n');
        let head = text.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
        let head = head.trim_start_matches("def ").trim_start_matches("class ");
        Some((words(head).next().unwrap_or_default(), text))
    })
}

/// Every name that a file may take from elsewhere: nothing else in it is called so.
pub(super) fn reserved() -> impl Iterator<Item = &'static str> {
    IMPORTS.into_iter().flat_map(|(_, names)| names.iter().copied()).chain(helpers().map(|(name, _)| name))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The imports and functions that a file needs which uses these names.
pub(super) fn preamble(used: &BTreeSet<String>) -> String {
    let mut needed: BTreeSet<&str> = used.iter().map(String::as_str).collect();
    loop {
        let before = needed.len();
        for (name, text) in helpers() {
            if needed.contains(name) {
                needed.extend(words(text).filter(|word| reserved().any(|known| known == *word)));
            }
        }
        if needed.len() == before {
            break;
        }
    }
    let mut standard = String::new();
    let mut others = String::new();
    for (module, names) in IMPORTS {
        let names: Vec<&str> = names.iter().copied().filter(|name| needed.contains(name)).collect();
        if names.is_empty() {
            continue;
        }
        let mut line = format!("from {module} import {}\n", names.join(", "));
        if names == [module] {
            line = format!("import {module}\n");
        } else if line.len() > 89 {
            line = format!("from {module} import (\n    {},\n)\n", names.join(",\n    "));
        }
        if module.starts_with("pydantic") { others.push_str(&line) } else { standard.push_str(&line) }
    }
    let mut text = [standard, others].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
    let mut after_block = false;
    for (_, helper) in helpers().filter(|(name, _)| needed.contains(name)) {
        let is_block = helper.starts_with("def ") || helper.starts_with("class ");
        text.push_str(if is_block || after_block { "\n\n" } else { "\n" });
        text.push_str(helper);
        text.push('\n');
        after_block = is_block;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_what_it_needs_and_nothing_else() {
        let names: Vec<&str> = helpers().map(|(name, _)| name).collect();
        assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "{names:?}");
        for name in ["T", "Rule", "Integer", "Maybe", "_obey", "_Contract", "_ref"] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
        let text = preamble(&BTreeSet::from(["_unique".to_owned()]));
        assert!(text.contains("def _unique") && text.contains("def _key") && text.contains("def _is_number"), "{text}");
        assert!(!text.contains("Fraction") && !text.contains("_obey") && !text.contains("pydantic"), "{text}");
    }
}
