//! The four lists.

use super::statement::{Statement, StatementRow, day_of};
use bursar_payments::{AssetLooked, Attempt, Compared, Found, OutflowFound, Stand};
use bursar_types::{Amount, AssetId, PaymentId, Timestamp};
use serde::Serialize;
use std::collections::BTreeSet;

/// How many days a statement's date may differ from the journal's.
const DAYS: u64 = 1;

/// Which list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// Both have it, and say the same.
    Matched,
    /// The other side has it, and the journal does not.
    MissingHere,
    /// The journal says that it was paid, and the other side does not have it.
    MissingThere,
    /// Both have it, and say different things.
    Different,
}

impl List {
    /// The list's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::MissingHere => "missing_here",
            Self::MissingThere => "missing_there",
            Self::Different => "different",
        }
    }
}

/// What the journal says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Here {
    /// The payment.
    pub payment: PaymentId,
    /// When its money was set aside.
    pub at: Timestamp,
    /// How much.
    pub amount: Amount,
    /// To whom.
    pub payee: String,
    /// The transaction, if anyone named one.
    pub reference: Option<String>,
    /// How it stands.
    #[serde(flatten)]
    pub stand: Stand,
}

impl From<&Attempt> for Here {
    fn from(attempt: &Attempt) -> Self {
        Self {
            payment: attempt.payment,
            at: attempt.at,
            amount: attempt.amount.clone(),
            payee: attempt.payee.clone(),
            reference: attempt.reference.clone(),
            stand: attempt.stand,
        }
    }
}

/// What the other side says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct There {
    /// When, as it says so.
    pub date: String,
    /// How much.
    pub amount: Amount,
    /// To whom, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payee: Option<String>,
    /// The transaction, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx: Option<String>,
    /// The authorization, where a chain shows one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// Whether it is final, where a chain says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<bool>,
    /// The line of the statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

impl From<&Compared> for There {
    fn from(compared: &Compared) -> Self {
        let sent = &compared.sent;
        Self {
            date: sent.at.to_string(),
            amount: sent.amount.clone(),
            payee: Some(sent.to.clone()),
            tx: Some(sent.event.transaction.clone()),
            authorization: sent.handle.clone(),
            confirmed: Some(sent.confirmed),
            line: None,
        }
    }
}

impl From<&StatementRow> for There {
    fn from(row: &StatementRow) -> Self {
        Self {
            date: row.date.clone(),
            amount: row.amount.clone(),
            payee: row.payee.clone(),
            tx: row.tx.clone(),
            authorization: None,
            confirmed: None,
            line: Some(row.line),
        }
    }
}

/// One line of one list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Which list.
    pub list: List,
    /// What the journal says.
    pub here: Option<Here>,
    /// What the other side says.
    pub there: Option<There>,
    /// What is different, or why it counts as missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reconciliation {
    /// The lists, one after the other.
    pub items: Vec<Item>,
    /// What left a wallet that others use too, and is none of this journal's business.
    pub foreign: u64,
    /// What was looked at on the chain.
    pub looked: Vec<AssetLooked>,
    /// What could not be read, and why: it was not compared.
    pub unread: Vec<(AssetId, String)>,
    #[serde(skip)]
    seen: BTreeSet<PaymentId>,
    #[serde(skip)]
    since: Option<Timestamp>,
}

