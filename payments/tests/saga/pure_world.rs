//! A world without money, files or signatures, whose clock is told the time and whose process dies where it is told to.

use async_trait::async_trait;
use bursar_payments::{
    CompensationId, RecoveryRules, RemedyError, SagaError, SagaEvent, SagaId, SagaState, SagaStep, SagaWorld,
    StepFailure, StepTerms, UndoAnswer, UndoOrder, Undone, WantedClaim,
};
use bursar_types::{Amount, AssetId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// How a point of a run goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cut {
    /// The process dies before it happens.
    Before,
    /// The process dies after it happened.
    After,
    /// It happens, and the process lives on and is told that it failed.
    Torn,
}

/// Everything that goes wrong in one world.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    /// At which points, counted from the beginning, over all lives.
    pub(crate) cuts: Vec<(usize, Cut)>,
    /// Taking this step back fails the first time.
    pub(crate) fails_once: Option<String>,
    /// Taking this step back always fails.
    pub(crate) fails_always: Option<String>,
    /// What is wanted back cannot be claimed: it fails, or nobody can say yet whether it was paid.
    pub(crate) no_claims: Option<Result<bool, RemedyError>>,
}

#[derive(Debug, Default)]
struct Inner {
    events: Vec<SagaEvent>,
    now_ms: u64,
    dead: bool,
    points: usize,
    trouble: Trouble,
    effects: BTreeMap<String, u32>,
    undone: BTreeMap<String, BTreeSet<CompensationId>>,
    asked_at: BTreeMap<CompensationId, u64>,
    trace: DefaultHasher,
}

/// The world. Clones are the same world.
#[derive(Debug, Clone)]
pub(crate) struct PureWorld {
    inner: Arc<Mutex<Inner>>,
    rules: Arc<RecoveryRules>,
}

/// How long a refund takes.
const REFUND_MS: u64 = 90 * 60 * 1_000;

impl PureWorld {
    pub(crate) fn new(trouble: Trouble) -> Self {
        let inner = Inner { trouble, ..Inner::default() };
        Self { inner: Arc::new(Mutex::new(inner)), rules: Arc::new(RecoveryRules::default()) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// A new process, some time later.
    pub(crate) fn reborn(&self, later_ms: u64) {
        let mut inner = self.lock();
        inner.dead = false;
        inner.now_ms += later_ms;
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.lock().dead
    }

    pub(crate) fn events(&self) -> Vec<SagaEvent> {
        self.lock().events.clone()
    }

    /// How many planned troubles were never reached.
    pub(crate) fn cuts_left(&self) -> usize {
        self.lock().trouble.cuts.len()
    }

    /// What happened in which order, as a number.
    pub(crate) fn trace(&self) -> u64 {
        let inner = self.lock();
        let mut trace = inner.trace.clone();
        for event in &inner.events {
            (event.name(), event.step()).hash(&mut trace);
        }
        trace.finish()
    }

    /// How often a step had its effect, as seen by whoever counts ids.
    pub(crate) fn effects(&self, step: &str) -> u32 {
        self.lock().effects.get(step).copied().unwrap_or(0)
    }

    /// Under which ids a step was taken back.
    pub(crate) fn undone(&self, step: &str) -> BTreeSet<CompensationId> {
        self.lock().undone.get(step).cloned().unwrap_or_default()
    }

    /// A step's effect. One that may be repeated counts once, as its vendor or file system would see it.
    pub(crate) fn effect(&self, step: &str, repeatable: bool) -> Result<(), StepFailure> {
        let mut inner = self.lock();
        let cut = inner.point(("effect", step)).map_err(StepFailure::new)?;
        let count = inner.effects.entry(step.to_owned()).or_default();
        *count = if repeatable { 1 } else { *count + 1 };
        inner.happened(cut).map_err(StepFailure::new)
    }
}

impl Inner {
    /// One point where something may go wrong. An error says that the process is dead.
    fn point(&mut self, what: impl Hash) -> Result<Option<Cut>, &'static str> {
        if self.dead {
            return Err("the process is dead");
        }
        what.hash(&mut self.trace);
        let here = self.points;
        self.points += 1;
        let at = self.trouble.cuts.iter().position(|(point, _)| *point == here);
        let cut = at.map(|at| self.trouble.cuts.remove(at).1);
        cut.hash(&mut self.trace);
        if cut == Some(Cut::Before) {
            self.dead = true;
            return Err("the process died before");
        }
        Ok(cut)
    }

    /// It happened; whether the process hears of it.
    fn happened(&mut self, cut: Option<Cut>) -> Result<(), &'static str> {
        match cut {
            None | Some(Cut::Before) => Ok(()),
            Some(Cut::Torn) => Err("it happened, and nobody was told"),
            Some(Cut::After) => {
                self.dead = true;
                Err("the process died after")
            }
        }
    }
}

