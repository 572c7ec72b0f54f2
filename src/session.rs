//! A session as its users hold it.

use crate::after::LookAfter;
use crate::event::EventStream;
use crate::handle::{Bursar, hooks, narrowing};
use crate::helpers::Helpers;
use bursar_agent_core::{Cancel, Delegate, EventSender, OnQuestion, RunContext, Steer};
use bursar_memory::Library;
use bursar_payments::{
    Approver, ClaimReason, ClaimStanding, DelegateError, GivenUp, Mandate, Saga, SagaError, SagaOptions,
    SessionHooks, SessionPurse,
};
use bursar_types::{
    Amount, AssetRegistry, FetchError, HttpRequest, PaymentId, PurchaseKey, Purse, SessionId,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Who is asked about plans.
#[derive(Debug, Clone)]
pub enum Approve {
    /// The rules decide alone.
    Rule,
    /// A person, or code in a person's name, is asked about every plan.
    Ask(Arc<dyn Approver>),
    /// What the mandate and the rules ask about is answered elsewhere, with a signature; a call that asks waits this long for it.
    /// The question stays when it does not wait any more, or when this process ends.
    Elsewhere(Duration),
    /// No plan is ever approved: a dry run that explores and buys nothing.
    Never,
}

/// The scope of money under one mandate. Several runs share it.
#[derive(Debug)]
pub struct Session {
    bursar: Bursar,
    purse: Arc<SessionPurse>,
    hooks: SessionHooks,
    sender: EventSender,
    events: Mutex<Option<EventStream>>,
    cancel: Cancel,
}

impl Session {
    pub(crate) fn new(
        bursar: Bursar,
        purse: Arc<SessionPurse>,
        hooks: SessionHooks,
        events: EventStream,
        sender: EventSender,
    ) -> Self {
        Self { bursar, purse, hooks, sender, events: Mutex::new(Some(events)), cancel: Cancel::new() }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.purse.session()
    }

    #[cfg(unix)]
    pub(crate) fn session_purse(&self) -> Arc<SessionPurse> {
        self.purse.clone()
    }

    /// The purse: for code without an agent, and what agents get.
    #[must_use]
    pub fn purse(&self) -> Purse {
        self.purse.handle()
    }

    /// The id that a purchase has, or would have, in this session: see [`SessionPurse::payment_of`].
    ///
    /// # Errors
    /// [`FetchError::Request`] if the request is not one the purse sends.
    pub fn payment_of(&self, request: &HttpRequest, key: &PurchaseKey) -> Result<PaymentId, FetchError> {
        self.purse.payment_of(request, key)
    }

    /// Opens a saga, or takes it up if this session opened one of this name before: a chain of paid and free steps that are
    /// either done, or taken back with every step accounted for.
    ///
    /// # Errors
    /// [`SagaError::Name`], or [`SagaError::Ledger`].
    ///
    /// # Idempotency
    /// The same name is the same saga, for ever: a saga that failed does not begin again under its name.
    pub async fn saga(&self, name: &str, options: SagaOptions) -> Result<Saga, SagaError> {
        self.purse.saga(name, options).await
    }

    /// Its events, from the beginning. The first caller gets them; later ones get `None`.
    #[must_use]
    pub fn events(&self) -> Option<EventStream> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Stops new work of its runs, for good: later runs over this handle stop at once. A payment in flight goes on to its
    /// end.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Stops all spending of the session, in every process, until it is thawed.
    ///
    /// # Errors
    /// [`FetchError::Ledger`]: it may or may not be frozen; call again.
    pub async fn freeze(&self, reason: &str) -> Result<(), FetchError> {
        self.purse.freeze(reason).await
    }

    /// Lets a frozen session spend again.
    ///
    /// # Errors
    /// [`FetchError::Ledger`]: it may or may not be thawed; call again.
    pub async fn thaw(&self, by: &str) -> Result<(), FetchError> {
        self.purse.thaw(by).await
    }

    /// Opens a session for a helper, under a mandate cut from this one's: see [`SessionPurse::delegate`]. `approve` narrows it
    /// further.
    ///
    /// # Errors
    /// [`DelegateError::Widened`] names the field that is wider than here.
    ///
    /// # Example
    /// ```no_run
    /// # async fn example(session: bursar::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// use bursar::{Amount, Approve, Asset};
    /// let tenth = Amount::parse_decimal(&Asset::micro_usd(), "0.10")?;
    /// let scout = session.mandate().await?.child("scout").cap_session(tenth);
    /// let scout = session.delegate(scout, Approve::Rule).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn delegate(&self, mut mandate: Mandate, approve: Approve) -> Result<Self, DelegateError> {
        mandate.approval = mandate.approval.strictest(narrowing(&approve));
        let (hooks, events, sender) =
            hooks(approve, self.bursar.0.alerts.clone(), self.bursar.0.meter.as_ref());
        let purse = self.purse.delegate(mandate, hooks.clone()).await?;
        Ok(Self::new(self.bursar.clone(), purse, hooks, events, sender))
    }

    /// The mandate it spends under.
    ///
    /// # Errors
    /// [`FetchError::Ledger`].
    pub async fn mandate(&self) -> Result<Mandate, FetchError> {
        self.purse.mandate().await
    }

    /// Takes the mandate back, for good: this session, and all that were delegated from it, sign nothing any more.
    ///
    /// # Errors
    /// [`FetchError::Ledger`]: it may or may not be revoked; call again.
    pub async fn revoke(&self, by: &str) -> Result<(), FetchError> {
        self.purse.revoke(by).await
    }

    /// Asks money back for a payment: the whole price, or `amount` of it. What was bought with it may have been used: a use is
    /// no part of the payment.
    ///
    /// # Errors
    /// [`FetchError::Request`] if more is asked than was paid; [`FetchError::Ledger`] if it could not be recorded: ask again.
    ///
    /// # Idempotency
    /// One claim for each payment; asking again tells where it is.
    ///
    /// # Cancellation
    /// Dropping the future leaves the claim as recorded; recovery goes on with it.
    pub async fn claim(
        &self,
        payment: PaymentId,
        amount: Option<Amount>,
        reason: ClaimReason,
        detail: &str,
    ) -> Result<ClaimStanding, FetchError> {
        self.purse.claim(payment, amount, reason, detail).await
    }

    /// Gives a payment up: lets go what is unsigned, and takes back what was signed and is not known to have moved.
    ///
    /// # Errors
    /// [`FetchError::Ledger`]; give it up again.
    ///
    /// # Idempotency
    /// A second call goes on where the first stopped.
    ///
    /// # Cancellation
    /// Dropping the future leaves it as recorded; give it up again.
    pub async fn give_up(&self, payment: PaymentId, reason: &str) -> Result<GivenUp, FetchError> {
        self.purse.give_up(payment, reason).await
    }

    /// What a run needs: journal, gate, purse, clock, events. Each has its own [`Steer`], to say something to its run with.
    #[must_use]
    pub fn run_context(&self) -> RunContext {
        run_context(&self.bursar, &self.purse, &self.sender, self.cancel.clone())
    }

    /// Gives sub-agents of this session's agents sessions of their own: see [`Agent::as_tool`](crate::Agent::as_tool).
    ///
    /// Each call of a sub-agent gets a session under a mandate that `cut` makes of the calling session's, as
    /// [`Mandate::child`](crate::Mandate::child) has it for `agent`: without a plan, and without standing purchases. The calling session
    /// is this one, or that of a sub-agent which this one has: a sub-agent of a sub-agent is cut from the one that asks it. What is
    /// wider than there is refused, and whatever it spends counts in every session above it, what its model costs included. Who approves
    /// and who watches is as here: as on the very handle that this is called on. An agent that goes on under a handle that was resumed
    /// more narrowly, as with [`Approve::Never`](crate::Approve::Never), has to be given helpers of that handle. A session that was not
    /// delegated by this one is refused.
    ///
    /// # Example
    /// ```no_run
    /// # fn example(session: &bursar::Session, scout: bursar::Agent) -> Result<(), Box<dyn std::error::Error>> {
    /// use bursar::agent::ToolSet;
    /// use bursar::{Amount, Asset};
    /// let tenth = Amount::parse_decimal(&Asset::micro_usd(), "0.10")?;
    /// let helpers = session.helpers("scout", move |mandate| mandate.cap_session(tenth.clone()));
    /// let tools = ToolSet::new().with_dyn(scout.as_tool("ask_scout", "Looks something up.", helpers))?;
    /// # let _ = tools;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn helpers(
        &self,
        agent: impl Into<String>,
        cut: impl Fn(Mandate) -> Mandate + Send + Sync + 'static,
    ) -> Arc<dyn Delegate> {
        Arc::new(Helpers {
            bursar: self.bursar.clone(),
            parent: self.purse.clone(),
            hooks: self.hooks.clone(),
            sender: self.sender.clone(),
            agent: agent.into(),
            cut: Box::new(cut),
        })
    }

    /// What was bought, in this session and before.
    #[must_use]
    pub fn library(&self) -> &Library {
        self.bursar.library()
    }

    /// The assets with their decimals.
    #[must_use]
    pub fn registry(&self) -> &AssetRegistry {
        self.bursar.registry()
    }

    /// The discovery services its agents search.
    #[must_use]
    pub fn discovery(&self) -> &[String] {
        &self.bursar.0.discovery
    }
}

/// What a run needs that spends in a session.
pub(crate) fn run_context(
    bursar: &Bursar,
    purse: &Arc<SessionPurse>,
    sender: &EventSender,
    cancel: Cancel,
) -> RunContext {
    let inner = &bursar.0;
    RunContext {
        journal: Arc::new(inner.ledger.clone()),
        gate: purse.clone(),
        purse: Some(purse.handle()),
        meter: Some(purse.clone()),
        clock: inner.clock.clone(),
        entropy: inner.entropy.clone(),
        principal: purse.principal().clone(),
        events: sender.clone(),
        cancel,
        steer: Steer::new(),
        under: None,
        worker: format!("process {}", std::process::id()),
        after: Some(Arc::new(LookAfter {
            payments: inner.payments.clone(),
            session: purse.session(),
            log: inner.log.clone(),
        })),
        on_question: OnQuestion::Tell,
        traces: inner.traces.clone(),
    }
}
