//! Tool calls under the same rules as payments: decided, put to a person, and allowed once.

use super::approvals::Asked as Put;
use super::clock::still;
use super::decide::{TRIES, denied};
use super::open::add_session_event;
use super::{DecisionRecord, SessionPurse, unavailable};
use crate::approval::{ApprovalAction, CALL_CHARS_MAX, CallTerms};
use crate::policy::{CallFacts, Facts, Weighed};
use crate::reasons;
use crate::session::{Given, SessionEvent, SessionState};
use async_trait::async_trait;
use bursar_ledger::{CommitError, Refusal, Require, StreamId, Transaction};
use bursar_types::{Action, Asked, Cause, Decision, FetchError, Gate, GateError, Verdict, visible};

#[async_trait]
impl Gate for SessionPurse {
    async fn decide(&self, action: &Action) -> Result<Decision, GateError> {
        let failed = |error| GateError(Box::new(error));
        let lineage = self.lineage().await.map_err(failed)?;
        // While the session stands still, or one above it, nothing is begun that the rules would allow.
        let stopped = match self.time().await.map_err(failed)? {
            Ok(now) => lineage.stopped(now),
            Err(reason) => Some(reason),
        };
        if let Some(reason) = stopped {
            return Ok(denied(reason));
        }
        let facts = self.call_facts(action).await.map_err(failed)?;
        let weighed = self.weigh(lineage.own(), &facts, &[]);
        if weighed.decision.verdict == Verdict::Allow {
            self.record_shadow(&what(action), &facts, &weighed).await.map_err(failed)?;
        }
        Ok(weighed.decision)
    }

    async fn ask(&self, action: &Action, shown: &str) -> Result<Asked, GateError> {
        let cause = Some(cause_of(action));
        let asked = super::cause::caused_by(cause, self.ask_about_call(action, shown)).await;
        asked.map_err(|error| GateError(Box::new(error)))
    }
}

impl SessionPurse {
    async fn call_facts(&self, action: &Action) -> Result<Facts, FetchError> {
        Ok(Facts::Call(CallFacts {
            actor: self.actor.clone(),
            tool: action.tool.clone(),
            effect: action.effect,
            phase: self.phase_now().await?,
            arguments: action.arguments,
        }))
    }

    /// Puts a call to whoever may answer. Rules and mandate are asked again each time: a yes may be days old, and lifts only what
    /// had asked.
    async fn ask_about_call(&self, action: &Action, shown: &str) -> Result<Asked, FetchError> {
        // Escaped, it is longer: what a person reads is counted, not what came.
        let escaped = visible(shown, CALL_CHARS_MAX.saturating_add(1));
        if escaped.chars().count() > CALL_CHARS_MAX {
            // Nobody says yes to what was not shown.
            return self.refused(action, denied(reasons::call_too_long())).await;
        }
        let terms = ApprovalAction::Call(Box::new(CallTerms {
            tool: action.tool.clone(),
            effect: action.effect,
            arguments: action.arguments,
            shown: escaped,
        }));
        for _ in 0..TRIES {
            let lineage = self.lineage().await?;
            let moment = match self.time().await? {
                Ok(moment) => moment,
                Err(reason) => return self.refused(action, denied(reason)).await,
            };
            if let Some(reason) = lineage.stopped(moment) {
                return self.refused(action, denied(reason)).await;
            }
            let state = lineage.own();
            let facts = self.call_facts(action).await?;
            let substance = terms.substance().map_err(unavailable)?;
            if let Some(given) = state.calls.get(&action.call) {
                // This call was allowed, and its worker died before it could say so. The yes ends when it was said to.
                let counts = state.counts(given, moment);
                let same =
                    counts && given.waiting.question.action.substance().is_ok_and(|known| known == substance);
                let again = self.weigh(state, &facts, &given.waiting.question.rules).decision;
                if same && again.verdict == Verdict::Allow {
                    return Ok(Asked::Allowed(again));
                }
                return self.refused(action, denied(reasons::approval_expired())).await;
            }
            let now = self.weigh(state, &facts, &[]);
            match now.decision.verdict {
                Verdict::Allow => return Ok(Asked::Allowed(now.decision)),
                Verdict::Deny => return self.refused(action, now.decision).await,
                Verdict::Escalate => {}
            }
            if state.about(&terms, substance, moment).is_none() {
                self.record_decision(&recorded(action, &facts, now.clone())).await?;
            }
            match self.ask_for(terms.clone(), Vec::new(), &now.decision, Vec::new()).await? {
                Put::Given(given) => {
                    if let Some(asked) = self.use_yes(action, &facts, &given).await? {
                        return Ok(asked);
                    }
                }
                Put::Waits(waiting) => {
                    let question = &waiting.question;
                    return Ok(Asked::Waits { approval: question.id, until: question.expires_at });
                }
                Put::Refused(reason) => {
                    let decision = Decision { facts: now.decision.facts, ..denied(reason) };
                    return self.refused(action, decision).await;
                }
                Put::Overtaken => {}
            }
        }
        self.refused(action, denied(reasons::contended())).await
    }

