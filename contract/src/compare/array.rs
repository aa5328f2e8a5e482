//! Arrays that keep all rules at once.
//!
//! Positions behind every boundary that a rule names are alike. So an array longer than the boundaries and one position
//! for each item that must exist is never needed: lengths are tried from the shortest up to that.

use std::collections::BTreeMap;

use super::{
    branch::index,
    distinct::different,
    exact::Exact,
    formula::{Id, Rule},
    solve::{Found, Solver},
};

/// The longest array that is built.
const MAX_LENGTH: usize = 600;
/// The longest array of different items that is built.
const MAX_UNIQUE: usize = 60;
/// The most items that must exist each for a reason of its own.
const MAX_DEMANDS: usize = 60;
/// The most arrays that are written out where there are few.
const MAX_WRITTEN: usize = 400;

/// An item that must exist.
#[derive(Clone)]
struct Demand {
    from: usize,
    to: usize,
    value: Id,
    /// Those of one group are different items.
    group: usize,
}

#[derive(Default)]
struct Arrays {
    each: Vec<(usize, usize, Id)>,
    demands: Vec<Demand>,
    /// At most so many items are such; with the opposite of it.
    few: Vec<(usize, Id)>,
    min: usize,
    max: usize,
    unique: bool,
    repeated: bool,
    /// From here on positions are alike.
    tail: usize,
}

/// An array in the making.
struct Draft {
    items: Vec<Vec<Id>>,
    /// By group: positions that are taken.
    taken: BTreeMap<usize, Vec<usize>>,
    touched: Vec<bool>,
    /// Two items that are the same.
    same: Option<(usize, usize)>,
}

