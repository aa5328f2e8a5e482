//! JSON values by what they mean: numbers by value, members by name. For `const`, `enum` and `uniqueItems`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::Value;

use super::{
    decimal::{Bound, Decimal},
    scan::{self, Span},
    table::Table,
};

/// A value that equals each other text of the same value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Canon {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(String),
    Array(Vec<Canon>),
    Object(BTreeMap<String, Canon>),
}

impl Canon {
    /// As deep as the value nests.
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(Decimal::parse(&number.to_string())),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::Array(items.iter().map(Self::of).collect()),
            Value::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (name.clone(), Self::of(value))).collect())
            }
        }
    }

    /// The value that starts at `at`, and where it ends. Of members of the same name the last one counts. As deep as
    /// the value nests.
    pub(super) fn read(text: &str, at: usize, depth: usize) -> Option<(Self, usize)> {
        let bytes = text.as_bytes();
        if depth > scan::MAX_DEPTH {
            return None;
        }
        Some(match *bytes.get(at)? {
            b'n' => (Self::Null, scan::word(bytes, at, b"null")?),
            b't' => (Self::Bool(true), scan::word(bytes, at, b"true")?),
            b'f' => (Self::Bool(false), scan::word(bytes, at, b"false")?),
            b'"' => {
                let span = scan::string(bytes, at)?;
                (Self::Text(plain(text, span).into_owned()), span.end + 1)
            }
            b'[' => {
                let mut items = Vec::new();
                let mut at = scan::space(bytes, at + 1);
                if bytes.get(at) == Some(&b']') {
                    return Some((Self::Array(items), at + 1));
                }
                loop {
                    let (item, end) = Self::read(text, at, depth + 1)?;
                    items.push(item);
                    let (next, more) = scan::next(bytes, end, b']')?;
                    at = next;
                    if !more {
                        break (Self::Array(items), at);
                    }
                }
            }
            b'{' => {
                let mut members = BTreeMap::new();
                let mut at = scan::space(bytes, at + 1);
                if bytes.get(at) == Some(&b'}') {
                    return Some((Self::Object(members), at + 1));
                }
                loop {
                    let name = scan::string_at(bytes, at)?;
                    let (value, end) = Self::read(text, scan::colon(bytes, name.end + 1)?, depth + 1)?;
                    members.insert(plain(text, name).into_owned(), value);
                    let (next, more) = scan::next(bytes, end, b'}')?;
                    at = next;
                    if !more {
                        break (Self::Object(members), at);
                    }
                }
            }
            _ => {
                let digits = scan::number(bytes, at)?;
                (Self::Number(Decimal::read(bytes.get(at..digits.end)?)), digits.end)
            }
        })
    }
}

/// What stands between the quotes of a string, without its escapes.
#[inline]
pub(super) fn plain(text: &str, span: Span) -> Cow<'_, str> {
    let raw = text.get(span.start..span.end).unwrap_or_default();
    if span.escaped { Cow::Owned(scan::unescape(raw)) } else { Cow::Borrowed(raw) }
}

/// The values of an `enum` or a `const`, to be looked up.
#[derive(Debug)]
pub(super) struct Choice {
    null: bool,
    yes: bool,
    no: bool,
    texts: Table,
    numbers: Vec<Bound>,
    /// Arrays and objects.
    nested: Vec<Canon>,
}

impl Choice {
    pub(super) fn of<'a>(values: impl Iterator<Item = &'a Value>) -> Self {
        let mut choice = Self {
            null: false,
            yes: false,
            no: false,
            texts: Table::default(),
            numbers: Vec::new(),
            nested: Vec::new(),
        };
        let mut texts: Vec<Box<str>> = Vec::new();
        for value in values {
            match value {
                Value::Null => choice.null = true,
                Value::Bool(true) => choice.yes = true,
                Value::Bool(false) => choice.no = true,
                Value::Number(number) => choice.numbers.push(Bound::parse(&number.to_string())),
                Value::String(text) => texts.push(text.as_str().into()),
                Value::Array(_) | Value::Object(_) => choice.nested.push(Canon::of(value)),
            }
        }
        texts.sort();
        texts.dedup();
        choice.texts = Table::new(texts);
        choice
    }

    /// The texts, if there is nothing else to choose from.
    pub(super) fn only_texts(&self) -> Option<impl Iterator<Item = &str>> {
        let others = self.null || self.yes || self.no || !self.numbers.is_empty() || !self.nested.is_empty();
        (!others).then(|| (0..self.texts.len()).filter_map(|text| self.texts.name(text)))
    }

    /// Whether a string of the text is one of them.
    #[inline]
    pub(super) fn holds_string(&self, text: &str, span: Span) -> bool {
        if span.escaped {
            return self.texts.find(plain(text, span).as_bytes()).is_some();
        }
        text.as_bytes().get(span.start..span.end).is_some_and(|raw| self.texts.find(raw).is_some())
    }

    /// Whether the value at `at`, which ends at `end`, is one of them.
    #[inline]
    pub(super) fn holds(&self, text: &str, at: usize, end: usize, depth: usize) -> bool {
        let bytes = text.as_bytes();
        match bytes.get(at) {
            Some(b'n') => self.null,
            Some(b't') => self.yes,
            Some(b'f') => self.no,
            Some(b'"') => scan::string(bytes, at).is_some_and(|span| self.holds_string(text, span)),
            Some(b'[' | b'{') => {
                !self.nested.is_empty()
                    && Canon::read(text, at, depth).is_some_and(|(value, _)| self.nested.contains(&value))
            }
            _ => {
                let number = bytes.get(at..end).unwrap_or_default();
                let short = scan::number(bytes, at).and_then(|digits| digits.short);
                self.numbers.iter().any(|known| known.against(short, number).is_eq())
            }
        }
    }
}

