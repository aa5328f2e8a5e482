//! Numbers as the digits that they are written with: compared and divided without ever being rounded, or written out.
//!
//! `1e999999999` is one digit and an exponent here, and stays that. Work is linear in the length of the text.

use std::{cmp::Ordering, ops::RangeInclusive};

use super::scan::Short;

/// From here on an exponent is kept as digits. Far more than any text is long, so that adding a length to it never
/// changes its sign.
const HUGE: usize = 30;

/// A power of ten.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exponent {
    /// Below minus `10^30`: its digits with the nines' complement, so that longer and larger ones come first.
    Under(std::cmp::Reverse<(usize, Vec<u8>)>),
    Small(i128),
    /// `10^30` and above: how many digits, and they.
    Over((usize, Vec<u8>)),
}

/// Any number of JSON in one form: `0.digits * 10^exponent`, the digits without zeros at both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Empty for zero.
    digits: Vec<u8>,
    exponent: Exponent,
}

impl Decimal {
    /// Of a number as JSON writes it; zero for what is none.
    pub(super) fn parse(text: &str) -> Self {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (number, power) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole = whole.trim_start_matches('0');
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|digit| digit.wrapping_sub(b'0')).collect();
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..leading);
        digits.truncate(digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1));
        if digits.is_empty() {
            return Self { negative: false, digits, exponent: Exponent::Small(0) };
        }
        let point = whole.len() as i128 - leading as i128;
        Self { negative, digits, exponent: Exponent::parse(power, point) }
    }

    /// The same of bytes.
    pub(super) fn read(text: &[u8]) -> Self {
        Self::parse(str::from_utf8(text).unwrap_or_default())
    }

    /// Draft 6 and later: whether it is a whole number, however it is written.
    pub(super) fn is_integer(&self) -> bool {
        match &self.exponent {
            Exponent::Under(_) => false,
            Exponent::Over(_) => true,
            Exponent::Small(exponent) => self.digits.len() as i128 <= *exponent,
        }
    }

    /// The same in few digits, if it has few.
    pub(super) fn short(&self) -> Option<Short> {
        let Exponent::Small(exponent) = self.exponent else { return None };
        if self.digits.is_empty() {
            return Some(Short { mantissa: 0, scale: 0 });
        }
        if !(-18..=18).contains(&exponent) {
            return None;
        }
        let scale = (self.digits.len() as i128 - exponent).max(0);
        let zeros = (exponent - self.digits.len() as i128).max(0);
        if scale > 18 || self.digits.len() as i128 + zeros > 18 {
            return None;
        }
        let mantissa = self.digits.iter().fold(0i64, |all, digit| all * 10 + i64::from(*digit));
        let mantissa = mantissa * 10i64.pow(u32::try_from(zeros).ok()?);
        Some(Short { mantissa: if self.negative { -mantissa } else { mantissa }, scale: u8::try_from(scale).ok()? })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let size = || self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            0 => Ordering::Equal,
            1 => size(),
            _ => size().reverse(),
        })
    }
}

impl Exponent {
    /// Of the digits behind the `e`, and where the point stands among those before it.
    fn parse(power: &str, point: i128) -> Self {
        let (negative, digits) = match power.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, power.strip_prefix('+').unwrap_or(power)),
        };
        let digits = digits.trim_start_matches('0');
        if digits.len() <= HUGE {
            let size: i128 = digits.parse().unwrap_or(0);
            return Self::Small(if negative { -size } else { size } + point);
        }
        let mut digits: Vec<u8> = digits.bytes().map(|digit| digit.wrapping_sub(b'0')).collect();
        add(&mut digits, if negative { -point } else { point });
        let key = (digits.len(), digits);
        if negative { Self::Under(std::cmp::Reverse(key)) } else { Self::Over(key) }
    }
}

/// Adds to a number of more than [`HUGE`] digits what is far smaller.
fn add(digits: &mut Vec<u8>, term: i128) {
    let mut carry = term;
    for digit in digits.iter_mut().rev() {
        if carry == 0 {
            break;
        }
        let sum = i128::from(*digit) + carry;
        *digit = u8::try_from(sum.rem_euclid(10)).unwrap_or_default();
        carry = sum.div_euclid(10);
    }
    if carry > 0 {
        digits.insert(0, u8::try_from(carry).unwrap_or_default());
    }
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    digits.drain(..zeros);
}

/// A limit that numbers are held against.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    exact: Decimal,
    short: Option<Short>,
}

impl Bound {
    /// Of a number as JSON writes it, with all its digits.
    pub(super) fn parse(text: &str) -> Self {
        let exact = Decimal::parse(text);
        Self { short: exact.short(), exact }
    }

