//! The money set aside, as the ledger's own entries tell it.

use bursar_ledger::{AccountOp, Budget, Entry, Line};
use bursar_types::{AssetId, BudgetId, HoldId, PaymentId, SessionId, Timestamp};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// The body of an entry that changes accounts; what else stands in it is for the ledger's own check.
#[derive(Debug, Deserialize)]
struct Changes {
    ops: Vec<AccountOp>,
}

/// How far a hold is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    Pending,
    Pinned,
    Captured,
    Released,
}

impl Account {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "set aside",
            Self::Pinned => "kept for a signature",
            Self::Captured => "captured",
            Self::Released => "given back",
        }
    }
}

/// One hold.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) id: HoldId,
    pub(super) lines: Vec<Line>,
    pub(super) account: Account,
    /// What was spent of it, once it was captured.
    captured: Option<Vec<Line>>,
    pub(super) expires_at: Timestamp,
    /// The last entry that changed it.
    pub(super) entry: u64,
    /// The payment that says it is its own.
    pub(super) payment: Option<PaymentId>,
    /// Whether it counts that a session began, and sets no money aside.
    counts_session: bool,
    /// What a turn of the model set aside with it says of itself.
    model: Option<ModelTurn>,
    /// Whether a person took into the journal what had left without it.
    adopted: bool,
    /// What was credited of it, by name.
    credits: BTreeMap<String, Vec<Line>>,
    /// Credits that no payment has told of yet, with their entries.
    untold: Vec<(String, u64)>,
}

/// What a turn of the model says of what was set aside for it: nothing yet, or what it cost.
#[derive(Debug, Default)]
struct ModelTurn {
    settled: Option<u128>,
}

/// Every hold of the journal, and every budget.
#[derive(Debug, Default)]
pub(super) struct Holds {
    holds: HashMap<HoldId, Hold>,
    budgets: HashMap<BudgetId, Budget>,
}

impl Hold {
    /// Whether it stands as its turn of the model says: kept until that is settled, then captured for what it cost, or given back.
    fn is_as_its_turn_says(&self) -> bool {
        let Some(turn) = &self.model else { return true };
        match (turn.settled, self.account) {
            (None, Account::Pinned) | (Some(0), Account::Released) => true,
            (Some(cost), Account::Captured) => self.captured.as_ref().is_some_and(|lines| {
                lines.len() == self.lines.len() && lines.iter().all(|line| line.amount.atomic() == cost)
            }),
            _ => false,
        }
    }
}

impl Holds {
    pub(super) fn get(&self, id: HoldId) -> Option<&Hold> {
        self.holds.get(&id)
    }

    /// A budget as it was opened.
    pub(super) fn budget(&self, id: BudgetId) -> Option<&Budget> {
        self.budgets.get(&id)
    }

    /// The journal's time was turned back from here: what had run out by then was given back, and stays so.
    pub(super) fn ran_out(&mut self, by: Timestamp) {
        let pending = self.holds.values_mut().filter(|hold| hold.account == Account::Pending);
        pending.filter(|hold| hold.expires_at <= by).for_each(|hold| hold.account = Account::Released);
    }

    /// A payment says that the hold is its own.
    pub(super) fn claim(&mut self, id: HoldId, payment: PaymentId) {
        if let Some(hold) = self.holds.get_mut(&id) {
            hold.payment = Some(payment);
        }
    }

    /// A session began: where its mandate limits how many may, that is counted by a hold of its own.
    pub(super) fn session_began(&mut self, session: SessionId) {
        if let Some(hold) = self.holds.get_mut(&HoldId::derived(&[b"session", session.as_bytes()])) {
            hold.counts_session = hold.lines.iter().all(|line| *line.amount.asset() == AssetId::count());
        }
    }

    /// What a hold that counts a session's beginning has spent.
    pub(super) fn counted_beginning(&self, id: HoldId) -> Option<Vec<Line>> {
        let hold = self.holds.get(&id).filter(|hold| hold.counts_session);
        hold.and_then(|hold| hold.captured.clone())
    }

    /// A person took something into the journal that had left the wallet without it: a hold of its own counts it, and is spent at
    /// once. What it spent, if it is there.
    pub(super) fn adopted(&mut self, id: HoldId) -> Option<&[Line]> {
        let hold = self.holds.get_mut(&id)?;
        hold.adopted = hold.account == Account::Captured;
        hold.captured.as_deref()
    }

