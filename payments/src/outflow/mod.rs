//! What left the wallet against what the journal knows: pure comparison.
//!
//! An old data file that was put back, a copy of it that is used elsewhere, and a key in somebody else's hands have one thing in
//! common: money leaves the wallet of which the journal knows nothing. The chain is asked before anything is paid.

mod journal;

pub use journal::{Attempt, Stand, attempts, networks, wallets};
pub(crate) use journal::{MatchedUpTo, OUTFLOW, attempts_of};

use crate::rail::Outgoing;
use bursar_types::{Amount, AssetId, PaymentId, Timestamp};
use serde::Serialize;

/// How what leaves the wallet is compared with the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutflowRules {
    /// Others pay from this wallet too: what leaves is only a contradiction where this ledger authorized it.
    pub shared: bool,
    /// What to do where the chain cannot be read.
    pub unread: Unread,
}

/// What to do where the chain cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unread {
    /// Nothing is paid until it can be.
    #[default]
    Refuse,
    /// Pay, and journal that it was not known what had left the wallet.
    Pay,
}

/// Something that left the wallet, with what the journal knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// What left.
    #[serde(flatten)]
    pub sent: Outgoing,
    /// What the journal knows of it.
    #[serde(flatten)]
    pub found: Found,
}

/// What the journal knows of something that left the wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Found {
    /// A payment that was signed for, of this amount to this payee.
    Matched {
        /// The payment.
        payment: PaymentId,
    },
    /// A person took it into the journal before.
    Adopted,
    /// Nothing that this ledger authorized: from a wallet that others use too, or from before the journal began.
    Foreign,
    /// A payment that was signed for, of another amount or to another payee.
    Different {
        /// The payment.
        payment: PaymentId,
        /// What the journal says: the amount.
        amount: Amount,
        /// What the journal says: the payee.
        payee: String,
    },
    /// Nothing: the journal is older than what happened, or somebody else uses the key.
    Missing {
        /// The payment that the journal has and that was not signed by its account, or of which it says that no money moved.
        #[serde(skip_serializing_if = "Option::is_none")]
        payment: Option<PaymentId>,
        /// Why it counts as unknown.
        why: &'static str,
    },
}

impl Compared {
    /// How much left of which the journal does not know: zero where it knows.
    #[must_use]
    pub fn unknown(&self) -> Amount {
        let asset = self.sent.amount.asset().clone();
        let atomic = match &self.found {
            Found::Matched { .. } | Found::Adopted | Found::Foreign => 0,
            Found::Different { amount, .. } => self.sent.amount.atomic().saturating_sub(amount.atomic()),
            Found::Missing { .. } => self.sent.amount.atomic(),
        };
        Amount::from_atomic(asset, atomic)
    }

    /// Whether it stops spending: money, or an authorization, that the journal does not know.
    #[must_use]
    pub fn contradicts(&self) -> bool {
        matches!(self.found, Found::Missing { .. }) || !self.unknown().is_zero()
    }
}

/// What is known of an authorization besides the journal's attempt.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Circumstances {
    /// A person took it into the journal before.
    pub(crate) adopted: bool,
    /// It was made by this ledger, whatever its journal knows.
    pub(crate) own: bool,
    /// It left before the journal began.
    pub(crate) before: bool,
}

/// Compares one thing that left with the journal's attempt of the same authorization.
pub(crate) fn compare(
    sent: Outgoing,
    attempt: Option<&Attempt>,
    rules: OutflowRules,
    known: Circumstances,
) -> Compared {
    let missing = |payment: Option<PaymentId>, why: &'static str| Found::Missing { payment, why };
    let found = match attempt {
        _ if known.adopted => Found::Adopted,
        Some(attempt) => match attempt.stand {
            Stand::Unsigned => missing(
                Some(attempt.payment),
                "the journal says that nothing was signed for this payment yet",
            ),
            Stand::Disproved => {
                missing(Some(attempt.payment), "the journal says that no money moved for this payment")
            }
            Stand::Undecided | Stand::Paid { .. } if fits(&sent, attempt) => {
                Found::Matched { payment: attempt.payment }
            }
            Stand::Undecided | Stand::Paid { .. } => Found::Different {
                payment: attempt.payment,
                amount: attempt.amount.clone(),
                payee: attempt.payee.clone(),
            },
        },
        None if known.own => missing(None, "this ledger authorized it, and its journal does not know it"),
        None if rules.shared || known.before => Found::Foreign,
        None => missing(None, "the journal knows nothing of it"),
    };
    Compared { sent, found }
}

fn fits(sent: &Outgoing, attempt: &Attempt) -> bool {
    sent.amount == attempt.amount && sent.to.eq_ignore_ascii_case(&attempt.payee)
}

