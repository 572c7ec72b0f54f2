//! Sessions: mandates, plans and approvals, as their events tell them.

use crate::approval::{Answer, AnswerError, GivenBy, Question};
use crate::mandate::Mandate;
use crate::payment::{Held, Signed};
use crate::plan::{ItemTerms, Plan};
use crate::policy::ApprovedBy;
use crate::purse::{check_mandate, cut_from, standing_plan};
use crate::session::{Given, MANDATE, SessionEvent, SessionState};
use bursar_ledger::Entry;
use bursar_types::{AgentId, ApprovalId, PaymentId, PlanItemId, SessionId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// More ancestors than any session has.
const DEPTH_MAX: usize = 64;
/// How long before its entry something may have been looked at.
pub(super) const LAG_MS: u64 = 60_000;
/// How long before its entry terms may have been fixed: as long as a hold lives that waits for its signature.
const TERMS_MS: u64 = 120_000;

/// Every session; none in place of one whose events were erased.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    known: HashMap<SessionId, Option<SessionState>>,
    /// When each began.
    began: BTreeMap<SessionId, Timestamp>,
    /// Rules that questions asked to lift.
    asked: HashMap<ApprovalId, Vec<String>>,
    /// Which payment used a yes up.
    used: HashMap<ApprovalId, PaymentId>,
    /// Approvals that calls of tools used up.
    used_by_calls: BTreeSet<ApprovalId>,
    /// What was bought, or may have been, of each item.
    live: HashMap<PlanItemId, BTreeMap<PaymentId, u128>>,
}

impl Sessions {
    pub(super) fn unreadable(&mut self, session: SessionId) {
        self.known.insert(session, None);
    }

    /// The session, if all of its events can be read.
    pub(super) fn get(&self, session: SessionId) -> Option<&SessionState> {
        self.known.get(&session)?.as_ref()
    }

    /// The session with those that it was delegated by, nearest first; `None` if not all of them can be read.
    pub(super) fn lineage(&self, session: SessionId) -> Option<Vec<&SessionState>> {
        let (mut all, mut next) = (Vec::new(), Some(session));
        while let Some(id) = next.filter(|_| all.len() < DEPTH_MAX) {
            let state = self.get(id)?;
            next = state.parent;
            all.push(state);
        }
        Some(all)
    }

    /// Whose agents stand behind a session, as far as it can be read.
    pub(super) fn agents(&self, session: SessionId) -> Vec<AgentId> {
        let (mut all, mut next) = (Vec::new(), Some(session));
        while let Some(state) = next.and_then(|id| self.get(id)).filter(|_| all.len() < DEPTH_MAX) {
            all.push(AgentId::derived(&[state.mandate.user.as_bytes(), state.mandate.agent.as_bytes()]));
            next = state.parent;
        }
        all
    }

    /// Every session that had begun by then.
    pub(super) fn begun_before(&self, at: Timestamp) -> impl Iterator<Item = SessionId> {
        self.began.iter().filter(move |(_, began)| **began < at).map(|(session, _)| *session)
    }

    /// The rules that a question asked to lift.
    pub(super) fn asked_to_lift(&self, approval: ApprovalId) -> Option<&[String]> {
        self.asked.get(&approval).map(Vec::as_slice)
    }

    /// Whether an event of it was erased.
    pub(super) fn is_unreadable(&self, session: SessionId) -> bool {
        matches!(self.known.get(&session), Some(None))
    }

    pub(super) fn apply(&mut self, entry: &Entry, id: SessionId, event: SessionEvent) -> Vec<String> {
        if self.is_unreadable(id) {
            return Vec::new();
        }
        let (sequence, before) = (entry.sequence, self.known.remove(&id).flatten());
        let mut problems: Vec<String> = before
            .as_ref()
            .and_then(|state| unsigned(state, &event, entry))
            .map(|problem| format!("entry {sequence} of session {id}: {problem}"))
            .into_iter()
            .collect();
        let wrong = match &event {
            SessionEvent::Opened { mandate, parent, policies, .. } => {
                self.began.insert(id, entry.at);
                let under = check_mandate(mandate, policies).err().map(|error| error.to_string());
                let delegated = parent.map(|parent| self.delegated(mandate, parent)).unwrap_or_default();
                under.into_iter().chain(delegated).collect()
            }
            SessionEvent::PoliciesAccepted { policies, .. } => {
                let mandate = before.as_ref().map(|state| &state.mandate);
                let under = mandate.and_then(|mandate| check_mandate(mandate, policies).err());
                under.map(|error| vec![error.to_string()]).unwrap_or_default()
            }
            SessionEvent::ApprovalAsked { question, .. } => {
                self.asked.insert(question.id, question.rules.clone());
                Vec::new()
            }
            _ => Vec::new(),
        };
        problems
            .extend(wrong.into_iter().map(|problem| format!("entry {sequence} of session {id}: {problem}")));
        if let SessionEvent::ApprovalSpent { approval, payment } = &event
            && self.used.insert(*approval, *payment).is_some()
        {
            problems.push(format!("entry {sequence} uses approval {approval} a second time"));
        }
        if let SessionEvent::ApprovalUsed { approval, .. } = &event
            && !self.used_by_calls.insert(*approval)
        {
            problems.push(format!("entry {sequence} uses approval {approval} a second time"));
        }
        match SessionState::apply(id, before, event) {
            Ok(state) => {
                self.known.insert(id, Some(state));
            }
            Err(error) => {
                problems.push(format!("entry {sequence} of session {id}: {error}"));
                self.known.insert(id, None);
            }
        }
        problems
    }

