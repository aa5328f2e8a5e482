//! A PostgreSQL server of a test's own, to be restarted, killed and given certificates: never the one that others use.
//!
//! Needs the server's programs (`initdb`, `postgres`), which every PostgreSQL package brings.

#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "only tests use this, and not each of them all of it")]

use std::{
    env, fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A server in a folder of its own; both are gone with the value.
pub struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
    /// Whose process it is to be: PostgreSQL refuses root.
    user: Option<(u32, u32)>,
    settings: Vec<String>,
    server: Option<Child>,
}

impl Cluster {
    /// A new server with these settings, such as `ssl=on`, that takes connections from this machine without a password.
    pub fn start(settings: &[&str]) -> Self {
        let mut cluster = Self::prepare();
        cluster.settings = settings.iter().map(ToString::to_string).collect();
        cluster.launch();
        cluster
    }

    /// A folder with a database that no server runs in yet.
    pub fn prepare() -> Self {
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let name =
            format!("celerysalt_cluster_{}_{clock}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster =
            Self { programs: programs(), user: other_than_root(), folder, port, settings: Vec::new(), server: None };
        cluster.give(&cluster.folder);
        let mut initdb = cluster.command("initdb");
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--pgdata"]);
        run(initdb.arg(cluster.data()));
        cluster
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Writes a file that only the server's user may read: its path.
    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self.give(&path);
        path
    }

    /// Gives the server's user what this process has made.
    pub fn give(&self, path: &Path) {
        if let Some((user, group)) = self.user {
            std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
        }
    }

    /// The folder of the cluster, for what a test puts beside its data.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds a setting for the next launch.
    pub fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    /// Starts the server and waits until it answers.
    pub fn launch(&mut self) {
        let log = fs::File::create(self.folder.join("log")).unwrap();
        let mut server = self.command("postgres");
        server.arg("-D").arg(self.data()).args(["-h", "localhost", "-p", &self.port.to_string()]);
        server.args(["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"]);
        for setting in &self.settings {
            server.args(["-c", setting]);
        }
        server.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.server = Some(server.spawn().unwrap());
        let start = Instant::now();
        loop {
            let mut ready = self.command("pg_isready");
            ready.args(["-q", "-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string()]);
            if ready.status().unwrap().success() {
                return;
            }
            let ended = self.server.as_mut().is_some_and(|server| server.try_wait().unwrap().is_some());
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(!ended && start.elapsed() < Duration::from_mins(1), "the server did not start: {}", log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server as a crash does: no client is told, nothing is written any more.
    pub fn crash(&mut self) {
        if let Some(mut server) = self.server.take() {
            // The signal for an immediate shutdown, which takes the sessions along; SIGKILL would leave them behind.
            run(Command::new("kill").args(["-QUIT", &server.id().to_string()]));
            server.wait().unwrap();
        }
    }

    /// Connects to the database `postgres`, at `host`.
    pub fn url_at(&self, host: &str) -> String {
        format!("postgres://postgres@{host}:{}/postgres", self.port)
    }

    /// Connects to the database `postgres`.
    pub fn url(&self) -> String {
        self.url_at("127.0.0.1")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(&self.folder).env("LC_ALL", "C");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.crash();
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Where the server's programs are: in `PATH`, or where packages put them.
fn programs() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    for versions in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"] {
        let found = fs::read_dir(versions).into_iter().flatten().flatten();
        folders.extend(found.map(|version| version.path().join("bin")));
    }
    let initdb = folders.iter().map(|folder| folder.join("initdb")).find(|program| program.is_file());
    // A link in PATH leads to where all of them are.
    let initdb = initdb.and_then(|program| program.canonicalize().ok());
    initdb.and_then(|program| program.parent().map(Path::to_owned)).unwrap_or_else(|| {
        panic!("these tests start a PostgreSQL of their own: install its server (`apt-get install postgresql`)")
    })
}

fn other_than_root() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let of = |user: &str| Some((id(&["-u", user])?, id(&["-g", user])?));
    Some(
        of("postgres")
            .or_else(|| of("nobody"))
            .unwrap_or_else(|| panic!("there is no user that PostgreSQL can run as")),
    )
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
