//! Names from schemas become identifiers of Python and TypeScript: plain ASCII, and unique where they stand.

use std::collections::BTreeSet;

/// What Python keeps for itself.
const KEYWORDS: [&str; 39] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "case", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "match",
    "nonlocal", "not", "or", "pass", "raise", "return", "try", "type", "while", "with", "yield", "print",
];

/// Keywords that are no keywords where a name stands.
const SOFT: [&str; 4] = ["case", "match", "type", "print"];

/// Modules of Python's own that nobody means to replace by a stub that lies on the path.
const MODULES: &str = "abc annotationlib argparse array ast asyncio atexit base64 bdb binascii bisect builtins bz2 \
    calendar cmath cmd code codecs codeop collections colorsys compileall compression concurrent configparser \
    contextlib contextvars copy copyreg csv ctypes curses dataclasses datetime dbm decimal difflib dis doctest email \
    encodings enum errno faulthandler fcntl filecmp fileinput fnmatch fractions ftplib functools gc getopt getpass \
    gettext glob graphlib grp gzip hashlib heapq hmac html http imaplib importlib inspect io ipaddress itertools json \
    keyword linecache locale logging lzma mailbox marshal math mimetypes mmap modulefinder multiprocessing netrc \
    ntpath numbers opcode operator optparse os pathlib pdb pickle pickletools pkgutil platform plistlib poplib posix \
    posixpath pprint profile pstats pty pwd pydoc pydantic queue quopri random re readline reprlib resource rlcompleter \
    runpy sched secrets select selectors shelve shlex shutil signal site smtplib socket socketserver sqlite3 ssl stat \
    statistics string stringprep struct subprocess symtable sys sysconfig syslog tarfile tempfile termios test \
    textwrap this threading time timeit token tokenize tomllib trace traceback tracemalloc tty turtle types typing \
    unicodedata unittest urllib uuid venv warnings wave weakref webbrowser winreg wsgiref xml xmlrpc zipapp zipfile \
    zipimport zlib zoneinfo celery celery_salt";

/// The name of a class: `PascalCase`, capitals inside words as their author wrote them.
pub(super) fn type_name(text: &str, fallback: &str) -> String {
    let mut name = String::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let mut characters = word.chars();
        name.extend(characters.next().map(|c| c.to_ascii_uppercase()));
        name.push_str(characters.as_str());
    }
    match name.chars().next() {
        None => fallback.to_owned(),
        Some(first) if first.is_ascii_digit() => format!("T{name}"),
        Some(_) if KEYWORDS.contains(&name.as_str()) => format!("{name}_"),
        Some(_) => name,
    }
}

/// `snake_case`, for a part of a name.
pub(super) fn snake(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut name = String::new();
    for (i, c) in characters.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            if !name.ends_with('_') {
                name.push('_');
            }
            continue;
        }
        let before = i.checked_sub(1).and_then(|i| characters.get(i));
        let after_small = before.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let before_small =
            before.is_some_and(char::is_ascii_uppercase) && characters.get(i + 1).is_some_and(char::is_ascii_lowercase);
        if c.is_ascii_uppercase() && (after_small || before_small) {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name.trim_matches('_').to_owned()
}

/// Whether Python takes `text` for the name of a field as it is.
pub(super) fn is_field(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && (!KEYWORDS.contains(&text) || SOFT.contains(&text))
}

/// The name of a field, as close to `text` as Python allows.
pub(super) fn field_name(text: &str) -> String {
    /// Longer ones can't be laid out; the alias has all of the name.
    const LONGEST: usize = 48;
    if is_field(text) {
        return text.to_owned();
    }
    let plain: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(LONGEST).collect();
    let plain = plain.trim_matches('_');
    match plain.chars().next() {
        None => "field".to_owned(),
        Some(c) if c.is_ascii_digit() => format!("field_{plain}"),
        Some(_) if is_field(plain) => plain.to_owned(),
        Some(_) => format!("{plain}_"),
    }
}

/// The name of the module of a topic: `pulse.risk.created` is `pulse_risk_created`.
pub(super) fn module_name(topic: &str) -> String {
    let plain: String =
        topic.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let starts_well = plain.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts_well {
        return format!("_{plain}");
    }
    let taken = KEYWORDS.contains(&plain.as_str()) || MODULES.split_whitespace().any(|module| module == plain);
    if taken { format!("{plain}_") } else { plain }
}

/// Names already given away, and new ones beside them.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope(BTreeSet<String>);

impl Scope {
    pub(super) fn with(taken: impl IntoIterator<Item = String>) -> Self {
        Self(taken.into_iter().collect())
    }

    /// Gives `wanted` away, or the first free name made of it, `separator` and a number.
    pub(super) fn take(&mut self, wanted: &str, separator: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 2_u64;
        while !self.0.insert(name.clone()) {
            name = format!("{wanted}{separator}{number}");
            number += 1;
        }
        name
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_identifiers() {
        for (text, name) in [
            ("order created", "OrderCreated"),
            ("Page[Item]", "PageItem"),
            ("2fa", "T2fa"),
            ("", "Fallback"),
            ("None", "None_"),
            ("x\nimport os", "XImportOs"),
        ] {
            assert_eq!(type_name(text, "Fallback"), name);
        }
        for (text, name) in [
            ("userId", "userId"),
            ("class", "class_"),
            ("type", "type"),
            ("x-request-id", "x_request_id"),
            ("2fa", "field_2fa"),
            ("_id", "id"),
            ("@type", "type"),
            ("", "field"),
            ("é", "field"),
        ] {
            assert_eq!(field_name(text), name);
        }
        for (topic, name) in [
            ("pulse.risk-x.Created", "pulse_risk_x_created"),
            ("json", "json_"),
            ("async", "async_"),
            ("1.starts", "_1_starts"),
        ] {
            assert_eq!(module_name(topic), name);
        }
        assert_eq!(snake("HTTPServerError2"), "http_server_error2");
    }
}
