//! What a telling run notes: each broken rule, where, and what the schema wants there. Never anything of the value.

use serde_json::{Map, Value};

use super::{
    bits::Bits,
    canon, keywords,
    node::{Id, Node, ObjectRules},
    run::Run,
    scan::Span,
};
use crate::{Draft, Validator, Violation, source::escape, words};

/// The most violations that are told.
const MAX_FAULTS: usize = 100;
/// How deep alternatives inside alternatives are looked into.
const MAX_NESTING: usize = 3;
/// How much may be looked into to tell what alternatives want.
const MAX_LOOKS: usize = 20_000;

/// A part of the way to a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Name(Span),
    Index(usize),
}

/// A broken rule.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pointer: String,
    keyword: String,
    want: Want,
    /// Faults are told by this, as the library does it.
    rank: u8,
}

#[derive(Clone, Debug)]
enum Want {
    Words(String),
    /// What is wrong with each of so many alternatives, or with none that was looked into.
    Either(Vec<Vec<Fault>>, usize),
    /// What is wrong with the name of a property.
    Name(Box<Fault>),
}

/// What was noted so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    faults: Vec<Fault>,
    pub(super) path: Vec<Step>,
    nesting: usize,
    looks: usize,
}

impl Told {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.faults.len()
    }

    /// Sorts what one schema said, by keyword.
    pub(super) fn order(&mut self, from: usize) {
        if let Some(faults) = self.faults.get_mut(from..) {
            faults.sort_by_key(|fault| fault.rank);
        }
    }

    /// Takes out what was noted, so that what follows can be told from it.
    pub(super) fn take(&mut self) -> Vec<Fault> {
        self.nesting += 1;
        std::mem::take(&mut self.faults)
    }

    /// Puts it back, and gives what was noted since.
    pub(super) fn restore(&mut self, before: Vec<Fault>) -> Vec<Fault> {
        self.nesting -= 1;
        std::mem::replace(&mut self.faults, before)
    }
}

impl<'t, const TELL: bool> Run<'t, TELL> {
    /// All that was noted, in words.
    pub(super) fn violations(&self) -> Vec<Violation> {
        let told = self.told.faults.iter();
        let mut violations: Vec<Violation> =
            told.map(|fault| Violation::new(&fault.pointer, &fault.keyword, fault.spell(&fault.pointer, 0))).collect();
        violations.sort();
        violations.dedup();
        violations
    }

    /// A rule is broken: the fast run ends here, by nothing; the telling one goes on, until it has told enough.
    #[inline]
    pub(super) fn fail(&mut self, node: &'t Node, keyword: &'static str) -> Option<()> {
        if !TELL {
            return None;
        }
        let schema = self.program.schema.pointer(&node.pointer).and_then(Value::as_object);
        let words = wanted(schema.unwrap_or(&Map::new()), keyword, self.program.draft);
        self.note(keyword, keyword, Want::Words(words))
    }

    fn note(&mut self, keyword: &str, by: &str, want: Want) -> Option<()> {
        let pointer = self.pointer();
        self.told.faults.push(Fault { pointer, keyword: keyword.to_owned(), want, rank: rank(by) });
        (self.told.nesting > 0 || self.told.faults.len() < MAX_FAULTS).then_some(())
    }

    fn pointer(&self) -> String {
        self.told.path.iter().fold(String::new(), |pointer, step| match step {
            Step::Name(span) => format!("{pointer}/{}", escape(&canon::plain(self.text, *span))),
            Step::Index(index) => format!("{pointer}/{index}"),
        })
    }

    /// What is noted meanwhile is told where `keyword` is.
    #[inline]
    pub(super) fn ranked<T>(&mut self, keyword: &str, act: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let from = self.told.len();
        let result = act(self);
        if TELL {
            let rank = rank(keyword);
            self.told.faults.iter_mut().skip(from).for_each(|fault| fault.rank = rank);
        }
        result
    }

    /// Whether the schema has just `false` there.
    pub(super) fn is_false(&self, node: &Node, keyword: &str) -> bool {
        let schema = self.program.schema.pointer(&node.pointer);
        schema.and_then(|schema| schema.get(keyword)) == Some(&Value::Bool(false))
    }

