//! Handlers: plain async functions, and what they may return.

use std::{any, error::Error, fmt, future::Future, pin::Pin, sync::Arc};

use super::{
    extract::{Delivered, FromDelivery, Need},
    message::AnyEvent,
};
use crate::{
    Salt,
    cascade::{FollowUp, FollowUps},
    error::PublishError,
    event::{DeclaredError, Event, Rpc},
    invalid::{Invalid, Part},
};

pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why a handler did not handle an event.
///
/// Any [`std::error::Error`] becomes one by `?`: the handler is tried again, as the service's
/// [`Retry`](super::Retry) says, for most failures pass. What [`reject`](HandlerError::reject) makes is not tried again.
/// In the end the message is kept in the service's dead-letter queue, with this error's text in a header; so the text
/// must not hold what must not be stored.
pub struct HandlerError {
    message: String,
    is_final: bool,
    /// The contract refuses the payload, so that the handler was not called.
    refused: Option<Box<Invalid>>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl HandlerError {
    /// An error with a text of its own, after which the handler is tried again.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_final: false, refused: None, source: None }
    }

    /// An error that no further try can mend: the message goes to the dead-letter queue at once.
    pub fn reject(message: impl Into<String>) -> Self {
        Self { is_final: true, ..Self::new(message) }
    }

    /// Whether the handler is not to be tried again.
    pub fn is_final(&self) -> bool {
        self.is_final
    }

    /// What middleware is told when the contract refuses the payload.
    #[cfg(feature = "tower")]
    pub(super) fn refused(invalid: Invalid) -> Self {
        Self { refused: Some(Box::new(invalid.clone())), ..Self::from(invalid) }
    }

    /// That the contract refuses the payload, or else the error.
    pub(super) fn into_refusal(self) -> Result<Invalid, Self> {
        match self.refused {
            Some(invalid) => Ok(*invalid),
            None => Err(self),
        }
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
        let source: Box<dyn Error + Send + Sync> = Box::new(error);
        // A veto, and a chain that has become too long, are the same at the next try.
        let refused = source.downcast_ref::<PublishError>();
        let is_final = matches!(refused, Some(PublishError::Vetoed { .. } | PublishError::TooDeep { .. }));
        Self { message, is_final, refused: None, source: Some(source) }
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

/// What a handler of events may return: `()`, events that are to be published next (see
/// [`FollowUps`](crate::FollowUps)), or a `Result` of those with any error that becomes a [`HandlerError`].
#[diagnostic::on_unimplemented(
    message = "a handler of events can't return `{Self}`",
    note = "return `()`, or `Result<(), HandlerError>`; `?` turns any `std::error::Error` into a `HandlerError`",
    note = "events that it returns, alone or in an `Option`, a `Vec` or a tuple, are published before its message is acked"
)]
pub trait IntoHandlerResult {
    /// As the service wants it.
    ///
    /// # Errors
    /// The handler's own.
    fn into_handler_result(self) -> Result<Vec<FollowUp>, HandlerError>;
}

#[diagnostic::do_not_recommend]
impl<F: FollowUps> IntoHandlerResult for F {
    fn into_handler_result(self) -> Result<Vec<FollowUp>, HandlerError> {
        let mut events = Vec::new();
        self.collect_into(&mut events);
        Ok(events)
    }
}

