//! Texts that keep all rules at once: bounds of length and patterns, by walking the product of their automata.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    rc::Rc,
};

use super::{
    exact::{Exact, Table},
    pattern::{Pattern, Progress},
    solve::{Found, Solver},
};

/// The longest text that is written out without a pattern.
const MAX_LENGTH: u64 = 20_000;
/// The most states of a product.
const MAX_STATES: usize = 20_000;
/// The most places of texts of all lengths, when a text must be longer than the way to its end.
const MAX_LAYERED: usize = 400_000;
/// So many known ways cost what it costs to find one.
const KNOWN_WAYS: usize = 16;

/// What is asked of a text.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub(super) min: u64,
    pub(super) max: Option<u64>,
    pub(super) patterns: Vec<(Rc<Pattern>, bool)>,
    pub(super) excluded: BTreeSet<String>,
}

/// Where a text is in all automata; the last part is how far it is in the excluded texts.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    patterns: Vec<Progress>,
    /// The text so far, as long as an excluded one begins with it.
    prefix: Option<String>,
}

/// The places that texts lead to, whatever their length.
#[derive(Default)]
struct Graph {
    /// How each was reached first.
    origins: Vec<Option<(usize, char)>>,
    accepting: Vec<bool>,
    ways: Vec<Vec<(char, usize)>>,
}

impl Texts {
    /// Up to `want` texts, short ones first.
    pub(super) fn solve(mut self, want: usize, solver: &mut Solver<'_>) -> Found {
        let mut found = Found::none();
        if self.max.is_some_and(|max| self.min > max) {
            return found;
        }
        if self.patterns.is_empty() {
            return self.plain(want, solver);
        }
        let alphabet = self.alphabet();
        while found.values.len() < want {
            match self.short(&alphabet, solver) {
                Ok(Some(text)) => {
                    self.excluded.insert(text.clone());
                    found.values.push(Exact::Text(text));
                }
                Ok(None) => return found,
                Err(()) => {
                    found.complete = false;
                    return found;
                }
            }
        }
        found.complete = false;
        found
    }

    /// One character for each that the automata can't tell apart; letters and digits where there is a choice.
    fn alphabet(&self) -> Vec<char> {
        let mut cuts = vec![0, u32::from('a'), 0xD800, 0xE000, 0x11_0000];
        for (pattern, _) in &self.patterns {
            pattern.cuts(&mut cuts);
        }
        let special: BTreeSet<char> = self.excluded.iter().flat_map(|text| text.chars()).collect();
        cuts.extend(special.iter().flat_map(|c| [u32::from(*c), u32::from(*c) + 1]));
        cuts.extend([u32::from('0'), u32::from('A')]);
        cuts.sort_unstable();
        cuts.dedup();
        let mut letters: Vec<char> = cuts.into_iter().filter_map(char::from_u32).collect();
        // A tie goes to the letter that reads best.
        letters.sort_by_key(|c| (!c.is_ascii_lowercase(), !c.is_ascii_alphanumeric(), !c.is_ascii_graphic(), *c));
        let mut seen = HashSet::new();
        letters.retain(|c| {
            let mut signature = Vec::new();
            for (pattern, _) in &self.patterns {
                pattern.signature(*c, &mut signature);
            }
            special.contains(c) || seen.insert(signature)
        });
        letters
    }

