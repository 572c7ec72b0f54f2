//! `bursar audit verify`: reads the whole journal again.

use super::log_of;
use crate::args::VerifyArgs;
use crate::data;
use crate::exit::{CliError, Exit};
use crate::screen::{Amounts, line};
use bursar::audit::{Brought, LogVerified, verify_log};
use bursar::ledger::Ledger;
use bursar::ledger::StoreError;
use bursar::memory::UsesVerified;
use bursar::reconcile::{ChainVerified, Reconciler};
use bursar::report::{self, DecisionsVerified, Verified};
use bursar::{BursarError, Config};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Runs the command.
pub(super) async fn verify(args: VerifyArgs) -> Result<Exit, CliError> {
    let (folder, options) = log_of(&args.log)?;
    let brought = brought(&args)?;
    let ledger = match data::ledger(&folder) {
        // A file that cannot be opened because of what is in it does not verify.
        Err(CliError::Bursar(BursarError::Ledger(
            error @ (StoreError::Corrupt { .. } | StoreError::RolledBack { .. }),
        ))) => {
            let _ = writeln!(anstream::stdout().lock(), "the journal does not verify\n  {error}");
            return Ok(Exit::Failed);
        }
        opened => opened?,
    };
    let verified = match &args.log.config {
        Some(path) => report::verify_with(&ledger, &Config::read(path)?.registry()).await,
        None => report::verify(&ledger).await,
    };
    let log = verify_log(&folder, &ledger, &options, &brought).await;
    let chain = chain(&args, &folder, &ledger).await;
    ledger.close().await.map_err(BursarError::from)?;
    let chain = chain?;
    let (Verified { journal: found, uses, decisions, turned_back, worth_not_known }, log) = (verified?, log?);
    let (size, root, payloads) = (found.head.size, found.head.root, found.payloads_checked);
    let mut out = anstream::stdout().lock();
    let agrees = chain.as_ref().is_none_or(|chain| chain.problems.is_empty());
    if found.problems.is_empty() && log.problems.is_empty() && agrees {
        let _ =
            writeln!(out, "the journal verifies: {size} entries, root {root}, {payloads} payloads checked");
        let _ = writeln!(out, "{}", shown(&uses));
        let _ = write!(out, "{}", shown_decisions(&decisions));
        for turned in &turned_back {
            let (entry, from, to) = (turned.entry, turned.from, turned.to);
            let _ = writeln!(out, "the journal's time was turned back from {from} to {to}: entry {entry}");
        }
        for asset in &worth_not_known {
            let _ = writeln!(
                out,
                "not checked: what {} is worth in dollars; `--config` names it",
                line(asset.as_str(), 120)
            );
        }
        if found.payloads_erased > 0 {
            let _ = writeln!(out, "{} payloads were erased, and are not re-checkable", found.payloads_erased);
        }
        let _ = write!(out, "{}", shown_log(&log));
        if let Some(chain) = &chain {
            let _ = write!(out, "{}", shown_chain(chain));
        }
        return Ok(Exit::Done);
    }
    let _ = writeln!(out, "the journal does not verify: {size} entries, root {root}");
    for problem in &found.problems {
        let _ = writeln!(out, "  {problem}");
    }
    for problem in &log.problems {
        let _ = writeln!(out, "  the log: {}", line(problem, 600));
    }
    for problem in chain.iter().flat_map(|chain| &chain.problems) {
        let _ = writeln!(out, "  the chain: {}", line(problem, 600));
    }
    for unchecked in chain.iter().flat_map(|chain| &chain.unchecked) {
        let _ = writeln!(out, "  not checked: {}", line(unchecked, 400));
    }
    Ok(Exit::Failed)
}

/// What an auditor brought.
fn brought(args: &VerifyArgs) -> Result<Brought, CliError> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).map_err(|source| CliError::File {
            doing: "read",
            path: path.clone(),
            source,
        })?;
        Ok((path.display().to_string(), text))
    };
    let checkpoints: Result<_, CliError> = args.checkpoint.iter().map(read).collect();
    Ok(Brought { key: args.key.clone(), checkpoints: checkpoints?, witnesses: args.witness.clone() })
}

/// What the chain says of it, if it is asked.
async fn chain(args: &VerifyArgs, folder: &Path, ledger: &Ledger) -> Result<Option<ChainVerified>, CliError> {
    if args.rpc.is_empty() {
        return Ok(None);
    }
    let reconciler = match &args.log.config {
        Some(path) => Reconciler::configured(&Config::read(path)?, path.parent().unwrap_or(Path::new("."))),
        None => Reconciler::of(folder).assets(Amounts::pinned().registry()),
    };
    let reconciler = reconciler.read_at(&args.rpc);
    let reconciler = match &args.wallet {
        Some(address) => reconciler.wallet(address),
        None => reconciler,
    };
    match reconciler.verify(ledger).await {
        Ok(found) => Ok(Some(found)),
        // A journal of no payments names no wallet.
        Err(BursarError::NoOutflow(why)) => {
            Ok(Some(ChainVerified { unchecked: vec![why.to_owned()], ..ChainVerified::default() }))
        }
        Err(error) => Err(error.into()),
    }
}

/// What the chain says, and what could not be asked.
fn shown_chain(chain: &ChainVerified) -> String {
    let mut text = match chain.present {
        1 => "1 payment is on the chain as the journal has it\n".to_owned(),
        present => format!("{present} payments are on the chain as the journal has them\n"),
    };
    if chain.foreign > 0 {
        text.push_str(&format!("  {} of others from the shared wallet are left out\n", chain.foreign));
    }
    for unchecked in &chain.unchecked {
        text.push_str(&format!("  not checked: {}\n", line(unchecked, 400)));
    }
    text
}

/// What was published, and who else has it.
fn shown_log(log: &LogVerified) -> String {
    let Some(key) = &log.key else { return "the published log does not exist yet\n".to_owned() };
    let published = match log.published {
        Some(size) => format!("its last checkpoint is of {size} entries"),
        None => "it has no checkpoint".to_owned(),
    };
    if log.says_nothing() {
        let key = line(key, 400);
        return format!("nothing was published yet under {key}, so nothing is checked by it\n");
    }
    let mut text = format!(
        "the published log verifies: {published}, {} in its history, {} tiles, under {}\n",
        log.checkpoints,
        log.tiles,
        line(key, 400)
    );
    for place in &log.agree {
        text.push_str(&format!("  {}\n", line(place, 300)));
    }
    for place in &log.unchecked {
        text.push_str(&format!("  not checked: {}\n", line(place, 400)));
    }
    text
}

/// What cannot be taken again is never counted among what came out the same.
fn shown_decisions(decisions: &DecisionsVerified) -> String {
    let mut text = match decisions.again {
        1 => "1 decision is what its rules say over its facts\n".to_owned(),
        again => format!("{again} decisions are what their rules say over their facts\n"),
    };
    for (why, count) in &decisions.not {
        text.push_str(&format!("  {count} are not re-checkable: {}\n", line(why, 200)));
    }
    text
}

/// What is erased is never counted among what holds.
fn shown(uses: &UsesVerified) -> String {
    let held = match uses.held {
        1 => "1 recorded use holds".to_owned(),
        held => format!("{held} recorded uses hold"),
    };
    match uses.erased {
        0 => held,
        erased => format!("{held}, {erased} cannot be checked any more: erased"),
    }
}
