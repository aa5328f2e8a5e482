//! `celerysalt-conformance fuzz`: random schemas of all keywords of all drafts, and values that nearly fit them. The
//! generated code and the `jsonschema` crate must agree on every pair, and what is accepted must be written as it was.
//!
//! Both read the same text. The crate reads numbers as floats where they are long, so the numbers of the grammar are such
//! that no float rounds them; exactness beyond that is what the other corpora are for.

use std::collections::BTreeMap;

use celerysalt_contract::{Draft, Validator};
use serde_json::Value;

use crate::{
    bring::Documents,
    corpus::{Case, Corpus, Payload},
    generate::Wanted,
    project::Workshop,
    random::{self, Dice},
    schemas::{self, Report},
};

/// How much to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) schemas: usize,
    /// Of each schema.
    pub(crate) instances: usize,
    pub(crate) seed: u64,
    pub(crate) jobs: Option<usize>,
}

/// What came of it, and the schemas that it was about.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) report: Report,
    pub(crate) cases: Vec<Case>,
    /// Why schemas were refused, and how many.
    pub(crate) refused: BTreeMap<String, usize>,
}

/// Runs the order.
///
/// # Errors
/// A sentence about what kept it from being run at all.
pub(crate) fn run(order: &Order) -> Result<Outcome, String> {
    let mut cases = Vec::with_capacity(order.schemas);
    for number in 0.. {
        if cases.len() == order.schemas {
            break;
        }
        cases.extend(case(order, number));
    }
    let documents = Documents::of(&Corpus::default());
    let mut report = Report::default();
    let mut wanted = Vec::with_capacity(cases.len());
    for (index, case) in cases.iter().enumerate() {
        report.begin(case);
        let topic = format!("s{index:05}");
        wanted.push(Wanted { index, files: documents.folder(case, &topic, false)?, topic });
    }
    let room = schemas::Room::enter(None)?;
    let workshop = Workshop { folder: room.folder.clone(), jobs: order.jobs };
    schemas::through(&cases, &documents, wanted, &workshop, &mut report)?;
    let mut refused = BTreeMap::new();
    report.failures.retain(|failure| {
        let is_refusal = failure.kind == "refused";
        if is_refusal {
            let code = failure.reason.split(' ').next().unwrap_or_default();
            *refused.entry(code.to_owned()).or_default() += 1;
        }
        !is_refusal
    });
    Ok(Outcome { report, cases, refused })
}

/// A schema with values and verdicts; none where the schema is none, or the crate is known to be wrong about it.
fn case(order: &Order, number: u64) -> Option<Case> {
    let mut dice = Dice(order.seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(number << 20));
    let schema = random::document(&mut dice);
    let text = schema.to_string();
    // In 2019-09, other than from 2020-12 on, an item that `contains` matches is still unevaluated.
    let alike = text.contains("draft/2019-09") && text.contains("\"contains\"") && text.contains("unevaluatedItems");
    if !schema.is_object() || alike {
        return None;
    }
    // The crate, with formats as the schema means them.
    let validator = Validator::new(&schema).ok()?;
    let payloads = (0..order.instances).filter_map(|_| {
        let value = random::fit(&mut dice, &schema, &schema, 4);
        let text = random::text(&mut dice, &value);
        let valid = validator.is_valid(&serde_json::from_str::<Value>(&text).ok()?);
        Some(Payload { name: text.clone(), text, valid })
    });
    Some(Case {
        group: "random".to_owned(),
        name: format!("seed {} schema {number}", order.seed),
        file: std::path::PathBuf::new(),
        payloads: payloads.collect(),
        draft: Draft::of(&schema)?,
        schema: text,
        is_file: false,
    })
}
