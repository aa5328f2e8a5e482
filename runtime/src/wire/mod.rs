//! The wire of celery-salt and tchu-tchu: what an event looks like as a message, both ways.
//!
//! Pure: bytes in, values out. `celery` holds requests and events (Celery's message protocols 1 and 2), `result` the
//! replies of RPCs (Celery's result documents).

pub(crate) mod celery;
pub(crate) mod result;

pub(crate) use celery::{Incoming, Meta, Outgoing, decode, encode};
pub use celery::{TaskName, WireError};
