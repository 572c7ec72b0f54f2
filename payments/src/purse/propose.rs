//! Proposing: plans are made of stored quotes, decided on by rules, and where they ask, by a person.

use super::approvals::Asked;
use super::budgets::item_budgets;
use super::decide::{TRIES, denied, vendor_link};
use super::open::add_session_event;
use super::uses::fullest;
use super::{DecisionRecord, SessionPurse, sums, unavailable};
use crate::approval::ApprovalAction;
use crate::events::MoneyEvent;
use crate::plan::{ItemTerms, Plan};
use crate::policy::{Facts, PlanFacts, Weighed};
use crate::rail::Offer;
use crate::reasons;
use crate::session::{Given, SessionEvent, SessionState, Waiting};
use bursar_ledger::{AccountOp, CommitError, Payload, Refusal, StreamId, Transaction};
use bursar_types::{
    Amount, ApprovalId, AssetId, Decision, FetchError, PlanId, PlanOutcome, PlanProposal, PlanView, Quote,
    Reason, Untrusted, Verdict,
};
use bytes::Bytes;
use std::collections::BTreeSet;

const ITEMS_MAX: usize = 64;
const COUNT_MAX: u32 = 1_000;

/// A plan made from a proposal.
pub(super) struct Drafted {
    plan: Plan,
    pub(super) view: PlanView,
    offers: Vec<Offer>,
    /// Why it was proposed, where that is not kept yet.
    purpose: Option<Payload>,
}

impl SessionPurse {
    /// Decides on a proposal, asking an approver where the rules say so.
    pub(super) async fn propose(&self, proposal: PlanProposal) -> Result<PlanOutcome, FetchError> {
        let drafted = match self.draft(&proposal).await? {
            Ok(drafted) => drafted,
            Err(reason) => {
                let decision = denied(reason);
                return self.plan_refused(None, decision).await;
            }
        };
        let state = self.state().await?;
        let record = self.decide_plan(&state, &drafted, &[]).await?;
        match record.decision.verdict {
            Verdict::Allow => self.approve(drafted, record.decision, "rule", None).await,
            Verdict::Deny => self.denied_by_rule(drafted, record).await,
            Verdict::Escalate => self.ask_about(drafted, &record.decision).await,
        }
    }

    /// Makes a plan of stored quotes; the proposer's words fill nothing that money depends on.
    async fn draft(&self, proposal: &PlanProposal) -> Result<Result<Drafted, Reason>, FetchError> {
        if proposal.items.is_empty() || proposal.items.len() > ITEMS_MAX {
            return Ok(Err(reasons::bad_plan("the plan has no items, or more than 64")));
        }
        if proposal.items.iter().any(|item| item.count == 0 || item.count > COUNT_MAX) {
            return Ok(Err(reasons::bad_plan("an item's count is not between 1 and 1000")));
        }
        let now = self.shared.clock.now();
        let id = PlanId::random(&*self.shared.entropy);
        let mut items: Vec<ItemTerms> = Vec::with_capacity(proposal.items.len());
        let mut offers = Vec::with_capacity(proposal.items.len());
        let mut total = Amount::from_atomic(AssetId::micro_usd(), 0);
        for (index, item) in (0_u64..).zip(&proposal.items) {
            let Some(offer) = self.stored_offer(item.quote).await? else {
                return Ok(Err(reasons::unknown_quote()));
            };
            if let Some(reason) = &offer.quote.blocked {
                return Ok(Err(reason.clone()));
            }
            if offer.quote.expires_at <= now {
                return Ok(Err(reasons::quote_expired(offer.quote.expires_at)));
            }
            let Some(cost) = offer.quote.cost_micro_usd.clone() else {
                return Ok(Err(reasons::bad_plan("a quote is in an asset without a dollar peg")));
            };
            if items.iter().any(|known| known.quote == Some(item.quote)) {
                return Ok(Err(reasons::bad_plan("a quote is cited twice; raise its count instead")));
            }
            let terms = ItemTerms::from_offer(id, index, &offer, cost, item.count);
            let sum = terms
                .ceiling_micro_usd
                .checked_mul(u64::from(item.count))
                .and_then(|sum| total.checked_add(&sum));
            total = match sum {
                Ok(total) => total,
                Err(_) => return Ok(Err(reasons::bad_plan("the plan's total is out of range"))),
            };
            items.push(terms);
            offers.push(offer);
        }
        let purpose = serde_json::to_vec(proposal).map_err(unavailable)?;
        let purpose = Payload::seal(Bytes::from(purpose), &*self.shared.entropy);
        let state = self.state().await?;
        let plan = Plan {
            id,
            items,
            total,
            expires_at: now.plus_ms(state.mandate.plan_s_max.saturating_mul(1_000)),
            purpose: Some(purpose.commitment()),
        };
        let purposes: Vec<_> = proposal.items.iter().map(|item| item.purpose.clone()).collect();
        let view = plan.view(&purposes).map_err(unavailable)?;
        Ok(Ok(Drafted { plan, view, offers, purpose: Some(purpose) }))
    }

