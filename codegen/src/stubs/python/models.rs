//! A schema as a type of pydantic's: a model, an alias, or an expression in place.
//!
//! Schemas that must hold together (`allOf`, `$ref` with something beside it) are read as one. The type says what it can;
//! each keyword that it does not say is left to a rule beside it, so that type and rules take exactly what the schema does.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    document::{Document, MAX_DEPTH, Progress, Ty},
    layout::Expr,
    patterns::{Engine, engine},
    rules::{all, step, value as value_of},
};
use crate::stubs::schema::{Found, Kind, Node};

/// The most schemas that are read as one.
const MAX_PARTS: usize = 64;

/// What a type is to be called.
pub(super) enum Name {
    /// This, which nothing else is called.
    Taken(String),
    /// Something like this, should it need a name.
    Wanted(String),
    /// This, and it is a document's model.
    Root(String),
}

impl Name {
    pub(super) fn hint(&self) -> &str {
        match self {
            Self::Taken(name) | Self::Wanted(name) | Self::Root(name) => name,
        }
    }

    /// For something inside it.
    pub(super) fn inner(&self, what: &str) -> Self {
        let what = crate::stubs::names::type_name(what, "");
        Self::Wanted(format!("{}{what}", self.hint()))
    }
}

/// Schemas that must hold together, and which of their keywords the type says.
pub(super) struct Parts<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    said: BTreeSet<(usize, &'static str)>,
}

impl Parts<'_> {
    pub(super) fn say(&mut self, part: usize, keyword: &'static str) {
        self.said.insert((part, keyword));
    }

    /// Each keyword of each part that the type does not say.
    pub(super) fn unsaid(&self) -> Vec<(usize, &'static str)> {
        let all =
            self.nodes.iter().enumerate().flat_map(|(i, node)| node.assertions().map(move |keyword| (i, keyword)));
        all.filter(|unsaid| !self.said.contains(unsaid)).collect()
    }

    /// The parts that have a keyword.
    pub(super) fn with(&self, keyword: &str) -> Vec<usize> {
        self.nodes.iter().enumerate().filter(|(_, node)| node.has(keyword)).map(|(i, _)| i).collect()
    }

    /// The kinds that every part allows; none when no part has a `type`.
    fn kinds(&self) -> Option<Vec<Kind>> {
        let mut common: Option<Vec<Kind>> = None;
        for kinds in self.nodes.iter().filter_map(Node::kinds) {
            common = Some(match common {
                None => kinds,
                Some(before) => intersection(&before, &kinds),
            });
        }
        common
    }
}

fn intersection(left: &[Kind], right: &[Kind]) -> Vec<Kind> {
    let allows =
        |kinds: &[Kind], kind| kinds.contains(&kind) || (kind == Kind::Integer && kinds.contains(&Kind::Number));
    Kind::ALL.iter().map(|(kind, _)| *kind).filter(|kind| allows(left, *kind) && allows(right, *kind)).collect()
}

