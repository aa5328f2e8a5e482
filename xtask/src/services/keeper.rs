//! Stops what xtask started, however xtask ends: by returning, by Ctrl-C, or by `kill -9`.
//!
//! A small shell in a process group of its own reads [`Duty`]s, one per line. When its input ends,
//! which the kernel sees to even when xtask cannot, it does them.

use std::{
    fmt, fs,
    io::Write,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

/// Something to be undone. Its `Display` is one line, which [`Duty::parse`] reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Duty {
    /// End all processes of a process group.
    Group {
        signal: &'static str,
        id: u32,
        /// When its leader began, so that a later process with the same id is spared.
        birth: String,
    },
    /// `docker compose down` for a project.
    Compose { project: String, file: PathBuf },
    /// Delete a file.
    File(PathBuf),
    /// Delete a folder, whose name begins with [`FOLDER`].
    Folder(PathBuf),
}

/// How the names of all folders begin that a keeper may delete.
pub(super) const FOLDER: &str = "celerysalt-";

const SCRIPT: &str = r#"
trap '' HUP INT TERM
duties=
while IFS= read -r line; do
  case $line in
    release) duties= ;;
    *) duties="$duties$line
" ;;
  esac
done
each() {
  printf '%s' "$duties" | while read -r what first rest; do
    [ "$what" = "$1" ] && "do_$2" "$first" "$rest"
  done
}
do_stop() { kill -s "$1" -- "-${2%% *}" 2>/dev/null; }
do_kill() { kill -s KILL -- "-${2%% *}" 2>/dev/null; }
do_count() {
  [ "$1" = KILL ] && return
  kill -s 0 -- "-${2%% *}" 2>/dev/null || return
  # Dead, but nobody has asked for its exit status yet.
  case $(cat "/proc/${2%% *}/stat" 2>/dev/null) in *') Z '*) return ;; esac
  echo alive
}
do_down() { docker compose -p "$1" -f "$2" down --volumes >/dev/null 2>&1; }
do_file() { rm -f -- "$1${2:+ $2}"; }
do_folder() {
  path="$1${2:+ $2}"
  case ${path##*/} in celerysalt-*) ;; *) return ;; esac
  # What was killed just now may still write.
  rm -rf -- "$path" || { sleep 1 && rm -rf -- "$path"; }
}
each group stop
turns=0
while [ "$turns" -lt 100 ] && [ -n "$(each group count)" ]; do
  sleep 0.1
  turns=$((turns + 1))
done
each group kill
each compose down
each file file
each folder folder
exit 0
"#;

/// The shell that waits for the end of xtask.
#[derive(Debug)]
pub(crate) struct Keeper {
    shell: Child,
    /// Processes of this xtask, which have to be waited for before they are gone.
    children: Vec<Child>,
}

impl Keeper {
    /// # Errors
    /// There is no `sh`.
    pub(crate) fn start() -> Result<Self, String> {
        let shell = Command::new("sh")
            .args(["-c", SCRIPT])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|why| format!("`sh`, which stops the servers at the end, fails: {why}"))?;
        Ok(Self { shell, children: Vec::new() })
    }

    /// Leaves everything running.
    pub(crate) fn release(mut self) {
        self.tell("release");
    }

    pub(super) fn take(&mut self, duty: &Duty) {
        self.tell(&duty.to_string());
    }

    /// Takes over a process that leads a group of its own; returns the duty for it.
    pub(super) fn adopt(&mut self, child: Child, signal: &'static str) -> Duty {
        let id = child.id();
        let birth = birth(id);
        self.children.push(child);
        let duty = Duty::Group { signal, id, birth };
        self.take(&duty);
        duty
    }

    /// What ended already among the adopted processes.
    pub(super) fn ended(&mut self, id: u32) -> Option<String> {
        let child = self.children.iter_mut().find(|child| child.id() == id)?;
        let status = child.try_wait().ok().flatten()?;
        Some(status.to_string())
    }

    fn tell(&mut self, line: &str) {
        if let Some(input) = &mut self.shell.stdin {
            // Fails only when somebody killed the shell; then nobody is left to tell.
            let _ = writeln!(input, "{line}");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        while let Ok(None) = self.shell.try_wait() {
            for child in &mut self.children {
                let _ = child.try_wait();
            }
            sleep(Duration::from_millis(20));
        }
    }
}

/// Does the duties of an earlier xtask, as far as they still mean the same processes.
pub(super) fn stop(duties: Vec<Duty>) -> Result<(), String> {
    let mut keeper = Keeper::start()?;
    for duty in duties {
        match &duty {
            Duty::Group { id, birth: then, .. } if birth(*id) != *then => {}
            _ => keeper.take(&duty),
        }
    }
    drop(keeper);
    Ok(())
}

/// When a process began: the same text as long as it is the same process, empty when it is gone.
fn birth(id: u32) -> String {
    if let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) {
        // The name in parentheses may hold anything; the 20th word behind it is the start time.
        let words = stat.rsplit(')').next().unwrap_or_default();
        return words.split_whitespace().nth(19).unwrap_or("?").to_owned();
    }
    let output = Command::new("ps").args(["-o", "lstart=", "-p", &id.to_string()]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join("-")
}

impl fmt::Display for Duty {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group { signal, id, birth } => write!(out, "group {signal} {id} {birth}"),
            Self::Compose { project, file } => write!(out, "compose {project} {}", file.display()),
            Self::File(path) => write!(out, "file {}", path.display()),
            Self::Folder(path) => write!(out, "folder {}", path.display()),
        }
    }
}

