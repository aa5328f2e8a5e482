//! What the lowering makes of a document: a flat list of named types whose members are schemas of the simplest kind.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::names::Scope;

/// All named types of one document; the first is the document's own.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    pub(crate) items: Vec<Item>,
    /// Every type name of the space, and every one that was kept free for something else.
    pub(crate) names: BTreeSet<String>,
    /// Types hold what the schema names and nothing else.
    pub(crate) plain: bool,
    /// The path from the module that the items are written in to the modules of shared types.
    pub(crate) shared: String,
    /// What the document's own type is made of, each on its own; written as traits, not as types.
    pub(crate) bases: Vec<Base>,
    /// All items are shared ones, and written here.
    pub(crate) joint: bool,
}

/// A fragment that a document's own type is made of, among others.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    /// The struct that it would be by itself.
    pub(crate) item: usize,
    /// The fragments that it is made of itself, by their identities.
    pub(crate) bases: Vec<Vec<String>>,
}

impl Space {
    /// Gives each item its name; the names of `scope` are taken.
    pub(crate) fn name_items(&mut self, mut scope: Scope) {
        if let Some(root) = self.items.first().filter(|item| item.rank == Rank::Root) {
            scope.take(&root.name.clone());
        }
        let mut claims: Vec<(Rank, usize)> = self
            .items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.home == Home::Here && item.rank > Rank::Root)
            .map(|(index, item)| (item.rank, index))
            .collect();
        claims.sort_unstable();
        for (_, index) in claims {
            let Some(item) = self.items.get_mut(index) else { continue };
            let wanted = item.second_name.take().filter(|_| scope.has(&item.name)).unwrap_or_else(|| item.name.clone());
            item.name = scope.take(&wanted);
        }
        self.names = scope.into_names();
    }

    /// How an item is written in `module`, which is a module of shared types or the document's own.
    pub(crate) fn path_to(&self, index: usize, module: Option<&str>) -> Option<String> {
        let item = self.items.get(index)?;
        Some(match (&item.home, module) {
            (Home::Here, _) => item.name.clone(),
            (Home::Shared(home, name), Some(module)) if home == module => name.clone(),
            (Home::Shared(home, name), Some(_)) => format!("super::{home}::{name}"),
            (Home::Shared(home, name), None) => format!("{}::{home}::{name}", self.shared),
        })
    }

    /// Whether the item is written with this space: not elsewhere, and not as a trait.
    pub(crate) fn is_written(&self, index: usize) -> bool {
        let is_base = self.bases.iter().any(|base| base.item == index);
        !is_base && (self.joint || self.items.get(index).is_some_and(|item| item.home == Home::Here))
    }

    /// The types that an item is made of, none for one that is written elsewhere.
    pub(crate) fn types_of(&self, index: usize) -> Vec<&Type> {
        let is_base = self.bases.iter().any(|base| base.item == index);
        let item = self.items.get(index).filter(|_| is_base || self.is_written(index));
        item.map(|item| item.shape.types()).unwrap_or_default()
    }

    /// The module of shared types that an item is written in.
    pub(crate) fn module_of(&self, index: usize) -> Option<&str> {
        match &self.items.get(index)?.home {
            Home::Here => None,
            Home::Shared(module, _) => Some(module),
        }
    }

    /// A type as a text that is equal in all documents for what is the same type.
    pub(crate) fn signature(&self, ty: &Type) -> String {
        fn put(space: &Space, value: &Value) -> Value {
            match value {
                Value::Array(items) => items.iter().map(|item| put(space, item)).collect(),
                Value::Object(members) => {
                    Value::Object(members.iter().map(|(key, member)| (key.clone(), put(space, member))).collect())
                }
                Value::String(text) => match text.strip_prefix("#/definitions/").and_then(index_of) {
                    Some(index) => space.items.get(index).map(|item| json!(item.identity)).unwrap_or_default(),
                    None => value.clone(),
                },
                other => other.clone(),
            }
        }
        format!("{}{}", canonical(&put(self, &ty.core)), ty.nullable)
    }

    /// Whether a struct needs a place for what its fields can't hold.
    pub(crate) fn keeps_rest(&self, record: &Record) -> bool {
        let inexact = |ty: &Type| !self.is_exact(&ty.core);
        let by_field = |field: &Field| !field.required || inexact(&field.ty);
        !self.plain && (record.open || record.extra.iter().any(inexact) || record.fields.iter().any(by_field))
    }

    /// Whether every value of a type is written as it was read.
    fn is_exact(&self, core: &Value) -> bool {
        if let Some(index) =
            core.get("$ref").and_then(Value::as_str).and_then(|text| index_of(text.strip_prefix("#/definitions/")?))
        {
            // Structs keep what they need themselves.
            return self.items.get(index).is_some_and(|item| matches!(item.shape, Shape::Words(_) | Shape::Record(_)));
        }
        match core.get("type").and_then(Value::as_str) {
            Some("string" | "boolean") => true,
            Some("array") => match core.get("items") {
                Some(Value::Array(items)) => items.iter().all(|item| self.is_exact(item)),
                Some(item) => self.is_exact(item),
                None => false,
            },
            _ => false,
        }
    }
}

