//! Double-entry books: every payment as transactions of an accounting program, and what all accounts must come to at the end.
//!
//! Transactions follow from what happened, event by event. The balances that are asserted at the end follow from how payments stand, as
//! `bursar spend` tells it. So the program that reads the books checks one against the other.

mod accounts;
mod beancount;
mod hledger;
mod names;
mod steps;

use super::{AdoptedOutflow, Purchase, SpendFilter, adopted_outflow, read};
use crate::error::BursarError;
use accounts::{Account, Place, Standing};
use bursar_ledger::Ledger;
use bursar_payments::wallets;
use bursar_types::{Amount, AssetId, AssetRegistry, PaymentId, Timestamp};
use names::{Commodities, Day};
use std::collections::BTreeMap;
use steps::{Step, steps};

/// Who reads the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BooksFormat {
    /// Beancount, version 2 or 3.
    Beancount,
    /// hledger.
    Hledger,
    /// ledger, whose format hledger's is a dialect of; what is written here is read by both.
    Ledger,
}

/// Sums by account and asset.
type Balances = BTreeMap<(Account, AssetId), i128>;

/// A transaction: its postings add up to nothing.
#[derive(Debug)]
struct Booked {
    at: Timestamp,
    /// The vendor; empty where no one vendor is meant, or where that was erased.
    payee: String,
    says: &'static str,
    /// What it is about, by name; plain ASCII.
    links: Vec<(&'static str, String)>,
    postings: Vec<(Account, AssetId, i128)>,
}

/// Everything that is written.
#[derive(Debug)]
struct Books {
    transactions: Vec<Booked>,
    /// What each account must come to.
    balances: Balances,
    /// Payments of which an amount is not known, or does not fit: they are in no transaction and in no balance.
    left_out: Vec<PaymentId>,
    commodities: Commodities,
}

/// The books of a ledger as text for an accounting program: one commodity for each asset, exact decimals, accounts by network, category
/// and vendor, and a balance at the end for every account. With a first day, what came before it is one opening transaction.
///
/// Amounts of an asset that the registry does not know are in atomic units, under a commodity of their own. Text of others can begin no
/// transaction: names of accounts are mapped to legal ones, each to another, and what is quoted is escaped.
///
/// # Errors
/// [`BursarError::Ledger`].
pub async fn export_books(
    ledger: &Ledger,
    registry: &AssetRegistry,
    filter: &SpendFilter,
    format: BooksFormat,
) -> Result<String, BursarError> {
    // What is of a payment is decided by its names; days say which of its transactions are shown.
    let whose = SpendFilter { from: None, until: None, ..filter.clone() };
    let mut lives = read(ledger, filter.until).await?;
    lives.retain(|(_, purchase)| whose.means(purchase));
    let mut books = Books {
        transactions: Vec::new(),
        balances: Balances::new(),
        left_out: Vec::new(),
        commodities: Commodities::default(),
    };
    let mut adopted = adopted_outflow(ledger, filter.until).await?;
    adopted.retain(|adopted| whose.means_adopted(adopted) && counts(&adopted.amount));
    let wallets = wallets(ledger).await?;
    // Whose it was is told where there is only one.
    let wallet = wallets.first().filter(|_| wallets.len() == 1);
    let paid = lives.iter().filter_map(|(_, one)| one.payment.amount.as_ref());
    let assets = paid.chain(adopted.iter().map(|one| &one.amount)).map(|amount| amount.asset());
    books.commodities = Commodities::of(assets, registry);
    let mut happened: Vec<(Step, &Purchase)> = Vec::new();
    for (life, purchase) in &lives {
        let told = steps(life).zip(Standing::of(purchase).ok());
        match told.filter(|_| fits(purchase)) {
            Some((steps, standing)) => {
                happened.extend(steps.into_iter().map(|step| (step, purchase)));
                books.stands(purchase, standing);
            }
            None => books.left_out.push(purchase.payment.id),
        }
    }
    happened.sort_by_key(|(step, _)| (step.at, step.entry));
    for (step, purchase) in happened {
        books.book(&step, purchase);
    }
    for adopted in &adopted {
        books.adopt(adopted, wallet.map(String::as_str));
    }
    books.transactions.sort_by_key(|booked| booked.at);
    if let Some(from) = filter.from {
        books.open_at(from);
    }
    // Where everything went on, nothing must be left.
    let posted = books.transactions.iter().flat_map(|one| &one.postings);
    for (account, asset, _) in posted {
        books.balances.entry((account.clone(), asset.clone())).or_default();
    }
    Ok(match format {
        BooksFormat::Beancount => beancount::written(&books),
        BooksFormat::Hledger | BooksFormat::Ledger => hledger::written(&books),
    })
}

/// Whether the amount can be written with a sign.
fn fits(purchase: &Purchase) -> bool {
    purchase.payment.amount.as_ref().is_some_and(counts)
}

fn counts(amount: &Amount) -> bool {
    // A thousandth of what fits, so that sums of what fits do.
    const MOST: u128 = i128::MAX.unsigned_abs() / 1_000_000;
    amount.atomic() <= MOST
}

impl Books {
    /// What a payment's accounts must come to.
    fn stands(&mut self, purchase: &Purchase, standing: Option<Standing>) {
        let (Some(standing), Some(amount)) = (standing, purchase.payment.amount.as_ref()) else { return };
        for (account, sum) in standing.postings(purchase) {
            add(&mut self.balances, (account, amount.asset().clone()), sum);
        }
    }

