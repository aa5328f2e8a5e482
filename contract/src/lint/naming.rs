//! Rules about names: of topics, of properties.

use serde_json::Value;

use super::subject::{File, Found};
use crate::{Catalog, source::escape};

pub(super) fn check_file(file: &File, found: &mut Found) {
    for schema in file.schemas() {
        let Some(properties) = schema.value.get("properties").and_then(Value::as_object) else { continue };
        for name in properties.keys().filter(|name| !is_snake_case(name)) {
            let at = format!("{}/properties/{}", schema.pointer, escape(name));
            found.push(
                file.at("property-case", &at, format!("`{name}` is not in snake_case"))
                    .with_help(format!("such as `{}`", snake_case(name))),
            );
        }
    }
}

pub(super) fn check_topics(catalog: &Catalog, found: &mut Found) {
    let mut last = None;
    for contract in &catalog.contracts {
        let topic = contract.topic.as_str();
        if last == Some(topic) {
            continue;
        }
        last = Some(topic);
        let source = &contract.request.source;
        let wrong = if topic.chars().any(|c| c.is_ascii_uppercase()) {
            Some("has capitals, which some file systems and readers lose")
        } else if topic.split('.').any(|word| word.strip_prefix('v').is_some_and(is_number)) {
            Some("has a version in it: the file's name is the version")
        } else if !topic.contains('.') {
            Some("is one word: nobody can subscribe to a group of such topics")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            found.push(
                source.warning("topic-name", source.start(), format!("the topic `{topic}` {wrong}")).with_help(
                    "name new topics as in `service.entity.event`; a topic that was released keeps its name",
                ),
            );
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_snake_case(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    let mut before_is_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && before_is_lower {
            out.push('_');
        }
        before_is_lower = c.is_lowercase() || c.is_ascii_digit();
        if c.is_alphanumeric() { out.extend(c.to_lowercase()) } else { out.push('_') }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_snake_case() {
        for (name, snake) in [("userId", "user_id"), ("HTTPStatus", "httpstatus"), ("a-b c", "a_b_c"), ("x1Y", "x1_y")]
        {
            assert_eq!(snake_case(name), snake);
            assert!(is_snake_case(snake) && !is_snake_case(name));
        }
    }
}
