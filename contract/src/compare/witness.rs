//! The value that tells two schemas apart, to the digit.

use std::fmt;

use num_bigint::BigInt;
use num_rational::BigRational;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::exact::{Exact, Quantity};

/// The most digits behind the point that are written as such, and not as a power of ten.
const MAX_SCALE: u32 = 40;

/// A value that one schema accepts and another one refuses.
///
/// Between two bounds that differ by less than a float can tell there are numbers that no [`Value`] holds: then the text has
/// them, and the value has what is nearest.
///
/// ```
/// use celerysalt_contract::compare::{Options, Verdict, contains};
/// use serde_json::json;
///
/// let (old, new) = (json!({"exclusiveMaximum": 1.0}), json!({"maximum": 0.9999999999999999}));
/// let Verdict::Breaking { witness, .. } = contains(&old, &new, &Options::default()) else { unreachable!() };
/// assert_eq!(witness.to_string(), "0.99999999999999991");
/// assert!(!witness.is_exact());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Witness {
    value: Value,
    text: String,
    is_exact: bool,
}

impl Witness {
    /// None for a number that has no end in decimal digits.
    pub(super) fn of(exact: &Exact) -> Option<Self> {
        let value = exact.to_json();
        let is_exact = Exact::of(&value).as_ref() == Some(exact);
        let text = if is_exact { value.to_string() } else { text(exact)? };
        Some(Self { value, text, is_exact })
    }

    /// The value, each of its numbers the nearest that a JSON value holds here.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The value as JSON, to the digit.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether [`value`](Self::value) is all of it.
    pub fn is_exact(&self) -> bool {
        self.is_exact
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// As the [`value`](Witness::value).
impl Serialize for Witness {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl PartialEq<Value> for Witness {
    fn eq(&self, other: &Value) -> bool {
        self.is_exact && self.value == *other
    }
}

/// As deep as the value nests.
fn text(exact: &Exact) -> Option<String> {
    Some(match exact {
        Exact::Number(quantity) => number(quantity)?,
        Exact::Array(items) => {
            let items: Vec<String> = items.iter().map(text).collect::<Option<_>>()?;
            format!("[{}]", items.join(","))
        }
        Exact::Object(members) => {
            let member =
                |(name, value): (&String, &Exact)| Some(format!("{}:{}", Value::from(name.as_str()), text(value)?));
            format!("{{{}}}", members.iter().map(member).collect::<Option<Vec<_>>>()?.join(","))
        }
        Exact::Null | Exact::Bool(_) | Exact::Text(_) => exact.to_json().to_string(),
    })
}

/// All decimal digits of a number; none where they have no end.
fn number(quantity: &Quantity) -> Option<String> {
    let point = if quantity.dotted { ".0" } else { "" };
    if quantity.exact.is_integer() {
        return Some(format!("{}{point}", quantity.exact.to_integer()));
    }
    let scale = scale(quantity.exact.denom())?;
    let digits = (&quantity.exact * BigRational::from_integer(BigInt::from(10).pow(scale))).to_integer();
    if scale > MAX_SCALE {
        return Some(format!("{digits}e-{scale}"));
    }
    let (sign, digits) = match digits.to_string() {
        text if text.starts_with('-') => ("-", text[1..].to_owned()),
        text => ("", text),
    };
    let width = scale as usize + 1;
    let digits = format!("{digits:0>width$}");
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    Some(format!("{sign}{whole}.{fraction}"))
}

/// How many digits a fraction of that denominator has behind the point: it ends if nothing but twos and fives is in it.
fn scale(denominator: &BigInt) -> Option<u32> {
    let (mut rest, mut counts) = (denominator.clone(), [0_u32; 2]);
    for (count, prime) in counts.iter_mut().zip([2_u32, 5]) {
        while (&rest % prime) == BigInt::from(0) {
            rest /= prime;
            *count += 1;
        }
    }
    (rest == BigInt::from(1)).then(|| counts[0].max(counts[1]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn ratio(numerator: i64, denominator: i64) -> Exact {
        Exact::number(BigRational::new(numerator.into(), denominator.into()))
    }

    #[test]
    fn digits_are_written_as_they_are() {
        let tiny = BigRational::new(1.into(), BigInt::from(10).pow(18));
        let near = Exact::number(BigRational::from_integer(1.into()) - &tiny * BigRational::from_integer(5.into()));
        let below = Exact::number(-(BigRational::from_integer(1.into()) + tiny));
        for (value, text, is_exact) in [
            (ratio(1, 4), "0.25", true),
            (near.clone(), "0.999999999999999995", false),
            (below, "-1.000000000000000001", false),
            (
                Exact::Object(BTreeMap::from([("a\"b".to_owned(), Exact::Array(vec![near, Exact::Null]))])),
                r#"{"a\"b":[0.999999999999999995,null]}"#,
                false,
            ),
        ] {
            let witness = Witness::of(&value).unwrap();
            assert_eq!((witness.to_string().as_str(), witness.is_exact()), (text, is_exact));
        }
        assert_eq!(Witness::of(&ratio(1, 3)), None);
    }
}
