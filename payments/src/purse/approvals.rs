//! Asking, answering, and using what was approved.
//!
//! A question is durable before anybody hears it, and so is its answer before anything follows from it. Whoever answers may
//! be another process: what a yes is worth is decided by the session's purse, under the rules of the moment.

use super::clock::BEHIND_MS;
use super::decide::{TRIES, denied, next_attempt};
use super::join::Loaded;
use super::open::{OpenError, add_session_event, fold_session};
use super::{Payments, SessionPurse, unavailable};
use crate::approval::{
    Answer, AnswerError, ApprovalAction, ApprovalAnswer, GivenBy, PaymentTerms, Question, SignedAnswer,
};
use crate::events::MoneyEvent;
use crate::reasons;
use crate::session::{Given, SessionEvent, SessionState, Waiting};
use bursar_ledger::{CommitError, LinkWrite, Payload, Refusal, Require, SealedEvent, StreamId, Transaction};
use bursar_types::{
    ApprovalId, ApprovalTicket, CanonicalError, Decision, FetchError, PaymentId, Reason, SessionId,
    Timestamp, Untrusted,
};
use serde_json::json;
use std::time::Duration;
use thiserror::Error;

/// More questions than this do not wait in one session: a person who is asked all day stops reading.
const WAITING_MAX: usize = 16;
/// How often an answer is looked for while somebody waits for it.
const LOOK_EVERY_MS: u64 = 200;
/// Other work of a session does not keep an answer from being written.
const ANSWER_TRIES: usize = 16;
/// Where a question is found by its id.
const LINK: &str = "approval/";

/// A question that waits, or a yes that was not used yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenApproval {
    /// The question.
    pub question: Question,
    /// What sellers and the agent say about it: unchecked, and bound by nothing.
    pub said: Vec<Untrusted<String>>,
    /// The decision that asked.
    pub decision: Decision,
    /// Who said yes, if somebody did.
    pub given_by: Option<String>,
}

/// Why an answer was not taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApprovalError {
    /// It does not count.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// Others kept writing to the session. Nothing was changed; send it again.
    #[error("the session kept changing; send the answer again")]
    Contended,
    /// The ledger could not be read or written. It may or may not have been taken; send it again.
    #[error(transparent)]
    Ledger(FetchError),
}

impl ApprovalError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Answer(error) => error.code(),
            Self::Contended => "CONTENDED",
            Self::Ledger(_) => "LEDGER_UNAVAILABLE",
        }
    }
}

impl From<CanonicalError> for ApprovalError {
    fn from(error: CanonicalError) -> Self {
        Self::Answer(error.into())
    }
}

/// Where a question stands after it was put.
#[derive(Debug)]
pub(super) enum Asked {
    /// Somebody said yes.
    Given(Box<Given>),
    /// It waits.
    Waits(Box<Waiting>),
    /// Somebody said no, nobody may be asked, or it ran out.
    Refused(Reason),
    /// The payment is being made, or was: there is nothing to ask.
    Overtaken,
}

impl Payments {
    /// Questions that wait for an answer in any session of this ledger, and what was approved and not used yet; the first to
    /// run out first. What ran out is left out. A session whose records do not fold is left out and told in the log, so that the
    /// questions of the others are answered.
    ///
    /// # Errors
    /// [`ApprovalError::Ledger`].
    pub async fn approvals(&self) -> Result<Vec<OpenApproval>, ApprovalError> {
        let ledger = &self.0.ledger;
        let now = self.0.clock.now();
        let mut sessions = std::collections::BTreeSet::new();
        for (_, session) in ledger.links(LINK).await.map_err(ledger_error)? {
            sessions.extend(SessionId::parse(&session));
        }
        let mut open = Vec::new();
        for session in sessions {
            let state = match fold_session(ledger, session, None).await {
                Ok(state) => state,
                Err(error @ (OpenError::Illegal(_) | OpenError::Unreadable(_) | OpenError::NoSession(_))) => {
                    tracing::error!(%session, error = &error as &dyn std::error::Error, "the questions of a session cannot be read");
                    continue;
                }
                Err(error) => return Err(ledger_error(error)),
            };
            let given = state.given.values().filter(|given| given.expires_at > now);
            let given = given.map(|given| (&given.waiting, Some(given.by.name().to_owned())));
            let all = given.chain(state.pending.values().map(|waiting| (waiting, None)));
            open.extend(all.filter(|(waiting, _)| waiting.question.expires_at > now).map(
                |(waiting, given_by)| OpenApproval {
                    question: waiting.question.clone(),
                    said: waiting.said.clone(),
                    decision: waiting.decision.clone(),
                    given_by,
                },
            ));
        }
        open.sort_by_key(|approval| (approval.question.expires_at, approval.question.id));
        Ok(open)
    }

