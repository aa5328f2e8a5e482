//! What a check over the bytes costs, beside what it costs to parse the same text.
//!
//! `cargo run --release -p celerysalt-contract --example exact_speed`

#![allow(clippy::struct_field_names, reason = "the names are those of the payloads")]

use std::{collections::BTreeMap, hint::black_box, time::Instant};

use celerysalt_contract::{Exact, Validator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

/// A risk assessment: the small event of the reference contracts.
#[derive(Deserialize, Serialize)]
struct Risk {
    assessment_id: String,
    company_id: i64,
    risk_score: f64,
    created_by: Option<String>,
    assessment_type: Option<String>,
}

fn risk() -> (Value, &'static str) {
    let schema = json!({
        "type": "object",
        "allOf": [{"$ref": "#/$defs/risk_base"}],
        "properties": {"created_by": {"type": "string"}, "assessment_type": {"type": "string"}},
        "$defs": {"risk_base": {
            "type": "object",
            "properties": {
                "assessment_id": {"type": "string"},
                "company_id": {"type": "integer"},
                "risk_score": {"type": "number", "minimum": 0, "maximum": 10}
            },
            "required": ["assessment_id", "company_id", "risk_score"]
        }}
    });
    let text = r#"{"assessment_id":"RA-2024-000123","company_id":456,"risk_score":8.5,"created_by":"analyst@example.com","assessment_type":"supplier_audit"}"#;
    (schema, text)
}

/// A customer's profile: one kilobyte, twenty properties.
#[derive(Deserialize, Serialize)]
struct Customer {
    customer_id: String,
    tenant_id: String,
    email: String,
    first_name: String,
    last_name: String,
    phone: Option<String>,
    country: String,
    city: String,
    street: String,
    postal_code: String,
    currency: String,
    status: String,
    loyalty_points: i64,
    credit_limit: f64,
    marketing_opt_in: bool,
    notes: String,
    referrer: String,
    created_at: String,
    updated_at: String,
    source: String,
}

fn customer() -> (Value, &'static str) {
    let schema = json!({
        "type": "object",
        "properties": {
            "customer_id": {"type": "string", "minLength": 1, "maxLength": 64},
            "tenant_id": {"type": "string", "minLength": 36, "maxLength": 36},
            "email": {"type": "string", "format": "email", "maxLength": 254},
            "first_name": {"type": "string", "maxLength": 100},
            "last_name": {"type": "string", "maxLength": 100},
            "phone": {"type": ["string", "null"]},
            "country": {"type": "string", "minLength": 2, "maxLength": 2},
            "city": {"type": "string"},
            "street": {"type": "string"},
            "postal_code": {"type": "string"},
            "currency": {"type": "string", "enum": ["EUR", "USD", "GBP", "CHF"]},
            "status": {"enum": ["active", "suspended", "closed"]},
            "loyalty_points": {"type": "integer", "minimum": 0},
            "credit_limit": {"type": "number", "minimum": 0, "maximum": 1_000_000},
            "marketing_opt_in": {"type": "boolean"},
            "notes": {"type": "string", "maxLength": 2000},
            "referrer": {"type": "string"},
            "created_at": {"type": "string", "format": "date-time"},
            "updated_at": {"type": "string", "format": "date-time"},
            "source": {"type": "string"}
        },
        "required": ["customer_id", "tenant_id", "email", "first_name", "last_name", "country", "currency", "status"],
        "additionalProperties": false
    });
    let text = r#"{"customer_id":"cus_9f8a7b6c5d4e","tenant_id":"5f0c6e1e-7f0e-4f6e-9a53-0f1c5a2b3c4d","email":"dwight.schrute@dundermifflin.example","first_name":"Dwight","last_name":"Schrute","phone":"+1 570 555 0199","country":"US","city":"Scranton","street":"1725 Slough Avenue, Suite 200","postal_code":"18505","currency":"USD","status":"active","loyalty_points":12450,"credit_limit":2500.5,"marketing_opt_in":true,"notes":"Prefers beets over any other vegetable. Deliveries only in the morning, to the back door of the farm; call ahead, the dogs are loose. Has asked twice for a discount on bulk orders of paper, and was told that the regional manager, not the assistant to him, decides on these. Keep the record of the fire drill in mind when you send new colleagues to the branch.","referrer":"https://dundermifflin.example/campaigns/2024/spring?utm_source=newsletter","created_at":"2024-03-01T08:15:30.123Z","updated_at":"2024-05-17T16:42:11.987Z","source":"web-signup"}"#;
    (schema, text)
}

#[derive(Deserialize, Serialize)]
struct Money {
    amount: f64,
    currency: String,
}

#[derive(Deserialize, Serialize)]
struct Line {
    sku: String,
    title: String,
    quantity: i64,
    price: Money,
}

/// An order: nested objects, arrays, references and a pattern.
#[derive(Deserialize, Serialize)]
struct Order {
    order_id: String,
    company_id: i64,
    lines: Vec<Line>,
    total: Money,
    tags: Vec<String>,
    metadata: BTreeMap<String, String>,
}

fn order() -> (Value, &'static str) {
    let schema = json!({
        "type": "object",
        "properties": {
            "order_id": {"type": "string", "pattern": "^ORD-[0-9]+$"},
            "company_id": {"type": "integer", "minimum": 1},
            "lines": {"type": "array", "minItems": 1, "maxItems": 500, "items": {"$ref": "#/$defs/line"}},
            "total": {"$ref": "#/$defs/money"},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 40}},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}}
        },
        "required": ["order_id", "company_id", "lines", "total"],
        "$defs": {
            "money": {
                "type": "object",
                "properties": {
                    "amount": {"type": "number", "minimum": 0, "multipleOf": 0.01},
                    "currency": {"type": "string", "enum": ["EUR", "USD", "GBP"]}
                },
                "required": ["amount", "currency"],
                "additionalProperties": false
            },
            "line": {
                "type": "object",
                "properties": {
                    "sku": {"type": "string", "minLength": 3, "maxLength": 32},
                    "title": {"type": "string"},
                    "quantity": {"type": "integer", "minimum": 1},
                    "price": {"$ref": "#/$defs/money"}
                },
                "required": ["sku", "quantity", "price"]
            }
        }
    });
    let text = r#"{"order_id":"ORD-100234","company_id":456,"lines":[{"sku":"PAP-A4-80","title":"Paper A4, 80 g, 500 sheets","quantity":40,"price":{"amount":3.99,"currency":"USD"}},{"sku":"PAP-A3-90","title":"Paper A3, 90 g, 250 sheets","quantity":12,"price":{"amount":7.49,"currency":"USD"}},{"sku":"STA-PLR-01","title":"Stapler, without jelly","quantity":1,"price":{"amount":14.95,"currency":"USD"}},{"sku":"MUG-BOSS","title":"Mug, World's Best Boss","quantity":2,"price":{"amount":9.5,"currency":"USD"}},{"sku":"PAP-CARD-200","title":"Card stock, 200 g","quantity":5,"price":{"amount":18.0,"currency":"USD"}}],"total":{"amount":379.43,"currency":"USD"},"tags":["priority","back-door","scranton"],"metadata":{"channel":"phone","salesperson":"jim.halpert","campaign":"spring"}}"#;
    (schema, text)
}

