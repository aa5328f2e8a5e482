//! Hooks: what a service does before and after it publishes, for one type of event or for topics by pattern.
//!
//! They are registered when the handle is made, and act on every way out of it:
//!
//! | way out | before | after |
//! | --- | --- | --- |
//! | `event.publish`, `salt.publish_json` | yes | yes, once it is confirmed |
//! | `E::publish_batch` | yes, for all of them before the first is sent | yes, for each, once all are settled |
//! | `event.publish_in`, `.in_transaction` (outbox) | yes, within the call that writes it | no, which is logged once: it is published after the commit by a relay, which may be another process and knows no hooks |
//! | events that handlers and hooks return | yes | yes |
//! | `request.call` | yes, unless the answer is in the cache | no: what comes after a call is its reply |
//! | replies, replays, a relay's sending, requeued dead letters | no | no |

use std::{any, borrow::Cow, fmt, future::Future, pin::Pin, sync::Arc};

use celerysalt_contract::{TopicPattern, Version};
use serde_json::Map;

use crate::{
    Headers, Salt,
    cascade::{self, FollowUp},
    chain,
    error::{ConnectError, PublishError},
    event::{Event, EventContract},
    invalid::Part,
    publish::Options,
    receipt::Receipt,
    service::{AnyEvent, HandlerError, IntoHandlerResult},
};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why a hook does not let an event out.
///
/// ```
/// use celerysalt::Veto;
///
/// assert_eq!(Veto::new("pending_approval").reason(), "pending_approval");
/// ```
///
/// Any [`std::error::Error`] becomes one by `?`: then it is the hook that failed
/// ([`PublishError::HookFailed`]), and it is not known whether the event should go out.
#[derive(Debug)]
pub struct Veto {
    reason: String,
    failed: bool,
}

impl Veto {
    /// The reason in a word that programs can compare, such as `pending_approval`. It goes into errors and logs.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), failed: false }
    }

    /// The reason, or what failed.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl<E: std::error::Error> From<E> for Veto {
    fn from(error: E) -> Self {
        Self { reason: error.to_string(), failed: true }
    }
}

/// What is about to be sent, besides its payload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Draft {
    /// The topic.
    pub topic: String,
    /// The version of the contract; `None` when it is published without one.
    pub version: Option<Version>,
    /// The routing key; the topic unless the caller said otherwise.
    pub routing_key: String,
    /// The headers that the caller and earlier hooks have added.
    pub headers: Headers,
    /// Whether it is a call.
    pub is_rpc: bool,
    /// How many messages stand before it in its chain, see [`Meta::depth`](crate::Meta::depth).
    pub depth: u32,
}

/// What was published, besides its payload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Published {
    /// The topic.
    pub topic: String,
    /// The version of the contract; `None` when it was published without one.
    pub version: Option<Version>,
    /// What the broker confirmed.
    pub receipt: Receipt,
    /// How many messages stand before it in its chain, see [`Meta::depth`](crate::Meta::depth).
    pub depth: u32,
    salt: Salt,
}

impl Published {
    /// The handle that it was published by.
    pub fn salt(&self) -> &Salt {
        &self.salt
    }
}

/// What a hook before publishing may return: `()`, [`Headers`] to add, or a `Result` of one of them whose error becomes a
/// [`Veto`].
#[diagnostic::on_unimplemented(
    message = "a hook before publishing can't return `{Self}`",
    note = "return `()`, `Headers`, `Result<(), Veto>` or `Result<Headers, Veto>`"
)]
pub trait IntoVerdict {
    /// The headers to add.
    ///
    /// # Errors
    /// The hook's veto.
    fn into_verdict(self) -> Result<Headers, Veto>;
}

impl IntoVerdict for () {
    fn into_verdict(self) -> Result<Headers, Veto> {
        Ok(Headers::default())
    }
}

impl IntoVerdict for Headers {
    fn into_verdict(self) -> Result<Headers, Veto> {
        Ok(self)
    }
}

impl<V: Into<Veto>> IntoVerdict for Result<(), V> {
    fn into_verdict(self) -> Result<Headers, Veto> {
        self.map(|()| Headers::default()).map_err(Into::into)
    }
}

