//! The rights on the broker that docs/operations.md names are enough for a service, and it has no others.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

use std::time::Duration;

use celerysalt::{HandlerError, Salt, service::Retry};
use celerysalt_reference::events::{
    GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse, RiskAssessmentCreated,
};
use celerysalt_tests::{node::Node, page::Page, within};
use tokio::sync::mpsc;

/// The table of rights in the guide: configure, write, read.
fn rights(service: &str) -> Vec<String> {
    let page = Page::read("docs/operations.md");
    let of = |right: &str| {
        let row = page.text.lines().find_map(|line| line.strip_prefix(&format!("| {right} | `")));
        let pattern = row.unwrap_or_else(|| panic!("the guide has no right `{right}`")).split('`').next().unwrap();
        pattern.replace(r"\|", "|").replace("NAME", service)
    };
    ["configure", "write", "read"].map(of).to_vec()
}

async fn get(request: GetRiskAssessment) -> Result<GetRiskAssessmentResponse, GetRiskAssessmentError> {
    let fields = serde_json::json!({"assessment_id": request.assessment_id, "risk_score": 7, "status": "open"});
    Ok(serde_json::from_value(fields).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_needs_no_more_rights_than_the_guide_says() {
    let node = tokio::task::spawn_blocking(|| {
        let node = Node::start();
        node.ctl(&["add_user", "risk", "secret"]);
        let rights = rights("risk");
        let rights: Vec<&str> = rights.iter().map(String::as_str).collect();
        node.ctl(&[&["set_permissions", "risk"], rights.as_slice()].concat());
        node
    })
    .await
    .unwrap();
    let url = node.url().replace("guest:guest@", "risk:secret@");
    let salt = Salt::builder("risk").broker_url(&url).connect().await.unwrap();

    let (tried, mut tries) = mpsc::unbounded_channel();
    let handler = move |event: RiskAssessmentCreated| {
        tried.send(event.risk_score).unwrap();
        std::future::ready(if event.risk_score > 5.0 { Err(HandlerError::new("too high")) } else { Ok(()) })
    };
    let retry = Retry::exponential(Duration::from_millis(10)).tries(2);
    let running = salt.service().retry(retry).on(handler).serve(get).start().await.unwrap();

    // Publishing, handling, trying again after a pause on the broker, and keeping what failed.
    for score in [1.0, 9.0] {
        let event = RiskAssessmentCreated::builder().assessment_id("RA-1").company_id(1).risk_score(score);
        event.build().unwrap().publish(&salt).await.unwrap();
    }
    for _ in 0..3 {
        within(tries.recv()).await.unwrap();
    }
    within(running.counted(|counts| counts.dead_lettered > 0)).await;
    // Calling and answering.
    let request: GetRiskAssessment = serde_json::from_value(serde_json::json!({"assessment_id": "RA-1"})).unwrap();
    assert_eq!(request.call(&salt).await.unwrap().status, "open");
    running.shutdown().await;
    salt.close().await;

    // Another service's queues are not its own.
    let other = Salt::builder("billing").broker_url(&url).connect().await.unwrap();
    let refused = other.service().serve(get).start().await.unwrap_err().to_string();
    assert!(refused.contains("ACCESS_REFUSED") && refused.contains("celerysalt.billing.dead"), "{refused}");
}