impl<'a> Document<'a, '_> {
    /// The type of the schema at `pointer`.
    pub(super) fn ty(&mut self, pointer: &str, name: Name) -> Ty {
        if let Found::Schema(node) = self.reader.find(pointer) {
            // The root has its name already.
            let is_root = matches!(name, Name::Root(_));
            let only = |wanted: &str| node.assertions().all(|keyword| keyword == wanted);
            match self.reader.target(&node) {
                Some(target) if only("$ref") => return self.named(vec![target], None),
                Some(_) if !is_root => return self.named(vec![pointer.to_owned()], Some(name.hint())),
                _ => {}
            }
            match node.items_of("allOf").as_slice() {
                [] => {}
                // What only wraps a reference, to describe it.
                [one] if only("allOf") && self.depth < MAX_DEPTH => {
                    self.depth += 1;
                    let ty = self.ty(one, name);
                    self.depth -= 1;
                    return ty;
                }
                _ if is_root => {}
                _ => return self.named(vec![pointer.to_owned()], Some(name.hint())),
            }
        }
        self.ty_of(&[pointer.to_owned()], name)
    }

    /// The type of schemas that have a name of their own: because others refer to them, or might.
    pub(super) fn named(&mut self, pointers: Vec<String>, wanted: Option<&str>) -> Ty {
        match self.types.get_mut(&pointers) {
            Some(Progress::Done(ty)) => return ty.clone(),
            Some(Progress::Under { name, referred }) => {
                *referred = true;
                self.has_forward = true;
                return Ty::new(Expr::Forward(name.clone()));
            }
            None => {}
        }
        let title = self.title(pointers.first().map_or("", String::as_str));
        let name = self.take_type_name(wanted.unwrap_or(&title));
        self.types.insert(pointers.clone(), Progress::Under { name: name.clone(), referred: false });
        let ty = self.ty_of(&pointers, Name::Taken(name.clone()));
        let referred = matches!(self.types.get(&pointers), Some(Progress::Under { referred: true, .. }));
        let own = Expr::Name(name.clone());
        let ty = if ty.expr == own {
            ty
        } else if referred {
            // An alias can't be part of itself; a model can.
            let doc = self.description(&pointers);
            self.root_model(&name, &ty.expr, &doc, None);
            Ty { expr: own, nullable: false, is_class: false }
        } else {
            self.file.assign(&name, &ty.expr);
            Ty { expr: own, ..ty }
        };
        self.types.insert(pointers, Progress::Done(ty.clone()));
        ty
    }

    /// The type of what is valid under each of the schemas.
    pub(super) fn ty_of(&mut self, pointers: &[String], name: Name) -> Ty {
        if self.depth >= MAX_DEPTH {
            let pointer = pointers.first().cloned().unwrap_or_default();
            self.note(&pointer, "nesting", "goes deeper than this is followed: not checked");
            return Ty { nullable: true, ..Ty::new(Expr::name("Any")) };
        }
        self.depth += 1;
        let ty = match self.parts(pointers) {
            None => Ty::new(Expr::index("Annotated", vec![Expr::name("Any"), obey("false", Expr::name("_nothing"))])),
            Some(parts) => self.ty_of_parts(parts, &name),
        };
        self.depth -= 1;
        if ty.expr.is_deep() {
            let name = self.take_type_name(name.hint());
            self.file.assign(&name, &ty.expr);
            return Ty { expr: Expr::Name(name), ..ty };
        }
        ty
    }

    /// The schemas and all that hold together with them; none when nothing is valid under them.
    pub(super) fn parts(&mut self, pointers: &[String]) -> Option<Parts<'a>> {
        let mut parts = Parts { nodes: Vec::new(), said: BTreeSet::new() };
        let mut waiting: Vec<String> = pointers.iter().rev().cloned().collect();
        let mut seen = BTreeSet::new();
        while let Some(pointer) = waiting.pop() {
            if !seen.insert(pointer.clone()) {
                continue;
            }
            match self.reader.find(&pointer) {
                Found::Nothing => return None,
                Found::Anything => {}
                Found::Schema(node) => {
                    let i = parts.nodes.len();
                    if i < MAX_PARTS {
                        let mut inner = node.items_of("allOf");
                        if let Some(target) = self.reader.target(&node) {
                            inner.push(target);
                            parts.say(i, "$ref");
                        }
                        waiting.extend(inner.into_iter().rev());
                        parts.say(i, "allOf");
                    }
                    parts.nodes.push(node);
                }
            }
        }
        Some(parts)
    }

    fn ty_of_parts(&mut self, mut parts: Parts<'a>, name: &Name) -> Ty {
        let kinds = parts.kinds();
        if let Some(i) = parts.nodes.iter().position(|node| node.has("enum") || node.has("const")) {
            let ty = literal(&mut parts, i, kinds.as_deref());
            return self.with_rules(ty, &parts);
        }
        if let Some(ty) = self.alternatives(&mut parts, kinds.as_deref(), name) {
            return self.with_rules(ty, &parts);
        }
        let kinds = match kinds {
            Some(kinds) => kinds,
            None => {
                if let Some(kind) = self.implied(&parts) {
                    vec![kind]
                } else {
                    let ty = Ty { nullable: true, ..Ty::new(Expr::name("Any")) };
                    return self.with_rules(ty, &parts);
                }
            }
        };
        for i in parts.with("type") {
            parts.say(i, "type");
        }
        // One kind holds the other.
        let numbers = kinds.contains(&Kind::Number);
        let kinds: Vec<Kind> = kinds.into_iter().filter(|kind| *kind != Kind::Integer || !numbers).collect();
        let types: Vec<Ty> = kinds.iter().map(|kind| self.of_kind(*kind, &mut parts, name, kinds.len() == 1)).collect();
        say_of_others(&kinds, &mut parts);
        match types.as_slice() {
            [] => Ty::new(Expr::index("Annotated", vec![Expr::name("Any"), obey("type", Expr::name("_nothing"))])),
            [only] if only.is_class => only.clone(),
            _ => {
                let nullable = types.iter().any(|ty| ty.nullable);
                let ty = Ty { nullable, ..Ty::new(Expr::union(types.into_iter().map(|ty| ty.expr))) };
                self.with_rules(ty, &parts)
            }
        }
    }

    /// What a schema without `type` means whose author thinks of objects, or of arrays. Said in the file's header.
    fn implied(&mut self, parts: &Parts<'a>) -> Option<Kind> {
        let (kind, what) = if !parts.with("properties").is_empty() {
            (Kind::Object, "objects")
        } else if parts.with("items").is_empty() && parts.with("prefixItems").is_empty() {
            return None;
        } else {
            (Kind::Array, "arrays")
        };
        let keywords = if kind == Kind::Object { ["properties", "properties"] } else { ["items", "prefixItems"] };
        for keyword in keywords {
            if let Some(node) = parts.with(keyword).first().and_then(|i| parts.nodes.get(*i)) {
                let pointer = node.pointer.clone();
                self.note(&pointer, keyword, &format!("without `type`: taken to mean {what} only"));
            }
        }
        Some(kind)
    }

    /// The type of the values of one kind; `alone` when no other kind is allowed.
    fn of_kind(&mut self, kind: Kind, parts: &mut Parts<'a>, name: &Name, alone: bool) -> Ty {
        match kind {
            Kind::Null => Ty { nullable: true, ..Ty::new(Expr::name("None")) },
            Kind::Boolean => Ty::new(Expr::name("StrictBool")),
            Kind::Integer => Ty::new(number("Integer", parts)),
            Kind::Number => Ty::new(number("Number", parts)),
            Kind::String => Ty::new(string(parts)),
            Kind::Array => Ty::new(self.array(parts, name)),
            Kind::Object => self.object(parts, name, alone),
        }
    }

    /// The type with a rule for each keyword that it does not say.
    fn with_rules(&mut self, ty: Ty, parts: &Parts<'a>) -> Ty {
        let rules = self.unsaid_rules(parts);
        if rules.is_empty() {
            return ty;
        }
        let mut arguments = vec![ty.expr];
        arguments.extend(rules.into_iter().map(|(keyword, rule)| obey(&keyword, rule)));
        // `Annotated` of `Annotated` is one.
        if let [Expr::Index(head, _), ..] = arguments.as_slice()
            && head == "Annotated"
            && let Expr::Index(_, mut inner) = arguments.remove(0)
        {
            inner.append(&mut arguments);
            arguments = inner;
        }
        Ty { expr: Expr::index("Annotated", arguments), is_class: false, ..ty }
    }

    /// A rule for each keyword that the type does not say.
    pub(super) fn unsaid_rules(&mut self, parts: &Parts<'a>) -> Vec<(String, Expr)> {
        let mut rules: Vec<(String, Vec<Expr>)> = Vec::new();
        for (i, keyword) in parts.unsaid() {
            let Some(node) = parts.nodes.get(i) else { continue };
            let typed = parts.said.contains(&(i, "properties"));
            let Some(rule) = self.rule_beside(node, keyword, typed) else { continue };
            match rules.iter_mut().find(|(known, _)| known == keyword) {
                Some((_, rules)) => rules.push(rule),
                None => rules.push((keyword.to_owned(), vec![rule])),
            }
        }
        rules.into_iter().filter_map(|(keyword, rules)| Some((keyword, all(rules)?))).collect()
    }

    /// `anyOf` and `oneOf`, where they are all that is said.
    fn alternatives(&mut self, parts: &mut Parts<'a>, kinds: Option<&[Kind]>, name: &Name) -> Option<Ty> {
        let (mut found, mut others) = (Vec::new(), false);
        for (i, keyword) in parts.unsaid() {
            match keyword {
                "anyOf" | "oneOf" => found.push((i, keyword)),
                "type" => {}
                _ => others = true,
            }
        }
        let [(i, keyword)] = found.as_slice() else { return None };
        if others {
            return None;
        }
        let pointers = parts.nodes.get(*i)?.items_of(keyword);
        if kinds.is_some_and(|kinds| pointers.iter().all(|pointer| self.is_within(pointer, kinds))) {
            for i in parts.with("type") {
                parts.say(i, "type");
            }
        }
        let separate = *keyword == "anyOf" || self.are_separate(&pointers);
        let tag = if separate { self.tag(&pointers) } else { None };
        let mut types = Vec::new();
        for (n, pointer) in pointers.iter().enumerate() {
            let inner = match self.own_title(pointer) {
                Some(title) => Name::Wanted(title),
                None => name.inner(&format!("Option{}", n + 1)),
            };
            types.push(self.ty(pointer, inner));
        }
        if separate {
            parts.say(*i, keyword);
        }
        let nullable = types.iter().any(|ty| ty.nullable);
        let models = types.iter().all(|ty| ty.is_class) && types.len() > 1;
        let expr = Expr::union(types.into_iter().map(|ty| ty.expr));
        let expr = match tag.filter(|_| models && matches!(expr, Expr::Union(_))) {
            Some(tag) => {
                let by = Expr::keyword("discriminator", Expr::text(&tag));
                Expr::index("Annotated", vec![expr, Expr::call("Field", vec![by])])
            }
            None => expr,
        };
        Some(Ty { nullable, ..Ty::new(expr) })
    }

    /// The title that a schema has for itself, unless it is one that repeats.
    fn own_title(&self, pointer: &str) -> Option<String> {
        match self.reader.find(pointer) {
            Found::Schema(node) => node.text("title").filter(|title| !title.is_empty()).map(str::to_owned),
            _ => None,
        }
    }

    fn array(&mut self, parts: &mut Parts<'a>, name: &Name) -> Expr {
        let with_items: Vec<usize> = (0..parts.nodes.len())
            .filter(|i| parts.nodes.get(*i).is_some_and(|n| n.items() != (Vec::new(), None)))
            .collect();
        let inner = name.inner("Item");
        let Some(&i) = with_items.first() else {
            let constraints = sizes(parts);
            return constrained(Expr::index("list", vec![Expr::name("Any")]), constraints);
        };
        let Some(node) = parts.nodes.get(i).cloned() else { return Expr::index("list", vec![Expr::name("Any")]) };
        let (first, rest) = node.items();
        if first.is_empty() {
            let mut pointers: Vec<String> = rest.into_iter().collect();
            parts.say(i, "items");
            // Others that speak of all items hold together with it.
            for &other in with_items.iter().skip(1) {
                if let Some((first, Some(rest))) = parts.nodes.get(other).map(Node::items)
                    && first.is_empty()
                {
                    pointers.push(rest);
                    parts.say(other, "items");
                }
            }
            let item = match pointers.as_slice() {
                [one] => self.ty(one, inner),
                _ => self.named(pointers, Some(inner.hint())),
            };
            let constraints = sizes(parts);
            return constrained(Expr::index("list", vec![item.expr]), constraints);
        }
        let length = u64::try_from(first.len()).unwrap_or(u64::MAX);
        let closed = rest.as_ref().is_some_and(|pointer| matches!(self.reader.find(pointer), Found::Nothing));
        let at_least = parts.nodes.iter().filter_map(|node| node.count("minItems")).max().unwrap_or(0);
        let at_most = parts.nodes.iter().filter_map(|node| node.count("maxItems")).min();
        if at_least == length && (closed || at_most == Some(length)) {
            for keyword in ["prefixItems", "items", "additionalItems"] {
                parts.say(i, keyword);
            }
            for i in 0..parts.nodes.len() {
                parts.say(i, "minItems");
                parts.say(i, "maxItems");
            }
            let items = first.iter().map(|pointer| self.ty(pointer, name.inner("Item")).expr).collect();
            return Expr::index("tuple", items);
        }
        // How many there are is not known: each has its place in a rule.
        let constraints = sizes(parts);
        constrained(Expr::index("list", vec![Expr::name("Any")]), constraints)
    }
}

