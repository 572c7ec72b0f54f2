//! `bursar policy list` and `show`: the rules there are.

use super::configured;
use crate::args::{ListArgs, ShowPolicyArgs};
use crate::exit::CliError;
use bursar::payments::{Policy, PolicyFile, RuleEffect, RuleView};
use std::fmt::Write as _;

/// The rules that hold, file by file, then the names of those that can be added.
pub(super) fn list(args: &ListArgs) -> Result<String, CliError> {
    let files = configured(args.config.as_deref())?;
    let policy = Policy::load(&files)?;
    let mut text = String::new();
    for (name, _) in policy.digests() {
        let file = name.strip_prefix("shadow:").unwrap_or(&name);
        let _ = writeln!(text, "{name}");
        for rule in policy.rules().filter(|rule| rule.file == file) {
            let _ = writeln!(text, "  {:<34} {}", rule.id, kind(&rule));
        }
    }
    let more: Vec<_> =
        PolicyFile::bundled_names().filter(|name| !files.iter().any(|file| file.name == *name)).collect();
    if !more.is_empty() {
        let _ = writeln!(text, "\none line away, in `policies = [...]` of the configuration:");
        for name in more {
            let _ = writeln!(text, "  {name:<34} {}", purpose(&PolicyFile::bundled(name)?.text));
        }
    }
    Ok(text)
}

fn kind(rule: &RuleView) -> String {
    match (rule.effect, &rule.escalate, &rule.code) {
        (RuleEffect::Permit, ..) => "permits".to_owned(),
        (RuleEffect::Forbid, Some(_), code) => format!("asks a person   {}", code.as_deref().unwrap_or("")),
        (RuleEffect::Forbid, None, code) => format!("forbids         {}", code.as_deref().unwrap_or("")),
    }
}

/// The first sentence of a file.
fn purpose(text: &str) -> &str {
    let first = text.lines().next().unwrap_or_default().trim_start_matches('/').trim();
    first.split_once(". ").map_or(first, |(sentence, _)| sentence)
}

/// The text of a shipped file.
pub(super) fn show(args: &ShowPolicyArgs) -> Result<String, CliError> {
    match Policy::shipped_file(&args.name) {
        Some(text) => Ok(text.to_owned()),
        None => Ok(PolicyFile::bundled(&args.name)?.text),
    }
}
