//! A session's money state: its mandate and plans, and the phase that follows from them.

use crate::mandate::Mandate;
use crate::plan::{ItemTerms, Plan};
use crate::policy::ApprovedBy;
use bursar_types::{ApprovalId, Decision, Digest, Phase, PlanId, PlanItemId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// Who approved a standing plan of metered items.
pub(crate) const MANDATE: &str = "mandate";

/// Something that happened to a session. Only what decisions depend on is here, so that a decision can require that
/// nothing of it has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum SessionEvent {
    /// It was opened under a mandate.
    Opened {
        /// The mandate.
        mandate: Box<Mandate>,
        /// Digests of the policies in force, by file name.
        policies: Vec<(String, Digest)>,
        /// The session that delegated to it, if one did.
        parent: Option<SessionId>,
        /// Random; in the names of its payments, so that the journal alone confirms no guess at what was asked for.
        salt: Digest,
    },
    /// A plan may be bought. Consumes the approval, if there was one.
    PlanApproved {
        /// The plan.
        plan: Box<Plan>,
        /// `rule`, `mandate`, or the approver's name.
        approved_by: String,
        /// The approval that was used up.
        approval: Option<ApprovalId>,
        /// The decision.
        decision: Decision,
    },
    /// A plan waits for an approver.
    ApprovalAsked {
        /// The question.
        approval: ApprovalId,
        /// The plan.
        plan: Box<Plan>,
        /// Digest of the exact action.
        action: Digest,
        /// An answer after this moment counts as no.
        expires_at: Timestamp,
        /// The decision that asked.
        decision: Decision,
    },
    /// An approver said no, or too late.
    ApprovalRefused {
        /// The question.
        approval: ApprovalId,
        /// Who.
        by: String,
    },
    /// The agent plans anew: nothing of these plans may be bought any more.
    PlansWithdrawn {
        /// Which.
        plans: Vec<PlanId>,
    },
    /// An operator let it go on under other policies.
    PoliciesAccepted {
        /// Their digests, by file name.
        policies: Vec<(String, Digest)>,
        /// Who.
        by: String,
    },
    /// Spending stopped.
    Frozen {
        /// Why.
        reason: String,
    },
    /// The mandate was taken back, for good: for this session, and for all that it delegated to.
    Revoked {
        /// Who said so.
        by: String,
    },
    /// Spending may go on.
    Thawed {
        /// Who said so.
        by: String,
    },
}

/// The event cannot follow what happened so far.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` cannot follow in the life of this session")]
pub struct IllegalSessionEvent(&'static str);

/// A session as folded from its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    /// The session.
    pub id: SessionId,
    /// The mandate.
    pub mandate: Mandate,
    /// Digests of the policies it may spend under: those in force when it was opened, or accepted since.
    pub policies: Vec<(String, Digest)>,
    /// What blinds the names of its payments.
    pub salt: Digest,
    /// Approved plans that stand, in order of approval.
    pub plans: Vec<Plan>,
    /// Whose word approved them.
    pub approved_by: BTreeMap<PlanId, ApprovedBy>,
    /// Plans that were approved and taken back.
    pub withdrawn: Vec<Plan>,
    /// Questions without an answer.
    pub pending: BTreeMap<ApprovalId, (Plan, Digest, Timestamp)>,
    /// Why spending is frozen, if it is.
    pub frozen: Option<String>,
    /// The session that delegated to it, if one did.
    pub parent: Option<SessionId>,
    /// Who took the mandate back, if somebody did.
    pub revoked: Option<String>,
    /// How many events were folded; decisions require that it is still so.
    pub length: u64,
}

