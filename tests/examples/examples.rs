//! Every example, in one process and on real servers: it runs, and says what it is there to say.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

use celerysalt_examples::{Example, Place};

/// Two tests for each example.
macro_rules! examples {
    ($($name:ident: $program:literal, [$($service:literal),*], [$($says:literal),+ $(,)?] $(, never [$($never:literal),+])?;)+) => {
        $(
            mod $name {
                use super::{Example, Place};

                const EXAMPLE: Example = Example {
                    program: env!(concat!("CARGO_BIN_EXE_example-", $program)),
                    services: &[$($service),*],
                    says: &[$($says),+],
                    never: &[$($($never),+)?],
                };

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn in_memory() {
                    EXAMPLE.runs(Place::Memory).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_servers() {
                    EXAMPLE.runs(Place::Servers).await;
                }
            }
        )+

        /// What has tests.
        const TESTED: &[&str] = &[$($program),+];
    };
}

examples! {
    quickstart: "quickstart", ["pulse", "compliance", "audit"], [
        "assessment RA-123 of company 456 scored 8.5",
        "RA-123       score 8.5, approved",
    ];
    broadcast: "broadcast", ["pulse", "mail"], ["company 456: risk assessment RA-123 scored 7.5"];
    rpc: "rpc", ["risk", "dashboard"], [
        "RA-123: score 2, approved",
        "XX-1: NOT_FOUND: ",
        "RA-many: rpc.pulse.risk.get: the handler failed: invalid digit",
    ];
    code_first: "code_first", ["shop", "audit"], [
        "shop.order.placed@v1: An order has been placed.",
        "not sent: shop.order.placed@v1: the contract refuses this payload: /amount",
    ], never ["sent for free"];
    outbox: "outbox", ["shop", "mail"], [
        "order-2: written as",
        "order-1: a receipt is due: true\n",
        "order-1: a receipt is due: true, a replay\n",
        "1 event published from the outbox",
    ], never ["order-2: a receipt"];
    inheritance: "inheritance", ["inheritance-mail", "inheritance-pulse"], [
        "risk_created: urgent, Critical risk of company 456\n",
        "risk_updated: Medium risk of company 456, down from 8.5\n",
    ];
    tagged_item: "tagged_item", ["tagged-item-scranton", "tagged-item-rules-engine"], [
        "high_priority: will cascade: true",
        "tag \"high_priority\" on \"order:456\" (0 before it)",
        "rule: \"order:456\" goes first",
        "tag \"high_priority\" on \"valuechain:789\" (1 before it)",
        "rule: \"valuechain:789\" goes first",
        "system_internal: will cascade: false",
        "tag \"system_internal\" on \"order:456\" (0 before it)",
    ], never ["tag \"system_internal\" on \"valuechain"];
    composition: "composition", ["composition-shop"], [
        "e-mail to pam@example.com: order_created for O-1 (orders.created)",
        "e-mail to pam@example.com: order_shipped for O-1 (orders.shipped)",
        "orders.created: published as ",
        "order O-2 is unknown",
    ];
    validation_hooks: "validation_hooks", ["validation-payments", "validation-books"], [
        "P-1: published; booked P-1 of 99.5, checked by \"limit\"",
        "P-2: pending_approval",
        "P-3: payments.processed@v1: the contract refuses this payload: /amount",
        "waiting for approval: P-2\n",
    ];
    batch: "batch", ["batch-crm", "batch-auth"], [
        "10000 users confirmed, at most 100 in flight",
        "10000 users handled, Some(1) to Some(10000)",
    ];
    replay: "replay", ["replay-shop", "replay-reports"], [
        "report: O-1 of 10 (new)",
        "report: O-3 of 7.25 (new)",
        "orders.created: 3 events of the week would be sent",
        "report: O-1 of 10 (replayed)",
        "report: O-2 of 20.5 (replayed)",
        "report: O-3 of 7.25 (replayed)",
        "3 events sent again, to celerysalt.replay-reports.events alone",
    ];
    event_sourcing: "event_sourcing", ["event-sourcing-shop", "event-sourcing-reader"], [
        "version 1: 42.5 to pay, parcel None",
        "shipped as T-9",
        "the order has moved on from version 1",
        "version 2: 42.5 to pay, parcel Some(\"T-9\")",
        "subscriber: O-1 created",
        "subscriber: O-1 shipped as T-9",
        "2 events published from the outbox",
    ];
    axum_outbox: "axum_outbox", ["axum-payments", "axum-books"], [
        "a payment: HTTP/1.1 201 Created: {\"payment_id\":\"P-1\"}",
        "the same again: HTTP/1.1 409 Conflict",
        "none: HTTP/1.1 422 Unprocessable Entity",
        "booked 42.5",
        "1 event published from the outbox",
    ];
    migration: "migration", ["migration-shop", "migration-mail"], [
        "week 1",
        "Rust hears from Python: O-1 is on its way as T-1",
        "Python hears: O-1 is on its way as T-1",
        "week 2",
        "Rust hears from Rust: O-2 is on its way as T-2",
        "Python hears: O-2 is on its way as T-2",
        "week 3",
        "Rust hears from Rust: O-3 is on its way as T-3",
    ];
    dynamic_subscriber: "dynamic_subscriber", ["dynamic-publisher", "dynamic-feed"], [
        "pulse.risk.created@v1: \"RA-123\"",
        "orders.shipped@v1: \"T-9\"",
        "auth.user.created@v1: \"pam@example.com\"",
        "refused: orders.shipped@v1: the contract refuses this payload: /company_id",
    ];
    multi_version: "multi_version", ["multi-version-mail", "multi-version-auth"], [
        "v1: dear user (7), to pam@example.com",
        "v2: dear Jim (u-8), to jim@example.com",
        "2 handled, 0 dead-lettered",
    ];
}

#[test]
fn no_example_is_without_its_test() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_string_lossy().strip_suffix(".rs").map(str::to_owned))
        .collect();
    let tested: BTreeSet<String> = TESTED.iter().map(ToString::to_string).collect();
    assert_eq!(files, tested);
}
