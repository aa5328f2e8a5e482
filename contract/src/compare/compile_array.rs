//! The keywords of arrays: each becomes a rule on the items between two positions, or a number of items that must exist.

use serde_json::Value;

use super::{
    compile::Schema,
    formula::{Id, Rule},
    solve::Solver,
};
use crate::Draft;

impl<'a> Solver<'a> {
    pub(super) fn array_rules(&mut self, schema: &Schema<'a>, parts: &mut Vec<Id>) {
        let (tuple, rest) = tuple_of(schema);
        let mut length = 0;
        if let Some((keyword, count)) = tuple {
            length = count;
            for at in 0..count {
                let value = self.part(schema, &[keyword, &at.to_string()]);
                parts.push(self.each_item(at, Some(at + 1), value));
            }
        }
        if let Some(keyword) = rest {
            let value = self.part(schema, &[keyword]);
            parts.push(self.each_item(length, None, value));
        }
        for keyword in ["minItems", "maxItems"] {
            let part = match schema.count(keyword) {
                None => continue,
                Some(Ok(count)) if keyword == "minItems" => self.arena.rule(Rule::MinItems(count)),
                Some(Ok(count)) => self.arena.rule(Rule::MaxItems(count)),
                Some(Err(())) => self.odd(schema, keyword),
            };
            parts.push(part);
        }
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            parts.push(self.arena.rule(Rule::Unique(true)));
        }
        if schema.since(Draft::Draft6, "contains").is_some() {
            self.contains(schema, parts);
        }
        if schema.since(Draft::Draft201909, "unevaluatedItems").is_some() {
            let value = self.part(schema, &["unevaluatedItems"]);
            let part = self.unevaluated_items(schema, value);
            parts.push(part);
        }
    }

    fn each_item(&mut self, from: usize, to: Option<usize>, value: Id) -> Id {
        self.arena.rule(Rule::EachItem { from: from as u64, to: to.map(|to| to as u64), value })
    }

    fn contains(&mut self, schema: &Schema<'a>, parts: &mut Vec<Id>) {
        let value = self.as_written(schema, "/contains");
        let bound = |keyword: &str| schema.since(Draft::Draft201909, keyword).and_then(|_| schema.count(keyword));
        for (keyword, count) in [("minContains", bound("minContains")), ("maxContains", bound("maxContains"))] {
            let part = match (keyword, count) {
                (_, Some(Err(()))) => self.odd(schema, keyword),
                ("minContains", None | Some(Ok(1))) => self.arena.rule(Rule::SomeItem { from: 0, to: None, value }),
                ("minContains", Some(Ok(count))) => self.arena.rule(Rule::Many { count, value }),
                (_, Some(Ok(0))) => {
                    let opposite = self.arena.not(value);
                    self.arena.rule(Rule::EachItem { from: 0, to: None, value: opposite })
                }
                (_, Some(Ok(count))) => self.arena.rule(Rule::Few { count, value }),
                (_, None) => continue,
            };
            parts.push(part);
        }
    }
}

/// The keyword that holds schemas by position and how many, and the one for all items behind them.
pub(super) fn tuple_of(schema: &Schema<'_>) -> (Option<(&'static str, usize)>, Option<&'static str>) {
    let items = schema.get("items");
    if schema.draft >= Draft::Draft202012 {
        let prefix = schema.get("prefixItems").and_then(Value::as_array);
        return (prefix.map(|prefix| ("prefixItems", prefix.len())), items.map(|_| "items"));
    }
    match items {
        Some(Value::Array(items)) => {
            let rest = schema.get("additionalItems").map(|_| "additionalItems");
            (Some(("items", items.len())), rest)
        }
        Some(_) => (None, Some("items")),
        None => (None, None),
    }
}