    /// Takes an approver's signed answer. It is checked against the question as it was asked and the approvers that the
    /// session's mandate pins, and counts once. An answer that does not count is journaled if its question is known.
    ///
    /// # Errors
    /// [`ApprovalError`]: the answer was not taken.
    ///
    /// # Idempotency
    /// A second answer to a question, also the same one, is refused with `APPROVAL_ANSWERED`.
    ///
    /// # Cancellation
    /// Dropping the future leaves it taken or not taken; sending it again tells.
    pub async fn answer_approval(&self, answer: &SignedAnswer) -> Result<(), ApprovalError> {
        let said = &answer.statement;
        if said.ledger != self.0.ledger.id() {
            return Err(AnswerError::Mismatch("ledger").into());
        }
        let session = match self.0.ledger.link(&link(said.question)).await.map_err(ledger_error)? {
            Some(text) => SessionId::parse(&text).map_err(|_| AnswerError::NoQuestion(said.question))?,
            None => return Err(AnswerError::NoQuestion(said.question).into()),
        };
        let taken = self
            .book_answer(session, said.question, |waiting, state, now| {
                let approver = answer.check(&waiting.question, &state.mandate.approvers, now)?;
                let by = GivenBy::Signed { name: approver.name.clone(), answer: Box::new(answer.clone()) };
                let expires_at = said.expires_at.min(waiting.question.expires_at);
                Ok(match said.answer {
                    Answer::Approve => {
                        SessionEvent::ApprovalGiven { approval: said.question, by, expires_at }
                    }
                    Answer::Deny => SessionEvent::ApprovalRefused {
                        approval: said.question,
                        by,
                        reason: said.reason.clone(),
                    },
                })
            })
            .await;
        if let Err(ApprovalError::Answer(error)) = &taken {
            self.record_rejected(session, answer, error).await?;
        }
        taken
    }

    /// Writes what follows from an answer, if its question still waits: one compare-and-set over the session.
    async fn book_answer(
        &self,
        session: SessionId,
        approval: ApprovalId,
        event: impl Fn(&Waiting, &SessionState, Timestamp) -> Result<SessionEvent, AnswerError> + Sync,
    ) -> Result<(), ApprovalError> {
        let stream = StreamId::of("session", session);
        for _ in 0..ANSWER_TRIES {
            let state = fold_session(&self.0.ledger, session, None).await.map_err(ledger_error)?;
            let Some(waiting) = state.pending.get(&approval) else {
                return Err(AnswerError::Answered(approval).into());
            };
            let event = event(waiting, &state, self.0.clock.now())?;
            let mut transaction = Transaction::default();
            transaction.require.push(Require::StreamAt { stream: stream.clone(), length: state.length });
            add_session_event(&mut transaction, &self.0, &stream, &event)?;
            match self.0.ledger.commit(transaction).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Refused(Refusal::StreamMoved { .. })) => {}
                Err(error) => return Err(ledger_error(error)),
            }
        }
        Err(ApprovalError::Contended)
    }

    /// An answer that does not count is evidence.
    async fn record_rejected(
        &self,
        session: SessionId,
        answer: &SignedAnswer,
        error: &AnswerError,
    ) -> Result<(), ApprovalError> {
        let fields = [("code", json!(error.code())), ("approval", json!(answer.statement.question))];
        let stream = StreamId::of("refusals", session);
        let event = json!({"answer": answer, "problem": error.to_string()});
        let mut transaction = Transaction::default();
        SealedEvent::new(stream, "approval.rejected", fields, &event, &*self.0.entropy)
            .map_err(ledger_error)?
            .add_to(&mut transaction);
        self.0.ledger.commit(transaction).await.map_err(ledger_error)?;
        Ok(())
    }
}

