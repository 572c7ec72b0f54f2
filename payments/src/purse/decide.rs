//! Matching, deciding and holding.

use super::approvals::Asked;
use super::ask::{host_of, is_secure, parse_url};
use super::budgets::{Part, Purchase};
use super::clock::still;
use super::gates::{GATE_LINKS, Reached};
use super::join::{Loaded, open_link};
use super::lineage::Lineage;
use super::remedy::{given_up_link, not_given_up};
use super::spans::{note_decision, note_entry, stage};
use super::uses::{BudgetUse, Counts, fullest, hold_lines};
use super::{DecisionRecord, SessionPurse, sums, unavailable};
use crate::approval::{ApprovalAction, PaymentTerms};
use crate::events::MoneyEvent;
use crate::mandate::PlanApproval;
use crate::payment::{Ask, Held, Payment, PaymentEvent};
use crate::plan::ItemTerms;
use crate::policy::{ApprovedBy, Facts, GateState, PayFacts, Sums, Weighed};
use crate::rail::Offer;
use crate::reasons;
use crate::session::{Given, SessionState, phase};
use bursar_ledger::{AccountOp, CommitError, EventError, LinkWrite, Payload, Refusal, Require, Transaction};
use bursar_types::{
    Amount, ApprovalId, Ceiling, DataLabel, Decision, FetchError, Fetched, HoldId, HttpRequest, Reason,
    Timestamp, Untrusted, Verdict, canonical_digest,
};
use tracing::{Instrument as _, Span};

/// How often a decision is taken anew when what it was based on changed meanwhile.
pub(super) const TRIES: usize = 3;
/// The same for a hold. Whoever came second decides again in turn, one at a time in a process; each failure is another's
/// success then, so this many are reached only by many processes at once.
const HOLD_TRIES: usize = 64;
/// How many authorizations one purchase is signed for, each after the one before was proven never to move money. A vendor that
/// lets all of them run out does not sell.
const SIGNATURES_MAX: usize = 5;
/// How long a hold may wait for its signature.
const HOLD_MS: u64 = 120_000;

/// What came of deciding.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is returned once and matched at once")]
pub(super) enum HoldOutcome {
    /// Money is set aside.
    Held(Box<Held>),
    /// It was not: this is the answer.
    Stopped(Fetched),
    /// Another worker took this very purchase up meanwhile.
    Overtaken,
}

/// An offer that an item of an approved plan covers.
#[derive(Debug)]
struct Covered<'a> {
    offer: &'a Offer,
    item: &'a ItemTerms,
    approval: ApprovedBy,
    cost: &'a Amount,
}

/// What was spent before, as rules see it.
#[derive(Debug)]
struct Spending {
    budget_basis_points: u64,
    sums: Sums,
    gate: GateState,
}

/// A covered offer that the rules allow, and what must stay true until it is held.
#[derive(Debug)]
struct Allowed<'a> {
    covered: Covered<'a>,
    record: DecisionRecord,
    /// The yes that it needs.
    approval: Option<ApprovalId>,
    conditions: Vec<Require>,
    budgets: Vec<BudgetUse>,
    reached: Vec<Reached>,
}

/// A hold that is to be made, with everything that must be true at once.
#[derive(Debug)]
struct NewHold<'a> {
    held: &'a Held,
    record: &'a DecisionRecord,
    lineage: &'a Lineage,
    conditions: Vec<Require>,
    reached: &'a [Reached],
}

/// What came of asking the rules about the covered offers.
#[derive(Debug)]
enum Choice<'a> {
    /// One may be paid.
    Allowed(Allowed<'a>),
    /// An approver has to say yes to this one first.
    Asks { terms: PaymentTerms, record: DecisionRecord, said: Vec<Untrusted<String>> },
    /// A yes was given for other terms: they differ in this.
    Mismatch { approval: ApprovalId, reason: Reason },
}

/// What a yes that was given does for a payment.
#[derive(Debug)]
enum Lifted {
    /// It may be made, and uses the yes up.
    Yes(Weighed, ApprovalId),
    /// The yes was given for other terms.
    Mismatch(ApprovalId, Reason),
    /// There is none, or it does not cover all that the rules ask about.
    No,
}

/// Whether the record of a payment was erased. Only what is over is.
fn was_erased(error: &FetchError) -> bool {
    let FetchError::Ledger(cause) = error else { return false };
    matches!(cause.downcast_ref(), Some(EventError::Erased { .. }))
}

