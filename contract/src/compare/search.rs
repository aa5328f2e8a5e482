//! Values to try where nothing could be shown: instances of both schemas, and what becomes of them by small changes.
//!
//! The same pair gives the same values each time: there is no chance in it.

use std::collections::BTreeSet;

use super::{
    exact::{Exact, KINDS},
    formula::Id,
    solve::Solver,
};

/// How many instances of each type are asked for.
const SEEDS: usize = 6;
/// The most values that are tried.
const MAX_CANDIDATES: usize = 400;
/// What each schema may cost here.
const STEPS: u64 = 10_000;

/// Values that may tell the schemas apart: instances of `old` first.
pub(super) fn candidates(solver: &mut Solver<'_>, old: Id, refused: Id) -> Vec<Exact> {
    let mut seeds: BTreeSet<Exact> = BTreeSet::new();
    let mut values = Vec::new();
    for formula in [old, refused] {
        for kind in KINDS {
            solver.refill(STEPS);
            let found = solver.solve_kind(&[formula], kind, SEEDS);
            for value in found.all() {
                if seeds.insert(value.clone()) {
                    values.push(value.clone());
                }
            }
        }
    }
    let mut known = seeds.clone();
    let mut changed = Vec::new();
    for value in &values {
        for other in mutations(value, &values) {
            if values.len() + changed.len() >= MAX_CANDIDATES {
                break;
            }
            if known.insert(other.clone()) {
                changed.push(other);
            }
        }
    }
    values.extend(changed);
    solver.refill(STEPS * 10);
    values
}

/// Values that differ in one part.
fn mutations(value: &Exact, pool: &[Exact]) -> Vec<Exact> {
    let simple = [Exact::Null, Exact::Bool(true), Exact::integer(0), Exact::Text(String::new()), Exact::Array(vec![])];
    let mut changed = Vec::new();
    match value {
        Exact::Array(items) => {
            for at in 0..items.len() {
                let mut fewer = items.clone();
                fewer.remove(at);
                changed.push(Exact::Array(fewer));
                for part in &simple {
                    let mut other = items.clone();
                    if let Some(slot) = other.get_mut(at) {
                        *slot = part.clone();
                    }
                    changed.push(Exact::Array(other));
                }
            }
            for part in simple.iter().chain(items) {
                let mut more = items.clone();
                more.push(part.clone());
                changed.push(Exact::Array(more));
            }
        }
        Exact::Object(members) => {
            for name in members.keys() {
                let mut fewer = members.clone();
                fewer.remove(name);
                changed.push(Exact::Object(fewer));
                for part in &simple {
                    let mut other = members.clone();
                    other.insert(name.clone(), part.clone());
                    changed.push(Exact::Object(other));
                }
            }
            for other in pool {
                if let Exact::Object(others) = other {
                    let mut both = members.clone();
                    both.extend(others.iter().map(|(name, value)| (name.clone(), value.clone())));
                    changed.push(Exact::Object(both));
                }
            }
        }
        _ => {}
    }
    changed
}
