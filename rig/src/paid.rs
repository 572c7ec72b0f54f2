//! A call that asks for payment.

use bursar_agent_core::{ToolContext, ToolError, ToolOutput as OurOutput};
use bursar_types::{
    Digest, Effect, FetchError, Fetched, HttpRequest, PlanItem, PlanOutcome, PlanProposal, Provenance,
    PurchaseKey, Purse, Quote, Reason, TransportError, Untrusted, visible,
};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use rig_core::effect::Outcome;
use rig_core::error::ErrorReport;
use rig_core::tool::{ToolErrorKind, ToolExecutionError, ToolOutput, ToolResult};
use serde_json::{Value, json};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::Mutex;

/// Longest sentence that is told of what others wrote, in characters.
const MESSAGE_CHARS_MAX: usize = 400;
/// Most prices that are told.
const QUOTES_MAX: usize = 10;

/// A seller asked for payment: what a tool of rig's raises when a request that it made was answered with status 402.
///
/// Around a governed agent the request is made again by the purse, which asks the price itself and pays it under the rules, once; the
/// tool's result is then what was bought. Nothing of what the seller said is needed for that, and none of it is trusted.
///
/// # Idempotency
/// Of one session, the same request of the same tool is one purchase for ever: repeated, at the same time, and after a crash.
///
/// # Example
/// ```
/// use bursar_rig::PaymentRequired;
/// use rig_core::tool::ToolExecutionError;
///
/// # fn example(request: http::Request<bytes::Bytes>, answer: &http::Response<bytes::Bytes>) -> Result<(), ToolExecutionError> {
/// if answer.status() == http::StatusCode::PAYMENT_REQUIRED {
///     return Err(PaymentRequired::new(request).into());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Error)]
#[error("{} {} asks for payment", .request.method(), .request.uri())]
pub struct PaymentRequired {
    request: HttpRequest,
}

impl PaymentRequired {
    /// Names the request that was answered with 402, as the tool made it.
    #[must_use]
    pub const fn new(request: HttpRequest) -> Self {
        Self { request }
    }

    /// The request.
    #[must_use]
    pub const fn request(&self) -> &HttpRequest {
        &self.request
    }

    fn in_chain(error: &ToolExecutionError) -> Option<&Self> {
        let mut cause = error.source();
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }
}

impl From<PaymentRequired> for ToolExecutionError {
    fn from(required: PaymentRequired) -> Self {
        Self::new(ToolErrorKind::Other, "the seller asks for payment, and nobody here pays")
            .with_code("payment_required")
            .with_http_status(402)
            .with_retryable(false)
            .with_source(required)
    }
}

type RequestOf = dyn Fn(&Value) -> Option<HttpRequest> + Send + Sync;

/// How calls of one tool are paid.
#[derive(Clone)]
pub(crate) struct Payer {
    /// The request that a call makes, for tools that cannot name it themselves.
    pub(crate) request_of: Option<Arc<RequestOf>>,
    /// Whether a plan is proposed for what no plan covers.
    pub(crate) proposes: bool,
    /// One purchase at a time, so that two of the same need one plan.
    pub(crate) turn: Arc<Mutex<()>>,
}

impl fmt::Debug for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payer").field("proposes", &self.proposes).finish_non_exhaustive()
    }
}

/// What a tool's answer asks for.
pub(crate) enum Paying {
    /// Nothing.
    Nothing,
    /// Payment, and it may not be made.
    Refused(ToolResult),
    /// Payment for this.
    For(Box<HttpRequest>),
}

/// What came of a payment: for rig, and for the journal.
pub(crate) struct Paid {
    pub(crate) result: ToolResult,
    pub(crate) recorded: Result<OurOutput, ToolError>,
}

impl Payer {
    /// What is paid for is named by the tool's own code or by the developer's, from the call's arguments; never by what came back.
    pub(crate) fn asked(
        &self,
        effect: Effect,
        arguments: &Value,
        answered: &Result<Outcome, ErrorReport>,
    ) -> Paying {
        let Ok(Outcome::ToolResult { result }) = answered else { return Paying::Nothing };
        let named = result.error().and_then(PaymentRequired::in_chain).map(PaymentRequired::request);
        let request = match (named, &self.request_of) {
            (Some(request), _) => Some(request.clone()),
            (None, Some(request_of)) if asks(result) => request_of(arguments),
            (None, _) => None,
        };
        match (request, effect) {
            (None, _) => Paying::Nothing,
            (Some(request), Effect::Spend) => Paying::For(Box::new(request)),
            (Some(_), Effect::Read | Effect::Write) => {
                let reason = Reason::new(
                    "NOT_A_SPENDER",
                    "the tool asks for payment and was declared as one that does not spend; nothing was paid",
                    "go on without it, and say so in the answer",
                );
                Paying::Refused(told("refused", &[reason], &[]))
            }
        }
    }

