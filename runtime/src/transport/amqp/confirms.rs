//! Which message was confirmed, and which was returned: exact, in spite of how lapin tells.
//!
//! RabbitMQ sends a message's return before its confirm, but other messages' confirms may come between the two, and
//! lapin gives each confirm that it handles *the oldest return not yet given out*, whoever's it is. So the return that
//! comes with a confirm tells about the message that it names (by message id, exchange and routing key), and a confirm
//! without a return does not yet tell that its message was routed. What does:
//!
//! - A confirm that comes **with no return** means that lapin had no return left when it handled that confirm: every
//!   return that arrived earlier was given to a confirm that lapin resolved earlier. So was the return of any message
//!   that was confirmed up to then. [`Pending::drain`] gives out all that is resolved, and each resolves in lapin's
//!   order, so after a drain with such a confirm, that message's verdict and that of all messages from *earlier*
//!   drains is known: unroutable if its return was seen, else routed.
//! - When **no confirm is outstanding**, lapin has no return left: it gives out at least as many as it got for them.
//!
//! A confirmed message waits for one of the two. When neither comes by itself, the publisher asks for one by
//! publishing something that nobody gets ([`Verdicts::undecided`]).

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use lapin::{
    BasicProperties, Channel, Confirmation, PublisherConfirm, message::BasicReturnMessage,
    options::BasicPublishOptions, types::ShortString,
};
use tokio::sync::Notify;

use super::numbered::Numbered;
use crate::transport::Routing;

/// What is written to a channel.
pub(super) struct ToWrite {
    pub(super) channel: Arc<Channel>,
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) options: BasicPublishOptions,
    pub(super) body: Bytes,
    pub(super) properties: BasicProperties,
}

impl ToWrite {
    pub(super) async fn write(self) -> lapin::Result<PublisherConfirm> {
        let Self { channel, exchange, routing_key, options, body, properties } = self;
        channel.basic_publish(exchange, routing_key, options, &body, properties).await
    }
}

/// What writes a message: a function, whose future lapin resolves once the message is written.
pub(super) trait Writes {
    type Message;
    type Confirm: Future<Output = lapin::Result<Self::Outcome>> + Unpin;
    type Outcome;
    type Future: Future<Output = lapin::Result<Self::Confirm>>;

    fn write(&self, message: Self::Message) -> Self::Future;
}

impl<M, F> Writes for M
where
    M: Fn(ToWrite) -> F,
    F: Future<Output = lapin::Result<PublisherConfirm>>,
{
    type Message = ToWrite;
    type Confirm = PublisherConfirm;
    type Outcome = Confirmation;
    type Future = F;

    fn write(&self, message: ToWrite) -> F {
        self(message)
    }
}

/// Publishings under way, each polled only when it was woken, in the order of waking.
pub(super) struct Pending<W: Writes> {
    writes: W,
    publishings: Numbered<(Step<W>, Waker)>,
    /// Those that were started and are not watched.
    unwatched: Vec<u64>,
    resolved: Vec<Resolved<W>>,
    woken: Arc<Woken>,
    /// Room of messages that are written, for the next ones: there is a kilobyte and a half for each.
    spare: Vec<Room<W::Future>>,
}

/// What became of a publishing.
type Resolved<W> = (u64, lapin::Result<<W as Writes>::Outcome>);

type Room<F> = Pin<Box<Option<F>>>;

enum Step<W: Writes> {
    Writing(Room<W::Future>),
    Confirming(W::Confirm),
}

/// The most pieces of room that are kept for later.
const MAX_SPARE: usize = 256;

#[derive(Default)]
struct Woken {
    numbers: Mutex<Vec<u64>>,
    any: Notify,
}

struct WakeOne {
    number: u64,
    woken: Arc<Woken>,
}

impl Wake for WakeOne {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut numbers = self.woken.numbers();
        numbers.push(self.number);
        // The first tells of all that come before they are looked at.
        if numbers.len() == 1 {
            drop(numbers);
            self.woken.any.notify_one();
        }
    }
}

impl Woken {
    fn numbers(&self) -> MutexGuard<'_, Vec<u64>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Writes> Pending<W> {
    pub(super) fn new(writes: W) -> Self {
        Self {
            writes,
            publishings: Numbered::default(),
            unwatched: Vec::new(),
            resolved: Vec::new(),
            woken: Arc::default(),
            spare: Vec::new(),
        }
    }

