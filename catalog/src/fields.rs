//! A schema as people read it: rows of fields with types and rules, nested ones below theirs, shared ones as types of their
//! own. The whole truth is the schema, which stands beside; what has no words here is shown as it is written.

mod rules;

use std::collections::HashMap;

use serde_json::{Map, Value};

use self::rules::rules;

/// How deep inline schemas are followed; shared ones are types of their own, so circles end there.
const DEPTH: usize = 12;
/// More rows than anybody reads.
const MOST_ROWS: usize = 1_500;
/// More values of an enum than are shown.
const MOST_VALUES: usize = 24;

/// A schema, and the shared types that it refers to.
#[derive(Debug, Default)]
pub(crate) struct Described {
    pub(crate) root: Layout,
    pub(crate) types: Vec<Shared>,
}

/// A schema that others refer to.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) layout: Layout,
}

/// What a value is, and its members.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub(crate) kind: Vec<Term>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) rows: Vec<Row>,
    /// Whether there are more rows than are shown.
    pub(crate) is_cut: bool,
}

/// A member of an object, or a line above members that says what they are.
#[derive(Debug)]
pub(crate) enum Row {
    Field(Box<Field>),
    Heading { depth: usize, text: String },
}

/// One property.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) depth: usize,
    /// Where it stands, as `items[].sku`: unique within its layout, unless the schema has alternatives.
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) kind: Vec<Term>,
    pub(crate) is_required: bool,
    pub(crate) is_deprecated: bool,
    pub(crate) rules: Vec<Rule>,
    pub(crate) description: String,
    /// The shared type that it comes from, when it is not the schema's own.
    pub(crate) from: Option<usize>,
}

/// A word of what a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    Word(String),
    /// A JSON value.
    Value(String),
    /// A shared type, by its place in [`Described::types`].
    Type(usize),
}

/// A rule in words: `length`, `1 to 20`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) label: &'static str,
    pub(crate) value: String,
}

/// Describes a self-contained schema.
pub(crate) fn describe(root: &Value) -> Described {
    let mut describer =
        Describer { root, types: Vec::new(), pointers: Vec::new(), known: HashMap::new(), rows_left: 0 };
    let layout = describer.layout(root);
    let mut at = 0;
    while let Some(pointer) = describer.pointers.get(at).cloned() {
        if let Some(target) = root.pointer(&pointer) {
            let layout = describer.layout(target);
            describer.types[at].layout = layout;
        }
        at += 1;
    }
    Described { root: layout, types: describer.types }
}

struct Describer<'a> {
    root: &'a Value,
    types: Vec<Shared>,
    /// Of each type, in the same order.
    pointers: Vec<String>,
    known: HashMap<String, usize>,
    rows_left: usize,
}

/// Where rows stand.
#[derive(Clone)]
struct At {
    depth: usize,
    path: String,
    from: Option<usize>,
}

impl At {
    fn below(&self, name: &str) -> Self {
        Self { depth: self.depth + 1, path: self.of(name), from: None }
    }

    fn of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl<'a> Describer<'a> {
    fn layout(&mut self, schema: &'a Value) -> Layout {
        self.rows_left = MOST_ROWS;
        let mut rows = Vec::new();
        self.members(schema, &At { depth: 0, path: String::new(), from: None }, DEPTH, &mut rows);
        Layout { kind: self.own_kind(schema), rules: rules(schema), rows, is_cut: self.rows_left == 0 }
    }

    /// The members of a value of `schema`: of an object its properties, of a list those of its items.
    fn members(&mut self, schema: &'a Value, at: &At, depth: usize, rows: &mut Vec<Row>) {
        let (Some(keywords), Some(deeper)) = (schema.as_object(), depth.checked_sub(1)) else { return };
        let start = rows.len();
        if let Some((pointer, target)) = self.reference(schema) {
            let from = self.shared(&pointer, target);
            self.members(target, &At { from: from.or(at.from), ..at.clone() }, deeper, rows);
        }
        for part in keywords.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.members(part, at, deeper, rows);
        }
        self.properties(keywords, at, deeper, rows);
        Self::require(schema, start, at.depth, rows);
        for items in [keywords.get("items"), keywords.get("prefixItems")].into_iter().flatten() {
            for item in items.as_array().map_or_else(|| vec![items], |items| items.iter().collect()) {
                if item.get("$ref").is_none() {
                    self.members(item, &At { path: format!("{}[]", at.path), ..at.clone() }, deeper, rows);
                }
            }
        }
        for (keyword, heading) in [("oneOf", "exactly one of these"), ("anyOf", "at least one of these")] {
            self.alternatives(keywords.get(keyword), heading, at, deeper, rows);
        }
    }

