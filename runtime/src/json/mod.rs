//! JSON texts to typed values and back, without losing anything.
//!
//! Generated types read themselves from the text, in one sweep, and write themselves: no tree in between. A value that
//! is read and written again is the same JSON value: what the type has no place for (undeclared properties, digits
//! beyond 64 bits, whether a property was null or absent) is kept in [`Rest`]. Whether the contract allows the value is
//! not asked here; the contract's own checks run over the same text.

mod bridge;
mod integer;
mod number;
mod reader;
mod repeats;
mod rest;
mod slots;
mod standard;
mod writer;

#[cfg(test)]
mod properties;

use std::cell::RefCell;

use celerysalt_contract::Exact;

pub(crate) use self::repeats::without_repeats;
pub use self::{
    bridge::{deserialize, read_by_serde, serialize, write_by_serde},
    integer::{Integer, IntegerError},
    reader::{Mismatch, Name, Reader},
    rest::Rest,
    writer::Writer,
};

/// A type that is read from a JSON text and written as one; implemented by generated code.
///
/// Users have no need of it: [`Event`](crate::Event) has `decode` and `encode`, and every generated type implements
/// serde's traits as well.
pub trait Json: Sized {
    /// Reads one value at the reader's place, and leaves the reader behind it.
    ///
    /// # Errors
    /// [`Mismatch`] when the text is no JSON or no value of the type.
    fn read(reader: &mut Reader<'_>) -> Result<Self, Mismatch>;

    /// Writes the value.
    fn write(&self, writer: &mut Writer);
}

/// The text of a value.
///
/// # Errors
/// The pointer of a number that is not finite: JSON has no words for that.
pub(crate) fn to_text<T: Json>(value: &T) -> Result<String, String> {
    thread_local! {
        /// Texts are written here and copied then: each has as much memory as it needs, and gets it at once.
        static ROOM: RefCell<String> = const { RefCell::new(String::new()) };
    }
    let mut writer = Writer::within(ROOM.take());
    value.write(&mut writer);
    let written = writer.finish()?;
    if written.capacity() > LARGEST_ROOM {
        return Ok(written);
    }
    let text = written.as_str().to_owned();
    ROOM.set(written);
    Ok(text)
}

/// A room that is larger is not kept, in bytes.
const LARGEST_ROOM: usize = 64 * 1024;

/// A value from a whole text that keeps the rules of a contract. What fails here may still be a value that the contract
/// allows: see [`Exact::guide`].
pub(crate) fn from_text_by<T: Json>(text: &str, rules: &Exact) -> Result<T, Mismatch> {
    let mut reader = Reader::guided(text, rules.guide(text).ok_or(Mismatch)?);
    let value = T::read(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// A value from a whole text.
pub(crate) fn from_text<T: Json>(text: &str) -> Result<T, Mismatch> {
    let mut reader = Reader::new(text);
    let value = T::read(&mut reader)?;
    reader.end()?;
    Ok(value)
}
