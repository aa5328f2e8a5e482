//! The guides in `docs/` say what is true: their links lead somewhere, their commands are commands, their files parse, and
//! the pages that are to be followed are followed, in an empty folder.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

mod book;
mod followed;
mod serializers;
mod snippets;
