//! What is erased.

use super::{DataArg, EXIT_CODES};
use bursar::erase::parse_age_ms;
use bursar::types::{PaymentId, SessionId};
use clap::Args;

/// Erases what was asked, quoted, bought and said: texts, URLs, bodies, mandates and runs of what is finished, for ever.
///
/// Amounts, payees and times stay, and every proof still holds; `bursar audit verify` says how much cannot be checked again. What
/// is open stays whole, and is listed with the reason.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct EraseArgs {
    #[command(flatten)]
    pub(crate) what: EraseWhat,
    /// Takes the session's mandate back first, in this person's name, so that all of it can go.
    #[arg(long, value_name = "NAME", requires = "session")]
    pub(crate) end: Option<String>,
    /// Says what would go, and changes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Prints one line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct EraseWhat {
    /// One payment, with what it bought. What plans and runs say of it goes with its session.
    #[arg(long, value_name = "ID", value_parser = PaymentId::parse)]
    pub(crate) payment: Option<PaymentId>,
    /// A session, with its payments and runs.
    #[arg(long, value_name = "ID", value_parser = SessionId::parse)]
    pub(crate) session: Option<SessionId>,
    /// Every session of a user, by name. Where all of it can go, the name goes too, and the user's caps begin anew.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Whatever ended this long ago: `90d`, `12h`, `2w`.
    #[arg(long, value_name = "AGE", value_parser = age_ms)]
    pub(crate) older_than: Option<u64>,
}

fn age_ms(text: &str) -> Result<u64, &'static str> {
    parse_age_ms(text).ok_or("not an age such as `90d`, `12h` or `2w`")
}
