//! Somebody who follows a page to the letter: writes its files, types its commands, and looks whether what they print is
//! what the page says.
//!
//! What a page says to it, behind the language of a block:
//!
//! | block | the reader |
//! | --- | --- |
//! | `file=PATH` | writes it, below the folder of the page |
//! | `sh` | types it into the first terminal; it must succeed |
//! | `sh,fails` | the same; its last command must fail |
//! | `sh,service=NAME` | types it into a terminal of its own, where it goes on running |
//! | `sh,once` | passes over it: it installs or starts what a test has already |
//! | `text` | waits until the terminal that was typed into last has printed these lines, among others; `…` is anything |
//! | `text,of=NAME` | the same of that service's terminal |
//! | `console` | types what stands behind each `$ `; what it prints must be the lines below it, to the letter; `…` is anything |
//!
//! A comment `<!-- stop NAME -->` presses Ctrl-C in that service's terminal.

#![allow(clippy::unwrap_used, clippy::panic, reason = "only tests use this")]

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use crate::{
    page::{Code, Page, Part, root},
    programs::signal,
};

/// Builds are among what it waits for, but for the most part of what was kept.
const PATIENCE: Duration = Duration::from_mins(5);
const DONE: &str = "@@done ";

/// A reader with a home of its own, gone afterwards.
pub struct Reader {
    home: PathBuf,
    /// Where the page's files belong, below the home.
    folder: PathBuf,
    /// What stands on the page, and what is so in truth: other servers, another port.
    instead: Vec<(String, String)>,
    terminals: Vec<Terminal>,
    last: usize,
}

