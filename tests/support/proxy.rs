//! A TCP proxy that can fail: it stands between a client and its server, and cuts, resets, refuses, freezes, forsakes and slows
//! down connections.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::AbortHandle,
    time::Instant,
};

/// How the proxy treats connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Pass,
    /// New connections are closed at once.
    Refuse,
    /// Bytes are neither read nor written; connections are taken and stay silent.
    Freeze,
    /// Every byte comes that much later.
    Delay(Duration),
    /// One byte a second goes on, each way.
    Trickle,
}

#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    /// Connections before this number are silent for good, and nobody says so.
    forsaken: u64,
    /// Connections before this number are reset.
    reset: u64,
}

/// A proxy on a port of its own. Gone when dropped, connections included.
#[derive(Debug)]
pub struct Proxy {
    /// The port on 127.0.0.1 that it listens on.
    pub port: u16,
    state: watch::Sender<State>,
    next: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    /// How many of them there are.
    open: watch::Sender<usize>,
    listening: AbortHandle,
}

impl Proxy {
    /// In front of `target`, such as `127.0.0.1:5672`.
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = watch::Sender::new(State { mode: Mode::Pass, forsaken: 0, reset: 0 });
        let connections = Arc::new(Mutex::new(Vec::new()));
        let open = watch::Sender::new(0);
        let (next, sent) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (states, taken, numbers, target) =
            (state.clone(), Arc::clone(&connections), Arc::clone(&next), target.to_owned());
        let counted = open.clone();
        let count = Arc::clone(&sent);
        let listening = tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                if states.borrow().mode == Mode::Refuse {
                    continue;
                }
                let connection = Connection {
                    number: numbers.fetch_add(1, Ordering::SeqCst),
                    state: states.subscribe(),
                    sent: Arc::clone(&count),
                };
                let (is_open, target) = (Open::one_of(&counted), target.clone());
                let connection = tokio::spawn(async move {
                    connection.run(client, target).await;
                    drop(is_open);
                });
                let mut taken = taken.lock().unwrap();
                taken.retain(|connection: &AbortHandle| !connection.is_finished());
                taken.push(connection.abort_handle());
            }
        });
        Self { port, state, next, sent, connections, open, listening: listening.abort_handle() }
    }

    /// The URL of a server, leading through this proxy.
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

    /// Cuts all connections with a reset, as a router does that has forgotten them. New ones are taken.
    pub fn reset(&self) {
        let next = self.next.load(Ordering::SeqCst);
        self.state.send_modify(|state| state.reset = next);
    }

    /// Lets all connections hang for good, as when the other side lost its power: open, and silent. New ones are taken.
    pub fn forsake(&self) {
        let next = self.next.load(Ordering::SeqCst);
        self.state.send_modify(|state| state.forsaken = next);
    }

    /// Cuts all connections, and refuses new ones until [`Proxy::pass`].
    pub fn refuse(&self) {
        self.set(Mode::Refuse);
        self.cut();
    }

    /// Holds everything back, new connections too, until [`Proxy::pass`].
    pub fn freeze(&self) {
        self.set(Mode::Freeze);
    }

    /// Every byte takes so much longer, each way, until [`Proxy::pass`].
    pub fn delay(&self, by: Duration) {
        self.set(Mode::Delay(by));
    }

    /// One byte a second, each way, until [`Proxy::pass`].
    pub fn trickle(&self) {
        self.set(Mode::Trickle);
    }

    /// Back to normal.
    pub fn pass(&self) {
        self.set(Mode::Pass);
    }

    fn set(&self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
    }

    /// How many bytes clients have sent to the server.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// How many connections it has taken since it started.
    pub fn taken(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    /// How many connections it has taken that have not ended.
    pub fn connections(&self) -> usize {
        *self.open.borrow()
    }

    /// Waits until there are so many connections as asked.
    pub async fn holds(&self, as_asked: impl FnMut(&usize) -> bool) {
        let mut open = self.open.subscribe();
        open.wait_for(as_asked).await.unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

/// Counts for one connection, for as long as it is there, however that ends.
struct Open(watch::Sender<usize>);

impl Open {
    fn one_of(all: &watch::Sender<usize>) -> Self {
        all.send_modify(|count| *count += 1);
        Self(all.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[derive(Clone)]
struct Connection {
    number: u64,
    state: watch::Receiver<State>,
    sent: Arc<AtomicU64>,
}

impl Connection {
    async fn run(self, client: TcpStream, target: String) {
        self.clone().may_go_on().await;
        let Ok(server) = TcpStream::connect(&target).await else { return };
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
        }
        let (mut client_in, mut client_out) = client.into_split();
        let (mut server_in, mut server_out) = server.into_split();
        let mut state = self.state.clone();
        let is_reset = tokio::select! {
            // Each direction ends the connection.
            () = self.clone().copy(&mut client_in, &mut server_out, Some(&self.sent)) => false,
            () = self.clone().copy(&mut server_in, &mut client_out, None) => false,
            _ = state.wait_for(|state| state.reset > self.number) => true,
        };
        if is_reset {
            let _ = client_in.as_ref().set_zero_linger();
        }
    }

    async fn copy(self, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, count: Option<&AtomicU64>) {
        let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(64);
        let mut reading = self.clone();
        let read = async move {
            let mut buffer = vec![0; 16 * 1024];
            loop {
                reading.may_go_on().await;
                let Ok(length) = from.read(&mut buffer).await else { return };
                if length == 0 || sender.send((Instant::now(), buffer[..length].to_vec())).await.is_err() {
                    return;
                }
            }
        };
        let mut writing = self;
        let write = async move {
            while let Some((read_at, bytes)) = receiver.recv().await {
                if let Some(count) = count {
                    count.fetch_add(bytes.len() as u64, Ordering::SeqCst);
                }
                if writing.write(to, read_at, &bytes).await.is_none() {
                    return;
                }
            }
        };
        // What was read is still written.
        tokio::join!(read, write);
    }

    async fn write(&mut self, to: &mut OwnedWriteHalf, read_at: Instant, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            self.may_go_on().await;
            let mode = self.state.borrow_and_update().mode;
            let (count, due) = match mode {
                Mode::Delay(by) => (bytes.len(), read_at + by),
                Mode::Trickle => (1, Instant::now() + Duration::from_secs(1)),
                _ => (bytes.len(), read_at),
            };
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                // Another mode, another pace.
                _ = self.state.changed() => continue,
            }
            to.write_all(&bytes[..count]).await.ok()?;
            bytes = &bytes[count..];
        }
        Some(())
    }

    async fn may_go_on(&mut self) {
        let number = self.number;
        let _ = self.state.wait_for(|state| state.mode != Mode::Freeze && state.forsaken <= number).await;
    }
}
