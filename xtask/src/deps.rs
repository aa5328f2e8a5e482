//! `cargo xtask deps`: are the dependencies those that `deny.toml` allows? Licences, sources, banned
//! crates and wildcard requirements, and whether each builds with the oldest Rust that is promised, from `cargo metadata`
//! alone, so it needs no further tool.
//! Where cargo-deny is installed it has the second word.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::Path,
};

use serde_json::Value;

use crate::{
    cargo::{self, cargo, items, text},
    deny::{Ban, Policy},
    spdx::Licence,
};

/// What a service links, as the root of a consumer's dependencies.
const CONSUMED: &str = "celerysalt";
/// Fine for the generator at build time, but never linked into a consumer.
const NOT_CONSUMED: [&str; 5] = ["regress", "typify", "syn", "quote", "prettyplease"];

pub(crate) fn run() -> Result<(), String> {
    let file = cargo::root().join("deny.toml");
    let policy = std::fs::read_to_string(&file).map_err(|why| format!("{} cannot be read: {why}", file.display()))?;
    let policy = Policy::parse(&policy)?;
    // What is downloaded suffices mostly; else cargo fetches the manifests that are missing.
    let metadata =
        cargo::metadata(&["--all-features", "--offline"]).or_else(|_| cargo::metadata(&["--all-features"]))?;
    let graph = Graph::new(&metadata);

    let mut faults = Vec::new();
    let unused = graph.licences(&policy, &mut faults);
    graph.sources(&policy, &mut faults);
    graph.wildcards(&mut faults);
    graph.rust(&mut faults);
    graph.banned(&policy.banned, &mut faults);
    graph.consumed(&mut faults);

    for name in unused {
        println!("note: deny.toml allows {name}, which no dependency has");
    }
    if !faults.is_empty() {
        for fault in &faults {
            eprintln!("refused: {fault}");
        }
        return Err(format!("{} dependencies or requirements are refused", faults.len()));
    }
    println!(
        "{} dependencies: licences, sources, requirements, oldest Rust and banned crates are fine",
        graph.packages.iter().filter(|p| !p.own()).count()
    );
    cargo_deny()
}

/// Runs cargo-deny, when it is installed.
fn cargo_deny() -> Result<(), String> {
    if cargo::read(&["deny", "--version"]).is_err() {
        println!("cargo-deny is not installed; the checks above are those of deny.toml");
        return Ok(());
    }
    let status =
        cargo().args(["deny", "--offline", "--all-features", "check"]).args(["bans", "licenses", "sources"]).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("cargo-deny refuses what deny.toml does not allow".to_owned()),
        Err(why) => Err(format!("cargo-deny did not start: {why}")),
    }
}

/// The packages of the workspace and all their dependencies, on every platform.
struct Graph<'a> {
    root: &'a str,
    packages: Vec<Package<'a>>,
    /// Package id to the ids it depends on, and whether in a way that gets linked.
    edges: HashMap<&'a str, Vec<(&'a str, bool)>>,
    ids: HashMap<&'a str, usize>,
}

struct Package<'a> {
    value: &'a Value,
}

impl<'a> Package<'a> {
    fn name(&self) -> &'a str {
        text(self.value, "name")
    }

    /// `name version`, as people write it.
    fn title(&self) -> String {
        format!("{} {}", self.name(), text(self.value, "version"))
    }

    /// Whether it is a folder and not from a registry.
    fn own(&self) -> bool {
        self.value["source"].is_null()
    }
}

impl<'a> Graph<'a> {
    fn new(metadata: &'a Value) -> Self {
        let packages: Vec<Package<'a>> = items(metadata, "packages").iter().map(|value| Package { value }).collect();
        let places = packages.iter().enumerate();
        let ids = places.map(|(place, package)| (text(package.value, "id"), place));
        let edges = items(&metadata["resolve"], "nodes").iter().map(|node| {
            let targets = items(node, "deps").iter().map(|dep| {
                let normal = |kind: &Value| kind["kind"].is_null();
                let linked = items(dep, "dep_kinds").iter().any(normal);
                (text(dep, "pkg"), linked)
            });
            (text(node, "id"), targets.collect())
        });
        Self { root: text(metadata, "workspace_root"), ids: ids.collect(), edges: edges.collect(), packages }
    }

