//! One connection to the broker that comes back: whoever needs a channel asks here, one of them reconnects.
//!
//! lapin's own recovery is not used: it loses what is in flight without saying what, and its first connection to a dead
//! port retries for ever, in a thread of its own that outlives the call.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc, Mutex as SyncMutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use lapin::{
    AsyncTcpStream, Channel, Connection, ConnectionProperties, ErrorKind,
    tcp::OwnedTLSConfig,
    uri::{AMQPScheme, AMQPUri},
};
use tokio::{sync::Mutex, time::Instant};

use super::{AmqpOptions, address::Address};
use crate::transport::TransportError;

/// The pause after the first failed attempt to reconnect, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A connection with one purpose, and what it takes to have it again.
#[derive(Debug)]
pub(super) struct Link {
    address: Address,
    /// For logs: `publishes` or `consumes`.
    purpose: &'static str,
    connection_name: String,
    connect_timeout: Duration,
    heartbeat: Duration,
    ca_certificates: Option<String>,
    state: Mutex<State>,
    /// Kept for errors; not under `state`, which is held while connecting.
    last_failure: SyncMutex<Option<String>>,
    frame_max: AtomicU32,
}

#[derive(Debug, Default)]
struct State {
    connection: Option<Connection>,
    backoff: Backoff,
    not_before: Option<Instant>,
    was_connected: bool,
    closed: bool,
}

impl Link {
    pub(super) fn new(address: Address, options: &AmqpOptions, purpose: &'static str) -> Self {
        Self {
            address,
            purpose,
            connection_name: format!("{} ({purpose})", options.connection_name),
            connect_timeout: options.connect_timeout,
            heartbeat: options.heartbeat,
            ca_certificates: options.ca_certificates.clone(),
            state: Mutex::default(),
            last_failure: SyncMutex::default(),
            // What RabbitMQ offers unless told otherwise, until a connection says.
            frame_max: AtomicU32::new(131_072),
        }
    }

    /// The broker, for people.
    pub(super) fn broker(&self) -> &str {
        self.address.shown()
    }

    /// The largest frame that the broker takes, in bytes.
    pub(super) fn frame_max(&self) -> usize {
        self.frame_max.load(Ordering::Relaxed) as usize
    }

    /// Connects once, now.
    pub(super) async fn connect(&self) -> Result<(), TransportError> {
        let mut state = self.state.lock().await;
        self.connected(&mut state).await.map(|_| ())
    }

    /// A new channel, on the connection that there is or on a new one. One attempt, after the pause that earlier
    /// failures ask for.
    pub(super) async fn try_channel(&self) -> Result<Channel, TransportError> {
        let mut state = self.state.lock().await;
        if let Some(pause) = state.not_before {
            tokio::time::sleep_until(pause).await;
        }
        let failure = match self.open_channel(self.connected(&mut state).await?).await {
            Ok(channel) => return Ok(channel),
            Err(failure) => failure,
        };
        // Whatever this connection is, it is of no use.
        state.connection = None;
        self.failed(&mut state, &failure);
        Err(self.unavailable(failure))
    }

    async fn open_channel(&self, connection: &Connection) -> Result<Channel, String> {
        let opening = connection.create_channel();
        tokio::pin!(opening);
        loop {
            match tokio::time::timeout(self.connect_timeout, &mut opening).await {
                Ok(Ok(channel)) => return Ok(channel),
                Ok(Err(error)) => return Err(error.to_string()),
                // Out of memory or disk: the broker does not read now, and says so. A new connection is no better.
                Err(_) if connection.status().blocked() => {}
                Err(_) => return Err(format!("it opened no channel within {} ms", self.connect_timeout.as_millis())),
            }
        }
    }

    /// As [`Link::try_channel`], however long it takes; fails only with [`TransportError::Closed`].
    pub(super) async fn channel(&self) -> Result<Channel, TransportError> {
        loop {
            match self.try_channel().await {
                Ok(channel) => return Ok(channel),
                Err(TransportError::Closed) => return Err(TransportError::Closed),
                // `failed` has logged it.
                Err(_) => {}
            }
        }
    }

    /// Tells of a channel that failed, before a new one is asked for. Waits a moment, so that a broker that takes the
    /// connection and then fails each time is not asked in a tight loop.
    pub(super) async fn lost(&self, error: &lapin::Error) {
        tracing::warn!(broker = self.broker(), %error, "lost what {}", self.purpose);
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        tokio::time::sleep(jitter(BACKOFF.0)).await;
    }

