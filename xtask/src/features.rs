//! `cargo xtask features`: every feature of the runtime builds alone, with none and with all, and
//! what each costs a consumer in crates. The features are read from the manifest.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cargo;

const RUNTIME: &str = "celerysalt";
const TOOL: &str = "celerysalt-cli";

/// One way to depend on the runtime.
struct Choice {
    label: String,
    args: Vec<String>,
}

pub(crate) fn run() -> Result<(), String> {
    let features = features(&cargo::metadata(&["--no-deps"])?, RUNTIME)?;
    let choices = choices(&features);

    for choice in choices.iter().filter(|choice| choice.label != "default") {
        check(RUNTIME, &choice.args)?;
    }
    check(TOOL, &["--no-default-features".to_owned()])?;

    let mut rows = Vec::new();
    for choice in &choices {
        rows.push([
            choice.label.clone(),
            count(choice, "normal")?.to_string(),
            count(choice, "normal,no-proc-macro")?.to_string(),
        ]);
    }
    println!("\nCrates that {RUNTIME} brings to a consumer on this platform, itself not counted");
    println!("(built: with proc macros and what they need; linked: without)\n");
    print!("{}", table(["features", "built", "linked"], &rows));
    Ok(())
}

/// The features of a package, without `default`.
fn features(metadata: &Value, package: &str) -> Result<Vec<String>, String> {
    let found = cargo::items(metadata, "packages")
        .iter()
        .find(|candidate| cargo::text(candidate, "name") == package)
        .ok_or_else(|| format!("`cargo metadata` knows no package {package}"))?;
    let features =
        found["features"].as_object().ok_or_else(|| format!("`cargo metadata` names no features of {package}"))?;
    Ok(features.keys().filter(|name| *name != "default").cloned().collect())
}

fn choices(features: &[String]) -> Vec<Choice> {
    let choice = |label: &str, args: &[&str]| Choice {
        label: label.to_owned(),
        args: args.iter().map(ToString::to_string).collect(),
    };
    let mut all = vec![choice("default", &[]), choice("none", &["--no-default-features"])];
    for feature in features {
        all.push(choice(feature, &["--no-default-features", "--features", feature]));
    }
    all.push(choice("all", &["--all-features"]));
    all
}

fn check(package: &str, args: &[String]) -> Result<(), String> {
    let mut all = vec!["check", "--quiet", "--package", package];
    all.extend(args.iter().map(String::as_str));
    cargo::show(&all)
}

fn count(choice: &Choice, edges: &str) -> Result<usize, String> {
    let mut all = vec!["tree", "--package", RUNTIME, "--edges", edges];
    all.extend(["--prefix", "none"]);
    all.extend(choice.args.iter().map(String::as_str));
    Ok(crates(&cargo::read(&all)?, RUNTIME).len())
}

/// The crates in the output of `cargo tree --prefix none`, each version once, without `root`.
fn crates<'a>(tree: &'a str, root: &str) -> BTreeSet<(&'a str, &'a str)> {
    tree.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?))
        })
        .filter(|(name, _)| *name != root)
        .collect()
}

/// Rows under a head: the first column to the left, numbers to the right.
fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].len());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let padded = cells.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") }
        });
        padded.collect::<String>() + "\n"
    };
    let mut text = line(head);
    for row in rows {
        text.push_str(&line(std::array::from_fn(|column| row[column].as_str())));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_come_from_the_manifest() {
        let metadata = serde_json::json!({"packages": [
            {"name": "other", "features": {"x": []}},
            {"name": "celerysalt", "features": {"default": [], "amqp": ["dep:lapin"], "tls": []}},
        ]});
        assert_eq!(features(&metadata, "celerysalt"), Ok(vec!["amqp".to_owned(), "tls".to_owned()]));
        assert!(features(&metadata, "absent").is_err());
    }

    #[test]
    fn every_feature_is_tried_alone() {
        let features = ["amqp", "tls"].map(str::to_owned);
        let labels: Vec<String> = choices(&features).into_iter().map(|c| c.label).collect();
        assert_eq!(labels, ["default", "none", "amqp", "tls", "all"]);
    }

    #[test]
    fn a_crate_counts_once_per_version() {
        let tree = "celerysalt v0.1.0 (/w/runtime)\nbytes v1.12.1\nserde_derive v1.0.228 \
                    (proc-macro)\n\nbytes v1.12.1 (*)\nsyn v2.0.1\nsyn v3.0.0 (*)\n";
        assert_eq!(crates(tree, "celerysalt").len(), 4);
    }

    #[test]
    fn tables_are_aligned() {
        let rows = [["none".to_owned(), "7".to_owned()]];
        assert_eq!(table(["features", "built"], &rows), "features  built\nnone          7\n");
    }
}
