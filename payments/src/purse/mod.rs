//! The purse: the only path to a payment.
//!
//! [`SessionPurse::fetch_on_own_task`] is the whole way of a payment, in order; each step is a function of a file beside
//! this one. Nothing here trusts a model: what is signed comes from stored quotes, the mandate and the ledger.

mod adopt;
mod approvals;
mod ask;
mod book;
mod budgets;
mod calls;
mod cause;
mod clearance;
mod clock;
mod decide;
mod delegate;
mod desk;
mod dispute;
mod flight;
mod freeze;
mod gates;
mod goods;
mod inflow;
mod join;
mod lineage;
mod meter;
mod offline;
mod open;
mod outflow;
mod pay;
mod propose;
mod proposed;
mod pseudonym;
mod recover;
mod redirect;
mod remedy;
mod rules;
mod sagas;
mod settle;
mod spans;
mod sums;
mod told;
mod tries;
mod uses;
mod watch;
mod weigh;
mod withdraw;

pub(crate) use adopt::{ADOPTED, adopted_counter};
pub use adopt::{OutflowAccepted, OutflowError};
pub use approvals::{ApprovalError, OpenApproval};
pub(crate) use book::{awaits_money, credit};
pub(crate) use budgets::{MustHold, Part, Purchase, item_budgets, item_lines, must_count, must_hold};
pub use clearance::{Clearance, Signable, VoidClearance};
pub(crate) use clock::BEHIND_MS;
pub use clock::{ClockError, ClockStanding, ClockTurned};
pub use delegate::DelegateError;
pub use desk::{DeskError, OpenObligation};
pub use inflow::Stray;
pub(crate) use join::open_link;
pub(crate) use meter::counts_models;
pub use meter::{MODEL, MODEL_HELD, MODEL_SETTLED};
pub use open::{OpenError, PaymentsParts, SessionHooks};
pub(crate) use open::{check_mandate, cut_from, standing_plan};
pub use pseudonym::{agent_freezes, principal_links};
pub use recover::Recovered;
pub use remedy::{ClaimStanding, GivenUp};
pub(crate) use rules::{KeptRules, RULES};
pub(crate) use sagas::SagaParts;
pub(crate) use settle::bought_link;
pub use tries::{Runs, UnsettledTry};
pub use watch::Watch;
pub use weigh::DecisionRecord;

use crate::egress::Egress;
use crate::events::{MoneyEvent, Observer};
use crate::payment::Ask;
use crate::policy::{Actor, Policy};
use crate::rail::Rail;
use crate::reasons;
use crate::recovery::RecoveryRules;
use crate::session::{SessionEvent, SessionState};
use crate::wallet::Wallet;
use async_trait::async_trait;
use bursar_ledger::{CommitError, EventError, Ledger, StoreError};
use bursar_types::telemetry::Traces;
use bursar_types::{
    AssetRegistry, Buyer, Cause, Clock, Delivery, Digest, Entropy, FetchError, Fetched, HttpRequest, Limits,
    PaymentId, Phase, PlanId, PlanOutcome, PlanProposal, Principal, PurchaseKey, QuoteOutcome, SessionId,
    Standing, Transport, Undelivered,
};
use flight::Flights;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span};

/// What every session of a process shares.
#[derive(Debug)]
struct Shared {
    ledger: Ledger,
    policy: Arc<Policy>,
    rails: Vec<Arc<dyn Rail>>,
    wallet: Arc<dyn Wallet>,
    transport: Arc<dyn Transport>,
    egress: Egress,
    registry: Arc<AssetRegistry>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    limits: Limits,
    recovery: RecoveryRules,
    observer: Arc<dyn Observer>,
    traces: Arc<dyn Traces>,
    /// Set once the operator lets money be spent that is worth something.
    live: OnceLock<()>,
    /// Who knows which runs are over.
    runs: OnceLock<Arc<dyn Runs>>,
    schedule: Mutex<recover::Schedule>,
    /// Held while an authorization is taken back.
    voids: tokio::sync::Mutex<()>,
    compensators: crate::saga::Compensators,
    flights: Flights,
    pseudonyms: pseudonym::KnownPseudonyms,
    outflow: outflow::Guard,
    /// Held by whoever decides again because others were first, so that this ends.
    turns: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
}

/// Payments over one ledger with one wallet: opens sessions, recovers what a crash left, and drains on close.
///
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Payments(Arc<Shared>);

/// One session's purse. It is a [`Buyer`] for agents and a [`Gate`](bursar_types::Gate) for their tool calls.
#[derive(Debug)]
pub struct SessionPurse {
    shared: Arc<Shared>,
    session: SessionId,
    salt: Digest,
    principal: Principal,
    actor: Actor,
    hooks: SessionHooks,
    /// The session as last folded; brought up to date from the ledger before every decision.
    folded: Mutex<Option<Arc<SessionState>>>,
    /// Sessions that delegated to it, as last folded.
    ancestors: lineage::Ancestors,
    last_phase: Mutex<Phase>,
    /// Whether watchers are told of changes of phase: not where recovery looks after one payment of many.
    follows_phase: bool,
}

