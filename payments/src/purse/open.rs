//! Opening: the parts of payments, and sessions under a mandate.

use super::budgets::{item_budgets, session_limits, touched};
use super::flight::Flights;
use super::lineage::{Ancestors, DEPTH_MAX, Lineage};
use super::pseudonym::agent_of;
use super::{Payments, SessionPurse, Shared};
use crate::approval::Approver;
use crate::egress::Egress;
use crate::events::{Alerts, MoneyEvent, NoObserver, Observer};
use crate::mandate::{Mandate, MandateError, MeteredItem, PlanApproval};
use crate::plan::{ItemTerms, Plan};
use crate::policy::{Actor, Policy};
use crate::rail::Rail;
use crate::reasons;
use crate::recovery::RecoveryRules;
use crate::session::{IllegalSessionEvent, MANDATE, SessionEvent, SessionState};
use crate::wallet::Wallet;
use bursar_ledger::{
    AccountOp, CommitError, EventError, Ledger, Line, Refusal, Require, SealedEvent, StoreError, StreamId,
    Transaction,
};
use bursar_types::telemetry::Traces;
use bursar_types::{
    Amount, AmountError, AssetId, AssetRegistry, CanonicalError, Clock, Decision, Digest, Entropy, HoldId,
    Limits, Phase, PlanId, PlanItemId, Principal, Reason, SessionId, Transport, UnknownAsset, Verdict,
    canonical_digest,
};
use serde_json::json;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use thiserror::Error;
use tokio_util::task::TaskTracker;

/// How long the hold of a session's beginning would live; it is spent at once.
const COUNTED_MS: u64 = 60_000;

/// What payments are made of.
#[derive(Debug, Clone)]
pub struct PaymentsParts {
    /// Where budgets and the journal are kept.
    pub ledger: Ledger,
    /// The rules. There is no purse without rules.
    pub policy: Arc<Policy>,
    /// The rails, in order of preference where prices are equal.
    pub rails: Vec<Arc<dyn Rail>>,
    /// What signs.
    pub wallet: Arc<dyn Wallet>,
    /// The network, for what leaves for vendors. It must not reach further than `egress` says: [`HttpTransport::guarded`].
    ///
    /// [`HttpTransport::guarded`]: crate::HttpTransport::guarded
    pub transport: Arc<dyn Transport>,
    /// Which addresses may be asked.
    pub egress: Egress,
    /// The assets with their decimals.
    pub registry: Arc<AssetRegistry>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids and salts.
    pub entropy: Arc<dyn Entropy>,
    /// Bounds of every exchange with a vendor.
    pub limits: Limits,
    /// How patiently what is open is looked after.
    pub recovery: RecoveryRules,
    /// Who knows which trace a task is in: journal entries name it. [`Untraced`](bursar_types::telemetry::Untraced) knows none.
    pub traces: Arc<dyn Traces>,
}

/// Who answers for a session, and who watches it.
#[derive(Debug, Clone)]
pub struct SessionHooks {
    /// Who is asked where the rules ask; without one, questions wait.
    pub approver: Option<Arc<dyn Approver>>,
    /// How long a call waits for an answer from elsewhere: a signed one, given through another process. Zero answers at once
    /// that it waits.
    pub wait_for_answer: Duration,
    /// Narrows who is asked about plans: the stricter of this and the mandate's holds. [`PlanApproval::Never`] buys nothing,
    /// not even under plans approved before.
    pub approval: PlanApproval,
    /// Who watches.
    pub observer: Arc<dyn Observer>,
    /// Who takes the alerts that a budget requires; without one, no payment reaches a gate of such a budget.
    pub alerts: Option<Arc<dyn Alerts>>,
}

impl Default for SessionHooks {
    /// Nobody answers, nobody watches, and the mandate says who is asked.
    fn default() -> Self {
        Self {
            approver: None,
            wait_for_answer: Duration::ZERO,
            approval: PlanApproval::Rule,
            observer: Arc::new(NoObserver),
            alerts: None,
        }
    }
}

