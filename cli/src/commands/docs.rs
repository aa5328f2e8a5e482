//! `celerysalt docs`: the contracts as a static site.

use std::path::PathBuf;

use celerysalt_catalog::{Known, Site};
use clap::Args;
use serde_json::json;

use crate::{
    contracts::Source,
    output::{Report, Stop, escape, plural},
};

/// Write a catalog of the contracts: a static site, and an AsyncAPI document
///
/// Every topic with its versions, fields, examples, code in Rust and Python, and what changed between versions and whether
/// it breaks. From a registry also who publishes and who subscribes, deprecations and the audit log. The site needs no
/// server and no network: open index.html.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  celerysalt docs --out site\n  celerysalt docs --schemas schemas --out site\n  \
    celerysalt docs --registry postgres://reader@db/contracts --out site --title 'Contracts of Acme'")]
pub(crate) struct Docs {
    #[command(flatten)]
    source: Source,
    /// Folder to write to: a new one, an empty one, or one that this command wrote before
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What the catalog is called
    #[arg(long, value_name = "TEXT", default_value = "Event contracts")]
    title: String,
}

impl Docs {
    pub(crate) async fn run(self) -> Result<Report, Stop> {
        let mut site = Site::new(self.title, self.source.releases().await?);
        if let Some(registry) = self.source.registry()? {
            site = site.with_known(Known::of(&*registry).await?);
        }
        let written = site.write(&self.out).map_err(|error| Stop::failed("file", error.to_string()))?;
        let (topics, contracts) = site.size();
        let index = self.out.join("index.html");
        let shown = escape(&index.display().to_string());
        let count = |number: usize, word: &str| format!("{number} {}", plural(number, word));
        Ok(Report {
            findings: false,
            text: format!("{shown}\n"),
            summary: format!(
                "{}{} of {} in {}, {} kB",
                self.source.note(),
                count(contracts, "contract"),
                count(topics, "topic"),
                count(written.files, "file"),
                written.bytes.div_ceil(1000)
            ),
            json: json!({
                "index": index,
                "topics": topics,
                "contracts": contracts,
                "files": written.files,
                "bytes": written.bytes,
                "removed": written.removed,
            }),
        })
    }
}
