//! How the values of an object's properties come to the variables that hold them while it is read.
//!
//! Generated code says which names there are and where their values go, and no more: what happens for each member is here,
//! compiled once.

use super::{Json, Mismatch, Name, Reader, Rest};

/// A variable for the value of one property, before it is known whether there is any.
pub trait Slot {
    /// Reads the value that is next.
    ///
    /// # Errors
    /// [`Mismatch`] when it is no value of the type.
    fn fill(&mut self, reader: &mut Reader<'_>) -> Result<(), Mismatch>;

    /// As if there were none.
    fn clear(&mut self);
}

impl<T: Json> Slot for Option<T> {
    #[inline]
    fn fill(&mut self, reader: &mut Reader<'_>) -> Result<(), Mismatch> {
        *self = Some(T::read(reader)?);
        Ok(())
    }

    #[inline]
    fn clear(&mut self) {
        *self = None;
    }
}

/// The variables of one object, by the places of its names. Beside them stand everywhere the names, and the places of those
/// that may be null, which is read as if they were not there.
type Variables<'s, 'v> = &'s mut [&'v mut dyn Slot];

/// Objects whose types keep nothing but what they declare.
impl Reader<'_> {
    /// Other properties are read over.
    ///
    /// # Errors
    /// [`Mismatch`] when it is no object, or a value is none of its type.
    pub fn known_record(
        &mut self,
        names: &'static [&'static str],
        slots: Variables<'_, '_>,
        nullable: &[usize],
    ) -> Result<(), Mismatch> {
        self.record(names, slots, nullable, |reader, _| reader.ignore())
    }

    /// There must be no other property.
    ///
    /// # Errors
    /// As [`Reader::known_record`], and when there is one.
    pub fn closed_record(
        &mut self,
        names: &'static [&'static str],
        slots: Variables<'_, '_>,
        nullable: &[usize],
    ) -> Result<(), Mismatch> {
        self.record(names, slots, nullable, |_, _| Err(Mismatch))
    }

    /// Other properties go to `extra`.
    ///
    /// # Errors
    /// As [`Reader::known_record`].
    pub fn record_with<T: Json>(
        &mut self,
        names: &'static [&'static str],
        slots: Variables<'_, '_>,
        nullable: &[usize],
        extra: &mut impl Extend<(String, T)>,
    ) -> Result<(), Mismatch> {
        self.record(names, slots, nullable, |reader, name| reader.member(name, extra))
    }

    fn record(
        &mut self,
        names: &'static [&'static str],
        slots: Variables<'_, '_>,
        nullable: &[usize],
        mut other: impl FnMut(&mut Self, Name) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        self.object_by(names, &mut |reader, index, name| {
            let Some((index, slot)) = index.and_then(|index| Some((index, slots.get_mut(index)?))) else {
                return other(reader, name);
            };
            if reader.null_of(nullable, index) {
                slot.clear();
                return Ok(());
            }
            slot.fill(reader)
        })
    }

    /// Whether null was next, and is one of those that may be.
    #[inline]
    fn null_of(&mut self, nullable: &[usize], index: usize) -> bool {
        !nullable.is_empty() && self.peek() == Some(b'n') && nullable.contains(&index) && self.null()
    }
}

/// Objects whose types keep everything.
impl Rest {
    /// Other properties are kept here.
    ///
    /// # Errors
    /// [`Mismatch`] when it is no object, or a value is none of its type.
    #[doc(hidden)]
    pub fn open_record(
        &mut self,
        reader: &mut Reader<'_>,
        names: &'static [&'static str],
        slots: Variables<'_, '_>,
        nullable: &[usize],
    ) -> Result<(), Mismatch> {
        self.record(reader, names, slots, nullable, |rest, reader, name| rest.keep(name, reader))
    }

    /// Other properties are read over.
    ///
    /// # Errors
    /// As [`Rest::open_record`].
    #[doc(hidden)]
    pub fn known_record(
        &mut self,
        reader: &mut Reader<'_>,
        names: &'static [&'static str],
        slots: Variables<'_, '_>,
        nullable: &[usize],
    ) -> Result<(), Mismatch> {
        self.record(reader, names, slots, nullable, |_, reader, _| reader.ignore())
    }

    /// There must be no other property.
    ///
    /// # Errors
    /// As [`Rest::open_record`], and when there is one.
    #[doc(hidden)]
    pub fn closed_record(
        &mut self,
        reader: &mut Reader<'_>,
        names: &'static [&'static str],
        slots: Variables<'_, '_>,
        nullable: &[usize],
    ) -> Result<(), Mismatch> {
        self.record(reader, names, slots, nullable, |_, _, _| Err(Mismatch))
    }

    /// Other properties go to `extra`.
    ///
    /// # Errors
    /// As [`Rest::open_record`].
    #[doc(hidden)]
    pub fn record_with<T: Json>(
        &mut self,
        reader: &mut Reader<'_>,
        names: &'static [&'static str],
        slots: Variables<'_, '_>,
        nullable: &[usize],
        extra: &mut impl Extend<(String, T)>,
    ) -> Result<(), Mismatch> {
        self.record(reader, names, slots, nullable, |rest, reader, name| rest.extra(reader, name, extra))
    }

    fn record<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        names: &'static [&'static str],
        slots: Variables<'_, '_>,
        nullable: &[usize],
        mut other: impl FnMut(&mut Self, &mut Reader<'a>, Name) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        reader.object_by(names, &mut |reader: &mut Reader<'a>, index, name| {
            let Some((index, slot)) = index.and_then(|index| Some((index, slots.get_mut(index)?))) else {
                return other(self, reader, name);
            };
            if reader.null_of(nullable, index) {
                slot.clear();
                self.form(index, Some("null"));
                return Ok(());
            }
            let ((), text) = reader.exactly(|reader| slot.fill(reader))?;
            self.read_as(index, text);
            Ok(())
        })
    }
}