/// Why a session could not be opened or read.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The mandate cannot be used.
    #[error(transparent)]
    Mandate(#[from] MandateError),
    /// The mandate names an asset without decimals.
    #[error(transparent)]
    Asset(#[from] UnknownAsset),
    /// An asset cannot be counted in dollars.
    #[error("asset `{0}` has no dollar peg, so no budget can count it")]
    NoPeg(AssetId),
    /// A budget that outlives sessions exists with another limit.
    #[error("a budget of this mandate exists already with another limit; use the limit it was opened with")]
    BudgetChanged,
    /// As many sessions have begun as the mandate lets begin.
    #[error("{0}")]
    Limit(Reason),
    /// Sessions delegate to one another too deeply.
    #[error("a session is delegated at most 8 times over; delegate from one further up")]
    TooDeep,
    /// The mandate was given for another agent, user, project, client, task or session.
    #[error(
        "the mandate was given for another {0}; whoever wants to spend here needs a mandate of their own"
    )]
    Context(&'static str),
    /// The mandate is another one than the session was begun under.
    #[error(
        "the mandate was changed since the session began; the session keeps its own, and another mandate needs another session"
    )]
    Immutable,
    /// The session was never opened.
    #[error("there is no session {0}")]
    NoSession(SessionId),
    /// The session's records do not fold.
    #[error(transparent)]
    Illegal(#[from] IllegalSessionEvent),
    /// A payload of the session is gone.
    #[error("session cannot be read: {0}")]
    Unreadable(String),
    /// A sum does not fit.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// Something has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// The ledger refused or failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The ledger failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// The stable code, where a refusal has one.
    #[must_use]
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::Context(_) => Some("MANDATE_CONTEXT"),
            Self::Immutable => Some("MANDATE_IMMUTABLE"),
            _ => None,
        }
    }
}

impl From<EventError> for OpenError {
    fn from(error: EventError) -> Self {
        match error {
            EventError::Store(error) => Self::Store(error),
            unreadable @ (EventError::Erased { .. } | EventError::Unreadable { .. }) => {
                Self::Unreadable(unreadable.to_string())
            }
        }
    }
}

