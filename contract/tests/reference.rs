//! The repository's own schemas load, and say what the seeds say.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs, reason = "tests fail by panicking")]

use std::{fs, path::Path};

use celerysalt_contract::{Catalog, Mode, Source, Validator, layout};
use serde_json::json;

fn catalog() -> Catalog {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    Catalog::load(root).unwrap_or_else(|findings| panic!("{}", findings.render(false)))
}

/// As `celerysalt fmt --check`.
#[test]
fn every_file_is_laid_out() {
    let catalog = catalog();
    for file in &catalog.files {
        let source = Source::parse(&catalog.root, file, fs::read(catalog.root.join(file)).unwrap()).unwrap();
        assert!(source.text() == layout(&source), "{}: run `celerysalt fmt`", file.display());
    }
}

#[test]
fn every_reference_contract_loads_without_a_warning() {
    let catalog = catalog();
    assert_eq!(catalog.warnings.to_string(), "");
    let listed: Vec<String> = catalog
        .contracts
        .iter()
        .map(|contract| format!("{} {} {} {}", contract.topic, contract.version, contract.mode, contract.title))
        .collect();
    assert_eq!(
        listed,
        [
            "auth.user.created v1 broadcast UserCreated",
            "auth.user.signup v1 broadcast UserSignup",
            "auth.user.signup v2 broadcast UserSignup",
            "orders.created v1 broadcast OrderCreated",
            "orders.shipped v1 broadcast OrderShipped",
            "payments.processed v1 broadcast PaymentProcessed",
            "pulse.risk.created v1 broadcast RiskAssessmentCreated",
            "pulse.risk.updated v1 broadcast RiskAssessmentUpdated",
            "rpc.pulse.risk.get v1 rpc GetRiskAssessment",
            "rpc.pulse.risk.information v1 rpc RiskAssessmentInformationRequest",
            "scranton.tagged_item.created v1 broadcast TaggedItemCreated",
        ]
    );
    assert_eq!(catalog.files.len(), 17);
}

#[test]
fn fragments_are_bundled_and_bind() {
    let catalog = catalog();
    let created = catalog.get("pulse.risk.created", &"v1".parse().unwrap()).unwrap();
    assert_eq!(created.mode, Mode::Broadcast);
    assert_eq!(created.request.schema["allOf"], json!([{"$ref": "#/$defs/risk_base"}]));
    assert_eq!(
        created.request.files,
        ["pulse.risk.created/v1.json", "_common/risk_base.json"].map(std::path::PathBuf::from)
    );
    let validator = Validator::new(&created.to_record().schema).unwrap();
    let payload = json!({"assessment_id": "RA-123", "company_id": 456, "risk_score": 8.5});
    validator.validate(&payload).unwrap();
    let wrong = json!({"assessment_id": "RA-123", "company_id": "secret", "risk_score": 10.5, "created_by": 7});
    assert_eq!(
        validator.validate(&wrong).unwrap_err().to_string(),
        "/company_id: type: expected an integer; /created_by: type: expected a string; \
         /risk_score: maximum: expected at most 10"
    );
}

#[test]
fn selectors_choose_contracts() {
    let catalog = catalog();
    let chosen = |selectors: &[&str]| -> Vec<String> {
        let selectors: Vec<_> = selectors.iter().map(|text| text.parse().unwrap()).collect();
        catalog.select(&selectors).iter().map(|c| format!("{}@{}", c.topic, c.version)).collect()
    };
    assert_eq!(chosen(&["auth.user.*@latest"]), ["auth.user.created@v1", "auth.user.signup@v2"]);
    assert_eq!(
        chosen(&["auth.user.signup@v1", "orders.#@^v1"]),
        ["auth.user.signup@v1", "orders.created@v1", "orders.shipped@v1"]
    );
    assert_eq!(chosen(&[]).len(), 11);
    assert!(chosen(&["no.such"]).is_empty());
}
