//! Whether any value keeps a set of formulas: an instance is built, or shown to be impossible.
//!
//! Types are looked at one by one ([`branch`](super::branch) takes formulas apart into rules for one type, and each type
//! has its file). What is asked of the parts of arrays and objects is such a set again. A set that is asked for while
//! it is being answered has no answer there: the smallest instance never holds another instance of the same set.

use std::{collections::BTreeSet, rc::Rc};

use super::{
    document::Document,
    exact::{Exact, KINDS, Table},
    formula::{Arena, Closing, FALSE, Id, Node, Site, TRUE},
    pattern::Pattern,
    shared::Alike,
};
use crate::formats::Format;

/// How deep the work may nest: a part of a value counts as [`PART`], a choice within one value as one. It bounds the stack.
const MAX_NESTING: usize = 500;
/// The most values that one value is made of.
const MAX_SIZE: usize = 20_000;
/// What a part of a value counts.
const PART: usize = 10;

/// What was found of a set of formulas.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Values that keep all of them.
    pub(super) values: Vec<Exact>,
    /// Values that may, as far as it is understood.
    pub(super) maybe: Vec<Exact>,
    /// Whether there are no others.
    pub(super) complete: bool,
}

impl Found {
    /// There is no such value.
    pub(super) fn none() -> Self {
        Self { values: Vec::new(), maybe: Vec::new(), complete: true }
    }

    /// Nothing was found, and it is not known whether there is any.
    pub(super) fn unknown() -> Self {
        Self { values: Vec::new(), maybe: Vec::new(), complete: false }
    }

    /// It is sure that there is no such value.
    pub(super) fn is_empty(&self) -> bool {
        self.complete && self.values.is_empty() && self.maybe.is_empty()
    }

    /// The values of both.
    pub(super) fn join(&mut self, other: Self) {
        for value in other.values {
            if !self.values.contains(&value) {
                self.values.push(value);
            }
        }
        for value in other.maybe {
            if !self.maybe.contains(&value) {
                self.maybe.push(value);
            }
        }
        self.complete &= other.complete;
    }

    /// The best value that there is.
    pub(super) fn best(&self) -> Option<&Exact> {
        self.values.first().or_else(|| self.maybe.first())
    }

    /// All values, the sure ones first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Exact> {
        self.values.iter().chain(&self.maybe)
    }
}

/// The work on documents that are held against each other.
pub(super) struct Solver<'a> {
    pub(super) arena: Arena,
    pub(super) documents: Vec<Document<'a>>,
    /// The formulas of whole documents.
    pub(super) roots: Table<usize, Id>,
    /// Schemas that were read, by place.
    pub(super) taken: Table<(Site, Closing), Id>,
    /// By pointer: schemas that were read and refer to nothing.
    pub(super) alike: Table<String, Vec<Alike<'a>>>,
    /// By site: the first document that has the same there.
    pub(super) first_with: Table<Site, usize>,
    /// By an earlier document and a site: where the references of both lead, if they are the same.
    pub(super) targets_of_both: Table<(usize, Site), Option<Rc<[String]>>>,
    /// References that are being followed.
    pub(super) following: Vec<Site>,
    /// Whether a draft tells `1.0` from `1`.
    pub(super) dotted: bool,
    pub(super) reduced: Table<(Id, super::exact::Kind), Id>,
    /// Reduced formulas that are opposites for values of that type; for others they may not be.
    pub(super) opposed: Table<(Id, super::exact::Kind), Id>,
    /// The formats that are asserted, by the key of what stands for them.
    pub(super) formats: Table<String, Format>,
    patterns: Table<String, Option<Rc<Pattern>>>,
    known: Table<(Vec<Id>, usize), Found>,
    /// The sets that are being answered.
    open: Vec<Vec<Id>>,
    /// The lowest of them that an answer since was built on.
    lowest: usize,
    steps: u64,
    nesting: usize,
}

