//! A saga as its users hold it.

use super::compensator::Compensators;
use super::drive::SagaDriver;
use super::error::{SagaError, StepFailure};
use super::event::{SagaEvent, StepTerms, Undo};
use super::id::SagaId;
use super::money::PurseWorld;
use super::purchase::{Bought, Check, Purchase, PurchaseRecord};
use super::report::SagaReport;
use super::steps::{Begun, Reconciled, check_name};
use crate::payment::Payment;
use crate::purse::SessionPurse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bursar_ledger::Commitment;
use bursar_types::{Delivery, FetchError, Fetched, HttpRequest, PaymentId, PurchaseKey};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// How a saga is opened.
#[derive(Debug, Clone)]
pub struct SagaOptions {
    /// How long after it is opened a step may still start. What is not complete a quarter of an hour after that is taken
    /// back by recovery, in any process.
    pub within_ms: u64,
    /// Compensators that its steps name. They are known to recovery in this process from then on.
    pub compensators: Compensators,
    /// Who looks after what stays open; the recovery rules' owner, or the mandate's user, where this is not set.
    pub owner: Option<String>,
}

impl Default for SagaOptions {
    /// A day, no compensators, and the owner that everything else has.
    fn default() -> Self {
        Self { within_ms: 24 * 3_600 * 1_000, compensators: Compensators::default(), owner: None }
    }
}

/// A chain of paid and free steps that are either done, or taken back with every step accounted for.
///
/// Each step is recorded before it runs, with how it is taken back. The same session and name are the same saga: opened again
/// after a crash, its steps give what they gave, and only what was not done runs. One worker at a time goes on with a saga;
/// one that was overtaken is told [`SagaError::Fenced`] and changes nothing any more.
#[derive(Debug)]
pub struct Saga {
    driver: SagaDriver<PurseWorld>,
}

impl SessionPurse {
    /// Opens a saga, or takes it up if this session opened one of this name before; the options of the first time stand then.
    ///
    /// # Errors
    /// [`SagaError::Name`], [`SagaError::Ledger`], or [`SagaError::Illegal`] if its records do not fold.
    ///
    /// # Idempotency
    /// The same name is the same saga, for ever: a saga that failed does not begin again under its name.
    pub async fn saga(self: &Arc<Self>, name: &str, options: SagaOptions) -> Result<Saga, SagaError> {
        check_name(name)?;
        let world = PurseWorld::new(self.clone());
        let parts = world.parts();
        parts.compensators.extend(&options.compensators);
        let session = self.session();
        let id = SagaId::derived(&[parts.salt.as_bytes(), session.as_bytes(), name.as_bytes()]);
        let opened = SagaEvent::Opened {
            session,
            name: name.to_owned(),
            owner: options.owner.unwrap_or_else(|| parts.owner.clone()),
            deadline: parts.clock.now().plus_ms(options.within_ms),
        };
        Ok(Saga { driver: SagaDriver::open(world, id, opened).await? })
    }
}

impl Saga {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> SagaId {
        self.driver.state().id
    }

    /// How it stands, as this handle last read it.
    #[must_use]
    pub fn report(&self) -> SagaReport {
        self.driver.report()
    }

