//! What can go wrong, one type an operation. No message holds a payload's value or a URL's password.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    event::DeclaredError,
    invalid::Invalid,
    json::{self, Json},
    receipt::Receipt,
    registry::{Conflict, RegistryError},
    results::ResultBackendError,
    transport::TransportError,
};

/// What to do where nobody is there, and nobody else can be.
pub(crate) const IN_PROCESS: &str = "it went to the broker within this process (`memory:`, which is meant when \
     CELERYSALT_BROKER_URL is not set), where nobody else subscribes: set CELERYSALT_BROKER_URL to RabbitMQ's \
     `amqp://user:password@host:5672/vhost`, or start the service in this process first";

fn subscribe(in_process: bool) -> &'static str {
    if in_process { IN_PROCESS } else { "start a subscriber once (its queue stays)" }
}

/// Why an event was not published.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The contract refuses the payload. Nothing was sent.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// An option that no message can have. Nothing was sent.
    #[error("{topic}: {reason}")]
    Option {
        /// The topic.
        topic: String,
        /// Which option, and what is allowed.
        reason: String,
    },
    /// The topic has no contract in the registry, and publishing by name was not told to go without one.
    #[error(
        "{topic}: {reason}; sync its contract to the registry first, or publish with `.unvalidated()` to go without"
    )]
    UnknownContract {
        /// The topic.
        topic: String,
        /// What was looked for.
        reason: String,
    },
    /// The registry could not be asked for the contract.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// No queue is bound for the topic: the broker returned the message, and nobody has it.
    #[error(
        "{topic}: no queue is bound to exchange `{exchange}` for `{routing_key}`, so nobody would get this event; \
         {}, or publish with `.allow_unrouted()`",
        subscribe(*.in_process)
    )]
    Unroutable {
        /// The topic.
        topic: String,
        /// The exchange.
        exchange: String,
        /// The routing key.
        routing_key: String,
        /// Whether the broker is the one in this process (`memory:`), which no other process can subscribe to.
        in_process: bool,
    },
    /// The broker did not take the message; whether it has it is unknown when it went away before confirming.
    #[error("{topic}: {source}")]
    Transport {
        /// The topic.
        topic: String,
        /// What the transport said.
        #[source]
        source: TransportError,
    },
    /// A hook before publishing does not let it out, for a reason such as `pending_approval`. Nothing was sent.
    #[error("{topic}: not sent: {reason} (a veto of the hook {hook})")]
    Vetoed {
        /// The topic.
        topic: String,
        /// The hook's name: the path of its function.
        hook: &'static str,
        /// The hook's reason.
        reason: String,
    },
    /// A hook before publishing failed, so nobody knows whether it should go out. Nothing was sent.
    #[error("{topic}: not sent, for the hook {hook} failed: {reason}")]
    HookFailed {
        /// The topic.
        topic: String,
        /// The hook's name: the path of its function.
        hook: &'static str,
        /// What failed.
        reason: String,
    },
    /// More messages led to it than the service allows. Nothing was sent.
    #[error(
        "{topic}: not sent: it follows from more than {limit} others, one after the other; mend the handlers or hooks that \
         answer each other without end, or allow more with `SaltBuilder::cascade_limit`"
    )]
    TooDeep {
        /// The topic.
        topic: String,
        /// How many may stand before it.
        limit: u32,
    },
    /// It is published, and a hook after publishing failed, or what was to follow was not published. Publishing it again
    /// would send it twice.
    #[error("{topic}: published as {receipt}, but the hook {hook} after it failed: {reason}")]
    After {
        /// The topic.
        topic: String,
        /// What the broker confirmed.
        receipt: Box<Receipt>,
        /// The hook's name: the path of its function.
        hook: &'static str,
        /// What failed.
        reason: String,
    },
    /// The event store did not take the event. Nothing was sent.
    #[cfg(feature = "outbox")]
    #[error("{topic}: not published, for the event store did not take it: {source}")]
    Store {
        /// The topic.
        topic: String,
        /// What its database said.
        #[source]
        source: crate::database::DatabaseError,
    },
}

