//! Spans on the way of a payment, and the trace that journal entries name.
//!
//! What a span shows is built here from typed values: ids, amounts, codes, a host. No URL, no word of a vendor or a model, no
//! key. See [`bursar_types::telemetry`] for the names.

use super::recover::Done;
use super::{SessionPurse, Shared};
use crate::payment::{Ask, Held};
use bursar_ledger::{Committed, Entry};
use bursar_types::telemetry::{TARGET, TraceContext, attribute, span};
use bursar_types::{Decision, FetchError, Fetched, PaymentId, PlanOutcome, Reason, SessionId, Verdict};
use serde_json::{Value, json};
use std::future::Future;
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span};

/// A span of a payment's stage, inside the span that is current where it is made.
macro_rules! stage {
    ($name:ident, $payment:expr) => {
        tracing::info_span!(
            target: bursar_types::telemetry::TARGET,
            bursar_types::telemetry::span::$name,
            { bursar_types::telemetry::attribute::PAYMENT } = %$payment,
            { bursar_types::telemetry::attribute::DECISION } = tracing::field::Empty,
            { bursar_types::telemetry::attribute::REASON } = tracing::field::Empty,
            { bursar_types::telemetry::attribute::RULE } = tracing::field::Empty,
            { bursar_types::telemetry::attribute::STATE } = tracing::field::Empty,
            { bursar_types::telemetry::attribute::ENTRY } = tracing::field::Empty,
            { bursar_types::telemetry::attribute::ERROR } = tracing::field::Empty,
            otel.kind = tracing::field::Empty,
            otel.status_code = tracing::field::Empty,
        )
    };
}
pub(super) use stage;

/// The span of one call of a purse.
pub(super) fn of_payment(ask: &Ask) -> Span {
    tracing::info_span!(
        target: TARGET,
        span::PAYMENT,
        { attribute::PAYMENT } = %ask.payment,
        { attribute::SESSION } = %ask.session,
        { attribute::CONVERSATION } = ask.cause.map(|cause| display(cause.run)),
        { attribute::TOOL_CALL } = ask.cause.map(|cause| display(cause.call)),
        { attribute::STATE } = Empty,
        { attribute::RAIL } = Empty,
        { attribute::NETWORK } = Empty,
        { attribute::ASSET } = Empty,
        { attribute::AMOUNT } = Empty,
        { attribute::MICRO_USD } = Empty,
        { attribute::VENDOR } = Empty,
        { attribute::DECISION } = Empty,
        { attribute::REASON } = Empty,
        { attribute::RULE } = Empty,
        { attribute::ERROR } = Empty,
        otel.status_code = Empty,
    )
}

/// The span of a question for prices, which belongs to no payment yet.
pub(super) fn of_quote(session: SessionId) -> Span {
    tracing::info_span!(
        target: TARGET,
        span::QUOTE,
        { attribute::SESSION } = %session,
        { attribute::STATE } = Empty,
        { attribute::REASON } = Empty,
        { attribute::ERROR } = Empty,
        otel.status_code = Empty,
    )
}

/// The span of a proposal.
pub(super) fn of_proposal(session: SessionId) -> Span {
    tracing::info_span!(
        target: TARGET,
        span::PROPOSE,
        { attribute::SESSION } = %session,
        { attribute::PLAN } = Empty,
        { attribute::DECISION } = Empty,
        { attribute::REASON } = Empty,
        { attribute::RULE } = Empty,
        { attribute::ERROR } = Empty,
        otel.status_code = Empty,
    )
}

/// The span of a look at what became of a payment, beside other work: it follows from the payment's own, which need not wait.
pub(super) fn of_observation(payment: PaymentId, after: &Span) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        span::OBSERVE,
        { attribute::PAYMENT } = %payment,
        { attribute::ENTRY } = Empty,
        { attribute::ERROR } = Empty,
        otel.status_code = Empty,
    );
    span.follows_from(after);
    span
}

/// The span of taking up a payment that is not final. `origin` is the trace in which it was held, if there was one.
pub(super) fn of_recovery(ask: &Ask, origin: Option<&str>) -> Span {
    tracing::info_span!(
        target: TARGET,
        span::RECOVER,
        { attribute::PAYMENT } = %ask.payment,
        { attribute::SESSION } = %ask.session,
        { attribute::ORIGIN } = origin,
        { attribute::STATE } = Empty,
        { attribute::ENTRY } = Empty,
        { attribute::ERROR } = Empty,
        otel.status_code = Empty,
    )
}

/// Says what was held for the payment.
pub(super) fn note_held(span: &Span, held: &Held) {
    let quote = &held.offer.quote;
    span.record(attribute::RAIL, quote.rail.as_str());
    span.record(attribute::NETWORK, quote.network.as_str());
    span.record(attribute::ASSET, quote.price.asset().as_str());
    span.record(attribute::AMOUNT, display(quote.price.atomic()));
    if let Some(cost) = &quote.cost_micro_usd {
        span.record(attribute::MICRO_USD, display(cost.atomic()));
    }
    span.record(attribute::VENDOR, quote.host.as_str());
    note_decision(span, &held.decision);
}

