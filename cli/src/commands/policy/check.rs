//! `bursar policy check`: loads rules and runs the examples that they carry.

use super::{config, configured, file, folder_of};
use crate::args::CheckArgs;
use crate::exit::{CliError, Exit};
use crate::screen::line;
use bursar::SystemClock;
use bursar::payments::{Example, Policy, PolicyFile};
use bursar::report::verdict_name;
use bursar::types::Clock as _;
use std::fmt::Write as _;
use std::path::Path;

/// What is printed, and how it ends.
pub(super) fn run(args: &CheckArgs) -> Result<(String, Exit), CliError> {
    let mut text = String::new();
    let files = if args.files.is_empty() {
        let path = args.config.as_deref().unwrap_or(Path::new("bursar.toml"));
        let mandate = config(path)?.checked_mandate(folder_of(path), SystemClock.now())?;
        let files = configured(Some(path))?;
        let mandated = if mandate.is_some() { "its mandate holds together" } else { "it has no mandate" };
        let _ = writeln!(
            text,
            "{}: {mandated}; paths are relative to `{}`",
            path.display(),
            folder_of(path).display()
        );
        files
    } else {
        args.files.iter().map(|path| file(&path.display().to_string())).collect::<Result<_, _>>()?
    };
    // All of them together: an id is used once over all files.
    let all = Policy::load(&files)?;
    let mut wrong = 0_usize;
    for file in &files {
        wrong = wrong.saturating_add(examples(file, &all, &mut text)?);
    }
    let rules = all.rules().count();
    let _ = match wrong {
        0 => writeln!(text, "ok: {rules} rules hold, the shipped ones among them"),
        1 => writeln!(text, "1 example does not hold"),
        wrong => writeln!(text, "{wrong} examples do not hold"),
    };
    Ok((text, if wrong == 0 { Exit::Done } else { Exit::Failed }))
}

/// Runs the examples of a file, and says how many do not hold.
fn examples(file: &PolicyFile, all: &Policy, text: &mut String) -> Result<usize, CliError> {
    let examples =
        Example::read(&file.text).map_err(|source| CliError::Example { file: file.name.clone(), source })?;
    // Its own rules and the shipped ones: what another file forbids as well is no fault of these.
    let own = Policy::load(&[PolicyFile { shadow: false, ..file.clone() }])?;
    let rules = all.rules().filter(|rule| rule.file == file.name).count();
    let shadow = if file.shadow { ", only tried out" } else { "" };
    let (rules, count) = (counted(rules, "rule"), counted(examples.len(), "example"));
    let _ = writeln!(text, "{}: {rules}, {count}{shadow}", file.name);
    let mut wrong = 0;
    for example in &examples {
        let decision = example.decide(&own);
        if decision.verdict != example.verdict {
            wrong += 1;
            let (name, at) = (&file.name, example.line);
            let _ = writeln!(text, "  `{name}`, line {at}: {}", line(&example.text, 200));
            let _ = writeln!(text, "    expected: {}", verdict_name(example.verdict));
            let _ =
                writeln!(text, "    found:    {} by {}", verdict_name(decision.verdict), by(&decision.rules));
        }
    }
    Ok(wrong)
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The rules that determined a decision.
pub(super) fn by(rules: &[String]) -> String {
    if rules.is_empty() { "no rule".to_owned() } else { rules.join(", ") }
}
