//! Pauses that no two services have alike, so that what failed together does not come back together.

use std::time::Duration;

/// From 0 to 1.
pub(crate) fn random() -> f64 {
    // The last bytes of a random id are all random.
    let id = *uuid::Uuid::new_v4().as_bytes();
    f64::from(u16::from_le_bytes([id[14], id[15]])) / f64::from(u16::MAX)
}

/// Between half of a pause and all of it.
#[cfg(any(feature = "amqp", feature = "outbox"))]
pub(crate) fn spread(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + random() / 2.0)
}

/// A pause with a tenth of it added or taken off, by a number from 0 to 1.
pub(crate) fn about(pause: Duration, random: f64) -> Duration {
    pause.mul_f64(0.9 + 0.2 * random.clamp(0.0, 1.0)).max(Duration::from_millis(1))
}
