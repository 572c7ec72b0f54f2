//! Taking into the journal what left the wallet without it: the way back after an old data file was put back, or after somebody
//! else paid from the wallet. A person's word, with a name and a reason.
//!
//! It is never less cautious than the truth. Nobody knows for whom the money was spent, so it counts as spent in every budget
//! that a payment to this payee could have touched, of every session that the journal has, above caps too. What was bought is
//! not known either: the very purchases are not made again.

use super::budgets::{Part, Purchase, Touched, touched};
use super::lineage::{Ancestors, Lineage};
use super::open::fold_session;
use super::outflow::adopted_link;
use super::{OpenError, Payments, Shared, unavailable};
use crate::outflow::{Compared, Found, OutflowFound};
use crate::rail::ChainEvent;
use bursar_ledger::{
    AccountOp, Budget, CommitError, Line, LinkWrite, Refusal, SealedEvent, StreamId, Transaction, Window,
};
use bursar_types::{Amount, AssetId, BudgetId, Digest, FetchError, HoldId, SessionId};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// How often it is tried while others write.
const TRIES: usize = 16;
/// How long the hold of an adoption would live; it is captured at once.
const HOLD_MS: u64 = 60_000;
/// The cap of the budget that only counts what was adopted.
const UNREACHED: u128 = u64::MAX as u128;
/// The kind of the entry that takes something into the journal.
pub(crate) const ADOPTED: &str = "outflow.adopted";

/// What a person took into the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutflowAccepted {
    /// What was taken in now.
    pub adopted: Vec<Compared>,
    /// Whether spending stood still because of it, and goes on.
    pub lifted: bool,
}

/// Why nothing, or not all, was taken into the journal. Spending goes on standing still.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OutflowError {
    /// The name or the reason is missing.
    #[error("{0} is empty; say who decides, and why, so that the journal can tell")]
    Empty(&'static str),
    /// The chain could not be read.
    #[error("the chain could not be read: {0}; nothing was taken into the journal, try again")]
    Unread(String),
    /// The chain may still undo it.
    #[error(
        "{0} is not final yet: the chain may still undo it; try again in some minutes, spending stands still until then"
    )]
    NotFinal(ChainEvent),
    /// It cannot be counted in dollars.
    #[error(
        "{0} cannot be counted in dollars, so no budget can count it; name the asset in the configuration"
    )]
    NoRate(AssetId),
    /// Others keep writing.
    #[error("somebody else changed the journal at the same time; run it again")]
    Contended,
    /// A session cannot be read.
    #[error(transparent)]
    Session(#[from] OpenError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] FetchError),
}

impl Payments {
    /// Takes what left the wallet, and the journal does not know, into the journal: it counts as spent. Once nothing is unknown
    /// any more, spending goes on if it stood still because of it.
    ///
    /// # Errors
    /// [`OutflowError`]. What was taken in before it stays.
    ///
    /// # Idempotency
    /// One event is taken in once. A second call finds nothing.
    pub async fn accept_outflow(&self, by: &str, reason: &str) -> Result<OutflowAccepted, OutflowError> {
        for (what, text) in [("the name", by), ("the reason", reason)] {
            if text.trim().is_empty() {
                return Err(OutflowError::Empty(what));
            }
        }
        let found = self.check_outflow().await?;
        all_read(&found)?;
        let unknown: Vec<&Compared> = found.contradictions().collect();
        if let Some(open) = unknown.iter().find(|one| !one.sent.confirmed) {
            return Err(OutflowError::NotFinal(open.sent.event.clone()));
        }
        let mut adopted = Vec::with_capacity(unknown.len());
        for one in unknown {
            self.0.adopt(one, by, reason).await?;
            adopted.push(one.clone());
        }
        // Something may have left meanwhile: only what was looked at is accepted.
        let again = self.check_outflow().await?;
        all_read(&again)?;
        if again.contradictions().next().is_some() {
            return Err(OutflowError::Contended);
        }
        let lifted = self.0.lift_stop(by, reason).await?;
        Ok(OutflowAccepted { adopted, lifted })
    }
}

/// The budget that only counts what was adopted.
pub(crate) fn adopted_counter() -> Budget {
    Budget {
        id: BudgetId::derived(&[b"outflow adopted"]),
        name: "left the wallet without the journal".to_owned(),
        limit: Amount::from_atomic(AssetId::micro_usd(), UNREACHED),
        window: Window::Life,
        gross: true,
        parent: None,
    }
}

fn all_read(found: &OutflowFound) -> Result<(), OutflowError> {
    match found.unread.first() {
        Some((asset, problem)) => Err(OutflowError::Unread(format!("{asset}: {problem}"))),
        None => Ok(()),
    }
}

