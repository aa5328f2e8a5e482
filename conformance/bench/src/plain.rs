//! What one would write by hand for the same schemas: serde and nothing else.
//!
//! Included as text by the comparison of compile times as well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub mod order {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct OrderCreated {
        pub order_id: String,
        pub placed_at: String,
        pub status: Status,
        pub customer: Customer,
        pub shipping: Address,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub billing: Option<Address>,
        pub lines: Vec<Line>,
        pub total: Money,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub note: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub gift: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub priority: Option<i64>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Status {
        Placed,
        Paid,
        Held,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Customer {
        pub id: i64,
        pub email: String,
        pub name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub vip: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub segments: Option<Vec<String>>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Line {
        pub sku: String,
        pub title: String,
        pub quantity: i64,
        pub unit_price: Money,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub discount: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tags: Option<Vec<String>>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Address {
        pub street: String,
        pub city: String,
        pub zip: String,
        pub country: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub state: Option<String>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Money {
        pub amount: String,
        pub currency: Currency,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    pub enum Currency {
        #[serde(rename = "EUR")]
        Eur,
        #[serde(rename = "USD")]
        Usd,
        #[serde(rename = "GBP")]
        Gbp,
        #[serde(rename = "CHF")]
        Chf,
    }
}

pub mod payment {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct PaymentCaptured {
        pub payment_id: String,
        pub captured_at: String,
        pub total: Money,
        pub parts: Vec<PaymentPart>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub attempts: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub risk: Option<f64>,
        pub metadata: BTreeMap<String, String>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "method", rename_all = "lowercase")]
    pub enum PaymentPart {
        Card(Card),
        Sepa(Sepa),
        Wallet(Wallet),
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Card {
        pub brand: Brand,
        pub last4: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub expires: Option<String>,
        pub amount: Money,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Brand {
        Visa,
        Mastercard,
        Amex,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Sepa {
        pub iban: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub mandate: Option<String>,
        pub amount: Money,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Wallet {
        pub provider: String,
        pub token: String,
        pub amount: Money,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Money {
        pub amount: String,
        pub currency: Currency,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    pub enum Currency {
        #[serde(rename = "EUR")]
        Eur,
        #[serde(rename = "USD")]
        Usd,
        #[serde(rename = "GBP")]
        Gbp,
        #[serde(rename = "CHF")]
        Chf,
    }
}

pub mod telemetry {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct TelemetryReported {
        pub device: String,
        pub sequence: i64,
        pub sent_at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub firmware: Option<String>,
        pub readings: Vec<Reading>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Reading {
        pub at: i64,
        pub sensor: Sensor,
        pub value: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub quality: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub ok: Option<bool>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Sensor {
        Temperature,
        Humidity,
        Pressure,
        Voltage,
    }
}

pub mod user {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct UserSignedUp {
        pub user_id: i64,
        pub email: String,
        pub name: String,
        pub locale: String,
        pub referrer: Option<String>,
        pub marketing: bool,
        pub roles: Vec<Role>,
        pub created_at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub devices: Option<Vec<Device>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub preferences: Option<BTreeMap<String, bool>>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Role {
        Reader,
        Writer,
        Admin,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Device {
        pub id: String,
        pub platform: Platform,
        pub version: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub push: Option<String>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Platform {
        Ios,
        Android,
        Web,
    }
}

pub mod audit {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct AuditLogged {
        pub id: String,
        pub at: String,
        pub actor: Actor,
        pub action: Action,
        pub resource: String,
        pub changes: Vec<Change>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub headers: Option<BTreeMap<String, String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub success: Option<bool>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Action {
        Create,
        Update,
        Delete,
        Login,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Actor {
        pub kind: ActorKind,
        pub id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub ip: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub groups: Option<Vec<String>>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum ActorKind {
        User,
        Service,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Change {
        pub path: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub old: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub new: Option<String>,
    }
}

pub mod invoice {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct InvoiceIssued {
        pub number: String,
        pub issued_on: String,
        pub due_on: String,
        pub seller: Party,
        pub buyer: Party,
        pub sections: Vec<Section>,
        pub net: Money,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub taxes: Option<Vec<Tax>>,
        pub gross: Money,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Party {
        pub name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub vat: Option<String>,
        pub address: Address,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Section {
        pub title: String,
        pub items: Vec<Item>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Item {
        pub text: String,
        pub hours: f64,
        pub rate: Money,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub taxable: Option<bool>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Tax {
        pub name: String,
        pub percent: f64,
        pub amount: Money,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Address {
        pub street: String,
        pub city: String,
        pub zip: String,
        pub country: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub state: Option<String>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Money {
        pub amount: String,
        pub currency: Currency,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    pub enum Currency {
        #[serde(rename = "EUR")]
        Eur,
        #[serde(rename = "USD")]
        Usd,
        #[serde(rename = "GBP")]
        Gbp,
        #[serde(rename = "CHF")]
        Chf,
    }
}

pub mod parcel {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct ParcelTracked {
        pub parcel: String,
        pub carrier: Carrier,
        pub weight_g: i64,
        pub events: Vec<ParcelEvent>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub route: Option<Vec<(f64, f64)>>,
        pub expected: Option<String>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Carrier {
        Dhl,
        Ups,
        Post,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", rename_all = "lowercase")]
    pub enum ParcelEvent {
        Scanned(Scanned),
        Delivered(Delivered),
        Failed(Failed),
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Scanned {
        pub at: String,
        pub hub: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub sorted: Option<bool>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Delivered {
        pub at: String,
        pub to: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub signature: Option<String>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Failed {
        pub at: String,
        pub reason: Reason,
        pub attempt: i64,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Reason {
        Absent,
        Refused,
        Address,
    }
}

pub mod search {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct DocumentIndexed {
        pub index: String,
        pub batch: i64,
        pub documents: Vec<Entry>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Entry {
        pub id: String,
        pub title: String,
        pub body: String,
        pub language: Language,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub score: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub keywords: Option<Vec<String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub published: Option<bool>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Language {
        De,
        En,
        Fr,
    }
}

pub mod inventory {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct InventoryCounted {
        pub counted_at: String,
        pub by: String,
        pub warehouses: BTreeMap<String, BTreeMap<String, Stock>>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Stock {
        pub on_hand: i64,
        pub reserved: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub bin: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub blocked: Option<bool>,
    }
}

pub mod chat {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct MessagePosted {
        pub message: Message,
        pub channel: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub members: Option<Vec<i64>>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Message {
        pub id: String,
        pub author: i64,
        pub text: String,
        pub sent_at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub edited: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub attachments: Option<Vec<Attachment>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub reactions: Option<BTreeMap<String, Vec<i64>>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub replies: Option<Vec<Message>>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind", rename_all = "lowercase")]
    pub enum Attachment {
        Image(Image),
        File(File),
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Image {
        pub url: String,
        pub width: i64,
        pub height: i64,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct File {
        pub url: String,
        pub name: String,
        pub bytes: i64,
    }
}