    /// A transaction for what changed.
    fn book(&mut self, step: &Step, purchase: &Purchase) {
        let Some(amount) = purchase.payment.amount.as_ref() else { return };
        let asset = amount.asset();
        let mut postings = Balances::new();
        for (account, sum) in step.before.iter().flat_map(|before| before.postings(purchase)) {
            add(&mut postings, (account, asset.clone()), sum.saturating_neg());
        }
        for (account, sum) in step.after.iter().flat_map(|after| after.postings(purchase)) {
            add(&mut postings, (account, asset.clone()), sum);
        }
        postings.retain(|_, sum| *sum != 0);
        if postings.is_empty() {
            return;
        }
        let mut links = vec![
            ("payment", purchase.payment.id.to_string()),
            ("entry", step.entry.to_string()),
            ("at", step.at.to_string()),
        ];
        links.extend(purchase.payment.session.map(|session| ("session", session.to_string())));
        links.extend(step.reference.clone().map(|reference| ("tx", reference)));
        if step.after.is_some_and(|after| after.place == Place::Bought) {
            links.push(("used", if purchase.used { "yes" } else { "no" }.to_owned()));
        }
        self.transactions.push(Booked {
            at: step.at,
            payee: purchase.payment.host.clone(),
            says: step.says,
            links,
            postings: postings.into_iter().map(|((account, asset), sum)| (account, asset, sum)).collect(),
        });
    }

    /// What left the wallet without the journal.
    fn adopt(&mut self, adopted: &AdoptedOutflow, wallet: Option<&str>) {
        let asset = adopted.amount.asset();
        let sum = i128::try_from(adopted.amount.atomic()).unwrap_or(i128::MAX);
        let sides = [
            (accounts::adopted(&adopted.payee), sum),
            (accounts::wallet(asset.network(), wallet), sum.saturating_neg()),
        ];
        for (account, sum) in &sides {
            add(&mut self.balances, (account.clone(), asset.clone()), *sum);
        }
        self.transactions.push(Booked {
            at: adopted.at,
            payee: String::new(),
            says: "left the wallet without the journal, and was taken in",
            links: vec![
                ("entry", adopted.entry.to_string()),
                ("at", adopted.at.to_string()),
                ("tx", adopted.transaction.clone()),
            ],
            postings: sides.into_iter().map(|(account, sum)| (account, asset.clone(), sum)).collect(),
        });
    }

    /// Puts what happened before a moment into one transaction.
    fn open_at(&mut self, from: Timestamp) {
        let (before, after) =
            std::mem::take(&mut self.transactions).into_iter().partition(|one| one.at < from);
        let before: Vec<Booked> = before;
        let mut sums = Balances::new();
        for (account, asset, sum) in before.into_iter().flat_map(|one| one.postings) {
            add(&mut sums, (account, asset), sum);
        }
        sums.retain(|_, sum| *sum != 0);
        if !sums.is_empty() {
            self.transactions.push(Booked {
                at: from,
                payee: String::new(),
                says: "opening balances: what happened before",
                links: Vec::new(),
                postings: sums.into_iter().map(|((account, asset), sum)| (account, asset, sum)).collect(),
            });
        }
        self.transactions.extend::<Vec<Booked>>(after);
    }

    /// Every account with the assets that it holds.
    fn accounts(&self) -> BTreeMap<&Account, Vec<&AssetId>> {
        let posted = self.transactions.iter().flat_map(|one| &one.postings);
        let posted = posted.map(|(account, asset, _)| (account, asset));
        let mut all: BTreeMap<&Account, Vec<&AssetId>> = BTreeMap::new();
        for (account, asset) in posted.chain(self.balances.keys().map(|(account, asset)| (account, asset))) {
            let assets = all.entry(account).or_default();
            if !assets.contains(&asset) {
                assets.push(asset);
            }
        }
        all
    }

    /// The first and the last day.
    fn days(&self) -> Option<(Day, Day)> {
        let first = self.transactions.iter().map(|one| one.at).min()?;
        let last = self.transactions.iter().map(|one| one.at).max()?;
        Some((Day::of(first), Day::of(last)))
    }
}

fn add(sums: &mut Balances, key: (Account, AssetId), sum: i128) {
    let known = sums.entry(key).or_default();
    // INVARIANT: `fits` keeps every amount far from where this could matter.
    *known = known.saturating_add(sum);
}
