//! Python peers: processes on the real celery-salt and tchu-tchu, from a virtual environment made for them.
//!
//! The scripts are in `tests/python/`. Python 3.10 or newer is a must: without it, these tests fail.

use std::{
    env,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{Arc, LazyLock, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
};

use crate::{PATIENCE, World};

/// Before each line that a peer says to its test; anything else that it prints is its log.
const MARK: &str = "@@ ";
const REQUIREMENTS: &str = include_str!("../python/requirements.txt");

/// A Python process, killed when dropped.
pub struct Peer {
    script: String,
    child: Child,
    input: ChildStdin,
    says: mpsc::UnboundedReceiver<Value>,
    log: Log,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Peer {
    /// Starts a script of `tests/python/` on the exchange of `world`, and waits until it is ready.
    pub async fn start(world: &World, script: &str, arguments: &[&str]) -> Self {
        Self::start_on(&world.exchange(), world, script, arguments).await
    }

    /// The same on another exchange.
    pub async fn start_on(exchange: &str, world: &World, script: &str, arguments: &[&str]) -> Self {
        let python = tokio::task::spawn_blocking(python).await.unwrap();
        let mut child = Command::new(python)
            .arg(scripts().join(script))
            .args(arguments)
            .env("PEER_BROKER", crate::broker_url())
            .env("PEER_EXCHANGE", exchange)
            .env("PEER_BACKEND", world.result_backend().unwrap_or("rpc://"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (sender, says) = mpsc::unbounded_channel();
        let log = Log::default();
        tokio::spawn(read(child.stdout.take().unwrap(), log.clone(), Some(sender)));
        tokio::spawn(read(child.stderr.take().unwrap(), log.clone(), None));
        let input = child.stdin.take().unwrap();
        let mut peer = Self { script: script.to_owned(), child, input, says, log };
        let ready = peer.says().await;
        // Where it gets its replies. Nobody else would delete it before a day is over.
        world.delete_too(ready["replies"].as_str().unwrap());
        peer
    }

    /// What the peer says next.
    pub async fn says(&mut self) -> Value {
        match tokio::time::timeout(PATIENCE, self.says.recv()).await {
            Ok(Some(said)) => said,
            Ok(None) => panic!("{} has ended", self.script),
            Err(elapsed) => panic!("{} has said nothing for {PATIENCE:?}: {elapsed}", self.script),
        }
    }

    /// Tells it something.
    pub async fn tell(&mut self, what: Value) {
        self.input.write_all(format!("{what}\n").as_bytes()).await.unwrap();
        self.input.flush().await.unwrap();
    }

    /// Tells it something and waits for its answer.
    pub async fn ask(&mut self, what: Value) -> Value {
        self.tell(what).await;
        self.says().await
    }

    /// Kills it, and waits until it is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("-- what {} printed:\n{}--", self.script, self.log.0.lock().unwrap());
        }
    }
}

async fn read(from: impl AsyncRead + Unpin, log: Log, says: Option<mpsc::UnboundedSender<Value>>) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = log.0.lock().unwrap();
        log.push_str(&line);
        log.push('\n');
        drop(log);
        if let (Some(said), Some(says)) = (line.strip_prefix(MARK), &says) {
            // After a failed test nobody listens.
            drop(says.send(serde_json::from_str(said).unwrap()));
        }
    }
}

/// The interpreter that has the pinned packages; the environment is made when it is not there.
pub fn python() -> &'static Path {
    PYTHON.as_deref().unwrap_or_else(|why| panic!("{why}"))
}

/// The folder of the scripts.
pub fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python")
}

/// The interpreter of the virtual environment with the pinned packages.
static PYTHON: LazyLock<Result<PathBuf, String>> = LazyLock::new(environment);