/// A number's type with its bounds.
fn number(name: &str, parts: &mut Parts<'_>) -> Expr {
    let mut constraints: Vec<Expr> = Vec::new();
    for i in 0..parts.nodes.len() {
        let Some(node) = parts.nodes.get(i).cloned() else { continue };
        for (keyword, key, value) in node.bounds() {
            // A second bound of the same name is left to a rule.
            if !constraints.iter().any(|known| matches!(known, Expr::Keyword(known, _) if *known == key)) {
                constraints.push(Expr::keyword(key, Expr::Literal(value.to_string())));
                parts.say(i, keyword);
            }
        }
        // Of floats, pydantic's own is not exact.
        if let Some(value) = node.get("multipleOf").filter(|value| value.is_u64() && name == "Integer")
            && step(value).is_some()
            && !constraints.iter().any(|known| matches!(known, Expr::Keyword("multiple_of", _)))
        {
            constraints.push(Expr::keyword("multiple_of", Expr::Literal(value.to_string())));
            parts.say(i, "multipleOf");
        }
    }
    constrained(Expr::name(name), constraints)
}

fn sizes(parts: &mut Parts<'_>) -> Vec<Expr> {
    let least = count(parts, "minItems", "min_length", false);
    least.into_iter().chain(count(parts, "maxItems", "max_length", true)).collect()
}

