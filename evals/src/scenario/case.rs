//! One scenario.

use super::{Expect, SellerSpec, Step, Usd};
use serde::{Deserialize, Serialize};

/// What a scenario is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Somebody tries to get money that was not meant for them, or to lose it.
    #[default]
    Attack,
    /// Everybody is honest: what was meant must be bought. A refusal here is a false block.
    Control,
}

/// How the person answers who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Approver {
    /// Nobody is there: questions wait.
    #[default]
    Nobody,
    /// Yes, to everything.
    Yes,
    /// No, to everything.
    No,
}

/// Whether anybody takes the alerts of budgets that are nearly used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Alerts {
    /// Somebody does.
    #[default]
    Taken,
    /// Nobody does: the place they go to is down.
    Lost,
}

/// Who can check the journal from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum LogSpec {
    /// Nobody: it is not published, which is faster.
    #[default]
    Unpublished,
    /// Whoever reads the log that is published in the data folder.
    Published,
    /// The same, and a witness cosigns it.
    Witnessed,
}

/// Who plays the steps `do = "agent"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum ModelSpec {
    /// The extractive model that ships with Bursar: offline, deterministic, real work. A suite's own agent takes its place.
    #[default]
    Extractive,
    /// The suite's own agent and no other. Where there is none, as in `bursar eval`, the case is not run.
    Own,
    /// Plays these turns, whatever it is told: a compromised agent that obeys. A suite's own agent does not take its place.
    Scripted {
        /// Its turns.
        turns: Vec<Turn>,
    },
}

impl ModelSpec {
    /// Whether the scenario says every turn itself.
    pub(crate) const fn is_scripted(&self) -> bool {
        matches!(self, Self::Scripted { .. })
    }
}

/// One turn of a scripted model: a text, or calls of tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// What it says; this ends the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
    /// The tool it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// The arguments, as JSON text. `{quote}` stands for the id of the cheapest quote that the model was shown last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}

/// One scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name, unique in its suite.
    pub id: String,
    /// What it is about, in a sentence.
    pub title: String,
    /// The failure mode that it stands for, such as `FM4`.
    #[serde(default)]
    pub mode: String,
    /// Its family, such as `injection_drain`.
    #[serde(default)]
    pub family: String,
    /// How bad it is if it goes wrong.
    #[serde(default)]
    pub severity: String,
    /// Whether it is an attack or a control.
    #[serde(default)]
    pub kind: Kind,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Why it is not run; it then counts as not run, never as passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// What the author wants to say about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The user's mandate: the table that `bursar.toml` has. `"@weather"` stands for the payee of the seller of that name,
    /// `"@usdc"` for the market's dollar; payee and asset of a metered item may be left out.
    #[serde(default)]
    pub mandate: toml::Table,
    /// Cedar text beside the shipped rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Rules that ship and hold where they are asked for: `bursar:review`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundled: Vec<String>,
    /// The mandate ends so many seconds after the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u64>,
    /// What the wallet has.
    #[serde(default = "a_thousand")]
    pub funds: Usd,
    /// When it begins: seconds since 1970, UTC.
    #[serde(default = "begins")]
    pub starts_at: u64,
    /// Other networks that the buyer reads, through the same nodes: `eip155:1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// The market's dollar counts as one that is worth something, as those of main networks do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub worth: bool,
    /// The operator's switch: money that is worth something may be spent where the mandate says so too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub live: bool,
    /// How a person answers.
    #[serde(default)]
    pub approver: Approver,
    /// Whether anybody takes alerts.
    #[serde(default)]
    pub alerts: Alerts,
    /// Who can check the journal from outside.
    #[serde(default)]
    pub log: LogSpec,
    /// The sellers.
    #[serde(default, rename = "seller")]
    pub sellers: Vec<SellerSpec>,
    /// What an agent thinks with.
    #[serde(default)]
    pub model: ModelSpec,
    /// Faults of the chain that the buyer reads, armed from the start; as the market names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain_faults: Vec<bursar_market::FaultRule>,
    /// Faults of the facilitator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facilitator_faults: Vec<bursar_market::FaultRule>,
    /// What happens, in order.
    #[serde(default, rename = "step")]
    pub steps: Vec<Step>,
    /// What must come of it.
    pub expect: Expect,
}

fn a_thousand() -> Usd {
    Usd(1_000_000_000)
}

/// 2026-11-21, noon.
const fn begins() -> u64 {
    1_795_262_400
}
