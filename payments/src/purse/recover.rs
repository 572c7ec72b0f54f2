//! Recovery: taking up what is not final, without its buyer. On start, on a timer, and when somebody asks.

use super::book::Booked;
use super::join::{Loaded, linked_payments};
use super::open::fold_session;
use super::pay::LetGo;
use super::settle::Seen;
use super::spans::{in_span, note_found, of_recovery};
use super::{Payments, SessionPurse, unavailable};
use crate::events::MoneyEvent;
use crate::obligation::{Obligation, ObligationState};
use crate::payment::{Held, Payment, PaymentEvent, Signed};
use crate::rail::{Outcome, Prepared};
use crate::saga::SagasRecovered;
use bursar_ledger::Transaction;
use bursar_types::{FetchError, HttpRequest, PaymentId, SessionId, Timestamp};
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use tokio::task::JoinSet;

/// How many payments are taken up side by side.
const AT_ONCE: usize = 64;

/// What one pass of recovery found and did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// Holds given back because nothing was signed under them.
    pub let_go: u64,
    /// Payments found to have moved.
    pub paid: u64,
    /// Payments proven not to have moved.
    pub not_paid: u64,
    /// Payments that nobody can tell about yet.
    pub unknown: u64,
    /// Payments that nobody could tell about for so long that they count as spent now.
    pub presumed: u64,
    /// Goods that came after all.
    pub delivered: u64,
    /// Payments that moved, whose goods may still come.
    pub owed: u64,
    /// Payments whose money is asked back and did not come yet.
    pub claimed: u64,
    /// Refunds that were seen and credited.
    pub refunded: u64,
    /// Payments that a person looks after.
    pub parked: u64,
    /// Payments that somebody here is working on now; they were left alone.
    pub busy: u64,
    /// Payments that could not be taken up: their record or the rail is not there.
    pub failed: u64,
    /// Tries of models that were counted as spent, because their run is over and nobody had settled them.
    pub model_settled: u64,
    /// Tries of models that are not settled: under way, or of a run that somebody may go on with. [`Payments::unsettled_tries`] lists them.
    pub model_open: u64,
    /// Sagas that went on.
    pub sagas: SagasRecovered,
}

impl Recovered {
    /// Whether every payment and every saga is over or with a person: nothing here can change by asking again.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        let sagas = &self.sagas;
        let at_work = sagas.running != 0 || sagas.unwinding != 0 || sagas.busy != 0 || sagas.failed != 0;
        !at_work
            && self.unknown == 0
            && self.owed == 0
            && self.claimed == 0
            && self.busy == 0
            && self.failed == 0
    }

    fn count(&mut self, done: Done) {
        let counter = match done {
            Done::Final => return,
            Done::LetGo => &mut self.let_go,
            Done::Paid => &mut self.paid,
            Done::NotPaid => &mut self.not_paid,
            Done::Unknown => &mut self.unknown,
            Done::Presumed => &mut self.presumed,
            Done::Delivered => &mut self.delivered,
            Done::Owed => &mut self.owed,
            Done::Claimed => &mut self.claimed,
            Done::Parked => &mut self.parked,
            Done::Busy => &mut self.busy,
            Done::Failed => &mut self.failed,
        };
        *counter = counter.saturating_add(1);
    }
}

/// What was done about one payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    Final,
    LetGo,
    Paid,
    NotPaid,
    Unknown,
    Presumed,
    Delivered,
    Owed,
    Claimed,
    Parked,
    Busy,
    Failed,
}

impl Done {
    /// Its name in telemetry.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::LetGo => "let_go",
            Self::Paid => "paid",
            Self::NotPaid => "not_paid",
            Self::Unknown => "unknown",
            Self::Presumed => "presumed",
            Self::Delivered => "delivered",
            Self::Owed => "owed",
            Self::Claimed => "claimed",
            Self::Parked => "parked",
            Self::Busy => "busy",
            Self::Failed => "failed",
        }
    }

    /// Whether asking again later can change anything.
    const fn is_over(self) -> bool {
        matches!(self, Self::Final | Self::LetGo | Self::NotPaid | Self::Delivered)
    }
}

/// When each open payment is asked about again. In memory: after a start everything is asked at once.
pub(super) type Schedule = HashMap<PaymentId, (u32, Timestamp)>;

/// One payment of a pass.
struct Case {
    id: PaymentId,
    purse: Arc<SessionPurse>,
    payment: Payment,
    /// The trace in which it was first held.
    origin: Option<String>,
}

