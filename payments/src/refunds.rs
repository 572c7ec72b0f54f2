//! Whose money came back: which claim a transfer to the wallet belongs to. Pure.

use crate::rail::Transfer;
use bursar_types::{Amount, PaymentId, Timestamp};
use serde::Serialize;

/// One payment whose money may come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The payment.
    pub(crate) payment: PaymentId,
    /// Who was paid.
    pub(crate) payee: String,
    /// What is still to come: of the claim, or of the whole price where nothing was asked back yet. Not zero.
    pub(crate) left: Amount,
    /// When it was signed: no refund is older.
    pub(crate) since: Timestamp,
}

/// Why a person has to say where money belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Doubt {
    /// Nobody who was paid sent it.
    ForeignSender,
    /// It is more than anything that is expected of its sender: the same refund twice, or several in one.
    TooMuch,
    /// It could be a part of several.
    Ambiguous,
    /// Nothing is expected of its sender.
    NotExpected,
}

impl Doubt {
    /// In words.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ForeignSender => "nobody who was paid sent it",
            Self::TooMuch => "it is more than what is expected of its sender",
            Self::Ambiguous => "it could belong to several payments",
            Self::NotExpected => "nothing is expected of its sender",
        }
    }
}

/// Where a transfer belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribution {
    /// To this payment: sender, asset and amount say so.
    Credit(PaymentId),
    /// A person has to say.
    Person(Doubt),
    /// To nothing that is expected: somebody filled the wallet up.
    NoRefund,
}

/// Where a transfer belongs. `is_payee` knows everybody who was ever paid, so that a known vendor's gift is told from a stranger's.
///
/// A transfer is credited without a person only if its sender is the payee. The exact amount decides first, the oldest
/// payment before the younger; a smaller amount is a part only if one payment alone can be meant.
#[must_use]
pub(crate) fn attribute(
    transfer: &Transfer,
    expected: &[Expected],
    is_payee: impl Fn(&str) -> bool,
) -> Attribution {
    let mut fitting: Vec<&Expected> = expected
        .iter()
        .filter(|one| {
            one.payee.eq_ignore_ascii_case(&transfer.from)
                && one.left.asset() == transfer.amount.asset()
                && one.since <= transfer.at
        })
        .collect();
    if fitting.is_empty() {
        let known = expected.iter().any(|one| one.payee.eq_ignore_ascii_case(&transfer.from))
            || is_payee(&transfer.from);
        if known {
            return Attribution::Person(Doubt::NotExpected);
        }
        // Whoever fills the wallet up sends more than what is owed, or at another time: that is nobody's refund.
        let could_be = expected.iter().any(|one| {
            one.left.asset() == transfer.amount.asset()
                && one.since <= transfer.at
                && one.left.atomic() >= transfer.amount.atomic()
        });
        return if could_be { Attribution::Person(Doubt::ForeignSender) } else { Attribution::NoRefund };
    }
    fitting.sort_by_key(|one| (one.since, one.payment));
    let amount = transfer.amount.atomic();
    if let Some(exact) = fitting.iter().find(|one| one.left.atomic() == amount) {
        return Attribution::Credit(exact.payment);
    }
    let larger: Vec<_> = fitting.iter().filter(|one| one.left.atomic() > amount).collect();
    match larger.as_slice() {
        [] => Attribution::Person(Doubt::TooMuch),
        [one] => Attribution::Credit(one.payment),
        _ => Attribution::Person(Doubt::Ambiguous),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rail::ChainEvent;
    use bursar_types::AssetId;

    fn asset() -> AssetId {
        AssetId::parse("eip155:31337/erc20:0x5fbdb2315678afecb367f032d93f642f64180aa3").unwrap()
    }

    fn expected(name: &str, payee: &str, left: u128, since_s: u64) -> Expected {
        Expected {
            payment: PaymentId::derived(&[name.as_bytes()]),
            payee: payee.to_owned(),
            left: Amount::from_atomic(asset(), left),
            since: Timestamp::from_unix_ms(0).plus_ms(since_s.saturating_mul(1_000)),
        }
    }

    fn transfer(from: &str, atomic: u128, at_s: u64) -> Transfer {
        Transfer {
            event: ChainEvent { network: "eip155:31337".into(), transaction: "0x01".into(), index: 0 },
            from: from.to_owned(),
            amount: Amount::from_atomic(asset(), atomic),
            at: Timestamp::from_unix_ms(0).plus_ms(at_s.saturating_mul(1_000)),
        }
    }

    #[test]
    fn sender_amount_and_time_say_where_money_belongs() {
        let all = [
            expected("old", "0xaa", 1_000, 10),
            expected("young", "0xaa", 1_000, 20),
            expected("other", "0xbb", 700, 10),
        ];
        let credit = |name: &str| Attribution::Credit(PaymentId::derived(&[name.as_bytes()]));
        let cases = [
            ("the exact amount goes to the oldest", transfer("0xaa", 1_000, 30), credit("old")),
            ("case of an address is no difference", transfer("0xAA", 1_000, 30), credit("old")),
            ("younger than the transfer cannot be meant", transfer("0xaa", 1_000, 15), credit("old")),
            ("a part of one alone", transfer("0xbb", 300, 30), credit("other")),
            ("a part that could be of two", transfer("0xaa", 300, 30), Attribution::Person(Doubt::Ambiguous)),
            ("more than expected", transfer("0xbb", 701, 30), Attribution::Person(Doubt::TooMuch)),
            ("a stranger", transfer("0xcc", 700, 30), Attribution::Person(Doubt::ForeignSender)),
            ("whoever fills the wallet up", transfer("0xcc", 1_001, 30), Attribution::NoRefund),
            ("a stranger, before anything was paid", transfer("0xcc", 700, 5), Attribution::NoRefund),
            (
                "a vendor nothing is expected of",
                transfer("0xdd", 700, 30),
                Attribution::Person(Doubt::NotExpected),
            ),
            ("before anything was paid", transfer("0xbb", 700, 5), Attribution::Person(Doubt::NotExpected)),
        ];
        for (name, transfer, wanted) in cases {
            assert_eq!(attribute(&transfer, &all, |who| who == "0xdd"), wanted, "{name}");
        }
    }
}
