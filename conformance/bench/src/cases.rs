//! The twenty events: each by three ways to a typed value.

use celerysalt::Event;
use celerysalt_contract::Draft;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{events, plain};

/// One payload, and what reads it.
pub struct Case {
    /// The topic, and which payload of it.
    pub name: &'static str,
    /// The payload.
    pub payload: &'static [u8],
    /// Generated code: read, and checked against all of the schema.
    pub ours: fn(&[u8]) -> bool,
    /// serde into structs by hand: read.
    pub serde: fn(&[u8]) -> bool,
    /// A tree, checked by the `jsonschema` crate, then serde into the same structs.
    pub checked: Checked,
}

/// Reads a payload, and says whether it was valid.
pub type Checked = Box<dyn Fn(&[u8]) -> bool>;

fn ours<E: Event>(payload: &[u8]) -> bool {
    std::hint::black_box(E::decode(std::hint::black_box(payload))).is_ok()
}

fn by_serde<T: DeserializeOwned>(payload: &[u8]) -> bool {
    std::hint::black_box(serde_json::from_slice::<T>(std::hint::black_box(payload))).is_ok()
}

fn checked<T: DeserializeOwned>(validator: &jsonschema::Validator, payload: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(std::hint::black_box(payload)) else { return false };
    validator.is_valid(&value) && std::hint::black_box(serde_json::from_value::<T>(value)).is_ok()
}

macro_rules! cases {
    ($($topic:literal $event:ident $plain:ty;)+) => {
        /// All of them.
        ///
        /// # Errors
        /// A schema that can't be compiled.
        pub fn all() -> Result<Vec<Case>, String> {
            let mut all = Vec::new();
            $(for (name, payload) in [
                (concat!($topic, " small"), &include_bytes!(concat!("../payloads/", $topic, ".small.json"))[..]),
                (concat!($topic, " large"), &include_bytes!(concat!("../payloads/", $topic, ".large.json"))[..]),
            ] {
                let validator = validator(include_str!(concat!("../schemas/", $topic, "/v1.json")))?;
                all.push(Case {
                    name,
                    payload,
                    ours: ours::<events::$event>,
                    serde: by_serde::<$plain>,
                    checked: Box::new(move |payload| checked::<$plain>(&validator, payload)),
                });
            })+
            Ok(all)
        }
    };
}

cases! {
    "shop.order.created" OrderCreated plain::order::OrderCreated;
    "pay.payment.captured" PaymentCaptured plain::payment::PaymentCaptured;
    "iot.telemetry.reported" TelemetryReported plain::telemetry::TelemetryReported;
    "auth.user.signed_up" UserSignedUp plain::user::UserSignedUp;
    "ops.audit.logged" AuditLogged plain::audit::AuditLogged;
    "bill.invoice.issued" InvoiceIssued plain::invoice::InvoiceIssued;
    "ship.parcel.tracked" ParcelTracked plain::parcel::ParcelTracked;
    "search.document.indexed" DocumentIndexed plain::search::DocumentIndexed;
    "stock.inventory.counted" InventoryCounted plain::inventory::InventoryCounted;
    "chat.message.posted" MessagePosted plain::chat::MessagePosted;
}

fn validator(text: &str) -> Result<jsonschema::Validator, String> {
    let schema: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    debug_assert_eq!(Draft::of(&schema), Some(Draft::Draft7));
    jsonschema::validator_for(&schema).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_reads_every_payload() {
        let all = all().unwrap();
        assert_eq!(all.len(), 20);
        for case in all {
            assert!((300..=31_000).contains(&case.payload.len()) || case.payload.len() > 280, "{}", case.name);
            assert!((case.ours)(case.payload), "{}", case.name);
            assert!((case.serde)(case.payload), "{}", case.name);
            assert!((case.checked)(case.payload), "{}", case.name);
            let broken = String::from_utf8(case.payload.to_vec()).unwrap().replacen(':', ":[],\"x\":", 1);
            assert!(!(case.ours)(broken.as_bytes()), "{}", case.name);
        }
    }
}
