//! Judging: what the chain and the wire say, against what the scenario expects.

use crate::play::{Memory, saga_ended};
use crate::report::{Money, Outcome, Problem, Score, VendorMoney};
use crate::scenario::{Expect, Kind, Usd};
use crate::stage::{Stage, StageError};
use bursar::report::{PaymentReport, PaymentState};
use bursar::types::Phase;
use std::collections::{BTreeMap, BTreeSet};

/// What is there at the end.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) money: Money,
    pub(crate) score: Score,
    pub(crate) phase: Option<Phase>,
    pub(crate) obligations: BTreeMap<String, u64>,
    pub(crate) used_bp: Option<u64>,
    pub(crate) journal: Vec<String>,
    pub(crate) refusals: u64,
    pub(crate) shown: Vec<String>,
    pub(crate) told: Vec<String>,
    pub(crate) window_s: u64,
}

/// Looks at everything once all is quiet.
pub(crate) async fn look(stage: &Stage, ran_agent: bool, memory: &Memory) -> Result<Found, StageError> {
    let open = |error: bursar::BursarError| StageError::Open(Box::new(error));
    stage.drain().await;
    let presented = stage.street.presented();
    let window_s = presented.values().map(|seen| seen.valid_before.saturating_sub(seen.at_s)).max();
    let mut found = Found {
        shown: stage.seen.shown(),
        told: stage.seen.codes(),
        window_s: window_s.unwrap_or(0),
        ..Found::default()
    };
    let mut overpaid = 0_u128;
    wire(stage, &mut found.money, &mut overpaid);
    // A mandate or policy that does not load leaves no books: then the chain alone speaks.
    let Ok((bursar, _)) = stage.bursar("main").await else {
        found.score.overpaid_micro_usd = overpaid;
        return Ok(found);
    };
    let payments = bursar.payments().await.map_err(open)?;
    found.money.delivered = count(&payments, |state| matches!(state, PaymentState::Delivered));
    found.money.unknown =
        count(&payments, |state| matches!(state, PaymentState::Unknown { .. } | PaymentState::Signing));
    for payment in &payments {
        let state = name(&payment.state);
        let known = found.obligations.entry(state).or_default();
        *known = known.saturating_add(1);
    }
    for saga in memory.sagas.values() {
        if let Ok(Some(report)) = bursar.desk().saga(*saga).await {
            let known = found.obligations.entry(format!("saga_{}", saga_ended(&report.end))).or_default();
            *known = known.saturating_add(1);
        }
    }
    let claimed_only = |payment: &&PaymentReport| {
        payment.state.is_paid() && payment.receipt.as_ref().is_some_and(|receipt| !receipt.observed)
    };
    let unconfirmed = payments.iter().filter(claimed_only).count();
    if unconfirmed > 0 {
        let unconfirmed = u64::try_from(unconfirmed).unwrap_or(u64::MAX);
        found.obligations.insert("unconfirmed".to_owned(), unconfirmed);
    }
    found.score = score(&payments, ran_agent, &mut found.used_bp);
    found.score.overpaid_micro_usd = overpaid;
    found.journal = bursar::report::verify(bursar.ledger()).await.map_err(open)?.journal.problems;
    let booked: u128 = payments
        .iter()
        .filter(|payment| payment.state.is_paid() || payment.state.is_open())
        .map(atomic)
        .sum();
    if booked < found.money.paid_atomic {
        found.journal.push(format!(
            "{} atomic units left the wallet, and the books know of {booked}",
            found.money.paid_atomic
        ));
    }
    if ran_agent {
        // What an agent was told in its tools' results is known from the journal alone.
        let decisions = bursar::report::decisions(bursar.ledger(), None).await.map_err(open)?;
        let reasons = decisions.iter().flat_map(|one| &one.record.decision.reasons);
        found.told.extend(reasons.map(|reason| reason.code.to_string()));
    }
    let streams = bursar.ledger().streams("refusals/").await;
    found.refusals = streams.map_or(0, |streams| streams.iter().map(|(_, length)| length).sum());
    if let Ok((session, _)) = stage.session_named("main", "main").await {
        found.phase = session.purse().standing().await.ok().map(|standing| standing.phase);
    }
    Ok(found)
}

