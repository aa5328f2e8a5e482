//! Whether one value keeps a formula: what enums and constants are decided by, and every value that was built.

use std::collections::BTreeSet;

use num_rational::BigRational;

use super::{
    exact::{Exact, is_multiple},
    formula::{Id, Node, Rule, bit},
    solve::Solver,
};

/// The deepest formula that is looked into for one value.
const MAX_DEPTH: usize = 400;

impl Solver<'_> {
    /// None where something is not understood, or the work was too much.
    pub(super) fn holds(&mut self, id: Id, value: &Exact) -> Option<bool> {
        self.holds_at(id, value, 0)
    }

    fn holds_at(&mut self, id: Id, value: &Exact, depth: usize) -> Option<bool> {
        if depth > MAX_DEPTH || !self.step(1) {
            return None;
        }
        match self.arena.node(id).clone() {
            Node::True => Some(true),
            Node::False => Some(false),
            Node::All(parts) => self.every(&parts, value, true, depth),
            Node::Any(parts) => self.every(&parts, value, false, depth),
            Node::Rule { rule, others } => {
                if rule.kind() == value.kind() {
                    self.keeps(&rule, value, depth)
                } else {
                    Some(others)
                }
            }
            Node::Kinds(mask) => Some(mask & bit(value.kind()) != 0),
            Node::OneOf(values) => Some(values.contains(value)),
            Node::NoneOf(values) => Some(!values.contains(value)),
            // Which texts a format takes is not known; whether it takes this one is.
            Node::Opaque { key, holds } => match (self.formats.get(&key), value) {
                (Some(format), Exact::Text(text)) => Some(format.allows(text) == holds),
                _ => None,
            },
            Node::Later { .. } => {
                let resolved = self.resolve(id);
                self.holds_at(resolved, value, depth + 1)
            }
        }
    }

    /// All of the parts, or any of them.
    fn every(&mut self, parts: &[Id], value: &Exact, all: bool, depth: usize) -> Option<bool> {
        let mut verdict = Some(all);
        for part in parts {
            match self.holds_at(*part, value, depth + 1) {
                None => verdict = None,
                Some(holds) if holds != all => return Some(!all),
                Some(_) => {}
            }
        }
        verdict
    }

    fn keeps(&mut self, rule: &Rule, value: &Exact, depth: usize) -> Option<bool> {
        match value {
            Exact::Number(quantity) => {
                let exact = &quantity.exact;
                Some(number_keeps(rule, exact, exact.is_integer() && !quantity.dotted))
            }
            Exact::Text(text) => {
                let length = || text.chars().count() as u64;
                match rule {
                    Rule::Longer(min) => Some(length() >= *min),
                    Rule::Shorter(max) => Some(length() <= *max),
                    Rule::Match { pattern, holds } => Some(self.pattern(pattern)?.is_match(text) == *holds),
                    _ => None,
                }
            }
            Exact::Array(items) => self.array_keeps(rule, items, depth),
            Exact::Object(members) => match rule {
                Rule::MinMembers(min) => Some(members.len() as u64 >= *min),
                Rule::MaxMembers(max) => Some(members.len() as u64 <= *max),
                Rule::EachMember { names, value } | Rule::SomeMember { names, value } => {
                    let each = matches!(rule, Rule::EachMember { .. });
                    let single = self.arena.single_name(*names).map(|name| members.get(name));
                    if let Some(member) = single {
                        return member.map_or(Some(each), |member| self.holds_at(*value, member, depth + 1));
                    }
                    let mut verdict = Some(each);
                    for (name, member) in members {
                        let named = self.holds_at(*names, &Exact::Text(name.clone()), depth + 1);
                        if named == Some(false) {
                            continue;
                        }
                        match (named, self.holds_at(*value, member, depth + 1)) {
                            (_, Some(holds)) if holds == each => {}
                            (Some(true), Some(_)) => return Some(!each),
                            _ => verdict = None,
                        }
                    }
                    verdict
                }
                _ => None,
            },
            Exact::Null | Exact::Bool(_) => None,
        }
    }

    fn array_keeps(&mut self, rule: &Rule, items: &[Exact], depth: usize) -> Option<bool> {
        let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(items.len());
        match rule {
            Rule::MinItems(min) => Some(items.len() as u64 >= *min),
            Rule::MaxItems(max) => Some(items.len() as u64 <= *max),
            Rule::Unique(holds) => Some((items.iter().collect::<BTreeSet<_>>().len() == items.len()) == *holds),
            Rule::EachItem { from, to, value } | Rule::SomeItem { from, to, value } => {
                let each = matches!(rule, Rule::EachItem { .. });
                let range = items.get(index(*from)..index(to.unwrap_or(u64::MAX))).unwrap_or_default();
                let mut verdict = Some(each);
                for item in range {
                    match self.holds_at(*value, item, depth + 1) {
                        None => verdict = None,
                        Some(holds) if holds != each => return Some(!each),
                        Some(_) => {}
                    }
                }
                verdict
            }
            Rule::Many { count, value } | Rule::Few { count, value } => {
                let (mut sure, mut possible) = (0, 0);
                for item in items {
                    let holds = self.holds_at(*value, item, depth + 1);
                    sure += u64::from(holds == Some(true));
                    possible += u64::from(holds != Some(false));
                }
                let many = matches!(rule, Rule::Many { .. });
                let count = if many { *count } else { count.saturating_add(1) };
                if sure >= count {
                    Some(many)
                } else if possible < count {
                    Some(!many)
                } else {
                    None
                }
            }
            _ => None,
        }
    }
}

fn number_keeps(rule: &Rule, value: &BigRational, plain: bool) -> bool {
    match rule {
        Rule::Low { bound, strict } => value > bound || !strict && value == bound,
        Rule::High { bound, strict } => value < bound || !strict && value == bound,
        Rule::Multiple(step) => is_multiple(value, step),
        Rule::NotMultiple(step) => !is_multiple(value, step),
        Rule::Plain(holds) => plain == *holds,
        _ => false,
    }
}