    fn properties(&mut self, keywords: &'a Map<String, Value>, at: &At, depth: usize, rows: &mut Vec<Row>) {
        let own = keywords.get("properties").and_then(Value::as_object).into_iter().flatten();
        let own = own.map(|(name, schema)| (name.clone(), schema));
        let patterns = keywords.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
        let patterns = patterns.map(|(pattern, schema)| (format!("/{pattern}/"), schema));
        let rest = keywords.get("additionalProperties").filter(|rest| rest.is_object());
        let rest = rest.map(|schema| ("any other name".to_owned(), schema));
        for (name, schema) in own.chain(patterns).chain(rest) {
            if self.rows_left == 0 {
                return;
            }
            self.rows_left -= 1;
            let field = self.field(&name, schema, at);
            // What is said again is more exact than what a base said.
            let again = rows.iter().position(
                |row| matches!(row, Row::Field(known) if known.depth == at.depth && known.path == field.path),
            );
            if let Some(again) = again {
                let end = (again + 1..rows.len()).find(|row| depth_of(&rows[*row]) <= at.depth).unwrap_or(rows.len());
                rows.drain(again..end);
            }
            rows.push(Row::Field(Box::new(field)));
            if schema.get("$ref").is_none() {
                self.members(schema, &at.below(&name), depth, rows);
            }
        }
    }

    fn field(&mut self, name: &str, schema: &'a Value, at: &At) -> Field {
        // A shared schema that is as good as inline has its words here.
        let plain = self.reference(schema).filter(|(_, target)| !is_worth_a_name(target)).map(|(_, target)| target);
        let text = |schema: Option<&Value>| {
            schema.and_then(|schema| schema["description"].as_str()).unwrap_or_default().trim().to_owned()
        };
        let mut description = text(Some(schema));
        if description.is_empty() {
            description = text(self.reference(schema).map(|(_, target)| target));
        }
        let mut all = rules(schema);
        all.extend(plain.map(rules).into_iter().flatten());
        Field {
            depth: at.depth,
            path: at.of(name),
            name: name.to_owned(),
            kind: self.kind(schema, DEPTH),
            is_required: false,
            is_deprecated: schema["deprecated"] == true,
            rules: all,
            description,
            from: at.from,
        }
    }

    /// Marks the rows since `start` that `schema` requires.
    fn require(schema: &Value, start: usize, depth: usize, rows: &mut [Row]) {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for row in rows.iter_mut().skip(start) {
            if let Row::Field(field) = row
                && field.depth == depth
                && required.contains(&field.name.as_str())
            {
                field.is_required = true;
            }
        }
    }

    /// Alternatives that have members here; those that are shared are named by the kind.
    fn alternatives(&mut self, branches: Option<&'a Value>, heading: &str, at: &At, depth: usize, rows: &mut Vec<Row>) {
        let branches: Vec<&'a Value> = branches.and_then(Value::as_array).into_iter().flatten().collect();
        let several = branches.iter().filter(|branch| branch["type"] != "null").count() > 1;
        for (number, branch) in branches.iter().enumerate() {
            let mut found = Vec::new();
            if branch.get("$ref").is_none() {
                self.members(branch, at, depth, &mut found);
            }
            // Alternatives that only require something different among what is declared already.
            let required: Vec<&str> =
                branch["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if several && found.is_empty() && !required.is_empty() {
                let text = format!("{heading} ({}): with {}", number + 1, required.join(", "));
                rows.push(Row::Heading { depth: at.depth, text });
            }
            if found.is_empty() {
                continue;
            }
            if several {
                let title = branch["title"].as_str().map_or_else(String::new, |title| format!(": {title}"));
                rows.push(Row::Heading { depth: at.depth, text: format!("{heading} ({}){title}", number + 1) });
            }
            rows.append(&mut found);
        }
    }

