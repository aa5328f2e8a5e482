//! Rules about references: what counts for nothing beside them, and what nothing refers to.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::subject::{File, Found, Subject};
use crate::{fingerprint::is_meaning, source::escape, uri};

pub(super) fn check_siblings(file: &File, found: &mut Found) {
    for schema in file.schemas() {
        let Value::Object(members) = schema.value else { continue };
        if !file.is_hidden(schema.value) {
            continue;
        }
        let harmless = ["$ref", "$schema", "$id", "id", "definitions", "$defs", "default"];
        for keyword in members.keys().filter(|keyword| is_meaning(keyword) && !harmless.contains(&keyword.as_str())) {
            let at = format!("{}/{}", schema.pointer, escape(keyword));
            let message = format!("{} skips `{keyword}` beside `$ref`", file.draft);
            found.push(
                file.at("ref-sibling", &at, message)
                    .with_help("say \"allOf\": [{\"$ref\": ...}] instead, or use draft 2019-09 or later"),
            );
        }
    }
}

pub(super) fn check_unused(subject: &Subject, found: &mut Found) {
    let mut used: BTreeSet<(PathBuf, String)> = BTreeSet::new();
    // Whose anchors are referred to: any of their definitions may be meant.
    let mut by_name: BTreeSet<PathBuf> = BTreeSet::new();
    for file in &subject.files {
        for schema in file.schemas() {
            for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
                let Some(reference) = schema.value.get(keyword).and_then(Value::as_str) else { continue };
                let (location, fragment) = reference.split_once('#').unwrap_or((reference, ""));
                let path = if location.is_empty() {
                    Some(file.source.path().to_owned())
                } else {
                    uri::relative(file.source.path(), &uri::decode(location))
                };
                // By an `$id`: whichever file has it.
                let Some(path) = path.filter(|path| is_file(subject, path)) else {
                    by_name.insert(file.source.path().to_owned());
                    continue;
                };
                let target = uri::decode(fragment);
                // A definition that only refers to itself is not used.
                let inside = path == file.source.path() && within(&schema.pointer, &target);
                if !target.is_empty() && !target.starts_with('/') {
                    by_name.insert(path);
                } else if !inside {
                    used.insert((path, target));
                }
            }
        }
    }
    for file in &subject.files {
        let path = file.source.path();
        if by_name.contains(path) {
            continue;
        }
        for schema in file.schemas().iter().filter(|schema| schema.is_definition) {
            let is_used = |(at, target): &(PathBuf, String)| at == path && within(target, &schema.pointer);
            if !used.iter().any(is_used) {
                let name = schema.pointer.rsplit('/').next().unwrap_or_default();
                found.push(
                    file.at("unused-definition", &schema.pointer, format!("nothing refers to `{name}`"))
                        .with_help("remove it, or refer to it"),
                );
            }
        }
    }
}

fn is_file(subject: &Subject, path: &Path) -> bool {
    subject.files.iter().any(|file| file.source.path() == path)
}

/// Whether a pointer is another, or below it.
fn within(pointer: &str, top: &str) -> bool {
    pointer.strip_prefix(top).is_some_and(|rest| !top.is_empty() && (rest.is_empty() || rest.starts_with('/')))
}