impl SessionPurse {
    /// Those of which it is known what left the wallet. If there are none, all of them, and why none can be paid: what the rules say
    /// comes first.
    async fn of_known_outflow<'a>(
        &self,
        covered: Vec<Covered<'a>>,
    ) -> Result<(Vec<Covered<'a>>, Option<Reason>), FetchError> {
        let (mut known, mut others, mut why) = (Vec::with_capacity(covered.len()), Vec::new(), None);
        for one in covered {
            match self.outflow_unread(one.offer.quote.price.asset()).await? {
                None => known.push(one),
                Some(reason) => {
                    others.push(one);
                    why = Some(reason);
                }
            }
        }
        Ok(if known.is_empty() { (others, why) } else { (known, None) })
    }

    /// Chooses the cheapest offer that a plan covers and the rules allow, and sets its money aside.
    pub(super) async fn hold(
        &self,
        ask: &Ask,
        request: &HttpRequest,
        offers: Vec<Offer>,
        bought: Option<String>,
    ) -> Result<HoldOutcome, FetchError> {
        let offers = under_ceiling(Ceiling::of(request), offers);
        let (mut turn, mut funded) = (None, None);
        for tries in 0..HOLD_TRIES {
            if tries > 0 && turn.is_none() {
                turn = Some(self.shared.turns.lock().await);
            }
            self.use_given_plans().await?;
            let lineage = self.lineage().await?;
            let state = lineage.own();
            let now = match self.time().await? {
                Ok(now) => now,
                Err(reason) => {
                    let what = format!("paying for {}", ask.url);
                    return Err(self.refuse_plainly(&what, denied(reason)).await);
                }
            };
            let counts = self.counts(state, now).await?;
            if let Some(reason) = lineage.stopped(now) {
                let what = format!("paying for {}", ask.url);
                return Err(self.refuse_plainly(&what, denied(reason)).await);
            }
            if self.hooks.approval == PlanApproval::Never {
                return self.not_covered(offers, vec![reasons::dry_run()]).await;
            }
            let covered = match cover(state, &counts, &offers, now) {
                Ok(covered) => covered,
                Err(reasons) => return self.not_covered(offers, reasons).await,
            };
            let (covered, unread) = self.of_known_outflow(covered).await?;
            let loaded = match Loaded::read(&self.shared.ledger, ask.payment).await {
                Err(error) if was_erased(&error) => {
                    let reason = denied(reasons::purchase_erased());
                    return Err(self.refuse_plainly(&format!("paying for {}", ask.url), reason).await);
                }
                loaded => loaded?,
            };
            let Some(attempt) = next_attempt(loaded.payment.as_ref()) else {
                return Ok(HoldOutcome::Overtaken);
            };
            if loaded.signatures >= SIGNATURES_MAX {
                let reason = denied(reasons::attempts_exhausted(loaded.signatures));
                return Err(self.refuse_plainly(&format!("paying for {}", ask.url), reason).await);
            }
            let choice = self.first_allowed(&lineage, &counts, ask, request, covered, now).await?;
            let allowed = match choice {
                Choice::Allowed(allowed) => allowed,
                Choice::Asks { terms, record, said } => {
                    // A person may take long; others need not wait for that.
                    drop(turn.take());
                    self.record_decision(&record).await?;
                    if let Some((given, _)) = state.given_for(ask.payment, now) {
                        let why = "the rules ask about more than was answered";
                        self.withdraw(given.waiting.question.id, why).await?;
                    }
                    return self.ask_to_pay(terms, &record.decision, said).await;
                }
                Choice::Mismatch { approval, reason } => {
                    self.withdraw(approval, &reason.message).await?;
                    return Err(self
                        .refuse_plainly(&format!("paying for {}", ask.url), denied(reason))
                        .await);
                }
            };
            let Allowed { covered, record, approval, conditions, budgets, reached } = allowed;
            if let Some(reason) = unread {
                let what = format!("paying for {}", ask.url);
                return Err(self.refuse_plainly(&what, denied(reason)).await);
            }
            if funded != Some(covered.offer.quote.id) {
                self.check_funds(covered.offer).await?;
                funded = Some(covered.offer.quote.id);
            }
            self.alert(&reached, record.decision.facts).await?;
            let mut ask = ask.clone();
            let body = request.body();
            let body = (!body.is_empty()).then(|| Payload::seal(body.clone(), &*self.shared.entropy));
            ask.body = body.as_ref().map(Payload::commitment);
            let held = Held {
                attempt,
                offer: covered.offer.clone(),
                item: covered.item.id,
                hold: HoldId::derived(&[ask.payment.as_bytes(), &attempt.to_be_bytes()]),
                lines: hold_lines(&budgets, covered.item.id, covered.cost),
                decision: record.decision.clone(),
                approval,
                ask,
            };
            let cost = covered.cost.clone();
            let free = [
                // What was bought under this key since it was looked for is not bought again.
                LinkWrite {
                    key: self.bought_link(&held.ask),
                    expected: bought.clone(),
                    value: bought.clone(),
                },
                LinkWrite {
                    key: open_link(held.ask.request),
                    expected: None,
                    value: Some(held.ask.payment.to_string()),
                },
                not_given_up(held.ask.payment),
            ];
            let hold =
                NewHold { held: &held, record: &record, lineage: &lineage, conditions, reached: &reached };
            let holding = stage!(HOLD, held.ask.payment);
            match self.commit_hold(hold, &loaded, free, body, now).instrument(holding).await {
                Ok(()) => {
                    note_decision(&Span::current(), &record.decision);
                    self.tell_gates(reached);
                    self.tell(&MoneyEvent::Held { payment: held.view(None), micro_usd: cost });
                    return Ok(HoldOutcome::Held(Box::new(held)));
                }
                Err(CommitError::Refused(
                    Refusal::StreamMoved { .. } | Refusal::UsedMore { .. } | Refusal::ClockBehind { .. },
                )) => {}
                Err(CommitError::Refused(Refusal::LinkMoved { key, .. })) => {
                    if key.starts_with(GATE_LINKS) {
                        continue;
                    }
                    if key == given_up_link(held.ask.payment) {
                        return Err(FetchError::Denied(denied(reasons::given_up())));
                    }
                    return Ok(HoldOutcome::Overtaken);
                }
                Err(CommitError::Refused(refusal)) => {
                    return Err(self.refused_by_ledger(refusal, &held, &budgets).await);
                }
                Err(error) => return Err(unavailable(error)),
            }
        }
        Err(FetchError::Denied(denied(reasons::contended())))
    }

    async fn commit_hold(
        &self,
        hold: NewHold<'_>,
        loaded: &Loaded,
        free: [LinkWrite; 3],
        body: Option<Payload>,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let NewHold { held, record, lineage, conditions, reached } = hold;
        let mut transaction = Transaction { require: conditions, ..Transaction::default() };
        transaction.require.extend(lineage.unmoved());
        transaction.require.push(still(now));
        transaction.accounts.push(AccountOp::Hold {
            id: held.hold,
            lines: held.lines.clone(),
            expires_at: now.plus_ms(HOLD_MS),
        });
        transaction.links.extend(free);
        transaction.payloads.extend(body);
        let event = PaymentEvent::Held(Box::new(held.clone()));
        transaction.require.push(loaded.unmoved());
        self.add_payment_event(&mut transaction, held, &event)?;
        self.add_gates(&mut transaction, reached)
            .map_err(|error| CommitError::Refused(Refusal::NotCanonical(error.to_string())))?;
        self.add_decision(&mut transaction, record)?;
        self.shared.ledger.commit(transaction).await.map(|committed| note_entry(&committed))
    }

    /// Nothing covers the purchase: the prices are the answer, and why it was not bought is journaled.
    async fn not_covered(&self, offers: Vec<Offer>, reasons: Vec<Reason>) -> Result<HoldOutcome, FetchError> {
        let quotes: Vec<_> = offers.into_iter().map(|offer| offer.quote).collect();
        let changed = reasons.iter().any(|reason| reason.code != "NOT_IN_PLAN");
        if changed {
            let what = quotes.first().map_or_else(String::new, |quote| format!("buying {}", quote.resource));
            let decision = Decision {
                facts: canonical_digest(&quotes).map_err(unavailable)?,
                ..denied_for(reasons.clone())
            };
            if let error @ FetchError::Ledger(_) = self.refuse_plainly(&what, decision).await {
                return Err(error);
            }
        }
        Ok(HoldOutcome::Stopped(Fetched::Quotes { quotes, reasons }))
    }

    /// The first covered offer, cheapest first, that the rules allow.
    async fn first_allowed<'a>(
        &self,
        lineage: &Lineage,
        counts: &Counts,
        ask: &Ask,
        request: &HttpRequest,
        covered: Vec<Covered<'a>>,
        now: Timestamp,
    ) -> Result<Choice<'a>, FetchError> {
        let given = lineage.own().given_for(ask.payment, now);
        let mut asks = None;
        let mut mismatch = None;
        let mut refused = None;
        for candidate in covered {
            let quote = &candidate.offer.quote;
            let purchase = Purchase::of(&quote.host, &quote.payee, &quote.rail, &quote.resource);
            let budgets = self.budgets(lineage, Some(&purchase)).await?;
            let (budget_basis_points, mut conditions) = fullest(&budgets, candidate.cost);
            let (sums, unchanged) = sums::of_payment(&budgets, candidate.cost);
            let gates = self.gates(&budgets, candidate.cost, now).await?;
            conditions.extend(unchanged);
            conditions.extend(gates.conditions);
            let spending = Spending { budget_basis_points, sums, gate: gates.level };
            let facts = self.pay_facts(lineage.own(), counts, request, &candidate, spending, now).await?;
            let facts = Facts::Pay(facts);
            let weighed = self.weigh(lineage.own(), &facts, &[]);
            let recorded = |Weighed { decision, shadow }: Weighed| DecisionRecord {
                shadow,
                payment: Some(ask.payment),
                ..DecisionRecord::of(format!("paying for {}", quote.resource), decision).over(&facts)
            };
            let chosen = match weighed.decision.verdict {
                Verdict::Allow => Some((recorded(weighed), None)),
                Verdict::Deny => {
                    refused.get_or_insert(recorded(weighed));
                    None
                }
                Verdict::Escalate => {
                    let Covered { offer, item, cost, .. } = &candidate;
                    let terms = PaymentTerms::of(ask.payment, item.id, offer, cost);
                    match self.lifted(lineage.own(), given, &terms, &facts) {
                        Lifted::Yes(again, approval) => {
                            let rules = given.map(|(given, _)| given.waiting.question.rules.clone());
                            let approved = rules.unwrap_or_default();
                            Some((DecisionRecord { approved, ..recorded(again) }, Some(approval)))
                        }
                        Lifted::Mismatch(approval, reason) => {
                            mismatch.get_or_insert((approval, reason));
                            None
                        }
                        Lifted::No => {
                            let said = quote.description.iter().cloned().collect();
                            asks.get_or_insert((terms, recorded(weighed), said));
                            None
                        }
                    }
                }
            };
            if let Some((record, approval)) = chosen {
                return Ok(Choice::Allowed(Allowed {
                    covered: candidate,
                    record,
                    approval,
                    conditions,
                    budgets,
                    reached: gates.reached,
                }));
            }
        }
        match (mismatch, asks, refused) {
            (Some((approval, reason)), ..) => Ok(Choice::Mismatch { approval, reason }),
            (None, Some((terms, record, said)), _) => Ok(Choice::Asks { terms, record, said }),
            (None, None, Some(record)) => Err(self.refuse_recorded(record).await),
            (None, None, None) => Err(FetchError::Denied(denied(reasons::not_in_plan()))),
        }
    }

    /// Whether a yes that was given covers these very terms, and all that the rules ask about.
    fn lifted(
        &self,
        state: &SessionState,
        given: Option<(&Given, &PaymentTerms)>,
        terms: &PaymentTerms,
        facts: &Facts,
    ) -> Lifted {
        let Some((given, approved)) = given else { return Lifted::No };
        let question = &given.waiting.question;
        if let Some((what, approved, found)) = approved.difference(terms) {
            return Lifted::Mismatch(question.id, reasons::approval_mismatch(what, &approved, &found));
        }
        // It lifts exactly the rules that had asked.
        let again = self.weigh(state, facts, &question.rules);
        if again.decision.verdict == Verdict::Allow { Lifted::Yes(again, question.id) } else { Lifted::No }
    }

    /// Puts a payment to an approver.
    async fn ask_to_pay(
        &self,
        terms: PaymentTerms,
        decision: &Decision,
        said: Vec<Untrusted<String>>,
    ) -> Result<HoldOutcome, FetchError> {
        let what = format!("paying for {}", terms.resource);
        let action = ApprovalAction::Payment(Box::new(terms));
        match self.ask_for(action, said, decision, Vec::new()).await? {
            // Prices are asked again: they may have changed while somebody thought.
            Asked::Given(_) | Asked::Overtaken => Ok(HoldOutcome::Overtaken),
            Asked::Waits(waiting) => {
                Ok(HoldOutcome::Stopped(Fetched::AwaitingApproval(self.ticket(&waiting)?)))
            }
            Asked::Refused(reason) => {
                let decision = Decision { facts: decision.facts, ..denied(reason) };
                Err(self.refuse_plainly(&what, decision).await)
            }
        }
    }

    async fn pay_facts(
        &self,
        state: &SessionState,
        counts: &Counts,
        request: &HttpRequest,
        covered: &Covered<'_>,
        spending: Spending,
        now: Timestamp,
    ) -> Result<PayFacts, FetchError> {
        let quote = &covered.offer.quote;
        let ledger = &self.shared.ledger;
        let paid_before = ledger.link(&vendor_link(&quote.host, &quote.payee)).await.map_err(unavailable)?;
        let unknown = ledger.links(&unknown_prefix(&quote.host)).await.map_err(unavailable)?;
        let live = self.shared.registry.get(quote.price.asset()).map_or(true, bursar_types::Asset::live);
        let url = parse_url(request)?;
        Ok(PayFacts {
            actor: self.actor.clone(),
            host: host_of(&url).unwrap_or_default(),
            payee: quote.payee.clone(),
            resource: quote.resource.clone(),
            method: quote.method.clone(),
            rail: quote.rail.clone(),
            flow: covered.offer.flow.clone(),
            network: quote.network.clone(),
            asset: quote.price.asset().to_string(),
            micro_usd: covered.cost.atomic(),
            phase: phase(state, &counts.bought, now),
            covered: true,
            secure: is_secure(&url),
            vendor_listed: state.mandate.lists_vendor(&quote.host),
            vendor_approved: state.mandate.approves_vendor(&quote.host),
            category: sums::category(&state.mandate, &quote.host),
            data: DataLabel::of(request),
            recurring: covered.offer.recurring,
            recurring_approved: covered.item.recurring,
            client_data_approved: covered.item.client_data,
            approval: covered.approval,
            sums: spending.sums,
            thresholds: sums::thresholds(&state.mandate),
            gate: spending.gate,
            asset_listed: state.mandate.assets.contains(quote.price.asset()),
            first_time_vendor: paid_before.is_none(),
            vendor_unknown_open: !unknown.is_empty(),
            live,
            live_enabled: self.live_enabled(state),
            upfront_allowed: state.mandate.upfront,
            mandate_expired: state.mandate.expired(now),
            budget_basis_points: spending.budget_basis_points,
        })
    }

    /// Whether the wallet can pay at all: asked before anything is held, so that an empty wallet is a clear answer and not
    /// an authorization that hangs.
    async fn check_funds(&self, offer: &Offer) -> Result<(), FetchError> {
        let Some(rail) = self.shared.rails.iter().find(|rail| rail.name() == offer.quote.rail) else {
            return Err(FetchError::Wallet(format!("there is no rail `{}`", offer.quote.rail)));
        };
        let registry = &self.shared.registry;
        match rail.funds(offer).await {
            Ok(Some(funds)) if matches!(offer.quote.price.at_most(&funds), Ok(true)) => Ok(()),
            Ok(Some(funds)) => Err(FetchError::Wallet(format!(
                "{} on {} has {}, and this costs {}; fund it and fetch again",
                self.shared.wallet.address(),
                offer.quote.network,
                registry.display(&funds),
                registry.display(&offer.quote.price),
            ))),
            Ok(None) => Ok(()),
            Err(problem) => Err(FetchError::Wallet(format!("its balance could not be read: {problem}"))),
        }
    }

    async fn refused_by_ledger(&self, refusal: Refusal, held: &Held, budgets: &[BudgetUse]) -> FetchError {
        let registry = &self.shared.registry;
        let reason = match refusal {
            Refusal::OverLimit { budget, name, limit, spent, held, asked } => {
                let used = spent.atomic().saturating_add(held.atomic());
                let left = Amount::from_atomic(limit.asset().clone(), limit.atomic().saturating_sub(used));
                let (limit, asked) = (registry.display(&limit), registry.display(&asked));
                let touched = budgets.iter().find(|used| used.budget().id == budget);
                match touched.map(|used| used.touched.part) {
                    Some(part @ (Part::Open | Part::UnknownVendors | Part::Payments(_))) => {
                        reasons::limit_reached(part, &name, &limit, &asked)
                    }
                    Some(_) => reasons::budget_exceeded(&name, &registry.display(&left), &asked),
                    None if name.starts_with("count of plan item") => reasons::item_consumed(),
                    None => reasons::budget_exceeded(&name, &registry.display(&left), &asked),
                }
            }
            Refusal::DifferentParameters { .. } => reasons::in_flight(),
            other => return unavailable(CommitError::Refused(other)),
        };
        let decision = Decision { facts: held.decision.facts, ..denied(reason) };
        self.refuse_plainly(&format!("paying for {}", held.offer.quote.resource), decision).await
    }
}

