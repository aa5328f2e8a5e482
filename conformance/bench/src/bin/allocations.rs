//! Counts allocations of each way, in a program of its own: counting takes time.

use std::process::ExitCode;

use celerysalt_bench::cases;

fn main() -> ExitCode {
    let cases = match cases::all() {
        Ok(cases) => cases,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::FAILURE;
        }
    };
    println!(
        "| event | generated: allocations | bytes | serde: allocations | bytes | checked serde: allocations | bytes |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: |");
    for case in cases {
        let ways: [&dyn Fn() -> bool; 3] =
            [&|| (case.ours)(case.payload), &|| (case.serde)(case.payload), &|| (case.checked)(case.payload)];
        let figures = ways.map(|way| {
            // The first run compiles what is compiled once.
            way();
            let counted = allocation_counter::measure(|| {
                way();
            });
            format!("{} | {}", counted.count_total, counted.bytes_total)
        });
        println!("| {} | {} |", case.name, figures.join(" | "));
    }
    println!();
    ExitCode::SUCCESS
}
