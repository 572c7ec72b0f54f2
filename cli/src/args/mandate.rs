//! What `bursar mandate` takes.

use super::DataArg;
use bursar::payments::PublicKey;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What `bursar mandate` says at the end of its help.
const MANDATE: &str = "\
An issuer's key is made by `bursar approvals key`. It lies in a file that only its owner can read, outside the data folder and
the folder that you are in; a key in an encrypted keystore needs its password in BURSAR_APPROVER_PASSWORD.

A configuration that names issuers takes no mandate without the signature of one of them:
  mandate_file = \"mandate.toml\"
  [[issuer]]
  name = \"ada\"
  key = \"ed25519:…\"

Exit codes:
  0    done; for verify: the signature holds
  1    for verify: it does not
  2    bad input or usage: nothing was signed";

/// Signs a mandate, and checks the signature of one.
#[derive(Debug, Args)]
#[command(after_help = MANDATE, disable_help_subcommand = true)]
pub(crate) struct MandateArgs {
    #[command(subcommand)]
    pub(crate) action: MandateAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MandateAction {
    /// Signs a mandate's file, byte for byte. The signature lies beside it, in FILE.sig.
    Sign(SignArgs),
    /// Checks the signature of a mandate's file: FILE with --issuer, or the mandate of a configuration.
    Verify(VerifyMandateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The mandate: what stands under `[mandate]` in a configuration, in a file of its own.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The file of the issuer's key.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// How many days it counts [default: as long as it is not replaced].
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(crate) days: Option<u64>,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyMandateArgs {
    /// The mandate.
    #[arg(value_name = "FILE", required_unless_present = "config", requires = "issuer")]
    pub(crate) file: Option<PathBuf>,
    /// An issuer's public key, as `bursar approvals key` printed it; may be given several times.
    #[arg(long, value_name = "KEY", value_parser = PublicKey::parse)]
    pub(crate) issuer: Vec<PublicKey>,
    /// Checks the mandate of this configuration against the issuers that it names.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "issuer"])]
    pub(crate) config: Option<PathBuf>,
}
