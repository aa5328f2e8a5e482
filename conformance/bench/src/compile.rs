//! How long the compiler takes for generated events, for the same types by hand, and for what typify makes of the schemas.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::generate::{self, SCHEMAS, median};

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// Whose code.
    pub name: &'static str,
    /// Of the code.
    pub lines: usize,
    /// Of the code.
    pub bytes: usize,
    /// `cargo check` of the code alone.
    pub check: Duration,
    /// `cargo build` of the code alone.
    pub build: Duration,
}

/// Compiles `events` events each way, `rounds` times by turns.
///
/// # Errors
/// What keeps them from being compiled.
pub fn measure(folder: &Path, checkout: &Path, events: usize, rounds: usize) -> Result<Vec<Row>, String> {
    let schemas = folder.join("schemas");
    generate::write(&schemas, events)?;
    let generated = celerysalt_codegen::contracts(&schemas).generate().map_err(|findings| findings.render(false))?.code;
    let codes = [("generated", generated), ("by hand", by_hand(events)), ("typify", by_typify(events)?)];
    let mut members = Vec::new();
    for (name, code) in &codes {
        let package = name.replace(' ', "_");
        let source = folder.join(&package).join("src");
        write(&source.join("lib.rs"), &format!("#![allow(warnings)]\n{code}"))?;
        let manifest = format!(
            "[package]\nname = {package:?}\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
             celerysalt = {{ path = {:?} }}\nserde = {{ version = \"1\", features = [\"derive\"] }}\nserde_json = \"1\"\n\
             regress = \"0.10\"\nchrono = {{ version = \"0.4\", features = [\"serde\"] }}\n\
             uuid = {{ version = \"1\", features = [\"serde\"] }}\n",
            checkout.join("runtime").display().to_string(),
        );
        write(&folder.join(&package).join("Cargo.toml"), &manifest)?;
        members.push(format!("{package:?}"));
    }
    let root = format!("[workspace]\nresolver = \"3\"\nmembers = [{}]\n", members.join(", "));
    write(&folder.join("Cargo.toml"), &root)?;
    fs::copy(checkout.join("Cargo.lock"), folder.join("Cargo.lock")).map_err(|error| error.to_string())?;
    // The dependencies, and the metadata that both commands need.
    for command in ["check", "build"] {
        for (name, _) in &codes {
            cargo(folder, command, name)?;
        }
    }
    let mut times: Vec<(Vec<Duration>, Vec<Duration>)> = vec![Default::default(); codes.len()];
    for round in 0..rounds {
        for ((name, code), (check, build)) in codes.iter().zip(&mut times) {
            let lib = folder.join(name.replace(' ', "_")).join("src/lib.rs");
            for (command, times) in [("check", check), ("build", build)] {
                write(&lib, &format!("#![allow(warnings)]\n// {round} {command}\n{code}"))?;
                times.push(cargo(folder, command, name)?);
            }
        }
    }
    let rows = codes.iter().zip(times).map(|((name, code), (check, build))| Row {
        name,
        lines: code.lines().count(),
        bytes: code.len(),
        check: median(check),
        build: median(build),
    });
    Ok(rows.collect())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn cargo(folder: &Path, command: &str, name: &str) -> Result<Duration, String> {
    let start = Instant::now();
    let package = name.replace(' ', "_");
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([command, "--quiet", "--package", &package])
        .current_dir(folder)
        .env("CARGO_INCREMENTAL", "0")
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cargo did not start: {error}"))?;
    let took = start.elapsed();
    if output.status.success() {
        Ok(took)
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("cargo {command} of {name} failed:\n{}", said.chars().take(4000).collect::<String>()))
    }
}

/// The types by hand, as often as there are events.
fn by_hand(events: usize) -> String {
    let text = include_str!("plain.rs");
    let modules: Vec<&str> = text.split("\npub mod ").skip(1).collect();
    let uses = "use std::collections::BTreeMap;\nuse serde::{Deserialize, Serialize};\n";
    let module = |number: usize| {
        let text = modules.get(number % modules.len().max(1)).copied().unwrap_or_default();
        let (name, rest) = text.split_once(' ').unwrap_or_default();
        format!("pub mod {name}_{number} {rest}\n")
    };
    format!("{uses}{}", (0..events).map(module).collect::<String>())
}

/// What typify makes of the schemas, a module for each.
fn by_typify(events: usize) -> Result<String, String> {
    let mut code = String::new();
    for number in 0..events {
        let (_, text) = SCHEMAS.get(number % SCHEMAS.len()).ok_or("no schema")?;
        let schema: schemars::schema::RootSchema = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut space = typify::TypeSpace::new(&typify::TypeSpaceSettings::default());
        space.add_root_schema(schema).map_err(|error| error.to_string())?;
        let file = syn::parse2::<syn::File>(space.to_stream()).map_err(|error| error.to_string())?;
        code.extend([format!("pub mod m{number} {{\n"), prettyplease::unparse(&file), "}\n".to_owned()]);
    }
    Ok(code)
}
