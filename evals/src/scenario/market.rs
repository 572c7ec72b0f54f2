//! Sellers, honest and hostile, built from parts.

use super::Usd;
use bursar_market::{FaultRule, RefundRule, WireVersion};
use serde::{Deserialize, Serialize};

/// Something a seller sells at a path of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoodsSpec {
    /// Path, such as `/today`; a `*` at the end stands for any rest.
    pub path: String,
    /// Price; `"0"` gives it away.
    pub price: Usd,
    /// What it is worth, where that is less than its price: the rest counts as overpaid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worth: Option<Usd>,
    /// The text that is delivered.
    #[serde(default = "a_text")]
    pub text: String,
    /// What the terms say about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

fn a_text() -> String {
    "# Weather\n\nRain in the morning, sun in the afternoon, 14 degrees.\n".to_owned()
}

/// One alternative of a 402. What is left out is the market's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct OfferSpec {
    /// Scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// CAIP-2 network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The token's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    /// The payee's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pay_to: Option<String>,
    /// The amount in atomic units, verbatim, whatever it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// The amount in percent of the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
    /// When it says that money moves: `authorization` if it says nothing, `upfront`, `escrow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<String>,
}

/// One seller. It listens on loopback, and its buyers know it by its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SellerSpec {
    /// Its name in this scenario.
    pub name: String,
    /// Its host, such as `api.weather.test`. `s{1..50}.sybil.test` makes fifty sellers `NAME-1` to `NAME-50`.
    pub host: String,
    /// The name of the seller whose payee address it uses; its own by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_as: Option<String>,
    /// The version of x402 it speaks; 2 by default.
    #[serde(default)]
    pub wire: WireVersion,
    /// How long it lets an authorization live.
    #[serde(default = "a_minute")]
    pub timeout_s: u64,
    /// What it sells.
    #[serde(default)]
    pub sells: Vec<GoodsSpec>,
    /// The alternatives of its 402; one plain one by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<OfferSpec>,
    /// What goes wrong from the start; as the market names faults: `{ fault = "settle_then_drop", times = 1 }`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultRule>,
    /// What it does with claims; by default it takes none.
    #[serde(default)]
    pub refunds: RefundRule,
    /// Whether discovery lists it.
    #[serde(default = "yes")]
    pub listed: bool,
}

const fn a_minute() -> u64 {
    60
}

const fn yes() -> bool {
    true
}
