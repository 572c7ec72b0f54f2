//! What the command line takes.

mod audit;
mod desk;
mod erase;
mod eval;
mod govern;
mod mandate;
mod model;
mod policy;
mod prompts;
mod reconcile;
#[cfg(unix)]
mod remote;
mod serve;
#[cfg(feature = "mcp")]
mod servers;
mod spend;
mod trace;

pub(crate) use audit::{AuditCommand, CheckProofArgs, LogArgs, ProveArgs, VerifyArgs, WitnessArgs};
pub(crate) use desk::{
    CreditArgs, DismissArgs, ExtendArgs, ObligationAction, ObligationsArgs, SayArgs, SettleStepArgs,
    ShowArgs, WatchArgs, WordArgs,
};

pub(crate) use erase::EraseArgs;
pub(crate) use eval::{EvalAction, EvalArgs, EvalInitArgs, ReportFile};
pub(crate) use govern::{
    AnswerArgs, ApprovalAction, ApprovalsArgs, ClockArgs, FreezeArgs, KeyArgs, ServeArgs, ThawArgs,
};
pub(crate) use mandate::{MandateAction, MandateArgs, SignArgs, VerifyMandateArgs};
pub(crate) use model::{ModelApiArg, ModelArgs, ModelName};
pub(crate) use policy::{
    AcceptArgs, CheckArgs, ExplainArgs, InitArgs, ListArgs, PolicyCommand, ReplayArgs, ShowPolicyArgs,
};

pub(crate) use prompts::PromptsArgs;
pub(crate) use reconcile::ReconcileArgs;
#[cfg(unix)]
pub(crate) use remote::{FetchArgs, PurseArgs};
pub(crate) use serve::{GatewayArgs, McpArgs, ServedArgs};
#[cfg(feature = "mcp")]
pub(crate) use servers::{ServersArgs, ServersCommand};
pub(crate) use spend::{ReceiptArgs, SpendArgs};
pub(crate) use trace::TraceArgs;

use bursar::payments::PlanApproval;
use bursar::types::{Amount, Asset};
use bursar_market::{Address, WireVersion};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What every command says at the end of its help.
const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    the run has no answer, or the journal does not verify
  2    bad input or usage: nothing was paid
  3    something is open: it waits for an answer, it is not known whether money moved or a tool did its work, or what was paid
       for did not come
  130  interrupted: payments in flight were waited for; `bursar resume SESSION` goes on without paying twice";

/// Agents that spend money: governed, durable, provable.
#[derive(Debug, Parser)]
// Some other crate's features must not decide where our help is wrapped.
#[command(term_width = 0)]
#[command(name = "bursar", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Research(ResearchArgs),
    Resume(ResumeArgs),
    Market(MarketArgs),
    Sessions(SessionsArgs),
    Spend(SpendArgs),
    Receipt(ReceiptArgs),
    Obligations(ObligationsArgs),
    Watch(WatchArgs),
    Reconcile(ReconcileArgs),
    Init(InitArgs),
    #[command(subcommand)]
    Policy(PolicyCommand),
    Prompts(PromptsArgs),
    Eval(EvalArgs),
    #[cfg(feature = "mcp")]
    Servers(ServersArgs),
    #[cfg(unix)]
    Purse(PurseArgs),
    #[cfg(unix)]
    Fetch(FetchArgs),
    Mcp(McpArgs),
    Gateway(GatewayArgs),
    Mandate(MandateArgs),
    Approvals(ApprovalsArgs),
    Freeze(FreezeArgs),
    Thaw(ThawArgs),
    Clock(ClockArgs),
    /// Makes the key that pays.
    #[command(subcommand)]
    Wallet(WalletCommand),
    /// Publishes, proves and checks the journal.
    #[command(subcommand)]
    Audit(AuditCommand),
    Witness(WitnessArgs),
}

/// Answers a question from sources that it buys, with receipts.
///
/// Without --config it starts a market in a box on this machine, with play money: no key, no server, no network.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ResearchArgs {
    /// The question.
    #[arg(value_name = "QUESTION", value_parser = question)]
    pub(crate) question: String,
    /// Sells the .md, .txt and .html files of this folder instead of Bursar's own documents.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub(crate) sources: Option<PathBuf>,
    /// Most that may be spent, in US dollars [default: 0.50].
    #[arg(long, value_name = "USD", value_parser = budget, allow_negative_numbers = true, conflicts_with = "config")]
    pub(crate) budget: Option<Amount>,
    /// Who approves what the mandate and the rules ask about.
    #[arg(long, value_enum, default_value_t = ApproveArg::Auto)]
    pub(crate) approve: ApproveArg,
    /// With `--approve wait`: how long an answer is waited for at most [default: as long as the question counts].
    #[arg(long, value_name = "SECONDS", requires = "approve")]
    pub(crate) wait: Option<u64>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Where ledger and library are kept [default: .bursar].
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub(crate) data: Option<PathBuf>,
    /// Prints events as JSON, one object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Uses the wallet, networks, rules and mandate of this file instead of a market in a box.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Goes on with a session whose run was interrupted or killed, or waits for a person.
