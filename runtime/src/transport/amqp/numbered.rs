//! Things that are numbered as they come and go in about that order.

use std::collections::{BTreeMap, VecDeque};

/// Things by their numbers, each greater than the last one's.
///
/// Most go soon after they came, so there is a place for each number of the last `SPAN`. What stays longer, as a message does
/// that the broker does not confirm while it confirms thousands of others, is kept apart from them.
#[derive(Debug)]
pub(super) struct Numbered<T, const SPAN: usize = 4_096> {
    stayed: BTreeMap<u64, T>,
    /// The number of the first place.
    first: u64,
    /// None where the thing is gone.
    places: VecDeque<Option<T>>,
    len: usize,
}

impl<T, const SPAN: usize> Default for Numbered<T, SPAN> {
    fn default() -> Self {
        Self { stayed: BTreeMap::new(), first: 0, places: VecDeque::new(), len: 0 }
    }
}

impl<T, const SPAN: usize> Numbered<T, SPAN> {
    /// How many are there.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `number` is beyond all others that are there.
    pub(super) fn push(&mut self, number: u64, thing: T) {
        // Of a number that was left out there is no place, or more of them would be needed than there are.
        while !self.places.is_empty() && self.next() < number {
            self.push_place(None);
        }
        if self.places.is_empty() {
            self.first = number;
        }
        self.push_place(Some(thing));
        self.len += 1;
    }

    /// The number of the next place.
    fn next(&self) -> u64 {
        self.first + self.places.len() as u64
    }

    fn push_place(&mut self, place: Option<T>) {
        if self.places.len() >= SPAN {
            if let Some(Some(stays)) = self.places.pop_front() {
                self.stayed.insert(self.first, stays);
            }
            self.first += 1;
            self.drop_empty();
        }
        if place.is_some() || !self.places.is_empty() {
            self.places.push_back(place);
        }
    }

    /// The first place is never an empty one.
    fn drop_empty(&mut self) {
        while let Some(None) = self.places.front() {
            self.places.pop_front();
            self.first += 1;
        }
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    pub(super) fn get(&self, number: u64) -> Option<&T> {
        match self.place(number) {
            Some(place) => self.places.get(place)?.as_ref(),
            None => self.stayed.get(&number),
        }
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        match self.place(number) {
            Some(place) => self.places.get_mut(place)?.as_mut(),
            None => self.stayed.get_mut(&number),
        }
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<T> {
        let thing = match self.place(number) {
            Some(place) => self.places.get_mut(place)?.take()?,
            None => self.stayed.remove(&number)?,
        };
        self.len -= 1;
        self.drop_empty();
        Some(thing)
    }

    /// In the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.stayed.values().chain(self.places.iter().flatten())
    }

    /// In the order of their numbers.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.stayed.values_mut().chain(self.places.iter_mut().flatten())
    }

    /// In the order of their numbers.
    pub(super) fn into_values(self) -> impl DoubleEndedIterator<Item = T> {
        self.stayed.into_values().chain(self.places.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*};

    use super::*;

    proptest! {
        /// As a map that never takes a number again, whatever goes when, and whatever numbers are left out.
        #[test]
        fn it_is_a_map(steps in collection::vec((0_u64..14, any::<proptest::sample::Index>()), 0..300)) {
            let (mut numbered, mut map, mut next) = (Numbered::<u64, 8>::default(), BTreeMap::new(), 0);
            for (step, index) in steps {
                if step < 5 && next > 0 {
                    let number = index.index(usize::try_from(next).unwrap()) as u64;
                    prop_assert_eq!(numbered.remove(number), map.remove(&number));
                } else {
                    next += step.saturating_sub(10);
                    numbered.push(next, next);
                    map.insert(next, next);
                    next += 1;
                }
                prop_assert!(numbered.places.len() <= 8 && !matches!(numbered.places.front(), Some(None)));
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

    #[test]
    fn one_that_stays_does_not_keep_the_places_of_those_that_go() {
        let mut numbered = Numbered::<u64>::default();
        numbered.push(0, 0);
        for number in 1..100_000 {
            numbered.push(number, number);
            assert_eq!(numbered.remove(number), Some(number));
        }
        assert!(numbered.places.capacity() < 10_000, "{}", numbered.places.capacity());
        assert_eq!((numbered.len(), numbered.remove(0), numbered.is_empty()), (1, Some(0), true));
    }
}