    async fn decide_plan(
        &self,
        state: &SessionState,
        drafted: &Drafted,
        approved: &[String],
    ) -> Result<DecisionRecord, FetchError> {
        let facts = Facts::Plan(self.plan_facts(state, drafted).await?);
        let Weighed { decision, shadow } = self.weigh(state, &facts, approved);
        let what = format!("plan {}", drafted.plan.id);
        let approved = approved.to_vec();
        let record = DecisionRecord { approved, shadow, ..DecisionRecord::of(what, decision).over(&facts) };
        // A denial is journaled where it is told.
        if record.decision.verdict != Verdict::Deny {
            self.record_decision(&record).await?;
        }
        Ok(record)
    }

    /// Tells of a denial, with what rules would have decided that are only tried out.
    async fn denied_by_rule(
        &self,
        drafted: Drafted,
        record: DecisionRecord,
    ) -> Result<PlanOutcome, FetchError> {
        match self.refuse_recorded(record).await {
            FetchError::Denied(decision) => Ok(PlanOutcome::Refused { plan: Some(drafted.view), decision }),
            error => Err(error),
        }
    }

    async fn plan_facts(&self, state: &SessionState, drafted: &Drafted) -> Result<PlanFacts, FetchError> {
        let budgets = self.budgets(&self.lineage().await?, None).await?;
        let (budget_basis_points, _) = fullest(&budgets, &drafted.plan.total);
        let mandate = &state.mandate;
        let quotes = || drafted.offers.iter().map(|offer| &offer.quote);
        let hosts = distinct(quotes().map(|quote| quote.host.clone()));
        let live = |quote: &Quote| {
            self.shared.registry.get(quote.price.asset()).map_or(true, bursar_types::Asset::live)
        };
        let mut first_time_vendor = false;
        for quote in quotes() {
            let link = vendor_link(&quote.host, &quote.payee);
            first_time_vendor |= self.shared.ledger.link(&link).await.map_err(unavailable)?.is_none();
        }
        Ok(PlanFacts {
            actor: self.actor.clone(),
            plan: drafted.view.digest,
            total_micro_usd: drafted.plan.total.atomic(),
            items: u64::try_from(drafted.plan.items.len()).unwrap_or(u64::MAX),
            vendors_listed: hosts.iter().all(|host| mandate.lists_vendor(host)),
            vendors_approved: hosts.iter().all(|host| mandate.approves_vendor(host)),
            first_time_vendor,
            categories: distinct(hosts.iter().map(|host| sums::category(mandate, host))),
            hosts,
            rails: distinct(quotes().map(|quote| quote.rail.clone())),
            networks: distinct(quotes().map(|quote| quote.network.clone())),
            client_data: drafted.plan.items.iter().any(|item| item.client_data),
            recurring: drafted.plan.items.iter().any(|item| item.recurring),
            item_max_micro_usd: most(drafted.plan.items.iter().map(|item| item.ceiling_micro_usd.atomic())),
            sums: self.sums_of_plan(&budgets, &drafted.plan).await?,
            thresholds: sums::thresholds(mandate),
            gate: self.gate_level(&budgets).await?,
            assets_listed: quotes().all(|quote| mandate.assets.contains(quote.price.asset())),
            live: quotes().any(live),
            live_enabled: self.live_enabled(state),
            approval: mandate.approval.strictest(self.hooks.approval).as_str().into(),
            ask_above_micro_usd: mandate.ask_above.as_ref().map(Amount::atomic),
            budget_basis_points,
        })
    }

