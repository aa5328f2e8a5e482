//! The catalog as its readers see it: walked through in Chromium, of the repository's own contracts, of 500 topics, of
//! hostile ones, and live from PostgreSQL; its AsyncAPI document read by AsyncAPI's own parser; its code compiled and run.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

#[path = "../../catalog/tests/corpus/mod.rs"]
mod corpus;
mod live;
mod many;
mod snippets;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use celerysalt_catalog::Site;
use celerysalt_contract::{Catalog, evolution::Release};
use celerysalt_tests::browser::{chromium, modules, node};
use serde_json::{Value, json};

/// A folder that is gone with its value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("celerysalt-catalog-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        Self(folder)
    }

    fn url(&self) -> String {
        format!("file://{}/", self.0.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn reference() -> Vec<Release> {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    let catalog = Catalog::load(schemas).unwrap_or_else(|findings| panic!("{}", findings.render(false)));
    catalog.contracts.into_iter().map(Release::from_contract).collect()
}

/// Walks through a site; nothing may be wrong with it. With `CELERYSALT_CATALOG_SHOTS`, pictures are left in that folder.
fn walk(name: &str, mut asked: Value) {
    asked["modules"] = json!(modules());
    asked["chromium"] = json!(chromium());
    if let Some(folder) = env::var_os("CELERYSALT_CATALOG_SHOTS") {
        asked["shots"] = json!(Path::new(&folder).join(name));
    }
    let said = node("walk.cjs", &[&asked.to_string()]);
    let faults: Vec<String> = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_reference_contracts_are_walked_through() {
    let folder = Folder::new("reference");
    Site::new("Event contracts", reference()).write(&folder.0).unwrap();
    walk(
        "reference",
        json!({
            "site": folder.url(),
            "topics": 10,
            "rpc": 2,
            "pages": ["topics/auth.user.signup/v2.html", "topics/auth.user.signup/changes.html",
                "topics/rpc.pulse.risk.get/v1.html", "topics/pulse.risk.created/v1.html", "changes.html"],
            "searches": [
                {"query": "signup", "first": "auth.user.signup", "count": 1},
                {"query": "risk_score", "first": "pulse.risk.created", "count": 3},
                {"query": "rpc get", "first": "rpc.pulse.risk.get", "count": 1},
                {"query": "<nothing>", "first": "", "count": 0},
            ],
            "diff": {"topic": "auth.user.signup", "version": "v2",
                "says": ["breaking", "REQ_ADDED", "user_name", "For example", "4 differences in meaning"]},
        }),
    );
}

#[test]
fn five_hundred_topics_are_walked_through() {
    let folder = Folder::new("many");
    let site = Site::new("Five hundred", many::releases(500));
    site.write(&folder.0).unwrap();
    // Pages that a phone is not slow with.
    for (path, most) in [("index.html", 250_000), ("search.js", 250_000), ("topics/many.t7/v1.1.html", 60_000)] {
        let bytes = fs::metadata(folder.0.join(path)).unwrap().len();
        assert!(bytes < most, "{path} has {bytes} bytes");
    }
    walk(
        "many",
        json!({
            "site": folder.url(),
            "topics": 500,
            "rpc": 50,
            "pages": ["topics/many.t7/v1.1.html", "topics/many.t10/v2.html", "changes.html"],
            "searches": [
                {"query": "many.t123", "first": "many.t123", "count": 1},
                {"query": "only_here_421", "first": "many.t421", "count": 1},
                {"query": "many", "first": "many.t0", "count": 500},
            ],
            "diff": {"topic": "many.t10", "version": "v2", "says": ["breaking", "TYPE_NARROWED"]},
        }),
    );
}

#[test]
fn hostile_texts_do_nothing_in_a_browser() {
    let folder = Folder::new("hostile");
    let site = Site::new("Hostile", corpus::with(str::to_owned));
    site.write(&folder.0).unwrap();
    let pages: Vec<String> =
        site.paths().into_iter().filter(|path| path.starts_with("topics/") && !path.ends_with("index.html")).collect();
    let pages: Vec<&String> = pages.iter().step_by(3).collect();
    walk("hostile", json!({"site": folder.url(), "topics": 14, "pages": pages, "searches": []}));
}

#[test]
fn asyncapis_own_parser_has_nothing_to_say() {
    for (name, releases) in
        [("reference", reference()), ("many", many::releases(30)), ("hostile", corpus::with(str::to_owned))]
    {
        let folder = Folder::new(&format!("asyncapi-{name}"));
        fs::create_dir_all(&folder.0).unwrap();
        let site = Site::new(name, releases);
        let file = folder.0.join("asyncapi.json");
        fs::write(&file, site.page("asyncapi.json").unwrap().text).unwrap();
        let said = node("asyncapi.cjs", &[&modules().to_string_lossy(), &file.to_string_lossy()]);
        let found: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        assert_eq!(found["errors"], json!([]), "{name}");
        assert_eq!(found["version"], "3.0.0", "{name}");
        let topics = u64::try_from(site.size().0).unwrap();
        assert_eq!(found["operations"].as_u64(), Some(2 * topics), "{name}: {found}");
        assert!(found["messages"].as_u64() >= Some(topics), "{name}: {found}");
    }
}