    /// Uses a yes up for this call; `None` if the session moved, or the yes does not hold any more and a new question is due.
    async fn use_yes(
        &self,
        action: &Action,
        facts: &Facts,
        given: &Given,
    ) -> Result<Option<Asked>, FetchError> {
        let question = &given.waiting.question;
        let lineage = self.lineage().await?;
        let state: &SessionState = lineage.own();
        let now = match self.time().await? {
            Ok(now) => now,
            Err(reason) => return self.refused(action, denied(reason)).await.map(Some),
        };
        // One call is allowed once, also if it was asked about with several arguments at the same time.
        if !state.given.contains_key(&question.id) || state.calls.contains_key(&action.call) {
            return Ok(None);
        }
        if !state.counts(given, now) {
            self.withdraw(question.id, "it ran out, or is not signed as the mandate wants").await?;
            return self.refused(action, denied(reasons::approval_expired())).await.map(Some);
        }
        let again = self.weigh(state, facts, &question.rules);
        match again.decision.verdict {
            Verdict::Allow => {}
            Verdict::Escalate => {
                self.withdraw(question.id, "the rules ask about more than was answered").await?;
                return Ok(None);
            }
            Verdict::Deny => {
                self.withdraw(question.id, "the rules refuse it now").await?;
                return self.refused(action, again.decision).await.map(Some);
            }
        }
        let decision = again.decision.clone();
        let record = DecisionRecord { approved: question.rules.clone(), ..recorded(action, facts, again) };
        let stream = StreamId::of("session", self.session);
        let mut transaction = Transaction { require: lineage.unmoved().collect(), ..Transaction::default() };
        transaction.require.push(Require::StreamAt { stream: stream.clone(), length: state.length });
        transaction.require.push(still(now));
        let event = SessionEvent::ApprovalUsed { approval: question.id, cause: cause_of(action) };
        add_session_event(&mut transaction, &self.shared, &stream, &event).map_err(unavailable)?;
        self.add_decision(&mut transaction, &record).map_err(unavailable)?;
        match self.shared.ledger.commit(transaction).await {
            Ok(_) => Ok(Some(Asked::Allowed(decision))),
            Err(CommitError::Refused(Refusal::StreamMoved { .. } | Refusal::ClockBehind { .. })) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn refused(&self, action: &Action, decision: Decision) -> Result<Asked, FetchError> {
        match self.refuse_plainly(&what(action), decision).await {
            FetchError::Denied(decision) => Ok(Asked::Refused(decision)),
            error => Err(error),
        }
    }
}

fn what(action: &Action) -> String {
    format!("a call of {}", action.tool)
}

const fn cause_of(action: &Action) -> Cause {
    Cause { run: action.run, call: action.call }
}

fn recorded(action: &Action, facts: &Facts, Weighed { decision, shadow }: Weighed) -> DecisionRecord {
    DecisionRecord { shadow, ..DecisionRecord::of(what(action), decision).over(facts) }
}
