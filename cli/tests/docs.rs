//! `celerysalt docs`, of a folder and of a registry.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use support::Folder;

#[test]
fn a_folder_becomes_a_site() {
    let folder = Folder::with_contracts();
    let run = folder.run(&["docs", "--out", "site", "--title", "Contracts of <Acme>"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.trim().ends_with("index.html"), "{run:?}");
    assert!(run.stderr.starts_with("3 contracts of 2 topics in "), "{run:?}");
    let index = folder.read("site/index.html");
    assert!(
        index.contains("Contracts of &lt;Acme&gt;") && index.contains("topics/pulse.risk.created/v2.html"),
        "{index}"
    );
    let page = folder.read("site/topics/pulse.risk.created/v1.html");
    for said in ["Identifies the risk.", "range", "0 to 10", "RiskCreated::builder()", "There is a newer version"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    // What is not known is not claimed.
    assert!(!page.contains("Nobody was seen"), "{page}");
    let changes = folder.read("site/topics/pulse.risk.created/changes.html");
    assert!(changes.contains("breaking") && changes.contains("TYPE_NARROWED"), "{changes}");
    let document: serde_json::Value = serde_json::from_str(&folder.read("site/asyncapi.json")).unwrap();
    assert_eq!(document["operations"]["call.rpc.risk.get"]["action"], "send");

    // Again, after a topic has gone.
    std::fs::remove_dir_all(folder.path("schemas/rpc.risk.get")).unwrap();
    let run = folder.run(&["docs", "--out", "site", "--format", "json"]);
    assert_eq!((run.status, run.json()["removed"].as_u64()), (0, Some(2)), "{run:?}");
    assert!(!folder.path("site/topics/rpc.risk.get").exists());
}

#[test]
fn somebody_elses_folder_is_left_alone() {
    let folder = Folder::with_contracts();
    let run = folder.run(&["docs", "--out", "schemas"]);
    assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run:?}");
    assert!(run.stderr.contains("are not of a catalog"), "{run:?}");
    assert!(!folder.path("schemas/index.html").exists());
}

#[cfg(feature = "sqlite")]
#[test]
fn a_registry_tells_who_is_there_and_what_happened() {
    let folder = Folder::with_contracts();
    let registry = format!("sqlite:{}", folder.path("contracts.db").display());
    // The second version breaks the first: it is a new major, so that is fine.
    assert_eq!(folder.run(&["sync", "--registry", &registry]).status, 0);
    let reason = ["deprecate", "pulse.risk.created@v1", "--reason", "use v2 <b>", "--registry", &registry];
    assert_eq!(folder.run(&reason).status, 0);
    support::sqlite(
        &folder.path("contracts.db"),
        "INSERT INTO celerysalt_lineage (side, topic, version, service, handler, host)
         VALUES ('publisher', 'pulse.risk.created', 'v1', 'pulse', 'RiskCreated', 'secret-host'),
                ('subscriber', 'pulse.#', '*', 'audit', 'log_all', 'secret-host')",
    );
    let run = folder.run(&["docs", "--registry", &registry, "--out", "site"]);
    assert_eq!(run.status, 0, "{run:?}");
    let page = folder.read("site/topics/pulse.risk.created/v1.html");
    for said in ["Deprecated.", "use v2 &lt;b&gt;", "log_all", "1 publisher, 1 subscriber", "service celerysalt"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let services = folder.read("site/services.html");
    assert!(services.contains("pulse.<wbr>#") || services.contains("pulse.#"), "{services}");
    assert!(!services.contains("secret-host") && !page.contains("secret-host"));
    assert!(folder.read("site/history.html").contains("released"));
}
