//! What each keyword of a sub-schema becomes. Which draft knows which keyword is decided here.

use std::{collections::HashMap, ops::RangeInclusive, sync::Arc};

use serde_json::{Map, Value};

use super::{
    Way,
    canon::Choice,
    compile::{Compiler, Place, Why},
    decimal::{Bound, Step},
    node::{ArrayRules, Branches, Condition, Contains, Node, NumberRules, ObjectRules, TextRules, Values, kind},
    pattern::Pattern,
    table::Table,
};
use crate::{Draft, Validator, formats::Format, source::escape};

const ODD: Why = "a keyword has a value that it can't have";

/// The node of one sub-schema; those inside it are numbered, and compiled later.
pub(super) fn node(compiler: &mut Compiler<'_>, place: &Place) -> Result<Node, Why> {
    let mut node = Node::new(&place.pointer);
    let schema = match compiler.schema(place) {
        Some(Value::Object(schema)) => schema,
        Some(Value::Bool(allowed)) => {
            node.kinds = if *allowed { kind::ALL } else { 0 };
            compiler.explain(place.pointer.clone(), Way::Compiled, "it is checked while the text is read");
            return Ok(node);
        }
        _ => return Err("what a reference leads to is no schema"),
    };
    let mut branches = Branches::default();
    compiler.references(place, schema, &mut branches)?;
    let alone = compiler.draft.ref_hides_siblings() && schema.contains_key("$ref");
    if !alone {
        node.kinds = kinds(schema)?;
        node.values = values(compiler, schema)?;
        node.text = text(compiler, place, schema)?;
        node.number = number(compiler, schema)?;
        node.array = array(compiler, place, schema)?;
        node.object = object(compiler, place, schema)?;
        same_value(compiler, place, schema, &mut branches)?;
    }
    match branches.only_reference().filter(|_| node.is_any()) {
        Some(target) => node.alias = Some(target),
        None if branches.is_empty() => {}
        None => node.branches = Some(Box::new(branches)),
    }
    compiler.explain(place.pointer.clone(), Way::Compiled, "it is checked while the text is read");
    Ok(node)
}

fn kinds(schema: &Map<String, Value>) -> Result<u8, Why> {
    let one = |name: &Value| {
        Ok(match name.as_str() {
            Some("null") => kind::NULL,
            Some("boolean") => kind::BOOLEAN,
            Some("integer") => kind::INTEGER,
            Some("number") => kind::NUMBER,
            Some("string") => kind::STRING,
            Some("array") => kind::ARRAY,
            Some("object") => kind::OBJECT,
            _ => return Err(ODD),
        })
    };
    match schema.get("type") {
        None => Ok(kind::ALL),
        Some(Value::Array(names)) => names.iter().try_fold(0, |all, name| Ok(all | one(name)?)),
        Some(name) => one(name),
    }
}

fn values(compiler: &Compiler<'_>, schema: &Map<String, Value>) -> Result<Option<Arc<Values>>, Why> {
    let one_of = match schema.get("enum") {
        None => None,
        Some(Value::Array(values)) => Some(Choice::of(values.iter())),
        Some(_) => return Err(ODD),
    };
    let constant = schema.get("const").filter(|_| compiler.draft >= Draft::Draft6);
    let constant = constant.map(|value| Choice::of(std::iter::once(value)));
    let any = one_of.is_some() || constant.is_some();
    Ok(any.then(|| Arc::new(Values { one_of, constant })))
}

/// A keyword that counts.
fn count(schema: &Map<String, Value>, keyword: &str) -> Result<Option<u64>, Why> {
    schema.get(keyword).map(|value| whole(value).ok_or(ODD)).transpose()
}

/// A number that counts; `2.0` is one as well.
pub(super) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let count = value.as_f64().filter(|count| *count >= 0.0 && count.fract() == 0.0)?;
        // What is larger than any text is long may be any such number.
        Some(format!("{count:.0}").parse().unwrap_or(u64::MAX))
    })
}

fn text(
    compiler: &mut Compiler<'_>,
    place: &Place,
    schema: &Map<String, Value>,
) -> Result<Option<Arc<TextRules>>, Why> {
    let (least, most) = (count(schema, "minLength")?, count(schema, "maxLength")?);
    let pattern = match schema.get("pattern") {
        None => None,
        Some(Value::String(text)) => Some(pattern(compiler, &place.pointer, text)?),
        Some(_) => return Err(ODD),
    };
    let mut content = None;
    let drafts = [Draft::Draft6, Draft::Draft7];
    let keywords = ["contentMediaType", "contentEncoding"];
    if drafts.contains(&compiler.draft) && keywords.iter().any(|keyword| schema.contains_key(*keyword)) {
        let mut alone = Map::new();
        alone.insert("$schema".to_owned(), Value::from(compiler.draft.uri()));
        for keyword in keywords {
            alone.extend(schema.get(keyword).map(|value| (keyword.to_owned(), value.clone())));
        }
        content = Some(Validator::new(&Value::Object(alone)).map_err(|_| ODD)?);
        compiler.explain(
            place.pointer.clone(),
            Way::Library,
            "`contentEncoding` and `contentMediaType` decode the text",
        );
    }
    let format = Format::of(compiler.formats, compiler.draft, schema);
    let any = least.is_some() || most.is_some() || pattern.is_some() || content.is_some() || format.is_some();
    Ok(any.then(|| Arc::new(TextRules { least: least.unwrap_or(0), most, pattern, content, format })))
}

