//! The facts that rules are asked about. Everything here was checked or measured by us; nothing was written by a model.

/// How far spending has come towards a cap.
pub use bursar_types::GateLevel as GateState;

use bursar_types::{DataLabel, Digest, Effect, Phase};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// Who acts, as rules see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The agent.
    pub agent: String,
    /// The user, as a pseudonym.
    pub user: String,
    /// The project; `default` where none is set.
    pub project: String,
    /// The agent's role, such as `research`.
    pub role: String,
}

/// One question to the rules. The name of the variant is the Cedar action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Facts {
    /// May this request leave, unpaid?
    Quote(QuoteFacts),
    /// May this plan be bought?
    Plan(PlanFacts),
    /// May this be paid?
    Pay(PayFacts),
    /// May this tool be called?
    Call(CallFacts),
}

/// Facts that were journaled are read again, for `explain` and `replay`.
impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By hand: serde's own reading of tagged enums takes no number beyond 64 bits.
        let mut value = Value::deserialize(deserializer)?;
        let action = value.as_object_mut().and_then(|object| object.remove("action"));
        let read = match action.as_ref().and_then(Value::as_str) {
            Some("quote") => serde_json::from_value(value).map(Self::Quote),
            Some("plan") => serde_json::from_value(value).map(Self::Plan),
            Some("pay") => serde_json::from_value(value).map(Self::Pay),
            Some("call") => serde_json::from_value(value).map(Self::Call),
            _ => return Err(D::Error::custom("these are no facts: they name no action that rules know")),
        };
        read.map_err(D::Error::custom)
    }
}

/// Whose word approved what a payment is made under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovedBy {
    /// The rules alone.
    Rule,
    /// The mandate's own signature: a metered item.
    Mandate,
    /// A person, who was asked.
    Person,
}

impl ApprovedBy {
    /// The name used in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Mandate => "mandate",
            Self::Person => "person",
        }
    }
}

/// What was spent and is held already, this purchase included, in micro-USD. Never less than it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sums {
    /// By this session, over its life.
    pub session_micro_usd: u128,
    /// By this user at this vendor, in the last 24 hours.
    pub vendor_day_micro_usd: u128,
    /// By this user for this family of things (payee and resource family), in the last 24 hours.
    pub family_day_micro_usd: u128,
}

/// What the mandate says about single purchases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Thresholds {
    /// Most that one payment may cost, in micro-USD; none if the mandate sets no cap.
    pub payment_max_micro_usd: Option<u128>,
    /// A person is asked once a family's spending of the day passes this, in micro-USD; none if the mandate sets nothing.
    pub review_above_micro_usd: Option<u128>,
}

/// Before any request leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteFacts {
    /// Who asks.
    pub actor: Actor,
    /// Host and port.
    pub host: String,
    /// Method.
    pub method: String,
    /// Whether the connection is TLS, or stays on this machine.
    pub secure: bool,
    /// Whether the host is of this machine (loopback).
    pub local: bool,
    /// Whether the request carries a body.
    pub has_body: bool,
    /// Whether the mandate lists this host; true if it lists none.
    pub vendor_listed: bool,
    /// Whether the mandate lists this host; false if it lists none.
    pub vendor_approved: bool,
    /// Whether nothing was ever paid to anyone at this host.
    pub first_time_vendor: bool,
    /// What the mandate says this host sells; `other` if it says nothing.
    pub category: String,
    /// Whose data the request carries.
    pub data: DataLabel,
    /// How far spending has come.
    pub gate: GateState,
    /// The phase.
    pub phase: Phase,
}

