//! A set of small numbers: of names that were seen, of members or items that were evaluated.

/// Sixty-four of them need no memory of their own.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    first: u64,
    more: Vec<u64>,
    all: bool,
}

impl Bits {
    #[inline]
    pub(super) fn set(&mut self, at: usize) {
        if at < 64 {
            self.first |= 1 << at;
        } else {
            self.set_further(at / 64 - 1, at % 64);
        }
    }

    #[cold]
    fn set_further(&mut self, word: usize, bit: usize) {
        if self.more.len() <= word {
            self.more.resize(word + 1, 0);
        }
        if let Some(word) = self.more.get_mut(word) {
            *word |= 1 << bit;
        }
    }

    /// Everything there is.
    pub(super) fn set_all(&mut self) {
        self.all = true;
    }

    #[inline]
    pub(super) fn has(&self, at: usize) -> bool {
        self.all || self.word(at / 64) >> (at % 64) & 1 == 1
    }

    #[inline]
    fn word(&self, at: usize) -> u64 {
        if at == 0 { self.first } else { self.more.get(at - 1).copied().unwrap_or(0) }
    }

    /// Whether all of `wanted`, sixty-four to a word, are in.
    #[inline]
    pub(super) fn covers(&self, wanted: &[u64]) -> bool {
        wanted.iter().enumerate().all(|(at, wanted)| wanted & !self.word(at) == 0)
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.first |= other.first;
        self.all |= other.all;
        if self.more.len() < other.more.len() {
            self.more.resize(other.more.len(), 0);
        }
        for (word, other) in self.more.iter_mut().zip(&other.more) {
            *word |= other;
        }
    }
}
