//! SPDX licence expressions, as far as crates use them: `OR`, `AND`, `WITH`, parentheses, and the
//! old `MIT/Apache-2.0`.

use std::collections::BTreeSet;

/// A licence expression that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Licence {
    /// One licence, with its exception if it has one: `Apache-2.0 WITH LLVM-exception`.
    One(String),
    Any(Vec<Licence>),
    All(Vec<Licence>),
}

impl Licence {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
        let licence = any(&mut words).and_then(|licence| match words.last() {
            None => Ok(licence),
            Some(word) => Err(format!("`{word}` is not expected")),
        });
        licence.map_err(|why| format!("the licence expression `{text}` cannot be read: {why}"))
    }

    /// Whether the licences in `allowed` suffice.
    pub(crate) fn allowed_by(&self, allowed: &BTreeSet<String>) -> bool {
        match self {
            Self::One(name) => allowed.contains(name),
            Self::Any(parts) => parts.iter().any(|part| part.allowed_by(allowed)),
            Self::All(parts) => parts.iter().all(|part| part.allowed_by(allowed)),
        }
    }

    /// Adds the names of all licences in the expression to `names`.
    pub(crate) fn names(&self, names: &mut BTreeSet<String>) {
        match self {
            Self::One(name) => {
                names.insert(name.clone());
            }
            Self::Any(parts) | Self::All(parts) => {
                for part in parts {
                    part.names(names);
                }
            }
        }
    }
}

/// `AND` binds more than `OR`. The next word is the last of `words`.
fn any(words: &mut Vec<&str>) -> Result<Licence, String> {
    let mut parts = vec![all(words)?];
    while words.pop_if(|word| *word == "OR").is_some() {
        parts.push(all(words)?);
    }
    Ok(one_or(parts, Licence::Any))
}

fn all(words: &mut Vec<&str>) -> Result<Licence, String> {
    let mut parts = vec![one(words)?];
    while words.pop_if(|word| *word == "AND").is_some() {
        parts.push(one(words)?);
    }
    Ok(one_or(parts, Licence::All))
}

fn one(words: &mut Vec<&str>) -> Result<Licence, String> {
    match words.pop() {
        Some("(") => {
            let inner = any(words)?;
            match words.pop() {
                Some(")") => Ok(inner),
                _ => Err("a parenthesis stays open".to_owned()),
            }
        }
        Some(word @ (")" | "OR" | "AND" | "WITH")) => Err(format!("`{word}` stands where a licence should")),
        Some(name) if words.pop_if(|word| *word == "WITH").is_some() => match words.pop() {
            Some(exception) => Ok(Licence::One(format!("{name} WITH {exception}"))),
            None => Err("an exception is missing after `WITH`".to_owned()),
        },
        Some(name) => Ok(Licence::One(name.to_owned())),
        None => Err("it ends where a licence should follow".to_owned()),
    }
}

fn one_or(mut parts: Vec<Licence>, join: fn(Vec<Licence>) -> Licence) -> Licence {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(text: &str) -> bool {
        let list = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];
        let list = list.map(str::to_owned).into_iter().collect();
        Licence::parse(text).unwrap().allowed_by(&list)
    }

    #[test]
    fn one_alternative_suffices() {
        assert!(allowed("MIT"));
        assert!(allowed("GPL-3.0 OR MIT"));
        assert!(allowed("Unlicense/MIT"));
        assert!(allowed("Zlib OR Apache-2.0 WITH LLVM-exception"));
        assert!(!allowed("GPL-3.0 OR Zlib"));
        assert!(!allowed("MIT WITH Classpath-exception-2.0"));
    }

    #[test]
    fn and_needs_both_and_binds_more() {
        assert!(!allowed("MIT AND ISC"));
        assert!(allowed("MIT OR ISC AND Zlib"));
        assert!(!allowed("(MIT OR ISC) AND Zlib"));
        assert!(allowed("(MIT OR Apache-2.0) AND (Apache-2.0 OR ISC)"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "MIT OR", "MIT ISC", "(MIT", "MIT)", "AND MIT", "MIT WITH"] {
            assert!(Licence::parse(text).is_err(), "`{text}` was accepted");
        }
    }

    #[test]
    fn names_are_those_of_all_alternatives() {
        let mut names = BTreeSet::new();
        let licence = Licence::parse("MIT OR (ISC AND Zlib)").unwrap();
        licence.names(&mut names);
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["ISC", "MIT", "Zlib"]);
    }
}
