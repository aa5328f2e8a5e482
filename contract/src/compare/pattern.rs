//! Patterns as automata: the same translation of ECMA patterns as the validator's, run on texts and multiplied later.

use jsonschema_regex::to_rust_regex;
use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind, Look},
};

/// The most states that one pattern may need; `a{1000}{1000}` is refused before it is written out.
const MAX_STATES: usize = 4_000;

/// What a state waits for.
#[derive(Clone, Debug)]
enum State {
    /// One character of these ranges, then that state.
    Step(Vec<(char, char)>, usize),
    /// Nothing: any of those states.
    Fork(Vec<usize>),
    /// A look at both sides of this very place.
    Look(Look, usize),
    Done,
}

/// A pattern that is searched for in a text, as the keyword does.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    states: Vec<State>,
    start: usize,
}

/// How far a pattern is in a text: the states it may be in, and what the last character was.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Progress {
    states: Vec<usize>,
    before: Option<Side>,
    /// It matched already: whatever follows.
    done: bool,
}

impl Progress {
    /// Whether the pattern matched for good, whatever follows.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }
}

/// What matters of a neighbouring character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Side {
    ascii_word: bool,
    word: bool,
}

impl Side {
    fn of(c: char) -> Self {
        Self {
            ascii_word: c.is_ascii_alphanumeric() || c == '_',
            word: regex_syntax::try_is_word_character(c).unwrap_or(false),
        }
    }
}

