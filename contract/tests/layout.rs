//! Laying out a file changes white space and nothing else: not the meaning, not the order of members, not a digit.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod generator;

use std::path::Path;

use celerysalt_contract::{Draft, Mode, Source, fingerprint, layout};
use generator::{Dice, document, value};
use serde_json::Value;

fn laid_out(text: &str) -> String {
    layout(&Source::parse(Path::new("s"), "a.json", text.as_bytes().to_vec()).unwrap())
}

/// The text with white space between its tokens, as some hand may have left it.
fn scattered(dice: &mut Dice, text: &str) -> String {
    let (mut out, mut in_text, mut escaped) = (String::new(), false, false);
    for c in text.chars() {
        let outside = !in_text;
        if outside && "[]{},:".contains(c) {
            out.push_str(dice.pick(&["", " ", "\n\t", "\r\n"]));
        }
        out.push(c);
        if outside && "[]{},:".contains(c) {
            out.push_str(dice.pick(&["", "", "  ", "\n"]));
        }
        in_text ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
    }
    out
}

/// All that is no white space, in its order.
fn tokens(text: &str) -> String {
    let (mut out, mut in_text, mut escaped) = (String::new(), false, false);
    for c in text.chars() {
        if in_text || !c.is_ascii_whitespace() {
            out.push(c);
        }
        in_text ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
    }
    out
}

#[test]
fn nothing_but_white_space_changes() {
    for seed in 0..2_000 {
        let mut dice = Dice(seed);
        let draft = dice.roll(5);
        let mut schema = document(&mut dice, draft);
        if let Value::Object(members) = &mut schema {
            members
                .insert("examples".to_owned(), Value::Array((0..dice.roll(30)).map(|_| value(&mut dice, 2)).collect()));
            members.insert("title".to_owned(), "a \"b\" \\ [1, {2}] \u{1f600}".into());
        }
        let text = scattered(&mut dice, &schema.to_string());
        let once = laid_out(&text);
        assert_eq!(tokens(&once), tokens(&text), "seed {seed}");
        assert_eq!(laid_out(&once), once, "seed {seed}");
        let again: Value = serde_json::from_str(&once).unwrap();
        assert_eq!(again, schema, "seed {seed}");
        assert!(Draft::of(&again).is_some());
        let digest = |schema: &Value| fingerprint(Mode::Broadcast, schema, None, None);
        assert_eq!(digest(&again), digest(&schema), "seed {seed}");
        assert!(
            once.ends_with('\n') && !once.ends_with("\n\n") && !once.contains(" \n") && !once.contains('\r'),
            "{once}"
        );
    }
}
