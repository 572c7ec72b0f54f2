//! Structured receipts: the evidence of one payment, each piece with the journal entry that it comes from.

use super::PaymentState;
use super::books::{Life, Moved};
use crate::error::BursarError;
use bursar_ledger::{Entry, Ledger, StreamId};
use bursar_payments::{ChainEvent, ObligationEvent, Outcome, PayeeStatement, PaymentEvent};
use bursar_types::{Amount, Digest, PaymentId, SessionId, Timestamp};
use serde::Serialize;

/// Who says something about whether money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// The payee, in its answer: a claim.
    Payee,
    /// The rail itself, when it was asked.
    Rail,
}

/// What somebody said about whether money moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Testimony {
    /// Who.
    pub by: Witness,
    /// Whether it moved; `None` if that could not be said.
    pub moved: Option<bool>,
    /// The transaction or charge that was named.
    pub transaction: Option<String>,
    /// What was said instead: why it is not known, or what proves that nothing moved.
    pub detail: Option<String>,
    /// Position of the entry in the journal.
    pub entry: u64,
    /// When.
    pub at: Timestamp,
}

/// Money that was seen to come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CameBack {
    /// How much.
    pub amount: Amount,
    /// Network, transaction and index of the event.
    pub event: ChainEvent,
    /// Who sent it.
    pub from: String,
    /// Position of the entry in the journal.
    pub entry: u64,
}

/// An entry of the payment's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptEntry {
    /// Position in the journal.
    pub entry: u64,
    /// What happened.
    pub kind: String,
    /// When.
    pub at: Timestamp,
}

/// The evidence of one payment.
///
/// # Example
/// ```no_run
/// # async fn show(payment: bursar::types::PaymentId) -> Result<(), bursar::BursarError> {
/// let ledger = bursar::report::open_ledger(".bursar")?;
/// if let Some(receipt) = bursar::report::receipt(&ledger, payment).await? {
///     println!("{:?} {:?}", receipt.moved, receipt.transaction);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The payment.
    pub payment: PaymentId,
    /// The session that paid.
    pub session: Option<SessionId>,
    /// How it stands.
    #[serde(flatten)]
    pub state: PaymentState,
    /// How sure it is that money moved.
    pub moved: Moved,
    /// When it moved, as far as is known.
    pub paid_at: Option<Timestamp>,
    /// What it cost.
    pub amount: Option<Amount>,
    /// Host and port of the vendor.
    pub host: String,
    /// The payee's address.
    pub payee: String,
    /// CAIP-2 network.
    pub network: Option<String>,
    /// The wallet that paid.
    pub payer: Option<String>,
    /// What was asked for.
    pub method: String,
    /// What was asked for.
    pub resource: String,
    /// Digest of principal, method, URL and body.
    pub request: Option<Digest>,
    /// Digest of the terms that were signed for.
    pub terms: Option<Digest>,
    /// The transaction or charge, as the rail or else the payee names it.
    pub transaction: Option<String>,
    /// What was said about whether money moved, in order: claims of the payee and what the rail was seen to say, told apart.
    pub testimony: Vec<Testimony>,
    /// The terms, as the payee signed them; `None` where nobody looked, or what was found was erased.
    pub offer: Option<PayeeStatement>,
    /// The receipt that the payee signed; `None` as above.
    pub receipt: Option<PayeeStatement>,
    /// SHA-256 of the goods that came.
    pub goods: Option<Digest>,
    /// What came back.
    pub refunds: Vec<CameBack>,
    /// The payment's entries in the journal.
    pub entries: Vec<ReceiptEntry>,
}

/// The evidence of a payment; `None` if nothing was ever held for it. What was erased is missing.
///
/// # Errors
/// [`BursarError::Ledger`].
pub async fn receipt(ledger: &Ledger, id: PaymentId) -> Result<Option<Receipt>, BursarError> {
    let stream = StreamId::of("payment", id);
    let Some(life) = Life::read(ledger, &stream, None).await? else { return Ok(None) };
    let report = life.report();
    let signed = life.signed();
    let mut receipt = Receipt {
        payment: id,
        session: report.session,
        state: report.state,
        moved: life.moved(),
        paid_at: life.paid_at(),
        network: report.amount.as_ref().map(|amount| amount.asset().network().to_owned()),
        amount: report.amount,
        host: report.host,
        payee: report.payee,
        payer: life.payer(),
        method: report.method,
        resource: report.resource,
        request: signed.map(|signed| signed.held.ask.request),
        terms: signed.map(|signed| signed.held.offer.terms),
        transaction: report.receipt.map(|receipt| receipt.reference),
        testimony: Vec::new(),
        offer: None,
        receipt: None,
        goods: report.artifact.map(|artifact| artifact.digest),
        refunds: Vec::new(),
        entries: Vec::new(),
    };
    for (entry, event) in life.events() {
        receipt.entries.push(ReceiptEntry { entry: entry.sequence, kind: entry.kind.clone(), at: entry.at });
        if let Some(event) = event {
            receipt.take(entry, event);
        }
    }
    Ok(Some(receipt))
}

impl Receipt {
    fn take(&mut self, entry: &Entry, event: &PaymentEvent) {
        match event {
            PaymentEvent::Answered { outcome, said, .. } => {
                self.testimony.push(testimony(Witness::Payee, outcome, entry));
                if let Some(said) = said {
                    self.offer = Some(said.offer.clone());
                    self.receipt = Some(said.receipt.clone());
                }
            }
            PaymentEvent::Observed { outcome } => {
                self.testimony.push(testimony(Witness::Rail, outcome, entry))
            }
            PaymentEvent::Owed(ObligationEvent::RefundSeen { refund }) => self.refunds.push(CameBack {
                amount: refund.transfer.amount.clone(),
                event: refund.transfer.event.clone(),
                from: refund.transfer.from.clone(),
                entry: entry.sequence,
            }),
            _ => {}
        }
    }
}

fn testimony(by: Witness, outcome: &Outcome, entry: &Entry) -> Testimony {
    let (moved, transaction, detail) = match outcome {
        Outcome::Moved { reference, .. } => (Some(true), Some(reference.clone()), None),
        Outcome::DidNotMove { proof } => (Some(false), None, Some(proof.clone())),
        Outcome::Unknown { problem } => (None, None, Some(problem.clone())),
    };
    Testimony { by, moved, transaction, detail, entry: entry.sequence, at: entry.at }
}
