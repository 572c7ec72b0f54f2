//! How a command ends.

use bursar::BursarError;
use bursar::agent::RunError;
use bursar::ledger::StoreError;
use bursar::payments::{
    ApprovalError, DeskError, ExampleError, KeyFileError, PolicyError, SagaError, WalletError,
};
use bursar::reconcile::StatementError;
use bursar_market::MarketError;
use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;
use thiserror::Error;

/// How a command ended, as its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: it is done.
    Done,
    /// 1: the run has no answer, or the journal does not verify.
    Failed,
    /// 3: it is not known whether money moved, or something paid is owed.
    Open,
    /// 130: interrupted, in order.
    Interrupted,
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Open => 3,
            Self::Interrupted => INTERRUPTED,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What a shell gives for a process that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command could not be done. Each says what to do next.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    /// The model cannot be asked.
    #[error("the model cannot be asked: {problem}")]
    Model {
        /// Why not.
        problem: String,
    },
    /// There are no such instructions.
    #[error("{problem}")]
    Prompt {
        /// What is wrong.
        problem: String,
    },
    /// The market did not start.
    #[error("cannot {0}")]
    Market(#[from] MarketError),
    /// Bursar did not open, or a money operation failed before money could move.
    #[error(transparent)]
    Bursar(#[from] BursarError),
    /// The way to the collector of spans and metrics could not be set up; nothing was begun.
    #[cfg(feature = "otel")]
    #[error(transparent)]
    Telemetry(bursar::telemetry::TelemetryError),
    /// The run is over, and what it did cannot be closed or read back.
    #[error("cannot read back what was done: {0}")]
    Afterwards(BursarError),
    /// The run could not be driven to its end.
    #[error("the run broke off: {source}")]
    Run {
        /// Why not.
        source: RunError,
        /// The command that goes on with it.
        go_on: String,
    },
    /// Another process has the market of the data folder open, and so whatever runs there.
    #[error("another process goes on in `{}`: it has the market there open", path.display())]
    Elsewhere {
        /// The data folder.
        path: PathBuf,
    },
    /// The session cannot be resumed.
    #[error("{problem}{}", listed(.others))]
    NotResumed {
        /// Why not.
        problem: String,
        /// What can be, a line each.
        others: Vec<String>,
    },
    /// The payment that is meant is not certain, or there is nothing of it to show.
    #[error("{problem}{}", listed(.others))]
    NoPayment {
        /// What is wrong.
        problem: String,
        /// What could be meant, a line each.
        others: Vec<String>,
    },
    /// What a person said about an obligation was not taken.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// What a person said about a saga's step was not taken.
    #[error(transparent)]
    Saga(#[from] SagaError),
    /// An answer to a question was not taken.
    #[error("{code}: {error}", code = .0.code(), error = .0)]
    Approval(#[from] ApprovalError),
    /// An approver's key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// There is no such question, or several begin like this.
    #[error("{problem}{}", listed(.others))]
    NoQuestion {
        /// What is wrong.
        problem: String,
        /// What waits, a line each.
        others: Vec<String>,
    },
    /// Answers cannot be taken here.
    #[error("cannot listen on `{address}`: {problem}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        problem: String,
    },
    /// A file that would be written over.
    #[error("`{}` exists already, and is not written over", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A project that was begun already.
    #[error("`{}` exists already", path.display())]
    Initialised {
        /// The file.
        path: PathBuf,
    },
    /// A policy file cannot be loaded.
    #[error("{code}: {source}")]
    Policy {
        /// Its stable code.
        code: &'static str,
        /// Where and why.
        source: PolicyError,
    },
    /// There is no such policy file or configuration.
    #[error("cannot read `{}`: {source}", path.display())]
    NoPolicyFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The examples of a policy file cannot be read.
    #[error("POLICY_EXAMPLE: `{file}`, {source}")]
    Example {
        /// The file.
        file: String,
        /// Where and why.
        source: ExampleError,
    },
    /// The data folder was not made by a market in a box.
    #[error("`{}` was made with a configuration, not by a market in a box", path.display())]
    NoBox {
        /// The folder.
        path: PathBuf,
    },
    /// The agent could not be put together.
    #[error(transparent)]
    Agent(#[from] bursar::agent::BuildError),
    /// The tools could not be put together.
    #[error(transparent)]
    Tools(#[from] bursar::tools::ResearchError),
    /// A file of the data folder cannot be read or written.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    File {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file of the data folder is not what it should be.
    #[error("`{}` is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no data file to read.
    #[error("there is no data file in `{}`", path.display())]
    NoData {
        /// The folder.
        path: PathBuf,
    },
    /// The configuration has no mandate that could be signed.
    #[error("`{}` names no `mandate_file`, and only a file of its own can be signed", path.display())]
    NoMandateFile {
        /// The configuration.
        path: PathBuf,
    },
    /// What cannot be asked for.
    #[error("cannot get `{url}`: {problem}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The purse cannot be served or reached.
    #[cfg(unix)]
    #[error(transparent)]
    Purse(bursar::RemoteError),
    /// Nobody can be served.
    #[error(transparent)]
    Teller(#[from] bursar_gateway::TellerError),
    /// Several callers could be meant, or none is there.
    #[error("say which caller is served, with --caller NAME{}", listed(.0))]
    WhichCaller(Vec<String>),
    /// There is no such session.
    #[error("there is no session `{0}` in this data folder")]
    NoSession(String),
    /// A statement cannot be read.
    #[error("`{}`: {source}", path.display())]
    Statement {
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong with it.
        source: StatementError,
    },
    /// There is nothing to prove, or not where.
    #[error("{0}")]
    Unproven(String),
    /// The witness cannot begin.
    #[error("{0}")]
    NoWitness(String),
    /// An MCP server cannot be used.
    #[cfg(feature = "mcp")]
    #[error(transparent)]
    Mcp(#[from] bursar::mcp::McpError),
    /// What was asked about MCP servers makes no sense.
    #[cfg(feature = "mcp")]
    #[error("{0}")]
    Server(String),
    /// The runtime did not start.
    #[error("cannot start: {0}")]
    Runtime(std::io::Error),
    /// The suite cannot be read.
    #[error(transparent)]
    Suite(#[from] bursar_evals::LoadError),
    /// A baseline cannot be read.
    #[error("`{}`: {source}", path.display())]
    Baseline {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: bursar_evals::BaselineError,
    },
    /// The suite has nothing that could be mutated.
    #[error("the suite has nothing that could be mutated")]
    NothingToMutate,
    /// No case of the suite is meant.
    #[error("no case has `{0}` in its id, family or mode")]
    NoCase(String),
    /// The wallet has no address that the market can give play money to.
    #[error("the wallet's address `{0}` is not one of the market's chain")]
    Address(String),
}

impl From<PolicyError> for CliError {
    fn from(source: PolicyError) -> Self {
        Self::Policy { code: source.code(), source }
    }
}

impl CliError {
    /// 2 for what the user gave, 1 for what failed.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::Bursar(BursarError::Alarm(_))
            | Self::Run { .. }
            | Self::Elsewhere { .. }
            | Self::Afterwards(_)
            | Self::Runtime(_)
            | Self::Agent(_)
            | Self::Tools(_)
            | Self::Approval(ApprovalError::Contended | ApprovalError::Ledger(_))
            | Self::Desk(DeskError::Contended | DeskError::Ledger(_))
            | Self::Saga(SagaError::Fenced | SagaError::Ledger(_)) => 1,
            #[cfg(feature = "otel")]
            Self::Telemetry(_) => 2,
            #[cfg(feature = "mcp")]
            Self::Mcp(_) => 1,
            #[cfg(feature = "mcp")]
            Self::Server(_) => 2,
            Self::Market(_)
            | Self::Model { .. }
            | Self::Prompt { .. }
            | Self::Bursar(_)
            | Self::File { .. }
            | Self::Damaged { .. }
            | Self::NoData { .. }
            | Self::NoSession(_)
            | Self::Teller(_)
            | Self::WhichCaller(_)
            | Self::Statement { .. }
            | Self::Unproven(_)
            | Self::NoWitness(_)
            | Self::NotResumed { .. }
            | Self::NoPayment { .. }
            | Self::Desk(_)
            | Self::Approval(_)
            | Self::Key(_)
            | Self::NoQuestion { .. }
            | Self::Listen { .. }
            | Self::Saga(_)
            | Self::Exists { .. }
            | Self::Initialised { .. }
            | Self::Policy { .. }
            | Self::NoPolicyFile { .. }
            | Self::NoMandateFile { .. }
            | Self::Url { .. }
            | Self::Example { .. }
            | Self::NoBox { .. }
            | Self::Suite(_)
            | Self::NoCase(_)
            | Self::Baseline { .. }
            | Self::NothingToMutate
            | Self::Address(_) => 2,
            #[cfg(unix)]
            Self::Purse(_) => 2,
        }
    }

    /// What to do next, where the message does not say it itself.
    pub(crate) fn next_step(&self) -> Option<Cow<'static, str>> {
        let step = match self {
            Self::Run { source: RunError::Fenced { .. }, .. } => {
                "nothing is lost or done twice: wait until the other process is done; `bursar sessions` and `bursar spend` show what came of it"
            }
            Self::Run { go_on, .. } => {
                return Some(
                    format!("what was paid is kept: `{go_on}` goes on without paying for it again").into(),
                );
            }
            Self::Elsewhere { .. } => "wait until it is done, and run this again; nothing was paid",
            Self::Bursar(BursarError::Alarm(_)) => {
                "`bursar audit verify` says more; once it is clear what happened, `bursar thaw all` lets spending go on"
            }
            Self::Bursar(BursarError::Outflow(_)) => {
                "nothing that moved is forgotten: `bursar reconcile` shows what is missing, and --accept can be run again"
            }
            Self::Statement { .. } => "correct the line; none of the statement was used",
            Self::Bursar(BursarError::Ledger(error)) => store_next_step(error),
            Self::Bursar(BursarError::NoSecret { .. }) => {
                "set it for this command alone, and keep it out of files that agents read"
            }
            Self::Bursar(BursarError::Wallet(WalletError::Keystore { .. })) => {
                "name the keystore in `[wallet]` of the configuration; `bursar wallet new` makes one"
            }
            Self::Bursar(BursarError::Wallet(WalletError::Password { .. })) => {
                "set the password that it was made with; nothing was opened"
            }
            Self::Bursar(BursarError::ConfigFile { source, .. }) if source.kind() != ErrorKind::NotFound => {
                UNREADABLE
            }
            Self::Bursar(BursarError::ConfigFile { .. }) => {
                "name a file that exists, or leave --config out to use a market in a box"
            }
            Self::Bursar(BursarError::Config { .. } | BursarError::ConfigValue { .. }) => {
                "correct it, and see with `bursar policy check`; `bursar init DIR` writes a configuration that works, with comments"
            }
            Self::Bursar(BursarError::MandateSignature { .. }) => {
                "nothing was paid: have an issuer sign the mandate's file with `bursar mandate sign FILE --key KEY`"
            }
            Self::Bursar(BursarError::IssuerIsAgent(_)) => {
                "make a key for the issuer with `bursar approvals key`, and sign the mandate with it"
            }
            #[cfg(feature = "otel")]
            Self::Telemetry(_) => {
                "nothing was paid: correct `[telemetry]` or the variable, or set OTEL_SDK_DISABLED=true to do without"
            }
            Self::NoMandateFile { .. } => "move what stands under [mandate] into a file, and name it",
            Self::Afterwards(_) => {
                "what was paid is kept: `bursar spend` shows it, `bursar audit verify` checks it"
            }
            Self::NoData { .. } => {
                "ask something first with `bursar research \"QUESTION\"`, or name another folder with --data"
            }
            Self::NoSession(_) => "`bursar sessions` lists them",
            Self::Saga(SagaError::Fenced) => "somebody else changed it at the same time; look again",
            Self::Saga(_) => {
                "`bursar obligations` lists the steps that are left to a person; nothing was changed"
            }
            Self::NoQuestion { .. } => "`bursar approvals list` lists what waits",
            Self::Listen { .. } => "give an address of this machine, such as 127.0.0.1:8402",
            Self::NoPayment { .. } => "`bursar obligations --all` lists everything there is",
            Self::Exists { .. } => "name a file that does not exist yet",
            Self::Initialised { .. } => "name another folder, or write over it with --force",
            Self::Policy { source, .. } | Self::Bursar(BursarError::Policy(source)) => source.next_step(),
            Self::NoPolicyFile { source, .. } if source.kind() != ErrorKind::NotFound => UNREADABLE,
            Self::NoPolicyFile { .. } => "name a file that exists, or begin with `bursar init`",
            Self::Example { .. } => {
                "write it as `// @example deny action=pay host=evil.example`; `bursar policy schema` lists the facts"
            }
            Self::Suite(bursar_evals::LoadError::Read { source, .. })
                if source.kind() != ErrorKind::NotFound =>
            {
                UNREADABLE
            }
            Self::Suite(bursar_evals::LoadError::Read { .. }) => {
                "name a file or folder of cases; `bursar eval init` writes a first one"
            }
            Self::Baseline { .. } => "write it anew with --write-baseline",
            Self::NoBox { .. } => "name the configuration with --config",
            Self::Damaged { .. } => "restore it from a backup, or use another folder with --data",
            Self::File { doing: "read", source, .. } if source.kind() == ErrorKind::NotFound => {
                "name a file that exists"
            }
            Self::File { source, .. }
                if matches!(
                    source.kind(),
                    ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::AlreadyExists
                ) =>
            {
                "name a place in a folder that exists"
            }
            Self::File { .. } => {
                "check that you own the folder and may write there, or name another with --data"
            }
            _ => return None,
        };
        Some(step.into())
    }
}

/// A file that is there and cannot be read.
const UNREADABLE: &str = "name a text file in UTF-8 that you may read";

fn listed(others: &[String]) -> String {
    others.iter().fold(String::new(), |text, other| text + "\n    " + other)
}

const fn store_next_step(error: &StoreError) -> &'static str {
    match error {
        StoreError::Locked { .. } => {
            "wait until the other process is done, and run this again; nothing was paid"
        }
        StoreError::Corrupt { .. } => {
            "restore the folder from a backup, or use another one with --data; nothing was paid"
        }
        StoreError::NewerSchema { .. } => {
            "update Bursar, or use another folder with --data; nothing was paid"
        }
        StoreError::RolledBack { found: 0, .. } => {
            "put the data file back; or, if you removed the folder on purpose, remove the `.mark` file beside it too"
        }
        StoreError::RolledBack { .. } => {
            "put the newer file back: an older one would forget what was spent; or start anew in another folder with --data"
        }
        StoreError::NetworkFilesystem { .. } => "use a folder on a local disk with --data",
        StoreError::Io(_) => "check that you own the folder and may write there, or name another with --data",
        StoreError::Closed => "run this again",
    }
}
