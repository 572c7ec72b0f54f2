//! Budgets and limits as a mandate states them.

use bursar_ledger::Window;
use bursar_types::Amount;
use serde::{Deserialize, Serialize};

/// Whose spending a budget counts.
///
/// Scopes below `session` count over all sessions of the mandate's user, unless said otherwise, also in other processes
/// on the same ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// This session, with the sessions it delegated to.
    Session,
    /// All sessions of this user's agent of this name.
    Agent,
    /// All sessions of this user.
    User,
    /// All sessions of this project, of any user.
    Project,
    /// Each vendor host on its own.
    Vendor,
    /// Each payee address on its own, behind however many hosts.
    Payee,
    /// Each category of the mandate on its own.
    Category,
    /// Each rail on its own. Rails count together in every other scope.
    Rail,
    /// Each resource family of a vendor on its own: see [`family_of`](crate::family_of).
    Family,
    /// Every vendor together that the mandate does not name: see [`Mandate::knows_vendor`](crate::Mandate::knows_vendor).
    UnknownVendors,
    /// Everything in the ledger.
    All,
}

impl Scope {
    /// The name in files, journals and screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Project => "project",
            Self::Vendor => "vendor",
            Self::Payee => "payee",
            Self::Category => "category",
            Self::Rail => "rail",
            Self::Family => "family",
            Self::UnknownVendors => "unknown_vendors",
            Self::All => "all",
        }
    }

    /// Whether one of many can be named with `only`.
    #[must_use]
    pub const fn takes_only(self) -> bool {
        matches!(self, Self::Vendor | Self::Payee | Self::Category | Self::Rail)
    }
}

/// How full a budget is when somebody is told, in basis points (100 % is 10000) of its limit.
///
/// Each gate fires once for each budget: once for ever where the window is `life`, and again at the earliest one window
/// later where it rolls. The first two go by what was spent before refunds, so that money that goes back and forth
/// neither hides a gate nor fires it twice. What is held counts as spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    /// From here on, whoever watches is told.
    pub notify: u16,
    /// From here on, rules see `tightened` and the agent is told to decide with what it has.
    pub tighten: u16,
    /// Here the budget ends: the ledger holds nothing above it.
    pub stop: u16,
}

impl Default for Gates {
    fn default() -> Self {
        Self { notify: 5_000, tighten: 7_500, stop: 10_000 }
    }
}

/// What a gate's alert must have reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertRule {
    /// It is told to whoever watches, if anyone does.
    #[default]
    Told,
    /// A payment that would reach a gate is refused, unless the alert was taken first: see [`Alerts`](crate::Alerts).
    Required,
}

/// One cap on money.
///
/// # Example
/// ```
/// use bursar_ledger::Window;
/// use bursar_payments::{BudgetRule, Scope};
/// use bursar_types::{Amount, Asset};
/// let usd = |text| Amount::parse_decimal(&Asset::micro_usd(), text);
/// let day = Window::Rolling { length_ms: 86_400_000 };
/// // At most 5 USD in any 24 hours, whatever comes back meanwhile.
/// let day = BudgetRule { gross: true, ..BudgetRule::new(Scope::User, usd("5.00")?, day) };
/// // At most 0.30 USD for weather.
/// let weather = BudgetRule::new(Scope::Category, usd("0.30")?, Window::Life).only("weather");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetRule {
    /// Whose spending it counts.
    pub scope: Scope,
    /// The one vendor, payee, category or rail it is about; each on its own without it.
    pub only: Option<String>,
    /// The cap, in micro-USD.
    pub limit: Amount,
    /// Over which time; [`Window::Open`] caps what is held at once.
    pub window: Window,
    /// Whether a refund gives nothing back.
    pub gross: bool,
    /// Who is told when.
    pub gates: Gates,
    /// What a gate's alert must have reached.
    pub alert: AlertRule,
}