    /// A short text that keeps every rule; an error when the work is too much.
    fn short(&self, alphabet: &[char], solver: &mut Solver<'_>) -> Result<Option<String>, ()> {
        let start = Place {
            patterns: self.patterns.iter().map(|(pattern, _)| pattern.begin()).collect(),
            prefix: Some(String::new()),
        };
        let mut graph = Graph::default();
        graph.add(None, self.accepts(&start));
        let mut known: Table<Place, usize> = [(start.clone(), 0)].into_iter().collect();
        let mut queue = VecDeque::from([(start, 0_usize, 0_u64)]);
        // Something is left for the rest, which may do without this text.
        let mut left = solver.left() / 2;
        let mut whole = true;
        'places: while let Some((place, number, length)) = queue.pop_front() {
            if length >= self.min && graph.accepting[number] {
                return Ok(Some(spell(&graph.origins, number)));
            }
            if self.max.is_some_and(|max| length >= max) {
                continue;
            }
            for c in alphabet {
                if left == 0 || !solver.step(1) {
                    whole = false;
                    break 'places;
                }
                left -= 1;
                let next = self.step(&place, *c);
                if self.is_dead(&next) {
                    continue;
                }
                if let Some(next) = known.get(&next) {
                    graph.ways[number].push((*c, *next));
                    continue;
                }
                if known.len() >= MAX_STATES {
                    whole = false;
                    break 'places;
                }
                let added = graph.add(Some((number, *c)), self.accepts(&next));
                graph.ways[number].push((*c, added));
                known.insert(next.clone(), added);
                queue.push_back((next, added, length + 1));
            }
        }
        match self.long(&graph, left, solver) {
            Ok(None) if !whole => Err(()),
            found => found,
        }
    }

    /// A text of the least length or more that goes through some places more than once.
    fn long(&self, graph: &Graph, left: u64, solver: &mut Solver<'_>) -> Result<Option<String>, ()> {
        let leads = graph.leads_to_an_end();
        if !leads[0] {
            return Ok(None);
        }
        let Ok(min) = usize::try_from(self.min) else { return Err(()) };
        let mut left = usize::try_from(left).unwrap_or(usize::MAX).saturating_mul(KNOWN_WAYS);
        // For each length the places where a text of it may be, each with the place before it.
        let mut layers: Vec<Table<usize, (usize, char)>> = vec![[(0, (0, ' '))].into_iter().collect()];
        let mut places = 1;
        loop {
            let length = layers.len() - 1;
            let Some(layer) = layers.last() else { return Err(()) };
            let mut here: Vec<usize> = layer.keys().copied().collect();
            here.sort_unstable();
            if length >= min
                && let Some(end) = here.iter().find(|place| graph.accepting[**place])
            {
                return Ok(Some(spell_layers(&layers, *end)));
            }
            if self.max.is_some_and(|max| length as u64 >= max) {
                return Ok(None);
            }
            let mut next: Table<usize, (usize, char)> = Table::default();
            let mut walked = 0;
            for place in here {
                for (c, to) in graph.ways[place].iter().filter(|(_, to)| leads[*to]) {
                    walked += 1;
                    next.entry(*to).or_insert((place, *c));
                }
            }
            if next.is_empty() {
                return Ok(None);
            }
            places += next.len();
            if places > MAX_LAYERED || walked > left || !solver.step((walked / KNOWN_WAYS) as u64 + 1) {
                return Err(());
            }
            left -= walked;
            layers.push(next);
        }
    }

    /// Without patterns: `a`s, with another letter at the end where more than one text is wanted.
    fn plain(&self, want: usize, solver: &mut Solver<'_>) -> Found {
        let Ok(base) = usize::try_from(self.min) else { return Found::unknown() };
        if self.min > MAX_LENGTH {
            return Found::unknown();
        }
        let mut found = Found::none();
        let longer = self.max.is_none_or(|max| max > self.min);
        if base == 0 && !self.excluded.contains("") {
            found.values.push(Exact::Text(String::new()));
        }
        if base == 0 && !longer {
            return found;
        }
        found.complete = false;
        // More texts than are excluded: enough of them are free.
        let letters = ('a'..='z').chain('\u{4e00}'..='\u{9fff}').take(self.excluded.len().saturating_add(want));
        for letter in letters {
            let lengths = if longer { base.max(1)..=base + 1 } else { base..=base };
            for length in lengths {
                if found.values.len() >= want || !solver.step(1) {
                    return found;
                }
                let mut text = "a".repeat(length - 1);
                text.push(letter);
                if !self.excluded.contains(&text) {
                    found.values.push(Exact::Text(text));
                }
            }
        }
        found
    }

    fn step(&self, place: &Place, c: char) -> Place {
        let patterns = self.patterns.iter().zip(&place.patterns).map(|((pattern, _), at)| pattern.step(at, c));
        let prefix = place.prefix.as_ref().map(|prefix| format!("{prefix}{c}"));
        Place {
            patterns: patterns.collect(),
            prefix: prefix.filter(|prefix| self.excluded.iter().any(|text| text.starts_with(prefix.as_str()))),
        }
    }

    /// Whether a text that ends there keeps all rules but those of length.
    fn accepts(&self, place: &Place) -> bool {
        !place.prefix.as_ref().is_some_and(|prefix| self.excluded.contains(prefix))
            && self.patterns.iter().zip(&place.patterns).all(|((pattern, holds), at)| pattern.accepts(at) == *holds)
    }

    /// A text that matched a forbidden pattern for good.
    fn is_dead(&self, place: &Place) -> bool {
        self.patterns.iter().zip(&place.patterns).any(|((_, holds), at)| !holds && at.is_done())
    }
}

impl Graph {
    fn add(&mut self, origin: Option<(usize, char)>, accepting: bool) -> usize {
        self.origins.push(origin);
        self.accepting.push(accepting);
        self.ways.push(Vec::new());
        self.origins.len() - 1
    }

    /// From which places a text can come to an end.
    fn leads_to_an_end(&self) -> Vec<bool> {
        let mut back: Vec<Vec<usize>> = vec![Vec::new(); self.ways.len()];
        for (from, ways) in self.ways.iter().enumerate() {
            for (_, to) in ways {
                back[*to].push(from);
            }
        }
        let mut leads = self.accepting.clone();
        let mut found: Vec<usize> = (0..leads.len()).filter(|place| leads[*place]).collect();
        while let Some(place) = found.pop() {
            for &from in &back[place] {
                if !std::mem::replace(&mut leads[from], true) {
                    found.push(from);
                }
            }
        }
        leads
    }
}

fn spell_layers(layers: &[Table<usize, (usize, char)>], end: usize) -> String {
    let (mut place, mut letters) = (end, Vec::new());
    for layer in layers.iter().skip(1).rev() {
        let Some((before, c)) = layer.get(&place) else { break };
        letters.push(*c);
        place = *before;
    }
    letters.iter().rev().collect()
}

fn spell(origins: &[Option<(usize, char)>], mut number: usize) -> String {
    let mut letters = Vec::new();
    while let Some(Some((before, c))) = origins.get(number) {
        letters.push(*c);
        number = *before;
    }
    letters.iter().rev().collect()
}
