//! Extractors: what a handler asks for besides its event, each by the type of an argument.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    fmt,
    ops::Deref,
    sync::Arc,
};

use super::{handler::HandlerError, message::Meta};
use crate::{Headers, Salt};

/// A message on its way to a handler: what extractors and middleware see of it. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Delivered {
    pub(super) meta: Arc<Meta>,
    pub(super) payload: Arc<String>,
    pub(super) handler: &'static str,
    pub(super) service: Arc<Provided>,
    /// What the registry's contract has against the payload, for handlers that want to know.
    pub(super) verdict: Verdict,
}

/// By which version of the contract the payload was judged, or what speaks against it.
pub(super) type Verdict = Result<Option<celerysalt_contract::Version>, Arc<crate::Invalid>>;

impl Delivered {
    /// What is known of the message.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The payload as it was received, a JSON text.
    pub fn payload(&self) -> &str {
        &self.payload
    }

    /// The handler's name: the path of its function.
    pub fn handler(&self) -> &'static str {
        self.handler
    }

    /// The handle of the service.
    pub fn salt(&self) -> &Salt {
        &self.service.salt
    }

    /// What the service was given by [`Service::state`](super::Service::state), of the type `T`.
    pub fn state<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.service.states.get()
    }
}

/// What all handlers of a service can ask for.
pub(super) struct Provided {
    pub(super) salt: Salt,
    pub(super) states: States,
}

impl fmt::Debug for Provided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provided").field("service", &self.salt.service_name()).finish_non_exhaustive()
    }
}

/// One value a type.
#[derive(Default)]
pub(super) struct States(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl States {
    pub(super) fn insert<T: Clone + Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Box::new(value));
    }

    pub(super) fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref().cloned()
    }

    /// What is missing of what a handler needs.
    pub(super) fn lack(&self, needs: &[Need]) -> Option<&'static str> {
        needs.iter().find(|need| !self.0.contains_key(&need.id)).map(|need| need.name)
    }
}

/// A type of state that a handler can't run without.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    id: TypeId,
    name: &'static str,
}

impl Need {
    /// State of the type `T`.
    pub fn state<T: 'static>() -> Self {
        Self { id: TypeId::of::<T>(), name: type_name::<T>() }
    }
}

/// What a handler can have as an argument after its event: [`Meta`], [`State`], [`Headers`], [`Raw`], [`Salt`],
/// [`Delivered`]; and types of the service's own.
///
/// ```
/// use celerysalt::{HandlerError, service::{Delivered, FromDelivery}};
///
/// /// The tenant that a message belongs to.
/// struct Tenant(String);
///
/// impl FromDelivery for Tenant {
///     fn from_delivery(delivered: &Delivered) -> Result<Self, HandlerError> {
///         let tenant = delivered.meta().headers.get("x-tenant").and_then(|value| value.as_str());
///         tenant.map(|name| Self(name.to_owned())).ok_or_else(|| HandlerError::reject("no x-tenant"))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an argument of a handler",
    label = "no extractor",
    note = "after its event a handler may take, in any order and up to six: `Meta`, `State<T>` (given by \
            `Service::state`), `Headers`, `Raw`, `Salt`, `Delivered`, and types that implement `FromDelivery`"
)]
pub trait FromDelivery: Sized + Send + 'static {
    /// The value for one message.
    ///
    /// # Errors
    /// Then the handler has failed with this error.
    fn from_delivery(delivered: &Delivered) -> Result<Self, HandlerError>;

    /// What the service must have been given for it; [`Service::start`](super::Service::start) says what is missing.
    fn needs() -> Option<Need> {
        None
    }
}

impl FromDelivery for Meta {
    fn from_delivery(delivered: &Delivered) -> Result<Self, HandlerError> {
        Ok(Meta::clone(&delivered.meta))
    }
}

impl FromDelivery for Delivered {
    fn from_delivery(delivered: &Delivered) -> Result<Self, HandlerError> {
        Ok(delivered.clone())
    }
}

/// The handle of the service: to publish with options, and to call.
impl FromDelivery for Salt {
    fn from_delivery(delivered: &Delivered) -> Result<Self, HandlerError> {
        Ok(delivered.salt().clone())
    }
}

/// What the service was given by [`Service::state`](super::Service::state): a pool, a cache, settings. Derefs to it.
///
/// ```
/// # use celerysalt::{AnyEvent, HandlerError, State, Salt, service::Service};
/// #[derive(Clone)]
/// struct Mailer;
///
/// async fn send(event: AnyEvent, State(mailer): State<Mailer>) {}
///
/// fn wiring(salt: &Salt) -> Service {
///     salt.service().state(Mailer).on_raw("pulse.#", send)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State<T>(pub T);

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone + Send + Sync + 'static> FromDelivery for State<T> {
    fn from_delivery(delivered: &Delivered) -> Result<Self, HandlerError> {
        let missing = || HandlerError::reject(format!("the service has no state of the type {}", type_name::<T>()));
        delivered.state().map(State).ok_or_else(missing)
    }

    fn needs() -> Option<Need> {
        Some(Need::state::<T>())
    }
}

/// The payload as it was received, a JSON text: byte for byte what the sender wrote, but for the envelope's own field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw(Arc<String>);

impl Raw {
    /// The JSON text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl FromDelivery for Raw {
    fn from_delivery(delivered: &Delivered) -> Result<Self, HandlerError> {
        Ok(Self(Arc::clone(&delivered.payload)))
    }
}

impl FromDelivery for Headers {
    fn from_delivery(delivered: &Delivered) -> Result<Self, HandlerError> {
        Ok(delivered.meta.headers.clone())
    }
}
