//! Which messages a handler has handled: a window that is bounded by count and by age.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::time::Instant;

use super::options::Dedupe;

#[derive(Debug)]
pub(super) struct Seen {
    window: Dedupe,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order in which they were handled.
    order: VecDeque<(Instant, Arc<str>)>,
    ids: HashSet<Arc<str>>,
}

impl Seen {
    pub(super) fn new(window: Dedupe) -> Self {
        Self { window, state: Mutex::default() }
    }

    /// Whether a message of this id was handled.
    pub(super) fn has(&self, id: &str) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget(&mut state, Instant::now());
        state.ids.contains(id)
    }

    /// Remembers one that was handled.
    pub(super) fn mark(&self, id: &str) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let id: Arc<str> = id.into();
        if state.ids.insert(Arc::clone(&id)) {
            state.order.push_back((now, id));
        }
        self.forget(&mut state, now);
    }

    fn forget(&self, state: &mut State, now: Instant) {
        while let Some((at, _)) = state.order.front()
            && (state.order.len() > self.window.most || now.duration_since(*at) > self.window.age)
            && let Some((_, id)) = state.order.pop_front()
        {
            state.ids.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ids_are_forgotten_by_count_and_by_age() {
        let seen = Seen::new(Dedupe::new(3, Duration::from_secs(10)));
        for id in ["a", "b", "b", "c"] {
            seen.mark(id);
        }
        assert!(seen.has("a") && seen.has("b") && !seen.has("d"));
        seen.mark("d");
        assert!(!seen.has("a") && seen.has("b"));
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(!seen.has("b") && !seen.has("d"));
        let state = seen.state.lock().unwrap();
        assert!(state.order.is_empty() && state.ids.is_empty());
    }
}
