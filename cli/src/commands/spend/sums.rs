//! Spending summed up by group and asset.

use crate::screen::{Amounts, csv, line, short, table_of};
use bursar::report::{
    AdoptedOutflow, GroupValue, ModelSpend, Purchase, SpendKey, SpendRow, Sums, spend_with,
};
use bursar::types::{Amount, Asset, AssetId, SessionId};

/// A column: its name, and what stands in it.
type Column = (&'static str, fn(&Sums) -> u128);

/// The columns of amounts that a terminal has room for.
const SHOWN: [Column; 9] = [
    ("paid", |sums| sums.paid),
    ("used", |sums| sums.used),
    ("unused", |sums| sums.unused),
    ("undelivered", |sums| sums.undelivered),
    ("refunded", |sums| sums.refunded),
    ("held", |sums| sums.held),
    ("unknown", |sums| sums.unknown),
    ("owed", |sums| sums.owed),
    ("adopted", |sums| sums.adopted),
];
/// Those that only programs get: parts of the others.
const FINE: [Column; 3] = [
    ("claimed", |sums| sums.claimed),
    ("written_off", |sums| sums.written_off),
    ("presumed", |sums| sums.presumed),
];

/// For people: one row for each group and asset, and a total for each asset.
pub(super) fn people(purchases: &[Purchase], adopted: &[AdoptedOutflow], keys: &[SpendKey]) -> String {
    let rows = spend_with(purchases, adopted, keys);
    if rows.is_empty() {
        return "no payments that moved money or may have\n".to_owned();
    }
    let totals = spend_with(purchases, adopted, &[]);
    let amounts = Amounts::pinned();
    let uncounted = rows.iter().any(|row| row.sums.uncounted > 0);
    let columns =
        SHOWN.iter().filter(|(name, of)| *name == "paid" || totals.iter().any(|row| of(&row.sums) > 0));
    let columns: Vec<_> = columns.collect();
    let head = keys.iter().map(ToString::to_string).chain(["asset".to_owned(), "payments".to_owned()]);
    let head = head.chain(columns.iter().map(|(name, _)| (*name).to_owned()));
    let head: Vec<String> = head.chain(uncounted.then(|| "uncounted".to_owned())).collect();
    let mut table = table_of(head, keys.len().saturating_add(1));
    let cells = |row: &SpendRow, group: Vec<String>| {
        let own = [asset(row, &amounts), row.sums.payments.to_string()];
        let sums = columns.iter().map(|(_, of)| units(row, of(&row.sums), &amounts));
        let last = uncounted.then(|| row.sums.uncounted.to_string());
        group.into_iter().chain(own).chain(sums).chain(last).collect::<Vec<_>>()
    };
    for row in &rows {
        let group = row.by.iter().map(|(key, value)| shown(*key, value)).collect();
        table.add_row(cells(row, group));
    }
    if rows.len() > totals.len() {
        for row in &totals {
            let group = (0..keys.len()).map(|at| if at == 0 { "total".to_owned() } else { String::new() });
            table.add_row(cells(row, group.collect()));
        }
    }
    format!("{table}\n")
}

/// For programs: one object a line.
pub(super) fn json(purchases: &[Purchase], adopted: &[AdoptedOutflow], keys: &[SpendKey]) -> String {
    let rows = spend_with(purchases, adopted, keys);
    rows.iter().filter_map(|row| serde_json::to_string(row).ok()).map(|line| line + "\n").collect()
}

/// For spreadsheets: exact decimals in whole units of the asset; in atomic units where its decimals are not known.
///
/// What models cost has rows of its own: one a session where that is asked for, else one.
pub(super) fn csv(
    purchases: &[Purchase],
    adopted: &[AdoptedOutflow],
    models: &[ModelSpend],
    keys: &[SpendKey],
) -> String {
    let amounts = Amounts::pinned();
    let columns = || SHOWN.iter().chain(&FINE);
    let head = keys.iter().map(ToString::to_string).chain(["asset", "unit", "payments"].map(str::to_owned));
    let head = head.chain(columns().map(|(name, _)| (*name).to_owned()));
    let mut text = csv::line(head.chain(["obligations", "uncounted", "model"].map(str::to_owned)));
    for row in spend_with(purchases, adopted, keys) {
        let group = row.by.iter().map(|(_, value)| value.to_string());
        let id = row.asset.as_ref().map_or_else(String::new, ToString::to_string);
        let known = row.asset.as_ref().and_then(|id| amounts.registry().get(id).ok());
        let unit = known.map_or("atomic", |asset| asset.symbol()).to_owned();
        let own = [id, unit, row.sums.payments.to_string()];
        let sums = columns().map(|(_, of)| units(&row, of(&row.sums), &amounts));
        let last = [row.sums.obligations.to_string(), row.sums.uncounted.to_string(), "0".to_owned()];
        text.push_str(&csv::line(group.chain(own).chain(sums).chain(last)));
    }
    for (session, sums, spent) in of_models(models, keys.contains(&SpendKey::Session)) {
        let group = keys.iter().map(|key| match session {
            Some(session) if *key == SpendKey::Session => session.to_string(),
            _ => "(model)".to_owned(),
        });
        let usd = Asset::micro_usd();
        let row = SpendRow { by: Vec::new(), asset: Some(usd.id().clone()), sums };
        let own = [usd.id().to_string(), usd.symbol().to_owned(), "0".to_owned()];
        let cells = columns().map(|(_, of)| units(&row, of(&row.sums), &amounts));
        let last = ["0".to_owned(), "0".to_owned(), units(&row, spent, &amounts)];
        text.push_str(&csv::line(group.chain(own).chain(cells).chain(last)));
    }
    text
}

/// What is set aside for models and what they cost, by session or as one; nothing where there are none.
fn of_models(models: &[ModelSpend], by_session: bool) -> Vec<(Option<SessionId>, Sums, u128)> {
    let mut rows: Vec<(Option<SessionId>, Sums, u128)> = Vec::new();
    for one in models {
        let session = by_session.then_some(one.session);
        if rows.last().is_none_or(|(last, ..)| *last != session) {
            rows.push((session, Sums::default(), 0));
        }
        if let Some((_, sums, spent)) = rows.last_mut() {
            sums.held = sums.held.saturating_add(one.held.atomic());
            *spent = spent.saturating_add(one.spent.atomic());
        }
    }
    rows
}

fn units(row: &SpendRow, atomic: u128, amounts: &Amounts) -> String {
    let Some(id) = &row.asset else { return "?".to_owned() };
    let amount = Amount::from_atomic(id.clone(), atomic);
    let known = amounts.registry().get(id).ok();
    known.and_then(|asset| asset.format_units(&amount).ok()).unwrap_or_else(|| atomic.to_string())
}

fn asset(row: &SpendRow, amounts: &Amounts) -> String {
    let symbol = |id: &AssetId| match amounts.registry().get(id) {
        Ok(asset) => format!("{} on {}", asset.symbol(), id.network()),
        Err(_) => format!("atomic units of {id}"),
    };
    row.asset.as_ref().map_or_else(|| "not known".to_owned(), symbol)
}

fn shown(key: SpendKey, value: &GroupValue) -> String {
    match (key, value) {
        (SpendKey::Vendor, GroupValue::Is(text)) => match text.split_once(' ') {
            Some((host, payee)) => format!("{} ({})", line(host, 60), short(&line(payee, 80))),
            None => line(text, 60),
        },
        (_, value) => line(&value.to_string(), 60),
    }
}