    /// Makes the plan part of the session, with its budgets, in one transaction that uses the approval up.
    async fn approve(
        &self,
        drafted: Drafted,
        decision: Decision,
        approved_by: &str,
        approval: Option<ApprovalId>,
    ) -> Result<PlanOutcome, FetchError> {
        for _ in 0..TRIES {
            let lineage = self.lineage().await?;
            let stopped = self.time().await?.map_or_else(Some, |now| lineage.stopped(now));
            if let Some(reason) = stopped {
                return self.plan_refused(Some(drafted.view), denied(reason)).await;
            }
            let stream = StreamId::of("session", self.session);
            let mut transaction = Transaction::default();
            transaction.require.extend(lineage.unmoved());
            for item in &drafted.plan.items {
                transaction
                    .accounts
                    .extend(item_budgets(item, None).map_err(unavailable)?.map(AccountOp::Open));
            }
            let event = SessionEvent::PlanApproved {
                plan: Box::new(drafted.plan.clone()),
                approved_by: approved_by.to_owned(),
                approval,
                decision: decision.clone(),
            };
            // A second use of one approval does not fold, so it is not written.
            SessionState::apply(self.session, Some(SessionState::clone(lineage.own())), event.clone())
                .map_err(|error| FetchError::Ledger(Box::new(error)))?;
            add_session_event(&mut transaction, &self.shared, &stream, &event).map_err(unavailable)?;
            transaction.payloads.extend(drafted.purpose.clone());
            match self.shared.ledger.commit(transaction).await {
                Ok(_) => {
                    return Ok(PlanOutcome::Approved {
                        plan: drafted.view,
                        approved_by: approved_by.to_owned(),
                        decision,
                    });
                }
                Err(CommitError::Refused(Refusal::StreamMoved { .. })) => {}
                Err(error) => return Err(unavailable(error)),
            }
        }
        self.plan_refused(Some(drafted.view), denied(reasons::contended())).await
    }

    /// Puts a plan to an approver.
    async fn ask_about(&self, drafted: Drafted, decision: &Decision) -> Result<PlanOutcome, FetchError> {
        let said = drafted.said();
        let action = ApprovalAction::Plan(Box::new(drafted.plan.clone()));
        let asked =
            self.ask_for(action, said, decision, drafted.purpose.clone().into_iter().collect()).await?;
        match asked {
            Asked::Given(given) => self.use_plan(&given).await,
            Asked::Refused(reason) => {
                let decision = Decision { facts: decision.facts, ..denied(reason) };
                self.plan_refused(Some(drafted.view), decision).await
            }
            // Said of payments only.
            Asked::Overtaken => self.plan_refused(Some(drafted.view), denied(reasons::contended())).await,
            Asked::Waits(waiting) => {
                let ticket = self.ticket(&waiting)?;
                // It may be the question about the same purchases that was asked before, perhaps by another process.
                let plan = self.plan_asked_about(&waiting).await?;
                Ok(PlanOutcome::AwaitingApproval { plan: plan.unwrap_or(drafted.view), ticket })
            }
        }
    }

    /// The plan that a question is about.
    pub(super) async fn plan_asked_about(&self, waiting: &Waiting) -> Result<Option<PlanView>, FetchError> {
        match &waiting.question.action {
            ApprovalAction::Plan(plan) => Ok(self.redraft(plan).await?.map(|drafted| drafted.view)),
            ApprovalAction::Payment(_) | ApprovalAction::Call(_) => Ok(None),
        }
    }

