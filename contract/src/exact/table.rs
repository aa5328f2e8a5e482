//! Names of properties, to be found by their bytes: one multiplication, one comparison.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// So many names are compared with each other in less time than it takes to find a place.
const FEW: usize = 6;

/// A table of names that never change, without two in one place.
#[derive(Debug, Default)]
pub(super) struct Table {
    names: Vec<Box<str>>,
    keys: Vec<Key>,
    /// Places, a power of two of them; each the number of a name plus one, or zero.
    places: Vec<u32>,
    factor: u64,
    shift: u32,
    /// By the number of a name, the index of the one that last came after it: senders write their names in one order.
    after: Vec<AtomicUsize>,
}

/// As much of a name as is looked at to find it: all of it, up to sixteen bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    first: u64,
    last: u64,
    length: usize,
}

impl Key {
    #[inline]
    fn of(name: &[u8]) -> Self {
        let length = name.len();
        if let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
            return Self { first: u64::from_le_bytes(*first), last: u64::from_le_bytes(*last), length };
        }
        if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
            let (first, last) = (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into());
            return Self { first, last, length };
        }
        let byte = |at: usize| name.get(at).copied().map_or(0, u64::from);
        Self { first: byte(0) | byte(1) << 8 | byte(2) << 16, last: 0, length }
    }

    #[inline]
    fn place(self, factor: u64, shift: u32) -> usize {
        let mixed = self.first ^ self.last.rotate_left(29) ^ (self.length as u64) << 56;
        let hash = mixed.wrapping_mul(factor);
        usize::try_from((hash ^ hash >> 32).wrapping_mul(factor) >> shift).unwrap_or_default()
    }
}

impl Table {
    /// `names` must be different ones; they are told by their index.
    pub(super) fn new(names: Vec<Box<str>>) -> Self {
        let after = (0..=names.len()).map(AtomicUsize::new).collect();
        let keys: Vec<Key> = names.iter().map(|name| Key::of(name.as_bytes())).collect();
        let mut bits = (names.len() * 2).next_power_of_two().trailing_zeros().max(1);
        let mut factor: u64 = 0x9E37_79B9_7F4A_7C15;
        // A larger table after so many factors that did not part all names: some always does but for names that are
        // alike in all that is looked at, which then are searched for one by one.
        for attempt in 0..256 {
            if attempt % 32 == 31 && bits < 16 {
                bits += 1;
            }
            if let Some(places) = Self::fill(&keys, factor, bits) {
                return Self { names, keys, places, factor, shift: 64 - bits, after };
            }
            factor = factor.wrapping_mul(0xD134_2543_DE82_EF95) | 1;
        }
        Self { names, keys, places: Vec::new(), factor, shift: 0, after }
    }

    fn fill(keys: &[Key], factor: u64, bits: u32) -> Option<Vec<u32>> {
        let mut places = vec![0; 1 << bits];
        for (number, key) in (1..).zip(keys) {
            let place = places.get_mut(key.place(factor, 64 - bits))?;
            if *place != 0 {
                return None;
            }
            *place = number;
        }
        Some(places)
    }

    /// The index of a name that comes after the name of the number `last`, which is its index and one; zero at first.
    #[inline]
    pub(super) fn find_after(&self, name: &[u8], last: usize) -> Option<usize> {
        let key = Key::of(name);
        let likely = self.after.get(last)?;
        let index = likely.load(Relaxed);
        if self.is(index, key, name) {
            return Some(index);
        }
        let found = self.find_key(key, name)?;
        likely.store(found, Relaxed);
        Some(found)
    }

    /// The index of a name.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        self.find_key(Key::of(name), name)
    }

    #[inline]
    fn is(&self, index: usize, key: Key, name: &[u8]) -> bool {
        self.keys.get(index) == Some(&key)
            && (name.len() <= 16 || self.names.get(index).is_some_and(|known| known.as_bytes() == name))
    }

    fn find_key(&self, key: Key, name: &[u8]) -> Option<usize> {
        if self.places.is_empty() {
            return self.names.iter().position(|known| known.as_bytes() == name);
        }
        if self.keys.len() <= FEW {
            return self.keys.iter().position(|known| *known == key).filter(|index| self.is(*index, key, name));
        }
        let index = (*self.places.get(key.place(self.factor, self.shift))? as usize).checked_sub(1)?;
        self.is(index, key, name).then_some(index)
    }

    pub(super) fn name(&self, index: usize) -> Option<&str> {
        self.names.get(index).map(|name| &**name)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 8, 20, 63, 64, 65, 500] {
            let names: Vec<Box<str>> = (0..count).map(|i| format!("name_{i}_of_property").into()).collect();
            let table = Table::new(names.clone());
            assert!(!table.places.is_empty());
            for (i, name) in names.iter().enumerate() {
                assert_eq!(table.find(name.as_bytes()), Some(i));
            }
            assert_eq!(table.find(format!("name_{count}_of_property").as_bytes()), None);
            assert_eq!(table.find(b""), None);
        }
        let short = ["", "a", "ab", "ba", "abc", "abcd", "abcde", "abcdefgh", "abcdefghi", "\0", "\0\0"];
        let table = Table::new(short.iter().map(|name| (*name).into()).collect());
        for (i, name) in short.iter().enumerate() {
            assert_eq!(table.find(name.as_bytes()), Some(i), "{name:?}");
        }
    }

    #[test]
    fn names_are_found_in_any_order() {
        let table = Table::new(["a", "bb", "ccc", "dddd"].iter().map(|name| (*name).into()).collect());
        for order in [[0, 1, 2, 3], [3, 1, 0, 2], [3, 1, 0, 2], [2, 2, 1, 1]] {
            let mut last = 0;
            for index in order {
                assert_eq!(table.find_after(table.name(index).unwrap().as_bytes(), last), Some(index));
                assert_eq!(table.find_after(b"other", last), None);
                last = index + 1;
            }
        }
        assert_eq!(Table::new(Vec::new()).find_after(b"a", 0), None);
    }

    #[test]
    fn names_that_look_alike_are_told_apart() {
        let names: Vec<Box<str>> = (0..30).map(|i| format!("a_long_start_{i:02}_and_a_long_end").into()).collect();
        let table = Table::new(names.clone());
        assert!(table.places.is_empty());
        for (i, name) in names.iter().enumerate() {
            assert_eq!(table.find(name.as_bytes()), Some(i));
        }
        assert_eq!(table.find(b"a_long_start_30_and_a_long_end"), None);
    }
}
