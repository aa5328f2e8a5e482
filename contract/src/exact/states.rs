//! A pattern as a table of states: one look-up a byte, for patterns of few states.

use std::collections::HashMap;

use regex_automata::{
    Anchored, Input,
    dfa::{Automaton, StartKind, dense},
    util::{primitives::StateID, syntax},
};

/// The states of a pattern. A state is told by where its row starts: the first refuses every text, the second has found
/// what it looks for.
#[derive(Debug)]
pub(super) struct States {
    /// The class of each byte: its column.
    classes: Box<[u8; 256]>,
    /// By state and class, the next state.
    next: Vec<u16>,
    start: u16,
    found: u16,
    /// The states in which the text may end.
    ends: Vec<u16>,
}

impl States {
    /// None where there are too many.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        /// For the states, in bytes.
        const MOST: usize = 32 * 1024;
        let config = dense::Config::new()
            .start_kind(StartKind::Unanchored)
            .dfa_size_limit(Some(MOST))
            .determinize_size_limit(Some(4 * MOST));
        let automaton = dense::Builder::new().syntax(syntax::Config::new()).configure(config).build(pattern).ok()?;
        // What matches nothing at all beside no boundary may find it inside a character.
        if automaton.has_empty() && pattern.contains("\\B") {
            return None;
        }
        Self::of(&automaton)
    }

    fn of<A: Automaton>(automaton: &A) -> Option<Self> {
        let start = automaton.start_state_forward(&Input::new("").anchored(Anchored::No)).ok()?;
        // The places of the states that were met, and what each of them makes of each byte.
        let mut places: HashMap<StateID, usize> = HashMap::new();
        let mut met = vec![start];
        let mut place_of = |state: StateID, met: &mut Vec<StateID>| match () {
            () if automaton.is_dead_state(state) => Some(0),
            () if automaton.is_match_state(state) => Some(1),
            () if automaton.is_quit_state(state) => None,
            () => Some(*places.entry(state).or_insert_with(|| {
                if state != start {
                    met.push(state);
                }
                met.len() + 1
            })),
        };
        let start_place = place_of(start, &mut met)?;
        let mut rows: Vec<[usize; 256]> = vec![[0; 256], [1; 256]];
        let mut ends = Vec::new();
        let mut at = 0;
        while let Some(state) = met.get(at).copied() {
            let mut row = [0; 256];
            for (byte, next) in (0..=u8::MAX).zip(&mut row) {
                *next = place_of(automaton.next_state(state, byte), &mut met)?;
            }
            if place_of(automaton.next_eoi_state(state), &mut met)? == 1 {
                ends.push(rows.len());
            }
            rows.push(row);
            at += 1;
        }
        // Bytes that every state treats alike are one class.
        let mut columns: HashMap<Vec<usize>, u8> = HashMap::new();
        let mut classes = Box::new([0; 256]);
        let mut width = 0;
        for (byte, class) in classes.iter_mut().enumerate() {
            let column: Vec<usize> = rows.iter().filter_map(|row| row.get(byte).copied()).collect();
            *class = *columns.entry(column).or_insert_with(|| {
                width += 1;
                u8::try_from(width - 1).unwrap_or_default()
            });
        }
        let mut next = vec![0; rows.len() * width];
        let state = |place: usize| u16::try_from(place * width).ok();
        for (row, places) in next.chunks_mut(width).zip(&rows) {
            for (class, place) in classes.iter().zip(places) {
                *row.get_mut(usize::from(*class))? = state(*place)?;
            }
        }
        let ends = ends.into_iter().map(state).collect::<Option<_>>()?;
        Some(Self { classes, next, start: state(start_place)?, found: state(1)?, ends })
    }

    /// Whether the pattern is found in the text.
    #[inline]
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        /// After so many bytes it is asked whether the rest matters.
        const PART: usize = 16;
        let mut state = self.start;
        for part in text.chunks(PART) {
            for byte in part {
                let class = self.classes.get(usize::from(*byte)).copied().unwrap_or_default();
                state = self.next.get(usize::from(state) + usize::from(class)).copied().unwrap_or_default();
            }
            if state <= self.found {
                break;
            }
        }
        state == self.found || self.ends.contains(&state)
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn states_find_what_the_pattern_finds() {
        let patterns = [
            "^-?[0-9]+\\.[0-9]{2}$",
            "^[A-Z]{3}-[0-9]{4}$",
            "[0-9]",
            "",
            "^$",
            "a|^b$",
            "b$",
            "^(?:[a-z]+-)*x",
            r"(?-u:\b)ab(?-u:\b)",
            "é+$",
            "(?i)straße",
            "[^a]b",
            "a.c",
        ];
        let parts = ["", "a", "b", "-", "1", "12.34", "ABC-0123", "x", "é", "STRASSE", "straße", "ab", "\n", "🎉", " "];
        let mut few = 0;
        for pattern in patterns {
            let regex = Regex::new(pattern).unwrap();
            let Some(states) = States::new(pattern) else { continue };
            few += 1;
            for first in parts {
                for second in parts {
                    for third in parts {
                        let text = [first, second, third].concat();
                        assert_eq!(states.matches(text.as_bytes()), regex.is_match(&text), "{pattern} {text:?}");
                    }
                }
            }
        }
        assert!(few > 10, "{few}");
    }
}