impl Solver<'_> {
    /// Up to `want` arrays.
    pub(super) fn build_array(&mut self, rules: &[Rule], want: usize) -> Found {
        let Some(arrays) = self.read_rules(rules) else { return Found::unknown() };
        if arrays.unique && arrays.repeated || arrays.min > arrays.max {
            return Found::none();
        }
        if arrays.tail > MAX_LENGTH || arrays.min > MAX_LENGTH || arrays.demands.len() > MAX_DEMANDS {
            return Found::unknown();
        }
        let slots = arrays.demands.len() + if arrays.repeated { 2 } else { 0 };
        let longest = arrays.min.max(arrays.tail + slots);
        let most = arrays.max.min(if want > 1 { longest + want.min(4) } else { longest });
        let mut found = Found::none();
        let mut bounded = arrays.max <= most;
        for length in arrays.min..=most {
            // An item that can't be makes every longer array impossible, too.
            if length > 0 && length > arrays.min {
                let last = arrays.at(length - 1);
                if arrays.few.is_empty() && self.is_impossible(&last) {
                    bounded = true;
                    break;
                }
            }
            if !self.step(3 + 3 * length as u64) {
                found.complete = false;
                break;
            }
            let mut draft = Draft {
                items: (0..length).map(|at| arrays.at(at)).collect(),
                taken: BTreeMap::new(),
                touched: vec![false; length],
                same: None,
            };
            self.exempt(&arrays, 0, &mut draft, want, &mut found);
            if found.values.len() >= want {
                found.complete = false;
                return found;
            }
        }
        if !found.values.is_empty() || !found.maybe.is_empty() {
            found.complete = false;
            if bounded && arrays.few.is_empty() && !arrays.repeated {
                self.write_arrays(&arrays, most, want, &mut found);
            }
        }
        found
    }

    fn read_rules(&mut self, rules: &[Rule]) -> Option<Arrays> {
        let mut arrays = Arrays { max: usize::MAX, ..Arrays::default() };
        for (group, rule) in rules.iter().enumerate() {
            match rule {
                Rule::MinItems(min) => arrays.min = arrays.min.max(index(*min)),
                Rule::MaxItems(max) => arrays.max = arrays.max.min(index(*max)),
                Rule::Unique(true) => arrays.unique = true,
                Rule::Unique(false) => arrays.repeated = true,
                Rule::EachItem { from, to, value } => {
                    arrays.each.push((index(*from), to.map_or(usize::MAX, index), *value));
                }
                Rule::SomeItem { from, to, value } => {
                    let (from, to) = (index(*from), to.map_or(usize::MAX, index));
                    arrays.demands.push(Demand { from, to, value: *value, group });
                }
                Rule::Many { count, value } => {
                    if index(*count) > MAX_DEMANDS {
                        return None;
                    }
                    let demand = Demand { from: 0, to: usize::MAX, value: *value, group };
                    arrays.demands.extend(std::iter::repeat_n(demand, index(*count)));
                }
                Rule::Few { count, value } => {
                    let opposite = self.arena.not(*value);
                    arrays.few.push((index(*count), opposite));
                }
                _ => return None,
            }
        }
        let ranges = arrays.each.iter().map(|(from, to, _)| (*from, *to));
        let ranges = ranges.chain(arrays.demands.iter().map(|demand| (demand.from, demand.to)));
        arrays.tail = ranges.flat_map(|(from, to)| [from, to]).filter(|at| *at < usize::MAX).max().unwrap_or(0);
        Some(arrays)
    }

    /// Chooses the items that need not be outside of what only few may be. As deep as there are such rules.
    fn exempt(&mut self, arrays: &Arrays, next: usize, draft: &mut Draft, want: usize, found: &mut Found) {
        let Some((count, opposite)) = arrays.few.get(next) else {
            self.demand(arrays, 0, draft, want, found);
            return;
        };
        let length = draft.items.len();
        let count = (*count).min(length);
        let mut chosen: Vec<usize> = (0..count).collect();
        loop {
            if found.values.len() >= want {
                return;
            }
            if !self.step(3) || next > 20 {
                found.complete = false;
                return;
            }
            let before = draft.items.clone();
            for (at, item) in draft.items.iter_mut().enumerate() {
                if !chosen.contains(&at) {
                    item.push(*opposite);
                }
            }
            if self.enter(1) {
                self.exempt(arrays, next + 1, draft, want, found);
                self.leave(1);
            } else {
                found.complete = false;
            }
            draft.items = before;
            // The next choice of as many, in order.
            let Some(moving) = (0..count).rev().find(|at| chosen.get(*at).is_some_and(|c| *c < length - count + at))
            else {
                return;
            };
            let first = chosen.get(moving).copied().unwrap_or(0) + 1;
            for (offset, slot) in chosen.iter_mut().skip(moving).enumerate() {
                *slot = first + offset;
            }
        }
    }

    /// Gives each item that must exist a position, in every way. As deep as there are such items.
    fn demand(&mut self, arrays: &Arrays, next: usize, draft: &mut Draft, want: usize, found: &mut Found) {
        if found.values.len() >= want {
            return;
        }
        if !self.step(3) {
            found.complete = false;
            return;
        }
        let Some(demand) = arrays.demands.get(next) else {
            if arrays.repeated {
                self.repeat(arrays, draft, want, found);
            } else {
                self.write_array(arrays, draft, want, found);
            }
            return;
        };
        let length = draft.items.len();
        let mut fresh = false;
        for at in demand.from..demand.to.min(length) {
            let touched = draft.touched.get(at).copied().unwrap_or(false);
            // Untouched positions of the tail are alike, as long as none is exempt from anything.
            if at >= arrays.tail && !touched && arrays.few.is_empty() && std::mem::replace(&mut fresh, true) {
                continue;
            }
            if draft.taken.get(&demand.group).is_some_and(|taken| taken.contains(&at)) {
                continue;
            }
            let Some(item) = draft.items.get_mut(at) else { continue };
            item.push(demand.value);
            let item = item.clone();
            if !self.is_impossible(&item) {
                draft.taken.entry(demand.group).or_default().push(at);
                if let Some(slot) = draft.touched.get_mut(at) {
                    *slot = true;
                }
                if self.enter(1) {
                    self.demand(arrays, next + 1, draft, want, found);
                    self.leave(1);
                } else {
                    found.complete = false;
                }
                if let Some(slot) = draft.touched.get_mut(at) {
                    *slot = touched;
                }
                if let Some(taken) = draft.taken.get_mut(&demand.group) {
                    taken.pop();
                }
            }
            if let Some(item) = draft.items.get_mut(at) {
                item.pop();
            }
        }
    }

    /// Makes two items the same, in every way.
    fn repeat(&mut self, arrays: &Arrays, draft: &mut Draft, want: usize, found: &mut Found) {
        let length = draft.items.len();
        for first in 0..length {
            for second in first + 1..length {
                if found.values.len() >= want {
                    return;
                }
                if !self.step(3) {
                    found.complete = false;
                    return;
                }
                let (Some(a), Some(b)) = (draft.items.get(first).cloned(), draft.items.get(second).cloned()) else {
                    continue;
                };
                let both = [a.clone(), b].concat();
                if self.is_impossible(&both) {
                    continue;
                }
                if let Some(item) = draft.items.get_mut(first) {
                    *item = both;
                }
                draft.same = Some((first, second));
                self.write_array(arrays, draft, want, found);
                draft.same = None;
                if let Some(item) = draft.items.get_mut(first) {
                    *item = a;
                }
            }
        }
    }

    /// An array of these items, and others that differ in one.
    fn write_array(&mut self, arrays: &Arrays, draft: &Draft, want: usize, found: &mut Found) {
        let length = draft.items.len();
        if arrays.unique && length > MAX_UNIQUE {
            found.complete = false;
            return;
        }
        let per_item = if arrays.unique { length.max(1) + want.min(4) } else { want.clamp(1, 12) };
        if !self.step(3 * length as u64) {
            found.complete = false;
            return;
        }
        let mut choices = Vec::new();
        let mut sure = true;
        let mut exact = true;
        for item in &draft.items {
            let values = self.solve(item, per_item);
            if values.is_empty() {
                return;
            }
            if values.best().is_none() {
                found.complete = false;
                return;
            }
            sure &= values.maybe.is_empty();
            exact &= values.complete || values.values.len() >= per_item;
            choices.push(values.all().cloned().collect::<Vec<Exact>>());
        }
        if !self.affords(choices.iter().filter_map(|values| values.first())) {
            found.complete = false;
            return;
        }
        if arrays.unique {
            if let Some(items) = different(&choices, self) {
                found_array(found, items, sure, want);
                found.complete = false;
            } else {
                found.complete &= exact && !self.is_spent();
            }
            return;
        }
        let mut items: Vec<Exact> = choices.iter().filter_map(|values| values.first().cloned()).collect();
        if let Some((first, second)) = draft.same {
            let value = items.get(first).cloned();
            if let (Some(slot), Some(value)) = (items.get_mut(second), value) {
                *slot = value;
            }
        }
        found_array(found, items.clone(), sure, want);
        for (at, values) in choices.iter().enumerate() {
            for value in values.iter().skip(1) {
                let mut changed = items.clone();
                if let Some(slot) = changed.get_mut(at) {
                    *slot = value.clone();
                }
                if let Some((first, second)) = draft.same
                    && (at == first || at == second)
                {
                    continue;
                }
                found_array(found, changed, sure, want);
            }
        }
        found.complete = false;
    }

    /// Every array there is, when there are few: short ones of items with few values.
    fn write_arrays(&mut self, arrays: &Arrays, longest: usize, want: usize, found: &mut Found) {
        let mut all: Vec<Vec<Exact>> = vec![Vec::new()];
        let mut level = all.clone();
        for at in 0..longest {
            let values = self.solve(&arrays.at(at), 20);
            if !values.complete || !values.maybe.is_empty() || level.len() * values.values.len() > MAX_WRITTEN {
                return;
            }
            level = level
                .iter()
                .flat_map(|items| {
                    values.values.iter().map(|value| [items.clone(), vec![value.clone()]].concat()).collect::<Vec<_>>()
                })
                .collect();
            all.extend(level.iter().cloned());
        }
        let rules: Vec<Id> = arrays
            .demands
            .iter()
            .filter(|demand| demand.from < usize::MAX)
            .map(|demand| {
                let to = (demand.to < usize::MAX).then_some(demand.to as u64);
                self.arena.rule(Rule::SomeItem { from: demand.from as u64, to, value: demand.value })
            })
            .collect();
        let mut written = Found::none();
        for items in all {
            let short = items.len() < arrays.min || items.len() > arrays.max;
            let value = Exact::Array(items);
            let unique = self.arena.rule(Rule::Unique(true));
            let repeats = arrays.unique && self.holds(unique, &value) != Some(true);
            if !short && !repeats && rules.iter().all(|rule| self.holds(*rule, &value) == Some(true)) {
                written.values.push(value);
            }
        }
        // `Many` is counted by whoever asked: every value is tried again there.
        written.complete = written.values.len() <= want;
        *found = written;
    }
}

impl Arrays {
    /// What the item at a position must be, by the rules for all items.
    fn at(&self, at: usize) -> Vec<Id> {
        self.each.iter().filter(|(from, to, _)| (*from..*to).contains(&at)).map(|(.., value)| *value).collect()
    }
}

fn found_array(found: &mut Found, items: Vec<Exact>, sure: bool, want: usize) {
    let value = Exact::Array(items);
    let list = if sure { &mut found.values } else { &mut found.maybe };
    if list.len() <= want && !list.contains(&value) {
        list.push(value);
    }
}
