//! Whether a mandate holds together.

use super::{BudgetRule, CategoryRule, Counted, Mandate, OTHER, Scope};
use crate::approval::PinnedKey;
use bursar_ledger::Window;
use bursar_types::{Amount, AssetId};
use std::collections::BTreeSet;
use thiserror::Error;

/// The longest window: ten years. A longer one is a mistake; `life` counts for ever.
const WINDOW_MS_MAX: u64 = 315_360_000_000;
/// The largest limit, in micro-USD: a share of it can be counted exactly.
const LIMIT_MAX: u128 = u128::MAX / 20_000;

/// Why a mandate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MandateError {
    /// There is no budget.
    #[error(
        "mandate has no budget; give at least one, for example `budget = [{{ scope = \"session\", limit = \"0.50\" }}]`"
    )]
    NoBudget,
    /// A budget is zero.
    #[error("a budget of 0 buys nothing; give an amount above 0, for example `0.50`")]
    ZeroBudget,
    /// A budget is not in micro-USD.
    #[error("a budget counts in `{0}`; budgets count in US dollars")]
    BudgetUnit(AssetId),
    /// There is no asset to pay with.
    #[error("mandate names no asset to pay with")]
    NoAsset,
    /// A budget or a limit is not well formed.
    #[error("{field}: {problem}")]
    Rule {
        /// Which, such as `budget[0].gates` or `limit[2]`.
        field: String,
        /// What is wrong, and what to give instead.
        problem: &'static str,
    },
    /// A category is not well formed.
    #[error("category `{name}`: {problem}")]
    Category {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The agent has no usable name.
    #[error("agent `{0}` is not a name of 1 to 100 printable ASCII characters")]
    Agent(String),
    /// A metered item is not well formed.
    #[error("metered item `{name}`: {problem}")]
    Metered {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A vendor pattern is not a host.
    #[error("vendor `{0}` is not a host such as `api.example`, `api.example:8443` or `*.example`")]
    Vendor(String),
    /// An authorization window is out of range.
    #[error("an authorization may live 10 to 3600 seconds, not {0}")]
    Window(u64),
    /// Every yes must be signed, and nobody can sign.
    #[error("`signed_approvals` is set and no approver is named; name one in `approvers`, or ask nobody")]
    NoApprover,
    /// Two approvers have one name or one key.
    #[error("approver `{0}` is named twice, or two approvers have one key")]
    ApproverTwice(String),
    /// Who asks would answer.
    #[error(
        "approver `{0}` is the agent itself, or holds its wallet's key; name a person with a key of their own"
    )]
    ApproverIsAgent(String),
    /// Questions would wait too short or too long.
    #[error("a question may wait 10 seconds to 30 days, not {0} seconds")]
    ApprovalTime(u64),
    /// The policies loaded are not the ones the mandate was given under.
    #[error(
        "POLICY_CHANGED: policy file `{0}` is not the one this mandate was given under; put it back, or let an operator accept the new rules"
    )]
    PolicyChanged(String),
}

impl Mandate {
    /// Checks that it can be used.
    ///
    /// # Errors
    /// [`MandateError`], with what to give instead.
    pub fn check(&self) -> Result<(), MandateError> {
        if self.budgets.is_empty() {
            return Err(MandateError::NoBudget);
        }
        let printable = |text: &str| text.bytes().all(|b| (b' '..=b'~').contains(&b));
        if !(1..=100).contains(&self.agent.len()) || !printable(&self.agent) {
            return Err(MandateError::Agent(self.agent.escape_debug().to_string()));
        }
        self.check_categories()?;
        self.check_budgets()?;
        self.check_limits()?;
        let thresholds = [&self.ask_above, &self.payment_max, &self.review_above];
        let other = |most: &&Amount| most.asset() != &AssetId::micro_usd();
        if let Some(other) = thresholds.into_iter().flatten().find(other) {
            return Err(MandateError::BudgetUnit(other.asset().clone()));
        }
        if self.payment_max.as_ref().is_some_and(Amount::is_zero) {
            return Err(MandateError::ZeroBudget);
        }
        if self.assets.is_empty() {
            return Err(MandateError::NoAsset);
        }
        if !(10..=3_600).contains(&self.window_s_max) {
            return Err(MandateError::Window(self.window_s_max));
        }
        self.check_approvers()?;
        if let Some(vendor) = self.vendors.iter().find(|vendor| !is_pattern(vendor)) {
            return Err(MandateError::Vendor(vendor.clone()));
        }
        self.check_metered()
    }

