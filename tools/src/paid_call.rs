//! What a call that may be paid for gave, as a model sees it: the same for MCP tools and for operations of an API.

use crate::get_quotes::{ALTERNATIVES_MAX, QuoteView};
use crate::show::{ReasonView, reasons, refused, unpaid};
use bursar_agent_core::{ToolError, ToolOutput};
use bursar_types::{AssetRegistry, Delivery, FetchError, Fetched, HttpResponse, TransportError};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// How a paid call is told.
#[derive(Debug)]
pub(crate) struct PaidCall<'a> {
    /// Shows amounts.
    pub(crate) assets: &'a AssetRegistry,
    /// The address that was asked.
    pub(crate) url: &'a str,
    /// The tool that asks.
    pub(crate) tool: &'a str,
    /// Where what is bought comes from, and what it is.
    pub(crate) from: &'a str,
}

impl PaidCall<'_> {
    /// Tells it. `free` reads an answer that cost nothing, `goods` the body that was paid for.
    pub(crate) fn told(
        &self,
        fetched: Result<Fetched, FetchError>,
        free: impl FnOnce(&HttpResponse) -> Result<ToolOutput, ToolError>,
        goods: impl FnOnce(&Bytes) -> Value,
    ) -> Result<ToolOutput, ToolError> {
        let plain = |outcome, why| Ok(ToolOutput::value(self.outcome(outcome, why).into()));
        match fetched {
            Ok(Fetched::Free(response)) => free(&response),
            Ok(Fetched::Owned(delivery)) => Ok(self.delivered("owned", &delivery, goods)),
            Ok(Fetched::Delivered(delivery)) => Ok(self.delivered("delivered", &delivery, goods)),
            Ok(Fetched::Quotes { quotes, reasons: why }) => {
                let mut why = reasons(&why);
                why.push(ReasonView::new(
                    "NOT_IN_PLAN",
                    "it costs money and no approved plan covers this very call; nothing was paid",
                    format!(
                        "call propose_plan with one of these quotes, then {} again with the same arguments",
                        self.tool
                    ),
                ));
                let mut told = self.outcome("quotes", why);
                let shown = quotes.iter().take(ALTERNATIVES_MAX);
                let quotes: Vec<_> = shown.map(|quote| QuoteView::of(self.assets, self.url, quote)).collect();
                told.insert("quotes".to_owned(), json!(quotes));
                Ok(ToolOutput::value(told.into()))
            }
            Ok(Fetched::AwaitingApproval(ticket)) => {
                let mut why = refused(&ticket.decision);
                why.push(ReasonView::new(
                    "AWAITING_APPROVAL",
                    format!("a person is asked: {}; nothing was paid", ticket.summary),
                    "go on without it, or make the same call again later",
                ));
                let told = self.outcome("awaiting_approval", why);
                Ok(ToolOutput::value(told.into()).waiting(ticket.id, ticket.expires_at))
            }
            Ok(Fetched::Undelivered(undelivered)) => {
                let paid = self.assets.display(&undelivered.payment.amount);
                let message = format!("{paid} was paid and no result came: {}", undelivered.problem);
                let next_step = "do not make the call again; the vendor owes it, and Bursar follows it up; go on without it";
                let mut told =
                    self.outcome("undelivered", vec![ReasonView::new("UNDELIVERED", message, next_step)]);
                told.insert("paid".to_owned(), paid.into());
                Ok(ToolOutput::value(told.into()))
            }
            Ok(Fetched::Unknown(unknown)) => {
                let amount = unknown.payment.as_ref();
                let amount = amount
                    .map_or_else(|| "anything".to_owned(), |payment| self.assets.display(&payment.amount));
                let mut message = format!("it is not known whether {amount} was paid: {}", unknown.problem);
                if let Some(decidable_from) = unknown.decidable_from {
                    message.push_str(&format!("; the chain can tell from {decidable_from} on"));
                }
                let next_step = "do not make the call again, here or elsewhere by another name; say in the answer that it is open";
                plain("unknown", vec![ReasonView::new("OUTCOME_UNKNOWN", message, next_step)])
            }
            // The request was heard, or may have been: nothing was paid, and what it did is not known.
            Err(FetchError::Transport(
                error @ (TransportError::NoAnswer { .. }
                | TransportError::HeadTooLong { .. }
                | TransportError::Body { .. }),
            )) => Err(ToolError::unknown(format!(
                "nothing was paid, and no usable answer came ({error}); it may have been done all the same: look before you do it again"
            ))),
            Err(error) => plain("refused", unpaid(&error)),
        }
    }

    fn delivered(
        &self,
        outcome: &str,
        delivery: &Delivery,
        goods: impl FnOnce(&Bytes) -> Value,
    ) -> ToolOutput {
        let mut told = self.outcome(outcome, Vec::new());
        told.insert("artifact".to_owned(), delivery.artifact.id.to_string().into());
        if outcome == "delivered" {
            told.insert("paid".to_owned(), self.assets.display(&delivery.payment.amount).into());
        }
        told.insert("result".to_owned(), goods(&delivery.body));
        told.insert("from".to_owned(), self.from.into());
        ToolOutput::value(told.into())
    }

    fn outcome(&self, outcome: &str, why: Vec<ReasonView>) -> Map<String, Value> {
        let mut told = Map::new();
        told.insert("outcome".to_owned(), outcome.into());
        told.insert("url".to_owned(), self.url.into());
        if !why.is_empty() {
            told.insert("reasons".to_owned(), json!(why));
        }
        told
    }
}
