//! What a payload held and its type has no field for.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use serde_json::Value;

use super::{Json, Mismatch, Name, Reader, Writer, from_text};

/// What an event held besides its declared properties, kept so that nothing is lost when it is written again.
///
/// These are the undeclared properties, which are there to be read and changed; and, hidden, how declared ones were
/// written where their Rust type can't tell (null or absent, a number's digits), which counts only as long as the field
/// is not changed. An event that is built in Rust starts with `Rest::default()`.
///
/// ```
/// use celerysalt::Rest;
///
/// let mut rest = Rest::default();
/// rest.insert("colour", "green")?;
/// assert_eq!(rest.get("colour"), Some("green".into()));
/// assert_eq!(rest.names().collect::<Vec<_>>(), ["colour"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Rest {
    kept: Option<Box<Kept>>,
    /// The declared properties, by their place, whose number was written without a fraction and is a float here.
    whole: u32,
    /// Those that were null, which is not written.
    null: u32,
}

#[derive(Clone, Default)]
struct Kept {
    /// Undeclared properties as JSON texts.
    members: BTreeMap<Box<str>, Box<str>>,
    /// How properties that the schema describes and does not name were written.
    extras: BTreeMap<Box<str>, Box<str>>,
    /// How declared properties were written, by their place; empty for one that was absent.
    forms: Vec<(usize, Box<str>)>,
}

impl Rest {
    /// The value of an undeclared property. Numbers beyond 64 bits are rounded here, and nowhere else.
    pub fn get(&self, name: &str) -> Option<Value> {
        from_text(self.kept.as_ref()?.members.get(name)?).ok()
    }

    /// The JSON text of an undeclared property, as it was received.
    pub fn get_text(&self, name: &str) -> Option<&str> {
        self.kept.as_ref()?.members.get(name).map(AsRef::as_ref)
    }

