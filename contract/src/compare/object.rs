//! Objects that keep all rules at once.
//!
//! Names fall into [`cells`](super::cells), and within a cell all names are alike. Each property that must exist is put
//! into a cell, beside another or with it.

use std::collections::BTreeMap;

use super::{
    branch::index,
    cells::Objects,
    exact::Exact,
    formula::{Id, Rule, TRUE},
    solve::{Found, Solver},
};

/// The most properties that are put in to reach a number of them.
const MAX_MEMBERS: u64 = 200;
/// The most properties that must exist under a name of many.
const MAX_DEMANDS: usize = 60;
/// The largest value of one property.
const MAX_PART: usize = 5_000;
/// The most values that a small object is written out for.
const MAX_WRITTEN: usize = 400;

/// One property: its cell, and what its value must be.
#[derive(Clone)]
struct Member {
    cell: usize,
    value: Vec<Id>,
}

impl Solver<'_> {
    /// Up to `want` objects.
    pub(super) fn build_object(&mut self, rules: &[Rule], want: usize) -> Found {
        let mut objects =
            Objects { each: Vec::new(), some: Vec::new(), min: 0, max: u64::MAX, cells: Vec::new(), complete: true };
        for rule in rules {
            match rule {
                Rule::EachMember { names, value } => objects.each.push((*names, *value)),
                Rule::SomeMember { names, value } => objects.some.push((*names, *value)),
                Rule::MinMembers(min) => objects.min = objects.min.max(*min),
                Rule::MaxMembers(max) => objects.max = objects.max.min(*max),
                _ => return Found::unknown(),
            }
        }
        if objects.min > objects.max {
            return Found::none();
        }
        // Those of one name come first: they leave no choice.
        objects.some.sort_by_key(|(names, _)| self.arena.single_name(*names).is_none());
        if self.contradicts(&objects) {
            return Found::none();
        }
        let free = objects.some.iter().filter(|(names, _)| self.arena.single_name(*names).is_none()).count();
        if objects.min > MAX_MEMBERS || free > MAX_DEMANDS {
            return Found::unknown();
        }
        let room = index(objects.min) + free + want.min(8);
        self.split(&mut objects, room);
        let mut found = Found::none();
        let (mut placed, forced) = self.place_named(&objects);
        if placed.len() as u64 > objects.max {
            return Found::none();
        }
        self.place(&objects, forced, &mut placed, want, &mut found);
        if found.values.len() < want {
            self.write_out(&objects, want, &mut found);
        }
        found.complete &= objects.complete;
        found
    }

    /// A cheap look at one property after the other: whether one that must exist can't.
    fn contradicts(&mut self, objects: &Objects) -> bool {
        let mut by_name: BTreeMap<String, Vec<Id>> = BTreeMap::new();
        for (names, value) in &objects.some {
            if let Some(name) = self.arena.single_name(*names).map(ToOwned::to_owned) {
                by_name.entry(name).or_default().push(*value);
            }
        }
        if by_name.len() as u64 > objects.max {
            return true;
        }
        let mut fixed: BTreeMap<&str, Vec<Id>> = BTreeMap::new();
        let mut general = Vec::new();
        for (names, value) in &objects.each {
            match self.arena.single_name(*names) {
                Some(name) if by_name.contains_key(name) => fixed.entry(name).or_default().push(*value),
                Some(_) => {}
                None => general.push((*names, *value)),
            }
        }
        let fixed: BTreeMap<String, Vec<Id>> =
            fixed.into_iter().map(|(name, values)| (name.to_owned(), values)).collect();
        for (name, mut values) in by_name {
            values.extend(fixed.get(&name).into_iter().flatten());
            let text = Exact::Text(name);
            for (names, value) in &general {
                if self.holds(*names, &text) == Some(true) {
                    values.push(*value);
                }
            }
            if self.is_impossible(&values) {
                return true;
            }
        }
        false
    }

    /// The properties that must exist under one name, and how many of the demands they are.
    fn place_named(&self, objects: &Objects) -> (Vec<Member>, usize) {
        let cells: BTreeMap<&str, usize> = objects
            .cells
            .iter()
            .enumerate()
            .filter_map(|(at, cell)| Some((cell.names.first()?.as_str(), at)))
            .collect();
        let mut members: BTreeMap<usize, Vec<Id>> = BTreeMap::new();
        let mut forced = 0;
        for (names, value) in &objects.some {
            let cell = self.arena.single_name(*names).and_then(|name| cells.get(name));
            let Some((at, cell)) = cell.and_then(|at| Some((*at, objects.cells.get(*at)?))) else { break };
            members.entry(at).or_insert_with(|| cell.value.clone()).push(*value);
            forced += 1;
        }
        (members.into_iter().map(|(cell, value)| Member { cell, value }).collect(), forced)
    }

    /// Puts the properties that must exist into cells, one after the other, in every way. As deep as there are such.
    fn place(&mut self, objects: &Objects, next: usize, placed: &mut Vec<Member>, want: usize, found: &mut Found) {
        if found.values.len() >= want {
            return;
        }
        if !self.step(3) {
            found.complete = false;
            return;
        }
        let Some((_, value)) = objects.some.get(next) else {
            self.fill(objects, placed, want, found);
            return;
        };
        for at in 0..placed.len() {
            let cell = placed.get(at).and_then(|member| objects.cells.get(member.cell));
            if cell.and_then(|cell| cell.demands.get(next)) != Some(&true) {
                continue;
            }
            let Some(member) = placed.get(at).cloned() else { continue };
            let mut both = member.clone();
            both.value.push(*value);
            if self.is_impossible(&both.value) {
                continue;
            }
            if let Some(slot) = placed.get_mut(at) {
                *slot = both;
            }
            self.place_next(objects, next, placed, want, found);
            if let Some(slot) = placed.get_mut(at) {
                *slot = member;
            }
        }
        if placed.len() as u64 >= objects.max {
            return;
        }
        for (number, cell) in objects.cells.iter().enumerate() {
            let used = placed.iter().filter(|member| member.cell == number).count();
            if cell.demands.get(next) != Some(&true) || used >= cell.names.len() {
                continue;
            }
            let mut member = Member { cell: number, value: cell.value.clone() };
            member.value.push(*value);
            if self.is_impossible(&member.value) {
                continue;
            }
            placed.push(member);
            self.place_next(objects, next, placed, want, found);
            placed.pop();
        }
    }

    fn place_next(&mut self, objects: &Objects, next: usize, placed: &mut Vec<Member>, want: usize, found: &mut Found) {
        if self.enter(1) {
            self.place(objects, next + 1, placed, want, found);
            self.leave(1);
        } else {
            found.complete = false;
        }
    }

    /// Adds properties up to the number that there must be, and writes the object down.
    fn fill(&mut self, objects: &Objects, placed: &[Member], want: usize, found: &mut Found) {
        let mut members = placed.to_vec();
        let target = index(objects.min).max(members.len());
        // One more than needed is a different object, where more than one is wanted.
        let most = if want > 1 { target + want.min(4) } else { target };
        let most = most.min(index(objects.max));
        let mut sizes = Vec::new();
        for (number, cell) in objects.cells.iter().enumerate() {
            if members.len() >= most {
                break;
            }
            if cell.unsure && members.len() >= target {
                continue;
            }
            let used = members.iter().filter(|member| member.cell == number).count();
            let free = cell.names.len() - used.min(cell.names.len());
            if free == 0 || self.is_impossible(&cell.value) {
                continue;
            }
            for _ in 0..free.min(most - members.len()) {
                members.push(Member { cell: number, value: cell.value.clone() });
            }
        }
        if members.len() < target {
            return;
        }
        sizes.extend((target..=members.len()).rev());
        sizes.reverse();
        for size in sizes {
            self.write(objects, members.get(..size).unwrap_or_default(), want, found);
            if found.values.len() >= want {
                break;
            }
        }
        // There may be other objects of these properties.
        found.complete = false;
    }

    /// One object of these properties, and others that differ in one value.
    fn write(&mut self, objects: &Objects, members: &[Member], want: usize, found: &mut Found) {
        let mut used: BTreeMap<usize, usize> = BTreeMap::new();
        let mut object = BTreeMap::new();
        let mut others = Vec::new();
        let mut sure = true;
        for member in members {
            let Some(cell) = objects.cells.get(member.cell) else { return };
            let at = used.entry(member.cell).or_default();
            let Some(name) = cell.names.get(*at) else { return };
            *at += 1;
            sure &= !cell.unsure;
            let values = self.solve(&member.value, want.min(12));
            let Some(best) = values.best() else { return };
            sure &= !values.values.is_empty();
            if best.size() > MAX_PART {
                return;
            }
            object.insert(name.clone(), best.clone());
            others.extend(values.all().skip(1).map(|value| (name.clone(), value.clone())));
        }
        if !self.affords(object.values()) {
            return;
        }
        let mut add = |object: BTreeMap<String, Exact>, sure: bool| {
            let value = Exact::Object(object);
            let list = if sure { &mut found.values } else { &mut found.maybe };
            if !list.contains(&value) && list.len() <= want {
                list.push(value);
            }
        };
        add(object.clone(), sure);
        for (name, value) in others {
            let mut changed = object.clone();
            changed.insert(name, value);
            add(changed, sure);
        }
    }

    /// Every object there is, when there are few: of few names, each with few values.
    fn write_out(&mut self, objects: &Objects, want: usize, found: &mut Found) {
        if found.complete {
            return;
        }
        let mut all = vec![BTreeMap::new()];
        for cell in &objects.cells {
            if self.is_impossible(&cell.value) {
                continue;
            }
            if cell.more || cell.unsure {
                return;
            }
            for name in &cell.names {
                let values = self.solve(&cell.value, 20);
                if !values.complete || !values.maybe.is_empty() || all.len() * (values.values.len() + 1) > MAX_WRITTEN {
                    return;
                }
                let without = all.clone();
                for value in &values.values {
                    all.extend(without.iter().map(|object| {
                        let mut object: BTreeMap<String, Exact> = object.clone();
                        object.insert(name.clone(), value.clone());
                        object
                    }));
                }
            }
        }
        let fits = |object: &BTreeMap<String, Exact>| (objects.min..=objects.max).contains(&(object.len() as u64));
        let existing = |solver: &mut Self, object: &BTreeMap<String, Exact>| {
            let value = Exact::Object(object.clone());
            objects.some.iter().all(|(names, value_of)| {
                let rule = solver.arena.rule(Rule::SomeMember { names: *names, value: *value_of });
                rule == TRUE || solver.holds(rule, &value) == Some(true)
            })
        };
        let mut written = Found::none();
        for object in all {
            if fits(&object) && existing(self, &object) {
                written.values.push(Exact::Object(object));
            }
        }
        written.complete = written.values.len() <= want && objects.complete;
        *found = written;
    }
}