/// Which attempt a new hold would be; `None` while the payment is open or was made.
pub(super) fn next_attempt(payment: Option<&Payment>) -> Option<u32> {
    match payment {
        None => Some(0),
        Some(Payment::NotPaid { attempts, .. }) => Some(*attempts),
        Some(_) => None,
    }
}

/// The offers that items of approved plans cover, cheapest first, or why none is.
fn cover<'a>(
    state: &'a SessionState,
    counts: &Counts,
    offers: &'a [Offer],
    now: Timestamp,
) -> Result<Vec<Covered<'a>>, Vec<Reason>> {
    let mut covered = Vec::new();
    let mut reasons: Vec<Reason> = Vec::new();
    let mut note = |reason: Reason| {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    };
    for offer in offers {
        if let Some(reason) = &offer.quote.blocked {
            note(reason.clone());
            continue;
        }
        for plan in &state.plans {
            let approval = state.approved_by.get(&plan.id).copied().unwrap_or(ApprovedBy::Rule);
            for item in
                plan.items.iter().filter(|item| item.names(&offer.quote.method, &offer.quote.resource))
            {
                let fits = match item.covers(offer, now) {
                    Err(reason) => Err(reason),
                    Ok(()) if !state.plan_lives(plan, now) => Err(reasons::plan_expired(plan.expires_at)),
                    Ok(()) if counts.left(item) == 0 => Err(reasons::item_consumed()),
                    Ok(()) => Ok(()),
                };
                match (fits, &offer.quote.cost_micro_usd) {
                    (Ok(()), Some(cost)) => covered.push(Covered { offer, item, approval, cost }),
                    (Ok(()), None) => {}
                    (Err(reason), _) => note(reason),
                }
            }
        }
    }
    if !covered.is_empty() {
        return Ok(covered);
    }
    if reasons.is_empty() {
        reasons.push(reasons::not_in_plan());
    }
    Err(reasons)
}

