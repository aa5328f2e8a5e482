//! The generated code of whole folders, compared byte for byte with `golden/<case>/expected.rs`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p celerysalt-codegen --test golden` writes what is generated now, to be reviewed.

#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Compares one case; the folder is the case's own, or that of the reference contracts.
fn check(case: &str) {
    let own = golden().join(case).join("schemas");
    let folder = if own.is_dir() { own } else { Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas") };
    let generate = || celerysalt_codegen::contracts(&folder).generate().unwrap_or_else(|findings| panic!("{findings}"));
    let generated = generate();
    assert_eq!(generated.code, generate().code, "{case}: two runs differ");
    syn::parse_file(&generated.code).expect("no Rust");
    let expected = golden().join(case).join("expected.rs");
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&expected, &generated.code).expect("not written");
        return;
    }
    let known = fs::read_to_string(&expected).unwrap_or_default();
    let at = known.lines().zip(generated.code.lines()).position(|(known, new)| known != new);
    assert!(
        known == generated.code,
        "{case}: the generated code differs from {} from line {} on; review and accept it with UPDATE_GOLDEN=1",
        expected.display(),
        at.unwrap_or(known.lines().count().min(generated.code.lines().count())) + 1,
    );
}

macro_rules! cases {
    ($($case:ident)*) => {
        $(#[test] fn $case() { check(stringify!($case)); })*

        #[test]
        fn every_folder_is_a_case() {
            let mut folders: Vec<String> = fs::read_dir(golden())
                .expect("no golden files")
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect();
            folders.sort();
            let mut cases = [$(stringify!($case)),*];
            cases.sort_unstable();
            assert_eq!(folders, cases);
        }
    };
}

cases! { bases hostile names presence reference unions versions }
