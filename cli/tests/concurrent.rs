//! Releases at once, and releases that are killed: with the built command, on a PostgreSQL of the test's own.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

#[path = "../../tests/support/cluster.rs"]
mod cluster;
#[path = "../../tests/support/programs.rs"]
mod programs;
mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use cluster::Cluster;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use support::{Folder, Run};

const RUNS: usize = 200;
const FOLDERS: usize = 10;
const TOPICS: usize = 20;

/// One number out of the database.
fn number(url: &str, sql: &str) -> i64 {
    in_database(url, async |connection| sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.unwrap())
}

fn execute(url: &str, sql: &str) {
    in_database(url, async |connection| {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
    });
}

fn in_database<T>(url: &str, ask: impl AsyncFnOnce(&mut PgConnection) -> T) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let mut connection = PgConnection::connect(url).await.unwrap();
        ask(&mut connection).await
    })
}

/// Waits until the number is at least `least`: of what transactions of others have done that are not over, which tell nobody.
fn until(url: &str, sql: &str, least: i64) {
    let start = Instant::now();
    while number(url, sql) < least {
        assert!(start.elapsed() < Duration::from_mins(1), "{sql} stays below {least}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn sync(folder: &Folder, url: &str) -> Child {
    let mut command = folder.command(&["sync", "--registry", url, "--format", "json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Folders that overlap in all their topics but one: that one means something else in every second folder.
fn folders() -> Vec<Folder> {
    (0..FOLDERS)
        .map(|i| {
            let folder = Folder::empty();
            for n in (0..TOPICS).map(|n| (n + i) % TOPICS).take(TOPICS * 3 / 5) {
                folder.write(
                    &format!("schemas/shared.n{n}/v1.json"),
                    &json!({"type": "object", "title": "N"}).to_string(),
                );
            }
            let contested = json!({"type": "object", "properties": {"x": {"maxLength": i % 2 + 1}}});
            folder.write("schemas/contested.topic/v1.json", &contested.to_string());
            folder
        })
        .collect()
}

#[test]
fn two_hundred_releases_at_once_make_one_row_each_and_tell_the_losers_who_won() {
    let cluster = Cluster::start(&[]);
    let (url, folders) = (cluster.url(), folders());
    let running: Vec<(usize, Child)> = (0..RUNS).map(|i| (i % FOLDERS, sync(&folders[i % FOLDERS], &url))).collect();
    let runs: Vec<(usize, Run)> =
        running.into_iter().map(|(folder, child)| (folder, Run::from(child.wait_with_output().unwrap()))).collect();

    let failed: Vec<&Run> = runs.iter().map(|(_, run)| run).filter(|run| run.status == 2).collect();
    assert!(failed.is_empty(), "{} failed, such as {:?}", failed.len(), failed[0]);
    let winners: Vec<&(usize, Run)> = runs.iter().filter(|(_, run)| run.status == 0).collect();
    assert!(!winners.is_empty(), "{:?}", runs[0]);
    let parity = winners[0].0 % 2;
    for (folder, run) in &runs {
        let document = run.json();
        if folder % 2 == parity {
            assert_eq!((run.status, &document["applied"]), (0, &json!(true)), "{run:?}");
            continue;
        }
        assert_eq!((run.status, &document["applied"]), (1, &json!(false)), "{run:?}");
        let steps = document["steps"].as_array().unwrap();
        let conflicts: Vec<_> = steps.iter().filter(|step| step["action"] == "conflict").collect();
        assert_eq!((conflicts.len(), &conflicts[0]["topic"]), (1, &json!("contested.topic")), "{run:?}");
        let released = &conflicts[0]["released"];
        for (member, value) in [("service", "celerysalt"), ("role", "postgres"), ("action", "create")] {
            assert_eq!(released[member], value, "{run:?}");
        }
        assert!(released["host"] != "" && released["at"].as_str().unwrap().starts_with("20"), "{run:?}");
    }
    assert_eq!(winners.len(), RUNS / 2);
    let created: usize = winners
        .iter()
        .map(|(_, run)| run.json()["steps"].as_array().unwrap().iter().filter(|s| s["action"] == "create").count())
        .sum();
    let rows = number(&url, "SELECT count(*) FROM celerysalt_schemas");
    let distinct = number(&url, "SELECT count(DISTINCT (topic, version)) FROM celerysalt_schemas");
    let logged = number(&url, "SELECT count(*) FROM celerysalt_audit WHERE action = 'create'");
    assert_eq!((rows, distinct, logged), (created.try_into().unwrap(), rows, rows));
    assert_eq!(number(&url, "SELECT count(*) FROM celerysalt_audit"), rows, "nothing but creations");
    assert_eq!(number(&url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"), 0);
}

#[test]
fn a_release_waits_for_a_server_that_is_full_and_says_so() {
    let cluster = Cluster::start(&["max_connections=3", "superuser_reserved_connections=0"]);
    let url = cluster.url();
    let folder = Folder::empty();
    folder.write("schemas/first.topic/v1.json", r#"{"type": "object"}"#);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let connect = || runtime.block_on(PgConnection::connect(&url)).unwrap();
    let taken = [connect(), connect(), connect()];
    let mut child = sync(&folder, &url);
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("waiting") && said.contains("too many clients"), "{said}");
    runtime
        .block_on(async { taken.map(PgConnection::close) })
        .into_iter()
        .for_each(|closing| runtime.block_on(closing).unwrap());
    let run = Run::from(child.wait_with_output().unwrap());
    assert!(run.status == 0 && run.json()["applied"] == json!(true), "{run:?}");
}

/// More than one statement's worth of contracts.
fn large() -> Folder {
    let folder = Folder::empty();
    for i in 0..1_500 {
        folder.write(&format!("schemas/many.n{i}/v1.json"), r#"{"type": "object"}"#);
    }
    folder
}

const ROWS: &str = "SELECT count(*) FROM celerysalt_schemas";

#[test]
fn a_release_that_is_killed_is_there_as_a_whole_or_not_at_all() {
    let cluster = Cluster::start(&[]);
    let (url, folder) = (cluster.url(), large());
    // The tables first; then each row takes a while, so that the middle is long, and the last ones take longer than a busy
    // machine takes to kill.
    assert_eq!(folder.run(&["sync", "--registry", &url, "--dry-run"]).status, 0);
    let empty = Folder::empty();
    empty.write("schemas/first.topic/v1.json", r#"{"type": "object"}"#);
    assert_eq!(empty.run(&["sync", "--registry", &url]).status, 0);
    execute(
        &url,
        "CREATE SEQUENCE progress;
         CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN
                 PERFORM pg_sleep(CASE WHEN nextval('progress') > 1480 THEN 0.1 ELSE 0.0005 END);
                 RETURN NEW;
             END $$;
         CREATE TRIGGER slowly BEFORE INSERT ON celerysalt_schemas FOR EACH ROW EXECUTE FUNCTION slowly()",
    );
    // A sequence is not undone with its transaction, so it tells how far the insert was: in the first thousand rows,
    // which are one statement, in the second statement, and near its end.
    for killed_after in [1, 500, 1_050, 1_490] {
        execute(&url, "ALTER SEQUENCE progress RESTART");
        let mut child = sync(&folder, &url);
        until(&url, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM progress", killed_after);
        child.kill().unwrap();
        child.wait().unwrap();
        // Its session ends when it sees that nobody is there.
        let sessions = "SELECT (count(*) = 0)::int::bigint FROM pg_stat_activity
                        WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
        until(&url, sessions, 1);
        assert_eq!(number(&url, ROWS), 1, "killed after {killed_after}");
        assert_eq!(number(&url, "SELECT count(*) FROM celerysalt_audit"), 1);
    }
    execute(&url, "DROP TRIGGER slowly ON celerysalt_schemas");
    // And at any moment at all: wherever it is then, it is all or nothing.
    let mut whole = 0;
    for pause in (0..20).map(|i| Duration::from_millis(100 + 45 * i)) {
        let mut child = sync(&folder, &url);
        thread::sleep(pause);
        child.kill().unwrap();
        child.wait().unwrap();
        let rows = number(&url, ROWS);
        assert!(rows == 1 || rows == 1_501, "{rows}");
        if rows > 1 {
            whole += 1;
            execute(
                &url,
                "ALTER TABLE celerysalt_schemas DISABLE TRIGGER ALL;
                 DELETE FROM celerysalt_schemas WHERE topic LIKE 'many.%';
                 ALTER TABLE celerysalt_schemas ENABLE TRIGGER ALL",
            );
        }
    }
    println!("{whole} of 20 were through before they were killed");
    let run = folder.run(&["sync", "--registry", &url]);
    assert!(run.status == 0, "{run:?}");
    assert_eq!(number(&url, ROWS), 1_501);
}
