//! Ways to change a scenario in which everybody stays honest: what was bought must still be bought, and nothing refused.

use super::dice::Dice;
use super::hostile::{Operator, pays};
use super::texts;
use crate::scenario::{Scenario, Step, Usd};

/// All of them, by name. The walk over the scenario's words says what they must come to.
pub(super) const HARMLESS: [(&str, Operator); 9] = [
    ("cheaper", cheaper),
    ("larger budget", larger_budget),
    ("text", text),
    ("hostile text", hostile_text),
    ("time", time),
    ("other host", other_host),
    ("bystander", bystander),
    ("at once", at_once),
    ("restart", restart),
];

/// Honest prices are other prices: lower, and to the last decimal.
fn cheaper(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let seller = dice.pick_mut(&mut scenario.sellers)?;
    let goods = dice.pick_mut(&mut seller.sells)?;
    let most = u32::try_from(goods.price.micro()).ok().filter(|most| *most > 1)?;
    goods.price = Usd(u128::from(dice.between(1, most)));
    Some(format!("{} costs {}", goods.path, goods.price))
}

fn larger_budget(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let budgets = scenario.mandate.get_mut("budget")?.as_array_mut()?;
    let budget = dice.pick_mut(budgets)?.as_table_mut()?;
    let limit = Usd::parse(budget.get("limit")?.as_str()?).ok()?;
    let more = Usd(limit.micro().saturating_add(u128::from(dice.between(1, 1_000_000_000))));
    budget.insert("limit".to_owned(), more.to_string().into());
    Some(format!("a budget of {more}"))
}

fn described(scenario: &mut Scenario, dice: &mut Dice, text: String) -> Option<String> {
    let seller = dice.pick_mut(&mut scenario.sellers)?;
    let goods = dice.pick_mut(&mut seller.sells)?;
    let said = format!("{} is described as `{}`", goods.path, text.escape_debug());
    goods.description = Some(text);
    Some(said)
}

fn text(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let text = texts::harmless(dice).to_owned();
    described(scenario, dice, text)
}

/// What a text says changes nothing, for better or worse: who planned an honest purchase gets it.
fn hostile_text(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let (_, text) = texts::hostile(dice);
    described(scenario, dice, text)
}

/// Less than a minute, between any two steps.
fn time(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let seconds = u64::from(dice.between(1, 55));
    let at = dice.below(scenario.steps.len().saturating_add(1));
    scenario.steps.insert(at, Step::Advance { seconds });
    Some(format!("{seconds} s pass"))
}

/// A seller has another name, everywhere.
fn other_host(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let from = dice.pick(&scenario.sellers)?.host.clone();
    if from.contains(['{', ':']) {
        return None;
    }
    let to = dice
        .pick(&["shop.example-1.test", "xn--bcher-kva.test", "a.b.c.d.test", "127-0-0-1.test"])?
        .to_owned();
    // Two sellers at one host would be one of them.
    if scenario.sellers.iter().any(|seller| seller.host == to) {
        return None;
    }
    let value = toml::Value::try_from(&*scenario).ok()?;
    *scenario = renamed(value, &from, to).try_into().ok()?;
    Some(format!("{from} is {to}"))
}

fn renamed(value: toml::Value, from: &str, to: &str) -> toml::Value {
    match value {
        toml::Value::String(text) => toml::Value::String(text.replace(from, to)),
        toml::Value::Array(all) => {
            toml::Value::Array(all.into_iter().map(|value| renamed(value, from, to)).collect())
        }
        toml::Value::Table(table) => toml::Value::Table(
            table.into_iter().map(|(key, value)| (key, renamed(value, from, to))).collect(),
        ),
        other => other,
    }
}

/// Another seller is there, whom nobody asks.
fn bystander(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let mut seller = dice.pick(&scenario.sellers)?.clone();
    if seller.host.contains('{') {
        return None;
    }
    let name = format!("bystander-{}", scenario.sellers.len());
    seller.host = format!("{name}.test");
    seller.name.clone_from(&name);
    scenario.sellers.push(seller);
    Some(format!("{name} is there"))
}

fn at_once(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let mut all = pays(&mut scenario.steps);
    all.retain(|pay| pay.times > 1);
    let pay = dice.pick_mut(&mut all)?;
    pay.parallel = !pay.parallel;
    Some(format!("{} at once: {}", pay.url, pay.parallel))
}

/// The process is closed and opened again, after the first step.
fn restart(scenario: &mut Scenario, dice: &mut Dice) -> Option<String> {
    let at = dice.below(scenario.steps.len()).saturating_add(1).min(scenario.steps.len());
    scenario.steps.insert(at, Step::Restart { process: "main".to_owned() });
    Some("restarted".to_owned())
}
