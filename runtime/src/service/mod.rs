//! A service: its handlers, the queues that feed them, and its end.
//!
//! `transport` delivery → `wire` → route by topic and version → decode and validate → handler → ack, or dead letter.
//! A message is acked after its handler is done, and leaves its queue in no other way than handled or dead-lettered.

mod dead_letter;
mod dispatch;
mod extract;
#[cfg(feature = "testing")]
mod failing;
mod flow;
mod handler;
pub mod headers;
mod lanes;
mod message;
#[cfg(feature = "tower")]
mod middleware;
mod options;
mod queues;
mod rate;
mod retry;
mod rpc;
mod running;
mod seen;
mod shared;

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use celerysalt_contract::{Selector, TopicPattern, Version, VersionRange};

pub use dead_letter::DeadLetterReason;
pub use extract::{Delivered, FromDelivery, Need, Raw, State};
#[cfg(feature = "testing")]
pub(crate) use failing::wrap_failing;
pub use handler::{
    Arguments, AsyncFunction, Handled, Handler, HandlerError, IntoHandlerResult, IntoRpcResult, RpcHandler, ServeError,
    Subject,
};
pub use message::{AnyEvent, Meta};
#[cfg(feature = "tower")]
pub use middleware::{BoxError, HandlerService};
pub use options::{Dedupe, HandlerOptions};
pub use queues::ServiceQueues;
pub use retry::Retry;
#[cfg(feature = "outbox")]
pub(crate) use running::termination;
pub use running::{Running, Shutdown};
pub use shared::Counts;

use crate::{
    Salt,
    error::StartError,
    event::{Broadcast, Event, EventContract, Rpc},
    publish::MAX_PRIORITY,
    transport::{Binding, QueueKind, QueueSpec},
};
use extract::States;
use handler::{ErasedHandler, Named};

/// Unsettled messages that the broker hands to one instance of a service at a time.
const DEFAULT_PREFETCH: u16 = 100;
/// Handlers of one instance that run at a time.
const DEFAULT_CONCURRENCY: usize = 16;
/// How long a shutdown waits for handlers that are running.
const DEFAULT_DRAIN: Duration = Duration::from_secs(30);
/// What "without end" comes to: a clock can't hold `Duration::MAX` from now.
const LONGEST_DRAIN: Duration = Duration::from_hours(24 * 365);

/// A service that is being put together: add handlers, then [`start`](Service::start) it.
///
/// Events reach it through the queue `celerysalt.<service>.events`, requests through `celerysalt.<service>.rpc`; what
/// can't be handled is kept in `celerysalt.<service>.dead`. All instances of a service share these queues.
///
/// Bindings stay: when a service stops handling a topic, its queue goes on getting the topic's messages, which are then
/// dead-lettered as `no-handler`, until the binding is removed at the broker.
#[must_use = "a service does nothing before `start` or `run_until_signal`"]
pub struct Service {
    salt: Salt,
    prefetch: u16,
    concurrency: usize,
    drain: Duration,
    retry: Retry,
    dedupe: Option<Dedupe>,
    queue_kind: QueueKind,
    events: Vec<Registration>,
    requests: Vec<RpcRegistration>,
    states: States,
    problems: Vec<String>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events: Vec<String> = self.events.iter().map(|r| r.selector.to_string()).collect();
        let requests: Vec<&str> = self.requests.iter().map(|r| r.contract.topic()).collect();
        f.debug_struct("Service")
            .field("name", &self.salt.service_name())
            .field("events", &events)
            .field("requests", &requests)
            .finish_non_exhaustive()
    }
}

/// A handler of events with what it takes.
struct Registration {
    name: Named,
    /// Tells it apart from the service's other handlers, also after a restart.
    id: String,
    selector: Selector,
    /// What the handler's type was generated from, when it has one.
    contract: Option<&'static EventContract>,
    takes: Takes,
    options: HandlerOptions,
    handler: Arc<dyn ErasedHandler>,
}

/// Which messages of its topics a handler takes, and what they are checked against.
#[derive(Clone, Debug)]
enum Takes {
    /// Those of its own contract's version, as the handler's type checks them.
    Typed { version: Version, newer_majors: bool },
    /// Those of any version in the selector's range, checked against the registry's contract.
    Registered,
    /// All, unchecked.
    Raw,
}

