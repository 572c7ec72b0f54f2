//! Ways to make a scenario worse. Each changes one thing, or says that there is nothing of its kind to change.

use super::authority::host_of;
use super::dice::Dice;
use super::texts;
use crate::scenario::{GoodsSpec, OfferSpec, Pay, Point, Scenario, SellerSpec, Step, Usd};
use bursar_market::{Fault, FaultRule, Malformation};

/// Changes a scenario, and says how; `None` if it has nothing of the kind.
pub(super) type Operator = fn(&mut Scenario, &mut Dice) -> Option<String>;

/// An operator with its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hostile {
    pub(super) name: &'static str,
    pub(super) apply: Operator,
    /// It gives nobody any right: what the scenario's author allows is still the most.
    pub(super) keeps: bool,
}

const fn gives(name: &'static str, apply: Operator) -> Hostile {
    Hostile { name, apply, keeps: false }
}

const fn keeps(name: &'static str, apply: Operator) -> Hostile {
    Hostile { name, apply, keeps: true }
}

/// All of them.
pub(super) const HOSTILE: [Hostile; 24] = [
    gives("price", price),
    gives("price near a cap", price_near_a_cap),
    gives("budget near a price", budget_near_a_price),
    gives("reprice", reprice),
    gives("strange amount", strange_amount),
    gives("offers", offers),
    gives("ceiling", ceiling),
    gives("threshold", threshold),
    keeps("host", host),
    gives("host of a plan", planned_host),
    gives("order", order),
    gives("step twice", step_twice),
    gives("step left out", step_left_out),
    gives("times", times),
    keeps("at once", at_once),
    gives("same key", same_key),
    gives("time", time),
    keeps("text", text),
    keeps("shared payee", shared_payee),
    gives("seller's fault", seller_fault),
    keeps("facilitator's fault", facilitator_fault),
    gives("death", death),
    keeps("request", request),
    keeps("quote out of thin air", made_up_quote),
];

/// Every purchase, those in repetitions too.
pub(super) fn pays(steps: &mut [Step]) -> Vec<&mut Pay> {
    let mut found = Vec::new();
    for step in steps {
        match step {
            Step::Pay(pay) => found.push(pay),
            Step::Repeat { steps, .. } => found.extend(pays(steps)),
            _ => {}
        }
    }
    found
}

fn goods<'a>(scenario: &'a mut Scenario, dice: &mut Dice) -> Option<&'a mut GoodsSpec> {
    let mut all: Vec<_> = scenario.sellers.iter_mut().flat_map(|seller| seller.sells.iter_mut()).collect();
    let at = dice.below(all.len());
    (at < all.len()).then(|| all.swap_remove(at))
}

fn price(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let goods = goods(scenario, dice)?;
    let now = goods.price.micro();
    let all = [
        1,
        now.saturating_add(1),
        now.saturating_sub(1),
        now.saturating_mul(2),
        now.saturating_mul(100),
        now.saturating_mul(1_000_000_000_000),
        9_223_372_036_854_775_807,
        18_446_744_073_709_551_616,
        u128::MAX,
    ];
    goods.price = Usd(*dice.pick(&all)?);
    Some(format!("{} costs {}", goods.path, goods.price))
}

