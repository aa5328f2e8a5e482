//! A service that `new` made compiles, and its own tests pass.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::{env, fs, path::Path, process::Command};

use support::Folder;

#[test]
fn a_new_service_compiles_and_its_tests_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = Folder::empty();
    let run = folder.run(&["new", "front-desk", "--path-dependency", root.to_str().unwrap()]);
    assert!(run.status == 0 && run.stderr.contains("cargo run"), "{run:?}");
    assert_eq!(folder.run(&["validate", "--schemas", "front-desk/schemas"]).status, 0);
    assert_eq!(folder.run(&["lint", "--schemas", "front-desk/schemas"]).status, 0);

    // The same versions as here, so that nothing is downloaded.
    fs::copy(root.join("Cargo.lock"), folder.path("front-desk/Cargo.lock")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if (name.starts_with("CARGO_") && name != "CARGO_HOME") || name.starts_with("CELERYSALT_") {
            cargo.env_remove(name);
        }
    }
    let ran = cargo
        .args(["test", "--offline"])
        .current_dir(folder.path("front-desk"))
        .env("CARGO_TARGET_DIR", root.join("target/consumer"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && text.contains("2 passed"), "{text}");
}

#[test]
fn what_is_there_is_left_alone() {
    let folder = Folder::empty();
    folder.write("billing/Cargo.toml", "mine");
    let run = folder.run(&["new", "billing"]);
    assert!(run.status == 2 && run.stderr.contains("is there already"), "{run:?}");
    assert_eq!(folder.read("billing/Cargo.toml"), "mine");
    let run = folder.run(&["new", "mail", "--path-dependency", "."]);
    assert!(
        run.status == 2 && run.stderr.contains("no checkout of CelerySalt") && !folder.path("mail").exists(),
        "{run:?}"
    );
    for name in ["Mail", "../mail", "", "1mail"] {
        assert_eq!(folder.run(&["new", name]).status, 2, "{name}");
    }
    assert_eq!(folder.run(&["new", "mail"]).status, 0);
    assert!(folder.read("mail/Cargo.toml").contains(&format!("version = \"{}\", features", env!("CARGO_PKG_VERSION"))));
}
