//! The drafts of JSON Schema, and where a schema holds further schemas.
//! (stub: the contract room fills this in)
use serde_json::Value;

/// A draft of JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Draft { /// 4
 Draft4, /// 6
 Draft6, /// 7
 Draft7, /// 2019-09
 Draft201909, /// 2020-12
 Draft202012 }

/// Where a subschema stands in its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place { /// `{"not": S}`
 Keyword(String), /// `{"allOf": [S]}`
 Item(String, usize), /// `{"properties": {"a": S}}`
 Member(String, String) }

/// Calls `visit` for each direct subschema of `schema`.
pub fn for_each_subschema(_schema: &Value, _draft: Draft, _visit: &mut dyn FnMut(Place, &Value)) {}