impl SessionPurse {
    /// Puts an action to whoever may answer. The question is durable before it is heard; one that waits already, or was said
    /// yes to, is taken up, and what somebody said no to is not asked again.
    pub(super) async fn ask_for(
        &self,
        action: ApprovalAction,
        said: Vec<Untrusted<String>>,
        decision: &Decision,
        payloads: Vec<Payload>,
    ) -> Result<Asked, FetchError> {
        let substance = action.substance().map_err(unavailable)?;
        for _ in 0..TRIES {
            let lineage = self.lineage().await?;
            let state = lineage.own();
            let now = self.shared.clock.now();
            if let Some(reason) = lineage.stopped(now) {
                return Ok(Asked::Refused(reason));
            }
            // Read after the session: whoever uses the yes up writes both at once.
            if let ApprovalAction::Payment(terms) = &action
                && next_attempt(Loaded::read(&self.shared.ledger, terms.payment).await?.payment.as_ref())
                    .is_none()
            {
                return Ok(Asked::Overtaken);
            }
            if let Some(by) = state.refused.get(&substance) {
                return Ok(Asked::Refused(reasons::approval_refused(by)));
            }
            if let Some(waiting) = state.about(&action, substance, now) {
                return self.hear(waiting.clone()).await;
            }
            if state.pending.values().filter(|waiting| waiting.question.expires_at > now).count()
                >= WAITING_MAX
            {
                return Ok(Asked::Refused(reasons::too_many_questions(WAITING_MAX)));
            }
            let question = self.question(state, action.clone(), decision, now);
            let waiting = Waiting { question, said: said.clone(), decision: decision.clone() };
            match self.commit_question(state, &waiting, payloads.clone()).await {
                Ok(()) => {
                    self.tell(&MoneyEvent::ApprovalAsked { ticket: self.ticket(&waiting)? });
                    return self.hear(waiting).await;
                }
                Err(CommitError::Refused(Refusal::StreamMoved { .. })) => {}
                Err(error) => return Err(unavailable(error)),
            }
        }
        Ok(Asked::Refused(reasons::contended()))
    }

    fn question(
        &self,
        state: &SessionState,
        action: ApprovalAction,
        decision: &Decision,
        now: Timestamp,
    ) -> Question {
        let wait = now.plus_ms(state.mandate.approval_s_max.saturating_mul(1_000));
        let ends = match &action {
            ApprovalAction::Plan(plan) => wait.min(plan.expires_at),
            ApprovalAction::Payment(_) | ApprovalAction::Call(_) => wait,
        };
        Question {
            id: ApprovalId::random(&*self.shared.entropy),
            ledger: self.shared.ledger.id(),
            session: self.session,
            action,
            rules: decision.rules.clone(),
            expires_at: state.mandate.expires_at.map_or(ends, |expires_at| ends.min(expires_at)),
        }
    }

