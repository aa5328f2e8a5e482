//! Commands beside a registry on PostgreSQL and in a file: what `breaking` compares with, releases that race, and the
//! question that `sync` asks on a terminal.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sqlx::Connection;
use support::{
    Folder, Run,
    postgres::{Schema, in_database},
};

const TOPIC: &str = "schemas/orders.placed";

fn order(more: &Value) -> String {
    let mut properties = json!({"id": {"type": "string"}});
    properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"title": "Order", "description": "An order.", "type": "object", "properties": properties, "required": ["id"]})
        .to_string()
}

/// Version v1 alone.
fn folder() -> Folder {
    let folder = Folder::empty();
    folder.write(&format!("{TOPIC}/v1.json"), &order(&json!({})));
    folder
}

/// Does the same with a registry of either kind.
fn with_each(act: impl Fn(&str)) {
    let schema = Schema::fresh();
    act(&schema.url);
    let file = Folder::empty();
    act(&format!("sqlite:{}", file.path("contracts.db").display()));
}

#[test]
fn what_is_in_a_registry_is_what_must_not_break() {
    with_each(|url| {
        let folder = folder();
        let breaking = |format: &str| folder.run(&["breaking", "--against", url, "--format", format]);
        assert_eq!(folder.run(&["sync", "--registry", url]).status, 0);
        // Other teams' topics are none of this folder's business.
        let other = Folder::empty();
        other.write("schemas/auth.user.created/v1.json", &order(&json!({})));
        assert_eq!(other.run(&["sync", "--registry", url]).status, 0);
        let run = breaking("text");
        assert_eq!((run.status, run.stderr.trim()), (0, "compatible, 0 pairs of versions compared"), "{run:?}");

        folder.write(&format!("{TOPIC}/v1.1.json"), &order(&json!({"note": {"type": "string"}})));
        let run = breaking("text");
        assert_eq!((run.status, run.stderr.trim()), (0, "compatible, 1 pair of versions compared"), "{run:?}");
        assert_eq!(folder.run(&["sync", "--registry", url]).status, 0);

        // Against a version that this folder does not even have: somebody else released it.
        std::fs::remove_file(folder.path(&format!("{TOPIC}/v1.1.json"))).unwrap();
        folder.write(&format!("{TOPIC}/v1.2.json"), &order(&json!({"note": {"type": "integer"}})));
        let run = breaking("json");
        let document = run.json();
        assert_eq!((run.status, &document["verdict"]), (1, &json!("breaking")), "{run:?}");
        let change = &document["changes"][0];
        assert_eq!((&change["rule"], &change["version"]), (&json!("TYPE_NARROWED"), &json!("v1.2")), "{change}");
        assert_eq!(change["against"], json!(["v1.1"]));
        assert_eq!(change["place"]["path"], "schemas/orders.placed/v1.2.json");
        assert_eq!(
            (&change["other"]["path"], &change["other"]["pointer"]),
            (&Value::Null, &json!("/properties/note/type"))
        );
        let run = breaking("github");
        assert!(run.stdout.starts_with("::error file=schemas/orders.placed/v1.2.json,line=1,"), "{run:?}");
        // Between digits that no float tells apart.
        folder.write(&format!("{TOPIC}/v2.json"), &order(&json!({"n": {"exclusiveMaximum": 1.0}})));
        assert_eq!(folder.run(&["sync", "--registry", url, "--allow-breaking"]).status, 0);

        // A released version means something else now.
        folder.write(&format!("{TOPIC}/v1.json"), &order(&json!({"id": {"type": "integer"}})));
        let run = breaking("text");
        assert!(
            run.status == 1 && run.stdout.contains("VERSION_EDITED: v1 of `orders.placed` was released"),
            "{run:?}"
        );
    });
    for (url, kind) in
        [("postgres://ann:s3cret@127.0.0.1:9/test", "registry-unavailable"), ("sqlite:nosuch.db", "registry-unusable")]
    {
        let run = folder().run(&["breaking", "--against", url, "--format", "json"]);
        assert_eq!((run.status, &run.json()["error"]["kind"]), (2, &json!(kind)), "{run:?}");
        assert!(!run.stdout.contains("s3cret") && !run.stderr.contains("s3cret"), "{run:?}");
    }
}