#[derive(Deserialize, Serialize)]
#[serde(tag = "method", rename_all = "snake_case")]
enum Method {
    Card { last4: String, network: String },
    Transfer { iban: String },
    Wallet { provider: String, account: String },
}

/// A payment: a union told apart by a constant.
#[derive(Deserialize, Serialize)]
struct Payment {
    payment_id: String,
    order_id: String,
    amount: f64,
    method: Method,
    refunded: bool,
}

fn payment() -> (Value, &'static str) {
    let branch = |name: &str, properties: Value| {
        let mut all = json!({"method": {"const": name}});
        if let (Value::Object(all), Value::Object(properties)) = (&mut all, properties) {
            all.extend(properties);
        }
        let required: Vec<String> = all.as_object().into_iter().flat_map(|all| all.keys().cloned()).collect();
        json!({"type": "object", "properties": all, "required": required})
    };
    let text = json!({"type": "string"});
    let schema = json!({
        "type": "object",
        "properties": {
            "payment_id": {"type": "string"},
            "order_id": {"type": "string", "pattern": "^ORD-"},
            "amount": {"type": "number", "exclusiveMinimum": 0},
            "method": {"oneOf": [
                branch("card", json!({"last4": {"type": "string", "pattern": "^[0-9]{4}$"}, "network": text})),
                branch("transfer", json!({"iban": text})),
                branch("wallet", json!({"provider": text, "account": text}))
            ]},
            "refunded": {"type": "boolean"}
        },
        "required": ["payment_id", "order_id", "amount", "method"]
    });
    let text = r#"{"payment_id":"pay_0a1b2c3d4e5f","order_id":"ORD-100234","amount":379.43,"method":{"method":"wallet","provider":"beetcoin","account":"dwight@schrute.farms"},"refunded":false}"#;
    (schema, text)
}

/// Nanoseconds for one of many calls: the least of several rounds, which other work on the machine disturbs least.
fn nanoseconds(mut act: impl FnMut()) -> f64 {
    const ROUNDS: u32 = 25;
    const CALLS: u32 = 4_000;
    let mut least = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..CALLS {
            act();
        }
        least = least.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
    }
    least
}

fn measure<T: for<'de> Deserialize<'de>>(name: &str, (schema, text): (Value, &str)) -> Result<(), Failure> {
    let exact = Exact::new(&schema)?;
    let validator = Validator::new(&schema)?;
    exact.check(text.as_bytes())?;
    let check = nanoseconds(|| {
        black_box(exact.accepts(black_box(text.as_bytes())));
    });
    let typed = nanoseconds(|| {
        black_box(serde_json::from_slice::<T>(black_box(text.as_bytes())).is_ok());
    });
    let tree = nanoseconds(|| {
        let value: Option<Value> = serde_json::from_slice(black_box(text.as_bytes())).ok();
        black_box(value.is_some_and(|value| validator.is_valid(&value)));
    });
    let value = nanoseconds(|| {
        black_box(serde_json::from_slice::<Value>(black_box(text.as_bytes())).is_ok());
    });
    println!(
        "{name:<10}{:>7} B{check:>10.0}{typed:>12.0}{value:>11.0}{tree:>14.0}{:>10.2}{:>10.2}",
        text.len(),
        check / typed,
        check / tree
    );
    Ok(())
}

fn main() -> Result<(), Failure> {
    println!(
        "{:<10}{:>9}{:>10}{:>12}{:>11}{:>14}{:>10}{:>10}",
        "ns", "size", "accepts", "to struct", "to Value", "+ Validator", "/ struct", "/ tree"
    );
    measure::<Risk>("risk", risk())?;
    measure::<Customer>("customer", customer())?;
    measure::<Order>("order", order())?;
    measure::<Payment>("payment", payment())?;
    Ok(())
}