/// The same offers, with those blocked that cost more than the request may.
fn under_ceiling(ceiling: Option<&Ceiling>, mut offers: Vec<Offer>) -> Vec<Offer> {
    let Some(ceiling) = ceiling else { return offers };
    for quote in offers.iter_mut().map(|offer| &mut offer.quote) {
        if quote.blocked.is_none() && !ceiling.allows(quote.cost_micro_usd.as_ref()) {
            quote.blocked = Some(reasons::above_ceiling(ceiling.amount(), quote.cost_micro_usd.as_ref()));
        }
    }
    offers
}

/// A denial that no rule made: structure or the ledger said no.
pub(super) fn denied(reason: Reason) -> Decision {
    denied_for(vec![reason])
}

fn denied_for(reasons: Vec<Reason>) -> Decision {
    Decision { verdict: Verdict::Deny, reasons, rules: vec![], facts: bursar_types::Digest::of(b"") }
}

/// Set once something was paid to the vendor.
pub(super) fn vendor_link(host: &str, payee: &str) -> String {
    format!("{}{payee}", vendor_prefix(host))
}

/// Everyone at the host whom something was paid to.
pub(super) fn vendor_prefix(host: &str) -> String {
    format!("vendor/{host}|")
}

/// Payments to the host whose outcome is unknown.
pub(super) fn unknown_prefix(host: &str) -> String {
    format!("unknown/{host}|")
}
