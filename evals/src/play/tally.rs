//! Counting how things ended.

use crate::report::Outcome;
use bursar::types::{Decision, FetchError, Fetched, PaymentId, PlanOutcome, Reason, causes};
use std::collections::{BTreeMap, BTreeSet};

/// How the repetitions of one step ended.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ended: BTreeMap<String, u64>,
    codes: BTreeSet<String>,
    said: Option<String>,
    /// What persons were shown.
    pub(crate) shown: Vec<String>,
    /// The sentences of things done at once come in no order.
    pub(crate) mute: bool,
}

impl Tally {
    /// One more ended like this.
    pub(crate) fn ended(&mut self, how: impl Into<String>) {
        let count = self.ended.entry(how.into()).or_default();
        *count = count.saturating_add(1);
    }

    pub(crate) fn said(&mut self, text: impl Into<String>) {
        if !self.mute {
            self.said = Some(text.into());
        }
    }

    /// A refusal with a code of our own.
    pub(crate) fn refused(&mut self, code: &str, text: &str) {
        self.ended("refused");
        self.codes.insert(code.to_owned());
        self.said(text);
    }

    fn reasons(&mut self, reasons: &[Reason]) {
        self.codes.extend(reasons.iter().map(|reason| reason.code.to_string()));
        if let Some(reason) = reasons.first() {
            self.said(reason.message.clone());
        }
    }

    fn decision(&mut self, decision: &Decision) {
        self.reasons(&decision.reasons);
    }

    /// A fetch; the payment it made or found.
    pub(crate) fn fetched(&mut self, fetched: Result<Fetched, FetchError>) -> Option<PaymentId> {
        match fetched {
            Ok(Fetched::Free(response)) => {
                let status = response.status().as_u16();
                self.ended(if status == 200 { "free".to_owned() } else { format!("status_{status}") });
                None
            }
            Ok(Fetched::Owned(delivery)) => {
                self.ended("owned");
                Some(delivery.payment.id)
            }
            Ok(Fetched::Delivered(delivery)) => {
                self.ended("delivered");
                Some(delivery.payment.id)
            }
            Ok(Fetched::Quotes { reasons, .. }) => {
                self.ended("quotes");
                self.reasons(&reasons);
                None
            }
            Ok(Fetched::AwaitingApproval(ticket)) => {
                self.ended("awaiting_approval");
                self.decision(&ticket.decision);
                self.shown.push(ticket.summary);
                None
            }
            Ok(Fetched::Undelivered(undelivered)) => {
                self.ended("undelivered");
                self.said(undelivered.problem);
                Some(undelivered.payment.id)
            }
            Ok(Fetched::Unknown(unknown)) => {
                self.ended("unknown");
                self.said(unknown.problem);
                Some(unknown.id)
            }
            Err(error) => {
                self.failed(&error);
                None
            }
        }
    }

    /// Proven: no money moved.
    pub(crate) fn failed(&mut self, error: &FetchError) {
        if let FetchError::Terms { reason, .. } = error {
            self.reasons(std::slice::from_ref(reason));
        }
        self.ended(match error {
            FetchError::Denied(decision) => {
                self.decision(decision);
                return self.ended("denied");
            }
            FetchError::Request(_) => "request_refused",
            FetchError::Terms { reason, .. } => {
                self.reasons(std::slice::from_ref(reason));
                return self.ended("terms_unreadable");
            }
            FetchError::NotPaid(_) => "not_paid",
            FetchError::Transport(_) => "no_answer",
            FetchError::Wallet(_) => "wallet_cannot_pay",
            FetchError::Ledger(_) => "ledger_down",
            FetchError::Closing => "closing",
        });
        self.said(causes(error));
    }

    /// A proposal.
    pub(crate) fn planned(&mut self, outcome: PlanOutcome) {
        match outcome {
            PlanOutcome::Approved { .. } => self.ended("planned"),
            PlanOutcome::AwaitingApproval { ticket, .. } => {
                self.ended("plan_awaits");
                self.decision(&ticket.decision);
                self.shown.push(ticket.summary);
            }
            PlanOutcome::Refused { decision, .. } => {
                self.ended("plan_refused");
                self.decision(&decision);
            }
        }
    }

    /// The outcome; a sentence that names the stage's folder names it `DATA`, since it is another one in every run.
    pub(crate) fn outcome(self, step: String, action: String, folder: &str) -> Outcome {
        let Self { ended, codes, said, .. } = self;
        let said = said.map(|said| said.replace(folder, "DATA"));
        Outcome { step, action, ended, codes, said }
    }
}

impl Tally {
    /// Why quotes cannot be paid.
    pub(crate) fn blocked(&mut self, quotes: &[bursar::types::Quote]) {
        let reasons: Vec<_> = quotes.iter().filter_map(|quote| quote.blocked.clone()).collect();
        self.reasons(&reasons);
    }
}