    /// Starts a publishing: polled once here, which puts it in its place in the channel's order. `number` is greater than the
    /// last one's. It is not seen to go on before [`Pending::watch`].
    pub(super) fn start(&mut self, number: u64, message: W::Message) {
        let mut room = self.spare.pop().unwrap_or_else(|| Box::pin(None));
        room.set(Some(self.writes.write(message)));
        let waker = Waker::from(Arc::new(WakeOne { number, woken: Arc::clone(&self.woken) }));
        let mut step = Step::<W>::Writing(room);
        match step.poll(Waker::noop(), &mut self.spare) {
            Poll::Pending => {
                self.publishings.push(number, (step, waker));
                self.unwatched.push(number);
            }
            Poll::Ready(result) => {
                self.resolved.push((number, result));
                self.woken.any.notify_one();
            }
        }
    }

    /// After one or more were started: wakes the task when the last of them is written, as all of them are then. A wake for
    /// each would cost more than writing it.
    pub(super) fn watch(&mut self) {
        let Some(last) = self.unwatched.pop() else { return };
        self.go_on(last);
        if !matches!(self.publishings.get(last), Some((Step::Writing(_), _))) {
            // It is written by now, so nothing will tell that the others are.
            self.watch_all();
        }
    }

    fn watch_all(&mut self) {
        for number in std::mem::take(&mut self.unwatched) {
            self.go_on(number);
        }
    }

    fn go_on(&mut self, number: u64) {
        let Some((step, waker)) = self.publishings.get_mut(number) else { return };
        if let Poll::Ready(result) = step.poll(waker, &mut self.spare) {
            self.publishings.remove(number);
            self.resolved.push((number, result));
            self.woken.any.notify_one();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.publishings.is_empty() && self.resolved.is_empty()
    }

    /// Waits until something may have resolved.
    pub(super) fn changed(&self) -> impl Future<Output = ()> + Send + use<W> {
        let woken = Arc::clone(&self.woken);
        async move { woken.any.notified().await }
    }

    /// All that has resolved.
    pub(super) fn drain(&mut self) -> Vec<Resolved<W>> {
        loop {
            let numbers = std::mem::take(&mut *self.woken.numbers());
            if numbers.is_empty() && (self.resolved.is_empty() || self.unwatched.is_empty()) {
                return std::mem::take(&mut self.resolved);
            }
            // They may have been confirmed before what has woken or resolved: then they belong to the same drain.
            self.watch_all();
            for number in numbers {
                self.go_on(number);
            }
        }
    }
}

impl<W: Writes> Step<W> {
    fn poll(&mut self, waker: &Waker, spare: &mut Vec<Room<W::Future>>) -> Poll<lapin::Result<W::Outcome>> {
        let mut context = Context::from_waker(waker);
        if let Self::Writing(room) = self {
            let Some(writing) = room.as_mut().as_pin_mut() else { return Poll::Pending };
            let Poll::Ready(written) = writing.poll(&mut context) else { return Poll::Pending };
            room.set(None);
            let next = match written {
                Ok(confirm) => Self::Confirming(confirm),
                Err(error) => return Poll::Ready(Err(error)),
            };
            if let Self::Writing(room) = std::mem::replace(self, next)
                && spare.len() < MAX_SPARE
            {
                spare.push(room);
            }
        }
        match self {
            Self::Confirming(confirm) => Pin::new(confirm).poll(&mut context),
            Self::Writing(_) => Poll::Pending,
        }
    }
}

/// What a return says about which message it is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) message_id: String,
    pub(super) exchange: String,
    pub(super) routing_key: String,
}

impl From<&BasicReturnMessage> for Identity {
    fn from(returned: &BasicReturnMessage) -> Self {
        let message_id = returned.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
        Self { message_id, exchange: returned.exchange.to_string(), routing_key: returned.routing_key.to_string() }
    }
}

/// Decides what became of the messages of one channel.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    /// Returns whose message is not decided yet. A count, for messages that were sent twice at once.
    returned: HashMap<Identity, usize>,
    /// Acked, in this drain, with and without a return of whomever.
    fresh: Vec<(u64, bool)>,
    /// Acked in an earlier drain, with somebody else's return.
    undecided: Vec<u64>,
    saw_no_return: bool,
}

impl Verdicts {
    /// A return, whose ever confirm it came with.
    pub(super) fn returned(&mut self, returned: &BasicReturnMessage) {
        *self.returned.entry(Identity::from(returned)).or_default() += 1;
    }

    /// An ack of message `number`, and whether a return came with it.
    pub(super) fn acked(&mut self, number: u64, with_return: bool) {
        self.fresh.push((number, with_return));
        self.saw_no_return |= !with_return;
    }

    /// A confirm of no message of interest, which came without a return.
    pub(super) fn nothing_returned(&mut self) {
        self.saw_no_return = true;
    }

    /// Whether a message is acked and not decided.
    pub(super) fn undecided(&self) -> bool {
        !self.undecided.is_empty()
    }