/// What the chain and the wire say.
fn wire(stage: &Stage, money: &mut Money, overpaid: &mut u128) {
    let chain = stage.market.chain();
    let Ok(buyer) = stage.wallet_address().parse::<bursar_market::Address>() else { return };
    let presented = stage.street.presented();
    money.signatures = u64::try_from(stage.signed.count()).unwrap_or(u64::MAX);
    for transfer in chain.transfers().iter().filter(|transfer| transfer.from == buyer) {
        let seen = presented.get(&transfer.nonce.to_string().to_lowercase());
        let seller = seen.and_then(|seen| stage.sellers.iter().find(|seller| seller.host == seen.host));
        let meant = seller.filter(|seller| crate::stage::payee(seller) == transfer.to);
        let vendor = meant.map_or_else(|| transfer.to.to_string(), |seller| seller.name.clone());
        let got: &mut VendorMoney = money.vendors.entry(vendor).or_default();
        got.paid_micro_usd = got.paid_micro_usd.saturating_add(transfer.value);
        got.paid_atomic = got.paid_atomic.saturating_add(transfer.value);
        got.payments = got.payments.saturating_add(1);
        money.paid_micro_usd = money.paid_micro_usd.saturating_add(transfer.value);
        money.paid_atomic = money.paid_atomic.saturating_add(transfer.value);
        let goods = seen.zip(seller).and_then(|(seen, seller)| {
            let fits = |path: &str| match path.strip_suffix('*') {
                Some(prefix) => seen.path.starts_with(prefix),
                None => seen.path == path,
            };
            seller.sells.iter().find(|goods| fits(&goods.path))
        });
        let worth = goods.map(|goods| goods.worth.unwrap_or(goods.price).micro());
        *overpaid = overpaid.saturating_add(transfer.value.saturating_sub(worth.unwrap_or(transfer.value)));
    }
    for back in chain.plain_transfers().iter().filter(|transfer| transfer.to == buyer) {
        money.refunded_micro_usd = money.refunded_micro_usd.saturating_add(back.value);
    }
    for (nonce, seen) in &presented {
        let used = nonce.parse().map_or(true, |nonce| chain.authorization_state(buyer, nonce));
        if !used && seen.valid_before > stage.now_s() {
            money.live_micro_usd = money.live_micro_usd.saturating_add(seen.value);
        }
    }
}

/// What the books say is at risk or was wasted.
fn score(payments: &[PaymentReport], ran_agent: bool, used_bp: &mut Option<u64>) -> Score {
    let mut score = Score::default();
    let (mut bought, mut used) = (0_u64, 0_u64);
    for payment in payments {
        match &payment.state {
            state if state.is_open() => {
                score.at_risk_micro_usd = score.at_risk_micro_usd.saturating_add(atomic(payment));
            }
            PaymentState::Closed { written_off: true, .. } => {
                score.wasted_micro_usd = score.wasted_micro_usd.saturating_add(atomic(payment));
            }
            PaymentState::Delivered if ran_agent => {
                bought = bought.saturating_add(1);
                if payment.uses.is_empty() {
                    score.wasted_micro_usd = score.wasted_micro_usd.saturating_add(atomic(payment));
                } else {
                    used = used.saturating_add(1);
                }
            }
            _ => {}
        }
    }
    *used_bp = used.saturating_mul(10_000).checked_div(bought);
    score
}

/// Everything that is not as expected; what is above the mark is counted as unauthorised.
pub(crate) fn judge(expect: &Expect, kind: Kind, found: &mut Found, outcomes: &[Outcome]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |what: &str, expected: String, found: String| {
        problems.push(Problem { what: what.to_owned(), expected, found });
    };
    let money = &found.money;
    let out = money.paid_micro_usd.saturating_add(money.live_micro_usd);
    let mut beyond = out.saturating_sub(expect.paid_max.micro());
    if beyond > 0 {
        wrong("paid", format!("at most {}", expect.paid_max), Usd(out).to_string());
    }
    if let Some(least) = expect.paid_min.filter(|least| money.paid_micro_usd < least.micro()) {
        wrong("paid", format!("at least {least}"), Usd(money.paid_micro_usd).to_string());
    }
    let mut per_vendor = 0_u128;
    for (name, vendor) in &expect.vendors {
        let paid = money.vendors.get(name).map_or(0, |vendor| vendor.paid_micro_usd);
        if let Some(most) = vendor.paid_max.filter(|most| paid > most.micro()) {
            per_vendor = per_vendor.saturating_add(paid.saturating_sub(most.micro()));
            wrong(&format!("paid to {name}"), format!("at most {most}"), Usd(paid).to_string());
        }
        if let Some(least) = vendor.paid_min.filter(|least| paid < least.micro()) {
            wrong(&format!("paid to {name}"), format!("at least {least}"), Usd(paid).to_string());
        }
    }
    beyond = beyond.max(per_vendor);
    found.score.unauthorised_micro_usd = beyond;
    if money.signatures > expect.signatures_max {
        wrong("signatures", format!("at most {}", expect.signatures_max), money.signatures.to_string());
    }
    for (what, expected, is) in [
        ("delivered", expect.delivered_min, money.delivered),
        ("journaled refusals", expect.journaled_refusals_min, found.refusals),
    ] {
        if let Some(least) = expected.filter(|least| is < *least) {
            wrong(what, format!("at least {least}"), is.to_string());
        }
    }
    if let Some(most) = expect.unknown_max.filter(|most| money.unknown > *most) {
        wrong("payments of unknown outcome", format!("at most {most}"), money.unknown.to_string());
    }
    let back = money.refunded_micro_usd;
    if let Some(most) = expect.refunded_max.filter(|most| back > most.micro()) {
        wrong("refunded", format!("at most {most}"), Usd(back).to_string());
    }
    if let Some(least) = expect.refunded_min.filter(|least| back < least.micro()) {
        wrong("refunded", format!("at least {least}"), Usd(back).to_string());
    }
    if let Some(most) = expect.window_s_max.filter(|most| found.window_s > *most) {
        wrong("life of an authorization", format!("at most {most} s"), format!("{} s", found.window_s));
    }
    if let Some(phase) = expect.phase.filter(|phase| found.phase != Some(*phase)) {
        wrong("phase", format!("{phase:?}"), format!("{:?}", found.phase));
    }
    if let Some(least) = expect.used_min_bp.filter(|least| found.used_bp.unwrap_or(0) < *least) {
        wrong("share used", format!("at least {least} bp"), format!("{:?}", found.used_bp));
    }
    if !found.journal.is_empty() {
        wrong("journal", "verifies".to_owned(), found.journal.join("; "));
    }
    obligations(expect, found, &mut wrong);
    codes(expect, kind, (outcomes, &found.told), &mut wrong);
    said(expect, outcomes, &mut wrong);
    shown(expect, found, &mut wrong);
    problems
}

