//! Bursar as its users hold it.

use crate::audit::Keeper;
use crate::builder::BursarBuilder;
use crate::callers::Caller;
use crate::error::BursarError;
use crate::event::{EventStream, Tap};
use crate::mandate_file;
use crate::session::{Approve, Session};
use crate::telemetry::{Gauges, Meter, metered};
use bursar_audit::{Published, Schedule};
use bursar_ledger::Ledger;
use bursar_memory::Library;
use bursar_payments::{
    Alerts, Mandate, OpenObligation, Payments, PlanApproval, Recovered, SessionHooks, Watch,
};
use bursar_types::telemetry::Traces;
use bursar_types::{AssetRegistry, Clock, Entropy, FetchError, SessionId};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) payments: Payments,
    pub(crate) ledger: Ledger,
    pub(crate) library: Library,
    pub(crate) registry: Arc<AssetRegistry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) discovery: Vec<String>,
    pub(crate) mandate: Option<Mandate>,
    /// Whether only a mandate that an issuer signed counts.
    pub(crate) issued_only: bool,
    pub(crate) alerts: Option<Arc<dyn Alerts>>,
    pub(crate) traces: Arc<dyn Traces>,
    pub(crate) meter: Option<Arc<dyn Meter>>,
    pub(crate) gauges: Mutex<Option<Gauges>>,
    /// How long payloads of what is finished are kept; for ever without it.
    pub(crate) retention_ms: Option<u64>,
    #[cfg(feature = "mcp")]
    pub(crate) mcp: crate::mcp::Mcp,
    pub(crate) recovered: Recovered,
    pub(crate) watch: Mutex<Option<Watch>>,
    pub(crate) log: Option<Keeper>,
    pub(crate) schedule: Mutex<Option<Schedule>>,
    pub(crate) callers: Vec<Caller>,
    #[cfg(feature = "openapi")]
    pub(crate) apis: crate::openapi::Apis,
}

/// One data file with its wallet, rules and library. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bursar(pub(crate) Arc<Inner>);

