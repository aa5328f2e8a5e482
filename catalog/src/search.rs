//! What the browser searches through: a script, since pages of `file://` may not fetch anything.

use celerysalt_contract::Mode;
use serde_json::{Value, json};

use crate::{
    Site,
    fields::{Row, describe},
    subject::{parts, summary},
};

/// More names of fields than anybody searches one topic for.
const MOST_FIELDS: usize = 200;

/// `celerysaltIndex = [[topic, title, description, owner, mode, fields], ...]`, in the order of the page's list.
pub(crate) fn index(site: &Site) -> String {
    let topics: Vec<Value> = site
        .newest()
        .map(|(_, subject)| {
            let mut fields: Vec<String> = Vec::new();
            for (.., schema) in parts(subject.record) {
                let described = describe(schema);
                let layouts = std::iter::once(&described.root).chain(described.types.iter().map(|one| &one.layout));
                for row in layouts.flat_map(|layout| &layout.rows) {
                    if let Row::Field(field) = row
                        && fields.len() < MOST_FIELDS
                        && !fields.contains(&field.name)
                    {
                        fields.push(field.name.clone());
                    }
                }
            }
            json!([
                subject.record.topic,
                subject.title,
                summary(&subject.record.description),
                subject.setting("owner").unwrap_or_default(),
                if subject.record.mode == Mode::Rpc { "rpc" } else { "broadcast" },
                fields,
            ])
        })
        .collect();
    format!("globalThis.celerysaltIndex = {};\n", Value::from(topics))
}
