//! `pay {url, max_micro_usd, …}`: price, plan and purchase in one call, for callers that are no agents.

use async_trait::async_trait;
use bursar::agent::{IntoToolOutput as _, Tool, ToolContext, ToolError, ToolOutput, Waits};
use bursar::memory::clean_line;
use bursar::tools::{FetchAny, FetchAnyArgs, FetchAnyResult, ReasonView};
use bursar::types::{
    Ceiling, Effect, FetchError, Fetched, HttpRequest, PlanItem, PlanOutcome, PlanProposal, Provenance,
    Quote, Untrusted,
};
use bursar::{Caller, PurchaseKey, Purse, Session};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Longest purpose, in characters.
const PURPOSE_CHARS_MAX: usize = 500;

/// Buys one thing under a ceiling.
#[derive(Debug)]
pub(super) struct Pay {
    session: Arc<Session>,
    may_plan: bool,
    fetch: FetchAny,
}

/// Arguments of `pay`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PayArgs {
    /// What to buy.
    #[serde(default)]
    pub(crate) url: Option<String>,
    /// The seller's host instead, with `path`.
    #[serde(default)]
    pub(crate) merchant: Option<String>,
    /// The path at the merchant.
    #[serde(default)]
    pub(crate) path: Option<String>,
    /// GET if left out.
    #[serde(default)]
    pub(crate) method: Option<String>,
    /// What is sent with it.
    #[serde(default)]
    pub(crate) body: Option<String>,
    /// The body's media type.
    #[serde(default)]
    pub(crate) content_type: Option<String>,
    /// The most it may cost, in millionths of a US dollar.
    pub(crate) max_micro_usd: u64,
    /// What it is for: whoever is asked reads it.
    pub(crate) purpose: String,
    /// Names the purchase.
    pub(crate) key: String,
    /// From which character on the text is given.
    #[serde(default)]
    pub(crate) text_from: Option<u64>,
}

impl PayArgs {
    /// As a fetch.
    ///
    /// # Errors
    /// The reason, where it says neither or both of URL and merchant.
    pub(crate) fn fetch(&self) -> Result<FetchAnyArgs, ReasonView> {
        let refused =
            |problem: &str| Err(ReasonView::new("REQUEST_REFUSED", problem, "correct it and call again"));
        let url = match (&self.url, &self.merchant, &self.path) {
            (Some(url), None, None) => url.clone(),
            (None, Some(merchant), path) => {
                if merchant.contains(['/', '?', '#', '@', '\\']) {
                    return refused("`merchant` is a host such as api.example.com, and nothing else");
                }
                let path = path.as_deref().unwrap_or("/");
                if !path.starts_with('/') {
                    return refused("`path` begins with a slash");
                }
                format!("https://{merchant}{path}")
            }
            _ => return refused("give either `url`, or `merchant` with `path`"),
        };
        Ok(FetchAnyArgs {
            url,
            method: self.method.clone(),
            body: self.body.clone(),
            content_type: self.content_type.clone(),
            key: Some(self.key.clone()),
            max_micro_usd: Some(self.max_micro_usd),
            text_from: self.text_from,
        })
    }
}

/// What came of a try to buy.
#[expect(clippy::large_enum_variant, reason = "it is returned once and matched at once")]
enum Tried {
    Ended(Result<Fetched, FetchError>),
    Told(Box<FetchAnyResult>),
}

impl Pay {
    pub(super) fn new(session: Arc<Session>, caller: &Caller, fetch: FetchAny) -> Self {
        Self { session, may_plan: caller.may_plan(), fetch }
    }

    async fn paid(&self, context: &ToolContext, args: &PayArgs) -> Result<FetchAnyResult, ToolError> {
        let shown = clean_line(args.url.as_deref().unwrap_or_default(), 300);
        let purchase = args.fetch().and_then(|fetch| Ok((fetch.purchase()?, fetch)));
        let ((request, key), fetch) = match purchase {
            Ok(purchase) => purchase,
            Err(reason) => return Ok(FetchAnyResult::no("refused", &shown, vec![reason])),
        };
        let url = request.uri().to_string();
        let purpose = clean_line(&args.purpose, PURPOSE_CHARS_MAX);
        if purpose.is_empty() || args.purpose.chars().count() > PURPOSE_CHARS_MAX {
            let problem = format!("`purpose` is empty, or longer than {PURPOSE_CHARS_MAX} characters");
            let reason = ReasonView::new("REQUEST_REFUSED", problem, "say in short what the purchase is for");
            return Ok(FetchAnyResult::no("refused", &url, vec![reason]));
        }
        let named = self.session.payment_of(&request, &key).ok().map(|payment| payment.to_string());
        let told = match self.tried(context.purse()?, request, key, &url, &purpose).await {
            Tried::Ended(fetched) => self.fetch.told(&url, fetch.text_from.unwrap_or(0), fetched),
            Tried::Told(told) => *told,
        };
        Ok(settled(told, named.as_deref()))
    }

