//! How long the compiler takes for generated events, for the same types by hand, and for what typify makes of the schemas.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::generate::{self, SCHEMAS, median};

/// No command takes longer: one that does is stopped, and that is what is reported.
const LIMIT: Duration = Duration::from_mins(5);

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
    pub check: Spent,
    /// `cargo build` of the code alone.
    pub build: Spent,
}

/// The medians of several runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// By the clock.
    pub wall: Duration,
    /// By all processors together; zero where `/proc` can't tell.
    pub cpu: Duration,
}

/// Compiles `events` events each way, `rounds` times by turns. What the codes depend on is built once, below `folder`, and
/// stays there for the next time.
///
/// # Errors
/// What keeps them from being compiled, and a command that takes too long.
pub fn measure(folder: &Path, checkout: &Path, events: usize, rounds: usize) -> Result<Vec<Row>, String> {
    let schemas = folder.join("schemas");
    if schemas.exists() {
        fs::remove_dir_all(&schemas).map_err(|error| format!("{}: {error}", schemas.display()))?;
    }
    generate::write(&schemas, events)?;
    let generated = celerysalt_codegen::contracts(&schemas).generate().map_err(|findings| findings.render(false))?.code;
    let codes = [("generated", generated), ("by hand", by_hand(events)), ("typify", by_typify(events)?)];
    workspace(folder, checkout, &codes)?;
    // The dependencies, and the metadata that both commands need.
    for command in ["check", "build"] {
        for (name, _) in &codes {
            eprintln!("{command} of {name}, with all that it depends on: {:.1?}", cargo(folder, command, name)?.wall);
        }
    }
    let mut times: Vec<(Vec<Spent>, Vec<Spent>)> = vec![Default::default(); codes.len()];
    for round in 0..rounds {
        for ((name, code), (check, build)) in codes.iter().zip(&mut times) {
            for (command, times) in [("check", check), ("build", build)] {
                write(&source(folder, name), &format!("#![allow(warnings)]\n// {round} {command}\n{code}"))?;
                let spent = cargo(folder, command, name)?;
                eprintln!("{command} of {name}: {:.2?} by the clock, {:.2?} of processors", spent.wall, spent.cpu);
                times.push(spent);
            }
        }
    }
    let rows = codes.iter().zip(times).map(|((name, code), (check, build))| Row {
        name,
        lines: code.lines().count(),
        bytes: code.len(),
        check: middle(&check),
        build: middle(&build),
    });
    Ok(rows.collect())
}

fn middle(runs: &[Spent]) -> Spent {
    let of = |part: fn(&Spent) -> Duration| median(runs.iter().map(part).collect());
    Spent { wall: of(|spent| spent.wall), cpu: of(|spent| spent.cpu) }
}

/// A crate for each of the codes, all with the same dependencies.
fn workspace(folder: &Path, checkout: &Path, codes: &[(&'static str, String)]) -> Result<(), String> {
    let mut members = Vec::new();
    for (name, code) in codes {
        let package = name.replace(' ', "_");
        write(&source(folder, name), &format!("#![allow(warnings)]\n{code}"))?;
        let manifest = format!(
            "[package]\nname = {package:?}\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
             celerysalt = {{ path = {:?} }}\nserde = {{ version = \"1\", features = [\"derive\"] }}\nserde_json = \"1\"\n\
             regress = \"0.12\"\nchrono = {{ version = \"0.4\", features = [\"serde\"] }}\n\
             uuid = {{ version = \"1\", features = [\"serde\"] }}\n",
            checkout.join("runtime").display().to_string(),
        );
        write(&folder.join(&package).join("Cargo.toml"), &manifest)?;
        members.push(format!("{package:?}"));
    }
    let root = format!("[workspace]\nresolver = \"3\"\nmembers = [{}]\n", members.join(", "));
    write(&folder.join("Cargo.toml"), &root)?;
    if folder.join("Cargo.lock").exists() {
        return Ok(());
    }
    fs::copy(checkout.join("Cargo.lock"), folder.join("Cargo.lock")).map(drop).map_err(|error| error.to_string())
}

fn source(folder: &Path, name: &str) -> PathBuf {
    folder.join(name.replace(' ', "_")).join("src/lib.rs")
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// Runs cargo on one of the crates, as a build from nothing: what cargo keeps of the last build of it is not used.
fn cargo(folder: &Path, command: &str, name: &str) -> Result<Spent, String> {
    let said = folder.join("said");
    let output = File::create(&said).map_err(|error| format!("{}: {error}", said.display()))?;
    let before = processors();
    let start = Instant::now();
    let mut child = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([command, "--quiet", "--package", &name.replace(' ', "_")])
        .current_dir(folder)
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .stdin(Stdio::null())
        .stderr(output)
        .spawn()
        .map_err(|error| format!("cargo did not start: {error}"))?;
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if start.elapsed() > LIMIT => {
                let stopped = child.kill().and_then(|()| child.wait());
                return Err(format!("cargo {command} of {name} took more than {LIMIT:?} ({stopped:?})"));
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let spent = Spent { wall: start.elapsed(), cpu: processors().saturating_sub(before) };
    if status.success() {
        return Ok(spent);
    }
    let said = fs::read_to_string(&said).unwrap_or_default();
    Err(format!("cargo {command} of {name} failed:\n{}", said.chars().take(4000).collect::<String>()))
}

/// What processors have done for the children of this process that ended; zero where `/proc` can't tell.
fn processors() -> Duration {
    /// What `/proc` counts in.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(13).take(2).filter_map(|word| word.parse::<u32>().ok());
    TICK * ticks.sum()
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
