//! What a topic and a version look like.
//!
//! The rules are those of `celerysalt-contract`, which is too much to build for a macro; a test holds the two together.

/// The longest topic in bytes.
const MAX_TOPIC: usize = 255;

/// Why a text is no topic.
pub(crate) fn refuse_topic(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("a topic must not be empty".to_owned());
    }
    if text.len() > MAX_TOPIC {
        return Some(format!("a topic must have at most {MAX_TOPIC} bytes, this one has {}", text.len()));
    }
    if text.split('.').any(str::is_empty) {
        return Some("a topic has no empty word: no dot may stand at an end or beside another".to_owned());
    }
    let wrong = text.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.'))?;
    Some(format!(
        "a topic has words of ASCII letters, digits, `_` and `-`, separated by dots: {wrong:?} is none of these"
    ))
}

/// Why a text is no version.
pub(crate) fn refuse_version(text: &str) -> Option<String> {
    let part = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits && (part == "0" || !part.starts_with('0')) && part.parse::<u64>().is_ok()
    };
    let legal = text.strip_prefix('v').is_some_and(|numbers| {
        let mut parts = numbers.split('.');
        parts.clone().count() <= 3 && parts.all(part)
    });
    let expected = "a version is `v` and one to three numbers without leading zeros, such as `v1` or `v1.2`";
    (!legal).then(|| expected.to_owned())
}

#[cfg(test)]
mod tests {
    use celerysalt_contract::{Topic, Version};

    use super::*;

    /// All texts of up to `length` of these characters.
    fn texts(characters: &[char], length: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..length {
            last = last.iter().flat_map(|text| characters.iter().map(move |c| format!("{text}{c}"))).collect();
            all.extend(last.clone());
        }
        all
    }

    #[test]
    fn topics_are_those_of_the_contracts() {
        let mut all = texts(&['a', 'Z', '0', '_', '-', '.', ' ', '*', '#', 'ä', '/'], 4);
        all.extend(["a".repeat(255), "a".repeat(256), "ä".repeat(128), "a\n".to_owned(), "a.\u{0}".to_owned()]);
        for text in &all {
            assert_eq!(refuse_topic(text).is_none(), text.parse::<Topic>().is_ok(), "{text:?}");
        }
        assert!(all.iter().filter(|text| refuse_topic(text).is_none()).count() > 1000);
    }

    #[test]
    fn versions_are_those_of_the_contracts() {
        let mut all = texts(&['v', 'V', '0', '1', '.', '+', ' '], 6);
        let long = ["18446744073709551615", "18446744073709551616", "100000000000000000000", "0000000000000000000000"];
        all.extend(long.map(|number| format!("v{number}")));
        all.extend(["v1.2.3", "v1.2.3.4", "v1.2.", "v\u{661}", "latest"].map(str::to_owned));
        for text in &all {
            assert_eq!(refuse_version(text).is_none(), text.parse::<Version>().is_ok(), "{text:?}");
        }
        assert!(all.iter().filter(|text| refuse_version(text).is_none()).count() > 20);
    }
}