fn io(problem: &'static str) -> SagaError {
    SagaError::Ledger(problem.into())
}

#[async_trait]
impl SagaWorld for PureWorld {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.lock().now_ms)
    }

    fn rules(&self) -> &RecoveryRules {
        &self.rules
    }

    async fn read(&self, _saga: SagaId, from: u64) -> Result<Vec<SagaEvent>, SagaError> {
        let inner = self.lock();
        if inner.dead {
            return Err(io("the process is dead"));
        }
        Ok(inner.events[usize::try_from(from).unwrap()..].to_vec())
    }

    async fn write(&self, length: u64, events: &[SagaEvent], _after: &SagaState) -> Result<(), SagaError> {
        let mut inner = self.lock();
        let cut = inner.point("write").map_err(io)?;
        if usize::try_from(length).unwrap() != inner.events.len() {
            return Err(SagaError::Fenced);
        }
        inner.events.extend_from_slice(events);
        inner.happened(cut).map_err(io)
    }

    fn knows(&self, _step: &SagaStep) -> bool {
        true
    }

    async fn undo(&self, order: UndoOrder<'_>) -> Result<UndoAnswer, RemedyError> {
        let failed = |problem: &str| RemedyError::Failed(problem.to_owned());
        let mut inner = self.lock();
        let step = &order.step.name;
        let cut = inner.point(("undo", step)).map_err(failed)?;
        if inner.trouble.fails_always.as_ref() == Some(step) {
            return Err(failed("it always fails"));
        }
        if inner.trouble.fails_once.take_if(|fails| fails == step).is_some() {
            return Err(failed("it fails once"));
        }
        // The same id counts once.
        inner.undone.entry(step.clone()).or_default().insert(order.id);
        let now = inner.now_ms;
        let asked = *inner.asked_at.entry(order.id).or_insert(now);
        inner.happened(cut).map_err(failed)?;
        let price = Amount::from_atomic(AssetId::micro_usd(), 1_000);
        Ok(match order.step.terms {
            StepTerms::Free { .. } => UndoAnswer::Over(Undone::Compensated { answer: "undone".to_owned() }),
            StepTerms::Paid { .. } if now < asked + REFUND_MS => {
                UndoAnswer::Awaiting { what: "a refund".to_owned(), at_risk: Some(price) }
            }
            StepTerms::Paid { .. } => UndoAnswer::Over(Undone::Refunded { amount: price.clone(), price }),
        })
    }

    async fn claim(&self, _step: &SagaStep, _claim: &WantedClaim) -> Result<bool, RemedyError> {
        self.lock().trouble.no_claims.clone().unwrap_or(Ok(true))
    }

    async fn at_risk(&self, _step: &SagaStep) -> Option<Amount> {
        Some(Amount::from_atomic(AssetId::micro_usd(), 1_000))
    }
}

/// Runs what never waits.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(gave) => gave,
        Poll::Pending => panic!("nothing in a pure world waits"),
    }
}
