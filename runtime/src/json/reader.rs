//! A place in a JSON text, and what can be read there.

use std::borrow::Cow;

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

/// A place in a JSON text.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    text: &'a str,
    place: usize,
    levels: u8,
    fuel: usize,
    /// Whether everything since it was last set is written again as it was read.
    exact: bool,
    /// A property of the next object that is not the object's own: it tells which variant the object is.
    tag: Option<&'static str>,
}

/// What is done with each member of an object: the place of its name in the list that was asked for, and the name.
pub type Member<'a, 'f> = dyn FnMut(&mut Reader<'a>, Option<usize>, Cow<'a, str>) -> Result<(), Mismatch> + 'f;

/// Where a reader was.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    place: usize,
    levels: u8,
    exact: bool,
}

/// The value of a property that must be there.
///
/// # Errors
/// [`Mismatch`] when it is not.
pub fn required<T>(slot: Option<T>) -> Result<T, Mismatch> {
    slot.ok_or(Mismatch)
}

impl<'a> Reader<'a> {
    /// At the beginning of a text.
    pub fn new(text: &'a str) -> Self {
        let fuel = text.len().saturating_mul(TRIES_PER_BYTE).max(LEAST_FUEL);
        Self { text, place: 0, levels: MAX_DEPTH, fuel, exact: true, tag: None }
    }

