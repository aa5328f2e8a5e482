//! A TCP proxy that can fail: it stands between a client and its broker, and cuts, refuses or freezes connections.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
};

/// How the proxy treats connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Pass,
    /// New connections are closed at once.
    Refuse,
    /// Bytes are neither read nor written; connections are taken and stay silent.
    Freeze,
}

/// A proxy on a port of its own. Gone when dropped, connections included.
#[derive(Debug)]
pub struct Proxy {
    /// The port on 127.0.0.1 that it listens on.
    pub port: u16,
    mode: watch::Sender<Mode>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    listening: AbortHandle,
}

impl Proxy {
    /// In front of `target`, such as `127.0.0.1:5672`.
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = watch::Sender::new(Mode::Pass);
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (modes, open, target) = (mode.clone(), Arc::clone(&connections), target.to_owned());
        let listening = tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                if *modes.borrow() == Mode::Refuse {
                    continue;
                }
                let connection = tokio::spawn(connect(client, target.clone(), modes.subscribe()));
                open.lock().unwrap().push(connection.abort_handle());
            }
        });
        Self { port, mode, connections, listening: listening.abort_handle() }
    }

    /// The URL of a broker, leading through this proxy.
    pub fn through(&self, url: &str) -> String {
        let (front, host) = url.rsplit_once('@').unwrap();
        let path = host.split_once('/').map_or("", |(_, path)| path);
        format!("{front}@127.0.0.1:{}/{path}", self.port)
    }

    /// Cuts all connections. New ones are taken.
    pub fn cut(&self) {
        for connection in self.connections.lock().unwrap().drain(..) {
            connection.abort();
        }
    }

    /// Cuts all connections, and refuses new ones until [`Proxy::pass`].
    pub fn refuse(&self) {
        self.mode.send_replace(Mode::Refuse);
        self.cut();
    }

    /// Holds everything back, new connections too, until [`Proxy::pass`].
    pub fn freeze(&self) {
        self.mode.send_replace(Mode::Freeze);
    }

    /// Back to normal.
    pub fn pass(&self) {
        self.mode.send_replace(Mode::Pass);
    }

    /// How many connections it has taken and not cut.
    pub fn connections(&self) -> usize {
        let mut connections = self.connections.lock().unwrap();
        connections.retain(|connection| !connection.is_finished());
        connections.len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

async fn connect(client: TcpStream, target: String, mut mode: watch::Receiver<Mode>) {
    let _ = mode.wait_for(|mode| *mode != Mode::Freeze).await;
    let Ok(server) = TcpStream::connect(&target).await else { return };
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    // Each direction ends the connection.
    tokio::select! {
        () = copy(client_in, server_out, mode.clone()) => {}
        () = copy(server_in, client_out, mode) => {}
    }
}

async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let _ = mode.wait_for(|mode| *mode != Mode::Freeze).await;
        let Ok(length) = from.read(&mut buffer).await else { return };
        let _ = mode.wait_for(|mode| *mode != Mode::Freeze).await;
        if length == 0 || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
