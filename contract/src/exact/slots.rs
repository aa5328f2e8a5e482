//! The members of an object as they stand in a text, for a reader that goes by the rules: which one comes next is most
//! often known ahead, and one comparison of all up to the colon tells so.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::{
    guide::Asked,
    node::{Id, ObjectRules, Program},
};

/// So many bytes of a name are compared at once.
const CHUNK: usize = 16;

/// The names of an object's rules, for one reader.
#[derive(Debug)]
pub(super) struct Slots {
    /// The reader's list of names, told by where it stands: it is there as long as the program.
    list: (usize, usize),
    /// As in the rules' table.
    pub(super) all: Box<[Slot]>,
    /// The slot that last came first.
    first: AtomicU32,
    /// Whether nothing but its name tells what is asked of a member.
    pub(super) by_name: bool,
    /// What is asked of members that no rule names.
    pub(super) additional: Asked,
}

/// A name that rules speak of.
#[derive(Debug)]
pub(super) struct Slot {
    /// What is looked at of the first bytes of the name in its quotes and the colon, and what they are.
    mask: u128,
    first: u128,
    /// The bytes behind those.
    more: Box<[u8]>,
    length: usize,
    /// What is asked of the value, by name alone.
    pub(super) asked: Asked,
    /// The name's place in the reader's list; beyond all lists for one that it has not.
    pub(super) place: usize,
    /// The slot that last came after it: senders write their names in one order.
    next: AtomicU32,
}

/// No place in a list.
pub(super) const NOWHERE: usize = usize::MAX;

impl Slot {
    fn new(name: &str, asked: Asked, place: usize, next: u32) -> Self {
        let text = format!("\"{name}\":");
        let (first, more) = text.as_bytes().split_at(text.len().min(CHUNK));
        let chunk = |fill: &dyn Fn(usize) -> u8| u128::from_le_bytes(std::array::from_fn(fill));
        let mut slot = Self {
            mask: chunk(&|at| if at < first.len() { 0xFF } else { 0 }),
            first: chunk(&|at| first.get(at).copied().unwrap_or_default()),
            more: more.into(),
            length: text.len(),
            asked,
            place,
            next: AtomicU32::new(next),
        };
        // A name that has to be written with escapes, or that the reader wants to see, is found the long way: no text
        // has these bytes.
        if place == NOWHERE || name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
            (slot.mask, slot.first) = (u128::MAX, u128::MAX);
        }
        slot
    }

    /// The slot that most likely comes next.
    #[inline]
    pub(super) fn next(&self) -> usize {
        self.next.load(Relaxed) as usize
    }

    /// Behind the colon, if the name stands at `at`, without white space before the colon.
    #[inline]
    pub(super) fn end(&self, text: &[u8], at: usize) -> Option<usize> {
        let chunk = text.get(at..)?.first_chunk::<CHUNK>()?;
        if (u128::from_le_bytes(*chunk) ^ self.first) & self.mask != 0 {
            return None;
        }
        let end = at + self.length;
        if self.length > CHUNK && text.get(at + CHUNK..end) != Some(&*self.more) {
            return None;
        }
        Some(end)
    }
}

impl Slots {
    pub(super) fn new(program: &Program, rules: &ObjectRules, list: &'static [&'static str]) -> Self {
        let asked = |id: Option<Id>| id.map_or(Asked::NOTHING, |id| program.asked(id));
        let slot = |slot| {
            let name = rules.table.name(slot).unwrap_or_default();
            let id = rules.properties.get(slot).copied().flatten().or(rules.additional);
            let place = list.iter().position(|known| *known == name).unwrap_or(NOWHERE);
            Slot::new(name, asked(id), place, u32::try_from(slot + 1).unwrap_or(u32::MAX))
        };
        Self {
            list: Self::id(list),
            all: (0..rules.table.len()).map(slot).collect(),
            first: AtomicU32::new(0),
            by_name: rules.patterns.is_empty() && rules.names.is_none(),
            additional: asked(rules.additional),
        }
    }

    /// Whether these are for that list.
    #[inline]
    pub(super) fn is_of(&self, list: &'static [&'static str]) -> bool {
        self.list == Self::id(list)
    }

    #[inline]
    fn id(list: &'static [&'static str]) -> (usize, usize) {
        (list.as_ptr().addr(), list.len())
    }

    /// The slot that most likely comes first.
    #[inline]
    pub(super) fn first(&self) -> usize {
        self.first.load(Relaxed) as usize
    }

    /// That `slot` came after the slot before `last`, zero at first.
    pub(super) fn follow(&self, last: usize, slot: usize) {
        let place = match last.checked_sub(1) {
            None => Some(&self.first),
            Some(last) => self.all.get(last).map(|slot| &slot.next),
        };
        if let (Some(place), Ok(slot)) = (place, u32::try_from(slot)) {
            place.store(slot, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_by_all_of_its_bytes() {
        for name in ["", "a", "name", "exactly_13_bs", "fourteen_bytes", "a_name_that_is_longer_than_one_look", "naïve"]
        {
            let slot = Slot::new(name, Asked::NOTHING, 0, 1);
            let text = format!("\"{name}\": 1, \"further\": 123456");
            assert_eq!(slot.end(text.as_bytes(), 0), Some(name.len() + 3), "{name}");
            assert_eq!(slot.end(format!(" {text}").as_bytes(), 1), Some(name.len() + 4), "{name}");
            for at in 0..name.len() + 3 {
                let mut other = text.clone().into_bytes();
                other[at] ^= 1;
                assert_eq!(slot.end(&other, 0), None, "{name} {at}");
            }
            assert_eq!(slot.end(&text.as_bytes()[..name.len() + 2], 0), None);
        }
        let odd = Slot::new("a\":1,\"b", Asked::NOTHING, 0, 1);
        assert_eq!(odd.end(br#""a":1,"b":2, "c": 123456"#, 0), None);
        assert_eq!(Slot::new("a", Asked::NOTHING, NOWHERE, 1).end(br#""a":1,"b":2, "c": 123456"#, 0), None);
    }
}
