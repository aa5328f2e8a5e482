//! Things that are numbered as they come and go in about that order.

use std::collections::VecDeque;

/// Things by their numbers, each one more than the last one's.
#[derive(Debug)]
pub(super) struct Numbered<T> {
    /// The number of the first place.
    first: u64,
    /// None where the thing is gone. The first and the last are there.
    places: VecDeque<Option<T>>,
    len: usize,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { first: 0, places: VecDeque::new(), len: 0 }
    }
}

impl<T> Numbered<T> {
    /// How many are there.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `number` is beyond all others that are there; what lies between costs a place each.
    pub(super) fn push(&mut self, number: u64, thing: T) {
        if self.places.is_empty() {
            self.first = number;
        }
        while self.first + (self.places.len() as u64) < number {
            self.places.push_back(None);
        }
        self.places.push_back(Some(thing));
        self.len += 1;
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    pub(super) fn get(&self, number: u64) -> Option<&T> {
        self.places.get(self.place(number)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let place = self.place(number)?;
        self.places.get_mut(place)?.as_mut()
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<T> {
        let place = self.place(number)?;
        let thing = self.places.get_mut(place)?.take()?;
        self.len -= 1;
        while let Some(None) = self.places.front() {
            self.places.pop_front();
            self.first += 1;
        }
        while let Some(None) = self.places.back() {
            self.places.pop_back();
        }
        Some(thing)
    }

    /// In the order of their numbers.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().flatten()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten()
    }

    /// In the order of their numbers.
    pub(super) fn into_values(self) -> impl DoubleEndedIterator<Item = T> {
        self.places.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection, prelude::*};

    use super::*;

    proptest! {
        /// As a map that never takes a number again.
        #[test]
        fn it_is_a_map(steps in collection::vec((0_u64..4, any::<proptest::sample::Index>()), 0..200)) {
            let (mut numbered, mut map, mut next) = (Numbered::default(), BTreeMap::new(), 0);
            for (step, index) in steps {
                if step == 0 && next > 0 {
                    let number = index.index(usize::try_from(next).unwrap()) as u64;
                    prop_assert_eq!(numbered.remove(number), map.remove(&number));
                } else {
                    next += step;
                    numbered.push(next, next);
                    map.insert(next, next);
                    next += 1;
                }
                prop_assert_eq!((numbered.len(), numbered.is_empty()), (map.len(), map.is_empty()));
                prop_assert!(numbered.iter().eq(map.values()) && numbered.iter_mut().eq(map.values()));
                for number in 0..=next {
                    prop_assert_eq!(numbered.get(number), map.get(&number));
                    prop_assert_eq!(numbered.get_mut(number), map.get_mut(&number));
                }
            }
            prop_assert!(numbered.into_values().eq(map.into_values()));
        }
    }
}
