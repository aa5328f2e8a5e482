//! A place in a JSON text, and what can be read there.

use std::borrow::Cow;

use celerysalt_contract::exact::{
    guide::{Asked, Expected, Guide, Items, Known, Members, Refused, kind},
    scan::{self, Digits, Short, Span},
};

use super::{
    Json,
    number::{self, Number},
};

/// The deepest nesting that is read: what serde_json reads.
const MAX_DEPTH: u8 = 127;
/// Enums whose variants are told by their looks are tried one after the other. So many bytes may be read again, for each
/// byte of the text and in all, before a text that drives the tries up is given up.
const TRIES_PER_BYTE: usize = 64;
const LEAST_FUEL: usize = 1 << 20;

/// The text does not go on as the type wants. It says nothing more: who needs to know why asks the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch;

impl From<Refused> for Mismatch {
    fn from(_: Refused) -> Self {
        Self
    }
}

/// A place in a JSON text.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    place: usize,
    levels: u8,
    fuel: usize,
    /// The contract's rules, where they are checked on the way.
    guide: Option<Guide<'a>>,
    /// What the contract asks of the value that comes next.
    asked: Asked,
    /// Something was read that the contract does not allow.
    refused: bool,
    /// How many values were read that are not written again as they were read, and that nobody has noted yet.
    inexact: usize,
    /// A property of the next object that is not the object's own: it tells which variant the object is.
    tag: Option<&'static str>,
}

/// What is done with each member of an object: the place of its name in the list that was asked for; without one, where
/// its name stands.
pub type Member<'a, 'f> = dyn FnMut(&mut Reader<'a>, Option<usize>, Name) -> Result<(), Mismatch> + 'f;

/// Where the name of a member stands: [`Reader::name`] reads it.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    start: usize,
    /// Behind it, times two, and one if there is an escape in it.
    end: usize,
}

impl Name {
    /// The name of a member that has a place.
    const KNOWN: Self = Self { start: 0, end: 0 };

    #[inline]
    fn at(span: Span) -> Self {
        Self { start: span.start, end: span.end << 1 | usize::from(span.escaped) }
    }

    #[inline]
    fn span(self) -> Span {
        Span { start: self.start, end: self.end >> 1, escaped: self.end & 1 == 1 }
    }
}

/// Where a reader was.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    place: usize,
    levels: u8,
    inexact: usize,
}

impl<'a> Reader<'a> {
    /// At the beginning of a text.
    pub fn new(text: &'a str) -> Self {
        let fuel = text.len().saturating_mul(TRIES_PER_BYTE).max(LEAST_FUEL);
        Self {
            text,
            place: 0,
            levels: MAX_DEPTH,
            fuel,
            guide: None,
            asked: Asked::NOTHING,
            refused: false,
            inexact: 0,
            tag: None,
        }
    }

