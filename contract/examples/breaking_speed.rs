//! What `celerysalt breaking` takes on two folders, step by step.
//!
//! ```text
//! cargo run -p celerysalt-contract --example many_contracts -- target/many 1000
//! cargo run --release -p celerysalt-contract --features compare --example breaking_speed -- target/many/base target/many/head
//! ```

use std::{env, error::Error, time::Instant};

use celerysalt_contract::{
    Catalog,
    evolution::{Baseline, Level, Options, Release, check},
};

fn main() -> Result<(), Box<dyn Error>> {
    let folders: Vec<String> = env::args().skip(1).collect();
    let [base, head] = folders.as_slice() else { return Err("usage: breaking_speed BASE HEAD".into()) };
    let start = Instant::now();
    let load = |folder: &String| -> Result<Vec<Release>, Box<dyn Error>> {
        let catalog = Catalog::load(folder).map_err(|findings| findings.to_string())?;
        Ok(catalog.contracts.iter().map(Release::from_contract).collect())
    };
    // As the command does: the one beside the other.
    let (base, head) = std::thread::scope(|scope| {
        let other = scope.spawn(|| load(base).map_err(|error| error.to_string()));
        let head = load(head).map_err(|error| error.to_string());
        Ok::<_, String>((other.join().map_err(|_| "a thread panicked".to_owned())??, head?))
    })?;
    println!("{} and {} versions loaded in {:?}", base.len(), head.len(), start.elapsed());
    for (what, released) in [("against what was released", base.as_slice()), ("with nothing released", &[])] {
        let start = Instant::now();
        let found = check(released, &head, Baseline::Whole, &Options::default());
        let errors = found.changes.iter().filter(|change| change.level == Level::Error).count();
        println!("{what}: {} pairs in {:?}, {errors} errors", found.pairs, start.elapsed());
    }
    Ok(())
}