    /// Why this may not be signed, by what its session says so far.
    pub(super) fn signed(&mut self, entry: &Entry, signed: &Signed) -> Vec<String> {
        let held = &signed.held;
        let session = held.ask.session;
        let mut problems = Vec::new();
        if let Some(approval) = held.approval
            && self.used.get(&approval) != Some(&held.ask.payment)
            && !self.is_unreadable(session)
        {
            problems.push(format!("approval {approval} was not used up by it"));
        }
        problems.extend(self.stopped(session));
        let live = self.live.entry(held.item).or_default();
        let cost = held.offer.quote.cost_micro_usd.as_ref().map_or(0, bursar_types::Amount::atomic);
        live.insert(held.ask.payment, cost);
        if let Some(state) = self.get(session) {
            problems.extend(self.beyond_plan(state, entry, signed));
            problems.extend(out_of_time(state, entry, signed));
        } else if !self.is_unreadable(session) {
            problems.push(format!("its session {session} was never opened"));
        }
        problems
    }

    /// Why nothing can have been delegated so.
    fn delegated(&self, mandate: &Mandate, parent: SessionId) -> Vec<String> {
        let Some(known) = self.known.get(&parent) else {
            return vec![format!("session {parent}, which delegated to it, was never opened")];
        };
        let mut problems = self.stopped(parent);
        if let Some(Err(widened)) = known.as_ref().map(|known| mandate.narrower_than(&known.mandate)) {
            problems.push(format!("its mandate is not cut from that of session {parent}: {widened}"));
        }
        problems
    }

    /// A payment of the item did not move money after all.
    pub(super) fn did_not_move(&mut self, held: &Held) {
        if let Some(live) = self.live.get_mut(&held.item) {
            live.remove(&held.ask.payment);
        }
    }

    /// Whether the session, or one that it hangs on, may not spend.
    fn stopped(&self, session: SessionId) -> Vec<String> {
        let (mut problems, mut next) = (Vec::new(), Some(session));
        for _ in 0..DEPTH_MAX {
            let Some(state) = next.and_then(|id| self.get(id)) else { break };
            if state.frozen.is_some() {
                problems.push(format!("session {} was frozen", state.id));
            }
            if state.revoked.is_some() {
                problems.push(format!("the mandate of session {} had been taken back", state.id));
            }
            next = state.parent;
        }
        problems
    }

    fn beyond_plan(&self, state: &SessionState, entry: &Entry, signed: &Signed) -> Vec<String> {
        let held = &signed.held;
        let found = state
            .plans
            .iter()
            .find_map(|plan| plan.items.iter().find(|item| item.id == held.item).map(|item| (plan, item)));
        let Some((plan, item)) = found else {
            return vec![format!("no approved plan has the item {}", held.item)];
        };
        let mut problems = Vec::new();
        let at = time_of(entry, signed);
        if at >= plan.expires_at {
            problems.push(format!("plan {} had run out", plan.id));
        }
        let mut lineage = self.lineage(state.id).unwrap_or_else(|| vec![state]).into_iter();
        if lineage.any(|state| state.mandate.expired(at)) {
            problems.push("the mandate had run out".to_owned());
        }
        let quote = &held.offer.quote;
        // Prices run out while a payment waits for its hold, so only what was approved is compared.
        if let Err(reason) = item.covers(&held.offer, quote.received_at) {
            problems.push(format!("item {} does not cover it ({})", item.id, reason.code));
        }
        let bought = |item: &PlanItemId| self.live.get(item).into_iter().flat_map(BTreeMap::values);
        let count = bought(&item.id).count();
        if u32::try_from(count).unwrap_or(u32::MAX) > item.count {
            problems.push(format!(
                "item {} was approved {} times and is bought {count} times",
                item.id, item.count
            ));
        }
        let ids: BTreeSet<PlanItemId> = plan.items.iter().map(|item| item.id).collect();
        let spent = ids.iter().flat_map(bought).fold(0_u128, |sum, cost| sum.saturating_add(*cost));
        if spent > plan.total.atomic() {
            let (plan, total) = (plan.id, plan.total.atomic());
            problems.push(format!("{spent} micro-USD are bought under plan {plan}, which allows {total}"));
        }
        problems
    }
}

