//! Numbers as their texts: JSON numbers have no bounds, and `1.0` is an integer.

use std::cmp::Ordering;

use celerysalt_contract::exact::scan::{self, Digits, Short};

/// The text of a number, and what kind of text it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    pub(super) text: &'a str,
    /// Neither a fraction nor an exponent.
    pub(super) is_plain: bool,
    short: Option<Short>,
}

/// The number that a text is.
pub(super) fn whole(text: &str) -> Option<Number<'_>> {
    let digits = scan::number(text.as_bytes(), 0).filter(|digits| digits.end == text.len())?;
    Some(Number::new(text, digits))
}

/// The powers of ten that floats hold.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The nearest float, if few digits tell it: zero has two.
#[inline]
pub(super) fn nearest(short: Short) -> Option<f64> {
    /// Every integer below is a float.
    const WHOLE: u64 = 1 << 53;
    if short.mantissa == 0 || short.mantissa.unsigned_abs() > WHOLE {
        return None;
    }
    // Two floats that are exact, and one rounding (Clinger, "How to read floating point numbers accurately").
    let power = POWERS.get(usize::from(short.scale))?;
    #[expect(clippy::cast_precision_loss, reason = "it is at most 2^53")]
    let mantissa = short.mantissa as f64;
    Some(mantissa / power)
}

impl<'a> Number<'a> {
    #[inline]
    pub(super) fn new(text: &'a str, digits: Digits) -> Self {
        Self { text, is_plain: digits.plain, short: digits.short }
    }

    /// As an integer of 64 bits, if it is one.
    #[inline]
    pub(super) fn to_i64(self) -> Option<i64> {
        match self.short {
            Some(short) if self.is_plain => Some(short.mantissa),
            _ if self.is_plain => self.text.parse().ok(),
            _ => Decimal::of(self.text).to_i64(),
        }
    }

    /// The nearest float; infinite beyond what floats hold.
    #[inline]
    pub(super) fn to_f64(self) -> f64 {
        if let Some(float) = self.short.and_then(nearest) {
            return float;
        }
        self.text.parse().unwrap_or(f64::NAN)
    }

    /// Whether a float holds the number and is written as a number of the same value, with a fraction too.
    #[inline]
    pub(super) fn is_exact_float(self, float: f64) -> bool {
        /// So many digits survive in every float.
        const SURE: usize = 15;
        if self.is_plain || !float.is_finite() {
            // An integer is written with a fraction, which is another text for some readers.
            return false;
        }
        if self.short.is_some() && self.text.len() <= SURE + 1 {
            return true;
        }
        Decimal::of(self.text) == Decimal::of(&format!("{float:?}"))
    }

    /// Whether `serde_json::Number` holds it.
    pub(super) fn is_exact_value(self) -> bool {
        if self.is_plain {
            (self.text.len() <= 18 && self.text != "-0")
                || self.text.parse::<i64>().is_ok_and(|number| number != 0)
                || self.text.parse::<u64>().is_ok()
        } else {
            self.is_exact_float(self.to_f64())
        }
    }
}

/// A number as its digits, without zeros at either end, and an exponent of ten.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Of a number's text.
    pub(super) fn of(text: &str) -> Self {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        // An exponent beyond 64 bits belongs to a number that nobody will meet.
        let exponent: i64 =
            exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 });
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let kept = digits.trim_end_matches('0');
        let dropped = digits.len() - kept.len();
        let kept = kept.trim_start_matches('0');
        if kept.is_empty() {
            return Self { negative: false, digits: String::new(), exponent: 0 };
        }
        let shift = |length: usize| i64::try_from(length).unwrap_or(i64::MAX / 4);
        let exponent = exponent.saturating_sub(shift(fraction.len())).saturating_add(shift(dropped));
        Self { negative, digits: kept.to_owned(), exponent }
    }

    pub(super) fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    pub(super) fn to_i64(&self) -> Option<i64> {
        i64::try_from(self.to_i128()?).ok()
    }

    /// As an integer of 128 bits, if it is one.
    pub(super) fn to_i128(&self) -> Option<i128> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let zeros = u32::try_from(self.exponent).ok().filter(|zeros| *zeros < 40)?;
        let value: i128 = self.digits.parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(zeros)?)?;
        Some(if self.negative { -value } else { value })
    }

    /// How many digits stand before the point.
    fn magnitude(&self) -> i64 {
        self.exponent.saturating_add(i64::try_from(self.digits.len()).unwrap_or(i64::MAX))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0_i8,
            (false, true) => -1,
            (false, false) => 1,
        };
        let by_sign = sign(self).cmp(&sign(other));
        let by_size = self.magnitude().cmp(&other.magnitude()).then_with(|| self.digits.cmp(&other.digits));
        by_sign.then(if self.negative { by_size.reverse() } else { by_size })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_json_calls_a_number_is_one() {
        let text = |text| whole(text).map(|number| number.text);
        assert_eq!(text("-12.50e+7"), Some("-12.50e+7"));
        assert_eq!(text("0"), Some("0"));
        assert_eq!(text("-0.0"), Some("-0.0"));
        for bad in
            ["", "-12.50e+7,", "0]", "-", "01", "-01", ".5", "1.", "1.e3", "1e", "1e+", "+1", "NaN", "Infinity", "abc"]
        {
            assert_eq!(text(bad), None, "{bad}");
        }
    }

    #[test]
    fn integers_are_integers_however_they_are_written() {
        let read = |text| whole(text).unwrap().to_i64();
        assert_eq!(read("1.0"), Some(1));
        assert_eq!(read("-12e2"), Some(-1200));
        assert_eq!(read("1200e-2"), Some(12));
        assert_eq!(read("-9223372036854775808.000"), Some(i64::MIN));
        assert_eq!(read("0e999999999999999999999"), Some(0));
        for bad in ["1.5", "9223372036854775808", "1e19", "1e999999999999999999999", "15e-1"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn floats_that_lose_digits_are_noticed() {
        let exact = |text| {
            let number = whole(text).unwrap();
            number.is_exact_float(number.to_f64())
        };
        for kept in ["1.5", "0.1", "-1.50", "5.0", "1e5", "0.30000000000000004", "123456789012345.0"] {
            assert!(exact(kept), "{kept}");
        }
        for lost in
            ["5", "0.1000000000000000055511151231257827", "1e400", "12345678901234567.89", "0.12345678901234567890"]
        {
            assert!(!exact(lost), "{lost}");
        }
    }

    #[test]
    fn decimals_are_ordered_by_value() {
        let order = ["-1e30", "-10", "-9.5", "-1e-3", "0", "1e-3", "0.9", "1", "9.99", "1e1", "123", "1e30"];
        for (i, a) in order.iter().enumerate() {
            for (j, b) in order.iter().enumerate() {
                assert_eq!(Decimal::of(a).cmp(&Decimal::of(b)), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(Decimal::of("-0.0"), Decimal::of("0"));
        assert_eq!(Decimal::of("1.20e3"), Decimal::of("1200"));
    }
}