    async fn commit_question(
        &self,
        state: &SessionState,
        waiting: &Waiting,
        payloads: Vec<Payload>,
    ) -> Result<(), CommitError> {
        let not_canonical = |error: CanonicalError| Refusal::NotCanonical(error.to_string());
        let stream = StreamId::of("session", self.session);
        let mut transaction = Transaction { payloads, ..Transaction::default() };
        transaction.require.push(Require::StreamAt { stream: stream.clone(), length: state.length });
        // One payment has one question: what was asked about it under other terms is asked no more.
        for other in about_same_payment(state, &waiting.question.action) {
            let reason = "the terms are others now".to_owned();
            let event = SessionEvent::ApprovalWithdrawn { approval: other, reason };
            add_session_event(&mut transaction, &self.shared, &stream, &event).map_err(not_canonical)?;
        }
        let event = SessionEvent::ApprovalAsked {
            question: Box::new(waiting.question.clone()),
            said: waiting.said.clone(),
            decision: waiting.decision.clone(),
        };
        add_session_event(&mut transaction, &self.shared, &stream, &event).map_err(not_canonical)?;
        transaction.links.push(LinkWrite {
            key: link(waiting.question.id),
            expected: None,
            value: Some(self.session.to_string()),
        });
        self.shared.ledger.commit(transaction).await.map(|_| ())
    }

    /// Asks whoever sits in this process, and waits for an answer from elsewhere as long as the session's hooks say.
    pub(super) async fn hear(&self, waiting: Waiting) -> Result<Asked, FetchError> {
        let id = waiting.question.id;
        if let Some(approver) = &self.hooks.approver
            && self.state().await?.pending.contains_key(&id)
        {
            let answer = approver.answer(&self.ticket(&waiting)?).await;
            self.take_in_process(&waiting, approver.name(), answer).await?;
        }
        let started = tokio::time::Instant::now();
        loop {
            let state = self.state().await?;
            let now = self.shared.clock.now();
            if let Some(given) = state.given.get(&id) {
                return Ok(match given.expires_at > now {
                    true => Asked::Given(Box::new(given.clone())),
                    false => Asked::Refused(reasons::approval_expired()),
                });
            }
            if !state.pending.contains_key(&id) {
                let substance = waiting.question.action.substance().map_err(unavailable)?;
                let refused = state.refused.get(&substance).map(|by| reasons::approval_refused(by));
                return Ok(Asked::Refused(refused.unwrap_or_else(reasons::approval_expired)));
            }
            if waiting.question.expires_at <= now {
                return Ok(Asked::Refused(reasons::approval_expired()));
            }
            if started.elapsed() >= self.hooks.wait_for_answer || self.shared.tasks.is_closed() {
                return Ok(Asked::Waits(Box::new(waiting)));
            }
            tokio::time::sleep(Duration::from_millis(LOOK_EVERY_MS)).await;
        }
    }

    /// What somebody in this process said. A yes without a signature counts only where the mandate pins nobody.
    async fn take_in_process(
        &self,
        waiting: &Waiting,
        name: &str,
        answer: ApprovalAnswer,
    ) -> Result<(), FetchError> {
        let (approval, payments) = (waiting.question.id, Payments(self.shared.clone()));
        let approves = match answer {
            ApprovalAnswer::Later => return Ok(()),
            ApprovalAnswer::Signed(signed) => {
                return told(payments.answer_approval(&signed).await);
            }
            ApprovalAnswer::Approved => true,
            ApprovalAnswer::Refused => false,
        };
        let lineage = self.lineage().await?;
        // Neither the agent that asks nor one that delegated to it.
        let asks = lineage.states().any(|state| state.mandate.is_agent(name));
        if approves && (lineage.own().mandate.needs_signature() || asks) {
            let reason = reasons::approval_unsigned();
            return match self.refuse_plainly("an unsigned approval", denied(reason)).await {
                FetchError::Denied(_) => Ok(()),
                error => Err(error),
            };
        }
        let by = GivenBy::InProcess { name: name.to_owned() };
        let booked = payments.book_answer(self.session, approval, |waiting, _, now| {
            let expires_at = waiting.question.expires_at;
            if now >= expires_at {
                return Err(AnswerError::Expired(expires_at));
            }
            Ok(match approves {
                true => SessionEvent::ApprovalGiven { approval, by: by.clone(), expires_at },
                false => SessionEvent::ApprovalRefused { approval, by: by.clone(), reason: None },
            })
        });
        told(booked.await)
    }

