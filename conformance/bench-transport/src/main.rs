//! Prints the tables of `cargo xtask bench transport`. See `docs/benchmarks.md`.

use std::{env, process::ExitCode, time::Duration};

use celerysalt_bench_transport::{
    Outcome,
    figures::{Figures, median},
    job::{self, Job},
    memory::{self, Load},
    peers::{self, Peer, Work},
};

/// How often each peer is run, by turns.
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        // In a task, as what services do is.
        ["peer", peer, work] => {
            let (peer, work) = ((*peer).to_owned(), (*work).to_owned());
            let working = tokio::spawn(async move { peers::work(&peer, &work).await });
            working.await.unwrap_or_else(|error| Err(error.into()))
        }
        parts => tables(parts).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn tables(parts: &[&str]) -> Outcome<()> {
    let url = env::var("CELERYSALT_TEST_BROKER_URL").map_err(|_| "CELERYSALT_TEST_BROKER_URL is not set")?;
    let rounds = match env::var("BENCH_ROUNDS") {
        Ok(rounds) => rounds.parse()?,
        Err(_) => ROUNDS,
    };
    let peer_names: Vec<&str> = parts.iter().filter_map(|part| part.strip_prefix("--peer=")).collect();
    let wanted = |name: &str| parts.iter().all(|part| part.starts_with("--")) || parts.contains(&name);
    let mut number = 0;
    for work in Work::ALL.into_iter().filter(|work| wanted(work.name())) {
        let peers: Vec<Peer> = Peer::of(work)
            .into_iter()
            .filter(|peer| peer_names.is_empty() || peer_names.contains(&peer.name()))
            .collect();
        let mut runs: Vec<(Peer, Vec<Figures>)> = peers.into_iter().map(|peer| (peer, Vec::new())).collect();
        for _ in 0..rounds {
            for (peer, figures) in &mut runs {
                number += 1;
                let run = peer.run(work, &url, number).await.map_err(|why| format!("{}: {why}", peer.name()))?;
                eprintln!(
                    "{} {}: {:.0}/s, {:.1} µs, p50 {:.3}",
                    work.name(),
                    peer.name(),
                    run.rate(),
                    run.cpu_each(),
                    run.p50
                );
                figures.push(run);
            }
        }
        table(work, &runs);
    }
    if wanted("memory") {
        memories(&url).await?;
    }
    Ok(())
}

/// 24 events of 1 MiB a second, for a minute: to a handler that keeps up, and to one that does not.
#[expect(clippy::cast_precision_loss, reason = "megabytes")]
async fn memories(url: &str) -> Outcome<()> {
    println!("| consuming 24 MiB/s of 1 MiB events, prefetch 500 | events | before, MiB | at most, MiB |");
    println!("| --- | --: | --: | --: |");
    for (number, pause) in [0_u64, 1_000].into_iter().enumerate() {
        let load = Load { bytes: 1024 * 1024, rate: 24, time: Duration::from_mins(1) };
        let events = load.time.as_secs() * u64::from(load.rate);
        let name = format!("celerysalt-memory.{}.{number}", std::process::id());
        let job = Job { url: url.to_owned(), name, count: usize::try_from(events)?, warm: usize::try_from(pause)? };
        let took = peers::remembered(&job, load).await?;
        memory::clean(url, &job.name).await?;
        let mib = |bytes: usize| bytes as f64 / 1024.0 / 1024.0;
        let handler =
            if pause == 0 { "the handler keeps up".to_owned() } else { format!("{pause} ms an event, 16 at a time") };
        println!("| {handler} | {} | {:.0} | {:.0} |", took.handled, mib(took.before), mib(took.most));
    }
    println!("\nThe bound: before + 1.25 * (prefetch {} + 4 * 16 handlers) * the largest event.", job::PREFETCH);
    Ok(())
}

fn table(work: Work, runs: &[(Peer, Vec<Figures>)]) {
    let of = |figures: &[Figures], value: &dyn Fn(&Figures) -> f64| median(figures.iter().map(value).collect());
    let raw = runs.iter().find(|(peer, _)| *peer == Peer::Raw).map(|(_, figures)| figures.clone()).unwrap_or_default();
    // Each run beside raw lapin's of the same round: what slows the machine down slows both down.
    let ratio = |figures: &[Figures], value: &dyn Fn(&Figures) -> f64| {
        median(figures.iter().zip(&raw).map(|(one, raw)| value(one) / value(raw)).collect())
    };
    if work == Work::Rpc {
        println!("| calling, one caller | p50, ms | p99, ms | to raw lapin | caller's CPU, µs | to raw lapin |");
        println!("| --- | --: | --: | --: | --: | --: |");
        for (peer, figures) in runs {
            println!(
                "| {} | {:.3} | {:.3} | {:.2} | {:.0} | {:.2} |",
                peer.title(work),
                of(figures, &|f| f.p50),
                of(figures, &|f| f.p99),
                ratio(figures, &|f| f.p50),
                of(figures, &Figures::cpu_each),
                ratio(figures, &Figures::cpu_each),
            );
        }
    } else {
        let what = if work == Work::Publish { "publishing, 1,000 in flight" } else { "consuming, prefetch 500" };
        println!("| {what} | events/s | to raw lapin | CPU, µs an event | to raw lapin |");
        println!("| --- | --: | --: | --: | --: |");
        for (peer, figures) in runs {
            println!(
                "| {} | {:.0} | {:.2} | {:.1} | {:.2} |",
                peer.title(work),
                of(figures, &Figures::rate),
                ratio(figures, &Figures::rate),
                of(figures, &Figures::cpu_each),
                ratio(figures, &Figures::cpu_each),
            );
        }
    }
    println!();
}