impl<'a> Solver<'a> {
    pub(super) fn new(documents: Vec<Document<'a>>, steps: u64) -> Self {
        Self {
            arena: Arena::new(),
            documents,
            roots: Table::default(),
            taken: Table::default(),
            alike: Table::default(),
            first_with: Table::default(),
            targets_of_both: Table::default(),
            following: Vec::new(),
            dotted: false,
            reduced: Table::default(),
            opposed: Table::default(),
            formats: Table::default(),
            patterns: Table::default(),
            known: Table::default(),
            open: Vec::new(),
            lowest: usize::MAX,
            steps,
            nesting: 0,
        }
    }

    /// Pays for work; false when there is nothing left to pay with.
    pub(super) fn step(&mut self, cost: u64) -> bool {
        self.steps = self.steps.saturating_sub(cost);
        self.steps > 0
    }

    /// Whether the work may nest deeper; to be followed by [`Solver::leave`] if so.
    pub(super) fn enter(&mut self, weight: usize) -> bool {
        let fits = self.nesting + weight <= MAX_NESTING;
        self.nesting += if fits { weight } else { 0 };
        fits
    }

    pub(super) fn leave(&mut self, weight: usize) {
        self.nesting = self.nesting.saturating_sub(weight);
    }

    /// Whether a value of these parts is small enough to be built: parts of parts of parts grow without end.
    pub(super) fn affords<'v>(&mut self, parts: impl Iterator<Item = &'v Exact>) -> bool {
        let size: usize = parts.map(Exact::size).sum();
        size <= MAX_SIZE && self.step(size as u64)
    }

    /// Sets what may be spent from now on.
    pub(super) fn refill(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// What may still be spent.
    pub(super) fn left(&self) -> u64 {
        self.steps
    }

    pub(super) fn is_spent(&self) -> bool {
        self.steps == 0
    }

    /// None for a pattern that is no regular language.
    pub(super) fn pattern(&mut self, pattern: &str) -> Option<Rc<Pattern>> {
        if let Some(known) = self.patterns.get(pattern) {
            return known.clone();
        }
        let compiled = Pattern::new(pattern).filter(Pattern::is_exact).map(Rc::new);
        self.patterns.insert(pattern.to_owned(), compiled.clone());
        compiled
    }

    /// Up to `want` different values that keep all of the formulas.
    pub(super) fn solve(&mut self, formulas: &[Id], want: usize) -> Found {
        let set = self.flat(formulas);
        if set.contains(&FALSE) {
            return Found::none();
        }
        let key = (set, want);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let (set, want) = key;
        if let Some(at) = self.open.iter().position(|open| *open == set) {
            self.lowest = self.lowest.min(at);
            return Found::none();
        }
        if !self.step(5) || !self.enter(PART) {
            return Found::unknown();
        }
        let level = self.open.len();
        let outer = std::mem::replace(&mut self.lowest, usize::MAX);
        self.open.push(set.clone());
        let mut found = Found::none();
        for kind in KINDS {
            let missing = want.saturating_sub(found.values.len());
            if missing == 0 {
                found.complete = false;
                break;
            }
            found.join(self.solve_kind(&set, kind, missing));
        }
        self.open.pop();
        self.leave(PART);
        let lowest = std::mem::replace(&mut self.lowest, outer);
        if lowest == level && !(found.values.is_empty() && found.maybe.is_empty()) {
            // Further values may hold those that were found.
            found.complete = false;
        }
        let enough = found.values.len() >= want;
        if lowest < level && !enough {
            self.lowest = self.lowest.min(lowest);
        }
        if (lowest >= level || enough) && !self.is_spent() {
            self.known.insert((set, want), found.clone());
        }
        found
    }

    /// Whether it is sure that no value keeps all of them.
    pub(super) fn is_impossible(&mut self, formulas: &[Id]) -> bool {
        self.solve(formulas, 1).is_empty()
    }

    fn flat(&self, formulas: &[Id]) -> Vec<Id> {
        let mut set = BTreeSet::new();
        for formula in formulas {
            match self.arena.node(*formula) {
                Node::All(parts) => set.extend(parts.iter().copied()),
                _ => {
                    set.insert(*formula);
                }
            }
        }
        set.remove(&TRUE);
        set.into_iter().collect()
    }
}