    /// Who asks is not who answers.
    fn check_approvers(&self) -> Result<(), MandateError> {
        if self.signed_approvals && self.approvers.is_empty() {
            return Err(MandateError::NoApprover);
        }
        if !(10..=2_592_000).contains(&self.approval_s_max) {
            return Err(MandateError::ApprovalTime(self.approval_s_max));
        }
        for (index, approver) in self.approvers.iter().enumerate() {
            let same = |other: &PinnedKey| other.key == approver.key || other.name == approver.name;
            if approver.name.trim().is_empty() || self.approvers.iter().take(index).any(same) {
                return Err(MandateError::ApproverTwice(approver.name.clone()));
            }
            if self.is_agent(&approver.name) {
                return Err(MandateError::ApproverIsAgent(approver.name.clone()));
            }
        }
        Ok(())
    }

    fn check_metered(&self) -> Result<(), MandateError> {
        let mut names = BTreeSet::new();
        for item in &self.metered {
            let fail = |problem| Err(MandateError::Metered { name: item.name.clone(), problem });
            if !names.insert(&item.name) {
                return fail("its name is used twice");
            }
            if item.count == 0 || item.ceiling.is_zero() {
                return fail("count and ceiling must be above 0");
            }
            if item.ceiling.asset() != &item.asset {
                return fail("its ceiling is in another asset");
            }
            let fixed = item.resource.strip_suffix('*').unwrap_or(&item.resource);
            match url::Url::parse(fixed) {
                // A pattern must reach past the host, or `https://api.example*` would match `api.example.evil`.
                Ok(url) if url.host().is_some() && fixed.matches('/').count() >= 3 => {}
                _ => return fail("its resource is not a URL with a host and a path"),
            }
        }
        Ok(())
    }

    fn check_categories(&self) -> Result<(), MandateError> {
        let mut names = BTreeSet::from([OTHER]);
        for CategoryRule { name, vendors } in &self.categories {
            let fail = |problem| Err(MandateError::Category { name: name.clone(), problem });
            if name.is_empty() || name.len() > 100 {
                return fail("its name is empty or longer than 100 bytes");
            }
            if !names.insert(name) {
                return fail(
                    "its name is used twice, or is `other`, which every host is in that no category lists",
                );
            }
            if vendors.is_empty() || !vendors.iter().all(|vendor| is_pattern(vendor)) {
                return fail(
                    "its vendors are not hosts such as `api.example`, `api.example:8443` or `*.example`",
                );
            }
        }
        Ok(())
    }

    fn check_budgets(&self) -> Result<(), MandateError> {
        let mut seen = BTreeSet::new();
        for (index, rule) in self.budgets.iter().enumerate() {
            if rule.limit.asset() != &AssetId::micro_usd() {
                return Err(MandateError::BudgetUnit(rule.limit.asset().clone()));
            }
            if rule.limit.is_zero() {
                return Err(MandateError::ZeroBudget);
            }
            let fail = |part: &str, problem| {
                Err(MandateError::Rule { field: format!("budget[{index}]{part}"), problem })
            };
            if let Some((part, problem)) = problem_of(rule) {
                return fail(part, problem);
            }
            if let Some(problem) = self.problem_of_only(rule.scope, rule.only.as_deref()) {
                return fail(".only", problem);
            }
            if !seen.insert((rule.scope, rule.only.as_deref(), window_key(rule.window), rule.gross)) {
                return fail("", "another budget has the same scope and window; keep the smaller one");
            }
        }
        Ok(())
    }