/// A handler of requests.
struct RpcRegistration {
    name: Named,
    contract: &'static EventContract,
    options: HandlerOptions,
    handler: Arc<dyn ErasedHandler>,
}

impl Service {
    pub(crate) fn new(salt: Salt) -> Self {
        Self {
            salt,
            prefetch: DEFAULT_PREFETCH,
            concurrency: DEFAULT_CONCURRENCY,
            drain: DEFAULT_DRAIN,
            retry: Retry::default(),
            dedupe: None,
            queue_kind: QueueKind::Quorum,
            events: Vec::new(),
            requests: Vec::new(),
            states: States::default(),
            problems: Vec::new(),
        }
    }

    /// Handles an event. Topic and version are those of the handler's argument.
    ///
    /// A handler is an `async fn(E, ..)` that returns `()` or `Result<(), _>`; any error that implements
    /// [`std::error::Error`] can be returned with `?`. The message is acked once it returns `Ok`.
    ///
    /// After the event it takes up to six [extractors](FromDelivery), in any order: [`Meta`], [`State`], [`Headers`](crate::Headers),
    /// [`Raw`], [`Salt`]. With `Result<E, Invalid>` instead of `E` it is given what the contract refuses too, which is
    /// dead-lettered otherwise: what it returns then decides. Events that it returns, as [`FollowUps`](crate::FollowUps)
    /// says, are published before its message is acked; when one is not, the handler has failed, and those before it are
    /// published again at the next try.
    pub fn on<E: Broadcast, Args: 'static>(self, handler: impl Handler<E, Args>) -> Self {
        self.on_with(HandlerOptions::new(), handler)
    }

    /// As [`Service::on`], with options.
    pub fn on_with<E: Broadcast, Args: 'static>(
        mut self,
        options: HandlerOptions,
        handler: impl Handler<E, Args>,
    ) -> Self {
        let contract = <E as Event>::contract();
        let name = Named::of(&handler);
        let refused = options.problem_of_events();
        self.problems.extend(refused.map(|problem| format!("handler {name} of {contract}: {problem}")));
        match contract.topic().parse::<Selector>() {
            Ok(selector) => self.events.push(Registration {
                name,
                id: self.handler_id(name, &selector),
                selector,
                contract: Some(contract),
                takes: Takes::Typed { version: contract.version().clone(), newer_majors: options.newer_majors },
                options,
                handler: handler::typed(handler),
            }),
            Err(error) => self.problems.push(format!("handler {name} of {contract}: {error}")),
        }
        self
    }

    /// Handles events by topic, without a generated type and without the publisher's code: `pulse.risk.created`,
    /// `scranton.#`, `auth.user.signup@v1`. `*` stands for one word, `#` for any number, none included. `@v1` takes
    /// v1 and its compatible successors, as a handler of that version's type does; `@latest` what is newest in the
    /// registry.
    ///
    /// Each message is checked against the contract that the registry has of its topic and version; one that the
    /// registry does not know is dead-lettered, a moment after the first of its topic came: its publisher may still be
    /// registering it. While the registry is away, messages wait.
    pub fn on_topic<Args: 'static>(self, pattern: &str, handler: impl Handler<AnyEvent, Args>) -> Self {
        self.on_topic_with(HandlerOptions::new(), pattern, handler)
    }

    /// As [`Service::on_topic`], with options.
    pub fn on_topic_with<Args: 'static>(
        self,
        options: HandlerOptions,
        pattern: &str,
        handler: impl Handler<AnyEvent, Args>,
    ) -> Self {
        self.untyped(pattern, Takes::Registered, options, handler)
    }

    /// As [`Service::on_topic`], without a registry: every message of a matching topic, unchecked. So there is no
    /// `@latest` here.
    pub fn on_raw<Args: 'static>(self, pattern: &str, handler: impl Handler<AnyEvent, Args>) -> Self {
        self.on_raw_with(HandlerOptions::new(), pattern, handler)
    }

    /// As [`Service::on_raw`], with options.
    pub fn on_raw_with<Args: 'static>(
        self,
        options: HandlerOptions,
        pattern: &str,
        handler: impl Handler<AnyEvent, Args>,
    ) -> Self {
        self.untyped(pattern, Takes::Raw, options, handler)
    }

    /// What it handles and its name; and a number, for closures of one function have one name.
    fn handler_id(&self, name: Named, selector: &Selector) -> String {
        let id = format!("{selector} {name}");
        let same = self.events.iter().filter(|other| other.id.starts_with(&id)).count();
        if same == 0 { id } else { format!("{id} {same}") }
    }

    fn untyped<Args: 'static>(
        mut self,
        pattern: &str,
        takes: Takes,
        options: HandlerOptions,
        handler: impl Handler<AnyEvent, Args>,
    ) -> Self {
        let name = Named::of(&handler);
        let newer = options.newer_majors.then(|| "it names its versions in its pattern: `@v1`, or none".to_owned());
        let refused = options.problem_of_events().or(newer);
        self.problems.extend(refused.map(|problem| format!("handler {name} of {pattern}: {problem}")));
        match pattern.parse::<Selector>() {
            Ok(selector) if matches!((&takes, &selector.versions), (Takes::Raw, VersionRange::Latest)) => {
                let problem = "only the registry knows which version is the latest: use `on_topic`, or name a version";
                self.problems.push(format!("handler {name} of {selector}: {problem}"));
            }
            Ok(selector) => {
                let handler = handler::untyped(handler);
                self.events.push(Registration {
                    name,
                    id: self.handler_id(name, &selector),
                    selector,
                    contract: None,
                    takes,
                    options,
                    handler,
                });
            }
            Err(error) => self.problems.push(format!("handler {name}: {error}")),
        }
        self
    }

    /// Answers an RPC. Topic and version are those of the handler's argument.
    ///
    /// A handler is an `async fn(R, ..)` that returns `Result<R::Response, R::Error>`, or
    /// `Result<R::Response, ServeError<R::Error>>` when it can also fail in ways that the contract does not declare. After
    /// the request it takes [extractors](FromDelivery) as handlers of events do; with `Result<R, Invalid>` it answers what
    /// the contract refuses too.
    pub fn serve<R: Rpc, Args: 'static>(self, handler: impl RpcHandler<R, Args>) -> Self {
        self.serve_with(HandlerOptions::new(), handler)
    }

    /// As [`Service::serve`], with options: concurrency, rate and timeout. The others have no meaning for requests, and
    /// [`start`](Self::start) says so.
    pub fn serve_with<R: Rpc, Args: 'static>(
        mut self,
        options: HandlerOptions,
        handler: impl RpcHandler<R, Args>,
    ) -> Self {
        let contract = <R as Event>::contract();
        let name = Named::of(&handler);
        let refused = options.problem_of_requests();
        self.problems.extend(refused.map(|problem| format!("handler {name} of {contract}: {problem}")));
        if let Some(other) = self.requests.iter().find(|r| {
            r.contract.topic() == contract.topic() && r.contract.version().major() == contract.version().major()
        }) {
            let other = &other.name;
            self.problems.push(format!("{contract} is served by {other} already; {name} would never be called"));
            return self;
        }
        self.requests.push(RpcRegistration { name, contract, options, handler: handler::rpc(handler) });
        self
    }

    /// What handlers get as [`State<T>`](State): a pool, a cache, settings. One value a type; the last one counts.
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.states.insert(value);
        self
    }

    /// Unsettled messages that the broker hands to this instance at a time, per queue; 100 unless set, at least 1.
    pub fn prefetch(mut self, messages: u16) -> Self {
        self.prefetch = messages.max(1);
        self
    }

    /// Handlers of this instance that run at a time, per queue; 16 unless set, at least 1, and never more than
    /// [`prefetch`](Self::prefetch). With 1, messages are handled in the order of the queue.
    ///
    /// In a service of several handlers, one that runs for more than ten seconds no longer counts, and no handler runs more
    /// often at a time than this: so a handler that hangs stops none of the others. Messages for a handler of which all
    /// hang wait on the broker, in `celerysalt.<service>.waiting`.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = handlers.max(1);
        self
    }

    /// How long a shutdown waits for running handlers, 30 seconds unless set. What is not done then goes back to its
    /// queue.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain = timeout.min(LONGEST_DRAIN);
        self
    }

    /// How often handlers of events that fail are tried again; five tries with growing pauses unless set. A handler that
    /// panics, and a message that no handler takes, is not tried again. With several handlers of one message, only those
    /// that failed are.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Has every handler of events pass over messages that it has handled, as [`HandlerOptions::dedupe`] does; handlers with
    /// a window of their own keep it.
    pub fn dedupe(mut self, window: Dedupe) -> Self {
        self.dedupe = Some(window);
        self
    }

    /// Keeps events in a classic queue with priorities 0 to 10 instead of a quorum queue. A queue can't change its kind:
    /// one that exists must be deleted first.
    pub fn classic_queue_with_priorities(mut self) -> Self {
        self.queue_kind = QueueKind::ClassicWithPriority(MAX_PRIORITY);
        self
    }

    /// Has every handler that was added so far run by what stands around it.
    #[cfg(any(feature = "testing", feature = "tower"))]
    fn around(mut self, around: impl Fn(Arc<dyn ErasedHandler>) -> Arc<dyn ErasedHandler>) -> Self {
        let events = self.events.iter_mut().map(|registration| &mut registration.handler);
        for handler in events.chain(self.requests.iter_mut().map(|registration| &mut registration.handler)) {
            *handler = around(Arc::clone(handler));
        }
        self
    }

    /// Declares the queues and starts handling.
    ///
    /// # Errors
    /// [`StartError`]: handlers that can't be registered, all of them; or a broker that is away or refuses.
    pub async fn start(self) -> Result<Running, StartError> {
        let mut problems = self.problems;
        if self.events.is_empty() && self.requests.is_empty() && problems.is_empty() {
            let name = self.salt.service_name();
            problems.push(format!("the service {name} has no handler: add one with `on`, `on_topic` or `serve`"));
        }
        let handlers = self.events.iter().map(|r| (r.name, &r.handler));
        for (name, handler) in handlers.chain(self.requests.iter().map(|r| (r.name, &r.handler))) {
            let lacking = self.states.lack(&handler.needs());
            problems.extend(lacking.map(|state| {
                format!("handler {name}: it takes `State<{state}>`, which `Service::state` was not given")
            }));
        }
        if !problems.is_empty() {
            return Err(StartError::Handlers(problems));
        }
        running::start(running::Settings {
            queues: Queues::of(&self.salt, self.queue_kind, &self.events, &self.requests),
            salt: self.salt,
            prefetch: self.prefetch,
            concurrency: self.concurrency,
            drain: self.drain,
            retry: self.retry,
            dedupe: self.dedupe,
            states: self.states,
            events: self.events,
            requests: self.requests,
        })
        .await
    }

    /// Starts, runs until the process is told to end (SIGTERM, SIGINT or Ctrl-C), and shuts down in good order.
    ///
    /// # Errors
    /// As [`Service::start`]; also [`StartError::Signal`], and [`StartError::Broker`] when the queues were lost for good.
    pub async fn run_until_signal(self) -> Result<Shutdown, StartError> {
        let signal = running::termination().map_err(StartError::Signal)?;
        let running = self.start().await?;
        running.until(signal).await
    }
}

