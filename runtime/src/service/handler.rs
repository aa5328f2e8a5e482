//! Handlers: plain async functions, and what they may return.

use std::{any, error::Error, fmt, future::Future, pin::Pin, sync::Arc};

use celerysalt_contract::Version;

use super::message::{AnyEvent, Meta};
use crate::{
    event::{DeclaredError, Event, Rpc},
    invalid::{Invalid, Part},
};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why a handler did not handle an event.
///
/// Any [`std::error::Error`] becomes one by `?`: the handler is tried again, as the service's
/// [`Retry`](super::Retry) says, for most failures pass. What [`reject`](HandlerError::reject) makes is not tried again.
/// In the end the message is kept in the service's dead-letter queue, with this error's text in a header; so the text
/// must not hold what must not be stored.
pub struct HandlerError {
    message: String,
    is_final: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl HandlerError {
    /// An error with a text of its own, after which the handler is tried again.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_final: false, source: None }
    }

    /// An error that no further try can mend: the message goes to the dead-letter queue at once.
    pub fn reject(message: impl Into<String>) -> Self {
        Self { is_final: true, ..Self::new(message) }
    }

    /// Whether the handler is not to be tried again.
    pub fn is_final(&self) -> bool {
        self.is_final
    }

    /// The error that it was made from.
    pub fn source(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.source.as_deref()
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HandlerError").field(&self.message).finish()
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            let text = next.to_string();
            // Some errors say their cause themselves.
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = next.source();
        }
        Self { message, is_final: false, source: Some(Box::new(error)) }
    }
}

/// Why a handler of requests gave no response.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError<E> {
    /// The error that the contract declares: the caller gets it typed.
    Declared(E),
    /// Anything else: the caller gets its text.
    Failed(HandlerError),
}

impl<E: DeclaredError> From<E> for ServeError<E> {
    fn from(error: E) -> Self {
        Self::Declared(error)
    }
}

impl<E> From<HandlerError> for ServeError<E> {
    fn from(error: HandlerError) -> Self {
        Self::Failed(error)
    }
}

/// What a handler of events may return: `()`, or `Result<(), E>` with any `E` that becomes a [`HandlerError`].
#[diagnostic::on_unimplemented(
    message = "a handler of events can't return `{Self}`",
    note = "return `()`, or `Result<(), HandlerError>`; `?` turns any `std::error::Error` into a `HandlerError`"
)]
pub trait IntoHandlerResult {
    /// As the service wants it.
    ///
    /// # Errors
    /// The handler's own.
    fn into_handler_result(self) -> Result<(), HandlerError>;
}

impl IntoHandlerResult for () {
    fn into_handler_result(self) -> Result<(), HandlerError> {
        Ok(())
    }
}

impl<E: Into<HandlerError>> IntoHandlerResult for Result<(), E> {
    fn into_handler_result(self) -> Result<(), HandlerError> {
        self.map_err(Into::into)
    }
}

/// What a handler of the request `R` may return: `Result<R::Response, E>`, `E` being the declared error or a
/// [`ServeError`].
#[diagnostic::on_unimplemented(
    message = "a handler of `{R}` can't return `{Self}`",
    note = "return `Result<Response, Error>` with the contract's own response and declared error, or \
            `Result<Response, ServeError<Error>>`"
)]
pub trait IntoRpcResult<R: Rpc> {
    /// As the service wants it.
    ///
    /// # Errors
    /// The handler's own.
    fn into_rpc_result(self) -> Result<R::Response, ServeError<R::Error>>;
}

impl<R: Rpc, E: Into<ServeError<R::Error>>> IntoRpcResult<R> for Result<R::Response, E> {
    fn into_rpc_result(self) -> Result<R::Response, ServeError<R::Error>> {
        self.map_err(Into::into)
    }
}

/// An `async fn(E)` or `async fn(E, Meta)` that handles events.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler of events",
    note = "a handler is an `async fn(Event)` or `async fn(Event, Meta)` that returns `()` or `Result<(), HandlerError>`; \
            its future must be `Send`, so hold no `Rc` or guard across an `.await`",
    note = "`on` wants a generated event type as the first argument, `on_topic` wants `AnyEvent`"
)]
pub trait Handler<E, Args>: Send + Sync + 'static {
    /// Handles one event.
    fn handle(&self, event: E, meta: Meta) -> impl Future<Output = Result<(), HandlerError>> + Send + 'static;
}

impl<F, Fut, E> Handler<E, (E,)> for F
where
    F: Fn(E) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoHandlerResult> + Send + 'static,
    E: Send + 'static,
{
    fn handle(&self, event: E, _: Meta) -> impl Future<Output = Result<(), HandlerError>> + Send + 'static {
        let running = self(event);
        async move { running.await.into_handler_result() }
    }
}

impl<F, Fut, E> Handler<E, (E, Meta)> for F
where
    F: Fn(E, Meta) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoHandlerResult> + Send + 'static,
    E: Send + 'static,
{
    fn handle(&self, event: E, meta: Meta) -> impl Future<Output = Result<(), HandlerError>> + Send + 'static {
        let running = self(event, meta);
        async move { running.await.into_handler_result() }
    }
}

/// An `async fn(R)` or `async fn(R, Meta)` that answers requests.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler of requests",
    note = "a handler is an `async fn(Request)` or `async fn(Request, Meta)` that returns `Result<Response, Error>` with the \
            contract's own types; its future must be `Send`, so hold no `Rc` or guard across an `.await`"
)]
pub trait RpcHandler<R: Rpc, Args>: Send + Sync + 'static {
    /// Answers one request.
    fn answer(
        &self,
        request: R,
        meta: Meta,
    ) -> impl Future<Output = Result<R::Response, ServeError<R::Error>>> + Send + 'static;
}

