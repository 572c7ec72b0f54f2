//! Folding records.

use super::calls::started_write;
use super::repeat::Seen;
use super::{CallState, Failure, Run, Step, UsageTotal};
use crate::person::{PersonVerdict, happened};
use crate::record::{Answer, Record};
use crate::report::RunOutcome;
use crate::stop::StopCause;
use crate::task::first_message;
use bursar_types::Verdict;
use thiserror::Error;

/// The record cannot follow those before it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("record `{kind}` cannot follow: {problem}")]
pub struct ApplyError {
    kind: &'static str,
    problem: &'static str,
}

impl Run {
    /// The state after the first record.
    ///
    /// # Errors
    /// [`ApplyError`] if it is not [`Record::Started`].
    pub fn begin(record: &Record) -> Result<Self, ApplyError> {
        let Record::Started {
            run,
            session,
            question,
            media,
            output,
            settings,
            limits,
            tools,
            polls,
            has_cheaper,
            under,
            at,
            prompt: _,
            trace: _,
        } = record
        else {
            return Err(ApplyError { kind: record.kind(), problem: "the run has not started" });
        };
        Ok(Self {
            id: *run,
            session: *session,
            question: question.clone(),
            media: media.clone(),
            output: output.clone(),
            settings: *settings,
            limits: limits.clone(),
            tools: tools.clone(),
            polls: polls.clone(),
            has_cheaper: *has_cheaper,
            under: *under,
            started_at: *at,
            idle_ms: 0,
            messages: vec![first_message(question, media)],
            turns: 0,
            calls_made: 0,
            usage: UsageTotal::default(),
            model_cost: 0,
            context: None,
            squeezed: None,
            compactions: 0,
            sent_back: 0,
            seen: Seen::default(),
            step: Step::think(),
        })
    }

    /// Folds the next record. The only way to change the state; live use and replay share it.
    ///
    /// # Errors
    /// [`ApplyError`] if the record cannot follow; the state is then as before.
    pub fn apply(&mut self, record: &Record) -> Result<(), ApplyError> {
        let problem = match record {
            Record::Started { .. } => Err("the run has started already"),
            Record::ModelRequested { turn, attempt, cheaper, most, summary } => {
                self.model_requested(*turn, *attempt, *cheaper, most.as_ref(), *summary)
            }
            Record::Compacted { how, messages, usage, cost } => {
                self.compacted(*how, messages, *usage, cost.as_ref())
            }
            Record::ModelWithheld { turn, reasons } => self.model_withheld(*turn, reasons),
            Record::ModelCharged { turn, cost } => self.model_charged(*turn, cost),
            Record::ModelReplied { turn, reply, cost } => self.model_replied(*turn, reply, cost.as_ref()),
            Record::ModelFailed { turn, kind, message, retry, cost } => {
                let failure = Failure { kind: *kind, message: message.clone(), retry: *retry };
                self.model_failed(*turn, failure, cost.as_ref())
            }
            Record::Resumed { idle_ms, decides_anew, .. } => self.resumed(*idle_ms, *decides_anew),
            Record::Steered { text, .. } => self.steered(text),
            Record::Warned { problem, message } => self.warned(*problem, message),
            Record::CallDecided { call, decision } => self.with_call(*call, |view| match &view.state {
                CallState::Proposed | CallState::Cleared => Ok(CallState::Decided(decision.clone())),
                _ => Err("the call was decided before"),
            }),
            Record::CallAnswered { call, decision, waits } => {
                self.with_call(*call, |view| match &view.state {
                    CallState::Decided(asked) if asked.verdict == Verdict::Escalate => {
                        Ok(CallState::Answered(decision.clone(), *waits))
                    }
                    _ => Err("nobody was to be asked"),
                })
            }
            Record::CallStarted { call, attempt } => self.call_started(*call, *attempt),
            Record::CallCleared { call } => {
                self.with_call(*call, |view| started_write(view).map(|()| CallState::Cleared))
            }
            Record::CallSettledByPerson { call, verdict, .. } => self.with_call(*call, |view| {
                started_write(view)?;
                Ok(match verdict {
                    PersonVerdict::Happened { outcome } => CallState::Told(happened(outcome)),
                    PersonVerdict::DidNotHappen => CallState::Cleared,
                })
            }),
            Record::CallFinished { call, result } => self.call_finished(*call, result),
            Record::Finished { answer } => self.finished(answer),
            Record::Stopped { cause } => self.stopped(cause),
        };
        problem.map_err(|problem| ApplyError { kind: record.kind(), problem })
    }

    fn stopped(&mut self, cause: &StopCause) -> Result<(), &'static str> {
        if self.outcome().is_some() {
            return Err("the run has ended, or stands still");
        }
        if let StopCause::WriteUnknown { call, .. } = cause
            && self.open_write().is_none_or(|open| open.id != *call)
        {
            return Err("the call's end is known");
        }
        if let StopCause::AwaitingApproval { call, .. } = cause {
            // It did nothing, so it may be made again, whatever its effect is.
            self.with_call(*call, |view| match &view.state {
                CallState::Started => Ok(CallState::Cleared),
                // The question comes before the call: it is asked again when the run goes on.
                CallState::Decided(decision) if decision.verdict == Verdict::Escalate => {
                    Ok(view.state.clone())
                }
                _ => Err("the call is not at work"),
            })?;
        }
        let outcome = RunOutcome::Stopped { cause: cause.clone() };
        let before = std::mem::replace(&mut self.step, Step::think());
        self.step = if cause.can_go_on() {
            Step::Paused { outcome, before: Box::new(before) }
        } else {
            Step::Done { outcome }
        };
        Ok(())
    }

    /// What stood still goes on where it was; a model that failed for good is asked anew.
    fn resumed(&mut self, idle_ms: u64, decides_anew: bool) -> Result<(), &'static str> {
        match &mut self.step {
            Step::Done { .. } => return Err("the run has ended"),
            Step::Paused { outcome, before } => {
                let mut step = std::mem::replace(before.as_mut(), Step::think());
                let RunOutcome::Stopped { cause } = outcome else { return Err("the run has ended") };
                match (cause, &mut step) {
                    (StopCause::Model { .. }, Step::Think(thinking)) => {
                        (thinking.failures, thinking.last) = (0, None);
                    }
                    (StopCause::ModelWithheld { .. }, Step::Think(thinking)) => {
                        (thinking.cheaper, thinking.withheld) = (false, None);
                    }
                    _ => {}
                }
                self.step = step;
            }
            _ => {}
        }
        if decides_anew {
            self.decide_anew();
        }
        self.idle_ms = self.idle_ms.saturating_add(idle_ms);
        Ok(())
    }

    fn finished(&mut self, answer: &Answer) -> Result<(), &'static str> {
        match &self.step {
            Step::Answer { answer: given, .. } if given == answer => {}
            Step::Check { text } if *text == answer.text => {}
            _ => return Err("nobody gave that answer"),
        }
        self.step = Step::Done { outcome: RunOutcome::Answered { answer: answer.clone() } };
        Ok(())
    }
}
