//! The driver: what [`SagaState::next`] says to do, done, and every try recorded before it is made and after.
//!
//! It is generic over [`SagaWorld`], so that thousands of small worlds with crashes in every place run without a signature.

use super::error::SagaError;
use super::event::{SagaEvent, StepTerms, UndoResult, Undone};
use super::id::SagaId;
use super::next::SagaNext;
use super::report::SagaReport;
use super::state::{SagaPhase, SagaState, SagaStep, UndoState};
use super::world::{SagaWorld, UndoAnswer, UndoOrder};
use crate::rail::RemedyError;

/// A saga and the world it acts on.
#[derive(Debug)]
pub struct SagaDriver<W> {
    pub(super) world: W,
    pub(super) state: SagaState,
    /// A write failed, so it may be there: the journal is read again before anything else.
    pub(super) stale: bool,
    /// Another worker goes on with it.
    pub(super) fenced: bool,
}

impl<W: SagaWorld> SagaDriver<W> {
    /// Opens a saga, or takes it up if it was opened before. Writes nothing in the second case.
    ///
    /// # Errors
    /// [`SagaError::Ledger`], or [`SagaError::Illegal`] if its records do not fold.
    pub async fn open(world: W, id: SagaId, opened: SagaEvent) -> Result<Self, SagaError> {
        let state = match fold(&world, id, None).await? {
            Some(state) => state,
            None => {
                let state = SagaState::apply(id, None, opened.clone())?;
                match world.write(0, &[opened], &state).await {
                    Ok(()) => state,
                    // Another worker opened it in this moment.
                    Err(SagaError::Fenced) => fold(&world, id, None).await?.ok_or(SagaError::Fenced)?,
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(Self { world, state, stale: false, fenced: false })
    }

    /// Takes up a saga that was opened before; `None` if there is none.
    ///
    /// # Errors
    /// [`SagaError::Ledger`], or [`SagaError::Illegal`] if its records do not fold.
    pub async fn take_up(world: W, id: SagaId) -> Result<Option<Self>, SagaError> {
        let state = fold(&world, id, None).await?;
        Ok(state.map(|state| Self { world, state, stale: false, fenced: false }))
    }

    /// The saga as last read.
    #[must_use]
    pub const fn state(&self) -> &SagaState {
        &self.state
    }

    /// The world.
    #[must_use]
    pub const fn world(&self) -> &W {
        &self.world
    }

    /// How it stands.
    #[must_use]
    pub fn report(&self) -> SagaReport {
        SagaReport::of(&self.state)
    }

    /// One pass: does everything that is due now, and nothing else. A saga that runs is left alone until it counts as
    /// abandoned. Several workers may take turns at taking a saga back: one that was overtaken tells how it stands.
    ///
    /// # Errors
    /// [`SagaError::Fenced`] if another worker goes forward with it; [`SagaError::Ledger`]: call again.
    pub async fn go_on(&mut self) -> Result<SagaReport, SagaError> {
        self.sync().await?;
        match self.pass().await {
            Err(SagaError::Fenced) => self.read_again().await?,
            ended => ended?,
        }
        if self.fenced { Err(SagaError::Fenced) } else { Ok(self.report()) }
    }

    /// A person says what became of a step that was parked.
    ///
    /// # Errors
    /// [`SagaError::Illegal`] if it is not parked; [`SagaError::Fenced`] if somebody else changed the saga: look again.
    pub async fn settle(&mut self, step: &str, by: &str, reason: &str) -> Result<SagaReport, SagaError> {
        self.sync().await?;
        let undone = Undone::ByPerson { by: by.to_owned(), reason: reason.to_owned() };
        self.write(vec![SagaEvent::StepSettled { step: step.to_owned(), undone }]).await?;
        Ok(self.report())
    }

    async fn pass(&mut self) -> Result<(), SagaError> {
        let mut looked = false;
        loop {
            match self.state.next(self.world.now(), self.world.rules()) {
                SagaNext::Over | SagaNext::Run { .. } => break,
                SagaNext::Unwind { reason } => self.write(vec![SagaEvent::UnwindStarted { reason }]).await?,
                SagaNext::Undo { step, attempt } => self.undo(step, attempt).await?,
                SagaNext::Park { step, problem } => self.park(step, problem).await?,
                SagaNext::Look { .. } | SagaNext::Claim { .. } if looked => break,
                SagaNext::Claim { steps } => {
                    looked = true;
                    for step in steps {
                        self.claim(step).await?;
                    }
                }
                SagaNext::Look { steps, .. } => {
                    looked = true;
                    for step in steps {
                        self.look(step).await?;
                    }
                }
                SagaNext::End => self.write(vec![SagaEvent::Ended]).await?,
            }
        }
        Ok(())
    }

    async fn undo(&mut self, name: String, attempt: u32) -> Result<(), SagaError> {
        let Some(step) = self.state.step(&name).cloned() else { return Ok(()) };
        let now = self.world.now();
        if !self.world.knows(&step) {
            let due = now.plus_ms(self.world.rules().settle_within_ms);
            return self.write(vec![SagaEvent::UndoDeferred { step: name, due, attempt }]).await;
        }
        self.write(vec![SagaEvent::UndoStarted { step: name.clone(), attempt, at: now }]).await?;
        let result = match self.order(&step).await {
            Ok(UndoAnswer::Over(undone)) => UndoResult::Over { undone },
            Ok(UndoAnswer::Awaiting { what, at_risk }) => UndoResult::Awaiting { what, at_risk },
            Ok(UndoAnswer::Parked { problem, owner, due, at_risk }) => {
                let parked = SagaEvent::StepParked { step: name, problem, owner, due, at_risk };
                return self.write(vec![parked]).await;
            }
            Err(error) => {
                let again = error.may_be_repeated();
                let again_at = self.world.rules().try_again_at(self.world.now(), attempt).filter(|_| again);
                tracing::warn!(saga = %self.state.id, step = name, attempt, %error, "a step was not taken back");
                UndoResult::Failed { problem: error.to_string(), again_at }
            }
        };
        self.write(vec![SagaEvent::UndoEnded { step: name, attempt, result }]).await
    }

    /// Looks whether what a step waits for is there.
    async fn look(&mut self, name: String) -> Result<(), SagaError> {
        let Some(step) = self.state.step(&name).cloned() else { return Ok(()) };
        let (asked, known, known_risk) = match &step.undo {
            UndoState::Deferred { attempt, .. } if self.world.knows(&step) => {
                return self.undo(name, *attempt).await;
            }
            UndoState::Deferred { due, .. } if *due <= self.world.now() => {
                let problem = "no process that looked could take it back".to_owned();
                return self.park(name, problem).await;
            }
            UndoState::Awaiting { attempt, what, at_risk } => (*attempt, what, at_risk),
            UndoState::Parked { .. } => {
                return match self.order(&step).await {
                    Ok(UndoAnswer::Over(undone)) => {
                        self.write(vec![SagaEvent::StepSettled { step: name, undone }]).await
                    }
                    Ok(UndoAnswer::Awaiting { .. } | UndoAnswer::Parked { .. }) | Err(_) => Ok(()),
                };
            }
            _ => return Ok(()),
        };
        let result = match self.order(&step).await {
            Ok(UndoAnswer::Over(undone)) => UndoResult::Over { undone },
            Ok(UndoAnswer::Awaiting { what, at_risk }) if what == *known && at_risk == *known_risk => {
                return Ok(());
            }
            Ok(UndoAnswer::Awaiting { what, at_risk }) => UndoResult::Awaiting { what, at_risk },
            Ok(UndoAnswer::Parked { problem, owner, due, at_risk }) => {
                let parked = SagaEvent::StepParked { step: name, problem, owner, due, at_risk };
                return self.write(vec![parked]).await;
            }
            Err(error) => {
                // It is looked at again in the next pass; what it waits for has an end of its own.
                tracing::warn!(saga = %self.state.id, step = name, %error, "what a step waits for could not be seen");
                return Ok(());
            }
        };
        self.write(vec![SagaEvent::UndoEnded { step: name, attempt: asked, result }]).await
    }

    /// Asks back what a step wants back. Where that cannot be recorded yet, it is asked again later, and not for ever once
    /// the saga is complete: what outlasts the rules is parked.
    pub(super) async fn claim(&mut self, name: String) -> Result<(), SagaError> {
        let Some(step) = self.state.step(&name).filter(|step| step.wants_claim()) else { return Ok(()) };
        let Some(claim) = &step.claim else { return Ok(()) };
        match self.world.claim(step, claim).await {
            Ok(true) => self.write(vec![SagaEvent::ClaimMade { step: name }]).await,
            Ok(false) => {
                let until = self.state.deadline.plus_ms(self.world.rules().settle_within_ms);
                if self.state.phase != SagaPhase::Completed || self.world.now() < until {
                    return Ok(());
                }
                let problem = "its money was not asked back: nobody can see yet whether it was paid";
                self.park(name, problem.to_owned()).await
            }
            Err(error) => {
                tracing::warn!(saga = %self.state.id, step = name, %error, "what a step wants back was not claimed");
                match step.claim_attempt().filter(|_| self.state.phase == SagaPhase::Completed) {
                    Some(attempt) => self.claim_failed(name, attempt, &error).await,
                    None => Ok(()),
                }
            }
        }
    }

    async fn claim_failed(
        &mut self,
        step: String,
        attempt: u32,
        error: &RemedyError,
    ) -> Result<(), SagaError> {
        let again_at = self.world.rules().try_again_at(self.world.now(), attempt);
        let again_at = again_at.filter(|_| error.may_be_repeated());
        let problem = format!("its money was not asked back: {error}");
        self.write(vec![SagaEvent::ClaimFailed { step, attempt, problem, again_at }]).await
    }

    async fn order(&self, step: &SagaStep) -> Result<UndoAnswer, RemedyError> {
        let id = self.state.compensation(step);
        self.world.undo(UndoOrder { id, saga: self.state.id, step, reason: self.state.reason() }).await
    }

    async fn park(&mut self, name: String, problem: String) -> Result<(), SagaError> {
        let at_risk = match self.state.step(&name) {
            Some(SagaStep { terms: StepTerms::Free { undo }, .. }) => undo.at_risk.clone(),
            Some(step) => self.world.at_risk(step).await,
            None => None,
        };
        let due = self.world.now().plus_ms(self.world.rules().park_for_ms);
        let owner = self.state.owner.clone();
        self.write(vec![SagaEvent::StepParked { step: name, problem, owner, due, at_risk }]).await
    }

    /// Brings the state up to date where a write may or may not have happened.
    pub(super) async fn sync(&mut self) -> Result<(), SagaError> {
        if self.fenced {
            return Err(SagaError::Fenced);
        }
        if self.stale {
            let known = self.state.clone();
            if let Some(state) = fold(&self.world, known.id, Some(known)).await? {
                self.state = state;
            }
            self.stale = false;
        }
        Ok(())
    }

    /// Reads what other workers recorded. A handle that was overtaken on the way forward stays of no use.
    pub(super) async fn read_again(&mut self) -> Result<(), SagaError> {
        let fenced = self.fenced;
        (self.stale, self.fenced) = (true, false);
        self.sync().await?;
        self.fenced = fenced && self.state.phase == SagaPhase::Running;
        Ok(())
    }

    /// Records events, if nobody else recorded any since the saga was read.
    pub(super) async fn write(&mut self, events: Vec<SagaEvent>) -> Result<(), SagaError> {
        let mut after = self.state.clone();
        for event in &events {
            after = SagaState::apply(after.id, Some(after), event.clone())?;
        }
        match self.world.write(self.state.length, &events, &after).await {
            Ok(()) => {
                self.state = after;
                Ok(())
            }
            Err(SagaError::Fenced) => {
                self.fenced = true;
                Err(SagaError::Fenced)
            }
            Err(error) => {
                self.stale = true;
                Err(error)
            }
        }
    }
}

/// Folds what happened since `known`.
async fn fold<W: SagaWorld>(
    world: &W,
    id: SagaId,
    known: Option<SagaState>,
) -> Result<Option<SagaState>, SagaError> {
    let from = known.as_ref().map_or(0, |state| state.length);
    let mut state = known;
    for event in world.read(id, from).await? {
        state = Some(SagaState::apply(id, state, event)?);
    }
    Ok(state)
}
