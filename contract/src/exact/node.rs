//! What a schema is compiled to: nodes that refer to each other by number.

use std::{
    ops::RangeInclusive,
    sync::{Arc, OnceLock},
};

use serde_json::Value;

use super::{
    canon::Choice,
    decimal::{Bound, Step},
    pattern::Pattern,
    slots::Slots,
    table::Table,
    tagged::{ByKind, Tagged},
};
use crate::{Draft, Validator, formats::Format};

/// The number of a node.
pub(super) type Id = u32;

/// The node that takes every value.
pub(super) const ANY: Id = 0;

/// The kinds of values, one bit each. An integer and a number that is none are two kinds.
pub mod kind {
    /// `null`.
    pub const NULL: u8 = 1;
    /// `true` and `false`.
    pub const BOOLEAN: u8 = 2;
    /// A whole number.
    pub const INTEGER: u8 = 4;
    /// A number that is not whole.
    pub const FRACTION: u8 = 8;
    /// A string.
    pub const STRING: u8 = 16;
    /// An array.
    pub const ARRAY: u8 = 32;
    /// An object.
    pub const OBJECT: u8 = 64;
    /// Every number.
    pub const NUMBER: u8 = INTEGER | FRACTION;
    /// Everything.
    pub const ALL: u8 = 127;
}

/// A compiled schema.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) nodes: Vec<Node>,
    pub(super) root: Id,
    pub(super) draft: Draft,
    /// For the words of violations.
    pub(super) schema: Value,
}

/// All that one sub-schema asks of a value.
#[derive(Debug)]
pub(super) struct Node {
    /// Where the sub-schema stands.
    pub(super) pointer: Box<str>,
    /// The kinds that are allowed; none for the schema `false`.
    pub(super) kinds: u8,
    pub(super) values: Option<Arc<Values>>,
    pub(super) text: Option<Arc<TextRules>>,
    pub(super) number: Option<Arc<NumberRules>>,
    pub(super) array: Option<Arc<ArrayRules>>,
    pub(super) object: Option<Arc<ObjectRules>>,
    pub(super) branches: Option<Box<Branches>>,
    /// A reference and nothing else: the node that it leads to.
    pub(super) alias: Option<Id>,
    /// A node that asks the same in one sweep.
    pub(super) merged: Option<Id>,
    pub(super) shortcut: Shortcut,
}

/// What is told of a value at once, for whoever reads in one sweep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shortcut {
    /// The kinds of which every value passes, whatever it holds: of integers those that are written without a fraction
    /// and without an exponent, and the numbers with one of them all or none.
    pub(super) free: u8,
    /// From the first to the second, integers that are so written pass.
    pub(super) sure: (i64, i64),
    /// An object is held against its rules member by member, and nothing else.
    pub(super) by_member: bool,
}

impl Shortcut {
    /// Nothing is told at once.
    pub(super) const NONE: Self = Self { free: 0, sure: (1, 0), by_member: false };
}

impl Node {
    pub(super) fn new(pointer: &str) -> Self {
        Self {
            pointer: pointer.into(),
            kinds: kind::ALL,
            values: None,
            text: None,
            number: None,
            array: None,
            object: None,
            branches: None,
            alias: None,
            merged: None,
            shortcut: Shortcut::NONE,
        }
    }

    /// Whether nothing is asked but what its branches ask.
    #[inline]
    pub(super) fn is_bare(&self) -> bool {
        self.kinds == kind::ALL
            && self.values.is_none()
            && self.text.is_none()
            && self.number.is_none()
            && self.array.is_none()
            && self.object.is_none()
    }

    /// Whether every value passes.
    pub(super) fn is_any(&self) -> bool {
        self.is_bare() && self.branches.is_none() && self.alias.is_none()
    }
}

/// `enum` and `const`.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) one_of: Option<Choice>,
    pub(super) constant: Option<Choice>,
}

#[derive(Debug, Default)]
pub(super) struct TextRules {
    pub(super) least: u64,
    pub(super) most: Option<u64>,
    pub(super) pattern: Option<Pattern>,
    /// What holds the text against `contentEncoding` and `contentMediaType`.
    pub(super) content: Option<Validator>,
    pub(super) format: Option<Format>,
}