    fn package(&self, id: &str) -> Option<&Package<'a>> {
        self.packages.get(*self.ids.get(id)?)
    }

    /// Returns the allowed licences that nobody has.
    fn licences(&self, policy: &Policy, faults: &mut Vec<String>) -> Vec<String> {
        let mut seen = BTreeSet::new();
        for package in &self.packages {
            let expression = text(package.value, "license");
            if expression.is_empty() {
                faults.push(format!("{} states no licence", package.title()));
                continue;
            }
            match Licence::parse(expression) {
                Ok(licence) => {
                    licence.names(&mut seen);
                    if !licence.allowed_by(&policy.licences) {
                        faults.push(format!(
                            "{} has the licence {expression}, which deny.toml does not allow",
                            package.title()
                        ));
                    }
                }
                Err(why) => faults.push(format!("{}: {why}", package.title())),
            }
        }
        policy.licences.difference(&seen).cloned().collect()
    }

    fn sources(&self, policy: &Policy, faults: &mut Vec<String>) {
        let allowed: Vec<String> = policy.registries.iter().map(|registry| format!("registry+{registry}")).collect();
        for package in &self.packages {
            let source = text(package.value, "source");
            let folder = text(package.value, "manifest_path");
            if package.own() && !Path::new(folder).starts_with(self.root) {
                faults.push(format!("{} lies outside the workspace: {folder}", package.title()));
            } else if !package.own() && !allowed.iter().any(|known| known == source) {
                faults.push(format!("{} comes from {source}", package.title()));
            }
        }
    }

    /// `*` says nothing about what works. A path without a version is as exact as can be.
    fn wildcards(&self, faults: &mut Vec<String>) {
        for package in &self.packages {
            for dependency in items(package.value, "dependencies") {
                if text(dependency, "req") == "*" && dependency["path"].is_null() {
                    let name = text(dependency, "name");
                    faults.push(format!("{} asks for any version of {name}", package.title()));
                }
            }
        }
    }

    /// What a dependency asks for is asked of everybody who builds this.
    fn rust(&self, faults: &mut Vec<String>) {
        let asked = |package: &Package<'a>| numbers(text(package.value, "rust_version"));
        let Some(promised) = self.packages.iter().find(|package| package.name() == CONSUMED).map(asked) else { return };
        for package in self.packages.iter().filter(|package| asked(package) > promised) {
            faults.push(format!(
                "{} asks for Rust {}, and the workspace promises to build with an older one",
                package.title(),
                text(package.value, "rust_version")
            ));
        }
    }

    fn banned(&self, bans: &[Ban], faults: &mut Vec<String>) {
        for ban in bans {
            for package in self.packages.iter().filter(|p| p.name() == ban.name) {
                let id = text(package.value, "id");
                let users = self.packages.iter().filter(|user| {
                    let targets = self.edges.get(text(user.value, "id"));
                    let wrapped = ban.wrappers.iter().any(|name| name == user.name());
                    !wrapped && targets.is_some_and(|all| all.iter().any(|(to, _)| *to == id))
                });
                for user in users {
                    faults.push(format!("{} is banned, and {} depends on it", package.title(), user.title()));
                }
            }
        }
    }

    /// What the runtime links with all features on: nothing of the generator. Proc macros and what
    /// they need run at build time.
    fn consumed(&self, faults: &mut Vec<String>) {
        let runtime = self.packages.iter().find(|p| p.name() == CONSUMED);
        let Some(runtime) = runtime else {
            faults.push(format!("the workspace has no package {CONSUMED}"));
            return;
        };
        let mut waiting = vec![text(runtime.value, "id")];
        let mut seen: HashSet<&str> = waiting.iter().copied().collect();
        while let Some(id) = waiting.pop() {
            let Some(package) = self.package(id) else {
                continue;
            };
            if proc_macro(package) {
                continue;
            }
            if NOT_CONSUMED.contains(&package.name()) {
                faults.push(format!("{} would be linked into every consumer of {CONSUMED}", package.title()));
            }
            for (to, linked) in self.edges.get(id).into_iter().flatten() {
                if *linked && seen.insert(*to) {
                    waiting.push(*to);
                }
            }
        }
    }
}

/// `1.94` is `1.94.0`; who says nothing asks for nothing.
fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or_default());
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

