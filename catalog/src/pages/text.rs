//! Texts of contracts, as HTML: paragraphs, code between backticks, names that may wrap at their dots.

use jiff::Timestamp;
use maud::{Markup, html};

/// Paragraphs; nothing else of what the text may look like is taken for markup.
pub(super) fn prose(text: &str) -> Markup {
    let text = text.replace("\r\n", "\n");
    html! {
        @for paragraph in text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
            p { (inline(paragraph)) }
        }
    }
}

/// A text whose parts between backticks are code.
pub(super) fn inline(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // A backtick without its partner is one.
    let last = if parts.len().is_multiple_of(2) { parts.len() - 2 } else { parts.len() };
    html! {
        @for (at, part) in parts.iter().enumerate() {
            @if at > last { "`" (part) }
            @else if at % 2 == 1 { code { (part) } }
            @else { (part) }
        }
    }
}

/// A name that may wrap behind its dots.
pub(super) fn dotted(name: &str) -> Markup {
    html! {
        @for (at, word) in name.split('.').enumerate() {
            @if at > 0 { "." wbr; }
            (word)
        }
    }
}

/// A point in time, to the minute; how long ago that was is added in the browser.
pub(super) fn time(at: Timestamp) -> Markup {
    let seconds = Timestamp::from_second(at.as_second()).unwrap_or(at).to_string();
    let shown = seconds.get(..16).unwrap_or(&seconds).replace('T', " ");
    html! { time datetime=(seconds) data-ago { (shown) " UTC" } }
}

/// `1 topic`, `2 topics`.
pub(super) fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_stands_between_backticks_and_a_lone_one_stays() {
        assert_eq!(inline("a `b<c` d").into_string(), "a <code>b&lt;c</code> d");
        assert_eq!(inline("a `b").into_string(), "a `b");
        assert_eq!(inline("`a` `").into_string(), "<code>a</code> `");
        assert_eq!(prose("one\n\n<two>\n").into_string(), "<p>one</p><p>&lt;two&gt;</p>");
    }
}
