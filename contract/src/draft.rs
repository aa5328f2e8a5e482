//! The drafts of JSON Schema, and where a schema holds further schemas.
//!
//! Everything that walks a schema asks here which values are schemas, so that a *property named* `title` or `$ref` is
//! never taken for a keyword, and nothing inside `enum`, `const`, `default` or `examples` is taken for a schema.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};

use crate::source::{escape, unescape};

/// A draft of JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Draft {
    /// 4
    Draft4,
    /// 6
    Draft6,
    /// 7
    Draft7,
    /// 2019-09
    Draft201909,
    /// 2020-12
    Draft202012,
}

/// Every draft, the oldest first.
const ALL: [Draft; 5] = [Draft::Draft4, Draft::Draft6, Draft::Draft7, Draft::Draft201909, Draft::Draft202012];

impl Draft {
    /// The draft of a document by its `$schema`; 2020-12 when it has none.
    ///
    /// ```
    /// use celerysalt_contract::Draft;
    /// use serde_json::json;
    ///
    /// let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#"});
    /// assert_eq!(Draft::of(&schema), Some(Draft::Draft7));
    /// assert_eq!(Draft::of(&json!({})), Some(Draft::Draft202012));
    /// assert_eq!(Draft::of(&json!({"$schema": "https://example.com"})), None);
    /// ```
    pub fn of(schema: &Value) -> Option<Self> {
        match schema.get("$schema") {
            None => Some(Self::Draft202012),
            Some(uri) => Self::from_uri(uri.as_str()?),
        }
    }

    /// The draft of a URI, by `http` or `https`, with or without a trailing `#`.
    pub fn from_uri(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://"))?;
        let rest = rest.strip_suffix('#').unwrap_or(rest);
        ALL.into_iter().find(|draft| draft.uri().split_once("://").is_some_and(|(_, known)| known == rest))
    }

    /// The canonical `$schema`.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Draft4 => "http://json-schema.org/draft-04/schema",
            Self::Draft6 => "http://json-schema.org/draft-06/schema",
            Self::Draft7 => "http://json-schema.org/draft-07/schema",
            Self::Draft201909 => "https://json-schema.org/draft/2019-09/schema",
            Self::Draft202012 => "https://json-schema.org/draft/2020-12/schema",
        }
    }

    /// The keyword that holds shared schemas: `$defs`, or `definitions` up to draft 7.
    pub fn definitions(self) -> &'static str {
        if self >= Self::Draft201909 { "$defs" } else { "definitions" }
    }

    /// Up to draft 7 whatever stands beside `$ref` counts for nothing.
    pub fn ref_hides_siblings(self) -> bool {
        self <= Self::Draft7
    }

    /// The keyword that names a schema: `$id`, or `id` in draft 4.
    pub(crate) fn id(self) -> &'static str {
        if self == Self::Draft4 { "id" } else { "$id" }
    }

    /// The same draft in the words of the validator.
    pub(crate) fn engine(self) -> jsonschema::Draft {
        match self {
            Self::Draft4 => jsonschema::Draft::Draft4,
            Self::Draft6 => jsonschema::Draft::Draft6,
            Self::Draft7 => jsonschema::Draft::Draft7,
            Self::Draft201909 => jsonschema::Draft::Draft201909,
            Self::Draft202012 => jsonschema::Draft::Draft202012,
        }
    }
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draft4 => "draft 4",
            Self::Draft6 => "draft 6",
            Self::Draft7 => "draft 7",
            Self::Draft201909 => "draft 2019-09",
            Self::Draft202012 => "draft 2020-12",
        })
    }
}