impl<F: FollowUps, E: Into<HandlerError>> IntoHandlerResult for Result<F, E> {
    fn into_handler_result(self) -> Result<Vec<FollowUp>, HandlerError> {
        self.map_err(Into::into)?.into_handler_result()
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

/// An `async fn(E, ..)` that handles events: the event, or `Result<E, Invalid>` to be given what the contract refuses too;
/// then up to six [extractors](super::FromDelivery).
// One implementation for all functions: so the compiler names the part of a function that does not fit (an argument, what it
// returns, what its future holds). Were there one for each number of arguments, it could only say that none fits.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler of events",
    note = "a handler is an `async fn(Event, ..)` that returns `()`, events, or a `Result` of those with a `HandlerError`",
    note = "after the event may come up to six of `Meta`, `State<T>`, `Headers`, `Raw`, `Salt`, and what implements \
            `FromDelivery`",
    note = "`on` wants a generated event type as the first argument, `on_topic` wants `AnyEvent`"
)]
pub trait Handler<E, Args>: Send + Sync + 'static {
    /// Handles one event, or what the contract refuses.
    fn handle(
        &self,
        event: Result<E, Invalid>,
        delivered: &Delivered,
    ) -> impl Future<Output = Result<Vec<FollowUp>, HandlerError>> + Send + 'static;

    /// Whether it is given what the contract refuses, which is dead-lettered otherwise.
    fn takes_refused() -> bool;

    /// What the service must have been given for it.
    fn needs() -> Vec<Need>;
}

impl<F, E, Args> Handler<E, Args> for F
where
    F: AsyncFunction<Args, Running: Send + 'static, Returned: IntoHandlerResult>,
    Args: Arguments<E>,
{
    fn handle(
        &self,
        event: Result<E, Invalid>,
        delivered: &Delivered,
    ) -> impl Future<Output = Result<Vec<FollowUp>, HandlerError>> + Send + 'static {
        let running = Args::gather(event, delivered).map(|arguments| self.run(arguments));
        async move { running?.await.into_handler_result() }
    }

    fn takes_refused() -> bool {
        Args::TAKE_REFUSED
    }

    fn needs() -> Vec<Need> {
        Args::needs()
    }
}

/// An `async fn(R, ..)` that answers requests: the request, or `Result<R, Invalid>` to answer what the contract refuses too;
/// then up to six [extractors](super::FromDelivery).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler of requests",
    note = "a handler is an `async fn(Request, ..)` that returns `Result<Response, Error>` with the contract's own types",
    note = "after the request may come up to six of `Meta`, `State<T>`, `Headers`, `Raw`, `Salt`, and what implements \
            `FromDelivery`"
)]
pub trait RpcHandler<R: Rpc, Args>: Send + Sync + 'static {
    /// Answers one request, or what the contract refuses.
    fn answer(
        &self,
        request: Result<R, Invalid>,
        delivered: &Delivered,
    ) -> impl Future<Output = Result<R::Response, ServeError<R::Error>>> + Send + 'static;

    /// Whether it is given what the contract refuses; its caller is told of that otherwise.
    fn takes_refused() -> bool;

    /// What the service must have been given for it.
    fn needs() -> Vec<Need>;
}

impl<F, R, Args> RpcHandler<R, Args> for F
where
    F: AsyncFunction<Args, Running: Send + 'static, Returned: IntoRpcResult<R>>,
    R: Rpc,
    Args: Arguments<R>,
{
    fn answer(
        &self,
        request: Result<R, Invalid>,
        delivered: &Delivered,
    ) -> impl Future<Output = Result<R::Response, ServeError<R::Error>>> + Send + 'static {
        let running = Args::gather(request, delivered).map(|arguments| self.run(arguments));
        async move { running.map_err(ServeError::Failed)?.await.into_rpc_result() }
    }

    fn takes_refused() -> bool {
        Args::TAKE_REFUSED
    }

    fn needs() -> Vec<Need> {
        Args::needs()
    }
}

/// What handlers can be about: events and requests by type, and [`AnyEvent`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event",
    label = "the first argument of a handler is an event or a request, or `Result<E, Invalid>` of one"
)]
pub trait Subject: Send + 'static {}

#[diagnostic::do_not_recommend]
impl<E: Event> Subject for E {}
impl Subject for AnyEvent {}

