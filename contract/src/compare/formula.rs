//! What a schema says, as one algebra: rules for one type each, joined by all, any and not.
//!
//! A rule says nothing about values of other types but whether they pass (`others`), which is how JSON Schema means its
//! keywords. Equal formulas have equal numbers, so that a contradiction is seen without looking inside.

use std::{collections::BTreeSet, rc::Rc};

use num_rational::BigRational;

use super::exact::{Exact, Kind, Table};

/// A formula in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(u32);

pub(super) const TRUE: Id = Id(0);
pub(super) const FALSE: Id = Id(1);

/// One rule for values of one type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Rule {
    /// At least, or more than when strict.
    Low {
        bound: BigRational,
        strict: bool,
    },
    /// At most, or less than when strict.
    High {
        bound: BigRational,
        strict: bool,
    },
    Multiple(BigRational),
    NotMultiple(BigRational),
    /// Draft 4's integer: written without a fraction. Its opposite otherwise.
    Plain(bool),
    Longer(u64),
    Shorter(u64),
    Match {
        pattern: String,
        holds: bool,
    },
    /// Every property of such a name has such a value. A name is a text.
    EachMember {
        names: Id,
        value: Id,
    },
    SomeMember {
        names: Id,
        value: Id,
    },
    MinMembers(u64),
    MaxMembers(u64),
    /// Every item from one index up to another has such a value.
    EachItem {
        from: u64,
        to: Option<u64>,
        value: Id,
    },
    SomeItem {
        from: u64,
        to: Option<u64>,
        value: Id,
    },
    MinItems(u64),
    MaxItems(u64),
    /// No two items are equal, or two are.
    Unique(bool),
    /// So many items or more have such a value.
    Many {
        count: u64,
        value: Id,
    },
    /// No more items than that have such a value.
    Few {
        count: u64,
        value: Id,
    },
}

impl Rule {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Low { .. } | Self::High { .. } | Self::Multiple(_) | Self::NotMultiple(_) | Self::Plain(_) => {
                Kind::Number
            }
            Self::Longer(_) | Self::Shorter(_) | Self::Match { .. } => Kind::Text,
            Self::EachMember { .. } | Self::SomeMember { .. } | Self::MinMembers(_) | Self::MaxMembers(_) => {
                Kind::Object
            }
            _ => Kind::Array,
        }
    }
}

/// A place in one of the two documents: which one, and the pointer.
pub(super) type Site = (usize, String);

/// How a schema is read: as it is written; with the objects inside its values closed; or with these and itself closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Closing {
    Written,
    Inside,
    Whole,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    True,
    False,
    All(Rc<[Id]>),
    Any(Rc<[Id]>),
    /// Values of the rule's type keep the rule; others pass or not.
    Rule {
        rule: Rule,
        others: bool,
    },
    /// A set of types.
    Kinds(u8),
    /// One of these values.
    OneOf(Rc<BTreeSet<Exact>>),
    /// None of these values.
    NoneOf(Rc<BTreeSet<Exact>>),
    /// Something that is not understood; two of the same key are the same.
    Opaque {
        key: String,
        holds: bool,
    },
    /// The schema at a place, not looked at yet.
    Later {
        site: Site,
        closing: Closing,
        holds: bool,
    },
}

/// All formulas of one comparison.
#[derive(Debug, Default)]
pub(super) struct Arena {
    nodes: Vec<Node>,
    numbers: Table<Node, Id>,
    /// By number, as far as they are known.
    opposites: Vec<Option<Id>>,
}

pub(super) fn bit(kind: Kind) -> u8 {
    1 << kind as u8
}

pub(super) const EVERY_KIND: u8 = 0b11_1111;

