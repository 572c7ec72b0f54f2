//! `bursar audit prove`: an entry with the proof that it is in the published journal.

use super::log_of;
use crate::args::ProveArgs;
use crate::exit::{CliError, Exit};
use bursar::BursarError;
use bursar::audit::{Publisher, open_log, publish};
use bursar::ledger::StreamId;
use bursar::proof::{Checkpoint, ProofFile, SignedNote};
use bursar::types::PaymentId;
use std::io::Write as _;
use std::path::Path;

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
    let proven = proofs(&log, &what).await;
    log.ledger().close().await.map_err(BursarError::from)?;
    let proven = proven?;
    let mut out = anstream::stdout().lock();
    match (&what, &args.out) {
        (What::Payment(_), Some(folder)) => {
            std::fs::create_dir_all(folder).map_err(|source| cannot_write(folder, source))?;
            for (entry, proof) in &proven {
                let path = folder.join(format!("{entry}.tlog-proof"));
                std::fs::write(&path, proof).map_err(|source| cannot_write(&path, source))?;
                let _ = writeln!(out, "wrote {}", path.display());
            }
        }
        (_, Some(path)) => {
            let text: String = proven.into_iter().map(|(_, proof)| proof).collect();
            std::fs::write(path, text).map_err(|source| cannot_write(path, source))?;
            let _ = writeln!(out, "wrote {}", path.display());
        }
        (_, None) => {
            for (_, proof) in &proven {
                let _ = write!(out, "{proof}");
            }
        }
    }
    Ok(Exit::Done)
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
async fn proofs(log: &Publisher, what: &What) -> Result<Vec<(u64, String)>, CliError> {
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
        proofs.push((entry, proof(log, entry, &checkpoint, &note).await?));
    }
    Ok(proofs)
}

async fn proof(log: &Publisher, entry: u64, at: &Checkpoint, note: &SignedNote) -> Result<String, CliError> {
    let found = log.ledger().prove_inclusion(entry, at.size).await.map_err(BursarError::from)?;
    let Some(proof) = found else {
        let last = at.size.saturating_sub(1);
        return Err(unproven(format!("there is no entry {entry}: the journal has entries 0 to {last}")));
    };
    let file = ProofFile { extra: Some(proof.leaf), inclusion: proof.inclusion, checkpoint: note.clone() };
    Ok(file.to_string())
}

fn unproven(problem: impl Into<String>) -> CliError {
    CliError::Unproven(problem.into())
}

fn cannot_write(path: &Path, source: std::io::Error) -> CliError {
    CliError::File { doing: "write", path: path.to_owned(), source }
}