impl PublishError {
    /// The reason of the hook that did not let the event out, such as `pending_approval`; `None` when that is not why.
    pub fn veto(&self) -> Option<&str> {
        match self {
            Self::Vetoed { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

/// Some events of a batch were not published.
#[derive(Debug)]
pub struct BatchError {
    /// The events that were confirmed: place in the batch, receipt.
    pub published: Vec<(usize, Receipt)>,
    /// The events that were not: place in the batch, reason. Never empty.
    pub failed: Vec<(usize, PublishError)>,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.published.len() + self.failed.len();
        write!(f, "{} of {total} events were not published", self.failed.len())?;
        if let Some((place, error)) = self.failed.first() {
            write!(f, "; the first is event {place}: {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.failed.first().map(|(_, error)| error as _)
    }
}

/// Why a call gave no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<E: DeclaredError> {
    /// The serving side declined with the error that the contract declares. Shown by its `error_code`.
    #[error("the service declined{}", code(.0))]
    Declared(E),
    /// No reply came in time. The request expires on the broker, so a server that is late will not run it.
    #[error("{topic}: no reply within {timeout:?}")]
    Timeout {
        /// The topic.
        topic: String,
        /// How long the call waited.
        timeout: Duration,
    },
    /// No reply came in time, and the result backend, where it may be waiting, can't be reached.
    #[error("{topic}: no reply within {timeout:?}, and {source}")]
    ResultBackend {
        /// The topic.
        topic: String,
        /// How long the call waited.
        timeout: Duration,
        /// What is wrong with it.
        #[source]
        source: ResultBackendError,
    },
    /// The contract refuses the request. Nothing was sent.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// An option that no request can have. Nothing was sent.
    #[error("{topic}: {reason}")]
    Option {
        /// The topic.
        topic: String,
        /// Which option, and what is allowed.
        reason: String,
    },
    /// The topic was named at run time, and the registry has no RPC of that name. Nothing was sent.
    #[error("{topic}: {reason}; sync its contract to the registry first")]
    UnknownContract {
        /// The topic.
        topic: String,
        /// What was looked for.
        reason: String,
    },
    /// The topic was named at run time, and the registry could not be asked for its contract. Nothing was sent.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Nobody serves the topic: no queue is bound for it, or the service that is has no handler of this version.
    #[error("{topic}: nobody serves it: {reason}")]
    NoHandler {
        /// The topic.
        topic: String,
        /// Who said so.
        reason: String,
    },
    /// The handler failed without declaring why: it returned another error, raised or panicked.
    #[error("{topic}: the handler failed: {message}")]
    HandlerFailed {
        /// The topic.
        topic: String,
        /// What the serving side says of it.
        message: String,
    },
    /// The serving side's task machinery failed (Celery's FAILURE and REVOKED).
    #[error("{topic}: the task failed on the serving side: {kind}: {message}")]
    TaskFailed {
        /// The topic.
        topic: String,
        /// Celery's `exc_type`.
        kind: String,
        /// Celery's `exc_message`.
        message: String,
    },
    /// A reply came that is neither a response nor a declared error of the contract.
    #[error("{invalid}")]
    InvalidReply {
        /// What the contract has against it.
        invalid: Invalid,
        /// The reply as it came; not part of this error's text.
        raw: Box<Value>,
    },
    /// A hook before publishing does not let it out, for a reason such as `pending_approval`. Nothing was sent.
    #[error("{topic}: not sent: {reason} (a veto of the hook {hook})")]
    Vetoed {
        /// The topic.
        topic: String,
        /// The hook's name: the path of its function.
        hook: &'static str,
        /// The hook's reason.
        reason: String,
    },
    /// A hook before publishing failed, so nobody knows whether it should go out. Nothing was sent.
    #[error("{topic}: not sent, for the hook {hook} failed: {reason}")]
    HookFailed {
        /// The topic.
        topic: String,
        /// The hook's name: the path of its function.
        hook: &'static str,
        /// What failed.
        reason: String,
    },
    /// More messages led to it than the service allows. Nothing was sent.
    #[error(
        "{topic}: not sent: it follows from more than {limit} others, one after the other; mend the handlers or hooks that \
         answer each other without end, or allow more with `SaltBuilder::cascade_limit`"
    )]
    TooDeep {
        /// The topic.
        topic: String,
        /// How many may stand before it.
        limit: u32,
    },
    /// The broker did not take the request, or the reply queue is gone.
    #[error("{topic}: {source}")]
    Transport {
        /// The topic.
        topic: String,
        /// What the transport said.
        #[source]
        source: TransportError,
    },
}

/// Of a declared error only its code is shown, which programs read; the rest of it is the reply's payload.
fn code<E: Json>(declared: &E) -> String {
    let tree: Value = json::to_text(declared).ok().and_then(|text| json::from_text(&text).ok()).unwrap_or_default();
    tree.get("error_code").and_then(Value::as_str).map_or_else(String::new, |code| format!(": {code}"))
}

/// Why a service could not connect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The service has no usable name.
    #[error("`{name}` is no service name: {reason}")]
    ServiceName {
        /// As given.
        name: String,
        /// What is allowed.
        reason: String,
    },
    /// An environment variable that is not text.
    #[error("the environment variable {name} is not UTF-8 text")]
    Environment {
        /// Which.
        name: &'static str,
    },
    /// The broker.
    #[error(transparent)]
    Broker(#[from] TransportError),
    /// The result backend; an unavailable one is no error here, it is connected to when it is back.
    #[error(transparent)]
    ResultBackend(#[from] ResultBackendError),
    /// Topics that are no pattern.
    #[error("`{pattern}` is no topic or pattern of topics: {reason}")]
    TopicPattern {
        /// As given.
        pattern: String,
        /// What is allowed.
        reason: String,
    },
    /// The registry; an unavailable one is no error here, its registrations wait.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A contract of this program is registered with another meaning.
    #[error("{}", conflicts(.0))]
    Conflict(Vec<Conflict>),
    /// A contract that generated code would not have made.
    #[error("{0}")]
    Contract(String),
}

fn conflicts(all: &[Conflict]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Why a service could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Handlers that can't be registered; all of them.
    #[error("{}", .0.join("\n"))]
    Handlers(Vec<String>),
    /// The queues could not be declared or consumed.
    #[error(transparent)]
    Broker(#[from] TransportError),
    /// The process can't listen for signals.
    #[error("cannot listen for termination signals: {0}")]
    Signal(std::io::Error),
}

/// The declared error of contracts that declare none, and of the seeds: a code, a message and optional details.
///
/// ```
/// use celerysalt::RpcError;
///
/// let error = RpcError::new("NOT_FOUND", "assessment RA-1 not found");
/// assert_eq!(error.to_string(), "NOT_FOUND: assessment RA-1 not found");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RpcError {
    /// For programs.
    pub error_code: String,
    /// For people.
    pub error_message: String,
    /// Anything more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Map<String, Value>>,
}

impl RpcError {
    /// An error without details.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error_code: code.into(), error_message: message.into(), details: None }
    }

    /// The same error with details.
    #[must_use]
    pub fn with_details(self, details: serde_json::Map<String, Value>) -> Self {
        Self { details: Some(details), ..self }
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error_code, self.error_message)
    }
}

impl std::error::Error for RpcError {}
impl DeclaredError for RpcError {}

impl Json for RpcError {
    fn read(reader: &mut json::Reader<'_>) -> Result<Self, json::Mismatch> {
        json::read_by_serde(reader)
    }

    fn write(&self, writer: &mut json::Writer) {
        json::write_by_serde(self, writer);
    }
}
