//! The files of a folder as a git revision has them.
//!
//! By the git program, which reads every kind of repository. Arguments go to it as they are, never through a shell, and
//! nothing that a user names can be an option. What comes out is written into a folder of its own that goes away again.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Component, Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use tempfile::TempDir;

use crate::output::Stop;

/// The most files that are read of a revision, and the most bytes of one of them.
const MAX_FILES: usize = 100_000;
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;
/// The most bytes of all of them.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// A folder as it was.
#[derive(Debug)]
pub(crate) struct Checkout {
    /// Where it was written to.
    folder: TempDir,
    /// The folder from the top of the repository, empty or ending in a slash.
    pub(crate) prefix: String,
    /// Whether the revision has anything there.
    pub(crate) is_empty: bool,
}

impl Checkout {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// What an entry of a tree is.
struct Entry {
    is_link: bool,
    /// In bytes.
    size: u64,
    object: String,
    path: PathBuf,
}

/// Writes the JSON files that `revision` has in `folder` into a temporary folder.
pub(crate) fn checkout(folder: &Path, revision: &str) -> Result<Checkout, Stop> {
    refuse_odd(revision)?;
    let top = text(git(folder).args(["rev-parse", "--show-toplevel"]))?;
    let prefix = text(git(folder).args(["rev-parse", "--show-prefix"]))?;
    let top = PathBuf::from(top.trim_end_matches('\n'));
    let prefix = prefix.trim_end_matches('\n').to_owned();
    let commit = commit(&top, revision)?;
    let entries = tree(&top, &commit, &prefix)?;
    let target = temporary(&entries)?;
    write(&top, &entries, target.path())?;
    Ok(Checkout { folder: target, prefix, is_empty: entries.is_empty() })
}

/// A folder for the files of a revision. In memory where the system has a place for that, there are few of them, and nobody said
/// where temporary files go: making and deleting some thousand files on a disk can take seconds.
fn temporary(entries: &[Entry]) -> Result<TempDir, Stop> {
    /// Of a place that has 64 MiB in a container.
    const MOST: u64 = 16 * 1024 * 1024;
    const PAGE: u64 = 4096;
    let make = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("celerysalt-");
        builder
    };
    // A folder for each file at most.
    let room: u64 = entries.iter().map(|entry| entry.size.next_multiple_of(PAGE) + PAGE).sum();
    let memory = Path::new("/dev/shm");
    let in_memory = room <= MOST && std::env::var_os("TMPDIR").is_none() && memory.is_dir();
    let folder = in_memory.then(|| make().tempdir_in(memory)).and_then(Result::ok);
    folder
        .map_or_else(|| make().tempdir(), Ok)
        .map_err(|error| Stop::failed("temporary", format!("can't make a temporary folder: {error}")))
}

fn refuse_odd(revision: &str) -> Result<(), Stop> {
    let odd = revision.is_empty()
        || revision.len() > 1_000
        || revision.starts_with('-')
        || revision
            .contains(|c: char| c.is_control() || c.is_whitespace() || matches!(c, ':' | '\\' | '?' | '*' | '['))
        || revision.contains("..");
    if odd {
        let shown: String = revision.chars().take(100).flat_map(char::escape_debug).collect();
        return Err(Stop::failed("git", format!("`{shown}` is no git revision: name a branch, a tag or a commit")));
    }
    Ok(())
}

fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).env("GIT_LITERAL_PATHSPECS", "1").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

fn failed(error: &std::io::Error) -> Stop {
    Stop::failed("git", format!("can't run git, which reads the revision: {error}"))
}