impl Pattern {
    /// None for what is no regular language (look-around, back-references), or too large.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        let translated = to_rust_regex(pattern).ok()?;
        let hir = ParserBuilder::new().nest_limit(100).build().parse(&translated).ok()?;
        let mut compiled = Self { states: vec![State::Done], start: 0 };
        compiled.start = compiled.add(&hir, 0)?;
        Some(compiled)
    }

    fn push(&mut self, state: State) -> Option<usize> {
        if self.states.len() >= MAX_STATES {
            return None;
        }
        self.states.push(state);
        Some(self.states.len() - 1)
    }

    /// The state from which `hir` leads to `next`. As deep as patterns nest.
    fn add(&mut self, hir: &Hir, next: usize) -> Option<usize> {
        match hir.kind() {
            HirKind::Empty => Some(next),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).ok()?;
                text.chars().rev().try_fold(next, |next, c| self.push(State::Step(vec![(c, c)], next)))
            }
            HirKind::Class(Class::Unicode(class)) => {
                let ranges = class.iter().map(|range| (range.start(), range.end())).collect();
                self.push(State::Step(ranges, next))
            }
            HirKind::Class(Class::Bytes(class)) => {
                let ranges: Option<Vec<_>> = class
                    .iter()
                    .map(|range| (range.end() < 128).then(|| (char::from(range.start()), char::from(range.end()))))
                    .collect();
                self.push(State::Step(ranges?, next))
            }
            HirKind::Look(look) => self.push(State::Look(*look, next)),
            HirKind::Repetition(repetition) => {
                let (min, max) = (repetition.min, repetition.max);
                if min.max(max.unwrap_or(0)) as usize > MAX_STATES {
                    return None;
                }
                let mut next = match max {
                    None => {
                        let fork = self.push(State::Fork(Vec::new()))?;
                        let body = self.add(&repetition.sub, fork)?;
                        if let Some(State::Fork(targets)) = self.states.get_mut(fork) {
                            targets.extend([body, next]);
                        }
                        fork
                    }
                    Some(max) => {
                        let end = next;
                        (min..max).try_fold(next, |next, _| {
                            let body = self.add(&repetition.sub, next)?;
                            self.push(State::Fork(vec![body, end]))
                        })?
                    }
                };
                for _ in 0..min {
                    next = self.add(&repetition.sub, next)?;
                }
                Some(next)
            }
            HirKind::Capture(capture) => self.add(&capture.sub, next),
            HirKind::Concat(parts) => parts.iter().rev().try_fold(next, |next, part| self.add(part, next)),
            HirKind::Alternation(parts) => {
                let starts: Option<Vec<usize>> = parts.iter().map(|part| self.add(part, next)).collect();
                self.push(State::Fork(starts?))
            }
        }
    }

    /// Before the first character.
    pub(super) fn begin(&self) -> Progress {
        Progress { states: vec![self.start], before: None, done: false }
    }

    /// After one more character.
    pub(super) fn step(&self, progress: &Progress, c: char) -> Progress {
        if progress.done {
            return progress.clone();
        }
        let (reached, done) = self.reach(progress, Some(Side::of(c)));
        if done {
            return Progress { states: Vec::new(), before: None, done: true };
        }
        let mut states: Vec<usize> = reached
            .into_iter()
            .filter_map(|state| match self.states.get(state) {
                Some(State::Step(ranges, next)) if within(ranges, c) => Some(*next),
                _ => None,
            })
            .collect();
        // A search may begin anywhere.
        states.push(self.start);
        states.sort_unstable();
        states.dedup();
        let before = self.looks().then(|| Side::of(c));
        Progress { states, before: before.or(Some(Side { ascii_word: false, word: false })), done: false }
    }

    /// Whether the text that ends here matches.
    pub(super) fn accepts(&self, progress: &Progress) -> bool {
        progress.done || self.reach(progress, None).1
    }

    /// Whether the pattern is found in a text.
    pub(super) fn is_match(&self, text: &str) -> bool {
        let end = text.chars().fold(self.begin(), |progress, c| self.step(&progress, c));
        self.accepts(&end)
    }

    fn looks(&self) -> bool {
        self.states.iter().any(|state| matches!(state, State::Look(..)))
    }

    /// The states that are reached without a character, and whether the end is among them.
    fn reach(&self, progress: &Progress, after: Option<Side>) -> (Vec<usize>, bool) {
        let mut seen = vec![false; self.states.len()];
        let mut stack = progress.states.clone();
        let mut reached = Vec::new();
        while let Some(state) = stack.pop() {
            match seen.get_mut(state) {
                Some(known) if !*known => *known = true,
                _ => continue,
            }
            match self.states.get(state) {
                Some(State::Fork(targets)) => stack.extend(targets),
                Some(State::Look(look, next)) if sees(*look, progress.before, after) => stack.push(*next),
                Some(State::Step(..)) => reached.push(state),
                Some(State::Done) => return (Vec::new(), true),
                _ => {}
            }
        }
        (reached, false)
    }

    /// Adds the places in the alphabet where any class begins or has just ended.
    pub(super) fn cuts(&self, cuts: &mut Vec<u32>) {
        for state in &self.states {
            if let State::Step(ranges, _) = state {
                cuts.extend(ranges.iter().flat_map(|(first, last)| [u32::from(*first), u32::from(*last) + 1]));
            }
        }
        if self.states.iter().any(|state| matches!(state, State::Look(look, _) if is_word_look(*look))) {
            let words = [('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
            cuts.extend(words.iter().flat_map(|(first, last)| [u32::from(*first), u32::from(*last) + 1]));
            if let Some(class) = ParserBuilder::new().build().parse(r"\w").ok().as_ref()
                && let HirKind::Class(Class::Unicode(class)) = class.kind()
            {
                cuts.extend(class.iter().flat_map(|range| [u32::from(range.start()), u32::from(range.end()) + 1]));
            }
        }
    }

    /// What the pattern can tell about a character: for two of the same signature it can't tell which.
    pub(super) fn signature(&self, c: char, signature: &mut Vec<u8>) {
        for state in &self.states {
            if let State::Step(ranges, _) = state {
                signature.push(u8::from(within(ranges, c)));
            }
        }
        if self.looks() {
            let side = Side::of(c);
            signature.extend([u8::from(side.ascii_word), u8::from(side.word)]);
            signature.extend([u8::from(c == '\n'), u8::from(c == '\r')]);
        }
    }

    /// Looks that this file does not run: those at line ends, which need a flag that JSON Schema has no place for.
    pub(super) fn is_exact(&self) -> bool {
        self.states.iter().all(|state| match state {
            State::Look(look, _) => matches!(look, Look::Start | Look::End) || is_word_look(*look),
            _ => true,
        })
    }
}

fn within(ranges: &[(char, char)], c: char) -> bool {
    let at = ranges.partition_point(|(_, last)| *last < c);
    ranges.get(at).is_some_and(|(first, _)| *first <= c)
}

fn is_word_look(look: Look) -> bool {
    matches!(look, Look::WordAscii | Look::WordAsciiNegate | Look::WordUnicode | Look::WordUnicodeNegate)
}

fn sees(look: Look, before: Option<Side>, after: Option<Side>) -> bool {
    let unicode = |side: Option<Side>| side.is_some_and(|side| side.word);
    let ascii = |side: Option<Side>| side.is_some_and(|side| side.ascii_word);
    match look {
        Look::Start => before.is_none(),
        Look::End => after.is_none(),
        Look::WordAscii => ascii(before) != ascii(after),
        Look::WordAsciiNegate => ascii(before) == ascii(after),
        Look::WordUnicode => unicode(before) != unicode(after),
        Look::WordUnicodeNegate => unicode(before) == unicode(after),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_as_the_validator_has_it() {
        let patterns = [
            "a",
            "^a$",
            "^a|b$",
            "(^a|b)c",
            "^$",
            "",
            "a{2,3}",
            "^(ab)*$",
            r"\d",
            r"\bfoo\b",
            r"\Bx",
            "^[^a]+$",
            r"\w+\s",
            "^(a|b)*abb$",
            "x?$",
            r"^\p{L}+$",
            "a.c",
            "$a",
            "a^b",
        ];
        let texts = [
            "", "a", "b", "ab", "abb", "bc", "xbc", "ac", "aaa", "foo", "a foo b", "xfoo", "٣", "3", "é", "a\nc", "ax",
            "-x",
        ];
        for pattern in patterns {
            let validator = crate::Validator::new(&serde_json::json!({ "pattern": pattern })).unwrap();
            let compiled = Pattern::new(pattern).unwrap();
            assert!(compiled.is_exact());
            for text in texts {
                assert_eq!(compiled.is_match(text), validator.is_valid(&text.into()), "{pattern} on {text:?}");
            }
        }
        for refused in ["(?=a)", r"(a)\1", "(a{1000}){1000}"] {
            assert!(Pattern::new(refused).is_none(), "{refused}");
        }
    }
}