impl<V: Into<Veto>> IntoVerdict for Result<Headers, V> {
    fn into_verdict(self) -> Result<Headers, Veto> {
        self.map_err(Into::into)
    }
}

/// An `async fn(E)` or `async fn(E, Draft)` that looks at events before they are published.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no hook before publishing",
    note = "it is an `async fn(Event)` or `async fn(Event, Draft)` that returns `()`, `Headers`, `Result<(), Veto>` or \
            `Result<Headers, Veto>`; `before_publish` wants a generated event type, `before_publish_on` wants `AnyEvent`"
)]
pub trait BeforePublish<E, Args>: Send + Sync + 'static {
    /// Looks at one event.
    fn look(&self, event: E, draft: Draft) -> impl Future<Output = Result<Headers, Veto>> + Send + 'static;
}

impl<F, Fut, E> BeforePublish<E, (E,)> for F
where
    F: Fn(E) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoVerdict> + Send + 'static,
    E: Send + 'static,
{
    fn look(&self, event: E, _: Draft) -> impl Future<Output = Result<Headers, Veto>> + Send + 'static {
        let running = self(event);
        async move { running.await.into_verdict() }
    }
}

impl<F, Fut, E> BeforePublish<E, (E, Draft)> for F
where
    F: Fn(E, Draft) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoVerdict> + Send + 'static,
    E: Send + 'static,
{
    fn look(&self, event: E, draft: Draft) -> impl Future<Output = Result<Headers, Veto>> + Send + 'static {
        let running = self(event, draft);
        async move { running.await.into_verdict() }
    }
}

/// An `async fn(E)` or `async fn(E, Published)` that is told of events that were published, and returns what handlers do.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no hook after publishing",
    note = "it is an `async fn(Event)` or `async fn(Event, Published)` that returns what a handler may return: `()`, events \
            to publish next, or a `Result` of those; `after_publish` wants a generated event type, `after_publish_on` wants \
            `AnyEvent`"
)]
pub trait AfterPublish<E, Args>: Send + Sync + 'static {
    /// Is told of one event.
    fn told(
        &self,
        event: E,
        published: Published,
    ) -> impl Future<Output = Result<Vec<FollowUp>, HandlerError>> + Send + 'static;
}

impl<F, Fut, E> AfterPublish<E, (E,)> for F
where
    F: Fn(E) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoHandlerResult> + Send + 'static,
    E: Send + 'static,
{
    fn told(
        &self,
        event: E,
        _: Published,
    ) -> impl Future<Output = Result<Vec<FollowUp>, HandlerError>> + Send + 'static {
        let running = self(event);
        async move { running.await.into_handler_result() }
    }
}

impl<F, Fut, E> AfterPublish<E, (E, Published)> for F
where
    F: Fn(E, Published) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoHandlerResult> + Send + 'static,
    E: Send + 'static,
{
    fn told(
        &self,
        event: E,
        published: Published,
    ) -> impl Future<Output = Result<Vec<FollowUp>, HandlerError>> + Send + 'static {
        let running = self(event, published);
        async move { running.await.into_handler_result() }
    }
}

/// A hook whose types were forgotten: from a payload and what is known of it to its verdict. `None` when the payload is none
/// of its events.
type Erased<A, T> = Box<dyn Fn(&str, A) -> Option<Boxed<T>> + Send + Sync>;
type Before = Hook<Erased<Draft, Result<Headers, Veto>>>;
type After = Hook<Erased<Published, Result<Vec<FollowUp>, HandlerError>>>;

struct Hook<F> {
    name: &'static str,
    of: Of,
    run: F,
    /// Whether it was said that the outbox does not tell it.
    #[cfg(feature = "outbox")]
    is_left_out: std::sync::atomic::AtomicBool,
}

impl<F> Hook<F> {
    fn new(name: &'static str, of: Of, run: F) -> Self {
        Self {
            name,
            of,
            run,
            #[cfg(feature = "outbox")]
            is_left_out: std::sync::atomic::AtomicBool::default(),
        }
    }
}