    /// Pays under the rules, at most once.
    pub(crate) async fn pay(&self, context: &ToolContext, tool: &str, request: HttpRequest) -> Paid {
        let purse = match context.purse() {
            Ok(purse) => purse,
            Err(error) => return no(&error.to_string()),
        };
        let Ok(key) = key_of(tool, &request) else { return no("the purchase cannot be named") };
        let _turn = self.turn.lock().await;
        let fetched = match purse.fetch(request.clone(), key.clone()).await {
            Ok(Fetched::Quotes { quotes, reasons }) if self.proposes => {
                match self.propose(purse, tool, &quotes).await {
                    Ok(()) => purse.fetch(request, key).await,
                    Err(None) => Ok(Fetched::Quotes { quotes, reasons }),
                    Err(Some(paid)) => return *paid,
                }
            }
            fetched => fetched,
        };
        match fetched {
            Ok(fetched) => outcome(fetched),
            // It may have arrived, and done whatever it does.
            Err(
                error @ FetchError::Transport(
                    TransportError::NoAnswer { .. }
                    | TransportError::HeadTooLong { .. }
                    | TransportError::Body { .. },
                ),
            ) => said("unknown", &error.reasons(), &[], ToolError::unknown),
            Err(error) => said("refused", &error.reasons(), &[], ToolError::not_executed),
        }
    }

    /// Has a plan of the cheapest price approved, by the rules or by whoever they ask. `Err(None)` if none can be paid.
    async fn propose(&self, purse: &Purse, tool: &str, quotes: &[Quote]) -> Result<(), Option<Box<Paid>>> {
        let quote = quotes.iter().find(|quote| quote.blocked.is_none()).ok_or(None)?;
        let says = |text: String| Untrusted::new(text, Provenance::Tool { tool: tool.to_owned() });
        let item =
            PlanItem { quote: quote.id, count: 1, purpose: says(format!("`{tool}` was asked for it")) };
        let proposal = PlanProposal::new(says(format!("a call of `{tool}` asks for payment")), vec![item]);
        let known = purse.proposed(proposal.clone()).await;
        let outcome = match known {
            Ok(Some(outcome)) => Ok(outcome),
            Ok(None) => purse.propose(proposal).await,
            Err(error) => Err(error),
        };
        let refused = |what: &str, reasons: &[Reason]| {
            Err(Some(Box::new(said(what, reasons, &[], ToolError::not_executed))))
        };
        match outcome {
            Ok(PlanOutcome::Approved { .. }) => Ok(()),
            Ok(PlanOutcome::AwaitingApproval { ticket, .. }) => {
                refused("awaiting_approval", &awaiting(&ticket.summary))
            }
            Ok(PlanOutcome::Refused { decision, .. }) => refused("refused", &decision.reasons),
            Err(error) => refused("refused", &error.reasons()),
        }
    }
}

/// The name of the purchase: the tool, and the request as the purse identifies it.
fn key_of(tool: &str, request: &HttpRequest) -> Result<PurchaseKey, bursar_types::PurchaseKeyError> {
    let (method, url) = (request.method().as_str(), request.uri().to_string());
    let parts: [&[u8]; 4] = [tool.as_bytes(), method.as_bytes(), url.as_bytes(), request.body()];
    PurchaseKey::new(format!("rig/{}", Digest::of_parts("bursar/rig/purchase", &parts)))
}

/// Whether an answer is a demand for payment, by its status, its code or the form of an x402 offer.
fn asks(result: &ToolResult) -> bool {
    if let Some(error) = result.error() {
        return error.http_status() == Some(402) || error.code() == Some("payment_required");
    }
    let parsed = match (result.output().as_json(), result.output().as_text()) {
        (Some(value), _) => Some(value.clone()),
        (None, Some(text)) => serde_json::from_str(text).ok(),
        (None, None) => None,
    };
    parsed.is_some_and(|offer: Value| {
        offer.get("x402Version").is_some()
            && offer.get("accepts").and_then(Value::as_array).is_some_and(|accepts| !accepts.is_empty())
    })
}

