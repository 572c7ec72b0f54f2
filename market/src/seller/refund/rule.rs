//! What a seller does with a claim, and what it says about that beforehand.

use crate::primitives::Address;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The extension's name in the 402.
pub(crate) const EXTENSION: &str = "refund";
/// Where claims go.
pub(crate) const PATH: &str = "/refunds";

/// What a seller does with a claim that is right. Serialised as `{"rule": "<name>", …}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefundRule {
    /// It gives no refunds: nothing is offered, and there is nowhere to ask.
    #[default]
    None,
    /// Accepts, and sends what was asked for at once.
    Exact,
    /// Accepts a part, says so, and sends that at once.
    Partial {
        /// The part, in percent of what was asked for, rounded down.
        percent: u32,
    },
    /// Accepts, and sends later. What is still to come is forgotten when the market stops, state file or not.
    Late {
        /// How much later.
        after_s: u64,
    },
    /// Accepts, and sends what was asked for twice. If the payee has not got as much, it is made.
    Twice,
    /// Accepts, and sends from an address that the buyer has never paid. What that address lacks the payee gives it first.
    Foreign {
        /// The address; without it, one made up by the seller.
        #[serde(default)]
        from: Option<Address>,
    },
    /// Accepts, and sends nothing, ever.
    NeverSends,
    /// Refuses.
    Refuses {
        /// The reason it gives.
        reason: String,
    },
    /// Answers 500 that often and sends nothing; after that, accepts and sends what was asked for.
    Fails {
        /// How often.
        times: u32,
    },
}

/// The extension as the 402 carries it.
pub(crate) fn offer(origin: &str, within_s: u64, partial: bool) -> Value {
    json!({
        "info": { "url": format!("{origin}{PATH}"), "withinSeconds": within_s, "partial": partial },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "url": { "type": "string", "format": "uri" },
                "withinSeconds": { "type": "integer", "minimum": 0 },
                "partial": { "type": "boolean" },
            },
            "required": ["url", "withinSeconds", "partial"],
        },
    })
}
