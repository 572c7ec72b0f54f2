//! A session's money state: its mandate and plans, and the phase that follows from them.

use crate::approval::{ApprovalAction, GivenBy, Question};
use crate::mandate::Mandate;
use crate::plan::{ItemTerms, Plan};
use crate::policy::ApprovedBy;
use crate::purse::BEHIND_MS;
use bursar_types::{
    ApprovalId, CallId, Cause, Decision, Digest, PaymentId, Phase, PlanId, PlanItemId, SessionId, Timestamp,
    Untrusted,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Somebody is asked, and what was asked about waits.
    ApprovalAsked {
        /// The question, with the exact action.
        question: Box<Question>,
        /// What sellers and the agent say about it: shown beside it, and bound by nothing.
        said: Vec<Untrusted<String>>,
        /// The decision that asked.
        decision: Decision,
    },
    /// Somebody said yes. It is used up by what it was given for, or runs out.
    ApprovalGiven {
        /// The question.
        approval: ApprovalId,
        /// Who, and how that is known.
        by: GivenBy,
        /// After this moment it is worth nothing.
        expires_at: Timestamp,
    },
    /// Somebody said no.
    ApprovalRefused {
        /// The question.
        approval: ApprovalId,
        /// Who, and how that is known.
        by: GivenBy,
        /// Why, in the approver's words.
        reason: Option<String>,
    },
    /// A question is not asked any more, or a yes is worth nothing any more: it ran out, or what it was for is another thing
    /// now.
    ApprovalWithdrawn {
        /// The question.
        approval: ApprovalId,
        /// Why.
        reason: String,
    },
    /// A yes was used up: the payment that it was given for is about to be signed.
    ApprovalSpent {
        /// The question.
        approval: ApprovalId,
        /// The payment.
        payment: PaymentId,
    },
    /// A yes was used up: the call that it is used for may be made.
    ApprovalUsed {
        /// The question.
        approval: ApprovalId,
        /// The call, and the run that it is of.
        cause: Cause,
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
        /// Who said so.
        by: String,
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

/// A question that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The question.
    pub question: Question,
    /// What sellers and the agent say about it.
    pub said: Vec<Untrusted<String>>,
    /// The decision that asked.
    pub decision: Decision,
}

/// A yes that was not used yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What it was asked about.
    pub waiting: Waiting,
    /// Who gave it.
    pub by: GivenBy,
    /// After this moment it is worth nothing.
    pub expires_at: Timestamp,
}

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
    /// Questions without an answer. Some may have run out.
    pub pending: BTreeMap<ApprovalId, Waiting>,
    /// What was approved and not used yet. Some may have run out.
    pub given: BTreeMap<ApprovalId, Given>,
    /// Calls of tools that somebody said yes to, each with the yes that it used up.
    pub calls: BTreeMap<CallId, Given>,
    /// Questions that are over.
    pub over: BTreeSet<ApprovalId>,
    /// [Substance](ApprovalAction::substance) of what somebody said no to, with who: it is not asked again in this session.
    pub refused: BTreeMap<Digest, String>,
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
                    given: BTreeMap::new(),
                    calls: BTreeMap::new(),
                    over: BTreeSet::new(),
                    refused: BTreeMap::new(),
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
                if let Some(approval) = approval {
                    let given = state.given.remove(&approval);
                    let its_own = |given: &Given| matches!(&given.waiting.question.action, ApprovalAction::Plan(asked) if *asked == plan);
                    if !given.as_ref().is_some_and(its_own) {
                        return Err(IllegalSessionEvent(
                            "plan_approved without an approval of this very plan",
                        ));
                    }
                    state.over.insert(approval);
                }
                if state.plan(plan.id).is_some() {
                    return Err(IllegalSessionEvent("plan_approved twice"));
                }
                state.approved_by.insert(plan.id, by);
                state.plans.push(*plan);
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
            (Some(mut state), E::Frozen { reason, .. }) => {
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
            (Some(state), event) => state.apply_approval(event)?,
        };
        next.length = next.length.saturating_add(1);
        Ok(next)
    }

    /// What happens to questions and their answers.
    fn apply_approval(mut self, event: SessionEvent) -> Result<Self, IllegalSessionEvent> {
        use SessionEvent as E;
        match event {
            E::ApprovalAsked { question, said, decision } => {
                let id = question.id;
                if self.over.contains(&id) || self.given.contains_key(&id) {
                    return Err(IllegalSessionEvent("approval_asked twice"));
                }
                let waiting = Waiting { question: *question, said, decision };
                if self.pending.insert(id, waiting).is_some() {
                    return Err(IllegalSessionEvent("approval_asked twice"));
                }
            }
            E::ApprovalGiven { approval, by, expires_at } => {
                let waiting = self.pending.remove(&approval);
                let waiting = waiting.ok_or(IllegalSessionEvent("approval_given to what does not wait"))?;
                self.given.insert(approval, Given { waiting, by, expires_at });
            }
            E::ApprovalRefused { approval, by, .. } => {
                let waiting = self.pending.remove(&approval);
                let waiting = waiting.ok_or(IllegalSessionEvent("approval_refused to what does not wait"))?;
                if let Ok(substance) = waiting.question.action.substance() {
                    self.refused.insert(substance, by.name().to_owned());
                }
                self.over.insert(approval);
            }
            E::ApprovalWithdrawn { approval, .. } => {
                let known = self.pending.remove(&approval).is_some() | self.given.remove(&approval).is_some();
                if !known {
                    return Err(IllegalSessionEvent("approval_withdrawn without a question"));
                }
                self.over.insert(approval);
            }
            E::ApprovalSpent { approval, payment } => {
                let given = self.given.remove(&approval);
                let its_own = |given: &Given| matches!(&given.waiting.question.action, ApprovalAction::Payment(terms) if terms.payment == payment);
                if !given.as_ref().is_some_and(its_own) {
                    return Err(IllegalSessionEvent(
                        "approval_spent without an approval of this very payment",
                    ));
                }
                self.over.insert(approval);
            }
            E::ApprovalUsed { approval, cause } => {
                let given = self.given.remove(&approval);
                let its_own =
                    |given: &Given| matches!(&given.waiting.question.action, ApprovalAction::Call(_));
                let given = given.filter(its_own);
                let given =
                    given.ok_or(IllegalSessionEvent("approval_used without an approval of a call"))?;
                if self.calls.insert(cause.call, given).is_some() {
                    return Err(IllegalSessionEvent("approval_used twice for one call"));
                }
                self.over.insert(approval);
            }
            E::Opened { .. }
            | E::PlanApproved { .. }
            | E::PlansWithdrawn { .. }
            | E::PoliciesAccepted { .. }
            | E::Revoked { .. }
            | E::Frozen { .. }
            | E::Thawed { .. } => {
                return Err(IllegalSessionEvent("an event that is no answer"));
            }
        }
        Ok(self)
    }

    /// The question or yes about this very thing, if one still counts at `now`.
    ///
    /// A question about a payment is about that one payment, however like it another is.
    pub(crate) fn about(
        &self,
        action: &ApprovalAction,
        substance: Digest,
        now: Timestamp,
    ) -> Option<&Waiting> {
        let live = |waiting: &&Waiting| {
            waiting.question.expires_at > now
                && waiting.question.action.payment() == action.payment()
                && waiting.question.action.substance().is_ok_and(|known| known == substance)
        };
        let given = self.given.values().filter(|given| given.expires_at > now).map(|given| &given.waiting);
        given.chain(self.pending.values()).find(live)
    }

    /// Items of plans that may be bought at `now`.
    pub fn open_items(&self, now: Timestamp) -> impl Iterator<Item = (&Plan, &ItemTerms)> {
        self.plans
            .iter()
            .filter(move |plan| self.plan_lives(plan, now))
            .flat_map(|plan| plan.items.iter().map(move |item| (plan, item)))
    }

    /// Whether a plan may be bought at `now`. One that was approved while the clock was ahead lives longer than any.
    pub(crate) fn plan_lives(&self, plan: &Plan, now: Timestamp) -> bool {
        let standing = self.approved_by.get(&plan.id) == Some(&ApprovedBy::Mandate);
        let longest = self.mandate.plan_s_max.saturating_mul(1_000).saturating_add(BEHIND_MS);
        plan.expires_at > now && (standing || plan.expires_at <= now.plus_ms(longest))
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
