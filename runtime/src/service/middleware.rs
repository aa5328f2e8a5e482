//! Middleware: tower layers around handlers.
//!
//! A handler as a [`tower_service::Service`] takes a [`Delivered`] message and gives [`Handled`]; what a layer makes of it
//! takes its place. So timing, access checks, a semaphore or a circuit breaker are written once, or come from `tower`.

use std::{
    error::Error,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tower_layer::Layer;

use super::{
    Service,
    extract::{Delivered, Need},
    handler::{Boxed, ErasedHandler, Handled, HandlerError, Outcome},
};
use crate::invalid::Invalid;

/// The error that tower's own middleware has.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A handler as a tower service: decoding, the handler itself, and publishing what it returned.
///
/// Calling it again handles the message again.
#[derive(Clone)]
pub struct HandlerService(Arc<dyn ErasedHandler>);

impl fmt::Debug for HandlerService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerService")
    }
}

impl tower_service::Service<Delivered> for HandlerService {
    type Response = Handled;
    type Error = HandlerError;
    type Future = Pin<Box<dyn Future<Output = Outcome> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, delivered: Delivered) -> Self::Future {
        let handler = Arc::clone(&self.0);
        Box::pin(async move { handler.accept(&delivered).map_err(HandlerError::refused)?.await })
    }
}

/// Keeps what a [`HandlerError`] says on its way through middleware whose errors are boxed.
struct Kept(HandlerError);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Kept {}

impl From<HandlerError> for BoxError {
    fn from(error: HandlerError) -> Self {
        Box::new(Kept(error))
    }
}

/// An error of middleware, or the handler's own as it was.
fn returned(error: BoxError) -> HandlerError {
    match error.downcast::<Kept>() {
        Ok(kept) => kept.0,
        Err(error) => HandlerError::new(error.to_string()),
    }
}

/// A handler with a layer around it.
struct Layered<S> {
    service: S,
    inner: Arc<dyn ErasedHandler>,
}

impl<S> ErasedHandler for Layered<S>
where
    S: tower_service::Service<Delivered, Response = Handled, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    fn accept(&self, delivered: &Delivered) -> Result<Boxed<Outcome>, Invalid> {
        let (mut service, delivered) = (self.service.clone(), delivered.clone());
        Ok(Box::pin(async move {
            poll_fn(|context| service.poll_ready(context)).await.map_err(|error| returned(error.into()))?;
            service.call(delivered).await.map_err(|error| returned(error.into()))
        }))
    }

    fn takes_refused(&self) -> bool {
        self.inner.takes_refused()
    }

    fn needs(&self) -> Vec<Need> {
        self.inner.needs()
    }
}

impl Service {
    /// Puts a tower layer around every handler that was added so far, of events and of requests. Of several layers the last
    /// one is outermost. It needs the feature `tower`.
    ///
    /// It sees each try of each handler as a [`Delivered`] message: its meta, its payload, the handler's name. The handler's
    /// timeout, its order and its places are around it; the contract's refusal of a payload and what is published of what
    /// the handler returned are inside. An error that it makes is the handler's failure; it gives no answer of its own.
    ///
    /// ```
    /// use std::{convert::Infallible, task::{Context, Poll}};
    ///
    /// use celerysalt::{AnyEvent, Salt, service::{Delivered, Service}};
    /// use tower_layer::layer_fn;
    ///
    /// /// Says which handler is given what.
    /// #[derive(Clone)]
    /// struct Log<S>(S);
    ///
    /// impl<S: tower_service::Service<Delivered>> tower_service::Service<Delivered> for Log<S> {
    ///     type Response = S::Response;
    ///     type Error = S::Error;
    ///     type Future = S::Future;
    ///
    ///     fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
    ///         self.0.poll_ready(context)
    ///     }
    ///
    ///     fn call(&mut self, delivered: Delivered) -> S::Future {
    ///         println!("{} is given {}", delivered.handler(), delivered.meta().topic);
    ///         self.0.call(delivered)
    ///     }
    /// }
    ///
    /// fn wiring(salt: &Salt) -> Service {
    ///     salt.service().on_raw("pulse.#", |_: AnyEvent| async {}).layer(layer_fn(Log))
    /// }
    /// ```
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<HandlerService>,
        L::Service: tower_service::Service<Delivered, Response = Handled, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        self.around(|inner| Arc::new(Layered { service: layer.layer(HandlerService(Arc::clone(&inner))), inner }))
    }
}
