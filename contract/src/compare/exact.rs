//! JSON values compared by meaning: numbers are exact rationals, so that `1` is `1.0` and no bound is rounded.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    hash::{Hash, Hasher},
};

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};
use serde_json::{Map, Number, Value};

/// A map by a hash that is quick and no more: its keys are numbers that this program made, and schemas are bounded.
pub(super) type Table<K, V> = std::collections::HashMap<K, V, foldhash::fast::FixedState>;

/// The largest exponent of ten that is written out. Beyond it a number is no number that anything here computes with.
const MAX_EXPONENT: i32 = 1_000;

/// A number as the text of a schema or an instance has it.
#[derive(Clone, Debug)]
pub(super) struct Quantity {
    pub(super) exact: BigRational,
    /// Whether it is to be written as `1.0`: draft 4 tells that from `1`, nothing else does.
    pub(super) dotted: bool,
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.exact == other.exact
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.exact.cmp(&other.exact)
    }
}

impl Hash for Quantity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.exact.hash(state);
    }
}

/// The types of JSON; an integer is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    Text,
    Array,
    Object,
}

/// All of them, the cheapest to look into first.
pub(super) const KINDS: [Kind; 6] = [Kind::Null, Kind::Bool, Kind::Number, Kind::Text, Kind::Array, Kind::Object];

/// A JSON value whose equality is that of JSON Schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Exact {
    Null,
    Bool(bool),
    Number(Quantity),
    Text(String),
    Array(Vec<Exact>),
    Object(BTreeMap<String, Exact>),
}

impl Exact {
    /// None for a number too large to be written out. As deep as the value nests.
    pub(super) fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(Quantity { exact: rational(number)?, dotted: is_dotted(number) }),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::Array(items.iter().map(Self::of).collect::<Option<_>>()?),
            Value::Object(members) => {
                let member = |(key, value): (&String, &Value)| Some((key.clone(), Self::of(value)?));
                Self::Object(members.iter().map(member).collect::<Option<_>>()?)
            }
        })
    }

    pub(super) fn integer(value: usize) -> Self {
        Self::number(BigRational::from_integer(BigInt::from(value)))
    }

    pub(super) fn number(exact: BigRational) -> Self {
        Self::Number(Quantity { exact, dotted: false })
    }

    /// How many values it is made of.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Array(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Self::Object(members) => 1 + members.values().map(Self::size).sum::<usize>(),
            _ => 1,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(_) => Kind::Bool,
            Self::Number(_) => Kind::Number,
            Self::Text(_) => Kind::Text,
            Self::Array(_) => Kind::Array,
            Self::Object(_) => Kind::Object,
        }
    }

    /// The value as JSON; a number that JSON's types here can't hold is the nearest that they can.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(quantity) => number_of(quantity).map_or(Value::Null, Value::Number),
            Self::Text(text) => Value::String(text.clone()),
            Self::Array(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Self::Object(members) => {
                Value::Object(members.iter().map(|(key, value)| (key.clone(), value.to_json())).collect::<Map<_, _>>())
            }
        }
    }

    /// The same value with each integer written as `1.0`, and how many there are.
    pub(super) fn dotted(&self) -> (Self, usize) {
        let mut count = 0;
        let value = match self {
            Self::Number(quantity) if quantity.exact.is_integer() => {
                count += 1;
                Self::Number(Quantity { exact: quantity.exact.clone(), dotted: !quantity.dotted })
            }
            Self::Array(items) => Self::Array(
                items
                    .iter()
                    .map(|item| {
                        let (item, inside) = item.dotted();
                        count += inside;
                        item
                    })
                    .collect(),
            ),
            Self::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(key, value)| {
                        let (value, inside) = value.dotted();
                        count += inside;
                        (key.clone(), value)
                    })
                    .collect(),
            ),
            other => other.clone(),
        };
        (value, count)
    }
}

fn is_dotted(number: &Number) -> bool {
    number.is_f64()
}