fn outcome(fetched: Fetched) -> Paid {
    let reason = |code: &'static str, message: String, next: &'static str| [Reason::new(code, message, next)];
    match fetched {
        Fetched::Free(response) => {
            let status = response.status();
            let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let media_type = media_type.map(str::to_owned);
            match status.is_success() {
                true => goods(media_type.as_deref(), &response.into_body()),
                false if status.is_server_error() => {
                    let why = format!(
                        "the seller answered {status}; nothing was paid, and whether it was done is not known"
                    );
                    said(
                        "unknown",
                        &reason("NOT_PAID", why, "look whether it happened before doing it again"),
                        &[],
                        ToolError::unknown,
                    )
                }
                false => no(&format!("the seller answered {status}; nothing was paid")),
            }
        }
        Fetched::Owned(delivery) | Fetched::Delivered(delivery) => {
            goods(delivery.artifact.media_type.as_deref(), &delivery.body)
        }
        Fetched::Quotes { quotes, reasons } => {
            let mut why = reasons;
            if why.iter().all(|reason| reason.code != "NOT_IN_PLAN") {
                why.push(Reason::new(
                    "NOT_IN_PLAN",
                    "it costs money and no approved plan covers it; nothing was paid",
                    "go on without it, or have a plan approved that lists it",
                ));
            }
            said("quotes", &why, &quotes, ToolError::not_executed)
        }
        Fetched::AwaitingApproval(ticket) => {
            said("awaiting_approval", &awaiting(&ticket.summary), &[], ToolError::not_executed)
        }
        Fetched::Undelivered(undelivered) => said(
            "undelivered",
            &reason(
                "UNDELIVERED",
                format!("it was paid for and did not come: {}", undelivered.problem),
                "do not buy it again; the vendor owes it, and Bursar follows it up; use another source",
            ),
            &[],
            ToolError::executed_without_result,
        ),
        Fetched::Unknown(unknown) => said(
            "unknown",
            &reason(
                "OUTCOME_UNKNOWN",
                format!("it is not known whether it was paid for: {}", unknown.problem),
                "do not buy it again, here or elsewhere; make the same call later to see how it ended",
            ),
            &[],
            ToolError::unknown,
        ),
    }
}

fn awaiting(summary: &str) -> [Reason; 1] {
    [Reason::new(
        "AWAITING_APPROVAL",
        format!("a person is asked: {summary}; nothing was paid"),
        "go on without it, or make the same call again later",
    )]
}

/// What was bought, as the tool would have given it: JSON where the seller says so, else text.
fn goods(media_type: Option<&str>, body: &Bytes) -> Paid {
    let is_json = media_type.is_some_and(|media_type| media_type.contains("json"));
    let output = match (serde_json::from_slice(body), std::str::from_utf8(body)) {
        (Ok(value), _) if is_json => ToolOutput::json(value),
        (_, Ok(text)) => ToolOutput::text(text),
        (_, Err(_)) => ToolOutput::text(format!("{} bytes that are no text; they are kept", body.len())),
    };
    let recorded = Ok(OurOutput::value(crate::twin::value_of(&output)));
    Paid { result: ToolResult::success(output), recorded }
}

fn no(problem: &str) -> Paid {
    let reason = Reason::new("NOT_PAID", problem, "nothing was paid; go on without it");
    said("refused", &[reason], &[], ToolError::not_executed)
}

fn said(outcome: &str, reasons: &[Reason], quotes: &[Quote], error: fn(String) -> ToolError) -> Paid {
    let result = told(outcome, reasons, quotes);
    let recorded = Err(error(result.output().render()));
    Paid { result, recorded }
}

/// Codes, sentences and what can be done, as one JSON object; what others wrote in it is escaped and bounded.
fn told(outcome: &str, reasons: &[Reason], quotes: &[Quote]) -> ToolResult {
    let reasons: Vec<Value> = reasons
        .iter()
        .map(|reason| {
            json!({"code": reason.code, "message": visible(&reason.message, MESSAGE_CHARS_MAX),
                "next_step": visible(&reason.next_step, MESSAGE_CHARS_MAX)})
        })
        .collect();
    let mut said = json!({"outcome": outcome, "reasons": reasons});
    if let Some(fields) = said.as_object_mut().filter(|_| !quotes.is_empty()) {
        let prices = quotes.iter().take(QUOTES_MAX).map(|quote| {
            json!({"quote": quote.id, "host": quote.host, "resource": visible(&quote.resource, MESSAGE_CHARS_MAX),
                "price_atomic": quote.price.atomic().to_string(), "asset": quote.price.asset().as_str(),
                "network": quote.network})
        });
        fields.insert("quotes".to_owned(), prices.collect());
    }
    ToolResult::failed(
        ToolExecutionError::refused(said.to_string()).with_model_output(ToolOutput::json(said)),
    )
}