    fn check_limits(&self) -> Result<(), MandateError> {
        let mut seen = BTreeSet::new();
        for (index, rule) in self.limits.iter().enumerate() {
            let fail = |part: &str, problem| {
                Err(MandateError::Rule { field: format!("limit[{index}]{part}"), problem })
            };
            if rule.most == 0 {
                return fail("", "a limit of 0 lets nothing happen; give a number above 0");
            }
            if let Some(problem) = problem_of_window(rule.window) {
                return fail(".window", problem);
            }
            if let Some(problem) = self.problem_of_only(rule.scope, rule.only.as_deref()) {
                return fail(".only", problem);
            }
            let of_sessions = matches!(rule.scope, Scope::Agent | Scope::User | Scope::Project | Scope::All);
            if rule.counts == Counted::Sessions && !of_sessions {
                return fail(".scope", "sessions are counted by `agent`, `user`, `project` or `all`");
            }
            if rule.counts == Counted::Sessions && rule.window == Window::Open {
                return fail(
                    ".window",
                    "sessions are counted when they begin; give `hour`, `day` or seconds",
                );
            }
            let key = (rule.counts.as_str(), rule.scope, rule.only.as_deref(), window_key(rule.window));
            if !seen.insert(key) {
                return fail("", "another limit has the same scope and window; keep the smaller one");
            }
        }
        Ok(())
    }

    fn problem_of_only(&self, scope: Scope, only: Option<&str>) -> Option<&'static str> {
        let one = only?;
        match scope {
            Scope::Vendor if is_pattern(one) => None,
            Scope::Vendor => Some("it is not a host such as `api.example` or `*.example`"),
            Scope::Category if one == OTHER => None,
            Scope::Category => {
                let unknown = self.categories.iter().all(|rule| rule.name != one);
                unknown.then_some("no category has this name")
            }
            Scope::Payee | Scope::Rail if one.is_empty() => Some("it is empty"),
            Scope::Payee | Scope::Rail => None,
            _ => Some("only budgets of scope `vendor`, `payee`, `category` or `rail` take it"),
        }
    }
}

fn problem_of(rule: &BudgetRule) -> Option<(&'static str, &'static str)> {
    let gates = rule.gates;
    if rule.limit.atomic() > LIMIT_MAX {
        return Some((".limit", "it is too large to be counted"));
    }
    if gates.notify == 0 || gates.notify > gates.tighten || gates.tighten > gates.stop || gates.stop > 10_000
    {
        return Some((".gates", "they are basis points, from 1 to 10000, with notify <= tighten <= stop"));
    }
    if rule.cap().is_zero() {
        return Some((".gates", "nothing is left of the limit below `stop`"));
    }
    problem_of_window(rule.window).map(|problem| (".window", problem))
}

const fn problem_of_window(window: Window) -> Option<&'static str> {
    match window {
        Window::Rolling { length_ms: 0 } => Some("a window of 0 seconds counts nothing"),
        Window::Rolling { length_ms } if length_ms > WINDOW_MS_MAX => {
            Some("a window is at most ten years long; `life` counts for ever")
        }
        Window::Rolling { .. } | Window::Life | Window::Open => None,
    }
}

/// What tells windows apart: life, open, or the length in milliseconds.
pub(crate) const fn window_key(window: Window) -> (u8, u64) {
    match window {
        Window::Life => (0, 0),
        Window::Open => (1, 0),
        Window::Rolling { length_ms } => (2, length_ms),
    }
}

fn is_pattern(vendor: &str) -> bool {
    let host = vendor.strip_prefix("*.").unwrap_or(vendor);
    !host.is_empty() && !host.contains(['/', '*', '@', ' '])
}
