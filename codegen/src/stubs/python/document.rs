//! One schema document on its way into a file: what it has named so far, and what it could not say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    layout::{Expr, assign},
    rules,
};
use crate::stubs::{
    names::{Scope, type_name},
    schema::{Found, Node, Reader},
};

/// What a model says of its contract, in a class as celery-salt wants one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta<'a> {
    pub(super) topic: &'a str,
    pub(super) version: &'a str,
    pub(super) mode: &'a str,
    /// Whether it is the payload, the response or the error: celery-salt has no use for it, a registry's adapter does.
    pub(super) part: &'a str,
    pub(super) description: &'a str,
    pub(super) exchange: &'a str,
}

/// How deep a schema is followed. Those of a checked catalog end long before.
pub(super) const MAX_DEPTH: usize = 128;

/// The longest name of a definition: a line has room for it.
const MAX_NAME: usize = 40;

/// What becomes of a schema that others refer to.
#[derive(Debug)]
pub(super) enum Progress<T> {
    /// It is being made: whoever refers to it now does so by name.
    Under {
        name: String,
        referred: bool,
    },
    Done(T),
}

/// The type of values that a schema takes.
#[derive(Clone, Debug)]
pub(super) struct Ty {
    pub(super) expr: Expr,
    /// Whether null is among them.
    pub(super) nullable: bool,
    /// Whether it is a model.
    pub(super) is_class: bool,
}

impl Ty {
    pub(super) fn new(expr: Expr) -> Self {
        Self { expr, nullable: false, is_class: false }
    }
}

/// What a file has so far.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) scope: Scope,
    /// Names that are taken from elsewhere.
    pub(super) used: BTreeSet<String>,
    pub(super) blocks: Vec<Block>,
    /// What the models do not say, in the order of the schemas.
    pub(super) notes: BTreeSet<Note>,
}

/// Something at the top of a file.
#[derive(Debug)]
pub(super) enum Block {
    /// A line, or several that belong together.
    Line(String),
    /// What formatters want two empty lines around.
    Class(String),
}

/// Something that a schema says and its models do not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Note {
    /// Which document, such as `v1` or `v1 response`.
    pub(super) document: String,
    pub(super) pointer: String,
    pub(super) keyword: String,
    pub(super) why: String,
}

impl File {
    /// Writes `name = value` at the top of the file.
    pub(super) fn assign(&mut self, name: &str, value: &Expr) {
        value.names(&mut self.used);
        self.blocks.push(Block::Line(assign(0, name, value)));
    }
}

/// Whether this is what pydantic writes for a decimal: a number, or a text with nothing said of it.
fn is_decimal(node: &Node<'_>) -> bool {
    let says = |kind: &str| {
        let is_it = |schema: &Value| {
            schema.get("type").and_then(Value::as_str) == Some(kind)
                && (kind == "number" || schema.get("pattern").is_none())
        };
        node.array("anyOf").is_some_and(|options| options.iter().any(is_it))
    };
    says("number") && says("string")
}

/// A schema document that is being written into a file.
#[derive(Debug)]
pub(super) struct Document<'a, 'f> {
    pub(super) reader: Reader<'a>,
    pub(super) file: &'f mut File,
    /// For its notes.
    pub(super) label: String,
    /// What its models say of their contract.
    pub(super) meta: Meta<'a>,
    /// At the end of each of its names, such as `V2`; empty where no other version is in the file.
    pub(super) suffix: String,
    pub(super) depth: usize,
    pub(super) rules: BTreeMap<String, Progress<Option<Expr>>>,
    /// By the pointers of the schemas that must hold together.
    pub(super) types: BTreeMap<Vec<String>, Progress<Ty>>,
    /// The models that it has made.
    pub(super) classes: Vec<String>,
    /// Whether any of them refers to one below it.
    pub(super) has_forward: bool,
}

impl<'a, 'f> Document<'a, 'f> {
    pub(super) fn new(reader: Reader<'a>, file: &'f mut File, label: String, suffix: String, meta: Meta<'a>) -> Self {
        Self {
            reader,
            file,
            label,
            meta,
            suffix,
            depth: 0,
            rules: BTreeMap::new(),
            types: BTreeMap::new(),
            classes: Vec::new(),
            has_forward: false,
        }
    }

    /// Says what the models do not.
    pub(super) fn note(&mut self, pointer: &str, keyword: &str, why: &str) {
        self.file.notes.insert(Note {
            document: self.label.clone(),
            pointer: pointer.to_owned(),
            keyword: keyword.to_owned(),
            why: why.to_owned(),
        });
    }

    /// What only describes, or leaves open what looks closed: said of every schema.
    pub(super) fn note_annotations(&mut self) {
        let mut found = Vec::new();
        self.reader.each(&mut |node| {
            if let Some(format) = node.text("format") {
                let why = match node.format() {
                    None => Some("an annotation, not checked"),
                    Some(asserted) => rules::read(asserted).is_none().then_some("asserted, and not checked here"),
                };
                found.extend(why.map(|why| (node.pointer.clone(), "format", format!("{format}: {why}"))));
            }
            for keyword in ["contentEncoding", "contentMediaType", "contentSchema"] {
                if node.has(keyword) {
                    found.push((node.pointer.clone(), keyword, "an annotation, not checked".to_owned()));
                }
            }
            if node.has("discriminator") {
                found.push((node.pointer.clone(), "discriminator", "an annotation: its schemas decide".to_owned()));
            }
            if is_decimal(node) {
                let why = "a number or any text: that the text is a number is not said".to_owned();
                found.push((node.pointer.clone(), "anyOf", why));
            }
            if node.has("patternProperties") && !node.has("additionalProperties") {
                let why = "leaves properties open whose names match none of the patterns".to_owned();
                found.push((node.pointer.clone(), "patternProperties", why));
            }
        });
        for (pointer, keyword, why) in found {
            self.note(&pointer, keyword, &why);
        }
    }

    /// What the schema at `pointer` is called: its title, else the last part of the pointer.
    pub(super) fn title(&self, pointer: &str) -> String {
        let title = match self.reader.find(pointer) {
            Found::Schema(node) => node.text("title").filter(|title| title.chars().any(|c| c.is_ascii_alphanumeric())),
            _ => None,
        };
        title.or_else(|| pointer.rsplit('/').next()).unwrap_or_default().to_owned()
    }

    /// A name for a type that nothing else in the file has.
    pub(super) fn take_type_name(&mut self, wanted: &str) -> String {
        let mut wanted = type_name(wanted, "Model");
        // Some authors write sentences into titles.
        wanted.truncate(MAX_NAME);
        let wanted = format!("{wanted}{}", self.suffix);
        self.file.scope.take(&wanted, "")
    }

    /// The suffix in names that are not in capitals.
    pub(super) fn lower_suffix(&self) -> String {
        if self.suffix.is_empty() { String::new() } else { format!("_{}", self.suffix.to_ascii_lowercase()) }
    }
}
