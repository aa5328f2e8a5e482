//! Integers as JSON Schema has them: `1.0` is one.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// Reads an integer of 64 bits, also where it is written with a zero fraction.
///
/// # Errors
/// For anything else.
pub fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    deserializer.deserialize_any(Integer)
}

/// As [`integer`]; `null` is `None`.
///
/// # Errors
/// As [`integer`].
pub fn optional_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    struct Wrapped(i64);
    impl<'de> Deserialize<'de> for Wrapped {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            integer(deserializer).map(Self)
        }
    }
    Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|wrapped| wrapped.0))
}

struct Integer;

impl Visitor<'_> for Integer {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer of 64 bits")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<i64, E> {
        Ok(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<i64, E> {
        i64::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    #[expect(clippy::cast_possible_truncation, reason = "checked to be in range and without a fraction")]
    fn visit_f64<E: Error>(self, value: f64) -> Result<i64, E> {
        // 2^63 as a float is exact; it is the first value that does not fit.
        let bound = 9_223_372_036_854_775_808.0;
        if value.fract() == 0.0 && (-bound..bound).contains(&value) {
            Ok(value as i64)
        } else {
            Err(E::invalid_value(Unexpected::Float(value), &self))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Two {
        #[serde(deserialize_with = "integer")]
        a: i64,
        #[serde(default, deserialize_with = "optional_integer")]
        b: Option<i64>,
    }

    fn read(text: &str) -> Option<(i64, Option<i64>)> {
        serde_json::from_str::<Two>(text).ok().map(|two| (two.a, two.b))
    }

    #[test]
    fn integers_with_a_zero_fraction_are_integers() {
        assert_eq!(read(r#"{"a": 1.0, "b": 2e2}"#), Some((1, Some(200))));
        assert_eq!(read(r#"{"a": -9223372036854775808, "b": null}"#), Some((i64::MIN, None)));
        assert_eq!(read(r#"{"a": 1}"#), Some((1, None)));
        for bad in
            [r#"{"a": 1.5}"#, r#"{"a": 9223372036854775808}"#, r#"{"a": 1e19}"#, r#"{"a": "1"}"#, r#"{"a": null}"#]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
