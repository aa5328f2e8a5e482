//! Reading a bundled schema: which keywords stand where, whatever the draft.
//!
//! Schemas are named by their JSON pointer. A registry may hold what was never checked, so whatever is not as it should
//! be reads as absent here, and nothing is followed without end.

use celerysalt_contract::{Draft, Formats};
use serde_json::{Map, Value};

/// A schema document with every reference inside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    root: &'a Value,
    pub(super) draft: Draft,
    formats: Formats,
}

/// A schema: its keywords, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) pointer: String,
    keywords: &'a Map<String, Value>,
    draft: Draft,
    /// How its `format` is meant, where that refuses any text.
    asserted: Option<Formats>,
}

/// What a pointer leads to.
pub(super) enum Found<'a> {
    /// `true`, `{}`, or nothing that can be read.
    Anything,
    /// `false`
    Nothing,
    Schema(Node<'a>),
}

/// Every keyword that decides which values are valid.
pub(super) const ASSERTIONS: [&str; 38] = [
    "$dynamicRef",
    "$recursiveRef",
    "$ref",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "required",
    "type",
];

/// A kind of JSON value; an integer is a number as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    Array,
    Object,
    Null,
}

impl Kind {
    /// As `type` writes them.
    pub(super) const ALL: [(Self, &'static str); 7] = [
        (Self::String, "string"),
        (Self::Integer, "integer"),
        (Self::Number, "number"),
        (Self::Boolean, "boolean"),
        (Self::Array, "array"),
        (Self::Object, "object"),
        (Self::Null, "null"),
    ];

    /// What a value is; integers written as `1.0` are integers.
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.as_f64().is_some_and(|n| n.fract() != 0.0) => Self::Number,
            Value::Number(_) => Self::Integer,
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root, draft: Draft::of(root).unwrap_or(Draft::Draft202012), formats: Formats::of(root) }
    }

    pub(super) fn find(&self, pointer: &str) -> Found<'a> {
        match self.root.pointer(pointer) {
            Some(Value::Bool(false)) => Found::Nothing,
            Some(schema @ Value::Object(keywords)) => {
                let asserted = Some(self.formats).filter(|formats| formats.refuses(self.draft, schema));
                Found::Schema(Node { pointer: pointer.to_owned(), keywords, draft: self.draft, asserted })
            }
            _ => Found::Anything,
        }
    }

    /// Where a `$ref` leads: a pointer into the document. None when it leads elsewhere or nowhere.
    pub(super) fn target(&self, node: &Node<'a>) -> Option<String> {
        let fragment = node.text("$ref")?.strip_prefix('#')?;
        let pointer = decode(fragment);
        (pointer.is_empty() || pointer.starts_with('/')).then_some(())?;
        self.root.pointer(&pointer).is_some().then_some(pointer)
    }

    /// Every schema of the document, for what is to be said of it whether or not anything refers to it.
    pub(super) fn each(&self, visit: &mut dyn FnMut(&Node<'a>)) {
        let mut waiting = vec![String::new()];
        while let Some(pointer) = waiting.pop() {
            let Found::Schema(node) = self.find(&pointer) else { continue };
            visit(&node);
            let Some(schema) = self.root.pointer(&pointer) else { continue };
            celerysalt_contract::for_each_subschema(schema, self.draft, &mut |place, _| {
                waiting.push(place.below(&pointer));
            });
        }
    }
}

