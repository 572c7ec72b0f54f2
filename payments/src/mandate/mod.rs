//! The mandate: what the user authorised.

mod budget;
mod category;
mod check;
mod family;
mod file;
mod narrow;
mod signed;

pub(crate) use budget::window_words;
pub use budget::{AlertRule, BudgetRule, Counted, Gates, LimitRule, Scope};
pub use category::{CategoryRule, OTHER};
pub use check::MandateError;
pub(crate) use check::window_key;
pub use family::family_of;
pub use file::{MandateFile, MandateFileError};
pub use narrow::Widened;
pub use signed::{MandateSignatureError, MandateStatement, SignedMandate};

use crate::approval::{PinnedKey, PublicKey};
use crate::hosts;
use bursar_ledger::Window;
use bursar_types::{Amount, AssetId, Digest, SessionId, Timestamp, canonical_digest};
use serde::{Deserialize, Serialize};

/// Who is asked about plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanApproval {
    /// The rules alone decide.
    Rule,
    /// A person is asked about every plan.
    Ask,
    /// No plan is ever approved: a dry run that explores and buys nothing.
    Never,
}

impl PlanApproval {
    /// The stricter of two.
    #[must_use]
    pub const fn strictest(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Ask, _) | (_, Self::Ask) => Self::Ask,
            (Self::Rule, Self::Rule) => Self::Rule,
        }
    }

    /// The name used in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Ask => "ask",
            Self::Never => "never",
        }
    }
}

/// A standing purchase that the mandate's own signature approves: for code without an agent, and pay-per-call APIs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeteredItem {
    /// Its name, unique in the mandate.
    pub name: String,
    /// URL that may be bought; a `*` at the end stands for any rest.
    pub resource: String,
    /// Method.
    pub method: String,
    /// The payee's address.
    pub payee: String,
    /// The asset, which names its network.
    pub asset: AssetId,
    /// Most that one purchase may cost, in `asset`.
    pub ceiling: Amount,
    /// How many times.
    pub count: u32,
}

impl MeteredItem {
    /// The host that its resource names, with its port where that is not the scheme's own.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        let fixed = self.resource.strip_suffix('*').unwrap_or(&self.resource);
        let url = url::Url::parse(fixed).ok()?;
        let host = url.host_str()?.to_ascii_lowercase();
        Some(url.port().map_or(host.clone(), |port| format!("{host}:{port}")))
    }
}

/// Whether a vendor pattern (`api.example`, `api.example:8443`, `*.example`) names a host.
pub(crate) fn matches_host(pattern: &str, host: &str) -> bool {
    let (name, pattern) = (hosts::name_of(host), hosts::normal(pattern));
    match pattern.strip_prefix("*.") {
        Some(domain) => name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None => pattern == host || pattern == name,
    }
}

/// What the user authorised.
///
/// # Example
/// ```
/// use bursar_payments::Mandate;
/// use bursar_types::{Amount, Asset, AssetRegistry};
/// let usdc = AssetRegistry::pinned().iter().find(|a| a.symbol() == "USDC").unwrap().id().clone();
/// let limit = Amount::parse_decimal(&Asset::micro_usd(), "0.50")?;
/// let mandate = Mandate::new("research EIP-3009", "ada").session_budget(limit).asset(usdc);
/// mandate.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mandate {
    /// What the money is for.
    pub purpose: String,
    /// The user, as a pseudonym.
    pub user: String,
    /// The project.
    pub project: String,
    /// The customer on whose behalf money is spent; `None` for nobody's but the user's own. Books are kept by it; rules and budgets do
    /// not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The agent's name, the same in all its sessions: what budgets and limits of scope `agent` count by.
    pub agent: String,
    /// The agent's role.
    pub role: String,
    /// The task it was given for; `None` for any.
    pub task: Option<String>,
    /// The one session it was given for; `None` for any, each of which is bound to it when it is opened.
    pub session: Option<SessionId>,
    /// Caps on money; at least one.
    pub budgets: Vec<BudgetRule>,
    /// Caps on how often.
    pub limits: Vec<LimitRule>,
    /// What kind of vendor a host is; the first that lists it counts.
    pub categories: Vec<CategoryRule>,
    /// Hosts that may be asked and paid: `api.example`, `api.example:8443`, `*.example`. Empty: any host.
    pub vendors: Vec<String>,
    /// Assets that may be paid with; each names its network. At least one.
    pub assets: Vec<AssetId>,
    /// Who is asked about plans.
    pub approval: PlanApproval,
    /// A plan above this is asked about also under [`PlanApproval::Rule`], in micro-USD.
    pub ask_above: Option<Amount>,
    /// Most that any single payment may cost, in micro-USD, whatever a plan lists.
    pub payment_max: Option<Amount>,
    /// A person is asked once the day's spending on one family of things (payee and resource family) passes this, in
    /// micro-USD; what a person or the mandate itself approved is not asked about again.
    pub review_above: Option<Amount>,
    /// Who may answer questions, by key. If anybody is named here, an unsigned yes counts for nothing.
    pub approvers: Vec<PinnedKey>,
    /// Whether every yes must be signed by one of the approvers.
    pub signed_approvals: bool,
    /// How long a question waits for its answer at most, in seconds.
    pub approval_s_max: u64,
    /// After this moment nothing is planned, held or signed.
    pub expires_at: Option<Timestamp>,
    /// Whether assets that are worth money may be paid with.
    pub live: bool,
    /// Whether money may move before the goods are made.
    pub upfront: bool,
    /// Longest that an authorization may live, in seconds.
    pub window_s_max: u64,
    /// How long an approved plan may be bought, in seconds.
    pub plan_s_max: u64,
    /// Standing purchases.
    pub metered: Vec<MeteredItem>,
    /// Digests of the policies it was given under, by file name; empty pins those in force when a session is opened. A
    /// shipped file may be left out, a file of the user's may not.
    pub policies: Vec<(String, Digest)>,
    /// Whether the user's own rules are only tried out in sessions under it: decided and recorded, and not enforced. The
    /// shipped rules always hold.
    pub shadow: bool,
}

