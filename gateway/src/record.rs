//! Calls in the journal: decided before anything is done, answered after.

use crate::answer::{Answer, Entrance};
use bursar::ledger::{CommitError, Ledger, Refusal, SealedEvent, StreamId, Transaction};
use bursar::types::{Action, Decision, Digest, Entropy, SessionId};
use serde::Serialize;
use serde_json::{Value, json};

/// The stream of a session's calls.
const STREAM: &str = "calls";

/// A call and what was decided about it.
#[derive(Debug, Serialize)]
pub(crate) struct Decided<'a> {
    pub(crate) caller: &'a str,
    pub(crate) entrance: Entrance,
    pub(crate) action: &'a Action,
    /// As they came; the action has their digest.
    pub(crate) arguments: &'a Value,
    pub(crate) decision: &'a Decision,
}

/// How a call ended. What it gave is not kept here: what was bought is in the payload store.
#[derive(Debug, Serialize)]
struct Answered<'a> {
    outcome: Option<&'a str>,
    codes: Vec<&'a str>,
    digest: Digest,
}

impl Decided<'_> {
    /// Journals it.
    pub(crate) async fn record(
        &self,
        ledger: &Ledger,
        session: SessionId,
        entropy: &dyn Entropy,
    ) -> Result<(), CommitError> {
        let fields = [
            ("call", json!(self.action.call)),
            ("effect", json!(self.action.effect)),
            ("entrance", json!(self.entrance)),
            ("verdict", json!(self.decision.verdict)),
            ("rules", json!(self.decision.rules)),
        ];
        append(ledger, session, "call.decided", fields, self, entropy).await
    }
}

/// Journals how a call ended.
pub(crate) async fn answered(
    ledger: &Ledger,
    session: SessionId,
    answer: &Answer,
    entropy: &dyn Entropy,
) -> Result<(), CommitError> {
    let event = Answered {
        outcome: answer.outcome(),
        codes: answer.codes().collect(),
        digest: Digest::of(answer.content.to_string().as_bytes()),
    };
    let fields = [("call", json!(answer.call)), ("refused", json!(answer.is_refused()))];
    append(ledger, session, "call.answered", fields, &event, entropy).await
}

async fn append<const N: usize>(
    ledger: &Ledger,
    session: SessionId,
    kind: &'static str,
    fields: [(&'static str, Value); N],
    event: &impl Serialize,
    entropy: &dyn Entropy,
) -> Result<(), CommitError> {
    let mut transaction = Transaction::default();
    SealedEvent::new(StreamId::of(STREAM, session), kind, fields, event, entropy)
        .map_err(|error| CommitError::Refused(Refusal::NotCanonical(error.to_string())))?
        .add_to(&mut transaction);
    ledger.commit(transaction).await.map(drop)
}
