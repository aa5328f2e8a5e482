//! `x-celerysalt`: what a contract says that JSON Schema has no word for.

use serde_json::Value;

use crate::{
    Formats, Mode, Source,
    diagnostic::Diagnostics,
    source::escape,
    suggest::{listed, similar},
};

/// The keyword that holds the settings.
pub(crate) const KEYWORD: &str = "x-celerysalt";
const KEYS: [&str; 7] = ["auto_register", "compatibility", "exchange", "formats", "mode", "owner", "registry"];
const COMPATIBILITY: [&str; 4] = ["backward", "forward", "full", "none"];
const MODES: [&str; 2] = ["broadcast", "rpc"];

/// The settings of one contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) mode: Option<Mode>,
    pub(crate) exchange: Option<String>,
    pub(crate) registry: bool,
    pub(crate) auto_register: bool,
    pub(crate) compatibility: Option<String>,
    pub(crate) owner: Option<String>,
    /// As written; [`Formats::of`] has the default.
    pub(crate) formats: Option<Formats>,
}

impl Settings {
    /// The settings of a contract's first file. What is wrong with them is reported, and the default taken.
    pub(crate) fn read(source: &Source, findings: &mut Diagnostics) -> Self {
        let mut settings = Self {
            mode: None,
            exchange: None,
            registry: true,
            auto_register: true,
            compatibility: None,
            owner: None,
            formats: None,
        };
        let Some(value) = source.value().get(KEYWORD) else { return settings };
        let Value::Object(members) = value else {
            findings.push(source.error(
                "unknown-setting",
                source.span_of("/x-celerysalt"),
                "`x-celerysalt` holds an object",
            ));
            return settings;
        };
        for (key, value) in members {
            let wrong = match (key.as_str(), value) {
                ("registry", Value::Bool(yes)) => {
                    settings.registry = *yes;
                    None
                }
                ("auto_register", Value::Bool(yes)) => {
                    settings.auto_register = *yes;
                    None
                }
                ("registry" | "auto_register", _) => Some(("true or false".to_owned(), None)),
                ("exchange", Value::String(text)) if !text.is_empty() && text.len() <= 255 => {
                    settings.exchange = Some(text.clone());
                    None
                }
                ("exchange", _) => Some(("a name of 1 to 255 bytes".to_owned(), None)),
                ("owner", Value::String(text)) => {
                    settings.owner = Some(text.clone());
                    None
                }
                ("owner", _) => Some(("a string".to_owned(), None)),
                ("mode", _) => match value.as_str() {
                    Some("rpc") => {
                        settings.mode = Some(Mode::Rpc);
                        None
                    }
                    Some("broadcast") => {
                        settings.mode = Some(Mode::Broadcast);
                        None
                    }
                    other => one_of(&MODES, other),
                },
                ("formats", _) => {
                    settings.formats = value.as_str().and_then(Formats::named);
                    match settings.formats {
                        Some(_) => None,
                        None => one_of(&Formats::NAMES.map(|(name, _)| name), value.as_str()),
                    }
                }
                ("compatibility", _) => match value.as_str() {
                    Some(text) if COMPATIBILITY.contains(&text) => {
                        settings.compatibility = Some(text.to_owned());
                        None
                    }
                    other => one_of(&COMPATIBILITY, other),
                },
                (unknown, _) => {
                    let span = source.key_span_of(&format!("/{KEYWORD}/{}", escape(unknown)));
                    let message = format!("there is no setting `{unknown}`; there are {}", listed(KEYS, 7));
                    let finding = source.error("unknown-setting", span, message);
                    findings.push(match similar(unknown, KEYS) {
                        Some(near) => finding.with_help(format!("did you mean `{near}`?")),
                        None => finding,
                    });
                    None
                }
            };
            if let Some((expected, help)) = wrong {
                let span = source.span_of(&format!("/{KEYWORD}/{key}"));
                let mut finding = source.error("unknown-setting", span, format!("`{key}` is {expected}"));
                finding.help = help;
                findings.push(finding);
            }
        }
        settings
    }

    /// Reports settings in a file whose settings nobody reads.
    pub(crate) fn refuse(source: &Source, findings: &mut Diagnostics) {
        if source.value().get(KEYWORD).is_some() {
            let span = source.key_span_of("/x-celerysalt");
            let message = "settings belong in the contract's first file, such as `v1.json`; here nobody reads them";
            findings.push(source.error("unknown-setting", span, message));
        }
    }
}

/// What a setting must be, and what the one written may have meant.
#[allow(clippy::unnecessary_wraps, reason = "a branch of a match whose other branches find nothing wrong")]
fn one_of(allowed: &[&'static str], written: Option<&str>) -> Option<(String, Option<String>)> {
    let near = written.and_then(|text| similar(text, allowed.iter().copied()));
    Some((format!("one of {}", listed(allowed.iter().copied(), 9)), near.map(|near| format!("did you mean `{near}`?"))))
}
