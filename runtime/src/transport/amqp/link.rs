//! One connection to the broker that comes back: whoever needs a channel asks here, one of them reconnects.
//!
//! lapin's own recovery is not used: it loses what is in flight without saying what.

use std::{
    sync::{
        Mutex as SyncMutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use lapin::{Channel, Connection, ConnectionStatus};
use tokio::{sync::Mutex, time::Instant};

use super::{AmqpOptions, address::Address, dial::Dial};
use crate::{pause::spread, transport::TransportError};

/// The pause after the first failed attempt to reconnect, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A connection with one purpose, and what it takes to have it again.
#[derive(Debug)]
pub(super) struct Link {
    dial: Dial,
    /// For logs: `publishes` or `consumes`.
    purpose: &'static str,
    open_timeout: Duration,
    state: Mutex<State>,
    /// Kept for errors; not under `state`, which is held while connecting.
    last_failure: SyncMutex<Option<String>>,
    /// Of the connection that there is.
    status: SyncMutex<Option<ConnectionStatus>>,
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
            dial: Dial::new(address, options, purpose),
            purpose,
            open_timeout: options.connect_timeout,
            state: Mutex::default(),
            last_failure: SyncMutex::default(),
            status: SyncMutex::default(),
            // What RabbitMQ offers unless told otherwise, until a connection says.
            frame_max: AtomicU32::new(131_072),
        }
    }

    /// The broker, for people.
    pub(super) fn broker(&self) -> &str {
        self.dial.broker()
    }

    /// The largest frame that the broker takes, in bytes.
    pub(super) fn frame_max(&self) -> usize {
        self.frame_max.load(Ordering::Relaxed) as usize
    }

    /// Whether there is a connection now, as far as it is known.
    pub(super) fn is_connected(&self) -> bool {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.as_ref().is_some_and(ConnectionStatus::connected)
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
            match tokio::time::timeout(self.open_timeout, &mut opening).await {
                Ok(Ok(channel)) => return Ok(channel),
                Ok(Err(error)) => return Err(error.to_string()),
                // Out of memory or disk: the broker does not read now, and says so. A new connection is no better.
                Err(_) if connection.status().blocked() => {}
                Err(_) => return Err(format!("it opened no channel within {} ms", self.open_timeout.as_millis())),
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
        tokio::time::sleep(spread(BACKOFF.0)).await;
    }

    /// The error for a call that waited too long.
    pub(super) fn away(&self, waited: Duration) -> TransportError {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if status.is_some_and(|status| status.connected() && status.blocked()) {
            return self.unavailable(format!(
                "it takes no messages for {} ms: it is out of memory or disk",
                waited.as_millis()
            ));
        }
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
            match self.dial.connect().await {
                Ok(connection) => {
                    self.frame_max.store(connection.configuration().frame_max(), Ordering::Relaxed);
                    let again = if state.was_connected { "re" } else { "" };
                    tracing::info!(broker = self.broker(), "{again}connected what {}", self.purpose);
                    (state.was_connected, state.not_before) = (true, None);
                    state.backoff = Backoff::default();
                    let status = connection.status().clone();
                    *self.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
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
        spread(pause)
    }
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
