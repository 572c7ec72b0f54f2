//! What models cost, as the entries tell it.

use super::MeaningAudit;
use crate::purse::{MODEL_HELD, MODEL_SETTLED};
use bursar_ledger::Entry;
use bursar_types::{Amount, AssetId, HoldId, SessionId};
use serde_json::Value;

impl MeaningAudit {
    /// Sets aside or settles a turn of a model: the money moves with it, in every budget that counts all spending.
    pub(super) fn model(&mut self, entry: &Entry, session: SessionId) {
        let sequence = entry.sequence;
        let field = |name: &str| entry.body.get(name).and_then(Value::as_str);
        let hold = field("hold").and_then(|id| HoldId::parse(id).ok());
        let amount = field("micro_usd").and_then(|amount| amount.parse::<u128>().ok());
        let (Some(hold), Some(amount)) = (hold, amount) else {
            self.problem(format!("entry {sequence} about a model names no hold or amount"));
            return;
        };
        match entry.kind.as_str() {
            MODEL_HELD => match self.holds.model_held(hold, amount) {
                Ok(lines) => {
                    let most = Amount::from_atomic(AssetId::micro_usd(), amount);
                    for problem in self.model_not_counted(session, &lines, &most) {
                        self.problem(format!("entry {sequence} sets aside for a model, and {problem}"));
                    }
                }
                Err(problem) => self.problem(format!("entry {sequence} {problem}")),
            },
            MODEL_SETTLED => {
                if let Some(problem) = self.holds.model_settled(hold, amount) {
                    self.problem(format!("entry {sequence} {problem}"));
                }
            }
            other => self.problem(format!("entry {sequence} is a `{other}`, which models know nothing of")),
        }
    }
}
