//! Texts from schemas become rustdoc: one attribute a line, read as prose.
//!
//! Descriptions are Markdown to rustdoc, and rustdoc runs what it takes for code. Here indented and fenced text stays
//! text, and brackets and angle brackets don't become broken links and HTML; `code` in single backticks stays code.

use proc_macro2::TokenStream;
use quote::quote;

/// `#[doc = "..."]` for each line of `text`.
pub(crate) fn outer(text: &str) -> TokenStream {
    lines(text).into_iter().map(|line| quote! { #[doc = #line] }).collect()
}

/// `#![doc = "..."]` for each line of `text`.
pub(crate) fn inner(text: &str) -> TokenStream {
    lines(text).into_iter().map(|line| quote! { #![doc = #line] }).collect()
}

/// A text of a schema as inline code, for use inside a longer documentation.
pub(crate) fn code(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c == '`' { '\'' } else { c }).filter(|c| harmless(*c)).collect();
    format!("`{plain}`")
}

fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.split(['\n', '\r', '\u{2028}', '\u{2029}']).map(line).collect();
    lines.dedup_by(|a, b| a.is_empty() && b.is_empty());
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    if lines.first().is_some_and(String::is_empty) {
        lines.remove(0);
    }
    lines
}

fn line(text: &str) -> String {
    // Runs of spaces would be code after a list marker, tabs everywhere.
    let text: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| harmless(*c)).collect();
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    if words.is_empty() { String::new() } else { format!(" {}", escape(&words.join(" "))) }
}

fn escape(line: &str) -> String {
    let paired = line.matches('`').count().is_multiple_of(2) && !line.contains("``");
    let mut in_code = false;
    let mut escaped = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '`' if paired => in_code = !in_code,
            '`' | '[' | ']' | '<' | '>' | '~' | '&' | '\\' if !in_code => escaped.push('\\'),
            _ => (),
        }
        escaped.push(c);
    }
    escaped
}

/// Control and direction characters have no place in source code.
pub(crate) fn harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Generated code is not what the lints of the consumer are for.
pub(crate) fn quiet() -> TokenStream {
    quote! {
        #[allow(clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction)]
        #[allow(missing_debug_implementations, missing_docs, nonstandard_style)]
        #[allow(rustdoc::all, unreachable_pub, unused)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_stays_as_it_is() {
        assert_eq!(
            lines("A new risk.\n\nSee `risk_score`, from 0 to 10."),
            [" A new risk.", "", " See `risk_score`, from 0 to 10."]
        );
        assert!(lines(" \n\n").is_empty());
    }

    #[test]
    fn nothing_becomes_code_or_markup() {
        assert_eq!(lines("```\npanic!()\n```"), [" \\`\\`\\`", " panic!()", " \\`\\`\\`"]);
        assert_eq!(lines("    let x;\n\tlet y;\n-      let z;"), [" let x;", " let y;", " - let z;"]);
        assert_eq!(lines("~~~ [x] <b> `a[0]` `"), [" \\~\\~\\~ \\[x\\] \\<b\\> \\`a\\[0\\]\\` \\`"]);
    }

    #[test]
    fn nothing_breaks_out_of_the_comment() {
        let hostile = "*/ fn f() {}\r#[doc(hidden)]\u{202e}\u{0}\n\"; //";
        let text = outer(hostile).to_string();
        let file: syn::File = syn::parse_str(&format!("{text} struct S;")).unwrap();
        assert_eq!(file.items.len(), 1);
        let printed = prettyplease::unparse(&file);
        assert_eq!(syn::parse_file(&printed).unwrap().items.len(), 1);
        assert!(!printed.contains('\u{202e}') && !printed.contains('\0'));
    }
}
