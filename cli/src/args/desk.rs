//! What `bursar obligations` and `bursar watch` take.

use super::{DataArg, word};
use bursar::types::Timestamp;
use clap::{ArgGroup, Args, Subcommand};
use std::path::PathBuf;

/// What `bursar obligations` says at the end of its help.
const OBLIGATIONS: &str = "\
Exit codes:
  0    nothing is owed, or what was asked for is done
  1    somebody else changed it at the same time, or the data file cannot be read
  2    bad input or usage: nothing was changed
  3    something is open: owed, asked back, with a person, not placed, or not known to have moved";

/// What `bursar watch` says at the end of its help.
const WATCH: &str = "\
Exit codes:
  0    with --once: nothing here changes by asking again. It is over, or a person looks after it: `bursar obligations`
       lists that. Without: ended by Ctrl-C
  2    bad input or usage: nothing was paid
  3    with --once: something is open that changes by itself, or by asking again";

/// Lists what is owed: paid and not delivered, asked back, or with a person; and money that came in and belongs to nothing.
///
/// Needs no wallet and no network, and can pay nothing. What persons decide is kept in the journal, with their name.
#[derive(Debug, Args)]
#[command(after_help = OBLIGATIONS, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct ObligationsArgs {
    #[command(subcommand)]
    pub(crate) action: Option<ObligationAction>,
    /// Prints one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Lists what is over as well.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ObligationAction {
    /// Tells the whole story of a payment, and writes its dispute file.
    Show(ShowArgs),
    /// Says that it is settled: the goods came another way, or less than was asked back is enough.
    Settle(SayArgs),
    /// Gives it more time.
    Extend(ExtendArgs),
    /// Gives it up: what was paid is lost.
    WriteOff(SayArgs),
    /// Says what became of a saga's step that was left to a person.
    SettleStep(SettleStepArgs),
    /// Says that money which came in belongs to a payment.
    Credit(CreditArgs),
    /// Says that money which came in belongs to no payment, such as what its owner put into the wallet.
    Dismiss(DismissArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The payment, or the beginning of its id.
    #[arg(value_name = "PAYMENT")]
    pub(crate) payment: String,
    /// Writes everything that is known about the payment to this file, for whoever decides about it elsewhere.
    #[arg(long, value_name = "FILE")]
    pub(crate) dispute: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Args)]
pub(crate) struct SayArgs {
    /// The payment, or the beginning of its id.
    #[arg(value_name = "PAYMENT")]
    pub(crate) payment: String,
    #[command(flatten)]
    pub(crate) word: WordArgs,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Args)]
pub(crate) struct SettleStepArgs {
    /// The saga, or the beginning of its id.
    #[arg(value_name = "SAGA")]
    pub(crate) saga: String,
    /// The step's name, as `bursar obligations` prints it.
    #[arg(value_name = "STEP")]
    pub(crate) step: String,
    #[command(flatten)]
    pub(crate) word: WordArgs,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("moment").required(true)))]
pub(crate) struct ExtendArgs {
    /// The payment, or the beginning of its id.
    #[arg(value_name = "PAYMENT")]
    pub(crate) payment: String,
    /// Until the end of this day, UTC, such as 2026-12-24.
    #[arg(long, value_name = "DATE", value_parser = end_of_day, group = "moment")]
    pub(crate) until: Option<Timestamp>,
    /// This many days from now.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3_650), group = "moment")]
    pub(crate) days: Option<u32>,
    #[command(flatten)]
    pub(crate) word: WordArgs,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Args)]
pub(crate) struct CreditArgs {
    /// The money that came in, as `bursar obligations` prints it: network/transaction/index.
    #[arg(value_name = "EVENT")]
    pub(crate) event: String,
    /// The payment it belongs to, or the beginning of its id.
    #[arg(value_name = "PAYMENT")]
    pub(crate) payment: String,
    /// Who says so.
    #[arg(long, value_name = "NAME", value_parser = word)]
    pub(crate) by: String,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Args)]
pub(crate) struct DismissArgs {
    /// The money that came in, as `bursar obligations` prints it: network/transaction/index.
    #[arg(value_name = "EVENT")]
    pub(crate) event: String,
    #[command(flatten)]
    pub(crate) word: WordArgs,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

/// Who decides, and why.
#[derive(Debug, Args)]
pub(crate) struct WordArgs {
    /// Who decides.
    #[arg(long, value_name = "NAME", value_parser = word)]
    pub(crate) by: String,
    /// Why, for the journal.
    #[arg(long, value_name = "TEXT", value_parser = word)]
    pub(crate) reason: String,
}

/// Looks after what is open, on a timer: asks the chain, asks again for goods, asks money back, credits what came back.
///
/// Prints a line for each change, and nothing else. Signs no payment. Without --config it starts the market in a box that the
/// data folder was made with.
#[derive(Debug, Args)]
#[command(after_help = WATCH)]
pub(crate) struct WatchArgs {
    /// The data folder [default: .bursar].
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub(crate) data: Option<PathBuf>,
    /// The wallet and networks of this file, instead of a market in a box.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How often it looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) every: u64,
    /// Looks once, and says by the exit code whether something is open.
    #[arg(long, conflicts_with = "every")]
    pub(crate) once: bool,
    /// Prints changes as JSON, one object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The first moment of a day, UTC.
pub(super) fn start_of_day(text: &str) -> Result<Timestamp, &'static str> {
    Ok(end_of_day(text)?.minus_ms(86_399_000))
}

/// The last second of a day, UTC.
pub(super) fn end_of_day(text: &str) -> Result<Timestamp, &'static str> {
    const WRONG: &str = "give a day as YEAR-MONTH-DAY, for example 2026-12-24";
    let mut parts = text.split('-').map(|part| part.parse::<i64>().ok());
    let (Some(Some(year)), Some(Some(month)), Some(Some(day)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(WRONG);
    };
    let end = u64::try_from(days_since_epoch(year, month, day))
        .ok()
        .and_then(|days| days.checked_mul(86_400_000)?.checked_add(86_399_000))
        .map(Timestamp::from_unix_ms)
        .ok_or(WRONG)?;
    // The way back catches 2026-02-30, and whatever else is no day as it is written.
    if end.to_string().split('T').next() == Some(text) { Ok(end) } else { Err(WRONG) }
}

/// The day's number, after Howard Hinnant's "chrono-compatible low-level date algorithms"; wrong for what is no day.
const fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    if year < 1970 || year > 9_999 || month < 1 || month > 12 || day < 1 || day > 31 {
        return -1;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_to_its_last_second_and_what_is_no_day_is_refused() {
        for day in ["1970-01-01", "2026-12-24", "2028-02-29", "9999-12-31"] {
            assert_eq!(end_of_day(day).unwrap().to_string(), format!("{day}T23:59:59Z"));
        }
        for text in [
            "",
            "tomorrow",
            "2026-02-30",
            "2027-02-29",
            "2026-13-01",
            "2026-1-1",
            "24.12.2026",
            "1969-12-31",
            "2026-12-24-1",
            "99999999999-01-01",
        ] {
            assert!(end_of_day(text).is_err(), "{text}");
        }
    }
}
