//! Text in TypeScript: literals, keys and comments that can't end early.

use std::fmt::Write;

/// A string literal.
pub(super) fn string(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                literal.push('\\');
                literal.push(c);
            }
            '\n' => literal.push_str("\\n"),
            c => push_visible(&mut literal, c),
        }
    }
    literal.push('"');
    literal
}

/// `c` as it is where a reader sees what it is, else as an escape.
fn push_visible(text: &mut String, c: char) {
    if matches!(c, ' '..='~') || c.is_alphanumeric() {
        text.push(c);
        return;
    }
    let mut units = [0; 2];
    for unit in c.encode_utf16(&mut units) {
        let _ = write!(text, "\\u{unit:04x}");
    }
}

/// A key of an interface: in quotes unless it is a plain name.
pub(super) fn key(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { name.to_owned() } else { string(name) }
}

/// What stays on its line, as part of a comment.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    text.chars().for_each(|c| push_visible(&mut line, c));
    // Before the end of a comment, and before what a reference tag would start with.
    line.replace("*/", "*\\/")
}

/// A comment that editors show, with a newline; nothing for no text.
pub(super) fn comment(indent: usize, text: &str) -> String {
    let pad = " ".repeat(indent);
    let text = text.trim().replace("\r\n", "\n");
    let lines: Vec<String> = text.split(['\n', '\r']).map(|line| one_line(line).trim_end().to_owned()).collect();
    match lines.as_slice() {
        [only] if only.is_empty() => String::new(),
        [only] => format!("{pad}/** {only} */\n"),
        several => {
            let mut comment = format!("{pad}/**\n");
            for line in several {
                let _ = writeln!(comment, "{}", format!("{pad} * {line}").trim_end());
            }
            comment + &format!("{pad} */\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_early() {
        assert_eq!(string("a\"b\\\n\u{2028}\u{1f600}"), "\"a\\\"b\\\\\\n\\u2028\\ud83d\\ude00\"");
        assert_eq!(comment(2, "a */ b"), "  /** a *\\/ b */\n");
        assert_eq!(comment(0, "a\r\nb\u{2028}c"), "/**\n * a\n * b\\u2028c\n */\n");
        assert_eq!(comment(0, "  "), "");
        assert_eq!((key("a_b"), key("a-b"), key("1")), ("a_b".to_owned(), "\"a-b\"".to_owned(), "\"1\"".to_owned()));
    }
}
