//! Texts with properties of the same name: the last one counts, whatever the others hold.

use super::{Mismatch, Reader, Writer, reader::Mark};

/// The text with every property once, if any comes more than once; for what could not be read as it is.
pub(crate) fn without_repeats(text: &str) -> Option<String> {
    let mut out = Writer::new();
    let mut any = false;
    copy(&mut Reader::new(text), &mut out, &mut any).ok()?;
    out.finish().ok().filter(|_| any)
}

/// As deep as the reader reads.
fn copy(reader: &mut Reader<'_>, out: &mut Writer, any: &mut bool) -> Result<(), Mismatch> {
    match reader.peek() {
        Some(b'{') => {
            let mut members: Vec<(String, Mark)> = Vec::new();
            reader.object(&[], &mut |reader, _, name| {
                members.push((reader.name(name).into_owned(), reader.mark()));
                reader.ignore()
            })?;
            let end = reader.mark();
            // The last of each name, where it stands.
            let mut last = std::collections::BTreeMap::new();
            for (place, (name, _)) in members.iter().enumerate() {
                *any |= last.insert(name.clone(), place).is_some();
            }
            out.open();
            for (place, (name, value)) in members.into_iter().enumerate() {
                if last.get(&name) == Some(&place) {
                    out.name(&name);
                    reader.go_back(value);
                    copy(reader, out, any)?;
                }
            }
            reader.go_back(end);
            out.close();
            Ok(())
        }
        Some(b'[') => {
            out.push("[");
            reader.array(|reader, index| {
                out.comma(index);
                copy(reader, out, any)
            })?;
            out.push("]");
            Ok(())
        }
        _ => {
            out.push(reader.skip()?);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::without_repeats;

    #[test]
    fn the_last_of_each_name_is_left() {
        let text = r#" {"a": 1, "b": [{"c": 1e400, "\u0063": "x"}, 2] , "a" : {"a": null}} "#;
        assert_eq!(without_repeats(text).as_deref(), Some(r#"{"b":[{"c":"x"},2],"a":{"a":null}}"#));
        assert_eq!(without_repeats(r#"{"a": {"a": 1}}"#), None);
        assert_eq!(without_repeats(r#"{"a": 1, "a": "#), None);
    }

    #[test]
    fn deep_texts_take_no_more_time_than_wide_ones() {
        let deep = format!("{}{{\"a\":1,\"a\":2}}{}", "{\"a\":".repeat(120), "}".repeat(120));
        assert!(without_repeats(&deep).is_some_and(|text| text.contains(r#"{"a":2}"#)));
    }
}