fn pattern(compiler: &mut Compiler<'_>, pointer: &str, text: &str) -> Result<Pattern, Why> {
    let pattern = Pattern::new(text).ok_or("a pattern can't be run by itself")?;
    if pattern.is_library() {
        compiler.explain(
            pointer.to_owned(),
            Way::Library,
            "a pattern that looks around or back does not run in linear time",
        );
    }
    Ok(pattern)
}

/// A number of the schema with all the digits that it has.
fn digits(value: &Value) -> Result<String, Why> {
    if value.is_number() { Ok(value.to_string()) } else { Err(ODD) }
}

fn number(compiler: &Compiler<'_>, schema: &Map<String, Value>) -> Result<Option<Arc<NumberRules>>, Why> {
    let bound =
        |keyword: &str| schema.get(keyword).map(|value| Ok::<_, Why>(Bound::parse(&digits(value)?))).transpose();
    let mut rules = NumberRules { minimum: bound("minimum")?, maximum: bound("maximum")?, ..NumberRules::default() };
    if compiler.draft == Draft::Draft4 {
        // There the bound is in the one keyword, and whether it counts itself in the other one.
        if schema.get("exclusiveMinimum") == Some(&Value::Bool(true)) {
            rules.more_than = rules.minimum.take();
        }
        if schema.get("exclusiveMaximum") == Some(&Value::Bool(true)) {
            rules.less_than = rules.maximum.take();
        }
    } else {
        rules.more_than = bound("exclusiveMinimum")?;
        rules.less_than = bound("exclusiveMaximum")?;
    }
    if let Some(value) = schema.get("multipleOf") {
        rules.step = Some(Step::parse(&digits(value)?).ok_or("`multipleOf` has more digits than fit 64 bits")?);
    }
    let any = rules.minimum.is_some()
        || rules.maximum.is_some()
        || rules.more_than.is_some()
        || rules.less_than.is_some()
        || rules.step.is_some();
    rules.sure = sure(&rules);
    Ok(any.then(|| Arc::new(rules)))
}

/// The integers between the bounds, as far as those have few digits.
fn sure(rules: &NumberRules) -> Option<RangeInclusive<i64>> {
    if rules.step.is_some() {
        return None;
    }
    let mut range = (i64::MIN, i64::MAX);
    if let Some(bound) = &rules.minimum {
        range.0 = bound.neighbours()?.1;
    }
    if let Some(bound) = &rules.more_than {
        range.0 = range.0.max(bound.neighbours()?.0 + 1);
    }
    if let Some(bound) = &rules.maximum {
        range.1 = bound.neighbours()?.0;
    }
    if let Some(bound) = &rules.less_than {
        range.1 = range.1.min(bound.neighbours()?.1 - 1);
    }
    Some(range.0..=range.1)
}

fn array(
    compiler: &mut Compiler<'_>,
    place: &Place,
    schema: &Map<String, Value>,
) -> Result<Option<Arc<ArrayRules>>, Why> {
    let (least, most) = (count(schema, "minItems")?, count(schema, "maxItems")?);
    let mut rules = ArrayRules { least: least.unwrap_or(0), most, ..ArrayRules::default() };
    rules.unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
    let list = if compiler.draft == Draft::Draft202012 { "prefixItems" } else { "items" };
    match schema.get(list) {
        Some(Value::Array(items)) => {
            for i in 0..items.len() {
                rules.prefix.push(compiler.inner(place, &format!("/{list}/{i}"))?);
            }
            let rest = if compiler.draft == Draft::Draft202012 { "items" } else { "additionalItems" };
            rules.rest = compiler.optional(place, schema, rest)?;
        }
        _ => rules.rest = compiler.optional(place, schema, "items")?,
    }
    if compiler.draft >= Draft::Draft6
        && let Some(node) = compiler.optional(place, schema, "contains")?
    {
        let counted = compiler.draft >= Draft::Draft201909;
        let (least, most) =
            if counted { (count(schema, "minContains")?, count(schema, "maxContains")?) } else { (None, None) };
        let evaluates = compiler.draft >= Draft::Draft202012;
        rules.contains = Some(Contains { node, least: least.unwrap_or(1), most, evaluates });
    }
    if compiler.draft >= Draft::Draft201909 {
        rules.unevaluated = compiler.optional(place, schema, "unevaluatedItems")?;
    }
    let any = least.is_some()
        || most.is_some()
        || rules.unique
        || !rules.prefix.is_empty()
        || rules.rest.is_some()
        || rules.contains.is_some()
        || rules.unevaluated.is_some();
    Ok(any.then(|| Arc::new(rules)))
}