    /// Nothing but white space is left.
    ///
    /// # Errors
    /// [`Mismatch`] when something is.
    pub fn end(&mut self) -> Result<(), Mismatch> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Mismatch),
        }
    }

    /// The next byte that is not white space.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.place) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.place += 1,
                Some(byte) => return Some(*byte),
                None => return None,
            }
        }
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

    /// `true`, `false` or `null`, if it is next.
    pub(super) fn word(&mut self, word: &str) -> bool {
        self.peek();
        let is_next = self.text.as_bytes().get(self.place..).is_some_and(|rest| rest.starts_with(word.as_bytes()));
        if is_next {
            self.place += word.len();
        }
        is_next
    }

    /// Whether `null` was next; it is read then.
    pub fn null(&mut self) -> bool {
        self.peek() == Some(b'n') && self.word("null")
    }

    /// A string, borrowed where it holds no escapes.
    ///
    /// # Errors
    /// [`Mismatch`] for anything else, and for a surrogate without its other half, which no Rust string can hold.
    #[inline]
    pub fn string(&mut self) -> Result<Cow<'a, str>, Mismatch> {
        self.take(b'"')?;
        let start = self.place;
        let end = start + plain_run(self.text.as_bytes().get(start..).unwrap_or_default());
        let plain = self.text.get(start..end).ok_or(Mismatch)?;
        match self.text.as_bytes().get(end) {
            Some(b'"') => {
                self.place = end + 1;
                Ok(Cow::Borrowed(plain))
            }
            Some(b'\\') => {
                self.place = end;
                self.escaped(plain.to_owned()).map(Cow::Owned)
            }
            _ => Err(Mismatch),
        }
    }

    /// The rest of a string, from its first escape on.
    fn escaped(&mut self, mut value: String) -> Result<String, Mismatch> {
        loop {
            let rest = self.text.as_bytes().get(self.place..).unwrap_or_default();
            let run = plain_run(rest);
            value.push_str(self.text.get(self.place..self.place + run).ok_or(Mismatch)?);
            self.place += run + 1;
            match rest.get(run) {
                Some(b'"') => return Ok(value),
                Some(b'\\') => {
                    let escape = *self.text.as_bytes().get(self.place).ok_or(Mismatch)?;
                    self.place += 1;
                    value.push(match escape {
                        b'"' => '"',
                        b'\\' => '\\',
                        b'/' => '/',
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        b'u' => self.unicode_escape()?,
                        _ => return Err(Mismatch),
                    });
                }
                _ => return Err(Mismatch),
            }
        }
    }

    fn unicode_escape(&mut self) -> Result<char, Mismatch> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(Mismatch);
        }
        let second = match self.text.as_bytes().get(self.place..self.place + 2) {
            Some(b"\\u") => {
                self.place += 2;
                self.four_digits()?
            }
            _ => return Err(Mismatch),
        };
        if !(0xdc00..0xe000).contains(&second) {
            return Err(Mismatch);
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(Mismatch)
    }

    fn four_digits(&mut self) -> Result<u32, Mismatch> {
        let digits = self.text.as_bytes().get(self.place..self.place + 4).ok_or(Mismatch)?;
        let mut value = 0;
        for digit in digits {
            value = value * 16 + char::from(*digit).to_digit(16).ok_or(Mismatch)?;
        }
        self.place += 4;
        Ok(value)
    }

    /// A number's text.
    #[inline]
    pub(super) fn number(&mut self) -> Result<Number<'a>, Mismatch> {
        self.peek();
        let rest = self.text.get(self.place..).ok_or(Mismatch)?;
        let number = number::scan(rest).ok_or(Mismatch)?;
        self.place += number.text.len();
        Ok(number)
    }

    /// An array, item by item.
    ///
    /// # Errors
    /// [`Mismatch`] for anything else, and whatever `item` refuses.
    pub fn array(&mut self, mut item: impl FnMut(&mut Self, usize) -> Result<(), Mismatch>) -> Result<(), Mismatch> {
        self.take(b'[')?;
        self.levels = self.levels.checked_sub(1).ok_or(Mismatch)?;
        if self.peek() == Some(b']') {
            self.place += 1;
        } else {
            for index in 0.. {
                item(self, index)?;
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
        self.levels += 1;
        Ok(())
    }

    /// An object, member by member: `member` gets the place of the property in `names`, if it is there, and its name,
    /// and must read its value. A property that comes twice is given twice: the last one counts.
    ///
    /// # Errors
    /// [`Mismatch`] for anything else, and whatever `member` refuses.
    pub fn object(&mut self, names: &[&str], member: &mut Member<'a, '_>) -> Result<(), Mismatch> {
        let tag = self.tag.take();
        self.take(b'{')?;
        self.levels = self.levels.checked_sub(1).ok_or(Mismatch)?;
        let mut next = 0;
        if self.peek() == Some(b'}') {
            self.place += 1;
        } else {
            loop {
                let name = self.string()?;
                self.take(b':')?;
                let index = position(names, &name, next);
                if let Some(index) = index {
                    next = index + 1;
                }
                if tag.is_some_and(|tag| tag == name) {
                    self.skip()?;
                } else {
                    member(self, index, name)?;
                }
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
        self.levels += 1;
        Ok(())
    }

    /// Reads the value of a property that the type keeps elsewhere.
    ///
    /// # Errors
    /// [`Mismatch`] when it is no value of the type.
    pub fn field<T: Json>(&mut self, slot: &mut Option<T>) -> Result<(), Mismatch> {
        *slot = Some(T::read(self)?);
        Ok(())
    }

    /// As [`Reader::field`], for one that may be null.
    ///
    /// # Errors
    /// [`Mismatch`] when it is no value of the type.
    pub fn optional<T: Json>(&mut self, slot: &mut Option<T>) -> Result<(), Mismatch> {
        *slot = Option::read(self)?;
        Ok(())
    }

    /// Reads a property that the schema describes and does not name.
    ///
    /// # Errors
    /// [`Mismatch`] when it is no value of the type.
    pub fn member<T: Json>(
        &mut self,
        name: Cow<'_, str>,
        members: &mut impl Extend<(String, T)>,
    ) -> Result<(), Mismatch> {
        members.extend([(name.into_owned(), T::read(self)?)]);
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
        self.peek();
        let start = self.place;
        let outside = self.levels;
        // Whether each array or object that is open is an object, by its level.
        let mut objects: u128 = 0;
        loop {
            match self.peek().ok_or(Mismatch)? {
                b'"' => drop(self.string()?),
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
                b't' => self.expect("true")?,
                b'f' => self.expect("false")?,
                b'n' => self.expect("null")?,
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
        self.peek();
        self.string()?;
        self.take(b':')
    }

    fn expect(&mut self, word: &str) -> Result<(), Mismatch> {
        if self.word(word) { Ok(()) } else { Err(Mismatch) }
    }

    /// This place, to come back to.
    pub fn mark(&self) -> Mark {
        Mark { place: self.place, levels: self.levels, exact: self.exact }
    }

    /// Tries to read a variant of an enum; goes back when it is another one.
    pub fn attempt<T: Json>(&mut self) -> Option<T> {
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
        self.exact = mark.exact;
    }

    /// The text of a property of the object that is next, which tells what the object is.
    ///
    /// # Errors
    /// [`Mismatch`] when it is no object or the property is no string.
    pub fn tag(&mut self, name: &'static str) -> Result<Cow<'a, str>, Mismatch> {
        let mark = self.mark();
        let mut found = None;
        self.object(&[name], &mut |reader, index, _| {
            match index {
                Some(_) => found = Some(reader.string()?),
                None => drop(reader.skip()?),
            }
            Ok(())
        })?;
        self.go_back(mark);
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
    pub fn not_exact(&mut self) {
        self.exact = false;
    }

    /// Reads a value, and says whether it is written again as it was read; else the text of the value.
    pub(super) fn exactly<T: Json>(&mut self) -> Result<(T, Option<&'a str>), Mismatch> {
        let outer = std::mem::replace(&mut self.exact, true);
        self.peek();
        let start = self.place;
        let value = T::read(self)?;
        let text = if self.exact { None } else { self.text.get(start..self.place) };
        self.exact = outer;
        Ok((value, text))
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

/// How many bytes come before the next quote, backslash or control character.
#[inline]
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    let zero_in = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut run = 0;
    while let Some(chunk) = bytes.get(run..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quotes = zero_in(word ^ (ONES * u64::from(b'"')));
        let backslashes = zero_in(word ^ (ONES * u64::from(b'\\')));
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let special = quotes | backslashes | controls;
        if special != 0 {
            return run + (special.trailing_zeros() / 8) as usize;
        }
        run += 8;
    }
    let rest = bytes.get(run..).unwrap_or_default();
    run + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
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
            Some(b'{') => reader.object(&[], &mut |reader, _, name| look(reader, &name)),
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
    fn runs_end_at_every_special_byte_wherever_it_stands() {
        for special in (0..0x20).chain([b'"', b'\\']) {
            for place in 0..20 {
                let mut bytes = vec![b'\xc3'; 24];
                bytes[place] = special;
                assert_eq!(plain_run(&bytes), place, "{special} at {place}");
            }
        }
        assert_eq!(plain_run("ä\u{7f}!#[]\u{2028}abcdefgh".as_bytes()), "ä\u{7f}!#[]\u{2028}abcdefgh".len());
    }

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
