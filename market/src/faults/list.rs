//! The list of faults.

use serde::{Deserialize, Serialize};

/// The point at which a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Seller: any request for a document, before anything else.
    Request,
    /// Seller: the terms that hold when a paid request arrives.
    Terms,
    /// Seller: the 402 that answers a request without payment.
    Quote,
    /// Seller: a paid request, before verification.
    Arrival,
    /// Seller: instead of asking the facilitator to settle.
    Settlement,
    /// Seller: the answer to a request whose payment has been settled.
    Answer,
    /// Seller: a claim for a refund that is right.
    Refund,
    /// Facilitator: `/verify`.
    Verify,
    /// Facilitator: `/settle`.
    Settle,
    /// The chain's JSON-RPC.
    Rpc,
}

impl Place {
    /// Whether a seller has this place.
    #[must_use]
    pub const fn is_seller(self) -> bool {
        match self {
            Self::Request
            | Self::Terms
            | Self::Quote
            | Self::Arrival
            | Self::Settlement
            | Self::Answer
            | Self::Refund => true,
            Self::Verify | Self::Settle | Self::Rpc => false,
        }
    }

    /// Whether a facilitator has this place.
    #[must_use]
    pub const fn is_facilitator(self) -> bool {
        matches!(self, Self::Verify | Self::Settle)
    }

    /// Whether the chain's RPC has this place.
    #[must_use]
    pub const fn is_rpc(self) -> bool {
        matches!(self, Self::Rpc)
    }
}

/// A 402 that says nothing a buyer could pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Malformation {
    /// The header is not base64 and the body is not JSON.
    BadBase64,
    /// The header is base64 of something that is not JSON.
    NotJson,
    /// JSON whose fields have the wrong types.
    WrongTypes,
    /// A body of ten megabytes.
    HugeBody,
    /// A header of one megabyte.
    HugeHeader,
    /// A scheme nobody knows.
    UnknownScheme,
    /// An asset nobody knows.
    UnknownAsset,
    /// A network nobody knows.
    UnknownNetwork,
    /// The amount as a JSON number instead of text.
    AmountAsNumber,
    /// No alternative at all.
    EmptyAccepts,
    /// Neither header nor body.
    Missing,
    /// JSON nested ten thousand levels deep.
    DeepJson,
    /// A hundred thousand alternatives.
    ManyAlternatives,
    /// A header, and a body that asks for ninety times as much.
    BodyDisagrees,
    /// Two headers, the second of which asks for ninety times as much.
    TwoHeaders,
}

