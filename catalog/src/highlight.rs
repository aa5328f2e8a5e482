//! Code with its comments, texts, numbers and keywords marked: enough colour to read it by, for three languages.

use maud::{Markup, html};

/// What a text is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Json,
    Rust,
    Python,
}

impl Language {
    fn comment(self) -> Option<&'static str> {
        match self {
            Self::Json => None,
            Self::Rust => Some("//"),
            Self::Python => Some("#"),
        }
    }

    fn keywords(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["true", "false", "null"],
            Self::Rust => {
                &["async", "await", "fn", "let", "use", "match", "mod", "pub", "struct", "impl", "mut", "for"]
            }
            Self::Python => {
                &["class", "def", "from", "import", "return", "raise", "except", "try", "True", "False", "None", "as"]
            }
        }
    }
}

/// A block of code.
pub(crate) fn code(language: Language, text: &str) -> Markup {
    html! {
        pre tabindex="0" { code { (spans(language, text)) } }
    }
}

/// Code in a line.
pub(crate) fn spans(language: Language, text: &str) -> Markup {
    html! {
        @for (class, part) in tokens(language, text) {
            @if let Some(class) = class { span class=(class) { (part) } } @else { (part) }
        }
    }
}

fn tokens(language: Language, text: &str) -> Vec<(Option<&'static str>, &str)> {
    let mut tokens = Vec::new();
    let (mut rest, mut plain) = (text, 0);
    while let Some(first) = rest.get(plain..).and_then(|text| text.chars().next()) {
        let here = &rest[plain..];
        let before = rest[..plain].chars().next_back();
        let starts_word = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let found = if language.comment().is_some_and(|mark| here.starts_with(mark)) {
            Some(("comment", here.find('\n').unwrap_or(here.len())))
        } else if language == Language::Rust && starts_word && here.starts_with("r#") {
            Some(("text", end_of_raw_text(here)))
        } else if first == '"' {
            let end = end_of_text(here);
            let is_key = language == Language::Json && here[end..].starts_with(':');
            Some((if is_key { "key" } else { "text" }, end))
        } else if starts_word && first.is_ascii_digit() {
            Some(("number", word_end(here, |c| c.is_ascii_alphanumeric() || c == '.' || c == '_')))
        } else if starts_word && first.is_alphabetic() {
            let end = word_end(here, |c| c.is_alphanumeric() || c == '_');
            if language.keywords().contains(&&here[..end]) {
                Some(("keyword", end))
            } else {
                plain += end;
                continue;
            }
        } else {
            None
        };
        match found {
            Some((class, length)) => {
                if plain > 0 {
                    tokens.push((None, &rest[..plain]));
                }
                tokens.push((Some(class), &here[..length]));
                rest = &here[length..];
                plain = 0;
            }
            None => plain += first.len_utf8(),
        }
    }
    if !rest.is_empty() {
        tokens.push((None, rest));
    }
    tokens
}

fn word_end(text: &str, is_in: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_in(c)).unwrap_or(text.len())
}

/// Behind the closing quote, or all of it.
fn end_of_text(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Behind the `"##` that ends what began with `r##"`, or all of it.
fn end_of_raw_text(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    let end = format!("\"{}", "#".repeat(hashes));
    let start = hashes + 2;
    text.get(start..).and_then(|rest| rest.find(&end)).map_or(text.len(), |at| start + at + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_and_everything_is_escaped() {
        for text in [
            "",
            "\"",
            "{\"a\": -1.5e3, \"b\\\"\": [true]}",
            "// \u{1f600} \"x\"\nlet a1 = 'ü';",
            "r#\"a \"b\" c\"# d",
            "r#",
            "r#\"ü",
            "\"\\",
        ] {
            for language in [Language::Json, Language::Rust, Language::Python] {
                let joined: String = tokens(language, text).into_iter().map(|(_, part)| part).collect();
                assert_eq!(joined, text);
            }
        }
        let shown = spans(Language::Json, "{\"<b>\": \"</span><script>\"}").into_string();
        assert_eq!(
            shown,
            "{<span class=\"key\">&quot;&lt;b&gt;&quot;</span>: <span class=\"text\">&quot;&lt;/span&gt;&lt;script&gt;&quot;</span>}"
        );
    }
}
