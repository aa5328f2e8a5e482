//! Versions of a contract, and what selects among them.

use std::{cmp::Ordering, fmt, hash, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Topic, TopicError, TopicPattern};

/// The version of a contract: `v` and one to three numbers, such as `v1`, `v1.2` or `v2.0.1`.
///
/// Compared part by part, a missing part counting as zero: `v1.10` is newer than `v1.2`, `v1` equals `v1.0`.
///
/// ```
/// use celerysalt_contract::Version;
///
/// let version: Version = "v1.10".parse()?;
/// assert!(version > "v1.2".parse()?);
/// assert_eq!((version.major(), version.minor()), (1, 10));
/// # Ok::<(), celerysalt_contract::VersionError>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    text: String,
    parts: [u64; 3],
}

/// Why a text is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no version: expected `v` and one to three numbers without leading zeros, such as `v1` or `v1.2`")]
pub struct VersionError(String);

impl Version {
    /// The first number: contracts of one major stay compatible with each other.
    pub fn major(&self) -> u64 {
        self.parts[0]
    }

    /// The second number, zero when absent.
    pub fn minor(&self) -> u64 {
        self.parts[1]
    }

    /// The version as written, such as `v1.2`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads a version as foreign senders write it: spaces around it, `V` for `v`, or no `v` at all.
    ///
    /// celery-salt compares versions so (`core/versioning.py`); [`FromStr`] is the strict form of file names.
    ///
    /// # Errors
    /// [`VersionError`] when what remains is not one to three numbers.
    pub fn parse_lenient(text: &str) -> Result<Self, VersionError> {
        let trimmed = text.trim();
        let digits = trimmed.strip_prefix(['v', 'V']).unwrap_or(trimmed);
        format!("v{digits}").parse().map_err(|_| VersionError(text.to_owned()))
    }

    /// Whether a handler written for this version may be given a message of version `message` by the rule of one
    /// major: the same major, and at least this minor.
    pub fn accepts(&self, message: &Version) -> bool {
        self.major() == message.major() && message.parts[1..] >= self.parts[1..]
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let refused = || VersionError(text.to_owned());
        let numbers = text.strip_prefix('v').ok_or_else(refused)?;
        let mut parts = [0; 3];
        for (i, number) in numbers.split('.').enumerate() {
            let legal = !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit())
                && (number.len() == 1 || !number.starts_with('0'));
            match (parts.get_mut(i), number.parse()) {
                (Some(part), Ok(value)) if legal => *part = value,
                _ => return Err(refused()),
            }
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

/// `v0`, older than every released version.
impl Default for Version {
    fn default() -> Self {
        Self { text: "v0".to_owned(), parts: [0; 3] }
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.text
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for Version {}

impl hash::Hash for Version {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.parts.hash(state);
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts.cmp(&other.parts)
    }
}

/// Which versions are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionRange {
    /// Every version: nothing was said.
    Any,
    /// The newest one: `latest`.
    Latest,
    /// Exactly one: `v1`.
    Exact(Version),
    /// One and its compatible successors: `^v1.2` is v1.2, v1.3, and so on, but not v2.
    Compatible(Version),
}

impl VersionRange {
    /// Whether `version` is in the range; [`VersionRange::Latest`] holds every version, the caller takes the newest.
    pub fn contains(&self, version: &Version) -> bool {
        match self {
            Self::Any | Self::Latest => true,
            Self::Exact(exact) => exact == version,
            Self::Compatible(base) => base.accepts(version),
        }
    }
}

/// Contracts as users name them: a topic or a pattern, and optionally `@` and versions.
///
/// `pulse.risk.created`, `pulse.risk.*`, `auth.user.signup@v1`, `auth.user.signup@^v1`, `orders.#@latest`.
///
/// ```
/// use celerysalt_contract::Selector;
///
/// let selector: Selector = "auth.user.*@v1".parse()?;
/// assert!(selector.matches("auth.user.signup", &"v1".parse().unwrap()));
/// assert!(!selector.matches("auth.user.signup", &"v2".parse().unwrap()));
/// # Ok::<(), celerysalt_contract::SelectorError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The topic, or the pattern that topics must match.
    pub pattern: TopicPattern,
    /// The versions meant.
    pub versions: VersionRange,
}

/// Why a text selects nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// The part before `@`.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The part after `@`.
    #[error("{0}; or `latest`, or `^v1` for v1 and its compatible successors")]
    Version(#[from] VersionError),
}

impl Selector {
    /// Whether the contract `topic` of `version` is meant; for [`VersionRange::Latest`] the caller takes the newest.
    pub fn matches(&self, topic: &str, version: &Version) -> bool {
        self.pattern.matches(topic) && self.versions.contains(version)
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let (pattern, versions) = match text.split_once('@') {
            None => (text, VersionRange::Any),
            Some((pattern, "latest")) => (pattern, VersionRange::Latest),
            Some((pattern, range)) => match range.strip_prefix('^') {
                Some(base) => (pattern, VersionRange::Compatible(base.parse()?)),
                None => (pattern, VersionRange::Exact(range.parse()?)),
            },
        };
        Ok(Self { pattern: pattern.parse()?, versions })
    }
}

impl From<Topic> for Selector {
    fn from(topic: Topic) -> Self {
        Self { pattern: topic.into(), versions: VersionRange::Any }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pattern.fmt(f)?;
        match &self.versions {
            VersionRange::Any => Ok(()),
            VersionRange::Latest => f.write_str("@latest"),
            VersionRange::Exact(version) => write!(f, "@{version}"),
            VersionRange::Compatible(version) => write!(f, "@^{version}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn versions_compare_part_by_part() {
        assert!(version("v1.10") > version("v1.2"));
        assert!(version("v2") > version("v1.99.99"));
        assert_eq!(version("v1"), version("v1.0.0"));
        for bad in ["1", "v", "v1.", "v.1", "v1.2.3.4", "v01", "v1 ", "V1", "v-1", "vx", "v99999999999999999999"] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn foreign_spellings_are_read() {
        for text in ["1", " v1", "V1.0 ", "1.0.0"] {
            assert_eq!(Version::parse_lenient(text).unwrap(), version("v1"), "{text:?}");
        }
        assert!(Version::parse_lenient("latest").is_err());
    }

    #[test]
    fn a_handler_accepts_its_major_from_its_minor_on() {
        assert!(version("v1.2").accepts(&version("v1.2")));
        assert!(version("v1.2").accepts(&version("v1.10")));
        assert!(!version("v1.2").accepts(&version("v1.1")));
        assert!(!version("v1.2").accepts(&version("v2.2")));
    }

    #[test]
    fn selectors_read_and_print_the_same() {
        for text in ["a.b", "a.*@v1", "a.#@^v1.2", "a@latest"] {
            assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }
        assert!("a@".parse::<Selector>().is_err() && "@v1".parse::<Selector>().is_err());
    }
}
