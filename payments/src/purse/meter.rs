//! What the model itself costs, on the budgets that purchases count on.
//!
//! The most that a try may cost is held in every budget of the session and of those above it that counts all spending: session, agent,
//! user, project and all; a vendor's, payee's, category's or rail's budget counts purchases only. The hold is pinned at once, so it
//! never runs out: a try whose process died stays held until its run goes on and settles it, or is over (`tries.rs`). There is one
//! entry for each hold and one for each settlement in the stream `model/<session>`, in the transaction that moves the money. A try
//! that may cost nothing at most is held without any of that. A session settles its own holds only: what another one names is not there for it.

use super::budgets::Part;
use super::clock::still;
use super::decide::denied;
use super::lineage::Lineage;
use super::uses::BudgetUse;
use super::{SessionPurse, tries, unavailable};
use crate::reasons;
use async_trait::async_trait;
use bursar_ledger::{
    AccountOp, CommitError, HoldPhase, HoldState, Line, LinkWrite, NewEntry, Refusal, Require, StreamId,
    Transaction,
};
use bursar_types::{
    Amount, AssetId, Decision, FetchError, HoldId, MeterError, ModelCharge, ModelCost, ModelHold, ModelMeter,
    SessionId,
};
use serde_json::json;

/// The kind of the streams that tell what models cost: `model/<session>`.
pub const MODEL: &str = "model";
/// The kind of an entry that says that the most a try may cost was set aside. Its body names `run`, `turn`, `attempt`, `model`, `hold`
/// and `micro_usd`.
pub const MODEL_HELD: &str = "model.held";
/// The kind of an entry that says what a try cost. Its body is as that of [`MODEL_HELD`]; `known` says whether anybody reported it.
pub const MODEL_SETTLED: &str = "model.settled";
/// How often it is tried while others spend.
const TRIES: usize = 64;
/// How long the hold would live; it is pinned at once.
const HOLD_MS: u64 = 60_000;

/// What came of trying to set aside.
enum Tried {
    Held,
    Refused(Decision),
    Moved,
}

/// The hold of a try: a session's own, whatever run is named.
fn hold_of(session: SessionId, charge: &ModelCharge) -> HoldId {
    let numbers = [charge.turn.to_be_bytes(), charge.attempt.to_be_bytes()].concat();
    HoldId::derived(&[b"model", session.as_bytes(), charge.run.as_bytes(), &numbers])
}

/// Whether what a model costs counts in it.
pub(crate) fn counts_models(part: Part) -> bool {
    matches!(part, Part::Cap | Part::Gross | Part::SessionSum)
}

#[async_trait]
impl ModelMeter for SessionPurse {
    async fn hold(&self, charge: &ModelCharge) -> Result<ModelHold, MeterError> {
        let failed = |error: FetchError| MeterError(Box::new(error));
        if *charge.most.asset() != AssetId::micro_usd() {
            return Err(MeterError(format!("{} is not counted here", charge.most.asset()).into()));
        }
        for _ in 0..TRIES {
            match self.try_to_hold(charge).await.map_err(failed)? {
                Tried::Held => return Ok(ModelHold::Held),
                Tried::Moved => {}
                Tried::Refused(decision) => {
                    let what = format!("a turn of the model {}", bursar_types::visible(&charge.model, 80));
                    return match self.refuse_plainly(&what, decision).await {
                        FetchError::Denied(decision) => Ok(ModelHold::Refused(decision)),
                        error => Err(failed(error)),
                    };
                }
            }
        }
        Ok(ModelHold::Refused(denied(reasons::contended())))
    }

    async fn settle(&self, charge: &ModelCharge, cost: &ModelCost) -> Result<Amount, MeterError> {
        self.settle_as(charge, cost, Word::OwnProcess).await
    }
}

/// Whose word a cost is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Of the purse's own process: what a try cost beyond its hold is booked all the same.
    OwnProcess,
    /// Of another process: never more than was set aside.
    Elsewhere,
}

impl SessionPurse {
    /// As [`ModelMeter::settle`], for a caller in another process: its word is taken for no more than was set aside, so that it cannot
    /// use up budgets that others share. What it says beyond that counts as not known, which is all that was set aside.
    ///
    /// # Errors
    /// [`MeterError`]: settle it again.
    ///
    /// # Idempotency
    /// What was settled before stands.
    pub async fn settle_within(&self, charge: &ModelCharge, cost: &ModelCost) -> Result<Amount, MeterError> {
        self.settle_as(charge, cost, Word::Elsewhere).await
    }

