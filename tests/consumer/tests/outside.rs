//! A consumer outside this workspace: it builds, runs, rebuilds when it must, and is told all of its mistakes.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

use std::fs;

use celerysalt_consumer_tests::Consumer;

const BUILD: &str = r#"
fn main() {
    celerysalt_codegen::contracts("schemas").emit();
}
"#;

const CONTRACTS: [&str; 6] = [
    "_common/risk_base.json",
    "pulse.risk.created/v1.json",
    "auth.user.created/v1.json",
    "rpc.pulse.risk.get/v1.json",
    "rpc.pulse.risk.get/v1.response.json",
    "rpc.pulse.risk.get/v1.error.json",
];

const MAIN: &str = r#"
celerysalt::include_events!();

use celerysalt::{HandlerError, Meta, Rest, Salt};
use events::{GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse, RiskAssessmentCreated};

impl RiskAssessmentCreated {
    fn is_high_risk(&self) -> bool {
        self.risk_score >= 7.0
    }
}

async fn notify(event: RiskAssessmentCreated, meta: Meta) -> Result<(), HandlerError> {
    let score: i32 = "8".parse()?;
    println!("notified of {} at {} ({score}), high: {}", event.assessment_id, meta.topic, event.is_high_risk());
    Ok(())
}

async fn get_risk(request: GetRiskAssessment) -> Result<GetRiskAssessmentResponse, GetRiskAssessmentError> {
    Ok(GetRiskAssessmentResponse {
        assessment_id: request.assessment_id,
        risk_score: 8.5,
        status: "open".into(),
        rest: Rest::default(),
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let salt = Salt::connect_env("pulse").await?;
    let running = salt.service().on(notify).serve(get_risk).start().await?;
    let event = RiskAssessmentCreated::builder().assessment_id("RA-1").company_id(1).risk_score(8.5).build()?;
    event.publish(&salt).await?;
    let request = GetRiskAssessment::builder().assessment_id("RA-1").build()?;
    let reply = request.call(&salt).await?;
    println!("answered {}", reply.status);
    running.shutdown().await;
    Ok(())
}
"#;

#[test]
fn a_consumer_outside_the_workspace_builds_publishes_and_serves() {
    let consumer = Consumer::new("outside-runs", BUILD, MAIN);
    consumer.copy_contracts(&CONTRACTS);
    let ran = consumer.cargo(&["run", "--quiet"]);
    assert!(ran.ok, "{}", ran.text);
    assert!(ran.text.contains("notified of RA-1 at pulse.risk.created (8), high: true"), "{}", ran.text);
    assert!(ran.text.contains("answered open"), "{}", ran.text);
    assert!(!ran.text.contains("warning"), "generated code is quiet: {}", ran.text);
}

/// The blocks of the README that are files (`file=PATH` behind the language), as they stand there.
fn files_of_the_readme() -> Vec<(String, String)> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let files = text.split("\n```").filter_map(|block| {
        let (words, text) = block.split_once('\n')?;
        let path = words.split([',', ' ']).find_map(|word| word.strip_prefix("file="))?;
        Some((path.to_owned(), format!("{text}\n")))
    });
    files.collect()
}

#[test]
fn the_readmes_tour_builds_and_runs() {
    let consumer = Consumer::new("outside-readme", "", "");
    consumer.copy_contracts(&CONTRACTS);
    let files = files_of_the_readme();
    for (path, text) in &files {
        consumer.write(path, text);
    }
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["schemas/pulse.risk.created/v1.json", "build.rs", "src/main.rs"]);
    let ran = consumer.cargo(&["run", "--quiet"]);
    assert!(ran.ok && !ran.text.contains("warning"), "{}", ran.text);
    for line in ["a mail about RA-123, from pulse", "published ", "scored 8.5"] {
        assert!(ran.text.contains(line), "`{line}` is not in\n{}", ran.text);
    }
}

