//! What was decided, on which facts, and what other rules would have said.

use super::read::read;
use crate::error::BursarError;
use bursar_ledger::{Ledger, StreamId};
use bursar_payments::{DecisionRecord, Facts, Held, PaymentEvent, Policy, SessionEvent};
use bursar_types::{Decision, Digest, PaymentId, SessionId, Timestamp, Verdict};
use serde::Serialize;

/// One journaled decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionReport {
    /// The session.
    pub session: SessionId,
    /// When.
    pub at: Timestamp,
    /// What was decided, and on which facts.
    #[serde(flatten)]
    pub record: DecisionRecord,
}

impl DecisionReport {
    /// What it was about in micro-USD: the price of a payment, the total of a plan; none for anything else.
    #[must_use]
    pub const fn micro_usd(&self) -> Option<u128> {
        match &self.record.facts {
            Some(Facts::Pay(facts)) => Some(facts.micro_usd),
            Some(Facts::Plan(facts)) => Some(facts.total_micro_usd),
            Some(Facts::Quote(_) | Facts::Call(_)) | None => None,
        }
    }
}

/// What other rules would have said to one journaled decision's facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// The decision as it was.
    #[serde(flatten)]
    pub was: DecisionReport,
    /// As it would have been.
    pub would: Decision,
}

impl Replayed {
    /// Whether the verdict would have been another.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.was.record.decision.verdict != self.would.verdict
    }
}

/// What a payment was decided under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The payment.
    pub payment: PaymentId,
    /// The session that pays; none if nothing was held yet.
    pub session: Option<SessionId>,
    /// Who approved the plan: `rule`, `mandate` or a person's name; none if no plan covers it.
    pub plan_approved_by: Option<String>,
    /// Digests of the policies that the session may spend under, by file name.
    pub policies: Vec<(String, Digest)>,
    /// The decisions: of its plan first, then its own.
    pub decisions: Vec<DecisionReport>,
}

/// The decisions of all sessions about plans, payments and requests, oldest first; those since `since`. Those whose payload
/// was erased are left out.
///
/// # Errors
/// [`BursarError::Ledger`].
pub async fn decisions(
    ledger: &Ledger,
    since: Option<Timestamp>,
) -> Result<Vec<DecisionReport>, BursarError> {
    let mut all = Vec::new();
    for prefix in [DecisionRecord::DECISIONS, DecisionRecord::REFUSALS] {
        for (stream, _) in ledger.streams(&format!("{prefix}/")).await? {
            let id = stream.as_str().strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
            let Some(Ok(session)) = id.map(SessionId::parse) else { continue };
            for entry in ledger.stream(&stream, 0).await? {
                if since.is_some_and(|since| entry.at < since) {
                    continue;
                }
                if let Ok(record) = read(ledger, &entry).await? {
                    all.push((entry.sequence, DecisionReport { session, at: entry.at, record }));
                }
            }
        }
    }
    all.sort_by_key(|(sequence, _)| *sequence);
    Ok(all.into_iter().map(|(_, report)| report).collect())
}

/// Asks rules what they would have decided since `since`, on the facts as they were: about plans, payments and requests
/// that rules were asked about.
///
/// A different answer to an earlier decision would have led to other facts later; those are not made up.
///
/// # Errors
/// [`BursarError::Ledger`].
pub async fn replay(
    ledger: &Ledger,
    policy: &Policy,
    since: Option<Timestamp>,
) -> Result<Vec<Replayed>, BursarError> {
    let all = decisions(ledger, since).await?.into_iter();
    Ok(all
        .filter_map(|was| {
            let would = policy.decide(was.record.facts.as_ref()?, &was.record.approved);
            Some(Replayed { was, would })
        })
        .collect())
}

/// What a payment was decided under; none if no decision about it is journaled.
///
/// # Errors
/// [`BursarError::Ledger`].
pub async fn explain(ledger: &Ledger, payment: PaymentId) -> Result<Option<Explained>, BursarError> {
    let held = held(ledger, payment).await?;
    let about = |report: &DecisionReport| report.record.payment == Some(payment);
    let mut all = decisions(ledger, None).await?;
    let first = all.iter().find(|report| about(report)).map(|report| report.session);
    let session = held.as_ref().map(|held| held.ask.session).or(first);
    let Some(session) = session else { return Ok(None) };
    let (mut policies, mut plan) = (Vec::new(), None);
    for entry in ledger.stream(&StreamId::of("session", session), 0).await? {
        match read::<SessionEvent>(ledger, &entry).await? {
            Ok(
                SessionEvent::Opened { policies: pinned, .. }
                | SessionEvent::PoliciesAccepted { policies: pinned, .. },
            ) => {
                policies = pinned;
            }
            Ok(SessionEvent::PlanApproved { plan: approved, approved_by, .. })
                if held
                    .as_ref()
                    .is_some_and(|held| approved.items.iter().any(|item| item.id == held.item)) =>
            {
                plan = Some((format!("plan {}", approved.id), approved_by));
            }
            _ => {}
        }
    }
    all.retain(|report| {
        let its_plan = plan.as_ref().is_some_and(|(what, _)| report.record.what == *what);
        about(report) || (report.session == session && its_plan)
    });
    Ok(Some(Explained {
        payment,
        session: Some(session),
        plan_approved_by: plan.map(|(_, by)| by),
        policies,
        decisions: all,
    }))
}

/// The payment as it was last held.
async fn held(ledger: &Ledger, payment: PaymentId) -> Result<Option<Held>, BursarError> {
    let mut last = None;
    for entry in ledger.stream(&StreamId::of("payment", payment), 0).await? {
        if let Ok(PaymentEvent::Held(held)) = read(ledger, &entry).await? {
            last = Some(*held);
        }
    }
    Ok(last)
}

/// How a verdict is told.
#[must_use]
pub const fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allowed",
        Verdict::Escalate => "put to a person",
        Verdict::Deny => "denied",
    }
}
