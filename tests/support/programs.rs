//! The programs of servers that a test starts for itself, and whose processes they are to be.

#![allow(clippy::panic, reason = "only tests use this")]

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// How long a server may take to start, on a machine that does other things too.
const START: Duration = Duration::from_mins(2);

/// Ports that nobody listens on; all different. They are below those that the system gives to connections (Linux: from 32768
/// on), of which one might be given away before a server that takes ten seconds to start listens on it.
pub fn free_ports<const N: usize>() -> [u16; N] {
    const FIRST: u16 = 10_000;
    const MANY: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Programs that run at the same time begin at different places.
    let begin = std::process::id().wrapping_mul(131);
    let port = || loop {
        let place = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % MANY;
        let port = FIRST.saturating_add(u16::try_from(place).unwrap_or_default());
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            break port;
        }
    };
    std::array::from_fn(|_| port())
}

/// Finds a program below folders whose versions differ (`/usr/lib/postgresql`, with `below` = `bin`), else in `PATH`; the newest
/// version first. The link in `PATH` is followed: it leads to where all of a package's programs are.
pub fn find(name: &str, folders: &[(&str, &str)]) -> Option<PathBuf> {
    let of = |folder: &str, below: &str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.path().join(below).join(name)).collect();
        found.push(Path::new(folder).join(below).join(name));
        found.sort_by_key(|path| std::cmp::Reverse(numbers(&path.to_string_lossy())));
        found
    };
    let known = folders.iter().flat_map(|(folder, below)| of(folder, below));
    let path = env::var_os("PATH").unwrap_or_default();
    let in_path = env::split_paths(&path).map(|folder| folder.join(name));
    let program = known.chain(in_path).find(|program| program.is_file())?;
    program.canonicalize().ok()
}

fn numbers(path: &str) -> Vec<u64> {
    path.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Another user than root, whom servers refuse, when this is root: the first of these that there is.
pub fn other_than_root(names: &[&str]) -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let of = |user: &&str| Some((id(&["-u", user])?, id(&["-g", user])?));
    Some(names.iter().find_map(of).unwrap_or_else(|| panic!("there is none of the users {names:?}")))
}

/// Runs a command that must succeed: what it printed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", said(&output.stdout), said(&output.stderr));
    said(&output.stdout)
}

/// Writes what a server says into `log`, for as long as it runs, and waits until a line of that has the words by which it says
/// that it is ready.
pub fn ready(output: impl Read + Send + 'static, log: &Path, words: &'static str) {
    let (tell, told) = mpsc::channel();
    let mut file = fs::File::options().create(true).append(true).open(log).unwrap_or_else(|error| panic!("{error}"));
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            // A folder that is gone is no reason to have the server wait for a reader.
            let _ = file.write_all(&[&line[..], b"\n"].concat());
            if String::from_utf8_lossy(&line).contains(words) {
                let _ = tell.send(());
            }
        }
    });
    let outcome = told.recv_timeout(START);
    let said = || fs::read_to_string(log).unwrap_or_default();
    assert!(outcome.is_ok(), "the server never said `{words}` ({outcome:?}): {}", said());
}

/// Sends a signal, such as `KILL`, to a process, or to a group when `target` begins with `-`.
pub fn signal(name: &str, target: &str) {
    run(Command::new("kill").args(["-s", name, "--", target]));
}