    /// After a drain: what is decided now. `idle` when no confirm is outstanding. `identity` tells which message a number
    /// is; it is asked only while there is a return.
    pub(super) fn decide(&mut self, idle: bool, identity: impl Fn(u64) -> Option<Identity>) -> Vec<(u64, Routing)> {
        let earlier_are_known = std::mem::take(&mut self.saw_no_return) || idle;
        let earlier = std::mem::take(&mut self.undecided).into_iter().map(|number| (number, earlier_are_known));
        let fresh = std::mem::take(&mut self.fresh).into_iter().map(|(number, ret)| (number, !ret || idle));
        let mut decided = Vec::with_capacity(fresh.len());
        for (number, known) in earlier.chain(fresh) {
            if self.take_return(number, &identity) {
                decided.push((number, Routing::Unroutable));
            } else if known {
                decided.push((number, Routing::Routed));
            } else {
                self.undecided.push(number);
            }
        }
        decided
    }

    /// Whether the message has come back.
    fn take_return(&mut self, number: u64, identity: impl Fn(u64) -> Option<Identity>) -> bool {
        if self.returned.is_empty() {
            return false;
        }
        let Some(identity) = identity(number) else { return false };
        let Some(count) = self.returned.get_mut(&identity) else { return false };
        *count -= 1;
        if *count == 0 {
            self.returned.remove(&identity);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use super::*;

    /// lapin's side: returns queue up, and each confirm takes the oldest.
    #[derive(Default)]
    struct Lapin {
        waiting: VecDeque<u64>,
    }

    fn identity(number: u64) -> Identity {
        Identity { message_id: number.to_string(), exchange: "x".into(), routing_key: "k".into() }
    }

    /// A random number generator that needs no crate (xorshift).
    fn random(state: &mut u64, below: u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state % below
    }

    /// lapin's thread and the broker behind it, which go on by some steps whenever they are looked at.
    struct Peer {
        random: u64,
        /// Started and not written.
        frames: VecDeque<u64>,
        /// Written and not acked.
        unacked: Vec<u64>,
        unroutable: Vec<bool>,
        /// One that is not acked yet, whatever else is.
        held: Option<u64>,
        /// Unroutable and returned.
        returned: Vec<u64>,
        lapin: Lapin,
        /// What woke for the writing, and for the confirm, of each; what came with the confirm.
        written: BTreeMap<u64, Option<Waker>>,
        confirmed: BTreeMap<u64, Result<Option<u64>, Option<Waker>>>,
    }

    impl Peer {
        fn new(random: u64) -> Self {
            let (lapin, written, confirmed) = (Lapin::default(), BTreeMap::new(), BTreeMap::new());
            let (frames, unacked, unroutable, returned) = Default::default();
            Self { random, frames, unacked, unroutable, held: None, returned, lapin, written, confirmed }
        }

        fn is_unroutable(&self, number: u64) -> bool {
            self.unroutable[usize::try_from(number).unwrap()]
        }

        fn go_on(&mut self) {
            for _ in 0..random(&mut self.random, 6) {
                if random(&mut self.random, 3) > 0
                    && let Some(number) = self.frames.pop_front()
                {
                    self.unacked.push(number);
                    if let Some(Some(waker)) = self.written.insert(number, None) {
                        waker.wake();
                    }
                } else if !self.unacked.is_empty() {
                    // A return in front of its ack, and perhaps of those of others.
                    let place = usize::try_from(random(&mut self.random, self.unacked.len() as u64)).unwrap();
                    let number = self.unacked[place];
                    if self.held == Some(number) {
                        continue;
                    }
                    if self.is_unroutable(number) && !self.returned.contains(&number) {
                        self.returned.push(number);
                        self.lapin.waiting.push_back(number);
                        continue;
                    }
                    self.unacked.remove(place);
                    let with = self.lapin.waiting.pop_front();
                    if let Some(Err(Some(waker))) = self.confirmed.insert(number, Ok(with)) {
                        waker.wake();
                    }
                }
            }
        }
    }

    type SharedPeer = std::rc::Rc<std::cell::RefCell<Peer>>;

    struct Writing(u64, SharedPeer, bool);
    struct Confirming(u64, SharedPeer);

    impl Future for Writing {
        type Output = lapin::Result<Confirming>;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            let (number, shared) = (self.0, self.1.clone());
            let mut peer = shared.borrow_mut();
            if !std::mem::replace(&mut self.2, true) {
                peer.frames.push_back(number);
            }
            peer.go_on();
            if peer.written.get(&number).is_some_and(Option::is_none) {
                return Poll::Ready(Ok(Confirming(number, self.1.clone())));
            }
            peer.written.insert(number, Some(context.waker().clone()));
            Poll::Pending
        }
    }

    impl Future for Confirming {
        type Output = lapin::Result<Option<u64>>;

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            let mut peer = self.1.borrow_mut();
            peer.go_on();
            if let Some(Ok(with)) = peer.confirmed.get(&self.0) {
                return Poll::Ready(Ok(*with));
            }
            peer.confirmed.insert(self.0, Err(Some(context.waker().clone())));
            Poll::Pending
        }
    }

