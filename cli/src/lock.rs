//! `celerysalt.lock`: which contracts of a folder are somebody else's, where they came from, and what they were.
//!
//! It stands in the schemas folder, so it goes where the contracts go; nothing in it is secret, and the same contracts
//! give the same bytes.

use std::{
    collections::BTreeSet,
    fs,
    io::{ErrorKind, Write},
    path::{Component, Path, PathBuf},
};

use celerysalt_contract::{Fingerprint, Topic, Version};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::output::Stop;

/// Its name in the schemas folder.
pub(crate) const LOCK: &str = "celerysalt.lock";

/// What this program writes, and all that it reads.
const FORMAT: u32 = 1;

const HEAD: &str = "# Contracts of others, written by `celerysalt pull`. Not for editing: pull again instead.\n";

/// All of a folder's vendored contracts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lock {
    format: u32,
    #[serde(default, rename = "contract")]
    pub(crate) contracts: Vec<Locked>,
}

/// One vendored contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Locked {
    pub(crate) topic: Topic,
    pub(crate) version: Version,
    pub(crate) fingerprint: Fingerprint,
    /// A registry's URL without credentials, a folder, or `git:PATH@REVISION`.
    pub(crate) source: String,
    /// Its files, relative to the schemas folder, fragments among them.
    pub(crate) files: Vec<String>,
}

impl Locked {
    /// `topic@version`
    pub(crate) fn name(&self) -> String {
        format!("{}@{}", self.topic, self.version)
    }
}

impl Default for Lock {
    fn default() -> Self {
        Self { format: FORMAT, contracts: Vec::new() }
    }
}

impl Lock {
    /// The lock of a schemas folder; empty when there is none.
    pub(crate) fn read(schemas: &Path) -> Result<Self, Stop> {
        let path = schemas.join(LOCK);
        let refused = |reason: String| {
            Stop::failed("lock", format!("{}: {reason}; restore it, or remove it and pull again", path.display()))
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(refused(format!("it can't be read: {error}"))),
        };
        let lock: Self = toml::from_str(&text).map_err(|error| refused(format!("it is no lock file: {error}")))?;
        if lock.format != FORMAT {
            return Err(Stop::failed(
                "lock",
                format!(
                    "{} is of format {}, and this celerysalt knows format {FORMAT}: use a newer one",
                    path.display(),
                    lock.format
                ),
            ));
        }
        let mut seen = BTreeSet::new();
        for contract in &lock.contracts {
            if !seen.insert((&contract.topic, &contract.version)) {
                return Err(refused(format!("it has {} twice", contract.name())));
            }
            // These files may be removed, so they have to be in the folder.
            if let Some(file) = contract.files.iter().find(|file| !is_plain(file)) {
                return Err(refused(format!(
                    "{} names the file {file:?}, which is not below the folder",
                    contract.name()
                )));
            }
        }
        Ok(lock)
    }

    /// The entry of a contract.
    pub(crate) fn find(&self, topic: &Topic, version: &Version) -> Option<&Locked> {
        self.contracts.iter().find(|contract| contract.topic == *topic && contract.version == *version)
    }

    /// Adds an entry, or takes it for the one that there was.
    pub(crate) fn put(&mut self, locked: Locked) {
        self.contracts.retain(|other| (&other.topic, &other.version) != (&locked.topic, &locked.version));
        self.contracts.push(locked);
    }

    /// Every file that an entry names.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        self.contracts.iter().flat_map(|contract| contract.files.iter().cloned()).collect()
    }

    /// The file's content: sorted, so that merges are easy and the same contracts give the same bytes.
    pub(crate) fn to_text(&self) -> Result<String, Stop> {
        let mut sorted = self.clone();
        sorted.contracts.sort_by(|a, b| (&a.topic, &a.version).cmp(&(&b.topic, &b.version)));
        for contract in &mut sorted.contracts {
            contract.files.sort();
            contract.files.dedup();
        }
        let body =
            toml::to_string(&sorted).map_err(|error| Stop::failed("lock", format!("can't be written: {error}")))?;
        Ok(format!("{HEAD}{body}"))
    }
}

