//! The one way to write a schema file: two spaces, short lists in one line, a newline at the end.
//!
//! Members keep their order, texts and numbers the way they are written: nothing but white space changes.

use crate::Source;

/// The longest line that a list is kept in, in characters.
const WIDTH: usize = 100;

/// The text of a file as it should be laid out. Laid out again it stays the same.
///
/// ```
/// use std::path::Path;
/// use celerysalt_contract::{Source, layout};
///
/// let text = br#"{"type":"object",   "required":["b","a"], "x": 1.50}"#;
/// let source = Source::parse(Path::new("schemas"), "a/v1.json", text.to_vec()).unwrap();
/// assert_eq!(layout(&source), "{\n  \"type\": \"object\",\n  \"required\": [\"b\", \"a\"],\n  \"x\": 1.50\n}\n");
/// ```
pub fn layout(source: &Source) -> String {
    let mut tokens = Tokens { rest: source.text() };
    let mut out = String::with_capacity(source.text().len());
    if let Some(value) = tokens.value() {
        write(&value, 0, 0, &mut out);
    }
    out.push('\n');
    out
}

/// A value by its text. The file was read as JSON before, which has bounded how deep it nests.
enum Written<'a> {
    Scalar(&'a str),
    Array(Vec<Written<'a>>),
    Object(Vec<(&'a str, Written<'a>)>),
}

struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.rest.chars().next()
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn value(&mut self) -> Option<Written<'a>> {
        match self.peek()? {
            '[' => {
                self.take(1);
                let mut items = Vec::new();
                while self.peek()? != ']' {
                    if self.peek()? == ',' {
                        self.take(1);
                    }
                    items.push(self.value()?);
                }
                self.take(1);
                Some(Written::Array(items))
            }
            '{' => {
                self.take(1);
                let mut members = Vec::new();
                while self.peek()? != '}' {
                    if self.peek()? == ',' {
                        self.take(1);
                        self.peek()?;
                    }
                    let key = self.scalar();
                    if self.peek()? == ':' {
                        self.take(1);
                    }
                    members.push((key, self.value()?));
                }
                self.take(1);
                Some(Written::Object(members))
            }
            _ => Some(Written::Scalar(self.scalar())),
        }
    }

    fn scalar(&mut self) -> &'a str {
        if !self.rest.starts_with('"') {
            let ends = |c: char| matches!(c, ',' | ']' | '}' | ':' | ' ' | '\t' | '\r' | '\n');
            return self.take(self.rest.find(ends).unwrap_or(self.rest.len()).max(1));
        }
        let mut escaped = false;
        let end = self.rest.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        self.take(end.map_or(self.rest.len(), |end| end + 2))
    }
}

/// `column` is how many characters stand before the value in its line.
fn write(value: &Written<'_>, level: usize, column: usize, out: &mut String) {
    match value {
        Written::Scalar(text) => out.push_str(text),
        Written::Array(items) if items.is_empty() => out.push_str("[]"),
        Written::Object(members) if members.is_empty() => out.push_str("{}"),
        Written::Array(items) => match in_line(items) {
            // One more for a comma behind it.
            Some(line) if column + line.chars().count() < WIDTH => out.push_str(&line),
            _ => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { ",\n" } else { "\n" });
                    indent(level + 1, out);
                    write(item, level + 1, (level + 1) * 2, out);
                }
                out.push('\n');
                indent(level, out);
                out.push(']');
            }
        },
        Written::Object(members) => {
            out.push('{');
            for (at, (key, value)) in members.iter().enumerate() {
                out.push_str(if at > 0 { ",\n" } else { "\n" });
                indent(level + 1, out);
                out.push_str(key);
                out.push_str(": ");
                write(value, level + 1, (level + 1) * 2 + key.chars().count() + 2, out);
            }
            out.push('\n');
            indent(level, out);
            out.push('}');
        }
    }
}

/// A list of plain values in one line.
fn in_line(items: &[Written<'_>]) -> Option<String> {
    let texts: Option<Vec<&str>> =
        items.iter().map(|item| if let Written::Scalar(text) = item { Some(*text) } else { None }).collect();
    Some(format!("[{}]", texts?.join(", ")))
}

fn indent(level: usize, out: &mut String) {
    for _ in 0..level {
        out.push_str("  ");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn laid_out(text: &str) -> String {
        layout(&Source::parse(Path::new("s"), "a.json", text.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn texts_and_numbers_stay_as_they_are_written() {
        assert_eq!(
            laid_out(" [1.0,1e2 , -0,\"\\u00e4\\\\\", \"a\\\"]\", true,null ] "),
            "[1.0, 1e2, -0, \"\\u00e4\\\\\", \"a\\\"]\", true, null]\n"
        );
        assert_eq!(laid_out("{}\r\n"), "{}\n");
        assert_eq!(
            laid_out("{\"a\":{\"b\":[{}, []]}}"),
            "{\n  \"a\": {\n    \"b\": [\n      {},\n      []\n    ]\n  }\n}\n"
        );
        assert_eq!(laid_out("3"), "3\n");
    }

    #[test]
    fn long_lists_have_a_line_for_each() {
        let list = |count: usize| format!("{{\"required\":[{}]}}", vec!["\"property\""; count].join(","));
        assert_eq!(laid_out(&list(7)).lines().count(), 3);
        assert_eq!(laid_out(&list(7)).lines().nth(1).unwrap().chars().count(), 98);
        assert_eq!(laid_out(&list(8)).lines().count(), 12);
    }
}
