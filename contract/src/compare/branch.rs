//! Formulas taken apart: for one type at a time, into sets of rules without any `or` left.

use std::collections::BTreeSet;

use num_traits::ToPrimitive;

use super::{
    exact::{Exact, Kind},
    formula::{FALSE, Id, Node, Rule, TRUE, bit},
    number::Numbers,
    solve::{Found, Solver},
    text::Texts,
};
use crate::formats::Format;

/// The deepest formula that is taken apart.
const MAX_DEPTH: usize = 300;
/// The most values of one set that are told of where some are not sure.
const MAX_UNSURE: usize = 12;

/// What has been decided on, and the choices that are left.
#[derive(Clone, Default)]
struct Branch {
    decided: BTreeSet<Id>,
    choices: Vec<Id>,
}

impl Solver<'_> {
    /// Up to `want` values of one type.
    pub(super) fn solve_kind(&mut self, set: &[Id], kind: Kind, want: usize) -> Found {
        let mut first = Branch::default();
        for formula in set {
            let reduced = self.reduce(*formula, kind, 0);
            if !self.decide(&mut first, reduced, kind) {
                return Found::none();
            }
        }
        let mut found = Found::none();
        let mut branches = vec![first];
        while let Some(mut branch) = branches.pop() {
            if !self.step(2) {
                found.complete = false;
                return found;
            }
            if !self.settle(&mut branch, kind) {
                continue;
            }
            let missing = want.saturating_sub(found.values.len());
            if missing == 0 || found.maybe.len() >= MAX_UNSURE {
                found.complete = false;
                return found;
            }
            let next = branch.choices.iter().copied().min_by_key(|choice| self.width(*choice));
            let Some(choice) = next else {
                let more = self.solve_rules(&branch.decided, kind, missing);
                found.join(more);
                continue;
            };
            let worth = matches!(kind, Kind::Number | Kind::Text) || branch.choices.len() > 1;
            if worth && self.solve_rules(&branch.decided, kind, 1).is_empty() {
                continue;
            }
            branch.choices.retain(|other| *other != choice);
            let Node::Any(parts) = self.arena.node(choice).clone() else { continue };
            for part in parts.iter().copied().rev() {
                let mut next = branch.clone();
                if self.decide(&mut next, part, kind) {
                    branches.push(next);
                }
            }
        }
        found
    }

    fn width(&self, choice: Id) -> usize {
        match self.arena.node(choice) {
            Node::Any(parts) => parts.len(),
            _ => 0,
        }
    }

    /// Takes a formula as true; false when it contradicts what is decided.
    fn decide(&mut self, branch: &mut Branch, formula: Id, kind: Kind) -> bool {
        let mut stack = vec![formula];
        while let Some(formula) = stack.pop() {
            if formula == TRUE || branch.decided.contains(&formula) {
                continue;
            }
            let opposite = self.opposite(formula, kind);
            if formula == FALSE || branch.decided.contains(&opposite) {
                return false;
            }
            branch.decided.insert(formula);
            match self.arena.node(formula) {
                Node::All(parts) => stack.extend(parts.iter().copied()),
                Node::Any(_) => branch.choices.push(formula),
                _ => {}
            }
        }
        true
    }

    /// Drops choices that are made, and makes those that have one way left; false when one has none.
    fn settle(&mut self, branch: &mut Branch, kind: Kind) -> bool {
        loop {
            let mut forced = Vec::new();
            let mut rest = Vec::new();
            for choice in std::mem::take(&mut branch.choices) {
                let Node::Any(parts) = self.arena.node(choice).clone() else { continue };
                let before = parts.len();
                let mut made = false;
                let mut left = Vec::new();
                for part in parts.iter().copied() {
                    match self.state_of(branch, part, kind) {
                        Some(true) => made = true,
                        Some(false) => {}
                        None => left.push(part),
                    }
                }
                if made {
                    continue;
                }
                match left.as_slice() {
                    [] => return false,
                    [one] => forced.push(*one),
                    _ if left.len() < before => rest.push(self.arena.any(left)),
                    _ => rest.push(choice),
                }
            }
            branch.choices = rest;
            if forced.is_empty() {
                return true;
            }
            for formula in forced {
                if !self.decide(branch, formula, kind) {
                    return false;
                }
            }
        }
    }

    /// Whether a formula is decided on already, one way or the other.
    fn state_of(&mut self, branch: &Branch, formula: Id, kind: Kind) -> Option<bool> {
        if formula == TRUE || branch.decided.contains(&formula) {
            return Some(true);
        }
        let opposite = self.opposite(formula, kind);
        if formula == FALSE || branch.decided.contains(&opposite) {
            return Some(false);
        }
        if let Node::All(parts) = self.arena.node(formula).clone() {
            let states: Vec<Option<bool>> = parts.iter().map(|part| self.state_of(branch, *part, kind)).collect();
            if states.contains(&Some(false)) {
                return Some(false);
            }
            if states.iter().all(|state| *state == Some(true)) {
                return Some(true);
            }
        }
        None
    }

    /// What contradicts a formula that is reduced to one type.
    fn opposite(&mut self, formula: Id, kind: Kind) -> Id {
        if let Some(known) = self.opposed.get(&(formula, kind)) {
            return *known;
        }
        let opposite = self.arena.not(formula);
        self.reduce(opposite, kind, 0)
    }

    /// The formula as it is for values of one type. As deep as the formula is, within a limit.
    fn reduce(&mut self, id: Id, kind: Kind, depth: usize) -> Id {
        if let Some(known) = self.reduced.get(&(id, kind)) {
            return *known;
        }
        if depth > MAX_DEPTH {
            return self.opaque(id);
        }
        let reduced = match self.arena.node(id).clone() {
            Node::True | Node::False | Node::Opaque { .. } => id,
            Node::All(parts) => {
                let parts: Vec<Id> = parts.iter().map(|part| self.reduce(*part, kind, depth + 1)).collect();
                self.arena.all(parts)
            }
            Node::Any(parts) => {
                let parts: Vec<Id> = parts.iter().map(|part| self.reduce(*part, kind, depth + 1)).collect();
                self.arena.any(parts)
            }
            Node::Rule { rule, others } => match (rule.kind() == kind, others) {
                (true, _) => self.arena.rule(rule),
                (false, true) => TRUE,
                (false, false) => FALSE,
            },
            Node::Kinds(mask) if mask & bit(kind) != 0 => TRUE,
            Node::Kinds(_) => FALSE,
            Node::OneOf(values) => {
                let values = values.iter().filter(|value| value.kind() == kind).cloned().collect();
                self.values_of(kind, values, true)
            }
            Node::NoneOf(values) => {
                let values = values.iter().filter(|value| value.kind() == kind).cloned().collect();
                self.values_of(kind, values, false)
            }
            Node::Later { .. } => {
                let resolved = self.resolve(id);
                self.reduce(resolved, kind, depth + 1)
            }
        };
        self.reduced.insert((id, kind), reduced);
        let opposite = self.arena.known_opposite(id).and_then(|opposite| self.reduced.get(&(opposite, kind)));
        if let Some(opposite) = opposite.copied() {
            self.opposed.entry((reduced, kind)).or_insert(opposite);
            self.opposed.entry((opposite, kind)).or_insert(reduced);
        }
        reduced
    }

    /// One of the values, or none; of null and the booleans what is left is named, so that it meets its like.
    fn values_of(&mut self, kind: Kind, values: BTreeSet<Exact>, holds: bool) -> Id {
        let domain: BTreeSet<Exact> = match kind {
            Kind::Null => BTreeSet::from([Exact::Null]),
            Kind::Bool => BTreeSet::from([Exact::Bool(false), Exact::Bool(true)]),
            _ if holds => return self.arena.one_of(values),
            _ => return self.arena.none_of(values),
        };
        let left: BTreeSet<Exact> =
            if holds { values } else { domain.iter().filter(|value| !values.contains(*value)).cloned().collect() };
        if left == domain { TRUE } else { self.arena.one_of(left) }
    }

    fn opaque(&mut self, id: Id) -> Id {
        let opposite = self.arena.not(id);
        let (key, holds) = if id < opposite { (id, true) } else { (opposite, false) };
        self.arena.intern(Node::Opaque { key: format!("{key:?}"), holds })
    }

    /// Up to `want` values of one type that keep rules of that type.
    fn solve_rules(&mut self, decided: &BTreeSet<Id>, kind: Kind, want: usize) -> Found {
        let mut rules = Vec::new();
        let mut excluded: BTreeSet<Exact> = BTreeSet::new();
        let mut chosen: Option<BTreeSet<Exact>> = match kind {
            Kind::Null => Some(BTreeSet::from([Exact::Null])),
            Kind::Bool => Some(BTreeSet::from([Exact::Bool(false), Exact::Bool(true)])),
            _ => None,
        };
        let mut unsure = false;
        // Texts of the formats that are asked for: a search would hardly come upon them.
        let mut examples = Vec::new();
        let mut literals = Vec::new();
        for id in decided {
            match self.arena.node(*id).clone() {
                Node::All(_) | Node::Any(_) | Node::True => continue,
                Node::Rule { rule, .. } => rules.push(rule),
                Node::OneOf(values) => {
                    chosen = Some(match chosen {
                        Some(known) => known.intersection(&values).cloned().collect(),
                        None => values.as_ref().clone(),
                    });
                }
                Node::NoneOf(values) => excluded.extend(values.iter().cloned()),
                Node::Opaque { key, holds } => {
                    unsure = true;
                    let format = self.formats.get(&key).filter(|_| holds && kind == Kind::Text);
                    let texts = format.map(Format::language).unwrap_or_default().examples;
                    examples.extend(texts.iter().map(|text| Exact::Text((*text).to_owned())));
                }
                _ => return Found::unknown(),
            }
            literals.push(*id);
        }
        let mut found = if let Some(values) = chosen {
            self.spelled(values)
        } else {
            let spare = if unsure { want + MAX_UNSURE } else { want };
            self.build(rules, excluded, kind, spare)
        };
        // Whatever was built is tried: a value that is not sure is told as such, a wrong one not at all.
        let built = std::mem::take(&mut found.values);
        let candidates = examples.into_iter().chain(built).chain(std::mem::take(&mut found.maybe));
        for value in candidates.collect::<Vec<Exact>>() {
            if found.values.contains(&value) {
                continue;
            }
            let mut verdict = Some(true);
            for literal in &literals {
                match self.holds(*literal, &value) {
                    Some(true) => {}
                    Some(false) => {
                        verdict = Some(false);
                        break;
                    }
                    None => verdict = None,
                }
            }
            match verdict {
                Some(true) => found.values.push(value),
                None => found.maybe.push(value),
                Some(false) => {}
            }
        }
        found
    }

    /// The values as candidates, with and without a fraction where a draft tells them apart.
    fn spelled(&self, values: BTreeSet<Exact>) -> Found {
        let mut found = Found::none();
        for value in values {
            if self.dotted {
                let (other, count) = value.dotted();
                found.complete &= count < 2;
                found.values.push(value);
                if count > 0 {
                    found.values.push(other);
                }
            } else {
                found.values.push(value);
            }
        }
        found
    }

    fn build(&mut self, rules: Vec<Rule>, excluded: BTreeSet<Exact>, kind: Kind, want: usize) -> Found {
        match kind {
            Kind::Number => {
                let mut numbers = Numbers::default();
                for rule in &rules {
                    match rule {
                        Rule::Low { bound, strict } => numbers.at_least(bound, *strict),
                        Rule::High { bound, strict } => numbers.at_most(bound, *strict),
                        Rule::Multiple(step) => numbers.multiple_of(step),
                        Rule::NotMultiple(step) => numbers.no_multiple_of(step),
                        Rule::Plain(holds) => numbers.plain(*holds),
                        _ => {}
                    }
                }
                for value in &excluded {
                    if let Exact::Number(quantity) = value {
                        numbers.exclude(&quantity.exact);
                    }
                }
                numbers.solve(want, self)
            }
            Kind::Text => self.build_text(&rules, excluded, want),
            Kind::Array | Kind::Object => {
                let want = want.saturating_add(excluded.len());
                let mut found =
                    if kind == Kind::Array { self.build_array(&rules, want) } else { self.build_object(&rules, want) };
                found.values.retain(|value| !excluded.contains(value));
                found.maybe.retain(|value| !excluded.contains(value));
                found
            }
            Kind::Null | Kind::Bool => Found::unknown(),
        }
    }

    fn build_text(&mut self, rules: &[Rule], excluded: BTreeSet<Exact>, want: usize) -> Found {
        let mut texts = Texts::default();
        let mut understood = true;
        for rule in rules {
            match rule {
                Rule::Longer(min) => texts.min = texts.min.max(*min),
                Rule::Shorter(max) => texts.max = Some(texts.max.map_or(*max, |known| known.min(*max))),
                Rule::Match { pattern, holds } => match self.pattern(pattern) {
                    Some(compiled) => texts.patterns.push((compiled, *holds)),
                    None => understood = false,
                },
                _ => {}
            }
        }
        texts.excluded = excluded
            .into_iter()
            .filter_map(|value| match value {
                Exact::Text(text) => Some(text),
                _ => None,
            })
            .collect();
        let mut found = texts.solve(if understood { want } else { want + MAX_UNSURE }, self);
        if !understood {
            // What was found lacks a rule: it may do, and it is not all unless there is nothing at all.
            found.maybe = std::mem::take(&mut found.values);
        }
        found
    }
}

/// A count as an index; more than memory has is as good as endless.
pub(super) fn index(count: u64) -> usize {
    count.to_usize().unwrap_or(usize::MAX)
}
