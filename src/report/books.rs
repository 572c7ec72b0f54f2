//! Books: what was bought, for whom, and what became of the money.
//!
//! Everything is read from the journal. What it does not say is not known, and is told as that: never as zero.

mod adopted;
mod export;
mod key;
mod life;
mod spend;

pub use adopted::{AdoptedOutflow, adopted_outflow};
pub use export::{BooksFormat, export_books};
pub use key::{GroupValue, ParseSpendKeyError, SpendFilter, SpendKey};
pub use spend::{SpendRow, Sums, spend_by, spend_with};

pub(super) use life::Life;

use super::read::{mandates, runs, uses};
use super::{PaymentReport, PaymentState};
use crate::error::BursarError;
use bursar_ledger::{Entry, Ledger, StreamId};
use bursar_memory::{UseRecord, read_uses};
use bursar_payments::Mandate;
use bursar_types::{Amount, ArtifactRecord, PaymentId, SessionId, Timestamp};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How sure it is that the money of a payment moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Moved {
    /// It did not, and that is proven.
    No,
    /// It is set aside; nothing was signed.
    Held,
    /// A signature may exist, and nobody can say yet; or the record is damaged.
    Unknown,
    /// Nobody could say for so long that budgets count it as spent. It may still turn out either way.
    Presumed,
    /// It did, as the payee says.
    Claimed,
    /// It did: the rail itself was seen to have moved it.
    Observed,
}

impl Moved {
    /// Whether it moved, by the payee's word at least.
    #[must_use]
    pub const fn is_paid(self) -> bool {
        matches!(self, Self::Claimed | Self::Observed)
    }
}

/// For whom a session spends, as its mandate says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Whose {
    /// The agent's name.
    pub agent: String,
    /// The user.
    pub user: String,
    /// The project.
    pub project: String,
    /// The customer on whose behalf, if the mandate names one.
    pub client: Option<String>,
    /// The agent's role.
    pub role: String,
    /// The task, if the mandate was given for one.
    pub task: Option<String>,
}

impl From<&Mandate> for Whose {
    fn from(mandate: &Mandate) -> Self {
        Self {
            agent: mandate.agent.clone(),
            user: mandate.user.clone(),
            project: mandate.project.clone(),
            client: mandate.client.clone(),
            role: mandate.role.clone(),
            task: mandate.task.clone(),
        }
    }
}

/// One payment as books see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Purchase {
    /// The payment.
    #[serde(flatten)]
    pub payment: PaymentReport,
    /// For whom; `None` if the session's record was erased or cannot be read.
    pub whose: Option<Whose>,
    /// The category in which the mandate puts the host; `None` if mandate or host are not known any more.
    pub category: Option<String>,
    /// The rail; `None` if that was erased.
    pub rail: Option<String>,
    /// CAIP-2 network; `None` if no amount is known.
    pub network: Option<String>,
    /// The wallet that pays, once it was asked to sign; `None` before, and if that was erased.
    pub payer: Option<String>,
    /// How sure it is that money moved.
    pub moved: Moved,
    /// When money moved, as far as is known.
    pub paid_at: Option<Timestamp>,
    /// What was seen to come back; `None` if that is not known.
    pub refunded: Option<Amount>,
    /// Whether goods came.
    pub goods: bool,
    /// Whether a use of them is recorded.
    pub used: bool,
    /// Whether the payee still owes goods or money, as far as anybody pursues it.
    pub owed: bool,
    /// Whether a person gave up what did not come.
    pub written_off: bool,
}

impl Purchase {
    /// The moment by which it is sorted into days: when its money moved, else when it was first set aside.
    #[must_use]
    pub fn booked_at(&self) -> Timestamp {
        self.paid_at.unwrap_or(self.payment.at)
    }
}

