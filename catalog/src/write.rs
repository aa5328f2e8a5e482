//! A site as a folder.

use std::{
    collections::BTreeSet,
    fs, io,
    num::NonZero,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::Site;

/// Lists what a site wrote, so that the next one knows what is its own to remove.
const LIST: &str = ".celerysalt-catalog";

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// How many files.
    pub files: usize,
    /// How many bytes they have.
    pub bytes: usize,
    /// How many files of an earlier site were removed.
    pub removed: usize,
}

/// Why a site was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The folder has files that no site wrote.
    #[error("{} has files that are not of a catalog ({first} among them): name an empty folder, or one that does not exist yet", folder.display())]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// One of the files.
        first: String,
    },
    /// The file system refused.
    #[error("can't write {}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        #[source]
        error: io::Error,
    },
}

impl Site {
    /// Writes every file into `folder`, which is made, and removes those of an earlier site that are not among them.
    ///
    /// # Errors
    /// [`WriteError::Foreign`] when the folder has something and no site was ever written there; [`WriteError::Io`].
    pub fn write(&self, folder: &Path) -> Result<Written, WriteError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| WriteError::Io { path, error }
        };
        fs::create_dir_all(folder).map_err(io(folder))?;
        let list = folder.join(LIST);
        let old: BTreeSet<String> = match fs::read_to_string(&list) {
            Ok(text) => text.lines().map(ToOwned::to_owned).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let first = fs::read_dir(folder).map_err(io(folder))?.flatten().next();
                if let Some(first) = first {
                    let first = first.file_name().to_string_lossy().into_owned();
                    return Err(WriteError::Foreign { folder: folder.to_owned(), first });
                }
                BTreeSet::new()
            }
            Err(error) => return Err(io(&list)(error)),
        };
        let paths = self.paths();
        // The list first, and with the old ones: whatever happens now, the next site knows what is its own.
        let all: BTreeSet<&str> = paths.iter().chain(&old).map(String::as_str).collect();
        let text = |paths: BTreeSet<&str>| paths.into_iter().flat_map(|path| [path, "\n"]).collect::<String>();
        fs::write(&list, text(all)).map_err(io(&list))?;
        let bytes = self.write_all(folder, &paths)?;
        let new: BTreeSet<&str> = paths.iter().map(String::as_str).collect();
        let mut removed = 0;
        for path in old.iter().filter(|path| !new.contains(path.as_str()) && is_inside(path)) {
            let path = folder.join(path);
            match fs::remove_file(&path) {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io(&path)(error)),
            }
            // A folder that still has something stays.
            let _ = path.parent().map(fs::remove_dir);
        }
        fs::write(&list, text(new)).map_err(io(&list))?;
        Ok(Written { files: paths.len(), bytes, removed })
    }

    /// On all processors: a page is made and written at once, so none waits in memory.
    fn write_all(&self, folder: &Path, paths: &[String]) -> Result<usize, WriteError> {
        let (next, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = || -> Result<(), WriteError> {
            while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                let Some(page) = self.page(path) else { continue };
                let path = folder.join(path);
                let parent = path.parent().unwrap_or(folder);
                let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, &page.text));
                written.map_err(|error| WriteError::Io { path: path.clone(), error })?;
                bytes.fetch_add(page.text.len(), Ordering::Relaxed);
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers = thread::available_parallelism().map_or(1, NonZero::get);
            let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
            let mine = work();
            let theirs = others.into_iter().map(|other| match other.join() {
                Ok(outcome) => outcome,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            theirs.fold(mine, Result::and)
        })?;
        Ok(bytes.into_inner())
    }
}

/// Whether a path of the list, which anybody may have edited, stays in the folder.
fn is_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use celerysalt_contract::{ContractRecord, evolution::Release};
    use serde_json::json;

    use super::*;

    fn site(topics: &[&str]) -> Site {
        let release = |topic: &&str| {
            let record = json!({"topic": topic, "version": "v1", "mode": "broadcast", "schema": {}, "fingerprint": ""});
            Release::from_record(serde_json::from_value::<ContractRecord>(record).unwrap())
        };
        Site::new("t", topics.iter().map(release))
    }

    #[test]
    fn a_folder_is_kept_up_to_date_and_others_files_are_left_alone() {
        let folder = std::env::temp_dir().join(format!("celerysalt-catalog-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        site(&["a.b", "c.d"]).write(&folder).unwrap();
        fs::write(folder.join("topics/c.d/mine.txt"), "").unwrap();
        fs::write(folder.join(LIST), fs::read_to_string(folder.join(LIST)).unwrap() + "../outside\n").unwrap();
        let written = site(&["a.b"]).write(&folder).unwrap();
        assert_eq!(written.removed, 2);
        assert!(folder.join("topics/a.b/v1.html").exists() && folder.join("topics/c.d/mine.txt").exists());
        assert!(!folder.join("topics/c.d/v1.html").exists());
        fs::remove_file(folder.join(LIST)).unwrap();
        assert!(matches!(site(&["a.b"]).write(&folder), Err(WriteError::Foreign { .. })));
        fs::remove_dir_all(&folder).unwrap();
    }
}
