//! What the rules had said: each decision taken again over the facts that were journaled, under the rules that its session pinned.
//!
//! The text of a user's rules is kept in the journal, and what ships with Bursar is in this program. Where either is missing, or is of
//! another version, nothing is said of the decision but that it cannot be checked again.

use super::MeaningAudit;
use crate::payment::Held;
use crate::plan::Plan;
use crate::policy::{Enforce, Facts, PayFacts, PlanFacts, Policy, Thresholds, Unpinned};
use crate::purse::{DecisionRecord, KeptRules};
use crate::session::{MANDATE, SessionEvent, SessionState};
use bursar_ledger::Entry;
use bursar_types::{Amount, ApprovalId, Digest, SessionId, Verdict, canonical_digest};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Files of rules with their digests, as a session pins them.
type Pinned = Vec<(String, Digest)>;

/// Rules as they were kept, and what they say again.
#[derive(Debug, Default)]
pub(super) struct Rules {
    texts: HashMap<Digest, String>,
    loaded: HashMap<Pinned, Result<Policy, Unpinned>>,
    /// What each session pinned, the last at the end.
    pinned: HashMap<SessionId, Vec<Pinned>>,
    /// Decisions that allow plans.
    planned: HashMap<SessionId, Vec<DecisionRecord>>,
    /// Sessions of which a decision was erased that may have allowed a plan.
    erased: HashSet<SessionId>,
    /// How many decisions were taken again.
    pub(super) again: u64,
    /// Why others could not be, and how many.
    pub(super) not: BTreeMap<String, u64>,
}

impl Rules {
    fn cannot(&mut self, why: String) {
        let count = self.not.entry(why).or_default();
        *count = count.saturating_add(1);
    }

    /// What the rules say that a session pinned: the decision, or why there is none.
    fn say(&mut self, pinned: &Pinned, asked: &DecisionRecord, facts: &Facts, enforce: Enforce) -> Said {
        if !self.loaded.contains_key(pinned) {
            let policy = Policy::pinned(pinned, |digest| self.texts.get(&digest).map(String::as_str));
            self.loaded.insert(pinned.clone(), policy);
        }
        let policy = match self.loaded.get(pinned) {
            Some(Ok(policy)) => policy,
            Some(Err(Unpinned::WithoutFloor(file))) => {
                return Said::Lie(format!("its session began without the rules of `{file}`"));
            }
            Some(Err(Unpinned::Broken(problem))) => {
                return Said::Lie(format!("the rules that its session pinned do not load: {problem}"));
            }
            Some(Err(Unpinned::OtherVersion(file))) => {
                return Said::Nothing(format!("`{file}` is not as this version ships it"));
            }
            Some(Err(Unpinned::NotKept(file))) => {
                return Said::Nothing(format!("the text of `{file}` was not kept, or was erased"));
            }
            None => return Said::Nothing("its rules are not known".to_owned()),
        };
        let again = policy.weigh(facts, &asked.approved, enforce).decision;
        let told = &asked.decision;
        match (again.verdict, &again.rules, again.facts) == (told.verdict, &told.rules, told.facts) {
            true => Said::Same,
            false => Said::Lie(format!(
                "it says {}, and the rules say {} over its facts",
                shown(told.verdict, &told.rules),
                shown(again.verdict, &again.rules)
            )),
        }
    }
}

/// What came of asking again.
enum Said {
    Same,
    Nothing(String),
    Lie(String),
}

fn shown(verdict: Verdict, rules: &[String]) -> String {
    let verdict = match verdict {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
        Verdict::Escalate => "ask a person",
    };
    if rules.is_empty() { verdict.to_owned() } else { format!("{verdict} ({})", rules.join(", ")) }
}

impl MeaningAudit {
    pub(super) fn rules_kept(&mut self, entry: &Entry, payload: Option<&[u8]>) {
        if let Some(KeptRules { text }) = self.read(entry, payload) {
            self.rules.texts.insert(Digest::of(text.as_bytes()), text);
        }
    }

    /// Which rules a session goes on under.
    pub(super) fn pins(&mut self, session: SessionId, event: &SessionEvent) {
        if let SessionEvent::Opened { policies, .. } | SessionEvent::PoliciesAccepted { policies, .. } = event
        {
            self.rules.pinned.entry(session).or_default().push(policies.clone());
        }
    }

    /// A decision whose event was erased: what it may have allowed cannot be told.
    pub(super) fn decision_erased(&mut self, session: SessionId) {
        self.rules.erased.insert(session);
        self.rules.cannot("what they were decided over was erased".to_owned());
    }