/// An `async fn` of one to seven arguments; they are one tuple here.
pub trait AsyncFunction<Args>: Send + Sync + 'static {
    /// What it returns.
    type Returned;
    /// Its future.
    type Running: Future<Output = Self::Returned>;

    /// Calls it.
    fn run(&self, arguments: Args) -> Self::Running;
}

/// The arguments of a handler of `E`, as a tuple: what it is about, then [extractors](super::FromDelivery).
pub trait Arguments<E>: Sized {
    /// Whether the first is a `Result`, for what the contract refuses.
    const TAKE_REFUSED: bool;

    /// All of them, for one message.
    ///
    /// # Errors
    /// An extractor's own; what the contract has against the message, where there is no place for it.
    fn gather(event: Result<E, Invalid>, delivered: &Delivered) -> Result<Self, HandlerError>;

    /// What the service must have been given for the extractors.
    fn needs() -> Vec<Need>;
}

/// What is left for a handler that wants no refusals.
fn allowed<E>(event: Result<E, Invalid>) -> Result<E, HandlerError> {
    event.map_err(HandlerError::from)
}

/// Each number of extractors: functions of so many, and their arguments with and without a place for refusals.
macro_rules! arguments {
    ($(($($extractor:ident)*))+) => {
        $(
            impl<F, Fut, E, $($extractor,)*> AsyncFunction<(E, $($extractor,)*)> for F
            where
                F: Fn(E, $($extractor),*) -> Fut + Send + Sync + 'static,
                Fut: Future,
            {
                type Returned = Fut::Output;
                type Running = Fut;

                #[allow(non_snake_case, reason = "one name for the type and the value")]
                fn run(&self, (event, $($extractor,)*): (E, $($extractor,)*)) -> Fut {
                    self(event, $($extractor),*)
                }
            }

            arguments!(of E, false, allowed, $($extractor)*);
            arguments!(of Result<E, Invalid>, true, Ok::<_, HandlerError>, $($extractor)*);
        )+
    };
    (of $first:ty, $take_refused:literal, $given:expr, $($extractor:ident)*) => {
        impl<E: Subject, $($extractor: FromDelivery,)*> Arguments<E> for ($first, $($extractor,)*) {
            const TAKE_REFUSED: bool = $take_refused;

            #[allow(unused_variables, reason = "a handler may have no extractors")]
            fn gather(event: Result<E, Invalid>, delivered: &Delivered) -> Result<Self, HandlerError> {
                Ok(($given(event)?, $($extractor::from_delivery(delivered)?,)*))
            }

            fn needs() -> Vec<Need> {
                let needs: &[Option<Need>] = &[$($extractor::needs()),*];
                needs.iter().copied().flatten().collect()
            }
        }
    };
}
arguments!(() (A1) (A1 A2) (A1 A2 A3) (A1 A2 A3 A4) (A1 A2 A3 A4 A5) (A1 A2 A3 A4 A5 A6));

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

/// What a handler has made of a message. Middleware passes it on.
#[derive(Debug)]
pub struct Handled {
    /// For a request: the answer, JSON text that the contract accepts.
    pub(super) answer: Option<String>,
}

/// What a handler's run comes to.
pub(super) type Outcome = Result<Handled, HandlerError>;

/// A handler whose type was forgotten. Decodes first, so that a payload that is refused never reaches one that does not
/// ask for it.
pub(super) trait ErasedHandler: Send + Sync {
    /// # Errors
    /// That the contract refuses the payload.
    fn accept(&self, delivered: &Delivered) -> Result<Boxed<Outcome>, Invalid>;

    fn takes_refused(&self) -> bool;

    fn needs(&self) -> Vec<Need>;
}

// Each handler is called within its future: what it does before its first await may panic too.
struct Typed<E, H, Args>(Arc<H>, std::marker::PhantomData<fn(E, Args)>);
struct Untyped<H, Args>(Arc<H>, std::marker::PhantomData<fn(Args)>);
struct Serving<R, H, Args>(Arc<H>, std::marker::PhantomData<fn(R, Args)>);

