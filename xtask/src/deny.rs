//! What `deny.toml` says, so that `cargo xtask deps` and cargo-deny follow one list.
//!
//! Reads the lines that the file has, not TOML at large: one array element per line.

use std::collections::BTreeSet;

/// The parts of `deny.toml` that `cargo xtask deps` follows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    /// `[licenses] allow`.
    pub(crate) licences: BTreeSet<String>,
    /// `[bans] deny`.
    pub(crate) banned: Vec<Ban>,
    /// `[sources] allow-registry`.
    pub(crate) registries: Vec<String>,
}

/// A crate that must not be there, unless one of the wrappers is who asks for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ban {
    pub(crate) name: String,
    pub(crate) wrappers: Vec<String>,
}

impl Policy {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let licences = array(text, "licenses", "allow")?;
        let banned = array(text, "bans", "deny")?.into_iter().map(ban);
        let registries = array(text, "sources", "allow-registry")?;
        Ok(Self {
            licences: licences.iter().flat_map(|line| quoted(line)).collect(),
            banned: banned.collect::<Result<_, _>>()?,
            registries: registries.iter().flat_map(|line| quoted(line)).collect(),
        })
    }
}

/// The lines of the array `key` in `[section]`, without comments.
fn array<'a>(text: &'a str, section: &str, key: &str) -> Result<Vec<&'a str>, String> {
    let head = format!("[{section}]");
    let mut lines = text
        .lines()
        .map(|line| line.split(" #").next().unwrap_or(line).trim())
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .skip_while(|line| *line != head)
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    let only = lines
        .by_ref()
        .find_map(|line| {
            let rest = line.strip_prefix(key)?.trim_start();
            rest.strip_prefix('=')?.trim_start().strip_prefix('[')
        })
        .ok_or_else(|| format!("deny.toml has no array `{key}` in `{head}`"))?;
    if let Some(only) = only.strip_suffix(']') {
        return Ok(vec![only]);
    }
    let mut found = Vec::new();
    for line in lines {
        if line == "]" {
            return Ok(found);
        }
        found.push(line);
    }
    Err(format!("the array `{key}` in `{head}` of deny.toml stays open"))
}

/// `{ crate = "x" }`, or `{ crate = "x", wrappers = ["y"] }`.
fn ban(line: &str) -> Result<Ban, String> {
    let inner = line.trim_end_matches(',').trim();
    let inner = inner.strip_prefix("{ crate = ");
    let (name, rest) = inner
        .and_then(|inner| inner.strip_suffix('}'))
        .map(|inner| inner.split_once(',').unwrap_or((inner, "")))
        .ok_or_else(|| format!("deny.toml bans `{line}`; xtask reads only `{{ crate = \"…\" }}`"))?;
    if !rest.trim().is_empty() && !rest.trim_start().starts_with("wrappers = [") {
        return Err(format!("deny.toml bans `{line}`; xtask knows only `wrappers`"));
    }
    Ok(Ban { name: quoted(name).concat(), wrappers: quoted(rest) })
}

/// The texts between quotes.
fn quoted(line: &str) -> Vec<String> {
    let texts = line.split('"').skip(1).step_by(2);
    texts.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[licenses]
# Why these.
allow = [
    "MIT", # ours
    "Apache-2.0 WITH LLVM-exception",
]
[bans]
multiple-versions = "allow"
deny = [
    { crate = "openssl" },
    { crate = "regress", wrappers = ["typify-impl"] },
]
[sources]
allow-registry = ["https://github.com/rust-lang/crates.io-index"]
"#;

    #[test]
    fn arrays_are_read_from_their_sections() {
        let policy = Policy::parse(FILE).unwrap();
        assert_eq!(policy.licences.into_iter().collect::<Vec<_>>(), ["Apache-2.0 WITH LLVM-exception", "MIT"]);
        let ban = |name: &str, wrappers: &[&str]| Ban {
            name: name.to_owned(),
            wrappers: wrappers.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(policy.banned, [ban("openssl", &[]), ban("regress", &["typify-impl"])]);
        assert_eq!(policy.registries, ["https://github.com/rust-lang/crates.io-index"]);
    }

    #[test]
    fn a_missing_or_open_array_and_an_unknown_ban_are_refused() {
        assert!(Policy::parse("[licenses]\nallow = [\n\"MIT\",\n").is_err());
        assert!(Policy::parse(&FILE.replace("[sources]", "[source]")).is_err());
        assert!(Policy::parse(&FILE.replace("wrappers", "features")).is_err());
        assert!(Policy::parse(&FILE.replace("crate = ", "name = ")).is_err());
    }

    #[test]
    fn the_real_file_is_read() {
        let file = crate::cargo::root().join("deny.toml");
        let policy = Policy::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert!(policy.licences.contains("MIT") && !policy.banned.is_empty());
    }
}