    /// Takes a decision again.
    pub(super) fn decide_again(&mut self, session: SessionId, record: &DecisionRecord) -> Option<String> {
        let Some(facts) = &record.facts else {
            return Some("it decides over no facts".to_owned());
        };
        if self.sessions.is_unreadable(session) {
            self.rules.cannot("their session was erased".to_owned());
            return None;
        }
        let Some(state) = self.sessions.get(session) else {
            return Some(format!("its session {session} was never opened"));
        };
        let enforce = if state.mandate.shadow { Enforce::FloorOnly } else { Enforce::Rules };
        let pinned = self.rules.pinned.get(&session).cloned().unwrap_or_default();
        // Other rules may be accepted between a decision and its entry; what sets money aside requires that nothing was.
        let exact = record.payment.is_some() && record.decision.verdict == Verdict::Allow;
        let back = if exact { 1 } else { pinned.len() };
        let mut last = None;
        for pinned in pinned.iter().rev().take(back) {
            match self.rules.say(pinned, record, facts, enforce) {
                Said::Same => {
                    self.rules.again = self.rules.again.saturating_add(1);
                    self.note_plan(session, record);
                    return None;
                }
                other => last = last.or(Some(other)),
            }
        }
        self.note_plan(session, record);
        match last {
            Some(Said::Lie(problem)) => return Some(problem),
            Some(Said::Nothing(why)) => self.rules.cannot(why),
            Some(Said::Same) | None => {}
        }
        None
    }

    fn note_plan(&mut self, session: SessionId, record: &DecisionRecord) {
        if matches!(record.facts, Some(Facts::Plan(_))) && record.decision.verdict == Verdict::Allow {
            self.rules.planned.entry(session).or_default().push(record.clone());
        }
    }

    /// Why a plan cannot have been approved so.
    pub(super) fn plan_not_allowed(&mut self, session: SessionId, event: &SessionEvent) -> Vec<String> {
        let SessionEvent::PlanApproved { plan, approved_by, approval, decision } = event else {
            return Vec::new();
        };
        let mut problems = Vec::new();
        if self.sessions.is_unreadable(session) {
            return problems;
        }
        for item in &plan.items {
            problems.extend(self.worth.wrong(&item.ceiling, item.ceiling_micro_usd.atomic()));
        }
        let sum = plan.items.iter().fold(0_u128, |sum, item| {
            sum.saturating_add(item.ceiling_micro_usd.atomic().saturating_mul(u128::from(item.count)))
        });
        if sum != plan.total.atomic() {
            problems.push(format!("plan {} does not add up to its total", plan.id));
        }
        if approved_by == MANDATE && approval.is_none() {
            return problems;
        }
        let planned = self.rules.planned.get(&session).map(Vec::as_slice).unwrap_or_default();
        let Some(record) = planned.iter().find(|record| record.decision == *decision) else {
            if !self.rules.erased.contains(&session) {
                problems.push(format!("no decision that allows plan {} was journaled before", plan.id));
            }
            return problems;
        };
        if let Some(Facts::Plan(facts)) = &record.facts
            && let Some(state) = self.sessions.get(session)
        {
            let wrong = plan_told_otherwise(facts, plan, state);
            problems.extend(
                wrong.map(|what| format!("the rules that allowed plan {} were told another {what}", plan.id)),
            );
        }
        problems.extend(self.lifted_otherwise(&record.approved, *approval));
        problems
    }

    /// A person lifts exactly the rules that had asked.
    pub(super) fn lifted_otherwise(&self, lifted: &[String], approval: Option<ApprovalId>) -> Option<String> {
        let asked = approval.and_then(|approval| self.sessions.asked_to_lift(approval)).unwrap_or_default();
        (lifted != asked)
            .then(|| format!("rules were lifted that nobody was asked about: {}", lifted.join(", ")))
    }

    /// Whether the rules were told of this very purchase, under this mandate.
    pub(super) fn decided_otherwise(&self, record: &DecisionRecord, held: &Held) -> Option<String> {
        let quote = &held.offer.quote;
        let cost = quote.cost_micro_usd.as_ref().map(Amount::atomic);
        let Some(facts @ Facts::Pay(pay)) = &record.facts else {
            return Some("the rules that allowed it were told of another purchase".to_owned());
        };
        let same = canonical_digest(facts).is_ok_and(|digest| digest == record.decision.facts)
            && Some(pay.micro_usd) == cost
            && pay.payee == quote.payee
            && pay.resource == quote.resource
            && pay.method == quote.method
            && pay.asset == quote.price.asset().as_str()
            && pay.network == quote.network
            && pay.rail == quote.rail
            && pay.flow == held.offer.flow
            && pay.recurring == held.offer.recurring;
        if !same {
            return Some("the rules that allowed it were told of another purchase".to_owned());
        }
        let known = self.paid.contains(&(quote.host.clone(), quote.payee.clone()));
        if !pay.first_time_vendor && !known && self.erased == 0 {
            return Some("the rules that allowed it were told that its vendor was paid before".to_owned());
        }
        let state = self.sessions.get(held.ask.session)?;
        let wrong = paid_under_otherwise(pay, held, state)?;
        Some(format!("the rules that allowed it were told another {wrong} than its mandate and plan have"))
    }
}

