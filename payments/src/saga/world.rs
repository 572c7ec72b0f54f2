//! What a saga does to the world, as a trait: the purse does it with money, and tests do it thousands of times without.

use super::error::SagaError;
use super::event::{SagaEvent, Undone, WantedClaim};
use super::id::{CompensationId, SagaId};
use super::state::{SagaState, SagaStep};
use crate::rail::RemedyError;
use crate::recovery::RecoveryRules;
use async_trait::async_trait;
use bursar_types::{Amount, Timestamp};

/// What is to be taken back.
#[derive(Debug, Clone, Copy)]
pub struct UndoOrder<'a> {
    /// Its name: whoever takes back does the same id once, however often it is asked.
    pub id: CompensationId,
    /// The saga.
    pub saga: SagaId,
    /// The step.
    pub step: &'a SagaStep,
    /// Why the saga failed.
    pub reason: &'a str,
}

/// What taking back gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndoAnswer {
    /// It is over.
    Over(Undone),
    /// Everything was asked for; the answer is awaited. The same order is given again in the next pass, to look.
    Awaiting {
        /// What is awaited, in words.
        what: String,
        /// How much money may not come.
        at_risk: Option<Amount>,
    },
    /// A person owns it already.
    Parked {
        /// What is open.
        problem: String,
        /// Who.
        owner: String,
        /// By when.
        due: Timestamp,
        /// How much money may be lost.
        at_risk: Option<Amount>,
    },
}

/// Everything a saga does to the world.
///
/// # What implementers guarantee
/// `write` is all or nothing, and durable before it answers. `undo` does the same order once, however often it is given, and
/// bears that the step was never done.
#[async_trait]
pub trait SagaWorld: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// How patiently it is tried.
    fn rules(&self) -> &RecoveryRules;

    /// A saga's events from a position.
    ///
    /// # Errors
    /// [`SagaError::Ledger`].
    async fn read(&self, saga: SagaId, from: u64) -> Result<Vec<SagaEvent>, SagaError>;

    /// Appends events that lead to `after`, if the saga has exactly `length` of them now.
    ///
    /// # Errors
    /// [`SagaError::Fenced`] if it has another length; [`SagaError::Ledger`] if it may or may not have been written.
    async fn write(&self, length: u64, events: &[SagaEvent], after: &SagaState) -> Result<(), SagaError>;

    /// Whether this process can take the step back.
    fn knows(&self, step: &SagaStep) -> bool;

    /// Takes a step back, or looks how far that is.
    ///
    /// # Errors
    /// [`RemedyError`].
    async fn undo(&self, order: UndoOrder<'_>) -> Result<UndoAnswer, RemedyError>;

    /// Asks back what a step wants back. Whether that is recorded: if not, it is asked again later.
    ///
    /// # Errors
    /// [`RemedyError`]; it is asked again later.
    async fn claim(&self, step: &SagaStep, claim: &WantedClaim) -> Result<bool, RemedyError>;

    /// How much money a step has at risk; `None` if that is no money, or is not known.
    async fn at_risk(&self, step: &SagaStep) -> Option<Amount>;
}
