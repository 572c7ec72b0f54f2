//! What telemetry is called here: the one set of span, attribute and metric names, and the trace that work belongs to.
//!
//! The floors make spans with `tracing` and know nothing of OpenTelemetry. All spans that are meant for export have the
//! [`TARGET`] and carry attributes of [`attribute`] only, so that what leaves the machine is what is listed here (and in
//! `docs/TELEMETRY.md`; a test compares the two). No attribute holds a key, a signature, a header, a URL, a person's name, or a
//! word that a model, a page or a vendor wrote, except where [`Traces::content`] says that content is wanted.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The target of every span that is meant for export. Exporters take nothing else.
pub const TARGET: &str = "bursar::trace";

/// Where work is in a distributed trace: a W3C trace id with the id of a span in it. Neither is all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
}

impl TraceContext {
    /// From bytes; `None` if either id is all zeros, which W3C Trace Context calls invalid.
    #[must_use]
    pub fn new(trace: [u8; 16], span: [u8; 8]) -> Option<Self> {
        (trace != [0; 16] && span != [0; 8]).then_some(Self { trace, span })
    }

    /// From hexadecimal text as [`TraceContext::trace_id`] and [`TraceContext::span_id`] write it, in lower case.
    #[must_use]
    pub fn parse(trace: &str, span: &str) -> Option<Self> {
        let lower = |text: &str| !text.bytes().any(|byte| byte.is_ascii_uppercase());
        let (mut trace_bytes, mut span_bytes) = ([0; 16], [0; 8]);
        hex::decode_to_slice(trace, &mut trace_bytes).ok().filter(|()| lower(trace))?;
        hex::decode_to_slice(span, &mut span_bytes).ok().filter(|()| lower(span))?;
        Self::new(trace_bytes, span_bytes)
    }

    /// The trace id: 32 hexadecimal digits in lower case.
    #[must_use]
    pub fn trace_id(&self) -> String {
        hex::encode(self.trace)
    }

    /// The span id: 16 hexadecimal digits in lower case.
    #[must_use]
    pub fn span_id(&self) -> String {
        hex::encode(self.span)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.trace_id(), self.span_id())
    }
}

/// As it is stored: two texts.
#[derive(Serialize, Deserialize)]
struct Written {
    trace: String,
    span: String,
}

impl Serialize for TraceContext {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { trace: self.trace_id(), span: self.span_id() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TraceContext {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { trace, span } = Written::deserialize(deserializer)?;
        Self::parse(&trace, &span).ok_or_else(|| serde::de::Error::custom("not a trace id and a span id"))
    }
}

/// Knows which trace the calling task is in. Whoever exports spans hands one down; the floors write what it says into the
/// journal, and nothing they decide depends on it.
///
/// # What implementers guarantee
/// Both answer at once, without I/O and without waiting. `current` names the span that is exported for the innermost open
/// `tracing` span of this task, whether it is sampled or not.
///
/// # Example
/// ```
/// use bursar_types::telemetry::{TraceContext, Traces};
///
/// /// Every purchase of this program belongs to one trace, made elsewhere.
/// #[derive(Debug)]
/// struct Job(TraceContext);
///
/// impl Traces for Job {
///     fn current(&self) -> Option<TraceContext> { Some(self.0) }
///     fn content(&self) -> bool { false }
/// }
/// let of = TraceContext::parse("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
/// assert_eq!(of.map(|it| it.span_id()).as_deref(), Some("00f067aa0ba902b7"));
/// ```
pub trait Traces: Send + Sync + fmt::Debug {
    /// Where the calling task is; `None` if nothing traces it.
    fn current(&self) -> Option<TraceContext>;
    /// Whether content may be recorded: texts of models, arguments and results of tools. Never keys.
    fn content(&self) -> bool;
}

/// Nothing is traced: journal entries name no trace.
#[derive(Debug, Clone, Copy, Default)]
pub struct Untraced;

impl Traces for Untraced {
    fn current(&self) -> Option<TraceContext> {
        None
    }