/// Every amount that the mandate names.
fn caps(scenario: &Scenario) -> Vec<u128> {
    fn walk(value: &toml::Value, found: &mut Vec<u128>) {
        match value {
            toml::Value::String(text) => found.extend(Usd::parse(text).ok().map(Usd::micro)),
            toml::Value::Array(all) => all.iter().for_each(|value| walk(value, found)),
            toml::Value::Table(table) => table.values().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    scenario.mandate.values().for_each(|value| walk(value, &mut found));
    found
}

fn near(mark: u128, dice: &mut Dice) -> u128 {
    let part = u128::from(dice.between(1, 4));
    let share = mark.checked_div(part).unwrap_or(mark);
    let all = [share.saturating_sub(1), share, share.saturating_add(1)];
    dice.pick(&all).copied().unwrap_or(share).max(1)
}

fn price_near_a_cap(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let caps = caps(scenario);
    let wanted = near(*dice.pick(&caps)?, dice);
    let goods = goods(scenario, dice)?;
    goods.price = Usd(wanted);
    Some(format!("{} costs {}", goods.path, goods.price))
}

fn budget_near_a_price(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let times = u128::from(dice.between(1, 5));
    let mark = goods(scenario, dice)?.price.micro().saturating_mul(times);
    let all = [mark.saturating_sub(1), mark, mark.saturating_add(1)];
    let limit = Usd((*dice.pick(&all)?).max(1));
    let budgets = scenario.mandate.get_mut("budget")?.as_array_mut()?;
    let budget = dice.pick_mut(budgets)?.as_table_mut()?;
    budget.insert("limit".to_owned(), limit.to_string().into());
    Some(format!("a budget of {limit}"))
}

/// Puts a step somewhere, not before the first.
fn put(scenario: &mut Scenario, dice: &mut Dice, step: Step) {
    let at = dice.below(scenario.steps.len().saturating_add(1)).max(1).min(scenario.steps.len());
    scenario.steps.insert(at, step);
}

fn reprice(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let seller = dice.pick(&scenario.sellers)?.clone();
    if seller.host.contains('{') {
        return None;
    }
    let goods = dice.pick(&seller.sells)?;
    let now = goods.price.micro();
    let all = [now.saturating_add(1), now.saturating_sub(1), now.saturating_mul(3), u128::MAX];
    let price = Usd(*dice.pick(&all)?);
    let said = format!("{} asks {price} for {} later", seller.name, goods.path);
    put(scenario, dice, Step::Reprice { seller: seller.name.clone(), path: goods.path.clone(), price });
    Some(said)
}

fn strange_amount(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let all = [
        "-1",
        "1e6",
        "01",
        "",
        "0x10",
        "+5",
        " 5",
        "5 ",
        "0.5",
        "1_000",
        "1,000",
        "\u{664}\u{662}",
        "NaN",
        "340282366920938463463374607431768211455",
        "340282366920938463463374607431768211456",
        "115792089237316195423570985008687907853269984665640564039457584007913129639936",
        "18446744073709551616",
        "0",
    ];
    let amount = (*dice.pick(&all)?).to_owned();
    let said = format!("amount `{}`", amount.escape_debug());
    add_fault(scenario, dice, Fault::QuotedAmount { amount }, &said)
}

fn offers(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let seller = dice.pick_mut(&mut scenario.sellers)?;
    let elsewhere = || Some("0x00000000000000000000000000000000000bad00".to_owned());
    let all = [
        OfferSpec { pay_to: elsewhere(), ..OfferSpec::default() },
        OfferSpec { asset: elsewhere(), ..OfferSpec::default() },
        OfferSpec { network: Some("eip155:8453".to_owned()), ..OfferSpec::default() },
        OfferSpec { network: Some("eip155:1".to_owned()), ..OfferSpec::default() },
        OfferSpec { scheme: Some("upto".to_owned()), ..OfferSpec::default() },
        OfferSpec { percent: Some(dice.between(1, 1_000)), ..OfferSpec::default() },
        OfferSpec { amount: Some("1".to_owned()), ..OfferSpec::default() },
        OfferSpec {
            amount: Some("18446744073709551616000000000000000000".to_owned()),
            ..OfferSpec::default()
        },
    ];
    let offer = dice.pick(&all)?.clone();
    let said = format!("{} offers {offer:?}", seller.name);
    if dice.once_in(2) {
        seller.offers = vec![offer];
    } else {
        seller.offers = vec![OfferSpec::default(), offer];
        if dice.once_in(2) {
            seller.offers.reverse();
        }
    }
    Some(said)
}

fn ceiling(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let prices: Vec<_> =
        scenario.sellers.iter().flat_map(|seller| &seller.sells).map(|goods| goods.price.micro()).collect();
    let mark = *dice.pick(&prices)?;
    let metered = scenario.mandate.get_mut("metered")?.as_array_mut()?;
    let item = dice.pick_mut(metered)?.as_table_mut()?;
    if dice.once_in(2) {
        let count = dice.between(1, 6);
        item.insert("count".to_owned(), i64::from(count).into());
        return Some(format!("metered {count} times"));
    }
    let all = [mark.saturating_sub(1), mark, mark.saturating_add(1)];
    let ceiling = Usd((*dice.pick(&all)?).max(1));
    item.insert("ceiling".to_owned(), ceiling.to_string().into());
    Some(format!("a ceiling of {ceiling}"))
}

fn threshold(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let mark = goods(scenario, dice)?.price.micro();
    let all = [mark.saturating_sub(1), mark, mark.saturating_add(1)];
    let limit = Usd((*dice.pick(&all)?).max(1));
    let key = *dice.pick(&["ask_above", "payment_max", "review_above"])?;
    scenario.mandate.insert(key.to_owned(), limit.to_string().into());
    Some(format!("{key} = {limit}"))
}

/// Hosts that look like this one, and that only its owner's enemy would use.
fn lookalikes(host: &str) -> Vec<String> {
    let swapped = host.replacen('a', "\u{430}", 1);
    let digit = host.replacen('o', "0", 1);
    let ascii = url::Url::parse(&format!("https://{swapped}/")).ok();
    let ascii = ascii.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or(swapped);
    let all = [
        ascii,
        digit,
        format!("{host}.evil.test"),
        format!("evil-{host}"),
        format!("www.{host}"),
        host.replacen('.', "-", 1),
        format!("{host}:8443"),
        format!("{host}."),
    ];
    all.into_iter().filter(|other| other != host).collect()
}

/// An enemy settles at a host that looks like a seller's, sells the same, and purchases go there.
fn settle(scenario: &mut Scenario, dice: &mut Dice) -> Option<(String, String)> {
    let honest = dice.pick(&scenario.sellers)?.clone();
    if honest.host.contains('{') || scenario.sellers.len() > 8 {
        return None;
    }
    let host = dice.pick(&lookalikes(&honest.host))?.clone();
    if scenario.sellers.iter().any(|seller| seller.host == host) {
        return None;
    }
    let name = format!("lookalike-{}", scenario.sellers.len());
    let paid_as = dice.once_in(4).then(|| honest.paid_as.clone().unwrap_or_else(|| honest.name.clone()));
    scenario.sellers.push(SellerSpec {
        name,
        host: host.clone(),
        paid_as,
        faults: Vec::new(),
        ..honest.clone()
    });
    Some((honest.host, host))
}

fn host(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let (from, to) = settle(scenario, dice)?;
    let mut all = pays(&mut scenario.steps);
    all.retain(|pay| host_of(&pay.url).as_deref() == Some(from.as_str()));
    let pay = dice.pick_mut(&mut all)?;
    let forms = [
        pay.url.replacen(&from, &to, 1),
        pay.url.replacen(&from, &from.to_uppercase(), 1),
        pay.url.replacen(&from, &format!("{from}@{to}"), 1),
        pay.url.replacen("https://", "http://", 1),
        pay.url.replacen(&from, &format!("{from}:443"), 1),
    ];
    // Mostly the lookalike itself.
    let at = if dice.once_in(2) { 0 } else { dice.below(forms.len()) };
    pay.url.clone_from(forms.get(at)?);
    Some(format!("buys at {}", pay.url))
}

fn planned_host(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let (from, to) = settle(scenario, dice)?;
    let mut said = None;
    for step in &mut scenario.steps {
        let Step::Plan { items, .. } = step else { continue };
        for item in items.iter_mut().filter(|item| host_of(&item.url).as_deref() == Some(from.as_str())) {
            item.url = item.url.replacen(&from, &to, 1);
            said = Some(format!("plans {}", item.url));
        }
    }
    said
}

fn order(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let length = scenario.steps.len();
    if length < 2 {
        return None;
    }
    let (one, other) = (dice.below(length), dice.below(length));
    scenario.steps.swap(one, other);
    (one != other)
        .then(|| format!("steps {} and {} change places", one.saturating_add(1), other.saturating_add(1)))
}

fn step_twice(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let at = dice.below(scenario.steps.len());
    let step = scenario.steps.get(at)?.clone();
    scenario.steps.insert(at, step);
    Some(format!("step {} twice", at.saturating_add(1)))
}

fn step_left_out(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let at = dice.below(scenario.steps.len());
    if scenario.steps.len() < 2 {
        return None;
    }
    scenario.steps.remove(at);
    Some(format!("without step {}", at.saturating_add(1)))
}

fn times(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let mut all = pays(&mut scenario.steps);
    let pay = dice.pick_mut(&mut all)?;
    pay.times = dice.between(2, 8);
    pay.parallel = dice.once_in(2);
    if dice.once_in(2) {
        let mark = if pay.url.contains('?') { '&' } else { '?' };
        pay.url = format!("{}{mark}n={{n}}", pay.url);
    }
    Some(format!("{} x{}", pay.url, pay.times))
}

fn at_once(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let mut all = pays(&mut scenario.steps);
    all.retain(|pay| pay.times > 1);
    let pay = dice.pick_mut(&mut all)?;
    pay.parallel = !pay.parallel;
    Some(format!("{} at once: {}", pay.url, pay.parallel))
}

fn same_key(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let mut all = pays(&mut scenario.steps);
    for pay in &mut all {
        pay.key = Some("the-same".to_owned());
    }
    let pay = dice.pick_mut(&mut all)?;
    pay.times = pay.times.max(2);
    Some("every purchase under one key".to_owned())
}

fn time(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let all = [1, 9, 59, 60, 61, 299, 3_599, 3_600, 3_601, 86_399, 86_400, 86_401, 2_592_001, 31_536_000];
    let seconds = *dice.pick(&all)?;
    put(scenario, dice, Step::Advance { seconds });
    if dice.once_in(3) {
        let seller = dice.pick_mut(&mut scenario.sellers)?;
        seller.timeout_s = *dice.pick(&[0, 1, 9, 61, 3_600, 31_536_000, 18_446_744_073_709_551_615])?;
    }
    Some(format!("{seconds} s pass"))
}

fn text(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let (name, text) = texts::hostile(dice);
    if dice.once_in(3) {
        let mut purposes: Vec<_> = scenario
            .steps
            .iter_mut()
            .filter_map(|step| match step {
                Step::Plan { purpose, .. } => Some(purpose),
                _ => None,
            })
            .collect();
        if let Some(purpose) = dice.pick_mut(&mut purposes) {
            **purpose = text;
            return Some(format!("`{name}` as a purpose"));
        }
    }
    let goods = goods(scenario, dice)?;
    if dice.once_in(2) {
        goods.description = Some(text);
    } else {
        goods.text = text;
    }
    Some(format!("`{name}` at {}", goods.path))
}

fn shared_payee(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    // Two that share one already could come to have two: their caps would count apart.
    if scenario.sellers.iter().any(|seller| seller.paid_as.is_some()) {
        return None;
    }
    let name = dice.pick(&scenario.sellers)?.name.clone();
    let (name, other) = (name, dice.pick_mut(&mut scenario.sellers)?);
    if other.name == name || other.host.contains('{') {
        return None;
    }
    other.paid_as = Some(name.clone());
    Some(format!("{} is paid as {name}", other.name))
}

/// Arms a fault from the start, or in the middle.
fn add_fault(scenario: &mut Scenario, dice: &mut Dice, fault: Fault, said: &str) -> Option<String> {
    let mut rule = FaultRule::new(fault);
    if dice.once_in(2) {
        rule = rule.times(dice.between(1, 3));
    }
    let seller = dice.pick_mut(&mut scenario.sellers)?;
    let name = seller.name.clone();
    if seller.host.contains('{') || dice.once_in(2) {
        seller.faults.push(rule);
        return Some(format!("{name}: {said}"));
    }
    put(scenario, dice, Step::Misbehave { seller: name.clone(), rule });
    Some(format!("{name}, later: {said}"))
}

fn seller_fault(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let hosts: Vec<_> = scenario.sellers.iter().map(|seller| seller.host.clone()).collect();
    let to = format!("https://{}/elsewhere", dice.pick(&hosts)?);
    let all = [
        Fault::Redirect { to: to.clone(), only_paid: true },
        Fault::Redirect { to, only_paid: false },
        Fault::Surge { percent: dice.between(101, 1_000) },
        Fault::SwapPayee { to: None },
        Fault::MalformedQuote { kind: Malformation::BadBase64 },
        Fault::MalformedQuote { kind: Malformation::WrongTypes },
        Fault::MalformedQuote { kind: Malformation::UnknownAsset },
        Fault::MalformedQuote { kind: Malformation::UnknownNetwork },
        Fault::MalformedQuote { kind: Malformation::AmountAsNumber },
        Fault::MalformedQuote { kind: Malformation::EmptyAccepts },
        Fault::NeverSettle402,
        Fault::DropBeforeSettle,
        Fault::Error500BeforeSettle,
        Fault::LyingReceipt,
        Fault::SettleThen402,
        Fault::SettleThen500,
        Fault::SettleThenDrop,
        Fault::HalfBody,
        Fault::WrongContent { body: None },
        Fault::EmptyBody,
        Fault::NoReceipt,
        Fault::GarbledReceipt,
        Fault::ForeignReceipt,
    ];
    let fault = dice.pick(&all)?.clone();
    let said = fault.name();
    add_fault(scenario, dice, fault, &said)
}

fn facilitator_fault(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let all = [
        Fault::Verify500,
        Fault::SettleAnswerLost,
        Fault::SettleLostBefore,
        Fault::Settle500After,
        Fault::Settle500Before,
        Fault::SettlementPending,
        Fault::SettlementPendingForever,
        Fault::SettleLies,
    ];
    let fault = dice.pick(&all)?.clone();
    let said = format!("facilitator: {}", fault.name());
    scenario.facilitator_faults.push(FaultRule::new(fault).times(dice.between(1, 4)));
    Some(said)
}

fn death(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let point = match dice.below(7) {
        0 => Point::BeforeSign,
        1 => Point::AfterSign,
        2 => Point::BeforePresent,
        3 => Point::AfterAnswer,
        4 => Point::BeforeCommit("payment.held".to_owned()),
        5 => Point::AfterCommit("payment.signing".to_owned()),
        _ => {
            put(scenario, dice, Step::Restart { process: "main".to_owned() });
            return Some("restarted".to_owned());
        }
    };
    let said = format!("dies at {}", String::from(point.clone()));
    put(scenario, dice, Step::Kill { at: point, process: "main".to_owned() });
    scenario.steps.push(Step::Recover { process: "main".to_owned() });
    Some(said)
}

fn request(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let mut all = pays(&mut scenario.steps);
    let pay = dice.pick_mut(&mut all)?;
    match dice.below(4) {
        0 => "POST".clone_into(&mut pay.method),
        1 => "x=1".clone_into(&mut pay.body),
        2 => pay.url.push_str("/../../admin"),
        _ => pay.url.push_str("%2e%2e/x"),
    }
    Some(format!("{} {} {}", pay.method, pay.url, pay.body))
}

fn made_up_quote(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    for step in &mut scenario.steps {
        let Step::Plan { items, .. } = step else { continue };
        if let Some(item) = dice.pick_mut(items) {
            item.quote = Some(format!("quo_{:032x}", dice.below(usize::MAX)));
            return Some(format!("cites {}", item.quote.as_deref().unwrap_or_default()));
        }
    }
    None
}
