//! Which budgets a purchase touches.
//!
//! Everything that is limited is a budget of the ledger, and a purchase sets aside a line in each that it touches, or in
//! none: nothing is checked first and counted later. What only tells rules how much there was is a budget too, with a
//! cap that nothing reaches.
//!
//! Ids are in the tree for ever. Whatever they are derived from holds a pseudonym, or the random id of a session.

use super::lineage::Lineage;
use super::pseudonym::Pseudonyms;
use crate::hosts::normal;
use crate::mandate::{
    AlertRule, BudgetRule, Counted, LimitRule, Mandate, Scope, family_of, matches_host, window_key,
    window_words,
};
use crate::plan::ItemTerms;
use bursar_ledger::{Budget, Line, Window};
use bursar_types::{Amount, AssetId, BudgetId, PlanItemId, SessionId};
use std::borrow::Cow;

const DAY: Window = Window::Rolling { length_ms: 86_400_000 };
/// The cap of what only counts: more micro-USD than there is money.
const UNREACHED: u128 = u64::MAX as u128;

/// What a purchase is, as far as budgets tell purchases apart. Everything in it was observed or is the mandate's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Purchase {
    pub(super) host: String,
    pub(super) payee: String,
    pub(super) rail: String,
    pub(super) family: String,
}

impl Purchase {
    /// A purchase of `resource`; where it is a pattern, of what stands before its end.
    pub(crate) fn of(host: &str, payee: &str, rail: &str, resource: &str) -> Self {
        Self {
            host: host.to_owned(),
            payee: payee.to_owned(),
            rail: rail.to_owned(),
            family: family_of(resource).unwrap_or_else(|| host.to_owned()),
        }
    }
}

/// What a budget is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A cap in dollars; rules see how full it is.
    Cap,
    /// The cap that all unknown vendors share. The ledger alone says no.
    UnknownVendors,
    /// A cap on what is under way at once, in dollars or in payments.
    Open,
    /// A cap on payments of this scope in a window.
    Payments(Scope),
    /// Counts what a cap would have spent without refunds.
    Gross,
    /// Counts what a session and its helpers spent.
    SessionSum,
    /// Counts a day's spending at the host.
    VendorDay,
    /// Counts a day's spending on the payee address.
    PayeeDay,
    /// Counts a day's spending on the resource family.
    FamilyDay,
}

/// When somebody is told about a cap: amounts in micro-USD from which each gate is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GatePoints {
    pub(super) notify: u128,
    pub(super) tighten: u128,
    pub(super) stop: u128,
    pub(super) alert: AlertRule,
    /// What counts towards the first two: the cap itself where it is gross.
    pub(super) meter: BudgetId,
}

/// One budget that a purchase touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Touched {
    pub(super) budget: Budget,
    pub(super) part: Part,
    pub(super) gates: Option<GatePoints>,
    /// Whether it is of a session that delegated to this one.
    pub(super) inherited: bool,
}

impl Touched {
    /// What a purchase of `cost` sets aside in it.
    pub(super) fn line(&self, cost: &Amount) -> Line {
        let counts = *self.budget.limit.asset() == AssetId::count();
        let amount = if counts { Amount::from_atomic(AssetId::count(), 1) } else { cost.clone() };
        Line { budget: self.budget.id, amount }
    }
}

/// Every budget of the session and of those it was delegated by; without a purchase, those that all purchases touch.
pub(super) fn touched(lineage: &Lineage, purchase: Option<&Purchase>) -> Vec<Touched> {
    touched_by(&lineage.holders().collect::<Vec<_>>(), purchase)
}

