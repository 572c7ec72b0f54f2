//! `bursar audit check`: a proof, without the journal.

use crate::args::CheckProofArgs;
use crate::exit::{CliError, Exit};
use crate::screen::line;
use bursar::ledger::Entry;
use bursar::proof::{Cosignature, ProofFile, VerifierKey, leaf_hash};
use bursar::types::Timestamp;
use std::io::Write as _;
use std::path::Path;

/// Larger files are no proofs: an entry is below 64 KiB.
const PROOF_MAX: u64 = 4 << 20;

/// Runs the command.
pub(super) fn check(args: &CheckProofArgs) -> Result<Exit, CliError> {
    let mut exit = Exit::Done;
    let mut out = anstream::stdout().lock();
    for path in &args.proofs {
        let text = read(path)?;
        let told = match checked(&text, &args.key, &args.witness) {
            Ok(told) => told,
            Err(problem) => {
                exit = Exit::Failed;
                format!("not proven: {}\n", line(&problem, 400))
            }
        };
        let _ = write!(out, "{}: {told}", path.display());
    }
    Ok(exit)
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let file = |source| CliError::File { doing: "read", path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(file)?.len() > PROOF_MAX {
        return Err(file(std::io::Error::other("it is too large for a proof")));
    }
    std::fs::read(path).map_err(file)
}

/// What the proof proves, in words.
fn checked(bytes: &[u8], log: &VerifierKey, witnesses: &[VerifierKey]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "this is no text".to_owned())?;
    let proof = ProofFile::parse(text).map_err(|error| error.to_string())?;
    let leaf = proof.extra.as_deref().ok_or("it does not carry its entry")?;
    let checkpoint = proof.check(&leaf_hash(leaf), log).map_err(|error| error.to_string())?;
    let entry: Entry =
        serde_json::from_slice(leaf).map_err(|error| format!("the entry is none of Bursar's: {error}"))?;
    if entry.sequence != proof.inclusion.index {
        return Err(format!("it is entry {} at place {}", entry.sequence, proof.inclusion.index));
    }
    let mut cosigned = String::new();
    for witness in witnesses {
        let seen = Cosignature::check(&proof.checkpoint, witness).map_err(|error| error.to_string())?;
        let at = Timestamp::from_unix_ms(seen.at.saturating_mul(1_000));
        cosigned.push_str(&format!("  cosigned {at} by {}\n", line(witness.name(), 200)));
    }
    let body = serde_json::to_string_pretty(&entry.body).unwrap_or_default();
    let body: String = body.lines().map(|text| format!("    {}\n", clean(text))).collect();
    Ok(format!(
        "proven: entry {} of {} in {}\n  at       {}\n  stream   {}, place {}\n  kind     {}\n{cosigned}{body}",
        entry.sequence,
        checkpoint.size,
        line(&checkpoint.origin, 200),
        entry.at,
        line(entry.stream.as_str(), 130),
        entry.stream_sequence,
        line(&entry.kind, 80),
    ))
}

/// A line of JSON, indented as it was, without characters that a terminal would obey.
fn clean(text: &str) -> String {
    let plain = |c: char| c == ' ' || c.is_ascii_graphic();
    text.chars().map(|c| if plain(c) { c.to_string() } else { c.escape_unicode().to_string() }).collect()
}