/// Whether no text of an array equals another one; none where it has other items, or texts with escapes.
fn plain_texts_are_unique(bytes: &[u8], at: usize) -> Option<bool> {
    /// So many texts are compared each with each other.
    const FEW: usize = 8;
    let mut few: [&[u8]; FEW] = [&[]; FEW];
    let mut all = Vec::new();
    let mut count = 0;
    let mut unique = true;
    let mut at = scan::space(bytes, at + 1);
    loop {
        let span = scan::string_at(bytes, at).filter(|span| !span.escaped)?;
        let text = bytes.get(span.start..span.end)?;
        if let Some(slot) = few.get_mut(count) {
            *slot = text;
            unique &= !few.iter().take(count).any(|earlier| *earlier == text);
        } else {
            if count == FEW {
                all.extend(few);
            }
            all.push(text);
        }
        count += 1;
        let (next, more) = scan::next(bytes, span.end + 1, b']')?;
        at = next;
        if !more {
            break;
        }
    }
    all.sort_unstable();
    Some(unique && all.windows(2).all(|pair| pair.first() != pair.last()))
}

/// Whether no item of the array at `at` equals another one. The array is known to be JSON.
pub(super) fn is_unique(text: &str, at: usize, depth: usize) -> bool {
    if let Some(unique) = plain_texts_are_unique(text.as_bytes(), at) {
        return unique;
    }
    let Some((Canon::Array(mut items), _)) = Canon::read(text, at, depth) else { return true };
    items.sort_unstable();
    items.windows(2).all(|pair| pair.first() != pair.last())
}

/// Where the value at `at` ends, if no object in it has members of the same name.
pub(super) fn end_without_repeats(bytes: &[u8], at: usize, depth: usize) -> Option<usize> {
    /// So many names are compared each with each other.
    const FEW: usize = 24;
    let close = match *bytes.get(at)? {
        b'[' => b']',
        b'{' => b'}',
        _ => return scan::value(bytes, at, depth),
    };
    if depth >= scan::MAX_DEPTH {
        return None;
    }
    let mut few = [(0, 0); FEW];
    let mut many: BTreeSet<&[u8]> = BTreeSet::new();
    let mut count = 0;
    let mut at = scan::space(bytes, at + 1);
    if bytes.get(at) == Some(&close) {
        return Some(at + 1);
    }
    loop {
        if close == b'}' {
            let span = scan::string_at(bytes, at)?;
            let name = bytes.get(span.start..span.end)?;
            // Two spellings of one name: left to those who look closer.
            if span.escaped {
                return None;
            }
            if count < FEW {
                if few.iter().take(count).any(|(start, end)| bytes.get(*start..*end) == Some(name)) {
                    return None;
                }
                few[count] = (span.start, span.end);
            } else {
                if count == FEW {
                    many.extend(few.iter().filter_map(|(start, end)| bytes.get(*start..*end)));
                }
                if !many.insert(name) {
                    return None;
                }
            }
            count += 1;
            at = scan::colon(bytes, span.end + 1)?;
        }
        let (next, more) = scan::next(bytes, end_without_repeats(bytes, at, depth + 1)?, close)?;
        at = next;
        if !more {
            return Some(at);
        }
    }
}

/// The same text with only the last one of members of the same name; none where there are no such members. The text is
/// known to be JSON.
pub(super) fn without_repeats(text: &str) -> Option<String> {
    let mut out = String::new();
    let at = scan::space(text.as_bytes(), 0);
    let repeats = copy(text, at, &mut out)?.1;
    repeats.then_some(out)
}