impl Payments {
    /// Takes up every payment that is not final, of every session, from its last durable event:
    ///
    /// - nothing signed: its hold is given back;
    /// - signed, and nobody knows whether money moved: the rail is asked; what stays unknown long after the authorization ran
    ///   out counts as spent, and a person looks after it;
    /// - paid and not delivered: the goods are asked for again while the authorization lives, then the money is asked back,
    ///   then all evidence is written down and a person looks after it;
    /// - money that came back is credited to the claim it belongs to;
    /// - a try of a model that nobody settled, of a run that is [over](super::Runs): all that was set aside for it counts as spent.
    ///
    /// Signs no payment: what it presents again are the bytes of a payment that was seen to have moved.
    ///
    /// # Errors
    /// [`FetchError::Ledger`] if the open payments cannot be listed. One that cannot be taken up is counted as failed, and
    /// does not keep the others from being settled.
    ///
    /// # Idempotency
    /// A second call asks again about what is still open, whatever the waits between two asks say.
    ///
    /// # Cancellation
    /// Dropping the future leaves what was booked so far.
    pub async fn recover(&self) -> Result<Recovered, FetchError> {
        self.pass(false, None).await
    }

    /// The same, leaving alone what was asked about so recently that it is not due yet.
    ///
    /// # Errors
    /// As for [`Payments::recover`].
    pub async fn recover_due(&self) -> Result<Recovered, FetchError> {
        self.pass(true, None).await
    }

    /// The same for the payments of one session, whatever the waits say: for when a run of it failed. Sagas, and money that
    /// comes in, are left to the next whole pass; tries of models are looked at in the sessions below it too.
    ///
    /// # Errors
    /// As for [`Payments::recover`].
    pub async fn recover_session(&self, session: SessionId) -> Result<Recovered, FetchError> {
        self.pass(false, Some(session)).await
    }

    async fn pass(&self, only_due: bool, session: Option<SessionId>) -> Result<Recovered, FetchError> {
        let mut found = Recovered::default();
        if session.is_none() {
            self.check_outflow_when_due().await?;
        }
        let mut ids = linked_payments(self.ledger(), &["open/", "claimed/", "owed/"]).await?;
        let now = self.0.clock.now();
        self.0.scheduled(|schedule| {
            schedule.retain(|id, _| ids.contains(id));
            if only_due {
                ids.retain(|id| schedule.get(id).is_none_or(|(_, due)| *due <= now));
            }
        });
        let mut cases = self.read_cases(ids, &mut found).await;
        cases.retain(|case| session.is_none_or(|session| case.payment.ask().session == session));
        let stopped = self.0.outflow_stop().await.map_err(unavailable)?.1;
        // The journal may be older than what happened: then it is not certain of a hold that nothing was signed.
        cases.retain(|case| match &case.payment {
            Payment::Held(held) => !stopped && self.0.journal_is_whole(held.amount().asset()),
            _ => true,
        });
        let outcomes = self.ask_rails(&cases).await;
        let mut work = JoinSet::new();
        for (case, outcome) in cases.into_iter().zip(outcomes) {
            if work.len() >= AT_ONCE {
                self.note(work.join_next().await, &mut found);
            }
            let payments = self.clone();
            work.spawn(async move { (case.id, payments.take_care(case, outcome).await) });
        }
        while let Some(joined) = work.join_next().await {
            self.note(Some(joined), &mut found);
        }
        if session.is_none() {
            // Sagas open claims, and end when refunds are seen: so they go before and after the look at what came in.
            self.recover_sagas().await?;
            found.refunded = self.see_refunds().await?;
            found.sagas = self.recover_sagas().await?;
        }
        let tries = self.settle_tries(only_due, session).await?;
        (found.model_settled, found.model_open) = (tries.settled, tries.open);
        found.failed = found.failed.saturating_add(tries.failed);
        Ok(found)
    }

