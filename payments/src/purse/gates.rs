//! Gates: the shares of a budget at which somebody is told, once each.

use super::budgets::GatePoints;
use super::decide::denied;
use super::uses::{BudgetUse, gated};
use super::{SessionPurse, unavailable};
use crate::events::{GateReached, MoneyEvent};
use crate::mandate::AlertRule;
use crate::reasons;
use bursar_ledger::{LinkWrite, Require, SealedEvent, StreamId, Transaction, Window};
use bursar_types::{Amount, BudgetId, Decision, FetchError, GateLevel, Timestamp};
use serde_json::json;
use std::collections::HashMap;

/// The levels that a gate can have fired at, as they stand in links.
const FIRED: [GateLevel; 3] = [GateLevel::Notified, GateLevel::Tightened, GateLevel::Stopped];

/// What gates say about a purchase.
#[derive(Debug, Default)]
pub(super) struct GateReading {
    /// The highest level of a budget that it touches, before it.
    pub(super) level: GateLevel,
    /// What it reaches.
    pub(super) reached: Vec<Reached>,
    /// The conditions under which it reaches no more than that.
    pub(super) conditions: Vec<Require>,
}

/// A gate that a purchase reaches.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) event: GateReached,
    alert: AlertRule,
    link: LinkWrite,
}

/// The start of every link that says that a gate fired.
pub(super) const GATE_LINKS: &str = "gate/";

fn link_key(budget: BudgetId, level: GateLevel) -> String {
    format!("{GATE_LINKS}{budget}/{level}")
}

/// Whether a gate that fired at the link's moment may not fire again yet. What cannot be read counts as fired.
fn stands(link: Option<&str>, window: Window, now: Timestamp) -> bool {
    let Some(text) = link else { return false };
    match (text.parse().map(Timestamp::from_unix_ms), window) {
        (Ok(at), Window::Rolling { length_ms }) => at.plus_ms(length_ms) > now,
        _ => true,
    }
}

/// What is used towards a gate, and where the gate stands.
fn point<'a>(
    level: GateLevel,
    used: &'a BudgetUse,
    gates: &GatePoints,
    meter: &'a BudgetUse,
) -> (&'a BudgetUse, u128) {
    match level {
        GateLevel::None | GateLevel::Notified => (meter, gates.notify),
        GateLevel::Tightened => (meter, gates.tighten),
        GateLevel::Stopped => (used, gates.stop),
    }
}

