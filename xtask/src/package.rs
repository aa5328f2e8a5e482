//! `cargo xtask package`: is each crate that is published fit to be? One version for all, what crates.io and readers ask for,
//! both licences inside; then cargo packs them all, which needs none of them to be published yet.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use crate::cargo::{self, items, text};

/// What a package has to bring.
const FILES: [&str; 4] = ["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];
/// What its manifest has to say.
const WORDS: [&str; 5] = ["description", "license", "repository", "readme", "rust_version"];

/// With `verify`, each is compiled as it was packed; that takes minutes.
pub(crate) fn run(verify: bool) -> Result<(), String> {
    let metadata = cargo::metadata(&["--no-deps"])?;
    let published: Vec<&Value> = items(&metadata, "packages").iter().filter(|package| is_published(package)).collect();
    let mut faults = agreement(&published);
    for package in &published {
        let name = text(package, "name");
        let list = cargo::read(&["package", "--list", "--allow-dirty", "--offline", "-p", name])?;
        faults.extend(contents(name, &list));
    }
    if !faults.is_empty() {
        for fault in &faults {
            eprintln!("refused: {fault}");
        }
        return Err(format!("{} faults: nothing was packed", faults.len()));
    }
    let names: Vec<&str> = published.iter().map(|package| text(package, "name")).collect();
    let mut args = vec!["package", "--allow-dirty", "--offline"];
    args.extend(if verify { None } else { Some("--no-verify") });
    args.extend(names.iter().flat_map(|name| ["-p", *name]));
    cargo::show(&args)?;
    println!("{} packages are fit to be published: {}", names.len(), names.join(", "));
    Ok(())
}

/// An absent list of registries means any.
pub(crate) fn is_published(package: &Value) -> bool {
    package["publish"].as_array().is_none_or(|registries| !registries.is_empty())
}

/// What the manifests say of themselves and of each other.
fn agreement(packages: &[&Value]) -> Vec<String> {
    let names: BTreeSet<&str> = packages.iter().map(|package| text(package, "name")).collect();
    let version = packages.first().map_or("", |package| text(package, "version"));
    let mut faults = Vec::new();
    for package in packages {
        let name = text(package, "name");
        let own = text(package, "version");
        if own != version {
            faults.push(format!("{name} is version {own}, and others are {version}"));
        }
        faults
            .extend(WORDS.iter().filter(|word| package[**word].is_null()).map(|word| format!("{name} has no {word}")));
        for needed in items(package, "dependencies").iter().filter(|needed| needed["kind"] != "dev") {
            let (needs, wanted) = (text(needed, "name"), text(needed, "req"));
            if needed["path"].is_null() {
                continue;
            }
            if !names.contains(needs) {
                faults.push(format!("{name} needs {needs}, which is not published"));
            } else if wanted != format!("^{version}") {
                faults.push(format!("{name} needs {needs} {wanted}, which is {version}"));
            }
        }
    }
    faults
}

/// What `cargo package --list` lacks, and has too much of.
fn contents(name: &str, list: &str) -> Vec<String> {
    let files: BTreeSet<&str> = list.lines().collect();
    let missing = FILES.iter().filter(|file| !files.contains(**file)).map(|file| format!("{name} lacks {file}"));
    let is_private = |file: &&&str| {
        file.contains(".env")
            || Path::new(file).extension().is_some_and(|end| end.eq_ignore_ascii_case("pem"))
            || file.starts_with("target/")
    };
    let private = files.iter().filter(is_private).map(|file| format!("{name} would publish {file}"));
    missing.chain(private).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, version: &str, needs: &[(&str, &str)]) -> Value {
        let needs: Vec<Value> =
            needs.iter().map(|(name, req)| json!({"name": name, "req": req, "kind": null, "path": "/x"})).collect();
        json!({
            "name": name, "version": version, "publish": null, "dependencies": needs, "description": "", "license": "",
            "repository": "", "readme": "", "rust_version": "",
        })
    }

    #[test]
    fn versions_agree() {
        let (base, tool) = (package("base", "0.2.0", &[]), package("tool", "0.2.0", &[("base", "^0.2.0")]));
        assert_eq!(agreement(&[&base, &tool]), [""; 0]);
        let late = package("tool", "0.1.0", &[("base", "^0.1.0"), ("support", "*")]);
        let faults = agreement(&[&base, &late]).join("\n");
        for fault in ["tool is version 0.1.0", "needs base ^0.1.0, which is 0.2.0", "support, which is not published"] {
            assert!(faults.contains(fault), "{fault}: {faults}");
        }
        let mut mute = package("mute", "0.2.0", &[]);
        mute["license"] = Value::Null;
        assert_eq!(agreement(&[&mute]), ["mute has no license"]);
    }

    #[test]
    fn a_package_has_its_licences_and_nothing_private() {
        let whole = FILES.join("\n");
        assert_eq!(contents("a", &whole), [""; 0]);
        let faults = contents("a", "Cargo.toml\nREADME.md\nLICENSE-MIT\n.env");
        assert_eq!(faults, ["a lacks LICENSE-APACHE", "a would publish .env"]);
    }
}
