//! The way forward: steps, recorded before they run and after, and the two ends that a caller can give a saga.

use super::drive::SagaDriver;
use super::error::{SagaError, StepFailure};
use super::event::{SagaEvent, StepTerms, WantedClaim};
use super::report::SagaReport;
use super::state::{SagaPhase, SagaStep, StepRun, UndoState};
use super::world::SagaWorld;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What a step that was called has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Run.
    Run,
    /// Nothing: it was done, and gave this.
    Recorded(Value),
    /// Find out whether it was done, then say so or run it again.
    Uncertain,
}

/// What could be found out about a step whose worker died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconciled<T> {
    /// It was done, and gave this.
    Done(T),
    /// It was not done, so it runs.
    NotDone,
}

impl<W: SagaWorld> SagaDriver<W> {
    /// Runs a step, unless it was done: then what it gave is given again.
    ///
    /// # Errors
    /// [`SagaError`].
    ///
    /// # Cancellation
    /// A step that is dropped while it runs is one of which nobody knows whether it was done.
    pub async fn step<T, R, F>(&mut self, name: &str, terms: StepTerms, run: R) -> Result<T, SagaError>
    where
        T: Serialize + DeserializeOwned,
        R: FnOnce() -> F,
        F: Future<Output = Result<T, StepFailure>>,
    {
        match self.begin(name, terms, false).await? {
            Begun::Recorded(value) => decode(name, value),
            Begun::Run | Begun::Uncertain => {
                let result = run().await;
                self.end(name, result, None).await
            }
        }
    }

    /// Runs a step like [`Self::step`]. Where its worker died in the middle, `ask` finds out whether it was done.
    ///
    /// # Errors
    /// [`SagaError`]. A failure of `ask` leaves the step as it is: call again to ask again.
    ///
    /// # Cancellation
    /// As for [`Self::step`].
    pub async fn step_or_ask<T, A, AF, R, RF>(
        &mut self,
        name: &str,
        terms: StepTerms,
        ask: A,
        run: R,
    ) -> Result<T, SagaError>
    where
        T: Serialize + DeserializeOwned,
        A: FnOnce() -> AF,
        AF: Future<Output = Result<Reconciled<T>, StepFailure>>,
        R: FnOnce() -> RF,
        RF: Future<Output = Result<T, StepFailure>>,
    {
        match self.begin(name, terms.clone(), true).await? {
            Begun::Recorded(value) => return decode(name, value),
            Begun::Run => {}
            Begun::Uncertain => match ask().await {
                Ok(Reconciled::Done(result)) => return self.end(name, Ok(result), None).await,
                Ok(Reconciled::NotDone) => self.start(name, terms).await?,
                Err(failure) => {
                    return Err(SagaError::StepFailed { step: name.to_owned(), problem: failure.problem });
                }
            },
        }
        let result = run().await;
        self.end(name, result, None).await
    }

    /// Says that a step is called: what it has to do. `can_ask` says that its caller can find out whether it was done.
    ///
    /// # Errors
    /// [`SagaError`]; [`SagaError::Unwinds`] where the saga fails by this, with how far it was taken back.
    pub async fn begin(&mut self, name: &str, terms: StepTerms, can_ask: bool) -> Result<Begun, SagaError> {
        check_name(name)?;
        self.sync().await?;
        match &self.state.phase {
            SagaPhase::Running => {}
            SagaPhase::Completed => return self.recorded(name, &terms)?.ok_or(SagaError::Completed),
            SagaPhase::Unwinding { .. } | SagaPhase::Ended { .. } => return Err(self.unwinds().await),
        }
        if let Some(recorded) = self.recorded(name, &terms)? {
            return Ok(recorded);
        }
        if self.state.deadline <= self.world.now() {
            return Err(self.fail(format!("step `{name}` was to start after the deadline")).await);
        }
        match self.state.step(name) {
            Some(step) if !step.may_run_again() => match (can_ask, &step.run) {
                (true, StepRun::Running) => Ok(Begun::Uncertain),
                _ => {
                    let reason = format!("nobody knows whether step `{name}` was done");
                    Err(self.fail(reason).await)
                }
            },
            _ => {
                self.start(name, terms).await?;
                Ok(Begun::Run)
            }
        }
    }

    /// Says how a step ended, and what it wants back although the saga may go on.
    ///
    /// # Errors
    /// [`SagaError::StepFailed`] if it failed. [`SagaError::Unwinds`] if the saga was given up meanwhile: the step is taken
    /// back then.
    pub async fn end<T: Serialize>(
        &mut self,
        name: &str,
        result: Result<T, StepFailure>,
        claim: Option<WantedClaim>,
    ) -> Result<T, SagaError> {
        let step = name.to_owned();
        let failure = match result {
            Ok(result) => match serde_json::to_value(&result) {
                Ok(value) => {
                    let done = SagaEvent::StepDone { step, result: value.clone(), claim };
                    return match self.write(vec![done]).await {
                        Ok(()) => Ok(result),
                        Err(SagaError::Fenced) => Err(self.late(name, value).await),
                        Err(error) => Err(error),
                    };
                }
                Err(source) => {
                    let problem = format!("its result cannot be recorded: {source}");
                    let failed = SagaEvent::StepFailed { step: step.clone(), problem, effects: true, claim };
                    self.write(vec![failed]).await?;
                    return Err(SagaError::Result { step, source });
                }
            },
            Err(failure) => failure,
        };
        let StepFailure { problem, effects } = failure;
        let failed = SagaEvent::StepFailed { step: step.clone(), problem: problem.clone(), effects, claim };
        match self.write(vec![failed]).await {
            Err(SagaError::Fenced) if effects => Err(self.late(name, Value::Null).await),
            Err(error) => Err(error),
            Ok(()) => Err(SagaError::StepFailed { step, problem }),
        }
    }

