//! Integers without bounds, as a contract has them that names none.

use std::{cmp::Ordering, fmt, hash, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::number::{self, Decimal};

/// An integer of any size: the type of a property whose schema says `integer` and names no bounds.
///
/// It is made from and compared with the integers of Rust, and becomes one of them where it fits.
///
/// ```
/// use celerysalt::Integer;
///
/// let user_id = Integer::from(42);
/// assert_eq!(user_id, 42);
/// assert_eq!(i64::try_from(&user_id), Ok(42));
///
/// let huge: Integer = "340282366920938463463374607431768211456".parse()?;
/// assert_eq!(huge.as_i64(), None);
/// assert_eq!(huge.to_string(), "340282366920938463463374607431768211456");
/// # Ok::<(), celerysalt::IntegerError>(())
/// ```
///
/// A schema with `"format": "int64"` or with bounds within 64 bits gets an `i64` instead.
#[derive(Clone)]
pub struct Integer(Repr);

#[derive(Clone)]
enum Repr {
    Small(i64),
    /// The JSON text of one beyond 64 bits.
    Large(Box<str>),
}

/// An integer that does not fit the type that it was to become, or text that is no integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct IntegerError(&'static str);

impl Integer {
    /// The value, if it fits into 64 bits.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Small(value) => Some(*value),
            Repr::Large(_) => None,
        }
    }

    /// The value, if it is not negative and fits into 64 bits.
    pub fn as_u64(&self) -> Option<u64> {
        u64::try_from(self.as_i128()?).ok()
    }

    /// The value, if it fits into 128 bits.
    pub fn as_i128(&self) -> Option<i128> {
        match &self.0 {
            Repr::Small(value) => Some(i128::from(*value)),
            Repr::Large(text) => Decimal::of(text).to_i128(),
        }
    }

    pub(super) fn small(value: i64) -> Self {
        Self(Repr::Small(value))
    }

    /// From a JSON number; the second says whether the number is written again as it was.
    pub(super) fn from_number(number: number::Number<'_>) -> Option<(Self, bool)> {
        if let Some(value) = number.to_i64() {
            let same = number.is_plain && !(value == 0 && number.text.starts_with('-'));
            return Some((Self::small(value), same));
        }
        if !number.is_plain && !Decimal::of(number.text).is_integer() {
            return None;
        }
        Some((Self(Repr::Large(number.text.into())), true))
    }

    fn decimal(&self) -> Decimal {
        match &self.0 {
            Repr::Small(value) => Decimal::of(&value.to_string()),
            Repr::Large(text) => Decimal::of(text),
        }
    }
}

impl Default for Integer {
    fn default() -> Self {
        Self::small(0)
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Small(value) => value.fmt(f),
            Repr::Large(text) => f.pad(text),
        }
    }
}

impl fmt::Debug for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Integer {
    type Err = IntegerError;

    /// # Errors
    /// [`IntegerError`] for what JSON has no integer for.
    fn from_str(text: &str) -> Result<Self, IntegerError> {
        let (value, _) =
            number::whole(text).and_then(Self::from_number).ok_or(IntegerError("the text of a JSON integer"))?;
        Ok(value)
    }
}

impl Ord for Integer {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Small(a), Repr::Small(b)) => a.cmp(b),
            _ => self.decimal().cmp(&other.decimal()),
        }
    }
}

impl PartialOrd for Integer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Integer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Integer {}

impl hash::Hash for Integer {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        match &self.0 {
            Repr::Small(value) => value.hash(state),
            Repr::Large(text) => Decimal::of(text).hash(state),
        }
    }
}

impl From<i128> for Integer {
    fn from(value: i128) -> Self {
        let small = i64::try_from(value).map(Repr::Small);
        Self(small.unwrap_or_else(|_| Repr::Large(value.to_string().into())))
    }
}

impl From<u128> for Integer {
    fn from(value: u128) -> Self {
        let small = i64::try_from(value).map(Repr::Small);
        Self(small.unwrap_or_else(|_| Repr::Large(value.to_string().into())))
    }
}

macro_rules! integers {
    ($($int:ident)*) => {$(
        impl From<$int> for Integer {
            fn from(value: $int) -> Self {
                Self::from(i128::from(value))
            }
        }
        integers!(@both $int);
    )*};
    (@both $int:ident) => {
        impl TryFrom<&Integer> for $int {
            type Error = IntegerError;

            fn try_from(value: &Integer) -> Result<Self, IntegerError> {
                let fits = value.as_i128().and_then(|value| Self::try_from(value).ok());
                fits.ok_or(IntegerError(concat!("an integer that fits into ", stringify!($int))))
            }
        }
        impl TryFrom<Integer> for $int {
            type Error = IntegerError;

            fn try_from(value: Integer) -> Result<Self, IntegerError> {
                Self::try_from(&value)
            }
        }
        impl PartialEq<$int> for Integer {
            fn eq(&self, other: &$int) -> bool {
                self.cmp(&Integer::from(*other)) == Ordering::Equal
            }
        }
        impl PartialEq<Integer> for $int {
            fn eq(&self, other: &Integer) -> bool {
                other == self
            }
        }
        impl PartialOrd<$int> for Integer {
            fn partial_cmp(&self, other: &$int) -> Option<Ordering> {
                Some(self.cmp(&Integer::from(*other)))
            }
        }
        impl PartialOrd<Integer> for $int {
            fn partial_cmp(&self, other: &Integer) -> Option<Ordering> {
                Some(Integer::from(*self).cmp(other))
            }
        }
    };
}
integers!(i8 i16 i32 i64 u8 u16 u32 u64);
integers!(@both i128);

/// As a number; one beyond 64 bits becomes a float in formats other than JSON text.
impl Serialize for Integer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        super::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn integer(text: &str) -> Integer {
        text.parse().unwrap()
    }

    #[test]
    fn integers_compare_with_those_of_rust() {
        assert_eq!(integer("42"), 42);
        assert_eq!(42_u8, integer("42.0"));
        assert!(integer("-3") < 0 && integer("1e30") > i64::MAX && 5 < integer("18446744073709551616"));
        assert_ne!(integer("1e30"), 0);
        assert_eq!(integer("1e30"), integer("1000000000000000000000000000000"));
        assert_eq!(Integer::from(u64::MAX).as_u64(), Some(u64::MAX));
        assert_eq!(i8::try_from(integer("200")), Err(IntegerError("an integer that fits into i8")));
        assert_eq!(i128::try_from(integer("1e20")), Ok(100_000_000_000_000_000_000));
        let set: HashSet<Integer> = [integer("7"), 7.into(), integer("1e30"), integer("10e29")].into();
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn what_is_no_integer_is_refused() {
        for bad in ["", "1.5", "x", "1 ", " 1", "1e-1", "NaN", "--1"] {
            assert!(bad.parse::<Integer>().is_err(), "{bad}");
        }
    }
}
