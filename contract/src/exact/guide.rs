//! A schema's rules for somebody who reads the text: both in one sweep.
//!
//! The reader says which value it has come to, and is told what is asked of the parts. Rules that need more than the
//! one value at hand (`oneOf`, `contains`, ...) are decided ahead, over the bytes of that value alone.
//!
//! A text that gets through keeps every rule. One that does not may still be valid, if members of the same name
//! or deep nesting got in the way: then [`Exact::check`] knows.

use super::{
    Exact, How,
    bits::Bits,
    canon,
    node::{ANY, ArrayRules, Id, Node, ObjectRules, Program},
    run::{FEW_FRAMES, Run},
    scan::{Digits, Span},
    slots::{NOWHERE, Slot, Slots},
    tagged::Chosen,
};

pub use super::node::kind;

/// What is asked of the value that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked(
    /// The number of a node, and above it the kinds of which nothing is asked.
    u32,
);

/// How many bits of an [`Asked`] are a node's: more than there may be nodes.
const NODE_BITS: u32 = 24;

impl Asked {
    /// Every value will do.
    pub const NOTHING: Self = Self::new(ANY, kind::ALL);

    /// A node that has no place does not count as one of which something is free.
    const fn new(node: Id, free: u8) -> Self {
        let free = if node >> NODE_BITS == 0 { free } else { 0 };
        Self(node | (free as u32) << NODE_BITS)
    }

    #[inline]
    fn node(self) -> Id {
        self.0 & ((1 << NODE_BITS) - 1)
    }

    /// Whether every value will do.
    #[inline]
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self.0 >> NODE_BITS == u32::from(kind::ALL)
    }

    /// Whether every value of a kind will do. [`kind::INTEGER`] stands for the numbers that are written without a
    /// fraction and without an exponent, [`kind::FRACTION`] for the others.
    #[inline]
    #[must_use]
    pub fn takes(self, kind: u8) -> bool {
        self.0 & u32::from(kind) << NODE_BITS != 0
    }
}

impl Default for Asked {
    fn default() -> Self {
        Self::NOTHING
    }
}

impl Program {
    /// What a node asks, in one sweep.
    #[inline]
    pub(super) fn asked(&self, id: Id) -> Asked {
        match self.nodes.get(id as usize) {
            Some(node) => Asked::new(node.merged.unwrap_or(id), node.shortcut.free),
            None => Asked::new(id, 0),
        }
    }
}

/// A text breaks a rule, or whether it does can't be told in one sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// The rules of one schema over one text. See [`Exact::guide`].
pub struct Guide<'t> {
    run: Run<'t, false>,
}

/// Which of the names of a reader's list a member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The one at this place.
    At(usize),
    /// One that the rules do not name: the reader may know it, or not.
    Open,
}

/// A member that came as it was expected.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Behind its colon.
    pub end: usize,
    /// What is asked of its value.
    pub asked: Asked,
    /// The place of its name in the reader's list.
    pub place: usize,
}

/// An object that is being read.
#[derive(Debug, Default)]
pub struct Members<'t> {
    rules: Option<&'t ObjectRules>,
    /// None where they are for another reader.
    slots: Option<&'t Slots>,
    /// The slots of names that may be expected: none where more is asked of a member than its name tells.
    names: &'t [Slot],
    /// The slot of the name that comes next most likely.
    next: usize,
    /// The number of the last name that the rules know, which is its slot and one.
    last: usize,
    /// What is asked of the members that no rule names.
    additional: Asked,
    count: u64,
    seen: Bits,
}

impl<'t> Members<'t> {
    #[inline]
    fn follow(&mut self, program: &'t Program, rules: &'t ObjectRules, names: &'static [&'static str]) {
        let slots = rules.slots.get_or_init(|| Slots::new(program, rules, names));
        self.rules = Some(rules);
        self.additional = slots.additional;
        if slots.is_of(names) {
            self.slots = Some(slots);
            self.next = slots.first();
            if slots.by_name {
                self.names = &slots.all;
            }
        }
    }

    /// The member whose name starts at `at` in the text, if it is the one that comes next most often. If not,
    /// [`Guide::member`] knows.
    #[inline]
    pub fn expected(&mut self, text: &[u8], at: usize) -> Option<Expected> {
        let slot = self.names.get(self.next)?;
        let end = slot.end(text, at)?;
        self.seen.set(self.next);
        self.count += 1;
        self.last = self.next + 1;
        self.next = slot.next();
        Some(Expected { end, asked: slot.asked, place: slot.place })
    }
}

