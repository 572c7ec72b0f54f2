//! One payment's life, folded from its stream: by its events, or by its leaves where these were erased.

use super::Moved;
use super::id_of;
use crate::error::BursarError;
use crate::report::{PaymentReport, PaymentState, erased_report, payment_report};
use bursar_ledger::{Entry, Ledger, StreamId};
use bursar_payments::{Evidence, Held, Payment, PaymentEvent, Signed};
use bursar_types::{Amount, PaymentId, Timestamp};

/// One payment's life.
#[derive(Debug)]
pub(in crate::report) struct Life {
    pub(super) id: PaymentId,
    /// Its entries, each with its event if that can be read.
    pub(super) entries: Vec<(Entry, Option<PaymentEvent>)>,
    /// When money was first set aside.
    first: Timestamp,
    /// How it stands; `None` if not all of it can be read.
    pub(super) state: Option<Payment>,
    held: Option<Held>,
    /// What is wrong with its record.
    problem: Option<String>,
    /// Whether no payload of it is left.
    pub(super) erased: bool,
    paid_at: Option<Timestamp>,
}

impl Life {
    /// Reads one up to a moment; `None` if nothing had happened by then.
    pub(in crate::report) async fn read(
        ledger: &Ledger,
        stream: &StreamId,
        until: Option<Timestamp>,
    ) -> Result<Option<Self>, BursarError> {
        let Some(id) = id_of(stream) else { return Ok(None) };
        let mut found = ledger.stream_with_payloads(stream, 0).await?;
        found.retain(|(entry, _)| until.is_none_or(|until| entry.at < until));
        let Some(first) = found.first().map(|(entry, _)| entry.at) else { return Ok(None) };
        let erased = found.iter().all(|(_, payload)| payload.is_none());
        let mut life = Self {
            id,
            entries: Vec::new(),
            first,
            state: None,
            held: None,
            problem: None,
            erased,
            paid_at: None,
        };
        for (entry, payload) in found {
            let event = match payload {
                None => Err("its payload was erased".to_owned()),
                Some(bytes) => serde_json::from_slice::<PaymentEvent>(&bytes).map_err(|why| why.to_string()),
            };
            life.follow(&entry, event.as_ref());
            life.entries.push((entry, event.ok()));
        }
        Ok(Some(life))
    }

    fn follow(&mut self, entry: &Entry, event: Result<&PaymentEvent, &String>) {
        if self.problem.is_some() {
            return;
        }
        if let Ok(PaymentEvent::Held(held)) = event {
            self.held = Some(Held::clone(held));
        }
        let next = event.cloned().map_err(Clone::clone).and_then(|event| {
            Payment::apply(self.state.take(), event).map_err(|illegal| illegal.to_string())
        });
        match next {
            Ok(state) => {
                let paid = matches!(state, Payment::Paid { .. });
                self.paid_at = paid.then(|| self.paid_at.unwrap_or(entry.at));
                self.state = Some(state);
            }
            Err(problem) => self.problem = Some(problem),
        }
    }

    /// Its entries, each with its event if that can be read.
    pub(in crate::report) fn events(&self) -> impl Iterator<Item = (&Entry, Option<&PaymentEvent>)> {
        self.entries.iter().map(|(entry, event)| (entry, event.as_ref()))
    }

    /// The payment as it stood.
    pub(in crate::report) fn report(&self) -> PaymentReport {
        if self.erased {
            let entries: Vec<_> = self.entries.iter().map(|(entry, _)| entry).collect();
            return erased_report(self.id, self.first, &entries);
        }
        let mut report = payment_report(
            self.id,
            self.first,
            self.state.as_ref(),
            self.held.as_ref(),
            self.problem.clone(),
        );
        if matches!(report.state, PaymentState::Unreadable { .. }) && report.amount.is_none() {
            let entries: Vec<_> = self.entries.iter().map(|(entry, _)| entry).collect();
            let left = erased_report(self.id, self.first, &entries);
            (report.amount, report.micro_usd, report.session) = (left.amount, left.micro_usd, left.session);
        }
        report
    }

    pub(super) fn rail(&self) -> Option<String> {
        self.held.as_ref().map(|held| held.offer.quote.rail.clone())
    }