    /// The same; all that is read is held against a contract, and reading fails where it is broken.
    pub(super) fn guided(text: &'a str, (guide, asked): (Guide<'a>, Asked)) -> Self {
        Self { guide: Some(guide), asked, ..Self::new(text) }
    }

    /// Nothing but white space is left.
    ///
    /// # Errors
    /// [`Mismatch`] when something is.
    pub fn end(&mut self) -> Result<(), Mismatch> {
        match self.peek() {
            None if self.asked.is_nothing() && !self.refused => Ok(()),
            _ => Err(Mismatch),
        }
    }

    /// How many arrays and objects are around this place, and one more: a contract's rules go one level deeper.
    #[inline]
    fn depth(&self) -> usize {
        usize::from(MAX_DEPTH - self.levels) + 1
    }

    /// What is asked of the value that is read now, if that takes more than a look at its kind.
    #[inline]
    fn take_asked(&mut self, kind: u8) -> Option<(&mut Guide<'a>, Asked)> {
        let asked = std::mem::take(&mut self.asked);
        if asked.takes(kind) {
            return None;
        }
        self.guide.as_mut().map(|guide| (guide, asked))
    }

    /// Holds the whole value that is next against what is asked; nothing is asked of its parts then. Gives its end, if
    /// anything was asked.
    fn settle(&mut self) -> Result<Option<usize>, Mismatch> {
        self.peek();
        let (place, depth) = (self.place, self.depth());
        let asked = std::mem::take(&mut self.asked);
        let Some(guide) = self.guide.as_mut().filter(|_| !asked.is_nothing()) else { return Ok(None) };
        let end = guide.value(asked, place, depth);
        // Whoever tries to read the value as another type finds no more than the first one did.
        self.refused |= end.is_err();
        Ok(Some(end?))
    }

    /// The next byte that is not white space.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        let next = *bytes.get(self.place)?;
        if next > b' ' {
            return Some(next);
        }
        self.place = scan::space(bytes, self.place);
        bytes.get(self.place).copied()
    }

    #[inline]
    fn take(&mut self, wanted: u8) -> Result<(), Mismatch> {
        if self.peek() == Some(wanted) {
            self.place += 1;
            Ok(())
        } else {
            Err(Mismatch)
        }
    }

    /// Whether a string comes next.
    pub(crate) fn at_string(&mut self) -> bool {
        self.peek() == Some(b'"')
    }

    /// `true`, `false` or `null`, if it is next; `N` is how long it is.
    #[inline]
    pub(super) fn word<const N: usize>(&mut self, word: &[u8; N], kind: u8) -> bool {
        self.peek();
        let place = self.place;
        if self.text.as_bytes().get(place..).and_then(<[u8]>::first_chunk) != Some(word) {
            return false;
        }
        let depth = self.depth();
        if let Some((guide, asked)) = self.take_asked(kind)
            && guide.word(asked, place, depth).is_err()
        {
            // Told at the end.
            self.refused = true;
        }
        self.place += N;
        true
    }

    /// Whether `null` was next; it is read then.
    #[inline]
    pub fn null(&mut self) -> bool {
        self.peek() == Some(b'n') && self.word(b"null", kind::NULL)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self) -> Result<bool, Mismatch> {
        match self.peek() {
            Some(b't') if self.word(b"true", kind::BOOLEAN) => Ok(true),
            Some(b'f') if self.word(b"false", kind::BOOLEAN) => Ok(false),
            _ => Err(Mismatch),
        }
    }

    /// A string, borrowed where it holds no escapes.
    ///
    /// # Errors
    /// [`Mismatch`] for anything else, and for a surrogate without its other half, which no Rust string can hold.
    #[inline]
    pub fn string(&mut self) -> Result<Cow<'a, str>, Mismatch> {
        let span = self.asked_span()?;
        self.plain(span)
    }

    /// A string of one's own.
    #[inline]
    pub(super) fn owned_string(&mut self) -> Result<String, Mismatch> {
        let span = self.asked_span()?;
        let raw = self.text.get(span.start..span.end).ok_or(Mismatch)?;
        Ok(if span.escaped { scan::unescape(raw) } else { raw.to_owned() })
    }

    /// A string that keeps what is asked.
    #[inline]
    fn asked_span(&mut self) -> Result<Span, Mismatch> {
        let quote = self.peek();
        let start = self.place;
        let bytes = self.text.as_bytes();
        let end = scan::plain(bytes, start + 1);
        let span = if quote == Some(b'"') && bytes.get(end) == Some(&b'"') {
            self.place = end + 1;
            Span { start: start + 1, end, escaped: false }
        } else {
            self.span()?.1
        };
        let depth = self.depth();
        if let Some((guide, asked)) = self.take_asked(kind::STRING) {
            guide.string(asked, start, span, depth)?;
        }
        Ok(span)
    }

    /// A string, and where it starts; nothing is asked of it.
    #[inline]
    fn span(&mut self) -> Result<(usize, Span), Mismatch> {
        self.peek();
        let start = self.place;
        let span = scan::string_at(self.text.as_bytes(), start).ok_or(Mismatch)?;
        self.place = span.end + 1;
        Ok((start, span))
    }

    #[inline]
    fn plain(&self, span: Span) -> Result<Cow<'a, str>, Mismatch> {
        let raw = self.text.get(span.start..span.end).ok_or(Mismatch)?;
        Ok(if span.escaped { Cow::Owned(scan::unescape(raw)) } else { Cow::Borrowed(raw) })
    }

    /// A number's text.
    pub(super) fn number(&mut self) -> Result<Number<'a>, Mismatch> {
        self.peek();
        let (start, depth) = (self.place, self.depth());
        let digits = scan::number(self.text.as_bytes(), start).ok_or(Mismatch)?;
        if let Some((guide, asked)) = self.take_asked(if digits.plain { kind::INTEGER } else { kind::FRACTION }) {
            guide.number(asked, start, digits, depth)?;
        }
        self.place = digits.end;
        Ok(Number::new(self.text.get(start..digits.end).ok_or(Mismatch)?, digits))
    }

    /// An integer of 64 bits.
    pub(super) fn integer(&mut self) -> Result<i64, Mismatch> {
        self.peek();
        let start = self.place;
        if let Some((value, end)) = scan::short_integer(self.text.as_bytes(), start) {
            let depth = self.depth();
            if let Some((guide, asked)) = self.take_asked(kind::INTEGER) {
                let short = Some(Short { mantissa: value, scale: 0 });
                guide.number(asked, start, Digits { end, plain: true, short }, depth)?;
            }
            self.place = end;
            return Ok(value);
        }
        let number = self.number()?;
        let value = number.to_i64().ok_or(Mismatch)?;
        if !number.is_plain || (value == 0 && number.text.starts_with('-')) {
            self.not_exact();
        }
        Ok(value)
    }

    /// A float.
    pub(super) fn float(&mut self) -> Result<f64, Mismatch> {
        self.peek();
        let start = self.place;
        if let Some((short, end)) = scan::short_fraction(self.text.as_bytes(), start)
            && let Some(value) = number::nearest(short)
        {
            let depth = self.depth();
            if let Some((guide, asked)) = self.take_asked(kind::FRACTION) {
                guide.number(asked, start, Digits { end, plain: false, short: Some(short) }, depth)?;
            }
            self.place = end;
            // So few digits survive in every float.
            return Ok(value);
        }
        let number = self.number()?;
        let value = number.to_f64();
        if !number.is_exact_float(value) {
            self.not_exact();
        }
        Ok(value)
    }

    /// An array, item by item.
    ///
    /// # Errors
    /// [`Mismatch`] for anything else, and whatever `item` refuses.
    pub fn array(&mut self, mut item: impl FnMut(&mut Self, usize) -> Result<(), Mismatch>) -> Result<(), Mismatch> {
        self.peek();
        let (start, depth) = (self.place, self.depth());
        let items = match self.take_asked(kind::ARRAY) {
            Some((guide, asked)) => guide.array(asked, start, depth)?,
            None => Items::default(),
        };
        self.take(b'[')?;
        self.levels = self.levels.checked_sub(1).ok_or(Mismatch)?;
        let mut count = 0;
        if self.peek() == Some(b']') {
            self.place += 1;
        } else {
            loop {
                self.asked = items.item(count);
                item(self, count)?;
                self.read_all()?;
                count += 1;
                match self.peek() {
                    Some(b',') => self.place += 1,
                    Some(b']') => {
                        self.place += 1;
                        break;
                    }
                    _ => return Err(Mismatch),
                }
            }
        }
        if let Some(guide) = &self.guide {
            guide.end_of_array(&items, count)?;
        }
        self.levels += 1;
        Ok(())
    }

    /// Nothing that is asked was left out.
    #[inline]
    fn read_all(&self) -> Result<(), Mismatch> {
        if self.asked.is_nothing() { Ok(()) } else { Err(Mismatch) }
    }

    /// An object, member by member: `member` gets the place of the property in `names`, if it is there, else its name, and
    /// must read its value. A property that comes twice is given twice: the last one counts.
    ///
    /// # Errors
    /// [`Mismatch`] for anything else, and whatever `member` refuses.
    pub fn object(&mut self, names: &'static [&'static str], member: &mut Member<'a, '_>) -> Result<(), Mismatch> {
        self.object_by(names, member)
    }

    /// As [`Reader::object`], compiled for one way to read members.
    pub(super) fn object_by<M>(&mut self, names: &'static [&'static str], member: &mut M) -> Result<(), Mismatch>
    where
        M: FnMut(&mut Self, Option<usize>, Name) -> Result<(), Mismatch> + ?Sized,
    {
        let tag = self.tag.take();
        self.peek();
        let (start, depth) = (self.place, self.depth());
        let mut members = Members::default();
        if let Some((guide, asked)) = self.take_asked(kind::OBJECT) {
            guide.object(asked, start, depth, names, &mut members)?;
        }
        self.members(names, &mut members, tag, member)
    }

    /// The name of a member that has no place in the list that was asked for.
    pub fn name(&self, name: Name) -> Cow<'a, str> {
        self.plain(name.span()).unwrap_or_default()
    }

    #[inline]
    fn members<M>(
        &mut self,
        names: &[&str],
        members: &mut Members<'a>,
        tag: Option<&'static str>,
        member: &mut M,
    ) -> Result<(), Mismatch>
    where
        M: FnMut(&mut Self, Option<usize>, Name) -> Result<(), Mismatch> + ?Sized,
    {
        self.take(b'{')?;
        self.levels = self.levels.checked_sub(1).ok_or(Mismatch)?;
        let mut next = 0;
        if self.peek() == Some(b'}') {
            self.place += 1;
        } else {
            loop {
                let (index, name) = match members.expected(self.text.as_bytes(), self.place) {
                    Some(Expected { end, asked, place }) => {
                        (self.place, self.asked) = (end, asked);
                        (Some(place), Name::KNOWN)
                    }
                    None => self.further_member(names, members, &mut next)?,
                };
                match tag {
                    Some(tag) if self.is_tag(tag, names, index, name) => drop(self.skip()?),
                    _ => member(self, index, name)?,
                }
                self.read_all()?;
                match self.peek() {
                    Some(b',') => {
                        self.place += 1;
                        self.peek();
                    }
                    Some(b'}') => {
                        self.place += 1;
                        break;
                    }
                    _ => return Err(Mismatch),
                }
            }
        }
        if let Some(guide) = &self.guide {
            guide.end_of_object(members)?;
        }
        self.levels += 1;
        Ok(())
    }

    /// A member that came out of order, or that is not known by its name alone: the place of its name in the list, or where
    /// it stands.
    fn further_member(
        &mut self,
        names: &[&str],
        members: &mut Members<'a>,
        next: &mut usize,
    ) -> Result<(Option<usize>, Name), Mismatch> {
        let (_, span) = self.span()?;
        self.take(b':')?;
        self.peek();
        let mut known = Known::Open;
        if let Some(guide) = &mut self.guide {
            (self.asked, known) = guide.member(members, span, self.place, usize::from(MAX_DEPTH - self.levels) + 1)?;
        }
        if let Known::At(index) = known {
            return Ok((Some(index), Name::KNOWN));
        }
        if names.is_empty() {
            return Ok((None, Name::at(span)));
        }
        let index = position(names, &self.plain(span)?, *next);
        *next = index.map_or(*next, |index| index + 1);
        Ok((index, Name::at(span)))
    }

    /// Whether a member is the one that told which variant the object is.
    fn is_tag(&self, tag: &str, names: &[&str], index: Option<usize>, name: Name) -> bool {
        match index {
            Some(index) => names.get(index) == Some(&tag),
            None => self.name(name) == tag,
        }
    }

    /// Reads a property that the schema describes and does not name.
    ///
    /// # Errors
    /// [`Mismatch`] when it is no value of the type.
    pub fn member<T: Json>(&mut self, name: Name, members: &mut impl Extend<(String, T)>) -> Result<(), Mismatch> {
        let name = self.name(name).into_owned();
        members.extend([(name, T::read(self)?)]);
        Ok(())
    }

    /// Goes over the value of a property that nobody wants.
    ///
    /// # Errors
    /// [`Mismatch`] when there is none.
    pub fn ignore(&mut self) -> Result<(), Mismatch> {
        self.skip().map(drop)
    }

    /// Goes over one value of any kind, without recursion: its text.
    ///
    /// # Errors
    /// [`Mismatch`] when there is none.
    pub fn skip(&mut self) -> Result<&'a str, Mismatch> {
        let first = self.peek();
        let start = self.place;
        if first == Some(b'"') {
            self.asked_span()?;
            return self.text.get(start..self.place).ok_or(Mismatch);
        }
        if let Some(end) = self.settle()? {
            self.place = end;
            return self.text.get(start..end).ok_or(Mismatch);
        }
        let outside = self.levels;
        // Whether each array or object that is open is an object, by its level.
        let mut objects: u128 = 0;
        loop {
            match self.peek().ok_or(Mismatch)? {
                b'"' => drop(self.span()?),
                open @ (b'{' | b'[') => {
                    self.place += 1;
                    self.levels = self.levels.checked_sub(1).ok_or(Mismatch)?;
                    objects = (objects << 1) | u128::from(open == b'{');
                    let close = if open == b'{' { b'}' } else { b']' };
                    if self.peek() != Some(close) {
                        if open == b'{' {
                            self.skip_name()?;
                        }
                        continue;
                    }
                    self.place += 1;
                    self.levels += 1;
                    objects >>= 1;
                }
                b't' | b'f' => {
                    self.boolean()?;
                }
                b'n' if self.null() => (),
                _ => {
                    self.number()?;
                }
            }
            // Behind a value: what is open closes, or goes on.
            loop {
                if self.levels == outside {
                    return self.text.get(start..self.place).ok_or(Mismatch);
                }
                let in_object = objects & 1 == 1;
                match self.peek() {
                    Some(b',') => {
                        self.place += 1;
                        if in_object {
                            self.skip_name()?;
                        }
                        break;
                    }
                    Some(b'}') if in_object => (),
                    Some(b']') if !in_object => (),
                    _ => return Err(Mismatch),
                }
                self.place += 1;
                self.levels += 1;
                objects >>= 1;
            }
        }
    }

    fn skip_name(&mut self) -> Result<(), Mismatch> {
        self.span()?;
        self.take(b':')
    }

    /// This place, to come back to.
    pub fn mark(&self) -> Mark {
        Mark { place: self.place, levels: self.levels, inexact: self.inexact }
    }

    /// Tries to read a variant of an enum; goes back when it is another one.
    pub fn attempt<T: Json>(&mut self) -> Option<T> {
        self.settle().ok()?;
        let mark = self.mark();
        if let Ok(value) = T::read(self) {
            return Some(value);
        }
        self.tag = None;
        self.fuel = self.fuel.saturating_sub(self.place.saturating_sub(mark.place));
        if self.fuel == 0 {
            // Nothing is read any more: whoever tries next fails as well.
            self.place = self.text.len();
            return None;
        }
        self.go_back(mark);
        None
    }

    /// To a place that was marked.
    pub fn go_back(&mut self, mark: Mark) {
        self.place = mark.place;
        self.levels = mark.levels;
        self.inexact = mark.inexact;
    }

    /// The text of a property of the object that is next, which tells what the object is.
    ///
    /// # Errors
    /// [`Mismatch`] when it is no object or the property is no string.
    pub fn tag(&mut self, name: &'static str) -> Result<Cow<'a, str>, Mismatch> {
        self.peek();
        if let Some(guide) = &self.guide
            && let Some((span, asked)) = guide.tag(self.asked, self.place, self.depth(), name)
        {
            self.asked = asked;
            return self.plain(span);
        }
        let mark = self.mark();
        let asked = std::mem::take(&mut self.asked);
        let mut found = None;
        self.members(&[name], &mut Members::default(), None, &mut |reader, index, _| {
            match index {
                Some(_) => found = Some(reader.string()?),
                None => drop(reader.skip()?),
            }
            Ok(())
        })?;
        self.go_back(mark);
        self.asked = asked;
        found.ok_or(Mismatch)
    }

    /// Reads the object of a variant that `name` told.
    ///
    /// # Errors
    /// [`Mismatch`] when it is no value of the type.
    pub fn tagged<T: Json>(&mut self, name: &'static str) -> Result<T, Mismatch> {
        self.tag = Some(name);
        T::read(self)
    }

    /// The value that was read is not written again as it stands in the text.
    #[inline]
    pub fn not_exact(&mut self) {
        self.inexact += 1;
    }

    /// Reads a value, and says whether it is written again as it was read; else the text of the value.
    #[inline]
    pub(super) fn exactly<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Mismatch>,
    ) -> Result<(T, Option<&'a str>), Mismatch> {
        let (start, before) = (self.place, self.inexact);
        let value = read(self)?;
        if self.inexact == before {
            return Ok((value, None));
        }
        self.inexact = before;
        Ok((value, Some(self.text_from(start))))
    }

    /// The text of the value that was read last, which starts behind `start` and white space.
    #[cold]
    fn text_from(&self, start: usize) -> &'a str {
        let start = scan::space(self.text.as_bytes(), start);
        self.text.get(start..self.place).unwrap_or_default()
    }
}

