//! Asking the rules, and keeping what they said with the facts they said it to.

use super::open::check_session;
use super::{SessionPurse, unavailable};
use crate::mandate::MandateError;
use crate::policy::{Enforce, Facts, Weighed};
use crate::reasons;
use crate::session::SessionState;
use bursar_ledger::{CommitError, Refusal, SealedEvent, StreamId, Transaction};
use bursar_types::{Cause, Decision, FetchError, PaymentId, Verdict, canonical_digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One decision as it is journaled: enough to explain it, and to ask other rules what they would have said.
///
/// Allowed and escalated decisions are events of the stream `decisions/<session>`, denied ones of `refusals/<session>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// What was wanted, in words.
    pub what: String,
    /// What was decided.
    pub decision: Decision,
    /// The facts; none where structure or the ledger decided and no rule was asked.
    #[serde(default)]
    pub facts: Option<Facts>,
    /// What a person had approved: ids of rules.
    #[serde(default)]
    pub approved: Vec<String>,
    /// What rules would have decided that are only tried out.
    #[serde(default)]
    pub shadow: Option<Decision>,
    /// The payment it is about, if it is about one.
    #[serde(default)]
    pub payment: Option<PaymentId>,
    /// The tool call that it was decided for, if the caller said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

impl DecisionRecord {
    /// The stream of allowed and escalated decisions of a session.
    pub const DECISIONS: &str = "decisions";
    /// The stream of refusals of a session.
    pub const REFUSALS: &str = "refusals";

    pub(super) fn of(what: String, decision: Decision) -> Self {
        let cause = super::cause::cause();
        Self { what, decision, facts: None, approved: Vec::new(), shadow: None, payment: None, cause }
    }

    /// With the facts, if they can be written: a number beyond 64 bits is none in JSON, and was denied for that.
    pub(super) fn over(self, facts: &Facts) -> Self {
        let facts = canonical_digest(facts).is_ok().then(|| facts.clone());
        Self { facts, ..self }
    }

    /// Whether rules that are tried out would have decided something else.
    #[must_use]
    pub fn shadow_differs(&self) -> bool {
        self.shadow.as_ref().is_some_and(|shadow| shadow.verdict != self.decision.verdict)
    }

    /// What the entry itself shows, beside its payload: ids and codes only.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        let codes = |decision: &Decision| {
            decision.reasons.iter().map(|reason| reason.code.clone()).collect::<Vec<_>>()
        };
        let mut fields = vec![("codes", json!(codes(&self.decision))), ("rules", json!(self.decision.rules))];
        fields.extend(self.payment.map(|payment| ("payment", json!(payment))));
        if let Some(shadow) = &self.shadow {
            let told = json!({"verdict": shadow.verdict, "rules": shadow.rules, "codes": codes(shadow)});
            fields.push(("shadow", told));
        }
        fields
    }
}

impl SessionPurse {
    /// What the rules say, under which the session may spend.
    pub(super) fn weigh(&self, state: &SessionState, facts: &Facts, approved: &[String]) -> Weighed {
        if let Err(MandateError::PolicyChanged(file)) = check_session(state, &self.shared.policy) {
            let decision = Decision {
                verdict: Verdict::Deny,
                reasons: vec![reasons::policy_changed(&file)],
                rules: Vec::new(),
                facts: self.shared.policy.decide(facts, &[]).facts,
            };
            return Weighed { decision, shadow: None };
        }
        let enforce = if state.mandate.shadow { Enforce::FloorOnly } else { Enforce::Rules };
        self.shared.policy.weigh(facts, approved, enforce)
    }

    /// Adds a decision to a transaction.
    pub(super) fn add_decision(
        &self,
        transaction: &mut Transaction,
        record: &DecisionRecord,
    ) -> Result<(), CommitError> {
        let (stream, kind) = match record.decision.verdict {
            Verdict::Allow => (DecisionRecord::DECISIONS, "decision.allowed"),
            Verdict::Escalate => (DecisionRecord::DECISIONS, "decision.escalated"),
            Verdict::Deny => (DecisionRecord::REFUSALS, "decision.denied"),
        };
        let stream = StreamId::of(stream, self.session);
        let fields = record.fields().into_iter().chain(self.trace_fields());
        let sealed = SealedEvent::new(stream, kind, fields, record, &*self.shared.entropy);
        let sealed = sealed.map_err(|error| Refusal::NotCanonical(error.to_string()))?;
        sealed.add_to(transaction);
        Ok(())
    }

    /// Journals a decision on its own.
    pub(super) async fn record_decision(&self, record: &DecisionRecord) -> Result<(), FetchError> {
        let mut transaction = Transaction::default();
        self.add_decision(&mut transaction, record).map_err(unavailable)?;
        self.shared.ledger.commit(transaction).await.map_err(unavailable)?;
        Ok(())
    }

    /// Journals what rules would have decided that are tried out, where they would have decided something else.
    pub(super) async fn record_shadow(
        &self,
        what: &str,
        facts: &Facts,
        weighed: &Weighed,
    ) -> Result<(), FetchError> {
        let record = DecisionRecord {
            shadow: weighed.shadow.clone(),
            ..DecisionRecord::of(what.to_owned(), weighed.decision.clone()).over(facts)
        };
        if record.shadow_differs() { self.record_decision(&record).await } else { Ok(()) }
    }
}
