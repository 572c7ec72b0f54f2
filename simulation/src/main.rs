//! Runs seeds: `--seed N`, `--seeds FROM..TO` or `--count N --from M`; with `--trace`, `--all`, `--threads N`, `--coverage`.
#![expect(clippy::print_stdout, reason = "this is the command")]

use bursar_simulation::{Options, Report, run, run_many};
use std::ops::Range;
use std::process::ExitCode;

/// What was asked for.
#[derive(Debug)]
struct Asked {
    seeds: Range<u64>,
    trace: bool,
    all: bool,
    coverage: bool,
    threads: usize,
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked { seeds: 0..1_000, trace: false, all: false, coverage: false, threads: 2 };
    let (mut from, mut count) = (None, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let text = words.next().unwrap_or_default();
            text.parse::<u64>().map_err(|_| format!("{word} needs a number, not `{text}`"))
        };
        match word.as_str() {
            "--seed" => {
                let seed = number()?;
                asked.seeds = seed..seed.saturating_add(1);
            }
            "--seeds" => {
                let text = words.next().unwrap_or_default();
                let ends = text.split_once("..").map(|(from, to)| (from.parse(), to.parse()));
                let Some((Ok(from), Ok(to))) = ends else {
                    return Err(format!("--seeds needs a range such as 0..1000, not `{text}`"));
                };
                asked.seeds = from..to;
            }
            "--from" => from = Some(number()?),
            "--count" => count = Some(number()?),
            "--threads" => asked.threads = usize::try_from(number()?).unwrap_or(1),
            "--trace" => asked.trace = true,
            "--all" => asked.all = true,
            "--coverage" => asked.coverage = true,
            other => return Err(format!("`{other}` is nothing that is known here; see the README")),
        }
    }
    if from.is_some() || count.is_some() {
        let from = from.unwrap_or(0);
        asked.seeds = from..from.saturating_add(count.unwrap_or(1_000));
    }
    Ok(asked)
}

fn main() -> ExitCode {
    let asked = match asked() {
        Ok(asked) => asked,
        Err(problem) => {
            println!("{problem}");
            return ExitCode::from(2);
        }
    };
    let one = asked.seeds.end.saturating_sub(asked.seeds.start) == 1;
    if one || asked.trace {
        return each(&asked);
    }
    let summary = run_many(asked.seeds, asked.threads, !asked.all);
    if asked.coverage {
        for (what, count) in summary.coverage.iter() {
            println!("{count:>9}  {what}");
        }
    }
    for report in &summary.failures {
        shown(report);
    }
    println!("{} seeds, {} failed", summary.seeds, summary.failures.len());
    if summary.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs seed after seed and shows each.
fn each(asked: &Asked) -> ExitCode {
    let mut failed = false;
    for seed in asked.seeds.clone() {
        let report = run(seed, Options { all_lines: asked.trace });
        if asked.trace && report.violation.is_none() {
            for line in &report.lines {
                println!("{line}");
            }
        }
        if asked.coverage {
            for (what, count) in report.coverage.iter() {
                println!("{count:>9}  {what}");
            }
        }
        shown(&report);
        println!(
            "seed {seed}: {} (trace {:016x})",
            if report.violation.is_some() { "failed" } else { "passed" },
            report.hash
        );
        failed |= report.violation.is_some();
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn shown(report: &Report) {
    if let Some(text) = report.failure() {
        println!("{text}");
    }
}
