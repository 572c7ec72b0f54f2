//! `bursar eval --mutate` and `--mutate-policy`.

use crate::args::EvalArgs;
use crate::exit::{CliError, Exit};
use crate::screen::line;
use bursar_evals::{
    Kind, MutationOptions, MutationReport, Removed, Suite, Usd, WeakenOptions, WeakenReport, run_mutants,
    run_weakened,
};
use std::fmt::Write as _;
use std::io::Write as _;

/// Plays mutated cases.
pub(super) async fn cases(suite: Suite, cases: u64, args: &EvalArgs) -> Result<Exit, CliError> {
    let options = MutationOptions { seed: args.seed, cases, workers: usize::from(args.workers) };
    let each = |done: u64| {
        if done.checked_rem(500) == Some(0) {
            let _ = writeln!(anstream::stderr().lock(), "{done} cases");
        }
    };
    let report = tokio::task::spawn_blocking(move || run_mutants(&suite, &options, &each)).await;
    let report = report.map_err(|error| CliError::Runtime(std::io::Error::other(error)))?;
    if report.cases == 0 {
        return Err(CliError::NothingToMutate);
    }
    show(args, &report, || mutated(&report, args))?;
    Ok(if report.passes() { Exit::Done } else { Exit::Failed })
}

/// Takes out one check after the other.
pub(super) async fn policy(suite: Suite, args: &EvalArgs) -> Result<Exit, CliError> {
    let filter = args.check.clone();
    let options = WeakenOptions { seed: args.seed, workers: usize::from(args.workers), filter };
    let each = |removed: &Removed| {
        let by = removed.noticed_by.as_deref().unwrap_or("NOBODY");
        let _ = writeln!(anstream::stderr().lock(), "{:<72} {by}", line(&removed.check, 72));
    };
    let report = tokio::task::spawn_blocking(move || run_weakened(&suite, &options, &each)).await;
    let report = report.map_err(|error| CliError::Runtime(std::io::Error::other(error)))?;
    if report.removed == 0 {
        return Err(CliError::NothingToMutate);
    }
    show(args, &report, || weakened(&report))?;
    let enough = report.kill_rate_bp() >= u64::from(args.kill_rate).saturating_mul(100);
    Ok(if enough { Exit::Done } else { Exit::Failed })
}

fn show(
    args: &EvalArgs,
    report: &impl serde::Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), CliError> {
    let text = if args.json {
        let json = serde_json::to_string_pretty(report);
        json.map_err(|error| CliError::Runtime(std::io::Error::other(error)))? + "\n"
    } else {
        text()
    };
    let _ = write!(anstream::stdout().lock(), "{text}");
    Ok(())
}

fn mutated(report: &MutationReport, args: &EvalArgs) -> String {
    let mut text = String::new();
    for failure in &report.failures {
        let kind = match failure.kind {
            Kind::Attack => "attack",
            Kind::Control => "false block",
        };
        let _ = writeln!(
            text,
            "{kind}: {} with {}",
            line(&failure.base, 60),
            line(&failure.changes.join("; "), 300)
        );
        for problem in &failure.problems {
            let (what, expected, found) =
                (line(&problem.what, 60), line(&problem.expected, 200), line(&problem.found, 200));
            let _ = writeln!(text, "  {what}: expected {expected}, found {found}");
        }
        let paths: Vec<_> = args.paths.iter().map(|path| path.display().to_string()).collect();
        let filter = args.filter.as_ref().map_or_else(String::new, |filter| format!(" --filter '{filter}'"));
        let _ = writeln!(
            text,
            "  again: bursar eval {}{filter} --mutate 1 --seed {}\n",
            paths.join(" "),
            failure.seed
        );
    }
    let _ = writeln!(
        text,
        "{} mutated cases: {} attacks, {} controls, {} that could not be played",
        report.cases, report.attacks, report.controls, report.unplayable
    );
    let _ = writeln!(
        text,
        "paid ${}; unauthorised ${} ({} units); false blocks {} of {}",
        Usd(report.paid_micro_usd),
        Usd(report.unauthorised_micro_usd),
        report.unauthorised_micro_usd,
        report.false_blocks,
        report.controls
    );
    text
}

fn weakened(report: &WeakenReport) -> String {
    let mut text = String::new();
    let percent = |bp: u64| format!("{}.{:02} %", bp / 100, bp % 100);
    for survivor in report.survivors() {
        let place = line(&survivor.place, 60);
        let _ = writeln!(text, "survived: {} ({place})", line(&survivor.check, 120));
        if let Some(why) = &survivor.behind_code {
            let _ = writeln!(text, "  a second line: {}", line(why, 300));
        }
    }
    for second in report.checks.iter().filter(|check| check.noticed_by.is_some() && !check.without.is_empty())
    {
        let (check, first) = (line(&second.check, 120), line(&second.without.join(", "), 200));
        let _ = writeln!(text, "a second line, tried without the first ({first}): {check}");
    }
    let _ = writeln!(
        text,
        "{} checks taken out, one at a time; {} noticed by {} cases: {}",
        report.removed,
        report.killed,
        report.cases,
        percent(report.kill_rate_bp())
    );
    if report.behind_code > 0 {
        let _ = writeln!(
            text,
            "without the {} that survived behind code: {}",
            report.behind_code,
            percent(report.reachable_kill_rate_bp())
        );
    }
    text
}