/// One named type.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) name: String,
    /// Who gets a name that several want.
    pub(crate) rank: Rank,
    /// What it is called if another item gets the name.
    pub(crate) second_name: Option<String>,
    pub(crate) doc: String,
    pub(crate) shape: Shape,
    /// The schemas that it was made of, wherever they were written: equal for items of two documents that were made of
    /// the same. Empty when nobody asked.
    pub(crate) identity: Vec<String>,
    pub(crate) home: Home,
}

/// Where an item is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// With the document that it belongs to.
    Here,
    /// In a module of shared types: its name, and what the item is called there.
    Shared(String, String),
}

/// How good an item's claim to its name is, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// The document itself.
    Root,
    /// A definition has the name.
    Definition,
    /// The name is made of where the type is used.
    Place,
    /// A definition has the name, and this is not all of it.
    Share,
}

/// What a named type is.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// An object with declared properties: a struct.
    Record(Record),
    /// One of some strings: an enum without data.
    Words(Words),
    /// One of some types: an enum with data.
    Union(Union),
    /// Anything else that needs a name: a newtype.
    Alias(Type),
}

/// A struct.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) fields: Vec<Field>,
    /// The map of what is not declared but belongs to the value.
    pub(crate) extra: Option<Type>,
    /// Refuses undeclared properties: only where that tells alternatives apart.
    pub(crate) closed: bool,
    /// May have properties that the schema does not describe.
    pub(crate) open: bool,
}

/// A field of a struct.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// The property as the schema spells it.
    pub(crate) key: String,
    pub(crate) doc: String,
    pub(crate) ty: Type,
    pub(crate) required: bool,
    pub(crate) default: Option<Value>,
    /// Its default is null, and null is allowed.
    pub(crate) null_by_default: bool,
}

/// An enum of strings.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    pub(crate) values: Vec<String>,
    pub(crate) default: Option<String>,
    /// More of them may come.
    pub(crate) open: bool,
}

/// An enum of types.
#[derive(Clone, Debug)]
pub(crate) struct Union {
    /// The property that tells the variants apart, where there is one.
    pub(crate) tag: Option<String>,
    pub(crate) variants: Vec<Variant>,
}

/// A variant of a [`Union`].
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    pub(crate) name: String,
    /// The value of the tag.
    pub(crate) tag: Option<String>,
    pub(crate) ty: Type,
}

/// A type where it is used: a schema of typify's simplest kinds, and whether `null` is allowed beside it.
///
/// The schema is one of: `true`; a `type` that is a scalar; an array of one or of a fixed number of such schemas;
/// an object whose values are one such schema; a reference to an [`Item`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Type {
    pub(crate) core: Value,
    pub(crate) nullable: bool,
}

impl Type {
    pub(crate) fn any() -> Self {
        Self { core: Value::Bool(true), nullable: false }
    }

    /// An integer of 64 bits.
    pub(crate) fn small_integer() -> Self {
        Self { core: json!({ "type": "integer", "format": "int64" }), nullable: false }
    }

    /// Whether it is an integer without bounds.
    pub(crate) fn is_large_integer(&self) -> bool {
        self.is_scalar("integer") && self.core.get("format").is_none()
    }

    pub(crate) fn scalar(name: &str) -> Self {
        Self { core: json!({ "type": name }), nullable: false }
    }

    pub(crate) fn item(index: usize) -> Self {
        Self { core: json!({ "$ref": format!("#/definitions/{}", placeholder(index)) }), nullable: false }
    }