/// An array that is being read.
#[derive(Debug, Default)]
pub struct Items<'t> {
    rules: Option<(&'t Program, &'t ArrayRules)>,
    /// What is asked of the items that the rules don't ask for one by one.
    rest: Asked,
    start: usize,
    depth: usize,
}

impl Items<'_> {
    /// What is asked of the item at `index`.
    #[inline]
    #[must_use]
    pub fn item(&self, index: usize) -> Asked {
        let Some((program, rules)) = self.rules else { return Asked::NOTHING };
        rules.prefix.get(index).map_or(self.rest, |id| program.asked(*id))
    }
}

impl Exact {
    /// The rules for somebody who reads `text` on its own, and what is asked of the whole of it; none where the schema
    /// is the library's to check.
    ///
    /// `depth` is everywhere the number of arrays and objects around a value. What was asked of a value must be asked
    /// for by exactly one of [`Guide`]'s functions, unless [`Asked::takes`] says that there is nothing to ask for.
    #[must_use]
    pub fn guide<'t>(&'t self, text: &'t str) -> Option<(Guide<'t>, Asked)> {
        let How::Compiled(program) = &self.how else { return None };
        let guide = Guide { run: Run::new(program, text, FEW_FRAMES) };
        Some((guide, program.asked(program.root)))
    }
}

impl std::fmt::Debug for Guide<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guide").finish_non_exhaustive()
    }
}

