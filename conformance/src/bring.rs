//! What a schema refers to comes along: each case becomes a contract, the documents that it reaches files beside it.
//!
//! A contract's references are relative paths to files of its folder. A corpus refers by paths between its files, by the
//! `$id` of other files, by the URIs that the official suite serves its `remotes/` at, and to the meta-schemas. All of
//! these documents are known here by URI; those that are reached are copied below `_corpus/`, and the references to them
//! become paths. What is left is written as it is, digit by digit.

use std::collections::{BTreeMap, BTreeSet};

use celerysalt_contract::Draft;
use serde_json::{Value, json};

use crate::corpus::{Case, Corpus, is_object, slashed};

/// The scheme of the URIs that the corpus's own files have here.
const FILES: &str = "corpus:///";
/// The folder of what is referred to.
const BESIDE: &str = "_corpus";

/// The documents that can be referred to.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    all: Vec<Document>,
    /// By URI: the document, and where in it.
    places: BTreeMap<String, (usize, String)>,
    /// By URI of the resource and name of the anchor.
    anchors: BTreeMap<(String, String), (usize, String)>,
}

#[derive(Debug)]
struct Document {
    /// Below `_corpus/`.
    path: String,
    uri: String,
    value: Value,
}

/// The files of one contract's folder: path, text.
pub(crate) type Files = BTreeMap<String, String>;

impl Documents {
    /// Everything that a corpus's schemas may refer to.
    pub(crate) fn of(corpus: &Corpus) -> Self {
        let mut all = Self::default();
        for (uri, path, text) in &corpus.remotes {
            if let Ok(value) = serde_json::from_str(text) {
                all.add(clean(&slashed(path)), uri.clone(), value);
            }
        }
        for case in corpus.cases.iter().filter(|case| case.is_file) {
            if let Ok(value) = serde_json::from_str(&case.schema) {
                all.add(clean(&slashed(&case.file)), uri_of(case), value);
            }
        }
        let meta: [&Value; 19] = [
            &referencing::meta::DRAFT4,
            &referencing::meta::DRAFT6,
            &referencing::meta::DRAFT7,
            &referencing::meta::DRAFT201909,
            &referencing::meta::DRAFT201909_CORE,
            &referencing::meta::DRAFT201909_APPLICATOR,
            &referencing::meta::DRAFT201909_VALIDATION,
            &referencing::meta::DRAFT201909_META_DATA,
            &referencing::meta::DRAFT201909_FORMAT,
            &referencing::meta::DRAFT201909_CONTENT,
            &referencing::meta::DRAFT202012,
            &referencing::meta::DRAFT202012_CORE,
            &referencing::meta::DRAFT202012_APPLICATOR,
            &referencing::meta::DRAFT202012_UNEVALUATED,
            &referencing::meta::DRAFT202012_VALIDATION,
            &referencing::meta::DRAFT202012_META_DATA,
            &referencing::meta::DRAFT202012_FORMAT_ANNOTATION,
            &referencing::meta::DRAFT202012_FORMAT_ASSERTION,
            &referencing::meta::DRAFT202012_CONTENT,
        ];
        for value in meta {
            let id = ["$id", "id"].into_iter().find_map(|keyword| value.get(keyword)?.as_str()).unwrap_or_default();
            let id = id.trim_end_matches('#');
            let path = id.split_once("://").map_or(id, |(_, path)| path);
            all.add(format!("_meta/{}.json", clean(path)), id.to_owned(), value.clone());
        }
        all
    }

    fn add(&mut self, path: String, uri: String, value: Value) {
        let index = self.all.len();
        self.places.entry(uri.clone()).or_insert((index, String::new()));
        let mut names = Vec::new();
        visit(&value, Draft::of(&value), &uri, &mut |schema, place| {
            if place.base_changed {
                names.push((place.base.to_owned(), None, place.pointer.to_owned()));
            }
            for anchor in place.anchors(schema) {
                names.push((place.base.to_owned(), Some(anchor), place.pointer.to_owned()));
            }
        });
        for (base, anchor, pointer) in names {
            match anchor {
                None => self.places.entry(base).or_insert((index, pointer)),
                Some(anchor) => self.anchors.entry((base, anchor)).or_insert((index, pointer)),
            };
        }
        self.all.push(Document { path, uri, value });
    }

