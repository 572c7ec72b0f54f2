//! Whether a purchase counts wherever its mandates count it: money that no budget counts is beyond every cap.

use super::MeaningAudit;
use crate::payment::Held;
use crate::purse::{Purchase, item_budgets, item_lines, must_hold};
use bursar_ledger::{Budget, Line};

impl MeaningAudit {
    /// What it should have set aside, and did not. Nothing can be told once a session of it was erased.
    pub(super) fn not_counted(&mut self, held: &Held) -> Vec<String> {
        let mut problems = Vec::new();
        let Some(lineage) = self.sessions.lineage(held.ask.session) else { return problems };
        let quote = &held.offer.quote;
        let Some(cost) = &quote.cost_micro_usd else {
            return vec!["nobody could say what it costs in dollars".to_owned()];
        };
        let purchase = Purchase::of(&quote.host, &quote.payee, &quote.rail, &quote.resource);
        let mandates: Vec<_> = lineage.iter().map(|state| (state.id, &state.mandate)).collect();
        let mut lines: Vec<&Line> = held.lines.iter().collect();
        for must in must_hold(&mandates, &purchase, cost) {
            let known = self.meant.get(&must.budget.id);
            let is = |line: &&&Line| {
                let Some(opened) = self.holds.budget(line.budget) else { return false };
                let id = match must.named {
                    true => must.budget.id,
                    false => known.copied().unwrap_or(line.budget),
                };
                let as_told = Budget { id, ..must.budget.clone() };
                line.amount == must.amount && *opened == as_told
            };
            match lines.iter().find(is).map(|line| line.budget) {
                Some(budget) => {
                    lines.retain(|line| line.budget != budget);
                    if !must.named {
                        self.meant.insert(must.budget.id, budget);
                    }
                }
                None => problems.push(format!("it does not count in the budget `{}`", must.budget.name)),
            }
        }
        let item = lineage.first().and_then(|own| own.item(held.item, lineage.get(1).copied()));
        // Whether there is such an item is asked when it is signed.
        if let Some((item, cut_from)) = item {
            let is_open = |budget: &Budget| self.holds.budget(budget.id) == Some(budget);
            let as_opened = item_budgets(item, cut_from).is_ok_and(|budgets| budgets.iter().all(is_open));
            let counted = item_lines(held.item, cost).iter().all(|line| lines.contains(&line));
            if !(as_opened && counted) {
                problems.push(format!("it does not count in what is left of item {}", item.id));
            }
        }
        problems
    }
}
