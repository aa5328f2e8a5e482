//! The pages, as HTML. Every text goes through maud, which escapes it; links are made of topics and versions only, whose
//! letters are harmless.

mod changes;
mod contract;
mod frame;
mod index;
mod lineage;
mod schema;
mod text;

#[cfg(feature = "serve")]
pub(crate) use self::frame::POLICY;
pub(crate) use self::{
    changes::{all_changes, topic_changes},
    contract::{contract, newest},
    frame::problem,
    index::index,
    lineage::{history, services},
};