    /// What a value is, with references as types.
    fn kind(&mut self, schema: &'a Value, depth: usize) -> Vec<Term> {
        if let Some((pointer, target)) = self.reference(schema) {
            return match self.shared(&pointer, target) {
                Some(shared) => vec![Term::Type(shared)],
                None if depth == 0 => vec![word("...")],
                None => self.kind(target, depth - 1),
            };
        }
        self.kind_within(schema, depth)
    }

    /// As [`Self::kind`], for a type that is not to be called itself.
    fn own_kind(&mut self, schema: &'a Value) -> Vec<Term> {
        match self.reference(schema) {
            Some((pointer, target)) => self.shared(&pointer, target).map(|shared| vec![Term::Type(shared)]),
            None => None,
        }
        .unwrap_or_else(|| self.kind_within(schema, DEPTH))
    }

    fn kind_within(&mut self, schema: &'a Value, depth: usize) -> Vec<Term> {
        let Some(deeper) = depth.checked_sub(1) else { return vec![word("...")] };
        let Value::Object(keywords) = schema else {
            return vec![word(if *schema == Value::Bool(false) { "nothing" } else { "anything" })];
        };
        if let Some(value) = keywords.get("const") {
            return vec![word("always"), Term::Value(short(value))];
        }
        for (keyword, before) in [("enum", "one of"), ("x-extensible-enum", "may grow; known are")] {
            if let Some(values) = keywords.get(keyword).and_then(Value::as_array) {
                let mut terms = vec![word(before)];
                terms.extend(values.iter().take(MOST_VALUES).map(|value| Term::Value(short(value))));
                if values.len() > MOST_VALUES {
                    terms.push(word(&format!("and {} more", values.len() - MOST_VALUES)));
                }
                return terms;
            }
        }
        for combination in ["anyOf", "oneOf"] {
            let Some(branches) = keywords.get(combination).and_then(Value::as_array) else { continue };
            let is_typed = |branch: &Value| branch.get("$ref").is_some() || branch.get("type").is_some();
            if keywords.contains_key("properties") && !branches.iter().any(is_typed) {
                continue;
            }
            let mut terms: Vec<Term> = Vec::new();
            for branch in branches {
                let kind = self.kind(branch, deeper);
                // Alternatives may differ in rules only.
                let is_said = terms.split(|term| *term == word("or")).any(|said| *said == *kind);
                if !is_said {
                    terms.extend((!terms.is_empty()).then(|| word("or")));
                    terms.extend(kind);
                }
            }
            return terms;
        }
        match keywords.get("type") {
            Some(Value::String(name)) => self.named(name, keywords, deeper),
            Some(Value::Array(names)) => {
                let mut terms = Vec::new();
                for name in names.iter().filter_map(Value::as_str) {
                    terms.extend((!terms.is_empty()).then(|| word("or")));
                    terms.extend(self.named(name, keywords, deeper));
                }
                terms
            }
            _ if keywords.contains_key("properties") || keywords.contains_key("allOf") => {
                self.named("object", keywords, deeper)
            }
            _ if keywords.contains_key("items") => self.named("array", keywords, deeper),
            _ => vec![word("anything")],
        }
    }

    fn named(&mut self, name: &str, keywords: &'a Map<String, Value>, depth: usize) -> Vec<Term> {
        let single = |key: &str| keywords.get(key).filter(|items| !items.is_array());
        match (name, single("items"), keywords.get("prefixItems").or_else(|| keywords.get("items"))) {
            ("array", Some(items), None | Some(Value::Object(_) | Value::Bool(_))) => {
                let mut terms = vec![word("array of")];
                terms.extend(self.kind(items, depth));
                terms
            }
            ("array", _, Some(Value::Array(items))) => {
                let mut terms = vec![word("array of")];
                for (at, item) in items.iter().enumerate() {
                    terms.extend((at > 0).then(|| word("then")));
                    terms.extend(self.kind(item, depth));
                }
                terms
            }
            _ => vec![word(name)],
        }
    }

    /// What a schema's `$ref` leads to. References are bundled: `#` or `#/...`.
    fn reference(&self, schema: &Value) -> Option<(String, &'a Value)> {
        let pointer = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
        Some((pointer.to_owned(), self.root.pointer(pointer)?))
    }