    /// Uses a yes: the rules are asked again, and it lifts exactly those that had asked. A new one asks anew.
    pub(super) async fn use_plan(&self, given: &Given) -> Result<PlanOutcome, FetchError> {
        let question = &given.waiting.question;
        let drafted = match &question.action {
            ApprovalAction::Plan(plan) => self.redraft(plan).await?,
            ApprovalAction::Payment(_) | ApprovalAction::Call(_) => None,
        };
        let Some(drafted) = drafted else {
            self.withdraw(question.id, "a quote of the plan is gone").await?;
            return self.plan_refused(None, denied(reasons::unknown_quote())).await;
        };
        let state = self.state().await?;
        if !state.counts(given, self.shared.clock.now()) {
            self.withdraw(question.id, "it ran out, or is not signed as the mandate wants").await?;
            return self.plan_refused(Some(drafted.view), denied(reasons::approval_expired())).await;
        }
        let again = self.decide_plan(&state, &drafted, &question.rules).await?;
        match again.decision.verdict {
            Verdict::Allow => self.approve(drafted, again.decision, given.by.name(), Some(question.id)).await,
            Verdict::Escalate => {
                self.withdraw(question.id, "the rules ask about more than was answered").await?;
                let all = self.decide_plan(&state, &drafted, &[]).await?;
                Box::pin(self.ask_about(drafted, &all.decision)).await
            }
            Verdict::Deny => {
                self.withdraw(question.id, "the rules refuse it now").await?;
                self.denied_by_rule(drafted, again).await
            }
        }
    }

    /// Uses what was approved since, perhaps through another process. What does not hold any more is withdrawn.
    pub(super) async fn use_given_plans(&self) -> Result<(), FetchError> {
        if !self.follows_phase {
            // Recovery and persons at the desk decide nothing, and perhaps under other rules.
            return Ok(());
        }
        let state = self.state().await?;
        for given in state.given.values() {
            if matches!(given.waiting.question.action, ApprovalAction::Plan(_)) {
                let outcome = self.use_plan(given).await?;
                self.tell(&MoneyEvent::PlanDecided { outcome });
            }
        }
        Ok(())
    }

    /// A plan as it was drafted, from what is stored; `None` if a quote or its reasons are gone.
    pub(super) async fn redraft(&self, plan: &Plan) -> Result<Option<Drafted>, FetchError> {
        let mut offers = Vec::with_capacity(plan.items.len());
        for item in &plan.items {
            let Some(quote) = item.quote else { return Ok(None) };
            let Some(offer) = self.stored_offer(quote).await? else { return Ok(None) };
            offers.push(offer);
        }
        let Some(purpose) = plan.purpose else { return Ok(None) };
        let Some(bytes) = self.shared.ledger.payload(purpose).await.map_err(unavailable)? else {
            return Ok(None);
        };
        let proposal: PlanProposal = serde_json::from_slice(&bytes).map_err(unavailable)?;
        let purposes: Vec<_> = proposal.items.iter().map(|item| item.purpose.clone()).collect();
        let view = plan.view(&purposes).map_err(unavailable)?;
        // The payload is kept already, so it is not kept again.
        Ok(Some(Drafted { plan: plan.clone(), view, offers, purpose: None }))
    }

    pub(super) async fn append_session_event(&self, event: &SessionEvent) -> Result<(), FetchError> {
        let stream = StreamId::of("session", self.session);
        let mut transaction = Transaction::default();
        add_session_event(&mut transaction, &self.shared, &stream, event).map_err(unavailable)?;
        self.shared.ledger.commit(transaction).await.map_err(unavailable)?;
        Ok(())
    }

    async fn plan_refused(
        &self,
        plan: Option<PlanView>,
        decision: Decision,
    ) -> Result<PlanOutcome, FetchError> {
        match self.refuse_plainly("a plan", decision).await {
            FetchError::Denied(decision) => Ok(PlanOutcome::Refused { plan, decision }),
            error => Err(error),
        }
    }
}

impl Drafted {
    /// What the agent and the sellers say about it, for whoever is asked.
    fn said(&self) -> Vec<Untrusted<String>> {
        let described = self.offers.iter().filter_map(|offer| offer.quote.description.clone());
        self.view.items.iter().map(|item| item.purpose.clone()).chain(described).collect()
    }
}

/// Sorted, each once.
fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The largest; of nothing the largest there is, since nothing is known.
fn most(amounts: impl Iterator<Item = u128>) -> u128 {
    amounts.max().unwrap_or(u128::MAX)
}