    /// A step that buys. The name of the purchase follows from saga and step, so that it is paid once, however often the
    /// step runs; what was done before is given from the library.
    ///
    /// If the saga fails later, the money is asked back, unless the purchase says otherwise.
    ///
    /// # Errors
    /// [`SagaError::NotBought`] if it was not bought, or did not come; [`SagaError::Purse`] if no money moved. The step is
    /// recorded as failed then, and may run again.
    ///
    /// # Cancellation
    /// Dropping the future leaves the payment running on the purse's own task. Call again to see how it ended.
    pub async fn buy(&mut self, step: &str, purchase: impl Into<Purchase>) -> Result<Bought, SagaError> {
        let Purchase { request, on_failure, look } = purchase.into();
        let not_bought = |source: FetchError| SagaError::Purse { step: step.to_owned(), source };
        let key = PurchaseKey::new(self.id().purchase(step)).map_err(|_| SagaError::Name)?;
        let (request, ask) = self.purse().name_purchase(request, &key).map_err(not_bought)?;
        let (payment, digest) = (ask.payment, ask.request);
        let terms = StepTerms::Paid { payment, key: key.clone(), request: digest, on_failure };
        match self.driver.begin(step, terms, false).await? {
            Begun::Recorded(value) => {
                let record = serde_json::from_value(value)
                    .map_err(|source| SagaError::Result { step: step.to_owned(), source })?;
                return self.bought_before(step, &record).await;
            }
            Begun::Run | Begun::Uncertain => {}
        }
        let (bought, record) = match self.fetch(step, request, key).await {
            Ok(found) => found,
            Err(error) => return Err(self.failed(step, error).await),
        };
        let price = bought.payment.as_ref().filter(|view| view.id == payment).map(|view| view.amount.clone());
        let check = look.map_or(Check::Whole, |look| look(&bought.body));
        let claim = price.and_then(|price| check.claim(&price));
        if let Check::Wrong { problem } = check {
            let failure = StepFailure::new(format!("it is not what was bought: {problem}"));
            let ended = self.driver.end::<PurchaseRecord>(step, Err(failure), claim).await;
            if let Err(SagaError::StepFailed { .. }) = ended {
                self.driver.claim(step.to_owned()).await?;
            }
            return Err(ended.err().unwrap_or(SagaError::Incomplete { step: step.to_owned() }));
        }
        self.driver.end(step, Ok(record), claim.clone()).await?;
        self.driver.claim(step.to_owned()).await?;
        Ok(Bought { claim, ..bought })
    }

    /// A step of the user's own. `undo` says how it is taken back; it is recorded before `run` begins. What `run` gives is
    /// recorded too: a saga that is taken up again gets it without running the step.
    ///
    /// # Errors
    /// [`SagaError::StepFailed`] if it failed: run it again, or unwind. [`SagaError::Unwinds`] if an earlier worker died in
    /// the middle of it and it may not run again: it then counts as done, and the saga is taken back.
    ///
    /// # Cancellation
    /// A step that is dropped while it runs is one of which nobody knows whether it was done.
    pub async fn step<T, R, F>(&mut self, step: &str, undo: Undo, run: R) -> Result<T, SagaError>
    where
        T: Serialize + DeserializeOwned,
        R: FnOnce() -> F,
        F: Future<Output = Result<T, StepFailure>>,
    {
        self.driver.step(step, StepTerms::Free { undo }, run).await
    }

    /// A step like [`Self::step`] that can find out whether it was done, where an earlier worker died in the middle of it.
    ///
    /// # Errors
    /// As for [`Self::step`]. A failure of `ask` leaves the step as it is: call again.
    ///
    /// # Cancellation
    /// As for [`Self::step`].
    pub async fn step_or_ask<T, A, AF, R, RF>(
        &mut self,
        step: &str,
        undo: Undo,
        ask: A,
        run: R,
    ) -> Result<T, SagaError>
    where
        T: Serialize + DeserializeOwned,
        A: FnOnce() -> AF,
        AF: Future<Output = Result<Reconciled<T>, StepFailure>>,
        R: FnOnce() -> RF,
        RF: Future<Output = Result<T, StepFailure>>,
    {
        self.driver.step_or_ask(step, StepTerms::Free { undo }, ask, run).await
    }

    /// Says that every step was done and this was all. From then on nothing is taken back.
    ///
    /// # Errors
    /// [`SagaError::Incomplete`] while a step failed or did not end; [`SagaError::Unwinds`] if the saga was given up.
    ///
    /// # Idempotency
    /// A second call changes nothing.
    pub async fn complete(&mut self) -> Result<SagaReport, SagaError> {
        self.driver.complete().await
    }

    /// Says that the saga failed. Every step is taken back, last first: compensators run, open payments are given up, and
    /// what was paid is asked back. What cannot be done now is tried again by recovery, in any process; the report says what
    /// became of each step so far.
    ///
    /// # Errors
    /// [`SagaError::Completed`] if it was completed before; [`SagaError::Fenced`] or [`SagaError::Ledger`] otherwise.
    ///
    /// # Idempotency
    /// A failure that is reported again takes nothing back twice: it looks how far it is, and goes on.
    ///
    /// # Cancellation
    /// Dropping the future leaves what was recorded; recovery goes on with it.
    pub async fn unwind(&mut self, reason: &str) -> Result<SagaReport, SagaError> {
        self.driver.unwind(reason).await
    }

    fn purse(&self) -> &Arc<SessionPurse> {
        self.driver.world().purse()
    }