    async fn read_cases(&self, ids: BTreeSet<PaymentId>, found: &mut Recovered) -> Vec<Case> {
        let mut read = JoinSet::new();
        let mut payments = Vec::with_capacity(ids.len());
        for id in ids {
            if read.len() >= AT_ONCE {
                payments.extend(read.join_next().await);
            }
            let ledger = self.ledger().clone();
            read.spawn(async move { (id, Loaded::read(&ledger, id).await) });
        }
        payments.extend(read.join_all().await.into_iter().map(Ok));
        let mut purses: BTreeMap<SessionId, Arc<SessionPurse>> = BTreeMap::new();
        let mut cases = Vec::with_capacity(payments.len());
        for joined in payments {
            let (id, loaded) = match joined {
                Ok((id, Ok(loaded))) => (id, loaded),
                Ok((id, Err(error))) => {
                    tracing::warn!(payment = %id, %error, "payment cannot be read");
                    found.count(Done::Failed);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "payment cannot be read");
                    found.count(Done::Failed);
                    continue;
                }
            };
            let origin = loaded.origin;
            let Some(payment) = loaded.payment else { continue };
            let session = payment.ask().session;
            let purse = match purses.get(&session) {
                Some(purse) => purse.clone(),
                None => match fold_session(self.ledger(), session, None).await {
                    Ok(state) => {
                        let purse = self.purse_for_recovery(state);
                        purses.insert(session, purse.clone());
                        purse
                    }
                    Err(error) => {
                        tracing::warn!(payment = %id, %error, "session of a payment cannot be read");
                        found.count(Done::Failed);
                        continue;
                    }
                },
            };
            cases.push(Case { id, purse, payment, origin });
        }
        cases.sort_by_key(|case| case.id);
        cases
    }

    /// Asks each rail once about all its payments. `None` where there is nothing to ask, or no such rail.
    async fn ask_rails(&self, cases: &[Case]) -> Vec<Option<Outcome>> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; cases.len()];
        for rail in &self.0.rails {
            let asked: Vec<(usize, Prepared)> = cases
                .iter()
                .enumerate()
                .filter_map(|(index, case)| {
                    let signed = unobserved(&case.payment)?;
                    (signed.prepared.rail == rail.name()).then(|| (index, signed.prepared.clone()))
                })
                .collect();
            if asked.is_empty() {
                continue;
            }
            let (indexes, prepared): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
            for (index, outcome) in indexes.into_iter().zip(rail.recover_all(&prepared).await) {
                if let Some(slot) = outcomes.get_mut(index) {
                    *slot = Some(outcome);
                }
            }
        }
        outcomes
    }

    async fn take_care(&self, case: Case, outcome: Option<Outcome>) -> Done {
        let ask = case.payment.ask();
        // Whoever fetches it in this process goes on with it; only one at a time does.
        let Some(_turn) = self.0.flights.try_enter(ask.request) else { return Done::Busy };
        let span = of_recovery(ask, case.origin.as_deref());
        match in_span(span.clone(), case.purse.take_care(case.id, &case.payment, outcome)).await {
            Ok(done) => {
                note_found(&span, done);
                done
            }
            Err(error) => {
                tracing::warn!(payment = %case.id, %error, "payment could not be taken up");
                Done::Failed
            }
        }
    }

    fn note(&self, joined: Option<Result<(PaymentId, Done), tokio::task::JoinError>>, found: &mut Recovered) {
        match joined {
            Some(Ok((id, done))) => {
                found.count(done);
                let (rules, now) = (&self.0.recovery, self.0.clock.now());
                self.0.scheduled(|schedule| {
                    if done.is_over() {
                        schedule.remove(&id);
                    } else {
                        let asked = schedule.get(&id).map_or(0, |(asked, _)| *asked).saturating_add(1);
                        schedule.insert(id, (asked, rules.ask_again_at(now, asked)));
                    }
                });
            }
            Some(Err(error)) => {
                tracing::error!(%error, "recovery of a payment broke off");
                found.count(Done::Failed);
            }
            None => {}
        }
    }
}