    async fn settle_as(
        &self,
        charge: &ModelCharge,
        cost: &ModelCost,
        word: Word,
    ) -> Result<Amount, MeterError> {
        let failed = |error: FetchError| MeterError(Box::new(error));
        for _ in 0..TRIES {
            if let Some(booked) = self.try_to_settle(charge, cost, word).await.map_err(failed)? {
                self.tell_of_gates().await;
                return Ok(booked);
            }
        }
        Err(MeterError("others kept changing it; settle it again".into()))
    }

    async fn try_to_hold(&self, charge: &ModelCharge) -> Result<Tried, FetchError> {
        let (id, ledger) = (hold_of(self.session, charge), &self.shared.ledger);
        match ledger.hold(id).await.map_err(unavailable)?.map(|hold| hold.phase) {
            None => {}
            Some(HoldPhase::Pending { .. }) => return Ok(Tried::Held),
            // What was settled is over: another try has another name.
            Some(_) => return Ok(Tried::Refused(denied(reasons::in_flight()))),
        }
        let lineage = self.lineage().await?;
        let now = match self.time().await? {
            Ok(now) => now,
            Err(reason) => return Ok(Tried::Refused(denied(reason))),
        };
        if let Some(reason) = lineage.stopped(now) {
            return Ok(Tried::Refused(denied(reason)));
        }
        if charge.most.is_zero() {
            // Nothing is set aside, so there is nothing to settle, and nothing to write down.
            return Ok(Tried::Held);
        }
        let budgets = self.model_budgets(&lineage).await?;
        // What stands at a gate already is told before more is spent.
        let reached = self.gates(&budgets, &Amount::from_atomic(AssetId::micro_usd(), 0), now).await?.reached;
        match self.alert(&reached, bursar_types::Digest::of(b"")).await {
            Ok(()) => {}
            Err(FetchError::Denied(decision)) => return Ok(Tried::Refused(decision)),
            Err(error) => return Err(error),
        }
        let lines: Vec<Line> = budgets.iter().map(|used| used.touched.line(&charge.most)).collect();
        let mut transaction = Transaction { require: lineage.unmoved().collect(), ..Transaction::default() };
        transaction.require.push(still(now));
        let expires_at = now.plus_ms(HOLD_MS);
        transaction.accounts = vec![AccountOp::Hold { id, lines, expires_at }, AccountOp::Pin { id }];
        self.add_model_entry(&mut transaction, MODEL_HELD, charge, id, &charge.most, true);
        let value = Some(tries::noted(&lineage, charge, now).map_err(unavailable)?);
        transaction.links.push(LinkWrite { key: tries::link(id), expected: None, value });
        self.add_gates(&mut transaction, &reached).map_err(unavailable)?;
        match ledger.commit(transaction).await {
            Ok(_) => {
                self.tell_gates(reached);
                Ok(Tried::Held)
            }
            Err(CommitError::Refused(
                Refusal::StreamMoved { .. }
                | Refusal::LinkMoved { .. }
                | Refusal::ClockBehind { .. }
                | Refusal::DifferentParameters { .. },
            )) => Ok(Tried::Moved),
            Err(CommitError::Refused(Refusal::OverLimit { name, limit, spent, held, asked, .. })) => {
                let used = spent.atomic().saturating_add(held.atomic());
                let left = Amount::from_atomic(limit.asset().clone(), limit.atomic().saturating_sub(used));
                let registry = &self.shared.registry;
                let reason =
                    reasons::model_over_budget(&name, &registry.display(&left), &registry.display(&asked));
                Ok(Tried::Refused(denied(reason)))
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Books what a try cost, and says what was booked; `None` if somebody else changed it meanwhile.
    async fn try_to_settle(
        &self,
        charge: &ModelCharge,
        cost: &ModelCost,
        word: Word,
    ) -> Result<Option<Amount>, FetchError> {
        let (id, zero) = (hold_of(self.session, charge), Amount::from_atomic(AssetId::micro_usd(), 0));
        let Some(hold) = self.shared.ledger.hold(id).await.map_err(unavailable)? else {
            return Ok(Some(zero));
        };
        let most = amount_of(&hold.lines);
        match &hold.phase {
            HoldPhase::Captured { lines, .. } => return Ok(Some(amount_of(lines))),
            HoldPhase::Released | HoldPhase::Expired => return Ok(Some(zero)),
            HoldPhase::Pending { .. } => {}
        }
        let believed = |cost: &Amount| word == Word::OwnProcess || cost.atomic() <= most.atomic();
        let (booked, known) = match cost {
            ModelCost::Known(cost) if *cost.asset() == AssetId::micro_usd() && believed(cost) => {
                (cost.clone(), true)
            }
            ModelCost::Nothing => (zero, true),
            ModelCost::Known(_) | ModelCost::Unknown => (most.clone(), false),
        };
        let (mut transaction, key) = (Transaction::default(), tries::link(id));
        if let Some(noted) = self.shared.ledger.link(&key).await.map_err(unavailable)? {
            transaction.links.push(LinkWrite { key, expected: Some(noted), value: None });
        }
        transaction.accounts.push(settlement(id, &hold, &booked, &most));
        transaction.require.push(Require::HoldPending(id));
        self.add_model_entry(&mut transaction, MODEL_SETTLED, charge, id, &booked, known);
        match self.shared.ledger.commit(transaction).await {
            Ok(_) => Ok(Some(booked)),
            Err(CommitError::Refused(
                Refusal::HoldNot { .. } | Refusal::AlreadyResolved { .. } | Refusal::LinkMoved { .. },
            )) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Fires the gates that were reached. Whether somebody has to be told before more is spent is asked at the next hold.
    async fn tell_of_gates(&self) {
        if let Err(error) = self.try_to_tell_of_gates().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "gates are told with the next payment");
        }
    }

    async fn try_to_tell_of_gates(&self) -> Result<(), FetchError> {
        let lineage = self.lineage().await?;
        let budgets = self.model_budgets(&lineage).await?;
        let zero = Amount::from_atomic(AssetId::micro_usd(), 0);
        let reached = self.gates(&budgets, &zero, self.shared.clock.now()).await?.reached;
        if reached.is_empty() {
            return Ok(());
        }
        self.alert(&reached, bursar_types::Digest::of(b"")).await?;
        let mut transaction = Transaction::default();
        self.add_gates(&mut transaction, &reached).map_err(unavailable)?;
        match self.shared.ledger.commit(transaction).await {
            Ok(_) => self.tell_gates(reached),
            // Somebody else was first.
            Err(CommitError::Refused(Refusal::LinkMoved { .. })) => {}
            Err(error) => return Err(unavailable(error)),
        }
        Ok(())
    }

    async fn model_budgets(&self, lineage: &Lineage) -> Result<Vec<BudgetUse>, FetchError> {
        let all = self.budgets(lineage, None).await?;
        Ok(all.into_iter().filter(|used| counts_models(used.touched.part)).collect())
    }

    /// Nothing in such an entry is personal, so it has no payload that could be erased.
    fn add_model_entry(
        &self,
        transaction: &mut Transaction,
        kind: &'static str,
        charge: &ModelCharge,
        hold: HoldId,
        amount: &Amount,
        known: bool,
    ) {
        let mut body = json!({
            "run": charge.run,
            "turn": charge.turn,
            "attempt": charge.attempt,
            "model": bursar_types::visible(&charge.model, 200),
            "hold": hold,
            "micro_usd": amount.atomic().to_string(),
            "known": known,
        });
        if let Some(fields) = body.as_object_mut() {
            fields.extend(self.trace_fields().map(|(name, value)| (name.to_owned(), value)));
        }
        let stream = StreamId::of(MODEL, self.session);
        transaction.entries.push(NewEntry { stream, kind: kind.into(), body });
    }
}

/// What moves the money of a settlement. What a try cost beyond its hold is booked all the same.
fn settlement(id: HoldId, hold: &HoldState, booked: &Amount, most: &Amount) -> AccountOp {
    if booked.is_zero() {
        return AccountOp::Release { id };
    }
    let lines = hold.lines.iter().map(|line| Line { budget: line.budget, amount: booked.clone() });
    let observed = booked.atomic() > most.atomic();
    AccountOp::Capture { id, lines: Some(lines.collect()), observed }
}

/// Every line of such a hold is over the same amount.
fn amount_of(lines: &[Line]) -> Amount {
    let zero = Amount::from_atomic(AssetId::micro_usd(), 0);
    lines.first().map_or(zero, |line| line.amount.clone())
}