impl SessionPurse {
    /// The session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Who acts: the session, its agent, the mandate's user and role.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The id that a purchase has, or would have: the same request under the same key, in this session, always gives the same.
    /// Nothing is sent or recorded.
    ///
    /// # Errors
    /// [`FetchError::Request`] if the request is not one the purse sends.
    pub fn payment_of(&self, request: &HttpRequest, key: &PurchaseKey) -> Result<PaymentId, FetchError> {
        Ok(self.ask(&ask::normalised(request.clone())?, key)?.payment)
    }

    /// Stops all spending of this session until it is thawed. What was signed already is settled, and not presented again.
    ///
    /// # Errors
    /// [`FetchError::Ledger`]: it may or may not be frozen; call again.
    pub async fn freeze(&self, reason: impl Into<String>) -> Result<(), FetchError> {
        let by = "its own program".to_owned();
        self.append_session_event(&SessionEvent::Frozen { by, reason: reason.into() }).await
    }

    /// Lets a frozen session spend again.
    ///
    /// # Errors
    /// [`FetchError::Ledger`]: it may or may not be thawed; call again.
    pub async fn thaw(&self, by: impl Into<String>) -> Result<(), FetchError> {
        self.append_session_event(&SessionEvent::Thawed { by: by.into() }).await
    }

    /// The way of a payment. Runs on the purse's own task, so that no caller can drop it half way.
    async fn fetch_on_own_task(&self, request: HttpRequest, ask: &Ask) -> Result<Fetched, FetchError> {
        // ask: join a payment that is open for the purchase or was made under its key.
        let _turn = self.shared.flights.enter(ask.request).await;
        for _ in 0..decide::TRIES {
            let looking = spans::stage!(JOIN, ask.payment);
            let bought = match self.join(ask, &request).instrument(looking).await? {
                join::Joined::Found(fetched) => return Ok(fetched),
                join::Joined::Nothing { bought } => bought,
                join::Joined::Overtaken => continue,
            };
            // gate and quote: no request leaves without leave; every alternative is read.
            let quoting = spans::stage!(QUOTE, ask.payment);
            let (request, offers) = match spans::in_span(quoting, self.ask_prices(request.clone())).await? {
                ask::Prices::Free(response) => return Ok(Fetched::Free(response)),
                ask::Prices::Offers(request, offers) => (request, offers),
            };
            // match, decide, hold: structural match with an approved plan, the rules, then the ledger.
            let deciding = spans::stage!(DECIDE, ask.payment);
            let held = match spans::in_span(deciding, self.hold(ask, &request, offers, bought)).await? {
                decide::HoldOutcome::Held(held) => held,
                decide::HoldOutcome::Stopped(fetched) => return Ok(fetched),
                decide::HoldOutcome::Overtaken => continue,
            };
            // prepare, signing: terms are durable before a signature exists.
            spans::note_held(&Span::current(), &held);
            let preparing = spans::stage!(PREPARE, ask.payment);
            let Some(signed) = self.prepare(*held).instrument(preparing).await? else { continue };
            // sign, present, answer, settle, deliver.
            return self.present_and_settle(signed, &request, pay::Presenting::First).await;
        }
        Err(FetchError::Denied(decide::denied(reasons::in_flight())))
    }

    /// Whether money that is worth something may be spent: the operator and the mandate both say so.
    fn live_enabled(&self, state: &SessionState) -> bool {
        state.mandate.live && self.shared.live.get().is_some()
    }

    /// The session as it is now: what happened since it was last read is folded in.
    async fn state(&self) -> Result<Arc<SessionState>, FetchError> {
        let known = self.folded.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let state =
            open::fold_session(&self.shared.ledger, self.session, known).await.map_err(unavailable)?;
        let mut folded = self.folded.lock().unwrap_or_else(PoisonError::into_inner);
        if folded.as_ref().is_none_or(|known| known.length < state.length) {
            *folded = Some(state.clone());
        }
        Ok(state)
    }

    /// Tells watchers if the phase is another one now.
    async fn note_phase(&self) {
        let Ok(to) = self.phase_now().await else { return };
        let from = {
            let Ok(mut last) = self.last_phase.lock() else { return };
            std::mem::replace(&mut *last, to)
        };
        if from != to {
            self.tell(&MoneyEvent::PhaseChanged { from, to });
        }
    }

    fn tell(&self, event: &MoneyEvent) {
        self.hooks.observer.event(event);
    }
}

