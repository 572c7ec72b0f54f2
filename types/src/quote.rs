//! Quotes: a payee's terms as received.

use crate::amount::Amount;
use crate::clock::Timestamp;
use crate::decision::Reason;
use crate::id::QuoteId;
use crate::transport::HttpResponse;
use crate::untrusted::Untrusted;
use serde::{Deserialize, Serialize};

/// One way to buy one resource from one vendor, as the vendor stated it and as it was checked.
///
/// The numbers, the payee and the network come from the vendor's own bytes, which are kept; nothing here was written by a
/// model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Its id: derived from the request and the terms, so the same offer has the same id.
    pub id: QuoteId,
    /// How the money would move, such as `x402`.
    pub rail: String,
    /// The URL asked.
    pub resource: String,
    /// The HTTP method asked.
    pub method: String,
    /// Host and port that answered.
    pub host: String,
    /// The payee's address on its network, lower case where case has no meaning.
    pub payee: String,
    /// CAIP-2 network.
    pub network: String,
    /// The price, in atomic units.
    pub price: Amount,
    /// Worst-case debit in micro-USD with fees and deposit, rounded up; `None` if the asset has no peg.
    pub cost_micro_usd: Option<Amount>,
    /// What the vendor says about the resource.
    pub description: Option<Untrusted<String>>,
    /// The media type the vendor promises.
    pub media_type: Option<String>,
    /// When it was received.
    pub received_at: Timestamp,
    /// After this moment it must be asked again.
    pub expires_at: Timestamp,
    /// Why it cannot be paid whatever the plan says; `None` if it can.
    pub blocked: Option<Reason>,
}

/// What asking for a price gave. Nothing was paid.
#[derive(Debug)]
#[must_use]
pub enum QuoteOutcome {
    /// The resource costs money: every alternative, payable and cheapest first.
    Quotes(Vec<Quote>),
    /// The resource is free; here it is.
    Free(HttpResponse),
}
