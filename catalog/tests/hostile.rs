//! Texts that would be markup, scripts or links in a careless page, at every place of a contract where a text can stand: the
//! pages hold no element, attribute or address that the templates did not write.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "tests"
)]

mod corpus;

use std::collections::BTreeSet;

use celerysalt_catalog::Site;

/// Every tag of a page: its name, and its attributes with their values.
fn tags(html: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = end_of_tag(rest);
        let inside = &rest[..end];
        rest = &rest[end..];
        let name: String = inside.chars().take_while(|c| !c.is_whitespace() && *c != '>').collect();
        let mut attributes = Vec::new();
        let mut left = inside[name.len()..].trim();
        while !left.is_empty() {
            let key: String = left.chars().take_while(|c| *c != '=' && !c.is_whitespace()).collect();
            left = left[key.len()..].trim_start();
            let mut value = String::new();
            if let Some(quoted) = left.strip_prefix("=\"") {
                let (text, behind) = quoted.split_once('"').unwrap();
                text.clone_into(&mut value);
                left = behind.trim_start();
            }
            attributes.push((key, value));
        }
        tags.push((name, attributes));
    }
    tags
}

fn end_of_tag(text: &str) -> usize {
    let mut quoted = false;
    text.char_indices()
        .find_map(|(at, c)| match c {
            '"' => {
                quoted = !quoted;
                None
            }
            '>' if !quoted => Some(at),
            _ => None,
        })
        .unwrap_or_else(|| panic!("a tag does not end: {}", text.chars().take(80).collect::<String>()))
}

#[test]
fn no_text_of_a_contract_becomes_markup() {
    // What a harmless site is made of is what a hostile one may be made of.
    let harmless = Site::new("Contracts", corpus::with(|_| "harmless".to_owned()));
    let hostile = Site::new("<script>alert('title')</script>", corpus::with(str::to_owned));
    let mut known = BTreeSet::new();
    for path in harmless.paths().iter().filter(|path| path.ends_with(".html")) {
        for (name, attributes) in tags(&harmless.page(path).unwrap().text) {
            known.extend(attributes.into_iter().map(|(key, _)| format!("{name} {key}")));
            known.insert(name);
        }
    }
    let mut pages = 0;
    for path in hostile.paths().iter().filter(|path| path.ends_with(".html")) {
        pages += 1;
        let text = hostile.page(path).unwrap().text;
        let found = tags(&text);
        let scripts = found.iter().filter(|(name, _)| name == "script").count();
        assert!(scripts <= 3, "{path} has {scripts} scripts");
        for (name, attributes) in found {
            assert!(known.contains(&name), "{path} has <{name}>");
            for (key, value) in attributes {
                assert!(known.contains(&format!("{name} {key}")), "{path} has <{name} {key}>");
                if ["href", "src", "action"].contains(&key.as_str()) {
                    let is_ours = value.starts_with('#')
                        || value == "data:,"
                        || !value.contains([':', '<', '\'', ' ']) && !value.starts_with("//");
                    assert!(is_ours, "{path} leads to {value}");
                }
            }
        }
        assert!(text.contains("default-src 'none'"), "{path} has no policy");
    }
    assert!(pages > 8, "{pages}");
}

#[test]
fn the_search_index_and_asyncapi_stay_what_they_are() {
    let site = Site::new("t", corpus::with(str::to_owned));
    let index = site.page("search.js").unwrap().text;
    let json = index.strip_prefix("globalThis.celerysaltIndex = ").unwrap().strip_suffix(";\n").unwrap();
    let topics: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
    assert_eq!(topics.len(), site.size().0);
    serde_json::from_str::<serde_json::Value>(&site.page("asyncapi.json").unwrap().text).unwrap();
}