/// Every payment of a ledger as books see it, oldest first; with a moment, as they stood then.
///
/// # Errors
/// [`BursarError::Ledger`].
pub async fn purchases(ledger: &Ledger, until: Option<Timestamp>) -> Result<Vec<Purchase>, BursarError> {
    Ok(read(ledger, until).await?.into_iter().map(|(_, purchase)| purchase).collect())
}

/// The same, each with its life.
async fn read(ledger: &Ledger, until: Option<Timestamp>) -> Result<Vec<(Life, Purchase)>, BursarError> {
    let shelf = Shelf::read(ledger, until).await?;
    let mandates = mandates(ledger).await?;
    let told = uses(&runs(ledger).await?, &read_uses(ledger).await?);
    let mut all = Vec::new();
    for (stream, _) in ledger.streams("payment/").await? {
        let Some(life) = Life::read(ledger, &stream, until).await? else { continue };
        let mut purchase = purchase(&life, &mandates, &shelf);
        if let Some(artifact) = &purchase.payment.artifact {
            purchase.payment.uses = told.get(&artifact.id).cloned().unwrap_or_default();
        }
        purchase.used |= until.is_none() && !purchase.payment.uses.is_empty();
        all.push((life, purchase));
    }
    all.sort_by_key(|(_, one)| (one.payment.at, one.payment.id));
    Ok(all)
}

fn purchase(life: &Life, mandates: &BTreeMap<SessionId, Mandate>, shelf: &Shelf) -> Purchase {
    let payment = life.report();
    let mandate = payment.session.and_then(|id| mandates.get(&id));
    let host = Some(payment.host.as_str()).filter(|host| !host.is_empty());
    let category = mandate.zip(host).map(|(mandate, host)| mandate.category_of(host).to_owned());
    let artifacts = shelf.artifacts.get(&payment.id.to_string());
    let closed = matches!(&payment.state, PaymentState::Closed { written_off: true, .. });
    Purchase {
        whose: mandate.map(Whose::from),
        category,
        rail: life.rail(),
        network: payment.amount.as_ref().map(|amount| amount.asset().network().to_owned()),
        payer: life.payer(),
        moved: life.moved(),
        paid_at: life.paid_at(),
        refunded: life.refunded(),
        goods: artifacts.is_some() || payment.artifact.is_some(),
        used: artifacts.is_some_and(|all| all.iter().any(|one| shelf.used.contains(one))),
        owed: life.owed(),
        written_off: closed || life.written_off(),
        payment,
    }
}

/// What was delivered and used, by the leaves alone: these are left when payloads are erased.
#[derive(Debug, Default)]
struct Shelf {
    /// Artifacts by payment.
    artifacts: BTreeMap<String, Vec<String>>,
    used: BTreeSet<String>,
}

impl Shelf {
    async fn read(ledger: &Ledger, until: Option<Timestamp>) -> Result<Self, BursarError> {
        let mut shelf = Self::default();
        for entry in entries(ledger, ArtifactRecord::STREAM, until).await? {
            if let (Some(payment), Some(artifact)) = (text(&entry, "payment"), text(&entry, "artifact")) {
                shelf.artifacts.entry(payment).or_default().push(artifact);
            }
        }
        let used = entries(ledger, UseRecord::STREAM, until).await?;
        shelf.used = used.iter().filter_map(|entry| text(entry, "artifact")).collect();
        Ok(shelf)
    }
}

async fn entries(ledger: &Ledger, stream: &str, until: Option<Timestamp>) -> Result<Vec<Entry>, BursarError> {
    let Ok(stream) = StreamId::new(stream) else { return Ok(Vec::new()) };
    let mut entries = ledger.stream(&stream, 0).await?;
    entries.retain(|entry| until.is_none_or(|until| entry.at < until));
    Ok(entries)
}

fn text(entry: &Entry, field: &str) -> Option<String> {
    entry.body.get(field)?.as_str().map(str::to_owned)
}

fn id_of(stream: &StreamId) -> Option<PaymentId> {
    PaymentId::parse(stream.as_str().strip_prefix("payment/")?).ok()
}