    async fn fetch(
        &self,
        step: &str,
        request: HttpRequest,
        key: PurchaseKey,
    ) -> Result<(Bought, PurchaseRecord), SagaError> {
        let fetched = self.purse().handle().fetch(request, key).await;
        match fetched.map_err(|source| SagaError::Purse { step: step.to_owned(), source })? {
            Fetched::Delivered(delivery) | Fetched::Owned(delivery) => {
                let record = PurchaseRecord { payment: Some(delivery.payment.id), free: None };
                Ok((delivered(delivery), record))
            }
            Fetched::Free(response) if response.status().is_success() => {
                let body = response.into_body();
                let record = PurchaseRecord { payment: None, free: Some(BASE64.encode(&body)) };
                Ok((Bought { body, payment: None, artifact: None, claim: None }, record))
            }
            fetched => Err(SagaError::NotBought { step: step.to_owned(), fetched: Box::new(fetched) }),
        }
    }

    /// Records that a purchase failed. Its payment is looked at all the same when the saga unwinds.
    async fn failed(&mut self, step: &str, error: SagaError) -> SagaError {
        let problem = match &error {
            SagaError::NotBought { fetched, .. } => instead(fetched),
            other => bursar_types::causes(other),
        };
        match self.driver.end::<PurchaseRecord>(step, Err(StepFailure::new(problem)), None).await {
            Err(SagaError::StepFailed { .. }) | Ok(_) => error,
            Err(other) => other,
        }
    }

    /// What a step bought in an earlier run, from the library: nothing is asked and nothing is paid.
    async fn bought_before(&self, step: &str, record: &PurchaseRecord) -> Result<Bought, SagaError> {
        let lost =
            |problem: &str| SagaError::StepFailed { step: step.to_owned(), problem: problem.to_owned() };
        let claim = self.driver.state().step(step).and_then(|step| step.claim.clone());
        if let Some(free) = &record.free {
            let body = BASE64.decode(free).map_err(|_| lost("what it gave cannot be read"))?.into();
            return Ok(Bought { body, payment: None, artifact: None, claim });
        }
        let payment = record.payment.ok_or_else(|| lost("its payment is not recorded"))?;
        let (bought, body) =
            self.kept(payment).await?.ok_or_else(|| lost("what it bought is not recorded"))?;
        let body = body.ok_or_else(|| lost("what it bought has been erased since"))?;
        Ok(Bought { body, claim, ..bought })
    }

    async fn kept(&self, payment: PaymentId) -> Result<Option<(Bought, Option<Bytes>)>, SagaError> {
        let lost = |error: Box<dyn std::error::Error + Send + Sync>| SagaError::Ledger(error);
        let found = self.purse().payment(payment).await.map_err(|error| lost(Box::new(error)))?;
        let Some(found @ Payment::Paid { .. }) = found else { return Ok(None) };
        let record = found.obligation().and_then(|obligation| obligation.record.clone());
        let (Some(record), Some(view)) = (record, found.view()) else { return Ok(None) };
        let ledger = &self.driver.world().parts().ledger;
        let body = ledger.payload(Commitment::from_digest(record.payload)).await;
        let body = body.map_err(|error| lost(Box::new(error)))?;
        let bought =
            Bought { body: Bytes::new(), payment: Some(view), artifact: Some(record.artifact), claim: None };
        Ok(Some((bought, body)))
    }
}

fn delivered(delivery: Delivery) -> Bought {
    let Delivery { payment, artifact, body } = delivery;
    Bought { body, payment: Some(payment), artifact: Some(artifact), claim: None }
}

/// What came instead of goods, in words.
fn instead(fetched: &Fetched) -> String {
    match fetched {
        Fetched::Free(response) => format!("the vendor answered {}", response.status()),
        Fetched::Quotes { reasons, .. } => {
            let said: Vec<_> = reasons.iter().map(|reason| reason.message.as_str()).collect();
            format!("it costs money, and no approved plan covers it: {}", said.join("; "))
        }
        Fetched::AwaitingApproval(ticket) => format!("it waits for an approver: {}", ticket.summary),
        Fetched::Undelivered(owed) => format!("it was paid for and did not come: {}", owed.problem),
        Fetched::Unknown(open) => format!("nobody can say yet whether it was paid: {}", open.problem),
        Fetched::Owned(_) | Fetched::Delivered(_) => "it came".to_owned(),
    }
}
