//! A page of the guides: its code, its headings, its links, with the lines where they stand.

#![allow(clippy::unwrap_used, clippy::panic, reason = "only tests use this")]

use std::{
    collections::HashMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A Markdown file.
pub struct Page {
    /// From the root of the repository, such as `docs/tutorial.md`.
    pub name: String,
    /// What it says.
    pub text: String,
    /// In their order.
    pub parts: Vec<Part>,
    /// The names that links into this page may end with.
    pub anchors: Vec<String>,
    /// Where it leads to, each with its line.
    pub links: Vec<(usize, String)>,
}

/// What a reader copies, or whoever follows a page has to know.
pub enum Part {
    /// A block of code.
    Code(Code),
    /// A comment, which readers don't see.
    Comment(String),
}

/// A block of code.
pub struct Code {
    /// From 1.
    pub line: usize,
    /// What stands behind the fence: the language, then words that are for whoever runs the page.
    pub words: Vec<String>,
    /// Between the fences.
    pub text: String,
}

impl Page {
    /// Reads a page of this repository.
    pub fn read(name: &str) -> Self {
        let text = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self::parse(name, text)
    }

    /// Takes a page apart.
    pub fn parse(name: &str, text: String) -> Self {
        let mut page = Self {
            name: name.to_owned(),
            text: String::new(),
            parts: Vec::new(),
            anchors: Vec::new(),
            links: Vec::new(),
        };
        let line_of = |at: &Range<usize>| text[..at.start].matches('\n').count() + 1;
        let mut heading: Option<String> = None;
        let mut code: Option<Code> = None;
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (event, at) in
            Parser::new_ext(&text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH).into_offset_iter()
        {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => page.anchors.extend(heading.take().map(|title| {
                    let anchor = anchor(&title);
                    let times = seen.entry(anchor.clone()).or_default();
                    *times += 1;
                    if *times == 1 { anchor } else { format!("{anchor}-{}", *times - 1) }
                })),
                Event::Start(Tag::CodeBlock(kind)) => {
                    let words = match kind {
                        CodeBlockKind::Fenced(info) => info.split([',', ' ']).map(str::to_owned).collect(),
                        CodeBlockKind::Indented => Vec::new(),
                    };
                    code = Some(Code { line: line_of(&at), words, text: String::new() });
                }
                Event::End(TagEnd::CodeBlock) => page.parts.extend(code.take().map(Part::Code)),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push((line_of(&at), dest_url.into_string()));
                }
                Event::Html(html) | Event::InlineHtml(html) => {
                    let comment = html.trim().strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
                    page.parts.extend(comment.map(|text| Part::Comment(text.trim().to_owned())));
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(code) = &mut code {
                        code.text.push_str(&text);
                    } else if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        page.text = text;
        page
    }

    /// Its blocks of code.
    pub fn code(&self) -> impl Iterator<Item = &Code> {
        self.parts.iter().filter_map(|part| match part {
            Part::Code(code) => Some(code),
            Part::Comment(_) => None,
        })
    }
}

impl Code {
    /// The language, or nothing.
    pub fn language(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Whether a word stands behind the language.
    pub fn has(&self, word: &str) -> bool {
        self.words.iter().skip(1).any(|one| one == word)
    }

    /// The word that stands behind `name=`.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.words.iter().skip(1).find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

/// What GitHub and mdBook make of a heading's text.
fn anchor(title: &str) -> String {
    let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The root of this repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The names of all pages below `docs/`, sorted.
pub fn guides() -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec!["docs".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                folders.push(name);
            } else if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
                names.push(name);
            }
        }
    }
    names.sort();
    names
}
