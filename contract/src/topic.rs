//! Topics and the patterns that select them.
//!
//! A topic is a routing key of AMQP 0-9-1 (words separated by dots) that is also a legal folder name everywhere;
//! a pattern is a binding key of a topic exchange: `*` stands for exactly one word, `#` for any number of words,
//! none included.

use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The longest topic in bytes: AMQP 0-9-1 carries routing keys as short strings, the registry as `VARCHAR(255)`.
const MAX_BYTES: usize = 255;

/// The name of a topic, such as `pulse.risk.created`: words of ASCII letters, digits, `_` and `-`, separated by dots.
///
/// ```
/// use celerysalt_contract::Topic;
///
/// let topic: Topic = "pulse.risk.created".parse()?;
/// assert_eq!(topic.as_str(), "pulse.risk.created");
/// assert!("pulse..created".parse::<Topic>().is_err());
/// # Ok::<(), celerysalt_contract::TopicError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Topic(String);

/// Why a text is no topic and no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// Nothing at all.
    #[error("a topic must not be empty")]
    Empty,
    /// More bytes than a routing key of AMQP can carry.
    #[error("a topic must have at most 255 bytes, this one has {0}")]
    TooLong(usize),
    /// Two dots in a row, or a dot at an end.
    #[error("`{0}` has an empty word: no dot may stand at an end or beside another")]
    EmptyWord(String),
    /// A character that is not allowed.
    #[error("`{text}` has the character {character:?}: words are ASCII letters, digits, `_` and `-`")]
    Character {
        /// The whole text.
        text: String,
        /// The first character at fault.
        character: char,
    },
}

fn check_words(text: &str, wildcard: bool) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > MAX_BYTES {
        return Err(TopicError::TooLong(text.len()));
    }
    for word in text.split('.') {
        if word.is_empty() {
            return Err(TopicError::EmptyWord(text.to_owned()));
        }
        if wildcard && (word == "*" || word == "#") {
            continue;
        }
        if let Some(character) = word.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_' && *c != '-') {
            return Err(TopicError::Character { text: text.to_owned(), character });
        }
    }
    Ok(())
}

impl Topic {
    /// The topic as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        check_words(text, false)?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Topic {
    type Error = TopicError;

    fn try_from(text: String) -> Result<Self, TopicError> {
        check_words(&text, false)?;
        Ok(Self(text))
    }
}

impl From<Topic> for String {
    fn from(topic: Topic) -> Self {
        topic.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A binding key of a topic exchange: a topic in which whole words may be `*` (one word) or `#` (zero or more).
///
/// ```
/// use celerysalt_contract::TopicPattern;
///
/// let pattern: TopicPattern = "pulse.#".parse()?;
/// assert!(pattern.matches("pulse") && pattern.matches("pulse.risk.created"));
/// assert!(!pattern.matches("orders.created"));
/// # Ok::<(), celerysalt_contract::TopicError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPattern(String);

impl TopicPattern {
    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern names exactly one topic.
    pub fn is_exact(&self) -> bool {
        self.0.split('.').all(|word| word != "*" && word != "#")
    }

    /// Whether a broker would route `routing_key` to a queue bound with this pattern.
    ///
    /// Takes any routing key, also one that is no legal [`Topic`]: brokers do.
    pub fn matches(&self, routing_key: &str) -> bool {
        if self.0 == routing_key {
            return true;
        }
        let mut pattern = self.0.split('.');
        let mut words = routing_key.split('.');
        if routing_key.is_empty() {
            words.next();
        }
        // What follows the last `#`, and what is left for it if the `#` takes one word more.
        let mut again = None;
        loop {
            let (mut parts_left, mut words_left) = (pattern.clone(), words.clone());
            let Some(word) = words_left.next() else { return pattern.all(|part| part == "#") };
            match parts_left.next() {
                Some("#") => {
                    again = Some((parts_left.clone(), words_left));
                    pattern = parts_left;
                }
                Some(part) if part == "*" || part == word => (pattern, words) = (parts_left, words_left),
                _ => {
                    let Some((after, left)) = &mut again else { return false };
                    (pattern, words) = (after.clone(), left.clone());
                    left.next();
                }
            }
        }
    }
}

impl FromStr for TopicPattern {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        check_words(text, true)?;
        Ok(Self(text.to_owned()))
    }
}

impl From<Topic> for TopicPattern {
    fn from(topic: Topic) -> Self {
        Self(topic.0)
    }
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, key: &str) -> bool {
        pattern.parse::<TopicPattern>().unwrap().matches(key)
    }

    /// The definition of the standard, written as recursion: slow, and obviously right.
    #[allow(clippy::match_same_arms, reason = "one arm for each case of the definition")]
    fn by_definition(pattern: &[&str], words: &[&str]) -> bool {
        match (pattern.first(), words.first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some(&"#"), _) => {
                by_definition(&pattern[1..], words) || (!words.is_empty() && by_definition(pattern, &words[1..]))
            }
            (Some(_), None) => false,
            (Some(part), Some(word)) => (*part == "*" || part == word) && by_definition(&pattern[1..], &words[1..]),
        }
    }

    #[test]
    fn agrees_with_the_definition_on_every_small_pattern_and_key() {
        let parts = ["a", "b", "*", "#"];
        let sequences = |alphabet: &[&'static str]| {
            let mut all: Vec<Vec<&'static str>> = vec![vec![]];
            let mut last = all.clone();
            for _ in 0..4 {
                last = last.iter().flat_map(|s| alphabet.iter().map(move |w| [&s[..], &[*w]].concat())).collect();
                all.extend(last.clone());
            }
            all
        };
        let mut compared = 0;
        for pattern in sequences(&parts).iter().filter(|p| !p.is_empty()) {
            for key in sequences(&["a", "b"]) {
                assert_eq!(
                    matches(&pattern.join("."), &key.join(".")),
                    by_definition(pattern, &key),
                    "{pattern:?} on {key:?}"
                );
                compared += 1;
            }
        }
        assert!(compared > 10_000);
    }

    #[test]
    fn takes_no_illegal_topic() {
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a/b", "ä", "a.*", "#", "a\n"] {
            assert!(bad.parse::<Topic>().is_err(), "{bad:?}");
        }
        for bad in ["", "a.", "a*", "#b", "a.**"] {
            assert!(bad.parse::<TopicPattern>().is_err(), "{bad:?}");
        }
        assert_eq!("a".repeat(256).parse::<Topic>(), Err(TopicError::TooLong(256)));
    }
}
