//! Schemas as types: interfaces, unions, literals, tuples.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use super::layout::{comment, key, string};
use crate::stubs::{
    names::{Scope, type_name},
    schema::{Found, Kind, Node, Reader},
};

/// How deep a schema is followed.
const MAX_DEPTH: usize = 128;
/// The most schemas that are read as one.
const MAX_PARTS: usize = 64;
/// The longest tuple that is written out.
const MAX_TUPLE: usize = 64;

/// The types of one schema document.
pub(super) struct Types<'a, 's> {
    reader: Reader<'a>,
    scope: &'s mut Scope,
    suffix: &'s str,
    /// What is called how, of all that others refer to.
    named: BTreeMap<String, String>,
    /// Those that are still to be written.
    waiting: VecDeque<String>,
    depth: usize,
}

impl<'a, 's> Types<'a, 's> {
    pub(super) fn new(reader: Reader<'a>, scope: &'s mut Scope, suffix: &'s str) -> Self {
        Self { reader, scope, suffix, named: BTreeMap::new(), waiting: VecDeque::new(), depth: 0 }
    }

    /// The type of the document, and then all that it is made of.
    pub(super) fn document(&mut self, name: &str, about: &str) -> String {
        self.named.insert(String::new(), name.to_owned());
        let mut text = self.declaration("", name, about);
        while let Some(pointer) = self.waiting.pop_front() {
            let name = self.named.get(&pointer).cloned().unwrap_or_default();
            text.push_str(&self.declaration(&pointer, &name, ""));
        }
        text
    }

    fn declaration(&mut self, pointer: &str, name: &str, about: &str) -> String {
        let description = match self.reader.find(pointer) {
            Found::Schema(node) => node.text("description").unwrap_or_default(),
            _ => "",
        };
        let parts: Vec<&str> = [description.trim(), about].into_iter().filter(|part| !part.is_empty()).collect();
        let doc = comment(0, &parts.join("\n\n"));
        let ty = self.ty(pointer, 0, true);
        if is_one_object(&ty) {
            return format!("\n{doc}export interface {name} {ty}\n");
        }
        format!("\n{doc}export type {name} = {ty};\n")
    }

    /// The name of the type of a schema that something refers to.
    fn name(&mut self, pointer: &str) -> String {
        if let Some(name) = self.named.get(pointer) {
            return name.clone();
        }
        let title = match self.reader.find(pointer) {
            Found::Schema(node) => node.text("title").filter(|title| title.chars().any(|c| c.is_ascii_alphanumeric())),
            _ => None,
        };
        let wanted = title.or_else(|| pointer.rsplit('/').next()).unwrap_or_default();
        let name = self.scope.take(&format!("{}{}", type_name(wanted, "Model"), self.suffix), "");
        self.named.insert(pointer.to_owned(), name.clone());
        self.waiting.push_back(pointer.to_owned());
        name
    }

    /// The type of the schema at `pointer`, its lines starting at column `indent`.
    fn ty(&mut self, pointer: &str, indent: usize, is_declared: bool) -> String {
        if self.depth >= MAX_DEPTH {
            return "unknown".to_owned();
        }
        let node = match self.reader.find(pointer) {
            Found::Nothing => return "never".to_owned(),
            Found::Anything => return "unknown".to_owned(),
            Found::Schema(node) => node,
        };
        if let Some(target) = self.reader.target(&node)
            && node.assertions().all(|keyword| keyword == "$ref")
        {
            // A type can't be an alias of itself.
            return if is_declared && self.leads_to(&target, pointer) {
                "unknown".to_owned()
            } else {
                self.name(&target)
            };
        }
        self.depth += 1;
        let parts = self.parts(pointer);
        let ty = parts.map_or_else(|| "never".to_owned(), |parts| self.of_parts(&parts, indent));
        self.depth -= 1;
        ty
    }

    /// Whether a chain of mere references comes back.
    fn leads_to(&self, from: &str, to: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut at = from.to_owned();
        while seen.insert(at.clone()) {
            if at == to {
                return true;
            }
            let Found::Schema(node) = self.reader.find(&at) else { return false };
            match self.reader.target(&node) {
                Some(target) if node.assertions().all(|keyword| keyword == "$ref") => at = target,
                _ => return false,
            }
        }
        true
    }