    /// The question as its asker and an approver in process see it.
    pub(super) fn ticket(&self, waiting: &Waiting) -> Result<ApprovalTicket, FetchError> {
        let question = &waiting.question;
        Ok(ApprovalTicket {
            id: question.id,
            ledger: question.ledger,
            session: question.session,
            action: question.digest().map_err(unavailable)?,
            summary: question.shown(&self.shared.registry, &waiting.said),
            decision: waiting.decision.clone(),
            expires_at: question.expires_at,
        })
    }

    /// Says that a question or a yes is over.
    pub(super) async fn withdraw(&self, approval: ApprovalId, reason: &str) -> Result<(), FetchError> {
        let stream = StreamId::of("session", self.session);
        for _ in 0..TRIES {
            let state = self.state().await?;
            if !state.pending.contains_key(&approval) && !state.given.contains_key(&approval) {
                return Ok(());
            }
            let mut transaction = Transaction::default();
            transaction.require.push(Require::StreamAt { stream: stream.clone(), length: state.length });
            let event = SessionEvent::ApprovalWithdrawn { approval, reason: reason.to_owned() };
            add_session_event(&mut transaction, &self.shared, &stream, &event).map_err(unavailable)?;
            match self.shared.ledger.commit(transaction).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Refused(Refusal::StreamMoved { .. })) => {}
                Err(error) => return Err(unavailable(error)),
            }
        }
        Err(FetchError::Denied(denied(reasons::contended())))
    }
}

impl SessionState {
    /// Whether a yes still counts. Its signature is checked again: what stands in the file is not believed.
    pub(super) fn counts(&self, given: &Given, now: Timestamp) -> bool {
        let question = &given.waiting.question;
        let sound = match &given.by {
            GivenBy::Signed { answer, .. } => {
                answer.statement.answer == Answer::Approve
                    && answer.check(question, &self.mandate.approvers, now).is_ok()
            }
            GivenBy::InProcess { name } => !self.mandate.needs_signature() && !self.mandate.is_agent(name),
        };
        // One that was given while the clock was ahead lives longer than any.
        let longest = self.mandate.approval_s_max.saturating_mul(1_000).saturating_add(BEHIND_MS);
        let lives = given.expires_at > now && given.expires_at <= now.plus_ms(longest);
        sound && lives && question.expires_at > now && question.session == self.id
    }

    /// The yes that was given for this payment and still counts.
    pub(super) fn given_for(&self, payment: PaymentId, now: Timestamp) -> Option<(&Given, &PaymentTerms)> {
        self.given.values().filter(|given| self.counts(given, now)).find_map(|given| {
            match &given.waiting.question.action {
                ApprovalAction::Payment(terms) if terms.payment == payment => Some((given, &**terms)),
                ApprovalAction::Payment(_) | ApprovalAction::Plan(_) | ApprovalAction::Call(_) => None,
            }
        })
    }
}

/// Questions and answers about the payment of this action.
fn about_same_payment(state: &SessionState, action: &ApprovalAction) -> Vec<ApprovalId> {
    let ApprovalAction::Payment(terms) = action else { return Vec::new() };
    let given = state.given.values().map(|given| &given.waiting.question);
    given
        .chain(state.pending.values().map(|waiting| &waiting.question))
        .filter(|question| {
            matches!(&question.action, ApprovalAction::Payment(other) if other.payment == terms.payment)
        })
        .map(|question| question.id)
        .collect()
}

/// An answer that does not count changes nothing; that the ledger failed does.
fn told(answered: Result<(), ApprovalError>) -> Result<(), FetchError> {
    match answered {
        Ok(()) => Ok(()),
        Err(ApprovalError::Answer(error)) => {
            tracing::warn!(%error, code = error.code(), "an answer does not count");
            Ok(())
        }
        Err(ApprovalError::Contended) => Err(FetchError::Denied(denied(reasons::contended()))),
        Err(ApprovalError::Ledger(error)) => Err(error),
    }
}

fn link(approval: ApprovalId) -> String {
    format!("{LINK}{approval}")
}

fn ledger_error(error: impl Into<super::Unavailable>) -> ApprovalError {
    ApprovalError::Ledger(unavailable(error))
}