impl BudgetRule {
    /// A net budget with the usual gates.
    #[must_use]
    pub fn new(scope: Scope, limit: Amount, window: Window) -> Self {
        let (gates, alert) = (Gates::default(), AlertRule::default());
        Self { scope, only: None, limit, window, gross: false, gates, alert }
    }

    /// The same for one vendor, payee, category or rail alone.
    #[must_use]
    pub fn only(mut self, one: impl Into<String>) -> Self {
        self.only = Some(one.into());
        self
    }

    /// This share of the limit, in micro-USD, rounded up so that a gate is never early.
    pub(crate) fn share(&self, basis_points: u16) -> u128 {
        let (whole, points) = (self.limit.atomic(), u128::from(basis_points));
        // `check` refuses limits for which this does not fit.
        whole.saturating_mul(points).div_ceil(10_000)
    }

    /// What the ledger enforces: the limit up to the `stop` gate, in micro-USD, rounded down.
    #[must_use]
    pub fn cap(&self) -> Amount {
        let points = u128::from(self.gates.stop);
        let atomic = match self.gates.stop {
            10_000 => self.limit.atomic(),
            _ => self.limit.atomic().saturating_mul(points) / 10_000,
        };
        Amount::from_atomic(self.limit.asset().clone(), atomic)
    }
}

/// What a [`LimitRule`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Payments made or under way. One that did not move money counts no longer.
    Payments,
    /// Sessions opened, delegated ones too. Only for the scopes agent, user, project and all.
    Sessions,
}

impl Counted {
    /// The name in files, journals and screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payments => "payments",
            Self::Sessions => "sessions",
        }
    }
}

/// One cap on how often. A refund gives nothing back.
///
/// # Example
/// ```
/// use bursar_ledger::Window;
/// use bursar_payments::{LimitRule, Scope};
/// let rolling = |seconds: u64| Window::Rolling { length_ms: seconds * 1_000 };
/// // At most 20 payments to one vendor in any minute.
/// let pace = LimitRule::payments(Scope::Vendor, 20, rolling(60));
/// // At most 3 purchases of the same kind of thing from one vendor in a day.
/// let loops = LimitRule::payments(Scope::Family, 3, rolling(86_400));
/// // At most 8 payments of a session under way at once.
/// let open = LimitRule::payments(Scope::Session, 8, Window::Open);
/// // At most 10 sessions of an agent in an hour.
/// let sessions = LimitRule::sessions(Scope::Agent, 10, rolling(3_600));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitRule {
    /// What is counted.
    pub counts: Counted,
    /// Whose.
    pub scope: Scope,
    /// The one vendor, payee, category or rail it is about; each on its own without it.
    pub only: Option<String>,
    /// How many at most.
    pub most: u64,
    /// Over which time; [`Window::Open`] counts what is held at once.
    pub window: Window,
}

impl LimitRule {
    /// At most so many payments.
    #[must_use]
    pub const fn payments(scope: Scope, most: u64, window: Window) -> Self {
        Self { counts: Counted::Payments, scope, only: None, most, window }
    }

    /// At most so many sessions opened.
    #[must_use]
    pub const fn sessions(scope: Scope, most: u64, window: Window) -> Self {
        Self { counts: Counted::Sessions, scope, only: None, most, window }
    }

    /// The same for one vendor, payee, category or rail alone.
    #[must_use]
    pub fn only(mut self, one: impl Into<String>) -> Self {
        self.only = Some(one.into());
        self
    }
}

/// A window in words, such as ` per day`; empty for `life`.
pub(crate) fn window_words(window: Window) -> String {
    match window {
        Window::Life => String::new(),
        Window::Open => " under way".to_owned(),
        Window::Rolling { length_ms: 60_000 } => " per minute".to_owned(),
        Window::Rolling { length_ms: 3_600_000 } => " per hour".to_owned(),
        Window::Rolling { length_ms: 86_400_000 } => " per day".to_owned(),
        Window::Rolling { length_ms: 2_592_000_000 } => " per 30 days".to_owned(),
        Window::Rolling { length_ms } => format!(" per {} s", length_ms / 1_000),
    }
}