impl SessionPurse {
    /// A payee's claim is checked on the chain beside the caller's work.
    fn observe_later(self: &Arc<Self>, result: &Result<Fetched, FetchError>, after: &Span) {
        let Ok(
            Fetched::Delivered(Delivery { payment, .. }) | Fetched::Undelivered(Undelivered { payment, .. }),
        ) = result
        else {
            return;
        };
        if payment.receipt.as_ref().is_some_and(|receipt| !receipt.observed) {
            let (purse, id) = (self.clone(), payment.id);
            let span = spans::of_observation(id, after);
            let look = async move {
                if let Err(error) = spans::in_span(Span::current(), purse.observe(id)).await {
                    tracing::warn!(payment = %id, %error, "claim could not be checked on the chain yet");
                }
            };
            self.shared.tasks.spawn(look.instrument(span));
        }
    }
}

/// A purse that agents hold. A newtype, so that the payment's task can keep the session alive.
#[derive(Debug)]
struct TaskBuyer(Arc<SessionPurse>);

impl SessionPurse {
    /// The handle that agents and tools get.
    #[must_use]
    pub fn handle(self: &Arc<Self>) -> bursar_types::Purse {
        bursar_types::Purse::new(Arc::new(TaskBuyer(self.clone())))
    }
}

#[async_trait]
impl Buyer for TaskBuyer {
    async fn fetch(&self, request: HttpRequest, key: PurchaseKey) -> Result<Fetched, FetchError> {
        let purse = self.0.clone();
        if purse.shared.tasks.is_closed() {
            return Err(FetchError::Closing);
        }
        let request = ask::normalised(request)?;
        let ask = Arc::new(purse.ask(&request, &key)?);
        let asked = ask.clone();
        let (span, cause) = (spans::of_payment(&ask), ask.cause);
        let way = async move {
            let result = purse.fetch_on_own_task(request, &asked).await;
            spans::note_outcome(&Span::current(), &result);
            result
        };
        let task = self.0.shared.tasks.spawn(cause::caused_by(cause, way).instrument(span.clone()));
        let result = match task.await {
            Ok(result) => result,
            // The task panicked. A signature may exist, so the honest answer is read back from the ledger.
            Err(_) => match self.0.after_panic(&ask).await {
                Err(error @ FetchError::Ledger(_)) => {
                    Ok(Fetched::Unknown(join::unreadable(ask.payment, &error)))
                }
                told => told,
            },
        };
        self.0.observe_later(&result, &span);
        result
    }

    async fn quote(&self, request: HttpRequest) -> Result<QuoteOutcome, FetchError> {
        let asked = cause::caused_by(Cause::of(&request), self.0.quote(request));
        spans::in_span(spans::of_quote(self.0.session), asked).await
    }

    async fn propose(&self, proposal: PlanProposal) -> Result<PlanOutcome, FetchError> {
        let span = spans::of_proposal(self.0.session);
        let asked = cause::caused_by(proposal.cause, self.0.propose(proposal));
        let outcome = spans::in_span(span.clone(), asked).await?;
        spans::note_plan(&span, &outcome);
        self.0.tell(&MoneyEvent::PlanDecided { outcome: outcome.clone() });
        self.0.note_phase().await;
        Ok(outcome)
    }

    async fn proposed(&self, proposal: PlanProposal) -> Result<Option<PlanOutcome>, FetchError> {
        let outcome = self.0.proposed(&proposal).await;
        self.0.note_phase().await;
        outcome
    }

    async fn withdraw_plans(&self) -> Result<Vec<PlanId>, FetchError> {
        self.0.withdraw_plans().await
    }

    async fn standing(&self) -> Result<Standing, FetchError> {
        self.0.standing_now().await
    }
}

/// The ledger cannot be read or written; nothing was signed because of it.
fn unavailable(error: impl Into<Unavailable>) -> FetchError {
    FetchError::Ledger(match error.into() {
        Unavailable::Store(error) => Box::new(error),
        Unavailable::Commit(error) => Box::new(error),
        Unavailable::Read(error) => Box::new(error),
        Unavailable::Other(error) => error,
    })
}

enum Unavailable {
    Store(StoreError),
    Commit(CommitError),
    Read(EventError),
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl From<StoreError> for Unavailable {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<CommitError> for Unavailable {
    fn from(error: CommitError) -> Self {
        Self::Commit(error)
    }
}

impl From<EventError> for Unavailable {
    fn from(error: EventError) -> Self {
        Self::Read(error)
    }
}

impl From<OpenError> for Unavailable {
    fn from(error: OpenError) -> Self {
        Self::Other(Box::new(error))
    }
}

impl From<serde_json::Error> for Unavailable {
    fn from(error: serde_json::Error) -> Self {
        Self::Other(Box::new(error))
    }
}

impl From<bursar_types::CanonicalError> for Unavailable {
    fn from(error: bursar_types::CanonicalError) -> Self {
        Self::Other(Box::new(error))
    }
}

impl From<bursar_types::AmountError> for Unavailable {
    fn from(error: bursar_types::AmountError) -> Self {
        Self::Other(Box::new(error))
    }
}