    pub(crate) fn array(items: &Type) -> Self {
        Self { core: json!({ "type": "array", "items": items.schema() }), nullable: false }
    }

    pub(crate) fn tuple(items: &[Type]) -> Self {
        let schemas: Vec<Value> = items.iter().map(Type::schema).collect();
        let core = json!({ "type": "array", "items": schemas, "minItems": items.len(), "maxItems": items.len() });
        Self { core, nullable: false }
    }

    pub(crate) fn map(values: &Type) -> Self {
        Self { core: json!({ "type": "object", "additionalProperties": values.schema() }), nullable: false }
    }

    /// The same type, `null` allowed when `nullable` says so.
    pub(crate) fn or_null(mut self, nullable: bool) -> Self {
        self.nullable = (self.nullable || nullable) && !self.is_any();
        self
    }

    pub(crate) fn is_any(&self) -> bool {
        self.core == Value::Bool(true)
    }

    pub(crate) fn is_scalar(&self, name: &str) -> bool {
        self.core.get("type").and_then(Value::as_str) == Some(name)
    }

    /// The item that the type is, if it is one.
    pub(crate) fn as_item(&self) -> Option<usize> {
        index_of(self.core.get("$ref")?.as_str()?.strip_prefix("#/definitions/")?)
    }

    /// The whole as a schema.
    pub(crate) fn schema(&self) -> Value {
        if self.nullable { json!({ "anyOf": [self.core, { "type": "null" }] }) } else { self.core.clone() }
    }

    /// How many schemas the type is made of.
    pub(crate) fn size(&self) -> usize {
        fn count(value: &Value) -> usize {
            match value {
                Value::Array(items) => items.iter().map(count).sum(),
                Value::Object(members) => 1 + members.values().map(count).sum::<usize>(),
                _ => 0,
            }
        }
        count(&self.core)
    }

    /// Calls `visit` for each item that the type mentions.
    pub(crate) fn for_each_item(&self, visit: &mut dyn FnMut(usize)) {
        fn walk(value: &Value, visit: &mut dyn FnMut(usize)) {
            match value {
                Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
                Value::Object(members) => members.values().for_each(|member| walk(member, visit)),
                Value::String(text) => {
                    if let Some(index) = text.strip_prefix("#/definitions/").and_then(index_of) {
                        visit(index);
                    }
                }
                _ => (),
            }
        }
        walk(&self.core, visit);
    }
}

impl Shape {
    /// Every type that the shape is made of, in a fixed order: fields and then what is undeclared, or variants.
    pub(crate) fn types(&self) -> Vec<&Type> {
        match self {
            Self::Record(record) => record.fields.iter().map(|field| &field.ty).chain(&record.extra).collect(),
            Self::Words(_) => Vec::new(),
            Self::Union(union) => union.variants.iter().map(|variant| &variant.ty).collect(),
            Self::Alias(ty) => vec![ty],
        }
    }

    /// The same, to change them.
    pub(crate) fn types_mut(&mut self) -> Vec<&mut Type> {
        match self {
            Self::Record(record) => {
                record.fields.iter_mut().map(|field| &mut field.ty).chain(&mut record.extra).collect()
            }
            Self::Words(_) => Vec::new(),
            Self::Union(union) => union.variants.iter_mut().map(|variant| &mut variant.ty).collect(),
            Self::Alias(ty) => vec![ty],
        }
    }
}

/// The name that stands for an item while typify works: nothing that typify would spell differently.
pub(crate) fn placeholder(index: usize) -> String {
    format!("T{index}")
}

/// The item of a placeholder.
pub(crate) fn index_of(placeholder: &str) -> Option<usize> {
    placeholder.strip_prefix('T')?.parse().ok()
}

/// `schema` as one text that depends on nothing but its meaning: members sorted by name.
pub(crate) fn canonical(schema: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(sorted).collect(),
            Value::Object(members) => {
                let mut keys: Vec<&String> = members.keys().collect();
                keys.sort_unstable();
                let members: Map<String, Value> =
                    keys.into_iter().filter_map(|key| Some((key.clone(), sorted(members.get(key)?)))).collect();
                Value::Object(members)
            }
            other => other.clone(),
        }
    }
    sorted(schema).to_string()
}
