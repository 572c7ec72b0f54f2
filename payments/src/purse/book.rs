//! Booking: a payment's events, the money move that follows from them, and the links that others look at, in one transaction.

use super::decide::{unknown_prefix, vendor_link};
use super::join::Loaded;
use super::pay::{close_link, unavailable_event};
use super::spans::note_entry;
use super::{SessionPurse, unavailable};
use crate::obligation::{ObligationEvent, ObligationState};
use crate::payment::{Held, Payment, PaymentEvent};
use bursar_ledger::{AccountOp, CommitError, Line, LinkWrite, Refusal, SealedEvent, StreamId, Transaction};
use bursar_types::{Amount, ArtifactRecord, AssetId, FetchError};
use serde_json::json;

/// What became of booking.
#[derive(Debug)]
pub(super) enum Booked {
    /// It is durable, and this is the payment now.
    Done(Box<Payment>),
    /// Another worker booked something meanwhile: read again.
    Overtaken,
}

impl SessionPurse {
    /// Books events of a payment that was read as `loaded`. `extra` joins the same transaction.
    ///
    /// The money move is not chosen by callers: it follows from the state before and the state after, so that no event can
    /// be booked without its money, nor money without its event.
    pub(super) async fn book(
        &self,
        loaded: &Loaded,
        held: &Held,
        events: &[PaymentEvent],
        extra: Transaction,
    ) -> Result<Booked, FetchError> {
        let mut state = loaded.payment.clone();
        for event in events {
            state = Some(Payment::apply(state, event.clone()).map_err(|error| unavailable_event(&error))?);
        }
        let state = state.ok_or_else(|| FetchError::NotPaid("there is no such payment".to_owned()))?;
        let mut transaction = extra;
        transaction.require.push(loaded.unmoved());
        for event in events {
            self.add_payment_event(&mut transaction, held, event).map_err(unavailable)?;
        }
        transaction.accounts.extend(money_move(held, loaded.payment.as_ref(), &state));
        for event in events {
            if let PaymentEvent::Owed(ObligationEvent::RefundSeen { refund }) = event {
                transaction.accounts.extend(credit(held, &refund.transfer));
            }
        }
        self.mark(&mut transaction, held, events, &state).await?;
        match self.shared.ledger.commit(transaction).await {
            Ok(committed) => {
                note_entry(&committed);
                self.tell_events(events, &state);
                if self.follows_phase {
                    self.note_phase().await;
                }
                Ok(Booked::Done(Box::new(state)))
            }
            Err(CommitError::Refused(Refusal::StreamMoved { .. } | Refusal::LinkMoved { .. })) => {
                Ok(Booked::Overtaken)
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Keeps the links that recovery and other purchases look at, and the library's entry.
    async fn mark(
        &self,
        transaction: &mut Transaction,
        held: &Held,
        events: &[PaymentEvent],
        state: &Payment,
    ) -> Result<(), FetchError> {
        let payment = held.ask.payment.to_string();
        let quote = &held.offer.quote;
        let named = |yes: bool| yes.then(|| payment.clone());
        let (paid, observed) = match state {
            Payment::Paid { evidence, .. } => (true, evidence.is_observed()),
            Payment::Held(_) | Payment::Signing(_) | Payment::Unknown { .. } | Payment::NotPaid { .. } => {
                (false, false)
            }
        };
        let owed = state.obligation().is_some_and(|obligation| !obligation.is_over());
        let ended =
            state.obligation().is_some_and(|obligation| obligation.is_over() || obligation.has_goods());
        let mut wanted = vec![
            (
                format!("{}{payment}", unknown_prefix(&quote.host)),
                named(matches!(state, Payment::Unknown { .. })),
            ),
            (format!("claimed/{payment}"), named(paid && !observed)),
            (format!("owed/{payment}"), named(owed)),
            (format!("refund/{payment}"), named(awaits_money(held, state))),
        ];
        if paid {
            wanted.push((vendor_link(&quote.host, &quote.payee), Some("paid".to_owned())));
        }
        if ended {
            // Goods, a refund or a person's word: the purchase under this key is over, and is not made again.
            wanted.push((self.bought_link(&held.ask), Some(payment.clone())));
        }
        for event in events {
            if let PaymentEvent::Delivered { record } = event {
                self.add_to_library(transaction, record)?;
                wanted.push((artifact_link(record), Some(payment.clone())));
            }
        }
        let over = ended || matches!(state, Payment::NotPaid { .. });
        let close = close_link(held);
        let keys: Vec<String> =
            wanted.iter().map(|(key, _)| key.clone()).chain([close.key.clone()]).collect();
        let mut values = self.shared.ledger.link_values(&keys).await.map_err(unavailable)?.into_iter();
        for (key, value) in wanted {
            let expected = values.next().flatten();
            if expected != value {
                transaction.links.push(LinkWrite { key, expected, value });
            }
        }
        if over && values.next().flatten() == close.expected {
            transaction.links.push(close);
        }
        Ok(())
    }

    fn add_to_library(
        &self,
        transaction: &mut Transaction,
        record: &ArtifactRecord,
    ) -> Result<(), FetchError> {
        let stream =
            StreamId::new(ArtifactRecord::STREAM).map_err(|error| FetchError::Ledger(Box::new(error)))?;
        let fields = [("artifact", json!(record.artifact.id)), ("payment", json!(record.payment.id))];
        SealedEvent::new(stream, ArtifactRecord::KIND, fields, record, &*self.shared.entropy)
            .map_err(unavailable)?
            .add_to(transaction);
        Ok(())
    }
}

/// Whether money was asked back and may still come, also after a person ended the obligation.
pub(crate) fn awaits_money(held: &Held, state: &Payment) -> bool {
    state.obligation().is_some_and(|obligation| {
        let dropped = matches!(obligation.state, ObligationState::Delivered);
        let written_off = matches!(obligation.state, ObligationState::WrittenOff { .. });
        let asked = obligation.claim.is_some() && !dropped;
        (asked || written_off) && obligation.left(held.amount()).is_some()
    })
}

/// Where the payment of a bought thing is found.
pub(super) fn artifact_link(record: &ArtifactRecord) -> String {
    format!("artifact/{}", record.artifact.id)
}

/// The budget move of a state change: capture when it moved or counts as moved, release when it did not, credit when it was
/// shown after all not to have moved.
fn money_move(held: &Held, before: Option<&Payment>, state: &Payment) -> Option<AccountOp> {
    match (before, state) {
        (Some(Payment::Paid { .. }), Payment::NotPaid { .. }) => {
            Some(AccountOp::Refund { id: "disproved".to_owned(), hold: held.hold, lines: held.lines.clone() })
        }
        (Some(Payment::Paid { .. }), _) => None,
        (_, Payment::Paid { evidence, .. }) => {
            Some(AccountOp::Capture { id: held.hold, lines: None, observed: evidence.is_observed() })
        }
        (_, Payment::NotPaid { .. }) => Some(AccountOp::Release { id: held.hold }),
        (_, Payment::Held(_) | Payment::Signing(_) | Payment::Unknown { .. }) => None,
    }
}

/// The credit of money that came back: the same part of every line that counts dollars, rounded against the agent.
/// Counts are no money and do not come back.
pub(crate) fn credit(held: &Held, transfer: &crate::rail::Transfer) -> Option<AccountOp> {
    let price = held.amount().atomic();
    let dollars = AssetId::micro_usd();
    let part = |line: &Line| {
        let whole = line.amount.atomic();
        let atomic = whole.checked_mul(transfer.amount.atomic())?.checked_div(price)?.min(whole);
        let amount = Amount::from_atomic(line.amount.asset().clone(), atomic);
        (!amount.is_zero()).then_some(Line { budget: line.budget, amount })
    };
    let lines: Vec<Line> =
        held.lines.iter().filter(|line| *line.amount.asset() == dollars).filter_map(part).collect();
    let id = format!("refund {}", transfer.event);
    (!lines.is_empty()).then_some(AccountOp::Refund { id, hold: held.hold, lines })
}
