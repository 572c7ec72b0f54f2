//! Payments, one by one.

use crate::screen::{Amounts, csv, line, short, vendor};
use bursar::report::{AdoptedOutflow, ModelSpend, Moved, PaymentReport, PaymentState, Purchase};
use bursar::types::{Amount, AssetId};
use std::fmt::Write as _;

/// For people.
pub(super) fn people(purchases: &[Purchase], adopted: &[AdoptedOutflow]) -> String {
    let payments: Vec<&PaymentReport> = purchases.iter().map(|purchase| &purchase.payment).collect();
    if payments.is_empty() && adopted.is_empty() {
        return "no payments yet\n".to_owned();
    }
    let amounts = Amounts::pinned();
    let mut text = String::new();
    for payment in &payments {
        let title = payment.description.as_deref().map(|title| line(title, 100));
        let title = title.filter(|title| !title.is_empty()).unwrap_or_else(|| line(&payment.resource, 120));
        let amount = payment.amount.as_ref().map_or_else(|| "?".to_owned(), |amount| amounts.show(amount));
        let receipt = payment.receipt.as_ref().map_or_else(
            || "no receipt".to_owned(),
            |receipt| format!("receipt {}", short(&line(&receipt.reference, 100))),
        );
        let _ = writeln!(text, "{}  {amount}  {}", payment.at, state(payment));
        let _ = writeln!(text, "    for   “{title}”  {}", line(&payment.resource, 120));
        let _ = writeln!(text, "    to    {}, {receipt}", vendor(&payment.host, &payment.payee));
        let _ = writeln!(text, "    under {}", line(&payment.rules.join(", "), 200));
        for used in &payment.uses {
            let _ = writeln!(text, "    used  {}", line(used, 200));
        }
    }
    for one in adopted {
        let _ = writeln!(
            text,
            "{}  {}  adopted: it left the wallet without the journal",
            one.at,
            amounts.show(&one.amount)
        );
        let (payee, transaction) = (line(&one.payee, 80), short(&line(&one.transaction, 160)));
        let _ = writeln!(text, "    to    {payee}, {transaction}");
    }
    let paid = payments.iter().filter(|payment| payment.state.is_paid());
    let total = paid.clone().filter_map(|payment| payment.micro_usd.as_ref());
    let total = total.fold(0_u128, |sum, amount| sum.saturating_add(amount.atomic()));
    let total = amounts.show(&Amount::from_atomic(AssetId::micro_usd(), total));
    let _ = writeln!(text, "{total} paid in {} of {} payments", paid.count(), payments.len());
    if !adopted.is_empty() {
        let sum = adopted.iter().filter_map(|one| one.micro_usd.as_ref());
        let sum = sum.fold(0_u128, |sum, amount| sum.saturating_add(amount.atomic()));
        let sum = amounts.show(&Amount::from_atomic(AssetId::micro_usd(), sum));
        let _ = writeln!(text, "{sum} left the wallet without the journal, and was taken in");
    }
    text
}

/// What models cost, in one line; nothing if there were none.
pub(super) fn models(models: &[ModelSpend]) -> String {
    if models.is_empty() {
        return String::new();
    }
    let amounts = Amounts::pinned();
    let sum = |of: fn(&ModelSpend) -> u128| models.iter().map(of).fold(0_u128, u128::saturating_add);
    let shown = |micro| amounts.show(&Amount::from_atomic(AssetId::micro_usd(), micro));
    let count = |of: fn(&ModelSpend) -> u64| models.iter().map(of).fold(0_u64, u64::saturating_add);
    let (tries, unreported, held) =
        (count(|one| one.tries), count(|one| one.unreported), sum(|one| one.held.atomic()));
    let mut text = format!("model: {} in {tries} calls", shown(sum(|one| one.spent.atomic())));
    if unreported > 0 {
        let _ = write!(text, ", {unreported} of them at the most they may have cost");
    }
    if held > 0 {
        let _ = write!(text, ", {} set aside for calls that are not settled", shown(held));
    }
    text + "\n"
}

/// A payment's state in words.
fn state(payment: &PaymentReport) -> String {
    let seen = match payment.receipt.as_ref().map(|receipt| receipt.observed) {
        Some(true) => "observed",
        Some(false) | None => "claimed",
    };
    match &payment.state {
        PaymentState::Held => "held, nothing signed".to_owned(),
        PaymentState::Signing => "unknown: signed, no answer".to_owned(),
        PaymentState::Unknown { problem } => format!("unknown: {}", line(problem, 80)),
        PaymentState::Delivered => format!("paid ({seen})"),
        PaymentState::Undelivered { problem } => format!("undelivered, paid ({seen}): {}", line(problem, 80)),
        PaymentState::Claimed { problem } => format!("asked back, paid ({seen}): {}", line(problem, 80)),
        PaymentState::Parked { problem, owner, .. } => {
            format!("parked with {}, paid ({seen}): {}", line(owner, 40), line(problem, 80))
        }
        PaymentState::Refunded => format!("refunded, paid ({seen})"),
        PaymentState::Closed { by, reason, written_off } => {
            let how = if *written_off { "written off" } else { "settled" };
            format!("{how} by {}, paid ({seen}): {}", line(by, 40), line(reason, 80))
        }
        PaymentState::NotPaid { proof } => format!("not paid: {}", line(proof, 80)),
        PaymentState::Erased { paid: true } => "erased, paid".to_owned(),
        PaymentState::Erased { paid: false } => "erased, not paid".to_owned(),
        PaymentState::Unreadable { problem } => format!("unreadable: {}", line(problem, 80)),
    }
}

