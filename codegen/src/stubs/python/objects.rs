//! Objects: models with fields where a schema names properties, dictionaries where it does not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    document::{Block, Document, Ty},
    helpers,
    layout::{Expr, assign, docstring, field, string},
    models::{Name, Parts, say_of_others},
    patterns::{Engine, engine},
    rules::value as value_of,
};
use crate::stubs::{
    names::{Scope, field_name},
    schema::{Found, Kind},
};

/// What models and their base have already, besides the names of the file.
const TAKEN: [&str; 42] = [
    "Meta",
    "bool",
    "bytes",
    "classmethod",
    "construct",
    "copy",
    "dict",
    "float",
    "from_orm",
    "int",
    "isinstance",
    "json",
    "len",
    "list",
    "model_computed_fields",
    "model_config",
    "model_construct",
    "model_copy",
    "model_dump",
    "model_dump_json",
    "model_extra",
    "model_fields",
    "model_fields_set",
    "model_json_schema",
    "model_parametrized_name",
    "model_post_init",
    "model_rebuild",
    "model_validate",
    "model_validate_json",
    "model_validate_strings",
    "object",
    "parse_file",
    "parse_obj",
    "parse_raw",
    "schema",
    "property",
    "schema_json",
    "str",
    "tuple",
    "type",
    "update_forward_refs",
    "validate",
];

/// A property of a model.
struct Property<'a> {
    /// The schemas that it must be valid under.
    pointers: Vec<String>,
    required: bool,
    description: &'a str,
    default: Option<&'a Value>,
}

/// Whether a field can't be called so.
pub(super) fn is_taken(name: &str) -> bool {
    TAKEN.contains(&name) || helpers::reserved().any(|known| known == name)
}