    struct ToPeer(SharedPeer);

    impl Writes for ToPeer {
        type Message = u64;
        type Confirm = Confirming;
        type Outcome = Option<u64>;
        type Future = Writing;

        fn write(&self, number: u64) -> Writing {
            Writing(number, self.0.clone(), false)
        }
    }

    /// lapin and the broker go on while publishings are started, polled and drained; nothing is drained that was not woken for.
    #[test]
    fn every_message_is_confirmed_and_decided_right_whatever_happens_meanwhile() {
        let mut state = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..5_000 {
            let peer = SharedPeer::new(std::cell::RefCell::new(Peer::new(random(&mut state, u64::MAX) | 1)));
            let (mut pending, mut verdicts) = (Pending::new(ToPeer(peer.clone())), Verdicts::default());
            let count = 1 + random(&mut state, 40);
            let share = 1 + random(&mut state, 5);
            peer.borrow_mut().unroutable = (0..count).map(|_| random(&mut state, share) == 0).collect();
            if random(&mut state, 4) == 0 {
                // The others' verdicts don't wait for it.
                peer.borrow_mut().unroutable.fill(false);
                peer.borrow_mut().held = Some(random(&mut state, count));
            }
            let (mut started, mut decided) = (0, BTreeMap::new());
            let mut looks = 0;
            while (decided.len() as u64) < count {
                looks += 1;
                if decided.len() as u64 == count - 1 {
                    peer.borrow_mut().held = None;
                }
                assert!(looks < 10_000, "{} of {count} decided", decided.len());
                if started < count && random(&mut state, 2) == 0 {
                    for _ in 0..=random(&mut state, 12).min(count - started - 1) {
                        pending.start(started, started);
                        started += 1;
                    }
                    pending.watch();
                }
                peer.borrow_mut().go_on();
                let changed = std::pin::pin!(pending.changed()).poll(&mut Context::from_waker(Waker::noop()));
                if changed.is_pending() && !verdicts.undecided() {
                    continue;
                }
                for (number, confirmed) in pending.drain() {
                    let with = confirmed.unwrap();
                    if let Some(with) = with {
                        *verdicts.returned.entry(identity(with)).or_default() += 1;
                    }
                    verdicts.acked(number, with.is_some());
                }
                for (number, routing) in verdicts.decide(pending.is_empty(), |number| Some(identity(number))) {
                    assert_eq!(
                        routing == Routing::Unroutable,
                        peer.borrow().is_unroutable(number),
                        "{number} of {count}"
                    );
                    assert!(decided.insert(number, routing).is_none());
                }
            }
        }
    }

    #[test]
    fn every_interleaving_of_returns_and_confirms_is_decided_right() {
        let mut state = 0x2545_f491_4f6c_dd1d;
        let mut held = 0;
        for _ in 0..3_000 {
            let count = 1 + random(&mut state, 30);
            let share = 1 + random(&mut state, 5);
            let unroutable: Vec<u64> = (0..count).filter(|_| random(&mut state, share) == 0).collect();
            let (mut lapin, mut verdicts) = (Lapin::default(), Verdicts::default());
            let mut to_return: VecDeque<u64> = unroutable.iter().copied().collect();
            let mut to_ack: Vec<u64> = (0..count).collect();
            let mut decided = BTreeMap::new();
            while !to_ack.is_empty() {
                // One drain: some returns and some confirms, a confirm never before its message's own return.
                for _ in 0..=random(&mut state, 8) {
                    let ready: Vec<u64> = to_ack.iter().copied().filter(|n| !to_return.contains(n)).collect();
                    if !to_return.is_empty() && (ready.is_empty() || random(&mut state, 2) == 0) {
                        lapin.waiting.extend(to_return.pop_front());
                    } else if !ready.is_empty() {
                        let number = ready[usize::try_from(random(&mut state, ready.len() as u64)).unwrap()];
                        to_ack.retain(|n| *n != number);
                        let with = lapin.waiting.pop_front();
                        if let Some(with) = with {
                            *verdicts.returned.entry(identity(with)).or_default() += 1;
                        }
                        verdicts.acked(number, with.is_some());
                    }
                }
                decided.extend(verdicts.decide(to_ack.is_empty(), |number| Some(identity(number))));
                held += usize::from(verdicts.undecided());
            }
            assert_eq!(decided.len() as u64, count);
            for (number, routing) in decided {
                assert_eq!(routing == Routing::Unroutable, unroutable.contains(&number), "{number} of {count}");
            }
        }
        assert!(held > 100, "the interesting case has to occur: {held}");
    }
}