///
/// What is known is not asked for, done or paid again. A run that is finished shows its answer again. If another process goes
/// on with the run, this one stops and exits with 1.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ResumeArgs {
    /// The session, or the beginning of its id.
    #[arg(value_name = "SESSION")]
    pub(crate) session: String,
    /// The data folder of the session [default: .bursar].
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub(crate) data: Option<PathBuf>,
    /// The configuration that the session was begun with, instead of a market in a box.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Prints events as JSON, one object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Who approves from here on; never less strict than the session [default: as the session was begun].
    #[arg(long, value_enum)]
    pub(crate) approve: Option<ApproveArg>,
    /// With `--approve wait`: how long an answer is waited for at most [default: as long as the question counts].
    #[arg(long, value_name = "SECONDS", requires = "approve")]
    pub(crate) wait: Option<u64>,
    // The one that the session was begun with.
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Answers what came of this call, which was started and has no result.
    #[arg(long, value_name = "CALL", requires = "verdict", requires = "by")]
    pub(crate) call: Option<String>,
    /// It happened, and this came of it: plain words, or a JSON object as the tool gives it.
    #[arg(long, value_name = "WHAT CAME OF IT", group = "verdict", requires = "call")]
    pub(crate) happened: Option<String>,
    /// It did not happen, and is done now.
    #[arg(long, group = "verdict", requires = "call")]
    pub(crate) did_not_happen: bool,
    /// Who answers.
    #[arg(long, value_name = "NAME", requires = "call")]
    pub(crate) by: Option<String>,
    /// What the one who answers adds, for the record.
    #[arg(long, value_name = "TEXT", requires = "call")]
    pub(crate) note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ApproveArg {
    /// The rules decide alone; what they ask about stops the run until `bursar approvals` answers it and `bursar resume` goes on.
    Auto,
    /// You are asked at this terminal about every plan.
    Ask,
    /// As `auto`, and the run waits for answers and goes on by itself.
    Wait,
    /// No plan is approved; nothing is bought: a dry run that only looks.
    Never,
}

impl From<PlanApproval> for ApproveArg {
    fn from(approval: PlanApproval) -> Self {
        match approval {
            PlanApproval::Rule => Self::Auto,
            PlanApproval::Ask => Self::Ask,
            PlanApproval::Never => Self::Never,
        }
    }
}

impl From<ApproveArg> for PlanApproval {
    fn from(approve: ApproveArg) -> Self {
        match approve {
            // Both leave it to the mandate and the rules who is asked.
            ApproveArg::Auto | ApproveArg::Wait => Self::Rule,
            ApproveArg::Ask => Self::Ask,
            ApproveArg::Never => Self::Never,
        }
    }
}

impl ApproveArg {
    /// As it is written on the command line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Ask => "ask",
            Self::Wait => "wait",
            Self::Never => "never",
        }
    }
}

/// Runs the market alone, so that any x402 client can buy from it.
#[derive(Debug, Args)]
pub(crate) struct MarketArgs {
    /// Sells the .md, .txt and .html files of this folder instead of Bursar's own documents.
    #[arg(long, value_name = "DIR")]
    pub(crate) sources: Option<PathBuf>,
    /// Port of the chain's JSON-RPC; 0 is a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port_rpc: u16,
    /// Port of the facilitator; 0 is a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port_facilitator: u16,
    /// Port of the main seller; 0 is a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port_seller: u16,
    /// Port of the reseller; 0 is a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port_reseller: u16,
    /// Gives this address 1000 play USDC; may be repeated.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) fund: Vec<Address>,
    /// The chain id.
    #[arg(long, value_name = "N", default_value_t = 31_337)]
    pub(crate) chain_id: u64,
    /// The version of x402 that sellers speak.
    #[arg(long, value_enum, default_value_t = WireArg::V2)]
    pub(crate) wire: WireArg,
    /// Sellers sign their offers and receipts (x402 `offer-receipt`).
    #[arg(long)]
    pub(crate) signed: bool,
    /// Serves `/admin/faults` and `/admin/log`.
    #[arg(long)]
    pub(crate) admin: bool,
    /// Keeps the chain in this file, so that it survives a restart.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WireArg {
    /// Version 1.
    V1,
    /// Version 2.
    V2,
    /// Both at once.
    Both,
}

impl From<WireArg> for WireVersion {
    fn from(wire: WireArg) -> Self {
        match wire {
            WireArg::V1 => Self::V1,
            WireArg::V2 => Self::V2,
            WireArg::Both => Self::Both,
        }
    }
}

/// Lists the sessions of a data folder.
#[derive(Debug, Args)]
pub(crate) struct SessionsArgs {
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WalletCommand {
    New(WalletNewArgs),
}

/// Makes a key in an encrypted file (Web3 Secret Storage), and prints its address.
///
/// The password is read from BURSAR_WALLET_PASSWORD. A file that exists is not touched.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct WalletNewArgs {
    /// The file.
    #[arg(value_name = "FILE", default_value = "wallet.json")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DataArg {
    /// The data folder.
    #[arg(long = "data", value_name = "DIR", default_value = DEFAULT_DATA)]
    pub(crate) folder: PathBuf,
}

/// Where data is kept unless said otherwise.
pub(crate) const DEFAULT_DATA: &str = ".bursar";

fn question(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err(
            "the question is empty; ask something, for example \"Who may pay the gas for a USDC transfer?\"",
        ),
        text => Ok(text.to_owned()),
    }
}

/// A name or a reason: not empty.
fn word(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("it is empty; say who decides, and why, so that the journal can tell"),
        text => Ok(text.to_owned()),
    }
}

fn budget(text: &str) -> Result<Amount, String> {
    let amount = Amount::parse_decimal(&Asset::micro_usd(), text).map_err(|error| error.to_string())?;
    if amount.is_zero() {
        return Err("a budget of 0 buys nothing; give an amount above 0, for example `0.50`, or look without buying with \
                    --approve never"
            .to_owned());
    }
    Ok(amount)
}

/// Half a dollar.
pub(crate) fn default_budget() -> Amount {
    Amount::from_atomic(Asset::micro_usd().id().clone(), 500_000)
}