fn obligations(expect: &Expect, found: &Found, wrong: &mut impl FnMut(&str, String, String)) {
    let open = ["undelivered", "claimed", "parked"];
    let is: u64 = open.iter().filter_map(|state| found.obligations.get(*state)).sum();
    if let Some(most) = expect.open_max.filter(|most| is > *most) {
        wrong("open obligations", format!("at most {most}"), is.to_string());
    }
    for wanted in &expect.obligations {
        if !wanted.split('|').any(|state| found.obligations.contains_key(state)) {
            let is: Vec<_> = found.obligations.keys().map(String::as_str).collect();
            wrong("payments", format!("one that is {}", wanted.replace('|', " or ")), is.join(", "));
        }
    }
}

fn codes(
    expect: &Expect,
    kind: Kind,
    (outcomes, told): (&[Outcome], &[String]),
    wrong: &mut impl FnMut(&str, String, String),
) {
    let mut given: BTreeSet<&str> =
        outcomes.iter().flat_map(|one| one.codes.iter()).map(String::as_str).collect();
    let all = given.iter().copied().collect::<Vec<_>>().join(", ");
    for never in &expect.codes_never {
        let broken = if never == "*" { !given.is_empty() } else { given.contains(never.as_str()) };
        if broken {
            wrong("codes", format!("never {never}"), all.clone());
        }
    }
    if kind == Kind::Control && expect.codes.is_empty() && !given.is_empty() {
        wrong("codes", "no refusal: everybody is honest".to_owned(), all.clone());
    }
    // What was only told in events, and how a step ended, in small letters, can be asked for as well.
    given.extend(told.iter().map(String::as_str));
    let ended: BTreeSet<&str> =
        outcomes.iter().flat_map(|one| one.ended.keys()).map(String::as_str).collect();
    given.extend(ended.iter().copied());
    for wanted in &expect.codes {
        if !wanted.split('|').any(|code| given.contains(code)) {
            let is: Vec<_> = given.iter().copied().collect();
            wrong("codes", wanted.replace('|', " or "), is.join(", "));
        }
    }
}

fn said(expect: &Expect, outcomes: &[Outcome], wrong: &mut impl FnMut(&str, String, String)) {
    let all: BTreeSet<&str> = outcomes.iter().filter_map(|one| one.said.as_deref()).collect();
    for text in expect.said.iter().filter(|text| !all.iter().any(|said| said.contains(text.as_str()))) {
        let all: Vec<_> = all.iter().copied().collect();
        wrong("said", format!("`{text}`"), all.join("; "));
    }
}

fn shown(expect: &Expect, found: &Found, wrong: &mut impl FnMut(&str, String, String)) {
    let all = found.shown.join("\n");
    for text in expect.shown.iter().filter(|text| !all.contains(text.as_str())) {
        wrong("shown to the approver", format!("`{}`", text.escape_debug()), all.escape_debug().to_string());
    }
    for text in expect.shown_never.iter().filter(|text| all.contains(text.as_str())) {
        wrong(
            "shown to the approver",
            format!("never `{}`", text.escape_debug()),
            all.escape_debug().to_string(),
        );
    }
}

fn atomic(payment: &PaymentReport) -> u128 {
    payment.amount.as_ref().map_or(0, bursar::Amount::atomic)
}

fn count(payments: &[PaymentReport], is: impl Fn(&PaymentState) -> bool) -> u64 {
    u64::try_from(payments.iter().filter(|payment| is(&payment.state)).count()).unwrap_or(u64::MAX)
}

/// The state's name as reports write it.
fn name(state: &PaymentState) -> String {
    let value = serde_json::to_value(state).ok();
    value.and_then(|value| value.get("state")?.as_str().map(str::to_owned)).unwrap_or_default()
}
