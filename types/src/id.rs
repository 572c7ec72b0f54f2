//! One id type per kind of thing.

use crate::clock::Entropy;
use crate::digest::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use thiserror::Error;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not an id of the form `{prefix}_` and 32 hex digits")]
pub struct ParseIdError {
    text: String,
    prefix: &'static str,
}

fn parse(text: &str, prefix: &'static str) -> Result<[u8; 16], ParseIdError> {
    let error =
        || ParseIdError { text: text.chars().take(60).flat_map(char::escape_debug).collect(), prefix };
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or_else(error)?;
    if digits.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(error());
    }
    let mut bytes = [0; 16];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| error())?;
    Ok(bytes)
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Makes a fresh id from the randomness handed in.
            #[must_use]
            pub fn random(entropy: &dyn Entropy) -> Self {
                let mut bytes = [0; 16];
                entropy.fill(&mut bytes);
                Self(bytes)
            }

            /// Derives an id from what it stands for, so that the same thing has the same id after a crash.
            #[must_use]
            pub fn derived(parts: &[&[u8]]) -> Self {
                let mut bytes = [0; 16];
                let digest = Digest::of_parts(concat!("bursar/id/", $prefix), parts);
                for (to, from) in bytes.iter_mut().zip(digest.as_bytes()) {
                    *to = *from;
                }
                Self(bytes)
            }

            /// Wraps 16 bytes, for stores.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Reads the text form.
            ///
            /// # Errors
            /// [`ParseIdError`] if the prefix or the digits are wrong.
            pub fn parse(text: &str) -> Result<Self, ParseIdError> {
                parse(text, $prefix).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

id_type!(
    /// The one data file; a wallet is bound to it.
    LedgerId,
    "led"
);
id_type!(
    /// The scope of money under one mandate.
    SessionId,
    "ses"
);
id_type!(
    /// One agent working on one task inside a session.
    RunId,
    "run"
);
id_type!(
    /// An agent.
    AgentId,
    "agt"
);
id_type!(
    /// One tool call; minted by us, never the provider's.
    CallId,
    "cal"
);
id_type!(
    /// A payee's terms as received.
    QuoteId,
    "quo"
);
id_type!(
    /// Proposed purchases.
    PlanId,
    "pln"
);
id_type!(
    /// One line of a plan, or a metered item of a mandate.
    PlanItemId,
    "itm"
);
id_type!(
    /// One purchase, for its whole life.
    PaymentId,
    "pay"
);
id_type!(
    /// Money set aside in budgets.
    HoldId,
    "hld"
);
id_type!(
    /// A cap on one scope over one window.
    BudgetId,
    "bud"
);
id_type!(
    /// What was bought.
    ArtifactId,
    "art"
);
id_type!(
    /// A question to an approver.
    ApprovalId,
    "apr"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_another_kind_is_refused() {
        let payment = PaymentId::derived(&[b"a"]);
        assert_eq!(PaymentId::parse(&payment.to_string()), Ok(payment));
        assert!(HoldId::parse(&payment.to_string()).is_err());
        assert!(PaymentId::parse("pay_1234").is_err());
    }

    #[test]
    fn kinds_derive_different_ids_from_the_same_parts() {
        assert_ne!(PaymentId::derived(&[b"a"]).as_bytes(), HoldId::derived(&[b"a"]).as_bytes());
    }
}
