//! What each account change and each condition does to the books.

use super::lines::{ANCESTORS_MAX, expand, known, same_debits};
use super::{BudgetRow, Draft, HoldRow, Need, RefundRow, Stop, amount_in};
use crate::account::{Budget, HoldPhase, Line, Window};
use crate::refusal::Refusal;
use crate::transaction::{AccountOp, OpOutcome};
use bursar_types::{Amount, BudgetId, HoldId, Timestamp};

impl Draft<'_> {
    /// Decides one account change. The draft is of no use after an error.
    pub(crate) fn apply(&mut self, op: &AccountOp) -> Result<OpOutcome, Stop> {
        match op {
            AccountOp::Open(budget) => self.open(budget),
            AccountOp::Hold { id, lines, expires_at } => self.set_aside(*id, lines, *expires_at),
            AccountOp::Pin { id } => self.pin(*id),
            AccountOp::Capture { id, lines, observed } => self.capture(*id, lines.as_deref(), *observed),
            AccountOp::Release { id } => self.release(*id),
            AccountOp::Refund { id, hold, lines } => self.refund(id, *hold, lines),
        }
    }

    /// The hold is pending and has not run out.
    pub(crate) fn require_pending(&self, id: HoldId) -> Result<(), Stop> {
        let phase = self.known_hold(id)?.phase_at(self.now);
        match phase {
            HoldPhase::Pending { .. } => Ok(()),
            phase => Err(Refusal::HoldNot { hold: id, needed: "pending", found: name(&phase) }.into()),
        }
    }

    /// The hold is pending and pinned.
    pub(crate) fn require_pinned(&self, id: HoldId) -> Result<(), Stop> {
        let phase = self.known_hold(id)?.phase_at(self.now);
        match phase {
            HoldPhase::Pending { expires_at: None } => Ok(()),
            phase => Err(Refusal::HoldNot { hold: id, needed: "pinned", found: name(&phase) }.into()),
        }
    }

    /// Spent and held of the budget are together at most `used_max`.
    pub(crate) fn require_used_at_most(&self, id: BudgetId, used_max: &Amount) -> Result<(), Stop> {
        let row = self.fresh(id)?;
        let unit = row.budget.limit.asset();
        if unit != used_max.asset() {
            return Err(Refusal::WrongUnit(id).into());
        }
        let used = row.spent.checked_add(row.held).ok_or(Refusal::OutOfRange)?;
        if used <= used_max.atomic() {
            return Ok(());
        }
        Err(Refusal::UsedMore { budget: id, used: Amount::from_atomic(unit.clone(), used) }.into())
    }

    fn open(&mut self, budget: &Budget) -> Result<OpOutcome, Stop> {
        if let Some(row) = self.budget(budget.id)? {
            if *row.budget == *budget {
                return Ok(OpOutcome::Repeated);
            }
            return Err(Refusal::DifferentParameters { id: budget.id.to_string() }.into());
        }
        let empty_window = matches!(budget.window, Window::Rolling { length_ms: 0 });
        if budget.limit.is_zero() || empty_window {
            return Err(Refusal::BadBudget(budget.id).into());
        }
        // A parent is opened before its children and never changes, so the only circle there can be is this one.
        if budget.parent == Some(budget.id) {
            return Err(Refusal::BadBudget(budget.id).into());
        }
        let mut above = budget.parent;
        let mut depth: usize = 0;
        while let Some(parent) = above {
            let row = known(self, parent)?;
            if row.budget.limit.asset() != budget.limit.asset() {
                return Err(Refusal::WrongUnit(budget.id).into());
            }
            above = row.budget.parent;
            depth =
                depth.checked_add(1).filter(|d| *d <= ANCESTORS_MAX).ok_or(Refusal::BadBudget(budget.id))?;
        }
        self.put_budget(BudgetRow::new(budget.clone()));
        Ok(OpOutcome::Done)
    }

    fn set_aside(&mut self, id: HoldId, lines: &[Line], expires_at: Timestamp) -> Result<OpOutcome, Stop> {
        if self.hold(id)?.is_some() {
            let debits = expand(self, id, lines)?;
            let hold = self.known_hold(id)?;
            if hold.expires_at == expires_at && same_debits(&hold.lines, &debits) {
                return Ok(OpOutcome::Repeated);
            }
            return Err(Refusal::DifferentParameters { id: id.to_string() }.into());
        }
        if lines.is_empty() {
            return Err(Refusal::BadLines(id).into());
        }
        let debits = expand(self, id, lines)?;
        // A hold that ran out before it was made never counts.
        let lives = expires_at > self.now;
        for line in &debits {
            let row = self.fresh(line.budget)?;
            let held = row.held.checked_add(line.amount.atomic()).ok_or(Refusal::OutOfRange)?;
            let used = row.spent.checked_add(held).ok_or(Refusal::OutOfRange)?;
            if used > row.budget.limit.atomic() {
                return Err(over_limit(row, &line.amount).into());
            }
            let row = BudgetRow { held, ..row.clone() };
            if lives {
                self.put_budget(row);
            }
        }
        let phase = match lives {
            true => HoldPhase::Pending { expires_at: Some(expires_at) },
            false => HoldPhase::Expired,
        };
        let held_at = self.now;
        let refunds = Vec::new();
        self.put_hold(HoldRow { id, lines: debits, held_at, expires_at, phase, observed: false, refunds });
        Ok(OpOutcome::Done)
    }

    fn pin(&mut self, id: HoldId) -> Result<OpOutcome, Stop> {
        let hold = self.known_hold(id)?;
        match hold.phase_at(self.now) {
            HoldPhase::Pending { expires_at: None } => Ok(OpOutcome::Repeated),
            HoldPhase::Pending { expires_at: Some(_) } => {
                let phase = HoldPhase::Pending { expires_at: None };
                let hold = HoldRow { phase, ..hold.clone() };
                self.put_hold(hold);
                Ok(OpOutcome::Done)
            }
            phase => Err(Refusal::HoldNot { hold: id, needed: "pending", found: name(&phase) }.into()),
        }
    }

    fn release(&mut self, id: HoldId) -> Result<OpOutcome, Stop> {
        let hold = self.known_hold(id)?.clone();
        match hold.phase_at(self.now) {
            HoldPhase::Released => Ok(OpOutcome::Repeated),
            HoldPhase::Pending { .. } => {
                self.give_back(&hold)?;
                self.put_hold(HoldRow { phase: HoldPhase::Released, ..hold });
                Ok(OpOutcome::Done)
            }
            phase => Err(Refusal::AlreadyResolved { hold: id, how: name(&phase) }.into()),
        }
    }

    fn capture(&mut self, id: HoldId, lines: Option<&[Line]>, observed: bool) -> Result<OpOutcome, Stop> {
        let hold = self.known_hold(id)?.clone();
        let debits = match lines {
            Some(lines) => expand(self, id, lines)?,
            None => hold.lines.clone(),
        };
        match hold.phase_at(self.now) {
            HoldPhase::Captured { lines: before, .. } if same_debits(&before, &debits) => {
                return Ok(OpOutcome::Repeated);
            }
            HoldPhase::Captured { lines: before, at } if observed && !hold.observed => {
                return self.raise(hold, &before, at, debits);
            }
            HoldPhase::Captured { .. } => {
                return Err(Refusal::DifferentParameters { id: id.to_string() }.into());
            }
            HoldPhase::Pending { .. } => {
                let above = |line: &Line| line.amount.atomic() > hold.held_in(line.budget);
                if !observed && debits.iter().any(above) {
                    return Err(Refusal::AboveHold(id).into());
                }
                self.give_back(&hold)?;
            }
            phase @ (HoldPhase::Released | HoldPhase::Expired) => {
                if !observed {
                    return Err(Refusal::AlreadyResolved { hold: id, how: name(&phase) }.into());
                }
            }
        }
        let at = self.now;
        for line in debits.iter().filter(|line| !line.amount.is_zero()) {
            self.spend(id, at, line.budget, line.amount.atomic(), line.amount.atomic())?;
        }
        let phase = HoldPhase::Captured { lines: debits, at };
        self.put_hold(HoldRow { phase, observed, ..hold });
        Ok(OpOutcome::Done)
    }

    /// Books an observed settlement above what was claimed. Where it is below, what was claimed stands: only a refund
    /// gives money back.
    fn raise(
        &mut self,
        hold: HoldRow,
        before: &[Line],
        at: Timestamp,
        observed: Vec<Line>,
    ) -> Result<OpOutcome, Stop> {
        let mut debits = before.to_vec();
        let mut raised = false;
        for line in observed {
            let more =
                line.amount.atomic().checked_sub(amount_in(before, line.budget)).filter(|more| *more > 0);
            let Some(more) = more else { continue };
            raised = true;
            let counted = line.amount.atomic().checked_sub(self.credited(&hold, line.budget)?);
            self.spend(hold.id, at, line.budget, more, counted.ok_or(Refusal::OutOfRange)?)?;
            debits.retain(|debit| debit.budget != line.budget);
            debits.push(line);
        }
        if !raised {
            return Ok(OpOutcome::Repeated);
        }
        let phase = HoldPhase::Captured { lines: debits, at };
        self.put_hold(HoldRow { phase, observed: true, ..hold });
        Ok(OpOutcome::Done)
    }

    fn refund(&mut self, refund: &str, id: HoldId, lines: &[Line]) -> Result<OpOutcome, Stop> {
        let hold = self.known_hold(id)?.clone();
        let (captured, at) = match hold.phase_at(self.now) {
            HoldPhase::Captured { lines, at } => (lines, at),
            phase @ (HoldPhase::Pending { .. } | HoldPhase::Released | HoldPhase::Expired) => {
                return Err(Refusal::HoldNot { hold: id, needed: "captured", found: name(&phase) }.into());
            }
        };
        if lines.is_empty() {
            return Err(Refusal::BadLines(id).into());
        }
        let credits = expand(self, id, lines)?;
        if let Some(before) = hold.refunds.iter().find(|before| before.id == refund) {
            if same_debits(&before.lines, &credits) {
                return Ok(OpOutcome::Repeated);
            }
            return Err(Refusal::DifferentParameters { id: refund.to_owned() }.into());
        }
        for line in &credits {
            let amount = line.amount.atomic();
            let refunded = refunded(&hold, line.budget)?.checked_add(amount).ok_or(Refusal::OutOfRange)?;
            let kept =
                amount_in(&captured, line.budget).checked_sub(refunded).ok_or(Refusal::AboveCapture(id))?;
            let row = known(self, line.budget)?;
            if amount == 0 || row.budget.gross || !row.counts(at, self.now) {
                continue;
            }
            let spent = row.spent.checked_sub(amount).ok_or(Refusal::OutOfRange)?;
            let rolling = matches!(row.budget.window, Window::Rolling { .. });
            let row = BudgetRow { spent, ..row.clone() };
            self.put_budget(row);
            if rolling {
                self.put_window((line.budget, at, id), kept);
            }
        }
        let mut refunds = hold.refunds.clone();
        refunds.push(RefundRow { id: refund.to_owned(), lines: credits });
        self.put_hold(HoldRow { refunds, ..hold });
        Ok(OpOutcome::Done)
    }

    /// Takes a hold's money out of what its budgets hold.
    fn give_back(&mut self, hold: &HoldRow) -> Result<(), Stop> {
        for line in &hold.lines {
            let row = known(self, line.budget)?;
            let held = row.held.checked_sub(line.amount.atomic()).ok_or(Refusal::OutOfRange)?;
            let row = BudgetRow { held, ..row.clone() };
            self.put_budget(row);
        }
        Ok(())
    }

    /// Adds `more` to what a budget spent; the capture made at `at` counts `counted` in its window.
    fn spend(
        &mut self,
        hold: HoldId,
        at: Timestamp,
        budget: BudgetId,
        more: u128,
        counted: u128,
    ) -> Result<(), Stop> {
        let row = known(self, budget)?;
        if !row.counts(at, self.now) {
            return Ok(());
        }
        let mut row = row.clone();
        row.spent = row.spent.checked_add(more).ok_or(Refusal::OutOfRange)?;
        let rolling = matches!(row.budget.window, Window::Rolling { .. });
        if rolling {
            row.oldest = Some(row.oldest.map_or(at, |oldest| oldest.min(at)));
            self.put_window((budget, at, hold), counted);
        }
        self.put_budget(row);
        Ok(())
    }

    /// What refunds of the hold have given back to the budget.
    fn credited(&self, hold: &HoldRow, budget: BudgetId) -> Result<u128, Stop> {
        match known(self, budget)?.budget.gross {
            true => Ok(0),
            false => Ok(refunded(hold, budget)?),
        }
    }

    /// A budget whose window was brought up to now.
    fn fresh(&self, id: BudgetId) -> Result<&BudgetRow, Stop> {
        let row = known(self, id)?;
        match row.is_stale(self.now) {
            true => Err(Stop::Needs(Need::Window(id))),
            false => Ok(row),
        }
    }
}

fn refunded(hold: &HoldRow, budget: BudgetId) -> Result<u128, Refusal> {
    let mut refunded: u128 = 0;
    for refund in &hold.refunds {
        refunded = refunded.checked_add(amount_in(&refund.lines, budget)).ok_or(Refusal::OutOfRange)?;
    }
    Ok(refunded)
}

fn over_limit(row: &BudgetRow, asked: &Amount) -> Refusal {
    let amount = |atomic| Amount::from_atomic(row.budget.limit.asset().clone(), atomic);
    Refusal::OverLimit {
        budget: row.budget.id,
        name: row.budget.name.clone(),
        limit: row.budget.limit.clone(),
        spent: amount(row.spent),
        held: amount(row.held),
        asked: asked.clone(),
    }
}

const fn name(phase: &HoldPhase) -> &'static str {
    match phase {
        HoldPhase::Pending { .. } => "pending",
        HoldPhase::Captured { .. } => "captured",
        HoldPhase::Released => "released",
        HoldPhase::Expired => "expired",
    }
}