pub(super) fn typed<E: Event, Args: 'static>(handler: impl Handler<E, Args>) -> Arc<dyn ErasedHandler> {
    Arc::new(Typed(Arc::new(handler), std::marker::PhantomData))
}

pub(super) fn untyped<Args: 'static>(handler: impl Handler<AnyEvent, Args>) -> Arc<dyn ErasedHandler> {
    Arc::new(Untyped(Arc::new(handler), std::marker::PhantomData))
}

pub(super) fn rpc<R: Rpc, Args: 'static>(handler: impl RpcHandler<R, Args>) -> Arc<dyn ErasedHandler> {
    Arc::new(Serving(Arc::new(handler), std::marker::PhantomData))
}

/// Publishes what a handler of events returned, before its message is acked.
async fn published(salt: Salt, events: Vec<FollowUp>) -> Outcome {
    for event in events {
        event.publish(&salt).await?;
    }
    Ok(Handled { answer: None })
}

/// What its handler can do something with, or else the refusal.
fn asked_for<T>(judged: Result<T, Invalid>, takes_refused: bool) -> Result<Result<T, Invalid>, Invalid> {
    if takes_refused { Ok(judged) } else { judged.map(Ok) }
}

impl<E: Event, Args: 'static, H: Handler<E, Args>> ErasedHandler for Typed<E, H, Args> {
    fn accept(&self, delivered: &Delivered) -> Result<Boxed<Outcome>, Invalid> {
        let event = asked_for(E::contract().decode(Part::Payload, &delivered.payload), H::takes_refused())?;
        let (handler, delivered) = (Arc::clone(&self.0), delivered.clone());
        Ok(Box::pin(async move {
            let events = handler.handle(event, &delivered).await?;
            published(delivered.service.salt.clone(), events).await
        }))
    }

    fn takes_refused(&self) -> bool {
        H::takes_refused()
    }

    fn needs(&self) -> Vec<Need> {
        H::needs()
    }
}

impl<Args: 'static, H: Handler<AnyEvent, Args>> ErasedHandler for Untyped<H, Args> {
    fn accept(&self, delivered: &Delivered) -> Result<Boxed<Outcome>, Invalid> {
        let judged = delivered.verdict.clone().map_err(Arc::unwrap_or_clone);
        let event = judged.map(|version| AnyEvent::new(delivered.meta.topic.clone(), version, &delivered.payload));
        let event = asked_for(event, H::takes_refused())?;
        let (handler, delivered) = (Arc::clone(&self.0), delivered.clone());
        Ok(Box::pin(async move {
            let events = handler.handle(event, &delivered).await?;
            published(delivered.service.salt.clone(), events).await
        }))
    }

    fn takes_refused(&self) -> bool {
        H::takes_refused()
    }

    fn needs(&self) -> Vec<Need> {
        H::needs()
    }
}

impl<R: Rpc, Args: 'static, H: RpcHandler<R, Args>> ErasedHandler for Serving<R, H, Args> {
    fn accept(&self, delivered: &Delivered) -> Result<Boxed<Outcome>, Invalid> {
        let request = asked_for(R::contract().decode(Part::Payload, &delivered.payload), H::takes_refused())?;
        let (handler, delivered) = (Arc::clone(&self.0), delivered.clone());
        Ok(Box::pin(async move {
            let contract = R::contract();
            let answer = match handler.answer(request, &delivered).await {
                Ok(response) => contract.encode(Part::Response, &response)?,
                Err(ServeError::Declared(error)) => contract.encode(Part::Error, &error)?,
                Err(ServeError::Failed(error)) => return Err(error),
            };
            Ok(Handled { answer: Some(answer) })
        }))
    }

    fn takes_refused(&self) -> bool {
        H::takes_refused()
    }

    fn needs(&self) -> Vec<Need> {
        H::needs()
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