impl super::Shared {
    fn scheduled<T>(&self, change: impl FnOnce(&mut Schedule) -> T) -> T {
        change(&mut self.schedule.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The terms of a payment whose money nobody has seen move, or not move, yet.
fn unobserved(payment: &Payment) -> Option<&Signed> {
    match payment {
        Payment::Signing(signed) | Payment::Unknown { signed, .. } => Some(signed),
        Payment::Paid { signed, evidence, .. } if !evidence.is_observed() => Some(signed),
        Payment::Paid { .. } | Payment::Held(_) | Payment::NotPaid { .. } => None,
    }
}

impl SessionPurse {
    /// Asks the rail what became of a signed payment, and books what it says. Not to know is booked too: until it is known,
    /// nothing new is signed for that vendor.
    pub(super) async fn ask_rail(&self, signed: &Signed) -> Result<Payment, FetchError> {
        let rail = self.shared.rails.iter().find(|rail| rail.name() == signed.prepared.rail);
        let outcome = match rail {
            Some(rail) => rail.recover(&signed.prepared).await,
            None => Outcome::Unknown { problem: "the rail it was signed for is not there".to_owned() },
        };
        self.settle(signed, Seen::Rail(outcome)).await
    }

    /// Checks a payee's claim on the chain.
    pub(super) async fn observe(&self, id: PaymentId) -> Result<(), FetchError> {
        if let Some(payment) = Loaded::read(&self.shared.ledger, id).await?.payment
            && let Some(signed) = unobserved(&payment)
        {
            self.ask_rail(signed).await?;
        }
        Ok(())
    }

    /// Does what is due about one payment. `outcome` is what the rail said about it as it was read.
    async fn take_care(
        &self,
        id: PaymentId,
        read: &Payment,
        outcome: Option<Outcome>,
    ) -> Result<Done, FetchError> {
        if let Payment::Held(held) = read {
            let reason = "left by a worker that stopped before signing";
            return Ok(match self.let_go(held, reason).await? {
                LetGo::Done => {
                    self.tell(&MoneyEvent::NotPaid { payment: id, proof: reason.to_owned() });
                    Done::LetGo
                }
                // It has another worker, who will see to it.
                LetGo::Overtaken => Done::Busy,
            });
        }
        let state = match unobserved(read) {
            Some(signed) => {
                let outcome = outcome.unwrap_or(Outcome::Unknown {
                    problem: "the rail it was signed for is not there".to_owned(),
                });
                self.settle(signed, Seen::Rail(outcome)).await?
            }
            None => read.clone(),
        };
        match &state {
            Payment::NotPaid { .. } => Ok(Done::NotPaid),
            Payment::Held(_) | Payment::Signing(_) => Ok(Done::Busy),
            Payment::Unknown { signed, void, .. } => {
                if let Some(void) = void {
                    self.take_back(signed, &void.reason).await?;
                }
                self.presume(id, signed).await
            }
            Payment::Paid { signed, obligation, .. } => {
                let had_goods = obligation.has_goods();
                self.ask_again(signed, &state).await?;
                let loaded = Loaded::read(&self.shared.ledger, id).await?;
                let state = self.pursue(&loaded, signed).await?;
                let newly_seen = unobserved(read).is_some() && unobserved(&state).is_none();
                Ok(match state.obligation() {
                    None => Done::NotPaid,
                    Some(obligation) => paid(obligation, had_goods, newly_seen),
                })
            }
        }
    }

    /// What stayed unknown for long counts as spent, and a person looks after it.
    async fn presume(&self, id: PaymentId, signed: &Signed) -> Result<Done, FetchError> {
        let (rules, now) = (&self.shared.recovery, self.shared.clock.now());
        if now < signed.prepared.expires_at.plus_ms(rules.presume_after_ms) {
            return Ok(Done::Unknown);
        }
        let loaded = Loaded::read(&self.shared.ledger, id).await?;
        if !matches!(&loaded.payment, Some(Payment::Unknown { .. })) {
            return Ok(Done::Unknown);
        }
        let presumed = PaymentEvent::Presumed { owner: self.owner(), due: now.plus_ms(rules.park_for_ms) };
        Ok(match self.book(&loaded, &signed.held, &[presumed], Transaction::default()).await? {
            Booked::Done(_) => Done::Presumed,
            Booked::Overtaken => Done::Unknown,
        })
    }

    /// Asks for goods that were paid for once more, if the money was seen to move and the authorization still lives.
    async fn ask_again(&self, signed: &Signed, state: &Payment) -> Result<(), FetchError> {
        if !state.is_owed() || unobserved(state).is_some() || !self.may_present_again(signed).await? {
            return Ok(());
        }
        if let Some(request) = self.request_of(&signed.held).await? {
            // What came is booked; nobody waits for it here.
            let _booked = self.ask_for_goods(signed, &request, state).await?;
        }
        Ok(())
    }

    /// The request of a purchase as it was made; `None` if it cannot be made again, since a credential of the caller's is
    /// kept nowhere.
    async fn request_of(&self, held: &Held) -> Result<Option<HttpRequest>, FetchError> {
        let ask = &held.ask;
        if !ask.whole {
            return Ok(None);
        }
        let body = match ask.body {
            None => Some(bytes::Bytes::new()),
            Some(body) => self.shared.ledger.payload(body).await.map_err(unavailable)?,
        };
        let Some(body) = body else { return Ok(None) };
        let mut request = http::Request::new(body);
        let (Ok(method), Ok(uri)) = (ask.method.parse(), ask.url.parse()) else { return Ok(None) };
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        for (name, value) in &ask.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
                request.headers_mut().append(name, value);
            }
        }
        Ok(Some(request))
    }
}

const fn paid(obligation: &Obligation, had_goods: bool, newly_seen: bool) -> Done {
    match &obligation.state {
        ObligationState::Delivered if !had_goods => Done::Delivered,
        ObligationState::Claimed => Done::Claimed,
        ObligationState::Parked { .. } => Done::Parked,
        ObligationState::Owed { .. } => Done::Owed,
        _ if newly_seen => Done::Paid,
        _ => Done::Final,
    }
}
