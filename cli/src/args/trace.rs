//! Arguments of `bursar audit explain`.

use super::{DataArg, EXIT_CODES};
use clap::Args;
use std::path::PathBuf;

/// Tells everything that the journal knows of a payment or a refusal: what, for whom, why, for how much, and what came of it.
///
/// Each answer names the journal entry that it comes from. What was erased says so.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct TraceArgs {
    /// The payment, or the beginning of its id; or the entry of a refusal, as --denied lists them.
    #[arg(value_name = "PAYMENT|ENTRY", required_unless_present = "denied")]
    pub(crate) about: Option<String>,
    /// Lists what was refused, of one session or of all.
    #[arg(long, value_name = "SESSION", num_args = 0..=1, conflicts_with_all = ["about", "html"])]
    #[expect(clippy::option_option, reason = "clap's form of an option with an optional value")]
    pub(crate) denied: Option<Option<String>>,
    /// Prints JSON, one object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Writes one page of HTML that loads nothing; a file that exists is written over.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataArg,
}