/// The names that rules speak of, each once.
#[derive(Default)]
struct Slots {
    names: Vec<Box<str>>,
    known: HashMap<Box<str>, usize>,
}

impl Slots {
    fn of(&mut self, name: &str) -> usize {
        *self.known.entry(name.into()).or_insert_with(|| {
            self.names.push(name.into());
            self.names.len() - 1
        })
    }
}

fn object(
    compiler: &mut Compiler<'_>,
    place: &Place,
    schema: &Map<String, Value>,
) -> Result<Option<Arc<ObjectRules>>, Why> {
    let members = |keyword: &str| match schema.get(keyword) {
        Some(Value::Object(members)) => Ok(Some(members)),
        Some(_) => Err(ODD),
        None => Ok(None),
    };
    let (least, most) = (count(schema, "minProperties")?, count(schema, "maxProperties")?);
    let mut rules = ObjectRules { least: least.unwrap_or(0), most, ..ObjectRules::default() };
    let mut slots = Slots::default();
    let mut properties = Vec::new();
    for name in members("properties")?.into_iter().flat_map(Map::keys) {
        properties.push((slots.of(name), compiler.inner(place, &format!("/properties/{}", escape(name)))?));
    }
    let required = match schema.get("required") {
        None => Vec::new(),
        Some(names) => listed(names, &mut slots)?,
    };
    for name in members("patternProperties")?.into_iter().flat_map(Map::keys) {
        let id = compiler.inner(place, &format!("/patternProperties/{}", escape(name)))?;
        rules.patterns.push((pattern(compiler, &place.pointer, name)?, id));
    }
    rules.additional = compiler.optional(place, schema, "additionalProperties")?;
    if compiler.draft >= Draft::Draft6 {
        rules.names = compiler.optional(place, schema, "propertyNames")?;
    }
    let modern = compiler.draft >= Draft::Draft201909;
    for keyword in ["dependencies", "dependentRequired", "dependentSchemas"] {
        if !modern && keyword != "dependencies" {
            continue;
        }
        for (name, wanted) in members(keyword)?.into_iter().flatten() {
            let slot = slots.of(name);
            if wanted.is_array() {
                rules.dependent_names.push((slot, listed(wanted, &mut slots)?));
            } else {
                let id = compiler.inner(place, &format!("/{keyword}/{}", escape(name)))?;
                rules.dependent_schemas.push((slot, id, keyword == "dependentSchemas"));
            }
        }
    }
    if modern {
        rules.unevaluated = compiler.optional(place, schema, "unevaluatedProperties")?;
    }
    rules.properties = vec![None; slots.names.len()];
    for (slot, id) in properties {
        if let Some(property) = rules.properties.get_mut(slot) {
            *property = Some(id);
        }
    }
    rules.required = vec![0; slots.names.len().div_ceil(64)];
    for slot in required {
        if let Some(word) = rules.required.get_mut(slot / 64) {
            *word |= 1 << (slot % 64);
        }
    }
    let any = !slots.names.is_empty()
        || least.is_some()
        || most.is_some()
        || !rules.patterns.is_empty()
        || rules.additional.is_some()
        || rules.names.is_some()
        || rules.unevaluated.is_some();
    rules.table = Table::new(slots.names);
    Ok(any.then(|| Arc::new(rules)))
}

/// The slots of a list of names.
fn listed(names: &Value, slots: &mut Slots) -> Result<Vec<usize>, Why> {
    names.as_array().ok_or(ODD)?.iter().map(|name| Ok(slots.of(name.as_str().ok_or(ODD)?))).collect()
}

fn same_value(
    compiler: &mut Compiler<'_>,
    place: &Place,
    schema: &Map<String, Value>,
    branches: &mut Branches,
) -> Result<(), Why> {
    let mut list = |keyword: &str| match schema.get(keyword) {
        None => Ok(Vec::new()),
        Some(Value::Array(all)) => {
            (0..all.len()).map(|i| compiler.inner(place, &format!("/{keyword}/{i}"))).collect::<Result<Vec<_>, _>>()
        }
        Some(_) => Err(ODD),
    };
    branches.all_of = list("allOf")?;
    branches.any_of = list("anyOf")?;
    branches.one_of = list("oneOf")?;
    branches.not = compiler.optional(place, schema, "not")?;
    if compiler.draft >= Draft::Draft7
        && let Some(test) = compiler.optional(place, schema, "if")?
    {
        let then = compiler.optional(place, schema, "then")?;
        let otherwise = compiler.optional(place, schema, "else")?;
        branches.condition = Some(Condition { test, then, otherwise });
    }
    Ok(())
}
