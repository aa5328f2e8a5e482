//! What a payload held and its type has no field for.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::Serialize;
use serde_json::Value;

use super::{Json, Mismatch, Reader, Writer, from_text};

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
pub struct Rest(Option<Box<Kept>>);

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
        from_text(self.0.as_ref()?.members.get(name)?).ok()
    }

    /// The JSON text of an undeclared property, as it was received.
    pub fn get_text(&self, name: &str) -> Option<&str> {
        self.0.as_ref()?.members.get(name).map(AsRef::as_ref)
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
        self.0.as_mut().is_some_and(|kept| kept.members.remove(name).is_some())
    }

    /// The names of the undeclared properties, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|kept| kept.members.keys().map(AsRef::as_ref))
    }

    /// Whether there is no undeclared property.
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|kept| kept.members.is_empty())
    }

    /// The undeclared properties alone.
    #[doc(hidden)]
    #[must_use]
    pub fn only_members(self) -> Self {
        let members = self.0.map(|kept| kept.members).filter(|members| !members.is_empty());
        Self(members.map(|members| Box::new(Kept { members, ..Kept::default() })))
    }

    fn kept(&mut self) -> &mut Kept {
        self.0.get_or_insert_with(Box::default)
    }

    /// Reads the value of an undeclared property; the last one of a name counts.
    ///
    /// # Errors
    /// [`Mismatch`] when there is none.
    #[doc(hidden)]
    pub fn keep(&mut self, name: Cow<'_, str>, reader: &mut Reader<'_>) -> Result<(), Mismatch> {
        let text = reader.skip()?;
        self.kept().members.insert(name.into_owned().into(), text.into());
        Ok(())
    }

    /// Reads the value of the declared property at `index`, and keeps its text if it will not be written the same.
    ///
    /// # Errors
    /// [`Mismatch`] when it is no value of the type.
    #[doc(hidden)]
    #[inline]
    pub fn field<T: Json>(
        &mut self,
        reader: &mut Reader<'_>,
        index: usize,
        slot: &mut Option<T>,
    ) -> Result<(), Mismatch> {
        let (value, text) = reader.exactly()?;
        *slot = Some(value);
        if text.is_some() || self.0.is_some() {
            self.form(index, text);
        }
        Ok(())
    }

    /// As [`Rest::field`], for one that may be null and is not written when it is `None`.
    ///
    /// # Errors
    /// [`Mismatch`] when it is no value of the type.
    #[doc(hidden)]
    #[inline]
    pub fn optional<T: Json>(
        &mut self,
        reader: &mut Reader<'_>,
        index: usize,
        slot: &mut Option<T>,
    ) -> Result<(), Mismatch> {
        if reader.null() {
            *slot = None;
            self.form(index, Some("null"));
            return Ok(());
        }
        self.field(reader, index, slot)
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
        name: Cow<'_, str>,
        members: &mut impl Extend<(String, T)>,
    ) -> Result<(), Mismatch> {
        let (value, text) = reader.exactly()?;
        if let Some(kept) = &mut self.0 {
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
            let kept = self.0.as_ref().and_then(|kept| kept.extras.get(name.as_str()));
            match kept.filter(|text| from_text::<T>(text).is_ok_and(|was| was == *value)) {
                Some(text) => writer.push(text),
                None => value.write(writer),
            }
        }
    }

    fn form(&mut self, index: usize, text: Option<&str>) {
        if let Some(kept) = &mut self.0 {
            kept.forms.retain(|(known, _)| *known != index);
        }
        if let Some(text) = text {
            self.kept().forms.push((index, text.into()));
        }
    }

    fn form_of(&self, index: usize) -> Option<&str> {
        let (_, text) = self.0.as_ref()?.forms.iter().find(|(known, _)| *known == index)?;
        Some(text)
    }

    /// Writes the declared property at `index`, as it was read if it is still the same.
    #[doc(hidden)]
    #[inline]
    pub fn write_field<T: Json + PartialEq>(&self, writer: &mut Writer, index: usize, name: &str, value: &T) {
        writer.name(name);
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
        for (name, text) in self.0.iter().flat_map(|kept| &kept.members) {
            if !own.contains(&name.as_ref()) {
                writer.name(name);
                writer.push(text);
            }
        }
    }
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
        f.debug_map().entries(self.0.iter().flat_map(|kept| &kept.members)).finish()
    }
}
