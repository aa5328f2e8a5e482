//! `celerysalt.toml` in the schemas folder: how bad each rule is, and what is left out, with the reason.
//!
//! ```toml
//! [lint.rules]
//! property-case = "warning"      # error, warning or off
//!
//! [[lint.ignore]]
//! rule = "pattern-unanchored"
//! path = "legacy.*/*.json"       # from the schemas folder; * is anything but a slash, ** any folders
//! reason = "released before there was this rule"
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::rule::{self, Level};
use crate::{
    Diagnostic, Diagnostics, Span,
    suggest::{listed, similar},
};

/// The file's name.
const FILE: &str = "celerysalt.toml";
/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// What `celerysalt.toml` says of rules.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    levels: Vec<(&'static str, Level)>,
    ignores: Vec<Ignore>,
}

/// Findings that are left out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ignore {
    /// The rule.
    pub rule: &'static str,
    /// The files, from the schemas folder.
    pub path: glob::Pattern,
    /// Why.
    pub reason: String,
    at: Place,
}

/// A place in the settings.
#[derive(Clone, Debug)]
struct Place {
    path: PathBuf,
    span: Span,
    line: String,
}

impl Settings {
    /// The settings of a schemas folder; the defaults where it has none.
    ///
    /// # Errors
    /// Everything that is wrong with the file: `settings-syntax`, `unknown-setting`.
    pub fn load(root: &Path) -> Result<Self, Diagnostics> {
        let path = root.join(FILE);
        let refuse = |message: String| -> Result<Self, Diagnostics> {
            Err([Diagnostic::error("file-system", &path, message)].into_iter().collect())
        };
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return refuse(format!("the file can't be read: {error}")),
            Ok(metadata) if !metadata.is_file() => return refuse("this is no file".to_owned()),
            Ok(metadata) if metadata.len() > MAX_BYTES => return refuse("the file has more than 1 MiB".to_owned()),
            Ok(_) => {}
        }
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&path, &text),
            Err(error) => refuse(format!("the file can't be read: {error}")),
        }
    }

    /// The settings in a text; `path` names it in findings.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, Diagnostics> {
        let mut reader = Reader { path, text, findings: Diagnostics::new(), settings: Self::default() };
        match DeTable::parse(text) {
            Ok(table) => reader.root(table.get_ref()),
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                reader.refuse("settings-syntax", span, error.message().to_owned(), None);
            }
        }
        if reader.findings.is_empty() { Ok(reader.settings) } else { Err(reader.findings) }
    }

    /// How bad a finding is: as the settings say, else as the rule says.
    pub fn level(&self, rule: &str) -> Level {
        let set = self.levels.iter().find(|(name, _)| *name == rule).map(|(_, level)| *level);
        set.or_else(|| rule::find(rule).map(|rule| rule.level)).unwrap_or(Level::Warning)
    }

    /// What is left out.
    pub fn ignores(&self) -> &[Ignore] {
        &self.ignores
    }

    /// The entry that leaves a finding out, if one does.
    pub(super) fn ignored(&self, rule: &str, path: &Path) -> Option<usize> {
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
        self.ignores.iter().position(|ignore| ignore.rule == rule && ignore.path.matches_path_with(path, options))
    }

    /// Entries that left nothing out.
    pub(super) fn unused(&self, used: &[bool]) -> Vec<Diagnostic> {
        let unused = self.ignores.iter().zip(used).filter(|(_, used)| !**used);
        unused
            .filter(|_| self.level("unused-ignore") != Level::Off)
            .map(|(ignore, _)| {
                let message = format!("nothing is left out by this: no `{}` in `{}`", ignore.rule, ignore.path);
                let mut finding = match self.level("unused-ignore") {
                    Level::Error => Diagnostic::error("unused-ignore", &ignore.at.path, message),
                    _ => Diagnostic::warning("unused-ignore", &ignore.at.path, message),
                };
                finding.span = Some(ignore.at.span);
                finding.source_line = Some(ignore.at.line.clone());
                finding.with_help("remove the entry")
            })
            .collect()
    }
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    findings: Diagnostics,
    settings: Settings,
}