/// Something that goes wrong on demand. Serialised as `{"fault": "<name>", …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    // Seller, any request.
    /// Sends the buyer to another origin with a 307.
    Redirect {
        /// Where to.
        to: String,
        /// Only requests that carry a payment.
        #[serde(default)]
        only_paid: bool,
    },
    // Seller, terms.
    /// Raises the price when a paid request arrives, and keeps it raised.
    Surge {
        /// The new price in percent of the price before.
        percent: u32,
    },
    /// Changes the payee when a paid request arrives, and keeps it changed.
    SwapPayee {
        /// The new payee; without it, one made up by the seller.
        #[serde(default)]
        to: Option<String>,
    },
    // Seller, quote.
    /// A 402 that cannot be read or paid.
    MalformedQuote {
        /// In which way.
        kind: Malformation,
    },
    /// A 402 that asks for this amount, verbatim.
    QuotedAmount {
        /// Any text: `-1`, `1e6`, a number beyond 2^256, nothing, `01`.
        amount: String,
    },
    /// A 402 whose alternatives carry this beside what is needed, whatever it says.
    QuotedExtra {
        /// The field of `extra`.
        field: String,
        /// What it says.
        value: serde_json::Value,
    },
    /// Names a payee that nobody has heard of in every 402, and takes payments for the last one it named.
    FreshPayee,
    /// Waits before the 402.
    SlowQuote {
        /// How long.
        ms: u64,
    },
    // Seller, arrival of a payment.
    /// Answers a payment with another 402 and settles nothing.
    #[serde(rename = "never_settle_402")]
    NeverSettle402,
    /// Drops the connection before settling: the seller keeps a live signature.
    DropBeforeSettle,
    /// Answers 500 before settling: the seller keeps a live signature.
    #[serde(rename = "error_500_before_settle")]
    Error500BeforeSettle,
    // Seller, instead of settlement.
    /// Delivers with a receipt that says `success: true` though nothing was settled.
    LyingReceipt,
    // Seller, after settlement.
    /// Takes the payment and answers 402.
    #[serde(rename = "settle_then_402")]
    SettleThen402,
    /// Takes the payment and answers 500.
    #[serde(rename = "settle_then_500")]
    SettleThen500,
    /// Takes the payment and drops the connection.
    SettleThenDrop,
    /// Takes the payment and breaks off in the middle of the body.
    HalfBody,
    /// Takes the payment and delivers something else.
    WrongContent {
        /// What to deliver; without it, a page of apology.
        #[serde(default)]
        body: Option<String>,
    },
    /// Takes the payment and delivers nothing, with status 200.
    EmptyBody,
    /// Delivers without a receipt header.
    NoReceipt,
    /// Delivers with a receipt header that cannot be read.
    GarbledReceipt,
    /// Delivers with a receipt of another payer, network and transaction.
    ForeignReceipt,
    /// Delivers, but only after a pause in the middle of the body.
    SlowBody {
        /// How long.
        ms: u64,
    },
    // Seller, refund.
    /// Answers a claim with 500 before anything is decided or sent.
    #[serde(rename = "refund_500_before")]
    Refund500Before,
    /// Accepts a claim; the answer is lost on the way.
    RefundAnswerLost,
    // Facilitator, verify.
    /// Verification answers 500.
    #[serde(rename = "verify_500")]
    Verify500,
    /// Verification refuses whatever it is given.
    VerifyRefuses {
        /// The reason it gives.
        reason: String,
    },
    // Facilitator, settle.
    /// Settles; the answer is lost on the way.
    SettleAnswerLost,
    /// The request to settle is lost; nothing is settled.
    SettleLostBefore,
    /// Settles, then answers 500.
    #[serde(rename = "settle_500_after")]
    Settle500After,
    /// Answers 500 without settling.
    #[serde(rename = "settle_500_before")]
    Settle500Before,
    /// Settles, and answers `settlement_pending` with the transaction.
    SettlementPending,
    /// Answers `settlement_pending` with a transaction that will never be mined.
    SettlementPendingForever,
    /// Answers `success: true` without settling.
    SettleLies,
    // RPC. The path filter is matched against the method's name.
    /// The connection is dropped.
    RpcDown,
    /// The call is done; the answer is lost on the way.
    RpcAnswerLost,
    /// HTTP 500.
    #[serde(rename = "rpc_500")]
    Rpc500,
    /// A JSON-RPC error.
    RpcError {
        /// Its code.
        code: i64,
        /// Its message.
        message: String,
    },
    /// An answer that is not JSON.
    RpcGarbage,
    /// Answers as of some blocks ago.
    RpcLag {
        /// How many.
        blocks: u64,
    },
    /// `authorizationState` answers this, whatever is true.
    RpcLiesAuthorizationState {
        /// The lie.
        used: bool,
    },
    /// `eth_getLogs` finds nothing.
    RpcHidesLogs,
    /// `eth_chainId` names another chain.
    RpcWrongChain {
        /// Which.
        chain_id: u64,
    },
}

impl Fault {
    /// Where it strikes.
    #[must_use]
    pub const fn place(&self) -> Place {
        match self {
            Self::Redirect { .. } => Place::Request,
            Self::Surge { .. } | Self::SwapPayee { .. } => Place::Terms,
            Self::MalformedQuote { .. }
            | Self::QuotedAmount { .. }
            | Self::QuotedExtra { .. }
            | Self::FreshPayee
            | Self::SlowQuote { .. } => Place::Quote,
            Self::NeverSettle402 | Self::DropBeforeSettle | Self::Error500BeforeSettle => Place::Arrival,
            Self::LyingReceipt => Place::Settlement,
            Self::SettleThen402
            | Self::SettleThen500
            | Self::SettleThenDrop
            | Self::HalfBody
            | Self::WrongContent { .. }
            | Self::EmptyBody
            | Self::NoReceipt
            | Self::GarbledReceipt
            | Self::ForeignReceipt
            | Self::SlowBody { .. } => Place::Answer,
            Self::Refund500Before | Self::RefundAnswerLost => Place::Refund,
            Self::Verify500 | Self::VerifyRefuses { .. } => Place::Verify,
            Self::SettleAnswerLost
            | Self::SettleLostBefore
            | Self::Settle500After
            | Self::Settle500Before
            | Self::SettlementPending
            | Self::SettlementPendingForever
            | Self::SettleLies => Place::Settle,
            Self::RpcDown
            | Self::RpcAnswerLost
            | Self::Rpc500
            | Self::RpcError { .. }
            | Self::RpcGarbage
            | Self::RpcLag { .. }
            | Self::RpcLiesAuthorizationState { .. }
            | Self::RpcHidesLogs
            | Self::RpcWrongChain { .. } => Place::Rpc,
        }
    }

    /// The name it has in JSON.
    #[must_use]
    pub fn name(&self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|value| value.get("fault")?.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}
