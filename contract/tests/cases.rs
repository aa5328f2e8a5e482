//! Each folder of `cases/` is a schemas folder and what loading it must say, to the letter.
//!
//! `CELERYSALT_BLESS=1 cargo test -p celerysalt-contract --test cases` writes what it says now; read the diff.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs, reason = "tests fail by panicking")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use celerysalt_contract::Catalog;

fn said(case: &Path) -> String {
    let root = case.join("schemas");
    let said = match Catalog::load(&root) {
        Ok(catalog) => {
            let mut said = catalog.warnings.render(false);
            for contract in &catalog.contracts {
                let _ = writeln!(said, "{} {} {}: {}", contract.topic, contract.version, contract.mode, contract.title);
            }
            said
        }
        Err(findings) => findings.render(false),
    };
    said.replace(&format!("{}/", case.display()), "")
}

#[test]
fn every_case_says_what_it_should() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut folders: Vec<PathBuf> = fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() > 20);
    let mut wrong = Vec::new();
    for case in folders {
        let said = said(&case);
        let path = case.join("expected.txt");
        if std::env::var_os("CELERYSALT_BLESS").is_some() {
            fs::write(&path, &said).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if said != expected {
            wrong.push(format!("=== {}\n--- expected\n{expected}--- said\n{said}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