    /// Adds an undeclared property or replaces it. Whether the contract allows it is checked when the event is
    /// published. A property that the event declares has its field and is not taken from here.
    ///
    /// # Errors
    /// When the value has no JSON form.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Serialize) -> Result<(), serde_json::Error> {
        let text = serde_json::to_string(&value)?;
        self.kept().members.insert(name.into().into(), text.into());
        Ok(())
    }

    /// Takes an undeclared property away; says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        self.kept.as_mut().is_some_and(|kept| kept.members.remove(name).is_some())
    }

    /// The names of the undeclared properties, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().flat_map(|kept| kept.members.keys().map(AsRef::as_ref))
    }

    /// Whether there is no undeclared property.
    pub fn is_empty(&self) -> bool {
        self.kept.as_ref().is_none_or(|kept| kept.members.is_empty())
    }

    /// The undeclared properties alone.
    #[doc(hidden)]
    #[must_use]
    pub fn only_members(self) -> Self {
        let members = self.kept.map(|kept| kept.members).filter(|members| !members.is_empty());
        Self { kept: members.map(|members| Box::new(Kept { members, ..Kept::default() })), ..Self::default() }
    }

    fn kept(&mut self) -> &mut Kept {
        self.kept.get_or_insert_with(Box::default)
    }

    /// Reads the value of an undeclared property; the last one of a name counts.
    ///
    /// # Errors
    /// [`Mismatch`] when there is none.
    #[doc(hidden)]
    pub fn keep(&mut self, name: Name, reader: &mut Reader<'_>) -> Result<(), Mismatch> {
        let text = reader.skip()?;
        self.kept().members.insert(reader.name(name).into(), text.into());
        Ok(())
    }

    /// That the declared property at `index` was read; of one that will not be written the same, its text.
    #[inline]
    pub(super) fn read_as(&mut self, index: usize, text: Option<&str>) {
        if text.is_some() || self.kept.is_some() || (self.whole | self.null) & bit_of(index) != 0 {
            self.form(index, text);
        }
    }

    /// The value of the declared property at `index`, else what its absence means; it stays absent then.
    #[doc(hidden)]
    pub fn or_absent<T>(&mut self, index: usize, slot: Option<T>, default: impl FnOnce() -> T) -> T {
        slot.unwrap_or_else(|| {
            self.form(index, Some(""));
            default()
        })
    }

    /// Reads a property that the schema describes and does not name.
    ///
    /// # Errors
    /// [`Mismatch`] when it is no value of the type.
    #[doc(hidden)]
    pub fn extra<T: Json>(
        &mut self,
        reader: &mut Reader<'_>,
        name: Name,
        members: &mut impl Extend<(String, T)>,
    ) -> Result<(), Mismatch> {
        let name = reader.name(name);
        let (value, text) = reader.exactly(T::read)?;
        if let Some(kept) = &mut self.kept {
            kept.extras.remove(&*name);
        }
        if let Some(text) = text {
            self.kept().extras.insert((*name).into(), text.into());
        }
        members.extend([(name.into_owned(), value)]);
        Ok(())
    }

    /// Writes the properties that the schema describes and does not name, as they were read if they are still the same.
    #[doc(hidden)]
    pub fn write_extra<'a, T: Json + PartialEq + 'a>(
        &self,
        writer: &mut Writer,
        members: impl IntoIterator<Item = (&'a String, &'a T)>,
    ) {
        for (name, value) in members {
            writer.name(name);
            let kept = self.kept.as_ref().and_then(|kept| kept.extras.get(name.as_str()));
            match kept.filter(|text| from_text::<T>(text).is_ok_and(|was| was == *value)) {
                Some(text) => writer.push(text),
                None => value.write(writer),
            }
        }
    }

    pub(super) fn form(&mut self, index: usize, text: Option<&str>) {
        if let Some(kept) = &mut self.kept {
            kept.forms.retain(|(known, _)| *known != index);
        }
        let bit = bit_of(index);
        self.whole &= !bit;
        self.null &= !bit;
        match text {
            // By far the most common forms, so they have a place that costs nothing.
            Some(text) if bit != 0 && is_whole(text) => self.whole |= bit,
            Some("null") if bit != 0 => self.null |= bit,
            Some(text) => self.kept().forms.push((index, text.into())),
            None => (),
        }
    }

    fn form_of(&self, index: usize) -> Option<&str> {
        if self.null & bit_of(index) != 0 {
            return Some("null");
        }
        let (_, text) = self.kept.as_ref()?.forms.iter().find(|(known, _)| *known == index)?;
        Some(text)
    }

    /// Writes the declared property at `index`, as it was read if it is still the same.
    #[doc(hidden)]
    #[inline]
    pub fn write_field<T: Json + PartialEq>(&self, writer: &mut Writer, index: usize, name: &str, value: &T) {
        writer.name(name);
        if self.whole & bit_of(index) != 0 {
            return writer.without_fraction(value);
        }
        let same = |text: &&str| from_text::<T>(text).is_ok_and(|was| was == *value);
        match self.form_of(index).filter(same) {
            Some(text) => writer.push(text),
            None => value.write(writer),
        }
    }

    /// As [`Rest::write_field`], for one that is not written when it is `None`, unless it was null.
    #[doc(hidden)]
    #[inline]
    pub fn write_optional<T: Json + PartialEq>(
        &self,
        writer: &mut Writer,
        index: usize,
        name: &str,
        value: &Option<T>,
    ) {
        match value {
            Some(value) => self.write_field(writer, index, name, value),
            None if self.form_of(index) == Some("null") => {
                writer.name(name);
                writer.push("null");
            }
            None => (),
        }
    }

    /// As [`Rest::write_field`], for one that was absent when it still is what absence means.
    #[doc(hidden)]
    pub fn write_defaulted<T: Json + PartialEq>(
        &self,
        writer: &mut Writer,
        index: usize,
        name: &str,
        value: &T,
        default: fn() -> T,
    ) {
        if self.form_of(index) == Some("") && *value == default() {
            return;
        }
        self.write_field(writer, index, name, value);
    }

    pub(super) fn write(&self, writer: &mut Writer, own: &[&str]) {
        for (name, text) in self.kept.iter().flat_map(|kept| &kept.members) {
            if !own.contains(&name.as_ref()) {
                writer.name(name);
                writer.push(text);
            }
        }
    }
}

/// The bit of a declared property; none for those far behind.
#[inline]
fn bit_of(index: usize) -> u32 {
    u32::try_from(index).ok().and_then(|index| 1_u32.checked_shl(index)).unwrap_or(0)
}