/// For programs: one object a line.
pub(super) fn json(purchases: &[Purchase], adopted: &[AdoptedOutflow]) -> String {
    let lines = purchases.iter().filter_map(|purchase| serde_json::to_string(purchase).ok());
    let lines = lines.chain(adopted.iter().map(|one| serde_json::json!({"adopted": one}).to_string()));
    lines.map(|line| line + "\n").collect()
}

/// What models cost, for programs: one object a session.
pub(super) fn models_json(models: &[ModelSpend]) -> String {
    models.iter().map(|one| serde_json::json!({"model": one}).to_string() + "\n").collect()
}

const COLUMNS: [&str; 31] = [
    "time",
    "payment",
    "session",
    "amount_atomic",
    "asset",
    "micro_usd",
    "host",
    "payee",
    "method",
    "resource",
    "state",
    "receipt",
    "observed",
    "artifact",
    "rules",
    "uses",
    "moved",
    "paid_at",
    "refunded_atomic",
    "agent",
    "user",
    "project",
    "client",
    "role",
    "category",
    "rail",
    "network",
    "payer",
    "goods",
    "used",
    "owed",
];

/// For spreadsheets.
pub(super) fn csv(purchases: &[Purchase], adopted: &[AdoptedOutflow], models: &[ModelSpend]) -> String {
    let mut text = csv::line(COLUMNS);
    for purchase in purchases {
        text.push_str(&csv::line(fields(purchase)));
    }
    for one in adopted {
        text.push_str(&csv::line(COLUMNS.map(|column| adopted_field(column, one))));
    }
    for one in models {
        let spent = (one.tries > 0).then_some(("model", &one.spent));
        let held = (one.held.atomic() > 0).then_some(("model held", &one.held));
        for (state, amount) in spent.into_iter().chain(held) {
            text.push_str(&csv::line(COLUMNS.map(|column| model_field(column, one, state, amount))));
        }
    }
    text
}

fn model_field(column: &str, one: &ModelSpend, state: &str, amount: &Amount) -> String {
    match column {
        "session" => one.session.to_string(),
        "amount_atomic" | "micro_usd" => amount.atomic().to_string(),
        "asset" => amount.asset().to_string(),
        "state" | "moved" => state.to_owned(),
        _ => String::new(),
    }
}

fn adopted_field(column: &str, adopted: &AdoptedOutflow) -> String {
    match column {
        "time" | "paid_at" => adopted.at.to_string(),
        "payment" => adopted.payment.map_or_else(String::new, |id| id.to_string()),
        "amount_atomic" => adopted.amount.atomic().to_string(),
        "asset" => adopted.amount.asset().to_string(),
        "micro_usd" => adopted.micro_usd.as_ref().map_or_else(String::new, |sum| sum.atomic().to_string()),
        "payee" => adopted.payee.clone(),
        "state" | "moved" => "adopted".to_owned(),
        "receipt" => adopted.transaction.clone(),
        "observed" => "true".to_owned(),
        "network" => adopted.amount.asset().network().to_owned(),
        _ => String::new(),
    }
}

fn fields(purchase: &Purchase) -> [String; COLUMNS.len()] {
    let payment = &purchase.payment;
    let atomic =
        |amount: Option<&Amount>| amount.map_or_else(String::new, |amount| amount.atomic().to_string());
    let maybe = |text: Option<&String>| text.cloned().unwrap_or_default();
    let receipt = payment.receipt.as_ref();
    let whose = purchase.whose.as_ref();
    [
        payment.at.to_string(),
        payment.id.to_string(),
        payment.session.map_or_else(String::new, |session| session.to_string()),
        atomic(payment.amount.as_ref()),
        payment.amount.as_ref().map_or_else(String::new, |amount| amount.asset().to_string()),
        atomic(payment.micro_usd.as_ref()),
        payment.host.clone(),
        payment.payee.clone(),
        payment.method.clone(),
        payment.resource.clone(),
        state(payment),
        receipt.map_or_else(String::new, |receipt| receipt.reference.clone()),
        receipt.map_or_else(String::new, |receipt| receipt.observed.to_string()),
        payment.artifact.as_ref().map_or_else(String::new, |artifact| artifact.id.to_string()),
        payment.rules.join(" "),
        payment.uses.join("; "),
        moved(purchase.moved).to_owned(),
        purchase.paid_at.map_or_else(String::new, |at| at.to_string()),
        atomic(purchase.refunded.as_ref()),
        maybe(whose.map(|whose| &whose.agent)),
        maybe(whose.map(|whose| &whose.user)),
        maybe(whose.map(|whose| &whose.project)),
        maybe(whose.and_then(|whose| whose.client.as_ref())),
        maybe(whose.map(|whose| &whose.role)),
        maybe(purchase.category.as_ref()),
        maybe(purchase.rail.as_ref()),
        maybe(purchase.network.as_ref()),
        maybe(purchase.payer.as_ref()),
        purchase.goods.to_string(),
        purchase.used.to_string(),
        purchase.owed.to_string(),
    ]
}

const fn moved(moved: Moved) -> &'static str {
    match moved {
        Moved::No => "no",
        Moved::Held => "held",
        Moved::Unknown => "unknown",
        Moved::Presumed => "presumed",
        Moved::Claimed => "claimed",
        Moved::Observed => "observed",
    }
}
