//! Answers that a caller keeps: successes only, by a key of its own and for a time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many answers a handle keeps; the one that would end first makes room.
const MOST: usize = 1024;

/// The answers that a handle keeps.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<HashMap<String, Kept>>);

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    until: Instant,
    /// JSON text that the contract's response accepts.
    pub(crate) response: String,
    pub(crate) message_id: String,
}

impl Answers {
    /// The answer to that request, unless its time is over.
    pub(crate) fn get(&self, key: &str) -> Option<Kept> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|kept| kept.until > Instant::now()).cloned()
    }

    /// Keeps an answer for that long.
    pub(crate) fn put(&self, key: String, response: String, message_id: String, ttl: Duration) {
        let now = Instant::now();
        let Some(until) = now.checked_add(ttl) else { return };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST && !kept.contains_key(&key) {
            kept.retain(|_, kept| kept.until > now);
            let first = kept.iter().min_by_key(|(_, kept)| kept.until).map(|(key, _)| key.clone());
            if let Some(first) = first.filter(|_| kept.len() >= MOST) {
                kept.remove(&first);
            }
        }
        kept.insert(key, Kept { until, response, message_id });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_for_its_time_and_the_shortest_lived_makes_room() {
        let answers = Answers::default();
        let put = |key: &str, seconds| {
            answers.put(key.to_owned(), "{}".to_owned(), key.to_owned(), Duration::from_secs(seconds));
        };
        put("short", 10);
        put("long", 1000);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(answers.get("short").unwrap().message_id, "short");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(answers.get("short").is_none() && answers.get("long").is_some());
        (0..2 * MOST).for_each(|number| put(&number.to_string(), 100 + number as u64));
        assert!(answers.0.lock().unwrap().len() <= MOST);
        assert!(answers.get("long").is_none() && answers.get(&(2 * MOST - 1).to_string()).is_some());
    }
}