impl Arena {
    pub(super) fn new() -> Self {
        let mut arena = Self::default();
        arena.intern(Node::True);
        arena.intern(Node::False);
        arena.opposites = vec![Some(FALSE), Some(TRUE)];
        arena
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id.0 as usize).unwrap_or(&Node::False)
    }

    pub(super) fn intern(&mut self, node: Node) -> Id {
        match &node {
            Node::Kinds(0) => return FALSE,
            Node::Kinds(EVERY_KIND) => return TRUE,
            Node::OneOf(values) if values.is_empty() => return FALSE,
            Node::NoneOf(values) if values.is_empty() => return TRUE,
            _ => {}
        }
        if let Some(known) = self.numbers.get(&node) {
            return *known;
        }
        let id = Id(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(node.clone());
        self.opposites.push(None);
        self.numbers.insert(node, id);
        id
    }

    /// One of these values.
    pub(super) fn one_of(&mut self, values: BTreeSet<Exact>) -> Id {
        self.intern(Node::OneOf(Rc::new(values)))
    }

    /// None of these values.
    pub(super) fn none_of(&mut self, values: BTreeSet<Exact>) -> Id {
        self.intern(Node::NoneOf(Rc::new(values)))
    }

    pub(super) fn rule(&mut self, rule: Rule) -> Id {
        self.either(rule, true)
    }

    /// The rule, which values of other types pass or not.
    pub(super) fn either(&mut self, rule: Rule, others: bool) -> Id {
        let always = match &rule {
            Rule::Longer(0)
            | Rule::MinMembers(0)
            | Rule::MinItems(0)
            | Rule::Many { count: 0, .. }
            | Rule::EachMember { value: TRUE, .. }
            | Rule::EachMember { names: FALSE, .. }
            | Rule::EachItem { value: TRUE, .. }
            | Rule::Few { value: FALSE, .. } => Some(true),
            Rule::SomeMember { value: FALSE, .. }
            | Rule::SomeMember { names: FALSE, .. }
            | Rule::SomeItem { value: FALSE, .. } => Some(false),
            Rule::Many { value: FALSE, count } => Some(*count == 0),
            Rule::EachItem { from, to: Some(to), .. } if to <= from => Some(true),
            Rule::SomeItem { from, to: Some(to), .. } if to <= from => Some(false),
            _ => None,
        };
        let kind = rule.kind();
        match (always, others) {
            (None, _) => self.intern(Node::Rule { rule, others }),
            (Some(true), true) => TRUE,
            (Some(false), false) => FALSE,
            (Some(true), false) => self.intern(Node::Kinds(bit(kind))),
            (Some(false), true) => self.intern(Node::Kinds(EVERY_KIND & !bit(kind))),
        }
    }

    pub(super) fn all(&mut self, parts: impl IntoIterator<Item = Id>) -> Id {
        self.join(parts, true)
    }

    pub(super) fn any(&mut self, parts: impl IntoIterator<Item = Id>) -> Id {
        self.join(parts, false)
    }

    fn join(&mut self, parts: impl IntoIterator<Item = Id>, all: bool) -> Id {
        let (neutral, absorbing) = if all { (TRUE, FALSE) } else { (FALSE, TRUE) };
        let mut parts: Vec<Id> = parts.into_iter().collect();
        parts.sort_unstable();
        parts.dedup();
        if self.has_opposites(&parts) {
            return absorbing;
        }
        let inner = |id: Id| match self.node(id) {
            Node::All(inner) if all => Some(inner),
            Node::Any(inner) if !all => Some(inner),
            _ => None,
        };
        if parts.iter().any(|part| inner(*part).is_some()) {
            let mut flat = Vec::with_capacity(2 * parts.len());
            for part in parts {
                match inner(part) {
                    Some(inner) => flat.extend_from_slice(inner),
                    None => flat.push(part),
                }
            }
            flat.sort_unstable();
            flat.dedup();
            if self.has_opposites(&flat) {
                return absorbing;
            }
            parts = flat;
        }
        if parts.contains(&absorbing) {
            return absorbing;
        }
        parts.retain(|part| *part != neutral);
        match parts.as_slice() {
            [] => neutral,
            [one] => *one,
            _ => self.intern(if all { Node::All(parts.into()) } else { Node::Any(parts.into()) }),
        }
    }

    /// Whether two of these, which are in order, are known to be opposites.
    fn has_opposites(&self, parts: &[Id]) -> bool {
        parts
            .iter()
            .any(|part| self.known_opposite(*part).is_some_and(|opposite| parts.binary_search(&opposite).is_ok()))
    }

    /// Tells that two formulas are opposites, where that is not how they are built.
    pub(super) fn oppose(&mut self, a: Id, b: Id) {
        if a != b && [a, b].iter().all(|id| self.known_opposite(*id).is_none()) {
            self.set_opposite(a, b);
            self.set_opposite(b, a);
        }
    }

    pub(super) fn known_opposite(&self, id: Id) -> Option<Id> {
        self.opposites.get(id.0 as usize).copied().flatten()
    }

    fn set_opposite(&mut self, id: Id, opposite: Id) {
        if let Some(slot) = self.opposites.get_mut(id.0 as usize) {
            *slot = Some(opposite);
        }
    }

    /// As deep as the formula is.
    pub(super) fn not(&mut self, id: Id) -> Id {
        if let Some(known) = self.known_opposite(id) {
            return known;
        }
        let opposite = match self.node(id).clone() {
            Node::True => FALSE,
            Node::False => TRUE,
            Node::All(parts) => {
                let parts: Vec<Id> = parts.iter().map(|part| self.not(*part)).collect();
                self.any(parts)
            }
            Node::Any(parts) => {
                let parts: Vec<Id> = parts.iter().map(|part| self.not(*part)).collect();
                self.all(parts)
            }
            Node::Rule { rule, others } => {
                let rule = self.opposite(rule);
                self.either(rule, !others)
            }
            Node::Kinds(mask) => self.intern(Node::Kinds(EVERY_KIND & !mask)),
            Node::OneOf(values) => self.intern(Node::NoneOf(values)),
            Node::NoneOf(values) => self.intern(Node::OneOf(values)),
            Node::Opaque { key, holds } => self.intern(Node::Opaque { key, holds: !holds }),
            Node::Later { site, closing, holds } => self.intern(Node::Later { site, closing, holds: !holds }),
        };
        self.set_opposite(id, opposite);
        if self.known_opposite(opposite).is_none() {
            self.set_opposite(opposite, id);
        }
        opposite
    }

    /// The rule that holds for just the values of the type for which this one does not.
    fn opposite(&mut self, rule: Rule) -> Rule {
        match rule {
            Rule::Low { bound, strict } => Rule::High { bound, strict: !strict },
            Rule::High { bound, strict } => Rule::Low { bound, strict: !strict },
            Rule::Multiple(step) => Rule::NotMultiple(step),
            Rule::NotMultiple(step) => Rule::Multiple(step),
            Rule::Plain(holds) => Rule::Plain(!holds),
            // `Longer(0)` always holds and never gets here; `Shorter(u64::MAX)` is not distinguishable from it.
            Rule::Longer(length) => Rule::Shorter(length.saturating_sub(1)),
            Rule::Shorter(length) => Rule::Longer(length.saturating_add(1)),
            Rule::Match { pattern, holds } => Rule::Match { pattern, holds: !holds },
            Rule::EachMember { names, value } => Rule::SomeMember { names, value: self.not(value) },
            Rule::SomeMember { names, value } => Rule::EachMember { names, value: self.not(value) },
            Rule::MinMembers(count) => Rule::MaxMembers(count.saturating_sub(1)),
            Rule::MaxMembers(count) => Rule::MinMembers(count.saturating_add(1)),
            Rule::EachItem { from, to, value } => Rule::SomeItem { from, to, value: self.not(value) },
            Rule::SomeItem { from, to, value } => Rule::EachItem { from, to, value: self.not(value) },
            Rule::MinItems(count) => Rule::MaxItems(count.saturating_sub(1)),
            Rule::MaxItems(count) => Rule::MinItems(count.saturating_add(1)),
            Rule::Unique(holds) => Rule::Unique(!holds),
            Rule::Many { count, value } => Rule::Few { count: count.saturating_sub(1), value },
            Rule::Few { count, value } => Rule::Many { count: count.saturating_add(1), value },
        }
    }

    /// The name that a formula over names means, when it is just one.
    pub(super) fn single_name(&self, names: Id) -> Option<&str> {
        match self.node(names) {
            Node::OneOf(values) if values.len() == 1 => match values.first() {
                Some(Exact::Text(name)) => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn name(&mut self, name: &str) -> Id {
        self.one_of(BTreeSet::from([Exact::Text(name.to_owned())]))
    }

    /// The object has a property of that name.
    pub(super) fn has(&mut self, name: &str) -> Id {
        let names = self.name(name);
        self.rule(Rule::SomeMember { names, value: TRUE })
    }

    /// A text that the pattern matches somewhere. Of names, not of values of any type.
    pub(super) fn matching(&mut self, pattern: &str) -> Id {
        self.rule(Rule::Match { pattern: pattern.to_owned(), holds: true })
    }
}