    /// The error for a call that waited too long.
    pub(super) fn away(&self, waited: Duration) -> TransportError {
        let last = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let last = last.unwrap_or_else(|| "it does not answer".to_owned());
        self.unavailable(format!("no answer for {} ms; the last failure was: {last}", waited.as_millis()))
    }

    pub(super) fn unavailable(&self, reason: impl Into<String>) -> TransportError {
        TransportError::Unavailable { broker: self.broker().to_owned(), reason: reason.into() }
    }

    /// Closes the connection for good.
    pub(super) async fn close(&self) {
        let mut state = self.state.lock().await;
        state.closed = true;
        if let Some(connection) = state.connection.take() {
            let _ = tokio::time::timeout(Duration::from_secs(2), connection.close(200, "OK".into())).await;
            tracing::info!(broker = self.broker(), "closed what {}", self.purpose);
        }
    }

    async fn connected<'s>(&self, state: &'s mut State) -> Result<&'s Connection, TransportError> {
        if state.closed {
            return Err(TransportError::Closed);
        }
        if !state.connection.as_ref().is_some_and(|connection| connection.status().connected()) {
            // The old one ends here, before there is a second.
            state.connection = None;
            match self.open().await {
                Ok(connection) => {
                    self.frame_max.store(connection.configuration().frame_max(), Ordering::Relaxed);
                    let again = if state.was_connected { "re" } else { "" };
                    tracing::info!(broker = self.broker(), "{again}connected what {}", self.purpose);
                    (state.was_connected, state.not_before) = (true, None);
                    state.backoff = Backoff::default();
                    state.connection = Some(connection);
                }
                Err(error) => {
                    self.failed(state, &error.to_string());
                    return Err(error);
                }
            }
        }
        state.connection.as_ref().ok_or(TransportError::Closed)
    }

    fn failed(&self, state: &mut State, failure: &str) {
        state.not_before = Some(Instant::now() + state.backoff.next());
        // Ever more seldom, while it goes on.
        if state.backoff.failures.is_power_of_two() {
            tracing::warn!(broker = self.broker(), failure, "can't connect what {}", self.purpose);
        }
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.to_owned());
    }

    /// One attempt, of which nothing is left when it fails or is dropped.
    async fn open(&self) -> Result<Connection, TransportError> {
        let mut uri = self.address.uri().clone();
        let heartbeat = u16::try_from(self.heartbeat.as_secs()).unwrap_or(u16::MAX).max(1);
        uri.query.heartbeat.get_or_insert(heartbeat);
        let user = uri.authority.userinfo.username.clone();
        let vhost = uri.vhost.clone();
        let properties = ConnectionProperties::default()
            .with_connection_name(self.connection_name.as_str().into())
            .with_client_property("product".into(), "celerysalt".into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
        let handshake = AbandonOnDrop(Handshake::default());
        let (socket, refused) = (handshake.0.clone(), Arc::clone(&handshake.0.certificate_refused));
        let ca_certificates = self.ca_certificates.clone();
        let limit = self.connect_timeout;
        let runtime = lapin::runtime::default_runtime().map_err(|error| self.unavailable(error.to_string()))?;
        // lapin runs this in its own thread, which a dropped future does not end: it has the same time limit, and
        // `handshake` cuts the socket under whatever comes after it.
        let connecting = Connection::connector(
            uri,
            runtime,
            async move |uri: AMQPUri, runtime| {
                let config = OwnedTLSConfig { identity: None, cert_chain: ca_certificates.clone() };
                let dialing = async {
                    let mut stream = Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
                    for address in addresses(&uri).await? {
                        stream = AsyncTcpStream::connect(&runtime, address).await;
                        if stream.is_ok() {
                            break;
                        }
                    }
                    let stream = stream?;
                    if let AsyncTcpStream::Plain(stream) = &stream {
                        let stream = stream.get_ref();
                        // Small frames (acks, confirms) must not wait for each other.
                        stream.set_nodelay(true)?;
                        socket.guard(duplicate(stream)?)?;
                    }
                    if uri.scheme == AMQPScheme::AMQP {
                        return Ok(stream);
                    }
                    stream.into_tls(&uri.authority.host, config.as_ref()).await.inspect_err(|error| {
                        let cut = matches!(
                            error.kind(),
                            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::TimedOut
                        );
                        refused.store(!cut, Ordering::Relaxed);
                    })
                };
                let dialed = tokio::time::timeout(limit, dialing).await;
                Ok(dialed.map_err(|_| io::Error::from(io::ErrorKind::TimedOut)).flatten()?)
            },
            properties,
        );
        let error = match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(Ok(connection)) => {
                handshake.0.done();
                return Ok(connection);
            }
            Ok(Err(error)) => error,
            Err(_) => {
                return Err(self.unavailable(format!("no connection within {} ms", limit.as_millis())));
            }
        };
        let refuse = |what: String, reason: String| {
            Err(TransportError::Refused { broker: self.broker().to_owned(), what, reason })
        };
        if handshake.0.certificate_refused.load(Ordering::Relaxed) {
            return refuse("TLS".to_owned(), format!("{error}: check the host name, the port and `ca_certificates`"));
        }
        match error.kind() {
            ErrorKind::ProtocolError(told) => match told.get_id() {
                403 => {
                    refuse(format!("user `{user}`"), format!("wrong user name or password ({})", told.get_message()))
                }
                530 => refuse(format!("virtual host `{vhost}`"), told.get_message().to_string()),
                _ => Err(self.unavailable(told.to_string())),
            },
            _ => Err(self.unavailable(error.to_string())),
        }
    }
}

