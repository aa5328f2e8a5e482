//! Event contracts as pages: what a contract is made of, what changed, who publishes it and who subscribes.
//!
//! A [`Site`] is made of releases, and of what a registry [`Known`]s beside them. [`Site::write`] makes a static site that
//! works from `file://`, without a network; [`Site::page`] makes one page, for whoever serves them live (`serve`, a feature).
//! Every text comes from somebody's contract: it is escaped by the template library, pages have a policy that lets no script
//! run but the site's own, and nothing of a text ever becomes a link.
//!
//! The walk: releases → `subject` (one contract among its topic's versions) → `fields`, `sample`, `snippets`,
//! `steps` → `pages` (HTML), `search` (the index that the browser looks through), `asyncapi`.
//!
//! ```
//! use celerysalt_catalog::Site;
//! use celerysalt_contract::{ContractRecord, evolution::Release};
//! use serde_json::json;
//!
//! let schema = json!({"title": "Created", "type": "object", "properties": {"id": {"type": "string"}}});
//! let record = json!({"topic": "a.b", "version": "v1", "mode": "broadcast", "schema": schema, "fingerprint": ""});
//! let release = Release::from_record(serde_json::from_value::<ContractRecord>(record)?);
//! let site = Site::new("Contracts", [release]);
//! assert!(site.paths().contains(&"topics/a.b/v1.html".to_owned()));
//! assert!(site.page("topics/a.b/v1.html").is_some());
//! # Ok::<(), serde_json::Error>(())
//! ```

// What a broker's client waits for nests deeply.
#![recursion_limit = "256"]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests"))]

mod asyncapi;
mod fields;
mod highlight;
mod known;
mod pages;
mod sample;
mod search;
#[cfg(feature = "serve")]
pub mod serve;
mod site;
mod snippets;
mod steps;
mod subject;
mod write;

pub use asyncapi::asyncapi;
pub use known::{DeadLetters, Known};
pub use site::{Page, Site};
pub use steps::Comparisons;
pub use write::{WriteError, Written};
