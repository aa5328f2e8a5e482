//! Result backends: where Celery's servers leave the answers to requests when they don't send them to a reply queue.
//!
//! A request gives no sign of which of the two its caller reads. So a server sends the answer to the reply queue that the
//! request names, and leaves it in the backend when there is no such queue; a caller waits at both.

#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod watcher;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{url::redact_url, wire::result::Reply};

/// Why a result backend did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResultBackendError {
    /// The URL is none of a result backend's, or needs a feature that this build does not have.
    #[error("{} is no result backend that this build can use: {reason}", crate::url::named(.url))]
    Url {
        /// The URL without a password.
        url: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// It can't be reached, or went away.
    #[error("the result backend at {backend} is unavailable: {reason}")]
    Unavailable {
        /// Where, without a password.
        backend: String,
        /// What was tried and what came of it.
        reason: String,
    },
    /// It said no, and will say no again: a wrong password, a missing permission.
    #[error("the result backend at {backend} refused: {reason}")]
    Refused {
        /// Where, without a password.
        backend: String,
        /// What it said.
        reason: String,
    },
}

/// Keeps result documents by the ids of their requests, and tells callers of them.
#[async_trait]
pub(crate) trait ResultBackend: fmt::Debug + Send + Sync {
    /// Asks for nothing, and so finds out whether it could.
    async fn check(&self) -> Result<(), ResultBackendError>;

    /// Leaves the answer to a request, and tells whoever waits for it. One attempt.
    async fn store(&self, id: &str, document: Bytes) -> Result<(), ResultBackendError>;

    /// Has the answers to these requests passed on, from now until the result is dropped. While the backend is away, they
    /// are passed on when it is back.
    async fn watch(&self, ids: &[String], answers: mpsc::UnboundedSender<Reply>) -> Watching;

    /// Why answers can't be waited for right now, if so.
    fn failure(&self) -> Option<ResultBackendError>;
}

/// Answers are passed on until this is dropped.
pub(crate) struct Watching(Option<Box<dyn FnOnce() + Send>>);

impl Watching {
    #[cfg(feature = "redis")]
    fn until(end: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

/// The result backend that a URL names; none for an empty one and for Celery's `rpc://`, which means the reply queues that
/// are always used. Nothing is connected yet.
///
/// # Errors
/// [`ResultBackendError::Url`].
pub(crate) fn open(url: &str) -> Result<Option<Arc<dyn ResultBackend>>, ResultBackendError> {
    let url = url.trim();
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    let refused = |reason: &str| Err(ResultBackendError::Url { url: redact_url(url), reason: reason.to_owned() });
    match scheme {
        None if url.is_empty() => Ok(None),
        Some("rpc") => Ok(None),
        #[cfg(feature = "redis")]
        Some("redis" | "rediss") => Ok(Some(Arc::new(redis::RedisResults::open(url)?))),
        #[cfg(not(feature = "redis"))]
        Some("redis" | "rediss") => refused("it needs the feature `redis` of the crate `celerysalt`"),
        _ => refused("expected redis://user:password@host:6379/0, rediss:// or rpc://"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_other_backends_are_refused_without_their_passwords() {
        for none in ["", " ", "rpc://"] {
            assert!(open(none).unwrap().is_none(), "{none}");
        }
        for wrong in ["db+postgresql://ann:s3cret@db/results", "ann:s3cret@redis", "memcached://ann:s3cret@m"] {
            let error = open(wrong).unwrap_err().to_string();
            assert!(error.contains("expected redis://") && !error.contains("s3cret"), "{error}");
        }
        let redis = open("redis://ann:s3cret@127.0.0.1:1/0");
        assert_eq!(redis.is_ok(), cfg!(feature = "redis"));
        assert!(!format!("{redis:?}").contains("s3cret"));
    }
}
