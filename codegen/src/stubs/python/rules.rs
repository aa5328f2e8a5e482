//! A schema as a rule: an expression of Python that says of any JSON value whether it is valid.
//!
//! Models say by their types what they can; rules are for the rest. A schema that something refers to becomes a rule
//! with a name, and what nests deep gets one too: Python's parser gives up at two hundred brackets.

use celerysalt_contract::{Draft, Formats};
use serde_json::Value;

use super::{
    document::{Document, MAX_DEPTH, Progress},
    layout::{Expr, string},
    patterns::{Engine, engine},
};
use crate::stubs::{
    names::snake,
    schema::{Found, Kind, Node, escape},
};

/// Which properties or items are evaluated already where `unevaluated…` stands.
#[derive(Default)]
struct Evaluated {
    names: Vec<String>,
    patterns: Vec<String>,
    first_items: usize,
    /// Everything is.
    members: bool,
    items: bool,
}

impl<'a> Document<'a, '_> {
    /// The rule of the schema at `pointer`; none when it takes everything.
    pub(super) fn rule(&mut self, pointer: &str) -> Option<Expr> {
        if self.depth >= MAX_DEPTH {
            self.note(pointer, "nesting", "goes deeper than this is followed: not checked");
            return None;
        }
        let node = match self.reader.find(pointer) {
            Found::Anything => return None,
            Found::Nothing => return Some(Expr::name("_nothing")),
            Found::Schema(node) => node,
        };
        self.depth += 1;
        let keywords: Vec<&'static str> = node.assertions().collect();
        let rules: Vec<Expr> = keywords.into_iter().filter_map(|keyword| self.rule_of(&node, keyword)).collect();
        self.depth -= 1;
        let rule = all(rules)?;
        Some(if rule.is_deep() { self.name_rule(&rule) } else { rule })
    }

    /// The rule, or the one that takes everything.
    fn rule_or_anything(&mut self, pointer: &str) -> Expr {
        self.rule(pointer).unwrap_or_else(|| Expr::name("_anything"))
    }

    fn name_rule(&mut self, rule: &Expr) -> Expr {
        let name = self.file.scope.take(&format!("_rule{}", self.lower_suffix()), "_");
        self.file.assign(&name, rule);
        Expr::Name(name)
    }

    /// The rule that one keyword makes beside a type, which says what named properties hold if it is `typed`.
    pub(super) fn rule_beside(&mut self, node: &Node<'a>, keyword: &str, typed: bool) -> Option<Expr> {
        match keyword {
            "properties" | "patternProperties" | "additionalProperties" => self.properties(node, keyword, typed),
            _ => self.rule_of(node, keyword),
        }
    }

    /// The rule that one keyword of a schema makes, with the keywords that it depends on; none when it says nothing, or
    /// when another keyword says it.
    fn rule_of(&mut self, node: &Node<'a>, keyword: &str) -> Option<Expr> {
        let count = |head: &str, key: &'static str| {
            let count = Expr::Literal(node.count(keyword)?.to_string());
            Some(Expr::call(head, vec![Expr::keyword(key, count)]))
        };
        match keyword {
            "$ref" => self.referred(node),
            "type" => {
                let kinds = node.kinds()?;
                let names = Kind::ALL.iter().filter(|(kind, _)| kinds.contains(kind));
                Some(Expr::call("_kind", names.map(|(_, name)| Expr::text(name)).collect()))
            }
            "const" if node.has("enum") => None,
            "const" | "enum" => Some(Expr::call("_equals", node.values()?.into_iter().map(value).collect())),
            "minLength" => count("_length", "at_least"),
            "maxLength" => count("_length", "at_most"),
            "pattern" => self.search(node.text("pattern")?, &node.below("pattern")),
            "format" => read(node.format()?),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => bound(node, keyword),
            "multipleOf" => Some(Expr::call("_multiple", vec![step(node.get("multipleOf")?)?])),
            "minItems" => count("_size", "at_least"),
            "maxItems" => count("_size", "at_most"),
            "uniqueItems" => (node.get(keyword) == Some(&Value::Bool(true))).then(|| Expr::name("_unique")),
            "contains" => Some(self.contains(node)),
            "prefixItems" | "items" => self.items(node, keyword),
            "minProperties" => count("_members", "at_least"),
            "maxProperties" => count("_members", "at_most"),
            "required" => required(&node.strings("required")),
            "properties" | "patternProperties" | "additionalProperties" => self.properties(node, keyword, false),
            "propertyNames" => Some(Expr::call("_names", vec![self.rule(&node.below(keyword))?])),
            "dependentRequired" | "dependentSchemas" | "dependencies" => self.dependent(node, keyword),
            "allOf" => {
                let rules = node.items_of(keyword);
                all(rules.iter().filter_map(|pointer| self.rule(pointer)).collect())
            }
            "anyOf" => {
                let rules: Option<Vec<Expr>> =
                    node.items_of(keyword).iter().map(|pointer| self.rule(pointer)).collect();
                Some(Expr::call("_any", rules?))
            }
            "oneOf" => {
                let rules = node.items_of(keyword);
                let rules = rules.iter().map(|pointer| self.rule_or_anything(pointer)).collect();
                Some(Expr::call("_exactly_one", rules))
            }
            "not" => {
                let rule = self.rule_or_anything(&node.below(keyword));
                Some(Expr::call("_not", vec![rule]))
            }
            "if" => self.condition(node),
            "unevaluatedProperties" => self.unevaluated_properties(node),
            "unevaluatedItems" => self.unevaluated_items(node),
            "$dynamicRef" | "$recursiveRef" => {
                self.note(&node.pointer, keyword, "depends on where a value stands: not checked");
                None
            }
            _ => None,
        }
    }

    fn referred(&mut self, node: &Node<'a>) -> Option<Expr> {
        let Some(target) = self.reader.target(node) else {
            self.note(&node.pointer, "$ref", "leads to nothing that is known: not checked");
            return None;
        };
        match self.rules.get_mut(&target) {
            Some(Progress::Done(rule)) => return rule.clone(),
            Some(Progress::Under { name, referred }) => {
                *referred = true;
                let later = Expr::Lambda(Box::new(Expr::name(name)));
                return Some(Expr::call("_ref", vec![later]));
            }
            None => {}
        }
        let wanted = format!("_is_{}{}", snake(&self.title(&target)), self.lower_suffix());
        let name = self.file.scope.take(&wanted, "_");
        self.rules.insert(target.clone(), Progress::Under { name: name.clone(), referred: false });
        let rule = self.rule(&target);
        let referred = matches!(self.rules.get(&target), Some(Progress::Under { referred: true, .. }));
        let rule = match rule {
            None if !referred => None,
            rule => {
                self.file.assign(&name, &rule.unwrap_or_else(|| Expr::name("_anything")));
                Some(Expr::Name(name))
            }
        };
        self.rules.insert(target, Progress::Done(rule.clone()));
        rule
    }

    /// A rule that looks for a pattern.
    fn search(&mut self, pattern: &str, pointer: &str) -> Option<Expr> {
        match engine(pattern) {
            Some(Engine::Linear(pattern)) => Some(Expr::call("_pattern", vec![Expr::text(&pattern)])),
            Some(Engine::Backtracking(pattern)) => Some(Expr::call("_search", vec![Expr::text(&pattern)])),
            None => {
                let (parent, keyword) = pointer.rsplit_once('/').unwrap_or_default();
                self.note(parent, keyword, "Python has no such regular expression: not checked");
                None
            }
        }
    }

    fn contains(&mut self, node: &Node<'a>) -> Expr {
        let mut arguments = vec![self.rule_or_anything(&node.below("contains"))];
        for (keyword, key) in [("minContains", "at_least"), ("maxContains", "at_most")] {
            if let Some(count) = node.count(keyword) {
                arguments.push(Expr::keyword(key, Expr::Literal(count.to_string())));
            }
        }
        Expr::call("_contains", arguments)
    }

    fn items(&mut self, node: &Node<'a>, keyword: &str) -> Option<Expr> {
        // Both are one rule, made where the first of them is asked for.
        if keyword == "prefixItems" && node.has("items") {
            return None;
        }
        let (first, rest) = node.items();
        let first: Vec<Option<Expr>> = first.iter().map(|pointer| self.rule(pointer)).collect();
        let rest = rest.and_then(|pointer| self.rule(&pointer));
        if rest.is_none() && first.iter().all(Option::is_none) {
            return None;
        }
        let anything = |rule: Option<Expr>| rule.unwrap_or_else(|| Expr::name("_anything"));
        let first = Expr::List(first.into_iter().map(anything).collect());
        Some(Expr::call("_items", vec![first, anything(rest)]))
    }

    fn properties(&mut self, node: &Node<'a>, keyword: &str, typed: bool) -> Option<Expr> {
        // The three are one rule, made where the last of those that are there is asked for.
        let last = ["properties", "patternProperties", "additionalProperties"];
        if last.into_iter().rfind(|keyword| node.has(keyword)) != Some(keyword) {
            return None;
        }
        let rest = if node.has("additionalProperties") { self.rule(&node.below("additionalProperties")) } else { None };
        let mut named = Vec::new();
        for (name, pointer) in node.members_of("properties") {
            let rule = if typed { None } else { self.rule(&pointer) };
            match rule {
                // What is named is none of the rest.
                None if rest.is_none() => {}
                rule => named.push((name.to_owned(), rule.unwrap_or_else(|| Expr::name("_anything")))),
            }
        }
        let mut patterns = Vec::new();
        for (pattern, pointer) in node.members_of("patternProperties") {
            let rule = self.rule_or_anything(&pointer);
            // Without one of them it is not known what is left.
            let found = self.search(pattern, &pointer)?;
            patterns.push(Expr::call("_matching", vec![found, rule]));
        }
        let anything = Expr::name("_anything");
        if rest.is_none() && patterns.is_empty() && named.iter().all(|(_, rule)| *rule == anything) {
            return None;
        }
        let rest = rest.unwrap_or(anything);
        Some(Expr::call("_properties", vec![Expr::Dict(named), Expr::List(patterns), rest]))
    }

    fn dependent(&mut self, node: &Node<'a>, keyword: &str) -> Option<Expr> {
        let mut rules = Vec::new();
        for (name, value) in node.object(keyword)? {
            let rule = match value {
                Value::Array(names) => required(&names.iter().filter_map(Value::as_str).collect::<Vec<_>>()),
                // Draft 4 and 6 know one name without brackets.
                Value::String(name) => required(&[name.as_str()]),
                _ => self.rule(&format!("{}/{keyword}/{}", node.pointer, escape(name))),
            };
            if let Some(rule) = rule {
                rules.push(Expr::call("_with", vec![Expr::text(name), rule]));
            }
        }
        all(rules)
    }

    fn condition(&mut self, node: &Node<'a>) -> Option<Expr> {
        let mut branch = |keyword: &str| node.has(keyword).then(|| self.rule(&node.below(keyword))).flatten();
        let (then, otherwise) = (branch("then"), branch("else"));
        if then.is_none() && otherwise.is_none() {
            return None;
        }
        let condition = self.rule_or_anything(&node.below("if"));
        let anything = |rule: Option<Expr>| rule.unwrap_or_else(|| Expr::name("_anything"));
        Some(Expr::call("_if", vec![condition, anything(then), anything(otherwise)]))
    }

    fn unevaluated_properties(&mut self, node: &Node<'a>) -> Option<Expr> {
        let keyword = "unevaluatedProperties";
        let rest = self.rule(&node.below(keyword))?;
        let Some(seen) = self.evaluated(node, &mut Vec::new()) else {
            self.note(&node.pointer, keyword, "depends on which of several schemas a value fits: not checked");
            return None;
        };
        if seen.members {
            return None;
        }
        let anything = || Expr::name("_anything");
        let mut patterns = Vec::new();
        for pattern in &seen.patterns {
            let found = self.search(pattern, &node.below(keyword))?;
            patterns.push(Expr::call("_matching", vec![found, anything()]));
        }
        let named = seen.names.into_iter().map(|name| (name, anything())).collect();
        Some(Expr::call("_properties", vec![Expr::Dict(named), Expr::List(patterns), rest]))
    }

    fn unevaluated_items(&mut self, node: &Node<'a>) -> Option<Expr> {
        let keyword = "unevaluatedItems";
        let rest = self.rule(&node.below(keyword))?;
        let Some(seen) = self.evaluated(node, &mut Vec::new()) else {
            self.note(&node.pointer, keyword, "depends on which of several schemas a value fits: not checked");
            return None;
        };
        if seen.items {
            return None;
        }
        let first = vec![Expr::name("_anything"); seen.first_items];
        Some(Expr::call("_items", vec![Expr::List(first), rest]))
    }

    /// What is evaluated whatever the value; none when that depends on the value.
    fn evaluated(&self, node: &Node<'a>, visited: &mut Vec<String>) -> Option<Evaluated> {
        let mut seen = Evaluated::default();
        if visited.contains(&node.pointer) || visited.len() >= MAX_DEPTH {
            return None;
        }
        let outermost = visited.is_empty();
        visited.push(node.pointer.clone());
        let by_value = ["anyOf", "oneOf", "if", "dependentSchemas", "dependencies", "$dynamicRef", "$recursiveRef"];
        if by_value.iter().any(|keyword| node.has(keyword)) {
            return None;
        }
        // From 2020-12 on, an item that `contains` finds is evaluated.
        if node.has("contains") && self.reader.draft >= Draft::Draft202012 {
            return None;
        }
        seen.names.extend(node.members_of("properties").into_iter().map(|(name, _)| name.to_owned()));
        seen.patterns.extend(node.members_of("patternProperties").into_iter().map(|(name, _)| name.to_owned()));
        let (first, rest) = node.items();
        seen.first_items = first.len();
        seen.items = rest.is_some() || (!outermost && node.has("unevaluatedItems"));
        seen.members = node.has("additionalProperties") || (!outermost && node.has("unevaluatedProperties"));
        let referred = self.reader.target(node);
        for pointer in node.items_of("allOf").into_iter().chain(referred) {
            let Found::Schema(inner) = self.reader.find(&pointer) else { continue };
            let inner = self.evaluated(&inner, visited)?;
            seen.names.extend(inner.names);
            seen.patterns.extend(inner.patterns);
            seen.first_items = seen.first_items.max(inner.first_items);
            seen.items |= inner.items;
            seen.members |= inner.members;
        }
        Some(seen)
    }
}