/// Which events a hook is about.
enum Of {
    Contract(&'static EventContract),
    Topics(TopicPattern),
}

impl Of {
    fn takes(&self, topic: &str, version: Option<&Version>) -> bool {
        match self {
            Self::Contract(contract) => {
                contract.topic() == topic && version.is_none_or(|version| version == contract.version())
            }
            Self::Topics(pattern) => pattern.matches(topic),
        }
    }
}

/// The hooks of one handle.
#[derive(Default)]
pub(crate) struct Hooks {
    before: Vec<Before>,
    after: Vec<After>,
    /// Patterns that are none, with the reason.
    refused: Vec<(String, String)>,
    limit: Option<u32>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before: Vec<_> = self.before.iter().map(|hook| hook.name).collect();
        let after: Vec<_> = self.after.iter().map(|hook| hook.name).collect();
        f.debug_struct("Hooks").field("before", &before).field("after", &after).finish_non_exhaustive()
    }
}

fn typed<E: Event>(payload: &str) -> Option<E> {
    E::contract().decode(Part::Payload, payload).ok()
}

impl Hooks {
    pub(crate) fn before<E: Event, Args>(&mut self, hook: impl BeforePublish<E, Args>) {
        let name = any::type_name_of_val(&hook);
        let hook = Arc::new(hook);
        let run: Erased<_, _> = Box::new(move |payload, draft| {
            let (hook, event) = (Arc::clone(&hook), typed::<E>(payload)?);
            Some(Box::pin(async move { hook.look(event, draft).await }))
        });
        self.before.push(Hook::new(name, Of::Contract(E::contract()), run));
    }

    pub(crate) fn before_on<Args>(&mut self, pattern: &str, hook: impl BeforePublish<AnyEvent, Args>) {
        let name = any::type_name_of_val(&hook);
        let hook = Arc::new(hook);
        let Some(of) = self.topics(pattern) else { return };
        let run: Erased<Draft, _> = Box::new(move |payload, draft| {
            let event = AnyEvent::new(draft.topic.clone(), draft.version.clone(), payload);
            let hook = Arc::clone(&hook);
            Some(Box::pin(async move { hook.look(event, draft).await }))
        });
        self.before.push(Hook::new(name, of, run));
    }

    pub(crate) fn after<E: Event, Args>(&mut self, hook: impl AfterPublish<E, Args>) {
        let name = any::type_name_of_val(&hook);
        let hook = Arc::new(hook);
        let run: Erased<_, _> = Box::new(move |payload, published| {
            let (hook, event) = (Arc::clone(&hook), typed::<E>(payload)?);
            Some(Box::pin(async move { hook.told(event, published).await }))
        });
        self.after.push(Hook::new(name, Of::Contract(E::contract()), run));
    }

    pub(crate) fn after_on<Args>(&mut self, pattern: &str, hook: impl AfterPublish<AnyEvent, Args>) {
        let name = any::type_name_of_val(&hook);
        let hook = Arc::new(hook);
        let Some(of) = self.topics(pattern) else { return };
        let run: Erased<Published, _> = Box::new(move |payload, published| {
            let event = AnyEvent::new(published.topic.clone(), published.version.clone(), payload);
            let hook = Arc::clone(&hook);
            Some(Box::pin(async move { hook.told(event, published).await }))
        });
        self.after.push(Hook::new(name, of, run));
    }

    fn topics(&mut self, pattern: &str) -> Option<Of> {
        match pattern.parse() {
            Ok(pattern) => Some(Of::Topics(pattern)),
            Err(error) => {
                self.refused.push((pattern.to_owned(), format!("{error}")));
                None
            }
        }
    }

    pub(crate) fn limit(&mut self, messages: u32) {
        self.limit = Some(messages);
    }

    /// # Errors
    /// The first pattern that is none.
    pub(crate) fn checked(mut self) -> Result<Self, ConnectError> {
        match self.refused.pop() {
            Some((pattern, reason)) => Err(ConnectError::TopicPattern { pattern, reason }),
            None => Ok(self),
        }
    }

    /// The limit that what is sent now would go beyond.
    pub(crate) fn beyond(&self) -> Option<u32> {
        let limit = self.limit.unwrap_or(cascade::DEFAULT_LIMIT);
        (cascade::depth() > limit).then_some(limit)
    }

    /// Whether nobody wants to hear of what was published.
    pub(crate) fn after_is_empty(&self) -> bool {
        self.after.is_empty()
    }