impl<'t> Guide<'t> {
    /// The node that asks of the value at `place`: the one that asks the same in one sweep, and of alternatives that the
    /// kind of the value tells apart the one that it can be.
    #[inline]
    fn node(&self, asked: &mut Asked, place: usize) -> Result<&'t Node, Refused> {
        let program: &'t Program = self.run.program;
        loop {
            let mut node = program.nodes.get(asked.node() as usize).ok_or(Refused)?;
            if let Some(merged) = node.merged {
                node = program.nodes.get(merged as usize).ok_or(Refused)?;
            }
            match node.branches.as_deref() {
                Some(branches) if node.is_bare() => match branches.only_by_kind() {
                    Some(by_kind) => match by_kind.choose(*self.run.bytes.get(place).ok_or(Refused)?) {
                        Chosen::Only(id) => *asked = program.asked(id),
                        _ => return Err(Refused),
                    },
                    None => return Ok(node),
                },
                _ => return Ok(node),
            }
        }
    }

    /// Where the value at `place` ends, which keeps all that is asked.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn value(&mut self, asked: Asked, place: usize, depth: usize) -> Result<usize, Refused> {
        let end = self.run.eval(asked.node(), place, depth, None).ok_or(Refused)?;
        if self.run.doubted || self.run.overflow { Err(Refused) } else { Ok(end) }
    }

    /// The string whose opening quote is at `place`.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn string(&mut self, mut asked: Asked, place: usize, span: Span, depth: usize) -> Result<(), Refused> {
        let mut node = self.run.program.nodes.get(asked.node() as usize).ok_or(Refused)?;
        if node.branches.is_some() {
            node = self.node(&mut asked, place)?;
            if node.branches.is_some() {
                return self.value(asked, place, depth).map(drop);
            }
        }
        self.run.kind(node, kind::STRING).ok_or(Refused)?;
        if let Some(rules) = node.text.as_deref() {
            self.run.string(node, rules, span).ok_or(Refused)?;
        }
        self.run.string_values(node, span).ok_or(Refused)
    }

    /// The number at `place`.
    ///
    /// # Errors
    /// [`Refused`].
    #[inline]
    pub fn number(&mut self, asked: Asked, place: usize, digits: Digits, depth: usize) -> Result<(), Refused> {
        if digits.plain
            && let Some(short) = digits.short
            && let Some(node) = self.run.program.nodes.get(asked.node() as usize)
            && node.shortcut.sure.0 <= short.mantissa
            && short.mantissa <= node.shortcut.sure.1
        {
            return Ok(());
        }
        self.any_number(asked, place, digits, depth)
    }

    fn any_number(&mut self, mut asked: Asked, place: usize, digits: Digits, depth: usize) -> Result<(), Refused> {
        let node = self.node(&mut asked, place)?;
        if node.branches.is_some() {
            return self.value(asked, place, depth).map(drop);
        }
        self.run.number(node, place, digits).ok_or(Refused)?;
        self.run.values(node, place, digits.end, depth).ok_or(Refused)
    }

    /// The word at `place`, which is `true`, `false` or `null`.
    ///
    /// # Errors
    /// [`Refused`].
    #[inline]
    pub fn word(&mut self, mut asked: Asked, place: usize, depth: usize) -> Result<(), Refused> {
        let node = self.node(&mut asked, place)?;
        if node.branches.is_some() || node.values.is_some() {
            return self.value(asked, place, depth).map(drop);
        }
        let kind = if self.run.bytes.get(place) == Some(&b'n') { kind::NULL } else { kind::BOOLEAN };
        self.run.kind(node, kind).ok_or(Refused)
    }

    /// The property `name` of the object at `place`, where it alone tells which of several alternatives the object is; and
    /// what is asked of the object then.
    #[must_use]
    pub fn tag(&self, mut asked: Asked, place: usize, depth: usize, name: &str) -> Option<(Span, Asked)> {
        let node = self.node(&mut asked, place).ok()?;
        if node.values.is_some() || node.kinds & kind::OBJECT == 0 || node.object.is_some() {
            return None;
        }
        let (span, id) = node.branches.as_deref()?.only_tagged()?.find(self.run.text, place, depth, name)?;
        Some((span, self.run.program.asked(id)))
    }

    /// The object at `place`, before its members are read; `members`, which are to be new ones, are told what is asked of
    /// them. `names` are those that the reader wants to be told from each other: [`Guide::member`] says which of them a
    /// member is.
    ///
    /// # Errors
    /// [`Refused`].
    #[inline]
    pub fn object(
        &mut self,
        asked: Asked,
        place: usize,
        depth: usize,
        names: &'static [&'static str],
        members: &mut Members<'t>,
    ) -> Result<(), Refused> {
        let program = self.run.program;
        let node = program.nodes.get(asked.node() as usize).filter(|node| node.shortcut.by_member);
        let rules = match node {
            Some(node) => node.object.as_deref(),
            None => self.rules(asked, place, depth)?,
        };
        if let Some(rules) = rules {
            members.follow(program, rules, names);
        }
        Ok(())
    }

    /// The rules for the members of the object at `place`, when all else that is asked of it is kept.
    fn rules(&mut self, mut asked: Asked, place: usize, depth: usize) -> Result<Option<&'t ObjectRules>, Refused> {
        loop {
            let node = self.node(&mut asked, place)?;
            let rules = node.object.as_deref();
            if node.shortcut.by_member {
                return Ok(rules);
            }
            if node.values.is_some() || node.kinds & kind::OBJECT == 0 {
                return self.value(asked, place, depth).map(|_| None);
            }
            if rules.is_some_and(|rules| {
                rules.unevaluated.is_some() || rules.least > 1 || !rules.dependent_schemas.is_empty()
            }) {
                return self.value(asked, place, depth).map(|_| None);
            }
            if let Some(branches) = node.branches.as_deref() {
                if !branches.library.is_empty() {
                    return self.value(asked, place, depth).map(|_| None);
                }
                if rules.is_none()
                    && let Some(tagged) = branches.only_tagged()
                    && let Chosen::Only(id) = tagged.choose(self.run.text, place, depth)
                {
                    asked = self.run.program.asked(id);
                    continue;
                }
                self.run.branches(node, branches, place, place, depth, None).ok_or(Refused)?;
                if self.run.doubted || self.run.overflow {
                    return Err(Refused);
                }
            }
            return Ok(rules);
        }
    }

    /// What is asked of a member, whose name stands at `name` between its quotes and whose value is at `place`; and the
    /// place of its name in the reader's list. [`Known::Open`] where the reader has to look itself.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn member(
        &mut self,
        members: &mut Members<'t>,
        name: Span,
        place: usize,
        depth: usize,
    ) -> Result<(Asked, Known), Refused> {
        let Some(rules) = members.rules else { return Ok((Asked::NOTHING, Known::Open)) };
        members.count += 1;
        let bytes = self.run.bytes;
        let slot = if name.escaped {
            rules.table.find(canon::plain(self.run.text, name).as_bytes())
        } else {
            rules.table.find_after(bytes.get(name.start..name.end).ok_or(Refused)?, members.last)
        };
        let mut asked = None;
        let mut known = Known::Open;
        if let Some(index) = slot {
            members.seen.set(index);
            let last = std::mem::replace(&mut members.last, index + 1);
            if let Some(slots) = members.slots {
                slots.follow(last, index);
                let slot = slots.all.get(index).ok_or(Refused)?;
                members.next = slot.next();
                if slot.place != NOWHERE {
                    known = Known::At(slot.place);
                }
                if slots.by_name {
                    return Ok((slot.asked, known));
                }
            }
            asked = rules.properties.get(index).copied().flatten();
        }
        if !rules.patterns.is_empty() {
            let name = canon::plain(self.run.text, name);
            for (pattern, id) in &rules.patterns {
                if pattern.matches(&name)
                    && let Some(first) = asked.replace(*id)
                {
                    self.value(self.run.program.asked(first), place, depth)?;
                }
            }
        }
        if let Some(id) = rules.names {
            self.value(self.run.program.asked(id), name.start - 1, depth)?;
        }
        Ok((asked.map_or(members.additional, |id| self.run.program.asked(id)), known))
    }

    /// The end of an object.
    ///
    /// # Errors
    /// [`Refused`].
    #[inline]
    pub fn end_of_object(&self, members: &Members<'t>) -> Result<(), Refused> {
        let Some(rules) = members.rules else { return Ok(()) };
        let keeps = members.count >= rules.least
            && rules.most.is_none_or(|most| members.count <= most)
            && members.seen.covers(&rules.required)
            && rules
                .dependent_names
                .iter()
                .all(|(slot, wanted)| !members.seen.has(*slot) || wanted.iter().all(|name| members.seen.has(*name)));
        if keeps { Ok(()) } else { Err(Refused) }
    }

    /// The array at `place`, before its items are read.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn array(&mut self, mut asked: Asked, place: usize, depth: usize) -> Result<Items<'t>, Refused> {
        let node = self.node(&mut asked, place)?;
        let rules = node.array.as_deref();
        if node.values.is_some()
            || node.branches.is_some()
            || node.kinds & kind::ARRAY == 0
            || rules.is_some_and(|rules| rules.contains.is_some() || rules.unevaluated.is_some())
        {
            return self.value(asked, place, depth).map(|_| Items::default());
        }
        let Some(rules) = rules else { return Ok(Items::default()) };
        let program = self.run.program;
        let rest = rules.rest.map_or(Asked::NOTHING, |id| program.asked(id));
        Ok(Items { rules: Some((program, rules)), rest, start: place, depth })
    }

    /// The end of an array of `count` items.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn end_of_array(&self, items: &Items<'t>, count: usize) -> Result<(), Refused> {
        let Some((_, rules)) = items.rules else { return Ok(()) };
        let keeps = count as u64 >= rules.least
            && rules.most.is_none_or(|most| count as u64 <= most)
            && (!rules.unique || count < 2 || canon::is_unique(self.run.text, items.start, items.depth));
        if keeps { Ok(()) } else { Err(Refused) }
    }
}
