//! The reference contracts are exact: a generated type takes a payload if and only if an independent validator does, and
//! gives the same JSON back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

use celerysalt::Event;
use celerysalt_reference::events::{
    self, GetRiskAssessment, OrderCreated, OrderShipped, PaymentProcessed, RiskAssessmentCreated,
    RiskAssessmentInformationRequest, RiskAssessmentUpdated, TaggedItemCreated, UserCreated,
};
use proptest::{
    prelude::*,
    sample::{select, subsequence},
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value, json};

/// Values at and around what the contracts say.
fn values() -> Vec<Value> {
    let mut values = vec![Value::Null, json!(true), json!({}), json!({"a": {"b": [1, null]}}), json!([]), json!([1])];
    values.extend([0, 1, -1, 10, 11, 456, i64::MAX, i64::MIN].map(Value::from));
    values.push(Value::from(u64::MAX));
    values.extend([0.0, 1.0, -0.5, 10.0, 10.000_000_1, 0.5, 2e3].map(Value::from));
    values.extend(
        ["", "created", "deleted", "web", "USD", "EUR", "usd", "RA-1", "2026-01-01T00:00:00Z"].map(Value::from),
    );
    values.push(json!("x".repeat(1024)));
    values.push(json!("x".repeat(1025)));
    // 1,024 characters in 4,096 bytes: lengths are counted in characters.
    values.push(json!("\u{1F600}".repeat(1024)));
    values
}

/// The names of the properties, from the bundled schema.
fn properties(schema: &Value, names: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Object(properties)) = fields.get("properties") {
                names.extend(properties.keys().cloned());
            }
            fields.values().for_each(|value| properties(value, names));
        }
        Value::Array(items) => items.iter().for_each(|value| properties(value, names)),
        _ => {}
    }
}

/// A value that each property takes on its own, so that whole payloads are valid often enough.
fn fitting(validator: &jsonschema::Validator, name: &str) -> Vec<Value> {
    let complains = |value: &Value| {
        let payload = json!({ name: value });
        validator.iter_errors(&payload).any(|error| error.instance_path().to_string().starts_with(&format!("/{name}")))
    };
    values().into_iter().filter(|value| !complains(value)).collect()
}

/// How many payloads of `E` were compared, and how many of them were valid.
fn compare<E: Event>() -> (usize, usize) {
    let record = E::contract().to_record().unwrap();
    let validator = jsonschema::validator_for(&record.schema).unwrap();
    let mut names = Vec::new();
    properties(&record.schema, &mut names);
    names.sort();
    names.dedup();
    let fields: Vec<_> = names
        .iter()
        .map(|name| {
            let (any, fitting) = (select(values()), select(fitting(&validator, name)));
            (Just(name.clone()), prop_oneof![1 => any, 12 => fitting])
        })
        .collect();
    let count = fields.len();
    // Nearly always all fields, now and then some are left out.
    let kept = prop_oneof![2 => Just((0..count).collect::<Vec<_>>()), 1 => subsequence((0..count).collect::<Vec<_>>(), 0..=count)];
    let (mut compared, mut valid) = (0, 0);
    let mut runner = TestRunner::new(Config { cases: 3000, failure_persistence: None, ..Config::default() });
    let compared_valid = std::cell::RefCell::new((&mut compared, &mut valid));
    runner
        .run(&(fields, kept), |(fields, kept)| {
            let mut payload: Map<String, Value> = kept.into_iter().map(|i| fields[i].clone()).collect();
            payload.insert("undeclared".to_owned(), json!({"a": [1.5, null]}));
            let payload = Value::Object(payload);
            let expected = validator.is_valid(&payload);
            let typed = E::from_json(payload.clone());
            prop_assert_eq!(typed.is_ok(), expected, "{}: {:?} on {}", E::contract(), typed.as_ref().err(), payload);
            prop_assert_eq!(E::decode(payload.to_string().as_bytes()).is_ok(), expected);
            if let Ok(event) = typed {
                prop_assert_eq!(event.to_json().unwrap(), payload);
            }
            let mut counts = compared_valid.borrow_mut();
            *counts.0 += 1;
            *counts.1 += usize::from(expected);
            Ok(())
        })
        .unwrap();
    (compared, valid)
}

macro_rules! exact {
    ($($test:ident: $event:ty),* $(,)?) => {
        $(
            #[test]
            fn $test() {
                let (compared, valid) = compare::<$event>();
                assert!(valid > compared / 20 && valid < compared, "{valid} of {compared} were valid: nothing is learnt");
            }
        )*
    };
}

exact!(
    risk_assessment_created: RiskAssessmentCreated,
    risk_assessment_updated: RiskAssessmentUpdated,
    get_risk_assessment: GetRiskAssessment,
    risk_assessment_information: RiskAssessmentInformationRequest,
    user_signup_v1: events::auth_user_signup::v1::UserSignup,
    user_signup_v2: events::auth_user_signup::v2::UserSignup,
    user_created: UserCreated,
    tagged_item_created: TaggedItemCreated,
    order_created: OrderCreated,
    order_shipped: OrderShipped,
    payment_processed: PaymentProcessed,
);

/// What a tree of JSON would round, a text keeps: integers beyond 64 bits, digits of decimals, zeros that someone wrote.
#[test]
fn digits_are_kept() {
    let text = concat!(
        r#"{"assessment_id":"RA-1","company_id":123456789012345678901234567890,"#,
        r#""risk_score":9.99999999999999999999999999,"n":[1e400,0.10,-0]}"#
    );
    let mut event = RiskAssessmentCreated::decode(text.as_bytes()).unwrap();
    assert_eq!(event.encode().unwrap(), text);
    // What is changed is written as it is now.
    event.risk_score = 2.5;
    let changed = text.replace("9.99999999999999999999999999", "2.5");
    assert_eq!(event.encode().unwrap(), changed);
}