    /// Buys it; where nothing covers it, proposes to buy it as it was quoted, and buys it under that plan.
    async fn tried(
        &self,
        purse: &Purse,
        request: HttpRequest,
        key: PurchaseKey,
        url: &str,
        purpose: &str,
    ) -> Tried {
        let fetched = purse.fetch(request.clone(), key.clone()).await;
        let Ok(Fetched::Quotes { quotes, reasons }) = fetched else { return Tried::Ended(fetched) };
        let within = |quote: &&Quote| {
            let cost = quote.cost_micro_usd.as_ref();
            quote.blocked.is_none() && Ceiling::of(&request).is_some_and(|ceiling| ceiling.allows(cost))
        };
        let Some(quote) = quotes.iter().find(within).cloned() else {
            return Tried::Ended(Ok(Fetched::Quotes { quotes, reasons }));
        };
        if !self.may_plan {
            let message = "this caller may not propose plans, and its mandate does not list this purchase; nothing was paid";
            let reason =
                ReasonView::new("PLANS_NOT_ALLOWED", message, "ask the operator, or go on without it");
            return Tried::Told(Box::new(FetchAnyResult::no("refused", url, vec![reason])));
        }
        let purpose = Untrusted::new(purpose.to_owned(), Provenance::Model);
        let item = PlanItem { quote: quote.id, count: 1, purpose: purpose.clone() };
        let proposal = PlanProposal::new(purpose, vec![item]);
        let outcome = match purse.proposed(proposal.clone()).await {
            Ok(Some(outcome)) => Ok(outcome),
            Ok(None) => purse.propose(proposal).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(PlanOutcome::Approved { .. }) => Tried::Ended(purse.fetch(request, key).await),
            Ok(PlanOutcome::AwaitingApproval { ticket, .. }) => {
                let waits = Waits { approval: ticket.id, until: ticket.expires_at };
                let told = self.fetch.told(url, 0, Ok(Fetched::AwaitingApproval(ticket)));
                Tried::Told(Box::new(told.asking(waits)))
            }
            Ok(PlanOutcome::Refused { decision, .. }) => {
                let reasons = ReasonView::of_decision(&decision);
                Tried::Told(Box::new(FetchAnyResult::no("refused", url, reasons)))
            }
            Err(error) => Tried::Ended(Err(error)),
        }
    }
}

/// The answer about the payment of a key: the same however often it is asked. What nothing can be bought from is a refusal.
fn settled(mut told: FetchAnyResult, named: Option<&str>) -> FetchAnyResult {
    let own = told.payment.as_ref().is_some_and(|payment| Some(payment.id.as_str()) == named);
    match told.outcome.as_str() {
        "owned" if own => {
            told.paid = told.payment.as_ref().map(|payment| payment.amount.clone());
            "delivered".clone_into(&mut told.outcome);
        }
        "quotes" => "refused".clone_into(&mut told.outcome),
        _ => {}
    }
    told
}

#[async_trait]
impl Tool for Pay {
    type Args = PayArgs;
    type Output = ToolOutput;

    fn name(&self) -> &str {
        super::PAY
    }

    fn description(&self) -> &str {
        "Buys one thing, if it costs no more than `max_micro_usd` and the rules allow it."
    }

    fn effect(&self) -> Effect {
        Effect::Spend
    }

    async fn call(&self, context: &ToolContext, args: PayArgs) -> Result<ToolOutput, ToolError> {
        let result = self.paid(context, &args).await?;
        let waits = result.waits();
        let output = result.into_tool_output()?;
        Ok(match waits {
            Some(Waits { approval, until }) => output.waiting(approval, until),
            None => output,
        })
    }
}
