//! What a person does about obligations: look at them, settle, extend, write off, and say where money belongs. Each needs a
//! name and a reason, and is journaled.

use super::book::Booked;
use super::decide::TRIES;
use super::inflow::Stray;
use super::join::{Loaded, linked_payments};
use super::open::fold_session;
use super::{Payments, unavailable};
use crate::obligation::{Obligation, ObligationEvent};
use crate::payment::{Evidence, Payment, PaymentEvent};
use crate::rail::ChainEvent;
use bursar_ledger::Transaction;
use bursar_types::{FetchError, PaymentId, PaymentView, SessionId, Timestamp};
use bytes::Bytes;
use serde::Serialize;
use thiserror::Error;

/// An obligation that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenObligation {
    /// The payment: what was paid, to whom, for what.
    pub payment: PaymentView,
    /// The session that paid.
    pub session: SessionId,
    /// How it is known that money moved.
    pub evidence: Evidence,
    /// What is owed, who looks after it, and by when.
    pub obligation: Obligation,
}

/// Why a person's word was not taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeskError {
    /// There is no such payment, or it moved no money.
    #[error("payment {0} moved no money, so nothing is owed for it; `bursar obligations` lists what is owed")]
    NothingOwed(PaymentId),
    /// It is over already.
    #[error("what was owed for {0} is over; nothing was changed")]
    Over(PaymentId),
    /// The name or the reason is missing.
    #[error("{0} is empty; say who decides, and why, so that the journal can tell")]
    Empty(&'static str),
    /// The moment is not later than now.
    #[error("{0} is not in the future")]
    Past(Timestamp),
    /// The money was not seen, or was credited already.
    #[error("{0} is not waiting for a person; `bursar obligations` lists what is")]
    NoStray(ChainEvent),
    /// More would be credited than was paid, another asset, or a payment that nobody saw move.
    #[error(
        "{0} cannot be credited to that payment: more than was paid, in another asset, or nobody saw it move"
    )]
    DoesNotFit(ChainEvent),
    /// Somebody else keeps changing it.
    #[error("somebody else changed it at the same time; look again")]
    Contended,
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] FetchError),
}

/// A person's word.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Settle,
    WriteOff,
    Extend(Timestamp),
}

impl Payments {
    /// Every obligation that is not over, the earliest due first.
    ///
    /// # Errors
    /// [`FetchError::Ledger`].
    pub async fn obligations(&self) -> Result<Vec<OpenObligation>, FetchError> {
        let ids = linked_payments(self.ledger(), &["owed/", "refund/"]).await?;
        let mut all = Vec::with_capacity(ids.len());
        for id in ids {
            match self.obligation(id).await {
                Ok(open) => all.extend(open.filter(|open| !open.obligation.is_over())),
                // One that cannot be read does not hide the others.
                Err(error) => tracing::error!(payment = %id, %error, "what is owed cannot be read"),
            }
        }
        all.sort_by_key(|open| (open.obligation.due, open.payment.id));
        Ok(all)
    }

    /// What is owed for one payment, also when it is over; `None` if it moved no money.
    ///
    /// # Errors
    /// [`FetchError::Ledger`].
    pub async fn obligation(&self, id: PaymentId) -> Result<Option<OpenObligation>, FetchError> {
        let payment = Loaded::read(self.ledger(), id).await?.payment;
        let view = payment.as_ref().and_then(Payment::view);
        let (Some(Payment::Paid { signed, evidence, obligation }), Some(view)) = (payment, view) else {
            return Ok(None);
        };
        let session = signed.held.ask.session;
        Ok(Some(OpenObligation { payment: view, session, evidence, obligation: *obligation }))
    }

    /// The dispute file of a payment, if one was written and was not erased.
    ///
    /// # Errors
    /// [`FetchError::Ledger`].
    pub async fn dispute_file(&self, id: PaymentId) -> Result<Option<Bytes>, FetchError> {
        let open = self.obligation(id).await?;
        let file = open.and_then(|open| open.obligation.claim).and_then(|claim| claim.file);
        match file {
            Some(file) => self.ledger().payload(file).await.map_err(unavailable),
            None => Ok(None),
        }
    }

    /// A person says that it is settled: the goods came another way, or less than was asked back is enough.
    ///
    /// # Errors
    /// [`DeskError`]; nothing was changed, except that after [`DeskError::Ledger`] it may be recorded: look before it is said again.
    pub async fn settle_obligation(&self, id: PaymentId, by: &str, reason: &str) -> Result<(), DeskError> {
        self.say(id, by, reason, &Word::Settle).await
    }

