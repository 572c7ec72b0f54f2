//! `propose_plan {purpose, items}`: what to buy, for approval.

use crate::show::{ReasonView, integer, reasons, refused, unpaid_line};
use async_trait::async_trait;
use bursar_agent_core::{IntoToolOutput as _, Reconciled, Tool, ToolContext, ToolError, ToolOutput, Waits};
use bursar_memory::clean_line;
use bursar_types::{
    AssetRegistry, Effect, Phase, PlanItem, PlanOutcome, PlanProposal, PlanView, Provenance, QuoteId,
    Untrusted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const ITEMS_MAX: usize = 32;
const COUNT_MAX: u32 = 1_000;
const PURPOSE_CHARS_MAX: usize = 500;

/// Proposes purchases by stored quotes. Payee, price and network come from the quotes, never from the model.
#[derive(Debug, Clone)]
pub struct ProposePlan {
    assets: AssetRegistry,
}

impl ProposePlan {
    /// Shows amounts by this registry.
    #[must_use]
    pub const fn new(assets: AssetRegistry) -> Self {
        Self { assets }
    }
}

/// Arguments of `propose_plan`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanArgs {
    /// Why: the question that the purchases help to answer.
    pub purpose: String,
    /// What to buy.
    pub items: Vec<PlanItemArgs>,
}

/// One purchase of a plan.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanItemArgs {
    /// From get_quotes.
    pub quote_id: String,
    /// How many times to buy it; nearly always 1.
    #[serde(default = "one")]
    pub count: u32,
    /// What it is for.
    #[serde(default)]
    pub purpose: String,
}

const fn one() -> u32 {
    1
}

/// What `propose_plan` gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanResult {
    /// `approved`, `awaiting_approval` or `refused`.
    pub outcome: String,
    /// The plan, if one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<String>,
    /// Most that the whole plan may cost, in millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_micro_usd: Option<u64>,
    /// The same as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<String>,
    /// Who approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// Why, and what can be done now.
    pub reasons: Vec<ReasonView>,
}

#[async_trait]
impl Tool for ProposePlan {
    type Args = PlanArgs;
    type Output = ToolOutput;

    fn name(&self) -> &str {
        "propose_plan"
    }

    fn description(&self) -> &str {
        "Proposes what to buy, by quote ids from get_quotes, and asks for approval. Nothing is paid by this. Once it is \
         `approved`, fetch buys the items; if it is `refused`, act on the `next_step` of the reasons: fewer or cheaper items, \
         or go on without."
    }

    fn effect(&self) -> Effect {
        Effect::Write
    }

    async fn call(&self, context: &ToolContext, args: PlanArgs) -> Result<ToolOutput, ToolError> {
        let proposal = proposal(args)?;
        let purse = context.purse()?;
        let failed = |error| ToolError::not_executed(unpaid_line(&error));
        // A call that waited for an answer, or was cut off, is made again: its plan may be approved by now.
        let outcome = match purse.proposed(proposal.clone()).await.map_err(failed)? {
            Some(outcome) => outcome,
            None => purse.propose(proposal).await.map_err(failed)?,
        };
        self.shown(outcome)
    }

    /// A plan of these quotes that was approved and not bought from is the one. Else, in `Explore` no plan of the session was ever
    /// approved, so this one may be proposed anew; a question that waits is taken up by that. After that a plan of these quotes may
    /// stand that another run has bought from. A plan pays nothing, so a worker that was overtaken while its person still thought
    /// does no harm: what is bought is named by its document.
    async fn reconcile(&self, context: &ToolContext, args: PlanArgs) -> Reconciled {
        let (Ok(purse), Ok(proposal)) = (context.purse(), proposal(args)) else { return Reconciled::Unknown };
        match purse.proposed(proposal).await {
            Ok(Some(outcome @ PlanOutcome::Approved { .. })) => {
                self.shown(outcome).map_or(Reconciled::Unknown, Reconciled::Done)
            }
            Ok(Some(PlanOutcome::AwaitingApproval { .. })) => Reconciled::NotDone,
            Ok(Some(PlanOutcome::Refused { .. }) | None) | Err(_) => match purse.standing().await {
                Ok(standing) if standing.phase == Phase::Explore => Reconciled::NotDone,
                _ => Reconciled::Unknown,
            },
        }
    }
}

impl ProposePlan {
    /// What the model is told of an outcome.
    fn shown(&self, outcome: PlanOutcome) -> Result<ToolOutput, ToolError> {
        let mut waits = None;
        let (outcome, plan, approved_by, reasons) = match outcome {
            PlanOutcome::Approved { plan, approved_by, decision } => {
                ("approved", Some(plan), Some(clean_line(&approved_by, 200)), reasons(&decision.reasons))
            }
            PlanOutcome::AwaitingApproval { plan, ticket } => {
                waits = Some(Waits { approval: ticket.id, until: ticket.expires_at });
                ("awaiting_approval", Some(plan), None, refused(&ticket.decision))
            }
            PlanOutcome::Refused { plan, decision } => ("refused", plan, None, refused(&decision)),
        };
        let total = plan.as_ref().map(|plan: &PlanView| &plan.total);
        let result = PlanResult {
            outcome: outcome.to_owned(),
            plan_id: plan.as_ref().map(|plan| plan.id.to_string()),
            total_micro_usd: total.and_then(integer),
            total: total.map(|total| self.assets.display(total)),
            approved_by,
            reasons,
        };
        let output = result.into_tool_output()?;
        Ok(match waits {
            Some(Waits { approval, until }) => output.waiting(approval, until),
            None => output,
        })
    }
}