type Table<'t> = DeTable<'t>;

impl Reader<'_> {
    fn root(&mut self, table: &Table<'_>) {
        for (key, value) in table {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("lint", DeValue::Table(lint)) => self.lint(lint),
                ("lint", _) => self.refuse("unknown-setting", value.span(), "`lint` is a table".to_owned(), None),
                (other, _) => self.unknown(key.span(), other, &["lint"]),
            }
        }
    }

    fn lint(&mut self, table: &Table<'_>) {
        for (key, value) in table {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("rules", DeValue::Table(rules)) => {
                    for (name, level) in rules {
                        self.rule(name.get_ref(), name.span(), level);
                    }
                }
                ("ignore", DeValue::Array(entries)) => {
                    for entry in entries {
                        self.ignore(entry);
                    }
                }
                ("rules", _) => {
                    let message = "`rules` is a table of rules and how bad they are".to_owned();
                    self.refuse("unknown-setting", value.span(), message, None);
                }
                ("ignore", _) => {
                    let message = "`ignore` is a list of tables: [[lint.ignore]]".to_owned();
                    self.refuse("unknown-setting", value.span(), message, None);
                }
                (other, _) => self.unknown(key.span(), other, &["ignore", "rules"]),
            }
        }
    }

    fn rule(&mut self, name: &str, at: std::ops::Range<usize>, level: &Spanned<DeValue<'_>>) {
        let Some(rule) = self.known(name, at) else { return };
        if let Some(level) = level.get_ref().as_str().and_then(Level::of) {
            self.settings.levels.push((rule, level));
        } else {
            let message = format!("`{name}` is \"error\", \"warning\" or \"off\"");
            self.refuse("unknown-setting", level.span(), message, None);
        }
    }

    fn ignore(&mut self, entry: &Spanned<DeValue<'_>>) {
        let DeValue::Table(table) = entry.get_ref() else {
            let message = "an entry is a table with `rule`, `path` and `reason`".to_owned();
            return self.refuse("unknown-setting", entry.span(), message, None);
        };
        let (mut rule, mut pattern, mut reason) = (None, None, None);
        let before = self.findings.len();
        for (key, value) in table {
            let text = value.get_ref().as_str().map(str::trim).filter(|text| !text.is_empty());
            match (key.get_ref().as_ref(), text) {
                ("rule", Some(name)) => rule = self.known(name, value.span()),
                ("path", Some(path)) => match glob::Pattern::new(path) {
                    Ok(parsed) => pattern = Some(parsed),
                    Err(error) => {
                        self.refuse(
                            "unknown-setting",
                            value.span(),
                            format!("this is no pattern: {}", error.msg),
                            None,
                        );
                    }
                },
                ("reason", Some(text)) => reason = Some(text.to_owned()),
                ("rule" | "path" | "reason", None) => {
                    let message = format!("`{}` is a text that is not empty", key.get_ref());
                    self.refuse("unknown-setting", value.span(), message, None);
                }
                (other, _) => self.unknown(key.span(), other, &["path", "reason", "rule"]),
            }
        }
        if self.findings.len() > before {
            return;
        }
        if let (Some(rule), Some(path), Some(reason)) = (rule, pattern, reason) {
            let (span, line) = self.place(entry.span());
            let at = Place { path: self.path.to_owned(), span, line };
            self.settings.ignores.push(Ignore { rule, path, reason, at });
        } else {
            let message = "an entry says `rule`, `path` and `reason`".to_owned();
            let help = "whoever reads it next year wants to know why";
            self.refuse("unknown-setting", entry.span(), message, Some(help.to_owned()));
        }
    }

    fn known(&mut self, name: &str, at: std::ops::Range<usize>) -> Option<&'static str> {
        if let Some(rule) = rule::find(name) {
            return Some(rule.id);
        }
        let names = rule::rules().iter().map(|rule| rule.id);
        let help = similar(name, names).map_or_else(
            || "`celerysalt lint --rules` lists them".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        self.refuse("unknown-setting", at, format!("there is no rule `{name}`"), Some(help));
        None
    }

    fn unknown(&mut self, at: std::ops::Range<usize>, name: &str, known: &[&str]) {
        let message = format!("there is no setting `{name}`; there is {}", listed(known.iter().copied(), 5));
        let help = similar(name, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        self.refuse("unknown-setting", at, message, help);
    }

    fn refuse(&mut self, code: &'static str, at: std::ops::Range<usize>, message: String, help: Option<String>) {
        let (span, line) = self.place(at);
        let mut finding = Diagnostic::error(code, self.path, message);
        finding.span = Some(span);
        finding.source_line = Some(line);
        finding.help = help;
        self.findings.push(finding);
    }

    fn place(&self, at: std::ops::Range<usize>) -> (Span, String) {
        let mut start = at.start.min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let before = self.text.get(..start).unwrap_or_default();
        let first = before.rfind('\n').map_or(0, |end| end + 1);
        let line = self.text.get(first..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let span = Span {
            offset: start,
            len: at.end.saturating_sub(start),
            line: before.matches('\n').count() + 1,
            column: self.text.get(first..start).map_or(0, |text| text.chars().count()) + 1,
        };
        (span, line.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Settings::parse(Path::new("s/celerysalt.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn levels_and_ignores_are_read() {
        let text = "[lint.rules]\nproperty-case = \"error\"\n\n[[lint.ignore]]\nrule = \"missing-type\"\npath = \"a.*/*.json\"\nreason = \"old\"\n";
        let settings = Settings::parse(Path::new("celerysalt.toml"), text).unwrap();
        assert_eq!(settings.level("property-case"), Level::Error);
        assert_eq!(settings.level("missing-type"), Level::Warning);
        assert_eq!(settings.ignored("missing-type", Path::new("a.b/v1.json")), Some(0));
        assert_eq!(settings.ignored("missing-type", Path::new("a.b/c/v1.json")), None);
        assert_eq!(settings.ignored("closed-enum", Path::new("a.b/v1.json")), None);
        assert!(settings.unused(&[true]).is_empty());
        assert_eq!(settings.unused(&[false])[0].to_string().split(": ").next(), Some("celerysalt.toml:4:1"));
        assert!(Settings::parse(Path::new("x"), "").unwrap().ignores().is_empty());
    }

    #[test]
    fn what_is_wrong_says_where() {
        assert!(refused("[lint\n").starts_with("s/celerysalt.toml:1:6: settings-syntax: "), "{}", refused("[lint\n"));
        assert!(
            refused("[lnt]\n").contains("1:2: unknown-setting: there is no setting `lnt`"),
            "{}",
            refused("[lnt]\n")
        );
        for (text, says) in [
            ("[lint.rules]\nmising-type = \"off\"\n", "2:1: unknown-setting: there is no rule `mising-type`"),
            ("[lint.rules]\nmissing-type = \"no\"\n", "2:16: unknown-setting: `missing-type` is \"error\""),
            ("[[lint.ignore]]\nrule = \"missing-type\"\npath = \"*\"\n", "1:1: unknown-setting: an entry says"),
            (
                "[[lint.ignore]]\nrule = \"missing-type\"\npath = \"*\"\nreason = \" \"\n",
                "4:10: unknown-setting: `reason`",
            ),
            (
                "[[lint.ignore]]\nrule = \"missing-type\"\npath = \"***\"\nreason = \"x\"\n",
                "3:8: unknown-setting: this is no",
            ),
            ("lint = 3\n", "1:8: unknown-setting: `lint` is a table"),
        ] {
            assert!(refused(text).contains(says), "{}", refused(text));
        }
    }
}
