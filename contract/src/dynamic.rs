//! What a dynamic reference means: it depends on the resources that were entered on the way to it.
//!
//! `$dynamicRef` (JSON Schema 2020-12, core, 8.2.3.2) and `$recursiveRef` (2019-09, core, 8.2.4.2.1).

use std::{cmp::Ordering, sync::Arc};

use serde_json::Value;

use crate::{Draft, Source, library::Names, uri};

/// The dynamic anchors that were entered, the outermost of each name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope(Vec<Anchor>);

#[derive(Clone, Debug)]
struct Anchor {
    /// Empty for `$recursiveAnchor`.
    name: String,
    source: Arc<Source>,
    pointer: String,
}

impl Scope {
    /// The scope at the schema at `pointer`, come to from this one.
    pub(crate) fn entering(&self, source: &Arc<Source>, names: &Names, pointer: &str, draft: Draft) -> Self {
        let mut scope = self.clone();
        let (id, at) = names.resource(pointer);
        let mut enter = |name: &str, pointer: &str| {
            if scope.0.iter().all(|known| known.name != name) {
                let anchor = Anchor { name: name.to_owned(), source: Arc::clone(source), pointer: pointer.to_owned() };
                scope.0.push(anchor);
            }
        };
        match draft {
            Draft::Draft202012 => {
                for name in names.anchors(id) {
                    if let Some(pointer) = names.by_anchor(id, name)
                        && is_anchor(source.value().pointer(pointer), name, draft)
                    {
                        enter(name, pointer);
                    }
                }
            }
            Draft::Draft201909 if is_anchor(source.value().pointer(at), "", draft) => enter("", at),
            _ => {}
        }
        scope.0.sort_by(|a, b| a.name.cmp(&b.name));
        scope
    }

    /// The scope of a schema that is reached from the top of its file, keyword by keyword.
    pub(crate) fn of_place(source: &Arc<Source>, names: &Names, pointer: &str, draft: Draft) -> Self {
        let ends = pointer.match_indices('/').map(|(end, _)| end).chain([pointer.len()]);
        ends.fold(Self::default(), |scope, end| {
            scope.entering(source, names, pointer.get(..end).unwrap_or(pointer), draft)
        })
    }

    /// The outermost anchor of a name: the file, and the pointer there.
    pub(crate) fn outermost(&self, name: &str) -> Option<(Arc<Source>, String)> {
        let anchor = self.0.iter().find(|anchor| anchor.name == name)?;
        Some((Arc::clone(&anchor.source), anchor.pointer.clone()))
    }
}

impl Anchor {
    fn key(&self) -> (&str, &std::path::Path, &str) {
        (&self.name, self.source.path(), &self.pointer)
    }
}

impl Ord for Scope {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.iter().map(Anchor::key).cmp(other.0.iter().map(Anchor::key))
    }
}

impl PartialOrd for Scope {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scope {}

/// The name that a dynamic reference asks for.
pub(crate) fn anchor_of(reference: &str, draft: Draft) -> String {
    match draft {
        Draft::Draft202012 => uri::decode(reference.split_once('#').map_or("", |(_, fragment)| fragment)),
        _ => String::new(),
    }
}

/// Whether a schema is a dynamic anchor of that name.
pub(crate) fn is_anchor(schema: Option<&Value>, name: &str, draft: Draft) -> bool {
    let Some(schema) = schema else { return false };
    match draft {
        Draft::Draft202012 => schema.get("$dynamicAnchor").and_then(Value::as_str) == Some(name),
        Draft::Draft201909 => schema.get("$recursiveAnchor") == Some(&Value::Bool(true)),
        _ => false,
    }
}
