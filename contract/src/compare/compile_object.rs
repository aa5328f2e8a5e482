//! The keywords of objects: each becomes a rule on all properties of some names, or a property that must exist.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    compile::Schema,
    exact::{Exact, Kind},
    formula::{FALSE, Id, Node, Rule, TRUE, bit},
    solve::Solver,
};
use crate::Draft;

impl<'a> Solver<'a> {
    pub(super) fn object_rules(&mut self, schema: &Schema<'a>, parts: &mut Vec<Id>) {
        if let Some(Value::Object(properties)) = schema.get("properties") {
            for name in properties.keys() {
                let value = self.part(schema, &["properties", name]);
                let names = self.arena.name(name);
                parts.push(self.arena.rule(Rule::EachMember { names, value }));
            }
        }
        if let Some(Value::Object(patterns)) = schema.get("patternProperties") {
            for pattern in patterns.keys() {
                let value = self.part(schema, &["patternProperties", pattern]);
                let names = self.arena.matching(pattern);
                parts.push(self.arena.rule(Rule::EachMember { names, value }));
            }
        }
        if schema.get("additionalProperties").is_some() {
            let value = self.part(schema, &["additionalProperties"]);
            let declared = self.declared(schema);
            let names = self.arena.not(declared);
            parts.push(self.arena.rule(Rule::EachMember { names, value }));
        }
        if schema.since(Draft::Draft6, "propertyNames").is_some() {
            let allowed = self.as_written(schema, "/propertyNames");
            let names = self.arena.not(allowed);
            parts.push(self.arena.rule(Rule::EachMember { names, value: FALSE }));
        }
        if let Some(value) = schema.get("required") {
            match value {
                Value::Array(names) => {
                    for name in names.iter().filter_map(Value::as_str) {
                        parts.push(self.arena.has(name));
                    }
                }
                // Draft 3 had a flag.
                _ => parts.push(self.odd(schema, "required")),
            }
        }
        for keyword in ["minProperties", "maxProperties"] {
            let part = match schema.count(keyword) {
                None => continue,
                Some(Ok(count)) if keyword == "minProperties" => self.arena.rule(Rule::MinMembers(count)),
                Some(Ok(count)) => self.arena.rule(Rule::MaxMembers(count)),
                Some(Err(())) => self.odd(schema, keyword),
            };
            parts.push(part);
        }
        self.dependencies(schema, parts);
        if schema.since(Draft::Draft201909, "unevaluatedProperties").is_some() {
            let value = self.part(schema, &["unevaluatedProperties"]);
            let part = self.unevaluated_members(schema, value);
            parts.push(part);
        }
    }

    /// The names that `properties` and `patternProperties` of this schema speak of.
    pub(super) fn declared(&mut self, schema: &Schema<'a>) -> Id {
        let mut names = Vec::new();
        if let Some(Value::Object(properties)) = schema.get("properties") {
            let spelled: BTreeSet<Exact> = properties.keys().map(|name| Exact::Text(name.clone())).collect();
            names.push(self.arena.one_of(spelled));
        }
        if let Some(Value::Object(patterns)) = schema.get("patternProperties") {
            names.extend(patterns.keys().map(|pattern| self.arena.matching(pattern)));
        }
        self.arena.any(names)
    }

    fn dependencies(&mut self, schema: &Schema<'a>, parts: &mut Vec<Id>) {
        for (keyword, since) in [
            ("dependencies", Draft::Draft4),
            ("dependentRequired", Draft::Draft201909),
            ("dependentSchemas", Draft::Draft201909),
        ] {
            let Some(Value::Object(dependencies)) = schema.since(since, keyword) else { continue };
            for (name, value) in dependencies {
                let needed = match value {
                    Value::Array(names) => {
                        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                        let names: Vec<Id> = names.into_iter().map(|name| self.arena.has(name)).collect();
                        self.arena.all(names)
                    }
                    Value::String(name) => self.arena.has(name),
                    _ => self.same(schema, &[keyword, name]),
                };
                if needed == TRUE {
                    continue;
                }
                let absent = self.without(name);
                parts.push(self.arena.any([absent, needed]));
            }
        }
    }

    /// No object, or one without that property.
    pub(super) fn without(&mut self, name: &str) -> Id {
        let names = self.arena.name(name);
        self.arena.rule(Rule::EachMember { names, value: FALSE })
    }

    /// An object that has the property.
    pub(super) fn object_with(&mut self, name: &str) -> Id {
        let has = self.arena.has(name);
        let object = self.arena.intern(Node::Kinds(bit(Kind::Object)));
        self.arena.all([has, object])
    }
}