    /// The largest integer that is not above it and the smallest that is not below it; none for one of many digits.
    pub(super) fn neighbours(&self) -> Option<(i64, i64)> {
        let short = self.short?;
        let power = *POWERS.get(usize::from(short.scale))?;
        let below = short.mantissa.div_euclid(power);
        Some((below, if short.mantissa.rem_euclid(power) == 0 { below } else { below + 1 }))
    }

    /// How a number is to the bound. `text` is how it is written.
    #[inline]
    pub(super) fn against(&self, short: Option<Short>, text: &[u8]) -> Ordering {
        match (short, self.short) {
            (Some(number), Some(bound)) => compare(number, bound),
            _ => Decimal::read(text).cmp(&self.exact),
        }
    }
}

/// Whether a number surely is between two integers, or one of them.
#[inline]
pub(super) fn is_between(number: Short, integers: &RangeInclusive<i64>) -> bool {
    let Some(power) = POWERS.get(usize::from(number.scale)) else { return false };
    // Where it is cut off, the limit is beyond all that a short number can be, or nothing is between.
    integers.start().saturating_mul(*power) <= number.mantissa
        && number.mantissa <= integers.end().saturating_mul(*power)
}

const POWERS: [i64; 19] = {
    let mut powers = [1; 19];
    let mut at = 1;
    while at < 19 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

#[inline]
fn compare(a: Short, b: Short) -> Ordering {
    if a.scale == b.scale {
        return a.mantissa.cmp(&b.mantissa);
    }
    let common = a.scale.max(b.scale);
    scaled(a, common).cmp(&scaled(b, common))
}

/// In units of `10^-scale`, which is no coarser than its own.
fn scaled(number: Short, scale: u8) -> i128 {
    let power = POWERS.get(usize::from(scale.saturating_sub(number.scale))).copied().unwrap_or(1);
    i128::from(number.mantissa) * i128::from(power)
}

/// What numbers are to be multiples of.
#[derive(Clone, Debug)]
pub(super) struct Step {
    short: Option<Short>,
    /// Without zeros at its end.
    digits: u64,
    /// What the digits are multiplied with, as a power of ten.
    exponent: i128,
}

impl Step {
    /// None for zero, and for one of more digits than fit 64 bits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let exact = Decimal::parse(text);
        let digits = exact
            .digits
            .iter()
            .try_fold(0u64, |all, digit| all.checked_mul(10)?.checked_add(u64::from(*digit)))
            .filter(|digits| *digits > 0)?;
        let Exponent::Small(exponent) = exact.exponent else { return None };
        Some(Self { short: exact.short(), digits, exponent: exponent - exact.digits.len() as i128 })
    }

    /// Whether a number is a whole multiple. `text` is how it is written.
    #[inline]
    pub(super) fn divides(&self, short: Option<Short>, text: &[u8]) -> bool {
        if let (Some(number), Some(step)) = (short, self.short) {
            if number.scale == 0 && step.scale == 0 {
                return number.mantissa % step.mantissa == 0;
            }
            let common = number.scale.max(step.scale);
            return scaled(number, common) % scaled(step, common) == 0;
        }
        self.divides_exactly(&Decimal::read(text))
    }

    fn divides_exactly(&self, number: &Decimal) -> bool {
        let modulus = u128::from(self.digits);
        let rest = number.digits.iter().fold(0u128, |rest, digit| (rest * 10 + u128::from(*digit)) % modulus);
        if number.digits.is_empty() {
            return true;
        }
        // `digits * 10^more` is to be a multiple of the step's digits. Below zero it is none: ten does not divide the
        // digits, for there is no zero at their end.
        let power = match &number.exponent {
            Exponent::Under(_) => return false,
            Exponent::Small(exponent) => {
                let more = exponent - number.digits.len() as i128 - self.exponent;
                match u128::try_from(more) {
                    Err(_) => return false,
                    Ok(more) => power_of_ten(more.to_string().bytes().map(|digit| digit - b'0'), modulus),
                }
            }
            Exponent::Over((_, digits)) => {
                let mut more = digits.clone();
                add(&mut more, -(number.digits.len() as i128) - self.exponent);
                power_of_ten(more.into_iter(), modulus)
            }
        };
        rest * power % modulus == 0
    }
}

/// `10^exponent` modulo what fits 64 bits, for an exponent of any number of digits.
fn power_of_ten(exponent: impl Iterator<Item = u8>, modulus: u128) -> u128 {
    let power = |base: u128, times: u8| (0..times).fold(1 % modulus, |all, _| all * base % modulus);
    exponent.fold(1 % modulus, |all, digit| power(all, 10) * power(10 % modulus, digit) % modulus)
}

/// Whether the text of a number is that of a whole number, by value.
pub(super) fn is_integer(text: &[u8]) -> bool {
    Decimal::read(text).is_integer()
}
