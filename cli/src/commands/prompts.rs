//! `bursar prompts`: the instructions that come with Bursar.

use crate::args::PromptsArgs;
use crate::exit::{CliError, Exit};
use crate::screen::line;
use bursar::agent::Prompt;
use bursar::tools;
use std::io::Write as _;

/// Runs the command.
pub(crate) fn run(args: &PromptsArgs) -> Result<Exit, CliError> {
    let text = match &args.name {
        Some(name) => format!("{}\n", read(name)?.text()),
        None => list()?,
    };
    let _ = write!(anstream::stdout().lock(), "{text}");
    Ok(Exit::Done)
}

/// Name, version and digest of each, as a run's first record names them.
fn list() -> Result<String, CliError> {
    let mut text = String::new();
    for name in tools::prompt_names() {
        let prompt = read(name)?;
        let mark = prompt.mark();
        text.push_str(&format!("{:<10} version {}  {}\n", mark.name, mark.version, mark.digest));
    }
    Ok(text)
}

fn read(name: &str) -> Result<Prompt, CliError> {
    let prompt = tools::prompt(name).ok_or_else(|| {
        let known: Vec<_> = tools::prompt_names().collect();
        CliError::Prompt {
            problem: format!("there is no prompt `{}`: it is {}", line(name, 80), known.join(" or ")),
        }
    })?;
    prompt.map_err(|error| CliError::Prompt { problem: format!("prompt `{name}` is damaged: {error}") })
}