/// Which fact is another than the mandate and the plan's item give.
fn paid_under_otherwise(pay: &PayFacts, held: &Held, state: &SessionState) -> Option<&'static str> {
    let (mandate, host) = (&state.mandate, &held.offer.quote.host);
    let has = |plan: &&Plan| plan.items.iter().any(|item| item.id == held.item);
    let plan = state.plans.iter().find(has);
    let item = plan.and_then(|plan| plan.items.iter().find(|item| item.id == held.item));
    let approved_by = plan.and_then(|plan| state.approved_by.get(&plan.id)).copied();
    let facts = [
        (
            "user, project or role",
            pay.actor.user == mandate.user
                && pay.actor.project == mandate.project
                && pay.actor.role == mandate.role,
        ),
        (
            "list of vendors",
            pay.vendor_listed == mandate.lists_vendor(host)
                && pay.vendor_approved == mandate.approves_vendor(host),
        ),
        ("category", pay.category == mandate.category_of(host)),
        ("list of assets", pay.asset_listed == mandate.assets.contains(held.offer.quote.price.asset())),
        ("threshold", pay.thresholds == thresholds(state)),
        ("word on money that moves first", pay.upfront_allowed == mandate.upfront),
        ("word on live money", mandate.live || !pay.live_enabled),
        // Whether there is such an item is asked beside.
        (
            "item",
            item.is_none_or(|item| {
                pay.covered
                    && pay.recurring_approved == item.recurring
                    && pay.client_data_approved == item.client_data
            }),
        ),
        ("approval", approved_by.is_none_or(|by| pay.approval == by)),
    ];
    facts.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
}

/// Which facts are others than the mandate and the plan give.
fn plan_told_otherwise<'a>(
    facts: &'a PlanFacts,
    plan: &'a Plan,
    state: &'a SessionState,
) -> impl Iterator<Item = &'static str> {
    let mandate = &state.mandate;
    let hosts: BTreeSet<&str> = plan.items.iter().map(|item| item.host.as_str()).collect();
    let categories: BTreeSet<&str> = hosts.iter().map(|host| mandate.category_of(host)).collect();
    let dearest = plan.items.iter().map(|item| item.ceiling_micro_usd.atomic()).max();
    let strict = mandate.approval.as_str();
    let as_strict = match strict {
        "rule" => true,
        "ask" => facts.approval != "rule",
        _ => facts.approval == strict,
    };
    let same = [
        ("plan", plan.digest().is_ok_and(|digest| digest == facts.plan)),
        ("total", facts.total_micro_usd == plan.total.atomic()),
        ("dearest item", Some(facts.item_max_micro_usd) == dearest),
        (
            "user, project or role",
            facts.actor.user == mandate.user
                && facts.actor.project == mandate.project
                && facts.actor.role == mandate.role,
        ),
        ("list of hosts", facts.hosts.iter().map(String::as_str).eq(hosts.iter().copied())),
        (
            "list of vendors",
            facts.vendors_listed == hosts.iter().all(|host| mandate.lists_vendor(host))
                && facts.vendors_approved == hosts.iter().all(|host| mandate.approves_vendor(host)),
        ),
        ("category", facts.categories.iter().map(String::as_str).eq(categories.iter().copied())),
        ("label of its data", facts.client_data == plan.items.iter().any(|item| item.client_data)),
        ("word on what renews itself", facts.recurring == plan.items.iter().any(|item| item.recurring)),
        (
            "list of assets",
            facts.assets_listed == plan.items.iter().all(|item| mandate.assets.contains(&item.asset)),
        ),
        (
            "threshold",
            facts.thresholds == thresholds(state)
                && facts.ask_above_micro_usd == mandate.ask_above.as_ref().map(Amount::atomic),
        ),
        ("word on live money", mandate.live || !facts.live_enabled),
        ("word on who is asked", as_strict),
    ];
    same.into_iter().filter(|(_, same)| !same).map(|(what, _)| what)
}

fn thresholds(state: &SessionState) -> Thresholds {
    Thresholds {
        payment_max_micro_usd: state.mandate.payment_max.as_ref().map(Amount::atomic),
        review_above_micro_usd: state.mandate.review_above.as_ref().map(Amount::atomic),
    }
}
