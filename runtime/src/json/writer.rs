//! A JSON text that is being written.

use celerysalt_contract::exact::scan;

use super::{Json, Rest, reader::pointer_at};

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
            match byte {
                b'"' => self.out.push_str("\\\""),
                b'\\' => self.out.push_str("\\\\"),
                b'\n' => self.out.push_str("\\n"),
                b'\r' => self.out.push_str("\\r"),
                b'\t' => self.out.push_str("\\t"),
                control => {
                    self.out.push_str("\\u00");
                    for digit in [control >> 4, control & 15] {
                        self.out.push(char::from(HEX.get(usize::from(digit)).copied().unwrap_or(b'0')));
                    }
                }
            }
            rest = special.get(1..).unwrap_or_default();
        }
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