    /// None of the alternatives passes.
    pub(super) fn fail_of(
        &mut self,
        keyword: &'static str,
        alternatives: &[Id],
        at: usize,
        depth: usize,
    ) -> Option<()> {
        if !TELL {
            return None;
        }
        let mut context = Vec::new();
        for id in alternatives {
            if self.told.nesting >= MAX_NESTING || self.told.looks >= MAX_LOOKS {
                context.clear();
                break;
            }
            self.told.looks += 1;
            let before = self.told.take();
            let _ = self.eval(*id, at, depth, None);
            context.push(self.told.restore(before));
        }
        self.note(keyword, keyword, Want::Either(context, alternatives.len()))
    }

    /// Names are missing: of the required ones, or of those that another one wants.
    pub(super) fn fail_of_names(
        &mut self,
        rules: &'t ObjectRules,
        seen: &Bits,
        wanted: Option<&[usize]>,
    ) -> Option<()> {
        if !TELL {
            return None;
        }
        let required = |slot: usize| match wanted {
            Some(wanted) => wanted.contains(&slot),
            None => rules.required.get(slot / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1),
        };
        let by = if wanted.is_some() { "dependentRequired" } else { "required" };
        let missing = (0..rules.table.len()).filter(|slot| required(*slot) && !seen.has(*slot));
        let missing: Vec<String> = missing.filter_map(|slot| rules.table.name(slot)).map(words::quoted).collect();
        missing.into_iter().try_for_each(|name| self.note("required", by, Want::Words(format!("the property {name}"))))
    }

    /// The name of a property is wrong.
    pub(super) fn fail_of_name(&mut self, fault: Fault) -> Option<()> {
        self.note("propertyNames", "propertyNames", Want::Name(Box::new(fault)))
    }

    /// The library refuses the value.
    pub(super) fn fail_as_said(&mut self, validator: &Validator, value: &Value) -> Option<()> {
        if !TELL {
            return None;
        }
        for violation in validator.validate(value).err().into_iter().flatten() {
            let pointer = format!("{}{}", self.pointer(), violation.pointer);
            self.note(&violation.keyword, &violation.keyword, Want::Words(violation.expected))?;
            if let Some(noted) = self.told.faults.last_mut() {
                noted.pointer = pointer;
            }
        }
        Some(())
    }
}

impl Fault {
    /// `origin` is the place that the words are read at.
    fn spell(&self, origin: &str, nesting: usize) -> String {
        match &self.want {
            Want::Words(words) => words.clone(),
            Want::Name(fault) => format!("property names that are {}", fault.spell(origin, nesting + 1)),
            Want::Either(context, count) => self.spell_alternatives(context, *count, origin, nesting),
        }
    }

    /// As for the violations of the library: alternatives that took the value for what they describe come first.
    fn spell_alternatives(&self, context: &[Vec<Fault>], count: usize, origin: &str, nesting: usize) -> String {
        let short = || format!("a value that fits one of {count} alternatives");
        if nesting >= MAX_NESTING {
            return self.placed(origin, short());
        }
        let about_kind = |fault: &Fault| {
            fault.pointer == self.pointer && ["type", "enum", "const", "false"].contains(&fault.keyword.as_str())
        };
        let nearer: Vec<&Vec<Fault>> =
            context.iter().filter(|branch| !branch.is_empty() && !branch.iter().any(about_kind)).collect();
        let all: Vec<&Vec<Fault>> = if nearer.is_empty() { context.iter().collect() } else { nearer };
        let words = all.iter().map(|branch| {
            let wants = branch.iter().take(3).map(|fault| {
                let words = fault.spell(origin, nesting + 1);
                if matches!(fault.want, Want::Either(..)) { words } else { fault.placed(origin, words) }
            });
            wants.collect::<Vec<_>>().join(" and ")
        });
        let words: Vec<String> = words.filter(|words| !words.is_empty()).collect();
        if words.is_empty() { short() } else { words::either(words.into_iter()) }
    }

