//! What an approver is asked.

use super::answer::SignedAnswer;
use crate::plan::{ItemTerms, Plan};
use crate::rail::Offer;
use bursar_types::{
    Amount, ApprovalId, CanonicalError, DataLabel, Digest, Effect, LedgerId, PaymentId, PlanItemId,
    SessionId, Timestamp, canonical_bytes,
};
use serde::{Deserialize, Serialize};

/// What an approver is asked, with everything that the answer binds. Its digest is over these fields in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its id.
    pub id: ApprovalId,
    /// The ledger in which it was asked.
    pub ledger: LedgerId,
    /// The session that asks.
    pub session: SessionId,
    /// What would be done.
    pub action: ApprovalAction,
    /// The rules that ask. A yes lifts these and no others.
    pub rules: Vec<String>,
    /// After this moment no answer counts, and a yes is worth nothing.
    pub expires_at: Timestamp,
}

/// What would be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum ApprovalAction {
    /// A plan would be approved as it stands.
    Plan(Box<Plan>),
    /// One payment would be made.
    Payment(Box<PaymentTerms>),
    /// A tool would be called once.
    Call(Box<CallTerms>),
}

/// A tool with its exact arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallTerms {
    /// The tool's name, from the agent's own list.
    pub tool: String,
    /// What it does to the world.
    pub effect: Effect,
    /// Digest of the canonical arguments.
    pub arguments: Digest,
    /// The arguments as the model wrote them, cut off where they are long.
    pub shown: String,
}

/// The exact terms of one payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentTerms {
    /// The payment.
    pub payment: PaymentId,
    /// The plan's item that covers it.
    pub item: PlanItemId,
    /// The rail.
    pub rail: String,
    /// When money can move.
    pub flow: String,
    /// The URL.
    pub resource: String,
    /// The method.
    pub method: String,
    /// Digest of the request's body.
    pub body: Digest,
    /// Whether the vendor declares that what is bought renews itself.
    pub recurring: bool,
    /// Whose data the request carries.
    pub data: DataLabel,
    /// Host and port.
    pub host: String,
    /// The payee.
    pub payee: String,
    /// CAIP-2 network.
    pub network: String,
    /// The price in the asset: the most that may be paid.
    pub price: Amount,
    /// The same in micro-USD, rounded up.
    pub micro_usd: Amount,
}

/// How an approval was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum GivenBy {
    /// With the signature of an approver that the mandate pins.
    Signed {
        /// The approver's name in the mandate.
        name: String,
        /// What was signed.
        answer: Box<SignedAnswer>,
    },
    /// By whoever sat at the terminal, or by code in the same process. Nothing proves it.
    InProcess {
        /// The name it goes by.
        name: String,
    },
}

impl GivenBy {
    /// Who.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Signed { name, .. } | Self::InProcess { name } => name,
        }
    }

    /// `signed` or `in-process`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Signed { .. } => "signed",
            Self::InProcess { .. } => "in-process",
        }
    }
}

impl Question {
    /// The digest that answers name.
    ///
    /// # Errors
    /// [`CanonicalError`] if a field has no canonical form.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        Ok(Digest::of_parts("bursar/approval-question/v1", &[&canonical_bytes(self)?]))
    }
}

impl ApprovalAction {
    /// The payment and its plan's item, if it is about one.
    pub(crate) fn payment(&self) -> Option<(PaymentId, PlanItemId)> {
        match self {
            Self::Plan(_) | Self::Call(_) => None,
            Self::Payment(terms) => Some((terms.payment, terms.item)),
        }
    }

    /// Digest of what is bought and from whom, without ids and times: the same thing asked a second time has the same.
    ///
    /// # Errors
    /// [`CanonicalError`] if a field has no canonical form.
    pub fn substance(&self) -> Result<Digest, CanonicalError> {
        let bytes = match self {
            Self::Plan(plan) => {
                let mut items: Vec<_> = plan.items.iter().map(Substance::of).collect();
                items.sort();
                canonical_bytes(&items)?
            }
            Self::Payment(terms) => {
                let (payment, item) = (PaymentId::from_bytes([0; 16]), PlanItemId::from_bytes([0; 16]));
                canonical_bytes(&PaymentTerms { payment, item, ..PaymentTerms::clone(terms) })?
            }
            // The digest says which arguments; how much of them was shown is no part of it.
            Self::Call(terms) => canonical_bytes(&(&terms.tool, terms.effect, terms.arguments))?,
        };
        let kind: &[u8] = match self {
            Self::Plan(_) => b"plan",
            Self::Payment(_) => b"payment",
            Self::Call(_) => b"call",
        };
        Ok(Digest::of_parts("bursar/approval-substance/v1", &[kind, &bytes]))
    }
}

/// What an approval depends on in a plan's item.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Substance<'a> {
    resource: &'a str,
    method: &'a str,
    body: Option<String>,
    host: &'a str,
    payee: &'a str,
    asset: &'a str,
    ceiling: String,
    count: u32,
    recurring: bool,
    client_data: bool,
}

impl<'a> Substance<'a> {
    fn of(item: &'a ItemTerms) -> Self {
        Self {
            resource: &item.resource,
            method: &item.method,
            body: item.body.map(|body| body.to_string()),
            host: &item.host,
            payee: &item.payee,
            asset: item.asset.as_str(),
            ceiling: item.ceiling.atomic().to_string(),
            count: item.count,
            recurring: item.recurring,
            client_data: item.client_data,
        }
    }
}

impl PaymentTerms {
    /// The terms of an offer for a payment.
    #[must_use]
    pub fn of(payment: PaymentId, item: PlanItemId, offer: &Offer, micro_usd: &Amount) -> Self {
        let quote = &offer.quote;
        Self {
            payment,
            item,
            rail: quote.rail.clone(),
            flow: offer.flow.clone(),
            resource: quote.resource.clone(),
            method: quote.method.clone(),
            body: offer.body,
            recurring: offer.recurring,
            data: offer.data,
            host: quote.host.clone(),
            payee: quote.payee.clone(),
            network: quote.network.clone(),
            price: quote.price.clone(),
            micro_usd: micro_usd.clone(),
        }
    }

    /// The first thing in which other terms differ from these: what, as approved, as found. A lower price is no difference.
    #[must_use]
    pub fn difference(&self, found: &Self) -> Option<(&'static str, String, String)> {
        let cheaper = matches!(found.price.at_most(&self.price), Ok(true))
            && matches!(found.micro_usd.at_most(&self.micro_usd), Ok(true));
        let texts = [
            ("payment", self.payment.to_string(), found.payment.to_string()),
            ("plan's item", self.item.to_string(), found.item.to_string()),
            ("rail", self.rail.clone(), found.rail.clone()),
            ("flow", self.flow.clone(), found.flow.clone()),
            ("resource", self.resource.clone(), found.resource.clone()),
            ("method", self.method.clone(), found.method.clone()),
            ("request's body", self.body.to_string(), found.body.to_string()),
            ("renewal", self.recurring.to_string(), found.recurring.to_string()),
            ("data", format!("{:?}", self.data), format!("{:?}", found.data)),
            ("host", self.host.clone(), found.host.clone()),
            ("payee", self.payee.clone(), found.payee.clone()),
            ("network", self.network.clone(), found.network.clone()),
            ("asset", self.price.asset().to_string(), found.price.asset().to_string()),
        ];
        let other = texts.into_iter().find(|(_, approved, found)| approved != found);
        other.or_else(|| {
            let price = |terms: &Self| terms.price.atomic().to_string();
            (!cheaper).then(|| ("price", price(self), price(found)))
        })
    }
}