    /// A person gives it up.
    ///
    /// # Errors
    /// [`DeskError`]; nothing was changed, except that after [`DeskError::Ledger`] it may be recorded: look before it is said again.
    pub async fn write_off(&self, id: PaymentId, by: &str, reason: &str) -> Result<(), DeskError> {
        self.say(id, by, reason, &Word::WriteOff).await
    }

    /// A person gives it more time.
    ///
    /// # Errors
    /// [`DeskError`]; nothing was changed, except that after [`DeskError::Ledger`] it may be recorded: look before it is said again.
    pub async fn extend_obligation(
        &self,
        id: PaymentId,
        by: &str,
        reason: &str,
        due: Timestamp,
    ) -> Result<(), DeskError> {
        if due <= self.0.clock.now() {
            return Err(DeskError::Past(due));
        }
        self.say(id, by, reason, &Word::Extend(due)).await
    }

    async fn say(&self, id: PaymentId, by: &str, reason: &str, word: &Word) -> Result<(), DeskError> {
        for (what, text) in [("the name", by), ("the reason", reason)] {
            if text.trim().is_empty() {
                return Err(DeskError::Empty(what));
            }
        }
        let (by, reason) = (by.to_owned(), reason.to_owned());
        let event = match word {
            Word::Settle => ObligationEvent::Settled { by, reason },
            Word::WriteOff => ObligationEvent::WrittenOff { by, reason },
            Word::Extend(due) => ObligationEvent::Extended { by, reason, due: *due },
        };
        for _ in 0..TRIES {
            let loaded = Loaded::read(self.ledger(), id).await?;
            let Some(Payment::Paid { signed, obligation, .. }) = &loaded.payment else {
                return Err(DeskError::NothingOwed(id));
            };
            if obligation.is_over() {
                return Err(DeskError::Over(id));
            }
            let session = fold_session(self.ledger(), signed.held.ask.session, None).await;
            let purse = self.purse_for_recovery(session.map_err(unavailable)?);
            let events = [PaymentEvent::Owed(event.clone())];
            match purse.book(&loaded, &signed.held, &events, Transaction::default()).await? {
                Booked::Done(_) => return Ok(()),
                Booked::Overtaken => {}
            }
        }
        Err(DeskError::Contended)
    }

    /// A person says that money which came in is no refund.
    ///
    /// # Errors
    /// [`DeskError`]; nothing was changed, except that after [`DeskError::Ledger`] it may be recorded: look before it is said again.
    pub async fn dismiss_stray(&self, event: &ChainEvent, by: &str, reason: &str) -> Result<(), DeskError> {
        for (what, text) in [("the name", by), ("the reason", reason)] {
            if text.trim().is_empty() {
                return Err(DeskError::Empty(what));
            }
        }
        self.forget_stray(event, by, reason)
            .await?
            .then_some(())
            .ok_or_else(|| DeskError::NoStray(event.clone()))
    }

    /// A person says that money which came in belongs to a payment.
    ///
    /// # Errors
    /// [`DeskError`]; nothing was changed, except that after [`DeskError::Ledger`] it may be recorded: look before it is said again.
    pub async fn credit_stray(
        &self,
        event: &ChainEvent,
        payment: PaymentId,
        by: &str,
    ) -> Result<(), DeskError> {
        if by.trim().is_empty() {
            return Err(DeskError::Empty("the name"));
        }
        for _ in 0..TRIES {
            let strays = self.strays().await?;
            let stray = strays.into_iter().find(|stray| stray.transfer.event == *event);
            let Some(Stray { transfer, .. }) = stray else { return Err(DeskError::NoStray(event.clone())) };
            let open = self.obligation(payment).await?.ok_or(DeskError::NothingOwed(payment))?;
            let price = &open.payment.amount;
            let sum = open.obligation.refunded().and_then(|sum| sum.checked_add(transfer.amount.atomic()));
            let fits = open.evidence.is_observed()
                && transfer.amount.asset() == price.asset()
                && sum.is_some_and(|sum| sum <= price.atomic());
            if !fits {
                return Err(DeskError::DoesNotFit(event.clone()));
            }
            match self.credit(&transfer, payment, Some(by.to_owned())).await? {
                Booked::Done(_) => return Ok(()),
                Booked::Overtaken => {}
            }
        }
        Err(DeskError::Contended)
    }
}
