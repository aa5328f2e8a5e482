//! A PostgreSQL server of a test's own, to be restarted, killed and given certificates: never the one that others use.
//!
//! Needs the server's programs (`initdb`, `postgres`), which every PostgreSQL package brings.

#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "only tests use this, and not each of them all of it")]

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::programs::{self, free_ports, other_than_root, run, signal};

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
        let [port] = free_ports();
        let cluster = Self {
            programs: programs(),
            user: other_than_root(&["postgres", "nobody"]),
            folder,
            port,
            settings: Vec::new(),
            server: None,
        };
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
        let mut server = self.command("postgres");
        server.arg("-D").arg(self.data()).args(["-h", "localhost", "-p", &self.port.to_string()]);
        server.args(["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"]);
        for setting in &self.settings {
            server.args(["-c", setting]);
        }
        let mut server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let output = server.stderr.take().unwrap();
        self.server = Some(server);
        programs::ready(output, &self.folder.join("log"), "database system is ready to accept connections");
    }

    /// Ends the server as a crash does: no client is told, nothing is written any more.
    pub fn crash(&mut self) {
        if let Some(mut server) = self.server.take() {
            // The signal for an immediate shutdown, which takes the sessions along; SIGKILL would leave them behind.
            run(Command::new("kill").args(["-QUIT", &server.id().to_string()]));
            server.wait().unwrap();
        }
    }

    /// `kill -9`, of the server and all its sessions: nothing is written any more, not even the end of what was begun.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let id = server.id();
            // Stopped first: it would start a session anew that it sees dying.
            signal("STOP", &id.to_string());
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
            signal("KILL", &id.to_string());
            for child in children.split_whitespace() {
                // Some end by themselves when the server is gone.
                drop(Command::new("kill").args(["-KILL", child]).stderr(Stdio::null()).status());
            }
            server.wait().unwrap();
            let start = Instant::now();
            while children.split_whitespace().any(is_alive) {
                assert!(start.elapsed() < Duration::from_secs(20), "sessions of a server that was killed go on");
                thread::sleep(Duration::from_millis(5));
            }
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

fn is_alive(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // One that nobody has asked for its exit status yet is dead.
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

/// Where the server's programs are: in `PATH`, or where packages put them.
fn programs() -> PathBuf {
    let places = [("/usr/lib/postgresql", "bin"), ("/opt/homebrew/opt", "bin"), ("/usr/local/opt", "bin")];
    let initdb = programs::find("initdb", &places);
    initdb.and_then(|program| program.parent().map(Path::to_owned)).unwrap_or_else(|| {
        panic!("these tests start a PostgreSQL of their own: install its server (`apt-get install postgresql`)")
    })
}