impl Reader {
    /// A reader of a page whose files belong into `folder`, below its home.
    pub fn new(folder: &str) -> Self {
        let home = env::temp_dir().join(format!("celerysalt_reader_{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir_all(home.join(folder)).unwrap();
        let first = Terminal::open("first", &home, &root());
        Self { folder: home.join(folder), home, instead: Vec::new(), terminals: vec![first], last: 0 }
    }

    /// Has what is written on the page mean something else.
    pub fn instead(&mut self, written: &str, meant: &str) {
        self.instead.push((written.to_owned(), meant.to_owned()));
    }

    /// A folder that is kept for the next time: what is compiled there needn't be compiled again.
    pub fn keep(&self, below: &str, kept: &Path) {
        fs::create_dir_all(kept).unwrap();
        std::os::unix::fs::symlink(kept, self.folder.join(below)).unwrap();
    }

    /// Does all that the page says.
    pub fn follow(&mut self, page: &Page) {
        for part in &page.parts {
            match part {
                Part::Code(code) => {
                    let place = format!("{}:{}", page.name, code.line);
                    self.take(&place, code);
                }
                Part::Comment(comment) => {
                    if let Some(name) = comment.strip_prefix("stop ") {
                        let terminal = self.named(name);
                        self.terminals[terminal].interrupt();
                    }
                }
            }
        }
    }

    fn take(&mut self, place: &str, code: &Code) {
        let text = self.meant(&code.text);
        if let Some(path) = code.value("file") {
            let path = self.folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            return;
        }
        match code.language() {
            "sh" if code.has("once") => {}
            "sh" => {
                if let Some(name) = code.value("service") {
                    self.terminals.push(Terminal::open(name, &self.home, &self.home));
                    self.last = self.terminals.len() - 1;
                    self.terminals[self.last].types(&text);
                } else {
                    self.last = 0;
                    let status = self.terminals[0].runs(place, &text);
                    let printed = self.terminals[0].printed();
                    assert_eq!(status != 0, code.has("fails"), "{place}: ended with {status}:\n{printed}");
                    self.lock_versions();
                }
            }
            "text" => {
                let terminal = code.value("of").map_or(self.last, |name| self.named(name));
                self.terminals[terminal].prints(place, &text);
            }
            "console" => self.console(place, &text),
            _ => {}
        }
    }

    /// Types each command, and compares what it prints.
    fn console(&mut self, place: &str, text: &str) {
        self.last = 0;
        let mut rest = text.lines().peekable();
        while let Some(line) = rest.next() {
            let Some(command) = line.strip_prefix("$ ") else { panic!("{place}: no command: {line}") };
            let mut command = command.to_owned();
            while command.ends_with('\\') {
                command = format!("{command}\n{}", rest.next().unwrap_or_default());
            }
            let mut expected = Vec::new();
            while let Some(line) = rest.next_if(|line| !line.starts_with("$ ")) {
                expected.push(line);
            }
            self.terminals[0].runs(place, &command);
            let printed = self.terminals[0].printed();
            let printed: Vec<&str> = printed.lines().collect();
            let end = printed.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
            let alike = end == expected.len() && printed.iter().zip(&expected).all(|(is, said)| is_like(is, said));
            assert!(
                alike,
                "{place}: `{command}` prints\n{}\nand the page says\n{}",
                printed.join("\n"),
                expected.join("\n")
            );
        }
    }

    fn named(&self, name: &str) -> usize {
        let found = self.terminals.iter().rposition(|terminal| terminal.name == name);
        found.unwrap_or_else(|| panic!("no terminal is called {name}"))
    }

    fn meant(&self, text: &str) -> String {
        self.instead.iter().fold(text.to_owned(), |text, (written, meant)| text.replace(written, meant))
    }

    /// The same versions as here in each crate that was begun: nothing is downloaded, and little compiled.
    fn lock_versions(&self) {
        for entry in fs::read_dir(&self.folder).unwrap() {
            let folder = entry.unwrap().path();
            if folder.join("Cargo.toml").exists() && !folder.join("Cargo.lock").exists() {
                fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.terminals.clear();
        drop(fs::remove_dir_all(&self.home));
    }
}

/// A line as the page has it: `…` is anything.
fn is_like(line: &str, said: &str) -> bool {
    let mut parts = said.trim_end().split('…');
    let Some(mut rest) = line.trim_end().strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut is_open = false;
    for part in parts {
        let Some(at) = (if part.is_empty() { Some(rest.len()) } else { rest.find(part) }) else { return false };
        rest = &rest[at + part.len()..];
        is_open = part.is_empty();
    }
    rest.is_empty() || is_open
}

/// A shell, with all that it has started.
struct Terminal {
    name: String,
    shell: Child,
    output: Arc<(Mutex<Output>, Condvar)>,
}

#[derive(Default)]
struct Output {
    lines: Vec<String>,
    /// Those before were waited for already.
    seen: usize,
    has_ended: bool,
}

impl Terminal {
    fn open(name: &str, home: &Path, folder: &Path) -> Self {
        let own_home = env::var("HOME").unwrap_or_default();
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc"]).current_dir(folder).process_group(0);
        // What the cargo that runs this test has set is not what a user's shell has.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if (name.starts_with("CARGO") || name.starts_with("CELERYSALT_") || name == "LD_LIBRARY_PATH")
                && name != "CARGO_HOME"
            {
                command.env_remove(name);
            }
        }
        for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup"), ("PIP_CACHE_DIR", ".cache/pip")] {
            if env::var_os(name).is_none() {
                command.env(name, format!("{own_home}/{folder}"));
            }
        }
        let program = env::current_exe().unwrap();
        // Programs of this workspace are in target/<profile>, this test in target/<profile>/deps.
        let programs = program.ancestors().nth(2).unwrap();
        let path = format!("{}:{}", programs.display(), env::var("PATH").unwrap_or_default());
        let mut shell = command
            .env("PATH", path)
            .env("HOME", home)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_TERM_COLOR", "never")
            .env("NO_COLOR", "1")
            .env("CARGO_TERM_PROGRESS_WHEN", "never")
            .env("PYTHONUNBUFFERED", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "reader")))
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "reader@localhost")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::new((Mutex::new(Output::default()), Condvar::new()));
        let (from, to) = (shell.stdout.take().unwrap(), Arc::clone(&output));
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                to.0.lock().unwrap().lines.push(line);
                to.1.notify_all();
            }
            to.0.lock().unwrap().has_ended = true;
            to.1.notify_all();
        });
        let mut terminal = Self { name: name.to_owned(), shell, output };
        terminal.types("exec 2>&1");
        terminal
    }

    fn types(&mut self, text: &str) {
        let input = self.shell.stdin.as_mut().unwrap();
        input.write_all(format!("{text}\n").as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// Runs a block to its end: its status, which is that of the first command that fails.
    fn runs(&mut self, place: &str, text: &str) -> i32 {
        self.output.0.lock().unwrap().lines.clear();
        self.output.0.lock().unwrap().seen = 0;
        // The block runs in this shell, so what it exports stays; commands must not read the shell's own input.
        let quoted = text.trim_end().replace('\'', r"'\''");
        self.types(&format!(
            "trap 'status=$?; trap - ERR; failed=${{failed:-$status}}' ERR; failed=; eval '{quoted}' </dev/null"
        ));
        self.types(&format!("trap - ERR; echo; echo '{DONE}'${{failed:-0}}"));
        let mut status = None;
        self.wait(place, DONE, |output| {
            status = output.lines.last().and_then(|line| line.strip_prefix(DONE)?.parse().ok());
            status.is_some()
        });
        status.unwrap()
    }

    /// What was printed by what ran last.
    fn printed(&self) -> String {
        let output = self.output.0.lock().unwrap();
        let lines: Vec<&str> = output.lines.iter().map(String::as_str).filter(|line| !line.starts_with(DONE)).collect();
        lines.join("\n")
    }

    /// Waits for lines, in their order.
    fn prints(&mut self, place: &str, text: &str) {
        for said in text.lines().filter(|line| !line.trim().is_empty()) {
            self.wait(place, said, |output| {
                let found = output.lines[output.seen..].iter().position(|line| is_like(line.trim(), said.trim()));
                output.seen += found.map_or(0, |at| at + 1);
                found.is_some()
            });
        }
    }

    fn wait(&self, place: &str, what: &str, mut is_there: impl FnMut(&mut Output) -> bool) {
        let (output, changed) = &*self.output;
        let mut output = output.lock().unwrap();
        while !is_there(&mut output) {
            let printed = output.lines.join("\n");
            assert!(!output.has_ended, "{place}: terminal `{}` has ended:\n{printed}", self.name);
            // What was run is over, so nothing more comes.
            let is_over = what != DONE && output.lines.last().is_some_and(|line| line.starts_with(DONE));
            assert!(!is_over, "{place}: `{what}` is not what is printed:\n{printed}");
            let (next, waited) = changed.wait_timeout(output, PATIENCE).unwrap();
            assert!(!waited.timed_out(), "{place}: terminal `{}` never prints `{what}`, but\n{printed}", self.name);
            output = next;
        }
    }

    /// Ctrl-C, to all but the shell; and waits until that has ended too.
    fn interrupt(&mut self) {
        self.types("exit");
        signal("INT", &format!("-{}", self.shell.id()));
        let (output, changed) = &*self.output;
        let ended = changed.wait_timeout_while(output.lock().unwrap(), PATIENCE, |output| !output.has_ended).unwrap();
        assert!(!ended.1.timed_out(), "what runs in terminal `{}` does not end at Ctrl-C", self.name);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(
            Command::new("kill")
                .args(["-s", "KILL", "--", &format!("-{}", self.shell.id())])
                .stderr(Stdio::null())
                .status(),
        );
        drop(self.shell.wait());
    }
}