/// The typed check between what a model wrote and a plan.
fn proposal(args: PlanArgs) -> Result<PlanProposal, ToolError> {
    let refuse = |problem: String| Err(ToolError::not_executed(problem));
    if args.items.is_empty() || args.items.len() > ITEMS_MAX {
        return refuse(format!("`items` holds {} items; give 1 to {ITEMS_MAX}", args.items.len()));
    }
    let mut items: Vec<PlanItem> = Vec::with_capacity(args.items.len());
    for item in args.items {
        let Ok(quote) = QuoteId::parse(&item.quote_id) else {
            let shown = clean_line(&item.quote_id, 60);
            return refuse(format!(
                "`{shown}` is not a quote id; copy one as it was given with the price, such as `quo_…`"
            ));
        };
        if !(1..=COUNT_MAX).contains(&item.count) {
            return refuse(format!("count {} of {quote} is not between 1 and {COUNT_MAX}", item.count));
        }
        if items.iter().any(|other| other.quote == quote) {
            return refuse(format!("{quote} is listed twice; list it once, with a count"));
        }
        items.push(PlanItem { quote, count: item.count, purpose: written(&item.purpose) });
    }
    if args.purpose.trim().is_empty() {
        return refuse("`purpose` is empty; say which question the purchases help to answer".to_owned());
    }
    Ok(PlanProposal::new(written(&args.purpose), items))
}

fn written(text: &str) -> Untrusted<String> {
    Untrusted::new(clean_line(text, PURPOSE_CHARS_MAX), Provenance::Model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{DOC, Verdicts, World, assets, call, standing};
    use bursar_types::Standing;
    use serde_json::{Value, json};

    fn tool() -> ProposePlan {
        ProposePlan::new(assets())
    }

    fn plan(quote: &str) -> Value {
        json!({"purpose": "who pays the gas", "items": [{"quote_id": quote, "count": 1, "purpose": "read it"}]})
    }

    #[tokio::test]
    async fn a_plan_is_approved_asked_about_or_refused() {
        for (name, verdict) in [
            ("approved", Verdicts::Approve),
            ("awaiting", Verdicts::Ask),
            ("refused", Verdicts::Refuse),
            ("refused_without_a_plan", Verdicts::RefuseUnmade),
        ] {
            let world = World::new().await;
            let quote = world.buyer.sells(DOC, 14_000);
            world.buyer.judges(verdict);
            let result = call(tool(), &world, plan(&quote.to_string())).await;
            insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(name, result.unwrap()); });
        }
    }

    #[tokio::test]
    async fn a_proposal_without_a_result_is_made_again_only_where_no_plan_was_ever_approved() {
        let world = World::new().await;
        let args =
            || serde_json::from_value::<PlanArgs>(plan(&QuoteId::derived(&[b"q"]).to_string())).unwrap();
        for (phase, expected) in [
            (Phase::Explore, Reconciled::NotDone),
            (Phase::Acquire, Reconciled::Unknown),
            (Phase::Produce, Reconciled::Unknown),
        ] {
            world.buyer.stand(Standing { phase, ..standing(&[]) });
            assert_eq!(tool().reconcile(&world.context(), args()).await, expected, "{phase}");
        }
        assert_eq!(world.buyer.proposed(), 0, "looking proposes nothing");
    }

    #[tokio::test]
    async fn what_a_model_writes_is_checked_before_it_becomes_a_plan() {
        let world = World::new().await;
        let quote = world.buyer.sells(DOC, 14_000).to_string();
        let item = json!({"quote_id": quote, "count": 1, "purpose": "p"});
        for (args, said) in [
            (json!({"purpose": "p", "items": []}), "0 items"),
            (json!({"purpose": "p", "items": vec![&item; 33]}), "33 items"),
            (json!({"purpose": "p", "items": [&item, &item]}), "listed twice"),
            (json!({"purpose": " ", "items": [&item]}), "`purpose` is empty"),
            (
                json!({"purpose": "p", "items": [{"quote_id": "quo_1\u{1b}", "count": 1, "purpose": "p"}]}),
                "`quo_1` is not a quote id",
            ),
            (json!({"purpose": "p", "items": [{"quote_id": quote, "count": 0, "purpose": "p"}]}), "count 0"),
            (
                json!({"purpose": "p", "items": [{"quote_id": quote, "count": 1001, "purpose": "p"}]}),
                "count 1001",
            ),
            (json!({"purpose": "p", "items": [{"quote_id": quote, "price": "0"}]}), "unknown field `price`"),
        ] {
            let error = call(tool(), &world, args).await.unwrap_err();
            assert!(error.message().contains(said), "{error}");
        }
        assert_eq!(world.buyer.proposed(), 0);
    }

    #[tokio::test]
    async fn what_a_model_wrote_is_labelled_and_bounded() {
        let args: PlanArgs = serde_json::from_value(json!({
            "purpose": "x".repeat(1 << 20),
            "items": [{"quote_id": QuoteId::derived(&[b"q"]), "purpose": "a\u{202e}b\n"}]
        }))
        .unwrap();
        let proposal = proposal(args).unwrap();
        assert_eq!(proposal.purpose.provenance(), &Provenance::Model);
        assert!(proposal.purpose.as_received().chars().count() <= PURPOSE_CHARS_MAX + 1);
        assert_eq!((proposal.items[0].purpose.as_received().as_str(), proposal.items[0].count), ("ab", 1));
    }
}
