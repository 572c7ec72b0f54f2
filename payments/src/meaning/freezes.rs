//! What stood still, as the streams of freezes tell it.

use crate::freeze::{FREEZES, FreezeRecord, FreezeScope, THAWED};
use bursar_ledger::Entry;
use bursar_types::AgentId;
use std::collections::BTreeMap;

/// Whoever stands still, by the stream that says so. Sessions tell it of themselves.
#[derive(Debug, Default)]
pub(super) struct Freezes(BTreeMap<String, FreezeScope>);

impl Freezes {
    /// Reads a freeze or a thaw; `None` in place of one whose event was erased.
    pub(super) fn apply(&mut self, entry: &Entry, record: Option<FreezeRecord>) -> Option<String> {
        let stream = entry.stream.as_str();
        // Whose stream it is, as far as its name tells: the rest is a pseudonym.
        let kind = stream.strip_prefix(FREEZES).unwrap_or_default().split('/').next().unwrap_or_default();
        if entry.kind == THAWED {
            self.0.remove(stream);
        }
        let scope = match (record.map(|record| record.scope), kind) {
            // What left the wallet without the journal stops everybody.
            (None | Some(FreezeScope::All), "all") | (None | Some(FreezeScope::Wallet { .. }), "outflow") => {
                FreezeScope::All
            }
            (Some(scope @ FreezeScope::Wallet { .. }), "wallet")
            | (Some(scope @ FreezeScope::Agent { .. }), "agent") => scope,
            (None, _) => return None,
            (Some(scope), _) => {
                return Some(format!("entry {} of `{stream}` freezes or thaws {scope}", entry.sequence));
            }
        };
        // Whatever it is that is no thaw stands still.
        if entry.kind != THAWED {
            self.0.insert(stream.to_owned(), scope);
        }
        None
    }

    /// Why this wallet may sign nothing for these agents.
    pub(super) fn stopped(&self, payer: &str, agents: &[AgentId]) -> Option<String> {
        let wallet = FreezeScope::wallet(payer);
        let stops = |scope: &&FreezeScope| match scope {
            FreezeScope::All => true,
            FreezeScope::Wallet { .. } => **scope == wallet,
            FreezeScope::Agent { agent } => agents.contains(agent),
            FreezeScope::Session { .. } => false,
        };
        self.0.values().find(stops).map(|scope| format!("spending of `{scope}` was frozen"))
    }
}
