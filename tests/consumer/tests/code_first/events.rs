//! Structs that say what the files in `code_first/schemas` say, and nothing that people wouldn't write in a service.

use std::collections::BTreeMap;

use celerysalt::{Integer, SaltError, SaltEvent, SaltResponse, schemars::JsonSchema};
use serde::{Deserialize, Serialize};

/// An order has been placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, SaltEvent)]
#[schemars(crate = "celerysalt::schemars")]
#[salt(topic = "orders.placed", version = "v1")]
pub(crate) struct OrderPlaced {
    /// Identifies the order.
    #[schemars(length(min = 1, max = 40))]
    pub(crate) order_id: String,
    /// All of it.
    pub(crate) total: Money,
    /// Where it stands.
    pub(crate) status: Status,
    /// At least one.
    #[schemars(length(min = 1))]
    pub(crate) lines: Vec<OrderLine>,
    /// From the customer.
    pub(crate) note: Option<String>,
    /// A share of the total.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub(crate) discount: f64,
    /// Whatever the shop wants to remember.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "celerysalt::schemars")]
#[serde(deny_unknown_fields)]
pub(crate) struct Money {
    /// In hundredths.
    pub(crate) cents: i64,
    /// By ISO 4217.
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub(crate) currency: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "celerysalt::schemars", inline)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Nobody has paid yet.
    Open,
    OnHold,
    /// Somebody has.
    Paid,
}

/// One article.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "celerysalt::schemars")]
pub(crate) struct OrderLine {
    /// Identifies the article.
    pub(crate) article: String,
    /// How many of it.
    #[schemars(range(min = 1))]
    pub(crate) count: u32,
    /// Whatever number it has.
    pub(crate) serial: Integer,
}

impl OrderPlaced {
    pub(crate) fn example() -> Self {
        Self {
            order_id: "A-1".to_owned(),
            total: Money { cents: 4200, currency: "EUR".to_owned() },
            status: Status::OnHold,
            lines: vec![OrderLine { article: "chair".to_owned(), count: 2, serial: 7.into() }],
            note: None,
            discount: 0.5,
            labels: BTreeMap::new(),
        }
    }
}

/// A part of the catalog has moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, SaltEvent)]
#[schemars(crate = "celerysalt::schemars")]
#[salt(topic = "catalog.node.moved", version = "v1.2", exchange = "catalog")]
#[salt(auto_register = false)]
pub(crate) struct NodeMoved {
    /// Of the node.
    name: String,
    /// Moved along.
    children: Vec<NodeMoved>,
    /// When.
    at: Option<Moment>,
    /// From the top, from the left.
    position: (f64, f32),
}

/// A moment, in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "celerysalt::schemars")]
pub(crate) struct Moment(usize);

/// What its own comment says of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, SaltEvent)]
#[schemars(crate = "celerysalt::schemars", extend("type" = "object"))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[salt(topic = "media.uploaded", version = "v1", title = "Upload", description = "Something has been uploaded.")]
pub(crate) enum Uploaded {
    /// A picture.
    Picture {
        /// In pixels.
        width: u16,
    },
    /// A text.
    Text {
        /// Its language.
        language: String,
    },
}

/// Asks for an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, SaltEvent)]
#[schemars(crate = "celerysalt::schemars")]
#[serde(deny_unknown_fields)]
#[salt(topic = "shop.order.get", version = "v1", response = Order, error = NoOrder)]
pub(crate) struct GetOrder {
    /// Identifies the order.
    #[schemars(extend("format" = "uuid"))]
    pub(crate) order_id: String,
}

/// The order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, SaltResponse)]
#[schemars(crate = "celerysalt::schemars")]
pub(crate) struct Order {
    /// Identifies the order.
    pub(crate) order_id: String,
    /// What it comes to.
    pub(crate) cents: i64,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, SaltError)]
#[schemars(crate = "celerysalt::schemars")]
pub(crate) struct NoOrder {
    /// For programs.
    pub(crate) error_code: String,
    /// For people.
    pub(crate) error_message: String,
}

/// All of them.
pub(crate) type All = (OrderPlaced, NodeMoved, Uploaded, GetOrder);
