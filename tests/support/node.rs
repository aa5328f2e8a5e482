//! A RabbitMQ node of a test's own, to be killed, stopped, frozen and starved: never the one that others use.
//!
//! Needs the server's programs, which the package `rabbitmq-server` brings.

#![allow(clippy::unwrap_used, clippy::panic, reason = "only tests use this")]

use std::{
    env, fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    certificate::Certificate,
    programs::{self, free_ports, run, signal},
};

/// Ends the process groups that it was last told of, and deletes the folder, once its input ends: however the test ends.
const GUARD: &str = r#"
trap '' HUP INT TERM
groups=
while IFS= read -r line; do groups=$line; done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
"#;

/// A node in a folder of its own, also gone when the test is killed.
pub struct Node {
    folder: PathBuf,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    tls_port: u16,
    distribution_port: u16,
    name_server_port: u16,
    authority: String,
    name_server: Option<Child>,
    server: Option<Child>,
    guard: Child,
}

impl Node {
    /// A new node that answers.
    pub fn start() -> Self {
        Self::start_with(b"[].\n", "", None)
    }

    /// A new node in the cluster of `first`, which must live longer: they share its name server.
    pub fn join(first: &Self) -> Self {
        let node = Self::start_with(b"[].\n", "", Some(first));
        node.ctl(&["stop_app"]);
        node.ctl(&["join_cluster", &first.name()]);
        node.ctl(&["start_app"]);
        node.answers();
        node
    }

    /// A new node that answers, with the management plugin; and where that is.
    pub fn start_managed() -> (Self, String) {
        let [port] = free_ports();
        let settings = format!("management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {port}\n");
        // It is ready when its plugins are.
        let node = Self::start_with(b"[rabbitmq_management].\n", &settings, None);
        (node, format!("http://guest:guest@127.0.0.1:{port}"))
    }

    fn start_with(plugins: &[u8], further: &str, first: Option<&Self>) -> Self {
        let [port, tls_port, distribution_port, own_name_server_port] = free_ports();
        let name_server_port = first.map_or(own_name_server_port, |first| first.name_server_port);
        let folder = env::temp_dir().join(format!("celerysalt_node_{}_{port}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let guard = Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .arg(&folder)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let places =
            [("/usr/lib/rabbitmq", "bin"), ("/usr/lib/rabbitmq/lib", "sbin"), ("/opt/homebrew/opt/rabbitmq", "sbin")];
        let server = programs::find("rabbitmq-server", &places).unwrap_or_else(|| {
            panic!("these tests start a RabbitMQ of their own: install its server (`apt-get install rabbitmq-server`)")
        });
        let certificate = Certificate::of(&folder, "localhost");
        let mut node = Self {
            programs: server.parent().unwrap().to_owned(),
            user: programs::other_than_root(&["rabbitmq", "nobody"]),
            folder,
            port,
            tls_port,
            distribution_port,
            name_server_port,
            authority: fs::read_to_string(&certificate.authority).unwrap(),
            name_server: None,
            server: None,
            guard,
        };
        node.own(&node.folder);
        let crt = node.write("server.crt", &certificate.chain);
        let key = node.write("server.key", &certificate.key);
        node.write("plugins", plugins);
        node.write("environment", b"");
        let settings = format!(
            "disk_free_limit.absolute = 10MB\nlisteners.ssl.1 = 127.0.0.1:{tls_port}\nssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\nssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n{further}",
            crt.display(),
            key.display()
        );
        node.write("rabbitmq.conf", settings.as_bytes());
        if let Some(first) = first {
            // What members of a cluster know each other by.
            let cookie = fs::read(first.folder.join(".erlang.cookie")).unwrap();
            let path = node.write(".erlang.cookie", &cookie);
            fs::set_permissions(path, fs::Permissions::from_mode(0o400)).unwrap();
        } else if let Some(program) = programs::find("epmd", &[("/usr/lib/erlang", "bin")]) {
            // Erlang's name server: without this one, the node would start one that outlives it.
            let mut command = node.command(&program);
            command.args(["-port", &name_server_port.to_string(), "-address", "127.0.0.1"]);
            node.name_server = Some(command.process_group(0).spawn().unwrap());
        }
        node.launch();
        node
    }

    /// By which others of its cluster know it.
    pub fn name(&self) -> String {
        format!("celerysalt-{}@localhost", self.port)
    }

    /// Connects to it.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Connects to it by TLS, at `host`; its certificate is for `localhost`.
    pub fn tls_url(&self, host: &str) -> String {
        format!("amqps://guest:guest@{host}:{}/%2f", self.tls_port)
    }

    /// The certificate of who signed its own, in PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// A folder for a test's own files, gone with the node.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts it on what it has on disk, and waits until it takes connections.
    pub fn launch(&mut self) {
        let mut command = self.command(&self.programs.join("rabbitmq-server"));
        let mut server = command.process_group(0).stdout(Stdio::piped()).spawn().unwrap();
        let output = server.stdout.take().unwrap();
        self.server = Some(server);
        self.tell_guard();
        programs::ready(output, &self.folder.join("log"), "Server startup complete");
        self.answers();
    }

    /// It takes connections, as it does once it has started.
    fn answers(&self) {
        let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(greets(self.port), "the node has started, and takes no connections: {}", log());
    }

    /// `kill -9`: of the broker and all its processes.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            signal("KILL", &format!("-{}", server.id()));
            server.wait().unwrap();
            self.tell_guard();
        }
    }

