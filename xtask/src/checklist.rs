//! `cargo xtask checklist`: does what `docs/checklist.md` names as kept and proved exist? Files, test functions, commands; and is
//! each row there, once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::{USAGE, cargo};

const PAGE: &str = "docs/checklist.md";
/// How many rows may be open.
#[cfg(test)]
const MOST_OPEN: usize = 1;
/// What a row says that nothing proves yet.
const OPEN: &str = "open";

/// The rows that must or should be kept: a letter, how many rows it has, and which of them ask for documents alone or for nothing.
const ROWS: [(char, u32, &[u32]); 12] = [
    ('A', 28, &[]),
    ('B', 15, &[]),
    ('C', 24, &[]),
    ('D', 12, &[]),
    ('E', 13, &[]),
    ('F', 10, &[]),
    ('G', 11, &[]),
    ('H', 3, &[]),
    ('I', 15, &[5, 6, 7, 9, 10, 11, 14]),
    ('J', 11, &[]),
    ('K', 19, &[1, 2, 3, 6, 10, 14]),
    ('L', 41, &[]),
];

pub(crate) fn run() -> Result<(), String> {
    let page = cargo::root().join(PAGE);
    let text = fs::read_to_string(&page).map_err(|why| format!("{} cannot be read: {why}", page.display()))?;
    let checked = check(&text, cargo::root());
    for fault in &checked.faults {
        eprintln!("{PAGE}: {fault}");
    }
    println!("{} rows, {} of them open: {}", checked.rows, checked.open.len(), checked.open.join(" "));
    if checked.faults.is_empty() { Ok(()) } else { Err(format!("{} faults", checked.faults.len())) }
}

/// What became of the page.
#[derive(Debug)]
struct Checked {
    rows: usize,
    open: Vec<String>,
    faults: Vec<String>,
}

fn check(page: &str, root: &Path) -> Checked {
    let (mut open, mut faults, mut found) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut texts = Texts { root, read: BTreeMap::new() };
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    for row in rows.skip(1).filter(|row| !row.starts_with("---")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [id, promise, place, proof] = cells[..] else {
            faults.push(format!("this is no row of four cells: {row}"));
            continue;
        };
        if !found.insert(id.to_owned()) {
            faults.push(format!("{id} is there twice"));
        }
        if promise.trim().is_empty() {
            faults.push(format!("{id} does not say what is promised"));
        }
        if proof.starts_with(OPEN) {
            open.push(id.to_owned());
            continue;
        }
        for (cell, what) in [(place, "place"), (proof, "proof")] {
            let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
            if named.is_empty() {
                faults.push(format!("{id} names no {what}; say `{OPEN}` when there is none"));
            }
            faults.extend(named.iter().filter_map(|name| texts.fault(name)).map(|fault| format!("{id}: {fault}")));
        }
    }
    let wanted = wanted();
    faults.extend(wanted.difference(&found).map(|id| format!("{id} is missing")));
    faults.extend(found.difference(&wanted).map(|id| format!("{id} is no row of the checklist")));
    Checked { rows: found.len(), open, faults }
}

fn wanted() -> BTreeSet<String> {
    let of = |(letter, rows, without): (char, u32, &'static [u32])| {
        (1..=rows).filter(|row| !without.contains(row)).map(move |row| match letter {
            'L' => format!("L{row}"),
            letter => format!("{letter}{row:02}"),
        })
    };
    ROWS.into_iter().flat_map(of).collect()
}

/// Files that were read.
struct Texts<'r> {
    root: &'r Path,
    read: BTreeMap<String, Option<String>>,
}

impl Texts<'_> {
    /// What is wrong with a file, a function in a file (`file::function`) or a command, if anything is.
    fn fault(&mut self, name: &str) -> Option<String> {
        if let Some(command) = name.strip_prefix("cargo xtask ") {
            let is_known = USAGE.lines().any(|line| line.trim_start().split([' ', '[']).next() == Some(command));
            return (!is_known).then(|| format!("there is no command `{name}`"));
        }
        if let Some(command) = name.strip_prefix("celerysalt ") {
            let file = format!("cli/src/commands/{}.rs", command.replace('-', "_"));
            return (!self.root.join(file).is_file()).then(|| format!("there is no command `{name}`"));
        }
        let Some((file, function)) = name.split_once("::") else {
            return (!self.root.join(name).exists()).then(|| format!("there is no {name}"));
        };
        let path = self.root.join(file);
        let text = self.read.entry(file.to_owned()).or_insert_with(|| fs::read_to_string(path).ok());
        let Some(text) = text else { return Some(format!("there is no {file}")) };
        (!has_function(text, function)).then(|| format!("{file} has no function {function}"))
    }
}

fn has_function(text: &str, function: &str) -> bool {
    text.split("fn ").skip(1).any(|after| after.strip_prefix(function).is_some_and(|rest| rest.starts_with(['(', '<'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_checklist_names_exists() {
        let page = fs::read_to_string(cargo::root().join(PAGE)).unwrap();
        let checked = check(&page, cargo::root());
        println!("{} rows are open: {}", checked.open.len(), checked.open.join(" "));
        assert_eq!(checked.faults, [""; 0]);
        // Whoever opens a row again says so here.
        assert!(checked.open.len() <= MOST_OPEN, "{:?}", checked.open);
    }

    #[test]
    fn what_does_not_exist_is_found() {
        let head = "| row | promise | where | proof |\n| --- | --- | --- | --- |\n";
        let rows = "| A01 | x | `nowhere.rs` | `xtask/src/checklist.rs::no_such_test` |\n\
                    | A01 | x | `xtask/` | `cargo xtask nonsense`, `celerysalt nonsense`, `nowhere.rs::f` |\n\
                    | A02 | x | `xtask/` | nothing |\n| A03 | x | - | open |\n| Z99 | x | `xtask/` | `cargo xtask deps` |\n\
                    | A04 | x |\n";
        let checked = check(&format!("{head}{rows}"), cargo::root());
        let all = checked.faults.join("\n");
        for fault in [
            "A01: there is no nowhere.rs",
            "A01: xtask/src/checklist.rs has no function no_such_test",
            "A01 is there twice",
            "no command `cargo xtask nonsense`",
            "no command `celerysalt nonsense`",
            "A02 names no proof",
            "no row of four cells",
            "A04 is missing",
            "L41 is missing",
            "Z99 is no row",
        ] {
            assert!(all.contains(fault), "{fault}: {all}");
        }
        assert_eq!(checked.open, ["A03"]);
        let this = fs::read_to_string(cargo::root().join("xtask/src/checklist.rs")).unwrap();
        assert!(has_function(&this, "what_does_not_exist_is_found") && !has_function(&this, "what_does_not_exist"));
        assert_eq!(wanted().len(), 189);
    }
}
