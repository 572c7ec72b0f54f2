//! The mandate as people write it, in `bursar.toml`.

use super::{BudgetRule, Mandate, MandateError, MeteredItem, PlanApproval, Scope};
use bursar_ledger::Window;
use bursar_types::{Amount, Asset, AssetId, AssetRegistry, ParseAmountError, UnknownAsset};
use serde::Deserialize;
use thiserror::Error;

/// The `[mandate]` table: amounts as decimal text, windows by name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MandateFile {
    purpose: String,
    #[serde(default = "local")]
    user: String,
    #[serde(default = "default_project")]
    project: String,
    #[serde(default = "default_role")]
    role: String,
    #[serde(default)]
    budget: Vec<BudgetFile>,
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
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetFile {
    scope: Scope,
    limit: String,
    #[serde(default)]
    window: WindowFile,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WindowFile {
    #[default]
    Life,
    Hour,
    Day,
    Month,
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
    /// Turns the file's table into a checked mandate.
    ///
    /// # Errors
    /// [`MandateFileError`], naming the field.
    pub fn into_mandate(self, registry: &AssetRegistry) -> Result<Mandate, MandateFileError> {
        let usd = Asset::micro_usd();
        let amount = |field: &str, asset: &Asset, text: &str| {
            Amount::parse_decimal(asset, text)
                .map_err(|source| MandateFileError::Amount { field: field.to_owned(), source })
        };
        let mut mandate = Mandate::new(self.purpose, self.user);
        for budget in &self.budget {
            let limit = amount("budget.limit", &usd, &budget.limit)?;
            mandate.budgets.push(BudgetRule { scope: budget.scope, limit, window: budget.window.into() });
        }
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
        mandate.role = self.role;
        mandate.vendors = self.vendors;
        mandate.assets = self.assets;
        mandate.approval = self.approval;
        mandate.live = self.live;
        mandate.upfront = self.upfront;
        mandate.window_s_max = self.window_s_max;
        mandate.plan_s_max = self.plan_s_max;
        mandate.check()?;
        Ok(mandate)
    }
}

impl From<WindowFile> for Window {
    fn from(window: WindowFile) -> Self {
        const HOUR_MS: u64 = 3_600_000;
        match window {
            WindowFile::Life => Self::Life,
            WindowFile::Hour => Self::Rolling { length_ms: HOUR_MS },
            WindowFile::Day => Self::Rolling { length_ms: HOUR_MS * 24 },
            WindowFile::Month => Self::Rolling { length_ms: HOUR_MS * 24 * 30 },
        }
    }
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
            ("\"0.50\"", "\"-1\"", "budget.limit: `-1` is negative"),
            ("\"0.50\"", "\"1e9\"", "budget.limit: `1e9` is not a plain decimal"),
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
}
