//! Sagas: chains of paid and free steps that are either done, or taken back with every step accounted for.
//!
//! A step registers how it is taken back before it runs. Recovery goes forward first: the same session and name give the same
//! saga, and what was done is given from the journal. Where that does not happen, the steps are taken back, last first; what
//! cannot be taken back is parked with an owner, a date and the amount at risk.
//!
//! [`SagaState::apply`] and [`SagaState::next`] are pure and are the whole of the decision; [`SagaDriver`] does what they say
//! to a [`SagaWorld`], and the purse is one.

mod compensator;
mod drive;
mod error;
mod event;
mod handle;
mod id;
mod money;
mod next;
mod purchase;
mod recover;
mod report;
mod state;
mod steps;
mod world;

pub use compensator::{Compensator, Compensators};
pub use drive::SagaDriver;
pub use error::{SagaError, StepFailure};
pub use event::{OnFailure, SagaEvent, StepTerms, Undo, UndoResult, Undone, WantedClaim};
pub use handle::{Saga, SagaOptions};
pub use id::{CompensationId, ParseSagaIdError, SagaId};
pub use next::SagaNext;
pub use purchase::{Bought, Check, Purchase};
pub use recover::SagasRecovered;
pub use report::{SagaEnd, SagaReport, StepReport};
pub use state::{IllegalSagaEvent, SagaPhase, SagaState, SagaStep, StepRun, UndoState};
pub use steps::{Begun, Reconciled};
pub use world::{SagaWorld, UndoAnswer, UndoOrder};
