//! Alternatives that a property tells apart: one of them is run, and not each.

use super::{
    canon::{self, Choice},
    node::{Branches, Id, Node, ObjectRules, kind},
    scan::{self, Span},
    table::Table,
};

/// The alternatives of a `oneOf` or `anyOf`, by the text of a property that each of them demands: the others refuse
/// every object of that text.
#[derive(Debug)]
pub(super) struct Tagged {
    name: Box<str>,
    texts: Table,
    /// By the number of the text.
    alternatives: Vec<Id>,
}

/// The alternatives of a `oneOf` or `anyOf` of which each takes other kinds of values, as in a type that may be null.
#[derive(Debug)]
pub(super) struct ByKind {
    /// By the kind's bit.
    alternatives: [Option<Id>; 7],
}

impl ByKind {
    pub(super) fn of(nodes: &[Node], branches: &Branches) -> Option<Self> {
        let mut by_kind = Self { alternatives: [None; 7] };
        for id in alternatives(branches)? {
            let mut kinds = node(nodes, *id)?.kinds;
            // An integer is told from other numbers by more than its first byte.
            if kinds & kind::NUMBER != 0 {
                kinds |= kind::NUMBER;
            }
            for (bit, slot) in by_kind.alternatives.iter_mut().enumerate() {
                if kinds >> bit & 1 == 1 && slot.replace(*id).is_some() {
                    return None;
                }
            }
        }
        Some(by_kind)
    }

    /// The alternative for a value that starts with this byte.
    #[inline]
    pub(super) fn choose(&self, first: u8) -> Chosen {
        let kind = match first {
            b'"' => kind::STRING,
            b'{' => kind::OBJECT,
            b'[' => kind::ARRAY,
            b't' | b'f' => kind::BOOLEAN,
            b'n' => kind::NULL,
            _ => kind::INTEGER,
        };
        self.of_kind(kind).map_or(Chosen::None, Chosen::Only)
    }

    /// The alternative for values of a kind.
    #[inline]
    pub(super) fn of_kind(&self, kind: u8) -> Option<Id> {
        self.alternatives.get(kind.trailing_zeros() as usize).copied().flatten()
    }
}

/// Which alternative a value can only be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    Only(Id),
    None,
    /// The tag does not tell.
    Open,
}

impl Tagged {
    /// Of a node's alternatives, if a property tells them apart.
    pub(super) fn of(nodes: &[Node], branches: &Branches) -> Option<Self> {
        let objects: Vec<Id> = alternatives(branches)?.iter().copied().filter(|id| takes_objects(nodes, *id)).collect();
        let first = rules_of(nodes, *objects.first()?)?;
        (0..first.table.len()).find_map(|slot| Self::by(nodes, &objects, first.table.name(slot)?))
    }

    fn by(nodes: &[Node], alternatives: &[Id], name: &str) -> Option<Self> {
        let mut texts: Vec<Box<str>> = Vec::new();
        let mut ids = Vec::new();
        for id in alternatives {
            let rules = rules_of(nodes, *id)?;
            let slot = rules.table.find(name.as_bytes())?;
            let required = rules.required.get(slot / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1);
            let value = nodes.get(rules.properties.get(slot).copied().flatten()? as usize)?;
            let values = value.values.as_deref()?;
            let allowed = values.constant.as_ref().or(values.one_of.as_ref()).and_then(Choice::only_texts)?;
            if !required {
                return None;
            }
            for text in allowed {
                if texts.iter().any(|known| **known == *text) {
                    return None;
                }
                texts.push(text.into());
                ids.push(*id);
            }
        }
        Some(Self { name: name.into(), texts: Table::new(texts), alternatives: ids })
    }

    /// The alternative of the object at `at`.
    pub(super) fn choose(&self, text: &str, at: usize, depth: usize) -> Chosen {
        if text.as_bytes().get(at) != Some(&b'{') {
            return Chosen::Open;
        }
        match self.tag(text, at, depth) {
            Ok(Some(tag)) => self.alternative(text, tag).map_or(Chosen::None, Chosen::Only),
            Ok(None) => Chosen::None,
            Err(Unclear) => Chosen::Open,
        }
    }

    /// The tag of the object at `at`, and its alternative; none where the tag is another property.
    pub(super) fn find(&self, text: &str, at: usize, depth: usize, name: &str) -> Option<(Span, Id)> {
        if *self.name != *name || text.as_bytes().get(at) != Some(&b'{') {
            return None;
        }
        let tag = self.tag(text, at, depth).ok()??;
        Some((tag, self.alternative(text, tag)?))
    }

    fn alternative(&self, text: &str, tag: Span) -> Option<Id> {
        self.alternatives.get(self.texts.find(canon::plain(text, tag).as_bytes())?).copied()
    }

    /// The first tag, if it is a text. A later member of this name would fail the alternative, which asks the same of every
    /// one.
    fn tag(&self, text: &str, at: usize, depth: usize) -> Result<Option<Span>, Unclear> {
        let bytes = text.as_bytes();
        let mut at = scan::space(bytes, at + 1);
        let mut more = bytes.get(at) != Some(&b'}');
        while more {
            let name = scan::string_at(bytes, at).filter(|name| !name.escaped).ok_or(Unclear)?;
            let place = scan::colon(bytes, name.end + 1).ok_or(Unclear)?;
            if bytes.get(name.start..name.end) == Some(self.name.as_bytes()) {
                return Ok(scan::string_at(bytes, place));
            }
            let end = scan::value(bytes, place, depth + 1).ok_or(Unclear)?;
            (at, more) = scan::next(bytes, end, b'}').ok_or(Unclear)?;
        }
        Ok(None)
    }
}

/// The bytes are no object, or one that has to be looked at more closely.
struct Unclear;

fn alternatives(branches: &Branches) -> Option<&[Id]> {
    match (branches.one_of.as_slice(), branches.any_of.as_slice()) {
        (all @ [_, _, ..], []) | ([], all @ [_, _, ..]) => Some(all),
        _ => None,
    }
}

/// The node, or the one that asks the same in one sweep.
fn node(nodes: &[Node], id: Id) -> Option<&Node> {
    let node = nodes.get(id as usize)?;
    node.merged.map_or(Some(node), |merged| nodes.get(merged as usize))
}

fn takes_objects(nodes: &[Node], id: Id) -> bool {
    node(nodes, id).is_none_or(|node| node.kinds & kind::OBJECT != 0)
}

fn rules_of(nodes: &[Node], id: Id) -> Option<&ObjectRules> {
    node(nodes, id)?.object.as_deref()
}