/// The strictest count of all parts.
fn count(parts: &mut Parts<'_>, keyword: &'static str, key: &'static str, smallest: bool) -> Option<Expr> {
    let mut strictest: Option<u64> = None;
    for i in parts.with(keyword) {
        let Some(count) = parts.nodes.get(i).and_then(|node| node.count(keyword)) else { continue };
        parts.say(i, keyword);
        strictest = Some(match strictest {
            None => count,
            Some(before) if smallest => before.min(count),
            Some(before) => before.max(count),
        });
    }
    let count = strictest.filter(|count| *count > 0 || smallest)?;
    // Python's sizes are signed.
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    Some(Expr::keyword(key, Expr::Literal(count.to_string())))
}

fn constrained(expr: Expr, constraints: Vec<Expr>) -> Expr {
    if constraints.is_empty() {
        return expr;
    }
    Expr::index("Annotated", vec![expr, Expr::call("Field", constraints)])
}

/// What makes a rule part of a type.
pub(super) fn obey(keyword: &str, rule: Expr) -> Expr {
    Expr::call("_obey", vec![Expr::text(keyword), rule])
}

/// Keywords about kinds of values that are not allowed at all say nothing.
pub(super) fn say_of_others(kinds: &[Kind], parts: &mut Parts<'_>) {
    const ABOUT: [(&[Kind], &[&str]); 4] = [
        (&[Kind::String], &["minLength", "maxLength", "pattern", "format"]),
        (&[Kind::Integer, Kind::Number], &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
        (
            &[Kind::Array],
            &[
                "items",
                "prefixItems",
                "additionalItems",
                "minItems",
                "maxItems",
                "uniqueItems",
                "contains",
                "minContains",
                "maxContains",
                "unevaluatedItems",
            ],
        ),
        (
            &[Kind::Object],
            &[
                "properties",
                "patternProperties",
                "additionalProperties",
                "required",
                "minProperties",
                "maxProperties",
                "propertyNames",
                "dependentRequired",
                "dependentSchemas",
                "dependencies",
                "unevaluatedProperties",
            ],
        ),
    ];
    for (about, keywords) in ABOUT {
        if about.iter().any(|kind| kinds.contains(kind)) {
            continue;
        }
        for (i, keyword) in parts.unsaid() {
            if keywords.contains(&keyword) {
                parts.say(i, keyword);
            }
        }
    }
}

fn string(parts: &mut Parts<'_>) -> Expr {
    let mut constraints = Vec::new();
    for (keyword, key, smallest) in [("minLength", "min_length", false), ("maxLength", "max_length", true)] {
        constraints.extend(count(parts, keyword, key, smallest));
    }
    for i in parts.with("pattern") {
        let Some(pattern) = parts.nodes.get(i).and_then(|node| node.text("pattern")) else { continue };
        let is_first = !constraints.iter().any(|known| matches!(known, Expr::Keyword("pattern", _)));
        if let (Some(Engine::Linear(pattern)), true) = (engine(pattern), is_first) {
            constraints.push(Expr::keyword("pattern", Expr::text(&pattern)));
            parts.say(i, "pattern");
        }
    }
    constrained(Expr::name("StrictStr"), constraints)
}

/// `enum` and `const`.
fn literal(parts: &mut Parts<'_>, i: usize, kinds: Option<&[Kind]>) -> Ty {
    let values = parts.nodes.get(i).and_then(Node::values).unwrap_or_default();
    let allowed = |value: &Value| {
        let kind = Kind::of(value);
        kinds.is_none_or(|kinds| kinds.contains(&kind) || (kind == Kind::Integer && kinds.contains(&Kind::Number)))
    };
    let mut distinct: Vec<&Value> = Vec::new();
    for value in values.into_iter().filter(|value| allowed(value)) {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    let nullable = distinct.iter().any(|value| value.is_null());
    let plain = |value: &&Value| match value {
        Value::Number(number) => number.is_i64() || number.is_u64(),
        value => !value.is_array() && !value.is_object(),
    };
    if distinct.is_empty() || !distinct.iter().all(plain) {
        return Ty { nullable, ..Ty::new(Expr::name("Any")) };
    }
    for i in parts.with("type") {
        parts.say(i, "type");
    }
    // Python takes True for 1, and 1.0 for it as well: there the rule decides.
    if distinct.iter().all(|value| value.is_string() || value.is_null()) {
        parts.say(i, "enum");
        parts.say(i, "const");
    }
    let literals: Vec<Expr> = distinct.into_iter().filter(|value| !value.is_null()).map(value_of).collect();
    let none = nullable.then(|| Expr::name("None"));
    if literals.is_empty() {
        return Ty { nullable, ..Ty::new(Expr::name("None")) };
    }
    let expr = Expr::union(std::iter::once(Expr::index("Literal", literals)).chain(none));
    Ty { nullable, ..Ty::new(expr) }
}
