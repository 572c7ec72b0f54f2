//! What an auditor is told about the chain.

use super::lists::{List, Reconciliation};
use bursar_payments::Stand;

/// More problems than this are only counted.
const PROBLEMS_MAX: usize = 50;

/// The chain against the journal, for an auditor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainVerified {
    /// Payments that the chain has as the journal says.
    pub present: u64,
    /// What left a wallet that others use too.
    pub foreign: u64,
    /// Payments of which only the payee says that they were paid, and the chain does not have them (yet); and what could not be read.
    /// It says nothing.
    pub unchecked: Vec<String>,
    /// What does not agree; empty means that nothing was found.
    pub problems: Vec<String>,
}

impl ChainVerified {
    pub(super) fn of(found: &Reconciliation) -> Self {
        let mut verified = Self { foreign: found.foreign, ..Self::default() };
        for item in &found.items {
            let payment =
                item.here.as_ref().map(|here| format!("payment {}", here.payment)).unwrap_or_default();
            let sent = item.there.as_ref().map(|there| {
                let (tx, to) = (there.tx.as_deref().unwrap_or("?"), there.payee.as_deref().unwrap_or("?"));
                format!("{} atomic units to {to} in {tx}", there.amount.atomic())
            });
            let (sent, why) = (sent.unwrap_or_default(), item.why.join("; "));
            match item.list {
                List::Matched => verified.present = verified.present.saturating_add(1),
                List::MissingHere => {
                    let known = if payment.is_empty() { String::new() } else { format!(" ({payment})") };
                    verified.problems.push(format!("{sent} left the wallet: {why}{known}"));
                }
                List::Different => {
                    verified.problems.push(format!("{payment}: the chain has {sent}, another {why}"));
                }
                List::MissingThere => {
                    let observed = item.here.as_ref().map(|here| here.stand);
                    match observed {
                        Some(Stand::Paid { observed: true }) => verified.problems.push(format!(
                            "{payment}: the journal says that the chain was seen to have it, and the chain does not"
                        )),
                        _ => verified.unchecked.push(format!(
                            "{payment}: only the payee says that it was paid, and the chain does not have it"
                        )),
                    }
                }
            }
        }
        let unread = found.unread.iter().map(|(asset, problem)| format!("{asset}: {problem}"));
        verified.unchecked.extend(unread);
        let more = verified.problems.len().saturating_sub(PROBLEMS_MAX);
        if more > 0 {
            verified.problems.truncate(PROBLEMS_MAX);
            verified.problems.push(format!("and {more} more"));
        }
        verified
    }
}
