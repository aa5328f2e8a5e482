//! What can be seen of a service at work: spans, one line a delivery, counts and times.
//!
//! The rest of the crate calls in here with one line where something begins or ends; what becomes of it is decided here.
//! Spans and lines are `tracing`'s, and cost next to nothing while nobody subscribes. Counts and times are those of
//! [`METRICS`], by the facade `metrics` (feature `metrics`), and go to whichever recorder the program installs: before it
//! connects, for the descriptions to get there. With the feature `otel`, spans are linked across services by the W3C trace
//! context that travels in the messages, where celery-salt puts it too.
//!
//! Nothing in here ever holds a payload: topics, versions, ids, names of handlers, reasons from a fixed list.
//!
//! ```
//! use celerysalt::telemetry::METRICS;
//!
//! let published = METRICS.iter().find(|metric| metric.name == "celerysalt_published_total").unwrap();
//! assert_eq!(published.labels, ["service", "topic", "version"]);
//! ```

mod calls;
mod context;
mod delivery;
mod described;
mod labels;
mod levels;
mod publishing;
mod record;

pub(crate) use calls::calling;
pub(crate) use context::{carried, current};
pub(crate) use delivery::{End, Observed, Queue, handler_span, handling, refused, retried_in_place};
pub use described::{Kind, METRICS, Metric, describe, names};
pub(crate) use labels::Labels;
#[cfg(feature = "monitor")]
pub use levels::Consuming;
pub use levels::look;
#[cfg(all(feature = "outbox", feature = "prometheus"))]
pub(crate) use levels::look_at_outbox;
pub(crate) use levels::{Consumer, Consumers};
#[cfg(feature = "metrics")]
pub(crate) use publishing::confirmed;
#[cfg(feature = "outbox")]
pub(crate) use publishing::relayed;
pub(crate) use publishing::{Subject, publishing, publishing_batch};
pub(crate) use record::{InFlight, Text, add, level, seconds};