/// The number that a bound, a multiple or an instance is.
///
/// Integers that only `f64` can hold are what `f64` makes of them, as the validator compares those; everything else is
/// what its decimal digits say.
pub(super) fn rational(number: &Number) -> Option<BigRational> {
    if let Some(value) = number.as_i64() {
        return Some(BigRational::from_integer(value.into()));
    }
    if let Some(value) = number.as_u64() {
        return Some(BigRational::from_integer(value.into()));
    }
    if let Some(value) = number.as_f64().filter(|value| value.abs() >= 9_007_199_254_740_992.0) {
        return BigRational::from_float(value);
    }
    decimal(&number.to_string())
}

/// What decimal digits say; none beyond the exponents that are computed with.
pub(super) fn decimal(text: &str) -> Option<BigRational> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: BigInt = format!("{whole}{fraction}").parse().ok()?;
    let scale = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    if scale.abs() > MAX_EXPONENT {
        return None;
    }
    let power = BigInt::from(10).pow(scale.unsigned_abs());
    Some(if scale < 0 { BigRational::new(digits, power) } else { BigRational::from_integer(digits * power) })
}

fn number_of(quantity: &Quantity) -> Option<Number> {
    let exact = &quantity.exact;
    if exact.is_integer() && !quantity.dotted {
        let whole = exact.to_integer();
        if let Some(small) = whole.to_i64() {
            return Some(small.into());
        }
        if let Some(large) = whole.to_u64() {
            return Some(large.into());
        }
    }
    Number::from_f64(nearest(exact)?)
}

/// Through the decimal digits: a rational that is a short decimal becomes the `f64` that is written like it.
fn nearest(exact: &BigRational) -> Option<f64> {
    if exact.is_integer() {
        return exact.to_integer().to_string().parse().ok();
    }
    let mut digits = exact.clone();
    let mut scale = 0_i32;
    while !digits.is_integer() && scale < MAX_EXPONENT {
        // Only fives and twos in the denominator end; the rest is cut far behind what `f64` can tell.
        if scale > 400 && !digits.denom().is_one() {
            break;
        }
        digits *= BigRational::from_integer(BigInt::from(10));
        scale += 1;
    }
    format!("{}e-{scale}", digits.to_integer()).parse().ok()
}

/// Whether JSON's types here can hold the number as it is.
pub(super) fn is_writable(exact: &BigRational) -> bool {
    let quantity = Quantity { exact: exact.clone(), dotted: false };
    number_of(&quantity).and_then(|number| rational(&number)).is_some_and(|back| back == *exact)
}

/// Whether `value` is a whole number of steps.
pub(super) fn is_multiple(value: &BigRational, step: &BigRational) -> bool {
    !step.is_zero() && (value / step).is_integer()
}

/// The least common multiple of two positive rationals.
pub(super) fn common_multiple(a: &BigRational, b: &BigRational) -> BigRational {
    use num_integer::Integer;
    let (a, b) = (a.abs(), b.abs());
    BigRational::new(a.numer().lcm(b.numer()), a.denom().gcd(b.denom()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_what_their_digits_say() {
        for (a, b) in [(json!(1), json!(1.0)), (json!(100), json!(1e2)), (json!(0.5), json!(5e-1))] {
            assert_eq!(Exact::of(&a), Exact::of(&b));
        }
        for value in [json!(0.1), json!(1e-17), json!(18_446_744_073_709_551_615_u64), json!(-3), json!(1e300)] {
            assert_eq!(Exact::of(&value).map(|exact| exact.to_json()), Some(value));
        }
        assert!(Exact::of(&json!(0)) < Exact::of(&json!(1e-17)));
        let third = BigRational::new(1.into(), 3.into());
        assert!(!is_writable(&third) && is_writable(&BigRational::new(3.into(), 8.into())));
        let common = common_multiple(&BigRational::new(3.into(), 2.into()), &BigRational::new(1.into(), 3.into()));
        assert_eq!(common, BigRational::from_integer(3.into()));
    }
}
