//! Accounts, and where the money of a payment stands in them.

use super::super::{Moved, Purchase};
use super::names::component;
use crate::report::PaymentState;
use std::fmt;

/// An account, by its name in the books: legal wherever they are read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Account(String);

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the money of a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Set aside; nothing was signed.
    Held,
    /// It may have moved, and nobody can say.
    Unknown,
    /// Paid: the payee owes goods or money.
    Owed,
    /// Paid, and the goods came.
    Bought,
    /// Paid, and a person settled it without money or goods that the journal saw.
    Settled,
    /// Paid, and given up.
    WrittenOff,
}

/// Where how much of a payment's money is; the wallet has that much less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) place: Place,
    /// Atomic units that left the wallet and did not come back.
    pub(super) kept: u128,
}

/// An amount is not known.
#[derive(Debug)]
pub(super) struct NotKnown;

impl Standing {
    /// How a payment stands, as `bursar spend` tells it; `None` if nothing left the wallet.
    pub(super) fn of(purchase: &Purchase) -> Result<Option<Self>, NotKnown> {
        let price = purchase.payment.amount.as_ref().ok_or(NotKnown)?.atomic();
        let place = match purchase.moved {
            Moved::No => return Ok(None),
            Moved::Held => return Ok(Some(Self { place: Place::Held, kept: price })),
            Moved::Unknown | Moved::Presumed => {
                return Ok(Some(Self { place: Place::Unknown, kept: price }));
            }
            Moved::Claimed | Moved::Observed if purchase.goods => Place::Bought,
            Moved::Claimed | Moved::Observed if purchase.owed => Place::Owed,
            Moved::Claimed | Moved::Observed => match &purchase.payment.state {
                PaymentState::Closed { written_off: false, .. } => Place::Settled,
                PaymentState::Erased { .. } if !purchase.written_off => Place::Settled,
                _ => Place::WrittenOff,
            },
        };
        let refunded = purchase.refunded.as_ref().ok_or(NotKnown)?.atomic();
        let kept = price.checked_sub(refunded).ok_or(NotKnown)?;
        Ok(Some(Self { place, kept }))
    }

    /// What each account holds for it.
    pub(super) fn postings(self, purchase: &Purchase) -> [(Account, i128); 2] {
        let kept = i128::try_from(self.kept).unwrap_or(i128::MAX);
        let own = wallet(purchase.network.as_deref().unwrap_or_default(), purchase.payer.as_deref());
        [(self.place.account(purchase), kept), (own, kept.saturating_neg())]
    }
}

impl Place {
    fn account(self, purchase: &Purchase) -> Account {
        let category = purchase.category.as_deref().map_or_else(not_known, component);
        let host = purchase.payment.host.as_str();
        let vendor = if host.is_empty() { not_known() } else { component(host) };
        Account(match self {
            Self::Held => "Assets:Held".to_owned(),
            Self::Unknown => "Assets:Unknown".to_owned(),
            Self::Owed => format!("Assets:Owed:{category}:{vendor}"),
            Self::Bought => format!("Expenses:Bought:{category}:{vendor}"),
            Self::Settled => format!("Expenses:Settled:{category}:{vendor}"),
            Self::WrittenOff => format!("Expenses:WrittenOff:{category}:{vendor}"),
        })
    }
}

/// What left without the journal, by who got it.
pub(super) fn adopted(payee: &str) -> Account {
    Account(format!("Expenses:Adopted:{}", if payee.is_empty() { not_known() } else { component(payee) }))
}

pub(super) fn wallet(network: &str, address: Option<&str>) -> Account {
    let (namespace, reference) = network.split_once(':').unwrap_or((network, ""));
    let address = address.map_or_else(not_known, component);
    Account(format!("Assets:Wallet:{}:{}:{address}", component(namespace), component(reference)))
}

/// What was erased or is not yet said. No name is mapped to it: they have no capital letter inside.
fn not_known() -> String {
    "NotKnown".to_owned()
}