/// The queues of one service.
struct Queues {
    events: Option<QueueSpec>,
    requests: Option<QueueSpec>,
    dead: QueueSpec,
}

impl Queues {
    fn of(salt: &Salt, kind: QueueKind, events: &[Registration], requests: &[RpcRegistration]) -> Self {
        let exchange = |own: Option<&str>| own.unwrap_or(salt.exchange()).to_owned();
        let event_bindings: BTreeSet<Binding> = events
            .iter()
            .map(|r| Binding {
                exchange: exchange(r.contract.and_then(EventContract::exchange)),
                pattern: r.selector.pattern.clone(),
            })
            .collect();
        let request_bindings: BTreeSet<Binding> = requests
            .iter()
            .filter_map(|r| {
                // A generated contract's topic is a legal pattern; one that is not was made by hand and can't be served.
                let pattern = r.contract.topic().parse::<TopicPattern>().ok()?;
                Some(Binding { exchange: exchange(r.contract.exchange()), pattern })
            })
            .collect();
        let usual = ServiceQueues::of(salt.service_name());
        let bound = |queue: QueueSpec, bindings: BTreeSet<Binding>| {
            (!bindings.is_empty()).then(|| QueueSpec { bindings: bindings.into_iter().collect(), ..queue })
        };
        Self {
            events: bound(QueueSpec { kind, ..usual.events }, event_bindings),
            requests: bound(usual.requests, request_bindings),
            dead: usual.dead,
        }
    }
}
