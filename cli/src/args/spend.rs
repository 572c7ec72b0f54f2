//! Which spending is told, and how.

use super::desk::{end_of_day, start_of_day};
use super::{DataArg, EXIT_CODES};
use bursar::report::{BooksFormat, SpendKey};
use bursar::types::Timestamp;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

/// Lists payments, or sums them up by what finance asks for.
///
/// Days are in UTC. A payment belongs to the day on which its money moved. One row for each group and asset: amounts of different
/// assets are never added up, and what nobody knows has a column of its own. docs/BOOKS.md says what each column means.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct SpendArgs {
    /// Only this session.
    #[arg(value_name = "SESSION")]
    pub(crate) session: Option<String>,
    /// Sums up by these, such as `project,day`.
    #[arg(long, value_name = "KEYS", value_parser = key(), value_delimiter = ',')]
    pub(crate) by: Vec<SpendKey>,
    /// Only from this day on, such as 2026-11-01.
    #[arg(long, value_name = "DAY", value_parser = start_of_day)]
    pub(crate) from: Option<Timestamp>,
    /// Only up to this day, with it.
    #[arg(long, value_name = "DAY", value_parser = end_of_day)]
    pub(crate) to: Option<Timestamp>,
    /// Writes double-entry books for an accounting program: transactions, and the balances that must come of them.
    #[arg(long, value_name = "PROGRAM", value_enum, conflicts_with_all = ["json", "csv", "by"])]
    pub(crate) export: Option<ExportArg>,
    /// Prints one JSON object a line; amounts in atomic units.
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,
    /// Prints comma-separated values (RFC 4180).
    #[arg(long)]
    pub(crate) csv: bool,
    #[command(flatten)]
    pub(crate) data: DataArg,
    // Last: whatever came after it would stand under its heading.
    #[command(flatten)]
    pub(crate) only: OnlyArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Only what is of")]
pub(crate) struct OnlyArgs {
    /// This agent.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// This user.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// This project.
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// This customer.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// This host, or host and payee.
    #[arg(long, value_name = "HOST")]
    vendor: Option<String>,
    /// This category.
    #[arg(long, value_name = "NAME")]
    category: Option<String>,
    /// This rail.
    #[arg(long, value_name = "NAME")]
    rail: Option<String>,
    /// This network, such as `eip155:8453`.
    #[arg(long, value_name = "NETWORK")]
    network: Option<String>,
}

impl OnlyArgs {
    /// What was asked for.
    pub(crate) fn into_pairs(self) -> Vec<(SpendKey, String)> {
        let all = [
            (SpendKey::Agent, self.agent),
            (SpendKey::User, self.user),
            (SpendKey::Project, self.project),
            (SpendKey::Client, self.client),
            (SpendKey::Vendor, self.vendor),
            (SpendKey::Category, self.category),
            (SpendKey::Rail, self.rail),
            (SpendKey::Network, self.network),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// An accounting program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportArg {
    Beancount,
    Hledger,
    Ledger,
}

impl From<ExportArg> for BooksFormat {
    fn from(program: ExportArg) -> Self {
        match program {
            ExportArg::Beancount => Self::Beancount,
            ExportArg::Hledger => Self::Hledger,
            ExportArg::Ledger => Self::Ledger,
        }
    }
}

/// The keys by their names.
fn key() -> impl TypedValueParser<Value = SpendKey> {
    PossibleValuesParser::new(SpendKey::ALL.map(SpendKey::as_str)).try_map(|name| name.parse::<SpendKey>())
}

/// Shows the evidence of one payment: what was signed, what the payee says, what the rail itself was seen to do, and what came.
///
/// What the payee signed (x402 `offer-receipt`) was checked when it came, and proves nothing about money: the rail does. Each line names
/// the journal's entry that it comes from; `bursar audit prove ENTRY` makes a proof of it.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ReceiptArgs {
    /// The payment, or the beginning of its id.
    #[arg(value_name = "PAYMENT")]
    pub(crate) payment: String,
    /// Prints one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) data: DataArg,
}
