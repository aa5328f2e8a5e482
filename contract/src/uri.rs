//! As much of RFC 3986 as references between schemas need.

use std::{
    fmt::Write as _,
    path::{Component, Path, PathBuf},
};

/// The scheme of an absolute URI.
pub(crate) fn scheme(uri: &str) -> Option<&str> {
    let (scheme, _) = uri.split_once(':')?;
    let legal = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    legal.then_some(scheme)
}

/// `reference`, without a fragment, as seen from `base`.
pub(crate) fn join(base: &str, reference: &str) -> String {
    if reference.is_empty() {
        return base.to_owned();
    }
    if scheme(reference).is_some() || base.is_empty() {
        return reference.to_owned();
    }
    // Where the path of the base starts: behind `scheme://host`, or behind `urn:`.
    let authority = match base.split_once("://") {
        Some((scheme, rest)) => scheme.len() + 3 + rest.find('/').unwrap_or(rest.len()),
        None => scheme(base).map_or(0, |scheme| scheme.len() + 1),
    };
    let (host, path) = base.split_at(authority);
    if let Some(rest) = reference.strip_prefix("//") {
        return format!("{}://{rest}", scheme(base).unwrap_or_default());
    }
    let joined = match (reference.starts_with('/'), path.rsplit_once('/')) {
        (true, _) => reference.to_owned(),
        (false, Some((folder, _))) => format!("{folder}/{reference}"),
        (false, None) if host.is_empty() => reference.to_owned(),
        (false, None) => format!("/{reference}"),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "." => {}
            ".." => {
                if parts.len() > 1 {
                    parts.pop();
                }
            }
            _ => parts.push(part),
        }
    }
    format!("{host}{}", parts.join("/"))
}

/// `%20` and the like as the bytes they stand for; what is no UTF-8 then, or no escape, stays as it is.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let escaped = (bytes[i] == b'%')
            .then(|| bytes.get(i + 1..i + 3))
            .flatten()
            .filter(|hex| hex.iter().all(u8::is_ascii_hexdigit))
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        out.push(escaped.unwrap_or(bytes[i]));
        i += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// A JSON pointer as the fragment of a URI.
pub(crate) fn encode_fragment(pointer: &str) -> String {
    let mut out = String::with_capacity(pointer.len());
    for byte in pointer.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `reference` as seen from the file `from`, relative to the folder; none when it climbs out of it.
pub(crate) fn relative(from: &Path, reference: &str) -> Option<PathBuf> {
    let mut parts: Vec<&std::ffi::OsStr> = Vec::new();
    let folder = from.parent().unwrap_or(Path::new(""));
    for part in folder.components().chain(Path::new(reference).components()) {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_join_as_the_standard_says() {
        // RFC 3986, 5.4, as far as schemas use it.
        let base = "http://a/b/c/d";
        for (reference, expected) in [
            ("g:h", "g:h"),
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g"),
            ("", "http://a/b/c/d"),
            ("../g", "http://a/b/g"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
        ] {
            assert_eq!(join(base, reference), expected, "{reference}");
        }
        assert_eq!(join("", "g.json"), "g.json");
        assert_eq!(join("v1.json", "g.json"), "g.json");
        assert_eq!(join("http://a", "g"), "http://a/g");
    }

    #[test]
    fn escapes_are_read_and_written() {
        assert_eq!(decode("/a%20b%C3%A4%25%2"), "/a bä%%2");
        assert_eq!(decode("%ff"), "%ff");
        assert_eq!(decode(&encode_fragment("/a b/ä%\"~1")), "/a b/ä%\"~1");
        assert_eq!(encode_fragment("/$defs/a b"), "/$defs/a%20b");
    }

    #[test]
    fn paths_stay_in_the_folder() {
        let from = Path::new("a.b/v1.json");
        assert_eq!(relative(from, "../_common/x.json"), Some("_common/x.json".into()));
        assert_eq!(relative(from, "v2.json"), Some("a.b/v2.json".into()));
        for outside in ["../../x.json", "../_common/../../x", "/etc/passwd"] {
            assert_eq!(relative(from, outside), None, "{outside}");
        }
    }
}