/// Where a subschema stands in its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `{"not": S}`
    Keyword(&'static str),
    /// `{"allOf": [S]}`
    Item(&'static str, usize),
    /// `{"properties": {"a": S}}`
    Member(&'static str, String),
}

impl Place {
    /// The keyword that the subschema belongs to.
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::Keyword(keyword) | Self::Item(keyword, _) | Self::Member(keyword, _) => keyword,
        }
    }

    /// The JSON pointer from the parent to the subschema, such as `/properties/a`.
    pub fn pointer(&self) -> String {
        self.below("")
    }

    /// The JSON pointer from wherever that of the parent, `parent`, is from.
    ///
    /// ```
    /// use celerysalt_contract::Place;
    ///
    /// assert_eq!(Place::Member("properties", "a/b".to_owned()).below("/$defs/c"), "/$defs/c/properties/a~1b");
    /// assert_eq!(Place::Item("anyOf", 2).below(""), "/anyOf/2");
    /// ```
    pub fn below(&self, parent: &str) -> String {
        let keyword = self.keyword();
        match self {
            Self::Keyword(_) => [parent, "/", keyword].concat(),
            Self::Item(_, index) => format!("{parent}/{keyword}/{index}"),
            Self::Member(_, key) => [parent, "/", keyword, "/", &escape(key)].concat(),
        }
    }

    /// The subschema in its parent; of another schema, what stands at the same place.
    pub fn get<'a>(&self, schema: &'a Value) -> Option<&'a Value> {
        let value = schema.get(self.keyword())?;
        match self {
            Self::Keyword(_) => Some(value),
            Self::Item(_, index) => value.get(index),
            Self::Member(_, key) => value.get(key),
        }
    }

    /// The subschema in its parent, to change it.
    pub(crate) fn get_mut<'a>(&self, schema: &'a mut Value) -> Option<&'a mut Value> {
        let value = schema.get_mut(self.keyword())?;
        match self {
            Self::Keyword(_) => Some(value),
            Self::Item(_, index) => value.get_mut(index),
            Self::Member(_, key) => value.get_mut(key),
        }
    }
}

/// What the value of a keyword is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Schema,
    Schemas,
    SchemaOrSchemas,
    Map,
}

/// Each keyword that holds schemas, and the first and last draft that know it.
///
/// `$defs`, `definitions` and `dependencies` are taken in every draft: pydantic, other generators and the validator do.
const KEYWORDS: [(&str, Shape, Draft, Draft); 23] = {
    use Draft::{Draft4, Draft6, Draft7, Draft201909, Draft202012};
    use Shape::{Map, Schema, SchemaOrSchemas, Schemas};
    [
        ("$defs", Map, Draft4, Draft202012),
        ("additionalItems", Schema, Draft4, Draft201909),
        ("additionalProperties", Schema, Draft4, Draft202012),
        ("allOf", Schemas, Draft4, Draft202012),
        ("anyOf", Schemas, Draft4, Draft202012),
        ("contains", Schema, Draft6, Draft202012),
        ("contentSchema", Schema, Draft201909, Draft202012),
        ("definitions", Map, Draft4, Draft202012),
        ("dependencies", Map, Draft4, Draft202012),
        ("dependentSchemas", Map, Draft201909, Draft202012),
        ("else", Schema, Draft7, Draft202012),
        ("if", Schema, Draft7, Draft202012),
        ("items", SchemaOrSchemas, Draft4, Draft201909),
        ("items", Schema, Draft202012, Draft202012),
        ("not", Schema, Draft4, Draft202012),
        ("oneOf", Schemas, Draft4, Draft202012),
        ("patternProperties", Map, Draft4, Draft202012),
        ("prefixItems", Schemas, Draft202012, Draft202012),
        ("properties", Map, Draft4, Draft202012),
        ("propertyNames", Schema, Draft6, Draft202012),
        ("then", Schema, Draft7, Draft202012),
        ("unevaluatedItems", Schema, Draft201909, Draft202012),
        ("unevaluatedProperties", Schema, Draft201909, Draft202012),
    ]
};

/// Calls `visit` for each direct subschema of `schema`: objects and booleans, in the order of keywords and keys by
/// name, so that the order never depends on how a map is built.
///
/// ```
/// use celerysalt_contract::{Draft, for_each_subschema};
/// use serde_json::json;
///
/// let schema = json!({"properties": {"title": {}}, "default": {"not": {}}, "anyOf": [true]});
/// let mut places = Vec::new();
/// for_each_subschema(&schema, Draft::Draft202012, &mut |place, _| places.push(place.pointer()));
/// assert_eq!(places, ["/anyOf/0", "/properties/title"]);
/// ```
pub fn for_each_subschema<'a>(schema: &'a Value, draft: Draft, visit: &mut dyn FnMut(Place, &'a Value)) {
    for (keyword, held) in holders(schema, draft) {
        match held {
            Held::One(value) => visit(Place::Keyword(keyword), value),
            Held::Items(items) => {
                for (i, value) in items.iter().enumerate().filter(|(_, value)| is_schema(value)) {
                    visit(Place::Item(keyword, i), value);
                }
            }
            Held::Members(map) => {
                for (key, value) in by_key(map) {
                    visit(Place::Member(keyword, key.clone()), value);
                }
            }
        }
    }
}