/// Appends the value at `at`; gives where it ends, and whether it has members of the same name. As deep as it nests.
fn copy(text: &str, at: usize, out: &mut String) -> Option<(usize, bool)> {
    let bytes = text.as_bytes();
    match *bytes.get(at)? {
        b'[' => {
            let mut repeats = false;
            out.push('[');
            let mut at = scan::space(bytes, at + 1);
            if bytes.get(at) == Some(&b']') {
                out.push(']');
                return Some((at + 1, false));
            }
            loop {
                let (end, inner) = copy(text, at, out)?;
                repeats |= inner;
                let (next, more) = scan::next(bytes, end, b']')?;
                at = next;
                out.push(if more { ',' } else { ']' });
                if !more {
                    return Some((at, repeats));
                }
            }
        }
        b'{' => {
            let mut members: Vec<(Cow<'_, str>, Span, usize)> = Vec::new();
            let start = at;
            let mut at = scan::space(bytes, at + 1);
            let mut more = bytes.get(at) != Some(&b'}');
            if !more {
                at += 1;
            }
            let mut nested = false;
            while more {
                let name = scan::string_at(bytes, at)?;
                let value = scan::colon(bytes, name.end + 1)?;
                nested |= matches!(bytes.get(value), Some(b'[' | b'{'));
                members.push((plain(text, name), name, value));
                (at, more) = scan::next(bytes, scan::value(bytes, value, 0)?, b'}')?;
            }
            let mut order: Vec<usize> = (0..members.len()).collect();
            order.sort_by(|a, b| members[*a].0.cmp(&members[*b].0).then(a.cmp(b)));
            let is_repeat = |pair: &[usize]| matches!(pair, [a, b] if members[*a].0 == members[*b].0);
            let mut repeats = order.windows(2).any(is_repeat);
            if !repeats && !nested {
                out.push_str(text.get(start..at)?);
                return Some((at, false));
            }
            let mut last = vec![true; members.len()];
            for pair in order.windows(2).filter(|pair| is_repeat(pair)) {
                if let Some(earlier) = pair.first().and_then(|first| last.get_mut(*first)) {
                    *earlier = false;
                }
            }
            out.push('{');
            let mut first = true;
            for ((_, name, value), _) in members.iter().zip(&last).filter(|(_, last)| **last) {
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                out.push_str(text.get(name.start - 1..=name.end)?);
                out.push(':');
                repeats |= copy(text, *value, out)?.1;
            }
            out.push('}');
            Some((at, repeats))
        }
        _ => {
            let end = scan::value(bytes, at, 0)?;
            out.push_str(text.get(at..end)?);
            Some((end, false))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn canon(text: &str) -> Canon {
        Canon::read(text, 0, 0).unwrap().0
    }

    #[test]
    fn texts_of_one_value_are_equal() {
        for (a, b) in [
            ("1", "1.0"),
            ("100", "1e2"),
            ("-0", "0.0e5"),
            (r#""é""#, r#""\u00e9""#),
            (r#"{"a":1,"b":[2]}"#, r#"{ "b" : [ 2.0 ], "a": 3, "\u0061": 1 }"#),
        ] {
            assert_eq!(canon(a), canon(b), "{a} {b}");
        }
        for (a, b) in [("1", "true"), ("0", "false"), ("1", "\"1\""), ("[1]", "[1,1]"), ("{}", "[]"), ("0", "null")] {
            assert_ne!(canon(a), canon(b), "{a} {b}");
        }
        assert_eq!(canon(r#"{"a":[null,true,1.50]}"#), Canon::of(&json!({"a": [null, true, 1.5]})));
    }

    #[test]
    fn earlier_members_of_a_name_are_left_out() {
        let same = |text| without_repeats(text).is_none();
        assert!(same("[]") && same(r#"{"a":1,"b":{"a":1}}"#) && same("3"));
        assert_eq!(without_repeats(r#" {"a": 1, "\u0061": 2}"#).unwrap(), r#"{"\u0061":2}"#);
        assert_eq!(
            without_repeats(r#"[{"x":{"b":1,"a":0,"b":{"c":1,"c":2}}}]"#).unwrap(),
            r#"[{"x":{"a":0,"b":{"c":2}}}]"#
        );
        // What the one left out holds does not matter.
        assert_eq!(without_repeats(r#"{"a":{"b":1,"b":2},"a":3}"#).unwrap(), r#"{"a":3}"#);
    }

    #[test]
    fn equal_items_are_found() {
        for (text, unique) in [
            ("[]", true),
            ("[1,2,\"1\",true]", true),
            ("[1,2,1.0]", false),
            ("[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1.0}]", false),
            ("[[1],[1,1],[]]", true),
            (r#"["a","b","c"]"#, true),
            (r#"["a","b","a"]"#, false),
            (r#"["a","b","\u0061"]"#, false),
            (r#"["1","2","3","4","5","6","7","8","9","10"]"#, true),
            (r#"["1","2","3","4","5","6","7","8","9","1"]"#, false),
            (r#"["1","2","3","4","5","6","7","8","9","9"]"#, false),
            (r#"["1","2","3","4","5","6","3","8","9"]"#, false),
        ] {
            assert_eq!(is_unique(text, 0, 0), unique, "{text}");
        }
    }
}
