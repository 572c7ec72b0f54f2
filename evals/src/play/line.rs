//! Steps in a line: repetitions written out, placeholders filled in.

use crate::scenario::Step;
use crate::stage::StageError;

/// Every step with its number; the steps of a repetition with the round behind a dot.
pub(crate) fn laid_out(steps: &[Step]) -> Result<Vec<(String, Step)>, StageError> {
    let mut line = Vec::new();
    for (number, step) in (1_usize..).zip(steps) {
        lay(&number.to_string(), step, &mut line)?;
    }
    Ok(line)
}

fn lay(label: &str, step: &Step, line: &mut Vec<(String, Step)>) -> Result<(), StageError> {
    let Step::Repeat { times, steps } = step else {
        line.push((label.to_owned(), step.clone()));
        return Ok(());
    };
    for round in 1..=*times {
        for (number, step) in (1_usize..).zip(steps) {
            let step = with_round(step, round)?;
            lay(&format!("{label}.{round}.{number}"), &step, line)?;
        }
    }
    Ok(())
}

/// The step with `{i}` replaced by the round.
fn with_round(step: &Step, round: u32) -> Result<Step, StageError> {
    let broken = |error: &dyn std::fmt::Display| StageError::Scenario(format!("a repeated step: {error}"));
    let value = toml::Value::try_from(step).map_err(|error| broken(&error))?;
    replaced(value, &round.to_string()).try_into().map_err(|error| broken(&error))
}

fn replaced(value: toml::Value, round: &str) -> toml::Value {
    match value {
        toml::Value::String(text) => toml::Value::String(text.replace("{i}", round)),
        toml::Value::Array(all) => {
            toml::Value::Array(all.into_iter().map(|value| replaced(value, round)).collect())
        }
        toml::Value::Table(table) => {
            toml::Value::Table(table.into_iter().map(|(key, value)| (key, replaced(value, round))).collect())
        }
        other => other,
    }
}

/// A step in a few words.
pub(super) fn action(step: &Step) -> String {
    match step {
        Step::Pay(pay) => {
            let times = if pay.times == 1 { String::new() } else { format!(" x{}", pay.times) };
            let at_once = if pay.parallel { " at once" } else { "" };
            format!("pay {}{times}{at_once}", pay.url)
        }
        Step::Quote { url, .. } => format!("quote {url}"),
        Step::Plan { items, .. } => format!("plan {} items", items.len()),
        Step::Withdraw { .. } => "withdraw all plans".to_owned(),
        Step::Agent { task, .. } => format!("agent: {task}"),
        Step::Open { session, .. } => format!("open session {session}"),
        Step::Delegate { session, from, .. } => format!("{from} delegates to {session}"),
        Step::Repeat { times, .. } => format!("repeat x{times}"),
        Step::Restart { process } => format!("restart {process}"),
        Step::Kill { at, process } => format!("kill {process} at {}", String::from(at.clone())),
        Step::Advance { seconds } => format!("advance {seconds} s"),
        Step::Clock { at } => format!("clock {at}"),
        Step::Reprice { seller, path, price } => format!("{seller} asks {price} for {path}"),
        Step::Misbehave { seller, rule } => format!("{seller}: {}", rule.fault.name()),
        Step::Behave { seller } => format!("{seller} behaves"),
        Step::Refund { seller, .. } => format!("{seller} sends money back"),
        Step::Claim { key, .. } => format!("claim {key}"),
        Step::Saga { name, buys, then, .. } => {
            format!("saga {name}: {} purchases, then {then:?}", buys.len())
        }
        Step::Settle { seller } => format!("{seller} settles what it kept"),
        Step::Send { amount } => format!("{amount} leave the wallet without Bursar"),
        Step::Rules { .. } => "the file of rules is changed".to_owned(),
        Step::Copy { .. } => "the data file is copied".to_owned(),
        Step::PutBack { .. } => "the old data file is put back".to_owned(),
        Step::Fork { process, into } => format!("{into} goes on in a copy of {process}'s data folder"),
        Step::Publish { process } => format!("{process} publishes its journal"),
        Step::Show { process, to } => format!("{to} is shown {process}'s log"),
        Step::Recover { process } => format!("recover by {process}"),
        Step::Freeze { session, scope } => format!("freeze {}", scope.as_ref().unwrap_or(session)),
        Step::Revoke { session } => format!("revoke {session}"),
        Step::Thaw { session, scope } => format!("thaw {}", scope.as_ref().unwrap_or(session)),
    }
}
