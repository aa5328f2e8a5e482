//! What is written on a code-first event is checked where it is written.

use celerysalt::{SaltEvent, SaltResponse, schemars::JsonSchema};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, JsonSchema, SaltEvent)]
#[schemars(crate = "celerysalt::schemars")]
#[salt(version = "v1")]
struct NoTopic {}

#[derive(Debug, Serialize, Deserialize, JsonSchema, SaltEvent)]
#[schemars(crate = "celerysalt::schemars")]
#[salt(topic = "orders..placed", version = "1.0")]
struct IllegalNames {}

#[derive(Debug, Serialize, Deserialize, JsonSchema, SaltEvent)]
#[schemars(crate = "celerysalt::schemars")]
#[salt(topic = "orders.placed", version = "v1", exchagne = "orders")]
struct UnknownAttribute {}

#[derive(Debug, Serialize, Deserialize, JsonSchema, SaltEvent)]
#[schemars(crate = "celerysalt::schemars")]
#[salt(topic = "orders.placed", version = "v1")]
struct Parameters<T> {
    value: T,
}

#[derive(Serialize, Deserialize, SaltResponse)]
#[salt(topic = "orders.placed")]
struct AnswerWithTopic {}

fn main() {}
