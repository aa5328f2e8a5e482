//! One attempt to connect, of which nothing is left when it fails.
//!
//! lapin connects in a thread of its own, which outlives the future that waits for it, and which a server that takes
//! the connection and then says nothing keeps for ever.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties, ErrorKind,
    tcp::OwnedTLSConfig,
    uri::{AMQPScheme, AMQPUri},
};

use super::{
    AmqpOptions,
    address::Address,
    guard::{self, Guarded},
};
use crate::transport::TransportError;

/// How to connect.
#[derive(Debug)]
pub(super) struct Dial {
    address: Address,
    connection_name: String,
    timeout: Duration,
    heartbeat: Duration,
    ca_certificates: Option<String>,
}

impl Dial {
    pub(super) fn new(address: Address, options: &AmqpOptions, purpose: &str) -> Self {
        Self {
            address,
            connection_name: format!("{} ({purpose})", options.connection_name),
            timeout: options.connect_timeout,
            heartbeat: options.heartbeat,
            ca_certificates: options.ca_certificates.clone(),
        }
    }

    /// The broker, for people.
    pub(super) fn broker(&self) -> &str {
        self.address.shown()
    }

    fn unavailable(&self, reason: String) -> TransportError {
        TransportError::Unavailable { broker: self.broker().to_owned(), reason }
    }

    /// One attempt, of which nothing is left when it fails or is dropped.
    pub(super) async fn connect(&self) -> Result<Connection, TransportError> {
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
        let limit = self.timeout;
        let tokio = lapin::runtime::default_runtime().map_err(|error| self.unavailable(error.to_string()))?;
        // lapin runs this in its own thread, which a dropped future does not end: it has the same time limit, and
        // `handshake` cuts the socket under whatever comes after it.
        let connecting = Connection::connector(
            uri,
            guard::runtime(),
            async move |uri: AMQPUri, _| {
                let config = OwnedTLSConfig { identity: None, cert_chain: ca_certificates.clone() };
                let dialing = async {
                    let mut stream = Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
                    for address in addresses(&uri).await? {
                        stream = AsyncTcpStream::connect(&tokio, address).await;
                        if stream.is_ok() {
                            break;
                        }
                    }
                    let stream = stream?;
                    if let AsyncTcpStream::Plain(stream) = &stream {
                        let stream = stream.get_ref();
                        // Small frames (acks, confirms) must not wait for each other.
                        stream.set_nodelay(true)?;
                        socket.keep(duplicate(stream)?)?;
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
                let stream = dialed.map_err(|_| io::Error::from(io::ErrorKind::TimedOut)).flatten()?;
                Ok(AsyncTcpStream::Plain(Guarded::new(stream)))
            },
            properties,
        );
        let error = match tokio::time::timeout(self.timeout, connecting).await {
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
    socket: Arc<Mutex<Socket>>,
    certificate_refused: Arc<AtomicBool>,
}

#[derive(Default)]
enum Socket {
    #[default]
    NotYet,
    Open(TcpStream),
    Abandoned,
}

impl Handshake {
    /// Called by lapin's thread, perhaps long after the attempt was given up.
    fn keep(&self, socket: TcpStream) -> io::Result<()> {
        let mut kept = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*kept, Socket::Abandoned) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        *kept = Socket::Open(socket);
        Ok(())
    }

    /// From now on the socket is lapin's alone.
    fn done(&self) {
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = Socket::NotYet;
    }

    fn abandon(&self) {
        let mut kept = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if let Socket::Open(socket) = std::mem::replace(&mut *kept, Socket::Abandoned) {
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
