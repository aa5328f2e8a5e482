//! Python: a file of pydantic models for a topic, all its versions in it.
//!
//! The walk: each schema document becomes types ([`models`], [`objects`]) and rules ([`rules`]) in a [`document`]; the
//! file's header then tells what they left unsaid, and its imports and functions follow from what they use ([`helpers`]).

mod document;
mod helpers;
mod layout;
mod models;
mod objects;
mod patterns;
mod rules;
mod separate;

use celerysalt_contract::{ContractRecord, Mode};
use serde_json::Value;

use self::{
    document::{Block, Document, File, Meta, Progress},
    layout::{Expr, comment},
    models::Name,
};
use super::{
    names::{Scope, type_name},
    schema::Reader,
};

/// The file of a topic; `versions` from the oldest to the newest.
pub(super) fn file(topic: &str, versions: &[&ContractRecord]) -> String {
    // `Meta` is what each document's model has inside.
    let reserved = helpers::reserved().chain(["Meta"]).map(str::to_owned);
    let mut file = File { scope: Scope::with(reserved), ..File::default() };
    let plan = plan(topic, versions, &mut file.scope);
    for (contract, names) in versions.iter().zip(&plan) {
        for (part, name, schema) in &names.documents {
            let label = format!("{}{part}", contract.version);
            let mode = if contract.mode == Mode::Rpc { "rpc" } else { "broadcast" };
            let exchange = contract.schema.get("x-celerysalt").and_then(|settings| settings.get("exchange"));
            let meta = Meta {
                topic,
                version: contract.version.as_str(),
                mode,
                part: if part.is_empty() { "payload" } else { part.trim() },
                description: &contract.description,
                exchange: exchange.and_then(Value::as_str).unwrap_or("tchu_events"),
            };
            let document = Document::new(Reader::new(schema), &mut file, label, names.suffix.clone(), meta);
            document.write(name);
        }
    }
    if let Some(newest) = plan.last().filter(|names| !names.suffix.is_empty()) {
        for (_, name, _) in &newest.documents {
            let plain = name.strip_suffix(&newest.suffix).unwrap_or(name);
            file.assign(plain, &Expr::name(name));
        }
    }
    let (header, preamble) = (header(topic, versions, &file), helpers::preamble(&file.used));
    let follows_imports = !preamble.contains("\ndef ") && !preamble.contains(" = ");
    format!("{header}\n{preamble}{}", body(&file.blocks, follows_imports))
}

/// What the models of a version are called.
struct Names<'a> {
    suffix: String,
    /// The part of the contract, its model's name, and its schema.
    documents: Vec<(&'static str, String, &'a Value)>,
}

/// Decides first what others import, so that no definition inside a schema is called so.
fn plan<'a>(topic: &str, versions: &[&'a ContractRecord], scope: &mut Scope) -> Vec<Names<'a>> {
    let several = versions.len() > 1;
    let mut plan = Vec::with_capacity(versions.len());
    for (i, contract) in versions.iter().enumerate() {
        let suffix =
            if several { contract.version.as_str().replace('v', "V").replace('.', "_") } else { String::new() };
        let title = |schema: &'a Value| schema.get("title").and_then(Value::as_str);
        let event = type_name(title(&contract.schema).unwrap_or_default(), &type_name(topic, "Event"));
        let mut documents = Vec::new();
        for (part, add, schema) in [
            ("", "", Some(&contract.schema)),
            (" response", "Response", contract.response_schema.as_ref()),
            (" error", "Error", contract.error_schema.as_ref()),
        ] {
            let Some(schema) = schema else { continue };
            let own = title(schema).filter(|_| !add.is_empty());
            let wanted = type_name(own.unwrap_or_default(), &format!("{event}{add}"));
            // The newest version's have their plain names too.
            let newest = several && i + 1 == versions.len();
            let mut number = 1_u64;
            let name = loop {
                let plain = if number == 1 { wanted.clone() } else { format!("{wanted}{number}") };
                let name = format!("{plain}{suffix}");
                let is_free = |name: &str| !scope.has(name);
                if is_free(&name) && (!newest || is_free(&plain)) {
                    scope.take(&name, "");
                    if newest {
                        scope.take(&plain, "");
                    }
                    break name;
                }
                number += 1;
            };
            documents.push((part, name, schema));
        }
        plan.push(Names { suffix, documents });
    }
    plan
}

impl Document<'_, '_> {
    /// Writes the document's model, and before it all that it is made of.
    fn write(mut self, name: &str) {
        self.note_annotations();
        let root = vec![String::new()];
        self.types.insert(root.clone(), Progress::Under { name: name.to_owned(), referred: false });
        let ty = self.ty("", Name::Root(name.to_owned()));
        if ty.expr != Expr::name(name) {
            let (doc, meta) = (self.description(&root), self.meta_block());
            match &ty.expr {
                // A model that is defined inside, under a name of its own.
                Expr::Name(base) if ty.is_class => self.class(name, base, &doc, &[meta]),
                expr => self.root_model(name, expr, &doc, Some(meta)),
            }
        }
        if self.has_forward {
            let rebuild = |class: &String| format!("{class}.model_rebuild(_types_namespace=globals())\n");
            let text: String = self.classes.iter().map(rebuild).collect();
            self.file.blocks.push(Block::Line(text));
        }
    }
}

/// Says where the file is from, and what its models do not say.
fn header(topic: &str, versions: &[&ContractRecord], file: &File) -> String {
    let mut lines = vec![
        format!("Auto-generated by `celerysalt generate-stubs` from the contract {topic}."),
        "Change the contract's schema, not this file.".to_owned(),
        String::new(),
    ];
    for contract in versions {
        lines.push(format!("{} {}", contract.version, contract.fingerprint));
    }
    lines.push(String::new());
    if file.notes.is_empty() {
        lines.push("Models take what the schemas take, and refuse what they refuse.".to_owned());
    } else {
        lines.push("Models take what the schemas take, and refuse what they refuse, but for:".to_owned());
    }
    for note in &file.notes {
        lines.push(format!("- {} #{} `{}`: {}", note.document, note.pointer, note.keyword, note.why));
    }
    let comments: Vec<String> = lines.iter().map(|line| comment(&format!("# {line}"))).collect();
    comments.join("\n") + "\n"
}

/// The blocks, with as many empty lines between them as formatters want.
fn body(blocks: &[Block], follows_imports: bool) -> String {
    let mut text = String::new();
    let mut after_class = true;
    for (i, block) in blocks.iter().enumerate() {
        let (is_class, code) = match block {
            Block::Line(code) => (false, code),
            Block::Class(code) => (true, code),
        };
        if i == 0 && follows_imports && !is_class {
            text.push('\n');
        } else if is_class || after_class {
            text.push_str("\n\n");
        }
        text.push_str(code);
        after_class = is_class;
    }
    text
}