/// The same, of sessions with those that they were delegated by, nearest first.
fn touched_by(holders: &[Holder<'_>], purchase: Option<&Purchase>) -> Vec<Touched> {
    let mut all: Vec<Touched> = Vec::new();
    let mut add = |touched: Touched| {
        if all.iter().all(|known| known.budget.id != touched.budget.id) {
            all.push(touched);
        }
    };
    for (depth, holder) in holders.iter().copied().enumerate() {
        let inherited = depth > 0;
        let above = holders.get(depth.saturating_add(1)..).unwrap_or_default();
        for rule in &holder.mandate.budgets {
            let Some(budget) = cap(rule, holder, above, purchase) else { continue };
            let gates = gate_points(rule, budget.id);
            let meter = gates.as_ref().filter(|gates| gates.meter != budget.id).map(|gates| gates.meter);
            let gross =
                meter.map(|id| meter_of(id, format!("{} before refunds", budget.name), budget.window));
            let part = match (rule.window, rule.scope) {
                (Window::Open, _) => Part::Open,
                (_, Scope::UnknownVendors) => Part::UnknownVendors,
                _ => Part::Cap,
            };
            add(Touched { budget, part, gates, inherited });
            if let Some(budget) = gross {
                add(Touched { budget, part: Part::Gross, gates: None, inherited });
            }
        }
        for rule in holder.mandate.limits.iter().filter(|rule| rule.counts == Counted::Payments) {
            let Some(budget) = limit(rule, holder, purchase) else { continue };
            let part = if rule.window == Window::Open { Part::Open } else { Part::Payments(rule.scope) };
            add(Touched { budget, part, gates: None, inherited });
        }
    }
    // What a helper spends is its parent's spending too, so that no sum begins anew with a helper.
    let sessions = holders.iter().map(|holder| {
        let id = BudgetId::derived(&[b"session sum", holder.session.as_bytes()]);
        (Part::SessionSum, meter_of(id, "met in a session".to_owned(), Window::Life))
    });
    let user = holders.first().map(|holder| holder.names.user.as_str());
    let days = user.zip(purchase).into_iter().flat_map(|(user, purchase)| day_meters(user, purchase));
    for (part, budget) in sessions.chain(days) {
        add(Touched { budget, part, gates: None, inherited: false });
    }
    all
}

/// What a purchase has to set aside in one budget, as far as mandates alone tell.
#[derive(Debug)]
pub(crate) struct MustHold {
    /// The budget. Where its id depends on a pseudonym, which mandates do not tell, the id is another than the real one, and the same for
    /// whatever has the same real one.
    pub(crate) budget: Budget,
    pub(crate) amount: Amount,
    /// What it is for.
    pub(crate) part: Part,
    /// Whether the id is the real one.
    pub(crate) named: bool,
}

impl MustHold {
    /// Whether a budget was opened with these terms, whatever its id.
    pub(crate) fn is(&self, opened: &Budget) -> bool {
        *opened == Budget { id: opened.id, ..self.budget.clone() }
    }
}

/// What a purchase of `cost` has to set aside under these sessions' mandates: its own first, then those that it was delegated by.
/// Without a purchase, what every one has to.
pub(crate) fn must_hold(
    sessions: &[(SessionId, &Mandate)],
    purchase: Option<&Purchase>,
    cost: &Amount,
) -> Vec<MustHold> {
    under_two_names(sessions, |holders| touched_by(holders, purchase), |touched| touched.budget.id)
        .map(|(touched, named)| MustHold {
            amount: touched.line(cost).amount,
            part: touched.part,
            named,
            budget: touched.budget,
        })
        .collect()
}

/// What a session's beginning has to count in, as far as mandates alone tell: its own and of those that it was delegated by.
pub(crate) fn must_count(sessions: &[(SessionId, &Mandate)]) -> Vec<MustHold> {
    let one = Amount::from_atomic(AssetId::count(), 1);
    under_two_names(sessions, |holders| session_limits_of(holders.iter().copied()), |budget| budget.id)
        .map(|(budget, named)| MustHold {
            amount: one.clone(),
            part: Part::Payments(Scope::Session),
            named,
            budget,
        })
        .collect()
}

/// What is found under two sets of names, once each, and whether its id depends on none of them: it is the same in both then.
fn under_two_names<T>(
    sessions: &[(SessionId, &Mandate)],
    find: impl Fn(&[Holder<'_>]) -> Vec<T>,
    id: impl Fn(&T) -> BudgetId,
) -> impl Iterator<Item = (T, bool)> {
    let under = |salt: &str| {
        let names: Vec<_> = sessions
            .iter()
            .map(|(_, mandate)| Pseudonyms {
                user: format!("{salt} {}", mandate.user),
                agent: format!("{salt} {}\n{}", mandate.user, mandate.agent),
                project: format!("{salt} {}", mandate.project),
            })
            .collect();
        let holders = sessions.iter().zip(&names);
        let holders: Vec<_> =
            holders.map(|((session, mandate), names)| Holder { session: *session, mandate, names }).collect();
        find(&holders)
    };
    let both = under("one").into_iter().zip(under("other"));
    both.map(move |(one, other)| {
        let named = id(&one) == id(&other);
        (one, named)
    })
}

/// What counts a day's spending of a user, named by pseudonym, on what a purchase is.
pub(super) fn day_meters(user: &str, purchase: &Purchase) -> [(Part, Budget); 3] {
    let meter = |part, what: &str, key: &str| {
        let id = BudgetId::derived(&[what.as_bytes(), user.as_bytes(), key.as_bytes()]);
        (part, meter_of(id, format!("met at a {what} per day"), DAY))
    };
    [
        meter(Part::VendorDay, "vendor", &purchase.host),
        meter(Part::PayeeDay, "payee", &purchase.payee),
        meter(Part::FamilyDay, "family", &purchase.family),
    ]
}

/// The budgets that count a session's beginning.
pub(super) fn session_limits(lineage: &Lineage) -> Vec<Budget> {
    session_limits_of(lineage.holders())
}

fn session_limits_of<'a>(holders: impl Iterator<Item = Holder<'a>>) -> Vec<Budget> {
    let mut all: Vec<Budget> = Vec::new();
    for holder in holders {
        for rule in holder.mandate.limits.iter().filter(|rule| rule.counts == Counted::Sessions) {
            let budget = limit(rule, holder, None);
            all.extend(budget.filter(|budget| all.iter().all(|known| known.id != budget.id)));
        }
    }
    all
}

/// Whose rules are read: a session under its mandate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder<'a> {
    pub(super) session: SessionId,
    pub(super) mandate: &'a Mandate,
    pub(super) names: &'a Pseudonyms,
}

/// A mandate's cap as a budget of the ledger.
///
/// The id leaves the limit out: a user's daily budget stays the same budget when another session names another limit, and
/// the ledger refuses the other limit.
fn cap(
    rule: &BudgetRule,
    holder: Holder<'_>,
    above: &[Holder<'_>],
    purchase: Option<&Purchase>,
) -> Option<Budget> {
    let key = key(rule.scope, rule.only.as_deref(), holder, purchase)?;
    let gross = if rule.gross { "gross " } else { "" };
    Some(Budget {
        id: rule_id("cap", rule.scope, rule.only.as_deref(), &key, rule.window, rule.gross),
        name: format!("{gross}{}", name(rule.scope, rule.only.as_deref(), rule.window)),
        limit: rule.cap(),
        window: rule.window,
        gross: rule.gross,
        parent: parent(rule, above),
    })
}

/// The same cap of the nearest session above that has one: the ledger debits it with this one.
fn parent(rule: &BudgetRule, above: &[Holder<'_>]) -> Option<BudgetId> {
    let same = |other: &&BudgetRule| {
        other.scope == Scope::Session && (other.window, other.gross) == (rule.window, rule.gross)
    };
    if rule.scope != Scope::Session {
        return None;
    }
    above.iter().find_map(|holder| {
        let rule = holder.mandate.budgets.iter().find(same)?;
        let key = key(rule.scope, None, *holder, None)?;
        Some(rule_id("cap", rule.scope, None, &key, rule.window, rule.gross))
    })
}

/// A mandate's limit as a budget that counts.
fn limit(rule: &LimitRule, holder: Holder<'_>, purchase: Option<&Purchase>) -> Option<Budget> {
    let (scope, only, counts) = (rule.scope, rule.only.as_deref(), rule.counts.as_str());
    let key = key(scope, only, holder, purchase)?;
    Some(Budget {
        id: rule_id(counts, scope, only, &key, rule.window, true),
        name: format!("{counts}, {}", name(scope, only, rule.window)),
        limit: Amount::from_atomic(AssetId::count(), u128::from(rule.most)),
        window: rule.window,
        gross: true,
        parent: None,
    })
}

/// Which of the budgets of one rule is meant; `None` if the purchase is none of the rule's.
fn key(scope: Scope, only: Option<&str>, holder: Holder<'_>, purchase: Option<&Purchase>) -> Option<String> {
    let Holder { mandate, names, .. } = holder;
    let of_user = |one: &str| format!("{}\n{one}", names.user);
    let only = only.map(|only| normal_only(scope, only));
    // One that is named: counted together where a pattern names several.
    let named = |one: &str, is: fn(&str, &str) -> bool| match &only {
        Some(only) => is(only, one).then(|| of_user(only)),
        None => Some(of_user(one)),
    };
    let equal = |only: &str, one: &str| only == one;
    match scope {
        Scope::Session => Some(holder.session.to_string()),
        Scope::Agent => Some(of_user(&names.agent)),
        Scope::User => Some(names.user.clone()),
        Scope::Project => Some(names.project.clone()),
        Scope::All => Some(String::new()),
        Scope::Vendor => named(&purchase?.host, matches_host),
        Scope::Payee => named(&purchase?.payee, equal),
        Scope::Category => named(mandate.category_of(&purchase?.host), equal),
        Scope::Rail => named(&purchase?.rail, equal),
        Scope::Family => Some(of_user(&purchase?.family)),
        Scope::UnknownVendors => (!mandate.knows_vendor(&purchase?.host)).then(|| names.user.clone()),
    }
}

/// A named vendor or payee in the form in which offers name it: another spelling is not another budget, and not none.
fn normal_only(scope: Scope, only: &str) -> Cow<'_, str> {
    match scope {
        Scope::Vendor => normal(only),
        Scope::Payee if only.starts_with("0x") => Cow::Owned(only.to_ascii_lowercase()),
        _ => Cow::Borrowed(only),
    }
}

/// The journal keeps the name for ever, so no host, payee or user is in it.
fn name(scope: Scope, only: Option<&str>, window: Window) -> String {
    let which = match (scope, only) {
        (Scope::Category | Scope::Rail, Some(one)) => format!(" {one}"),
        _ => String::new(),
    };
    format!("{}{which}{}", scope.as_str(), window_words(window))
}

fn rule_id(what: &str, scope: Scope, only: Option<&str>, key: &str, window: Window, gross: bool) -> BudgetId {
    let (kind, length_ms) = window_key(window);
    BudgetId::derived(&[
        what.as_bytes(),
        scope.as_str().as_bytes(),
        if only.is_some() { b"only" } else { b"each" },
        key.as_bytes(),
        &[kind, u8::from(gross)],
        &length_ms.to_be_bytes(),
    ])
}

fn gate_points(rule: &BudgetRule, budget: BudgetId) -> Option<GatePoints> {
    if rule.window == Window::Open {
        return None;
    }
    let meter = if rule.gross { budget } else { BudgetId::derived(&[b"before refunds", budget.as_bytes()]) };
    Some(GatePoints {
        notify: rule.share(rule.gates.notify),
        tighten: rule.share(rule.gates.tighten),
        stop: rule.cap().atomic(),
        alert: rule.alert,
        meter,
    })
}

/// A budget that only counts.
fn meter_of(id: BudgetId, name: String, window: Window) -> Budget {
    let limit = Amount::from_atomic(AssetId::micro_usd(), UNREACHED);
    Budget { id, name, limit, window, gross: true, parent: None }
}

/// The two budgets of a plan's item: how often, and how much in all. A metered item that was delegated counts in the one
/// it was cut from too.
pub(crate) fn item_budgets(
    item: &ItemTerms,
    cut_from: Option<PlanItemId>,
) -> Result<[Budget; 2], bursar_types::AmountError> {
    let total = item.ceiling_micro_usd.checked_mul(u64::from(item.count))?;
    let one = |id, name: &str, limit, parent| Budget {
        id,
        name: format!("{name} of plan item {}", item.id),
        limit,
        window: Window::Life,
        gross: true,
        parent,
    };
    let count = Amount::from_atomic(AssetId::count(), u128::from(item.count));
    Ok([
        one(count_budget(item.id), "count", count, cut_from.map(count_budget)),
        one(total_budget(item.id), "total", total, cut_from.map(total_budget)),
    ])
}

pub(super) fn count_budget(item: PlanItemId) -> BudgetId {
    BudgetId::derived(&[b"item-count", item.as_bytes()])
}

fn total_budget(item: PlanItemId) -> BudgetId {
    BudgetId::derived(&[b"item-total", item.as_bytes()])
}

/// The lines of a plan's item.
pub(crate) fn item_lines(item: PlanItemId, cost: &Amount) -> [Line; 2] {
    let one = Amount::from_atomic(AssetId::count(), 1);
    [
        Line { budget: count_budget(item), amount: one },
        Line { budget: total_budget(item), amount: cost.clone() },
    ]
}
