//! How long it takes to generate many contracts.

use std::{
    fs,
    path::Path,
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

/// The medians of generating all contracts of a folder, and of doing so again after one was edited; lines and bytes.
///
/// # Errors
/// Findings.
pub fn measure(folder: &Path, rounds: usize) -> Result<(Duration, Duration, usize, usize), String> {
    let run = || -> Result<(Duration, String), String> {
        let start = Instant::now();
        let generated = celerysalt_codegen::contracts(folder).generate().map_err(|findings| findings.render(false))?;
        Ok((start.elapsed(), generated.code))
    };
    let (mut all, mut edited) = (Vec::new(), Vec::new());
    let (mut lines, mut bytes) = (0, 0);
    for round in 0..rounds {
        let (took, code) = run()?;
        (lines, bytes) = (code.lines().count(), code.len());
        all.push(took);
        let (topic, _) = SCHEMAS.first().ok_or("no schema")?;
        let path = folder.join(format!("{topic}.n0/v1.json"));
        let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let text = text.replacen("\"note\"", &format!("\"note_{round}\""), 1);
        fs::write(&path, text).map_err(|error| error.to_string())?;
        edited.push(run()?.0);
    }
    Ok((median(all), median(edited), lines, bytes))
}

/// The middle one.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