/// Whether a path goes down only, so that it stays in its folder.
pub(crate) fn is_plain(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\\', '\0'])
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Files to be put into place together: all are written beside their places first, and then renamed one by one.
///
/// Who reads meanwhile finds each file as it was or as it is to be, never a part of one.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    files: Vec<(NamedTempFile, PathBuf)>,
}

impl Staged {
    /// Writes `content` beside `path`.
    pub(crate) fn add(&mut self, path: PathBuf, content: &[u8]) -> Result<(), Stop> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let staged = fs::create_dir_all(folder).and_then(|()| {
            let mut builder = tempfile::Builder::new();
            // As other files get it: a temporary file would be its maker's alone.
            #[cfg(unix)]
            let builder = builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
            let mut file = builder.prefix(".celerysalt-").suffix(".tmp").tempfile_in(folder)?;
            file.write_all(content)?;
            file.as_file().sync_all()?;
            Ok(file)
        });
        let file = staged.map_err(|error| unwritable(&path, &error))?;
        self.files.push((file, path));
        Ok(())
    }

    /// Puts them into place, in the order in which they came.
    pub(crate) fn commit(self) -> Result<(), Stop> {
        for (file, path) in self.files {
            file.persist(&path).map_err(|refused| unwritable(&path, &refused.error))?;
        }
        Ok(())
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Stop {
    Stop::failed("folder", format!("can't write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(topic: &str, version: &str, files: &[&str]) -> Locked {
        Locked {
            topic: topic.parse().unwrap(),
            version: version.parse().unwrap(),
            fingerprint: "0".repeat(64).into(),
            source: "postgres://db/contracts".to_owned(),
            files: files.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn the_same_contracts_give_the_same_bytes() {
        let all = [
            locked("b", "v1.10", &["b/v1.10.json", "_common/z.json"]),
            locked("b", "v1.2", &["b/v1.2.json"]),
            locked("a", "v1", &["a/v1.json"]),
        ];
        let (mut one, mut other) = (Lock::default(), Lock::default());
        for locked in &all {
            one.put(locked.clone());
        }
        for locked in all.iter().rev() {
            other.put(locked.clone());
        }
        one.put(all[0].clone());
        let text = one.to_text().unwrap();
        assert_eq!(text, other.to_text().unwrap());
        let order: Vec<&str> = text.lines().filter(|line| line.starts_with("version")).collect();
        assert_eq!(order, ["version = \"v1\"", "version = \"v1.2\"", "version = \"v1.10\""]);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(LOCK), &text).unwrap();
        assert_eq!(Lock::read(folder.path()).unwrap().to_text().unwrap(), text);
    }

    #[test]
    fn a_lock_that_can_not_be_trusted_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let entry = |version: &str, file: &str| {
            format!(
                "[[contract]]\ntopic = \"a\"\nversion = {version:?}\nfingerprint = \"\"\nsource = \"\"\nfiles = [{file:?}]\n"
            )
        };
        for (text, said) in [
            ("format = 2".to_owned(), "newer"),
            ("topic".to_owned(), "no lock file"),
            (format!("format = 1\n{}{}", entry("v1", "a"), entry("v1.0", "a")), "twice"),
            (format!("format = 1\n{}", entry("v1", "../a")), "below"),
            (format!("format = 1\n{}", entry("v1", "/etc/a")), "below"),
            (format!("format = 1\n{}", entry("one", "a")), "no version"),
        ] {
            fs::write(folder.path().join(LOCK), &text).unwrap();
            let Err(Stop::Failed { message, .. }) = Lock::read(folder.path()) else { panic!("{text}") };
            assert!(message.contains(said), "{text}: {message}");
        }
    }

    #[test]
    fn what_is_not_committed_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut staged = Staged::default();
        staged.add(folder.path().join("a/v1.json"), b"{}").unwrap();
        assert!(!folder.path().join("a/v1.json").exists());
        drop(staged);
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 0);
    }
}