    pub(in crate::report) fn signed(&self) -> Option<&Signed> {
        match self.state.as_ref()? {
            Payment::Signing(signed) | Payment::Unknown { signed, .. } | Payment::Paid { signed, .. } => {
                Some(signed)
            }
            Payment::Held(_) | Payment::NotPaid { .. } => None,
        }
    }

    pub(in crate::report) fn payer(&self) -> Option<String> {
        self.signed().map(|signed| signed.order.payer.clone())
    }

    pub(in crate::report) fn moved(&self) -> Moved {
        if self.erased {
            return self.moved_by_leaves();
        }
        match (&self.problem, &self.state) {
            (Some(_), _) | (None, None) => Moved::Unknown,
            (None, Some(state)) => moved(state),
        }
    }

    fn moved_by_leaves(&self) -> Moved {
        let said =
            |entry: &Entry| entry.body.get("moved").and_then(|moved| moved.as_str()).map(str::to_owned);
        let last = self.entries.iter().rev().find_map(|(entry, _)| Some((entry.kind.as_str(), said(entry)?)));
        match last {
            Some((kind, moved)) if moved == "yes" => match kind {
                "payment.observed" => Moved::Observed,
                "payment.presumed" => Moved::Presumed,
                _ => Moved::Claimed,
            },
            Some((_, moved)) if moved == "no" => Moved::No,
            Some(_) => Moved::Unknown,
            None => Moved::Held,
        }
    }

    pub(in crate::report) fn paid_at(&self) -> Option<Timestamp> {
        if !self.erased {
            return self.paid_at;
        }
        let yes = |entry: &Entry| entry.body.get("moved").and_then(|moved| moved.as_str()) == Some("yes");
        let first = self.entries.iter().find(|(entry, _)| yes(entry)).map(|(entry, _)| entry.at);
        first.filter(|_| !matches!(self.moved_by_leaves(), Moved::No))
    }

    /// What was seen to come back.
    pub(super) fn refunded(&self) -> Option<Amount> {
        let asset = self.report().amount?.asset().clone();
        let atomic = match self.state.as_ref().filter(|_| self.problem.is_none()) {
            Some(state) => state.obligation().map_or(Some(0), bursar_payments::Obligation::refunded)?,
            None => self.refunded_by_leaves()?,
        };
        Some(Amount::from_atomic(asset, atomic))
    }

    /// What came back and when, as the leaves of refunds say; `None` where one does not say how much.
    pub(super) fn refunds_by_leaves(&self) -> impl Iterator<Item = (Timestamp, u64, Option<u128>)> {
        let refunds = self.entries.iter().filter(|(entry, _)| entry.kind == "obligation.refund_seen");
        refunds.map(|(entry, _)| {
            let atomic = entry.body.get("refunded").and_then(|atomic| atomic.as_str()?.parse::<u128>().ok());
            (entry.at, entry.sequence, atomic)
        })
    }

    /// Whether the leaves say that goods came.
    pub(super) fn delivered_by_leaves(&self) -> bool {
        self.entries.iter().any(|(entry, _)| entry.kind == "payment.delivered")
    }

    /// Whether it cannot be read to its end.
    pub(super) const fn is_damaged(&self) -> bool {
        self.problem.is_some()
    }

    fn refunded_by_leaves(&self) -> Option<u128> {
        self.refunds_by_leaves().try_fold(0_u128, |sum, (_, _, atomic)| sum.checked_add(atomic?))
    }

    pub(super) fn owed(&self) -> bool {
        let obligation = self.state.as_ref().and_then(Payment::obligation);
        obligation.is_some_and(|obligation| !obligation.is_over())
    }

    /// Whether the leaves of an erased payment say that a person gave it up.
    pub(super) fn written_off(&self) -> bool {
        self.erased && self.entries.iter().any(|(entry, _)| entry.kind == "obligation.written_off")
    }
}

/// How sure it is in this state that money moved.
pub(super) const fn moved(state: &Payment) -> Moved {
    match state {
        Payment::Held(_) => Moved::Held,
        Payment::Signing(_) | Payment::Unknown { .. } => Moved::Unknown,
        Payment::NotPaid { .. } => Moved::No,
        Payment::Paid { evidence, .. } => match evidence {
            Evidence::Presumed { .. } => Moved::Presumed,
            Evidence::Claimed { .. } => Moved::Claimed,
            Evidence::Observed { .. } => Moved::Observed,
        },
    }
}
