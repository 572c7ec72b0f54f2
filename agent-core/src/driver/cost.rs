//! What tries of the model cost: set aside before, settled after.

use super::Driver;
use crate::model::{ModelError, ModelTurn};
use crate::prices::Prices;
use crate::record::Record;
use crate::report::RunError;
use crate::run::OpenTry;
use bursar_types::{Amount, ModelCharge, ModelCost, ModelHold, Reason};

impl Driver<'_> {
    fn charge(&self, open: &OpenTry) -> ModelCharge {
        let (model, _) = self.agent.asked(open.cheaper);
        ModelCharge {
            run: self.run.id(),
            turn: open.turn,
            attempt: open.attempt,
            model: model.descriptor().name.clone(),
            most: open.most.clone(),
        }
    }

    /// Sets aside the most that a try may cost; why it may not be made, if it may not.
    pub(super) async fn set_aside(&self, open: Option<&OpenTry>) -> Result<Option<Vec<Reason>>, RunError> {
        let (Some(meter), Some(open)) = (&self.context.meter, open) else { return Ok(None) };
        Ok(match meter.hold(&self.charge(open)).await? {
            ModelHold::Held => None,
            ModelHold::Refused(decision) => Some(decision.reasons),
        })
    }

    /// Settles a try; what it cost, if it has a price.
    pub(super) async fn settle(
        &self,
        open: Option<&OpenTry>,
        cost: ModelCost,
    ) -> Result<Option<Amount>, RunError> {
        let Some(open) = open else { return Ok(None) };
        Ok(Some(match (&self.context.meter, cost) {
            (Some(meter), cost) => meter.settle(&self.charge(open), &cost).await?,
            (None, ModelCost::Known(cost)) => cost,
            (None, ModelCost::Nothing) => Amount::from_atomic(open.most.asset().clone(), 0),
            (None, ModelCost::Unknown) => open.most.clone(),
        }))
    }

    /// Settles a try of which nothing came, and records it.
    pub(super) async fn settle_lost(&mut self, open: &OpenTry) -> Result<(), RunError> {
        match self.settle(Some(open), ModelCost::Unknown).await? {
            Some(cost) => self.append(vec![Record::ModelCharged { turn: open.turn, cost }]).await,
            None => Ok(()),
        }
    }
}

/// What a turn cost, as far as its provider tells.
pub(super) fn told(prices: Option<&Prices>, replied: &Result<ModelTurn, ModelError>) -> ModelCost {
    match replied {
        Ok(turn) => {
            prices.and_then(|prices| prices.cost(&turn.usage)).map_or(ModelCost::Unknown, ModelCost::Known)
        }
        // The provider did no work for a request that it turned away. Anything else may have been worked on.
        Err(error) if error.was_turned_away() => ModelCost::Nothing,
        Err(_) => ModelCost::Unknown,
    }
}
