//! A limit of so many in such a time: a bucket of tokens that nobody has to fill.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Gives out times to start at. A full bucket holds as many as the limit allows at once.
#[derive(Debug)]
pub(super) struct Rate {
    per: Duration,
    interval: Duration,
    /// When the bucket is full again.
    full: Mutex<Option<Instant>>,
}

impl Rate {
    pub(super) fn new(count: u32, per: Duration) -> Self {
        Self { per, interval: per / count.max(1), full: Mutex::default() }
    }

    /// When the next one may start, which it is expected to do.
    ///
    /// # Errors
    /// None is given out, for it would be later than `longest` from now.
    pub(super) fn next(&self, now: Instant, longest: Option<Duration>) -> Result<Instant, TooLate> {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        let after = full.map_or(now, |full| full.max(now)) + self.interval;
        let start = after.checked_sub(self.per).map_or(now, |start| start.max(now));
        if longest.is_some_and(|longest| start > now + longest) {
            return Err(TooLate);
        }
        *full = Some(after);
        Ok(start)
    }
}

/// It would be too late.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLate;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_by_one() {
        let rate = Rate::new(3, Duration::from_secs(3));
        let now = Instant::now();
        let after: Vec<u64> = (0..6).map(|_| (rate.next(now, None).unwrap() - now).as_secs()).collect();
        assert_eq!(after, [0, 0, 0, 1, 2, 3]);
        // The bucket has filled up meanwhile, and holds no more than it can.
        let later = now + Duration::from_mins(1);
        let after: Vec<u64> = (0..4).map(|_| (rate.next(later, None).unwrap() - later).as_secs()).collect();
        assert_eq!(after, [0, 0, 0, 1]);
    }

    #[test]
    fn what_would_be_too_late_takes_no_token() {
        let rate = Rate::new(1, Duration::from_secs(10));
        let now = Instant::now();
        assert_eq!(rate.next(now, Some(Duration::ZERO)), Ok(now));
        assert_eq!(rate.next(now, Some(Duration::from_secs(9))), Err(TooLate));
        assert_eq!(rate.next(now, Some(Duration::from_secs(10))), Ok(now + Duration::from_secs(10)));
    }
}
