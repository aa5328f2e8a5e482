//! `celerysalt export` on a crate of its own, with the cargo that users have.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod support;

use std::{env, fs, path::Path, process::Command};

use serde_json::Value;

use support::Folder;

const EVENTS: &str = r#"
use celerysalt::{SaltEvent, schemars::JsonSchema};
use serde::{Deserialize, Serialize};

/// An order has been placed.
#[derive(Debug, Serialize, Deserialize, JsonSchema, SaltEvent)]
#[schemars(crate = "celerysalt::schemars")]
#[salt(topic = "orders.placed", version = "v1")]
pub struct OrderPlaced {
    /// In cents.
    #[schemars(range(min = 1))]
    pub amount: i64,
}

/// An order has been shipped.
#[derive(Debug, Serialize, Deserialize, JsonSchema, SaltEvent)]
#[schemars(crate = "celerysalt::schemars")]
#[salt(topic = "orders.shipped", version = "v1")]
pub struct OrderShipped {}

celerysalt::code_first_test!("schemas", OrderPlaced, OrderShipped);
"#;

const EXPECTED: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "OrderPlaced",
  "description": "An order has been placed.",
  "type": "object",
  "properties": {
    "amount": {
      "description": "In cents.",
      "type": "integer",
      "format": "int64",
      "minimum": 1
    }
  },
  "required": ["amount"]
}
"#;

/// A crate with these events.
fn shop() -> Folder {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = Folder::empty();
    let manifest = format!(
        "[package]\nname = \"code-first-shop\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         celerysalt = {{ path = {:?}, features = [\"derive\"] }}\nserde = {{ version = \"1\", features = [\"derive\"] }}\n",
        root.join("runtime").display().to_string()
    );
    folder.write("shop/Cargo.toml", &manifest);
    folder.write("shop/src/lib.rs", EVENTS);
    // The same versions as here, so that nothing is downloaded.
    fs::copy(root.join("Cargo.lock"), folder.path("shop/Cargo.lock")).unwrap();
    folder
}

/// The command, with the environment of a user's shell and a target folder that is not made anew for each run.
fn with_cargo(mut command: Command) -> support::Run {
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_") && name != "CARGO_HOME" {
            command.env_remove(name);
        }
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/consumer");
    command.env("CARGO_TARGET_DIR", target).env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_TERM_COLOR", "never");
    support::Run::of(&mut command)
}

#[test]
fn the_files_of_a_crate_are_written_and_kept() {
    let folder = shop();
    let export = |more: &[&str]| {
        with_cargo(folder.command(&[&["export", "--manifest-path", "shop/Cargo.toml"][..], more].concat()))
    };
    let compare = || {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["test", "--quiet", "--lib"]).current_dir(folder.path("shop"));
        with_cargo(cargo)
    };

    let missing = compare();
    assert_eq!(missing.status, 101, "{}{}", missing.stdout, missing.stderr);
    assert!(
        missing.stdout.contains("orders.placed/v1.json: missing, the schema of `OrderPlaced`"),
        "{}",
        missing.stdout
    );
    assert!(missing.stdout.contains("`celerysalt export` writes the files anew"), "{}", missing.stdout);

    let first = export(&[]);
    assert_eq!(first.status, 0, "{}{}", first.stdout, first.stderr);
    assert_eq!(
        first.stdout,
        "written    shop/schemas/orders.placed/v1.json\nwritten    shop/schemas/orders.shipped/v1.json\n"
    );
    assert!(first.stderr.contains("2 of 2 files written"), "{}", first.stderr);
    assert_eq!(folder.read("shop/schemas/orders.placed/v1.json"), EXPECTED);
    let formatted = folder.run(&["fmt", "--check", "--schemas", "shop/schemas"]);
    assert_eq!(formatted.status, 0, "{}", formatted.stdout);
    let same = compare();
    assert_eq!(same.status, 0, "{}{}", same.stdout, same.stderr);

    let other = EXPECTED.replace("\"minimum\": 1", "\"minimum\": 5").replace(
        "  \"type\": \"object\"",
        "  \"x-celerysalt\": {\n    \"owner\": \"shop\"\n  },\n  \"type\": \"object\"",
    );
    folder.write("shop/schemas/orders.placed/v1.json", &other);
    let differs = compare();
    assert_eq!(differs.status, 101, "{}", differs.stdout);
    assert!(
        differs.stdout.contains("  - /properties/amount/minimum: 5\n  + /properties/amount/minimum: 1\n"),
        "{}",
        differs.stdout
    );
    let second = export(&["--format", "json"]);
    let json: Value = serde_json::from_str(&second.stdout).unwrap();
    assert_eq!(json["files"][0]["changed"], true, "{json}");
    assert_eq!(json["files"][1]["changed"], false, "{json}");
    let mended = folder.read("shop/schemas/orders.placed/v1.json");
    assert_eq!(mended, other.replace("\"minimum\": 5", "\"minimum\": 1"), "the owner is kept");

    folder.write("shop/schemas/orders.placed/v1.json", "{");
    let broken = export(&[]);
    assert_eq!(broken.status, 2, "{}", broken.stdout);
    assert!(broken.stderr.contains("orders.placed/v1.json: mend it, or remove it"), "{}", broken.stderr);
    assert_eq!(folder.read("shop/schemas/orders.placed/v1.json"), "{");

    let none = export(&["--test", "no_such_test"]);
    assert_eq!(none.status, 2, "{}", none.stdout);
    assert!(none.stderr.contains("add `celerysalt::code_first_test!"), "{}", none.stderr);
}
