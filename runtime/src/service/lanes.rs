//! One after the other what has the same key, in the order in which it came.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::oneshot;

/// The last in line of each key. A key takes memory only while somebody stands in its line.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    last: HashMap<String, Before>,
}

/// Somebody to wait for: resolves when that one is done, or with whom to wait for instead where that one gave up.
#[derive(Debug)]
struct Before {
    number: u64,
    done: oneshot::Receiver<Box<Before>>,
}

/// A place in the line of a key. It is free for the next one when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    before: Option<Box<Before>>,
    lanes: Arc<Lanes>,
    key: String,
    number: u64,
    /// Dropped last, which tells the next one.
    done: Option<oneshot::Sender<Box<Before>>>,
}

impl Lanes {
    /// The place behind those who have that key.
    pub(super) fn turn(self: &Arc<Self>, key: String) -> Turn {
        let (done, after) = oneshot::channel();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = state.next;
        state.next += 1;
        let before = state.last.insert(key.clone(), Before { number, done: after }).map(Box::new);
        Turn { before, lanes: Arc::clone(self), key, number, done: Some(done) }
    }
}

impl Turn {
    /// Waits for those before.
    pub(super) async fn come(&mut self) {
        while let Some(before) = &mut self.before {
            self.before = (&mut before.done).await.ok();
        }
    }

    /// Whether those before are done.
    pub(super) fn has_come(&mut self) -> bool {
        while let Some(before) = &mut self.before {
            self.before = match before.done.try_recv() {
                Ok(earlier) => Some(earlier),
                Err(oneshot::error::TryRecvError::Closed) => None,
                Err(oneshot::error::TryRecvError::Empty) => return false,
            };
        }
        true
    }
}

impl Drop for Turn {
    /// One that gives up while it waits does not let those behind it overtake those before it.
    fn drop(&mut self) {
        let waits = !self.has_come();
        let mut state = self.lanes.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last = state.last.get(&self.key).is_some_and(|last| last.number == self.number);
        match self.before.take().filter(|_| waits) {
            Some(before) if is_last => {
                state.last.insert(self.key.clone(), *before);
            }
            Some(before) => {
                // The next one is gone as well where nobody takes it.
                let _ = self.done.take().map(|done| done.send(before));
            }
            None if is_last => {
                state.last.remove(&self.key);
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_of_one_key_come_one_after_the_other_and_leave_nothing_behind() {
        let lanes = Arc::new(Lanes::default());
        let mut first = lanes.turn("a".to_owned());
        let mut second = lanes.turn("a".to_owned());
        let mut third = lanes.turn("a".to_owned());
        let mut other = lanes.turn("b".to_owned());
        assert!(first.has_come() && other.has_come() && !second.has_come());
        first.come().await;
        other.come().await;
        // One that gives up in the middle does not let the one behind it overtake the one before it.
        tokio::select! {
            biased;
            () = second.come() => unreachable!("the first is not done"),
            () = std::future::ready(()) => {}
        }
        drop(second);
        assert!(!third.has_come(), "the first is not done");
        let mut fourth = lanes.turn("a".to_owned());
        drop(fourth);
        fourth = lanes.turn("a".to_owned());
        assert!(!fourth.has_come(), "the third is not done");
        drop(third);
        assert!(!fourth.has_come(), "the first is not done");
        drop(first);
        fourth.come().await;
        let third = fourth;
        drop((third, other));
        assert!(lanes.0.lock().unwrap().last.is_empty());
    }
}
