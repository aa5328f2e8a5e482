//! Items that must all be different: one value for each, chosen from what each may be.

use std::collections::{BTreeMap, VecDeque};

use super::{exact::Exact, solve::Solver};

/// One value of each list, no two the same: by moving earlier choices out of the way.
pub(super) fn different(choices: &[Vec<Exact>], solver: &mut Solver<'_>) -> Option<Vec<Exact>> {
    let mut owners: BTreeMap<&Exact, usize> = BTreeMap::new();
    for start in 0..choices.len() {
        // A breadth-first search for a chain of moves that ends at a free value.
        let mut origins: BTreeMap<&Exact, usize> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        let mut end = None;
        'search: while let Some(at) = queue.pop_front() {
            for value in choices.get(at)? {
                if !solver.step(1) {
                    return None;
                }
                if origins.contains_key(value) {
                    continue;
                }
                origins.insert(value, at);
                let Some(owner) = owners.get(value) else {
                    end = Some(value);
                    break 'search;
                };
                queue.push_back(*owner);
            }
        }
        let mut value = end?;
        loop {
            let owner = *origins.get(value)?;
            let before = owners.iter().find(|(_, at)| **at == owner).map(|(value, _)| *value);
            owners.insert(value, owner);
            match before {
                Some(before) if owner != start => value = before,
                _ => break,
            }
        }
    }
    let mut items: Vec<Option<Exact>> = vec![None; choices.len()];
    for (value, owner) in owners {
        if let Some(slot) = items.get_mut(owner) {
            *slot = Some(value.clone());
        }
    }
    items.into_iter().collect()
}
