//! Starting installed programs: where they are, in which folder, as which user, on which port.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::fs::chown,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use super::keeper::{Duty, FOLDER, Keeper};

/// The start of one server: a folder of its own, a free port, and who stops it later.
pub(super) struct Launch<'a> {
    home: PathBuf,
    port: u16,
    user: Option<User>,
    keeper: &'a mut Keeper,
    duties: &'a mut Vec<Duty>,
}

/// An account of this machine, for programs that refuse to run as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct User {
    id: u32,
    group: u32,
}

/// A program that was started and runs on.
pub(super) struct Started(u32);

impl<'a> Launch<'a> {
    pub(super) fn prepare(key: &str, keeper: &'a mut Keeper, duties: &'a mut Vec<Duty>) -> Result<Self, String> {
        let port = free_port()?;
        let name = format!("{FOLDER}{key}-{}-{port}", std::process::id());
        let home = std::env::temp_dir().join(name);
        fs::create_dir(&home).map_err(|why| format!("{} {why}", home.display()))?;
        let duty = Duty::Folder(home.clone());
        keeper.take(&duty);
        duties.push(duty);
        Ok(Self { home, port, user: None, keeper, duties })
    }

    /// The port that the server shall listen on.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// A path in the folder of the server.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// When xtask runs as root, the programs run as the first of these users that exists.
    pub(super) fn leave_root(&mut self, names: &[&str]) -> Result<(), String> {
        if !is_root() {
            return Ok(());
        }
        let accounts = fs::read_to_string("/etc/passwd").map_err(|why| format!("/etc/passwd cannot be read: {why}"))?;
        self.user = names.iter().find_map(|name| user(&accounts, name));
        self.hand_over(&self.home)
    }

    /// Writes a file for the server to read.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.path(name);
        fs::write(&path, text).map_err(|why| format!("{} {why}", path.display()))?;
        self.hand_over(&path)?;
        Ok(path)
    }

    fn hand_over(&self, path: &Path) -> Result<(), String> {
        let Some(User { id, group }) = self.user else {
            return Ok(());
        };
        chown(path, Some(id), Some(group))
            .map_err(|why| format!("{} cannot be given to user {id}: {why}", path.display()))
    }

    /// A command in the folder of the server, as its user, with its output in the log.
    pub(super) fn command(&self, program: &Path) -> Result<Command, String> {
        let log = || {
            let path = self.path("log");
            let file = File::options().create(true).append(true).open(&path);
            file.map_err(|why| format!("{} {why}", path.display()))
        };
        let mut command = Command::new(program);
        command.current_dir(&self.home).env("HOME", &self.home).stdin(Stdio::null()).stdout(log()?).stderr(log()?);
        if let Some(User { id, group }) = self.user {
            command.uid(id).gid(group);
        }
        // Settings of other servers of the same kind.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let prefixes = ["PG", "RABBITMQ_", "ERL_"];
            if prefixes.iter().any(|p| text.starts_with(p)) || text == "NOTIFY_SOCKET" {
                command.env_remove(&name);
            }
        }
        Ok(command)
    }

    /// Runs a command to its end.
    pub(super) fn run(&self, mut command: Command) -> Result<(), String> {
        let program = command.get_program().to_string_lossy().into_owned();
        let status = command.status().map_err(|why| format!("{program} did not start: {why}"))?;
        if status.success() { Ok(()) } else { Err(format!("{program} failed ({status}){}", self.last_words())) }
    }

    /// Starts a command that runs on, until xtask ends or [`super::down`]; `signal` ends it.
    pub(super) fn spawn(&mut self, mut command: Command, signal: &'static str) -> Result<Started, String> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.process_group(0).spawn().map_err(|why| format!("{program} did not start: {why}"))?;
        let id = child.id();
        self.duties.push(self.keeper.adopt(child, signal));
        Ok(Started(id))
    }

    /// Waits until a started server is ready.
    pub(super) fn wait(
        &mut self,
        started: &Started,
        limit: Duration,
        probe: impl Fn() -> Result<(), String>,
    ) -> Result<(), String> {
        let begin = Instant::now();
        loop {
            let Err(why) = probe() else { return Ok(()) };
            if let Some(status) = self.keeper.ended(started.0) {
                return Err(format!("it ended ({status}){}", self.last_words()));
            }
            if begin.elapsed() > limit {
                let seconds = limit.as_secs();
                let words = self.last_words();
                return Err(format!("after {seconds} seconds it still {why}{words}"));
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// The end of the log, for an error.
    fn last_words(&self) -> String {
        let log = fs::read(self.path("log")).unwrap_or_default();
        last_lines(&String::from_utf8_lossy(&log))
    }
}

/// The last lines of what a program printed, indented below an error.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.iter().skip(lines.len().saturating_sub(12));
    last.flat_map(|line| ["\n      | ", line]).collect()
}

/// A port that nobody listens on, another one each time. Below those that the system gives to connections (Linux: from 32768
/// on): one of these might be given away before a server that takes ten seconds to start listens on it.
pub(super) fn free_port() -> Result<u16, String> {
    const FIRST: u16 = 10_000;
    const MANY: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(131);
    let mut ports = (0..MANY).filter_map(|_| {
        let place = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % MANY;
        u16::try_from(place).ok().map(|place| FIRST.saturating_add(place))
    });
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports
        .find(is_free)
        .ok_or_else(|| format!("there is no free port on 127.0.0.1 from {FIRST} to {}", u32::from(FIRST) + MANY))
}

/// Finds a program in folders, of which each may hold one `*`, or else in `PATH`.
pub(super) fn program(name: &str, folders: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let known = folders.iter().flat_map(|pattern| matching(pattern));
    known.chain(std::env::split_paths(&path)).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The folders that a pattern names, the newest version first.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![pattern.into()];
    };
    let (parent, stem) = before.rsplit_once('/').unwrap_or((".", before));
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(stem))
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse(numbers(name)));
    let paths = names.iter().map(|name| format!("{parent}/{name}{after}"));
    paths.map(PathBuf::from).collect()
}

fn numbers(name: &str) -> Vec<u64> {
    let parts = name.split(|c: char| !c.is_ascii_digit());
    parts.filter_map(|part| part.parse().ok()).collect()
}

pub(super) fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn user(accounts: &str, name: &str) -> Option<User> {
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let account = accounts.lines().map(fields).find(|f| f[0] == name)?;
    Some(User { id: account.get(2)?.parse().ok()?, group: account.get(3)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_from_passwd() {
        let file = "root:x:0:0:root:/root:/bin/sh\npostgres:x:104:106::/var:/bin/sh\nodd\n";
        assert_eq!(user(file, "postgres"), Some(User { id: 104, group: 106 }));
        assert_eq!(user(file, "odd"), None);
        assert_eq!(user(file, "nobody"), None);
    }

    #[test]
    fn the_newest_version_comes_first() {
        assert!(numbers("rabbitmq_server-4.0.10") > numbers("rabbitmq_server-4.0.9"));
        assert!(numbers("16") > numbers("9.6"));
    }

    #[test]
    fn errors_end_with_the_last_lines() {
        assert_eq!(last_lines("\n"), "");
        assert_eq!(last_lines("a\n\nb\n"), "\n      | a\n      | b");
    }
}
