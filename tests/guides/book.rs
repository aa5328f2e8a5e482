//! The book as a whole: each page is a chapter, and no link is dead.

use std::{collections::HashMap, fs, path::Path, process::Command};

use celerysalt_tests::page::{Page, guides, root};

/// Pages outside the book that lead into it.
const BESIDE: [&str; 6] =
    ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "examples/python/README.md", "docs/SUMMARY.md"];

/// The path of `to`, which stands in `from`, from the root of the repository.
fn resolved(from: &str, to: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in to.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn every_page_is_a_chapter() {
    let summary = Page::read("docs/SUMMARY.md");
    let mut chapters: Vec<String> = summary.links.iter().map(|(_, to)| resolved("docs/SUMMARY.md", to)).collect();
    chapters.sort();
    let pages: Vec<String> = guides().into_iter().filter(|name| name != "docs/SUMMARY.md").collect();
    assert_eq!(chapters, pages, "docs/SUMMARY.md and the folder differ");
}

#[test]
fn no_link_is_dead() {
    let names = guides().into_iter().chain(BESIDE.map(str::to_owned));
    let pages: HashMap<String, Page> = names.map(|name| (name.clone(), Page::read(&name))).collect();
    let mut dead = Vec::new();
    for (name, page) in &pages {
        for (line, link) in &page.links {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(path, anchor)| (path, Some(anchor)));
            let target = if path.is_empty() { name.clone() } else { resolved(name, path) };
            let is_in_book = |name: &str| name.starts_with("docs/");
            let why = if !root().join(&target).exists() {
                "there is no such file"
            } else if is_in_book(name) && !is_in_book(&target) {
                "leads out of the book, where its files are not"
            } else if let (Some(anchor), Some(page)) = (anchor, pages.get(&target))
                && !page.anchors.iter().any(|known| known == anchor)
            {
                "that page has no such heading"
            } else {
                continue;
            };
            dead.push(format!("{name}:{line}: {link}: {why}"));
        }
    }
    dead.sort();
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

/// Where mdBook is installed, it makes the book. Where it is not, what it would stumble over is what the other tests look at.
#[test]
fn the_book_is_made_where_mdbook_is_installed() {
    let book: toml::Table = fs::read_to_string(root().join("docs/book.toml")).unwrap().parse().unwrap();
    assert_eq!(book["book"]["src"].as_str(), Some("."));
    let out = std::env::temp_dir().join(format!("celerysalt_book_{}", uuid::Uuid::new_v4().simple()));
    let made = Command::new("mdbook").arg("build").arg(root().join("docs")).arg("--dest-dir").arg(&out).output();
    if let Ok(made) = made {
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(made.status.success() && !said.contains("WARN"), "{said}");
        assert!(Path::new(&out).join("tutorial.html").exists());
        fs::remove_dir_all(out).unwrap();
    }
}