impl Shared {
    /// Takes one in, in one transaction: the entry, the money, and the link that says so.
    async fn adopt(&self, one: &Compared, by: &str, reason: &str) -> Result<(), OutflowError> {
        let unknown = one.unknown();
        let cost = self.registry.to_micro_usd(&unknown);
        let cost = cost.ok_or_else(|| OutflowError::NoRate(unknown.asset().clone()))?;
        let hold = HoldId::derived(&[b"outflow", one.sent.key().as_bytes()]);
        let link = LinkWrite { key: adopted_link(&one.sent), expected: None, value: Some(hold.to_string()) };
        let payment = match &one.found {
            Found::Missing { payment, .. } => *payment,
            Found::Different { payment, .. } => Some(*payment),
            Found::Matched { .. } | Found::Adopted | Found::Foreign => None,
        };
        for _ in 0..TRIES {
            let mut transaction = Transaction { links: vec![link.clone()], ..Transaction::default() };
            transaction.accounts = self.spend_everywhere(&one.sent.to, hold, &cost).await?;
            let said = json!({"sent": one.sent, "found": one.found, "by": by, "reason": reason});
            let fields = [
                ("hold", json!(hold)),
                ("payment", json!(payment)),
                ("asset", json!(unknown.asset())),
                ("atomic", json!(unknown.atomic().to_string())),
                ("micro_usd", json!(cost.atomic().to_string())),
                ("payee", json!(one.sent.to)),
                ("transaction", json!(one.sent.event.to_string())),
                ("authorization", json!(one.sent.handle)),
            ];
            let stream = StreamId::of("outflow", "adopted");
            SealedEvent::new(stream, ADOPTED, fields, &said, &*self.entropy)
                .map_err(unavailable)?
                .add_to(&mut transaction);
            match self.ledger.commit(transaction).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Refused(Refusal::LinkMoved { .. })) => {
                    // Somebody else took it in.
                    let there = self.ledger.link(&link.key).await.map_err(unavailable)?;
                    return if there.is_some() { Ok(()) } else { Err(OutflowError::Contended) };
                }
                // A budget was opened meanwhile, or with another limit.
                Err(CommitError::Refused(Refusal::DifferentParameters { .. })) => {}
                Err(error) => return Err(unavailable(error).into()),
            }
        }
        Err(OutflowError::Contended)
    }

    /// Spends it in every budget that a payment to this payee could have touched. What was seen to leave is booked whatever the
    /// caps say.
    async fn spend_everywhere(
        &self,
        payee: &str,
        hold: HoldId,
        cost: &Amount,
    ) -> Result<Vec<AccountOp>, OutflowError> {
        let counter = adopted_counter();
        let mut lines = vec![Line { budget: counter.id, amount: cost.clone() }];
        let mut opens = BTreeMap::from([(counter.id, counter.clone())]);
        for touched in self.could_have_touched(payee).await? {
            lines.push(touched.line(cost));
            opens.insert(touched.budget.id, touched.budget);
        }
        let ids: Vec<BudgetId> = opens.keys().copied().collect();
        let known = self.ledger.budgets(&ids).await.map_err(unavailable)?;
        let new = opens.into_values().zip(known).filter(|(_, known)| known.is_none());
        let mut ops: Vec<AccountOp> = new.map(|(budget, _)| AccountOp::Open(budget)).collect();
        // Parents first: a budget opens below one that is there.
        ops.sort_by_key(|op| matches!(op, AccountOp::Open(budget) if budget.parent.is_some()));
        let expires_at = self.clock.now().plus_ms(HOLD_MS);
        let held = vec![Line { budget: counter.id, amount: cost.clone() }];
        ops.push(AccountOp::Hold { id: hold, lines: held, expires_at });
        ops.push(AccountOp::Capture { id: hold, lines: Some(lines), observed: true });
        Ok(ops)
    }

    /// Every budget of every session that a payment to this payee could have touched, each once.
    async fn could_have_touched(&self, payee: &str) -> Result<Vec<Touched>, OutflowError> {
        let hosts = self.hosts_paid_at(payee).await?;
        let mut all: BTreeMap<BudgetId, Touched> = BTreeMap::new();
        for (stream, _) in self.ledger.streams("session/").await.map_err(unavailable)? {
            let id = stream.as_str().strip_prefix("session/").map(SessionId::parse);
            let Some(Ok(id)) = id else { continue };
            let lineage = match fold_session(&self.ledger, id, None).await {
                Ok(state) => Lineage::read(self, state, &Ancestors::default()).await,
                Err(error) => Err(error),
            };
            let lineage = match lineage {
                Ok(lineage) => lineage,
                // What was erased is over, and its budgets lead to nobody.
                Err(OpenError::Unreadable(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            for host in &hosts {
                for rail in &self.rails {
                    let purchase = Purchase::of(host, payee, rail.name(), "");
                    let each = touched(&lineage, Some(&purchase)).into_iter();
                    // What is under way is over at once.
                    let counted = each.filter(|touched| touched.part != Part::Open);
                    all.extend(counted.map(|touched| (touched.budget.id, touched)));
                }
            }
        }
        Ok(all.into_values().collect())
    }

    /// Where this payee was paid before; every known vendor, and one that nobody knows, if nowhere.
    async fn hosts_paid_at(&self, payee: &str) -> Result<BTreeSet<String>, OutflowError> {
        let links = self.ledger.links("vendor/").await.map_err(unavailable)?;
        let vendors: Vec<(String, String)> = links
            .into_iter()
            .filter_map(|(key, _)| {
                let (host, payee) = key.strip_prefix("vendor/")?.rsplit_once('|')?;
                Some((host.to_owned(), payee.to_owned()))
            })
            .collect();
        let own = vendors.iter().filter(|(_, known)| known.eq_ignore_ascii_case(payee));
        let hosts: BTreeSet<String> = own.map(|(host, _)| host.clone()).collect();
        if !hosts.is_empty() {
            return Ok(hosts);
        }
        let mut hosts: BTreeSet<String> = vendors.into_iter().map(|(host, _)| host).collect();
        hosts.insert(format!("unknown-{}.invalid", Digest::of(payee.as_bytes())));
        Ok(hosts)
    }
}