impl<'a> Document<'a, '_> {
    /// The type of objects; `alone` when nothing else is allowed, so that a model may hold every rule.
    pub(super) fn object(&mut self, parts: &mut Parts<'a>, name: &Name, alone: bool) -> Ty {
        let properties = self.properties_of(parts);
        if properties.is_empty() {
            let open = parts.with("additionalProperties").is_empty() && parts.with("patternProperties").is_empty();
            if !matches!(name, Name::Root(_)) || !open || !alone {
                return Ty::new(self.dictionary(parts, name));
            }
        }
        let class = match name {
            Name::Taken(name) | Name::Root(name) => name.clone(),
            Name::Wanted(wanted) => self.take_type_name(wanted),
        };
        // What is inside it is called after it.
        let named = Name::Wanted(class.trim_end_matches(&self.suffix).to_owned());
        for i in parts.with("properties") {
            parts.say(i, "properties");
        }
        for i in parts.with("required") {
            let names = parts.nodes.get(i).map(|node| node.strings("required")).unwrap_or_default();
            if names.iter().all(|name| properties.contains_key(*name)) {
                parts.say(i, "required");
            }
        }
        let fields = self.fields(&properties, &named);
        let mut body = self.closed(parts, &properties);
        let rules = if alone {
            say_of_others(&[Kind::Object], parts);
            self.unsaid_rules(parts)
        } else {
            Vec::new()
        };
        if !rules.is_empty() {
            let rules = Expr::Dict(rules);
            rules.names(&mut self.file.used);
            self.file.used.extend(["ClassVar", "Rule"].map(str::to_owned));
            body.push_str(&field(4, "_rules", &Expr::name("ClassVar[dict[str, Rule]]"), Some(&rules)));
        }
        let pointers: Vec<String> = parts.nodes.iter().map(|node| node.pointer.clone()).collect();
        let doc = self.description(&pointers);
        let meta = if matches!(name, Name::Root(_)) { self.meta_block() } else { String::new() };
        self.class(&class, "_Contract", &doc, &[body, meta, fields]);
        Ty { is_class: true, ..Ty::new(Expr::Name(class)) }
    }

    /// The description of the first of the schemas that has one.
    pub(super) fn description(&self, pointers: &[String]) -> String {
        let description = pointers.iter().find_map(|pointer| match self.reader.find(pointer) {
            Found::Schema(node) => node.text("description"),
            _ => None,
        });
        description.unwrap_or_default().to_owned()
    }

    /// Every property of every part, those that are required first.
    fn properties_of(&self, parts: &Parts<'a>) -> BTreeMap<&'a str, Property<'a>> {
        let mut properties: BTreeMap<&'a str, Property<'a>> = BTreeMap::new();
        for node in &parts.nodes {
            for (name, pointer) in node.members_of("properties") {
                let property = properties.entry(name).or_insert(Property {
                    pointers: Vec::new(),
                    required: false,
                    description: "",
                    default: None,
                });
                if let Found::Schema(node) = self.reader.find(&pointer) {
                    if property.description.is_empty() {
                        property.description = node.text("description").unwrap_or_default();
                    }
                    property.default = property.default.or(node.get("default"));
                }
                property.pointers.push(pointer);
            }
        }
        for required in parts.nodes.iter().flat_map(|node| node.strings("required")) {
            if let Some(property) = properties.get_mut(required) {
                property.required = true;
            }
        }
        properties
    }

    /// The type of objects that have no named properties.
    fn dictionary(&mut self, parts: &mut Parts<'a>, name: &Name) -> Expr {
        let any = |(): ()| Expr::index("dict", vec![Expr::name("str"), Expr::name("Any")]);
        let with = |keyword| parts.with(keyword);
        let (others, patterns) = (with("additionalProperties"), with("patternProperties"));
        match (others.as_slice(), patterns.as_slice()) {
            ([i], []) => {
                let Some(node) = parts.nodes.get(*i).cloned() else { return any(()) };
                let pointer = node.below("additionalProperties");
                if matches!(self.reader.find(&pointer), Found::Nothing) {
                    return any(());
                }
                parts.say(*i, "additionalProperties");
                let value = self.ty(&pointer, name.inner("Value"));
                Expr::index("dict", vec![Expr::name("str"), value.expr])
            }
            ([i], [j]) if i == j => {
                let Some(node) = parts.nodes.get(*i).cloned() else { return any(()) };
                let closed = matches!(self.reader.find(&node.below("additionalProperties")), Found::Nothing);
                let [(pattern, pointer)] = &node.members_of("patternProperties")[..] else { return any(()) };
                let Some(Engine::Linear(pattern)) = engine(pattern).filter(|_| closed) else { return any(()) };
                parts.say(*i, "additionalProperties");
                parts.say(*i, "patternProperties");
                let value = self.ty(pointer, name.inner("Value"));
                let by = Expr::keyword("pattern", Expr::text(&pattern));
                let key = Expr::index("Annotated", vec![Expr::name("str"), Expr::call("Field", vec![by])]);
                Expr::index("dict", vec![key, value.expr])
            }
            _ => any(()),
        }
    }

    /// Whether a model refuses what it does not name. What others must be is left to a rule.
    fn closed(&mut self, parts: &mut Parts<'a>, properties: &BTreeMap<&'a str, Property<'a>>) -> String {
        let mut config = String::new();
        for i in parts.with("additionalProperties") {
            let Some(node) = parts.nodes.get(i).cloned() else { continue };
            let own = node.members_of("properties");
            let covers = !node.has("patternProperties")
                && properties.keys().all(|name| own.iter().any(|(known, _)| known == name));
            match self.reader.find(&node.below("additionalProperties")) {
                Found::Anything => parts.say(i, "additionalProperties"),
                Found::Nothing if covers => {
                    parts.say(i, "additionalProperties");
                    let forbid = Expr::call("ConfigDict", vec![Expr::keyword("extra", Expr::text("forbid"))]);
                    forbid.names(&mut self.file.used);
                    config = assign(4, "model_config", &forbid);
                }
                _ => {}
            }
        }
        config
    }

    /// The fields of a model, those that must be there first.
    fn fields(&mut self, properties: &BTreeMap<&'a str, Property<'a>>, named: &Name) -> String {
        let taken = TAKEN.into_iter().chain(helpers::reserved()).map(str::to_owned);
        let mut scope = Scope::with(taken);
        // Types first: fields must not hide the names of any of them.
        let types: Vec<Ty> =
            properties.iter().map(|(key, property)| self.property(property, named.inner(key))).collect();
        // A name that can stay as it is must not be lost to one that can't.
        let keep: BTreeSet<&str> = properties
            .keys()
            .copied()
            .filter(|name| field_name(name) == **name && !scope.has(name) && !self.file.scope.has(name))
            .collect();
        for name in &keep {
            scope.take(name, "_");
        }
        let (mut required, mut optional) = (String::new(), String::new());
        for ((key, property), ty) in properties.iter().zip(types) {
            let name = if keep.contains(key) {
                (*key).to_owned()
            } else {
                let wanted = field_name(key);
                let is_taken = scope.has(&wanted) || self.file.scope.has(&wanted);
                scope.take(&if is_taken { format!("{wanted}_") } else { wanted }, "_")
            };
            let mut arguments = Vec::new();
            if name != *key {
                arguments.push(Expr::keyword("alias", Expr::text(key)));
            }
            if !property.description.trim().is_empty() {
                arguments.push(Expr::keyword("description", Expr::text(property.description.trim())));
            }
            let default = if property.required { None } else { self.default(property, &ty) };
            let (expr, default) = match default {
                _ if property.required => (ty.expr, None),
                Some(default) => (ty.expr, Some(default)),
                None if ty.nullable => (ty.expr, Some(Expr::name("None"))),
                None => (Expr::index("Maybe", vec![ty.expr]), Some(Expr::name("None"))),
            };
            let value = match (default, arguments.is_empty()) {
                (None, true) => None,
                (Some(default), true) if !matches!(default, Expr::Keyword(..)) => Some(default),
                (default, _) => {
                    let default = default.map(|default| match default {
                        Expr::Keyword(..) => default,
                        other => Expr::keyword("default", other),
                    });
                    Some(Expr::call("Field", default.into_iter().chain(arguments).collect()))
                }
            };
            expr.names(&mut self.file.used);
            if let Some(value) = &value {
                value.names(&mut self.file.used);
            }
            let text = field(4, &name, &expr, value.as_ref());
            if property.required { required.push_str(&text) } else { optional.push_str(&text) }
        }
        required + &optional
    }

    fn property(&mut self, property: &Property<'a>, name: Name) -> Ty {
        if let [only] = property.pointers.as_slice() {
            return self.ty(only, name);
        }
        let has_fields = self.parts(&property.pointers).is_some_and(|parts| {
            ["properties", "items", "prefixItems", "anyOf", "oneOf", "additionalProperties", "patternProperties"]
                .iter()
                .any(|keyword| !parts.with(keyword).is_empty())
        });
        // What may come round to itself is made once.
        if has_fields {
            return self.named(property.pointers.clone(), Some(name.hint()));
        }
        self.ty_of(&property.pointers, name)
    }

    /// The default of a property: a value, or what makes one as a keyword of `Field`. None, and said in the header, for
    /// one that its own schema refuses, or that would have to become a model.
    fn default(&mut self, property: &Property<'a>, ty: &Ty) -> Option<Expr> {
        let value = property.default?;
        if value.is_null() {
            return ty.nullable.then(|| Expr::name("None"));
        }
        let pointer = property.pointers.first().cloned().unwrap_or_default();
        let fits = property.pointers.iter().all(|pointer| self.may_be(pointer, value, 0));
        let mut names = BTreeSet::new();
        ty.expr.names(&mut names);
        let plain = [
            "Annotated",
            "Any",
            "Field",
            "Integer",
            "Literal",
            "None",
            "Number",
            "StrictBool",
            "StrictStr",
            "dict",
            "list",
            "str",
        ];
        let is_plain = names.iter().all(|name| plain.contains(&name.as_str()));
        let factory = |make: Expr| Some(Expr::keyword("default_factory", make));
        match value {
            _ if !fits => {}
            Value::Array(items) if items.is_empty() => return factory(Expr::name("list")),
            Value::Object(members) if members.is_empty() && is_plain => return factory(Expr::name("dict")),
            Value::Array(_) | Value::Object(_) if is_plain => {
                return factory(Expr::Lambda(Box::new(value_of(value))));
            }
            Value::Array(_) | Value::Object(_) => {}
            _ => return Some(value_of(value)),
        }
        self.note(&pointer, "default", "not set: what is absent stays so");
        None
    }

    /// Writes a model that is a value of some other type.
    pub(super) fn root_model(&mut self, name: &str, expr: &Expr, doc: &str, meta: Option<String>) {
        expr.names(&mut self.file.used);
        // `RootModel[...]` fails in a module that Python does not know by name; without, mypy misses something.
        let root = field(4, "root", expr, None);
        self.class(name, "RootModel", doc, &[meta.unwrap_or_default(), root]);
    }

    /// Writes a class; an empty line is between its sections.
    pub(super) fn class(&mut self, name: &str, base: &str, doc: &str, sections: &[String]) {
        self.file.used.insert(base.to_owned());
        let mut sections: Vec<String> = sections.iter().filter(|section| !section.is_empty()).cloned().collect();
        let doc = docstring(4, doc);
        if !doc.is_empty() {
            sections.insert(0, doc);
        }
        if sections.is_empty() {
            sections.push("    pass\n".to_owned());
        }
        let aside = if base == "RootModel" { "  # type: ignore[type-arg]" } else { "" };
        let text = format!("class {name}({base}):{aside}\n{}", sections.join("\n"));
        self.file.blocks.push(Block::Class(text));
        self.classes.push(name.to_owned());
    }

    /// The class `Meta` of the document's model.
    pub(super) fn meta_block(&self) -> String {
        let meta = self.meta;
        let mut text = "    class Meta:\n".to_owned();
        for (key, value) in [
            ("topic", meta.topic),
            ("version", meta.version),
            ("mode", meta.mode),
            ("part", meta.part),
            ("description", meta.description),
            ("exchange_name", meta.exchange),
        ] {
            text.push_str(&assign(8, key, &Expr::Literal(string(value))));
        }
        text.push_str("        auto_register = False\n");
        text
    }
}