    /// The type of a shared schema; none for one that is as good as inline.
    fn shared(&mut self, pointer: &str, target: &'a Value) -> Option<usize> {
        if let Some(known) = self.known.get(pointer) {
            return Some(*known);
        }
        if !is_worth_a_name(target) {
            return None;
        }
        let last = pointer.rsplit('/').next().unwrap_or_default();
        let title = target["title"].as_str().unwrap_or(if pointer.is_empty() { "this" } else { last }).to_owned();
        let description = target["description"].as_str().unwrap_or_default().trim().to_owned();
        let place = self.types.len();
        self.types.push(Shared { title, description, layout: Layout::default() });
        self.pointers.push(pointer.to_owned());
        self.known.insert(pointer.to_owned(), place);
        Some(place)
    }
}

fn depth_of(row: &Row) -> usize {
    match row {
        Row::Field(field) => field.depth,
        Row::Heading { depth, .. } => *depth,
    }
}

/// Whether a shared schema says more than a type with a few rules.
fn is_worth_a_name(schema: &Value) -> bool {
    const SAYS_MORE: [&str; 9] =
        ["$ref", "allOf", "anyOf", "enum", "items", "oneOf", "patternProperties", "prefixItems", "properties"];
    schema.as_object().is_some_and(|keywords| SAYS_MORE.iter().any(|keyword| keywords.contains_key(*keyword)))
}

fn word(text: &str) -> Term {
    Term::Word(text.to_owned())
}

/// A value in a line.
pub(crate) fn short(value: &Value) -> String {
    const MOST: usize = 160;
    let text = value.to_string();
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(layout: &Layout, types: &[Shared]) -> Vec<String> {
        let terms = |terms: &[Term]| -> String {
            let term = |term: &Term| match term {
                Term::Word(text) | Term::Value(text) => text.clone(),
                Term::Type(at) => format!("<{}>", types[*at].title),
            };
            terms.iter().map(term).collect::<Vec<_>>().join(" ")
        };
        let row = |row: &Row| match row {
            Row::Field(field) => {
                let rules: Vec<String> =
                    field.rules.iter().map(|rule| format!("{} {}", rule.label, rule.value)).collect();
                let required = if field.is_required { "!" } else { "" };
                format!("{}{required}: {} [{}]", field.path, terms(&field.kind), rules.join("; "))
            }
            Row::Heading { text, .. } => format!("-- {text}"),
        };
        layout.rows.iter().map(row).collect()
    }

    #[test]
    fn bases_nested_and_shared_ones_are_told_apart() {
        let schema = json!({
            "$defs": {
                "base": {"title": "Base", "properties": {"id": {"$ref": "#/$defs/id"}}, "required": ["id"]},
                "id": {"type": "string", "minLength": 1, "maxLength": 20, "description": "An id."},
                "line": {"title": "Line", "properties": {"next": {"$ref": "#/$defs/line"}}},
            },
            "type": "object",
            "allOf": [{"$ref": "#/$defs/base"}],
            "properties": {
                "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "minItems": 1},
                "to": {"anyOf": [{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}, {"type": "null"}]},
                "kind": {"enum": ["a", "b"], "default": "a"},
            },
        });
        let described = describe(&schema);
        assert_eq!(
            said(&described.root, &described.types),
            [
                "id!: string [length 1 to 20]",
                "kind: one of \"a\" \"b\" [default \"a\"]",
                "lines: array of <Line> [items at least 1]",
                "to: object or null []",
                "to.city!: string []",
            ]
        );
        let Row::Field(id) = &described.root.rows[0] else { panic!("a field") };
        assert_eq!((id.description.as_str(), id.from), ("An id.", Some(0)));
        assert_eq!(said(&described.types[1].layout, &described.types), ["next: <Line> []"]);
    }

    #[test]
    fn what_nests_without_end_ends() {
        let mut schema = json!({"type": "string"});
        for _ in 0..60 {
            schema = json!({"properties": {"a": schema, "b": {"$ref": "#"}}});
        }
        let described = describe(&schema);
        assert!(described.root.rows.len() <= 2 * DEPTH, "{}", described.root.rows.len());
        let circle = json!({"$ref": "#"});
        assert_eq!(describe(&circle).root.rows.len(), 0);
    }
}