/// Calls `visit` for each direct subschema, as [`for_each_subschema`], with the pointer to it in `pointer`, which is that
/// of `schema`, before and after.
pub(crate) fn walk_below<'a>(
    schema: &'a Value,
    draft: Draft,
    pointer: &mut String,
    visit: &mut dyn FnMut(&mut String, &'a Value),
) {
    let start = pointer.len();
    for (keyword, held) in holders(schema, draft) {
        pointer.push('/');
        pointer.push_str(keyword);
        let end = pointer.len();
        match held {
            Held::One(value) => visit(pointer, value),
            Held::Items(items) => {
                for (i, value) in items.iter().enumerate().filter(|(_, value)| is_schema(value)) {
                    let _ = write!(pointer, "/{i}");
                    visit(pointer, value);
                    pointer.truncate(end);
                }
            }
            Held::Members(map) => {
                for (key, value) in by_key(map) {
                    pointer.push('/');
                    pointer.push_str(&escape(key));
                    visit(pointer, value);
                    pointer.truncate(end);
                }
            }
        }
        pointer.truncate(start);
    }
}

/// Calls `visit` for each direct subschema, as [`for_each_subschema`], in the order of the map and without its place.
pub(crate) fn subschemas<'a>(schema: &'a Value, draft: Draft, visit: &mut dyn FnMut(&'a Value)) {
    let Value::Object(members) = schema else { return };
    for (keyword, value) in members {
        match held(keyword, value, draft) {
            Some((_, Held::One(value))) => visit(value),
            Some((_, Held::Items(items))) => items.iter().filter(|value| is_schema(value)).for_each(&mut *visit),
            Some((_, Held::Members(map))) => map.values().filter(|value| is_schema(value)).for_each(&mut *visit),
            None => {}
        }
    }
}

/// Whether a schema stands at `pointer` (and not something that unknown keywords hold).
pub(crate) fn is_position(document: &Value, draft: Draft, pointer: &str) -> bool {
    let mut schema = document;
    let mut tokens = pointer.split('/');
    if tokens.next() != Some("") {
        return false;
    }
    while let Some(keyword) = tokens.next() {
        let keyword = unescape(keyword);
        let Some(value) = schema.get(&*keyword) else { return false };
        let inner = match held(&keyword, value, draft) {
            Some((_, Held::One(inner))) => Some(inner),
            Some(_) => tokens.next().and_then(|token| value.pointer(&format!("/{token}"))),
            None => None,
        };
        match inner.filter(|inner| is_schema(inner)) {
            Some(inner) => schema = inner,
            None => return false,
        }
    }
    true
}

/// What a keyword holds that holds schemas; not each item and member must be one.
pub(crate) enum Held<'a> {
    One(&'a Value),
    Items(&'a [Value]),
    Members(&'a Map<String, Value>),
}

/// What `value` holds for the draft if it is that of a keyword that holds schemas, and which one in [`KEYWORDS`].
fn held<'a>(name: &str, value: &'a Value, draft: Draft) -> Option<(usize, Held<'a>)> {
    let knows =
        |(keyword, _, first, last): &(&str, Shape, Draft, Draft)| *keyword == name && *first <= draft && draft <= *last;
    let index = KEYWORDS.iter().position(knows)?;
    let held = match (KEYWORDS[index].1, value) {
        (Shape::Map, Value::Object(map)) => Held::Members(map),
        (Shape::Schemas | Shape::SchemaOrSchemas, Value::Array(items)) => Held::Items(items),
        (Shape::Schema | Shape::SchemaOrSchemas, value) if is_schema(value) => Held::One(value),
        _ => return None,
    };
    Some((index, held))
}

/// What the value of a keyword holds, when it holds at least one schema.
pub(crate) fn held_by<'a>(keyword: &str, value: &'a Value, draft: Draft) -> Option<Held<'a>> {
    held(keyword, value, draft).map(|(_, held)| held).filter(|held| match held {
        Held::One(_) => true,
        Held::Items(items) => items.iter().any(is_schema),
        Held::Members(map) => map.values().any(is_schema),
    })
}

