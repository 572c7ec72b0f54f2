//! Why Bursar could not be opened or used.

use bursar_audit::{KeyFileError, PublishError};
use bursar_ledger::{CommitError, StoreError};
use bursar_memory::LibraryError;
use bursar_payments::{
    ClockError, HttpTransportError, MandateFileError, MandateSignatureError, OpenError, OutflowError,
    PolicyError, WalletError,
};
use bursar_types::{FetchError, LedgerId, ParseAmountError};
use std::path::PathBuf;
use thiserror::Error;

/// Why Bursar could not be opened or used. Each says what to do next.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BursarError {
    /// The configuration file cannot be read.
    #[error("cannot read `{path}`: {source}")]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration file is not well formed; see [`BursarError::malformed`].
    #[error("`{path}`{} is not a valid configuration: {problem}", .line.map_or_else(String::new, |line| format!(", line {line},")))]
    Config {
        /// The file.
        path: PathBuf,
        /// The line, where it is certain.
        line: Option<usize>,
        /// What is wrong, without what was written.
        problem: String,
    },
    /// The configuration file is well formed, and says something that cannot be meant.
    #[error("`{path}`{}: {problem}", .line.map_or_else(String::new, |line| format!(", line {line}")))]
    ConfigValue {
        /// The file.
        path: PathBuf,
        /// The line, where it is certain.
        line: Option<usize>,
        /// The field, and what is wrong with it.
        problem: String,
    },
    /// The amount above which two readers are needed is none.
    #[error("`two_readers_above = \"{text}\"` is no amount of dollars such as \"10.00\": {source}")]
    TwoReaders {
        /// What was written.
        text: String,
        /// Why.
        source: ParseAmountError,
    },
    /// The mandate in the configuration cannot be used.
    #[error("mandate: {0}")]
    Mandate(#[from] MandateFileError),
    /// Two mandates were given.
    #[error("the configuration has `mandate_file` and `[mandate]`; leave one of them out")]
    TwoMandates,
    /// The mandate is not signed as the configuration's issuers want it.
    #[error("`{}`: {}: {source}", path.display(), source.code())]
    MandateSignature {
        /// The mandate.
        path: PathBuf,
        /// Why it does not count.
        source: MandateSignatureError,
    },
    /// The wallet's key is one of an issuer: whoever pays must not say what may be paid.
    #[error("MANDATE_ISSUER_IS_AGENT: the wallet's key is that of issuer `{0}`; who pays issues no mandates")]
    IssuerIsAgent(String),
    /// A caller cannot be served as the configuration has it.
    #[error("caller `{}`: {problem}", name.escape_debug())]
    Caller {
        /// Its name.
        name: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// No mandate was given.
    #[error("no mandate: give one in the configuration's `[mandate]` or with `SessionBuilder::mandate`")]
    NoMandate,
    /// No wallet was given.
    #[error("no wallet: give one in the configuration's `[wallet]` or with `BursarBuilder::wallet`")]
    NoWallet,
    /// The variable that holds the wallet's secret is not set.
    #[error("environment variable `{variable}` is not set; it holds {what}")]
    NoSecret {
        /// The variable.
        variable: String,
        /// What it holds.
        what: &'static str,
    },
    /// The model that is configured cannot be asked.
    #[error("the model cannot be asked: {problem}")]
    Model {
        /// Why not, and what to do.
        problem: String,
    },
    /// An API cannot be declared as the configuration does.
    #[cfg(feature = "openapi")]
    #[error("API `{api}`: {problem}")]
    Api {
        /// Its name, as it was written.
        api: String,
        /// What is wrong.
        problem: String,
    },
    /// An MCP server cannot be declared as the configuration does.
    #[cfg(feature = "mcp")]
    #[error("MCP server `{server}`: {problem}")]
    Mcp {
        /// Its name, as it was written.
        server: String,
        /// What is wrong.
        problem: String,
    },
    /// The configuration wants something that this build does not have.
    #[error(
        "the configuration names {what}, and this build is without the feature `{feature}`; build it with that feature"
    )]
    Feature {
        /// What it names.
        what: &'static str,
        /// The feature.
        feature: &'static str,
    },
    /// A file or folder cannot be made or written.
    #[error("cannot write `{path}`: {source}")]
    Write {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The wallet belongs to another data file. Two ledgers over one wallet cannot keep its budgets.
    #[error(
        "this wallet belongs to ledger {bound}, and this data file is ledger {found}; open the other data file, or use another wallet"
    )]
    OtherLedger {
        /// The ledger the wallet is bound to.
        bound: String,
        /// The ledger that was opened.
        found: LedgerId,
    },
    /// The wallet cannot be opened.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The rules cannot be loaded.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The data file cannot be opened.
    #[error(transparent)]
    Ledger(#[from] StoreError),
    /// The ledger refused or failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The library cannot be opened.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The session cannot be opened.
    #[error(transparent)]
    Session(#[from] OpenError),
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Transport(#[from] HttpTransportError),
    /// The key of the published log cannot be used.
    #[error(transparent)]
    LogKey(#[from] KeyFileError),
    /// The journal cannot be published.
    #[error("cannot publish the journal: {0}")]
    Publish(#[from] PublishError),
    /// The journal contradicts what was published of it.
    #[error("all spending is frozen: {0}")]
    Alarm(String),
    /// There is no log to publish to.
    #[error("it was opened with `BursarBuilder::unpublished`: there is no log")]
    Unpublished,
    /// What left the wallet cannot be looked at.
    #[error("{0}")]
    NoOutflow(&'static str),
    /// What left the wallet was not, or not all, taken into the journal.
    #[error(transparent)]
    Outflow(OutflowError),
    /// The journal's time was not turned back.
    #[error(transparent)]
    Clock(ClockError),
    /// A money operation failed; no money moved.
    #[error(transparent)]
    Money(#[from] FetchError),
}

impl From<ClockError> for BursarError {
    fn from(error: ClockError) -> Self {
        match error {
            ClockError::Ledger(error) => Self::Money(error),
            other => Self::Clock(other),
        }
    }
}
