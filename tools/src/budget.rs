//! `budget {}`: what is left, and what may still be bought.

use crate::show::{integer, unpaid_line};
use async_trait::async_trait;
use bursar_agent_core::{Tool, ToolContext, ToolError};
use bursar_types::{Amount, AssetId, AssetRegistry, BudgetStanding, Effect};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tells what is left to spend. Reads only.
#[derive(Debug, Clone)]
pub struct Budget {
    assets: AssetRegistry,
}

impl Budget {
    /// Shows amounts by this registry.
    #[must_use]
    pub const fn new(assets: AssetRegistry) -> Self {
        Self { assets }
    }
}

/// No arguments.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoArgs {}

/// What `budget` gives: the budget with least left of those that every purchase of the session counts against.
///
/// A number is null where it is not known or too large for JSON; the text beside it is always exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BudgetResult {
    /// `explore`, `acquire` or `produce`.
    pub phase: String,
    /// What is left, in millionths of a US dollar.
    pub left_micro_usd: Option<u64>,
    /// The cap.
    pub limit_micro_usd: Option<u64>,
    /// What was spent.
    pub spent_micro_usd: Option<u64>,
    /// What is held for purchases under way.
    pub held_micro_usd: Option<u64>,
    /// What is left, as text.
    pub left: Option<String>,
    /// The cap, as text.
    pub limit: Option<String>,
    /// What was spent, as text.
    pub spent: Option<String>,
    /// What is held, as text.
    pub held: Option<String>,
    /// The highest gate that any budget has reached: `none`, `notified`, `tightened` (decide with what there is) or
    /// `stopped` (nothing more can be bought).
    pub gate: String,
    /// Items of approved plans that can still be bought.
    pub open_items: Vec<OpenItemView>,
}

/// An item of an approved plan that can still be bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenItemView {
    /// The plan.
    pub plan_id: String,
    /// The URL, or a pattern.
    pub resource: String,
    /// How many are left.
    pub left: u64,
}

#[async_trait]
impl Tool for Budget {
    type Args = NoArgs;
    type Output = BudgetResult;

    fn name(&self) -> &str {
        "budget"
    }

    fn description(&self) -> &str {
        "Tells what is left to spend, what is spent and held, and which items of approved plans can still be fetched. \
         1000000 micro-USD are 1 USD."
    }

    fn effect(&self) -> Effect {
        Effect::Read
    }

    async fn call(&self, context: &ToolContext, _: NoArgs) -> Result<BudgetResult, ToolError> {
        let standing = context.purse()?.standing().await;
        let standing = standing.map_err(|error| ToolError::not_executed(unpaid_line(&error)))?;
        let in_usd = |budget: &&BudgetStanding| *budget.limit.asset() == AssetId::micro_usd();
        let tightest = standing.budgets.iter().filter(in_usd).min_by_key(|budget| budget.left.atomic());
        let number = |part: fn(&BudgetStanding) -> &Amount| tightest.and_then(|budget| integer(part(budget)));
        let text =
            |part: fn(&BudgetStanding) -> &Amount| tightest.map(|budget| self.assets.display(part(budget)));
        let open_items = standing.open_items.iter().map(|item| OpenItemView {
            plan_id: item.plan.to_string(),
            resource: item.resource.clone(),
            left: item.left,
        });
        Ok(BudgetResult {
            phase: standing.phase.to_string(),
            gate: standing.gate().to_string(),
            left_micro_usd: number(|budget| &budget.left),
            limit_micro_usd: number(|budget| &budget.limit),
            spent_micro_usd: number(|budget| &budget.spent),
            held_micro_usd: number(|budget| &budget.held),
            left: text(|budget| &budget.left),
            limit: text(|budget| &budget.limit),
            spent: text(|budget| &budget.spent),
            held: text(|budget| &budget.held),
            open_items: open_items.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{World, assets, call, standing};
    use serde_json::json;

    #[tokio::test]
    async fn the_tightest_budget_is_told() {
        let world = World::new().await;
        world.buyer.stand(standing(&[("session", 500_000, 36_000), ("user in a day", 5_000_000, 4_800_000)]));
        let result = call(Budget::new(assets()), &world, json!({})).await;
        insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(result.unwrap()); });
    }

    #[tokio::test]
    async fn an_unknown_number_is_null_and_never_zero() {
        let world = World::new().await;
        world.buyer.stand(standing(&[]));
        let result = call(Budget::new(assets()), &world, json!({})).await.unwrap();
        assert_eq!(result["left_micro_usd"], json!(null));
        world.buyer.stand(standing(&[("session", u128::MAX, 0)]));
        let result = call(Budget::new(assets()), &world, json!({})).await.unwrap();
        assert_eq!(result["limit_micro_usd"], json!(null));
        assert!(result["limit"].as_str().unwrap().ends_with(" USD"));
    }
}