impl Payments {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: PaymentsParts) -> Self {
        Self::observed(parts, Arc::new(NoObserver))
    }

    /// The same, telling `observer` what recovery finds and does in any session, and what persons credit. What a session
    /// does itself is told to [its own](SessionHooks::observer).
    #[must_use]
    pub fn observed(parts: PaymentsParts, observer: Arc<dyn Observer>) -> Self {
        Self(Arc::new(Shared {
            ledger: parts.ledger,
            policy: parts.policy,
            rails: parts.rails,
            wallet: parts.wallet,
            transport: parts.transport,
            egress: parts.egress,
            registry: parts.registry,
            clock: parts.clock,
            entropy: parts.entropy,
            limits: parts.limits,
            recovery: parts.recovery,
            observer,
            traces: parts.traces,
            live: OnceLock::new(),
            runs: OnceLock::new(),
            schedule: Mutex::default(),
            voids: tokio::sync::Mutex::default(),
            compensators: crate::saga::Compensators::default(),
            flights: Flights::default(),
            pseudonyms: super::pseudonym::KnownPseudonyms::default(),
            outflow: super::outflow::Guard::default(),
            turns: tokio::sync::Mutex::default(),
            tasks: TaskTracker::new(),
        }))
    }

    /// Opens a session under a mandate.
    ///
    /// # Errors
    /// [`OpenError`]; [`OpenError::Limit`] if the mandate's limits let no session begin now.
    pub async fn open_session(
        &self,
        mandate: Mandate,
        hooks: SessionHooks,
    ) -> Result<Arc<SessionPurse>, OpenError> {
        self.begin(mandate, None, hooks).await
    }

    /// Begins a session, under the sessions of `above` if one delegates to it.
    pub(super) async fn begin(
        &self,
        mandate: Mandate,
        above: Option<&Lineage>,
        hooks: SessionHooks,
    ) -> Result<Arc<SessionPurse>, OpenError> {
        mandate.check()?;
        self.check_apart(&mandate)?;
        let policies = self.0.policy.digests();
        check_mandate(&mandate, &policies)?;
        for asset in &mandate.assets {
            let known = self.0.registry.get(asset)?;
            if !known.usd_peg() {
                return Err(OpenError::NoPeg(asset.clone()));
            }
        }
        if above.is_some_and(|above| above.depth() > DEPTH_MAX) {
            return Err(OpenError::TooDeep);
        }
        self.0.keep_rules().await?;
        let session = mandate.session.unwrap_or_else(|| SessionId::random(&*self.0.entropy));
        let stream = StreamId::of("session", session);
        let mut salt = [0; 32];
        self.0.entropy.fill(&mut salt);
        let opened = SessionEvent::Opened {
            mandate: Box::new(mandate.clone()),
            policies,
            parent: above.map(|above| above.own().id),
            salt: Digest::from_bytes(salt),
        };
        let own = Arc::new(SessionState::apply(session, None, opened.clone())?);
        let lineage = Lineage::new(&self.0, own, above).await?;
        let mut transaction = Transaction {
            require: vec![Require::StreamAt { stream: stream.clone(), length: 0 }],
            ..Transaction::default()
        };
        transaction.require.extend(above.into_iter().flat_map(Lineage::unmoved));
        let opens = touched(&lineage, None).into_iter().map(|touched| AccountOp::Open(touched.budget));
        transaction.accounts = opens.collect();
        transaction.accounts.extend(count_session(&lineage, self.0.clock.now()));
        let mut events = vec![opened];
        if let Some(plan) = self.metered_plan(&mandate, session)? {
            for (item, metered) in plan.items.iter().zip(&mandate.metered) {
                let cut_from = above.and_then(|above| cut_from(above.own(), metered));
                transaction.accounts.extend(item_budgets(item, cut_from)?.map(AccountOp::Open));
            }
            let decision = Decision {
                verdict: Verdict::Allow,
                reasons: vec![],
                rules: vec![],
                facts: mandate.digest()?,
            };
            events.push(SessionEvent::PlanApproved {
                plan: Box::new(plan),
                approved_by: MANDATE.to_owned(),
                approval: None,
                decision,
            });
        }
        for event in &events {
            add_session_event(&mut transaction, &self.0, &stream, event)?;
        }
        match self.0.ledger.commit(transaction).await {
            Ok(_) => {}
            Err(CommitError::Refused(Refusal::DifferentParameters { .. })) => {
                return Err(OpenError::BudgetChanged);
            }
            // A mandate that was given for one session began it already.
            Err(CommitError::Refused(Refusal::StreamMoved { stream: moved, .. })) if moved == stream => {
                return Err(OpenError::Context("session"));
            }
            Err(CommitError::Refused(Refusal::OverLimit { name, limit, .. })) => {
                let limit = self.0.registry.display(&limit);
                return Err(OpenError::Limit(reasons::sessions_exceeded(&name, &limit)));
            }
            Err(error) => return Err(error.into()),
        }
        self.resume_session(session, hooks).await
    }

    /// Takes up a session that was opened before, under the rules that its mandate pins.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn resume_session(
        &self,
        session: SessionId,
        hooks: SessionHooks,
    ) -> Result<Arc<SessionPurse>, OpenError> {
        let state = fold_session(&self.0.ledger, session, None).await?;
        check_session(&state, &self.0.policy)?;
        self.check_apart(&state.mandate)?;
        self.0.pseudonyms_now(&state).await?;
        let purse = self.purse_of(state, hooks, true);
        purse.note_phase().await;
        Ok(purse)
    }

    /// Lets a session go on under the rules of this process: an operator's word, for whoever resumes it and for everybody
    /// who spends in it already. Whoever has other rules is refused from then on.
    ///
    /// # Errors
    /// [`OpenError::Mandate`] if the mandate itself pins other rules: that takes a new mandate.
    ///
    /// # Idempotency
    /// Accepting the rules in force again changes nothing.
    pub async fn accept_policies(&self, session: SessionId, by: &str) -> Result<(), OpenError> {
        let state = fold_session(&self.0.ledger, session, None).await?;
        if self.0.policy.has_digests(&state.policies) {
            return Ok(());
        }
        let policies = self.0.policy.digests();
        check_mandate(&state.mandate, &policies)?;
        self.0.keep_rules().await?;
        let stream = StreamId::of("session", session);
        let mut transaction = Transaction {
            require: vec![Require::StreamAt { stream: stream.clone(), length: state.length }],
            ..Transaction::default()
        };
        let event = SessionEvent::PoliciesAccepted { policies, by: by.to_owned() };
        add_session_event(&mut transaction, &self.0, &stream, &event)?;
        self.0.ledger.commit(transaction).await?;
        Ok(())
    }

    /// Who pays is not who approves.
    fn check_apart(&self, mandate: &Mandate) -> Result<(), MandateError> {
        let own = mandate.approvers.iter().find(|approver| self.0.wallet.can_approve_as(&approver.key));
        own.map_or(Ok(()), |own| Err(MandateError::ApproverIsAgent(own.name.clone())))
    }

    /// A session's purse under whatever rules are in force: only for what decides and signs nothing.
    fn purse_of(
        &self,
        state: Arc<SessionState>,
        hooks: SessionHooks,
        follows_phase: bool,
    ) -> Arc<SessionPurse> {
        let agent = agent_of(&state);
        let actor = Actor {
            agent: agent.to_string(),
            user: state.mandate.user.clone(),
            project: state.mandate.project.clone(),
            role: state.mandate.role.clone(),
        };
        Arc::new(SessionPurse {
            shared: self.0.clone(),
            session: state.id,
            salt: state.salt,
            principal: Principal {
                session: state.id,
                agent,
                user: state.mandate.user.clone(),
                role: state.mandate.role.clone(),
            },
            actor,
            hooks,
            folded: Mutex::new(Some(state)),
            ancestors: Ancestors::default(),
            last_phase: Mutex::new(Phase::Explore),
            follows_phase,
        })
    }

    /// A session's purse for recovery and for persons: nobody is asked, and whoever watches recovery is told.
    pub(super) fn purse_for_recovery(&self, state: Arc<SessionState>) -> Arc<SessionPurse> {
        let observer = Arc::new(Recovering(self.0.observer.clone()));
        self.purse_of(state, SessionHooks { observer, ..SessionHooks::default() }, false)
    }

    /// The operator's switch for money that is worth something. It is off until this is called, and there is no way back but a
    /// new process; the mandate has to say the same.
    #[must_use]
    pub fn with_live(self) -> Self {
        // Set twice is set.
        let _ = self.0.live.set(());
        self
    }

    /// Takes up a session under the mandate that its caller holds, for whoever uses it: another agent, user, project, client or task
    /// is refused, and so is a mandate that was edited since. The purpose and who is asked about plans may be as the session
    /// narrowed them.
    ///
    /// # Errors
    /// [`OpenError::Context`] (`MANDATE_CONTEXT`), [`OpenError::Immutable`] (`MANDATE_IMMUTABLE`), or as
    /// [`Payments::resume_session`].
    pub async fn resume_session_under(
        &self,
        session: SessionId,
        mandate: &Mandate,
        hooks: SessionHooks,
    ) -> Result<Arc<SessionPurse>, OpenError> {
        let state = fold_session(&self.0.ledger, session, None).await?;
        let own = &state.mandate;
        let context = [
            ("agent", own.agent == mandate.agent && own.role == mandate.role),
            ("user", own.user == mandate.user),
            ("project", own.project == mandate.project),
            ("client", own.client == mandate.client),
            ("task", own.task == mandate.task),
            ("session", mandate.session.is_none_or(|bound| bound == session)),
        ];
        if let Some((what, _)) = context.into_iter().find(|(_, same)| !same) {
            return Err(OpenError::Context(what));
        }
        let narrowed = Mandate {
            purpose: own.purpose.clone(),
            approval: mandate.approval.strictest(own.approval),
            session: own.session,
            ..mandate.clone()
        };
        if narrowed != *own {
            return Err(OpenError::Immutable);
        }
        self.resume_session(session, hooks).await
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// Takes no new payments, and waits for those in flight.
    ///
    /// # Cancellation
    /// Dropping the future leaves them running.
    pub async fn close(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// The standing plan of a mandate's metered items, approved by the mandate itself.
    fn metered_plan(&self, mandate: &Mandate, session: SessionId) -> Result<Option<Plan>, OpenError> {
        let mut worth = Vec::with_capacity(mandate.metered.len());
        for item in &mandate.metered {
            self.0.registry.get(&item.asset)?;
            let micro = self.0.registry.to_micro_usd(&item.ceiling);
            worth.push(micro.ok_or_else(|| OpenError::NoPeg(item.asset.clone()))?);
        }
        Ok(standing_plan(mandate, session, &worth)?)
    }
}

/// The standing plan of a mandate's metered items, whose ceilings are worth so much in micro-USD. Pure. `None` if there is none.
pub(crate) fn standing_plan(
    mandate: &Mandate,
    session: SessionId,
    worth: &[Amount],
) -> Result<Option<Plan>, AmountError> {
    // `Never` is a dry run: what a mandate lets be bought without asking is not bought either.
    if mandate.metered.is_empty() || mandate.approval == PlanApproval::Never {
        return Ok(None);
    }
    let id = PlanId::derived(&[session.as_bytes(), b"metered"]);
    let mut total = Amount::from_atomic(AssetId::micro_usd(), 0);
    let mut items = Vec::with_capacity(mandate.metered.len());
    for ((index, item), micro) in (0..).zip(&mandate.metered).zip(worth) {
        total = total.checked_add(&micro.checked_mul(u64::from(item.count))?)?;
        let fixed = item.resource.strip_suffix('*').unwrap_or(&item.resource);
        let host = url::Url::parse(fixed).ok().and_then(|url| super::ask::host_of(&url)).unwrap_or_default();
        items.push(ItemTerms::from_metered(id, index, item, host, micro.clone()));
    }
    let far = bursar_types::Timestamp::from_unix_ms(9_007_199_254_740_991);
    Ok(Some(Plan { id, items, total, expires_at: mandate.expires_at.unwrap_or(far), purpose: None }))
}

/// Counts the session in every limit on beginnings: held and spent at once, so that two that begin together both count.
fn count_session(lineage: &Lineage, now: bursar_types::Timestamp) -> Vec<AccountOp> {
    let one = Amount::from_atomic(AssetId::count(), 1);
    let budgets = session_limits(lineage);
    let lines: Vec<_> =
        budgets.iter().map(|budget| Line { budget: budget.id, amount: one.clone() }).collect();
    let mut accounts: Vec<_> = budgets.into_iter().map(AccountOp::Open).collect();
    if !lines.is_empty() {
        let id = HoldId::derived(&[b"session", lineage.own().id.as_bytes()]);
        accounts.push(AccountOp::Hold { id, lines, expires_at: now.plus_ms(COUNTED_MS) });
        // A hold that has run out by a clock elsewhere is still a beginning.
        accounts.push(AccountOp::Capture { id, lines: None, observed: true });
    }
    accounts
}

/// The standing item of the session above that a delegated one is cut from.
pub(crate) fn cut_from(parent: &SessionState, item: &MeteredItem) -> Option<PlanItemId> {
    let mut items = (0_u64..).zip(&parent.mandate.metered);
    let (index, _) = items.find(|(_, other)| other.name == item.name)?;
    let standing = PlanId::derived(&[parent.id.as_bytes(), b"metered"]);
    Some(PlanItemId::derived(&[standing.as_bytes(), &index.to_be_bytes()]))
}

/// Tells what happens to money. A purse made for recovery does not know the phase before, so that is not told.
#[derive(Debug)]
struct Recovering(Arc<dyn Observer>);

impl Observer for Recovering {
    fn event(&self, event: &MoneyEvent) {
        if !matches!(event, MoneyEvent::PhaseChanged { .. }) {
            self.0.event(event);
        }
    }
}

/// The rules that the mandate was given under are in force, and no others of the user's beside them.
pub(crate) fn check_mandate(mandate: &Mandate, policies: &[(String, Digest)]) -> Result<(), MandateError> {
    if mandate.policies.is_empty() {
        return Ok(());
    }
    let changed = mandate.policies.iter().find(|pinned| !policies.contains(pinned));
    let more =
        || policies.iter().find(|file| !Policy::is_shipped(&file.0) && !mandate.policies.contains(file));
    match changed.or_else(more) {
        Some((name, _)) => Err(MandateError::PolicyChanged(name.clone())),
        None => Ok(()),
    }
}

/// The rules that the session was opened under are in force.
pub(super) fn check_session(state: &SessionState, policy: &Policy) -> Result<(), MandateError> {
    if policy.has_digests(&state.policies) {
        return Ok(());
    }
    let now = policy.digests();
    let differs = |a: &[(String, Digest)], b: &[(String, Digest)]| {
        a.iter().find(|file| !b.contains(file)).map(|(name, _)| name.clone())
    };
    let name = differs(&state.policies, &now).or_else(|| differs(&now, &state.policies));
    Err(MandateError::PolicyChanged(name.unwrap_or_default()))
}

/// Adds a session event to a transaction.
pub(super) fn add_session_event(
    transaction: &mut Transaction,
    shared: &Shared,
    stream: &StreamId,
    event: &SessionEvent,
) -> Result<(), CanonicalError> {
    let (kind, fields) = match event {
        SessionEvent::Opened { mandate, policies, parent, .. } => (
            "session.opened",
            vec![
                ("policies", json!(canonical_digest(policies)?)),
                ("live", json!(mandate.live)),
                ("parent", json!(parent)),
            ],
        ),
        SessionEvent::PlanApproved { plan, approval, decision, .. } => (
            "plan.approved",
            vec![
                ("plan", json!(plan.id)),
                ("asked", json!(approval.is_some())),
                ("rules", json!(decision.rules)),
                ("micro_usd", json!(plan.total.atomic().to_string())),
            ],
        ),
        SessionEvent::ApprovalAsked { question, .. } => (
            "approval.asked",
            vec![
                ("approval", json!(question.id)),
                ("rules", json!(question.rules)),
                ("expires_at", json!(question.expires_at)),
            ],
        ),
        SessionEvent::ApprovalGiven { approval, by, .. } => {
            ("approval.given", vec![("approval", json!(approval)), ("by", json!(by.kind()))])
        }
        SessionEvent::ApprovalRefused { approval, by, .. } => {
            ("approval.refused", vec![("approval", json!(approval)), ("by", json!(by.kind()))])
        }
        SessionEvent::ApprovalWithdrawn { approval, .. } => {
            ("approval.withdrawn", vec![("approval", json!(approval))])
        }
        SessionEvent::ApprovalSpent { approval, payment } => {
            ("approval.spent", vec![("approval", json!(approval)), ("payment", json!(payment))])
        }
        SessionEvent::ApprovalUsed { approval, cause } => (
            "approval.used",
            vec![("approval", json!(approval)), ("run", json!(cause.run)), ("call", json!(cause.call))],
        ),
        SessionEvent::PlansWithdrawn { plans } => ("plans.withdrawn", vec![("plans", json!(plans))]),
        SessionEvent::PoliciesAccepted { policies, .. } => {
            ("session.policies", vec![("policies", json!(canonical_digest(policies)?))])
        }
        SessionEvent::Frozen { .. } => ("session.frozen", vec![]),
        SessionEvent::Revoked { .. } => ("session.revoked", vec![]),
        SessionEvent::Thawed { .. } => ("session.thawed", vec![]),
    };
    let fields = fields.into_iter().chain(shared.trace_fields());
    let sealed = SealedEvent::new(stream.clone(), kind, fields, event, &*shared.entropy);
    sealed.map_err(CanonicalError::Json)?.add_to(transaction);
    Ok(())
}

/// Folds what happened since `state` was folded.
pub(super) async fn fold_session(
    ledger: &Ledger,
    session: SessionId,
    known: Option<Arc<SessionState>>,
) -> Result<Arc<SessionState>, OpenError> {
    let from = known.as_ref().map_or(0, |state| state.length);
    let events = ledger.events::<SessionEvent>(&StreamId::of("session", session), from).await?;
    match known {
        Some(known) if events.is_empty() => Ok(known),
        known => {
            let mut state = known.map(Arc::unwrap_or_clone);
            for event in events {
                state = Some(SessionState::apply(session, state, event)?);
            }
            state.map(Arc::new).ok_or(OpenError::NoSession(session))
        }
    }
}

/// Digest of who asks for what: the same request of the same user is one purchase, whoever sends it.
pub(super) fn request_digest(user: &str, method: &str, url: &str, body: &[u8]) -> Digest {
    Digest::of_parts("bursar/request/v1", &[user.as_bytes(), method.as_bytes(), url.as_bytes(), body])
}
