//! Which runs nobody goes on with.

use async_trait::async_trait;
use bursar_agent_core::{DEPTH_MAX, Record, read_run};
use bursar_ledger::Ledger;
use bursar_payments::Runs;
use bursar_types::RunId;

/// Reads runs from the ledger they are kept in.
#[derive(Debug)]
pub(crate) struct RunsInLedger(pub(crate) Ledger);

#[async_trait]
impl Runs for RunsInLedger {
    /// A run is over when it has ended for good, when the call that it worked for has its result, or when the run above is over. One
    /// that is kept elsewhere, or cannot be read, may go on.
    async fn is_over(&self, run: RunId) -> bool {
        let mut at = run;
        // The run itself, and those above it.
        for _ in 0..=DEPTH_MAX {
            let Ok((state, _)) = read_run(&self.0, at).await else { return false };
            if state.has_ended() {
                return true;
            }
            let Some(under) = state.under() else { return false };
            let Ok((_, above)) = read_run(&self.0, under.cause.run).await else { return false };
            let has_result = above.iter().any(
                |entry| matches!(&entry.record, Record::CallFinished { call, .. } if *call == under.cause.call),
            );
            if has_result {
                return true;
            }
            at = under.cause.run;
        }
        false
    }
}