    /// The words, and where they are meant when that is not `origin`.
    fn placed(&self, origin: &str, words: String) -> String {
        match self.pointer.strip_prefix(origin) {
            Some("") | None => words,
            Some(below) => format!("{words} at {below}"),
        }
    }
}

/// Cheap rules are told before those that look into the value.
fn rank(keyword: &str) -> u8 {
    const ORDER: [&str; 41] = [
        "type",
        "const",
        "enum",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "required",
        "dependentRequired",
        "pattern",
        "format",
        "contentEncoding",
        "contentMediaType",
        "uniqueItems",
        "properties",
        "patternProperties",
        "additionalProperties",
        "propertyNames",
        "items",
        "prefixItems",
        "additionalItems",
        "contains",
        "dependencies",
        "dependentSchemas",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "unevaluatedProperties",
        "unevaluatedItems",
        "$ref",
        "$recursiveRef",
        "$dynamicRef",
    ];
    let at = ORDER.iter().position(|known| *known == keyword).unwrap_or(ORDER.len());
    u8::try_from(at).unwrap_or(u8::MAX)
}

/// What a schema wants by one of its keywords.
fn wanted(schema: &Map<String, Value>, keyword: &str, draft: Draft) -> String {
    let value = |keyword: &str| schema.get(keyword).unwrap_or(&Value::Null);
    // In draft 4 the bound stands in the keyword without `exclusive`.
    let bound = |keyword: &str, inclusive: &str| match value(keyword) {
        Value::Bool(_) if draft == Draft::Draft4 => value(inclusive).to_string(),
        bound => bound.to_string(),
    };
    let count = |word: &str| {
        let count = keywords::whole(value(keyword)).unwrap_or(0);
        let word =
            if word == "property" { words::plural_property(count).to_owned() } else { words::plural(count, word) };
        format!("{count} {word}")
    };
    match keyword {
        "false" => "no value here".to_owned(),
        "type" => match value(keyword) {
            Value::Array(names) => {
                let order = ["null", "boolean", "integer", "number", "string", "array", "object"];
                let named = order.iter().filter(|name| names.iter().any(|known| known == *name));
                words::either(named.map(|name| words::article(name).to_owned()))
            }
            name => words::article(name.as_str().unwrap_or_default()).to_owned(),
        },
        "enum" => words::one_of(value(keyword).as_array().map_or(&[], Vec::as_slice)),
        "const" => words::cut(value(keyword).to_string()),
        "minimum" => format!("at least {}", value(keyword)),
        "maximum" => format!("at most {}", value(keyword)),
        "exclusiveMinimum" => format!("more than {}", bound(keyword, "minimum")),
        "exclusiveMaximum" => format!("less than {}", bound(keyword, "maximum")),
        "multipleOf" => format!("a multiple of {}", value(keyword)),
        "minLength" => format!("at least {}", count("character")),
        "maxLength" => format!("at most {}", count("character")),
        "minItems" => format!("at least {}", count("item")),
        "maxItems" => format!("at most {}", count("item")),
        "minProperties" => format!("at least {}", count("property")),
        "maxProperties" => format!("at most {}", count("property")),
        "pattern" => {
            format!("text that matches {}", words::cut(format!("{:?}", value(keyword).as_str().unwrap_or_default())))
        }
        "format" => words::of_format(value(keyword).as_str().unwrap_or_default()),
        "uniqueItems" => "no item twice".to_owned(),
        "additionalProperties" => words::no_others(schema),
        "unevaluatedProperties" => "no properties other than the declared ones".to_owned(),
        "unevaluatedItems" => "no items beyond the declared ones".to_owned(),
        "additionalItems" => {
            let limit = value("items").as_array().map_or(0, Vec::len);
            format!("at most {limit} {}", words::plural(limit as u64, "item"))
        }
        "contains" => words::contained(schema),
        "not" => "anything but what `not` describes".to_owned(),
        "oneOf" => {
            let count = value(keyword).as_array().map_or(0, Vec::len);
            format!("a value that fits exactly one of {count} alternatives, not several")
        }
        _ => "a value that the schema allows".to_owned(),
    }
}