impl Duty {
    /// Reads what `Display` wrote.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (what, rest) = line.split_once(' ')?;
        match what {
            "group" => {
                let mut words = rest.split(' ');
                let known = ["INT", "KILL", "TERM"];
                let signal = words.next()?;
                let signal = known.into_iter().find(|name| *name == signal)?;
                let id = words.next()?.parse().ok()?;
                let birth = words.next().unwrap_or_default().to_owned();
                Some(Self::Group { signal, id, birth })
            }
            "compose" => {
                let (project, file) = rest.split_once(' ')?;
                Some(Self::Compose { project: project.to_owned(), file: file.into() })
            }
            "file" => Some(Self::File(rest.into())),
            "folder" => Some(Self::Folder(rest.into())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").process_group(0).spawn().unwrap()
    }

    fn lives(id: u32) -> bool {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().unwrap_or_default();
        !state.is_empty() && !state.starts_with(" Z")
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_was_started_ends_with_the_keeper_unless_released() {
        let mut keeper = Keeper::start().unwrap();
        let Duty::Group { id, .. } = keeper.adopt(sleeper(), "INT") else { unreachable!() };
        assert!(lives(id));
        drop(keeper);
        assert!(!lives(id));

        let mut keeper = Keeper::start().unwrap();
        let duty = keeper.adopt(sleeper(), "TERM");
        let Duty::Group { id, birth, .. } = duty.clone() else { unreachable!() };
        keeper.release();
        assert!(lives(id));

        let birth = birth + "0";
        stop(vec![Duty::Group { signal: "TERM", id, birth }]).unwrap();
        assert!(lives(id), "a later process with the same id was stopped");
        stop(vec![duty]).unwrap();
        assert!(!lives(id));
    }

    #[test]
    fn only_folders_of_ours_are_deleted() {
        let base = std::env::temp_dir().join(format!("{FOLDER}keeper-test-{}", std::process::id()));
        let [ours, foreign] = [format!("{FOLDER}a b"), "data".to_owned()].map(|name| base.join(name));
        for folder in [&ours, &foreign] {
            fs::create_dir_all(folder).unwrap();
        }
        stop(vec![Duty::Folder(ours.clone()), Duty::Folder(foreign.clone())]).unwrap();
        assert!(!ours.exists() && foreign.exists());
        stop(vec![Duty::Folder(base.clone())]).unwrap();
        assert!(!base.exists());
    }
}