impl Mandate {
    /// A mandate with nothing in it yet: no budget, no asset; rules decide on plans.
    #[must_use]
    pub fn new(purpose: impl Into<String>, user: impl Into<String>) -> Self {
        Self {
            purpose: purpose.into(),
            user: user.into(),
            project: "default".to_owned(),
            client: None,
            agent: "agent".to_owned(),
            role: "agent".to_owned(),
            task: None,
            session: None,
            budgets: Vec::new(),
            limits: Vec::new(),
            categories: Vec::new(),
            vendors: Vec::new(),
            assets: Vec::new(),
            approval: PlanApproval::Rule,
            ask_above: None,
            payment_max: None,
            review_above: None,
            approvers: Vec::new(),
            signed_approvals: false,
            approval_s_max: 3_600,
            expires_at: None,
            live: false,
            upfront: false,
            window_s_max: 60,
            plan_s_max: 3_600,
            metered: Vec::new(),
            policies: Vec::new(),
            shadow: false,
        }
    }

    /// Adds a cap on the session, for its life.
    #[must_use]
    pub fn session_budget(self, limit: Amount) -> Self {
        self.budget(Scope::Session, limit, Window::Life)
    }

    /// Adds a cap.
    #[must_use]
    pub fn budget(mut self, scope: Scope, limit: Amount, window: Window) -> Self {
        self.budgets.push(BudgetRule::new(scope, limit, window));
        self
    }

    /// Adds a cap with everything that can be said about one.
    #[must_use]
    pub fn budget_rule(mut self, rule: BudgetRule) -> Self {
        self.budgets.push(rule);
        self
    }

    /// Adds a cap on how often.
    #[must_use]
    pub fn limit(mut self, rule: LimitRule) -> Self {
        self.limits.push(rule);
        self
    }

    /// Adds a category of vendors.
    #[must_use]
    pub fn category(mut self, name: impl Into<String>, vendors: &[&str]) -> Self {
        let vendors = vendors.iter().map(|&vendor| vendor.to_owned()).collect();
        self.categories.push(CategoryRule { name: name.into(), vendors });
        self
    }

    /// Sets the agent's name.
    #[must_use]
    pub fn agent(mut self, name: impl Into<String>) -> Self {
        self.agent = name.into();
        self
    }

    /// Adds an asset to pay with.
    #[must_use]
    pub fn asset(mut self, asset: AssetId) -> Self {
        self.assets.push(asset);
        self
    }

    /// Adds a standing purchase.
    #[must_use]
    pub fn metered(mut self, item: MeteredItem) -> Self {
        self.metered.push(item);
        self
    }

    /// Sets who is asked about plans.
    #[must_use]
    pub const fn approval(mut self, approval: PlanApproval) -> Self {
        self.approval = approval;
        self
    }

    /// Whether this is the name of the agent, however it is written.
    #[must_use]
    pub fn is_agent(&self, name: &str) -> bool {
        let name = name.trim();
        [&self.agent, &self.role].into_iter().any(|own| own.trim().eq_ignore_ascii_case(name))
    }

    /// Whether a yes counts only with an approver's signature.
    #[must_use]
    pub const fn needs_signature(&self) -> bool {
        self.signed_approvals || !self.approvers.is_empty()
    }

