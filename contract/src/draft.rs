//! The drafts of JSON Schema, and where a schema holds further schemas.
//!
//! Everything that walks a schema asks here which values are schemas, so that a *property named* `title` or `$ref` is
//! never taken for a keyword, and nothing inside `enum`, `const`, `default` or `examples` is taken for a schema.

use std::fmt;

use serde_json::Value;

use crate::source::escape;

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
    Keyword(String),
    /// `{"allOf": [S]}`
    Item(String, usize),
    /// `{"properties": {"a": S}}`
    Member(String, String),
}

impl Place {
    /// The keyword that the subschema belongs to.
    pub fn keyword(&self) -> &str {
        match self {
            Self::Keyword(keyword) | Self::Item(keyword, _) | Self::Member(keyword, _) => keyword,
        }
    }

    /// The JSON pointer from the parent to the subschema, such as `/properties/a`.
    pub fn pointer(&self) -> String {
        match self {
            Self::Keyword(keyword) => format!("/{}", escape(keyword)),
            Self::Item(keyword, index) => format!("/{}/{index}", escape(keyword)),
            Self::Member(keyword, key) => format!("/{}/{}", escape(keyword), escape(key)),
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
pub fn for_each_subschema(schema: &Value, draft: Draft, visit: &mut dyn FnMut(Place, &Value)) {
    let Value::Object(members) = schema else { return };
    let is_schema = |value: &Value| value.is_object() || value.is_boolean();
    for (keyword, shape, first, last) in KEYWORDS {
        if draft < first || draft > last {
            continue;
        }
        match (shape, members.get(keyword)) {
            (Shape::Map, Some(Value::Object(map))) => {
                let mut keys: Vec<&String> = map.keys().collect();
                keys.sort_unstable();
                for key in keys {
                    if let Some(value) = map.get(key).filter(|value| is_schema(value)) {
                        visit(Place::Member(keyword.to_owned(), key.clone()), value);
                    }
                }
            }
            (Shape::Schemas | Shape::SchemaOrSchemas, Some(Value::Array(items))) => {
                for (i, value) in items.iter().enumerate().filter(|(_, value)| is_schema(value)) {
                    visit(Place::Item(keyword.to_owned(), i), value);
                }
            }
            (Shape::Schema | Shape::SchemaOrSchemas, Some(value)) if is_schema(value) => {
                visit(Place::Keyword(keyword.to_owned()), value);
            }
            _ => {}
        }
    }
}

/// Calls `visit` for each direct subschema, as [`for_each_subschema`], in the order of the map and without its place.
pub(crate) fn subschemas<'a>(schema: &'a Value, draft: Draft, visit: &mut dyn FnMut(&'a Value)) {
    let Value::Object(members) = schema else { return };
    let is_schema = |value: &&Value| value.is_object() || value.is_boolean();
    for (keyword, value) in members {
        let known = |(name, _, first, last): &&(&str, Shape, Draft, Draft)| {
            *name == keyword && *first <= draft && draft <= *last
        };
        let Some((_, shape, ..)) = KEYWORDS.iter().find(known) else { continue };
        match (shape, value) {
            (Shape::Map, Value::Object(map)) => map.values().filter(is_schema).for_each(&mut *visit),
            (Shape::Schemas | Shape::SchemaOrSchemas, Value::Array(items)) => {
                items.iter().filter(is_schema).for_each(&mut *visit);
            }
            (Shape::Schema | Shape::SchemaOrSchemas, value) if is_schema(&value) => visit(value),
            _ => {}
        }
    }
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