    /// The document that a URI with a fragment means, and the fragment there.
    fn find(&self, uri: &str, fragment: &str) -> Option<(usize, String)> {
        if !fragment.is_empty() && !fragment.starts_with('/') {
            return self.anchors.get(&(uri.to_owned(), fragment.to_owned())).cloned();
        }
        let (index, pointer) = self.places.get(uri)?;
        Some((*index, format!("{}{fragment}", encode(pointer))))
    }

    /// The folder of a case as a contract of `topic`. What is no object can't be a payload: of a schema that allows none,
    /// the contract is an object whose property `value` it describes, if `wrapped` says so.
    ///
    /// # Errors
    /// Why its schema is none.
    pub(crate) fn folder(&self, case: &Case, topic: &str, wrapped: bool) -> Result<Files, String> {
        let value: Value = serde_json::from_str(&case.schema).map_err(|error| format!("is no JSON: {error}"))?;
        let draft = Draft::of(&value).filter(|_| value.get("$schema").is_some()).or(Some(case.draft));
        let mut files = Files::new();
        let mut queue = BTreeSet::new();
        let base = if case.is_file { uri_of(case) } else { String::new() };
        let up = if wrapped { "../../" } else { "../" };
        let rewritten = self.rewrite(&value, draft, &base, up, &mut queue);
        let text = rewritten.map_or_else(|| case.schema.clone(), |value| value.to_string());
        if wrapped {
            let inner = if names_nothing(&text) {
                text
            } else {
                files.insert(format!("{BESIDE}/_case/{topic}.json"), as_meant(&text, case, case.draft)?);
                format!(r#"{{"$ref": "../{BESIDE}/_case/{topic}.json"}}"#)
            };
            let outer = format!(r#"{{"type": "object", "properties": {{"value": {inner}}}, "required": ["value"]}}"#);
            files.insert(format!("{topic}/v1.json"), as_meant(&outer, case, draft.unwrap_or(case.draft))?);
        } else {
            files.insert(format!("{topic}/v1.json"), as_meant(&text, case, case.draft)?);
        }
        let mut done = BTreeSet::new();
        while let Some(index) = queue.pop_first() {
            let Some(document) = self.all.get(index).filter(|_| done.insert(index)) else { continue };
            let up = "../".repeat(document.path.matches('/').count() + 1);
            let theirs = Draft::of(&document.value).filter(|_| document.value.get("$schema").is_some()).or(draft);
            let mut reached = BTreeSet::new();
            let value = self.rewrite(&document.value, theirs, &document.uri, &up, &mut reached);
            queue.extend(reached);
            files.insert(
                format!("{BESIDE}/{}", document.path),
                value.unwrap_or_else(|| document.value.clone()).to_string(),
            );
        }
        Ok(files)
    }

    /// `value` with paths instead of the references that leave it; none where there is none.
    fn rewrite(
        &self,
        value: &Value,
        draft: Option<Draft>,
        base: &str,
        up: &str,
        reached: &mut BTreeSet<usize>,
    ) -> Option<Value> {
        let mut own = BTreeSet::from([base.to_owned()]);
        let mut references = Vec::new();
        visit(value, draft, base, &mut |schema, place| {
            own.insert(place.base.to_owned());
            for keyword in ["$ref", "$dynamicRef"] {
                if let Some(reference) = schema.get(keyword).and_then(Value::as_str) {
                    let slot = format!("{}/{keyword}", place.pointer);
                    references.push((slot, place.base.to_owned(), reference.to_owned()));
                }
            }
        });
        if let Some(meta) = value.get("$schema").and_then(Value::as_str).filter(|uri| Draft::from_uri(uri).is_none()) {
            references.push(("/$schema".to_owned(), base.to_owned(), meta.to_owned()));
        }
        let mut changed = value.clone();
        let mut any = false;
        for (slot, base_there, reference) in references {
            let (location, asked) = reference.split_once('#').unwrap_or((&reference, ""));
            if location.is_empty() {
                continue;
            }
            let uri = join(&base_there, location);
            let new = if uri == base && !base.is_empty() {
                format!("#{asked}")
            } else if own.contains(&uri) {
                continue;
            } else if let Some((index, fragment)) = self.find(&uri, asked) {
                let Some(document) = self.all.get(index) else { continue };
                reached.insert(index);
                // What a dynamic reference means hangs on the name that it asks for.
                let named = slot.ends_with("/$dynamicRef") && document.uri == uri;
                let fragment = if named { asked } else { &fragment };
                format!("{up}{BESIDE}/{}#{fragment}", document.path)
            } else {
                continue;
            };
            if let Some(slot) = changed.pointer_mut(&slot) {
                *slot = Value::String(new.strip_suffix('#').map(str::to_owned).unwrap_or(new));
                any = true;
            }
        }
        any.then_some(changed)
    }
}

fn uri_of(case: &Case) -> String {
    format!("{FILES}{}", slashed(&case.file))
}

/// Whether a schema means the same wherever it stands.
fn names_nothing(text: &str) -> bool {
    !["\"$", "\"id\"", "\\u"].into_iter().any(|word| text.contains(word))
}

/// A path of letters that need no escape in a reference.
fn clean(path: &str) -> String {
    path.chars().map(|c| if c.is_ascii_alphanumeric() || "._-/".contains(c) { c } else { '_' }).collect()
}

/// The text with what its corpus knows of it besides: the suite's drafts, and that its tests of formats want them
/// asserted. Other schemas are left as their authors wrote them, unless their draft was told.
fn as_meant(text: &str, case: &Case, draft: Draft) -> Result<String, String> {
    let as_written = case.is_file && draft == Draft::Draft202012 && is_object(text);
    let text = if as_written { text.trim().to_owned() } else { with_draft(text, draft)? };
    let asserts = case.group.ends_with("optional/format") || case.file.ends_with("format-assertion.json");
    match text.strip_prefix('{').filter(|_| asserts) {
        Some(rest) => Ok(format!(r#"{{"x-celerysalt": {{"formats": "assertion"}},{rest}"#)),
        None => Ok(text),
    }
}

/// The text with the draft that it belongs to, in an object in any case.
fn with_draft(text: &str, draft: Draft) -> Result<String, String> {
    let text = text.trim();
    let uri = json!(if draft <= Draft::Draft7 { format!("{}#", draft.uri()) } else { draft.uri().to_owned() });
    if text == "true" || text == "false" {
        return Ok(format!(r#"{{"$schema": {uri}, "allOf": [{text}]}}"#));
    }
    if !is_object(text) {
        return Err("is neither an object nor a boolean".to_owned());
    }
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(match (value.get("$schema"), text.strip_prefix('{')) {
        (None, Some(rest)) if value.as_object().is_some_and(serde_json::Map::is_empty) => {
            format!(r#"{{"$schema": {uri}{rest}"#)
        }
        (None, Some(rest)) => format!(r#"{{"$schema": {uri},{rest}"#),
        _ => text.to_owned(),
    })
}

/// Where a visited object stands.
struct Place<'a> {
    pointer: &'a str,
    base: &'a str,
    base_changed: bool,
    draft: Draft,
}

impl Place<'_> {
    fn anchors(&self, schema: &Value) -> Vec<String> {
        let text = |keyword: &str| schema.get(keyword).and_then(Value::as_str);
        let by_id = text(id_of(self.draft)).and_then(|id| id.strip_prefix('#')).filter(|anchor| !anchor.is_empty());
        let named = ["$anchor", "$dynamicAnchor"].into_iter().filter_map(text);
        by_id.into_iter().chain(named).map(str::to_owned).collect()
    }
}

fn id_of(draft: Draft) -> &'static str {
    if draft == Draft::Draft4 { "id" } else { "$id" }
}

/// Calls `see` for each object that may be a schema: anything but what `enum`, `const` and the like hold, since
/// references may lead into keywords that nobody knows.
fn visit(value: &Value, draft: Option<Draft>, base: &str, see: &mut dyn FnMut(&Value, &Place<'_>)) {
    walk(value, draft.unwrap_or(Draft::Draft202012), &mut String::new(), base, see);
}

/// As deep as the parser reads.
fn walk(value: &Value, draft: Draft, pointer: &mut String, base: &str, see: &mut dyn FnMut(&Value, &Place<'_>)) {
    let before = pointer.len();
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                pointer.extend(["/", &i.to_string()]);
                walk(item, draft, pointer, base, see);
                pointer.truncate(before);
            }
        }
        Value::Object(members) => {
            let hidden = draft.ref_hides_siblings() && members.get("$ref").is_some_and(Value::is_string);
            let id = members.get(id_of(draft)).and_then(Value::as_str);
            let id = id.filter(|id| !hidden && !id.starts_with('#') && !id.is_empty());
            let own = id.map_or_else(|| base.to_owned(), |id| join(base, id.split('#').next().unwrap_or(id)));
            see(value, &Place { pointer, base: &own, base_changed: id.is_some(), draft });
            for (name, member) in members {
                if ["enum", "const", "default", "examples"].contains(&name.as_str()) && !member.is_object() {
                    continue;
                }
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                walk(member, draft, pointer, &own, see);
                pointer.truncate(before);
            }
        }
        _ => {}
    }
}

/// `reference`, without a fragment, as seen from `base`; RFC 3986 by the library that the validator has it from.
fn join(base: &str, reference: &str) -> String {
    let joined = referencing::uri::from_str(base)
        .and_then(|base| referencing::uri::resolve_against(&base.borrow(), reference))
        .map(|uri| uri.as_str().to_owned());
    match joined {
        Ok(uri) => uri.trim_end_matches('#').to_owned(),
        Err(_) => reference.to_owned(),
    }
}

/// A JSON pointer as a fragment.
fn encode(pointer: &str) -> String {
    pointer.replace('%', "%25").replace('"', "%22").replace(' ', "%20").replace('#', "%23")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Payload;

    fn case(file: &str, schema: &str) -> Case {
        let payloads: Vec<Payload> = Vec::new();
        let file = file.into();
        let (group, name) = (String::new(), String::new());
        Case { group, name, file, schema: schema.to_owned(), draft: Draft::Draft7, payloads, is_file: true }
    }

    #[test]
    fn what_is_referred_to_comes_along() {
        let first = case(
            "a/first.json",
            r#"{"properties": {"x": {"$ref": "../b/second.json#/definitions/y"}, "z": {"$ref": "first.json#/z"}}}"#,
        );
        let second = case("b/second.json", r#"{"definitions": {"y": {"$ref": "https://e.org/third#name"}}}"#);
        let third = case(
            "third.json",
            r##"{"$id": "https://e.org/third", "definitions": {"in": {"$id": "#name", "minimum": 1}}}"##,
        );
        let corpus = Corpus { cases: vec![first.clone(), second, third], ..Corpus::default() };
        let files = Documents::of(&corpus).folder(&first, "t", false).unwrap();
        let value = |path: &str| -> Value { serde_json::from_str(&files[path]).unwrap() };
        assert_eq!(value("t/v1.json")["properties"]["x"]["$ref"], "../_corpus/b/second.json#/definitions/y");
        assert_eq!(value("t/v1.json")["properties"]["z"]["$ref"], "#/z");
        assert_eq!(
            value("_corpus/b/second.json")["definitions"]["y"]["$ref"],
            "../../_corpus/third.json#/definitions/in"
        );
        assert_eq!(files.len(), 3);
    }

    #[test]
    fn what_needs_no_change_keeps_its_text() {
        let one = case("a.json", r#"{ "const": 12345678901234567890.50, "$id": "https://e.org/a" }"#);
        let files =
            Documents::of(&Corpus { cases: vec![one.clone()], ..Corpus::default() }).folder(&one, "t", false).unwrap();
        assert_eq!(
            files["t/v1.json"],
            r#"{"$schema": "http://json-schema.org/draft-07/schema#", "const": 12345678901234567890.50, "$id": "https://e.org/a" }"#
        );
    }
}
