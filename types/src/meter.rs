//! What a model costs, counted on the budgets that purchases count on.

use crate::amount::Amount;
use crate::decision::Decision;
use crate::id::RunId;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// One try of one turn of a model that is about to be made. Run, turn and try name it: there is one of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelCharge {
    /// The run.
    pub run: RunId,
    /// The turn, from 0.
    pub turn: u32,
    /// The try, from 0.
    pub attempt: u32,
    /// The model's name.
    pub model: String,
    /// The most it may cost, in micro-USD.
    pub most: Amount,
}

/// Whether a try may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum ModelHold {
    /// Its most is set aside in every budget that it touches.
    Held,
    /// It may not: nothing was set aside.
    Refused(Decision),
}

/// What a try cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelCost {
    /// This much, in micro-USD: the provider said how many tokens it took.
    Known(Amount),
    /// Nothing: the provider turned the request away before any work.
    Nothing,
    /// Nobody can say, so all that was set aside counts as spent. Unknown is never zero.
    Unknown,
}

/// The meter failed. What was set aside stays so until it is settled.
#[derive(Debug, Error)]
#[error("what the model costs cannot be counted")]
pub struct MeterError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Counts what a model costs on the budgets that purchases count on.
///
/// # What implementers guarantee
/// What is held stays held until it is settled, across crashes: it never runs out by itself. Both calls are durable before they
/// answer. What a try cost beyond its hold is booked all the same.
#[async_trait]
pub trait ModelMeter: Send + Sync + fmt::Debug {
    /// Sets the most that a try may cost aside, before the try.
    ///
    /// # Errors
    /// [`MeterError`]: it may or may not be held; the try must not be made, and `settle` tells.
    ///
    /// # Idempotency
    /// A charge that is held already is held once.
    async fn hold(&self, charge: &ModelCharge) -> Result<ModelHold, MeterError>;

    /// Books what a try cost and gives the rest back. Answers what was booked: nothing, if nothing was ever held.
    ///
    /// # Errors
    /// [`MeterError`]: settle it again.
    ///
    /// # Idempotency
    /// What was settled before stands, whatever is said now, and is the answer.
    async fn settle(&self, charge: &ModelCharge, cost: &ModelCost) -> Result<Amount, MeterError>;
}

const _: Option<&dyn ModelMeter> = None;