impl<F, Fut, R> RpcHandler<R, (R,)> for F
where
    F: Fn(R) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoRpcResult<R>> + Send + 'static,
    R: Rpc,
{
    fn answer(
        &self,
        request: R,
        _: Meta,
    ) -> impl Future<Output = Result<R::Response, ServeError<R::Error>>> + Send + 'static {
        let running = self(request);
        async move { running.await.into_rpc_result() }
    }
}

impl<F, Fut, R> RpcHandler<R, (R, Meta)> for F
where
    F: Fn(R, Meta) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoRpcResult<R>> + Send + 'static,
    R: Rpc,
{
    fn answer(
        &self,
        request: R,
        meta: Meta,
    ) -> impl Future<Output = Result<R::Response, ServeError<R::Error>>> + Send + 'static {
        let running = self(request, meta);
        async move { running.await.into_rpc_result() }
    }
}

/// A handler's name, for logs and headers: the function's path.
#[derive(Clone, Copy)]
pub(super) struct Named(&'static str);

impl Named {
    pub(super) fn of<T>(_: &T) -> Self {
        Self(any::type_name::<T>())
    }

    pub(super) fn as_str(&self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A handler of events whose type was forgotten. Decodes first, so that a payload that is refused never reaches it.
pub(super) trait ErasedHandler: Send + Sync {
    /// `version` is that of the contract that `payload`, a JSON text, was checked against or is to be.
    fn accept(
        &self,
        payload: &str,
        version: Option<Version>,
        meta: Meta,
    ) -> Result<Boxed<Result<(), HandlerError>>, Invalid>;
}

// Each handler is called within its future: what it does before its first await may panic too.
struct Typed<E, H, Args>(Arc<H>, std::marker::PhantomData<fn(E, Args)>);
struct Untyped<H, Args>(Arc<H>, std::marker::PhantomData<fn(Args)>);

pub(super) fn typed<E: Event, Args: 'static>(handler: impl Handler<E, Args>) -> Arc<dyn ErasedHandler> {
    Arc::new(Typed(Arc::new(handler), std::marker::PhantomData))
}

pub(super) fn untyped<Args: 'static>(handler: impl Handler<AnyEvent, Args>) -> Arc<dyn ErasedHandler> {
    Arc::new(Untyped(Arc::new(handler), std::marker::PhantomData))
}

impl<E: Event, Args: 'static, H: Handler<E, Args>> ErasedHandler for Typed<E, H, Args> {
    fn accept(
        &self,
        payload: &str,
        _: Option<Version>,
        meta: Meta,
    ) -> Result<Boxed<Result<(), HandlerError>>, Invalid> {
        let event: E = E::contract().decode(Part::Payload, payload)?;
        let handler = Arc::clone(&self.0);
        Ok(Box::pin(async move { handler.handle(event, meta).await }))
    }
}

impl<Args: 'static, H: Handler<AnyEvent, Args>> ErasedHandler for Untyped<H, Args> {
    fn accept(
        &self,
        payload: &str,
        version: Option<Version>,
        meta: Meta,
    ) -> Result<Boxed<Result<(), HandlerError>>, Invalid> {
        let event = AnyEvent::new(meta.topic.clone(), version, payload);
        let handler = Arc::clone(&self.0);
        Ok(Box::pin(async move { handler.handle(event, meta).await }))
    }
}

/// What a handler of requests said, as JSON text that the contract accepts.
pub(super) type Answered = Result<String, HandlerError>;

/// A handler of requests whose type was forgotten.
pub(super) trait ErasedRpcHandler: Send + Sync {
    fn accept(&self, request: &str, meta: Meta) -> Result<Boxed<Answered>, Invalid>;
}

struct Serving<R, H, Args>(Arc<H>, std::marker::PhantomData<fn(R, Args)>);

pub(super) fn rpc<R: Rpc, Args: 'static>(handler: impl RpcHandler<R, Args>) -> Arc<dyn ErasedRpcHandler> {
    Arc::new(Serving(Arc::new(handler), std::marker::PhantomData))
}

impl<R: Rpc, Args: 'static, H: RpcHandler<R, Args>> ErasedRpcHandler for Serving<R, H, Args> {
    fn accept(&self, request: &str, meta: Meta) -> Result<Boxed<Answered>, Invalid> {
        let request: R = R::contract().decode(Part::Payload, request)?;
        let handler = Arc::clone(&self.0);
        Ok(Box::pin(async move {
            let contract = R::contract();
            match handler.answer(request, meta).await {
                Ok(response) => Ok(contract.encode(Part::Response, &response)?),
                Err(ServeError::Declared(error)) => Ok(contract.encode(Part::Error, &error)?),
                Err(ServeError::Failed(error)) => Err(error),
            }
        }))
    }
}

/// Runs a handler's future on a task of its own, so that a panic ends that task and nothing else.
///
/// # Errors
/// The panic's message.
pub(super) async fn guarded<T: Send + 'static>(running: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    // Dropped when the service is torn down at its deadline: then the handler must not go on either.
    let mut task = EndsWhenDropped(tokio::spawn(running));
    (&mut task.0).await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "the handler panicked with no text".to_owned()),
        Err(_) => "the handler was cancelled".to_owned(),
    })
}

/// A task that goes with who waits for it.
struct EndsWhenDropped<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for EndsWhenDropped<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
