//! The members of an object as they stand in a text, for a reader that goes by the rules: which one comes next is most
//! often known ahead, and one comparison of all up to the colon tells so.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::{
    guide::Asked,
    node::{ObjectRules, Program},
};

/// So many bytes of a name are compared at once.
const CHUNK: usize = 16;

/// The names of an object's rules, for one reader.
#[derive(Debug)]
pub(super) struct Slots {
    /// The reader's list of names, told by where it stands: it is there as long as the program.
    list: (usize, usize),
    /// As in the rules' table.
    slots: Box<[Slot]>,
    /// By the number of a name, which is its slot and one, the slot of the one that last came after it: senders write their
    /// names in one order.
    after: Box<[AtomicU32]>,
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
    /// The name's place in the reader's list.
    pub(super) place: Option<usize>,
}

impl Slot {
    fn new(name: &str, asked: Asked, place: Option<usize>) -> Self {
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
        };
        // A name that has to be written with escapes, or that the reader wants to see, is found the long way: no text
        // has these bytes.
        if place.is_none() || name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
            (slot.mask, slot.first) = (u128::MAX, u128::MAX);
        }
        slot
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
        let slot = |slot| {
            let name = rules.table.name(slot).unwrap_or_default();
            let id = rules.properties.get(slot).copied().flatten().or(rules.additional);
            let place = list.iter().position(|known| *known == name);
            Slot::new(name, id.map_or(Asked::NOTHING, |id| program.asked(id)), place)
        };
        let after = (0..=rules.table.len()).map(|next| AtomicU32::new(u32::try_from(next).unwrap_or(u32::MAX)));
        Self { list: Self::id(list), slots: (0..rules.table.len()).map(slot).collect(), after: after.collect() }
    }

    /// These, if they are for that list.
    #[inline]
    pub(super) fn of(&self, list: &'static [&'static str]) -> Option<&Self> {
        (self.list == Self::id(list)).then_some(self)
    }

    #[inline]
    fn id(list: &'static [&'static str]) -> (usize, usize) {
        (list.as_ptr().addr(), list.len())
    }

    #[inline]
    pub(super) fn get(&self, slot: usize) -> Option<&Slot> {
        self.slots.get(slot)
    }

    /// The slot that most likely comes after the name of the number `last`, zero at first.
    #[inline]
    pub(super) fn likely(&self, last: usize) -> Option<(usize, &Slot)> {
        let slot = self.after.get(last)?.load(Relaxed) as usize;
        Some((slot, self.slots.get(slot)?))
    }

    /// That `slot` came after the name of the number `last`.
    pub(super) fn follow(&self, last: usize, slot: usize) {
        if let (Some(after), Ok(slot)) = (self.after.get(last), u32::try_from(slot)) {
            after.store(slot, Relaxed);
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
            let slot = Slot::new(name, Asked::NOTHING, Some(0));
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
        let odd = Slot::new("a\":1,\"b", Asked::NOTHING, Some(0));
        assert_eq!(odd.end(br#""a":1,"b":2, "c": 123456"#, 0), None);
        assert_eq!(Slot::new("a", Asked::NOTHING, None).end(br#""a":1,"b":2, "c": 123456"#, 0), None);
    }
}
