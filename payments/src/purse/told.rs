//! What watchers and callers are told of a payment.

use super::SessionPurse;
use super::pay::unknown;
use crate::events::MoneyEvent;
use crate::obligation::{Obligation, ObligationEvent, ObligationState, StepResult};
use crate::payment::{Evidence, Payment, PaymentEvent};
use crate::rail::Outcome;
use bursar_ledger::{Commitment, StoreError};
use bursar_types::{ArtifactRecord, Delivery, Digest, FetchError, Fetched, PaymentView, Undelivered};
use bytes::Bytes;

impl SessionPurse {
    /// Tells watchers what was booked.
    pub(super) fn tell_events(&self, events: &[PaymentEvent], state: &Payment) {
        let Some(payment) = state.view() else {
            if let Payment::NotPaid { ask, proof, .. } = state {
                self.tell(&MoneyEvent::NotPaid { payment: ask.payment, proof: proof.clone() });
            }
            return;
        };
        let newly_paid = events.len() > 1;
        for event in events {
            for told in told(event, &payment, newly_paid) {
                self.tell(&told);
            }
        }
    }

    /// What the caller gets for a settled payment.
    pub(super) async fn fetched(&self, state: &Payment, body: Option<Bytes>) -> Result<Fetched, FetchError> {
        match (state, state.view()) {
            (Payment::Paid { signed, evidence: Evidence::Presumed { problem, .. }, obligation }, _)
                if !obligation.has_goods() =>
            {
                Ok(Fetched::Unknown(unknown(
                    signed,
                    &format!("{problem}; it counts as spent until the rail says otherwise"),
                )))
            }
            (Payment::Paid { obligation, .. }, Some(payment)) => match &obligation.record {
                Some(record) => Ok(self.kept(record, payment, body).await),
                None => Ok(Fetched::Undelivered(Undelivered { payment, problem: owed(obligation) })),
            },
            (Payment::Unknown { signed, problem, .. }, _) => Ok(Fetched::Unknown(unknown(signed, problem))),
            (Payment::Signing(signed), _) => Ok(Fetched::Unknown(unknown(signed, "it was not answered yet"))),
            (Payment::NotPaid { proof, .. }, _) => Err(FetchError::NotPaid(proof.clone())),
            (other, _) => Err(FetchError::NotPaid(format!("the payment is only {}", other.name()))),
        }
    }

    /// Money moved: that its goods cannot be read is never an error.
    async fn kept(&self, record: &ArtifactRecord, payment: PaymentView, body: Option<Bytes>) -> Fetched {
        let artifact = record.artifact.clone();
        let problem = match self.whole_body(record, body).await {
            Ok(Some(body)) => return Fetched::Delivered(Delivery { payment, artifact, body }),
            Ok(None) => "it was delivered, and its bytes have been erased since".to_owned(),
            Err(error) => format!("it was delivered, and its bytes cannot be read now: {error}"),
        };
        Fetched::Undelivered(Undelivered { payment, problem })
    }

    /// The bytes of a delivery: those at hand if they are the kept ones, else the kept ones.
    async fn whole_body(
        &self,
        record: &ArtifactRecord,
        body: Option<Bytes>,
    ) -> Result<Option<Bytes>, StoreError> {
        match body.filter(|body| Digest::of(body) == record.artifact.digest) {
            Some(body) => Ok(Some(body)),
            None => {
                let kept = Commitment::from_digest(record.payload);
                self.shared.ledger.payload(kept).await
            }
        }
    }
}

/// Why there are no goods, in words for whoever asked for them.
fn owed(obligation: &Obligation) -> String {
    match &obligation.state {
        ObligationState::Owed { problem } | ObligationState::Parked { problem } => problem.clone(),
        ObligationState::Delivered => "it was delivered, and nothing was kept".to_owned(),
        ObligationState::Claimed => "it did not come, and the money is asked back".to_owned(),
        ObligationState::Refunded => {
            "it did not come, and the money came back; ask under another key to buy it".to_owned()
        }
        ObligationState::Settled { by, reason } => format!("it did not come; {by} settled it: {reason}"),
        ObligationState::WrittenOff { by, reason } => format!("it did not come; {by} wrote it off: {reason}"),
    }
}

fn told(event: &PaymentEvent, payment: &PaymentView, newly_paid: bool) -> Vec<MoneyEvent> {
    let payment = || payment.clone();
    match event {
        PaymentEvent::Answered { outcome, .. } | PaymentEvent::Observed { outcome } => match outcome {
            Outcome::Moved { observed, .. } => {
                let paid = newly_paid.then(|| MoneyEvent::Paid { payment: payment() });
                let seen = observed.then(|| MoneyEvent::Observed { payment: payment() });
                paid.into_iter().chain(seen).collect()
            }
            Outcome::Unknown { problem } => {
                vec![MoneyEvent::Unknown { payment: payment(), problem: problem.clone() }]
            }
            Outcome::DidNotMove { .. } => vec![],
        },
        PaymentEvent::Delivered { record } => {
            vec![MoneyEvent::Delivered { payment: payment(), artifact: record.artifact.clone() }]
        }
        PaymentEvent::DeliveryFailed { problem, .. } => {
            vec![MoneyEvent::Undelivered { payment: payment(), problem: problem.clone() }]
        }
        PaymentEvent::Presumed { owner, due } => {
            let problem = "nobody could say whether it moved; it counts as spent".to_owned();
            vec![MoneyEvent::Parked { payment: payment(), problem, owner: owner.clone(), due: *due }]
        }
        PaymentEvent::VoidEnded {
            result: StepResult::Failed { problem, .. } | StepResult::Refused { problem },
            ..
        } => {
            vec![MoneyEvent::RemedyFailed { payment: payment(), problem: problem.clone() }]
        }
        PaymentEvent::Owed(event) => told_of_obligation(event, payment()),
        PaymentEvent::Held(_)
        | PaymentEvent::LetGo { .. }
        | PaymentEvent::Signing { .. }
        | PaymentEvent::VoidStarted { .. }
        | PaymentEvent::VoidEnded { .. } => vec![],
    }
}

fn told_of_obligation(event: &ObligationEvent, payment: PaymentView) -> Vec<MoneyEvent> {
    match event {
        ObligationEvent::ClaimOpened { amount, detail, .. } => {
            vec![MoneyEvent::Claimed { payment, amount: amount.clone(), problem: detail.clone() }]
        }
        ObligationEvent::StepEnded {
            result: StepResult::Failed { problem, .. } | StepResult::Refused { problem },
            ..
        } => {
            vec![MoneyEvent::RemedyFailed { payment, problem: problem.clone() }]
        }
        ObligationEvent::RefundSeen { refund } => {
            vec![MoneyEvent::Refunded { payment, amount: refund.transfer.amount.clone() }]
        }
        ObligationEvent::Parked { problem, owner, due } => {
            vec![MoneyEvent::Parked { payment, problem: problem.clone(), owner: owner.clone(), due: *due }]
        }
        ObligationEvent::StepStarted { .. }
        | ObligationEvent::StepEnded { .. }
        | ObligationEvent::ClaimDropped { .. }
        | ObligationEvent::Extended { .. }
        | ObligationEvent::Settled { .. }
        | ObligationEvent::WrittenOff { .. } => vec![],
    }
}