/// Two releases of one topic whose new versions go with what was released, and not with each other.
#[test]
fn of_two_releases_that_race_the_second_is_held_against_the_first() {
    let schema = Schema::fresh();
    assert_eq!(folder().run(&["sync", "--registry", &schema.url]).status, 0);
    let rivals = [("v1.1", "string"), ("v1.2", "integer")].map(|(version, kind)| {
        let folder = folder();
        folder.write(&format!("{TOPIC}/{version}.json"), &order(&json!({"note": {"type": kind}})));
        folder
    });
    let sync = ["sync", "--registry", &schema.url, "--format", "json"];
    let runs: Vec<Run> = in_database(async |connection| {
        // Nobody writes before both have looked, and planned, and wait for their turn.
        let mut turn = connection.begin().await.unwrap();
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('celerysalt ' || $1, 0))")
            .bind(&schema.name)
            .execute(&mut *turn)
            .await
            .unwrap();
        let running = rivals
            .each_ref()
            .map(|folder| folder.command(&sync).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        let start = Instant::now();
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_locks held JOIN pg_locks waiting
                     USING (locktype, database, classid, objid, objsubid)
                 WHERE held.pid = pg_backend_pid() AND held.granted AND NOT waiting.granted AND locktype = 'advisory'",
            )
            .fetch_one(&mut *turn)
            .await
            .unwrap();
            if waiting == 2 {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{waiting} wait");
            thread::sleep(Duration::from_millis(5));
        }
        turn.rollback().await.unwrap();
        running.map(|child| Run::from(child.wait_with_output().unwrap())).into()
    });
    let (winner, loser) = if runs[0].status == 0 { (&runs[0], &runs[1]) } else { (&runs[1], &runs[0]) };
    assert_eq!((winner.status, &winner.json()["applied"]), (0, &json!(true)), "{winner:?}");
    assert_eq!((loser.status, &loser.json()["applied"]), (1, &json!(false)), "{loser:?}");
    let breaking = &loser.json()["breaking"][0];
    assert_eq!(
        (&breaking["rule"], &breaking["topic"]),
        (&json!("TYPE_NARROWED"), &json!("orders.placed")),
        "{loser:?}"
    );
    let released = folder().run(&["list-events", "--registry", &schema.url, "--format", "json"]).json();
    assert_eq!(released["contracts"].as_array().unwrap().len(), 2, "{released}");
}

/// Runs the command on a terminal, types `answer` when it asks, and gives what was on the screen, and the exit status.
fn on_a_terminal(folder: &Folder, arguments: &[&str], answer: &str) -> (String, i32) {
    const SESSION: &str = r#"
import os, pty, sys
answer, command = sys.argv[1].encode(), sys.argv[2:]
child, screen = pty.fork()
if child == 0:
    os.execv(command[0], command)
seen, asked = b"", False
while True:
    try:
        part = os.read(screen, 4096)
    except OSError:
        break
    if not part:
        break
    seen += part
    if not asked and seen.endswith(b"[y/N] "):
        os.write(screen, answer)
        asked = True
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;
    let output = Command::new("python3")
        .args(["-c", SESSION, answer, env!("CARGO_BIN_EXE_celerysalt")])
        .args(arguments)
        .current_dir(folder.path(""))
        .env("NO_COLOR", "1")
        .env_remove("CELERYSALT_REGISTRY_URL")
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n"), output.status.code().unwrap())
}

#[test]
fn a_release_on_a_terminal_shows_its_plan_and_asks() {
    with_each(|url| {
        let folder = folder();
        folder.write("schemas/orders.paid/v1.json", &order(&json!({})));
        let sync = ["sync", "--registry", url];
        let plan = "orders.paid@v1    create\norders.placed@v1  create\n2 created, 0 updated, 0 unchanged. Release them? [y/N] ";
        for no in ["n\n", "\n", "maybe\n", "\u{4}"] {
            let (screen, status) = on_a_terminal(&folder, &sync, no);
            assert!(screen.starts_with(plan), "{screen}");
            assert!(status == 2 && screen.contains("nothing is written"), "{status} {screen}");
        }
        let run = folder.run(&["list-events", "--registry", url]);
        assert!(run.status == 2 && run.stderr.contains("celerysalt sync"), "not even tables: {run:?}");

        let (screen, status) = on_a_terminal(&folder, &sync, "yes\n");
        assert!(screen.starts_with(plan) && status == 0, "{status} {screen}");
        let run = folder.run(&["list-events", "--registry", url, "--format", "json"]);
        assert_eq!(run.json()["contracts"].as_array().unwrap().len(), 2, "{run:?}");
        // Nothing to write, and what must not be written: nothing to ask.
        let (screen, status) = on_a_terminal(&folder, &sync, "y\n");
        assert!(!screen.contains("[y/N]") && status == 0, "{status} {screen}");
        folder.write(&format!("{TOPIC}/v1.1.json"), &order(&json!({"id": {"type": "integer"}})));
        let (screen, status) = on_a_terminal(&folder, &sync, "y\n");
        assert!(!screen.contains("[y/N]") && screen.contains("breaking") && status == 1, "{status} {screen}");
        // Who says --yes is not asked.
        folder.write(&format!("{TOPIC}/v1.1.json"), &order(&json!({"note": {"type": "string"}})));
        let (screen, status) = on_a_terminal(&folder, &[&sync[..], &["--yes"]].concat(), "n\n");
        assert!(!screen.contains("[y/N]") && status == 0, "{status} {screen}");
    });
}