/// A plan that wants to be bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFacts {
    /// Who proposes.
    pub actor: Actor,
    /// Digest of the plan.
    pub plan: Digest,
    /// Its most, in micro-USD.
    pub total_micro_usd: u128,
    /// How many items.
    pub items: u64,
    /// The hosts.
    pub hosts: Vec<String>,
    /// What the mandate says these hosts sell; `other` where it says nothing.
    pub categories: Vec<String>,
    /// The rails.
    pub rails: Vec<String>,
    /// The networks, as CAIP-2.
    pub networks: Vec<String>,
    /// Whether the mandate lists every vendor in it; true if it lists none.
    pub vendors_listed: bool,
    /// Whether the mandate lists every vendor in it; false if it lists none.
    pub vendors_approved: bool,
    /// Whether nothing was ever paid to some vendor in it.
    pub first_time_vendor: bool,
    /// Whether a request behind it carries, or may carry, data of clients.
    pub client_data: bool,
    /// Whether something in it renews itself.
    pub recurring: bool,
    /// The dearest single purchase in it, in micro-USD.
    pub item_max_micro_usd: u128,
    /// What was spent before, the plan included: of its vendors and families those with the most.
    pub sums: Sums,
    /// What the mandate says about single purchases.
    pub thresholds: Thresholds,
    /// How far spending has come.
    pub gate: GateState,
    /// Whether every asset and network is one the mandate names.
    pub assets_listed: bool,
    /// Whether any asset is worth money.
    pub live: bool,
    /// Whether the operator switched live payments on.
    pub live_enabled: bool,
    /// Who is asked about plans: `rule`, `ask` or `never`.
    pub approval: Cow<'static, str>,
    /// A plan above this many micro-USD is asked about also under `rule`; none if the mandate sets no threshold.
    pub ask_above_micro_usd: Option<u128>,
    /// How much of the tightest budget the plan would take beside what is spent and held, in basis points, rounded up.
    pub budget_basis_points: u64,
}

/// A payment that wants to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayFacts {
    /// Who pays.
    pub actor: Actor,
    /// Host and port, as observed.
    pub host: String,
    /// The payee's address, as quoted and matched.
    pub payee: String,
    /// The resource's URL.
    pub resource: String,
    /// The method.
    pub method: String,
    /// The rail.
    pub rail: String,
    /// When money can move: `authorization`, `upfront`, `escrow`.
    pub flow: String,
    /// CAIP-2 network.
    pub network: String,
    /// CAIP-19 asset.
    pub asset: String,
    /// Worst-case debit in micro-USD, rounded up.
    pub micro_usd: u128,
    /// The phase.
    pub phase: Phase,
    /// Whether an item of an approved plan or of the mandate covers it, structurally.
    pub covered: bool,
    /// Whether the connection is TLS, or stays on this machine.
    pub secure: bool,
    /// Whether the mandate lists the vendor; true if it lists none.
    pub vendor_listed: bool,
    /// Whether the mandate lists the vendor; false if it lists none.
    pub vendor_approved: bool,
    /// What the mandate says this vendor sells; `other` if it says nothing.
    pub category: String,
    /// Whose data the request carries.
    pub data: DataLabel,
    /// Whether the vendor declares that the purchase renews itself.
    pub recurring: bool,
    /// Whether the plan's item was approved as one that renews itself.
    pub recurring_approved: bool,
    /// Whether the plan's item was approved with a request that carries, or may carry, data of clients.
    pub client_data_approved: bool,
    /// Whose word approved the plan.
    pub approval: ApprovedBy,
    /// What was spent before, this payment included.
    pub sums: Sums,
    /// What the mandate says about single purchases.
    pub thresholds: Thresholds,
    /// How far spending has come.
    pub gate: GateState,
    /// Whether the mandate names the asset and its network.
    pub asset_listed: bool,
    /// Whether nothing was ever paid to this vendor before.
    pub first_time_vendor: bool,
    /// Whether a payment to this vendor has an unknown outcome.
    pub vendor_unknown_open: bool,
    /// Whether the asset is worth money.
    pub live: bool,
    /// Whether the operator switched live payments on.
    pub live_enabled: bool,
    /// Whether the mandate allows flows in which money moves before the goods are made.
    pub upfront_allowed: bool,
    /// Whether the mandate has expired.
    pub mandate_expired: bool,
    /// Spent and held of the tightest budget, this payment included, in basis points, rounded up.
    pub budget_basis_points: u64,
}

/// A tool call that wants to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFacts {
    /// Who calls.
    pub actor: Actor,
    /// The tool's name.
    pub tool: String,
    /// What it does to the world.
    pub effect: Effect,
    /// The phase.
    pub phase: Phase,
    /// Digest of the arguments.
    pub arguments: Digest,
}