    fn content(&self) -> bool {
        false
    }
}

/// Makes the names of a group, and the list of all of them for whoever documents or filters.
macro_rules! names {
    ($(#[$module:meta])* $group:ident { $($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+ }) => {
        $(#[$module])*
        pub mod $group {
            $($(#[doc = $doc])+ pub const $name: &str = $text;)+
            /// Every name here, in the order of the source, with what it means.
            pub const ALL: &[(&str, &str)] = &[$(($text, concat!($($doc),+))),+];
        }
    };
}

names! {
    /// Spans. A payment's stages are children of its `payment`.
    span {
        /// One run of an agent, from its question to its end or interruption.
        INVOKE_AGENT = "invoke_agent";
        /// One try of one turn of a model.
        CHAT = "chat";
        /// One call of a tool.
        EXECUTE_TOOL = "execute_tool";
        /// One call of a purse, from the request to the answer; `bursar.payment.state` says whether anything was paid.
        PAYMENT = "payment";
        /// Looking for a payment that is open for the purchase or was made under its key, and going on with it.
        JOIN = "payment.join";
        /// A request without payment, and the reading of what is asked for it.
        QUOTE = "payment.quote";
        /// Matching quotes with the plan, asking the rules, and setting the money aside.
        DECIDE = "payment.decide";
        /// The transaction that sets the money aside with everything it depends on.
        HOLD = "payment.hold";
        /// Fixing the exact terms and making them durable.
        PREPARE = "payment.prepare";
        /// The wallet makes the authorization.
        SIGN = "payment.sign";
        /// The paid request and its answer.
        PRESENT = "payment.present";
        /// Booking what was seen of a signed payment.
        SETTLE = "payment.settle";
        /// Asking the rail what became of a payment, beside other work or while its outcome is not known.
        OBSERVE = "payment.observe";
        /// Taking up a payment that is not final: on start, on a timer, or when somebody asks.
        RECOVER = "payment.recover";
        /// One step of asking for goods or money back.
        REMEDY = "payment.remedy";
        /// A plan is proposed and decided on.
        PROPOSE = "propose_plan";
    }
}

names! {
    /// Attributes of spans and metrics. Those that begin with `gen_ai` or `error` are OpenTelemetry's.
    attribute {
        /// What is done: `invoke_agent`, `chat` or `execute_tool`.
        OPERATION = "gen_ai.operation.name";
        /// Who makes the model, such as `openai`.
        PROVIDER = "gen_ai.provider.name";
        /// The model that is asked.
        MODEL = "gen_ai.request.model";
        /// The run: one conversation with an agent.
        CONVERSATION = "gen_ai.conversation.id";
        /// The agent's name.
        AGENT_NAME = "gen_ai.agent.name";
        /// The agent's id, as budgets count it.
        AGENT_ID = "gen_ai.agent.id";
        /// Tokens of the prompt, if the provider says.
        INPUT_TOKENS = "gen_ai.usage.input_tokens";
        /// Tokens of the answer, if the provider says.
        OUTPUT_TOKENS = "gen_ai.usage.output_tokens";
        /// On the metric of tokens: `input` or `output`.
        TOKEN_TYPE = "gen_ai.token.type";
        /// The tool's name.
        TOOL_NAME = "gen_ai.tool.name";
        /// The call, as the run's journal names it.
        TOOL_CALL = "gen_ai.tool.call.id";
        /// What kind of tool it is: `function`.
        TOOL_TYPE = "gen_ai.tool.type";
        /// Only with content: the instructions of the model, as JSON. At most 16 KiB, like all content.
        INSTRUCTIONS = "gen_ai.system_instructions";
        /// Only with content: the conversation that the model is asked to continue, as JSON.
        INPUT = "gen_ai.input.messages";
        /// Only with content: what the model answered, text and calls, as JSON.
        OUTPUT = "gen_ai.output.messages";
        /// Only with content: what the tool was given, as JSON.
        ARGUMENTS = "gen_ai.tool.call.arguments";
        /// Only with content: what the tool gave back, as JSON.
        RESULT = "gen_ai.tool.call.result";
        /// The class of an error: a model's error kind, a tool's outcome or a reason code.
        ERROR = "error.type";
        /// The turn of the run, from 0.
        TURN = "bursar.turn";
        /// How often this turn was tried before.
        ATTEMPT = "bursar.attempt";
        /// What a tool may do: `read`, `write` or `spend`.
        EFFECT = "bursar.tool.effect";
        /// The session: the scope of money under one mandate.
        SESSION = "bursar.session.id";
        /// The payment: one id for the whole life of a purchase. `bursar audit explain` takes it.
        PAYMENT = "bursar.payment.id";
        /// What became of a call of the purse: `free`, `owned`, `delivered`, `quotes`, `awaiting_approval`, `undelivered`,
        /// `unknown`, `denied`, `not_paid` or `failed`; in recovery, what was found.
        STATE = "bursar.payment.state";
        /// The asset, as CAIP-19 names it.
        ASSET = "bursar.asset";
        /// The amount in atomic units of the asset: a text of digits, never a float.
        AMOUNT = "bursar.amount";
        /// The worst-case debit in millionths of a US dollar: a text of digits.
        MICRO_USD = "bursar.micro_usd";
        /// The network, as CAIP-2 names it.
        NETWORK = "bursar.network";
        /// The rail, such as `x402`.
        RAIL = "bursar.rail";
        /// The vendor's host as it was asked. On metrics only where the configuration says so.
        VENDOR = "bursar.vendor";
        /// What was decided: `allow`, `deny` or `escalate`.
        DECISION = "bursar.decision";
        /// Stable codes of a refusal, see `docs/REASONS.md`; on a span several are joined by commas.
        REASON = "bursar.reason";
        /// Ids of the rules that determined a decision, joined by commas.
        RULE = "bursar.rule";
        /// The position of the last journal entry that was written under the span.
        ENTRY = "bursar.entry";
        /// The trace in which a payment was first held, on spans that take it up later.
        ORIGIN = "bursar.payment.trace_id";
        /// The stage of a payment, such as `sign`: the part of the span's name after the dot.
        STAGE = "bursar.stage";
        /// How far a budget was used: `notified`, `tightened` or `stopped`.
        GATE = "bursar.gate";
        /// The plan.
        PLAN = "bursar.plan.id";
    }
}

names! {
    /// Metrics. Counters only grow; amounts are in atomic units of `bursar.asset`.
    metric {
        /// Calls of a purse that ended, by `bursar.payment.state`.
        PAYMENTS = "bursar.payments";
        /// Money that moved, by asset and network.
        SPENT = "bursar.payment.amount";
        /// Money that came back, by asset and network.
        REFUNDED = "bursar.refund.amount";
        /// Refusals, by `bursar.reason`.
        DENIALS = "bursar.denials";
        /// Budgets that reached a gate, by `bursar.gate`.
        GATES = "bursar.gates";
        /// How long a call of a purse took, by `bursar.payment.state`.
        PAYMENT_SECONDS = "bursar.payment.duration";
        /// How long a stage of a payment took, by `bursar.stage`.
        STAGE_SECONDS = "bursar.payment.stage.duration";
        /// What payees owe and nobody has ended yet.
        OBLIGATIONS = "bursar.obligations.open";
        /// Payments for which money is set aside, or whose outcome is not known.
        OPEN = "bursar.payments.open";
        /// How long a model's turn took.
        CHAT_SECONDS = "gen_ai.client.operation.duration";
        /// Tokens used, by `gen_ai.token.type`.
        TOKENS = "gen_ai.client.token.usage";
        /// How long a tool took.
        TOOL_SECONDS = "gen_ai.execute_tool.duration";
        /// How long a run took.
        RUN_SECONDS = "gen_ai.invoke_agent.duration";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_two_ids_in_lower_case_and_never_zero() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let context = TraceContext::parse(trace, span).expect("both are valid");
        assert_eq!((context.trace_id().as_str(), context.span_id().as_str()), (trace, span));
        let text = serde_json::to_string(&context).expect("it has a text");
        assert_eq!(serde_json::from_str::<TraceContext>(&text).ok(), Some(context));
        let zeros = ("0".repeat(32), "0".repeat(16));
        for (trace, span) in [
            (zeros.0.as_str(), span),
            (trace, zeros.1.as_str()),
            (&trace.to_uppercase(), span),
            (trace, "00f067aa0ba902b"),
            ("", ""),
        ] {
            assert_eq!(TraceContext::parse(trace, span), None, "{trace}/{span}");
        }
    }

    #[test]
    fn no_name_is_given_twice() {
        let all = [span::ALL, attribute::ALL, metric::ALL].concat();
        let mut names: Vec<_> = all.iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().all(|(_, meaning)| meaning.trim().ends_with(['.', '`'])));
    }
}