fn output(command: &mut Command) -> Result<Vec<u8>, Stop> {
    let output = command.output().map_err(|error| failed(&error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Stop::failed("git", format!("git says: {said}")))
}

fn text(command: &mut Command) -> Result<String, Stop> {
    String::from_utf8(output(command)?).map_err(|_| Stop::failed("git", "the repository's path is not UTF-8"))
}

/// The commit that a revision names.
fn commit(top: &Path, revision: &str) -> Result<String, Stop> {
    let find = |revision: &str| {
        let name = format!("{revision}^{{commit}}");
        text(git(top).args(["rev-parse", "--verify", "--quiet"]).arg(name)).map(|commit| commit.trim().to_owned())
    };
    let commit = find(revision).map_err(|_| {
        let remote = format!("origin/{revision}");
        let help = if find(&remote).is_ok() {
            format!("did you mean `{remote}`?")
        } else {
            format!("it may not be fetched: `git fetch origin {revision}` (in CI, check out with its history)")
        };
        Stop::failed("git", format!("there is no revision `{revision}` in {}; {help}", top.display()))
    })?;
    let is_hash = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { Ok(commit) } else { Err(Stop::failed("git", "git named no commit")) }
}

fn tree(top: &Path, commit: &str, prefix: &str) -> Result<Vec<Entry>, Stop> {
    let mut command = git(top);
    command.args(["ls-tree", "-r", "-z", "-l", "--full-tree", commit]);
    if !prefix.is_empty() {
        command.arg("--").arg(prefix);
    }
    let listing = output(&mut command)?;
    let mut entries = Vec::new();
    let mut bytes = 0_u64;
    for line in listing.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
        let Ok(line) = std::str::from_utf8(line) else { continue };
        // `100644 blob 0123abcd     42<tab>schemas/a/v1.json`
        let Some((fields, path)) = line.split_once('\t') else { continue };
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ([mode, "blob", object, size], Some(path)) = (fields.as_slice(), path.strip_prefix(prefix)) else {
            continue;
        };
        let path = PathBuf::from(path);
        let is_link = *mode == "120000";
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        if !plain || !(is_json || is_link) {
            continue;
        }
        let size: u64 = size.parse().unwrap_or(u64::MAX);
        bytes = bytes.saturating_add(size);
        if size > MAX_FILE_BYTES || bytes > MAX_BYTES || entries.len() >= MAX_FILES {
            return Err(Stop::failed(
                "git",
                format!("the revision has too much to read, at {prefix}{}", path.display()),
            ));
        }
        entries.push(Entry { is_link, size, object: (*object).to_owned(), path });
    }
    Ok(entries)
}

fn write(top: &Path, entries: &[Entry], target: &Path) -> Result<(), Stop> {
    let mut child = git(top)
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&error))?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Stop::failed("git", "can't talk to git"));
    };
    let broken = |error: std::io::Error| Stop::failed("git", format!("can't read the revision: {error}"));
    let mut links = Vec::new();
    // Asked for beside the reading: both pipes have an end to what they hold.
    let read = thread::scope(|scope| {
        scope.spawn(move || {
            // A git that is gone is seen by the reader.
            let _ = entries.iter().try_for_each(|entry| writeln!(input, "{}", entry.object));
        });
        let mut output = BufReader::new(output);
        for entry in entries {
            let mut header = String::new();
            output.read_line(&mut header).map_err(broken)?;
            let size = header.trim().rsplit(' ').next().and_then(|size| size.parse::<u64>().ok());
            let Some(size) = size.filter(|size| *size <= MAX_FILE_BYTES) else {
                return Err(Stop::failed("git", format!("git has no content for {}", entry.path.display())));
            };
            let mut content = vec![0; usize::try_from(size).unwrap_or(0) + 1];
            output.read_exact(&mut content).map_err(broken)?;
            content.pop();
            let path = target.join(&entry.path);
            if entry.is_link {
                links.push((path, content));
                continue;
            }
            let folder = path.parent().unwrap_or(target);
            fs::create_dir_all(folder).and_then(|()| fs::write(&path, content)).map_err(broken)?;
        }
        Ok(())
    });
    // It ends when its input does; what it would say is known by then.
    let _ = child.wait();
    read?;
    // Last, so that nothing is written through one. Whoever reads the folder refuses those that leave it.
    for (path, content) in links {
        link(&path, &content).map_err(broken)?;
    }
    Ok(())
}

#[cfg(unix)]
fn link(path: &Path, target: &[u8]) -> std::io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), path)
}

#[cfg(not(unix))]
fn link(path: &Path, target: &[u8]) -> std::io::Result<()> {
    // As git itself writes links where there are none.
    fs::write(path, target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_never_an_option_a_range_or_a_path() {
        for odd in ["", "-c", "--upload-pack=x", "a b", "main:schemas", "a..b", "a\nb", "main\u{0}", "*"] {
            assert!(refuse_odd(odd).is_err(), "{odd:?}");
        }
        for good in ["main", "origin/main", "v1.0^{}", "HEAD~2", "0123abc", "main@{1}"] {
            assert!(refuse_odd(good).is_ok(), "{good}");
        }
    }
}