/// All of them; none for none.
pub(super) fn all(mut rules: Vec<Expr>) -> Option<Expr> {
    if rules.len() > 1 {
        return Some(Expr::call("_all", rules));
    }
    rules.pop()
}

fn required(names: &[&str]) -> Option<Expr> {
    (!names.is_empty()).then(|| Expr::call("_required", names.iter().map(|name| Expr::text(name)).collect()))
}

/// The rule that a text is one which pydantic's own type for a format reads; none where it can't be told so.
pub(super) fn read((format, meant): (&str, Formats)) -> Option<Expr> {
    if meant != Formats::Pydantic {
        return None;
    }
    let core = |kind: &str| Some(Expr::call("_format", vec![Expr::text(kind)]));
    let address = |kind: &str| Some(Expr::call("_address", vec![Expr::text(kind)]));
    match format {
        "date-time" => core("datetime"),
        "date" => core("date"),
        "time" => core("time"),
        "duration" => core("timedelta"),
        "uri" => core("url"),
        "json-string" => core("json"),
        "uuid" => core("uuid"),
        "ipv4" => address("IPv4Address"),
        "ipv6" => address("IPv6Address"),
        "ipv4network" => address("IPv4Network"),
        "ipv6network" => address("IPv6Network"),
        "ipv4interface" => address("IPv4Interface"),
        "ipv6interface" => address("IPv6Interface"),
        "ipvanyaddress" => address("ip_address"),
        "ipvanynetwork" => address("ip_network"),
        "ipvanyinterface" => address("ip_interface"),
        _ => {
            let version = format.strip_prefix("uuid").filter(|version| version.parse::<u8>().is_ok())?;
            let version = Expr::keyword("version", Expr::Literal(version.to_owned()));
            Some(Expr::call("_format", vec![Expr::text("uuid"), version]))
        }
    }
}
fn bound(node: &Node<'_>, keyword: &str) -> Option<Expr> {
    let (_, key, value) = node.bounds().into_iter().find(|(by, ..)| *by == keyword)?;
    Some(Expr::call("_bounds", vec![Expr::keyword(key, Expr::Literal(value.to_string()))]))
}

/// In decimals, as JSON writes it.
pub(super) fn step(value: &Value) -> Option<Expr> {
    let number = value.as_number()?;
    number.as_f64().filter(|n| *n > 0.0)?;
    Some(Expr::Literal(string(&number.to_string())))
}

/// A value of the schema's author as Python writes it.
pub(super) fn value(value: &Value) -> Expr {
    match value {
        Value::Null => Expr::name("None"),
        Value::Bool(true) => Expr::name("True"),
        Value::Bool(false) => Expr::name("False"),
        Value::Number(number) => Expr::Literal(number.to_string()),
        Value::String(text) => Expr::text(text),
        Value::Array(_) | Value::Object(_) => Expr::call("loads", vec![Expr::text(&value.to_string())]),
    }
}
