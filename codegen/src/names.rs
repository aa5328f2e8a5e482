//! Names from schemas become Rust identifiers: legal, conventional, and unique where they stand.
//!
//! Any text may come in: keywords, digits first, nothing but symbols, other scripts. What comes out always parses as
//! one identifier, and [`Scope`] keeps two of them from being the same.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span};

/// An identifier token of a name made by this module.
pub(crate) fn ident(name: &str) -> Ident {
    // Names are checked where they are made; should one slip through, the code is odd but still legal.
    syn::parse_str(name).unwrap_or_else(|_| Ident::new("unnamed", Span::call_site()))
}

/// The name of a type: `PascalCase`, capitals inside words kept as their author wrote them.
pub fn type_name(text: &str) -> String {
    legal(pascal(text), "T", "Unnamed")
}

/// The name of an enum's variant.
pub(crate) fn variant_name(text: &str) -> String {
    legal(pascal(text), "V", if text.is_empty() { "Empty" } else { "Other" })
}

/// The name of a struct's field: `snake_case`, words split where a capital starts one.
pub fn field_name(text: &str) -> String {
    legal(snake(text), "_", "field")
}

/// The name of the module of a topic or a version: `pulse.risk.created` is `pulse_risk_created`, `v1.2` is `v1_2`.
pub fn module_name(text: &str) -> String {
    let plain: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    legal(plain, "_", "unnamed")
}

/// Names already given away, and new ones beside them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    taken: BTreeSet<String>,
    separator: &'static str,
}

impl Scope {
    /// An empty scope of types or variants, where the second `Level` becomes `Level2`.
    pub(crate) fn of_types() -> Self {
        Self::default()
    }

    /// An empty scope of fields or functions, where the second `id` becomes `id_2`.
    pub(crate) fn of_fields() -> Self {
        Self { taken: BTreeSet::new(), separator: "_" }
    }

    /// Gives `wanted` away, or the first free name made of it and a number.
    pub(crate) fn take(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 2_u64;
        while !self.taken.insert(name.clone()) {
            name = format!("{wanted}{}{number}", self.separator);
            number += 1;
        }
        name
    }

    /// Whether `name` is given away.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.taken.contains(name)
    }

    /// All names given away.
    pub(crate) fn into_names(self) -> BTreeSet<String> {
        self.taken
    }
}

/// Makes one legal identifier of `name`, which holds only characters that may continue an identifier.
fn legal(name: String, before_digit: &str, when_empty: &str) -> String {
    if name.chars().all(|c| c == '_') {
        return when_empty.to_owned();
    }
    if syn::parse_str::<Ident>(&name).is_ok() && name != "gen" {
        return name;
    }
    [format!("{name}_"), format!("{before_digit}{name}")]
        .into_iter()
        .find(|candidate| syn::parse_str::<Ident>(candidate).is_ok())
        .unwrap_or_else(|| when_empty.to_owned())
}

/// Whether `c` may stand inside an identifier and is no separator.
fn in_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    // Combining marks are no letters: left out, a name is the same in every Unicode normal form.
    c.is_alphanumeric() && syn::parse_str::<Ident>(&format!("a{c}")).is_ok()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !in_word(c)).filter(|word| !word.is_empty())
}

fn pascal(text: &str) -> String {
    let shouting = !text.chars().any(char::is_lowercase);
    let mut name = String::new();
    for word in words(text) {
        let mut characters = word.chars();
        let first = characters.next().into_iter();
        // A capital of several characters, such as that of `ß`, would not start a word any more.
        name.extend(
            first.map(|c| if c.to_uppercase().count() == 1 { c.to_uppercase().next().unwrap_or(c) } else { c }),
        );
        if shouting {
            name.extend(characters.flat_map(char::to_lowercase).filter(|c| in_word(*c)));
        } else {
            name.push_str(characters.as_str());
        }
    }
    name
}

fn snake(text: &str) -> String {
    let mut name = String::new();
    for word in words(text) {
        let characters: Vec<char> = word.chars().collect();
        for (i, &c) in characters.iter().enumerate() {
            let after_small = i > 0 && !characters[i - 1].is_uppercase();
            let before_small = i > 0 && characters.get(i + 1).is_some_and(|next| next.is_lowercase());
            let starts_word = i == 0 || (c.is_uppercase() && (after_small || before_small));
            if starts_word && !name.is_empty() {
                name.push('_');
            }
            name.extend(c.to_lowercase().filter(|c| in_word(*c)));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_pascal_case_and_keep_their_capitals() {
        for (text, name) in [
            ("RiskAssessmentCreated", "RiskAssessmentCreated"),
            ("risk assessment-created", "RiskAssessmentCreated"),
            ("HTTPServer", "HTTPServer"),
            ("HIGH_RISK", "HighRisk"),
            ("ID", "Id"),
            ("Self", "Self_"),
            ("2fa", "T2fa"),
            ("", "Unnamed"),
            ("!?", "Unnamed"),
            ("größe", "Größe"),
            ("事件", "事件"),
            ("Option", "Option"),
            ("a\"; }", "A"),
        ] {
            assert_eq!(type_name(text), name, "{text:?}");
        }
    }

    #[test]
    fn fields_are_snake_case() {
        for (text, name) in [
            ("assessment_id", "assessment_id"),
            ("assessmentID", "assessment_id"),
            ("HTTPServer", "http_server"),
            ("line2Total", "line2_total"),
            ("type", "type_"),
            ("self", "self_"),
            ("gen", "gen_"),
            ("$ref", "ref_"),
            ("_id", "id"),
            ("2fa", "_2fa"),
            ("", "field"),
            ("__", "field"),
            ("Straße", "straße"),
        ] {
            assert_eq!(field_name(text), name, "{text:?}");
        }
    }

    #[test]
    fn modules_follow_their_topic() {
        assert_eq!(module_name("pulse.risk-x.Created"), "pulse_risk_x_created");
        assert_eq!(module_name("v1.2"), "v1_2");
        assert_eq!(module_name("type"), "type_");
        assert_eq!(module_name("2fa.done"), "_2fa_done");
        assert_eq!(module_name("-"), "unnamed");
    }

    #[test]
    fn any_text_gives_an_identifier() {
        let odd = [
            "r#type",
            "\u{301}",
            "a\u{301}b",
            "\u{202e}x",
            "'a",
            "İ",
            "ǆ",
            "ß",
            "_",
            "crate",
            "ⅷ",
            "²",
            "1",
            "k\u{212a}",
        ];
        for text in odd {
            for name in [type_name(text), variant_name(text), field_name(text), module_name(text)] {
                assert!(syn::parse_str::<Ident>(&name).is_ok(), "{text:?} gave {name:?}");
            }
        }
    }

    #[test]
    fn a_scope_gives_each_name_once() {
        let mut scope = Scope::of_fields();
        assert_eq!(
            [scope.take("id"), scope.take("id"), scope.take("id_2"), scope.take("id")],
            ["id", "id_2", "id_2_2", "id_3"]
        );
    }
}