/// The place of `name` in `names`; most often the one after the last, for senders write properties in their order.
#[inline]
fn position(names: &[&str], name: &str, next: usize) -> Option<usize> {
    /// Longer lists are sorted.
    const MOST_UNSORTED: usize = 16;
    if names.get(next) == Some(&name) {
        return Some(next);
    }
    if names.len() <= MOST_UNSORTED {
        names.iter().position(|known| *known == name)
    } else {
        names.binary_search(&name).ok()
    }
}

/// The JSON pointer of the value that stands at `place` in a JSON text.
pub(super) fn pointer_at(text: &str, place: usize) -> String {
    let mut pointer = String::new();
    let mut reader = Reader::new(text);
    loop {
        let mut inside = None;
        let mut look = |reader: &mut Reader<'_>, name: &str| {
            let start = reader.mark();
            reader.skip()?;
            if (start.place..reader.place).contains(&place) {
                inside = Some((name.replace('~', "~0").replace('/', "~1"), start));
            }
            Ok(())
        };
        let read = match reader.peek() {
            Some(b'{') => reader.object(&[], &mut |reader, _, name| {
                let name = reader.name(name);
                look(reader, &name)
            }),
            Some(b'[') => reader.array(|reader, index| look(reader, &index.to_string())),
            _ => Err(Mismatch),
        };
        match (read, inside) {
            (Ok(()), Some((name, start))) => {
                pointer.push('/');
                pointer.push_str(&name);
                reader.go_back(start);
            }
            _ => return pointer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_read_as_json_has_them() {
        let read = |text: &str| Reader::new(text).string().map(Cow::into_owned);
        assert_eq!(read(r#" "a b""#).as_deref(), Ok("a b"));
        assert_eq!(read(r#""\"\\\/\b\f\n\r\té😀é""#).as_deref(), Ok("\"\\/\u{8}\u{c}\n\r\té😀é"));
        for bad in [
            r#""\ud83d""#,
            r#""\ud83dx""#,
            r#""\ude00""#,
            r#""\ud83d\u0041""#,
            r#""\x""#,
            r#""\u12g4""#,
            "\"a\nb\"",
            "\"a",
            "a\"",
            "",
        ] {
            assert_eq!(read(bad), Err(Mismatch), "{bad}");
        }
    }

    #[test]
    fn a_place_in_a_text_has_a_pointer() {
        let text = r#"{"a": 1, "b/c~": [true, {"d": 2.5}], "e": 3}"#;
        let at = |part: &str| pointer_at(text, text.find(part).unwrap());
        assert_eq!(at("1"), "/a");
        assert_eq!(at("true"), "/b~1c~0/0");
        assert_eq!(at("2.5"), "/b~1c~0/1/d");
        assert_eq!(at("3"), "/e");
        assert_eq!(at("{"), "");
    }

    #[test]
    fn long_name_lists_are_searched_by_halves() {
        let names: Vec<String> = (0..40).map(|i| format!("n{i:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for (i, name) in names.iter().enumerate() {
            assert_eq!(position(&names, name, 7), Some(i));
        }
        assert_eq!(position(&names, "n40", 0), None);
    }
}