impl Bursar {
    /// Opens what a configuration file describes.
    ///
    /// # Errors
    /// [`BursarError`], naming the file and field.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, BursarError> {
        BursarBuilder::from_file(path.as_ref())?.open().await
    }

    /// Begins to put Bursar together as a configuration file describes it.
    ///
    /// # Errors
    /// [`BursarError`], naming the file and field.
    pub fn configured(path: impl AsRef<Path>) -> Result<BursarBuilder, BursarError> {
        BursarBuilder::from_file(path.as_ref())
    }

    /// Begins to put Bursar together in code, over a data folder.
    pub fn builder(data: impl Into<PathBuf>) -> BursarBuilder {
        BursarBuilder::new(data.into())
    }

    /// Begins a session: the scope of money under one mandate.
    pub fn session(&self, purpose: impl Into<String>) -> SessionBuilder {
        SessionBuilder {
            bursar: self.clone(),
            purpose: purpose.into(),
            mandate: None,
            approve: Approve::Rule,
            alerts: None,
        }
    }

    /// Takes up a session that was begun before, under its own mandate. `approve` narrows it; it never widens.
    ///
    /// # Errors
    /// [`BursarError::Session`] if there is no such session.
    ///
    /// # Example
    /// Goes on with what a crash left, with the same agent as before.
    /// ```no_run
    /// # async fn example(bursar: bursar::Bursar) -> Result<(), Box<dyn std::error::Error>> {
    /// use bursar::{Agent, Approve, models, tools};
    /// for known in bursar.sessions().await? {
    ///     let session = bursar.resume(known.id, Approve::Rule).await?;
    ///     let agent = Agent::builder(models::extractive()).tools(tools::research(&session)?).build()?;
    ///     for run in known.runs.iter().filter(|run| run.can_go_on()) {
    ///         agent.resume(session.run_context(), run.run).await?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn resume(&self, session: SessionId, approve: Approve) -> Result<Session, BursarError> {
        let (hooks, events, sender) = hooks(approve, self.0.alerts.clone(), self.0.meter.as_ref());
        let purse = self.0.payments.resume_session(session, hooks.clone()).await?;
        Ok(Session::new(self.clone(), purse, hooks, events, sender))
    }

    /// Begins a session under exactly this mandate.
    pub(crate) async fn begin(&self, mandate: Mandate, approve: Approve) -> Result<Session, BursarError> {
        let (hooks, events, sender) = hooks(approve, self.0.alerts.clone(), self.0.meter.as_ref());
        let purse = self.0.payments.open_session(mandate, hooks.clone()).await?;
        Ok(Session::new(self.clone(), purse, hooks, events, sender))
    }

    /// Takes up a session that was begun under this very mandate.
    pub(crate) async fn under(
        &self,
        session: SessionId,
        mandate: &Mandate,
        approve: Approve,
    ) -> Result<Session, BursarError> {
        let (hooks, events, sender) = hooks(approve, self.0.alerts.clone(), self.0.meter.as_ref());
        let purse = self.0.payments.resume_session_under(session, mandate, hooks.clone()).await?;
        Ok(Session::new(self.clone(), purse, hooks, events, sender))
    }

    /// The ledger: budgets, holds and the journal.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// What was bought.
    #[must_use]
    pub fn library(&self) -> &Library {
        &self.0.library
    }

    /// The assets with their decimals.
    #[must_use]
    pub fn registry(&self) -> &AssetRegistry {
        &self.0.registry
    }

    /// What was found open when it was opened.
    #[must_use]
    pub fn recovered(&self) -> Recovered {
        self.0.recovered
    }

    /// Takes up everything that is open, now: asks what became of it, asks for goods and money, credits what came back. The
    /// same happens on opening and on a timer.
    ///
    /// # Errors
    /// [`BursarError::Money`] if what is open cannot be listed.
    ///
    /// # Idempotency
    /// A second call asks again about what is still open.
    pub async fn recover(&self) -> Result<Recovered, BursarError> {
        Ok(self.0.payments.recover().await?)
    }

    /// What is owed, the earliest due first. [`Bursar::desk`] is where persons decide about it.
    ///
    /// # Errors
    /// [`BursarError::Money`].
    pub async fn obligations(&self) -> Result<Vec<OpenObligation>, BursarError> {
        Ok(self.0.payments.obligations().await?)
    }

    /// Where persons settle, extend and write off what is owed, and say where money belongs that came back.
    #[must_use]
    pub fn desk(&self) -> &Payments {
        &self.0.payments
    }

    /// Runs recovery every `every` instead of as before; `None` stops it.
    pub fn watch(
        &self,
        every: Option<Duration>,
        told: impl FnMut(&Result<Recovered, FetchError>) + Send + 'static,
    ) {
        let watch = every.map(|every| self.0.payments.watch(every, told));
        *self.0.watch.lock().unwrap_or_else(PoisonError::into_inner) = watch;
    }

    /// Publishes the journal as it stands: tiles, a signed checkpoint, cosignatures, copies. It also happens on opening, on a
    /// timer, after every run and on closing.
    ///
    /// # Errors
    /// [`BursarError::Unpublished`] if it was opened without a log. [`BursarError::Publish`]; if that is an alarm, or one of the
    /// concerns in the answer is, all spending was frozen.
    ///
    /// # Idempotency
    /// If nothing happened since, nothing is signed.
    ///
    /// # Example
    /// ```no_run
    /// # async fn example(bursar: bursar::Bursar) -> Result<(), Box<dyn std::error::Error>> {
    /// let published = bursar.publish().await?;
    /// for concern in &published.concerns {
    ///     eprintln!("{concern}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn publish(&self) -> Result<Published, BursarError> {
        self.0.log.as_ref().ok_or(BursarError::Unpublished)?.publish().await
    }

    /// What checks the log's signatures, for whoever audits; `None` if there is no log.
    #[must_use]
    pub fn log_key(&self) -> Option<bursar_proof::VerifierKey> {
        self.0.log.as_ref().map(Keeper::key)
    }

    /// Waits for payments in flight, publishes the journal, and closes the data file.
    ///
    /// # Errors
    /// [`BursarError::Ledger`]. [`BursarError::Alarm`] if the journal contradicts what was published: all spending was frozen, and
    /// the data file is closed.
    pub async fn close(&self) -> Result<(), BursarError> {
        drop(self.0.watch.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.0.schedule.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.0.payments.close().await;
        let gauges = self.0.gauges.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(gauges) = gauges {
            gauges.count_at_the_end().await;
        }
        let published = match &self.0.log {
            Some(log) => log.publish_at_the_end().await,
            None => Ok(()),
        };
        self.0.ledger.close().await?;
        published
    }
}

