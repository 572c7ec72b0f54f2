//! What became of a proposal, for whoever goes on after a question or a crash.

use super::approvals::Asked;
use super::decide::denied;
use super::{SessionPurse, unavailable};
use crate::approval::ApprovalAction;
use crate::events::MoneyEvent;
use crate::plan::Plan;
use crate::reasons;
use crate::session::{SessionEvent, SessionState, Waiting};
use bursar_ledger::StreamId;
use bursar_types::{Decision, FetchError, PlanOutcome, PlanProposal, Timestamp};

impl SessionPurse {
    /// The plan of these very quotes and counts: approved and not touched yet, or waiting for its answer, for which this call waits
    /// as the one that asked would.
    pub(super) async fn proposed(&self, proposal: &PlanProposal) -> Result<Option<PlanOutcome>, FetchError> {
        self.use_given_plans().await?;
        let state = self.state().await?;
        let now = self.shared.clock.now();
        if let Some(waiting) = asked_about(&state, proposal, now) {
            return self.heard(waiting.clone()).await;
        }
        let counts = self.counts(&state, now).await?;
        let untouched = |plan: &&Plan| {
            plan.expires_at > now
                && made_of(plan, proposal)
                && plan.items.iter().all(|item| counts.left(item) == u64::from(item.count))
        };
        match state.plans.iter().rev().find(untouched) {
            Some(plan) => self.approved_before(plan).await,
            None => Ok(None),
        }
    }

    /// What comes of a question that waits.
    async fn heard(&self, waiting: Waiting) -> Result<Option<PlanOutcome>, FetchError> {
        let facts = waiting.decision.facts;
        let outcome = match self.hear(waiting).await? {
            Asked::Given(given) => self.use_plan(&given).await?,
            Asked::Waits(waiting) => {
                let Some(plan) = self.plan_asked_about(&waiting).await? else { return Ok(None) };
                let ticket = self.ticket(&waiting)?;
                return Ok(Some(PlanOutcome::AwaitingApproval { plan, ticket }));
            }
            Asked::Refused(reason) => {
                PlanOutcome::Refused { plan: None, decision: Decision { facts, ..denied(reason) } }
            }
            // Said of payments only.
            Asked::Overtaken => PlanOutcome::Refused { plan: None, decision: denied(reasons::contended()) },
        };
        self.tell(&MoneyEvent::PlanDecided { outcome: outcome.clone() });
        Ok(Some(outcome))
    }

    /// A plan that stands, with the decision that approved it.
    async fn approved_before(&self, plan: &Plan) -> Result<Option<PlanOutcome>, FetchError> {
        let Some(drafted) = self.redraft(plan).await? else { return Ok(None) };
        let stream = StreamId::of("session", self.session);
        let events: Vec<SessionEvent> = self.shared.ledger.events(&stream, 0).await.map_err(unavailable)?;
        let approved = events.into_iter().rev().find_map(|event| match event {
            SessionEvent::PlanApproved { plan: approved, approved_by, decision, .. }
                if approved.id == plan.id =>
            {
                Some((approved_by, decision))
            }
            _ => None,
        });
        Ok(approved.map(|(approved_by, decision)| PlanOutcome::Approved {
            plan: drafted.view,
            approved_by,
            decision,
        }))
    }
}

/// The question about a plan of these quotes that still waits.
fn asked_about<'a>(state: &'a SessionState, proposal: &PlanProposal, now: Timestamp) -> Option<&'a Waiting> {
    state.pending.values().find(|waiting| match &waiting.question.action {
        ApprovalAction::Plan(plan) => waiting.question.expires_at > now && made_of(plan, proposal),
        ApprovalAction::Payment(_) | ApprovalAction::Call(_) => false,
    })
}

/// Whether a plan was made of these quotes, as often each.
fn made_of(plan: &Plan, proposal: &PlanProposal) -> bool {
    plan.items.len() == proposal.items.len()
        && plan
            .items
            .iter()
            .zip(&proposal.items)
            .all(|(made, item)| made.quote == Some(item.quote) && made.count == item.count)
}