    /// An event is written in a transaction: the hooks after publishing will not be told of it, which is said once of each.
    #[cfg(feature = "outbox")]
    pub(crate) fn leave_out(&self, topic: &str, version: Option<&Version>) {
        for hook in self.after.iter().filter(|hook| hook.of.takes(topic, version)) {
            if !hook.is_left_out.swap(true, std::sync::atomic::Ordering::Relaxed) {
                tracing::warn!(
                    hook = hook.name,
                    topic,
                    "a hook after publishing is not told of events that are written in a transaction, for the relay that \
                     publishes them may be another process: what is to follow from them belongs into a handler"
                );
            }
        }
    }

    /// Asks the hooks, and gives the options with the headers that they add.
    ///
    /// # Errors
    /// The first veto, and nothing is to be sent.
    pub(crate) async fn ask<'o>(
        &self,
        topic: &str,
        version: Option<&Version>,
        payload: &str,
        options: &'o Options,
        is_rpc: bool,
    ) -> Result<Cow<'o, Options>, Withheld> {
        let mut options = Cow::Borrowed(options);
        for hook in self.before.iter().filter(|hook| hook.of.takes(topic, version)) {
            let draft = Draft {
                topic: topic.to_owned(),
                version: version.cloned(),
                routing_key: options.routing_key.clone().unwrap_or_else(|| topic.to_owned()),
                headers: options.headers.clone().into(),
                is_rpc,
                depth: cascade::depth(),
            };
            let Some(looking) = (hook.run)(payload, draft) else { continue };
            let added =
                looking.await.map_err(|Veto { reason, failed }| Withheld { reason, failed, hook: hook.name })?;
            if !added.is_empty() {
                options.to_mut().headers.extend(Map::from(added));
            }
        }
        Ok(options)
    }

    /// Tells the hooks what was published, and publishes what follows from it.
    ///
    /// # Errors
    /// [`PublishError::After`]; the event itself is published.
    pub(crate) async fn tell(
        &self,
        salt: &Salt,
        topic: &str,
        version: Option<&Version>,
        payload: &str,
        receipt: &Receipt,
    ) -> Result<(), PublishError> {
        let depth = cascade::depth();
        for hook in self.after.iter().filter(|hook| hook.of.takes(topic, version)) {
            let published = Published {
                topic: topic.to_owned(),
                version: version.cloned(),
                receipt: receipt.clone(),
                depth,
                salt: salt.clone(),
            };
            let Some(telling) = (hook.run)(payload, published) else { continue };
            let salt = salt.clone();
            let done = chain::walk(cascade::after(depth, async move {
                for next in telling.await? {
                    next.publish(&salt).await?;
                }
                Ok::<(), HandlerError>(())
            }));
            done.await.map_err(|error| PublishError::After {
                topic: topic.to_owned(),
                receipt: Box::new(receipt.clone()),
                hook: hook.name,
                reason: shortened(error.to_string()),
            })?;
        }
        Ok(())
    }
}

/// How much of a reason is told at its beginning, and at its end.
const TOLD: usize = 4096;

/// In a long chain each event tells of the failure of the next: what comes first and what is behind it all is kept.
fn shortened(reason: String) -> String {
    if reason.len() <= 2 * TOLD {
        return reason;
    }
    let (begin, end) = (reason.floor_char_boundary(TOLD), reason.ceil_char_boundary(reason.len() - TOLD));
    format!("{} [...] {}", &reason[..begin], &reason[end..])
}

/// That a hook did not let something out.
#[derive(Debug)]
pub(crate) struct Withheld {
    reason: String,
    failed: bool,
    hook: &'static str,
}

impl Withheld {
    pub(crate) fn publishing(self, topic: &str) -> PublishError {
        let (topic, Self { reason, failed, hook }) = (topic.to_owned(), self);
        if failed {
            PublishError::HookFailed { topic, hook, reason }
        } else {
            PublishError::Vetoed { topic, hook, reason }
        }
    }

    pub(crate) fn calling<E: crate::DeclaredError>(self, topic: &str) -> crate::CallError<E> {
        let (topic, Self { reason, failed, hook }) = (topic.to_owned(), self);
        if failed {
            crate::CallError::HookFailed { topic, hook, reason }
        } else {
            crate::CallError::Vetoed { topic, hook, reason }
        }
    }
}
