//! Which faults are armed, how often they still strike, and where.

use super::list::{Fault, Place};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;

/// One armed fault.
///
/// # Example
///
/// ```
/// use bursar_market::{Fault, FaultRule};
/// let once = FaultRule::new(Fault::SettleThenDrop).times(1).path("/documents/");
/// let text = serde_json::to_string(&once).unwrap();
/// assert_eq!(text, r#"{"fault":"settle_then_drop","times":1,"path":"/documents/"}"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRule {
    /// What goes wrong.
    #[serde(flatten)]
    pub fault: Fault,
    /// How often it strikes; without it, always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Only requests whose path (for the RPC: whose method) contains this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl FaultRule {
    /// Strikes always and everywhere.
    #[must_use]
    pub const fn new(fault: Fault) -> Self {
        Self { fault, times: None, path: None }
    }

    /// Strikes this often.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Strikes only requests whose path (for the RPC: whose method) contains `text`.
    #[must_use]
    pub fn path(mut self, text: impl Into<String>) -> Self {
        self.path = Some(text.into());
        self
    }
}

impl From<Fault> for FaultRule {
    fn from(fault: Fault) -> Self {
        Self::new(fault)
    }
}

/// A fault was given to something that does not have its place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("arm `{fault}` here: it strikes at `{place:?}`; give it to the {owner}")]
pub struct FaultError {
    fault: String,
    place: Place,
    owner: &'static str,
}

/// The armed faults of one seller, facilitator or RPC. Clones share the list.
#[derive(Debug, Clone)]
pub struct Faults {
    armed: Arc<Mutex<Vec<FaultRule>>>,
    here: fn(Place) -> bool,
}

impl Faults {
    pub(crate) fn for_seller() -> Self {
        Self { armed: Arc::default(), here: Place::is_seller }
    }

    pub(crate) fn for_facilitator() -> Self {
        Self { armed: Arc::default(), here: Place::is_facilitator }
    }

    pub(crate) fn for_rpc() -> Self {
        Self { armed: Arc::default(), here: Place::is_rpc }
    }

    /// Arms one more fault, after those already armed.
    ///
    /// # Errors
    ///
    /// [`FaultError`] if the fault strikes at a place that this service does not have.
    pub fn arm(&self, rule: impl Into<FaultRule>) -> Result<(), FaultError> {
        let rule = self.fitting(rule.into())?;
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
        Ok(())
    }

    /// Replaces all armed faults.
    ///
    /// # Errors
    ///
    /// [`FaultError`] as for [`Faults::arm`]; then nothing is replaced.
    pub fn replace(&self, rules: Vec<FaultRule>) -> Result<(), FaultError> {
        let rules: Vec<_> = rules.into_iter().map(|rule| self.fitting(rule)).collect::<Result<_, _>>()?;
        *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = rules;
        Ok(())
    }

    /// Disarms all.
    pub fn clear(&self) {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The faults that still can strike.
    #[must_use]
    pub fn armed(&self) -> Vec<FaultRule> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the first armed fault that strikes at `place` on `path` and that `wanted` accepts.
    pub(crate) fn strike(&self, place: Place, path: &str, wanted: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = armed.iter_mut().find(|rule| {
            rule.fault.place() == place
                && rule.times != Some(0)
                && rule.path.as_deref().is_none_or(|part| path.contains(part))
                && wanted(&rule.fault)
        })?;
        rule.times = rule.times.map(|left| left.saturating_sub(1));
        let fault = rule.fault.clone();
        armed.retain(|rule| rule.times != Some(0));
        drop(armed);
        tracing::debug!(fault = %fault.name(), path, "fault strikes");
        Some(fault)
    }

    fn fitting(&self, rule: FaultRule) -> Result<FaultRule, FaultError> {
        let place = rule.fault.place();
        if (self.here)(place) {
            return Ok(rule);
        }
        let owner = match () {
            () if place.is_seller() => "seller",
            () if place.is_facilitator() => "facilitator",
            () => "chain's RPC",
        };
        Err(FaultError { fault: rule.fault.name(), place, owner })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_as_often_as_it_was_armed_and_only_on_its_path() {
        let faults = Faults::for_seller();
        faults.arm(FaultRule::new(Fault::NoReceipt).times(2).path("erc-20")).unwrap();
        let strike = |path: &str| faults.strike(Place::Answer, path, |_| true);
        assert_eq!(strike("/documents/erc-721"), None);
        assert_eq!(strike("/documents/erc-20"), Some(Fault::NoReceipt));
        assert_eq!(strike("/documents/erc-20"), Some(Fault::NoReceipt));
        assert_eq!(strike("/documents/erc-20"), None);
        assert_eq!(faults.armed(), [], "what can no longer strike is no longer listed");
    }

    #[test]
    fn a_fault_of_another_service_is_refused_with_the_place_it_belongs_to() {
        let refused = Faults::for_seller().arm(Fault::RpcDown).unwrap_err();
        assert!(refused.to_string().contains("chain's RPC"), "{refused}");
    }

    #[test]
    fn a_rule_reads_back_from_the_json_it_is_written_as() {
        for text in [
            r#"{"fault":"surge","percent":200,"times":1}"#,
            r#"{"fault":"malformed_quote","kind":"huge_header"}"#,
            r#"{"fault":"never_settle_402"}"#,
            r#"{"fault":"rpc_lag","blocks":3,"path":"eth_call"}"#,
        ] {
            let rule: FaultRule = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&rule).unwrap(), text);
        }
        assert!(serde_json::from_str::<FaultRule>(r#"{"fault":"nonsense"}"#).is_err());
    }
}