/// Made once for each set of requirements and each Python, by whichever process comes first.
///
/// # Errors
/// What is missing, in a sentence for whoever runs the tests.
fn environment() -> Result<PathBuf, String> {
    let ask = || output("python3", &["-c", "import sys; print(sys.version_info >= (3, 10), sys.version, sys.prefix)"]);
    let version = ask().or_else(|why| {
        let advice = "these tests need Python 3.10 or newer with its `venv` module";
        install(&["python3", "python3-venv"])
            .map_err(|apt| format!("{advice}; `python3` does not run: {why}; {apt}"))?;
        ask().map_err(|why| format!("{advice}; it was installed, and `python3` still does not run: {why}"))
    })?;
    if !version.starts_with("True") {
        return Err(format!("these tests need Python 3.10 or newer, and `python3` is older: {version}"));
    }
    let mut hasher = DefaultHasher::new();
    (REQUIREMENTS, &version).hash(&mut hasher);
    let name = format!("python-venv-{:016x}", hasher.finish());
    // The test program is in target/<profile>/deps.
    let program = env::current_exe().map_err(|why| format!("where this program is: {why}"))?;
    let target = program.ancestors().nth(3).ok_or("this program is not in a target folder")?;
    let folder = target.join(&name);
    let python = folder.join("bin/python");
    let complete = folder.join("complete");

    let lock = target.join(format!("{name}.lock"));
    let lock = File::create(&lock).map_err(|why| format!("{}: {why}", lock.display()))?;
    lock.lock().map_err(|why| format!("the lock of {}: {why}", folder.display()))?;
    if complete.exists() {
        return Ok(python);
    }
    eprintln!("making {} (once)", folder.display());
    create(&folder)?;
    let requirements = scripts().join("requirements.txt");
    let install =
        ["-m", "pip", "install", "--disable-pip-version-check", "--requirement", &requirements.to_string_lossy()];
    output(&python.to_string_lossy(), &install)
        .map_err(|why| format!("these tests need the packages of {}: {why}", requirements.display()))?;
    fs::write(&complete, "").map_err(|why| format!("{}: {why}", complete.display()))?;
    Ok(python)
}

/// Debian's Python is without what makes environments; there, and as root, it is installed.
fn create(folder: &Path) -> Result<(), String> {
    let make = || output("python3", &["-m", "venv", "--clear", &folder.to_string_lossy()]);
    let Err(why) = make() else { return Ok(()) };
    let missing = why.contains("ensurepip") || why.contains("No module named venv");
    if !missing {
        return Err(format!("`python3 -m venv` fails: {why}"));
    }
    let advice = "these tests need Python's `venv` with pip; on Debian and Ubuntu: apt-get install python3-venv";
    install(&["python3-venv"]).map_err(|apt| format!("{advice}. {why}; {apt}"))?;
    make().map(drop).map_err(|why| format!("{advice}, which is done, but `python3 -m venv` still fails: {why}"))
}

/// Installs packages of Debian's, as root.
///
/// # Errors
/// That this is not root, or what apt-get says.
pub(crate) fn install(packages: &[&str]) -> Result<(), String> {
    if output("id", &["-u"]).as_deref() != Ok("0") {
        return Err("not root, so it is not installed from here".to_owned());
    }
    let install = || output("apt-get", &[&["install", "--yes", "--no-install-recommends"], packages].concat());
    // Without a list of packages, as in a fresh container, the first try finds nothing.
    install().or_else(|_| output("apt-get", &["update"]).and_then(|_| install())).map(drop)
}

/// What a program prints.
///
/// # Errors
/// That it does not start, or the end of what it printed when it failed.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let ran = std::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output();
    let Output { status, stdout, stderr } = ran.map_err(|why| format!("`{program}`: {why}"))?;
    let stdout = String::from_utf8_lossy(&stdout).trim().to_owned();
    if status.success() {
        return Ok(stdout);
    }
    let printed = format!("{stdout}\n{}", String::from_utf8_lossy(&stderr));
    let lines: Vec<&str> = printed.lines().filter(|line| !line.trim().is_empty()).collect();
    let end = lines[lines.len().saturating_sub(15)..].join("\n");
    Err(format!("`{program} {}`: {status}:\n{end}", arguments.join(" ")))
}