#[test]
fn what_changed_is_generated_again_and_nothing_else() {
    const SMALL: &str = "celerysalt::include_events!();\nfn main() { println!(\"{}\", events::contracts().len()); }\n";
    let consumer = Consumer::new("outside-rebuilds", BUILD, SMALL);
    consumer.copy_contracts(&CONTRACTS);
    let build = || {
        let ran = consumer.cargo(&["build", "-v"]);
        assert!(ran.ok, "{}", ran.text);
        // Cargo says `Running .../build-script-build` when it runs the script, `Fresh` when it does not.
        let fresh = ran.text.lines().any(|line| line.contains("Fresh outside-rebuilds"));
        let scripted = ran.text.lines().any(|line| {
            line.contains("Running") && line.contains("outside-rebuilds") && line.contains("build-script-build`")
        });
        assert_ne!(fresh, scripted, "{}", ran.text);
        scripted
    };
    let count = || consumer.cargo(&["run", "--quiet"]).text.trim().to_owned();
    assert!(build(), "the first build generates");
    assert_eq!(count(), "3");
    assert!(!build(), "an untouched tree does not run the script");

    let read = |relative: &str| fs::read_to_string(consumer.path(relative)).unwrap();
    let user = read("schemas/auth.user.created/v1.json");
    consumer.write("schemas/auth.user.created/v1.json", &user.replace("\"UserCreated\"", "\"UserMade\""));
    consumer.write("src/main.rs", &SMALL.replace("fn main() {", "fn main() { let _: Option<events::UserMade> = None;"));
    assert!(build(), "an edit");
    assert!(!build(), "nothing since the edit");

    let fragment = read("schemas/_common/risk_base.json");
    consumer.write("schemas/_common/risk_base.json", &fragment.replace("10", "20"));
    assert!(build(), "an edit of a fragment");

    consumer.write("schemas/auth.user.deleted/v1.json", &user.replace("UserCreated", "UserDeleted"));
    assert!(build(), "a new contract");
    assert_eq!(count(), "4");

    fs::remove_dir_all(consumer.path("schemas/auth.user.deleted")).unwrap();
    assert!(build(), "a deletion");
    assert_eq!(count(), "3");
    assert!(!build(), "nothing since the deletion");
}

const SHARING: &str = r##"
celerysalt::include_events!();

use celerysalt::Event;
use events::{shared::common_address::Address, shop_order_placed::{v1, v2, v3}, ParcelSent};

/// Takes the addresses of any event: they are one type.
fn label(to: &Address) -> String {
    format!("{}, {:?}", to.city, to.kind)
}

