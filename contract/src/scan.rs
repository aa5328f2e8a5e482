//! A folder's listing becomes topics, versions and fragments: the layout, before any file is read.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Diagnostic, Diagnostics, Topic, Version, suggest::similar};

/// How deep folders of fragments may nest.
const MAX_FOLDERS: usize = 32;

/// What a schema file of a topic describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Request,
    Response,
    Error,
}

/// A schema file of a topic.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Relative to the schemas folder.
    pub(crate) path: PathBuf,
    pub(crate) version: Version,
    pub(crate) role: Role,
}

/// What a schemas folder holds.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// By topic, each topic's files by name.
    pub(crate) topics: BTreeMap<Topic, Vec<Entry>>,
    /// The JSON files in folders starting with `_`.
    pub(crate) fragments: Vec<PathBuf>,
    pub(crate) findings: Diagnostics,
}

struct Scanner<'a> {
    root: &'a Path,
    /// The root with every link resolved.
    real: PathBuf,
    listing: Listing,
}

/// Lists the folder `root`.
pub(crate) fn scan(root: &Path) -> Listing {
    let real = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let mut scanner = Scanner { root, real, listing: Listing::default() };
    scanner.scan_root();
    scanner.listing.fragments.sort();
    scanner.listing
}

impl Scanner<'_> {
    fn error(&mut self, code: &'static str, path: &Path, message: impl Into<String>) -> &mut Diagnostic {
        self.finding(Diagnostic::error(code, self.root.join(path), message))
    }

    fn finding(&mut self, finding: Diagnostic) -> &mut Diagnostic {
        let items = &mut self.listing.findings.items;
        items.push(finding);
        let last = items.len() - 1;
        &mut items[last]
    }

    fn scan_root(&mut self) {
        for (path, is_folder) in self.entries(Path::new("")) {
            let name = file_name(&path);
            match (is_folder, name.starts_with('_'), is_json(&path)) {
                (true, true, _) => self.scan_fragments(&path, 1),
                (true, false, _) => self.scan_topic(&path, &name),
                (false, true, true) => self.listing.fragments.push(path),
                (false, false, true) => {
                    let finding = Diagnostic::warning(
                        "unexpected-file",
                        self.root.join(&path),
                        "a schema outside of a topic's folder is no contract",
                    );
                    self.finding(finding.with_help("move it to `<topic>/<version>.json`, or to `_common/`"));
                }
                (false, _, false) => {}
            }
        }
    }

    fn scan_topic(&mut self, folder: &Path, name: &str) {
        let topic = match (folder.to_str(), name.parse::<Topic>()) {
            (Some(_), Ok(topic)) => topic,
            (Some(_), Err(error)) => {
                self.error("illegal-topic", folder, format!("the folder's name is no topic: {error}")).help =
                    Some("name it like `orders.placed`; a folder starting with `_` is never a topic".to_owned());
                return;
            }
            (None, _) => {
                self.error("illegal-topic", folder, "the folder's name is no topic: it is not UTF-8");
                return;
            }
        };
        let mut found = Vec::new();
        for (path, is_folder) in self.entries(folder) {
            let name = file_name(&path);
            if is_folder && name.starts_with('_') {
                self.scan_fragments(&path, 2);
            } else if is_folder {
                let finding = Diagnostic::warning(
                    "unexpected-file",
                    self.root.join(&path),
                    "a folder inside a topic's folder is ignored",
                );
                self.finding(finding.with_help("a topic's folder holds files such as `v1.json`"));
            } else if !is_json(&path) {
                self.finding(Diagnostic::warning(
                    "unexpected-file",
                    self.root.join(&path),
                    "this is no schema file, and is ignored",
                ));
            } else if let Some(entry) = self.entry(path, &name) {
                found.push(entry);
            }
        }
        self.listing.topics.insert(topic, found);
    }

    fn entry(&mut self, path: PathBuf, name: &str) -> Option<Entry> {
        let stem = name.strip_suffix(".json").unwrap_or(name);
        let (version, role) = if let Some(version) = stem.strip_suffix(".response") {
            (version, Role::Response)
        } else if let Some(version) = stem.strip_suffix(".error") {
            (version, Role::Error)
        } else {
            (stem, Role::Request)
        };
        match version.parse() {
            Ok(version) => Some(Entry { path, version, role }),
            Err(error) => {
                let meant = stem.rsplit_once('.').and_then(|(version, word)| {
                    version.parse::<Version>().ok()?;
                    Some(format!("did you mean `{version}.{}.json`?", similar(word, ["response", "error"])?))
                });
                let help = meant.unwrap_or_else(|| {
                    "files of a topic are named `v1.json`, `v1.response.json` or `v1.error.json`".to_owned()
                });
                self.error("illegal-version", &path, error.to_string()).help = Some(help);
                None
            }
        }
    }

    /// Collects the JSON files below a folder of fragments, as deep as [`MAX_FOLDERS`].
    fn scan_fragments(&mut self, folder: &Path, depth: usize) {
        if depth > MAX_FOLDERS {
            self.error("file-system", folder, format!("folders nest deeper than {MAX_FOLDERS} levels"));
            return;
        }
        for (path, is_folder) in self.entries(folder) {
            if !is_folder && is_json(&path) {
                self.listing.fragments.push(path);
            } else if is_folder && !self.is_link(&path) {
                self.scan_fragments(&path, depth + 1);
            }
        }
    }

    fn is_link(&self, path: &Path) -> bool {
        fs::symlink_metadata(self.root.join(path)).is_ok_and(|metadata| metadata.is_symlink())
    }

    /// What a folder holds, by name, without dot-files: the path relative to the root, and whether it is a folder.
    /// What can't be looked at, or is a link out of the root, is reported and left out.
    fn entries(&mut self, folder: &Path) -> Vec<(PathBuf, bool)> {
        let listed = fs::read_dir(self.root.join(folder))
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>());
        let mut names = match listed {
            Ok(names) => names,
            Err(error) => {
                self.error("file-system", folder, format!("the folder can't be read: {error}"));
                return Vec::new();
            }
        };
        names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
        names.sort();
        names.into_iter().filter_map(|name| self.look(folder.join(name))).collect()
    }

    fn look(&mut self, path: PathBuf) -> Option<(PathBuf, bool)> {
        let full = self.root.join(&path);
        let looked = fs::metadata(&full).and_then(|metadata| {
            let inside = !self.is_link(&path) || fs::canonicalize(&full)?.starts_with(&self.real);
            Ok((metadata, inside))
        });
        match looked {
            Ok((_, false)) => {
                self.error("file-system", &path, "this symbolic link leaves the schemas folder");
                None
            }
            Ok((metadata, _)) if metadata.is_dir() => Some((path, true)),
            Ok((metadata, _)) if metadata.is_file() => Some((path, false)),
            Ok(_) => {
                self.error("file-system", &path, "this is neither a file nor a folder");
                None
            }
            Err(error) => {
                self.error("file-system", &path, format!("it can't be looked at: {error}"));
                None
            }
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_json(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("json"))
}
