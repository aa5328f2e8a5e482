//! What rules look at: each file with its draft and its schemas, and what they say of it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

use crate::{Catalog, Diagnostic, Draft, Place, Source, for_each_subschema};

/// A file of the folder.
pub(super) struct File {
    pub(super) source: Arc<Source>,
    pub(super) draft: Draft,
    /// Whether it is one of a contract's own files.
    pub(super) is_contract: bool,
}

/// A schema in a file.
pub(super) struct Schema<'a> {
    pub(super) pointer: String,
    pub(super) value: &'a Value,
    /// Whether it looks at the same value as the schema around it: a branch of `allOf`, an `if`.
    pub(super) is_branch: bool,
    /// Whether it is the value of a `$defs` entry.
    pub(super) is_definition: bool,
}

/// All of a folder.
pub(super) struct Subject {
    pub(super) files: Vec<File>,
}

/// What was found, before it is known how bad it is.
#[derive(Default)]
pub(super) struct Found {
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Subject {
    pub(super) fn of(catalog: &Catalog) -> Self {
        let mut known: BTreeMap<PathBuf, (Arc<Source>, Draft, bool)> = BTreeMap::new();
        let mut drafts: BTreeMap<&Path, Draft> = BTreeMap::new();
        for document in catalog.contracts.iter().flat_map(crate::Contract::documents) {
            known.insert(document.source.path().to_owned(), (Arc::clone(&document.source), document.draft, true));
            for file in &document.files {
                drafts.entry(file).or_insert(document.draft);
            }
        }
        for path in &catalog.files {
            if known.contains_key(path) {
                continue;
            }
            // It was read a moment ago, when the folder was loaded.
            let parsed = fs::read(catalog.root.join(path)).ok();
            let Some(Ok(source)) = parsed.map(|bytes| Source::parse(&catalog.root, path, bytes)) else { continue };
            let own = source.value().get("$schema").and_then(Value::as_str).and_then(Draft::from_uri);
            let draft = own.or_else(|| drafts.get(path.as_path()).copied()).unwrap_or(Draft::Draft202012);
            known.insert(path.clone(), (Arc::new(source), draft, false));
        }
        let files =
            known.into_values().map(|(source, draft, is_contract)| File { source, draft, is_contract }).collect();
        Self { files }
    }
}

impl File {
    /// Every schema in it, the whole first. Those that nothing reads, beside a reference of an old draft, are left out.
    pub(super) fn schemas(&self) -> Vec<Schema<'_>> {
        let mut schemas =
            vec![Schema { pointer: String::new(), value: self.source.value(), is_branch: false, is_definition: false }];
        let mut at = 0;
        while let Some(Schema { pointer, value, .. }) = schemas.get(at) {
            let (pointer, value) = (pointer.clone(), *value);
            at += 1;
            let mut places = Vec::new();
            for_each_subschema(value, self.draft, &mut |place, _| places.push(place));
            for place in places {
                let rest = place.pointer();
                let Some(inner) = value.pointer(&rest) else { continue };
                let is_branch = matches!(
                    place.keyword(),
                    "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" | "dependentSchemas" | "dependencies"
                );
                let is_definition = matches!(&place, Place::Member("$defs" | "definitions", _));
                schemas.push(Schema { pointer: format!("{pointer}{rest}"), value: inner, is_branch, is_definition });
            }
        }
        schemas
    }

    /// Whether all that stands beside `$ref` counts for nothing here.
    pub(super) fn is_hidden(&self, schema: &Value) -> bool {
        self.draft.ref_hides_siblings() && schema.get("$ref").is_some()
    }

    /// A finding at a keyword or a member, by its name; at the first character for the whole.
    pub(super) fn at(&self, rule: &'static str, pointer: &str, message: impl Into<String>) -> Diagnostic {
        at(&self.source, rule, pointer, message)
    }
}

/// A finding at a place of a file.
pub(super) fn at(source: &Source, rule: &'static str, pointer: &str, message: impl Into<String>) -> Diagnostic {
    let span = if pointer.is_empty() { source.start() } else { source.key_span_of(pointer) };
    source.warning(rule, span, message)
}

impl Found {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }
}