impl SessionState {
    /// The state after `event`. The only way to change it; replay uses it too.
    ///
    /// # Errors
    /// [`IllegalSessionEvent`].
    pub fn apply(
        id: SessionId,
        state: Option<Self>,
        event: SessionEvent,
    ) -> Result<Self, IllegalSessionEvent> {
        use SessionEvent as E;
        let mut next = match (state, event) {
            (None, E::Opened { mandate, policies, parent, salt }) => {
                return Ok(Self {
                    id,
                    mandate: *mandate,
                    policies,
                    salt,
                    plans: Vec::new(),
                    approved_by: BTreeMap::new(),
                    withdrawn: Vec::new(),
                    pending: BTreeMap::new(),
                    frozen: None,
                    parent,
                    revoked: None,
                    length: 1,
                });
            }
            (None, _) => return Err(IllegalSessionEvent("an event before `opened`")),
            (Some(_), E::Opened { .. }) => return Err(IllegalSessionEvent("opened")),
            (Some(mut state), E::PlanApproved { plan, approval, approved_by, .. }) => {
                let by = match (approval, approved_by.as_str()) {
                    (Some(_), _) => ApprovedBy::Person,
                    (None, MANDATE) => ApprovedBy::Mandate,
                    (None, _) => ApprovedBy::Rule,
                };
                if let Some(approval) = approval
                    && state.pending.remove(&approval).is_none()
                {
                    return Err(IllegalSessionEvent(
                        "plan_approved with an approval that was not asked or was used",
                    ));
                }
                if state.plan(plan.id).is_some() {
                    return Err(IllegalSessionEvent("plan_approved twice"));
                }
                state.approved_by.insert(plan.id, by);
                state.plans.push(*plan);
                state
            }
            (Some(mut state), E::ApprovalAsked { approval, plan, action, expires_at, .. }) => {
                state.pending.insert(approval, (*plan, action, expires_at));
                state
            }
            (Some(mut state), E::ApprovalRefused { approval, .. }) => {
                if state.pending.remove(&approval).is_none() {
                    return Err(IllegalSessionEvent("approval_refused without a question"));
                }
                state
            }
            (Some(mut state), E::PlansWithdrawn { plans }) => {
                for id in plans {
                    let Some(index) = state.plans.iter().position(|plan| plan.id == id) else {
                        return Err(IllegalSessionEvent("plans_withdrawn with a plan that is not approved"));
                    };
                    state.withdrawn.push(state.plans.remove(index));
                }
                state
            }
            (Some(mut state), E::PoliciesAccepted { policies, .. }) => {
                state.policies = policies;
                state
            }
            (Some(mut state), E::Frozen { reason }) => {
                state.frozen = Some(reason);
                state
            }
            (Some(mut state), E::Revoked { by }) => {
                state.revoked.get_or_insert(by);
                state
            }
            (Some(mut state), E::Thawed { .. }) => {
                state.frozen = None;
                state
            }
        };
        next.length = next.length.saturating_add(1);
        Ok(next)
    }

    /// Items of plans that may be bought at `now`.
    pub fn open_items(&self, now: Timestamp) -> impl Iterator<Item = (&Plan, &ItemTerms)> {
        self.plans
            .iter()
            .filter(move |plan| plan.expires_at > now)
            .flat_map(|plan| plan.items.iter().map(move |item| (plan, item)))
    }

    /// The plan with this id, if it was ever approved.
    #[must_use]
    pub fn plan(&self, id: PlanId) -> Option<&Plan> {
        self.plans.iter().chain(&self.withdrawn).find(|plan| plan.id == id)
    }
}

/// The phase that follows from the plans: a pure function, and nobody sets it.
///
/// `bought` says how often an item was captured; what is only held still belongs to Acquire, since it may come back.
#[must_use]
pub fn phase(state: &SessionState, bought: &BTreeMap<PlanItemId, u64>, now: Timestamp) -> Phase {
    if state.plans.is_empty() {
        return Phase::Explore;
    }
    let open = state
        .open_items(now)
        .any(|(_, item)| bought.get(&item.id).copied().unwrap_or(0) < u64::from(item.count));
    if open { Phase::Acquire } else { Phase::Produce }
}