/// Says what was decided, and by which rules.
pub(super) fn note_decision(span: &Span, decision: &Decision) {
    let verdict = match decision.verdict {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
        Verdict::Escalate => "escalate",
    };
    span.record(attribute::DECISION, verdict);
    if !decision.rules.is_empty() {
        span.record(attribute::RULE, decision.rules.join(",").as_str());
    }
    note_reasons(span, &decision.reasons);
}

fn note_reasons(span: &Span, reasons: &[Reason]) {
    if !reasons.is_empty() {
        span.record(attribute::REASON, codes(reasons).as_str());
    }
}

fn codes(reasons: &[Reason]) -> String {
    reasons.iter().map(|reason| reason.code.as_ref()).collect::<Vec<&str>>().join(",")
}

/// Says how a call of a purse ended.
pub(super) fn note_outcome(span: &Span, result: &Result<Fetched, FetchError>) {
    if span.is_disabled() {
        return;
    }
    let state = match result {
        Ok(Fetched::Free(_)) => "free",
        Ok(Fetched::Owned(_)) => "owned",
        Ok(Fetched::Delivered(_)) => "delivered",
        Ok(Fetched::Quotes { reasons, .. }) => {
            note_reasons(span, reasons);
            "quotes"
        }
        Ok(Fetched::AwaitingApproval(_)) => "awaiting_approval",
        Ok(Fetched::Undelivered(_)) => "undelivered",
        Ok(Fetched::Unknown(_)) => "unknown",
        Err(error) => {
            note_error(span, error);
            match error {
                FetchError::Denied(_) => "denied",
                FetchError::NotPaid(_) => "not_paid",
                _ => "failed",
            }
        }
    };
    span.record(attribute::STATE, state);
}

/// Says that it ended with an error: its codes, not its text, which may be a vendor's.
pub(super) fn note_error(span: &Span, error: &FetchError) {
    if span.is_disabled() {
        return;
    }
    if let FetchError::Denied(decision) = error {
        note_decision(span, decision);
    }
    let reasons = error.reasons();
    note_reasons(span, &reasons);
    span.record(attribute::ERROR, reasons.first().map_or("_OTHER", |reason| reason.code.as_ref()));
    span.record("otel.status_code", "ERROR");
}

/// Says how a proposal ended.
pub(super) fn note_plan(span: &Span, outcome: &PlanOutcome) {
    let (plan, decision) = match outcome {
        PlanOutcome::Approved { plan, decision, .. } => (Some(plan), Some(decision)),
        PlanOutcome::AwaitingApproval { plan, .. } => {
            span.record(attribute::DECISION, "escalate");
            (Some(plan), None)
        }
        PlanOutcome::Refused { plan, decision } => (plan.as_ref(), Some(decision)),
    };
    if let Some(plan) = plan {
        span.record(attribute::PLAN, display(plan.id));
    }
    if let Some(decision) = decision {
        note_decision(span, decision);
    }
}

/// Does work in a span, which says so if it ends with an error.
pub(super) async fn in_span<T>(
    span: Span,
    work: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    let result = work.instrument(span.clone()).await;
    result.inspect_err(|error| note_error(&span, error))
}

/// Says what recovery found.
pub(super) fn note_found(span: &Span, done: Done) {
    span.record(attribute::STATE, done.name());
}

/// Says on the current span where its last journal entry is, so that the span leads to it.
pub(super) fn note_entry(committed: &Committed) {
    // OpenTelemetry's integers are signed.
    if let Some(sequence) = committed.sequences.last().and_then(|last| i64::try_from(*last).ok()) {
        Span::current().record(attribute::ENTRY, sequence);
    }
}

/// The trace id that an entry names.
pub(super) fn trace_of(entry: &Entry) -> Option<String> {
    Some(entry.body.get("trace")?.as_str()?.to_owned())
}

impl Shared {
    /// The trace that entries written now belong to, as fields of their leaves: it is no secret and names nobody, and stays when
    /// their payloads are erased. None, where nothing traces.
    pub(super) fn trace_fields(&self) -> impl Iterator<Item = (&'static str, Value)> + use<> {
        let current = self.traces.current();
        let fields =
            |trace: TraceContext| [("trace", json!(trace.trace_id())), ("span", json!(trace.span_id()))];
        current.into_iter().flat_map(fields)
    }
}

impl SessionPurse {
    /// See [`Shared::trace_fields`].
    pub(super) fn trace_fields(&self) -> impl Iterator<Item = (&'static str, Value)> + use<> {
        self.shared.trace_fields()
    }
}