    /// A turn of the model set this aside, the same amount everywhere: its lines, or what is wrong.
    pub(super) fn model_held(&mut self, id: HoldId, most: u128) -> Result<Vec<Line>, &'static str> {
        let hold = self.holds.get_mut(&id).ok_or("sets something aside for a model, and no budget does")?;
        let same = |line: &Line| line.amount.atomic() == most && *line.amount.asset() == AssetId::micro_usd();
        if !hold.lines.iter().all(same) {
            return Err("sets other money aside for a model than it says");
        }
        if hold.payment.is_some() || hold.model.is_some() {
            return Err("sets aside for a model what is set aside for something else");
        }
        hold.model = Some(ModelTurn::default());
        Ok(hold.lines.clone())
    }

    /// A turn of the model cost so much. What is wrong with that, if something is.
    pub(super) fn model_settled(&mut self, id: HoldId, cost: u128) -> Option<&'static str> {
        let Some(turn) = self.holds.get_mut(&id).and_then(|hold| hold.model.as_mut()) else {
            return Some("settles a turn of a model for which nothing was set aside");
        };
        turn.settled.replace(cost).is_some().then_some("settles a turn of a model twice")
    }

    /// A payment tells of a credit: what was credited, if anything was.
    pub(super) fn told_of(&mut self, id: HoldId, credit: &str) -> Option<&[Line]> {
        let hold = self.holds.get_mut(&id)?;
        hold.untold.retain(|(name, _)| name != credit);
        hold.credits.get(credit).map(Vec::as_slice)
    }

    /// Reads an entry of the accounts. What cannot follow is for the ledger's own check, which replays all of it.
    pub(super) fn changed(&mut self, entry: &Entry) -> Vec<String> {
        let sequence = entry.sequence;
        let changes: Changes = match serde_json::from_value(entry.body.clone()) {
            Ok(changes) => changes,
            Err(error) => return vec![format!("entry {sequence} does not read as account changes: {error}")],
        };
        let mut problems = Vec::new();
        for op in changes.ops {
            if let Err(problem) = self.change(op, sequence) {
                problems.push(format!("entry {sequence} {problem}"));
            }
        }
        problems
    }

    fn change(&mut self, op: AccountOp, entry: u64) -> Result<(), String> {
        let never = |hold: HoldId| format!("changes hold {hold}, which was never made");
        let (id, account) = match op {
            AccountOp::Open(budget) => {
                self.budgets.entry(budget.id).or_insert(budget);
                return Ok(());
            }
            AccountOp::Hold { id, lines, expires_at } => {
                let made = Hold {
                    id,
                    lines,
                    account: Account::Pending,
                    captured: None,
                    expires_at,
                    entry,
                    payment: None,
                    counts_session: false,
                    model: None,
                    adopted: false,
                    credits: BTreeMap::new(),
                    untold: Vec::new(),
                };
                self.holds.entry(id).or_insert(made);
                return Ok(());
            }
            AccountOp::Refund { id: credit, hold, lines } => {
                let found = self.holds.get_mut(&hold).ok_or_else(|| never(hold))?;
                found.credits.insert(credit.clone(), lines);
                found.untold.push((credit, entry));
                return Ok(());
            }
            AccountOp::Pin { id } => (id, Account::Pinned),
            AccountOp::Capture { id, lines, .. } => {
                let hold = self.holds.get_mut(&id).ok_or_else(|| never(id))?;
                let lines = lines.unwrap_or_else(|| hold.lines.clone());
                // What was taken in counts wherever it may have been spent; a payment captures what it set aside.
                if hold.payment.is_some() && lines != hold.lines {
                    return Err(format!("captures other money of hold {id} than was set aside"));
                }
                hold.captured = Some(lines);
                (id, Account::Captured)
            }
            AccountOp::Release { id } => (id, Account::Released),
        };
        let hold = self.holds.get_mut(&id).ok_or_else(|| never(id))?;
        (hold.account, hold.entry) = (account, entry);
        Ok(())
    }

    /// What is wrong at the end: holds that no payment tells of, that stand otherwise than their payments say, or that were
    /// credited in silence. `told` is how the payment of a hold says that it stands; `None` if its events were erased.
    pub(super) fn left_over(&self, told: impl Fn(&Hold) -> Option<Option<Account>>) -> Vec<String> {
        let mut problems = Vec::new();
        for hold in self.holds.values() {
            let (id, entry) = (hold.id, hold.entry);
            let whose = match (hold.payment, hold.counts_session || hold.adopted) {
                (None, false) if hold.model.is_some() => {
                    if !hold.is_as_its_turn_says() {
                        let found = hold.account.as_str();
                        let text = format!(
                            "entry {entry} leaves hold {id} {found}, and its turn of the model says otherwise"
                        );
                        problems.push((entry, text));
                    }
                    "and nothing of it comes back"
                }
                (None, false) => {
                    let text =
                        format!("entry {entry} moves money of hold {id}, and no payment is there for it");
                    problems.push((entry, text));
                    continue;
                }
                (None, true) => "and nothing of it comes back",
                (Some(_), _) => {
                    let Some(Some(said)) = told(hold) else { continue };
                    if said != hold.account {
                        let (found, said) = (hold.account.as_str(), said.as_str());
                        let text =
                            format!("entry {entry} leaves hold {id} {found}, and its payment says {said}");
                        problems.push((entry, text));
                    }
                    "and its payment knows of none"
                }
            };
            for (credit, entry) in &hold.untold {
                problems.push((*entry, format!("entry {entry} credits `{credit}` to hold {id}, {whose}")));
            }
        }
        problems.sort();
        problems.into_iter().map(|(_, problem)| problem).collect()
    }
}
