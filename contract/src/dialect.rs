//! Files whose `$schema` is a meta-schema of the folder: a draft with some of its vocabularies.
//!
//! JSON Schema 2020-12, core, 8.1 (2019-09: 8.1). Keywords of a vocabulary that the meta-schema leaves out mean nothing;
//! they are taken out when the file is read, so that nobody after has to know.

use serde_json::{Map, Value};

use crate::{
    Draft,
    draft::places,
    keyword::{KEYWORDS, Vocabulary},
};

/// A file's schema as one of the draft that its meta-schema is made of.
///
/// # Errors
/// Why the meta-schema can't be followed.
pub(crate) fn plain(schema: &Value, meta: &Value) -> Result<Value, String> {
    let draft = match meta.get("$schema").and_then(Value::as_str).and_then(Draft::from_uri) {
        Some(draft @ (Draft::Draft201909 | Draft::Draft202012)) => draft,
        Some(draft) => return Err(format!("a meta-schema of {draft} has no vocabularies")),
        None => return Err("its own `$schema` is none of 2019-09 and 2020-12".to_owned()),
    };
    let none = Map::new();
    let named = match meta.get("$vocabulary") {
        Some(Value::Object(named)) => named,
        Some(_) => return Err("its `$vocabulary` is no object".to_owned()),
        None => &none,
    };
    let base = draft.uri().trim_end_matches("schema");
    let mut there = Vec::new();
    for (uri, required) in named {
        match uri.strip_prefix(base).and_then(|rest| rest.strip_prefix("vocab/")) {
            Some("format-assertion") => {
                return Err("it asserts formats, which are annotations here".to_owned());
            }
            Some("format") if *required == Value::Bool(true) => {
                return Err("it asserts formats, which are annotations here".to_owned());
            }
            Some(name) if Vocabulary::of(name).is_some() => there.extend(Vocabulary::of(name)),
            _ if *required == Value::Bool(false) => {}
            _ => return Err(format!("it demands the vocabulary `{uri}`, which is not known here")),
        }
    }
    let mut schema = schema.clone();
    if !named.is_empty() {
        // 2019-09 has no vocabulary of its own for what is left over.
        if draft == Draft::Draft201909 && there.contains(&Vocabulary::Applicator) {
            there.push(Vocabulary::Unevaluated);
        }
        there.push(Vocabulary::Core);
        let dropped: Vec<&str> = KEYWORDS
            .iter()
            .filter(|(_, _, _, vocabulary)| !there.contains(vocabulary))
            .map(|(name, ..)| *name)
            .collect();
        drop_keywords(&mut schema, draft, &dropped);
    }
    if let Value::Object(members) = &mut schema {
        members.insert("$schema".to_owned(), Value::from(draft.uri()));
    }
    Ok(schema)
}

/// As deep as the schema nests.
fn drop_keywords(schema: &mut Value, draft: Draft, dropped: &[&str]) {
    if let Value::Object(members) = schema {
        members.retain(|keyword, _| !dropped.contains(&keyword.as_str()));
    }
    for place in places(schema, draft) {
        if let Some(subschema) = place.get_mut(schema) {
            drop_keywords(subschema, draft, dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

    fn vocabulary(name: &str) -> String {
        format!("https://json-schema.org/draft/2020-12/vocab/{name}")
    }

    #[test]
    fn keywords_without_their_vocabulary_mean_nothing() {
        let meta = json!({"$schema": DRAFT, "$vocabulary": {
            vocabulary("core"): true, vocabulary("applicator"): true, "https://example.com/other": false
        }});
        let schema = json!({"$schema": "m.json", "properties": {"minimum": {"minimum": 1, "not": {"type": "null"}}}});
        let plain = plain(&schema, &meta).unwrap();
        assert_eq!(plain, json!({"$schema": DRAFT, "properties": {"minimum": {"not": {}}}}));
    }

    #[test]
    fn what_can_not_be_followed_is_refused() {
        let refused = |meta: Value| plain(&json!({"$schema": "m.json"}), &meta).unwrap_err();
        assert!(refused(json!({"$schema": DRAFT, "$vocabulary": {"urn:x": true}})).contains("`urn:x`"));
        assert!(
            refused(json!({"$schema": DRAFT, "$vocabulary": {vocabulary("format-assertion"): true}}))
                .contains("formats")
        );
        assert!(refused(json!({"$schema": "http://json-schema.org/draft-07/schema#"})).contains("draft"));
        assert!(refused(json!({"$schema": "other.json"})).contains("`$schema`"));
    }
}