impl Reconciliation {
    /// Whether both sides say the same, as far as they could be compared.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.items.iter().all(|item| item.list == List::Matched)
    }

    /// How many lines a list has.
    #[must_use]
    pub fn count(&self, list: List) -> usize {
        self.items.iter().filter(|item| item.list == list).count()
    }

    fn push(&mut self, list: List, here: Option<Here>, there: Option<There>, why: Vec<String>) {
        self.items.push(Item { list, here, there, why });
    }

    /// Adds what left one wallet.
    pub(crate) fn add_chain(&mut self, found: OutflowFound, known: &[Attempt]) {
        for compared in &found.compared {
            let there = Some(There::from(compared));
            let attempt = |payment: PaymentId| {
                let of = known
                    .iter()
                    .rfind(|attempt| attempt.payment == payment && attempt.stand.may_have_moved());
                of.or_else(|| known.iter().rfind(|attempt| attempt.payment == payment)).map(Here::from)
            };
            match &compared.found {
                Found::Matched { payment } => {
                    self.seen.insert(*payment);
                    self.push(List::Matched, attempt(*payment), there, vec![]);
                }
                Found::Adopted => {
                    self.push(
                        List::Matched,
                        None,
                        there,
                        vec!["a person took it into the journal".to_owned()],
                    );
                }
                Found::Foreign => self.foreign = self.foreign.saturating_add(1),
                Found::Different { payment, amount, payee } => {
                    self.seen.insert(*payment);
                    let mut why = Vec::new();
                    if *amount != compared.sent.amount {
                        why.push("amount".to_owned());
                    }
                    if !payee.eq_ignore_ascii_case(&compared.sent.to) {
                        why.push("payee".to_owned());
                    }
                    self.push(List::Different, attempt(*payment), there, why);
                }
                Found::Missing { payment, why } => {
                    let here = payment.and_then(attempt);
                    self.push(List::MissingHere, here, there, vec![(*why).to_owned()]);
                }
            }
        }
        self.looked.extend(found.looked);
        self.unread.extend(found.unread);
        self.since = match (self.since, found.since) {
            (Some(known), Some(new)) => Some(known.max(new)),
            (known, new) => known.or(new),
        };
    }

    /// Adds what the journal says was paid and no wallet shows. Only of assets that were read, and from the moment on from which the
    /// look was whole.
    pub(crate) fn finish_chain(&mut self, known: &[Attempt]) {
        // What nobody looked at is not right.
        for attempt in known.iter().filter(|attempt| attempt.stand.may_have_moved()) {
            let asset = attempt.amount.asset();
            let looked = self.looked.iter().any(|looked| looked.asset == *asset);
            if !looked && self.unread.iter().all(|(unread, _)| unread != asset) {
                let why = "the asset is not known here, or no endpoint reads its network";
                self.unread.push((asset.clone(), why.to_owned()));
            }
        }
        let read: Vec<AssetId> = self
            .looked
            .iter()
            .map(|looked| looked.asset.clone())
            .filter(|asset| self.unread.iter().all(|(unread, _)| unread != asset))
            .collect();
        for attempt in known {
            let paid = matches!(attempt.stand, Stand::Paid { .. });
            let looked =
                read.contains(attempt.amount.asset()) && self.since.is_none_or(|since| attempt.at >= since);
            if paid && looked && !self.seen.contains(&attempt.payment) {
                let why = match attempt.stand {
                    Stand::Paid { observed: true } => "the journal says that the chain was seen to have it",
                    _ => "the payee says that it was paid",
                };
                self.push(List::MissingThere, Some(Here::from(attempt)), None, vec![why.to_owned()]);
            }
        }
        self.sort();
    }

    fn sort(&mut self) {
        let order = |list| match list {
            List::Different => 0_u8,
            List::MissingHere => 1,
            List::MissingThere => 2,
            List::Matched => 3,
        };
        self.items.sort_by_key(|item| order(item.list));
    }
}

/// Compares a statement with what the journal says was paid. A line and a payment belong together by their transaction, else by the
/// payment's id, else by asset, amount, payee and day; none belongs to two.
#[must_use]
pub fn against_statement(known: &[Attempt], statement: &Statement) -> Reconciliation {
    let mut found = Reconciliation::default();
    let mut open: Vec<&Attempt> =
        known.iter().filter(|attempt| matches!(attempt.stand, Stand::Paid { .. })).collect();
    let mut left: Vec<&StatementRow> = statement.rows.iter().collect();
    type Joins = fn(&StatementRow, &Attempt) -> bool;
    let joins: [(Joins, bool); 3] = [(same_transaction, false), (same_payment, false), (same_facts, true)];
    for (joins, certain) in joins {
        left.retain(|row| {
            let Some(place) = open.iter().position(|attempt| joins(row, attempt)) else { return true };
            let attempt = open.remove(place);
            let why = if certain { vec![] } else { differences(row, attempt) };
            let list = if why.is_empty() { List::Matched } else { List::Different };
            found.push(list, Some(Here::from(attempt)), Some(There::from(*row)), why);
            false
        });
    }
    for row in left {
        found.push(List::MissingHere, None, Some(There::from(row)), vec![]);
    }
    let days: Vec<u64> = statement.rows.iter().map(|row| row.day).collect();
    if let (Some(first), Some(last)) = (days.iter().min(), days.iter().max()) {
        for attempt in open.into_iter().filter(|attempt| (*first..=*last).contains(&day_of(attempt.at))) {
            found.push(List::MissingThere, Some(Here::from(attempt)), None, vec![]);
        }
    }
    found.sort();
    found
}

fn same_transaction(row: &StatementRow, attempt: &Attempt) -> bool {
    // What a rail notes about a transaction stands behind it.
    let reference = attempt.reference.as_deref().and_then(|text| text.split_whitespace().next());
    reference.zip(row.tx.as_deref()).is_some_and(|(own, tx)| own.eq_ignore_ascii_case(tx))
}

fn same_payment(row: &StatementRow, attempt: &Attempt) -> bool {
    row.reference.as_deref() == Some(attempt.payment.to_string().as_str())
}

/// What names no transaction of another payment, and says the same of this one.
fn same_facts(row: &StatementRow, attempt: &Attempt) -> bool {
    let other = row.tx.is_some() && attempt.reference.is_some();
    !other
        && row.amount == attempt.amount
        && row.payee.as_deref().is_none_or(|payee| payee.eq_ignore_ascii_case(&attempt.payee))
        && row.day.abs_diff(day_of(attempt.at)) <= DAYS
}

fn differences(row: &StatementRow, attempt: &Attempt) -> Vec<String> {
    let mut why = Vec::new();
    if row.amount.asset() != attempt.amount.asset() {
        why.push("asset".to_owned());
    } else if row.amount != attempt.amount {
        why.push("amount".to_owned());
    }
    if row.payee.as_deref().is_some_and(|payee| !payee.eq_ignore_ascii_case(&attempt.payee)) {
        why.push("payee".to_owned());
    }
    if row.day.abs_diff(day_of(attempt.at)) > DAYS {
        why.push("date".to_owned());
    }
    why
}
