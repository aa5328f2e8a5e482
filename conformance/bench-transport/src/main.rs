//! Prints the tables of `cargo xtask bench transport`. See `docs/benchmarks.md`.

use std::{env, process::ExitCode};

use celerysalt_bench_transport::{
    Outcome,
    figures::{Figures, median},
    peers::{self, Peer, Work},
};

/// How often each peer is run, by turns.
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["peer", peer, work] => peers::work(peer, work).await,
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
