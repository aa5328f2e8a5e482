//! Redis as Celery uses it: the document under `celery-task-meta-<id>` for a day, and a message on the channel of that name.

use std::{fmt, sync::Arc, time::Duration};

use ::redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, Pipeline, RedisError, aio::MultiplexedConnection,
};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::{
    ResultBackend, ResultBackendError, Watching,
    watcher::{self, Order, Watcher},
};
use crate::{url::redact_url, wire::result::Reply};

/// What keys and channels begin with.
pub(super) const PREFIX: &str = "celery-task-meta-";
/// How long an answer is kept, in seconds: Celery's `result_expires` unless set, a day.
const EXPIRES: u64 = 24 * 60 * 60;
/// How long a connection, or an answer of the server, may take.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// A connection to Redis that comes back, and a task that listens while somebody waits.
pub(super) struct RedisResults {
    redis: Arc<Redis>,
    orders: mpsc::UnboundedSender<Order>,
    state: Arc<watcher::State>,
    /// Started by the first call: servers don't need it.
    watcher: Mutex<Option<Watcher>>,
}

/// Where it is, and the connection for commands.
pub(super) struct Redis {
    client: Client,
    /// For people, without a password.
    shown: String,
    commands: Mutex<Option<MultiplexedConnection>>,
}

impl RedisResults {
    /// # Errors
    /// [`ResultBackendError::Url`].
    pub(super) fn open(url: &str) -> Result<Self, ResultBackendError> {
        let shown = redact_url(url);
        let refused = |reason: &str| ResultBackendError::Url { url: shown.clone(), reason: reason.to_owned() };
        if url.starts_with("rediss://") {
            if !cfg!(feature = "tls") {
                return Err(refused("rediss:// needs the feature `tls` of the crate `celerysalt`"));
            }
            #[cfg(feature = "tls")]
            choose_cryptography();
        }
        // Python's own options of a URL; here certificates are always checked.
        let plain = url.split_once('?').map_or(url, |(plain, _)| plain);
        // Not the parser's own words: they may repeat the URL.
        let client = Client::open(plain).map_err(|_| refused("expected redis://user:password@host:6379/0"))?;
        let redis = Arc::new(Redis { client, shown, commands: Mutex::default() });
        let (orders, taken) = mpsc::unbounded_channel();
        let state = Arc::new(watcher::State::default());
        let watcher = Watcher::new(Arc::clone(&redis), taken, Arc::clone(&state));
        Ok(Self { redis, orders, state, watcher: Mutex::new(Some(watcher)) })
    }
}

/// rustls panics when it has to choose between two.
#[cfg(feature = "tls")]
fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Refused when somebody else was faster, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

impl fmt::Debug for RedisResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisResults").field(&self.redis.shown).finish()
    }
}

impl Redis {
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn unavailable(&self, reason: impl Into<String>) -> ResultBackendError {
        ResultBackendError::Unavailable { backend: self.shown.clone(), reason: reason.into() }
    }

    /// What Redis has against a command or a login. Its texts hold no values.
    pub(super) fn error(&self, error: &RedisError) -> ResultBackendError {
        let refused = matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig)
            || error.code().is_some_and(|code| ["NOAUTH", "WRONGPASS", "NOPERM"].contains(&code));
        let (backend, reason) = (self.shown.clone(), error.to_string());
        if refused {
            ResultBackendError::Refused { backend, reason }
        } else {
            ResultBackendError::Unavailable { backend, reason }
        }
    }

    async fn connection(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut commands = self.commands.lock().await;
        if let Some(connection) = &*commands {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(LIMIT)).set_response_timeout(Some(LIMIT));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(commands.insert(connection).clone())
    }

    /// Runs commands on the connection that there is, and once more on a new one when that is gone.
    async fn run<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, ResultBackendError> {
        let mut fresh = self.commands.lock().await.is_none();
        loop {
            let mut connection = self.connection().await.map_err(|error| self.error(&error))?;
            match commands.query_async(&mut connection).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    let gone = error.is_unrecoverable_error() || error.is_io_error() || error.is_timeout();
                    if gone {
                        self.commands.lock().await.take();
                    }
                    // One that was idle may have been closed long ago.
                    if fresh || !gone {
                        return Err(self.error(&error));
                    }
                    fresh = true;
                }
            }
        }
    }

    /// The documents that are there already, each with its request's id.
    pub(super) async fn documents(&self, ids: &[String]) -> Result<Vec<(String, Vec<u8>)>, ResultBackendError> {
        let mut get = ::redis::pipe();
        get.cmd("MGET");
        for id in ids {
            get.arg(format!("{PREFIX}{id}"));
        }
        let (found,): (Vec<Option<Vec<u8>>>,) = self.run(&get).await?;
        let found = ids.iter().zip(found);
        Ok(found.filter_map(|(id, document)| Some((id.clone(), document?))).collect())
    }
}

#[async_trait]
impl ResultBackend for RedisResults {
    async fn check(&self) -> Result<(), ResultBackendError> {
        self.redis.run(::redis::pipe().cmd("PING").ignore()).await
    }

    async fn store(&self, id: &str, document: Bytes) -> Result<(), ResultBackendError> {
        let key = format!("{PREFIX}{id}");
        let mut both = ::redis::pipe();
        // A caller that listens needs the message, one that comes later the value.
        both.atomic().cmd("SETEX").arg(&key).arg(EXPIRES).arg(&document[..]).ignore();
        both.cmd("PUBLISH").arg(&key).arg(&document[..]).ignore();
        self.redis.run(&both).await
    }

    async fn watch(&self, ids: &[String], answers: mpsc::UnboundedSender<Reply>) -> Watching {
        if let Some(watcher) = self.watcher.lock().await.take() {
            tokio::spawn(watcher.run());
        }
        let (subscribed, told) = oneshot::channel();
        let (ids, orders) = (ids.to_vec(), self.orders.clone());
        // The task ends after the last sender is gone.
        let _ = orders.send(Order::Watch { ids: ids.clone(), answers, subscribed });
        let watching = Watching::until(move || drop(orders.send(Order::Forget { ids })));
        // While Redis is away nobody waits for it: an answer may come by another way, or is fetched once it is back.
        if self.state.failure().is_none() {
            let _ = told.await;
        }
        watching
    }

    fn failure(&self) -> Option<ResultBackendError> {
        self.state.failure()
    }
}
