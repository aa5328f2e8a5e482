//! `celerysalt generate-stubs`, as users run it. What the files mean is tested where Python and TypeScript are.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use serde_json::json;
use support::Folder;

const STUBS: &[&str] = &["generate-stubs", "--output", "stubs"];

#[test]
fn a_file_a_topic_written_once() {
    let folder = Folder::with_contracts();
    let run = folder.run(STUBS);
    assert_eq!((run.status, run.stderr.as_str()), (0, "2 files, 2 written, 0 current\n"), "{run:?}");
    let created = folder.read("stubs/pulse_risk_created.py");
    for class in ["class RiskCreatedV1(_Contract)", "class RiskCreatedV2(_Contract)", "\nRiskCreated = RiskCreatedV2\n"]
    {
        assert!(created.contains(class), "{class} in {created}");
    }
    let get = folder.read("stubs/rpc_risk_get.py");
    assert!(get.contains("class GetRisk(") && get.contains("class GetRiskResponse(RootModel)"), "{get}");

    let again = folder.run(STUBS);
    assert_eq!((again.status, again.stderr.as_str()), (0, "2 files, 0 written, 2 current\n"), "{again:?}");
    assert_eq!(folder.read("stubs/pulse_risk_created.py"), created);
}

#[test]
fn typescript_and_selectors() {
    let folder = Folder::with_contracts();
    let run = folder.run(&[STUBS, &["--lang", "ts", "--only", "pulse.#@latest", "--format", "json"]].concat());
    let files = json!([{"name": "pulse_risk_created.ts", "topic": "pulse.risk.created", "state": "written"}]);
    assert_eq!((run.status, &run.json()["files"]), (0, &files), "{run:?}");
    let text = folder.read("stubs/pulse_risk_created.ts");
    assert!(text.contains("export interface RiskCreated {") && text.contains("@v2") && !text.contains("@v1"), "{text}");

    let run = folder.run(&[STUBS, &["--only", "pulse.none"]].concat());
    assert_eq!(run.status, 2, "{run:?}");
    assert!(run.stderr.contains("--only pulse.none means no contract"), "{run:?}");
}

#[test]
fn a_check_finds_what_is_stale_missing_or_left_over_and_writes_nothing() {
    let folder = Folder::with_contracts();
    let check = [STUBS, &["--check", "--format", "json"]].concat();
    let states = |run: &support::Run| {
        let files = run.json()["files"].as_array().unwrap().clone();
        files.iter().map(|file| file["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let run = folder.run(&check);
    assert_eq!((run.status, states(&run)), (1, vec!["missing".to_owned(); 2]));
    assert!(!folder.path("stubs").exists());

    folder.run(STUBS);
    assert_eq!(folder.run(&check).status, 0);
    folder.write("stubs/helper.py", "# somebody's own\n");
    assert_eq!(folder.run(&check).status, 0);
    let changed = folder.read("stubs/rpc_risk_get.py").replace("GetRisk", "GotRisk");
    folder.write("stubs/rpc_risk_get.py", &changed);
    folder.write("stubs/gone.py", &changed);
    let run = folder.run(&check);
    assert_eq!((run.status, states(&run)), (1, ["current", "stale", "left over"].map(str::to_owned).to_vec()));
    assert_eq!(folder.read("stubs/rpc_risk_get.py"), changed);
    let run = folder.run(&[STUBS, &["--check"]].concat());
    assert_eq!(run.stdout, "stubs/rpc_risk_get.py is stale\nstubs/gone.py left over: no contract has it, delete it\n");
    assert_eq!(run.stderr, "run the same command without --check\n");
}

#[test]
fn a_file_that_was_not_generated_is_left_alone() {
    let folder = Folder::with_contracts();
    folder.write("stubs/rpc_risk_get.py", "import os\n");
    let run = folder.run(STUBS);
    assert_eq!(run.status, 2, "{run:?}");
    assert!(run.stderr.contains("was not generated: move it"), "{run:?}");
    assert_eq!(folder.read("stubs/rpc_risk_get.py"), "import os\n");
}
