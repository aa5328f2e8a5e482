//! Reading a value of serde the way the schema counts.

use serde::de::DeserializeOwned;
use serde_json::{Number, Value};

use crate::json::{Mismatch, Reader};

/// Whole numbers up to here are exact as floating point numbers.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// `Json::read` of a code-first type.
///
/// # Errors
/// [`Mismatch`] for what serde refuses.
pub fn read<T: DeserializeOwned>(reader: &mut Reader<'_>) -> Result<T, Mismatch> {
    let text = reader.skip()?;
    serde_json::from_str(text).or_else(|_| {
        // To JSON Schema `1.0` is an integer, and to a sender without integers it is how they are written.
        let mut tree: Value = serde_json::from_str(text).map_err(|_| Mismatch)?;
        write_whole(&mut tree);
        serde_json::from_value(tree).map_err(|_| Mismatch)
    })
}

/// Writes numbers without a fraction without one; as deep as `serde_json` reads.
fn write_whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|n| number.is_f64() && n.fract() == 0.0 && n.abs() <= MAX_EXACT);
            if let Some(whole) = whole {
                #[expect(clippy::cast_possible_truncation, reason = "whole, and within 54 bits")]
                let whole = whole as i64;
                *number = Number::from(whole);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(write_whole),
        Value::Object(members) => members.values_mut().for_each(write_whole),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Counted {
        count: i64,
        share: f64,
    }

    fn counted(text: &str) -> Option<Counted> {
        read(&mut Reader::new(text)).ok()
    }

    #[test]
    fn integers_may_be_written_with_a_point() {
        let three = Some(Counted { count: 3, share: 1.0 });
        for text in
            [r#"{"count": 3, "share": 1}"#, r#"{"count": 3.0, "share": 1.0}"#, r#"{"count": 30e-1, "share": 1e0}"#]
        {
            assert_eq!(counted(text), three, "{text}");
        }
        for text in [r#"{"count": 3.5, "share": 1}"#, r#"{"count": 1e300, "share": 1}"#, r#"{"count": 3}"#, "[3.0"] {
            assert_eq!(counted(text), None, "{text}");
        }
    }
}
