//! The names of properties, in cells: each name that a rule spells out is one, and the others fall apart by the patterns
//! that match them.

use std::collections::BTreeSet;

use super::{
    exact::{Exact, Kind},
    formula::{Id, Node, bit},
    solve::Solver,
};

/// The most cells that names fall into.
const MAX_CELLS: usize = 200;

/// Names that every rule treats alike.
pub(super) struct Cell {
    pub(super) names: Vec<String>,
    /// Whether there are more names than those.
    pub(super) more: bool,
    /// What every property of such a name must be.
    pub(super) value: Vec<Id>,
    /// Which of the properties that must exist may be of this cell.
    pub(super) demands: Vec<bool>,
    /// Whether a pattern decides on it that is not understood.
    pub(super) unsure: bool,
}

/// What is asked of an object.
pub(super) struct Objects {
    pub(super) each: Vec<(Id, Id)>,
    pub(super) some: Vec<(Id, Id)>,
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) cells: Vec<Cell>,
    /// Whether the cells are all that there are.
    pub(super) complete: bool,
}

impl Objects {
    fn add_cell(&mut self, verdicts: &[Option<bool>], names: Vec<String>, more: bool) {
        let (each, some) = verdicts.split_at(self.each.len());
        let value = self.each.iter().zip(each).filter(|(_, holds)| **holds == Some(true));
        let value: Vec<Id> = value.map(|((_, value), _)| *value).collect();
        let unsure = verdicts.contains(&None);
        self.complete &= !unsure;
        let demands = some.iter().map(|holds| *holds == Some(true)).collect();
        self.cells.push(Cell { names, more, value, demands, unsure });
    }
}

impl Solver<'_> {
    /// Finds the cells, with up to `room` names in each.
    pub(super) fn split(&mut self, objects: &mut Objects, room: usize) {
        let predicates: Vec<Id> = objects.each.iter().chain(&objects.some).map(|(names, _)| *names).collect();
        let singles: Vec<Option<String>> =
            predicates.iter().map(|predicate| self.arena.single_name(*predicate).map(ToOwned::to_owned)).collect();
        let mut spelled = BTreeSet::new();
        for predicate in &predicates {
            self.spelled_names(*predicate, &mut spelled, 0);
        }
        for name in &spelled {
            let text = Exact::Text(name.clone());
            let verdicts: Vec<Option<bool>> = predicates
                .iter()
                .zip(&singles)
                .map(|(predicate, single)| match single {
                    Some(single) => Some(single == name),
                    None => self.holds(*predicate, &text),
                })
                .collect();
            objects.add_cell(&verdicts, vec![name.clone()], false);
        }
        let excluded = spelled.into_iter().map(Exact::Text).collect();
        let text = self.arena.intern(Node::Kinds(bit(Kind::Text)));
        let rest = vec![text, self.arena.none_of(excluded)];
        // Each predicate splits what is left in two.
        let known = objects.cells.len();
        let mut stack = vec![(rest, Vec::new())];
        while let Some((names, mut verdicts)) = stack.pop() {
            while singles.get(verdicts.len()).is_some_and(Option::is_some) {
                verdicts.push(Some(false));
            }
            let Some(predicate) = predicates.get(verdicts.len()) else {
                let found = self.solve(&names, room);
                let unsure = found.values.len() < room && !found.complete;
                let more = !found.complete;
                let list: Vec<String> = found
                    .all()
                    .filter_map(|name| match name {
                        Exact::Text(name) => Some(name.clone()),
                        _ => None,
                    })
                    .collect();
                if unsure || !found.maybe.is_empty() {
                    objects.complete = false;
                }
                if !list.is_empty() {
                    objects.add_cell(&verdicts, list, more);
                }
                continue;
            };
            if objects.cells.len() + stack.len() > known + MAX_CELLS {
                objects.complete = false;
                return;
            }
            for holds in [true, false] {
                let part = if holds { *predicate } else { self.arena.not(*predicate) };
                let mut names = names.clone();
                names.push(part);
                if !self.is_impossible(&names) {
                    let mut verdicts = verdicts.clone();
                    verdicts.push(Some(holds));
                    stack.push((names, verdicts));
                }
            }
        }
    }

    /// The names that a formula over names spells out.
    fn spelled_names(&mut self, names: Id, spelled: &mut BTreeSet<String>, depth: usize) {
        if depth > 100 {
            return;
        }
        match self.arena.node(names).clone() {
            Node::OneOf(values) | Node::NoneOf(values) => {
                spelled.extend(values.iter().filter_map(|value| match value {
                    Exact::Text(name) => Some(name.clone()),
                    _ => None,
                }));
            }
            Node::All(parts) | Node::Any(parts) => {
                for part in parts.iter().copied() {
                    self.spelled_names(part, spelled, depth + 1);
                }
            }
            Node::Later { .. } => {
                let resolved = self.resolve(names);
                self.spelled_names(resolved, spelled, depth + 1);
            }
            _ => {}
        }
    }
}
