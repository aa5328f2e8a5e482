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
    let by_default = build_script()?;
    let optimised = std::env::current_exe()
        .map(|path| path.with_file_name("emit"))
        .map_err(|error| format!("this program can't be found: {error}"))?;
    println!("| build script | contracts | all, s | one edited, s | none edited, s | lines | bytes |");
    println!("| --- | --: | --: | --: | --: | --: | --: |");
    for (name, script) in [("optimised", &optimised), ("as cargo compiles it by default", &by_default.script)] {
        for count in [1000, 100] {
            let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
            generate::write(&folder.path().join("schemas"), count)?;
            let spent = generate::measure(script, folder.path(), 3)?;
            let [all, edited, again] = [spent.all, spent.edited, spent.again].map(|time| time.as_secs_f64());
            let (lines, bytes) = (spent.lines, spent.bytes);
            println!("| {name} | {count} | {all:.2} | {edited:.3} | {again:.3} | {lines} | {bytes} |");
        }
    }
    // A build with nothing changed: cargo must not run the script.
    let stamp = || {
        let file = std::fs::metadata(&by_default.events);
        file.and_then(|file| file.modified()).map_err(|error| format!("{}: {error}", by_default.events.display()))
    };
    let before = stamp()?;
    let built = build_script()?;
    let ran = if stamp()? == before && built.fresh { "not run" } else { "RUN" };
    println!("\nA build with nothing changed: the build script is {ran}.\n");
    Ok(())
}

/// The build script of this very package.
struct BuildScript {
    script: PathBuf,
    /// What it wrote.
    events: PathBuf,
    /// Whether cargo left it as it was.
    fresh: bool,
}

/// Builds this package as far as its build script, in release: cargo compiles build scripts, and all that they are made of,
/// without optimisation in every profile unless `[profile.*.build-override]` says otherwise.
fn build_script() -> Result<BuildScript, String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--package", "celerysalt-bench", "--lib", "--message-format=json"])
        .current_dir(checkout())
        .output()
        .map_err(|error| format!("cargo did not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let messages: Vec<serde_json::Value> = said
        .lines()
        .filter(|line| line.contains("conformance/bench"))
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let find = |test: &dyn Fn(&serde_json::Value) -> bool| messages.iter().find(|message| test(message));
    let artifact = find(&|message| {
        message.get("reason").is_some_and(|reason| reason == "compiler-artifact")
            && message.pointer("/target/kind/0").is_some_and(|kind| kind == "custom-build")
    });
    let executed = find(&|message| message.get("reason").is_some_and(|reason| reason == "build-script-executed"));
    let text = |message: Option<&serde_json::Value>, pointer: &str| {
        let text = message.and_then(|message| message.pointer(pointer)?.as_str().map(PathBuf::from));
        text.ok_or_else(|| format!("cargo names no {pointer} of the build script"))
    };
    Ok(BuildScript {
        script: text(artifact, "/filenames/0")?,
        events: text(executed, "/out_dir")?.join("events.rs"),
        fresh: artifact.and_then(|artifact| artifact.get("fresh")?.as_bool()).unwrap_or_default(),
    })
}

fn compiling() -> Result<(), String> {
    let rows = compile::measure(&checkout().join("target/bench-compile"), &checkout(), 200, 3)?;
    println!("| 200 events | lines | bytes | check, s | processors, s | build, s | processors, s |");
    println!("| --- | --: | --: | --: | --: | --: | --: |");
    for row in &rows {
        let [check, build] = [row.check, row.build];
        let [a, b, c, d] = [check.wall, check.cpu, build.wall, build.cpu].map(|time| time.as_secs_f64());
        println!("| {} | {} | {} | {a:.2} | {b:.2} | {c:.2} | {d:.2} |", row.name, row.lines, row.bytes);
    }
    let [ours, hand, typify] = rows.as_slice() else { return Err("a row is missing".to_owned()) };
    for (name, other) in [("by hand", hand), ("typify", typify)] {
        let ratio = |time: fn(&compile::Row) -> Duration| time(ours).as_secs_f64() / time(other).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let size = |size: fn(&compile::Row) -> usize| size(ours) as f64 / size(other) as f64;
        println!(
            "| generated to {name} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
            size(|row| row.lines),
            size(|row| row.bytes),
            ratio(|row| row.check.wall),
            ratio(|row| row.check.cpu),
            ratio(|row| row.build.wall),
            ratio(|row| row.build.cpu),
        );
    }
    println!();
    Ok(())
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}