fn proc_macro(package: &Package<'_>) -> bool {
    items(package.value, "targets").iter().any(|target| {
        let kinds = items(target, "kind");
        kinds.iter().any(|kind| kind == "proc-macro")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

    fn package(name: &str, license: &str, source: &str) -> Value {
        let own = source.is_empty();
        json!({
            "id": name, "name": name, "version": "1.0.0", "license": license,
            "source": if own { Value::Null } else { source.into() },
            "manifest_path": format!("/w/{name}/Cargo.toml"),
            "dependencies": [], "targets": [{"kind": ["lib"]}],
        })
    }

    fn node(from: &str, to: &[(&str, Value)]) -> Value {
        let deps = to.iter().map(|(id, kind)| json!({"pkg": id, "dep_kinds": [{"kind": kind}]}));
        json!({"id": from, "deps": deps.collect::<Vec<_>>()})
    }

    fn policy() -> Policy {
        Policy {
            licences: ["MIT", "ISC"].map(str::to_owned).into(),
            banned: vec![
                Ban { name: "openssl".to_owned(), wrappers: Vec::new() },
                Ban { name: "regress".to_owned(), wrappers: vec!["typify-impl".to_owned()] },
            ],
            registries: vec!["https://github.com/rust-lang/crates.io-index".to_owned()],
        }
    }

    #[test]
    fn licences_sources_and_requirements_are_checked() {
        let mut loose = package("loose", "MIT", CRATES_IO);
        loose["dependencies"] = json!([
            {"name": "any", "req": "*", "path": null},
            {"name": "near", "req": "*", "path": "/w/near"},
        ]);
        let mut far = package("far", "MIT", "");
        far["manifest_path"] = "/elsewhere/Cargo.toml".into();
        let metadata = json!({"workspace_root": "/w", "resolve": {"nodes": []}, "packages": [
            package("good", "GPL-3.0 OR MIT", CRATES_IO),
            package("bad", "GPL-3.0", CRATES_IO),
            package("silent", "", CRATES_IO),
            package("git", "MIT", "git+https://example.com/x"),
            far, loose,
        ]});
        let graph = Graph::new(&metadata);
        let mut faults = Vec::new();
        assert_eq!(graph.licences(&policy(), &mut faults), ["ISC"]);
        graph.sources(&policy(), &mut faults);
        graph.wildcards(&mut faults);
        assert_eq!(
            faults,
            [
                "bad 1.0.0 has the licence GPL-3.0, which deny.toml does not allow",
                "silent 1.0.0 states no licence",
                "git 1.0.0 comes from git+https://example.com/x",
                "far 1.0.0 lies outside the workspace: /elsewhere/Cargo.toml",
                "loose 1.0.0 asks for any version of any",
            ]
        );
    }

    #[test]
    fn no_dependency_asks_for_a_newer_rust_than_is_promised() {
        let packages =
            [("celerysalt", "1.94"), ("old", "1.9"), ("same", "1.94.0"), ("silent", ""), ("newer", "1.94.1")];
        let packages = packages.map(|(name, rust)| {
            let mut package = package(name, "MIT", CRATES_IO);
            package["rust_version"] = rust.into();
            package
        });
        let metadata = json!({"workspace_root": "/w", "resolve": {"nodes": []}, "packages": packages});
        let mut faults = Vec::new();
        Graph::new(&metadata).rust(&mut faults);
        assert_eq!(faults, ["newer 1.0.0 asks for Rust 1.94.1, and the workspace promises to build with an older one"]);
    }

    #[test]
    fn bans_follow_who_depends_on_whom() {
        let names = ["celerysalt", "typify-impl", "regress", "openssl", "http", "codegen"];
        let packages: Vec<Value> = names.iter().map(|n| package(n, "MIT", CRATES_IO)).collect();
        let metadata = json!({"workspace_root": "/w", "packages": packages, "resolve": {"nodes": [
            node("celerysalt", &[("http", Value::Null), ("codegen", "dev".into())]),
            node("codegen", &[("typify-impl", Value::Null)]),
            node("typify-impl", &[("regress", Value::Null)]),
            node("http", &[("openssl", Value::Null), ("regress", Value::Null)]),
        ]}});
        let graph = Graph::new(&metadata);
        let mut faults = Vec::new();
        graph.banned(&policy().banned, &mut faults);
        graph.consumed(&mut faults);
        assert_eq!(
            faults,
            [
                "openssl 1.0.0 is banned, and http 1.0.0 depends on it",
                "regress 1.0.0 is banned, and http 1.0.0 depends on it",
                "regress 1.0.0 would be linked into every consumer of celerysalt",
            ]
        );
    }
}