/// The keywords of a schema that hold schemas, by name. Most schemas have few members and no such keyword: those are
/// asked, not each keyword there is.
fn holders(schema: &Value, draft: Draft) -> impl Iterator<Item = (&'static str, Held<'_>)> {
    let members = schema.as_object().into_iter().flatten();
    let mut found: Vec<(usize, Held<'_>)> = members.filter_map(|(name, value)| held(name, value, draft)).collect();
    found.sort_unstable_by_key(|(index, _)| *index);
    found.into_iter().map(|(index, held)| (KEYWORDS[index].0, held))
}

/// The schemas of a map in the order of their keys.
fn by_key(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = map.iter().filter(|(_, value)| is_schema(value)).collect();
    members.sort_unstable_by_key(|(key, _)| *key);
    members
}

fn is_schema(value: &Value) -> bool {
    value.is_object() || value.is_boolean()
}

/// The places of all direct subschemas, to change them one after the other.
pub(crate) fn places(schema: &Value, draft: Draft) -> Vec<Place> {
    let mut places = Vec::new();
    for_each_subschema(schema, draft, &mut |place, _| places.push(place));
    places
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(schema: &Value, draft: Draft) -> Vec<String> {
        places(schema, draft).iter().map(Place::pointer).collect()
    }

    #[test]
    fn drafts_are_known_by_every_spelling_of_their_uri() {
        for draft in ALL {
            let rest = draft.uri().split_once("://").unwrap().1;
            for uri in [format!("http://{rest}"), format!("https://{rest}#"), draft.uri().to_owned()] {
                assert_eq!(Draft::from_uri(&uri), Some(draft), "{uri}");
            }
        }
        for unknown in
            ["", "draft-07", "http://json-schema.org/draft-03/schema#", "http://json-schema.org/draft-07/schema##"]
        {
            assert_eq!(Draft::from_uri(unknown), None, "{unknown}");
        }
        assert_eq!(Draft::of(&json!({"$schema": 7})), None);
    }

    #[test]
    fn only_schemas_are_visited() {
        let schema = json!({
            "properties": {"$ref": {}, "not": true, "b/c~": {}, "n": 1},
            "dependencies": {"a": ["b"], "c": {}},
            "items": [{}, false],
            "enum": [{"not": {}}], "const": {"not": {}}, "default": {"not": {}}, "examples": [{"not": {}}],
            "x-other": {"not": {}}, "required": ["a"], "additionalProperties": false
        });
        let common = ["/dependencies/c", "/properties/$ref", "/properties/b~1c~0", "/properties/not"];
        assert_eq!(
            pointers(&schema, Draft::Draft7),
            [&["/additionalProperties", common[0], "/items/0", "/items/1"], &common[1..]].concat()
        );
        assert_eq!(pointers(&schema, Draft::Draft202012), [&["/additionalProperties"], &common[..]].concat());
    }

    #[test]
    fn places_or_none_the_subschemas_are_the_same() {
        let schema = json!({
            "properties": {"$ref": {"a": 1}, "not": true, "n": 1}, "dependencies": {"a": ["b"], "c": {"b": 1}},
            "items": [{"c": 1}, false], "enum": [{"not": {}}], "prefixItems": [{"d": 1}], "not": {"e": 1}, "if": 3,
            "contains": {"f": 1}, "additionalItems": false, "x-other": {"not": {}}, "oneOf": {"g": 1}
        });
        for draft in ALL {
            let (mut placed, mut bare) = (Vec::new(), Vec::new());
            for_each_subschema(&schema, draft, &mut |_, subschema| placed.push(subschema.to_string()));
            subschemas(&schema, draft, &mut |subschema| bare.push(subschema.to_string()));
            let (mut walked, mut pointer) = (Vec::new(), String::new());
            walk_below(&schema, draft, &mut pointer, &mut |pointer, _| walked.push(pointer.clone()));
            assert_eq!((walked, pointer.as_str()), (pointers(&schema, draft), ""), "{draft}");
            assert!(pointers(&schema, draft).iter().all(|pointer| is_position(&schema, draft, pointer)), "{draft}");
            for none in
                ["properties", "/properties", "/properties/n", "/enum/0", "/x-other/not", "/dependencies/a", "/if"]
            {
                assert!(!is_position(&schema, draft, none), "{draft}: {none}");
            }
            placed.sort();
            bare.sort();
            assert_eq!(placed, bare, "{draft}");
        }
    }

    #[test]
    fn keywords_of_other_drafts_are_unknown() {
        let schema = json!({"if": {}, "prefixItems": [{}], "contains": {}, "additionalItems": {}});
        assert_eq!(pointers(&schema, Draft::Draft4), ["/additionalItems"]);
        assert_eq!(pointers(&schema, Draft::Draft7), ["/additionalItems", "/contains", "/if"]);
        assert_eq!(pointers(&schema, Draft::Draft202012), ["/contains", "/if", "/prefixItems/0"]);
    }
}
