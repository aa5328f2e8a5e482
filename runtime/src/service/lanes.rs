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
    last: HashMap<String, (u64, oneshot::Receiver<()>)>,
}

/// A place in the line of a key. It is free for the next one when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    before: Option<oneshot::Receiver<()>>,
    lanes: Arc<Lanes>,
    key: String,
    number: u64,
    /// Dropped last, which tells the next one.
    _done: oneshot::Sender<()>,
}

impl Lanes {
    /// The place behind those who have that key.
    pub(super) fn turn(self: &Arc<Self>, key: String) -> Turn {
        let (done, after) = oneshot::channel();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = state.next;
        state.next += 1;
        let before = state.last.insert(key.clone(), (number, after)).map(|(_, before)| before);
        Turn { before, lanes: Arc::clone(self), key, number, _done: done }
    }
}

impl Turn {
    /// Waits for those before.
    pub(super) async fn come(&mut self) {
        if let Some(before) = &mut self.before {
            // Nothing is sent: it ends when the one before is dropped.
            let _ = before.await;
            self.before = None;
        }
    }

    /// Whether those before are done.
    pub(super) fn has_come(&mut self) -> bool {
        let waits = |before: &mut oneshot::Receiver<()>| before.try_recv() == Err(oneshot::error::TryRecvError::Empty);
        !self.before.as_mut().is_some_and(waits)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.lanes.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            state.last.remove(&self.key);
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
        drop(first);
        second.come().await;
        assert!(!third.has_come());
        drop(second);
        third.come().await;
        drop((third, other));
        assert!(lanes.0.lock().unwrap().last.is_empty());
    }
}