/// Begins a session.
#[derive(Debug)]
#[must_use = "a session begins when it is started"]
pub struct SessionBuilder {
    bursar: Bursar,
    purpose: String,
    mandate: Option<Mandate>,
    approve: Approve,
    alerts: Option<Arc<dyn Alerts>>,
}

impl SessionBuilder {
    /// The mandate, instead of the configured one. Where the configuration names issuers, it is refused: delegate from the signed
    /// one instead.
    pub fn mandate(mut self, mandate: Mandate) -> Self {
        self.mandate = Some(mandate);
        self
    }

    /// Who is asked about plans.
    pub fn approve(mut self, approve: Approve) -> Self {
        self.approve = approve;
        self
    }

    /// Who takes the alerts that a budget with `alert = "required"` asks for. Until it has taken one, no payment reaches that gate.
    /// Without it [`BursarBuilder::alerts`](crate::BursarBuilder::alerts) counts, and else that somebody holds the event stream.
    ///
    /// # Example
    /// ```no_run
    /// # async fn example(bursar: bursar::Bursar) -> Result<(), Box<dyn std::error::Error>> {
    /// use bursar::payments::{AlertError, Alerts, GateReached};
    /// use std::sync::Arc;
    ///
    /// #[derive(Debug)]
    /// struct Pager;
    ///
    /// #[async_trait::async_trait]
    /// impl Alerts for Pager {
    ///     async fn deliver(&self, gate: &GateReached) -> Result<(), AlertError> {
    ///         println!("{} has reached {}", gate.name, gate.level);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let session = bursar.session("research").alerts(Arc::new(Pager)).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn alerts(mut self, alerts: Arc<dyn Alerts>) -> Self {
        self.alerts = Some(alerts);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`BursarError::NoMandate`], [`BursarError::MandateSignature`], or what is wrong with the mandate.
    pub async fn start(self) -> Result<Session, BursarError> {
        if self.mandate.is_some() && self.bursar.0.issued_only {
            return Err(mandate_file::unsigned("a mandate in code"));
        }
        let mandate = self.mandate.or_else(|| self.bursar.0.mandate.clone());
        let mut mandate = mandate.ok_or(BursarError::NoMandate)?;
        mandate.purpose = self.purpose;
        // Who is asked only narrows: a mandate that asks or forbids is not loosened by a session.
        mandate.approval = mandate.approval.strictest(narrowing(&self.approve));
        let alerts = self.alerts.or_else(|| self.bursar.0.alerts.clone());
        let (hooks, events, sender) = hooks(self.approve, alerts, self.bursar.0.meter.as_ref());
        let purse = self.bursar.0.payments.open_session(mandate, hooks.clone()).await?;
        Ok(Session::new(self.bursar, purse, hooks, events, sender))
    }
}

pub(crate) const fn narrowing(approve: &Approve) -> PlanApproval {
    match approve {
        Approve::Rule | Approve::Elsewhere(_) => PlanApproval::Rule,
        Approve::Ask(_) => PlanApproval::Ask,
        Approve::Never => PlanApproval::Never,
    }
}

pub(crate) fn hooks(
    approve: Approve,
    alerts: Option<Arc<dyn Alerts>>,
    meter: Option<&Arc<dyn Meter>>,
) -> (SessionHooks, EventStream, bursar_agent_core::EventSender) {
    let (money, money_events) = tokio::sync::mpsc::unbounded_channel();
    let (sender, runs) = bursar_agent_core::events();
    let approval = narrowing(&approve);
    let (approver, wait_for_answer) = match approve {
        Approve::Ask(approver) => (Some(approver), Duration::ZERO),
        Approve::Elsewhere(wait) => (None, wait),
        Approve::Rule | Approve::Never => (None, Duration::ZERO),
    };
    let tap = Arc::new(Tap(money));
    let hooks = SessionHooks {
        approver,
        wait_for_answer,
        approval,
        alerts: Some(alerts.unwrap_or_else(|| tap.clone())),
        observer: metered(meter, tap),
    };
    (hooks, EventStream::new(money_events, runs), sender)
}
