//! Prints the tables of `cargo xtask bench codegen`. See `docs/benchmarks.md`.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use celerysalt_bench::{cases, compile, generate};

/// How often each way is timed, by turns.
const ROUNDS: usize = 25;
/// How long one timing takes, about.
const SLICE: Duration = Duration::from_millis(4);

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let all = wanted.is_empty();
    let is = |name: &str| all || wanted.iter().any(|word| word == name);
    let outcome = (|| -> Result<(), String> {
        if is("decode") {
            decode()?;
        }
        if is("generate") {
            generating()?;
        }
        if is("compile") {
            compiling()?;
        }
        Ok(())
    })();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Nanoseconds for one run.
fn timed(act: &dyn Fn() -> bool, times: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        assert!(act(), "the payload is valid");
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(times)
}

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn decode() -> Result<(), String> {
    println!("| event | bytes | generated, µs | serde, µs | checked serde, µs | to serde | checked to generated |");
    println!("| --- | --: | --: | --: | --: | --: | --: |");
    let (mut to_serde, mut to_checked) = (Vec::new(), Vec::new());
    for case in cases::all()? {
        let ways: [&dyn Fn() -> bool; 3] =
            [&|| (case.ours)(case.payload), &|| (case.serde)(case.payload), &|| (case.checked)(case.payload)];
        let mut times = [const { Vec::new() }; 3];
        let counts = ways.map(|way| {
            timed(way, 20);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
            let count = (SLICE.as_secs_f64() * 1e9 / timed(way, 20)) as u32;
            count.max(5)
        });
        for _ in 0..ROUNDS {
            for ((way, times), count) in ways.iter().zip(&mut times).zip(counts) {
                times.push(timed(*way, count));
            }
        }
        let [ours, serde, checked] = times.map(middle);
        to_serde.push(ours / serde);
        to_checked.push(checked / ours);
        println!(
            "| {} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
            case.name,
            case.payload.len(),
            ours / 1e3,
            serde / 1e3,
            checked / 1e3,
            ours / serde,
            checked / ours
        );
    }
    let mean = |all: &[f64]| (all.iter().map(|ratio| ratio.ln()).sum::<f64>() / f64::from(20_u8)).exp();
    let worst = to_serde.iter().copied().fold(0.0, f64::max);
    let least = to_checked.iter().copied().fold(f64::INFINITY, f64::min);
    println!("| geometric mean | | | | | {:.2} | {:.2} |", mean(&to_serde), mean(&to_checked));
    println!("| worst | | | | | {worst:.2} | {least:.2} |\n");
    Ok(())
}

fn generating() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    generate::write(folder.path(), 1000)?;
    let (all, edited, lines, bytes) = generate::measure(folder.path(), 5)?;
    println!("| generating | seconds | lines | bytes |\n| --- | --: | --: | --: |");
    println!("| 1,000 contracts | {:.2} | {lines} | {bytes} |", all.as_secs_f64());
    println!("| 1,000 contracts, one of them edited | {:.2} | | |", edited.as_secs_f64());
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    generate::write(folder.path(), 100)?;
    let (all, edited, ..) = generate::measure(folder.path(), 5)?;
    println!("| 100 contracts | {:.3} | | |", all.as_secs_f64());
    println!("| 100 contracts, one of them edited | {:.3} | | |", edited.as_secs_f64());
    println!("| nothing changed | {} | | |\n", unchanged()?);
    Ok(())
}

/// Whether cargo runs the build script of this very package again: it must not.
fn unchanged() -> Result<&'static str, String> {
    let build = || {
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--release", "--package", "celerysalt-bench", "--lib", "--message-format=json"])
            .current_dir(checkout())
            .output()
            .map_err(|error| format!("cargo did not start: {error}"))
    };
    build()?;
    let stamp = || -> Result<_, String> {
        let said = String::from_utf8_lossy(&build()?.stdout).into_owned();
        let line =
            said.lines().find(|line| line.contains("build-script-executed") && line.contains("conformance/bench"));
        let message: serde_json::Value =
            serde_json::from_str(line.unwrap_or_default()).map_err(|error| error.to_string())?;
        let out = message.get("out_dir").and_then(serde_json::Value::as_str).unwrap_or_default();
        let file = std::fs::metadata(Path::new(out).join("events.rs"));
        file.and_then(|file| file.modified()).map_err(|error| format!("{out}: {error}"))
    };
    Ok(if stamp()? == stamp()? { "not run" } else { "RUN" })
}

fn compiling() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let rows = compile::measure(folder.path(), &checkout(), 200, 3)?;
    println!("| 200 events | lines | bytes | check, s | build, s |\n| --- | --: | --: | --: | --: |");
    for row in rows {
        let (check, build) = (row.check.as_secs_f64(), row.build.as_secs_f64());
        println!("| {} | {} | {} | {check:.2} | {build:.2} |", row.name, row.lines, row.bytes);
    }
    println!();
    Ok(())
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}
