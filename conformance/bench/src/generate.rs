//! How long it takes to generate many contracts.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

/// The schemas of this package, as topic and text.
pub const SCHEMAS: [(&str, &str); 10] = [
    ("shop.order.created", include_str!("../schemas/shop.order.created/v1.json")),
    ("pay.payment.captured", include_str!("../schemas/pay.payment.captured/v1.json")),
    ("iot.telemetry.reported", include_str!("../schemas/iot.telemetry.reported/v1.json")),
    ("auth.user.signed_up", include_str!("../schemas/auth.user.signed_up/v1.json")),
    ("ops.audit.logged", include_str!("../schemas/ops.audit.logged/v1.json")),
    ("bill.invoice.issued", include_str!("../schemas/bill.invoice.issued/v1.json")),
    ("ship.parcel.tracked", include_str!("../schemas/ship.parcel.tracked/v1.json")),
    ("search.document.indexed", include_str!("../schemas/search.document.indexed/v1.json")),
    ("stock.inventory.counted", include_str!("../schemas/stock.inventory.counted/v1.json")),
    ("chat.message.posted", include_str!("../schemas/chat.message.posted/v1.json")),
];

/// Writes `count` contracts below `folder`, each with a topic and a title of its own.
///
/// # Errors
/// What keeps them from being written.
pub fn write(folder: &Path, count: usize) -> Result<(), String> {
    for number in 0..count {
        let (topic, text) = SCHEMAS.get(number % SCHEMAS.len()).ok_or("no schema")?;
        let title = titled(text)?;
        let text = text.replacen(&format!("\"{title}\""), &format!("\"{title}{number}\""), 1);
        let place = folder.join(format!("{topic}.n{number}"));
        fs::create_dir_all(&place)
            .and_then(|()| fs::write(place.join("v1.json"), text))
            .map_err(|error| format!("{}: {error}", place.display()))?;
    }
    Ok(())
}

/// The title of a schema.
///
/// # Errors
/// It has none.
pub fn titled(text: &str) -> Result<String, String> {
    let schema: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(schema.get("title").and_then(Value::as_str).ok_or("no title")?.to_owned())
}

/// What a build script takes, as medians by the clock.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// The first time.
    pub all: Duration,
    /// After one of the schemas was edited.
    pub edited: Duration,
    /// After nothing was: cargo does not even start it then, unless something else made it.
    pub again: Duration,
    /// Of the code.
    pub lines: usize,
    /// Of the code.
    pub bytes: usize,
}

/// Runs a build script on the folder `schemas` of the crate `folder`, as cargo does.
///
/// # Errors
/// What it says when it fails, or when what it makes of an edited schema is not what it makes of everything.
pub fn measure(script: &Path, folder: &Path, rounds: usize) -> Result<Spent, String> {
    let run = |out: &Path| -> Result<Duration, String> {
        fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
        let start = Instant::now();
        let output = Command::new(script)
            .current_dir(folder)
            .env("CARGO_MANIFEST_DIR", folder)
            .env("OUT_DIR", out)
            .output()
            .map_err(|error| format!("{}: {error}", script.display()))?;
        let took = start.elapsed();
        let said = || String::from_utf8_lossy(&output.stderr).chars().take(2000).collect::<String>();
        if output.status.success() { Ok(took) } else { Err(said()) }
    };
    let code = |out: &Path| fs::read_to_string(out.join("events.rs")).map_err(|error| error.to_string());
    let (topic, _) = SCHEMAS.first().ok_or("no schema")?;
    let path = folder.join(format!("schemas/{topic}.n0/v1.json"));
    let (mut all, mut edited, mut again) = (Vec::new(), Vec::new(), Vec::new());
    let (out, fresh) = (folder.join("out"), folder.join("fresh"));
    for round in 0..rounds {
        let _ = fs::remove_dir_all(&out);
        all.push(run(&out)?);
        let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let text = text.replacen("\"note", &format!("\"note_{round}"), 1);
        fs::write(&path, text).map_err(|error| error.to_string())?;
        edited.push(run(&out)?);
        again.push(run(&out)?);
    }
    run(&fresh)?;
    if code(&fresh)? != code(&out)? {
        return Err("an edited schema gives other code than all of them anew".to_owned());
    }
    let code = code(&out)?;
    let [all, edited, again] = [all, edited, again].map(median);
    Ok(Spent { all, edited, again, lines: code.lines().count(), bytes: code.len() })
}

/// The middle one.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
