//! A JSON text that is being written.

use celerysalt_contract::exact::scan;

use super::{Json, Rest, reader::pointer_at};

/// Runs between escapes that are shorter are copied in one piece of this size, whatever their length.
const SHORT: usize = 16;
/// How much is written in one go.
const ROOM: usize = 256;

/// What stands behind the backslash, for the characters that have such a form.
const SIGNS: [u8; 256] = {
    let mut signs = [0; 256];
    signs[b'"' as usize] = b'"';
    signs[b'\\' as usize] = b'\\';
    signs[b'\n' as usize] = b'n';
    signs[b'\r' as usize] = b'r';
    signs[b'\t' as usize] = b't';
    signs
};

/// A JSON text that is being written: without white space, properties in the order of the schema.
#[derive(Debug, Default)]
pub struct Writer {
    out: String,
    /// Where the first number stands that is not finite.
    not_finite: Option<usize>,
    /// What tells which variant the next object is.
    tag: Option<(&'static str, &'static str)>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes), ..Self::default() }
    }

    /// In the room that a text took which is no longer needed.
    pub(crate) fn within(mut room: String) -> Self {
        room.clear();
        Self { out: room, ..Self::default() }
    }

    /// The text.
    ///
    /// # Errors
    /// The pointer of a number that is not finite: JSON has no words for that.
    pub(crate) fn finish(self) -> Result<String, String> {
        match self.not_finite {
            None => Ok(self.out),
            Some(place) => Err(pointer_at(&self.out, place)),
        }
    }

    /// What is to be written here has no JSON form.
    pub(super) fn refuse(&mut self) {
        self.not_finite.get_or_insert(self.out.len());
        self.out.push_str("null");
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// A string.
    pub fn string(&mut self, text: &str) {
        self.string_of(&[text]);
    }

    /// A string of several texts, one after the other.
    pub(crate) fn string_of(&mut self, texts: &[&str]) {
        self.out.push('"');
        for text in texts {
            self.escaped(text);
        }
        self.out.push('"');
    }

    fn escaped(&mut self, text: &str) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut rest = text;
        loop {
            let run = scan::plain(rest.as_bytes(), 0);
            let (plain, special) = rest.split_at_checked(run).unwrap_or((rest, ""));
            self.out.push_str(plain);
            let Some(byte) = special.bytes().next() else { break };
            if run < SHORT {
                rest = self.escaped_densely(special);
                if rest.len() < special.len() {
                    continue;
                }
            }
            match SIGNS[usize::from(byte)] {
                0 => {
                    self.out.push_str("\\u00");
                    for digit in [byte >> 4, byte & 15] {
                        self.out.push(char::from(HEX.get(usize::from(digit)).copied().unwrap_or(b'0')));
                    }
                }
                sign => {
                    self.out.push('\\');
                    self.out.push(char::from(sign));
                }
            }
            rest = special.get(1..).unwrap_or_default();
        }
    }

    /// Writes short runs with the escapes behind them, as JSON within JSON has them, until a run is longer or the text ends
    /// soon. Gives the rest.
    fn escaped_densely<'t>(&mut self, text: &'t str) -> &'t str {
        let mut room = [0; ROOM];
        let (mut filled, mut read) = (0, 0);
        while let (Some(chunk), Some(place)) = (
            text.as_bytes().get(read..).and_then(<[u8]>::first_chunk::<SHORT>),
            room.get_mut(filled..).and_then(<[u8]>::first_chunk_mut::<{ SHORT + 2 }>),
        ) {
            let run = scan::plain(chunk, 0);
            let sign = chunk.get(run).map_or(0, |byte| SIGNS[usize::from(*byte)]);
            if sign == 0 {
                break;
            }
            // What is copied beyond the run is written over.
            place[..SHORT].copy_from_slice(chunk);
            (place[run], place[run + 1]) = (b'\\', sign);
            (filled, read) = (filled + run + 2, read + run + 1);
        }
        // Each run ends before an ASCII character, so this is text.
        self.out.push_str(room.get(..filled).and_then(|filled| std::str::from_utf8(filled).ok()).unwrap_or_default());
        text.get(read..).unwrap_or_default()
    }

    pub(super) fn integer(&mut self, value: i64) {
        self.out.push_str(itoa::Buffer::new().format(value));
    }

    pub(super) fn float(&mut self, value: f64) {
        use std::fmt::Write;

        if !value.is_finite() {
            return self.refuse();
        }
        // The shortest text that reads as the same float. A `String` takes everything.
        let _ = write!(self.out, "{value:?}");
    }

    /// A value; a number without its fraction, if that is zero.
    pub(super) fn without_fraction<T: Json>(&mut self, value: &T) {
        let start = self.out.len();
        value.write(self);
        let written = self.out.get(start..).unwrap_or_default();
        if let Some(whole) = written.strip_suffix(".0")
            && !whole.is_empty()
            && whole.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
        {
            self.out.truncate(self.out.len() - ".0".len());
        }
    }

    /// Begins an object.
    pub fn open(&mut self) {
        self.out.push('{');
        if let Some((name, value)) = self.tag.take() {
            self.name(name);
            self.string(value);
        }
    }

    /// The name of the next property.
    pub fn name(&mut self, name: &str) {
        if !self.out.ends_with('{') {
            self.out.push(',');
        }
        self.string(name);
        self.out.push(':');
    }

    /// A property.
    pub fn field<T: Json>(&mut self, name: &str, value: &T) {
        self.name(name);
        value.write(self);
    }

    /// A property whose value is a string.
    pub(crate) fn text_field(&mut self, name: &str, value: &str) {
        self.name(name);
        self.string(value);
    }

    /// A property whose value is JSON text already.
    pub(crate) fn raw_field(&mut self, name: &str, json: &str) {
        self.name(name);
        self.out.push_str(json);
    }

    /// A property, if it is there.
    pub fn optional<T: Json>(&mut self, name: &str, value: &Option<T>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    /// Properties that the schema describes and does not name.
    pub fn members<'a, T: Json + 'a>(&mut self, members: impl IntoIterator<Item = (&'a String, &'a T)>) {
        for (name, value) in members {
            self.field(name, value);
        }
    }

    /// Ends an object.
    pub fn close(&mut self) {
        self.out.push('}');
    }

    /// Ends an object with what it has besides the properties that are its own.
    pub fn close_with(&mut self, rest: &Rest, own: &[&str]) {
        rest.write(self, own);
        self.close();
    }

    /// An object, with the property that tells which variant of an enum it is.
    pub fn tagged<T: Json>(&mut self, name: &'static str, tag: &'static str, value: &T) {
        self.tag = Some((name, tag));
        value.write(self);
    }

    /// An array.
    pub(super) fn array<'a, T: Json + 'a>(&mut self, items: impl IntoIterator<Item = &'a T>) {
        self.out.push('[');
        for (index, item) in items.into_iter().enumerate() {
            self.comma(index);
            item.write(self);
        }
        self.out.push(']');
    }

    pub(super) fn comma(&mut self, index: usize) {
        if index > 0 {
            self.out.push(',');
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*, sample::select};

    use super::*;

    fn written(text: &str) -> String {
        let mut writer = Writer::new();
        writer.string(text);
        writer.finish().unwrap()
    }

    #[test]
    fn what_can_not_stand_for_itself_is_escaped() {
        assert_eq!(
            written("a\"b\\c\n\r\t\u{0}\u{1f}\u{7f}/"),
            r#""a\"b\\c\n\r\t\u0000\u001f/""#.replace("f/", "f\u{7f}/")
        );
    }

    proptest! {
        /// Escapes near each other and far from each other, at every place of what is copied at a time.
        #[test]
        fn every_text_is_read_again_as_it_was(
            parts in collection::vec(
                select(vec!["\"", "\\", "\n", "\t", "\u{1}", "\u{7f}", "a", "id", "\u{e9}", "\u{1f9c2}", "seventeen letters", "name\":\""]),
                0..300,
            )
        ) {
            let text = parts.concat();
            let written = written(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text.as_str());
            let escapes = text.chars().filter(|c| *c < ' ' || *c == '"' || *c == '\\').count();
            prop_assert_eq!(written.matches('\\').count(), escapes + text.matches('\\').count());
        }
    }
}
