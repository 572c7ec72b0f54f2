//! The mandate as people write it, in `bursar.toml`.

mod rules;

use super::{Mandate, MandateError, MeteredItem, PlanApproval};
use crate::approval::PinnedKey;
use bursar_types::{Amount, Asset, AssetId, AssetRegistry, Digest, ParseAmountError, UnknownAsset};
use rules::{BudgetFile, CategoryFile, LimitFile};
use serde::Deserialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// The `[mandate]` table: amounts in US dollars as decimal text, windows by name or in seconds.
///
/// ```
/// let file: bursar_payments::MandateFile = toml::from_str(r#"
///     purpose = "weather for the sailing club"
///     user = "ada"
///     agent = "skipper"
///     assets = ["eip155:84532/erc20:0x036CbD53842c5426634e7929541eC2318f3dCF7e"]
///
///     ## Caps on money. Scopes: session, agent, user, project, vendor, payee, category, rail, family, unknown_vendors, all.
///     ## Windows: life (the default), minute, hour, day, month (30 days), open (held at once), or a number of seconds.
///     [[budget]]
///     scope = "session"
///     limit = "0.50"
///     gates = { notify = 5000, tighten = 7500, stop = 10000 }  # in basis points of the limit; these are the defaults
///     [[budget]]
///     scope = "user"
///     limit = "5.00"
///     window = "day"
///     gross = true            # a refund gives nothing back
///     alert = "required"      # no payment reaches a gate whose alert nobody took
///     [[budget]]
///     scope = "payee"         # one address behind many hosts
///     limit = "1.00"
///     window = "day"
///     [[budget]]
///     scope = "category"
///     only = "weather"
///     limit = "0.30"
///     [[budget]]
///     scope = "unknown_vendors"   # all vendors that this file does not name, together
///     limit = "0.05"
///     window = "day"
///     [[budget]]
///     scope = "session"
///     window = "open"         # held at once
///     limit = "0.20"
///
///     ## Caps on how often: `payments` or `sessions`.
///     [[limit]]
///     scope = "vendor"
///     payments = 20
///     window = "minute"
///     [[limit]]
///     scope = "family"        # the same kind of thing from the same vendor
///     payments = 3
///     window = "day"
///     [[limit]]
///     scope = "session"
///     payments = 8
///     window = "open"         # under way at once
///     [[limit]]
///     scope = "agent"
///     sessions = 10
///     window = 3600
///
///     [[category]]
///     name = "weather"
///     vendors = ["api.weather.example", "*.forecast.example"]
/// "#)?;
/// file.into_mandate(&bursar_types::AssetRegistry::pinned())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MandateFile {
    purpose: String,
    #[serde(default = "local")]
    user: String,
    #[serde(default = "default_project")]
    project: String,
    client: Option<String>,
    agent: Option<String>,
    #[serde(default = "default_role")]
    role: String,
    task: Option<String>,
    #[serde(default)]
    approvers: Vec<PinnedKey>,
    #[serde(default)]
    signed_approvals: bool,
    #[serde(default = "an_hour")]
    approval_s_max: u64,
    #[serde(default)]
    budget: Vec<BudgetFile>,
    #[serde(default)]
    limit: Vec<LimitFile>,
    #[serde(default)]
    category: Vec<CategoryFile>,
    #[serde(default)]
    vendors: Vec<String>,
    assets: Vec<AssetId>,
    #[serde(default = "by_rule")]
    approval: PlanApproval,
    ask_above: Option<String>,
    payment_max: Option<String>,
    review_above: Option<String>,
    #[serde(default)]
    live: bool,
    #[serde(default)]
    upfront: bool,
    #[serde(default = "sixty")]
    window_s_max: u64,
    #[serde(default = "an_hour")]
    plan_s_max: u64,
    #[serde(default)]
    metered: Vec<MeteredFile>,
    #[serde(default)]
    pinned: BTreeMap<String, Digest>,
    #[serde(default)]
    shadow: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct MeteredFile {
    name: String,
    resource: String,
    #[serde(default = "get")]
    method: String,
    payee: String,
    asset: AssetId,
    ceiling: String,
    count: u32,
}