fn main() {
    let placed = r#"{"order_id":7,"to":{"city":"Scranton","kind":"work"}}"#;
    let old = v1::OrderPlaced::decode(placed.as_bytes()).unwrap();
    let sent = ParcelSent { to: old.to.clone(), rest: Default::default() };
    assert_eq!(label(&sent.to), "Scranton, Work");

    // An undeclared property may be a declared one of the next version, so the payload decides.
    let new = v2::OrderPlaced::try_from(old.clone()).unwrap();
    assert_eq!((&new.order_id, &new.note, label(&new.to)), (&old.order_id, &None, label(&old.to)));
    assert_eq!(new.encode().unwrap(), placed);
    let with_note = placed.replace("7,", "7,\"note\":3,");
    let noted = v1::OrderPlaced::decode(with_note.as_bytes()).unwrap();
    assert!(v2::OrderPlaced::try_from(noted.clone()).is_err(), "v2 wants a text");
    assert_eq!(noted.encode().unwrap(), r#"{"order_id":7,"to":{"city":"Scranton","kind":"work"},"note":3}"#);

    // Closed versions can't hide anything: their conversion can't fail.
    let closed: v3::OrderPlaced = v3::OrderPlaced { order_id: 1, to: new.to, rest: Default::default() };
    let again: events::shop_order_placed::v4::OrderPlaced = closed.into();
    assert_eq!((again.order_id, again.gift), (1, None));
    println!("shared");
}
"##;

#[test]
fn what_events_share_is_written_once_and_versions_become_each_other() {
    let consumer = Consumer::new("outside-shares", BUILD, SHARING);
    consumer.write(
        "schemas/_common/address.json",
        r#"{"type": "object", "properties": {"city": {"type": "string"}, "kind": {"enum": ["home", "work"]}}, "required": ["city", "kind"]}"#,
    );
    let order = |more: &str, rest: &str| {
        format!(
            r#"{{"title": "OrderPlaced", "description": "d", "type": "object", "properties": {{
                "order_id": {{"type": "integer"{more}}}, "to": {{"$ref": "../_common/address.json"}}{rest}}}, "required": ["order_id", "to"]"#
        )
    };
    let small = r#", "minimum": 0, "maximum": 100"#;
    let closed = r#", "additionalProperties": false}"#;
    consumer.write("schemas/shop.order.placed/v1.json", &(order("", "") + "}"));
    consumer.write("schemas/shop.order.placed/v2.json", &(order("", r#", "note": {"type": "string"}"#) + "}"));
    consumer.write("schemas/shop.order.placed/v3.json", &(order(small, "") + closed));
    consumer.write("schemas/shop.order.placed/v4.json", &(order(small, r#", "gift": {"type": "boolean"}"#) + closed));
    consumer.write(
        "schemas/shop.parcel.sent/v1.json",
        r#"{"title": "ParcelSent", "description": "d", "type": "object", "properties": {"to": {"$ref": "../_common/address.json"}}, "required": ["to"]}"#,
    );
    let ran = consumer.cargo(&["run", "--quiet"]);
    assert!(ran.ok && ran.text.contains("shared"), "{}", ran.text);
    assert!(!ran.text.contains("warning"), "generated code is quiet: {}", ran.text);
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let consumer = Consumer::new("outside-mistakes", BUILD, "celerysalt::include_events!();\nfn main() {}\n");
    consumer.copy_contracts(&CONTRACTS);
    let schema = |body: &str| {
        format!("{{\n  \"title\": \"T\",\n  \"description\": \"d\",\n  \"type\": \"object\",\n  {body}\n}}\n")
    };
    consumer.write("schemas/bad.json.syntax/v1.json", "{\n  \"type\": \"object\",\n  oops\n}\n");
    consumer.write("schemas/bad.type/v1.json", &schema("\"properties\": {\"a\": {\"type\": \"strin\"}}"));
    consumer
        .write("schemas/bad.missing/v1.json", &schema("\"properties\": {\"a\": {\"$ref\": \"../_common/none.json\"}}"));
    consumer.write("schemas/bad.outside/v1.json", &schema("\"properties\": {\"a\": {\"$ref\": \"../../etc/passwd\"}}"));
    consumer.write(
        "schemas/bad.remote/v1.json",
        &schema("\"properties\": {\"a\": {\"$ref\": \"https://example.com/a.json\"}}"),
    );
    consumer.write("schemas/bad.double/v1.json", &schema("\"properties\": {}"));
    consumer.write("schemas/bad.double/v1.0.json", &schema("\"properties\": {}"));
    consumer.write("schemas/bad topic/v1.json", &schema("\"properties\": {}"));
    consumer.write("schemas/bad.version/one.json", &schema("\"properties\": {}"));
    consumer.write("schemas/bad.rpc/v1.json", &schema("\"properties\": {}"));
    consumer.write("schemas/bad.rpc/v1.error.json", &schema("\"properties\": {}"));
    let ran = consumer.cargo(&["build"]);
    assert!(!ran.ok);
    let root = consumer.path("schemas");
    let root = root.display();
    for expected in [
        format!("{root}/bad.json.syntax/v1.json:3:3: json-syntax: "),
        format!("{root}/bad.type/v1.json:5:"),
        format!("{root}/bad.missing/v1.json:5:32: ref-missing-file: "),
        format!("{root}/bad.outside/v1.json:5:32: ref-outside: "),
        format!("{root}/bad.remote/v1.json:5:32: ref-remote: "),
        "duplicate-version: ".to_owned(),
        "illegal-topic: ".to_owned(),
        format!("{root}/bad.version/one.json:1:1: illegal-version: "),
        format!("{root}/bad.rpc/v1.error.json:1:1: error-without-response: "),
    ] {
        assert!(ran.text.contains(&expected), "{expected} is not in:\n{}", ran.text);
    }
    assert!(!ran.text.contains("panicked"), "{}", ran.text);
}
