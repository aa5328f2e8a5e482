//! Numbers of any length are judged by their digits: held against arithmetic on fractions of whole numbers.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod exact_random;

use std::{cmp::Ordering, time::Instant};

use celerysalt_contract::Exact;
use exact_random::Dice;
use serde_json::{Value, json};

fn accepts(schema: &Value, text: &str) -> bool {
    let exact = Exact::new(schema).unwrap();
    let accepted = exact.accepts(text.as_bytes());
    assert_eq!(exact.check(text.as_bytes()).is_ok(), accepted, "{schema} {text}");
    accepted
}

#[test]
fn what_a_float_rounds_away_counts() {
    for (schema, text, accepted) in [
        (json!({"maximum": 10}), "10.00000000000000000001", false),
        (json!({"maximum": 10}), "10.0000000000000000000", true),
        (json!({"exclusiveMaximum": 10}), "9.99999999999999999999999", true),
        (json!({"maximum": 9_007_199_254_740_992_u64}), "9007199254740993", false),
        (json!({"minimum": 0.1}), "0.09999999999999999999999999", false),
        (json!({"multipleOf": 0.01}), "379.43", true),
        (json!({"multipleOf": 0.1}), "0.3", true),
        (json!({"multipleOf": 0.1}), "0.30000000000000000001", false),
        (json!({"multipleOf": 3}), "123456789012345678901234567890", true),
        (json!({"multipleOf": 3}), "123456789012345678901234567891", false),
        (json!({"multipleOf": 7}), "1e999999999", false),
        (json!({"multipleOf": 8}), "1e999999999", true),
        (json!({"multipleOf": 8}), "1e2", false),
        (json!({"multipleOf": 1e-9}), "1e-10", false),
        (json!({"const": 1}), "1.00000000000000000001", false),
        (json!({"const": 100}), "1e2", true),
        (json!({"enum": [0.5]}), "5e-1", true),
        (json!({"uniqueItems": true}), "[1e999999999, 10e999999998]", false),
        (json!({"uniqueItems": true}), "[1e999999999, 10e999999999]", true),
        (json!({"uniqueItems": true}), "[9007199254740992, 9007199254740993]", true),
        (json!({"type": "integer"}), "1.0", true),
        (json!({"type": "integer"}), "1e2", true),
        (json!({"type": "integer"}), "1e-1", false),
        (json!({"type": "integer"}), "1.00000000000000000000000001", false),
        (json!({"type": "integer"}), "1e400", true),
        (json!({"type": "integer"}), "12e-999999999999999999999999999999999999999999", false),
        (json!({"maximum": 1e308}), "1e309", false),
        (json!({"minimum": -1e308}), "-1e309", false),
        (json!({"minimum": 0}), "-1e-999999999999", false),
        (json!({"minimum": 0}), "-0", true),
        (json!({"minimum": 0}), "-0.0e99999999999999999999999999999999999999999", true),
    ] {
        assert_eq!(accepts(&schema, text), accepted, "{schema} {text}");
    }
    let draft4 = json!({"$schema": "http://json-schema.org/draft-04/schema#", "type": "integer"});
    for (text, accepted) in [("1", true), ("-0", true), ("1.0", false), ("1e2", false), ("99999999999999999999", true)]
    {
        assert_eq!(accepts(&draft4, text), accepted, "{text}");
    }
}

