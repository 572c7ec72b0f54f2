//! The stores against a reference that keeps nothing but the list of what was accepted, and works everything out from it
//! each time it is asked.

use crate::support::*;
use bursar_ledger::{AccountOp, Budget, CommitError, HoldPhase, Ledger, Line, OpOutcome, Window};
use bursar_types::{Amount, AssetId, BudgetId, HoldId, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(crate) const BUDGETS: u8 = 6;
pub(crate) const HOLDS: u32 = 7;

#[derive(Debug, Clone, Default)]
pub(crate) struct Reference {
    pub(crate) accepted: Vec<(u64, AccountOp)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Phase {
    Pending,
    Pinned,
    Captured { at: u64, debits: BTreeMap<BudgetId, u128> },
    Released,
    Expired,
}

impl Reference {
    fn budgets(&self) -> Vec<&Budget> {
        let open = |(_, op): &'_ (u64, AccountOp)| matches!(op, AccountOp::Open(_));
        self.accepted
            .iter()
            .filter(|entry| open(entry))
            .map(|(_, op)| match op {
                AccountOp::Open(budget) => budget,
                _ => unreachable!(),
            })
            .collect()
    }

    pub(crate) fn find(&self, id: BudgetId) -> Option<&Budget> {
        self.budgets().into_iter().find(|budget| budget.id == id)
    }

    /// From the roots down: what is named, or what the children come to, whichever is more.
    pub(crate) fn debit(&self, of: &[Line], id: BudgetId) -> u128 {
        let named = of.iter().filter(|line| line.budget == id).map(|line| line.amount.atomic()).sum();
        let children = self.budgets().into_iter().filter(|budget| budget.parent == Some(id));
        u128::max(named, children.map(|child| self.debit(of, child.id)).sum())
    }

    pub(crate) fn debits(&self, of: &[Line]) -> BTreeMap<BudgetId, u128> {
        let all = self.budgets().into_iter().map(|budget| (budget.id, self.debit(of, budget.id)));
        all.filter(|(_, debit)| *debit > 0).collect()
    }

    pub(crate) fn held(&self, hold: HoldId) -> Option<(u64, &[Line], u64)> {
        self.accepted.iter().find_map(|(at, op)| match op {
            AccountOp::Hold { id, lines, expires_at } if *id == hold => {
                Some((*at, lines.as_slice(), expires_at.unix_ms()))
            }
            _ => None,
        })
    }

    fn observed(&self, hold: HoldId) -> bool {
        self.accepted
            .iter()
            .any(|(_, op)| matches!(op, AccountOp::Capture { id, observed: true, .. } if *id == hold))
    }

    pub(crate) fn phase(&self, hold: HoldId, now: u64) -> Option<Phase> {
        let (_, held, expires_at) = self.held(hold)?;
        let mut phase = Phase::Pending;
        for (at, op) in &self.accepted {
            match op {
                AccountOp::Pin { id } if *id == hold => phase = Phase::Pinned,
                AccountOp::Release { id } if *id == hold => phase = Phase::Released,
                AccountOp::Capture { id, lines, .. } if *id == hold => {
                    let debits = self.debits(lines.as_deref().unwrap_or(held));
                    phase = match phase {
                        Phase::Captured { at, debits: before } => {
                            let mut most = before;
                            for (budget, debit) in debits {
                                let known = most.entry(budget).or_default();
                                *known = debit.max(*known);
                            }
                            Phase::Captured { at, debits: most }
                        }
                        _ => Phase::Captured { at: *at, debits },
                    };
                }
                _ => {}
            }
        }
        match phase {
            Phase::Pending if expires_at <= now => Some(Phase::Expired),
            phase => Some(phase),
        }
    }

    fn refunds(&self, hold: HoldId) -> Vec<(&str, BTreeMap<BudgetId, u128>)> {
        let refund = |(_, op): &'_ (u64, AccountOp)| match op {
            AccountOp::Refund { hold: of, .. } => *of == hold,
            _ => false,
        };
        self.accepted
            .iter()
            .filter(|entry| refund(entry))
            .map(|(_, op)| match op {
                AccountOp::Refund { id, lines, .. } => (id.as_str(), self.debits(lines)),
                _ => unreachable!(),
            })
            .collect()
    }

    fn refunded(&self, hold: HoldId, budget: BudgetId) -> u128 {
        self.refunds(hold).iter().filter_map(|(_, credits)| credits.get(&budget)).sum()
    }

    /// Spent and held.
    pub(crate) fn used(&self, budget: &Budget, now: u64) -> (u128, u128) {
        let (mut spent, mut held) = (0, 0);
        for id in (0..HOLDS).map(hold_id) {
            match self.phase(id, now) {
                Some(Phase::Pending | Phase::Pinned) => {
                    held += self.debit(self.held(id).unwrap().1, budget.id);
                }
                Some(Phase::Captured { at, debits }) => {
                    let counts = match budget.window {
                        Window::Life => true,
                        Window::Open => false,
                        Window::Rolling { length_ms } => now < at + length_ms,
                    };
                    let back = if budget.gross { 0 } else { self.refunded(id, budget.id) };
                    if counts {
                        spent += debits.get(&budget.id).copied().unwrap_or(0) - back;
                    }
                }
                _ => {}
            }
        }
        (spent, held)
    }

    /// What is wrong with lines before anything is known of the hold.
    fn check_lines(&self, of: &[Line]) -> Result<(), &'static str> {
        for (index, line) in of.iter().enumerate() {
            let Some(budget) = self.find(line.budget) else { return Err("UnknownBudget") };
            if budget.limit.asset() != line.amount.asset() {
                return Err("WrongUnit");
            }
            if of[..index].iter().any(|before| before.budget == line.budget) {
                return Err("BadLines");
            }
        }
        Ok(())
    }

    /// `true` if it would be done now, `false` if it was done before.
    pub(crate) fn decide(&self, op: &AccountOp, now: u64) -> Result<bool, &'static str> {
        match op {
            AccountOp::Open(budget) => match self.find(budget.id) {
                Some(known) if known == budget => Ok(false),
                Some(_) => Err("DifferentParameters"),
                None if budget.limit.is_zero() || budget.parent == Some(budget.id) => Err("BadBudget"),
                None => match budget.parent.map(|parent| self.find(parent)) {
                    None => Ok(true),
                    Some(None) => Err("UnknownBudget"),
                    Some(Some(parent)) if parent.limit.asset() != budget.limit.asset() => Err("WrongUnit"),
                    Some(Some(_)) => Ok(true),
                },
            },
            AccountOp::Hold { id, lines, expires_at } => {
                if let Some((_, before, expires)) = self.held(*id) {
                    self.check_lines(lines)?;
                    let same = expires == expires_at.unix_ms() && self.debits(before) == self.debits(lines);
                    return if same { Ok(false) } else { Err("DifferentParameters") };
                }
                if lines.is_empty() {
                    return Err("BadLines");
                }
                self.check_lines(lines)?;
                for budget in self.budgets() {
                    let touched = lines.iter().any(|line| self.is_under(line.budget, budget.id));
                    let (spent, held) = self.used(budget, now);
                    if touched && spent + held + self.debit(lines, budget.id) > budget.limit.atomic() {
                        return Err("OverLimit");
                    }
                }
                Ok(true)
            }
            AccountOp::Pin { id } => match self.phase(*id, now).ok_or("UnknownHold")? {
                Phase::Pending => Ok(true),
                Phase::Pinned => Ok(false),
                _ => Err("HoldNot"),
            },
            AccountOp::Release { id } => match self.phase(*id, now).ok_or("UnknownHold")? {
                Phase::Pending | Phase::Pinned => Ok(true),
                Phase::Released => Ok(false),
                _ => Err("AlreadyResolved"),
            },
            AccountOp::Capture { id, lines, observed } => {
                let phase = self.phase(*id, now).ok_or("UnknownHold")?;
                let held = self.held(*id).unwrap().1;
                let lines = lines.as_deref().unwrap_or(held);
                self.check_lines(lines)?;
                let (debits, held) = (self.debits(lines), self.debits(held));
                let above = |debits: &BTreeMap<BudgetId, u128>, of: &BTreeMap<BudgetId, u128>| {
                    debits.iter().any(|(id, debit)| *debit > of.get(id).copied().unwrap_or(0))
                };
                match phase {
                    Phase::Captured { debits: before, .. } if before == debits => Ok(false),
                    Phase::Captured { debits: before, .. } if *observed && !self.observed(*id) => {
                        Ok(above(&debits, &before))
                    }
                    Phase::Captured { .. } => Err("DifferentParameters"),
                    _ if *observed => Ok(true),
                    Phase::Pending | Phase::Pinned if above(&debits, &held) => Err("AboveHold"),
                    Phase::Pending | Phase::Pinned => Ok(true),
                    Phase::Released | Phase::Expired => Err("AlreadyResolved"),
                }
            }
            AccountOp::Refund { id, hold, lines } => {
                let phase = self.phase(*hold, now).ok_or("UnknownHold")?;
                let Phase::Captured { debits, .. } = phase else { return Err("HoldNot") };
                if lines.is_empty() {
                    return Err("BadLines");
                }
                self.check_lines(lines)?;
                let credits = self.debits(lines);
                if let Some((_, before)) = self.refunds(*hold).into_iter().find(|(name, _)| name == id) {
                    return if before == credits { Ok(false) } else { Err("DifferentParameters") };
                }
                for (budget, credit) in credits {
                    let captured = debits.get(&budget).copied().unwrap_or(0);
                    if self.refunded(*hold, budget) + credit > captured {
                        return Err("AboveCapture");
                    }
                }
                Ok(true)
            }
        }
    }

    /// Decides changes in order, all of them or none.
    pub(crate) fn decide_all(&mut self, ops: &[AccountOp], now: u64) -> Result<Vec<OpOutcome>, &'static str> {
        let mut draft = self.clone();
        let mut outcomes = Vec::new();
        for op in ops {
            if draft.decide(op, now)? {
                draft.accepted.push((now, op.clone()));
                outcomes.push(OpOutcome::Done);
            } else {
                outcomes.push(OpOutcome::Repeated);
            }
        }
        *self = draft;
        Ok(outcomes)
    }

    /// What an observed settlement booked of a hold in a budget.
    pub(crate) fn observed_in(&self, hold: HoldId, budget: BudgetId) -> u128 {
        match self.phase(hold, 0) {
            Some(Phase::Captured { debits, .. }) if self.observed(hold) => {
                debits.get(&budget).copied().unwrap_or(0)
            }
            _ => 0,
        }
    }

    fn is_under(&self, id: BudgetId, ancestor: BudgetId) -> bool {
        id == ancestor
            || self.find(id).and_then(|budget| budget.parent).is_some_and(|p| self.is_under(p, ancestor))
    }
}