/// Why a mandate in a file cannot be used.
#[derive(Debug, Error)]
pub enum MandateFileError {
    /// An amount is not an amount.
    #[error("{field}: {source}")]
    Amount {
        /// Which field.
        field: String,
        /// Why.
        source: ParseAmountError,
    },
    /// An asset has no entry in the registry.
    #[error(transparent)]
    Asset(#[from] UnknownAsset),
    /// The mandate does not hold together.
    #[error(transparent)]
    Mandate(#[from] MandateError),
}

impl MandateFile {
    /// What the money is for.
    #[must_use]
    pub fn purpose(&self) -> &str {
        &self.purpose
    }

    /// Turns the file's table into a checked mandate.
    ///
    /// # Errors
    /// [`MandateFileError`], naming the field.
    pub fn into_mandate(self, registry: &AssetRegistry) -> Result<Mandate, MandateFileError> {
        let usd = Asset::micro_usd();
        let mut mandate = Mandate::new(self.purpose, self.user);
        for (index, budget) in self.budget.into_iter().enumerate() {
            mandate.budgets.push(budget.into_rule(index)?);
        }
        for (index, limit) in self.limit.into_iter().enumerate() {
            mandate.limits.push(limit.into_rule(index)?);
        }
        mandate.categories = self.category.into_iter().map(Into::into).collect();
        for item in self.metered {
            let asset = registry.get(&item.asset)?;
            mandate.metered.push(MeteredItem {
                ceiling: amount(&format!("metered `{}`, ceiling", item.name), asset, &item.ceiling)?,
                name: item.name,
                resource: item.resource,
                method: item.method.to_ascii_uppercase(),
                payee: item.payee.to_ascii_lowercase(),
                asset: item.asset,
                count: item.count,
            });
        }
        for asset in &self.assets {
            registry.get(asset)?;
        }
        mandate.payment_max = self.payment_max.map(|text| amount("payment_max", &usd, &text)).transpose()?;
        mandate.review_above =
            self.review_above.map(|text| amount("review_above", &usd, &text)).transpose()?;
        mandate.ask_above = self.ask_above.map(|text| amount("ask_above", &usd, &text)).transpose()?;
        mandate.project = self.project;
        mandate.client = self.client;
        mandate.agent = self.agent.unwrap_or(mandate.agent);
        mandate.role = self.role;
        mandate.task = self.task;
        mandate.approvers = self.approvers;
        mandate.signed_approvals = self.signed_approvals;
        mandate.approval_s_max = self.approval_s_max;
        mandate.vendors = self.vendors;
        mandate.assets = self.assets;
        mandate.approval = self.approval;
        mandate.live = self.live;
        mandate.upfront = self.upfront;
        mandate.window_s_max = self.window_s_max;
        mandate.plan_s_max = self.plan_s_max;
        mandate.policies = self.pinned.into_iter().collect();
        mandate.shadow = self.shadow;
        mandate.check()?;
        Ok(mandate)
    }
}

fn amount(field: &str, asset: &Asset, text: &str) -> Result<Amount, MandateFileError> {
    Amount::parse_decimal(asset, text)
        .map_err(|source| MandateFileError::Amount { field: field.to_owned(), source })
}

fn local() -> String {
    "local".to_owned()
}

fn default_project() -> String {
    "default".to_owned()
}

fn default_role() -> String {
    "agent".to_owned()
}

fn get() -> String {
    "GET".to_owned()
}

const fn by_rule() -> PlanApproval {
    PlanApproval::Rule
}

const fn sixty() -> u64 {
    60
}

const fn an_hour() -> u64 {
    3_600
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mandate::{AlertRule, Gates, Scope};
    use bursar_ledger::Window;

    const FILE: &str = r#"
        purpose = "weather"
        assets = ["eip155:84532/erc20:0x036CbD53842c5426634e7929541eC2318f3dCF7e"]
        budget = [{ scope = "session", limit = "0.50" }, { scope = "user", limit = "5", window = "day" }]
        [[metered]]
        name = "forecast"
        resource = "https://api.example/v1/*"
        payee = "0x00000000000000000000000000000000000000AA"
        asset = "eip155:84532/erc20:0x036CbD53842c5426634e7929541eC2318f3dCF7e"
        ceiling = "0.01"
        count = 20
    "#;

    fn read(text: &str) -> Result<Mandate, String> {
        let file: MandateFile = toml::from_str(text).map_err(|error| error.to_string())?;
        file.into_mandate(&AssetRegistry::pinned()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_becomes_a_mandate_in_atomic_units() {
        let mandate = read(FILE).unwrap();
        assert_eq!(mandate.budgets[0].limit.atomic(), 500_000);
        assert_eq!(mandate.budgets[1].window, Window::Rolling { length_ms: 86_400_000 });
        assert_eq!(mandate.metered[0].ceiling.atomic(), 10_000);
        assert_eq!(mandate.metered[0].payee, "0x00000000000000000000000000000000000000aa");
    }

    #[test]
    fn bad_input_names_the_field() {
        for (from, to, says) in [
            ("\"0.50\"", "\"-1\"", "budget[0].limit: `-1` is negative"),
            ("\"5\"", "\"1e9\"", "budget[1].limit: `1e9` is not a plain decimal"),
            ("\"0.50\"", "\"0\"", "a budget of 0 buys nothing"),
            ("\"0.01\"", "\"0.0000001\"", "has 7 decimals"),
            ("purpose", "porpoise", "unknown field `porpoise`"),
            (
                "0x036CbD53842c5426634e7929541eC2318f3dCF7e\"]",
                "0x0000000000000000000000000000000000000001\"]",
                "not in the registry",
            ),
        ] {
            let error = read(&FILE.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_rule_that_cannot_be_kept_is_named_with_its_place() {
        for (rule, says) in [
            (
                r#"[[budget]]
                scope = "user"
                limit = "5"
                window = "fortnight""#,
                "expected `life`, `minute`",
            ),
            (
                r#"[[budget]]
                scope = "user"
                limit = "5"
                window = -5"#,
                "expected `life`, `minute`",
            ),
            (
                r#"[[budget]]
                scope = "user"
                limit = "5"
                window = 0"#,
                "budget[1].window: a window of 0 seconds",
            ),
            (
                r#"[[budget]]
                scope = "user"
                limit = "5"
                window = 400000000"#,
                "budget[1].window: a window is at most ten years",
            ),
            (
                r#"[[budget]]
                scope = "session"
                limit = "9""#,
                "budget[1]: another budget has the same scope",
            ),
            (
                r#"[[budget]]
                scope = "user"
                limit = "5"
                gates = { notify = 9000 }"#,
                "budget[1].gates: they are basis points",
            ),
            (
                r#"[[budget]]
                scope = "user"
                limit = "5"
                gates = { stop = 10001 }"#,
                "budget[1].gates: they are basis points",
            ),
            (
                r#"[[budget]]
                scope = "user"
                limit = "5"
                gates = { warn = 1 }"#,
                "unknown field `warn`",
            ),
            (
                r#"[[budget]]
                scope = "user"
                limit = "5"
                alert = "maybe""#,
                "unknown variant `maybe`",
            ),
            (
                r#"[[budget]]
                scope = "user"
                limit = "5"
                only = "ada""#,
                "budget[1].only: only budgets of scope",
            ),
            (
                r#"[[budget]]
                scope = "category"
                limit = "5"
                only = "news""#,
                "budget[1].only: no category has this name",
            ),
            (
                r#"[[budget]]
                scope = "galaxy"
                limit = "5""#,
                "unknown variant `galaxy`",
            ),
            (
                r#"[[limit]]
                scope = "vendor"
                window = "minute""#,
                "limit[0]: give either `payments = N` or `sessions = N`",
            ),
            (
                r#"[[limit]]
                scope = "vendor"
                payments = 0
                window = "minute""#,
                "limit[0]: a limit of 0",
            ),
            (
                r#"[[limit]]
                scope = "vendor"
                sessions = 3
                window = "hour""#,
                "limit[0].scope: sessions are counted by",
            ),
            (
                r#"[[limit]]
                scope = "agent"
                sessions = 3
                window = "open""#,
                "limit[0].window: sessions are counted when they begin",
            ),
            (
                r#"[[limit]]
                scope = "vendor"
                payments = -1
                window = "hour""#,
                "invalid value: integer `-1`",
            ),
            (
                r#"[[category]]
                name = "other"
                vendors = ["api.example"]"#,
                "category `other`: its name is used twice, or is `other`",
            ),
            (
                r#"[[category]]
                name = "news"
                vendors = ["https://api.example"]"#,
                "category `news`: its vendors are not hosts",
            ),
        ] {
            let file = FILE.replacen("budget = [{ scope = \"session\", limit = \"0.50\" }, { scope = \"user\", limit = \"5\", window = \"day\" }]", "", 1);
            let error = read(&format!("{file}\n[[budget]]\nscope = \"session\"\nlimit = \"0.50\"\n{rule}"))
                .unwrap_err();
            assert!(error.contains(says), "{rule}: {error}");
        }
    }

    #[test]
    fn every_window_and_gate_can_be_written() {
        let rolling = |seconds: u64| Window::Rolling { length_ms: seconds * 1_000 };
        for (window, means) in [
            ("\"life\"", Window::Life),
            ("\"open\"", Window::Open),
            ("\"minute\"", rolling(60)),
            ("\"hour\"", rolling(3_600)),
            ("\"day\"", rolling(86_400)),
            ("\"month\"", rolling(2_592_000)),
            ("90", rolling(90)),
        ] {
            let file = FILE.replacen("window = \"day\"", &format!("window = {window}"), 1);
            assert_eq!(read(&file).unwrap().budgets[1].window, means, "{window}");
        }
        let gates = r#"window = "day", gates = { stop = 6000 }, gross = true, alert = "required""#;
        let mandate = read(&FILE.replacen("window = \"day\"", gates, 1)).unwrap();
        let rule = &mandate.budgets[1];
        assert_eq!(rule.gates, Gates { notify: 5_000, tighten: 6_000, stop: 6_000 });
        assert_eq!((rule.scope, rule.gross, rule.alert), (Scope::User, true, AlertRule::Required));
        assert_eq!(rule.cap().atomic(), 3_000_000);
    }
}
