//! JSON values as they are written: numbers keep their digits, so that nothing that a float would hide is equal.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// A JSON value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Array(Vec<Json>),
    /// Of members of the same name the last one counts.
    Object(BTreeMap<String, Json>),
}

/// A number: `1.50` and `15e-1` are the same, `1` and `1.0` are not: the first is an integer in Python, the other a float.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: String,
    /// The power of ten that the digits are multiplied with, in words where it is beyond all reason.
    exponent: Result<i64, String>,
    /// Written with a fraction or an exponent.
    is_float: bool,
}

impl Number {
    fn of(text: &str) -> Self {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, power) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let trimmed = all.trim_end_matches('0');
        let digits = trimmed.trim_start_matches('0').to_owned();
        let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
        let shift = length(&all) - length(trimmed) - length(fraction);
        let exponent =
            match power.trim_start_matches('+').parse::<i64>().ok().and_then(|power| power.checked_add(shift)) {
                _ if digits.is_empty() => Ok(0),
                Some(power) => Ok(power),
                None => Err(format!("{power} and {shift}")),
            };
        Self { negative, digits, exponent, is_float: rest.contains(['.', 'e', 'E']) }
    }
}

impl Json {
    /// Reads a JSON text.
    ///
    /// # Errors
    /// What the parser says.
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let text = text.trim_matches([' ', '\n', '\r', '\t']);
        Ok(match text.bytes().next() {
            Some(b'{') => {
                let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
                let members = members.into_iter().map(|(name, raw)| Ok((name, Self::parse(raw.get())?)));
                Self::Object(members.collect::<Result<_, serde_json::Error>>()?)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                Self::Array(items.into_iter().map(|raw| Self::parse(raw.get())).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Self::Text(serde_json::from_str(text)?),
            Some(b't' | b'f') => Self::Bool(serde_json::from_str(text)?),
            Some(b'n') => {
                serde_json::from_str::<()>(text)?;
                Self::Null
            }
            _ => {
                let raw: &RawValue = serde_json::from_str(text)?;
                Self::Number(Number::of(raw.get()))
            }
        })
    }
}

/// The place of the first difference between two texts, none when they are the same value.
///
/// # Errors
/// What the parser says of the text that is no JSON.
pub(crate) fn difference(left: &str, right: &str) -> Result<Option<String>, String> {
    let parse = |text| Json::parse(text).map_err(|error| error.to_string());
    let (left, right) = (parse(left)?, parse(right)?);
    // What is no object is no payload for anyone but ourselves, and there alone the type is the float that it is read as.
    if let (Json::Number(left), Json::Number(right)) = (&left, &right) {
        let same = left.negative == right.negative && left.digits == right.digits && left.exponent == right.exponent;
        return Ok((!same).then(|| "the whole is another value".to_owned()));
    }
    Ok(differs(&left, &right, String::new()))
}

fn differs(left: &Json, right: &Json, pointer: String) -> Option<String> {
    match (left, right) {
        (Json::Array(left), Json::Array(right)) if left.len() == right.len() => left
            .iter()
            .zip(right)
            .enumerate()
            .find_map(|(i, (left, right))| differs(left, right, format!("{pointer}/{i}"))),
        (Json::Object(left), Json::Object(right)) => {
            let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
            let below = |name: &str| format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            names.into_iter().find_map(|name| match (left.get(name), right.get(name)) {
                (Some(left), Some(right)) => differs(left, right, below(name)),
                (Some(_), None) => Some(format!("{} is lost", below(name))),
                (None, _) => Some(format!("{} is new", below(name))),
            })
        }
        _ if left == right => None,
        _ => Some(format!("{} is another value", if pointer.is_empty() { "the whole" } else { &pointer })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_digits_that_they_are_written_with() {
        let same = [
            ("1.50", "15e-1"),
            ("100.0", "1e2"),
            ("0.0", "0e5"),
            ("[1e400]", "[10E+399]"),
            ("1", "1.0"),
            ("100", "1e2"),
        ];
        for (left, right) in same {
            assert_eq!(difference(left, right), Ok(None), "{left} {right}");
        }
        let different =
            [("[1]", "[1.0]"), ("9007199254740993", "9007199254740992"), ("[-0.0]", "[0.0]"), ("1e400", "1e401")];
        for (left, right) in different {
            assert!(difference(left, right).unwrap().is_some(), "{left} {right}");
        }
    }

    #[test]
    fn the_place_of_a_difference_is_told() {
        let told = |left, right| difference(left, right).unwrap().unwrap();
        assert_eq!(told(r#"{"a": [1, {"b/c": null}]}"#, r#"{"a": [1, {"b/c": 0}]}"#), "/a/1/b~1c is another value");
        assert_eq!(told(r#"{"a": null}"#, "{}"), "/a is lost");
        assert_eq!(told("{}", r#"{"a": null}"#), "/a is new");
        assert_eq!(difference(r#"{"a": 1, "b": "\u0041", "a": 2}"#, r#"{"b": "A", "a": 2}"#), Ok(None));
        assert!(difference("[", "[]").is_err());
    }
}