    /// Pins an approver.
    #[must_use]
    pub fn approver(mut self, name: impl Into<String>, key: PublicKey) -> Self {
        self.approvers.push(PinnedKey { name: name.into(), key });
        self
    }

    /// Whether the mandate lets this host be asked and paid.
    #[must_use]
    pub fn lists_vendor(&self, host: &str) -> bool {
        self.vendors.is_empty() || self.vendors.iter().any(|pattern| matches_host(pattern, host))
    }

    /// The category of a host: the first that lists it, or [`OTHER`]. Never what a seller or a model calls it.
    #[must_use]
    pub fn category_of(&self, host: &str) -> &str {
        let lists = |rule: &&CategoryRule| rule.vendors.iter().any(|pattern| matches_host(pattern, host));
        self.categories.iter().find(lists).map_or(OTHER, |rule| &rule.name)
    }

    /// Whether the user named this host: among the vendors, in a category, or in a metered item. All others share the budgets
    /// of scope [`Scope::UnknownVendors`], however many they are.
    #[must_use]
    pub fn knows_vendor(&self, host: &str) -> bool {
        let listed = self.vendors.iter().any(|pattern| matches_host(pattern, host));
        let metered = |item: &MeteredItem| item.host().is_some_and(|named| named == host);
        listed || self.category_of(host) != OTHER || self.metered.iter().any(metered)
    }

    /// Whether the mandate names this host as one that may be asked and paid: false if it names none.
    #[must_use]
    pub fn approves_vendor(&self, host: &str) -> bool {
        !self.vendors.is_empty() && self.lists_vendor(host)
    }

    /// Whether it has expired.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Its digest.
    ///
    /// # Errors
    /// [`bursar_types::CanonicalError`] if it holds a number that cannot be written exactly.
    pub fn digest(&self) -> Result<Digest, bursar_types::CanonicalError> {
        canonical_digest(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mandate() -> Mandate {
        Mandate::new("p", "u")
            .session_budget(Amount::from_atomic(AssetId::micro_usd(), 1))
            .asset(AssetId::erc20(1, &format!("0x{:040}", 1)))
    }

    #[test]
    fn a_mandate_without_budget_or_asset_is_refused() {
        assert_eq!(mandate().check(), Ok(()));
        assert_eq!(Mandate { budgets: vec![], ..mandate() }.check(), Err(MandateError::NoBudget));
        assert_eq!(Mandate { assets: vec![], ..mandate() }.check(), Err(MandateError::NoAsset));
        let zero = Amount::from_atomic(AssetId::micro_usd(), 0);
        assert_eq!(mandate().session_budget(zero).check(), Err(MandateError::ZeroBudget));
    }

    #[test]
    fn a_pattern_matches_whole_labels_only() {
        let listed = |pattern: &str, host: &str| {
            Mandate { vendors: vec![pattern.to_owned()], ..mandate() }.lists_vendor(host)
        };
        assert!(listed("*.example", "api.example:443"));
        assert!(listed("api.example", "api.example:8443"));
        assert!(!listed("api.example:443", "api.example:8443"));
        assert!(!listed("*.example", "evilexample"));
        assert!(!listed("*.example", "example"));
        assert!(mandate().lists_vendor("api.example") && !mandate().approves_vendor("api.example"));
        assert!(
            Mandate { vendors: vec!["api.example".to_owned()], ..mandate() }.approves_vendor("api.example")
        );
        for host in [
            "api.example.evil",
            "api.example.evil.test",
            "evil-api.example",
            "api-example",
            "xapi.example",
            "api.example.",
            "api.example.:443",
            "[api.example]",
            "api.example@evil.test",
        ] {
            assert!(!listed("api.example", host), "{host}");
        }
        for host in ["anthropic-billing.evil.test", "anthropic.evil.test", "api.anthropic.com.evil.test"] {
            assert!(!listed("*.anthropic.com", host) && !listed("anthropic", host), "{host}");
        }
        assert!(listed("API.Example", "api.example"));
        assert!(listed("bücher.example", "xn--bcher-kva.example:8443"));
        assert!(listed("[::1]:8080", "[::1]:8080") && !listed("[::1]:8080", "[::1]:8081"));
    }

    #[test]
    fn a_metered_pattern_must_reach_past_the_host() {
        let item = |resource: &str| MeteredItem {
            name: "n".to_owned(),
            resource: resource.to_owned(),
            method: "GET".to_owned(),
            payee: "0x".to_owned(),
            asset: AssetId::count(),
            ceiling: Amount::from_atomic(AssetId::count(), 1),
            count: 1,
        };
        assert!(mandate().metered(item("https://api.example/v1/*")).check().is_ok());
        for resource in ["https://api.example*", "*", "api.example/*"] {
            assert!(mandate().metered(item(resource)).check().is_err(), "{resource}");
        }
    }
}
