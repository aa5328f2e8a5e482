//! When a handler may run: its places, its rate, its time, and what becomes of messages while it hangs.
//!
//! Two kinds of places: the handler's own, and the service's, which all handlers share. A message that has to wait for its
//! handler gives its place in the service to others meanwhile, and a handler that runs for long gives up its place in the
//! service (not its own), so that one that hangs stops nobody else. What would then fill the service with messages for the
//! one that hangs waits on the broker instead.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};

use super::{
    handler::guarded,
    lanes::Lanes,
    options::{Dedupe, HandlerOptions, Order},
    rate::{Rate, TooLate},
    seen::Seen,
};

/// A handler of which none has begun or ended for that long, while all its places are taken, is stuck. Also how long a
/// handler keeps its place in the service.
pub(super) const STUCK: Duration = Duration::from_secs(10);

/// A place among those that a service runs at a time.
pub(super) type Place = OwnedSemaphorePermit;

/// The service's places for the messages of one queue, and the signal to end.
#[derive(Debug)]
pub(super) struct House {
    places: Arc<Semaphore>,
    /// Whether a handler that takes long makes room for the others.
    gives_way: bool,
    /// Whether messages may wait on the broker for a handler that can't take them.
    elsewhere: bool,
    stopped: watch::Receiver<bool>,
}

/// One handler's flow.
#[derive(Debug)]
pub(super) struct Flow {
    places: Arc<Semaphore>,
    rate: Option<Rate>,
    timeout: Duration,
    pub(super) order: Option<(Order, Arc<Lanes>)>,
    pub(super) seen: Option<(Seen, Arc<Lanes>)>,
    /// When one last began or ended.
    moved: Mutex<Instant>,
}

/// Whether a message may be handled now.
pub(super) enum Entry {
    Now(Pass),
    /// The handler can't take it for a while: it should wait on the broker.
    Later,
    /// The service ends, or its places are gone.
    Ending,
}

/// Both places.
pub(super) struct Pass {
    own: Place,
    house: Place,
}

/// How a handler's run ended, other than by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Panicked(String),
    /// After that long.
    TimedOut(Duration),
}

impl Broken {
    /// What came of a run, in one word.
    pub(super) fn word<T, E>(outcome: &Result<Result<T, E>, Self>) -> &'static str {
        match outcome {
            Ok(Ok(_)) => "ok",
            Ok(Err(_)) => "failed",
            Err(Self::Panicked(_)) => "panicked",
            Err(Self::TimedOut(_)) => "timed-out",
        }
    }
}

impl House {
    /// For events. `handlers` is how many share these places.
    pub(super) fn of_events(concurrency: usize, handlers: usize, stopped: watch::Receiver<bool>) -> Self {
        // One at a time is a promise about the order of the queue, which giving way would break.
        let gives_way = concurrency > 1 && handlers > 1;
        Self { places: Arc::new(Semaphore::new(concurrency)), gives_way, elsewhere: gives_way, stopped }
    }

    /// For requests. They wait in here, until they expire: their callers wait too.
    pub(super) fn of_requests(concurrency: usize, handlers: usize, stopped: watch::Receiver<bool>) -> Self {
        Self { elsewhere: false, ..Self::of_events(concurrency, handlers, stopped) }
    }

    /// A place; none when the service ends.
    pub(super) async fn place(&self) -> Option<Place> {
        // Those who wait have been given theirs before one is free.
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        self.unless_ending(Arc::clone(&self.places).acquire_owned()).await?.ok()
    }

    /// The work's outcome; none when the service is told to end before.
    pub(super) async fn unless_ending<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            biased;
            done = work => Some(done),
            _ = stopped.wait_for(|stop| *stop) => None,
        }
    }
}

impl Flow {
    pub(super) fn new(options: &HandlerOptions, concurrency: usize, dedupe: Option<Dedupe>) -> Self {
        let own = options.concurrency.unwrap_or(concurrency).min(concurrency);
        Self {
            places: Arc::new(Semaphore::new(own)),
            rate: options.rate.map(|(count, per)| Rate::new(count, per)),
            timeout: options.timeout,
            order: options.order.clone().map(|order| (order, Arc::default())),
            seen: options.dedupe.or(dedupe).map(|window| (Seen::new(window), Arc::default())),
            moved: Mutex::new(Instant::now()),
        }
    }

    /// Waits until the handler may run. `place` is the message's place in the service, which is given up while it waits.
    pub(super) async fn enter(&self, house: &House, mut place: Option<Place>) -> Entry {
        // In order, nothing may be moved out of its place in the queue.
        let may_wait_elsewhere = house.elsewhere && self.order.is_none();
        if let Some(rate) = &self.rate {
            let now = Instant::now();
            match rate.next(now, may_wait_elsewhere.then_some(STUCK)) {
                Ok(start) if start <= now => {}
                Ok(start) => {
                    drop(place.take());
                    if house.unless_ending(tokio::time::sleep_until(start)).await.is_none() {
                        return Entry::Ending;
                    }
                }
                Err(TooLate) => return Entry::Later,
            }
        }
        let own = if let Ok(own) = Arc::clone(&self.places).try_acquire_owned() {
            own
        } else {
            drop(place.take());
            match house.unless_ending(self.own_place(may_wait_elsewhere)).await {
                Some(Some(own)) => own,
                Some(None) => return Entry::Later,
                None => return Entry::Ending,
            }
        };
        let place = match place {
            Some(place) => Some(place),
            None => house.place().await,
        };
        let Some(place) = place else { return Entry::Ending };
        self.moved();
        Entry::Now(Pass { own, house: place })
    }

    /// One of the handler's places; none when it is stuck.
    async fn own_place(&self, may_wait_elsewhere: bool) -> Option<Place> {
        let place = Arc::clone(&self.places).acquire_owned();
        if !may_wait_elsewhere {
            return place.await.ok();
        }
        tokio::pin!(place);
        loop {
            let moved = *self.moved.lock().unwrap_or_else(PoisonError::into_inner);
            match tokio::time::timeout_at(moved + STUCK, &mut place).await {
                Ok(place) => return place.ok(),
                Err(_) if self.last_moved() > moved => {}
                Err(_) => return None,
            }
        }
    }

    fn last_moved(&self) -> Instant {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moved(&self) {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Runs the handler's future, as long as it may.
    ///
    /// # Errors
    /// That it panicked, or took too long.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        house: &House,
        pass: Pass,
        running: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Broken> {
        let Pass { own, house: place } = pass;
        let running = tokio::time::timeout(self.timeout, guarded(running));
        tokio::pin!(running);
        let first = tokio::time::timeout(STUCK, &mut running);
        let outcome = if house.gives_way {
            if let Ok(outcome) = first.await {
                outcome
            } else {
                drop(place);
                running.await
            }
        } else {
            running.await
        };
        drop(own);
        self.moved();
        match outcome {
            Ok(done) => done.map_err(Broken::Panicked),
            Err(_) => Err(Broken::TimedOut(self.timeout)),
        }
    }
}
