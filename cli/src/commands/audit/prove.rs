//! `bursar audit prove`: an entry with the proof that it is in the published journal.

use super::log_of;
use crate::args::ProveArgs;
use crate::exit::{CliError, Exit};
use bursar::BursarError;
use bursar::audit::{Publisher, open_log, publish};
use bursar::ledger::{Entry, StreamId};
use bursar::proof::{Checkpoint, Disclosure, ProofFile, SignedNote};
use bursar::types::PaymentId;
use std::io::Write as _;
use std::path::{Path, PathBuf};

const DISCLOSED: &str = "disclosed";

/// What is to be proven.
enum What {
    Entry(u64),
    Payment(PaymentId),
}

/// Runs the command.
pub(super) async fn prove(args: ProveArgs) -> Result<Exit, CliError> {
    let what = what(&args.what)?;
    if let (What::Payment(_), None) = (&what, &args.out) {
        return Err(unproven("a payment has several entries: name the folder for their proofs with --out"));
    }
    let (data, options) = log_of(&args.log)?;
    let log = open_log(data, &options)?;
    let proven = proofs(&log, &what, args.disclose).await;
    log.ledger().close().await.map_err(BursarError::from)?;
    let proven = proven?;
    let mut out = anstream::stdout().lock();
    if let (What::Payment(_), Some(folder)) = (&what, &args.out) {
        std::fs::create_dir_all(folder).map_err(|source| cannot_write(folder, source))?;
    }
    for Proven { entry, proof, disclosed } in &proven {
        let Some(path) = &args.out else {
            let _ = write!(out, "{proof}");
            continue;
        };
        let named = |ending: &str| match what {
            What::Payment(_) => path.join(format!("{entry}.{ending}")),
            What::Entry(_) if ending == DISCLOSED => with_ending(path, ending),
            What::Entry(_) => path.clone(),
        };
        let files = std::iter::once(("tlog-proof", proof));
        for (ending, text) in files.chain(disclosed.as_ref().map(|text| (DISCLOSED, text))) {
            let path = named(ending);
            std::fs::write(&path, text).map_err(|source| cannot_write(&path, source))?;
            let _ = writeln!(out, "wrote {}", path.display());
        }
        if args.disclose && disclosed.is_none() {
            let _ = writeln!(out, "entry {entry} keeps nothing back, or it was erased");
        }
    }
    Ok(Exit::Done)
}

/// One entry, as text to write.
struct Proven {
    entry: u64,
    proof: String,
    /// What it keeps back, if that was asked for and is still there.
    disclosed: Option<String>,
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn what(text: &str) -> Result<What, CliError> {
    if let Ok(entry) = text.parse() {
        return Ok(What::Entry(entry));
    }
    let payment = PaymentId::parse(text).map_err(|_| {
        unproven(format!("`{}` is neither the number of an entry nor a payment", text.escape_debug()))
    })?;
    Ok(What::Payment(payment))
}

/// Each entry's number with its proof.
async fn proofs(log: &Publisher, what: &What, disclose: bool) -> Result<Vec<Proven>, CliError> {
    let entries = match what {
        What::Entry(entry) => vec![*entry],
        What::Payment(payment) => {
            let stream = StreamId::of("payment", payment);
            let entries = log.ledger().stream(&stream, 0).await.map_err(BursarError::from)?;
            entries.iter().map(|entry| entry.sequence).collect()
        }
    };
    if entries.is_empty() {
        return Err(unproven("the journal has no such payment"));
    }
    let published = publish(log).await?;
    let (checkpoint, note) = published.checkpoint.ok_or_else(|| unproven("the journal is empty"))?;
    let mut proofs = Vec::new();
    for entry in entries {
        proofs.push(proven(log, entry, (&checkpoint, &note), disclose).await?);
    }
    Ok(proofs)
}

async fn proven(
    log: &Publisher,
    entry: u64,
    (at, note): (&Checkpoint, &SignedNote),
    disclose: bool,
) -> Result<Proven, CliError> {
    let found = log.ledger().prove_inclusion(entry, at.size).await.map_err(BursarError::from)?;
    let Some(found) = found else {
        let last = at.size.saturating_sub(1);
        return Err(unproven(format!("there is no entry {entry}: the journal has entries 0 to {last}")));
    };
    let disclosed = if disclose { disclosure(log, &found.leaf).await? } else { None };
    let file = ProofFile { extra: Some(found.leaf), inclusion: found.inclusion, checkpoint: note.clone() };
    Ok(Proven { entry, proof: file.to_string(), disclosed })
}

/// What an entry keeps back.
async fn disclosure(log: &Publisher, leaf: &[u8]) -> Result<Option<String>, CliError> {
    let entry: Entry = serde_json::from_slice(leaf).map_err(|error| unproven(error.to_string()))?;
    let Some(detail) = entry.detail() else { return Ok(None) };
    let kept = log.ledger().sealed(detail).await.map_err(BursarError::from)?;
    Ok(kept.map(|payload| Disclosure { salt: *payload.salt(), bytes: payload.bytes().to_vec() }.to_string()))
}

fn unproven(problem: impl Into<String>) -> CliError {
    CliError::Unproven(problem.into())
}

fn cannot_write(path: &Path, source: std::io::Error) -> CliError {
    CliError::File { doing: "write", path: path.to_owned(), source }
}
