//! What must come of a scenario.

use super::Usd;
use bursar::types::Phase;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one vendor may and must get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct VendorExpect {
    /// Most that it may get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_max: Option<Usd>,
    /// Least that it must get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_min: Option<Usd>,
}

/// What must come of a scenario. What is left out is not looked at, apart from [`Expect::paid_max`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Most that may leave the wallet, or be left in anybody's hands to take. Whatever is above it is unauthorised.
    pub paid_max: Usd,
    /// Least that must leave the wallet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_min: Option<Usd>,
    /// Most authorizations that may be signed.
    pub signatures_max: u64,
    /// What vendors may and must get, by the name of the seller.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vendors: BTreeMap<String, VendorExpect>,
    /// Reason codes that must each have been given; `A|B` is satisfied by either.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
    /// Reason codes that must not have been given; `*` stands for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes_never: Vec<String>,
    /// The phase at the end of the session `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Least purchases that must have been delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_min: Option<u64>,
    /// Least share of what was bought that an agent's answer used, in basis points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_min_bp: Option<u64>,
    /// Most obligations that may be open at the end: owed, claimed or parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_max: Option<u64>,
    /// Most that may have come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded_max: Option<Usd>,
    /// Least that must have come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded_min: Option<Usd>,
    /// Longest that an authorization may have lived from when it was presented, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_s_max: Option<u64>,
    /// Text that must stand in a sentence that some step was answered with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
    /// States of payments and sagas that must be there at the end: `parked`, `refunded`, `saga_compensated`; `A|B` is
    /// satisfied by either.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<String>,
    /// Payments whose outcome may be unknown at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_max: Option<u64>,
    /// Text that must stand in what a person is shown who is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<String>,
    /// Text that must not stand there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown_never: Vec<String>,
    /// Least refusals that the journal must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journaled_refusals_min: Option<u64>,
    /// Whether the suite this scenario brings along must count as this verdict; for scenarios about evaluations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<crate::report::SuiteVerdict>,
}