#[derive(Debug, Default)]
pub(super) struct NumberRules {
    pub(super) minimum: Option<Bound>,
    pub(super) maximum: Option<Bound>,
    pub(super) more_than: Option<Bound>,
    pub(super) less_than: Option<Bound>,
    pub(super) step: Option<Step>,
    /// Integers that surely keep all of it.
    pub(super) sure: Option<RangeInclusive<i64>>,
}

#[derive(Debug, Default)]
pub(super) struct ArrayRules {
    pub(super) prefix: Vec<Id>,
    /// For the items behind the prefix.
    pub(super) rest: Option<Id>,
    pub(super) contains: Option<Contains>,
    pub(super) unique: bool,
    pub(super) least: u64,
    pub(super) most: Option<u64>,
    pub(super) unevaluated: Option<Id>,
}

#[derive(Debug)]
pub(super) struct Contains {
    pub(super) node: Id,
    pub(super) least: u64,
    pub(super) most: Option<u64>,
    /// From 2020-12 on: whether the items that match count as evaluated.
    pub(super) evaluates: bool,
}

#[derive(Debug, Default)]
pub(super) struct ObjectRules {
    /// Every name that any rule speaks of; the slots are numbered as in here.
    pub(super) table: Table,
    /// By slot: what `properties` asks of the value.
    pub(super) properties: Vec<Option<Id>>,
    /// By slot, sixty-four to a word.
    pub(super) required: Vec<u64>,
    pub(super) least: u64,
    pub(super) most: Option<u64>,
    pub(super) patterns: Vec<(Pattern, Id)>,
    pub(super) additional: Option<Id>,
    pub(super) names: Option<Id>,
    pub(super) dependent_names: Vec<(usize, Vec<usize>)>,
    /// And whether what such a schema evaluates counts: what stands in `dependencies`, which 2019-09 split, does not.
    pub(super) dependent_schemas: Vec<(usize, Id, bool)>,
    pub(super) unevaluated: Option<Id>,
    /// The members as a reader that goes by the rules expects them.
    pub(super) slots: OnceLock<Slots>,
}

/// The schemas that look at the same value again.
#[derive(Debug, Default)]
pub(super) struct Branches {
    pub(super) references: Vec<Id>,
    pub(super) all_of: Vec<Id>,
    pub(super) any_of: Vec<Id>,
    pub(super) one_of: Vec<Id>,
    pub(super) not: Option<Id>,
    pub(super) condition: Option<Condition>,
    /// What the library is asked about: references to the meta-schemas.
    pub(super) library: Vec<Validator>,
    /// How `one_of` or `any_of` is decided at once.
    pub(super) tagged: Option<Tagged>,
    pub(super) by_kind: Option<ByKind>,
}

impl Branches {
    pub(super) fn is_empty(&self) -> bool {
        self.references.is_empty() && self.is_only_references()
    }

    fn is_only_references(&self) -> bool {
        self.all_of.is_empty()
            && self.any_of.is_empty()
            && self.one_of.is_empty()
            && self.not.is_none()
            && self.condition.is_none()
            && self.library.is_empty()
    }

    /// The alternatives that a property tells apart, if nothing else is asked.
    pub(super) fn only_tagged(&self) -> Option<&Tagged> {
        self.tagged.as_ref().filter(|_| self.is_only_alternatives())
    }

    /// The alternatives that the kind of the value tells apart, if nothing else is asked.
    pub(super) fn only_by_kind(&self) -> Option<&ByKind> {
        self.by_kind.as_ref().filter(|_| self.is_only_alternatives())
    }

    fn is_only_alternatives(&self) -> bool {
        self.references.is_empty()
            && self.all_of.is_empty()
            && self.not.is_none()
            && self.condition.is_none()
            && self.library.is_empty()
    }

    /// The reference, if there is nothing but one.
    pub(super) fn only_reference(&self) -> Option<Id> {
        let [only] = self.references.as_slice() else { return None };
        self.is_only_references().then_some(*only)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    pub(super) test: Id,
    pub(super) then: Option<Id>,
    pub(super) otherwise: Option<Id>,
}
