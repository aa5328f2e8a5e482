//! Rules about the next version: what closes the way to it.

use serde_json::Value;

use super::subject::{File, Found};
use crate::{Catalog, source::escape};

pub(super) fn check_file(file: &File, found: &mut Found) {
    for schema in file.schemas() {
        let Value::Object(members) = schema.value else { continue };
        if file.is_hidden(schema.value) {
            continue;
        }
        for keyword in ["additionalProperties", "unevaluatedProperties"] {
            if members.get(keyword) == Some(&Value::Bool(false)) {
                let at = format!("{}/{keyword}", schema.pointer);
                found.push(
                    file.at(
                        "closed-object",
                        &at,
                        "a closed object can't get an optional property within this major version",
                    )
                    .with_help("leave it open: readers ignore what they do not know"),
                );
            }
        }
        let names = members
            .get("enum")
            .and_then(Value::as_array)
            .is_some_and(|values| values.len() > 1 && values.iter().filter(|value| value.is_string()).count() > 1);
        if names && !members.contains_key("x-extensible-enum") {
            let at = format!("{}/enum", schema.pointer);
            found.push(
                file.at("closed-enum", &at, "this list of names can't grow within this major version").with_help(
                    "if it may grow, say `x-extensible-enum` instead of `enum`; readers then expect new names",
                ),
            );
        }
        let Some(properties) = members.get("properties") else { continue };
        let required = members.get("required").and_then(Value::as_array);
        for (at, name) in required.into_iter().flatten().enumerate().filter_map(|(at, name)| Some((at, name.as_str()?)))
        {
            if properties.get(name).is_some_and(|property| property.get("default").is_some()) {
                let place = format!("{}/required/{at}", schema.pointer);
                let message = format!("`{name}` is required and has a default, which is never used");
                found.push(
                    file.at("required-with-default", &place, message)
                        .with_help(format!("remove it from `required`, or `/properties/{}/default`", escape(name))),
                );
            }
        }
    }
}

pub(super) fn check_versions(catalog: &Catalog, found: &mut Found) {
    for pair in catalog.contracts.windows(2) {
        let [before, after] = pair else { continue };
        if before.topic != after.topic {
            continue;
        }
        let (old, new) = (&before.version, &after.version);
        let gap = if old.major() == new.major() {
            new.minor() > old.minor().saturating_add(1)
        } else {
            new.major() > old.major().saturating_add(1)
        };
        if gap {
            let source = &after.request.source;
            let message = format!("{new} follows {old}: a version between them is missing");
            found.push(
                source
                    .warning("version-gap", source.start(), message)
                    .with_help("number versions without gaps, so that nobody looks for what never was"),
            );
        }
    }
}