#[derive(Debug, Clone)]
struct Step {
    wait_ms: u64,
    ops: Vec<AccountOp>,
    /// Which handle is asked, where there are several.
    handle: usize,
}

/// A tree of five in one unit, with windows, one that counts only what is open, and gross ones in it, and one in another unit.
pub(crate) fn a_budget() -> impl Strategy<Value = Budget> {
    (0..BUDGETS, 0..40_u32).prop_map(|(id, odd)| {
        let parent = [None, Some(0), Some(0), Some(1), None, None][usize::from(id)];
        let rolling = Window::Rolling { length_ms: [50, 120][usize::from(id % 2)] };
        let limit = u128::from([90_u8, 60, 45, 30, 80, 3][usize::from(id)]);
        let asset = if id == 5 { AssetId::count() } else { AssetId::micro_usd() };
        // Now and then one that is not well formed, or not the same as before.
        let limit = if odd == 0 { 0 } else { limit + u128::from(odd == 1) };
        let parent = if odd == 2 { Some(5) } else { parent };
        Budget {
            id: budget_id(id),
            name: format!("budget {id}"),
            limit: Amount::from_atomic(asset, limit),
            window: match id {
                1 | 3 => rolling,
                4 => Window::Open,
                _ => Window::Life,
            },
            gross: id == 2,
            parent: parent.map(budget_id),
        }
    })
}

