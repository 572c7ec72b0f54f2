//! `bursar audit verify`: reads the whole journal again.

use crate::args::VerifyArgs;
use crate::data;
use crate::exit::{CliError, Exit};
use bursar::BursarError;
use bursar::ledger::StoreError;
use bursar::memory::UsesVerified;
use bursar::report::{self, Verified};
use std::io::Write as _;

/// Runs the command.
pub(crate) async fn verify(args: VerifyArgs) -> Result<Exit, CliError> {
    let ledger = match data::ledger(&args.data.folder) {
        // A file that cannot be opened because of what is in it does not verify.
        Err(CliError::Bursar(BursarError::Ledger(
            error @ (StoreError::Corrupt { .. } | StoreError::RolledBack { .. }),
        ))) => {
            let _ = writeln!(anstream::stdout().lock(), "the journal does not verify\n  {error}");
            return Ok(Exit::Failed);
        }
        opened => opened?,
    };
    let Verified { journal: found, uses } = report::verify(&ledger).await?;
    ledger.close().await.map_err(BursarError::from)?;
    let (size, root, payloads) = (found.head.size, found.head.root, found.payloads_checked);
    let mut out = anstream::stdout().lock();
    if found.problems.is_empty() {
        let _ =
            writeln!(out, "the journal verifies: {size} entries, root {root}, {payloads} payloads checked");
        let _ = writeln!(out, "{}", shown(&uses));
        return Ok(Exit::Done);
    }
    let _ = writeln!(out, "the journal does not verify: {size} entries, root {root}");
    for problem in &found.problems {
        let _ = writeln!(out, "  {problem}");
    }
    Ok(Exit::Failed)
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
