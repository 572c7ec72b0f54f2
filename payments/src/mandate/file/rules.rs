//! Budgets, limits and categories as people write them.

use super::{MandateFileError, amount};
use crate::mandate::{AlertRule, BudgetRule, CategoryRule, Counted, Gates, LimitRule, MandateError, Scope};
use bursar_ledger::Window;
use bursar_types::Asset;
use serde::Deserialize;
use std::fmt;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = MINUTE_MS * 60;
const DAY_MS: u64 = HOUR_MS * 24;

/// `{ scope = "user", limit = "5.00", window = "day", gross = true }`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BudgetFile {
    scope: Scope,
    only: Option<String>,
    limit: String,
    #[serde(default)]
    window: WindowFile,
    #[serde(default)]
    gross: bool,
    #[serde(default)]
    gates: GatesFile,
    #[serde(default)]
    alert: AlertRule,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct GatesFile {
    notify: Option<u16>,
    tighten: Option<u16>,
    stop: Option<u16>,
}

/// `{ scope = "vendor", payments = 20, window = "minute" }`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitFile {
    scope: Scope,
    only: Option<String>,
    payments: Option<u64>,
    sessions: Option<u64>,
    window: WindowFile,
}

/// `{ name = "weather", vendors = ["api.weather.example"] }`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CategoryFile {
    name: String,
    vendors: Vec<String>,
}

/// A window by name, or in seconds.
#[derive(Debug, Clone, Copy)]
struct WindowFile(Window);

impl Default for WindowFile {
    fn default() -> Self {
        Self(Window::Life)
    }
}

impl<'de> Deserialize<'de> for WindowFile {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WindowText)
    }
}

struct WindowText;

impl serde::de::Visitor<'_> for WindowText {
    type Value = WindowFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`life`, `minute`, `hour`, `day`, `month` (30 days), `open`, or a number of seconds")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<WindowFile, E> {
        let rolling = |length_ms| Ok(WindowFile(Window::Rolling { length_ms }));
        match text {
            "life" => Ok(WindowFile(Window::Life)),
            "open" => Ok(WindowFile(Window::Open)),
            "minute" => rolling(MINUTE_MS),
            "hour" => rolling(HOUR_MS),
            "day" => rolling(DAY_MS),
            "month" => rolling(DAY_MS * 30),
            other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<WindowFile, E> {
        let length_ms = u64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000));
        match length_ms {
            Some(length_ms) => Ok(WindowFile(Window::Rolling { length_ms })),
            None => Err(E::invalid_value(serde::de::Unexpected::Signed(seconds), &self)),
        }
    }
}

impl BudgetFile {
    pub(super) fn into_rule(self, index: usize) -> Result<BudgetRule, MandateFileError> {
        let limit = amount(&format!("budget[{index}].limit"), &Asset::micro_usd(), &self.limit)?;
        let usual = Gates::default();
        let stop = self.gates.stop.unwrap_or(usual.stop);
        // Gates that nobody wrote give way to the ones somebody did.
        let tighten = self.gates.tighten.unwrap_or(usual.tighten.min(stop));
        let notify = self.gates.notify.unwrap_or(usual.notify.min(tighten));
        Ok(BudgetRule {
            scope: self.scope,
            only: only(self.scope, self.only),
            limit,
            window: self.window.0,
            gross: self.gross,
            gates: Gates { notify, tighten, stop },
            alert: self.alert,
        })
    }
}

impl LimitFile {
    pub(super) fn into_rule(self, index: usize) -> Result<LimitRule, MandateFileError> {
        let (counts, most) = match (self.payments, self.sessions) {
            (Some(most), None) => (Counted::Payments, most),
            (None, Some(most)) => (Counted::Sessions, most),
            (Some(_), Some(_)) | (None, None) => {
                let field = format!("limit[{index}]");
                let problem = "give either `payments = N` or `sessions = N`";
                return Err(MandateError::Rule { field, problem }.into());
            }
        };
        let only = only(self.scope, self.only);
        Ok(LimitRule { counts, scope: self.scope, only, most, window: self.window.0 })
    }
}

impl From<CategoryFile> for CategoryRule {
    fn from(file: CategoryFile) -> Self {
        Self { name: file.name, vendors: file.vendors }
    }
}

/// Hosts, and addresses that are numbers, are compared in lower case.
fn only(scope: Scope, one: Option<String>) -> Option<String> {
    one.map(|one| match scope {
        Scope::Vendor => one.to_ascii_lowercase(),
        Scope::Payee if one.starts_with("0x") => one.to_ascii_lowercase(),
        _ => one,
    })
}
