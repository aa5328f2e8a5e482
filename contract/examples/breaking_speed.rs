//! What `celerysalt breaking` takes on two folders, step by step.
//!
//! ```text
//! cargo run -p celerysalt-contract --example many_contracts -- target/many 1000
//! cargo run --release -p celerysalt-contract --features compare --example breaking_speed -- target/many/base target/many/head
//! ```

use std::{collections::BTreeSet, env, error::Error, time::Instant};

use celerysalt_contract::{
    Catalog,
    evolution::{Baseline, Level, Options, Release, check},
};

fn main() -> Result<(), Box<dyn Error>> {
    let folders: Vec<String> = env::args().skip(1).collect();
    let [base, head] = folders.as_slice() else { return Err("usage: breaking_speed BASE HEAD".into()) };
    let start = Instant::now();
    // As the command does: what both have is loaded once.
    let catalog = Catalog::load(head).map_err(|findings| findings.to_string())?;
    println!("{} versions loaded in {:?}", catalog.contracts.len(), start.elapsed());
    let other = catalog.other(base).map_err(|findings| findings.to_string())?;
    let head: Vec<Release> = catalog.contracts.into_iter().map(Release::from_contract).collect();
    let same: BTreeSet<_> = other.same.into_iter().collect();
    let is_same = |release: &&Release| same.contains(&(release.topic().clone(), release.version().clone()));
    let mut base: Vec<Release> = head.iter().filter(is_same).cloned().collect();
    base.extend(other.contracts.into_iter().map(Release::from_contract));
    println!("{} versions beside them, {} of them the same: {:?}", base.len(), same.len(), start.elapsed());
    for (what, released) in [("against what was released", base.as_slice()), ("with nothing released", &[])] {
        let start = Instant::now();
        let found = check(released, &head, Baseline::Whole, &Options::default());
        let errors = found.changes.iter().filter(|change| change.level == Level::Error).count();
        println!("{what}: {} pairs in {:?}, {errors} errors", found.pairs, start.elapsed());
    }
    Ok(())
}