/// Whether a text is a number without a fraction that every float holds.
fn is_whole(text: &str) -> bool {
    const SURE: usize = 15;
    let digits = text.strip_prefix('-').unwrap_or(text);
    text != "-0" && !digits.is_empty() && digits.len() <= SURE && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The undeclared properties only: how declared ones were written makes no event another one.
impl PartialEq for Rest {
    fn eq(&self, other: &Self) -> bool {
        let values = |rest: &Self| -> BTreeMap<String, Value> {
            rest.names().map(|name| (name.to_owned(), rest.get(name).unwrap_or_default())).collect()
        };
        (self.is_empty() && other.is_empty()) || values(self) == values(other)
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.kept.iter().flat_map(|kept| &kept.members)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::to_text;

    /// As generated code does it: two declared properties, the second optional.
    #[derive(Clone, Debug, PartialEq)]
    struct Pair {
        a: f64,
        b: Option<f64>,
        rest: Rest,
    }

    impl Json for Pair {
        fn read(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
            let (mut a, mut b, mut rest) = (None, None, Rest::default());
            rest.open_record(reader, &["a", "b"], &mut [&mut a, &mut b], &[1])?;
            Ok(Self { a: a.ok_or(Mismatch)?, b, rest })
        }

        fn write(&self, writer: &mut Writer) {
            writer.open();
            self.rest.write_field(writer, 0, "a", &self.a);
            self.rest.write_optional(writer, 1, "b", &self.b);
            writer.close_with(&self.rest, &["a", "b"]);
        }
    }

    fn again(text: &str, change: impl FnOnce(&mut Pair)) -> String {
        let mut pair: Pair = from_text(text).unwrap();
        change(&mut pair);
        to_text(&pair).unwrap()
    }

    #[test]
    fn numbers_are_written_as_they_were() {
        for text in [
            r#"{"a":5}"#,
            r#"{"a":5.0,"b":null}"#,
            r#"{"a":-5,"b":7}"#,
            r#"{"a":-0,"b":1e400}"#,
            r#"{"a":123456789012345678901234567890,"b":0.1}"#,
            r#"{"a":1.10,"b":2,"c":3.00}"#,
        ] {
            assert_eq!(again(text, |_| ()).replace("1.1,", "1.10,"), text);
        }
    }

    #[test]
    fn what_is_changed_is_written_as_it_is() {
        assert_eq!(again(r#"{"a":5,"b":null}"#, |pair| pair.a = 5.5), r#"{"a":5.5,"b":null}"#);
        assert_eq!(again(r#"{"a":5,"b":null}"#, |pair| pair.b = Some(1.0)), r#"{"a":5,"b":1.0}"#);
        assert_eq!(again(r#"{"a":1e400}"#, |pair| pair.a = 2.5), r#"{"a":2.5}"#);
        assert_eq!(again(r#"{"a":1e21}"#, |pair| pair.a = 1e22), r#"{"a":1e22}"#);
    }

    #[test]
    fn the_last_form_of_a_property_counts() {
        assert_eq!(again(r#"{"a":5,"a":6.5}"#, |_| ()), r#"{"a":6.5}"#);
        assert_eq!(again(r#"{"a":1e400,"a":6}"#, |_| ()), r#"{"a":6}"#);
        assert_eq!(again(r#"{"a":6,"a":1e400}"#, |_| ()), r#"{"a":1e400}"#);
        assert_eq!(again(r#"{"a":1,"b":2,"b":null}"#, |_| ()), r#"{"a":1,"b":null}"#);
        assert_eq!(again(r#"{"a":1,"b":null,"b":2.5}"#, |pair| pair.b = None), r#"{"a":1}"#);
        assert_eq!(again(r#"{"a":1,"b":null,"b":2}"#, |_| ()), r#"{"a":1,"b":2}"#);
    }

    #[test]
    fn properties_far_behind_have_forms_too() {
        for index in [0, 31, 32, 63, 64, 1000] {
            let mut rest = Rest::default();
            rest.form(index, Some("null"));
            assert_eq!((rest.form_of(index), rest.form_of(index + 1)), (Some("null"), None));
            rest.form(index, Some("7"));
            assert_eq!(rest.form_of(index).is_some(), index >= 32);
            assert_eq!(rest.whole & bit_of(index) != 0, index < 32);
            rest.form(index, None);
            assert_eq!((rest.form_of(index), rest.whole), (None, 0));
        }
    }

    #[test]
    fn what_was_absent_stays_absent_until_it_is_changed() {
        let mut rest = Rest::default();
        let value = rest.or_absent(0, None, || 5.0);
        let write = |value: f64| {
            let mut writer = Writer::new();
            writer.open();
            rest.write_defaulted(&mut writer, 0, "a", &value, || 5.0);
            writer.close();
            writer.finish().unwrap()
        };
        assert_eq!((write(value), write(6.0)), ("{}".to_owned(), r#"{"a":6.0}"#.to_owned()));
    }

    #[test]
    fn a_declared_property_is_not_taken_from_the_rest() {
        let text = again(r#"{"a":1,"c":true}"#, |pair| pair.rest.insert("a", 7).unwrap());
        assert_eq!(text, r#"{"a":1,"c":true}"#);
    }
}