impl SessionPurse {
    /// Where gates have fired, by link.
    async fn fired(&self, budgets: &[BudgetUse]) -> Result<HashMap<String, String>, FetchError> {
        let keys: Vec<String> = gated(budgets)
            .flat_map(|(used, ..)| FIRED.map(|level| link_key(used.budget().id, level)))
            .collect();
        let values = self.shared.ledger.link_values(&keys).await.map_err(unavailable)?;
        Ok(keys.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?))).collect())
    }

    /// The highest gate that each budget has reached.
    pub(super) async fn gate_levels(
        &self,
        budgets: &[BudgetUse],
        now: Timestamp,
    ) -> Result<HashMap<BudgetId, GateLevel>, FetchError> {
        let fired = self.fired(budgets).await?;
        Ok(levels(budgets, &fired, now))
    }

    /// The highest gate that any of these budgets has reached.
    pub(super) async fn gate_level(&self, budgets: &[BudgetUse]) -> Result<GateLevel, FetchError> {
        let levels = self.gate_levels(budgets, self.shared.clock.now()).await?;
        Ok(levels.into_values().max().unwrap_or_default())
    }

    /// What gates say about a purchase of `cost`.
    pub(super) async fn gates(
        &self,
        budgets: &[BudgetUse],
        cost: &Amount,
        now: Timestamp,
    ) -> Result<GateReading, FetchError> {
        let fired = self.fired(budgets).await?;
        let level = levels(budgets, &fired, now).into_values().max().unwrap_or_default();
        let mut reading = GateReading { level, ..GateReading::default() };
        for (used, gates, meter) in gated(budgets) {
            for level in FIRED {
                let key = link_key(used.budget().id, level);
                let expected = fired.get(&key).cloned();
                if stands(expected.as_deref(), used.budget().window, now) {
                    continue;
                }
                let (counted, from) = point(level, used, gates, meter);
                let after = counted.used().saturating_add(cost.atomic());
                if after < from {
                    let below = from.saturating_sub(cost.atomic()).saturating_sub(1);
                    reading.conditions.push(counted.at_most(below));
                    continue;
                }
                let unit = used.budget().limit.asset();
                let event = GateReached {
                    budget: used.budget().id,
                    name: used.budget().name.clone(),
                    level,
                    used: Amount::from_atomic(unit.clone(), after),
                    limit: used.budget().limit.clone(),
                };
                let link = LinkWrite { key, expected, value: Some(now.unix_ms().to_string()) };
                reading.reached.push(Reached { event, alert: gates.alert, link });
            }
        }
        Ok(reading)
    }

    /// Sees to it that alerts were taken where the mandate requires it. Nothing is held yet.
    pub(super) async fn alert(
        &self,
        reached: &[Reached],
        facts: bursar_types::Digest,
    ) -> Result<(), FetchError> {
        for reached in reached.iter().filter(|reached| reached.alert == AlertRule::Required) {
            let problem = match &self.hooks.alerts {
                None => "nobody takes alerts in this session".to_owned(),
                Some(alerts) => match alerts.deliver(&reached.event).await {
                    Ok(()) => continue,
                    Err(error) => error.to_string(),
                },
            };
            tracing::warn!(budget = %reached.event.name, level = %reached.event.level, problem, "alert was not taken");
            let reason = reasons::gate_undelivered(&reached.event.name, reached.event.level);
            let decision = Decision { facts, ..denied(reason) };
            return Err(self.refuse_plainly("a payment that reaches a gate", decision).await);
        }
        Ok(())
    }

    /// Adds to a hold's transaction that it reaches gates: each once, whoever else is reaching it.
    pub(super) fn add_gates(
        &self,
        transaction: &mut Transaction,
        reached: &[Reached],
    ) -> Result<(), bursar_types::CanonicalError> {
        for Reached { event, link, .. } in reached {
            transaction.links.push(link.clone());
            let stream = StreamId::of("gate", event.budget);
            let fields = [
                ("budget", json!(event.budget)),
                ("name", json!(event.name)),
                ("level", json!(event.level)),
                ("used_micro_usd", json!(event.used.atomic().to_string())),
                ("limit_micro_usd", json!(event.limit.atomic().to_string())),
            ];
            let fields = fields.into_iter().chain(self.trace_fields());
            let sealed = SealedEvent::new(stream, "gate.reached", fields, event, &*self.shared.entropy);
            sealed.map_err(bursar_types::CanonicalError::Json)?.add_to(transaction);
        }
        Ok(())
    }

    /// Tells whoever watches, once the transaction is durable.
    pub(super) fn tell_gates(&self, reached: Vec<Reached>) {
        for Reached { event, .. } in reached {
            self.tell(&MoneyEvent::GateReached { gate: event });
        }
    }
}

fn levels(
    budgets: &[BudgetUse],
    fired: &HashMap<String, String>,
    now: Timestamp,
) -> HashMap<BudgetId, GateLevel> {
    gated(budgets)
        .map(|(used, gates, meter)| {
            let budget = used.budget();
            let reached = |level| {
                let (counted, from) = point(level, used, gates, meter);
                let link = fired.get(&link_key(budget.id, level));
                counted.used() >= from || stands(link.map(String::as_str), budget.window, now)
            };
            // A refund gives room again where the budget is net: then it is no longer stopped.
            let level = if used.used() >= gates.stop {
                GateLevel::Stopped
            } else if reached(GateLevel::Tightened) || reached(GateLevel::Stopped) {
                GateLevel::Tightened
            } else if reached(GateLevel::Notified) {
                GateLevel::Notified
            } else {
                GateLevel::None
            };
            (budget.id, level)
        })
        .collect()
}