/// How much of what left is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutflowLook {
    /// What is new since everything matched.
    #[default]
    New,
    /// All of it since the journal began.
    All,
}

/// What could be compared of one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssetLooked {
    /// The asset.
    pub asset: AssetId,
    /// The first block that was looked at.
    pub from: u64,
    /// Up to this block, itself left out, everything is final and known to the journal.
    pub upto: u64,
}

/// What a comparison of the chain with the journal found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OutflowFound {
    /// What was looked at.
    pub looked: Vec<AssetLooked>,
    /// What could not be read, and why: nothing is known of it.
    pub unread: Vec<(AssetId, String)>,
    /// Everything that left, oldest first for each asset.
    pub compared: Vec<Compared>,
    /// What was paid later than this is all in what was looked at; `None` if everything is.
    pub since: Option<Timestamp>,
}

impl OutflowFound {
    /// What left and the journal does not know.
    pub fn contradictions(&self) -> impl Iterator<Item = &Compared> {
        self.compared.iter().filter(|compared| compared.contradicts())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rail::ChainEvent;

    fn usdc(atomic: u128) -> Amount {
        Amount::from_atomic(AssetId::erc20(84_532, "0x036CbD53842c5426634e7929541eC2318f3dCF7e"), atomic)
    }

    fn sent(atomic: u128, to: &str, handle: Option<&str>) -> Outgoing {
        Outgoing {
            event: ChainEvent { network: "eip155:84532".into(), transaction: "0xaa".into(), index: 1 },
            height: 7,
            to: to.to_owned(),
            amount: usdc(atomic),
            at: Timestamp::from_unix_ms(0),
            handle: handle.map(str::to_owned),
            confirmed: true,
        }
    }

    #[test]
    fn only_what_the_journal_signed_for_is_known_to_it() {
        let payment = PaymentId::derived(&[b"p"]);
        let attempt = |stand| Attempt {
            payment,
            attempt: 0,
            session: None,
            at: Timestamp::from_unix_ms(0),
            amount: usdc(500),
            payee: "0xAB".to_owned(),
            reference: None,
            stand,
        };
        let paid = attempt(Stand::Paid { observed: true });
        let exclusive = OutflowRules::default();
        let shared = OutflowRules { shared: true, ..exclusive };
        let (none, own) = (Circumstances::default(), Circumstances { own: true, ..Circumstances::default() });
        let adopted = Circumstances { adopted: true, ..own };
        let (early, own_early) =
            (Circumstances { before: true, ..none }, Circumstances { before: true, ..own });
        for (what, sent, attempt, rules, known, name, unknown) in [
            ("signed", sent(500, "0xab", Some("1")), Some(&paid), exclusive, own, "matched", 0),
            (
                "in flight",
                sent(500, "0xab", Some("1")),
                Some(&attempt(Stand::Undecided)),
                shared,
                own,
                "matched",
                0,
            ),
            ("less", sent(499, "0xab", Some("1")), Some(&paid), exclusive, own, "different", 0),
            ("more", sent(501, "0xab", Some("1")), Some(&paid), exclusive, own, "different", 1),
            ("elsewhere", sent(500, "0xcd", Some("1")), Some(&paid), exclusive, own, "different", 0),
            (
                "held",
                sent(500, "0xab", Some("1")),
                Some(&attempt(Stand::Unsigned)),
                exclusive,
                own,
                "missing",
                500,
            ),
            (
                "not paid",
                sent(500, "0xab", Some("1")),
                Some(&attempt(Stand::Disproved)),
                shared,
                own,
                "missing",
                500,
            ),
            ("lost", sent(500, "0xab", Some("1")), None, shared, own, "missing", 500),
            ("another's", sent(500, "0xab", Some("1")), None, shared, none, "foreign", 0),
            ("another's", sent(500, "0xab", Some("1")), None, exclusive, none, "missing", 500),
            ("by hand", sent(500, "0xab", None), None, shared, none, "foreign", 0),
            ("by hand", sent(500, "0xab", None), None, exclusive, none, "missing", 500),
            ("earlier", sent(500, "0xab", None), None, exclusive, early, "foreign", 0),
            ("earlier", sent(500, "0xab", Some("1")), None, exclusive, own_early, "missing", 500),
            ("adopted", sent(500, "0xab", Some("1")), None, exclusive, adopted, "adopted", 0),
        ] {
            let compared = compare(sent, attempt, rules, known);
            let found = serde_json::to_value(&compared.found).unwrap();
            assert_eq!(
                (found["found"].as_str(), compared.unknown().atomic()),
                (Some(name), unknown),
                "{what}"
            );
            assert_eq!(compared.contradicts(), unknown > 0, "{what}");
        }
    }
}
