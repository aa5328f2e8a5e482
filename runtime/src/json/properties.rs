//! What holds for every JSON text.

use std::collections::BTreeMap;

use proptest::{collection, prelude::*};
use serde_json::Value;

use super::{Integer, Reader, from_text, to_text};

fn number() -> impl Strategy<Value = String> {
    let digits = || "[0-9]{0,25}";
    (
        "-?",
        "0|[1-9][0-9]{0,25}",
        prop_oneof![Just(String::new()), digits().prop_map(|d| format!(".0{d}"))],
        "([eE][-+]?[0-9]{1,3})?",
    )
        .prop_map(|(sign, whole, fraction, exponent)| format!("{sign}{whole}{fraction}{exponent}"))
}

fn text() -> impl Strategy<Value = String> {
    let space = || "[ \\n\\r\\t]{0,2}";
    let string = any::<String>().prop_map(|text| Value::from(text).to_string());
    let leaf = prop_oneof![number(), string.clone(), "null|true|false", r#""(\\u00e9|\\n|\\/|a)*""#];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let item = (space(), inner.clone(), space()).prop_map(|(a, b, c)| format!("{a}{b}{c}"));
        let member = (space(), string.clone(), space(), item.clone()).prop_map(|(a, b, c, d)| format!("{a}{b}{c}:{d}"));
        prop_oneof![
            collection::vec(item, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// Any text, and texts that are nearly JSON.
fn nearly() -> impl Strategy<Value = String> {
    let broken = (text(), any::<prop::sample::Index>(), ".?").prop_map(|(text, place, put)| {
        let place = text.char_indices().map(|(i, _)| i).nth(place.index(text.chars().count().max(1))).unwrap_or(0);
        let next = text[place..].char_indices().nth(1).map_or(text.len(), |(i, _)| place + i);
        format!("{}{put}{}", &text[..place], &text[next..])
    });
    prop_oneof![text(), broken, any::<String>()]
}

fn skips(text: &str) -> bool {
    let mut reader = Reader::new(text);
    reader.skip().is_ok() && reader.end().is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// serde_json is the judge of what is JSON; it refuses numbers beyond all floats, which are JSON.
    #[test]
    fn json_is_what_serde_json_takes_for_it(text in nearly()) {
        let judged = serde_json::from_str::<Value>(&text);
        let beyond = judged.as_ref().is_err_and(|error| error.to_string().starts_with("number out of range"));
        prop_assume!(!beyond);
        prop_assert_eq!(skips(&text), judged.is_ok());
        let read = from_text::<Value>(&text);
        prop_assert_eq!(read.as_ref().ok(), judged.as_ref().ok());
        if let Ok(value) = read {
            prop_assert_eq!(to_text(&value), Ok(value.to_string()));
        }
    }

    #[test]
    fn no_number_changes(text in number()) {
        let mut reader = Reader::new(&text);
        let (value, kept) = reader.exactly(<f64 as crate::Json>::read).unwrap();
        if kept.is_none() {
            let written = to_text(&value).unwrap();
            prop_assert_eq!(written.parse::<Integer>().ok(), text.parse::<Integer>().ok());
            prop_assert_eq!(written.parse::<f64>(), text.parse::<f64>());
        }
        if let Ok(integer) = from_text::<Integer>(&text) {
            prop_assert_eq!(to_text(&integer).unwrap().parse::<Integer>().unwrap(), integer.clone());
            prop_assert_eq!(integer.as_i64(), from_text::<i64>(&text).ok());
        } else {
            prop_assert!(from_text::<i64>(&text).is_err());
        }
    }

    #[test]
    fn floats_are_the_nearest_ones(digits in "-?[1-9][0-9]{0,18}", point in 0_usize..19) {
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(point).max(1));
        let whole = if whole == "-" { "-0" } else { whole };
        let text = if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
        let float = super::number::whole(&text).unwrap().to_f64();
        prop_assert_eq!(float.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{}", text);
    }

    #[test]
    fn what_is_written_is_read(value: (String, Option<bool>, Vec<i64>, BTreeMap<String, String>)) {
        prop_assert_eq!(from_text::<(String, Option<bool>, Vec<i64>, BTreeMap<String, String>)>(&to_text(&value).unwrap()), Ok(value));
    }
}

#[test]
fn nesting_ends_where_that_of_serde_json_does() {
    for (depth, fits) in [(127, true), (128, false), (200_000, false)] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(serde_json::from_str::<Value>(&text).is_ok(), fits);
            assert_eq!(skips(&text), fits, "{depth}");
            assert_eq!(from_text::<Value>(&text).is_ok(), fits);
        }
    }
}

#[test]
fn the_last_of_two_properties_counts() {
    let read: BTreeMap<String, i64> = from_text(r#"{"a": 1, "\u0061": 2}"#).unwrap();
    assert_eq!(read["a"], 2);
}
