//! Whether a purchase, and a session's beginning, count wherever mandates count them: money that no budget counts is beyond every cap.

use super::MeaningAudit;
use crate::payment::Held;
use crate::purse::{MustHold, Purchase, counts_models, item_budgets, item_lines, must_count, must_hold};
use bursar_ledger::{Budget, Line};
use bursar_types::{Amount, HoldId, SessionId};

impl MeaningAudit {
    /// What it should have set aside, and did not. Nothing can be told once a session of it was erased.
    pub(super) fn not_counted(&mut self, held: &Held) -> Vec<String> {
        let Some(lineage) = self.sessions.lineage(held.ask.session) else { return Vec::new() };
        let quote = &held.offer.quote;
        let Some(cost) = &quote.cost_micro_usd else {
            return vec!["nobody could say what it costs in dollars".to_owned()];
        };
        let purchase = Purchase::of(&quote.host, &quote.payee, &quote.rail, &quote.resource);
        let mandates: Vec<_> = lineage.iter().map(|state| (state.id, &state.mandate)).collect();
        let must = must_hold(&mandates, Some(&purchase), cost);
        let item = lineage.first().and_then(|own| own.item(held.item, lineage.get(1).copied()));
        let item = item.map(|(item, cut_from)| (item.id, item_budgets(item, cut_from)));
        let mut lines: Vec<&Line> = held.lines.iter().collect();
        let mut problems: Vec<String> = self.worth.wrong(&quote.price, cost.atomic()).into_iter().collect();
        problems.extend(self.missing(must, &mut lines));
        // Whether there is such an item is asked when it is signed.
        if let Some((id, budgets)) = item {
            let is_open = |budget: &Budget| self.holds.budget(budget.id) == Some(budget);
            let as_opened = budgets.is_ok_and(|budgets| budgets.iter().all(is_open));
            let counted = item_lines(held.item, cost).iter().all(|line| lines.contains(&line));
            if !(as_opened && counted) {
                problems.push(format!("it does not count in what is left of item {id}"));
            }
        }
        problems
    }

    /// In which budgets that count all spending a turn of the model does not count.
    pub(super) fn model_not_counted(
        &mut self,
        session: SessionId,
        lines: &[Line],
        most: &Amount,
    ) -> Vec<String> {
        let Some(lineage) = self.sessions.lineage(session) else { return Vec::new() };
        let mandates: Vec<_> = lineage.iter().map(|state| (state.id, &state.mandate)).collect();
        let mut must = must_hold(&mandates, None, most);
        must.retain(|must| counts_models(must.part));
        self.missing(must, &mut lines.iter().collect())
    }

    /// In which limits on beginnings a session does not count.
    pub(super) fn beginning_not_counted(&mut self, session: SessionId) -> Vec<String> {
        let Some(lineage) = self.sessions.lineage(session) else { return Vec::new() };
        let mandates: Vec<_> = lineage.iter().map(|state| (state.id, &state.mandate)).collect();
        let must = must_count(&mandates);
        let lines = self.holds.counted_beginning(HoldId::derived(&[b"session", session.as_bytes()]));
        let lines = lines.unwrap_or_default();
        self.missing(must, &mut lines.iter().collect())
    }

    /// Which of these are in none of the lines. What is found is taken out of them.
    fn missing(&mut self, must: Vec<MustHold>, lines: &mut Vec<&Line>) -> Vec<String> {
        let mut problems = Vec::new();
        for must in must {
            let known = self.meant.get(&must.budget.id);
            let is = |line: &&&Line| {
                let id = match must.named {
                    true => must.budget.id,
                    false => known.copied().unwrap_or(line.budget),
                };
                let opened = self.holds.budget(line.budget);
                line.amount == must.amount
                    && line.budget == id
                    && opened.is_some_and(|opened| must.is(opened))
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
        problems
    }
}