/// Exponents of their own length are compared as numbers.
#[test]
fn exponents_without_end_are_compared() {
    let nines = "9".repeat(40);
    let one = format!("1{}", "0".repeat(40));
    for (a, b, equal) in [
        (format!("1e{one}"), format!("10e{nines}"), true),
        (format!("1e{nines}"), format!("0.1e{one}"), true),
        (format!("1e{nines}"), format!("1e{one}"), false),
        (format!("1e-{one}"), format!("0.1e-{nines}"), true),
        (format!("1e-{nines}"), format!("1e-{one}"), false),
        (format!("-1e{one}"), format!("1e{one}"), false),
        (format!("0e{one}"), "0".to_owned(), true),
    ] {
        let text = format!("[{a},{b}]");
        assert_eq!(accepts(&json!({"uniqueItems": true}), &text), !equal, "{text}");
    }
    assert!(accepts(&json!({"multipleOf": 4}), &format!("25e{one}")));
    assert!(!accepts(&json!({"multipleOf": 3}), &format!("25e{one}")));
    assert!(accepts(&json!({"maximum": 1}), &format!("1e-{one}")));
    assert!(!accepts(&json!({"maximum": 1}), &format!("1e{one}")));
}

#[test]
fn long_numbers_take_linear_time() {
    let start = Instant::now();
    let digits = "7".repeat(1_000_000);
    let exact = Exact::new(&json!({"multipleOf": 7, "maximum": 1e300, "type": "integer"})).unwrap();
    assert!(!exact.accepts(digits.as_bytes()));
    assert!(!exact.accepts(format!("1e{digits}").as_bytes()));
    assert!(!exact.accepts(format!("1e-{digits}").as_bytes()));
    let step = Exact::new(&json!({"multipleOf": 7})).unwrap();
    assert!(step.accepts(digits.as_bytes()));
    assert!(step.accepts(format!("14e{digits}").as_bytes()));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

/// A number of up to twelve digits as text, and as `mantissa / 10^12`.
fn number(dice: &mut Dice) -> (String, i128) {
    let most = dice.pick(&[1, 2, 10, 2_000]);
    let whole = i128::try_from(dice.roll(most)).unwrap();
    let places = u32::try_from(dice.roll(5)).unwrap();
    let fraction = i128::try_from(dice.roll(10usize.pow(places))).unwrap();
    let sign = if dice.one_in(2) { -1 } else { 1 };
    let unit = 10i128.pow(12 - places);
    let mantissa = sign * (whole * 10i128.pow(12) + fraction * unit);
    let minus = if sign < 0 { "-" } else { "" };
    let digits = if places == 0 { String::new() } else { format!(".{fraction:0places$}", places = places as usize) };
    // The same value in several spellings.
    let text = match dice.roll(3) {
        0 => format!("{minus}{whole}{digits}"),
        1 => format!("{minus}{whole}{digits}{}e0", if places == 0 { "" } else { "000000000000000000" }),
        _ => format!("{mantissa}e-12"),
    };
    (text, mantissa)
}

#[test]
fn short_numbers_are_compared_as_fractions() {
    let mut dice = Dice(7);
    for _ in 0..3_000 {
        let ((bound, b), (text, n)) = (number(&mut dice), number(&mut dice));
        // As close as it gets, every second time.
        let (text, n) = if dice.one_in(2) { (format!("{}e-12", b + 1), b + 1) } else { (text, n) };
        let bound: Value = serde_json::from_str(&bound).unwrap();
        let order = n.cmp(&b);
        assert_eq!(accepts(&json!({"minimum": bound}), &text), order != Ordering::Less, "{text} {bound}");
        assert_eq!(accepts(&json!({"maximum": bound}), &text), order != Ordering::Greater, "{text} {bound}");
        assert_eq!(accepts(&json!({"exclusiveMinimum": bound}), &text), order == Ordering::Greater, "{text} {bound}");
        assert_eq!(accepts(&json!({"exclusiveMaximum": bound}), &text), order == Ordering::Less, "{text} {bound}");
        assert_eq!(accepts(&json!({"const": bound}), &text), order == Ordering::Equal, "{text} {bound}");
        assert_eq!(accepts(&json!({"type": "integer"}), &text), n % 10i128.pow(12) == 0, "{text}");
        if b > 0 {
            assert_eq!(accepts(&json!({"multipleOf": bound}), &text), n % b == 0, "{text} {bound}");
        }
    }
}
