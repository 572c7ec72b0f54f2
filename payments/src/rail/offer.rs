//! Offers, orders and prepared terms.

use bursar_types::{DataLabel, Digest, LedgerId, PaymentId, Quote, Reason, Timestamp};
use bursar_types::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One unpaid request and its answer.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// The request as sent.
    pub request: &'a HttpRequest,
    /// The answer as received.
    pub response: &'a HttpResponse,
    /// When it was received.
    pub received_at: Timestamp,
}

/// One alternative with everything that is needed to pay it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// What the agent sees.
    pub quote: Quote,
    /// Digest over what the money depends on: rail, method, URL, scheme, network, asset, amount, payee. Ids and expiry are
    /// left out, so the same terms asked twice have the same digest.
    pub terms: Digest,
    /// Digest of the body of the request that was answered with these terms; a signature does not cover it, so a plan does.
    pub body: Digest,
    /// When money can move, as the payee wants it: `authorization` (after the goods are made), `upfront`, `escrow`.
    pub flow: String,
    /// Whether the payee declares that the purchase renews itself: a subscription, or a trial that becomes one.
    pub recurring: bool,
    /// Whose data the request carried that was answered with these terms.
    pub data: DataLabel,
    /// The vendor's terms verbatim and what else the rail needs to pay, as JSON text.
    pub verbatim: String,
}

/// A decided and held purchase, before anything is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The ledger; part of every nonce, so that two ledgers never sign the same one.
    pub ledger: LedgerId,
    /// The payment.
    pub payment: PaymentId,
    /// Which attempt, from 0.
    pub attempt: u32,
    /// What is bought, on which terms.
    pub offer: Offer,
    /// The wallet's address.
    pub payer: String,
    /// The moment from which the window counts: after any approval.
    pub now: Timestamp,
    /// Longest that an authorization may live.
    pub window_s_max: u64,
}

/// The exact terms to be signed: durable before the signature exists, and enough to make the same bytes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The rail.
    pub rail: String,
    /// What the rail signs and needs to ask about it later, as the rail's own JSON.
    pub terms: serde_json::Value,
    /// The 32-byte digest that will be signed. A wallet signs nothing else for this clearance.
    pub signing: Digest,
    /// After this moment the authorization can move nothing.
    pub expires_at: Timestamp,
    /// What differs from what the vendor asked for, such as a shorter window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Reason>,
}

/// Why terms could not be read or used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OfferError {
    /// The answer claims to be of this rail and is not read: damaged, too large, or to be read in two ways.
    #[error("{0}")]
    Unreadable(Reason),
    /// The offer was readable and cannot be paid.
    #[error("{0}")]
    NotPayable(Reason),
}