/// The addresses of the broker, IPv4 first: `localhost` is often both, and RabbitMQ in most set-ups only there.
async fn addresses(uri: &AMQPUri) -> io::Result<Vec<SocketAddr>> {
    let host = uri.authority.host.as_str();
    let mut addresses: Vec<_> = tokio::net::lookup_host((host, uri.authority.port)).await?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    Ok(addresses)
}

/// An attempt to connect. When it is abandoned, its socket is shut down, which ends lapin's thread.
#[derive(Clone, Default)]
struct Handshake {
    socket: Arc<SyncMutex<Guarded>>,
    certificate_refused: Arc<AtomicBool>,
}

#[derive(Default)]
enum Guarded {
    #[default]
    NotYet,
    Socket(TcpStream),
    Abandoned,
}

impl Handshake {
    /// Called by lapin's thread, perhaps long after the attempt was given up.
    fn guard(&self, socket: TcpStream) -> io::Result<()> {
        let mut guarded = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*guarded, Guarded::Abandoned) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        *guarded = Guarded::Socket(socket);
        Ok(())
    }

    /// From now on the socket is lapin's alone.
    fn done(&self) {
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = Guarded::NotYet;
    }

    fn abandon(&self) {
        let mut guarded = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if let Guarded::Socket(socket) = std::mem::replace(&mut *guarded, Guarded::Abandoned) {
            // Fails when the peer was faster.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Abandons the handshake when the future that waits for it is dropped.
struct AbandonOnDrop(Handshake);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

#[cfg(unix)]
fn duplicate(stream: &tokio::net::TcpStream) -> io::Result<TcpStream> {
    use std::os::fd::AsFd;
    stream.as_fd().try_clone_to_owned().map(TcpStream::from)
}

#[cfg(windows)]
fn duplicate(stream: &tokio::net::TcpStream) -> io::Result<TcpStream> {
    use std::os::windows::io::AsSocket;
    stream.as_socket().try_clone_to_owned().map(TcpStream::from)
}

/// Closes a channel in the background: everything sent on it before reaches the broker first.
pub(super) async fn close_channel(channel: &Channel) {
    if channel.status().connected() {
        let _ = tokio::time::timeout(Duration::from_secs(5), channel.close(200, "OK".into())).await;
    }
}

/// The pauses between attempts: doubling, never in step with other services that lost the same broker.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let pause = BACKOFF.0.saturating_mul(2_u32.saturating_pow(self.failures)).min(BACKOFF.1);
        self.failures = self.failures.saturating_add(1);
        jitter(pause)
    }
}

/// Between half of `pause` and all of it.
fn jitter(pause: Duration) -> Duration {
    // The last bytes of a random id are all random.
    let id = *uuid::Uuid::new_v4().as_bytes();
    let random = u32::from(u16::from_le_bytes([id[14], id[15]]));
    pause / 2 + pause / 2 * random / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_two_seconds() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..40).map(|_| backoff.next()).collect();
        assert!(pauses[0] >= Duration::from_millis(50) && pauses[0] <= Duration::from_millis(100));
        assert!(pauses[10..].iter().all(|p| *p >= Duration::from_secs(1) && *p <= Duration::from_secs(2)));
        assert!(pauses[10..].iter().any(|p| *p != pauses[10]));
    }
}