pub(crate) fn some_lines() -> impl Strategy<Value = Vec<Line>> {
    let line = (0..BUDGETS, 0..25_u8, 0..30_u8).prop_map(|(id, amount, odd)| {
        let counted = (id == 5) != (odd == 0);
        let asset = if counted { AssetId::count() } else { AssetId::micro_usd() };
        let amount = if id == 5 { amount % 3 } else { amount };
        Line { budget: budget_id(id), amount: Amount::from_atomic(asset, u128::from(amount)) }
    });
    prop::collection::vec(line, 0..4)
}

/// Any change; a hold runs out within half a second of `now`.
pub(crate) fn an_op(now: u64) -> impl Strategy<Value = AccountOp> + use<> {
    let id = || (0..HOLDS).prop_map(hold_id);
    prop_oneof![
        2 => a_budget().prop_map(AccountOp::Open),
        6 => (id(), some_lines(), 0..5_u64).prop_map(move |(id, lines, soon)| {
            let expires_at = Timestamp::from_unix_ms(now + soon * 120);
            AccountOp::Hold { id, lines, expires_at }
        }),
        3 => id().prop_map(|id| AccountOp::Pin { id }),
        5 => (id(), prop::option::of(some_lines()), any::<bool>())
            .prop_map(|(id, lines, observed)| AccountOp::Capture { id, lines, observed }),
        2 => id().prop_map(|id| AccountOp::Release { id }),
        4 => (0..3_u8, id(), some_lines())
            .prop_map(|(name, hold, lines)| AccountOp::Refund { id: name.to_string(), hold, lines }),
    ]
}

