//! What a person took into the journal that had left the wallet without it: as much as left, in every budget that it could have touched.

use super::MeaningAudit;
use super::sessions::LAG_MS;
use crate::purse::{adopted_counter, must_hold};
use crate::rail::Outgoing;
use bursar_ledger::{Entry, Line, Window};
use bursar_types::{Amount, AssetId, HoldId};
use serde::Deserialize;
use serde_json::Value;

/// What an adoption tells beside its leaf.
#[derive(Debug, Deserialize)]
struct Said {
    sent: Outgoing,
    found: Value,
}

/// The leaf of an adoption.
struct Shown {
    hold: HoldId,
    amount: Amount,
    micro_usd: u128,
    key: String,
    payee: String,
    transaction: String,
}

impl MeaningAudit {
    pub(super) fn adopted(&mut self, entry: &Entry, payload: Option<&[u8]>) {
        let said = self.read::<Said>(entry, payload);
        let problems = match shown(entry) {
            Some(shown) => self.not_adopted(entry, &shown, said.as_ref()),
            None => vec!["it takes in what left the wallet, and does not say what".to_owned()],
        };
        let sequence = entry.sequence;
        problems.into_iter().for_each(|problem| self.problem(format!("entry {sequence}: {problem}")));
    }

    fn not_adopted(&mut self, entry: &Entry, shown: &Shown, said: Option<&Said>) -> Vec<String> {
        let mut problems = Vec::new();
        if shown.hold != HoldId::derived(&[b"outflow", shown.key.as_bytes()]) {
            problems.push(format!("hold {} is not that of what left", shown.hold));
        }
        problems.extend(said.and_then(|said| shown_otherwise(shown, said)));
        problems.extend(said.and_then(|said| super::dated_before(entry, said.sent.at)));
        problems.extend(self.worth.wrong(&shown.amount, shown.micro_usd));
        let cost = Amount::from_atomic(AssetId::micro_usd(), shown.micro_usd);
        let counter = adopted_counter();
        let Some(lines) = self.holds.adopted(shown.hold).map(<[Line]>::to_vec) else {
            problems.push("it takes in what left the wallet, and no budget counts it".to_owned());
            return problems;
        };
        let counted = lines.iter().any(|line| line.budget == counter.id && line.amount == cost);
        if !counted || self.holds.budget(counter.id).is_some_and(|budget| *budget != counter) {
            problems.push(format!("{} micro-USD left the wallet, and are not counted", shown.micro_usd));
        }
        let one = Amount::from_atomic(AssetId::count(), 1);
        if let Some(other) = lines.iter().find(|line| line.amount != cost && line.amount != one) {
            problems.push(format!("budget {} counts another amount than left the wallet", other.budget));
        }
        problems.extend(self.not_everywhere(entry, &lines, &cost));
        problems
    }

    /// Nobody knows for whom it was, so it counts for everybody who could spend then.
    fn not_everywhere(&self, entry: &Entry, lines: &[Line], cost: &Amount) -> Vec<String> {
        // Whoever began while it was taken in may be left out.
        let before = entry.at.minus_ms(LAG_MS);
        let mut problems = Vec::new();
        for session in self.sessions.begun_before(before) {
            let Some(lineage) = self.sessions.lineage(session) else { continue };
            let mandates: Vec<_> = lineage.iter().map(|state| (state.id, &state.mandate)).collect();
            let must = must_hold(&mandates, None, cost);
            // What is under way is over at once.
            for must in must.into_iter().filter(|must| must.budget.window != Window::Open) {
                let known = self.meant.get(&must.budget.id).copied();
                let is = |line: &&Line| {
                    let named = if must.named { Some(must.budget.id) } else { known };
                    named.is_none_or(|id| id == line.budget)
                        && line.amount == must.amount
                        && self.holds.budget(line.budget).is_some_and(|budget| must.is(budget))
                };
                if !lines.iter().any(|line| is(&line)) {
                    let name = &must.budget.name;
                    problems.push(format!("it does not count in the budget `{name}` of session {session}"));
                }
            }
        }
        problems
    }
}

/// The leaf outlives what was said beside it, so it must say the same.
fn shown_otherwise(shown: &Shown, said: &Said) -> Option<String> {
    let sent = &said.sent;
    let known = match said.found.get("found").and_then(Value::as_str) {
        Some("different") => said.found.get("amount").and_then(|amount| Amount::deserialize(amount).ok()),
        _ => None,
    };
    let unknown =
        known.map_or(sent.amount.atomic(), |known| sent.amount.atomic().saturating_sub(known.atomic()));
    let same = Amount::from_atomic(sent.amount.asset().clone(), unknown) == shown.amount
        && sent.key() == shown.key
        && sent.to == shown.payee
        && sent.event.to_string() == shown.transaction;
    (!same).then(|| "it shows something else than what left the wallet".to_owned())
}

fn shown(entry: &Entry) -> Option<Shown> {
    let text = |name: &str| entry.body.get(name).and_then(Value::as_str);
    let asset = AssetId::parse(text("asset")?).ok()?;
    let transaction = text("transaction")?.to_owned();
    let key = match text("authorization") {
        Some(handle) => format!("{}/{handle}", asset.network()),
        None => transaction.clone(),
    };
    let micro_usd = Amount::parse_atomic(AssetId::micro_usd(), text("micro_usd")?).ok()?.atomic();
    Some(Shown {
        hold: HoldId::parse(text("hold")?).ok()?,
        amount: Amount::parse_atomic(asset, text("atomic")?).ok()?,
        micro_usd,
        key,
        payee: text("payee")?.to_owned(),
        transaction,
    })
}