    /// Stops all of its processes where they are: its connections stay open, and nobody answers.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Has them go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        if let Some(server) = &self.server {
            signal(name, &format!("-{}", server.id()));
        }
    }

    /// Runs `rabbitmqctl`: what it printed.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let mut command = self.command(&self.programs.join("rabbitmqctl"));
        run(command.arg("--quiet").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    /// Whatever a test did to it, and did not undo because it failed, is undone.
    pub fn mend(&mut self) {
        if self.server.as_mut().is_none_or(|server| server.try_wait().unwrap().is_some()) {
            self.kill();
            return self.launch();
        }
        self.thaw();
        if !greets(self.port) {
            self.ctl(&["start_app"]);
            self.answers();
        }
        // Of alarms that are on, these are the only two.
        if self.ctl(&["eval", "rabbit_alarm:get_alarms()."]).trim() != "[]" {
            self.ctl(&["set_vm_memory_high_watermark", "0.4"]);
            self.ctl(&["set_disk_free_limit", "10MB"]);
        }
    }

    fn own(&self, path: &Path) {
        if let Some((user, group)) = self.user {
            std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
        }
    }

    /// Writes a file that the node may read.
    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self.own(&path);
        path
    }

    fn command(&self, program: &Path) -> Command {
        let log = || fs::File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        let mut command = Command::new(program);
        // Settings of other nodes.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if ["RABBITMQ_", "ERL_"].iter().any(|prefix| text.starts_with(prefix)) || text == "NOTIFY_SOCKET" {
                command.env_remove(&name);
            }
        }
        let at = |name: &str| self.folder.join(name);
        command
            .current_dir(&self.folder)
            .env("HOME", &self.folder)
            .env("LANG", "C.UTF-8")
            .env("RABBITMQ_NODENAME", self.name())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_MNESIA_BASE", at("data"))
            .env("RABBITMQ_LOG_BASE", at("logs"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", at("pid"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", at("config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("plugins"))
            .env("RABBITMQ_CONF_ENV_FILE", at("environment"))
            .env("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", at("advanced.config"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("ERL_EPMD_PORT", self.name_server_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn tell_guard(&mut self) {
        let alive = [&self.name_server, &self.server].into_iter().flatten().map(|child| child.id().to_string());
        let line = alive.collect::<Vec<_>>().join(" ");
        writeln!(self.guard.stdin.as_mut().unwrap(), "{line}").unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        drop(self.guard.stdin.take());
        drop(self.guard.wait());
    }
}

/// Whether a broker at this port speaks AMQP.
fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let patience = Some(Duration::from_secs(2));
    let mut first = [0];
    stream.set_read_timeout(patience).is_ok()
        && stream.write_all(b"AMQP\0\0\x09\x01").is_ok()
        && stream.read_exact(&mut first).is_ok()
        && first == [1]
}