    /// The schema and all that must hold with it; none when nothing is valid.
    fn parts(&self, pointer: &str) -> Option<Vec<Node<'a>>> {
        let mut parts = Vec::new();
        let mut waiting = vec![pointer.to_owned()];
        let mut seen = BTreeSet::new();
        while let Some(pointer) = waiting.pop() {
            if parts.len() >= MAX_PARTS || !seen.insert(pointer.clone()) {
                continue;
            }
            match self.reader.find(&pointer) {
                Found::Nothing => return None,
                Found::Anything => {}
                Found::Schema(node) => {
                    let inner = node.items_of("allOf").into_iter().chain(self.reader.target(&node));
                    waiting.extend(inner.collect::<Vec<_>>().into_iter().rev());
                    parts.push(node);
                }
            }
        }
        Some(parts)
    }

    fn of_parts(&mut self, parts: &[Node<'a>], indent: usize) -> String {
        if let Some(values) = parts.iter().find_map(Node::values) {
            return union(values.into_iter().map(literal));
        }
        let kinds = kinds(parts);
        let names_fields = parts.iter().any(|node| node.has("properties"));
        let alternatives = parts.iter().find_map(|node| {
            ["oneOf", "anyOf"].into_iter().find(|keyword| node.has(keyword)).map(|keyword| node.items_of(keyword))
        });
        if let Some(pointers) = alternatives {
            let types: Vec<String> = pointers.iter().map(|pointer| self.ty(pointer, indent, false)).collect();
            let union = union(types);
            if !names_fields {
                return union;
            }
            let base = self.object(parts, indent);
            return if union == "unknown" { base } else { format!("{base} & ({union})") };
        }
        let kinds = match kinds {
            Some(kinds) => kinds,
            None if names_fields => vec![Kind::Object],
            None if parts.iter().any(|node| node.items() != (Vec::new(), None)) => vec![Kind::Array],
            None => return "unknown".to_owned(),
        };
        let types: Vec<String> = kinds
            .into_iter()
            .map(|kind| match kind {
                Kind::String => "string".to_owned(),
                Kind::Integer | Kind::Number => "number".to_owned(),
                Kind::Boolean => "boolean".to_owned(),
                Kind::Null => "null".to_owned(),
                Kind::Array => self.array(parts, indent),
                Kind::Object => self.object(parts, indent),
            })
            .collect();
        union(types)
    }

    fn array(&mut self, parts: &[Node<'a>], indent: usize) -> String {
        let found = parts.iter().find(|node| node.items() != (Vec::new(), None));
        let Some(node) = found else { return "unknown[]".to_owned() };
        let (first, rest) = node.items();
        if first.is_empty() {
            let item = rest.map_or_else(|| "unknown".to_owned(), |pointer| self.ty(&pointer, indent, false));
            return if item.contains([' ', '\n']) { format!("Array<{item}>") } else { format!("{item}[]") };
        }
        let rest = rest.map_or_else(|| "unknown".to_owned(), |pointer| self.ty(&pointer, indent, false));
        let count = |keyword, largest: bool| {
            let counts = parts.iter().filter_map(|node| node.count(keyword)).filter_map(|n| usize::try_from(n).ok());
            if largest { counts.max() } else { counts.min() }
        };
        let (least, most) = (count("minItems", true).unwrap_or(0), count("maxItems", false).unwrap_or(usize::MAX));
        if first.len() > MAX_TUPLE {
            return "readonly unknown[]".to_owned();
        }
        let mut items = Vec::new();
        for (i, pointer) in first.iter().enumerate().take_while(|(i, _)| *i < most) {
            let item = self.ty(pointer, indent, false);
            // What may be absent may not be undefined as well; TypeScript has one word for both.
            items.push(match (i < least, item.contains(' ')) {
                (true, _) => item,
                (false, true) => format!("({item})?"),
                (false, false) => format!("{item}?"),
            });
        }
        if most > first.len() && rest != "never" {
            items.push(if rest.contains(' ') { format!("...Array<{rest}>") } else { format!("...{rest}[]") });
        }
        format!("readonly [{}]", items.join(", "))
    }

    fn object(&mut self, parts: &[Node<'a>], indent: usize) -> String {
        let required: BTreeSet<&str> = parts.iter().flat_map(|node| node.strings("required")).collect();
        let mut properties: BTreeMap<&'a str, Vec<String>> = BTreeMap::new();
        for (name, pointer) in parts.iter().flat_map(|node| node.members_of("properties")) {
            properties.entry(name).or_default().push(pointer);
        }
        let (pad, inner) = (" ".repeat(indent), indent + 2);
        let mut lines = String::new();
        let mut types = Vec::new();
        for (name, pointers) in &properties {
            let mut all: Vec<String> = Vec::new();
            for pointer in pointers {
                let ty = self.ty(pointer, inner, false);
                if ty != "unknown" && !all.contains(&ty) {
                    all.push(ty);
                }
            }
            let ty = match all.as_slice() {
                [] => "unknown".to_owned(),
                [only] => only.clone(),
                several => several.iter().map(|ty| format!("({ty})")).collect::<Vec<_>>().join(" & "),
            };
            let described = pointers.iter().find_map(|pointer| match self.reader.find(pointer) {
                Found::Schema(node) => node.text("description"),
                _ => None,
            });
            lines.push_str(&comment(inner, described.unwrap_or_default()));
            let mark = if required.contains(name) { "" } else { "?" };
            lines.extend([pad.as_str(), "  ", &key(name), mark, ": ", &ty, ";\n"]);
            types.push(ty);
            if mark == "?" {
                types.push("undefined".to_owned());
            }
        }
        // Nobody has named the others: what they hold is what every part allows.
        let others: Vec<String> = parts
            .iter()
            .filter(|node| node.has("additionalProperties"))
            .map(|node| self.ty(&node.below("additionalProperties"), inner, false))
            .collect();
        let patterns: Vec<String> =
            parts.iter().flat_map(|node| node.members_of("patternProperties")).map(|(_, pointer)| pointer).collect();
        let closed = others.iter().any(|ty| ty == "never");
        let mut extra: Vec<String> = patterns.iter().map(|pointer| self.ty(pointer, inner, false)).collect();
        match others.as_slice() {
            _ if closed => {}
            [only] => extra.push(only.clone()),
            _ => extra.push("unknown".to_owned()),
        }
        if !extra.is_empty() {
            // An index signature speaks of the named ones too.
            extra.extend(types);
            lines.extend([pad.as_str(), "  [key: string]: ", &union(extra), ";\n"]);
        }
        if lines.is_empty() { "Record<string, never>".to_owned() } else { format!("{{\n{lines}{pad}}}") }
    }
}

/// Whether the text is one object type and nothing after it.
fn is_one_object(ty: &str) -> bool {
    ty.starts_with("{\n") && ty.find("\n}").is_some_and(|at| at + 2 == ty.len())
}

/// The kinds that every part allows; none when no part has a `type`.
fn kinds(parts: &[Node<'_>]) -> Option<Vec<Kind>> {
    let allows =
        |kinds: &[Kind], kind| kinds.contains(&kind) || (kind == Kind::Integer && kinds.contains(&Kind::Number));
    let all: Vec<Vec<Kind>> = parts.iter().filter_map(Node::kinds).collect();
    if all.is_empty() {
        return None;
    }
    let kinds = Kind::ALL.into_iter().map(|(kind, _)| kind);
    Some(kinds.filter(|kind| all.iter().all(|allowed| allows(allowed, *kind))).collect())
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Bool(_) | Value::Null => value.to_string(),
        // A literal that TypeScript would round is a number like any other.
        Value::Number(number) => match number.as_i64() {
            Some(n) if n.unsigned_abs() <= (1 << 53) => n.to_string(),
            _ => "number".to_owned(),
        },
        Value::Array(_) => "readonly unknown[]".to_owned(),
        Value::Object(_) => "{ [key: string]: unknown }".to_owned(),
    }
}

/// One of the types, each once.
fn union(types: impl IntoIterator<Item = String>) -> String {
    let mut distinct: Vec<String> = Vec::new();
    for ty in types {
        if ty == "unknown" {
            return ty;
        }
        if !distinct.contains(&ty) {
            distinct.push(ty);
        }
    }
    match distinct.as_slice() {
        [] => "never".to_owned(),
        [only] => only.clone(),
        several => {
            let wrap = |ty: &String| if ty.contains(" & ") { format!("({ty})") } else { ty.clone() };
            several.iter().map(wrap).collect::<Vec<_>>().join(" | ")
        }
    }
}