fn steps(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    let wait = prop_oneof![3 => Just(0), 2 => 1..40_u64, 1 => Just(50_u64)];
    let step = (wait, prop::collection::vec(an_op(START_MS), 1..4), 0..2_usize)
        .prop_map(|(wait_ms, ops, handle)| Step { wait_ms, ops, handle });
    // Most budgets are there from the start, or little would happen.
    (prop::collection::vec(a_budget(), 4..12), prop::collection::vec(step, 1..longest)).prop_map(
        |(budgets, mut steps)| {
            let opens =
                budgets.into_iter().map(|b| Step { wait_ms: 0, ops: vec![AccountOp::Open(b)], handle: 0 });
            let mut all: Vec<Step> = opens.collect();
            all.append(&mut steps);
            all
        },
    )
}

/// Runs the steps on the handles and on the reference, and compares after each.
async fn check(f: &Fixture, handles: &[Ledger], steps: Vec<Step>) {
    let mut reference = Reference::default();
    for (index, step) in steps.into_iter().enumerate() {
        f.clock.advance_ms(step.wait_ms);
        let now = f.now().unix_ms();
        let what = format!("step {index}: {step:?}");
        let ledger = &handles[step.handle % handles.len()];
        let expected = reference.decide_all(&step.ops, now);
        match (ledger.commit(ops(step.ops)).await, expected) {
            (Ok(committed), Ok(outcomes)) => {
                assert_eq!(committed.outcomes, outcomes, "{what}");
            }
            (Err(CommitError::Refused(refusal)), Err(name)) => {
                assert!(format!("{refusal:?}").starts_with(name), "{what}: {refusal:?}, not {name}");
            }
            (found, expected) => panic!("{what}: {found:?}, not {expected:?}"),
        }
        compare(ledger, &reference, now, &what).await;
    }
    f.verify().await;
}

pub(crate) async fn compare(ledger: &Ledger, reference: &Reference, now: u64, what: &str) {
    for id in (0..BUDGETS).map(budget_id) {
        let found = ledger.budget(id).await.unwrap();
        let found = found.map(|state| (state.spent.atomic(), state.held.atomic()));
        assert_eq!(found, reference.find(id).map(|budget| reference.used(budget, now)), "{id} after {what}");
    }
    for id in (0..HOLDS).map(hold_id) {
        let found = ledger.hold(id).await.unwrap().map(|state| match state.phase {
            HoldPhase::Pending { expires_at: Some(_) } => Phase::Pending,
            HoldPhase::Pending { expires_at: None } => Phase::Pinned,
            HoldPhase::Captured { lines, at } => {
                let debits = lines.iter().map(|line| (line.budget, line.amount.atomic()));
                Phase::Captured { at: at.unix_ms(), debits: debits.filter(|(_, debit)| *debit > 0).collect() }
            }
            HoldPhase::Released => Phase::Released,
            HoldPhase::Expired => Phase::Expired,
        });
        assert_eq!(found, reference.phase(id, now), "{id} after {what}");
    }
}

pub(crate) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn memory_does_what_the_reference_does(steps in steps(60)) {
        run(async {
            let f = Fixture::memory();
            check(&f, std::slice::from_ref(&f.ledger), steps).await;
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn a_file_does_what_the_reference_does(steps in steps(60)) {
        run(async {
            let f = Fixture::sqlite();
            check(&f, std::slice::from_ref(&f.ledger), steps).await;
        });
    }

    #[test]
    fn two_stores_on_one_file_do_what_the_reference_does(steps in steps(60)) {
        run(async {
            let f = Fixture::sqlite();
            check(&f, &[f.ledger.clone(), f.another()], steps).await;
        });
    }
}
