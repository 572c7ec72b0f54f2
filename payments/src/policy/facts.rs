//! The facts that rules are asked about. Everything here was checked or measured by us; nothing was written by a model.

use bursar_types::{Digest, Effect, Phase};
use serde::Serialize;

/// Who acts, as rules see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

/// Before any request leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    /// The phase.
    pub phase: Phase,
}

/// A plan that wants to be bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    /// Whether the mandate lists every vendor in it.
    pub vendors_listed: bool,
    /// Whether every asset and network is one the mandate names.
    pub assets_listed: bool,
    /// Whether any asset is worth money.
    pub live: bool,
    /// Whether the operator switched live payments on.
    pub live_enabled: bool,
    /// Who is asked about plans: `rule`, `ask` or `never`.
    pub approval: &'static str,
    /// A plan above this many micro-USD is asked about also under `rule`; none if the mandate sets no threshold.
    pub ask_above_micro_usd: Option<u128>,
    /// How much of the tightest budget the plan would take beside what is spent and held, in basis points, rounded up.
    pub budget_basis_points: u64,
}

/// A payment that wants to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
