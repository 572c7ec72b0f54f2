//! What `bursar audit` and `bursar witness` take.

use super::{DataArg, EXIT_CODES, EraseArgs, TraceArgs};
use bursar::proof::VerifierKey;
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    Verify(VerifyArgs),
    Explain(TraceArgs),
    /// Publishes the journal now: tiles, a signed checkpoint, cosignatures of witnesses, copies at anchors.
    ///
    /// Exits with 1, and freezes all spending, if the journal does not continue what was published before or what others saw.
    Checkpoint(LogArgs),
    /// Prints the public key that checks the log's signatures. Give it to auditors and witnesses by a way that nobody changes.
    Key(LogArgs),
    Prove(ProveArgs),
    Check(CheckProofArgs),
    Erase(EraseArgs),
}

/// Where the log is: by its configuration, which also names witnesses and anchors, or by the data folder.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Uses the data folder and the `[audit]` of this file.
    #[arg(long, value_name = "FILE", conflicts_with = "folder")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataArg,
}

/// Reads the whole journal again: entries, root, accounts, payloads, high-water mark.
///
/// Then everything that was published of it: each checkpoint that was ever signed, the tiles, and what witnesses and anchors keep.
/// Exits with 0 if everything agrees, else with 1 and the problems. What was erased is counted apart: it cannot be checked again.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct VerifyArgs {
    /// A checkpoint that somebody kept elsewhere; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Vec<PathBuf>,
    /// Asks this witness, by what stands before `/add-checkpoint`, which checkpoint it saw last; may be given several times.
    #[arg(long, value_name = "URL")]
    pub(crate) witness: Vec<String>,
    /// The log's public key, from a place that the operator cannot change; without it the one beside the journal is believed.
    #[arg(long, value_name = "VKEY", value_parser = vkey)]
    pub(crate) key: Option<VerifierKey>,
    /// Compares what the journal says was paid with the chain, read here; may be given several times. It asks for all that left the wallet
    /// since the journal began. With --config, its networks are read too.
    #[arg(long, value_name = "URL")]
    pub(crate) rpc: Vec<String>,
    /// A wallet's address, beside those that the journal names.
    #[arg(long, value_name = "ADDRESS", requires = "rpc")]
    pub(crate) wallet: Option<String>,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Writes a proof that an entry is in the published journal, for somebody who has nothing but the log's public key.
///
/// A proof is a C2SP tlog-proof file: the entry's bytes, the way to the root, and the checkpoint with its signatures. What is not yet
/// published is published first. A payment has several entries: each becomes a file ENTRY.tlog-proof in the folder --out.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ProveArgs {
    /// The number of an entry, from 0, or a payment.
    #[arg(value_name = "ENTRY|PAYMENT")]
    pub(crate) what: String,
    /// The file to write, or for a payment the folder; an entry's proof is printed without it.
    #[arg(long, value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
    /// Also write what the entry itself keeps back (an address, a quote, a mandate) with its salt, into PATH.disclosed; for a
    /// payment into ENTRY.disclosed.
    ///
    /// Whoever gets that file can read it, and check that the entry speaks of exactly that. It cannot be taken back.
    #[arg(long, requires = "out")]
    pub(crate) disclose: bool,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Checks proofs without the journal, and prints the entries they prove.
///
/// Exits with 0 if each holds under the key, and each witness that is named cosigned; with 1 if one does not.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct CheckProofArgs {
    /// Files of `bursar audit prove`, or the folder that it wrote for a payment.
    #[arg(value_name = "PROOF", required = true)]
    pub(crate) proofs: Vec<PathBuf>,
    /// The log's public key, as `bursar audit key` prints it.
    #[arg(long, value_name = "VKEY", value_parser = vkey)]
    pub(crate) key: VerifierKey,
    /// The public key of a witness that must have cosigned; may be given several times.
    #[arg(long, value_name = "VKEY", value_parser = vkey)]
    pub(crate) witness: Vec<VerifierKey>,
    /// What entries keep back, as `prove --disclose` wrote it, or a folder of such; may be given several times. Each must belong to one of
    /// the proofs.
    #[arg(long, value_name = "FILE")]
    pub(crate) disclosed: Vec<PathBuf>,
}

/// Cosigns the checkpoints of other people's logs, if they continue what it cosigned before (C2SP tlog-witness).
///
/// Its worth is that somebody else runs it, on another machine. It has no TLS: put it behind a server that does. Prints its
/// address and its public key when it listens. The folder --state must never be lost or begun anew under the same key.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct WitnessArgs {
    /// Address and port; port 0 is a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// The file of its key; made at first use, with --name.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// What the key is called: a URL without its scheme, such as `witness.example`.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The public key of a log that it cosigns; may be given several times.
    #[arg(long, value_name = "VKEY", value_parser = vkey, required = true)]
    pub(crate) log: Vec<VerifierKey>,
    /// The folder in which it keeps what it cosigned last.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
}

fn vkey(text: &str) -> Result<VerifierKey, String> {
    VerifierKey::parse(text).map_err(|error| error.to_string())
}