    /// Says that every step was done and this was all. Again is the same.
    ///
    /// # Errors
    /// [`SagaError::Incomplete`] if a step failed or did not end; [`SagaError::Unwinds`] if the saga was given up.
    pub async fn complete(&mut self) -> Result<SagaReport, SagaError> {
        self.sync().await?;
        match (&self.state.phase, self.state.unfinished()) {
            (SagaPhase::Completed, _) => {}
            (SagaPhase::Running, None) => {
                self.write(vec![SagaEvent::Completed]).await?;
                return self.go_on().await;
            }
            (SagaPhase::Running, Some(step)) => {
                return Err(SagaError::Incomplete { step: step.name.clone() });
            }
            (SagaPhase::Unwinding { .. } | SagaPhase::Ended { .. }, _) => return Err(self.unwinds().await),
        }
        Ok(self.report())
    }

    /// Says that the saga failed, and takes back what can be taken back now, last step first. A failure that is reported
    /// again changes nothing, and goes on.
    ///
    /// # Errors
    /// [`SagaError::Completed`] if it was completed before.
    pub async fn unwind(&mut self, reason: &str) -> Result<SagaReport, SagaError> {
        if self.fenced || self.state.phase != SagaPhase::Running {
            self.read_again().await?;
        }
        self.sync().await?;
        if self.state.phase == SagaPhase::Running {
            let failed = SagaEvent::UnwindStarted { reason: reason.to_owned() };
            match self.write(vec![failed]).await {
                // Another worker reported it first, or goes forward with it.
                Err(SagaError::Fenced) => self.read_again().await?,
                written => written?,
            }
        }
        if self.state.phase == SagaPhase::Completed {
            return Err(SagaError::Completed);
        }
        self.go_on().await
    }

    /// What was recorded for a step that was done.
    fn recorded(&self, name: &str, terms: &StepTerms) -> Result<Option<Begun>, SagaError> {
        match self.state.step(name) {
            Some(step) if step.terms != *terms => Err(SagaError::Changed { step: name.to_owned() }),
            Some(SagaStep { run: StepRun::Done { result }, .. }) => Ok(Some(Begun::Recorded(result.clone()))),
            _ => Ok(None),
        }
    }

    async fn start(&mut self, name: &str, terms: StepTerms) -> Result<(), SagaError> {
        let attempt = self.state.step(name).map_or(0, |step| step.attempt.saturating_add(1));
        self.write(vec![SagaEvent::StepStarted { step: name.to_owned(), terms, attempt }]).await
    }

    /// The saga fails by something that its caller did not expect: the error says how far it was taken back.
    async fn fail(&mut self, reason: String) -> SagaError {
        match self.unwind(&reason).await {
            Ok(report) => SagaError::Unwinds(Box::new(report)),
            Err(error) => error,
        }
    }

    async fn unwinds(&mut self) -> SagaError {
        match self.go_on().await {
            Ok(report) => SagaError::Unwinds(Box::new(report)),
            Err(error) => error,
        }
    }

    /// Another worker went on while this one was in the middle of a step. If it took the step back already, that has to be
    /// done once more, since the effect came after it.
    async fn late(&mut self, name: &str, result: Value) -> SagaError {
        for _ in 0..3 {
            if let Err(error) = self.read_again().await {
                return error;
            }
            let gone_on = matches!(self.state.phase, SagaPhase::Unwinding { .. } | SagaPhase::Ended { .. });
            let Some(step) = self.state.step(name).filter(|step| gone_on && step.run == StepRun::Running)
            else {
                break;
            };
            if matches!(step.undo, UndoState::NotStarted | UndoState::Deferred { .. }) {
                return self.unwinds().await;
            }
            let late = SagaEvent::StepLate { step: name.to_owned(), result: result.clone() };
            match self.write(vec![late]).await {
                Ok(()) => return self.unwinds().await,
                Err(SagaError::Fenced) => {}
                Err(error) => return error,
            }
        }
        self.fenced = true;
        SagaError::Fenced
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), SagaError> {
    if (1..=200).contains(&name.len()) { Ok(()) } else { Err(SagaError::Name) }
}

fn decode<T: DeserializeOwned>(step: &str, value: Value) -> Result<T, SagaError> {
    serde_json::from_value(value).map_err(|source| SagaError::Result { step: step.to_owned(), source })
}