impl SessionState {
    /// An item of its plans, with the item of the session above that it was cut from.
    pub(super) fn item(
        &self,
        id: PlanItemId,
        above: Option<&Self>,
    ) -> Option<(&ItemTerms, Option<PlanItemId>)> {
        let mut plans = self.plans.iter();
        let found = |plan: &Plan| plan.items.iter().position(|item| item.id == id);
        let (plan, index) = plans.find_map(|plan| found(plan).map(|index| (plan, index)))?;
        let standing = self.approved_by.get(&plan.id) == Some(&ApprovedBy::Mandate);
        let metered = self.mandate.metered.get(index).filter(|_| standing);
        let cut = above.zip(metered).and_then(|(above, metered)| cut_from(above, metered));
        plan.items.get(index).map(|item| (item, cut))
    }
}

/// When it was signed: the journal's time never goes back, so a moment that the entry alone names is not believed where the entry is
/// much later.
fn time_of(entry: &Entry, signed: &Signed) -> Timestamp {
    signed.order.now.max(entry.at.minus_ms(LAG_MS))
}

/// Why its moments cannot be those of a signature under this mandate.
fn out_of_time(state: &SessionState, entry: &Entry, signed: &Signed) -> Vec<String> {
    let (order, prepared) = (&signed.order, &signed.prepared);
    let mut problems = Vec::new();
    let fixed = order.now.plus_ms(TERMS_MS.saturating_add(LAG_MS));
    if entry.at > fixed || order.now > entry.at.plus_ms(LAG_MS) {
        problems.push(format!("its terms were fixed at {}, and it was signed at {}", order.now, entry.at));
    }
    let longest = state.mandate.window_s_max;
    let window_ms = longest.saturating_mul(1_000).saturating_add(LAG_MS);
    if order.window_s_max > longest || prepared.expires_at > order.now.plus_ms(window_ms) {
        problems.push(format!("its authorization lives longer than {longest} seconds"));
    }
    problems
}

/// Why an answer does not count.
fn unsigned(state: &SessionState, event: &SessionEvent, entry: &Entry) -> Option<String> {
    let within = |seconds: u64| entry.at.plus_ms(seconds.saturating_mul(1_000).saturating_add(LAG_MS));
    match event {
        SessionEvent::ApprovalAsked { question, .. }
            if question.expires_at > within(state.mandate.approval_s_max) =>
        {
            Some(format!("question {} waits longer than the mandate lets it", question.id))
        }
        SessionEvent::PlanApproved { plan, approved_by, .. }
            if approved_by != MANDATE && plan.expires_at > within(state.mandate.plan_s_max) =>
        {
            Some(format!("plan {} lasts longer than the mandate lets it", plan.id))
        }
        SessionEvent::PlanApproved { plan, approved_by, approval: None, .. }
            if approved_by == MANDATE && !is_standing(state, plan) =>
        {
            Some(format!("plan {} is not the one that the mandate itself approves", plan.id))
        }
        SessionEvent::ApprovalGiven { approval, by, expires_at } => {
            let question = &state.pending.get(approval)?.question;
            if *expires_at > question.expires_at {
                return Some(format!("approval {approval} lasts longer than what was asked"));
            }
            unsigned_answer(state, *approval, question, by, entry)
        }
        SessionEvent::PlanApproved { approval: Some(approval), .. }
        | SessionEvent::ApprovalSpent { approval, .. }
        | SessionEvent::ApprovalUsed { approval, .. } => {
            let ran_out = |given: &&Given| given.expires_at <= entry.at.minus_ms(LAG_MS);
            let given = state.given.get(approval).filter(ran_out)?;
            Some(format!("approval {approval} was used after it had run out at {}", given.expires_at))
        }
        _ => None,
    }
}

/// Whether it is the plan of the mandate's metered items. What they are worth in dollars is asked apart.
fn is_standing(state: &SessionState, plan: &Plan) -> bool {
    let worth: Vec<_> = plan.items.iter().map(|item| item.ceiling_micro_usd.clone()).collect();
    standing_plan(&state.mandate, state.id, &worth).is_ok_and(|standing| standing.as_ref() == Some(plan))
}

fn unsigned_answer(
    state: &SessionState,
    approval: ApprovalId,
    question: &Question,
    by: &GivenBy,
    entry: &Entry,
) -> Option<String> {
    if question.session != state.id {
        return Some(format!("approval {approval} was asked for in session {}", question.session));
    }
    match by {
        GivenBy::Signed { name, answer } => {
            match answer.check(question, &state.mandate.approvers, entry.at) {
                Ok(_) if answer.statement.answer != Answer::Approve => {
                    Some(format!("approval {approval} is a signed no"))
                }
                Ok(pinned) if pinned.name == *name => None,
                Ok(pinned) => {
                    Some(format!("approval {approval} is signed by `{}`, not by `{name}`", pinned.name))
                }
                // It was checked a moment before it was written.
                Err(AnswerError::Expired(until)) if entry.at.minus_ms(LAG_MS) < until => None,
                Err(error) => Some(format!("approval {approval} does not count: {error}")),
            }
        }
        GivenBy::InProcess { name } if state.mandate.needs_signature() => {
            Some(format!("approval {approval} by `{name}` is not signed, and the mandate names who signs"))
        }
        GivenBy::InProcess { name } if state.mandate.is_agent(name) => {
            Some(format!("approval {approval} was given by `{name}`, the agent that asks"))
        }
        GivenBy::InProcess { .. } => None,
    }
}