impl<'a> Node<'a> {
    /// A keyword that this draft knows, where it counts.
    pub(super) fn get(&self, keyword: &str) -> Option<&'a Value> {
        let value = self.keywords.get(keyword)?;
        if self.draft.ref_hides_siblings() && keyword != "$ref" && self.keywords.contains_key("$ref") {
            return None;
        }
        (!self.draft.ignores(keyword)).then_some(value)
    }

    pub(super) fn has(&self, keyword: &str) -> bool {
        self.get(keyword).is_some()
    }

    pub(super) fn text(&self, keyword: &str) -> Option<&'a str> {
        self.get(keyword)?.as_str()
    }

    pub(super) fn array(&self, keyword: &str) -> Option<&'a Vec<Value>> {
        self.get(keyword)?.as_array()
    }

    pub(super) fn object(&self, keyword: &str) -> Option<&'a Map<String, Value>> {
        self.get(keyword)?.as_object()
    }

    /// A count; `3.0` is one, and one that no value reaches is the largest there is.
    pub(super) fn count(&self, keyword: &str) -> Option<u64> {
        let number = self.get(keyword)?.as_number()?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, as it should")]
        number.as_u64().or_else(|| number.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64))
    }

    pub(super) fn strings(&self, keyword: &str) -> Vec<&'a str> {
        self.array(keyword).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The pointers of the schemas in an array.
    pub(super) fn items_of(&self, keyword: &str) -> Vec<String> {
        let count = self.array(keyword).map_or(0, Vec::len);
        (0..count).map(|i| format!("{}/{keyword}/{i}", self.pointer)).collect()
    }

    /// The names and pointers of the schemas in an object.
    pub(super) fn members_of(&self, keyword: &str) -> Vec<(&'a str, String)> {
        let members = self.object(keyword).into_iter().flatten();
        members.map(|(key, _)| (key.as_str(), format!("{}/{keyword}/{}", self.pointer, escape(key)))).collect()
    }

    pub(super) fn below(&self, keyword: &str) -> String {
        format!("{}/{keyword}", self.pointer)
    }

    /// The kinds that `type` allows; none without one that can be read.
    pub(super) fn kinds(&self) -> Option<Vec<Kind>> {
        let kind = |value: &Value| {
            let text = value.as_str()?;
            Kind::ALL.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind)
        };
        match self.get("type")? {
            Value::Array(kinds) => Some(kinds.iter().filter_map(kind).collect()),
            one => kind(one).map(|kind| vec![kind]),
        }
    }

    /// The format, and how it is meant, where it refuses any text.
    pub(super) fn format(&self) -> Option<(&'a str, Formats)> {
        Some((self.text("format")?, self.asserted?))
    }

    /// The values that `enum` or `const` allows.
    pub(super) fn values(&self) -> Option<Vec<&'a Value>> {
        match (self.get("const"), self.array("enum")) {
            (Some(value), None) => Some(vec![value]),
            (None, Some(values)) => Some(values.iter().collect()),
            (Some(value), Some(values)) => Some(values.iter().filter(|other| *other == value).collect()),
            (None, None) => None,
        }
    }

    /// The schemas of the first items, and the pointer of the schema of all others.
    pub(super) fn items(&self) -> (Vec<String>, Option<String>) {
        if self.draft >= Draft::Draft202012 {
            return (self.items_of("prefixItems"), self.has("items").then(|| self.below("items")));
        }
        match self.get("items") {
            Some(Value::Array(_)) => {
                let rest = self.has("additionalItems").then(|| self.below("additionalItems"));
                (self.items_of("items"), rest)
            }
            Some(_) => (Vec::new(), Some(self.below("items"))),
            None => (Vec::new(), None),
        }
    }

    /// The bounds of a number: the keyword that sets it, what Python calls it, and the bound.
    pub(super) fn bounds(&self) -> Vec<(&'static str, &'static str, &'a Value)> {
        let number = |keyword| self.get(keyword).filter(|value| value.is_number());
        let mut bounds = Vec::new();
        for (keyword, exclusive, open, closed) in
            [("minimum", "exclusiveMinimum", "gt", "ge"), ("maximum", "exclusiveMaximum", "lt", "le")]
        {
            let excluded = self.draft == Draft::Draft4 && self.get(exclusive) == Some(&Value::Bool(true));
            if let Some(bound) = number(keyword) {
                bounds.push((keyword, if excluded { open } else { closed }, bound));
            }
            if let Some(bound) = number(exclusive).filter(|_| self.draft > Draft::Draft4) {
                bounds.push((exclusive, open, bound));
            }
        }
        bounds
    }

    /// Every keyword that decides something, in the order of their names.
    pub(super) fn assertions(&self) -> impl Iterator<Item = &'static str> + '_ {
        ASSERTIONS
            .into_iter()
            .chain(["unevaluatedItems", "unevaluatedProperties", "uniqueItems", "format"])
            .filter(|keyword| self.has(keyword) && (*keyword != "format" || self.asserted.is_some()))
    }
}

/// A key as a part of a JSON pointer.
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Percent-decoded, as far as it can be.
fn decode(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%') {
            bytes.push(byte);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| fragment.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn root(schema: &Value) -> Node<'_> {
        match Reader::new(schema).find("") {
            Found::Schema(node) => node,
            _ => panic!("no schema"),
        }
    }

    #[test]
    fn drafts_read_alike() {
        let draft4 = json!({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1,
            "exclusiveMinimum": true, "const": 1, "items": [{}], "additionalItems": false});
        let node = root(&draft4);
        assert_eq!(node.bounds(), [("minimum", "gt", &json!(1))]);
        assert_eq!(node.values(), None);
        assert_eq!(node.items(), (vec!["/items/0".to_owned()], Some("/additionalItems".to_owned())));
        let newest = json!({"prefixItems": [{}], "items": {}, "exclusiveMinimum": 1, "enum": [1, 2], "const": 2});
        let node = root(&newest);
        assert_eq!(node.bounds(), [("exclusiveMinimum", "gt", &json!(1))]);
        assert_eq!(node.values(), Some(vec![&json!(2)]));
        assert_eq!(node.items(), (vec!["/prefixItems/0".to_owned()], Some("/items".to_owned())));
    }

    #[test]
    fn references_are_pointers_into_the_document() {
        let schema = json!({"$ref": "#/$defs/a%20b~1c", "type": "string", "$defs": {"a b/c": {}},
            "$schema": "http://json-schema.org/draft-07/schema#"});
        let node = root(&schema);
        assert_eq!(Reader::new(&schema).target(&node).as_deref(), Some("/$defs/a b~1c"));
        assert_eq!(node.kinds(), None, "draft 7 hides what stands beside $ref");
        for elsewhere in ["#anchor", "other.json", "#/missing", "https://example.com"] {
            let schema = json!({"$ref": elsewhere});
            assert_eq!(Reader::new(&schema).target(&root(&schema)), None, "{elsewhere}");
        }
    }
}
